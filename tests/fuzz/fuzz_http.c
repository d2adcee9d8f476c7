/*
 * SPDX-License-Identifier: MIT
 *
 * HTTP responses: one outcome, however the bytes are cut. The first byte says how. The input is
 * also what a well-formed response is made of, which is read as it was written.
 */
#include "fuzz.h"

#include <stdarg.h>
#include <time.h>

enum { CAPACITY = 16, MAX_BYTES = 4096 };

typedef struct outcome {
    hoteli_http http;
    char body[CAPACITY];
    int result;
    int finish;
    size_t consumed;
} outcome;

static void feed(outcome *o, const char *bytes, size_t size, size_t step) {
    memset(o, 0, sizeof *o);
    hoteli_http_start(&o->http, o->body, CAPACITY, MAX_BYTES);
    while (o->consumed < size && o->result == 0) {
        size_t n = size - o->consumed < step ? size - o->consumed : step, taken = 0;
        o->result = hoteli_http_feed(&o->http, bytes + o->consumed, n, &taken);
        FUZZ_CHECK(taken <= n && (taken == n || o->result != 0));
        o->consumed += taken;
    }
    o->finish = hoteli_http_finish(&o->http);
}

static void check(const outcome *o, size_t size) {
    const hoteli_http *http = &o->http;
    int64_t wait;
    FUZZ_CHECK(o->result >= -2 && o->result <= 1);
    FUZZ_CHECK(o->finish == 1 || (o->finish == -1 && http->reason != NULL && !http->keep_alive));
    FUZZ_CHECK(o->result != 1 || (o->finish == 1 && http->status >= 200 && http->status <= 999));
    FUZZ_CHECK(o->result >= 0 || o->finish == -1);
    FUZZ_CHECK(o->finish == -1 || http->reason == NULL);
    FUZZ_CHECK(http->any_byte == (size > 0));
    FUZZ_CHECK(http->body_size <= MAX_BYTES && http->body_size <= size);
    FUZZ_CHECK(http->body_kept == (http->body_size < CAPACITY ? http->body_size : CAPACITY));
    FUZZ_CHECK(memchr(http->retry_after, 0, sizeof http->retry_after) != NULL);
    wait = hoteli_http_retry_after_ms(http->retry_after, 784111777);
    FUZZ_CHECK(wait >= -1 && wait <= 86400000);
}

static bool same(const outcome *a, const outcome *b) {
    return a->result == b->result && a->finish == b->finish && a->consumed == b->consumed &&
           a->http.status == b->http.status && a->http.keep_alive == b->http.keep_alive &&
           a->http.is_protobuf == b->http.is_protobuf && a->http.reason == b->http.reason &&
           a->http.body_size == b->http.body_size && memcmp(a->body, b->body, CAPACITY) == 0 &&
           strcmp(a->http.retry_after, b->http.retry_after) == 0;
}

enum { MADE_BODY = 600, MADE_ROOM = 8192 };

typedef struct response {
    char text[MADE_ROOM];
    size_t size;
    bool until_close, keep_alive, is_protobuf;
    unsigned status;
} response;

__attribute__((format(printf, 2, 3))) static void add(response *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    r->size += (size_t)vsnprintf(r->text + r->size, sizeof r->text - r->size, format, args);
    va_end(args);
    FUZZ_CHECK(r->size < sizeof r->text);
}

static void add_bytes(response *r, const uint8_t *bytes, size_t size) {
    FUZZ_CHECK(size < sizeof r->text - r->size);
    if (size > 0) memcpy(r->text + r->size, bytes, size);
    r->size += size;
}

static void add_chunks(response *r, const uint8_t *body, size_t size, uint8_t how) {
    size_t step = how % 37u + 20u;
    while (size > 0) {
        size_t n = size < step ? size : step;
        add(r, how & 64 ? "%zX\r\n" : "%zx ; name=\"value\"\r\n", n);
        add_bytes(r, body, n);
        add(r, "\r\n");
        body += n;
        size -= n;
    }
    add(r, how & 128 ? "0\r\nTrailer: %u\r\n\r\n" : "000\r\n\r\n", (unsigned)how);
}

/* A response with that body; `choice` says which of many. */
static void make(response *r, const uint8_t choice[4], const uint8_t *body, size_t size) {
    static const unsigned statuses[] = {200, 202, 204, 304, 400, 429, 503, 999};
    unsigned version = choice[0] >> 7, framing = choice[1] % 3u;
    const char *connection = choice[0] & 8 ? "close" : choice[0] & 16 ? "x, Keep-Alive" : NULL;
    memset(r, 0, sizeof *r);
    r->status = statuses[choice[0] & 7];
    if (choice[1] & 128) add(r, "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n");
    if (choice[1] & 64) add(r, "\r\n");
    add(r, "HTTP/1.%u %u%s\r\n", version, r->status, choice[1] & 32 ? " some words" : "");
    if (connection != NULL) add(r, "Connection: %s\r\n", connection);
    add(r, "x-%u:%*s%u\t\r\n", choice[2], choice[2] & 15, "", choice[3]);
    r->is_protobuf = (choice[0] & 32) != 0;
    if (r->is_protobuf) add(r, "CONTENT-type: application/X-protobuf;v=1\r\n");
    add(r, "retry-after: %u\r\n", choice[3]);
    r->keep_alive = !(choice[0] & 8) && (version == 1 || (choice[0] & 16));
    if (r->status == 204 || r->status == 304) {
        add(r, "\r\n");
        return;
    }
    if (framing == 0) {
        add(r, "content-LENGTH: %zu , %zu\r\n\r\n", size, size);
        add_bytes(r, body, size);
    } else if (framing == 1) {
        add(r, "Transfer-Encoding: Chunked\r\n\r\n");
        add_chunks(r, body, size, choice[2]);
        r->keep_alive = r->keep_alive && version == 1;
    } else {
        add(r, "\r\n");
        add_bytes(r, body, size);
        r->keep_alive = false;
        r->until_close = true;
    }
}

static void check_made(const uint8_t *data, size_t size) {
    static response r;
    uint8_t choice[4] = {0, 0, 0, 0};
    char wait[8];
    outcome o;
    memcpy(choice, data, size < 4 ? size : 4);
    data += size < 4 ? size : 4;
    size -= size < 4 ? size : 4;
    if (size > MADE_BODY) size = MADE_BODY;
    make(&r, choice, data, size);
    if (r.status == 204 || r.status == 304) size = 0;
    feed(&o, r.text, r.size, choice[3] + 1u);
    FUZZ_CHECK(o.finish == 1 && o.result == (r.until_close ? 0 : 1) && o.consumed == r.size);
    FUZZ_CHECK(o.http.status == (int)r.status && o.http.reason == NULL);
    FUZZ_CHECK(o.http.keep_alive == r.keep_alive && o.http.is_protobuf == r.is_protobuf);
    FUZZ_CHECK(o.http.body_size == size);
    FUZZ_CHECK(memcmp(o.body, data, size < CAPACITY ? size : CAPACITY) == 0);
    (void)snprintf(wait, sizeof wait, "%u", choice[3]);
    FUZZ_CHECK(strcmp(o.http.retry_after, wait) == 0);
    FUZZ_CHECK(hoteli_http_retry_after_ms(wait, 0) == (int64_t)choice[3] * 1000);
}

/* Each second of two centuries in the form that RFC 9110 prefers, against gmtime. */
static void check_date(const uint8_t *data, size_t size) {
    char text[64];
    uint32_t word = 0;
    time_t then;
    struct tm parts;
    int64_t now;
    if (size < 4) return;
    memcpy(&word, data, 4);
    then = (time_t)word;
    now = (int64_t)then - data[0];
    if (gmtime_r(&then, &parts) == NULL) return;
    (void)strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    FUZZ_CHECK(hoteli_date_parse(text, now) == (int64_t)then);
    (void)strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    FUZZ_CHECK(hoteli_date_parse(text, now) == (int64_t)then);
    (void)strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &parts);
    FUZZ_CHECK(hoteli_date_parse(text, now) == (int64_t)then);
    FUZZ_CHECK(now < 0 || hoteli_http_retry_after_ms(text, now) == (int64_t)data[0] * 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    outcome whole, other;
    const char *bytes = (const char *)data + 1;
    check_made(data, size);
    check_date(data, size);
    if (size < 2) return 0;
    size--;
    feed(&whole, bytes, size, size);
    check(&whole, size);
    feed(&other, bytes, size, 1);
    FUZZ_CHECK(same(&whole, &other));
    feed(&other, bytes, size, (size_t)data[0] % size + 1);
    FUZZ_CHECK(same(&whole, &other));
    if (whole.result == 1) {
        feed(&other, bytes, whole.consumed, size);
        FUZZ_CHECK(same(&whole, &other));
        feed(&other, bytes, whole.consumed - 1, size);
        FUZZ_CHECK(other.result == 0 && other.finish == -1);
    }
    return 0;
}
