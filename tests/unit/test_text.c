/*
 * SPDX-License-Identifier: MIT
 *
 * UTF-8, numbers, percent escapes, lists, tokens.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* The plainest decoder there is: the size of the sequence, 0 if it is none. */
static size_t slow_sequence(const unsigned char *p, size_t size) {
    static const uint32_t first_code[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code;
    size_t length, i;
    if (p[0] < 0x80) return 1;
    if ((p[0] & 0xE0) == 0xC0) {
        length = 2;
        code = p[0] & 0x1Fu;
    } else if ((p[0] & 0xF0) == 0xE0) {
        length = 3;
        code = p[0] & 0x0Fu;
    } else if ((p[0] & 0xF8) == 0xF0) {
        length = 4;
        code = p[0] & 0x07u;
    } else {
        return 0;
    }
    if (length > size) return 0;
    for (i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    if (code < first_code[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return 0;
    }
    return length;
}

static bool slow_valid(const unsigned char *p, size_t size) {
    size_t i, step;
    for (i = 0; i < size; i += step) {
        step = slow_sequence(p + i, size - i);
        if (step == 0) return false;
    }
    return true;
}

static bool same_verdict(const unsigned char *p, size_t size) {
    return hoteli_utf8_valid((const char *)p, size) == slow_valid(p, size);
}

static void test_utf8_valid(void) {
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFE",
                                      "\xFF",
                                      "\xC3",
                                      "\xE2\x82",
                                      "\xF0\x9F\x92",
                                      "\xC3\x28"};
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    /* Second bytes on both sides of every limit, for the longer sequences. */
    static const unsigned char edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90,
                                          0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    unsigned char text[48];
    size_t i;
    unsigned a, b, c, d;
    int num_wrong = 0;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        ok(hoteli_utf8_valid(good[i], strlen(good[i])), "SP-41 well-formed sequence %d", (int)i);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        ok(!hoteli_utf8_valid(bad[i], strlen(bad[i])), "SP-41 malformed sequence %d", (int)i);
    }
    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            text[0] = (unsigned char)a;
            text[1] = (unsigned char)b;
            num_wrong += !same_verdict(text, 1) + !same_verdict(text, 2);
            for (c = 0; a >= 0xC0 && c < sizeof edges; c++) {
                text[2] = edges[c];
                num_wrong += !same_verdict(text, 3);
                for (d = 0; a >= 0xE0 && d < sizeof edges; d++) {
                    text[3] = edges[d];
                    num_wrong += !same_verdict(text, 4);
                }
            }
        }
    }
    is_int(num_wrong, 0, "SP-41 agrees with a plain decoder on all pairs and on all limits");
}

static void test_utf8_places(void) {
    size_t at, size;
    int num_wrong = 0;
    for (size = 1; size <= 40; size++) {
        for (at = 0; at < size; at++) {
            char *copy = guard_room(0, size);
            memset(copy, 'x', size);
            num_wrong += !hoteli_utf8_valid(copy, size);
            copy[at] = (char)0xC3;
            num_wrong += hoteli_utf8_valid(copy, size);
            if (at + 1 < size) {
                copy[at + 1] = (char)0xA9;
                num_wrong += !hoteli_utf8_valid(copy, size);
                copy[at + 1] = 'x';
            }
            copy[at] = (char)0x80;
            num_wrong += hoteli_utf8_valid(copy, size);
        }
    }
    is_int(num_wrong, 0, "SP-41 a bad byte is found at every place of every length up to 40");
}

static void check_repair(const char *text, const char *want) {
    size_t size = strlen(text), want_size = strlen(want), got;
    const char *copy = guard_copy(0, text, size);
    char *out = guard_room(1, want_size);
    is_int(hoteli_utf8_repaired_size(copy, size), want_size, "SP-41 repaired size of %d bytes",
           (int)size);
    got = hoteli_utf8_repair(out, copy, size);
    is_mem(out, got, want, want_size, "SP-41 repair of %d bytes", (int)size);
    ok(hoteli_utf8_valid(out, got), "SP-41 the repaired text is UTF-8");
}

static void test_utf8_repair(void) {
    check_repair("", "");
    check_repair("plain", "plain");
    check_repair("\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9");
    check_repair("\xFF", "\xEF\xBF\xBD");
    check_repair("a\x80"
                 "b",
                 "a\xEF\xBF\xBD"
                 "b");
    check_repair("\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD");
    check_repair("\xE2\x82\xAC\xE2\x82", "\xE2\x82\xAC\xEF\xBF\xBD\xEF\xBF\xBD");
    check_repair("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    check_repair("\xC3(", "\xEF\xBF\xBD(");
}

static void test_utf8_prefix(void) {
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"; /* 1 + 2 + 3 + 4 + 1 */
    static const size_t want[] = {0, 1, 3, 6, 10, 11, 11, 11};
    const char *copy = guard_copy(0, text, sizeof text - 1);
    size_t i, size;
    int num_wrong = 0;
    for (i = 0; i < sizeof want / sizeof *want; i++) {
        is_int(hoteli_utf8_prefix(copy, sizeof text - 1, i), want[i],
               "SP-35 prefix of %d code points", (int)i);
    }
    is_int(hoteli_utf8_prefix(copy, sizeof text - 1, SIZE_MAX), 11, "SP-35 no limit");
    is_int(hoteli_utf8_prefix("\x80\x80\xC3\xA9", 4, 3), 4, "SP-35 bad bytes count one each");
    is_int(hoteli_utf8_prefix("ab\xE2\x82", 4, 3), 3, "SP-35 a cut sequence counts by the byte");
    for (size = 0; size <= 40; size++) {
        for (i = 0; i <= size; i++) {
            char *letters = guard_room(0, size);
            memset(letters, 'x', size);
            num_wrong += hoteli_utf8_prefix(letters, size, i) != i;
        }
    }
    is_int(num_wrong, 0, "SP-35 ASCII is cut at the limit, whatever the length");
    num_wrong = 0;
    for (size = 0; size < sizeof text; size++) {
        for (i = 0; i < 8; i++) {
            size_t cut;
            copy = guard_copy(0, text, size);
            cut = hoteli_utf8_prefix(copy, size, i);
            num_wrong +=
                cut > size || (hoteli_utf8_valid(copy, size) && !hoteli_utf8_valid(copy, cut));
        }
    }
    is_int(num_wrong, 0, "SP-35 a prefix of UTF-8 is UTF-8, the text cut anywhere");
}

/* Random mixtures of sequences of all lengths and bad bytes, at every limit. */
static void test_utf8_prefix_model(void) {
    static const char *const pieces[] = {
        "a", "bcdefghi", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xFF"};
    unsigned seed = 1;
    int run, num_wrong = 0;
    for (run = 0; run < 300; run++) {
        char text[64];
        size_t size = 0, limit, want = 0;
        const char *copy;
        while (size < 50) {
            const char *piece;
            seed = seed * 1103515245u + 12345u;
            piece = pieces[(seed >> 16) % 6];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        size -= seed >> 20 & 15;
        copy = guard_copy(0, text, size);
        for (limit = 0; limit <= size; limit++) {
            num_wrong += hoteli_utf8_prefix(copy, size, limit) != want;
            if (want < size) {
                size_t step = slow_sequence((const unsigned char *)copy + want, size - want);
                want += step > 0 ? step : 1;
            }
        }
    }
    is_int(num_wrong, 0, "SP-35 mixed texts are cut as by a plain decoder, at every limit");
}

static void check_uint(const char *text, uint64_t max, bool want_ok, uint64_t want) {
    size_t size = strlen(text);
    uint64_t got = 77;
    bool good = hoteli_parse_uint(guard_copy(0, text, size), size, max, &got);
    ok(good == want_ok && got == (want_ok ? want : 77), "%s \"%s\", at most %llu",
       want_ok ? "EP-04 reads" : "EP-03 EP-10 refuses", text, (unsigned long long)max);
}

static void test_parse_uint(void) {
    uint64_t number = 0;
    check_uint("0", 0, true, 0);
    check_uint("1", 0, false, 0);
    check_uint("5000", UINT64_MAX, true, 5000);
    check_uint(" \t5000 \t", UINT64_MAX, true, 5000);
    check_uint("007", 7, true, 7);
    check_uint("2147483647", INT32_MAX, true, INT32_MAX);
    check_uint("2147483648", INT32_MAX, false, 0);
    check_uint("18446744073709551615", UINT64_MAX, true, UINT64_MAX);
    check_uint("18446744073709551616", UINT64_MAX, false, 0);
    check_uint("18446744073709551620", UINT64_MAX, false, 0);
    check_uint("99999999999999999999999999", UINT64_MAX, false, 0);
    check_uint("65535", 65535, true, 65535);
    check_uint("65536", 65535, false, 0);
    check_uint("9", 8, false, 0);
    check_uint("", 10, false, 0);
    check_uint("   ", 10, false, 0);
    check_uint("-1", 10, false, 0);
    check_uint("+1", 10, false, 0);
    check_uint("5000ms", UINT64_MAX, false, 0);
    check_uint("1 2", 100, false, 0);
    check_uint("0x10", 100, false, 0);
    check_uint("1.5", 100, false, 0);
    check_uint("1e3", 10000, false, 0);
    check_uint("\xD9\xA1", 100, false, 0);
    ok(!hoteli_parse_uint(&" 5"[1], 0, 100, &number), "EP-03 nothing between blank and digit");
}

static void check_percent(const char *text, const char *want, size_t want_size, bool want_ok) {
    size_t size = strlen(text), got;
    char *copy = guard_copy(0, text, size);
    char *out = guard_room(1, size);
    bool good = !want_ok;
    got = hoteli_percent_decode(out, copy, size, &good);
    is_mem(out, got, want, want_size, "OH-04 decodes \"%s\"", text);
    ok(good == want_ok, "OH-04 \"%s\" is %s", text, want_ok ? "well-formed" : "malformed");
    got = hoteli_percent_decode(copy, copy, size, &good);
    is_mem(copy, got, want, want_size, "OH-04 decodes \"%s\" in place", text);
}

static void test_percent(void) {
    check_percent("", "", 0, true);
    check_percent("plain", "plain", 5, true);
    check_percent("a%20b", "a b", 3, true);
    check_percent("a+b", "a+b", 3, true);
    check_percent("%e2%82%AC", "\xE2\x82\xAC", 3, true);
    check_percent("%2525", "%25", 3, true);
    check_percent("%00x", "\0x", 2, true);
    check_percent("%", "%", 1, false);
    check_percent("ab%4", "ab%4", 4, false);
    check_percent("%zz%41", "%zzA", 4, false);
    check_percent("%4z", "%4z", 3, false);
    check_percent("%%41", "%A", 2, false);
    check_percent("100%", "100%", 4, false);
}

/* Writes a list as "[key]=[value] " for members and "!member! " for what is none. */
static void describe_list(const char *text, char *out, size_t capacity) {
    size_t size = strlen(text), used = 0;
    const char *cursor = guard_copy(0, text, size), *end = cursor + size;
    hoteli_pair pair;
    int found;
    out[0] = 0;
    while ((found = hoteli_list_next(&cursor, end, &pair)) != 0) {
        int wrote =
            found == 1
                ? snprintf(out + used, capacity - used, "[%.*s]=[%.*s] ", (int)pair.key_size,
                           pair.key, (int)pair.value_size, pair.value)
                : snprintf(out + used, capacity - used, "!%.*s! ", (int)pair.key_size, pair.key);
        if (wrote > 0) used += (size_t)wrote;
        if (found < 0 && pair.value != NULL) out[0] = '?';
    }
}

static void check_list(const char *id, const char *text, const char *want) {
    char got[256];
    describe_list(text, got, sizeof got);
    is_str(got, want, "%s list \"%s\"", id, text);
}

static void test_list(void) {
    check_list("OH-01", "", "");
    check_list("OH-01", "k=v", "[k]=[v] ");
    check_list("OH-01", "k=v,k2=w", "[k]=[v] [k2]=[w] ");
    check_list("OH-01", "k=v;p=q", "[k]=[v;p=q] ");
    check_list("OH-02",
               "authorization=Basic dXNlcjpwdw==", "[authorization]=[Basic dXNlcjpwdw==] ");
    check_list("OH-02", "a==", "[a]=[=] ");
    check_list("OH-03", " \ta \t= \tb\t , c=d ", "[a]=[b] [c]=[d] ");
    check_list("OH-04", "a%20=b%2C%20c", "[a%20]=[b%2C%20c] ");
    check_list("OH-05", "x=Bearer abc,y=1", "[x]=[Bearer abc] [y]=[1] ");
    check_list("OH-06", "a=1,junk,b=2", "[a]=[1] !junk! [b]=[2] ");
    check_list("OH-06", "=v,b=2", "!=v! [b]=[2] ");
    check_list("OH-06", "  = v ,b=2", "!= v! [b]=[2] ");
    check_list("OH-06", "=", "!=! ");
    check_list("OH-08", "a=1,a=2", "[a]=[1] [a]=[2] ");
    check_list("OH-01", "a=", "[a]=[] ");
    check_list("OH-01", "a=  ,b=", "[a]=[] [b]=[] ");
    check_list("OH-01", ",, ,a=1,,\t,", "[a]=[1] ");
    check_list("OH-01", "   ", "");
}

static void test_token(void) {
    unsigned c;
    char text[2] = {'x', 0};
    int num_wrong = 0;
    ok(!hoteli_is_token("", 0), "OH-04 an empty name is no token");
    ok(hoteli_is_token("x-api-key", 9), "OH-04 x-api-key is a token");
    ok(hoteli_is_token("!#$%&'*+-.^_`|~", 15), "OH-04 all punctuation that a token may have");
    for (c = 0; c < 256; c++) {
        bool want = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
        text[1] = (char)c;
        num_wrong += hoteli_is_token(guard_copy(0, text, 2), 2) != want;
    }
    is_int(num_wrong, 0, "OH-04 every byte value in a token");
}

int main(void) {
    test_utf8_valid();
    test_utf8_places();
    test_utf8_repair();
    test_utf8_prefix();
    test_utf8_prefix_model();
    test_parse_uint();
    test_percent();
    test_list();
    test_token();
    return done_testing();
}
