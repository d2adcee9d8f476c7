/*
 * SPDX-License-Identifier: MIT
 *
 * test_thread_end.c - threads that end in every state: with attached contexts, with spans open,
 * while the C library runs their destructors, by pthread_exit, cancelled in the middle of every
 * call of the library, the main thread before the others. Nobody else is held up, and the books
 * balance.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <sched.h>
#include <strings.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

static server here;

static void begin(const server_step *steps, size_t count, uint32_t batch, bool no_threads) {
    static char url[160];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(&here, SERVER_IPV4, steps, count)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    to.schedule_delay_ms = 60000;
    to.max_export_batch_size = batch;
    to.timeout_ms = 3000;
    config.no_threads = no_threads;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void finish(const char *name, hotel_result result) {
    hotel_stats s;
    is_int(hotel_shutdown(5000), result, "%s: shutdown", name);
    hotel_get_stats(&s);
    is_int(s.live, 0, "%s: no span is open", name);
    check_books(name);
    (void)hotel_release();
    server_stop(&here);
    is_int(here.num_bad, 0, "%s: every request is right (%s)", name, here.problem);
    is_int(server_num_duplicates(&here), 0, "%s: no span came twice", name);
    server_release(&here);
}

static void run(void *(*fn)(void *), void *user_data) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, user_data) != 0) abort();
    (void)pthread_join(thread, NULL);
}

/* ---- What a thread leaves behind ------------------------------------------------------------ */

static hotel_span left_span;

static void *leave_attached(void *user_data) {
    hotel_context context;
    (void)user_data;
    left_span = hotel_start("left open");
    context = hotel_context_with(&left_span);
    (void)hotel_attach(&context);
    (void)hotel_attach(&context);
    hotel_set_str(&left_span, "k", "from the thread");
    return NULL;
}

static void *leave_by_exit(void *user_data) {
    HOTEL_SCOPE(scope, hotel_start("scope"));
    left_span = scope;
    if (user_data == NULL) pthread_exit(NULL);
    return NULL;
}

static bool began_empty;

static void *look_around(void *user_data) {
    hotel_span current = hotel_current_span();
    hotel_span span = hotel_start("root");
    (void)user_data;
    began_empty = !hotel_is_valid(&current.context);
    hotel_end(&span);
    return NULL;
}

static void test_left_behind(void) {
    int i;
    begin(NULL, 0, 0, false);
    for (i = 0; i < 20; i++) {
        run(leave_attached, NULL);
        ok(hotel_is_recording(&left_span), "CP-04 the thread is gone, its span is open");
        hotel_set_int(&left_span, "i", (int64_t)i);
        hotel_end(&left_span);
        run(look_around, NULL);
        ok(began_empty, "CP-04 a new thread begins without a current span");
        run(leave_by_exit, NULL);
        hotel_end(&left_span); /* unless unwinding has ended it */
    }
    finish("threads that leave spans open", HOTEL_OK);
}

/* ---- While the C library takes a thread down ------------------------------------------------- */

static pthread_key_t key;

static void at_thread_end(void *value) {
    hotel_span span = hotel_start("destructor");
    hotel_context context = hotel_context_with(&span);
    hotel_token token = hotel_attach(&context);
    hotel_end((const hotel_span *)value);
    (void)hotel_detach(token);
    hotel_end(&span);
}

static void *end_later(void *user_data) {
    left_span = hotel_start("ended at the end");
    (void)pthread_setspecific(key, &left_span);
    return user_data;
}

static void test_destructors(void) {
    int i;
    begin(NULL, 0, 0, false);
    (void)pthread_key_create(&key, at_thread_end);
    for (i = 0; i < 20; i++) run(end_later, NULL);
    is_int(hotel_flush(5000), HOTEL_OK, "flush");
    is_int(since_opened(0).accepted, 40, "spans of a thread's destructors arrive");
    (void)pthread_key_delete(key);
    finish("destructors", HOTEL_OK);
}

/* ---- Deferred cancellation ------------------------------------------------------------------ */

enum { CALLS = 50 };

static unsigned num_done; /* atomic */

static void done(void) {
    (void)__atomic_add_fetch(&num_done, 1, __ATOMIC_RELAXED);
    pthread_testcancel();
}

/* Each is entered when the thread is cancelled already, and must come to its end. */
static void *spans_cancelled(void *user_data) {
    unsigned i;
    (void)user_data;
    (void)pthread_cancel(pthread_self());
    for (i = 0; i < CALLS; i++) {
        hotel_span span = hotel_start("cancelled");
        hotel_context context = hotel_context_with(&span);
        hotel_token token = hotel_attach(&context);
        hotel_set_int(&span, "i", (int64_t)i);
        hotel_add_event(&span, "e");
        hotel_end(&span); /* wakes the exporter: a batch is one span */
        (void)hotel_detach(token);
        if (i % 10 == 0) (void)sched_yield(); /* not a cancellation point */
    }
    done();
    return NULL;
}

static void *waits_cancelled(void *user_data) {
    hotel_stats s;
    hotel_destination_stats d;
    char text[256];
    hotel_span span;
    (void)user_data;
    (void)pthread_cancel(pthread_self());
    hotel_get_stats(&s);
    (void)hotel_get_destination_stats(0, &d);
    (void)hotel_describe(text, sizeof text);
    span = hotel_start("cancelled");
    hotel_end(&span);
    (void)!hotel_flush(100);
    (void)hotel_poll(20);
    done();
    return NULL;
}

static void *shutdown_cancelled(void *user_data) {
    (void)pthread_cancel(pthread_self());
    *(hotel_result *)user_data = hotel_shutdown(100);
    done();
    return NULL;
}

static hotel_config *init_config;

static void *init_cancelled(void *user_data) {
    (void)pthread_cancel(pthread_self());
    *(hotel_result *)user_data = hotel_init(init_config);
    done();
    return NULL;
}

/* Writing to a descriptor is a cancellation point of the callback's own. */
static void log_slowly(hotel_log_level level, hotel_log_id id, const char *message,
                       void *user_data) {
    log_record(level, id, message, user_data);
    server_sleep_ms(5);
}

/* The thread was cancelled and yet came so far. */
static void check_cancelled(void *(*fn)(void *), void *user_data, const char *name) {
    pthread_t thread;
    void *result = NULL;
    __atomic_store_n(&num_done, 0, __ATOMIC_RELAXED);
    if (pthread_create(&thread, NULL, fn, user_data) != 0) abort();
    (void)pthread_join(thread, &result);
    is_int(__atomic_load_n(&num_done, __ATOMIC_RELAXED), 1, "%s comes to its end", name);
    ok(result == PTHREAD_CANCELED, "%s: and then the thread is cancelled", name);
}

static void test_cancelled(bool no_threads) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 150}, {.reply = SERVER_OK}};
    hotel_result result = HOTEL_ERR_ARGUMENT;
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    char url[160];
    long long began = server_now_ms();
    begin(NULL, 0, 1, no_threads);
    check_cancelled(spans_cancelled, NULL, "a loop of spans");
    is_int(hotel_flush(5000), HOTEL_OK, "flush");
    is_int(since_opened(0).accepted, CALLS, "and its spans arrive");
    finish("spans of a cancelled thread", HOTEL_OK);

    begin(slow, 2, 0, no_threads);
    check_cancelled(waits_cancelled, NULL, "flush, poll and the statistics");
    is_int(hotel_flush(5000), HOTEL_OK, "others are not held up");
    is_int(since_opened(0).accepted, 1, "and the span arrives");
    finish("flush on a cancelled thread", HOTEL_OK);

    begin(slow, 1, 0, no_threads);
    left_span = hotel_start("in flight");
    hotel_end(&left_span);
    check_cancelled(shutdown_cancelled, &result, "shutdown");
    is_int(result, HOTEL_ERR_TIMEOUT, "in time");
    finish("shutdown on a cancelled thread", HOTEL_OK);

    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    config.log_fn = log_slowly;
    config.no_threads = no_threads;
    init_config = &config;
    check_cancelled(init_cancelled, &result, "init");
    is_int(result, HOTEL_OK, "with success");
    open_books();
    left_span = hotel_start("after init");
    hotel_end(&left_span);
    finish("init on a cancelled thread", HOTEL_OK);
    ok(server_now_ms() - began < 5000, "P5 in %lld ms", server_now_ms() - began);
}

/* Cancelled from outside while it waits: the call goes on to its deadline. */
static void *wait_for_silence(void *user_data) {
    hotel_result *results = (hotel_result *)user_data;
    results[0] = hotel_flush(300);
    done();
    results[1] = HOTEL_OK; /* not reached */
    return NULL;
}

static void test_cancelled_waiting(bool no_threads) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    hotel_result results[2] = {HOTEL_ERR_ARGUMENT, HOTEL_ERR_ARGUMENT};
    pthread_t thread;
    long long began;
    begin(hang, 1, 0, no_threads);
    left_span = hotel_start("never answered");
    hotel_end(&left_span);
    began = server_now_ms();
    if (pthread_create(&thread, NULL, wait_for_silence, results) != 0) abort();
    server_sleep_ms(100);
    (void)pthread_cancel(thread);
    (void)pthread_join(thread, NULL);
    is_int(results[0], HOTEL_ERR_TIMEOUT, "flush, cancelled while it waits, goes on");
    is_int(results[1], HOTEL_ERR_ARGUMENT, "and then the thread ends");
    ok(server_now_ms() - began < 300 + SERVER_SOON_MS, "after %lld ms", server_now_ms() - began);
    is_int(hotel_flush(50), HOTEL_ERR_TIMEOUT, "another thread's flush is not held up");
    finish("flush cancelled while it waits", HOTEL_ERR_FAILED);
}

/* ---- Asynchronous cancellation -------------------------------------------------------------- */

static bool stop_working; /* atomic */

static void *spans_for_ever(void *user_data) {
    const hotel_span *shared = (const hotel_span *)user_data;
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;) {
        hotel_span span = hotel_start("cut");
        hotel_set_str(&span, "k", "a value");
        if (shared != NULL) hotel_set_str(shared, "k", "beside the owner");
        hotel_add_event(&span, "e");
        hotel_end(&span);
    }
    return NULL;
}

static void *spans_until_told(void *user_data) {
    const hotel_span *shared = (const hotel_span *)user_data;
    while (!__atomic_load_n(&stop_working, __ATOMIC_RELAXED)) {
        hotel_span span = hotel_start("whole");
        hotel_set_str(shared, "k", "owner");
        hotel_end(&span);
    }
    return NULL;
}

/* The span that the thread is in may be lost with it, and what it says; nothing else. */
static void test_cut_off(void) {
    enum { ROUNDS = 100 };
    hotel_stats s;
    hotel_span shared, after;
    pthread_t worker;
    uint64_t known;
    long long began = server_now_ms();
    int i;
    if (UNDER_TSAN || UNDER_ASAN) {
        skip("sanitizers do not know threads that are cut off");
        return;
    }
    begin(NULL, 0, 0, false);
    shared = hotel_start("shared");
    __atomic_store_n(&stop_working, false, __ATOMIC_RELAXED);
    if (pthread_create(&worker, NULL, spans_until_told, &shared) != 0) abort();
    for (i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, spans_for_ever, i % 2 ? &shared : NULL) != 0) abort();
        server_sleep_ms(1);
        (void)pthread_cancel(thread);
        (void)pthread_join(thread, NULL);
    }
    __atomic_store_n(&stop_working, true, __ATOMIC_RELAXED);
    (void)pthread_join(worker, NULL);
    hotel_end(&shared);
    after = hotel_start("after");
    hotel_end(&after);
    is_int(hotel_flush(5000) == HOTEL_ERR_TIMEOUT, 0, "100 threads cut off: flush");
    (void)hotel_shutdown(5000);
    hotel_get_stats(&s);
    known = s.unsampled + s.not_admitted + s.live + s.ended;
    ok(s.started >= known && s.started - known <= ROUNDS + 1 && s.live <= ROUNDS + 1,
       "100 threads cut off: %u spans unknown, %u open at most one each",
       (unsigned)(s.started - known), (unsigned)s.live);
    ok(destination_balances(0, s.ended - books_opened.process.ended),
       "100 threads cut off: what ended is accounted for");
    ok(server_now_ms() - began < 10000, "100 threads cut off: %lld ms", server_now_ms() - began);
    (void)hotel_release();
    server_stop(&here);
    is_int(here.num_bad, 0, "100 threads cut off: every request is right (%s)", here.problem);
    server_release(&here);
}

/* ---- The main thread goes first ------------------------------------------------------------- */

static void *outlive_main(void *user_data) {
    pthread_t main_thread = *(pthread_t *)user_data;
    hotel_span span;
    hotel_destination_stats d;
    (void)pthread_join(main_thread, NULL);
    span = hotel_start("after main");
    hotel_end(&span);
    hotel_end(&left_span);
    if (hotel_shutdown(5000) != HOTEL_OK) _exit(2);
    (void)hotel_get_destination_stats(0, &d);
    exit(d.accepted == 2 ? 7 : 3);
}

/* Threads in a child need a parent without threads: this test comes first. */
static void main_goes_first(void) {
    static pthread_t main_thread;
    pthread_t thread;
    IGNORE_LEAKS();
    main_thread = pthread_self();
    begin(NULL, 0, 0, false);
    left_span = hotel_start("of main");
    if (pthread_create(&thread, NULL, outlive_main, &main_thread) != 0) _exit(4);
    {
        hotel_context context = hotel_context_with(&left_span);
        (void)hotel_attach(&context);
    }
    pthread_exit(NULL);
}

static void test_main_first(void) {
    char words[64];
    int code;
    pid_t pid;
    if (UNDER_TSAN) {
        skip("this sanitizer ends with the main thread");
        return;
    }
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stdout);
        main_goes_first();
    }
    code = server_wait_child(pid, 30000);
    ok(code == 7, "the main thread ends first, the others deliver (%s)",
       server_child_words(code, words, sizeof words));
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_main_first();
    test_left_behind();
    test_destructors();
    test_cancelled(false);
    test_cancelled(true);
    test_cancelled_waiting(false);
    test_cancelled_waiting(true);
    test_cut_off();
    return done_testing();
}
