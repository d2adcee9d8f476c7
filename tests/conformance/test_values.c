/*
 * SPDX-License-Identifier: MIT
 *
 * test_values.c - every rule on attributes and their values, in every place where attributes can
 * stand: keys, kinds, zeros and nothing, duplicates, limits of count, length and depth, what is
 * exempt from them, text that is not UTF-8.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <math.h>

#include "sink.h"

/* ---- Places --------------------------------------------------------------------------------- */

typedef enum place {
    AT_START,
    IN_ONE_CALL,
    ONE_BY_ONE,
    BESIDE,     /* the owner is inside while another thread writes */
    COMPACTED,  /* over larger values, most of which are dead by then */
    IN_EVENT,
    IN_EXCEPTION,
    IN_START_LINK,
    IN_LINK,
    IN_LINK_BESIDE,
    IN_SCOPE,
    IN_RESOURCE,
    IN_MAP,
    IN_EVENT_MAP, /* a map in an array */
    NUM_PLACES
} place;

typedef struct place_row {
    const char *name;
    uint32_t attribute, dropped; /* field numbers */
    bool exempt;                 /* from limits of length and depth (SP-40) */
    bool counted;                /* by a limit of count */
    uint32_t depth;              /* of a value in there */
    size_t others;               /* attributes that are always there */
} place_row;

static const place_row places[NUM_PLACES] = {
    {"a span at its start", SPAN_ATTRIBUTE, SPAN_DROPPED_ATTRIBUTES, false, true, 1, 0},
    {"a span in one call", SPAN_ATTRIBUTE, SPAN_DROPPED_ATTRIBUTES, false, true, 1, 0},
    {"a span one by one", SPAN_ATTRIBUTE, SPAN_DROPPED_ATTRIBUTES, false, true, 1, 0},
    {"a span beside its owner", SPAN_ATTRIBUTE, SPAN_DROPPED_ATTRIBUTES, false, true, 1, 0},
    {"a compacted span", SPAN_ATTRIBUTE, SPAN_DROPPED_ATTRIBUTES, false, false, 1, 0},
    {"an event", EVENT_ATTRIBUTE, EVENT_DROPPED, false, true, 1, 0},
    {"an exception", EVENT_ATTRIBUTE, EVENT_DROPPED, false, false, 1, 1},
    {"a link at the start", LINK_ATTRIBUTE, LINK_DROPPED, false, true, 1, 0},
    {"a link", LINK_ATTRIBUTE, LINK_DROPPED, false, true, 1, 0},
    {"a link beside the owner", LINK_ATTRIBUTE, LINK_DROPPED, false, true, 1, 0},
    {"a scope", 3, 4, true, false, 1, 0},
    {"a resource", 1, 2, true, false, 1, 4},
    {"a map", 1, 0, false, false, 2, 0},
    {"a map in an array of an event", 1, 0, false, false, 3, 0},
};

/* What a search for the scope and the resource of the span finds. */
typedef struct around {
    otlp_bytes scope, resource;
} around;

static void note_around(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                        void *user_data) {
    around *found = (around *)user_data;
    (void)span;
    found->scope = part(scope_spans, 1, 0);
    found->resource = part(resource_spans, 1, 0);
}

static void put_one_by_one(const hotel_span *span, const hotel_attr *list, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) hotel_set_attr(span, list[i]);
}

/* Each key had larger and larger values before. */
static void put_compacted(const hotel_span *span, const hotel_attr *list, size_t count) {
    static char large[900];
    size_t i, round;
    memset(large, 'x', sizeof large);
    for (round = 1; round <= 3; round++) {
        for (i = 0; i < count; i++) {
            hotel_attr a = list[i];
            if (a.value.type > HOTEL_TYPE_MAP) continue;
            a.value = hotel_of_strn(large, 300 * round);
            hotel_set_attr(span, a);
        }
    }
    hotel_set_attrs(span, list, count);
}

static void put_event(const hotel_span *span, const hotel_attr *list, size_t count) {
    hotel_event event;
    memset(&event, 0, sizeof event);
    event.name = "event";
    event.attributes = list;
    event.num_attributes = count;
    hotel_add_event_as(span, &event);
}

static hotel_link link_with(const hotel_attr *list, size_t count) {
    hotel_link link;
    memset(&link, 0, sizeof link);
    link.context.trace_id[0] = link.context.span_id[0] = 1;
    link.attributes = list;
    link.num_attributes = count;
    return link;
}

static void put_in(place at, const hotel_span *span, const hotel_attr *list, size_t count) {
    hotel_attr map = hotel_map("m", list, count);
    hotel_link link = link_with(list, count);
    hoteli_writer owner;
    switch (at) {
    case IN_ONE_CALL: hotel_set_attrs(span, list, count); break;
    case ONE_BY_ONE: put_one_by_one(span, list, count); break;
    case COMPACTED: put_compacted(span, list, count); break;
    case IN_EVENT: put_event(span, list, count); break;
    case IN_EXCEPTION: hotel_record_exception(span, "T", NULL, NULL, list, count); break;
    case IN_LINK: hotel_add_link(span, &link); break;
    case IN_MAP: hotel_set_attrs(span, &map, 1); break;
    case IN_EVENT_MAP: {
        hotel_attr array = hotel_array("m", &map.value, 1);
        put_event(span, &array, 1);
        break;
    }
    case BESIDE:
    case IN_LINK_BESIDE:
        if (!hoteli_begin(span, &owner)) abort();
        if (at == BESIDE) hotel_set_attrs(span, list, count);
        else hotel_add_link(span, &link);
        hoteli_leave(&owner);
        break;
    default: break;
    }
}

/* The message of a delivered span in which the attributes stand. */
static otlp_bytes found_in(place at, otlp_bytes span) {
    around near = {{NULL, 0}, {NULL, 0}};
    otlp_bytes value;
    switch (at) {
    case IN_EVENT:
    case IN_EXCEPTION: return part(span, SPAN_EVENT, 0);
    case IN_START_LINK:
    case IN_LINK:
    case IN_LINK_BESIDE: return part(span, SPAN_LINK, 0);
    case IN_MAP: return part(attribute(span, "m"), ANY_MAP, 0);
    case IN_EVENT_MAP:
        value = attribute_in(part(span, SPAN_EVENT, 0), EVENT_ATTRIBUTE, "m");
        return part(part(part(value, ANY_ARRAY, 0), 1, 0), ANY_MAP, 0);
    case IN_SCOPE:
    case IN_RESOURCE:
        (void)otlp_each_span(sink_bodies[sink_num_bodies - 1], note_around, &near);
        return at == IN_SCOPE ? near.scope : near.resource;
    default: return span;
    }
}

/* Sends a span with the list in that place and returns the message with it. sink_close follows. */
static otlp_bytes put(place at, const hotel_limits *limits, const hotel_attr *list, size_t count) {
    hotel_config config = sink_config();
    hotel_tracer_config scope;
    hotel_start_options options;
    hotel_link link = link_with(list, count);
    hotel_span span;
    memset(&scope, 0, sizeof scope);
    memset(&options, 0, sizeof options);
    if (limits != NULL) config.limits = *limits;
    if (at == IN_RESOURCE) {
        config.resource = list;
        config.num_resource = count;
    }
    sink_open(&config);
    if (at == AT_START) {
        options.attributes = list;
        options.num_attributes = count;
    } else if (at == IN_START_LINK) {
        options.links = &link;
        options.num_links = 1;
    } else if (at == IN_SCOPE) {
        scope.name = "scope";
        scope.attributes = list;
        scope.num_attributes = count;
        options.tracer = hotel_get_tracer(&scope);
    }
    span = hotel_start_with("values", &options);
    put_in(at, &span, list, count);
    hotel_end(&span);
    return found_in(at, delivered("values"));
}

static size_t count_in(place at, otlp_bytes message) {
    return otlp_count(message, places[at].attribute) - places[at].others;
}

static uint64_t dropped_in(place at, otlp_bytes message) {
    return places[at].dropped != 0 ? number(message, places[at].dropped) : 0;
}

static otlp_bytes value_in(place at, otlp_bytes message, const char *key) {
    return attribute_in(message, places[at].attribute, key);
}

static bool is_in(place at, otlp_bytes message, const char *key) {
    otlp_bytes value;
    return otlp_attribute(message, places[at].attribute, key, &value);
}

/* ---- Kinds, zeros, nothing ------------------------------------------------------------------ */

typedef struct value_row {
    const char *id;
    hotel_value value;
    const char *wire; /* of the AnyValue */
    size_t wire_size;
} value_row;

#define WIRE(literal) (literal), sizeof(literal) - 1

enum { MAX_VALUES = 40 };

/* One of each kind, and what could be taken for nothing. */
static size_t all_values(value_row *rows) {
    static const char *const texts[] = {"a", NULL, ""};
    static const bool bools[] = {true, false};
    static const int64_t ints[] = {0, -1};
    static const double doubles[] = {0.0, 1.5};
    static hotel_value mixed[3];
    static hotel_attr entries[2];
    const value_row list[] = {
        {"TR-38 a string", hotel_of_str("abc"), WIRE("\x0a\x03" "abc")},
        {"SP-32 the empty string", hotel_of_str(""), WIRE("\x0a\x00")},
        {"TR-44 text that is not ASCII", hotel_of_str("\xc3\xa4\xf0\x9f\x90\xb3"),
         WIRE("\x0a\x06\xc3\xa4\xf0\x9f\x90\xb3")},
        {"TR-44 text with a NUL", hotel_of_strn("a\0b", 3), WIRE("\x0a\x03" "a\0b")},
        {"SP-41 text that is not UTF-8", hotel_of_str("a\xff"), WIRE("\x3a\x02" "a\xff")},
        {"TR-39 true", hotel_of_bool(true), WIRE("\x10\x01")},
        {"TR-39 SP-87 false", hotel_of_bool(false), WIRE("\x10\x00")},
        {"TR-41 SP-87 zero", hotel_of_int(0), WIRE("\x18\x00")},
        {"TR-41 the least integer", hotel_of_int(INT64_MIN),
         WIRE("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
        {"TR-41 the largest integer", hotel_of_int(INT64_MAX),
         WIRE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f")},
        {"TR-41 minus one", hotel_of_int(-1), WIRE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {"TR-40 SP-87 0.0", hotel_of_double(0.0), WIRE("\x21\0\0\0\0\0\0\0\0")},
        {"TR-40 -0.0", hotel_of_double(-0.0), WIRE("\x21\0\0\0\0\0\0\0\x80")},
        {"TR-40 1.5", hotel_of_double(1.5), WIRE("\x21\0\0\0\0\0\0\xf8\x3f")},
        {"TR-40 infinity", hotel_of_double((double)HUGE_VAL), WIRE("\x21\0\0\0\0\0\0\xf0\x7f")},
        {"SP-31 bytes", hotel_of_bytes("\0\xff", 2), WIRE("\x3a\x02\0\xff")},
        {"SP-32 no bytes", hotel_of_bytes("", 0), WIRE("\x3a\x00")},
        {"SP-87 the empty value", hotel_of_empty(), WIRE("")},
        {"TR-43 a NULL string is the empty value", hotel_of_str(NULL), WIRE("")},
        {"TR-43 a NULL array is the empty value", hotel_of_ints(NULL, 5), WIRE("")},
        {"TR-43 a NULL map is the empty value", hotel_of_map(NULL, 5), WIRE("")},
        {"TR-42 strings, NULL among them", hotel_of_strs(texts, 3),
         WIRE("\x2a\x0b\x0a\x03\x0a\x01" "a\x0a\x00\x0a\x02\x0a\x00")},
        {"TR-42 booleans", hotel_of_bools(bools, 2),
         WIRE("\x2a\x08\x0a\x02\x10\x01\x0a\x02\x10\0")},
        {"TR-42 integers", hotel_of_ints(ints, 2),
         WIRE("\x2a\x11\x0a\x02\x18\0\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {"TR-42 doubles", hotel_of_doubles(doubles, 2),
         WIRE("\x2a\x16\x0a\x09\x21\0\0\0\0\0\0\0\0\x0a\x09\x21\0\0\0\0\0\0\xf8\x3f")},
        {"TR-42 SP-32 no strings", hotel_of_strs(texts, 0), WIRE("\x2a\x00")},
        {"TR-42 SP-32 no booleans", hotel_of_bools(bools, 0), WIRE("\x2a\x00")},
        {"TR-42 SP-32 no integers", hotel_of_ints(ints, 0), WIRE("\x2a\x00")},
        {"TR-42 SP-32 no doubles", hotel_of_doubles(doubles, 0), WIRE("\x2a\x00")},
        {"SP-32 the empty array", hotel_of_array(mixed, 0), WIRE("\x2a\x00")},
        {"SP-32 the empty map", hotel_of_map(entries, 0), WIRE("\x32\x00")},
        {"SP-31 a mixed array", hotel_of_array(mixed, 3),
         WIRE("\x2a\x0a\x0a\x02\x18\x01\x0a\x00\x0a\x02\x10\x00")},
        {"SP-31 a map", hotel_of_map(entries, 2),
         WIRE("\x32\x12\x0a\x07\x0a\x01" "i\x12\x02\x18\x07\x0a\x07\x0a\x01" "s\x12\x02\x0a\x00")},
    };
    mixed[0] = hotel_of_int(1);
    mixed[1] = hotel_of_empty();
    mixed[2] = hotel_of_bool(false);
    entries[0] = hotel_int("i", 7);
    entries[1] = hotel_str("s", "");
    memcpy(rows, list, sizeof list);
    return COUNT(list);
}

static void test_kinds(void) {
    value_row rows[MAX_VALUES];
    hotel_attr list[MAX_VALUES];
    char keys[MAX_VALUES][12];
    size_t count = all_values(rows), i;
    int at;
    for (i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "\xc3\xa4 %u", (unsigned)i);
        list[i] = hotel_attrn(keys[i], strlen(keys[i]), rows[i].value);
    }
    for (at = 0; at < NUM_PLACES; at++) {
        otlp_bytes message = put((place)at, NULL, list, count);
        is_int(count_in((place)at, message), count, "SP-32 %s: all are there", places[at].name);
        for (i = 0; i < count; i++) {
            otlp_bytes value = value_in((place)at, message, keys[i]);
            ok(is_in((place)at, message, keys[i]), "TR-44 %s: the key is there", places[at].name);
            is_mem(value.at, value.size, rows[i].wire, rows[i].wire_size, "%s, in %s", rows[i].id,
                   places[at].name);
        }
        sink_close(places[at].name);
    }
}

/* ---- Keys ----------------------------------------------------------------------------------- */

static void test_keys(void) {
    hotel_attr list[7];
    int at;
    list[0] = hotel_int("a", 1);
    list[1] = hotel_int(NULL, 2);
    list[1].key_size = 1; /* whatever is written in it */
    list[2] = hotel_int("", 3);
    list[3] = hotel_int("A", 4);
    list[4] = hotel_attrn("a", 0, hotel_of_int(5));
    list[5] = hotel_int("type", 6);
    list[5].value.type = (hotel_type)42;
    list[6] = hotel_int("a ", 7);
    for (at = 0; at < NUM_PLACES; at++) {
        const char *name = places[at].name;
        otlp_bytes got = put((place)at, NULL, list, COUNT(list));
        is_int(count_in((place)at, got), 3, "SP-30 %s: without a key it is left out", name);
        is_int(number(value_in((place)at, got, "a"), ANY_INT), 1, "SP-30 %s: what has one stays",
               name);
        is_int(number(value_in((place)at, got, "A"), ANY_INT), 4, "SP-30 %s: case counts", name);
        is_int(number(value_in((place)at, got, "a "), ANY_INT), 7, "SP-30 %s: so do blanks", name);
        is_int(dropped_in((place)at, got), 0, "SP-30 %s: that is no drop", name);
        is_int(log_count(HOTEL_LOG_ID_BAD_ARGUMENT), 1, "SP-30 %s: logged once", name);
        if (at < IN_RESOURCE) {
            ok(read_books().process.bad_arguments > books_opened.process.bad_arguments,
               "SP-30 %s: and counted", name);
        }
        sink_close(name);
    }
}

static char *long_key(char *out, const char *end) {
    memset(out, 'k', 300);
    (void)strcpy(out + 300, end);
    return out;
}

static void test_duplicates(void) {
    char long_a[320], long_b[320], long_c[320], long_d[320];
    hotel_attr list[10];
    int at;
    list[0] = hotel_int("k", 1);
    list[1] = hotel_str("other", "x");
    list[2] = hotel_str("k", "a longer one, which may not fit in place of the first");
    list[3] = hotel_int("k", 3);
    list[4] = hotel_int("u\xff", 4);
    list[5] = hotel_int("u\xfe", 5);
    list[6] = hotel_int("u\xef\xbf\xbd", 6);
    list[7] = hotel_int(long_key(long_a, "\xff"), 7);
    list[8] = hotel_int(long_key(long_b, "\xef\xbf\xbd"), 8);
    list[9] = hotel_int(long_key(long_c, "\xc0"), 9);
    (void)long_key(long_d, "\xef\xbf\xbd");
    for (at = 0; at < NUM_PLACES; at++) {
        const char *name = places[at].name;
        otlp_bytes got = put((place)at, NULL, list, at == IN_SCOPE ? 7 : COUNT(list));
        is_int(count_in((place)at, got), at == IN_SCOPE ? 3 : 4, "SP-33 %s: every key once", name);
        is_int(number(value_in((place)at, got, "k"), ANY_INT), 3, "SP-33 %s: the last value", name);
        is_int(number(value_in((place)at, got, "u\xef\xbf\xbd"), ANY_INT), 6,
               "SP-33 SP-41 %s: keys that repair makes one", name);
        if (at != IN_SCOPE) {
            is_int(number(value_in((place)at, got, long_d), ANY_INT), 9,
                   "SP-33 SP-41 %s: long keys that repair makes one", name);
        }
        is_int(dropped_in((place)at, got), 0, "SP-33 %s: nothing was dropped", name);
        sink_close(name);
    }
}

/* ---- How many ------------------------------------------------------------------------------- */

static void check_count(place at, uint32_t limit, size_t kept, uint64_t dropped) {
    hotel_limits limits;
    hotel_attr list[7], entries[3];
    const char *name = places[at].name;
    otlp_bytes got;
    memset(&limits, 0, sizeof limits);
    limits.attribute_count = limits.event_attribute_count = limits.link_attribute_count = limit;
    if (at == IN_MAP || at == IN_EVENT_MAP) {
        limits.attribute_count = limits.event_attribute_count = 1;
    }
    entries[0] = hotel_int("x", 1);
    entries[1] = hotel_int("y", 2);
    entries[2] = hotel_int("z", 3);
    list[0] = hotel_int("a", 1);
    list[1] = hotel_map("b", entries, 3);
    list[2] = hotel_int("c", 3);
    list[3] = hotel_int("d", 4);
    list[4] = hotel_int("e", 5);
    list[5] = hotel_int("a", 6);
    list[6] = hotel_str("c", "longer than before");
    got = put(at, &limits, list, COUNT(list));
    is_int(count_in(at, got), kept, "SP-34 limit %u, %s: so many are kept", (unsigned)limit, name);
    is_int(dropped_in(at, got), dropped, "TR-34 SP-85 limit %u, %s: the others are counted",
           (unsigned)limit, name);
    if (kept >= 1) {
        is_int(number(value_in(at, got, "a"), ANY_INT), 6, "TR-34 limit %u, %s: overwritten at it",
               (unsigned)limit, name);
    }
    if (kept >= 3) {
        is_str(text(value_in(at, got, "c"), ANY_STRING), "longer than before",
               "TR-34 limit %u, %s: by a larger one too", (unsigned)limit, name);
    }
    if (kept >= 2) {
        is_int(otlp_count(part(value_in(at, got, "b"), ANY_MAP, 0), 1), 3,
               "SP-34 limit %u, %s: entries of a map are not counted", (unsigned)limit, name);
    }
    is_int(log_count(HOTEL_LOG_ID_LIMIT_REACHED), dropped > 0, "SP-38 limit %u, %s: logged once",
           (unsigned)limit, name);
    sink_close(name);
}

static void test_count(void) {
    int at;
    for (at = 0; at < NUM_PLACES; at++) {
        bool whole = at >= IN_EVENT; /* a list in which each key is one attribute */
        if (places[at].counted) {
            check_count((place)at, 3, 3, 2);
            check_count((place)at, 1, 1, whole ? 4 : 5);
            check_count((place)at, HOTEL_NONE, 0, whole ? 5 : 7);
            check_count((place)at, 5, 5, 0);
        } else if (at != COMPACTED && at != IN_EXCEPTION) {
            check_count((place)at, 3, 5, 0);
            check_count((place)at, HOTEL_NONE, 5, 0);
        }
    }
}

static void test_default_count(void) {
    static hotel_attr list[1100];
    static char keys[COUNT(list)][8];
    size_t i;
    int at;
    for (i = 0; i < COUNT(list); i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%u", (unsigned)i);
        list[i] = hotel_int(keys[i], (int64_t)i);
    }
    for (at = 0; at < NUM_PLACES; at++) {
        const char *name = places[at].name;
        otlp_bytes got;
        if (!places[at].counted) continue;
        got = put((place)at, NULL, list, 130);
        is_int(count_in((place)at, got), 128, "SP-39 %s: 128 unless set", name);
        is_int(dropped_in((place)at, got), 2, "SP-85 %s: the others are counted", name);
        sink_close(name);
        got = put((place)at, NULL, list, COUNT(list));
        is_int(count_in((place)at, got), 128, "SP-39 %s: of any number", name);
        is_int(dropped_in((place)at, got), COUNT(list) - 128, "SP-85 %s: all others are counted",
               name);
        sink_close(name);
    }
}

/* Events and links themselves. */
static void check_items(uint32_t limit, size_t kept) {
    hotel_config config = sink_config();
    hotel_span span;
    otlp_bytes got;
    size_t i;
    int way;
    config.limits.event_count = config.limits.link_count = limit;
    sink_open(&config);
    for (way = 0; way < 2; way++) {
        hoteli_writer owner;
        hotel_link links[130];
        hotel_start_options options;
        memset(&options, 0, sizeof options);
        for (i = 0; i < COUNT(links); i++) {
            links[i] = link_with(NULL, 0);
            links[i].context.span_id[7] = (uint8_t)i;
        }
        options.links = links;
        options.num_links = 60;
        span = hotel_start_with("items", &options);
        if (way == 1 && !hoteli_begin(&span, &owner)) abort();
        for (i = 0; i < 130; i++) hotel_add_event(&span, i % 2 ? "odd" : "even");
        for (i = 60; i < 130; i++) hotel_add_link(&span, &links[i]);
        if (way == 1) hoteli_leave(&owner);
        hotel_end(&span);
        got = delivered("items");
        is_int(otlp_count(got, SPAN_EVENT), kept, "TR-33 limit %u: events kept", (unsigned)limit);
        is_int(number(got, SPAN_DROPPED_EVENTS), 130 - kept, "TR-33 SP-51 limit %u: the new go",
               (unsigned)limit);
        is_int(otlp_count(got, SPAN_LINK), kept, "TR-35 limit %u: links kept", (unsigned)limit);
        is_int(number(got, SPAN_DROPPED_LINKS), 130 - kept, "TR-35 SP-51 limit %u: the new ones go",
               (unsigned)limit);
        for (i = 0; i < kept; i++) {
            otlp_bytes id = part(part(got, SPAN_LINK, i), LINK_SPAN_ID, 0);
            if (id.size != 8 || id.at[7] != i) break;
        }
        is_int(i, kept, "TR-47 limit %u: the first ones, in their order", (unsigned)limit);
    }
    is_int(log_count(HOTEL_LOG_ID_LIMIT_REACHED), kept < 130, "SP-38 limit %u: logged once",
           (unsigned)limit);
    sink_close("limits of items");
}

/* ---- How long ------------------------------------------------------------------------------- */

#define SHEEP "\xf0\x9f\x90\x91"

static void test_length(void) {
    static const char *const texts[] = {"abcd", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"};
    static const int64_t ints[] = {1234567, 7654321};
    hotel_value items[2];
    hotel_attr entry[1], list[11];
    const char *want[2][COUNT(list)] = {
        {"\x0a\x03" "abc", "\x0a\x09\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
         "\x0a\x0c" SHEEP SHEEP SHEEP,
         "\x0a\x07\xc3\xa4" SHEEP "x", "\x3a\x03" "abc",
         "\x2a\x11\x0a\x05\x0a\x03" "abc\x0a\x08\x0a\x06\xc3\xa4\xc3\xb6\xc3\xbc",
         "\x2a\x0e\x0a\x05\x0a\x03" "abc\x0a\x05\x3a\x03" "abc",
         "\x32\x0f\x0a\x0d\x0a\x04" "long\x12\x05\x0a\x03" "abc",
         "\x3a\x03" "a\xff" "b", "\x0a\x03" "abc", "\x0a\x03" "abc"},
        {"\x0a\x05" "abcde", "\x0a\x0c\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
         "\x0a\x10" SHEEP SHEEP SHEEP SHEEP, "\x0a\x08\xc3\xa4" SHEEP "xy", "\x3a\x05" "abcde",
         "\x2a\x14\x0a\x06\x0a\x04" "abcd\x0a\x0a\x0a\x08\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", "", "",
         "\x3a\x04" "a\xff" "bc", "\x3a\x05" "abc\xff" "d", "\x0a\x03" "abc"}};
    hotel_limits limits;
    int at;
    size_t i;
    memset(&limits, 0, sizeof limits);
    limits.attribute_value_length = 3;
    items[0] = hotel_of_str("abcde");
    items[1] = hotel_of_bytes("abcde", 5);
    entry[0] = hotel_str("long", "abcde");
    list[0] = hotel_str("ASCII", "abcde");
    list[1] = hotel_str("three bytes", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac");
    list[2] = hotel_str("four bytes", SHEEP SHEEP SHEEP SHEEP);
    list[3] = hotel_str("mixed", "\xc3\xa4" SHEEP "xy");
    list[4] = hotel_bytes("bytes", "abcde", 5);
    list[5] = hotel_strs("strings", texts, 2);
    list[6] = hotel_array("array", items, 2);
    list[7] = hotel_map("map", entry, 1);
    list[8] = hotel_str("bad within", "a\xff" "bc");
    list[9] = hotel_str("bad behind", "abc\xff" "d");
    list[10] = hotel_str("exact", "abc");
    for (at = 0; at < NUM_PLACES; at++) {
        const char *name = places[at].name;
        otlp_bytes got = put((place)at, &limits, list, COUNT(list));
        const char **expected = want[places[at].exempt];
        for (i = 0; i < COUNT(list); i++) {
            otlp_bytes value = value_in((place)at, got, list[i].key);
            if (expected[i][0] == 0) continue;
            is_mem(value.at, value.size, expected[i], strlen(expected[i]), "%s %s, in %s",
                   places[at].exempt ? "SP-40" : "SP-35", list[i].key, name);
        }
        is_int(dropped_in((place)at, got), 0, "SP-37 %s: to cut is not to drop", name);
        is_int(log_count(HOTEL_LOG_ID_LIMIT_REACHED), 0, "SP-37 %s: nor is it logged", name);
        sink_close(name);
        limits.attribute_value_length = HOTEL_NONE;
        list[6] = hotel_ints("array", ints, 2);
        got = put((place)at, &limits, list, COUNT(list));
        is_mem(value_in((place)at, got, "ASCII").at, 2,
               places[at].exempt ? "\x0a\x05" : "\x0a\x00", 2, "SP-35 %s: a limit of nothing",
               name);
        is_int(value_in((place)at, got, "array").size, 15, "SP-35 %s: numbers stay", name);
        sink_close(name);
        limits.attribute_value_length = 3;
        list[6] = hotel_array("array", items, 2);
    }
}

/* ---- How deep ------------------------------------------------------------------------------- */

/* How many arrays and maps stand in one another, and whether the innermost is there or empty. */
static uint32_t depth_of(otlp_bytes value, bool *cut) {
    uint32_t depth = 0;
    while (has(value, ANY_ARRAY) || has(value, ANY_MAP)) {
        bool map = has(value, ANY_MAP);
        value = part(part(value, map ? ANY_MAP : ANY_ARRAY, 0), 1, 0);
        if (map) value = part(value, 2, 0);
        depth++;
    }
    *cut = value.size == 0;
    return depth;
}

static void check_depth(place at, uint32_t limit, uint32_t levels, bool maps) {
    static hotel_value values[256];
    static hotel_attr entries[256];
    hotel_limits limits;
    hotel_attr list[1];
    uint32_t i, most = limit == 0 ? 64 : limit == HOTEL_NONE ? 0 : limit, want;
    otlp_bytes got;
    bool cut = false;
    memset(&limits, 0, sizeof limits);
    limits.attribute_value_depth = limit;
    values[0] = hotel_of_int(7);
    for (i = 1; i <= levels; i++) {
        entries[i] = hotel_attrn("in", 2, values[i - 1]);
        values[i] = maps ? hotel_of_map(&entries[i], 1) : hotel_of_array(&values[i - 1], 1);
    }
    list[0] = hotel_attrn("deep", 4, values[levels]);
    got = put(at, &limits, list, 1);
    most = most >= places[at].depth ? most - places[at].depth + 1 : 0;
    want = places[at].exempt || levels < most ? levels : most;
    if (most > 0 || places[at].depth == 1) {
        is_int(depth_of(value_in(at, got, "deep"), &cut), want,
               "%s limit %d, %u %s, in %s", places[at].exempt ? "SP-40" : "SP-36", (int)limit,
               (unsigned)levels, maps ? "maps" : "arrays", places[at].name);
        is_int(cut, want < levels, "SP-36 the next one is an empty value");
        is_int(dropped_in(at, got), 0, "SP-36 that is no drop");
    }
    sink_close(places[at].name);
}

static void test_depth(void) {
    int at;
    for (at = 0; at < NUM_PLACES; at++) {
        int maps;
        for (maps = 0; maps < 2; maps++) {
            check_depth((place)at, 0, 64, maps != 0);
            check_depth((place)at, 0, 65, maps != 0);
            check_depth((place)at, 5, 3, maps != 0);
            check_depth((place)at, 5, 9, maps != 0);
            check_depth((place)at, 1, 2, maps != 0);
            check_depth((place)at, HOTEL_NONE, 1, maps != 0);
        }
    }
}

/* ---- Extremes ------------------------------------------------------------------------------- */

/* A value that holds itself 2^levels times over. */
static hotel_value multiplied(hotel_value *room, unsigned levels) {
    unsigned i;
    room[0] = room[1] = hotel_of_str("self");
    for (i = 1; i < levels; i++) {
        room[2 * i] = room[2 * i + 1] = hotel_of_array(&room[2 * i - 2], 2);
    }
    return hotel_of_array(&room[2 * levels - 2], 2);
}

/* What no span can hold goes alone, at once, and leaves nothing half written. */
static void test_too_large(void) {
    static hotel_value room[2 * 60];
    static const place some[] = {IN_ONE_CALL, BESIDE, IN_EVENT, IN_LINK, IN_SCOPE, IN_RESOURCE};
    hotel_attr list[5];
    size_t i;
    list[0] = hotel_int("before", 1);
    list[1] = hotel_attrn("multiplied", 10, multiplied(room, 60));
    list[2] = hotel_int("between", 2);
    list[3] = hotel_bytes("all memory", room, SIZE_MAX); /* of which nothing is read */
    list[4] = hotel_int("after", 3);
    for (i = 0; i < COUNT(some); i++) {
        place at = some[i];
        const char *name = places[at].name;
        otlp_bytes got = put(at, NULL, list, COUNT(list));
        is_int(count_in(at, got), 3, "SP-31 %s: what is too large goes alone", name);
        ok(is_in(at, got, "before") && is_in(at, got, "between") && is_in(at, got, "after"),
           "SP-31 %s: the others stay", name);
        if (!places[at].exempt) {
            is_int(dropped_in(at, got), 2, "SP-85 %s: it is counted", name);
        }
        sink_close(name);
    }
}

int main(void) {
    test_kinds();
    test_keys();
    test_duplicates();
    test_count();
    test_default_count();
    check_items(0, 128);
    check_items(7, 7);
    check_items(HOTEL_NONE, 0);
    check_items(65535, 130);
    test_length();
    test_depth();
    test_too_large();
    return done_testing();
}
