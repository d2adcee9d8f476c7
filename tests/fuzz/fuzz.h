/*
 * SPDX-License-Identifier: MIT
 *
 * fuzz.h - what every fuzz target shares. A target tests/fuzz/NAME.c includes this, defines one
 * function, and checks with FUZZ_CHECK what must hold whatever the input is:
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { ... return 0; }
 *
 * Beside it stand dict/NAME.dict, a dictionary in libFuzzer's form, and corpus/NAME/, its seeds.
 * A seed is a file of text: its line feeds only break lines, what counts are the characters
 * between them and the escapes \n \r \t \\ and \xHH. Under libFuzzer the seeds are written,
 * decoded, into the corpus folder, the first argument that is no option, before it is read.
 * replay.c runs a target without libFuzzer.
 *
 * Compiled with -DFUZZ_NAME='"NAME"'; run in the root of the repository.
 */
#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#define HATCHET_OTEL_STATIC /* what no target uses is not there, and not in its coverage */
#include "hatchet_otel.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_FN __attribute__((unused)) static
/* What only loads and reports is not in the coverage. */
#if defined(__clang__)
#define FUZZ_UNSEEN FUZZ_FN __attribute__((no_sanitize("coverage"), noinline))
#else
#define FUZZ_UNSEEN FUZZ_FN
#endif

#define FUZZ_CHECK(condition) fuzz_check((condition), __FILE__, __LINE__, #condition)

FUZZ_UNSEEN void fuzz_check(bool good, const char *file, int line, const char *condition) {
    if (good) return;
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

#if defined(__cplusplus)
extern "C" {
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
#if defined(__cplusplus)
}
#endif

/* ---- What targets make of their input ------------------------------------------------------- */

/* Splits off the input up to a line feed, which is dropped; at the end, all that is left. */
FUZZ_FN const char *fuzz_line(const char **cursor, const char *end, size_t *size) {
    const char *line = *cursor;
    const char *stop = line != end ? (const char *)memchr(line, '\n', (size_t)(end - line)) : NULL;
    *size = stop != NULL ? (size_t)(stop - line) : (size_t)(end - line);
    *cursor = stop != NULL ? stop + 1 : end;
    return line;
}

/* The next byte of the input, 0 behind its end. */
FUZZ_FN uint8_t fuzz_byte(const uint8_t **cursor, const uint8_t *end) {
    return *cursor != end ? *(*cursor)++ : 0;
}

FUZZ_FN void *fuzz_alloc(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL) abort();
    return memory;
}

/* ---- Seeds ---------------------------------------------------------------------------------- */

enum { FUZZ_MAX_SEEDS = 64, FUZZ_MAX_SEED_BYTES = 1 << 16 };

typedef struct fuzz_seed {
    char name[256];
    char *bytes;
    size_t size;
} fuzz_seed;

static fuzz_seed fuzz_corpus[FUZZ_MAX_SEEDS];
static size_t fuzz_corpus_size;

FUZZ_UNSEEN void fuzz_bad_seed(const char *path, const char *problem) {
    (void)fprintf(stderr, "%s: %s\n", path, problem);
    exit(2);
}

/* Decodes in place; returns the new size. */
FUZZ_UNSEEN size_t fuzz_decode(char *bytes, size_t size, const char *path) {
    static const char from[] = "nrt\\", to[] = "\n\r\t\\";
    size_t i, used = 0;
    for (i = 0; i < size; i++) {
        const char *simple;
        if (bytes[i] == '\n') continue;
        if (bytes[i] != '\\') {
            bytes[used++] = bytes[i];
            continue;
        }
        simple = i + 1 < size ? (const char *)memchr(from, bytes[i + 1], 4) : NULL;
        if (simple != NULL) {
            bytes[used++] = to[simple - from];
            i++;
        } else if (i + 3 < size && bytes[i + 1] == 'x' && hoteli_hex_digit(bytes[i + 2]) >= 0 &&
                   hoteli_hex_digit(bytes[i + 3]) >= 0) {
            bytes[used++] =
                (char)(hoteli_hex_digit(bytes[i + 2]) * 16 + hoteli_hex_digit(bytes[i + 3]));
            i += 3;
        } else {
            fuzz_bad_seed(path, "an escape that is none of \\n \\r \\t \\\\ \\xHH");
        }
    }
    return used;
}

/* The seeds of this target, by name; decoded once. */
FUZZ_UNSEEN void fuzz_load_seeds(void) {
    static const char folder[] = "tests/fuzz/corpus/" FUZZ_NAME;
    struct dirent **entries = NULL;
    int i, count = scandir(folder, &entries, NULL, alphasort);
    for (i = 0; i < count; i++) {
        char path[512];
        fuzz_seed *seed = &fuzz_corpus[fuzz_corpus_size];
        FILE *file;
        if (entries[i]->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            (void)snprintf(seed->name, sizeof seed->name, "%s", entries[i]->d_name);
            file = fopen(path, "rb");
            seed->bytes = (char *)fuzz_alloc(FUZZ_MAX_SEED_BYTES);
            if (file == NULL) fuzz_bad_seed(path, "cannot be read");
            seed->size = fread(seed->bytes, 1, FUZZ_MAX_SEED_BYTES, file);
            if (seed->size == FUZZ_MAX_SEED_BYTES) fuzz_bad_seed(path, "is too large");
            (void)fclose(file);
            seed->size = fuzz_decode(seed->bytes, seed->size, path);
            if (++fuzz_corpus_size == FUZZ_MAX_SEEDS) fuzz_bad_seed(path, "is one too many");
        }
        free(entries[i]);
    }
    free(entries);
}

FUZZ_UNSEEN void fuzz_write_seeds(const char *folder) {
    char path[1024];
    size_t i;
    fuzz_load_seeds();
    for (i = 0; i < fuzz_corpus_size; i++) {
        FILE *file;
        (void)snprintf(path, sizeof path, "%s/seed-%.255s", folder, fuzz_corpus[i].name);
        file = fopen(path, "wb");
        if (file == NULL) fuzz_bad_seed(path, "cannot be written");
        (void)fwrite(fuzz_corpus[i].bytes, 1, fuzz_corpus[i].size, file);
        (void)fclose(file);
        free(fuzz_corpus[i].bytes);
    }
    fuzz_corpus_size = 0;
}

/* libFuzzer calls this before anything else. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    int arg = 1;
    while (arg < *argc && (*argv)[arg][0] == '-') arg++;
    if (arg < *argc) fuzz_write_seeds((*argv)[arg]);
    return 0;
}

#endif
