/*
 * SPDX-License-Identifier: MIT
 *
 * test_overload.c - more than fits: queues and arenas that overflow from eight threads, spans
 * larger than their bound, requests larger than theirs, arenas of a few KiB, a dead destination
 * under load. Memory stays bounded, every span is counted under one reason, the log stays short.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/resource.h>

#include "server.h"

#include "books.h"
#include "tap.h"

enum { NUM_THREADS = 8 };

typedef struct load {
    unsigned spans;      /* for each thread */
    unsigned attributes; /* of 100 bytes, for each span */
    bool hold;           /* all threads hold one span open while they go on */
} load;

static void *produce(void *user_data) {
    static const char text[101] = "0123456789012345678901234567890123456789012345678901234567890123"
                                  "456789012345678901234567890123456789";
    static const char *const keys[] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"};
    const load *l = (const load *)user_data;
    hotel_span held = hotel_start("held");
    unsigned i, n;
    for (i = 1; i < l->spans; i++) {
        hotel_span span = hotel_start("load");
        for (n = 0; n < l->attributes; n++) hotel_set_str(&span, keys[n % 8], text);
        hotel_end(&span);
        if (!l->hold && i == 1) hotel_end(&held);
    }
    hotel_end(&held);
    return NULL;
}

static void produce_all(load *l) {
    pthread_t threads[NUM_THREADS];
    size_t i;
    for (i = 0; i < NUM_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, produce, l) != 0) abort();
    }
    for (i = 0; i < NUM_THREADS; i++) (void)pthread_join(threads[i], NULL);
}

static hotel_stats process_since_opened(void) {
    hotel_stats now = read_books().process;
    now.started -= books_opened.process.started;
    now.not_admitted -= books_opened.process.not_admitted;
    now.unsampled -= books_opened.process.unsampled;
    now.ended -= books_opened.process.ended;
    now.limited -= books_opened.process.limited;
    return now;
}

static void begin(const hotel_config *config) {
    log_clear();
    is_int(hotel_init(config), HOTEL_OK, "init");
    open_books();
}

/* The chunks of all spans come back when everything is over. */
static void check_chunks(const char *name) {
    is_int(read_books().process.chunks_free, books_opened.process.chunks_free,
           "%s: every chunk is free again", name);
}

/* ---- A full queue --------------------------------------------------------------------------- */

static void test_queue_overflow(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    hotel_destination_stats d;
    load l = {500, 0, false};
    if (!server_start(&s, SERVER_IPV4, hang, 1)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.max_queue_size = 64;
    to.max_export_batch_size = 16;
    to.schedule_delay_ms = 10;
    begin(&config);
    produce_all(&l);
    is_int(hotel_flush(300), HOTEL_ERR_TIMEOUT, "flush to a server that hangs is out of time");
    d = since_opened(0);
    ok(d.queued <= 64 + 16, "BSP-07 at most the queue and a request wait (%llu)",
       (unsigned long long)d.queued);
    (void)hotel_shutdown(100);
    d = since_opened(0);
    is_int(process_since_opened().started, NUM_THREADS * 500, "every span is counted");
    ok(d.dropped_queue_full >= (uint64_t)process_since_opened().ended - 64 - 16,
       "BSP-07 what does not fit is dropped_queue_full (%llu)",
       (unsigned long long)d.dropped_queue_full);
    is_int(d.accepted, 0, "nothing was accepted");
    check_log(HOTEL_LOG_ID_QUEUE_FULL, 1, "BSP-22 thousands of drops");
    check_books("queue overflow");
    check_chunks("queue overflow");
    server_release(&s);
}

/* The destination that hangs fills its own queue only. */
static void test_queue_overflow_beside_live(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    server dead, live;
    char urls[2][64];
    hotel_destination to[2];
    hotel_config config = test_config(to, 2);
    unsigned round;
    load l = {50, 1, false};
    if (!server_start(&dead, SERVER_IPV4, hang, 1)) abort();
    if (!server_start(&live, SERVER_IPV4, NULL, 0)) abort();
    to[0] = destination(server_url(&dead, "", urls[0], sizeof urls[0]));
    to[1] = destination(server_url(&live, "", urls[1], sizeof urls[1]));
    to[0].max_queue_size = to[0].max_export_batch_size = 32;
    to[0].schedule_delay_ms = to[1].schedule_delay_ms = 5;
    begin(&config);
    for (round = 0; round < 10; round++) {
        produce_all(&l);
        (void)!hotel_flush(60);
    }
    (void)hotel_shutdown(300);
    is_int(process_since_opened().not_admitted, 0, "EX-15 a dead destination pins no arena");
    is_int(since_opened(1).accepted, 10 * NUM_THREADS * 50, "EX-15 the live one has every span");
    is_int(server_num_duplicates(&live), 0, "EX-15 once");
    is_int(since_opened(0).accepted, 0, "the dead one has none");
    check_log(HOTEL_LOG_ID_QUEUE_FULL, 1, "BSP-22 one queue overflows");
    check_books("queue overflow beside a live destination");
    check_chunks("queue overflow beside a live destination");
    is_int(live.num_bad, 0, "every request is right (%s)", live.problem);
    server_release(&dead);
    server_release(&live);
}

/* ---- A full arena --------------------------------------------------------------------------- */

static void test_arena_overflow(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 30}};
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    load l = {1000, 3, true};
    hotel_stats now;
    (void)hotel_release();
    if (!server_start(&s, SERVER_IPV4, slow, 1)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.schedule_delay_ms = 10;
    config.arena_bytes = 64 * 1024;
    begin(&config);
    ok(read_books().process.chunks_total <= 64 * 1024 / 512 + 8,
       "P2 the arena is what was asked for");
    produce_all(&l);
    (void)!hotel_flush(3000);
    now = process_since_opened();
    is_int(now.started, NUM_THREADS * 1000, "every span is counted");
    ok(now.not_admitted > 0, "some found no chunk (%llu)", (unsigned long long)now.not_admitted);
    is_int(now.live, 0, "none is left open");
    (void)hotel_shutdown(3000);
    is_int(since_opened(0).accepted + since_opened(0).dropped_queue_full, now.ended,
           "all that ended arrive or are counted");
    is_int(server_num_spans(&s), since_opened(0).accepted, "the server has what was accepted");
    is_int(server_num_duplicates(&s), 0, "once");
    check_log(HOTEL_LOG_ID_ARENA_FULL, 1, "BSP-22 a full arena");
    check_books("arena overflow");
    check_chunks("arena overflow");
    is_int(s.num_bad, 0, "every request is right (%s)", s.problem);
    server_release(&s);
    (void)hotel_release();
}

/* A span that finds no chunk is its parent's context, and a root is unsampled. */
static void test_context_without_chunk(void) {
    static hotel_span held[4096];
    hotel_destination to = destination("http://127.0.0.1:1");
    hotel_config config = test_config(&to, 1);
    hotel_span parent, child, root;
    hotel_context context;
    unsigned count = 0, i;
    config.arena_bytes = 32 * 1024;
    config.no_threads = true;
    begin(&config);
    parent = hotel_start("parent");
    ok(hotel_is_recording(&parent), "a span in an empty arena");
    do {
        held[count] = hotel_start("held");
    } while (hotel_is_recording(&held[count]) && ++count < 4095);
    ok(count > 4 && count < 4095, "the arena is full after %u spans", count);
    context = hotel_context_with(&parent);
    child = hotel_start_in(&context, "child", HOTEL_INTERNAL);
    ok(!hotel_is_recording(&child), "a child that finds no chunk does not record");
    is_mem(&child.context, sizeof child.context, &parent.context, sizeof parent.context,
           "and is its parent's context: the tree stays connected");
    root = hotel_start("root");
    ok((root.context.trace_flags & HOTEL_FLAG_SAMPLED) == 0, "a root is not sampled then");
    hotel_set_str(&child, "a", "b");
    hotel_add_event(&child, "e");
    hotel_set_status(&child, HOTEL_STATUS_ERROR, "no");
    hotel_end(&child);
    ok(hotel_is_recording(&parent), "ending such a child does not end the parent");
    hotel_end(&root);
    for (i = 0; i < count; i++) hotel_end(&held[i]);
    hotel_end(&parent);
    (void)!hotel_flush(1);
    (void)hotel_shutdown(0);
    is_int(process_since_opened().not_admitted, 3, "three were not admitted");
    is_int(process_since_opened().ended, count + 1, "%u ended", count + 1);
    check_log(HOTEL_LOG_ID_ARENA_FULL, 1, "a full arena");
    check_books("no chunk");
    check_chunks("no chunk");
    (void)hotel_release();
}

/* ---- Large spans ---------------------------------------------------------------------------- */

static uint64_t dropped_attributes_of(const server_request *r, const char *name) {
    otlp_field field;
    (void)otlp_get(otlp_span_named(r->body, name), 10, 0, &field);
    return field.value;
}

static void test_large_span(void) {
    static char big[300000];
    static const uint32_t bounds[] = {2048, 8192, 65536};
    char url[64], key[16];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    size_t i;
    memset(big, 'x', sizeof big);
    for (i = 0; i < 3; i++) {
        server s;
        const server_request *r;
        hotel_span span;
        uint64_t kept, dropped;
        unsigned n;
        if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
        to = destination(server_url(&s, "", url, sizeof url));
        config.limits.max_span_bytes = bounds[i];
        begin(&config);
        span = hotel_start("large");
        hotel_set_strn(&span, "whole", big, sizeof big);
        for (n = 0; n < 100; n++) {
            (void)snprintf(key, sizeof key, "part%02u", n);
            hotel_set_strn(&span, key, big, 1000);
        }
        hotel_set_str(&span, "small", "kept");
        hotel_set_status(&span, HOTEL_STATUS_ERROR, "why");
        hotel_end(&span);
        is_int(hotel_flush(3000), HOTEL_OK, "max_span_bytes %u: a span of 400 kB is delivered",
               bounds[i]);
        (void)hotel_shutdown(1000);
        r = server_request_at(&s, 0);
        kept = otlp_count(otlp_span_named(r->body, "large"), 9);
        dropped = dropped_attributes_of(r, "large");
        is_int(r->num_spans, 1, "one span came");
        ok(otlp_span_named(r->body, "large").size <= bounds[i] + 640,
           "P2 it is within its bound: %zu", otlp_span_named(r->body, "large").size);
        is_int(kept + dropped, 102, "SP-34 kept %llu + dropped_attributes_count %llu",
               (unsigned long long)kept, (unsigned long long)dropped);
        ok(dropped > 0, "the large value was dropped");
        /* The status too may have found no room. */
        is_int(process_since_opened().limited,
               dropped + (otlp_count(otlp_span_named(r->body, "large"), 15) == 0),
               "and every drop is counted");
        check_log(HOTEL_LOG_ID_SPAN_TOO_LARGE, 1, "a hundred drops on one span");
        is_int(since_opened(0).accepted, 1, "accepted");
        check_books("large span");
        check_chunks("large span");
        is_int(s.num_bad, 0, "the request is right (%s)", s.problem);
        server_release(&s);
    }
}

/* Growing one value over and over does not grow the span without end. */
static void test_overwriting(void) {
    static char text[400];
    server s;
    char url[64], value[512];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    hotel_span span;
    unsigned i;
    memset(text, 'y', sizeof text);
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    config.limits.max_span_bytes = 4096;
    begin(&config);
    span = hotel_start("rewritten");
    for (i = 0; i < 20000; i++) hotel_set_strn(&span, i % 2 ? "a" : "b", text, i % 400);
    hotel_end(&span);
    is_int(hotel_flush(3000), HOTEL_OK, "20,000 values for two keys");
    (void)hotel_shutdown(1000);
    is_int(otlp_count(otlp_span_named(server_request_at(&s, 0)->body, "rewritten"), 9), 2,
           "SP-33 two attributes remain");
    is_int(strlen(otlp_attribute_text(otlp_span_named(server_request_at(&s, 0)->body, "rewritten"),
                                      9, "a", value, sizeof value)),
           399, "SP-33 with the last value");
    is_int(process_since_opened().limited, 0, "nothing was dropped");
    check_books("overwriting");
    check_chunks("overwriting");
    is_int(s.num_bad, 0, "the request is right (%s)", s.problem);
    server_release(&s);
}

/* ---- Large requests ------------------------------------------------------------------------- */

static void test_request_bound(void) {
    static char text[3000];
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    unsigned i;
    size_t largest = 0;
    memset(text, 'z', sizeof text);
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.max_request_bytes = 8192;
    to.schedule_delay_ms = 60000;
    config.limits.max_span_bytes = 65536;
    begin(&config);
    for (i = 0; i < 40; i++) {
        hotel_span span = hotel_start("part");
        hotel_set_strn(&span, "text", text, sizeof text);
        hotel_end(&span);
    }
    for (i = 0; i < 3; i++) {
        hotel_span span = hotel_start("too large");
        hotel_set_strn(&span, "a", text, sizeof text);
        hotel_set_strn(&span, "b", text, sizeof text);
        hotel_set_strn(&span, "c", text, sizeof text);
        hotel_end(&span);
    }
    is_int(hotel_flush(3000), HOTEL_ERR_FAILED,
           "EX-09 flush: three spans are larger than a request");
    (void)hotel_shutdown(1000);
    for (i = 0; i < server_num_requests(&s) && i < SERVER_MAX_REQUESTS; i++) {
        size_t size = server_request_at(&s, i)->body.size;
        if (size > largest) largest = size;
    }
    ok(largest > 6000 && largest <= 8192, "OX-11 a batch is split: largest body %zu", largest);
    is_int(since_opened(0).accepted, 40, "OX-11 the parts deliver all that fits");
    is_int(since_opened(0).dropped_too_large, 3, "EX-09 three are dropped_too_large");
    is_int(server_num_named(&s, "too large"), 0, "EX-09 and were not sent");
    check_books("request bound");
    check_chunks("request bound");
    is_int(s.num_bad, 0, "every request is right (%s)", s.problem);
    server_release(&s);
}

/* ---- Tiny arenas ---------------------------------------------------------------------------- */

static void test_tiny(void) {
    static unsigned char memory[65536];
    static const size_t sizes[] = {0,    1,    64,    512,   1024,  2048,
                                   4096, 8192, 16384, 24576, 32768, 65536};
    size_t i, working = 0;
    (void)hotel_release();
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        server s;
        char url[64];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        int code, n;
        if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
        to = destination(server_url(&s, "", url, sizeof url));
        config.memory = memory + (i % 8); /* not aligned */
        config.memory_bytes = sizes[i] - (sizes[i] > 8 ? i % 8 : 0);
        config.no_threads = true;
        log_clear();
        code = hotel_init(&config);
        open_books();
        if (code != HOTEL_OK) {
            is_int(code, HOTEL_ERR_MEMORY,
                   "P2 %zu bytes of memory are too little, and init says so", sizes[i]);
            server_release(&s);
            continue;
        }
        if (working == 0) working = sizes[i];
        for (n = 0; n < 20; n++) {
            hotel_span span = hotel_start("tiny");
            hotel_set_str(&span, "key", "value");
            hotel_end(&span);
            (void)!hotel_flush(500);
        }
        (void)hotel_shutdown(500);
        is_int(since_opened(0).accepted, 20, "P2 %zu bytes of memory are enough for one at a time",
               sizes[i]);
        check_books("a tiny arena");
        is_int(s.num_bad, 0, "every request is right (%s)", s.problem);
        server_release(&s);
        (void)hotel_release();
    }
    ok(working > 0 && working <= 24576, "the smallest working size is %zu bytes", working);
}

/* ---- A dead destination under load ---------------------------------------------------------- */

static long max_rss_kb(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_dead_under_load(void) {
    uint16_t port;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    load l = {UNDER_TSAN || UNDER_ASAN ? 4000 : 20000, 2, true};
    int fd = server_refusing_port(&port);
    long before, grown;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(url);
    to.schedule_delay_ms = 10;
    to.timeout_ms = 200;
    begin(&config);
    before = max_rss_kb();
    produce_all(&l);
    grown = max_rss_kb() - before;
    ok(UNDER_TSAN || UNDER_ASAN || grown < 8192, "P2 memory is bounded: %ld KiB more", grown);
    (void)hotel_shutdown(300);
    is_int(process_since_opened().started, NUM_THREADS * l.spans, "every span is counted");
    is_int(process_since_opened().live, 0, "none is open");
    is_int(since_opened(0).accepted, 0, "none is accepted");
    ok(log_count_all() <= 5, "BSP-22 the log stays short: %u messages", log_count_all()) ||
        (log_show(), 0);
    ok(log_count(HOTEL_LOG_ID_EXPORT_FAILED) <= 1 && log_count(HOTEL_LOG_ID_QUEUE_FULL) <= 1 &&
           log_count(HOTEL_LOG_ID_ARENA_FULL) <= 1,
       "BSP-22 each condition once");
    check_books("a dead destination under load");
    check_chunks("a dead destination under load");
    (void)close(fd);
}

/* ---- A dead destination beside a live one ----------------------------------------------------- */

enum { BLOCK = 500, DEAD_KINDS = 4, ROUNDS = 3 };

static const char *const dead_names[DEAD_KINDS] = {
    "alone", "beside a refusing port", "beside a black hole", "beside a server that drips"};

typedef struct figures {
    double spans_per_s;
    double latency_ms; /* from the end of one span to its arrival, the median of 20 */
} figures;

static double now_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool arrived(server *s, size_t count) {
    double end = now_s() + 10;
    struct timespec nap = {0, 50000};
    while (server_num_spans(s) < count) {
        if (now_s() > end) return false;
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Blocks of spans one after another, then single ones. */
static figures measure_live(server *live) {
    enum { BLOCKS = UNDER_TSAN || UNDER_ASAN ? 5 : 20, SINGLES = 20 };
    figures f;
    double latencies[SINGLES], began = now_s();
    size_t count = 0;
    unsigned i, n;
    for (i = 0; i < BLOCKS; i++) {
        for (n = 0; n < BLOCK; n++) {
            hotel_span span = hotel_start("block");
            hotel_end(&span);
        }
        if (!arrived(live, count += BLOCK)) note("block %u did not arrive", i);
    }
    f.spans_per_s = (double)(BLOCKS * BLOCK) / (now_s() - began);
    for (i = 0; i < SINGLES; i++) {
        hotel_span span = hotel_start("single");
        began = now_s();
        hotel_end(&span);
        if (!arrived(live, ++count)) note("span %u did not arrive", i);
        latencies[i] = (now_s() - began) * 1000;
    }
    qsort(latencies, SINGLES, sizeof latencies[0], compare_doubles);
    f.latency_ms = latencies[SINGLES / 2];
    return f;
}

static figures run_beside(int kind) {
    static const server_step drip[] = {{.reply = SERVER_OK, .drip_ms = 200}};
    server live, dripping;
    char urls[2][64];
    hotel_destination to[2];
    hotel_config config = test_config(to, kind == 0 ? 1 : 2);
    figures f;
    uint16_t port = 0;
    int hole[8], fd = -1;
    size_t i;
    if (!server_start(&live, SERVER_IPV4, NULL, 0)) abort();
    if (kind == 3 && !server_start(&dripping, SERVER_IPV4, drip, 1)) abort();
    if (kind == 1) fd = server_refusing_port(&port);
    if (kind == 2) server_black_hole(&port, hole);
    if (kind == 3) port = dripping.port;
    to[0] = destination(server_url(&live, "", urls[0], sizeof urls[0]));
    (void)snprintf(urls[1], sizeof urls[1], "http://127.0.0.1:%u", (unsigned)port);
    to[1] = destination(urls[1]);
    to[0].schedule_delay_ms = to[1].schedule_delay_ms = HOTEL_NONE;
    to[1].max_queue_size = to[1].max_export_batch_size = 64;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    f = measure_live(&live);
    (void)hotel_shutdown(50);
    is_int(since_opened(0).accepted, since_opened(0).offered, "EX-15 %s: the live one has all",
           dead_names[kind]);
    if (kind != 0) {
        ok(since_opened(1).accepted < since_opened(0).accepted / 4,
           "EX-15 %s: that one is as good as dead", dead_names[kind]);
    }
    check_books(dead_names[kind]);
    server_release(&live);
    if (kind == 3) server_release(&dripping);
    if (fd >= 0) (void)close(fd);
    for (i = 0; kind == 2 && i < 8; i++) (void)close(hole[i]);
    return f;
}

/* Rates and delays of the live one with and without the other, measured by turns. The bounds are
   wide: they tell a destination that waits for another from one on a busy machine. */
static void test_dead_costs_nothing(void) {
    double rates[DEAD_KINDS][ROUNDS], delays[DEAD_KINDS][ROUNDS];
    int kind, round;
    for (round = 0; round < ROUNDS; round++) {
        for (kind = 0; kind < DEAD_KINDS; kind++) {
            figures f = run_beside(kind);
            rates[kind][round] = f.spans_per_s;
            delays[kind][round] = f.latency_ms;
        }
    }
    for (kind = 0; kind < DEAD_KINDS; kind++) {
        qsort(rates[kind], ROUNDS, sizeof(double), compare_doubles);
        qsort(delays[kind], ROUNDS, sizeof(double), compare_doubles);
        note("EX-15 %s: %.0f to %.0f, median %.0f spans/s; %.2f to %.2f, median %.2f ms",
             dead_names[kind], rates[kind][0], rates[kind][ROUNDS - 1], rates[kind][ROUNDS / 2],
             delays[kind][0], delays[kind][ROUNDS - 1], delays[kind][ROUNDS / 2]);
        if (kind == 0) continue;
        ok(rates[kind][ROUNDS - 1] > rates[0][ROUNDS / 2] / 4,
           "EX-15 %s: as many spans a second as alone, more or less", dead_names[kind]);
        ok(delays[kind][0] < delays[0][ROUNDS / 2] * 4 + 5, "EX-15 %s: as soon as alone",
           dead_names[kind]);
    }
}

/* No destination at all: recorded, ended, gone, counted. */
static void test_no_valid_destination(void) {
    hotel_destination to = destination("https://127.0.0.1");
    hotel_config config = test_config(&to, 1);
    load l = {2000, 1, false};
    log_clear();
    is_int(hotel_init(&config), HOTEL_ERR_TLS, "no valid destination");
    open_books();
    produce_all(&l);
    (void)!hotel_flush(1000);
    (void)hotel_shutdown(1000);
    is_int(process_since_opened().live, 0, "spans start and end");
    check_chunks("no valid destination");
    check_books("no valid destination");
}

/* ---- Books that are read while the exporter works -------------------------------------------- */

static hotel_result accept_batch(const hotel_batch *batch, void *user_data) {
    (void)batch;
    (void)user_data;
    return HOTEL_OK;
}

/* No call is in progress, but the exporter takes in what ended and settles it: the books say of
   each span one thing, not two and not none. */
static void test_books_meanwhile(void) {
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    hotel_exporter exporter;
    unsigned rounds = UNDER_TSAN ? 1000 : UNDER_ASAN ? 5000 : 20000, bad[2] = {0, 0}, i, k;
    memset(&to, 0, sizeof to);
    memset((void *)&exporter, 0, sizeof exporter);
    exporter.export_fn = accept_batch;
    to.exporter = &exporter;
    to.max_export_batch_size = 1; /* each span is a reason to wake up */
    begin(&config);
    for (i = 0; i < rounds; i++) {
        hotel_span span = hotel_start("read meanwhile");
        hotel_end(&span);
        for (k = 0; k < 20; k++) {
            books now = read_books();
            const hotel_stats *s = &now.process;
            const hotel_destination_stats *d = &now.to[0];
            bad[0] += s->started != i + 1 || s->live + s->ended + s->not_admitted != s->started;
            bad[1] += d->offered != d->queued + sum_of(d);
        }
    }
    is_int(bad[0], 0, "P5 the books add up at any time, those of the process");
    is_int(bad[1], 0, "P5 ... and those of a destination");
    is_int(hotel_shutdown(5000), HOTEL_OK, "shutdown");
    check_books("books that are read meanwhile");
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_queue_overflow();
    test_queue_overflow_beside_live();
    test_arena_overflow();
    test_context_without_chunk();
    test_large_span();
    test_overwriting();
    test_request_bound();
    test_tiny();
    test_dead_under_load();
    test_no_valid_destination();
    test_dead_costs_nothing();
    test_books_meanwhile();
    return done_testing();
}
