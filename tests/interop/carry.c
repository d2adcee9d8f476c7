/*
 * SPDX-License-Identifier: MIT
 *
 * carry.c - reads and writes headers by the library's propagators. Each line on standard input is
 * a request, its fields divided by the character 0x1F: what OTEL_PROPAGATORS may say, then headers
 * that came in and entries of baggage to be set, texts in hex:
 *
 *     FORMATS h NAME=VALUE ... s NAMEHEX=VALUEHEX;METADATA ...
 *     -> h NAME=VALUE ... b NAMEHEX=VALUEHEX;METADATA ...
 *
 * The answer are the headers that go on and the baggage in between. No blanks stand where they are
 * shown here.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADERS = 16 };

static const char divider[] = "\x1f";

static void print_hex(hotel_string s) {
    size_t i;
    for (i = 0; i < s.size; i++) printf("%02x", (unsigned)(unsigned char)s.text[i]);
}

static void print_header(void *user_data, const char *key, const char *value) {
    (void)user_data;
    printf("h%s=%s%s", key, value, divider);
}

static void print_baggage(const hotel_baggage *baggage) {
    hotel_baggage_entry e;
    size_t cursor = 0;
    while (hotel_baggage_next(baggage, &cursor, &e)) {
        printf("b");
        print_hex(e.name);
        printf("=");
        print_hex(e.value);
        printf(";%s%s", e.metadata.text, divider);
    }
}

/* Turns hex into bytes where it stands. */
static hotel_string unhexed(char *text) {
    hotel_string s;
    size_t i, size = strlen(text) / 2;
    for (i = 0; i < size; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        text[i] = (char)strtoul(digits, NULL, 16);
    }
    s.text = text;
    s.size = size;
    return s;
}

static void set_entry(hotel_baggage *baggage, char *field) {
    char *value = strchr(field, '='), *metadata = value != NULL ? strchr(value, ';') : NULL;
    hotel_string properties;
    if (metadata == NULL) exit(3);
    *value++ = '\0';
    *metadata++ = '\0';
    properties.text = metadata;
    properties.size = strlen(metadata);
    if (!hotel_baggage_set_n(baggage, unhexed(field), unhexed(value), properties)) exit(4);
}

static hotel_propagator chosen(const char *formats) {
    static hotel_propagator parts[2];
    static hotel_propagator_list list = {parts, 2};
    parts[0] = strcmp(formats, "b3") == 0        ? hotel_b3_propagator()
               : strcmp(formats, "b3multi") == 0 ? hotel_b3multi_propagator()
                                                 : hotel_tracecontext_propagator();
    parts[1] = hotel_baggage_propagator();
    return hotel_composite_propagator(&list);
}

static void answer(char *line) {
    static char memory[2 * HOTEL_BAGGAGE_BYTES];
    hotel_header list[MAX_HEADERS];
    hotel_headers headers = {list, 0};
    hotel_getter getter = hotel_header_getter();
    hotel_setter setter = {print_header};
    hotel_propagator p = chosen(strtok(line, divider));
    hotel_context none, came, gone;
    hotel_baggage baggage;
    char *sets[MAX_HEADERS], *field;
    size_t num_sets = 0, i;
    while ((field = strtok(NULL, divider)) != NULL) {
        char *value = strchr(field, '=');
        if (value == NULL || headers.count == MAX_HEADERS || num_sets == MAX_HEADERS) exit(3);
        if (*field == 's') {
            sets[num_sets++] = field + 1;
            continue;
        }
        *value = '\0';
        list[headers.count].name = field + 1;
        list[headers.count++].value = value + 1;
    }
    memset(&none, 0, sizeof none);
    came = hotel_extract_with(&p, &none, &getter, &headers);
    hotel_baggage_start(&baggage, memory, sizeof memory);
    if (!hotel_context_baggage(&came, &baggage)) exit(5);
    for (i = 0; i < num_sets; i++) set_entry(&baggage, sets[i]);
    gone = hotel_context_with_baggage(&came, &baggage);
    hotel_inject_with(&p, &gone, &setter, NULL);
    print_baggage(&baggage);
    printf("\n");
    (void)fflush(stdout);
    hotel_context_release(&gone);
    hotel_context_release(&came);
}

int main(void) {
    static char line[65536];
    hotel_config config = {.no_threads = true, .log_fn = hotel_log_to_stderr};
    if (hotel_init(&config) != HOTEL_OK) return 2;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(line);
    }
    return hotel_shutdown(1000) == HOTEL_OK ? 0 : 1;
}
