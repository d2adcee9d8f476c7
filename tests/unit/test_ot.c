/*
 * SPDX-License-Identifier: MIT
 *
 * The ot member of tracestate: sub-keys, thresholds as text, editing, limits; thresholds of ratios.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

#define TOP (UINT64_C(1) << 56)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool parse(const char *text, hoteli_ot *ot) {
    size_t size = strlen(text);
    memset(ot, 0x5A, sizeof *ot);
    return hoteli_ot_parse(size > 0 ? guard_copy(0, text, size) : text, size, ot);
}

static void reads(const char *text, bool has_th, uint64_t th, bool has_rv, uint64_t rv) {
    hoteli_ot ot;
    ok(parse(text, &ot) && ot.has_th == has_th && ot.th == th && ot.has_rv == has_rv &&
           ot.rv == rv,
       "SM-13 \"%s\" is read", text);
}

static void refuses(const char *text) {
    hoteli_ot ot;
    ok(!parse(text, &ot) && !ot.has_th && !ot.has_rv, "SM-13 \"%s\" is malformed", text);
}

static void test_parse(void) {
    reads("", false, 0, false, 0);
    reads("th:0", true, 0, false, 0);
    reads("th:8", true, TOP / 2, false, 0);
    reads("th:80000000000000", true, TOP / 2, false, 0);
    reads("th:ffffffffffffff", true, TOP - 1, false, 0);
    reads("th:fd70a", true, UINT64_C(0xfd70a000000000), false, 0);
    reads("rv:00000000000000", false, 0, true, 0);
    reads("rv:0123456789abcd", false, 0, true, UINT64_C(0x0123456789abcd));
    reads("th:c;rv:ffffffffffffff", true, UINT64_C(0xc0000000000000), true, TOP - 1);
    reads("a:1;rv:ffffffffffffff;b9:x.Y_-z;th:c;e:", true, UINT64_C(0xc0000000000000), true,
          TOP - 1);
    reads("th:4;th:8", true, TOP / 4, false, 0);
    /* Sub-keys with values that cannot be used are as absent, the others are read. */
    reads("th:;rv:0123456789abcd", false, 0, true, UINT64_C(0x0123456789abcd));
    reads("th:123456789abcdef", false, 0, false, 0);
    reads("th:C", false, 0, false, 0);
    reads("th:g;rv:0123456789abcde", false, 0, false, 0);
    reads("th:8;rv:0123456789abc", true, TOP / 2, false, 0);
    reads("th:8;rv:0123456789ABCD", true, TOP / 2, false, 0);
    reads("xth:8;thx:8;t:8;h:8", false, 0, false, 0);
    refuses(":");
    refuses("th");
    refuses("th:8;");
    refuses(";th:8");
    refuses("th:8;;rv:0123456789abcd");
    refuses("TH:8");
    refuses("1th:8");
    refuses("th:8 ");
    refuses(" th:8");
    refuses("th:8;a:b:c");
    refuses("th:8;a:@");
    refuses("th:8;a:[");
    refuses("th:8;\xC3:1");
    refuses("th:8;a");
}

typedef struct vector {
    double ratio;
    const char *th; /* NULL: nothing is kept */
} vector;

static void test_thresholds(void) {
    static const vector rows[] = {
        {1, "0"},           {0.5, "8"},          {1.0 / 3, "aaab"},
        {0.25, "c"},        {0.2, "cccd"},       {0.125, "e"},
        {0.1, "e666"},      {1.0 / 16, "f"},     {0.01, "fd70a"},
        {1e-3, "ffbe77"},   {1e-4, "fff9724"},   {1e-5, "ffff583a"},
        {1e-6, "ffffef39"}, {0.75, "4"},         {2.0 / 3, "5555"},
        {0.99999, "0001"}, {1.0 / 72057594037927936.0, "ffffffffffffff"},
        {3.0 / 72057594037927936.0, "fffffffffffffd"}, {0, NULL},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        uint64_t threshold = hoteli_probability_threshold(rows[i].ratio);
        char text[16];
        if (rows[i].th == NULL) {
            ok(threshold == TOP, "SM-12 a ratio of %g rejects everything", rows[i].ratio);
            continue;
        }
        memset(text, 0, sizeof text);
        (void)hoteli_ot_format_th(threshold, text);
        is_str(text, rows[i].th, "SM-12 the threshold of %g", rows[i].ratio);
    }
}

/* What is written is read again; a greater ratio never has a greater threshold. */
static void test_round_trip(void) {
    uint64_t seed = 88172645463325252u, previous = TOP;
    int i, bad = 0, worse = 0;
    double ratio = 1.0 / 72057594037927936.0;
    for (i = 0; i < 20000; i++) {
        char text[3 + 14] = "th:";
        hoteli_ot ot;
        uint64_t th;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        th = (seed >> 8) >> (i % 56) << (i % 56);
        if (!hoteli_ot_parse(text, 3 + hoteli_ot_format_th(th, text + 3), &ot) || !ot.has_th ||
            ot.th != th)
            bad++;
    }
    is_int(bad, 0, "SM-12 thresholds survive being written and read");
    for (; ratio <= 1; ratio *= 1.0007) {
        uint64_t th = hoteli_probability_threshold(ratio);
        if (th > previous) worse++;
        previous = th;
    }
    is_int(worse, 0, "SM-12 a greater ratio has no greater threshold");
}

/* th NULL: taken out. want NULL: nothing changes. */
static void puts_th(const char *id, const char *state, const char *th, const char *want) {
    char out[2048];
    size_t size = strlen(state), out_size = 0;
    uint64_t number = 0;
    hoteli_ot ot;
    bool changed;
    if (th != NULL) {
        char text[32];
        (void)snprintf(text, sizeof text, "th:%s", th);
        if (!hoteli_ot_parse(text, strlen(text), &ot) || !ot.has_th) abort();
        number = ot.th;
    }
    changed = hoteli_tracestate_put_th(size > 0 ? guard_copy(0, state, size) : state, size,
                                       th != NULL ? &number : NULL, out, sizeof out, &out_size);
    ok(changed == (want != NULL), "%s \"%.60s\" with th %s %s", id, state,
       th != NULL ? th : "(none)", want != NULL ? "changes" : "stays");
    if (want != NULL && changed) is_mem(out, out_size, want, strlen(want), "%s result", id);
}

static void test_put(void) {
    puts_th("SM-10", "", "8", "ot=th:8");
    puts_th("SM-10", "a=1,b=2", "8", "ot=th:8,a=1,b=2");
    puts_th("SM-10", "a=1,ot=th:4,b=2", "8", "ot=th:8,a=1,b=2");
    puts_th("SM-10", "a=1,ot=th:8,b=2", "8", NULL);
    puts_th("SM-12", "a=1,ot=rv:0123456789abcd;th:80", "8", NULL);
    puts_th("SM-13", "ot=rv:0123456789abcd", "8", "ot=th:8;rv:0123456789abcd");
    puts_th("SM-13", "ot=x:1;rv:0123456789abcd;th:c;yz:", "0", "ot=th:0;x:1;rv:0123456789abcd;yz:");
    puts_th("SM-13", "ot=th:zz;x:1;th:4", "8", "ot=th:8;x:1");
    puts_th("SM-13", "ot=rv:xyz", "8", "ot=th:8;rv:xyz");
    puts_th("SM-13", "a=1,ot=!", "8", "ot=th:8,a=1");
    puts_th("SM-14", "", NULL, NULL);
    puts_th("SM-14", "a=1", NULL, NULL);
    puts_th("SM-14", "ot=th:8", NULL, "");
    puts_th("SM-14", "ot=th:zz,a=1", NULL, "a=1");
    puts_th("SM-14", "a=1,ot=th:8,b=2", NULL, "a=1,b=2");
    puts_th("SM-14", "a=1,ot=x:1;th:8;y:2", NULL, "ot=x:1;y:2,a=1");
    puts_th("SM-14", "a=1,ot=x:1", NULL, NULL);
    puts_th("SM-14", "a=1,ot=th:8;", NULL, "a=1");
}

/* A value of ot of up to 256 characters; the change that would make it longer is given up. */
static void test_limits(void) {
    char state[400], want[400], filler[256];
    int room;
    memset(filler, 'v', sizeof filler);
    for (room = 0; room < 4; room++) {
        int fill = 256 - 5 - 2 + room - 1; /* "th:8;" and "x:" beside it */
        (void)snprintf(state, sizeof state, "ot=x:%.*s,a=1", fill, filler);
        (void)snprintf(want, sizeof want, "ot=th:8;x:%.*s,a=1", fill, filler);
        puts_th("SM-13", state, "8", room <= 1 ? want : NULL);
    }
    (void)snprintf(state, sizeof state, "ot=th:8;x:%.*s,a=1", 249, filler);
    (void)snprintf(want, sizeof want, "ot=x:%.*s,a=1", 249, filler);
    puts_th("SM-13", state, "88", NULL);
    puts_th("SM-13", state, NULL, want);
    (void)snprintf(want, sizeof want, "ot=th:4;x:%.*s,a=1", 249, filler);
    puts_th("SM-13", state, "4", want);
}

/* A full tracestate loses its last member; without room for the result nothing is done. */
static void test_full(void) {
    char state[400], want[400], out[8];
    size_t used = 0, size, i;
    uint64_t th = 0;
    for (i = 0; i < 32; i++) {
        used += (size_t)snprintf(state + used, sizeof state - used, "%sk%02u=1", i > 0 ? "," : "",
                                 (unsigned)i);
    }
    (void)snprintf(want, sizeof want, "ot=th:8,%.*s", (int)(used - 6), state);
    puts_th("WT-10 SM-13", state, "8", want);
    ok(!hoteli_tracestate_put_th("a=1", 3, &th, out, sizeof out, &size),
       "SM-13 no room for the result");
}

int main(void) {
    test_parse();
    test_thresholds();
    test_round_trip();
    test_put();
    test_limits();
    test_full();
    return done_testing();
}
