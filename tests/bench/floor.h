/*
 * SPDX-License-Identifier: MIT
 *
 * floor.h - the ideal span, which every figure is held against: two reads of the cheapest clock
 * that the machine has, the steps of a generator for its IDs, and one copy of its bytes into a
 * ring of 512-byte slots. No locks, no limits, no checks. A span cannot be cheaper than this.
 */
#ifndef FLOOR_H_INCLUDED
#define FLOOR_H_INCLUDED

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The span that is measured everywhere: its name, and its four attributes in OTLP's encoding. */
#define SPAN_NAME "handle_request"
#define SPAN_URL "http://127.0.0.1:8080/api/v1/things/42"
#define SPAN_RUN_ID "5f0c1f0e-7d5e-4d0b-9a53-2f1f6f0f9b3c"
static const char span_attributes[] = "\x4a\x14\x0a\x0bhttp.method\x12\x05\x0a\x03GET"
                                      "\x4a\x34\x0a\x08http.url\x12\x28\x0a\x26" SPAN_URL
                                      "\x4a\x17\x0a\x10http.status_code\x12\x03\x18\xc8\x01"
                                      "\x4a\x3d\x0a\x13hatchet.step_run_id\x12\x26\x0a\x24"
                                      SPAN_RUN_ID;
/* Ten attributes, one of every kind; an event and a link with two attributes each. */
static const char span_kinds[] =
    "\x4a\x14\x0a\x0bhttp.method\x12\x05\x0a\x03GET"
    "\x4a\x0c\x0a\x06" "cached\x12\x02\x10\x01"
    "\x4a\x17\x0a\x10http.status_code\x12\x03\x18\xc8\x01"
    "\x4a\x12\x0a\x05ratio\x12\x09\x21\0\0\0\0\0\0\xe0\x3f"
    "\x4a\x1c\x0a\x06" "digest\x12\x12\x3a\x10" "0123456789abcdef"
    "\x4a\x1c\x0a\x05hosts\x12\x13\x2a\x11\x0a\x07\x0a\x05" "alpha\x0a\x06\x0a\x04" "beta"
    "\x4a\x1a\x0a\x05sizes\x12\x11\x2a\x0f\x0a\x02\x18\x01\x0a\x03\x18\xc8\x01"
    "\x0a\x04\x18\xb0\xea\x01"
    "\x4a\x22\x0a\x06shares\x12\x18\x2a\x16\x0a\x09\x21\0\0\0\0\0\0\xd0\x3f"
    "\x0a\x09\x21\0\0\0\0\0\0\xe8\x3f"
    "\x4a\x16\x0a\x05mixed\x12\x0d\x2a\x0b\x0a\x05\x0a\x03low\x0a\x02\x18\x07"
    "\x4a\x27\x0a\x04peer\x12\x1f\x32\x1d\x0a\x0e\x0a\x04name\x12\x06\x0a\x04" "db-1"
    "\x0a\x0b\x0a\x04port\x12\x03\x18\xb8\x2a";
static const char span_event[] = "\x12\x05retry\x1a\x0d\x0a\x07" "attempt\x12\x02\x18\x02"
                                 "\x1a\x13\x0a\x06reason\x12\x09\x0a\x07timeout";
static const char span_link[] = "\x6a\x44\x0a\x10" "0123456789abcdef\x12\x08" "01234567"
                                "\x22\x0e\x0a\x08position\x12\x02\x18\x03"
                                "\x22\x11\x0a\x05queue\x12\x08\x0a\x06orders"
                                "\x35\x01\x01\0\0";
enum {
    SPAN_ATTRIBUTES_SIZE = sizeof span_attributes - 1,
    SPAN_KINDS_SIZE = sizeof span_kinds - 1,
    SPAN_EVENT_SIZE = sizeof span_event - 1,
    SPAN_LINK_SIZE = sizeof span_link - 1,
    SPAN_NAME_SIZE = sizeof SPAN_NAME - 1,
    RING_SLOTS = 2048
};

typedef struct ideal_span {
    uint64_t trace_id[2], span_id, parent_id, start, end;
    uint32_t name_size, attributes_size;
    char bytes[456];
} ideal_span;

static ideal_span ring[RING_SLOTS];
static uint64_t ring_head;         /* written by the producer */
static uint64_t ring_tail;         /* written by the consumer */
static volatile uint64_t ring_sum; /* keeps the consumer's reads from being optimised away */
static uint64_t generator[4] = {0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 1};
static bool has_ticks;

static uint64_t clock_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The counter of the processor is a clock where the kernel itself uses it as one. */
static const char *find_ticks(void) {
#if defined(__x86_64__) || defined(__i386__)
    char name[32] = "";
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) == NULL) name[0] = '\0';
        (void)fclose(file);
    }
    has_ticks = strncmp(name, "tsc", 3) == 0;
#elif defined(__aarch64__)
    has_ticks = true;
#endif
    return has_ticks ? "the processor's counter" : "clock_gettime";
}

static inline uint64_t read_ticks(void) {
#if defined(__x86_64__) || defined(__i386__)
    if (has_ticks) return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
    return clock_ns();
}

/* One step of xoshiro256++. */
static inline uint64_t step_generator(void) {
    uint64_t *s = generator;
    uint64_t sum = s[0] + s[3];
    uint64_t result = (sum << 23 | sum >> 41) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

static inline ideal_span *begin_ideal_span(void) {
    ideal_span *span = &ring[ring_head % RING_SLOTS];
    span->trace_id[0] = step_generator();
    span->trace_id[1] = step_generator();
    span->span_id = step_generator();
    span->start = read_ticks();
    span->name_size = SPAN_NAME_SIZE;
    memcpy(span->bytes, SPAN_NAME, SPAN_NAME_SIZE);
    return span;
}

static inline void end_ideal_span(ideal_span *span) {
    span->end = read_ticks();
    __atomic_store_n(&ring_head, ring_head + 1, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void floor_empty(int n) {
    for (int i = 0; i < n; i++) {
        ideal_span *span = begin_ideal_span();
        span->attributes_size = 0;
        end_ideal_span(span);
    }
}

/* A span with these bytes, whose number is known to the compiler. */
#define FLOOR_OF(name, copied)                                               \
    static __attribute__((noinline)) void floor_##name(int n) {              \
        for (int i = 0; i < n; i++) {                                        \
            ideal_span *span = begin_ideal_span();                           \
            span->attributes_size = sizeof copied - 1;                       \
            memcpy(span->bytes + SPAN_NAME_SIZE, copied, sizeof copied - 1); \
            end_ideal_span(span);                                            \
        }                                                                    \
    }

FLOOR_OF(attributes, span_attributes)
FLOOR_OF(kinds, span_kinds)
FLOOR_OF(link, span_link)

/* An event has a time of its own, and two bytes of head before it. */
static __attribute__((noinline)) void floor_event(int n) {
    for (int i = 0; i < n; i++) {
        ideal_span *span = begin_ideal_span();
        char *at = span->bytes + SPAN_NAME_SIZE;
        uint64_t now = read_ticks();
        span->attributes_size = SPAN_EVENT_SIZE + 11;
        memcpy(at, "\x5a\x34\x09", 3);
        memcpy(at + 3, &now, 8);
        memcpy(at + 11, span_event, SPAN_EVENT_SIZE);
        end_ideal_span(span);
    }
}

/* What an exporter does at the least: it reads what the producer wrote. */
static void read_ring(void) {
    uint64_t head = __atomic_load_n(&ring_head, __ATOMIC_ACQUIRE);
    uint64_t sum = 0;
    for (; ring_tail != head; __atomic_store_n(&ring_tail, ring_tail + 1, __ATOMIC_RELEASE)) {
        const ideal_span *span = &ring[ring_tail % RING_SLOTS];
        sum += span->trace_id[0] + span->span_id + span->end;
        for (uint32_t i = 0; i < span->attributes_size; i += 32) sum += (uint8_t)span->bytes[i];
    }
    ring_sum += sum;
}

static bool reader_stops;

static void *run_reader(void *unused) {
    const struct timespec pause = {0, 500000};
    (void)unused;
    while (!__atomic_load_n(&reader_stops, __ATOMIC_ACQUIRE)) {
        read_ring();
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void wait_for_reader(void) {
    const struct timespec pause = {0, 50000};
    while (__atomic_load_n(&ring_tail, __ATOMIC_ACQUIRE) != ring_head) {
        (void)nanosleep(&pause, NULL);
    }
}

#endif
