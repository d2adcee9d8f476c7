/*
 * SPDX-License-Identifier: MIT
 *
 * gRPC: fields and content in any order and any pieces come to one verdict, which the rules allow;
 * and what is made of the input, messages, delays, texts and headers of a call, is read as it was
 * written. The first three bytes say what HTTP/2 came to and how content is cut; then come fields, a
 * line each, up to an empty one; the rest is content.
 */
#include "fuzz.h"

enum { CAPACITY = 16, MAX_BYTES = 4096, MAX_FIELDS = 64 };

typedef struct outcome {
    hoteli_h2 h2;
    hoteli_grpc grpc;
    char body[CAPACITY];
    hoteli_verdict verdict;
} outcome;

static void judge(outcome *o, const uint8_t *data, size_t size, size_t step) {
    static const char *const reasons[] = {NULL, NULL, "reset", "leaving", "lost", "broken"};
    const char *cursor = (const char *)data + 3, *end = (const char *)data + size, *line;
    size_t line_size, i, n;
    int fields;
    memset(&o->h2, 0, offsetof(hoteli_h2, hpack));
    memset(o->body, 0, sizeof o->body);
    o->h2.outcome = data[0] % 6;
    o->h2.code = data[1] % 16;
    o->h2.by_us = o->h2.outcome == HOTELI_H2_RESET && data[1] >= 128;
    o->h2.status = o->h2.outcome == HOTELI_H2_DONE ? 200 + data[1] * 3 : 0;
    o->h2.reason = reasons[o->h2.outcome];
    o->h2.leave_words_size = data[1] % 65u;
    memset(o->h2.leave_words, 'w', sizeof o->h2.leave_words);
    hoteli_grpc_start(&o->grpc, o->body, CAPACITY, MAX_BYTES);
    for (fields = 0; fields < MAX_FIELDS; fields++) {
        const char *mark;
        line = fuzz_line(&cursor, end, &line_size);
        if (line_size == 0) break;
        mark = (const char *)memchr(line, '=', line_size);
        n = mark != NULL ? (size_t)(mark - line) : line_size;
        hoteli_grpc_field(&o->grpc, line, n, mark != NULL ? mark + 1 : line + n,
                          mark != NULL ? line_size - n - 1 : 0);
    }
    for (i = 0; cursor + i < end; i += n) {
        n = (size_t)(end - cursor) - i < step ? (size_t)(end - cursor) - i : step;
        if (hoteli_grpc_data(&o->grpc, (const uint8_t *)cursor + i, n)) continue;
        FUZZ_CHECK(o->grpc.too_large);
        o->h2.outcome = HOTELI_H2_RESET;
        o->h2.code = HOTELI_H2_CANCEL;
        o->h2.by_us = true;
        o->h2.reason = "too large";
        break;
    }
    o->verdict = hoteli_grpc_finish(&o->grpc, &o->h2);
}

static void check(const outcome *o, size_t size) {
    const hoteli_grpc *g = &o->grpc;
    const hoteli_verdict *v = &o->verdict;
    bool listed = v->code == 1 || v->code == 4 || v->code == 10 || v->code == 11 || v->code == 14 ||
                  v->code == 15;
    FUZZ_CHECK(v->code >= 0 && v->code <= 16);
    FUZZ_CHECK(v->retryable == (listed || (v->code == 8 && v->delay_ms >= 0)));
    FUZZ_CHECK(!v->unprocessed || (v->retryable && v->code == 14));
    FUZZ_CHECK(v->delay_ms >= -1 && v->delay_ms <= 86400000);
    FUZZ_CHECK(v->message == g->message && v->message_size <= sizeof g->message);
    FUZZ_CHECK(g->body_kept == (g->body_size < CAPACITY ? g->body_size : CAPACITY));
    FUZZ_CHECK(g->body_size <= size && (g->too_large || g->body_size <= MAX_BYTES + 5));
    FUZZ_CHECK(v->code != 0 || (o->h2.outcome == HOTELI_H2_DONE && g->status == 0));
    FUZZ_CHECK(v->code == 0 || v->message_size > 0 || g->status == v->code);
    FUZZ_CHECK(!g->too_large || (v->code == 8 && !v->retryable));
    FUZZ_CHECK(strcmp(hoteli_grpc_code_name(v->code), "") != 0);
}

static bool same(const outcome *a, const outcome *b) {
    return a->verdict.code == b->verdict.code && a->verdict.retryable == b->verdict.retryable &&
           a->verdict.delay_ms == b->verdict.delay_ms &&
           a->verdict.message_size == b->verdict.message_size &&
           memcmp(a->grpc.message, b->grpc.message, a->verdict.message_size) == 0 &&
           a->grpc.too_large == b->grpc.too_large &&
           (a->grpc.too_large ||
            (a->grpc.body_size == b->grpc.body_size && memcmp(a->body, b->body, CAPACITY) == 0));
}

/* ---- What is made of the input ---------------------------------------------------------------- */

/* A message behind its prefix is the message, and success. */
static void check_message(const uint8_t *data, size_t size, size_t step) {
    static outcome o;
    uint8_t prefix[5];
    size_t i, n;
    memset(&o, 0, sizeof o);
    o.h2.outcome = HOTELI_H2_DONE;
    o.h2.status = 200;
    hoteli_grpc_start(&o.grpc, o.body, CAPACITY, MAX_BYTES);
    hoteli_grpc_field(&o.grpc, "grpc-status", 11, "0", 1);
    hoteli_grpc_put_prefix(prefix, size, false);
    for (i = 0; i < 5; i++) {
        FUZZ_CHECK(hoteli_grpc_data(&o.grpc, prefix + i, 1) == (size <= MAX_BYTES || i < 4));
    }
    for (i = 0; i < size && size <= MAX_BYTES; i += n) {
        n = size - i < step ? size - i : step;
        FUZZ_CHECK(hoteli_grpc_data(&o.grpc, data + i, n));
    }
    o.verdict = hoteli_grpc_finish(&o.grpc, &o.h2);
    FUZZ_CHECK(o.verdict.code == (size <= MAX_BYTES ? 0 : 8));
    if (size > MAX_BYTES) return;
    FUZZ_CHECK(o.grpc.body_size == size);
    FUZZ_CHECK(memcmp(o.body, data, size < CAPACITY ? size : CAPACITY) == 0);
}

static size_t encode(char *out, const uint8_t *bytes, size_t size, bool padded) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i, used = 0;
    for (i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        if (i + 1 < size) bits |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size) bits |= bytes[i + 2];
        out[used++] = digits[bits >> 18];
        out[used++] = digits[bits >> 12 & 63];
        if (i + 1 < size) out[used++] = digits[bits >> 6 & 63];
        if (i + 2 < size) out[used++] = digits[bits & 63];
    }
    while (padded && used % 4 != 0) out[used++] = '=';
    return used;
}

static void check_base64(const uint8_t *data, size_t size, bool padded) {
    char text[700];
    uint8_t decoded[512];
    size_t text_size;
    if (size > 500) size = 500;
    text_size = encode(text, data, size, padded);
    FUZZ_CHECK(hoteli_grpc_base64(decoded, sizeof decoded, text, text_size) == size);
    FUZZ_CHECK(memcmp(decoded, data, size) == 0);
}

static size_t put_varint(uint8_t *out, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

/* A RetryInfo says how long, behind details of any content. */
static void check_delay(const uint8_t *data, size_t size) {
    static const char type[] = "type.googleapis.com/google.rpc.RetryInfo";
    static hoteli_grpc g;
    uint8_t status[256], duration[24];
    char text[400];
    uint64_t seconds = 0, nanos = 0;
    size_t used = 0, duration_size = 0, any = size < 40 ? size : 40;
    int64_t want;
    if (size < 8) return;
    memcpy(&seconds, data, 3);
    memcpy(&nanos, data + 4, 4);
    nanos %= 1000000000;
    status[used++] = 0x1A;
    status[used++] = (uint8_t)(any + 2);
    status[used++] = 0x12;
    status[used++] = (uint8_t)any;
    memcpy(status + used, data, any);
    used += any;
    duration[duration_size++] = 0x08;
    duration_size += put_varint(duration + duration_size, seconds);
    duration[duration_size++] = 0x10;
    duration_size += put_varint(duration + duration_size, nanos);
    status[used++] = 0x1A;
    status[used++] = (uint8_t)(sizeof type - 1 + 2 + duration_size + 4);
    status[used++] = 0x0A;
    status[used++] = sizeof type - 1;
    memcpy(status + used, type, sizeof type - 1);
    used += sizeof type - 1;
    status[used++] = 0x12;
    status[used++] = (uint8_t)(duration_size + 2);
    status[used++] = 0x0A;
    status[used++] = (uint8_t)duration_size;
    memcpy(status + used, duration, duration_size);
    used += duration_size;
    hoteli_grpc_start(&g, NULL, 0, 1);
    hoteli_grpc_field(&g, "grpc-status-details-bin", 23, text,
                      encode(text, status, used, (data[3] & 1) != 0));
    want = (int64_t)(seconds * 1000 + (nanos + 999999) / 1000000);
    FUZZ_CHECK(g.delay_ms == (want < 86400000 ? want : 86400000));
}

/* Whatever a message is, percent-encoded it arrives, as far as it fits. */
static void check_text(const uint8_t *data, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    static hoteli_grpc g;
    char text[3 * 300];
    size_t i, used = 0;
    if (size > 300) size = 300;
    for (i = 0; i < size; i++) {
        if (data[i] >= 0x20 && data[i] < 0x7F && data[i] != '%') {
            text[used++] = (char)data[i];
            continue;
        }
        text[used++] = '%';
        text[used++] = digits[data[i] >> 4];
        text[used++] = digits[data[i] & 15];
    }
    hoteli_grpc_start(&g, NULL, 0, 1);
    hoteli_grpc_field(&g, "grpc-message", 12, text, used);
    FUZZ_CHECK(g.message_size <= size && g.message_size <= sizeof g.message);
    FUZZ_CHECK(memcmp(g.message, data, g.message_size) == 0);
    // Only whole characters are left out, and only at the end.
    FUZZ_CHECK(g.message_size == size || g.message_size + 4 > sizeof g.message ||
               (data[g.message_size + 1] & 0xC0) == 0x80);
}

static void take_field(void *user_data, const char *name, size_t name_size, const char *value,
                       size_t value_size) {
    hoteli_pair *want = (hoteli_pair *)user_data;
    if (name_size == 12 && memcmp(name, "grpc-timeout", 12) == 0) {
        FUZZ_CHECK(value_size >= 2 && value_size <= 9);
        return;
    }
    if (want->key_size != name_size || memcmp(name, want->key, name_size) != 0) return;
    FUZZ_CHECK(value_size == want->value_size && memcmp(value, want->value, value_size) == 0);
    want->key_size = 0;
}

/* A header of the user's comes out of the block as it went in. */
static void check_head(const uint8_t *data, size_t size) {
    static uint8_t block[2048], out[2048 + HOTELI_GRPC_TIMEOUT];
    static hoteli_hpack hpack;
    char name[16] = "x-";
    const char *value = (const char *)data + 8;
    size_t value_size = size > 8 ? size - 8 : 0, i, counted;
    int64_t timeout;
    hoteli_grpc_head h;
    hoteli_pair want;
    if (size < 8) return;
    memcpy(&timeout, data, 8);
    if (value_size > 500) value_size = 500;
    hoteli_trim(&value, &value_size);
    for (i = 2; i < 10; i++) name[i] = (char)('A' + data[i - 2] % 26);
    hoteli_grpc_head_start(&h, NULL, 0, data[0] & 1, "/p", "a:1", data[0] & 2, NULL);
    FUZZ_CHECK(hoteli_grpc_head_add(&h, name, 10, value, value_size));
    counted = h.size;
    hoteli_grpc_head_start(&h, block, counted, data[0] & 1, "/p", "a:1", data[0] & 2, NULL);
    FUZZ_CHECK(hoteli_grpc_head_add(&h, name, 10, value, value_size) && h.size == counted);
    i = hoteli_grpc_head_write(&h, timeout, out);
    FUZZ_CHECK(i <= counted + HOTELI_GRPC_TIMEOUT);
    for (counted = 0; name[counted] != 0; counted++) name[counted] = (char)(name[counted] | 0x20);
    want.key = name;
    want.key_size = 10;
    want.value = value;
    want.value_size = value_size;
    hoteli_hpack_start(&hpack);
    FUZZ_CHECK(hoteli_hpack_decode(&hpack, out, i, take_field, &want) && want.key_size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static outcome whole, other;
    if (size < 3) return 0;
    judge(&whole, data, size, size);
    check(&whole, size);
    judge(&other, data, size, 1);
    FUZZ_CHECK(same(&whole, &other));
    judge(&other, data, size, data[2] % 32u + 1);
    FUZZ_CHECK(same(&whole, &other));
    check_message(data, size, data[2] + 1u);
    check_base64(data, size, (data[0] & 1) != 0);
    check_delay(data, size);
    check_text(data, size);
    check_head(data, size);
    return 0;
}
