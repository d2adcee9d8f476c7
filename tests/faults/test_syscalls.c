/*
 * SPDX-License-Identifier: MIT
 *
 * test_syscalls.c - the n-th call of every kind that the library asks of the system fails, for
 * every n and with every likely error, at set-up, at the connection and in the exchange: the host
 * is never held up, nothing leaks, the books balance, and what can be repeated is delivered. Then
 * calls that do a byte at a time, that are always interrupted, and clocks that leap.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "interpose.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#if UNDER_TSAN
/* Children are made before there is a second thread. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}
#endif

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Milliseconds of the fast clock. */
enum { TIMEOUT_MS = 100000, PATIENCE_MS = 250000, MAX_N = 400, BATCH = 3 };

static server keeping, closing;
static char keeping_url[160], closing_url[160];

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("span");
        hotel_set_int(&span, "i", (int64_t)i);
        hotel_end(&span);
    }
}

static hotel_result start(hotel_destination to[2], bool no_threads) {
    hotel_config config = test_config(to, 2);
    to[0] = destination(keeping_url);
    to[1] = destination(closing_url);
    to[0].timeout_ms = to[1].timeout_ms = TIMEOUT_MS;
    to[0].schedule_delay_ms = to[1].schedule_delay_ms = 10 * TIMEOUT_MS;
    config.arena_bytes = 65536;
    config.no_threads = no_threads;
    log_clear();
    return hotel_init(&config);
}

/* What went wrong in one run; NULL: nothing. */
static const char *problem;

static void expect(bool good, const char *text) {
    if (!good && problem == NULL) problem = text;
}

/* The abandoned lookup of a name ends by itself. */
static void expect_nothing_owned(void) {
    long long end = server_now_ms() + 3000;
    while (owned_blocks() != 0 && server_now_ms() < end) server_sleep_ms(1);
    expect(owned_blocks() == 0, "memory is left");
    expect(owned_descriptors() == 0, "descriptors are left");
}

/* A life with two exports to two servers, in which nothing is lost. */
static void live(const fault *plan, bool no_threads) {
    hotel_destination to[2];
    hotel_result result;
    long long began = server_now_ms();
    unsigned i;
    problem = NULL;
    faults_begin(plan);
    result = start(to, no_threads);
    if (result != HOTEL_OK) {
        faults_end();
        expect(result == HOTEL_ERR_SYSTEM || result == HOTEL_ERR_MEMORY, "init: a strange error");
        expect(log_count_all() > 0, "init failed without a word");
        end_spans(1);
        (void)hotel_shutdown(100);
        (void)hotel_release();
        expect_nothing_owned();
        result = start(to, no_threads);
        expect(result == HOTEL_OK, "a second init does not work");
    }
    open_books();
    for (i = 0; i < 2; i++) {
        end_spans(BATCH);
        result = hotel_flush(PATIENCE_MS);
        expect(result == HOTEL_OK, "flush failed");
    }
    expect(hotel_shutdown(PATIENCE_MS) == HOTEL_OK, "shutdown failed");
    expect(books_balance(), "the books do not balance");
    expect(since_opened(0).accepted == 2 * BATCH, "spans are lost (kept connection)");
    expect(since_opened(1).accepted == 2 * BATCH, "spans are lost (closed connections)");
    expect(hotel_release() == HOTEL_OK, "release failed");
    faults_end();
    expect_nothing_owned();
    expect(server_now_ms() - began < 4000, "it took too long");
}

/* One check for a call and an error: fails once, at every place. */
static void every_place(int call, int error, unsigned length, bool no_threads) {
    fault plan;
    unsigned fired = 0, bad = 0;
    plan.call = call;
    plan.length = length;
    plan.error = error;
    for (plan.at = 1; plan.at < MAX_N && bad < 3; plan.at++) {
        live(&plan, no_threads);
        if (problem != NULL) {
            note("%s number %u with error %d: %s", fault_names[call], plan.at, error, problem);
            log_show();
            bad++;
        }
        if (faults_fired_now() == 0) break;
        fired++;
    }
    ok(bad == 0, "P5 %s fails with error %d, each of %u%s%s", fault_names[call], error, fired,
       length > 1 ? ", twice in a row" : "", no_threads ? ", without threads" : "");
}

static const struct {
    int call;
    int errors[6];
} rows[] = {
    {CALL_SOCKET, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT}},
    {CALL_SOCKETPAIR, {EMFILE, ENFILE, ENOMEM}},
    {CALL_CONNECT, {ECONNREFUSED, ETIMEDOUT, EINTR, ENOBUFS, EADDRNOTAVAIL, EAGAIN}},
    {CALL_SEND, {EAGAIN, EINTR, ECONNRESET, EPIPE, ENOBUFS, EBADF}},
    {CALL_RECV, {EAGAIN, EINTR, ECONNRESET, ETIMEDOUT, ENOMEM, EBADF}},
    {CALL_POLL, {EINTR, ENOMEM, EINVAL}},
    {CALL_FCNTL, {EBADF, EINVAL}},
    {CALL_SETSOCKOPT, {ENOPROTOOPT, ENOMEM}},
    {CALL_GETSOCKOPT, {EBADF, ENOBUFS}},
    {CALL_CLOSE, {EINTR, EIO}},
    {CALL_GETADDRINFO, {EAI_AGAIN, EAI_MEMORY, EAI_NONAME}},
    {CALL_OPEN, {EMFILE, EACCES}},
    {CALL_MALLOC, {ENOMEM}},
    {CALL_CALLOC, {ENOMEM}},
    {CALL_THREAD, {EAGAIN, EPERM}},
    {CALL_ATTR, {ENOMEM}},
    {CALL_GETRANDOM, {EAGAIN, EINTR, ENOSYS}},
};

static void test_every_call(void) {
    size_t i, k;
    for (i = 0; i < COUNT(rows); i++) {
        for (k = 0; k < COUNT(rows[i].errors) && rows[i].errors[k] != 0; k++)
            every_place(rows[i].call, rows[i].errors[k], 1, false);
        every_place(rows[i].call, rows[i].errors[0], 1, true);
    }
    every_place(CALL_SOCKET, EMFILE, 2, false);
    every_place(CALL_CONNECT, ECONNREFUSED, 2, false);
    every_place(CALL_RECV, ECONNRESET, 2, false);
}

/* ---- The first life of a process ------------------------------------------------------------ */

/* Calls that only a process' first start makes. The child has no server to talk to. */
static const int first_calls[][2] = {
    {CALL_MUTEX, EAGAIN},   {CALL_COND, EAGAIN},    {CALL_CONDATTR, ENOMEM},
    {CALL_SETCLOCK, EINVAL}, {CALL_ATFORK, ENOMEM},  {CALL_MMAP, ENOMEM},
    {CALL_MADVISE, EINVAL}, {CALL_SYSCONF, EINVAL}, {CALL_SOCKETPAIR, EMFILE},
    {CALL_FCNTL, EBADF},    {CALL_MALLOC, ENOMEM},  {CALL_THREAD, EAGAIN},
    {CALL_ATTR, ENOMEM},    {CALL_GETRANDOM, EAGAIN}};

/* 0: the call was not made; 1: all is well; 2: not. */
static int first_life(const fault *plan) {
    hotel_destination to[2];
    hotel_destination_stats to_first;
    hotel_result result;
    int life;
    (void)snprintf(keeping_url, sizeof keeping_url, "http://127.0.0.1:1");
    (void)snprintf(closing_url, sizeof closing_url, "unix:/nowhere");
    problem = NULL;
    faults_begin(plan);
    for (life = 0; life < 2; life++) {
        result = start(to, UNDER_TSAN);
        if (life == 1) expect(result == HOTEL_OK, "a second init does not work");
        if (result != HOTEL_OK) expect(log_count_all() > 0, "init failed without a word");
        open_books();
        end_spans(BATCH);
        (void)hotel_shutdown(50);
        if (result == HOTEL_OK) {
            expect(books_balance(), "the books do not balance");
            to_first = since_opened(0);
            expect(sum_of(&to_first) == BATCH, "the spans are not counted");
        }
        expect(hotel_release() == HOTEL_OK, "release failed");
        expect_nothing_owned();
        faults_end();
    }
    if (problem != NULL) {
        note("%s number %u: %s", fault_names[plan->call], plan->at, problem);
        log_show();
        return 2;
    }
    return faults_fired != 0;
}

static void test_first_life(void) {
    size_t i;
    for (i = 0; i < COUNT(first_calls); i++) {
        fault plan;
        int status = 0;
        plan.call = first_calls[i][0];
        plan.error = first_calls[i][1];
        plan.length = 1;
        for (plan.at = 1; plan.at < MAX_N; plan.at++) {
            pid_t pid;
            (void)fflush(stdout);
            pid = fork();
            if (pid == 0) _exit(first_life(&plan));
            if (waitpid(pid, &status, 0) != pid || status != 0x100) break;
        }
        ok(status == 0, "P5 %s fails in a process' first hotel_init, each of %u (%#x)",
           fault_names[plan.call], plan.at - 1, (unsigned)status);
    }
}

/* ---- Storms --------------------------------------------------------------------------------- */

static void check_life(const char *name, bool no_threads) {
    live(NULL, no_threads);
    if (!ok(problem == NULL, "P5 %s%s: %s", name, no_threads ? ", without threads" : "",
            problem != NULL ? problem : "delivered"))
        log_show();
}

static void test_storms(void) {
    int i;
    for (i = 0; i < 2; i++) {
        __atomic_store_n(&fault_storm, true, __ATOMIC_RELAXED);
        check_life("two of three calls are interrupted", i == 1);
        __atomic_store_n(&fault_short_recv, true, __ATOMIC_RELAXED);
        check_life("and every read is one byte", i == 1);
        __atomic_store_n(&fault_storm, false, __ATOMIC_RELAXED);
        check_life("every read is one byte", i == 1);
        __atomic_store_n(&fault_short_send, true, __ATOMIC_RELAXED);
        check_life("every read and every write is one byte", i == 1);
        __atomic_store_n(&fault_short_recv, false, __ATOMIC_RELAXED);
        check_life("every write is one byte", i == 1);
        __atomic_store_n(&fault_storm, true, __ATOMIC_RELAXED);
        check_life("and two of three calls are interrupted", i == 1);
        __atomic_store_n(&fault_storm, false, __ATOMIC_RELAXED);
        __atomic_store_n(&fault_short_send, false, __ATOMIC_RELAXED);
    }
}

/* A poll that never works makes the exporter slow, not busy. */
static void test_poll_refused(void) {
    static const fault always = {CALL_POLL, 1, UINT32_MAX, EINVAL};
    hotel_destination to[2];
    unsigned calls;
    faults_begin(&always);
    is_int(start(to, false), HOTEL_OK, "poll is always refused: init");
    open_books();
    server_sleep_ms(200);
    calls = faults_count(CALL_POLL);
    ok(calls < 200, "P5 poll is always refused: %u calls in 200 ms", calls);
    end_spans(BATCH);
    faults_end();
    is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "P5 when it works again spans are delivered");
    is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
    check_books("poll is always refused");
    (void)hotel_release();
}

/* A start that fails, with a span still open from the life before. */
static void test_failed_restart(void) {
    static const fault no_thread = {CALL_THREAD, 1, 1, EAGAIN};
    hotel_destination to[2];
    hotel_span span;
    is_int(start(to, false), HOTEL_OK, "init");
    span = hotel_start("open all the time");
    (void)hotel_shutdown(100);
    faults_begin(&no_thread);
    is_int(start(to, false), HOTEL_ERR_SYSTEM, "the next init finds no thread");
    faults_end();
    memset(&books_opened, 0, sizeof books_opened);
    hotel_end(&span);
    is_int(since_opened(0).dropped_shutdown, 1, "P5 a span that ends then is dropped and counted");
    check_books("a start that failed");
    (void)hotel_release();
}

/* ---- No descriptor is left ------------------------------------------------------------------ */

static rlim_t allow_descriptors(rlim_t most) {
    struct rlimit limit;
    rlim_t former;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) abort();
    former = limit.rlim_cur;
    limit.rlim_cur = most;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) abort();
    return former;
}

/* Not one more than there are. */
static rlim_t allow_none(void) {
    int next = dup(0);
    if (next < 0) abort();
    (void)close(next);
    return allow_descriptors((rlim_t)next);
}

static void test_no_descriptors(void) {
    hotel_destination to[2];
    rlim_t former = allow_none();
    is_int(start(to, false), HOTEL_ERR_SYSTEM, "P5 EMFILE at init is an error");
    check_log(HOTEL_LOG_ID_SYSTEM, 1, "P5 EMFILE at init");
    (void)allow_descriptors(former);
    is_int(start(to, false), HOTEL_OK, "P5 a later init works");
    open_books();
    (void)allow_none();
    end_spans(BATCH);
    is_int(hotel_flush(5000), HOTEL_ERR_TIMEOUT, "P5 EMFILE at the connection: out of time");
    ok(log_has("no file descriptor is left"), "P5 the log says why") || (log_show(), 0);
    (void)allow_descriptors(former);
    is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "P5 delivered when there are descriptors again");
    (void)allow_none();
    end_spans(BATCH);
    is_int(hotel_flush(5000), HOTEL_ERR_TIMEOUT, "P5 EMFILE at the second connection");
    (void)allow_descriptors(former);
    is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "P5 delivered when there are descriptors again");
    is_int(since_opened(0).accepted + since_opened(1).accepted, 4 * BATCH, "nothing is lost");
    is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
    check_books("EMFILE");
    (void)hotel_release();
    is_int(owned_descriptors(), 0, "no descriptor is left open");
}

/* ---- Clocks --------------------------------------------------------------------------------- */

enum { DAY_S = 86400 };
static const int64_t day_ns = (int64_t)DAY_S * 1000000000;

static uint64_t time_of(otlp_bytes span, uint32_t number) {
    otlp_field field;
    memset(&field, 0, sizeof field);
    (void)otlp_get(span, number, 0, &field);
    return field.value;
}

/* A span is open while the wall clock is set to another day. */
static void test_wall_clock(bool no_threads) {
    static const int64_t steps[] = {1, -1, 0};
    static server here;
    const char *how = no_threads ? ", without threads" : "";
    hotel_destination to[2];
    size_t i;
    for (i = 0; i < COUNT(steps); i++) {
        int64_t began, took;
        hotel_span span, inner;
        otlp_bytes body, sent;
        uint64_t first, last, now;
        if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
        (void)server_url(&here, "", keeping_url, sizeof keeping_url);
        is_int(start(to, no_threads), HOTEL_OK, "init");
        open_books();
        began = clock_fast_ns(CLOCK_MONOTONIC);
        span = hotel_start("outer");
        server_sleep_ms(3);
        (void)__atomic_add_fetch(&clock_wall_ns, steps[i] * day_ns, __ATOMIC_RELAXED);
        hotel_add_event(&span, "stepped");
        inner = hotel_start("inner");
        server_sleep_ms(30); /* the exporter looks at the wall clock once a second */
        hotel_end(&inner);
        hotel_end(&span);
        took = clock_fast_ns(CLOCK_MONOTONIC) - began;
        is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "flush");
        now = (uint64_t)clock_fast_ns(CLOCK_REALTIME);
        body = server_request_at(&here, 0)->body;
        sent = otlp_span_named(body, "outer");
        first = time_of(sent, 7);
        last = time_of(sent, 8);
        ok(last >= first && last - first <= (uint64_t)took + 1000000,
           "SP-16 the wall clock steps by %d days: the span lasts %lld ns of %lld%s",
           (int)steps[i], (long long)(last - first), (long long)took, how);
        sent = otlp_span_named(body, "inner");
        ok(time_of(sent, 8) >= time_of(sent, 7) && time_of(sent, 7) >= first &&
               time_of(sent, 8) <= last,
           "SP-16 and lies around its child%s", how);
        ok(last <= now && now - last < (uint64_t)day_ns / 2,
           "SP-16 on the new day%s: %lld ns ago", how, (long long)(now - last));
        is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
        check_books("the wall clock steps");
        (void)hotel_release();
        server_stop(&here);
        server_release(&here);
    }
    __atomic_store_n(&clock_wall_ns, 0, __ATOMIC_RELAXED);
}

/* The exporter sleeps for an hour, as it does in a machine that was suspended. */
static void test_monotonic_leap(bool no_threads) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 60}, {.reply = SERVER_OK}};
    static server here;
    const char *how = no_threads ? ", without threads" : "";
    hotel_destination to[2];
    hotel_destination_stats d;
    hotel_result result;
    long long began = server_now_ms();
    if (!server_start(&here, SERVER_IPV4, slow, 2)) abort();
    (void)server_url(&here, "", keeping_url, sizeof keeping_url);
    is_int(start(to, no_threads), HOTEL_OK, "init");
    open_books();
    end_spans(BATCH);
    (void)!hotel_flush(0);
    server_sleep_ms(20);
    if (no_threads) (void)hotel_poll(0);
    (void)__atomic_add_fetch(&clock_offset_ns, day_ns / 24, __ATOMIC_RELAXED);
    end_spans(BATCH);
    result = hotel_flush(PATIENCE_MS);
    ok(result == HOTEL_OK || result == HOTEL_ERR_FAILED, "P5 time leaps by an hour: %d%s",
       (int)result, how);
    end_spans(BATCH);
    is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "P5 and exports go on%s", how);
    d = since_opened(0);
    is_int(d.accepted + d.failed, 3 * BATCH, "P5 accepted %u or failed%s", (unsigned)d.accepted,
           how);
    is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
    check_books("time leaps");
    (void)hotel_release();
    server_stop(&here);
    server_release(&here);
    ok(server_now_ms() - began < 5000, "P5 in no time%s", how);
}

/* CLOCK_MONOTONIC stands still for a while, in the middle of an export. */
static void test_monotonic_stop(bool no_threads) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 60}, {.reply = SERVER_OK}};
    static server here;
    const char *how = no_threads ? ", without threads" : "";
    hotel_destination to[2];
    hotel_span span;
    otlp_bytes sent;
    if (!server_start(&here, SERVER_IPV4, slow, 2)) abort();
    (void)server_url(&here, "", keeping_url, sizeof keeping_url);
    is_int(start(to, no_threads), HOTEL_OK, "init");
    open_books();
    __atomic_store_n(&clock_stopped_ns, clock_fast_ns(CLOCK_MONOTONIC), __ATOMIC_RELAXED);
    span = hotel_start("still");
    server_sleep_ms(2);
    hotel_end(&span);
    if (no_threads) (void)hotel_poll(0);
    else (void)!hotel_flush(0);
    server_sleep_ms(100);
    if (no_threads) (void)hotel_poll(0);
    __atomic_store_n(&clock_stopped_ns, 0, __ATOMIC_RELAXED);
    is_int(hotel_flush(PATIENCE_MS), HOTEL_OK, "P5 time stood still: flush%s", how);
    sent = otlp_span_named(server_request_at(&here, 0)->body, "still");
    is_int(time_of(sent, 8) - time_of(sent, 7), 0, "SP-16 a span without duration%s", how);
    is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
    check_books("time stood still");
    (void)hotel_release();
    server_stop(&here);
    server_release(&here);
}

/* The server names a date of its own clock; ours is set right, a day behind, a day ahead. */
static void test_retry_after_date(void) {
    static const struct {
        int64_t days;
        const char *name;
        unsigned accepted;
    } cases[] = {{0, "right", BATCH}, {-1, "a day behind", 0}, {1, "a day ahead", BATCH}};
    static server here;
    static char busy[256];
    static server_step steps[2];
    hotel_destination to[2];
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        time_t at = (time_t)(clock_fast_ns(CLOCK_REALTIME) / 1000000000 + 5);
        struct tm date;
        char text[64];
        long long began = server_now_ms();
        (void)gmtime_r(&at, &date);
        (void)strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &date);
        (void)snprintf(busy, sizeof busy, "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\n"
                       "Content-Length: 0\r\n\r\n", text);
        memset(steps, 0, sizeof steps);
        steps[0].reply = busy;
        steps[1].reply = SERVER_OK;
        if (!server_start(&here, SERVER_IPV4, steps, 2)) abort();
        (void)server_url(&here, "", keeping_url, sizeof keeping_url);
        is_int(start(to, false), HOTEL_OK, "init");
        open_books();
        __atomic_store_n(&clock_wall_ns, cases[i].days * day_ns, __ATOMIC_RELAXED);
        end_spans(BATCH);
        (void)!hotel_flush(PATIENCE_MS);
        is_int(since_opened(0).accepted, cases[i].accepted,
               "OR-09 Retry-After as a date, our clock is %s: accepted", cases[i].name);
        is_int(since_opened(0).failed, BATCH - cases[i].accepted, "OR-09 or given up");
        ok(server_now_ms() - began < 2000, "OR-09 and nobody waits for a day: %lld ms",
           server_now_ms() - began);
        is_int(hotel_shutdown(PATIENCE_MS), HOTEL_OK, "shutdown");
        check_books("Retry-After as a date");
        (void)hotel_release();
        server_stop(&here);
        server_release(&here);
        __atomic_store_n(&clock_wall_ns, 0, __ATOMIC_RELAXED);
    }
}

static void test_clocks(void) {
    int i;
    for (i = 0; i < 2; i++) {
        test_wall_clock(i == 1);
        test_monotonic_leap(i == 1);
        test_monotonic_stop(i == 1);
    }
    test_retry_after_date();
}

int main(void) {
    static const server_step closes[] = {
        {.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         .after = SERVER_CLOSE}};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_first_life();
    if (!server_start(&keeping, SERVER_IPV4, NULL, 0)) abort();
    if (!server_start(&closing, SERVER_UNIX, closes, 1)) abort();
    (void)snprintf(keeping_url, sizeof keeping_url, "http://collector.example:%u",
                   (unsigned)keeping.port);
    (void)server_url(&closing, "", closing_url, sizeof closing_url);
    test_every_call();
    test_storms();
    test_poll_refused();
    test_failed_restart();
    test_no_descriptors();
    test_clocks();
    server_stop(&keeping);
    server_stop(&closing);
    is_int(keeping.num_bad + closing.num_bad, 0, "every request is right (%s%s)", keeping.problem,
           closing.problem);
    server_release(&keeping);
    server_release(&closing);
    return done_testing();
}
