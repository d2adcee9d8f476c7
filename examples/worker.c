/* worker.c - a Hatchet task in C. It reads the metadata of a run from standard input, as trigger.c
   writes it, and runs the task fetch_data of workflow OTelDataPipeline in the run's trace.

   cc -I. examples/worker.c -o build/examples/worker -pthread &&
       build/examples/trigger | build/examples/worker

   An argument says how often the data's server times out. Each time is an attempt that failed;
   Hatchet makes another one, and all of them are in the same trace: try worker 1. */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_RETRIES = 2 };

static void sleep_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

/* ---- The task ------------------------------------------------------------------------------- */

/* Returns the number of records, or -1 if the data's server did not answer. The function knows
   nothing of Hatchet: its spans hang under the task's span and carry the hatchet.* attributes
   because the task is current on this thread. */
static int fetch_data(bool is_server_up) {
    {
        HOTEL_SCOPE(span, hotel_start_as("http.request", HOTEL_CLIENT));
        hotel_set(&span, hotel_str("http.method", "GET"),
                  hotel_str("http.url", "https://api.example.com/data"));
        sleep_ms(50);
        if (!is_server_up) {
            hotel_fail(&span, "no answer within 50 ms");
            return -1;
        }
        hotel_set_int(&span, "http.status_code", 200);
    }

    HOTEL_SCOPE(span, hotel_start("json.parse"));
    sleep_ms(10);
    int num_records = 42;
    hotel_set_int(&span, "json.record_count", num_records);
    return num_records;
}

/* ---- The worker around it ------------------------------------------------------------------- */

typedef struct uuid {
    char text[37];
} uuid;

/* The engine makes the identifiers of a run. Here they are made of the trace ID: different in
   every run, and each a well-formed UUID (version 8). */
static uuid make_uuid(const hotel_context *run, unsigned char number) {
    const uint8_t *id = run->span.context.trace_id;
    uuid u;
    (void)snprintf(u.text, sizeof u.text,
                   "%02x%02x%02x%02x-%02x%02x-8%x%02x-8%x%02x-%02x%02x%02x%02x%02x%02x", id[0],
                   id[1], id[2], id[3], id[4], id[5], id[6] & 15u, id[7], id[8] & 15u, id[9],
                   id[10], id[11], id[12], id[13], id[14], id[15] ^ number);
    return u;
}

/* What Hatchet's dispatcher sends when it assigns a task to a worker. */
typedef struct assigned_action {
    const char *additional_metadata, *payload;
    int32_t retry_count;
    uuid tenant_id, worker_id, workflow_id, workflow_version_id, workflow_run_id, step_id,
        step_run_id;
} assigned_action;

static assigned_action receive_action(const char *metadata, size_t size) {
    hotel_context run = hotel_extract_metadata(metadata, size);
    assigned_action action = {
        .additional_metadata = metadata,
        .payload = "{\"input\": {\"since\": \"2026-01-01\"}}",
        .tenant_id = make_uuid(&run, 1),
        .worker_id = make_uuid(&run, 2),
        .workflow_id = make_uuid(&run, 3),
        .workflow_version_id = make_uuid(&run, 4),
        .workflow_run_id = make_uuid(&run, 5),
        .step_id = make_uuid(&run, 6),
        .step_run_id = make_uuid(&run, 7),
    };
    hotel_context_release(&run);
    return action;
}

/* A line of the program's own log, which leads to the trace. */
static void say(const char *message) {
    char fields[256];
    (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    fprintf(stderr, "worker: %s%s\n", message, fields);
}

static bool run_task(const assigned_action *action, bool is_server_up) {
    hotel_task task = hotel_start_step_run(&(hotel_step_run){
        .workflow_name = "OTelDataPipeline",
        .step_name = "fetch_data",
        .action_name = "oteldatapipeline:fetch_data",
        .step_run_id = action->step_run_id.text,
        .workflow_run_id = action->workflow_run_id.text,
        .step_id = action->step_id.text,
        .workflow_id = action->workflow_id.text,
        .workflow_version_id = action->workflow_version_id.text,
        .worker_id = action->worker_id.text,
        .tenant_id = action->tenant_id.text,
        .retry_count = action->retry_count,
        .payload = action->payload,
        .additional_metadata = action->additional_metadata,
    });
    int num_records = fetch_data(is_server_up);
    if (num_records < 0) {
        say("fetch_data failed");
        hotel_task_fail_as(&task, "TimeoutError", "upstream timed out", NULL);
        return false;
    }
    hotel_add_event_with(&task.span, "records.fetched", hotel_int("count", num_records));
    say("fetch_data is done");
    hotel_task_succeed(&task);
    return true;
}

int main(int argc, char **argv) {
    int num_timeouts = argc > 1 ? atoi(argv[1]) : 0;
    char metadata[4096];
    size_t size = fread(metadata, 1, sizeof metadata - 1, stdin);
    metadata[size] = '\0';
    if (size == 0) {
        fprintf(stderr, "worker: no metadata on standard input; try: trigger | worker\n");
        return 2;
    }

    hotel_init(&(hotel_config){
        .service_name = "worker",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    assigned_action action = receive_action(metadata, size);
    while (!run_task(&action, num_timeouts-- <= 0) && action.retry_count < MAX_RETRIES) {
        action.retry_count++; // the engine assigns the task once more
    }

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "worker: spans not delivered: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
