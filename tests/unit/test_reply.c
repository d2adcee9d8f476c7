/*
 * SPDX-License-Identifier: MIT
 *
 * What a server says in an OTLP reply: ExportTraceServiceResponse and google.rpc.Status.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* String literals, so that NUL bytes can be written: the size is that of the literal. */
#define BYTES(text) (text), (sizeof(text) - 1)

typedef bool parse_fn(const uint8_t *bytes, size_t size, hoteli_reply *reply);

static bool parse(parse_fn *fn, const char *bytes, size_t size, hoteli_reply *reply) {
    memset(reply, 0x5A, sizeof *reply);
    return fn((const uint8_t *)guard_copy(0, bytes, size), size, reply);
}

static void gives(const char *name, const char *bytes, size_t size, bool partial, int64_t rejected,
                  const char *message) {
    hoteli_reply reply;
    bool good = parse(hoteli_reply_parse, bytes, size, &reply);
    ok(good && reply.has_partial_success == partial, "%s", name);
    is_int(reply.rejected, rejected, "%s: rejected", name);
    is_mem(reply.message != NULL ? reply.message : "", reply.message_size, message, strlen(message),
           "%s: message", name);
}

static void gives_status(const char *name, const char *bytes, size_t size, const char *message) {
    hoteli_reply reply;
    bool good = parse(hoteli_status_parse, bytes, size, &reply);
    ok(good && !reply.has_partial_success && reply.rejected == 0, "%s", name);
    is_mem(reply.message != NULL ? reply.message : "", reply.message_size, message, strlen(message),
           "%s: message", name);
}

static bool is_empty(const hoteli_reply *reply) {
    return !reply->has_partial_success && reply->rejected == 0 && reply->message == NULL &&
           reply->message_size == 0;
}

/* Malformed as the one, and, wrapped into field 1, as the other. */
static void refuses(const char *name, const char *bytes, size_t size) {
    hoteli_reply reply;
    char wrapped[64];
    bool good = parse(hoteli_status_parse, bytes, size, &reply);
    ok(!good && is_empty(&reply), "OR-14 %s", name);
    good = parse(hoteli_reply_parse, bytes, size, &reply);
    ok(!good && is_empty(&reply), "OT-03 %s", name);
    wrapped[0] = 0x0A;
    wrapped[1] = (char)size;
    memcpy(wrapped + 2, bytes, size);
    good = parse(hoteli_reply_parse, wrapped, size + 2, &reply);
    ok(!good && is_empty(&reply), "OT-03 %s inside partial_success", name);
}

static void test_response(void) {
    gives("OT-03 a body of no bytes is full success", BYTES(""), false, 0, "");
    gives("OR-13 an empty partial_success", BYTES("\x0A\x00"), true, 0, "");
    gives("OR-13 rejected and message",
          BYTES("\x0A\x07\x08\x05\x12\x03"
                "bad"),
          true, 5, "bad");
    gives("OR-13 message first",
          BYTES("\x0A\x07\x12\x03"
                "bad\x08\x05"),
          true, 5, "bad");
    gives("OR-13 a warning",
          BYTES("\x0A\x06\x12\x04"
                "slow"),
          true, 0, "slow");
    gives("OR-13 rejected without a message", BYTES("\x0A\x03\x08\xAC\x02"), true, 300, "");
    gives("OR-13 zeros spelled out", BYTES("\x0A\x04\x08\x00\x12\x00"), true, 0, "");
    gives("OR-13 a negative count", BYTES("\x0A\x0B\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
          true, -1, "");
    gives("OR-13 the largest count", BYTES("\x0A\x0A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"),
          true, INT64_MAX, "");
    gives("OR-13 the last value counts", BYTES("\x0A\x08\x08\x01\x12\x00\x08\x02\x12\x00"), true, 2,
          "");
    gives("OR-13 a repeated message is merged",
          BYTES("\x0A\x05\x08\x07\x12\x01"
                "a\x0A\x03\x12\x01"
                "b"),
          true, 7, "b");
    gives("OR-13 a padded varint", BYTES("\x0A\x04\x08\x85\x80\x00"), true, 5, "");
    gives("OT-03 unknown fields of every kind are skipped",
          BYTES("\x10\x2A\x19"
                "12345678\x22\x03"
                "abc\x2D"
                "1234\x0A\x02\x08\x01\xFA\xFF\x03\x01"
                "z"),
          true, 1, "");
    gives("OR-13 unknown fields inside",
          BYTES("\x0A\x15\x18\x01\x21"
                "12345678\x2A\x01"
                "x\x35"
                "1234\x08\x03"),
          true, 3, "");
    gives("OT-03 field 1 of another type is unknown", BYTES("\x08\x05"), false, 0, "");
    gives("OR-13 known fields of another type are unknown",
          BYTES("\x0A\x05\x0A\x01"
                "x\x10\x01"),
          true, 0, "");
}

static void test_status(void) {
    gives_status("OR-14 an empty status", BYTES(""), "");
    gives_status("OR-14 code and message",
                 BYTES("\x08\x03\x12\x0C"
                       "bad argument"),
                 "bad argument");
    gives_status("OR-14 message alone",
                 BYTES("\x12\x02"
                       "no"),
                 "no");
    gives_status("OR-14 details are skipped",
                 BYTES("\x08\x0D\x12\x02"
                       "no\x1A\x04\x0A\x02"
                       "ab"),
                 "no");
    gives_status("OR-14 an empty message", BYTES("\x08\x03\x12\x00"), "");
}

static void test_malformed(void) {
    refuses("field number 0", BYTES("\x00\x01"));
    refuses("field number 0 of a string", BYTES("\x02\x01"
                                                "a"));
    refuses("a group", BYTES("\x1B\x08\x01\x1C"));
    refuses("the end of a group", BYTES("\x1C"));
    refuses("wire type 6", BYTES("\x1E\x00"));
    refuses("wire type 7", BYTES("\x1F\x00"));
    refuses("a tag of more than 32 bits", BYTES("\x80\x80\x80\x80\x10\x00"));
    refuses("a varint of 11 bytes", BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
    refuses("a varint of more than 64 bits", BYTES("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"));
    refuses("a tag alone", BYTES("\x08"));
    refuses("half a varint", BYTES("\x08\x80"));
    refuses("half a length", BYTES("\x12\x80"));
    refuses("half a fixed64", BYTES("\x19"
                                    "1234567"));
    refuses("half a fixed32", BYTES("\x1D"
                                    "123"));
    refuses("a string beyond the end", BYTES("\x12\x04"
                                             "abc"));
    refuses("a length of 2^64 - 1", BYTES("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"));
    refuses("a length of 2^32", BYTES("\x12\x80\x80\x80\x80\x10"
                                      "abc"));
    refuses("an HTML page", BYTES("<html><body>Bad Gateway</body></html>"));
    refuses("a line of text", BYTES("not found\n"));
}

static void test_truncated(void) {
    static const char bytes[] = "\x0A\x0B\x08\xAC\x02\x12\x03"
                                "bad\x18\x80\x01";
    static const char after[] = "\x10\x01";
    hoteli_reply reply;
    size_t i, size = sizeof bytes - 1;
    for (i = 1; i < size; i++) {
        bool good = parse(hoteli_reply_parse, bytes, i, &reply);
        ok(!good && is_empty(&reply), "OT-03 cut behind byte %d: malformed", (int)i);
    }
    ok(parse(hoteli_reply_parse, bytes, size, &reply) && reply.rejected == 300 &&
           reply.message_size == 3,
       "OR-13 the whole of it is well-formed");
    ok(parse(hoteli_reply_parse, after, sizeof after - 1, &reply) && is_empty(&reply),
       "OT-03 nothing of it is left in the next");
}

int main(void) {
    test_response();
    test_status();
    test_malformed();
    test_truncated();
    return done_testing();
}
