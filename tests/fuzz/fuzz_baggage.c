/*
 * SPDX-License-Identifier: MIT
 *
 * A baggage header on the first line, B3 on the second, OTEL_PROPAGATORS on the third, a name, a
 * value and metadata to set on those behind; and all of it as the memory of a working copy. The
 * header is also read by a parser made of the grammar.
 */
#include "fuzz.h"

static bool is_text(hotel_string s, const void *from, size_t size) {
    const char *start = (const char *)from;
    return s.text >= start && s.size < size && s.text + s.size < start + size &&
           s.text[s.size] == 0;
}

/* Walks a working copy; returns its entries. */
static size_t walk(const hotel_baggage *b, bool well_formed) {
    hotel_baggage_entry e, found;
    size_t cursor = 0, before = 0, count = 0;
    while (hotel_baggage_next(b, &cursor, &e)) {
        FUZZ_CHECK(cursor > before && cursor <= b->size);
        if (well_formed) {
            FUZZ_CHECK(is_text(e.name, b->memory, b->size) && e.name.size > 0);
            FUZZ_CHECK(is_text(e.value, b->memory, b->size));
            FUZZ_CHECK(is_text(e.metadata, b->memory, b->size));
            FUZZ_CHECK(hoteli_utf8_valid(e.name.text, e.name.size));
            FUZZ_CHECK(hoteli_utf8_valid(e.value.text, e.value.size));
            FUZZ_CHECK(hotel_baggage_find(b, e.name, &found) && found.value.text == e.value.text);
        }
        before = cursor;
        count++;
    }
    FUZZ_CHECK(!well_formed || (cursor == b->size && count == b->count));
    return count;
}

/* What can be sent comes back the same, and is sent the same again. */
static void check_sent(const hotel_baggage *b) {
    static char header[HOTEL_BAGGAGE_HEADER_SIZE], second[HOTEL_BAGGAGE_HEADER_SIZE];
    static char memory[HOTEL_BAGGAGE_BYTES], cut[64];
    hotel_baggage_entry e, found;
    hotel_baggage again;
    size_t size = hotel_baggage_format(b, header, sizeof header), i, cursor = 0;
    FUZZ_CHECK(size < sizeof header && size == strlen(header));
    FUZZ_CHECK(hotel_baggage_format(b, cut, sizeof cut) == size);
    FUZZ_CHECK(strncmp(cut, header, sizeof cut - 1) == 0 && strlen(cut) < sizeof cut);
    for (i = 0; i < size; i++) FUZZ_CHECK(header[i] > 0x20 && header[i] < 0x7f);
    hotel_baggage_start(&again, memory, sizeof memory);
    (void)hotel_baggage_parse(&again, header, size);
    FUZZ_CHECK(again.dropped == 0 && again.count <= b->count);
    FUZZ_CHECK((again.count == 0) == (size == 0));
    while (hotel_baggage_next(&again, &cursor, &e)) {
        FUZZ_CHECK(hotel_baggage_find(b, e.name, &found));
        FUZZ_CHECK(found.value.size == e.value.size && found.metadata.size == e.metadata.size);
        FUZZ_CHECK(memcmp(found.value.text, e.value.text, e.value.size) == 0);
        FUZZ_CHECK(memcmp(found.metadata.text, e.metadata.text, e.metadata.size) == 0);
    }
    FUZZ_CHECK(hotel_baggage_format(&again, second, sizeof second) == size);
    FUZZ_CHECK(memcmp(header, second, size) == 0);
}

static void check_parse(const char *text, size_t size, size_t room) {
    char *memory = (char *)fuzz_alloc(room);
    hotel_baggage b;
    size_t taken;
    hotel_baggage_start(&b, memory, room);
    taken = hotel_baggage_parse(&b, text, size);
    FUZZ_CHECK(b.size <= room && b.count <= taken && b.count <= HOTEL_BAGGAGE_MEMBERS);
    FUZZ_CHECK(b.count + b.dropped <= size);
    (void)walk(&b, true);
    check_sent(&b);
    free(memory);
}

/* ---- The grammar of W3C baggage ------------------------------------------------------------- */

typedef struct range {
    const char *at;
    size_t size;
} range;

/* What stands before the first mark, trimmed; *rest goes behind it. false: there was none. */
static bool take_until(range *rest, char mark, range *out) {
    size_t n = 0;
    bool found;
    while (n < rest->size && rest->at[n] != mark) n++;
    found = n < rest->size;
    out->at = rest->at;
    out->size = n;
    rest->at += n + found;
    rest->size -= n + found;
    while (out->size > 0 && (out->at[0] == ' ' || out->at[0] == '\t')) out->at++, out->size--;
    while (out->size > 0 && (out->at[out->size - 1] == ' ' || out->at[out->size - 1] == '\t')) {
        out->size--;
    }
    return found;
}

static bool made_of(range r, const char *excluded) {
    size_t i;
    for (i = 0; i < r.size; i++) {
        unsigned char c = (unsigned char)r.at[i];
        if (c <= ' ' || c >= 0x7F || strchr(excluded, c) != NULL) return false;
    }
    return true;
}

static bool is_name(range r) {
    return r.size > 0 && made_of(r, "\"(),/:;<=>?@[\\]{}");
}

static bool is_octets(range r) {
    return made_of(r, "\",;\\");
}

/* WB-01, WB-02: percent-decoded, then what is not UTF-8 becomes U+FFFD. */
static size_t decode(range r, char *out) {
    char *bytes = (char *)fuzz_alloc(r.size);
    size_t i, n = 0, used = 0;
    for (i = 0; i < r.size; i++, n++) {
        char hex[3] = {0, 0, 0};
        if (r.at[i] == '%' && r.size - i > 2) memcpy(hex, r.at + i + 1, 2);
        bytes[n] = r.at[i];
        if (strspn(hex, "0123456789abcdefABCDEF") == 2) {
            bytes[n] = (char)strtoul(hex, NULL, 16);
            i += 2;
        }
    }
    used = hoteli_utf8_repair(out, bytes, n);
    free(bytes);
    return used;
}

/* WB-03 to WB-05, WB-09: a name and a value; false for a member that is malformed. */
static bool read_member(range member, range *name, range *value) {
    range head, property, key;
    bool more = take_until(&member, ';', &head);
    if (!take_until(&head, '=', name) || !is_name(*name)) return false;
    (void)take_until(&head, '\0', value);
    if (!is_octets(*value)) return false;
    while (more) {
        bool has_value;
        more = take_until(&member, ';', &property);
        if (property.size == 0) continue;
        has_value = take_until(&property, '=', &key);
        if (!is_name(key)) return false;
        if (has_value && (take_until(&property, '\0', &key) || !is_octets(key))) return false;
    }
    return true;
}

/* WB-07: of each name the last value, in a copy that has room for all. */
static void check_grammar(const char *text, size_t size) {
    static char memory[HOTEL_BAGGAGE_BYTES], decoded[3 * HOTEL_BAGGAGE_BYTES];
    range rest, member, name, value, entries[HOTEL_BAGGAGE_MEMBERS][2];
    size_t count = 0, members = 0, malformed = 0, i;
    hotel_baggage b;
    hotel_baggage_entry e;
    bool more = true;
    if (size > 2048 || memchr(text, 0, size) != NULL) return;
    rest.at = text;
    rest.size = size;
    while (more) {
        more = take_until(&rest, ',', &member);
        if (member.size == 0) continue;
        if (!read_member(member, &name, &value)) {
            malformed++;
            continue;
        }
        for (i = 0; i < count; i++) {
            if (entries[i][0].size == name.size && !memcmp(entries[i][0].at, name.at, name.size)) {
                break;
            }
        }
        if (++members > HOTEL_BAGGAGE_MEMBERS) return;
        count += i == count;
        entries[i][0] = name;
        entries[i][1] = value;
    }
    hotel_baggage_start(&b, memory, sizeof memory);
    FUZZ_CHECK(hotel_baggage_parse(&b, text, size) == members);
    FUZZ_CHECK(b.count == count && b.dropped == malformed);
    for (i = 0; i < count; i++) {
        hotel_string wanted;
        size_t n = decode(entries[i][1], decoded);
        wanted.text = entries[i][0].at;
        wanted.size = entries[i][0].size;
        FUZZ_CHECK(hotel_baggage_find(&b, wanted, &e));
        FUZZ_CHECK(e.value.size == n && memcmp(e.value.text, decoded, n) == 0);
    }
}

static void check_set(hotel_string name, hotel_string value, hotel_string metadata) {
    static char memory[16384]; /* for an entry and its repaired copy at once */
    hotel_baggage_entry e;
    hotel_baggage b;
    bool set;
    hotel_baggage_start(&b, memory, sizeof memory);
    FUZZ_CHECK(hotel_baggage_set(&b, "other", "1", NULL));
    set = hotel_baggage_set_n(&b, name, value, metadata);
    FUZZ_CHECK(set == (b.dropped == 0));
    (void)walk(&b, true);
    check_sent(&b);
    if (!set) return;
    FUZZ_CHECK(hotel_baggage_find(&b, name, &e));
    if (hoteli_utf8_valid(value.text, value.size)) {
        FUZZ_CHECK(e.value.size == value.size);
        FUZZ_CHECK(memcmp(e.value.text, value.text, value.size) == 0);
    }
    FUZZ_CHECK(hotel_baggage_set_n(&b, name, e.value, e.metadata));
    FUZZ_CHECK(hotel_baggage_remove_n(&b, name) && !hotel_baggage_find(&b, name, NULL));
    (void)walk(&b, true);
}

static void check_b3(const char *text, size_t size) {
    hotel_span_context context, again;
    char out[64];
    if (!hoteli_b3_parse(text, size, &context)) return;
    FUZZ_CHECK(hotel_is_valid(&context) && context.is_remote && context.trace_flags <= 1);
    FUZZ_CHECK(context.reserved[0] == 0 || context.trace_flags == HOTEL_FLAG_SAMPLED);
    hotel_trace_id_hex(&context, out);
    hotel_span_id_hex(&context, out + 33);
    out[32] = out[49] = '-';
    out[50] = context.reserved[0] != 0 ? 'd' : context.trace_flags != 0 ? '1' : '0';
    FUZZ_CHECK(hoteli_b3_parse(out, 51, &again));
    FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
}

static void check_list(const char *text, size_t size) {
    char words[128];
    hoteli_text unknown;
    bool none = false;
    uintptr_t list, seen = 0;
    hoteli_text_start(&unknown, words, sizeof words);
    list = hoteli_propagators_parse(text, size, &unknown, &none);
    FUZZ_CHECK(memchr(words, 0, sizeof words) != NULL);
    for (; list != 0; list >>= 4) {
        uintptr_t bit = (uintptr_t)1 << (list & 15);
        FUZZ_CHECK((list & 15) >= 1 && (list & 15) <= 4 && (seen & bit) == 0);
        seen |= bit;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *cursor = (const char *)data, *end = cursor + size, *line;
    size_t line_size;
    hotel_string parts[3];
    hotel_baggage raw;
    char *copy;
    int i;
    line = fuzz_line(&cursor, end, &line_size);
    check_parse(line, line_size, HOTEL_BAGGAGE_BYTES);
    check_parse(line, line_size, line_size / 2);
    check_grammar(line, line_size);
    line = fuzz_line(&cursor, end, &line_size);
    check_b3(line, line_size);
    line = fuzz_line(&cursor, end, &line_size);
    check_list(line, line_size);
    for (i = 0; i < 3; i++) parts[i].text = fuzz_line(&cursor, end, &parts[i].size);
    if (size < 2000) check_set(parts[0], parts[1], parts[2]);
    copy = (char *)fuzz_alloc(size);
    if (size > 0) memcpy(copy, data, size);
    hotel_baggage_start(&raw, copy, size);
    raw.size = size;
    raw.count = walk(&raw, false);
    (void)hotel_baggage_format(&raw, NULL, 0);
    (void)hotel_baggage_set(&raw, "a", "", NULL);
    (void)hotel_baggage_remove(&raw, "a");
    free(copy);
    return 0;
}
