/*
 * SPDX-License-Identifier: MIT
 *
 * additional_metadata: finding a string in a JSON object and writing some into it.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* ---- find ---- */

static int find(const char *json, size_t size, const char *key, char *out, size_t capacity,
                size_t *out_size) {
    *out_size = 99;
    return hoteli_json_find(guard_copy(0, json, size), size, key, out, capacity, out_size);
}

/* `want` NULL: the answer is `want_result` and nothing more. */
static void finds(const char *json, const char *key, int want_result, const char *want) {
    char *out = guard_room(1, want != NULL ? strlen(want) : 32);
    size_t size;
    int result = find(json, strlen(json), key, out, want != NULL ? strlen(want) : 32, &size);
    is_int(result, want_result, "%.50s in %.100s", key, json);
    if (want != NULL) is_mem(out, size, want, strlen(want), "and its text");
}

static void test_find(void) {
    size_t size;
    finds("{\"traceparent\":\"00-ab\"}", "traceparent", 1, "00-ab");
    finds("{\"a\":\"1\",\"b\":\"2\"}", "b", 1, "2");
    finds(" \t\r\n{ \"a\" : \"1\" , \"b\"\n:\t\"2\" } \n", "b", 1, "2");
    finds("{\"a\":\"\"}", "a", 1, "");
    finds("{\"\":\"x\"}", "", 1, "x");
    finds("{\"a\":\"x\"}", "b", 0, NULL);
    finds("{\"aa\":\"x\"}", "a", 0, NULL);
    finds("{\"a\":\"x\"}", "aa", 0, NULL);
    finds("{\"A\":\"x\"}", "a", 0, NULL);
    finds("{}", "a", 0, NULL);
    finds("{ }", "a", 0, NULL);
    finds("{\"b\":{\"a\":\"inner\"}}", "a", 0, NULL);
    finds("{\"b\":{\"a\":\"inner\"},\"a\":\"outer\"}", "a", 1, "outer");
    finds("{\"b\":[{\"a\":\"x\"},\"a\",[]],\"a\":\"outer\",\"c\":{}}", "a", 1, "outer");
    finds("{\"a\":\"first\",\"a\":\"last\"}", "a", 1, "last");
    finds("{\"a\":\"first\",\"a\":7}", "a", -2, NULL);
    finds("{\"a\":7,\"a\":\"last\"}", "a", 1, "last");
    finds("{\"a\":null}", "a", -2, NULL);
    finds("{\"a\":[\"x\"]}", "a", -2, NULL);
    finds("{\"a\":{\"a\":\"x\"}}", "a", -2, NULL);
    finds("{\"a\":true}", "a", -2, NULL);
    finds("", "a", 0, NULL);
    finds(" \n", "a", 0, NULL);
    finds("null", "a", 0, NULL);
    finds(" null ", "a", 0, NULL);
    finds("nul", "a", -1, NULL);
    finds("null null", "a", -1, NULL);
    finds("[]", "a", -1, NULL);
    finds("\"a\"", "a", -1, NULL);
    finds("7", "a", -1, NULL);
    finds("{\"a\":\"x\"} x", "a", -1, NULL);
    finds("{\"a\":\"x\"}{}", "a", -1, NULL);
    finds("{\"a\":\"x\",\"b\":}", "a", -1, NULL);
    is_int(hoteli_json_find(NULL, 0, "a", NULL, 0, &size), 0, "NULL is no metadata");
}

static void test_escapes(void) {
    finds("{\"trace\\u0070arent\":\"x\"}", "traceparent", 1, "x");
    finds("{\"\\u0074\\u0072ace\":\"x\"}", "trace", 1, "x");
    finds("{\"a\\/b\":\"x\"}", "a/b", 1, "x");
    finds("{\"\\u00e9\":\"x\"}", "\xC3\xA9", 1, "x");
    finds("{\"\\uD83D\\uDE00\":\"x\"}", "\xF0\x9F\x98\x80", 1, "x");
    finds("{\"a\\u0000b\":\"x\"}", "a", 0, NULL);
    finds("{\"\\u0000\":\"x\"}", "", 0, NULL);
    finds("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a", 1, "\"\\/\b\f\n\r\t");
    finds("{\"a\":\"\\u0041\\u00e9\\u20AC\\uffff\"}", "a", 1, "A\xC3\xA9\xE2\x82\xAC\xEF\xBF\xBF");
    finds("{\"a\":\"\\uD83D\\ude00!\"}", "a", 1, "\xF0\x9F\x98\x80!");
    finds("{\"a\":\"\\uDBFF\\uDFFF\"}", "a", 1, "\xF4\x8F\xBF\xBF");
    finds("{\"a\":\"\\uD800\"}", "a", 1, "\xEF\xBF\xBD");
    finds("{\"a\":\"\\uDE00x\"}", "a", 1, "\xEF\xBF\xBDx");
    finds("{\"a\":\"\\uD83D\\u0041\"}", "a", 1,
          "\xEF\xBF\xBD"
          "A");
    finds("{\"a\":\"\\uD83D\\uD83D\\uDE00\"}", "a", 1, "\xEF\xBF\xBD\xF0\x9F\x98\x80");
    finds("{\"a\":\"\\uD83D\\n\"}", "a", 1, "\xEF\xBF\xBD\n");
    finds("{\"a\":\"\\uD83Dxude00\"}", "a", 1, "\xEF\xBF\xBDxude00");
    finds("{\"a\":\"\\uD83D\\\\ude00\"}", "a", 1, "\xEF\xBF\xBD\\ude00");
    finds("{\"a\":\"\\uD800\\uDC00\"}", "a", 1, "\xF0\x90\x80\x80");
    finds("{\"a\":\"\\uD800\\uE000\"}", "a", 1, "\xEF\xBF\xBD\xEE\x80\x80");
    finds("{\"a\":\"\\uDC00\\uDC00\"}", "a", 1, "\xEF\xBF\xBD\xEF\xBF\xBD");
    finds("{\"a\":\"\\uD7FF\\u007f\\u0080\\u07ff\\u0800\"}", "a", 1,
          "\xED\x9F\xBF\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80");
    finds("{\"a\":\"caf\xC3\xA9 \xF0\x9F\x98\x80\"}", "a", 1, "caf\xC3\xA9 \xF0\x9F\x98\x80");
}

static void test_room(void) {
    static const char json[] = "{\"a\":\"x\\u00e9\\u0000y\"}";
    char *out = guard_room(1, 5);
    size_t size, i;
    is_int(find(json, sizeof json - 1, "a", out, 5, &size), 1, "room for exactly five bytes");
    is_mem(out, size, "x\xC3\xA9\0y", 5, "an escaped NUL is a byte like others");
    for (i = 0; i < 5; i++) {
        out = guard_room(1, i);
        is_int(find(json, sizeof json - 1, "a", out, i, &size), -3, "no room in %d bytes", (int)i);
        ok(size == 5 && (i == 0 || out[0] == (char)0xA5), "the size is told, nothing is written");
    }
}

/* ---- grammar ---- */

static int verdict(const char *json, size_t size) {
    size_t out_size;
    char out[8];
    return find(json, size, "no such key", out, sizeof out, &out_size);
}

// clang-format off
static const char *const well_formed[] = {
    "0", "-0", "-1", "10", "1234567890", "0.5", "-0.0", "1e5", "1E5", "1e+5", "1.5e-10", "0e0",
    "true", "false", "null", "\"\"", "\"\\u0000\"", "\"\x7F\"", "[]", "[ ]", "{}", "{ }", "[1]",
    "[1,2]", "[ 1 , 2 ]", "[[],[[]],{}]", "{\"a\":1}", "{\"a\":{\"b\":[{}]}}",
    "{\"a\":1,\"a\":2}", "[null,true,\"x\",1.0]", "\"\\\\\"", "\"\\\"\"", "[\"]\",\"}\"]",
};

static const char *const malformed[] = {
    "", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "0x1", "1a", "NaN", "Infinity",
    "tru", "truee", "TRUE", "nul", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
    "\"\\U0041\"", "\"\t\"", "\"\n\"", "\"\x1F\"", "'a'", "a", "[", "]", "[1", "[1,]", "[,1]",
    "[1 2]", "[1,,2]", "{", "}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,\"a\":1}",
    "{\"a\" 1}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}", "{\"a\"::1}", "[1}", "{\"a\":1]", "[)",
    "{\"a\":[1}", "[{\"a\":1]", "1 2", "\"a\"\"b\"", "// x\n1", "/* x */1", "\xEF\xBB\xBF" "1",
    "\"\xFF\"", "\"\xC3\"", "\"\xED\xA0\x80\"", "\f1", "\xC2\xA0" "1", "\"\\", "\"\\u", "[\"a",
};
// clang-format on

static void test_grammar(void) {
    char json[128];
    size_t i;
    for (i = 0; i < sizeof well_formed / sizeof *well_formed; i++) {
        (void)snprintf(json, sizeof json, "{\"k\":%s}", well_formed[i]);
        is_int(verdict(json, strlen(json)), 0, "well-formed: %s", json);
        (void)snprintf(json, sizeof json, "{\"k\":[%s,{\"l\":%s}]}", well_formed[i],
                       well_formed[i]);
        is_int(verdict(json, strlen(json)), 0, "well-formed: %s", json);
    }
    for (i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        (void)snprintf(json, sizeof json, "{\"k\":%s}", malformed[i]);
        is_int(verdict(json, strlen(json)), -1, "malformed: %s", json);
        (void)snprintf(json, sizeof json, "{\"k\":[{\"l\":%s}]}", malformed[i]);
        is_int(verdict(json, strlen(json)), -1, "malformed: %s", json);
    }
    is_int(verdict("{\"a\":1,}", 8), -1, "malformed: a comma behind the last member");
    is_int(verdict("{,}", 3), -1, "malformed: a comma alone");
    is_int(verdict("{\"a\":1", 6), -1, "malformed: not closed");
    is_int(verdict("{\"a\0b\":1}", 9), -1, "malformed: NUL in a key");
    is_int(verdict("{\"a\":1}\0", 8), -1, "malformed: NUL at the end");
    is_int(verdict("\xEF\xBB\xBF{}", 5), -1, "malformed: a byte order mark");
}

/* An object with `levels` containers in all, opened by `open` and closed by `shut`. */
static size_t make_nest(char *out, const char *open, const char *shut, int levels) {
    size_t used = 0, i;
    int level;
    used += (size_t)snprintf(out, 16, "{\"k\":");
    for (level = 1; level < levels; level++) {
        for (i = 0; open[i] != 0; i++) out[used++] = open[i];
    }
    out[used++] = '1';
    for (level = 1; level < levels; level++) out[used++] = shut[0];
    out[used++] = '}';
    return used;
}

static void test_depth(void) {
    static char json[1 << 17];
    size_t size = make_nest(json, "[", "]", 128);
    is_int(verdict(json, size), 0, "128 levels of arrays");
    size = make_nest(json, "[", "]", 129);
    is_int(verdict(json, size), -1, "129 levels of arrays");
    size = make_nest(json, "{\"a\":", "}", 128);
    is_int(verdict(json, size), 0, "128 levels of objects");
    size = make_nest(json, "{\"a\":", "}", 129);
    is_int(verdict(json, size), -1, "129 levels of objects");
    memset(json, '[', sizeof json);
    memcpy(json, "{\"k\":", 5);
    is_int(verdict(json, sizeof json), -1, "a hundred thousand opening brackets");
}

/* ---- inject ---- */

enum { MAX_EDITS = 3 };

/* From "key=value" or "key" (to remove it), separated by '|'. */
static size_t make_edits(char *text, hoteli_json_edit *edits) {
    size_t count = 0;
    char *key, *bar;
    for (key = text; *key != 0; key = bar) {
        char *equals;
        bar = key + strcspn(key, "|");
        if (*bar != 0) *bar++ = 0;
        equals = strchr(key, '=');
        if (equals != NULL) *equals++ = 0;
        if (count == MAX_EDITS) abort();
        edits[count].key = key;
        edits[count].value = equals;
        edits[count++].value_size = equals != NULL ? strlen(equals) : 0;
    }
    return count;
}

/* `want` NULL: refused. */
static void injects(const char *json, const char *edit_text, const char *want) {
    hoteli_json_edit edits[MAX_EDITS] = {{NULL, NULL, 0}};
    char text[128], *out;
    size_t size = strlen(json), want_size = want != NULL ? strlen(want) : 16, got, i, num_edits;
    int result = 99;
    (void)snprintf(text, sizeof text, "%s", edit_text);
    num_edits = make_edits(text, edits);
    out = guard_room(1, want_size + 1);
    got = hoteli_json_inject(guard_copy(0, json, size), size, edits, num_edits, out, want_size + 1,
                             &result);
    if (want == NULL) {
        ok(result == -1 && got == 0 && out[0] == (char)0xA5, "%s into %s: refused", edit_text,
           json);
        return;
    }
    ok(result == 0 && got == want_size, "%s into %s: %d bytes", edit_text, json, (int)got);
    is_mem(out, want_size + 1, want, want_size + 1, "and its text");
    out = guard_room(1, want_size);
    got = hoteli_json_inject(guard_copy(0, json, size), size, edits, num_edits, out, want_size,
                             &result);
    for (i = 0; i < want_size && out[i] == (char)0xA5; i++) {
    }
    ok(result == 0 && got == want_size && i == want_size,
       "without room for the NUL: only the size");
}

static void test_inject(void) {
    injects("{}", "", "{}");
    injects(" { \t} \n", "", " { \t} \n");
    injects("{ \"a\" : [ 1 , 2 ] , \"b\" : null } ", "", "{ \"a\" : [ 1 , 2 ] , \"b\" : null } ");
    injects("{}", "k=v", "{\"k\":\"v\"}");
    injects("", "k=v", "{\"k\":\"v\"}");
    injects(" \n", "k=v", "{\"k\":\"v\"}");
    injects("null", "k=v", "{\"k\":\"v\"}");
    injects("", "", "{}");
    injects("{ }", "k=v", "{\"k\":\"v\" }");
    injects("{\"a\":1}", "k=v", "{\"a\":1,\"k\":\"v\"}");
    injects("{\"a\":1\n}\n", "k=v", "{\"a\":1,\"k\":\"v\"\n}\n");
    injects("{\"a\":1}", "k=v|l=w", "{\"a\":1,\"k\":\"v\",\"l\":\"w\"}");
    injects("{\"k\":\"old\"}", "k=v", "{\"k\":\"v\"}");
    injects("{ \"a\": 1, \"k\" : \"old\" , \"b\":2 }", "k=v",
            "{ \"a\": 1, \"k\" : \"v\" , \"b\":2 }");
    injects("{\"k\":7}", "k=v", "{\"k\":\"v\"}");
    injects("{\"k\":{\"x\":[1,2]},\"b\":2}", "k=v", "{\"k\":\"v\",\"b\":2}");
    injects("{\"k\":[],\"b\":2}", "k=v", "{\"k\":\"v\",\"b\":2}");
    injects("{\"\\u006b\":1}", "k=v", "{\"\\u006b\":\"v\"}");
    injects("{\"k\":1,\"a\":2,\"k\":3}", "k=v", "{\"k\":\"v\",\"a\":2}");
    injects("{\"k\":1 , \"k\":3 , \"a\":2}", "k=v", "{\"k\":\"v\" , \"a\":2}");
    injects("{\"k\":1,\"\\u006b\":2,\"k\":3}", "k=v", "{\"k\":\"v\"}");
    injects("{\"a\":{\"k\":1}}", "k=v", "{\"a\":{\"k\":1},\"k\":\"v\"}");
    injects("{\"k\":1,\"l\":2}", "l=w|k=v", "{\"k\":\"v\",\"l\":\"w\"}");
    injects("{\"k\":\"v\"}", "k=", "{\"k\":\"\"}");
    injects("{}", "k=a\"b\\c/\n\x01\x1F\x7F", "{\"k\":\"a\\\"b\\\\c/\\u000a\\u0001\\u001f\x7F\"}");
    injects("{}", "k=a b", "{\"k\":\"a b\"}");
    injects("{}", "q\"\\=v", "{\"q\\\"\\\\\":\"v\"}");
    injects("{}", "k=\xC3\xA9\xFFx", "{\"k\":\"\xC3\xA9\xEF\xBF\xBDx\"}");
    injects("{\"a\":\"\\u00e9\xC3\xA9\\/\",\"n\":1.50e+07}", "k=v",
            "{\"a\":\"\\u00e9\xC3\xA9\\/\",\"n\":1.50e+07,\"k\":\"v\"}");
}

static void test_remove(void) {
    injects("{\"k\":1}", "k", "{}");
    injects("{ \"k\" : 1 }", "k", "{}");
    injects("{\"k\":1,\"a\":2}", "k", "{\"a\":2}");
    injects("{\"a\":2,\"k\":1}", "k", "{\"a\":2}");
    injects("{\"a\":2 , \"k\":1 }", "k", "{\"a\":2 }");
    injects("{\"a\":2, \"k\":1, \"b\":3}", "k", "{\"a\":2, \"b\":3}");
    injects("{\"k\":1,\"k\":2}", "k", "{}");
    injects("{\"k\":1,\"a\":2,\"k\":3,\"b\":4,\"k\":5}", "k", "{\"a\":2,\"b\":4}");
    injects("{\"a\":1}", "k", "{\"a\":1}");
    injects("{}", "k", "{}");
    injects("", "k", "{}");
    injects("{\"k\":1}", "k|l=w", "{\"l\":\"w\"}");
    injects("{\"k\":1,\"l\":2}", "k|l=w", "{\"l\":\"w\"}");
    injects("{\"k\":1,\"l\":2,\"m\":3}", "k|l|m", "{}");
}

static void test_inject_refused(void) {
    static const hoteli_json_edit none[1] = {{"k", "v", 1}};
    static hoteli_json_edit many[65];
    static char names[65][16], room[1024];
    char out[16] = "untouched", wide[64];
    int result = 0, i;
    size_t need, size;
    injects("[]", "k=v", NULL);
    injects("7", "k=v", NULL);
    injects("nul", "k=v", NULL);
    injects("{", "k=v", NULL);
    injects("{\"a\":1", "k=v", NULL);
    injects("{\"a\":1,}", "k=v", NULL);
    injects("{\"k\":1,\"b\":}", "k=v", NULL);
    injects("{} {}", "k=v", NULL);
    injects("{\"a\":\"\xFF\"}", "k=v", NULL);
    injects("{\"k\":1}x", "", NULL);
    ok(hoteli_json_inject(NULL, 0, none, 1, out, sizeof out, &result) == 9 && result == 0,
       "NULL is an empty object");
    is_str(out, "{\"k\":\"v\"}", "and gets the member");
    ok(hoteli_json_inject("{}", 2, none, 1, NULL, 0, &result) == 9 && result == 0,
       "no room at all: the size");
    for (i = 0; i < 65; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        many[i].key = names[i];
        many[i].value = "v";
        many[i].value_size = 1;
    }
    (void)snprintf(wide, sizeof wide, "{\"k63\":1,\"k63\":2,\"k0\":3}");
    need = hoteli_json_inject(wide, strlen(wide), many, 64, room, sizeof room, &result);
    ok(result == 0 && need < sizeof room && strncmp(room, "{\"k63\":\"v\",\"k0\":\"v\",", 20) == 0,
       "64 edits are done");
    is_int(hoteli_json_find(room, need, "k62", out, sizeof out, &size), 1, "all of them");
    need = hoteli_json_inject("{}", 2, many, 65, room, sizeof room, &result);
    ok(result == -1 && need == 0, "65 are refused");
}

/* Every cut of an object is malformed, up to the last byte, and read no further. */
static void test_truncated(void) {
    static const char json[] = "{\"a\":[1.5e+1,{\"b\":\"\\u00e9\\n\"}],\"k\":true, \"c\":null}";
    static const hoteli_json_edit edit[1] = {{"k", "v", 1}};
    char out[128];
    size_t i;
    int num_wrong = 0;
    for (i = 1; i < sizeof json - 1; i++) {
        int result = 0;
        num_wrong += verdict(json, i) != -1;
        num_wrong +=
            hoteli_json_inject(guard_copy(0, json, i), i, edit, 1, out, sizeof out, &result) != 0 ||
            result != -1;
    }
    is_int(num_wrong, 0, "every cut of an object is malformed");
    is_int(verdict(json, sizeof json - 1), 0, "the whole of it is not");
}

int main(void) {
    test_find();
    test_escapes();
    test_room();
    test_grammar();
    test_depth();
    test_inject();
    test_remove();
    test_inject_refused();
    test_truncated();
    return done_testing();
}
