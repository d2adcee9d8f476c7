/*
 * SPDX-License-Identifier: MIT
 *
 * fuzz.h - what every fuzz target shares. A target includes this, defines its seeds and one
 * function, and checks with FUZZ_CHECK what must hold whatever the input is:
 *
 *     const char *const fuzz_seeds[] = {"first", "second", NULL};
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { ... return 0; }
 *
 * Under libFuzzer the seeds are written into the corpus folder, the first argument that is no
 * option, before it is read. replay.c runs a target without libFuzzer.
 */
#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED

#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(condition) \
    do { \
        if (!(condition)) { \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

#if defined(__cplusplus)
extern "C" {
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
extern const char *const fuzz_seeds[]; /* up to a NULL */
#if defined(__cplusplus)
}
#endif

/* Splits off the input up to a line feed, which is dropped; at the end, all that is left. */
__attribute__((unused)) static const char *fuzz_line(const char **cursor, const char *end,
                                                     size_t *size) {
    const char *line = *cursor;
    const char *stop = line != end ? (const char *)memchr(line, '\n', (size_t)(end - line)) : NULL;
    *size = stop != NULL ? (size_t)(stop - line) : (size_t)(end - line);
    *cursor = stop != NULL ? stop + 1 : end;
    return line;
}

/* libFuzzer calls this before anything else. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char path[1024];
    int i, arg = 1;
    while (arg < *argc && (*argv)[arg][0] == '-') arg++;
    for (i = 0; arg < *argc && fuzz_seeds[i] != NULL; i++) {
        FILE *file;
        (void)snprintf(path, sizeof path, "%s/seed-%d", (*argv)[arg], i);
        file = fopen(path, "wb");
        if (file == NULL) continue;
        (void)fwrite(fuzz_seeds[i], 1, strlen(fuzz_seeds[i]), file);
        (void)fclose(file);
    }
    return 0;
}

#endif
