/*
 * SPDX-License-Identifier: MIT
 *
 * test_operations.c - the operations of a Hatchet client: names, kinds, parents, every attribute,
 * what is left out, what cannot be used, settings, metadata of events, and log lines.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pthread.h>

#include "guard.h"
#include "sink.h"

#define RUN_ID "8e9b2d3c-0000-4000-8000-000000000002"
#define STEP_ID "8e9b2d3c-0000-4000-8000-000000000001"
#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
#define T "00-" IDS "-01"

static const int32_t zero = 0, three = 3, minus_one = -1;

static otlp_bytes status_of(otlp_bytes span) {
    return part(span, SPAN_STATUS, 0);
}

/* ---- Members, whatever the operation -------------------------------------------------------- */

/* The struct of any operation; not a union, which C++11 would want a constructor of. */
typedef struct input {
    hotel_step_run task;
    hotel_trigger trigger;
    hotel_schedule schedule;
    hotel_hatchet_event event;
    hotel_wait wait;
} input;

typedef struct member {
    hotel_hatchet_key key;
    size_t offset; /* of the text; its size is the next member */
} member;

#define MEMBER(of, KEY, name) {HOTEL_HATCHET_##KEY, offsetof(input, of.name)}

static const member task_members[] = {
    MEMBER(task, TENANT_ID, tenant_id),
    MEMBER(task, WORKER_ID, worker_id),
    MEMBER(task, WORKFLOW_RUN_ID, workflow_run_id),
    MEMBER(task, STEP_ID, step_id),
    MEMBER(task, STEP_RUN_ID, step_run_id),
    MEMBER(task, PARENT_WORKFLOW_RUN_ID, parent_workflow_run_id),
    MEMBER(task, CHILD_WORKFLOW_KEY, child_workflow_key),
    MEMBER(task, WORKFLOW_NAME, workflow_name),
    MEMBER(task, ACTION_NAME, action_name),
    MEMBER(task, STEP_NAME, step_name),
    MEMBER(task, WORKFLOW_ID, workflow_id),
    MEMBER(task, WORKFLOW_VERSION_ID, workflow_version_id),
    MEMBER(task, TRIGGERING_EVENT_EXTERNAL_ID, triggering_event_external_id),
    MEMBER(task, TRIGGERING_EVENT_KEY, triggering_event_key),
    MEMBER(task, PAYLOAD, payload),
};
static const member trigger_members[] = {
    MEMBER(trigger, WORKFLOW_NAME, workflow_name),
    MEMBER(trigger, PAYLOAD, payload),
    MEMBER(trigger, PARENT_ID, parent_id),
    MEMBER(trigger, PARENT_STEP_RUN_ID, parent_step_run_id),
    MEMBER(trigger, CHILD_KEY, child_key),
    MEMBER(trigger, NAMESPACE, namespace_name),
    MEMBER(trigger, ADDITIONAL_METADATA, additional_metadata),
    MEMBER(trigger, DESIRED_WORKER_ID, desired_worker_id),
    MEMBER(trigger, KEY, key),
};
static const member schedule_members[] = {
    MEMBER(schedule, WORKFLOW_NAME, workflow_name),
    MEMBER(schedule, PAYLOAD, payload),
    MEMBER(schedule, PARENT_ID, parent_id),
    MEMBER(schedule, PARENT_STEP_RUN_ID, parent_step_run_id),
    MEMBER(schedule, CHILD_KEY, child_key),
    MEMBER(schedule, NAMESPACE, namespace_name),
    MEMBER(schedule, ADDITIONAL_METADATA, additional_metadata),
};
static const member event_members[] = {
    MEMBER(event, EVENT_KEY, event_key),
    MEMBER(event, PAYLOAD, payload),
    MEMBER(event, ADDITIONAL_METADATA, additional_metadata),
    MEMBER(event, SCOPE, scope),
};
static const member wait_members[] = {
    MEMBER(wait, STEP_RUN_ID, step_run_id),
    MEMBER(wait, SIGNAL_KEY, signal_key),
};

typedef struct operation {
    const char *name;
    int kind; /* as on the wire */
    const member *members;
    size_t num_members;
    size_t num_numbers; /* attributes beside the texts and the instrumentor */
} operation;

enum { TASK, TRIGGER, SCHEDULE, EVENT, WAIT, NUM_OPERATIONS };

static const operation operations[] = {
    {"hatchet.start_step_run", 5, task_members, COUNT(task_members), 2},
    {"hatchet.run_workflow", 4, trigger_members, COUNT(trigger_members), 3},
    {"hatchet.schedule_workflow", 4, schedule_members, COUNT(schedule_members), 3},
    {"hatchet.push_event", 4, event_members, COUNT(event_members), 1},
    {"hatchet.durable.wait_for", 1, wait_members, COUNT(wait_members), 1},
};

static void set_member(input *in, const member *m, const char *text, size_t size) {
    memcpy((char *)in + m->offset, &text, sizeof text);
    memcpy((char *)in + m->offset + sizeof text, &size, sizeof size);
}

/* The numbers of an operation. */
static void set_numbers(int which, input *in, const int32_t *value) {
    static const int64_t when = 1893553445000678000;
    static const bool sticky = true;
    if (which == TASK) {
        in->task.retry_count = *value;
        in->task.child_workflow_index = value;
    } else if (which == TRIGGER) {
        in->trigger.child_index = in->trigger.priority = value;
        in->trigger.sticky = &sticky;
    } else if (which == SCHEDULE) {
        in->schedule.child_index = in->schedule.priority = value;
        in->schedule.run_at_unix_ns = &when;
        in->schedule.num_run_at = 1;
    } else if (which == EVENT) {
        in->event.priority = value;
    } else {
        in->wait.num_conditions = value;
    }
}

static bool names_run(hotel_hatchet_key key) {
    return key == HOTEL_HATCHET_STEP_RUN_ID || key == HOTEL_HATCHET_WORKFLOW_RUN_ID;
}

/* A text of its own for each key. */
static const char *value_for(hotel_hatchet_key key) {
    if (key == HOTEL_HATCHET_STEP_RUN_ID) return STEP_ID;
    if (key == HOTEL_HATCHET_WORKFLOW_RUN_ID) return RUN_ID;
    return hotel_hatchet_key_name(key) + 8;
}

/* Starts and ends the operation; the span as delivered. */
static otlp_bytes run(int which, const input *in) {
    hotel_span span;
    sink_clear();
    if (which == TASK) {
        hotel_task task = hotel_start_step_run(&in->task);
        hotel_task_cancel(&task);
        return delivered(operations[which].name);
    }
    if (which == TRIGGER) span = hotel_start_run_workflow(&in->trigger);
    else if (which == SCHEDULE) span = hotel_start_schedule_workflow(&in->schedule);
    else if (which == EVENT) span = hotel_start_push_event(&in->event);
    else span = hotel_start_wait_for(&in->wait);
    hotel_end(&span);
    return delivered(operations[which].name);
}

static void fill(int which, input *in) {
    size_t i;
    memset((void *)in, 0, sizeof *in);
    for (i = 0; i < operations[which].num_members; i++) {
        const member *m = &operations[which].members[i];
        set_member(in, m, value_for(m->key), 0);
    }
    set_numbers(which, in, &three);
}

/* Every member at once, each behind exactly as many bytes as it has. */
static void test_all_members(int which) {
    const operation *o = &operations[which];
    char *copies[COUNT(task_members)];
    otlp_bytes got;
    size_t i;
    input in;
    sink_open(NULL);
    fill(which, &in);
    for (i = 0; i < o->num_members; i++) {
        const char *value = value_for(o->members[i].key);
        size_t size = strlen(value);
        copies[i] = (char *)malloc(size);
        if (copies[i] == NULL) abort();
        memcpy(copies[i], value, size);
        set_member(&in, &o->members[i], copies[i], size);
    }
    got = run(which, &in);
    is_int(number(got, SPAN_KIND), o->kind, "SP-14 %s: kind", o->name);
    is_int(number(status_of(got), STATUS_CODE), 0, "%s: no status of its own", o->name);
    is_str(text(part(got, SPAN_ATTRIBUTE, 0), 1), "instrumentor", "%s: instrumentor is first",
           o->name);
    is_str(string_of(got, "instrumentor"), "hatchet", "%s: instrumentor", o->name);
    is_int(num_attributes(got), 1 + o->num_members + o->num_numbers, "%s: every attribute once",
           o->name);
    for (i = 0; i < o->num_members; i++) {
        const char *key = hotel_hatchet_key_name(o->members[i].key);
        is_str(string_of(got, key), value_for(o->members[i].key), "%s: %s", o->name, key);
        free(copies[i]);
    }
    sink_close(o->name);
}

static void test_numbers(int which) {
    static const char *const keys[NUM_OPERATIONS][2] = {
        {"hatchet.retry_count", "hatchet.child_workflow_index"},
        {"hatchet.child_index", "hatchet.priority"},
        {"hatchet.child_index", "hatchet.priority"},
        {"hatchet.priority", NULL},
        {"hatchet.num_conditions", NULL}};
    const char *name = operations[which].name;
    otlp_bytes got;
    size_t i;
    input in;
    sink_open(NULL);
    for (i = 0; i < 2 && keys[which][i] != NULL; i++) {
        const char *key = keys[which][i];
        fill(which, &in);
        is_int(integer_of(run(which, &in), key), 3, "%s: %s", name, key);
        set_numbers(which, &in, &zero);
        is_int(integer_of(run(which, &in), key), 0, "%s: %s zero is sent", name, key);
        set_numbers(which, &in, &minus_one);
        got = run(which, &in);
        ok(!has_attribute(got, key), "%s: %s below zero is left out", name, key);
        is_int(num_attributes(got), 1 + operations[which].num_members +
                   operations[which].num_numbers - (keys[which][1] != NULL ? 2 : 1),
               "%s: nothing else", name);
        memset((void *)&in, 0, sizeof in);
        got = run(which, &in);
        is_int(has_attribute(got, key), which == TASK && i == 0, "%s: %s not given", name, key);
    }
    check_log(HOTEL_LOG_ID_BAD_FIELD, keys[which][1] != NULL ? 2 : 1, name);
    sink_close("numbers");
}

/* What is left out for each member. */
static void test_presence(int which) {
    static const char *const empties[] = {NULL, "", "{}", "[]"};
    const operation *o = &operations[which];
    size_t i, k;
    input in;
    sink_open(NULL);
    for (i = 0; i < o->num_members; i++) {
        const char *key = hotel_hatchet_key_name(o->members[i].key);
        for (k = 0; k < COUNT(empties); k++) {
            otlp_bytes got;
            fill(which, &in);
            set_member(&in, &o->members[i], empties[k], 0);
            got = run(which, &in);
            ok(!has_attribute(got, key) && num_attributes(got) == o->num_members + o->num_numbers,
               "%s: %s %s is left out, and nothing else", o->name, key,
               empties[k] != NULL ? empties[k] : "NULL");
        }
    }
    sink_close("presence");
}

/* What Hatchet cannot use is named once, and is all the same delivered. */
static void test_bad_members(int which) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } faults[] = {{"a\0b", 3, " contains NUL"}, {"\xff\xfe", 2, " is not UTF-8"}};
    const operation *o = &operations[which];
    size_t i, k, turn;
    for (k = 0; k < COUNT(faults); k++) {
        unsigned extra = 0;
        sink_open(NULL);
        for (i = 0; i < o->num_members; i++) {
            char says[128];
            const char *key = hotel_hatchet_key_name(o->members[i].key);
            otlp_bytes got = {NULL, 0}, value;
            input in;
            fill(which, &in);
            set_member(&in, &o->members[i], faults[k].bytes, faults[k].size);
            for (turn = 0; turn < 3; turn++) got = run(which, &in);
            value = part(attribute(got, key), k == 0 ? ANY_STRING : ANY_BYTES, 0);
            is_mem(value.at, value.size, faults[k].bytes, faults[k].size, "%s: %s is delivered",
                   o->name, key);
            is_int(num_attributes(got), 1 + o->num_members + o->num_numbers,
                   "%s: %s: with all others", o->name, key);
            (void)snprintf(says, sizeof says, "%s%s", key, faults[k].says);
            ok(log_has(says), "%s: \"%s\" is said", o->name, says);
            extra += k == 1 && names_run(o->members[i].key);
        }
        check_log(HOTEL_LOG_ID_BAD_FIELD, (unsigned)o->num_members + extra, o->name);
        sink_close("bad members");
    }
}

/* IDs of runs that are no UUIDs. */
static void test_bad_ids(void) {
    hotel_step_run r;
    hotel_task task;
    otlp_bytes got;
    memset((void *)&r, 0, sizeof r);
    sink_open(NULL);
    r.step_run_id = "not a uuid";
    r.workflow_run_id = "";
    task = hotel_start_step_run(&r);
    hotel_task_succeed(&task);
    got = delivered("hatchet.start_step_run");
    is_str(string_of(got, "hatchet.step_run_id"), "not a uuid", "an odd ID is delivered");
    ok(!has_attribute(got, "hatchet.workflow_run_id"), "an empty one is not");
    ok(log_has("hatchet.step_run_id is not a UUID"), "the odd one is named");
    ok(log_has("hatchet.workflow_run_id is empty"), "and the empty one");
    check_log(HOTEL_LOG_ID_BAD_FIELD, 2, "bad IDs");
    sink_close("bad IDs");
}

/* A NULL struct is reported; what comes back can be ended. */
static void test_nothing(void) {
    hotel_span span;
    hotel_task task;
    sink_open(NULL);
    task = hotel_join_step_run(NULL);
    hotel_task_succeed(&task);
    task = hotel_start_step_run(NULL);
    hotel_task_fail_with(&task, NULL);
    hotel_task_fail_with(NULL, NULL);
    hotel_task_cancel(NULL);
    span = hotel_start_run_workflow(NULL), hotel_succeed(&span);
    span = hotel_start_schedule_workflow(NULL), hotel_succeed(&span);
    span = hotel_start_push_event(NULL), hotel_succeed(&span);
    span = hotel_start_wait_for(NULL), hotel_succeed(&span);
    span = hotel_start_cancel_step_run(NULL), hotel_succeed(&span);
    span = hotel_start_run_workflows(NULL, 3), hotel_succeed(&span);
    span = hotel_start_bulk_push_event(NULL, 3), hotel_succeed(&span);
    is_int(integer_of(delivered("hatchet.run_workflows"), "hatchet.num_workflows"), 0,
           "no list has no runs");
    is_int(integer_of(delivered("hatchet.bulk_push_event"), "hatchet.num_events"), 0,
           "nor events");
    span = hotel_start_run_of(NULL, NULL), hotel_succeed(&span);
    ok(!hotel_is_valid(&span.context), "a part of no batch");
    is_int(num_delivered(), 7, "tasks without a struct do not start, the other operations do");
    is_int(read_books().process.bad_arguments - books_opened.process.bad_arguments, 10,
           "each is counted");
    sink_close("NULL");
}

/* ---- Parents -------------------------------------------------------------------------------- */

static hotel_step_run run_with_ids(void) {
    hotel_step_run r;
    memset((void *)&r, 0, sizeof r);
    r.step_run_id = STEP_ID;
    r.workflow_run_id = RUN_ID;
    r.workflow_name = "orders";
    return r;
}

static void is_child(const char *name, const hotel_span *parent, const char *what) {
    ok(child_of(delivered(name), parent), "%s is a child of %s", name, what);
}

/* The task as it is elsewhere: what starts under it there. */
static void *spawn_elsewhere(void *user_data) {
    hotel_trigger trigger;
    hotel_wait wait;
    hotel_span span;
    memset((void *)&trigger, 0, sizeof trigger);
    memset((void *)&wait, 0, sizeof wait);
    trigger.task = wait.task = (const hotel_task *)user_data;
    trigger.workflow_name = "child";
    span = hotel_start_run_workflow(&trigger);
    hotel_end(&span);
    span = hotel_start_run_workflows(&trigger, 1);
    hotel_end(&span);
    span = hotel_start_wait_for(&wait);
    hotel_end(&span);
    return NULL;
}

static void test_parents(void) {
    hotel_step_run r = run_with_ids();
    hotel_trigger trigger;
    hotel_schedule schedule;
    hotel_hatchet_event event;
    hotel_span span;
    hotel_task task;
    pthread_t thread;
    otlp_bytes got;
    memset((void *)&trigger, 0, sizeof trigger);
    memset((void *)&schedule, 0, sizeof schedule);
    memset((void *)&event, 0, sizeof event);
    sink_open(NULL);
    task = hotel_start_step_run(&r);
    span = hotel_start_run_workflow(&trigger), hotel_end(&span);
    span = hotel_start_run_workflows(&trigger, 1), hotel_end(&span);
    span = hotel_start_schedule_workflow(&schedule), hotel_end(&span);
    span = hotel_start_push_event(&event), hotel_end(&span);
    span = hotel_start_bulk_push_event(&event, 1), hotel_end(&span);
    is_child("hatchet.run_workflow", &task.span, "the current task");
    is_child("hatchet.run_workflows", &task.span, "the current task");
    is_child("hatchet.schedule_workflow", &task.span, "the current task");
    is_child("hatchet.push_event", &task.span, "the current task");
    is_child("hatchet.bulk_push_event", &task.span, "the current task");
    ok(!has_attribute(span_of("hatchet.run_workflow"), "hatchet.parent_id"),
       "a run that is no child has no parent ID");
    sink_clear();
    if (pthread_create(&thread, NULL, spawn_elsewhere, &task) != 0) abort();
    (void)pthread_join(thread, NULL);
    is_child("hatchet.run_workflow", &task.span, "the task that it names");
    is_child("hatchet.run_workflows", &task.span, "the task that its first run names");
    is_child("hatchet.durable.wait_for", &task.span, "the task that it names");
    got = span_of("hatchet.run_workflow");
    is_str(string_of(got, "hatchet.parent_id"), RUN_ID, "a child knows its parent's run");
    is_str(string_of(got, "hatchet.parent_step_run_id"), STEP_ID, "and its parent's task");
    is_str(string_of(got, "hatchet.workflow_name"), "child", "its own name stays");
    is_str(string_of(got, "hatchet.step_run_id"), STEP_ID, "it inherits from the task");
    is_str(string_of(span_of("hatchet.durable.wait_for"), "hatchet.step_run_id"), STEP_ID,
           "a wait has the ID of its task");
    trigger.task = &task;
    trigger.parent_id = "mine";
    trigger.parent_step_run_id = "";
    span = hotel_start_run_workflow(&trigger), hotel_end(&span);
    got = delivered("hatchet.run_workflow");
    is_str(string_of(got, "hatchet.parent_id"), "mine", "a given parent ID wins");
    ok(!has_attribute(got, "hatchet.parent_step_run_id"), "and an empty one means none");
    hotel_task_succeed(&task);
    sink_close("parents");
}

/* A cancel is never a trace of its own that the dashboard could take for the run's. */
static void test_cancel(void) {
    hotel_step_run r = run_with_ids();
    hotel_span_context engine;
    hotel_span span, around;
    hotel_context current;
    hotel_token token;
    otlp_bytes got;
    sink_open(NULL);
    around = hotel_start("around");
    current = only(&around);
    token = hotel_attach(&current);
    r.additional_metadata = "{\"traceparent\":\"" T "\"}";
    span = hotel_start_cancel_step_run(&r), hotel_succeed(&span);
    got = delivered("hatchet.cancel_step_run");
    is_int(number(got, SPAN_KIND), 5, "SP-14 a cancel is a CONSUMER");
    is_mem(part(got, SPAN_PARENT, 0).at, part(got, SPAN_PARENT, 0).size,
           "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8, "under the traceparent in the metadata");
    is_int(number(status_of(got), STATUS_CODE), 1, "SP-62 success is OK");
    is_int(num_attributes(got), 2, "two attributes");
    is_str(string_of(got, "hatchet.step_run_id"), STEP_ID, "the task's ID");
    r.additional_metadata = "{\"traceparent\":\"bad\"}";
    span = hotel_start_cancel_step_run(&r), hotel_fail(&span, "no such run");
    got = delivered("hatchet.cancel_step_run");
    ok(hotel_engine_run(RUN_ID, 0, &engine), "the engine's span");
    is_mem(part(got, SPAN_PARENT, 0).at, part(got, SPAN_PARENT, 0).size, engine.span_id, 8,
           "without a good traceparent under the engine's span");
    is_mem(part(got, SPAN_TRACE_ID, 0).at, part(got, SPAN_TRACE_ID, 0).size, engine.trace_id, 16,
           "in the engine's trace");
    is_str(text(status_of(got), STATUS_MESSAGE), "no such run", "SP-56 a failure has its message");
    r.workflow_run_id = "odd";
    span = hotel_start_cancel_step_run(&r), hotel_end(&span);
    got = delivered("hatchet.cancel_step_run");
    ok(!has(got, SPAN_PARENT), "without any it is a root, whatever is current");
    is_int(num_attributes(got), 1, "which does not say whose it is");
    (void)hotel_detach(token);
    hotel_end(&around);
    sink_close("cancel");
}

/* ---- Ends ----------------------------------------------------------------------------------- */

static void test_ends(void) {
    hotel_step_run r = run_with_ids();
    hotel_hatchet_event event;
    hotel_failure why;
    hotel_task task;
    hotel_span span;
    otlp_bytes got, thrown;
    memset((void *)&event, 0, sizeof event);
    memset((void *)&why, 0, sizeof why);
    sink_open(NULL);
    span = hotel_start_push_event(&event), hotel_succeed(&span);
    is_int(number(status_of(delivered("hatchet.push_event")), STATUS_CODE), 1, "success is OK");
    span = hotel_start_push_event(&event);
    hotel_fail_as(&span, "Unavailable", "no engine", "push()");
    hotel_succeed(&span);
    got = delivered("hatchet.push_event");
    is_int(number(status_of(got), STATUS_CODE), 2, "failure is ERROR, also after a second end");
    thrown = part(got, SPAN_EVENT, 0);
    is_str(text(thrown, EVENT_NAME), "exception", "SP-54 with an exception");
    is_str(text(attribute_in(thrown, EVENT_ATTRIBUTE, "exception.type"), 1), "Unavailable",
           "its type");
    is_str(text(attribute_in(thrown, EVENT_ATTRIBUTE, "exception.stacktrace"), 1), "push()",
           "its stack");
    why.type = guard_copy(0, "Declined", 8), why.type_size = 8;
    why.message = guard_copy(1, "no money", 8), why.message_size = 8;
    why.stacktrace = guard_copy(2, "charge()", 8), why.stacktrace_size = 8;
    task = hotel_start_step_run(&r);
    hotel_task_fail_with(&task, &why);
    got = delivered("hatchet.start_step_run");
    thrown = part(got, SPAN_EVENT, 0);
    is_str(text(status_of(got), STATUS_MESSAGE), "no money", "a failure with sizes: its message");
    is_int(otlp_count(thrown, EVENT_ATTRIBUTE), 3, "type, message and stack");
    is_str(text(attribute_in(thrown, EVENT_ATTRIBUTE, "exception.type"), 1), "Declined",
           "the type ends where it should");
    span = hotel_start_push_event(&event), hotel_fail_with(&span, NULL);
    got = delivered("hatchet.push_event");
    ok(number(status_of(got), STATUS_CODE) == 2 && !has(got, SPAN_EVENT),
       "a failure without a reason is ERROR and no exception");
    r.retry_count = 1;
    task = hotel_start_step_run(&r);
    hotel_task_cancel(&task);
    hotel_task_fail(&task, "too late");
    got = delivered("hatchet.start_step_run");
    ok(!has(got, SPAN_EVENT) && number(status_of(got), STATUS_CODE) == 0,
       "a cancelled task has no status, whatever comes then");
    is_int(integer_of(got, "hatchet.retry_count"), 1, "a retry says which");
    sink_close("ends");
}

static void *end_elsewhere(void *user_data) {
    hotel_task_succeed((hotel_task *)user_data);
    return NULL;
}

/* What is kept of a task outlives it without its attributes. */
static void test_kept(void) {
    hotel_step_run r = run_with_ids();
    hotel_context kept;
    hotel_span span;
    hotel_task task;
    hotel_token token;
    pthread_t thread;
    char fields[256];
    sink_open(NULL);
    task = hotel_start_step_run(&r);
    kept = hotel_context_hold(&task.context);
    (void)hotel_log_fields(&kept, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    ok(strstr(fields, " step_run_id=" STEP_ID " workflow_run_id=" RUN_ID) != NULL,
       "a log line inside: %s", fields);
    if (pthread_create(&thread, NULL, end_elsewhere, &task) != 0) abort();
    (void)pthread_join(thread, NULL);
    span = hotel_current_span();
    ok(!hotel_is_valid(&span.context), "ended on another thread: not current here any more");
    span = hotel_start("after");
    hotel_end(&span);
    ok(!has(delivered("after"), SPAN_PARENT), "nor a parent of what starts here");
    (void)hotel_log_fields(&kept, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    ok(strstr(fields, " trace_id=") != NULL && strstr(fields, "run_id") == NULL,
       "a log line in what is kept knows the trace alone: %s", fields);
    token = hotel_attach(&kept);
    span = hotel_start("late");
    hotel_end(&span);
    (void)hotel_detach(token);
    is_int(num_attributes(delivered("late")), 0, "a span in what is kept carries nothing of it");
    hotel_context_release(&kept);
    sink_close("kept");
}

/* A task whose span somebody else has made. */
static void test_join(void) {
    static void (*const ends[])(hotel_task *) = {hotel_task_succeed, hotel_task_cancel};
    hotel_step_run r = run_with_ids();
    hotel_task task;
    hotel_span span;
    otlp_bytes got;
    size_t i;
    sink_open(NULL);
    for (i = 0; i < COUNT(ends); i++) {
        r.additional_metadata = "{\"traceparent\":\"" T "\",\"tracestate\":\"a=1\"}";
        task = hotel_join_step_run(&r);
        span = hotel_start("inside");
        hotel_end(&span);
        got = delivered("inside");
        is_mem(part(got, SPAN_PARENT, 0).at, part(got, SPAN_PARENT, 0).size,
               "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8, "inside a joined task: under its span");
        is_str(text(got, SPAN_STATE), "a=1", "with its tracestate");
        is_str(string_of(got, "hatchet.step_run_id"), STEP_ID, "with its attributes");
        is_int(num_attributes(got), 5, "all of them");
        ends[i](&task);
        ends[i](&task);
        span = hotel_current_span();
        ok(!hotel_is_valid(&span.context), "its end leaves it");
    }
    task = hotel_join_step_run(&r);
    hotel_task_fail_as(&task, "a", "b", "c");
    span = hotel_current_span();
    ok(!hotel_is_valid(&span.context), "a failure leaves it too");
    sink_flush();
    is_int(num_delivered(), COUNT(ends), "no span of its own");
    sink_close("join");
}

/* Before hotel_init and after the shutdown there are no IDs at all. */
static void test_not_running(void) {
    hotel_step_run r = run_with_ids();
    hotel_task task = hotel_start_step_run(&r);
    char fields[256], json[256];
    hotel_span span = hotel_start_cancel_step_run(&r);
    hotel_succeed(&span);
    is_int(hotel_is_valid(&task.span.context), 0, "not running: the task's context");
    ok(!hotel_is_recording(&task.span) && !hotel_is_recording(&span), "not running: no span");
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_JSON, fields, sizeof fields), 0,
           "not running: fields of a log line");
    ok(strstr(fields, "run_id") == NULL, "not running: without the IDs of a run (%s)", fields);
    (void)hotel_inject_event_metadata(&task.span, "{\"a\":1}", json, sizeof json);
    ok(strncmp(json, "{\"a\":1", 6) == 0 && strstr(json, "hatchet__") == NULL,
       "not running: metadata is kept (%s)", json);
    hotel_task_succeed(&task);
}

/* A metadata's traceparent that says "not sampled" is for all that is inside. */
static void test_unsampled(void) {
    hotel_step_run r = run_with_ids();
    hotel_task task;
    hotel_span span;
    char fields[256];
    r.additional_metadata = "{\"traceparent\":\"00-" IDS "-00\"}";
    sink_open(NULL);
    task = hotel_start_step_run(&r);
    span = hotel_start("inside");
    ok(!hotel_is_recording(&task.span) && !hotel_is_recording(&span), "neither is recorded");
    (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    ok(strstr(fields, " step_run_id=" STEP_ID) != NULL, "log lines have the IDs all the same");
    hotel_end(&span);
    hotel_task_fail(&task, "lost");
    sink_flush();
    is_int(num_delivered(), 0, "nothing is delivered");
    is_int(read_books().process.unsampled - books_opened.process.unsampled, 2, "both are counted");
    sink_close("not sampled");
}

/* ---- Batches -------------------------------------------------------------------------------- */

static void test_unique(void) {
    static const char *const names[] = {"b", "a", NULL, "b", "", "c\"\n", "ab", "a"};
    static hotel_trigger many[2000];
    static char words[2000][8];
    hotel_trigger runs[8];
    hotel_hatchet_event events[8];
    hotel_span span;
    otlp_bytes got;
    size_t i;
    memset((void *)runs, 0, sizeof runs);
    memset((void *)events, 0, sizeof events);
    memset((void *)many, 0, sizeof many);
    for (i = 0; i < 8; i++) runs[i].workflow_name = events[i].event_key = names[i];
    runs[6].workflow_name_size = events[6].event_key_size = 1;
    sink_open(NULL);
    span = hotel_start_run_workflows(runs, 8), hotel_end(&span);
    got = delivered("hatchet.run_workflows");
    is_int(number(got, SPAN_KIND), 4, "SP-14 a batch of runs is a PRODUCER");
    is_int(integer_of(got, "hatchet.num_workflows"), 8, "all runs count");
    is_str(string_of(got, "hatchet.unique_workflow_names"), "[\"b\", \"a\", \"c\\\"\\u000a\"]",
           "each name once, in order");
    is_int(num_attributes(got), 3, "nothing else");
    span = hotel_start_bulk_push_event(events, 8), hotel_end(&span);
    got = delivered("hatchet.bulk_push_event");
    is_int(number(got, SPAN_KIND), 4, "SP-14 a batch of events is a PRODUCER");
    is_int(integer_of(got, "hatchet.num_events"), 8, "all events count");
    is_str(string_of(got, "hatchet.unique_event_keys"), "[\"b\", \"a\", \"c\\\"\\u000a\"]",
           "each key once, in order");
    span = hotel_start_bulk_push_event(events + 2, 1), hotel_end(&span);
    ok(!has_attribute(delivered("hatchet.bulk_push_event"), "hatchet.unique_event_keys"),
       "without a key there is no list");
    for (i = 0; i < COUNT(many); i++) {
        (void)snprintf(words[i], sizeof words[i], "%04u", (unsigned)i);
        many[i].workflow_name = words[i];
    }
    span = hotel_start_run_workflows(many, COUNT(many)), hotel_end(&span);
    got = delivered("hatchet.run_workflows");
    is_int(integer_of(got, "hatchet.num_workflows"), COUNT(many), "more than fit: all count");
    {
        otlp_bytes list = part(attribute(got, "hatchet.unique_workflow_names"), ANY_STRING, 0);
        ok(list.size > 4080 && list.size <= 4096 && list.at[list.size - 1] == ']' &&
               list.at[list.size - 2] == '"' && memcmp(list.at, "[\"0000\", \"0001\"", 15) == 0,
           "more than fit: the list is cut between names (%u)", (unsigned)list.size);
    }
    ok(log_has("hatchet.unique_workflow_names is too long"), "more than fit: it is said");
    runs[0].workflow_name = "bad\xff", events[0].event_key = "nul\0x", events[0].event_key_size = 5;
    span = hotel_start_run_workflows(runs, 8), hotel_end(&span);
    span = hotel_start_bulk_push_event(events, 8), hotel_end(&span);
    sink_flush();
    ok(log_has("hatchet.workflow_name is not UTF-8"), "a name that is not UTF-8 is said");
    ok(log_has("hatchet.event_key contains NUL"), "a key with NUL too");
    sink_close("unique names");
}

static void test_parts(bool individual) {
    hotel_config config = sink_config();
    hotel_trigger runs[2];
    hotel_span batch, one;
    hotel_context parent;
    char json[128];
    size_t i;
    memset((void *)runs, 0, sizeof runs);
    runs[0].workflow_name = "a", runs[1].workflow_name = "b";
    config.hatchet.individual_run_spans = individual;
    sink_open(&config);
    batch = hotel_start_run_workflows(runs, 2);
    for (i = 0; i < 2; i++) {
        one = hotel_start_run_of(&batch, &runs[i]);
        (void)hotel_inject_metadata(&one, NULL, json, sizeof json);
        parent = hotel_extract_metadata(json, strlen(json));
        ok(same_trace(&parent.span, &batch), "individual %d: in the batch's trace", individual);
        is_int(same_id(&parent.span, &batch), !individual, "individual %d: whose ID it has",
               individual);
        ok(same_id(&parent.span, &one), "individual %d: that of its part", individual);
        hotel_context_release(&parent);
        hotel_fail(&one, "x");
        if (individual) is_child("hatchet.run_workflow", &batch, "its batch");
    }
    hotel_succeed(&batch);
    is_int(number(status_of(delivered("hatchet.run_workflows")), STATUS_CODE), 1,
           "individual %d: parts do not decide how the batch ends", individual);
    is_int(num_delivered(), individual ? 3 : 1, "individual %d: spans", individual);
    sink_close("parts of a batch");
}

static void test_run_at(void) {
    static const int64_t some[] = {1893553445000678000, 0, -1, -1000, 1893553445999999999};
    static int64_t many[300];
    hotel_schedule schedule;
    hotel_span span;
    const char *list;
    memset((void *)&schedule, 0, sizeof schedule);
    sink_open(NULL);
    schedule.run_at_unix_ns = some;
    schedule.num_run_at = COUNT(some);
    span = hotel_start_schedule_workflow(&schedule), hotel_end(&span);
    is_str(string_of(delivered("hatchet.schedule_workflow"), "hatchet.run_at_timestamps"),
           "[\"2030-01-02T03:04:05.000678+00:00\", \"1970-01-01T00:00:00+00:00\", "
           "\"1969-12-31T23:59:59.999999+00:00\", \"1969-12-31T23:59:59.999999+00:00\", "
           "\"2030-01-02T03:04:05.999999+00:00\"]", "times as Python writes them");
    schedule.run_at_unix_ns = many;
    schedule.num_run_at = COUNT(many);
    span = hotel_start_schedule_workflow(&schedule), hotel_end(&span);
    list = string_of(delivered("hatchet.schedule_workflow"), "hatchet.run_at_timestamps");
    ok(list != NULL && strlen(list) > 4000 && strcmp(list + strlen(list) - 2, "\"]") == 0,
       "more times than fit: cut between two");
    ok(log_has("hatchet.run_at_timestamps is too long"), "more times than fit: it is said");
    schedule.run_at_unix_ns = NULL;
    span = hotel_start_schedule_workflow(&schedule), hotel_end(&span);
    ok(!has_attribute(delivered("hatchet.schedule_workflow"), "hatchet.run_at_timestamps"),
       "without times there is no list");
    sink_close("run at");
}

/* ---- Settings ------------------------------------------------------------------------------- */

#define E "HATCHET_CLIENT_OPENTELEMETRY_"
#define NAMED "hatchet.start_step_run.orders:charge"

typedef struct excluded_row {
    const char *list;
    bool payload, scope; /* are left out */
    unsigned unknown;    /* names that are reported */
} excluded_row;

static const excluded_row excluded_rows[] = {
    {"", false, false, 0},
    {"[]", false, false, 0},
    {"[\"payload\"]", true, false, 0},
    {"[\"payload\", \"scope\"]", true, true, 0},
    {"payload", true, false, 0},
    {" payload , scope ", true, true, 0},
    {"hatchet.payload", true, false, 0},
    {"[\"hatchet.payload\",\"hatchet.scope\"]", true, true, 0},
    {"ACTION_PAYLOAD", true, false, 0},
    {"FILTER_SCOPE,Action_Payload", true, true, 0},
    {"HATCHET.PAYLOAD", true, false, 0},
    {"Payload", true, false, 0},
    {"memo_fn_name,payload", true, false, 0},
    {"payloads", false, false, 1},
    {"nonsense,payload", true, false, 1},
    {"instrumentor,scope", false, true, 1},
    {"num_events,unique_event_keys,hatchet.", false, false, 3},
};

static void test_excluded(bool environment) {
    size_t i;
    for (i = 0; i < COUNT(excluded_rows); i++) {
        const excluded_row *row = &excluded_rows[i];
        hotel_config config = sink_config();
        hotel_step_run r = run_with_ids();
        hotel_hatchet_event event;
        hotel_task task;
        hotel_span span;
        otlp_bytes got;
        memset((void *)&event, 0, sizeof event);
        config.ignore_environment = !environment;
        (void)unsetenv(E "EXCLUDED_ATTRIBUTES");
        if (environment) (void)setenv(E "EXCLUDED_ATTRIBUTES", row->list, 1);
        else config.hatchet.excluded_attributes = row->list;
        sink_open(&config);
        r.payload = "{\"n\":1}";
        task = hotel_start_step_run(&r);
        span = hotel_start("inside"), hotel_end(&span);
        hotel_task_succeed(&task);
        event.payload = "{\"n\":2}", event.scope = "s", event.event_key = "k";
        span = hotel_start_push_event(&event), hotel_end(&span);
        span = hotel_start_bulk_push_event(&event, 1), hotel_end(&span);
        got = delivered("hatchet.push_event");
        is_int(!has_attribute(got, "hatchet.payload"), row->payload, "'%s': payload", row->list);
        is_int(!has_attribute(got, "hatchet.scope"), row->scope, "'%s': scope", row->list);
        ok(has_attribute(got, "instrumentor") && has_attribute(got, "hatchet.event_key"),
           "'%s': others stay", row->list);
        is_int(!has_attribute(span_of("hatchet.start_step_run"), "hatchet.payload"), row->payload,
               "'%s': a task's payload", row->list);
        is_int(!has_attribute(span_of("inside"), "hatchet.payload"), row->payload,
               "'%s': what is inherited", row->list);
        is_int(num_attributes(span_of("hatchet.bulk_push_event")), 3, "'%s': counts stay",
               row->list);
        is_int(log_count(environment ? HOTEL_LOG_ID_BAD_VARIABLE : HOTEL_LOG_ID_BAD_CONFIG) +
                   log_count(environment ? HOTEL_LOG_ID_BAD_CONFIG : HOTEL_LOG_ID_BAD_VARIABLE),
               row->unknown, "'%s': unknown names", row->list);
        sink_close(row->list);
    }
    (void)unsetenv(E "EXCLUDED_ATTRIBUTES");
}

/* A list of every key leaves instrumentor and counts. */
static void test_exclude_all(void) {
    char list[2048] = "", described[4096];
    int which, key;
    hotel_config config = sink_config();
    for (key = HOTEL_HATCHET_NAMESPACE; key <= HOTEL_HATCHET_NUM_CONDITIONS; key++) {
        (void)strncat(list, ",", sizeof list - strlen(list) - 1);
        (void)strncat(list, hotel_hatchet_key_name((hotel_hatchet_key)key),
                      sizeof list - strlen(list) - 1);
    }
    config.hatchet.excluded_attributes = list;
    sink_open(&config);
    for (which = 0; which < NUM_OPERATIONS; which++) {
        input in;
        fill(which, &in);
        is_int(num_attributes(run(which, &in)), 1, "%s: all are left out but the instrumentor",
               operations[which].name);
    }
    is_int(log_count_all(), 0, "every key can be named");
    (void)hotel_describe(described, sizeof described);
    ok(strstr(described, "excluded_attribute=hatchet.payload\n") != NULL &&
           strstr(described, "shared_payload_bytes=2048\n") != NULL,
       "hotel_describe names what is left out");
    sink_close("all left out");
}

/* Words of booleans; -1: reported, false. */
static void test_words(const char *variable, bool names) {
    static const struct {
        const char *word;
        int value;
    } words[] = {{"1", 1},    {"true", 1}, {"TRUE", 1}, {"yes", 1}, {"on", 1},  {"t", 1},
                 {"Y", 1},    {"0", 0},    {"false", 0}, {"No", 0}, {"off", 0}, {"F", 0},
                 {"n", 0},    {" on ", 1}, {"2", -1},   {"", 0},   {"yess", -1}};
    size_t i;
    for (i = 0; i < COUNT(words); i++) {
        hotel_config config = sink_config();
        hotel_step_run r = run_with_ids();
        hotel_trigger trigger;
        hotel_task task;
        hotel_span batch, one;
        memset((void *)&trigger, 0, sizeof trigger);
        config.ignore_environment = false;
        (void)setenv(variable, words[i].word, 1);
        sink_open(&config);
        r.action_name = "orders:charge";
        task = hotel_start_step_run(&r);
        hotel_task_succeed(&task);
        batch = hotel_start_run_workflows(&trigger, 1);
        one = hotel_start_run_of(&batch, &trigger);
        hotel_end(&one);
        hotel_end(&batch);
        is_int(delivered(names ? NAMED : "hatchet.run_workflow").at != NULL, words[i].value > 0,
               "%s=%s", variable, words[i].word);
        check_log(HOTEL_LOG_ID_BAD_VARIABLE, words[i].value < 0, words[i].word);
        sink_close(variable);
        (void)unsetenv(variable);
    }
}

static void test_task_name(void) {
    static char action[600];
    hotel_config config = sink_config();
    hotel_step_run r = run_with_ids();
    hotel_task task;
    config.hatchet.task_name_in_span_name = true;
    memset(action, 'a', sizeof action - 1);
    sink_open(&config);
    r.action_name_size = 7;
    task = hotel_start_step_run(&r), hotel_task_succeed(&task);
    ok(delivered("hatchet.start_step_run").at != NULL,
       "a task without action name, whatever its size: plain name");
    r.action_name = guard_copy(0, "orders:charge", 13), r.action_name_size = 13;
    task = hotel_start_step_run(&r), hotel_task_succeed(&task);
    ok(delivered(NAMED).at != NULL, "a task's name behind that of the span");
    r.action_name = action, r.action_name_size = 488;
    sink_clear();
    task = hotel_start_step_run(&r), hotel_task_succeed(&task);
    ok(delivered("hatchet.start_step_run").at == NULL, "488 bytes fit");
    check_log(HOTEL_LOG_ID_BAD_FIELD, 0, "488 bytes");
    r.action_name_size = 489;
    task = hotel_start_step_run(&r), hotel_task_succeed(&task);
    ok(delivered("hatchet.start_step_run").at != NULL, "489 bytes do not: plain name");
    is_int(part(attribute(span_of("hatchet.start_step_run"), "hatchet.action_name"), ANY_STRING,
                0).size, 489, "the attribute is whole");
    check_log(HOTEL_LOG_ID_BAD_FIELD, 1, "489 bytes");
    sink_close("task names");
}

/* Which payload the spans inside a task carry. */
static void test_shared(void) {
    static const struct {
        int32_t setting;
        size_t payload;
        bool shared;
    } rows[] = {{0, 2048, true},   {0, 2049, false}, {100, 100, true}, {100, 101, false},
                {5000, 5000, true}, {-1, 1, false},   {INT32_MIN, 1, false}};
    static char payload[200000];
    size_t i;
    memset(payload, 'p', sizeof payload);
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        hotel_step_run r = run_with_ids();
        hotel_task task;
        hotel_span span;
        config.hatchet.shared_payload_bytes = rows[i].setting;
        sink_open(&config);
        r.payload = payload, r.payload_size = rows[i].payload;
        task = hotel_start_step_run(&r);
        span = hotel_start("inside"), hotel_end(&span);
        hotel_task_succeed(&task);
        is_int(part(attribute(delivered("hatchet.start_step_run"), "hatchet.payload"), ANY_STRING,
                    0).size, rows[i].payload, "%d: the task's own payload", (int)rows[i].setting);
        is_int(has_attribute(span_of("inside"), "hatchet.payload"), rows[i].shared,
               "%d: %u bytes are shared", (int)rows[i].setting, (unsigned)rows[i].payload);
        is_str(string_of(span_of("inside"), "hatchet.step_run_id"), STEP_ID,
               "%d: the others are", (int)rows[i].setting);
        sink_close("shared payloads");
    }
    {
        hotel_config config = sink_config();
        hotel_step_run r = run_with_ids();
        hotel_task task;
        hotel_span span;
        config.hatchet.shared_payload_bytes = INT32_MAX;
        sink_open(&config);
        r.payload = payload, r.payload_size = sizeof payload;
        task = hotel_start_step_run(&r);
        span = hotel_start("inside"), hotel_end(&span);
        hotel_task_succeed(&task);
        is_str(string_of(delivered("inside"), "hatchet.step_run_id"), STEP_ID,
               "a payload larger than a span: the IDs are still shared");
        ok(!has_attribute(span_of("inside"), "hatchet.payload"), "but not the payload");
        sink_close("a payload larger than a span");
    }
}

/* ---- Metadata of events and log lines ------------------------------------------------------- */

#define SRC "\"hatchet__source_workflow_run_id\":\"" RUN_ID \
    "\",\"hatchet__source_step_run_id\":\"" STEP_ID "\""

/* What stays of the object when its own keys are taken out. */
typedef struct kept_row {
    const char *json, *kept; /* kept NULL: refused */
} kept_row;

static const kept_row kept_rows[] = {
    {NULL, ""},
    {"", ""},
    {" {} ", ""},
    {" ", ""},
    {"null", ""},
    {"{\"a\":\"\\\"\\u00e9\\\\\",\"a\":[1,{\"b\":null}]}",
     "\"a\":\"\\\"\\u00e9\\\\\",\"a\":[1,{\"b\":null}]"},
    {"{\"\xc3\xa9\":1.50e-07,\"n\":-0}", "\"\xc3\xa9\":1.50e-07,\"n\":-0"},
    {"{\"hatchet__source_step_run_id\":\"old\",\"k\":2}", "\"k\":2"},
    {"{\"k\":2,\"hatchet__source_workflow_run_id\":{\"x\":[]}}", "\"k\":2"},
    {"{\"hatchet__source_step_\\u0072un_id\":1,\"tr\\u0061ceparent\":2,\"k\":3}", "\"k\":3"},
    {"[]", NULL},
    {"true", NULL},
    {"{\"a\":}", NULL},
    {"{\"a\":1", NULL},
    {"{\"a\":\"\\x\"}", NULL},
    {"{} {}", NULL},
};

/* Does it stand there, and only once? An escaped key stays as it is spelled. */
static bool once(const char *json, const char *key) {
    const char *at = strstr(json, key);
    return at != NULL && strstr(at + 1, key) == NULL;
}

static void test_event_metadata(void) {
    hotel_step_run r = run_with_ids();
    hotel_task task;
    hotel_span span;
    char json[1024], cut[64], *whole;
    size_t i, size, need;
    sink_open(NULL);
    r.additional_metadata = "{\"traceparent\":\"" T "\",\"tracestate\":\"a=1\"}";
    task = hotel_start_step_run(&r);
    for (i = 0; i < COUNT(kept_rows); i++) {
        const kept_row *row = &kept_rows[i];
        const char *given = row->json != NULL ? row->json : "nothing";
        size = row->json != NULL ? strlen(row->json) : 0;
        need = hotel_inject_event_metadata_n(&task.span,
                                             size > 0 ? guard_copy(0, row->json, size) : NULL, size,
                                             json, sizeof json);
        is_int(need, row->kept != NULL ? strlen(json) : 0, "%s: size", given);
        if (row->kept == NULL) {
            is_str(json, "", "%s: refused", given);
            continue;
        }
        ok(once(json, ":\"" RUN_ID "\"") && once(json, ":\"" STEP_ID "\"") &&
               once(json, "ceparent\":\"00-0af7651916cd43dd8448eb211c80319c-") &&
               once(json, "\"tracestate\":\"a=1\"") && strstr(json, "old") == NULL,
           "%s: all four are there once (%s)", given, json);
        ok(strstr(json, row->kept) != NULL, "%s: the rest is kept (%s)", given, json);
        is_int(hotel_inject_event_metadata(&task.span, row->json, NULL, 0), need,
               "%s: the size without room", given);
        is_int(hotel_inject_event_metadata(&task.span, row->json, cut, sizeof cut), need,
               "%s: the size with too little", given);
        ok(memchr(cut, 0, sizeof cut) != NULL, "%s: ends in NUL", given);
        is_int(hotel_inject_event_metadata(&task.span, row->json, guard_room(1, need + 1),
                                           need + 1), need, "%s: room for just that", given);
    }
    whole = (char *)malloc(10500000);
    if (whole == NULL) abort();
    memcpy(whole, "{\"a\":\"", 6);
    memset(whole + 6, 'x', 10000000);
    memcpy(whole + 10000006, "\"}", 3);
    {
        char *out = (char *)malloc(10500000);
        if (out == NULL) abort();
        need = hotel_inject_event_metadata(&task.span, whole, out, 10500000);
        ok(need > 10000008 && need == strlen(out) && strstr(out, SRC) != NULL,
           "10 MB of metadata");
        free(out);
    }
    memset(whole, '[', 5000);
    memcpy(whole, "{\"a\":", 5);
    whole[5000] = 0;
    is_int(hotel_inject_event_metadata(&task.span, whole, json, sizeof json), 0,
           "nested thousands deep and never closed");
    free(whole);
    hotel_task_succeed(&task);
    r.step_run_id = NULL;
    task = hotel_start_step_run(&r);
    (void)hotel_inject_event_metadata(&task.span, "{\"hatchet__source_step_run_id\":\"mine\"}",
                                      json, sizeof json);
    ok(strstr(json, "\"mine\"") != NULL && strstr(json, "workflow_run_id") == NULL,
       "one ID alone is not said (%s)", json);
    hotel_task_succeed(&task);
    span = hotel_start("no task");
    (void)hotel_inject_event_metadata(&span, NULL, json, sizeof json);
    ok(strstr(json, "hatchet__") == NULL && once(json, "traceparent"), "outside a task (%s)", json);
    hotel_end(&span);
    sink_close("metadata of events");
}

/* One JSON string that begins here; its end, NULL when it is none. */
static const char *json_string(const char *p) {
    if (*p++ != '"') return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p != '\\') continue;
        p++;
        if (*p == 'u' && strspn(p + 1, "0123456789abcdefABCDEF") >= 4) p += 4;
        else if (*p == 0 || strchr("\"\\/bfnrt", *p) == NULL) return NULL;
    }
    return p + 1;
}

/* Members behind commas, each a string: the number of them, or -1. */
static int json_members(const char *p) {
    int count = 0;
    for (; *p != 0; count++) {
        if (*p != ',' || (p = json_string(p + 1)) == NULL || *p != ':' ||
            (p = json_string(p + 1)) == NULL)
            return -1;
    }
    return count;
}

static void test_log_fields(void) {
    static const char *const hostile[] = {"a b", "a\"b", "a=b", "a\nb", "a\\", "\xff", "\xc3\xa9",
                                          "\x7f", ",", "{", "x\ty"};
    hotel_step_run r = run_with_ids();
    hotel_task task;
    hotel_span span;
    hotel_context context;
    char out[512], want[512], trace[33], id[17];
    size_t i, size;
    sink_open(NULL);
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, out, sizeof out), 0,
           "without a span: none");
    is_str(out, "", "which is the empty text");
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_JSON, NULL, 0), 0, "none without room");
    task = hotel_start_step_run(&r);
    hotel_trace_id_hex(&task.span.context, trace);
    hotel_span_id_hex(&task.span.context, id);
    (void)snprintf(want, sizeof want,
                   " trace_id=%s span_id=%s step_run_id=" STEP_ID " workflow_run_id=" RUN_ID, trace,
                   id);
    size = hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, out, sizeof out);
    is_str(out, want, "fields as text");
    is_int(size, strlen(want), "their size");
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, guard_room(0, size + 1), size + 1), size,
           "room for just that");
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, guard_room(0, 11), 11), size,
           "too little room");
    is_int(hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, NULL, 9), size, "no room");
    (void)snprintf(want, sizeof want,
                   ",\"trace_id\":\"%s\",\"span_id\":\"%s\",\"step_run_id\":\"" STEP_ID
                   "\",\"workflow_run_id\":\"" RUN_ID "\"", trace, id);
    (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_JSON, out, sizeof out);
    is_str(out, want, "fields as JSON");
    is_int(json_members(out), 4, "which is JSON");
    span = hotel_start("inside");
    context = only(&span);
    (void)hotel_log_fields(&context, HOTEL_LOG_FORMAT_JSON, out, sizeof out);
    is_int(json_members(out), 2, "another context has its own fields");
    hotel_end(&span);
    hotel_task_succeed(&task);
    for (i = 0; i < COUNT(hostile); i++) {
        char folded[512];
        r.step_run_id = hostile[i];
        task = hotel_start_step_run(&r);
        (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_JSON, out, sizeof out);
        is_int(json_members(out), 4, "hostile ID %u: still JSON (%s)", (unsigned)i, out);
        ok(hoteli_utf8_valid(out, strlen(out)), "hostile ID %u: and UTF-8", (unsigned)i);
        (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, folded, sizeof folded);
        ok(strchr(folded, '\n') == NULL && strstr(folded, " workflow_run_id=" RUN_ID) != NULL,
           "hostile ID %u: one line (%s)", (unsigned)i, folded);
        hotel_task_succeed(&task);
    }
    sink_close("log lines");
}

/* Every key has a name of its own. */
static void test_key_names(void) {
    int a, b;
    is_str(hotel_hatchet_key_name(HOTEL_HATCHET_PAYLOAD), "hatchet.payload", "a key's name");
    is_str(hotel_hatchet_key_name(HOTEL_HATCHET_INSTRUMENTOR), "instrumentor", "the first one");
    is_str(hotel_hatchet_key_name(HOTEL_HATCHET_UNIQUE_EVENT_KEYS), "hatchet.unique_event_keys",
           "the last one");
    is_str(hotel_hatchet_key_name(HOTEL_HATCHET_NUM_KEYS), "", "none of them");
    for (a = 0; a < HOTEL_HATCHET_NUM_KEYS; a++) {
        const char *name = hotel_hatchet_key_name((hotel_hatchet_key)a);
        bool alone = true;
        for (b = 0; b < a; b++)
            alone = alone && strcmp(name, hotel_hatchet_key_name((hotel_hatchet_key)b)) != 0;
        ok(alone && (a == 0) == (strncmp(name, "hatchet.", 8) != 0), "%s is there once", name);
    }
}

int main(void) {
    int which;
    test_not_running();
    for (which = 0; which < NUM_OPERATIONS; which++) {
        test_all_members(which);
        test_numbers(which);
        test_presence(which);
        test_bad_members(which);
    }
    test_bad_ids();
    test_nothing();
    test_parents();
    test_cancel();
    test_ends();
    test_kept();
    test_join();
    test_not_running();
    test_unsampled();
    test_unique();
    test_parts(false);
    test_parts(true);
    test_run_at();
    test_excluded(false);
    test_excluded(true);
    test_exclude_all();
    test_words(E "INCLUDE_TASK_NAME_IN_START_STEP_RUN_SPAN_NAME", true);
    test_words(E "INCLUDE_TASK_NAME_IN_SPAN_NAME", true);
    test_words(E "INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN", false);
    test_task_name();
    test_shared();
    test_event_metadata();
    test_log_fields();
    test_key_names();
    return done_testing();
}
