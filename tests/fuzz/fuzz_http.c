/*
 * SPDX-License-Identifier: MIT
 *
 * HTTP responses: one outcome, however the bytes are cut. The first byte says how.
 */
#include "fuzz.h"

#define OK "HTTP/1.1 200 OK\r\n"

const char *const fuzz_seeds[] = {
    "a" OK "Content-Length: 5\r\nContent-Type: application/x-protobuf\r\n\r\nhello",
    "b" OK
    "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
    "c" OK "Server: x\r\nConnection: close\r\n\r\nuntil the end",
    "d"
    "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 3, 3\n\nabc",
    "e"
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: "
    "0\r\n\r\n",
    "f"
    "HTTP/1.1 429 x\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    "g"
    "HTTP/1.1 429 x\r\nRetry-After: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n",
    "h"
    "HTTP/1.1 429 x\r\nRetry-After: Sun Nov  6 08:49:37 1994\r\n\r\n",
    "i"
    "\r\nHTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\nHTTP/1.1 304 \r\n\r\n",
    NULL};

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    outcome whole, other;
    const char *bytes = (const char *)data + 1;
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
