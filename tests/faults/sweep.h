/*
 * SPDX-License-Identifier: MIT
 *
 * sweep.h - the connection ends at every byte of an exchange, over sockets and over a transport in
 * memory, for HTTP and for gRPC. Include it behind hatchet_otel.h.
 */
#ifndef SWEEP_H_INCLUDED
#define SWEEP_H_INCLUDED

#include <strings.h>

#include "grpc_server.h"

#include "books.h"
#include "tap.h"

enum { MAX_STEPS = 4096 };

/* Short enough that no second attempt fits behind a back-off. */
enum { ONE_ATTEMPT_MS = 300 };

/* A whole answer. */
typedef struct sweep_answer {
    const char *name;
    const char *step;  /* of the server */
    size_t step_size;  /* of what it sends */
    const char *bytes; /* for the transport in memory, with what a connection begins with */
    size_t size;
} sweep_answer;

/* Set it where the exchange is one of gRPC. */
static bool sweep_of_grpc;

static const char *sweep_ok(void) {
    return sweep_of_grpc ? GRPC_OK : SERVER_OK;
}

static void end_span(void) {
    hotel_span span = hotel_start_as("fault", HOTEL_CLIENT);
    hotel_set_str(&span, "key", "value");
    hotel_end(&span);
}

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

/* A destination whose server is started with this script. */
static hotel_destination served_by(grpc_server *g, const server_step *script, size_t num_steps,
                                   char *url, size_t capacity) {
    hotel_destination to;
    memset(g, 0, sizeof *g);
    if (!(sweep_of_grpc ? grpc_start(g, script, num_steps)
                        : server_start(&g->http, SERVER_IPV4, script, num_steps))) {
        abort();
    }
    to = destination(server_url(&g->http, "", url, capacity));
    to.protocol = sweep_of_grpc ? HOTEL_PROTOCOL_GRPC : HOTEL_PROTOCOL_HTTP;
    return to;
}

static void begin(grpc_server *g, size_t num_steps, uint32_t timeout_ms) {
    static char url[64];
    hotel_destination to = served_by(g, steps, num_steps, url, sizeof url);
    hotel_config config = test_config(&to, 1);
    to.timeout_ms = timeout_ms;
    log_clear();
    if (hotel_init(&config) != HOTEL_OK) note("hotel_init failed");
    open_books();
}

static void finish(grpc_server *g, const char *name) {
    server *s = &g->http;
    (void)hotel_shutdown(1000);
    server_stop(s);
    is_int(s->num_bad, 0, "%s: every request is right (%s)", name, s->problem);
    check_books(name);
}

/* Bytes of the request number `index` of a connection, with head and body. */
static size_t request_size(size_t num_steps, unsigned index) {
    grpc_server g;
    tally t;
    unsigned i;
    size_t size;
    memset(&t, 0, sizeof t);
    begin(&g, num_steps, ONE_ATTEMPT_MS);
    for (i = 0; i <= index; i++) export_one(&t);
    (void)hotel_shutdown(1000);
    server_stop(&g.http);
    size = server_request_at(&g.http, index)->wire_size;
    server_release(&g.http);
    return size;
}

/* The connection ends when n bytes of the request were read, for all n but the last: never does a
   span get through, nor is it lost without being counted. */
static void sweep_fresh(size_t size, server_after after, const char *how) {
    grpc_server g;
    tally t;
    size_t n;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 0; n < size; n++) {
        steps[n].when = SERVER_AT_BYTES;
        steps[n].at_bytes = n;
        steps[n].after = after;
    }
    begin(&g, size, ONE_ATTEMPT_MS);
    for (n = 0; n < size; n++) export_one(&t);
    finish(&g, how);
    ok(t.failed == size && t.delivered == 0 && t.other == 0 && g.http.num_spans == 0,
       "OR-03 %s at every byte of the request: %u given up, %u delivered", how, t.failed,
       t.delivered);
    ok(t.longest_ms < ONE_ATTEMPT_MS + 400, "OR-09 ... at most after %lld ms", t.longest_ms);
    is_int(since_opened(0).failed, size, "... and counted");
    server_release(&g.http);
}

/* The same to a connection that has served before: replaced at once, the span delivered. */
static void sweep_kept(size_t size, server_after after, const char *how) {
    grpc_server g;
    tally t;
    size_t n, count = 0;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 0; n < size; n++) {
        steps[count].when = SERVER_AT_BYTES;
        steps[count].at_bytes = n;
        steps[count++].after = after;
        steps[count++].reply = sweep_ok();
    }
    /* The first request meets a step of its own. */
    memmove(steps + 1, steps, count * sizeof steps[0]);
    memset(steps, 0, sizeof steps[0]);
    steps[0].reply = sweep_ok();
    begin(&g, count + 1, ONE_ATTEMPT_MS);
    export_one(&t);
    for (n = 0; n < size; n++) export_one(&t);
    finish(&g, how);
    ok(t.delivered == size + 1 && t.failed == 0 && t.other == 0,
       "OR-18 %s at every byte of a request on a kept connection: %u delivered, %u lost", how,
       t.delivered, t.failed);
    ok(t.longest_ms < SERVER_SOON_MS, "OR-18 ... at once, at most after %lld ms", t.longest_ms);
    is_int(g.http.num_spans, size + 1, "OR-18 ... every span came");
    is_int(server_num_duplicates(&g.http), 0, "OR-18 ... once");
    is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY) + log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0,
           "OR-18 ... and nothing is logged");
    server_release(&g.http);
}

/* The connection ends behind n bytes of the reply. The span has come; whether it was accepted, only
   the whole reply says. */
static void sweep_reply(const sweep_answer *answer, server_after after, const char *how) {
    grpc_server g;
    tally t;
    size_t n, size = answer->step_size;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    for (n = 1; n <= size; n++) {
        steps[n - 1].reply = answer->step;
        steps[n - 1].reply_size = n;
        steps[n - 1].after = after;
    }
    begin(&g, size, ONE_ATTEMPT_MS);
    for (n = 1; n <= size; n++) export_one(&t);
    finish(&g, how);
    ok(t.delivered == 1 && t.failed == size - 1 && t.other == 0,
       "OT-06 %s at every byte of a reply with %s: %u given up, %u delivered", how, answer->name,
       t.failed, t.delivered);
    is_int(g.http.num_spans, size, "OT-06 ... every span came");
    is_int(server_num_duplicates(&g.http), 0, "OT-06 ... once");
    is_int(since_opened(0).accepted, 1, "OT-06 ... one is known to be accepted");
    server_release(&g.http);
}

/* With time for it, a second attempt delivers the same bytes. A sample: each waits for a
   back-off. */
static void sweep_retried(size_t size) {
    enum { SAMPLES = 4 };
    grpc_server servers[SAMPLES];
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
            script[i][1].reply = sweep_ok();
            to[i] = served_by(&servers[i], script[i], 2, urls[i], sizeof urls[i]);
        }
        log_clear();
        (void)hotel_init(&config);
        open_books();
        end_span();
        is_int(hotel_flush(5000), HOTEL_OK, "OR-03 delivered at the second attempt");
        (void)hotel_shutdown(1000);
        for (i = 0; i < SAMPLES; i++) {
            server_stop(&servers[i].http);
            ok(servers[i].http.num_spans == 1 && servers[i].http.num_bad == 0,
               "OR-16 ended at byte %zu, then delivered once", script[i][0].at_bytes);
            server_release(&servers[i].http);
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
    size_t greeting;   /* bytes of the reply that come before the request is complete */
    size_t more;       /* bytes that are taken behind the request */
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
    size_t take = w->take;
    if (wire_stalls(w)) return HOTEL_IO_WANT_WRITE;
    if (w->piece != 0 && size > w->piece) size = w->piece;
    if (w->sent < w->size && w->sent + size > w->size) size = w->size - w->sent;
    if (!w->healthy) take += w->take == w->size ? w->more : 0;
    if (!w->healthy && size > take - w->sent) size = take - w->sent;
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
    if (w->sent < w->size) end = w->greeting;
    if (w->size == 0 || (w->sent < w->size && w->given == end) || wire_stalls(w))
        return HOTEL_IO_WANT_READ;
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
    to.protocol = sweep_of_grpc ? HOTEL_PROTOCOL_GRPC : HOTEL_PROTOCOL_HTTP;
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

static void wire_begin(void) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, wire_ready) != 0) abort();
    if (write(wire_ready[1], "x", 1) != 1) abort();
}

static void wire_end(void) {
    (void)close(wire_ready[0]);
    (void)close(wire_ready[1]);
}

/* n bytes of the request go out, or all of it and n bytes of the reply come back. */
static void sweep_memory(size_t size, const sweep_answer *answer, bool orderly, size_t piece,
                         bool wants) {
    size_t greeting = sweep_of_grpc ? 9 : 0; /* SETTINGS, for which the client waits */
    size_t n, total = size + answer->size - greeting;
    unsigned failed = 0, delivered = 0, wrong = 0;
    for (n = 0; n <= total; n++) {
        wire w;
        hotel_destination_stats d;
        memset(&w, 0, sizeof w);
        w.take = n < size ? n : size;
        w.give = greeting + (n < size ? 0 : n - size);
        w.greeting = greeting;
        w.piece = piece, w.orderly = orderly, w.wants = wants;
        w.size = size;
        w.reply = answer->bytes, w.reply_size = answer->size;
        w.more = sweep_of_grpc ? 64 : 0; /* SETTINGS are acknowledged */
        d = exchange(&w, 200);
        failed += d.failed == 1 && d.accepted == 0;
        delivered += d.accepted == 1 && d.failed == 0;
        /* All that was sent is sent once, and the last byte decides. */
        wrong += d.requests != 1 || d.bytes_sent < w.take || d.bytes_sent > w.take + w.more ||
                 w.opened != 1 || (d.accepted == 1) != (n == total) || w.complete != (n >= size);
    }
    ok(wrong == 0 && delivered == 1 && failed == total,
       "OR-03 OT-06 %s at every byte, %s, pieces of %zu%s: %u given up, %u delivered, %u wrong",
       orderly ? "closed" : "lost", answer->name, piece, wants ? ", wants between" : "", failed,
       delivered, wrong);
}

#endif
