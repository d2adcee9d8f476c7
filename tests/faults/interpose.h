/*
 * SPDX-License-Identifier: MIT
 *
 * interpose.h - takes the place of hatchet_otel.h in a test that wants the system calls of the
 * library to fail: the implementation is compiled here with calls that count, fail as planned and
 * tell another time. The test itself keeps the real ones.
 *
 *     static const fault one = {.call = CALL_SEND, .at = 3, .length = 1, .error = ECONNRESET};
 *     faults_begin(&one);
 *     ... the library works ...
 *     faults_end();
 *     ... faults_fired, faults_counts[CALL_SEND], owned_blocks(), owned_descriptors() ...
 *
 * Time runs CLOCK_SPEED times as fast for the library, so that its waits are short for the test.
 */
#ifndef INTERPOSE_H_INCLUDED
#define INTERPOSE_H_INCLUDED

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FAULT_FN __attribute__((unused)) static

#define FAULT_CALLS(X)                                                                       \
    X(SOCKET) X(SOCKETPAIR) X(CONNECT) X(SEND) X(RECV) X(POLL) X(FCNTL) X(SETSOCKOPT)        \
    X(GETSOCKOPT) X(CLOSE) X(READ) X(WRITE) X(GETADDRINFO) X(OPEN) X(MALLOC)                 \
    X(CALLOC) X(THREAD) X(ATTR) X(MUTEX) X(COND) X(CONDATTR) X(SETCLOCK) X(ATFORK) X(MMAP)   \
    X(MADVISE) X(SYSCONF) X(GETRANDOM) X(CLOCK)

enum {
#define FAULT_ENUM(name) CALL_##name,
    FAULT_CALLS(FAULT_ENUM)
#undef FAULT_ENUM
    NUM_CALLS
};

static const char *const fault_names[] = {
#define FAULT_NAME(name) #name,
    FAULT_CALLS(FAULT_NAME)
#undef FAULT_NAME
};

typedef struct fault {
    int call;        /* CALL_*; -1: none */
    unsigned at;     /* the first one that fails, from 1 */
    unsigned length; /* how many in a row */
    int error;       /* errno, or what the call returns if it returns an error */
} fault;

static fault fault_plan = {-1, 0, 0, 0};
static unsigned faults_counts[NUM_CALLS]; /* atomic, like all below */
static unsigned faults_fired;
static bool fault_storm;      /* two of three calls end with EINTR */
static bool fault_short_send; /* a byte at a time */
static bool fault_short_recv;
static long num_blocks;
static long num_descriptors;

FAULT_FN void faults_begin(const fault *plan) {
    memset(faults_counts, 0, sizeof faults_counts);
    faults_fired = 0;
    if (plan != NULL) {
        fault_plan.at = plan->at;
        fault_plan.length = plan->length;
        fault_plan.error = plan->error;
        __atomic_store_n(&fault_plan.call, plan->call, __ATOMIC_RELEASE);
    }
}

FAULT_FN void faults_end(void) {
    __atomic_store_n(&fault_plan.call, -1, __ATOMIC_RELEASE);
}

FAULT_FN unsigned faults_fired_now(void) {
    return __atomic_load_n(&faults_fired, __ATOMIC_RELAXED);
}

FAULT_FN unsigned faults_count(int call) {
    return __atomic_load_n(&faults_counts[call], __ATOMIC_RELAXED);
}

FAULT_FN long owned_blocks(void) { return __atomic_load_n(&num_blocks, __ATOMIC_RELAXED); }

FAULT_FN long owned_descriptors(void) {
    return __atomic_load_n(&num_descriptors, __ATOMIC_RELAXED);
}

/* 0, or what this call fails with. */
static int fault_now(int call) {
    unsigned n = __atomic_add_fetch(&faults_counts[call], 1, __ATOMIC_RELAXED);
    if (call != __atomic_load_n(&fault_plan.call, __ATOMIC_ACQUIRE)) return 0;
    if (n < fault_plan.at || n - fault_plan.at >= fault_plan.length) return 0;
    (void)__atomic_add_fetch(&faults_fired, 1, __ATOMIC_RELAXED);
    return fault_plan.error;
}

/* The same for a call that may be interrupted. */
static int fault_slow(int call) {
    int error = fault_now(call);
    /* In no order, or the same call of a round could always be the one that is interrupted. */
    if (error == 0 && __atomic_load_n(&fault_storm, __ATOMIC_RELAXED) &&
        (faults_count(call) * 2654435761u >> 16) % 3 != 0)
        error = EINTR;
    return error;
}

#define FAIL_IF(error, result) \
    do {                       \
        int e = (error);       \
        if (e != 0) {          \
            errno = e;         \
            return (result);   \
        }                      \
    } while (0)

/* ---- Time ----------------------------------------------------------------------------------- */

enum { CLOCK_SPEED = 50 };

static int64_t clock_offset_ns;   /* of CLOCK_MONOTONIC and CLOCK_REALTIME both */
static int64_t clock_wall_ns;     /* of CLOCK_REALTIME alone */
static int64_t clock_stopped_ns;  /* not 0: CLOCK_MONOTONIC stands still there */
static pthread_once_t clock_once = PTHREAD_ONCE_INIT;
static int64_t clock_base_ns, clock_wall_base_ns;

static int64_t clock_real_ns(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void clock_begin(void) {
    clock_base_ns = clock_real_ns(CLOCK_MONOTONIC);
    clock_wall_base_ns = clock_real_ns(CLOCK_REALTIME);
}

FAULT_FN int64_t clock_fast_ns(clockid_t clock) {
    int64_t run, stopped = __atomic_load_n(&clock_stopped_ns, __ATOMIC_RELAXED);
    (void)pthread_once(&clock_once, clock_begin);
    run = (clock_real_ns(CLOCK_MONOTONIC) - clock_base_ns) * CLOCK_SPEED +
          __atomic_load_n(&clock_offset_ns, __ATOMIC_RELAXED);
    if (clock == CLOCK_REALTIME)
        return clock_wall_base_ns + run + __atomic_load_n(&clock_wall_ns, __ATOMIC_RELAXED);
    return stopped != 0 ? stopped : clock_base_ns + run;
}

static int fault_clock_gettime(clockid_t clock, struct timespec *out) {
    int64_t ns;
    FAIL_IF(fault_now(CALL_CLOCK), -1);
    ns = clock_fast_ns(clock);
    out->tv_sec = (time_t)(ns / 1000000000);
    out->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

static int fault_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *until) {
    /* No machine runs for thirty years: a large one is of the other clock. */
    clockid_t clock = until->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec real;
    int64_t left = (int64_t)until->tv_sec * 1000000000 + until->tv_nsec - clock_fast_ns(clock);
    int64_t ns = clock_real_ns(clock) + left / CLOCK_SPEED;
    real.tv_sec = (time_t)(ns / 1000000000);
    real.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(cond, mutex, &real);
}

/* ---- Descriptors ---------------------------------------------------------------------------- */

static int fault_opened(int fd) {
    if (fd >= 0) (void)__atomic_add_fetch(&num_descriptors, 1, __ATOMIC_RELAXED);
    return fd;
}

static int fault_socket(int family, int type, int protocol) {
    FAIL_IF(fault_now(CALL_SOCKET), -1);
    return fault_opened(socket(family, type, protocol));
}

static int fault_socketpair(int family, int type, int protocol, int fds[2]) {
    FAIL_IF(fault_now(CALL_SOCKETPAIR), -1);
    if (socketpair(family, type, protocol, fds) != 0) return -1;
    (void)__atomic_add_fetch(&num_descriptors, 2, __ATOMIC_RELAXED);
    return 0;
}

/* A connect that does not fail is always one that is under way at first. */
static int fault_connect(int fd, const struct sockaddr *address, socklen_t size) {
    int error = fault_slow(CALL_CONNECT);
    if (error != 0 && error != EINTR) {
        errno = error;
        return -1;
    }
    if (connect(fd, address, size) == 0 && address->sa_family != AF_UNIX)
        errno = EINPROGRESS;
    else if (errno != EINPROGRESS && address->sa_family != AF_UNIX)
        return -1;
    else if (address->sa_family == AF_UNIX)
        return error != 0 ? (errno = error, -1) : 0;
    if (error != 0) errno = error;
    return -1;
}

/* What is said to be broken is broken. */
static void fault_break(int fd, int error) {
    if (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == ECONNABORTED)
        (void)shutdown(fd, SHUT_RDWR);
}

static ssize_t fault_send(int fd, const void *bytes, size_t size, int flags) {
    int error = fault_slow(CALL_SEND);
    if (error != 0) {
        fault_break(fd, error);
        errno = error;
        return -1;
    }
    if (size > 1 && __atomic_load_n(&fault_short_send, __ATOMIC_RELAXED)) size = 1;
    return send(fd, bytes, size, flags);
}

static ssize_t fault_recv(int fd, void *bytes, size_t size, int flags) {
    int error = fault_slow(CALL_RECV);
    if (error != 0) {
        fault_break(fd, error);
        errno = error;
        return -1;
    }
    if (size > 1 && __atomic_load_n(&fault_short_recv, __ATOMIC_RELAXED)) size = 1;
    return recv(fd, bytes, size, flags);
}

static int fault_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    FAIL_IF(fault_slow(CALL_POLL), -1);
    if (timeout_ms > 0) timeout_ms = (timeout_ms + CLOCK_SPEED - 1) / CLOCK_SPEED;
    return poll(fds, count, timeout_ms);
}

static int fault_fcntl(int fd, int command, int value) {
    FAIL_IF(fault_now(CALL_FCNTL), -1);
    return fcntl(fd, command, value);
}

static int fault_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    FAIL_IF(fault_now(CALL_SETSOCKOPT), -1);
    return setsockopt(fd, level, name, value, size);
}

static int fault_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    FAIL_IF(fault_now(CALL_GETSOCKOPT), -1);
    return getsockopt(fd, level, name, value, size);
}

/* Closed even if it says otherwise, as Linux does it. */
static int fault_close(int fd) {
    int error = fault_slow(CALL_CLOSE);
    int result = close(fd);
    if (result == 0) (void)__atomic_sub_fetch(&num_descriptors, 1, __ATOMIC_RELAXED);
    FAIL_IF(error, -1);
    return result;
}

static ssize_t fault_read(int fd, void *bytes, size_t size) {
    FAIL_IF(fault_slow(CALL_READ), -1);
    return read(fd, bytes, size);
}

static ssize_t fault_write(int fd, const void *bytes, size_t size) {
    FAIL_IF(fault_slow(CALL_WRITE), -1);
    return write(fd, bytes, size);
}

static int fault_open(const char *path, int flags) {
    FAIL_IF(fault_slow(CALL_OPEN), -1);
    (void)path;
    (void)flags;
    errno = ENOENT; /* so that the library reads the clock and not the processor's counter */
    return -1;
}

/* Every name is 127.0.0.1. */
static int fault_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                             struct addrinfo **out) {
    int error = fault_now(CALL_GETADDRINFO);
    (void)name;
    if (error != 0) return error;
    return getaddrinfo("127.0.0.1", service, hints, out);
}

/* ---- Memory, threads, the rest -------------------------------------------------------------- */

static void *fault_owned(void *block) {
    if (block != NULL) (void)__atomic_add_fetch(&num_blocks, 1, __ATOMIC_RELAXED);
    return block;
}

static void *fault_malloc(size_t size) {
    FAIL_IF(fault_now(CALL_MALLOC), NULL);
    return fault_owned(malloc(size));
}

static void *fault_calloc(size_t count, size_t size) {
    FAIL_IF(fault_now(CALL_CALLOC), NULL);
    return fault_owned(calloc(count, size));
}

static void fault_free(void *block) {
    if (block != NULL) (void)__atomic_sub_fetch(&num_blocks, 1, __ATOMIC_RELAXED);
    free(block);
}

static int fault_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                        void *argument) {
    int error = fault_now(CALL_THREAD);
    return error != 0 ? error : pthread_create(thread, attributes, run, argument);
}

static int fault_attr(pthread_attr_t *attributes) {
    int error = fault_now(CALL_ATTR);
    return error != 0 ? error : pthread_attr_init(attributes);
}

static int fault_mutex(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    int error = fault_now(CALL_MUTEX);
    return error != 0 ? error : pthread_mutex_init(mutex, attributes);
}

static int fault_cond(pthread_cond_t *cond, const pthread_condattr_t *attributes) {
    int error = fault_now(CALL_COND);
    return error != 0 ? error : pthread_cond_init(cond, attributes);
}

static int fault_condattr(pthread_condattr_t *attributes) {
    int error = fault_now(CALL_CONDATTR);
    return error != 0 ? error : pthread_condattr_init(attributes);
}

static int fault_setclock(pthread_condattr_t *attributes, clockid_t clock) {
    int error = fault_now(CALL_SETCLOCK);
    return error != 0 ? error : pthread_condattr_setclock(attributes, clock);
}

static int fault_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    int error = fault_now(CALL_ATFORK);
    return error != 0 ? error : pthread_atfork(prepare, parent, child);
}

static void *fault_mmap(size_t size) {
    FAIL_IF(fault_now(CALL_MMAP), MAP_FAILED);
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int fault_madvise(void *at, size_t size, int advice) {
    FAIL_IF(fault_now(CALL_MADVISE), -1);
    return madvise(at, size, advice);
}

static long fault_sysconf(int name) {
    FAIL_IF(fault_now(CALL_SYSCONF), -1);
    return sysconf(name);
}

static ssize_t fault_getrandom(void *out, size_t size, unsigned flags) {
    FAIL_IF(fault_slow(CALL_GETRANDOM), -1);
    return getrandom(out, size, flags);
}

/* ---- The library, with all of these --------------------------------------------------------- */

#define FAULT_FCNTL(fd, command, value, ...) fault_fcntl((fd), (command), (value))

#define socket(...) fault_socket(__VA_ARGS__)
#define socketpair(...) fault_socketpair(__VA_ARGS__)
#define connect(...) fault_connect(__VA_ARGS__)
#define send(...) fault_send(__VA_ARGS__)
#define recv(...) fault_recv(__VA_ARGS__)
#define poll(...) fault_poll(__VA_ARGS__)
#define fcntl(...) FAULT_FCNTL(__VA_ARGS__, 0, 0)
#define setsockopt(...) fault_setsockopt(__VA_ARGS__)
#define getsockopt(...) fault_getsockopt(__VA_ARGS__)
#define close(...) fault_close(__VA_ARGS__)
#define read(...) fault_read(__VA_ARGS__)
#define write(...) fault_write(__VA_ARGS__)
#define open(...) fault_open(__VA_ARGS__)
#define getaddrinfo(...) fault_getaddrinfo(__VA_ARGS__)
#define malloc(...) fault_malloc(__VA_ARGS__)
#define calloc(...) fault_calloc(__VA_ARGS__)
#define free(...) fault_free(__VA_ARGS__)
#define pthread_create(...) fault_thread(__VA_ARGS__)
#define pthread_attr_init(...) fault_attr(__VA_ARGS__)
#define pthread_mutex_init(...) fault_mutex(__VA_ARGS__)
#define pthread_cond_init(...) fault_cond(__VA_ARGS__)
#define pthread_cond_timedwait(...) fault_timedwait(__VA_ARGS__)
#define pthread_condattr_init(...) fault_condattr(__VA_ARGS__)
#define pthread_condattr_setclock(...) fault_setclock(__VA_ARGS__)
#define pthread_atfork(...) fault_atfork(__VA_ARGS__)
#define mmap(at, size, ...) fault_mmap(size)
#define madvise(...) fault_madvise(__VA_ARGS__)
#define sysconf(...) fault_sysconf(__VA_ARGS__)
#define getrandom(...) fault_getrandom(__VA_ARGS__)
#define clock_gettime(...) fault_clock_gettime(__VA_ARGS__)

#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#undef socket
#undef socketpair
#undef connect
#undef send
#undef recv
#undef poll
#undef fcntl
#undef setsockopt
#undef getsockopt
#undef close
#undef read
#undef write
#undef open
#undef getaddrinfo
#undef malloc
#undef calloc
#undef free
#undef pthread_create
#undef pthread_attr_init
#undef pthread_mutex_init
#undef pthread_cond_init
#undef pthread_cond_timedwait
#undef pthread_condattr_init
#undef pthread_condattr_setclock
#undef pthread_atfork
#undef mmap
#undef madvise
#undef sysconf
#undef getrandom
#undef clock_gettime

#endif
