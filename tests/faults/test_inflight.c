/*
 * SPDX-License-Identifier: MIT
 *
 * test_inflight.c - several requests under way at once: that they overlap, that flush waits for
 * the right ones, that only one tries while the server fails, and how they end. Rules EX-11, OC-01,
 * OT-07, BSP-17.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

enum { BATCH = 5 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BUSY SERVER_STATUS("503 Busy")

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("fault");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_end(&span);
    }
}

typedef struct run {
    server s;
    char url[160];
    hotel_destination to;
    hotel_config config;
} run;

/* One server, batches of five spans, so many requests at once. */
static void begin(run *r, const server_step *steps, size_t count, uint32_t max_inflight) {
    if (!server_start(&r->s, SERVER_IPV4, steps, count)) abort();
    r->to = destination(server_url(&r->s, "", r->url, sizeof r->url));
    r->to.max_export_batch_size = BATCH;
    r->to.max_inflight = max_inflight;
    r->config = test_config(&r->to, 1);
}

static void start(run *r) {
    log_clear();
    is_int(hotel_init(&r->config), HOTEL_OK, "init");
    open_books();
}

static void end(run *r, size_t spans, const char *name) {
    (void)hotel_shutdown(6000);
    server_stop(&r->s);
    is_int(r->s.num_bad, 0, "%s: every request is right (%s)", name, r->s.problem);
    is_int(since_opened(0).accepted, spans, "%s: accepted", name);
    check_books(name);
    server_release(&r->s);
}

static long long gap_ms(server *s, unsigned from, unsigned to) {
    return server_request_at(s, to)->time_ms - server_request_at(s, from)->time_ms;
}

/* ---- Side by side --------------------------------------------------------------------------- */

static void test_overlap(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 150}};
    static const struct {
        uint32_t max_inflight;
        unsigned connections;
    } cases[] = {{0, 1}, {1, 1}, {2, 2}, {4, 4}, {8, 8}};
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        unsigned at_once = cases[i].connections;
        long long took;
        begin(&r, slow, 1, cases[i].max_inflight);
        start(&r);
        took = server_now_ms();
        end_spans(8 * BATCH);
        is_int(hotel_flush(8000), HOTEL_OK, "OC-01 %u at once: delivered", at_once);
        took = server_now_ms() - took;
        ok(took >= 150 * 8 / at_once - 5 && (UNDER_TSAN || took < 150 * 8 / at_once + 1000),
           "EX-11 %u at once: eight requests of 150 ms take %lld ms", at_once, took);
        is_int(since_opened(0).connections, at_once, "OT-07 %u at once: as many connections",
               at_once);
        ok(at_once == 1 || gap_ms(&r.s, 0, at_once - 1) < 140,
           "EX-11 %u at once: all of them came before the first answer", at_once);
        is_int(server_num_spans(&r.s), 8 * BATCH, "EX-11 %u at once: every span came", at_once);
        is_int(server_num_duplicates(&r.s), 0, "EX-11 %u at once: none twice", at_once);
        is_int(since_opened(0).requests, 8, "EX-11 %u at once: in eight requests", at_once);
        end(&r, 8 * BATCH, "requests at once");
    }
}

static void test_bounds(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 50}};
    char words[4096];
    run r;
    begin(&r, slow, 1, 100);
    start(&r);
    ok(log_has("max_inflight 100 is not possible here; 8 is used"), "EX-11 at most eight");
    (void)hotel_describe(words, sizeof words);
    ok(strstr(words, "max_inflight=8\n") != NULL, "EX-11 hotel_describe tells");
    end_spans(20 * BATCH);
    is_int(hotel_flush(5000), HOTEL_OK, "EX-11 delivered");
    is_int(since_opened(0).connections, 8, "EX-11 over eight connections");
    end(&r, 20 * BATCH, "100 requests at once");
    begin(&r, slow, 1, HOTEL_NONE);
    start(&r);
    end_spans(2 * BATCH);
    is_int(hotel_flush(5000), HOTEL_OK, "EX-11 HOTEL_NONE is the default");
    is_int(since_opened(0).connections, 1, "EX-11 one");
    end(&r, 2 * BATCH, "HOTEL_NONE at once");
}

/* Everything in memory that was given, with and without threads. */
static void test_memory(void) {
    static unsigned char memory[256 * 1024];
    int threads;
    for (threads = 0; threads < 2; threads++) {
        run r;
        (void)hotel_release();
        begin(&r, NULL, 0, 8);
        r.config.memory = memory;
        r.config.memory_bytes = sizeof memory;
        r.config.no_threads = threads == 0;
        start(&r);
        end_spans(10 * BATCH);
        is_int(hotel_flush(5000), HOTEL_OK, "P2 eight requests at once in 256 KiB, %s threads",
               threads != 0 ? "with" : "without");
        end(&r, 10 * BATCH, "memory that is given");
        (void)hotel_release();
    }
}

/* ---- Flush ---------------------------------------------------------------------------------- */

static void *flush_main(void *user_data) {
    long long began = server_now_ms();
    hotel_result result = hotel_flush(8000);
    *(long long *)user_data = result == HOTEL_OK ? server_now_ms() - began : -1;
    return NULL;
}

/* A flush waits for the requests of before, however many came after them; and for no later one. */
static void test_flush(void) {
    static const server_step first_slow[] = {{.reply = SERVER_OK, .delay_ms = 500},
                                             {.reply = SERVER_OK}};
    static const server_step second_slow[] = {{.reply = SERVER_OK, .delay_ms = 200},
                                              {.reply = SERVER_OK, .delay_ms = 3000},
                                              {.reply = SERVER_OK}};
    int which;
    for (which = 0; which < 2; which++) {
        run r;
        pthread_t thread;
        long long took = 0;
        unsigned i;
        begin(&r, which == 0 ? first_slow : second_slow, which == 0 ? 2 : 3, 4);
        start(&r);
        end_spans(BATCH);
        ok(server_wait(&r.s, 1, 3000), "the first request has come");
        if (pthread_create(&thread, NULL, flush_main, &took) != 0) abort();
        server_sleep_ms(50);
        for (i = 0; i < 4; i++) end_spans(BATCH);
        (void)pthread_join(thread, NULL);
        if (which == 0) {
            ok(took >= 400, "BSP-17 flush waits for the slow first request (%lld ms)", took);
            is_int(since_opened(0).accepted, 5 * BATCH, "... which the others have overtaken");
        } else {
            ok(took >= 100 && took < 2500, "BSP-17 and for none that began later (%lld ms)", took);
        }
        end(&r, 5 * BATCH, "flush with several requests");
    }
}

/* ---- A server that fails --------------------------------------------------------------------- */

/* Four fail together. Then one of them tries, and the others go when it came through. */
static void test_one_probes(void) {
    static const server_step steps[] = {{.reply = BUSY, .delay_ms = 600},
                                        {.reply = BUSY, .delay_ms = 600},
                                        {.reply = BUSY, .delay_ms = 600},
                                        {.reply = BUSY, .delay_ms = 600},
                                        {.reply = BUSY},
                                        {.reply = SERVER_OK, .delay_ms = 150},
                                        {.reply = SERVER_OK}};
    run r;
    begin(&r, steps, COUNT(steps), 4);
    start(&r);
    end_spans(6 * BATCH);
    is_int(hotel_flush(9000), HOTEL_OK, "OC-01 a server that fails for a while: delivered");
    server_stop(&r.s);
    is_int(since_opened(0).requests, 11, "OC-01 six batches, five of them refused once");
    is_int(since_opened(0).retries, 5, "OC-01 ... and five repeats");
    ok(gap_ms(&r.s, 0, 3) < 1500, "OC-01 four are refused together");
    ok(gap_ms(&r.s, 3, 4) >= 400, "OC-01 then one tries (%lld ms later)", gap_ms(&r.s, 3, 4));
    ok(gap_ms(&r.s, 4, 5) >= 400, "OC-01 and once more, alone (%lld ms)", gap_ms(&r.s, 4, 5));
    ok(gap_ms(&r.s, 5, 6) >= 140, "OC-01 the others wait for its success (%lld ms)",
       gap_ms(&r.s, 5, 6));
    ok(UNDER_TSAN || gap_ms(&r.s, 6, 10) < 1500, "OC-01 and go together then (%lld ms)",
       gap_ms(&r.s, 6, 10));
    check_log(HOTEL_LOG_ID_EXPORT_RETRY, 1, "four refusals");
    check_log(HOTEL_LOG_ID_EXPORT_RECOVERED, 1, "and their end");
    end(&r, 6 * BATCH, "one probes");
}

/* Nobody answers: behind the first eight there are no more attempts than one request would make. */
static void test_no_herd(void) {
    static const server_step steps[] = {
        {.when = SERVER_AT_ACCEPT, .delay_ms = 300, .after = SERVER_CLOSE}};
    run r;
    long long took;
    begin(&r, steps, 1, 8);
    r.to.timeout_ms = 2500;
    start(&r);
    took = server_now_ms();
    end_spans(8 * BATCH);
    is_int(hotel_flush(8000), HOTEL_ERR_FAILED, "OC-01 connections are closed for ever: given up");
    took = server_now_ms() - took;
    ok(took >= 1000 && took < 4000, "OX-09 at the deadline of each (%lld ms)", took);
    is_int(since_opened(0).failed, 8 * BATCH, "OR-11 all of them");
    check_log(HOTEL_LOG_ID_EXPORT_FAILED, 1, "eight requests given up");
    server_stop(&r.s);
    ok(r.s.num_connections >= 9 && r.s.num_connections <= 13, "OC-01 no herd: %u connections",
       r.s.num_connections);
    end(&r, 0, "nobody answers");
}

/* A refusal that is final holds up nobody but its own spans. */
static void test_final(void) {
    static const server_step steps[] = {
        {.reply = SERVER_STATUS("400 Bad Request"), .delay_ms = 300}, {.reply = SERVER_OK}};
    run r;
    begin(&r, steps, 2, 4);
    start(&r);
    end_spans(8 * BATCH);
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "EX-13 one of eight is refused for good");
    is_int(since_opened(0).failed, BATCH, "EX-13 its spans are lost");
    is_int(since_opened(0).retries, 0, "EX-13 without a repeat");
    end(&r, 7 * BATCH, "one refused");
}

/* The kept connections are gone when they are needed again. */
static void test_stale(void) {
    static const server_step steps[] = {
        {.reply = SERVER_OK, .delay_ms = 150},    {.reply = SERVER_OK, .delay_ms = 150},
        {.reply = SERVER_OK, .delay_ms = 150},    {.delay_ms = 150, .after = SERVER_RESET},
        {.delay_ms = 150, .after = SERVER_CLOSE}, {.reply = SERVER_OK, .after = SERVER_CLOSE}};
    run r;
    long long took;
    begin(&r, steps, COUNT(steps), 3);
    start(&r);
    end_spans(3 * BATCH);
    is_int(hotel_flush(5000), HOTEL_OK, "three requests on three connections");
    took = server_now_ms();
    end_spans(6 * BATCH);
    is_int(hotel_flush(5000), HOTEL_OK, "OR-18 two of the connections are stale");
    took = server_now_ms() - took;
    ok(took < SERVER_SOON_MS, "OR-18 replaced at once (%lld ms)", took);
    is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY), 0, "OR-18 without a back-off");
    end(&r, 9 * BATCH, "stale connections");
}

/* ---- The end -------------------------------------------------------------------------------- */

static void test_shutdown(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    run r;
    long long took;
    begin(&r, hang, 1, 4);
    start(&r);
    end_spans(6 * BATCH);
    ok(server_wait(&r.s, 4, 3000), "four requests hang");
    took = server_now_ms();
    is_int(hotel_shutdown(200), HOTEL_ERR_TIMEOUT, "BSP-18 shutdown with four under way");
    took = server_now_ms() - took;
    ok(took >= 150 && took < 200 + SERVER_SOON_MS, "BSP-21 returns after %lld ms", took);
    is_int(since_opened(0).failed, 4 * BATCH, "P5 four batches failed: the outcome is unknown");
    is_int(since_opened(0).dropped_shutdown, 2 * BATCH, "P5 two were never sent");
    end(&r, 0, "shutdown with four under way");
}

/* A child that has the parent's requests in its memory sends none of them and closes nothing of
   the parent's. */
static void test_fork(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 500}};
    run r;
    pid_t pid;
    int status = -1;
    begin(&r, slow, 1, 4);
    r.config.no_threads = UNDER_TSAN; /* which knows no threads in a fork child */
    start(&r);
    end_spans(4 * BATCH);
    if (UNDER_TSAN) (void)!hotel_flush(100);
    ok(server_wait(&r.s, 4, 3000), "four requests wait for their answers");
    pid = server_fork(&r.s);
    if (pid == 0) {
        hotel_span span = hotel_start("child");
        hotel_end(&span);
        IGNORE_LEAKS();
        _exit(hotel_shutdown(4000) == HOTEL_OK ? 0 : 1);
    }
    (void)waitpid(pid, &status, 0);
    is_int(status, 0, "a fork child delivers its own span");
    is_int(hotel_flush(5000), HOTEL_OK, "the parent's requests are answered");
    is_int(server_num_spans(&r.s), 4 * BATCH + 1, "every span came");
    is_int(server_num_duplicates(&r.s), 0, "once");
    is_int(since_opened(0).retries, 0, "over the connections that they began on");
    end(&r, 4 * BATCH, "fork with four under way");
}

/* The application's own loop. */
static void test_polled(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 100}};
    run r;
    long long began;
    begin(&r, slow, 1, 4);
    r.config.no_threads = true;
    r.to.schedule_delay_ms = 1;
    start(&r);
    end_spans(4 * BATCH);
    began = server_now_ms();
    while (since_opened(0).accepted < 4 * BATCH && server_now_ms() - began < 5000) {
        (void)hotel_poll(10);
    }
    ok(gap_ms(&r.s, 0, 3) < 90, "EX-11 hotel_poll drives four requests at once");
    end(&r, 4 * BATCH, "polled");
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_overlap();
    test_bounds();
    test_memory();
    test_flush();
    test_one_probes();
    test_no_herd();
    test_final();
    test_stale();
    test_shutdown();
    test_fork();
    test_polled();
    return done_testing();
}
