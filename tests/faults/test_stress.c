/*
 * SPDX-License-Identifier: MIT
 *
 * test_stress.c - everything at once, for the thread sanitizer: 8 producers, three of them on one
 * shared span, two flushers, a reader of the statistics, a forker, and a shutdown in the middle
 * followed by a second life. What ended is delivered once or counted, and nothing that arrives is
 * torn.
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

/* The sanitizers' locks do not survive a fork among busy threads. */
#define MAY_FORK (!UNDER_TSAN && !UNDER_ASAN)

enum { NUM_OWN = 5, NUM_SHARING = 3, NUM_FLUSHERS = 2, PHASE_MS = 500 };

static server here;
static char here_url[64];
static hotel_span shared; /* a handle; guarded by shared_mutex */
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool running;               /* atomic */
static unsigned long num_shared;   /* atomic: attributes set on shared spans */
static unsigned long num_children; /* forked, all of them content */
static unsigned long num_unhappy;

static bool goes_on(void) {
    return __atomic_load_n(&running, __ATOMIC_RELAXED);
}

static hotel_span shared_span(void) {
    hotel_span copy;
    (void)pthread_mutex_lock(&shared_mutex);
    copy = shared;
    (void)pthread_mutex_unlock(&shared_mutex);
    return copy;
}

/* Spans of its own, some under the shared one, in many shapes. */
static void *produce(void *user_data) {
    static char text[1200];
    uintptr_t seed = (uintptr_t)user_data;
    unsigned i;
    for (i = 0; goes_on(); i++) {
        hotel_span above = shared_span();
        hotel_context context = hotel_context_with(&above);
        hotel_span span =
            i % 3 == 0 ? hotel_start_in(&context, "own child", HOTEL_CLIENT) : hotel_start("own");
        hotel_token token;
        hotel_context current = hotel_context_with(&span);
        token = hotel_attach(&current);
        hotel_set(&span, hotel_int("i", (int64_t)i), hotel_int("thread", (int64_t)seed),
                  hotel_str("i", "now text"));
        if (i % 16 == 0) hotel_set_strn(&span, "large", text, 100 + i % 1000);
        if (i % 5 == 0) hotel_add_event_with(&span, "e", hotel_int("n", (int64_t)i));
        {
            HOTEL_SCOPE(inner, hotel_start("inner"));
            hotel_set_status(&inner, HOTEL_STATUS_OK, NULL);
        }
        (void)hotel_detach(token);
        hotel_end(&span);
        if (i % 32 == 0) server_sleep_ms(1);
    }
    return NULL;
}

/* A task each, with a child on it; extracts and injects. */
static void *run_tasks(void *user_data) {
    unsigned i;
    (void)user_data;
    for (i = 0; goes_on(); i++) {
        char json[512];
        hotel_step_run run;
        hotel_task task;
        hotel_span child;
        memset(&run, 0, sizeof run);
        child = hotel_start_run_workflow(NULL);
        (void)hotel_inject_metadata(&child, "{\"a\":1}", json, sizeof json);
        hotel_end(&child);
        run.workflow_name = "Stress";
        run.additional_metadata = json;
        task = hotel_start_step_run(&run);
        child = hotel_start("task child");
        hotel_set_str(&child, "k", "v");
        if (i % 2 == 0) hotel_end(&child);
        if (i % 3 == 0) hotel_task_fail(&task, "no");
        hotel_task_succeed(&task);
        hotel_end(&child);
        if (i % 16 == 0) server_sleep_ms(1);
    }
    return NULL;
}

/* All of them on the one shared span, which is ended and replaced under their hands. */
static void *share(void *user_data) {
    uintptr_t number = (uintptr_t)user_data;
    static const char *const keys[] = {"a", "b", "c"};
    unsigned i;
    for (i = 0; goes_on(); i++) {
        hotel_span span = shared_span();
        hotel_set_int(&span, keys[number % 3], (int64_t)i);
        hotel_set_str(&span, "all", number % 2 == 0 ? "short" : "somewhat longer than short");
        hotel_add_event(&span, "shared event");
        hotel_set_name(&span, i % 2 == 0 ? "shared" : "shared too");
        (void)__atomic_fetch_add(&num_shared, 1, __ATOMIC_RELAXED);
        if (i % 64 == number) {
            hotel_end(&span);
            (void)pthread_mutex_lock(&shared_mutex);
            shared = hotel_start("shared");
            (void)pthread_mutex_unlock(&shared_mutex);
        }
        if (i % 32 == 0) server_sleep_ms(1);
    }
    return NULL;
}

static void *flush(void *user_data) {
    unsigned i;
    (void)user_data;
    for (i = 0; goes_on(); i++) {
        hotel_result result = hotel_flush(i % 4 == 0 ? 0 : 200);
        if (result == HOTEL_ERR_ARGUMENT || result == HOTEL_ERR_CALLBACK) {
            (void)__atomic_fetch_add(&num_unhappy, 1, __ATOMIC_RELAXED);
        }
        server_sleep_ms(5);
    }
    return NULL;
}

static void *read_statistics(void *user_data) {
    char text[2048];
    (void)user_data;
    while (goes_on()) {
        (void)read_books();
        (void)hotel_describe(text, sizeof text);
        (void)hotel_is_enabled(hotel_get_tracer(NULL));
        server_sleep_ms(3);
    }
    return NULL;
}

static void fork_child(void) {
    hotel_destination_stats d;
    hotel_span span;
    hotel_stats s;
    memset(&books_opened, 0, sizeof books_opened);
    span = hotel_start("forked");
    hotel_end(&span);
    (void)hotel_shutdown(5000);
    hotel_get_stats(&s);
    if (s.started == 0) _exit(0); /* the parent had shut down */
    if (s.started != 1 || hotel_get_destination_stats(0, &d) != HOTEL_OK) _exit(3);
    _exit(books_balance() && d.accepted == s.ended ? 0 : 4);
}

static void *fork_often(void *user_data) {
    (void)user_data;
    while (goes_on()) {
        char words[64];
        int code;
        pid_t pid = server_fork(&here);
        if (pid == 0) fork_child();
        code = server_wait_child(pid, 30000);
        num_children++;
        if (code != 0) {
            note("child %lu: %s", num_children, server_child_words(code, words, sizeof words));
            (void)__atomic_fetch_add(&num_unhappy, 1, __ATOMIC_RELAXED);
        }
        server_sleep_ms(40);
    }
    return NULL;
}

static bool begin_life(void) {
    hotel_destination to = destination(here_url);
    hotel_config config = test_config(&to, 1);
    to.schedule_delay_ms = 10;
    to.max_export_batch_size = 64;
    config.limits.event_count = 16;
    return hotel_init(&config) == HOTEL_OK;
}

/* After shutdown the open spans are live or ended, whatever the threads still do to them. */
static void end_life(const char *name) {
    long long took = server_now_ms();
    hotel_result result = hotel_shutdown(5000);
    took = server_now_ms() - took;
    ok(result == HOTEL_OK || result == HOTEL_ERR_FAILED, "BSP-18 %s: shutdown under load (%d)",
       name, (int)result);
    ok(took < 5000 + SERVER_SOON_MS, "BSP-21 %s: after %lld ms", name, took);
}

int main(void) {
    pthread_t threads[16];
    size_t count = 0, i;
    uint64_t accepted_then;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    (void)server_url(&here, "", here_url, sizeof here_url);
    ok(begin_life(), "init");
    open_books();
    shared = hotel_start("shared");
    running = true;
    for (i = 0; i + 1 < NUM_OWN; i++) {
        (void)pthread_create(&threads[count++], NULL, produce, (void *)(uintptr_t)i);
    }
    (void)pthread_create(&threads[count++], NULL, run_tasks, NULL);
    for (i = 0; i < NUM_SHARING; i++) {
        (void)pthread_create(&threads[count++], NULL, share, (void *)(uintptr_t)i);
    }
    for (i = 0; i < NUM_FLUSHERS; i++) (void)pthread_create(&threads[count++], NULL, flush, NULL);
    (void)pthread_create(&threads[count++], NULL, read_statistics, NULL);
    if (MAY_FORK) (void)pthread_create(&threads[count++], NULL, fork_often, NULL);
    server_sleep_ms(PHASE_MS);
    end_life("in the middle");
    accepted_then = since_opened(0).accepted;
    server_sleep_ms(50);
    is_int(since_opened(0).accepted, accepted_then, "BSP-19 nothing is sent while it is shut down");
    check_books("stress, the first life");
    ok(begin_life(), "a second life under load");
    memset(&books_opened, 0, sizeof books_opened); /* hotel_init opens new books */
    server_sleep_ms(PHASE_MS);
    __atomic_store_n(&running, false, __ATOMIC_RELAXED);
    for (i = 0; i < count; i++) (void)pthread_join(threads[i], NULL);
    hotel_end(&shared);
    end_life("at the end");
    server_stop(&here);
    check_books("stress");
    ok(num_shared > 100, "TR-32 %lu rounds on shared spans", num_shared);
    if (MAY_FORK) {
        ok(num_children > 0, "%lu children", num_children);
    } else {
        skip("the children of a program with threads cannot have threads under this sanitizer");
    }
    is_int(num_unhappy, 0, "all calls and all children were content");
    is_int(here.num_bad, 0, "TR-50 nothing that arrived is torn (%s)", here.problem);
    is_int(server_num_duplicates(&here), 0, "no span came twice");
    is_int(server_num_spans(&here) - server_num_named(&here, "forked"),
           accepted_then + since_opened(0).accepted,
           "the server has what the books of both lives say was accepted");
    note("%zu spans in %u requests", here.num_spans, here.num_requests);
    server_release(&here);
    is_int(hotel_release(), HOTEL_OK, "release");
    return done_testing();
}
