/*
 * SPDX-License-Identifier: MIT
 *
 * test_fork.c - fork at every bad moment: with live and waiting spans, inside a span and a task,
 * from several threads, during an export, twice in a row, around the C library. The child sends
 * its own spans once and never its parent's, its ids are its own, its books begin at zero and
 * balance (BSP-26, T-01).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#if UNDER_TSAN
/* Lets a program with threads fork. Its children cannot have threads of their own even so: under
   this sanitizer all tests of this file run without the exporter's thread. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}
#endif

enum { CHILD_MS = 30000 };

static server here;

/* ---- Children ------------------------------------------------------------------------------- */

typedef const char *(*child_fn)(void *user_data); /* NULL, or what went wrong */

typedef struct child {
    pid_t pid;
    int report;
} child;

static void child_main(child_fn fn, void *user_data, int report) {
    const char *problem;
    IGNORE_LEAKS();
    memset(&books_opened, 0, sizeof books_opened);
    problem = fn(user_data);
    if (problem != NULL && write(report, problem, strlen(problem)) < 0) _exit(2);
    _exit(problem != NULL);
}

static child child_start(child_fn fn, void *user_data) {
    child c;
    int ends[2];
    if (pipe(ends) != 0) abort();
    (void)fflush(stdout);
    /* The sanitizers' own locks do not survive a fork: let the exporter's thread come to rest. */
    if (UNDER_ASAN || UNDER_TSAN) server_sleep_ms(20);
    c.pid = server_fork(&here);
    if (c.pid < 0) abort();
    if (c.pid == 0) child_main(fn, user_data, ends[1]);
    (void)close(ends[1]);
    c.report = ends[0];
    return c;
}

/* One check: the child ended in time and without a complaint. */
static bool child_wait(child c, const char *name) {
    char problem[256], words[64];
    ssize_t size;
    int code = server_wait_child(c.pid, CHILD_MS);
    if (code < 0) {
        (void)close(c.report);
        return ok(false, "%s: the child hung", name);
    }
    size = read(c.report, problem, sizeof problem - 1);
    problem[size > 0 ? size : 0] = '\0';
    (void)close(c.report);
    return ok(code == 0, "%s: the child is content %s(%s)", name, problem,
              server_child_words(code, words, sizeof words));
}

static bool child_run(child_fn fn, void *user_data, const char *name) {
    return child_wait(child_start(fn, user_data), name);
}

static void end_spans(const char *name, unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start(name);
        hotel_set_int(&span, "i", (int64_t)i);
        hotel_end(&span);
    }
}

/* In a child: all that ended there was accepted, and nothing else is in its books. */
static const char *child_finish(uint64_t started) {
    hotel_destination_stats d;
    hotel_stats s;
    if (hotel_shutdown(5000) != HOTEL_OK) return "its shutdown failed";
    hotel_get_stats(&s);
    if (hotel_get_destination_stats(0, &d) != HOTEL_OK) return "it has no destination";
    if (!books_balance()) return "its books do not balance";
    if (s.started != started) return "its books do not begin at zero";
    if (d.accepted != s.ended) return "not all its spans were accepted";
    return NULL;
}

static void begin(const server_step *steps, size_t count, bool no_threads) {
    static char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(&here, SERVER_IPV4, steps, count)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    to.schedule_delay_ms = 60000;
    config.no_threads = no_threads || UNDER_TSAN;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void finish(const char *name) {
    is_int(hotel_shutdown(5000), HOTEL_OK, "%s: the parent's shutdown", name);
    server_stop(&here);
    check_books(name);
    is_int(here.num_bad, 0, "%s: every request is right (%s)", name, here.problem);
    is_int(server_num_duplicates(&here), 0, "%s: no span came twice, no id was used twice", name);
}

/* A received span by name, from any request. */
static const server_span *received(const char *name) {
    size_t i;
    for (i = 0; i < here.num_spans; i++) {
        if (strcmp(here.spans[i].name, name) == 0) return &here.spans[i];
    }
    return NULL;
}

static otlp_bytes received_bytes(const char *name) {
    otlp_bytes found = {NULL, 0};
    unsigned i;
    for (i = 0; found.at == NULL && i < server_num_requests(&here); i++) {
        found = otlp_span_named(server_request_at(&here, i)->body, name);
    }
    return found;
}

static void check_child_of(const char *name, const hotel_span_context *parent) {
    const server_span *span = received(name);
    if (!ok(span != NULL, "%s arrived", name)) return;
    is_mem(span->trace_id, 16, parent->trace_id, 16, "%s is in its parent's trace", name);
    is_mem(span->parent_id, 8, parent->span_id, 8, "%s is under its parent", name);
}

/* ---- Live and waiting spans ----------------------------------------------------------------- */

static const char *use_inherited(void *user_data) {
    const hotel_span *live = (const hotel_span *)user_data;
    hotel_context context = hotel_context_with(live);
    hotel_span span;
    hotel_stats s;
    hotel_get_stats(&s);
    if (s.started != 0 || s.live != 0 || s.ended != 0) return "its books do not begin at zero";
    if (hotel_is_recording(live)) return "it records on its parent's span";
    hotel_set_str(live, "child", "was here");
    hotel_set_name(live, "stolen");
    hotel_end(live);
    span = hotel_start_in(&context, "child span", HOTEL_INTERNAL);
    if (!hotel_is_recording(&span)) return "its own span does not record";
    hotel_end(&span);
    end_spans("child root", 10);
    return child_finish(11);
}

static void test_live_spans(bool no_threads, const char *name) {
    hotel_span live;
    begin(NULL, 0, no_threads);
    live = hotel_start("live");
    end_spans("waiting", 20);
    child_run(use_inherited, &live, name);
    ok(hotel_is_recording(&live), "%s: the parent's span is untouched", name);
    hotel_set_str(&live, "parent", "yes");
    hotel_end(&live);
    finish(name);
    is_int(server_num_named(&here, "waiting"), 20, "%s: what waited comes once, from the parent",
           name);
    is_int(server_num_named(&here, "live"), 1, "%s: so does what was open", name);
    is_int(server_num_named(&here, "child root"), 10, "%s: the child's own spans came", name);
    is_int(server_num_spans(&here), 32, "%s: and nothing else", name);
    check_child_of("child span", &live.context);
    is_int(otlp_count(received_bytes("live"), 9), 1, "%s: the child set nothing on it", name);
    server_release(&here);
}

/* ---- Inside a span, inside a task ----------------------------------------------------------- */

static const char *inside(void *user_data) {
    const hotel_span *current = (const hotel_span *)user_data;
    hotel_span seen = hotel_current_span();
    if (memcmp(&seen.context, &current->context, sizeof seen.context) != 0) {
        return "the current span is another";
    }
    {
        HOTEL_SCOPE(span, hotel_start("in child"));
        end_spans("below child", 1);
    }
    return child_finish(2);
}

static void test_inside_span(void) {
    hotel_span outer;
    begin(NULL, 0, false);
    {
        HOTEL_SCOPE(scope, hotel_start("outer"));
        outer = scope;
        child_run(inside, &outer, "fork inside a span");
    }
    finish("fork inside a span");
    check_child_of("in child", &outer.context);
    is_int(server_num_named(&here, "outer"), 1, "the span around came once");
    server_release(&here);
}

static const char *inside_task(void *user_data) {
    hotel_task *task = (hotel_task *)user_data;
    end_spans("task child", 3);
    hotel_task_fail(task, "not mine to end");
    return child_finish(3);
}

static const char *const step_run_id = "3f8f2b1e-0c63-4d1f-9a51-0a2f5f0f7c11";

static hotel_task start_task(void) {
    hotel_step_run run;
    memset(&run, 0, sizeof run);
    run.workflow_name = "Pipeline";
    run.step_name = "fetch_data";
    run.step_run_id = step_run_id;
    return hotel_start_step_run(&run);
}

static void check_task_attributes(const char *name) {
    char value[64];
    otlp_bytes span = received_bytes(name);
    ok(span.at != NULL, "%s arrived", name);
    is_str(otlp_attribute_text(span, 9, "hatchet.step_run_id", value, sizeof value), step_run_id,
           "%s carries hatchet.step_run_id", name);
    is_str(otlp_attribute_text(span, 9, "hatchet.workflow_name", value, sizeof value), "Pipeline",
           "%s carries hatchet.workflow_name", name);
}

static void test_inside_task(void) {
    hotel_task task;
    otlp_field field;
    begin(NULL, 0, false);
    task = start_task();
    child_run(inside_task, &task, "fork inside a task");
    end_spans("parent's child", 1);
    hotel_task_succeed(&task);
    finish("fork inside a task");
    is_int(server_num_named(&here, "task child"), 3, "three spans of the child came");
    check_child_of("task child", &task.span.context);
    check_task_attributes("task child");
    check_task_attributes("parent's child");
    is_int(server_num_named(&here, "hatchet.start_step_run"), 1, "the task's span came once");
    (void)otlp_get(received_bytes("hatchet.start_step_run"), 15, 0, &field);
    (void)otlp_get(field.bytes, 3, 0, &field);
    is_int(field.value, HOTEL_STATUS_OK, "and the child did not fail it");
    server_release(&here);
}

/* ---- Generations ---------------------------------------------------------------------------- */

static const char *grandchild(void *user_data) {
    hotel_context context = hotel_context_with((const hotel_span *)user_data);
    hotel_span span = hotel_start_in(&context, "grandchild", HOTEL_INTERNAL);
    hotel_end(&span);
    return child_finish(1);
}

static const char *middle(void *user_data) {
    hotel_context context = hotel_context_with((const hotel_span *)user_data);
    hotel_span span = hotel_start_in(&context, "middle", HOTEL_INTERNAL);
    child c;
    int status = 0;
    end_spans("middle waiting", 5);
    c = child_start(grandchild, &span);
    hotel_end(&span);
    if (waitpid(c.pid, &status, 0) != c.pid || status != 0) return "its own child failed";
    return child_finish(6);
}

/* A child that never used the library forks on. */
static const char *silent_middle(void *user_data) {
    child c = child_start(grandchild, user_data);
    int status = 0;
    if (waitpid(c.pid, &status, 0) != c.pid || status != 0) return "its own child failed";
    return NULL;
}

static void test_generations(void) {
    hotel_span top;
    begin(NULL, 0, false);
    top = hotel_start("top");
    child_run(middle, &top, "a grandchild");
    child_run(silent_middle, &top, "a grandchild of a silent child");
    hotel_end(&top);
    finish("generations");
    is_int(server_num_named(&here, "grandchild"), 2, "both grandchildren came");
    is_int(server_num_named(&here, "middle waiting"), 5, "the middle's spans came once");
    check_child_of("middle", &top.context);
    server_release(&here);
}

/* ---- Several threads fork while others work ------------------------------------------------- */

static bool working; /* atomic */

static void *work(void *user_data) {
    unsigned count = 0;
    (void)user_data;
    while (__atomic_load_n(&working, __ATOMIC_RELAXED)) {
        if (count++ % 32 == 0) server_sleep_ms(1);
        if (count > 1000) continue; /* what the queue holds even if nobody empties it */
        end_spans("busy", 1);
    }
    return NULL;
}

static const char *one_span(void *user_data) {
    (void)user_data;
    end_spans("forked", 2);
    return child_finish(2);
}

static void *fork_some(void *user_data) {
    int i;
    (void)user_data;
    for (i = 0; i < 3; i++) child_run(one_span, NULL, "one of twelve");
    return NULL;
}

static void test_threads(void) {
    pthread_t workers[2], forkers[4];
    size_t i;
    begin(NULL, 0, false);
    __atomic_store_n(&working, true, __ATOMIC_RELAXED);
    for (i = 0; i < 2; i++) (void)pthread_create(&workers[i], NULL, work, NULL);
    for (i = 0; i < 4; i++) (void)pthread_create(&forkers[i], NULL, fork_some, NULL);
    for (i = 0; i < 4; i++) (void)pthread_join(forkers[i], NULL);
    __atomic_store_n(&working, false, __ATOMIC_RELAXED);
    for (i = 0; i < 2; i++) (void)pthread_join(workers[i], NULL);
    finish("forks from four threads");
    is_int(server_num_named(&here, "forked"), 24, "each of twelve children sent its two spans");
    is_int(server_num_named(&here, "busy"), since_opened(0).accepted,
           "the workers' spans came from the parent alone");
    server_release(&here);
}

/* ---- During an export ----------------------------------------------------------------------- */

static void test_during_export(void) {
    static const server_step steps[] = {{.reply = SERVER_OK, .delay_ms = 400},
                                        {.reply = SERVER_OK}};
    int i;
    begin(steps, 2, false);
    end_spans("in flight", 5);
    (void)!hotel_flush(0);
    for (i = 0; i < 300 && server_num_requests(&here) == 0; i++) {
        if (hotel_poll(10) != HOTEL_OK) server_sleep_ms(10); /* with threads it has no work */
    }
    is_int(server_num_requests(&here), 1, "a request is in flight");
    child_run(one_span, NULL, "fork during an export");
    is_int(hotel_flush(3000), HOTEL_OK, "the parent's export goes on");
    is_int(since_opened(0).requests, 1, "with its one request");
    finish("fork during an export");
    is_int(server_num_named(&here, "in flight"), 5, "its spans came once");
    is_int(server_num_named(&here, "forked"), 2, "and so did the child's");
    ok(here.num_connections >= 2, "over a connection of its own");
    server_release(&here);
}

/* ---- Children that leave without a word ----------------------------------------------------- */

static const char *leave_by_exit(void *user_data) {
    (void)user_data;
    end_spans("never sent", 3);
    exit(0);
}

static const char *leave_at_once(void *user_data) {
    (void)user_data;
    exit(0);
}

static const char *leave_after_flush(void *user_data) {
    (void)user_data;
    end_spans("flushed", 3);
    if (hotel_flush(5000) != HOTEL_OK) return "its flush failed";
    exit(0);
}

static void test_leaving(void) {
    begin(NULL, 0, false);
    end_spans("parent's", 3);
    child_run(leave_by_exit, NULL, "exit() with spans waiting");
    child_run(leave_at_once, NULL, "exit() without using the library");
    child_run(leave_after_flush, NULL, "exit() after a flush");
    is_int(hotel_flush(5000), HOTEL_OK, "the parent exports as ever");
    end_spans("parent's", 3);
    finish("children that leave");
    is_int(server_num_named(&here, "parent's"), 6, "the parent's spans came once");
    is_int(server_num_named(&here, "flushed"), 3, "what a child flushed came");
    server_release(&here);
}

/* ---- Other life cycles ---------------------------------------------------------------------- */

static const char *init_again(void *user_data) {
    hotel_destination to = destination((const char *)user_data);
    hotel_config config = test_config(&to, 1);
    config.no_threads = UNDER_TSAN;
    if (hotel_init(&config) != HOTEL_OK) return "it could not start";
    open_books();
    end_spans("second life", 2);
    if (hotel_shutdown(5000) != HOTEL_OK) return "its shutdown failed";
    return books_balance() ? NULL : "its books do not balance";
}

static const char *shut_down_only(void *user_data) {
    (void)user_data;
    if (hotel_shutdown(1000) != HOTEL_OK) return "its shutdown failed";
    return hotel_release() == HOTEL_OK ? NULL : "its release failed";
}

static const char *shut_down_and_init(void *user_data) {
    (void)hotel_shutdown(1000);
    return init_again(user_data);
}

static void test_life_cycles(void) {
    char url[64];
    begin(NULL, 0, false);
    (void)server_url(&here, "", url, sizeof url);
    end_spans("first life", 2);
    child_run(shut_down_only, NULL, "a child that only shuts down");
    child_run(shut_down_and_init, url, "a child that starts anew");
    (void)hotel_shutdown(5000);
    child_run(init_again, url, "a child of a parent that has shut down");
    (void)hotel_release();
    child_run(init_again, url, "a child of a parent that has released");
    server_stop(&here);
    is_int(server_num_named(&here, "first life"), 2, "the first life's spans came once");
    is_int(server_num_named(&here, "second life"), 6, "three second lives sent theirs");
    is_int(server_num_duplicates(&here), 0, "no id was used twice");
    server_release(&here);
}

static void test_custom_memory(void) {
    static unsigned char memory[131072];
    static char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    hotel_span live;
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    config.memory = memory;
    config.memory_bytes = sizeof memory;
    config.no_threads = UNDER_TSAN;
    is_int(hotel_init(&config), HOTEL_OK, "init in static memory");
    open_books();
    live = hotel_start("live");
    end_spans("waiting", 5);
    child_run(use_inherited, &live, "fork with static memory");
    hotel_end(&live);
    finish("fork with static memory");
    is_int(server_num_named(&here, "waiting"), 5, "what waited came once");
    is_int(server_num_spans(&here), 17, "with the child's own");
    server_release(&here);
    (void)hotel_release();
}

/* ---- Inside a processor --------------------------------------------------------------------- */

static unsigned hook_calls, hook_release;

static void wait_in_hook(const hotel_span_view *span, void *user_data) {
    (void)span;
    (void)user_data;
    (void)__atomic_add_fetch(&hook_calls, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&hook_release, __ATOMIC_SEQ_CST)) server_sleep_ms(1);
}

/* Too large for the stack: the hook has the one buffer for such spans. */
static void *end_large(void *user_data) {
    static char large[8000];
    hotel_span span = hotel_start("large");
    (void)user_data;
    hotel_set_bytes(&span, "payload", large, sizeof large);
    hotel_end(&span);
    return NULL;
}

static const char *large_in_child(void *user_data) {
    (void)user_data;
    __atomic_store_n(&hook_release, 1u, __ATOMIC_SEQ_CST);
    __atomic_store_n(&hook_calls, 0u, __ATOMIC_SEQ_CST);
    (void)end_large(NULL);
    if (hook_calls != 1) return "its own hook did not run";
    return child_finish(1);
}

static void test_inside_hook(void) {
    static char url[64];
    hotel_processor processor;
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    pthread_t thread;
    memset((void *)&processor, 0, sizeof processor);
    processor.on_end_fn = wait_in_hook;
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    config.processors = &processor;
    config.num_processors = 1;
    config.no_threads = UNDER_TSAN;
    is_int(hotel_init(&config), HOTEL_OK, "init with a processor");
    open_books();
    if (pthread_create(&thread, NULL, end_large, NULL) != 0) abort();
    while (!__atomic_load_n(&hook_calls, __ATOMIC_SEQ_CST)) server_sleep_ms(1);
    child_run(large_in_child, NULL, "fork while a thread is in a processor");
    __atomic_store_n(&hook_release, 1u, __ATOMIC_SEQ_CST);
    (void)pthread_join(thread, NULL);
    finish("fork while a thread is in a processor");
    is_int(server_num_named(&here, "large"), 2, "both spans came");
    server_release(&here);
}

/* A clone that runs no fork handlers, as some servers and runtimes use it. */
static void test_raw_clone(void) {
#if defined(SYS_clone) && (defined(__x86_64__) || defined(__aarch64__)) && !UNDER_TSAN && \
    !UNDER_ASAN
    child c;
    int ends[2];
    begin(NULL, 0, false);
    end_spans("waiting", 5);
    if (pipe(ends) != 0) abort();
    (void)fflush(stdout);
    c.pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (c.pid == 0) child_main(one_span, NULL, ends[1]);
    (void)close(ends[1]);
    c.report = ends[0];
    if (c.pid < 0) {
        skip("no raw clone here");
        (void)close(ends[0]);
    } else {
        child_wait(c, "a raw clone");
    }
    finish("a raw clone");
    is_int(server_num_named(&here, "waiting"), 5, "what waited came once");
    is_int(server_num_named(&here, "forked"), c.pid < 0 ? 0 : 2, "the clone sent its own");
    server_release(&here);
#else
    skip("a raw clone only where its arguments are known and no sanitizer watches");
#endif
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_live_spans(false, "live and waiting spans");
    test_live_spans(true, "the same without threads");
    test_inside_span();
    test_inside_task();
    test_generations();
    test_threads();
    test_during_export();
    test_leaving();
    test_life_cycles();
    test_custom_memory();
    test_inside_hook();
    test_raw_clone();
    return done_testing();
}
