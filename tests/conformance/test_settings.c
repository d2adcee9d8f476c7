/*
 * SPDX-License-Identifier: MIT
 *
 * test_settings.c - settings of a destination: their defaults, what the environment says, and what
 * the configuration says over that. Looked up in what hotel_describe tells.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

typedef struct setting_row {
    const char *id;
    const char *variable, *value; /* NULL: unset */
    const char *line;             /* what hotel_describe has then */
    bool bad;
} setting_row;

static const setting_row settings[] = {
    {"EV-06 the default delay", NULL, NULL, "schedule_delay_ms=5000", false},
    {"EV-06 the default queue", NULL, NULL, "max_queue_size=2048", false},
    {"EV-06 the default batch", NULL, NULL, "max_export_batch_size=512", false},
    {"OX-09 the default timeout", NULL, NULL, "timeout_ms=10000", false},
    {"EV-06 a delay", "OTEL_BSP_SCHEDULE_DELAY", "1234", "schedule_delay_ms=1234", false},
    {"EP-05 a delay of nothing", "OTEL_BSP_SCHEDULE_DELAY", "0", "schedule_delay_ms=0", false},
    {"EP-01 an empty delay", "OTEL_BSP_SCHEDULE_DELAY", "", "schedule_delay_ms=5000", false},
    {"EP-03 a negative delay", "OTEL_BSP_SCHEDULE_DELAY", "-1", "schedule_delay_ms=5000", true},
    {"EP-10 a delay with a unit", "OTEL_BSP_SCHEDULE_DELAY", "5s", "schedule_delay_ms=5000", true},
    {"EP-10 a delay in words", "OTEL_BSP_SCHEDULE_DELAY", "soon", "schedule_delay_ms=5000", true},
    {"EP-10 too large a delay", "OTEL_BSP_SCHEDULE_DELAY", "99999999999999999999",
     "schedule_delay_ms=5000", true},
    {"EV-06 a queue", "OTEL_BSP_MAX_QUEUE_SIZE", "1000", "max_queue_size=1000", false},
    {"EP-03 a queue of nothing", "OTEL_BSP_MAX_QUEUE_SIZE", "0", "max_queue_size=2048", true},
    {"EV-06 a batch", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7", "max_export_batch_size=7", false},
    {"EP-03 a batch of nothing", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0",
     "max_export_batch_size=512", true},
    {"EV-06 a timeout", "OTEL_BSP_EXPORT_TIMEOUT", "4000", "timeout_ms=4000", false},
    {"EV-07 a timeout", "OTEL_EXPORTER_OTLP_TIMEOUT", "77", "timeout_ms=77", false},
    {"EV-07 a timeout of traces", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "78", "timeout_ms=78",
     false},
    {"EV-07 an endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.2:1/base",
     "destination=http://127.0.0.2:1/base/v1/traces", false},
    {"EV-07 an endpoint of traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
     "http://127.0.0.2:1/base", "destination=http://127.0.0.2:1/base", false},
};

static bool described(const char *line) {
    static char text_now[8192];
    const char *at = text_now;
    size_t size = strlen(line);
    (void)hotel_describe(text_now, sizeof text_now);
    while ((at = strstr(at, line)) != NULL) {
        if ((at[-1] == ' ' || at[-1] == '\n') && at[size] == '\n') return true;
        at++;
    }
    return false;
}

static hotel_config open_config(void) {
    hotel_config config = sink_config();
    config.ignore_environment = false;
    sink_destination.endpoint = NULL;
    sink_destination.schedule_delay_ms = 0;
    return config;
}

static void test_environment(void) {
    size_t i;
    for (i = 0; i < COUNT(settings); i++) {
        const setting_row *row = &settings[i];
        hotel_config config = open_config();
        if (row->variable != NULL) (void)setenv(row->variable, row->value, 1);
        sink_open(&config);
        ok(described(row->line), "%s: %s", row->id, row->line);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), row->bad, "%s: reported", row->id);
        if (row->bad) ok(log_has(row->value), "EP-03 %s: with what it said", row->id);
        if (row->variable != NULL) (void)unsetenv(row->variable);
        sink_close("settings by the environment");
    }
}

static void test_code(void) {
    hotel_config config = open_config();
    (void)setenv("OTEL_BSP_SCHEDULE_DELAY", "1", 1);
    (void)setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2", 1);
    (void)setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1", 1);
    (void)setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3", 1);
    sink_destination.endpoint = "http://127.0.0.3:5";
    sink_destination.schedule_delay_ms = HOTEL_NONE;
    sink_destination.max_queue_size = 600;
    sink_destination.max_export_batch_size = 60;
    sink_destination.timeout_ms = 6000;
    sink_open(&config);
    ok(described("schedule_delay_ms=0"), "SP-95 EP-09 a delay in code, HOTEL_NONE is none");
    ok(described("max_queue_size=600"), "SP-95 EP-09 a queue in code");
    ok(described("max_export_batch_size=60"), "SP-95 EP-09 a batch in code");
    ok(described("timeout_ms=6000"), "SP-95 EP-09 a timeout in code");
    ok(described("destination=http://127.0.0.3:5/v1/traces"), "OU-09 an endpoint in code");
    sink_close("settings in code");
    (void)unsetenv("OTEL_BSP_SCHEDULE_DELAY");
    (void)unsetenv("OTEL_BSP_MAX_QUEUE_SIZE");
    (void)unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    (void)unsetenv("OTEL_EXPORTER_OTLP_TIMEOUT");
}

int main(void) {
    test_environment();
    test_code();
    return done_testing();
}
