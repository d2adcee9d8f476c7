/*
 * SPDX-License-Identifier: MIT
 *
 * test_hatchet.c - spans of Hatchet's tasks and triggers: which attributes are there, who inherits
 * them, how a run ends, and the traceparent in a run's metadata.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pthread.h>

#include "sink.h"

#define TRIGGER "hatchet.run_workflow"
#define TASK "hatchet.start_step_run"
#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

static const int32_t zero_index = 0, index_seven = 7;

/* Every member set, so that the attribute of each is known. */
static hotel_step_run full_run(void) {
    hotel_step_run run;
    memset(&run, 0, sizeof run);
    run.workflow_name = "orders";
    run.step_name = "charge";
    run.action_name = "orders:charge";
    run.step_run_id = "8e9b2d3c-0000-4000-8000-000000000001";
    run.workflow_run_id = "8e9b2d3c-0000-4000-8000-000000000002";
    run.step_id = "8e9b2d3c-0000-4000-8000-000000000003";
    run.workflow_id = "8e9b2d3c-0000-4000-8000-000000000004";
    run.workflow_version_id = "8e9b2d3c-0000-4000-8000-000000000005";
    run.worker_id = "8e9b2d3c-0000-4000-8000-000000000006";
    run.tenant_id = "8e9b2d3c-0000-4000-8000-000000000007";
    run.retry_count = 2;
    run.child_workflow_index = &index_seven;
    run.child_workflow_key = "item-7";
    run.parent_workflow_run_id = "8e9b2d3c-0000-4000-8000-000000000008";
    run.triggering_event_external_id = "8e9b2d3c-0000-4000-8000-000000000009";
    run.triggering_event_key = "order:created";
    run.payload = "{\"input\":{\"n\":1}}";
    return run;
}

typedef struct pair {
    const char *key, *value;
} pair;

static const pair full_pairs[] = {
    {"instrumentor", "hatchet"},
    {"hatchet.workflow_name", "orders"},
    {"hatchet.step_name", "charge"},
    {"hatchet.action_name", "orders:charge"},
    {"hatchet.step_run_id", "8e9b2d3c-0000-4000-8000-000000000001"},
    {"hatchet.workflow_run_id", "8e9b2d3c-0000-4000-8000-000000000002"},
    {"hatchet.step_id", "8e9b2d3c-0000-4000-8000-000000000003"},
    {"hatchet.workflow_id", "8e9b2d3c-0000-4000-8000-000000000004"},
    {"hatchet.workflow_version_id", "8e9b2d3c-0000-4000-8000-000000000005"},
    {"hatchet.worker_id", "8e9b2d3c-0000-4000-8000-000000000006"},
    {"hatchet.tenant_id", "8e9b2d3c-0000-4000-8000-000000000007"},
    {"hatchet.child_workflow_key", "item-7"},
    {"hatchet.parent_workflow_run_id", "8e9b2d3c-0000-4000-8000-000000000008"},
    {"hatchet.triggering_event_external_id", "8e9b2d3c-0000-4000-8000-000000000009"},
    {"hatchet.triggering_event_key", "order:created"},
    {"hatchet.payload", "{\"input\":{\"n\":1}}"},
};

static void check_full(otlp_bytes span, const char *which) {
    size_t i;
    for (i = 0; i < COUNT(full_pairs); i++) {
        is_str(string_of(span, full_pairs[i].key), full_pairs[i].value, "%s: %s", which,
               full_pairs[i].key);
    }
    is_int(integer_of(span, "hatchet.retry_count"), 2, "%s: retry count", which);
    is_int(integer_of(span, "hatchet.child_workflow_index"), 7, "%s: child index", which);
}

/* The key of the first attribute of a span. */
static const char *first_key(otlp_bytes span) {
    return text(part(span, SPAN_ATTRIBUTE, 0), 1);
}

static otlp_bytes scope_found;

static void find_scope(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                       void *user_data) {
    (void)resource_spans;
    (void)user_data;
    if (otlp_equal(part(span, SPAN_NAME, 0), TASK)) scope_found = part(scope_spans, 1, 0);
}

static void test_full(void) {
    hotel_step_run run = full_run();
    hotel_task task;
    hotel_span child, grandchild;
    otlp_bytes got;
    sink_open(NULL);
    task = hotel_start_step_run(&run);
    {
        HOTEL_SCOPE(scope, hotel_start("child"));
        child = scope;
        grandchild = hotel_start("grandchild");
        hotel_end(&grandchild);
    }
    hotel_task_succeed(&task);
    got = delivered(TASK);
    check_full(got, "the task's span");
    is_str(first_key(got), "instrumentor", "the instrumentor is the first attribute");
    is_int(num_attributes(got), COUNT(full_pairs) + 2, "and nothing else is there");
    is_int(number(got, SPAN_KIND), 5, "SP-14 a task is a CONSUMER");
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 1, "SP-62 success is status OK");
    ok(!has(got, SPAN_PARENT), "without metadata and current span it is a root");
    ok(child_of(span_of("child"), &task.span), "TR-21 a span inside is its child");
    ok(child_of(span_of("grandchild"), &child), "TR-21 and so on");
    check_full(span_of("child"), "a child");
    check_full(span_of("grandchild"), "a grandchild");
    is_int(number(span_of("child"), SPAN_DROPPED_ATTRIBUTES), 0, "SP-85 nothing was dropped");
    (void)otlp_each_span(sink_bodies[0], find_scope, NULL);
    is_str(text(scope_found, 1), "hatchet_otel", "TR-05 the scope of Hatchet's spans");
    is_str(text(scope_found, 2), hotel_version(), "TR-05 and its version");
    ok(!has_attribute(delivered("child"), "nothing"), "no attribute is made up");
    (void)leaf("outside", NULL);
    is_int(num_attributes(delivered("outside")), 0, "after the task nothing is inherited");
    sink_close("a task");
}

static void test_empty(void) {
    hotel_step_run run;
    hotel_task task;
    otlp_bytes got;
    memset(&run, 0, sizeof run);
    sink_open(NULL);
    task = hotel_start_step_run(&run);
    hotel_task_succeed(&task);
    got = delivered(TASK);
    is_int(num_attributes(got), 2, "a zeroed run: two attributes");
    is_str(string_of(got, "instrumentor"), "hatchet", "a zeroed run: the instrumentor");
    is_int(integer_of(got, "hatchet.retry_count"), 0, "a zeroed run: retry count 0 is sent");
    run.workflow_name = run.step_id = "";
    run.payload = "{}";
    run.tenant_id = "[]";
    run.child_workflow_index = &zero_index;
    run.step_name = "sized name";
    run.step_name_size = 5;
    run.worker_id = "{} ";
    task = hotel_start_step_run(&run);
    hotel_task_succeed(&task);
    got = delivered(TASK);
    is_int(num_attributes(got), 5, "empty texts, {} and [] are left out");
    ok(!has_attribute(got, "hatchet.workflow_name"), "an empty text");
    ok(!has_attribute(got, "hatchet.payload"), "{}");
    ok(!has_attribute(got, "hatchet.tenant_id"), "[]");
    is_int(integer_of(got, "hatchet.child_workflow_index"), 0, "a child index of 0 is sent");
    is_str(string_of(got, "hatchet.step_name"), "sized", "a size goes before the NUL");
    is_str(string_of(got, "hatchet.worker_id"), "{} ", "what only looks empty is sent");
    task = hotel_start_step_run(NULL);
    hotel_task_succeed(&task);
    hotel_task_succeed(NULL);
    hotel_task_fail(NULL, "x");
    sink_flush();
    is_int(num_delivered(), 2, "SP-06 NULL starts no task");
    sink_close("presence");
}

static void test_payload(void) {
    static char payload[8000];
    static const size_t sizes[] = {1, 2047, 2048, 2049, 7999};
    size_t i;
    memset(payload, 'p', sizeof payload - 1);
    sink_open(NULL);
    for (i = 0; i < COUNT(sizes); i++) {
        hotel_step_run run;
        hotel_task task;
        hotel_span child;
        otlp_bytes value;
        memset(&run, 0, sizeof run);
        run.payload = payload;
        run.payload_size = sizes[i];
        task = hotel_start_step_run(&run);
        child = hotel_start("child");
        hotel_end(&child);
        hotel_task_succeed(&task);
        value = part(attribute(delivered(TASK), "hatchet.payload"), ANY_STRING, 0);
        is_mem(value.at, value.size, payload, sizes[i], "a payload of %u: on the task's span",
               (unsigned)sizes[i]);
        is_int(has_attribute(span_of("child"), "hatchet.payload"), sizes[i] <= 2048,
               "a payload of %u: on its children up to 2 KiB", (unsigned)sizes[i]);
    }
    sink_close("payloads");
}

static void test_own_keys(void) {
    hotel_config config = sink_config();
    hotel_step_run run = full_run();
    hotel_task task, inner;
    hotel_span child;
    otlp_bytes got;
    size_t i;
    config.limits.attribute_count = 3;
    sink_open(&config);
    task = hotel_start_step_run(&run);
    child = hotel_start("own keys");
    hotel_set_str(&child, "hatchet.tenant_id", "mine");
    hotel_set_int(&child, "hatchet.retry_count", 99);
    hotel_set_str(&child, "own", "value");
    hotel_set_str(&child, "too much", "value");
    hotel_end(&child);
    hotel_set_str(&task.span, "hatchet.step_name", "renamed");
    run = full_run();
    run.workflow_name = "nested";
    run.tenant_id = NULL;
    inner = hotel_start_step_run(&run);
    child = hotel_start("in nested");
    hotel_end(&child);
    hotel_task_succeed(&inner);
    child = hotel_start("after nested");
    hotel_end(&child);
    hotel_task_succeed(&task);
    got = delivered("own keys");
    is_str(string_of(got, "hatchet.tenant_id"), "mine", "SP-33 a span's own key wins");
    is_int(integer_of(got, "hatchet.retry_count"), 99, "SP-33 with another type too");
    is_str(string_of(got, "hatchet.workflow_name"), "orders", "SP-33 the others are inherited");
    is_str(string_of(got, "own"), "value", "SP-34 inherited ones do not count for the limit");
    is_int(num_attributes(got), COUNT(full_pairs) + 2 + 1, "SP-33 every key once");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 1, "SP-34 own ones do");
    ok(child_of(span_of("in nested"), &inner.span), "TR-21 a nested task is current");
    is_str(string_of(span_of("in nested"), "hatchet.workflow_name"), "nested",
           "a nested task's attributes");
    ok(!has_attribute(span_of("in nested"), "hatchet.tenant_id"), "are not mixed with the outer's");
    ok(child_of(span_of("after nested"), &task.span), "TR-14 then the outer one is current again");
    is_str(string_of(span_of("after nested"), "hatchet.tenant_id"), run.tenant_id == NULL
               ? "8e9b2d3c-0000-4000-8000-000000000007" : "", "with the outer's attributes");
    for (i = 0; i < sink_num_bodies; i++) {
        otlp_bytes outer = otlp_span_named(sink_bodies[i], "own keys");
        if (outer.at != NULL) ok(otlp_check(OTLP_SPAN, outer, 0) == NULL, "SP-33 well formed");
    }
    sink_close("own keys");
}

static void *work_apart(void *user_data) {
    hotel_context *context = (hotel_context *)user_data;
    HOTEL_ATTACH(guard, context);
    HOTEL_SCOPE(span, hotel_start("apart"));
    hotel_set_int(&span, "n", 1);
    return NULL;
}

static void test_threads(void) {
    hotel_step_run run = full_run();
    hotel_task task;
    hotel_context held;
    pthread_t threads[3];
    size_t i;
    sink_open(NULL);
    task = hotel_start_step_run(&run);
    held = hotel_context_hold(&task.context);
    for (i = 0; i < 3; i++) {
        if (pthread_create(&threads[i], NULL, work_apart, &held) != 0) abort();
    }
    for (i = 0; i < 3; i++) (void)pthread_join(threads[i], NULL);
    hotel_task_succeed(&task);
    check_full(delivered("apart"), "a span on another thread");
    ok(child_of(span_of("apart"), &task.span), "CP-06 under the task");
    is_int(num_delivered(), 4, "CP-06 all of them");
    hotel_context_release(&held);
    sink_close("threads in a task");
}

/* ---- How a task ends ------------------------------------------------------------------------ */

static void test_ends(void) {
    hotel_step_run run = full_run();
    hotel_task task;
    hotel_span now;
    otlp_bytes got, event;
    sink_open(NULL);
    task = hotel_start_step_run(&run);
    hotel_task_fail(&task, "card declined");
    hotel_task_fail(&task, "again");
    hotel_task_succeed(&task);
    now = hotel_current_span();
    ok(!hotel_is_valid(&now.context), "TR-14 a failed task is not current any more");
    got = delivered(TASK);
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 2, "SP-56 failure is status ERROR");
    is_str(text(part(got, SPAN_STATUS, 0), STATUS_MESSAGE), "card declined", "SP-56 with its text");
    is_int(otlp_count(got, SPAN_EVENT), 1, "SP-17 a second end changes nothing");
    event = part(got, SPAN_EVENT, 0);
    is_str(text(event, EVENT_NAME), "exception", "SP-54 an exception event");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.message"), 1), "card declined",
           "SP-54 with the message");
    is_int(otlp_count(event, EVENT_ATTRIBUTE), 1, "SP-54 and without a type");
    task = hotel_start_step_run(&run);
    hotel_task_fail_as(&task, "Declined", "no money", "at charge()");
    got = delivered(TASK);
    event = part(got, SPAN_EVENT, 0);
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.type"), 1), "Declined", "its type");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.stacktrace"), 1), "at charge()",
           "its stack trace");
    task = hotel_start_step_run(&run);
    hotel_task_fail(&task, NULL);
    got = delivered(TASK);
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 2, "a failure without a word");
    ok(!has(got, SPAN_EVENT), "SP-54 has no exception event: type or message must be there");
    is_int(num_delivered(), 3, "SP-17 each task once");
    sink_close("ends");
}

/* ---- Triggers ------------------------------------------------------------------------------- */

static void test_triggers(void) {
    static const pair pairs[] = {
        {"instrumentor", "hatchet"},          {"hatchet.workflow_name", "orders"},
        {"hatchet.payload", "{\"n\":1}"},     {"hatchet.parent_id", "p-1"},
        {"hatchet.parent_step_run_id", "s-1"}, {"hatchet.child_key", "k-1"},
        {"hatchet.namespace", "ns"},          {"hatchet.additional_metadata", "{\"a\":1}"},
        {"hatchet.desired_worker_id", "w-1"}, {"hatchet.key", "key-1"},
    };
    const bool sticky = false;
    hotel_trigger trigger;
    hotel_step_run run = full_run();
    hotel_task task;
    hotel_span span;
    otlp_bytes got;
    size_t i;
    memset(&trigger, 0, sizeof trigger);
    sink_open(NULL);
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
    got = delivered(TRIGGER);
    is_int(num_attributes(got), 1, "a zeroed trigger: the instrumentor only");
    is_int(number(got, SPAN_KIND), 4, "SP-14 a trigger is a PRODUCER");
    trigger.workflow_name = "orders";
    trigger.payload = "{\"n\":1}";
    trigger.parent_id = "p-1";
    trigger.parent_step_run_id = "s-1";
    trigger.child_index = &zero_index;
    trigger.child_key = "k-1";
    trigger.namespace_name = "ns";
    trigger.additional_metadata = "{\"a\":1}";
    trigger.priority = &zero_index;
    trigger.desired_worker_id = "w-1";
    trigger.sticky = &sticky;
    trigger.key = "key-1";
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
    got = delivered(TRIGGER);
    for (i = 0; i < COUNT(pairs); i++) {
        is_str(string_of(got, pairs[i].key), pairs[i].value, "a trigger: %s", pairs[i].key);
    }
    is_int(integer_of(got, "hatchet.child_index"), 0, "a child index of 0 is sent");
    is_int(integer_of(got, "hatchet.priority"), 0, "a priority of 0 is sent");
    ok(has(attribute(got, "hatchet.sticky"), ANY_BOOL), "sticky false is sent");
    is_int(num_attributes(got), COUNT(pairs) + 3, "and nothing else");
    is_str(first_key(got), "instrumentor", "the instrumentor is the first attribute");
    trigger.payload = "[]";
    trigger.additional_metadata = "{}";
    trigger.key = "";
    trigger.workflow_name_size = 3;
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
    got = delivered(TRIGGER);
    is_int(num_attributes(got), COUNT(pairs), "[], {} and \"\" are left out");
    is_str(string_of(got, "hatchet.workflow_name"), "ord", "a size goes before the NUL");
    task = hotel_start_step_run(&run);
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
    hotel_task_succeed(&task);
    got = delivered(TRIGGER);
    ok(child_of(got, &task.span), "a run started inside a task: the task's span is its parent");
    is_str(string_of(got, "hatchet.step_run_id"), run.step_run_id, "with the task's attributes");
    is_str(string_of(got, "hatchet.workflow_name"), "ord", "SP-33 and its own workflow's name");
    sink_close("triggers");
}

/* ---- Metadata ------------------------------------------------------------------------------- */

typedef struct inject_row {
    const char *name;
    const char *given;
    const char *want; /* T: the span's traceparent, S: its tracestate; NULL: refused */
} inject_row;

#define T "00-" IDS "-01"
#define TP "\"traceparent\":\"" T "\""

static const inject_row injects[] = {
    {"nothing", NULL, "{" TP "}"},
    {"an empty text", "", "{" TP "}"},
    {"an empty object", "{}", "{" TP "}"},
    {"a traceparent", "{\"traceparent\":\"old\"}", "{" TP "}"},
    {"a traceparent that is no string", "{\"a\":1,\"traceparent\":[1,{\"b\":2}],\"c\":3}",
     "{\"a\":1," TP ",\"c\":3}"},
    {"an array", "[]", NULL},
    {"a text", "\"x\"", NULL},
    {"a number", "1", NULL},
    {"half an object", "{\"a\":1", NULL},
    {"more than an object", "{} x", NULL},
    {"no JSON", "what", NULL},
};

static void test_inject(void) {
    static const char odd[] = "{ \"a\" : 1.0e+2 ,\t\"\\u00e4\":\"\\ud83d\\ude00\" ,\n\"z\": [ ] }";
    hotel_context parent;
    hotel_span span, none;
    char out[512], small[20];
    size_t i, size, refused = 0;
    sink_open(NULL);
    memset(&none, 0, sizeof none);
    parent = hotel_extract(T, NULL);
    span = parent.span;
    for (i = 0; i < COUNT(injects); i++) {
        const inject_row *row = &injects[i];
        memset(out, 'x', sizeof out);
        size = hotel_inject_metadata(&span, row->given, out, sizeof out);
        is_str(out, row->want != NULL ? row->want : "", "inject into %s", row->name);
        is_int(size, row->want != NULL ? strlen(row->want) : 0, "inject into %s: size", row->name);
        refused += row->want == NULL;
    }
    is_int(read_books().process.rejected_parents - books_opened.process.rejected_parents,
           (long long)refused, "what is not an object is counted");
    (void)hotel_inject_metadata(&span, "{\"a\":{\"traceparent\":\"x\"}}", out, sizeof out);
    ok(strstr(out, "{\"traceparent\":\"x\"}") != NULL && strstr(out, TP) != NULL,
       "inject: inner members stay (%s)", out);
    (void)hotel_inject_metadata(&span, odd, out, sizeof out);
    ok(strstr(out, "\"a\" : 1.0e+2 ,\t\"\\u00e4\":\"\\ud83d\\ude00\" ,\n\"z\": [ ]") != NULL,
       "inject: every other byte is kept (%s)", out);
    ok(strstr(out, TP) != NULL, "inject: the traceparent is there");
    (void)hotel_inject_metadata(&none, odd, out, sizeof out);
    is_str(out, odd, "inject: a span without a context changes nothing");
    (void)hotel_inject_metadata(&span, "{\"a\":1,\"tracestate\":\"old=1\"}", out, sizeof out);
    ok(strstr(out, "old=1") == NULL, "inject: without a tracestate the old one goes (%s)", out);
    size = hotel_inject_metadata(&span, "{}", small, sizeof small);
    is_int(size, strlen("{" TP "}"), "inject: the size needed when it does not fit");
    ok(memchr(small, '\0', sizeof small) != NULL, "inject: ends in NUL then too");
    is_int(hotel_inject_metadata(&span, "{}", NULL, 0), size, "inject: asked with no room");
    is_int(hotel_inject_metadata_n(&span, "{}garbage", 2, out, sizeof out), size,
           "inject: a size goes before the NUL");
    hotel_context_release(&parent);
    parent = hotel_extract(T, "a=1,b=2");
    (void)hotel_inject_metadata(&parent.span, "{\"tracestate\":\"old=1\"}", out, sizeof out);
    ok(strstr(out, "\"tracestate\":\"a=1,b=2\"") != NULL && strstr(out, "old") == NULL,
       "inject: the tracestate replaces the old one (%s)", out);
    ok(strstr(out, TP) != NULL, "inject: beside the traceparent");
    hotel_context_release(&parent);
    sink_close("inject");
}

typedef struct parent_row {
    const char *name, *metadata;
    int from; /* 0: a new trace, 1: the current span, 2: the metadata */
} parent_row;

static const parent_row parent_rows[] = {
    {"absent", NULL, 1},
    {"empty", "", 1},
    {"an empty object", "{}", 1},
    {"no traceparent", "{\"a\":{\"traceparent\":\"" T "\"}}", 1},
    {"a traceparent", "{\"a\":1,\"traceparent\":\"" T "\"}", 2},
    {"with escapes", "{\"trace\\u0070arent\":\"0\\u0030-" IDS "-01\"}", 2},
    {"with a tracestate", "{\"tracestate\":\"x=1\",\"traceparent\":\"" T "\"}", 2},
    {"with a bad tracestate", "{\"tracestate\":\"X\",\"traceparent\":\"" T "\"}", 2},
    {"a malformed traceparent", "{\"traceparent\":\"00-xyz-01\"}", 0},
    {"a traceparent that is a number", "{\"traceparent\":1}", 0},
    {"not an object", "[1]", 0},
    {"no JSON", "{\"traceparent\":\"" T "\"", 0},
};

static void test_parents(void) {
    hotel_context around;
    hotel_token token;
    hotel_span outer;
    size_t i;
    sink_open(NULL);
    outer = hotel_start("outer");
    around = only(&outer);
    token = hotel_attach(&around);
    for (i = 0; i < COUNT(parent_rows); i++) {
        const parent_row *row = &parent_rows[i];
        hotel_step_run run = full_run();
        hotel_task task;
        otlp_bytes got;
        char id[33];
        run.additional_metadata = row->metadata;
        task = hotel_start_step_run(&run);
        hotel_trace_id_hex(&task.span.context, id);
        hotel_task_succeed(&task);
        got = delivered(TASK);
        is_int(same_trace(&task.span, &outer), row->from == 1, "%s: the current trace", row->name);
        is_int(strncmp(id, IDS, 32) == 0, row->from == 2, "%s: the metadata's trace", row->name);
        is_int(has(got, SPAN_PARENT), row->from != 0, "%s: a parent", row->name);
        is_int(number(got, SPAN_FLAGS) >> 8, row->from == 2 ? 3 : 1, "SP-80 %s: remote", row->name);
        is_str(has(got, SPAN_STATE) ? text(got, SPAN_STATE) : "",
               strcmp(row->name, "with a tracestate") == 0 ? "x=1" : "", "SP-12 %s: tracestate",
               row->name);
        around = hotel_extract_metadata(row->metadata,
                                        row->metadata != NULL ? strlen(row->metadata) : 0);
        is_int(around.span.context.is_remote, row->from == 2, "%s: extracted", row->name);
        if (row->from != 2) ok(same_id(&around.span, &outer), "WP-17 %s: as it was", row->name);
        hotel_context_release(&around);
    }
    is_int(hotel_detach(token), HOTEL_OK, "CP-05 every task left its place");
    hotel_end(&outer);
    sink_flush();
    sink_close("metadata");
}

int main(void) {
    test_full();
    test_empty();
    test_payload();
    test_own_keys();
    test_threads();
    test_ends();
    test_triggers();
    test_inject();
    test_parents();
    return done_testing();
}
