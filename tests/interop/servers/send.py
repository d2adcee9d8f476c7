# SPDX-License-Identifier: MIT
"""deliver.c's conversation with another client, the OpenTelemetry SDK's exporter on grpcio: what it
cannot deliver either is not the library's fault. Knows spans, pace, flush and shutdown."""

import sys
import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


class Sender:
    def __init__(self):
        self.provider = TracerProvider()
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self.provider.get_tracer("send")
        self.number = 0

    def spans(self, count):
        for _ in range(count):
            with self.tracer.start_as_current_span("numbered") as span:
                span.set_attribute("number", self.number)
            self.number += 1
        return "ok"

    def pace(self, count, rate):
        began = time.monotonic()
        for made in range(count):
            time.sleep(max(0, began + made / rate - time.monotonic()))
            self.spans(1)
        return "ok"

    def wait(self, function):
        began = time.monotonic()
        result = 0 if function() is not False else -1
        return f"{result} {round((time.monotonic() - began) * 1000)}"

    def flush(self, timeout_ms):
        return self.wait(lambda: self.provider.force_flush(timeout_ms))

    def shutdown(self, timeout_ms):
        return self.wait(self.provider.shutdown)


if __name__ == "__main__":
    sender = Sender()
    for line in sys.stdin:
        what, *numbers = line.split()
        print(getattr(sender, what)(*map(int, numbers)), flush=True)
