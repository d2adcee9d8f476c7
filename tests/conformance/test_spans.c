/*
 * SPDX-License-Identifier: MIT
 *
 * test_spans.c - what happens inside a span: writing beside its owner, replacing values of every
 * size, compaction, the bound on its size, an arena that runs out, handles of recycled records.
 * Enters spans as the implementation does, so that both sides of a race happen in one thread.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

enum { BIG = 2000 };

/* size bytes that tell where they come from. */
static const char *pattern(unsigned seed, size_t size) {
    static char buffers[4][8192];
    static unsigned turn;
    char *at = buffers[turn++ % 4];
    size_t i;
    if (size >= sizeof buffers[0]) abort();
    for (i = 0; i < size; i++) at[i] = (char)('a' + (seed * 7 + i * 3 + i / 26) % 26);
    at[size] = '\0';
    return at;
}

static bool holds(otlp_bytes span, const char *key, unsigned seed, size_t size) {
    otlp_bytes value = attribute(span, key), string = part(value, ANY_STRING, 0);
    return has(value, ANY_STRING) && string.size == size &&
           (size == 0 || memcmp(string.at, pattern(seed, size), size) == 0);
}

static uint32_t size_inside(const hotel_span *span) {
    return hoteli_record_at(span->record)->size;
}

static uint64_t chunks_free(void) {
    hotel_stats stats;
    hotel_get_stats(&stats);
    return stats.chunks_free;
}

/* ---- Beside the owner ----------------------------------------------------------------------- */

static void write_beside(const hotel_span *span) {
    hotel_attr attribute_of_event = hotel_strn("big", pattern(50, BIG), BIG);
    hotel_event event;
    hotel_link link;
    unsigned i;
    char key[16];
    memset(&event, 0, sizeof event);
    memset(&link, 0, sizeof link);
    for (i = 0; i < 6; i++) {
        (void)snprintf(key, sizeof key, "big%u", i % 5);
        hotel_set_strn(span, key, pattern(i, BIG), BIG);
    }
    hotel_set(span, hotel_int("small", 1), hotel_str("before", "beside"), hotel_int("small", 2));
    event.name = "beside 1";
    event.attributes = &attribute_of_event;
    event.num_attributes = 1;
    hotel_add_event_as(span, &event);
    hotel_add_event(span, "beside 2");
    link.context = span->context;
    link.attributes = &attribute_of_event;
    link.num_attributes = 1;
    hotel_add_link(span, &link);
    hotel_set_name(span, "overwritten");
    hotel_set_name_n(span, pattern(99, BIG), BIG);
    hotel_set_name(span, "beside");
    hotel_set_status(span, HOTEL_STATUS_ERROR, pattern(98, BIG));
    hotel_set_status(span, HOTEL_STATUS_OK, NULL);
    hotel_set_status(span, HOTEL_STATUS_ERROR, "too late");
}

static void check_beside(const char *how, otlp_bytes got) {
    ok(holds(got, "big0", 5, BIG), "TR-32 %s: the last value of a key wins", how);
    ok(holds(got, "big1", 1, BIG) && holds(got, "big2", 2, BIG) && holds(got, "big3", 3, BIG) &&
           holds(got, "big4", 4, BIG),
       "TR-32 %s: large values are whole", how);
    is_int(integer_of(got, "small"), 2, "TR-32 %s: the last of one call", how);
    is_str(string_of(got, "before"), "beside", "TR-37 %s: an older value is replaced", how);
    is_int(integer_of(got, "owner"), 7, "TR-32 %s: what the owner wrote is there", how);
    is_int(num_attributes(got), 8, "SP-33 %s: every key once", how);
    is_int(otlp_count(got, SPAN_EVENT), 3, "TR-50 %s: events are there", how);
    is_str(text(part(got, SPAN_EVENT, 0), EVENT_NAME), "early", "TR-50 %s: the first event", how);
    is_str(text(part(got, SPAN_EVENT, 1), EVENT_NAME), "beside 1", "TR-50 %s: the second", how);
    is_str(text(part(got, SPAN_EVENT, 2), EVENT_NAME), "beside 2", "TR-50 %s: the third", how);
    is_int(part(attribute_in(part(got, SPAN_EVENT, 1), EVENT_ATTRIBUTE, "big"), 1, 0).size, BIG,
           "TR-50 %s: a large event is whole", how);
    is_int(part(attribute_in(part(got, SPAN_LINK, 0), LINK_ATTRIBUTE, "big"), 1, 0).size, BIG,
           "TR-46 %s: so is a large link", how);
    is_int(number(part(got, SPAN_STATUS, 0), STATUS_CODE), 1, "SP-62 %s: Ok is final", how);
    ok(!has(part(got, SPAN_STATUS, 0), STATUS_MESSAGE), "SP-60 %s: and has no text", how);
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES) + number(got, SPAN_DROPPED_EVENTS) +
               number(got, SPAN_DROPPED_LINKS),
           0, "SP-85 %s: nothing was dropped", how);
}

static void test_beside(unsigned way) {
    static const char *const ways[] = {"the owner leaves, then the end",
                                       "another call, then the end", "the end beside the owner",
                                       "two beside each other"};
    hoteli_writer owner, idle;
    hotel_span span, copy;
    uint64_t free_before;
    bool entered;
    sink_open(NULL);
    free_before = chunks_free();
    span = hotel_start("before");
    copy = span;
    hotel_set_str(&span, "before", "the owner came");
    hotel_set_int(&span, "owner", 7);
    hotel_add_event(&span, "early");
    entered = hoteli_begin(&span, &owner);
    ok(entered && owner.owner, "%s: entered as its owner", ways[way]);
    if (way == 3) {
        ok(hoteli_begin(&copy, &idle) && !idle.owner, "%s: entered beside it", ways[way]);
    }
    write_beside(&copy);
    ok(hoteli_flag_load(&hoteli_record_at(span.record)->side) != 0, "%s: it went aside", ways[way]);
    if (way == 2) hotel_end(&copy);
    if (way == 2) hotel_set_int(&copy, "after the end", 1);
    if (way == 3) hoteli_leave(&idle);
    hoteli_leave(&owner);
    if (way == 1) {
        hotel_set_int(&span, "owner", 7);
        is_int(hoteli_flag_load(&hoteli_record_at(span.record)->side), 0,
               "%s: the next one took it over", ways[way]);
    }
    if (way != 2) hotel_end(&span);
    check_beside(ways[way], delivered("beside"));
    is_int(num_delivered(), 1, "TR-32 %s: one span", ways[way]);
    is_int(chunks_free(), free_before, "%s: all chunks were given back", ways[way]);
    sink_close(ways[way]);
}

static void test_beside_limits(void) {
    hotel_config config = sink_config();
    hoteli_writer owner;
    hotel_span span;
    otlp_bytes got;
    unsigned i;
    char key[16];
    config.limits.attribute_count = 3;
    config.limits.event_count = 2;
    config.limits.link_count = HOTEL_NONE;
    sink_open(&config);
    span = hotel_start("limits beside");
    hotel_set_int(&span, "0", 100);
    if (!hoteli_begin(&span, &owner)) abort();
    for (i = 0; i < 6; i++) {
        hotel_link link;
        memset(&link, 0, sizeof link);
        link.context = span.context;
        (void)snprintf(key, sizeof key, "%u", i);
        hotel_set_int(&span, key, (int64_t)i);
        hotel_add_event(&span, key);
        hotel_add_link(&span, &link);
    }
    hotel_set_name(&span, "");
    hoteli_leave(&owner);
    hotel_end(&span);
    sink_flush();
    got = part(part(part(sink_bodies[0], 1, 0), 2, 0), 2, 0);
    is_int(num_attributes(got), 3, "SP-34 beside the owner: the limit holds");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 3, "SP-34 beside the owner: counted");
    is_int(integer_of(got, "0"), 0, "SP-34 beside the owner: a key that is there changes");
    is_int(otlp_count(got, SPAN_EVENT), 2, "SP-51 beside the owner: events");
    is_int(number(got, SPAN_DROPPED_EVENTS), 4, "SP-51 beside the owner: counted");
    is_int(otlp_count(got, SPAN_LINK), 0, "SP-51 beside the owner: no link is kept");
    is_int(number(got, SPAN_DROPPED_LINKS), 6, "SP-51 beside the owner: all are counted");
    ok(part(got, SPAN_NAME, 0).size == 0, "TR-25 beside the owner: a rename to nothing");
    sink_close("limits beside the owner");
}

/* ---- Replacing ------------------------------------------------------------------------------ */

/* A value of first bytes becomes one of second bytes, between neighbours. */
static void replace_once(const char *name, size_t first, size_t second, bool is_name) {
    hotel_span span = hotel_start(is_name ? pattern(3, first) : name);
    hotel_set_strn(&span, "left", pattern(1, 50), 50);
    if (is_name) {
        hotel_set_str(&span, "which", name);
        hotel_set_name_n(&span, pattern(4, second), second);
    } else {
        hotel_set_strn(&span, "x", pattern(3, first), first);
    }
    hotel_set_strn(&span, "right", pattern(2, 60), 60);
    if (!is_name) hotel_set_strn(&span, "x", pattern(4, second), second);
    hotel_end(&span);
}

typedef struct tally {
    size_t second, base;
    bool is_name;
    unsigned seen, wrong;
} tally;

static void check_replaced(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                           void *user_data) {
    tally *t = (tally *)user_data;
    const char *name = t->is_name ? string_of(span, "which") : text(span, SPAN_NAME);
    int difference = name != NULL ? atoi(name) : 0;
    size_t want = (size_t)((int)t->base + difference);
    bool good = holds(span, "left", 1, 50) && holds(span, "right", 2, 60);
    (void)scope_spans;
    (void)resource_spans;
    if (t->is_name) {
        otlp_bytes got = part(span, SPAN_NAME, 0);
        good = good && got.size == want;
        good = good && (want == 0 || memcmp(got.at, pattern(4, want), want) == 0);
    } else {
        good = good && holds(span, "x", 4, want) && num_attributes(span) == 3;
    }
    t->seen++;
    t->wrong += !good;
}

static void test_replace(bool is_name) {
    static const size_t bases[] = {0, 1, 30, 60, 100, 128, 141, 200, 300, 700};
    size_t i, j;
    sink_open(NULL);
    for (i = 0; i < COUNT(bases); i++) {
        unsigned expected = 0;
        int difference;
        tally t;
        memset(&t, 0, sizeof t);
        t.base = bases[i];
        t.is_name = is_name;
        for (difference = -140; difference <= 140; difference++) {
            char name[16];
            if ((int)bases[i] + difference < 0) continue;
            (void)snprintf(name, sizeof name, "%d", difference);
            replace_once(name, bases[i], (size_t)((int)bases[i] + difference), is_name);
            expected++;
        }
        sink_flush();
        for (j = 0; j < sink_num_bodies; j++) {
            (void)otlp_each_span(sink_bodies[j], check_replaced, &t);
        }
        sink_clear();
        is_int(t.seen, expected, "%s of %u: all arrived", is_name ? "TR-25 names" : "TR-37 values",
               (unsigned)bases[i]);
        is_int(t.wrong, 0, "%s of %u replaced by every size within 140",
               is_name ? "TR-25 names" : "TR-37 values", (unsigned)bases[i]);
    }
    sink_close("replacing");
}

static void test_growing(void) {
    hotel_span span;
    otlp_bytes got;
    uint64_t before, used, most = 0;
    unsigned round;
    size_t size, live = 1500 + 6 * 300;
    sink_open(NULL);
    before = chunks_free();
    span = hotel_start("growing");
    for (round = 0; round < 6; round++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%u", round);
        hotel_set_strn(&span, key, pattern(round, 300), 300);
    }
    for (round = 0; round < 40; round++) {
        for (size = 1; size <= 1500; size += 13) {
            hotel_set_strn(&span, "grows", pattern(round, size), size);
            used = before - chunks_free();
            if (used > most) most = used;
        }
        hotel_set_strn(&span, "k0", pattern(round, 300), 300);
        hotel_add_event(&span, "round");
        hotel_set_strn(&span, "grows", "", 0);
    }
    hotel_set_strn(&span, "grows", pattern(1, 1500), 1500);
    hotel_end(&span);
    got = delivered("growing");
    ok(most * HOTELI_MORE_ROOM <= 3 * live + 2 * 1600 + 40 * 40 + 2 * HOTELI_MORE_ROOM,
       "TR-37 replaced over and over a span stays small: %u chunks for %u bytes", (unsigned)most,
       (unsigned)live);
    ok(holds(got, "grows", 1, 1500), "TR-37 the last value");
    for (round = 0; round < 6; round++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%u", round);
        ok(holds(got, key, round == 0 ? 39 : round, 300), "TR-37 %s is whole", key);
    }
    is_int(otlp_count(got, SPAN_EVENT), 40, "TR-48 events in between are all there");
    is_int(num_attributes(got), 7, "SP-33 every key once");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 0, "TR-37 nothing was dropped");
    is_int(chunks_free(), before, "all chunks were given back");
    sink_close("growing");
}

/* ---- Bounds --------------------------------------------------------------------------------- */

enum { BOUND = 3000 };

static hotel_config bounded(void) {
    hotel_config config = sink_config();
    config.limits.max_span_bytes = BOUND;
    return config;
}

/* A string attribute of key "k" whose entry takes so many bytes, 150 or more: three heads of a tag
   and two bytes of length, and the key. */
static void add_entry(const hotel_span *span, size_t bytes) {
    size_t size = bytes - 3 - 3 - 3 - 3;
    hotel_set_strn(span, "k", pattern(1, size), size);
}

static void test_exact_bound(void) {
    hotel_config config = bounded();
    unsigned over;
    sink_open(&config);
    is_int(HOTELI_GET(hoteli_g.max_span_bytes), BOUND, "the bound is as configured");
    for (over = 0; over < 2; over++) {
        hotel_span span = hotel_start("exact");
        otlp_bytes got;
        while (size_inside(&span) + 150 <= BOUND - 400) hotel_add_event(&span, pattern(0, 100));
        add_entry(&span, BOUND - size_inside(&span) + over);
        is_int(size_inside(&span) == BOUND, over == 0, "a span may hold its bound, no byte more");
        hotel_set_int(&span, "n", 1);
        hotel_end(&span);
        got = delivered("exact");
        is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 1, "SP-85 what does not is counted");
        is_int(has_attribute(got, "n"), over == 1, "what fits still goes in");
        sink_clear();
    }
    sink_close("the exact bound");
}

/* Several attributes in one call, of all sizes: the bound holds for each. */
static void test_bound_of_calls(void) {
    hotel_config config = bounded();
    uint32_t seed = 1, worst = 0;
    unsigned i, j, k, dropped = 0, kept = 0;
    sink_open(&config);
    for (i = 0; i < 300; i++) {
        hotel_span span = hotel_start("calls");
        unsigned given = 0;
        otlp_bytes got;
        for (j = 0; j < 12; j++) {
            hotel_attr list[5];
            char keys[5][8];
            for (k = 0; k < 5; k++) {
                seed = seed * 1664525u + 1013904223u;
                (void)snprintf(keys[k], sizeof keys[k], "%u", j * 5 + k);
                list[k] = hotel_strn(keys[k], pattern(k, seed >> 23), seed >> 23);
                given++;
            }
            hotel_set_attrs(&span, list, 5);
            if (size_inside(&span) > worst) worst = size_inside(&span);
        }
        hotel_end(&span);
        got = delivered("calls");
        kept += (unsigned)num_attributes(got);
        dropped += (unsigned)number(got, SPAN_DROPPED_ATTRIBUTES);
        if (num_attributes(got) + number(got, SPAN_DROPPED_ATTRIBUTES) != given) worst = UINT32_MAX;
        sink_clear();
    }
    ok(worst <= BOUND, "max_span_bytes holds within a call of several attributes too (%u of %u)",
       (unsigned)worst, (unsigned)BOUND);
    ok(kept > 0 && dropped > 0, "SP-85 kept and dropped ones are all accounted for");
    is_int(log_count(HOTEL_LOG_ID_SPAN_TOO_LARGE), 1, "SP-38 logged once");
    sink_close("the bound of calls");
}

/* What does not fit in place of an older value leaves the older value. */
static void test_failed_replacement(void) {
    hotel_config config = bounded();
    hotel_span span;
    otlp_bytes got;
    unsigned way;
    sink_open(&config);
    for (way = 0; way < 2; way++) {
        span = hotel_start("too large");
        hotel_set_strn(&span, "a", pattern(1, 100), 100);
        hotel_set_strn(&span, "b", pattern(2, 400), 400);
        if (way == 1) { /* most of the span is dead */
            hotel_set_strn(&span, "b", pattern(2, 500), 500);
            hotel_set_strn(&span, "b", pattern(2, 100), 100);
        }
        hotel_set_strn(&span, "a", pattern(3, 4000), 4000);
        hotel_end(&span);
        got = delivered("too large");
        is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 1, "SP-85 a replacement too large is counted");
        ok(holds(got, "a", 1, 100), "SP-34 and the old value stays (%s)",
           way == 0 ? "a full span" : "a span of dead entries");
        sink_clear();
    }
    sink_close("replacements that do not fit");
}

static void test_bound_beside(void) {
    hotel_config config = bounded();
    hoteli_writer owner;
    hotel_span span;
    otlp_bytes got;
    sink_open(&config);
    span = hotel_start("bound beside");
    if (!hoteli_begin(&span, &owner)) abort();
    hotel_set_strn(&span, "first", pattern(1, BIG), BIG);
    hotel_set_strn(&span, "second", pattern(2, BIG), BIG);
    hotel_set_strn(&span, "huge", pattern(3, BOUND + 1), BOUND + 1);
    hotel_set_int(&span, "third", 3);
    hoteli_leave(&owner);
    hotel_end(&span);
    got = delivered("bound beside");
    ok(holds(got, "first", 1, BIG), "TR-32 beside the owner: the first fits");
    ok(!has_attribute(got, "second") && !has_attribute(got, "huge"), "the bound holds there too");
    is_int(integer_of(got, "third"), 3, "TR-32 what is small still fits");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 2, "SP-85 the others are counted");
    sink_close("the bound beside the owner");
}

enum { MOST_SPANS = 1000 };

static void test_exhausted(void) {
    static hotel_span others[MOST_SPANS];
    hotel_config config = sink_config();
    hotel_span span, child, root;
    hotel_context parent;
    uint64_t before;
    unsigned count, i;
    otlp_bytes got;
    config.arena_bytes = 65536;
    sink_open(&config);
    before = chunks_free();
    span = hotel_start("exhausted");
    hotel_set_strn(&span, "early", pattern(1, 400), 400);
    for (count = 0; count < MOST_SPANS && chunks_free() > 1; count++) {
        others[count] = hotel_start("other");
    }
    hotel_set_strn(&span, "fits", pattern(2, 300), 300);
    hotel_set_strn(&span, "too much", pattern(3, 1500), 1500);
    while (count < MOST_SPANS && chunks_free() > 0) others[count++] = hotel_start("other");
    is_int(chunks_free(), 0, "the arena is full");
    hotel_set_strn(&span, "early", pattern(4, 1000), 1000);
    hotel_set_int(&others[0], "small", 1);
    parent = only(&span);
    child = hotel_start_in(&parent, "child", HOTEL_INTERNAL);
    ok(!hotel_is_recording(&child), "no chunk: not recorded");
    ok(same_id(&child, &span), "and the parent's context comes back, so that the tree holds");
    root = leaf("root", NULL);
    ok(!hotel_is_recording(&root), "a root is not recorded");
    is_int(root.context.trace_flags & 1, 0, "SM-01 and not sampled then");
    for (i = 0; i < count; i++) {
        hotel_end(&others[i]);
        if (i % 16 == 15) sink_flush(); /* the queue is as small as the arena */
    }
    hotel_end(&span);
    got = delivered("exhausted");
    ok(holds(got, "early", 1, 400), "an attribute that could not grow keeps its value");
    ok(holds(got, "fits", 2, 300), "what fitted is whole");
    ok(!has_attribute(got, "too much"), "what did not is not there");
    is_int(number(got, SPAN_DROPPED_ATTRIBUTES), 2, "SP-85 both are counted");
    is_int(num_delivered(), count + 1, "every recorded span arrived");
    is_int(read_books().process.not_admitted - books_opened.process.not_admitted, 2,
           "those not recorded are counted");
    is_int(chunks_free(), before, "all chunks were given back");
    is_int(log_count(HOTEL_LOG_ID_ARENA_FULL), 1, "logged once");
    sink_close("an arena that runs out");
}

/* ---- Recycled records ----------------------------------------------------------------------- */

enum { RECYCLINGS = 100000, OLD = 16 };

static void count_marks(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                        void *user_data) {
    (void)scope_spans;
    (void)resource_spans;
    if (num_attributes(span) != 1 || has_attribute(span, "wrong") || has(span, SPAN_EVENT) ||
        !otlp_equal(part(span, SPAN_NAME, 0), "new")) {
        ++*(unsigned *)user_data;
    }
}

static void test_recycled(void) {
    static hotel_span old[OLD];
    hotel_config config = sink_config();
    unsigned i, j, marked = 0, dead = 0, recording = 0, reused = 0;
    size_t seen = 0, k;
    config.arena_bytes = 65536;
    sink_open(&config);
    for (i = 0; i < RECYCLINGS; i++) {
        hotel_span span = hotel_start("new");
        for (j = 0; j < OLD; j++) {
            reused += old[j].record == span.record;
            recording += hotel_is_recording(&old[j]);
            hotel_set_int(&old[j], "wrong", 1);
            hotel_add_event(&old[j], "wrong");
            hotel_set_name(&old[j], "wrong");
            hotel_end(&old[j]);
        }
        dead += !hotel_is_recording(&span);
        hotel_set_int(&span, "right", (int64_t)i);
        hotel_end(&span);
        old[i % OLD] = span;
        if (i % 64 != 63) continue;
        sink_flush();
        for (k = 0; k < sink_num_bodies; k++) {
            seen += otlp_each_span(sink_bodies[k], count_marks, &marked);
        }
        sink_clear();
    }
    sink_flush();
    is_int(dead, 0, "SP-17 handles of recycled records never end a newer span");
    is_int(recording, 0, "TR-30 they do not record");
    is_int(marked, 0, "SP-17 nor write into one");
    ok(reused > 1000, "records were used again while old handles were in use (%u times)", reused);
    is_int(seen + num_delivered(), RECYCLINGS, "every span arrived");
    sink_close("recycled records");
}

int main(void) {
    unsigned way;
    for (way = 0; way < 4; way++) test_beside(way);
    test_beside_limits();
    test_replace(false);
    test_replace(true);
    test_growing();
    test_exact_bound();
    test_bound_of_calls();
    test_failed_replacement();
    test_bound_beside();
    test_exhausted();
    test_recycled();
    return done_testing();
}
