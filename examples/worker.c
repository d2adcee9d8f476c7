/* worker.c - a Hatchet task in C. It reads the metadata of a run from standard input, as trigger.c
   writes it, and runs the task fetch_data of workflow OTelDataPipeline in the run's trace.

   cc -I. examples/worker.c -o build/examples/worker -pthread &&
       build/examples/trigger | build/examples/worker */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <poll.h>
#include <stdio.h>

static void sleep_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

/* The task. It knows nothing of Hatchet: its spans hang under the task's span and carry the
   hatchet.* attributes because the task is current on this thread. */
static int fetch_data(void) {
    {
        HOTEL_SCOPE(span, hotel_start("http.request"));
        hotel_set(&span, hotel_str("http.method", "GET"),
                  hotel_str("http.url", "https://api.example.com/data"));
        sleep_ms(50);
        hotel_set_int(&span, "http.status_code", 200);
    }

    HOTEL_SCOPE(span, hotel_start("json.parse"));
    sleep_ms(10);
    int num_records = 42;
    hotel_set_int(&span, "json.record_count", num_records);
    return num_records;
}

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
    const char *additional_metadata;
    uuid tenant_id, worker_id, workflow_id, workflow_version_id, workflow_run_id, step_id,
        step_run_id;
} assigned_action;

static assigned_action receive_action(const char *metadata, size_t size) {
    hotel_context run = hotel_extract_metadata(metadata, size);
    assigned_action action = {
        .additional_metadata = metadata,
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

static void run_task(const assigned_action *action) {
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
        .additional_metadata = action->additional_metadata,
    });
    int num_records = fetch_data();
    if (num_records > 0) {
        hotel_task_succeed(&task);
    } else {
        hotel_task_fail(&task, "no records");
    }
    fprintf(stderr, "worker: fetch_data fetched %d records\n", num_records);
}

int main(void) {
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
    run_task(&action);

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "worker: spans not delivered: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
