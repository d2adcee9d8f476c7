/*
 * SPDX-License-Identifier: MIT
 *
 * test_servers.c - a table of answers, from 200 in every form to garbage and silence: what is
 * delivered, what is counted, what is logged, how long it takes. Rules OR-*, OT-*, OX-12.
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
    {"OR-07 an IMF-fixdate", "%a, %d %b %Y %H:%M:%S GMT", 2, 900, 3500},
    {"OR-07 an RFC 850 date", "%A, %d-%b-%y %H:%M:%S GMT", 2, 900, 3500},
    {"OR-07 an asctime date", "%a %b %e %H:%M:%S %Y", 2, 900, 3500},
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

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    RUN_ROWS(success_rows, 2500);
    RUN_ROWS(refusal_rows, 4000);
    RUN_ROWS(garbage_rows, 2500);
    RUN_ROWS(retry_rows, 5000);
    run_waits(wait_rows);
    run_waits(wait_rows + GROUP);
    return done_testing();
}
