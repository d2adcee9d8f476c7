/*
 * SPDX-License-Identifier: MIT
 *
 * test_idle.c - what a connection costs while nothing is sent: over HTTP nothing, over gRPC an
 * answer to each PING. Counted are the times that the exporter's thread has gone to sleep.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <dirent.h>

#include "server.h"

#include "books.h"
#include "tap.h"

enum { QUIET_MS = 1500, NUM_PINGS = 20 };

/* ---- A gRPC server with one connection ------------------------------------------------------- */

enum { HEAD_SIZE = 9, DATA = 0, SETTINGS = 4, PING = 6, END_STREAM = 1, ACK = 1 };

typedef struct grpc_server {
    pthread_t thread;
    int listener;
    int fd; /* atomic; -1: nobody has come */
    uint16_t port;
    unsigned answered; /* atomic: PINGs that came back as they were sent */
    bool broken;       /* atomic: something came that should not */
} grpc_server;

static void ping_frame(unsigned number, unsigned char out[HEAD_SIZE + 8]) {
    memset(out, 0, HEAD_SIZE + 8);
    out[2] = 8;
    out[3] = PING;
    memcpy(out + HEAD_SIZE, &number, sizeof number);
}

static bool take(int fd, void *out, size_t size) {
    return recv(fd, out, size, MSG_WAITALL) == (ssize_t)size;
}

static bool give(int fd, const void *bytes, size_t size) {
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Headers, an empty message, and status 0 in the trailers. */
static bool answer_request(int fd, const unsigned char stream[4]) {
    static const char fixed[] = "\0\0\x14\x01\x04" "name" "\x88\x0f\x10\x10" "application/grpc"
                                "\0\0\x05\0\0" "name" "\0\0\0\0\0"
                                "\0\0\x0f\x01\x05" "name" "\0\x0b" "grpc-status" "\x01" "0";
    char answer[sizeof fixed - 1];
    memcpy(answer, fixed, sizeof answer);
    memcpy(answer + 5, stream, 4);
    memcpy(answer + 29 + 5, stream, 4);
    memcpy(answer + 29 + 14 + 5, stream, 4);
    return give(fd, answer, sizeof answer);
}

static bool take_frame(grpc_server *s) {
    static const char settings_ack[] = "\0\0\0\x04\x01\0\0\0";
    unsigned char frame[HEAD_SIZE + 16384], sent[HEAD_SIZE + 8];
    size_t size;
    if (!take(s->fd, frame, HEAD_SIZE)) return false;
    size = (size_t)frame[1] << 8 | frame[2];
    if (frame[0] || size > 16384 || (size && !take(s->fd, frame + HEAD_SIZE, size))) return false;
    if (frame[3] == SETTINGS && !(frame[4] & ACK)) return give(s->fd, settings_ack, HEAD_SIZE);
    if (frame[3] == DATA && (frame[4] & END_STREAM)) return answer_request(s->fd, frame + 5);
    if (frame[3] != PING) return true;
    ping_frame(__atomic_load_n(&s->answered, __ATOMIC_RELAXED), sent);
    sent[4] = ACK;
    if (memcmp(frame, sent, sizeof sent) != 0) return false;
    (void)__atomic_add_fetch(&s->answered, 1, __ATOMIC_RELEASE);
    return true;
}

static void *serve_grpc(void *argument) {
    static const char settings[] = "\0\0\0\x04\0\0\0\0";
    grpc_server *s = (grpc_server *)argument;
    char preface[24];
    __atomic_store_n(&s->fd, accept(s->listener, NULL, NULL), __ATOMIC_RELEASE);
    if (!take(s->fd, preface, sizeof preface) || memcmp(preface, "PRI * HTTP/2.0", 14) != 0 ||
        !give(s->fd, settings, HEAD_SIZE)) {
        __atomic_store_n(&s->broken, true, __ATOMIC_RELEASE);
    } else {
        while (take_frame(s)) continue;
    }
    (void)shutdown(s->fd, SHUT_RDWR);
    return NULL;
}

static bool start_grpc(grpc_server *s) {
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    memset(s, 0, sizeof *s);
    s->fd = -1;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s->listener, (struct sockaddr *)&a, size) != 0 || listen(s->listener, 1) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&a, &size) != 0) {
        return false;
    }
    s->port = ntohs(a.sin_port);
    return pthread_create(&s->thread, NULL, serve_grpc, s) == 0;
}

/* Behind hotel_release, which closes the connection; without one there is nobody to wait for. */
static void stop_grpc(grpc_server *s) {
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    if (s->fd >= 0) (void)close(s->fd);
    (void)close(s->listener);
}

/* ---- The exporter's thread ------------------------------------------------------------------- */

enum { MAX_TASKS = 64 };

static size_t list_tasks(long tasks[MAX_TASKS]) {
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    size_t count = 0;
    while (folder != NULL && count < MAX_TASKS && (entry = readdir(folder)) != NULL) {
        long task = strtol(entry->d_name, NULL, 10);
        if (task > 0) tasks[count++] = task;
    }
    if (folder != NULL) (void)closedir(folder);
    return count;
}

/* The one that was not there before; 0: none. */
static long new_task(const long *before, size_t num_before) {
    long now[MAX_TASKS];
    size_t count = list_tasks(now), i, k;
    for (i = 0; i < count; i++) {
        for (k = 0; k < num_before && before[k] != now[i]; k++) continue;
        if (k == num_before) return now[i];
    }
    return 0;
}

/* How often it went to sleep; -1: the system does not say. */
static long num_sleeps(long task) {
    static const char name[] = "\nvoluntary_ctxt_switches:";
    char path[64], text[8192];
    const char *found;
    size_t size;
    FILE *file;
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/status", task);
    file = fopen(path, "r");
    if (file == NULL) return -1;
    size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    found = strstr(text, name);
    return found != NULL ? strtol(found + sizeof name - 1, NULL, 10) : -1;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

/* Delivers a span, so that there is a connection; returns the exporter's thread. */
static long deliver_one(hotel_destination *to, hotel_protocol protocol, bool threaded) {
    long before[MAX_TASKS], task;
    size_t num_before = list_tasks(before);
    hotel_config config = test_config(to, 1);
    hotel_span span;
    to->protocol = protocol;
    to->schedule_delay_ms = 60000;
    config.no_threads = !threaded;
    if (hotel_init(&config) != HOTEL_OK) return 0;
    task = new_task(before, num_before);
    open_books();
    span = hotel_start("s");
    hotel_end(&span);
    (void)!hotel_flush(5000);
    is_int(since_opened(0).accepted, 1, "%s: a span is delivered",
           protocol == HOTEL_PROTOCOL_GRPC ? "gRPC" : "HTTP");
    server_sleep_ms(200);
    return task;
}

static void check_quiet(long task, const char *rule) {
    long before = num_sleeps(task);
    if (before < 0) {
        skip("threads' sleeps are not counted here");
        return;
    }
    server_sleep_ms(QUIET_MS);
    is_int(num_sleeps(task) - before, 0, "%s the exporter sleeps through %d ms", rule, QUIET_MS);
}

/* Sends one and waits for its answer. */
static bool ping(grpc_server *s, bool threaded) {
    unsigned char frame[HEAD_SIZE + 8];
    unsigned number = __atomic_load_n(&s->answered, __ATOMIC_ACQUIRE);
    long long began = server_now_ms();
    ping_frame(number, frame);
    if (!give(__atomic_load_n(&s->fd, __ATOMIC_ACQUIRE), frame, sizeof frame)) return false;
    while (__atomic_load_n(&s->answered, __ATOMIC_ACQUIRE) == number) {
        if (server_now_ms() - began > 3000) return false;
        if (threaded) server_sleep_ms(2);
        else (void)!hotel_poll(20);
    }
    return true;
}

static void check_pings(grpc_server *s, long task, bool threaded) {
    long before = num_sleeps(task), sleeps;
    int i;
    for (i = 0; i < NUM_PINGS && ping(s, threaded); i++) server_sleep_ms(10);
    is_int(i, NUM_PINGS, "OG-08 PINGs on an idle connection are answered%s",
           threaded ? "" : " by hotel_poll");
    if (!threaded || before < 0) return;
    sleeps = num_sleeps(task) - before;
    ok(sleeps > 0 && sleeps <= NUM_PINGS + 2, "OG-08 each wakes the exporter once: %ld for %d",
       sleeps, NUM_PINGS);
}

static void test_http(void) {
    server here;
    char url[160];
    hotel_destination to;
    long task;
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&here, "", url, sizeof url));
    task = deliver_one(&to, HOTEL_PROTOCOL_HTTP, true);
    check_quiet(task, "HTTP:");
    (void)!hotel_shutdown(1000);
    check_books("idle over HTTP");
    (void)!hotel_release();
    server_stop(&here);
    server_release(&here);
}

static void test_grpc(bool threaded) {
    grpc_server s;
    char endpoint[64];
    hotel_destination to;
    long task;
    if (!start_grpc(&s)) abort();
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", (unsigned)s.port);
    to = destination(endpoint);
    task = deliver_one(&to, HOTEL_PROTOCOL_GRPC, threaded);
    if (threaded) check_quiet(task, "OG-08 gRPC without PINGs:");
    check_pings(&s, task, threaded);
    is_int(since_opened(0).connections, 1, "gRPC: the connection is still the first");
    (void)!hotel_shutdown(1000);
    check_books("idle over gRPC");
    (void)!hotel_release();
    stop_grpc(&s);
    ok(!s.broken, "gRPC: the server was spoken to in HTTP/2");
}

int main(void) {
    test_http();
    test_grpc(true);
    test_grpc(false);
    return done_testing();
}
