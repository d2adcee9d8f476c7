/*
 * SPDX-License-Identifier: MIT
 *
 * test_propagation.c - what travels beside a span, and how it leaves and enters a process: values
 * and baggage in contexts, propagators over carriers, the global propagator and its settings.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink.h"

#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
#define VALID "00-" IDS "-01"
#define B3_TRACE "463ac35c9f6413ad48485a3953bb6124"
#define B3_SPAN "0020000000000001"

/* ---- A carrier ------------------------------------------------------------------------------ */

enum { CARRIER_MAX = 16, CARRIER_TEXT = 9000 };

typedef struct carrier {
    hotel_header list[CARRIER_MAX];
    char values[CARRIER_MAX][CARRIER_TEXT];
    size_t count;
    size_t calls; /* of the setter */
} carrier;

static void carrier_set(void *user, const char *key, const char *value) {
    carrier *c = (carrier *)user;
    size_t i;
    c->calls++;
    for (i = 0; i < c->count && strcmp(c->list[i].name, key) != 0; i++) continue;
    if (i == CARRIER_MAX || strlen(value) >= CARRIER_TEXT) abort();
    if (i == c->count) c->count++;
    (void)strcpy(c->values[i], value);
    c->list[i].name = key;
    c->list[i].value = c->values[i];
}

static const hotel_setter carrier_setter = {carrier_set};

static carrier *emptied(void) {
    static carrier c;
    c.count = c.calls = 0;
    return &c;
}

static const char *sent(const carrier *c, const char *key) {
    size_t i;
    for (i = 0; i < c->count; i++) {
        if (strcmp(c->list[i].name, key) == 0) return c->list[i].value;
    }
    return NULL;
}

/* What a propagator of choice makes of some headers, from an empty context. */
static hotel_context received(const hotel_propagator *p, const hotel_header *list, size_t count) {
    hotel_headers headers;
    hotel_context none;
    hotel_getter getter = hotel_header_getter();
    memset(&none, 0, sizeof none);
    headers.list = list;
    headers.count = count;
    return hotel_extract_with(p, &none, &getter, &headers);
}

static const char *traceparent_of(const hotel_context *context) {
    static char out[HOTEL_TRACEPARENT_SIZE];
    (void)hotel_traceparent(&context->span, out);
    return out;
}

static const char *tracestate_of(const hotel_context *context) {
    static char out[2048];
    (void)hotel_tracestate(&context->span, out, sizeof out);
    return out;
}

static const char *baggage_of(const hotel_context *context) {
    static char memory[HOTEL_BAGGAGE_BYTES], out[HOTEL_BAGGAGE_HEADER_SIZE];
    hotel_baggage b;
    hotel_baggage_start(&b, memory, sizeof memory);
    if (!hotel_context_baggage(context, &b)) return "no room";
    (void)hotel_baggage_format(&b, out, sizeof out);
    return out;
}

static hotel_context with_header(const hotel_context *context, const char *header) {
    char memory[HOTEL_BAGGAGE_BYTES];
    hotel_baggage b;
    hotel_baggage_start(&b, memory, sizeof memory);
    (void)hotel_baggage_parse(&b, header, strlen(header));
    return hotel_context_with_baggage(context, &b);
}

static hotel_context empty_context(void) {
    hotel_context none;
    memset(&none, 0, sizeof none);
    return none;
}

static unsigned long long stale(void) {
    return read_books().process.stale_references - books_opened.process.stale_references;
}

static unsigned long long rejected(void) {
    return read_books().process.rejected_parents - books_opened.process.rejected_parents;
}

static unsigned long long limited(void) {
    return read_books().process.limited - books_opened.process.limited;
}

static unsigned long long chunks_free(void) { return read_books().process.chunks_free; }

/* ---- Without hotel_init --------------------------------------------------------------------- */

static void test_before_init(void) {
    hotel_propagator trace = hotel_tracecontext_propagator(), b3 = hotel_b3_propagator();
    hotel_propagator baggage = hotel_baggage_propagator();
    hotel_header header = {"traceparent", VALID}, list = {"baggage", "a=1"};
    hotel_getter getter = hotel_header_getter();
    hotel_headers headers;
    hotel_key first = hotel_create_key("key"), second = hotel_create_key("key");
    hotel_context context, other;
    carrier *c = emptied();
    headers.list = &header;
    headers.count = 1;
    ok(hotel_propagator_field(NULL, 0) == NULL, "CP-08 the global propagator is none at first");
    ok(hotel_get_global_propagator().inject_fn == NULL, "CP-08 and can be got");
    context = hotel_extract_from(&getter, &headers);
    ok(!hotel_is_valid(&context.span.context), "WC-05 extracts nothing");
    context = received(&trace, &header, 1);
    is_str(traceparent_of(&context), VALID, "CP-09 a propagator extracts before hotel_init");
    hotel_inject(&context, &carrier_setter, c);
    is_int(c->count, 0, "WC-05 the global one injects nothing");
    hotel_inject_with(&trace, &context, &carrier_setter, c);
    is_str(sent(c, "traceparent"), VALID, "CP-09 a propagator injects before hotel_init");
    hotel_inject_with(&b3, &context, &carrier_setter, c);
    ok(sent(c, "b3") != NULL, "CP-10 so does B3");
    ok(first.id != second.id && first.id != 0, "CP-01 keys are made before hotel_init");
    other = hotel_context_with_value(&context, first, &first);
    ok(hotel_context_value(&other, first) == NULL, "CP-02 but values have no place yet");
    is_str(traceparent_of(&other), VALID, "CP-03 the rest of the context is there");
    hotel_context_release(&other);
    other = received(&baggage, &list, 1);
    is_str(baggage_of(&other), "", "BG-02 nor has baggage");
    hotel_context_release(&other);
    hotel_context_release(&context);
}

/* ---- Values --------------------------------------------------------------------------------- */

static void test_values(void) {
    hotel_key a, b, none = {0};
    hotel_context empty = empty_context(), one, two, three, gone;
    int x = 1, y = 2;
    unsigned long long before;
    sink_open(NULL);
    before = chunks_free();
    a = hotel_create_key("same name");
    b = hotel_create_key("same name");
    ok(a.id != b.id, "CP-01 two keys of one name are two keys");
    one = hotel_context_with_value(&empty, a, &x);
    two = hotel_context_with_value(&one, b, &y);
    three = hotel_context_with_value(&two, a, &y);
    gone = hotel_context_with_value(&three, b, NULL);
    ok(hotel_context_value(&one, a) == &x, "CP-02 a value is read back");
    ok(hotel_context_value(&one, b) == NULL, "CP-01 not under a key of the same name");
    ok(hotel_context_value(&two, a) == &x && hotel_context_value(&two, b) == &y, "CP-02 two");
    ok(hotel_context_value(&three, a) == &y, "CP-02 set again");
    ok(hotel_context_value(&two, a) == &x, "CP-03 the old context is unchanged");
    ok(hotel_context_value(&empty, a) == NULL, "SP-05 nor is the first one");
    ok(hotel_context_value(&gone, b) == NULL && hotel_context_value(&gone, a) == &y,
       "CP-02 a NULL value takes it out");
    ok(hotel_context_value(&two, none) == NULL, "SP-06 no key, no value");
    {
        hotel_context odd = hotel_context_with_value(&two, none, &x);
        ok(hotel_context_value(&odd, a) == &x, "SP-06 setting without a key changes nothing");
        hotel_context_release(&odd);
    }
    {
        HOTEL_ATTACH(here, &two);
        HOTEL_SCOPE(span, hotel_start("inside"));
        hotel_context inner = hotel_context_with_value(NULL, a, &y), held;
        ok(hotel_context_value(NULL, b) == &y, "CP-06 values of the current context, below a span");
        ok(hotel_context_value(&inner, b) == &y && hotel_context_value(&inner, a) == &y,
           "CP-03 the current one with another value");
        ok(hotel_context_value(NULL, a) == &x, "CP-03 which is not current by that");
        held = hotel_context_hold(NULL);
        hotel_context_release(&inner);
        ok(hotel_context_value(&held, b) == &y, "CP-06 a held one has them");
        hotel_context_release(&held);
    }
    ok(hotel_context_value(NULL, b) == NULL, "CP-05 nothing current, nothing there");
    hotel_context_release(&one);
    ok(hotel_context_value(&two, a) == &x, "CP-03 each context holds what it has");
    ok(hotel_context_value(&one, a) == NULL, "a released one is empty");
    hotel_context_release(&two);
    hotel_context_release(&three);
    hotel_context_release(&gone);
    hotel_context_release(&gone);
    sink_flush();
    is_int(chunks_free(), before, "CP-03 all room was given back");
    is_int(stale(), 0, "CP-03 nothing was used after its release");
    sink_close("values");
}

static void test_most_values(void) {
    hotel_context context = empty_context();
    hotel_key keys[33];
    int values[33];
    unsigned i, wrong = 0;
    unsigned long long before;
    sink_open(NULL);
    before = chunks_free();
    for (i = 0; i < 33; i++) {
        hotel_context next;
        keys[i] = hotel_create_key(NULL);
        next = hotel_context_with_value(&context, keys[i], &values[i]);
        hotel_context_release(&context);
        context = next;
    }
    for (i = 0; i < 32; i++) wrong += hotel_context_value(&context, keys[i]) != &values[i];
    is_int(wrong, 0, "CP-02 32 values are read back");
    ok(hotel_context_value(&context, keys[32]) == NULL, "CP-02 the 33rd is not in it");
    is_int(limited(), 1, "CP-02 which is counted");
    {
        hotel_context next = hotel_context_with_value(&context, keys[7], &values[8]);
        ok(hotel_context_value(&next, keys[7]) == &values[8], "CP-02 a full one can be changed");
        hotel_context_release(&next);
    }
    hotel_context_release(&context);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_CONTEXT_FULL), 1, "CP-02 and logged");
    is_int(chunks_free(), before, "all room was given back");
    sink_close("most values");
}

/* ---- Baggage in contexts -------------------------------------------------------------------- */

static void test_context_baggage(void) {
    hotel_context empty = empty_context(), one, two, none;
    char memory[100], small[30];
    hotel_baggage b;
    hotel_key key = hotel_create_key("key");
    unsigned long long before;
    sink_open(NULL);
    before = chunks_free();
    hotel_baggage_start(&b, memory, sizeof memory);
    (void)hotel_baggage_set(&b, "caf\xC3\xA9 key", "val,ue", "p=1");
    (void)hotel_baggage_set(&b, "b", "2", NULL);
    one = hotel_context_with_baggage(&empty, &b);
    (void)hotel_baggage_set(&b, "b", "3", NULL);
    two = hotel_context_with_baggage(&one, &b);
    memset(memory, 0, sizeof memory);
    ok(hotel_context_baggage(&one, &b), "BG-01 read out of a context");
    is_str(hotel_baggage_get(&b, "b"), "2", "BG-01 a copy that nobody changed");
    is_str(hotel_baggage_get(&b, "caf\xC3\xA9 key"), "val,ue", "BG-01 with any name");
    ok(hotel_context_baggage(&two, &b), "BG-01 the other one");
    is_str(hotel_baggage_get(&b, "b"), "3", "CP-03 is a context of its own");
    hotel_baggage_start(&b, small, sizeof small);
    ok(!hotel_context_baggage(&one, &b), "BG-01 read into too little memory");
    is_int(b.count + b.dropped, 2, "BG-01 what did not fit is counted");
    is_str(hotel_baggage_get(&b, "b"), "2", "BG-01 what does is there");
    none = hotel_context_with_baggage(&two, NULL);
    is_str(baggage_of(&none), "", "WB-11 all of it is removed from a context");
    is_str(baggage_of(&two), "b=3", "WB-11 whose origin keeps it");
    hotel_context_release(&none);
    hotel_baggage_clear(&b);
    none = hotel_context_with_baggage(&two, &b);
    is_str(baggage_of(&none), "", "WB-11 by an empty one, too");
    hotel_context_release(&none);
    none = hotel_context_with_value(&two, key, &b);
    is_str(baggage_of(&none), "b=3", "CP-03 a value beside it leaves it there");
    hotel_context_release(&none);
    {
        HOTEL_ATTACH(here, &two);
        HOTEL_SCOPE(span, hotel_start("carrying"));
        is_str(baggage_of(NULL), "b=3", "BG-01 the current context's, below a span");
    }
    is_str(baggage_of(NULL), "", "BG-01 none outside");
    ok(!hotel_context_baggage(&one, NULL), "SP-06 nowhere to");
    hotel_context_release(&one);
    hotel_context_release(&two);
    sink_flush();
    ok(!has_attribute(span_of("carrying"), "b"), "BG-01 baggage is no attribute");
    is_int(chunks_free(), before, "BG-01 all room was given back");
    is_int(stale(), 0, "BG-01 nothing was used after its release");
    sink_close("baggage in contexts");
}

static void test_stale_context(void) {
    hotel_context empty = empty_context(), held, copy, made;
    hotel_propagator baggage = hotel_baggage_propagator();
    hotel_key key = hotel_create_key("key");
    carrier *c = emptied();
    sink_open(NULL);
    made = hotel_context_with_value(&empty, key, &key);
    held = with_header(&made, "a=1");
    hotel_context_release(&made);
    copy = held;
    hotel_context_release(&held);
    ok(hotel_context_value(&copy, key) == NULL, "SP-06 a released context has no values");
    is_str(baggage_of(&copy), "", "SP-06 and no baggage");
    hotel_inject_with(&baggage, &copy, &carrier_setter, c);
    is_int(c->calls, 0, "SP-06 and nothing to send");
    made = hotel_context_hold(&copy);
    is_str(baggage_of(&made), "", "SP-06 nor has one that is held too late");
    hotel_context_release(&made);
    hotel_context_release(&copy);
    ok(stale() >= 5, "SP-06 all of it is counted");
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_STALE_REFERENCE), 1, "SP-06 and logged once");
    sink_close("a released context");
}

/* Values and baggage go down into a Hatchet task, and to a thread and a process of their own. */
static void *look_elsewhere(void *user_data) {
    hotel_context *context = (hotel_context *)user_data;
    HOTEL_ATTACH(here, context);
    return strcmp(baggage_of(NULL), "a=1;p") == 0 ? user_data : NULL;
}

static void test_carried(void) {
    hotel_context empty = empty_context(), context, held;
    hotel_step_run run;
    hotel_task task;
    hotel_key key = hotel_create_key("key");
    pthread_t thread;
    void *result = NULL;
    unsigned long long before;
    int status = -1;
    pid_t child;
    sink_open(NULL);
    before = chunks_free();
    held = with_header(&empty, "a=1;p");
    context = hotel_context_with_value(&held, key, &run);
    hotel_context_release(&held);
    memset(&run, 0, sizeof run);
    run.step_run_id = "run-1";
    {
        HOTEL_ATTACH(here, &context);
        task = hotel_start_step_run(&run);
    }
    held = hotel_context_hold(&task.context);
    is_str(baggage_of(&task.context), "a=1;p", "BG-01 a task carries on what was current");
    ok(hotel_context_value(&task.context, key) == &run, "CP-02 values, too");
    hotel_context_release(&context);
    is_str(baggage_of(&task.context), "a=1;p", "BG-01 and holds it");
    hotel_task_succeed(&task);
    if (pthread_create(&thread, NULL, look_elsewhere, &held) != 0) abort();
    (void)pthread_join(thread, &result);
    ok(result == NULL, "CP-05 the context of a task that is over is not current any more");
    is_str(baggage_of(&held), "a=1;p", "BG-01 but what it holds can be read");
    context = with_header(&empty, "a=1;p");
    if (pthread_create(&thread, NULL, look_elsewhere, &context) != 0) abort();
    (void)pthread_join(thread, &result);
    ok(result == &context, "CP-06 baggage goes with a context to another thread");
    child = fork();
    if (child == 0) {
        hotel_context more = hotel_context_with_value(&held, key, &child);
        bool good = strcmp(baggage_of(&held), "a=1;p") == 0 &&
                    hotel_context_value(&held, key) == &run &&
                    hotel_context_value(&more, key) == &child &&
                    strcmp(baggage_of(&more), "a=1;p") == 0;
        hotel_context_release(&held);
        good = good && strcmp(baggage_of(&more), "a=1;p") == 0;
        hotel_context_release(&more);
        _exit(good ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) abort();
    is_int(status, 0, "CP-06 a fork child reads and changes the contexts it inherits");
    hotel_context_release(&context);
    hotel_context_release(&held);
    sink_flush();
    is_int(chunks_free(), before, "BG-01 all room was given back");
    sink_close("what contexts carry");
}

/* A small arena: what has no room is left out, counted, and nothing breaks. */
enum { MOST = 100 };

static void test_no_room(void) {
    static char value[4000], memory[9000];
    hotel_config config = sink_config();
    hotel_context contexts[MOST], empty = empty_context();
    hotel_baggage b;
    hotel_key key = hotel_create_key("key");
    size_t i, made = 0;
    config.arena_bytes = 32 * 1024;
    config.limits.max_span_bytes = 2048;
    sink_open(&config);
    memset(value, 'v', sizeof value - 1);
    hotel_baggage_start(&b, memory, sizeof memory);
    (void)hotel_baggage_set(&b, "small", "1", NULL);
    (void)hotel_baggage_set(&b, "large", value, NULL);
    (void)hotel_baggage_set(&b, "behind", "2", NULL);
    contexts[0] = hotel_context_with_baggage(&empty, &b);
    is_str(baggage_of(&contexts[0]), "small=1", "WB-06 beyond max_span_bytes entries are left out");
    is_int(limited(), 2, "WB-06 and counted");
    hotel_context_release(&contexts[0]);
    (void)hotel_baggage_remove(&b, "large");
    for (i = 0; i < MOST; i++) {
        contexts[i] = hotel_context_with_baggage(&empty, &b);
        made += contexts[i].baggage.index != 0;
    }
    ok(made > 0 && made < MOST, "WB-06 %u contexts fill the arena", (unsigned)made);
    is_int(limited(), 2 + 2 * (MOST - made), "WB-06 those without room are counted");
    {
        hotel_context full = hotel_context_with_value(&contexts[0], key, &key);
        ok(hotel_context_value(&full, key) == NULL, "CP-03 nor is there room for a value");
        is_str(baggage_of(&full), "small=1,behind=2", "CP-03 the result is the old context");
        hotel_context_release(&full);
    }
    for (i = 0; i < MOST; i++) hotel_context_release(&contexts[i]);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_CONTEXT_FULL), 1, "WB-06 logged once");
    is_int(chunks_free(), read_books().process.chunks_total - 2, "all room was given back");
    sink_close("no room");
}

/* ---- Trace context -------------------------------------------------------------------------- */

static void test_trace_context(void) {
    hotel_propagator p = hotel_tracecontext_propagator();
    hotel_header list[4];
    hotel_context context, under;
    carrier *c = emptied();
    sink_open(NULL);
    list[0].name = "TraceParent";
    list[0].value = " \t" VALID " ";
    list[1].name = "TRACESTATE";
    list[1].value = "a=1, b=2";
    context = received(&p, list, 2);
    is_str(traceparent_of(&context), VALID, "WP-16 the name of the header in any case");
    ok(context.span.context.is_remote, "CP-09 remote");
    is_str(tracestate_of(&context), "a=1,b=2", "WT-03 with its tracestate");
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_str(sent(c, "traceparent"), VALID, "WP-16 sent in lower case");
    is_str(sent(c, "tracestate"), "a=1,b=2", "WT-14 as a single header");
    is_int(c->count, 2, "CP-15 nothing else");
    {
        HOTEL_ATTACH(here, &context);
        HOTEL_SCOPE(span, hotel_start("child"));
        hotel_inject_with(&p, NULL, &carrier_setter, emptied());
        is_mem(sent(c, "traceparent"), 36, VALID, 36, "CP-09 the trace goes on");
        ok(memcmp(sent(c, "traceparent") + 36, VALID + 36, 16) != 0, "WP-19 under another parent");
        is_str(sent(c, "tracestate"), "a=1,b=2", "WT-14 with the same tracestate");
        {
            hotel_start_options options;
            hotel_span root;
            memset(&options, 0, sizeof options);
            options.root = true;
            root = hotel_start_with("restarted", &options);
            under = hotel_context_with(&root);
            hotel_inject_with(&p, &under, &carrier_setter, emptied());
            ok(memcmp(sent(c, "traceparent"), VALID, 36) != 0, "WP-20 a trace that starts anew");
            ok(sent(c, "tracestate") == NULL, "WP-20 has no tracestate");
            hotel_end(&root);
        }
    }
    list[0].name = "trace-parent";
    list[2].name = "trace.parent";
    list[2].value = VALID;
    under = received(&p, list, 3);
    ok(!hotel_is_valid(&under.span.context), "WP-16 other names are other headers");
    is_str(tracestate_of(&under), "", "WT-15 tracestate without a traceparent is ignored");
    hotel_context_release(&under);
    hotel_context_release(&context);
    context = empty_context();
    hotel_inject_with(&p, &context, &carrier_setter, emptied());
    is_int(c->calls, 0, "WP-18 without a valid span nothing is written");
    sink_flush();
    sink_close("trace context");
}

static void test_repeated_traceparent(void) {
    hotel_propagator p = hotel_tracecontext_propagator();
    hotel_header list[4];
    hotel_context context, kept;
    hotel_headers headers;
    hotel_getter getter = hotel_header_getter();
    sink_open(NULL);
    list[0].name = "traceparent";
    list[0].value = VALID;
    list[1].name = "tracestate";
    list[1].value = "a=1";
    list[2].name = "traceparent";
    list[2].value = "00-" IDS "-00";
    context = received(&p, list, 3);
    ok(!hotel_is_valid(&context.span.context), "WP-15 two that differ are refused");
    is_str(tracestate_of(&context), "", "WP-17 and the tracestate is not read");
    hotel_context_release(&context);
    is_int(rejected(), 1, "WP-15 and counted");
    list[2].value = VALID "-more";
    context = received(&p, list, 3);
    ok(!hotel_is_valid(&context.span.context), "WP-15 so are two where one goes on");
    hotel_context_release(&context);
    list[2].value = "  " VALID "\t";
    context = received(&p, list, 3);
    is_str(traceparent_of(&context), VALID, "WP-15 two that are equal are one");
    is_str(tracestate_of(&context), "a=1", "WP-15 with the tracestate");
    list[0].value = list[2].value = "00-x";
    headers.list = list;
    headers.count = 3;
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(traceparent_of(&kept), VALID, "WP-17 a refused one leaves the context as it was");
    is_str(tracestate_of(&kept), "a=1", "WP-17 all of it");
    hotel_context_release(&kept);
    headers.count = 0;
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(traceparent_of(&kept), VALID, "WP-17 so does an absent one");
    hotel_context_release(&kept);
    list[0].value = "00-" IDS "-00";
    headers.count = 1;
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(tracestate_of(&kept), "", "WP-17 an accepted one takes the old tracestate away");
    is_str(tracestate_of(&context), "a=1", "CP-03 not from the context it came from");
    hotel_context_release(&kept);
    hotel_context_release(&context);
    is_int(stale(), 0, "nothing was used after its release");
    sink_close("repeated traceparent");
}

static void test_repeated_tracestate(void) {
    static char many[3000];
    hotel_propagator p = hotel_tracecontext_propagator();
    hotel_header list[5];
    hotel_context context;
    size_t i, used = 0;
    sink_open(NULL);
    for (i = 0; i < 5; i++) list[i].name = "tracestate";
    list[0].name = "traceparent";
    list[0].value = VALID;
    list[1].value = "a=1,b=2";
    list[2].value = "";
    list[3].value = " c=3 ,";
    list[4].value = "a=4,d=5";
    context = received(&p, list, 5);
    is_str(tracestate_of(&context), "a=1,b=2,c=3,d=5", "WT-01 several headers are one list");
    hotel_context_release(&context);
    list[3].value = "c=";
    context = received(&p, list, 5);
    is_str(tracestate_of(&context), "", "WT-08 a bad member in one of them drops them all");
    is_str(traceparent_of(&context), VALID, "WT-08 but not the traceparent");
    hotel_context_release(&context);
    for (i = 0; i < 17; i++) {
        used += (size_t)snprintf(many + used, sizeof many - used, "%sx%u=1", i > 0 ? "," : "",
                                 (unsigned)i);
    }
    list[1].value = many;
    list[2].value = "y0=1,y1=1,y2=1,y3=1,y4=1,y5=1,y6=1,y7=1,y8=1,y9=1,ya=1,yb=1,yc=1,yd=1,ye=1";
    context = received(&p, list, 3);
    ok(strncmp(tracestate_of(&context), "x0=1,", 5) == 0, "WT-01 32 members in two headers");
    hotel_context_release(&context);
    list[3].value = "z=1";
    context = received(&p, list, 4);
    is_str(tracestate_of(&context), "", "WT-04 33 members in three");
    hotel_context_release(&context);
    memset(many, ' ', sizeof many - 1);
    list[1].value = list[2].value = list[3].value = many;
    list[2].value = "a=1";
    list[3].value = many;
    context = received(&p, list, 4);
    is_str(tracestate_of(&context), "", "WT-12 headers too long for one list are left out");
    is_str(traceparent_of(&context), VALID, "WT-08 the traceparent stays");
    hotel_context_release(&context);
    sink_close("repeated tracestate");
}

/* ---- Baggage -------------------------------------------------------------------------------- */

static void test_baggage(void) {
    hotel_propagator p = hotel_baggage_propagator();
    hotel_header list[3];
    hotel_context context, kept, empty = empty_context();
    hotel_headers headers;
    hotel_getter getter = hotel_header_getter();
    char memory[200];
    hotel_baggage b;
    carrier *c = emptied();
    sink_open(NULL);
    list[0].name = "Baggage";
    list[0].value = "user=caf%C3%A9 ; p = 1, b=2,junk";
    list[1].name = "other";
    list[1].value = "x=1";
    list[2].name = "baggage";
    list[2].value = "c=3,b=4";
    context = received(&p, list, 3);
    is_str(baggage_of(&context), "user=caf%C3%A9;p=1,c=3,b=4", "WB-12 two headers are one list");
    ok(!hotel_is_valid(&context.span.context), "BG-02 without a trace");
    is_int(rejected(), 1, "WB-09 the malformed member is counted");
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_str(sent(c, "baggage"), "user=caf%C3%A9;p=1,c=3,b=4", "BG-02 sent in the header baggage");
    is_int(c->count, 1, "CP-15 and nothing else");
    headers.list = list;
    headers.count = 3;
    list[0].value = "junk";
    list[2].value = " , =";
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(baggage_of(&kept), "user=caf%C3%A9;p=1,c=3,b=4", "WB-10 nothing valid changes nothing");
    hotel_context_release(&kept);
    headers.count = 0;
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(baggage_of(&kept), "user=caf%C3%A9;p=1,c=3,b=4", "WB-10 nor does nothing");
    hotel_context_release(&kept);
    headers.count = 1;
    list[0].value = "new=1";
    kept = hotel_extract_with(&p, &context, &getter, &headers);
    is_str(baggage_of(&kept), "new=1", "WB-10 what is valid replaces it");
    is_str(baggage_of(&context), "user=caf%C3%A9;p=1,c=3,b=4", "CP-03 in a context of its own");
    hotel_context_release(&kept);
    hotel_inject_with(&p, &empty, &carrier_setter, emptied());
    is_int(c->calls, 0, "WB-10 without baggage nothing is written");
    kept = hotel_context_with_baggage(&context, NULL);
    hotel_inject_with(&p, &kept, &carrier_setter, emptied());
    is_int(c->calls, 0, "WB-11 nor when it was removed");
    hotel_context_release(&kept);
    hotel_baggage_start(&b, memory, sizeof memory);
    (void)hotel_baggage_set(&b, "no token", "1", NULL);
    kept = hotel_context_with_baggage(&context, &b);
    hotel_inject_with(&p, &kept, &carrier_setter, emptied());
    is_int(c->calls, 0, "WB-08 nor when nothing of it can be sent");
    is_int(limited(), 1, "WB-08 which is counted");
    (void)hotel_baggage_set(&b, "token", "1", NULL);
    hotel_context_release(&kept);
    kept = hotel_context_with_baggage(&context, &b);
    hotel_inject_with(&p, &kept, &carrier_setter, emptied());
    is_str(sent(c, "baggage"), "token=1", "WB-08 the others are sent");
    hotel_context_release(&kept);
    hotel_context_release(&context);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_BAD_BAGGAGE), 1, "WB-08 logged once");
    is_int(stale(), 0, "nothing was used after its release");
    sink_close("baggage");
}

static void test_large_baggage(void) {
    static char first[9000], second[9000], expected[18002];
    hotel_propagator p = hotel_baggage_propagator();
    hotel_header list[2];
    hotel_context context;
    carrier *c = emptied();
    size_t i, used = 0;
    sink_open(NULL);
    list[0].name = list[1].name = "baggage";
    list[0].value = first;
    list[1].value = second;
    for (i = 0; i < 32; i++) {
        used += (size_t)snprintf(first + used, sizeof first - used, "%sk%02u=%0120u",
                                 i > 0 ? "," : "", (unsigned)i, (unsigned)i);
    }
    for (used = 0; i < 64; i++) {
        used += (size_t)snprintf(second + used, sizeof second - used, "%sk%02u=%0120u",
                                 i > 32 ? "," : "", (unsigned)i, (unsigned)i);
    }
    (void)snprintf(expected, sizeof expected, "%s,%s", first, second);
    context = received(&p, list, 2);
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_str(sent(c, "baggage"), expected, "WB-06 64 members and %u bytes are carried through",
           (unsigned)strlen(expected));
    hotel_context_release(&context);
    (void)snprintf(second + used, sizeof second - used, ",k64=1");
    context = received(&p, list, 2);
    hotel_inject_with(&p, &context, &carrier_setter, emptied());
    is_str(sent(c, "baggage"), expected, "WB-06 the 65th member of two headers is dropped");
    hotel_context_release(&context);
    memset(first, 'v', 8192);
    (void)memcpy(first, "k=", 2);
    first[8192] = '\0';
    context = received(&p, list, 1);
    hotel_inject_with(&p, &context, &carrier_setter, emptied());
    is_int(strlen(sent(c, "baggage")), 8192, "WB-06 one member of 8192 bytes is carried through");
    hotel_context_release(&context);
    sink_close("large baggage");
}

/* ---- B3 ------------------------------------------------------------------------------------- */

typedef struct b3_row {
    const char *id;
    const char *single, *trace, *span, *sampled, *flags; /* headers; NULL: absent */
    const char *sent;       /* single header that goes on; NULL: nothing was extracted */
    unsigned refused;       /* headers that are counted as such */
} b3_row;

#define GOOD B3_TRACE "-" B3_SPAN

static const b3_row b3_rows[] = {
    {"single, sampled", GOOD "-1", NULL, NULL, NULL, NULL, GOOD "-1", 0},
    {"single, not sampled", GOOD "-0", NULL, NULL, NULL, NULL, GOOD "-0", 0},
    {"single, debug implies sampled", GOOD "-d", NULL, NULL, NULL, NULL, GOOD "-d", 0},
    {"single, undecided", GOOD, NULL, NULL, NULL, NULL, GOOD "-0", 0},
    {"single, with its parent", GOOD "-1-05e3ac9a4f6e3b90", NULL, NULL, NULL, NULL, GOOD "-1", 0},
    {"single, blanks around", " " GOOD "-1\t", NULL, NULL, NULL, NULL, GOOD "-1", 0},
    {"single, 64 bits", "48485a3953bb6124-" B3_SPAN "-1", NULL, NULL, NULL, NULL,
     "000000000000000048485a3953bb6124-" B3_SPAN "-1", 0},
    {"single, a decision only", "0", NULL, NULL, NULL, NULL, NULL, 0},
    {"single, debug only", "d", NULL, NULL, NULL, NULL, NULL, 0},
    {"single, malformed", GOOD "-x", NULL, NULL, NULL, NULL, NULL, 1},
    {"single, zero trace ID", "00000000000000000000000000000000-" B3_SPAN "-1", NULL, NULL, NULL,
     NULL, NULL, 1},
    {"multi, sampled", NULL, B3_TRACE, B3_SPAN, "1", NULL, GOOD "-1", 0},
    {"multi, not sampled", NULL, B3_TRACE, B3_SPAN, "0", NULL, GOOD "-0", 0},
    {"multi, true", NULL, B3_TRACE, B3_SPAN, "True", NULL, GOOD "-1", 0},
    {"multi, false", NULL, B3_TRACE, B3_SPAN, "false", NULL, GOOD "-0", 0},
    {"multi, undecided", NULL, B3_TRACE, B3_SPAN, NULL, NULL, GOOD "-0", 0},
    {"multi, debug implies sampled", NULL, B3_TRACE, B3_SPAN, NULL, "1", GOOD "-d", 0},
    {"multi, debug beats sampled", NULL, B3_TRACE, B3_SPAN, "0", "1", GOOD "-d", 0},
    {"multi, other flags", NULL, B3_TRACE, B3_SPAN, "1", "0", GOOD "-1", 0},
    {"multi, 64 bits", NULL, "48485a3953bb6124", B3_SPAN, "1", NULL,
     "000000000000000048485a3953bb6124-" B3_SPAN "-1", 0},
    {"multi, the single header's debug", NULL, B3_TRACE, B3_SPAN, "d", NULL, GOOD "-1", 0},
    {"multi, a bad decision", NULL, B3_TRACE, B3_SPAN, "2", NULL, NULL, 1},
    {"multi, no span ID", NULL, B3_TRACE, NULL, "1", NULL, NULL, 1},
    {"multi, no trace ID", NULL, NULL, B3_SPAN, "1", NULL, NULL, 0},
    {"multi, a bad trace ID", NULL, "463ac35c", B3_SPAN, "1", NULL, NULL, 1},
    {"both: single first", GOOD "-0", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "1",
     NULL, GOOD "-0", 0},
    {"both: a malformed single one", "x", B3_TRACE, B3_SPAN, "1", NULL, GOOD "-1", 1},
    {"none", NULL, NULL, NULL, NULL, NULL, NULL, 0},
};

static void test_b3(void) {
    static const char *const names[] = {"B3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled",
                                        "X-B3-Flags"};
    hotel_propagator single = hotel_b3_propagator(), multi = hotel_b3multi_propagator();
    size_t i, k;
    sink_open(NULL);
    for (i = 0; i < COUNT(b3_rows); i++) {
        const b3_row *r = &b3_rows[i];
        const char *const values[] = {r->single, r->trace, r->span, r->sampled, r->flags};
        unsigned long long before = rejected();
        hotel_header list[5];
        hotel_context context;
        size_t count = 0;
        carrier *c = emptied();
        for (k = 0; k < 5; k++) {
            if (values[k] == NULL) continue;
            list[count].name = names[k];
            list[count++].value = values[k];
        }
        context = received(i % 2 > 0 ? &single : &multi, list, count);
        hotel_inject_with(&single, &context, &carrier_setter, c);
        is_str(sent(c, "b3"), r->sent, "CP-10 %s", r->id);
        is_int(c->count, r->sent != NULL, "CP-10 %s: nothing beside", r->id);
        is_int(rejected() - before, r->refused, "CP-10 %s: refused", r->id);
        ok(context.span.context.is_remote == (r->sent != NULL), "CP-10 %s: remote", r->id);
        ok((context.span.context.trace_flags & HOTEL_FLAG_SAMPLED) ==
               (r->sent != NULL && r->sent[50] != '0'),
           "CP-10 %s: sampled", r->id);
        hotel_context_release(&context);
    }
    sink_close("B3");
}

static void test_b3_sent(void) {
    hotel_propagator multi = hotel_b3multi_propagator(), single = hotel_b3_propagator();
    hotel_propagator trace = hotel_tracecontext_propagator();
    hotel_header list = {"b3", GOOD "-1"};
    hotel_context context, empty = empty_context();
    carrier *c = emptied();
    sink_open(NULL);
    context = received(&multi, &list, 1);
    hotel_inject_with(&multi, &context, &carrier_setter, c);
    is_str(sent(c, "x-b3-traceid"), B3_TRACE, "CP-10 multi: trace ID");
    is_str(sent(c, "x-b3-spanid"), B3_SPAN, "CP-10 multi: span ID");
    is_str(sent(c, "x-b3-sampled"), "1", "CP-10 multi: sampled");
    is_int(c->count, 3, "CP-10 multi: no parent span ID, no flags");
    hotel_context_release(&context);
    list.value = GOOD "-d";
    context = received(&single, &list, 1);
    hotel_inject_with(&multi, &context, &carrier_setter, emptied());
    is_str(sent(c, "x-b3-flags"), "1", "CP-10 multi: debug goes on");
    is_int(c->count, 3, "CP-10 multi: debug without sampled, as B3 asks");
    {
        HOTEL_ATTACH(here, &context);
        HOTEL_SCOPE(span, hotel_start("debugged"));
        hotel_inject_with(&single, NULL, &carrier_setter, emptied());
        is_mem(sent(c, "b3"), 33, GOOD, 33, "CP-10 the trace goes on");
        is_str(sent(c, "b3") + 49, "-d", "CP-10 with debug, from the spans below");
        hotel_inject_with(&trace, NULL, &carrier_setter, emptied());
        is_str(sent(c, "traceparent") + 52, "-01", "CP-10 which W3C does not know");
    }
    hotel_context_release(&context);
    hotel_inject_with(&multi, &empty, &carrier_setter, emptied());
    hotel_inject_with(&single, &empty, &carrier_setter, c);
    is_int(c->calls, 0, "CP-10 nothing without a valid span context");
    is_str(hotel_propagator_field(&single, 0), "b3", "CP-15 single");
    ok(hotel_propagator_field(&single, 1) == NULL, "CP-15 single: one");
    is_str(hotel_propagator_field(&multi, 3), "x-b3-flags", "CP-15 multi");
    ok(hotel_propagator_field(&multi, 4) == NULL, "CP-15 multi: four");
    sink_flush();
    sink_close("B3 sent");
}

/* ---- Several, and those of the application -------------------------------------------------- */

static char order[64]; /* which parts were called: i or e and their letter */

static void note_inject(const hotel_context *context, const hotel_setter *setter, void *to,
                        void *user_data) {
    const char *name = (const char *)user_data;
    char *end = order + strlen(order);
    (void)context;
    end[0] = 'i';
    end[1] = *name;
    end[2] = '\0';
    setter->set_fn(to, "shared", name);
    setter->set_fn(to, name, "mine");
}

static void note_extract(hotel_context *context, const hotel_getter *getter, const void *from,
                         void *user_data) {
    const char *name = (const char *)user_data;
    char *end = order + strlen(order);
    (void)context;
    (void)getter;
    (void)from;
    end[0] = 'e';
    end[1] = *name;
    end[2] = '\0';
}

static const char *note_field(size_t index, void *user_data) {
    return index == 0 ? "shared" : index == 1 ? (const char *)user_data : NULL;
}

static hotel_propagator noting(const char *name) {
    hotel_propagator p;
    p.inject_fn = note_inject;
    p.extract_fn = note_extract;
    p.field_fn = note_field;
    p.user_data = (void *)(uintptr_t)name;
    return p;
}

static void test_composite(void) {
    hotel_propagator parts[4], p, inner;
    hotel_propagator_list list, nested, nothing = {NULL, 0};
    hotel_header headers[2];
    hotel_context context;
    carrier *c = emptied();
    sink_open(NULL);
    parts[0] = noting("a");
    parts[1] = noting("b");
    parts[2] = noting("c");
    memset(&parts[3], 0, sizeof parts[3]);
    nested.parts = parts;
    nested.count = 2;
    inner = hotel_composite_propagator(&nested);
    parts[1] = noting("b");
    list.parts = parts;
    list.count = 4;
    p = hotel_composite_propagator(&list);
    order[0] = '\0';
    context = received(&p, headers, 0);
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_str(order, "eaebeciaibic", "CP-07 parts act in their order, both ways");
    is_str(sent(c, "shared"), "c", "WC-04 the last one to set a value wins");
    is_str(sent(c, "a"), "mine", "WC-04 all have a turn");
    is_str(hotel_propagator_field(&p, 0), "shared", "CP-15 the names of all");
    is_str(hotel_propagator_field(&p, 3), "b", "CP-15 in order");
    is_str(hotel_propagator_field(&p, 5), "c", "CP-15 to the last");
    ok(hotel_propagator_field(&p, 6) == NULL, "CP-15 and no more");
    parts[2] = inner;
    parts[3] = inner;
    list.parts = &parts[3];
    list.count = 1;
    order[0] = '\0';
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_str(order, "iaib", "CP-07 one inside another");
    p = hotel_composite_propagator(&nothing);
    hotel_inject_with(&p, &context, &carrier_setter, emptied());
    p = hotel_composite_propagator(NULL);
    hotel_inject_with(&p, &context, &carrier_setter, c);
    is_int(c->calls, 0, "CP-07 of nothing, nothing");
    hotel_context_release(&context);

    /* Two formats of one trace: the later in the list wins where both are valid. */
    headers[0].name = "traceparent";
    headers[0].value = VALID;
    headers[1].name = "b3";
    headers[1].value = GOOD "-1";
    parts[0] = hotel_tracecontext_propagator();
    parts[1] = hotel_b3_propagator();
    list.parts = parts;
    list.count = 2;
    p = hotel_composite_propagator(&list);
    context = received(&p, headers, 2);
    is_mem(traceparent_of(&context), 35, "00-" B3_TRACE, 35, "WC-04 the later one wins");
    hotel_context_release(&context);
    headers[1].value = "x";
    context = received(&p, headers, 2);
    is_str(traceparent_of(&context), VALID, "WC-04 unless it has nothing to say");
    hotel_inject_with(&p, &context, &carrier_setter, emptied());
    ok(sent(c, "traceparent") != NULL && sent(c, "b3") != NULL, "CP-07 both are sent");
    hotel_context_release(&context);
    sink_close("several propagators");
}

/* A format of the application's own: "<hex of two digits>|<name>" in one header. */
static hotel_key own_key;

static void own_inject(const hotel_context *context, const hotel_setter *setter, void *to,
                       void *user_data) {
    const char *name = (const char *)hotel_context_value(context, own_key);
    char value[32];
    (void)user_data;
    (void)snprintf(value, sizeof value, "%02x|%s", context->span.context.trace_id[15],
                   name != NULL ? name : "");
    setter->set_fn(to, "x-own", value);
}

static void own_extract(hotel_context *context, const hotel_getter *getter, const void *from,
                        void *user_data) {
    hotel_string value = getter->get_fn(from, "X-Own", 0);
    hotel_span_context remote;
    hotel_context next;
    hotel_span span;
    if (value.size < 3) return;
    memset(&remote, 0, sizeof remote);
    remote.trace_id[15] = (uint8_t)strtoul(value.text, NULL, 16);
    remote.span_id[7] = 1;
    remote.is_remote = true;
    span = hotel_wrap(&remote);
    hotel_context_put_span(context, &span);
    next = hotel_context_with_value(context, own_key, user_data);
    hotel_context_release(context);
    *context = next;
}

static void test_own(void) {
    static char name[] = "its name";
    hotel_propagator own, trace = hotel_tracecontext_propagator();
    hotel_header list[3];
    hotel_context context;
    hotel_headers headers;
    hotel_getter getter = hotel_header_getter();
    carrier *c = emptied();
    unsigned long long before;
    sink_open(NULL);
    before = chunks_free();
    memset(&own, 0, sizeof own);
    own.inject_fn = own_inject;
    own.extract_fn = own_extract;
    own.user_data = name;
    own_key = hotel_create_key("own");
    list[0].name = "x-own";
    list[0].value = "7f|x";
    list[1].name = "traceparent";
    list[1].value = VALID;
    list[2].name = "tracestate";
    list[2].value = "a=1";
    headers.list = list;
    headers.count = 3;
    context = received(&trace, list, 3);
    {
        hotel_context both = hotel_extract_with(&own, &context, &getter, &headers);
        is_str(traceparent_of(&both), "00-0000000000000000000000000000007f-0000000000000001-00",
               "CP-14 a propagator of the application puts its span into a context");
        is_str(tracestate_of(&both), "", "CP-14 in place of the other and its tracestate");
        ok(hotel_context_value(&both, own_key) == name, "CP-14 and a value");
        hotel_inject_with(&own, &both, &carrier_setter, c);
        is_str(sent(c, "x-own"), "7f|its name", "CP-16 it writes by the setter");
        ok(hotel_propagator_field(&own, 0) == NULL, "CP-15 without names");
        hotel_context_release(&both);
    }
    is_str(tracestate_of(&context), "a=1", "CP-03 the first context keeps what it has");
    hotel_context_release(&context);
    hotel_context_put_span(NULL, NULL);
    context = received(&trace, list, 3);
    hotel_context_put_span(&context, NULL);
    ok(!hotel_is_valid(&context.span.context), "CP-14 no span at all");
    hotel_context_release(&context);
    is_int(chunks_free(), before, "CP-14 all room was given back");
    is_int(stale(), 0, "CP-14 nothing was used after its release");
    sink_close("a propagator of the application");
}

static void test_fields(void) {
    hotel_propagator all[4];
    size_t i, k;
    const char *field;
    all[0] = hotel_tracecontext_propagator();
    all[1] = hotel_baggage_propagator();
    all[2] = hotel_b3_propagator();
    all[3] = hotel_b3multi_propagator();
    is_str(hotel_propagator_field(&all[0], 0), "traceparent", "CP-15 trace context");
    is_str(hotel_propagator_field(&all[0], 1), "tracestate", "CP-15 trace context");
    ok(hotel_propagator_field(&all[0], 2) == NULL, "CP-15 trace context: two");
    is_str(hotel_propagator_field(&all[1], 0), "baggage", "CP-15 baggage");
    ok(hotel_propagator_field(&all[1], 1) == NULL, "CP-15 baggage: one");
    for (i = 0; i < 4; i++) {
        for (k = 0; (field = hotel_propagator_field(&all[i], k)) != NULL; k++) {
            bool good = *field != '\0';
            const char *p;
            for (p = field; *p != '\0'; p++) good = good && *p > 0x20 && *p < 0x7f;
            ok(good, "CP-14 %s is ASCII", field);
        }
    }
}

/* ---- Getters and setters -------------------------------------------------------------------- */

static hotel_string get_always(const void *from, const char *key, size_t index) {
    hotel_string value = {NULL, 0};
    (void)index; /* as if there were no end of values */
    if (strcmp(key, (const char *)from) == 0) value.text = VALID;
    if (strcmp(key, "baggage") == 0 && value.text != NULL) value.text = "a=1";
    if (strcmp(key, "tracestate") == 0 || strcmp((const char *)from, "both") == 0) {
        value.text = strcmp(key, "traceparent") == 0 ? VALID : "s=1";
    }
    value.size = hotel_text_size(value.text);
    return value;
}

static hotel_string get_flood(const void *from, const char *key, size_t index) {
    static const char *const values[] = {"a=1", "b=2"};
    hotel_string value;
    (void)from;
    (void)key;
    value.text = values[index % 2];
    value.size = 3;
    return value;
}

static void test_getters(void) {
    hotel_getter getter = hotel_header_getter(), odd;
    hotel_propagator trace = hotel_tracecontext_propagator();
    hotel_propagator baggage = hotel_baggage_propagator();
    hotel_header list[4];
    hotel_headers headers;
    hotel_context empty = empty_context(), context;
    hotel_setter no_setter;
    hotel_string value;
    size_t i;
    list[0].name = "Accept";
    list[0].value = "x";
    list[1].name = "accept";
    list[1].value = "";
    list[2].name = NULL;
    list[2].value = "no name";
    list[3].name = "ACCEPT";
    list[3].value = "z";
    headers.list = list;
    headers.count = 4;
    for (i = 0; i < 3; i++) {
        value = getter.get_fn(&headers, "aCCept", i);
        is_mem(value.text, value.size, i == 0 ? "x" : i == 1 ? "" : "z", i != 1,
               "WC-01 value %u, whatever the case of its name", (unsigned)i);
    }
    ok(getter.get_fn(&headers, "accept", 3).text == NULL, "WC-01 and no more");
    ok(getter.get_fn(&headers, "accep", 0).text == NULL, "CP-17 another name");
    ok(getter.get_fn(NULL, "accept", 0).text == NULL, "SP-06 no carrier");
    value = getter.keys_fn(&headers, 3);
    is_mem(value.text, value.size, "ACCEPT", 6, "CP-18 the names, as they are");
    ok(getter.keys_fn(&headers, 4).text == NULL, "WC-02 and no more");
    sink_open(NULL);
    memset(&odd, 0, sizeof odd);
    odd.get_fn = get_always;
    context = hotel_extract_with(&trace, &empty, &odd, "both");
    is_str(traceparent_of(&context), VALID, "CP-17 a getter that knows no index has one value");
    is_str(tracestate_of(&context), "s=1", "CP-17 of each");
    hotel_context_release(&context);
    context = hotel_extract_with(&baggage, &empty, &odd, "baggage");
    is_str(baggage_of(&context), "a=1", "CP-17 of baggage, too");
    hotel_context_release(&context);
    odd.get_fn = get_flood;
    context = hotel_extract_with(&baggage, &empty, &odd, NULL);
    is_int(strlen(baggage_of(&context)), 7, "CP-17 one without an end has an end");
    hotel_context_release(&context);
    memset(&odd, 0, sizeof odd);
    context = hotel_extract_with(&trace, &empty, &odd, &headers);
    hotel_context_release(&context);
    context = hotel_extract_with(&trace, &empty, NULL, &headers);
    hotel_context_release(&context);
    memset(&no_setter, 0, sizeof no_setter);
    hotel_inject_with(&trace, &empty, &no_setter, NULL);
    hotel_inject_with(&trace, &empty, NULL, NULL);
    is_int(read_books().process.bad_arguments - books_opened.process.bad_arguments, 4,
           "SP-06 without getter or setter nothing happens, counted");
    sink_close("getters");
}

/* ---- Environment variables ------------------------------------------------------------------ */

static void test_environment(void) {
    hotel_getter getter = hotel_env_getter();
    hotel_setter setter = hotel_env_setter();
    hotel_propagator parts[2], p;
    hotel_propagator_list both;
    hotel_header list[3];
    hotel_context context, again;
    char *base[] = {(char *)(uintptr_t) "PATH=/bin", (char *)(uintptr_t) "TRACEPARENT=old",
                    (char *)(uintptr_t) "lower=1", (char *)(uintptr_t) "9=1",
                    (char *)(uintptr_t) "TRACEPARENTS=other", NULL};
    char *made[10], *few[3], memory[300], little[80];
    hotel_env env;
    hotel_string value;
    size_t i;
    sink_open(NULL);
    parts[0] = hotel_tracecontext_propagator();
    parts[1] = hotel_baggage_propagator();
    both.parts = parts;
    both.count = 2;
    p = hotel_composite_propagator(&both);
    list[0].name = "traceparent";
    list[0].value = VALID;
    list[1].name = "tracestate";
    list[1].value = "a=1";
    list[2].name = "baggage";
    list[2].value = "k=a%20b;p";
    context = received(&p, list, 3);
    hotel_env_start(&env, made, COUNT(made), memory, sizeof memory, base);
    is_int(env.count, 5, "CP-19 begins with the variables that are given");
    hotel_inject_with(&p, &context, &setter, &env);
    is_str(env.list[1], "TRACEPARENT=" VALID, "WC-03 a variable is replaced");
    is_str(env.list[4], "TRACEPARENTS=other", "WC-06 one of a longer name is not");
    is_str(env.list[5], "TRACESTATE=a=1", "WC-06 others are added");
    is_str(env.list[6], "BAGGAGE=k=a%20b;p", "WC-06 values are opaque");
    ok(env.list[7] == NULL && env.count == 7 && env.dropped == 0, "CP-19 and a NULL ends them");
    again = empty_context();
    again = hotel_extract_with(&p, &again, &getter, env.list);
    is_str(traceparent_of(&again), VALID, "CP-19 read back out of an environment");
    is_str(tracestate_of(&again), "a=1", "CP-19 with its tracestate");
    is_str(baggage_of(&again), "k=a%20b;p", "CP-19 and baggage");
    hotel_context_release(&again);
    for (i = 0; (value = getter.keys_fn(env.list, i)).text != NULL; i++) {
        static const char *const keys[] = {"PATH", "TRACEPARENT", "TRACEPARENTS", "TRACESTATE",
                                           "BAGGAGE"};
        is_mem(value.text, value.size, i < 5 ? keys[i] : "", i < 5 ? strlen(keys[i]) : 0,
               "WC-02 key %u is in the normal form", (unsigned)i);
    }
    is_int(i, 5, "WC-06 names in another form are no keys");
    ok(getter.get_fn(env.list, "traceparent", 1).text == NULL, "WC-01 one value each");
    value = getter.get_fn(env.list, "trace-parent", 0);
    ok(value.text == NULL, "WC-06 TRACE_PARENT is another name");

    hotel_env_start(&env, few, COUNT(few), memory, sizeof memory, NULL);
    hotel_inject_with(&p, &context, &setter, &env);
    ok(env.count == 2 && env.dropped == 1 && env.list[2] == NULL, "CP-19 a list that is too short");
    hotel_env_start(&env, made, COUNT(made), little, sizeof little, NULL);
    hotel_inject_with(&p, &context, &setter, &env);
    ok(env.count == 1 && env.dropped == 2, "CP-19 memory that is too small");
    is_str(env.list[0], "TRACEPARENT=" VALID, "CP-19 what is there is whole");
    hotel_env_start(&env, few, 2, memory, sizeof memory, base);
    ok(env.count == 1 && env.dropped == 4 && few[1] == NULL, "CP-19 more variables than room");
    hotel_env_start(&env, NULL, 5, NULL, 0, base);
    hotel_inject_with(&p, &context, &setter, &env);
    hotel_env_start(NULL, few, 2, NULL, 0, NULL);
    ok(env.count == 0, "SP-06 no list at all");
    hotel_context_release(&context);

    (void)setenv("TRACEPARENT", VALID, 1);
    (void)setenv("BAGGAGE", "env=1", 1);
    context = empty_context();
    context = hotel_extract_with(&p, &context, &getter, NULL);
    is_str(traceparent_of(&context), VALID, "CP-19 the environment of this process");
    is_str(baggage_of(&context), "env=1", "CP-19 and its baggage");
    hotel_context_release(&context);
    (void)unsetenv("TRACEPARENT");
    (void)unsetenv("BAGGAGE");
    ok(getter.get_fn(NULL, "traceparent", 0).text == NULL, "CP-19 a variable that is not set");
    sink_close("environment variables");
}

/* ---- Several threads, one context ----------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 500 };

typedef struct sharer {
    const hotel_context *shared;
    hotel_key key;
    unsigned wrong;
} sharer;

/* Takes and gives references on a context that others use, and makes contexts of it. */
static void *share(void *user_data) {
    static const hotel_header incoming = {"baggage", "mine=1,a=2"};
    sharer *s = (sharer *)user_data;
    hotel_propagator p = hotel_baggage_propagator();
    hotel_getter getter = hotel_header_getter();
    char memory[100];
    hotel_headers headers;
    hotel_baggage b;
    int i;
    headers.list = &incoming;
    headers.count = 1;
    for (i = 0; i < ROUNDS; i++) {
        hotel_context held = hotel_context_hold(s->shared);
        hotel_context valued = hotel_context_with_value(&held, s->key, s);
        hotel_context received_here = hotel_extract_with(&p, &valued, &getter, &headers);
        hotel_context_release(&valued);
        hotel_baggage_start(&b, memory, sizeof memory);
        if (!hotel_context_baggage(&held, &b)) s->wrong++;
        if (hotel_baggage_get(&b, "a") == NULL || *hotel_baggage_get(&b, "a") != '1') s->wrong++;
        hotel_context_release(&held);
        if (!hotel_context_baggage(&received_here, &b)) s->wrong++;
        if (hotel_baggage_get(&b, "a") == NULL || *hotel_baggage_get(&b, "a") != '2') s->wrong++;
        if (hotel_context_value(&received_here, s->key) != s) s->wrong++;
        hotel_context_release(&received_here);
    }
    return NULL;
}

static void test_threads(void) {
    hotel_context empty = empty_context(), shared;
    pthread_t threads[THREADS];
    sharer sharers[THREADS];
    unsigned i, wrong = 0;
    unsigned long long before;
    sink_open(NULL);
    before = chunks_free();
    shared = with_header(&empty, "a=1");
    for (i = 0; i < THREADS; i++) {
        sharers[i].shared = &shared;
        sharers[i].key = hotel_create_key("of a thread");
        sharers[i].wrong = 0;
        if (pthread_create(&threads[i], NULL, share, &sharers[i]) != 0) abort();
    }
    for (i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        wrong += sharers[i].wrong;
        wrong += i > 0 && sharers[i].key.id == sharers[i - 1].key.id;
    }
    is_int(wrong, 0, "SP-05 threads that share a context all see it as it is");
    hotel_context_release(&shared);
    is_int(chunks_free(), before, "SP-05 and give all room back");
    is_int(stale(), 0, "SP-05 nothing was used after its release");
    sink_close("threads that share a context");
}

/* ---- The global propagator ------------------------------------------------------------------ */

static const char *configured(void) {
    static char text[256];
    const char *field;
    size_t i;
    text[0] = '\0';
    for (i = 0; (field = hotel_propagator_field(NULL, i)) != NULL; i++) {
        if (i > 0) (void)strcat(text, " ");
        (void)strcat(text, field);
    }
    return text;
}

typedef struct setting_row {
    const char *value;
    const char *fields;
    const char *said; /* in the log; NULL: nothing is */
} setting_row;

static const setting_row settings[] = {
    {NULL, "traceparent tracestate baggage", NULL},
    {"", "traceparent tracestate baggage", NULL},
    {"tracecontext", "traceparent tracestate", NULL},
    {"baggage", "baggage", NULL},
    {"B3, TraceContext", "b3 traceparent tracestate", NULL},
    {"b3multi", "x-b3-traceid x-b3-spanid x-b3-sampled x-b3-flags", NULL},
    {"b3,b3,baggage,b3", "b3 baggage", NULL},
    {"none", "", NULL},
    {"none,b3", "b3", "none is ignored"},
    {"tracecontext,jaeger,xray", "traceparent tracestate", "\"jaeger\", \"xray\"; the others"},
    {"nothing,known", "traceparent tracestate baggage", "tracecontext,baggage is used"},
};

static void test_settings(void) {
    hotel_config config;
    hotel_propagator b3 = hotel_b3_propagator();
    char described[4096];
    size_t i;
    for (i = 0; i < COUNT(settings); i++) {
        const setting_row *r = &settings[i];
        config = sink_config();
        config.ignore_environment = false;
        if (r->value != NULL) (void)setenv("OTEL_PROPAGATORS", r->value, 1);
        else (void)unsetenv("OTEL_PROPAGATORS");
        sink_open(&config);
        is_str(configured(), r->fields, "EV-05 \"%s\"", r->value != NULL ? r->value : "(unset)");
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), r->said != NULL, "EV-05 \"%s\": warned",
               r->value != NULL ? r->value : "(unset)");
        ok(r->said == NULL || log_has(r->said), "EV-05 the warning says %s",
           r->said != NULL ? r->said : "nothing");
        sink_close("OTEL_PROPAGATORS");
        is_str(configured(), r->fields, "CP-08 it stays after hotel_release");
    }
    (void)setenv("OTEL_PROPAGATORS", "baggage", 1);
    config = sink_config();
    sink_open(&config);
    is_str(configured(), "traceparent tracestate baggage", "EV-05 the environment can be ignored");
    sink_close("ignored environment");
    config = sink_config();
    config.ignore_environment = false;
    config.propagator = &b3;
    sink_open(&config);
    is_str(configured(), "b3", "EV-05 code beats environment");
    (void)hotel_describe(described, sizeof described);
    ok(strstr(described, "\npropagated=b3\n") != NULL, "CP-08 the description says what is used");
    sink_close("code beats environment");
    config.propagator = NULL;
    sink_open(&config);
    is_str(configured(), "baggage", "EV-05 the next start decides anew");
    sink_close("environment again");
}

/* What a program does with the defaults. */
static void test_defaults(void) {
    hotel_getter getter = hotel_header_getter();
    hotel_header list[3];
    hotel_headers headers;
    hotel_context request;
    hotel_span span;
    carrier *c = emptied();
    otlp_bytes got;
    (void)unsetenv("OTEL_PROPAGATORS");
    sink_open(NULL);
    list[0].name = "Traceparent";
    list[0].value = VALID;
    list[1].name = "Tracestate";
    list[1].value = "a=1";
    list[2].name = "Baggage";
    list[2].value = "user=42";
    headers.list = list;
    headers.count = 3;
    request = hotel_extract_from(&getter, &headers);
    {
        HOTEL_ATTACH(here, &request);
        HOTEL_SCOPE(served, hotel_start_as("served", HOTEL_SERVER));
        span = served;
        hotel_inject(NULL, &carrier_setter, c);
    }
    hotel_context_release(&request);
    got = delivered("served");
    is_str(text(got, SPAN_STATE), "a=1", "WC-05 the span has the tracestate");
    is_mem(sent(c, "traceparent"), 36, VALID, 36, "WC-05 the trace goes on");
    {
        char id[17];
        hotel_span_id_hex(&span.context, id);
        is_mem(sent(c, "traceparent") + 36, 16, id, 16, "WP-19 from this span");
    }
    is_str(sent(c, "tracestate"), "a=1", "WC-05 and the tracestate");
    is_str(sent(c, "baggage"), "user=42", "WC-05 and the baggage");
    {
        hotel_context empty = empty_context(), around = with_header(&empty, "around=1");
        hotel_key key = hotel_create_key("key");
        hotel_context valued = hotel_context_with_value(&around, key, &key);
        hotel_context_release(&around);
        {
            HOTEL_ATTACH(outer, &valued);
            headers.count = 2;
            request = hotel_extract_from(&getter, &headers);
        }
        hotel_context_release(&valued);
        is_str(traceparent_of(&request), VALID, "CP-06 what comes goes into the current context");
        is_str(baggage_of(&request), "around=1", "WB-10 which keeps what did not come");
        ok(hotel_context_value(&request, key) == &key, "CP-03 values, too");
        hotel_context_release(&request);
    }
    headers.count = 0;
    request = hotel_extract_from(&getter, &headers);
    hotel_inject(&request, &carrier_setter, emptied());
    is_int(c->calls, 0, "WC-05 nothing came, nothing goes");
    hotel_context_release(&request);
    is_int(stale(), 0, "WC-05 nothing was used after its release");
    sink_close("the defaults");
}

static void test_disabled(void) {
    hotel_config config = sink_config();
    hotel_getter getter = hotel_header_getter();
    hotel_header list[3];
    hotel_headers headers;
    hotel_context request, none = empty_context();
    hotel_key key = hotel_create_key("key");
    carrier *c = emptied();
    config.disabled = true;
    sink_open(&config);
    list[0].name = "traceparent";
    list[0].value = VALID;
    list[1].name = "tracestate";
    list[1].value = "a=1";
    list[2].name = "baggage";
    list[2].value = "k=v";
    headers.list = list;
    headers.count = 3;
    request = hotel_extract_from(&getter, &headers);
    {
        HOTEL_ATTACH(here, &request);
        HOTEL_SCOPE(span, hotel_start("not recorded"));
        ok(!hotel_is_recording(&span), "EV-01 disabled: nothing is recorded");
        hotel_inject(NULL, &carrier_setter, c);
    }
    is_str(sent(c, "traceparent"), VALID, "EV-01 disabled: the traceparent goes on as it came");
    is_str(sent(c, "tracestate"), "a=1", "EV-01 disabled: so does the tracestate");
    is_str(sent(c, "baggage"), "k=v", "EV-01 disabled: and the baggage");
    hotel_context_release(&request);
    request = hotel_context_with_value(&none, key, &key);
    ok(hotel_context_value(&request, key) == &key, "EV-01 disabled: contexts have values");
    hotel_context_release(&request);
    sink_close("disabled");
}

/* By hand; and from here on hotel_init leaves it alone. */
static void *set_again_and_again(void *user_data) {
    hotel_propagator choices[2];
    int i;
    choices[0] = hotel_b3_propagator();
    choices[1] = noting("t");
    for (i = 0; i < 20000; i++) {
        hotel_set_global_propagator(&choices[i % 2]);
        if (__atomic_load_n((int *)user_data, __ATOMIC_RELAXED) != 0) break;
    }
    return NULL;
}

static void test_global(void) {
    hotel_propagator b3 = hotel_b3_propagator(), mine = noting("m"), got;
    hotel_context context = empty_context();
    pthread_t thread;
    int stop = 0;
    unsigned i, torn = 0;
    carrier *c = emptied();
    hotel_set_global_propagator(&b3);
    got = hotel_get_global_propagator();
    is_mem(&got, sizeof got, &b3, sizeof b3, "CP-08 set and got, without hotel_init");
    sink_open(NULL);
    is_str(configured(), "b3", "CP-08 one that was set by hand stays");
    hotel_set_global_propagator(&mine);
    order[0] = '\0';
    hotel_inject(&context, &carrier_setter, c);
    is_str(order, "im", "CP-08 one of the application");
    hotel_set_global_propagator(NULL);
    is_str(configured(), "", "CP-08 and none");
    sink_close("the global propagator");
    sink_open(NULL);
    is_str(configured(), "", "CP-08 none stays, too");
    hotel_set_global_propagator(&b3);
    if (pthread_create(&thread, NULL, set_again_and_again, &stop) != 0) abort();
    for (i = 0; i < 20000; i++) {
        got = hotel_get_global_propagator();
        torn += (got.inject_fn == note_inject) != (got.user_data != b3.user_data) ||
                (got.inject_fn == note_inject) != (got.field_fn == note_field);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    is_int(torn, 0, "CP-08 read as one piece while others set it");
    sink_close("a changing propagator");
}

int main(void) {
    test_before_init();
    test_values();
    test_most_values();
    test_context_baggage();
    test_stale_context();
    test_carried();
    test_no_room();
    test_trace_context();
    test_repeated_traceparent();
    test_repeated_tracestate();
    test_baggage();
    test_large_baggage();
    test_b3();
    test_b3_sent();
    test_composite();
    test_own();
    test_fields();
    test_getters();
    test_environment();
    test_settings();
    test_defaults();
    test_disabled();
    test_threads();
    test_global();
    return done_testing();
}
