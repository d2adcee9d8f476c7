/*
 * SPDX-License-Identifier: MIT
 *
 * A baggage header on the first line, B3 on the second, OTEL_PROPAGATORS on the third, a name, a
 * value and metadata to set on those behind; and all of it as the memory of a working copy.
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
    char *memory = (char *)malloc(room > 0 ? room : 1);
    hotel_baggage b;
    size_t taken;
    if (memory == NULL) abort();
    hotel_baggage_start(&b, memory, room);
    taken = hotel_baggage_parse(&b, text, size);
    FUZZ_CHECK(b.size <= room && b.count <= taken && b.count <= HOTEL_BAGGAGE_MEMBERS);
    FUZZ_CHECK(b.count + b.dropped <= size);
    (void)walk(&b, true);
    check_sent(&b);
    free(memory);
}

static void check_set(hotel_string name, hotel_string value, hotel_string metadata) {
    static char memory[8192];
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
    line = fuzz_line(&cursor, end, &line_size);
    check_b3(line, line_size);
    line = fuzz_line(&cursor, end, &line_size);
    check_list(line, line_size);
    for (i = 0; i < 3; i++) parts[i].text = fuzz_line(&cursor, end, &parts[i].size);
    if (size < 2000) check_set(parts[0], parts[1], parts[2]);
    copy = (char *)malloc(size + 1);
    if (copy == NULL) abort();
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
