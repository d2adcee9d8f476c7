/*
 * SPDX-License-Identifier: MIT
 *
 * test_signal.c - signals: a handler that starts, sets and ends spans while the thread under it is
 * in the same calls, on its own spans and on the same one; SIGPIPE, which must never reach the
 * host; storms of EINTR; exit() in the middle of an export (P4, BSP-27).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

static server here;
static char here_url[160];
static pthread_t main_thread;
static hotel_span current;            /* what the main thread works on; read by the handler */
static volatile sig_atomic_t may_use; /* current is complete */
static volatile sig_atomic_t num_ticks;
static volatile sig_atomic_t num_started;
static volatile sig_atomic_t num_strangers; /* handlers on another thread than the main one */
static volatile sig_atomic_t num_pipes;

/* Only what is async-signal-safe by the library's contract. */
static void on_tick(int number) {
    int saved = errno;
    hotel_span span, child;
    hotel_context context;
    (void)number;
    num_ticks = num_ticks + 1;
    if (!pthread_equal(pthread_self(), main_thread)) num_strangers = num_strangers + 1;
    span = hotel_start("signal");
    if (hotel_is_recording(&span)) num_started = num_started + 1;
    hotel_set_int(&span, "tick", num_ticks);
    hotel_set_str(&span, "text", "from a handler");
    hotel_add_event(&span, "tick");
    context = hotel_context_with(&span);
    child = hotel_start_in(&context, "signal child", HOTEL_INTERNAL);
    if (hotel_is_recording(&child)) num_started = num_started + 1;
    hotel_end(&child);
    hotel_set_status(&span, HOTEL_STATUS_OK, NULL);
    hotel_end(&span);
    if (may_use) {
        hotel_set_int(&current, "tick", num_ticks);
        hotel_add_event(&current, "tick");
        if (num_ticks % 7 == 0) hotel_end(&current);
    }
    errno = saved;
}

static void on_pipe(int number) {
    (void)number;
    num_pipes = num_pipes + 1;
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0) abort(); /* no SA_RESTART: calls end with EINTR */
}

static void tick_every_us(long us) {
    struct itimerval timer;
    timer.it_interval.tv_sec = timer.it_value.tv_sec = 0;
    timer.it_interval.tv_usec = timer.it_value.tv_usec = (suseconds_t)us;
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static void begin(server_family family, const server_step *steps, size_t count, bool no_threads,
                  uint32_t delay_ms) {
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(&here, family, steps, count)) abort();
    to = destination(server_url(&here, "", here_url, sizeof here_url));
    to.schedule_delay_ms = delay_ms;
    config.no_threads = no_threads;
    config.limits.event_count = 8;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void finish(const char *name) {
    server_stop(&here);
    check_books(name);
    is_int(here.num_bad, 0, "%s: every request is right (%s)", name, here.problem);
    is_int(server_num_duplicates(&here), 0, "%s: no span came twice", name);
    is_int(server_num_spans(&here), since_opened(0).accepted,
           "%s: the server has what was accepted", name);
    server_release(&here);
}

/* The main thread is in every call of the span path when the signal comes. */
static void test_handler(bool no_threads, const char *name) {
    hotel_stats s;
    long long end;
    unsigned i = 0;
    begin(SERVER_IPV4, NULL, 0, no_threads, 5);
    num_ticks = num_started = num_strangers = 0;
    tick_every_us(150);
    end = server_now_ms() + 700;
    while (server_now_ms() < end) {
        may_use = 0;
        current = hotel_start("main");
        may_use = 1;
        hotel_set(&current, hotel_int("i", (int64_t)i), hotel_str("k", "v"));
        hotel_add_event_with(&current, "e", hotel_int("n", (int64_t)i));
        hotel_set_str(&current, "k", "a longer value than the one before");
        hotel_set_name(&current, "renamed");
        {
            HOTEL_SCOPE(inner, hotel_start("inner"));
            hotel_set_status(&inner, HOTEL_STATUS_ERROR, "why");
        }
        hotel_end(&current);
        if (++i % 64 == 0 && no_threads) (void)hotel_poll(0);
        if (i % 500 == 0) (void)!hotel_flush(500);
    }
    may_use = 0;
    (void)hotel_shutdown(5000); /* with signals still coming */
    tick_every_us(0);
    hotel_get_stats(&s);
    ok(num_ticks > 100, "%s: %d signals in %u rounds", name, (int)num_ticks, i);
    ok(num_started > 100, "%s: handlers recorded %d spans", name, (int)num_started);
    is_int(num_strangers, 0, "BSP-27 %s: no signal reached the exporter's thread", name);
    is_int(s.live, 0, "%s: no span is left open", name);
    is_int(since_opened(0).failed + since_opened(0).rejected, 0, "%s: nothing failed", name);
    finish(name);
}

static hotel_context signal_context;

static void on_tick_attach(int number) {
    hotel_token token = hotel_attach(&signal_context);
    (void)number;
    num_ticks = num_ticks + 1;
    (void)hotel_detach(token);
}

static hotel_context context_of(unsigned char byte) {
    hotel_context context;
    memset((void *)&context, 0, sizeof context);
    memset(context.span.context.trace_id, byte, 16);
    memset(context.span.context.span_id, byte, 8);
    return context;
}

/* Handlers attach a context of their own while the thread attaches one. */
static void test_attach(void) {
    enum { TICKS = 5000 };
    hotel_context mine = context_of(1);
    uint64_t until_ns = hoteli_clock_ns(CLOCK_MONOTONIC) + 10000000000u;
    long num_wrong = 0;
    signal_context = context_of(2);
    num_ticks = 0;
    handle(SIGALRM, on_tick_attach);
    tick_every_us(20);
    while (num_ticks < TICKS && hoteli_clock_ns(CLOCK_MONOTONIC) < until_ns) {
        int i;
        for (i = 0; i < 100; i++) {
            hotel_token token = hotel_attach(&mine);
            hotel_span span = hotel_current_span();
            bool same = memcmp(span.context.trace_id, mine.span.context.trace_id, 16) == 0 &&
                        memcmp(span.context.span_id, mine.span.context.span_id, 8) == 0;
            num_wrong += !same;
            num_wrong += hotel_detach(token) != HOTEL_OK;
        }
    }
    tick_every_us(0);
    handle(SIGALRM, on_tick);
    is_int(num_wrong, 0, "what a thread attaches is not what a handler in between attached");
    ok(num_ticks > 0, "%d handlers ran in between", (int)num_ticks);
}

/* flush and poll wait out their time although every sleep is interrupted. */
static void test_eintr(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 300}};
    hotel_span span;
    long long took;
    begin(SERVER_IPV4, slow, 1, false, 60000);
    tick_every_us(1000);
    span = hotel_start("slow");
    hotel_end(&span);
    took = server_now_ms();
    is_int(hotel_flush(5000), HOTEL_OK, "EINTR: flush waits for the answer");
    ok(server_now_ms() - took >= 250, "EINTR: and did wait: %lld ms", server_now_ms() - took);
    took = server_now_ms();
    span = hotel_start("slow");
    hotel_end(&span);
    is_int(hotel_flush(100), HOTEL_ERR_TIMEOUT, "EINTR: a deadline holds");
    took = server_now_ms() - took;
    ok(took >= 80 && took < 100 + SERVER_SOON_MS, "EINTR: after %lld ms", took);
    is_int(hotel_shutdown(5000), HOTEL_OK, "EINTR: shutdown");
    tick_every_us(0);
    finish("EINTR with the exporter's thread");

    begin(SERVER_IPV4, slow, 1, true, 60000);
    tick_every_us(1000);
    took = server_now_ms();
    is_int(hotel_poll(200), HOTEL_OK, "EINTR: poll with nothing to do");
    ok(server_now_ms() - took < 200 + SERVER_SOON_MS, "EINTR: returns in time");
    span = hotel_start("polled");
    hotel_end(&span);
    is_int(hotel_flush(5000), HOTEL_OK, "EINTR: flush pumps itself");
    is_int(hotel_shutdown(5000), HOTEL_OK, "EINTR: shutdown");
    tick_every_us(0);
    finish("EINTR with hotel_poll");
}

/* The peer is gone in the middle of a large request, over and over. */
static void test_sigpipe(void) {
    static const server_step at_head[] = {{.when = SERVER_AT_HEAD, .after = SERVER_RESET}};
    static const server_step at_once[] = {{.when = SERVER_AT_ACCEPT, .after = SERVER_CLOSE}};
    static char text[30000], urls[4][160];
    static server gone[4];
    hotel_destination to[4];
    hotel_config config = test_config(to, 4);
    size_t i;
    for (i = 0; i < 4; i++) {
        if (!server_start(&gone[i], i % 2 ? SERVER_UNIX : SERVER_IPV4, i < 2 ? at_head : at_once,
                          1))
            abort();
        to[i] = destination(server_url(&gone[i], "", urls[i], sizeof urls[i]));
        to[i].timeout_ms = 1600;
    }
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
    for (i = 0; i < 8; i++) {
        hotel_span span = hotel_start("large");
        hotel_set_strn(&span, "text", text, sizeof text);
        hotel_end(&span);
    }
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "P4 peers that go away: failed");
    (void)hotel_shutdown(1000);
    for (i = 0; i < 4; i++) {
        server_stop(&gone[i]);
        ok(gone[i].num_connections > 1, "P4 after several connections");
        is_int(since_opened(i).failed, 8, "OR-17 eight spans failed");
    }
    is_int(num_pipes, 0, "P4 no SIGPIPE");
    check_books("peers that go away");
    for (i = 0; i < 4; i++) server_release(&gone[i]);
}

/* What the process does at its end is its own business. */
static void exit_in_export(bool in_flight) {
    hotel_destination to = destination(here_url);
    hotel_config config = test_config(&to, 1);
    hotel_span span;
    int i;
    IGNORE_LEAKS();
    config.no_threads = UNDER_TSAN; /* a child cannot have threads there */
    if (hotel_init(&config) != HOTEL_OK) _exit(2);
    for (i = 0; i < 100; i++) {
        span = hotel_start("exiting");
        hotel_end(&span);
    }
    span = hotel_start("open");
    if (in_flight) {
        (void)!hotel_flush(0);
        server_sleep_ms(150);
    }
    exit(0);
}

static void test_exit(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    int i;
    if (!server_start(&here, SERVER_IPV4, hang, 1)) abort();
    (void)server_url(&here, "", here_url, sizeof here_url);
    for (i = 0; i < 2; i++) {
        long long began = server_now_ms();
        char words[64];
        int code;
        pid_t pid;
        (void)fflush(stdout);
        pid = server_fork(&here);
        if (pid == 0) exit_in_export(i == 1);
        code = server_wait_child(pid, 30000);
        ok(code == 0, "T-20 exit() %s ends in order (%s)",
           i == 1 ? "during an export" : "with spans waiting",
           server_child_words(code, words, sizeof words));
        ok(server_now_ms() - began < 7000, "T-20 and at once: %lld ms", server_now_ms() - began);
    }
    server_release(&here);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    main_thread = pthread_self();
    handle(SIGALRM, on_tick);
    handle(SIGPIPE, on_pipe);
    test_exit();
    test_handler(false, "handler");
    test_handler(true, "handler without threads");
    test_attach();
    test_eintr();
    test_sigpipe();
    return done_testing();
}
