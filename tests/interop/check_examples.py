# SPDX-License-Identifier: MIT
"""`trigger | worker` of examples/ is one trace of five spans in the OpenTelemetry Collector."""

import json
import re

import harness
import otlp

NEEDS_COLLECTOR = True

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

INTERNAL, CLIENT, PRODUCER, CONSUMER = 1, 3, 4, 5


def a_uuid(value):
    if value[0] == "string" and UUID.fullmatch(value[1]):
        return None
    return "want a UUID"


def text(content):
    return ("string", content)


TASK = {
    "instrumentor": text("hatchet"),
    "hatchet.workflow_name": text("OTelDataPipeline"),
    "hatchet.step_name": text("fetch_data"),
    "hatchet.action_name": text("oteldatapipeline:fetch_data"),
    "hatchet.retry_count": ("int", 0),
    "hatchet.payload": text('{"input": {"since": "2026-01-01"}}'),
    "hatchet.step_run_id": a_uuid,
    "hatchet.workflow_run_id": a_uuid,
    "hatchet.step_id": a_uuid,
    "hatchet.workflow_id": a_uuid,
    "hatchet.workflow_version_id": a_uuid,
    "hatchet.worker_id": a_uuid,
    "hatchet.tenant_id": a_uuid,
}

# By name: service, kind, parent's name, whether the parent is remote, status, attributes.
SPANS = {
    "trigger_otel_data_pipeline": ("trigger", INTERNAL, None, False, 0, {}),
    "hatchet.run_workflow": (
        "trigger",
        PRODUCER,
        "trigger_otel_data_pipeline",
        False,
        1,
        {
            "instrumentor": text("hatchet"),
            "hatchet.workflow_name": text("OTelDataPipeline"),
            "hatchet.payload": text('{"since": "2026-01-01"}'),
            "hatchet.additional_metadata": text('{"requested_by": "examples/trigger.c"}'),
            "hatchet.priority": ("int", 2),
        },
    ),
    "hatchet.start_step_run": ("worker", CONSUMER, "hatchet.run_workflow", True, 1, TASK),
    "http.request": (
        "worker",
        CLIENT,
        "hatchet.start_step_run",
        False,
        0,
        {
            **TASK,
            "http.method": text("GET"),
            "http.url": text("https://api.example.com/data"),
            "http.status_code": ("int", 200),
        },
    ),
    "json.parse": (
        "worker",
        INTERNAL,
        "hatchet.start_step_run",
        False,
        0,
        {**TASK, "json.record_count": ("int", 42)},
    ),
}


def check_metadata(tap, metadata, spans):
    """The JSON that went from the trigger to the worker."""
    run = spans["hatchet.run_workflow"]
    want = {
        "requested_by": "examples/trigger.c",
        "traceparent": f"00-{run['trace_id']}-{run['span_id']}-03",
    }
    tap.same(json.loads(metadata), want, "the metadata carries the traceparent beside the user's")


def check(tap):
    collector = harness.Collector("examples")
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    try:
        trigger = harness.run([harness.BUILD / "examples" / "trigger"], **settings)
        worker = harness.run(
            [harness.BUILD / "examples" / "worker"], input=trigger.stdout, **settings
        )
    finally:
        collector.stop()
    tap.ok(trigger.returncode == 0, "trigger succeeds", trigger.stderr)
    tap.ok(worker.returncode == 0, "worker succeeds", worker.stderr)

    arrived = otlp.spans_from_lines(collector.path)
    tap.same(sorted(span["name"] for span in arrived), sorted(SPANS), "five spans by their names")
    tap.same(len({span["trace_id"] for span in arrived}), 1, "one trace")
    spans = {span["name"]: span for span in arrived}
    for name, (service, kind, parent, is_remote, status, attributes) in SPANS.items():
        span = spans[name]
        got = {
            "service": span["resource"][0]["service.name"],
            "kind": span["kind"],
            "parent": span["parent_span_id"],
            "flags": span["flags"],
            "status": span["status"],
            "attributes": span["attributes"],
        }
        want = {
            "service": text(service),
            "kind": kind,
            "parent": spans[parent]["span_id"] if parent else "",
            "flags": 0x303 if is_remote else 0x103,
            "status": (status, ""),
            "attributes": attributes,
        }
        tap.none(otlp.differences(want, got), f"{name}: service, kind, parent, flags, attributes")
    check_metadata(tap, trigger.stdout, spans)
