/*
 * SPDX-License-Identifier: MIT
 *
 * test_probability.c - consistent sampling: probabilities, composites and their parts, thresholds
 * and randomness in tracestate.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

#define TOP (UINT64_C(1) << 56)

static hotel_sampler sampler_of(hotel_sampler_type type) {
    hotel_sampler sampler;
    memset((void *)&sampler, 0, sizeof sampler);
    sampler.type = type;
    return sampler;
}

static hotel_sampler probability(double ratio) {
    hotel_sampler sampler = sampler_of(HOTEL_SAMPLER_PROBABILITY);
    sampler.ratio = ratio;
    return sampler;
}

static hotel_sampler over(hotel_sampler_type type, const hotel_sampler *root) {
    hotel_sampler sampler = sampler_of(type);
    sampler.root = root;
    return sampler;
}

static void open_with(const hotel_sampler *sampler) {
    hotel_config config = sink_config();
    config.sampler = *sampler;
    sink_open(&config);
}

static bool is_sampled(const hotel_span *span) {
    return (span->context.trace_flags & HOTEL_FLAG_SAMPLED) != 0;
}

/* In one of eight buffers that are used in turn. */
static const char *state_of(const hotel_span *span) {
    static char states[8][1100];
    static unsigned turn;
    char *state = states[turn++ % 8];
    (void)hotel_tracestate(span, state, sizeof states[0]);
    return state;
}

static const char *description_of(const hotel_sampler *sampler) {
    static char description[512];
    (void)hotel_sampler_description(sampler, description, sizeof description);
    return description;
}

/* A remote parent whose trace ID ends with these 56 bits. */
static hotel_context parent_of(uint64_t random, int flags, const char *state) {
    char header[HOTEL_TRACEPARENT_SIZE];
    (void)snprintf(header, sizeof header, "00-0af7651916cd43dd84%014llx-b7ad6b7169203331-%02x",
                   (unsigned long long)random, (unsigned)flags);
    return hotel_extract(header, state);
}

/* A child of such a parent: whether it is sampled, and its tracestate. */
static bool child_sampled(uint64_t random, int flags, const char *state, const char **got) {
    hotel_context parent = parent_of(random, flags, state);
    hotel_start_options options;
    hotel_span span;
    memset((void *)&options, 0, sizeof options);
    options.parent = &parent;
    span = hotel_start_with("child", &options);
    if (got != NULL) *got = state_of(&span);
    hotel_end(&span);
    hotel_context_release(&parent);
    return is_sampled(&span);
}

static void children(const char *id, uint64_t random, int flags, const char *state, bool want,
                     const char *want_state) {
    const char *got = "";
    bool sampled = child_sampled(random, flags, state, &got);
    ok(sampled == want, "%s \"%s\", flags %d, %014llx: %s", id, state != NULL ? state : "", flags,
       (unsigned long long)random, want ? "kept" : "dropped");
    is_str(got, want_state, "%s its tracestate", id);
}

/* ---- Probability ---------------------------------------------------------------------------- */

typedef struct vector {
    double ratio;
    const char *th;
} vector;

static void test_vectors(void) {
    static const vector rows[] = {
        {1, "ot=th:0"},           {0.5, "ot=th:8"},          {1.0 / 3, "ot=th:aaab"},
        {0.25, "ot=th:c"},        {0.2, "ot=th:cccd"},       {0.125, "ot=th:e"},
        {0.1, "ot=th:e666"},      {1.0 / 16, "ot=th:f"},     {0.01, "ot=th:fd70a"},
        {1e-3, "ot=th:ffbe77"},   {1e-4, "ot=th:fff9724"},   {1e-5, "ot=th:ffff583a"},
        {1e-6, "ot=th:ffffef39"},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_sampler sampler = probability(rows[i].ratio);
        hoteli_ot ot = hoteli_tracestate_ot(rows[i].th, strlen(rows[i].th));
        open_with(&sampler);
        children("SM-12", TOP - 1, 3, NULL, true, rows[i].th);
        children("SM-10", ot.th, 3, NULL, true, rows[i].th);
        if (ot.th > 0) children("SM-10", ot.th - 1, 3, NULL, false, "");
        sink_flush();
        is_str(text(span_of("child"), SPAN_STATE), rows[i].th, "TR-62 %g is exported",
               rows[i].ratio);
        sink_close("a probability");
    }
}

static void test_never(void) {
    hotel_sampler sampler = probability(0);
    open_with(&sampler);
    children("SM-12", TOP - 1, 3, NULL, false, "");
    children("SM-12", TOP - 1, 3, "ot=rv:ffffffffffffff", false, "ot=rv:ffffffffffffff");
    sink_close("probability 0");
}

static void test_randomness(void) {
    hotel_sampler sampler = probability(0.5);
    open_with(&sampler);
    children("SM-11", TOP / 2, 3, "a=1", true, "ot=th:8,a=1");
    children("SM-11", TOP / 2 - 1, 3, "a=1", false, "a=1");
    children("SM-11", 0, 3, "a=1,ot=rv:80000000000000", true,
             "ot=th:8;rv:80000000000000,a=1");
    children("SM-11", TOP - 1, 3, "ot=rv:7fffffffffffff,a=1", false,
             "ot=rv:7fffffffffffff,a=1");
    children("SM-13", TOP - 1, 3, "ot=x:1;rv:80;y:Q._-", true, "ot=th:8;x:1;rv:80;y:Q._-");
    children("SM-13", TOP - 1, 3, "ot=rv:7FFFFFFFFFFFFF", true, "ot=th:8;rv:7FFFFFFFFFFFFF");
    children("SM-13", TOP - 1, 3, "a=1,ot=x:1;th:4;rv:80000000000000,b=2", true,
             "ot=th:8;x:1;rv:80000000000000,a=1,b=2");
    children("SM-13", TOP - 1, 3, "a=1,ot=what is this,b=2", true, "ot=th:8,a=1,b=2");
    children("TR-62", TOP - 1, 3, "a=1,ot=th:8,b=2", true, "a=1,ot=th:8,b=2");
    children("TR-62", TOP - 1, 2, "a=1,ot=th:0,b=2", true, "ot=th:8,a=1,b=2");
    sink_close("randomness");
}

/* What is dropped says nothing about thresholds, where that needs no other tracestate. */
static void test_dropped(void) {
    hotel_sampler sampler = probability(0.5);
    open_with(&sampler);
    children("SM-15", 0, 3, "ot=th:0", false, "");
    children("SM-15", 0, 3, "ot=th:0,a=1", false, "ot=th:0,a=1");
    sink_close("dropped");
}

static void test_warning(void) {
    hotel_sampler sampler = probability(0.5);
    open_with(&sampler);
    (void)leaf("root", NULL);
    (void)child_sampled(TOP - 1, 3, NULL, NULL);
    (void)child_sampled(TOP - 1, 1, "ot=rv:ffffffffffffff", NULL);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_NOT_RANDOM), 0, "SM-11 roots, random flags and rv are fine");
    (void)child_sampled(TOP - 1, 1, NULL, NULL);
    (void)child_sampled(TOP - 1, 1, NULL, NULL);
    sink_flush();
    (void)child_sampled(TOP - 1, 1, NULL, NULL);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_NOT_RANDOM), 1, "SM-11 trace IDs of others are reported once");
    sink_close("a warning");
}

static void test_ratio_warning(void) {
    hotel_sampler ratio = sampler_of(HOTEL_SAMPLER_TRACE_ID_RATIO), based;
    ratio.ratio = 0.5;
    based = over(HOTEL_SAMPLER_PARENT_BASED, &ratio);
    open_with(&based);
    (void)leaf("root", NULL);
    (void)child_sampled(TOP - 1, 3, NULL, NULL);
    (void)child_sampled(TOP - 1, 0, NULL, NULL);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_RATIO_WITH_PARENT), 0, "SM-09 at the root a ratio is fine");
    sink_close("a ratio at the root");
    open_with(&ratio);
    (void)leaf("root", NULL);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_RATIO_WITH_PARENT), 0, "SM-09 roots are fine");
    (void)child_sampled(TOP - 1, 3, NULL, NULL);
    (void)child_sampled(TOP - 1, 0, NULL, NULL);
    sink_flush();
    (void)child_sampled(TOP - 1, 0, NULL, NULL);
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_RATIO_WITH_PARENT), 1, "SM-09 parents are reported once");
    sink_close("a ratio under parents");
}

/* Every trace that a probability keeps is kept by all greater ones, and about so many are. */
static void test_consistent(void) {
    static const double ratios[] = {0.001, 0.01, 0.1, 0.3, 1.0 / 3, 0.7, 0.99};
    enum { TRACES = 4000 };
    static bool kept[COUNT(ratios)][TRACES];
    size_t i, k, worse = 0, count;
    for (i = 0; i < COUNT(ratios); i++) {
        hotel_sampler sampler = probability(ratios[i]);
        uint64_t random = 88172645463325252u;
        open_with(&sampler);
        for (k = count = 0; k < TRACES; k++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            kept[i][k] = child_sampled(random >> 8, (int)(k & 1) + 2, NULL, NULL);
            count += kept[i][k];
            if (i > 0 && kept[i - 1][k] && !kept[i][k]) worse++;
            if (k % 256 == 0) sink_flush();
        }
        ok((double)count > ratios[i] * TRACES * 0.8 - 12 &&
               (double)count < ratios[i] * TRACES * 1.2 + 12,
           "SM-10 a probability of %g keeps %zu of %d", ratios[i], count, (int)TRACES);
        sink_close("consistency");
    }
    is_int((long long)worse, 0, "SM-10 a greater probability keeps what a smaller one keeps");
}

/* Own trace IDs: the rate, and that whole traces are kept or dropped. */
static void test_local(void) {
    hotel_sampler sampler = probability(0.25);
    size_t i, count = 0, torn = 0, other = 0;
    open_with(&sampler);
    for (i = 0; i < 4000; i++) {
        hotel_start_options options;
        hotel_context context;
        hotel_span root = hotel_start("root"), child;
        context = only(&root);
        memset((void *)&options, 0, sizeof options);
        options.parent = &context;
        child = hotel_start_with("child", &options);
        count += is_sampled(&root);
        torn += is_sampled(&root) != is_sampled(&child);
        if (is_sampled(&child) && (strcmp(state_of(&child), "ot=th:c") != 0 ||
                                   child.context.trace_state.index !=
                                       root.context.trace_state.index))
            other++;
        hotel_end(&child);
        hotel_end(&root);
        if (i % 256 == 0) sink_flush();
    }
    ok(count > 800 && count < 1200, "SM-10 a probability of 0.25 keeps %zu of 4000 roots", count);
    is_int((long long)torn, 0, "SM-10 no trace is torn");
    is_int((long long)other, 0, "TR-62 children share the tracestate of their parents");
    is_int(log_count(HOTEL_LOG_ID_STALE_REFERENCE), 0, "TR-62 and nothing is stale");
    sink_close("own traces");
}

/* ---- Composites ----------------------------------------------------------------------------- */

static void test_parent_threshold(void) {
    hotel_sampler root = probability(0.25);
    hotel_sampler part = over(HOTEL_SAMPLER_PARENT_THRESHOLD, &root);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &part);
    size_t i, bad = 0, count = 0;
    open_with(&composite);
    for (i = 0; i < 400; i++) {
        hotel_span span = hotel_start("root");
        if (is_sampled(&span) && strcmp(state_of(&span), "ot=th:c") != 0) bad++;
        count += is_sampled(&span);
        hotel_end(&span);
    }
    ok(count > 50 && count < 150, "SM-16 the root decides for roots, %zu of 400 kept", count);
    is_int((long long)bad, 0, "SM-16 and tells its threshold");
    children("SM-16", TOP - 1, 3, "a=1,ot=th:8", true, "a=1,ot=th:8");
    children("SM-16", TOP / 2, 3, "ot=th:8;x:1", true, "ot=th:8;x:1");
    children("SM-16", 5, 3, "ot=th:8;rv:c0000000000000", true, "ot=th:8;rv:c0000000000000");
    children("SM-16", 0, 2, "ot=th:8;x:1", false, "ot=th:8;x:1");
    children("SM-16", TOP - 1, 2, "ot=th:8;rv:70000000000000", false, "ot=th:8;rv:70000000000000");
    children("SM-16", 0, 3, NULL, true, "");
    children("SM-16", 0, 3, "a=1,ot=x:1", true, "a=1,ot=x:1");
    children("SM-16", TOP - 1, 2, NULL, false, "");
    children("SM-16", TOP - 1, 2, "a=1", false, "a=1");
    /* A th that contradicts the flag goes, and the flag decides. */
    children("SM-14", 0, 3, "a=1,ot=x:1;th:8", true, "ot=x:1,a=1");
    children("SM-14", 0, 3, "a=1,ot=th:8", true, "a=1");
    children("SM-14", TOP - 1, 2, "ot=th:0", false, "");
    children("SM-14", TOP - 1, 3, "ot=th:nothex;rv:c0000000000000,a=1", true,
             "ot=rv:c0000000000000,a=1");
    sink_close("parent threshold");
}

static void test_always(void) {
    hotel_sampler part = sampler_of(HOTEL_SAMPLER_ALWAYS_ON);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, NULL);
    open_with(&composite);
    children("SM-15", 0, 2, "a=1", true, "ot=th:0,a=1");
    sink_close("composite of nothing");
    composite.root = &part;
    open_with(&composite);
    children("TR-63", 0, 0, "ot=th:8", true, "ot=th:0");
    sink_flush();
    is_int(log_count(HOTEL_LOG_ID_NOT_RANDOM), 0, "SM-11 always on needs no randomness");
    sink_close("always on");
    part.type = HOTEL_SAMPLER_ALWAYS_OFF;
    open_with(&composite);
    children("TR-63", TOP - 1, 3, "ot=th:0", false, "");
    children("SM-15", TOP - 1, 3, "a=1", false, "a=1");
    sink_close("always off");
    part = probability(0.5);
    open_with(&composite);
    children("TR-63", TOP / 2, 2, "ot=th:c,a=1", true, "ot=th:8,a=1");
    children("TR-63", TOP / 2 - 1, 2, NULL, false, "");
    sink_close("probability in a composite");
}

/* A child that is started when its parent is delivered and gone: the tracestate went with it, the
   decision stays the same. */
static void test_late_child(void) {
    hotel_sampler on = probability(1);
    hotel_sampler part = over(HOTEL_SAMPLER_PARENT_THRESHOLD, &on);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &part);
    hotel_context context;
    hotel_span span;
    open_with(&on);
    span = leaf("early", NULL);
    sink_flush();
    context = only(&span);
    span = leaf("late", &context);
    ok(is_sampled(&span), "SM-10 a late child is kept as its parent was");
    is_str(text(delivered("late"), SPAN_STATE), "ot=th:0", "SM-10 and tells its threshold");
    sink_close("a late child by probability");
    open_with(&composite);
    span = leaf("early", NULL);
    is_str(text(delivered("early"), SPAN_STATE), "ot=th:0", "SM-16 an early parent has th");
    context = only(&span);
    span = leaf("late", &context);
    ok(is_sampled(&span), "SM-16 a late child is kept as its parent was");
    ok(!has(delivered("late"), SPAN_STATE), "SM-14 of unknown probability");
    sink_close("a late child by its parent");
}

/* ---- Rules ---------------------------------------------------------------------------------- */

static int asked[3];

static bool name_has(const hotel_sampling *input, void *user_data) {
    const char *word = (const char *)user_data;
    hotel_span nested = hotel_start("nested");
    if (hotel_is_recording(&nested)) abort();
    asked[word[0] - 'a']++;
    return memmem(input->name, input->name_size, word, strlen(word)) != NULL;
}

static void test_rules(void) {
    hotel_sampler off = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF), half = probability(0.5);
    hotel_sampler on = sampler_of(HOTEL_SAMPLER_ALWAYS_ON);
    static char a[] = "a", b[] = "b", c[] = "c";
    hotel_sampler_rule rules[3] = {{name_has, a, &off}, {name_has, b, &on}, {name_has, c, &half}};
    hotel_sampler part = sampler_of(HOTEL_SAMPLER_RULE_BASED);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &part);
    hotel_sampler_rule inner_rules[1] = {{name_has, b, &on}};
    hotel_sampler inner = sampler_of(HOTEL_SAMPLER_RULE_BASED);
    hotel_span span;
    part.rules = rules;
    part.num_rules = 3;
    open_with(&composite);
    span = leaf("ab", NULL);
    ok(!is_sampled(&span) && asked[0] == 1 && asked[1] == 0, "SM-16 the first match decides");
    span = leaf("bc", NULL);
    ok(is_sampled(&span) && asked[0] == 2 && asked[1] == 1 && asked[2] == 0,
       "SM-16 rules are asked in their order");
    is_str(text(delivered("bc"), SPAN_STATE), "ot=th:0", "SM-16 with the threshold of the match");
    span = leaf("none of them", NULL);
    ok(!is_sampled(&span) && asked[2] == 1, "SM-16 without a match nothing is kept");
    sink_close("rules");
    rules[2].match_fn = NULL;
    open_with(&composite);
    children("SM-16", TOP / 2, 3, NULL, true, "ot=th:8");
    children("SM-16", TOP / 2 - 1, 3, NULL, false, "");
    sink_close("a rule for all others");
    part.num_rules = 0;
    open_with(&composite);
    span = leaf("x", NULL);
    ok(!is_sampled(&span), "SM-16 no rules keep nothing");
    sink_close("no rules");
    /* Rules within rules: what the inner ones do not match is dropped. */
    inner.rules = inner_rules;
    inner.num_rules = 1;
    rules[0].sampler = &inner;
    part.num_rules = 3;
    open_with(&composite);
    span = leaf("ab", NULL);
    ok(is_sampled(&span), "SM-16 rules within rules keep");
    span = leaf("a-", NULL);
    ok(!is_sampled(&span), "SM-16 and drop");
    sink_close("rules within rules");
}

/* ---- Annotations ---------------------------------------------------------------------------- */

static void test_annotating(void) {
    hotel_attr inner_attrs[2] = {hotel_str("by", "inner"), hotel_int("rate", 2)};
    hotel_attr outer_attrs[2] = {hotel_str("by", "outer"), hotel_str("both", "sampler")};
    hotel_attr given[1] = {hotel_str("both", "caller")};
    hotel_sampler half = probability(0.5);
    hotel_sampler inner = over(HOTEL_SAMPLER_ANNOTATING, &half);
    hotel_sampler_rule rules[1] = {{NULL, NULL, &inner}};
    hotel_sampler part = sampler_of(HOTEL_SAMPLER_RULE_BASED);
    hotel_sampler outer = over(HOTEL_SAMPLER_ANNOTATING, &part);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &outer);
    hotel_start_options options;
    hotel_context parent;
    hotel_span span;
    inner.attributes = inner_attrs;
    inner.num_attributes = 2;
    outer.attributes = outer_attrs;
    outer.num_attributes = 2;
    part.rules = rules;
    part.num_rules = 1;
    is_str(description_of(&composite),
           "CompositeSampler{ComposableAnnotating{ComposableRuleBased{any:ComposableAnnotating{"
           "ComposableProbability{0.500000},by,rate}},by,both}}",
           "SM-04 annotating");
    inner_attrs[1].key = "ratexyz"; /* of which four bytes are the key */
    outer_attrs[1].key = NULL;
    is_str(description_of(&composite),
           "CompositeSampler{ComposableAnnotating{ComposableRuleBased{any:ComposableAnnotating{"
           "ComposableProbability{0.500000},by,rate}},by,}}",
           "SM-04 keys need no NUL, nor be there");
    outer_attrs[1].key = "both";
    inner_attrs[1].key = "rate";
    open_with(&composite);
    parent = parent_of(TOP / 2, 3, "a=1");
    memset((void *)&options, 0, sizeof options);
    options.parent = &parent;
    options.attributes = given;
    options.num_attributes = 1;
    span = hotel_start_with("annotated", &options);
    hotel_end(&span);
    hotel_context_release(&parent);
    ok(is_sampled(&span), "SM-16 annotating delegates");
    is_str(string_of(delivered("annotated"), "by"), "outer", "SM-16 the outer one wins");
    is_int(integer_of(span_of("annotated"), "rate"), 2, "SM-16 the inner one's are there");
    is_str(string_of(span_of("annotated"), "both"), "caller", "SM-02 the caller's win");
    is_int((long long)num_attributes(span_of("annotated")), 3, "SP-33 keys are there once");
    is_str(text(span_of("annotated"), SPAN_STATE), "ot=th:8,a=1", "SM-16 and the threshold");
    children("SM-16", 0, 3, NULL, false, "");
    sink_close("annotating");
}

/* ---- Inside other samplers ------------------------------------------------------------------ */

static void test_delegates(void) {
    hotel_sampler half = probability(0.5);
    hotel_sampler part = over(HOTEL_SAMPLER_PARENT_THRESHOLD, &half);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &part);
    hotel_sampler based = over(HOTEL_SAMPLER_PARENT_BASED, &half);
    hotel_sampler record = over(HOTEL_SAMPLER_ALWAYS_RECORD, &half);
    hotel_context parent;
    hotel_start_options options;
    hotel_span span;
    based.remote_sampled = &composite;
    open_with(&based);
    children("TR-63", 0, 3, "ot=th:8,a=1", true, "a=1"); /* contradicts: removed */
    children("TR-63", 0, 2, "ot=th:8,a=1", false, "ot=th:8,a=1");
    sink_close("under a parent based sampler");
    open_with(&record);
    parent = parent_of(0, 3, "ot=th:0;x:1,a=1");
    memset((void *)&options, 0, sizeof options);
    options.parent = &parent;
    span = hotel_start_with("recorded", &options);
    ok(hotel_is_recording(&span) && !is_sampled(&span), "SM-07 what is dropped is recorded");
    is_str(state_of(&span), "ot=x:1,a=1", "SM-15 without th");
    hotel_end(&span);
    hotel_context_release(&parent);
    sink_close("under always record");
}

/* ---- Limits --------------------------------------------------------------------------------- */

static void test_limits(void) {
    hotel_sampler sampler = probability(0.5);
    char state[1200], want[1200], filler[256];
    size_t used = 0, i;
    memset(filler, 'v', sizeof filler);
    open_with(&sampler);
    (void)snprintf(state, sizeof state, "a=1,ot=x:%.*s", 250, filler);
    children("SM-13", TOP - 1, 3, state, true, state);
    (void)snprintf(state, sizeof state, "a=1,ot=x:%.*s", 249, filler);
    (void)snprintf(want, sizeof want, "ot=th:8;x:%.*s,a=1", 249, filler);
    children("SM-13", TOP - 1, 3, state, true, want);
    for (i = 0; i < 32; i++) {
        used += (size_t)snprintf(state + used, sizeof state - used, "%sk%02u=1", i > 0 ? "," : "",
                                 (unsigned)i);
    }
    (void)snprintf(want, sizeof want, "ot=th:8,%.*s", (int)(used - 6), state);
    children("SM-13", TOP - 1, 3, state, true, want);
    /* Four members of 255 bytes are 1023 with their commas: the last goes for ot. */
    for (i = used = 0; i < 4; i++) {
        used += (size_t)snprintf(state + used, sizeof state - used, "%s%c=%.*s", i > 0 ? "," : "",
                                 (int)('a' + i), 253, filler);
    }
    (void)snprintf(want, sizeof want, "ot=th:8,%.*s", (int)(used - 256), state);
    children("WT-12", TOP - 1, 3, state, true, want);
    sink_close("limits");
}

/* Without a free chunk for it the span keeps its parent's tracestate. */
static void test_no_room(void) {
    hotel_sampler sampler = probability(0.5);
    hotel_span spans[4096], span;
    hotel_context parent;
    hotel_start_options options;
    size_t count = 0, kept = 0, lost = 0, i;
    open_with(&sampler);
    parent = parent_of(TOP - 1, 3, "a=1");
    memset((void *)&options, 0, sizeof options);
    options.parent = &parent;
    for (; count < COUNT(spans); count++) {
        span = hotel_start_with("filler", &options);
        if (!hotel_is_recording(&span)) break;
        if (strcmp(state_of(&span), "a=1") == 0) kept++;
        else if (strcmp(state_of(&span), "ot=th:8,a=1") != 0) lost++;
        spans[count] = span;
    }
    ok(count < COUNT(spans) && kept > 0, "P4 the arena is full, %zu of %zu without th", kept, count);
    is_int((long long)lost, 0, "P4 and no tracestate is lost");
    for (i = 0; i < count; i++) hotel_end(&spans[i]);
    hotel_context_release(&parent);
    sink_close("no room");
}

/* ---- Configuration -------------------------------------------------------------------------- */

static void test_descriptions(void) {
    hotel_sampler half = probability(0.5), on = sampler_of(HOTEL_SAMPLER_ALWAYS_ON);
    hotel_sampler off = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF);
    hotel_sampler part = over(HOTEL_SAMPLER_PARENT_THRESHOLD, &half);
    hotel_sampler composite = over(HOTEL_SAMPLER_COMPOSITE, &part), rules_part;
    hotel_sampler_rule rules[2] = {{name_has, NULL, &off}, {NULL, NULL, &on}};
    char described[4096];
    is_str(description_of(&half), "ProbabilitySampler{0.500000}", "SM-04 probability");
    is_str(description_of(&composite),
           "CompositeSampler{ComposableParentThreshold{root:ComposableProbability{0.500000}}}",
           "SM-04 parent threshold");
    rules_part = sampler_of(HOTEL_SAMPLER_RULE_BASED);
    rules_part.rules = rules;
    rules_part.num_rules = 2;
    composite.root = &rules_part;
    is_str(description_of(&composite),
           "CompositeSampler{ComposableRuleBased{rule:ComposableAlwaysOff,any:ComposableAlwaysOn}}",
           "SM-04 rules");
    open_with(&half);
    (void)hotel_describe(described, sizeof described);
    ok(strstr(described, "sampler=ProbabilitySampler{0.500000}\n") != NULL,
       "SM-04 hotel_describe has it");
    sink_close("descriptions");
}

static bool refused(const hotel_sampler *sampler) {
    hotel_config config = sink_config();
    hotel_result result;
    config.sampler = *sampler;
    log_clear();
    result = hotel_init(&config);
    open_books();
    sink_close("a bad sampler");
    return result == HOTEL_ERR_ARGUMENT && log_count(HOTEL_LOG_ID_BAD_CONFIG) == 1;
}

static void test_bad(void) {
    hotel_sampler half = probability(0.5), bad = probability(-0.5), part, composite;
    hotel_sampler custom = sampler_of(HOTEL_SAMPLER_CUSTOM);
    hotel_sampler_rule rules[12];
    size_t i;
    ok(refused(&bad), "SP-06 a probability below 0 is refused");
    bad = probability(1.5);
    ok(refused(&bad), "SP-06 a probability above 1 is refused");
    part = over(HOTEL_SAMPLER_PARENT_THRESHOLD, &half);
    ok(refused(&part), "SP-06 a parent threshold outside of a composite is refused");
    part.type = HOTEL_SAMPLER_ANNOTATING;
    ok(refused(&part), "SP-06 an annotating one outside of a composite is refused");
    part.type = HOTEL_SAMPLER_RULE_BASED;
    ok(refused(&part), "SP-06 rules outside of a composite are refused");
    composite = over(HOTEL_SAMPLER_COMPOSITE, &custom);
    ok(refused(&composite), "SP-06 a custom sampler in a composite is refused");
    composite.root = &composite;
    ok(refused(&composite), "SP-06 a composite in a composite is refused");
    composite.root = &part;
    part.root = NULL;
    part.num_rules = 1;
    ok(refused(&composite), "SP-06 rules that are NULL are refused");
    memset((void *)rules, 0, sizeof rules);
    part.rules = rules;
    ok(refused(&composite), "SP-06 a rule without a sampler is refused");
    rules[0].sampler = &part;
    ok(refused(&composite), "SP-06 rules in a circle are refused");
    for (i = 0; i < COUNT(rules); i++) rules[i].sampler = &half;
    part.num_rules = 11;
    ok(refused(&composite), "SP-06 more than 12 samplers are refused");
    part.num_rules = 10;
    ok(!refused(&composite), "SP-06 12 samplers are not");
}

int main(void) {
    test_vectors();
    test_never();
    test_randomness();
    test_dropped();
    test_warning();
    test_ratio_warning();
    test_consistent();
    test_local();
    test_parent_threshold();
    test_always();
    test_late_child();
    test_rules();
    test_annotating();
    test_delegates();
    test_limits();
    test_no_room();
    test_descriptions();
    test_bad();
    return done_testing();
}
