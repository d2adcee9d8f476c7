/*
 * SPDX-License-Identifier: MIT
 *
 * random_spans.c - random spans through the public interface, many of them on several threads,
 * delivered to an endpoint and written down in a journal (journal.h), in several sessions of random
 * limits, resources and scopes. The same seed asks for the same spans. Nothing may be dropped but
 * by the limits: exit code 0 says so.
 *
 *     random_spans ENDPOINT JOURNAL SEED SPANS
 */
#define HATCHET_OTEL_IMPLEMENTATION
#if defined(TESTS_HAVE_OPENSSL)
#define HATCHET_OTEL_OPENSSL
#endif
#include "hatchet_otel.h"

#include "journal.h"

#include <float.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NUM_PRODUCERS = 3,
    NUM_GUESTS = 3,  /* threads beside the owner on a shared span */
    NUM_RECENT = 16, /* spans of a producer that may become parents or be linked to */
    FLUSH_EVERY = 100,
    NUM_SESSIONS = 16,
    MAX_SCOPES = 8, /* of a session */
    SCRATCH_BYTES = 8 * 1024 * 1024
};

/* What the spans of a session have in common. */
typedef struct setting {
    hotel_limits limits;
    hotel_tracer_config scopes[MAX_SCOPES];
    size_t num_scopes;
    bool many_attributes; /* no limit on how many, of spans and of events */
} setting;

/* One producer: its random numbers, and memory for what it passes to the library, which is
   overwritten after each call so that nothing kept by reference goes unnoticed. */
typedef struct producer {
    uint64_t state;
    unsigned num_spans;
    bool failed;
    const setting *session;
    hotel_context recent[NUM_RECENT]; /* held */
    size_t num_recent;
    size_t scratch_used;
    char *scratch;
} producer;

/* ---- random numbers and memory --------------------------------------------------------------- */

static uint64_t random_bits(producer *p) {
    uint64_t z = (p->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(producer *p, size_t bound) {
    return (size_t)(random_bits(p) % bound);
}

static bool one_in(producer *p, size_t chances) {
    return below(p, chances) == 0;
}

static void *take(producer *p, size_t size) {
    void *memory = p->scratch + p->scratch_used;
    p->scratch_used += (size + 15) / 16 * 16;
    if (p->scratch_used > SCRATCH_BYTES) {
        fprintf(stderr, "random_spans: SCRATCH_BYTES is too small\n");
        exit(2);
    }
    return memory;
}

static void forget(producer *p) {
    memset(p->scratch, 0xdd, p->scratch_used);
    p->scratch_used = 0;
}

/* ---- text ------------------------------------------------------------------------------------ */

typedef struct text {
    char *bytes; /* with a NUL behind them */
    size_t size;
} text;

static size_t put_code_point(char *out, unsigned code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 63));
    out[2] = (char)(0x80 | ((code >> 6) & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

static unsigned random_code_point(producer *p) {
    static const unsigned first[] = {0x00, 0x20, 0x20, 0x20, 0x80, 0x800, 0xe000, 0x10000};
    static const unsigned bound[] = {0x80, 0x7f, 0x7f, 0x7f, 0x800, 0xd800, 0x10000, 0x110000};
    size_t range = below(p, COUNT(first));
    return first[range] + (unsigned)below(p, bound[range] - first[range]);
}

static size_t random_length(producer *p) {
    if (one_in(p, 8)) return 0;
    if (one_in(p, 200)) return 200 + below(p, 12000);
    return 1 + below(p, one_in(p, 10) ? 300 : 24);
}

/* Valid UTF-8, NUL included, of so many characters. */
static text random_text(producer *p, size_t length) {
    text t;
    t.bytes = (char *)take(p, length * 4 + 1);
    t.size = 0;
    while (length-- > 0) t.size += put_code_point(t.bytes + t.size, random_code_point(p));
    t.bytes[t.size] = '\0';
    return t;
}

/* Now and then with some bytes overwritten, which most likely makes it invalid. */
static text random_bad_text(producer *p, size_t length) {
    text t = random_text(p, length);
    if (t.size > 0 && one_in(p, 12)) {
        size_t changes = 1 + below(p, 3);
        while (changes-- > 0) t.bytes[below(p, t.size)] = (char)(0x80 | random_bits(p));
    }
    return t;
}

/* Mostly one of a few, so that keys repeat; among them none at all, and some that are one when they
   are repaired. */
static text random_key(producer *p) {
#define KEY_OF_200 \
    "long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long." \
    "long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long.long." \
    "long.long.long.long."
    static const char *const usual[] = {
        "a",     "http.method", "http.status_code",  "instrumentor",       "key.5", "key.6",
        "key.7", "key.8",       "hatchet.step_name", "hatchet.retry_count"};
    static const char *const odd[] = {"",
                                      "A",
                                      "a ",
                                      "k\xff",
                                      "k\xfe",
                                      "k\xef\xbf\xbd",
                                      "k\xe2\x82",
                                      "k\xef\xbf\xbd\xef\xbf\xbd",
                                      "\xc3\xa4",
                                      "a\xcc\x88",
                                      KEY_OF_200 KEY_OF_200,
                                      KEY_OF_200 KEY_OF_200 "\xff",
                                      KEY_OF_200 KEY_OF_200 "\xfe",
                                      KEY_OF_200 KEY_OF_200 "\xef\xbf\xbd"};
    const char *chosen = usual[below(p, COUNT(usual))];
    text t;
    if (one_in(p, 12)) {
        t = random_bad_text(p, 30 + below(p, one_in(p, 20) ? 400 : 10));
        if (one_in(p, 20)) t.bytes = NULL;
        return t;
    }
    if (one_in(p, 8)) chosen = odd[below(p, COUNT(odd))];
    t.size = strlen(chosen);
    t.bytes = (char *)take(p, t.size + 1);
    memcpy(t.bytes, chosen, t.size + 1);
    return t;
}

/* ---- values ---------------------------------------------------------------------------------- */

static double random_double(producer *p) {
    static const double special[] = {0.0,     -0.0,    1.0,       -1.0,      0.1,
                                     DBL_MAX, DBL_MIN, HUGE_VAL,  -HUGE_VAL, DBL_MIN / 8};
    uint64_t bits = random_bits(p);
    double number;
    if (one_in(p, 2)) return special[below(p, COUNT(special))];
    memcpy(&number, &bits, sizeof number);
    return number == number ? number : (double)NAN; /* other software may not keep the others */
}

static int64_t random_int(producer *p) {
    static const int64_t special[] = {0, -1, INT64_MAX, INT64_MIN, 127, 128, INT32_MIN, UINT32_MAX};
    int64_t number;
    uint64_t bits = random_bits(p) >> below(p, 64);
    if (one_in(p, 4)) return special[below(p, COUNT(special))];
    if (one_in(p, 2)) bits = ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static hotel_value random_value(producer *p, unsigned depth);

static hotel_value random_array(producer *p, size_t count) {
    const char **strings = (const char **)take(p, (count + 1) * sizeof *strings);
    bool *bools = (bool *)take(p, (count + 1) * sizeof *bools);
    int64_t *ints = (int64_t *)take(p, (count + 1) * sizeof *ints);
    double *doubles = (double *)take(p, (count + 1) * sizeof *doubles);
    size_t i;
    for (i = 0; i < count; i++) {
        strings[i] = one_in(p, 10) ? NULL : random_bad_text(p, below(p, 20)).bytes;
        bools[i] = one_in(p, 2);
        ints[i] = random_int(p);
        doubles[i] = random_double(p);
    }
    switch (below(p, 4)) {
    case 0:
        return hotel_of_strs(strings, count);
    case 1:
        return hotel_of_bools(bools, count);
    case 2:
        return hotel_of_ints(ints, count);
    default:
        return hotel_of_doubles(doubles, count);
    }
}

/* Nested so deep, with something at each level. */
static hotel_value random_chain(producer *p, size_t levels) {
    hotel_value value = hotel_of_int(random_int(p));
    for (; levels > 0; levels--) {
        hotel_value *items = (hotel_value *)take(p, 2 * sizeof *items);
        hotel_attr *entry = (hotel_attr *)take(p, sizeof *entry);
        items[0] = value;
        items[1] = hotel_of_int((int64_t)levels);
        *entry = hotel_attrn("in", 2, value);
        value = one_in(p, 2) ? hotel_of_array(items, 1 + below(p, 2)) : hotel_of_map(entry, 1);
    }
    return value;
}

static hotel_value random_container(producer *p, unsigned depth) {
    size_t count = below(p, depth == 1 && one_in(p, 30) ? 40 : 5), i;
    if (depth == 1 && one_in(p, 20)) {
        return random_chain(p, one_in(p, 3) ? 58 + below(p, 12) : below(p, 8));
    }
    if (one_in(p, 2)) {
        hotel_value *values = (hotel_value *)take(p, (count + 1) * sizeof *values);
        for (i = 0; i < count; i++) values[i] = random_value(p, depth + 1);
        return hotel_of_array(values, count);
    } else {
        hotel_attr *entries = (hotel_attr *)take(p, (count + 1) * sizeof *entries);
        for (i = 0; i < count; i++) {
            text key = random_key(p);
            entries[i] = hotel_attrn(key.bytes, key.size, random_value(p, depth + 1));
        }
        return hotel_of_map(entries, count);
    }
}

static hotel_value random_value(producer *p, unsigned depth) {
    text t;
    switch (below(p, depth < 5 ? 10 : 6)) {
    case 0:
        return hotel_of_empty();
    case 1:
        return hotel_of_bool(one_in(p, 2));
    case 2:
        return hotel_of_int(random_int(p));
    case 3:
        return hotel_of_double(random_double(p));
    case 4:
        t = random_text(p, random_length(p));
        return hotel_of_bytes(t.bytes, t.size);
    case 6:
        return random_array(p, below(p, one_in(p, 20) ? 60 : 6));
    case 7:
        return random_container(p, depth);
    default:
        t = random_bad_text(p, depth > 1 ? below(p, 20) : random_length(p));
        return hotel_of_strn(t.bytes, t.size);
    }
}

typedef struct attributes {
    hotel_attr *items;
    size_t count;
} attributes;

static attributes random_attributes(producer *p, size_t most) {
    attributes list;
    size_t i;
    list.count = below(p, most + 1);
    list.items = (hotel_attr *)take(p, (list.count + 1) * sizeof *list.items);
    for (i = 0; i < list.count; i++) {
        text key = random_key(p);
        list.items[i] = hotel_attrn(key.bytes, key.size, random_value(p, 1));
    }
    return list;
}

/* ---- calls on a span ------------------------------------------------------------------------- */

/* Of a span of before, of nobody, or of nothing at all, now and then with a tracestate. */
static hotel_span_context random_context(producer *p) {
    hotel_span_context context;
    size_t i;
    memset(&context, 0, sizeof context);
    if (p->num_recent > 0 && !one_in(p, 3)) {
        context = p->recent[below(p, p->num_recent)].span.context;
        if (one_in(p, 10)) memset(context.span_id, 0, sizeof context.span_id);
        return context;
    }
    if (one_in(p, 6)) return context;
    for (i = 0; i < sizeof context.trace_id; i++) context.trace_id[i] = (uint8_t)random_bits(p);
    for (i = 0; i < sizeof context.span_id; i++) context.span_id[i] = (uint8_t)random_bits(p);
    context.trace_flags = (uint8_t)below(p, 4);
    context.is_remote = one_in(p, 2);
    return context;
}

static void random_event(producer *p, journal_calls *span) {
    attributes list = random_attributes(p, one_in(p, 3) ? 6 : 1);
    text name = random_bad_text(p, below(p, 30));
    hotel_event event = {.name = name.bytes,
                         .name_size = name.size,
                         .time_ns = one_in(p, 2) ? 0 : random_bits(p) | 1,
                         .attributes = list.items,
                         .num_attributes = list.count};
    if (name.size == 0) event.name = NULL;
    journal_event(span, &event);
    forget(p);
}

static void random_link(producer *p, journal_calls *span) {
    attributes list = random_attributes(p, one_in(p, 3) ? 6 : 1);
    hotel_link link = {
        .context = random_context(p), .attributes = list.items, .num_attributes = list.count};
    journal_add_link(span, &link);
    forget(p);
}

/* A few keys over and over, with values of all sizes: replaced in place, at the end, compacted. */
static void random_replacements(producer *p, journal_calls *span) {
    static const char *const keys[] = {"a", "key.5", "k\xef\xbf\xbd"};
    size_t count = 20 + below(p, 60);
    while (count-- > 0) {
        text t = random_bad_text(p, below(p, one_in(p, 4) ? 1500 : 60));
        JOURNAL_SET(span, hotel_strn(keys[below(p, COUNT(keys))], t.bytes, t.size));
        forget(p);
    }
}

static void random_call(producer *p, journal_calls *span) {
    attributes list;
    text t;
    switch (below(p, 12)) {
    case 0:
    case 1:
        random_event(p, span);
        return;
    case 2:
        random_link(p, span);
        return;
    case 3:
        t = random_bad_text(p, below(p, 40));
        journal_status(span, (hotel_status)below(p, 3), t.bytes, t.size);
        break;
    case 4:
        t = random_bad_text(p, below(p, 60));
        journal_rename(span, t.bytes, t.size);
        break;
    case 5:
        list = random_attributes(p, 2);
        journal_exception(span, one_in(p, 3) ? NULL : random_bad_text(p, 10).bytes, "a message",
                          random_bad_text(p, below(p, 100)).bytes, list.items, list.count);
        break;
    case 6:
        if (one_in(p, 8)) random_replacements(p, span);
        break;
    default:
        list = random_attributes(p, one_in(p, 4) ? 12 : 1);
        journal_set(span, list.items, list.count);
        break;
    }
    forget(p);
}

/* Now and then many of one kind, past the limit of 128. */
static void random_calls(producer *p, journal_calls *span) {
    size_t count = below(p, 12);
    while (count-- > 0) random_call(p, span);
    if (one_in(p, 60)) {
        bool events = one_in(p, 2);
        for (count = 100 + below(p, 100); count > 0; count--) {
            if (events) {
                random_event(p, span);
            } else {
                random_link(p, span);
            }
        }
    }
}

/* ---- several threads on one span ------------------------------------------------------------- */

typedef struct guest {
    journal_calls calls;
    uint64_t seed;
    unsigned number;
} guest;

/* Keys of its own, whose order against other threads does not matter, and one that all fight for.
   Few enough for no limit to be reached. */
static void *visit(void *argument) {
    guest *g = (guest *)argument;
    producer p;
    unsigned i;
    memset(&p, 0, sizeof p);
    p.state = g->seed;
    p.scratch = (char *)malloc(SCRATCH_BYTES);
    if (p.scratch == NULL) exit(2);
    for (i = 0; i < 20; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "thread.%u.%u", g->number, i % 15);
        JOURNAL_SET(&g->calls, hotel_attrn(key, strlen(key), random_value(&p, 1)),
                    hotel_int("everybody's", (int64_t)(g->number * 100 + i)));
        if (i % 4 == 0) random_event(&p, &g->calls);
        forget(&p);
    }
    free(p.scratch);
    return NULL;
}

static void end_shared(producer *p, journal_calls *span) {
    guest guests[NUM_GUESTS];
    journal_calls calls[NUM_GUESTS];
    pthread_t threads[NUM_GUESTS];
    unsigned i;
    for (i = 0; i < NUM_GUESTS; i++) {
        guests[i].calls = journal_share(span);
        guests[i].seed = random_bits(p);
        guests[i].number = i;
        if (pthread_create(&threads[i], NULL, visit, &guests[i]) != 0) exit(2);
    }
    for (i = 0; i < NUM_GUESTS; i++) {
        (void)pthread_join(threads[i], NULL);
        calls[i] = guests[i].calls;
    }
    journal_end_shared(span, 0, calls, NUM_GUESTS);
}

/* ---- spans ----------------------------------------------------------------------------------- */

static const char *random_tracestate(producer *p) {
    static const char *const states[] = {NULL, "", "a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
                                         "tenant@vendor=x y,k_-*/9=~!"};
    return states[below(p, COUNT(states))];
}

static journal_parent random_remote(producer *p, char traceparent[HOTEL_TRACEPARENT_SIZE]) {
    (void)snprintf(traceparent, HOTEL_TRACEPARENT_SIZE,
                   "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%02x", random_bits(p),
                   random_bits(p) | 1, random_bits(p) | 1,
                   (unsigned)(one_in(p, 8) ? 0 : below(p, 4) | 1));
    return journal_remote(traceparent, random_tracestate(p));
}

/* Keeps a span as a parent for later, its tracestate included. That of an unsampled span is its
   parent's, which may be the one that makes room: hold first. */
static void remember(producer *p, const journal_calls *span) {
    hotel_context context = {.span = span->span};
    hotel_context held = hotel_context_hold(&context);
    size_t place = p->num_recent;
    if (p->num_recent < NUM_RECENT) {
        p->num_recent++;
    } else {
        place = below(p, NUM_RECENT);
        hotel_context_release(&p->recent[place]);
    }
    p->recent[place] = held;
}

static void random_span(producer *p, const journal_parent *given, const journal_calls *task) {
    char traceparent[HOTEL_TRACEPARENT_SIZE];
    attributes list = random_attributes(p, one_in(p, 10) ? 40 : 4);
    hotel_link link = {.context = random_context(p)};
    text name = random_bad_text(p, 1 + below(p, 30));
    journal_start_options options = {.kind = (hotel_kind)below(p, 6),
                                     .start_time_ns = one_in(p, 3) ? random_bits(p) | 1 : 0,
                                     .attributes = list.items,
                                     .num_attributes = list.count,
                                     .links = &link,
                                     .num_links = one_in(p, 5),
                                     .task = task};
    journal_parent parent;
    journal_calls span;
    memset(&parent, 0, sizeof parent);
    options.parent = &parent;
    if (given != NULL) {
        options.parent = given;
        options.implicit = true;
    } else if (one_in(p, 4)) {
        options.parent = NULL;
    } else if (one_in(p, 3) || p->num_recent == 0) {
        parent = random_remote(p, traceparent);
    } else {
        parent.context = p->recent[below(p, p->num_recent)];
    }
    if (!one_in(p, 3)) options.scope = &p->session->scopes[below(p, p->session->num_scopes)];
    span = journal_start(name.bytes, name.size, &options);
    forget(p);
    remember(p, &span);
    if (parent.traceparent != NULL) hotel_context_release(&parent.context);
    if (p->session->many_attributes && one_in(p, 50)) {
        end_shared(p, &span);
    } else {
        random_calls(p, &span);
        journal_end(&span, one_in(p, 3) ? random_bits(p) | 1 : 0);
    }
    p->num_spans++;
}

static void random_task(producer *p) {
    char metadata[256];
    char traceparent[HOTEL_TRACEPARENT_SIZE];
    journal_parent parent = random_remote(p, traceparent);
    journal_parent under_task;
    text payload = random_text(p, one_in(p, 4) ? 3000 : below(p, 100));
    journal_calls task;
    size_t children = 1 + below(p, 8);
    parent.tracestate = NULL;
    (void)snprintf(metadata, sizeof metadata, "{\"traceparent\":\"%s\"}", traceparent);
    task =
        journal_start_step_run(&(hotel_step_run){.workflow_name = "random",
                                                 .step_name = "step",
                                                 .tenant_id = "tenant",
                                                 .retry_count = (int32_t)below(p, 3),
                                                 .payload = payload.size > 0 ? payload.bytes : NULL,
                                                 .payload_size = payload.size,
                                                 .additional_metadata = metadata},
                               &parent);
    hotel_context_release(&parent.context);
    forget(p);
    under_task = journal_local(&task);
    while (children-- > 0) random_span(p, &under_task, &task);
    random_calls(p, &task);
    if (one_in(p, 3)) {
        journal_end_task(&task, "Type", "message");
    } else {
        journal_end_task(&task, NULL, NULL);
    }
    p->num_spans++;
}

static unsigned spans_each;

static void *produce(void *argument) {
    producer *p = (producer *)argument;
    unsigned flushed = 0;
    while (p->num_spans < spans_each && !p->failed) {
        if (p->session->many_attributes && one_in(p, 40)) {
            random_task(p);
        } else {
            random_span(p, NULL, NULL);
        }
        if (p->num_spans - flushed >= FLUSH_EVERY) {
            p->failed = hotel_flush(60000) != HOTEL_OK;
            flushed = p->num_spans;
        }
    }
    while (p->num_recent > 0) hotel_context_release(&p->recent[--p->num_recent]);
    return NULL;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool balanced(void) {
    hotel_stats stats;
    hotel_destination_stats sent;
    hotel_get_stats(&stats);
    if (hotel_get_destination_stats(0, &sent) != HOTEL_OK) return false;
    printf("%" PRIu64 " started, %" PRIu64 " unsampled, %" PRIu64 " ended, %" PRIu64
           " accepted in %" PRIu64 " requests, %" PRIu64 " repaired\n",
           stats.started, stats.unsampled, stats.ended, sent.accepted, sent.requests,
           stats.repaired);
    return stats.started == stats.unsampled + stats.ended && sent.accepted == stats.ended;
}

static char *random_string(producer *p, size_t most) {
    text t = random_bad_text(p, below(p, most));
    size_t i;
    for (i = 0; i < t.size; i++) {
        if (t.bytes[i] == '\0') t.bytes[i] = '0';
    }
    return t.bytes;
}

/* Mostly none, else a small one: many are reached then. */
static uint32_t random_limit(producer *p, uint32_t most) {
    return one_in(p, 2) ? 0 : one_in(p, 8) ? HOTEL_NONE : 1 + (uint32_t)below(p, most);
}

static hotel_limits random_limits(producer *p) {
    hotel_limits limits = {.attribute_count = random_limit(p, 12),
                           .attribute_value_length = random_limit(p, one_in(p, 2) ? 3 : 40),
                           .attribute_value_depth = random_limit(p, one_in(p, 4) ? 100 : 4),
                           .event_count = random_limit(p, 5),
                           .link_count = random_limit(p, 5),
                           .event_attribute_count = random_limit(p, 4),
                           .link_attribute_count = random_limit(p, 4)};
    return limits;
}

/* Scopes are few and small, so that all get their place. Of empty texts it does not matter whether
   they are NULL. */
static void random_setting(producer *p, setting *s) {
    size_t i;
    s->many_attributes = s->limits.attribute_count == 0 && s->limits.event_count == 0;
    s->num_scopes = 1 + below(p, MAX_SCOPES);
    for (i = 0; i < s->num_scopes; i++) {
        hotel_tracer_config *scope = &s->scopes[i];
        size_t k, bytes = 0;
        scope->name = random_string(p, 12);
        scope->version = one_in(p, 2) ? NULL : random_string(p, 6);
        scope->schema_url = one_in(p, 2) ? NULL : random_string(p, 12);
        if (one_in(p, 2)) continue;
        scope->num_attributes = below(p, 6);
        scope->attributes = (hotel_attr *)take(p, 6 * sizeof(hotel_attr));
        for (k = 0; k < scope->num_attributes; k++) {
            hotel_attr *attribute = (hotel_attr *)(uintptr_t)&scope->attributes[k];
            text key = random_key(p);
            *attribute = hotel_attrn(key.bytes, key.size, random_value(p, 4));
            bytes += 3 * key.size;
        }
        if (bytes > 600) scope->num_attributes = 0;
    }
}

static bool session(const hotel_destination *where, uint64_t seed, unsigned num_spans,
                    bool release) {
    hotel_config config = {.destinations = where,
                           .num_destinations = 1,
                           .arena_bytes = (size_t)64 << 20,
                           .log_fn = hotel_log_to_stderr,
                           .log_level = HOTEL_LOG_ERROR,
                           .ignore_environment = true};
    producer producers[NUM_PRODUCERS], maker;
    pthread_t threads[NUM_PRODUCERS];
    setting common;
    attributes resource;
    bool failed = false;
    size_t i;
    memset(producers, 0, sizeof producers);
    memset(&maker, 0, sizeof maker);
    memset(&common, 0, sizeof common);
    maker.state = seed * 1000003 + NUM_PRODUCERS;
    maker.scratch = (char *)malloc(SCRATCH_BYTES);
    if (maker.scratch == NULL) return false;
    if (!one_in(&maker, 4)) common.limits = random_limits(&maker);
    resource = random_attributes(&maker, 12);
    config.service_name = one_in(&maker, 4) ? NULL : random_string(&maker, 12);
    if (config.service_name != NULL && config.service_name[0] == '\0') config.service_name = NULL;
    config.resource = resource.items;
    config.num_resource = resource.count;
    config.resource_schema_url = one_in(&maker, 2) ? NULL : random_string(&maker, 12);
    config.limits = common.limits;
    if (journal_init(&config) != HOTEL_OK) return false;
    forget(&maker); /* all that the library was given is copied, but for the scopes */
    random_setting(&maker, &common);
    spans_each = (num_spans + NUM_PRODUCERS - 1) / NUM_PRODUCERS;
    for (i = 0; i < NUM_PRODUCERS; i++) {
        producers[i].state = seed * 1000003 + i;
        producers[i].session = &common;
        producers[i].scratch = (char *)malloc(SCRATCH_BYTES);
        if (producers[i].scratch == NULL) return false;
        if (pthread_create(&threads[i], NULL, produce, &producers[i]) != 0) return false;
    }
    for (i = 0; i < NUM_PRODUCERS; i++) {
        (void)pthread_join(threads[i], NULL);
        free(producers[i].scratch);
        failed = failed || producers[i].failed;
    }
    free(maker.scratch);
    if (hotel_shutdown(60000) != HOTEL_OK || !balanced() || failed) return false;
    return !release || hotel_release() == HOTEL_OK;
}

int main(int argc, char **argv) {
    uint64_t seed;
    unsigned num_spans, i;
    bool delivered = true;
    hotel_destination where = {
        .timeout_ms = 60000, .max_queue_size = 65536, .max_request_bytes = 4u << 20};
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: random_spans ENDPOINT JOURNAL SEED SPANS [CA (then by gRPC)]\n");
        return 2;
    }
    where.endpoint = argv[1];
    if (argc == 6) {
        where.protocol = HOTEL_PROTOCOL_GRPC;
        where.tls.ca_file = argv[5];
    }
    seed = strtoull(argv[3], NULL, 0);
    num_spans = (unsigned)strtoul(argv[4], NULL, 0);
    journal_open(argv[2]);
    for (i = 0; i < NUM_SESSIONS && delivered; i++) {
        unsigned some = (num_spans + NUM_SESSIONS - 1) / NUM_SESSIONS;
        delivered = session(&where, seed * NUM_SESSIONS + i, some, i % 2 == 1);
    }
    journal_close();
    return delivered ? 0 : 1;
}
