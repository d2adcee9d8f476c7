/*
 * SPDX-License-Identifier: MIT
 *
 * test_servers.c - servers that answer anything but 200, or nothing, or never: what is delivered,
 * what is counted, what is logged and how long it takes. Rules OR-*, OT-*, traps T-03, T-10, T-12.
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

enum { NUM_SPANS = 3, GROUP = 4 };

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("fault");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_end(&span);
    }
}

/* Messages with this id that name this port. */
static unsigned log_count_of(hotel_log_id id, uint16_t port) {
    char start[16], address[32];
    const char *line;
    unsigned count = 0;
    (void)snprintf(start, sizeof start, "%d/", (int)id);
    (void)snprintf(address, sizeof address, ":%u", (unsigned)port);
    (void)pthread_mutex_lock(&log_mutex);
    for (line = log_text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *found = strstr(line, address);
        count += strncmp(line, start, strlen(start)) == 0 && found != NULL && found < line + size;
        line += size + (line[size] == '\n');
    }
    (void)pthread_mutex_unlock(&log_mutex);
    return count;
}

/* ---- One table of answers ------------------------------------------------------------------- */

/* Three spans are exported to a server with this script. */
typedef struct row {
    const char *name;
    server_step steps[3];
    size_t num_steps;
    unsigned sent; /* requests, repeats included; 0: any number */
    unsigned accepted, rejected, failed;
    unsigned retry_logs, failed_logs, partial_logs;
    uint32_t timeout_ms; /* of the destination; 0: the default */
} row;

/* Steps, then sent, accepted, rejected, failed, EXPORT_RETRY, EXPORT_FAILED, PARTIAL_SUCCESS. */
#define DELIVERED 1, 1, NUM_SPANS, 0, 0, 0, 0, 0, 0
#define REFUSED 1, 1, 0, 0, NUM_SPANS, 0, 1, 0, 0
#define SECOND_TIME 2, 2, NUM_SPANS, 0, 0, 1, 0, 0, 0
#define SOME_TIME 2, 0, NUM_SPANS, 0, 0, 1, 0, 0, 0
#define GIVEN_UP(timeout_ms) 1, 0, 0, 0, NUM_SPANS, 1, 1, 0, (timeout_ms)
/* clang-format off */
#define ANSWER(text) {{.reply = (text)}}
#define ONCE(text) {{.reply = (text)}, {.reply = SERVER_OK}}
#define CLOSING(text) {{.reply = (text), .after = SERVER_CLOSE}}
#define BYTES(literal) {{.reply = (literal), .reply_size = sizeof(literal) - 1}}
/* clang-format on */
#define PARTIAL(size, bytes) BYTES("HTTP/1.1 200 OK\r\nContent-Length: " size "\r\n\r\n" bytes)

static const row success_rows[] = {
    {"OT-03 200 with an empty message", ANSWER(SERVER_OK), DELIVERED},
    {"OT-03 202", ANSWER(SERVER_STATUS("202 Accepted")), DELIVERED},
    {"OT-03 204 without Content-Length", ANSWER("HTTP/1.1 204 No Content\r\n\r\n"), DELIVERED},
    {"OT-03 200 without a reason phrase", ANSWER("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
     DELIVERED},
    {"OT-06 chunked, empty",
     ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), DELIVERED},
    {"OT-06 chunked with extensions and trailers",
     BYTES("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
           "2;name=value\r\n\x0a\x00\r\n0;last\r\nExpires: never\r\nX: y\r\n\r\n"),
     DELIVERED},
    {"OT-06 until close", CLOSING("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), DELIVERED},
    {"OT-06 HTTP/1.0 until close", CLOSING("HTTP/1.0 200 OK\r\n\r\n"), DELIVERED},
    {"OT-06 HTTP/1.0 with keep-alive",
     ANSWER("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"), DELIVERED},
    {"OT-06 100 Continue before 200", ANSWER("HTTP/1.1 100 Continue\r\n\r\n" SERVER_OK), DELIVERED},
    {"OT-06 103 Early Hints before 200",
     ANSWER("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" SERVER_OK), DELIVERED},
    {"OT-06 header names in any case, blanks around values",
     ANSWER("HTTP/1.1 200 OK\r\ncONTENT-lENGTH: \t 0 \t\r\nX-Empty:\r\n\r\n"), DELIVERED},
    {"a reply in single bytes", {{.reply = SERVER_OK, .drip_ms = 1}}, DELIVERED},
    {"a reply after a pause", {{.reply = SERVER_OK, .delay_ms = 150}}, DELIVERED},
    {"OR-13 partial success with nothing in it", PARTIAL("2", "\x0a\x00"), DELIVERED},
    {"OR-13 a warning only", PARTIAL("6", "\x0a\x04\x12\x02hm"), 1, 1, NUM_SPANS, 0, 0, 0, 0, 1, 0},
    {"OR-12 one of three rejected", PARTIAL("8", "\x0a\x06\x08\x01\x12\x02no"), 1, 1, 2, 1, 0, 0, 0,
     1, 0},
    {"OR-12 all rejected, no reason", PARTIAL("4", "\x0a\x02\x08\x03"), 1, 1, 0, 3, 0, 0, 0, 1, 0},
    {"OR-12 more rejected than sent", PARTIAL("5", "\x0a\x03\x08\xe8\x07"), 1, 1, 0, 3, 0, 0, 0, 1,
     0},
    {"OR-12 chunked partial success",
     BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "1\r\n\x0a\r\n3\r\n\x02\x08\x01\r\n0\r\n\r\n"),
     1, 1, 2, 1, 0, 0, 0, 1, 0},
};

static const row refusal_rows[] = {
    {"OR-02 400", ANSWER(SERVER_STATUS("400 Bad Request")), REFUSED},
    {"OR-02 401", ANSWER(SERVER_STATUS("401 Unauthorized")), REFUSED},
    {"OR-02 403", ANSWER(SERVER_STATUS("403 Forbidden")), REFUSED},
    {"OR-02 404", ANSWER(SERVER_STATUS("404 Not Found")), REFUSED},
    {"OR-02 408", ANSWER(SERVER_STATUS("408 Request Timeout")), REFUSED},
    {"OR-02 413", ANSWER(SERVER_STATUS("413 Content Too Large")), REFUSED},
    {"OR-02 413 before the body is read",
     {{.reply = SERVER_STATUS("413 Content Too Large"),
       .when = SERVER_AT_HEAD,
       .linger_ms = 20,
       .after = SERVER_CLOSE}},
     REFUSED},
    {"OR-02 500", ANSWER(SERVER_STATUS("500 Internal Server Error")), REFUSED},
    {"OR-02 501", ANSWER(SERVER_STATUS("501 Not Implemented")), REFUSED},
    {"OR-02 505", ANSWER(SERVER_STATUS("505 HTTP Version Not Supported")), REFUSED},
    {"OR-02 599", ANSWER(SERVER_STATUS("599 Odd")), REFUSED},
    {"OR-15 300", ANSWER(SERVER_STATUS("300 Multiple Choices")), REFUSED},
    {"OR-15 304 without a body", ANSWER("HTTP/1.1 304 Not Modified\r\n\r\n"), REFUSED},
    {"OR-14 400 with a google.rpc.Status",
     BYTES("HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-protobuf\r\n"
           "Content-Length: 12\r\n\r\n\x08\x03\x12\x08"
           "the why!"),
     REFUSED},
    {"OR-14 500 with HTML",
     ANSWER("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n"
            "<html>oops</htm"),
     REFUSED},
    {"OR-14 400 with a truncated Status",
     BYTES("HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\n\x12\x7f\x61"), REFUSED},
    {"OX-12 a body over the limit by Content-Length",
     {{.reply = "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n", .filler = 4194305}},
     REFUSED},
    {"OX-12 a body over the limit until close",
     {{.reply = "HTTP/1.0 200 OK\r\n\r\n", .filler = SERVER_ENDLESS}},
     REFUSED},
    {"OX-12 a chunk over the limit",
     {{.reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n",
       .filler = SERVER_ENDLESS}},
     REFUSED},
    {"OX-12 headers without end",
     {{.reply = "HTTP/1.1 200 OK\r\nX-Long: ", .filler = SERVER_ENDLESS}},
     REFUSED},
};

/* Whether what is no HTTP may be sent again is not specified; that it ends is. */
static const row garbage_rows[] = {
    {"garbage", CLOSING("\x7f\x45LF garbage without a line"), GIVEN_UP(400)},
    {"garbage lines", CLOSING("SSH-2.0-OpenSSH_9.2\r\n\r\n"), GIVEN_UP(400)},
    {"a status that is no number", CLOSING("HTTP/1.1 OK 200\r\n\r\n"), GIVEN_UP(400)},
    {"a status of four digits", CLOSING("HTTP/1.1 2000 OK\r\n\r\n"), GIVEN_UP(400)},
    {"half a status line", CLOSING("HTTP/1."), GIVEN_UP(400)},
    {"half a head", CLOSING("HTTP/1.1 200 OK\r\nContent-Len"), GIVEN_UP(400)},
    {"half a body", CLOSING("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"),
     GIVEN_UP(400)},
    {"half a chunk", CLOSING("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n0123"),
     GIVEN_UP(400)},
    {"a chunk size that is no number",
     CLOSING("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), GIVEN_UP(400)},
    {"a chunk size beyond 64 bits",
     CLOSING("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
     GIVEN_UP(400)},
    {"two different Content-Lengths",
     CLOSING("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n01234"),
     GIVEN_UP(400)},
    {"a negative Content-Length", CLOSING("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
     GIVEN_UP(400)},
    {"a Content-Length beyond 64 bits",
     CLOSING("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"), GIVEN_UP(400)},
    {"a hanging server", {{.after = SERVER_HANG}}, 1, 0, 0, 0, NUM_SPANS, 9, 1, 0, 400},
    {"a byte a second",
     {{.reply = SERVER_OK, .drip_ms = 1000}},
     1,
     0,
     0,
     0,
     NUM_SPANS,
     9,
     1,
     0,
     400},
    {"a server that accepts and reads nothing",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_HANG}},
     1,
     0,
     0,
     0,
     NUM_SPANS,
     9,
     1,
     0,
     400},
};

static const row retry_rows[] = {
    {"OR-02 429 once", ONCE(SERVER_STATUS("429 Too Many Requests")), SECOND_TIME},
    {"OR-02 502 once", ONCE(SERVER_STATUS("502 Bad Gateway")), SECOND_TIME},
    {"OR-02 503 once", ONCE(SERVER_STATUS("503 Service Unavailable")), SECOND_TIME},
    {"OR-02 504 once, chunked HTML",
     ONCE("HTTP/1.1 504 Gateway Timeout\r\nTransfer-Encoding: chunked\r\n\r\n"
          "4\r\n<ht>\r\n0\r\n\r\n"),
     SECOND_TIME},
    {"OR-03 closed without an answer",
     {{.after = SERVER_CLOSE}, {.reply = SERVER_OK}},
     SECOND_TIME},
    {"OR-03 reset without an answer", {{.after = SERVER_RESET}, {.reply = SERVER_OK}}, SECOND_TIME},
    {"OR-03 closed when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_CLOSE}, {.reply = SERVER_OK}},
     SOME_TIME},
    {"OR-03 reset when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_RESET}, {.reply = SERVER_OK}},
     SOME_TIME},
    {"OX-09 503 for ever, one deadline", ANSWER(SERVER_STATUS("503 Service Unavailable")), 1, 0, 0,
     0, NUM_SPANS, 1, 1, 0, 1200},
    {"OR-03 closed for ever, one deadline",
     {{.after = SERVER_CLOSE}},
     1,
     0,
     0,
     0,
     NUM_SPANS,
     1,
     1,
     0,
     1200},
    {"OR-09 Retry-After beyond the deadline ends it at once",
     ANSWER("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"), 1, 1, 0, 0,
     NUM_SPANS, 0, 1, 0, 5000},
    {"OR-09 a Retry-After of 20 digits",
     ANSWER("HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"),
     1, 0, 0, 0, NUM_SPANS, 9, 1, 0, 800},
};

static bool same_bodies(server *s) {
    unsigned i, count = server_num_requests(s);
    const server_request *first = server_request_at(s, 0);
    for (i = 1; i < count && i < SERVER_MAX_REQUESTS; i++) {
        const server_request *r = server_request_at(s, i);
        if (r->body.size != first->body.size ||
            memcmp(r->body.at, first->body.at, r->body.size) != 0) {
            return false;
        }
    }
    return true;
}

/* 9 in retry_logs: none or one, as the server's silence is met. */
static bool logs_fit(const row *r, uint16_t port) {
    unsigned retried = log_count_of(HOTEL_LOG_ID_EXPORT_RETRY, port);
    unsigned failed = log_count_of(HOTEL_LOG_ID_EXPORT_FAILED, port);
    unsigned partial = log_count_of(HOTEL_LOG_ID_PARTIAL_SUCCESS, port);
    unsigned wanted = r->retry_logs;
    if ((retried == wanted || (r->sent == 0 && retried <= 1)) && failed == r->failed_logs &&
        partial == r->partial_logs) {
        return true;
    }
    note("logged for port %u: retry %u, failed %u, partial %u; wanted %u, %u, %u", port, retried,
         failed, partial, wanted, r->failed_logs, r->partial_logs);
    log_show();
    return false;
}

static bool counts_fit(const row *r, const hotel_destination_stats *d) {
    if (d->accepted == r->accepted && d->rejected == r->rejected && d->failed == r->failed &&
        d->dropped_shutdown == 0 && (r->sent == 0 || d->requests == r->sent) &&
        d->retries + 1 >= d->requests) {
        return true;
    }
    note("accepted %llu, rejected %llu, failed %llu, shutdown %llu, requests %llu, retries %llu",
         (unsigned long long)d->accepted, (unsigned long long)d->rejected,
         (unsigned long long)d->failed, (unsigned long long)d->dropped_shutdown,
         (unsigned long long)d->requests, (unsigned long long)d->retries);
    return false;
}

static void check_row(const row *r, server *s, size_t index) {
    hotel_destination_stats d = since_opened(index);
    bool good = counts_fit(r, &d);
    good = logs_fit(r, s->port) && good;
    if (s->num_bad != 0) note("the server saw %u bad requests: %s", s->num_bad, s->problem);
    ok(good && s->num_bad == 0, "%s: accepted %u, rejected %u, failed %u", r->name, r->accepted,
       r->rejected, r->failed);
    if (s->num_requests > 1) ok(same_bodies(s), "OR-16 %s: repeats are the same bytes", r->name);
}

/* Rows run four at a time, each on a destination of its own. */
static void run_group(const row *rows, size_t count, long long max_ms) {
    server servers[GROUP];
    char urls[GROUP][64];
    hotel_destination to[GROUP];
    hotel_config config = test_config(to, count);
    size_t i;
    bool lossless = true;
    hotel_result flushed;
    long long began;
    for (i = 0; i < count; i++) {
        if (!server_start(&servers[i], SERVER_IPV4, rows[i].steps, rows[i].num_steps)) abort();
        to[i] = destination(server_url(&servers[i], "", urls[i], sizeof urls[i]));
        to[i].timeout_ms = rows[i].timeout_ms;
        if (rows[i].failed + rows[i].rejected > 0) lossless = false;
    }
    log_clear();
    if (hotel_init(&config) != HOTEL_OK) note("hotel_init failed");
    open_books();
    began = server_now_ms();
    end_spans(NUM_SPANS);
    flushed = hotel_flush(8000);
    is_int(flushed, lossless ? HOTEL_OK : HOTEL_ERR_FAILED, "BSP-16 flush of \"%s\" and %zu more",
           rows[0].name, count - 1);
    ok(server_now_ms() - began < max_ms, "... takes less than %lld ms (%lld)", max_ms,
       server_now_ms() - began);
    is_int(hotel_shutdown(3000), HOTEL_OK, "... and shutdown has nothing left to do");
    for (i = 0; i < count; i++) {
        server_stop(&servers[i]);
        check_row(&rows[i], &servers[i], i);
    }
    check_books(rows[0].name);
    for (i = 0; i < count; i++) server_release(&servers[i]);
}

static void run_rows(const row *rows, size_t count, long long max_ms) {
    size_t i;
    for (i = 0; i < count; i += GROUP) {
        run_group(rows + i, count - i < GROUP ? count - i : GROUP, max_ms);
    }
}

#define RUN_ROWS(rows, max_ms) run_rows((rows), sizeof(rows) / sizeof(rows)[0], (max_ms))

/* ---- Retry-After ---------------------------------------------------------------------------- */

static const char *http_date(int seconds_ahead, const char *format, char *out, size_t capacity) {
    char date[64];
    struct tm parts;
    time_t when = time(NULL) + seconds_ahead;
    (void)gmtime_r(&when, &parts);
    (void)strftime(date, sizeof date, format, &parts);
    (void)snprintf(out, capacity,
                   "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    return out;
}

typedef struct wait_row {
    const char *name;
    const char *format; /* of strftime */
    int seconds_ahead;
    int min_ms, max_ms; /* between the first request and the second */
} wait_row;

/* Whole seconds: a date two seconds ahead may be as little as one second away. */
static const wait_row wait_rows[] = {
    {"OR-07 Retry-After: 1", "1", 0, 980, 2500},
    {"OR-07 an IMF-fixdate", "%a, %d %b %Y %H:%M:%S GMT", 3, 1500, 4500},
    {"OR-07 an RFC 850 date", "%A, %d-%b-%y %H:%M:%S GMT", 3, 1500, 4500},
    {"OR-07 an asctime date", "%a %b %e %H:%M:%S %Y", 3, 1500, 4500},
    {"OR-07 garbage: back-off", "soon", 0, 450, 2000},
    {"OR-07 a negative number: back-off", "-5", 0, 450, 2000},
    {"OR-07 a past date: back-off", "%a, %d %b %Y %H:%M:%S GMT", -60, 450, 2000},
    {"OR-09 Retry-After: 0 has a floor", "0", 0, 90, 2000},
};

static void run_waits(const wait_row *rows) {
    server servers[GROUP];
    server_step steps[GROUP][2];
    char urls[GROUP][64], replies[GROUP][128];
    hotel_destination to[GROUP];
    hotel_config config = test_config(to, GROUP);
    size_t i;
    memset(steps, 0, sizeof steps);
    for (i = 0; i < GROUP; i++) {
        steps[i][0].reply =
            http_date(rows[i].seconds_ahead, rows[i].format, replies[i], sizeof replies[i]);
        steps[i][1].reply = SERVER_OK;
        if (!server_start(&servers[i], SERVER_IPV4, steps[i], 2)) abort();
        to[i] = destination(server_url(&servers[i], "", urls[i], sizeof urls[i]));
    }
    log_clear();
    (void)hotel_init(&config);
    open_books();
    end_spans(1);
    is_int(hotel_flush(8000), HOTEL_OK, "all are delivered in the end");
    (void)hotel_shutdown(2000);
    for (i = 0; i < GROUP; i++) {
        long long waited;
        server_stop(&servers[i]);
        is_int(servers[i].num_requests, 2, "%s: two requests", rows[i].name);
        waited =
            server_request_at(&servers[i], 1)->time_ms - server_request_at(&servers[i], 0)->time_ms;
        ok(waited >= rows[i].min_ms && waited <= rows[i].max_ms, "%s: sent again after %lld ms",
           rows[i].name, waited);
    }
    check_books("after Retry-After");
    for (i = 0; i < GROUP; i++) server_release(&servers[i]);
}

/* ---- Connections ---------------------------------------------------------------------------- */

/* Starts one server and the library with it alone. */
static void begin_single(server *s, const server_step *steps, size_t count, uint32_t timeout_ms) {
    static char url[160];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(s, SERVER_IPV4, steps, count)) abort();
    to = destination(server_url(s, "", url, sizeof url));
    to.timeout_ms = timeout_ms;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void end_single(server *s, const char *name) {
    (void)hotel_shutdown(2000);
    server_stop(s);
    is_int(s->num_bad, 0, "%s: every request is right (%s)", name, s->problem);
    is_int(server_num_duplicates(s), 0, "%s: no span came twice", name);
    check_books(name);
    server_release(s);
}

static bool flush_one(void) {
    end_spans(1);
    return hotel_flush(4000) == HOTEL_OK;
}

static void test_first_request(void) {
    server s;
    const server_request *r;
    char value[128], length[24];
    begin_single(&s, NULL, 0, 0);
    ok(flush_one(), "a request");
    r = server_request_at(&s, 0);
    is_str(server_target(r, value, sizeof value), "/v1/traces",
           "an endpoint in code without a path: /v1/traces");
    (void)snprintf(length, sizeof length, "%zu", r->body.size);
    is_str(server_header_in(r->head, "Content-Length", 0, value, sizeof value), length,
           "OT-01 Content-Length is the body's");
    is_str(server_header_in(r->head, "User-Agent", 0, value, sizeof value),
           "HatchetOtel-OTLP-Exporter-C/0.1.0", "OT-09 User-Agent");
    (void)snprintf(length, sizeof length, "127.0.0.1:%u", (unsigned)s.port);
    is_str(server_header_in(r->head, "Host", 0, value, sizeof value), length, "Host with the port");
    ok(server_header_in(r->head, "Content-Encoding", 0, value, sizeof value) == NULL &&
           server_header_in(r->head, "Accept-Encoding", 0, value, sizeof value) == NULL,
       "OT-02 nothing is said of encodings that are not used");
    is_int(log_count_all(), 0, "a healthy export logs nothing");
    end_single(&s, "first request");
}

static void test_keep_alive(void) {
    static const server_step polite[] = {
        {.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         .after = SERVER_CLOSE}};
    server s;
    int i, good = 0;
    begin_single(&s, NULL, 0, 0);
    for (i = 0; i < 20; i++) good += flush_one();
    is_int(good, 20, "20 flushes deliver");
    is_int(since_opened(0).connections, 1, "OT-05 20 requests go over one connection");
    end_single(&s, "keep-alive");
    begin_single(&s, polite, 1, 0);
    for (i = 0, good = 0; i < 5; i++) good += flush_one();
    is_int(good, 5, "5 flushes deliver");
    is_int(since_opened(0).connections, 5, "OT-06 Connection: close is obeyed");
    is_int(since_opened(0).retries, 0, "... without a repeat");
    is_int(log_count_all(), 0, "... and without a message");
    end_single(&s, "Connection: close");
}

/* The kept connection ends between two exports, or as the second request arrives. */
static void test_stale_connection(void) {
    static const server_step idle[] = {{.reply = SERVER_OK, .linger_ms = 50, .after = SERVER_CLOSE},
                                       {.reply = SERVER_OK}};
    static const server_step crossing[] = {
        {.reply = SERVER_OK}, {.reply = SERVER_OK}, {.after = SERVER_CLOSE}, {.reply = SERVER_OK}};
    static const server_step reset[] = {
        {.reply = SERVER_OK}, {.after = SERVER_RESET}, {.reply = SERVER_OK}};
    static const struct {
        const char *name;
        const server_step *steps;
        size_t num_steps;
        int pause_ms;
        unsigned flushes;
    } cases[] = {
        {"OR-18 closed while idle", idle, 2, 150, 2},
        {"OR-18 closed as the request came", crossing, 4, 0, 3},
        {"OR-18 reset as the request came", reset, 3, 0, 2},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        server s;
        unsigned n;
        long long began;
        begin_single(&s, cases[i].steps, cases[i].num_steps, 0);
        for (n = 1; n < cases[i].flushes; n++) ok(flush_one(), "%s: first export", cases[i].name);
        server_sleep_ms(cases[i].pause_ms);
        began = server_now_ms();
        ok(flush_one(), "%s: the next export succeeds (T-10)", cases[i].name);
        ok(server_now_ms() - began < 400, "%s: at once, %lld ms", cases[i].name,
           server_now_ms() - began);
        is_int(since_opened(0).failed, 0, "%s: nothing is lost", cases[i].name);
        is_int(since_opened(0).connections, 2, "%s: over a second connection", cases[i].name);
        is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0, "%s: no failure is logged", cases[i].name);
        (void)hotel_shutdown(1000);
        server_stop(&s);
        check_books(cases[i].name);
        server_release(&s);
    }
}

static void test_restarted_server(void) {
    server s, again;
    uint16_t port;
    begin_single(&s, NULL, 0, 0);
    ok(flush_one(), "T-12 delivered before the restart");
    port = s.port;
    server_stop(&s);
    end_spans(1);
    is_int(hotel_flush(200), HOTEL_ERR_TIMEOUT, "T-12 nobody there: flush is out of time");
    if (!server_start_at(&again, SERVER_IPV4, port, NULL, 0)) {
        skip("the port was taken in between");
    } else {
        ok(flush_one(), "T-12 delivered after the restart");
        is_int(server_num_spans(&again), 2, "T-12 with what had waited");
        is_int(since_opened(0).failed, 0, "T-12 nothing is lost");
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY), 1, "the trouble is logged once");
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RECOVERED), 1, "and so is its end");
        (void)hotel_shutdown(1000);
        check_books("restart");
        server_release(&again);
    }
    (void)hotel_shutdown(1000);
    server_release(&s);
}

/* What comes behind a reply belongs to no request of ours. */
static void test_bytes_behind_reply(void) {
    static const server_step steps[] = {
        {.reply = SERVER_OK "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"}, {.reply = SERVER_OK}};
    server s;
    begin_single(&s, steps, 2, 0);
    ok(flush_one(), "a reply with another behind it");
    server_sleep_ms(50);
    ok(flush_one(), "the next request does not take the surplus for its answer");
    is_int(since_opened(0).accepted, 2, "both spans are accepted");
    is_int(since_opened(0).connections, 2, "the connection was given up");
    end_single(&s, "bytes behind a reply");
}

static void test_redirect_not_followed(void) {
    static const char *const codes[] = {"301 Moved Permanently", "302 Found",
                                        "307 Temporary Redirect", "308 Permanent Redirect"};
    size_t i;
    for (i = 0; i < 4; i++) {
        server target, s;
        char reply[160], url[64];
        server_step step = {.reply = reply};
        if (!server_start(&target, SERVER_IPV4, NULL, 0)) abort();
        (void)snprintf(reply, sizeof reply,
                       "HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", codes[i],
                       server_url(&target, "/v1/traces", url, sizeof url));
        begin_single(&s, &step, 1, 0);
        end_spans(1);
        is_int(hotel_flush(2000), HOTEL_ERR_FAILED, "OR-15 %s is a failure", codes[i]);
        is_int(server_num_requests(&target), 0, "OR-15 %s is not followed", codes[i]);
        is_int(since_opened(0).requests, 1, "OR-15 %s is not repeated", codes[i]);
        check_log(HOTEL_LOG_ID_EXPORT_FAILED, 1, codes[i]);
        end_single(&s, codes[i]);
        server_release(&target);
    }
}

static void test_families(void) {
    static const server_family families[] = {SERVER_IPV4, SERVER_IPV6, SERVER_UNIX};
    static const char *const names[] = {"IPv4", "IPv6", "a Unix socket"};
    static const char *const paths[] = {"", "/v1/traces", "/x/y/"};
    size_t i;
    for (i = 0; i < 9; i++) {
        server s;
        char url[192], target[64], host[128];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        if (!server_start(&s, families[i / 3], NULL, 0)) {
            skip("no %s here", names[i / 3]);
            continue;
        }
        to = destination(server_url(&s, paths[i % 3], url, sizeof url));
        is_int(hotel_init(&config), HOTEL_OK, "%s is an endpoint", url);
        open_books();
        ok(flush_one(), "%s: delivered", names[i / 3]);
        (void)hotel_shutdown(1000);
        is_str(server_target(server_request_at(&s, 0), target, sizeof target),
               i % 3 == 0 ? "/v1/traces" : paths[i % 3], "OU-09 %s: the target", url);
        if (server_header_in(server_request_at(&s, 0)->head, "Host", 0, host, sizeof host) == NULL)
            host[0] = '\0';
        ok(families[i / 3] != SERVER_IPV6 || strncmp(host, "[::1]:", 6) == 0,
           "OU-10 %s: Host keeps the brackets (%s)", names[i / 3], host);
        check_books(names[i / 3]);
        server_release(&s);
    }
}

/* ---- Endpoints that never answer ------------------------------------------------------------ */

typedef struct silence {
    server hanging;
    uint16_t refusing;
    int refusing_fd;
    int hole[8];
    char urls[4][64];
    hotel_destination to[4];
} silence;

static void silence_begin(silence *q, uint32_t timeout_ms) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    hotel_config config = test_config(q->to, 4);
    uint16_t port;
    size_t i;
    if (!server_start(&q->hanging, SERVER_IPV4, hang, 1)) abort();
    (void)server_url(&q->hanging, "", q->urls[0], sizeof q->urls[0]);
    q->refusing_fd = server_refusing_port(&q->refusing);
    (void)snprintf(q->urls[1], sizeof q->urls[1], "http://127.0.0.1:%u", (unsigned)q->refusing);
    server_black_hole(&port, q->hole);
    (void)snprintf(q->urls[2], sizeof q->urls[2], "http://127.0.0.1:%u", (unsigned)port);
    (void)snprintf(q->urls[3], sizeof q->urls[3], "http://name.invalid:4318");
    for (i = 0; i < 4; i++) {
        q->to[i] = destination(q->urls[i]);
        q->to[i].timeout_ms = timeout_ms;
    }
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init asks no server whether it is there");
    open_books();
}

static void silence_end(silence *q) {
    size_t i;
    for (i = 0; i < 8; i++) (void)close(q->hole[i]);
    (void)close(q->refusing_fd);
    server_release(&q->hanging);
}

static const char *const silent_names[] = {"a hanging server", "a refusing port", "a black hole",
                                           "a name that does not resolve"};

static void test_silence(void) {
    silence q;
    size_t i;
    long long began;
    silence_begin(&q, 700);
    began = server_now_ms();
    end_spans(NUM_SPANS);
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "flush to four dead endpoints: failed");
    ok(server_now_ms() - began < 2000, "OX-09 one deadline of 700 ms over all attempts (%lld ms)",
       server_now_ms() - began);
    (void)hotel_shutdown(2000);
    for (i = 0; i < 4; i++) {
        is_int(since_opened(i).failed, NUM_SPANS, "OR-17 %s: three spans failed", silent_names[i]);
        ok(log_has(q.urls[i] + strlen("http://")), "OR-17 %s: the log names it", silent_names[i]);
    }
    check_log(HOTEL_LOG_ID_EXPORT_FAILED, 4, "OR-17 once for each endpoint");
    check_books("silence");
    silence_end(&q);
}

/* The failure lasts over many batches and is still logged once. */
static void test_lasting_failure(void) {
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    uint16_t port;
    int i, fd = server_refusing_port(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(url);
    to.timeout_ms = 20;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    for (i = 0; i < 20; i++) {
        end_spans(5);
        (void)!hotel_flush(1000);
    }
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 100, "20 batches fail");
    is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 1, "BSP-22 20 failures: one message");
    ok(log_count(HOTEL_LOG_ID_EXPORT_RETRY) <= 1, "BSP-22 and at most one of the retries");
    check_books("a lasting failure");
    (void)close(fd);
}

/* Neither a connect, nor a read, nor a back-off outlives the time that shutdown gives. */
static void test_shutdown_is_bounded(void) {
    static const server_step busy[] = {{.reply = SERVER_STATUS("503 Service Unavailable")}};
    silence q;
    server s;
    size_t i;
    long long took;
    hotel_result result;
    silence_begin(&q, 10000);
    end_spans(NUM_SPANS);
    server_sleep_ms(30);
    took = server_now_ms();
    result = hotel_shutdown(300);
    took = server_now_ms() - took;
    is_int(result, HOTEL_ERR_TIMEOUT, "T-03 shutdown(300) is out of time");
    ok(took >= 250 && took < 600, "T-03 and returns after %lld ms", took);
    for (i = 0; i < 4; i++) {
        hotel_destination_stats d = since_opened(i);
        is_int(d.dropped_shutdown + d.failed, NUM_SPANS, "%s: three spans are accounted for",
               silent_names[i]);
    }
    check_books("shutdown in silence");
    silence_end(&q);
    begin_single(&s, busy, 1, 10000);
    end_spans(NUM_SPANS);
    ok(hotel_flush(0) != HOTEL_ERR_NOT_RUNNING && server_wait(&s, 1, 3000), "a back-off begins");
    took = server_now_ms();
    result = hotel_shutdown(100);
    took = server_now_ms() - took;
    is_int(result, HOTEL_ERR_TIMEOUT, "T-03 shutdown(100) during a back-off is out of time");
    ok(took < 400, "BSP-21 and returns after %lld ms", took);
    is_int(since_opened(0).dropped_shutdown + since_opened(0).failed, NUM_SPANS,
           "three spans are accounted for");
    is_int(hotel_shutdown(100), HOTEL_OK, "BSP-19 a second shutdown is fine");
    server_stop(&s);
    check_books("shutdown in a back-off");
    server_release(&s);
}

/* A dead destination does not slow a live one (OC-03, EX-15). */
static void test_dead_beside_live(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    server live, dead;
    char urls[2][64];
    hotel_destination to[2];
    hotel_config config = test_config(to, 2);
    long long began;
    int i;
    if (!server_start(&live, SERVER_IPV4, NULL, 0)) abort();
    if (!server_start(&dead, SERVER_IPV4, hang, 1)) abort();
    to[0] = destination(server_url(&dead, "", urls[0], sizeof urls[0]));
    to[1] = destination(server_url(&live, "", urls[1], sizeof urls[1]));
    to[0].schedule_delay_ms = to[1].schedule_delay_ms = 20;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    began = server_now_ms();
    for (i = 0; i < 10; i++) {
        end_spans(10);
        server_sleep_ms(20);
    }
    while (server_num_spans(&live) < 100 && server_now_ms() - began < 3000) server_sleep_ms(5);
    is_int(server_num_spans(&live), 100, "EX-15 the live server has all spans");
    ok(server_now_ms() - began < 2000, "EX-15 ... after %lld ms", server_now_ms() - began);
    is_int(hotel_shutdown(100), HOTEL_ERR_TIMEOUT, "the dead one makes shutdown late");
    is_int(since_opened(1).accepted, 100, "accepted 100 by the live one");
    is_int(since_opened(0).dropped_shutdown + since_opened(0).failed, 100,
           "100 are lost at the dead one");
    check_books("dead beside live");
    server_release(&live);
    server_release(&dead);
}

/* What a server says is shown, without control characters that would forge log lines. */
static void test_server_text(void) {
    static const server_step reply[] = {
        {.reply = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-protobuf\r\n"
                  "Content-Length: 25\r\n\r\n"
                  "\x08\x03\x12\x15"
                  "the\nserver's \x1b[31mwhy",
         .reply_size = 0}};
    server s;
    begin_single(&s, reply, 1, 0);
    end_spans(1);
    is_int(hotel_flush(2000), HOTEL_ERR_FAILED, "a 400 with a Status");
    ok(log_has("server's"), "OR-14 its message is logged");
    ok(!log_has("\x1b") && !log_has("the\nserver"), "OR-14 ... made printable");
    ok(log_has("400"), "... with the HTTP status");
    end_single(&s, "server text");
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    RUN_ROWS(success_rows, 2500);
    RUN_ROWS(refusal_rows, 4000);
    RUN_ROWS(garbage_rows, 2500);
    RUN_ROWS(retry_rows, 5000);
    run_waits(wait_rows);
    run_waits(wait_rows + GROUP);
    test_first_request();
    test_keep_alive();
    test_stale_connection();
    test_restarted_server();
    test_bytes_behind_reply();
    test_redirect_not_followed();
    test_families();
    test_silence();
    test_lasting_failure();
    test_shutdown_is_bounded();
    test_dead_beside_live();
    test_server_text();
    return done_testing();
}
