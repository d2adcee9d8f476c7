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

typedef struct member {
    hotel_hatchet_key key;
    size_t offset; /* of the text; its size is the next member */
} member;

#define MEMBER(type, KEY, name) {HOTEL_HATCHET_##KEY, offsetof(type, name)}

static const member task_members[] = {
    MEMBER(hotel_step_run, TENANT_ID, tenant_id),
    MEMBER(hotel_step_run, WORKER_ID, worker_id),
    MEMBER(hotel_step_run, WORKFLOW_RUN_ID, workflow_run_id),
    MEMBER(hotel_step_run, STEP_ID, step_id),
    MEMBER(hotel_step_run, STEP_RUN_ID, step_run_id),
    MEMBER(hotel_step_run, PARENT_WORKFLOW_RUN_ID, parent_workflow_run_id),
    MEMBER(hotel_step_run, CHILD_WORKFLOW_KEY, child_workflow_key),
    MEMBER(hotel_step_run, WORKFLOW_NAME, workflow_name),
    MEMBER(hotel_step_run, ACTION_NAME, action_name),
    MEMBER(hotel_step_run, STEP_NAME, step_name),
    MEMBER(hotel_step_run, WORKFLOW_ID, workflow_id),
    MEMBER(hotel_step_run, WORKFLOW_VERSION_ID, workflow_version_id),
    MEMBER(hotel_step_run, TRIGGERING_EVENT_EXTERNAL_ID, triggering_event_external_id),
    MEMBER(hotel_step_run, TRIGGERING_EVENT_KEY, triggering_event_key),
    MEMBER(hotel_step_run, PAYLOAD, payload),
};
static const member trigger_members[] = {
    MEMBER(hotel_trigger, WORKFLOW_NAME, workflow_name),
    MEMBER(hotel_trigger, PAYLOAD, payload),
    MEMBER(hotel_trigger, PARENT_ID, parent_id),
    MEMBER(hotel_trigger, PARENT_STEP_RUN_ID, parent_step_run_id),
    MEMBER(hotel_trigger, CHILD_KEY, child_key),
    MEMBER(hotel_trigger, NAMESPACE, namespace_name),
    MEMBER(hotel_trigger, ADDITIONAL_METADATA, additional_metadata),
    MEMBER(hotel_trigger, DESIRED_WORKER_ID, desired_worker_id),
    MEMBER(hotel_trigger, KEY, key),
};
static const member schedule_members[] = {
    MEMBER(hotel_schedule, WORKFLOW_NAME, workflow_name),
    MEMBER(hotel_schedule, PAYLOAD, payload),
    MEMBER(hotel_schedule, PARENT_ID, parent_id),
    MEMBER(hotel_schedule, PARENT_STEP_RUN_ID, parent_step_run_id),
    MEMBER(hotel_schedule, CHILD_KEY, child_key),
    MEMBER(hotel_schedule, NAMESPACE, namespace_name),
    MEMBER(hotel_schedule, ADDITIONAL_METADATA, additional_metadata),
};
static const member event_members[] = {
    MEMBER(hotel_hatchet_event, EVENT_KEY, event_key),
    MEMBER(hotel_hatchet_event, PAYLOAD, payload),
    MEMBER(hotel_hatchet_event, ADDITIONAL_METADATA, additional_metadata),
    MEMBER(hotel_hatchet_event, SCOPE, scope),
};
static const member wait_members[] = {
    MEMBER(hotel_wait, STEP_RUN_ID, step_run_id),
    MEMBER(hotel_wait, SIGNAL_KEY, signal_key),
};

/* Room for the struct of any operation. */
typedef union input {
    hotel_step_run task;
    hotel_trigger trigger;
    hotel_schedule schedule;
    hotel_hatchet_event event;
    hotel_wait wait;
} input;

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

int main(void) {
    int which;
    for (which = 0; which < NUM_OPERATIONS; which++) {
        test_all_members(which);
        test_numbers(which);
        test_presence(which);
        test_bad_members(which);
    }
    test_bad_ids();
    test_nothing();
    return done_testing();
}
