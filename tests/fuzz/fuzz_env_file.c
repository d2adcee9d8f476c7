/*
 * SPDX-License-Identifier: MIT
 *
 * .env files. The input is a file: it is read the same in any space that holds what it comes to,
 * and with any kind of line breaks. Then it is a value, which comes back out of quotes as it was.
 */
#include "fuzz.h"

static const char *outside(const char *name, void *user_data) {
    (void)user_data;
    return strcmp(name, "HOME") == 0 ? "/home" : NULL;
}

static const char *read_into(hoteli_dotenv *v, size_t capacity, const char *text, size_t size,
                             size_t *bad_line) {
    memset(v, 0, sizeof *v);
    v->text = (char *)fuzz_alloc(capacity);
    v->capacity = capacity;
    v->outside_fn = outside;
    return hoteli_dotenv_read(v, text, size, bad_line);
}

/* Names and values in turn, each with its NUL. */
static void check_whole(const hoteli_dotenv *v) {
    const char *p = v->text, *end = v->text + v->size;
    size_t count = 0;
    FUZZ_CHECK(v->size <= v->capacity);
    while (p != end) {
        const char *stop = (const char *)memchr(p, 0, (size_t)(end - p));
        FUZZ_CHECK(stop != NULL);
        FUZZ_CHECK(count % 2 == 1 || stop != p);
        p = stop + 1;
        count++;
    }
    FUZZ_CHECK(count % 2 == 0);
}

static bool same(const hoteli_dotenv *a, const hoteli_dotenv *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->text, b->text, a->size) == 0);
}

/* Every line feed becomes a carriage return, or both. */
static void check_breaks(const hoteli_dotenv *want, size_t bad_line, const char *text,
                         size_t size) {
    char *other = (char *)fuzz_alloc(2 * size);
    size_t i, pass, line;
    const char *p;
    hoteli_dotenv got;
    for (p = want->text; p != want->text + want->size; p += strlen(p) + 1)
        if (strchr(p, '\n') != NULL) break; /* it may be a name, in which breaks stay */
    for (pass = 0; pass < 2 && p == want->text + want->size; pass++) {
        size_t used = 0;
        for (i = 0; i < size; i++) {
            if (text[i] == '\n') other[used++] = '\r';
            if (text[i] != '\n' || pass == 0) other[used++] = text[i];
        }
        FUZZ_CHECK(read_into(&got, want->capacity, other, used, &line) == NULL);
        FUZZ_CHECK(same(want, &got) && (line == 0) == (bad_line == 0));
        FUZZ_CHECK(pass == 1 || line == bad_line);
        free(got.text);
    }
    free(other);
}

/* NAME="value" with what has a meaning in quotes escaped. */
static void check_quoted(const char *text, size_t size, char quote) {
    char *file = (char *)fuzz_alloc(2 * size + 8);
    size_t i, used = 2, line;
    const char *problem;
    hoteli_dotenv got;
    file[0] = 'N';
    file[1] = '=';
    file[used++] = quote;
    for (i = 0; i < size; i++) {
        if (text[i] == '$' || (quote == '\'' && text[i] == '\r')) break;
        if (text[i] == quote || text[i] == '\\') file[used++] = '\\';
        file[used++] = text[i];
        if (text[i] != '\r') continue;
        file[used - 1] = '\\';
        file[used++] = 'r';
    }
    file[used++] = quote;
    if (i == size) {
        problem = read_into(&got, size + 3, file, used, &line);
        if (memchr(text, 0, size) == NULL && hoteli_utf8_valid(text, size)) {
            FUZZ_CHECK(problem == NULL && line == 0 && got.size == size + 3);
            FUZZ_CHECK(memcmp(got.text, "N", 2) == 0 && memcmp(got.text + 2, text, size) == 0);
        } else {
            FUZZ_CHECK(problem != NULL && got.size == 0);
        }
        free(got.text);
    }
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    hoteli_dotenv large, exact, small;
    size_t bad_line, line;
    const char *problem = read_into(&large, 1 << 16, text, size, &bad_line);
    check_whole(&large);
    FUZZ_CHECK(problem == NULL || large.size == 0);
    FUZZ_CHECK(bad_line <= size + 1);
    if (problem == NULL && large.size > 0) {
        bool plain = memmem(text, size, "${", 2) == NULL && memchr(text, '\\', size) == NULL;
        problem = read_into(&exact, large.size, text, size, &line);
        FUZZ_CHECK(problem != NULL || same(&large, &exact)); /* expanding takes more for a while */
        FUZZ_CHECK(problem == NULL || !plain);
        FUZZ_CHECK(problem == NULL || exact.size == 0);
        check_whole(&exact);
        FUZZ_CHECK(read_into(&small, large.size - 1, text, size, &line) != NULL);
        FUZZ_CHECK(small.size == 0);
        free(exact.text);
        free(small.text);
        if (memchr(text, '\r', size) == NULL) check_breaks(&large, bad_line, text, size);
    }
    if (size > 0) {
        check_quoted(text, size, '"');
        check_quoted(text, size, '\'');
    }
    free(large.text);
    return 0;
}
