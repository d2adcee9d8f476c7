/*
 * SPDX-License-Identifier: MIT
 *
 * traceparent on the first line, tracestate on the second, then a key and a value.
 */
#include "fuzz.h"

#define VALID "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

const char *const fuzz_seeds[] = {
    VALID "\nfoo=1,bar=2\nfoo\n3",
    " cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe-more \n foo=  1 2 ,,\tbar@x=2 "
    ",foo=3\n"
    "bar@x\nnew value",
    "fe-00000000000000000000000000000001-0000000000000001-03\n"
    "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9,j=1,k=2,l=3,m=4,n=5,o=6,p=7,q=8,r=9,s=1,t=2,u=3,v=4,w=5,"
    "x=6,y=7,z=8,0=1,1=2,2=3,3=4,4=5,5=6\nq\n!",
    "00-00000000000000000000000000000000-0000000000000000-00\n"
    "long=vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
    "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
    ",_bad=1\nz\n",
    NULL};

enum { CAPACITY = 1024 };

static void check_traceparent(const char *text, size_t size) {
    hotel_span_context context, again;
    char out[55];
    static const char zeros[16];
    memset(&context, 0x5A, sizeof context);
    again = context;
    if (!hoteli_traceparent_parse(text, size, &context)) {
        FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
        return;
    }
    FUZZ_CHECK(size >= 55 && context.trace_flags <= 3 && context.is_remote);
    FUZZ_CHECK(memcmp(context.trace_id, zeros, 16) != 0 && memcmp(context.span_id, zeros, 8) != 0);
    hoteli_traceparent_format(&context, out);
    FUZZ_CHECK(hoteli_traceparent_parse(out, 55, &again));
    FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
    FUZZ_CHECK(hoteli_utf8_valid(out, 55));
}

static int count_members(const char *state, size_t size) {
    int members = size > 0;
    size_t i;
    for (i = 0; i < size; i++) members += state[i] == ',';
    return members;
}

/* A canonical state is its own canonical form. */
static void check_canonical(const char *state, size_t size) {
    char out[2 * CAPACITY];
    size_t out_size = 0;
    FUZZ_CHECK(hoteli_tracestate_normalise(state, size, out, size, &out_size));
    FUZZ_CHECK(out_size == size && memcmp(out, state, size) == 0);
    FUZZ_CHECK(count_members(state, size) <= 32);
}

static void check_set(const char *state, size_t size, const char *key, size_t key_size,
                      const char *value, size_t value_size) {
    char out[2 * CAPACITY], removed[2 * CAPACITY];
    const char *found = NULL;
    size_t found_size = 0, need, got, removed_size;
    bool good = false, same;
    need = hoteli_tracestate_set(state, size, key, key_size, value, value_size, NULL, 0, &good);
    FUZZ_CHECK(need <= sizeof out);
    got = hoteli_tracestate_set(state, size, key, key_size, value, value_size, out, need, &same);
    FUZZ_CHECK(got == need && same == good);
    check_canonical(out, need);
    if (!good) {
        FUZZ_CHECK(need == size && memcmp(out, state, size) == 0);
        return;
    }
    FUZZ_CHECK(hoteli_tracestate_get(out, need, key, key_size, &found, &found_size));
    FUZZ_CHECK(found == out + key_size + 1 && found_size == value_size);
    FUZZ_CHECK(memcmp(found, value, value_size) == 0);
    removed_size = hoteli_tracestate_set(out, need, key, key_size, NULL, 0, removed, need, &same);
    FUZZ_CHECK(same && removed_size <= need);
    check_canonical(removed, removed_size);
    FUZZ_CHECK(!hoteli_tracestate_get(removed, removed_size, key, key_size, &found, &found_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *cursor = (const char *)data, *end = cursor + size, *line, *key, *value;
    size_t line_size, key_size, value_size, state_size = 7, max_size;
    char state[CAPACITY];
    line = fuzz_line(&cursor, end, &line_size);
    check_traceparent(line, line_size);
    line = fuzz_line(&cursor, end, &line_size);
    key = fuzz_line(&cursor, end, &key_size);
    value = fuzz_line(&cursor, end, &value_size);
    if (!hoteli_tracestate_normalise(line, line_size, state, sizeof state, &state_size)) {
        FUZZ_CHECK(state_size == 0);
    }
    FUZZ_CHECK(state_size <= line_size);
    check_canonical(state, state_size);
    check_set(state, state_size, key, key_size, value, value_size);
    for (max_size = state_size; max_size > 0; max_size = state_size / 2) {
        state_size = hoteli_tracestate_shrink(state, state_size, max_size);
        FUZZ_CHECK(state_size <= max_size);
        check_canonical(state, state_size);
    }
    return 0;
}
