/*
 * SPDX-License-Identifier: MIT
 *
 * HPACK. The input behind its first byte is a header block: it gives the same in any decoder, and
 * in two pieces where it is cut between fields; the first byte says where. The input is also what
 * an encoder of this file makes the blocks of a connection of, with a table of its own: fields and
 * tables are the same on both sides. And it is a field, which is written and read back.
 */
#include "fuzz.h"

enum { TABLE = 4096, KEPT = TABLE - 32, MAX_OPERATIONS = 48, MAX_LOG = 1 << 19, MAX_PACKED = 64 };

/* ---- What was decoded -------------------------------------------------------------------------*/

/* Fields in their order: two sizes, name, value. */
typedef struct fields {
    size_t size;
    size_t count;
    bool full; /* the rest is not compared */
    char bytes[MAX_LOG];
} fields;

static void add_field(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    fields *f = (fields *)user_data;
    size_t sizes[2];
    FUZZ_CHECK(name_size <= KEPT && value_size <= KEPT - name_size);
    f->count++;
    f->full |= f->size + sizeof sizes + name_size + value_size > sizeof f->bytes;
    if (f->full) return;
    sizes[0] = name_size;
    sizes[1] = value_size;
    memcpy(f->bytes + f->size, sizes, sizeof sizes);
    memcpy(f->bytes + f->size + sizeof sizes, name, name_size);
    memcpy(f->bytes + f->size + sizeof sizes + name_size, value, value_size);
    f->size += sizeof sizes + name_size + value_size;
}

static void clear(fields *f) {
    f->size = f->count = 0;
    f->full = false;
}

static bool same_fields(const fields *a, const fields *b) {
    return a->size == b->size && a->count == b->count && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* The size that is kept is that of the entries, and never above the limit. */
static void check_table(const hoteli_hpack *h) {
    size_t at = 0, size = 0, i;
    hoteli_pair field;
    FUZZ_CHECK(h->max_size <= TABLE && h->size <= h->max_size);
    for (i = 0; i < h->num_entries; i++) {
        FUZZ_CHECK(at < h->used);
        at = hoteli_hpack_entry(h, at, &field);
        size += field.key_size + field.value_size + 32;
    }
    FUZZ_CHECK(at == h->used && size == h->size);
    FUZZ_CHECK(!hoteli_hpack_find(h, 0, &field) && !hoteli_hpack_find(h, 62 + i, &field));
}

static bool same_tables(const hoteli_hpack *a, const hoteli_hpack *b) {
    return a->max_size == b->max_size && a->size == b->size && a->num_entries == b->num_entries &&
           a->used == b->used && memcmp(a->entries, b->entries, a->used) == 0;
}

/* Decodes from memory of exactly the block's size. */
static bool decode(hoteli_hpack *h, const uint8_t *bytes, size_t size, fields *f) {
    uint8_t *block = (uint8_t *)fuzz_alloc(size);
    bool good;
    if (size > 0) memcpy(block, bytes, size);
    good = hoteli_hpack_decode(h, block, size, add_field, f);
    free(block);
    check_table(h);
    return good;
}

/* ---- Any bytes as a block ---------------------------------------------------------------------*/

static void check_block(const uint8_t *bytes, size_t size, size_t cut) {
    static hoteli_hpack whole, other;
    static fields got, again;
    bool good;
    hoteli_hpack_start(&whole);
    clear(&got);
    good = decode(&whole, bytes, size, &got);
    memset(&other, 0xA5, sizeof other);
    hoteli_hpack_start(&other);
    clear(&again);
    FUZZ_CHECK(decode(&other, bytes, size, &again) == good);
    FUZZ_CHECK(same_fields(&got, &again) && same_tables(&whole, &other));
    hoteli_hpack_start(&other);
    clear(&again);
    if (decode(&other, bytes, cut, &again)) {
        bool rest = decode(&other, bytes + cut, size - cut, &again);
        // The size of the table may change at the start of the second piece.
        FUZZ_CHECK(rest || !good);
        if (good) FUZZ_CHECK(same_fields(&got, &again) && same_tables(&whole, &other));
    } else {
        FUZZ_CHECK(again.count <= got.count && again.size <= got.size);
        FUZZ_CHECK(memcmp(got.bytes, again.bytes, again.size) == 0);
    }
}

/* ---- An encoder -------------------------------------------------------------------------------*/

typedef struct entry {
    size_t name_size, value_size;
    char text[KEPT];
} entry;

/* A ring, of which the oldest entry is the first. */
enum { MAX_ENTRIES = TABLE / 32 };

typedef struct encoder {
    entry entries[MAX_ENTRIES];
    size_t first, count, size, max_size;
    uint8_t block[MAX_LOG];
    size_t block_size;
} encoder;

static encoder made;

static const entry *entry_of(size_t age) {
    return &made.entries[(made.first + made.count - 1 - age) % MAX_ENTRIES];
}

static void drop_oldest(size_t max_size) {
    while (made.size > max_size) {
        const entry *oldest = entry_of(made.count - 1);
        made.size -= oldest->name_size + oldest->value_size + 32;
        made.first = (made.first + 1) % MAX_ENTRIES;
        made.count--;
    }
}

static void add_entry(const char *name, size_t name_size, const char *value, size_t value_size) {
    static entry added; /* the name may be that of an entry which goes */
    size_t size = name_size + value_size + 32;
    if (size <= made.max_size) {
        added.name_size = name_size;
        added.value_size = value_size;
        memcpy(added.text, name, name_size);
        memcpy(added.text + name_size, value, value_size);
    }
    drop_oldest(size <= made.max_size ? made.max_size - size : 0);
    if (size > made.max_size) return;
    made.entries[(made.first + made.count) % MAX_ENTRIES] = added;
    made.count++;
    made.size += size;
}

static void put_byte(unsigned byte) {
    FUZZ_CHECK(made.block_size < sizeof made.block);
    made.block[made.block_size++] = (uint8_t)byte;
}

static void put_int(unsigned pattern, unsigned full, size_t value) {
    put_byte(pattern | (unsigned)(value < full ? value : full));
    if (value < full) return;
    for (value -= full; value > 127; value /= 128) put_byte(128 + (unsigned)(value % 128));
    put_byte((unsigned)value);
}

static uint32_t codes[256];
static uint8_t code_bits[256]; /* no code is shorter than one bit: 0 until they are made */

/* By the tables of the decoder, which the unit test holds against the RFC. */
static void make_codes(void) {
    uint32_t code = 0;
    size_t used = 0;
    int bits, left;
    for (bits = 1; bits <= 30; bits++) {
        code <<= 1;
        for (left = hoteli_hpack_codes[bits]; left > 0; left--) {
            uint8_t symbol = (uint8_t)hoteli_hpack_symbols[used++];
            codes[symbol] = code++;
            code_bits[symbol] = (uint8_t)bits;
        }
    }
}

/* Large texts are not packed: that would take most of the time. */
static void put_string(const char *text, size_t size, bool packed) {
    uint8_t out[4 * MAX_PACKED];
    size_t i, used = 0;
    if (!packed || size > MAX_PACKED) {
        put_int(0, 127, size);
        for (i = 0; i < size; i++) put_byte((unsigned char)text[i]);
        return;
    }
    if (code_bits[0] == 0) make_codes();
    for (i = 0; i < size; i++) {
        uint8_t symbol = (uint8_t)text[i];
        int bit;
        for (bit = code_bits[symbol] - 1; bit >= 0; bit--, used++) {
            if (used % 8 == 0) out[used / 8] = 0xFF;
            if (!(codes[symbol] >> bit & 1)) out[used / 8] &= (uint8_t) ~(128u >> used % 8);
        }
    }
    put_int(128, 127, (used + 7) / 8);
    for (i = 0; i < (used + 7) / 8; i++) put_byte(out[i]);
}

/* A text of up to 15 bytes of the input, or a few thousand times one of them. */
static const char *make_text(const uint8_t **cursor, const uint8_t *end, char *room, size_t *size) {
    uint8_t how = fuzz_byte(cursor, end);
    size_t left = (size_t)(end - *cursor);
    if (how >= 0xE0) {
        *size = (size_t)(how & 31) * 165;
        memset(room, fuzz_byte(cursor, end), *size);
    } else {
        *size = how % 16 < left ? how % 16 : left;
        if (*size > 0) memcpy(room, *cursor, *size);
        *cursor += *size;
    }
    return room;
}

/* A literal field: how it is written, its name and its value come from the input. */
static void make_literal(uint8_t how, const uint8_t **cursor, const uint8_t *end, fields *want) {
    static char name_room[8192], value_room[8192];
    const char *name = NULL, *value, *list = hoteli_hpack_static;
    size_t name_size = 0, value_size, index = 0;
    bool is_added = (how & 3) == 1;
    hoteli_pair field;
    if ((how & 12) == 4 && made.count > 0) {
        size_t age = fuzz_byte(cursor, end) % made.count;
        name_size = entry_of(age)->name_size;
        memcpy(name_room, entry_of(age)->text, name_size);
        name = name_room;
        index = 62 + age;
    } else if ((how & 12) == 8) {
        size_t i, number = fuzz_byte(cursor, end) % 61u;
        for (i = 0; i <= number; i++) (void)hoteli_hpack_static_next(&list, &field);
        name = field.key;
        name_size = field.key_size;
        index = number + 1;
    }
    put_int(is_added ? 0x40 : (how & 3) == 2 ? 0x10 : 0, is_added ? 63 : 15, index);
    if (index == 0) {
        name = make_text(cursor, end, name_room, &name_size);
        put_string(name, name_size, how & 16);
    }
    value = make_text(cursor, end, value_room, &value_size);
    put_string(value, value_size, how & 32);
    if (is_added) add_entry(name, name_size, value, value_size);
    name_size = name_size < KEPT ? name_size : KEPT;
    value_size = value_size < KEPT - name_size ? value_size : KEPT - name_size;
    add_field(want, name, name_size, value, value_size);
}

static void make_indexed(uint8_t which, fields *want) {
    const char *list = hoteli_hpack_static;
    size_t i, number = which % (61 + made.count);
    hoteli_pair field;
    put_int(0x80, 127, number + 1);
    if (number >= 61) {
        const entry *e = entry_of(number - 61);
        add_field(want, e->text, e->name_size, e->text + e->name_size, e->value_size);
        return;
    }
    for (i = 0; i <= number; i++) (void)hoteli_hpack_static_next(&list, &field);
    add_field(want, field.key, field.key_size, field.value, field.value_size);
}

static void compare_tables(const hoteli_hpack *h) {
    size_t i;
    FUZZ_CHECK(h->num_entries == made.count && h->size == made.size);
    FUZZ_CHECK(h->max_size == made.max_size);
    for (i = 0; i < made.count; i++) {
        const entry *e = entry_of(i);
        hoteli_pair field;
        FUZZ_CHECK(hoteli_hpack_find(h, 62 + i, &field));
        FUZZ_CHECK(field.key_size == e->name_size && field.value_size == e->value_size);
        FUZZ_CHECK(memcmp(field.key, e->text, e->name_size) == 0);
        FUZZ_CHECK(memcmp(field.value, e->text + e->name_size, e->value_size) == 0);
    }
}

static void check_connection(const uint8_t *cursor, const uint8_t *end) {
    static hoteli_hpack h;
    static fields want, got;
    int operations;
    hoteli_hpack_start(&h);
    made.first = made.count = made.size = made.block_size = 0;
    made.max_size = TABLE;
    clear(&want);
    for (operations = 0; cursor != end && operations < MAX_OPERATIONS; operations++) {
        if (made.block_size > sizeof made.block / 2) break;
        uint8_t how = fuzz_byte(&cursor, end);
        if (how >= 0xF0) {
            size_t i = made.block_size;
            clear(&got);
            FUZZ_CHECK(decode(&h, made.block, i, &got) && same_fields(&got, &want));
            compare_tables(&h);
            made.block_size = 0;
            clear(&want);
        } else if (how >= 0xE0) {
            if (want.count > 0) continue;
            made.max_size = (size_t)fuzz_byte(&cursor, end) * (how & 1 ? 16 : 1);
            if (how & 2) made.max_size = TABLE;
            put_int(0x20, 31, made.max_size);
            drop_oldest(made.max_size);
        } else if (how >= 0xA0) {
            make_indexed(fuzz_byte(&cursor, end), &want);
        } else {
            make_literal(how, &cursor, end, &want);
        }
    }
    clear(&got);
    FUZZ_CHECK(decode(&h, made.block, made.block_size, &got) && same_fields(&got, &want));
    compare_tables(&h);
}

/* ---- A field that is written ------------------------------------------------------------------*/

/* The name ends at the first NUL. */
static void check_written(const uint8_t *data, size_t size, bool secret) {
    static hoteli_hpack h;
    static fields want, got;
    size_t name_size = 0, need, value_size, i;
    const char *value;
    char *name;
    uint8_t *out;
    while (name_size < size && data[name_size] != 0) name_size++;
    value = (const char *)data + (name_size < size ? name_size + 1 : size);
    value_size = size - (size_t)(value - (const char *)data);
    if (size > KEPT) return;
    name = (char *)fuzz_alloc(name_size + 1);
    memcpy(name, data, name_size);
    name[name_size] = 0;
    need = hoteli_hpack_write(NULL, 0, name, value, value_size, secret);
    FUZZ_CHECK(need >= 1 && need <= size + 9);
    out = (uint8_t *)fuzz_alloc(need);
    memset(out, 0xA5, need);
    FUZZ_CHECK(hoteli_hpack_write(out, need - 1, name, value, value_size, secret) == need);
    for (i = 0; i < need; i++) FUZZ_CHECK(out[i] == 0xA5);
    FUZZ_CHECK(hoteli_hpack_write(out, need, name, value, value_size, secret) == need);
    FUZZ_CHECK(!secret || (out[0] & 0xF0) == 0x10);
    hoteli_hpack_start(&h);
    clear(&got);
    clear(&want);
    add_field(&want, name, name_size, value, value_size);
    FUZZ_CHECK(decode(&h, out, need, &got) && same_fields(&got, &want) && h.num_entries == 0);
    free(out);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    check_block(data + 1, size - 1, data[0] % size);
    check_connection(data, data + size);
    check_written(data + 1, size - 1, data[0] & 1);
    return 0;
}
