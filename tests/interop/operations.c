/*
 * SPDX-License-Identifier: MIT
 *
 * operations.c - performs the operations of check_sdks.py with the library: reads the name of one
 * from standard input, performs it, sends its spans, answers with the metadata that a client
 * would send and "done".
 *
 *     operations NAME=VALUE...     the inputs
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_RUNS = 3, METADATA_SIZE = 1024 };

static const int32_t priority = 2, zero = 0, three = 3, num_conditions = 1;
static const bool sticky = true;
static char **inputs;

static const char *given(const char *name) {
    size_t size = strlen(name);
    char **input;
    for (input = inputs; *input != NULL; input++) {
        if (strncmp(*input, name, size) == 0 && (*input)[size] == '=') return *input + size + 1;
    }
    (void)fprintf(stderr, "operations: no input %s\n", name);
    exit(2);
}

/* What goes over the wire: the test reads the trace context in it. */
static void send_metadata(const hotel_span *span, const char *json) {
    char out[METADATA_SIZE];
    size_t size = hotel_inject_metadata(span, json, out, sizeof out);
    if (size == 0 || size >= sizeof out) exit(3);
    printf("%s ", out);
}

static void send_event_metadata(const hotel_span *span, const char *json) {
    char out[METADATA_SIZE];
    size_t size = hotel_inject_event_metadata(span, json, out, sizeof out);
    if (size == 0 || size >= sizeof out) exit(3);
    printf("%s ", out);
}

/* ---- tasks ---- */

static hotel_step_run step_run(int retry_count, const int32_t *child_index) {
    hotel_step_run run = {
        .workflow_name = given("workflow_name"),
        .step_name = given("step_name"),
        .action_name = given("action_name"),
        .step_run_id = given("step_run_id"),
        .workflow_run_id = given("workflow_run_id"),
        .step_id = given("step_id"),
        .workflow_id = given("workflow_id"),
        .workflow_version_id = given("workflow_version_id"),
        .worker_id = given("worker_id"),
        .tenant_id = given("tenant_id"),
        .parent_workflow_run_id = given("parent_workflow_run_id"),
        .child_workflow_key = given("child_key"),
        .triggering_event_external_id = given("event_id"),
        .triggering_event_key = given("event_key"),
        .payload = given("task_payload"),
        .additional_metadata = given("task_metadata"),
        .retry_count = retry_count,
        .child_workflow_index = child_index,
    };
    return run;
}

static hotel_task start_task(void) {
    hotel_step_run run = step_run(0, &zero);
    return hotel_start_step_run(&run);
}

static void task(void) {
    hotel_task t = start_task();
    hotel_task_succeed(&t);
}

static void task_that_fails(void) {
    hotel_task t = start_task();
    hotel_task_fail_as(&t, "ValueError", given("failure"), "charge() at shop.c:12");
}

static void task_tried_again(void) {
    hotel_step_run run = step_run(1, &three);
    hotel_task t = hotel_start_step_run(&run);
    hotel_task_succeed(&t);
}

static void task_that_is_cancelled(void) {
    hotel_step_run run = step_run(0, &zero);
    hotel_context worker = hotel_current();
    hotel_task t = hotel_start_step_run(&run);
    /* As a worker does it: where it hears of the cancellation the task is not current. */
    hotel_token elsewhere = hotel_attach(&worker);
    hotel_span cancel = hotel_start_cancel_step_run(&run);
    hotel_end(&cancel);
    (void)hotel_detach(elsewhere);
    hotel_task_cancel(&t);
    hotel_context_release(&worker);
}

static void task_that_waits(void) {
    hotel_step_run run = step_run(0, &zero);
    hotel_wait w = {.signal_key = given("signal_key"), .num_conditions = &num_conditions};
    hotel_task t;
    hotel_span span;
    run.step_name = "approve";
    run.action_name = "shop:approve";
    t = hotel_start_step_run(&run);
    span = hotel_start_wait_for(&w);
    hotel_succeed(&span);
    hotel_task_succeed(&t);
}

static void task_that_spawns(void) {
    hotel_task t = start_task();
    hotel_trigger run = {
        .workflow_name = given("other_workflow_name"),
        .payload = given("payload"),
        .child_index = &zero,
        .task = &t,
    };
    hotel_span span = hotel_start_run_workflow(&run);
    send_metadata(&span, NULL);
    hotel_succeed(&span);
    hotel_task_succeed(&t);
}

static void task_that_pushes(void) {
    hotel_task t = start_task();
    hotel_hatchet_event event = {.event_key = given("event_key"), .payload = "{}"};
    hotel_span span = hotel_start_push_event(&event);
    send_event_metadata(&span, NULL);
    hotel_succeed(&span);
    hotel_task_succeed(&t);
}

/* ---- runs ---- */

static hotel_span start_run(void) {
    hotel_trigger run = {
        .workflow_name = given("workflow_name"),
        .payload = given("payload"),
        .parent_id = given("parent_id"),
        .parent_step_run_id = given("parent_step_run_id"),
        .child_index = &zero,
        .child_key = given("child_key"),
        .namespace_name = given("namespace"),
        .additional_metadata = given("metadata"),
        .priority = &priority,
        .desired_worker_id = given("worker_id"),
        .sticky = &sticky,
        .key = given("key"),
    };
    return hotel_start_run_workflow(&run);
}

static void run(void) {
    hotel_span span = start_run();
    send_metadata(&span, given("metadata"));
    hotel_succeed(&span);
}

static void run_that_is_refused(void) {
    hotel_span span = start_run();
    hotel_fail_as(&span, "InvalidArgument", given("refusal"), NULL);
}

static void runs(void) {
    static const char *const names[NUM_RUNS] = {"workflow_name", "other_workflow_name",
                                                "workflow_name"};
    hotel_trigger list[NUM_RUNS];
    hotel_span batch, parts[NUM_RUNS];
    size_t i;
    memset(list, 0, sizeof list);
    for (i = 0; i < NUM_RUNS; i++) {
        list[i].workflow_name = given(names[i]);
        list[i].payload = given("payload");
        list[i].additional_metadata = given("metadata");
    }
    batch = hotel_start_run_workflows(list, NUM_RUNS);
    for (i = 0; i < NUM_RUNS; i++) {
        parts[i] = hotel_start_run_of(&batch, &list[i]);
        send_metadata(&parts[i], given("metadata"));
    }
    for (i = 0; i < NUM_RUNS; i++) hotel_succeed(&parts[i]);
    hotel_succeed(&batch);
}

static void schedule(void) {
    const int64_t run_at = strtoll(given("run_at_unix_ns"), NULL, 10);
    hotel_schedule s = {
        .workflow_name = given("workflow_name"),
        .run_at_unix_ns = &run_at,
        .num_run_at = 1,
        .payload = given("payload"),
        .additional_metadata = given("metadata"),
        .priority = &priority,
    };
    hotel_span span = hotel_start_schedule_workflow(&s);
    send_metadata(&span, given("metadata"));
    hotel_succeed(&span);
}

/* ---- events ---- */

static void event(void) {
    hotel_hatchet_event e = {
        .event_key = given("event_key"),
        .payload = given("payload"),
        .additional_metadata = given("metadata"),
        .priority = &priority,
        .scope = given("scope"),
    };
    hotel_span span = hotel_start_push_event(&e);
    send_event_metadata(&span, given("metadata"));
    hotel_succeed(&span);
}

static void events(void) {
    static const char *const keys[NUM_RUNS] = {"event_key", "other_event_key", "event_key"};
    hotel_hatchet_event list[NUM_RUNS];
    hotel_span span;
    size_t i;
    memset(list, 0, sizeof list);
    for (i = 0; i < NUM_RUNS; i++) {
        list[i].event_key = given(keys[i]);
        list[i].payload = given("payload");
        list[i].additional_metadata = given("metadata");
    }
    span = hotel_start_bulk_push_event(list, NUM_RUNS);
    for (i = 0; i < NUM_RUNS; i++) send_event_metadata(&span, given("metadata"));
    hotel_succeed(&span);
}

/* ---- the program ---- */

typedef struct operation {
    const char *name;
    void (*perform)(void);
    bool called; /* in a span of the program's own */
} operation;

static const operation operations[] = {
    {"task", task, false},
    {"task that fails", task_that_fails, false},
    {"task tried again", task_tried_again, false},
    {"task that is cancelled", task_that_is_cancelled, false},
    {"wait", task_that_waits, false},
    {"child", task_that_spawns, false},
    {"event in a task", task_that_pushes, false},
    {"run", run, true},
    {"run that is refused", run_that_is_refused, true},
    {"runs", runs, true},
    {"runs with spans of their own", runs, true},
    {"schedule", schedule, true},
    {"event", event, true},
    {"events", events, true},
};

static bool perform(const char *name) {
    size_t i;
    for (i = 0; i < sizeof operations / sizeof *operations; i++) {
        const operation *o = &operations[i];
        if (strcmp(o->name, name) != 0) continue;
        if (o->called) {
            HOTEL_SCOPE(caller, hotel_start("caller"));
            o->perform();
        } else {
            o->perform();
        }
        return true;
    }
    return false;
}

int main(int argc, char **argv) {
    static char line[256];
    hotel_config config = {.log_fn = hotel_log_to_stderr};
    (void)argc;
    inputs = argv + 1;
    if (hotel_init(&config) != HOTEL_OK) return 2;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (!perform(line) || hotel_flush(5000) != HOTEL_OK) return 3;
        printf("done\n");
        (void)fflush(stdout);
    }
    return hotel_shutdown(1000) == HOTEL_OK ? 0 : 1;
}
