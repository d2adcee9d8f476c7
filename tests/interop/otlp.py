# SPDX-License-Identifier: MIT
"""OTLP as plain Python values, the same from every source, and how two such spans differ.

A request is a list of spans, each a dict:

    trace_id, span_id, parent_span_id   lower-case hex; "" when absent or all zero
    trace_state, name                   str
    flags, kind, start, end             int
    attributes                          {key: value}
    events                              [(name, time, {key: value}, dropped)]
    links                               [(trace_id, span_id, trace_state, flags, {...}, dropped)]
    dropped                             (attributes, events, links)
    status                              (code, message)
    resource                            ({key: value}, dropped, schema_url)
    scope                               (name, version, {key: value}, dropped, schema_url)

A value is a tuple: ("string", str), ("bool", bool), ("int", int), ("double", its 64 bits as int),
("bytes", bytes), ("array", (value, ...)), ("map", {key: value}), ("empty",).
"""

import base64
import json
import struct


class Malformed(Exception):
    """What was received is not OTLP as it should be."""


def double_bits(number):
    return struct.unpack("<Q", struct.pack("<d", number))[0]


def unique(pairs):
    """A dict of pairs whose keys must differ (SP-33)."""
    result = {}
    for key, value in pairs:
        if key in result:
            raise Malformed(f"the key {key!r} is there twice")
        result[key] = value
    return result


def checked_id(identifier, size):
    """Hex of an ID of the right size; "" for an absent one or zeros."""
    if len(identifier) not in (0, size):
        raise Malformed(f"an ID of {len(identifier)} bytes where there should be {size}")
    return identifier.hex() if any(identifier) else ""


# ---- protobuf --------------------------------------------------------------------------------


def value_from_proto(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return ("empty",)
    if kind == "string_value":
        return ("string", value.string_value)
    if kind == "bool_value":
        return ("bool", value.bool_value)
    if kind == "int_value":
        return ("int", value.int_value)
    if kind == "double_value":
        return ("double", double_bits(value.double_value))
    if kind == "bytes_value":
        return ("bytes", value.bytes_value)
    if kind == "array_value":
        return ("array", tuple(value_from_proto(item) for item in value.array_value.values))
    if kind == "kvlist_value":
        return ("map", attributes_from_proto(value.kvlist_value.values))
    raise Malformed(f"a value of the unknown kind {kind}")


def attributes_from_proto(attributes):
    return unique((entry.key, value_from_proto(entry.value)) for entry in attributes)


def span_from_proto(span, resource, scope):
    return {
        "trace_id": checked_id(span.trace_id, 16),
        "span_id": checked_id(span.span_id, 8),
        "parent_span_id": checked_id(span.parent_span_id, 8),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": attributes_from_proto(span.attributes),
        "events": [
            (
                event.name,
                event.time_unix_nano,
                attributes_from_proto(event.attributes),
                event.dropped_attributes_count,
            )
            for event in span.events
        ],
        "links": [
            (
                checked_id(link.trace_id, 16),
                checked_id(link.span_id, 8),
                link.trace_state,
                link.flags,
                attributes_from_proto(link.attributes),
                link.dropped_attributes_count,
            )
            for link in span.links
        ],
        "dropped": (
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
        ),
        "status": (span.status.code, span.status.message),
        "resource": resource,
        "scope": scope,
    }


def spans_from_proto(request):
    """The spans of an ExportTraceServiceRequest."""
    spans = []
    for resource_spans in request.resource_spans:
        resource = (
            attributes_from_proto(resource_spans.resource.attributes),
            resource_spans.resource.dropped_attributes_count,
            resource_spans.schema_url,
        )
        for scope_spans in resource_spans.scope_spans:
            scope = (
                scope_spans.scope.name,
                scope_spans.scope.version,
                attributes_from_proto(scope_spans.scope.attributes),
                scope_spans.scope.dropped_attributes_count,
                scope_spans.schema_url,
            )
            spans += [span_from_proto(span, resource, scope) for span in scope_spans.spans]
    return spans


# ---- JSON ------------------------------------------------------------------------------------


def double_from_json(number):
    """OJ-04: NaN and the infinities are strings; every other double is a number."""
    return double_bits(float(number))


def value_from_json(value):
    if not value:
        return ("empty",)
    ((kind, content),) = value.items()
    if kind == "stringValue":
        return ("string", content)
    if kind == "boolValue":
        return ("bool", content)
    if kind == "intValue":
        return ("int", int(content))
    if kind == "doubleValue":
        return ("double", double_from_json(content))
    if kind == "bytesValue":
        return ("bytes", base64.b64decode(content, validate=True))
    if kind == "arrayValue":
        return ("array", tuple(value_from_json(item) for item in content.get("values", [])))
    if kind == "kvlistValue":
        return ("map", attributes_from_json(content.get("values", [])))
    raise Malformed(f"a value of the unknown kind {kind}")


def attributes_from_json(attributes):
    return unique((entry["key"], value_from_json(entry.get("value", {}))) for entry in attributes)


def id_from_json(holder, name, size):
    return checked_id(bytes.fromhex(holder.get(name, "")), size)


def span_from_json(span, resource, scope):
    return {
        "trace_id": id_from_json(span, "traceId", 16),
        "span_id": id_from_json(span, "spanId", 8),
        "parent_span_id": id_from_json(span, "parentSpanId", 8),
        "trace_state": span.get("traceState", ""),
        "flags": span.get("flags", 0),
        "name": span.get("name", ""),
        "kind": span.get("kind", 0),
        "start": int(span.get("startTimeUnixNano", 0)),
        "end": int(span.get("endTimeUnixNano", 0)),
        "attributes": attributes_from_json(span.get("attributes", [])),
        "events": [
            (
                event.get("name", ""),
                int(event.get("timeUnixNano", 0)),
                attributes_from_json(event.get("attributes", [])),
                event.get("droppedAttributesCount", 0),
            )
            for event in span.get("events", [])
        ],
        "links": [
            (
                id_from_json(link, "traceId", 16),
                id_from_json(link, "spanId", 8),
                link.get("traceState", ""),
                link.get("flags", 0),
                attributes_from_json(link.get("attributes", [])),
                link.get("droppedAttributesCount", 0),
            )
            for link in span.get("links", [])
        ],
        "dropped": (
            span.get("droppedAttributesCount", 0),
            span.get("droppedEventsCount", 0),
            span.get("droppedLinksCount", 0),
        ),
        "status": (
            span.get("status", {}).get("code", 0),
            span.get("status", {}).get("message", ""),
        ),
        "resource": resource,
        "scope": scope,
    }


def spans_from_json(text):
    """The spans of one TracesData object. A bare -0 is a double that lost its point."""
    data = json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
    spans = []
    for resource_spans in data.get("resourceSpans", []):
        resource = resource_spans.get("resource", {})
        resource = (
            attributes_from_json(resource.get("attributes", [])),
            resource.get("droppedAttributesCount", 0),
            resource_spans.get("schemaUrl", ""),
        )
        for scope_spans in resource_spans.get("scopeSpans", []):
            scope = scope_spans.get("scope", {})
            scope = (
                scope.get("name", ""),
                scope.get("version", ""),
                attributes_from_json(scope.get("attributes", [])),
                scope.get("droppedAttributesCount", 0),
                scope_spans.get("schemaUrl", ""),
            )
            spans += [
                span_from_json(span, resource, scope) for span in scope_spans.get("spans", [])
            ]
    return spans


def spans_from_lines(path):
    """The spans of a file of OTLP/JSON lines (OJ-07)."""
    spans = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                spans += spans_from_json(line)
            except (Malformed, ValueError) as error:
                raise Malformed(f"{path}:{number}: {error}") from error
    return spans


# ---- comparison ------------------------------------------------------------------------------


def show(thing):
    text = repr(thing)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"


def differences(want, got, path=""):
    """Where got is not want: lines of text, for a person. A callable in want judges for itself."""
    if callable(want):
        complaint = want(got)
        return [f"{path}: {complaint}, got {show(got)}"] if complaint else []
    if isinstance(want, dict) and isinstance(got, dict):
        lines = []
        for key in want.keys() | got.keys():
            here = f"{path}[{show(key)}]"
            if key not in got:
                lines.append(f"{here} is missing, want {show(want[key])}")
            elif key not in want:
                lines.append(f"{here} is not wanted, got {show(got[key])}")
            else:
                lines += differences(want[key], got[key], here)
        return lines
    if isinstance(want, (list, tuple)) and isinstance(got, (list, tuple)) and len(want) == len(got):
        lines = []
        for index, (one, other) in enumerate(zip(want, got)):
            lines += differences(one, other, f"{path}[{index}]")
        return lines
    if want == got and type(want) is type(got):
        return []
    return [f"{path}: want {show(want)}, got {show(got)}"]
