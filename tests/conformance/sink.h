/*
 * SPDX-License-Identifier: MIT
 *
 * sink.h - what the conformance tests share: a server in memory that accepts and keeps every
 * request, reached without threads and sockets, and short names for what stands in a message.
 * Include it behind hatchet_otel.h.
 *
 *     hotel_config config = sink_config();
 *     sink_open(&config);
 *     ... spans ...
 *     sink_flush();
 *     is_str(text(span_of("name"), SPAN_NAME), "name", "...");
 *     sink_close("what this was about");
 */
#ifndef SINK_H_INCLUDED
#define SINK_H_INCLUDED

#include <stdlib.h>
#include <string.h>

#include "faults/otlp.h"

#include "faults/books.h"
#include "tap.h"

#define SINK_FN __attribute__((unused)) static
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Field numbers of the wire table. */
enum {
    SPAN_TRACE_ID = 1,
    SPAN_ID = 2,
    SPAN_STATE = 3,
    SPAN_PARENT = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTE = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENT = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_LINK = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    EVENT_TIME = 1,
    EVENT_NAME = 2,
    EVENT_ATTRIBUTE = 3,
    EVENT_DROPPED = 4,
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    LINK_STATE = 3,
    LINK_ATTRIBUTE = 4,
    LINK_DROPPED = 5,
    LINK_FLAGS = 6,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    ANY_STRING = 1,
    ANY_BOOL = 2,
    ANY_INT = 3,
    ANY_DOUBLE = 4,
    ANY_ARRAY = 5,
    ANY_MAP = 6,
    ANY_BYTES = 7
};

/* ---- The server ----------------------------------------------------------------------------- */

#define SINK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

enum { SINK_MAX_REQUESTS = 64, SINK_INPUT_SIZE = 4 << 20 };

static unsigned char sink_input[SINK_INPUT_SIZE]; /* of the request that is coming in */
static size_t sink_input_size;
static size_t sink_reply_left;
static otlp_bytes sink_bodies[SINK_MAX_REQUESTS]; /* copies, given back by sink_close */
static size_t sink_num_bodies;
static const char *sink_problem; /* what is wrong with a request; NULL: nothing */

SINK_FN void *sink_connect(const char *host, uint16_t port, void *user_data) {
    (void)host;
    (void)port;
    (void)user_data;
    sink_input_size = 0;
    sink_reply_left = 0;
    return sink_input;
}

SINK_FN int sink_connected(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

SINK_FN void sink_keep(const unsigned char *body, size_t size) {
    unsigned char *copy = (unsigned char *)malloc(size > 0 ? size : 1);
    if (copy == NULL || sink_num_bodies == SINK_MAX_REQUESTS) abort();
    if (size > 0) memcpy(copy, body, size);
    sink_bodies[sink_num_bodies].at = copy;
    sink_bodies[sink_num_bodies].size = size;
    if (sink_problem == NULL) {
        sink_problem = otlp_check(OTLP_REQUEST, sink_bodies[sink_num_bodies], 0);
    }
    sink_num_bodies++;
}

SINK_FN ptrdiff_t sink_send(void *connection, const void *bytes, size_t size) {
    const char *head = (const char *)sink_input;
    const char *blank, *length;
    size_t body;
    (void)connection;
    if (sink_input_size + size >= sizeof sink_input) abort();
    memcpy(sink_input + sink_input_size, bytes, size);
    sink_input_size += size;
    sink_input[sink_input_size] = '\0';
    blank = strstr(head, "\r\n\r\n");
    length = strstr(head, "Content-Length: ");
    if (blank == NULL) return (ptrdiff_t)size;
    if (length == NULL || length > blank) abort();
    body = (size_t)strtoul(length + 16, NULL, 10);
    if (sink_input_size < (size_t)(blank + 4 - head) + body) return (ptrdiff_t)size;
    sink_keep((const unsigned char *)blank + 4, body);
    sink_input_size = 0;
    sink_reply_left = sizeof SINK_REPLY - 1;
    return (ptrdiff_t)size;
}

SINK_FN ptrdiff_t sink_receive(void *connection, void *bytes, size_t size) {
    (void)connection;
    if (sink_reply_left == 0) return HOTEL_IO_WANT_READ;
    if (size > sink_reply_left) size = sink_reply_left;
    memcpy(bytes, &SINK_REPLY[sizeof SINK_REPLY - 1 - sink_reply_left], size);
    sink_reply_left -= size;
    return (ptrdiff_t)size;
}

SINK_FN int sink_descriptor(void *connection) {
    (void)connection;
    return -1;
}

SINK_FN void sink_hang_up(void *connection, bool inherited) {
    (void)connection;
    (void)inherited;
}

static hotel_transport sink_transport;
static hotel_destination sink_destination;

/* No threads, no environment, own log, everything to the sink. */
SINK_FN hotel_config sink_config(void) {
    hotel_config config;
    sink_transport.open_fn = sink_connect;
    sink_transport.connect_fn = sink_connected;
    sink_transport.send_fn = sink_send;
    sink_transport.receive_fn = sink_receive;
    sink_transport.descriptor_fn = sink_descriptor;
    sink_transport.close_fn = sink_hang_up;
    sink_destination = destination("http://127.0.0.1:4318");
    sink_destination.transport = &sink_transport;
    sink_destination.schedule_delay_ms = 600000;
    config = test_config(&sink_destination, 1);
    config.service_name = "conformance";
    config.no_threads = true;
    return config;
}

/* config NULL: that of sink_config. */
SINK_FN void sink_open(const hotel_config *config) {
    hotel_config standard;
    if (config == NULL) {
        standard = sink_config();
        config = &standard;
    }
    log_clear();
    if (hotel_init(config) != HOTEL_OK) {
        log_show();
        abort();
    }
    open_books();
}

SINK_FN void sink_flush(void) {
    if (hotel_flush(10000) != HOTEL_OK) ok(false, "what has ended was delivered");
}

/* Forgets what was delivered so far. */
SINK_FN void sink_clear(void) {
    size_t i;
    for (i = 0; i < sink_num_bodies; i++) {
        free((void *)(uintptr_t)sink_bodies[i].at);
    }
    sink_num_bodies = 0;
}

/* Stops everything; checks that all requests were well formed and that the books balance. */
SINK_FN void sink_close(const char *what) {
    (void)hotel_shutdown(5000);
    ok(sink_problem == NULL, "%s: requests are well formed (%s)", what,
       sink_problem != NULL ? sink_problem : "all of them");
    check_books(what);
    (void)hotel_release();
    sink_clear();
    sink_problem = NULL;
}

/* ---- Look-ups ------------------------------------------------------------------------------- */

/* The last delivered span of this name; at is NULL when there is none. */
SINK_FN otlp_bytes span_of(const char *name) {
    otlp_bytes none = {NULL, 0};
    size_t i;
    for (i = sink_num_bodies; i > 0; i--) {
        otlp_bytes span = otlp_span_named(sink_bodies[i - 1], name);
        if (span.at != NULL) return span;
    }
    return none;
}

/* Delivers and looks. */
SINK_FN otlp_bytes delivered(const char *name) {
    sink_flush();
    return span_of(name);
}

SINK_FN size_t num_delivered(void) {
    size_t i, count = 0;
    for (i = 0; i < sink_num_bodies; i++) count += otlp_each_span(sink_bodies[i], NULL, NULL);
    return count;
}

SINK_FN bool has(otlp_bytes message, uint32_t number) {
    return otlp_count(message, number) > 0;
}

/* A number, 0 when absent. */
SINK_FN uint64_t number(otlp_bytes message, uint32_t field_number) {
    otlp_field field;
    (void)otlp_get(message, field_number, 0, &field);
    return field.value;
}

/* The index-th message, string or byte string of this number. */
SINK_FN otlp_bytes part(otlp_bytes message, uint32_t field_number, size_t index) {
    otlp_field field;
    (void)otlp_get(message, field_number, index, &field);
    return field.bytes;
}

/* Bytes as text, in one of eight buffers that are used in turn. */
SINK_FN const char *as_text(otlp_bytes bytes) {
    static char buffers[8][4096];
    static unsigned turn;
    char *buffer = buffers[turn++ % 8];
    size_t size = bytes.size < sizeof buffers[0] ? bytes.size : sizeof buffers[0] - 1;
    if (size > 0) memcpy(buffer, bytes.at, size);
    buffer[size] = '\0';
    return buffer;
}

/* A string field; NULL when absent. */
SINK_FN const char *text(otlp_bytes message, uint32_t field_number) {
    return has(message, field_number) ? as_text(part(message, field_number, 0)) : NULL;
}

/* The value of an attribute of a span; of anything else by attribute_in. */
SINK_FN otlp_bytes attribute_in(otlp_bytes message, uint32_t field_number, const char *key) {
    otlp_bytes value;
    (void)otlp_attribute(message, field_number, key, &value);
    return value;
}

SINK_FN bool has_attribute(otlp_bytes span, const char *key) {
    otlp_bytes value;
    return otlp_attribute(span, SPAN_ATTRIBUTE, key, &value);
}

SINK_FN otlp_bytes attribute(otlp_bytes span, const char *key) {
    return attribute_in(span, SPAN_ATTRIBUTE, key);
}

/* A string attribute; NULL when absent or of another type. */
SINK_FN const char *string_of(otlp_bytes span, const char *key) {
    return text(attribute(span, key), ANY_STRING);
}

/* An integer attribute; -77777 when absent or of another type. */
SINK_FN long long integer_of(otlp_bytes span, const char *key) {
    otlp_bytes value = attribute(span, key);
    return has(value, ANY_INT) ? (long long)number(value, ANY_INT) : -77777;
}

SINK_FN size_t num_attributes(otlp_bytes span) {
    return otlp_count(span, SPAN_ATTRIBUTE);
}

/* ---- Spans ---------------------------------------------------------------------------------- */

SINK_FN bool same_trace(const hotel_span *a, const hotel_span *b) {
    return memcmp(a->context.trace_id, b->context.trace_id, 16) == 0;
}

SINK_FN bool same_id(const hotel_span *a, const hotel_span *b) {
    return memcmp(a->context.span_id, b->context.span_id, 8) == 0;
}

/* Is the delivered span a child of this one? */
SINK_FN bool child_of(otlp_bytes span, const hotel_span *parent) {
    otlp_bytes trace = part(span, SPAN_TRACE_ID, 0), above = part(span, SPAN_PARENT, 0);
    return trace.size == 16 && memcmp(trace.at, parent->context.trace_id, 16) == 0 &&
           above.size == 8 && memcmp(above.at, parent->context.span_id, 8) == 0;
}

/* A context with this span and nothing else. */
SINK_FN hotel_context only(const hotel_span *span) {
    hotel_context context;
    memset(&context, 0, sizeof context);
    context.span = *span;
    return context;
}

/* A span with a name, started under a parent and ended; parent NULL: a root. */
SINK_FN hotel_span leaf(const char *name, const hotel_context *parent) {
    hotel_start_options options;
    hotel_span span;
    memset(&options, 0, sizeof options);
    options.parent = parent;
    options.root = parent == NULL;
    span = hotel_start_with(name, &options);
    hotel_end(&span);
    return span;
}

#define PARENT_SAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define PARENT_UNSAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
#define PARENT_RANDOM "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"

#endif
