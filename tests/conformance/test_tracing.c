/*
 * SPDX-License-Identifier: MIT
 *
 * test_tracing.c - tracers and spans by the specification: what is started, set and ended here is
 * looked up in what arrives at a server in memory.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <float.h>
#include <pthread.h>

#include "sink.h"

/* ---- Without the library running ------------------------------------------------------------ */

static void test_not_running(const char *when) {
    hotel_context parent = hotel_extract(PARENT_SAMPLED, NULL);
    hotel_tracer tracer = hotel_get_tracer(NULL);
    hotel_span child = hotel_start_in(&parent, "child", HOTEL_SERVER);
    hotel_span root = hotel_start("root");
    ok(parent.span.context.is_remote, "SP-01 %s: extract works", when);
    is_mem(&child.context, sizeof child.context, &parent.span.context, sizeof child.context,
           "SP-01 %s: a child carries its parent's context unchanged", when);
    ok(!hotel_is_recording(&child), "SP-01 %s: and does not record", when);
    ok(!hotel_is_valid(&root.context), "SP-01 %s: a root has an all-zero context", when);
    ok(!hotel_is_enabled(tracer), "SP-03 %s: no tracer is enabled", when);
    hotel_set_int(&child, "a", 1);
    hotel_end(&child);
    hotel_end(&root);
    hotel_context_release(&parent);
}

/* ---- Tracers -------------------------------------------------------------------------------- */

static otlp_bytes group_found;

static void match_group(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                        void *user_data) {
    (void)resource_spans;
    if (otlp_equal(part(span, SPAN_NAME, 0), (const char *)user_data)) group_found = scope_spans;
}

/* The ScopeSpans in which the span of this name stands. */
static otlp_bytes group_of(const char *name) {
    size_t i;
    memset(&group_found, 0, sizeof group_found);
    for (i = 0; i < sink_num_bodies; i++) {
        (void)otlp_each_span(sink_bodies[i], match_group, (void *)(uintptr_t)name);
    }
    return group_found;
}

static hotel_tracer make_tracer(const char *name, const char *version, const char *schema_url,
                                const hotel_attr *attributes, size_t count) {
    hotel_tracer_config config;
    memset(&config, 0, sizeof config);
    config.name = name;
    config.version = version;
    config.schema_url = schema_url;
    config.attributes = attributes;
    config.num_attributes = count;
    return hotel_get_tracer(&config);
}

static void span_by(hotel_tracer tracer, const char *name) {
    hotel_start_options options;
    hotel_span span;
    memset(&options, 0, sizeof options);
    options.tracer = tracer;
    span = hotel_start_with(name, &options);
    hotel_end(&span);
}

static bool same_tracer(hotel_tracer a, hotel_tracer b) {
    return a.scope == b.scope && a.generation == b.generation;
}

static void test_tracers(void) {
    hotel_attr first[] = {hotel_str("a", "x"), hotel_int("b", 2)};
    hotel_attr turned[] = {hotel_int("b", 2), hotel_str("a", "x")};
    hotel_attr other[] = {hotel_str("a", "y")};
    hotel_tracer plain, full, unnamed;
    otlp_bytes group, scope;
    sink_open(NULL);
    plain = make_tracer("plain", NULL, NULL, NULL, 0);
    full = make_tracer("full", "1.2", "https://s.example/1", first, 2);
    ok(same_tracer(plain, make_tracer("plain", "", "", NULL, 0)),
       "SP-100 absent and empty version and schema URL are the same");
    ok(same_tracer(full, make_tracer("full", "1.2", "https://s.example/1", first, 2)),
       "SP-100 equal tuples give equal tracers");
    ok(same_tracer(full, make_tracer("full", "1.2", "https://s.example/1", turned, 2)),
       "SP-100 the order of attributes does not matter");
    ok(!same_tracer(full, make_tracer("full", "1.3", "https://s.example/1", first, 2)),
       "SP-100 another version is another tracer");
    ok(!same_tracer(full, make_tracer("full", "1.2", "https://s.example/2", first, 2)),
       "SP-100 another schema URL is another tracer");
    ok(!same_tracer(full, make_tracer("full", "1.2", "https://s.example/1", other, 1)),
       "SP-100 other attributes are another tracer");
    ok(!same_tracer(full, make_tracer("FULL", "1.2", "https://s.example/1", first, 2)),
       "SP-100 names are case-sensitive");
    unnamed = make_tracer(NULL, NULL, NULL, NULL, 0);
    ok(hotel_is_enabled(plain) && hotel_is_enabled(full), "SP-03 tracers are enabled");
    span_by(plain, "by plain");
    span_by(full, "by full");
    span_by(full, "by full again");
    span_by(unnamed, "by unnamed");
    sink_flush();
    group = group_of("by full");
    scope = part(group, 1, 0);
    is_str(text(group, 3), "https://s.example/1", "TR-03 the schema URL stands in ScopeSpans");
    is_str(text(scope, 1), "full", "TR-05 the scope's name");
    is_str(text(scope, 2), "1.2", "TR-05 the scope's version");
    is_str(text(attribute_in(scope, 3, "a"), ANY_STRING), "x", "TR-04 a scope attribute");
    is_int(number(attribute_in(scope, 3, "b"), ANY_INT), 2, "TR-04 another scope attribute");
    ok(group.at == group_of("by full again").at, "TR-05 equal tuples share one ScopeSpans");
    ok(group.at != group_of("by plain").at, "TR-05 different ones do not");
    is_str(text(part(group_of("by plain"), 1, 0), 1), "plain", "TR-05 each under its own scope");
    ok(!has(group_of("by plain"), 3), "TR-03 without a schema URL there is none");
    ok(part(part(group_of("by unnamed"), 1, 0), 1, 0).size == 0, "TR-02 no name: exported as \"\"");
    is_int(log_count(HOTEL_LOG_ID_EMPTY_SCOPE_NAME), 1, "TR-02 no name: logged once");
    is_int(sink_num_bodies, 1, "SP-86 one request");
    is_int(otlp_count(sink_bodies[0], 1), 1, "SP-86 one resource, one ResourceSpans");
    is_int(otlp_count(part(sink_bodies[0], 1, 0), 2), 3, "SP-86 a ScopeSpans for each scope");
    sink_close("tracers");
}

/* ---- Parents -------------------------------------------------------------------------------- */

static void test_parents(void) {
    hotel_span outer, inner, root, given, zero_child;
    hotel_start_options options;
    hotel_context explicit_one, empty;
    hotel_token token;
    otlp_bytes span;
    memset(&options, 0, sizeof options);
    memset(&empty, 0, sizeof empty);
    sink_open(NULL);
    outer = hotel_start("outer");
    ok(hotel_is_valid(&outer.context), "TR-11 a started span has valid ids");
    inner = hotel_current_span();
    ok(!hotel_is_valid(&inner.context), "SP-13 a new span is not current");
    explicit_one = hotel_context_with(&outer);
    token = hotel_attach(&explicit_one);
    inner = hotel_start("inner");
    ok(same_trace(&inner, &outer), "TR-21 the current span gives the trace ID");
    ok(!same_id(&inner, &outer), "SP-10 a child has a span ID of its own");
    ok(!inner.context.is_remote, "TR-17 a local child is not remote");
    options.root = true;
    root = hotel_start_with("root", &options);
    ok(!same_trace(&root, &outer), "TR-20 the root option gives a new trace ID");
    is_int(hotel_detach(token), HOTEL_OK, "TR-14 detached");
    explicit_one = only(&root);
    token = hotel_attach(&explicit_one);
    explicit_one = only(&outer);
    given = hotel_start_in(&explicit_one, "given", HOTEL_CLIENT);
    ok(same_trace(&given, &outer), "TR-22 an explicit context beats the current one");
    zero_child = hotel_start_in(&empty, "zero", HOTEL_INTERNAL);
    ok(!same_trace(&zero_child, &root), "TR-22 so does an empty one: a new trace");
    (void)hotel_detach(token);
    empty.span.context.trace_id[3] = 1;
    hotel_end(&zero_child);
    zero_child = hotel_start_in(&empty, "half", HOTEL_INTERNAL);
    is_int(zero_child.context.trace_id[3] == 1 && zero_child.context.trace_id[0] == 0 &&
               zero_child.context.trace_id[15] == 0,
           0, "SP-11 a parent without span ID counts as none");
    hotel_end(&zero_child);
    hotel_end(&outer);
    ok(hotel_is_recording(&inner), "TR-27 the end of a parent leaves children open");
    explicit_one = only(&outer);
    (void)leaf("late", &explicit_one);
    hotel_end(&inner);
    hotel_end(&root);
    hotel_end(&given);
    span = delivered("inner");
    ok(child_of(span, &outer), "TR-23 the parent's span ID is exported");
    is_int(number(span, SPAN_FLAGS), 0x103, "SP-80 flags of a local child");
    ok(child_of(span_of("given"), &outer), "TR-22 exported under the explicit parent");
    ok(child_of(span_of("late"), &outer), "SP-18 an ended span can be a parent");
    ok(!has(span_of("root"), SPAN_PARENT), "SP-83 a root has no parent field");
    ok(!has(span_of("half"), SPAN_PARENT), "SP-11 nor has a span of an invalid parent");
    is_int(number(span_of("root"), SPAN_FLAGS), 0x103, "SP-80 flags of a root");
    sink_close("parents");
}

static void test_remote_parents(void) {
    hotel_context parent, unsampled;
    hotel_span span;
    otlp_bytes got;
    sink_open(NULL);
    parent = hotel_extract(PARENT_SAMPLED, "a=1,b=2");
    ok(parent.span.context.is_remote, "TR-17 remote after extract");
    span = leaf("remote", &parent);
    ok(!span.context.is_remote, "TR-17 its child is not");
    is_int(span.context.trace_flags, 1, "SP-73 the random bit stays unset");
    got = delivered("remote");
    is_int(number(got, SPAN_FLAGS), 0x301, "SP-80 flags of a child of a remote parent");
    ok(child_of(got, &parent.span), "SM-06 remote and sampled: recorded");
    is_str(text(got, SPAN_STATE), "a=1,b=2", "SP-12 the tracestate is inherited");
    hotel_context_release(&parent);
    parent = hotel_extract(PARENT_RANDOM, NULL);
    span = leaf("random", &parent);
    is_int(span.context.trace_flags, 3, "TR-19 children copy the random bit");
    is_int(number(delivered("random"), SPAN_FLAGS), 0x303, "SP-80 with the random bit");
    hotel_context_release(&parent);
    unsampled = hotel_extract(PARENT_UNSAMPLED, NULL);
    span = hotel_start_in(&unsampled, "dropped", HOTEL_INTERNAL);
    ok(!hotel_is_recording(&span), "SM-06 remote and not sampled: not recorded");
    ok(!same_id(&span, &unsampled.span), "TR-56 it still has its own span ID");
    ok(same_trace(&span, &unsampled.span), "TR-56 in the same trace");
    is_int(span.context.trace_flags & 1, 0, "SM-01 not recorded and not sampled");
    hotel_end(&span);
    (void)delivered("dropped");
    ok(span_of("dropped").at == NULL, "SM-01 BSP-08 nothing of it is exported");
    hotel_context_release(&unsampled);
    sink_close("remote parents");
}

/* ---- Sampling ------------------------------------------------------------------------------- */

typedef struct sampler_row {
    hotel_sampler_type type;
    const char *name;
    bool root, parent_sampled, parent_unsampled;
} sampler_row;

static const sampler_row samplers[] = {
    {HOTEL_SAMPLER_DEFAULT, "default", true, true, false},
    {HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON, "parent based, on", true, true, false},
    {HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF, "parent based, off", false, true, false},
    {HOTEL_SAMPLER_ALWAYS_ON, "always on", true, true, true},
    {HOTEL_SAMPLER_ALWAYS_OFF, "always off", false, false, false},
};

static void check_sampled(const hotel_context *parent, bool sampled, const char *id,
                          const char *name, const char *under) {
    hotel_start_options options;
    hotel_span span;
    memset(&options, 0, sizeof options);
    options.parent = parent;
    span = hotel_start_with("sampling", &options);
    is_int(hotel_is_recording(&span), sampled, "%s %s, %s: recording", id, name, under);
    is_int(span.context.trace_flags & HOTEL_FLAG_SAMPLED, sampled, "SM-01 %s, %s: flag", name,
           under);
    ok(hotel_is_valid(&span.context), "SP-10 %s, %s: ids whatever the decision", name, under);
    hotel_end(&span);
}

static void test_samplers(void) {
    size_t i;
    for (i = 0; i < COUNT(samplers); i++) {
        const sampler_row *row = &samplers[i];
        const char *id = row->type == HOTEL_SAMPLER_DEFAULT ? "SM-05" : "SM-06";
        hotel_config config = sink_config();
        hotel_context remote[2], local;
        hotel_span wrapped;
        unsigned j;
        config.sampler.type = row->type;
        sink_open(&config);
        remote[0] = hotel_extract(PARENT_SAMPLED, NULL);
        remote[1] = hotel_extract(PARENT_UNSAMPLED, NULL);
        check_sampled(NULL, row->root, id, row->name, "root");
        for (j = 0; j < 2; j++) {
            bool sampled = j == 0 ? row->parent_sampled : row->parent_unsampled;
            check_sampled(&remote[j], sampled, id, row->name,
                          j == 0 ? "remote sampled" : "remote not sampled");
            wrapped = remote[j].span;
            wrapped.context.is_remote = false;
            local = only(&wrapped);
            check_sampled(&local, sampled, id, row->name,
                          j == 0 ? "local sampled" : "local not sampled");
            hotel_context_release(&remote[j]);
        }
        sink_close(row->name);
    }
}

/* ---- IDs ------------------------------------------------------------------------------------ */

static void test_ids(void) {
    uint8_t ones[7] = {0}, zeros[7] = {0};
    hotel_span span;
    hotel_span_context c;
    char trace[33], id[17];
    unsigned i, j, twice = 0;
    hotel_span last;
    sink_open(NULL);
    memset(&last, 0, sizeof last);
    for (i = 0; i < 256; i++) {
        span = leaf("id", NULL);
        for (j = 0; j < 7; j++) {
            ones[j] |= span.context.trace_id[9 + j];
            zeros[j] |= (uint8_t)~span.context.trace_id[9 + j];
        }
        twice += same_trace(&span, &last) || same_id(&span, &last);
        last = span;
    }
    for (j = 0; j < 7; j++) ones[j] &= zeros[j];
    is_mem(ones, 7, "\xff\xff\xff\xff\xff\xff\xff", 7,
           "TR-19 each of the low 56 bits is 0 at times and 1 at times");
    is_int(twice, 0, "SP-70 ids differ");
    is_int(span.context.trace_flags, 3, "SP-72 a root has the random bit");
    memset(&c, 0, sizeof c);
    ok(!hotel_is_valid(&c), "TR-16 zero is not valid");
    c.trace_id[15] = 1;
    ok(!hotel_is_valid(&c), "TR-16 a trace ID alone is not");
    c.span_id[0] = 0xab;
    ok(hotel_is_valid(&c), "TR-16 both are");
    hotel_trace_id_hex(&c, trace);
    hotel_span_id_hex(&c, id);
    is_str(trace, "00000000000000000000000000000001", "SP-21 trace ID as hex");
    is_str(id, "ab00000000000000", "SP-21 span ID as hex");
    c.trace_id[15] = 0;
    ok(!hotel_is_valid(&c), "TR-16 a span ID alone is not");
    sink_close("ids");
}

static void fixed_trace_id(uint8_t out[16], void *user_data) {
    memset(out, *(const int *)user_data, 16);
}

static void fixed_span_id(uint8_t out[8], void *user_data) {
    memset(out, *(const int *)user_data, 8);
}

static void test_id_generator(bool is_random) {
    hotel_config config = sink_config();
    hotel_context parent;
    hotel_span root, child;
    int byte = 0x5a;
    config.id_generator.trace_id_fn = fixed_trace_id;
    config.id_generator.span_id_fn = fixed_span_id;
    config.id_generator.is_random = is_random;
    config.id_generator.user_data = &byte;
    sink_open(&config);
    root = leaf("root", NULL);
    is_int(root.context.trace_id[7], 0x5a, "TR-57 the generator's trace ID");
    is_int(root.context.span_id[7], 0x5a, "TR-57 the generator's span ID");
    is_int(root.context.trace_flags, is_random ? 3 : 1, "TR-57 its word on randomness");
    byte = 0x11;
    parent = only(&root);
    child = leaf("child", &parent);
    is_int(child.context.trace_id[0], 0x5a, "SP-71 a child keeps the trace ID");
    is_int(child.context.span_id[0], 0x11, "SP-71 and has a new span ID");
    is_int(child.context.trace_flags, is_random ? 3 : 1, "SP-73 and copies the random bit");
    byte = 0;
    root = leaf("zero", NULL);
    ok(hotel_is_valid(&root.context), "SP-70 all-zero ids are replaced");
    sink_flush();
    sink_close("a generator");
}

/* ---- A span's life -------------------------------------------------------------------------- */

static void change_everything(const hotel_span *span) {
    hotel_link link;
    memset(&link, 0, sizeof link);
    link.context = span->context;
    hotel_set_name(span, "changed");
    hotel_set_int(span, "late", 1);
    hotel_set_status(span, HOTEL_STATUS_ERROR, "late");
    hotel_add_event(span, "late");
    hotel_add_link(span, &link);
    hotel_record_exception(span, "late", "late", NULL, NULL, 0);
    hotel_end_at(span, 99);
    hotel_end(span);
}

static void test_life(void) {
    hotel_span span, wrapped, zero, before, copy;
    hotel_context context;
    hotel_token token;
    otlp_bytes got;
    uint64_t start, end;
    sink_open(NULL);
    span = hotel_start("life");
    before = span;
    ok(hotel_is_recording(&span), "TR-29 recording from the start");
    hotel_set_name(&span, "renamed");
    context = only(&span);
    token = hotel_attach(&context);
    copy = span;
    hotel_end(&copy);
    ok(!hotel_is_recording(&span), "TR-30 not recording after the end");
    zero = hotel_current_span();
    ok(same_id(&zero, &span), "TR-27 the end leaves the current context alone");
    (void)hotel_detach(token);
    hotel_set_str(&span, "a", "b");
    change_everything(&span);
    is_mem(&span.context, sizeof span.context, &before.context, sizeof before.context,
           "SP-19 the context never changed");
    wrapped = hotel_wrap(&span.context);
    ok(!hotel_is_recording(&wrapped), "SP-02 a wrapped context does not record");
    is_mem(&wrapped.context, sizeof wrapped.context, &span.context, sizeof span.context,
           "SP-02 it carries the context");
    change_everything(&wrapped);
    memset(&zero, 0, sizeof zero);
    change_everything(&zero);
    hotel_set_int(NULL, "a", 1);
    hotel_end(NULL);
    got = delivered("renamed");
    ok(got.at != NULL, "TR-25 exported under the new name");
    ok(span_of("life").at == NULL, "TR-25 and not under the old one");
    ok(span_of("changed").at == NULL, "SP-17 a rename after the end is ignored");
    is_int(num_attributes(got), 0, "SP-17 so are attributes");
    is_int(otlp_count(got, SPAN_EVENT) + otlp_count(got, SPAN_LINK), 0, "SP-17 events, links");
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 0, "SP-17 the status");
    start = number(got, SPAN_START);
    end = number(got, SPAN_END);
    ok(start > 1600000000000000000u && end >= start && end - start < 60000000000u,
       "SP-15 start and end are now (%llu, %llu)", (unsigned long long)start,
       (unsigned long long)end);
    is_int(num_delivered(), 1, "SP-06 a second end delivers nothing more");
    sink_close("a span's life");
}

static void test_times(void) {
    static const uint64_t times[][2] = {
        {1, 2},
        {1700000000123456789u, 1700000000123456790u},
        {1700000000123456789u, 1600000000000000001u},
        {UINT64_MAX, UINT64_MAX},
        {(uint64_t)1 << 63, 7},
    };
    size_t i;
    sink_open(NULL);
    for (i = 0; i < COUNT(times); i++) {
        hotel_start_options options;
        hotel_event event;
        hotel_span span;
        otlp_bytes got;
        memset(&options, 0, sizeof options);
        memset(&event, 0, sizeof event);
        options.start_time_ns = times[i][0];
        event.name = "e";
        event.time_ns = times[i][1];
        span = hotel_start_with("times", &options);
        hotel_add_event_as(&span, &event);
        hotel_end_at(&span, times[i][1]);
        got = delivered("times");
        is_int(number(got, SPAN_START), times[i][0], "TR-26 start bit-exact");
        is_int(number(got, SPAN_END), times[i][1], "TR-28 end bit-exact, before the start too");
        is_int(number(part(got, SPAN_EVENT, 0), EVENT_TIME), times[i][1], "TR-48 event bit-exact");
    }
    sink_close("times");
}

static void test_kinds(void) {
    static const int kinds[][2] = {{HOTEL_KIND_DEFAULT, 1}, {HOTEL_INTERNAL, 1},
                                   {HOTEL_SERVER, 2},       {HOTEL_CLIENT, 3},
                                   {HOTEL_PRODUCER, 4},     {HOTEL_CONSUMER, 5},
                                   {6, 1}};
    size_t i;
    hotel_span span;
    sink_open(NULL);
    for (i = 0; i < COUNT(kinds); i++) {
        span = hotel_start_as("kind", (hotel_kind)kinds[i][0]);
        hotel_end(&span);
        is_int(number(delivered("kind"), SPAN_KIND), kinds[i][1], "SP-14 kind %d", kinds[i][0]);
    }
    span = hotel_start(NULL);
    hotel_end(&span);
    span = hotel_start("");
    hotel_end(&span);
    sink_flush();
    is_int(num_delivered(), COUNT(kinds) + 2, "SP-20 a name may be NULL or empty");
    span = hotel_start("S\xc3\xa4tze \xe2\x82\xac");
    hotel_end(&span);
    ok(delivered("S\xc3\xa4tze \xe2\x82\xac").at != NULL, "SP-20 any text may be a name");
    sink_close("kinds");
}

/* ---- Attributes ----------------------------------------------------------------------------- */

static void test_scalars(void) {
    static const int64_t ints[] = {0, 1, -1, 127, 128, INT64_MIN, INT64_MAX};
    static const double reals[] = {0.0, -0.0, 1.5, -1e300, DBL_MIN, DBL_MAX};
    hotel_span span;
    otlp_bytes got;
    size_t i;
    char key[16];
    sink_open(NULL);
    span = hotel_start("scalars");
    hotel_set_str(&span, "s", "text");
    hotel_set_str(&span, "s.empty", "");
    hotel_set_str(&span, "s.null", NULL);
    hotel_set_strn(&span, "s.nul", "a\0b", 3);
    hotel_set_bool(&span, "b.true", true);
    hotel_set_bool(&span, "b.false", false);
    hotel_set_empty(&span, "empty");
    hotel_set_bytes(&span, "bytes", "\xff\0\x80", 3);
    hotel_set_str(&span, "sch\xc3\xb6n", "\xf0\x9f\x90\xb3");
    for (i = 0; i < COUNT(ints); i++) {
        (void)snprintf(key, sizeof key, "i%u", (unsigned)i);
        hotel_set_int(&span, key, ints[i]);
    }
    for (i = 0; i < COUNT(reals); i++) {
        (void)snprintf(key, sizeof key, "d%u", (unsigned)i);
        hotel_set_double(&span, key, reals[i]);
    }
    hotel_end(&span);
    got = delivered("scalars");
    is_str(string_of(got, "s"), "text", "TR-38 a string");
    is_str(string_of(got, "s.empty"), "", "SP-32 an empty string is data");
    ok(has(attribute(got, "s.empty"), ANY_STRING), "SP-87 its field is there");
    ok(has_attribute(got, "s.null"), "TR-43 a NULL string is the empty value");
    is_int(attribute(got, "s.null").size, 0, "TR-43 exported as an empty AnyValue");
    is_mem(part(attribute(got, "s.nul"), 1, 0).at, 3, "a\0b", 3, "TR-38 a string with NUL");
    ok(has(attribute(got, "b.false"), ANY_BOOL), "TR-39 false is there");
    is_int(number(attribute(got, "b.true"), ANY_BOOL), 1, "TR-39 true");
    is_int(number(attribute(got, "b.false"), ANY_BOOL), 0, "TR-39 false");
    ok(has_attribute(got, "empty"), "SP-32 an empty value is data");
    is_int(attribute(got, "empty").size, 0, "SP-87 of length 0");
    is_mem(part(attribute(got, "bytes"), ANY_BYTES, 0).at, 3, "\xff\0\x80", 3, "SP-31 bytes");
    is_str(string_of(got, "sch\xc3\xb6n"), "\xf0\x9f\x90\xb3", "TR-44 keys and values are UTF-8");
    for (i = 0; i < COUNT(ints); i++) {
        (void)snprintf(key, sizeof key, "i%u", (unsigned)i);
        ok(has(attribute(got, key), ANY_INT), "SP-87 integer %u is there", (unsigned)i);
        is_int(number(attribute(got, key), ANY_INT), ints[i], "TR-41 integer %u", (unsigned)i);
    }
    for (i = 0; i < COUNT(reals); i++) {
        uint64_t bits;
        memcpy(&bits, &reals[i], sizeof bits);
        (void)snprintf(key, sizeof key, "d%u", (unsigned)i);
        ok(has(attribute(got, key), ANY_DOUBLE), "SP-87 double %u is there", (unsigned)i);
        is_int(number(attribute(got, key), ANY_DOUBLE), bits, "TR-40 double %u bit-exact",
               (unsigned)i);
    }
    sink_close("scalars");
}

static otlp_bytes element(otlp_bytes span, const char *key, size_t index) {
    return part(part(attribute(span, key), ANY_ARRAY, 0), 1, index);
}

static void test_arrays(void) {
    const char *strings[] = {"one", "", NULL, "zw\xc3\xb6lf"};
    const bool bools[] = {true, false, true};
    const int64_t ints[] = {0, INT64_MIN, INT64_MAX};
    const double reals[] = {0.0, 2.5};
    hotel_value mixed[3];
    hotel_attr entries[3];
    hotel_span span;
    otlp_bytes got, map;
    sink_open(NULL);
    mixed[0] = hotel_of_int(1);
    mixed[1] = hotel_of_str("x");
    mixed[2] = hotel_of_strs(strings, 1);
    entries[0] = hotel_int("n", 1);
    entries[1] = hotel_array("list", mixed, 3);
    entries[2] = hotel_int("n", 2);
    span = hotel_start("arrays");
    hotel_set_strs(&span, "strings", strings, 4);
    hotel_set_bools(&span, "bools", bools, 3);
    hotel_set_ints(&span, "ints", ints, 3);
    hotel_set_doubles(&span, "doubles", reals, 2);
    hotel_set_ints(&span, "none", ints, 0);
    hotel_set_array(&span, "mixed", mixed, 3);
    hotel_set_map(&span, "map", entries, 3);
    hotel_end(&span);
    got = delivered("arrays");
    is_int(otlp_count(part(attribute(got, "strings"), ANY_ARRAY, 0), 1), 4, "TR-42 four strings");
    is_str(text(element(got, "strings", 3), 1), "zw\xc3\xb6lf", "TR-42 the last string");
    is_str(text(element(got, "strings", 1), 1), "", "TR-42 an empty one");
    is_int(element(got, "strings", 2).size, 0, "TR-42 a NULL one is empty");
    is_int(number(element(got, "bools", 0), ANY_BOOL), 1, "TR-42 a bool");
    ok(has(element(got, "bools", 1), ANY_BOOL), "TR-42 false in an array is there");
    is_int(number(element(got, "ints", 1), ANY_INT), INT64_MIN, "TR-42 an integer");
    ok(has(element(got, "doubles", 0), ANY_DOUBLE), "TR-42 0.0 in an array is there");
    ok(has(attribute(got, "none"), ANY_ARRAY), "SP-32 an empty array is data");
    is_int(part(attribute(got, "none"), ANY_ARRAY, 0).size, 0, "TR-42 without elements");
    is_str(text(element(got, "mixed", 1), 1), "x", "SP-31 a mixed array");
    ok(has(element(got, "mixed", 2), ANY_ARRAY), "SP-31 with an array inside");
    map = part(attribute(got, "map"), ANY_MAP, 0);
    is_int(otlp_count(map, 1), 2, "SP-33 a key of a map once");
    is_int(number(attribute_in(map, 1, "n"), ANY_INT), 2, "SP-33 with its last value");
    ok(has(attribute_in(map, 1, "list"), ANY_ARRAY), "SP-31 a map with an array inside");
    sink_close("arrays");
}

static void test_keys(void) {
    hotel_attr given[3];
    hotel_start_options options;
    hotel_span span;
    otlp_bytes got;
    unsigned i;
    memset(&options, 0, sizeof options);
    given[0] = hotel_int("a", 1);
    given[1] = hotel_int("A", 2);
    given[2] = hotel_int("a", 3);
    options.attributes = given;
    options.num_attributes = 3;
    sink_open(NULL);
    span = hotel_start_with("keys", &options);
    hotel_set_str(&span, "b", "first");
    for (i = 0; i < 10; i++) hotel_set_int(&span, "b", (int64_t)i);
    hotel_set_str(&span, "b", "last");
    hotel_set_int(&span, NULL, 1);
    hotel_set_int(&span, "", 2);
    hotel_end(&span);
    got = delivered("keys");
    is_int(num_attributes(got), 3, "SP-33 exported keys are unique");
    is_int(integer_of(got, "a"), 3, "TR-37 at the start too the last value wins");
    is_int(integer_of(got, "A"), 2, "SP-30 keys are case-sensitive");
    is_str(string_of(got, "b"), "last", "TR-37 the last value wins");
    is_int(read_books().process.bad_arguments - books_opened.process.bad_arguments, 2,
           "SP-30 NULL and empty keys are ignored and counted");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 0, "SP-34 they are not dropped ones");
    sink_close("keys");
}

/* ---- Limits --------------------------------------------------------------------------------- */

static void fill(const hotel_span *span, unsigned count) {
    hotel_link link;
    unsigned i;
    char key[16];
    memset(&link, 0, sizeof link);
    link.context = span->context;
    for (i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        hotel_set_int(span, key, (int64_t)i);
        hotel_add_event(span, key);
        hotel_add_link(span, &link);
    }
}

static void check_counts(const char *what, otlp_bytes got, unsigned kept, unsigned dropped) {
    is_int(num_attributes(got), kept, "TR-34 %s: attributes kept", what);
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), dropped, "TR-34 %s: dropped", what);
    is_int(otlp_count(got, SPAN_EVENT), kept, "TR-33 %s: events kept", what);
    is_int(number(got, SPAN_DROPPED_EVENTS), dropped, "TR-33 %s: dropped", what);
    is_int(otlp_count(got, SPAN_LINK), kept, "TR-35 %s: links kept", what);
    is_int(number(got, SPAN_DROPPED_LINKS), dropped, "TR-35 %s: dropped", what);
}

static void test_counts(const char *what, uint32_t limit, unsigned kept) {
    hotel_config config = sink_config();
    hotel_span span;
    otlp_bytes got;
    config.limits.attribute_count = limit;
    config.limits.event_count = limit;
    config.limits.link_count = limit;
    sink_open(&config);
    span = hotel_start("counts");
    fill(&span, kept + 3);
    if (kept > 0) hotel_set_int(&span, "0", 1000);
    hotel_end(&span);
    got = delivered("counts");
    check_counts(what, got, kept, 3);
    if (kept > 0) {
        is_int(integer_of(got, "0"), 1000, "TR-58 SP-34 %s: a key that is there changes", what);
        is_str(text(part(got, SPAN_EVENT, kept - 1), EVENT_NAME), kept == 128 ? "127" : "1",
               "SP-51 %s: the new event is discarded", what);
    }
    is_int(log_count(HOTEL_LOG_ID_LIMIT_REACHED), 1, "SP-38 %s: logged once", what);
    sink_close(what);
}

static void test_inner_counts(void) {
    hotel_config config = sink_config();
    hotel_attr three[3];
    hotel_event event;
    hotel_link link;
    hotel_span span;
    otlp_bytes got;
    config.limits.event_attribute_count = 2;
    config.limits.link_attribute_count = 1;
    memset(&event, 0, sizeof event);
    memset(&link, 0, sizeof link);
    three[0] = hotel_int("a", 1);
    three[1] = hotel_int("b", 2);
    three[2] = hotel_int("c", 3);
    event.name = "e";
    event.attributes = link.attributes = three;
    event.num_attributes = link.num_attributes = 3;
    sink_open(&config);
    span = hotel_start("inner counts");
    hotel_add_event_as(&span, &event);
    hotel_add_link(&span, &link);
    three[2] = hotel_int("a", 4);
    hotel_add_event_as(&span, &event);
    hotel_end(&span);
    got = delivered("inner counts");
    is_int(otlp_count(part(got, SPAN_EVENT, 0), EVENT_ATTRIBUTE), 2, "TR-58 SP-39 of an event");
    is_int(number(part(got, SPAN_EVENT, 0), EVENT_DROPPED), 1, "SP-85 dropped ones in the event");
    is_int(otlp_count(part(got, SPAN_LINK, 0), LINK_ATTRIBUTE), 1, "SP-39 attributes of a link");
    is_int(number(part(got, SPAN_LINK, 0), LINK_DROPPED), 2, "SP-85 dropped ones in the link");
    is_int(otlp_count(part(got, SPAN_EVENT, 1), EVENT_ATTRIBUTE), 2, "SP-33 an event's key once");
    is_int(number(attribute_in(part(got, SPAN_EVENT, 1), EVENT_ATTRIBUTE, "a"), ANY_INT), 4,
           "SP-33 with its last value");
    is_int(number(part(got, SPAN_EVENT, 1), EVENT_DROPPED), 0, "SP-34 a key again is not dropped");
    sink_close("limits inside events and links");
}

#define WHALE "\xf0\x9f\x90\xb3" /* a code point of four bytes */

static void test_lengths(void) {
    hotel_config config = sink_config();
    const char *strings[] = {"abcdef", "ab"};
    hotel_attr entry = hotel_str("k", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    hotel_event event;
    hotel_span span;
    otlp_bytes got;
    memset(&event, 0, sizeof event);
    event.name = "a long name of an event";
    event.attributes = &entry;
    event.num_attributes = 1;
    config.limits.attribute_value_length = 3;
    sink_open(&config);
    span = hotel_start("a long name stays");
    hotel_set_str(&span, "exact", "abc");
    hotel_set_str(&span, "ascii", "abcdef");
    hotel_set_str(&span, "four", WHALE WHALE WHALE WHALE);
    hotel_set_str(&span, "mixed", "a\xe2\x82\xac" "b\xe2\x82\xac");
    hotel_set_bytes(&span, "bytes", "12345", 5);
    hotel_set_strs(&span, "list", strings, 2);
    hotel_set_map(&span, "map", &entry, 1);
    hotel_set_int(&span, "a long key stays", 123456789);
    hotel_add_event_as(&span, &event);
    hotel_end(&span);
    got = delivered("a long name stays");
    is_str(string_of(got, "exact"), "abc", "SP-35 a value of the length allowed");
    is_str(string_of(got, "ascii"), "abc", "TR-60 SP-35 a longer one is cut");
    is_str(string_of(got, "four"), WHALE WHALE WHALE,
           "SP-35 code points count, none is split");
    is_str(string_of(got, "mixed"), "a\xe2\x82\xac" "b", "SP-35 of different lengths");
    is_int(part(attribute(got, "bytes"), ANY_BYTES, 0).size, 3, "SP-35 bytes are cut by bytes");
    is_str(text(element(got, "list", 0), 1), "abc", "SP-35 inside arrays");
    is_str(text(element(got, "list", 1), 1), "ab", "SP-35 shorter ones stay");
    is_str(text(attribute_in(part(attribute(got, "map"), ANY_MAP, 0), 1, "k"), 1),
           "\xc3\xa4\xc3\xa4\xc3\xa4", "SP-35 inside maps");
    is_int(integer_of(got, "a long key stays"), 123456789, "SP-35 keys and numbers stay");
    is_str(text(part(got, SPAN_EVENT, 0), EVENT_NAME), event.name, "SP-35 names of events stay");
    is_str(text(attribute_in(part(got, SPAN_EVENT, 0), EVENT_ATTRIBUTE, "k"), 1),
           "\xc3\xa4\xc3\xa4\xc3\xa4", "SP-35 inside events");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 0, "SP-37 what is cut is not dropped");
    sink_close("lengths");
}

/* Arrays in each other, the innermost holding the integer 7; returns the depth that arrives and
   whether the integer did. */
static unsigned depth_delivered(const char *name, unsigned depth, bool maps, bool *complete) {
    hotel_value value[100];
    hotel_attr entry[100];
    hotel_span span;
    otlp_bytes got;
    unsigned i;
    value[0] = hotel_of_int(7);
    for (i = 1; i < depth; i++) {
        entry[i] = hotel_attrn("k", 1, value[i - 1]);
        value[i] = maps ? hotel_of_map(&entry[i], 1) : hotel_of_array(&value[i - 1], 1);
    }
    span = hotel_start(name);
    hotel_set_attr(&span, hotel_attrn("v", 1, value[depth - 1]));
    hotel_end(&span);
    got = attribute(delivered(name), "v");
    for (i = 1; has(got, ANY_ARRAY) || has(got, ANY_MAP); i++) {
        got = maps ? part(part(part(got, ANY_MAP, 0), 1, 0), 2, 0)
                   : part(part(got, ANY_ARRAY, 0), 1, 0);
    }
    *complete = number(got, ANY_INT) == 7;
    return i;
}

static void test_depth(uint32_t limit, unsigned most) {
    hotel_config config = sink_config();
    bool complete;
    unsigned maps;
    config.limits.attribute_value_depth = limit;
    sink_open(&config);
    for (maps = 0; maps < 2; maps++) {
        is_int(depth_delivered("at", most + 1, maps != 0, &complete), most + 1,
               "SP-36 containers down to depth %u stay", most);
        ok(complete, "SP-36 with the number inside");
        is_int(depth_delivered("below", most + 2, maps != 0, &complete), most + 1,
               "TR-60 SP-36 one deeper becomes an empty value");
        ok(!complete, "SP-36 without what was inside");
    }
    sink_close("depth");
}

/* ---- Events, links, exceptions -------------------------------------------------------------- */

static void test_events(void) {
    static const uint64_t times[] = {300, 100, 200};
    hotel_event event;
    hotel_attr attributes[2];
    hotel_span span;
    otlp_bytes got;
    size_t i;
    attributes[0] = hotel_str("a", "x");
    attributes[1] = hotel_bool("b", false);
    sink_open(NULL);
    span = hotel_start("events");
    for (i = 0; i < COUNT(times); i++) {
        memset(&event, 0, sizeof event);
        event.name = "sized name";
        event.name_size = 3 + i;
        event.time_ns = times[i];
        hotel_add_event_as(&span, &event);
    }
    hotel_add_event_with(&span, "now", attributes[0], attributes[1]);
    hotel_add_event(&span, NULL);
    hotel_end(&span);
    got = delivered("events");
    is_int(otlp_count(got, SPAN_EVENT), 5, "TR-48 all events are there");
    for (i = 0; i < COUNT(times); i++) {
        is_int(number(part(got, SPAN_EVENT, i), EVENT_TIME), times[i],
               "TR-49 in the order of the calls, not of time");
        is_int(part(part(got, SPAN_EVENT, i), EVENT_NAME, 0).size, 3 + i, "SP-50 named each");
    }
    got = part(got, SPAN_EVENT, 3);
    is_str(text(got, EVENT_NAME), "now", "TR-48 the event's name");
    is_str(text(attribute_in(got, EVENT_ATTRIBUTE, "a"), 1), "x", "TR-48 its attributes");
    ok(has(attribute_in(got, EVENT_ATTRIBUTE, "b"), ANY_BOOL), "TR-48 false too");
    ok(number(got, EVENT_TIME) >= number(span_of("events"), SPAN_START) &&
           number(got, EVENT_TIME) <= number(span_of("events"), SPAN_END),
       "SP-15 its time is now");
    sink_close("events");
}

static void test_links(void) {
    hotel_context remote, state;
    hotel_start_options options;
    hotel_attr a = hotel_int("n", 5);
    hotel_link first, second, third;
    hotel_span span, other;
    otlp_bytes got, link;
    memset(&options, 0, sizeof options);
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    memset(&third, 0, sizeof third);
    sink_open(NULL);
    remote = hotel_extract(PARENT_SAMPLED, "vendor=value");
    state = hotel_extract(PARENT_RANDOM, NULL);
    other = leaf("other", NULL);
    first.context = remote.span.context;
    second.context = other.context;
    third.attributes = &a;
    third.num_attributes = 1;
    options.links = &first;
    options.num_links = 1;
    span = hotel_start_with("links", &options);
    hotel_add_link(&span, &second);
    hotel_add_link(&span, &third);
    third.num_attributes = 0;
    hotel_add_link(&span, &third);
    hotel_context_release(&remote);
    hotel_end(&span);
    got = delivered("links");
    is_int(otlp_count(got, SPAN_LINK), 3, "SP-53 a link with zero ids stays if it has attributes");
    link = part(got, SPAN_LINK, 0);
    is_mem(part(link, LINK_TRACE_ID, 0).at, part(link, LINK_TRACE_ID, 0).size,
           first.context.trace_id, 16, "TR-45 a link given at the start");
    is_str(text(link, LINK_STATE), "vendor=value", "SP-82 with its tracestate, released by now");
    is_int(number(link, LINK_FLAGS), 0x301, "SP-81 flags of a remote context");
    link = part(got, SPAN_LINK, 1);
    is_mem(part(link, LINK_SPAN_ID, 0).at, part(link, LINK_SPAN_ID, 0).size, other.context.span_id,
           8, "TR-46 a link added later, TR-47 in order");
    is_int(number(link, LINK_FLAGS), 0x103, "SP-81 flags of a local context");
    ok(!has(link, LINK_STATE), "SP-82 without tracestate there is none");
    is_int(number(attribute_in(part(got, SPAN_LINK, 2), LINK_ATTRIBUTE, "n"), ANY_INT), 5,
           "SP-52 a link's attribute");
    hotel_context_release(&state);
    sink_close("links");
}

static void test_exceptions(void) {
    hotel_attr own[2];
    hotel_span span;
    otlp_bytes got, event;
    own[0] = hotel_str("exception.message", "mine");
    own[1] = hotel_int("code", 7);
    sink_open(NULL);
    span = hotel_start("exceptions");
    hotel_record_exception(&span, "Type", "message", "at f", NULL, 0);
    hotel_record_exception(&span, NULL, "only a message", NULL, NULL, 0);
    hotel_record_exception(&span, "Type", "generated", NULL, own, 2);
    hotel_end(&span);
    got = delivered("exceptions");
    event = part(got, SPAN_EVENT, 0);
    is_str(text(event, EVENT_NAME), "exception", "SP-54 the event's name");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.type"), 1), "Type", "TR-51 type");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.message"), 1), "message",
           "TR-51 message");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.stacktrace"), 1), "at f",
           "TR-51 stack trace");
    is_int(otlp_count(event, EVENT_ATTRIBUTE), 3, "SP-54 and no exception.escaped");
    is_int(otlp_count(part(got, SPAN_EVENT, 1), EVENT_ATTRIBUTE), 1, "SP-54 NULL is left out");
    event = part(got, SPAN_EVENT, 2);
    is_int(otlp_count(event, EVENT_ATTRIBUTE), 3, "TR-52 a key stands once");
    is_str(text(attribute_in(event, EVENT_ATTRIBUTE, "exception.message"), 1), "mine",
           "SP-55 the caller's attributes win");
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 0, "SP-56 the status stays as it is");
    sink_close("exceptions");
}

/* ---- Status --------------------------------------------------------------------------------- */

typedef struct status_step {
    int status;
    const char *text;
} status_step;

typedef struct status_row {
    const char *name;
    status_step steps[3];
    int status;
    const char *text;
} status_row;

#define NO_STEP {-1, NULL}

static const status_row statuses[] = {
    {"TR-31 nothing", {NO_STEP, NO_STEP, NO_STEP}, 0, NULL},
    {"TR-31 ok", {{1, NULL}, NO_STEP, NO_STEP}, 1, NULL},
    {"TR-31 error", {{2, "why"}, NO_STEP, NO_STEP}, 2, "why"},
    {"SP-63 error without text", {{2, NULL}, NO_STEP, NO_STEP}, 2, NULL},
    {"SP-63 error with empty text", {{2, ""}, NO_STEP, NO_STEP}, 2, NULL},
    {"SP-60 text with ok", {{1, "ignored"}, NO_STEP, NO_STEP}, 1, NULL},
    {"SP-60 text with unset", {{0, "ignored"}, NO_STEP, NO_STEP}, 0, NULL},
    {"SP-61 error, unset", {{2, "why"}, {0, NULL}, NO_STEP}, 2, "why"},
    {"SP-61 ok, unset", {{1, NULL}, {0, NULL}, NO_STEP}, 1, NULL},
    {"SP-62 ok, error", {{1, NULL}, {2, "late"}, NO_STEP}, 1, NULL},
    {"SP-62 error, ok", {{2, "why"}, {1, NULL}, NO_STEP}, 1, NULL},
    {"SP-62 error, ok, error", {{2, "why"}, {1, NULL}, {2, "late"}}, 1, NULL},
    {"SP-60 error, error", {{2, "first"}, {2, "second, and longer"}, NO_STEP}, 2,
     "second, and longer"},
    {"SP-63 error, error without text", {{2, "first"}, {2, NULL}, NO_STEP}, 2, NULL},
    {"SP-06 a status out of range", {{3, "x"}, {77, "y"}, NO_STEP}, 0, NULL},
};

static void test_statuses(void) {
    size_t i, j;
    sink_open(NULL);
    for (i = 0; i < COUNT(statuses); i++) {
        const status_row *row = &statuses[i];
        hotel_span span = hotel_start("status");
        otlp_bytes got;
        for (j = 0; j < 3 && row->steps[j].status >= 0; j++) {
            hotel_set_status(&span, (hotel_status)row->steps[j].status, row->steps[j].text);
        }
        hotel_end(&span);
        got = part(delivered("status"), SPAN_STATUS, 0);
        is_int(number(got, STATUS_CODE), row->status, "%s: code", row->name);
        is_str(text(got, STATUS_MESSAGE), row->text, "%s: message", row->name);
        if (row->status == 2) continue;
        ok(!has(got, STATUS_MESSAGE), "SP-84 %s: only errors say why", row->name);
    }
    sink_close("status");
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { NUM_THREADS = 4, NUM_EACH = 100 };

static hotel_span shared_span;

static void *share(void *user_data) {
    unsigned which = *(unsigned *)user_data, i;
    char key[32];
    for (i = 0; i < NUM_EACH; i++) {
        hotel_tracer tracer = make_tracer(i % 2 == 0 ? "even" : "odd", NULL, NULL, NULL, 0);
        (void)snprintf(key, sizeof key, "%u.%u", which, i);
        hotel_set_int(&shared_span, key, (int64_t)i);
        hotel_add_event(&shared_span, key);
        hotel_set_name(&shared_span, "shared");
        span_by(tracer, "of a thread");
    }
    return NULL;
}

static void test_threads(void) {
    hotel_config config = sink_config();
    pthread_t threads[NUM_THREADS];
    unsigned which[NUM_THREADS], i, j, missing = 0, seen = 0;
    otlp_bytes got;
    char key[32];
    config.limits.attribute_count = config.limits.event_count = 1000;
    sink_open(&config);
    shared_span = hotel_start("shared");
    for (i = 0; i < NUM_THREADS; i++) {
        which[i] = i;
        if (pthread_create(&threads[i], NULL, share, &which[i]) != 0) abort();
    }
    for (i = 0; i < 20; i++) {
        if (hotel_flush(0) == HOTEL_ERR_NOT_RUNNING) abort();
    }
    for (i = 0; i < NUM_THREADS; i++) (void)pthread_join(threads[i], NULL);
    hotel_end(&shared_span);
    got = delivered("shared");
    for (i = 0; i < NUM_THREADS; i++) {
        for (j = 0; j < NUM_EACH; j++) {
            (void)snprintf(key, sizeof key, "%u.%u", i, j);
            if (integer_of(got, key) != (long long)j) missing++;
        }
    }
    is_int(missing, 0, "TR-32 attributes from many threads are all there");
    is_int(otlp_count(got, SPAN_EVENT), NUM_THREADS * NUM_EACH, "TR-50 so are events");
    for (i = 0; i < NUM_THREADS; i++) {
        unsigned next = 0;
        for (j = 0; j < NUM_THREADS * NUM_EACH; j++) {
            (void)snprintf(key, sizeof key, "%u.%u", i, next);
            if (otlp_equal(part(part(got, SPAN_EVENT, j), EVENT_NAME, 0), key)) next++;
        }
        seen += next;
    }
    is_int(seen, NUM_THREADS * NUM_EACH, "TR-50 each thread's events in its order, none torn");
    is_int(num_delivered(), NUM_THREADS * NUM_EACH + 1, "TR-15 every thread's spans arrived");
    /* Which group is found depends on what a flush took along. */
    ok(strcmp(text(part(group_of("of a thread"), 1, 0), 1), "odd") == 0 ||
           strcmp(text(part(group_of("of a thread"), 1, 0), 1), "even") == 0,
       "TR-06 under tracers that all threads asked for while another one flushed");
    sink_close("threads");
}

/* ---- The end -------------------------------------------------------------------------------- */

static void test_shutdown(void) {
    hotel_span span;
    sink_open(NULL);
    span = hotel_start("kept");
    hotel_end(&span);
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 flush says that all was delivered");
    is_int(num_delivered(), 1, "TR-59 what had ended before the flush was exported");
    is_int(hotel_shutdown(5000), HOTEL_OK, "TR-07 shutdown says so too");
    span = hotel_start("after");
    ok(!hotel_is_recording(&span), "TR-07 later spans do not record");
    ok(!hotel_is_enabled(hotel_get_tracer(NULL)), "TR-07 later tracers are not enabled");
    is_int(hotel_shutdown(5000), HOTEL_OK, "BSP-19 a second shutdown returns at once");
    is_int(hotel_flush(100), HOTEL_ERR_NOT_RUNNING, "TR-08 a flush after it says that it is late");
    test_not_running("after shutdown");
    sink_close("shutdown");
}

int main(void) {
    test_not_running("before init");
    test_tracers();
    test_parents();
    test_remote_parents();
    test_samplers();
    test_ids();
    test_id_generator(true);
    test_id_generator(false);
    test_life();
    test_times();
    test_kinds();
    test_scalars();
    test_arrays();
    test_keys();
    test_counts("default limits", 0, 128);
    test_counts("two of each", 2, 2);
    test_counts("none", HOTEL_NONE, 0);
    test_inner_counts();
    test_lengths();
    test_depth(0, 64);
    test_depth(3, 3);
    test_events();
    test_links();
    test_exceptions();
    test_statuses();
    test_threads();
    test_shutdown();
    return done_testing();
}
