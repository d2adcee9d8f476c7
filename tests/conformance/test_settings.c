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
    {"EV-09 the default count of attributes", NULL, NULL, "attribute_count=128", false},
    {"EV-09 a count of attributes", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7", "attribute_count=7",
     false},
    {"EV-09 none of them", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", "attribute_count=0", false},
    {"EV-09 an empty count", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "", "attribute_count=128", false},
    {"EV-09 EP-03 a bad count", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-3", "attribute_count=128",
     true},
    {"EV-18 the general count", "OTEL_ATTRIBUTE_COUNT_LIMIT", "8", "attribute_count=8", false},
    {"EV-10 a length", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9", "attribute_value_length=9",
     false},
    {"EV-17 the general length", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10",
     "attribute_value_length=10", false},
    {"EV-10 EP-10 a bad length", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9k",
     "attribute_value_depth=64", true},
    {"EV-11 events", "OTEL_SPAN_EVENT_COUNT_LIMIT", "11", "event_count=11", false},
    {"EV-12 links", "OTEL_SPAN_LINK_COUNT_LIMIT", "12", "link_count=12", false},
    {"EV-13 attributes of an event", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "13",
     "event_attribute_count=13", false},
    {"EV-14 attributes of a link", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "14",
     "link_attribute_count=14", false},
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

/* The variable for spans beats the general one; code beats both. */
static void test_limits(void) {
    hotel_config config = open_config();
    (void)setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "5", 1);
    (void)setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "6", 1);
    (void)setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "15", 1);
    (void)setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "16", 1);
    sink_open(&config);
    ok(described("attribute_count=6"), "EV-09 EV-18 that of spans beats the general one");
    ok(described("attribute_value_length=16"), "EV-10 EV-17 the same for lengths");
    sink_close("limits by the environment");
    config.limits.attribute_count = 4;
    config.limits.attribute_value_length = HOTEL_NONE;
    sink_open(&config);
    ok(described("attribute_count=4"), "SP-95 EP-09 code beats both");
    ok(described("attribute_value_length=0"), "SP-95 EP-09 with nothing, too");
    sink_close("limits in code");
    (void)unsetenv("OTEL_ATTRIBUTE_COUNT_LIMIT");
    (void)unsetenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT");
    (void)unsetenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    (void)unsetenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT");
}

/* What the variables say is what spans are held to. */
static void test_limits_hold(void) {
    static const char *const variables[] = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",  "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",      "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"};
    hotel_config config = sink_config();
    hotel_attr three[3] = {hotel_str("a", "12345"), hotel_int("b", 2), hotel_int("c", 3)};
    hotel_event event;
    hotel_link link;
    hotel_span span;
    otlp_bytes got;
    size_t i;
    config.ignore_environment = false;
    for (i = 0; i < COUNT(variables); i++) (void)setenv(variables[i], "2", 1);
    sink_open(&config);
    memset(&event, 0, sizeof event);
    memset(&link, 0, sizeof link);
    event.name = "event";
    event.attributes = link.attributes = three;
    event.num_attributes = link.num_attributes = 3;
    memset(link.context.trace_id, 1, 16);
    memset(link.context.span_id, 1, 8);
    span = hotel_start("limited");
    hotel_set_attrs(&span, three, 3);
    for (i = 0; i < 3; i++) {
        hotel_add_event_as(&span, &event);
        hotel_add_link(&span, &link);
    }
    hotel_end(&span);
    got = delivered("limited");
    is_int((long long)num_attributes(got), 2, "EV-09 attributes");
    is_int((long long)number(got, SPAN_DROPPED_ATTRIBUTES), 1, "EV-09 and the dropped one");
    is_str(string_of(got, "a"), "12", "EV-10 their length");
    is_int((long long)otlp_count(got, SPAN_EVENT), 2, "EV-11 events");
    is_int((long long)number(got, SPAN_DROPPED_EVENTS), 1, "EV-11 and the dropped one");
    is_int((long long)otlp_count(got, SPAN_LINK), 2, "EV-12 links");
    is_int((long long)number(got, SPAN_DROPPED_LINKS), 1, "EV-12 and the dropped one");
    is_int((long long)otlp_count(part(got, SPAN_EVENT, 0), EVENT_ATTRIBUTE), 2,
           "EV-13 attributes of an event");
    is_int((long long)number(part(got, SPAN_EVENT, 0), EVENT_DROPPED), 1,
           "EV-13 and the dropped one");
    is_int((long long)otlp_count(part(got, SPAN_LINK, 0), LINK_ATTRIBUTE), 2,
           "EV-14 attributes of a link");
    is_int((long long)number(part(got, SPAN_LINK, 0), LINK_DROPPED), 1,
           "EV-14 and the dropped one");
    sink_close("limits that hold");
    for (i = 0; i < COUNT(variables); i++) (void)unsetenv(variables[i]);
}

int main(void) {
    test_environment();
    test_limits();
    test_limits_hold();
    test_code();
    return done_testing();
}
