/*
 * SPDX-License-Identifier: MIT
 *
 * test_values.c - arguments that no caller should pass: text that is not UTF-8 or holds NUL, NULL
 * for every pointer of every function, handles that are zero, ended, stale or garbage, enums out
 * of range, calls before hotel_init and after hotel_shutdown, limits of nothing. Nothing crashes,
 * all that arrives is well formed, and what was wrong is counted and logged once.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <math.h>
#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static server here;
static char here_url[64];
static hotel_destination here_to;

/* Starts the server and the library; limits may be NULL. */
static void begin(const hotel_limits *limits) {
    hotel_config config = test_config(&here_to, 1);
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    here_to = destination(server_url(&here, "", here_url, sizeof here_url));
    here_to.schedule_delay_ms = 60000;
    if (limits != NULL) config.limits = *limits;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

/* Delivers, stops the library, checks the books and what the server saw. */
static void finish(const char *name) {
    is_int(hotel_flush(3000), HOTEL_OK, "%s: delivered", name);
    (void)hotel_shutdown(1000);
    server_stop(&here);
    check_books(name);
    is_int(here.num_bad, 0, "%s: every request is well formed (%s)", name, here.problem);
}

static otlp_bytes received(const char *name) {
    return otlp_span_named(server_request_at(&here, 0)->body, name);
}

static uint64_t bad_arguments(void) {
    return read_books().process.bad_arguments - books_opened.process.bad_arguments;
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

typedef struct text_row {
    const char *name;
    const char *text;
    size_t size;
    bool valid;
    const char *repaired; /* NULL: not looked at byte by byte */
} text_row;

#define TEXT(literal) (literal), sizeof(literal) - 1
#define FFFD "\xef\xbf\xbd"

static const text_row text_rows[] = {
    {"ASCII", TEXT("plain"), true, NULL},
    {"two, three and four bytes", TEXT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3"), true, NULL},
    {"the last code point", TEXT("\xf4\x8f\xbf\xbf"), true, NULL},
    {"U+FFFE and U+FFFF", TEXT("\xef\xbf\xbe\xef\xbf\xbf"), true, NULL},
    {"empty", TEXT(""), true, NULL},
    {"NUL is UTF-8", TEXT("a\0b"), true, NULL},
    {"control characters", TEXT("\x01\x02\t\n\x7f"), true, NULL},
    {"a byte 0xff",
     TEXT("a\xff"
          "b"),
     false, "a" FFFD "b"},
    {"a lone continuation byte",
     TEXT("a\x80"
          "b"),
     false, "a" FFFD "b"},
    {"a cut sequence at the end", TEXT("a\xe2\x82"), false, NULL},
    {"a cut sequence in the middle", TEXT("\xe2\x82x"), false, NULL},
    {"an overlong slash", TEXT("\xc0\xaf"), false, NULL},
    {"an overlong NUL", TEXT("\xc0\x80"), false, NULL},
    {"an overlong three bytes", TEXT("\xe0\x80\xaf"), false, NULL},
    {"an overlong four bytes", TEXT("\xf0\x80\x80\xaf"), false, NULL},
    {"a surrogate", TEXT("\xed\xa0\x80"), false, NULL},
    {"a surrogate pair", TEXT("\xed\xa0\xbd\xed\xb8\x80"), false, NULL},
    {"above U+10FFFF", TEXT("\xf4\x90\x80\x80"), false, NULL},
    {"five bytes", TEXT("\xf8\x88\x80\x80\x80"), false, NULL},
    {"Latin-1", TEXT("M\xfcller"), false, "M" FFFD "ller"},
};

/* The value of attribute "v": as a string when it is UTF-8, else as the same bytes. */
static void check_text_value(const text_row *row, otlp_bytes span) {
    otlp_bytes value;
    otlp_field field;
    ok(otlp_attribute(span, 9, "v", &value), "SP-41 value %s: there", row->name);
    ok(otlp_get(value, row->valid ? 1 : 7, 0, &field), "SP-41 value %s: %s", row->name,
       row->valid ? "a string" : "bytes");
    is_mem(field.bytes.at, field.bytes.size, row->text, row->size, "SP-41 value %s: unchanged",
           row->name);
}

/* A plain string: UTF-8 whatever was given, unchanged when it was good. */
static void check_plain(const text_row *row, const char *where, otlp_bytes got) {
    if (row->valid) {
        is_mem(got.at, got.size, row->text, row->size, "SP-41 %s %s: unchanged", where, row->name);
    } else if (row->repaired != NULL) {
        is_mem(got.at, got.size, row->repaired, strlen(row->repaired), "SP-41 %s %s: repaired",
               where, row->name);
    } else {
        ok(otlp_is_utf8(got), "SP-41 %s %s: UTF-8", where, row->name);
    }
}

/* One span for each place where text can stand. */
static void send_texts(const text_row *row) {
    hotel_span span = hotel_start("value");
    hotel_attr attribute = hotel_strn("v", row->text, row->size);
    hotel_value items[2];
    hotel_event event;
    hotel_start_options options;
    memset(&event, 0, sizeof event);
    memset(&options, 0, sizeof options);
    hotel_set_attr(&span, attribute);
    items[0] = hotel_of_strn(row->text, row->size);
    items[1] = hotel_of_map(&attribute, 1);
    hotel_set_array(&span, "nested", items, 2);
    hotel_end(&span);
    span = hotel_start("key");
    hotel_set_attr(&span, hotel_attrn(row->text, row->size, hotel_of_int(1)));
    hotel_end(&span);
    span = hotel_start("status");
    hotel_set_status_n(&span, HOTEL_STATUS_ERROR, row->text, row->size);
    hotel_end(&span);
    span = hotel_start("event");
    event.name = row->text;
    event.name_size = row->size;
    event.attributes = &attribute;
    event.num_attributes = 1;
    hotel_add_event_as(&span, &event);
    hotel_end(&span);
    options.name_size = row->size;
    options.kind = HOTEL_SERVER;
    span = hotel_start_with(row->text, &options);
    hotel_end(&span);
    span = hotel_start_as("renamed", HOTEL_CLIENT);
    hotel_set_name_n(&span, row->text, row->size);
    hotel_end(&span);
}

typedef struct by_kind {
    uint64_t kind;
    otlp_bytes found;
} by_kind;

static void match_kind(otlp_bytes span, otlp_bytes scope, otlp_bytes resource, void *user_data) {
    by_kind *search = (by_kind *)user_data;
    otlp_field field;
    (void)scope, (void)resource;
    if (otlp_get(span, 6, 0, &field) && field.value == search->kind) search->found = span;
}

static otlp_bytes name_of_kind(hotel_kind kind) {
    by_kind search = {(uint64_t)kind, {NULL, 0}};
    otlp_field name;
    (void)otlp_each_span(server_request_at(&here, 0)->body, match_kind, &search);
    (void)otlp_get(search.found, 5, 0, &name);
    return name.bytes;
}

static void test_text(void) {
    size_t i;
    for (i = 0; i < COUNT(text_rows); i++) {
        const text_row *row = &text_rows[i];
        otlp_field field, inner;
        begin(NULL);
        send_texts(row);
        finish(row->name);
        is_int(server_num_spans(&here), 6, "SP-41 %s: nothing poisons the request", row->name);
        check_text_value(row, received("value"));
        if (row->size > 0) {
            (void)otlp_get(received("key"), 9, 0, &field);
            (void)otlp_get(field.bytes, 1, 0, &inner);
            check_plain(row, "key", inner.bytes);
        }
        (void)otlp_get(received("status"), 15, 0, &field);
        (void)otlp_get(field.bytes, 2, 0, &inner);
        check_plain(row, "status text", inner.bytes);
        (void)otlp_get(received("event"), 11, 0, &field);
        (void)otlp_get(field.bytes, 2, 0, &inner);
        check_plain(row, "event name", inner.bytes);
        if (row->size > 0) {
            check_plain(row, "span name", name_of_kind(HOTEL_SERVER));
            check_plain(row, "new name", name_of_kind(HOTEL_CLIENT));
        }
        check_log(HOTEL_LOG_ID_INVALID_UTF8, row->valid ? 0 : 1, row->name);
        ok((read_books().process.repaired > books_opened.process.repaired) == !row->valid,
           "SP-41 %s: the repair is counted", row->name);
        server_release(&here);
    }
}

/* Keys that differ only in what is repaired are one key on the wire (SP-33, SP-41). */
static void test_repaired_twins(void) {
    hotel_span span;
    begin(NULL);
    span = hotel_start("twins");
    hotel_set(&span, hotel_int("k\xff", 1), hotel_int("k\xfe", 2), hotel_int("k" FFFD, 3));
    hotel_end(&span);
    finish("twins");
    server_release(&here);
}

/* The texts of the configuration: they are in every request. */
static void test_text_in_configuration(void) {
    hotel_config config;
    hotel_attr resource = hotel_strn("r\xff", TEXT("v\xff"));
    hotel_tracer_config scope;
    hotel_start_options options;
    hotel_span span;
    memset(&scope, 0, sizeof scope);
    memset(&options, 0, sizeof options);
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    here_to = destination(server_url(&here, "", here_url, sizeof here_url));
    config = test_config(&here_to, 1);
    config.service_name = "s\xff";
    config.resource = &resource;
    config.num_resource = 1;
    config.resource_schema_url = "http://\xff";
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "SP-41 a configuration that is not UTF-8");
    open_books();
    scope.name = "n\xff";
    scope.version = "\xff";
    scope.schema_url = "\xff";
    scope.attributes = &resource;
    scope.num_attributes = 1;
    options.tracer = hotel_get_tracer(&scope);
    span = hotel_start_with("configured", &options);
    hotel_end(&span);
    finish("configuration");
    is_int(server_num_spans(&here), 1, "SP-41 the span arrives");
    ok(log_count(HOTEL_LOG_ID_INVALID_UTF8) >= 1, "SP-41 and it is logged");
    server_release(&here);
}

/* ---- Every function, every pointer NULL ----------------------------------------------------- */

static void call_inline_setters(const hotel_span *span) {
    static const bool bools[1] = {true};
    static const int64_t ints[1] = {1};
    static const double doubles[1] = {1.0};
    static const char *const strings[2] = {"a", NULL};
    hotel_set_attrs(span, NULL, 0);
    hotel_set_attrs(span, NULL, 5);
    hotel_set_empty(span, NULL);
    hotel_set_empty(span, "");
    hotel_set_empty(span, "e");
    hotel_set_str(span, NULL, NULL);
    hotel_set_str(span, "s", NULL);
    hotel_set_strn(span, "sn", NULL, 10);
    hotel_set_strn(span, "s0", "", 0);
    hotel_set_bool(span, NULL, true);
    hotel_set_int(span, "", 1);
    hotel_set_double(span, NULL, 0.0);
    hotel_set_bytes(span, "b", NULL, 3);
    hotel_set_bytes(span, "b0", "", 0);
    hotel_set_strs(span, "ss", NULL, 3);
    hotel_set_strs(span, "ss2", strings, 2);
    hotel_set_strs(span, "ss0", strings, 0);
    hotel_set_bools(span, "bs", NULL, 3);
    hotel_set_bools(span, "bs0", bools, 0);
    hotel_set_ints(span, "is", NULL, 3);
    hotel_set_ints(span, "is0", ints, 0);
    hotel_set_doubles(span, "ds", NULL, 3);
    hotel_set_doubles(span, "ds0", doubles, 0);
    hotel_set_array(span, "vs", NULL, 3);
    hotel_set_map(span, "ms", NULL, 3);
    hotel_set(span, hotel_str(NULL, NULL), hotel_int("", 1),
              hotel_attrn("k", 0, hotel_of_bool(true)));
}

static void call_span_functions(const hotel_span *span) {
    hotel_event event;
    hotel_link link;
    memset(&event, 0, sizeof event);
    memset(&link, 0, sizeof link);
    call_inline_setters(span);
    hotel_set_name(span, NULL);
    hotel_set_name_n(span, NULL, 7);
    hotel_set_name_n(span, "name", 0);
    hotel_set_name(span, "kept name");
    hotel_set_status(span, HOTEL_STATUS_UNSET, NULL);
    hotel_set_status(span, (hotel_status)77, "x");
    hotel_set_status(span, (hotel_status)-1, NULL);
    hotel_set_status_n(span, HOTEL_STATUS_ERROR, NULL, 5);
    hotel_set_status(span, HOTEL_STATUS_ERROR, NULL);
    hotel_add_event_as(span, NULL);
    hotel_add_event_as(span, &event);
    event.name_size = 10;
    event.num_attributes = 3;
    hotel_add_event_as(span, &event);
    hotel_add_event(span, NULL);
    hotel_add_link(span, NULL);
    hotel_add_link(span, &link);
    link.num_attributes = 4;
    hotel_add_link(span, &link);
    hotel_record_exception(span, NULL, NULL, NULL, NULL, 0);
    hotel_record_exception(span, NULL, NULL, NULL, NULL, 3);
    hotel_add_event_with(span, NULL, hotel_str("", NULL));
    (void)hotel_is_recording(span);
}

static void call_propagation(const hotel_span *span) {
    char out[HOTEL_TRACEPARENT_SIZE], small[4];
    hotel_context context;
    (void)hotel_traceparent(span, out);
    (void)hotel_tracestate(span, NULL, 0);
    (void)hotel_tracestate(span, small, sizeof small);
    (void)hotel_tracestate(span, small, 0);
    (void)hotel_inject_metadata(span, NULL, NULL, 0);
    (void)hotel_inject_metadata(span, NULL, small, sizeof small);
    (void)hotel_inject_metadata(span, "{", small, sizeof small);
    (void)hotel_inject_metadata_n(span, NULL, 9, small, 0);
    context = hotel_context_with(span);
    hotel_context_release(&context);
}

static void call_context_functions(void) {
    hotel_context context = hotel_extract(NULL, NULL);
    hotel_token token, zero;
    hotel_guard guard;
    memset(&zero, 0, sizeof zero);
    memset(&guard, 0, sizeof guard);
    hotel_context_release(&context);
    hotel_context_release(&context);
    hotel_context_release(NULL);
    context = hotel_extract_n(NULL, 55, NULL, 10);
    hotel_context_release(&context);
    context = hotel_extract("junk", "junk");
    hotel_context_release(&context);
    context = hotel_extract_metadata(NULL, 0);
    hotel_context_release(&context);
    context = hotel_extract_metadata(NULL, 12);
    hotel_context_release(&context);
    context = hotel_extract_metadata("[", 1);
    hotel_context_release(&context);
    context = hotel_context_hold(NULL);
    hotel_context_release(&context);
    token = hotel_attach(NULL);
    (void)hotel_detach(token);
    is_int(hotel_detach(token), HOTEL_ERR_ORDER, "CP-05 a token used before");
    is_int(hotel_detach(zero), HOTEL_ERR_ORDER, "CP-05 a zero token");
    guard = hotel_guard_span(NULL);
    hotel_guard_leave(&guard);
    guard = hotel_guard_context(NULL);
    hotel_guard_leave(&guard);
    hotel_guard_leave(&guard);
    hotel_guard_leave(NULL);
    (void)hotel_current();
    (void)hotel_current_span();
}

static void call_hatchet(void) {
    hotel_step_run run;
    hotel_trigger trigger;
    hotel_task task;
    hotel_span span;
    memset(&run, 0, sizeof run);
    memset(&trigger, 0, sizeof trigger);
    task = hotel_start_step_run(NULL);
    hotel_task_succeed(&task);
    hotel_task_succeed(&task);
    hotel_task_fail(&task, NULL);
    run.payload_size = 100; /* of a payload that is NULL */
    run.additional_metadata = "not JSON";
    task = hotel_start_step_run(&run);
    hotel_task_fail_as(&task, NULL, NULL, NULL);
    task = hotel_start_step_run(&run);
    hotel_task_fail(&task, NULL);
    memset(&task, 0, sizeof task);
    hotel_task_succeed(&task);
    hotel_task_succeed(NULL);
    hotel_task_fail(NULL, "m");
    hotel_task_fail_as(NULL, "t", "m", "s");
    span = hotel_start_run_workflow(NULL);
    hotel_end(&span);
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
}

static void call_starters(void) {
    hotel_start_options options;
    hotel_tracer_config scope;
    hotel_tracer garbage = {9999, 9999};
    hotel_context context;
    hotel_span span;
    unsigned i;
    memset(&scope, 0, sizeof scope);
    for (i = 0; i < 8; i++) {
        memset(&options, 0, sizeof options);
        memset(&context, 0, sizeof context);
        if (i == 1) options.num_attributes = options.num_links = 3;
        if (i == 2) options.kind = (hotel_kind)99;
        if (i == 3) options.kind = (hotel_kind)-1;
        if (i == 4) options.tracer = garbage;
        if (i == 5) options.parent = &context;
        if (i == 6) options.name_size = 5;
        if (i == 7) options.tracer = hotel_get_tracer(&scope);
        span = hotel_start_with(i == 6 ? "with size" : NULL, &options);
        hotel_end(&span);
    }
    span = hotel_start_with(NULL, NULL);
    hotel_end(&span);
    span = hotel_start(NULL);
    hotel_end(&span);
    span = hotel_start_as(NULL, (hotel_kind)1000);
    hotel_end(&span);
    span = hotel_start_in(NULL, NULL, HOTEL_KIND_DEFAULT);
    hotel_end(&span);
    (void)hotel_get_tracer(NULL);
    (void)hotel_is_enabled(garbage);
}

static void call_plain_functions(void) {
    hotel_stats stats;
    hotel_destination_stats to;
    hotel_span_context none;
    char hex[33], state[8];
    memset(&none, 0, sizeof none);
    hotel_get_stats(&stats);
    hotel_get_stats(NULL);
    is_int(hotel_get_destination_stats(99, &to), HOTEL_ERR_ARGUMENT, "a destination that is none");
    is_int(hotel_get_destination_stats(SIZE_MAX, NULL), HOTEL_ERR_ARGUMENT, "... nor any");
    (void)hotel_get_destination_stats(0, NULL);
    ok(hotel_describe(NULL, 0) == hotel_describe(NULL, 0), "hotel_describe measures");
    (void)hotel_describe(state, 1);
    is_int(state[0], 0, "hotel_describe with room for NUL alone");
    ok(!hotel_is_valid(NULL) && !hotel_is_valid(&none), "TR-16 no context is valid");
    hotel_trace_id_hex(NULL, hex);
    is_str(hex, "00000000000000000000000000000000", "SP-21 the trace id of nothing");
    hotel_span_id_hex(NULL, hex);
    is_str(hex, "0000000000000000", "SP-21 the span id of nothing");
    is_int(hotel_tracestate_get(NULL, NULL, NULL, 0), -1, "WT-13 nothing from nothing");
    is_int(hotel_tracestate_get("a=1", NULL, NULL, 0), -1, "WT-13 no key");
    is_int(hotel_tracestate_get(NULL, "a", state, sizeof state), -1, "WT-13 no state");
    (void)hotel_tracestate_set(NULL, NULL, NULL, NULL, 0);
    is_int(hotel_tracestate_set("a=1", NULL, "x", state, sizeof state), 3, "WT-13 unchanged");
    is_int(hotel_tracestate_set("a=1", "A B", "x", state, 2), 3, "WT-13 unchanged, measured");
    hotel_log_to_stderr(HOTEL_LOG_NONE, HOTEL_LOG_ID_STARTED, NULL, NULL);
    ok(hotel_result_text(12345) != NULL && hotel_result_text(INT32_MIN) != NULL,
       "hotel_result_text of no result");
    ok(hotel_version() != NULL, "hotel_version");
    none = hotel_wrap(NULL).context;
    ok(!hotel_is_valid(&none), "SP-02 wrapping nothing");
}

static void call_everything(const hotel_span *span) {
    call_span_functions(span);
    call_propagation(span);
    call_context_functions();
    call_hatchet();
    call_starters();
    call_plain_functions();
    hotel_end_at(span, 0);
    hotel_end(span);
}

static void test_null_arguments(void) {
    hotel_span zero, span, copy, garbage;
    otlp_field field;
    memset(&zero, 0, sizeof zero);
    memset(&garbage, 0xa5, sizeof garbage);
    begin(NULL);
    call_everything(NULL);
    call_everything(&zero);
    call_everything(&garbage);
    span = hotel_start("all calls");
    copy = span;
    call_everything(&span);
    call_everything(&span);
    call_everything(&copy);
    ok(bad_arguments() > 20, "SP-30 unusable arguments are counted: %llu",
       (unsigned long long)bad_arguments());
    is_int(read_books().process.live, 0, "SP-17 nothing is left open");
    finish("NULL arguments");
    ok(received("kept name").at != NULL, "SP-06 the span itself arrives");
    ok(otlp_get(received("kept name"), 15, 0, &field) && otlp_get(field.bytes, 3, 0, &field) &&
           field.value == 2,
       "... with status Error, not 77");
    ok(log_count(HOTEL_LOG_ID_BAD_ARGUMENT) == 1, "SP-30 logged once, not per call (%u)",
       log_count(HOTEL_LOG_ID_BAD_ARGUMENT));
    server_release(&here);
}

/* ---- Before and after ----------------------------------------------------------------------- */

static void check_idle(const char *when) {
    hotel_span span = hotel_start("idle");
    books was = read_books(), is;
    ok(!hotel_is_recording(&span), "SP-01 %s: a span does not record", when);
    ok(!hotel_is_valid(&span.context), "SP-01 %s: and has no context of its own", when);
    is_int(hotel_flush(10), HOTEL_ERR_NOT_RUNNING, "BSP-19 %s: flush", when);
    is_int(hotel_poll(0), HOTEL_ERR_NOT_RUNNING, "BSP-19 %s: poll", when);
    call_everything(&span);
    call_everything(NULL);
    is = read_books();
    is_int(is.process.started, was.process.started, "BSP-19 %s: nothing is counted as started",
           when);
}

static void test_before_and_after(void) {
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    hotel_context context;
    hotel_span span, open;
    char out[HOTEL_TRACEPARENT_SIZE];
    check_idle("before hotel_init");
    is_int(hotel_shutdown(10), HOTEL_ERR_NOT_RUNNING, "shutdown before init");
    (void)hotel_release();
    context = hotel_extract(parent, "a=1");
    span = hotel_start_in(&context, "child", HOTEL_SERVER);
    ok(hotel_traceparent(&span, out), "SP-01 without an SDK the parent's context is passed on");
    is_str(out, parent, "SP-01 unchanged");
    hotel_context_release(&context);
    begin(NULL);
    is_int(hotel_init(NULL), HOTEL_ERR_RUNNING, "a second init");
    is_int(hotel_init_checked(NULL, 1, HOTEL_VERSION_NUMBER), HOTEL_ERR_HEADER,
           "a struct of another size");
    is_int(hotel_init_checked(NULL, sizeof(hotel_config), 990000), HOTEL_ERR_HEADER,
           "another version");
    hotel_end(&span);
    span = hotel_start("in time");
    hotel_end(&span);
    open = hotel_start("still open");
    finish("while it runs");
    is_int(server_num_spans(&here), 1, "only what ended is delivered");
    check_idle("after hotel_shutdown");
    hotel_set_str(&open, "late", "x");
    hotel_end(&open);
    hotel_end(&open);
    ok(!hotel_is_recording(&open), "BSP-19 a span that outlived shutdown is over");
    check_books("a span ended after shutdown");
    is_int(hotel_shutdown(10), HOTEL_OK, "BSP-19 a second shutdown");
    server_release(&here);
    begin(NULL);
    hotel_set_str(&open, "stale", "x");
    hotel_end(&open);
    hotel_end(&span);
    is_int(read_books().process.ended, books_opened.process.ended,
           "a handle of the former life changes nothing in the next one");
    finish("the next life");
    server_release(&here);
    is_int(hotel_release(), HOTEL_OK, "release");
    hotel_end(&open);
    hotel_set_str(&open, "released", "x");
    check_idle("after hotel_release");
    is_int(hotel_release(), HOTEL_OK, "a second release");
}

/* ---- Each kind of misuse: counted each time, logged once ------------------------------------ */

static hotel_context stale_context;

static void misuse_key(void) {
    hotel_span span = hotel_start("misuse");
    hotel_set_int(&span, "", 1);
    hotel_end(&span);
}

static void misuse_detach(void) {
    hotel_context context = hotel_current();
    hotel_token outer = hotel_attach(&context), inner = hotel_attach(&context);
    is_int(hotel_detach(outer), HOTEL_ERR_ORDER, "CP-05 the outer context first");
    is_int(hotel_detach(inner), HOTEL_ERR_ORDER, "CP-05 the inner one went with it");
}

static void misuse_depth(void) {
    hotel_token tokens[40];
    hotel_context context = hotel_current();
    size_t i;
    for (i = 0; i < COUNT(tokens); i++) tokens[i] = hotel_attach(&context);
    while (i-- > 0) is_int(hotel_detach(tokens[i]), HOTEL_OK, "CP-05 detached in order");
}

static void misuse_scopes(void) {
    static unsigned number;
    hotel_start_options options;
    hotel_tracer_config scope;
    char name[24];
    int i;
    memset(&scope, 0, sizeof scope);
    memset(&options, 0, sizeof options);
    scope.name = name;
    for (i = 0; i < 70; i++) {
        hotel_span span;
        (void)snprintf(name, sizeof name, "scope %u", number++);
        options.tracer = hotel_get_tracer(&scope);
        span = hotel_start_with("scoped", &options);
        hotel_end(&span);
    }
}

static void misuse_scope_name(void) {
    hotel_tracer_config scope;
    memset(&scope, 0, sizeof scope);
    (void)hotel_get_tracer(&scope);
}

static void misuse_stale(void) {
    hotel_span span = hotel_start_in(&stale_context, "stale", HOTEL_SERVER);
    hotel_end(&span);
}

static void misuse_metadata(void) {
    char out[64];
    hotel_span span = hotel_start("metadata");
    is_int(hotel_inject_metadata(&span, "[1]", out, sizeof out), 0, "metadata that is no object");
    is_str(out, "", "... gives nothing");
    hotel_end(&span);
}

static void misuse_traceparent(void) {
    hotel_context context =
        hotel_extract("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", NULL);
    hotel_context_release(&context);
}

static const struct {
    hotel_log_id id;
    void (*misuse)(void);
} misuses[] = {
    {HOTEL_LOG_ID_BAD_ARGUMENT, misuse_key},
    {HOTEL_LOG_ID_DETACH_ORDER, misuse_detach},
    {HOTEL_LOG_ID_ATTACH_DEPTH, misuse_depth},
    {HOTEL_LOG_ID_TOO_MANY_SCOPES, misuse_scopes},
    {HOTEL_LOG_ID_EMPTY_SCOPE_NAME, misuse_scope_name},
    {HOTEL_LOG_ID_STALE_REFERENCE, misuse_stale},
    {HOTEL_LOG_ID_BAD_METADATA, misuse_metadata},
    {HOTEL_LOG_ID_BAD_TRACEPARENT, misuse_traceparent},
};

static void test_misuse(void) {
    size_t i, k;
    for (i = 0; i < COUNT(misuses); i++) {
        char name[32];
        hotel_span span;
        (void)snprintf(name, sizeof name, "misuse of log id %d", (int)misuses[i].id);
        begin(NULL);
        stale_context =
            hotel_extract("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1");
        {
            hotel_context copy = stale_context;
            hotel_context_release(&copy);
        }
        for (k = 0; k < 3; k++) misuses[i].misuse();
        span = hotel_start("afterwards");
        ok(hotel_is_recording(&span), "P4 %s: all goes on", name);
        hotel_end(&span);
        finish(name);
        check_log(misuses[i].id, 1, name);
        is_int(log_count_all(), 1, "%s: and no other message", name);
        server_release(&here);
    }
    (void)hotel_release(); /* the tracers stay until then */
}

/* ---- Two lives ------------------------------------------------------------------------------ */

/* A span that is open at shutdown may end in the next life, or never: the books of both lives
   balance. */
static void test_open_over_lives(void) {
    hotel_span open, forgotten;
    begin(NULL);
    open = hotel_start("open");
    forgotten = hotel_start("forgotten");
    hotel_set_str(&forgotten, "a", "b");
    finish("the first life");
    is_int(read_books().process.live, 2, "two spans are open after shutdown");
    server_release(&here);
    begin(NULL);
    memset(&books_opened, 0, sizeof books_opened); /* hotel_init opens new books */
    check_books("at the start of the second life");
    hotel_set_str(&open, "second", "life");
    hotel_end(&open);
    open = hotel_start("new");
    hotel_end(&open);
    finish("the second life");
    ok(server_num_named(&here, "new") == 1, "the second life delivers");
    server_release(&here);
    hotel_end(&forgotten);
    check_books("after the end of a span of the first life");
    is_int(hotel_release(), HOTEL_OK, "release with a span open");
}

/* ---- Ended, recycled, garbage --------------------------------------------------------------- */

static void test_set_after_end(void) {
    enum { SPANS = 50 };
    static hotel_span old[SPANS];
    unsigned i, round;
    size_t extra = 0, s;
    begin(NULL);
    for (round = 0; round < 4; round++) {
        for (i = 0; i < SPANS; i++) {
            hotel_span fresh = hotel_start("fresh");
            if (round > 0) { /* its record may have been old[i]'s */
                hotel_set_str(&old[i], "intruder", "x");
                hotel_add_event(&old[i], "intruder");
                hotel_set_name(&old[i], "intruder");
                hotel_set_status(&old[i], HOTEL_STATUS_ERROR, "intruder");
                hotel_end(&old[i]);
            }
            hotel_end(&fresh);
            hotel_set_str(&fresh, "intruder", "x");
            hotel_set_name(&fresh, "intruder");
            hotel_end(&fresh);
            hotel_end_at(&fresh, 1);
            old[i] = fresh;
        }
        (void)!hotel_flush(2000);
    }
    finish("set after end");
    is_int(server_num_spans(&here), 4 * SPANS, "SP-17 each span arrives");
    is_int(server_num_duplicates(&here), 0, "SP-17 once");
    is_int(server_num_named(&here, "intruder"), 0, "SP-17 no name was set after the end");
    for (i = 0; i < server_num_requests(&here) && i < SERVER_MAX_REQUESTS; i++) {
        otlp_bytes body = server_request_at(&here, i)->body;
        for (s = 0; s + 8 <= body.size; s++) extra += memcmp(body.at + s, "intruder", 8) == 0;
    }
    is_int(extra, 0, "SP-17 nothing at all was set after the end");
    server_release(&here);
}

/* ---- Limits of nothing ---------------------------------------------------------------------- */

static void test_limits_of_nothing(void) {
    hotel_limits none;
    hotel_attr a = hotel_str("a", "text"), nested = hotel_attrn("m", 1, hotel_of_map(&a, 1));
    hotel_link link;
    hotel_span span;
    otlp_field field;
    otlp_bytes value;
    memset(&link, 0, sizeof link);
    memset(&none, 0, sizeof none);
    none.attribute_count = none.event_count = none.link_count = HOTEL_NONE;
    begin(&none);
    span = hotel_start("none");
    link.context = span.context;
    hotel_set(&span, a, nested);
    hotel_add_event_with(&span, "e", a);
    hotel_add_link(&span, &link);
    hotel_end(&span);
    finish("limits of nothing");
    is_int(otlp_count(received("none"), 9) + otlp_count(received("none"), 11) +
               otlp_count(received("none"), 13),
           0, "SP-34 HOTEL_NONE keeps no attribute, event or link (V-17)");
    (void)otlp_get(received("none"), 10, 0, &field);
    is_int(field.value, 2, "SP-34 dropped_attributes_count");
    (void)otlp_get(received("none"), 12, 0, &field);
    is_int(field.value, 1, "SP-51 dropped_events_count");
    (void)otlp_get(received("none"), 14, 0, &field);
    is_int(field.value, 1, "SP-51 dropped_links_count");
    is_int(read_books().process.limited - books_opened.process.limited, 4, "all four are counted");
    check_log(HOTEL_LOG_ID_LIMIT_REACHED, 1, "SP-38 four drops");
    server_release(&here);

    memset(&none, 0, sizeof none);
    none.attribute_value_length = none.attribute_value_depth = HOTEL_NONE;
    none.event_attribute_count = none.link_attribute_count = HOTEL_NONE;
    begin(&none);
    span = hotel_start("short");
    link.attributes = &a;
    link.num_attributes = 1;
    hotel_set(&span, a, nested);
    hotel_add_event_with(&span, "e", a);
    hotel_add_link(&span, &link);
    hotel_end(&span);
    finish("values of nothing");
    ok(otlp_attribute(received("short"), 9, "a", &value) && otlp_get(value, 1, 0, &field) &&
           field.bytes.size == 0,
       "SP-35 a string of no characters");
    ok(otlp_attribute(received("short"), 9, "m", &value) && value.size == 0,
       "SP-36 a map deeper than allowed is an empty value");
    (void)otlp_get(received("short"), 11, 0, &field);
    is_int(otlp_count(field.bytes, 3), 0, "SP-34 no attribute on the event");
    (void)otlp_get(field.bytes, 4, 0, &field);
    is_int(field.value, 1, "SP-85 dropped_attributes_count of the event");
    (void)otlp_get(received("short"), 13, 0, &field);
    is_int(otlp_count(field.bytes, 4), 0, "SP-34 no attribute on the link");
    (void)otlp_get(field.bytes, 5, 0, &field);
    is_int(field.value, 1, "SP-85 dropped_attributes_count of the link");
    server_release(&here);
}

/* ---- Odd but legal values ------------------------------------------------------------------- */

static void test_odd_values(void) {
    hotel_value deep[100], broken;
    hotel_span span;
    uint64_t before;
    hotel_attr list[4];
    size_t i;
    begin(NULL);
    span = hotel_start("odd");
    hotel_set_double(&span, "nan", (double)NAN);
    hotel_set_double(&span, "inf", (double)-INFINITY);
    hotel_set_int(&span, "min", INT64_MIN);
    deep[0] = hotel_of_str("core");
    for (i = 1; i < COUNT(deep); i++) deep[i] = hotel_of_array(&deep[i - 1], 1);
    hotel_set_attr(&span, hotel_attrn("deep", 4, deep[COUNT(deep) - 1]));
    broken = hotel_of_int(1);
    broken.type = (hotel_type)42;
    before = bad_arguments();
    hotel_set_attr(&span, hotel_attrn("type 42", 7, broken));
    ok(bad_arguments() > before, "a value of no type is counted");
    broken = hotel_of_str("x");
    broken.as.string = NULL;
    hotel_set_attr(&span, hotel_attrn("null text", 9, broken));
    /* In a list: what has a size and no key is nobody's twin. */
    list[0] = list[3] = hotel_str("twins", "text");
    list[1] = list[2] = hotel_str("other", "text");
    list[2].key = NULL;
    hotel_add_event_with(&span, "keyless", list[0], list[1], list[2], list[3]);
    hotel_set_map(&span, "keyless", list, COUNT(list));
    hotel_end_at(&span, 1);
    span = hotel_start_as("ends before it starts", HOTEL_SERVER);
    hotel_end_at(&span, 1);
    finish("odd values");
    is_int(server_num_spans(&here), 2, "both spans arrive");
    server_release(&here);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_before_and_after();
    test_text();
    test_repaired_twins();
    test_text_in_configuration();
    test_null_arguments();
    test_misuse();
    test_open_over_lives();
    test_set_after_end();
    test_limits_of_nothing();
    test_odd_values();
    return done_testing();
}
