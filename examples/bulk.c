/* bulk.c - one call that runs many workflows. There is always a span for the call; with an
   argument, as in bulk each, every run has a span of its own under it. The metadata of each run
   goes to standard output, where a real program hands the list to its Hatchet client.

   cc -I. examples/bulk.c -o build/examples/bulk -pthread &&
       build/examples/bulk && build/examples/bulk each

   HATCHET_CLIENT_OPENTELEMETRY_INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN=true does the same. */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

enum { NUM_RUNS = 3 };

/* Stands for the call of a Hatchet client. */
static bool run_workflows(const hotel_trigger *runs, char metadata[][256]) {
    for (int i = 0; i < NUM_RUNS; i++) {
        if (printf("%s %s\n", runs[i].workflow_name, metadata[i]) < 0) return false;
    }
    return true;
}

static bool resize_images(void) {
    const hotel_trigger runs[NUM_RUNS] = {
        {.workflow_name = "Resize", .payload = "{\"width\": 320}", .key = "small"},
        {.workflow_name = "Resize", .payload = "{\"width\": 1280}", .key = "large"},
        {.workflow_name = "Index", .payload = "{\"image\": 7}"},
    };
    char metadata[NUM_RUNS][256];
    hotel_span parts[NUM_RUNS];

    hotel_span batch = hotel_start_run_workflows(runs, NUM_RUNS);
    for (int i = 0; i < NUM_RUNS; i++) {
        parts[i] = hotel_start_run_of(&batch, &runs[i]);
        (void)hotel_inject_metadata(&parts[i], NULL, metadata[i], sizeof metadata[i]);
    }
    bool ok = run_workflows(runs, metadata);
    for (int i = 0; i < NUM_RUNS; i++) {
        ok ? hotel_succeed(&parts[i]) : hotel_fail(&parts[i], "not triggered");
    }
    ok ? hotel_succeed(&batch) : hotel_fail(&batch, "not triggered");
    return ok;
}

int main(int argc, char **argv) {
    (void)argv;
    hotel_init(&(hotel_config){
        .service_name = "bulk",
        .hatchet = {.individual_run_spans = argc > 1},
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    bool ok = resize_images();
    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "bulk: spans not delivered: %s\n", hotel_result_text(result));
    return ok && result == HOTEL_OK ? 0 : 1;
}
