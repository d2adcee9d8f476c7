/*
 * SPDX-License-Identifier: MIT
 *
 * test_inherited.c - attributes that spans inherit from their task: stored once in a block of the
 * arena, spliced into each child by the exporter, always those of the right task.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static hoteli_run_ids no_ids;

static hotel_span start_from(const hotel_tracer_config *tracer, const char *name) {
    hotel_start_options options;
    memset((void *)&options, 0, sizeof options);
    options.tracer = hotel_get_tracer(tracer);
    return hotel_start_with(name, &options);
}

/* A task with a payload of `size` times that letter, and a child of it. */
static void run_task(char letter, size_t size, const char *child, const char *own_key) {
    static char payload[4096];
    hotel_step_run run;
    hotel_task task;
    hotel_span span;
    memset(payload, letter, size);
    payload[size] = '\0';
    memset(&run, 0, sizeof run);
    run.step_name = child;
    run.payload = payload;
    task = hotel_start_step_run(&run);
    span = hotel_start(child);
    if (own_key != NULL) hotel_set_str(&span, own_key, "own");
    hotel_end(&span);
    hotel_task_succeed(&task);
}

static void check_child(char letter, size_t size, const char *child) {
    otlp_bytes span = span_of(child);
    const char *payload = string_of(span, "hatchet.payload");
    size_t i = 0;
    is_str(string_of(span, "hatchet.step_name"), child, "%s inherits the step's name", child);
    while (payload != NULL && payload[i] == letter) i++;
    ok(payload != NULL && i == size && payload[i] == '\0', "%s inherits the payload of %d bytes",
       child, (int)size);
}

/* Blocks over several chunks are read through a buffer that keeps the last one: one task's
   attributes never show in another's children, though its block may have the place of the former. */
static void test_buffer(void) {
    hotel_config config = sink_config();
    hotel_block last = {0, 0};
    hotel_span others[100];
    int i, num_reused = 0, num_others = 0;
    config.arena_bytes = 32768;
    sink_open(&config);
    /* All but a few chunks are taken, so that places are used again and again. */
    do {
        others[num_others] = hotel_start("other");
    } while (others[num_others++].record != 0 && num_others < 100);
    for (i = 0; i < 10; i++) hotel_end(&others[i]);
    sink_flush();
    for (i = 0; i < 30; i++) {
        char letter = (char)('a' + i % 26);
        size_t size = (size_t)(500 + 300 * (i % 4));
        hotel_block now;
        run_task(letter, size, "child", NULL);
        sink_flush();
        check_child(letter, size, "child");
        now = hoteli_g.scratch.block[1];
        if (i % 3 == 0) (void)leaf("other", NULL); /* so that they change places */
        num_reused += now.index == last.index && now.generation != last.generation;
        last = now;
    }
    for (i = 10; i < num_others; i++) hotel_end(&others[i]);
    ok(num_reused > 0, "%d times a block had the place of the one before", num_reused);
    sink_close("tasks one after the other");
}

/* A key that cannot be told from that one by its hash. */
static const char *same_hash_as(const char *key) {
    static char other[64];
    size_t size = strlen(key);
    unsigned want = hoteli_key_hash((const uint8_t *)key, size), i;
    for (i = 0; i < 10000000; i++) {
        (void)snprintf(other, sizeof other, "%0*u", (int)size, i);
        if (hoteli_key_hash((const uint8_t *)other, size) == want) return other;
    }
    return NULL;
}

/* What a span set itself wins over what it inherits; a key with the same hash is another key. */
static void test_own_keys(void) {
    const char *twin = same_hash_as("hatchet.step_name");
    otlp_bytes span;
    if (!ok(twin != NULL, "there is another key with the hash of hatchet.step_name")) return;
    sink_open(NULL);
    run_task('x', 100, "own", "hatchet.step_name");
    run_task('x', 100, "twin", twin);
    run_task('x', 600, "large twin", twin);
    sink_flush();
    span = span_of("own");
    is_str(string_of(span, "hatchet.step_name"), "own", "the child's own attribute wins");
    is_str(string_of(span, "instrumentor"), "hatchet", "and the others are inherited");
    is_int(num_attributes(span), 4, "each key comes once");
    span = span_of("twin");
    is_str(string_of(span, twin), "own", "an attribute with the hash of an inherited one is there");
    check_child('x', 100, "twin");
    span = span_of("large twin");
    is_str(string_of(span, twin), "own", "and beside a block of several chunks");
    check_child('x', 600, "large twin");
    sink_close("own keys");
}

/* References to what is no longer there, or never was a block, read as nothing. */
static void test_references(void) {
    hotel_attr attributes[HOTELI_BLOCK_KEYS + 1];
    hotel_block block, stale;
    hotel_span span;
    size_t i, size = 99;
    for (i = 0; i < COUNT(attributes); i++) attributes[i] = hotel_int("k", (int64_t)i);
    sink_open(NULL);
    block = hoteli_block_of_attrs(attributes, HOTELI_BLOCK_KEYS, &no_ids);
    ok(block.index != 0 && hoteli_flat_block(block, &hoteli_g.scratch, 1, &size) != NULL,
       "a block of as many attributes as there is room for");
    is_mem(hoteli_flat_block(block, &hoteli_g.scratch, 1, &size), size,
           "\x4a\x07\x0a\x01k\x12\x02\x18\x16", 9, "SP-33 in it the last value of the key");
    stale = block;
    stale.generation++;
    ok(hoteli_flat_block(stale, &hoteli_g.scratch, 1, &size) == NULL && size == 0,
       "a reference of another generation is stale");
    span = hotel_start("no block");
    stale.index = span.record;
    stale.generation = span.generation;
    size = 99;
    ok(hoteli_flat_block(stale, &hoteli_g.scratch, 1, &size) == NULL && size == 0,
       "a span is no block");
    hotel_end(&span);
    (void)hoteli_block_drop(block);
    block = hoteli_block_of_attrs(attributes, COUNT(attributes), &no_ids);
    is_int(block.index, 0, "one attribute more than there is room for: no block");
    block = hoteli_block_of_attrs(NULL, 0, &no_ids);
    is_int(block.index, 0, "no attribute: no block");
    sink_close("references");
}

/* What does not fit where it should lie in one piece is left out, not cut. */
static void test_room(void) {
    uint8_t bytes[8] = {0}, room[8];
    hoteli_scratch scratch;
    memset((void *)&scratch, 0, sizeof scratch);
    scratch.bytes[0] = room;
    scratch.room = 8;
    ok(hoteli_flat(hoteli_cursor_flat(bytes, 8), 8, &scratch) == bytes,
       "a payload in one chunk is read there");
    ok(hoteli_flat(hoteli_cursor_flat(bytes, 8), 9, &scratch) == NULL,
       "one that is longer than the buffer is not read at all");
}

/* A task that finds no room for what its spans share works without. */
static void test_no_room(void) {
    hotel_config config = sink_config();
    hotel_span others[100];
    hotel_stats before, after;
    int i, num_others = 0;
    config.arena_bytes = 32768;
    sink_open(&config);
    do {
        others[num_others] = hotel_start("other");
    } while (others[num_others++].record != 0 && num_others < 100);
    before = read_books().process;
    run_task('x', 10, "child", NULL);
    after = read_books().process;
    is_int(after.limited - before.limited, 1, "what a task's spans cannot share is counted");
    for (i = 0; i < num_others; i++) {
        hotel_end(&others[i]);
        if (i % 16 == 0) sink_flush();
    }
    sink_flush();
    ok(span_of("child").at == NULL, "nor did the child find room");
    is_int(log_count(HOTEL_LOG_ID_SPAN_TOO_LARGE), 1, "and said");
    run_task('x', 10, "later", NULL);
    sink_flush();
    check_child('x', 10, "later");
    sink_close("no room");
}

/* ---- What processors see of it -------------------------------------------------------------- */

typedef struct seen {
    char name[16];
    size_t inherited, own;
    hotel_span other; /* ended by the hook */
    unsigned calls;
} seen;

static void see(const hotel_span_view *span, void *user_data) {
    seen *s = (seen *)user_data;
    hotel_value_view value;
    s->calls++;
    (void)snprintf(s->name, sizeof s->name, "%.*s", (int)span->name.size, span->name.text);
    s->inherited = hotel_view_attr(span, "hatchet.step_name", &value) ? value.as.string.size : 0;
    s->own = hotel_view_attr(span, "own", &value) ? value.as.string.size : 0;
    hotel_end(&s->other);
}

static void set_large(hotel_span *span, size_t size) {
    static char text[8000];
    memset(text, 'o', sizeof text);
    hotel_set(span, hotel_strn("own", text, size));
}

/* Large values, inherited or the span's own, take another way than small ones. */
static void test_processors(void) {
    static const size_t sizes[][2] = {{10, 10}, {3000, 10}, {10, 3000}, {3000, 7000}};
    static seen s;
    hotel_config config = sink_config();
    hotel_processor list[2];
    size_t i;
    memset(&s, 0, sizeof s);
    memset((void *)list, 0, sizeof list);
    list[1].on_end_fn = see;
    list[1].user_data = &s;
    config.processors = list;
    config.num_processors = 2;
    sink_open(&config);
    for (i = 0; i < COUNT(sizes); i++) {
        static char name[4096];
        hotel_step_run run;
        hotel_task task;
        hotel_span span;
        memset(name, 'n', sizes[i][0]);
        name[sizes[i][0]] = '\0';
        memset(&run, 0, sizeof run);
        run.step_name = name;
        task = hotel_start_step_run(&run);
        span = hotel_start("child");
        set_large(&span, sizes[i][1]);
        hotel_end(&span);
        is_str(s.name, "child", "BSP-09 a processor sees the child");
        is_int(s.own, sizes[i][1], "BSP-09 its own attribute of %d bytes", (int)sizes[i][1]);
        is_int(s.inherited, sizes[i][0], "BSP-09 and %d bytes it inherited", (int)sizes[i][0]);
        hotel_task_succeed(&task);
    }
    sink_close("processors");
}

/* The space for large spans is one: where a hook ends a large span, that one is not shown. */
static void test_nested_large(void) {
    static seen s;
    hotel_config config = sink_config();
    hotel_processor list[1];
    hotel_span outer;
    memset(&s, 0, sizeof s);
    memset((void *)list, 0, sizeof list);
    list[0].on_end_fn = see;
    list[0].user_data = &s;
    config.processors = list;
    config.num_processors = 1;
    sink_open(&config);
    s.other = hotel_start("inner");
    set_large(&s.other, 4000);
    outer = hotel_start("outer");
    set_large(&outer, 5000);
    hotel_end(&outer);
    is_int(s.calls, 1, "BSP-09 the inner one is not shown");
    is_int(s.own, 5000, "BSP-09 and the outer one is as it was");
    is_int(read_books().process.limited - books_opened.process.limited, 1, "which is counted");
    sink_flush();
    ok(span_of("inner").at != NULL && span_of("outer").at != NULL, "both are exported");
    sink_close("hooks in hooks");
}

/* A span that is still open when its provider is gone: who has the place later does not see it. */
static void test_place_of_another(void) {
    static seen s;
    hotel_config config = sink_config();
    hotel_processor list[1];
    hotel_provider provider;
    hotel_tracer_config tracer;
    hotel_span span, own;
    uint32_t place;
    memset(&s, 0, sizeof s);
    memset((void *)list, 0, sizeof list);
    memset((void *)&tracer, 0, sizeof tracer);
    list[0].on_end_fn = see;
    list[0].user_data = &s;
    sink_open(&config);
    config.processors = list;
    config.num_processors = 1;
    is_int(hotel_provider_start(&config, &provider), HOTEL_OK, "TR-01 a provider");
    place = provider.index;
    tracer.name = "its";
    tracer.provider = provider;
    span = start_from(&tracer, "open");
    ok(hotel_is_recording(&span), "TR-01 a span of its own");
    (void)hotel_shutdown(5000);
    config.processors = NULL;
    config.num_processors = 0;
    is_int(hotel_init(&config), HOTEL_OK, "hotel_init again");
    open_books();
    config.processors = list;
    config.num_processors = 1;
    is_int(hotel_provider_start(&config, &provider), HOTEL_OK, "TR-01 another provider");
    is_int(provider.index, place, "TR-01 in the same place");
    hotel_end(&span);
    is_int(s.calls, 0, "BSP-09 its processor does not see the span of the former one");
    tracer.provider = provider;
    own = start_from(&tracer, "own");
    hotel_end(&own);
    is_int(s.calls, 1, "BSP-09 but its own");
    books_of_providers = true;
    sink_close("the place of another");
    books_of_providers = false;
}

/* ---- Requests of limited size --------------------------------------------------------------- */

/* A span that does not fit goes into the next request, where it may begin its scope. */
static void test_split(void) {
    hotel_config config = sink_config();
    hotel_tracer_config first, second;
    hotel_span span;
    size_t i;
    memset((void *)&first, 0, sizeof first);
    memset((void *)&second, 0, sizeof second);
    first.name = "first";
    second.name = "second";
    sink_destination.max_request_bytes = 4096;
    sink_open(&config);
    for (i = 0; i < 3; i++) {
        span = start_from(i < 2 ? &first : &second, "large");
        set_large(&span, 3000);
        hotel_end(&span);
    }
    sink_flush();
    is_int(sink_num_bodies, 3, "three spans of which no two fit into one request go in three");
    for (i = 0; i < 3 && i < sink_num_bodies; i++) {
        otlp_bytes resource_spans = part(sink_bodies[i], 1, 0);
        is_int(otlp_count(resource_spans, 2), 1, "each has one scope");
        is_str(text(part(part(resource_spans, 2, 0), 1, 0), 1), i < 2 ? "first" : "second",
               "its own");
        ok(sink_bodies[i].size <= 4096, "and is not too large");
    }
    sink_close("split");
}

int main(void) {
    test_buffer();
    test_own_keys();
    test_references();
    test_room();
    test_no_room();
    test_processors();
    test_nested_large();
    test_place_of_another();
    test_split();
    return done_testing();
}
