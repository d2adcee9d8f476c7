/*
 * SPDX-License-Identifier: MIT
 *
 * gRPC on the bytes of HTTP/2: headers of a call, messages, and what becomes of a request. Content
 * is fed whole, byte by byte and cut at random, from memory that ends at a forbidden page.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

enum { BODY_CAPACITY = 8, MAX_RESPONSE_BYTES = 100, TEXT_ROOM = 2048 };

static uint64_t random_state = 1;

static size_t random_below(size_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % limit;
}

/* ---- what is sent --------------------------------------------------------------------------- */

static void add_field(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    char *text = (char *)user_data;
    size_t size = strlen(text);
    (void)snprintf(text + size, TEXT_ROOM - size, "%.*s: %.*s\n", (int)name_size, name,
                   (int)value_size, value);
}

static const char *decoded(const uint8_t *block, size_t size) {
    static char text[TEXT_ROOM];
    static hoteli_hpack hpack;
    text[0] = 0;
    hoteli_hpack_start(&hpack);
    if (!hoteli_hpack_decode(&hpack, block, size, add_field, text)) return "malformed";
    if (hpack.num_entries != 0) return "entries for the table";
    return text;
}

/* Counts, then writes into exactly as much. */
static void make_head(hoteli_grpc_head *h, bool tls, bool gzip, const char *user_agent) {
    static const char path[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    int pass;
    for (pass = 0; pass < 2; pass++) {
        size_t capacity = pass == 0 ? 0 : h->size;
        hoteli_grpc_head_start(h, capacity > 0 ? (uint8_t *)guard_room(0, capacity) : NULL,
                               capacity, tls, path, "collector:4317", gzip, user_agent);
        ok(hoteli_grpc_head_add(h, "Authorization", 13, " Bearer a=b\t", 12),
           "OH-07 a header of the user's is added");
        ok(!hoteli_grpc_head_add(h, "Grpc-Timeout", 12, "1H", 2), "OH-07 grpc-timeout is refused");
        ok(!hoteli_grpc_head_add(h, "grpc-", 5, "x", 1), "OH-07 grpc- is refused");
        ok(hoteli_grpc_head_add(h, "grpc", 4, "", 0), "OH-07 grpc is not");
    }
}

static const char *written(const hoteli_grpc_head *h, int64_t timeout_ms) {
    size_t room = h->size + HOTELI_GRPC_TIMEOUT;
    uint8_t *out = (uint8_t *)guard_room(1, room);
    size_t size = hoteli_grpc_head_write(h, timeout_ms, out);
    if (size > room) return "too large";
    return decoded(out, size);
}

static void test_head(void) {
    static const char secret[] = "\x1f\x08\x0a"
                                 "Bearer a=b"; // 23, authorization, never indexed
    char long_name[256];
    hoteli_grpc_head h;
    size_t size, last, at;
    make_head(&h, false, false, "agent/1");
    is_str(written(&h, INT64_MAX),
           ":method: POST\n:scheme: http\n"
           ":path: /opentelemetry.proto.collector.trace.v1.TraceService/Export\n"
           ":authority: collector:4317\nte: trailers\ncontent-type: application/grpc\n"
           "user-agent: agent/1\nauthorization: Bearer a=b\ngrpc: \n",
           "OG-01 headers of a call");
    last = h.size - sizeof secret + 2;
    for (at = 0; at < last && memcmp(h.bytes + at, secret, sizeof secret - 1) != 0; at++) {
    }
    ok(at < last, "OG-01 a header of the user's is never indexed");
    make_head(&h, true, true, NULL);
    is_str(written(&h, 10000),
           ":method: POST\n:scheme: https\n"
           ":path: /opentelemetry.proto.collector.trace.v1.TraceService/Export\n"
           ":authority: collector:4317\ngrpc-timeout: 10000m\nte: trailers\n"
           "content-type: application/grpc\ngrpc-encoding: gzip\n"
           "authorization: Bearer a=b\ngrpc: \n",
           "OG-01 with TLS, gzip, a timeout and an agent of the user's");
    size = h.size;
    memset(long_name, 'x', sizeof long_name);
    ok(!hoteli_grpc_head_add(&h, long_name, 256, "y", 1), "OH-07 a name of 256 bytes is refused");
    is_int(h.size, size, "OH-07 ... without a trace");
    ok(hoteli_grpc_head_add(&h, long_name, 255, "y", 1), "OH-07 a name of 255 bytes is not");
    ok(h.size > h.capacity, "OG-01 what does not fit is counted");
}

static void test_timeout(void) {
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {{1, "1m"},
                {10000, "10000m"},
                {99999999, "99999999m"},
                {100000000, "100000S"},
                {100000001, "100001S"},
                {UINT32_MAX, "4294968S"},
                {INT64_C(99999999000), "99999999S"},
                {INT64_MAX - 1000, "99999999S"},
                {0, "1m"},
                {-5, "1m"}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[17];
        text[hoteli_grpc_timeout(text, rows[i].ms)] = 0;
        is_str(text, rows[i].want, "OG-01 grpc-timeout of %lld ms", (long long)rows[i].ms);
    }
}

static void test_prefix(void) {
    uint8_t *prefix = (uint8_t *)guard_room(0, 5);
    hoteli_grpc_put_prefix(prefix, 0x01020304, true);
    is_mem(prefix, 5, "\1\1\2\3\4", 5, "OG-02 the prefix of a compressed message");
    hoteli_grpc_put_prefix(prefix, 3, false);
    is_mem(prefix, 5, "\0\0\0\0\3", 5, "OG-02 the prefix of a message");
}

/* ---- what is received ----------------------------------------------------------------------- */

typedef struct response {
    const char *fields; /* "name=value", a line each */
    const char *content;
    size_t size;
    int outcome;
    uint32_t code; /* of HTTP/2 */
    bool by_us;
    int status;
    const char *reason;
} response;

/* The verdict in words. */
static const char *judge(const response *r, int cut) {
    static char text[TEXT_ROOM];
    static hoteli_h2 c;
    char *body = guard_room(1, BODY_CAPACITY);
    const char *line = r->fields;
    hoteli_verdict v;
    hoteli_grpc g;
    size_t i = 0, n, size;
    memset(&c, 0, sizeof c);
    c.settled = true;
    c.outcome = r->outcome;
    c.code = r->code;
    c.by_us = r->by_us;
    c.status = r->status;
    c.reason = r->reason;
    memcpy(c.leave_words, "words", 5);
    c.leave_words_size = 5;
    hoteli_grpc_start(&g, body, BODY_CAPACITY, MAX_RESPONSE_BYTES);
    for (; *line != 0; line += *line == '\n') {
        size_t name_size = strcspn(line, "="), value_size = strcspn(line + name_size + 1, "\n");
        const char *name = guard_copy(2, line, name_size);
        hoteli_grpc_field(&g, name, name_size, guard_copy(3, line + name_size + 1, value_size),
                          value_size);
        line += name_size + 1 + value_size;
    }
    for (; i < r->size; i += n) {
        n = cut == 0 ? r->size - i : cut == 1 ? 1 : 1 + random_below(r->size - i);
        if (hoteli_grpc_data(&g, (const uint8_t *)guard_copy(0, r->content + i, n), n)) continue;
        c.outcome = HOTELI_H2_RESET;
        c.code = HOTELI_H2_CANCEL;
        c.by_us = true;
        break;
    }
    v = hoteli_grpc_finish(&g, &c);
    size = (size_t)snprintf(text, sizeof text, "%s%s%s", hoteli_grpc_code_name(v.code),
                            v.retryable ? " retry" : "", v.unprocessed ? " at once" : "");
    if (v.delay_ms >= 0) {
        size +=
            (size_t)snprintf(text + size, sizeof text - size, " %lld ms", (long long)v.delay_ms);
    }
    if (v.message_size > 0) {
        size += (size_t)snprintf(text + size, sizeof text - size, ": %.*s", (int)v.message_size,
                                 v.message);
    }
    if (g.body_size > 0 && !g.too_large) {
        (void)snprintf(text + size, sizeof text - size, " [%.*s]%llu%s", (int)g.body_kept, body,
                       (unsigned long long)g.body_size, g.is_message ? "" : " raw");
    }
    return text;
}

static void check_response(const char *name, const response *r, const char *want) {
    int i, differ = 0;
    is_str(judge(r, 0), want, "%s", name);
    for (i = 0; i < 10; i++) differ += strcmp(judge(r, i == 0 ? 1 : 2), want) != 0;
    is_int(differ, 0, "%s: in any pieces", name);
}

/* A complete response with :status 200. */
static void check_n(const char *name, const char *fields, const char *content, size_t size,
                    const char *want) {
    response r;
    memset(&r, 0, sizeof r);
    r.fields = fields;
    r.content = content;
    r.size = size;
    r.outcome = HOTELI_H2_DONE;
    r.status = 200;
    check_response(name, &r, want);
}

#define BYTES(text) text, sizeof(text) - 1
#define OK_FIELDS "content-type=application/grpc\ngrpc-status=0"

static void test_messages(void) {
    static char large[128];
    check_n("OG-02 a message", OK_FIELDS, BYTES("\0\0\0\0\5hello"), "OK [hello]5");
    check_n("OG-02 only its beginning is kept", OK_FIELDS, BYTES("\0\0\0\0\12helloworld"),
            "OK [hellowor]10");
    check_n("OG-02 an empty message", OK_FIELDS, BYTES("\0\0\0\0\0"), "OK");
    check_n("OG-04 success without a message", OK_FIELDS, BYTES(""), "OK");
    check_n("OG-02 a message that was cut", OK_FIELDS, BYTES("\0\0\0\0\5hell"),
            "INTERNAL: the reply ends in the middle of its message [hell]4");
    check_n("OG-02 a prefix that was cut", OK_FIELDS, BYTES("\0\0\0\0"),
            "INTERNAL: the reply ends in the middle of its message");
    check_n("OG-02 an empty prefix and a part of one", OK_FIELDS, BYTES("\0\0\0\0\0\0"),
            "INTERNAL: the reply ends in the middle of its message");
    check_n("OG-02 two messages", OK_FIELDS, BYTES("\0\0\0\0\2hi\0\0\0\0\1x"),
            "INTERNAL: the reply has more than one message [hi]2");
    check_n("OG-02 two empty messages", OK_FIELDS, BYTES("\0\0\0\0\0\0\0\0\0\0"),
            "INTERNAL: the reply has more than one message");
    check_n("OG-02 a compressed message, not asked for", OK_FIELDS "\ngrpc-encoding=gzip",
            BYTES("\1\0\0\0\2hi"), "INTERNAL: the reply is compressed, which was not asked for");
    check_n("OG-02 a flag that is none", OK_FIELDS, BYTES("\2\0\0\0\2hi"),
            "INTERNAL: the reply is no message of gRPC");
    check_n("OG-04 a status beats what is wrong with the message",
            "grpc-status=14\ngrpc-message=busy", BYTES("\1\0\0\0\5he"), "UNAVAILABLE retry: busy");
    check_n("OG-04 grpc-encoding without compression", OK_FIELDS "\ngrpc-encoding=gzip",
            BYTES("\0\0\0\0\2hi"), "OK [hi]2");
    memcpy(large, "\0\0\0\0d", 5);
    memset(large + 5, 'x', sizeof large - 5);
    check_n("OG-10 a reply as large as is allowed", OK_FIELDS, large, 105, "OK [xxxxxxxx]100");
    large[4] = 'e';
    check_n("OG-10 a reply that is larger", OK_FIELDS, large, 106,
            "RESOURCE_EXHAUSTED: the response is larger than max_response_bytes");
    check_n("OG-10 the prefix says so", OK_FIELDS, large, 5,
            "RESOURCE_EXHAUSTED: the response is larger than max_response_bytes");
    check_n("OG-10 4 GiB", OK_FIELDS, BYTES("\0\xff\xff\xff\xff"),
            "RESOURCE_EXHAUSTED: the response is larger than max_response_bytes");
    memset(large, 0, sizeof large);
    check_n("OG-10 many small messages", "grpc-status=0", large, 106,
            "RESOURCE_EXHAUSTED: the response is larger than max_response_bytes");
}

static void test_types(void) {
    check_n("OG-03 application/grpc+proto", "content-type=application/grpc+proto\ngrpc-status=0",
            BYTES("\0\0\0\0\2hi"), "OK [hi]2");
    check_n("OG-03 application/grpc with a parameter",
            "content-type=Application/gRPC;x=y\ngrpc-status=0", BYTES("\0\0\0\0\2hi"), "OK [hi]2");
    check_n("OG-04 a page", "content-type=text/html", BYTES("<html>busy</html>"),
            "UNKNOWN: HTTP status 200 without a status of gRPC [<html>bu]17 raw");
    check_n("OG-04 application/grpcweb", "content-type=application/grpcweb", BYTES("x"),
            "UNKNOWN: HTTP status 200 without a status of gRPC [x]1 raw");
    check_n("OG-04 application/grpc, almost", "content-type=application/grp", BYTES("x"),
            "UNKNOWN: HTTP status 200 without a status of gRPC [x]1 raw");
    check_n("OG-04 a status of gRPC on a page", "content-type=text/plain\ngrpc-status=16",
            BYTES("no"), "UNAUTHENTICATED [no]2 raw");
}

static void test_http_status(void) {
    static const struct {
        int status;
        const char *want;
    } rows[] = {{400, "INTERNAL"},
                {401, "UNAUTHENTICATED"},
                {403, "PERMISSION_DENIED"},
                {404, "UNIMPLEMENTED"},
                {429, "UNAVAILABLE retry"},
                {431, "INTERNAL"},
                {500, "UNKNOWN"},
                {502, "UNAVAILABLE retry"},
                {503, "UNAVAILABLE retry"},
                {504, "UNAVAILABLE retry"},
                {200, "UNKNOWN"},
                {301, "UNKNOWN"},
                {999, "UNKNOWN"}};
    size_t i;
    response r;
    memset(&r, 0, sizeof r);
    r.fields = "content-type=application/grpc";
    r.outcome = HOTELI_H2_DONE;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64], want[128];
        r.status = rows[i].status;
        (void)snprintf(name, sizeof name, "OG-04 :status %d without grpc-status", r.status);
        (void)snprintf(want, sizeof want, "%s: HTTP status %d without a status of gRPC",
                       rows[i].want, r.status);
        check_response(name, &r, want);
    }
    r.fields = "grpc-status=0";
    r.status = 503;
    check_response("OG-04 grpc-status beats :status", &r, "OK");
    r.fields = "grpc-status=7\ngrpc-message=no";
    r.status = 200;
    check_response("OG-04 grpc-status beats :status 200", &r, "PERMISSION_DENIED: no");
}

static void test_codes(void) {
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS",
                                        "UNAUTHENTICATED"};
    int code;
    for (code = 0; code <= 16; code++) {
        bool retried =
            code == 1 || code == 4 || code == 10 || code == 11 || code == 14 || code == 15;
        const char *rule = retried ? "OR-04" : code == 8 ? "OR-05" : code == 0 ? "OG-04" : "OR-06";
        char name[64], fields[64], want[64];
        (void)snprintf(name, sizeof name, "%s status %d", rule, code);
        (void)snprintf(fields, sizeof fields, "grpc-status=%d", code);
        (void)snprintf(want, sizeof want, "%s%s", names[code], retried ? " retry" : "");
        check_n(name, fields, "", 0, want);
    }
    check_n("OG-04 a status that is none", "grpc-status=17", "", 0, "UNKNOWN");
    check_n("OG-04 a status that is no number", "grpc-status=x", "", 0, "UNKNOWN");
    check_n("OG-04 an empty status", "grpc-status=", "", 0, "UNKNOWN");
    check_n("OG-04 a negative status", "grpc-status=-1", "", 0, "UNKNOWN");
    check_n("OG-04 a huge status", "grpc-status=99999999999999999999", "", 0, "UNKNOWN");
    check_n("OG-04 leading zeros", "grpc-status=014", "", 0, "UNAVAILABLE retry");
    is_str(hoteli_grpc_code_name(-1), "UNKNOWN", "OG-04 no name for -1");
    is_str(hoteli_grpc_code_name(17), "UNKNOWN", "OG-04 no name for 17");
}

static void test_message(void) {
    static const char digits[] = "0123456789012345678901234567890123456789012345678901234567890123"
                                 "4567890123456789012345678901234567890123456789012345678901234567"
                                 "89012345678901234567890123456789";
    char fields[2048], want[512];
    size_t i, size;
    check_n("OG-05 a message", "grpc-status=13\ngrpc-message=it%20broke 100%25", "", 0,
            "INTERNAL: it broke 100%");
    check_n("OG-05 UTF-8", "grpc-status=13\ngrpc-message=caf%C3%a9 %e2%82%AC", "", 0,
            "INTERNAL: caf\xC3\xA9 \xE2\x82\xAC");
    check_n("OG-05 bad escapes", "grpc-status=13\ngrpc-message=%%4%zz%41%", "", 0,
            "INTERNAL: %%4%zzA%");
    check_n("OG-05 the plus stays", "grpc-status=13\ngrpc-message=a+b", "", 0, "INTERNAL: a+b");
    check_n("OG-05 empty", "grpc-status=13\ngrpc-message=", "", 0, "INTERNAL");
    (void)snprintf(fields, sizeof fields, "grpc-status=13\ngrpc-message=%s!", digits);
    (void)snprintf(want, sizeof want, "INTERNAL: %s", digits);
    check_n("OG-05 the first 160 bytes are kept", fields, "", 0, want);
    // 159 bytes, then a character of two: it is left out.
    (void)snprintf(fields, sizeof fields, "grpc-status=13\ngrpc-message=%.159s%%C3%%A9", digits);
    (void)snprintf(want, sizeof want, "INTERNAL: %.159s", digits);
    check_n("OG-05 no character is cut", fields, "", 0, want);
    size = (size_t)snprintf(fields, sizeof fields, "grpc-status=13\ngrpc-message=");
    for (i = 0; i < 400; i++) size += (size_t)snprintf(fields + size, 4, "%%%02d", 41);
    (void)snprintf(
        want, sizeof want, "INTERNAL: %.160s",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    check_n("OG-05 escapes only", fields, "", 0, want);
}

/* ---- RetryInfo ------------------------------------------------------------------------------ */

/* Base64 of the bytes that hex digits stand for. */
static const char *base64_of(const char *hex, bool padded) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static char text[8192];
    uint32_t bits = 0;
    size_t used = 0;
    int num_bits = 0;
    for (; *hex != 0; hex++) {
        if (*hex == ' ') continue;
        bits = bits << 4 | (uint32_t)hoteli_hex_digit(*hex);
        for (num_bits += 4; num_bits >= 6; num_bits -= 6) {
            text[used++] = digits[bits >> (num_bits - 6) & 63];
        }
    }
    if (num_bits > 0) text[used++] = digits[bits << (6 - num_bits) & 63];
    while (padded && used % 4 != 0) text[used++] = '=';
    text[used] = 0;
    return text;
}

/* "type.googleapis.com/google.rpc.RetryInfo" as the type of an Any: 42 bytes */
#define RETRY_TYPE \
    "0a28 747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e5265747279496e666f"

static void check_details(const char *name, const char *hex, const char *want) {
    char fields[9000];
    int padded;
    for (padded = 0; padded < 2; padded++) {
        (void)snprintf(fields, sizeof fields, "grpc-status=8\ngrpc-status-details-bin=%s",
                       base64_of(hex, padded != 0));
        check_n(name, fields, "", 0, want);
    }
}

static void test_retry_info(void) {
    static const char none[] = "RESOURCE_EXHAUSTED";
    char fields[1024];
    size_t size;
    check_details("OR-05 1.5 s", "0808 1202 6162 1a36" RETRY_TYPE "120a 0a08 0801 1080cab5ee01",
                  "RESOURCE_EXHAUSTED retry 1500 ms");
    check_details("OR-05 a delay that is empty", "1a2e" RETRY_TYPE "1202 0a00",
                  "RESOURCE_EXHAUSTED retry 0 ms");
    check_details("OR-05 a RetryInfo that is empty", "1a2c" RETRY_TYPE "1200",
                  "RESOURCE_EXHAUSTED retry 0 ms");
    check_details("OR-05 a RetryInfo without a value", "1a2a" RETRY_TYPE,
                  "RESOURCE_EXHAUSTED retry 0 ms");
    check_details("OR-08 nanoseconds round up", "1a30" RETRY_TYPE "1204 0a02 1001",
                  "RESOURCE_EXHAUSTED retry 1 ms");
    check_details("OR-09 the longest delay is a day", "1a32" RETRY_TYPE "1206 0a04 08808040",
                  "RESOURCE_EXHAUSTED retry 86400000 ms");
    check_details("OR-09 a day and a part of a second",
                  "1a38" RETRY_TYPE "120c 0a0a 08ffa205 10ff93ebdc03",
                  "RESOURCE_EXHAUSTED retry 86400000 ms");
    check_details("OR-09 negative seconds", "1a39" RETRY_TYPE "120d 0a0b 08ffffffffffffffffff01",
                  "RESOURCE_EXHAUSTED retry 0 ms");
    check_details("OR-09 negative nanoseconds",
                  "1a39" RETRY_TYPE "120d 0a0b 10ffffffffffffffffff01",
                  "RESOURCE_EXHAUSTED retry 0 ms");
    check_details("OR-08 behind another detail", "1a04 0a02 782f 1a30" RETRY_TYPE "1204 0a02 0802",
                  "RESOURCE_EXHAUSTED retry 2000 ms");
    check_details("OR-08 beside a field that nobody knows",
                  "1a32" RETRY_TYPE "1206 1001 0a02 0802", "RESOURCE_EXHAUSTED retry 2000 ms");
    check_details("OR-08 the value before the type", "1a30 1204 0a02 0803" RETRY_TYPE,
                  "RESOURCE_EXHAUSTED retry 3000 ms");
    check_details("OR-05 another type",
                  "1a1f 0a1d 742f 676f6f676c652e7270632e 5265747279496e6661 1204 0a02 0802", none);
    check_details("OR-05 a longer name",
                  "1a19 0a15 2e 676f6f676c652e7270632e5265747279496e666f 1200", none);
    check_details("OR-05 only the name", "1a16 0a14 676f6f676c652e7270632e5265747279496e666f",
                  none);
    check_details("OR-05 no details", "0808", none);
    check_details("OR-05 malformed", "1aff", none);
    check_details("OR-05 nothing", "", none);
    check_n("OR-08 garbage", "grpc-status=8\ngrpc-status-details-bin=*!?", "", 0, none);
    size = (size_t)snprintf(fields, sizeof fields,
                            "grpc-status=14\ngrpc-message=later\n"
                            "grpc-status-details-bin= CAg= ,%s",
                            base64_of("1a30" RETRY_TYPE "1204 0a02 0802", true));
    check_n("OG-11 binary metadata is split on commas", fields, "", 0,
            "UNAVAILABLE retry 2000 ms: later");
    (void)snprintf(fields + size, sizeof fields - size, ",CAg");
    check_n("OG-11 with a third value behind", fields, "", 0, "UNAVAILABLE retry 2000 ms: later");
    fields[13] = '3';
    check_n("OR-06 a delay makes nothing retryable", fields, "", 0, "INTERNAL 2000 ms: later");
}

/* Base64 of every size and value, against an encoder. */
static void test_base64(void) {
    char hex[256];
    int round, wrong = 0;
    for (round = 0; round < 2000; round++) {
        size_t size = random_below(65), i, text_size;
        uint8_t want[64], *got = (uint8_t *)guard_room(0, size);
        const char *text;
        hex[0] = 0;
        for (i = 0; i < size; i++) {
            want[i] = (uint8_t)random_below(256);
            (void)snprintf(hex + 2 * i, 3, "%02x", want[i]);
        }
        text = base64_of(hex, (round & 1) != 0);
        text_size = strlen(text);
        wrong += hoteli_grpc_base64(got, size, guard_copy(1, text, text_size), text_size) != size;
        wrong += size > 0 && memcmp(got, want, size) != 0;
        // Too little room is filled.
        got = (uint8_t *)guard_room(0, size / 2);
        wrong += hoteli_grpc_base64(got, size / 2, text, text_size) != size / 2;
        wrong += size > 1 && memcmp(got, want, size / 2) != 0;
    }
    is_int(wrong, 0, "OG-11 base64 of every size, padded and not");
}

/* ---- what HTTP/2 came to -------------------------------------------------------------------- */

static void check_outcome(const char *name, int outcome, uint32_t code, bool by_us,
                          const char *fields, const char *want) {
    response r;
    memset(&r, 0, sizeof r);
    r.fields = fields;
    r.outcome = outcome;
    r.code = code;
    r.by_us = by_us;
    r.reason = outcome == HOTELI_H2_OPEN ? NULL : "the reason";
    check_response(name, &r, want);
}

static void test_outcomes(void) {
    static const char *const want[] = {"INTERNAL: the reason (NO_ERROR)",
                                       "INTERNAL: the reason (PROTOCOL_ERROR)",
                                       "INTERNAL: the reason (INTERNAL_ERROR)",
                                       "INTERNAL: the reason (FLOW_CONTROL_ERROR)",
                                       "INTERNAL: the reason (SETTINGS_TIMEOUT)",
                                       "INTERNAL: the reason (STREAM_CLOSED)",
                                       "INTERNAL: the reason (FRAME_SIZE_ERROR)",
                                       "UNAVAILABLE retry at once: the reason (REFUSED_STREAM)",
                                       "CANCELLED retry: the reason (CANCEL)",
                                       "INTERNAL: the reason (COMPRESSION_ERROR)",
                                       "INTERNAL: the reason (CONNECT_ERROR)",
                                       "RESOURCE_EXHAUSTED: the reason (ENHANCE_YOUR_CALM)",
                                       "PERMISSION_DENIED: the reason (INADEQUATE_SECURITY)",
                                       "INTERNAL: the reason (HTTP_1_1_REQUIRED)",
                                       "INTERNAL: the reason (an unknown code)"};
    uint32_t code;
    for (code = 0; code < 15; code++) {
        char name[64];
        (void)snprintf(name, sizeof name, "OG-06 RST_STREAM %u", code);
        check_outcome(name, HOTELI_H2_RESET, code, false, "", want[code]);
    }
    check_outcome("OG-07 GOAWAY", HOTELI_H2_REFUSED, HOTELI_H2_NO_ERROR, false, "",
                  "UNAVAILABLE retry at once: the reason (NO_ERROR: words)");
    check_outcome("OG-09 cancelled", HOTELI_H2_RESET, HOTELI_H2_CANCEL, true, "",
                  "DEADLINE_EXCEEDED retry: the reason");
    check_outcome("OG-09 the deadline", HOTELI_H2_OPEN, 0, false, "",
                  "DEADLINE_EXCEEDED retry: the server did not answer in time");
    check_outcome("OG-08 a malformed response", HOTELI_H2_RESET, HOTELI_H2_PROTOCOL_ERROR, true, "",
                  "INTERNAL: the reason");
    check_outcome("OG-08 headers beyond the limit", HOTELI_H2_RESET, HOTELI_H2_ENHANCE_YOUR_CALM,
                  true, "", "RESOURCE_EXHAUSTED: the reason");
    check_outcome("OG-08 REFUSED_STREAM of ours is not the server's", HOTELI_H2_RESET,
                  HOTELI_H2_REFUSED_STREAM, true, "", "UNAVAILABLE retry: the reason");
    check_outcome("OG-08 a broken connection", HOTELI_H2_BROKEN, HOTELI_H2_PROTOCOL_ERROR, false,
                  "", "INTERNAL: the reason");
    check_outcome("OR-03 a lost connection", HOTELI_H2_LOST, 0, false, "",
                  "UNAVAILABLE retry: the reason");
    check_outcome("OG-03 a status before the end of the stream does not count", HOTELI_H2_LOST, 0,
                  false, "grpc-status=0\ngrpc-message=fine", "UNAVAILABLE retry: the reason");
    check_outcome("OG-06 nor does it against RST_STREAM", HOTELI_H2_RESET, HOTELI_H2_CANCEL, false,
                  "grpc-status=14\ngrpc-status-details-bin=GgIKAA",
                  "CANCELLED retry: the reason (CANCEL)");
}

/* ---- a call ---------------------------------------------------------------------------------- */

/* The whole of it: headers, message, reply and trailers over a connection. */
static void test_call(void) {
    static const uint8_t reply[] = {
        0, 0, 0, 4, 0,    0,  0,   0,   0,   0,   0,   1,   1,   4,    0,   0,   0,   1,  0x88, 0,
        0, 7, 0, 0, 0,    0,  0,   1,   0,   0,   0,   0,   2,   0x0A, 0,   0,   0,   15, 1,    5,
        0, 0, 0, 1, 0x40, 11, 'g', 'r', 'p', 'c', '-', 's', 't', 'a',  't', 'u', 's', 1,  '0'};
    static hoteli_h2 c;
    static uint8_t block[512], out[4096];
    uint8_t message[8] = {0, 0, 0, 0, 3, 'a', 'b', 'c'}, head[512];
    char body[BODY_CAPACITY];
    hoteli_grpc_head h;
    hoteli_h2_parts parts;
    hoteli_grpc g;
    hoteli_verdict v;
    const uint8_t *bytes;
    size_t size, behind = 24 + 9 + 12 + 9 + 9; /* the preface, SETTINGS, an ACK, a frame's head */
    make_head(&h, false, false, "agent/1");
    hoteli_h2_start(&c, block, sizeof block, out, sizeof out);
    hoteli_grpc_start(&g, body, sizeof body, MAX_RESPONSE_BYTES);
    memset(&parts, 0, sizeof parts);
    parts.head = head;
    parts.head_size = hoteli_grpc_head_write(&h, 5000, head);
    parts.body = message;
    parts.body_size = sizeof message;
    parts.field_fn = hoteli_grpc_field;
    parts.data_fn = hoteli_grpc_data;
    parts.user_data = &g;
    ok(hoteli_h2_request(&c, &parts), "OG-01 a call is made");
    is_int(hoteli_h2_feed(&c, reply, 9, 0), HOTELI_H2_OPEN, "OG-08 SETTINGS come first");
    size = hoteli_h2_output(&c, &bytes);
    is_int(size, behind + parts.head_size + 9 + sizeof message, "OG-01 all of it is to be sent");
    is_mem(bytes + behind, parts.head_size, head, parts.head_size, "OG-01 its headers");
    is_mem(bytes + size - 9 - sizeof message, 9, "\0\0\10\0\1\0\0\0\1", 9,
           "OG-03 its message ends the stream");
    hoteli_h2_sent(&c, size);
    is_int(hoteli_h2_feed(&c, reply + 9, sizeof reply - 9, 0), HOTELI_H2_DONE,
           "OG-03 it is answered");
    v = hoteli_grpc_finish(&g, &c);
    is_int(v.code, HOTELI_GRPC_OK, "OG-04 with success");
    is_mem(body, g.body_kept, "\x0A\0", 2, "OG-02 and a message");
}

int main(void) {
    test_head();
    test_timeout();
    test_prefix();
    test_messages();
    test_types();
    test_http_status();
    test_codes();
    test_message();
    test_retry_info();
    test_base64();
    test_outcomes();
    test_call();
    return done_testing();
}
