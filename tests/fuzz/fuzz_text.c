/*
 * SPDX-License-Identifier: MIT
 *
 * Bytes as UTF-8 text, against a decoder that works out the code points, and as percent-encoded
 * text, against the encoder.
 */
#include "fuzz.h"

/* The size of the character at `text`: decoded, and encoded again in the least bytes. */
static size_t character(const unsigned char *text, size_t size) {
    uint32_t code = text[0];
    size_t length = code < 0x80 ? 1 : code >> 5 == 6 ? 2 : code >> 4 == 14 ? 3 : 4, i;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < 0x80) return 1;
    if (code < 0xC0 || code > 0xF7 || length > size) return 0;
    code &= 0x7Fu >> length;
    for (i = 1; i < length; i++) {
        if (text[i] >> 6 != 2) return 0;
        code = code << 6 | (text[i] & 0x3F);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
    return length;
}

static void check_utf8(const char *text, size_t size, char *room) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at, used = 0, points = 0, bad = 0, repaired;
    char *want = (char *)fuzz_alloc(3 * size);
    for (at = 0; at < size; points++) {
        size_t length = character(bytes + at, size - at);
        FUZZ_CHECK(hoteli_utf8_sequence(text + at, size - at) == length);
        if (points < 70) {
            FUZZ_CHECK(hoteli_utf8_prefix(text, size, points) == (points == 0 ? 0 : at));
        }
        memcpy(want + used, length > 0 ? text + at : "\xEF\xBF\xBD", length > 0 ? length : 3);
        used += length > 0 ? length : 3;
        bad += length == 0;
        at += length > 0 ? length : 1;
    }
    FUZZ_CHECK(hoteli_utf8_prefix(text, size, points) == size);
    FUZZ_CHECK(hoteli_utf8_prefix(text, size, points + 1) == size);
    FUZZ_CHECK(hoteli_utf8_valid(text, size) == (bad == 0));
    FUZZ_CHECK(hoteli_utf8_repaired_size(text, size) == used);
    repaired = hoteli_utf8_repair(room, text, size);
    FUZZ_CHECK(repaired == used && memcmp(room, want, used) == 0);
    FUZZ_CHECK(hoteli_utf8_valid(room, repaired));
    free(want);
}

/* `room` takes three times the text. */
static void check_percent(const char *text, size_t size, char *room) {
    bool good = false, again = false, want_good = true;
    size_t i, used = 0, decoded = hoteli_percent_decode(room, text, size, &good);
    char *want = (char *)fuzz_alloc(size);
    for (i = 0; i < size; i++) {
        char pair[3] = {0, 0, 0};
        if (text[i] == '%' && size - i >= 3) memcpy(pair, text + i + 1, 2);
        if (strspn(pair, "0123456789abcdefABCDEF") == 2) {
            want[used++] = (char)strtoul(pair, NULL, 16);
            i += 2;
        } else {
            want_good = want_good && text[i] != '%';
            want[used++] = text[i];
        }
    }
    FUZZ_CHECK(decoded == used && good == want_good && memcmp(room, want, used) == 0);
    free(want);
    memcpy(room + size, text, size); /* in place */
    FUZZ_CHECK(hoteli_percent_decode(room + size, room + size, size, &again) == decoded);
    FUZZ_CHECK(good == again && memcmp(room, room + size, decoded) == 0);
    for (used = i = 0; i < size; i++) {
        used += (size_t)snprintf(room + used, 4, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
    FUZZ_CHECK(hoteli_percent_decode(room, room, used, &good) == size && good);
    FUZZ_CHECK(memcmp(room, text, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    char *room = (char *)fuzz_alloc(3 * size + 1);
    if (size > 0) {
        check_utf8(text, size, room);
        check_percent(text, size, room);
    }
    free(room);
    return 0;
}
