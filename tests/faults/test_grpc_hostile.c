/*
 * SPDX-License-Identifier: MIT
 *
 * test_grpc_hostile.c - servers of HTTP/2 that mean harm: floods of every kind of frame, with the
 * client's replies read and not read, header blocks without end, bombs for the decompression,
 * messages in single bytes; and servers that do nothing at all. Every time the request ends at its
 * deadline at the latest, memory stays what it was, waiting costs no processor time, and the next
 * request is delivered. Rules OG-08, OG-09, OG-10, OX-12.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>
#include <sys/resource.h>

#include "grpc_server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { TIMEOUT_MS = 700, SLACK_MS = 3000 };

/* One span meets the program; the next one a good server. */
typedef struct hostile_row {
    const char *name;
    const char *program;
    server_when when;
    bool is_idle;     /* nothing is to be done: processor time shows whether that is so */
    size_t body_size; /* of the request, about; 0: small */
    server_after after;
    const char *said; /* why it was given up before its time; NULL: not looked at */
} hostile_row;

#define FLOOD(name, said, program) \
    { name, program, SERVER_AT_REQUEST, false, 0, SERVER_KEEP, said }
#define IDLE(name, program, size) \
    { name, program, SERVER_AT_REQUEST, true, size, SERVER_KEEP, "in time" }

static const hostile_row rows[] = {
    FLOOD("PING", "flood", "mark; ping; loop"),
    FLOOD("PING whose answers are not read", "flood", "deaf; mark; ping; loop"),
    FLOOD("PING with ACK", "flood", "mark; frame 6 1 0 0000000000000000; loop"),
    FLOOD("SETTINGS", "flood", "mark; settings; loop"),
    FLOOD("SETTINGS whose answers are not read", "flood", "deaf; mark; settings 1=0; loop"),
    FLOOD("SETTINGS that change the window", "flood",
          "mark; settings 4=0 4=2147483647 4=1 4=65535; loop"),
    FLOOD("empty DATA", "flood", "h; mark; data; loop"),
    FLOOD("DATA that is padding only", "flood", "h; mark; pad 255; data; loop"),
    FLOOD("DATA of one byte", NULL, "h; data 0000400000; mark; data 00; loop"),
    FLOOD("empty messages", "max_response_bytes", "h; mark; m; loop"),
    FLOOD("DATA for a stream that is over", NULL, "only 0; mark; frame 0 0 s 00; loop"),
    FLOOD("empty CONTINUATION", "flood", "frame 1 0 s 88; mark; frame 9 0 s; loop"),
    FLOOD("CONTINUATION of one byte", "flood", "frame 1 0 s 88; mark; frame 9 0 s 20; loop"),
    FLOOD("CONTINUATION of large headers", "larger than the limit",
          "frame 1 0 s 88; mark; frame 9 0 s "
          "0001610161000161016100016101610001610161000161016100016101610001610161000161016100016101"
          "61000161016100016101610001610161000161016100016101610001610161000161016100016101610001; "
          "loop"),
    FLOOD("interim headers", "flood", "mark; headers :status=103 link=</style.css>; loop"),
    FLOOD("HEADERS for the next stream", "never opened", "mark; frame 1 5 n 88; loop"),
    FLOOD("trailers without END_STREAM", "trailers", "h; mark; headers a=b; loop"),
    FLOOD("WINDOW_UPDATE of one byte", "flood", "mark; window 0 1; loop"),
    FLOOD("WINDOW_UPDATE of a stream that is over", NULL,
          "h; m; t 0; mark; frame 8 0 1 00000001; loop"),
    FLOOD("RST_STREAM of a stream that is over", NULL,
          "h; m; t 0; mark; frame 3 0 1 00000008; loop"),
    FLOOD("PRIORITY", "flood", "mark; frame 2 0 s 0000000010; loop"),
    FLOOD("PRIORITY of the wrong size", "flood", "mark; frame 2 0 n 00; loop"),
    FLOOD("unknown frames", "flood", "mark; frame 200 255 7 0011223344556677; loop"),
    FLOOD("GOAWAY", "flood", "mark; goaway s 0 still_leaving; loop"),
    FLOOD("pushes", "pushes", "mark; frame 5 4 s 0000000282; loop"),
    FLOOD("frames of 16 MiB", "larger than allowed", "mark; raw ffffff000000000001; loop"),
    FLOOD("garbage", "larger than allowed",
          "mark; raw 4f6e636520757059a6e2061206d69646e6967687420647265617279; loop"),
    FLOOD("all kinds in turn", "flood",
          "mark; ping; settings; window 0 1; frame 200 0 0 00; "
          "frame 2 0 s 0000000010; loop"),
    FLOOD("HTML without end", "max_response_bytes",
          "headers :status=200 content-type=text/html; bulk 1000000000"),
    IDLE("silence", "", 0),
    IDLE("headers, then silence", "h", 0),
    {"a server that reads nothing", "", SERVER_AT_ACCEPT, true, 200000, SERVER_HANG, "no SETTINGS came"},
    {"windows that stay closed", "manual; settings", SERVER_AT_ACCEPT, true, 200000, SERVER_KEEP,
     "window stayed closed"},
    {"a window of one byte every 50 ms",
     "manual; settings; until stuck; mark; window 0 1; wait 50; loop", SERVER_AT_ACCEPT, true,
     200000, SERVER_KEEP, "window stayed closed"},
    IDLE("MAX_CONCURRENT_STREAMS 0 behind the request", "settings 3=0", 0),
    IDLE("PING every 50 ms", "mark; ping; wait 50; loop", 0),
};

static hotel_result export_bytes(size_t size) {
    static char text[32768];
    memset(text, 't', sizeof text);
    do {
        size_t part = size < sizeof text ? size : sizeof text;
        hotel_span span = hotel_start("fault");
        hotel_set_strn(&span, "text", text, part);
        hotel_end(&span);
        size -= part;
    } while (size > 0);
    return hotel_flush(5000);
}

/* Processor time of this thread, which does all the work of the library here. */
static long long thread_ms(void) {
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (long long)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static long max_kib(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void check_hostile(const hostile_row *row) {
    server_step steps[2];
    grpc_server g;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    long long took, used;
    long memory;
    memset(steps, 0, sizeof steps);
    steps[0].reply = row->program;
    steps[0].when = row->when;
    steps[0].after = row->after;
    steps[1].reply = GRPC_OK;
    if (!grpc_start(&g, steps, 2)) abort();
    to = destination(server_url(&g.http, "", url, sizeof url));
    to.protocol = HOTEL_PROTOCOL_GRPC;
    to.timeout_ms = TIMEOUT_MS;
    config.no_threads = true;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
    memory = max_kib();
    took = server_now_ms(), used = thread_ms();
    (void)!export_bytes(row->body_size);
    took = server_now_ms() - took, used = thread_ms() - used;
    memory = max_kib() - memory;
    ok(took < TIMEOUT_MS + SLACK_MS, "OG-09 %s: over after %lld ms", row->name, took);
    ok(UNDER_ASAN || UNDER_TSAN || memory < 4096 + 4 * (long)(row->body_size / 1024),
       "OX-12 %s: %ld KiB more memory", row->name, memory);
    if (row->said != NULL && !UNDER_ASAN && !UNDER_TSAN) {
        ok(log_has(row->said), "OG-08 %s: the log says why", row->name) || (log_show(), 0);
    }
    if (row->is_idle) {
        ok(used < 150, "OG-09 %s: %lld ms of processor time", row->name, used);
    }
    is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), since_opened(0).failed > 0,
           "OR-17 %s: said once, if lost", row->name) ||
        (log_show(), 0);
    /* The flood may go on where the answer was complete, and meet the next request too. */
    ok(export_bytes(0) == HOTEL_OK || export_bytes(0) == HOTEL_OK,
       "OG-08 %s: the next request is delivered, or the one behind it", row->name) ||
        (log_show(), 0);
    (void)hotel_shutdown(1000);
    server_stop(&g.http);
    is_int(g.http.num_bad, 0, "OG-08 %s: the client keeps to the rules (%s)", row->name,
           g.http.problem);
    check_books(row->name);
    server_release(&g.http);
}

/* ---- Bombs ----------------------------------------------------------------------------------- */

/* Header blocks are hex in a program: these are built. */
static char bomb[40000];
static size_t bomb_size;

static void bomb_add(const char *text) {
    size_t size = strlen(text);
    if (bomb_size + size >= sizeof bomb) abort();
    memcpy(bomb + bomb_size, text, size + 1);
    bomb_size += size;
}

static void bomb_add_times(const char *text, size_t times) {
    while (times-- > 0) bomb_add(text);
}

static void check_bombs(void) {
    static const char *const names[] = {"a field of 3900 bytes, named 3000 times",
                                        "a name of 3900 bytes with 1000 values",
                                        "one header of 12 kB",
                                        "2000 headers",
                                        "a table whose size changes 3000 times",
                                        "Huffman codes of 30 bits"};
    hostile_row row;
    size_t i;
    memset(&row, 0, sizeof row);
    for (i = 0; i < COUNT(names); i++) {
        bomb_size = 0;
        bomb_add(i != 4 ? "frame 1 1 s 88" : "frame 1 1 s");
        if (i < 2) {
            /* Into the table: "a", or a long name, and a value of 3900 or no bytes. */
            bomb_add(i == 0 ? "4001617fbd1d" : "407fbd1d");
            bomb_add_times("62", 3900);
            if (i == 1) bomb_add("0163");
            bomb_add("; frame 9 4 s ");
            bomb_add_times(i == 0 ? "be" : "0f2f00", i == 0 ? 3000 : 1000);
        } else if (i == 2) {
            bomb_add("0001617fe15c; ");
            bomb_add("frame 9 0 s ");
            bomb_add_times("62", 4000);
            bomb_add("; frame 9 0 s ");
            bomb_add_times("62", 4000);
            bomb_add("; frame 9 4 s ");
            bomb_add_times("62", 4000);
        } else if (i == 3) {
            bomb_add("; frame 9 0 s ");
            bomb_add_times("0001610162", 800);
            bomb_add("; frame 9 4 s ");
            bomb_add_times("0001610162", 800);
        } else if (i == 4) {
            bomb_add("; frame 9 4 s ");
            bomb_add_times("3fe11f20", 1000);
        } else {
            bomb_add("; frame 9 4 s 000161fff91d"); /* 3960 bytes: codes of 30 bits */
            bomb_add_times("fffffff3ffffffcfffffff3ffffffc", 264);
        }
        row.name = names[i];
        row.program = bomb;
        check_hostile(&row);
    }
}

/* Floods meet four connections at once, while spans go on to come. */
static void check_many(void) {
    static const server_step steps[] = {{.reply = "mark; ping; settings; loop"}};
    grpc_server g;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    long long took = server_now_ms();
    unsigned i;
    if (!grpc_start(&g, steps, 1)) abort();
    to = destination(server_url(&g.http, "", url, sizeof url));
    to.protocol = HOTEL_PROTOCOL_GRPC;
    to.timeout_ms = TIMEOUT_MS;
    to.max_inflight = 4;
    to.max_export_batch_size = 10;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
    for (i = 0; i < 100; i++) {
        hotel_span span = hotel_start("fault");
        hotel_end(&span);
        server_sleep_ms(1);
    }
    (void)!hotel_flush(8000);
    took = server_now_ms() - took;
    ok(took < 4 * (TIMEOUT_MS + SLACK_MS), "OG-09 four floods at once: over after %lld ms", took);
    (void)hotel_shutdown(1000);
    server_stop(&g.http);
    is_int(since_opened(0).failed, 100, "OR-17 ... all counted as failed");
    is_int(g.http.num_bad, 0, "OG-08 ... the client keeps to the rules (%s)", g.http.problem);
    check_books("four floods at once");
    server_release(&g.http);
}

int main(void) {
    size_t i;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (i = 0; i < COUNT(rows); i++) check_hostile(&rows[i]);
    check_bombs();
    check_many();
    note("all of it took %lld ms", server_now_ms() - began);
    return done_testing();
}
