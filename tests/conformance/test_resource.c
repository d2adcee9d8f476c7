/*
 * SPDX-License-Identifier: MIT
 *
 * test_resource.c - the resource: what it holds by default, by configuration, by environment, and
 * who wins.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

static otlp_bytes resource_schema; /* of the last request */

/* The resource with which a library of this configuration sends a span. */
static otlp_bytes resource_by(const hotel_config *config) {
    hotel_span span;
    sink_open(config);
    span = hotel_start("resource");
    hotel_end(&span);
    sink_flush();
    resource_schema = part(part(sink_bodies[0], 1, 0), 3, 0);
    return otlp_resource(sink_bodies[0]);
}

static const char *resource_text(otlp_bytes resource, const char *key) {
    return text(attribute_in(resource, 1, key), ANY_STRING);
}

static hotel_config from_environment(void) {
    hotel_config config = sink_config();
    config.service_name = NULL;
    config.ignore_environment = false;
    return config;
}

static void test_default(void) {
    hotel_config config = sink_config();
    otlp_bytes got;
    char want[300];
    config.service_name = NULL;
    got = resource_by(&config);
    is_int(otlp_count(got, 1), 4, "SP-90 four attributes");
    is_str(resource_text(got, "telemetry.sdk.name"), "hatchet_otel",
           "SP-92 an identifier of its own");
    is_str(resource_text(got, "telemetry.sdk.language"), "c", "SP-92 the language is c");
    is_str(resource_text(got, "telemetry.sdk.version"), hotel_version(), "SP-90 the version");
    (void)snprintf(want, sizeof want, "unknown_service:%s", "test_resource");
    is_str(resource_text(got, "service.name"), want, "RS-05 SP-91 the name of the program");
    ok(!has(got, 2), "SP-40 nothing was dropped");
    ok(resource_schema.size == 0, "RS-01 without a schema URL there is none");
    ok(attribute_in(got, 1, "service.instance.id").at == NULL, "SP-93 no instance unasked");
    sink_close("the default");
}

static void test_configured(void) {
    hotel_config config = sink_config();
    hotel_attr given[6];
    int64_t ports[] = {80, 443};
    char name[] = "changed";
    otlp_bytes got;
    given[0] = hotel_str("text", name);
    given[1] = hotel_int("number", -1);
    given[2] = hotel_ints("ports", ports, 2);
    given[3] = hotel_str("service.name", "loses");
    given[4] = hotel_str("telemetry.sdk.name", "mine");
    given[5] = hotel_int("number", 7);
    config.service_name = "wins";
    config.resource = given;
    config.num_resource = 6;
    config.resource_schema_url = "https://s.example/r";
    config.limits.attribute_count = 1;
    config.limits.attribute_value_length = 2;
    sink_open(&config);
    memset(name, 'x', sizeof name - 1);
    {
        hotel_span span = hotel_start("resource");
        hotel_end(&span);
        sink_flush();
        got = otlp_resource(sink_bodies[0]);
        resource_schema = part(part(sink_bodies[0], 1, 0), 3, 0);
    }
    is_str(resource_text(got, "text"), "changed", "SP-96 copied: later changes do not show");
    is_int(number(attribute_in(got, 1, "number"), ANY_INT), 7, "RS-03 the last of equal keys");
    is_int(otlp_count(part(attribute_in(got, 1, "ports"), ANY_ARRAY, 0), 1), 2, "RS-01 an array");
    is_str(resource_text(got, "service.name"), "wins", "SP-95 the member beats the attribute");
    is_str(resource_text(got, "telemetry.sdk.language"), "c", "SP-90 the SDK's own are merged in");
    is_str(as_text(resource_schema), "https://s.example/r", "RS-01 EX-16 the schema URL");
    is_int(otlp_count(got, 1), 7, "SP-40 resources have no limits");
    sink_close("configured");
}

typedef struct name_row {
    const char *id;
    const char *code, *name, *attributes, *want;
} name_row;

static const name_row names[] = {
    {"EV-03 OTEL_SERVICE_NAME", NULL, "by name", NULL, "by name"},
    {"EV-02 in OTEL_RESOURCE_ATTRIBUTES", NULL, NULL, "service.name=by list", "by list"},
    {"EV-03 both: the former", NULL, "by name", "service.name=by list", "by name"},
    {"SP-95 code beats both", "by code", "by name", "service.name=by list", "by code"},
    {"EP-01 empty is unset", NULL, "", "service.name=by list", "by list"},
};

typedef struct list_row {
    const char *id, *list;
    bool good;
    const char *key, *want;
} list_row;

static const list_row lists[] = {
    {"EV-02 a pair", "k=v", true, "k", "v"},
    {"EV-02 pairs", "a=1,k=v,b=2", true, "k", "v"},
    {"EV-02 percent-decoded", "k=a%2Cb%3d%20%C3%A4", true, "k", "a,b= \xc3\xa4"},
    {"EV-02 + stays", "k=a+b", true, "k", "a+b"},
    {"EV-02 blanks around", " k = v , b=2", true, "k", "v"},
    {"EV-02 = in the value", "k=a=b", true, "k", "a=b"},
    {"EV-02 the empty value", "k=", true, "k", ""},
    {"EV-02 UTF-8 that is not encoded", "k=\xc3\xa4", true, "k", "\xc3\xa4"},
    {"EV-02 not UTF-8", "k=v,b=%ff", false, "k", NULL},
    {"EV-02 no =", "k=v,broken", false, "k", NULL},
    {"EV-02 no key", "k=v,=x", false, "k", NULL},
    {"EV-02 a bad escape", "k=v,b=%2", false, "k", NULL},
    {"EV-02 a bad escape in hex", "k=v,b=%zz", false, "k", NULL},
};

static void test_environment(void) {
    hotel_config config = from_environment();
    hotel_attr own = hotel_str("k", "");
    static char many[5000];
    size_t i;
    otlp_bytes got;
    for (i = 0; i < COUNT(names); i++) {
        const name_row *row = &names[i];
        (void)unsetenv("OTEL_SERVICE_NAME");
        (void)unsetenv("OTEL_RESOURCE_ATTRIBUTES");
        if (row->name != NULL) (void)setenv("OTEL_SERVICE_NAME", row->name, 1);
        if (row->attributes != NULL) (void)setenv("OTEL_RESOURCE_ATTRIBUTES", row->attributes, 1);
        config.service_name = row->code;
        got = resource_by(&config);
        is_str(resource_text(got, "service.name"), row->want, "%s", row->id);
        sink_close("a resource by the environment");
    }
    config.service_name = "lists";
    (void)unsetenv("OTEL_SERVICE_NAME");
    for (i = 0; i < COUNT(lists); i++) {
        const list_row *row = &lists[i];
        (void)setenv("OTEL_RESOURCE_ATTRIBUTES", row->list, 1);
        got = resource_by(&config);
        is_str(resource_text(got, row->key), row->want, "%s", row->id);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), !row->good, "%s: logged", row->id);
        if (!row->good) is_int(otlp_count(got, 1), 4, "%s: all of it is discarded", row->id);
        sink_close("a resource by the environment");
    }
    memset(many, 'v', sizeof many - 1);
    memcpy(many, "k=", 2);
    (void)setenv("OTEL_RESOURCE_ATTRIBUTES", many, 1);
    got = resource_by(&config);
    is_int(part(attribute_in(got, 1, "k"), ANY_STRING, 0).size, sizeof many - 3,
           "EV-02 a value of any length");
    sink_close("a long resource by the environment");
    (void)setenv("OTEL_RESOURCE_ATTRIBUTES", "k=environment,other=e", 1);
    config.resource = &own;
    config.num_resource = 1;
    got = resource_by(&config);
    is_str(resource_text(got, "k"), "", "SP-94 the updating side wins, an empty value too");
    is_str(resource_text(got, "other"), "e", "RS-03 the union of both");
    sink_close("merged");
    config.ignore_environment = true;
    got = resource_by(&config);
    ok(attribute_in(got, 1, "other").at == NULL, "SP-95 an environment that is to be ignored");
    sink_close("without the environment");
    (void)unsetenv("OTEL_RESOURCE_ATTRIBUTES");
}

int main(void) {
    test_default();
    test_configured();
    test_environment();
    return done_testing();
}
