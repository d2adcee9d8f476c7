/*
 * SPDX-License-Identifier: MIT
 *
 * hpack.c - decodes and writes header blocks. Each line on standard input is a request, in which
 * every text and block is hex:
 *
 *     new                         a connection begins
 *     -> new
 *     read BLOCK                  -> SIZE NAME=VALUE NAME=VALUE ...   (of the table; or "refused")
 *     write NAME=VALUE NAME!VALUE ...                                 ("!": a secret)
 *     -> BLOCK
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 1 << 20, MAX_BLOCK = 1 << 17 };

/* What is printed when the whole block is known to be good. */
typedef struct answer {
    size_t size;
    char text[MAX_FIELDS];
} answer;

static void add_hex(answer *a, const char *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    size_t i;
    if (a->size + 2 * size >= sizeof a->text - 1) abort();
    for (i = 0; i < size; i++) {
        a->text[a->size++] = digits[(unsigned char)bytes[i] >> 4];
        a->text[a->size++] = digits[(unsigned char)bytes[i] & 15];
    }
}

static void add_field(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    answer *a = (answer *)user_data;
    a->text[a->size++] = ' ';
    add_hex(a, name, name_size);
    a->text[a->size++] = '=';
    add_hex(a, value, value_size);
}

/* Turns hex into bytes where it stands, with a NUL behind them; returns how many. */
static size_t unhex(char *text) {
    size_t i, size = strlen(text) / 2;
    for (i = 0; i < size; i++) {
        int high = hoteli_hex_digit(text[2 * i]), low = hoteli_hex_digit(text[2 * i + 1]);
        text[i] = (char)(high * 16 + low);
    }
    text[size] = 0;
    return size;
}

static void read_block(hoteli_hpack *h, char *hex) {
    static answer fields;
    size_t size = unhex(hex);
    fields.size = 0;
    if (!hoteli_hpack_decode(h, (const uint8_t *)hex, size, add_field, &fields)) {
        puts("refused");
        return;
    }
    fields.text[fields.size] = 0;
    printf("%u%s\n", (unsigned)h->size, fields.text);
}

static void write_block(char *line) {
    static uint8_t block[MAX_BLOCK];
    static answer hex;
    size_t used = 0;
    char *name, *rest = line;
    while ((name = strtok_r(rest, " ", &rest)) != NULL) {
        char *value = name + strcspn(name, "=!");
        bool is_secret = *value == '!';
        size_t value_size;
        *value++ = 0;
        value_size = unhex(value);
        (void)unhex(name);
        used += hoteli_hpack_write(block + used, sizeof block - used, name, value, value_size,
                                   is_secret);
        if (used > sizeof block) abort();
    }
    hex.size = 0;
    add_hex(&hex, (const char *)block, used);
    hex.text[hex.size] = 0;
    puts(hex.text);
}

int main(void) {
    static hoteli_hpack h;
    char *line = NULL;
    size_t capacity = 0;
    hoteli_hpack_start(&h);
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "read ", 5) == 0) {
            read_block(&h, line + 5);
        } else if (strncmp(line, "write ", 6) == 0) {
            write_block(line + 6);
        } else {
            hoteli_hpack_start(&h);
            puts("new");
        }
        (void)fflush(stdout);
    }
    free(line);
    return 0;
}
