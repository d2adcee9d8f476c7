/*
 * SPDX-License-Identifier: MIT
 *
 * The same text as an endpoint, a list, a percent-encoded value, a number and as UTF-8.
 */
#include "fuzz.h"

const char *const fuzz_seeds[] = {
    "http://localhost:4318/v1/traces?q#f",
    "https://user:pw@[2001:db8::1]:65535/a%20b/",
    "unix:///run/otel.sock:/v1/traces",
    "http://example.com.",
    "api-key=a%20b%2C, x = Bearer abc== ,,junk,=v",
    "service.name=caf\xC3\xA9,k=%e2%82%ac%zz%",
    "18446744073709551615",
    " 0042\t",
    "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xFF\xED\xA0\x80 ascii ascii",
    NULL};

static bool within(const char *part, size_t part_size, const char *text, size_t size) {
    return part >= text && part <= text + size && part_size <= (size_t)(text + size - part);
}

/* Put together again, a URL means the same. */
static void check_url(const char *text, size_t size) {
    hoteli_url url, again;
    char *joined;
    size_t used;
    if (hoteli_url_parse(text, size, &url) != NULL) return;
    FUZZ_CHECK(url.host[0] != 0 && memchr(url.host, 0, sizeof url.host) != NULL);
    FUZZ_CHECK(url.authority[0] != 0 && memchr(url.authority, 0, sizeof url.authority) != NULL);
    FUZZ_CHECK((url.port == 0) == url.is_unix);
    FUZZ_CHECK(url.path_size == 0 || within(url.path, url.path_size, text, size));
    FUZZ_CHECK(url.path_size == 0 || url.path[0] == '/');
    joined = (char *)malloc(size + 32);
    if (joined == NULL) abort();
    used = (size_t)snprintf(joined, size + 32, "%s%s%s",
                            url.is_unix ? "unix:"
                            : url.tls   ? "https://"
                                        : "http://",
                            url.is_unix ? url.host : url.authority,
                            url.is_unix && url.path_size > 0 ? ":" : "");
    FUZZ_CHECK(used + url.path_size < size + 32);
    if (url.path_size > 0) memcpy(joined + used, url.path, url.path_size);
    FUZZ_CHECK(hoteli_url_parse(joined, used + url.path_size, &again) == NULL);
    FUZZ_CHECK(strcmp(url.host, again.host) == 0 && strcmp(url.authority, again.authority) == 0);
    FUZZ_CHECK(url.port == again.port && url.tls == again.tls && url.is_unix == again.is_unix);
    FUZZ_CHECK(url.path_size == again.path_size);
    free(joined);
}

static bool is_trimmed(const char *text, size_t size) {
    return size == 0 ||
           (text[0] != ' ' && text[0] != '\t' && text[size - 1] != ' ' && text[size - 1] != '\t');
}

static void check_list(const char *text, size_t size) {
    const char *cursor = text, *end = text + size, *before = text;
    hoteli_pair pair;
    int found;
    while ((found = hoteli_list_next(&cursor, end, &pair)) != 0) {
        FUZZ_CHECK(cursor > before && cursor <= end);
        FUZZ_CHECK(pair.key >= before && within(pair.key, pair.key_size, text, size));
        FUZZ_CHECK(pair.key_size > 0 && is_trimmed(pair.key, pair.key_size));
        FUZZ_CHECK(memchr(pair.key, ',', pair.key_size) == NULL);
        if (found == 1) {
            FUZZ_CHECK(within(pair.value, pair.value_size, text, size));
            FUZZ_CHECK(pair.value > pair.key && is_trimmed(pair.value, pair.value_size));
            FUZZ_CHECK(memchr(pair.key, '=', pair.key_size) == NULL);
            FUZZ_CHECK(memchr(pair.value, ',', pair.value_size) == NULL);
        } else {
            FUZZ_CHECK(found == -1 && pair.value == NULL);
            FUZZ_CHECK(pair.key[0] == '=' || memchr(pair.key, '=', pair.key_size) == NULL);
        }
        (void)hoteli_is_token(pair.key, pair.key_size);
        before = cursor;
    }
    FUZZ_CHECK(cursor == end);
}

/* `room` takes three times the text. */
static void check_percent(const char *text, size_t size, char *room) {
    bool good = false, again = false;
    size_t i, used = 0, decoded = hoteli_percent_decode(room, text, size, &good);
    FUZZ_CHECK(decoded <= size);
    memcpy(room + size, text, size);
    FUZZ_CHECK(hoteli_percent_decode(room + size, room + size, size, &again) == decoded);
    FUZZ_CHECK(good == again && memcmp(room, room + size, decoded) == 0);
    for (i = 0; i < size; i++) {
        used += (size_t)snprintf(room + used, 4, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
    FUZZ_CHECK(hoteli_percent_decode(room, room, used, &good) == size && good);
    FUZZ_CHECK(memcmp(room, text, size) == 0);
}

static void check_uint(const char *text, size_t size) {
    uint64_t value = 0, small = 0;
    char printed[32];
    size_t blanks = 0;
    if (!hoteli_parse_uint(text, size, UINT64_MAX, &value)) return;
    (void)snprintf(printed, sizeof printed, "%llu", (unsigned long long)value);
    while (text[blanks] == ' ' || text[blanks] == '\t' || text[blanks] == '0') {
        if (++blanks == size) break;
    }
    FUZZ_CHECK(value == 0 || strncmp(text + blanks, printed, strlen(printed)) == 0);
    FUZZ_CHECK(hoteli_parse_uint(text, size, value, &small) && small == value);
    FUZZ_CHECK(value == 0 || !hoteli_parse_uint(text, size, value - 1, &small));
}

static void check_utf8(const char *text, size_t size, char *room) {
    bool valid = hoteli_utf8_valid(text, size);
    size_t repaired = hoteli_utf8_repaired_size(text, size), limit, before = 0;
    FUZZ_CHECK(repaired >= size && repaired <= 3 * size);
    FUZZ_CHECK(hoteli_utf8_repair(room, text, size) == repaired);
    FUZZ_CHECK(hoteli_utf8_valid(room, repaired));
    FUZZ_CHECK(valid == (repaired == size && memcmp(room, text, size) == 0));
    for (limit = 0; limit <= size && limit < 100; limit++) {
        size_t prefix = hoteli_utf8_prefix(text, size, limit);
        FUZZ_CHECK(prefix <= size && prefix >= limit && prefix - before <= 4);
        FUZZ_CHECK(!valid || hoteli_utf8_valid(text, prefix));
        before = prefix;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    char *room = (char *)malloc(3 * size + 1);
    if (room == NULL) abort();
    if (size > 0) {
        check_url(text, size);
        check_list(text, size);
        check_percent(text, size, room);
        check_uint(text, size);
        check_utf8(text, size, room);
    }
    free(room);
    return 0;
}
