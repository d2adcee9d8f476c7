/*
 * SPDX-License-Identifier: MIT
 *
 * replay.c - runs a fuzz target without a fuzzer, so that `make test` needs no clang. With
 * arguments, the files they name, say an input that a fuzzer found; without, each seed of the
 * target as it is and cut at every length, and random mutations of the seeds, made with the words
 * of its dictionary, from a fixed start. Each input lies in an allocation of exactly its size,
 * where the address sanitizer sees a read past the end.
 *
 * Compiled with -DFUZZ_TARGET='"NAME.c"' beside what fuzz.h wants. FUZZ_RUNS in the environment
 * changes the number of mutations.
 */
#include FUZZ_TARGET

#include "tap.h"

enum { NUM_MUTATIONS = 50000, MAX_INPUT_BYTES = 1 << 16, MAX_EDITS = 6 };

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
    const fuzz_seed *seed = &fuzz_corpus[random_below(fuzz_corpus_size)];
    *size = seed->size;
    return seed->bytes;
}

enum { MAX_WORDS = 256 };

static struct {
    char *bytes;
    size_t size;
} words[MAX_WORDS];
static size_t num_words;

/* The dictionary: a line is name="word" or "word", with \\ \" and \xHH in the quotes, or a
   comment. */
static void load_words(void) {
    char line[512];
    FILE *file = fopen("tests/fuzz/dict/" FUZZ_NAME ".dict", "r");
    if (!ok(file != NULL, "there is a dictionary")) return;
    while (fgets(line, sizeof line, file) != NULL && num_words < MAX_WORDS) {
        char *word = strchr(line, '"'), *quote = strrchr(line, '"'), *at;
        if (line[0] == '#' || word == NULL || quote == word) continue;
        *quote = 0;
        for (at = word + 1; *at != 0; at++) {
            if (at[0] == '\\' && at[1] == '"') memmove(at, at + 1, strlen(at));
            else if (at[0] == '\\') at++;
        }
        words[num_words].bytes = strdup(word + 1);
        words[num_words].size = fuzz_decode(words[num_words].bytes, strlen(word + 1), line);
        num_words++;
    }
    (void)fclose(file);
    ok(num_words > 0, "with %u words", (unsigned)num_words);
}

/* A word, or a piece of a seed. */
static const char *random_piece(size_t *size) {
    size_t seed_size, from, word;
    const char *seed;
    if (num_words > 0 && random_below(2) == 0) {
        word = random_below(num_words);
        *size = words[word].size;
        return words[word].bytes;
    }
    seed = random_seed(&seed_size);
    from = random_below(seed_size + 1);
    *size = random_below(seed_size - from + 1);
    return seed + from;
}

/* One change of input[0..size); returns its new size. */
static size_t mutate(char *input, size_t size) {
    size_t at = random_below(size + 1), count;
    const char *piece;
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
    default: /* a piece in between, or in the place of as much */
        piece = random_piece(&count);
        if (size + count > MAX_INPUT_BYTES) break;
        if (random_below(2) == 0) {
            memmove(input + at + count, input + at, size - at);
            size += count;
        }
        memcpy(input + at, piece, count);
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
    int arg, num_mutations = runs != NULL ? atoi(runs) : NUM_MUTATIONS;
    size_t i;
    for (arg = 1; arg < argc; arg++) run_file(argv[arg]);
    if (argc > 1) return done_testing();
    load_words();
    fuzz_load_seeds();
    if (!ok(fuzz_corpus_size > 0, "there are seeds")) return done_testing();
    for (i = 0; i < fuzz_corpus_size; i++) {
        size_t size = fuzz_corpus[i].size, cut;
        for (cut = 0; cut <= size; cut++) run(fuzz_corpus[i].bytes, cut);
        ok(true, "%s, whole and cut at %u lengths", fuzz_corpus[i].name, (unsigned)size);
    }
    run_mutations(num_mutations);
    ok(true, "%d mutations", num_mutations);
    for (i = 0; i < fuzz_corpus_size; i++) free(fuzz_corpus[i].bytes);
    while (num_words > 0) free(words[--num_words].bytes);
    return done_testing();
}
