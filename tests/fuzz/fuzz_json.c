/*
 * SPDX-License-Identifier: MIT
 *
 * A value on the first line, then the JSON that it is written into and read from again. A parser
 * of its own says what is JSON and where the members are; every byte outside the edit is kept.
 */
#include "fuzz.h"

#include <ctype.h>

static const char key[] = "traceparent";

/* ---- RFC 8259, and where the members of the outermost object are ---------------------------- */

enum { MAX_DEPTH = 128, MAX_PARTS = 64 };

typedef struct part {
    const char *key, *key_end, *value, *value_end;
} part;

typedef struct reader {
    const char *at, *end;
    int depth;
    part parts[MAX_PARTS];
    size_t num_parts; /* of the outermost object, those beyond MAX_PARTS counted too */
    const char *open; /* behind its '{' */
    const char *close;
} reader;

static void skip_blanks(reader *r) {
    while (r->at != r->end && memchr(" \t\r\n", *r->at, 4) != NULL) r->at++;
}

static bool take(reader *r, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) return false;
    r->at += size;
    return true;
}

static bool take_string(reader *r) {
    if (!take(r, "\"")) return false;
    while (r->at != r->end) {
        unsigned char c = (unsigned char)*r->at++;
        if (c == '"') return true;
        if (c < 0x20) return false;
        if (c != '\\') continue;
        if (r->at == r->end) return false;
        c = (unsigned char)*r->at++;
        if (c == 'u') {
            int i;
            for (i = 0; i < 4; i++, r->at++) {
                if (r->at == r->end || !isxdigit((unsigned char)*r->at)) return false;
            }
        } else if (c == 0 || strchr("\"\\/bfnrt", c) == NULL) {
            return false;
        }
    }
    return false;
}

static bool take_digits(reader *r) {
    const char *from = r->at;
    while (r->at != r->end && isdigit((unsigned char)*r->at)) r->at++;
    return r->at != from;
}

static bool take_number(reader *r) {
    (void)take(r, "-");
    if (!take(r, "0") && !take_digits(r)) return false;
    if (take(r, ".") && !take_digits(r)) return false;
    if (take(r, "e") || take(r, "E")) {
        if (!take(r, "+")) (void)take(r, "-");
        return take_digits(r);
    }
    return true;
}

static bool take_value(reader *r);

/* Members or elements up to the closer. */
static bool take_items(reader *r, bool is_object) {
    const char *closer = is_object ? "}" : "]";
    bool outermost = r->depth == 1 && is_object;
    if (outermost) r->open = r->at;
    skip_blanks(r);
    if (outermost) r->close = r->at;
    if (take(r, closer)) return true;
    do {
        part p;
        skip_blanks(r);
        p.key = r->at;
        if (is_object && !take_string(r)) return false;
        p.key_end = r->at;
        skip_blanks(r);
        if (is_object && !take(r, ":")) return false;
        skip_blanks(r);
        p.value = r->at;
        if (!take_value(r)) return false;
        p.value_end = r->at;
        if (outermost && r->num_parts < MAX_PARTS) r->parts[r->num_parts] = p;
        r->num_parts += outermost;
        skip_blanks(r);
        if (outermost) r->close = r->at;
    } while (take(r, ","));
    return take(r, closer);
}

static bool take_value(reader *r) {
    bool good;
    if (r->at == r->end) return false;
    if (*r->at == '"') return take_string(r);
    if (*r->at != '{' && *r->at != '[') {
        return take(r, "true") || take(r, "false") || take(r, "null") || take_number(r);
    }
    if (++r->depth > MAX_DEPTH) return false;
    good = *r->at++ == '{' ? take_items(r, true) : take_items(r, false);
    r->depth--;
    return good;
}

/* 1: an object; 0: nothing, or null; -1: neither. */
static int read_object(const char *json, size_t size, reader *r) {
    memset(r, 0, sizeof *r);
    r->at = json;
    r->end = json + size;
    skip_blanks(r);
    if (r->at == r->end) return 0;
    if (take(r, "null")) {
        skip_blanks(r);
        return r->at == r->end ? 0 : -1;
    }
    if (*r->at != '{' || !take_value(r)) return -1;
    skip_blanks(r);
    return r->at == r->end && hoteli_utf8_valid(json, size) ? 1 : -1;
}

/* Injects and returns the result, NUL-terminated, to be freed; NULL if the JSON is none. */
static char *inject(const char *json, size_t size, const hoteli_json_edit *edits, size_t num_edits,
                    size_t *out_size) {
    int result = 7, again = 7;
    size_t need = hoteli_json_inject(json, size, edits, num_edits, NULL, 0, &result);
    char *out = (char *)fuzz_alloc(need + 1);
    memset(out, 0x5A, need + 1);
    FUZZ_CHECK(result == 0 || (result == -1 && need == 0));
    FUZZ_CHECK(hoteli_json_inject(json, size, edits, num_edits, out, need, &again) == need);
    FUZZ_CHECK(again == result && (need == 0 || (out[0] == 0x5A && out[need - 1] == 0x5A)));
    FUZZ_CHECK(hoteli_json_inject(json, size, edits, num_edits, out, need + 1, &again) == need);
    FUZZ_CHECK(again == result);
    *out_size = need;
    if (result == 0) {
        FUZZ_CHECK(out[need] == 0 && memchr(out, 0, need) == NULL);
        return out;
    }
    free(out);
    return NULL;
}

/* What find says, with a buffer of exactly the size it asks for. */
static int find(const char *json, size_t size, const char *name, char **out, size_t *out_size) {
    size_t need = 7;
    int result = hoteli_json_find(json, size, name, NULL, 0, &need);
    FUZZ_CHECK(result >= -3 && result <= 1 && (result == -3 || need == 0));
    *out = (char *)fuzz_alloc(need + 1);
    if (result == -3)
        result = hoteli_json_find(json, size, name, *out, need, out_size);
    else
        *out_size = 0;
    FUZZ_CHECK(result != -3 && (result != 1 || *out_size == need));
    return result;
}

/* Is the member's key that of the edits? A member alone has the key if find sees it. */
static bool is_our_key(const part *p) {
    size_t size = (size_t)(p->key_end - p->key), need;
    char *alone = (char *)fuzz_alloc(size + 8);
    int result;
    int written = snprintf(alone, size + 8, "{%.*s:\"\"}", (int)size, p->key);
    result = hoteli_json_find(alone, (size_t)written, key, NULL, 0, &need);
    free(alone);
    FUZZ_CHECK(result == 0 || result == 1);
    return result == 1;
}

/* Both objects have the same members, byte by byte, but for those of our key. */
static void check_kept(const reader *before, const reader *after) {
    size_t i, k = 0;
    if (before->num_parts > MAX_PARTS || after->num_parts > MAX_PARTS) return;
    for (i = 0; i < before->num_parts; i++) {
        const part *b = &before->parts[i], *a;
        size_t size = (size_t)(b->value_end - b->key);
        if (is_our_key(b)) continue;
        while (k < after->num_parts && is_our_key(&after->parts[k])) k++;
        FUZZ_CHECK(k < after->num_parts);
        a = &after->parts[k++];
        FUZZ_CHECK((size_t)(a->value_end - a->key) == size && memcmp(a->key, b->key, size) == 0);
    }
    while (k < after->num_parts && is_our_key(&after->parts[k])) k++;
    FUZZ_CHECK(k == after->num_parts);
}

/* One member of our key, or none: the text around it is kept too. */
static void check_around(const char *json, size_t size, const reader *before, const char *out,
                         size_t out_size, const char *written) {
    size_t i, ours = 0, head, tail, written_size = strlen(written);
    const part *old = NULL;
    const char *from, *to;
    if (before->num_parts > MAX_PARTS) return;
    for (i = 0; i < before->num_parts; i++) {
        if (is_our_key(&before->parts[i])) old = &before->parts[i], ours++;
    }
    if (ours > 1) return;
    if (old != NULL) {
        from = old->value;
        to = old->value_end;
    } else {
        from = to = before->num_parts > 0 ? before->parts[before->num_parts - 1].value_end
                                          : before->open;
    }
    head = (size_t)(from - json);
    tail = (size_t)(json + size - to);
    FUZZ_CHECK(out_size >= head + tail && memcmp(out, json, head) == 0);
    FUZZ_CHECK(memcmp(out + out_size - tail, json + size - tail, tail) == 0);
    if (old != NULL) {
        FUZZ_CHECK(out_size == head + written_size + tail);
        FUZZ_CHECK(memcmp(out + head, written, written_size) == 0);
    }
}

/* `once` is `json` with our key set; `bare` without it. */
static void check_edits(const char *json, size_t size, const char *once, size_t once_size,
                        const char *bare, size_t bare_size) {
    static reader before, with, without;
    int kind = read_object(json, size, &before);
    char *written;
    size_t i, length;
    FUZZ_CHECK(kind >= 0 && read_object(once, once_size, &with) == 1);
    FUZZ_CHECK(read_object(bare, bare_size, &without) == 1);
    check_kept(&before, &with);
    check_kept(&before, &without);
    if (kind == 0 || with.num_parts > MAX_PARTS) return;
    for (i = 0; i < with.num_parts && !is_our_key(&with.parts[i]); i++) continue;
    FUZZ_CHECK(i < with.num_parts);
    length = (size_t)(with.parts[i].value_end - with.parts[i].value);
    written = (char *)fuzz_alloc(length + 1);
    memcpy(written, with.parts[i].value, length);
    written[length] = 0;
    check_around(json, size, &before, once, once_size, written);
    free(written);
}

static void check_roundtrip(const char *json, size_t size, const char *value, size_t value_size) {
    hoteli_json_edit edit;
    char *once, *twice, *found, *bare, *repaired = (char *)fuzz_alloc(3 * value_size + 1);
    size_t once_size, twice_size, found_size, bare_size, repaired_size;
    repaired_size = hoteli_utf8_repair(repaired, value, value_size);
    edit.key = key;
    edit.value = value;
    edit.value_size = value_size;
    once = inject(json, size, &edit, 1, &once_size);
    FUZZ_CHECK(once != NULL);
    FUZZ_CHECK(find(once, once_size, key, &found, &found_size) == 1);
    FUZZ_CHECK(found_size == repaired_size && memcmp(found, repaired, found_size) == 0);
    twice = inject(once, once_size, &edit, 1, &twice_size);
    FUZZ_CHECK(twice != NULL && twice_size == once_size && memcmp(once, twice, once_size) == 0);
    edit.value = NULL;
    bare = inject(once, once_size, &edit, 1, &bare_size);
    FUZZ_CHECK(bare != NULL && bare_size < once_size);
    free(found);
    FUZZ_CHECK(find(bare, bare_size, key, &found, &found_size) == 0);
    free(found);
    check_edits(json, size, once, once_size, bare, bare_size);
    free(bare);
    free(twice);
    free(once);
    free(repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static reader outline;
    const char *json = (const char *)data, *end = json + size, *value;
    char *copy, *found;
    size_t value_size, copy_size, found_size;
    int verdict;
    value = fuzz_line(&json, end, &value_size);
    size = (size_t)(end - json);
    verdict = find(json, size, key, &found, &found_size);
    FUZZ_CHECK((verdict == -1) == (read_object(json, size, &outline) == -1));
    if (verdict == 1) FUZZ_CHECK(hoteli_utf8_valid(found, found_size));
    free(found);
    copy = inject(json, size, NULL, 0, &copy_size);
    FUZZ_CHECK((copy == NULL) == (verdict == -1));
    if (copy == NULL) return 0;
    /* Without edits nothing changes, unless there was nothing. */
    FUZZ_CHECK(strcmp(copy, "{}") == 0 || (copy_size == size && memcmp(copy, json, size) == 0));
    free(copy);
    check_roundtrip(json, size, value, value_size);
    return 0;
}
