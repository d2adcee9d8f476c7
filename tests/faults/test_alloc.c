/*
 * SPDX-License-Identifier: MIT
 *
 * test_alloc.c - promise P2: from a thread's second span on, the span path allocates nothing and
 * makes no system call but one wake-up a batch. This program brings an allocator of its own that
 * counts, and a child under ptrace whose system calls are counted between two marks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "server.h"

#include "books.h"
#include "tap.h"

/* An arena of 32-bit words ends at 8191 chunks, and a batch at 512 spans, which wakes. */
enum { NUM_SPANS = sizeof(void *) > 4 ? 1000 : 100 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- The allocator -------------------------------------------------------------------------- */

#if !UNDER_ASAN && !UNDER_TSAN

enum { POOL_SIZE = 256 << 20, POOL_ALIGN = 16 };

static unsigned char pool[POOL_SIZE] __attribute__((aligned(64)));
static size_t pool_used;                 /* atomic */
static volatile unsigned long num_calls; /* atomic: of counted threads */
/* Volatile: to the compiler malloc reads and writes no variable of the program. */
static __thread volatile bool counted;

static void count_call(void) {
    if (counted) (void)__atomic_fetch_add(&num_calls, 1, __ATOMIC_RELAXED);
}

/* Never gives back; the size stands before each block. */
static void *pool_take(size_t size, size_t align) {
    size_t at, start;
    if (align < POOL_ALIGN) align = POOL_ALIGN;
    if (size > POOL_SIZE) return NULL;
    at = __atomic_fetch_add(&pool_used, size + 2 * align, __ATOMIC_RELAXED);
    if (at + size + 2 * align > POOL_SIZE) return NULL;
    start = (at + POOL_ALIGN + align - 1) / align * align;
    memcpy(pool + start - sizeof size, &size, sizeof size);
    return pool + start;
}

void *malloc(size_t size) {
    count_call();
    return pool_take(size, POOL_ALIGN);
}

void free(void *block) {
    if (block != NULL) count_call();
}

void *calloc(size_t count, size_t size) {
    count_call();
    if (size != 0 && count > POOL_SIZE / size) return NULL;
    return pool_take(count * size, POOL_ALIGN); /* fresh memory is zero */
}

void *realloc(void *block, size_t size) {
    size_t former = 0;
    void *grown;
    count_call();
    grown = pool_take(size, POOL_ALIGN);
    if (block == NULL || grown == NULL) return grown;
    memcpy(&former, (unsigned char *)block - sizeof former, sizeof former);
    memcpy(grown, block, former < size ? former : size);
    return grown;
}

int posix_memalign(void **out, size_t align, size_t size) {
    count_call();
    *out = pool_take(size, align);
    return *out != NULL ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size) {
    count_call();
    return pool_take(size, align);
}

/* ---- Workloads ------------------------------------------------------------------------------ */

static void empty_span(unsigned i) {
    hotel_span span = hotel_start("empty");
    (void)i;
    hotel_end(&span);
}

static void four_attributes(unsigned i) {
    hotel_span span = hotel_start_as("four", HOTEL_CLIENT);
    hotel_set(&span, hotel_str("http.method", "GET"), hotel_str("http.url", "http://x/"),
              hotel_int("http.status_code", 200), hotel_bool("cached", i % 2 == 0));
    hotel_end(&span);
}

static void single_setters(unsigned i) {
    static const int64_t numbers[] = {1, 2, 3};
    hotel_span span = hotel_start("setters");
    hotel_set_int(&span, "i", (int64_t)i);
    hotel_set_double(&span, "d", 0.5);
    hotel_set_ints(&span, "list", numbers, 3);
    hotel_set_str(&span, "i", "replaced by something longer");
    hotel_set_name(&span, "renamed");
    hotel_set_status(&span, HOTEL_STATUS_ERROR, "no");
    hotel_end(&span);
}

static void events_and_links(unsigned i) {
    hotel_span span = hotel_start("events");
    hotel_link link;
    memset(&link, 0, sizeof link);
    link.context = span.context;
    hotel_add_event_with(&span, "retry", hotel_int("attempt", (int64_t)i));
    hotel_add_link(&span, &link);
    hotel_record_exception(&span, "Error", "it broke", "at main", NULL, 0);
    hotel_end(&span);
}

static void nested_scopes(unsigned i) {
    HOTEL_SCOPE(outer, hotel_start("outer"));
    (void)i;
    { HOTEL_SCOPE(inner, hotel_start("inner")); }
}

static void large_span(unsigned i) {
    static char text[1500];
    hotel_span span = hotel_start("large");
    (void)i;
    hotel_set_strn(&span, "text", text, sizeof text);
    hotel_end(&span);
}

static void propagation(unsigned i) {
    char header[HOTEL_TRACEPARENT_SIZE], json[256];
    hotel_context context =
        hotel_extract("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1,b=2");
    hotel_span span = hotel_start_in(&context, "server", HOTEL_SERVER);
    (void)i;
    (void)hotel_traceparent(&span, header);
    (void)hotel_inject_metadata(&span, "{\"k\":1}", json, sizeof json);
    hotel_end(&span);
    hotel_context_release(&context);
}

static void task(unsigned i) {
    hotel_step_run run;
    hotel_task running;
    hotel_span span;
    (void)i;
    memset(&run, 0, sizeof run);
    run.workflow_name = "Pipeline";
    run.step_run_id = "3f8f2b1e-0c63-4d1f-9a51-0a2f5f0f7c11";
    running = hotel_start_step_run(&run);
    span = hotel_start("in task");
    hotel_end(&span);
    hotel_task_succeed(&running);
}

static void left_open(unsigned i) {
    static hotel_span ring[16];
    hotel_end(&ring[i % 16]);
    ring[i % 16] = hotel_start("open for a while");
}

static const struct {
    const char *name;
    void (*fn)(unsigned i);
} workloads[] = {
    {"an empty span", empty_span},
    {"a span with four attributes", four_attributes},
    {"a span with single setters", single_setters},
    {"a span with events and links", events_and_links},
    {"two nested scopes", nested_scopes},
    {"a span of several chunks", large_span},
    {"a server span with headers", propagation},
    {"a task with a child", task},
    {"spans left open", left_open},
};

/* ---- Allocations ---------------------------------------------------------------------------- */

static server here;
static char here_url[64];

static void start_library(uint32_t batch, size_t arena_bytes) {
    hotel_destination to = destination(here_url);
    hotel_config config = test_config(&to, 1);
    to.schedule_delay_ms = 60000;
    to.max_export_batch_size = batch;
    to.max_queue_size = 8192;
    config.arena_bytes = arena_bytes;
    if (hotel_init(&config) != HOTEL_OK) abort();
    open_books();
}

/* The second span and a thousand more, on a thread that has had its first. */
static void *count_workload(void *user_data) {
    size_t index = *(const size_t *)user_data;
    unsigned i;
    workloads[index].fn(0);
    counted = true;
    for (i = 1; i <= NUM_SPANS; i++) workloads[index].fn(i);
    counted = false;
    return NULL;
}

static void test_allocations(void) {
    void *volatile block; /* so that the calls below are made */
    size_t i;
    int small;
    for (small = 0; small < 2; small++) {
        for (i = 0; i < COUNT(workloads); i++) {
            pthread_t thread;
            start_library(100, small ? 65536 : 4 << 20);
            num_calls = 0;
            (void)count_workload(&i);
            if (pthread_create(&thread, NULL, count_workload, &i) != 0) abort();
            (void)pthread_join(thread, NULL);
            is_int(num_calls, 0, "P2 %s, 2 x %d times%s: no allocation", workloads[i].name,
                   NUM_SPANS, small ? " in 64 KiB" : "");
            (void)hotel_shutdown(5000);
            check_books(workloads[i].name);
            (void)hotel_release();
        }
    }
    num_calls = 0;
    counted = true;
    block = malloc(1);
    free(block);
    counted = false;
    is_int(num_calls, 2, "the counter counts");
}

/* ---- System calls --------------------------------------------------------------------------- */

enum { GET_SYSCALL_INFO = 0x420e, MAX_NUMBERS = 16, SYSCALL_ENTRY = 1 };

typedef struct calls {
    unsigned total;
    long numbers[MAX_NUMBERS]; /* the first ones */
} calls;

/* Child: traced from here, marks around the work. clock: only reads the clock. */
static void traced_child(size_t workload, uint32_t batch, bool clock_only) {
    struct timespec now;
    unsigned i;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(77);
    (void)raise(SIGSTOP);
    if (!clock_only) start_library(batch, 32 << 20);
    if (!clock_only) workloads[workload].fn(0);
    (void)syscall(SYS_getppid);
    for (i = 1; i <= NUM_SPANS; i++) {
        if (clock_only) {
            (void)clock_gettime(CLOCK_MONOTONIC, &now);
            (void)clock_gettime(CLOCK_REALTIME, &now);
        } else {
            workloads[workload].fn(i);
        }
    }
    (void)syscall(SYS_getppid);
    _exit(0);
}

/* The number of the system call at whose entry the child stands; -1: an exit, -2: unknown. */
static long call_number(pid_t pid) {
    unsigned char info[128];
    uint64_t number;
    memset(info, 0, sizeof info);
    if (ptrace((int)GET_SYSCALL_INFO, pid, (void *)sizeof info, info) <= 0) return -2;
    if (info[0] != SYSCALL_ENTRY) return -1;
    memcpy(&number, info + 24, sizeof number);
    return (long)number;
}

/* False when this machine cannot trace. */
static bool count_calls(size_t workload, uint32_t batch, bool clock_only, calls *out) {
    int status, marks = 0;
    long signal_number = 0;
    pid_t pid;
    memset(out, 0, sizeof *out);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) traced_child(workload, batch, clock_only);
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return false;
    (void)ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD);
    while (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)signal_number) == 0) {
        long number;
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) break;
        signal_number = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        if (signal_number == SIGSTOP) signal_number = 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
        number = call_number(pid);
        if (number == -2) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return false;
        }
        if (number == SYS_getppid) {
            marks++;
        } else if (number >= 0 && marks == 1) {
            if (out->total < MAX_NUMBERS) out->numbers[out->total] = number;
            out->total++;
        }
    }
    return marks == 2;
}

static void show_calls(const calls *c) {
    unsigned i;
    for (i = 0; i < c->total && i < MAX_NUMBERS; i++) note("system call %ld", c->numbers[i]);
}

static void test_system_calls(void) {
    calls c;
    size_t i;
    if (!count_calls(0, 0, true, &c)) {
        skip("no ptrace here: system calls are not counted");
        return;
    }
    if (c.total > 0) {
        skip("the clock itself needs system calls here");
        return;
    }
    for (i = 0; i < COUNT(workloads); i++) {
        if (!ok(count_calls(i, 8192, false, &c), "%s: traced", workloads[i].name)) continue;
        if (!is_int(c.total, 0, "P2 %s, %d times: no system call", workloads[i].name, NUM_SPANS)) {
            show_calls(&c);
        }
    }
    for (i = 0; i < 2; i++) {
        uint32_t batch = i == 0 ? 100 : 500;
        if (!ok(count_calls(0, batch, false, &c), "batches of %u: traced", batch)) continue;
        if (!ok(c.total <= NUM_SPANS / batch + 1, "P2 batches of %u: %u wake-ups, at most one each",
                batch, c.total)) {
            show_calls(&c);
        }
    }
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    (void)server_url(&here, "", here_url, sizeof here_url);
    test_allocations();
    test_system_calls();
    server_stop(&here);
    is_int(here.num_bad, 0, "every request was right (%s)", here.problem);
    return done_testing();
}

#else

int main(void) {
    skip_all("the sanitizers bring an allocator and system calls of their own");
    return 0;
}

#endif
