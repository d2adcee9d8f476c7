# SPDX-License-Identifier: MIT
"""A known set of spans (model.c) as the OpenTelemetry Collector's file exporter writes them."""

import harness
import model
import otlp

NEEDS_COLLECTOR = True

# One line of the report each: what the fields prove, and the fields.
ASPECTS = [
    ("TR-16, TR-20 to TR-23 IDs and parents", ("trace_id", "span_id", "parent_span_id")),
    ("SP-82 tracestate", ("trace_state",)),
    ("SP-80 flags: sampled, random, parent remote", ("flags",)),
    ("TR-25, SP-14 names and kinds", ("name", "kind")),
    ("TR-26, TR-28 start and end times", ("start", "end")),
    ("TR-37 to TR-44, SP-31 to SP-36, SP-41 attributes", ("attributes",)),
    ("TR-48, TR-49, TR-51, TR-52 events", ("events",)),
    ("TR-45 to TR-47, SP-81 links", ("links",)),
    ("SP-85 dropped counts", ("dropped",)),
    ("TR-31, SP-60 to SP-63 status", ("status",)),
    ("RS-01, SP-90 to SP-92 resource", ("resource",)),
    ("TR-03 to TR-05 scope", ("scope",)),
]


def compare(tap, expected, spans, where):
    """Reports on each aspect of what arrived."""
    tap.none(expected.problems, f"TR-17 to TR-23, SM-06 contexts follow their parents, {where}")
    tap.none(expected.compare_arrivals(spans), f"each sampled span arrives once, {where}")
    for what, fields in ASPECTS:
        tap.none(expected.compare(spans, fields), f"{what}, {where}")


def value_types(values):
    """The types of some values, nested ones included."""
    types = set()
    for value in values:
        types.add(value[0])
        if value[0] == "array":
            types |= value_types(value[1])
        elif value[0] == "map":
            types |= value_types(value[1].values())
    return types


def check(tap):
    collector = harness.Collector("model")
    journal = harness.OUTPUT / "model.journal"
    try:
        result = harness.run([harness.INTEROP / "model", collector.endpoint, journal])
    finally:
        collector.stop()
    tap.ok(result.returncode == 0, "model delivers all its spans", result.stderr)
    expected = model.Model(journal)
    want = expected.spans.values()
    tap.same({span["kind"] for span in want}, {1, 2, 3, 4, 5}, "the model has every kind")
    tap.same(
        {span["flags"] for span in want},
        {0x101, 0x103, 0x301, 0x303},
        "the model has every sort of flags",
    )
    types = set().union(*(value_types(span["attributes"].values()) for span in want))
    tap.same(types, model.VALUE_TYPES, "the model has every type of value")
    try:
        spans = otlp.spans_from_lines(collector.path)
    except otlp.Malformed as error:
        tap.ok(False, "SP-33 keys are unique in every collection, in the Collector", error)
        return
    compare(tap, expected, spans, "in the Collector")
