/*
 * SPDX-License-Identifier: MIT
 *
 * server.h - an HTTP server that misbehaves as told: one thread on a free loopback port (IPv4,
 * IPv6) or a Unix socket, a script with a step for each request, a record of what came.
 *
 *     static const server_step script[] = {{.reply = SERVER_503}, {.reply = SERVER_OK}};
 *     server here;
 *     server_start(&here, SERVER_IPV4, script, 2);
 *     ... server_url(&here, "/v1/traces", url, sizeof url) ...
 *     server_stop(&here);
 *     ... server_num_spans(&here), server_request_at(&here, 0) ...
 *     server_release(&here);
 *
 * Each request takes the next step; the last step is repeated for ever; no steps: always 200.
 * grpc_server.h speaks HTTP/2 with the same sockets, scripts and records.
 */
#ifndef SERVER_H_INCLUDED
#define SERVER_H_INCLUDED

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(TESTS_HAVE_ZLIB)
#include <zlib.h>
#endif

#include "otlp.h"

#define SERVER_FN __attribute__((unused)) static

#define SERVER_OK \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n" \
    "Content-Length: 0\r\n\r\n"
#define SERVER_STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"

enum {
    SERVER_MAX_CONNECTIONS = 64, /* at once */
    SERVER_MAX_REQUESTS = 128,   /* kept with head and body; more are only counted */
    SERVER_MAX_HEAD = 4096,
    SERVER_ENDLESS = -1
};

typedef enum server_family { SERVER_IPV4, SERVER_IPV6, SERVER_UNIX } server_family;

/* When a step begins. */
typedef enum server_when {
    SERVER_AT_REQUEST = 0, /* the request is complete                         */
    SERVER_AT_HEAD,        /* its head is complete: the body is never read    */
    SERVER_AT_ACCEPT,      /* the connection is made: nothing is read         */
    SERVER_AT_BYTES        /* so many bytes (at_bytes) of it, and no more, were read; if the
                              connection is kept, the rest of it takes the next step */
} server_when;

/* What follows the reply. */
typedef enum server_after {
    SERVER_KEEP = 0, /* wait for the next request                             */
    SERVER_CLOSE,    /* orderly                                               */
    SERVER_RESET,    /* RST                                                   */
    SERVER_HALF,     /* end the sending direction, read on                    */
    SERVER_HANG      /* stay open, read and send nothing                      */
} server_after;

typedef struct server_step {
    const char *reply; /* NULL: nothing */
    size_t reply_size; /* 0: up to the NUL */
    int filler;        /* bytes 'a' behind it, or SERVER_ENDLESS */
    int delay_ms;      /* before the first byte */
    int drip_ms;       /* between single bytes; 0: all at once */
    int linger_ms;     /* from the last byte to what follows */
    server_when when;
    server_after after;
    size_t at_bytes;    /* for SERVER_AT_BYTES                                */
    const char *repeat; /* what the filler consists of instead, over and over */
} server_step;

/* One request as it came. */
typedef struct server_request {
    char head[SERVER_MAX_HEAD]; /* request line and headers, lines end in \n */
    otlp_bytes body;            /* inflated, if it came as gzip */
    size_t wire_size;           /* of head and body as they came */
    bool gzip;
    size_t num_spans;
    unsigned connection; /* counts from 0 in the order of accept */
    long long time_ms;   /* of its last byte, see server_now_ms */
} server_request;

/* One span as it came: for the search for duplicates and strangers. */
typedef struct server_span {
    unsigned char span_id[8];
    unsigned char trace_id[16];
    unsigned char parent_id[8];
    char name[24];
} server_span;

typedef struct server server;
typedef struct server_connection server_connection;

/* What another protocol does in place of HTTP/1.1; all may look at c->step. */
typedef struct server_protocol {
    void (*accepted_fn)(server *s, server_connection *c);
    void (*arrived_fn)(server *s, server_connection *c); /* bytes, in c->in; or a step is over */
    void (*write_fn)(server *s, server_connection *c);   /* it wanted POLLOUT, and may */
    short (*wants_fn)(server *s, server_connection *c);  /* events of poll, when it is not hung */
    void (*ended_fn)(server_connection *c);
} server_protocol;

struct server_connection {
    int fd; /* -1: free */
    unsigned number;
    unsigned char *in;
    size_t in_size;
    size_t in_capacity;
    size_t taken;            /* bytes read of the request under way */
    const server_step *step; /* NULL: reading a request */
    size_t sent;             /* of the reply and its filler */
    long long due_ms;        /* nothing is done on it before */
    bool hung;
    void *state; /* of the protocol */
};

struct server {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards everything below but the sockets */
    server_family family;
    const server_protocol *protocol; /* NULL: HTTP/1.1 */
    int listener;
    int wake[2];
    uint16_t port;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    const server_step *steps;
    size_t num_steps;
    size_t next_step;
    server_connection connections[SERVER_MAX_CONNECTIONS];
    unsigned num_connections; /* accepted so far */
    unsigned num_requests;
    unsigned num_bad; /* requests that broke a rule */
    char problem[128];
    server_request *requests;
    server_span *spans;
    size_t num_spans;
    size_t max_spans;
    char filler[16384];
    bool stopping;
    bool running;
    bool begun; /* atomic: the thread runs its own code */
};

SERVER_FN long long server_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

SERVER_FN void server_sleep_ms(int ms) {
    struct timespec left;
    left.tv_sec = ms / 1000;
    left.tv_nsec = (long)(ms % 1000) * 1000000;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Within which something happens that waits for nothing, or is over at its deadline, on a machine
   that is busy with other things. What is wrong waits longer. */
enum { SERVER_SOON_MS = 2000 };

/* Waits for a child: its exit code, 1000 and more for a signal, -1 when it did not end and was
   killed. The limit is counted in naps: they take longer on a busy machine, as the child does, and
   one that stood still for a while does not count as time that the child had. */
SERVER_FN int server_wait_child(pid_t pid, int max_naps_ms) {
    int status = 0, naps;
    pid_t ended = 0;
    for (naps = 0; naps < max_naps_ms; naps++) {
        ended = waitpid(pid, &status, WNOHANG);
        if (ended != 0 && !(ended < 0 && errno == EINTR)) break;
        server_sleep_ms(1);
    }
    if (naps == max_naps_ms) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return -1;
    }
    if (ended < 0) return 2000 + errno; /* no such child */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* What that means. */
SERVER_FN const char *server_child_words(int code, char *out, size_t capacity) {
    if (code < 0) (void)snprintf(out, capacity, "did not end in time");
    else if (code >= 2000) (void)snprintf(out, capacity, "waitpid failed, errno %d", code - 2000);
    else if (code >= 1000) (void)snprintf(out, capacity, "signal %d", code - 1000);
    else (void)snprintf(out, capacity, "exit code %d", code);
    return out;
}

/* ---- Records -------------------------------------------------------------------------------- */

SERVER_FN void server_keep_span(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                                void *user_data) {
    server *s = (server *)user_data;
    server_span *kept;
    otlp_field field;
    (void)scope_spans;
    (void)resource_spans;
    if (s->num_spans == s->max_spans) {
        size_t capacity = s->max_spans == 0 ? 1024 : s->max_spans * 2;
        server_span *more = (server_span *)realloc(s->spans, capacity * sizeof *more);
        if (more == NULL) abort();
        s->spans = more;
        s->max_spans = capacity;
    }
    kept = &s->spans[s->num_spans++];
    memset(kept, 0, sizeof *kept);
    if (otlp_get(span, 1, 0, &field) && field.bytes.size == 16) {
        memcpy(kept->trace_id, field.bytes.at, 16);
    }
    if (otlp_get(span, 2, 0, &field) && field.bytes.size == 8) {
        memcpy(kept->span_id, field.bytes.at, 8);
    }
    if (otlp_get(span, 4, 0, &field) && field.bytes.size == 8) {
        memcpy(kept->parent_id, field.bytes.at, 8);
    }
    (void)otlp_get(span, 5, 0, &field);
    (void)snprintf(kept->name, sizeof kept->name, "%.*s", (int)field.bytes.size,
                   field.bytes.size > 0 ? (const char *)field.bytes.at : "");
}

SERVER_FN void server_blame(server *s, const char *problem) {
    if (s->num_bad++ == 0) (void)snprintf(s->problem, sizeof s->problem, "%s", problem);
}

/* The value of a header in a recorded head, or of the index-th of that name; NULL: absent. */
SERVER_FN const char *server_header_in(const char *head, const char *name, size_t index, char *out,
                                       size_t capacity) {
    size_t name_size = strlen(name);
    const char *line = strchr(head, '\n');
    for (; line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
        const char *at = line + 1;
        size_t i = 0;
        while (i < name_size && (at[i] | 0x20) == (name[i] | 0x20)) i++;
        if (i < name_size || at[i] != ':' || index-- > 0) continue;
        at += name_size + 1;
        while (*at == ' ' || *at == '\t') at++;
        (void)snprintf(out, capacity, "%.*s", (int)strcspn(at, "\n"), at);
        return out;
    }
    return NULL;
}

SERVER_FN void server_check_head(server *s, const char *head) {
    char value[64];
    if (strncmp(head, "POST ", 5) != 0) server_blame(s, "not a POST");
    if (strstr(head, " HTTP/1.1\n") == NULL) server_blame(s, "not HTTP/1.1");
    if (server_header_in(head, "Host", 0, value, sizeof value) == NULL ||
        server_header_in(head, "Host", 1, value, sizeof value) != NULL) {
        server_blame(s, "not one Host header");
    }
    if (server_header_in(head, "Content-Length", 1, value, sizeof value) != NULL) {
        server_blame(s, "Content-Length twice");
    }
    if (server_header_in(head, "Content-Type", 0, value, sizeof value) == NULL ||
        strcmp(value, "application/x-protobuf") != 0) {
        server_blame(s, "not application/x-protobuf (OT-01)");
    }
}

/* The body of a request, inflated into memory that is the caller's to free; NULL: not gzip. */
SERVER_FN unsigned char *server_inflate(otlp_bytes from, size_t *out_size) {
    unsigned char *out = NULL;
#if defined(TESTS_HAVE_ZLIB)
    size_t capacity = from.size * 40 + 65536;
    z_stream z;
    memset(&z, 0, sizeof z);
    out = (unsigned char *)malloc(capacity);
    if (out == NULL || inflateInit2(&z, 15 + 16) != Z_OK) abort();
    z.next_in = (Bytef *)(uintptr_t)from.at, z.avail_in = (uInt)from.size;
    z.next_out = out, z.avail_out = (uInt)capacity;
    if (inflate(&z, Z_FINISH) != Z_STREAM_END || z.avail_in != 0) {
        free(out);
        out = NULL;
    }
    *out_size = z.total_out;
    (void)inflateEnd(&z);
#else
    (void)from, (void)out_size;
#endif
    return out;
}

/* Keeps a request whose head is text already and whose body is a message, maybe gzip. */
SERVER_FN void server_keep_request(server *s, const server_connection *c, const char *head,
                                   otlp_bytes body, bool gzip, size_t wire_size) {
    unsigned char *inflated = NULL;
    const char *problem;
    size_t first_span = s->num_spans;
    if (gzip) {
        inflated = server_inflate(body, &body.size);
        if (inflated == NULL) server_blame(s, "a body that is not what its encoding says");
        body.at = inflated;
        if (inflated == NULL) body.size = 0;
    }
    problem = otlp_check(OTLP_REQUEST, body, 0);
    if (problem != NULL) server_blame(s, problem);
    if (otlp_each_span(body, server_keep_span, s) == 0) {
        server_blame(s, "a request without spans (OT-08)");
    }
    if (s->num_requests < SERVER_MAX_REQUESTS) {
        server_request *r = &s->requests[s->num_requests];
        unsigned char *copy = (unsigned char *)malloc(body.size + 1);
        if (copy == NULL) abort();
        if (body.size > 0) memcpy(copy, body.at, body.size);
        (void)snprintf(r->head, sizeof r->head, "%s", head);
        r->body.at = copy;
        r->body.size = body.size;
        r->wire_size = wire_size;
        r->gzip = inflated != NULL;
        r->num_spans = s->num_spans - first_span;
        r->connection = c->number;
        r->time_ms = server_now_ms();
    }
    s->num_requests++;
    free(inflated);
}

SERVER_FN void server_record(server *s, const server_connection *c, size_t head_size,
                             size_t body_size) {
    char head[SERVER_MAX_HEAD], encoding[16];
    otlp_bytes body;
    bool gzip = false;
    size_t i, used = 0;
    for (i = 0; i < head_size && used + 1 < sizeof head; i++) {
        if (c->in[i] != '\r') head[used++] = (char)c->in[i];
    }
    head[used] = '\0';
    body.at = c->in + head_size;
    body.size = body_size;
    server_check_head(s, head);
    if (server_header_in(head, "Content-Encoding", 0, encoding, sizeof encoding) != NULL) {
        gzip = strcmp(encoding, "gzip") == 0;
        if (!gzip) server_blame(s, "an encoding that is not gzip");
    }
    server_keep_request(s, c, head, body, gzip, head_size + body_size);
}

/* ---- Connections ---------------------------------------------------------------------------- */

SERVER_FN void server_drop(server *s, server_connection *c, bool reset) {
    if (reset) {
        struct linger now = {1, 0};
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)close(c->fd);
    if (s->protocol != NULL) s->protocol->ended_fn(c);
    free(c->in);
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

SERVER_FN const server_step *server_peek(server *s) {
    static const server_step usual = {.reply = SERVER_OK};
    size_t index = s->next_step;
    if (s->num_steps == 0) return &usual;
    return &s->steps[index < s->num_steps ? index : s->num_steps - 1];
}

/* Begins a step if it is its time: true when one is under way. */
SERVER_FN bool server_begin(server *s, server_connection *c, server_when when) {
    const server_step *step = server_peek(s);
    if (c->step != NULL || step->when != when) return c->step != NULL;
    if (when == SERVER_AT_BYTES && c->taken < step->at_bytes) return false;
    s->next_step++;
    c->step = step;
    c->sent = 0;
    c->due_ms = server_now_ms() + step->delay_ms;
    return true;
}

SERVER_FN void server_accept(server *s) {
    int fd = accept(s->listener, NULL, NULL);
    int yes = 1;
    size_t i;
    if (fd < 0) return;
    /* What is sent is on its way when a reset follows. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
        server_connection *c = &s->connections[i];
        if (c->fd >= 0) continue;
        memset(c, 0, sizeof *c);
        c->fd = fd;
        c->number = s->num_connections++;
        if (s->protocol != NULL) {
            s->protocol->accepted_fn(s, c);
            return;
        }
        if (!server_begin(s, c, SERVER_AT_ACCEPT)) (void)server_begin(s, c, SERVER_AT_BYTES);
        return;
    }
    (void)close(fd);
    server_blame(s, "too many connections");
}

/* Size of the head with its empty line, 0 while incomplete. */
SERVER_FN size_t server_head_size(const server_connection *c) {
    size_t i;
    for (i = 3; i < c->in_size; i++) {
        if (memcmp(c->in + i - 3, "\r\n\r\n", 4) == 0) return i + 1;
    }
    return 0;
}

SERVER_FN size_t server_body_size(const server_connection *c, size_t head_size) {
    size_t i;
    for (i = 0; i + 17 < head_size; i++) {
        if (strncasecmp((const char *)c->in + i, "\r\ncontent-length:", 17) == 0) {
            return (size_t)strtoul((const char *)c->in + i + 17, NULL, 10);
        }
    }
    return 0;
}

/* Handles what has arrived until a step is under way or more must come. */
SERVER_FN void server_parse(server *s, server_connection *c) {
    if (s->protocol != NULL) {
        s->protocol->arrived_fn(s, c);
        return;
    }
    while (c->step == NULL && !c->hung) {
        size_t head_size = server_head_size(c);
        size_t body_size;
        if (server_begin(s, c, SERVER_AT_BYTES) || head_size == 0) return;
        if (server_begin(s, c, SERVER_AT_HEAD)) return;
        body_size = server_body_size(c, head_size);
        if (c->in_size < head_size + body_size) return;
        server_record(s, c, head_size, body_size);
        c->in_size -= head_size + body_size;
        c->taken = c->in_size;
        memmove(c->in, c->in + head_size + body_size, c->in_size);
        (void)server_begin(s, c, SERVER_AT_REQUEST);
    }
}

SERVER_FN void server_read(server *s, server_connection *c) {
    const server_step *next = server_peek(s);
    ssize_t got;
    size_t room;
    if (c->in_capacity - c->in_size < 65536) {
        size_t capacity = c->in_capacity == 0 ? 131072 : c->in_capacity * 2;
        unsigned char *more = (unsigned char *)realloc(c->in, capacity);
        if (more == NULL) abort();
        c->in = more;
        c->in_capacity = capacity;
    }
    room = c->in_capacity - c->in_size - 1;
    if (next->when == SERVER_AT_BYTES && next->at_bytes > c->taken &&
        next->at_bytes - c->taken < room) {
        room = next->at_bytes - c->taken;
    }
    got = recv(c->fd, c->in + c->in_size, room, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        server_drop(s, c, false);
    } else if (got > 0) {
        c->in_size += (size_t)got;
        c->taken += (size_t)got;
        c->in[c->in_size] = 0; /* strtoul stops here */
        server_parse(s, c);
    }
}

SERVER_FN void server_finish_step(server *s, server_connection *c) {
    const server_step *step = c->step;
    c->step = NULL;
    c->hung = step->after == SERVER_HANG;
    if (step->after == SERVER_CLOSE || step->after == SERVER_RESET) {
        server_drop(s, c, step->after == SERVER_RESET);
        return;
    }
    if (step->after == SERVER_HALF) (void)shutdown(c->fd, SHUT_WR);
    if (!c->hung) server_parse(s, c);
}

/* Sends what is due of the reply and its filler. */
SERVER_FN void server_write(server *s, server_connection *c) {
    const server_step *step = c->step;
    size_t size =
        step->reply_size != 0 || step->reply == NULL ? step->reply_size : strlen(step->reply);
    size_t total = step->filler < 0 ? SIZE_MAX : size + (size_t)step->filler;
    const char *from = s->filler;
    size_t part = sizeof s->filler;
    ssize_t sent;
    if (c->sent == total) {
        server_finish_step(s, c);
        return;
    }
    if (c->sent < size) {
        from = step->reply + c->sent;
        part = size - c->sent;
    } else if (step->repeat != NULL) {
        part = strlen(step->repeat);
        from = step->repeat + (c->sent - size) % part;
        part -= (c->sent - size) % part;
    }
    if (part > total - c->sent) part = total - c->sent;
    if (step->drip_ms > 0) part = 1;
    sent = send(c->fd, from, part, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        server_drop(s, c, false);
        return;
    }
    if (sent > 0) c->sent += (size_t)sent;
    c->due_ms = server_now_ms() + (c->sent == total ? step->linger_ms : step->drip_ms);
    if (c->sent == total && step->linger_ms == 0) server_finish_step(s, c);
}

/* ---- The thread ----------------------------------------------------------------------------- */

SERVER_FN short server_wants(server *s, server_connection *c, long long now, int *timeout) {
    if (c->hung) return 0;
    if (s->protocol != NULL) {
        short events = s->protocol->wants_fn(s, c);
        if ((events & POLLOUT) == 0 || c->due_ms <= now) return events;
        if (*timeout < 0 || c->due_ms - now < *timeout) *timeout = (int)(c->due_ms - now);
        return (short)(events & ~POLLOUT);
    }
    if (c->step == NULL) return POLLIN;
    if (c->due_ms <= now) return POLLOUT;
    if (*timeout < 0 || c->due_ms - now < *timeout) *timeout = (int)(c->due_ms - now);
    return 0;
}

SERVER_FN void server_turn(server *s) {
    struct pollfd fds[SERVER_MAX_CONNECTIONS + 2];
    int timeout = -1;
    size_t i;
    long long now = server_now_ms();
    fds[0].fd = s->wake[0], fds[0].events = POLLIN;
    fds[1].fd = s->listener, fds[1].events = POLLIN;
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
        server_connection *c = &s->connections[i];
        fds[i + 2].events = c->fd >= 0 ? server_wants(s, c, now, &timeout) : 0;
        fds[i + 2].fd = fds[i + 2].events != 0 ? c->fd : -1;
        fds[i + 2].revents = 0;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    (void)poll(fds, SERVER_MAX_CONNECTIONS + 2, timeout);
    (void)pthread_mutex_lock(&s->mutex);
    if (fds[1].revents != 0) server_accept(s);
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
        server_connection *c = &s->connections[i];
        if (fds[i + 2].fd < 0 || c->fd != fds[i + 2].fd || fds[i + 2].revents == 0) continue;
        if ((fds[i + 2].events & POLLIN) != 0 && (fds[i + 2].revents & ~POLLOUT) != 0) {
            server_read(s, c);
        }
        if (c->fd != fds[i + 2].fd || (fds[i + 2].events & POLLOUT) == 0 ||
            (fds[i + 2].revents & ~POLLIN) == 0) {
            continue;
        }
        if (s->protocol != NULL) {
            s->protocol->write_fn(s, c);
        } else {
            server_write(s, c);
        }
    }
}

SERVER_FN void *server_main(void *user_data) {
    server *s = (server *)user_data;
    size_t i;
    (void)pthread_mutex_lock(&s->mutex);
    __atomic_store_n(&s->begun, true, __ATOMIC_RELEASE);
    while (!s->stopping) server_turn(s);
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
        if (s->connections[i].fd >= 0) server_drop(s, &s->connections[i], false);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* ---- Start and stop ------------------------------------------------------------------------- */

/* A bound socket; port 0 takes a free one. path is made up for Unix sockets. -1: not here. */
SERVER_FN int server_bind(server_family family, uint16_t *port, char *path, size_t capacity) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr *address = (struct sockaddr *)&v4;
    socklen_t size = sizeof v4;
    int yes = 1;
    int fd = socket(family == SERVER_UNIX   ? AF_UNIX
                    : family == SERVER_IPV6 ? AF_INET6
                                            : AF_INET,
                    SOCK_STREAM, 0);
    if (fd < 0) return -1;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    memset(&un, 0, sizeof un);
    v4.sin_family = AF_INET, v4.sin_port = htons(*port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_family = AF_INET6, v6.sin6_port = htons(*port), v6.sin6_addr = in6addr_loopback;
    if (family == SERVER_IPV6) address = (struct sockaddr *)&v6, size = sizeof v6;
    if (family == SERVER_UNIX) {
        static unsigned serial;
        const char *folder = getenv("TMPDIR");
        (void)snprintf(path, capacity, "%s/hotel-%ld-%u.sock",
                       folder != NULL && strlen(folder) < 64 ? folder : "/tmp", (long)getpid(),
                       serial++);
        un.sun_family = AF_UNIX;
        (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
        address = (struct sockaddr *)&un, size = sizeof un;
        (void)unlink(path);
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    }
    if (bind(fd, address, size) != 0 || getsockname(fd, address, &size) != 0) {
        (void)close(fd);
        return -1;
    }
    if (family == SERVER_IPV4) *port = ntohs(v4.sin_port);
    if (family == SERVER_IPV6) *port = ntohs(v6.sin6_port);
    return fd;
}

/* Starts on a given port, 0 for a free one, with another protocol than HTTP/1.1 if there is one.
   False when this machine has no such address. */
SERVER_FN bool server_start_with(server *s, server_family family, uint16_t port,
                                 const server_protocol *protocol, const server_step *steps,
                                 size_t num_steps) {
    sigset_t all, former;
    size_t i;
    memset(s, 0, sizeof *s);
    s->family = family;
    s->protocol = protocol;
    s->port = port;
    s->steps = steps;
    s->num_steps = num_steps;
    memset(s->filler, 'a', sizeof s->filler);
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) s->connections[i].fd = -1;
    s->listener = server_bind(family, &s->port, s->path, sizeof s->path);
    if (s->listener < 0) return false;
    s->requests = (server_request *)calloc(SERVER_MAX_REQUESTS, sizeof *s->requests);
    if (s->requests == NULL || listen(s->listener, 64) != 0 || pipe(s->wake) != 0) abort();
    (void)fcntl(s->listener, F_SETFL, O_NONBLOCK);
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    if (pthread_create(&s->thread, NULL, server_main, s) != 0) abort();
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    /* A sanitizer's runtime holds locks while a thread begins, and a child forked then waits for
       them for ever. */
    while (!__atomic_load_n(&s->begun, __ATOMIC_ACQUIRE)) server_sleep_ms(1);
    s->running = true;
    return true;
}

SERVER_FN bool server_start_at(server *s, server_family family, uint16_t port,
                               const server_step *steps, size_t num_steps) {
    return server_start_with(s, family, port, NULL, steps, num_steps);
}

SERVER_FN bool server_start(server *s, server_family family, const server_step *steps,
                            size_t num_steps) {
    return server_start_at(s, family, 0, steps, num_steps);
}

/* Closes everything. The records stay until server_release. */
SERVER_FN void server_stop(server *s) {
    if (!s->running) return;
    (void)pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    (void)pthread_mutex_unlock(&s->mutex);
    if (write(s->wake[1], "x", 1) != 1) abort();
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
    (void)close(s->wake[0]);
    (void)close(s->wake[1]);
    if (s->family == SERVER_UNIX) (void)unlink(s->path);
    s->running = false;
}

SERVER_FN void server_release(server *s) {
    size_t i;
    server_stop(s);
    for (i = 0; i < SERVER_MAX_REQUESTS && s->requests != NULL; i++) {
        free((void *)(uintptr_t)s->requests[i].body.at);
    }
    free(s->requests);
    free(s->spans);
    memset(s, 0, sizeof *s);
}

/* fork, at a moment when the server's thread holds no lock and its table is complete. The child
   gives up the inherited sockets, so that the parent's closing is seen by the peer. */
SERVER_FN pid_t server_fork(server *s) {
    pid_t pid;
    size_t i;
    if (!s->running) return fork();
    (void)pthread_mutex_lock(&s->mutex);
    pid = fork();
    if (pid != 0) {
        (void)pthread_mutex_unlock(&s->mutex);
        return pid;
    }
    for (i = 0; i < SERVER_MAX_CONNECTIONS; i++) {
        if (s->connections[i].fd >= 0) (void)close(s->connections[i].fd);
    }
    (void)close(s->listener);
    s->running = false;
    return 0;
}

/* ---- For the test --------------------------------------------------------------------------- */

/* An endpoint with this path ("" for none). */
SERVER_FN const char *server_url(const server *s, const char *path, char *out, size_t capacity) {
    int size;
    if (s->family == SERVER_UNIX) {
        size = snprintf(out, capacity, "unix:%s%s%s", s->path, *path != '\0' ? ":" : "", path);
    } else {
        size = snprintf(out, capacity, "http://%s:%u%s",
                        s->family == SERVER_IPV6 ? "[::1]" : "127.0.0.1", (unsigned)s->port, path);
    }
    if (size < 0 || (size_t)size >= capacity) abort();
    return out;
}

SERVER_FN unsigned server_num_requests(server *s) {
    unsigned count;
    (void)pthread_mutex_lock(&s->mutex);
    count = s->num_requests;
    (void)pthread_mutex_unlock(&s->mutex);
    return count;
}

SERVER_FN size_t server_num_spans(server *s) {
    size_t count;
    (void)pthread_mutex_lock(&s->mutex);
    count = s->num_spans;
    (void)pthread_mutex_unlock(&s->mutex);
    return count;
}

/* Waits until so many requests came; false when they did not in time. */
SERVER_FN bool server_wait(server *s, unsigned num_requests, int timeout_ms) {
    long long end = server_now_ms() + timeout_ms;
    while (server_num_requests(s) < num_requests) {
        if (server_now_ms() > end) return false;
        server_sleep_ms(2);
    }
    return true;
}

/* A kept request; an empty one when it did not come. */
SERVER_FN const server_request *server_request_at(server *s, unsigned index) {
    static const server_request none;
    unsigned count = server_num_requests(s);
    return index < count && index < SERVER_MAX_REQUESTS ? &s->requests[index] : &none;
}

/* The request target of a kept request. */
SERVER_FN const char *server_target(const server_request *r, char *out, size_t capacity) {
    const char *from = strchr(r->head, ' ');
    out[0] = '\0';
    if (from != NULL)
        (void)snprintf(out, capacity, "%.*s", (int)strcspn(from + 1, " \n"), from + 1);
    return out;
}

SERVER_FN int server_compare_spans(const void *left, const void *right) {
    return memcmp(left, right, 24); /* span id, then trace id */
}

/* Spans that came more than once. Sorts the records. */
SERVER_FN size_t server_num_duplicates(server *s) {
    size_t i, count = 0;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->num_spans > 1) qsort(s->spans, s->num_spans, sizeof *s->spans, server_compare_spans);
    for (i = 1; i < s->num_spans; i++) {
        count += server_compare_spans(&s->spans[i - 1], &s->spans[i]) == 0;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return count;
}

SERVER_FN size_t server_num_named(server *s, const char *name) {
    size_t i, count = 0;
    (void)pthread_mutex_lock(&s->mutex);
    for (i = 0; i < s->num_spans; i++) count += strcmp(s->spans[i].name, name) == 0;
    (void)pthread_mutex_unlock(&s->mutex);
    return count;
}

/* ---- Endpoints that are no servers ---------------------------------------------------------- */

/* A port on which nobody listens. It stays taken until the descriptor is closed. */
SERVER_FN int server_refusing_port(uint16_t *port) {
    char path[8];
    *port = 0;
    return server_bind(SERVER_IPV4, port, path, sizeof path);
}

/* A port that answers no SYN: its backlog is full. fds are the sockets to close afterwards. */
SERVER_FN void server_black_hole(uint16_t *port, int fds[8]) {
    struct sockaddr_in address;
    char path[8];
    int i;
    *port = 0;
    fds[0] = server_bind(SERVER_IPV4, port, path, sizeof path);
    if (fds[0] < 0 || listen(fds[0], 0) != 0) abort();
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(*port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (i = 1; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof address);
    }
}

#endif
