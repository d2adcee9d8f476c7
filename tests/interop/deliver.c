/*
 * SPDX-License-Identifier: MIT
 *
 * deliver.c - does what each line on standard input says, and answers with one line:
 *
 *     spans N        makes N spans, numbered through     -> ok
 *     pace N RATE    the same, RATE a second             -> ok
 *     flush MS       hotel_flush                         -> RESULT MILLISECONDS
 *     shutdown MS    hotel_shutdown                      -> RESULT MILLISECONDS
 *     books          hotel_get_stats                     -> name=value ...
 *     gzip           can it pack requests?               -> yes | no
 *     tls            can it encrypt?                     -> yes | no
 *     task ID        starts a Hatchet task with that ID; spans made until its end are in it
 *                                                        -> TRACE_ID
 *     done           ends the task                       -> ok
 *     large BYTES    makes one numbered span with a payload of so many bytes  -> ok
 *
 * The spans go where the environment says. `deliver parallel` has four requests in flight,
 * `deliver greedy` wants more memory, and larger requests than servers take.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#if defined(TESTS_HAVE_ZLIB)
#define HATCHET_OTEL_ZLIB
#endif
#if defined(TESTS_HAVE_OPENSSL)
#define HATCHET_OTEL_OPENSSL
#endif
#include "hatchet_otel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static hotel_task task;

static hotel_span start_numbered(void) {
    static int64_t number;
    hotel_span span = hotel_start("numbered");
    hotel_set_int(&span, "number", number++);
    return span;
}

static void make_spans(uint64_t count) {
    while (count-- > 0) {
        hotel_span span = start_numbered();
        hotel_end(&span);
    }
}

static void make_large_span(size_t bytes) {
    hotel_span span = start_numbered();
    char *payload = (char *)malloc(bytes + 1);
    if (payload == NULL) exit(2);
    memset(payload, 'x', bytes);
    payload[bytes] = '\0';
    hotel_set_str(&span, "hatchet.payload", payload);
    hotel_end(&span);
    free(payload);
}

static void start_task(char *id) {
    size_t i;
    id[strcspn(id, "\n")] = '\0';
    task = hotel_start_step_run(&(hotel_step_run){.step_run_id = id, .workflow_run_id = id});
    for (i = 0; i < 16; i++) printf("%02x", task.span.context.trace_id[i]);
    puts("");
}

static uint64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* What is late after a pause is made up for. */
static void make_paced(uint64_t count, uint64_t per_second) {
    const struct timespec millisecond = {0, 1000000};
    uint64_t made = 0, began = now_ms();
    while (made < count) {
        uint64_t due = (now_ms() - began + 1) * per_second / 1000u;
        if (due > count) due = count;
        if (due > made) make_spans(due - made);
        made = due;
        (void)nanosleep(&millisecond, NULL);
    }
}

static void wait_for(hotel_result (*fn)(uint32_t timeout_ms), unsigned long timeout_ms) {
    uint64_t began = now_ms();
    hotel_result result = fn((uint32_t)timeout_ms);
    printf("%d %" PRIu64 "\n", (int)result, now_ms() - began);
}

static void print_books(void) {
    hotel_stats s;
    hotel_destination_stats d;
    hotel_get_stats(&s);
    if (hotel_get_destination_stats(0, &d) != HOTEL_OK) memset(&d, 0, sizeof d);
    printf("started=%" PRIu64 " unsampled=%" PRIu64 " not_admitted=%" PRIu64 " live=%" PRIu64
           " ended=%" PRIu64,
           s.started, s.unsampled, s.not_admitted, s.live, s.ended);
    printf(" accepted=%" PRIu64 " rejected=%" PRIu64 " failed=%" PRIu64, d.accepted, d.rejected,
           d.failed);
    printf(" dropped_queue_full=%" PRIu64 " dropped_too_large=%" PRIu64 " dropped_shutdown=%" PRIu64
           " queued=%" PRIu64,
           d.dropped_queue_full, d.dropped_too_large, d.dropped_shutdown, d.queued);
    printf(" requests=%" PRIu64 " retries=%" PRIu64 " connections=%" PRIu64 "\n", d.requests,
           d.retries, d.connections);
}

static void say_whether(bool yes) {
    puts(yes ? "yes" : "no");
}

static void obey(char *line) {
    char *rest;
    unsigned long number = strtoul(line + strcspn(line, " "), &rest, 10);
    if (strncmp(line, "spans ", 6) == 0) {
        make_spans(number);
        puts("ok");
    } else if (strncmp(line, "pace ", 5) == 0) {
        make_paced(number, strtoul(rest, NULL, 10));
        puts("ok");
    } else if (strncmp(line, "flush ", 6) == 0) {
        wait_for(hotel_flush, number);
    } else if (strncmp(line, "shutdown ", 9) == 0) {
        wait_for(hotel_shutdown, number);
    } else if (strncmp(line, "gzip", 4) == 0) {
#if defined(HATCHET_OTEL_ZLIB)
        say_whether(true);
#else
        say_whether(false);
#endif
    } else if (strncmp(line, "tls", 3) == 0) {
#if defined(HATCHET_OTEL_OPENSSL)
        say_whether(true);
#else
        say_whether(false);
#endif
    } else if (strncmp(line, "task ", 5) == 0) {
        start_task(line + 5);
    } else if (strncmp(line, "done", 4) == 0) {
        hotel_task_succeed(&task);
        puts("ok");
    } else if (strncmp(line, "large ", 6) == 0) {
        make_large_span(number);
        puts("ok");
    } else {
        print_books();
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    char line[100];
    const hotel_destination parallel = {.max_inflight = 4};
    hotel_config config = {.service_name = "deliver", .log_fn = hotel_log_to_stderr};
    if (argc > 1 && strcmp(argv[1], "greedy") == 0) {
        config.arena_bytes = 64u << 20;
        config.limits.max_span_bytes = 16u << 20;
        config.hatchet.collector.max_queue_size = 8192;
        config.hatchet.collector.max_export_batch_size = 8192;
        config.hatchet.collector.max_request_bytes = 16u << 20;
    } else if (argc > 1 && strcmp(argv[1], "parallel") == 0) {
        config.destinations = &parallel;
        config.num_destinations = 1;
    }
    if (hotel_init(&config) != HOTEL_OK) return 2;
    while (fgets(line, sizeof line, stdin) != NULL) obey(line);
    (void)hotel_shutdown(1000);
    return 0;
}
