/*
 * SPDX-License-Identifier: MIT
 *
 * test_providers.c - several providers in one process, processors with their hooks, exporters of
 * the user's behind batches and behind the simple processor.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "sink.h"

/* ---- An exporter that keeps everything, with its calls -------------------------------------- */

enum { KEPT_SIZE = 1 << 20 };

typedef struct kept {
    unsigned char bytes[KEPT_SIZE];
    hotel_memory_exporter memory;
    hotel_exporter inner, outer;
    int exports, flushes, shutdowns, inside;
    bool overlapped;
    uint32_t last_timeout;
    hotel_result answer, flush_answer;
    hotel_destination to;
} kept;

static hotel_result kept_export(const hotel_batch *batch, void *user_data) {
    kept *k = (kept *)user_data;
    hotel_result result = k->answer;
    if (__atomic_fetch_add(&k->inside, 1, __ATOMIC_SEQ_CST) != 0) k->overlapped = true;
    (void)__atomic_add_fetch(&k->exports, 1, __ATOMIC_SEQ_CST);
    if (result == HOTEL_OK) result = k->inner.export_fn(batch, k->inner.user_data);
    (void)__atomic_sub_fetch(&k->inside, 1, __ATOMIC_SEQ_CST);
    return result;
}

static hotel_result kept_flush(uint32_t timeout_ms, void *user_data) {
    kept *k = (kept *)user_data;
    k->last_timeout = timeout_ms;
    (void)__atomic_add_fetch(&k->flushes, 1, __ATOMIC_SEQ_CST);
    return k->flush_answer;
}

static hotel_result kept_shutdown(uint32_t timeout_ms, void *user_data) {
    kept *k = (kept *)user_data;
    k->last_timeout = timeout_ms;
    (void)__atomic_add_fetch(&k->shutdowns, 1, __ATOMIC_SEQ_CST);
    return HOTEL_OK;
}

static kept keepers[3];

/* An empty one as destination. */
static kept *keeper(size_t index) {
    kept *k = &keepers[index];
    memset(k, 0, sizeof *k);
    k->inner = hotel_memory_exporter_start(&k->memory, k->bytes, sizeof k->bytes);
    k->outer.export_fn = kept_export;
    k->outer.flush_fn = kept_flush;
    k->outer.shutdown_fn = kept_shutdown;
    k->outer.user_data = k;
    k->to.exporter = &k->outer;
    k->to.schedule_delay_ms = 600000;
    return k;
}

/* The index-th span that it has; a zeroed view when there is none. */
static hotel_span_view kept_span(const kept *k, size_t index) {
    hotel_span_view view;
    if (!hotel_memory_exporter_at(&k->memory, index, &view)) memset(&view, 0, sizeof view);
    return view;
}

static size_t num_kept(const kept *k) {
    return hotel_memory_exporter_count(&k->memory);
}

static const char *said(hotel_string string) {
    otlp_bytes bytes;
    bytes.at = (const unsigned char *)string.text;
    bytes.size = string.size;
    return as_text(bytes);
}

static hotel_config config_to(const hotel_destination *to, size_t count) {
    hotel_config config = test_config(NULL, 0);
    config.destinations = to;
    config.num_destinations = count;
    config.no_threads = true;
    return config;
}

/* ---- Exporters in the pipeline -------------------------------------------------------------- */

static void test_batches(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    int i;
    k->to.max_export_batch_size = 10;
    sink_open(&config);
    for (i = 0; i < 25; i++) (void)leaf("batched", NULL);
    is_int(k->exports, 0, "BSP-03 nothing goes without a turn of the exporter");
    is_int(hotel_flush(5000), HOTEL_OK, "EX-01 an exporter of the user's: flush");
    is_int((long long)num_kept(k), 25, "BSP-13 all spans are exported");
    is_int(k->exports, 3, "BSP-05 in batches of at most 10");
    is_int(k->flushes, 1, "EX-02 BSP-14 its flush is called once");
    is_str(said(kept_span(k, 24).name), "batched", "EX-01 spans are read back");
    is_str(said(kept_span(k, 0).resource.schema_url), "", "EX-16 no schema URL unasked");
    k->flush_answer = HOTEL_ERR_FAILED;
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "EX-02 BSP-16 a flush that fails is told");
    k->flush_answer = HOTEL_OK;
    is_int(hotel_shutdown(5000), HOTEL_OK, "BSP-18 shutdown");
    is_int(k->flushes, 3, "BSP-18 shutdown flushes too");
    is_int(k->shutdowns, 1, "BSP-18 and shuts the exporter down");
    is_int(hotel_shutdown(5000), HOTEL_OK, "BSP-19 a second shutdown");
    is_int(k->shutdowns, 1, "BSP-18 reaches the exporter once");
    sink_close("batches for an exporter");
}

static void test_failing_exporter(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    hotel_destination_stats stats;
    sink_open(&config);
    k->answer = HOTEL_ERR_FAILED;
    (void)leaf("lost", NULL);
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "BSP-16 flush tells that spans were lost");
    is_int(k->exports, 1, "BSP-11 there is no second attempt");
    (void)hotel_get_destination_stats(0, &stats);
    is_int((long long)stats.failed, 1, "BSP-11 the batch counts as failed");
    is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 1, "OR-17 and is reported");
    k->answer = HOTEL_OK;
    (void)leaf("kept", NULL);
    is_int(hotel_flush(5000), HOTEL_OK, "BSP-12 the next batch proceeds");
    is_str(said(kept_span(k, 0).name), "kept", "BSP-12 and arrives");
    sink_close("a failing exporter");
}

static void test_no_export_fn(void) {
    hotel_exporter none;
    hotel_destination to = destination(NULL);
    hotel_config config = config_to(&to, 1);
    memset(&none, 0, sizeof none);
    to.exporter = &none;
    log_clear();
    is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "SP-06 an exporter without export_fn");
    is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "SP-06 is reported");
    open_books();
    (void)leaf("nowhere", NULL);
    sink_close("an exporter without functions");
}

static void *end_many(void *argument) {
    int i;
    (void)argument;
    for (i = 0; i < 50; i++) (void)leaf("simple", NULL);
    return NULL;
}

static void test_simple(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    hotel_span span;
    k->to.simple = true;
    sink_open(&config);
    span = hotel_start("at once");
    is_int((long long)num_kept(k), 0, "BSP-29 simple: nothing before the end");
    hotel_end(&span);
    is_int((long long)num_kept(k), 1, "BSP-29 simple: exported when hotel_end returns");
    (void)leaf("second", NULL);
    is_int(k->exports, 2, "BSP-29 simple: each span by itself");
    is_int(k->flushes, 0, "BSP-29 simple: without a flush of the exporter");
    is_int(hotel_flush(5000), HOTEL_OK, "TR-59 flush");
    is_int(k->flushes, 1, "TR-59 BSP-29 flush still flushes the exporter");
    sink_close("the simple processor without threads");
}

static void test_simple_threads(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    pthread_t threads[4];
    size_t i;
    config.no_threads = false;
    k->to.simple = true;
    sink_open(&config);
    (void)leaf("first", NULL);
    is_int((long long)num_kept(k), 1, "BSP-29 simple: exported by the exporter's thread");
    for (i = 0; i < COUNT(threads); i++)
        if (pthread_create(&threads[i], NULL, end_many, NULL) != 0) abort();
    for (i = 0; i < COUNT(threads); i++) (void)pthread_join(threads[i], NULL);
    is_int((long long)num_kept(k), 201, "BSP-29 simple: of all threads");
    ok(!k->overlapped, "BSP-02 BSP-29 calls are serialised");
    sink_close("the simple processor with threads");
}

/* A simple destination does not hurry a batching one. */
static void test_simple_beside_batch(void) {
    kept *simple = keeper(0), *batch = keeper(1);
    hotel_destination both[2];
    hotel_config config;
    simple->to.simple = true;
    both[0] = simple->to;
    both[1] = batch->to;
    config = config_to(both, 2);
    sink_open(&config);
    (void)leaf("x", NULL);
    is_int((long long)num_kept(simple), 1, "BSP-29 the simple one has it");
    is_int((long long)num_kept(batch), 0, "BSP-03 the batching one waits for its delay");
    is_int(hotel_flush(5000), HOTEL_OK, "TR-59 flush");
    is_int((long long)num_kept(batch), 1, "TR-59 BSP-13 reaches both");
    sink_close("simple beside batch");
}

/* ---- Providers ------------------------------------------------------------------------------ */

static uint64_t fixed_clock(void *user_data) {
    return *(uint64_t *)user_data;
}

static void fixed_trace_id(uint8_t out[16], void *user_data) {
    memset(out, *(int *)user_data, 16);
}

static void fixed_span_id(uint8_t out[8], void *user_data) {
    memset(out, *(int *)user_data, 8);
}

static hotel_tracer tracer_of(hotel_provider provider, const char *name) {
    hotel_tracer_config config;
    memset(&config, 0, sizeof config);
    config.provider = provider;
    config.name = name;
    return hotel_get_tracer(&config);
}

static hotel_span start_by(hotel_tracer tracer, const char *name) {
    hotel_start_options options;
    memset(&options, 0, sizeof options);
    options.tracer = tracer;
    options.root = true;
    return hotel_start_with(name, &options);
}

static const char *resource_of(const kept *k, size_t index, const char *key) {
    hotel_span_view view = kept_span(k, index);
    hotel_value_view value;
    if (!hotel_find_attr(view.resource.attributes, key, &value)) return "(none)";
    return said(value.as.string);
}

static void test_independent(void) {
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_provider provider;
    hotel_tracer tracer;
    hotel_span span;
    uint64_t now = 1234567890123456789u;
    int id = 0x42;
    size_t i;
    first.service_name = "first";
    second.service_name = "second";
    second.limits.attribute_count = 1;
    second.limits.attribute_value_length = 3;
    second.limits.event_count = HOTEL_NONE;
    second.clock.now_ns_fn = fixed_clock;
    second.clock.user_data = &now;
    second.id_generator.trace_id_fn = fixed_trace_id;
    second.id_generator.span_id_fn = fixed_span_id;
    second.id_generator.user_data = &id;
    sink_open(&first);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "TR-01 a second provider starts");
    tracer = tracer_of(provider, "lib");
    ok(hotel_is_enabled(tracer), "SP-03 its tracers are enabled");
    span = start_by(tracer, "two");
    is_int(span.context.trace_id[0], 0x42, "TR-01 TR-57 its own generator");
    ok(!(span.context.trace_flags & HOTEL_FLAG_RANDOM), "TR-57 which is not random");
    for (i = 0; i < 2; i++) hotel_set_str(&span, i ? "b" : "a", "value");
    hotel_add_event(&span, "event");
    now += 1000;
    hotel_end(&span);
    span = hotel_start("one");
    ok(span.context.trace_flags & HOTEL_FLAG_RANDOM, "TR-01 the first keeps its generator");
    for (i = 0; i < 2; i++) hotel_set_str(&span, i ? "b" : "a", "value");
    hotel_add_event(&span, "event");
    hotel_end(&span);
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 flush reaches both");
    is_int((long long)num_kept(one), 1, "TR-01 one span to the first");
    is_int((long long)num_kept(two), 1, "TR-01 one span to the second");
    is_str(said(kept_span(one, 0).name), "one", "TR-01 to the first its own");
    is_str(said(kept_span(two, 0).name), "two", "TR-01 to the second its own");
    is_str(resource_of(one, 0, "service.name"), "first", "TR-01 resource of the first");
    is_str(resource_of(two, 0, "service.name"), "second", "TR-01 resource of the second");
    is_str(said(kept_span(two, 0).scope.name), "lib", "TR-61 the scope");
    is_int(kept_span(one, 0).num_attributes, 2, "TR-01 limits of the first");
    is_int(kept_span(two, 0).num_attributes, 1, "TR-01 TR-58 limits of the second: count");
    is_int(kept_span(two, 0).dropped_attributes, 1, "TR-34 what is over is counted");
    is_int(kept_span(one, 0).num_events, 1, "TR-01 events of the first");
    is_int(kept_span(two, 0).num_events, 0, "TR-01 TR-58 limits of the second: events");
    {
        hotel_span_view view = kept_span(two, 0);
        hotel_value_view value;
        ok(hotel_view_attr(&view, "a", &value) && hotel_string_is(value.as.string, "val"),
           "TR-01 TR-58 limits of the second: length");
        is_int((long long)view.start_time_ns, 1234567890123456789, "TR-01 its own clock: start");
        is_int((long long)view.end_time_ns, 1234567890123457789, "TR-01 its own clock: end");
    }
    sink_close("two providers");
}

static void test_provider_samplers(void) {
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_provider provider;
    hotel_span span;
    hotel_context parent;
    second.sampler.type = HOTEL_SAMPLER_ALWAYS_OFF;
    sink_open(&first);
    (void)hotel_provider_start(&second, &provider);
    span = start_by(tracer_of(provider, "x"), "off");
    ok(!hotel_is_recording(&span), "TR-01 the second's sampler says no");
    hotel_end(&span);
    span = start_by(tracer_of(provider, "x"), "parent");
    parent = only(&span);
    span = hotel_start_in(&parent, "child", HOTEL_INTERNAL);
    ok(!hotel_is_recording(&span), "SM-06 a child elsewhere follows its parent");
    span = hotel_start("on");
    ok(hotel_is_recording(&span), "TR-01 the first's says yes");
    hotel_end(&span);
    sink_close("samplers of two providers");
}

static void test_provider_shutdown(void) {
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_provider provider, stranger;
    hotel_tracer tracer;
    hotel_span late, span;
    hotel_destination_stats stats;
    sink_open(&first);
    (void)hotel_provider_start(&second, &provider);
    tracer = tracer_of(provider, "x");
    late = start_by(tracer, "late");
    span = start_by(tracer, "in time");
    hotel_end(&span);
    is_int(hotel_provider_flush(provider, 5000), HOTEL_OK, "TR-08 flush of one provider");
    is_int(two->flushes, 1, "TR-08 reaches its exporter");
    is_int(one->flushes, 0, "TR-08 and no other");
    is_int(hotel_provider_shutdown(provider, 5000), HOTEL_OK, "TR-07 shutdown of one provider");
    is_int(two->shutdowns, 1, "TR-07 reaches its exporter");
    is_int(one->shutdowns, 0, "TR-07 and no other");
    is_int(hotel_provider_shutdown(provider, 5000), HOTEL_OK, "TR-07 runs once");
    is_int(two->shutdowns, 1, "TR-07 the exporter hears of it once");
    span = start_by(tracer, "after");
    ok(!hotel_is_recording(&span), "TR-07 its tracers do nothing then");
    ok(!hotel_is_enabled(tracer), "SP-03 and are not enabled");
    span = start_by(tracer_of(provider, "new"), "new");
    ok(!hotel_is_recording(&span), "TR-07 nor do those asked for later");
    hotel_end(&late);
    (void)leaf("other", NULL);
    is_int(hotel_flush(5000), HOTEL_OK, "TR-07 the others go on");
    is_int((long long)num_kept(one), 1, "TR-07 and export");
    is_int((long long)num_kept(two), 1, "TR-07 what ends late is not exported");
    (void)hotel_get_destination_stats(1, &stats);
    is_int((long long)stats.dropped_shutdown, 1, "P5 but counted");
    memset(&stranger, 0, sizeof stranger);
    stranger.index = 3;
    stranger.serial = 99;
    is_int(hotel_provider_flush(stranger, 10), HOTEL_ERR_ARGUMENT, "SP-06 a handle of nobody");
    is_int(hotel_provider_shutdown(stranger, 10), HOTEL_ERR_ARGUMENT, "SP-06 the same");
    stranger.index = 77;
    is_int(hotel_provider_flush(stranger, 10), HOTEL_ERR_ARGUMENT, "SP-06 and out of range");
    span = start_by(tracer_of(stranger, "new"), "new");
    ok(!hotel_is_recording(&span), "SP-06 its tracers do nothing");
    is_int(hotel_shutdown(5000), HOTEL_OK, "TR-07 shutdown of all");
    is_int(two->shutdowns, 1, "TR-07 does not repeat");
    is_int(one->shutdowns, 1, "TR-07 and reaches the rest");
    (void)hotel_release();
}

static void test_provider_many(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    hotel_provider providers[4];
    int i, round;
    is_int(hotel_provider_start(&config, &providers[0]), HOTEL_ERR_NOT_RUNNING,
           "TR-01 not before hotel_init");
    is_int(hotel_provider_start(&config, NULL), HOTEL_ERR_ARGUMENT, "SP-06 nowhere to put it");
    for (round = 0; round < 3; round++) {
        sink_open(&config);
        for (i = 0; i < 3; i++)
            is_int(hotel_provider_start(&config, &providers[i]), HOTEL_OK, "TR-01 provider %d", i);
        is_int(hotel_provider_start(&config, &providers[3]), HOTEL_ERR_ARGUMENT,
               "TR-01 a fifth is refused");
        is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "TR-01 and reported");
        for (i = 0; i < 3; i++) {
            hotel_span span = start_by(tracer_of(providers[i], "same"), "x");
            hotel_end(&span);
        }
        is_int(hotel_flush(5000), HOTEL_OK, "TR-08 round %d", round);
        is_int((long long)num_kept(k), 3 * (round + 1), "TR-01 one from each");
        (void)hotel_shutdown(5000);
        k->memory.stopped = 0; /* the exporter is used again */
    }
    (void)hotel_release();
}

static void *flush_second(void *argument) {
    hotel_provider *provider = (hotel_provider *)argument;
    hotel_result *result = (hotel_result *)calloc(1, sizeof *result);
    if (result == NULL) abort();
    *result = hotel_provider_flush(*provider, 3000);
    return result;
}

/* A provider whose destination is dead does not hold up the flush of another. */
static void test_flush_beside_dead(void) {
    kept *two = keeper(1);
    hotel_destination dead = destination("http://127.0.0.1:1");
    hotel_config first = config_to(&dead, 1), second = config_to(&two->to, 1);
    hotel_provider provider, main_one = {0, 0};
    pthread_t thread;
    void *answer;
    hotel_span span;
    first.no_threads = false;
    dead.schedule_delay_ms = 600000;
    sink_open(&first);
    (void)hotel_provider_start(&second, &provider);
    (void)leaf("to the dead", NULL);
    span = start_by(tracer_of(provider, "x"), "to the living");
    hotel_end(&span);
    is_int(hotel_provider_flush(main_one, 50), HOTEL_ERR_TIMEOUT, "BSP-15 the dead one times out");
    if (pthread_create(&thread, NULL, flush_second, &provider) != 0) abort();
    (void)pthread_join(thread, &answer);
    is_int(*(hotel_result *)answer, HOTEL_OK, "EX-15 TR-08 the living one is flushed meanwhile");
    free(answer);
    is_int((long long)num_kept(two), 1, "EX-15 and has its span");
    (void)hotel_shutdown(100);
    (void)hotel_release();
}

static void test_provider_memory(void) {
    static unsigned char memory[256 * 1024], more[64 * 1024], tiny[64];
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_provider provider;
    hotel_span span;
    first.memory = memory;
    first.memory_bytes = sizeof memory;
    second.memory = more;
    second.memory_bytes = sizeof more;
    second.destinations = &two->to;
    two->to.max_request_bytes = 4096;
    two->to.max_queue_size = 32;
    sink_open(&first);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "TR-01 in memory that is given");
    span = start_by(tracer_of(provider, "x"), "x");
    hotel_end(&span);
    is_int(hotel_flush(5000), HOTEL_OK, "TR-01 it exports");
    is_int((long long)num_kept(two), 1, "TR-01 what it has");
    second.memory = tiny;
    second.memory_bytes = sizeof tiny;
    is_int(hotel_provider_start(&second, &provider), HOTEL_ERR_MEMORY, "TR-01 too little of it");
    sink_close("providers in given memory");
}

/* What providers had of the 64 tracers is there again for those of the next set-up. */
static void test_providers_again(void) {
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_tracer old = {0, 0};
    hotel_span span, left;
    int round, kept_spans = 0;
    memset(&left, 0, sizeof left);
    for (round = 0; round < 100; round++) {
        hotel_provider provider;
        (void)hotel_init(&first);
        two = keeper(1);
        (void)hotel_provider_start(&second, &provider);
        if (round == 1) {
            span = start_by(old, "of the one that is gone");
            ok(!hotel_is_recording(&span), "TR-02 the tracer of a provider that is gone is none");
            hotel_end(&left);
            is_int(hotel_flush(5000), HOTEL_OK, "TR-08 flush");
            is_int((long long)num_kept(two), 0, "TR-01 nor is its span the next one's");
        }
        span = start_by(tracer_of(provider, "lib"), "x");
        hotel_end(&span);
        if (round == 0) {
            old = tracer_of(provider, "lib");
            left = start_by(old, "left open");
        }
        (void)hotel_shutdown(5000);
        kept_spans += (int)num_kept(two);
    }
    is_int(kept_spans, 100, "TR-02 a hundred providers after one another");
    is_int((long long)num_kept(one), 0, "TR-02 none of whose spans goes elsewhere");
    (void)hotel_release();
}

/* ---- Processors ----------------------------------------------------------------------------- */

typedef struct hooked {
    const char *name;
    int starts, endings, ends, flushes, shutdowns;
    bool start_recording, ending_recording, nested;
    hotel_context parent;
    char last[64], attribute[64], payload[8192], resource[64], scope[64];
    uint64_t start_ns, end_ns;
    uint32_t num_attributes, num_events;
    hotel_kind kind;
    char order[64];
    uint32_t timeout;
    hotel_result answer, waited;
} hooked;

static char all_order[256];

static void log_order(const char *what, const char *who) {
    size_t used = strlen(all_order);
    (void)snprintf(all_order + used, sizeof all_order - used, "%s%s ", who, what);
}

static void hook_start(const hotel_span *span, const hotel_context *parent, void *user_data) {
    hooked *h = (hooked *)user_data;
    hotel_span nested = hotel_start("nested");
    h->starts++;
    h->nested = h->nested || hotel_is_recording(&nested);
    h->start_recording = hotel_is_recording(span);
    h->parent = *parent;
    hotel_set_str(span, "at.start", h->name);
    log_order("+", h->name);
}

static void hook_ending(const hotel_span *span, void *user_data) {
    hooked *h = (hooked *)user_data;
    h->endings++;
    h->ending_recording = hotel_is_recording(span);
    hotel_set_str(span, "at.ending", h->name);
    hotel_end(span); /* ends once */
    log_order("~", h->name);
}

static void hook_end(const hotel_span_view *span, void *user_data) {
    hooked *h = (hooked *)user_data;
    hotel_value_view value;
    h->ends++;
    h->waited = hotel_flush(10);
    (void)snprintf(h->last, sizeof h->last, "%s", said(span->name));
    h->attribute[0] = 0;
    if (hotel_view_attr(span, "at.ending", &value))
        (void)snprintf(h->attribute, sizeof h->attribute, "%s", said(value.as.string));
    if (hotel_view_attr(span, "payload", &value) && value.as.string.size < sizeof h->payload) {
        memcpy(h->payload, value.as.string.text, value.as.string.size);
        h->payload[value.as.string.size] = 0;
    }
    if (hotel_find_attr(span->resource.attributes, "service.name", &value))
        (void)snprintf(h->resource, sizeof h->resource, "%s", said(value.as.string));
    (void)snprintf(h->scope, sizeof h->scope, "%s", said(span->scope.name));
    h->start_ns = span->start_time_ns;
    h->end_ns = span->end_time_ns;
    h->num_attributes = span->num_attributes;
    h->num_events = span->num_events;
    h->kind = span->kind;
    log_order("-", h->name);
}

static hotel_result hook_flush(uint32_t timeout_ms, void *user_data) {
    hooked *h = (hooked *)user_data;
    h->flushes++;
    h->timeout = timeout_ms;
    return h->answer;
}

static hotel_result hook_shutdown(uint32_t timeout_ms, void *user_data) {
    hooked *h = (hooked *)user_data;
    h->shutdowns++;
    h->timeout = timeout_ms;
    return h->answer;
}

static hotel_processor processor_of(hooked *h, const char *name) {
    hotel_processor processor;
    memset(h, 0, sizeof *h);
    h->name = name;
    processor.on_start_fn = hook_start;
    processor.on_ending_fn = hook_ending;
    processor.on_end_fn = hook_end;
    processor.flush_fn = hook_flush;
    processor.shutdown_fn = hook_shutdown;
    processor.user_data = h;
    return processor;
}

static uint64_t unix_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void test_hooks(void) {
    static hooked a, b;
    kept *k = keeper(0);
    hotel_processor list[2];
    hotel_config config = config_to(&k->to, 1);
    hotel_span span;
    hotel_context parent;
    hotel_start_options options;
    uint64_t before = unix_now();
    list[0] = processor_of(&a, "a");
    list[1] = processor_of(&b, "b");
    config.processors = list;
    config.num_processors = 2;
    config.service_name = "hooked";
    all_order[0] = 0;
    sink_open(&config);
    parent = hotel_extract(PARENT_SAMPLED, NULL);
    memset(&options, 0, sizeof options);
    options.parent = &parent;
    options.kind = HOTEL_SERVER;
    span = hotel_start_with("seen", &options);
    is_int(a.starts, 1, "BSP-09 on_start runs");
    ok(a.start_recording, "BSP-09 on a span that records");
    ok(!a.nested, "BSP-09 what it starts is not recorded");
    is_mem(a.parent.span.context.span_id, 8, parent.span.context.span_id, 8,
           "TR-24 with the parent that was resolved");
    hotel_add_event(&span, "event");
    hotel_end(&span);
    is_str(all_order, "a+ b+ a~ b~ a- b- ", "TR-36 BSP-09 in the order of the list");
    is_int(a.endings, 1, "TR-36 on_ending runs once, though it ends the span itself");
    ok(a.ending_recording, "TR-36 on a span that can be written to");
    is_int(a.ends, 1, "BSP-09 on_end runs");
    is_str(a.last, "seen", "TR-61 it sees the name");
    is_str(a.attribute, "b", "TR-36 what on_ending set is there");
    is_str(a.resource, "hooked", "TR-61 it sees the resource");
    is_int(a.num_attributes, 2, "TR-61 it sees the attributes");
    is_int(a.num_events, 1, "TR-61 it sees the events");
    is_int(a.kind, HOTEL_SERVER, "TR-61 it sees the kind");
    ok(a.start_ns >= before - 1000000 && a.end_ns >= a.start_ns && a.end_ns <= unix_now() + 1000000,
       "TR-61 it sees the times");
    is_int(a.waited, HOTEL_ERR_CALLBACK, "BSP-09 nothing waits inside");
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 flush");
    is_int(a.flushes, 1, "TR-08 reaches the processors");
    ok(a.timeout <= 5000, "BSP-15 with what is left of the time");
    is_str(said(kept_span(k, 0).name), "seen", "BSP-09 the span is exported too");
    {
        hotel_span_view view = kept_span(k, 0);
        ok(view.start_time_ns + 1000000 > a.start_ns && a.start_ns + 1000000 > view.start_time_ns,
           "TR-61 hooks and exporters see the same times, to a millisecond");
    }
    a.answer = HOTEL_ERR_FAILED;
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "TR-08 a processor's failure is told");
    is_int(b.flushes, 2, "TR-08 the others are flushed all the same");
    a.answer = HOTEL_OK;
    hotel_context_release(&parent);
    is_int(hotel_shutdown(5000), HOTEL_OK, "TR-07 shutdown");
    is_int(a.shutdowns + b.shutdowns, 2, "TR-07 reaches the processors");
    (void)hotel_shutdown(5000);
    is_int(a.shutdowns, 1, "TR-07 once");
    sink_close("hooks");
}

static void test_hook_end_time(void) {
    static hooked a;
    kept *k = keeper(0);
    hotel_processor list[1];
    hotel_config config = config_to(&k->to, 1);
    hotel_span span;
    list[0] = processor_of(&a, "a");
    config.processors = list;
    config.num_processors = 1;
    sink_open(&config);
    span = hotel_start("timed");
    hotel_end_at(&span, 1111111111111111111u);
    is_int((long long)a.end_ns, 1111111111111111111, "TR-28 TR-36 an end time that was given");
    sink_flush();
    is_int((long long)kept_span(k, 0).end_time_ns, 1111111111111111111, "TR-28 is exported");
    sink_close("an end time with hooks");
}

/* Spans larger than the stack's buffer, with inherited attributes and tracestate. */
static void test_large_in_hooks(void) {
    static hooked a;
    static char large[7000];
    kept *k = keeper(0);
    hotel_processor list[1];
    hotel_config config = config_to(&k->to, 1);
    hotel_step_run run;
    hotel_task task;
    hotel_span span;
    list[0] = processor_of(&a, "a");
    config.processors = list;
    config.num_processors = 1;
    memset(large, 'x', sizeof large - 1);
    sink_open(&config);
    memset(&run, 0, sizeof run);
    run.step_run_id = "0b0e5c0e-0000-4000-8000-000000000001";
    task = hotel_start_step_run(&run);
    span = hotel_start("large");
    hotel_set_str(&span, "payload", large);
    hotel_end(&span);
    ok(strcmp(a.payload, large) == 0, "TR-61 a large attribute is seen whole");
    ok(a.num_attributes > 4, "TR-61 with what the task gives");
    is_str(a.last, "large", "TR-61 of a large span");
    hotel_task_succeed(&task);
    is_str(a.scope, "hatchet_otel", "TR-61 the scope of the task's own span");
    sink_flush();
    is_int((long long)num_kept(k), 2, "TR-61 and exported");
    sink_close("large spans in hooks");
}

static void record_only(const hotel_sampling *input, hotel_sampling_result *result,
                        void *user_data) {
    (void)input;
    (void)user_data;
    result->decision = HOTEL_RECORD_ONLY;
}

static void test_record_only(void) {
    static hooked a;
    kept *k = keeper(0);
    hotel_processor list[1];
    hotel_config config = config_to(&k->to, 1);
    hotel_stats stats;
    list[0] = processor_of(&a, "a");
    config.processors = list;
    config.num_processors = 1;
    config.sampler.type = HOTEL_SAMPLER_CUSTOM;
    config.sampler.sample_fn = record_only;
    sink_open(&config);
    (void)leaf("recorded", NULL);
    is_int(a.ends, 1, "BSP-08 processors see what is only recorded");
    is_str(a.last, "recorded", "BSP-08 whole");
    sink_flush();
    is_int((long long)num_kept(k), 0, "BSP-08 exporters do not");
    hotel_get_stats(&stats);
    is_int((long long)stats.record_only, 1, "P5 it is in the books");
    is_int((long long)stats.chunks_free + 2, (long long)stats.chunks_total,
           "P2 its memory is free again (two scopes stay)");
    sink_close("record only");
}

static void *end_it(void *argument) {
    hotel_end((const hotel_span *)argument);
    return NULL;
}

static void test_end_once(void) {
    static hooked a;
    kept *k = keeper(0);
    hotel_processor list[1];
    hotel_config config = config_to(&k->to, 1);
    int round;
    size_t i;
    list[0] = processor_of(&a, "a");
    list[0].on_end_fn = NULL;
    list[0].on_start_fn = NULL;
    config.processors = list;
    config.num_processors = 1;
    sink_open(&config);
    for (round = 0; round < 50; round++) {
        pthread_t threads[4];
        hotel_span span = hotel_start("once");
        for (i = 0; i < COUNT(threads); i++)
            if (pthread_create(&threads[i], NULL, end_it, &span) != 0) abort();
        for (i = 0; i < COUNT(threads); i++) (void)pthread_join(threads[i], NULL);
    }
    is_int(a.endings, 50, "TR-36 TR-32 on_ending runs once for each span, whoever ends it");
    sink_flush();
    is_int((long long)num_kept(k), 50, "TR-32 and each is exported once");
    sink_close("ends from many threads");
}

static void test_too_many(void) {
    static hooked h[5];
    kept *k = keeper(0);
    hotel_processor list[5];
    hotel_config config = config_to(&k->to, 1);
    size_t i;
    for (i = 0; i < COUNT(h); i++) list[i] = processor_of(&h[i], "p");
    config.processors = list;
    config.num_processors = 5;
    log_clear();
    is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "SP-06 too many processors");
    is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "SP-06 are reported");
    open_books();
    (void)leaf("x", NULL);
    is_int(h[3].starts, 1, "SP-06 those that fit are used");
    is_int(h[4].starts, 0, "SP-06 the fifth is not");
    sink_close("too many processors");
}

/* ---- The last calls ------------------------------------------------------------------------- */

/* Whoever shut something down may free what it was called with: nothing calls it any more. */
static void test_exporter_last_call(void) {
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    hotel_provider provider;
    hotel_span span;
    sink_open(&first);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "BSP-18 a further provider");
    is_int(hotel_provider_shutdown(provider, 5000), HOTEL_OK, "BSP-18 is shut down");
    is_int(two->shutdowns, 1, "BSP-18 and its exporter");
    is_int(two->flushes, 1, "BSP-18 which was flushed before");
    is_int(hotel_shutdown(5000), HOTEL_OK, "BSP-18 then the others");
    is_int(two->flushes, 1, "EX-02 BSP-20 the exporter's shutdown was its last call");
    sink_close("the last call of an exporter");

    one = keeper(0);
    two = keeper(1);
    sink_open(&first);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "BSP-18 a further provider");
    span = start_by(tracer_of(provider, "x"), "x");
    hotel_end(&span);
    (void)hotel_provider_shutdown(provider, 0);
    is_int(two->shutdowns, 1, "BSP-18 shut down without any time");
    is_int(two->flushes, 0, "EX-02 BSP-20 no flush behind its shutdown");
    sink_close("a shutdown without time");
}

static void test_processor_last_call(void) {
    static hooked a, b;
    kept *one = keeper(0), *two = keeper(1);
    hotel_config first = config_to(&one->to, 1), second = config_to(&two->to, 1);
    static unsigned char tiny[64];
    hotel_processor list[1], other[1];
    hotel_provider provider;
    hotel_span early, late;
    list[0] = processor_of(&a, "a");
    second.processors = list;
    second.num_processors = 1;
    other[0] = processor_of(&b, "b");
    first.processors = other;
    first.num_processors = 1;
    sink_open(&first);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "TR-07 a further provider");
    early = start_by(tracer_of(provider, "x"), "open at its shutdown");
    is_int(hotel_provider_shutdown(provider, 5000), HOTEL_OK, "TR-07 is shut down");
    is_int(a.shutdowns, 1, "TR-07 and its processor");
    a.flushes = 0;
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 a flush of all");
    is_int(a.flushes, 0, "TR-07 which is not flushed any more");
    hotel_end(&early);
    is_int(a.endings + a.ends, 0, "TR-07 BSP-09 nor sees spans that end");
    second.memory = tiny;
    second.memory_bytes = sizeof tiny;
    list[0] = processor_of(&a, "a");
    is_int(hotel_provider_start(&second, &provider), HOTEL_ERR_MEMORY, "TR-01 one that fails");
    is_int(hotel_flush(5000), HOTEL_OK, "TR-08 a flush of all");
    is_int(a.flushes, 0, "TR-08 has nothing to flush");
    late = hotel_start("open at the shutdown of all");
    is_int(hotel_shutdown(5000), HOTEL_OK, "TR-07 then all are shut down");
    is_int(a.shutdowns, 0, "TR-07 but what never started");
    hotel_end(&late);
    is_int(b.endings + b.ends, 0, "TR-07 BSP-09 the first one's neither");
    sink_close("the last call of a processor");
}

static hotel_span left_open;

static hotel_result end_left_open(hotel_resource *out, void *user_data) {
    (void)out;
    (void)user_data;
    hotel_end(&left_open);
    return HOTEL_OK;
}

/* A span that is older than the set-up ends in the middle of it, when its provider has no resource
   to show. */
static void test_end_in_setup(void) {
    static hooked a;
    kept *k = keeper(0);
    hotel_detector detector;
    hotel_processor list[1];
    hotel_config config = config_to(&k->to, 1);
    memset((void *)&detector, 0, sizeof detector);
    detector.detect_fn = end_left_open;
    detector.name = "ends a span";
    list[0] = processor_of(&a, "a");
    config.processors = list;
    config.num_processors = 1;
    is_int(hotel_init(&config), HOTEL_OK, "BSP-09 init");
    left_open = hotel_start("older");
    is_int(hotel_shutdown(5000), HOTEL_OK, "BSP-09 shutdown");
    a.ends = 0;
    config.detectors = &detector;
    config.num_detectors = 1;
    is_int(hotel_init(&config), HOTEL_OK, "BSP-09 again");
    is_int(a.ends, 0, "BSP-09 a span that ends inside hotel_init is not shown");
    (void)hotel_shutdown(5000);
    (void)hotel_release();
}

/* Flushes that are under way while everything is shut down and set up again. */
static bool flushing_over;

static void *flush_on_and_on(void *user_data) {
    (void)user_data;
    while (!__atomic_load_n(&flushing_over, __ATOMIC_SEQ_CST)) {
        hotel_result result = hotel_flush(50);
        (void)result;
    }
    return NULL;
}

static void test_flush_beside_setup(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    pthread_t threads[3];
    int round, started = 0;
    size_t i;
    flushing_over = false;
    for (i = 0; i < COUNT(threads); i++)
        if (pthread_create(&threads[i], NULL, flush_on_and_on, NULL) != 0) abort();
    for (round = 0; round < 400; round++) {
        if (hotel_init(&config) == HOTEL_OK) started++;
        (void)leaf("x", NULL);
        (void)hotel_shutdown(1000);
    }
    __atomic_store_n(&flushing_over, true, __ATOMIC_SEQ_CST);
    for (i = 0; i < COUNT(threads); i++) (void)pthread_join(threads[i], NULL);
    is_int(started, 400, "TR-08 flushes do no harm to set-ups");
    is_int((long long)num_kept(k), 400, "TR-08 and each span is exported");
    (void)hotel_release();
}

/* ---- Shutdown beside others that wait ------------------------------------------------------- */

static long long ms_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *poll_long(void *user_data) {
    (void)user_data;
    (void)hotel_poll(8000);
    return NULL;
}

static void *shut_long(void *user_data) {
    (void)hotel_provider_shutdown(*(hotel_provider *)user_data, 8000);
    return NULL;
}

static void test_shutdown_beside(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1), second;
    hotel_destination dead;
    hotel_provider provider;
    pthread_t thread;
    hotel_span span;
    long long began;
    (void)hotel_init(&config);
    if (pthread_create(&thread, NULL, poll_long, NULL) != 0) abort();
    (void)usleep(50000);
    (void)leaf("x", NULL);
    is_int(hotel_flush(2000), HOTEL_OK, "TR-08 a flush beside a thread in hotel_poll");
    began = ms_now();
    is_int(hotel_shutdown(2000), HOTEL_OK, "BSP-19 a shutdown beside it");
    ok(ms_now() - began < 3000, "BSP-19 keeps its time (%lld ms)", ms_now() - began);
    (void)pthread_join(thread, NULL);
    config.no_threads = false;
    (void)hotel_init(&config);
    memset((void *)&dead, 0, sizeof dead);
    dead.endpoint = "http://127.0.0.1:1";
    second = config_to(&dead, 1);
    is_int(hotel_provider_start(&second, &provider), HOTEL_OK, "BSP-19 one with a dead server");
    span = start_by(tracer_of(provider, "x"), "x");
    hotel_end(&span);
    if (pthread_create(&thread, NULL, shut_long, &provider) != 0) abort();
    (void)usleep(100000);
    began = ms_now();
    (void)hotel_shutdown(200);
    ok(ms_now() - began < 3000, "BSP-19 a shutdown of all beside that of one (%lld ms)",
       ms_now() - began);
    (void)pthread_join(thread, NULL);
    (void)hotel_release();
}

static void test_no_provider(void) {
    static unsigned char tiny[64];
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1), second = config_to(&k->to, 1);
    hotel_provider provider;
    hotel_span span;
    second.memory = tiny;
    second.memory_bytes = sizeof tiny;
    (void)hotel_init(&config);
    is_int(hotel_provider_start(&second, &provider), HOTEL_ERR_MEMORY, "TR-01 none was started");
    span = start_by(tracer_of(provider, "x"), "x");
    ok(!hotel_is_recording(&span), "TR-01 its tracers record nothing");
    is_int(hotel_provider_shutdown(provider, 1000), HOTEL_ERR_ARGUMENT,
           "TR-07 its shutdown stops nobody else");
    (void)leaf("x", NULL);
    is_int(hotel_shutdown(1000), HOTEL_OK, "TR-07 the first one runs on");
    is_int((long long)num_kept(k), 1, "TR-07 and exports");
    (void)hotel_release();
}

/* ---- By the environment --------------------------------------------------------------------- */

/* Standard output to a file for a while. */
static int redirect(int *saved) {
    char name[] = "/tmp/hotel-console-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) abort();
    (void)unlink(name);
    (void)fflush(stdout);
    *saved = dup(1);
    if (*saved < 0 || dup2(fd, 1) < 0) abort();
    return fd;
}

static void redirect_back(int saved) {
    if (dup2(saved, 1) < 0) abort();
    (void)close(saved);
}

static void test_console_by_environment(void) {
    static char printed[16384];
    hotel_config config = test_config(NULL, 0);
    int saved, fd;
    ssize_t n;
    config.ignore_environment = false;
    config.no_threads = true;
    (void)setenv("OTEL_TRACES_EXPORTER", "console", 1);
    sink_open(&config);
    fd = redirect(&saved);
    (void)leaf("on the console", NULL);
    redirect_back(saved);
    n = pread(fd, printed, sizeof printed - 1, 0);
    ok(n > 0 && strstr(printed, "on the console") != NULL,
       "EV-08 EX-03 OTEL_TRACES_EXPORTER=console prints spans as they end");
    (void)close(fd);
    sink_close("console by the environment");
    (void)setenv("OTEL_TRACES_EXPORTER", "none", 1);
    sink_open(&config);
    {
        hotel_stats stats;
        hotel_tracer tracer = {0, 0};
        hotel_get_stats(&stats);
        is_int((long long)stats.num_destinations, 0, "EV-08 none: no destination");
        ok(!hotel_is_enabled(tracer), "SP-03 and tracers are not enabled");
    }
    sink_close("none by the environment");
    (void)setenv("OTEL_TRACES_EXPORTER", " otlp , console", 1);
    sink_open(&config);
    {
        hotel_stats stats;
        hotel_get_stats(&stats);
        is_int((long long)stats.num_destinations, 2, "EV-08 a list of two");
    }
    sink_close("a list by the environment");
    (void)setenv("OTEL_TRACES_EXPORTER", "zipkin", 1);
    sink_open(&config);
    is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), 1, "EV-08 EP-07 an unknown one is reported");
    ok(log_has("zipkin"), "EP-07 with its text");
    {
        hotel_stats stats;
        hotel_get_stats(&stats);
        is_int((long long)stats.num_destinations, 1, "EP-07 and the default is used");
    }
    sink_close("an unknown exporter");
    (void)unsetenv("OTEL_TRACES_EXPORTER");
    config.no_destinations = true;
    sink_open(&config);
    {
        hotel_stats stats;
        hotel_get_stats(&stats);
        is_int((long long)stats.num_destinations, 0, "EP-09 the same in code");
    }
    sink_close("no destinations in code");
}

typedef struct disabled_row {
    const char *value;
    bool disabled, reported;
} disabled_row;

static void test_disabled(void) {
    static const disabled_row rows[] = {
        {"true", true, false},  {"TRUE", true, false}, {"false", false, false},
        {"", false, false},     {"1", false, true},    {"yes", false, true},
        {"on", false, true},    {" true ", true, false},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        hotel_context context;
        hotel_span span;
        char state[32];
        config.ignore_environment = false;
        (void)setenv("OTEL_SDK_DISABLED", rows[i].value, 1);
        sink_open(&config);
        context = hotel_extract(PARENT_SAMPLED, "k=v");
        span = hotel_start_in(&context, "x", HOTEL_INTERNAL);
        is_int(hotel_is_recording(&span), !rows[i].disabled, "EV-01 EP-02 disabled=%s",
               rows[i].value);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), rows[i].reported, "EP-02 %s is reported",
               rows[i].value);
        if (rows[i].disabled) {
            is_mem(span.context.span_id, 8, context.span.context.span_id, 8,
                   "SP-01 the parent's context is passed on");
            is_int((long long)hotel_tracestate(&span, state, sizeof state), 3,
                   "EV-01 propagation goes on");
            is_int(hotel_flush(1000), HOTEL_OK, "EV-01 flush has nothing to do");
        }
        hotel_end(&span);
        hotel_context_release(&context);
        sink_close("disabled");
    }
    (void)unsetenv("OTEL_SDK_DISABLED");
}

typedef struct level_row {
    const char *value;
    unsigned messages; /* of the STARTED kind */
    bool reported;
} level_row;

static void test_log_level(void) {
    static const level_row rows[] = {
        {"info", 1, false}, {"debug", 1, false}, {"warn", 0, false}, {"error", 0, false},
        {"none", 0, false}, {"WARN", 0, false},  {"loud", 1, true},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        config.ignore_environment = false;
        (void)setenv("OTEL_LOG_LEVEL", rows[i].value, 1);
        sink_open(&config);
        is_int(log_count(HOTEL_LOG_ID_STARTED), rows[i].messages, "EV-04 OTEL_LOG_LEVEL=%s",
               rows[i].value);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), rows[i].reported, "EP-07 %s is reported",
               rows[i].value);
        sink_close("log level");
    }
    (void)setenv("OTEL_LOG_LEVEL", "info", 1);
    {
        hotel_config config = sink_config();
        config.ignore_environment = false;
        config.log_level = HOTEL_LOG_ERROR;
        sink_open(&config);
        is_int(log_count(HOTEL_LOG_ID_STARTED), 0, "SP-95 EP-09 a level in code wins");
        sink_close("log level in code");
    }
    (void)unsetenv("OTEL_LOG_LEVEL");
}

/* ---- Descriptors ---------------------------------------------------------------------------- */

static void test_descriptors(void) {
    kept *k = keeper(0);
    hotel_config config = config_to(&k->to, 1);
    hotel_descriptor list[4];
    uint32_t wait = 77;
    is_int((long long)hotel_get_descriptors(list, 4, &wait), 0, "SP-06 none before hotel_init");
    is_int(wait, 0, "SP-06 and no time");
    k->to.schedule_delay_ms = 300;
    sink_open(&config);
    (void)hotel_poll(0);
    is_int((long long)hotel_get_descriptors(list, 4, &wait), 0, "an exporter has no descriptor");
    ok(wait > 0 && wait <= 300, "but a time: %u ms", wait);
    (void)leaf("x", NULL);
    (void)usleep(320000);
    (void)hotel_poll(0);
    (void)usleep(320000);
    (void)hotel_poll(0);
    is_int((long long)num_kept(k), 1, "BSP-03 after that time it is exported");
    sink_close("descriptors");
}

int main(void) {
    test_batches();
    test_failing_exporter();
    test_no_export_fn();
    test_simple();
    test_simple_threads();
    test_simple_beside_batch();
    books_of_providers = true;
    test_independent();
    test_provider_samplers();
    test_provider_shutdown();
    test_provider_many();
    test_flush_beside_dead();
    test_provider_memory();
    books_of_providers = false;
    test_providers_again();
    test_hooks();
    test_hook_end_time();
    test_large_in_hooks();
    test_record_only();
    test_end_once();
    test_too_many();
    books_of_providers = true;
    test_exporter_last_call();
    test_processor_last_call();
    books_of_providers = false;
    test_end_in_setup();
    test_flush_beside_setup();
    test_shutdown_beside();
    test_no_provider();
    test_console_by_environment();
    test_disabled();
    test_log_level();
    test_descriptors();
    return done_testing();
}
