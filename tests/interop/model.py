# SPDX-License-Identifier: MIT
"""What the spans of a journal (journal.h) must look like when they arrive.

This is the model: it knows the rules of OpenTelemetry and of the Hatchet layer, and nothing of the
library. Spans have the form of otlp.py; where a rule leaves a choice, the model has a function in
place of the value, which returns what is wrong with the value that came.
"""

import json

import otlp

DEFAULT_LIMITS = (128, None, 64, 128, 128, 128, 128)
VALUE_TYPES = {"string", "bool", "int", "double", "bytes", "array", "map", "empty"}
KEEP_NONE = 0xFFFFFFFF  # HOTEL_NONE
CLOCK_TOLERANCE_NS = (
    50_000_000  # ticks are converted against an anchor that is renewed now and then
)

INHERITED_PAYLOAD_LIMIT = 2048  # a larger one stays on the task's own span
SDK_NAME = "hatchet_otel"


class Limits:
    def __init__(self, given):
        chosen = [
            default if limit == 0 else 0 if limit == KEEP_NONE else limit
            for limit, default in zip(given, DEFAULT_LIMITS)
        ]
        (
            self.attributes,
            self.value_length,
            self.value_depth,
            self.events,
            self.links,
            self.event_attributes,
            self.link_attributes,
        ) = chosen


# ---- text and values -------------------------------------------------------------------------


def raw(text):
    """The bytes of a journal's string."""
    return None if text is None else text.encode("latin-1")


def repaired(raw_bytes):
    """SP-41: where only text can go, each byte that is not UTF-8 becomes U+FFFD."""
    text = ""
    while raw_bytes:
        try:
            return text + raw_bytes.decode("utf-8")
        except UnicodeDecodeError as error:
            text += raw_bytes[: error.start].decode("utf-8") + "\ufffd" * (error.end - error.start)
            raw_bytes = raw_bytes[error.end :]
    return text


def cut(raw_bytes, length):
    """SP-35: so many characters from the front; a byte that is in none counts as one."""
    if length is None or len(raw_bytes) <= length:
        return raw_bytes
    # A lone surrogate stands for such a byte, one for each.
    characters = raw_bytes.decode("utf-8", "surrogateescape")
    return characters[:length].encode("utf-8", "surrogateescape")


def expected_value(value, limits, depth=1):
    """SP-31 to SP-36 and SP-41 for one value."""
    kind = value[0]
    if kind in ("array", "map") and limits and depth > limits.value_depth:
        return ("empty",)
    length = limits.value_length if limits else None
    if kind == "string":
        if value[1] is None:
            return ("empty",)
        content = cut(raw(value[1]), length)
        try:
            return ("string", content.decode("utf-8"))
        except UnicodeDecodeError:
            return ("bytes", content)
    if kind == "bytes":
        return ("bytes", raw(value[1])[:length])
    if kind == "int":
        return ("int", int(value[1]))
    if kind == "double":
        return ("double", int(value[1], 16))
    if kind == "array":
        return ("array", tuple(expected_value(item, limits, depth + 1) for item in value[1]))
    if kind == "map":
        entries = {}
        for key, item in value[1]:
            if key:
                entries[repaired(raw(key))] = expected_value(item, limits, depth + 1)
        return ("map", entries)
    return tuple(value)


class Attributes:
    """A collection with its count limit (SP-33, SP-34): the last value of a key wins, each setting
    of a key that the limit keeps out is counted."""

    def __init__(self, limits=None, count=None):
        self.limits = limits
        self.count = count
        self.values = {}
        self.dropped = 0

    def set_once(self, attributes):
        """A list that is given whole, as that of an event: each of its keys is one attribute."""
        seen = {repaired(raw(key) or b""): [key, value] for key, value in attributes}
        return self.set(seen.values())

    def set(self, attributes):
        for key, value in attributes:
            key = repaired(raw(key) or b"")
            if key == "":
                continue
            if key not in self.values and self.count is not None and len(self.values) >= self.count:
                self.dropped += 1
            else:
                self.values[key] = expected_value(value, self.limits)
        return self


# ---- spans -----------------------------------------------------------------------------------


def between(earliest, latest):
    def judge(time):
        if earliest - CLOCK_TOLERANCE_NS <= time <= latest + CLOCK_TOLERANCE_NS:
            return None
        return f"want a time from {earliest} to {latest}"

    return judge


def one_of(candidates):
    return lambda value: None if value in candidates else f"want one of {otlp.show(candidates)}"


class Span:
    """Replays the calls on one span."""

    def __init__(self, limits, entry):
        self.limits = limits
        self.attributes = Attributes(limits, limits.attributes)
        self.name = repaired(raw(entry.get("name")) or b"")
        self.status = (0, "")
        self.events = []
        self.links = []
        self.dropped_events = 0
        self.dropped_links = 0
        self.any_time = between(int(entry["began"]), int(entry["ended"]))

    def call(self, what, *arguments):
        getattr(self, "call_" + what)(*arguments)

    def call_set(self, attributes):
        self.attributes.set(attributes)

    def call_rename(self, name):
        self.name = repaired(raw(name) or b"")

    def call_event(self, name, time, attributes):
        if len(self.events) >= self.limits.events:
            self.dropped_events += 1
            return
        kept = Attributes(self.limits, self.limits.event_attributes).set_once(attributes)
        self.events.append(
            (
                repaired(raw(name) or b""),
                self.any_time if time is None else int(time),
                kept.values,
                kept.dropped,
            )
        )

    def call_exception(self, kind, message, stacktrace, attributes):
        given = {"type": kind, "message": message, "stacktrace": stacktrace}
        generated = [
            ["exception." + name, ["string", text]]
            for name, text in given.items()
            if text is not None
        ]
        self.call_event("exception", None, generated + attributes)

    def call_link(self, trace_id, span_id, flags, is_remote, trace_state, attributes):
        has_ids = int(trace_id, 16) != 0 and int(span_id, 16) != 0
        if not has_ids and not attributes and not trace_state:
            return
        if len(self.links) >= self.limits.links:
            self.dropped_links += 1
            return
        kept = Attributes(self.limits, self.limits.link_attributes).set_once(attributes)
        self.links.append(
            (
                trace_id if int(trace_id, 16) else "",
                span_id if int(span_id, 16) else "",
                trace_state,
                0x100 | (0x200 if is_remote else 0) | flags,
                kept.values,
                kept.dropped,
            )
        )

    def call_status(self, code, description):
        text = repaired(raw(description) or b"")
        if code == 0 or self.status[0] == 1:
            return
        self.status = (1, "") if code == 1 else (2, text)

    def call_succeed(self):
        self.call_status(1, None)

    def call_fail(self, kind, message):
        self.call_exception(kind, message, None, [])
        self.call_status(2, message)

    def call_threads(self, threads):
        """Calls of several threads at once: any order between them, the order within each."""
        contested = {}
        events = []
        for calls in threads:
            last = {}
            before = self.events
            self.events = []
            for call in calls:
                if call[0] == "set":
                    last.update(Attributes(self.limits).set(call[1]).values)
                self.call(*call)
            events.append(self.events)
            self.events = before
            for key, value in last.items():
                contested.setdefault(key, []).append(value)
        for key, values in contested.items():
            if len(values) > 1:
                self.attributes.values[key] = one_of(values)
        if any(events):
            self.events = interleaved(self.events, events)


def interleaved(before, threads):
    """The list `before`, then a list made of the threads' lists by interleaving."""

    def judge(got):
        if otlp.differences(before, got[: len(before)]):
            return "the calls before the threads are not at the front"
        waiting = [list(events) for events in threads]
        for event in got[len(before) :]:
            for events in waiting:
                if events and not otlp.differences(events[0], event):
                    events.pop(0)
                    break
            else:
                return f"{otlp.show(event)} is not due"
        if any(waiting):
            return f"{sum(map(len, waiting))} elements are missing"
        return None

    return judge


class Model:
    """All the sessions of a journal."""

    def __init__(self, path):
        self.spans = {}  # by span ID: what is exported
        self.unsampled = {}  # by span ID: what must not be
        self.problems = []  # where a span context itself breaks the rules
        self.contexts = {}  # by span ID: trace ID, flags, tracestate
        self.inherited = {}  # by a task's span ID
        self.sessions = []  # the limits of each, as they were given
        with open(path, encoding="ascii") as lines:
            entries = [json.loads(line) for line in lines]
        # Lines come in the order of ends; parents must be known before their children.
        for entry in entries:
            if "span" in entry:
                own = entry["span"]
                self.contexts[own["span_id"]] = own
        for entry in entries:
            if "session" in entry:
                self.start_session(entry["session"])
            elif "step_run" in entry["span"]:
                self.note_inherited(entry["span"])
        for entry in entries:
            if "session" in entry:
                self.start_session(entry["session"])
                self.sessions.append(entry["session"]["limits"])
            else:
                self.add(entry["span"])

    def start_session(self, session):
        self.limits = Limits(session["limits"])
        self.scope = self.expected_scope(session["scope"])
        resource = Attributes().set(
            [
                ["telemetry.sdk.name", ["string", SDK_NAME]],
                ["telemetry.sdk.language", ["string", "c"]],
                ["service.name", ["empty"]],
            ]
            + session["resource"]
        )
        given = [repaired(raw(key) or b"") for key, value in session["resource"]]
        if "service.name" not in given:
            resource.values["service.name"] = lambda value: (
                None if value[1].startswith("unknown_service") else "want unknown_service"
            )
        if session["service_name"] is not None:
            resource.set([["service.name", ["string", session["service_name"]]]])
        resource.values["telemetry.sdk.version"] = lambda value: (
            None if value[0] == "string" and value[1] else "want a version"
        )
        self.resource = (resource.values, 0, repaired(raw(session["schema_url"]) or b""))

    def expected_scope(self, scope):
        name, version, schema_url, attributes = scope
        return (
            repaired(raw(name) or b""),
            repaired(raw(version) or b""),
            Attributes().set(attributes).values,
            0,
            repaired(raw(schema_url) or b""),
        )

    def add(self, entry):
        parent_id, is_remote = self.check_context(entry)
        if not entry["recording"]:
            self.unsampled[entry["span_id"]] = entry
            return
        span = Span(self.limits, entry)
        kind, scope = entry.get("kind", 1) or 1, entry.get("scope")
        if "step_run" in entry:
            span.name, kind = "hatchet.start_step_run", 5
            span.attributes.set(step_run_attributes(entry["step_run"]))
        elif "trigger" in entry:
            span.name, kind = "hatchet.run_workflow", 4
            span.attributes.set(trigger_attributes(entry["trigger"]))
        if "step_run" in entry or "trigger" in entry:
            scope = [SDK_NAME, None, None, []]
        for call in entry["calls"]:
            span.call(*call)
        span.call_threads(entry["threads"])
        attributes = span.attributes.values
        for key, value in self.inherited.get(entry.get("task"), {}).items():
            attributes.setdefault(key, value)
        scope = self.scope if scope is None else self.expected_scope(scope)
        if scope[0] == SDK_NAME and scope[1] == "":
            scope = (scope[0], lambda version: None if version else "want a version", *scope[2:])
        self.spans[entry["span_id"]] = {
            "trace_id": entry["trace_id"],
            "span_id": entry["span_id"],
            "parent_span_id": parent_id,
            "trace_state": entry["trace_state"],
            "flags": 0x100 | (0x200 if is_remote else 0) | entry["flags"],
            "name": span.name,
            "kind": kind,
            "start": int(entry["start"]) if entry.get("start") else span.any_time,
            "end": int(entry["end"]) if entry["end"] else span.any_time,
            "attributes": attributes,
            "events": span.events,
            "links": span.links,
            "dropped": (span.attributes.dropped, span.dropped_events, span.dropped_links),
            "status": span.status,
            "resource": self.resource,
            "scope": scope,
        }

    def check_context(self, entry):
        """TR-16 to TR-23, SP-10 to SP-12, SP-72, SP-73, SM-05: the context follows the parent's.
        Returns the parent's span ID and whether it is remote."""
        parent = entry["parent"]
        want = {"trace_state": "", "flags": 3, "recording": True}
        parent_id, is_remote = "", False
        if isinstance(parent, list):
            traceparent, trace_state = parent
            _, trace_id, parent_id, flags = traceparent.split("-")[:4]
            is_remote = True
            want.update(trace_id=trace_id, trace_state=trace_state or "", flags=int(flags, 16) & 3)
        elif parent is not None:
            parent_id = parent
            known = self.contexts[parent]
            want.update({key: known[key] for key in ("trace_id", "trace_state", "flags")})
        want["recording"] = want["flags"] & 1 == 1
        got = {key: entry[key] for key in want}
        self.problems += otlp.differences(want, got, f"context of {entry['span_id']}")
        if len(entry["trace_id"]) != 32 or int(entry["trace_id"], 16) == 0:
            self.problems.append(f"span {entry['span_id']} has the trace ID {entry['trace_id']}")
        if int(entry["span_id"], 16) == 0 or entry["span_id"] == parent_id:
            self.problems.append(f"a span has the span ID {entry['span_id']}")
        return parent_id, is_remote

    def note_inherited(self, entry):
        """What every span started in a task carries."""
        attributes = step_run_attributes(entry["step_run"])
        if len(entry["step_run"].get("payload", "")) > INHERITED_PAYLOAD_LIMIT:
            attributes = [pair for pair in attributes if pair[0] != "hatchet.payload"]
        kept = Attributes(self.limits, self.limits.attributes).set(attributes)
        self.inherited[entry["span_id"]] = kept.values

    def compare_arrivals(self, spans):
        """Each sampled span once, and nothing else; returns lines that say what is wrong."""
        lines = []
        arrived = set()
        for span in spans:
            span_id = span["span_id"]
            if span_id in arrived:
                lines.append(f"span {span_id} {span['name']!r} arrived twice")
            elif span_id not in self.spans:
                kind = "unsampled" if span_id in self.unsampled else "unknown"
                lines.append(f"a span that is {kind} arrived: {otlp.show(span)}")
            arrived.add(span_id)
        lines += [
            f"span {span_id} {want['name']!r} did not arrive"
            for span_id, want in self.spans.items()
            if span_id not in arrived
        ]
        return shortened(lines)

    def compare(self, spans, fields):
        """How some fields of the spans that arrived differ from the model."""
        lines = []
        for span in spans:
            want = self.spans.get(span["span_id"])
            if want is not None:
                where = f"span {span['span_id']} {otlp.show(want['name'])} "
                for field in fields:
                    lines += otlp.differences(want[field], span[field], where + field)
        return shortened(lines)


def shortened(lines, most=20):
    return lines if len(lines) <= most else lines[:most] + [f"... and {len(lines) - most} more"]


# ---- Hatchet ---------------------------------------------------------------------------------


def hatchet_attributes(given):
    """What is known is sent, zeros included; empty texts, {} and [] are left out."""
    attributes = [["instrumentor", ["string", "hatchet"]]]
    for name, value in given.items():
        if isinstance(value, bool):
            attributes.append(["hatchet." + name, ["bool", value]])
        elif isinstance(value, int):
            attributes.append(["hatchet." + name, ["int", str(value)]])
        elif value not in ("", "{}", "[]"):
            attributes.append(["hatchet." + name, ["string", value]])
    return attributes


def step_run_attributes(step_run):
    return hatchet_attributes(step_run)


def trigger_attributes(trigger):
    return hatchet_attributes(trigger)
