/*
 * SPDX-License-Identifier: MIT
 *
 * The value of a traceparent header, against a parser that goes character by character.
 */
#include "fuzz.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* `count` bytes from lower-case hex. */
static bool read_hex(const char *text, uint8_t *out, size_t count) {
    static const char digits[] = "0123456789abcdef";
    size_t i;
    for (i = 0; i < count; i++) {
        const char *high = (const char *)memchr(digits, text[2 * i], 16);
        const char *low = (const char *)memchr(digits, text[2 * i + 1], 16);
        if (high == NULL || low == NULL) return false;
        out[i] = (uint8_t)((high - digits) * 16 + (low - digits));
    }
    return true;
}

static bool any_bit(const uint8_t *bytes, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        if (bytes[i] != 0) return true;
    }
    return false;
}

/* WP-01 to WP-14, as they are written. */
static bool expected(const char *text, size_t size, hotel_span_context *out) {
    uint8_t version, flags;
    memset(out, 0, sizeof *out);
    while (size > 0 && is_blank(text[0])) text++, size--;
    while (size > 0 && is_blank(text[size - 1])) size--;
    if (size < 55 || !read_hex(text, &version, 1) || text[2] != '-') return false;
    if (!read_hex(text + 3, out->trace_id, 16) || text[35] != '-') return false;
    if (!read_hex(text + 36, out->span_id, 8) || text[52] != '-') return false;
    if (!read_hex(text + 53, &flags, 1) || version == 0xFF) return false;
    if (version == 0 && size != 55) return false;
    if (size > 55 && text[55] != '-') return false;
    out->trace_flags = flags & 3;
    out->is_remote = true;
    return any_bit(out->trace_id, 16) && any_bit(out->span_id, 8);
}

/* What is written is read again, whatever the bytes. */
static void check_format(const uint8_t *data, size_t size) {
    hotel_span_context context, again;
    char out[55];
    memset(&context, 0, sizeof context);
    memcpy(context.trace_id, data, size < 16 ? size : 16);
    if (size > 16) memcpy(context.span_id, data + 16, size < 24 ? size - 16 : 8);
    context.trace_flags = size > 24 ? data[24] & 3 : 0;
    context.is_remote = true;
    memset(out, 0x5A, sizeof out);
    hoteli_traceparent_format(&context, out);
    FUZZ_CHECK(hoteli_traceparent_parse(out, 55, &again) ==
               (any_bit(context.trace_id, 16) && any_bit(context.span_id, 8)));
    if (any_bit(context.trace_id, 16) && any_bit(context.span_id, 8)) {
        FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    hotel_span_context context, untouched, want;
    char out[55];
    bool good = expected(text, size, &want);
    memset(&context, 0x5A, sizeof context);
    untouched = context;
    FUZZ_CHECK(hoteli_traceparent_parse(text, size, &context) == good);
    FUZZ_CHECK(memcmp(&context, good ? &want : &untouched, sizeof context) == 0);
    if (good) {
        hoteli_traceparent_format(&context, out);
        FUZZ_CHECK(hoteli_traceparent_parse(out, 55, &context));
        FUZZ_CHECK(memcmp(&context, &want, sizeof context) == 0);
        FUZZ_CHECK(memcmp(out, "00-", 3) == 0 && out[54] - '0' == want.trace_flags);
    }
    check_format(data, size);
    return 0;
}
