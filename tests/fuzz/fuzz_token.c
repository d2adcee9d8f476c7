/*
 * SPDX-License-Identifier: MIT
 *
 * Hatchet's token. The input is a token; then its claims, put into one: what the token says is what
 * the JSON reader finds there; then a moment, whose text is that of the C library.
 */
#include "fuzz.h"

#include <time.h>

static void check_claims(const char *problem, const hoteli_claims *c) {
    FUZZ_CHECK(memchr(c->tenant, 0, sizeof c->tenant) != NULL);
    FUZZ_CHECK(memchr(c->address, 0, sizeof c->address) != NULL);
    FUZZ_CHECK(c->expires >= 0);
    FUZZ_CHECK(problem == NULL || strncmp(problem, "it", 2) == 0);
}

static char *encode(char *out, const uint8_t *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    size_t i;
    for (i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6) *out++ = digits[bits >> (held - 6) & 63];
    }
    if (held > 0) *out++ = digits[bits << (6 - held) & 63];
    return out;
}

/* What a claim that is text must come to. */
static void check_text(const char *json, size_t size, const char *name, const char *got,
                       size_t capacity) {
    char want[512];
    size_t want_size;
    int found = hoteli_json_find(json, size, name, want, sizeof want, &want_size);
    FUZZ_CHECK(found == 0 || found == 1);
    FUZZ_CHECK(found == 1 ? strlen(got) == want_size && memcmp(got, want, want_size) == 0
                          : *got == 0);
    FUZZ_CHECK(want_size < capacity);
}

static void check_made(const uint8_t *data, size_t size) {
    char *token = (char *)fuzz_alloc(size / 3 * 4 + 32), *end;
    const char *json = (const char *)data, *problem, *value, *value_end;
    hoteli_claims claims;
    memcpy(token, "eyJh.", 5);
    end = encode(token + 5, data, size);
    memcpy(end, ".c2ln", 5);
    problem = hoteli_token_parse(token, (size_t)(end + 5 - token), &claims);
    check_claims(problem, &claims);
    if (problem == NULL) {
        int found = hoteli_json_raw(json, size, "exp", &value, &value_end);
        check_text(json, size, "sub", claims.tenant, sizeof claims.tenant);
        check_text(json, size, "grpc_broadcast_address", claims.address, sizeof claims.address);
        FUZZ_CHECK(found >= 0 && (found == 1) == (claims.expires != INT64_MAX));
    } else {
        /* A malformed token is not sent, so it has to be one. */
        FUZZ_CHECK(size == 0 || size > 3000 || strstr(problem, "claim") != NULL);
    }
    free(token);
}

static void check_time(const uint8_t *data, size_t size) {
    uint8_t bytes[8] = {0};
    int64_t at;
    char words[64], want[64];
    hoteli_text text;
    struct tm tm;
    time_t time;
    memcpy(bytes, data, size < 8 ? size : 8);
    memcpy(&at, bytes, 8);
    at = (int64_t)((uint64_t)at % 253402300800u); /* until the end of the year 9999 */
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say_date(&text, at, " ");
    time = (time_t)at;
    if ((int64_t)time != at || gmtime_r(&time, &tm) == NULL) return;
    (void)strftime(want, sizeof want, "%Y-%m-%d %H:%M:%S", &tm);
    FUZZ_CHECK(strcmp(words, want) == 0);
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say_date(&text, INT64_MAX - at, " ");
    FUZZ_CHECK(text.size < sizeof words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hoteli_claims claims;
    const char *text = (const char *)data;
    const char *problem = hoteli_token_parse(text, size, &claims);
    check_claims(problem, &claims);
    if (problem == NULL) {
        const char *dot = (const char *)memchr(text, '.', size);
        FUZZ_CHECK(dot != NULL && memchr(dot + 1, '.', (size_t)(text + size - dot - 1)) != NULL);
        FUZZ_CHECK(size <= HOTELI_TOKEN_SIZE && hoteli_header_sound(text, size));
    }
    check_made(data, size);
    check_time(data, size);
    return 0;
}
