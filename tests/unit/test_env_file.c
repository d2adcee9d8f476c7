/*
 * SPDX-License-Identifier: MIT
 *
 * .env files: what python-dotenv 1.2 makes of them is what stands here.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

enum { ROOM = 4096 };

static hoteli_dotenv variables;
static size_t bad_line;

static const char *outside(const char *name, void *user_data) {
    (void)user_data;
    return strcmp(name, "HOME") == 0 ? "/home/c" : strcmp(name, "NOTHING") == 0 ? "" : NULL;
}

static void start(size_t capacity) {
    memset(&variables, 0, sizeof variables);
    variables.text = guard_room(1, capacity);
    variables.capacity = capacity;
    variables.outside_fn = outside;
}

static const char *add(const char *text, size_t size) {
    bad_line = 99;
    return hoteli_dotenv_read(&variables, guard_copy(0, text, size), size, &bad_line);
}

/* What a file comes to: "[name=value][name=value]", in which line feeds show as $. */
static const char *show(void) {
    static char out[2 * ROOM];
    const char *p = variables.text, *end = p + variables.size;
    char *to = out, *c;
    while (p != end) {
        to += sprintf(to, "[%s=", p);
        p += strlen(p) + 1;
        to += sprintf(to, "%s]", p);
        p += strlen(p) + 1;
    }
    *to = 0;
    for (c = out; *c; c++)
        if (*c == '\n') *c = '$';
    return out;
}

static void gives(const char *text, const char *want) {
    start(ROOM);
    is_str(add(text, strlen(text)), NULL, "%.60s", text);
    is_str(show(), want, "... its variables");
    is_int(bad_line, 0, "... no bad line");
}

static void skips(const char *text, const char *want, size_t line) {
    start(ROOM);
    is_str(add(text, strlen(text)), NULL, "%.60s", text);
    is_str(show(), want, "... its variables");
    is_int(bad_line, line, "... the bad line");
}

static void test_lines(void) {
    gives("", "");
    gives("\n\n \t\n", "");
    gives("# only a comment", "");
    gives("  # only a comment\n", "");
    gives("A=1", "[A=1]");
    gives("A=1\nB=2\n", "[A=1][B=2]");
    gives("A=1\r\nB=2\r\n", "[A=1][B=2]");
    gives("A=1\rB=2\r", "[A=1][B=2]");
    gives("\xEF\xBB\xBF" "A=1", "[A=1]");
    gives("\xEF\xBB\xBF# x\nA=1", "[A=1]");
    gives("A=1\nA=2\n", "[A=1][A=2]");
    gives("A", "[A=]");
    gives("A\nB=1", "[A=][B=1]");
    gives("A=", "[A=]");
    gives("A=\nB=1", "[A=][B=1]");
    gives(" A = 1 ", "[A=1]");
    gives("\tA\t=\t1\t\n", "[A=1]");
    gives("A.b-c=1", "[A.b-c=1]");
    gives("'A B'=1", "[A B=1]");
    gives("'A=B' = 1", "[A=B=1]");
    gives("\"A\"=1", "[\"A\"=1]");
    gives("A=1=2==", "[A=1=2==]");
    gives("\xc3\x84=\xc3\xa9", "[\xc3\x84=\xc3\xa9]");
}

static void test_export(void) {
    gives("export A=1", "[A=1]");
    gives("  export \t A=1", "[A=1]");
    gives("export=1", "[export=1]");
    gives("export", "[export=]");
    gives("exported=1", "[exported=1]");
    gives("export export=1", "[export=1]");
    gives("export # nothing", "");
    skips("export \nA=1", "[A=1]", 1);
    skips("export ", "", 1);
}

static void test_plain_values(void) {
    gives("A=a b  c", "[A=a b  c]");
    gives("A=a #b", "[A=a]");
    gives("A=a\t#b", "[A=a]");
    gives("A=a#b", "[A=a#b]");
    gives("A=a#b #c", "[A=a#b]");
    gives("A=#b", "[A=#b]");
    gives("A= #b", "[A=]");
    gives("A= # b\nB=1", "[A=][B=1]");
    gives("A=## b", "[A=## b]");
    gives("A=a'b\"c", "[A=a'b\"c]");
    gives("A=a\\nb", "[A=a\\nb]");
    gives("A=\\\nB=1", "[A=\\][B=1]");
    gives("A=a \x0b\x0c", "[A=a]");
}

static void test_quotes(void) {
    gives("A='1'", "[A=1]");
    gives("A=\"1\"", "[A=1]");
    gives("A=''", "[A=]");
    gives("A=\"\"\nB=1", "[A=][B=1]");
    gives("A=' a # b '", "[A= a # b ]");
    gives("A=\" a # b \" # c", "[A= a # b ]");
    gives("A='a'#b", "[A=a]");
    gives("A='a\nb'\nB=1", "[A=a$b][B=1]");
    gives("A=\"a\r\nb\rc\n\"\r\nB=1", "[A=a$b$c$][B=1]");
    gives("A='a\\'b'", "[A=a'b]");
    gives("A='a\\\\'", "[A=a\\]");
    gives("A='a\\nb'", "[A=a\\nb]");
    gives("A=\"a\\\"b\"", "[A=a\"b]");
    gives("A=\"a'b\"", "[A=a'b]");
    gives("A=\"\\\\\\'\\\"\"", "[A=\\'\"]");
    gives("A=\"\\n\"", "[A=$]");
    gives("A=\"\\a\\b\\f\\r\\t\\v\"", "[A=\a\b\f\r\t\v]");
    gives("A=\"\\x\\$\\0\"", "[A=\\x\\$\\0]");
    gives("A=\"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n\"",
          "[A=-----BEGIN CERTIFICATE-----$MIIB$-----END CERTIFICATE-----$]");
    skips("A='a\nB=1", "[B=1]", 1);
    skips("A=\"a\nB=1\n", "[B=1]", 1);
    skips("A=\"a\\\"\nB=1\n", "[B=1]", 1);
    skips("A='a' b\nB=1", "[B=1]", 1);
    skips("A='a\nb' c\nB=1", "[B=1]", 1);
    skips("A='a\\", "", 1);
}

static void test_bad_lines(void) {
    skips("=1\nB=1", "[B=1]", 1);
    skips("A=1\n\n  two words\nB=1", "[A=1][B=1]", 3);
    skips("A=1\r\n\r\nA B=1\r\nB=1", "[A=1][B=1]", 3);
    skips("''=1", "", 1);
    skips("'A=1", "", 1);
    skips("a b\nc d\n", "", 1);
    skips("A=1\nx y\n=2\nB=1\n", "[A=1][B=1]", 2);
    gives("A#b\nB=1", "[A=][B=1]");
}

static void test_names_in_values(void) {
    gives("A=${HOME}/x", "[A=/home/c/x]");
    gives("A=1\nB=${A}2${A}", "[A=1][B=121]");
    gives("A='${HOME}'", "[A=/home/c]");
    gives("HOME=mine\nA=${HOME}", "[HOME=mine][A=mine]");
    gives("A=1\nA=${A}2\nB=${A}", "[A=1][A=12][B=12]");
    gives("B=${A}\nA=1", "[B=][A=1]");
    gives("A=${B:-x}", "[A=x]");
    gives("A=${B:-}", "[A=]");
    gives("A=${B:-${C}}", "[A=${C}]");
    gives("A=${HOME:-x}", "[A=/home/c]");
    gives("A=${NOTHING:-x}", "[A=]");
    gives("B\nA=${B:-x}", "[B=][A=]");
    gives("A=$HOME", "[A=$HOME]");
    gives("A=${HOME", "[A=${HOME]");
    gives("A=${HOME:-x", "[A=${HOME:-x]");
    gives("A=${HOME:x}", "[A=${HOME:x}]");
    gives("A=${B:${HOME}}", "[A=${B:/home/c}]");
    gives("A=$${HOME}", "[A=$/home/c]");
    gives("A=${}", "[A=]");
    gives("A=\"\\\"${B:-\\\"}\"", "[A=\"\"]");
    gives("a=1\nA=${a}${A}", "[a=1][A=1]");
    gives("A='${X}'\nX=1\nB=${A}", "[A=][X=1][B=]");
    gives("A='$'\nB=${A}{HOME}", "[A=$][B=${HOME}]");
}

static void test_files(void) {
    static const char second[] = "B=${A:-none}\n";
    start(ROOM);
    is_str(add("A=1\n", 4), NULL, "a first file");
    is_str(add(second, sizeof second - 1), NULL, "and a second one");
    is_str(show(), "[A=1][B=none]", "names stand for variables of their own file");
    is_str(add("C=\xff", 3), "it is not UTF-8", "a file in another encoding");
    is_str(add("C=\0x", 4), "it is not UTF-8", "a file with a NUL");
    is_str(show(), "[A=1][B=none]", "... adds nothing");
}

static void test_room(void) {
    static const char text[] = "AB=12\nC=${AB}${AB}${AB}\n";
    static const char full[] = "its variables, with those of the files before, take more than 64 KiB";
    size_t capacity, need = 0;
    for (capacity = 0; capacity < 64; capacity++) {
        const char *problem;
        start(capacity);
        problem = add(text, sizeof text - 1);
        if (problem == NULL) {
            if (need == 0) need = capacity;
            is_str(show(), "[AB=12][C=121212]", "in %u bytes", (unsigned)capacity);
        } else {
            is_str(problem, full, "not in %u bytes", (unsigned)capacity);
            is_int(variables.size, 0, "... and nothing of it");
        }
    }
    ok(need > 0, "they fit into %u bytes", (unsigned)need);
}

int main(void) {
    test_lines();
    test_export();
    test_plain_values();
    test_quotes();
    test_bad_lines();
    test_names_in_values();
    test_files();
    test_room();
    return done_testing();
}
