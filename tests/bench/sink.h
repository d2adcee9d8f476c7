/*
 * SPDX-License-Identifier: MIT
 *
 * sink.h - where the measured spans go: a transport that swallows requests inside the process, so
 * that only the library is measured, and a small server in a process of its own, which counts the
 * spans that it gets over HTTP and gRPC, with TLS and without, all on one port.
 */
#ifndef SINK_H_INCLUDED
#define SINK_H_INCLUDED

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "grpc.h"

static const char sink_answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                                  "Content-Length: 0\r\n\r\n";
enum { SINK_ANSWER_SIZE = sizeof sink_answer - 1 };

/* Finds the end of a request's header and its body's size. 0: the header is not complete. */
static size_t parse_request(const char *bytes, size_t size, size_t *body_size) {
    const char *end = (const char *)memmem(bytes, size, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    *body_size = 0;
    for (const char *line = bytes; line < end;) {
        const char *next = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (strncasecmp(line, "content-length:", 15) == 0) {
            *body_size = strtoul(line + 15, NULL, 10);
        }
        line = next + 2;
    }
    return (size_t)(end + 4 - bytes);
}

/* ---- In the process: a hotel_transport without a network ----------------------------------- */

typedef struct null_connection {
    size_t missing; /* bytes of the body that is being sent */
    size_t answer;  /* bytes of the answer that are not taken yet */
} null_connection;

static null_connection null_only;

static void *null_open(const char *host, uint16_t port, void *user_data) {
    (void)host;
    (void)port;
    (void)user_data;
    memset(&null_only, 0, sizeof null_only);
    return &null_only;
}

static int null_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

/* Relies on the header coming in one piece, as the library sends it. */
static ptrdiff_t null_send(void *connection, const void *bytes, size_t size) {
    null_connection *c = (null_connection *)connection;
    size_t used = size;
    if (c->missing == 0) {
        size_t body_size = 0;
        size_t header_size = parse_request((const char *)bytes, size, &body_size);
        if (header_size == 0) return HOTEL_IO_REFUSED;
        c->missing = body_size;
        used -= header_size;
    }
    c->missing -= used < c->missing ? used : c->missing;
    if (c->missing == 0) c->answer = SINK_ANSWER_SIZE;
    return (ptrdiff_t)size;
}

static ptrdiff_t null_receive(void *connection, void *bytes, size_t size) {
    null_connection *c = (null_connection *)connection;
    if (c->answer == 0) return HOTEL_IO_WANT_READ;
    if (size > c->answer) size = c->answer;
    memcpy(bytes, sink_answer + SINK_ANSWER_SIZE - c->answer, size);
    c->answer -= size;
    return (ptrdiff_t)size;
}

static int null_descriptor(void *connection) {
    (void)connection;
    return -1;
}

static void null_close(void *connection, bool inherited) {
    (void)connection;
    (void)inherited;
}

static const hotel_transport null_transport = {
    null_open, null_connect, null_send, null_receive, null_descriptor, null_close, NULL,
};

/* ---- In a process of its own: a server ----------------------------------------------------- */

/* What came how is counted apart. */
enum { SINK_GRPC = 1, SINK_TLS = 2, NUM_SINK_KINDS = 4 };

typedef struct bench_sink {
    pid_t pid;
    uint16_t port;
    uint64_t *num_spans; /* of each kind; shared with the process */
    line_identity identity;
} bench_sink;

static void serve_http(sink_line *l, uint64_t *num_spans) {
    do {
        size_t body_size = 0, header_size;
        while ((header_size = parse_request(l->buffer, l->size, &body_size)) > 0 &&
               l->size >= header_size + body_size) {
            const uint8_t *body = (const uint8_t *)l->buffer + header_size;
            *num_spans += count_spans(body, body + body_size, 0);
            l->size -= header_size + body_size;
            memmove(l->buffer, l->buffer + header_size + body_size, l->size);
            if (!line_write(l, sink_answer, SINK_ANSWER_SIZE)) return;
        }
    } while (line_read(l));
}

/* One connection after the other. */
static void run_sink(int listener, const bench_sink *s) {
    char *buffer = (char *)malloc(LINE_BUFFER_BYTES);
    while (buffer != NULL) {
        int on = 1;
        sink_line l = {accept(listener, NULL, NULL), NULL, buffer, 0};
        if (l.fd < 0) continue;
        (void)setsockopt(l.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (line_secure(&l, &s->identity) && line_read(&l)) {
            bool grpc = memcmp(buffer, "PRI", l.size < 3 ? l.size : 3) == 0;
            uint64_t *num_spans = s->num_spans + (grpc ? SINK_GRPC : 0) + (l.tls ? SINK_TLS : 0);
            if (grpc) serve_grpc(&l, num_spans);
            else serve_http(&l, num_spans);
        }
        line_close(&l);
    }
}

static bool start_sink(bench_sink *s) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return false;
    }
    s->port = ntohs(address.sin_port);
    s->num_spans = (uint64_t *)mmap(NULL, NUM_SINK_KINDS * sizeof *s->num_spans,
                                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->num_spans == MAP_FAILED || !make_identity(&s->identity)) return false;
    s->pid = fork();
    if (s->pid == 0) {
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // however the measuring process ends
#endif
        run_sink(listener, s);
        _exit(1);
    }
    (void)close(listener);
    return s->pid > 0;
}

static void stop_sink(bench_sink *s) {
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    free_identity(&s->identity);
}

static uint64_t sink_spans(const bench_sink *s, int kind) {
    return __atomic_load_n(&s->num_spans[kind], __ATOMIC_ACQUIRE);
}

/* ---- The floor of delivery: a finished request, sent again and again ----------------------- */

/* Writes the head of a length-delimited field, with a length of four bytes. Returns its size. */
static size_t put_field(uint8_t *out, unsigned number, size_t size) {
    out[0] = (uint8_t)(number << 3 | 2);
    out[1] = (uint8_t)(size & 0x7f) | 0x80;
    out[2] = (uint8_t)(size >> 7 & 0x7f) | 0x80;
    out[3] = (uint8_t)(size >> 14 & 0x7f) | 0x80;
    out[4] = (uint8_t)(size >> 21 & 0x7f);
    return 5;
}

/* A finished span with the four attributes: IDs, name, kind, times, flags. */
static const char finished_span_head[] = "\x0a\x10" "trace-id........"
                                         "\x12\x08" "span-id."
                                         "\x2a\x0e" SPAN_NAME "\x30\x01"
                                         "\x39" "started." "\x41" "ended..."
                                         "\x85\x01" "flag";
enum { FINISHED_HEAD_SIZE = sizeof finished_span_head - 1 };

/* Builds the request with num_spans spans; the caller frees it. */
static char *build_request(const bench_sink *s, int num_spans, size_t *size) {
    size_t span_size = FINISHED_HEAD_SIZE + SPAN_ATTRIBUTES_SIZE;
    size_t spans_size = (size_t)num_spans * (span_size + 5);
    size_t body_size = spans_size + 10;
    char *request = (char *)malloc(body_size + 256);
    if (request == NULL) return NULL;
    int header_size = snprintf(request, 256,
                               "POST /v1/traces HTTP/1.1\r\n"
                               "Host: 127.0.0.1:%u\r\n"
                               "Content-Type: application/x-protobuf\r\n"
                               "Content-Length: %lu\r\n\r\n",
                               (unsigned)s->port, (unsigned long)body_size);
    uint8_t *at = (uint8_t *)request + header_size;
    at += put_field(at, 1, spans_size + 5);
    at += put_field(at, 2, spans_size);
    for (int i = 0; i < num_spans; i++) {
        at += put_field(at, 2, span_size);
        memcpy(at, finished_span_head, FINISHED_HEAD_SIZE);
        memcpy(at + FINISHED_HEAD_SIZE, span_attributes, SPAN_ATTRIBUTES_SIZE);
        at += span_size;
    }
    *size = (size_t)header_size + body_size;
    return request;
}

static int connect_to_sink(const bench_sink *s) {
    int on = 1;
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(s->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

/* Sends the request and waits for its answer. */
static bool send_request(int fd, const char *request, size_t size) {
    char answer[SINK_ANSWER_SIZE];
    while (size > 0) {
        ptrdiff_t sent = send(fd, request, size, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        request += sent;
        size -= (size_t)sent;
    }
    return recv(fd, answer, sizeof answer, MSG_WAITALL) == (ptrdiff_t)sizeof answer;
}

#endif
