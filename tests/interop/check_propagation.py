# SPDX-License-Identifier: MIT
"""Traces that cross between C (propagate.c) and the OpenTelemetry SDK for Python, both ways."""

import logging

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import harness
import otlp

NEEDS_COLLECTOR = False

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
FULL_STATE = ",".join(f"key{number}=value{number}" for number in range(32))

# What comes in from a third party: its name, traceparent, tracestate, and the tracestate that goes
# on. None for a header that both must refuse, which begins a new trace.
CONTEXTS = [
    ("sampled", f"00-{TRACE}-{SPAN}-01", "", ""),
    ("sampled and random", f"00-{TRACE}-{SPAN}-03", "", ""),
    ("not sampled", f"00-{TRACE}-{SPAN}-00", "", ""),
    ("not sampled but random", f"00-{TRACE}-{SPAN}-02", "", ""),
    ("one member", f"00-{TRACE}-{SPAN}-01", "congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
    ("several members", f"00-{TRACE}-{SPAN}-03", "rojo=1,congo=2,az09=3", "rojo=1,congo=2,az09=3"),
    ("a multi-tenant key", f"00-{TRACE}-{SPAN}-01", "fw529a3039@dt=FfAAA", "fw529a3039@dt=FfAAA"),
    ("blanks around members", f"00-{TRACE}-{SPAN}-01", "a=1 , \tb=2", "a=1,b=2"),
    ("blanks inside a value", f"00-{TRACE}-{SPAN}-01", "a=x y,b=~!#", "a=x y,b=~!#"),
    ("empty members", f"00-{TRACE}-{SPAN}-01", "a=1,,b=2,", "a=1,b=2"),
    ("all that a key may be", f"00-{TRACE}-{SPAN}-01", "a_-*/9=v", "a_-*/9=v"),
    ("32 members", f"00-{TRACE}-{SPAN}-01", FULL_STATE, FULL_STATE),
    ("33 members", f"00-{TRACE}-{SPAN}-01", FULL_STATE + ",one=more", ""),
    ("a malformed member", f"00-{TRACE}-{SPAN}-01", "foo=,bar=3", ""),
    ("not sampled, with a tracestate", f"00-{TRACE}-{SPAN}-00", "a=1", "a=1"),
    ("a later version", f"cc-{TRACE}-{SPAN}-01-what-comes-then", "a=1", "a=1"),
    ("version ff", f"ff-{TRACE}-{SPAN}-01", "a=1", None),
    ("zero trace ID", f"00-{'0' * 32}-{SPAN}-01", "a=1", None),
    ("zero span ID", f"00-{TRACE}-{'0' * 16}-01", "a=1", None),
    ("upper case", f"00-{TRACE.upper()}-{SPAN}-01", "a=1", None),
    ("too short", f"00-{TRACE}-{SPAN}-1", "a=1", None),
    ("more behind version 00", f"00-{TRACE}-{SPAN}-01-more", "a=1", None),
    ("nothing", "", "a=1", None),
]


class PythonService:
    """A process that takes part in a trace, as a user of the SDK for Python writes it."""

    def __init__(self, endpoint):
        self.provider = TracerProvider(resource=Resource.create({"service.name": "python"}))
        exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
        self.provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("interop")
        self.propagator = TraceContextTextMapPropagator()

    def handle(self, name, traceparent, tracestate):
        """Takes and gives the same as a line of propagate.c."""
        carrier = {"traceparent": traceparent, "tracestate": tracestate}
        context = self.propagator.extract(carrier)
        with self.tracer.start_as_current_span(name, context=context, kind=trace.SpanKind.CLIENT):
            outgoing = {}
            self.propagator.inject(outgoing)
        return outgoing["traceparent"], outgoing.get("tracestate", "")


class CService:
    def __init__(self, endpoint):
        self.conversation = harness.Conversation(
            [harness.INTEROP / "propagate"],
            harness.OUTPUT / "propagate.log",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        )

    def handle(self, name, traceparent, tracestate):
        answer = self.conversation.ask(f"{name}|{traceparent}|{tracestate}")
        return tuple(answer.split("|"))


def problems_of_hop(who, given, answer, state):
    """What is wrong with the headers that went on, seen from those that came in."""
    version, trace_id, span_id, flags = answer[0].split("-")
    problems = []
    if version != "00":
        problems.append(f"{who}: sent version {version}")
    if answer[1] != state:
        problems.append(f"{who}: sent the tracestate {answer[1]!r}, want {state!r}")
    if given is not None:
        _, given_trace, given_span, given_flags = given.split("-")[:4]
        if trace_id != given_trace or span_id == given_span:
            problems.append(f"{who}: sent {answer[0]} under {given}")
        if who == "c" and int(flags, 16) != int(given_flags, 16) & 3:
            problems.append(f"c: sent the flags {flags} under {given}")
        if int(flags, 16) & 1 != int(given_flags, 16) & 1:
            problems.append(f"{who}: changed the sampled flag of {given} to {flags}")
    return problems


def journey(services, case, order):
    """Sends one context through services; returns the headers on the way and what was wrong."""
    name, traceparent, tracestate, state = case
    headers = (traceparent, tracestate)
    known = traceparent if state is not None else None
    way, problems = [], []
    for who in order:
        headers = services[who].handle(f"{name}: {who}", *headers)
        problems += problems_of_hop(who, known, headers, state or "")
        known = headers[0]
        way.append((who, headers[0]))
    return way, problems


def chain_problems(case, way, arrived):
    """Whether the spans of a journey hang one under the other in what the receiver got."""
    problems = []
    parent = case[1].split("-")[2] if case[3] is not None else ""
    is_remote = parent != ""
    for who, traceparent in way:
        _, trace_id, span_id, flags = traceparent.split("-")
        span = arrived.get(span_id)
        if int(flags, 16) & 1 == 0:
            if span is not None:
                problems.append(f"{who}: an unsampled span arrived")
        elif span is None:
            problems.append(f"{who}: its span {span_id} did not arrive")
        else:
            got = (span["trace_id"], span["parent_span_id"], span["resource"][0]["service.name"])
            want = (trace_id, parent, ("string", who))
            problems += otlp.differences(want, got, f"{who} (trace, parent, service)")
            flags_wanted = 0x100 | (0x200 if is_remote else 0) | int(flags, 16)
            if who == "c" and span["flags"] != flags_wanted:
                problems.append(f"SP-80 c: flags {span['flags']:#x}, want {flags_wanted:#x}")
        parent, is_remote = span_id, True
    return problems


def check(tap):
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it warns of bad headers
    capture = harness.Capture()
    services = {"c": CService(capture.endpoint), "python": PythonService(capture.endpoint)}
    journeys = []
    for case in CONTEXTS:
        for order in (("c", "python", "c"), ("python", "c", "python")):
            journeys.append((case, order, *journey(services, case, order)))
    services["python"].provider.shutdown()
    tap.same(services["c"].conversation.end(), 0, "propagate delivers its spans")
    capture.stop()

    arrived = {}
    for body in capture.bodies:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        arrived.update({span["span_id"]: span for span in otlp.spans_from_proto(request)})
    for case, order, way, problems in journeys:
        route = " -> ".join(order)
        tap.none(
            problems + chain_problems(case, way, arrived),
            f"CP-09 {case[0]}: {route} is one trace"
            if case[3] is not None
            else f"WP-17 {case[0]}: {route} begins a new trace",
        )
