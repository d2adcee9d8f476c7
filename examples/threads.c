/* threads.c - a Hatchet task that spreads its work over threads. Each thread takes the task's context
   along: its spans hang under the task's span and carry the hatchet.* attributes, and so do the
   lines that it logs, as JSON with trace_id, span_id, step_run_id and workflow_run_id.

   cc -I. examples/threads.c -o build/examples/threads -pthread && build/examples/threads */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pthread.h>
#include <stdio.h>

enum { NUM_THREADS = 3, NUM_PAGES = 2 };

typedef struct job {
    hotel_context context; // of the task; each job holds its own
    int first_page;
    pthread_t thread;
    bool is_running;
} job;

/* A line of the program's own log: behind a trace's spans stand its lines, and the other way. */
static void log_line(const char *message, int page) {
    char fields[256];
    (void)hotel_log_fields(NULL, HOTEL_LOG_FORMAT_JSON, fields, sizeof fields);
    printf("{\"message\":\"%s\",\"page\":%d%s}\n", message, page, fields);
}

static void *scan_pages(void *argument) {
    job *j = (job *)argument;
    HOTEL_ATTACH(here, &j->context);
    HOTEL_SCOPE(scan, hotel_start("scan"));
    for (int page = j->first_page; page < j->first_page + NUM_PAGES; page++) {
        HOTEL_SCOPE(span, hotel_start("scan.page")); // under this thread's scan
        hotel_set_int(&span, "page", page);
        log_line("scanned", page);
    }
    return NULL;
}

static bool scan_book(void) {
    job jobs[NUM_THREADS];
    bool ok = true;
    for (int i = 0; i < NUM_THREADS; i++) {
        jobs[i].context = hotel_context_hold(NULL); // what is current here: the task
        jobs[i].first_page = 1 + i * NUM_PAGES;
        jobs[i].is_running = pthread_create(&jobs[i].thread, NULL, scan_pages, &jobs[i]) == 0;
        ok = jobs[i].is_running && ok;
    }
    for (int i = 0; i < NUM_THREADS; i++) {
        if (jobs[i].is_running) (void)pthread_join(jobs[i].thread, NULL);
        hotel_context_release(&jobs[i].context);
    }
    return ok;
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "threads",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    hotel_task task = hotel_start_step_run(&(hotel_step_run){
        .workflow_name = "Library",
        .step_name = "scan-book",
        .step_run_id = "3b7d6f52-0c52-4c7e-9a3e-7a0a0f7e6d21",
        .workflow_run_id = "f2f0c0de-9a57-4b5c-8f0b-6d9d2f1f4b10",
    });
    scan_book() ? hotel_task_succeed(&task) : hotel_task_fail(&task, "out of threads");

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "threads: spans not delivered: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
