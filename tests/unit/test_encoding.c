/*
 * SPDX-License-Identifier: MIT
 *
 * Attributes as bytes: every kind of value against the bytes of the wire table, limits, repeated
 * keys, and the two ways of hashing a key.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* String literals, so that NUL bytes can be written: the size is that of the literal. */
#define BYTES(text) (text), (sizeof(text) - 1)

/* ---- attributes ----------------------------------------------------------------------------- */

/* What hoteli_write_attr makes of it: field 9 of a span. Measured and written size must agree. */
static void writes_within(const char *name, hotel_attr a, const hotel_limits *limits,
                          const char *want, size_t want_size) {
    size_t size = hoteli_field_size(hoteli_attr_size(&a, limits, 1));
    uint8_t *room;
    hoteli_cursor c;
    if (!is_int(size, want_size, "%s: %d bytes", name, (int)want_size)) return;
    room = (uint8_t *)guard_room(0, size);
    c = hoteli_cursor_flat(room, size);
    hoteli_write_attr(&c, HOTELI_TAG_ATTRIBUTE, &a, limits, 1);
    is_mem(room, (size_t)(c.at - room), want, want_size, "%s: and they are right", name);
}

static void writes(const char *name, hotel_attr a, const char *want, size_t want_size) {
    writes_within(name, a, &hoteli_unlimited, want, want_size);
}

static void test_scalars(void) {
    writes("SP-31 a string", hotel_str("k", "text"),
           BYTES("\x4a\x0b\x0a\x01k\x12\x06\x0a\x04text"));
    writes("SP-31 an empty string", hotel_str("k", ""), BYTES("\x4a\x07\x0a\x01k\x12\x02\x0a\x00"));
    writes("SP-31 true", hotel_bool("k", true), BYTES("\x4a\x07\x0a\x01k\x12\x02\x10\x01"));
    writes("SP-31 false", hotel_bool("k", false), BYTES("\x4a\x07\x0a\x01k\x12\x02\x10\x00"));
    writes("SP-31 0", hotel_int("k", 0), BYTES("\x4a\x07\x0a\x01k\x12\x02\x18\x00"));
    writes("SP-31 300", hotel_int("k", 300), BYTES("\x4a\x08\x0a\x01k\x12\x03\x18\xac\x02"));
    writes("SP-31 -1", hotel_int("k", -1),
           BYTES("\x4a\x10\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    writes("SP-31 the smallest integer", hotel_int("k", INT64_MIN),
           BYTES("\x4a\x10\x0a\x01k\x12\x0b\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    writes("SP-31 1.5", hotel_double("k", 1.5),
           BYTES("\x4a\x0e\x0a\x01k\x12\x09\x21\x00\x00\x00\x00\x00\x00\xf8\x3f"));
    writes("SP-31 -0.1", hotel_double("k", -0.1),
           BYTES("\x4a\x0e\x0a\x01k\x12\x09\x21\x9a\x99\x99\x99\x99\x99\xb9\xbf"));
    writes("SP-31 bytes", hotel_bytes("k", "\x00\xff", 2),
           BYTES("\x4a\x09\x0a\x01k\x12\x04\x3a\x02\x00\xff"));
    writes("SP-31 no value", hotel_empty("k"), BYTES("\x4a\x05\x0a\x01k\x12\x00"));
    writes("SP-31 a NULL string", hotel_str("k", NULL), BYTES("\x4a\x05\x0a\x01k\x12\x00"));
    writes("SP-31 NULL bytes", hotel_bytes("k", NULL, 7), BYTES("\x4a\x05\x0a\x01k\x12\x00"));
}

static void test_arrays(void) {
    static const char *const strings[] = {"a", NULL, ""};
    static const bool bools[] = {true, false};
    static const int64_t ints[] = {1, -1};
    static const double doubles[] = {2.0};
    hotel_value mixed[3];
    mixed[0] = hotel_of_str("x");
    mixed[1] = hotel_of_empty();
    mixed[2] = hotel_of_ints(ints, 1);
    writes("SP-31 strings", hotel_strs("k", strings, 3),
           BYTES("\x4a\x12\x0a\x01k\x12\x0d\x2a\x0b"
                 "\x0a\x03\x0a\x01" "a" "\x0a\x00" "\x0a\x02\x0a\x00"));
    writes("SP-31 bools", hotel_bools("k", bools, 2),
           BYTES("\x4a\x0f\x0a\x01k\x12\x0a\x2a\x08\x0a\x02\x10\x01\x0a\x02\x10\x00"));
    writes("SP-31 integers", hotel_ints("k", ints, 2),
           BYTES("\x4a\x18\x0a\x01k\x12\x13\x2a\x11\x0a\x02\x18\x01"
                 "\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    writes("SP-31 doubles", hotel_doubles("k", doubles, 1),
           BYTES("\x4a\x12\x0a\x01k\x12\x0d\x2a\x0b\x0a\x09\x21\x00\x00\x00\x00\x00\x00\x00\x40"));
    writes("SP-31 a mixed array", hotel_array("k", mixed, 3),
           BYTES("\x4a\x16\x0a\x01k\x12\x11\x2a\x0f"
                 "\x0a\x03\x0a\x01x" "\x0a\x00" "\x0a\x06\x2a\x04\x0a\x02\x18\x01"));
    writes("SP-31 an empty array", hotel_ints("k", ints, 0),
           BYTES("\x4a\x07\x0a\x01k\x12\x02\x2a\x00"));
    writes("SP-31 a NULL array", hotel_ints("k", NULL, 2), BYTES("\x4a\x05\x0a\x01k\x12\x00"));
}

static void test_maps(void) {
    hotel_attr entries[5];
    entries[0] = hotel_int("a", 1);
    entries[1] = hotel_int("b", 2);
    entries[2] = hotel_int("a", 3);
    entries[3] = hotel_int("", 4);
    entries[4] = hotel_int(NULL, 5);
    writes("SP-33 a map: the last value of a key at its first place, no empty keys",
           hotel_map("k", entries, 5),
           BYTES("\x4a\x19\x0a\x01k\x12\x14\x32\x12"
                 "\x0a\x07\x0a\x01" "a" "\x12\x02\x18\x03" "\x0a\x07\x0a\x01" "b"
                 "\x12\x02\x18\x02"));
    writes("SP-31 an empty map", hotel_map("k", entries, 0),
           BYTES("\x4a\x07\x0a\x01k\x12\x02\x32\x00"));
}

static void test_unknown_type(void) {
    hotel_attr a = hotel_str("k", "text");
    a.value.type = (hotel_type)(HOTEL_TYPE_MAP + 1);
    writes("a value of no known type is the empty one", a, BYTES("\x4a\x05\x0a\x01k\x12\x00"));
}

static void test_text(void) {
    uintptr_t before = hoteli_load(&hoteli_g.repaired);
    writes("SP-41 a key that is not UTF-8 is repaired", hotel_bool("a\xff", true),
           BYTES("\x4a\x0a\x0a\x04" "a\xef\xbf\xbd" "\x12\x02\x10\x01"));
    writes("SP-41 a string that is not UTF-8 is bytes", hotel_str("k", "\xc3("),
           BYTES("\x4a\x09\x0a\x01k\x12\x04\x3a\x02\xc3("));
    is_int(hoteli_load(&hoteli_g.repaired) - before, 2, "SP-41 both are counted");
}

static void test_limits(void) {
    static const int64_t one[] = {1};
    hotel_limits limits = hoteli_unlimited;
    hotel_value inner = hotel_of_ints(one, 1);
    limits.attribute_value_length = 2;
    writes_within("SP-35 two characters of a string", hotel_str("k", "\xc3\xa4\xc3\xb6\xc3\xbc"),
                  &limits, BYTES("\x4a\x0b\x0a\x01k\x12\x06\x0a\x04\xc3\xa4\xc3\xb6"));
    writes_within("SP-35 two bytes of bytes", hotel_bytes("k", "\x01\x02\x03", 3), &limits,
                  BYTES("\x4a\x09\x0a\x01k\x12\x04\x3a\x02\x01\x02"));
    limits = hoteli_unlimited;
    limits.attribute_value_depth = 1;
    writes_within("SP-36 an array in an array is one too many", hotel_array("k", &inner, 1),
                  &limits, BYTES("\x4a\x09\x0a\x01k\x12\x04\x2a\x02\x0a\x00"));
    limits.attribute_value_depth = 0;
    writes_within("SP-36 no array at all", hotel_array("k", &inner, 1), &limits,
                  BYTES("\x4a\x05\x0a\x01k\x12\x00"));
}

/* Lengths around those where one more byte is needed to tell them, of an array's elements. */
static void test_lengths(void) {
    static const size_t sizes[] = {0, 1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129,
                                   16370, 16376, 16378, 16380, 16382, 16383, 16384, 16385};
    char *text = (char *)malloc(16400);
    size_t i;
    if (text == NULL) abort();
    memset(text, 'x', 16400);
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        hotel_value inner = hotel_of_strn(text, sizes[i]);
        hotel_attr a = hotel_array("k", &inner, 1);
        size_t string = hoteli_field_size(sizes[i]), element = hoteli_field_size(string);
        size_t array = hoteli_field_size(element);
        size_t size = hoteli_field_size(3 + hoteli_field_size(array));
        uint8_t *room = (uint8_t *)guard_room(0, size);
        hoteli_cursor c = hoteli_cursor_flat(room, size);
        uint64_t value_size = 0, array_size = 0;
        const uint8_t *at = room + 1, *end = room + size;
        hoteli_write_attr(&c, HOTELI_TAG_ATTRIBUTE, &a, &hoteli_unlimited, 1);
        (void)hoteli_varint_read(&at, end, &value_size);
        at += 4; /* the key, and the tag of the value */
        (void)hoteli_varint_read(&at, end, &value_size);
        at++;
        (void)hoteli_varint_read(&at, end, &array_size);
        ok(c.at == end && value_size == array && array_size == element &&
               (size_t)(end - at) == element,
           "an array around a string of %d bytes is told to have %d", (int)sizes[i], (int)element);
    }
    free(text);
}

/* Measuring ends at 64 MiB: values that contain themselves many times over take no time. */
static void test_explosions(void) {
    enum { DEPTH = 100 };
    static hotel_value arrays[DEPTH][2];
    static hotel_attr maps[DEPTH][2];
    hotel_value array = hotel_of_str("x"), map = array;
    int i;
    for (i = 0; i < DEPTH; i++) {
        arrays[i][0] = arrays[i][1] = array;
        array = hotel_of_array(arrays[i], 2);
        maps[i][0] = hotel_attrn("a", 1, map);
        maps[i][1] = hotel_attrn("b", 1, map);
        map = hotel_of_map(maps[i], 2);
    }
    ok(hoteli_value_size(&array, &hoteli_unlimited, 1) > HOTELI_MAX_VALUE,
       "an array of 2^%d strings is too large", DEPTH);
    ok(hoteli_value_size(&map, &hoteli_unlimited, 1) > HOTELI_MAX_VALUE,
       "a map of 2^%d strings is too large", DEPTH);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void same(const char *a, size_t a_size, const char *b, size_t b_size, bool want) {
    const char *x = guard_copy(0, a, a_size), *y = guard_copy(1, b, b_size);
    ok(hoteli_same_text(x, a_size, y, b_size) == want, "SP-41 \"%s\" and \"%s\" are %s", a, b,
       want ? "the same key" : "different keys");
    ok(hoteli_same_text(y, b_size, x, a_size) == want, "SP-41 and the other way round");
}

static void test_same_text(void) {
    same(BYTES(""), BYTES(""), true);
    same(BYTES("a"), BYTES("a"), true);
    same(BYTES("a"), BYTES("b"), false);
    same(BYTES("a"), BYTES("ab"), false);
    same(BYTES(""), BYTES("\xff"), false);
    same(BYTES("\xff"), BYTES("\xfe"), true);
    same(BYTES("\xff"), BYTES("\xef\xbf\xbd"), true);
    same(BYTES("a\xff"), BYTES("a\xff"), true);
    ok(!hoteli_same_text(NULL, 0, "a", 1) && !hoteli_same_text("a", 1, NULL, 0) &&
           !hoteli_same_text(NULL, 0, NULL, 0),
       "SP-41 what is no text at all is like nothing");
    same(BYTES("a\xff"), BYTES("b\xff"), false);
    same(BYTES("a\xff"), BYTES("a"), false);
    same(BYTES("a\xff"), BYTES("a\xff" "b"), false);
    same(BYTES("\xff"), BYTES("a"), false);
    same(BYTES("\xff"), BYTES("\xc3\xa4"), false);
    same(BYTES("\xff"), BYTES("\xe2\x82\xac"), false);
}

/* A key has one hash, whether it lies in one piece or is read from a span. */
static void test_hashes(void) {
    char key[200];
    size_t size, at, num_wrong = 0, num_other = 0;
    for (at = 0; at < sizeof key; at++) key[at] = (char)('a' + at % 26);
    for (size = 0; size <= sizeof key; size++) {
        const uint8_t *exact = (const uint8_t *)guard_copy(0, key, size);
        unsigned hash = hoteli_key_hash(exact, size);
        num_wrong += hash != hoteli_key_hash_at(hoteli_cursor_flat(exact, size), size);
        num_wrong += hash > 0xffff;
    }
    is_int(num_wrong, 0, "the hash of a key of 0 to 200 bytes");
    num_wrong = 0;
    for (size = 1; size <= sizeof key; size++) {
        for (at = 0; at < size; at++) {
            uint8_t *exact = (uint8_t *)guard_room(0, size);
            memcpy(exact, key, size);
            exact[at] |= 0x80;
            num_other += hoteli_key_hash(exact, size) == HOTELI_OTHER_KEY;
            num_wrong += hoteli_key_hash_at(hoteli_cursor_flat(exact, size), size) !=
                         HOTELI_OTHER_KEY;
        }
    }
    is_int(num_wrong, 0, "keys with a byte beyond ASCII anywhere share one hash");
    is_int(num_other, 200 * 201 / 2, "as do those in one piece");
}

/* More keys than the filter tells apart: each comes once all the same. */
static void test_many_keys(void) {
    enum { NUM = 1200, DISTINCT = 1000 };
    static char names[NUM][8];
    static hotel_attr list[NUM];
    const hotel_attr *a;
    hoteli_unique u;
    size_t i, num = 0, num_wrong = 0;
    for (i = 0; i < NUM; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", (int)(i % DISTINCT));
        list[i] = hotel_int(names[i], (int64_t)i);
    }
    hoteli_unique_start(&u, list, 1010);
    while ((a = hoteli_unique_next(&u)) != NULL) {
        num_wrong += a->value.as.integer != (int64_t)(num < 10 ? num + DISTINCT : num);
        num++;
    }
    is_int(num, DISTINCT, "SP-33 every key comes once");
    is_int(num_wrong, 0, "SP-33 with its last value");
    hoteli_unique_start(&u, list, NUM);
    for (num = 0; (a = hoteli_unique_next(&u)) != NULL; num++) {
        num_wrong += a->value.as.integer >= (int64_t)HOTELI_MAX_ENTRIES;
    }
    ok(num == DISTINCT && num_wrong == 0, "of a longer list the first %d entries count",
       (int)HOTELI_MAX_ENTRIES);
    list[0] = hotel_int(NULL, 0);
    list[1] = list[2] = hotel_int("twice", 1);
    hoteli_unique_start(&u, list, 3);
    ok((a = hoteli_unique_next(&u)) == &list[2] && hoteli_unique_next(&u) == NULL,
       "SP-33 entries without a key are passed over");
    hoteli_unique_start(&u, NULL, 3);
    ok(hoteli_unique_next(&u) == NULL, "of a NULL list none");
}

int main(void) {
    test_scalars();
    test_arrays();
    test_maps();
    test_unknown_type();
    test_text();
    test_limits();
    test_lengths();
    test_explosions();
    test_same_text();
    test_hashes();
    test_many_keys();
    return done_testing();
}
