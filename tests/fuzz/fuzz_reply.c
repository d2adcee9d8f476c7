/*
 * SPDX-License-Identifier: MIT
 *
 * Protobuf replies. The laws of the encoding hold: messages put behind one another are merged,
 * unknown fields change nothing, a field may be wrapped into another. The input is also what a
 * reply is made of, which is read as it was written.
 */
#include "fuzz.h"

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

/* ---- A reply made of the input -------------------------------------------------------------- */

typedef struct message {
    uint8_t bytes[8192];
    size_t size;
} message;

static void add_varint(message *m, uint64_t value) {
    FUZZ_CHECK(m->size + 10 < sizeof m->bytes);
    for (; value >= 0x80; value >>= 7) m->bytes[m->size++] = (uint8_t)(value | 0x80);
    m->bytes[m->size++] = (uint8_t)value;
}

static void add_bytes(message *m, uint64_t tag, const uint8_t *bytes, size_t size) {
    add_varint(m, tag);
    add_varint(m, size);
    FUZZ_CHECK(m->size + size < sizeof m->bytes);
    if (size > 0) memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

/* A field that no version of the message has. */
static void add_unknown(message *m, const uint8_t **cursor, const uint8_t *end) {
    uint64_t number = 4 + (fuzz_byte(cursor, end) & 0x7Fu) * 4194303u, value = 0;
    int i;
    for (i = 0; i < 8; i++) value = value << 8 | fuzz_byte(cursor, end);
    FUZZ_CHECK(m->size + 20 < sizeof m->bytes);
    switch (value & 3) {
    case 0:
        add_varint(m, number << 3);
        add_varint(m, value);
        return;
    case 1:
        add_varint(m, number << 3 | 1);
        memcpy(m->bytes + m->size, &value, 8);
        m->size += 8;
        return;
    case 2:
        add_varint(m, number << 3 | 5);
        memcpy(m->bytes + m->size, &value, 4);
        m->size += 4;
        return;
    default:
        add_bytes(m, number << 3 | 2, (const uint8_t *)&value, value >> 60 & 7);
        return;
    }
}

/* Fields in any order, some of them twice: the last one counts. */
static void check_made(const uint8_t *data, size_t size) {
    const uint8_t *end = data + size, *text = NULL;
    message inner, outer;
    hoteli_reply reply;
    uint64_t rejected = 0;
    size_t text_size = 0;
    int fields;
    inner.size = outer.size = 0;
    for (fields = 0; fields < 16 && data != end; fields++) {
        uint8_t choice = fuzz_byte(&data, end);
        switch (choice & 3) {
        case 0:
            rejected = rejected << 8 | choice;
            rejected ^= (uint64_t)fuzz_byte(&data, end) << 56;
            add_varint(&inner, 0x08);
            add_varint(&inner, rejected);
            break;
        case 1:
            text = data;
            text_size = choice < (size_t)(end - data) ? choice : (size_t)(end - data);
            add_bytes(&inner, 0x12, text, text_size);
            data += text_size;
            break;
        case 2:
            add_unknown(&inner, &data, end);
            break;
        default:
            add_unknown(&outer, &data, end);
            break;
        }
    }
    add_bytes(&outer, 0x0A, inner.bytes, inner.size);
    FUZZ_CHECK(hoteli_reply_parse(outer.bytes, outer.size, &reply));
    FUZZ_CHECK(reply.has_partial_success && (uint64_t)reply.rejected == rejected);
    FUZZ_CHECK(reply.message_size == text_size && (reply.message != NULL) == (text != NULL));
    FUZZ_CHECK(text_size == 0 || memcmp(reply.message, text, text_size) == 0);
    FUZZ_CHECK(hoteli_status_parse(inner.bytes, inner.size, &reply));
    FUZZ_CHECK(reply.message_size == text_size && (reply.message != NULL) == (text != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hoteli_reply reply, status, other;
    uint8_t *room = (uint8_t *)fuzz_alloc(2 * size + 16);
    size_t head = 0, rest = size;
    bool good = hoteli_reply_parse(data, size, &reply);
    bool good_status = hoteli_status_parse(data, size, &status);
    check_made(data, size);
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
