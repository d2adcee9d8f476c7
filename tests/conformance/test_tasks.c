/*
 * SPDX-License-Identifier: MIT
 *
 * test_tasks.c - tasks that overlap, that end on other threads, twice, by copies and at the same
 * moment, and tasks with more than their spans can share.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sink.h"

#include <pthread.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define RUN_ID "8e9b2d3c-0000-4000-8000-000000000002"
#define STEP_ID "8e9b2d3c-0000-4000-8000-000000000001"

static hotel_task start_task(const char *name) {
    hotel_step_run r;
    memset((void *)&r, 0, sizeof r);
    r.step_run_id = STEP_ID;
    r.workflow_run_id = RUN_ID;
    r.step_name = name;
    return hotel_start_step_run(&r);
}

static void run_on_thread(void *(*work)(void *), void *user_data) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, user_data) != 0) abort();
    (void)pthread_join(thread, NULL);
}

static void *succeed(void *user_data) {
    hotel_task_succeed((hotel_task *)user_data);
    return NULL;
}

static bool is_current(const hotel_task *task) {
    hotel_span span = hotel_current_span();
    return memcmp(span.context.span_id, task->span.context.span_id, 8) == 0;
}

static bool nothing_current(void) {
    hotel_span span = hotel_current_span();
    return !hotel_is_valid(&span.context);
}

static void check_inside(const char *span_name, const char *task_name, const hotel_task *task) {
    hotel_span span = hotel_start(span_name);
    otlp_bytes got;
    hotel_end(&span);
    got = delivered(span_name);
    ok(child_of(got, &task->span), "%s is a child of %s", span_name, task_name);
    is_str(string_of(got, "hatchet.step_name"), task_name, "with its attributes");
    sink_clear();
}

/* ---- Which ends what ------------------------------------------------------------------------ */

static void test_overlap(void) {
    hotel_task first, second, third;
    sink_open(NULL);
    first = start_task("first");
    second = start_task("second");
    third = start_task("third");
    hotel_task_succeed(&first);
    ok(is_current(&third), "the oldest ends: the youngest stays current");
    check_inside("a", "third", &third);
    hotel_task_succeed(&third);
    ok(is_current(&second), "the youngest ends: the one in between is current");
    check_inside("b", "second", &second);
    first = start_task("first again");
    hotel_task_succeed(&second);
    ok(is_current(&first), "a new one stays too");
    hotel_task_succeed(&first);
    ok(nothing_current(), "and nothing when all are over");
    is_int(log_count_all(), 0, "which is worth no word");
    sink_close("overlap");
}

static void *succeed_beside_own(void *user_data) {
    hotel_task own = start_task("own");
    hotel_task_succeed((hotel_task *)user_data);
    ok(is_current(&own), "who ends another thread's task stays in its own");
    check_inside("child", "own", &own);
    hotel_task_succeed(&own);
    return NULL;
}

static void *detach_on_thread(void *user_data) {
    hotel_task own = start_task("own");
    is_int(hotel_detach(*(hotel_token *)user_data), HOTEL_ERR_ORDER,
           "a token of another thread is refused");
    ok(is_current(&own), "and nothing detached");
    hotel_task_succeed(&own);
    return NULL;
}

static void test_other_thread(void) {
    hotel_task task;
    hotel_token token;
    hotel_context around;
    int i;
    sink_open(NULL);
    task = start_task("handed over");
    run_on_thread(succeed_beside_own, &task);
    ok(nothing_current(), "ended elsewhere: not current here");
    memset((void *)&around, 0, sizeof around);
    token = hotel_attach(&around);
    run_on_thread(detach_on_thread, &token);
    is_int(hotel_detach(token), HOTEL_OK, "its own thread can still use it");
    sink_flush();
    check_log(HOTEL_LOG_ID_DETACH_ORDER, 1, "the other thread's detach is said");
    for (i = 0; i < 3 * HATCHET_OTEL_MAX_ATTACHED; i++) {
        task = start_task("handed over");
        if (!is_current(&task)) break;
        run_on_thread(succeed, &task);
    }
    is_int(i, 3 * HATCHET_OTEL_MAX_ATTACHED, "a dispatcher's thread can hand over for ever");
    task = start_task("last");
    sink_clear();
    check_inside("inside", "last", &task);
    hotel_task_succeed(&task);
    is_int(log_count(HOTEL_LOG_ID_ATTACH_DEPTH), 0, "its depth does not grow");
    sink_close("other threads");
}

/* More at once than a thread can attach: what is too deep runs without being current. */
static void test_depth(void) {
    hotel_task tasks[HATCHET_OTEL_MAX_ATTACHED + 3];
    size_t i;
    sink_open(NULL);
    for (i = 0; i < COUNT(tasks); i++) tasks[i] = start_task("deep");
    ok(is_current(&tasks[HATCHET_OTEL_MAX_ATTACHED - 1]), "the deepest that fits is current");
    for (i = COUNT(tasks); i-- > HATCHET_OTEL_MAX_ATTACHED;) hotel_task_succeed(&tasks[i]);
    ok(is_current(&tasks[HATCHET_OTEL_MAX_ATTACHED - 1]), "the deeper end without a trace");
    for (i = 0; i < HATCHET_OTEL_MAX_ATTACHED; i++) hotel_task_succeed(&tasks[i]);
    ok(nothing_current(), "all are over");
    sink_flush();
    check_log(HOTEL_LOG_ID_ATTACH_DEPTH, 1, "too deep is said");
    sink_close("depth");
}

/* ---- Twice ---------------------------------------------------------------------------------- */

static void test_copies(void) {
    char memory[256];
    hotel_baggage baggage;
    hotel_context with;
    hotel_token token;
    hotel_task task, copy;
    hotel_stats stats;
    sink_open(NULL);
    hotel_baggage_start(&baggage, memory, sizeof memory);
    ok(hotel_baggage_set(&baggage, "user", "alice", NULL), "baggage");
    with = hotel_context_with_baggage(NULL, &baggage);
    token = hotel_attach(&with);
    task = start_task("copied");
    copy = task;
    hotel_task_fail(&task, "first");
    hotel_task_succeed(&copy);
    hotel_task_succeed(&copy);
    hotel_task_succeed(&task);
    (void)hotel_detach(token);
    hotel_baggage_start(&baggage, memory, sizeof memory);
    ok(hotel_context_baggage(&with, &baggage), "ended four times: the baggage of before is there");
    is_str(hotel_baggage_get(&baggage, "user"), "alice", "as it was");
    hotel_context_release(&with);
    hotel_get_stats(&stats);
    is_int(stats.stale_references, 0, "and no reference was given back twice");
    is_int(number(part(delivered("hatchet.start_step_run"), SPAN_STATUS, 0), STATUS_CODE), 2,
           "the first end counts");
    is_int(num_delivered(), 1, "once");
    sink_close("copies");
}

typedef struct duel {
    hotel_task *task;
    pthread_barrier_t *start;
} duel;

static void *succeed_at_once(void *user_data) {
    duel *d = (duel *)user_data;
    hotel_task copy = *d->task;
    (void)pthread_barrier_wait(d->start);
    hotel_task_succeed(d->task);
    hotel_task_succeed(&copy);
    return NULL;
}

/* A worker ends its task while a canceller does, the same one and copies of it. */
static void test_at_once(void) {
    enum { ROUNDS = 500 };
    int round, kept = 0;
    hotel_config config = sink_config();
    pthread_barrier_t start;
    config.arena_bytes = 65536; /* what is not given back is missed soon */
    sink_open(&config);
    if (pthread_barrier_init(&start, NULL, 2) != 0) abort();
    for (round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        hotel_task task = start_task("contested");
        hotel_context context = hotel_context_hold(&task.context);
        duel d;
        hotel_stats stats;
        d.task = &task;
        d.start = &start;
        if (pthread_create(&thread, NULL, succeed_at_once, &d) != 0) abort();
        (void)succeed_at_once(&d);
        (void)pthread_join(thread, NULL);
        hotel_context_release(&context);
        hotel_get_stats(&stats);
        kept += stats.stale_references == 0 && nothing_current();
        if (round % 16 == 15) sink_flush();
    }
    is_int(kept, ROUNDS, "two threads end a task: what others hold of it stays theirs");
    sink_flush();
    is_int(num_delivered(), ROUNDS, "each is delivered once");
    (void)pthread_barrier_destroy(&start);
    sink_close("at once");
}

/* A context that its user has put together: a block of another kind where a task's should be. */
static void test_forged(void) {
    char memory[256], fields[256];
    hotel_baggage baggage;
    hotel_context with;
    hotel_task task;
    sink_open(NULL);
    hotel_baggage_start(&baggage, memory, sizeof memory);
    ok(hotel_baggage_set(&baggage, "user", "alice", NULL), "baggage");
    task = start_task("real");
    with = hotel_context_with_baggage(&task.context, &baggage);
    with.values = with.baggage;
    (void)hotel_log_fields(&with, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    ok(strstr(fields, " trace_id=") != NULL && strstr(fields, "run_id") == NULL,
       "a block that is no task's has no IDs of a run:%s", fields);
    with.values = task.context.values;
    hotel_context_release(&with);
    hotel_task_succeed(&task);
    sink_close("forged");
}

/* ---- More than can be shared ---------------------------------------------------------------- */

static void check_shared(uint32_t arena_bytes, const char *long_key, const char *long_text) {
    hotel_config config = sink_config();
    hotel_step_run r;
    hotel_task task;
    hotel_span span;
    char fields[256], says[128];
    otlp_bytes inside, own;
    memset((void *)&r, 0, sizeof r);
    r.tenant_id = r.worker_id = r.step_id = r.parent_workflow_run_id = r.workflow_id = RUN_ID;
    r.workflow_version_id = r.triggering_event_external_id = RUN_ID;
    r.step_run_id = STEP_ID;
    r.workflow_run_id = RUN_ID;
    r.workflow_name = "orders";
    r.step_name = "charge";
    r.action_name = "orders:charge";
    r.triggering_event_key = long_text;
    r.payload = "{\"a\":1}";
    if (arena_bytes) config.arena_bytes = arena_bytes;
    sink_open(&config);
    task = hotel_start_step_run(&r);
    (void)hotel_log_fields(&task.context, HOTEL_LOG_FORMAT_TEXT, fields, sizeof fields);
    ok(strstr(fields, " step_run_id=" STEP_ID " workflow_run_id=" RUN_ID) != NULL,
       "the IDs are known: %s", fields);
    span = hotel_start("inside"), hotel_end(&span);
    hotel_task_succeed(&task);
    inside = delivered("inside");
    own = span_of("hatchet.start_step_run");
    is_str(string_of(inside, "instrumentor"), "hatchet", "what fits is shared");
    is_str(string_of(inside, "hatchet.step_name"), "charge", "the short texts too");
    ok(!has_attribute(inside, long_key), "%s is not", long_key);
    is_str(string_of(own, "hatchet.step_name"), "charge", "the task's span has both");
    (void)snprintf(says, sizeof says, "%s is too long", long_key);
    ok(log_has(says), "\"%s\" is said", says);
    if (arena_bytes == 0) {
        is_str(string_of(inside, "hatchet.step_run_id"), STEP_ID, "all others are shared");
        is_int(num_attributes(inside), 15, "each of them");
    }
    sink_close("what does not fit");
}

static void test_long(void) {
    size_t size = 1u << 20;
    char *text = (char *)malloc(size + 1);
    if (text == NULL) abort();
    memset(text, 'k', size);
    text[size] = '\0';
    check_shared(0, "hatchet.triggering_event_key", text);
    check_shared(8192, "hatchet.tenant_id", "key");
    free(text);
}

int main(void) {
    test_other_thread(); /* first: the serials of both threads begin anew */
    test_overlap();
    test_depth();
    test_copies();
    test_at_once();
    test_forged();
    test_long();
    return done_testing();
}
