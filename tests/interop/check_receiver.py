# SPDX-License-Identifier: MIT
"""`hatchet-otel serve` receives from the OpenTelemetry SDK for Python."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace.status import Status, StatusCode

import harness
import otlp

NEEDS_COLLECTOR = False

TOOL = harness.BUILD / "hatchet-otel"


class Keeper(SpanExporter):
    """Keeps what the exporter beside it sends, in the SDK's own encoding."""

    def __init__(self):
        self.spans = {}

    def export(self, spans):
        for span in otlp.spans_from_proto(encode_spans(spans)):
            self.spans[span["span_id"]] = span
        return SpanExportResult.SUCCESS


def make_spans(provider):
    """One trace with everything that the SDK can put into a span."""
    tracer = provider.get_tracer("interop", "1.0", "https://example.org/schema", {"scope": "yes"})
    with tracer.start_as_current_span("root", kind=trace.SpanKind.SERVER) as root:
        root.set_attributes(
            {
                "string": 'na\u00efve \U0001f3e8 \u0000\u001f"\\/\u2028',
                "empty": "",
                "bool": False,
                "int": -(2**63),
                "double": 0.1,
                "double.whole": 3.0,
                "nan": float("nan"),
                "infinity": float("inf"),
                "-infinity": float("-inf"),
                "bytes": b"\x00\xff",
                "strings": ["a", ""],
                "bools": [True, False],
                "ints": [0, 2**63 - 1],
                "doubles": [-0.0, 1e-300],
                "none": [],
                "\u043a\u043b\u044e\u0447": "key",
            }
        )
        link = trace.Link(root.get_span_context(), {"linked": True})
        for kind in trace.SpanKind:
            with tracer.start_as_current_span(kind.name, kind=kind, links=[link]) as span:
                span.add_event("event", {"number": 1}, timestamp=1544712660300000123)
                span.record_exception(ValueError("of no value"))
                span.set_status(Status(StatusCode.ERROR, "b\u00f6se"))
        root.set_status(StatusCode.OK)
    for number in range(200):
        with tracer.start_as_current_span(f"many {number}", start_time=1 + number) as span:
            span.set_attribute("number", number)


def check(tap):
    if not TOOL.exists():
        tap.skip("receiver", f"{TOOL} is not there: make tools")
        return
    port = harness.free_port()
    path = harness.OUTPUT / "receiver.jsonl"
    path.unlink(missing_ok=True)
    log = harness.OUTPUT / "receiver.log"
    log.unlink(missing_ok=True)
    keeper = Keeper()
    provider = TracerProvider(resource=Resource.create({"service.name": "python", "n": 7}))
    provider.add_span_processor(SimpleSpanProcessor(keeper))
    endpoint = f"http://127.0.0.1:{port}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    expected = 1 + len(trace.SpanKind) + 200
    tool = harness.Process(
        [TOOL, "serve", "--listen", f"127.0.0.1:{port}", "--jsonl", path]
        + ["--exit-after", expected],
        log,
    )
    try:
        harness.wait_until(lambda: harness.accepts(port), 10, "hatchet-otel serve listens")
        make_spans(provider)
        tap.ok(provider.force_flush(20000), "the SDK's exporter is satisfied")
        provider.shutdown()
        harness.wait_until(lambda: not tool.running(), 20, "--exit-after ends the receiver")
    finally:
        code = tool.stop()
    tap.ok(code == 0, f"serve --exit-after {expected} ends by itself", tool.tail())
    arrived = otlp.spans_from_lines(path)
    tap.same(len(arrived), expected, "as many spans in the file as were sent")
    got = {span["span_id"]: span for span in arrived}
    tap.none(otlp.differences(keeper.spans, got)[:20], "OJ-01 to OJ-07 --jsonl holds what was sent")
