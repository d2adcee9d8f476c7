/*
 * SPDX-License-Identifier: MIT
 *
 * A list of pairs as the environment has them, against a splitter that goes by characters. Two
 * lists with a comma between them are one list.
 */
#include "fuzz.h"

enum { MAX_PAIRS = 4096 };

typedef struct listing {
    hoteli_pair pairs[MAX_PAIRS];
    int found[MAX_PAIRS];
    size_t count;
} listing;

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* A range without the blanks at its ends. */
static void trim(const char **text, size_t *size) {
    while (*size > 0 && is_blank(**text)) ++*text, --*size;
    while (*size > 0 && is_blank((*text)[*size - 1])) --*size;
}

/* OH-01 to OH-03, OH-06. */
static void split(const char *text, size_t size, listing *out) {
    size_t begin = 0;
    out->count = 0;
    while (begin <= size && out->count < MAX_PAIRS) {
        size_t end = begin, equals = 0;
        const char *member = text + begin;
        size_t member_size;
        hoteli_pair *pair = &out->pairs[out->count];
        while (end < size && text[end] != ',') end++;
        member_size = end - begin;
        begin = end + 1;
        trim(&member, &member_size);
        if (member_size == 0) continue;
        while (equals < member_size && member[equals] != '=') equals++;
        pair->key = member;
        pair->key_size = member_size;
        pair->value = NULL;
        pair->value_size = 0;
        out->found[out->count] = -1;
        if (equals > 0 && equals < member_size) {
            out->found[out->count] = 1;
            pair->key_size = equals;
            pair->value = member + equals + 1;
            pair->value_size = member_size - equals - 1;
            trim(&pair->key, &pair->key_size);
            trim(&pair->value, &pair->value_size);
        }
        out->count++;
    }
}

static void walk(const char *text, size_t size, listing *out) {
    const char *cursor = text, *end = text + size;
    int found = 1;
    out->count = 0;
    while (out->count < MAX_PAIRS && found != 0) {
        const char *before = cursor;
        found = hoteli_list_next(&cursor, end, &out->pairs[out->count]);
        FUZZ_CHECK(cursor >= before && cursor <= end);
        if (found == 0) FUZZ_CHECK(cursor == end);
        out->found[out->count] = found;
        out->count += found != 0;
    }
}

static bool same_bytes(const char *a, size_t a_size, const char *b, size_t b_size) {
    return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

static void check_member(const listing *a, size_t i, const listing *b, size_t k) {
    const hoteli_pair *x = &a->pairs[i], *y = &b->pairs[k];
    FUZZ_CHECK(a->found[i] == b->found[k]);
    FUZZ_CHECK(same_bytes(x->key, x->key_size, y->key, y->key_size));
    FUZZ_CHECK((x->value == NULL) == (y->value == NULL));
    FUZZ_CHECK(same_bytes(x->value, x->value_size, y->value, y->value_size));
}

/* RFC 7230's list of characters, by hand. */
static bool is_token(const char *text, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7F || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) return false;
    }
    return size > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static listing want, got;
    const char *text = (const char *)data;
    char *twice;
    size_t i;
    if (size == 0 || size > MAX_PAIRS) return 0;
    split(text, size, &want);
    walk(text, size, &got);
    FUZZ_CHECK(want.count == got.count);
    for (i = 0; i < got.count; i++) {
        const hoteli_pair *pair = &got.pairs[i];
        check_member(&want, i, &got, i);
        FUZZ_CHECK(pair->key >= text && pair->key + pair->key_size <= text + size);
        FUZZ_CHECK(hoteli_is_token(pair->key, pair->key_size) ==
                   is_token(pair->key, pair->key_size));
    }
    if (2 * got.count >= MAX_PAIRS) return 0;
    twice = (char *)fuzz_alloc(2 * size + 3);
    memcpy(twice, text, size);
    memcpy(twice + size, " ,\t", 3);
    memcpy(twice + size + 3, text, size);
    walk(twice, 2 * size + 3, &got);
    FUZZ_CHECK(got.count == 2 * want.count);
    for (i = 0; i < got.count; i++) check_member(&want, i % want.count, &got, i);
    free(twice);
    return 0;
}
