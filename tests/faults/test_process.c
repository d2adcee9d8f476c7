/*
 * SPDX-License-Identifier: MIT
 *
 * test_process.c - what the process around the library does: it ends in every way in the middle of
 * an export while threads make spans; it holds up the exporter in a callback for a second; its
 * signal handlers use spans on a small stack of their own, during set-up and shutdown too.
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

static void one_span(const char *name) {
    HOTEL_SCOPE(span, hotel_start(name));
    hotel_set(&span, hotel_int("i", 1), hotel_str("k", "a value"));
    hotel_add_event_with(&span, "e", hotel_bool("b", true));
}

static void *spans_for_ever(void *user_data) {
    for (;;) {
        one_span("worker");
        server_sleep_ms(user_data != NULL);
    }
    return NULL;
}

/* ---- The end of the process ------------------------------------------------------------------ */

static bool spans_at_the_end; /* in the program's destructor */

__attribute__((destructor)) static void at_the_end(void) {
    if (!spans_at_the_end) return;
    one_span("destructor");
    (void)!hotel_flush(20);
}

static void shut_down_at_exit(void) {
    one_span("at exit");
    if (hotel_shutdown(200) != HOTEL_ERR_TIMEOUT) _exit(98);
    one_span("after shutdown");
    (void)hotel_release();
    one_span("after release");
}

static const char *const ways[] = {"exit()",
                                   "_exit()",
                                   "quick_exit()",
                                   "exit() with a shutdown in an exit handler",
                                   "exit() with spans in a destructor",
                                   "exit() by another thread"};
enum { NUM_WAYS = sizeof ways / sizeof ways[0] };

static void *leave(void *user_data) {
    (void)user_data;
    exit(7);
}

static void child(int way) {
    hotel_destination to = destination(here_url);
    hotel_config config = test_config(&to, 1);
    pthread_t thread;
    int i;
    IGNORE_LEAKS();
    config.no_threads = UNDER_TSAN;
    if (hotel_init(&config) != HOTEL_OK) _exit(97);
    for (i = 0; i < 3 && !UNDER_TSAN; i++)
        if (pthread_create(&thread, NULL, spans_for_ever, i ? &i : NULL) != 0) _exit(96);
    one_span("leaving");
    (void)!hotel_flush(100); /* the request is on its way, and nobody will answer it */
    if (way == 1) _exit(7);
    if (way == 2) quick_exit(7);
    if (way == 3) (void)atexit(shut_down_at_exit);
    if (way == 4) spans_at_the_end = true;
    if (way == 5 && !UNDER_TSAN) {
        if (pthread_create(&thread, NULL, leave, NULL) != 0) _exit(95);
        for (;;) (void)pause();
    }
    exit(7);
}

static void test_ends(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    int way;
    if (!server_start(&here, SERVER_IPV4, hang, 1)) abort();
    (void)server_url(&here, "", here_url, sizeof here_url);
    for (way = 0; way < NUM_WAYS; way++) {
        long long began = server_now_ms();
        char words[64];
        int code;
        pid_t pid;
        (void)fflush(stdout);
        pid = server_fork(&here);
        if (pid == 0) child(way);
        code = server_wait_child(pid, 30000);
        ok(code == 7, "T-20 %s in the middle of an export keeps its exit code (%s)", ways[way],
           server_child_words(code, words, sizeof words));
        ok(server_now_ms() - began < 7000, "T-20 %s ends at once: %lld ms", ways[way],
           server_now_ms() - began);
    }
    server_stop(&here);
    server_release(&here);
}

/* ---- The exporter is held up ----------------------------------------------------------------- */

enum { HELD_UP_MS = 2000 };

static bool held_up; /* atomic: callbacks sleep */
static unsigned num_held; /* atomic */

static void hold_up(void) {
    if (!__atomic_load_n(&held_up, __ATOMIC_RELAXED)) return;
    (void)__atomic_add_fetch(&num_held, 1, __ATOMIC_RELAXED);
    server_sleep_ms(HELD_UP_MS);
}

static void *slow_open(const char *host, uint16_t port, void *user_data) {
    (void)host;
    (void)port;
    hold_up();
    return user_data;
}

static int slow_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

static ptrdiff_t slow_send(void *connection, const void *bytes, size_t size) {
    *(size_t *)connection = 0;
    (void)bytes;
    hold_up();
    return (ptrdiff_t)size;
}

static ptrdiff_t slow_receive(void *connection, void *bytes, size_t size) {
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    size_t *sent = (size_t *)connection, left = sizeof reply - 1 - *sent;
    if (left == 0) return HOTEL_IO_WANT_READ;
    if (left > size) left = size;
    memcpy(bytes, reply + *sent, left);
    *sent += left;
    return (ptrdiff_t)left;
}

static int no_descriptor(void *connection) {
    (void)connection;
    return -1;
}

static void slow_close(void *connection, bool inherited) {
    (void)connection;
    (void)inherited;
}

static void slow_log(hotel_log_level level, hotel_log_id id, const char *message,
                     void *user_data) {
    log_record(level, id, message, user_data);
    hold_up();
}

typedef struct producer {
    pthread_t thread;
    unsigned count;
    long long longest_us; /* of the spans of a row */
} producer;

static bool stop_producing; /* atomic */

static long long now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *produce(void *user_data) {
    producer *p = (producer *)user_data;
    while (!__atomic_load_n(&stop_producing, __ATOMIC_RELAXED)) {
        long long began = now_us();
        one_span("produced");
        began = now_us() - began;
        if (began > p->longest_us) p->longest_us = began;
        if (++p->count % 64 == 0) server_sleep_ms(1);
    }
    return NULL;
}

static void test_held_up(bool by_log) {
    static size_t sent;
    const char *name = by_log ? "the log function sleeps" : "the transport sleeps";
    hotel_transport transport;
    hotel_destination to = destination("http://127.0.0.1:4318");
    hotel_config config = test_config(&to, 1);
    hotel_result result;
    producer producers[2];
    long long began;
    size_t i;
    memset(&transport, 0, sizeof transport);
    transport.open_fn = slow_open;
    transport.connect_fn = slow_connect;
    transport.send_fn = slow_send;
    transport.receive_fn = slow_receive;
    transport.descriptor_fn = no_descriptor;
    transport.close_fn = slow_close;
    transport.user_data = &sent;
    to.transport = &transport;
    to.schedule_delay_ms = 50;
    config.log_fn = slow_log;
    num_held = 0;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
    __atomic_store_n(&held_up, !by_log, __ATOMIC_RELAXED);
    __atomic_store_n(&stop_producing, false, __ATOMIC_RELAXED);
    memset(producers, 0, sizeof producers);
    for (i = 0; i < 2; i++)
        if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0) abort();
    server_sleep_ms(100);
    if (by_log) {
        hotel_span span = hotel_start("bad");
        __atomic_store_n(&held_up, true, __ATOMIC_RELAXED);
        hotel_set_int(&span, NULL, 1); /* something to say */
        hotel_end(&span);
        server_sleep_ms(100);
    }
    began = server_now_ms();
    is_int(hotel_flush(100), HOTEL_ERR_TIMEOUT, "P4 %s: flush is out of time", name);
    ok(server_now_ms() - began < HELD_UP_MS - 200, "P4 and returns: %lld ms", server_now_ms() - began);
    server_sleep_ms(500);
    __atomic_store_n(&stop_producing, true, __ATOMIC_RELAXED);
    for (i = 0; i < 2; i++) (void)pthread_join(producers[i].thread, NULL);
    ok(__atomic_load_n(&num_held, __ATOMIC_RELAXED) > 0, "the exporter was held up");
    for (i = 0; i < 2; i++) {
        ok(producers[i].count > 500, "P4 %s: a producer goes on, %u spans", name,
           producers[i].count);
        ok(producers[i].longest_us < HELD_UP_MS * 500,
           "P4 %s: a span takes %lld us at most", name, producers[i].longest_us);
    }
    began = server_now_ms();
    result = hotel_shutdown(100);
    ok(server_now_ms() - began < HELD_UP_MS + SERVER_SOON_MS, "T-03 %s: shutdown returns after %lld ms", name,
       server_now_ms() - began);
    __atomic_store_n(&held_up, false, __ATOMIC_RELAXED);
    (void)hotel_shutdown(2000); /* out of time or not, the callback is over then */
    check_books(name);
    is_int(hotel_release(), HOTEL_OK, "%s: release, after the first shutdown said %d", name,
           (int)result);
}

/* ---- Handlers on a small stack --------------------------------------------------------------- */

enum { ALTERNATE_SIZE = 65536, ENOUGH = 8192, PAINT = 0xA5 };

static unsigned char alternate[ALTERNATE_SIZE] __attribute__((aligned(64)));
static volatile sig_atomic_t num_signals;

static void on_signal(int number) {
    int error = errno;
    hotel_context context;
    hotel_token token;
    hotel_span span = hotel_start_as("handler", HOTEL_CONSUMER);
    (void)number;
    context = hotel_context_with(&span);
    token = hotel_attach(&context);
    one_span("in a handler");
    hotel_set(&span, hotel_str("k", "v"), hotel_double("d", 0.5), hotel_int("i", 1));
    hotel_set_str(&span, "k", "something longer than what was there before");
    hotel_record_exception(&span, "T", "message", "trace", NULL, 0);
    hotel_set_status(&span, HOTEL_STATUS_ERROR, "no");
    hotel_set_name(&span, "renamed");
    (void)hotel_detach(token);
    hotel_end(&span);
    num_signals = num_signals + 1;
    errno = error;
}

static void begin_signals(long us) {
    struct sigaction action;
    struct itimerval timer;
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    memset(&action, 0, sizeof action);
    stack.ss_sp = alternate;
    stack.ss_size = sizeof alternate;
    if (sigaltstack(&stack, NULL) != 0) abort();
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    if (sigaction(SIGALRM, &action, NULL) != 0) abort();
    timer.it_interval.tv_sec = timer.it_value.tv_sec = 0;
    timer.it_interval.tv_usec = timer.it_value.tv_usec = (suseconds_t)us;
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static void end_signals(void) {
    struct itimerval timer;
    memset(&timer, 0, sizeof timer);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

/* The whole life of the library, over and over, under signals; then how much stack they took. */
static void test_signals(bool no_threads) {
    const char *how = no_threads ? ", without threads" : "";
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    unsigned lives = 0, unbalanced = 0;
    size_t unused = 0;
    long long end;
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", here_url, sizeof here_url));
    config.no_threads = no_threads;
    config.log_fn = NULL;
    memset(alternate, PAINT, sizeof alternate);
    num_signals = 0;
    begin_signals(200);
    end = server_now_ms() + 700;
    while (server_now_ms() < end) {
        int i;
        if (hotel_init(&config) != HOTEL_OK) abort();
        memset(&books_opened, 0, sizeof books_opened);
        for (i = 0; i < 100; i++) one_span("main");
        (void)!hotel_flush(1000);
        (void)hotel_shutdown(1000);
        unbalanced += !books_balance();
        (void)hotel_release();
        lives++;
    }
    end_signals();
    server_stop(&here);
    ok(num_signals > 100 && lives > 5, "P4 %d signals in %u lives%s", (int)num_signals, lives, how);
    is_int(unbalanced, 0, "P5 the books balance each time%s", how);
    is_int(here.num_bad, 0, "every request is right (%s)", here.problem);
    is_int(server_num_duplicates(&here), 0, "no span came twice");
    server_release(&here);
    while (unused < sizeof alternate && alternate[unused] == PAINT) unused++;
    if (UNDER_ASAN || UNDER_TSAN) {
        skip("sanitizers take more stack than a program");
    } else {
        ok(ALTERNATE_SIZE - unused < ENOUGH, "a handler takes %u bytes of stack, the frame included",
           (unsigned)(ALTERNATE_SIZE - unused));
    }
}

/* ---- Small stacks ---------------------------------------------------------------------------- */

static void *few_spans(void *user_data) {
    int i;
    for (i = 0; i < 100; i++) one_span("small stack");
    return user_data;
}

static void test_small_stacks(void) {
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    pthread_attr_t attributes;
    pthread_t threads[8];
    int i, started = 0;
    if (UNDER_ASAN || UNDER_TSAN) {
        skip("sanitizers take more stack than a program");
        return;
    }
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", here_url, sizeof here_url));
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, 16384);
    for (i = 0; i < 8; i++) {
        if (pthread_create(&threads[started], &attributes, few_spans, NULL) == 0) started++;
    }
    for (i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
    is_int(hotel_shutdown(5000), HOTEL_OK, "shutdown");
    is_int(since_opened(0).accepted, 100 * started, "spans of %d threads with 16 KiB of stack",
           started);
    check_books("small stacks");
    (void)hotel_release();
    server_stop(&here);
    server_release(&here);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_ends();
    test_held_up(false);
    test_held_up(true);
    test_signals(false);
    test_signals(true);
    test_small_stacks();
    return done_testing();
}
