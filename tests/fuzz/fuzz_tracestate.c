/*
 * SPDX-License-Identifier: MIT
 *
 * tracestate on the first line, then a key and a value to set. The canonical form is compared with
 * that of a parser made of the grammar; editing obeys the laws of a list, and so do thresholds in
 * the member ot.
 */
#include "fuzz.h"

enum { CAPACITY = 1024, MAX_MEMBERS = 32 };

typedef struct member {
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
} member;

typedef struct list {
    member members[MAX_MEMBERS + 1];
    size_t count;
} list;

static bool is_key(const char *text, size_t size) {
    size_t i;
    if (size < 1 || size > 256) return false;
    for (i = 0; i < size; i++) {
        bool letter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        bool mark = text[i] == '_' || text[i] == '*' || text[i] == '/' || text[i] == '@' ||
                    text[i] == '-';
        if (!letter && (i == 0 || !mark)) return false;
    }
    return true;
}

static bool is_value(const char *text, size_t size) {
    size_t i;
    if (size < 1 || size > 256 || text[size - 1] == ' ') return false;
    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7E || c == ',' || c == '=') return false;
    }
    return true;
}

static const member *find(const list *l, const char *key, size_t key_size) {
    size_t i;
    for (i = 0; i < l->count; i++) {
        const member *m = &l->members[i];
        if (m->key_size == key_size && memcmp(m->key, key, key_size) == 0) return m;
    }
    return NULL;
}

/* WT-02 to WT-09: false if the whole is to be dropped. */
static bool parse(const char *text, size_t size, list *l) {
    size_t begin = 0, seen = 0;
    memset(l, 0, sizeof *l);
    while (begin <= size) {
        size_t end = begin, next, equals;
        member m;
        while (end < size && text[end] != ',') end++;
        next = end + 1;
        while (begin < end && (text[begin] == ' ' || text[begin] == '\t')) begin++;
        while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t')) end--;
        if (begin < end) {
            for (equals = begin; equals < end && text[equals] != '='; equals++) continue;
            if (equals == end || ++seen > MAX_MEMBERS) return false;
            m.key = text + begin;
            m.key_size = equals - begin;
            m.value = text + equals + 1;
            m.value_size = end - equals - 1;
            if (!is_key(m.key, m.key_size) || !is_value(m.value, m.value_size)) return false;
            if (find(l, m.key, m.key_size) == NULL) l->members[l->count++] = m;
        }
        begin = next;
    }
    return true;
}

/* A list as text; returns its size, which may be more than the capacity. */
static size_t format(const list *l, char *out, size_t capacity) {
    size_t i, used = 0;
    for (i = 0; i < l->count; i++) {
        const member *m = &l->members[i];
        size_t need = m->key_size + 1 + m->value_size + (i > 0);
        if (used + need <= capacity) {
            if (i > 0) out[used] = ',';
            memcpy(out + used + (i > 0), m->key, m->key_size);
            out[used + (i > 0) + m->key_size] = '=';
            memcpy(out + used + need - m->value_size, m->value, m->value_size);
        }
        used += need;
    }
    return used;
}

static size_t check_normalise(const char *text, size_t size, char *state) {
    char want[CAPACITY];
    list l;
    size_t got_size = 7, want_size = 0;
    bool good = parse(text, size, &l);
    if (good) want_size = format(&l, want, sizeof want);
    good = good && want_size <= CAPACITY;
    FUZZ_CHECK(hoteli_tracestate_normalise(text, size, state, CAPACITY, &got_size) == good);
    FUZZ_CHECK(got_size == (good ? want_size : 0));
    FUZZ_CHECK(got_size == 0 || memcmp(state, want, got_size) == 0);
    return got_size;
}

/* A canonical state is its own canonical form. */
static void check_canonical(const char *state, size_t size) {
    char out[2 * CAPACITY];
    size_t out_size = 0;
    FUZZ_CHECK(hoteli_tracestate_normalise(state, size, out, size, &out_size));
    FUZZ_CHECK(out_size == size && (size == 0 || memcmp(out, state, size) == 0));
}

/* WT-10, WT-11, WT-13: in front, once, the others in their order, the 33rd gone. */
static void check_set(const char *state, size_t size, const member *edit) {
    char out[2 * CAPACITY], want[2 * CAPACITY];
    list before, after;
    size_t i, need, want_size, none;
    bool good = false, same = true;
    bool valid = is_key(edit->key, edit->key_size) &&
                 (edit->value == NULL || is_value(edit->value, edit->value_size));
    need = hoteli_tracestate_set(state, size, edit->key, edit->key_size, edit->value,
                                 edit->value_size, NULL, 0, &good);
    FUZZ_CHECK(good == valid && need <= sizeof out);
    memset(out, 0x5A, sizeof out);
    none = hoteli_tracestate_set(state, size, edit->key, edit->key_size, edit->value,
                                 edit->value_size, out, need > 0 ? need - 1 : 0, &same);
    FUZZ_CHECK(none == need && out[0] == 0x5A);
    FUZZ_CHECK(need == hoteli_tracestate_set(state, size, edit->key, edit->key_size, edit->value,
                                             edit->value_size, out, need, &same) &&
               same == good);
    FUZZ_CHECK(parse(state, size, &before));
    memset(&after, 0, sizeof after);
    if (valid && edit->value != NULL) after.members[after.count++] = *edit;
    for (i = 0; i < before.count && after.count < MAX_MEMBERS; i++) {
        const member *m = &before.members[i];
        if (valid && m->key_size == edit->key_size &&
            memcmp(m->key, edit->key, edit->key_size) == 0) {
            continue;
        }
        after.members[after.count++] = *m;
    }
    want_size = format(&after, want, sizeof want);
    FUZZ_CHECK(want_size == need && memcmp(out, want, need) == 0);
    check_canonical(out, need);
}

/* Of each member of the list the value is found, of no other key. */
static void check_get(const char *state, size_t size, const char *key, size_t key_size) {
    const char *value = NULL;
    size_t value_size = 0, i;
    list l;
    const member *want;
    bool found;
    FUZZ_CHECK(parse(state, size, &l));
    for (i = 0; i < l.count; i++) {
        FUZZ_CHECK(hoteli_tracestate_get(state, size, l.members[i].key, l.members[i].key_size,
                                         &value, &value_size));
        FUZZ_CHECK(value == l.members[i].value && value_size == l.members[i].value_size);
    }
    want = find(&l, key, key_size);
    found = hoteli_tracestate_get(state, size, key, key_size, &value, &value_size);
    FUZZ_CHECK(found == (want != NULL));
}

/* WT-12: whole members go, those over 128 characters first, from the right. */
static void check_shrink(char *state, size_t size, size_t max_size) {
    char want[CAPACITY];
    list l;
    size_t want_size;
    FUZZ_CHECK(parse(state, size, &l));
    while (format(&l, want, sizeof want) > max_size) {
        size_t i, cut = l.count - 1;
        for (i = l.count; i > 0; i--) {
            if (l.members[i - 1].key_size + 1 + l.members[i - 1].value_size > 128) {
                cut = i - 1;
                break;
            }
        }
        memmove(&l.members[cut], &l.members[cut + 1], (l.count - cut - 1) * sizeof(member));
        l.count--;
    }
    want_size = format(&l, want, sizeof want);
    FUZZ_CHECK(hoteli_tracestate_shrink(state, size, max_size) == want_size);
    FUZZ_CHECK(memcmp(state, want, want_size) == 0);
}

/* A sub-key of ot by the grammar, at the start of the text; its size, 0 if it breaks it. */
static size_t sub_key(const char *text, size_t size, size_t *key_size) {
    size_t i = 0;
    while (i < size && ((text[i] >= 'a' && text[i] <= 'z') ||
                        (i > 0 && text[i] >= '0' && text[i] <= '9'))) {
        i++;
    }
    *key_size = i;
    if (i == 0 || i == size || text[i] != ':') return 0;
    for (i++; i < size && text[i] != ';'; i++) {
        char c = text[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '.' || c == '_' || c == '-';
        if (!good) return 0;
    }
    return i;
}

/* SM-13: the value of ot without th, joined again; false if it is malformed. */
static bool without_th(const char *text, size_t size, char *out, size_t *out_size) {
    size_t at = 0, key_size, used = 0;
    *out_size = 0;
    if (size == 0) return true;
    while (true) {
        size_t pair = sub_key(text + at, size - at, &key_size);
        if (pair == 0) return false;
        if (key_size != 2 || memcmp(text + at, "th", 2) != 0) {
            if (used > 0) out[used++] = ';';
            memcpy(out + used, text + at, pair);
            used += pair;
        }
        at += pair;
        if (at == size) break;
        at++;
    }
    *out_size = used;
    return true;
}

/* A threshold survives its text, which has no zero at its end. */
static size_t check_format(uint64_t th, char text[17]) {
    hoteli_ot ot;
    size_t size;
    memcpy(text, "th:", 3);
    size = 3 + hoteli_ot_format_th(th, text + 3);
    FUZZ_CHECK(size >= 4 && size <= 17 && (size == 4 || text[size - 1] != '0'));
    FUZZ_CHECK(hoteli_ot_parse(text, size, &ot) && ot.has_th && ot.th == th && !ot.has_rv);
    return size;
}

/* SM-13, SM-14: the other sub-keys stay behind th, the other members behind ot; what would be too
   long, or the same, is not done. */
static void check_threshold(const char *state, size_t size, uint64_t th, bool remove) {
    char out[2 * CAPACITY], want[2 * CAPACITY], rest[256], value[512], text[17];
    const char *old = NULL;
    size_t old_size = 0, out_size = 0, rest_size, text_size, value_size = 0, want_size;
    bool found, good = false, changed, expected;
    hoteli_ot before, after;
    text_size = check_format(th, text);
    found = hoteli_tracestate_get(state, size, "ot", 2, &old, &old_size);
    if (!without_th(found ? old : "", old_size, rest, &rest_size)) rest_size = 0;
    before = hoteli_tracestate_ot(state, size);
    if (!remove) {
        memcpy(value, text, text_size);
        value_size = text_size;
        if (rest_size > 0) value[value_size++] = ';';
    }
    memcpy(value + value_size, rest, rest_size);
    value_size += rest_size;
    expected = value_size <= 256 && !(!remove && before.has_th && before.th == th) &&
               !(value_size == old_size && (old_size == 0 || memcmp(value, old, old_size) == 0));
    changed = hoteli_tracestate_put_th(state, size, remove ? NULL : &th, out, sizeof out,
                                       &out_size);
    FUZZ_CHECK(changed == expected);
    if (!changed) return;
    want_size = hoteli_tracestate_set(state, size, "ot", 2, value_size > 0 ? value : NULL,
                                      value_size, want, sizeof want, &good);
    FUZZ_CHECK(good && out_size == want_size && memcmp(out, want, want_size) == 0);
    after = hoteli_tracestate_ot(out, out_size);
    FUZZ_CHECK(after.has_th == !remove && after.th == (remove ? 0 : th));
    FUZZ_CHECK(after.has_rv == before.has_rv && after.rv == before.rv);
    check_canonical(out, out_size);
    FUZZ_CHECK(out_size == 0 || !hoteli_tracestate_put_th(state, size, remove ? NULL : &th, want,
                                                          out_size - 1, &want_size));
}

/* A threshold out of any bytes, often with zeros at its end. */
static uint64_t threshold_of(const member *edit) {
    uint64_t th = 0;
    size_t i;
    for (i = 0; i < edit->key_size && i < 7; i++) {
        th |= (uint64_t)(uint8_t)edit->key[i] << (48 - 8 * i);
    }
    return th;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *cursor = (const char *)data, *end = cursor + size, *line;
    size_t line_size, state_size, max_size;
    char state[CAPACITY], copy[CAPACITY];
    member edit;
    line = fuzz_line(&cursor, end, &line_size);
    edit.key = fuzz_line(&cursor, end, &edit.key_size);
    edit.value = fuzz_line(&cursor, end, &edit.value_size);
    state_size = check_normalise(line, line_size, state);
    check_canonical(state, state_size);
    check_get(state, state_size, edit.key, edit.key_size);
    check_set(state, state_size, &edit);
    edit.value = NULL;
    check_set(state, state_size, &edit);
    check_threshold(state, state_size, threshold_of(&edit), false);
    check_threshold(state, state_size, 0, true);
    for (max_size = state_size; max_size > 0; max_size /= 2) {
        memcpy(copy, state, state_size);
        check_shrink(copy, state_size, max_size);
    }
    return 0;
}
