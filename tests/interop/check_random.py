# SPDX-License-Identifier: MIT
"""Random spans (random_spans.c) as the official protobuf classes decode them."""

import os

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import check_model
import harness
import model
import otlp

NEEDS_COLLECTOR = False

# The depth that SP-39 allows values by default is more than these classes read unasked: 100 messages
# in one another, which is 47 arrays or 31 maps.
api_implementation._c_module.SetAllowOversizeProtos(True)


def decode(body):
    """The request in a body. Anything that the classes would not write themselves is an error: a
    length or a number in more bytes than needed, a default that need not be there, an unknown
    field. Only the order of the fields is the sender's."""
    request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    request.DiscardUnknownFields()
    if request.ByteSize() != len(body):
        raise otlp.Malformed(f"{len(body)} bytes, and {request.ByteSize()} in canonical form")
    return request


def grouping_problems(request):
    """SP-86, TR-05: in a request each resource and, under it, each scope is there once."""
    problems = []
    resources = [
        (resource.resource.SerializeToString(deterministic=True), resource.schema_url)
        for resource in request.resource_spans
    ]
    if len(set(resources)) < len(resources):
        problems.append("one resource is there twice")
    for resource in request.resource_spans:
        scopes = [
            (scope.scope.SerializeToString(deterministic=True), scope.schema_url)
            for scope in resource.scope_spans
        ]
        if len(set(scopes)) < len(scopes):
            problems.append("one scope is there twice")
        if not all(scope.spans for scope in resource.scope_spans):
            problems.append("a scope without spans")
    return problems


def header_problems(path, headers):
    problems = []
    names = {name.lower(): value for name, value in headers.items()}
    if path != "/v1/traces":
        problems.append(f"OU-01 sent to {path}")
    if names.get("content-type") != "application/x-protobuf":
        problems.append(f"OT-01 content type {names.get('content-type')}")
    if not names.get("user-agent", "").startswith("HatchetOtel-OTLP-Exporter-C/"):
        problems.append(f"OT-09 user agent {names.get('user-agent')}")
    return problems


def check(tap):
    seed = os.environ.get("INTEROP_SEED", "1")
    count = int(os.environ.get("INTEROP_SPANS", "10000"))
    tap.note(f"random spans: {count} with INTEROP_SEED={seed}")
    journal = harness.OUTPUT / "random.journal"
    capture = harness.Capture()
    try:
        result = harness.run(
            [harness.INTEROP / "random_spans", capture.endpoint, journal, seed, count], seconds=300
        )
    finally:
        capture.stop()
    tap.ok(result.returncode == 0, f"{count} spans, none dropped", result.stdout, result.stderr)
    for line in result.stdout.splitlines():
        tap.note(line)

    requests, malformed, problems = [], [], []
    for number, (body, (path, headers)) in enumerate(zip(capture.bodies, capture.headers)):
        try:
            requests.append(decode(body))
        except (DecodeError, otlp.Malformed) as error:
            malformed.append(f"request {number}: {error}")
        problems += header_problems(path, headers)
    tap.none(malformed[:20], f"{len(capture.bodies)} requests decode, their lengths canonical")
    tap.none(problems[:20], "OU-01, OT-01, OT-09 request line and headers")
    grouping = [problem for request in requests for problem in grouping_problems(request)]
    tap.none(grouping[:20], "SP-86 spans are grouped by resource and scope")

    spans, repeated = [], []
    for number, request in enumerate(requests):
        try:
            spans += otlp.spans_from_proto(request)
        except otlp.Malformed as error:
            repeated.append(f"request {number}: {error}")
    tap.none(repeated[:20], "SP-33 keys are unique in every collection, IDs have their sizes")
    expected = model.Model(journal)
    tap.ok(len(expected.spans) + len(expected.unsampled) >= count, "the journal is complete")
    check_model.compare(tap, expected, spans, "random")
