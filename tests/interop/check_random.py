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

# The depth that SP-39 allows values by default is more than these classes read unasked, which is
# 100 messages in one another: 47 arrays or 31 maps.
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


def deliver(tap, seed, count):
    """Runs the generator. Returns what arrived as requests, and the journal."""
    journal = harness.OUTPUT / f"random-{seed}.journal"
    capture = harness.Capture()
    try:
        result = harness.run(
            [harness.INTEROP / "random_spans", capture.endpoint, journal, seed, count], seconds=300
        )
    finally:
        capture.stop()
    tap.ok(
        result.returncode == 0,
        f"{count} spans of seed {seed}, none dropped but by limits",
        result.stdout,
        result.stderr,
    )
    requests, malformed, problems = [], [], []
    for number, (body, (path, headers)) in enumerate(zip(capture.bodies, capture.headers)):
        try:
            requests.append(decode(body))
        except (DecodeError, otlp.Malformed) as error:
            malformed.append(f"request {number}: {error}")
        problems += header_problems(path, headers)
    tap.none(malformed[:20], f"{len(capture.bodies)} requests decode, their lengths canonical")
    tap.none(problems[:20], "OU-01, OT-01, OT-09 request line and headers")
    return requests, journal


def check_seed(tap, seed, count, seen):
    requests, journal = deliver(tap, seed, count)
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
    check_model.compare(tap, expected, spans, f"random of seed {seed}")
    seen.note(expected, spans)


class Seen:
    """What the random spans had in them: a generator that stops making something is found out."""

    PLACES = ("span", "event", "link", "scope", "resource")

    def __init__(self):
        self.types = {place: set() for place in self.PLACES}
        self.dropped = {place: 0 for place in ("span", "event", "link", "events", "links")}
        self.limits = set()
        self.deepest = 0
        self.invalid = {place: 0 for place in self.PLACES}
        self.repaired_keys = 0

    def note(self, expected, spans):
        self.limits |= {
            (index, limit) for session in expected.sessions for index, limit in enumerate(session)
        }
        for span in spans:
            self.note_list("span", span["attributes"])
            self.note_list("scope", span["scope"][2])
            self.note_list("resource", span["resource"][0])
            for event in span["events"]:
                self.note_list("event", event[2])
                self.dropped["event"] += event[3] > 0
            for link in span["links"]:
                self.note_list("link", link[4])
                self.dropped["link"] += link[5] > 0
            for place, count in zip(("span", "events", "links"), span["dropped"]):
                self.dropped[place] += count > 0

    def note_list(self, place, attributes):
        self.types[place] |= check_model.value_types(attributes.values())
        self.repaired_keys += any("\ufffd" in key for key in attributes)
        self.invalid[place] += any(value[0] == "bytes" for value in attributes.values())
        for value in attributes.values():
            self.deepest = max(self.deepest, depth_of(value))

    def report(self, tap):
        for place in self.PLACES:
            tap.same(self.types[place], model.VALUE_TYPES, f"every type of value: {place}")
        tap.none([place for place, n in self.invalid.items() if n < 10], "bytes in every place")
        tap.none([place for place, n in self.dropped.items() if n < 100], "drops of every sort")
        tap.ok(self.repaired_keys > 100, f"{self.repaired_keys} lists with keys that were repaired")
        tap.ok(self.deepest >= 64, f"values to the default depth and beyond ({self.deepest})")
        missing = [
            index
            for index in range(7)
            if len({limit for at, limit in self.limits if at == index}) < 4
        ]
        tap.none(missing, "each of the seven limits was unset, none, and two other values at least")


def depth_of(value):
    if value[0] == "array":
        return 1 + max(map(depth_of, value[1]), default=0)
    if value[0] == "map":
        return 1 + max(map(depth_of, value[1].values()), default=0)
    return 0


def check(tap):
    first = int(os.environ.get("INTEROP_SEED", "1"))
    seeds = int(os.environ.get("INTEROP_SEEDS", "3"))
    count = int(os.environ.get("INTEROP_SPANS", "10000"))
    seen = Seen()
    for seed in range(first, first + seeds):
        check_seed(tap, seed, count // seeds, seen)
    seen.report(tap)
