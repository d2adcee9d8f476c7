/*
 * SPDX-License-Identifier: MIT
 *
 * test_sweep.c - the connection ends at every byte of the exchange: behind each byte of the request
 * that the server has read, behind each byte that the client got out, behind each byte of the
 * reply; closed and reset; first over sockets, then over a transport in memory, where what has
 * arrived is known to the byte. Every time the span is delivered once or counted as failed, and a
 * kept connection that dies under a request is replaced at once. Rules OR-03, OR-16, OR-18, OT-06.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

enum { MAX_STEPS = 4096 };

/* Short enough that no second attempt fits behind a back-off. */
enum { ONE_ATTEMPT_MS = 300 };

static void end_span(void) {
    hotel_span span = hotel_start_as("fault", HOTEL_CLIENT);
    hotel_set_str(&span, "key", "value");
    hotel_end(&span);
}

static const char *const reply_names[] = {"Content-Length", "chunks", "a partial success"};
static const struct {
    const char *bytes;
    size_t size;
} replies[] = {
#define REPLY(literal) \
    { literal, sizeof(literal) - 1 }
    REPLY("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n"
          "\x0a\x00"),
    REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          "1;a=b\r\n\x0a\r\n1\r\n\x00\r\n0\r\nX: y\r\n\r\n"),
    REPLY("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
          "\x0a\x04\x12\x02hm"),
#undef REPLY
};
enum { NUM_REPLIES = 3 };

/* ---- Over sockets ---------------------------------------------------------------------------- */

static server_step steps[MAX_STEPS];

typedef struct tally {
    unsigned delivered, failed, other;
    long long longest_ms;
} tally;

static void export_one(tally *t) {
    long long began = server_now_ms();
    hotel_result result;
    end_span();
    result = hotel_flush(5000);
    began = server_now_ms() - began;
    if (began > t->longest_ms) t->longest_ms = began;
    if (result == HOTEL_OK)
        t->delivered++;
    else if (result == HOTEL_ERR_FAILED)
        t->failed++;
    else
        t->other++;
}

static void begin(server *s, size_t num_steps, uint32_t timeout_ms) {
    static char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(s, SERVER_IPV4, steps, num_steps)) abort();
    to = destination(server_url(s, "", url, sizeof url));
    to.timeout_ms = timeout_ms;
    log_clear();
    if (hotel_init(&config) != HOTEL_OK) note("hotel_init failed");
    open_books();
}

static void finish(server *s, const char *name) {
    (void)hotel_shutdown(1000);
    server_stop(s);
    is_int(s->num_bad, 0, "%s: every request is right (%s)", name, s->problem);
    check_books(name);
}

/* Bytes of a request with head and body. */
static size_t request_size(void) {
    server s;
    tally t;
    size_t size;
    memset(&t, 0, sizeof t);
    begin(&s, 0, 0);
    export_one(&t);
    (void)hotel_shutdown(1000);
    server_stop(&s);
    size = server_request_at(&s, 0)->wire_size;
    server_release(&s);
    return size;
}

/* The connection ends when n bytes of the request were read, for all n but the last: never does a
   span get through, nor is it lost without being counted. */
static void sweep_fresh(size_t size, server_after after, const char *how) {
    server s;
    tally t;
    size_t n;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 0; n < size; n++) {
        steps[n].when = SERVER_AT_BYTES;
        steps[n].at_bytes = n;
        steps[n].after = after;
    }
    begin(&s, size, ONE_ATTEMPT_MS);
    for (n = 0; n < size; n++) export_one(&t);
    finish(&s, how);
    ok(t.failed == size && t.delivered == 0 && t.other == 0 && s.num_spans == 0,
       "OR-03 %s at every byte of the request: %u given up, %u delivered", how, t.failed,
       t.delivered);
    ok(t.longest_ms < ONE_ATTEMPT_MS + 400, "OR-09 ... at most after %lld ms", t.longest_ms);
    is_int(since_opened(0).failed, size, "... and counted");
    server_release(&s);
}

/* The same to a connection that has served before: replaced at once, the span delivered. */
static void sweep_kept(size_t size, server_after after, const char *how) {
    server s;
    tally t;
    size_t n, count = 0;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 0; n < size; n++) {
        steps[count].when = SERVER_AT_BYTES;
        steps[count].at_bytes = n;
        steps[count++].after = after;
        steps[count++].reply = SERVER_OK;
    }
    /* The first request meets a step of its own. */
    memmove(steps + 1, steps, count * sizeof steps[0]);
    memset(steps, 0, sizeof steps[0]);
    steps[0].reply = SERVER_OK;
    begin(&s, count + 1, ONE_ATTEMPT_MS);
    export_one(&t);
    for (n = 0; n < size; n++) export_one(&t);
    finish(&s, how);
    ok(t.delivered == size + 1 && t.failed == 0 && t.other == 0,
       "OR-18 %s at every byte of a request on a kept connection: %u delivered, %u lost", how,
       t.delivered, t.failed);
    ok(t.longest_ms < 400, "OR-18 ... at once, at most after %lld ms", t.longest_ms);
    is_int(s.num_spans, size + 1, "OR-18 ... every span came");
    is_int(server_num_duplicates(&s), 0, "OR-18 ... once");
    is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY) + log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0,
           "OR-18 ... and nothing is logged");
    server_release(&s);
}

/* The connection ends behind n bytes of the reply. The span has come; whether it was accepted, only
   the whole reply says. */
static void sweep_reply(size_t which, server_after after, const char *how) {
    server s;
    tally t;
    size_t n, size = replies[which].size;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 1; n <= size; n++) {
        steps[n - 1].reply = replies[which].bytes;
        steps[n - 1].reply_size = n;
        steps[n - 1].after = after;
    }
    begin(&s, size, ONE_ATTEMPT_MS);
    for (n = 1; n <= size; n++) export_one(&t);
    finish(&s, how);
    ok(t.delivered == 1 && t.failed == size - 1 && t.other == 0,
       "OT-06 %s at every byte of a reply with %s: %u given up, %u delivered", how,
       reply_names[which], t.failed, t.delivered);
    is_int(s.num_spans, size, "OT-06 ... every span came");
    is_int(server_num_duplicates(&s), 0, "OT-06 ... once");
    is_int(since_opened(0).accepted, 1, "OT-06 ... one is known to be accepted");
    server_release(&s);
}

/* With time for it, a second attempt delivers the same bytes. A sample: each waits for a
   back-off. */
static void sweep_retried(size_t size) {
    enum { SAMPLES = 4 };
    server servers[SAMPLES];
    server_step script[SAMPLES][2];
    char urls[SAMPLES][64];
    hotel_destination to[SAMPLES];
    hotel_config config = test_config(to, SAMPLES);
    size_t round, i;
    for (round = 0; round < 4; round++) {
        memset(script, 0, sizeof script);
        for (i = 0; i < SAMPLES; i++) {
            script[i][0].when = SERVER_AT_BYTES;
            script[i][0].at_bytes = (round * SAMPLES + i) * (size - 1) / 15;
            script[i][0].after = i % 2 == 0 ? SERVER_CLOSE : SERVER_RESET;
            script[i][1].reply = SERVER_OK;
            if (!server_start(&servers[i], SERVER_IPV4, script[i], 2)) abort();
            to[i] = destination(server_url(&servers[i], "", urls[i], sizeof urls[i]));
        }
        log_clear();
        (void)hotel_init(&config);
        open_books();
        end_span();
        is_int(hotel_flush(5000), HOTEL_OK, "OR-03 delivered at the second attempt");
        (void)hotel_shutdown(1000);
        for (i = 0; i < SAMPLES; i++) {
            server_stop(&servers[i]);
            ok(servers[i].num_spans == 1 && servers[i].num_bad == 0,
               "OR-16 ended at byte %zu, then delivered once", script[i][0].at_bytes);
            server_release(&servers[i]);
        }
        check_books("ended, then delivered");
    }
}

/* ---- Over memory ----------------------------------------------------------------------------- */

/* What happens on a connection: the peer takes so many bytes, gives so many of the reply. */
typedef struct wire {
    size_t take;     /* bytes that can be sent before the connection is lost */
    size_t give;     /* bytes of the reply before it is */
    size_t piece;    /* ... in pieces of at most this size; 0: all at once */
    bool orderly;    /* the peer closes; else the connection is lost */
    bool healthy;    /* the whole exchange works */
    unsigned opened; /* connections */
    size_t sent;     /* on this connection */
    size_t given;
    size_t size;       /* of the request, once known */
    unsigned complete; /* requests that were taken whole */
    const char *reply;
    size_t reply_size;
    bool wants; /* every other call is a want */
    bool toggle;
    unsigned char seen[2][2048]; /* the request on this connection, and on the last one */
} wire;

static void *wire_open(const char *host, uint16_t port, void *user_data) {
    wire *w = (wire *)user_data;
    (void)host, (void)port;
    memcpy(w->seen[1], w->seen[0], sizeof w->seen[1]);
    w->opened++;
    w->sent = w->given = 0;
    if (w->opened > 1) w->healthy = true;
    return w;
}

static int wire_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

static bool wire_stalls(wire *w) {
    w->toggle = !w->toggle;
    return w->wants && w->toggle;
}

static ptrdiff_t wire_send(void *connection, const void *bytes, size_t size) {
    wire *w = (wire *)connection;
    if (wire_stalls(w)) return HOTEL_IO_WANT_WRITE;
    if (w->piece != 0 && size > w->piece) size = w->piece;
    if (!w->healthy && size > w->take - w->sent) size = w->take - w->sent;
    if (size == 0) {
        errno = EPIPE;
        return HOTEL_IO_REFUSED;
    }
    if (w->sent + size > sizeof w->seen[0]) abort();
    memcpy(w->seen[0] + w->sent, bytes, size);
    w->sent += size;
    if (w->sent == w->size) w->complete++;
    return (ptrdiff_t)size;
}

static ptrdiff_t wire_receive(void *connection, void *bytes, size_t size) {
    wire *w = (wire *)connection;
    size_t end = w->healthy || w->give > w->reply_size ? w->reply_size : w->give;
    if (!w->healthy && w->sent == w->take && w->take < w->size)
        return w->orderly ? HOTEL_IO_CLOSED : HOTEL_IO_REFUSED;
    if (w->size == 0 || w->sent < w->size || wire_stalls(w)) return HOTEL_IO_WANT_READ;
    if (w->given == end && !w->healthy) return w->orderly ? HOTEL_IO_CLOSED : HOTEL_IO_REFUSED;
    if (w->given == end) return HOTEL_IO_WANT_READ;
    if (size > end - w->given) size = end - w->given;
    if (w->piece != 0 && size > w->piece) size = w->piece;
    memcpy(bytes, w->reply + w->given, size);
    w->given += size;
    return (ptrdiff_t)size;
}

/* Ready at any time: what is not is said by the calls. */
static int wire_ready[2];

static int wire_descriptor(void *connection) {
    (void)connection;
    return wire_ready[0];
}

static void wire_close(void *connection, bool inherited) {
    (void)connection, (void)inherited;
}

/* One span over a wire that ends; what became of it. Only with time is there a second attempt. */
static hotel_destination_stats exchange(wire *w, uint32_t timeout_ms) {
    hotel_transport t;
    hotel_destination to = destination("http://memory");
    hotel_config config = test_config(&to, 1);
    hotel_destination_stats d;
    t.open_fn = wire_open, t.connect_fn = wire_connect;
    t.send_fn = wire_send, t.receive_fn = wire_receive;
    t.descriptor_fn = wire_descriptor, t.close_fn = wire_close;
    t.user_data = w;
    to.transport = &t;
    to.timeout_ms = timeout_ms;
    config.no_threads = true;
    if (hotel_init(&config) != HOTEL_OK) abort();
    open_books();
    end_span();
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(100);
    d = since_opened(0);
    if (!books_balance()) d.failed = 99;
    return d;
}

/* n bytes of the request go out, or all of it and n bytes of the reply come back. */
static void sweep_memory(size_t size, size_t which, bool orderly, size_t piece, bool wants) {
    size_t n, total = size + replies[which].size;
    unsigned failed = 0, delivered = 0, wrong = 0;
    for (n = 0; n <= total; n++) {
        wire w;
        hotel_destination_stats d;
        memset(&w, 0, sizeof w);
        w.take = n < size ? n : size;
        w.give = n < size ? 0 : n - size;
        w.piece = piece, w.orderly = orderly, w.wants = wants;
        w.size = size;
        w.reply = replies[which].bytes, w.reply_size = replies[which].size;
        d = exchange(&w, 200);
        failed += d.failed == 1 && d.accepted == 0;
        delivered += d.accepted == 1 && d.failed == 0;
        /* All that was sent is sent once, and the last byte decides. */
        wrong += d.requests != 1 || d.bytes_sent != w.take || w.opened != 1 ||
                 (d.accepted == 1) != (n == total) || w.complete != (n >= size);
    }
    ok(wrong == 0 && delivered == 1 && failed == total,
       "OR-03 OT-06 %s at every byte, %s, pieces of %zu%s: %u given up, %u delivered, %u wrong",
       orderly ? "closed" : "lost", reply_names[which], piece, wants ? ", wants between" : "",
       failed, delivered, wrong);
}

/* With time: the second attempt sends the same bytes. */
static void sweep_memory_retried(size_t size) {
    size_t n, wrong = 0;
    for (n = 0; n < 4; n++) {
        wire w;
        hotel_destination_stats d;
        memset(&w, 0, sizeof w);
        w.take = n * size / 4;
        w.size = size;
        w.reply = replies[0].bytes, w.reply_size = replies[0].size;
        d = exchange(&w, 3000);
        wrong += d.accepted != 1 || d.requests != 2 || d.retries != 1 || w.complete != 1 ||
                 memcmp(w.seen[0], w.seen[1], w.take) != 0;
    }
    is_int(wrong, 0, "OR-16 lost in the request, then delivered with the same bytes");
}

int main(void) {
    size_t size, i;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    size = request_size();
    ok(size > 200 && 2 * size + 1 < MAX_STEPS, "a request has %zu bytes", size);
    sweep_fresh(size, SERVER_CLOSE, "closed");
    sweep_fresh(size, SERVER_RESET, "reset");
    sweep_kept(size, SERVER_CLOSE, "closed");
    sweep_kept(size, SERVER_RESET, "reset");
    for (i = 0; i < NUM_REPLIES; i++) {
        sweep_reply(i, SERVER_CLOSE, "closed");
        sweep_reply(i, SERVER_RESET, "reset");
    }
    sweep_retried(size);
    /* The host's name is another one. */
    size = size - (strlen("127.0.0.1:") + 5) + strlen("memory");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, wire_ready) != 0) abort();
    if (write(wire_ready[1], "x", 1) != 1) abort();
    for (i = 0; i < NUM_REPLIES; i++) {
        sweep_memory(size, i, true, 0, false);
        sweep_memory(size, i, false, 0, i == 1);
        sweep_memory(size, i, i == 1, 7, i != 1);
    }
    sweep_memory_retried(size);
    (void)close(wire_ready[0]);
    (void)close(wire_ready[1]);
    note("all of it took %lld ms", server_now_ms() - began);
    return done_testing();
}
