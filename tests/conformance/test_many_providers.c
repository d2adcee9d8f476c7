/*
 * SPDX-License-Identifier: MIT
 *
 * test_many_providers.c - as many providers as the option allows, each with as many destinations as
 * one may have.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_MAX_PROVIDERS 8
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

enum { DESTINATIONS = 4 };

static size_t exported[HATCHET_OTEL_MAX_PROVIDERS];

static hotel_result count_spans(const hotel_batch *batch, void *user_data) {
    *(size_t *)user_data += batch->num_spans;
    return HOTEL_OK;
}

/* One with four destinations that count in the same place. */
static hotel_config config_of(size_t index, hotel_exporter *exporter, hotel_destination *to) {
    hotel_config config = test_config(to, DESTINATIONS);
    size_t i;
    memset((void *)exporter, 0, sizeof *exporter);
    memset((void *)to, 0, DESTINATIONS * sizeof *to);
    exporter->export_fn = count_spans;
    exporter->user_data = &exported[index];
    for (i = 0; i < DESTINATIONS; i++) {
        to[i].exporter = exporter;
        to[i].max_queue_size = 10;
    }
    config.no_threads = true;
    return config;
}

int main(void) {
    hotel_exporter exporter;
    hotel_destination to[DESTINATIONS];
    hotel_config config = config_of(0, &exporter, to);
    hotel_provider provider;
    hotel_stats stats;
    hotel_span span;
    size_t i;
    is_int(hotel_init(&config), HOTEL_OK, "TR-01 the first provider");
    span = hotel_start("first");
    hotel_end(&span);
    for (i = 1; i < HATCHET_OTEL_MAX_PROVIDERS; i++) {
        hotel_tracer_config tracer;
        hotel_start_options options;
        config = config_of(i, &exporter, to);
        is_int(hotel_provider_start(&config, &provider), HOTEL_OK, "TR-01 provider %zu", i);
        memset((void *)&tracer, 0, sizeof tracer);
        memset((void *)&options, 0, sizeof options);
        tracer.provider = provider;
        tracer.name = "x";
        options.tracer = hotel_get_tracer(&tracer);
        span = hotel_start_with("further", &options);
        hotel_end(&span);
    }
    is_int(hotel_provider_start(&config, &provider), HOTEL_ERR_ARGUMENT, "TR-01 one too many");
    hotel_get_stats(&stats);
    is_int((long long)stats.num_destinations, HATCHET_OTEL_MAX_PROVIDERS * DESTINATIONS,
           "TR-01 all their destinations");
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 a flush of all");
    for (i = 0; i < HATCHET_OTEL_MAX_PROVIDERS; i++)
        is_int((long long)exported[i], DESTINATIONS, "TR-01 provider %zu exports its span", i);
    is_int(hotel_shutdown(5000), HOTEL_OK, "TR-07 the shutdown of all");
    (void)hotel_release();
    return done_testing();
}
