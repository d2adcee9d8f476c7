/*
 * SPDX-License-Identifier: MIT
 *
 * traceparent and tracestate, Level 2. What concerns carriers (WP-15 to WP-18, WT-15) is tested
 * where carriers are.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"
#define VALID "00-" TRACE_ID "-" SPAN_ID "-01"

static const uint8_t trace_id[16] = {0x4B, 0xF9, 0x2F, 0x35, 0x77, 0xB3, 0x4D, 0xA6,
                                     0xA3, 0xCE, 0x92, 0x9D, 0x0E, 0x0E, 0x47, 0x36};
static const uint8_t span_id[8] = {0x00, 0xF0, 0x67, 0xAA, 0x0B, 0xA9, 0x02, 0xB7};

/* ---- traceparent ---- */

static bool parse(const char *text, size_t size, hotel_span_context *out) {
    memset(out, 0x5A, sizeof *out);
    return hoteli_traceparent_parse(guard_copy(0, text, size), size, out);
}

static void accepts(const char *id, const char *text, int flags) {
    hotel_span_context got;
    bool good = parse(text, strlen(text), &got);
    ok(good && memcmp(got.trace_id, trace_id, 16) == 0 && memcmp(got.span_id, span_id, 8) == 0 &&
           got.trace_flags == flags && got.is_remote && got.trace_state.index == 0 &&
           got.trace_state.generation == 0 && got.reserved[0] == 0 && got.reserved[1] == 0,
       "TR-18 %s accepts \"%s\"", id, text);
}

static void refuses(const char *id, const char *text) {
    hotel_span_context got, untouched;
    memset(&untouched, 0x5A, sizeof untouched);
    ok(!parse(text, strlen(text), &got) && memcmp(&got, &untouched, sizeof got) == 0,
       "TR-18 %s refuses \"%s\"", id, text);
}

static void test_traceparent_accepted(void) {
    accepts("WP-01", "00-" TRACE_ID "-" SPAN_ID "-00", 0);
    accepts("WP-01", "00-" TRACE_ID "-" SPAN_ID "-01", 1);
    accepts("WP-01", "00-" TRACE_ID "-" SPAN_ID "-02", 2);
    accepts("WP-01", "00-" TRACE_ID "-" SPAN_ID "-03", 3);
    accepts("WP-02", "00-" TRACE_ID "-" SPAN_ID "-ff", 3);
    accepts("WP-02", "00-" TRACE_ID "-" SPAN_ID "-04", 0);
    accepts("WP-02", "00-" TRACE_ID "-" SPAN_ID "-fd", 1);
    accepts("WP-02", "00-" TRACE_ID "-" SPAN_ID "-80", 0);
    accepts("WP-09", "01-" TRACE_ID "-" SPAN_ID "-01", 1);
    accepts("WP-09", "cc-" TRACE_ID "-" SPAN_ID "-00", 0);
    accepts("WP-09", "fe-" TRACE_ID "-" SPAN_ID "-01", 1);
    accepts("WP-09", "0f-" TRACE_ID "-" SPAN_ID "-01", 1);
    accepts("WP-09", "f0-" TRACE_ID "-" SPAN_ID "-01", 1);
    accepts("WP-10", "01-" TRACE_ID "-" SPAN_ID "-01-", 1);
    accepts("WP-10", "cc-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", 1);
    accepts("WP-10", "fe-" TRACE_ID "-" SPAN_ID "-03-\xC3\xA9", 3);
    accepts("WP-13", "01-" TRACE_ID "-" SPAN_ID "-ff", 3);
    accepts("WP-14", " " VALID, 1);
    accepts("WP-14", "\t" VALID, 1);
    accepts("WP-14", VALID " ", 1);
    accepts("WP-14", VALID "\t", 1);
    accepts("WP-14", "\t \t" VALID "  \t ", 1);
    accepts("WP-14", " cc-" TRACE_ID "-" SPAN_ID "-01-x ", 1);
}

static void test_traceparent_refused(void) {
    refuses("WP-03", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01");
    refuses("WP-03", "00-" TRACE_ID "-00F067AA0BA902B7-01");
    refuses("WP-03", "00-" TRACE_ID "-" SPAN_ID "-0A");
    refuses("WP-03", "CC-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-04", "ff-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-04", "ff-" TRACE_ID "-" SPAN_ID "-01-more");
    refuses("WP-05", "0-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-05", "000-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-05", ".0-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-05", "0.-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-05", "00" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-05", "-" TRACE_ID "-" SPAN_ID "-01");
    refuses("WP-06", "00-00000000000000000000000000000000-" SPAN_ID "-01");
    refuses("WP-06", "00-" TRACE_ID "-0000000000000000-01");
    refuses("WP-06", "cc-00000000000000000000000000000000-" SPAN_ID "-01");
    refuses("WP-07", "");
    refuses("WP-07", "   ");
    refuses("WP-07", "00-" TRACE_ID);
    refuses("WP-07", "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN_ID "-01");
    refuses("WP-07", "00-4bf92f3577b34da6a3ce929d0e0e47361-" SPAN_ID "-01");
    refuses("WP-07", "00-" TRACE_ID "-00f067aa0ba902b-01");
    refuses("WP-07", "00-" TRACE_ID "-00f067aa0ba902b71-01");
    refuses("WP-07", "00-" TRACE_ID "-" SPAN_ID "-1");
    refuses("WP-07", "00-" TRACE_ID "-" SPAN_ID "-001");
    refuses("WP-07", "00-" TRACE_ID "-" SPAN_ID "-.0");
    refuses("WP-07", "00-.bf92f3577b34da6a3ce929d0e0e4736-" SPAN_ID "-01");
    refuses("WP-07", "00-" TRACE_ID "-.0f067aa0ba902b7-01");
    refuses("WP-07", "00-" TRACE_ID "_" SPAN_ID "-01");
    refuses("WP-07", "00 " TRACE_ID " " SPAN_ID " 01");
    refuses("WP-07", "00-" TRACE_ID "-" SPAN_ID "-");
    refuses("WP-08", VALID "-");
    refuses("WP-08", VALID ".");
    refuses("WP-08", VALID " x");
    refuses("WP-08", VALID "-extra");
    refuses("WP-08", VALID "0");
    refuses("WP-11", "01-" TRACE_ID "-" SPAN_ID "-01.");
    refuses("WP-11", "cc-" TRACE_ID "-" SPAN_ID "-01.what-the-future-will-be-like");
    refuses("WP-11", "cc-" TRACE_ID "-" SPAN_ID "-01 -x");
    refuses("WP-12", "cc-" TRACE_ID "-" SPAN_ID "-0");
    refuses("WP-12", "01-" TRACE_ID "-" SPAN_ID);
    refuses("WP-14", "\n" VALID);
    refuses("WP-14", VALID "\r\n");
}

/* The same rules, one character at a time. */
static bool slow_parse(const char *text, size_t size, uint8_t bytes[26]) {
    static const char digits[] = "0123456789abcdef";
    size_t i, n = 0;
    bool trace = false, span = false;
    for (; size > 0 && (text[0] == ' ' || text[0] == '\t'); size--) text++;
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) size--;
    if (size < 55) return false;
    for (i = 0; i < 55; i++) {
        const char *high, *low;
        if (i == 2 || i == 35 || i == 52) {
            if (text[i] != '-') return false;
            continue;
        }
        high = text[i] != 0 ? strchr(digits, text[i]) : NULL;
        i++;
        low = text[i] != 0 ? strchr(digits, text[i]) : NULL;
        if (high == NULL || low == NULL) return false;
        bytes[n++] = (uint8_t)((high - digits) * 16 + (low - digits));
    }
    for (i = 1; i < 17; i++) trace = trace || bytes[i] != 0;
    for (i = 17; i < 25; i++) span = span || bytes[i] != 0;
    if (!trace || !span || bytes[0] == 0xFF) return false;
    return size == 55 || (bytes[0] != 0 && text[55] == '-');
}

static bool same_as_slow(const char *text, size_t size) {
    hotel_span_context got;
    uint8_t want[26];
    bool good = parse(text, size, &got);
    if (good != slow_parse(text, size, want)) return false;
    return !good || (memcmp(got.trace_id, want + 1, 16) == 0 &&
                     memcmp(got.span_id, want + 17, 8) == 0 && got.trace_flags == (want[25] & 3));
}

static void test_traceparent_model(void) {
    static const char *const seeds[] = {VALID, "cc-" TRACE_ID "-" SPAN_ID "-01-xyz", " " VALID " ",
                                        "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff",
                                        "fe-00000000000000000000000000000001-8000000000000000-fe"};
    size_t s, i, size;
    unsigned c;
    char text[80];
    int num_wrong = 0;
    for (s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        size = strlen(seeds[s]);
        for (i = 0; i <= size; i++) num_wrong += !same_as_slow(seeds[s], i);
        for (i = 0; i < size; i++) {
            memcpy(text, seeds[s], size);
            for (c = 0; c < 256; c++) {
                text[i] = (char)c;
                num_wrong += !same_as_slow(text, size);
            }
        }
    }
    is_int(num_wrong, 0,
           "WP-03 WP-07 WP-12 every cut and every replaced byte is judged as by a plain parser");
}

static void test_traceparent_format(void) {
    hotel_span_context context, back;
    char want[64], *out;
    unsigned seed = 1, flags;
    int i, k, num_wrong = 0;
    memset(&context, 0, sizeof context);
    memcpy(context.trace_id, trace_id, 16);
    memcpy(context.span_id, span_id, 8);
    for (flags = 0; flags < 256; flags++) {
        out = guard_room(1, 55);
        context.trace_flags = (uint8_t)flags;
        hoteli_traceparent_format(&context, out);
        (void)snprintf(want, sizeof want, "00-" TRACE_ID "-" SPAN_ID "-%02x", flags & 3);
        num_wrong += memcmp(out, want, 55) != 0;
    }
    is_int(num_wrong, 0, "WP-02 WP-13 WP-19 version 00, flags masked to 03, for all 256 flags");
    num_wrong = 0;
    for (i = 0; i < 1000; i++) {
        int used = 3;
        memcpy(want, "00-", 3);
        for (k = 0; k < 24; k++) {
            uint8_t *byte = k < 16 ? &context.trace_id[k] : &context.span_id[k - 16];
            seed = seed * 1103515245u + 12345u;
            *byte = (uint8_t)(seed >> 16);
            used +=
                snprintf(want + used, 8, k == 15 || k == 23 ? "%02x-" : "%02x", (unsigned)*byte);
        }
        context.trace_flags = (uint8_t)(i & 3);
        memcpy(want + used, i & 2 ? i & 1 ? "03" : "02" : i & 1 ? "01" : "00", 3);
        out = guard_room(1, 55);
        hoteli_traceparent_format(&context, out);
        num_wrong += memcmp(out, want, 55) != 0;
        num_wrong += !hoteli_traceparent_parse(out, 55, &back) ||
                     memcmp(back.trace_id, context.trace_id, 16) != 0 ||
                     memcmp(back.span_id, context.span_id, 8) != 0 ||
                     back.trace_flags != context.trace_flags;
    }
    is_int(num_wrong, 0, "SP-21 1000 random contexts are written in lower-case hex and read back");
}

/* ---- tracestate ---- */

/* `want` NULL: nothing is usable. Also checks that one byte less of room is refused. */
static void normalises(const char *id, const char *text, const char *want) {
    size_t size = strlen(text), want_size = want != NULL ? strlen(want) : 0, got_size = 99;
    size_t capacity = want != NULL ? want_size : size;
    const char *copy = guard_copy(0, text, size);
    char *out = guard_room(1, capacity);
    bool good = hoteli_tracestate_normalise(copy, size, out, capacity, &got_size);
    if (!ok(good == (want != NULL), "%s %s \"%.60s\"", id, want != NULL ? "takes" : "drops",
            text)) {
        return;
    }
    is_mem(out, got_size, want != NULL ? want : "", want_size, "%s result of \"%.60s\"", id, text);
    if (want_size > 0) {
        out = guard_room(1, want_size - 1);
        ok(!hoteli_tracestate_normalise(copy, size, out, want_size - 1, &got_size) && got_size == 0,
           "%s one byte too little room for \"%.60s\"", id, text);
    }
}

static void test_normalise(void) {
    normalises("WT-01", "foo=1,bar=2", "foo=1,bar=2");
    normalises("WT-02", "", "");
    normalises("WT-02", ",", "");
    normalises("WT-02", " \t ", "");
    normalises("WT-02", "foo=1,,bar=2", "foo=1,bar=2");
    normalises("WT-02", ",foo=1, ,\t,bar=2,", "foo=1,bar=2");
    normalises("WT-03", " foo=1 , \tbar=2\t ", "foo=1,bar=2");
    normalises("WT-03", "foo=  1 2  ,bar=2", "foo=  1 2,bar=2");
    normalises("WT-03", "foo=\t1", NULL);
    normalises("WT-03", "foo=1\t2", NULL);
    normalises("WT-05", "foo=", NULL);
    normalises("WT-05", "foo=  ", NULL);
    normalises("WT-05", "=1", NULL);
    normalises("WT-06", "foo@=1", "foo@=1");
    normalises("WT-06", "foo@@bar=1", "foo@@bar=1");
    normalises("WT-06", "foo@bar@baz=1", "foo@bar@baz=1");
    normalises("WT-06", "1foo=1", "1foo=1");
    normalises("WT-06", "foo-_*/@0=1", "foo-_*/@0=1");
    normalises("WT-06", "@foo=1", NULL);
    normalises("WT-06", "_foo=1", NULL);
    normalises("WT-06", "-foo=1", NULL);
    normalises("WT-06", "*foo=1", NULL);
    normalises("WT-06", "/foo=1", NULL);
    normalises("WT-07", "FOO=1", NULL);
    normalises("WT-07", "fOo=1", NULL);
    normalises("WT-07", "foo.bar=1", NULL);
    normalises("WT-07", "foo =1", NULL);
    normalises("WT-07", "foo\t=1", NULL);
    normalises("WT-07", "foo bar=1", NULL);
    normalises("WT-07", "foo=1=2", NULL);
    normalises("WT-07", "foo", NULL);
    normalises("WT-07", "foo=b\xC3\xA9r", NULL);
    normalises("WT-07", "foo=\x7F", NULL);
    normalises("WT-07", "foo=!\"#$%&'()*+-./:;<>?@[]^_`{|}~", "foo=!\"#$%&'()*+-./:;<>?@[]^_`{|}~");
    normalises("WT-08", "foo=,bar=3", NULL);
    normalises("WT-08", "bar=3,foo=", NULL);
    normalises("WT-08", "bar=3,FOO=1,baz=4", NULL);
    normalises("WT-09", "foo=1,foo=1", "foo=1");
    normalises("WT-09", "foo=1,bar=2,foo=3", "foo=1,bar=2");
    normalises("WT-09", "foo=1,fo=2,fooo=3", "foo=1,fo=2,fooo=3");
    normalises("WT-09", "foo=1,foo=", NULL);
    normalises("WT-14", "  a=1  ,  b=2  ", "a=1,b=2");
}

/* "k=v" with a key of `key_size` and a value of `value_size` characters. */
static size_t make_member(char *out, char key, size_t key_size, size_t value_size) {
    memset(out, key, key_size);
    out[key_size] = '=';
    memset(out + key_size + 1, 'v', value_size);
    out[key_size + 1 + value_size] = 0;
    return key_size + 1 + value_size;
}

static size_t make_members(char *out, int num_members) {
    size_t used = 0;
    int i;
    out[0] = 0;
    for (i = 1; i <= num_members; i++) {
        used += (size_t)snprintf(out + used, 16, i > 1 ? ",k%02d=%d" : "k%02d=%d", i, i);
    }
    return used;
}

static void test_limits(void) {
    char text[800], padded[1000];
    make_member(text, 'a', 256, 256);
    normalises("WT-05", text, text);
    make_member(text, 'a', 257, 1);
    normalises("WT-05", text, NULL);
    make_member(text, 'a', 1, 257);
    normalises("WT-05", text, NULL);
    make_member(text, 'a', 1, 256);
    (void)snprintf(padded, sizeof padded, "%s  \t", text);
    normalises("WT-03 WT-05", padded, text);
    memset(text, 't', 242);
    memcpy(text + 242, "@v=1", 5);
    normalises("WT-06", text, text);
    make_members(text, 32);
    normalises("WT-04", text, text);
    (void)snprintf(padded, sizeof padded, ",, %s, ,", text);
    normalises("WT-02 WT-04", padded, text);
    make_members(text, 33);
    normalises("WT-04", text, NULL);
    make_members(text, 32);
    (void)snprintf(padded, sizeof padded, "%s,k01=again", text);
    normalises("WT-04", padded, NULL);
}

static void test_get(void) {
    static const char state[] = "foo=1,foobar= two ,bar=3";
    static const char clean[] = "foo=1,foobar= two,bar=3";
    const char *copy = guard_copy(0, clean, sizeof clean - 1), *value = NULL;
    size_t size = 0;
    ok(hoteli_tracestate_get(copy, sizeof clean - 1, "foo", 3, &value, &size) && size == 1 &&
           *value == '1',
       "WT-13 gets the first member");
    ok(hoteli_tracestate_get(copy, sizeof clean - 1, "foobar", 6, &value, &size) && size == 4 &&
           memcmp(value, " two", 4) == 0,
       "WT-13 gets a value with a leading blank");
    ok(hoteli_tracestate_get(copy, sizeof clean - 1, "bar", 3, &value, &size) && size == 1 &&
           *value == '3',
       "WT-13 gets the last member");
    ok(hoteli_tracestate_get(state, sizeof state - 1, "bar", 3, &value, &size) && *value == '3',
       "WT-13 tolerates padding");
    ok(!hoteli_tracestate_get(copy, sizeof clean - 1, "fo", 2, &value, &size) &&
           !hoteli_tracestate_get(copy, sizeof clean - 1, "ba", 2, &value, &size) &&
           !hoteli_tracestate_get(copy, sizeof clean - 1, "", 0, &value, &size) &&
           !hoteli_tracestate_get("", 0, "foo", 3, &value, &size),
       "WT-13 finds nothing for other keys and in an empty state");
}

/* `value` NULL deletes; `want` is the state itself when the edit is invalid. */
static void sets(const char *id, const char *state, const char *key, const char *value,
                 const char *want, bool want_ok) {
    size_t state_size = strlen(state), key_size = strlen(key), want_size = strlen(want);
    size_t value_size = value != NULL ? strlen(value) : 0, got, i;
    const char *s = guard_copy(0, state, state_size), *k = guard_copy(1, key, key_size);
    const char *v = value != NULL ? guard_copy(2, value, value_size) : NULL;
    char *out = guard_room(3, want_size);
    bool good = !want_ok;
    got = hoteli_tracestate_set(s, state_size, k, key_size, v, value_size, out, want_size, &good);
    ok(good == want_ok, "%s \"%.40s\" with %.20s=%.20s is %s", id, state, key,
       value != NULL ? value : "(none)", want_ok ? "done" : "refused");
    is_mem(out, got, want, want_size, "%s result", id);
    if (want_size == 0) return;
    out = guard_room(3, want_size - 1);
    got =
        hoteli_tracestate_set(s, state_size, k, key_size, v, value_size, out, want_size - 1, &good);
    for (i = 0; i < want_size - 1 && out[i] == (char)0xA5; i++) {
    }
    ok(got == want_size && i == want_size - 1, "%s one byte too little: size told, nothing written",
       id);
}

static void test_set(void) {
    char state[800], want[2000], wide[600];
    size_t size;
    sets("WT-10", "", "a", "1", "a=1", true);
    sets("WT-10", "b=2,c=3", "a", "1", "a=1,b=2,c=3", true);
    sets("WT-10", "a=1,b=2,c=3", "b", "9", "b=9,a=1,c=3", true);
    sets("WT-10", "a=1,b=2,c=3", "a", "9", "a=9,b=2,c=3", true);
    sets("WT-10", "a=1,b=2,c=3", "c", "3", "c=3,a=1,b=2", true);
    sets("WT-10", "ab=1,a=2", "a", "3", "a=3,ab=1", true);
    sets("WT-10", "a= x,b=2", "b", " y", "b= y,a= x", true);
    sets("WT-11", "a=1,b=2,c=3", "b", NULL, "a=1,c=3", true);
    sets("WT-11", "a=1,b=2,c=3", "a", NULL, "b=2,c=3", true);
    sets("WT-11", "a=1,b=2,c=3", "c", NULL, "a=1,b=2", true);
    sets("WT-11", "a=1", "a", NULL, "", true);
    sets("WT-11", "a=1,b=2", "x", NULL, "a=1,b=2", true);
    sets("WT-11", "", "x", NULL, "", true);
    sets("WT-13", "a=1,b=2", "A", "1", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "", "1", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a b", "1", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "@a", NULL, "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a", "", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a", "1,c=2", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a", "1=2", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a", "1 ", "a=1,b=2", false);
    sets("WT-13", "a=1,b=2", "a", "\xC3\xA9", "a=1,b=2", false);
    sets("WT-13", "a=1,B=2", "a", "2", "a=1,B=2", false);
    sets("WT-13", "", "A", "1", "", false);
    make_members(state, 31);
    (void)snprintf(want, sizeof want, "a=1,%s", state);
    sets("WT-10", state, "a", "1", want, true);
    size = make_members(state, 32);
    make_members(want + 4, 31);
    memcpy(want, "a=1,", 4);
    sets("WT-10", state, "a", "1", want, true);
    (void)snprintf(want, sizeof want, "k32=x,%.*s", (int)(size - 7), state);
    sets("WT-10", state, "k32", "x", want, true);
    make_member(wide, 'k', 256, 256);
    memset(state, 'v', 256);
    state[256] = 0;
    wide[256] = 0;
    (void)snprintf(want, sizeof want, "%s=%s,a=1", wide, state);
    sets("WT-05", "a=1", wide, state, want, true);
}

static void shrinks(const char *state, size_t max_size, const char *want) {
    size_t size = strlen(state);
    char *copy = guard_copy(0, state, size);
    is_mem(copy, hoteli_tracestate_shrink(copy, size, max_size), want, strlen(want),
           "WT-12 \"%.40s\" to %d bytes", state, (int)max_size);
}

static void test_shrink(void) {
    char a[300], b[300], state[1200], want[1200];
    size_t size, max_size, got;
    int num_wrong = 0;
    shrinks("", 0, "");
    shrinks("a=1,b=2,c=3", 11, "a=1,b=2,c=3");
    shrinks("a=1,b=2,c=3", 10, "a=1,b=2");
    shrinks("a=1,b=2,c=3", 7, "a=1,b=2");
    shrinks("a=1,b=2,c=3", 6, "a=1");
    shrinks("a=1,b=2,c=3", 3, "a=1");
    shrinks("a=1,b=2,c=3", 2, "");
    shrinks("a=1,b=2,c=3", 0, "");
    make_member(a, 'a', 1, 127); /* 129 characters */
    make_member(b, 'b', 1, 126); /* 128 characters */
    (void)snprintf(state, sizeof state, "x=1,%s,%s,y=2", a, b);
    (void)snprintf(want, sizeof want, "x=1,%s,y=2", b);
    shrinks(state, strlen(state) - 1, want);
    shrinks(state, 140, want);
    (void)snprintf(want, sizeof want, "x=1,%s", b);
    shrinks(state, 135, want);
    shrinks(state, 131, "x=1");
    (void)snprintf(state, sizeof state, "%s,x=1,%s,y=2", a, a);
    (void)snprintf(want, sizeof want, "%s,x=1,y=2", a);
    shrinks(state, 200, want);
    shrinks(state, 100, "x=1,y=2");
    (void)snprintf(state, sizeof state, "%s,%s,%s,x=1", a, b, a);
    size = strlen(state);
    for (max_size = 0; max_size <= size; max_size++) {
        char out[1200];
        char *copy = guard_copy(0, state, size);
        got = hoteli_tracestate_shrink(copy, size, max_size);
        num_wrong += got > max_size;
        num_wrong += !hoteli_tracestate_normalise(copy, got, out, sizeof out, &got);
    }
    is_int(num_wrong, 0, "WT-12 whole members at every size, never more than was asked for");
}

int main(void) {
    test_traceparent_accepted();
    test_traceparent_refused();
    test_traceparent_model();
    test_traceparent_format();
    test_normalise();
    test_limits();
    test_get();
    test_set();
    test_shrink();
    return done_testing();
}
