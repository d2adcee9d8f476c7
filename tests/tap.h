/*
 * SPDX-License-Identifier: MIT
 *
 * tap.h - the smallest way to write a test program that speaks the Test Anything Protocol.
 *
 *     #define HATCHET_OTEL_IMPLEMENTATION
 *     #include "hatchet_otel.h"
 *     #include "tap.h"
 *
 *     int main(void) {
 *         ok(1 + 1 == 2, "arithmetic works");
 *         is_int(strlen("four"), 4, "length of %s", "four");
 *         return done_testing();
 *     }
 *
 * Every check prints one line, counted from 1, which is flushed when the call returns, so that a
 * later crash loses nothing. All functions may be called from several threads at once. A forked
 * child has a count of its own: let it report by its exit code and leave with _exit().
 *
 * ok, is_int, is_str and is_mem note file and line, so they are macros: include this file last.
 */
#ifndef TAP_H_INCLUDED
#define TAP_H_INCLUDED

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each returns whether the check passed.
 *
 *     ok(condition, format, ...)
 *     is_int(got, want, format, ...)                         compared as long long
 *     is_str(got, want, format, ...)                         NULL equals only NULL
 *     is_mem(got, got_size, want, want_size, format, ...)    prints hex where they differ
 */
#define ok(condition, ...) tap_ok(__FILE__, __LINE__, (condition) ? true : false, __VA_ARGS__)
#define is_int(got, want, ...) \
    tap_is_int(__FILE__, __LINE__, TAP_CAST(long long, got), TAP_CAST(long long, want), __VA_ARGS__)
#define is_str(got, want, ...) tap_is_str(__FILE__, __LINE__, got, want, __VA_ARGS__)
#define is_mem(got, got_size, want, want_size, ...) \
    tap_is_mem(__FILE__, __LINE__, got, got_size, want, want_size, __VA_ARGS__)

#if defined(__cplusplus)
#define TAP_CAST(type, value) static_cast<type>(value)
#else
#define TAP_CAST(type, value) ((type)(value))
#endif

#define TAP_FN __attribute__((unused)) static
#define TAP_PRINTF(format_index) \
    __attribute__((unused, format(printf, format_index, format_index + 1))) static
#define TAP_VPRINTF(format_index) __attribute__((unused, format(printf, format_index, 0))) static

enum { TAP_MAX_TEXT = 1024, TAP_MAX_SHOWN = 512 }; /* bytes of a name, of a wrong value */

static pthread_mutex_t tap_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the counts and stdout */
static int tap_num_run;
static int tap_num_failed;

/* Names stay on one line, and a '#' in one starts no directive. */
TAP_VPRINTF(2) void tap_print_text(const char *prefix, const char *format, va_list args) {
    char text[TAP_MAX_TEXT];
    size_t i;
    (void)vsnprintf(text, sizeof text, format, args);
    (void)fputs(prefix, stdout);
    for (i = 0; text[i] != '\0'; i++) {
        if (text[i] == '#') (void)fputc('\\', stdout);
        (void)fputc(text[i] == '\n' || text[i] == '\r' ? ' ' : text[i], stdout);
    }
    (void)fputc('\n', stdout);
}

/* Prints the line of one check; tap_end() must follow, with the diagnostics in between. */
TAP_VPRINTF(4)
void tap_begin(const char *file, int line, bool passed, const char *format, va_list args) {
    char prefix[40];
    (void)pthread_mutex_lock(&tap_mutex);
    tap_num_run++;
    (void)snprintf(prefix, sizeof prefix, "%sok %d - ", passed ? "" : "not ", tap_num_run);
    tap_print_text(prefix, format, args);
    if (!passed) {
        tap_num_failed++;
        (void)printf("#   at %s:%d\n", file, line);
    }
}

TAP_FN void tap_end(void) {
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&tap_mutex);
}

TAP_PRINTF(4) bool tap_ok(const char *file, int line, bool passed, const char *format, ...) {
    va_list args;
    va_start(args, format);
    tap_begin(file, line, passed, format, args);
    va_end(args);
    tap_end();
    return passed;
}

TAP_PRINTF(5)
bool tap_is_int(const char *file, int line, long long got, long long want, const char *format,
                ...) {
    bool passed = got == want;
    va_list args;
    va_start(args, format);
    tap_begin(file, line, passed, format, args);
    va_end(args);
    if (!passed) {
        (void)printf("#    got: %lld (%#llx)\n", got, TAP_CAST(unsigned long long, got));
        (void)printf("#   want: %lld (%#llx)\n", want, TAP_CAST(unsigned long long, want));
    }
    tap_end();
    return passed;
}

TAP_FN void tap_print_string(const char *label, const char *text) {
    size_t size = text != NULL ? strlen(text) : 0;
    size_t i;
    (void)printf(text != NULL ? "#   %s: \"" : "#   %s: NULL", label);
    for (i = 0; i < size && i < TAP_CAST(size_t, TAP_MAX_SHOWN); i++) {
        unsigned char byte = TAP_CAST(unsigned char, text[i]);
        if (byte < ' ') {
            (void)printf("\\x%02x", TAP_CAST(unsigned, byte));
        } else {
            (void)fputc(text[i], stdout);
        }
    }
    (void)fputs(text != NULL ? "\"" : "", stdout);
    (void)fputs(i < size ? "...\n" : "\n", stdout);
}

TAP_PRINTF(5)
bool tap_is_str(const char *file, int line, const char *got, const char *want, const char *format,
                ...) {
    bool passed = got == want || (got != NULL && want != NULL && strcmp(got, want) == 0);
    va_list args;
    va_start(args, format);
    tap_begin(file, line, passed, format, args);
    va_end(args);
    if (!passed) {
        tap_print_string(" got", got);
        tap_print_string("want", want);
    }
    tap_end();
    return passed;
}

/* Shows from the start of the 16-byte row in which the first difference stands. */
TAP_FN void tap_print_bytes(const char *label, const unsigned char *bytes, size_t size,
                            size_t from) {
    size_t i;
    (void)printf("#   %s: %lu bytes", label, TAP_CAST(unsigned long, size));
    for (i = from; i < size && i < from + TAP_CAST(size_t, TAP_MAX_SHOWN); i++) {
        if (i % 16 == 0) (void)printf("\n#     %04lx ", TAP_CAST(unsigned long, i));
        (void)printf(" %02x", TAP_CAST(unsigned, bytes[i]));
    }
    (void)fputs(i < size ? " ...\n" : "\n", stdout);
}

TAP_PRINTF(7)
bool tap_is_mem(const char *file, int line, const void *got, size_t got_size, const void *want,
                size_t want_size, const char *format, ...) {
    const unsigned char *got_bytes = TAP_CAST(const unsigned char *, got);
    const unsigned char *want_bytes = TAP_CAST(const unsigned char *, want);
    size_t same = 0;
    bool passed;
    va_list args;
    while (same < got_size && same < want_size && got_bytes[same] == want_bytes[same]) same++;
    passed = same == got_size && same == want_size;
    va_start(args, format);
    tap_begin(file, line, passed, format, args);
    va_end(args);
    if (!passed) {
        (void)printf("#   first difference at byte %lu\n", TAP_CAST(unsigned long, same));
        tap_print_bytes(" got", got_bytes, got_size, same - same % 16);
        tap_print_bytes("want", want_bytes, want_size, same - same % 16);
    }
    tap_end();
    return passed;
}

/* A remark for whoever reads the output; counts as nothing. */
TAP_PRINTF(1) void note(const char *format, ...) {
    va_list args;
    (void)pthread_mutex_lock(&tap_mutex);
    va_start(args, format);
    tap_print_text("# ", format, args);
    va_end(args);
    tap_end();
}

/* Stands for one check that cannot be made here; say why. */
TAP_PRINTF(1) void skip(const char *format, ...) {
    char prefix[40];
    va_list args;
    (void)pthread_mutex_lock(&tap_mutex);
    tap_num_run++;
    (void)snprintf(prefix, sizeof prefix, "ok %d # SKIP ", tap_num_run);
    va_start(args, format);
    tap_print_text(prefix, format, args);
    va_end(args);
    tap_end();
}

/* Ends the program, which must not have made a check yet: nothing in it can be tested here. */
TAP_FN void skip_all(const char *reason) {
    (void)printf("1..0 # SKIP %s\n", reason);
    (void)fflush(stdout);
    exit(0);
}

/* Prints the plan. Returns the exit code of main: 0 if checks were made and none failed. */
TAP_FN int done_testing(void) {
    int num_failed;
    int num_run;
    (void)pthread_mutex_lock(&tap_mutex);
    num_failed = tap_num_failed;
    num_run = tap_num_run;
    (void)printf("1..%d\n", num_run);
    if (num_failed > 0) (void)printf("# %d of %d failed\n", num_failed, num_run);
    if (num_run == 0) (void)printf("# no check was made\n");
    tap_end();
    return num_failed == 0 && num_run > 0 ? 0 : 1;
}

#undef TAP_FN
#undef TAP_PRINTF
#undef TAP_VPRINTF

#endif
