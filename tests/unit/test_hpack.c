/*
 * SPDX-License-Identifier: MIT
 *
 * HPACK, read and written. Every example of RFC 7541, appendix C, is decoded with its table looked
 * at after each block, cut at every byte, and damaged in every byte in every way. Blocks lie
 * directly before a forbidden page.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

enum { MAX_BLOCK = 65536, MAX_TEXT = 1 << 17 };

/* ---- Blocks, decoded to text ----------------------------------------------------------------- */

/* A field a line, "name: value". */
typedef struct text {
    size_t size;
    int num_fields;
    char bytes[MAX_TEXT];
} text;

static void add_field(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    text *t = (text *)user_data;
    if (t->size + name_size + value_size + 4 > sizeof t->bytes) abort();
    memcpy(t->bytes + t->size, name, name_size);
    t->size += name_size;
    memcpy(t->bytes + t->size, ": ", 2);
    memcpy(t->bytes + t->size + 2, value, value_size);
    t->size += value_size + 2;
    t->bytes[t->size++] = '\n';
    t->bytes[t->size] = 0;
    t->num_fields++;
}

static void clear(text *t) {
    t->size = 0;
    t->num_fields = 0;
    t->bytes[0] = 0;
}

static size_t unhex(const char *hex, uint8_t *out) {
    size_t used = 0;
    for (; *hex != 0; hex++) {
        if (*hex == ' ') continue;
        out[used++] = (uint8_t)(hoteli_hex_digit(hex[0]) * 16 + hoteli_hex_digit(hex[1]));
        hex++;
    }
    return used;
}

static bool decode_bytes(hoteli_hpack *h, const uint8_t *bytes, size_t size, text *fields) {
    const uint8_t *block = (const uint8_t *)guard_copy(0, bytes, size);
    clear(fields);
    return hoteli_hpack_decode(h, block, size, add_field, fields);
}

static bool decode(hoteli_hpack *h, const char *hex, text *fields) {
    static uint8_t bytes[MAX_BLOCK];
    return decode_bytes(h, bytes, unhex(hex, bytes), fields);
}

/* The dynamic table as the RFC shows it, the newest entry first. */
static void describe_table(const hoteli_hpack *h, text *t) {
    size_t i;
    clear(t);
    for (i = 1; i <= h->num_entries; i++) {
        hoteli_pair field;
        if (!hoteli_hpack_find(h, HOTELI_HPACK_STATIC + i, &field)) abort();
        add_field(t, field.key, field.key_size, field.value, field.value_size);
    }
}

/* What holds of every table, whatever was decoded. */
static bool is_sound(const hoteli_hpack *h) {
    size_t at = 0, size = 0, i;
    hoteli_pair field;
    if (h->max_size > 4096 || h->size > h->max_size) return false;
    for (i = 0; i < h->num_entries; i++) {
        if (at + 4 > h->used) return false;
        at = hoteli_hpack_entry(h, at, &field);
        size += field.key_size + field.value_size + 32;
    }
    return at == h->used && size == h->size && !hoteli_hpack_find(h, 62 + i, &field);
}

/* ---- Appendix C ------------------------------------------------------------------------------ */

typedef struct example {
    const char *name; /* NULL: the next block of the same connection */
    const char *block;
    const char *fields;
    const char *table;
    int table_size;
} example;

#define DATE_21 "date: Mon, 21 Oct 2013 20:13:21 GMT\n"
#define DATE_22 "date: Mon, 21 Oct 2013 20:13:22 GMT\n"
#define LOCATION "location: https://www.example.com\n"
#define COOKIE "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n"
#define GET ":method: GET\n"
#define AUTHORITY ":authority: www.example.com\n"

static const example examples[] = {
    {"C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
     "custom-key: custom-header\n", "custom-key: custom-header\n", 55},
    {"C.2.2", "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", "", 0},
    {"C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n", "", 0},
    {"C.2.4", "82", GET, "", 0},
    {"C.3.1", "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
     GET ":scheme: http\n:path: /\n" AUTHORITY, AUTHORITY, 57},
    {NULL, "8286 84be 5808 6e6f 2d63 6163 6865",
     GET ":scheme: http\n:path: /\n" AUTHORITY "cache-control: no-cache\n",
     "cache-control: no-cache\n" AUTHORITY, 110},
    {NULL, "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
     GET ":scheme: https\n:path: /index.html\n" AUTHORITY "custom-key: custom-value\n",
     "custom-key: custom-value\ncache-control: no-cache\n" AUTHORITY, 164},
    {"C.4.1", "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
     GET ":scheme: http\n:path: /\n" AUTHORITY, AUTHORITY, 57},
    {NULL, "8286 84be 5886 a8eb 1064 9cbf",
     GET ":scheme: http\n:path: /\n" AUTHORITY "cache-control: no-cache\n",
     "cache-control: no-cache\n" AUTHORITY, 110},
    {NULL, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
     GET ":scheme: https\n:path: /index.html\n" AUTHORITY "custom-key: custom-value\n",
     "custom-key: custom-value\ncache-control: no-cache\n" AUTHORITY, 164},
    // C.5 and C.6 have a table of 256 bytes, which 3fe101 says in front of them.
    {"C.5.1",
     "3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133"
     "2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65"
     "2e63 6f6d",
     ":status: 302\ncache-control: private\n" DATE_21 LOCATION,
     LOCATION DATE_21 "cache-control: private\n:status: 302\n", 222},
    {NULL, "4803 3330 37c1 c0bf", ":status: 307\ncache-control: private\n" DATE_21 LOCATION,
     ":status: 307\n" LOCATION DATE_21 "cache-control: private\n", 222},
    {NULL,
     "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0"
     "5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851"
     "5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
     ":status: 200\ncache-control: private\n" DATE_22 LOCATION "content-encoding: gzip\n" COOKIE,
     COOKIE "content-encoding: gzip\n" DATE_22, 215},
    {"C.6.1",
     "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6"
     "2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
     ":status: 302\ncache-control: private\n" DATE_21 LOCATION,
     LOCATION DATE_21 "cache-control: private\n:status: 302\n", 222},
    {NULL, "4883 640e ffc1 c0bf", ":status: 307\ncache-control: private\n" DATE_21 LOCATION,
     ":status: 307\n" LOCATION DATE_21 "cache-control: private\n", 222},
    {NULL,
     "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad"
     "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160"
     "65c0 03ed 4ee5 b106 3d50 07",
     ":status: 200\ncache-control: private\n" DATE_22 LOCATION "content-encoding: gzip\n" COOKIE,
     COOKIE "content-encoding: gzip\n" DATE_22, 215},
};

enum { NUM_EXAMPLES = sizeof examples / sizeof *examples };

static void test_examples(void) {
    static hoteli_hpack h;
    static text got;
    const char *name = "";
    int i, block = 0;
    for (i = 0; i < NUM_EXAMPLES; i++) {
        const example *e = &examples[i];
        block++;
        if (e->name != NULL) {
            name = e->name;
            block = 1;
            hoteli_hpack_start(&h);
        }
        ok(decode(&h, e->block, &got), "RFC 7541 %s, block %d is decoded", name, block);
        is_str(got.bytes, e->fields, "RFC 7541 %s, block %d: fields", name, block);
        describe_table(&h, &got);
        is_str(got.bytes, e->table, "RFC 7541 %s, block %d: table", name, block);
        is_int(h.size, e->table_size, "RFC 7541 %s, block %d: its size", name, block);
        ok(is_sound(&h), "RFC 7541 %s, block %d: its form", name, block);
    }
}

/* A cut block gives the fields before the cut, and is refused unless it is cut between fields. */
static void check_cuts(const hoteli_hpack *before, const uint8_t *bytes, size_t size, int number) {
    static hoteli_hpack h;
    static text whole, part;
    size_t cut;
    int num_wrong = 0, num_good = 0, num_updates = bytes[0] == 0x3F;
    h = *before;
    (void)decode_bytes(&h, bytes, size, &whole);
    for (cut = 0; cut < size; cut++) {
        h = *before;
        num_good += decode_bytes(&h, bytes, cut, &part);
        num_wrong += part.size >= whole.size || memcmp(part.bytes, whole.bytes, part.size) != 0;
        num_wrong += !is_sound(&h);
    }
    is_int(num_wrong, 0, "example %d, cut at %u places: what is before the cut", number,
           (unsigned)size);
    is_int(num_good, whole.num_fields + num_updates, "example %d is good cut between fields only",
           number);
}

static void check_damage(const hoteli_hpack *before, uint8_t *bytes, size_t size, int number) {
    static hoteli_hpack h;
    static text got, again;
    size_t i;
    int value, num_wrong = 0, num_refused = 0;
    for (i = 0; i < size; i++) {
        uint8_t saved = bytes[i];
        for (value = 0; value < 256; value++) {
            bool good;
            bytes[i] = (uint8_t)value;
            h = *before;
            good = decode_bytes(&h, bytes, size, &got);
            num_refused += !good;
            num_wrong += !is_sound(&h);
            h = *before;
            num_wrong += decode_bytes(&h, bytes, size, &again) != good || got.size != again.size ||
                         memcmp(got.bytes, again.bytes, got.size) != 0;
        }
        bytes[i] = saved;
    }
    is_int(num_wrong, 0, "example %d, every byte damaged in every way: the table stays sound",
           number);
    ok(num_refused > 0, "example %d: %d of these %u blocks are refused", number, num_refused,
       (unsigned)size * 256);
}

static void test_damaged_examples(void) {
    static hoteli_hpack h, before;
    static text got;
    int i;
    for (i = 0; i < NUM_EXAMPLES; i++) {
        static uint8_t bytes[MAX_BLOCK];
        size_t size = unhex(examples[i].block, bytes);
        if (examples[i].name != NULL) hoteli_hpack_start(&h);
        before = h;
        check_cuts(&before, bytes, size, i);
        check_damage(&before, bytes, size, i);
        (void)decode_bytes(&h, bytes, size, &got);
    }
}

/* ---- Integers -------------------------------------------------------------------------------- */

static void check_int(const char *name, const char *hex, int bits, long long want) {
    uint8_t bytes[16];
    size_t size = unhex(hex, bytes), value = 0, cut;
    const uint8_t *start = (const uint8_t *)guard_copy(0, bytes, size), *cursor = start;
    int num_wrong = 0;
    is_int(hoteli_hpack_int(&cursor, start + size, bits, &value) ? (long long)value : -1, want,
           "integer %s (%s)", name, hex);
    for (cut = 0; cut < size; cut++) {
        start = cursor = (const uint8_t *)guard_copy(0, bytes, cut);
        num_wrong += hoteli_hpack_int(&cursor, start + cut, bits, &value);
    }
    is_int(num_wrong, 0, "integer %s (%s): none when cut", name, hex);
}

static void test_integers(void) {
    static const size_t values[] = {0,   1,   30,    31,    32,      126,     127,       128,
                                    158, 159, 16414, 16415, 2097182, 2097183, 268435455, 268435455};
    size_t i;
    int bits;
    check_int("C.1.1", "0a", 5, 10);
    check_int("C.1.1, other bits set", "ea", 5, 10);
    check_int("C.1.2", "1f9a0a", 5, 1337);
    check_int("C.1.3", "2a", 8, 42);
    check_int("that just fills the prefix", "1f00", 5, 31);
    check_int("with zeros behind it", "7f81808000", 7, 128);
    check_int("with five bytes behind it", "7f8180808000", 7, -1);
    check_int("that is the largest", "7fffffff7f", 7, 127 + (1 << 28) - 1);
    check_int("of 32 bits", "7f80ffffff0f", 7, -1);
    check_int("that never ends", "7fffffffffffffffffffffffff", 7, -1);
    for (i = 0; i < sizeof values / sizeof *values; i++) {
        int num_wrong = 0;
        for (bits = 4; bits <= 7; bits++) {
            char out[8];
            const uint8_t *cursor = (const uint8_t *)out;
            size_t back = 0;
            hoteli_sink sink;
            sink.out = out;
            sink.size = 0;
            hoteli_hpack_put_int(&sink, 0, bits, values[i]);
            num_wrong += sink.size > 6 ||
                         !hoteli_hpack_int(&cursor, cursor + sink.size, bits, &back) ||
                         back != values[i] || cursor != (const uint8_t *)out + sink.size;
        }
        is_int(num_wrong, 0, "integer %u, written and read", (unsigned)values[i]);
    }
}

/* ---- Huffman code ---------------------------------------------------------------------------- */

/* Appendix B: the bits of each symbol's code, and the codes, which follow from them: they count up
   from the shortest, those of the same size in the order of the symbols. */
static const uint8_t code_bits[256] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,
    7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26};
static uint32_t codes[256];

static void make_codes(void) {
    uint32_t code = 0;
    int bits, symbol;
    for (bits = 1; bits <= 30; bits++) {
        code <<= 1;
        for (symbol = 0; symbol < 256; symbol++) {
            if (code_bits[symbol] == bits) codes[symbol] = code++;
        }
    }
    is_int(codes['0'], 0, "Huffman: the code of '0'");
    is_int(codes['~'], 0x1ffd, "Huffman: the code of '~'");
    is_int(codes[249], 0xffffffe, "Huffman: the code of 249");
    is_int(codes[22], 0x3ffffffe, "Huffman: the code of 22, the last but EOS");
}

/* Packs the codes and pads them with ones. */
static size_t pack(const uint8_t *symbols, size_t size, uint8_t *out) {
    size_t i, used = 0;
    for (i = 0; i < size; i++) {
        int bit;
        for (bit = code_bits[symbols[i]] - 1; bit >= 0; bit--, used++) {
            if (used % 8 == 0) out[used / 8] = 0xFF;
            if ((codes[symbols[i]] >> bit & 1) == 0) {
                out[used / 8] = (uint8_t)(out[used / 8] & ~(0x80 >> used % 8));
            }
        }
    }
    return (used + 7) / 8;
}

static bool unpacks(const uint8_t *packed, size_t packed_size, const uint8_t *want, size_t size) {
    const uint8_t *input = (const uint8_t *)guard_copy(0, packed, packed_size);
    char *out = guard_room(1, size);
    size_t out_size = 0;
    return hoteli_hpack_huffman(input, packed_size, out, size, &out_size) && out_size == size &&
           (size == 0 || memcmp(out, want, size) == 0);
}

static void test_huffman(void) {
    static uint8_t symbols[65536], packed[4 * 65536];
    uint8_t ones[5] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t random = 1;
    size_t size, out_size = 0, i;
    int symbol, num_wrong = 0;
    char out[8];
    make_codes();
    for (symbol = 0; symbol < 256; symbol++) {
        symbols[0] = symbols[1] = (uint8_t)symbol;
        num_wrong += !unpacks(packed, pack(symbols, 1, packed), symbols, 1);
        num_wrong += !unpacks(packed, pack(symbols, 2, packed), symbols, 2);
    }
    is_int(num_wrong, 0, "Huffman: each of 256 symbols, once and twice");
    for (i = 0; i < sizeof symbols; i++) {
        symbols[i] = (uint8_t)((random = random * 1103515245u + 12345u) >> 16);
    }
    num_wrong = 0;
    for (i = 0; i < 2000; i++) {
        size = i % 40;
        num_wrong += !unpacks(packed, pack(symbols + 31 * i, size, packed), symbols + 31 * i, size);
    }
    is_int(num_wrong, 0, "Huffman: 2,000 random texts");
    size = pack(symbols, sizeof symbols, packed);
    ok(unpacks(packed, size, symbols, sizeof symbols), "Huffman: a text of 64 KiB");
    ok(hoteli_hpack_huffman(packed, size, out, 3, &out_size) && out_size == sizeof symbols &&
           memcmp(out, symbols, 3) == 0,
       "Huffman: a text of 64 KiB for which there are three bytes");
    for (symbol = num_wrong = 0; symbol < 256; symbol++) {
        symbols[0] = (uint8_t)symbol;
        (void)pack(symbols, 1, packed);
        for (size = 1; 8 * (int)size < code_bits[symbol]; size++) {
            num_wrong += hoteli_hpack_huffman(packed, size, out, sizeof out, &out_size);
        }
    }
    is_int(num_wrong, 0, "Huffman: no symbol that is cut between bytes");
    for (size = 1; size <= 5; size++) {
        ok(!hoteli_hpack_huffman(ones, size, out, sizeof out, &out_size), "Huffman: %u ones",
           (unsigned)size * 8);
    }
}

/* ---- Blocks that are refused, and some that are not ------------------------------------------ */

typedef struct block {
    const char *name;
    const char *hex;
    const char *fields; /* of a block that is good, else NULL */
} block;

static const block blocks[] = {
    {"nothing", "", ""},
    {"index 0", "80", NULL},
    {"index 61, the last of the static table", "bd", "www-authenticate: \n"},
    {"index 62 of an empty table", "be", NULL},
    {"index 63 with one entry", "4001610162 bf", NULL},
    {"index 62 with one entry", "4001610162 be", "a: b\na: b\n"},
    {"an index that is cut", "ff", NULL},
    {"an index of 36 bits", "ffffffffffff7f", NULL},
    {"index 0 with zeros behind it", "ff8080808000", NULL},
    {"the name of index 62 of an empty table, added", "7e0161", NULL},
    {"the name of index 62 of an empty table, not added", "0f2f0161", NULL},
    {"the name of index 62 of an empty table, never indexed", "1f2f0161", NULL},
    {"a name without a value", "400161", NULL},
    {"a value that is cut", "400161 036161", NULL},
    {"no name", "00", NULL},
    {"an empty name and value", "000000", ": \n"},
    {"an empty name and value, Huffman", "008080", ": \n"},
    {"a name longer than the block", "007f", NULL},
    {"a value longer than the block", "000161 7f", NULL},
    {"a value as long as all memory", "000161 7fffffffff0f", NULL},
    {"padding with a zero", "0001618118", NULL},
    {"padding with ones", "000161811f", "a: a\n"},
    {"padding of seven ones", "00016184 18c631ff", "a: aaaaa\n"},
    {"padding of six ones and a zero", "00016184 18c631fe", NULL},
    {"padding of eight ones", "00016186 18c6318c63ff", NULL},
    {"padding of fifteen ones", "00016185 18c631ffff", NULL},
    {"EOS", "00016184 ffffffff", NULL},
    {"EOS behind a symbol", "00016185 1fffffffff", NULL},
    {"half a symbol", "00016181 fe", NULL},
    {"a table of 4096 bytes", "3fe11f", ""},
    {"a table of 4097 bytes", "3fe21f", NULL},
    {"a table of 0 bytes", "20", ""},
    {"a table of 0 bytes, then of 4096", "20 3fe11f 82", GET},
    {"three sizes of the table", "20 21 22 82", GET},
    {"a size of the table behind a field", "82 20", NULL},
    {"a size of the table between fields", "82 20 82", NULL},
    {"a size of the table that is cut", "3f", NULL},
    {"a size of the table of 36 bits", "3fffffffff7f", NULL},
    {"an entry in a table of 0 bytes", "20 4001610162 be", NULL},
    {"an entry in a table of 33 bytes, which it does not fit", "3f02 4001610162 be", NULL},
    {"an entry in a table of 34 bytes, which it fits", "3f03 4001610162 be", "a: b\na: b\n"},
};

static void test_blocks(void) {
    static hoteli_hpack h;
    static text got;
    size_t i;
    for (i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const block *b = &blocks[i];
        bool good;
        hoteli_hpack_start(&h);
        good = decode(&h, b->hex, &got);
        if (b->fields == NULL) {
            ok(!good, "refused: %s", b->name);
        } else {
            ok(good, "taken: %s", b->name);
            is_str(got.bytes, b->fields, "taken: %s: fields", b->name);
        }
        ok(is_sound(&h), "%s: the table is sound", b->name);
    }
}

/* ---- The table ------------------------------------------------------------------------------- */

static const char static_table[] =
    ":authority: \n:method: GET\n:method: POST\n:path: /\n:path: /index.html\n:scheme: http\n"
    ":scheme: https\n:status: 200\n:status: 204\n:status: 206\n:status: 304\n:status: 400\n"
    ":status: 404\n:status: 500\naccept-charset: \naccept-encoding: gzip, deflate\n"
    "accept-language: \naccept-ranges: \naccept: \naccess-control-allow-origin: \nage: \n"
    "allow: \nauthorization: \ncache-control: \ncontent-disposition: \ncontent-encoding: \n"
    "content-language: \ncontent-length: \ncontent-location: \ncontent-range: \n"
    "content-type: \ncookie: \ndate: \netag: \nexpect: \nexpires: \nfrom: \nhost: \n"
    "if-match: \nif-modified-since: \nif-none-match: \nif-range: \nif-unmodified-since: \n"
    "last-modified: \nlink: \nlocation: \nmax-forwards: \nproxy-authenticate: \n"
    "proxy-authorization: \nrange: \nreferer: \nrefresh: \nretry-after: \nserver: \n"
    "set-cookie: \nstrict-transport-security: \ntransfer-encoding: \nuser-agent: \nvary: \n"
    "via: \nwww-authenticate: \n";

static void test_static_table(void) {
    static hoteli_hpack h;
    static text got;
    uint8_t bytes[61];
    size_t i;
    for (i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(0x81 + i);
    hoteli_hpack_start(&h);
    ok(decode_bytes(&h, bytes, sizeof bytes, &got), "all of the static table");
    is_str(got.bytes, static_table, "all of the static table: names and values");
}

/* A literal that is added, "name: value" with as many times `fill` as the sizes say. */
static size_t put_literal(uint8_t *out, size_t name_size, size_t value_size, char fill) {
    hoteli_sink sink;
    sink.out = (char *)out;
    sink.size = 0;
    hoteli_hpack_put_int(&sink, 0x40, 6, 0);
    hoteli_hpack_put_int(&sink, 0, 7, name_size);
    memset(sink.out + sink.size, fill, name_size);
    sink.size += name_size;
    hoteli_hpack_put_int(&sink, 0, 7, value_size);
    memset(sink.out + sink.size, fill, value_size);
    sink.size += value_size;
    return sink.size;
}

typedef struct large {
    const char *name;
    size_t name_size, value_size; /* as sent */
    size_t num_entries;           /* that the table has then, of two small ones and this */
    size_t want_name, want_value; /* as handed on */
} large;

static const large larges[] = {
    {"that fits beside two entries", 3932, 64, 3, 3932, 64},
    {"that drives out one", 3932, 65, 2, 3932, 65},
    {"that drives out both", 3932, 99, 1, 3932, 99},
    {"as large as the table", 64, 4000, 1, 64, 4000},
    {"of a name as large as the table", 4064, 0, 1, 4064, 0},
    {"one byte larger than the table", 64, 4001, 0, 64, 4000},
    {"of a name larger than the table", 4065, 0, 0, 4064, 0},
    {"of a name and a value larger than the table", 5000, 5000, 0, 4064, 0},
    {"of 60,000 bytes", 12, 60000, 0, 12, 4052},
};

static void test_large_fields(void) {
    static hoteli_hpack h;
    static text got;
    static uint8_t bytes[MAX_BLOCK];
    size_t i;
    for (i = 0; i < sizeof larges / sizeof *larges; i++) {
        const large *l = &larges[i];
        size_t size;
        hoteli_hpack_start(&h);
        ok(decode(&h, "4001610162 4001630164", &got), "two entries of 34 bytes");
        size = put_literal(bytes, l->name_size, l->value_size, 'x');
        bytes[size++] = 0x82;
        ok(decode_bytes(&h, bytes, size, &got), "a field %s", l->name);
        is_int(got.num_fields, 2, "a field %s: and the one behind it", l->name);
        is_int(got.size, l->want_name + l->want_value + 3 + strlen(GET), "a field %s: its size",
               l->name);
        ok(got.bytes[l->want_name - 1] == 'x' && got.bytes[l->want_name] == ':',
           "a field %s: %u bytes of the name", l->name, (unsigned)l->want_name);
        is_int(h.num_entries, l->num_entries, "a field %s: entries then", l->name);
        ok(is_sound(&h), "a field %s: the table is sound", l->name);
    }
}

static void check_table(hoteli_hpack *h, const char *hex, const char *want, const char *name) {
    static text got;
    ok(decode(h, hex, &got), "%s", name);
    describe_table(h, &got);
    is_str(got.bytes, want, "%s: the table", name);
    ok(is_sound(h), "%s: the table is sound", name);
}

static void test_eviction(void) {
    static hoteli_hpack h;
    static text got;
    int i, num_wrong = 0;
    hoteli_hpack_start(&h);
    check_table(&h, "3f25 4001610162 4001630164", "c: d\na: b\n", "a table for two entries");
    check_table(&h, "7f00 0165", "a: e\nc: d\n", "the oldest gives its name and goes");
    check_table(&h, "7e 0166 be", "a: f\na: e\n", "the newest gives its name");
    check_table(&h, "7e 0a 30313233343536373839", "a: 0123456789\n", "a larger one");
    check_table(&h,
                "7e 26 3031323334353637383930313233343536373839"
                "303132333435363738393031323334353637",
                "", "a too large one that has its name from what it drives out");
    check_table(&h, "4001610162 4001630164 4001650166", "e: f\nc: d\n", "it goes on");
    check_table(&h, "3f03", "e: f\n", "a table for one entry");
    check_table(&h, "3fe11f", "e: f\n", "a large table again");
    check_table(&h, "20 3fe11f", "", "a table for none and a large one again");
    // 128 empty entries are the most that there can be.
    for (i = 0; i < 1000; i++) {
        static const uint8_t empty[] = {0x40, 0, 0};
        num_wrong += !decode_bytes(&h, empty, sizeof empty, &got) || !is_sound(&h) ||
                     h.num_entries != (i < 128 ? (size_t)i + 1 : 128);
    }
    is_int(num_wrong, 0, "1,000 empty entries, of which 128 stay");
    ok(decode(&h, "ff3e", &got) && !decode(&h, "ff3f", &got), "index 189 is the last of them");
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct written {
    const char *name, *value;
    bool secret;
    const char *want;
} written;

static const written writes[] = {
    {":method", "POST", false, "83"},
    {":scheme", "http", false, "86"},
    {":scheme", "https", false, "87"},
    {":path", "/", false, "84"},
    {":path", "/x", false, "04 022f78"},
    {":method", "PUT", false, "02 03505554"},
    {"content-type", "application/grpc", false, "0f10 10 6170706c69636174696f6e2f67727063"},
    {"content-type", "", false, "9f"},
    {"www-authenticate", "", false, "bd"},
    {"www-authenticate", "x", false, "0f2e 0178"},
    {"accept-charset", "x", false, "0f00 0178"},
    {":status", "500", false, "8e"},
    {":status", "501", false, "08 03353031"},
    {"te", "trailers", false, "00 027465 08747261696c657273"},
    {"", "", false, "00 00 00"},
    {"authorization", "me", true, "1f08 026d65"},
    {"authorization", "", true, "1f08 00"},
    {":method", "GET", true, "12 03474554"},
    {"x", "y", true, "10 0178 0179"},
};

static void check_write(const char *name, const char *value, size_t value_size, bool secret,
                        const char *want) {
    static uint8_t wanted[MAX_BLOCK];
    static hoteli_hpack h;
    static text got, expected;
    size_t name_size = strlen(name), size, capacity;
    uint8_t *out;
    size = hoteli_hpack_write(NULL, 0, name, value, value_size, secret);
    for (capacity = size < 40 ? 0 : size - 1; capacity < size; capacity++) {
        out = (uint8_t *)guard_room(2, capacity);
        if (hoteli_hpack_write(out, capacity, name, value, value_size, secret) != size ||
            (capacity > 0 && out[0] != 0xA5)) {
            ok(false, "%s: %u bytes where only %u fit", name, (unsigned)size, (unsigned)capacity);
        }
    }
    out = (uint8_t *)guard_room(2, size);
    is_int(hoteli_hpack_write(out, size, name, value, value_size, secret), size,
           "%s: %.20s: written where it fits", name, value);
    if (want != NULL) {
        is_mem(out, size, wanted, unhex(want, wanted), "%s: %.20s: as bytes", name, value);
    }
    hoteli_hpack_start(&h);
    ok(decode_bytes(&h, out, size, &got) && h.num_entries == 0, "%s: %.20s: read back", name,
       value);
    clear(&expected);
    add_field(&expected, name, name_size, value, value_size);
    is_str(got.bytes, expected.bytes, "%s: %.20s: read back the same", name, value);
}

static void test_writing(void) {
    static char value[4000];
    size_t i;
    for (i = 0; i < sizeof writes / sizeof *writes; i++) {
        const written *w = &writes[i];
        check_write(w->name, w->value, strlen(w->value), w->secret, w->want);
    }
    memset(value, 'v', sizeof value);
    for (i = 120; i < sizeof value; i = i * 3 / 2 + 1) {
        value[i] = 0;
        check_write(i % 2 == 0 ? "x-long" : "user-agent", value, i, i % 3 == 0, NULL);
        value[i] = 'v';
    }
}

int main(void) {
    test_integers();
    test_huffman();
    test_examples();
    test_damaged_examples();
    test_blocks();
    test_static_table();
    test_large_fields();
    test_eviction();
    test_writing();
    return done_testing();
}
