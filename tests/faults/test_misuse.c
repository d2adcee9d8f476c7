/*
 * SPDX-License-Identifier: MIT
 *
 * test_misuse.c - every public function with NULL for every pointer, with zeroed and with garbage
 * handles and with values outside every enumeration: before the start, while the library runs, in
 * a callback, after shutdown, after release. Nothing crashes, nobody waits, and a span that is
 * made properly beside it all is still delivered.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <limits.h>
#include <strings.h>

#include "conformance/sink.h"

static uint64_t seed = 0x5eed;

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Everything but the bools, which have two values in any program. */
static void fill(void *object, size_t size, int kind) {
    unsigned char *bytes = (unsigned char *)object;
    size_t i;
    for (i = 0; i < size; i++)
        bytes[i] = kind == 0 ? 0 : kind == 1 ? 0xff : kind == 2 ? 1 : (unsigned char)next_random();
}

enum { KINDS = 40 };

static hotel_span garbage_span(int kind) {
    hotel_span span;
    fill(&span, sizeof span, kind);
    span.context.is_remote = kind % 2 != 0;
    if (kind > 20) { /* nearly right */
        span.record = (uint32_t)(next_random() % 64);
        span.generation = (uint32_t)(next_random() % 4);
        span.epoch = (uint32_t)(next_random() % 4);
    }
    return span;
}

static hotel_block garbage_block(int kind) {
    hotel_block block;
    fill(&block, sizeof block, kind);
    if (kind > 20) {
        block.index = (uint32_t)(next_random() % 64);
        block.generation = (uint32_t)(next_random() % 4);
    }
    return block;
}

/* ---- Spans ---------------------------------------------------------------------------------- */

static void misuse_span(const hotel_span *span) {
    static const hotel_attr attrs[] = {{NULL, 0, {HOTEL_TYPE_EMPTY, 0, {NULL}}},
                                       {"", 0, {HOTEL_TYPE_INT, 0, {NULL}}},
                                       {"k", 1, {(hotel_type)99, 77, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_STRING, 5, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_MAP, 5, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_ARRAY, 5, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_STRINGS, 5, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_DOUBLES, 5, {NULL}}},
                                       {"k", 1, {HOTEL_TYPE_BYTES, 5, {NULL}}}};
    hotel_event event;
    hotel_link link;
    char out[64];
    memset(&event, 0, sizeof event);
    memset(&link, 0, sizeof link);
    hotel_set_attrs(span, NULL, 3);
    hotel_set_attrs(span, attrs, 0);
    hotel_set_attrs(span, attrs, COUNT(attrs));
    hotel_set_str(span, NULL, NULL);
    hotel_set_str(span, "k", NULL);
    hotel_set_strn(span, "k", NULL, 9);
    hotel_set_bytes(span, "k", NULL, 9);
    hotel_set_strs(span, "k", NULL, 9);
    hotel_set_ints(span, NULL, NULL, 9);
    hotel_set_array(span, "k", NULL, 9);
    hotel_set_map(span, "k", NULL, 9);
    hotel_set_name(span, NULL);
    hotel_set_name_n(span, NULL, 9);
    hotel_set_status(span, (hotel_status)-1, NULL);
    hotel_set_status(span, (hotel_status)99, "x");
    hotel_set_status_n(span, HOTEL_STATUS_ERROR, NULL, 9);
    hotel_add_event(span, NULL);
    hotel_add_event_as(span, NULL);
    hotel_add_event_as(span, &event);
    event.name_size = 9;
    event.num_attributes = 9;
    hotel_add_event_as(span, &event);
    event.name = "e";
    event.name_size = 1;
    event.attributes = attrs;
    event.num_attributes = COUNT(attrs);
    hotel_add_event_as(span, &event);
    hotel_add_link(span, NULL);
    hotel_add_link(span, &link);
    link.num_attributes = 9;
    link.context.trace_state = garbage_block(3);
    hotel_add_link(span, &link);
    link.attributes = attrs;
    link.num_attributes = COUNT(attrs);
    hotel_add_link(span, &link);
    hotel_record_exception(span, NULL, NULL, NULL, NULL, 9);
    hotel_record_exception(span, "t", NULL, "s", attrs, COUNT(attrs));
    (void)hotel_is_recording(span);
    (void)hotel_traceparent(span, NULL);
    (void)hotel_traceparent(span, out);
    (void)hotel_tracestate(span, NULL, 0);
    (void)hotel_tracestate(span, NULL, 10);
    (void)hotel_tracestate(span, out, 0);
    (void)hotel_tracestate(span, out, 1);
    (void)hotel_inject_metadata(span, NULL, NULL, 0);
    (void)hotel_inject_metadata(span, "{", out, 1);
    (void)hotel_inject_metadata(span, "{}", NULL, 10);
    (void)hotel_inject_metadata_n(span, NULL, 10, out, sizeof out);
}

static void misuse_ends(const hotel_span *span, int kind) {
    if (kind % 3 == 0) hotel_end_at(span, kind % 2 ? 1 : UINT64_MAX);
    hotel_end(span);
    hotel_end(span);
}

static void misuse_context(int kind) {
    hotel_context context, held;
    hotel_token token;
    hotel_guard guard;
    hotel_span span;
    fill(&context, sizeof context, kind < 3 ? kind : 0);
    context.span = garbage_span(kind);
    context.values = garbage_block(kind);
    context.span.context.trace_state = garbage_block(kind);
    token = hotel_attach(kind ? &context : NULL);
    span = hotel_start_in(&context, NULL, (hotel_kind)kind);
    misuse_span(&span);
    hotel_end(&span);
    span = hotel_start("under garbage");
    hotel_end(&span);
    held = hotel_context_hold(kind ? &context : NULL);
    hotel_context_release(&held);
    hotel_context_release(&held);
    hotel_context_release(&context);
    (void)hotel_current();
    (void)hotel_current_span();
    (void)hotel_detach(token);
    (void)hotel_detach(token);
    token.depth = (uint32_t)next_random();
    token.serial = (uint32_t)next_random();
    (void)hotel_detach(token);
    guard = hotel_guard_context(kind ? &context : NULL);
    hotel_guard_leave(&guard);
    hotel_guard_leave(&guard);
    fill(&guard, sizeof guard, kind);
    guard.span = garbage_span(kind);
    guard.ends_span = kind % 2 != 0;
    hotel_guard_leave(&guard);
}

static void misuse_starts(int kind) {
    hotel_start_options options;
    hotel_step_run run;
    hotel_trigger trigger;
    hotel_task task;
    hotel_context context;
    hotel_span span;
    memset(&options, 0, sizeof options);
    options.num_attributes = options.num_links = 7;
    options.kind = (hotel_kind)(kind % 2 ? -kind : kind * 1000);
    options.tracer.scope = (uint32_t)next_random();
    options.tracer.generation = (uint32_t)next_random();
    options.root = kind % 3 == 0;
    span = hotel_start_with(NULL, &options);
    hotel_end(&span);
    span = hotel_start_with(NULL, NULL);
    hotel_end(&span);
    span = hotel_start_as(NULL, (hotel_kind)99);
    hotel_end(&span);
    (void)hotel_is_enabled(options.tracer);
    memset(&run, 0, sizeof run);
    task = hotel_start_step_run(kind % 2 ? NULL : &run);
    hotel_task_fail_as(&task, NULL, NULL, NULL);
    hotel_task_succeed(&task);
    hotel_task_fail(&task, NULL);
    run.additional_metadata = "[";
    task = hotel_start_step_run(&run);
    hotel_task_succeed(&task);
    fill(&task, sizeof task, kind);
    task.span = garbage_span(kind);
    memset(&task.context, 0, sizeof task.context);
    task.context.span = garbage_span(kind);
    task.context.values = garbage_block(kind);
    hotel_task_fail(&task, "x");
    memset(&trigger, 0, sizeof trigger);
    span = hotel_start_run_workflow(kind % 2 ? NULL : &trigger);
    hotel_end(&span);
    context = hotel_extract_metadata(NULL, 9);
    hotel_context_release(&context);
    context = hotel_extract(NULL, "a=1");
    hotel_context_release(&context);
    context = hotel_extract_n(NULL, 9, NULL, 9);
    hotel_context_release(&context);
    context = hotel_context_with(NULL);
    hotel_context_release(&context);
}

static void misuse_nulls(void) {
    hotel_guard guard = hotel_guard_span(NULL);
    hotel_tracer_config tracer;
    char out[8];
    hotel_guard_leave(&guard);
    hotel_guard_leave(NULL);
    misuse_span(NULL);
    misuse_ends(NULL, 0);
    hotel_context_release(NULL);
    hotel_task_succeed(NULL);
    hotel_task_fail(NULL, NULL);
    hotel_task_fail_as(NULL, NULL, NULL, NULL);
    (void)hotel_is_valid(NULL);
    hotel_trace_id_hex(NULL, NULL);
    hotel_span_id_hex(NULL, NULL);
    (void)hotel_wrap(NULL);
    (void)hotel_get_tracer(NULL);
    memset(&tracer, 0, sizeof tracer);
    tracer.num_attributes = 9;
    (void)hotel_get_tracer(&tracer);
    (void)hotel_tracestate_get(NULL, NULL, NULL, 0);
    (void)hotel_tracestate_get("a=1", "a", NULL, 9);
    (void)hotel_tracestate_get("a=1", NULL, out, sizeof out);
    (void)hotel_tracestate_set(NULL, NULL, NULL, NULL, 9);
    (void)hotel_tracestate_set("a=1", NULL, NULL, out, 1);
    (void)hotel_tracestate_set(NULL, "a", "1", out, sizeof out);
    hotel_get_stats(NULL);
    (void)hotel_get_destination_stats(0, NULL);
    (void)hotel_describe(NULL, 0);
    (void)hotel_describe(NULL, 9);
    (void)hotel_describe(out, 0);
    (void)hotel_result_text(INT_MIN);
    (void)hotel_version();
}

/* ---- Views, exporters, resources: they need no state ----------------------------------------- */

static void misuse_views(int kind) {
    hotel_list list;
    hotel_spans spans;
    hotel_span_view span;
    hotel_attr_view attr;
    hotel_value_view value;
    hotel_event_view event;
    hotel_link_view link;
    hotel_batch batch;
    unsigned char bytes[64];
    fill(bytes, sizeof bytes, kind);
    (void)hotel_next_attr(NULL, NULL);
    (void)hotel_next_value(NULL, NULL);
    (void)hotel_next_event(NULL, NULL);
    (void)hotel_next_link(NULL, NULL);
    (void)hotel_next_span(NULL, NULL);
    memset(&list, 0, sizeof list);
    (void)hotel_next_attr(&list, &attr);
    (void)hotel_next_value(&list, &value);
    (void)hotel_next_event(&list, &event);
    (void)hotel_next_link(&list, &link);
    (void)hotel_find_attr(list, NULL, NULL);
    (void)hotel_find_attr(list, "k", &value);
    (void)hotel_batch_of(NULL, 9);
    batch = hotel_batch_of(bytes, sizeof bytes);
    spans = hotel_batch_spans(NULL);
    (void)hotel_next_span(&spans, &span);
    spans = hotel_batch_spans(&batch);
    while (hotel_next_span(&spans, &span)) {}
    batch.request = NULL;
    spans = hotel_batch_spans(&batch);
    (void)hotel_next_span(&spans, &span);
}

static void misuse_objects(int kind) {
    hotel_memory_exporter memory;
    hotel_exporter exporter;
    hotel_resource resource, other;
    hotel_span_view span;
    unsigned char bytes[64];
    hotel_batch batch;
    fill(bytes, sizeof bytes, kind);
    batch = hotel_batch_of(bytes, sizeof bytes);
    (void)hotel_memory_exporter_start(NULL, NULL, 0);
    exporter = hotel_memory_exporter_start(&memory, NULL, 9);
    if (exporter.export_fn) (void)exporter.export_fn(&batch, exporter.user_data);
    exporter = hotel_memory_exporter_start(&memory, bytes, 1);
    if (exporter.export_fn) (void)exporter.export_fn(&batch, exporter.user_data);
    (void)hotel_memory_exporter_batch(NULL);
    (void)hotel_memory_exporter_count(NULL);
    (void)hotel_memory_exporter_refused(NULL);
    (void)hotel_memory_exporter_at(NULL, 0, NULL);
    (void)hotel_memory_exporter_at(&memory, 99, &span);
    hotel_memory_exporter_reset(NULL);
    exporter = hotel_console_exporter(-1);
    if (exporter.export_fn) (void)exporter.export_fn(&batch, exporter.user_data);
    (void)hotel_resource_start(NULL, NULL, 0, NULL);
    (void)hotel_resource_start(&resource, NULL, 9, NULL);
    (void)hotel_resource_add(NULL, hotel_int("k", 1));
    (void)hotel_resource_add(&resource, hotel_int("k", 1));
    (void)hotel_resource_start(&resource, bytes, 8, "a schema that is too long");
    (void)hotel_resource_start(&resource, bytes, sizeof bytes, NULL);
    (void)hotel_resource_add(&resource, hotel_int(NULL, 1));
    (void)hotel_resource_add(&resource, hotel_int("", 1));
    (void)hotel_resource_set_schema(NULL, NULL);
    (void)hotel_resource_set_schema(&resource, NULL);
    (void)hotel_resource_merge(NULL, NULL);
    (void)hotel_resource_merge(&resource, NULL);
    (void)hotel_resource_merge(&resource, &resource);
    memset(&other, 0, sizeof other);
    (void)hotel_resource_merge(&resource, &other);
    (void)hotel_resource_merge(&other, &resource);
    (void)hotel_resource_read(NULL);
    (void)hotel_resource_read(&other);
    (void)hotel_resource_detector(NULL);
    (void)hotel_sampler_description(NULL, NULL, 0);
    (void)hotel_sampler_description(NULL, (char *)bytes, 9);
}

/* ---- Baggage, keys, propagators -------------------------------------------------------------- */

static void misuse_baggage(int kind) {
    static const hotel_string nothing = {NULL, 0};
    hotel_baggage baggage;
    hotel_baggage_entry entry;
    hotel_context context;
    unsigned char bytes[64];
    char out[8];
    size_t cursor = (size_t)next_random();
    fill(bytes, sizeof bytes, kind);
    hotel_baggage_start(NULL, NULL, 0);
    (void)hotel_baggage_set(NULL, NULL, NULL, NULL);
    (void)hotel_baggage_set_n(NULL, nothing, nothing, nothing);
    (void)hotel_baggage_get(NULL, NULL);
    (void)hotel_baggage_find(NULL, nothing, NULL);
    (void)hotel_baggage_remove(NULL, NULL);
    (void)hotel_baggage_remove_n(NULL, nothing);
    hotel_baggage_clear(NULL);
    (void)hotel_baggage_next(NULL, NULL, NULL);
    (void)hotel_baggage_parse(NULL, NULL, 9);
    (void)hotel_baggage_format(NULL, NULL, 9);
    (void)hotel_context_baggage(NULL, NULL);
    context = hotel_context_with_baggage(NULL, NULL);
    hotel_context_release(&context);
    hotel_baggage_start(&baggage, NULL, 9);
    (void)hotel_baggage_set(&baggage, "k", "v", "m");
    hotel_baggage_start(&baggage, bytes, sizeof bytes);
    (void)hotel_baggage_set(&baggage, NULL, "v", NULL);
    (void)hotel_baggage_set(&baggage, "", NULL, ";=,");
    (void)hotel_baggage_set(&baggage, "k", NULL, NULL);
    (void)hotel_baggage_get(&baggage, NULL);
    (void)hotel_baggage_find(&baggage, nothing, &entry);
    (void)hotel_baggage_remove(&baggage, NULL);
    (void)hotel_baggage_next(&baggage, NULL, &entry);
    (void)hotel_baggage_next(&baggage, &cursor, NULL);
    (void)hotel_baggage_next(&baggage, &cursor, &entry);
    (void)hotel_baggage_parse(&baggage, NULL, 9);
    (void)hotel_baggage_format(&baggage, NULL, 9);
    (void)hotel_baggage_format(&baggage, out, 1);
    memset(&context, 0, sizeof context);
    context.baggage = garbage_block(kind);
    context.entries = garbage_block(kind);
    context.values = garbage_block(kind);
    (void)hotel_context_baggage(&context, &baggage);
    (void)hotel_context_baggage(&context, NULL);
    context = hotel_context_with_baggage(&context, &baggage);
    hotel_context_release(&context);
}

static void misuse_keys(int kind) {
    hotel_key key, made = hotel_create_key(NULL);
    hotel_context context, next;
    fill(&key, sizeof key, kind);
    memset(&context, 0, sizeof context);
    context.entries = garbage_block(kind);
    (void)hotel_context_value(NULL, key);
    (void)hotel_context_value(&context, key);
    (void)hotel_context_value(&context, made);
    next = hotel_context_with_value(&context, key, NULL);
    hotel_context_release(&next);
    next = hotel_context_with_value(&context, made, &context);
    hotel_context_release(&next);
    next = hotel_context_with_value(NULL, key, &context);
    hotel_context_release(&next);
    hotel_context_put_span(NULL, NULL);
    hotel_context_put_span(&context, NULL);
}

static void misuse_propagator(const hotel_propagator *propagator, int kind) {
    hotel_getter getters[3];
    hotel_setter setters[2];
    hotel_headers headers;
    hotel_env env;
    hotel_context context, got;
    size_t i;
    memset((void *)getters, 0, sizeof getters);
    memset((void *)setters, 0, sizeof setters);
    memset((void *)&headers, 0, sizeof headers);
    headers.count = 9;
    getters[1] = hotel_header_getter();
    getters[2] = hotel_env_getter();
    setters[1] = hotel_env_setter();
    memset(&context, 0, sizeof context);
    context.span = garbage_span(kind);
    context.baggage = garbage_block(kind);
    hotel_env_start(NULL, NULL, 0, NULL, 0, NULL);
    hotel_env_start(&env, NULL, 9, NULL, 9, NULL);
    for (i = 0; i < 2; i++) {
        hotel_inject_with(propagator, &context, NULL, NULL);
        hotel_inject_with(propagator, &context, &setters[i], i ? &env : NULL);
        hotel_inject_with(propagator, NULL, &setters[i], NULL);
    }
    for (i = 0; i < 3; i++) {
        got = hotel_extract_with(propagator, &context, &getters[i], i == 1 ? &headers : NULL);
        hotel_context_release(&got);
        got = hotel_extract_with(propagator, NULL, &getters[i], NULL);
        hotel_context_release(&got);
    }
    got = hotel_extract_with(propagator, NULL, NULL, NULL);
    hotel_context_release(&got);
    for (i = 0; hotel_propagator_field(propagator, i) != NULL && i < 99; i++) {}
    (void)hotel_propagator_field(propagator, SIZE_MAX);
}

static void misuse_propagators(int kind) {
    static const hotel_propagator_list none = {NULL, 9};
    hotel_propagator kinds[7];
    hotel_context got;
    char out[8];
    size_t i;
    memset((void *)kinds, 0, sizeof kinds);
    kinds[0] = hotel_tracecontext_propagator();
    kinds[1] = hotel_baggage_propagator();
    kinds[2] = hotel_b3_propagator();
    kinds[3] = hotel_b3multi_propagator();
    kinds[4] = hotel_composite_propagator(NULL);
    kinds[5] = hotel_composite_propagator(&none);
    for (i = 0; i < COUNT(kinds); i++) misuse_propagator(&kinds[i], kind);
    misuse_propagator(NULL, kind);
    hotel_set_global_propagator(NULL);
    misuse_propagator(NULL, kind);
    hotel_set_global_propagator(&kinds[6]);
    misuse_propagator(NULL, kind);
    (void)hotel_get_global_propagator();
    hotel_inject(NULL, NULL, NULL);
    got = hotel_extract_from(NULL, NULL);
    hotel_context_release(&got);
    (void)hotel_env_name(NULL, NULL, 9);
    (void)hotel_env_name("k", NULL, 9);
    (void)hotel_env_name(NULL, out, sizeof out);
}

/* ---- Providers ------------------------------------------------------------------------------ */

static void misuse_providers(int kind) {
    hotel_provider provider;
    fill(&provider, sizeof provider, kind);
    (void)!hotel_provider_flush(provider, 0);
    if (provider.serial > 16) (void)hotel_provider_shutdown(provider, 0);
    (void)hotel_provider_start(NULL, NULL);
}

static void misuse_everything(void) {
    int kind;
    misuse_nulls();
    for (kind = 0; kind < KINDS; kind++) {
        hotel_span span = garbage_span(kind);
        /* Nearly right handles may hit a span that is open: only what a caller may do to it. */
        misuse_span(&span);
        misuse_ends(&span, kind);
        misuse_context(kind);
        misuse_starts(kind);
        misuse_views(kind);
        misuse_objects(kind);
        misuse_providers(kind);
        misuse_baggage(kind);
        misuse_keys(kind);
        misuse_propagators(kind);
    }
}

/* ---- Configurations ------------------------------------------------------------------------- */

enum { BAD_CONFIGS = 30 };

static unsigned char small[4096];

static void bad_config(int which, hotel_config *config, hotel_destination *to) {
    static const hotel_exporter no_exporter = {NULL, NULL, NULL, NULL};
    static const hotel_processor no_processors[99] = {{NULL, NULL, NULL, NULL, NULL, NULL}};
    static const hotel_detector no_detectors[9] = {{NULL, NULL, NULL}};
    static const hotel_propagator no_propagator = {NULL, NULL, NULL, NULL};
    static const hotel_transport holes = {NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    static const hotel_header headers[] = {{NULL, NULL}, {"", ""}, {"a\r\nb", "c\r\nd"}};
    static const hotel_attr attrs[] = {{NULL, 0, {HOTEL_TYPE_EMPTY, 0, {NULL}}},
                                       {"k", 1, {(hotel_type)99, 7, {NULL}}}};
    switch (which) {
    case 0: config->num_destinations = 99; break;
    case 1: config->destinations = NULL; config->num_destinations = 3; break;
    case 2: to->transport = &holes; break;
    case 3: config->no_destinations = true; break;
    case 4: to->headers = headers; to->num_headers = COUNT(headers); break;
    case 5: to->headers = NULL; to->num_headers = 9; break;
    case 6: to->endpoint = ""; to->transport = NULL; break;
    case 7: to->max_queue_size = to->max_export_batch_size = UINT32_MAX; break;
    case 8: to->max_request_bytes = UINT32_MAX; break;
    case 9: to->max_request_bytes = 1; to->max_queue_size = 1; break;
    case 10: config->resource = attrs; config->num_resource = COUNT(attrs); break;
    case 11: config->resource = NULL; config->num_resource = 9; break;
    case 12: config->sampler.type = (hotel_sampler_type)99; break;
    case 13: config->sampler.type = (hotel_sampler_type)-1; config->sampler.ratio = -7; break;
    case 14: memset(&config->limits, 0xff, sizeof config->limits); break;
    case 15: memset(&config->limits, 1, sizeof config->limits); break;
    case 16: config->arena_bytes = 1; break;
    case 17: config->arena_bytes = UNDER_ASAN || UNDER_TSAN ? 2 : SIZE_MAX / 2; break;
    case 18: config->memory = small; config->memory_bytes = sizeof small; break;
    case 19: config->memory = small; config->memory_bytes = 1; break;
    case 20: config->log_level = (hotel_log_level)99; break;
    case 21: config->processors = NULL; config->num_processors = 9; break;
    case 22: config->detectors = NULL; config->num_detectors = 9; break;
    case 23: to->transport = NULL; to->exporter = &no_exporter; break;
    case 24: config->processors = no_processors; config->num_processors = 99; break;
    case 25: config->detectors = no_detectors; config->num_detectors = 9; break;
    case 26: config->propagator = &no_propagator; break;
    case 27: to->max_inflight = UINT32_MAX; to->max_response_bytes = UINT32_MAX; break;
    case 28: to->compression = (hotel_compression)99; break;
    default: config->tracer.num_attributes = 9; config->service_name = ""; break;
    }
}

/* Each is taken or refused; the next one is asked as if nothing had been. */
static void test_configs(void) {
    int i;
    for (i = 0; i < BAD_CONFIGS; i++) {
        hotel_config config = sink_config();
        hotel_destination to[99];
        hotel_result result;
        hotel_span span;
        size_t k;
        for (k = 0; k < COUNT(to); k++) to[k] = config.destinations[0];
        config.destinations = to;
        bad_config(i, &config, to);
        log_clear();
        result = hotel_init(&config);
        span = hotel_start("x");
        hotel_end(&span);
        (void)hotel_shutdown(10);
        (void)hotel_release();
        ok(result == HOTEL_OK || result <= HOTEL_ERR_ARGUMENT, "OX-01 bad configuration %d: %d", i,
           (int)result);
    }
    is_int(hotel_init_checked(NULL, 1, HOTEL_VERSION_NUMBER), HOTEL_ERR_HEADER,
           "a caller with another configuration");
    is_int(hotel_init_checked(NULL, sizeof(hotel_config), 1), HOTEL_ERR_HEADER,
           "a caller of another version");
}

/* ---- States --------------------------------------------------------------------------------- */

static bool in_callback;
static unsigned num_callbacks;

static void log_misusing(hotel_log_level level, hotel_log_id id, const char *message,
                         void *user_data) {
    hotel_stats s;
    log_record(level, id, message, user_data);
    if (in_callback || num_callbacks == 3) return;
    in_callback = true;
    num_callbacks++;
    misuse_everything();
    hotel_get_stats(&s);
    in_callback = false;
}

/* The library works: one span in, one span out. */
static void check_works(const char *state) {
    hotel_config config = sink_config();
    hotel_span span;
    sink_open(&config);
    span = hotel_start("proper");
    hotel_set_str(&span, "k", "v");
    hotel_end(&span);
    sink_flush();
    ok(span_of("proper").at != NULL, "misuse %s: a proper span is delivered afterwards", state);
    sink_close(state);
}

int main(void) {
    hotel_config config;
    hotel_stats s;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    misuse_everything();
    ok(true, "misuse before the start: no crash");
    is_int(hotel_flush(0), HOTEL_ERR_NOT_RUNNING, "flush before the start");
    is_int(hotel_shutdown(0), HOTEL_ERR_NOT_RUNNING, "shutdown before the start");
    is_int(hotel_poll(0), HOTEL_ERR_NOT_RUNNING, "poll before the start");
    check_works("before the start");

    config = sink_config();
    config.log_fn = log_misusing;
    sink_open(&config);
    misuse_everything();
    (void)!hotel_flush(100);
    misuse_everything();
    ok(num_callbacks > 0, "misuse in a callback: no crash");
    hotel_get_stats(&s);
    ok(process_balances(&s), "misuse while it runs: the books balance");
    (void)hotel_shutdown(1000);
    ok(books_balance(), "misuse while it runs: and after shutdown");
    misuse_everything();
    ok(true, "misuse after shutdown: no crash");
    is_int(hotel_flush(0), HOTEL_ERR_NOT_RUNNING, "flush after shutdown");
    is_int(hotel_shutdown(0), HOTEL_OK, "a second shutdown");
    (void)hotel_release();
    misuse_everything();
    ok(true, "misuse after release: no crash");
    (void)hotel_release();
    check_works("after release");
    test_configs();
    check_works("of the configuration");
    return done_testing();
}
