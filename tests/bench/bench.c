/*
 * SPDX-License-Identifier: MIT
 *
 * bench.c - what a span costs. Every figure is measured beside its floor (floor.h), in the same
 * run, in two forms: polled (one thread; the spans of a burst are exported between bursts, outside
 * the measured time) and threaded (the exporter has a thread, which works while the next burst is
 * made; only the time of the burst's own thread counts, because the two may share a processor).
 * `make bench` runs it; `build/bench/bench --help` lists its options.
 */
#define _GNU_SOURCE
#if defined(TESTS_HAVE_OPENSSL)
#define HATCHET_OTEL_OPENSSL
#endif
#include "hatchet_otel.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "floor.h"
#include "sink.h"
#include "report.h"

/* Calls from here cost what they cost a program that has the implementation in another file. */
#define BENCH_FAR __attribute__((noinline))
hotel_span hotel_start(const char *name) BENCH_FAR;
hotel_span hotel_start_in(const hotel_context *parent, const char *name, hotel_kind kind) BENCH_FAR;
void hotel_end(const hotel_span *span) BENCH_FAR;
void hotel_set_attrs(const hotel_span *span, const hotel_attr *attributes, size_t n) BENCH_FAR;
void hotel_add_event_as(const hotel_span *span, const hotel_event *event) BENCH_FAR;
void hotel_add_link(const hotel_span *span, const hotel_link *link) BENCH_FAR;
bool hotel_traceparent(const hotel_span *span, char out[HOTEL_TRACEPARENT_SIZE]) BENCH_FAR;
hotel_context hotel_extract(const char *traceparent, const char *tracestate) BENCH_FAR;
void hotel_context_release(hotel_context *context) BENCH_FAR;

/* Counts what the library allocates, thread by thread. */
static __thread uint64_t num_allocations;
#define malloc(size) (num_allocations++, malloc(size))
#define calloc(count, size) (num_allocations++, calloc(count, size))
#define realloc(block, size) (num_allocations++, realloc(block, size))
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
#undef malloc
#undef calloc
#undef realloc

enum {
    POLLED_BURST = 512,    /* one batch */
    THREADED_BURST = 1024, /* two, so that the exporter is woken half-way */
    MAX_BURSTS = 200,
    WAIT_MS = 30000
};

typedef struct options {
    int repetitions;
    int num_bursts;
    int num_delivered; /* spans */
    const char *only;
    const char *jsonl;
    const char *count;
} options;

static options opt = {7, MAX_BURSTS, 1000000, NULL, NULL, NULL};

/* ---- Sessions: the library running in one of its forms ------------------------------------- */

static cpu_set_t all_cpus;

static void pin(bool pinned) {
#if defined(__linux__)
    cpu_set_t one;
    size_t first = 0;
    while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &all_cpus)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    (void)sched_setaffinity(0, sizeof one, pinned ? &one : &all_cpus);
#else
    (void)pinned;
#endif
}

static hotel_result open_session_to(bool threaded, hotel_sampler_type sampler,
                                    const hotel_destination *destinations, size_t n) {
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.service_name = "bench";
    config.destinations = destinations;
    config.num_destinations = n;
    config.sampler.type = sampler;
    config.no_threads = !threaded;
    config.ignore_environment = true;
    return hotel_init(&config);
}

static hotel_result open_session(bool threaded, hotel_sampler_type sampler,
                                 const hotel_destination *destination) {
    return open_session_to(threaded, sampler, destination, 1);
}

static hotel_destination null_destination(void) {
    hotel_destination d;
    memset(&d, 0, sizeof d);
    d.endpoint = "http://nowhere:4318";
    d.transport = &null_transport;
    return d;
}

/* NULL, or what makes the session's figures void. Only the first destination counts. */
static const char *close_session_in(uint32_t timeout_ms) {
    hotel_stats stats;
    hotel_destination_stats to;
    hotel_result result = hotel_shutdown(timeout_ms);
    hotel_get_stats(&stats);
    (void)hotel_get_destination_stats(0, &to);
    (void)hotel_release();
    if (stats.not_admitted > 0) return "not admitted";
    if (to.accepted != stats.ended) return "spans lost";
    return result == HOTEL_OK || timeout_ms == 0 ? NULL : hotel_result_text(result);
}

static const char *close_session(void) {
    return close_session_in(WAIT_MS);
}

/* ---- What is measured: each does its thing n times ----------------------------------------- */

typedef void (*burst_fn)(int n);
#define BURST(name) static __attribute__((noinline)) void burst_##name(int n)

static const char *volatile unknown_method = "GET";
static const char *volatile unknown_url = SPAN_URL;
static const char *volatile unknown_run_id = SPAN_RUN_ID;
static const char *volatile some_traceparent =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
static hotel_context task_context, plain_context;
static hotel_span some_span;

BURST(start_end) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_end(&span);
    }
}

BURST(start_set4_end) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_set(&span, hotel_str("http.method", "GET"), hotel_str("http.url", SPAN_URL),
                  hotel_int("http.status_code", 200),
                  hotel_str("hatchet.step_run_id", SPAN_RUN_ID));
        hotel_end(&span);
    }
}

BURST(start_4set_end) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_set_str(&span, "http.method", "GET");
        hotel_set_str(&span, "http.url", SPAN_URL);
        hotel_set_int(&span, "http.status_code", 200);
        hotel_set_str(&span, "hatchet.step_run_id", SPAN_RUN_ID);
        hotel_end(&span);
    }
}

/* The lengths of the values are not known to the compiler. */
BURST(start_set4_end_strlen) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_set(&span, hotel_str("http.method", unknown_method),
                  hotel_str("http.url", unknown_url), hotel_int("http.status_code", 200),
                  hotel_str("hatchet.step_run_id", unknown_run_id));
        hotel_end(&span);
    }
}

static const char *const some_hosts[] = {"alpha", "beta"};
static const int64_t some_sizes[] = {1, 200, 30000};
static const double some_shares[] = {0.25, 0.75};

/* An attribute of every kind. */
BURST(start_set10_end) {
    const hotel_value mixed[] = {hotel_of_str("low"), hotel_of_int(7)};
    const hotel_attr peer[] = {hotel_str("name", "db-1"), hotel_int("port", 5432)};
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_set(&span, hotel_str("http.method", "GET"), hotel_bool("cached", true),
                  hotel_int("http.status_code", 200), hotel_double("ratio", 0.5),
                  hotel_bytes("digest", "0123456789abcdef", 16), hotel_strs("hosts", some_hosts, 2),
                  hotel_ints("sizes", some_sizes, 3), hotel_doubles("shares", some_shares, 2),
                  hotel_array("mixed", mixed, 2), hotel_map("peer", peer, 2));
        hotel_end(&span);
    }
}

BURST(start_10set_end) {
    const hotel_value mixed[] = {hotel_of_str("low"), hotel_of_int(7)};
    const hotel_attr peer[] = {hotel_str("name", "db-1"), hotel_int("port", 5432)};
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_set_str(&span, "http.method", "GET");
        hotel_set_bool(&span, "cached", true);
        hotel_set_int(&span, "http.status_code", 200);
        hotel_set_double(&span, "ratio", 0.5);
        hotel_set_bytes(&span, "digest", "0123456789abcdef", 16);
        hotel_set_strs(&span, "hosts", some_hosts, 2);
        hotel_set_ints(&span, "sizes", some_sizes, 3);
        hotel_set_doubles(&span, "shares", some_shares, 2);
        hotel_set_array(&span, "mixed", mixed, 2);
        hotel_set_map(&span, "peer", peer, 2);
        hotel_end(&span);
    }
}

BURST(start_event_end) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_add_event_with(&span, "retry", hotel_int("attempt", 2),
                             hotel_str("reason", "timeout"));
        hotel_end(&span);
    }
}

BURST(start_link_end) {
    const hotel_attr attributes[] = {hotel_int("position", 3), hotel_str("queue", "orders")};
    hotel_link link;
    memset(&link, 0, sizeof link);
    memcpy(link.context.trace_id, "0123456789abcdef", sizeof link.context.trace_id);
    memcpy(link.context.span_id, "01234567", sizeof link.context.span_id);
    link.context.trace_flags = HOTEL_FLAG_SAMPLED;
    link.attributes = attributes;
    link.num_attributes = 2;
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start(SPAN_NAME);
        hotel_add_link(&span, &link);
        hotel_end(&span);
    }
}

BURST(child_in_task) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start_in(&task_context, SPAN_NAME, HOTEL_INTERNAL);
        hotel_end(&span);
    }
}

BURST(child_plain) {
    for (int i = 0; i < n; i++) {
        hotel_span span = hotel_start_in(&plain_context, SPAN_NAME, HOTEL_INTERNAL);
        hotel_end(&span);
    }
}

BURST(extract) {
    for (int i = 0; i < n; i++) {
        hotel_context context = hotel_extract(some_traceparent, NULL);
        hotel_context_release(&context);
    }
}

BURST(inject) {
    char out[HOTEL_TRACEPARENT_SIZE];
    for (int i = 0; i < n; i++) {
        (void)hotel_traceparent(&some_span, out);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
}

/* Floor of the calls that need not make a span: one generator step, one span handle returned. */
static __attribute__((noinline)) hotel_span floor_handle(const char *name) {
    hotel_span span;
    uint64_t id = step_generator();
    memset(&span, 0, sizeof span);
    memcpy(span.context.span_id, &id, sizeof id);
    __asm__ volatile("" : : "r"(name) : "memory");
    return span;
}

static __attribute__((noinline)) void floor_end(const hotel_span *span) {
    __asm__ volatile("" : : "r"(span) : "memory");
}

static void floor_not_recorded(int n) {
    for (int i = 0; i < n; i++) {
        hotel_span span = floor_handle(SPAN_NAME);
        floor_end(&span);
    }
}

/* Floor of the two conversions: the copy of the text. */
static void floor_copy(int n) {
    char out[HOTEL_TRACEPARENT_SIZE];
    for (int i = 0; i < n; i++) {
        memcpy(out, some_traceparent, sizeof out);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
}

/* ---- Rows of the table --------------------------------------------------------------------- */

typedef enum row_forms {
    BOTH_FORMS,
    POLLED_ONLY,
    NOT_RUNNING /* without hotel_init */
} row_forms;

typedef struct row {
    const char *name;
    const char *text;
    burst_fn burst, floor;
    row_forms forms;
    hotel_sampler_type sampler;
    limit_kind limit;
    double bound;
} row;

static const row rows[] = {
    {"start_end", "start + end", burst_start_end, floor_empty, BOTH_FORMS, HOTEL_SAMPLER_DEFAULT,
     LIMIT_RATIO, 1.4},
    {"start_set4_end", "start + hotel_set of 4 + end", burst_start_set4_end, floor_attributes,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_RATIO, 1.8},
    {"start_4set_end", "start + 4 single setters + end", burst_start_4set_end, floor_attributes,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_RATIO, 2.4},
    {"start_set4_end_strlen", "the same, values of unknown length", burst_start_set4_end_strlen,
     floor_attributes, POLLED_ONLY, HOTEL_SAMPLER_DEFAULT, LIMIT_NONE, 0},
    {"start_set10_end", "start + hotel_set of 10 kinds + end", burst_start_set10_end, floor_kinds,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_NONE, 0},
    {"start_10set_end", "start + 10 single setters + end", burst_start_10set_end, floor_kinds,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_NONE, 0},
    {"start_event_end", "start + event of 2 attributes + end", burst_start_event_end, floor_event,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_NONE, 0},
    {"start_link_end", "start + link of 2 attributes + end", burst_start_link_end, floor_link,
     BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_NONE, 0},
    {"child_in_task", "child in a task of 11 (floor: without them)", burst_child_in_task,
     burst_child_plain, BOTH_FORMS, HOTEL_SAMPLER_DEFAULT, LIMIT_RATIO, 1.3},
    {"not_sampled", "start + end, not sampled", burst_start_end, floor_not_recorded, POLLED_ONLY,
     HOTEL_SAMPLER_ALWAYS_OFF, LIMIT_AT_MOST, 15},
    {"not_running", "start + end, library not running", burst_start_end, floor_not_recorded,
     NOT_RUNNING, HOTEL_SAMPLER_DEFAULT, LIMIT_AT_MOST, 5},
    {"extract", "extract a traceparent", burst_extract, floor_copy, POLLED_ONLY,
     HOTEL_SAMPLER_DEFAULT, LIMIT_AT_MOST, 20},
    {"inject", "inject a traceparent", burst_inject, floor_copy, POLLED_ONLY, HOTEL_SAMPLER_DEFAULT,
     LIMIT_AT_MOST, 10},
};
enum { NUM_ROWS = sizeof rows / sizeof rows[0] };

/* The library's own work between bursts: everything that has ended is exported. */
static void drain(void) {
    hotel_result result = hotel_flush(WAIT_MS);
    if (result && result != HOTEL_ERR_NOT_RUNNING) {
        fprintf(stderr, "bench: flush: %s\n", hotel_result_text(result));
    }
}

static uint64_t thread_cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds for each of burst_size things, after a tenth of the bursts to warm up: of the median
   burst, which is not the one that was interrupted. now_ns_fn is the clock on the wall, or where
   the exporter may take turns on the same processor, the thread's own. */
static double time_bursts(burst_fn burst, int burst_size, uint64_t (*now_ns_fn)(void),
                          void (*between_fn)(void)) {
    static double values[MAX_BURSTS];
    for (int i = -opt.num_bursts / 10; i < opt.num_bursts; i++) {
        uint64_t start = now_ns_fn();
        burst(burst_size);
        if (i >= 0) values[i] = (double)(now_ns_fn() - start);
        between_fn();
    }
    qsort(values, (size_t)opt.num_bursts, sizeof values[0], compare_values);
    return values[opt.num_bursts / 2] / (double)burst_size;
}

static double time_floor(burst_fn floor, bool threaded) {
    pthread_t reader;
    double ns;
    if (!threaded) return time_bursts(floor, POLLED_BURST, clock_ns, read_ring);
    reader_stops = false;
    pin(false);
    if (pthread_create(&reader, NULL, run_reader, NULL) != 0) return 0;
    pin(true);
    ns = time_bursts(floor, THREADED_BURST, thread_cpu_ns, wait_for_reader);
    __atomic_store_n(&reader_stops, true, __ATOMIC_RELEASE);
    (void)pthread_join(reader, NULL);
    return ns;
}

/* A task with all of its identifiers, as a worker gets them: 11 attributes. */
static hotel_task start_some_task(void) {
    hotel_step_run run;
    memset(&run, 0, sizeof run);
    run.workflow_name = "OTelDataPipeline";
    run.step_name = "fetch_data";
    run.action_name = "oteldatapipeline:fetch_data";
    run.step_run_id = SPAN_RUN_ID;
    run.workflow_run_id = "0b4d3c1a-9a4f-4b1e-8a57-6f3d2c1b0a99";
    run.workflow_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    run.workflow_version_id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    run.worker_id = "16fd2706-8baf-433b-82eb-8c7fada847da";
    run.tenant_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    return hotel_start_step_run(&run); // and instrumentor, retry_count
}

/* One repetition of one row in one form. */
static void measure_row(const row *w, bool threaded, figure *f) {
    hotel_destination nowhere = null_destination();
    hotel_task task;
    bool in_library = w->floor == burst_child_plain;
    int size = threaded ? THREADED_BURST : POLLED_BURST;
    uint64_t (*now_ns_fn)(void) = threaded ? thread_cpu_ns : clock_ns;
    hotel_result result = HOTEL_OK;
    memset(&task, 0, sizeof task);
    pin(false);
    if (w->forms != NOT_RUNNING) result = open_session(threaded, w->sampler, &nowhere);
    if (result) f->flaw = hotel_result_text(result);
    pin(true);

    some_span = hotel_start("parent");
    plain_context = hotel_context_with(&some_span);
    if (in_library) task = start_some_task();
    task_context = task.context;

    add_value(&f->floor, in_library ? time_bursts(w->floor, size, now_ns_fn, drain)
                                    : time_floor(w->floor, threaded));
    add_value(&f->measured, time_bursts(w->burst, size, now_ns_fn, drain));

    hotel_task_succeed(&task);
    hotel_end(&some_span);
    if (w->forms != NOT_RUNNING) {
        const char *flaw = close_session();
        if (flaw != NULL) f->flaw = flaw;
    }
    pin(false);
}

/* ---- Floors copy what the library sends ---------------------------------------------------- */

static char captured[4096];
static size_t captured_size;

static ptrdiff_t capture_send(void *connection, const void *bytes, size_t size) {
    if (size <= sizeof captured - captured_size) {
        memcpy(captured + captured_size, bytes, size);
        captured_size += size;
    }
    return null_send(connection, bytes, size);
}

/* NULL, or the name of the figure whose span is sent with other bytes than its floor copies. */
static const char *find_wrong_floor(void) {
    static const struct {
        const char *name;
        burst_fn burst;
        const char *bytes;
        size_t size;
    } floors[] = {
        {"start_set4_end", burst_start_set4_end, span_attributes, SPAN_ATTRIBUTES_SIZE},
        {"start_4set_end", burst_start_4set_end, span_attributes, SPAN_ATTRIBUTES_SIZE},
        {"start_set10_end", burst_start_set10_end, span_kinds, SPAN_KINDS_SIZE},
        {"start_10set_end", burst_start_10set_end, span_kinds, SPAN_KINDS_SIZE},
        {"start_event_end", burst_start_event_end, span_event, SPAN_EVENT_SIZE},
        {"start_link_end", burst_start_link_end, span_link, SPAN_LINK_SIZE},
    };
    hotel_transport capture = null_transport;
    hotel_destination nowhere = null_destination();
    capture.send_fn = capture_send;
    nowhere.transport = &capture;
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
        captured_size = 0;
        if (open_session(false, HOTEL_SAMPLER_DEFAULT, &nowhere) != HOTEL_OK) return "none";
        floors[i].burst(1);
        if (close_session() != NULL) return floors[i].name;
        if (memmem(captured, captured_size, floors[i].bytes, floors[i].size) == NULL) {
            return floors[i].name;
        }
    }
    return NULL;
}

/* ---- Two producers ------------------------------------------------------------------------- */

typedef struct crew {
    int num_threads;
    int waiting; /* spinning barrier: all threads start a burst at once */
    int round;
    uint64_t cpu_ns[2];
} crew;

typedef struct member {
    crew *all;
    int index;
} member;

static void meet(crew *c) {
    int round = __atomic_load_n(&c->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&c->waiting, 1, __ATOMIC_ACQ_REL) == c->num_threads) {
        __atomic_store_n(&c->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&c->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&c->round, __ATOMIC_ACQUIRE) == round; spins++) {
        if (spins > 100000) (void)sched_yield();
    }
}

static void *produce(void *argument) {
    const member *m = (const member *)argument;
    crew *c = m->all;
    int warm_up = opt.num_bursts / 10;
    for (int i = -warm_up; i < opt.num_bursts; i++) {
        uint64_t start;
        meet(c);
        start = thread_cpu_ns();
        burst_start_set4_end(POLLED_BURST);
        if (i >= 0) c->cpu_ns[m->index] += thread_cpu_ns() - start;
        meet(c);
        if (m->index == 0) drain();
    }
    return NULL;
}

/* CPU nanoseconds of a span with num_threads producers. */
static double time_producers(int num_threads, bool threaded, figure *f) {
    hotel_destination nowhere = null_destination();
    crew c;
    member members[2];
    pthread_t other;
    const char *flaw;
    double total;
    memset(&c, 0, sizeof c);
    c.num_threads = num_threads;
    for (int i = 0; i < 2; i++) {
        members[i].all = &c;
        members[i].index = i;
    }
    (void)open_session(threaded, HOTEL_SAMPLER_DEFAULT, &nowhere);
    if (num_threads == 2 && pthread_create(&other, NULL, produce, &members[1]) != 0) return 0;
    (void)produce(&members[0]);
    if (num_threads == 2) (void)pthread_join(other, NULL);
    flaw = close_session();
    if (flaw != NULL) f->flaw = flaw;
    total = (double)(c.cpu_ns[0] + c.cpu_ns[1]);
    return total / (double)opt.num_bursts / (double)num_threads / (double)POLLED_BURST;
}

static void measure_producers(bool threaded, figure *f) {
    add_value(&f->floor, time_producers(1, threaded, f));
    add_value(&f->measured, time_producers(2, threaded, f));
}

/* ---- Export and delivery ------------------------------------------------------------------- */

static double process_cpu_s(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* What the exporter needs to turn a span into a part of a request: the floor is its copy. */
static void measure_export(figure *f) {
    static char copied[POLLED_BURST][FINISHED_HEAD_SIZE + SPAN_ATTRIBUTES_SIZE];
    hotel_destination nowhere = null_destination();
    uint64_t total = 0, floor_total = 0, start;
    (void)open_session(false, HOTEL_SAMPLER_DEFAULT, &nowhere);
    for (int i = -10; i < opt.num_bursts; i++) {
        burst_start_set4_end(POLLED_BURST);
        start = clock_ns();
        drain();
        if (i >= 0) total += clock_ns() - start;
        floor_attributes(POLLED_BURST);
        start = clock_ns();
        for (int j = 0; j < POLLED_BURST; j++) {
            memcpy(copied[j], &ring[ring_tail++ % RING_SLOTS], sizeof copied[j]);
        }
        __asm__ volatile("" : : "r"(copied) : "memory");
        if (i >= 0) floor_total += clock_ns() - start;
    }
    const char *flaw = close_session();
    if (flaw != NULL) f->flaw = flaw;
    add_value(&f->measured, (double)total / opt.num_bursts / POLLED_BURST);
    add_value(&f->floor, (double)floor_total / opt.num_bursts / POLLED_BURST);
}

typedef struct delivery {
    figure rate, cpu;
} delivery;

/* What the first destination is done with. */
static uint64_t num_taken(hotel_destination_stats *to) {
    if (hotel_get_destination_stats(0, to) != HOTEL_OK) return UINT64_MAX;
    return to->accepted + to->failed + to->rejected + to->dropped_queue_full;
}

/* Makes spans no faster than the first destination takes them: so many on the way at most. */
static uint64_t make_paced(uint64_t most) {
    const struct timespec pause = {0, 20000};
    uint64_t made = 0, taken = 0;
    while (made < (uint64_t)opt.num_delivered) {
        burst_start_set4_end(256);
        made += 256;
        while (made - taken > most) {
            hotel_destination_stats to;
            taken = num_taken(&to);
            if (taken == UINT64_MAX) return made;
            if (made - taken > most) (void)nanosleep(&pause, NULL);
        }
    }
    return made;
}

static void make_and_drain(void) {
    for (int made = 0; made < opt.num_delivered; made += POLLED_BURST) {
        burst_start_set4_end(POLLED_BURST);
        drain();
    }
}

/* How spans are delivered; each way stands beside another one. */
typedef struct way {
    const char *name, *text, *cpu_name, *cpu_text;
    int beside; /* which way is its floor; -1: a finished request */
    hotel_protocol protocol;
    bool tls;
} way;

static const way ways[] = {
    {"delivered", "delivered over HTTP, thousands", "delivered_cpu",
     "CPU seconds for a million of them", -1, HOTEL_PROTOCOL_HTTP, false},
    {"delivered_grpc", "delivered over gRPC (floor: HTTP)", "delivered_grpc_cpu",
     "CPU seconds for a million (floor: HTTP)", 0, HOTEL_PROTOCOL_GRPC, false},
    {"delivered_tls", "delivered over HTTP, TLS (floor: without)", "delivered_tls_cpu",
     "CPU seconds for a million (floor: no TLS)", 0, HOTEL_PROTOCOL_HTTP, true},
    {"delivered_grpc_tls", "delivered over gRPC, TLS (floor: HTTP, TLS)", "delivered_grpc_tls_cpu",
     "CPU seconds for a million (floor: HTTP, TLS)", 2, HOTEL_PROTOCOL_GRPC, true},
};
enum { NUM_WAYS = sizeof ways / sizeof ways[0] };

/* What the way is measured without, or NULL. */
static const char *find_missing(const way *w) {
#if defined(HATCHET_OTEL_OPENSSL)
    (void)w;
    return NULL;
#else
    return w->tls ? "built without OpenSSL (libssl-dev)" : NULL;
#endif
}

static void measure_delivery(const bench_sink *s, const way *w, bool threaded, delivery *d) {
    char endpoint[64];
    hotel_destination to;
    memset(&to, 0, sizeof to);
    (void)snprintf(endpoint, sizeof endpoint, "http%s://127.0.0.1:%u", w->tls ? "s" : "",
                   (unsigned)s->port);
    to.endpoint = endpoint;
    to.protocol = w->protocol;
    if (w->tls) to.tls.ca_pem = s->identity.pem;
    hotel_result result = open_session(threaded, HOTEL_SAMPLER_DEFAULT, &to);
    if (result) {
        d->rate.flaw = d->cpu.flaw = hotel_result_text(result);
        (void)close_session_in(0);
        return;
    }

    int kind = (w->protocol == HOTEL_PROTOCOL_GRPC ? SINK_GRPC : 0) + (w->tls ? SINK_TLS : 0);
    uint64_t before = sink_spans(s, kind), start = clock_ns();
    double cpu = process_cpu_s();
    if (threaded) {
        (void)make_paced(3 * POLLED_BURST);
        drain();
    } else {
        make_and_drain();
    }
    cpu = process_cpu_s() - cpu;
    double seconds = 1e-9 * (double)(clock_ns() - start);

    const char *flaw = close_session();
    double delivered = (double)(sink_spans(s, kind) - before);
    if (delivered < opt.num_delivered) flaw = "spans lost";
    if (flaw != NULL) d->rate.flaw = d->cpu.flaw = flaw;
    add_value(&d->rate.measured, 1e-3 * delivered / seconds);
    add_value(&d->cpu.measured, delivered > 0 ? 1e6 * cpu / delivered : 0);
}

/* A server that takes connections and bytes and never answers: nobody accepts. */
static int open_dead_end(uint16_t *port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* To the first destination, until it has everything, while the others do what they can. */
static void measure_beside(const bench_sink *s, size_t num_destinations, series *rate,
                           series *cpu_of, const char **flaw) {
    char endpoints[2][64];
    hotel_destination to[2];
    hotel_destination_stats done;
    const struct timespec pause = {0, 20000};
    uint16_t dead_port = 0;
    int dead = open_dead_end(&dead_port);
    memset(to, 0, sizeof to);
    (void)snprintf(endpoints[0], sizeof endpoints[0], "http://127.0.0.1:%u", (unsigned)s->port);
    (void)snprintf(endpoints[1], sizeof endpoints[1], "http://127.0.0.1:%u", (unsigned)dead_port);
    to[0].endpoint = endpoints[0];
    to[1].endpoint = endpoints[1];
    to[1].timeout_ms = 1000;
    (void)open_session_to(true, HOTEL_SAMPLER_DEFAULT, to, num_destinations);

    uint64_t start = clock_ns();
    double cpu = process_cpu_s();
    uint64_t made = make_paced(2 * POLLED_BURST); // two share the arena
    hotel_result begun = hotel_flush(0);
    (void)begun; // the dead server's spans may be lost already
    while (num_taken(&done) < made) (void)nanosleep(&pause, NULL);
    cpu = process_cpu_s() - cpu;
    double seconds = 1e-9 * (double)(clock_ns() - start);

    const char *fault = close_session_in(0);
    if (fault == NULL && done.accepted != made) fault = "spans lost";
    if (dead < 0) fault = "no socket";
    if (fault != NULL) *flaw = fault;
    add_value(rate, 1e-3 * (double)made / seconds);
    add_value(cpu_of, 1e6 * cpu / (double)made);
    (void)close(dead);
}

static void measure_delivery_floor(const bench_sink *s, delivery *d) {
    size_t size;
    char *request = build_request(s, POLLED_BURST, &size);
    int fd = connect_to_sink(s);
    uint64_t before = sink_spans(s, 0), start = clock_ns();
    double cpu = process_cpu_s();
    for (int i = 0; request != NULL && i < opt.num_delivered / POLLED_BURST; i++) {
        if (!send_request(fd, request, size)) break;
    }
    cpu = process_cpu_s() - cpu;
    double seconds = 1e-9 * (double)(clock_ns() - start);
    double delivered = (double)(sink_spans(s, 0) - before);
    if (delivered < opt.num_delivered - POLLED_BURST) d->rate.flaw = d->cpu.flaw = "floor failed";
    add_value(&d->rate.floor, 1e-3 * delivered / seconds);
    add_value(&d->cpu.floor, delivered > 0 ? 1e6 * cpu / delivered : 0);
    (void)close(fd);
    free(request);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void measure_allocations(figure *f) {
    hotel_destination nowhere = null_destination();
    (void)open_session(true, HOTEL_SAMPLER_DEFAULT, &nowhere);
    burst_start_end(1);
    uint64_t before = num_allocations;
    for (int i = 0; i < 10; i++) {
        burst_start_set4_end(100);
        burst_start_4set_end(100);
        burst_extract(100);
    }
    add_value(&f->measured, (double)(num_allocations - before) / 2000);
    f->flaw = close_session();
}

/* True when that much memory is enough to deliver a span with the four attributes. */
static bool works_in(size_t memory_bytes) {
    static uint64_t memory[64 * 1024 / sizeof(uint64_t)];
    hotel_destination nowhere = null_destination();
    hotel_destination_stats to;
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.destinations = &nowhere;
    config.num_destinations = 1;
    config.memory = memory;
    config.memory_bytes = memory_bytes;
    config.no_threads = true;
    config.ignore_environment = true;
    if (hotel_init(&config) != HOTEL_OK) {
        (void)hotel_shutdown(0);
        (void)hotel_release();
        return false;
    }
    burst_start_set4_end(1);
    bool delivered = hotel_shutdown(1000) == HOTEL_OK &&
                     hotel_get_destination_stats(0, &to) == HOTEL_OK && to.accepted == 1;
    (void)hotel_release();
    return delivered;
}

static void measure_smallest_memory(figure *f) {
    size_t kib = 2;
    while (kib < 64 && !works_in(kib * 1024)) kib++;
    if (kib == 64) f->flaw = "not even in 64 KiB";
    add_value(&f->measured, (double)kib);
}

/* ---- The whole ----------------------------------------------------------------------------- */

static figure make_figure(const char *name, const char *text, const char *form, const char *unit,
                          limit_kind limit, double bound) {
    figure f;
    memset(&f, 0, sizeof f);
    f.name = name;
    f.text = text;
    f.form = form;
    f.unit = unit;
    f.limit = limit;
    f.bound = bound;
    return f;
}

static bool wanted(const char *name) {
    return opt.only == NULL || strstr(name, opt.only) != NULL;
}

static const char *const form_names[] = {"polled", "threaded"};

static void bench_rows(report *r) {
    static figure figures[NUM_ROWS][2];
    int total = opt.repetitions * NUM_ROWS * 2;
    for (int i = 0; i < NUM_ROWS * 2; i++) {
        const row *w = &rows[i / 2];
        const char *form = w->forms == BOTH_FORMS ? form_names[i % 2] : "";
        figures[i / 2][i % 2] = make_figure(w->name, w->text, form, "ns", w->limit, w->bound);
    }
    for (int i = 0; i < total; i++) { // the repetitions are spread over the whole time
        const row *w = &rows[i / 2 % NUM_ROWS];
        if (!wanted(w->name) || (i % 2 == 1 && w->forms != BOTH_FORMS)) continue;
        show_progress(w->text, i, total);
        measure_row(w, i % 2 == 1, &figures[i / 2 % NUM_ROWS][i % 2]);
    }
    show_progress(NULL, 0, 0);
    for (int i = 0; i < NUM_ROWS * 2; i++) {
        if (figures[i / 2][i % 2].measured.count > 0) print_figure(r, &figures[i / 2][i % 2]);
    }
}

static void bench_producers(report *r) {
    if (!wanted("two_producers")) return;
    for (int form = 0; form < 2; form++) {
        figure f = make_figure("two_producers", "CPU of a span, 2 threads (floor: 1 thread)",
                               form_names[form], "ns", LIMIT_RATIO, 1.2);
        for (int i = 0; i < opt.repetitions; i++) {
            show_progress(f.text, i, opt.repetitions);
            measure_producers(form == 1, &f);
        }
        show_progress(NULL, 0, 0);
        print_figure(r, &f);
    }
}

static void bench_export(report *r) {
    if (!wanted("export")) return;
    figure f = make_figure("export", "export of a span (floor: its copy)", "polled", "ns",
                           LIMIT_NONE, 0);
    for (int i = 0; i < opt.repetitions; i++) measure_export(&f);
    print_figure(r, &f);
}

/* The ways take turns, so that what else the machine does falls upon all of them. */
static void bench_ways(report *r, const bench_sink *s, bool threaded) {
    const char *form = form_names[threaded];
    delivery all[NUM_WAYS];
    for (int i = 0; i < NUM_WAYS; i++) {
        const way *w = &ways[i];
        bool grpc = w->protocol == HOTEL_PROTOCOL_GRPC;
        all[i].rate = make_figure(w->name, w->text, form, "k/s", LIMIT_NONE, 0);
        all[i].cpu = make_figure(w->cpu_name, w->cpu_text, form, "s", LIMIT_NONE, 0);
        if (grpc && !w->tls) all[i].cpu.limit = LIMIT_RATIO, all[i].cpu.bound = 1.2;
    }
    all[0].rate.limit = LIMIT_AT_LEAST, all[0].rate.bound = 2000;
    all[0].cpu.limit = LIMIT_AT_MOST, all[0].cpu.bound = 0.3;
    for (int i = 0; i < opt.repetitions; i++) {
        measure_delivery_floor(s, &all[0]);
        for (int k = 0; k < NUM_WAYS; k++) {
            show_progress(ways[k].text, i, opt.repetitions);
            if (!find_missing(&ways[k])) measure_delivery(s, &ways[k], threaded, &all[k]);
        }
    }
    show_progress(NULL, 0, 0);
    for (int i = 0; i < NUM_WAYS; i++) {
        int beside = ways[i].beside;
        if (find_missing(&ways[i])) {
            printf("%-44s %-8s not measured: %s\n", ways[i].text, form, find_missing(&ways[i]));
            continue;
        }
        if (beside >= 0) {
            all[i].rate.floor = all[beside].rate.measured;
            all[i].cpu.floor = all[beside].cpu.measured;
        }
        print_figure(r, &all[i].rate);
        print_figure(r, &all[i].cpu);
    }
}

static void bench_deliveries(report *r, const bench_sink *s) {
    bool asked = false;
    for (int i = 0; i < NUM_WAYS; i++) asked |= wanted(ways[i].name) || wanted(ways[i].cpu_name);
    if (!asked) return;
    bench_ways(r, s, false);
    bench_ways(r, s, true);
}

static void bench_beside(report *r, const bench_sink *s) {
    if (!wanted("beside_dead")) return;
    delivery d;
    d.rate = make_figure("beside_dead", "delivered beside a dead server (floor: alone)", "threaded",
                         "k/s", LIMIT_NONE, 0);
    d.cpu = make_figure("beside_dead_cpu", "CPU seconds for a million (floor: alone)", "threaded",
                        "s", LIMIT_NONE, 0);
    for (int i = 0; i < opt.repetitions; i++) {
        show_progress(d.rate.text, i, opt.repetitions);
        measure_beside(s, 1, &d.rate.floor, &d.cpu.floor, &d.rate.flaw);
        measure_beside(s, 2, &d.rate.measured, &d.cpu.measured, &d.rate.flaw);
    }
    d.cpu.flaw = d.rate.flaw;
    show_progress(NULL, 0, 0);
    print_figure(r, &d.rate);
    print_figure(r, &d.cpu);
}

static void bench_memory(report *r) {
    if (wanted("allocations")) {
        figure f = make_figure("allocations", "allocations of a span", "threaded", "",
                               LIMIT_AT_MOST, 0);
        measure_allocations(&f);
        print_figure(r, &f);
    }
    if (wanted("smallest_memory")) {
        figure f = make_figure("smallest_memory", "smallest memory that delivers a span", "", "KiB",
                               LIMIT_AT_MOST, 16);
        measure_smallest_memory(&f);
        print_figure(r, &f);
    }
}

/* For callgrind, which counts the instructions inside burst_NAME: prints how many were made. */
static int count_row(const char *name) {
    hotel_destination nowhere = null_destination();
    for (int i = 0; i < NUM_ROWS; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        if (open_session(false, rows[i].sampler, &nowhere) != HOTEL_OK) return 1;
        for (int j = 0; j < 10; j++) {
            rows[i].burst(POLLED_BURST);
            drain();
        }
        printf("%d\n", 10 * POLLED_BURST);
        return close_session() != NULL;
    }
    fprintf(stderr, "bench: no row %s\n", name);
    return 2;
}

/* Runs a command several times: prints the median of its milliseconds. */
static int time_command(int num_runs, char **command) {
    series s;
    double least, most;
    s.count = 0;
    for (int i = 0; i < num_runs; i++) {
        int status;
        uint64_t start = clock_ns();
        pid_t pid = fork();
        if (pid == 0) {
            (void)execvp(command[0], command);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) return 1;
        add_value(&s, 1e-6 * (double)(clock_ns() - start));
    }
    printf("%.1f\n", median(&s, &least, &most));
    return 0;
}

static const char usage[] =
    "usage: build/bench/bench [options]\n"
    "\n"
    "Measures what a span costs, each figure beside its floor: the least that the machine can do\n"
    "(two reads of the clock, three generator steps, one copy), measured in the same run.\n"
    "\n"
    "  --repetitions N   of each figure; the table shows median and range (default 7)\n"
    "  --quick           three repetitions of fewer spans\n"
    "  --only WORD       figures with WORD in their name; a wrong one lists none\n"
    "  --jsonl FILE      append a line of JSON for each figure\n"
    "  --count NAME      make the spans of one figure, for a counter of instructions\n"
    "  --time N COMMAND  run a command N times, print the median of its milliseconds\n"
    "  --help\n"
    "\n"
    "Exits 0 even if a figure is over its budget, 1 if one is not valid (spans were lost).\n";

static bool parse_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--quick") == 0) {
            opt.repetitions = 3;
            opt.num_bursts = 50;
            opt.num_delivered = 100 * POLLED_BURST;
        } else if (strcmp(argv[i], "--repetitions") == 0 && has_value) {
            opt.repetitions = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--only") == 0 && has_value) {
            opt.only = argv[++i];
        } else if (strcmp(argv[i], "--jsonl") == 0 && has_value) {
            opt.jsonl = argv[++i];
        } else if (strcmp(argv[i], "--count") == 0 && has_value) {
            opt.count = argv[++i];
        } else {
            return false;
        }
    }
    return opt.repetitions > 0 && opt.repetitions <= MAX_REPETITIONS;
}

int main(int argc, char **argv) {
    report r;
    bench_sink s;
    if (argc > 3 && strcmp(argv[1], "--time") == 0) return time_command(atoi(argv[2]), argv + 3);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) return fputs(usage, stdout) < 0;
    if (!parse_options(argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    (void)sched_getaffinity(0, sizeof all_cpus, &all_cpus);
    const char *ticks = find_ticks();
    if (opt.count != NULL) return count_row(opt.count);
    const char *wrong = find_wrong_floor();
    if (wrong != NULL) {
        fprintf(stderr, "bench: %s: the floor copies other bytes than are sent\n", wrong);
        return 1;
    }
    if (!start_sink(&s)) {
        perror("bench: sink");
        return 1;
    }
    start_report(&r, opt.jsonl);
    printf("hatchet_otel %s, compiler %s, %ld CPUs, ticks from %s, medians of %d\n\n",
           hotel_version(), __VERSION__, sysconf(_SC_NPROCESSORS_ONLN), ticks, opt.repetitions);
    print_heading();
    bench_rows(&r);
    bench_producers(&r);
    bench_export(&r);
    bench_deliveries(&r, &s);
    bench_beside(&r, &s);
    bench_memory(&r);
    stop_sink(&s);
    finish_report(&r);
    return r.num_flawed > 0;
}
