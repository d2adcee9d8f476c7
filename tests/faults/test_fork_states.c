/*
 * SPDX-License-Identifier: MIT
 *
 * test_fork_states.c - fork, clone, vfork and posix_spawn while the library is in every state:
 * being set up, flushed or shut down by another thread, in one of its callbacks, busy, a thousand
 * times, without descriptors. A child always gets an answer: it records, or it can be started. A
 * program that is executed inherits no descriptor (BSP-26).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <dirent.h>
#include <spawn.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#if UNDER_TSAN
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}
#endif

/* A sanitizer's fork is slow, and its own locks do not survive one in the middle of anything. */
#define SLOW (UNDER_ASAN || UNDER_TSAN)

enum { CHILD_MS = 30000 };

static server here;
static char here_url[160];
static hotel_destination here_to;
static hotel_config here_config;

static void prepare(uint32_t batch) {
    here_config = test_config(&here_to, 1);
    here_to = destination(here_url);
    here_to.schedule_delay_ms = 60000;
    here_to.max_export_batch_size = batch;
    here_to.timeout_ms = 5000;
    here_config.no_threads = UNDER_TSAN;
    here_config.arena_bytes = 262144;
    log_clear();
}

static void begin(uint32_t batch) {
    prepare(batch);
    is_int(hotel_init(&here_config), HOTEL_OK, "init");
    open_books();
}

static void finish(const char *name) {
    hotel_result result = hotel_shutdown(5000);
    ok(result == HOTEL_OK || result == HOTEL_ERR_FAILED, "%s: shutdown", name);
    check_books(name);
    is_int(hotel_release(), HOTEL_OK, "%s: release", name);
}

static void one_span(const char *name) {
    hotel_span span = hotel_start(name);
    hotel_set_int(&span, "pid", (int64_t)getpid());
    hotel_end(&span);
}

/* True when the child left with 0, in time. Says which it was and what it left with if not. */
static bool child_ends(pid_t pid, unsigned number) {
    char words[64];
    int code = server_wait_child(pid, CHILD_MS);
    if (code != 0) note("child %u: %s", number, server_child_words(code, words, sizeof words));
    return code == 0;
}

/* ---- While another thread sets up and stops -------------------------------------------------- */

static bool stop_cycling; /* atomic */
static unsigned num_cycles;

static void *cycle(void *user_data) {
    hotel_config config = here_config;
    (void)user_data;
    while (!__atomic_load_n(&stop_cycling, __ATOMIC_RELAXED)) {
        if (hotel_init(&config) != HOTEL_OK) abort();
        one_span("cycle");
        (void)!hotel_flush(1000);
        if (hotel_shutdown(1000) == HOTEL_ERR_TIMEOUT) abort();
        if (hotel_release() != HOTEL_OK) abort();
        num_cycles++;
    }
    return NULL;
}

/* Whatever the other thread was at: it runs, or it can be started. 0: all is well. */
static int live_in_child(void) {
    hotel_config config = here_config;
    hotel_stats s;
    hotel_result result;
    config.log_fn = NULL; /* its lock may be held */
    result = hotel_init(&config);
    if (result != HOTEL_OK && result != HOTEL_ERR_RUNNING) return 2;
    memset(&books_opened, 0, sizeof books_opened);
    one_span("child");
    hotel_get_stats(&s);
    if (s.started != 1) return 3;
    if (hotel_flush(CHILD_MS / 3) != HOTEL_OK) return 4;
    if (hotel_shutdown(CHILD_MS / 3) != HOTEL_OK) return 5;
    if (!books_balance()) return 6;
    if (hotel_release() != HOTEL_OK) return 7;
    if (hotel_init(&config) != HOTEL_OK) return 8;
    return hotel_shutdown(CHILD_MS / 3) != HOTEL_OK ? 9 : 0;
}

static void test_cycles(void) {
    unsigned good = 0, i, forks = 200;
    pthread_t thread;
    if (SLOW) {
        skip("the locks of a sanitizer's allocator do not survive a fork");
        return;
    }
    prepare(0);
    here_config.log_fn = NULL;
    if (pthread_create(&thread, NULL, cycle, NULL) != 0) abort();
    for (i = 0; i < forks; i++) {
        pid_t pid;
        if (i % 4 == 0) server_sleep_ms(1);
        (void)fflush(stdout);
        pid = server_fork(&here);
        if (pid == 0) _exit(live_in_child());
        good += child_ends(pid, i);
    }
    __atomic_store_n(&stop_cycling, true, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    is_int(good, forks, "BSP-26 forks while another thread starts and stops (%u times)",
           num_cycles);
}

/* ---- While another thread waits in flush or shutdown ----------------------------------------- */

static void *flush_long(void *user_data) {
    *(hotel_result *)user_data = hotel_flush(600);
    return NULL;
}

static void *shut_down_long(void *user_data) {
    *(hotel_result *)user_data = hotel_shutdown(600);
    return NULL;
}

static void test_waiting(void *(*fn)(void *), const char *name) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    static server silent;
    hotel_result result = HOTEL_ERR_ARGUMENT;
    char url[160];
    pthread_t thread;
    pid_t pid;
    if (!server_start(&silent, SERVER_IPV4, hang, 1)) abort();
    prepare(0);
    here_to.endpoint = server_url(&silent, "", url, sizeof url);
    is_int(hotel_init(&here_config), HOTEL_OK, "init");
    open_books();
    one_span("unanswered");
    if (pthread_create(&thread, NULL, fn, &result) != 0) abort();
    server_sleep_ms(150);
    (void)fflush(stdout);
    pid = server_fork(&silent);
    if (pid == 0) {
        long long began = server_now_ms();
        hotel_destination to = destination(here_url);
        IGNORE_LEAKS();
        /* Its own copy of the parent's set-up talks to the silent server too. */
        one_span("child");
        (void)!hotel_flush(50);
        (void)hotel_shutdown(50);
        if (server_now_ms() - began > 100 + SERVER_SOON_MS) _exit(20);
        here_config.destinations = &to;
        here_config.log_fn = NULL;
        _exit(live_in_child());
    }
    ok(child_ends(pid, 0), "BSP-26 fork while another thread is in %s", name);
    (void)pthread_join(thread, NULL);
    is_int(result, HOTEL_ERR_TIMEOUT, "%s goes on in the parent", name);
    finish(name);
    server_stop(&silent);
    server_release(&silent);
}

/* ---- In a callback --------------------------------------------------------------------------- */

static bool fork_now; /* atomic: once */
static hotel_log_id fork_at;
static bool callback_good;

static void log_forking(hotel_log_level level, hotel_log_id id, const char *message,
                        void *user_data) {
    pid_t pid;
    (void)level;
    (void)message;
    (void)user_data;
    if (id != fork_at || !__atomic_exchange_n(&fork_now, false, __ATOMIC_ACQ_REL)) return;
    (void)fflush(stdout);
    pid = server_fork(&here);
    if (pid == 0) {
        IGNORE_LEAKS();
        here_config.log_fn = NULL;
        _exit(live_in_child());
    }
    callback_good = child_ends(pid, 0);
}

static void test_callback(hotel_log_id id, const char *name) {
    prepare(0);
    here_config.log_fn = log_forking;
    fork_at = id;
    callback_good = false;
    __atomic_store_n(&fork_now, true, __ATOMIC_RELEASE);
    is_int(hotel_init(&here_config), HOTEL_OK, "init");
    open_books();
    {
        hotel_span span = hotel_start("bad argument");
        hotel_set_int(&span, NULL, 1);
        hotel_end(&span);
    }
    is_int(hotel_flush(5000), HOTEL_OK, "flush");
    is_int(__atomic_load_n(&fork_now, __ATOMIC_ACQUIRE), 0, "%s was called", name);
    ok(callback_good, "BSP-26 a child of %s uses the library", name);
    finish(name);
}

/* ---- A busy process, a thousand times -------------------------------------------------------- */

static bool stop_working; /* atomic */

static void *work(void *user_data) {
    (void)user_data;
    while (!__atomic_load_n(&stop_working, __ATOMIC_RELAXED)) {
        hotel_step_run run;
        hotel_task task;
        int i;
        memset(&run, 0, sizeof run);
        run.workflow_name = "busy";
        task = hotel_start_step_run(&run);
        for (i = 0; i < 20; i++) one_span("busy");
        hotel_task_succeed(&task);
        server_sleep_ms(1);
    }
    return NULL;
}

static int busy_child(unsigned i) {
    hotel_stats s;
    hotel_context context = hotel_current();
    (void)context;
    if (i % 5 == 0) return 0; /* leaves without a word */
    if (i % 5 == 1) (void)!hotel_flush(0);
    one_span("child");
    hotel_get_stats(&s);
    if (s.started != 1 || s.live != 0 || s.ended != 1) return 2;
    if (i % 5 == 2) {
        pid_t pid = fork();
        int status = 0;
        if (pid == 0) {
            one_span("grandchild");
            hotel_get_stats(&s);
            _exit(s.started != 1);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0) return 3;
    }
    if (i % 20 == 3 && hotel_shutdown(CHILD_MS / 2) != HOTEL_OK) return 4;
    return 0;
}

static void test_busy(void) {
    unsigned good = 0, i, forks = UNDER_TSAN ? 50 : UNDER_ASAN ? 100 : 1000;
    pthread_t workers[3];
    hotel_stats s;
    begin(64);
    __atomic_store_n(&stop_working, false, __ATOMIC_RELAXED);
    for (i = 0; i < 3; i++)
        if (pthread_create(&workers[i], NULL, work, NULL) != 0) abort();
    for (i = 0; i < forks; i++) {
        pid_t pid = server_fork(&here);
        if (pid == 0) {
            IGNORE_LEAKS();
            _exit(busy_child(UNDER_TSAN ? 1 : i));
        }
        good += child_ends(pid, i);
    }
    __atomic_store_n(&stop_working, true, __ATOMIC_RELAXED);
    for (i = 0; i < 3; i++) (void)pthread_join(workers[i], NULL);
    is_int(good, forks, "BSP-26 %u forks of a busy process", forks);
    hotel_get_stats(&s);
    ok(s.ended > 1000 || SLOW, "it was busy: %u spans", (unsigned)s.ended);
    finish("forks of a busy process");
}

/* ---- Without descriptors --------------------------------------------------------------------- */

static int child_without_descriptors(void) {
    struct rlimit limit;
    hotel_config config = here_config;
    hotel_stats s;
    long long began = server_now_ms();
    rlim_t former;
    config.log_fn = NULL;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
    former = limit.rlim_cur;
    limit.rlim_cur = 3;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 3;
    one_span("not recorded");
    hotel_get_stats(&s);
    if (s.started != (UNDER_TSAN ? 1 : 0)) return 4;
    (void)hotel_shutdown(200);
    if (server_now_ms() - began > 200 + SERVER_SOON_MS) return 5;
    limit.rlim_cur = former;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 6;
    if (hotel_init(&config) != HOTEL_OK) return 7;
    memset(&books_opened, 0, sizeof books_opened);
    one_span("child");
    if (hotel_shutdown(CHILD_MS / 2) != HOTEL_OK) return 8;
    return books_balance() ? 0 : 9;
}

static void test_without_descriptors(void) {
    pid_t pid;
    begin(0);
    (void)fflush(stdout);
    pid = server_fork(&here);
    if (pid == 0) {
        IGNORE_LEAKS();
        _exit(child_without_descriptors());
    }
    ok(child_ends(pid, 0), "P5 a child without descriptors is not held up, and starts anew later");
    finish("a child without descriptors");
}

/* ---- What a program that is executed inherits ------------------------------------------------ */

static const char *program;

/* Everything above 2 but the one that reads the list; -1: there is no list. */
static int num_inherited(bool only_unmarked) {
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    if (list == NULL) return -1;
    while ((entry = readdir(list)) != NULL) {
        int fd = atoi(entry->d_name);
        if (fd <= 2 || fd == dirfd(list)) continue;
        count += !only_unmarked || !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    (void)closedir(list);
    return count;
}

static void mark_all(void) {
    int fd;
    for (fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0) (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

static void *cycle_against_nobody(void *user_data) {
    hotel_destination to = destination("http://127.0.0.1:1");
    hotel_config config = test_config(&to, 1);
    config.no_threads = UNDER_TSAN;
    (void)user_data;
    while (!__atomic_load_n(&stop_cycling, __ATOMIC_RELAXED)) {
        if (hotel_init(&config) != HOTEL_OK) abort();
        one_span("cycle");
        (void)hotel_shutdown(2);
        (void)hotel_release();
        num_cycles++;
    }
    return NULL;
}

static pid_t execute(unsigned how) {
    char *arguments[3];
    pid_t pid = -1;
    arguments[0] = (char *)(uintptr_t)program;
    arguments[1] = (char *)(uintptr_t)"--inherited";
    arguments[2] = NULL;
    if (how == 0) {
        if (posix_spawn(&pid, program, NULL, NULL, arguments, environ) != 0) return -1;
    } else {
        pid = how == 1 ? vfork() : fork();
        if (pid == 0) {
            (void)execv(program, arguments);
            _exit(99);
        }
    }
    return pid;
}

static void test_execute(void) {
    static const char *const names[] = {"posix_spawn", "vfork and exec", "fork and exec"};
    unsigned i, good[3] = {0, 0, 0}, rounds = SLOW ? 10 : 60;
    pthread_t thread;
    if (num_inherited(false) < 0) {
        skip("no /proc here");
        return;
    }
    mark_all();
    num_cycles = 0;
    __atomic_store_n(&stop_cycling, false, __ATOMIC_RELAXED);
    if (pthread_create(&thread, NULL, cycle_against_nobody, NULL) != 0) abort();
    for (i = 0; i < 3 * rounds; i++) {
        pid_t pid = execute(i % 3);
        good[i % 3] += pid > 0 && child_ends(pid, i);
    }
    __atomic_store_n(&stop_cycling, true, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    for (i = 0; i < 3; i++)
        is_int(good[i], rounds, "BSP-26 %s while another thread starts and stops: no descriptor "
               "is inherited", names[i]);
    note("%u starts meanwhile", num_cycles);
}

/* And of a library that is connected. */
static void test_connected_execute(void) {
    int unmarked;
    pid_t pid;
    mark_all();
    begin(0);
    one_span("connected");
    is_int(hotel_flush(5000), HOTEL_OK, "flush");
    unmarked = num_inherited(true);
    /* The server's accepted connection is in this process too. */
    ok(unmarked <= 1, "BSP-26 connected: %d descriptors are without close-on-exec, the server's",
       unmarked);
    mark_all();
    pid = execute(1);
    ok(pid > 0 && child_ends(pid, 0), "BSP-26 connected: vfork and exec");
    one_span("connected");
    is_int(hotel_flush(5000), HOTEL_OK, "BSP-26 and the parent's exports go on");
    finish("connected");
}

/* ---- Raw clone ------------------------------------------------------------------------------- */

/* No fork handler runs: set-up in another thread, and a busy process. */
static void test_raw_clone(void) {
#if defined(SYS_clone) && (defined(__x86_64__) || defined(__aarch64__)) && !SLOW
    unsigned good = 0, i;
    pthread_t thread;
    prepare(0);
    here_config.log_fn = NULL;
    num_cycles = 0;
    __atomic_store_n(&stop_working, false, __ATOMIC_RELAXED);
    begin(64);
    if (pthread_create(&thread, NULL, work, NULL) != 0) abort();
    for (i = 0; i < 100; i++) {
        pid_t pid;
        server_sleep_ms(1);
        pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
        if (pid == 0) {
            hotel_stats s;
            /* No thread and no lock of the C library: it may be in any state. */
            hotel_get_stats(&s);
            _exit(s.started != 0);
        }
        good += pid > 0 && child_ends(pid, i);
    }
    __atomic_store_n(&stop_working, true, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    is_int(good, 100, "BSP-26 100 raw clones of a busy process begin anew");
    finish("raw clones");
#else
    skip("a raw clone only where its arguments are known and no sanitizer watches");
#endif
}

int main(int argc, char **argv) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--inherited") == 0) return num_inherited(false);
    program = argv[0];
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    (void)server_url(&here, "", here_url, sizeof here_url);
    if (!UNDER_TSAN) {
        test_waiting(flush_long, "flush");
        test_waiting(shut_down_long, "shutdown");
    }
    test_callback(HOTEL_LOG_ID_STARTED, "the log function in hotel_init");
    test_callback(HOTEL_LOG_ID_BAD_ARGUMENT, "the log function in an export");
    test_cycles();
    test_busy();
    test_without_descriptors();
    test_execute();
    test_connected_execute();
    test_raw_clone();
    server_stop(&here);
    is_int(here.num_bad, 0, "every request is right (%s)", here.problem);
    is_int(server_num_duplicates(&here), 0, "no span came twice");
    server_release(&here);
    return done_testing();
}
