/*
 * SPDX-License-Identifier: MIT
 *
 * test_limits.c - how large requests and responses may be, servers that answer before they have
 * read the request, and compression in a build that has none. Rules EX-09, EX-10, OX-08, OX-11,
 * OX-12, OT-06.
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

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OK_HEAD "HTTP/1.1 200 OK\r\n"

typedef struct run {
    server s;
    char url[160];
    hotel_destination to;
    hotel_config config;
} run;

static void begin(run *r, server_family family, const server_step *steps, size_t count) {
    if (!server_start(&r->s, family, steps, count)) abort();
    r->to = destination(server_url(&r->s, "", r->url, sizeof r->url));
    r->config = test_config(&r->to, 1);
}

static void start(run *r) {
    log_clear();
    is_int(hotel_init(&r->config), HOTEL_OK, "init");
    open_books();
}

static void end(run *r, const char *name) {
    (void)hotel_shutdown(2000);
    server_stop(&r->s);
    is_int(r->s.num_bad, 0, "%s: every request is right (%s)", name, r->s.problem);
    check_books(name);
    server_release(&r->s);
}

static hotel_result export_one(size_t text_size) {
    static char text[65536];
    hotel_span span = hotel_start("fault");
    memset(text, 't', sizeof text);
    hotel_set_strn(&span, "text", text, text_size);
    hotel_end(&span);
    return hotel_flush(4000);
}

/* ---- Responses -------------------------------------------------------------------------------- */

static void test_response_limit(void) {
    static const struct {
        const char *name;
        server_step step;
        bool fits;
    } cases[] = {
        {"Content-Length at the limit",
         {.reply = OK_HEAD "Content-Length: 1000\r\n\r\n", .filler = 1000},
         true},
        {"Content-Length over it", {.reply = OK_HEAD "Content-Length: 1001\r\n\r\n"}, false},
        {"a Content-Length that lies", {.reply = OK_HEAD "Content-Length: 9999999\r\n\r\n"}, false},
        {"until close, at the limit",
         {.reply = OK_HEAD "\r\n", .filler = 1000, .after = SERVER_CLOSE},
         true},
        {"until close, over it",
         {.reply = OK_HEAD "\r\n", .filler = 1001, .after = SERVER_HANG},
         false},
        {"a chunk over it",
         {.reply = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", .after = SERVER_HANG},
         false},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        server_step steps[2];
        char words[4096];
        long long took = server_now_ms();
        steps[0] = cases[i].step;
        memset(&steps[1], 0, sizeof steps[1]);
        steps[1].reply = SERVER_OK;
        begin(&r, SERVER_IPV4, steps, 2);
        r.to.max_response_bytes = 1000;
        start(&r);
        (void)hotel_describe(words, sizeof words);
        ok(strstr(words, "max_response_bytes=1000\n") != NULL, "OX-12 hotel_describe tells");
        is_int(export_one(10), cases[i].fits ? HOTEL_OK : HOTEL_ERR_FAILED, "EX-10 OX-12 %s",
               cases[i].name);
        ok(server_now_ms() - took < 1500, "EX-10 ... known at once");
        is_int(since_opened(0).requests, 1, "EX-10 ... without a repeat");
        if (!cases[i].fits) {
            ok(log_has("larger than max_response_bytes (1000)"), "EX-10 ... and the log says so");
            is_int(export_one(10), HOTEL_OK, "EX-10 ... the next one succeeds");
            is_int(since_opened(0).connections, 2, "OX-12 ... over another connection");
        }
        end(&r, cases[i].name);
    }
}

/* ---- Requests --------------------------------------------------------------------------------- */

static void test_request_limit(void) {
    run r;
    size_t size = 1000, largest;
    char words[4096];
    begin(&r, SERVER_IPV4, NULL, 0);
    r.to.max_request_bytes = 4096;
    start(&r);
    while (export_one(size) == HOTEL_OK) size++;
    server_stop(&r.s);
    largest = server_request_at(&r.s, server_num_requests(&r.s) - 1)->body.size;
    ok(size > 3500 || server_num_requests(&r.s) > SERVER_MAX_REQUESTS,
       "OX-11 a span of %zu bytes and more is sent", size - 1);
    ok(server_num_requests(&r.s) > SERVER_MAX_REQUESTS || largest == 4096,
       "OX-11 the largest request is the limit (%zu)", largest);
    is_int(since_opened(0).dropped_too_large, 1, "EX-09 one byte more is dropped as too large");
    is_int(since_opened(0).failed, 0, "EX-09 and not sent");
    check_log(HOTEL_LOG_ID_REQUEST_TOO_LARGE, 1, "EX-09 a span too large");
    ok(log_has("larger than max_request_bytes (4096)") && log_has(": a span of "),
       "EX-09 with its size and the limit") ||
        (log_show(), 0);
    (void)!export_one(size);
    check_log(HOTEL_LOG_ID_REQUEST_TOO_LARGE, 1, "EX-09 another one: still");
    end(&r, "request limit");

    begin(&r, SERVER_IPV4, NULL, 0);
    r.to.max_request_bytes = (64u << 20) + 1;
    start(&r);
    ok(log_has("max_request_bytes 67108865 is not possible here; 67108864 is used"),
       "OX-11 the ceiling is 64 MiB") ||
        (log_show(), 0);
    (void)hotel_describe(words, sizeof words);
    ok(strstr(words, "max_request_bytes=67108864\n") != NULL, "OX-11 hotel_describe tells");
    is_int(export_one(10), HOTEL_OK, "OX-11 and it works");
    end(&r, "request ceiling");

    begin(&r, SERVER_IPV4, NULL, 0);
    r.to.max_request_bytes = r.to.max_response_bytes = HOTEL_NONE;
    start(&r);
    (void)hotel_describe(words, sizeof words);
    ok(strstr(words, "max_request_bytes=524288\n") != NULL &&
           strstr(words, "max_response_bytes=4194304\n") != NULL,
       "OX-11 OX-12 HOTEL_NONE is the default");
    end(&r, "default limits");
}

/* ---- Early answers ---------------------------------------------------------------------------- */

/* Three megabytes, far more than a socket holds. */
static void end_large_batch(void) {
    static char text[60000];
    int i;
    memset(text, 'b', sizeof text);
    for (i = 0; i < 50; i++) {
        hotel_span span = hotel_start("large");
        hotel_set_strn(&span, "text", text, sizeof text);
        hotel_end(&span);
    }
}

#define EARLY(text) \
    { .reply = (text), .when = SERVER_AT_BYTES, .at_bytes = 5000, .after = SERVER_HANG }

/* The server reads no further and leaves the connection open. */
static void test_early_answers(void) {
    static const struct {
        const char *name;
        server_step steps[2];
        size_t num_steps;
        unsigned accepted, failed, requests;
        const char *said;
    } cases[] = {
        {"413 early",
         {EARLY("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")},
         1,
         0,
         50,
         1,
         "HTTP status 413: \"large\""},
        {"400 early, chunked",
         {EARLY("HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")},
         1,
         0,
         50,
         1,
         "HTTP status 400: \"no\""},
        {"429 early, then 200",
         {EARLY("HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"), {.reply = SERVER_OK}},
         2,
         50,
         0,
         2,
         "HTTP status 429; trying again"},
        {"200 early", {EARLY(SERVER_OK)}, 1, 50, 0, 1, NULL},
        {"413 early, the body drips",
         {{.reply = "HTTP/1.1 413 x\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij",
           .drip_ms = 2,
           .when = SERVER_AT_BYTES,
           .at_bytes = 5000,
           .after = SERVER_HANG}},
         1,
         0,
         50,
         1,
         "HTTP status 413"},
        {"413 early and closed",
         {{.reply = "HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n",
           .when = SERVER_AT_BYTES,
           .at_bytes = 5000,
           .after = SERVER_CLOSE}},
         1,
         0,
         50,
         1,
         "HTTP status 413"},
        {"no answer, closed, then 200",
         {{.when = SERVER_AT_BYTES, .at_bytes = 5000, .after = SERVER_CLOSE}, {.reply = SERVER_OK}},
         2,
         50,
         0,
         2,
         "closed without a response; trying again"},
        {"garbage early", {EARLY("garbage\r\n")}, 1, 0, 50, 1, "not HTTP"},
        {"100 Continue early, then all of it is read",
         {{.reply = "HTTP/1.1 100 Continue\r\n\r\n", .when = SERVER_AT_BYTES, .at_bytes = 5000},
          {.reply = SERVER_OK}},
         2,
         50,
         0,
         1,
         NULL},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        long long took;
        hotel_destination_stats d;
        begin(&r, SERVER_UNIX, cases[i].steps, cases[i].num_steps);
        r.to.max_request_bytes = 4u << 20;
        r.config.arena_bytes = 16u << 20;
        r.to.schedule_delay_ms = 60000;
        (void)hotel_release();
        start(&r);
        end_large_batch();
        took = server_now_ms();
        is_int(hotel_flush(8000), cases[i].failed != 0 ? HOTEL_ERR_FAILED : HOTEL_OK, "OT-06 %s",
               cases[i].name);
        took = server_now_ms() - took;
        ok(took < 2500, "OT-06 ... noticed while sending, after %lld ms", took);
        d = since_opened(0);
        ok(d.accepted == cases[i].accepted && d.failed == cases[i].failed &&
               d.requests == cases[i].requests,
           "OR-02 ... accepted %u, failed %u in %u requests", (unsigned)d.accepted,
           (unsigned)d.failed, (unsigned)d.requests);
        ok(cases[i].said == NULL || log_has(cases[i].said), "OR-14 ... and logged") ||
            (log_show(), 0);
        ok(cases[i].requests == 2 || cases[i].num_steps == 2 ||
               d.bytes_sent < (cases[i].accepted != 0 ? 4u << 20 : 2u << 20),
           "OT-06 ... the rest is not sent (%u bytes)", (unsigned)d.bytes_sent);
        end(&r, cases[i].name);
    }
    (void)hotel_release();
}

/* A server that answered before it had read everything keeps no connection. */
static void test_early_not_reused(void) {
    static const server_step steps[] = {EARLY(SERVER_OK), {.reply = SERVER_OK}};
    run r;
    begin(&r, SERVER_UNIX, steps, 2);
    r.to.max_request_bytes = 4u << 20;
    r.config.arena_bytes = 16u << 20;
    start(&r);
    end_large_batch();
    is_int(hotel_flush(8000), HOTEL_OK, "an early answer");
    is_int(export_one(10), HOTEL_OK, "and another request");
    is_int(since_opened(0).connections, 2, "OT-06 the connection of an early answer is given up");
    end(&r, "early, then another");
    (void)hotel_release();
}

/* ---- No zlib ---------------------------------------------------------------------------------- */

static void test_without_zlib(void) {
    static const struct {
        const char *traces, *general; /* variables, NULL: not set */
        hotel_compression code;
        unsigned variables, configs; /* messages */
        const char *said;
    } cases[] = {
        {NULL, NULL, HOTEL_COMPRESSION_DEFAULT, 0, 0, NULL},
        {NULL, "none", HOTEL_COMPRESSION_DEFAULT, 0, 0, NULL},
        {NULL, "gzip", HOTEL_COMPRESSION_DEFAULT, 1, 0,
         "OTEL_EXPORTER_OTLP_COMPRESSION=\"gzip\" needs a build with HATCHET_OTEL_ZLIB; none is "
         "used"},
        {"gzip", "none", HOTEL_COMPRESSION_DEFAULT, 1, 0,
         "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=\"gzip\" needs"},
        {"none", "gzip", HOTEL_COMPRESSION_DEFAULT, 0, 0, NULL},
        {"zstd", NULL, HOTEL_COMPRESSION_DEFAULT, 1, 0, "is neither none nor gzip; it is ignored"},
        {"", "", HOTEL_COMPRESSION_DEFAULT, 0, 0, NULL},
        {"gzip", "gzip", HOTEL_COMPRESSION_NONE, 0, 0, NULL},
        {NULL, NULL, HOTEL_COMPRESSION_GZIP, 0, 1, "gzip needs HATCHET_OTEL_ZLIB"},
    };
    size_t i;
    char value[64];
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        if (cases[i].traces != NULL)
            (void)setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", cases[i].traces, 1);
        if (cases[i].general != NULL)
            (void)setenv("OTEL_EXPORTER_OTLP_COMPRESSION", cases[i].general, 1);
        begin(&r, SERVER_IPV4, NULL, 0);
        r.config.ignore_environment = false;
        r.to.compression = cases[i].code;
        start(&r);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), cases[i].variables,
               "OX-08 without zlib, case %zu: messages on variables", i);
        is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), cases[i].configs, "OX-08 ... on settings");
        ok(cases[i].said == NULL || log_has(cases[i].said), "OX-08 ... with these words") ||
            (log_show(), 0);
        is_int(export_one(1000), HOTEL_OK, "OX-08 ... delivered");
        ok(server_header_in(server_request_at(&r.s, 0)->head, "Content-Encoding", 0, value,
                            sizeof value) == NULL,
           "OT-02 ... without Content-Encoding");
        end(&r, "without zlib");
        (void)unsetenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION");
        (void)unsetenv("OTEL_EXPORTER_OTLP_COMPRESSION");
    }
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_response_limit();
    test_request_limit();
    test_early_answers();
    test_early_not_reused();
    test_without_zlib();
    return done_testing();
}
