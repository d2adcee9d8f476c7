/* trigger.c - what a service does around a call that runs a Hatchet workflow: a span for the call,
   and the trace's context in the metadata that travels with the run. The metadata goes to standard
   output, where a real program hands it to its Hatchet client. Without HATCHET_CLIENT_TOKEN in the
   environment spans go to a collector at localhost:4318, with it to Hatchet.

   cc -I. examples/trigger.c -o build/examples/trigger -pthread && build/examples/trigger */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

/* Stands for the call of a Hatchet client. */
static bool run_workflow(const char *name, const char *input, const char *additional_metadata) {
    (void)name;
    (void)input;
    return puts(additional_metadata) >= 0 && fflush(stdout) == 0;
}

static bool trigger_otel_data_pipeline(void) {
    HOTEL_SCOPE(trigger, hotel_start("trigger_otel_data_pipeline"));

    const char *input = "{\"since\": \"2026-01-01\"}";
    const char *user_metadata = "{\"requested_by\": \"examples/trigger.c\"}";
    hotel_span run = hotel_start_run_workflow(&(hotel_trigger){
        .workflow_name = "OTelDataPipeline",
        .payload = input,
        .additional_metadata = user_metadata,
        .priority = &(int32_t){2},
    });

    char metadata[512];
    size_t size = hotel_inject_metadata(&run, user_metadata, metadata, sizeof metadata);
    bool ok = size < sizeof metadata && run_workflow("OTelDataPipeline", input, metadata);
    ok ? hotel_succeed(&run) : hotel_fail(&run, "the run was not triggered");
    return ok;
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "trigger",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    bool ok = trigger_otel_data_pipeline();
    if (!ok) fprintf(stderr, "trigger: the run was not triggered\n");

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "trigger: spans not delivered: %s\n", hotel_result_text(result));
    return ok && result == HOTEL_OK ? 0 : 1;
}
