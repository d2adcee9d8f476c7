# SPDX-License-Identifier: MIT
"""Packed requests (deliver.c with zlib): unpacked by Python's gzip and by the Collector."""

import gzip

import harness
import otlp

NEEDS_COLLECTOR = True

SPANS = 700  # more than a request


def start(name, endpoint):
    return harness.Conversation(
        [harness.INTEROP / "deliver"],
        harness.OUTPUT / f"{name}.log",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )


def deliver(tap, name, endpoint):
    program = start(name, endpoint)
    program.ask(f"spans {SPANS}")
    result = program.ask("flush 20000").split()[0]
    tap.same(result, "0", f"EX-08 flush of packed requests: {name}")
    program.end()


def check(tap):
    probe = start("gzip-probe", "http://127.0.0.1:1")
    has_zlib = probe.ask("gzip") == "yes"
    probe.end()
    if not has_zlib:
        tap.skip("gzip", "deliver was built without zlib (Debian: zlib1g-dev)")
        return

    capture = harness.Capture()
    deliver(tap, "gzip-capture", capture.endpoint)
    capture.stop()
    packed = [headers.get("Content-Encoding") for _, headers in capture.headers]
    tap.same(packed, ["gzip", "gzip"], "OT-02 two requests with Content-Encoding: gzip")
    sizes = [(len(body), len(gzip.decompress(body))) for body in capture.bodies]
    tap.ok(
        all(small * 2 < large for small, large in sizes),
        "EX-08 Python's gzip unpacks them",
        sizes,
    )

    collector = harness.Collector("gzip")
    deliver(tap, "gzip-collector", collector.endpoint)
    collector.stop()
    spans = otlp.spans_from_lines(collector.path)
    numbers = sorted(span["attributes"]["number"][1] for span in spans)
    tap.same(numbers, list(range(SPANS)), f"EX-08 the Collector has all {SPANS} spans, once")
