/* both_destinations.c - the same spans to Hatchet's dashboard and to a collector of your own. The
   token in HATCHET_CLIENT_TOKEN tells where Hatchet is, the argument where the collector is. Each
   destination has a queue of its own: one that does not answer does not delay the other.

   cc -DHATCHET_OTEL_OPENSSL -I. examples/both_destinations.c -o build/examples/both_destinations \
       -pthread -lssl -lcrypto && build/examples/both_destinations http://localhost:4318

   An engine without TLS (HATCHET_CLIENT_TLS_STRATEGY=none) needs no OpenSSL. */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

enum { COLLECTOR, HATCHET, NUM_DESTINATIONS }; // Hatchet's is behind those of the configuration

static void print_books(void) {
    static const char *const names[NUM_DESTINATIONS] = {"collector", "hatchet"};
    for (size_t i = COLLECTOR; i < NUM_DESTINATIONS; i++) {
        hotel_destination_stats stats;
        if (hotel_get_destination_stats(i, &stats)) continue; // no token: no destination
        printf("%s: %llu of %llu spans accepted\n", names[i], (unsigned long long)stats.accepted,
               (unsigned long long)stats.offered);
    }
}

int main(int argc, char **argv) {
    hotel_destination collector = {.endpoint = argc > 1 ? argv[1] : "http://localhost:4318"};
    hotel_result result = hotel_init(&(hotel_config){
        .service_name = "both-destinations",
        .destinations = &collector,
        .num_destinations = 1,
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    if (result) fprintf(stderr, "both_destinations: %s\n", hotel_result_text(result));

    // In the dashboard a span shows up by the run it belongs to.
    hotel_task task = hotel_start_step_run(&(hotel_step_run){
        .workflow_name = "Report",
        .step_name = "render",
        .step_run_id = "5f0c1f0e-7d5e-4d0b-9a53-2f1f6f0f9b3c",
        .workflow_run_id = "5f0c1f0e-7d5e-4d0b-9a53-2f1f6f0f9b3c",
    });
    {
        HOTEL_SCOPE(span, hotel_start("render.page"));
        hotel_set_int(&span, "page", 1);
    }
    hotel_task_succeed(&task);

    result = hotel_flush(5000);
    if (result) fprintf(stderr, "spans not delivered: %s\n", hotel_result_text(result));
    print_books();
    (void)hotel_shutdown(1000);
    return result == HOTEL_OK ? 0 : 1;
}
