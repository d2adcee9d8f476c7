/*
 * SPDX-License-Identifier: MIT
 *
 * test_baggage.c - baggage as a container and as a header, the text forms of B3, the value of
 * OTEL_PROPAGATORS and names of environment variables: all that is bytes only. What propagators
 * make of it is tested in conformance/test_propagation.c.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static hotel_baggage fresh(size_t capacity) {
    hotel_baggage b;
    memset(&b, 0x5A, sizeof b);
    hotel_baggage_start(&b, guard_room(0, capacity), capacity);
    return b;
}

/* All entries as name=value;metadata, one behind the other with a bar between. */
static const char *listed(const hotel_baggage *b) {
    static char text[20000];
    hotel_baggage_entry e;
    size_t cursor = 0, used = 0, count = 0;
    text[0] = '\0';
    while (hotel_baggage_next(b, &cursor, &e)) {
        if (e.name.text[e.name.size] != 0 || e.value.text[e.value.size] != 0 ||
            e.metadata.text[e.metadata.size] != 0) {
            return "a text without NUL";
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%s%s%s",
                                 count++ > 0 ? "|" : "", e.name.text, e.value.text,
                                 e.metadata.size > 0 ? ";" : "", e.metadata.text);
    }
    return count == b->count ? text : "count is wrong";
}

static const char *header_of(const hotel_baggage *b) {
    static char text[HOTEL_BAGGAGE_HEADER_SIZE];
    size_t size = hotel_baggage_format(b, text, sizeof text);
    return size == strlen(text) ? text : "size is wrong";
}

/* ---- The container -------------------------------------------------------------------------- */

static void test_container(void) {
    hotel_baggage b = fresh(1000);
    hotel_baggage_entry e;
    hotel_string name;
    size_t cursor = 0;
    is_int(b.count, 0, "BG-01 empty at first");
    ok(hotel_baggage_get(&b, "a") == NULL, "BG-01 nothing in it");
    ok(!hotel_baggage_next(&b, &cursor, &e), "BG-01 nothing to walk");
    ok(hotel_baggage_set(&b, "user.id", "42", NULL), "BG-01 set");
    ok(hotel_baggage_set(&b, "User.ID", "43", "k=v;flag"), "BG-01 set another");
    ok(hotel_baggage_set(&b, "empty", "", NULL), "WB-08 an empty value is legal");
    is_str(hotel_baggage_get(&b, "user.id"), "42", "BG-01 get");
    is_str(hotel_baggage_get(&b, "User.ID"), "43", "WB-07 names are case-sensitive");
    is_str(hotel_baggage_get(&b, "empty"), "", "WB-08 and is there");
    ok(hotel_baggage_get(&b, "USER.ID") == NULL, "WB-07 in every form");
    is_str(listed(&b), "user.id=42|User.ID=43;k=v;flag|empty=", "BG-01 all of them, in order");
    ok(hotel_baggage_set(&b, "user.id", "a longer value", "x"), "BG-01 set again");
    is_str(listed(&b), "User.ID=43;k=v;flag|empty=|user.id=a longer value;x",
           "WB-07 one value for each name");
    ok(hotel_baggage_remove(&b, "empty"), "BG-01 remove");
    ok(!hotel_baggage_remove(&b, "empty"), "BG-01 once");
    is_str(listed(&b), "User.ID=43;k=v;flag|user.id=a longer value;x", "BG-01 the others stay");
    ok(hotel_baggage_set(&b, "copy", hotel_baggage_get(&b, "user.id"), NULL),
       "BG-01 set from within");
    ok(hotel_baggage_set(&b, "copy", hotel_baggage_get(&b, "copy"), NULL), "BG-01 onto itself");
    is_str(hotel_baggage_get(&b, "copy"), "a longer value", "BG-01 keeps the value");
    name.text = "User.IDx";
    name.size = 7;
    ok(hotel_baggage_find(&b, name, &e), "BG-01 a name by its size");
    is_str(e.metadata.text, "k=v;flag", "BG-01 the entry has its metadata");
    ok(hotel_baggage_remove_n(&b, name), "BG-01 removed by its size");
    hotel_baggage_clear(&b);
    is_str(listed(&b), "", "BG-01 clear");
    is_int(b.size, 0, "BG-01 and all the room is free again");
}

/* Every character that UTF-8 can name, in names and values. */
static void test_utf8(void) {
    static const char odd_name[] = "\xC3\xA9t\xC3\xA9 \xF0\x9F\x98\x80";
    static const char odd_value[] = "\xE2\x82\xAC ,;=\"\\\n\x7f";
    hotel_baggage b = fresh(4000);
    hotel_baggage_entry e;
    hotel_string name, value, none = {NULL, 0};
    name.text = "n\0me";
    name.size = 4;
    value.text = "v\0lue\0";
    value.size = 6;
    ok(hotel_baggage_set(&b, odd_name, odd_value, NULL), "BG-01 any UTF-8");
    is_str(hotel_baggage_get(&b, odd_name), odd_value, "BG-01 comes back as it was");
    ok(hotel_baggage_set_n(&b, name, value, none), "BG-01 NUL inside");
    ok(hotel_baggage_find(&b, name, &e), "BG-01 found with its size");
    is_mem(e.value.text, e.value.size, "v\0lue\0", 6, "BG-01 whole");
    ok(hotel_baggage_set(&b, "bad", "a\xFF" "b\xC3", NULL), "WB-02 a value that is not UTF-8");
    is_str(hotel_baggage_get(&b, "bad"), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD", "WB-02 is repaired");
    is_int(b.dropped, 0, "BG-01 nothing was refused");
}

static void test_refused(void) {
    static const char *const properties[] = {"a,b", "k=a b", "k=\"x\"", "\xC3\xA9",
                                             "=v", "k=v\r\nx: y", "a b"};
    hotel_baggage b = fresh(200), none;
    hotel_string empty = {NULL, 0};
    hotel_baggage_entry e;
    size_t cursor = 0, i;
    ok(hotel_baggage_set(&b, "a", "1", NULL), "one entry");
    ok(!hotel_baggage_set(&b, NULL, "1", NULL), "SP-06 a NULL name is refused");
    ok(!hotel_baggage_set(&b, "", "1", NULL), "SP-06 an empty name is refused");
    ok(!hotel_baggage_set(&b, "\xFF", "1", NULL), "BG-01 a name that is not UTF-8 is refused");
    for (i = 0; i < COUNT(properties); i++) {
        ok(!hotel_baggage_set(&b, "p", "1", properties[i]), "WB-05 metadata %u is refused",
           (unsigned)i);
    }
    is_int(b.dropped, 3 + COUNT(properties), "all of it is counted");
    is_str(listed(&b), "a=1", "and changes nothing");
    memset(&none, 0, sizeof none);
    ok(!hotel_baggage_set(&none, "a", "1", NULL), "SP-06 a zeroed baggage has no room");
    ok(!hotel_baggage_set(NULL, "a", "1", NULL), "SP-06 NULL");
    ok(!hotel_baggage_set_n(&none, empty, empty, empty), "SP-06 nothing at all");
    ok(!hotel_baggage_remove(NULL, "a") && !hotel_baggage_remove(&none, NULL), "SP-06 remove");
    ok(hotel_baggage_get(NULL, "a") == NULL && hotel_baggage_get(&none, NULL) == NULL, "SP-06 get");
    ok(!hotel_baggage_next(NULL, &cursor, &e) && !hotel_baggage_next(&b, NULL, &e), "SP-06 next");
    is_int(hotel_baggage_parse(&none, "a=1", 3), 0, "SP-06 parse");
    is_int(hotel_baggage_parse(&b, NULL, 5), 0, "SP-06 parse NULL");
    is_int(hotel_baggage_format(&none, NULL, 0), 0, "SP-06 format");
    hotel_baggage_start(NULL, NULL, 0);
    hotel_baggage_clear(NULL);
    hotel_baggage_start(&b, NULL, 100);
    ok(!hotel_baggage_set(&b, "a", "1", NULL), "SP-06 no memory, no room");
}

static void test_room(void) {
    size_t capacity, fits = 0, i;
    char value[64];
    memset(value, 'v', sizeof value);
    value[40] = '\0';
    for (capacity = 0; capacity < 80; capacity++) {
        hotel_baggage b = fresh(capacity);
        bool set = hotel_baggage_set(&b, "name", value, "m");
        if (set && fits == 0) fits = capacity;
        if (set != (capacity >= 15 + 4 + 40 + 1) || set != (b.count == 1) ||
            set == (b.dropped == 1)) {
            ok(false, "BG-01 with room for %u", (unsigned)capacity);
        }
    }
    is_int(fits, 60, "BG-01 an entry takes 15 bytes and its texts, and no byte beyond");
    {
        hotel_baggage b = fresh(60 + 59);
        ok(hotel_baggage_set(&b, "name", value, "m"), "the first");
        ok(!hotel_baggage_set(&b, "name", value, "m"), "BG-01 replacing needs room for both");
        is_str(hotel_baggage_get(&b, "name"), value, "BG-01 without it the old one stays");
    }
    {
        /* Somebody else wrote over the memory: nothing outside of it may be read. */
        hotel_baggage b = fresh(256);
        hotel_baggage_entry e;
        unsigned char *bytes = (unsigned char *)b.memory;
        size_t cursor, walked = 0;
        for (i = 0; i < 3; i++) {
            char name[2] = {'a', '\0'};
            name[0] = (char)(name[0] + (char)i);
            (void)hotel_baggage_set(&b, name, value, NULL);
        }
        for (i = 0; i < b.size; i++) {
            unsigned char kept = bytes[i];
            bytes[i] = 0xFF;
            for (cursor = 0; hotel_baggage_next(&b, &cursor, &e);) walked += e.value.size + 1;
            walked += hotel_baggage_format(&b, NULL, 0);
            bytes[i] = kept;
        }
        ok(walked > 0, "SP-06 memory that was written over is walked to its end only");
    }
}

/* ---- The header ----------------------------------------------------------------------------- */

typedef struct row {
    const char *id;
    const char *header;
    const char *entries;
    size_t dropped;
} row;

#define BAD "\xEF\xBF\xBD" /* U+FFFD */

static const row rows[] = {
    {"WB-07 one member", "SomeKey=SomeValue", "SomeKey=SomeValue", 0},
    {"WB-07 several", "SomeKey=SomeValue,SomeKey2=SomeValue2,k3=v3",
     "SomeKey=SomeValue|SomeKey2=SomeValue2|k3=v3", 0},
    {"WB-04 blanks around everything", " \tSomeKey \t =\t SomeValue \t , k2 = v2 ",
     "SomeKey=SomeValue|k2=v2", 0},
    {"WB-04 blanks around properties", "k = v \t ; \t p = x \t ; q\t", "k=v;p=x;q", 0},
    {"WB-03 equals signs in a value", "k=a=b==", "k=a=b==", 0},
    {"WB-03 and in a property's", "k=v;p=a=b", "k=v;p=a=b", 0},
    {"WB-05 a property without a value", "k=v;p", "k=v;p", 0},
    {"WB-05 several of either kind", "k=v;p1;p2=x;p3,k2=v2", "k=v;p1;p2=x;p3|k2=v2", 0},
    {"WB-05 property values stay encoded", "k=v;p=%20%C3%A9", "k=v;p=%20%C3%A9", 0},
    {"WB-05 property keys are not decoded", "k=v;%41=x", "k=v;%41=x", 0},
    {"WB-05 empty properties", "k=v;;p;", "k=v;p", 0},
    {"WB-05 an empty property value", "k=v;p=", "k=v;p=", 0},
    {"WB-02 decoding", "k=%20%09%2C%3B%25%41z", "k= \t,;%Az", 0},
    {"WB-02 hex digits of either case", "k=%c3%a9%C3%A9", "k=\xC3\xA9\xC3\xA9", 0},
    {"WB-02 characters beyond ASCII", "k=%E2%82%AC%F0%9F%98%80",
     "k=\xE2\x82\xAC\xF0\x9F\x98\x80", 0},
    {"WB-02 bytes that are not UTF-8", "k=a%FFb%C3z%E2%82", "k=a" BAD "b" BAD "z" BAD BAD, 0},
    {"WB-02 a surrogate", "k=%ED%A0%80", "k=" BAD BAD BAD, 0},
    {"WB-02 a percent sign that begins nothing", "k=100%,k2=%4,k3=%zz", "k=100%|k2=%4|k3=%zz", 0},
    {"WB-02 plus is plus", "k=a+b", "k=a+b", 0},
    {"WB-07 names are not decoded", "%41=1,A=2", "%41=1|A=2", 0},
    {"WB-07 the later of two equal names", "k=1,x=2,k=3;p", "x=2|k=3;p", 0},
    {"WB-07 case makes a name another", "k=1,K=2", "k=1|K=2", 0},
    {"WB-08 an empty value", "k=,k2=;p", "k=|k2=;p", 0},
    {"WB-07 all that a name may be", "!#$%&'*+-.^_`|~09azAZ=1", "!#$%&'*+-.^_`|~09azAZ=1", 0},
    {"WB-07 all that a value may be", "k=!#$&'()*+-./:<=>?@[]^_`{|}~",
     "k=!#$&'()*+-./:<=>?@[]^_`{|}~", 0},
    {"WB-09 empty members", ",,k=v, ,k2=v2,\t", "k=v|k2=v2", 0},
    {"WB-09 without =", "junk,k=v", "k=v", 1},
    {"WB-09 without a name", "=x,k=v, =y", "k=v", 2},
    {"WB-09 a name that is no token", "a b=1,a\"b=1,a(b=1,\xC3\xA9=1,k=v", "k=v", 4},
    {"WB-09 a value with a blank inside", "a=x y,k=v", "k=v", 1},
    {"WB-09 a value with a quote", "a=\"x\",k=v", "k=v", 1},
    {"WB-09 a value with a backslash", "a=x\\y,k=v", "k=v", 1},
    {"WB-09 a value beyond ASCII", "a=\xC3\xA9,b=\x7f,c=\x01,k=v", "k=v", 3},
    {"WB-09 a property that is malformed", "a=1;b c,a=1;=x,a=1;p=x y,k=v", "k=v", 3},
    {"WB-09 a semicolon in front", ";a=1,k=v", "k=v", 1},
    {"WB-10 nothing", "", "", 0},
    {"WB-10 nothing but blanks", " \t ,\t", "", 0},
    {"WB-10 nothing valid", "a,b,c", "", 3},
};

static void test_parse(void) {
    char again[HOTEL_BAGGAGE_HEADER_SIZE];
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].header), taken;
        hotel_baggage b = fresh(size + 15 * 8);
        taken = hotel_baggage_parse(&b, guard_copy(1, rows[i].header, size), size);
        is_str(listed(&b), rows[i].entries, "%s", rows[i].id);
        is_int(b.dropped, rows[i].dropped, "%s: dropped", rows[i].id);
        ok(taken >= b.count, "%s: taken", rows[i].id);
        (void)hotel_baggage_format(&b, again, sizeof again);
        hotel_baggage_clear(&b);
        (void)hotel_baggage_parse(&b, again, strlen(again));
        is_str(listed(&b), rows[i].entries, "WB-01 %s: the same after sending", rows[i].id);
    }
}

static void test_several_headers(void) {
    hotel_baggage b = fresh(1000);
    is_int(hotel_baggage_parse(&b, "a=1,b=2", 7), 2, "WB-12 the first header");
    is_int(hotel_baggage_parse(&b, "c=3,a=4;x", 9), 2, "WB-12 the second");
    is_int(hotel_baggage_parse(&b, "bad", 3), 0, "WB-12 a bad one");
    is_str(listed(&b), "b=2|c=3|a=4;x", "WB-12 are one list");
}

/* ---- Sending -------------------------------------------------------------------------------- */

static void sends(const char *id, const char *name, const char *value, const char *metadata,
                  const char *want) {
    hotel_baggage b = fresh(2000);
    char out[64];
    size_t size;
    if (!hotel_baggage_set(&b, name, value, metadata)) ok(false, "%s: set", id);
    is_str(header_of(&b), want, "%s", id);
    for (size = 0; size < 20 && size <= strlen(want); size++) {
        memset(out, 'x', sizeof out);
        if (hotel_baggage_format(&b, out, size) != strlen(want) || out[size] != 'x' ||
            (size > 0 && (strlen(out) != size - 1 || strncmp(out, want, size - 1) != 0))) {
            ok(false, "%s: with room for %u", id, (unsigned)size);
        }
    }
}

static void test_format(void) {
    char all[128], want[512];
    size_t i, used = 0;
    sends("WB-01 plain", "k", "v", NULL, "k=v");
    sends("WB-01 a blank is %20", "k", "a b", NULL, "k=a%20b");
    sends("WB-01 the percent sign", "k", "100%", NULL, "k=100%25");
    sends("WB-01 what has a meaning", "k", ",;\\\"", NULL, "k=%2C%3B%5C%22");
    sends("WB-01 equals signs stay", "k", "a=b", NULL, "k=a=b");
    sends("WB-01 plus, which some read as a blank", "k", "a+b", NULL, "k=a%2Bb");
    sends("WB-01 control characters", "k", "\r\n\t\x7f", NULL, "k=%0D%0A%09%7F");
    sends("WB-01 beyond ASCII", "k", "\xC3\xA9\xF0\x9F\x98\x80", NULL, "k=%C3%A9%F0%9F%98%80");
    sends("WB-05 metadata as it is", "k", "v", "p=%20;q", "k=v;p=%20;q");
    sends("WB-04 metadata without its blanks", "k", "v", " p = x ; ; q ", "k=v;p=x;q");
    sends("WB-08 an empty value", "k", "", NULL, "k=");
    sends("WB-08 an empty value with metadata", "k", NULL, "p", "k=;p");
    sends("WB-07 a name with %", "100%41", "v", NULL, "100%41=v");
    for (i = 1; i < 128; i++) {
        bool raw = i > 0x20 && i < 0x7f && strchr("\",;\\%+", (int)i) == NULL;
        all[i - 1] = (char)i;
        used += (size_t)snprintf(want + used, sizeof want - used, raw ? "%c" : "%%%02X", (int)i);
    }
    all[127] = '\0';
    {
        hotel_baggage b = fresh(1000);
        char text[600];
        (void)hotel_baggage_set(&b, "all", all, NULL);
        (void)snprintf(text, sizeof text, "all=%s", want);
        is_str(header_of(&b), text, "WB-01 every character of ASCII");
        (void)hotel_baggage_clear(&b);
        (void)hotel_baggage_parse(&b, text, strlen(text));
        is_str(hotel_baggage_get(&b, "all"), all, "WB-02 and back");
    }
}

static void test_names_not_sent(void) {
    hotel_baggage b = fresh(1000);
    hotel_string name, none = {NULL, 0};
    name.text = "n\0l";
    name.size = 3;
    (void)hotel_baggage_set(&b, "a", "1", NULL);
    (void)hotel_baggage_set(&b, "with blank", "2", NULL);
    (void)hotel_baggage_set(&b, "caf\xC3\xA9", "3", NULL);
    (void)hotel_baggage_set(&b, "x=y", "4", NULL);
    (void)hotel_baggage_set_n(&b, name, none, none);
    (void)hotel_baggage_set(&b, "b", "5", NULL);
    is_str(header_of(&b), "a=1,b=5", "WB-08 names that are no tokens are left out");
    hotel_baggage_clear(&b);
    (void)hotel_baggage_set(&b, "caf\xC3\xA9", "3", NULL);
    is_str(header_of(&b), "", "WB-10 nothing is left to send");
}

/* ---- Limits --------------------------------------------------------------------------------- */

static void test_members(void) {
    char header[1000], name[16];
    size_t i, used = 0;
    hotel_baggage b = fresh(65 * 20);
    for (i = 0; i < 65; i++) {
        (void)snprintf(name, sizeof name, "k%u", (unsigned)i);
        if (!hotel_baggage_set(&b, name, "v", NULL)) ok(false, "room for 65");
        used += (size_t)snprintf(header + used, sizeof header - used, "%s%s=v", i > 0 ? "," : "",
                                 name);
    }
    is_int(b.count, 65, "BG-01 the container holds more than can be sent");
    is_int(strlen(header_of(&b)), strlen(header) - strlen(",k64=v"), "WB-06 64 members are sent");
    ok(strncmp(header_of(&b), header, strlen(header_of(&b))) == 0, "WB-06 the first ones, whole");
    hotel_baggage_clear(&b);
    is_int(hotel_baggage_parse(&b, header, strlen(header)), 64, "WB-06 64 members are taken");
    is_int(b.dropped, 1, "WB-06 the 65th is dropped");
    ok(hotel_baggage_get(&b, "k63") != NULL && hotel_baggage_get(&b, "k64") == NULL,
       "WB-06 it is the last one");
}

static void test_bytes(void) {
    static char value[9000], header[20000];
    hotel_baggage b = fresh(9000);
    size_t i, used = 0;
    memset(value, 'v', sizeof value);
    value[8192 - 2] = '\0';
    ok(hotel_baggage_set(&b, "k", value, NULL), "a value that fills a header");
    is_int(strlen(header_of(&b)), 8192, "WB-06 8192 bytes are sent");
    hotel_baggage_clear(&b);
    value[8192 - 2] = 'v';
    value[8192 - 1] = '\0';
    (void)hotel_baggage_set(&b, "k", value, NULL);
    (void)hotel_baggage_set(&b, "small", "1", NULL);
    is_str(header_of(&b), "small=1", "WB-06 a member beyond that is left out, whole");
    hotel_baggage_clear(&b);
    value[4000] = '\0';
    (void)hotel_baggage_set(&b, "a", value, NULL);
    (void)hotel_baggage_set(&b, "b", value + 1, NULL);
    (void)hotel_baggage_set(&b, "c", "1", NULL);
    ok(strstr(header_of(&b), ",c=1") != NULL, "WB-06 two long ones and a short one fit");

    /* The worst that 8192 bytes can hold, in the memory that is said to be enough. */
    for (i = 0; i < 64; i++) {
        used += (size_t)snprintf(header + used, sizeof header - used, "%s%c%c=", i > 0 ? "," : "",
                                 (int)('A' + i / 26), (int)('a' + i % 26));
    }
    memset(header + used, 'v', 8192 - used);
    {
        hotel_baggage all = fresh(HOTEL_BAGGAGE_BYTES);
        is_int(hotel_baggage_parse(&all, guard_copy(1, header, 8192), 8192), 64,
               "WB-06 64 members in 8192 bytes are taken");
        is_int(strlen(header_of(&all)), 8192, "WB-06 and sent");
        is_mem(header_of(&all), 8192, header, 8192, "WB-06 as they came");
    }
    for (i = used = 0; i < 50; i++) {
        used += (size_t)snprintf(header + used, sizeof header - used, "%sk%u=%.300s",
                                 i > 0 ? "," : "", (unsigned)i, value);
    }
    {
        hotel_baggage some = fresh(HOTEL_BAGGAGE_BYTES);
        size_t taken = hotel_baggage_parse(&some, header, used);
        ok(taken >= 8192 / 320 && taken < 50, "WB-06 of more than that, %u are taken",
           (unsigned)taken);
        is_int(some.count, taken, "WB-06 they are in it");
        is_int(some.dropped, 50 - taken, "WB-06 the rest is dropped by whole members");
        ok(strlen(hotel_baggage_get(&some, "k0")) == 300, "WB-06 none is cut");
    }
}

/* ---- B3, OTEL_PROPAGATORS ------------------------------------------------------------------- */

#define B3_TRACE "463ac35c9f6413ad48485a3953bb6124"
#define B3_SPAN "0020000000000001"

typedef struct b3_row {
    const char *text;
    int flags;  /* -1: refused */
    bool debug;
} b3_row;

static const b3_row b3_rows[] = {
    {B3_TRACE "-" B3_SPAN "-1", 1, false},
    {B3_TRACE "-" B3_SPAN "-0", 0, false},
    {B3_TRACE "-" B3_SPAN "-d", 1, true},
    {B3_TRACE "-" B3_SPAN, 0, false},
    {B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b90", 1, false},
    {"463AC35C9F6413AD48485A3953BB6124-" B3_SPAN "-1", 1, false},
    {B3_TRACE "-" B3_SPAN "-", -1, false},
    {B3_TRACE "-" B3_SPAN "-2", -1, false},
    {B3_TRACE "-" B3_SPAN "-true", -1, false},
    {B3_TRACE "-" B3_SPAN "-1-", -1, false},
    {B3_TRACE "-" B3_SPAN "-1-05e3", -1, false},
    {B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b90-x", -1, false},
    {B3_TRACE "-" B3_SPAN "-1-05e3ac9a4f6e3b9z", -1, false},
    {B3_TRACE "-002000000000000-1", -1, false},
    {B3_TRACE "-00200000000000011-1", -1, false},
    {B3_TRACE "1-" B3_SPAN "-1", -1, false},
    {"463ac35c9f6413ad48485a3953bb612-" B3_SPAN "-1", -1, false},
    {"x63ac35c9f6413ad48485a3953bb6124-" B3_SPAN "-1", -1, false},
    {"00000000000000000000000000000000-" B3_SPAN "-1", -1, false},
    {B3_TRACE "-0000000000000000-1", -1, false},
    {B3_TRACE, -1, false},
    {"-", -1, false},
    {"---", -1, false},
    {"", -1, false},
};

static void test_b3(void) {
    hotel_span_context got;
    char hex[33];
    size_t i;
    for (i = 0; i < COUNT(b3_rows); i++) {
        const b3_row *r = &b3_rows[i];
        size_t size = strlen(r->text);
        bool good = hoteli_b3_parse(guard_copy(1, r->text, size), size, &got);
        if (r->flags < 0) {
            ok(!good, "CP-10 refuses \"%s\"", r->text);
            continue;
        }
        hotel_trace_id_hex(&got, hex);
        ok(good && strcmp(hex, B3_TRACE) == 0 && got.trace_flags == r->flags && got.is_remote &&
               (got.reserved[0] != 0) == r->debug,
           "CP-10 accepts \"%s\"", r->text);
    }
    ok(hoteli_b3_parse("48485a3953bb6124-" B3_SPAN "-1", 35, &got), "CP-10 a 64-bit trace ID");
    hotel_trace_id_hex(&got, hex);
    is_str(hex, "000000000000000048485a3953bb6124", "CP-10 is the lower half");
}

typedef struct list_row {
    const char *value;
    unsigned list; /* four bits each, the first the lowest */
    bool none;
    const char *unknown;
} list_row;

static const list_row lists[] = {
    {"tracecontext,baggage", 0x21, false, ""},
    {"baggage,tracecontext", 0x12, false, ""},
    {"b3", 3, false, ""},
    {"b3multi", 4, false, ""},
    {"b3multi,b3,baggage,tracecontext", 0x1234, false, ""},
    {" TraceContext ,\tBAGGAGE,", 0x21, false, ""},
    {"b3,b3,tracecontext,B3", 0x13, false, ""},
    {"none", 0, true, ""},
    {"None", 0, true, ""},
    {"none,b3", 3, true, ""},
    {"jaeger,b3,xray,ottrace", 3, false, "\"jaeger\", \"xray\", \"ottrace\""},
    {"b33,trace,b", 0, false, "\"b33\", \"trace\", \"b\""},
    {"", 0, false, ""},
    {",,", 0, false, ""},
};

static void test_propagator_lists(void) {
    size_t i;
    for (i = 0; i < COUNT(lists); i++) {
        const list_row *r = &lists[i];
        size_t size = strlen(r->value);
        char words[256];
        hoteli_text unknown;
        bool none = !r->none;
        uintptr_t got;
        hoteli_text_start(&unknown, words, sizeof words);
        got = hoteli_propagators_parse(guard_copy(1, r->value, size), size, &unknown, &none);
        is_int(got, r->list, "EV-05 \"%s\"", r->value);
        ok(none == r->none, "EV-05 \"%s\": none", r->value);
        is_str(words, r->unknown, "EV-05 \"%s\": unknown", r->value);
    }
}

/* ---- Names of variables --------------------------------------------------------------------- */

static void test_env_names(void) {
    static const char *const names[][2] = {
        {"traceparent", "TRACEPARENT"}, {"tracestate", "TRACESTATE"}, {"baggage", "BAGGAGE"},
        {"x-b3-traceid", "X_B3_TRACEID"}, {"My.Key/1", "MY_KEY_1"}, {"1st", "_1ST"},
        {"9", "_9"}, {"", "_"}, {"_", "_"}, {"A_B", "A_B"}, {"caf\xC3\xA9", "CAF_"},
        {"\xF0\x9F\x98\x80x", "_X"}, {"a=b", "A_B"}, {"a b", "A_B"}, {"\xFF\xFE", "__"}};
    char out[32];
    size_t i, room;
    for (i = 0; i < COUNT(names); i++) {
        size_t size = strlen(names[i][1]);
        is_int(hotel_env_name(names[i][0], out, sizeof out), size, "WC-06 \"%s\": size",
               names[i][0]);
        is_str(out, names[i][1], "WC-06 \"%s\"", names[i][0]);
        for (room = 0; room <= size; room++) {
            char *small = guard_room(2, room);
            if (hotel_env_name(names[i][0], small, room) != size ||
                (room > 0 && strlen(small) != room - 1)) {
                ok(false, "WC-06 \"%s\" with room for %u", names[i][0], (unsigned)room);
            }
        }
    }
    is_int(hotel_env_name(NULL, NULL, 0), 1, "SP-06 NULL is an empty name");
}

int main(void) {
    test_container();
    test_utf8();
    test_refused();
    test_room();
    test_parse();
    test_several_headers();
    test_format();
    test_names_not_sent();
    test_members();
    test_bytes();
    test_b3();
    test_propagator_lists();
    test_env_names();
    return done_testing();
}
