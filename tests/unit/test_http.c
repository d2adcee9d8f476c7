/*
 * SPDX-License-Identifier: MIT
 *
 * The HTTP/1.1 response reader and Retry-After. Every response is fed whole, byte by byte and cut
 * in two at every place, and every prefix of it is closed early.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

enum { BODY_CAPACITY = 8, MAX_RESPONSE_BYTES = 100 };

/* What a response came to: everything that a caller may read. */
typedef struct outcome {
    int result;
    int finish; /* what hoteli_http_finish() then said */
    size_t consumed;
    int status;
    bool keep_alive;
    bool is_protobuf;
    uint64_t body_size;
    size_t body_kept;
    char body[BODY_CAPACITY];
    char retry_after[64];
    const char *reason;
} outcome;

/* Feeds text[0..first), then the rest in steps of `step` bytes. */
static outcome feed(const char *text, size_t size, size_t first, size_t step) {
    hoteli_http http;
    outcome o;
    char *body = guard_room(3, BODY_CAPACITY);
    size_t i = 0;
    memset(&o, 0, sizeof o);
    hoteli_http_start(&http, body, BODY_CAPACITY, MAX_RESPONSE_BYTES);
    while (i < size && o.result == 0) {
        size_t n = i == 0 && first > 0 ? first : step, consumed = 0;
        if (n > size - i) n = size - i;
        o.result = hoteli_http_feed(&http, guard_copy(0, text + i, n), n, &consumed);
        if (o.result == 0 && consumed != n) o.result = 99;
        i += consumed;
        o.consumed = i;
    }
    o.finish = hoteli_http_finish(&http);
    o.status = http.status;
    o.keep_alive = http.keep_alive;
    o.is_protobuf = http.is_protobuf;
    o.body_size = http.body_size;
    o.body_kept = http.body_kept;
    memcpy(o.body, body, http.body_kept);
    memcpy(o.retry_after, http.retry_after, sizeof o.retry_after);
    o.reason = http.reason;
    return o;
}

static bool same(const outcome *a, const outcome *b) {
    return a->result == b->result && a->finish == b->finish && a->consumed == b->consumed &&
           a->status == b->status && a->keep_alive == b->keep_alive &&
           a->is_protobuf == b->is_protobuf && a->body_size == b->body_size &&
           a->body_kept == b->body_kept && memcmp(a->body, b->body, sizeof a->body) == 0 &&
           strcmp(a->retry_after, b->retry_after) == 0 &&
           (a->reason == b->reason ||
            (a->reason != NULL && b->reason != NULL && strcmp(a->reason, b->reason) == 0));
}

/* However the response is cut, the outcome is the same; and the pieces end at forbidden pages. */
static outcome feed_all_ways(const char *name, const char *text, size_t size) {
    outcome whole = feed(text, size, size, size), other;
    size_t cut;
    int num_wrong = 0;
    other = feed(text, size, 1, 1);
    num_wrong += !same(&whole, &other);
    other = feed(text, size, 3, 3);
    num_wrong += !same(&whole, &other);
    for (cut = 1; cut < size; cut++) {
        other = feed(text, size, cut, size);
        num_wrong += !same(&whole, &other);
    }
    is_int(num_wrong, 0, "OT-06 %s: the same in any pieces", name);
    return whole;
}

static void describe(const outcome *o, char *out, size_t capacity) {
    if (o->result < 0) {
        (void)snprintf(out, capacity, "%d %s", o->result, o->reason);
        return;
    }
    (void)snprintf(out, capacity, "%s %d%s%s%s%s [%.*s] %d", o->result == 1 ? "done" : "open",
                   o->status, o->keep_alive ? " keep" : "", o->is_protobuf ? " protobuf" : "",
                   o->retry_after[0] != 0 ? " retry=" : "", o->retry_after, (int)o->body_kept,
                   o->body, (int)o->body_size);
}

/*
 * The whole of `text` gives `want`. A complete response leaves what follows it alone, and no part
 * of it counts as complete, also not when the peer closes, unless closing is what ends it.
 */
static void check_n(const char *name, const char *text, size_t size, const char *want) {
    char got[256], longer[4096];
    outcome whole = feed_all_ways(name, text, size), part;
    size_t cut;
    int num_wrong = 0;
    describe(&whole, got, sizeof got);
    is_str(got, want, "OT-06 %s", name);
    if (whole.result != 1) return;
    is_int(whole.consumed, size, "OT-06 %s: all of it is taken", name);
    memcpy(longer, text, size);
    memcpy(longer + size, "HTTP/1.1 5", 10);
    part = feed(longer, size + 10, size + 10, 1);
    ok(same(&whole, &part), "OT-06 %s: and nothing of what follows", name);
    for (cut = 0; cut < size; cut++) {
        part = feed(text, cut, cut, cut);
        num_wrong += part.result != 0 || part.finish != -1 || part.reason == NULL;
    }
    is_int(num_wrong, 0, "OR-03 %s: closed early, at any place, it is an error", name);
}

static void check(const char *name, const char *text, const char *want) {
    check_n(name, text, strlen(text), want);
}

#define OK "HTTP/1.1 200 OK\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define END "\r\n"
#define TOO_LARGE "-2 the response is larger than the limit"

static void test_length(void) {
    check("length", OK LENGTH(5) END "hello", "done 200 keep [hello] 5");
    check("length 0", OK LENGTH(0) END, "done 200 keep [] 0");
    check("no reason phrase", "HTTP/1.1 204\r\n\r\n", "done 204 keep [] 0");
    check("empty reason phrase", "HTTP/1.1 404 \r\n" LENGTH(1) END "x", "done 404 keep [x] 1");
    check("utf-8 reason phrase", "HTTP/1.1 404 pas trouv\xC3\xA9\r\n" LENGTH(0) END,
          "done 404 keep [] 0");
    check("204 has no body", "HTTP/1.1 204 No Content\r\n" LENGTH(7) END, "done 204 keep [] 0");
    check("304 has no body", "HTTP/1.1 304 Not Modified\r\n" CHUNKED END, "done 304 keep [] 0");
    check("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "done 200 keep [hi] 2");
    check("leading blank lines", "\r\n\n" OK LENGTH(2) END "hi", "done 200 keep [hi] 2");
    check("any case, no blanks", OK "cOnTeNt-LeNgTh:3" END END "abc", "done 200 keep [abc] 3");
    check("many blanks", OK "Content-Length: \t 3 \t " END END "abc", "done 200 keep [abc] 3");
    check("empty values", OK "X:\r\nServer: \r\n" LENGTH(1) END "x", "done 200 keep [x] 1");
    check("equal lengths", OK LENGTH(3) LENGTH(3) END "abc", "done 200 keep [abc] 3");
    check("equal lengths in a list", OK "Content-Length: 3, 3,03" END END "abc",
          "done 200 keep [abc] 3");
    check("only the start is kept", OK LENGTH(20) END "0123456789abcdefghij",
          "done 200 keep [01234567] 20");
    check("at the limit",
          OK LENGTH(100) END
          "0123456789012345678901234567890123456789012345678901234567890123456789"
          "012345678901234567890123456789",
          "done 200 keep [01234567] 100");
    check("over the limit", OK LENGTH(101) END "x", TOO_LARGE);
    check("far over the limit", OK LENGTH(18446744073709551615) END "x", TOO_LARGE);
    check("binary content", OK LENGTH(4) END "\r\n\r\n", "done 200 keep [\r\n\r\n] 4");
    check("HTTP/1.9", "HTTP/1.9 200 OK\r\n" LENGTH(0) END, "done 200 keep [] 0");
    check("a large status", "HTTP/1.1 999 What\r\n" LENGTH(0) END, "done 999 keep [] 0");
}

static void test_chunked(void) {
    check("one chunk", OK CHUNKED END "5\r\nhello\r\n0\r\n\r\n", "done 200 keep [hello] 5");
    check("no chunk", OK CHUNKED END "0\r\n\r\n", "done 200 keep [] 0");
    check("three chunks", OK CHUNKED END "1\r\na\r\n2\r\nbc\r\n0A\r\n0123456789\r\n000\r\n\r\n",
          "done 200 keep [abc01234] 13");
    check("extensions", OK CHUNKED END "2;a=b;c=\"d e\"\r\nhi\r\n0;last\r\n\r\n",
          "done 200 keep [hi] 2");
    check("blanks behind the size", OK CHUNKED END "2 \t;x\r\nhi\r\n0  \r\n\r\n",
          "done 200 keep [hi] 2");
    check("trailers",
          OK CHUNKED END "2\r\nhi\r\n0\r\nContent-Length: 9\r\nConnection: close\r\nX: y\r\n\r\n",
          "done 200 keep [hi] 2");
    check("bare line feeds in chunks", OK "Transfer-Encoding:chunked\n\n2\nhi\n0\n\n",
          "done 200 keep [hi] 2");
    check("Chunked in any case", OK "TRANSFER-ENCODING: Chunked\r\n" END "0\r\n\r\n",
          "done 200 keep [] 0");
    check("leading zeros", OK CHUNKED END "00000000000000000000002\r\nhi\r\n0\r\n\r\n",
          "done 200 keep [hi] 2");
    check("chunks over the limit",
          OK CHUNKED END
          "40\r\n"
          "0123456789012345678901234567890123456789012345678901234567890123\r\n25\r\n",
          TOO_LARGE);
    check("a chunk over the limit", OK CHUNKED END "65\r\n", TOO_LARGE);
    check("a chunk over 64 bits", OK CHUNKED END "10000000000000001\r\n", TOO_LARGE);
    check("no chunk size", OK CHUNKED END "\r\n", "-1 malformed chunk size");
    check("chunk size is no number", OK CHUNKED END "x\r\n", "-1 malformed chunk size");
    check("negative chunk size", OK CHUNKED END "-1\r\n", "-1 malformed chunk size");
    check("chunk size 0x2", OK CHUNKED END "0x2\r\n", "-1 malformed chunk size");
    check("blank before the size", OK CHUNKED END " 2\r\n", "-1 malformed chunk size");
    check("chunk too long", OK CHUNKED END "2\r\nhi!\r\n", "-1 chunk longer than its size");
    check("folded trailer", OK CHUNKED END "0\r\nA: b\r\n c\r\n\r\n", "-1 folded header line");
    check("malformed trailer", OK CHUNKED END "0\r\nA b\r\n\r\n", "-1 malformed header line");
    check("with a length", OK CHUNKED LENGTH(5) END "0\r\n\r\n",
          "-1 both content-length and transfer-encoding");
    check("with a length before it", OK LENGTH(5) CHUNKED END,
          "-1 both content-length and transfer-encoding");
    check("twice", OK CHUNKED CHUNKED END, "-1 transfer-encoding other than chunked");
    check("gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
          "-1 transfer-encoding other than chunked");
    check("identity", OK "Transfer-Encoding: identity\r\n\r\n",
          "-1 transfer-encoding other than chunked");
}

static void test_until_close(void) {
    static const char text[] = OK "Server: x\r\n" END "hello";
    size_t head = sizeof text - 1 - 5, cut;
    char got[256], large[200];
    outcome o = feed_all_ways("until close", text, sizeof text - 1);
    int num_wrong = 0;
    describe(&o, got, sizeof got);
    is_str(got, "open 200 [hello] 5", "OT-06 without a length the content goes on");
    is_int(o.finish, 1, "OT-06 until the peer closes");
    for (cut = 0; cut < sizeof text - 1; cut++) {
        o = feed(text, cut, cut, cut);
        num_wrong += o.result != 0 || o.finish != (cut < head ? -1 : 1) || o.keep_alive;
    }
    is_int(num_wrong, 0, "OT-06 closing ends the content wherever it is, but not the header");
    memcpy(large, text, head);
    memset(large + head, 'x', 101);
    o = feed_all_ways("until close, at the limit", large, head + 100);
    ok(o.result == 0 && o.finish == 1 && o.body_size == 100, "OX-12 as much as is allowed");
    o = feed_all_ways("until close, over the limit", large, head + 101);
    ok(o.result == -2 && o.finish == -1 && o.body_size == 100 && o.consumed == head + 100,
       "OX-12 one byte more is too much");
}

static void test_interim(void) {
    check("100 Continue", "HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH(2) END "hi",
          "done 200 keep [hi] 2");
    check("several interim responses",
          "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK LENGTH(0)
              END,
          "done 200 keep [] 0");
    check("headers of interim responses do not count",
          "HTTP/1.1 100 Continue\r\nRetry-After: 5\r\nContent-Length: 3\r\nConnection: close\r\n"
          "Content-Type: application/x-protobuf\r\n\r\nHTTP/1.1 503 x\r\n" LENGTH(0) END,
          "done 503 keep [] 0");
    check("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
          "-1 switched to another protocol unasked");
}

static void test_connection(void) {
    check("close", OK "Connection: close\r\n" LENGTH(1) END "x", "done 200 [x] 1");
    check("Close among others", OK "Connection: upgrade, CLOSE , x\r\n" LENGTH(1) END "x",
          "done 200 [x] 1");
    check("close wins over keep-alive",
          OK "Connection: close\r\nConnection: keep-alive\r\n" LENGTH(1) END "x", "done 200 [x] 1");
    check("closed is not close", OK "Connection: closed\r\n" LENGTH(1) END "x",
          "done 200 keep [x] 1");
    check("HTTP/1.0", "HTTP/1.0 200 OK\r\n" LENGTH(1) END "x", "done 200 [x] 1");
    check("HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" LENGTH(1) END "x",
          "done 200 keep [x] 1");
    check("HTTP/1.0 with chunks",
          "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" CHUNKED END "1\r\nx\r\n0\r\n\r\n",
          "done 200 [x] 1");
}

static void test_headers(void) {
    check("Retry-After", "HTTP/1.1 503 x\r\nRetry-After:  120 \r\n" LENGTH(0) END,
          "done 503 keep retry=120 [] 0");
    check("Retry-After date",
          "HTTP/1.1 429 x\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n" LENGTH(0) END,
          "done 429 keep retry=Sun, 06 Nov 1994 08:49:37 GMT [] 0");
    check("Retry-After of 63 bytes",
          "HTTP/1.1 503 x\r\nRetry-After: "
          "012345678901234567890123456789012345678901234567890123456789012\r\n" LENGTH(0) END,
          "done 503 keep retry=012345678901234567890123456789012345678901234567890123456789012"
          " [] 0");
    check("overlong Retry-After",
          "HTTP/1.1 503 x\r\nRetry-After: "
          "0123456789012345678901234567890123456789012345678901234567890123\r\n" LENGTH(0) END,
          "done 503 keep [] 0");
    check("protobuf", OK "Content-Type: application/x-protobuf\r\n" LENGTH(0) END,
          "done 200 keep protobuf [] 0");
    check("protobuf with parameters",
          OK "Content-Type: Application/X-Protobuf ; charset=utf-8\r\n" LENGTH(0) END,
          "done 200 keep protobuf [] 0");
    check("not protobuf", OK "Content-Type: application/x-protobuffer\r\n" LENGTH(0) END,
          "done 200 keep [] 0");
    check("compressed protobuf",
          OK "Content-Encoding: gzip\r\nContent-Type: application/x-protobuf\r\n" LENGTH(0) END,
          "done 200 keep [] 0");
    check("identity",
          OK "Content-Type: application/x-protobuf\r\nContent-Encoding: identity\r\n" LENGTH(0) END,
          "done 200 keep protobuf [] 0");
}

static void test_malformed(void) {
    check_n("NUL in a header", OK "A: b\0c\r\n\r\n", sizeof OK - 1 + 10,
            "-1 control character in a header");
    check_n("an HTTP/2 SETTINGS frame", "\0\0\6\4\0\0\0\0\0", 9,
            "-1 answers in HTTP/2, as a gRPC port does");
    check("a TLS alert", "\x15\x03\x01", "-1 answers in TLS: https may be right");
    check("another protocol", "220 mail.example.com ESMTP\r\n", "-1 not an HTTP response");
    check("a request", "HEAD / HTTP/1.1\r\n\r\n", "-1 not an HTTP response");
    check("lower case", "http/1.1 200 OK\r\n\r\n", "-1 not an HTTP response");
    check("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "-1 malformed status line");
    check("HTTP/11", "HTTP/11 200 OK\r\n\r\n", "-1 malformed status line");
    check("HTTP/1.x", "HTTP/1.x 200 OK\r\n\r\n", "-1 malformed status line");
    check("HTTP/1./", "HTTP/1./ 200 OK\r\n\r\n", "-1 malformed status line");
    check("short status", "HTTP/1.1 20\r\n\r\n", "-1 malformed status line");
    check("blank in the status", "HTTP/1.1  20 OK\r\n\r\n", "-1 malformed status line");
    check("status below 100", "HTTP/1.1 099 OK\r\n\r\n", "-1 malformed status line");
    check("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "-1 malformed status line");
    check("no status", "HTTP/1.1\r\n\r\n", "-1 malformed status line");
    check("no colon", OK "Content-Length 5\r\n\r\n", "-1 malformed header line");
    check("no name", OK ": 5\r\n\r\n", "-1 malformed header line");
    check("blank before the colon", OK "Content-Length : 5\r\n\r\n", "-1 malformed header line");
    check("folded", OK "A: b\r\n\tc\r\n\r\n", "-1 folded header line");
    check("folded first line", OK " A: b\r\n\r\n", "-1 folded header line");
    check("bare carriage return", OK "A: b\rc\r\n\r\n", "-1 carriage return without line feed");
    check("two carriage returns", OK "A: b\r\r\n\r\n", "-1 carriage return without line feed");
    check("control character", OK "A: \x01\r\n\r\n", "-1 control character in a header");
    check("differing lengths", OK LENGTH(3) LENGTH(4) END,
          "-1 malformed or contradicting content-length");
    check("differing lengths in a list", OK "Content-Length: 3,4\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("negative length", OK "Content-Length: -1\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("signed length", OK "Content-Length: +1\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("length in hex", OK "Content-Length: 0x10\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("length over 64 bits", OK "Content-Length: 18446744073709551616\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("length of two words", OK "Content-Length: 1 2\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("length of the form a=b", OK "Content-Length: 1=1\r\n\r\n",
          "-1 malformed or contradicting content-length");
    check("empty length", OK "Content-Length: \r\n\r\n", "-1 empty content-length");
}

static void test_closed(void) {
    outcome o = feed("", 0, 0, 1);
    ok(o.finish == -1, "OR-18 nothing arrived");
    is_str(o.reason, "closed before any response byte", "OR-18 reason");
    o = feed("H", 1, 1, 1);
    is_str(o.reason, "closed in the middle of the response header", "OR-03 in the status line");
    o = feed("\r\n", 2, 2, 1);
    is_str(o.reason, "closed in the middle of the response header", "OR-03 behind a blank line");
    o = feed(OK LENGTH(5), sizeof OK LENGTH(5) - 1, 100, 100);
    is_str(o.reason, "closed in the middle of the response header", "OR-03 in the header");
    o = feed(OK LENGTH(5) END "hell", sizeof OK LENGTH(5) END "hell" - 1, 100, 100);
    is_str(o.reason, "closed in the middle of the response body", "OR-03 in the body");
    o = feed(OK CHUNKED END "0\r\n", sizeof OK CHUNKED END "0\r\n" - 1, 100, 100);
    is_str(o.reason, "closed in the middle of the response body", "OR-03 in the trailers");
}

static void test_any_byte(void) {
    hoteli_http http;
    size_t consumed = 7;
    hoteli_http_start(&http, NULL, 0, 100);
    is_int(hoteli_http_feed(&http, NULL, 0, &consumed), 0, "OR-18 no bytes, no progress");
    ok(consumed == 0 && !http.any_byte, "OR-18 nothing counts as nothing");
    is_int(hoteli_http_feed(&http, OK LENGTH(3) END "abc", sizeof OK LENGTH(3) END "abc" - 1,
                            &consumed),
           1, "OT-06 a response without room for its body");
    ok(http.any_byte && http.body_size == 3 && http.body_kept == 0, "OT-06 is counted, not kept");
    is_int(hoteli_http_feed(&http, "more", 4, &consumed), 1, "OT-06 a complete response stays so");
    is_int(consumed, 0, "OT-06 and takes nothing more");
    is_int(hoteli_http_finish(&http), 1, "OT-06 closing afterwards changes nothing");
}

/* A header of `size` bytes in lines of 1000. */
static size_t make_head(char *out, size_t size) {
    size_t used = sizeof OK - 1;
    memcpy(out, OK, used);
    while (used < size) {
        size_t line = size - used < 2000 ? size - used : 1000;
        memset(out + used, 'a', line);
        memcpy(out + used, "X:", 2);
        out[used + line - 1] = '\n';
        used += line;
    }
    return used;
}

static void test_long_lines(void) {
    static char text[1 << 17];
    outcome o;
    size_t size;
    make_head(text, 65536 - sizeof LENGTH(0) + 1 - 2);
    memcpy(text + 65536 - sizeof LENGTH(0) + 1 - 2, LENGTH(0) END, sizeof LENGTH(0) END - 1);
    o = feed(text, 65536, 65536, 1);
    is_int(o.result, 1, "64 KiB of headers are taken");
    make_head(text, 65537);
    o = feed(text, 65537, 65537, 1);
    ok(o.result == -1 && o.consumed == 65537, "one byte more is not");
    is_str(o.reason, "more than 64 KiB of headers", "and says so");
    size = 0;
    while (size < 70000) {
        memcpy(text + size, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        size += 25;
    }
    o = feed(text, size, size, 1);
    ok(o.result == -1 && o.consumed == 65537, "endless interim responses end at the same limit");
    memset(text, '\n', 70000);
    o = feed(text, 70000, 70000, 1);
    ok(o.result == -1 && o.consumed == 65537, "endless blank lines too");
    size = (size_t)snprintf(text, sizeof text, OK CHUNKED END "1;");
    memset(text + size, 'x', 70000);
    o = feed(text, size + 70000, size + 70000, 1);
    ok(o.result == -1 && o.consumed < 65536 + 40, "an endless chunk extension too");
    size = (size_t)snprintf(text, sizeof text, OK CHUNKED END "0\r\n");
    while (size < 70000) {
        memcpy(text + size, "A: b\r\n", 6);
        size += 6;
    }
    o = feed(text, size, size, 1);
    is_str(o.reason, "more than 64 KiB of headers", "endless trailers too");
    size = (size_t)snprintf(text, sizeof text, OK CHUNKED END "1;");
    memset(text + size, 'x', 1000);
    (void)snprintf(text + size + 1000, 100, "\r\na\r\n0\r\n\r\n");
    o = feed(text, strlen(text), strlen(text), 1);
    ok(o.result == 1 && o.body_size == 1, "a long chunk extension is passed over");
}

/* A line of `size` bytes: a name, much of one character, then the end of the value. */
static outcome feed_line(const char *name, char fill, const char *last, size_t size) {
    char text[1024], line[512];
    memset(line, fill, size);
    memcpy(line, name, strlen(name));
    memcpy(line + size - strlen(last), last, strlen(last));
    (void)snprintf(text, sizeof text, OK "%.*s\r\n%s\r\n", (int)size, line,
                   strncmp(name, "Conn", 4) == 0 ? LENGTH(0) : "");
    return feed_all_ways(name, text, strlen(text));
}

/* A chunk of one byte whose size has so many digits. */
static outcome feed_chunk_size(size_t digits) {
    char text[1024];
    (void)snprintf(text, sizeof text, OK CHUNKED END "%0*d\r\na\r\n0\r\n\r\n", (int)digits, 1);
    return feed_all_ways("chunk size", text, strlen(text));
}

/* Of a line 256 bytes are looked at: what decides must not be lost behind them. */
static void test_cut_lines(void) {
    outcome o = feed_line("Content-Length: ", '0', "0", 256);
    is_int(o.result, 1, "a length in a line of 256 bytes");
    o = feed_line("Content-Length: ", '0', "5", 257);
    is_str(o.reason, "overlong content-length", "a length in a longer line is refused");
    o = feed_line("Transfer-Encoding: ", ' ', "chunked", 256);
    is_str(o.reason, "closed in the middle of the response body", "chunked in a line of 256 bytes");
    o = feed_line("Transfer-Encoding: chunked", ' ', "x", 257);
    is_str(o.reason, "transfer-encoding other than chunked", "in a longer line it is refused");
    o = feed_chunk_size(255);
    is_int(o.result, 1, "a chunk size of 255 digits");
    o = feed_chunk_size(256);
    is_str(o.reason, "malformed chunk size", "one whose end is out of sight is refused");
    o = feed_line("Connection: ", ',', "x", 256);
    ok(o.result == 1 && o.keep_alive, "a Connection of 256 bytes without close");
    o = feed_line("Connection: ", ',', "close", 256);
    ok(o.result == 1 && !o.keep_alive, "and with close");
    o = feed_line("Connection: ", ',', "x", 257);
    ok(o.result == 1 && !o.keep_alive, "in a longer line it is taken for close");
    o = feed_line("Connection: ", ',', "close", 300);
    ok(o.result == 1 && !o.keep_alive, "also when close is what was cut off");
}

/* Line ends between chunks do not count as header: many small chunks are fine. */
static void test_many_chunks(void) {
    static char text[(1 << 16) * 7];
    size_t size = (size_t)snprintf(text, sizeof text, OK CHUNKED END), consumed = 0;
    hoteli_http http;
    int i;
    for (i = 0; i < 60000; i++) {
        memcpy(text + size, "1\r\nx\r\n", 6);
        size += 6;
    }
    memcpy(text + size, "0\r\n\r\n", 5);
    size += 5;
    hoteli_http_start(&http, NULL, 0, 60000);
    is_int(hoteli_http_feed(&http, text, size, &consumed), 1, "60000 chunks of one byte");
    is_int(http.body_size, 60000, "are 60000 bytes");
}

/* Any byte at any place: the outcome may be what it likes, but not depend on the pieces. */
static void test_damaged(void) {
    static const char text[] = OK "Retry-After: 1\r\n" CHUNKED END "2;x\r\nhi\r\n0\r\nA: b\r\n\r\n";
    char damaged[sizeof text];
    size_t i, size = sizeof text - 1;
    unsigned c;
    int num_wrong = 0;
    for (i = 0; i < size; i++) {
        memcpy(damaged, text, sizeof text);
        for (c = 0; c < 256; c++) {
            outcome a, b;
            damaged[i] = (char)c;
            a = feed(damaged, size, size, 1);
            b = feed(damaged, size, 1, 1);
            num_wrong += !same(&a, &b) || a.result > 1 || a.result < -2;
            num_wrong += a.result < 0 && a.reason == NULL;
        }
    }
    is_int(num_wrong, 0, "OT-06 every replaced byte: the same whole and byte by byte");
}

/* ---- Retry-After ---- */

enum { NOW = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static void check_wait(const char *text, int64_t now, int64_t want) {
    is_int(hoteli_http_retry_after_ms(text, now), want, "OR-07 Retry-After: %s", text);
}

static void test_retry_after(void) {
    check_wait("0", NOW, 0);
    check_wait("1", NOW, 1000);
    check_wait("120", NOW, 120000);
    check_wait("00086399", NOW, 86399000);
    check_wait("86400", NOW, 86400000);
    check_wait("86401", NOW, 86400000);
    check_wait("99999999999999999999999999", NOW, 86400000);
    check_wait("", NOW, -1);
    check_wait("-1", NOW, -1);
    check_wait("+1", NOW, -1);
    check_wait("1.5", NOW, -1);
    check_wait("1s", NOW, -1);
    check_wait("soon", NOW, -1);
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOW, 0);
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOW - 7, 7000);
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOW + 1, -1);
    check_wait("Sunday, 06-Nov-94 08:49:37 GMT", NOW - 7, 7000);
    check_wait("Sunday, 06-Nov-94 08:49:37 GMT", NOW + 1, -1);
    check_wait("Sun Nov  6 08:49:37 1994", NOW - 7, 7000);
    check_wait("Sun Nov 16 08:49:37 1994", NOW, 86400000);
    check_wait("Mon, 07 Nov 1994 08:49:36 GMT", NOW, 86399000);
    check_wait("Mon, 07 Nov 1994 08:49:38 GMT", NOW, 86400000);
    check_wait("Fri, 31 Dec 9999 23:59:59 GMT", NOW, 86400000);
    check_wait("Sun, 06 Nov 1994 08:49:37", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT ", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:37 UTC", 0, -1);
    check_wait("Sun, 06 Now 1994 08:49:37 GMT", 0, -1);
    check_wait("Sunday, 06--94 08:49:37 GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 24:00:00 GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:60:00 GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:61 GMT", 0, -1);
    check_wait("Sun, 00 Nov 1994 08:49:37 GMT", 0, -1);
    check_wait("Sun, 32 Nov 1994 08:49:37 GMT", 0, -1);
    check_wait("Su, 06 Nov 1994 08:49:37 GMT", 0, -1);
    check_wait("Sun,06 Nov 1994 08:49:37 GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:3x GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:3: GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 08:49:3/ GMT", 0, -1);
    check_wait("Sun, 06 Nov 1994 8:49:37 GMT", 0, -1);
    check_wait("Sun, 06 Nov 94 08:49:37 GMT", 0, -1);
    check_wait("Sunday, 06-Nov-1994 08:49:37 GMT", 0, -1);
    check_wait("Sun Nov 06 08:49:37", 0, -1);
    check_wait("Thu, 01 Jan 1970 00:00:05 GMT", 0, 5000);
    check_wait("Wed, 31 Dec 1969 23:59:59 GMT", 0, -1);
    check_wait("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 - 9, 9000);
    check_wait("Fri, 01 Mar 2024 00:00:00 GMT", 1709251200 - 9, 9000);
    check_wait("Mon, 01 Mar 2100 00:00:00 GMT", 4107542400 - 9, 9000);
    check_wait("Tue, 29 Feb 2000 23:59:60 GMT", 951868800 - 9, 9000);
    check_wait("Friday, 01-Mar-24 00:00:00 GMT", 1709251200 - 9, 9000);
    check_wait("Sunday, 06-Nov-44 08:49:37 GMT", NOW, 86400000);           /* 2044 */
    check_wait("Sunday, 06-Nov-45 08:49:37 GMT", NOW, -1);                 /* 1945 */
    check_wait("Saturday, 06-Nov-60 08:49:37 GMT", 1288000000, 86400000);  /* 2060, in 2010 */
    check_wait("Sunday, 06-Nov-61 08:49:37 GMT", 1288000000, -1);          /* 1961, in 2010 */
    check_wait("Friday, 01-Jan-99 00:00:00 GMT", 1709251200, -1);          /* 1999 */
    check_wait("Saturday, 01-Jan-00 00:00:10 GMT", 4102444800 - 5, 15000); /* 2100, seen in 2099 */
}

/* Every day of 200 years, counted by hand. */
static void test_dates(void) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t day = 0;
    int year, month, date, num_wrong = 0;
    for (year = 1970; year < 2170; year++) {
        for (month = 0; month < 12; month++) {
            bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            for (date = 1; date <= days[month] + (month == 1 && leap); date++, day++) {
                char text[64];
                (void)snprintf(text, sizeof text, "Mon, %02d %s %04d 00:00:01 GMT", date,
                               months[month], year);
                num_wrong += hoteli_http_retry_after_ms(text, day * 86400) != 1000;
            }
        }
    }
    is_int(num_wrong, 0, "OR-07 the dates of 200 years, one by one");
}

int main(void) {
    test_length();
    test_chunked();
    test_until_close();
    test_interim();
    test_connection();
    test_headers();
    test_malformed();
    test_closed();
    test_any_byte();
    test_long_lines();
    test_cut_lines();
    test_many_chunks();
    test_damaged();
    test_retry_after();
    test_dates();
    return done_testing();
}
