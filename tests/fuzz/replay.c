/*
 * SPDX-License-Identifier: MIT
 *
 * replay.c - runs a fuzz target without a fuzzer, so that `make test` needs no clang. With
 * arguments, the files they name, say an input that a fuzzer found; without, each seed of the
 * target as it is and cut at every length, and random mutations of the seeds from a fixed start.
 * Each input lies in an allocation of exactly its size, where the address sanitizer sees a read
 * past the end.
 *
 * Compiled with -DFUZZ_TARGET='"name.c"'. FUZZ_RUNS in the environment changes the number of
 * mutations.
 */
#include FUZZ_TARGET

#include "tap.h"

enum { NUM_MUTATIONS = 20000, MAX_INPUT_BYTES = 1 << 16, MAX_EDITS = 6 };

static uint64_t random_state = 1;

/* Below `limit`, which is not 0. */
static size_t random_below(size_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % limit;
}

static void run(const char *bytes, size_t size) {
    uint8_t *exact = (uint8_t *)malloc(size > 0 ? size : 1);
    if (exact == NULL) abort();
    if (size > 0) memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static const char *random_seed(size_t *size) {
    size_t count = 0;
    const char *seed;
    while (fuzz_seeds[count] != NULL) count++;
    seed = fuzz_seeds[random_below(count)];
    *size = strlen(seed);
    return seed;
}

/* One change of input[0..size); returns its new size. */
static size_t mutate(char *input, size_t size) {
    size_t at = random_below(size + 1), from, count, seed_size;
    const char *seed = random_seed(&seed_size);
    switch (random_below(5)) {
    case 0: /* another byte */
        if (at < size) input[at] = (char)random_below(256);
        break;
    case 1: /* another bit */
        if (at < size) input[at] = (char)(input[at] ^ 1 << random_below(8));
        break;
    case 2: /* a piece less */
        count = random_below(size - at + 1);
        if (random_below(2) == 0 && count > 1) count = 1;
        memmove(input + at, input + at + count, size - at - count);
        size -= count;
        break;
    default: /* a piece of a seed in between, or in the place of as much */
        from = random_below(seed_size + 1);
        count = random_below(seed_size - from + 1);
        if (size + count > MAX_INPUT_BYTES) break;
        if (random_below(2) == 0) {
            memmove(input + at + count, input + at, size - at);
            size += count;
        }
        memcpy(input + at, seed + from, count);
        if (at + count > size) size = at + count;
        break;
    }
    return size;
}

static void run_mutations(int count) {
    static char input[2 * MAX_INPUT_BYTES];
    int i;
    for (i = 0; i < count; i++) {
        size_t size, edits = 1 + random_below(MAX_EDITS);
        const char *seed = random_seed(&size);
        memcpy(input, seed, size);
        while (edits-- > 0) size = mutate(input, size);
        run(input, size);
    }
}

static void run_file(const char *path) {
    char *bytes = (char *)malloc(MAX_INPUT_BYTES);
    FILE *file = fopen(path, "rb");
    if (ok(bytes != NULL && file != NULL, "%s can be read", path)) {
        run(bytes, fread(bytes, 1, MAX_INPUT_BYTES, file));
        ok(true, "%s: nothing wrong", path);
    }
    if (file != NULL) (void)fclose(file);
    free(bytes);
}

int main(int argc, char **argv) {
    const char *runs = getenv("FUZZ_RUNS");
    int i, num_mutations = runs != NULL ? atoi(runs) : NUM_MUTATIONS;
    for (i = 1; i < argc; i++) run_file(argv[i]);
    if (argc > 1) return done_testing();
    for (i = 0; fuzz_seeds[i] != NULL; i++) {
        size_t size = strlen(fuzz_seeds[i]), cut;
        for (cut = 0; cut <= size; cut++) run(fuzz_seeds[i], cut);
        ok(true, "seed %d, whole and cut at %d lengths", i, (int)size);
    }
    run_mutations(num_mutations);
    ok(true, "%d mutations", num_mutations);
    return done_testing();
}
