/*
 * SPDX-License-Identifier: MIT
 *
 * The carriers that come with the library, and working copies of baggage, at their edges: absent,
 * empty, full, overwritten.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* Text as one of the texts that live until the next four. */
static const char *said(hotel_string text) {
    static char room[4][64];
    static unsigned turn;
    char *out = room[turn++ % 4];
    (void)snprintf(out, sizeof room[0], "%.*s", (int)text.size, text.size > 0 ? text.text : "");
    return text.text != NULL ? out : NULL;
}

static hotel_string string(const char *text) {
    hotel_string made;
    made.text = text;
    made.size = text != NULL ? strlen(text) : 0;
    return made;
}

/* ---- HTTP headers --------------------------------------------------------------------------- */

static void test_headers(void) {
    static const hotel_header list[] = {
        {"Traceparent", "first"}, {NULL, "nameless"}, {"baggage", NULL},
        {"traceparen", "shorter"}, {"TRACEPARENT", "second"}};
    hotel_getter getter = hotel_header_getter();
    hotel_headers headers;
    headers.list = list;
    headers.count = sizeof list / sizeof list[0];
    is_str(said(getter.get_fn(&headers, "traceparent", 0)), "first", "CP-17 a name in other case");
    is_str(said(getter.get_fn(&headers, "traceparent", 1)), "second", "WC-01 a second value");
    is_str(said(getter.get_fn(&headers, "traceparent", 2)), NULL, "WC-01 no third one");
    is_str(said(getter.get_fn(&headers, "baggage", 0)), NULL, "a header without a value is none");
    is_str(said(getter.get_fn(&headers, "absent", 0)), NULL, "nor is an absent one");
    is_str(said(getter.keys_fn(&headers, 0)), "Traceparent", "WC-02 the first name");
    is_str(said(getter.keys_fn(&headers, 1)), NULL, "WC-02 a header without a name has none");
    is_str(said(getter.keys_fn(&headers, 4)), "TRACEPARENT", "WC-02 the last name");
    is_str(said(getter.keys_fn(&headers, 5)), NULL, "WC-02 no name behind it");
    headers.list = NULL;
    is_str(said(getter.get_fn(&headers, "traceparent", 0)), NULL, "no list, no value");
    is_str(said(getter.keys_fn(&headers, 0)), NULL, "no list, no name");
    is_str(said(getter.get_fn(NULL, "traceparent", 0)), NULL, "no carrier, no value");
    is_str(said(getter.keys_fn(NULL, 0)), NULL, "no carrier, no name");
}

/* ---- Environments --------------------------------------------------------------------------- */

static void test_env_getter(void) {
    static const char *const variables[] = {
        "TRACEPARENT2=longer", "TRACE=shorter", "TRACEPARENT=here", "TRACEPARENT=again",
        "1A=digit first", "A1_Z=fine", "a=lower case", "A-B=no name", "=no name", "NOVALUE",
        "_=blank", "[=", NULL};
    static const char *const names[] = {"TRACEPARENT2", "TRACE", "TRACEPARENT", "TRACEPARENT",
                                        "A1_Z", "_"};
    hotel_getter getter = hotel_env_getter();
    char long_key[300];
    char **mine = environ;
    size_t i;
    is_str(said(getter.get_fn(variables, "traceparent", 0)), "here", "CP-19 the first of its name");
    is_str(said(getter.get_fn(variables, "traceparent", 1)), NULL, "CP-19 has one value");
    is_str(said(getter.get_fn(variables, "novalue", 0)), NULL, "CP-19 a variable without a value");
    is_str(said(getter.get_fn(variables, "tracestate", 0)), NULL, "CP-19 an absent one");
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    is_str(said(getter.get_fn(variables, long_key, 0)), NULL, "CP-19 a key too long for a name");
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        is_str(said(getter.keys_fn(variables, i)), names[i], "WC-02 name %d", (int)i);
    }
    is_str(said(getter.keys_fn(variables, i)), NULL, "WC-02 names in another form are left out");
    environ = NULL;
    is_str(said(getter.get_fn(NULL, "path", 0)), NULL, "CP-19 an environment that was cleared");
    is_str(said(getter.keys_fn(NULL, 0)), NULL, "WC-02 has no names");
    environ = mine;
}

static void test_env_setter(void) {
    hotel_setter setter = hotel_env_setter();
    char *list[3], *memory = guard_room(0, 8);
    hotel_env env;
    hotel_env_start(&env, list, 3, memory, 8, NULL);
    setter.set_fn(&env, "key", "1234");
    ok(env.count == 0 && env.dropped == 1, "WC-06 a byte too much");
    setter.set_fn(&env, "longer-key", "");
    ok(env.count == 0 && env.dropped == 2, "WC-06 a name that is too long by itself");
    setter.set_fn(&env, "key", "123");
    ok(env.count == 1 && env.used_bytes == 8 && list[1] == NULL, "WC-06 what fits to the byte");
    is_str(list[0], "KEY=123", "WC-06 and its text");
    setter.set_fn(&env, "k", "");
    ok(env.count == 1 && env.dropped == 3, "WC-06 the memory is full");
    hotel_env_start(&env, list, 3, NULL, 8, NULL);
    setter.set_fn(&env, "key", "1");
    is_int(env.count, 0, "WC-06 no memory, nothing is set");
    hotel_env_start(&env, NULL, 3, memory, 8, NULL);
    setter.set_fn(&env, "key", "1");
    is_int(env.count, 0, "WC-06 nor without a list");
    setter.set_fn(NULL, "key", "1");
    ok(true, "WC-06 nor without an environment");
}

/* ---- Baggage that somebody has written over ------------------------------------------------- */

static void test_overwritten_baggage(void) {
    static const uint32_t zeros[3] = {0, 0, 0};
    char memory[64], out[64];
    size_t cursor = 0;
    hotel_baggage_entry entry;
    hotel_baggage b;
    hotel_baggage_start(&b, memory, sizeof memory);
    ok(hotel_baggage_set(&b, "a", "1", NULL), "an entry");
    memset(memory, 0, sizeof memory);
    memcpy(memory, zeros, sizeof zeros);
    ok(!hotel_baggage_find(&b, string(""), &entry), "an entry without a name is not found");
    is_int(hotel_baggage_format(&b, out, sizeof out), 0, "nor sent");
    b.size = b.capacity + 1;
    ok(!hotel_baggage_next(&b, &cursor, &entry), "a size beyond the memory: there is nothing");
    ok(!hotel_baggage_set(&b, "a", "1", NULL), "and no room");
    is_int(hotel_baggage_format(&b, out, sizeof out), 0, "and nothing to send");
    b.size = 0;
    b.memory = NULL;
    cursor = 0;
    ok(!hotel_baggage_next(&b, &cursor, &entry), "no memory: there is nothing");
}

/* ---- B3 in several headers ------------------------------------------------------------------ */

static unsigned sampled_by(const char *sampled, const char *flags) {
    hotel_header list[4];
    hotel_headers headers;
    hotel_getter getter = hotel_header_getter();
    hotel_span_context out;
    list[0].name = "X-B3-TraceId";
    list[0].value = "0af7651916cd43dd8448eb211c80319c";
    list[1].name = "X-B3-SpanId";
    list[1].value = "b7ad6b7169203331";
    list[2].name = sampled != NULL ? "X-B3-Sampled" : NULL;
    list[2].value = sampled;
    list[3].name = flags != NULL ? "X-B3-Flags" : NULL;
    list[3].value = flags;
    headers.list = list;
    headers.count = 4;
    if (!hoteli_b3_multi(&getter, &headers, &out)) return 99;
    return (out.trace_flags & HOTEL_FLAG_SAMPLED) + 2u * (out.reserved[0] & HOTELI_B3_DEBUG);
}

static void test_b3(void) {
    is_int(sampled_by(NULL, NULL), 0, "CP-10 no decision");
    is_int(sampled_by("0", NULL), 0, "CP-10 not sampled");
    is_int(sampled_by("1", NULL), 1, "CP-10 sampled");
    is_int(sampled_by("d", NULL), 1, "CP-10 d belongs to the single header: sampled, no debugging");
    is_int(sampled_by("0", "1"), 3, "CP-10 the debug flag wins");
    is_int(sampled_by("1", "0"), 1, "CP-10 one that is not set says nothing");
    is_int(sampled_by("2", NULL), 99, "CP-10 nonsense is refused");
}

int main(void) {
    test_headers();
    test_env_getter();
    test_env_setter();
    test_overwritten_baggage();
    test_b3();
    return done_testing();
}
