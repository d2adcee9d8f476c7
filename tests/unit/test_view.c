/*
 * SPDX-License-Identifier: MIT
 *
 * Finished spans read out of encoded requests: every field of the wire table, what is not
 * well-formed, what is unknown.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* ---- a message that is put together --------------------------------------------------------- */

typedef struct message {
    uint8_t bytes[4096];
    size_t size;
} message;

static message empty_message(void) {
    message m;
    memset(&m, 0, sizeof m);
    return m;
}

static void put_varint(message *m, uint64_t value) {
    while (value >= 0x80) {
        m->bytes[m->size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    m->bytes[m->size++] = (uint8_t)value;
}

static void put_number(message *m, unsigned field, uint64_t value) {
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, value);
}

static void put_fixed(message *m, unsigned field, uint64_t value, unsigned size) {
    unsigned i;
    put_varint(m, (uint64_t)field << 3 | (size == 8 ? 1 : 5));
    for (i = 0; i < size; i++) m->bytes[m->size++] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(message *m, unsigned field, const void *bytes, size_t size) {
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, size);
    if (m->size + size > sizeof m->bytes) abort();
    if (size > 0) memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void put_text(message *m, unsigned field, const char *text) {
    put_bytes(m, field, text, strlen(text));
}

static void put(message *m, unsigned field, message inner) {
    put_bytes(m, field, inner.bytes, inner.size);
}

/* A KeyValue whose value is the given AnyValue. */
static message attr(const char *key, message value) {
    message m = empty_message();
    put_text(&m, 1, key);
    put(&m, 2, value);
    return m;
}

static message text_value(const char *text) {
    message m = empty_message();
    put_text(&m, 1, text);
    return m;
}

static message int_value(int64_t value) {
    message m = empty_message();
    put_number(&m, 3, (uint64_t)value);
    return m;
}

static const uint8_t trace_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t span_id[8] = {21, 22, 23, 24, 25, 26, 27, 28};
static const uint8_t parent_id[8] = {31, 32, 33, 34, 35, 36, 37, 38};

/* A span with every field there is. */
static message full_span(void) {
    message span = empty_message(), event = empty_message(), link = empty_message();
    message status = empty_message();
    put_fixed(&event, 1, 1544712660300000123u, 8);
    put_text(&event, 2, "retry");
    put(&event, 3, attr("attempt", int_value(2)));
    put(&event, 3, attr("why", text_value("reset")));
    put_number(&event, 4, 7);
    put_bytes(&link, 1, trace_id, 16);
    put_bytes(&link, 2, parent_id, 8);
    put_text(&link, 3, "a=b");
    put(&link, 4, attr("linked", text_value("yes")));
    put_number(&link, 5, 9);
    put_fixed(&link, 6, 0x301, 4);
    put_text(&status, 2, "no such table");
    put_number(&status, 3, 2);
    put_bytes(&span, 1, trace_id, 16);
    put_bytes(&span, 2, span_id, 8);
    put_text(&span, 3, "rojo=1,congo=2");
    put_bytes(&span, 4, parent_id, 8);
    put_text(&span, 5, "GET /things");
    put_number(&span, 6, 3);
    put_fixed(&span, 7, 1544712660300000000u, 8);
    put_fixed(&span, 8, 1544712660400000000u, 8);
    put(&span, 9, attr("first", int_value(-1)));
    put_number(&span, 10, 300);
    put(&span, 11, event);
    put(&span, 9, attr("second", text_value("2")));
    put_number(&span, 12, 2);
    put(&span, 13, link);
    put_number(&span, 14, 3);
    put(&span, 15, status);
    put_fixed(&span, 16, 0x303, 4);
    return span;
}

static message named_span(const char *name) {
    message span = empty_message();
    put_bytes(&span, 1, trace_id, 16);
    put_bytes(&span, 2, span_id, 8);
    put_text(&span, 5, name);
    return span;
}

static message scope_spans(const char *name, const char *schema, const message *spans,
                           size_t count) {
    message m = empty_message(), scope = empty_message();
    size_t i;
    put_text(&scope, 1, name);
    put_text(&scope, 2, "1.2.3");
    put(&scope, 3, attr("scoped", int_value(5)));
    put_number(&scope, 4, 1);
    put(&m, 1, scope);
    for (i = 0; i < count; i++) put(&m, 2, spans[i]);
    put_text(&m, 3, schema);
    return m;
}

static message resource_spans(const char *service, const char *schema, const message *scopes,
                              size_t count) {
    message m = empty_message(), resource = empty_message();
    size_t i;
    put(&resource, 1, attr("service.name", text_value(service)));
    put_number(&resource, 2, 4);
    put(&m, 1, resource);
    for (i = 0; i < count; i++) put(&m, 2, scopes[i]);
    put_text(&m, 3, schema);
    return m;
}

static message request_of(message span) {
    message scope = scope_spans("scope", "https://s.example/s", &span, 1), request;
    message group = resource_spans("billing", "https://s.example/r", &scope, 1);
    request = empty_message();
    put(&request, 1, group);
    return request;
}

/* The bytes up to a page that nobody may touch, as a batch. */
static hotel_batch batch_of(const message *request) {
    return hotel_batch_of(guard_copy(0, request->bytes, request->size), request->size);
}

static hotel_span_view only_span(const message *request) {
    hotel_batch batch = batch_of(request);
    hotel_spans spans = hotel_batch_spans(&batch);
    hotel_span_view span;
    memset(&span, 0x5A, sizeof span);
    ok(hotel_next_span(&spans, &span), "EX-01 a span is found");
    return span;
}

static void is_text(hotel_string got, const char *want, const char *name) {
    is_mem(got.text != NULL ? got.text : "", got.size, want, strlen(want), "%s", name);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_span(void) {
    message request = request_of(full_span());
    hotel_span_view span = only_span(&request);
    hotel_value_view value;
    is_mem(span.context.trace_id, 16, trace_id, 16, "EX-01 trace ID");
    is_mem(span.context.span_id, 8, span_id, 8, "EX-01 span ID");
    is_int(span.context.trace_flags, 0x03, "SP-80 the W3C flags alone");
    ok(span.has_parent && span.has_remote_parent && !span.context.is_remote,
       "SP-80 a remote parent");
    is_mem(span.parent_span_id, 8, parent_id, 8, "SP-83 parent span ID");
    is_text(span.trace_state, "rojo=1,congo=2", "SP-82 tracestate");
    is_text(span.name, "GET /things", "EX-01 name");
    is_int(span.kind, HOTEL_CLIENT, "EX-01 kind");
    ok(span.start_time_ns == 1544712660300000000u && span.end_time_ns == 1544712660400000000u,
       "EX-01 times");
    is_int(span.status, HOTEL_STATUS_ERROR, "SP-84 status");
    is_text(span.status_description, "no such table", "SP-84 description");
    is_int(span.num_attributes, 2, "EX-01 number of attributes");
    is_int(span.num_events, 1, "EX-01 number of events");
    is_int(span.num_links, 1, "EX-01 number of links");
    is_int(span.dropped_attributes, 300, "SP-85 dropped attributes");
    is_int(span.dropped_events, 2, "SP-85 dropped events");
    is_int(span.dropped_links, 3, "SP-85 dropped links");
    ok(hotel_view_attr(&span, "first", &value) && value.type == HOTEL_TYPE_INT &&
           value.as.integer == -1,
       "EX-01 an attribute by its key");
    ok(hotel_view_attr(&span, "second", &value) && hotel_string_is(value.as.string, "2"),
       "EX-01 an attribute behind an event");
    ok(!hotel_view_attr(&span, "attempt", &value) && value.type == HOTEL_TYPE_EMPTY,
       "EX-01 one of an event is none of the span");
    is_text(span.scope.name, "scope", "TR-61 scope name");
    is_text(span.scope.version, "1.2.3", "TR-61 scope version");
    is_text(span.scope.schema_url, "https://s.example/s", "TR-61 EX-16 scope schema URL");
    is_int(span.scope.num_attributes, 1, "TR-61 scope attributes");
    is_int(span.scope.dropped_attributes, 1, "TR-61 dropped scope attributes");
    ok(hotel_find_attr(span.scope.attributes, "scoped", &value) && value.as.integer == 5,
       "TR-61 a scope attribute");
    is_text(span.resource.schema_url, "https://s.example/r", "EX-16 resource schema URL");
    is_int(span.resource.num_attributes, 1, "RS-04 resource attributes");
    is_int(span.resource.dropped_attributes, 4, "RS-04 dropped resource attributes");
    ok(hotel_find_attr(span.resource.attributes, "service.name", &value) &&
           hotel_string_is(value.as.string, "billing"),
       "RS-04 a resource attribute");
}

static void test_event_and_link(void) {
    message request = request_of(full_span());
    hotel_span_view span = only_span(&request);
    hotel_event_view event;
    hotel_link_view link;
    hotel_attr_view attribute;
    hotel_value_view value;
    hotel_list again = span.events;
    ok(hotel_next_event(&span.events, &event), "EX-01 an event");
    is_text(event.name, "retry", "EX-01 event name");
    ok(event.time_ns == 1544712660300000123u, "EX-01 event time");
    is_int(event.num_attributes, 2, "EX-01 number of event attributes");
    is_int(event.dropped_attributes, 7, "SP-85 dropped event attributes");
    ok(hotel_next_attr(&event.attributes, &attribute), "EX-01 an event attribute");
    is_text(attribute.key, "attempt", "EX-01 its key");
    is_int(attribute.value.as.integer, 2, "EX-01 its value");
    ok(hotel_next_attr(&event.attributes, &attribute), "EX-01 another one");
    ok(!hotel_next_attr(&event.attributes, &attribute), "EX-01 no third one");
    ok(!hotel_next_event(&span.events, &event), "EX-01 no second event");
    ok(hotel_next_event(&again, &event), "EX-01 a copy of the list can be walked again");
    ok(hotel_next_link(&span.links, &link), "EX-01 a link");
    is_mem(link.context.trace_id, 16, trace_id, 16, "EX-01 linked trace");
    is_mem(link.context.span_id, 8, parent_id, 8, "EX-01 linked span");
    ok(link.context.is_remote && link.context.trace_flags == 1, "SP-81 flags of a link");
    is_text(link.trace_state, "a=b", "SP-82 tracestate of a link");
    is_int(link.num_attributes, 1, "EX-01 number of link attributes");
    is_int(link.dropped_attributes, 9, "SP-85 dropped link attributes");
    ok(hotel_find_attr(link.attributes, "linked", &value), "EX-01 a link attribute");
    ok(!hotel_next_link(&span.links, &link), "EX-01 no second link");
}

/* The value as the only attribute of a span. */
static hotel_value_view value_back(message value) {
    static message request; /* the view points into the guarded copy of it */
    message span = named_span("value");
    hotel_span_view view;
    hotel_value_view out;
    put(&span, 9, attr("key", value));
    request = request_of(span);
    view = only_span(&request);
    (void)hotel_view_attr(&view, "key", &out);
    return out;
}

static void test_scalars(void) {
    message m = empty_message();
    hotel_value_view v = value_back(m);
    uint64_t bits;
    double real = -0.0;
    is_int(v.type, HOTEL_TYPE_EMPTY, "SP-87 no field is the empty value");
    put_text(&m, 1, "");
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_STRING && v.as.string.size == 0, "SP-87 the empty string");
    m = empty_message();
    put_number(&m, 2, 0);
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_BOOL && !v.as.boolean, "SP-87 false");
    put_number(&m, 2, 1);
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_BOOL && v.as.boolean, "SP-87 true, the last of two");
    v = value_back(int_value(INT64_MIN));
    ok(v.type == HOTEL_TYPE_INT && v.as.integer == INT64_MIN, "SP-87 the least integer");
    m = empty_message();
    memcpy(&bits, &real, 8);
    put_fixed(&m, 4, bits, 8);
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_DOUBLE && memcmp(&v.as.real, &real, 8) == 0, "SP-87 minus zero");
    m = empty_message();
    put_bytes(&m, 7, "\0\xff", 2);
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_BYTES && v.as.string.size == 2 &&
           memcmp(v.as.string.text, "\0\xff", 2) == 0,
       "SP-87 bytes");
    put_text(&m, 1, "text");
    v = value_back(m);
    ok(v.type == HOTEL_TYPE_STRING && hotel_string_is(v.as.string, "text"),
       "SP-87 of two values the last counts");
}

static void test_containers(void) {
    message inner = empty_message(), list = empty_message(), m = empty_message();
    hotel_value_view v, element;
    hotel_attr_view entry;
    put(&inner, 1, attr("deep", text_value("yes")));
    put_bytes(&m, 6, inner.bytes, inner.size);
    put(&list, 1, int_value(7));
    put(&list, 1, empty_message());
    put(&list, 1, m);
    m = empty_message();
    put(&m, 5, list);
    v = value_back(m);
    is_int(v.type, HOTEL_TYPE_ARRAY, "SP-87 an array");
    ok(hotel_next_value(&v.as.list, &element) && element.as.integer == 7, "SP-87 a number in it");
    ok(hotel_next_value(&v.as.list, &element) && element.type == HOTEL_TYPE_EMPTY,
       "SP-87 an empty value in it");
    ok(hotel_next_value(&v.as.list, &element) && element.type == HOTEL_TYPE_MAP,
       "SP-87 a map in it");
    ok(!hotel_next_value(&v.as.list, &entry.value), "SP-87 no more");
    ok(!hotel_next_value(&element.as.list, &entry.value), "EX-01 a map has no elements");
    ok(hotel_next_attr(&element.as.list, &entry) && hotel_string_is(entry.key, "deep") &&
           hotel_string_is(entry.value.as.string, "yes"),
       "SP-87 an entry of the map");
    ok(!hotel_next_attr(&element.as.list, &entry), "SP-87 no more entries");
}

static void test_groups(void) {
    message spans[3], scopes[2], request = empty_message(), twice;
    hotel_batch batch;
    hotel_spans walk;
    hotel_span_view span;
    spans[0] = named_span("a");
    spans[1] = named_span("b");
    spans[2] = named_span("c");
    scopes[0] = scope_spans("one", "https://one.example/", spans, 2);
    scopes[1] = scope_spans("two", "", spans + 2, 1);
    put(&request, 1, resource_spans("first", "https://first.example/", scopes, 2));
    put(&request, 1, resource_spans("second", "", scopes + 1, 1));
    batch = batch_of(&request);
    is_int(batch.num_spans, 4, "EX-01 spans are counted");
    walk = hotel_batch_spans(&batch);
    ok(hotel_next_span(&walk, &span) && hotel_string_is(span.name, "a") &&
           hotel_string_is(span.scope.name, "one"),
       "SP-86 first scope, first span");
    ok(hotel_next_span(&walk, &span) && hotel_string_is(span.name, "b") &&
           hotel_string_is(span.scope.schema_url, "https://one.example/"),
       "SP-86 first scope, second span");
    ok(hotel_next_span(&walk, &span) && hotel_string_is(span.name, "c") &&
           hotel_string_is(span.scope.name, "two") && span.scope.schema_url.size == 0 &&
           hotel_string_is(span.resource.schema_url, "https://first.example/"),
       "SP-86 nothing of the first scope is left in the second");
    ok(hotel_next_span(&walk, &span) && span.resource.schema_url.size == 0,
       "SP-86 nothing of the first resource is left in the second");
    ok(!hotel_next_span(&walk, &span) && span.name.size == 0 && span.num_attributes == 0,
       "EX-01 the end");
    ok(!hotel_next_span(&walk, &span), "EX-01 the end stays the end");
    twice = request;
    memcpy(twice.bytes + twice.size, request.bytes, request.size);
    twice.size += request.size;
    is_int(batch_of(&twice).num_spans, 8, "EX-01 two requests behind one another are one");
}

static void test_unknown(void) {
    message span = full_span(), request;
    hotel_span_view view;
    put_number(&span, 5, 1);              /* the name's number as a varint */
    put_text(&span, 6, "x");              /* the kind's as text */
    put_bytes(&span, 99, "unknown", 7);
    put_fixed(&span, 98, 1, 4);
    put_fixed(&span, 97, 1, 8);
    request = request_of(span);
    view = only_span(&request);
    is_text(view.name, "GET /things", "EX-01 a field of another type is unknown");
    is_int(view.kind, HOTEL_CLIENT, "EX-01 unknown fields are skipped");
    span = full_span();
    put_number(&span, 6, 6);
    put_bytes(&span, 1, trace_id, 15);
    put_bytes(&span, 4, "\0\0\0\0\0\0\0\0", 8);
    request = request_of(span);
    view = only_span(&request);
    is_int(view.kind, HOTEL_KIND_DEFAULT, "EX-01 a kind of the future is none");
    ok(!hotel_is_valid(&view.context), "EX-01 an ID of another size is none");
    ok(!view.has_parent, "SP-83 a parent ID of zeros is none");
    span = full_span();
    put_bytes(&span, 15, "\x18\x07", 2);
    request = request_of(span);
    view = only_span(&request);
    is_int(view.status, HOTEL_STATUS_UNSET, "EX-01 a status of the future is none");
    is_text(view.status_description, "no such table", "EX-01 repeated messages are merged");
}

/* Walks over all there is; returns the number of spans. */
static size_t walk_all(hotel_batch batch) {
    hotel_spans walk = hotel_batch_spans(&batch);
    hotel_span_view span;
    size_t count = 0, bytes = 0;
    while (hotel_next_span(&walk, &span)) {
        hotel_attr_view attribute;
        hotel_event_view event;
        hotel_link_view link;
        count++;
        while (hotel_next_attr(&span.attributes, &attribute)) bytes += attribute.key.size;
        while (hotel_next_event(&span.events, &event)) {
            bytes += event.name.size;
            while (hotel_next_attr(&event.attributes, &attribute)) bytes += attribute.key.size;
        }
        while (hotel_next_link(&span.links, &link)) {
            while (hotel_next_attr(&link.attributes, &attribute)) bytes += attribute.key.size;
        }
    }
    if (bytes > 1 << 20) abort();
    return count;
}

static void test_malformed(void) {
    message request = request_of(full_span()), span, broken;
    hotel_span_view view;
    hotel_attr_view attribute;
    size_t i, seen = 0;
    for (i = 0; i < request.size; i++) {
        broken = request;
        broken.size = i;
        seen += walk_all(batch_of(&broken));
    }
    is_int(seen, 0, "EX-01 a request cut anywhere has no spans: it is one field");
    seen = 0;
    for (i = 0; i < request.size * 8; i++) {
        broken = request;
        broken.bytes[i / 8] = (uint8_t)(broken.bytes[i / 8] ^ 1u << i % 8);
        seen += walk_all(batch_of(&broken));
    }
    ok(seen > request.size, "EX-01 every bit of a request changed: no read beyond it");
    span = named_span("bad attribute");
    put(&span, 9, attr("good", int_value(1)));
    put_bytes(&span, 9, "\x0A\x7F", 2);
    put(&span, 9, attr("behind", int_value(1)));
    request = request_of(span);
    view = only_span(&request);
    is_int(view.num_attributes, 3, "EX-01 attributes are counted as they stand");
    ok(hotel_next_attr(&view.attributes, &attribute) && hotel_string_is(attribute.key, "good"),
       "EX-01 the one before a bad one is read");
    ok(!hotel_next_attr(&view.attributes, &attribute) &&
           !hotel_next_attr(&view.attributes, &attribute),
       "EX-01 the bad one ends the list");
    span = named_span("bad");
    put_bytes(&span, 15, "\x1B", 1);
    request = request_of(span);
    broken = request_of(named_span("good"));
    memcpy(request.bytes + request.size, broken.bytes, broken.size);
    request.size += broken.size;
    view = only_span(&request);
    is_text(view.name, "good", "EX-01 a malformed span is passed over");
    is_int(batch_of(&request).num_spans, 1, "EX-01 and not counted");
}

static void test_arguments(void) {
    hotel_list list;
    hotel_attr_view attribute;
    hotel_value_view value;
    hotel_event_view event;
    hotel_link_view link;
    hotel_span_view span;
    hotel_spans walk = hotel_batch_spans(NULL);
    hotel_string none = {NULL, 0};
    memset(&list, 0, sizeof list);
    ok(!hotel_next_attr(&list, &attribute) && !hotel_next_value(&list, &value) &&
           !hotel_next_event(&list, &event) && !hotel_next_link(&list, &link),
       "EX-01 a zeroed list is empty");
    ok(!hotel_next_attr(NULL, &attribute) && !hotel_next_value(&list, NULL) &&
           !hotel_next_event(NULL, NULL) && !hotel_next_link(NULL, &link),
       "EX-01 NULL has nothing");
    ok(!hotel_find_attr(list, NULL, &value) && !hotel_find_attr(list, "k", NULL),
       "EX-01 nothing is found in nothing");
    ok(!hotel_next_span(&walk, &span) && !hotel_next_span(NULL, &span) &&
           !hotel_next_span(&walk, NULL),
       "EX-01 no batch, no spans");
    is_int(hotel_batch_of(NULL, 10).num_spans, 0, "EX-01 no request, no spans");
    ok(hotel_string_is(none, NULL) && hotel_string_is(none, "") && !hotel_string_is(none, "a"),
       "EX-01 text that is absent is empty");
}

/* What processors get: resource, schema URL, scope and span as they lie in memory. */
static void test_parts(void) {
    message span = full_span(), scope = scope_spans("scope", "https://s.example/s", NULL, 0);
    message resource = empty_message(), schema = empty_message(), inner = empty_message();
    hotel_span_view view;
    put(&inner, 1, attr("service.name", text_value("billing")));
    put(&resource, 1, inner);
    put_text(&schema, 3, "https://s.example/r");
    ok(hoteli_view_parse(&view, resource.bytes, resource.size, schema.bytes, schema.size,
                         scope.bytes, scope.size, span.bytes, span.size),
       "EX-01 a view from its parts");
    is_text(view.name, "GET /things", "EX-01 the span");
    is_text(view.scope.name, "scope", "TR-61 the scope");
    is_text(view.scope.schema_url, "https://s.example/s", "TR-61 its schema URL");
    is_int(view.resource.num_attributes, 1, "RS-04 the resource");
    is_text(view.resource.schema_url, "https://s.example/r", "EX-16 its schema URL");
    ok(hoteli_view_parse(&view, NULL, 0, NULL, 0, NULL, 0, span.bytes, span.size) &&
           view.scope.name.size == 0 && view.resource.num_attributes == 0,
       "EX-01 a span alone");
    ok(!hoteli_view_parse(&view, NULL, 0, NULL, 0, NULL, 0, span.bytes, span.size - 1) &&
           view.name.size == 0,
       "EX-01 half a span");
}

/* Messages without a byte have every member at its default. */
static void test_empty(void) {
    message span = empty_message(), request;
    hotel_span_view view;
    hotel_event_view event;
    hotel_link_view link;
    put_bytes(&span, 1, trace_id, 16);
    put_bytes(&span, 2, span_id, 8);
    put(&span, 11, empty_message());
    put(&span, 13, empty_message());
    put(&span, 15, empty_message());
    request = request_of(span);
    view = only_span(&request);
    is_int(view.status, HOTEL_STATUS_UNSET, "EX-01 an empty status is unset");
    ok(!hotel_next_attr(&view.attributes, NULL) && !hotel_next_event(&view.events, NULL) &&
           !hotel_next_link(&view.links, NULL),
       "EX-01 there must be a place to read to");
    ok(hotel_next_event(&view.events, &event) && event.time_ns == 0 && event.name.size == 0 &&
           event.num_attributes == 0,
       "EX-01 an empty event");
    ok(hotel_next_link(&view.links, &link) && !hotel_is_valid(&link.context) &&
           link.num_attributes == 0,
       "EX-01 an empty link");
}

int main(void) {
    test_span();
    test_event_and_link();
    test_scalars();
    test_containers();
    test_groups();
    test_unknown();
    test_malformed();
    test_arguments();
    test_parts();
    test_empty();
    return done_testing();
}
