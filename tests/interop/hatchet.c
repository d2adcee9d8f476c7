/*
 * SPDX-License-Identifier: MIT
 *
 * hatchet.c - the operations of a Hatchet client and of a worker, each with its span. It speaks to
 * the engine only to export spans: the calls themselves are those of whoever runs it, who is asked
 * for them with a line of JSON on standard output and answers with a line, "ok" when all went well.
 *
 *     hatchet trigger|push NAME=VALUE...   -> {"metadata": {...}}   <- ok
 *     hatchet cancel NAME=VALUE...
 *     hatchet ids NAME=VALUE...            -> the IDs of the engine's own spans
 *     hatchet task NAME=VALUE...           -> {"run": WORKFLOW, "input": {...}, "metadata": {...}}
 *                                             {"push": EVENT, "payload": {...}, "metadata": {...}}
 *                                             {"wait": SECONDS} or {"stop": true} <- ok, for each
 *                                          -> {"end": "succeeded"|"failed"|"cancelled"}
 *
 * The tasks are those of worker_sdk.py, by their names.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

#include "fields.h"

enum { MAX_METADATA = 65536 };

/* Whether the one who runs this program did what it was asked for. */
static bool answered(void) {
    char line[256];
    (void)fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) return false;
    return strcmp(line, "ok\n") == 0;
}

static void finish(const hotel_span *span, bool ok) {
    if (ok) {
        hotel_succeed(span);
    } else {
        hotel_fail(span, "the call failed");
    }
}

static int trigger(char *const *fields) {
    static char metadata[MAX_METADATA];
    const char *given = field(fields, "additional_metadata");
    hotel_trigger run;
    hotel_span span;
    bool ok;
    memset(&run, 0, sizeof run);
    run.workflow_name = field(fields, "workflow_name");
    run.payload = field(fields, "payload");
    run.additional_metadata = given;
    span = hotel_start_run_workflow(&run);
    if (hotel_inject_metadata(&span, given, metadata, sizeof metadata) >= sizeof metadata) return 3;
    printf("{\"metadata\": %s}\n", metadata);
    ok = answered();
    finish(&span, ok);
    return !ok;
}

static int push(char *const *fields) {
    static char metadata[MAX_METADATA];
    const char *given = field(fields, "additional_metadata");
    hotel_hatchet_event event;
    hotel_span span;
    bool ok;
    memset(&event, 0, sizeof event);
    event.event_key = field(fields, "event_key");
    event.payload = field(fields, "payload");
    event.additional_metadata = given;
    span = hotel_start_push_event(&event);
    if (hotel_inject_event_metadata(&span, given, metadata, sizeof metadata) >= sizeof metadata)
        return 3;
    printf("{\"metadata\": %s}\n", metadata);
    ok = answered();
    finish(&span, ok);
    return !ok;
}

static int cancel(char *const *fields) {
    int32_t child_index;
    hotel_step_run run = step_run_of(fields, &child_index);
    hotel_span span = hotel_start_cancel_step_run(&run);
    hotel_end(&span);
    return 0;
}

static void print_id(const char *name, const uint8_t *id, size_t size) {
    size_t i;
    printf("\"%s\": \"", name);
    for (i = 0; i < size; i++) printf("%02x", (unsigned)id[i]);
    printf("\"");
}

static int ids(char *const *fields) {
    const char *run_id = field(fields, "workflow_run_id"), *event = field(fields, "event_id");
    const char *task_id = field(fields, "step_run_id");
    int32_t retry = 0;
    hotel_span_context run;
    uint8_t queued[8], step_run[8], pushed[8];
    (void)number_field(fields, "retry_count", &retry);
    if (!hotel_engine_run(run_id, 0, &run) || !hotel_engine_queued(task_id, 0, retry, queued) ||
        !hotel_engine_step_run(task_id, 0, retry, step_run) ||
        !hotel_engine_event(event, 0, run_id, 0, pushed))
        return 3;
    printf("{");
    print_id("trace", run.trace_id, sizeof run.trace_id);
    printf(", ");
    print_id("hatchet.engine.workflow_run", run.span_id, sizeof run.span_id);
    printf(", ");
    print_id("hatchet.engine.queued", queued, sizeof queued);
    printf(", ");
    print_id("hatchet.engine.start_step_run", step_run, sizeof step_run);
    printf(", ");
    print_id("hatchet.engine.event", pushed, sizeof pushed);
    printf("}\n");
    return 0;
}

/* ---- the tasks ---- */

typedef bool (*task_fn)(const hotel_step_run *run, char *const *fields);

static bool simple(const hotel_step_run *run, char *const *fields) {
    hotel_span span = hotel_start("custom.child.span");
    (void)run;
    hotel_set_str(&span, "test.marker", "interop");
    hotel_set_str(&span, "input.message", field(fields, "message"));
    hotel_end(&span);
    return true;
}

static bool parent(const hotel_step_run *run, char *const *fields) {
    static char metadata[MAX_METADATA];
    HOTEL_SCOPE(spawn, hotel_start("spawn.child"));
    hotel_trigger child;
    hotel_span span;
    bool ok;
    (void)run;
    hotel_set_str(&spawn, "parent.message", field(fields, "message"));
    memset(&child, 0, sizeof child);
    child.workflow_name = "interop-simple";
    child.payload = field(fields, "input");
    span = hotel_start_run_workflow(&child);
    (void)hotel_inject_metadata(&span, NULL, metadata, sizeof metadata);
    printf("{\"run\": \"%s\", \"input\": %s, \"metadata\": %s}\n", child.workflow_name,
           child.payload, metadata);
    ok = answered();
    finish(&span, ok);
    return ok;
}

/* An event from inside a task: its metadata names the task. */
static bool pushing(const hotel_step_run *run, char *const *fields) {
    static char metadata[MAX_METADATA], payload[MAX_METADATA];
    hotel_hatchet_event event;
    hotel_span span;
    bool ok;
    (void)run;
    (void)snprintf(payload, sizeof payload, "{\"message\": \"%s\"}", field(fields, "message"));
    memset(&event, 0, sizeof event);
    event.event_key = "interop:ordered";
    event.payload = payload;
    event.additional_metadata = "{\"inside\": \"a task\"}";
    span = hotel_start_push_event(&event);
    (void)hotel_inject_event_metadata(&span, event.additional_metadata, metadata, sizeof metadata);
    printf("{\"push\": \"%s\", \"payload\": %s, \"metadata\": %s}\n", event.event_key,
           event.payload, metadata);
    ok = answered();
    finish(&span, ok);
    return ok;
}

static bool retried(const hotel_step_run *run, char *const *fields) {
    hotel_span span = hotel_start("attempt");
    bool ok = run->retry_count > 0;
    (void)fields;
    if (!ok) {
        hotel_fail_as(&span, "ValueError", "ValueError: the first attempt fails", NULL);
    } else {
        hotel_end(&span);
    }
    return ok;
}

static bool waiting(const hotel_step_run *run, char *const *fields) {
    int32_t num_conditions = 2; /* as the SDK counts: the label is one */
    hotel_wait wait;
    hotel_span span;
    bool ok;
    (void)run;
    (void)fields;
    memset(&wait, 0, sizeof wait);
    wait.signal_key = "sleep:1s-0";
    wait.num_conditions = &num_conditions;
    span = hotel_start_wait_for(&wait);
    printf("{\"wait\": 1}\n");
    ok = answered();
    finish(&span, ok);
    return ok;
}

/* Spans of a step of the DAG: those with a blank before the name are under the one before. */
static bool spans_of(const char *step, const char *const *names) {
    size_t i = 0;
    while (names[i] != NULL) {
        HOTEL_SCOPE(outer, hotel_start(names[i++]));
        hotel_set_str(&outer, "step", step);
        for (; names[i] != NULL && names[i][0] == ' '; i++) {
            hotel_span inner = hotel_start(names[i] + 1);
            hotel_set_str(&inner, "step", step);
            hotel_end(&inner);
        }
    }
    return true;
}

static bool load(const hotel_step_run *run, char *const *fields) {
    static const char *const names[] = {"fetch", "parse", NULL};
    (void)fields;
    return spans_of(run->step_name, names);
}

static bool check(const hotel_step_run *run, char *const *fields) {
    static const char *const names[] = {"validate", "clean", NULL};
    (void)fields;
    return spans_of(run->step_name, names);
}

static bool convert(const hotel_step_run *run, char *const *fields) {
    static const char *const names[] = {"transform", " split", " map", " join", NULL};
    (void)fields;
    return spans_of(run->step_name, names);
}

static bool store(const hotel_step_run *run, char *const *fields) {
    static const char *const names[] = {"insert", "invalidate", "notify", NULL};
    (void)fields;
    return spans_of(run->step_name, names);
}

static const struct {
    const char *name;
    task_fn run;
} tasks[] = {
    {"interop-simple", simple},
    {"interop-parent", parent},
    {"interop-pushing", pushing},
    {"interop-retried", retried},
    {"interop-waiting", waiting},
    {"load", load},
    {"check", check},
    {"convert", convert},
    {"store", store},
};

/* The task that does nothing until it is cancelled. */
static int run_stuck(hotel_task *task) {
    hotel_span span = hotel_start("stuck");
    printf("{\"stop\": true}\n");
    if (!answered()) return 1;
    hotel_end(&span);
    hotel_task_cancel(task);
    printf("{\"end\": \"cancelled\"}\n");
    return 0;
}

static int run_task(char *const *fields) {
    int32_t child_index;
    hotel_step_run run = step_run_of(fields, &child_index);
    hotel_task task = hotel_start_step_run(&run);
    size_t i = 0, count = sizeof tasks / sizeof tasks[0];
    bool ok;
    if (strcmp(run.step_name, "interop-stuck") == 0) return run_stuck(&task);
    while (i < count && strcmp(tasks[i].name, run.step_name) != 0) i++;
    if (i == count) return 4;
    ok = tasks[i].run(&run, fields);
    if (ok) {
        hotel_task_succeed(&task);
    } else {
        hotel_task_fail_as(&task, "ValueError", "the first attempt fails", NULL);
    }
    printf("{\"end\": \"%s\"}\n", ok ? "succeeded" : "failed");
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(char *const *fields);
    } commands[] = {
        {"trigger", trigger}, {"push", push}, {"cancel", cancel}, {"ids", ids}, {"task", run_task}};
    hotel_config config = {.log_fn = hotel_log_to_stderr, .log_level = HOTEL_LOG_WARN};
    size_t i, count = sizeof commands / sizeof commands[0];
    int status = 2;
    if (argc < 2 || hotel_init(&config) != HOTEL_OK) return 2;
    for (i = 0; i < count; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) status = commands[i].run(argv + 2);
    }
    (void)fflush(stdout);
    return hotel_shutdown(10000) == HOTEL_OK ? status : 5;
}
