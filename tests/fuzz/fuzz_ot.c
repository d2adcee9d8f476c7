/*
 * SPDX-License-Identifier: MIT
 *
 * The member ot of tracestate, against a parser made of its grammar: the value of ot on the first
 * line, a whole tracestate on the second, a threshold in the bytes behind them.
 */
#include "fuzz.h"

enum { MAX_PARTS = 300 };

typedef struct part {
    const char *key, *value;
    size_t key_size, value_size;
} part;

/* SM-13: "k:v;k:v", keys [a-z][a-z0-9]*, values [A-Za-z0-9._-]*; -1: malformed. */
static int split(const char *text, size_t size, part *parts) {
    size_t begin = 0, i;
    int count = 0;
    if (size == 0) return 0;
    while (begin <= size) {
        size_t end = begin, colon;
        part *p = &parts[count];
        while (end < size && text[end] != ';') end++;
        for (colon = begin; colon < end && text[colon] != ':'; colon++) continue;
        if (colon == end || colon == begin || count++ == MAX_PARTS) return -1;
        p->key = text + begin;
        p->key_size = colon - begin;
        p->value = text + colon + 1;
        p->value_size = end - colon - 1;
        for (i = 0; i < p->key_size; i++) {
            bool digit = p->key[i] >= '0' && p->key[i] <= '9';
            if (!(p->key[i] >= 'a' && p->key[i] <= 'z') && !(digit && i > 0)) return -1;
        }
        for (i = 0; i < p->value_size; i++) {
            if (p->value[i] == 0 ||
                strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                       p->value[i]) == NULL) {
                return -1;
            }
        }
        begin = end + 1;
    }
    return count;
}

static const part *first(const part *parts, int count, const char *key) {
    int i;
    for (i = 0; i < count; i++) {
        if (parts[i].key_size == 2 && memcmp(parts[i].key, key, 2) == 0) return &parts[i];
    }
    return NULL;
}

/* Hex digits of lower case, zeros where they end before the 14th. */
static bool read_number(const part *p, size_t least, uint64_t *out) {
    char digits[15] = "00000000000000";
    if (p == NULL || p->value_size < least || p->value_size > 14) return false;
    memcpy(digits, p->value, p->value_size);
    if (strspn(digits, "0123456789abcdef") != 14) return false;
    *out = strtoull(digits, NULL, 16);
    return true;
}

static void check_value(const char *text, size_t size, uint64_t th) {
    static part before[MAX_PARTS + 1], after[MAX_PARTS + 1];
    static const uint64_t limit = UINT64_C(1) << 56;
    char out[HOTELI_OT_ROOM];
    uint64_t number = 0;
    int count = split(text, size, before), num_after, i, k;
    hoteli_ot ot, again;
    size_t edited;
    FUZZ_CHECK(hoteli_ot_parse(text, size, &ot) == (count >= 0));
    if (count < 0) count = 0;
    FUZZ_CHECK(ot.has_th == read_number(first(before, count, "th"), 1, &number));
    FUZZ_CHECK(!ot.has_th || (ot.th == number && number < limit));
    FUZZ_CHECK(ot.has_rv == read_number(first(before, count, "rv"), 14, &number));
    FUZZ_CHECK(!ot.has_rv || ot.rv == number);
    if (size > HOTELI_OT_SIZE) count = 0;
    for (i = 0; i < 2; i++) {
        edited = hoteli_ot_edit(text, size, i == 0 ? &th : NULL, out);
        FUZZ_CHECK(edited <= sizeof out);
        num_after = split(out, edited, after);
        FUZZ_CHECK(num_after >= 0 && hoteli_ot_parse(out, edited, &again));
        FUZZ_CHECK(again.has_th == (i == 0) && (i == 1 || again.th == th));
        FUZZ_CHECK(size > HOTELI_OT_SIZE || again.has_rv == ot.has_rv);
        /* All others are there as they were. */
        for (k = i == 0; k < num_after; k++) FUZZ_CHECK(first(&after[k], 1, "th") == NULL);
        for (k = 0, num_after = i == 0; k < count; k++) {
            const part *b = &before[k], *a = &after[num_after];
            size_t whole = b->key_size + 1 + b->value_size;
            if (first(b, 1, "th") != NULL) continue;
            num_after++;
            FUZZ_CHECK(a->key_size == b->key_size && a->value_size == b->value_size);
            FUZZ_CHECK(memcmp(a->key, b->key, whole) == 0);
        }
    }
}

/* The other members stay, in their order, whatever is written into ot. */
static void check_state(const char *text, size_t size, uint64_t th) {
    char state[1024], out[1400], rest[1024], rest_after[1400];
    size_t state_size = 0, out_size = 0, n, m;
    bool good, changed;
    hoteli_ot before, after;
    if (!hoteli_tracestate_normalise(text, size, state, sizeof state, &state_size)) return;
    before = hoteli_tracestate_ot(state, state_size);
    changed = hoteli_tracestate_put_th(state, state_size, &th, out, sizeof out, &out_size);
    if (!changed) return;
    after = hoteli_tracestate_ot(out, out_size);
    FUZZ_CHECK(after.has_th && after.th == th && !(before.has_th && before.th == th));
    FUZZ_CHECK(after.has_rv == before.has_rv && after.rv == before.rv);
    n = hoteli_tracestate_set(state, state_size, "ot", 2, NULL, 0, rest, sizeof rest, &good);
    FUZZ_CHECK(good);
    m = hoteli_tracestate_set(out, out_size, "ot", 2, NULL, 0, rest_after, sizeof rest_after,
                              &good);
    /* A 33rd member falls off at the right. */
    FUZZ_CHECK(good && m <= n && memcmp(rest, rest_after, m) == 0);
    FUZZ_CHECK(!hoteli_tracestate_put_th(out, out_size, &th, state, sizeof state, &n));
    changed = hoteli_tracestate_put_th(out, out_size, NULL, state, sizeof state, &n);
    FUZZ_CHECK(!changed || !hoteli_tracestate_ot(state, n).has_th);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *cursor = (const char *)data, *end = cursor + size, *value, *state, *text;
    size_t value_size, state_size, text_size;
    uint64_t th = 0;
    char digits[14];
    value = fuzz_line(&cursor, end, &value_size);
    state = fuzz_line(&cursor, end, &state_size);
    text = fuzz_line(&cursor, end, &text_size);
    memcpy(&th, text, text_size < 7 ? text_size : 7);
    th &= (UINT64_C(1) << 56) - 1;
    FUZZ_CHECK(hoteli_ot_format_th(th, digits) <= 14);
    check_value(value, value_size, th);
    check_state(state, state_size, th);
    return 0;
}
