/*
 * SPDX-License-Identifier: MIT
 *
 * test_context.c - the current context and what travels: attaching and detaching, contexts that
 * are kept, released and handed to other threads, traceparent and tracestate in and out.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pthread.h>

#include "sink.h"

static bool is_current(const hotel_span *span) {
    hotel_span now = hotel_current_span();
    return same_trace(&now, span) && same_id(&now, span);
}

static bool nothing_current(void) {
    hotel_span now = hotel_current_span();
    return !hotel_is_valid(&now.context);
}

static unsigned long long stale(void) {
    return read_books().process.stale_references - books_opened.process.stale_references;
}

/* ---- Attach and detach ---------------------------------------------------------------------- */

static void test_current(void) {
    hotel_context first, second, read_back;
    hotel_token outer, inner;
    hotel_span a, b;
    sink_open(NULL);
    a = hotel_start("a");
    b = hotel_start("b");
    ok(nothing_current(), "CP-06 nothing is current at first");
    first = hotel_context_with(&a);
    ok(same_id(&first.span, &a), "TR-09 a span is read back out of a context");
    outer = hotel_attach(&first);
    ok(is_current(&a), "TR-13 the current span can be read");
    second = hotel_context_with(&b);
    ok(same_id(&second.span, &b), "TR-10 a span put into a context is in the new one");
    ok(same_id(&first.span, &a), "TR-10 the old context still has its own");
    ok(is_current(&a), "CP-03 and so has the thread");
    inner = hotel_attach(&second);
    ok(is_current(&b), "CP-04 attach changes the current context");
    read_back = hotel_current();
    is_mem(&read_back, sizeof read_back, &second, sizeof second, "CP-02 read back as it was set");
    is_int(hotel_detach(inner), HOTEL_OK, "CP-05 detached in order");
    ok(is_current(&a), "CP-05 the former context is back");
    is_int(hotel_detach(inner), HOTEL_ERR_ORDER, "CP-05 a token is good once");
    ok(is_current(&a), "CP-05 and changes nothing then");
    is_int(hotel_detach(outer), HOTEL_OK, "CP-05 the first one too");
    ok(nothing_current(), "CP-05 nothing is left");
    outer = hotel_attach(NULL);
    ok(nothing_current(), "SP-06 attaching NULL attaches an empty context");
    is_int(hotel_detach(outer), HOTEL_OK, "SP-06 which is detached like any");
    hotel_end(&a);
    hotel_end(&b);
    sink_flush();
    sink_close("current");
}

static void test_wrong_order(void) {
    hotel_context contexts[3];
    hotel_token tokens[3], nothing;
    hotel_span spans[3];
    unsigned i;
    sink_open(NULL);
    for (i = 0; i < 3; i++) {
        spans[i] = leaf("order", NULL);
        contexts[i] = only(&spans[i]);
        tokens[i] = hotel_attach(&contexts[i]);
    }
    is_int(hotel_detach(tokens[1]), HOTEL_ERR_ORDER, "CP-05 taken back too early");
    ok(is_current(&spans[0]), "CP-05 ends those above it too");
    is_int(hotel_detach(tokens[2]), HOTEL_ERR_ORDER, "CP-05 whose token is void then");
    ok(is_current(&spans[0]), "CP-05 and takes nothing away");
    tokens[2] = hotel_attach(&contexts[2]);
    is_int(hotel_detach(tokens[1]), HOTEL_ERR_ORDER, "CP-05 an old token of a depth in use again");
    ok(is_current(&spans[2]), "CP-05 leaves the new one alone");
    is_int(hotel_detach(tokens[2]), HOTEL_OK, "CP-05 the new one goes in order");
    is_int(hotel_detach(tokens[0]), HOTEL_OK, "CP-05 so does the first");
    memset(&nothing, 0, sizeof nothing);
    is_int(hotel_detach(nothing), HOTEL_ERR_ORDER, "SP-06 a zeroed token is refused");
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_DETACH_ORDER), 1, "CP-05 logged, once for all");
    sink_close("order");
}

enum { TOO_DEEP = 40, MOST = 32 };

static void test_depth(void) {
    hotel_context contexts[TOO_DEEP];
    hotel_token tokens[TOO_DEEP];
    hotel_span spans[TOO_DEEP];
    unsigned i, wrong = 0;
    sink_open(NULL);
    for (i = 0; i < TOO_DEEP; i++) {
        spans[i] = leaf("depth", NULL);
        contexts[i] = only(&spans[i]);
        tokens[i] = hotel_attach(&contexts[i]);
        wrong += !is_current(&spans[i < MOST ? i : MOST - 1]);
    }
    is_int(wrong, 0, "CP-04 beyond 32 deep the 32nd stays current");
    for (i = TOO_DEEP; i > 0; i--) {
        wrong += hotel_detach(tokens[i - 1]) != HOTEL_OK;
        if (i > 1) wrong += !is_current(&spans[i - 2 < MOST ? i - 2 : MOST - 1]);
    }
    is_int(wrong, 0, "CP-05 all detach in order, those beyond too");
    ok(nothing_current(), "CP-05 and nothing is left");
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_ATTACH_DEPTH), 1, "CP-04 the depth is logged once");
    sink_close("depth");
}

/* ---- Scopes --------------------------------------------------------------------------------- */

static int leave_early(int way, hotel_span *seen) {
    HOTEL_SCOPE(outer, hotel_start("outer scope"));
    *seen = outer;
    for (;;) {
        HOTEL_SCOPE(inner, hotel_start("inner scope"));
        hotel_set_int(&inner, "way", way);
        if (!is_current(&inner)) return -1;
        if (way == 0) return 7;
        if (way == 1) break;
        if (way == 2) goto out;
        way--;
    }
    if (!is_current(&outer)) return -2;
out:
    return way;
}

static void test_scopes(void) {
    hotel_span span;
    otlp_bytes inner;
    int way;
    sink_open(NULL);
    for (way = 0; way < 4; way++) {
        int want = way == 0 ? 7 : way == 3 ? 2 : way;
        is_int(leave_early(way, &span), want, "TR-14 a scope left in way %d", way);
        ok(nothing_current(), "TR-14 way %d: the former context is back", way);
        ok(!hotel_is_recording(&span), "TR-14 way %d: its span has ended", way);
        inner = delivered("inner scope");
        ok(child_of(inner, &span), "TR-14 way %d: inner under outer", way);
    }
    is_int(num_delivered(), 9, "TR-14 every scope's span was delivered once");
    {
        hotel_context context = only(&span);
        {
            HOTEL_ATTACH(guard, &context);
            ok(is_current(&span), "TR-14 HOTEL_ATTACH makes a context current");
        }
        ok(nothing_current(), "TR-14 for its block");
    }
    {
        HOTEL_SCOPE(ended, hotel_start("ended early"));
        hotel_end(&ended);
        ok(is_current(&ended), "TR-27 a scope whose span has ended stays current");
    }
    sink_flush();
    is_int(num_delivered(), 10, "TR-14 and ends it only once");
    sink_close("scopes");
}

/* ---- Propagation ---------------------------------------------------------------------------- */

typedef struct parent_row {
    const char *id;
    const char *traceparent;
    bool accepted;
    const char *sent; /* traceparent of the extracted span; NULL: not looked at */
} parent_row;

#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

static const parent_row parents[] = {
    {"CP-09 sampled", "00-" IDS "-01", true, "00-" IDS "-01"},
    {"WP-01 no flag", "00-" IDS "-00", true, "00-" IDS "-00"},
    {"WP-01 random", "00-" IDS "-03", true, "00-" IDS "-03"},
    {"WP-02 unknown flags", "00-" IDS "-ff", true, "00-" IDS "-03"},
    {"WP-03 upper case", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false, NULL},
    {"WP-04 version ff", "ff-" IDS "-01", false, NULL},
    {"WP-06 a zero trace ID", "00-00000000000000000000000000000000-b7ad6b7169203331-01", false,
     NULL},
    {"WP-06 a zero parent ID", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false,
     NULL},
    {"WP-08 too long", "00-" IDS "-01-x", false, NULL},
    {"WP-13 a future version", "cc-" IDS "-09-what", true, "00-" IDS "-01"},
    {"WP-14 blanks around", " \t00-" IDS "-01\t ", true, "00-" IDS "-01"},
    {"WP-17 empty", "", false, NULL},
    {"WP-17 absent", NULL, false, NULL},
};

static void test_extract(void) {
    hotel_span here;
    hotel_context current;
    hotel_token token;
    size_t i;
    sink_open(NULL);
    here = hotel_start("here");
    current = only(&here);
    token = hotel_attach(&current);
    for (i = 0; i < COUNT(parents); i++) {
        const parent_row *row = &parents[i];
        hotel_context context = hotel_extract(row->traceparent, "a=1");
        char out[HOTEL_TRACEPARENT_SIZE], state[64];
        if (row->accepted) {
            ok(context.span.context.is_remote, "%s: accepted, and remote", row->id);
            ok(hotel_traceparent(&context.span, out), "%s: can be sent", row->id);
            is_str(out, row->sent, "%s: as sent, WP-19", row->id);
            is_int(hotel_tracestate(&context.span, state, sizeof state), 3,
                   "WT-16 %s: tracestate, whatever the version", row->id);
        } else {
            ok(same_id(&context.span, &here), "%s: the context stays as it was", row->id);
            is_int(hotel_tracestate(&context.span, state, sizeof state), 0,
                   "WT-15 %s: tracestate not read", row->id);
        }
        hotel_context_release(&context);
    }
    is_int(hotel_detach(token), HOTEL_OK, "detached");
    hotel_end(&here);
    sink_flush();
    is_int(stale(), 0, "CP-09 nothing was used after its release");
    is_int(read_books().process.rejected_parents - books_opened.process.rejected_parents, 5,
           "WP-17 malformed ones are counted, absent ones are not");
    sink_close("extract");
}

static void test_inject(void) {
    hotel_context parent;
    hotel_span zero, child, second;
    char first[HOTEL_TRACEPARENT_SIZE], next[HOTEL_TRACEPARENT_SIZE];
    memset(&zero, 0, sizeof zero);
    sink_open(NULL);
    memset(first, 'x', sizeof first);
    ok(!hotel_traceparent(&zero, first), "WP-18 nothing to send without a context");
    is_str(first, "", "WP-18 and nothing is written");
    ok(!hotel_traceparent(NULL, first), "WP-18 nor without a span");
    zero.context.trace_id[0] = 1;
    ok(!hotel_traceparent(&zero, first), "WP-18 nor with half of one");
    parent = hotel_extract("00-" IDS "-01", NULL);
    child = hotel_start_in(&parent, "child", HOTEL_CLIENT);
    second = hotel_start_in(&parent, "second", HOTEL_CLIENT);
    ok(hotel_traceparent(&child, first) && hotel_traceparent(&second, next), "CP-09 both are sent");
    is_int(strlen(first), 55, "CP-09 55 characters");
    is_mem(first, 36, "00-" IDS, 36, "CP-09 the trace goes on");
    ok(strcmp(first + 36, next + 36) != 0, "WP-19 each operation has a parent ID of its own");
    is_str(first + 52, "-01", "WP-19 the flags stay");
    child.context.trace_flags = 0xff;
    ok(hotel_traceparent(&child, first), "WP-19 unknown flags");
    is_str(first + 52, "-03", "WP-19 are masked");
    hotel_end(&child);
    hotel_end(&second);
    hotel_context_release(&parent);
    sink_flush();
    sink_close("inject");
}


typedef struct state_row {
    const char *id;
    const char *given;
    const char *sent; /* "": none */
} state_row;

static const state_row states[] = {
    {"WT-02 empty members", "a=1,,b=2, ,c=3", "a=1,b=2,c=3"},
    {"WT-02 nothing but blanks", " \t, ,", ""},
    {"WT-03 blanks around members", " a=1 \t,\tb=2 ", "a=1,b=2"},
    {"WT-03 leading blanks of a value stay", "a=  1,b=2", "a=  1,b=2"},
    {"WT-06 keys of level 2", "foo@@bar=1,1foo=2,foo@=3", "foo@@bar=1,1foo=2,foo@=3"},
    {"WT-06 a key that begins with @", "@foo=1", ""},
    {"WT-07 upper case", "FOO=1", ""},
    {"WT-07 a dot", "foo.bar=1", ""},
    {"WT-07 a blank before =", "foo =1", ""},
    {"WT-07 = in a value", "foo=1=2", ""},
    {"WT-07 no =", "foo", ""},
    {"WT-08 one bad member drops the list", "foo=,bar=3", ""},
    {"WT-09 the first of two equal keys", "a=1,b=2,a=3", "a=1,b=2"},
    {"WT-14 nothing", "", ""},
};

static void check_state(const char *id, const char *given, const char *sent) {
    hotel_context context = hotel_extract("00-" IDS "-01", given);
    hotel_span span = hotel_start_in(&context, "state", HOTEL_SERVER);
    char out[2048];
    size_t size = hotel_tracestate(&span, out, sizeof out);
    otlp_bytes got;
    is_int(size, strlen(sent), "%s: size", id);
    is_str(out, sent, "%s: sent", id);
    ok(context.span.context.is_remote, "WT-08 %s: traceparent is unaffected", id);
    hotel_context_release(&context);
    hotel_end(&span);
    got = delivered("state");
    is_str(has(got, SPAN_STATE) ? text(got, SPAN_STATE) : "", sent, "SP-82 %s: exported", id);
}

static void test_states(void) {
    char list[4096], kept[4200], key[300], value[300];
    size_t i;
    sink_open(NULL);
    for (i = 0; i < COUNT(states); i++) check_state(states[i].id, states[i].given, states[i].sent);
    for (i = 0, list[0] = '\0'; i < 32; i++) {
        (void)snprintf(list + strlen(list), sizeof list - strlen(list), "%sk%u=%u",
                       i > 0 ? "," : "", (unsigned)i, (unsigned)i);
    }
    check_state("WT-04 32 members", list, list);
    (void)snprintf(kept, sizeof kept, "%s,more=1", list);
    check_state("WT-04 33 members", kept, "");
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    (void)snprintf(list, sizeof list, "%.256s=1", key);
    check_state("WT-05 a key of 256", list, list);
    (void)snprintf(list, sizeof list, "%.257s=1", key);
    check_state("WT-05 a key of 257", list, "");
    (void)snprintf(list, sizeof list, "a=%.256s", value);
    check_state("WT-05 a value of 256", list, list);
    (void)snprintf(list, sizeof list, "a=%.257s", value);
    check_state("WT-05 a value of 257", list, "");
    (void)snprintf(list, sizeof list, "a=%.250s,b=%.250s,c=1", value, value);
    check_state("WT-12 511 characters and a few", list, list);
    (void)snprintf(list, sizeof list, "a=1,b=%.256s,c=%.256s,d=%.256s,e=%.256s,f=2", value, value,
                   value, value);
    {
        hotel_context context = hotel_extract("00-" IDS "-01", list);
        char out[2048];
        size_t size = hotel_tracestate(&context.span, out, sizeof out);
        ok(size >= 512 && size < strlen(list), "WT-12 a long list is cut (%u)", (unsigned)size);
        ok(strncmp(out, "a=1,", 4) == 0 && strcmp(out + size - 4, ",f=2") == 0,
           "WT-12 by whole members, the long ones first");
        hotel_context_release(&context);
    }
    check_state("WT-14 a short one", "a=1", "a=1");
    sink_close("tracestate");
}

static void test_state_edits(void) {
    char out[256];
    is_int(hotel_tracestate_get("a=1,b=22", "b", out, sizeof out), 2, "WT-13 get: its size");
    is_str(out, "22", "WT-13 get: the value");
    is_int(hotel_tracestate_get("a=1,b=22", "c", out, sizeof out), -1, "WT-13 get: absent");
    is_int(hotel_tracestate_set("a=1,b=2", "c", "3", out, sizeof out), 11, "WT-10 add");
    is_str(out, "c=3,a=1,b=2", "WT-10 a new member goes to the front");
    (void)hotel_tracestate_set("a=1,b=2,c=3", "b", "9", out, sizeof out);
    is_str(out, "b=9,a=1,c=3", "WT-10 so does a changed one, without a second copy");
    (void)hotel_tracestate_set("a=1,b=2,c=3", "b", NULL, out, sizeof out);
    is_str(out, "a=1,c=3", "WT-11 delete");
    (void)hotel_tracestate_set("a=1,b=2", "B", "9", out, sizeof out);
    is_str(out, "a=1,b=2", "WT-13 a bad key changes nothing");
    (void)hotel_tracestate_set("a=1,b=2", "c", "x,y", out, sizeof out);
    is_str(out, "a=1,b=2", "WT-13 a bad value changes nothing");
}

/* ---- Contexts on other threads -------------------------------------------------------------- */

typedef struct errand {
    hotel_context context;
    hotel_span made;
    hotel_token foreign;
    bool empty_before, current_inside, empty_after;
    hotel_result order;
} errand;

static void *run_errand(void *user_data) {
    errand *e = (errand *)user_data;
    hotel_token token;
    e->empty_before = nothing_current();
    e->order = hotel_detach(e->foreign);
    token = hotel_attach(&e->context);
    e->current_inside = is_current(&e->context.span);
    e->made = hotel_start("on the other thread");
    hotel_end(&e->made);
    (void)hotel_detach(token);
    e->empty_after = nothing_current();
    hotel_context_release(&e->context);
    return NULL;
}

static void test_threads(void) {
    hotel_context remote, current;
    hotel_token token;
    hotel_span span;
    pthread_t thread;
    errand e;
    otlp_bytes got;
    memset(&e, 0, sizeof e);
    sink_open(NULL);
    remote = hotel_extract("00-" IDS "-01", "a=1,b=2");
    span = hotel_start_in(&remote, "here", HOTEL_SERVER);
    current = hotel_context_with(&span);
    token = hotel_attach(&current);
    e.context = hotel_context_hold(NULL);
    e.foreign = token;
    hotel_context_release(&remote);
    is_int(hotel_detach(token), HOTEL_OK, "detached");
    token = hotel_attach(&current);
    e.foreign = token;
    hotel_end(&span);
    sink_flush();
    if (pthread_create(&thread, NULL, run_errand, &e) != 0) abort();
    (void)pthread_join(thread, NULL);
    ok(e.empty_before, "CP-06 another thread has nothing current");
    is_int(e.order, HOTEL_ERR_ORDER, "CP-05 a token of another thread is refused");
    ok(e.current_inside, "CP-06 a context that was handed over is current there");
    ok(e.empty_after, "CP-06 until it is detached");
    ok(is_current(&span), "CP-06 this thread's own stays");
    got = delivered("on the other thread");
    ok(child_of(got, &span), "CP-03 its span is a child of the one that was current here");
    is_str(text(got, SPAN_STATE), "a=1,b=2", "CP-03 with the tracestate that was held");
    is_int(hotel_detach(token), HOTEL_OK, "detached");
    is_int(stale(), 0, "CP-03 nothing was used after its release");
    sink_close("threads");
}

static void test_stale(void) {
    hotel_context held, copy;
    hotel_span child;
    char state[64];
    otlp_bytes got;
    hotel_stats before, after;
    sink_open(NULL);
    hotel_get_stats(&before);
    held = hotel_extract("00-" IDS "-01", "a=1");
    copy = held;
    hotel_context_release(&held);
    is_int(hotel_tracestate(&copy.span, state, sizeof state), 0, "a released one reads empty");
    ok(stale() >= 1, "and is counted");
    child = leaf("of a stale one", &copy);
    ok(same_trace(&child, &copy.span), "its ids are still good");
    got = delivered("of a stale one");
    ok(child_of(got, &copy.span), "a child hangs under it");
    ok(!has(got, SPAN_STATE), "without the tracestate");
    hotel_context_release(&copy);
    hotel_context_release(&copy);
    hotel_context_release(NULL);
    held = hotel_extract("00-" IDS "-01", "b=2");
    copy = hotel_context_hold(&held);
    hotel_context_release(&held);
    is_int(hotel_tracestate(&copy.span, state, sizeof state), 3, "a held one stays");
    hotel_context_release(&copy);
    sink_flush();
    hotel_get_stats(&after);
    is_int(after.chunks_free, before.chunks_free, "all blocks were given back");
    is_int(log_count(HOTEL_LOG_ID_STALE_REFERENCE), 1, "logged once");
    sink_close("stale contexts");
}

static void test_released(void) {
    hotel_context context;
    char state[64];
    sink_open(NULL);
    sink_close("released");
    context = hotel_extract("00-" IDS "-01", "a=1");
    ok(context.span.context.is_remote, "CP-09 a parent is extracted after hotel_release");
    is_int(hotel_tracestate(&context.span, state, sizeof state), 0,
           "CP-09 without its tracestate, which has no place to be");
    hotel_context_release(&context);
}

/* ---- Tasks and threads ---------------------------------------------------------------------- */

static void *end_task(void *user_data) {
    hotel_task_succeed((hotel_task *)user_data);
    return NULL;
}

static void test_task_elsewhere(void) {
    hotel_step_run run;
    hotel_task task, copy;
    hotel_span under, after, outer;
    hotel_context around, late;
    hotel_token token;
    pthread_t thread;
    otlp_bytes got;
    memset(&run, 0, sizeof run);
    run.step_run_id = "run-1";
    sink_open(NULL);
    outer = hotel_start("outer");
    around = only(&outer);
    token = hotel_attach(&around);
    task = hotel_start_step_run(&run);
    copy = task;
    under = hotel_start("under");
    late = hotel_context_hold(NULL);
    if (pthread_create(&thread, NULL, end_task, &task) != 0) abort();
    (void)pthread_join(thread, NULL);
    ok(is_current(&outer), "CP-05 a task ended elsewhere is not current here any more");
    after = leaf("after", &around);
    hotel_end(&under);
    {
        hotel_span implicit = hotel_start("implicit");
        ok(same_trace(&implicit, &outer), "CP-05 new spans go under what was current before");
        hotel_end(&implicit);
    }
    (void)leaf("late", &late);
    hotel_context_release(&late);
    is_int(hotel_detach(copy.token), HOTEL_OK, "CP-05 its slot can still be given back");
    is_int(hotel_detach(token), HOTEL_OK, "CP-05 and the one below it");
    hotel_end(&outer);
    got = delivered("under");
    is_str(string_of(got, "hatchet.step_run_id"), "run-1", "spans of the task carry its values");
    ok(child_of(span_of("late"), &copy.span), "a context held goes on as its parent");
    is_str(string_of(span_of("late"), "hatchet.step_run_id"), "run-1", "with its values");
    ok(!has_attribute(span_of("after"), "hatchet.step_run_id"), "spans outside do not");
    ok(!has_attribute(span_of("implicit"), "hatchet.step_run_id"), "nor do later ones");
    ok(!hotel_is_recording(&after), "the one outside has ended");
    sink_close("a task that ends on another thread");
}

int main(void) {
    test_current();
    test_wrong_order();
    test_depth();
    test_scopes();
    test_extract();
    test_inject();
    test_states();
    test_state_edits();
    test_threads();
    test_stale();
    test_released();
    test_task_elsewhere();
    return done_testing();
}
