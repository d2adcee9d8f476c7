/*
 * SPDX-License-Identifier: MIT
 *
 * plugin.c - a shared object with a private copy of the library, for host.c.
 */
#define HATCHET_OTEL_STATIC
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "plugin.h"

static int start(const char *endpoint, unsigned timeout_ms) {
    hotel_destination to;
    hotel_config config;
    memset(&to, 0, sizeof to);
    memset(&config, 0, sizeof config);
    to.endpoint = endpoint;
    to.timeout_ms = timeout_ms;
    config.service_name = "plugin";
    config.destinations = &to;
    config.num_destinations = 1;
    config.ignore_environment = true;
    return hotel_init(&config);
}

static void make_spans(unsigned count) {
    while (count-- > 0) {
        hotel_span span = hotel_start("of the plugin");
        hotel_context context = hotel_context_with(&span);
        hotel_token token = hotel_attach(&context);
        hotel_set_int(&span, "left", (int64_t)count);
        (void)hotel_detach(token);
        hotel_end(&span);
    }
}

static int flush(unsigned timeout_ms) { return hotel_flush(timeout_ms); }

static int stop(unsigned timeout_ms) {
    int result = hotel_shutdown(timeout_ms);
    (void)hotel_release();
    return result;
}

static unsigned long long accepted(void) {
    hotel_destination_stats stats;
    (void)hotel_get_destination_stats(0, &stats);
    return stats.accepted;
}

const plugin plugin_table = {start, make_spans, flush, stop, accepted};
