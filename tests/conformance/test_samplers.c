/*
 * SPDX-License-Identifier: MIT
 *
 * test_samplers.c - built-in samplers, delegates, ratios, samplers of the user's, and what the
 * environment says about them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

static hotel_sampler sampler_of(hotel_sampler_type type) {
    hotel_sampler sampler;
    memset(&sampler, 0, sizeof sampler);
    sampler.type = type;
    return sampler;
}

static hotel_sampler ratio_of(double ratio) {
    hotel_sampler sampler = sampler_of(HOTEL_SAMPLER_TRACE_ID_RATIO);
    sampler.ratio = ratio;
    return sampler;
}

/* A context with a parent: remote or local, sampled or not. */
static hotel_context parent_of(bool remote, bool sampled) {
    hotel_context context;
    memset(&context, 0, sizeof context);
    memset(context.span.context.trace_id, 0x5a, 16);
    memset(context.span.context.span_id, 0xa5, 8);
    context.span.context.trace_flags = sampled ? HOTEL_FLAG_SAMPLED : 0;
    context.span.context.is_remote = remote;
    return context;
}

/* ---- Ratios --------------------------------------------------------------------------------- */

/* Low 8 bytes of a trace ID; the decision looks at the upper 63 bits of these. */
static uint64_t next_low;

static void given_trace_id(uint8_t out[16], void *user_data) {
    int i;
    (void)user_data;
    memset(out, 0xff, 8); /* leading bytes must not matter */
    for (i = 0; i < 8; i++) out[8 + i] = (uint8_t)(next_low >> (56 - 8 * i));
}

static void given_span_id(uint8_t out[8], void *user_data) {
    (void)user_data;
    memset(out, 7, 8);
}

static bool sampled_with_low(uint64_t low) {
    hotel_span span;
    next_low = low;
    span = hotel_start("ratio");
    hotel_end(&span);
    return (span.context.trace_flags & HOTEL_FLAG_SAMPLED) != 0;
}

typedef struct ratio_row {
    double ratio;
    uint64_t kept, dropped; /* the last kept and the first dropped; 0: there is none */
} ratio_row;

static void test_ratio(void) {
    static const ratio_row rows[] = {
        {0.5, 0x7fffffffffffffffu, 0x8000000000000000u},
        {0.25, 0x3fffffffffffffffu, 0x4000000000000000u},
        {0.1, 0x19999999999999ffu, 0x1999999999999a00u},
        {1, UINT64_MAX, 0},
        {0, 0, 1},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        config.sampler = ratio_of(rows[i].ratio);
        config.id_generator.trace_id_fn = given_trace_id;
        config.id_generator.span_id_fn = given_span_id;
        sink_open(&config);
        if (rows[i].kept != 0)
            ok(sampled_with_low(rows[i].kept), "SM-08 a ratio of %g keeps %llx", rows[i].ratio,
               (unsigned long long)rows[i].kept);
        if (rows[i].dropped != 0)
            ok(!sampled_with_low(rows[i].dropped), "SM-08 a ratio of %g drops %llx", rows[i].ratio,
               (unsigned long long)rows[i].dropped);
        sink_close("a ratio");
    }
}

/* Every trace that a ratio keeps is kept by all greater ones, and about so many are kept. */
static void test_ratio_nests(void) {
    static const double ratios[] = {0.001, 0.01, 0.1, 0.3, 0.7, 0.99};
    enum { TRACES = 4000 };
    static bool kept[COUNT(ratios)][TRACES];
    uint64_t seed = 88172645463325252u;
    size_t i, k, worse = 0, count;
    for (i = 0; i < COUNT(ratios); i++) {
        hotel_config config = sink_config();
        uint64_t low = seed;
        config.sampler = ratio_of(ratios[i]);
        config.id_generator.trace_id_fn = given_trace_id;
        config.id_generator.span_id_fn = given_span_id;
        sink_open(&config);
        for (k = count = 0; k < TRACES; k++) {
            low ^= low << 13;
            low ^= low >> 7;
            low ^= low << 17;
            kept[i][k] = sampled_with_low(low);
            count += kept[i][k];
            if (i > 0 && kept[i - 1][k] && !kept[i][k]) worse++;
        }
        ok(count > ratios[i] * TRACES * 0.8 - 12 && count < ratios[i] * TRACES * 1.2 + 12,
           "SM-08 a ratio of %g keeps %zu of %d", ratios[i], count, (int)TRACES);
        sink_close("ratios");
    }
    is_int((long long)worse, 0, "SM-08 a greater ratio keeps what a smaller one keeps");
}

static void test_ratio_ignores_parent(void) {
    hotel_config config = sink_config();
    hotel_context sampled = parent_of(true, true), unsampled = parent_of(true, false);
    hotel_span span;
    config.sampler = ratio_of(0);
    sink_open(&config);
    span = leaf("child", &sampled);
    ok(!(span.context.trace_flags & HOTEL_FLAG_SAMPLED), "SM-08 a parent's flag is not asked");
    sink_close("ratio 0");
    config.sampler = ratio_of(1);
    sink_open(&config);
    span = leaf("child", &unsampled);
    ok(span.context.trace_flags & HOTEL_FLAG_SAMPLED, "SM-08 nor that it is not set");
    sink_close("ratio 1");
}

/* ---- Parent based --------------------------------------------------------------------------- */

typedef struct parent_row {
    hotel_sampler_type type;
    bool root, remote_sampled, remote_not, local_sampled, local_not;
} parent_row;

static void check_parents(const parent_row *row, const char *what) {
    hotel_context contexts[4];
    const bool want[4] = {row->remote_sampled, row->remote_not, row->local_sampled,
                          row->local_not};
    const char *const names[4] = {"remote sampled", "remote not sampled", "local sampled",
                                  "local not sampled"};
    hotel_span span = leaf("root", NULL);
    int i;
    is_int(span.context.trace_flags & HOTEL_FLAG_SAMPLED, row->root, "SM-06 %s: a root", what);
    for (i = 0; i < 4; i++) {
        contexts[i] = parent_of(i < 2, i % 2 == 0);
        span = leaf("child", &contexts[i]);
        is_int(span.context.trace_flags & HOTEL_FLAG_SAMPLED, want[i], "SM-06 %s: %s", what,
               names[i]);
        ok(memcmp(span.context.span_id, contexts[i].span.context.span_id, 8) != 0,
           "TR-56 %s: an ID of its own", what);
        ok(same_trace(&span, &contexts[i].span), "SP-12 %s: the parent's trace", what);
    }
}

static void test_parents(void) {
    static const parent_row rows[] = {
        {HOTEL_SAMPLER_DEFAULT, true, true, false, true, false},
        {HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON, true, true, false, true, false},
        {HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF, false, true, false, true, false},
        {HOTEL_SAMPLER_ALWAYS_ON, true, true, true, true, true},
        {HOTEL_SAMPLER_ALWAYS_OFF, false, false, false, false, false},
        {HOTEL_SAMPLER_PARENT_BASED, true, true, false, true, false},
        {HOTEL_SAMPLER_PARENT_BASED_TRACE_ID_RATIO, false, true, false, true, false},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        char what[40];
        config.sampler = sampler_of(rows[i].type);
        (void)snprintf(what, sizeof what, "type %d", (int)rows[i].type);
        sink_open(&config);
        check_parents(&rows[i], what);
        sink_close(what);
    }
}

/* Each delegate alone is turned round. */
static void test_delegates(void) {
    hotel_sampler on = sampler_of(HOTEL_SAMPLER_ALWAYS_ON);
    hotel_sampler off = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF);
    int turned;
    for (turned = 0; turned < 5; turned++) {
        parent_row row = {HOTEL_SAMPLER_PARENT_BASED, true, true, false, true, false};
        hotel_sampler sampler = sampler_of(HOTEL_SAMPLER_PARENT_BASED);
        hotel_config config = sink_config();
        if (turned == 0) sampler.root = &off, row.root = false;
        if (turned == 1) sampler.remote_sampled = &off, row.remote_sampled = false;
        if (turned == 2) sampler.remote_not_sampled = &on, row.remote_not = true;
        if (turned == 3) sampler.local_sampled = &off, row.local_sampled = false;
        if (turned == 4) sampler.local_not_sampled = &on, row.local_not = true;
        config.sampler = sampler;
        sink_open(&config);
        check_parents(&row, "a delegate replaced");
        sink_close("delegates");
    }
}

/* ---- Samplers of the user's ----------------------------------------------------------------- */

typedef struct asked {
    hotel_sampling input;
    hotel_context parent;
    uint8_t trace_id[16];
    char name[32], first_key[32];
    uint8_t first_link[16];
    int calls;
    hotel_sampling_result answer;
    hotel_result flushed;
    bool nested_recorded;
} asked;

static void ask(const hotel_sampling *input, hotel_sampling_result *result, void *user_data) {
    asked *a = (asked *)user_data;
    hotel_span nested;
    a->calls++;
    a->input = *input;
    a->parent = *input->parent;
    memcpy(a->trace_id, input->trace_id, 16);
    (void)snprintf(a->name, sizeof a->name, "%.*s", (int)input->name_size, input->name);
    if (input->num_attributes > 0)
        (void)snprintf(a->first_key, sizeof a->first_key, "%s", input->attributes[0].key);
    if (input->num_links > 0) memcpy(a->first_link, input->links[0].context.trace_id, 16);
    a->flushed = hotel_flush(10);
    nested = hotel_start("nested");
    a->nested_recorded = hotel_is_recording(&nested);
    hotel_end(&nested);
    *result = a->answer;
}

static asked ask_about(hotel_decision decision, const hotel_attr *attributes, size_t count,
                       const char *trace_state) {
    asked a;
    memset(&a, 0, sizeof a);
    a.answer.decision = decision;
    a.answer.attributes = attributes;
    a.answer.num_attributes = count;
    a.answer.trace_state = trace_state;
    return a;
}

static hotel_config asking_config(asked *a) {
    hotel_config config = sink_config();
    config.sampler = sampler_of(HOTEL_SAMPLER_CUSTOM);
    config.sampler.sample_fn = ask;
    config.sampler.user_data = a;
    return config;
}

static void test_custom_input(void) {
    asked a = ask_about(HOTEL_RECORD_AND_SAMPLE, NULL, 0, NULL);
    hotel_config config = asking_config(&a);
    hotel_context parent = hotel_extract(NULL, NULL);
    hotel_attr attributes[1] = {hotel_str("early", "yes")};
    hotel_link link;
    hotel_start_options options;
    hotel_span span;
    sink_open(&config);
    parent = hotel_extract(PARENT_SAMPLED, "a=1");
    memset(&link, 0, sizeof link);
    memset(link.context.trace_id, 3, 16);
    memset(link.context.span_id, 4, 8);
    memset(&options, 0, sizeof options);
    options.parent = &parent;
    options.kind = HOTEL_SERVER;
    options.attributes = attributes;
    options.num_attributes = 1;
    options.links = &link;
    options.num_links = 1;
    span = hotel_start_with("asked", &options);
    is_int(a.calls, 1, "TR-54 the sampler is asked once");
    is_mem(a.parent.span.context.span_id, 8, parent.span.context.span_id, 8,
           "TR-54 it sees the parent");
    ok(a.parent.span.context.is_remote, "TR-54 it sees that the parent is remote");
    is_mem(a.trace_id, 16, span.context.trace_id, 16, "TR-54 it sees the trace ID");
    is_str(a.name, "asked", "TR-54 it sees the name");
    is_int(a.input.kind, HOTEL_SERVER, "TR-54 it sees the kind");
    is_str(a.first_key, "early", "TR-54 TR-12 it sees the attributes given at start");
    is_mem(a.first_link, 16, link.context.trace_id, 16, "TR-45 TR-54 it sees the links");
    is_int(a.flushed, HOTEL_ERR_CALLBACK, "SM-03 inside it nothing waits");
    ok(!a.nested_recorded, "SM-03 spans that it starts are not recorded");
    hotel_end(&span);
    hotel_context_release(&parent);
    span = leaf("root", NULL);
    ok(!hotel_is_valid(&a.parent.span.context), "TR-54 a root has no valid parent");
    is_mem(a.trace_id, 16, span.context.trace_id, 16, "SP-10 a root has its trace ID by then");
    sink_close("a sampler's input");
}

static void test_custom_answer(void) {
    hotel_attr added[2] = {hotel_str("by", "sampler"), hotel_str("both", "sampler")};
    hotel_attr given[1] = {hotel_str("both", "caller")};
    asked a = ask_about(HOTEL_RECORD_AND_SAMPLE, added, 2, "x=9,y=8");
    hotel_config config = asking_config(&a);
    hotel_context parent;
    hotel_start_options options;
    char state[64];
    hotel_span span;
    sink_open(&config);
    parent = hotel_extract(PARENT_SAMPLED, "a=1");
    memset(&options, 0, sizeof options);
    options.parent = &parent;
    options.attributes = given;
    options.num_attributes = 1;
    span = hotel_start_with("answered", &options);
    (void)hotel_tracestate(&span, state, sizeof state);
    is_str(state, "x=9,y=8", "TR-53 SM-02 the sampler's tracestate is the span's");
    hotel_end(&span);
    is_str(string_of(delivered("answered"), "by"), "sampler", "SM-02 its attributes are added");
    is_str(string_of(span_of("answered"), "both"), "caller", "SM-02 the caller's win");
    is_str(text(span_of("answered"), SPAN_STATE), "x=9,y=8", "TR-53 it is exported");
    is_int((long long)num_attributes(span_of("answered")), 2, "SP-33 keys are there once");
    a.answer.trace_state = "";
    span = leaf("cleared", &parent);
    is_int((long long)hotel_tracestate(&span, state, sizeof state), 0, "TR-53 empty clears it");
    a.answer.trace_state = NULL;
    span = leaf("kept", &parent);
    ok(has(delivered("kept"), SPAN_STATE), "SP-12 none keeps the parent's");
    a.answer.trace_state = "not a tracestate";
    span = leaf("malformed", &parent);
    ok(!has(delivered("malformed"), SPAN_STATE), "WT-08 a malformed one is left out");
    hotel_context_release(&parent);
    sink_close("a sampler's answer");
}

static void test_decisions(void) {
    asked a = ask_about(HOTEL_DROP, NULL, 0, NULL);
    hotel_config config = asking_config(&a);
    hotel_span span;
    hotel_stats stats;
    sink_open(&config);
    span = hotel_start("dropped");
    ok(!hotel_is_recording(&span), "SM-01 DROP is not recorded");
    ok(!(span.context.trace_flags & HOTEL_FLAG_SAMPLED), "SM-01 DROP is not sampled");
    hotel_end(&span);
    a.answer.decision = HOTEL_RECORD_ONLY;
    span = hotel_start("recorded");
    ok(hotel_is_recording(&span), "SM-01 RECORD_ONLY is recorded");
    ok(!(span.context.trace_flags & HOTEL_FLAG_SAMPLED), "SM-01 RECORD_ONLY is not sampled");
    hotel_end(&span);
    a.answer.decision = HOTEL_RECORD_AND_SAMPLE;
    span = hotel_start("sampled");
    ok(hotel_is_recording(&span) && (span.context.trace_flags & HOTEL_FLAG_SAMPLED),
       "SM-01 RECORD_AND_SAMPLE is both");
    hotel_end(&span);
    a.answer.decision = (hotel_decision)77;
    span = hotel_start("garbage");
    ok(!hotel_is_recording(&span), "SP-06 an unknown decision is DROP");
    hotel_end(&span);
    sink_flush();
    is_int((long long)num_delivered(), 1, "BSP-08 only what is sampled is exported");
    hotel_get_stats(&stats);
    is_int((long long)stats.record_only, 1, "P5 the recorded one is in the books");
    is_int((long long)stats.unsampled, 2, "P5 and the dropped ones");
    is_int((long long)stats.ended, 1, "P5 and the sampled one");
    sink_close("decisions");
}

static void test_always_record(void) {
    hotel_sampler off = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF);
    hotel_sampler on = sampler_of(HOTEL_SAMPLER_ALWAYS_ON);
    hotel_config config = sink_config();
    hotel_span span;
    config.sampler = sampler_of(HOTEL_SAMPLER_ALWAYS_RECORD);
    config.sampler.root = &off;
    sink_open(&config);
    span = hotel_start("x");
    ok(hotel_is_recording(&span) && !(span.context.trace_flags & HOTEL_FLAG_SAMPLED),
       "SM-07 TR-64 always-record turns DROP into RECORD_ONLY");
    hotel_end(&span);
    sink_close("always record, off");
    config.sampler.root = &on;
    sink_open(&config);
    span = hotel_start("x");
    ok(span.context.trace_flags & HOTEL_FLAG_SAMPLED, "SM-07 TR-64 and leaves the rest alone");
    hotel_end(&span);
    sink_close("always record, on");
}

/* ---- Configuration -------------------------------------------------------------------------- */

static const char *description_of(const hotel_sampler *sampler) {
    static char text_of_it[512];
    (void)hotel_sampler_description(sampler, text_of_it, sizeof text_of_it);
    return text_of_it;
}

static void test_descriptions(void) {
    hotel_sampler sampler = sampler_of(HOTEL_SAMPLER_ALWAYS_ON), inner = ratio_of(0.25);
    is_str(description_of(&sampler), "AlwaysOnSampler", "SM-04 always on");
    sampler = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF);
    is_str(description_of(&sampler), "AlwaysOffSampler", "SM-04 always off");
    sampler = ratio_of(0.0001);
    is_str(description_of(&sampler), "TraceIdRatioBased{0.000100}", "SM-04 a ratio");
    sampler = ratio_of(1);
    is_str(description_of(&sampler), "TraceIdRatioBased{1.000000}", "SM-04 a ratio of 1");
    sampler = ratio_of(0.12345678);
    is_str(description_of(&sampler), "TraceIdRatioBased{0.12345678}", "SM-04 with enough digits");
    sampler = sampler_of(HOTEL_SAMPLER_PARENT_BASED);
    sampler.root = &inner;
    is_str(description_of(&sampler),
           "ParentBased{root:TraceIdRatioBased{0.250000},remoteParentSampled:AlwaysOnSampler,"
           "remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,"
           "localParentNotSampled:AlwaysOffSampler}", "SM-04 parent based");
    sampler = sampler_of(HOTEL_SAMPLER_CUSTOM);
    sampler.sample_fn = ask;
    sampler.description = "Mine";
    is_str(description_of(&sampler), "Mine", "SM-04 one of the user's");
    sampler = ratio_of(2);
    is_int((long long)hotel_sampler_description(&sampler, NULL, 0), 0, "SP-06 an unusable one");
    ok(strncmp(description_of(NULL), "ParentBased{root:AlwaysOnSampler,", 33) == 0,
       "SP-06 NULL is the default");
}

static void test_bad_samplers(void) {
    hotel_sampler bad[6], loop = sampler_of(HOTEL_SAMPLER_ALWAYS_RECORD);
    double zero = 0;
    size_t i;
    loop.root = &loop;
    bad[0] = ratio_of(-0.1);
    bad[1] = ratio_of(1.1);
    bad[2] = ratio_of(zero / zero);
    bad[3] = sampler_of(HOTEL_SAMPLER_CUSTOM); /* without a function */
    bad[4] = sampler_of((hotel_sampler_type)99);
    bad[5] = loop;
    for (i = 0; i < COUNT(bad); i++) {
        hotel_config config = sink_config();
        hotel_span span;
        config.sampler = bad[i];
        log_clear();
        is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "SP-06 bad sampler %zu is refused", i);
        is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "SP-06 bad sampler %zu is reported", i);
        open_books();
        span = leaf("still", NULL);
        ok(span.context.trace_flags & HOTEL_FLAG_SAMPLED, "SM-05 the default one is used");
        sink_close("bad samplers");
    }
}

typedef struct env_row {
    const char *id, *sampler, *argument;
    const char *description; /* what hotel_describe has */
    hotel_log_id log;        /* 0: nothing is reported */
} env_row;

#define AS_PARENT                                                                     \
    ",remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"   \
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
#define BY_PARENT(root) "sampler=ParentBased{root:" root AS_PARENT
#define DEFAULT_SAMPLER BY_PARENT("AlwaysOnSampler")
#define ALL "TraceIdRatioBased{1.000000}"

static void test_environment(void) {
    static const env_row rows[] = {
        {"EV-15 none", NULL, NULL, DEFAULT_SAMPLER, (hotel_log_id)0},
        {"EP-01 an empty one", "", "0.5", DEFAULT_SAMPLER, (hotel_log_id)0},
        {"EV-15 always_on", "always_on", NULL, "sampler=AlwaysOnSampler", (hotel_log_id)0},
        {"EP-07 Always_ON", "Always_ON", NULL, "sampler=AlwaysOnSampler", (hotel_log_id)0},
        {"EV-15 always_off", "always_off", NULL, "sampler=AlwaysOffSampler", (hotel_log_id)0},
        {"EV-15 parentbased_always_on", "parentbased_always_on", NULL, DEFAULT_SAMPLER,
         (hotel_log_id)0},
        {"EV-15 parentbased_always_off", "parentbased_always_off", NULL,
         BY_PARENT("AlwaysOffSampler"), (hotel_log_id)0},
        {"EV-16 traceidratio", "traceidratio", "0.25",
         "sampler=TraceIdRatioBased{0.250000}", (hotel_log_id)0},
        {"EV-16 traceidratio with an exponent", "traceidratio", " 2.5e-1 ",
         "sampler=TraceIdRatioBased{0.250000}", (hotel_log_id)0},
        {"EV-16 traceidratio without", "traceidratio", NULL, "sampler=" ALL, (hotel_log_id)0},
        {"EV-16 parentbased_traceidratio", "parentbased_traceidratio", "0.5",
         BY_PARENT("TraceIdRatioBased{0.500000}"), (hotel_log_id)0},
        {"EV-16 too large", "traceidratio", "1.5", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 negative", "traceidratio", "-0.5", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EP-10 minus nothing", "traceidratio", " -00", "sampler=TraceIdRatioBased{0.000000}",
         (hotel_log_id)0},
        {"EV-16 words", "traceidratio", "half", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 junk behind", "traceidratio", "0.5x", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 two points", "traceidratio", "0.5.5", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 only a point", "traceidratio", ".", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 huge", "traceidratio", "1e999", "sampler=" ALL, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-16 only with a sampler", NULL, "nonsense", DEFAULT_SAMPLER, (hotel_log_id)0},
        {"EV-15 unknown", "sometimes", NULL, DEFAULT_SAMPLER, HOTEL_LOG_ID_BAD_VARIABLE},
        {"EV-15 not here", "jaeger_remote", NULL, DEFAULT_SAMPLER, HOTEL_LOG_ID_BAD_VARIABLE},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = sink_config();
        char described[4096];
        config.ignore_environment = false;
        if (rows[i].sampler) (void)setenv("OTEL_TRACES_SAMPLER", rows[i].sampler, 1);
        if (rows[i].argument) (void)setenv("OTEL_TRACES_SAMPLER_ARG", rows[i].argument, 1);
        sink_open(&config);
        (void)hotel_describe(described, sizeof described);
        ok(strstr(described, rows[i].description) != NULL, "%s: %s", rows[i].id,
           rows[i].description);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), rows[i].log != 0, "%s: reported", rows[i].id);
        sink_close(rows[i].id);
        (void)unsetenv("OTEL_TRACES_SAMPLER");
        (void)unsetenv("OTEL_TRACES_SAMPLER_ARG");
    }
}

static void test_code_beats_environment(void) {
    hotel_config config = sink_config();
    hotel_span span;
    config.ignore_environment = false;
    config.sampler = sampler_of(HOTEL_SAMPLER_ALWAYS_OFF);
    (void)setenv("OTEL_TRACES_SAMPLER", "always_on", 1);
    sink_open(&config);
    span = leaf("x", NULL);
    ok(!(span.context.trace_flags & HOTEL_FLAG_SAMPLED), "SP-95 EP-09 a sampler in code wins");
    sink_close("code");
    (void)unsetenv("OTEL_TRACES_SAMPLER");
}

int main(void) {
    test_ratio();
    test_ratio_nests();
    test_ratio_ignores_parent();
    test_parents();
    test_delegates();
    test_custom_input();
    test_custom_answer();
    test_decisions();
    test_always_record();
    test_descriptions();
    test_bad_samplers();
    test_environment();
    test_code_beats_environment();
    return done_testing();
}
