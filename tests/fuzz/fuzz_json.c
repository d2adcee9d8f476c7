/*
 * SPDX-License-Identifier: MIT
 *
 * A value on the first line, then the JSON that it is written into and read from again.
 */
#include "fuzz.h"

const char *const fuzz_seeds[] = {
    "00-ab\n{\"traceparent\":\"old\",\"a\":[1,-2.5e+7,true,null,{\"b\":\"\\u00e9\"}]}",
    "x\"y\\\n{ \"a\" : 1 , \"trace\\u0070arent\" : {} , \"traceparent\" : 2 }\n",
    "caf\xC3\xA9\xFF\n{\"k\":\"\\uD83D\\uDE00\\uD800\\n\",\"\":[[[]]]} ",
    "\n{ }",
    "v\nnull",
    "v\n[{\"a\":0.10},\"traceparent\"]",
    NULL};

static const char key[] = "traceparent";

/* Injects and returns the result, NUL-terminated, to be freed; NULL if the JSON is none. */
static char *inject(const char *json, size_t size, const hoteli_json_edit *edits, size_t num_edits,
                    size_t *out_size) {
    int result = 7, again = 7;
    size_t need = hoteli_json_inject(json, size, edits, num_edits, NULL, 0, &result);
    char *out = (char *)malloc(need + 1);
    if (out == NULL) abort();
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
    *out = (char *)malloc(need + 1);
    if (*out == NULL) abort();
    if (result == -3)
        result = hoteli_json_find(json, size, name, *out, need, out_size);
    else
        *out_size = 0;
    FUZZ_CHECK(result != -3 && (result != 1 || *out_size == need));
    return result;
}

static void check_roundtrip(const char *json, size_t size, const char *value, size_t value_size) {
    hoteli_json_edit edit;
    char *once, *twice, *found, *bare, *repaired = (char *)malloc(3 * value_size + 1);
    size_t once_size, twice_size, found_size, bare_size, repaired_size;
    if (repaired == NULL) abort();
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
    free(bare);
    free(twice);
    free(once);
    free(repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *json = (const char *)data, *end = json + size, *value;
    char *copy, *found;
    size_t value_size, copy_size, found_size;
    int verdict;
    value = fuzz_line(&json, end, &value_size);
    size = (size_t)(end - json);
    verdict = find(json, size, key, &found, &found_size);
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
