/* pipeline.c - a C library that Python calls by ctypes from within a Hatchet task. Its spans hang
   under the span that is current in Python, carry the hatchet.* attributes of the task, and go where
   OTEL_* and HATCHET_CLIENT_* say: with HATCHET_CLIENT_TOKEN to Hatchet, beside the SDK's own.
   pipeline.py is its Python side, worker.py the worker.

   cc -I. -shared -fPIC examples/python_extension/pipeline.c -o build/examples/pipeline.so -pthread

   An engine with TLS: add -DHATCHET_OTEL_OPENSSL and -lssl -lcrypto. */
#define HATCHET_OTEL_STATIC // a copy of its own: no other library of the process can clash with it
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdlib.h>
#include <string.h>

/* pipeline.py has the same members in the same order. */
typedef struct pipeline_task {
    const char *metadata; // {"traceparent": ...} of the span that is current in Python
    const char *workflow_name, *step_name, *action_name;
    const char *workflow_run_id, *step_run_id, *step_id, *workflow_id, *workflow_version_id;
    const char *worker_id, *tenant_id, *payload;
    const char *parent_workflow_run_id, *child_workflow_key;
    const char *triggering_event_external_id, *triggering_event_key;
    const int32_t *child_workflow_index; // NULL: not a child
    int32_t retry_count;
} pipeline_task;

int pipeline_start(void);
int pipeline_stop(uint32_t timeout_ms);
const char *pipeline_error(int result);
bool pipeline_median(const pipeline_task *caller, double *values, size_t count, double *median);

/* Once, before a server makes its child processes or in each of them: both work. */
int pipeline_start(void) {
    return hotel_init(&(hotel_config){
        .service_name = "pipeline",
        .tracer = {.name = "pipeline", .version = "1.0.0"},
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
}

int pipeline_stop(uint32_t timeout_ms) {
    return hotel_shutdown(timeout_ms);
}

const char *pipeline_error(int result) {
    return hotel_result_text((hotel_result)result);
}

static hotel_task join(const pipeline_task *caller) {
    return hotel_join_step_run(&(hotel_step_run){
        .workflow_name = caller->workflow_name,
        .step_name = caller->step_name,
        .action_name = caller->action_name,
        .workflow_run_id = caller->workflow_run_id,
        .step_run_id = caller->step_run_id,
        .step_id = caller->step_id,
        .workflow_id = caller->workflow_id,
        .workflow_version_id = caller->workflow_version_id,
        .worker_id = caller->worker_id,
        .tenant_id = caller->tenant_id,
        .payload = caller->payload,
        .parent_workflow_run_id = caller->parent_workflow_run_id,
        .child_workflow_key = caller->child_workflow_key,
        .triggering_event_external_id = caller->triggering_event_external_id,
        .triggering_event_key = caller->triggering_event_key,
        .child_workflow_index = caller->child_workflow_index,
        .retry_count = caller->retry_count,
        .additional_metadata = caller->metadata,
    });
}

static int compare(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static bool find_median(double *values, size_t count, double *median) {
    HOTEL_SCOPE(span, hotel_start("pipeline.median"));
    hotel_set_int(&span, "pipeline.count", (int64_t)count);
    if (count == 0) {
        hotel_set_status(&span, HOTEL_STATUS_ERROR, "no values");
        return false;
    }
    {
        HOTEL_SCOPE(sort, hotel_start("pipeline.sort"));
        qsort(values, count, sizeof *values, compare);
    }
    size_t half = count / 2;
    *median = count % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
    hotel_set_double(&span, "pipeline.median", *median);
    return true;
}

/* Sorts the values. False: there is no median. */
bool pipeline_median(const pipeline_task *caller, double *values, size_t count, double *median) {
    hotel_task task = join(caller);
    bool found = find_median(values, count, median);
    hotel_task_succeed(&task); // leaves the task; its span is Python's to end
    return found;
}
