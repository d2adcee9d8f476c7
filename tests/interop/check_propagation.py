# SPDX-License-Identifier: MIT
"""Traces, baggage and B3 that cross between C and the OpenTelemetry SDK for Python, both ways.

Traces are made by propagate.c, headers by carry.c.
"""

import logging

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
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

# Values of baggage. The names are tokens: Python encodes what is none, and W3C knows no such names.
VALUES = {
    "plain": "value",
    "Upper.and-lower_case~": "VaLuE",
    "empty": "",
    "equals": "a=b==",
    "percent": "100% %41 %zz",
    "plus": "1+1=2",
    "separators": "a,b;c",
    "quotes": "\"a\" \\ 'b'",
    "blanks": "one two  three",
    "controls": "a\tb\nc\x7fd",
    "latin": "caf\u00e9",
    "greek": "\u03b1\u03b2\u03b3",
    "euro": "\u20ac 5",
    "emoji": "\U0001f600",
    "edge": "\ue000\uffff\U0010ffff",
    "ascii": "".join(map(chr, range(33, 127))),
}

B3 = f"{TRACE}-{SPAN}"
B3_CONTEXTS = [
    ("one header, sampled", {"b3": B3 + "-1"}, TRACE, 1),
    ("one header, not sampled", {"b3": B3 + "-0"}, TRACE, 0),
    ("one header, debug", {"b3": B3 + "-d"}, TRACE, 1),
    ("one header, with a parent", {"b3": B3 + "-1-05e3ac9a4f6e3b90"}, TRACE, 1),
    ("one header, 64 bits", {"b3": f"{TRACE[16:]}-{SPAN}-1"}, "0" * 16 + TRACE[16:], 1),
    (
        "several, sampled",
        {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
        TRACE,
        1,
    ),
    ("several, 0", {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "0"}, TRACE, 0),
    ("several, debug", {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"}, TRACE, 1),
    (
        "several, 64 bits",
        {"x-b3-traceid": TRACE[16:], "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
        "0" * 16 + TRACE[16:],
        1,
    ),
    ("a short trace ID", {"b3": f"{TRACE[1:]}-{SPAN}-1"}, None, 0),
    ("no hex", {"b3": f"{TRACE}-{SPAN[1:]}x-1"}, None, 0),
]


class Carrier:
    """carry.c: headers and baggage in, headers and baggage out."""

    def __init__(self):
        self.conversation = harness.Conversation(
            [harness.INTEROP / "carry"], harness.OUTPUT / "carry.log"
        )

    def pass_on(self, formats, headers, entries=()):
        fields = [formats] + [f"h{name}={value}" for name, value in headers.items()]
        for name, value, metadata in entries:
            fields.append(f"s{name.encode().hex()}={value.encode().hex()};{metadata}")
        answered, carried = {}, {}
        for field in self.conversation.ask("\x1f".join(fields)).split("\x1f"):
            name, _, value = field[1:].partition("=")
            if field.startswith("h"):
                answered[name] = value
            elif field.startswith("b"):
                text, _, metadata = value.partition(";")
                carried[bytes.fromhex(name).decode()] = (bytes.fromhex(text).decode(), metadata)
        return answered, carried


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


def python_baggage(headers):
    return dict(baggage.get_all(W3CBaggagePropagator().extract(headers, Context())))


def check_baggage(tap, carrier):
    entries = [(name, value, "") for name, value in VALUES.items()]
    for entry in entries:
        name, value, _ = entry
        headers, carried = carrier.pass_on("tracecontext", {}, [entry])
        tap.same(carried, {name: (value, "")}, f"BG-01 {name}: set and read in C")
        tap.same(python_baggage(headers), {name: value}, f"WB-01 {name}: C to Python")
        outgoing = {}
        W3CBaggagePropagator().inject(outgoing, baggage.set_baggage(name, value, Context()))
        _, carried = carrier.pass_on("tracecontext", outgoing)
        # Python sends a blank as a plus, which W3C does not know.
        want = value.replace(" ", "+")
        tap.same(carried, {name: (want, "")}, f"WB-02 {name}: Python to C")

    headers, _ = carrier.pass_on("tracecontext", {}, entries)
    tap.same(python_baggage(headers), VALUES, "BG-02 all of them in one header, C to Python")
    again, _ = carrier.pass_on("tracecontext", headers)
    tap.same(again, headers, "BG-02 and through C as they came")

    # Python takes properties as part of the value.
    headers, _ = carrier.pass_on("tracecontext", {}, [("k", "v", "p=1;q"), ("l", "w", "")])
    tap.same(headers, {"baggage": "k=v;p=1;q,l=w"}, "WB-05 properties are sent")
    tap.same(python_baggage(headers), {"k": "v;p=1;q", "l": "w"}, "WB-05 and accepted by Python")
    headers, carried = carrier.pass_on("tracecontext", {"Baggage": "k = v ; p = 1;q , l=w"})
    tap.same(carried, {"k": ("v", "p=1;q"), "l": ("w", "")}, "WB-04 blanks around parts")
    tap.same(python_baggage(headers), {"k": "v;p=1;q", "l": "w"}, "WB-04 are not sent on")

    many = {f"key{number}": f"value {number}" for number in range(64)}
    header = ",".join(f"{name}={value.replace(' ', '%20')}" for name, value in many.items())
    headers, _ = carrier.pass_on("tracecontext", {"baggage": header})
    tap.same(python_baggage(headers), many, "WB-06 64 members through C to Python")


def python_b3(headers):
    """The trace ID, span ID and sampled flag that Python reads."""
    context = trace.get_current_span(B3MultiFormat().extract(headers, Context()))
    context = context.get_span_context()
    if not context.is_valid:
        return None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags) & 1


def check_b3(tap, carrier):
    for name, headers, trace_id, sampled in B3_CONTEXTS:
        want = (trace_id, SPAN, sampled) if trace_id else None
        tap.same(python_b3(headers), want, f"CP-10 {name}: what Python reads")
        for form in ("b3", "b3multi"):
            answered, _ = carrier.pass_on(form, headers)
            tap.same(python_b3(answered), want, f"CP-10 {name}: through C as {form} to Python")
        if not want:
            continue
        for form, propagator in (("b3", B3SingleFormat()), ("b3multi", B3MultiFormat())):
            outgoing = {}
            propagator.inject(outgoing, B3MultiFormat().extract(headers, Context()))
            answered, _ = carrier.pass_on("tracecontext", outgoing)
            tap.same(answered, {}, f"CP-10 {name}: no trace context in {form} of Python")
            answered, _ = carrier.pass_on(form, outgoing)
            tap.same(answered, outgoing, f"CP-10 {name}: {form} of Python goes through C unchanged")


def check(tap):
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it warns of bad headers
    carrier = Carrier()
    check_baggage(tap, carrier)
    check_b3(tap, carrier)
    tap.same(carrier.conversation.end(), 0, "carry ends in order")

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
