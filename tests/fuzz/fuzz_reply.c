/*
 * SPDX-License-Identifier: MIT
 *
 * Protobuf replies. The laws of the encoding hold: messages put behind one another are merged,
 * unknown fields change nothing, a field may be wrapped into another.
 */
#include "fuzz.h"

const char *const fuzz_seeds[] = {
    "\x0A\x07\x08\x05\x12\x03"
    "bad",
    "\x0A\x0B\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x0A\x03\x12\x01"
    "b",
    "\x10\x2A\x19"
    "12345678\x22\x03"
    "abc\x2D"
    "1234\xFA\xFF\x03\x01"
    "z",
    "\x08\x03\x12\x0C"
    "bad argument\x1A\x04\x0A\x02"
    "ab",
    "<html>Bad Gateway</html>",
    NULL};

static bool same(const hoteli_reply *a, const hoteli_reply *b) {
    return a->has_partial_success == b->has_partial_success && a->rejected == b->rejected &&
           a->message_size == b->message_size &&
           (a->message_size == 0 || memcmp(a->message, b->message, a->message_size) == 0);
}

static void check(bool good, const hoteli_reply *reply, const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    FUZZ_CHECK(good || (!reply->has_partial_success && reply->rejected == 0 &&
                        reply->message == NULL && reply->message_size == 0));
    FUZZ_CHECK(reply->message != NULL || reply->message_size == 0);
    FUZZ_CHECK(reply->message == NULL || (reply->message >= text && reply->message_size <= size &&
                                          reply->message <= text + size - reply->message_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hoteli_reply reply, status, other;
    uint8_t *room = (uint8_t *)malloc(2 * size + 16);
    size_t head = 0, rest = size;
    bool good = hoteli_reply_parse(data, size, &reply);
    bool good_status = hoteli_status_parse(data, size, &status);
    if (room == NULL) abort();
    check(good, &reply, data, size);
    check(good_status, &status, data, size);
    FUZZ_CHECK(!status.has_partial_success && status.rejected == 0);
    /* Twice the same is the same, and so is an unknown field behind it. */
    if (size > 0) {
        memcpy(room, data, size);
        memcpy(room + size, data, size);
    }
    if (good) FUZZ_CHECK(hoteli_reply_parse(room, 2 * size, &other) && same(&reply, &other));
    if (good_status) {
        FUZZ_CHECK(hoteli_status_parse(room, 2 * size, &other) && same(&status, &other));
    }
    memcpy(room + size, "\x7A\x02zz", 4);
    FUZZ_CHECK(!good || (hoteli_reply_parse(room, size + 4, &other) && same(&reply, &other)));
    /* Field 1 of a response has its message where a status has it. */
    room[head++] = 0x0A;
    while (rest >= 0x80) {
        room[head++] = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    room[head++] = (uint8_t)rest;
    if (size > 0) memcpy(room + head, data, size);
    FUZZ_CHECK(hoteli_reply_parse(room, head + size, &other) == good_status);
    FUZZ_CHECK(other.has_partial_success == good_status);
    FUZZ_CHECK(other.message_size == status.message_size);
    free(room);
    return 0;
}
