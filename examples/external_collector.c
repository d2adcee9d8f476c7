/* external_collector.c - a service that triggers Hatchet workflows and sends its spans to a
   collector of its own alone: Hatchet's gets none, although HATCHET_CLIENT_TOKEN is in the
   environment, for the service's Hatchet client. The argument is the collector's address.

   cc -I. examples/external_collector.c -o build/examples/external_collector -pthread &&
       build/examples/external_collector http://localhost:4318 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

static void trigger_report(void) {
    HOTEL_SCOPE(request, hotel_start_as("POST /reports", HOTEL_SERVER));
    hotel_span run = hotel_start_run_workflow(&(hotel_trigger){.workflow_name = "Report"});
    char metadata[256];
    (void)hotel_inject_metadata(&run, NULL, metadata, sizeof metadata);
    bool ok = puts(metadata) >= 0; // stands for the call of a Hatchet client
    ok ? hotel_succeed(&run) : hotel_fail(&run, "the run was not triggered");
}

int main(int argc, char **argv) {
    hotel_destination collector = {
        .endpoint = argc > 1 ? argv[1] : "http://localhost:4318",
        .headers = (const hotel_header[]){{"x-api-key", "example"}},
        .num_headers = 1,
    };
    hotel_result result = hotel_init(&(hotel_config){
        .service_name = "reports",
        .destinations = &collector,
        .num_destinations = 1,
        .hatchet = {.no_collector = true},
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    if (result) fprintf(stderr, "external_collector: %s\n", hotel_result_text(result));

    trigger_report();
    result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "spans not delivered: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
