/*
 * SPDX-License-Identifier: MIT
 *
 * test_exporters.c - what exporters get and the two that are built in: finished spans as views,
 * compared with an independent reader of the same bytes; the console; spans kept in memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <math.h>

#include "sink.h"

/* ---- views and an independent reader -------------------------------------------------------- */

static bool same_bytes(hotel_string got, otlp_bytes want) {
    return got.size == want.size && (got.size == 0 || memcmp(got.text, want.at, got.size) == 0);
}

static bool same_value(const hotel_value_view *got, otlp_bytes want);

/* Does the list hold exactly the KeyValues with this number, in their order? */
static bool same_attrs(hotel_list list, otlp_bytes message, uint32_t field_number) {
    hotel_attr_view got;
    size_t i, count = otlp_count(message, field_number);
    for (i = 0; i < count; i++) {
        otlp_bytes entry = part(message, field_number, i);
        if (!hotel_next_attr(&list, &got) || !same_bytes(got.key, part(entry, 1, 0)) ||
            !same_value(&got.value, part(entry, 2, 0))) {
            return false;
        }
    }
    return !hotel_next_attr(&list, &got);
}

static bool same_array(hotel_list list, otlp_bytes array) {
    hotel_value_view got;
    size_t i, count = otlp_count(array, 1);
    for (i = 0; i < count; i++) {
        if (!hotel_next_value(&list, &got) || !same_value(&got, part(array, 1, i))) return false;
    }
    return !hotel_next_value(&list, &got);
}

static bool same_value(const hotel_value_view *got, otlp_bytes want) {
    uint64_t bits;
    switch (got->type) {
    case HOTEL_TYPE_EMPTY:
        return want.size == 0;
    case HOTEL_TYPE_STRING:
        return has(want, ANY_STRING) && same_bytes(got->as.string, part(want, ANY_STRING, 0));
    case HOTEL_TYPE_BYTES:
        return has(want, ANY_BYTES) && same_bytes(got->as.string, part(want, ANY_BYTES, 0));
    case HOTEL_TYPE_BOOL:
        return has(want, ANY_BOOL) && got->as.boolean == (number(want, ANY_BOOL) != 0);
    case HOTEL_TYPE_INT:
        return has(want, ANY_INT) && got->as.integer == (int64_t)number(want, ANY_INT);
    case HOTEL_TYPE_DOUBLE:
        memcpy(&bits, &got->as.real, 8);
        return has(want, ANY_DOUBLE) && bits == number(want, ANY_DOUBLE);
    case HOTEL_TYPE_ARRAY:
        return has(want, ANY_ARRAY) && same_array(got->as.list, part(want, ANY_ARRAY, 0));
    case HOTEL_TYPE_MAP:
        return has(want, ANY_MAP) && same_attrs(got->as.list, part(want, ANY_MAP, 0), 1);
    default:
        return false;
    }
}

static bool same_id_bytes(const uint8_t *got, size_t size, otlp_bytes want) {
    return want.size == size && memcmp(got, want.at, size) == 0;
}

static const char *check_events(hotel_list list, otlp_bytes span) {
    hotel_event_view got;
    size_t i, count = otlp_count(span, SPAN_EVENT);
    for (i = 0; i < count; i++) {
        otlp_bytes event = part(span, SPAN_EVENT, i);
        if (!hotel_next_event(&list, &got)) return "an event is missing";
        if (!same_bytes(got.name, part(event, EVENT_NAME, 0))) return "event name";
        if (got.time_ns != number(event, EVENT_TIME)) return "event time";
        if (!same_attrs(got.attributes, event, EVENT_ATTRIBUTE)) return "event attributes";
        if (got.num_attributes != otlp_count(event, EVENT_ATTRIBUTE)) return "event count";
        if (got.dropped_attributes != number(event, EVENT_DROPPED)) return "event dropped";
    }
    return hotel_next_event(&list, &got) ? "an event too many" : NULL;
}

static const char *check_links(hotel_list list, otlp_bytes span) {
    hotel_link_view got;
    size_t i, count = otlp_count(span, SPAN_LINK);
    for (i = 0; i < count; i++) {
        otlp_bytes link = part(span, SPAN_LINK, i);
        uint64_t flags = number(link, LINK_FLAGS);
        if (!hotel_next_link(&list, &got)) return "a link is missing";
        if (!same_id_bytes(got.context.trace_id, 16, part(link, LINK_TRACE_ID, 0)) ||
            !same_id_bytes(got.context.span_id, 8, part(link, LINK_SPAN_ID, 0))) {
            return "link IDs";
        }
        if (!same_bytes(got.trace_state, part(link, LINK_STATE, 0))) return "link tracestate";
        if (got.context.trace_flags != (flags & 0xff) ||
            got.context.is_remote != ((flags & 0x200) != 0)) {
            return "link flags";
        }
        if (!same_attrs(got.attributes, link, LINK_ATTRIBUTE)) return "link attributes";
        if (got.num_attributes != otlp_count(link, LINK_ATTRIBUTE)) return "link count";
        if (got.dropped_attributes != number(link, LINK_DROPPED)) return "link dropped";
    }
    return hotel_next_link(&list, &got) ? "a link too many" : NULL;
}

static const char *check_span(const hotel_span_view *got, otlp_bytes span) {
    otlp_bytes status = part(span, SPAN_STATUS, 0);
    uint64_t flags = number(span, SPAN_FLAGS);
    if (!same_id_bytes(got->context.trace_id, 16, part(span, SPAN_TRACE_ID, 0)) ||
        !same_id_bytes(got->context.span_id, 8, part(span, SPAN_ID, 0))) {
        return "IDs";
    }
    if (got->has_parent != has(span, SPAN_PARENT)) return "parent";
    if (got->has_parent && !same_id_bytes(got->parent_span_id, 8, part(span, SPAN_PARENT, 0))) {
        return "parent span ID";
    }
    if (got->context.trace_flags != (flags & 0xff) ||
        got->has_remote_parent != ((flags & 0x200) != 0)) {
        return "flags";
    }
    if (!same_bytes(got->trace_state, part(span, SPAN_STATE, 0))) return "tracestate";
    if (!same_bytes(got->name, part(span, SPAN_NAME, 0))) return "name";
    if (got->kind != (hotel_kind)number(span, SPAN_KIND)) return "kind";
    if (got->start_time_ns != number(span, SPAN_START)) return "start";
    if (got->end_time_ns != number(span, SPAN_END)) return "end";
    if (got->status != (hotel_status)number(status, STATUS_CODE)) return "status";
    if (!same_bytes(got->status_description, part(status, STATUS_MESSAGE, 0))) return "message";
    if (!same_attrs(got->attributes, span, SPAN_ATTRIBUTE)) return "attributes";
    if (got->num_attributes != otlp_count(span, SPAN_ATTRIBUTE) ||
        got->num_events != otlp_count(span, SPAN_EVENT) ||
        got->num_links != otlp_count(span, SPAN_LINK)) {
        return "counts";
    }
    if (got->dropped_attributes != number(span, SPAN_DROPPED_ATTRIBUTES) ||
        got->dropped_events != number(span, SPAN_DROPPED_EVENTS) ||
        got->dropped_links != number(span, SPAN_DROPPED_LINKS)) {
        return "dropped counts";
    }
    return NULL;
}

static const char *check_around(const hotel_span_view *got, otlp_bytes scope_spans,
                                otlp_bytes resource_spans) {
    otlp_bytes scope = part(scope_spans, 1, 0), resource = part(resource_spans, 1, 0);
    if (!same_bytes(got->scope.name, part(scope, 1, 0))) return "scope name";
    if (!same_bytes(got->scope.version, part(scope, 2, 0))) return "scope version";
    if (!same_attrs(got->scope.attributes, scope, 3)) return "scope attributes";
    if (got->scope.num_attributes != otlp_count(scope, 3)) return "scope count";
    if (!same_bytes(got->scope.schema_url, part(scope_spans, 3, 0))) return "scope schema URL";
    if (!same_attrs(got->resource.attributes, resource, 1)) return "resource attributes";
    if (got->resource.num_attributes != otlp_count(resource, 1)) return "resource count";
    if (!same_bytes(got->resource.schema_url, part(resource_spans, 3, 0))) {
        return "resource schema URL";
    }
    return NULL;
}

/* A walk of both readers side by side. */
static hotel_spans side_by_side;

static void compare_span(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                         void *user_data) {
    hotel_span_view got;
    const char *problem = "the span is missing";
    (void)user_data;
    if (hotel_next_span(&side_by_side, &got)) {
        problem = check_span(&got, span);
        if (problem == NULL) problem = check_events(got.events, span);
        if (problem == NULL) problem = check_links(got.links, span);
        if (problem == NULL) problem = check_around(&got, scope_spans, resource_spans);
    }
    ok(problem == NULL, "EX-01 TR-61 RS-04 the view of \"%s\" is the span: %s",
       as_text(part(span, SPAN_NAME, 0)), problem != NULL ? problem : "every field");
}

/* ---- spans with everything ------------------------------------------------------------------ */

static void make_values(const hotel_span *span) {
    static const char *const strings[] = {"a", "", NULL};
    static const bool bools[] = {true, false};
    static const int64_t ints[] = {0, -1, INT64_MIN, INT64_MAX};
    static const double doubles[] = {0.5, -0.0, 1e300};
    hotel_attr inner[2];
    hotel_value mixed[3];
    inner[0] = hotel_str("deep", "yes");
    inner[1] = hotel_strs("list", strings, 2);
    mixed[0] = hotel_of_int(1);
    mixed[1] = hotel_of_map(inner, 2);
    mixed[2] = hotel_of_empty();
    hotel_set(span, hotel_str("str", "text"), hotel_str("str.empty", ""), hotel_bool("bool", true),
              hotel_bool("bool.false", false), hotel_int("int", -5), hotel_int("int.0", 0),
              hotel_double("double", 0.1), hotel_double("nan", (double)NAN),
              hotel_bytes("bytes", "\0\1\xff", 3), hotel_empty("empty"),
              hotel_strs("strs", strings, 3), hotel_bools("bools", bools, 2),
              hotel_ints("ints", ints, 4), hotel_doubles("doubles", doubles, 3),
              hotel_array("mixed", mixed, 3), hotel_map("map", inner, 2),
              hotel_ints("none", ints, 0));
}

static void make_spans(void) {
    hotel_tracer_config scope;
    hotel_start_options options;
    hotel_context parent = hotel_extract(PARENT_RANDOM, "rojo=1,congo=2");
    hotel_attr attributes[2];
    hotel_link links[2];
    hotel_span root, child;
    hotel_event event;
    memset(&scope, 0, sizeof scope);
    memset(&options, 0, sizeof options);
    memset(&event, 0, sizeof event);
    memset(links, 0, sizeof links);
    attributes[0] = hotel_str("a", "b");
    attributes[1] = hotel_int("c", 4);
    scope.name = "example.database";
    scope.version = "1.2.3";
    scope.schema_url = "https://s.example/scope";
    scope.attributes = attributes;
    scope.num_attributes = 2;
    links[0].context = parent.span.context;
    links[0].attributes = attributes;
    links[0].num_attributes = 2;
    options.tracer = hotel_get_tracer(&scope);
    options.parent = &parent;
    options.kind = HOTEL_SERVER;
    options.start_time_ns = 1544712660000000000u;
    root = hotel_start_with("GET /things", &options);
    links[1].context = root.context;
    make_values(&root);
    event.name = "retry";
    event.time_ns = 1544712660300000123u;
    event.attributes = attributes;
    event.num_attributes = 2;
    hotel_add_event_as(&root, &event);
    hotel_add_event(&root, "now");
    hotel_add_link(&root, &links[0]);
    hotel_add_link(&root, &links[1]);
    hotel_set_status(&root, HOTEL_STATUS_ERROR, "no such table");
    parent = hotel_context_with(&root);
    child = hotel_start_in(&parent, "child", HOTEL_CLIENT);
    hotel_set_status(&child, HOTEL_STATUS_OK, NULL);
    hotel_end_at(&child, 1544712660300000000u);
    hotel_end_at(&root, 1544712661234567891u);
    (void)leaf("plain", NULL);
}

/* Limits of one, and two of each. */
static void make_dropped(void) {
    hotel_span span = hotel_start("dropped");
    hotel_link link;
    hotel_event event;
    hotel_attr attributes[2];
    attributes[0] = hotel_str("a", "b");
    attributes[1] = hotel_int("c", 4);
    memset(&link, 0, sizeof link);
    memset(&event, 0, sizeof event);
    link.context = span.context;
    link.attributes = event.attributes = attributes;
    link.num_attributes = event.num_attributes = 2;
    event.name = "event";
    hotel_set(&span, attributes[0], attributes[1]);
    hotel_add_link(&span, &link);
    hotel_add_link(&span, &link);
    hotel_add_event_as(&span, &event);
    hotel_add_event(&span, "another");
    hotel_end(&span);
}

static hotel_batch body(size_t index) {
    return hotel_batch_of(sink_bodies[index].at, sink_bodies[index].size);
}

static void open_model(bool limited) {
    static hotel_attr resource[2];
    hotel_config config = sink_config();
    resource[0] = hotel_str("deployment.environment.name", "test");
    resource[1] = hotel_int("shard", 7);
    config.resource = resource;
    config.num_resource = 2;
    config.resource_schema_url = "https://s.example/resource";
    if (limited) {
        config.limits.attribute_count = config.limits.event_count = config.limits.link_count = 1;
        config.limits.event_attribute_count = config.limits.link_attribute_count = 1;
    }
    sink_open(&config);
    if (limited) make_dropped();
    else make_spans();
    sink_flush();
}

static void test_views(void) {
    hotel_span_view span;
    hotel_batch batch;
    open_model(false);
    batch = body(0);
    is_int(batch.num_spans, 3, "EX-01 the batch says how many spans it has");
    side_by_side = hotel_batch_spans(&batch);
    (void)otlp_each_span(sink_bodies[0], compare_span, NULL);
    ok(!hotel_next_span(&side_by_side, &span), "EX-01 and has no more");
    sink_close("views");
    open_model(true);
    batch = body(0);
    side_by_side = hotel_batch_spans(&batch);
    (void)otlp_each_span(sink_bodies[0], compare_span, NULL);
    side_by_side = hotel_batch_spans(&batch);
    ok(hotel_next_span(&side_by_side, &span) && span.dropped_attributes == 1 &&
           span.dropped_events == 1 && span.dropped_links == 1,
       "SP-85 dropped counts in a view");
    sink_close("views of what was dropped");
}

/* ---- the console ---------------------------------------------------------------------------- */

static char printed[1 << 18];

typedef struct reader {
    int descriptor;
    size_t size;
} reader;

static void *read_all(void *argument) {
    reader *r = (reader *)argument;
    ssize_t n;
    while (r->size + 1 < sizeof printed &&
           (n = read(r->descriptor, printed + r->size, sizeof printed - 1 - r->size)) > 0) {
        r->size += (size_t)n;
    }
    printed[r->size] = '\0';
    return NULL;
}

/* What the console exporter writes of a batch, in `printed`. */
static hotel_result print_batch(hotel_batch batch) {
    hotel_exporter exporter;
    hotel_result result;
    pthread_t thread;
    reader r;
    int ends[2];
    if (pipe(ends) != 0) abort();
    r.descriptor = ends[0];
    r.size = 0;
    if (pthread_create(&thread, NULL, read_all, &r) != 0) abort();
    exporter = hotel_console_exporter(ends[1]);
    result = exporter.export_fn(&batch, exporter.user_data);
    (void)close(ends[1]);
    (void)pthread_join(thread, NULL);
    (void)close(ends[0]);
    return result;
}

static size_t times_printed(const char *what) {
    const char *at = printed;
    size_t count = 0;
    while ((at = strstr(at, what)) != NULL) {
        count++;
        at++;
    }
    return count;
}

static void prints(const char *line, const char *name) {
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "%s\n", line);
    if (!ok(strstr(printed, whole) != NULL, "%s", name)) note("no line \"%s\"", line);
}

static void test_console(void) {
    open_model(false);
    is_int(print_batch(body(0)), HOTEL_OK, "EX-03 a batch is printed");
    is_int(times_printed("resource\n"), 1, "EX-03 the resource once");
    prints("    service.name = \"conformance\"", "EX-03 an attribute of the resource");
    prints("    shard = 7", "EX-03 another one");
    prints("    schema_url = \"https://s.example/resource\"", "EX-03 its schema URL");
    is_int(times_printed("span \""), 3, "EX-03 every span");
    prints("span \"GET /things\" (server)", "EX-03 name and kind");
    ok(strstr(printed, "    trace 0af7651916cd43dd8448eb211c80319c span ") != NULL,
       "EX-03 the trace");
    prints("    parent b7ad6b7169203331 (remote)", "EX-03 a remote parent");
    prints("    start 2018-12-13T14:51:00.000000000Z duration 1.234 s", "EX-03 the times");
    prints("    tracestate = \"rojo=1,congo=2\"", "EX-03 the tracestate");
    prints("    otel.status_code = ERROR", "SP-101 status code");
    prints("    otel.status_code = OK", "SP-101 status code OK");
    is_int(times_printed("otel.status_code"), 2, "SP-101 none for Unset");
    prints("    otel.status_description = \"no such table\"", "SP-101 status description");
    prints("    str = \"text\"", "EX-03 a string");
    prints("    str.empty = \"\"", "EX-03 an empty string");
    prints("    bool.false = false", "EX-03 false");
    prints("    int = -5", "EX-03 an integer");
    prints("    double = 0.1", "EX-03 a double");
    prints("    nan = NaN", "EX-03 not a number");
    prints("    bytes = 0x0001ff", "EX-03 bytes");
    prints("    empty = (empty)", "EX-03 the empty value");
    prints("    ints = [0, -1, -9223372036854775808, 9223372036854775807]", "EX-03 an array");
    prints("    doubles = [0.5, -0, 1e+300]", "EX-03 doubles");
    prints("    mixed = [1, {deep: \"yes\", list: [\"a\", \"\"]}, (empty)]", "EX-03 a mixed array");
    prints("    none = []", "EX-03 an empty array");
    prints("    event \"retry\" at +300.000 ms", "EX-03 an event");
    prints("        c = 4", "EX-03 its attribute");
    ok(strstr(printed, "    link to trace 0af7651916cd43dd8448eb211c80319c span "
                       "b7ad6b7169203331 (remote)\n") != NULL, "EX-03 a link");
    prints("    otel.scope.name = \"example.database\"", "SP-101 scope name");
    prints("    otel.scope.version = \"1.2.3\"", "SP-101 scope version");
    prints("    otel.library.name = \"example.database\"", "SP-101 its old name");
    prints("    otel.library.version = \"1.2.3\"", "SP-101 its old version");
    ok(strstr(printed, "otel.dropped") == NULL, "SP-101 nothing dropped, nothing said");
    ok(strchr(printed, '\033') == NULL, "EX-03 no colours in a pipe");
    sink_close("console");
    open_model(true);
    is_int(print_batch(body(0)), HOTEL_OK, "EX-03 a batch with dropped data");
    prints("    otel.dropped_attributes_count = 1", "SP-101 dropped attributes");
    prints("    otel.dropped_events_count = 1", "SP-101 dropped events");
    prints("    otel.dropped_links_count = 1", "SP-101 dropped links");
    is_int(times_printed("        otel.dropped_attributes_count = 1\n"), 2,
           "SP-101 dropped attributes of an event and a link");
    sink_close("console and dropped data");
}

static void test_console_text(void) {
    static char text[5000];
    hotel_value items[40];
    hotel_value nested[20];
    hotel_span span;
    size_t i;
    memset(text, 'x', sizeof text - 1);
    for (i = 0; i < COUNT(items); i++) items[i] = hotel_of_int((int64_t)i);
    nested[0] = hotel_of_str("deepest");
    for (i = 1; i < COUNT(nested); i++) nested[i] = hotel_of_array(&nested[i - 1], 1);
    sink_open(NULL);
    span = hotel_start("line\none\x1b[31m \xc3\xa4 \"q\" \xc2\x9b");
    hotel_set_str(&span, "long", text);
    hotel_set_bytes(&span, "long.bytes", text, 100);
    hotel_set_array(&span, "many", items, COUNT(items));
    hotel_set_array(&span, "deep", &nested[COUNT(nested) - 1], 1);
    hotel_set_str(&span, "a\tkey", "back\\slash\r\x7f");
    hotel_end(&span);
    sink_flush();
    is_int(print_batch(body(0)), HOTEL_OK, "EX-03 unusual text is printed");
    prints("span \"line\\none\\x1b[31m \xc3\xa4 \\\"q\\\" \\xc2\\x9b\" (internal)",
           "EX-03 control characters are escaped, letters are not");
    prints("    a\\tkey = \"back\\\\slash\\r\\x7f\"", "EX-03 in keys and values");
    ok(strstr(printed, "x\"... (4999 bytes)\n") != NULL && strlen(printed) < 2500,
       "EX-03 a long text is cut");
    ok(strstr(printed, "... (100 bytes)\n") != NULL, "EX-03 long bytes are cut");
    ok(strstr(printed, "15, ... (24 more)]\n") != NULL, "EX-03 a long array is cut");
    ok(strstr(printed, "[[[[[[[[[...") != NULL, "EX-03 a deep array is cut");
    ok(strstr(printed, "deepest") == NULL, "EX-03 above its depth");
    sink_close("unusual text");
}

typedef struct double_row {
    double value;
    const char *want;
} double_row;

static void test_console_numbers(void) {
    static const double_row rows[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {-1.5, "-1.5"},
        {0.3, "0.3"},
        {100.0, "100"},
        {123456.789, "123456.789"},
        {1e14, "100000000000000"},
        {1e15, "1e+15"},
        {0.001, "0.001"},
        {0.00012, "0.00012"},
        {0.000012, "1.2e-05"},
        {1.0 / 3.0, "0.333333333333333"},
        {2.5e-300, "2.5e-300"},
        {1.5e300, "1.5e+300"},
        {9007199254740993.0, "9.00719925474099e+15"},
        {(double)INFINITY, "Infinity"},
        {-(double)INFINITY, "-Infinity"},
        {(double)NAN, "NaN"},
        {999999999999999.9, "1e+15"},
    };
    hotel_span span;
    size_t i;
    sink_open(NULL);
    span = hotel_start("numbers");
    for (i = 0; i < COUNT(rows); i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "d%d", (int)i);
        hotel_set_double(&span, key, rows[i].value);
    }
    hotel_end_at(&span, UINT64_MAX);
    sink_flush();
    (void)print_batch(body(0));
    for (i = 0; i < COUNT(rows); i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "    d%d = %s", (int)i, rows[i].want);
        prints(line, "EX-03 a double for people");
    }
    sink_close("numbers");
}

static void test_console_times(void) {
    static const uint64_t times[] = {1u, 951782399999999999u, 951782400000000000u,
                                     1704067199000000001u, 4107542400000000000u, UINT64_MAX};
    size_t i;
    for (i = 0; i < COUNT(times); i++) {
        hotel_start_options options;
        hotel_span span;
        struct tm parts;
        time_t seconds = (time_t)(times[i] / 1000000000u);
        char date[64], line[128];
        memset(&options, 0, sizeof options);
        options.start_time_ns = times[i];
        sink_open(NULL);
        span = hotel_start_with("time", &options);
        hotel_end_at(&span, times[i]);
        sink_flush();
        (void)print_batch(body(0));
        if (gmtime_r(&seconds, &parts) == NULL) abort();
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
        (void)snprintf(line, sizeof line, "    start %s.%09uZ duration 0 ns", date,
                       (unsigned)(times[i] % 1000000000u));
        if (sizeof seconds == 8) prints(line, "EX-03 a time as gmtime has it");
        sink_close("times");
    }
}

/* What a terminal gets. */
static bool prints_colors(void) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), slave;
    hotel_exporter exporter;
    hotel_batch batch = body(0);
    ssize_t n;
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) abort();
    slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    if (slave < 0) abort();
    exporter = hotel_console_exporter(slave);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-03 to a terminal");
    n = read(terminal, printed, sizeof printed - 1);
    printed[n > 0 ? n : 0] = '\0';
    (void)close(slave);
    (void)close(terminal);
    return strchr(printed, '\033') != NULL;
}

static void test_console_colors(void) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    bool usable = terminal >= 0 && grantpt(terminal) == 0;
    if (terminal >= 0) (void)close(terminal);
    if (!usable) {
        skip("EX-03 no terminal can be made here");
        return;
    }
    sink_open(NULL);
    (void)leaf("colors", NULL);
    sink_flush();
    (void)unsetenv("NO_COLOR");
    ok(prints_colors(), "EX-03 a terminal gets colours");
    (void)setenv("NO_COLOR", "", 1);
    ok(prints_colors(), "EX-03 an empty NO_COLOR is unset");
    (void)setenv("NO_COLOR", "1", 1);
    ok(!prints_colors(), "EX-03 NO_COLOR means none");
    (void)unsetenv("NO_COLOR");
    sink_close("colours");
}

/* Nobody reads; nothing goes in any more; no such descriptor. The signal would end this test. */
static void test_console_failures(void) {
    static char filler[4096];
    hotel_exporter exporter;
    hotel_batch batch;
    sigset_t pending;
    int ends[2];
    int64_t before;
    sink_open(NULL);
    (void)leaf("failures", NULL);
    sink_flush();
    batch = body(0);
    if (pipe(ends) != 0) abort();
    (void)close(ends[0]);
    exporter = hotel_console_exporter(ends[1]);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "EX-03 a pipe without a reader");
    ok(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0,
       "EX-03 SIGPIPE does not wait either");
    (void)close(ends[1]);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "EX-03 a closed descriptor");
    exporter = hotel_console_exporter(-1);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "EX-03 no descriptor");
    if (pipe(ends) != 0) abort();
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], filler, sizeof filler) > 0) continue;
    exporter = hotel_console_exporter(ends[1]);
    before = hoteli_now_ms();
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "EX-03 a full pipe that nobody reads");
    ok(hoteli_now_ms() - before >= 900, "EX-03 is waited for, not for ever");
    (void)close(ends[0]);
    (void)close(ends[1]);
    sink_close("failures");
}

/* ---- in memory ------------------------------------------------------------------------------ */

static void test_memory(void) {
    static uint8_t memory[65536];
    hotel_memory_exporter kept;
    hotel_exporter exporter = hotel_memory_exporter_start(&kept, memory, sizeof memory);
    hotel_span_view span;
    hotel_value_view value;
    hotel_batch batch, all;
    hotel_spans walk;
    size_t room;
    is_int(hotel_memory_exporter_count(&kept), 0, "EX-04 nothing at first");
    open_model(false);
    batch = body(0);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-04 a batch is kept");
    (void)leaf("later", NULL);
    sink_flush();
    all = hotel_memory_exporter_batch(&kept);
    ok(all.request_size == batch.request_size &&
           memcmp(all.request, batch.request, all.request_size) == 0 && all.num_spans == 3,
       "EX-04 byte for byte");
    batch = body(1);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-04 another one");
    sink_close("spans for memory");
    is_int(hotel_memory_exporter_count(&kept), 4, "EX-04 all are counted");
    walk = hotel_batch_spans(&all);
    while (hotel_next_span(&walk, &span) && !hotel_string_is(span.name, "GET /things")) continue;
    ok(hotel_string_is(span.scope.name, "example.database"),
       "EX-04 what was read before is still valid");
    ok(hotel_view_attr(&span, "int", &value) && value.as.integer == -5,
       "EX-04 attributes can be inspected");
    ok(hotel_memory_exporter_at(&kept, 3, &span) && hotel_string_is(span.name, "later"),
       "EX-04 a span by its index");
    ok(!hotel_memory_exporter_at(&kept, 4, &span), "EX-04 none beyond the last");
    hotel_memory_exporter_reset(&kept);
    all = hotel_memory_exporter_batch(&kept);
    walk = hotel_batch_spans(&all);
    ok(hotel_memory_exporter_count(&kept) == 0 && !hotel_next_span(&walk, &span),
       "EX-04 reset forgets all");
    open_model(false);
    batch = body(0);
    room = batch.request_size;
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-04 it goes on");
    exporter = hotel_memory_exporter_start(&kept, memory, room * 2 - 1);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-04 one fits");
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "EX-04 a byte less than two: the second is refused");
    is_int(hotel_memory_exporter_refused(&kept), 3, "EX-04 its spans are counted");
    is_int(hotel_memory_exporter_count(&kept), 3, "EX-04 the first is whole");
    hotel_memory_exporter_reset(&kept);
    is_int(hotel_memory_exporter_refused(&kept), 0, "EX-04 reset forgets the count");
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_OK, "EX-04 there is room again");
    is_int(exporter.shutdown_fn(100, exporter.user_data), HOTEL_OK, "EX-04 shutdown");
    hotel_memory_exporter_reset(&kept);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED,
           "BSP-20 after shutdown nothing is taken");
    is_int(hotel_memory_exporter_count(&kept), 0, "BSP-20 nor kept");
    exporter = hotel_memory_exporter_start(&kept, NULL, 100);
    is_int(exporter.export_fn(&batch, exporter.user_data), HOTEL_ERR_FAILED, "EX-04 no memory");
    sink_close("more spans for memory");
}

enum { ROUNDS = 400 };

typedef struct export_job {
    hotel_exporter exporter;
    hotel_batch batch;
    size_t kept;
} export_job;

static void *export_many(void *argument) {
    export_job *job = (export_job *)argument;
    int i;
    for (i = 0; i < ROUNDS; i++) {
        if (job->exporter.export_fn(&job->batch, job->exporter.user_data) == HOTEL_OK) {
            job->kept += job->batch.num_spans;
        }
    }
    return NULL;
}

/* One thread exports, this one reads all the while; then one exports and this one resets. */
static void test_memory_threads(void) {
    static uint8_t memory[1 << 19];
    hotel_memory_exporter kept;
    hotel_span_view span;
    export_job job;
    pthread_t thread;
    size_t seen = 0, last = 0;
    bool good = true;
    open_model(false);
    job.exporter = hotel_memory_exporter_start(&kept, memory, sizeof memory);
    job.batch = body(0);
    job.kept = 0;
    if (pthread_create(&thread, NULL, export_many, &job) != 0) abort();
    do {
        hotel_batch batch = hotel_memory_exporter_batch(&kept);
        hotel_spans walk = hotel_batch_spans(&batch);
        seen = 0;
        while (hotel_next_span(&walk, &span)) {
            seen++;
            good = good && hotel_is_valid(&span.context) && span.name.size > 0;
        }
        good = good && seen == batch.num_spans && seen % 3 == 0 && seen >= last;
        last = seen;
    } while (seen + hotel_memory_exporter_refused(&kept) < ROUNDS * 3);
    (void)pthread_join(thread, NULL);
    ok(good, "EX-04 read while it is written: whole batches only, and none is lost");
    is_int(hotel_memory_exporter_count(&kept), job.kept, "EX-04 what was accepted is there");
    job.exporter = hotel_memory_exporter_start(&kept, memory, sizeof memory);
    if (pthread_create(&thread, NULL, export_many, &job) != 0) abort();
    for (seen = 0; seen < 50; seen++) hotel_memory_exporter_reset(&kept);
    (void)pthread_join(thread, NULL);
    ok(hotel_memory_exporter_count(&kept) % 3 == 0, "EX-04 reset while it is written");
    sink_close("threads");
}

static void *make_leaves(void *argument) {
    int i;
    (void)argument;
    for (i = 0; i < ROUNDS; i++) (void)leaf("leaf", NULL);
    return NULL;
}

/* In a running library: spans end on one thread, are kept on the exporter's, and read on this. */
static void test_memory_running(void) {
    static uint8_t memory[1 << 19];
    hotel_memory_exporter kept;
    hotel_exporter exporter = hotel_memory_exporter_start(&kept, memory, sizeof memory);
    hotel_destination to = destination(NULL);
    hotel_config config = test_config(&to, 1);
    hotel_span_view span;
    pthread_t thread;
    size_t seen = 0;
    bool good = true;
    to.exporter = &exporter;
    to.schedule_delay_ms = 1;
    sink_open(&config);
    if (pthread_create(&thread, NULL, make_leaves, NULL) != 0) abort();
    for (seen = 0; seen < 200; seen++) {
        hotel_batch batch = hotel_memory_exporter_batch(&kept);
        hotel_spans walk = hotel_batch_spans(&batch);
        while (hotel_next_span(&walk, &span)) good = good && hotel_string_is(span.name, "leaf");
        (void)usleep(100);
    }
    (void)pthread_join(thread, NULL);
    sink_flush();
    ok(good, "EX-04 read while the library runs");
    is_int(hotel_memory_exporter_count(&kept), ROUNDS, "EX-04 after a flush all is there");
    sink_close("a running library");
    is_int(hotel_memory_exporter_count(&kept), ROUNDS, "EX-04 and after shutdown");
}

int main(void) {
    test_views();
    test_console();
    test_console_text();
    test_console_numbers();
    test_console_times();
    test_console_colors();
    test_console_failures();
    test_memory();
    test_memory_threads();
    test_memory_running();
    return done_testing();
}
