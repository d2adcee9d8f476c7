/*
 * SPDX-License-Identifier: MIT
 *
 * test_gzip.c - requests that are packed with zlib, unpacked again by the server: by code and by
 * variable, repeated, several at once, and when packing gains nothing. Rules EX-08, OX-08, OX-11,
 * OT-02. Skipped where there is no zlib.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#if defined(TESTS_HAVE_ZLIB)
#define HATCHET_OTEL_ZLIB
#endif
#include "hatchet_otel.h"

#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#if defined(TESTS_HAVE_ZLIB)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct run {
    server s;
    char url[160];
    hotel_destination to;
    hotel_config config;
} run;

static void begin(run *r, const server_step *steps, size_t count) {
    if (!server_start(&r->s, SERVER_IPV4, steps, count)) abort();
    r->to = destination(server_url(&r->s, "", r->url, sizeof r->url));
    r->to.compression = HOTEL_COMPRESSION_GZIP;
    r->config = test_config(&r->to, 1);
}

static void start(run *r) {
    log_clear();
    is_int(hotel_init(&r->config), HOTEL_OK, "init");
    open_books();
}

static void end(run *r, const char *name) {
    (void)hotel_shutdown(2000);
    server_stop(&r->s);
    is_int(r->s.num_bad, 0, "%s: every request is right (%s)", name, r->s.problem);
    is_int(r->s.num_spans, since_opened(0).offered, "%s: every span came", name);
    is_int(server_num_duplicates(&r->s), 0, "%s: once", name);
    check_books(name);
    server_release(&r->s);
}

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("packed");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_set_str(&span, "http.url", "https://example.com/a/path?and=a&query=string");
        hotel_end(&span);
    }
}

/* A span whose bytes do not shrink. */
static void end_noise(size_t size) {
    static unsigned char noise[65536];
    uint64_t state = 88172645463325252u;
    hotel_span span = hotel_start("noise");
    size_t i;
    for (i = 0; i < size; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        noise[i] = (unsigned char)(state >> 32);
    }
    hotel_set(&span, hotel_bytes("noise", noise, size));
    hotel_end(&span);
}

static void test_packed(void) {
    run r;
    const server_request *q;
    char value[64], words[4096];
    begin(&r, NULL, 0);
    start(&r);
    (void)hotel_describe(words, sizeof words);
    ok(strstr(words, "compression=gzip\n") != NULL, "OX-08 hotel_describe tells");
    end_spans(100);
    is_int(hotel_flush(4000), HOTEL_OK, "EX-08 100 spans, packed");
    q = server_request_at(&r.s, 0);
    is_str(server_header_in(q->head, "Content-Encoding", 0, value, sizeof value), "gzip",
           "EX-08 OT-02 Content-Encoding: gzip");
    is_str(server_header_in(q->head, "Content-Type", 0, value, sizeof value),
           "application/x-protobuf", "OT-01 and still protobuf");
    ok(server_header_in(q->head, "Accept-Encoding", 0, value, sizeof value) == NULL,
       "OT-02 a packed reply is not asked for");
    is_int(q->num_spans, 100, "EX-08 the server unpacks 100 spans");
    ok(q->wire_size * 2 < q->body.size, "EX-08 %zu bytes in %zu", q->body.size, q->wire_size);
    is_int(since_opened(0).bytes_sent, q->wire_size, "EX-08 bytes_sent is what went out");
    end_spans(200);
    is_int(hotel_flush(4000), HOTEL_OK, "EX-08 another request");
    end(&r, "packed");
}

/* What would not get smaller goes out as it is, and the one behind it is packed again. */
static void test_plain_instead(void) {
    run r;
    begin(&r, NULL, 0);
    start(&r);
    end_noise(20000);
    is_int(hotel_flush(4000), HOTEL_OK, "EX-08 noise");
    end_spans(1);
    is_int(hotel_flush(4000), HOTEL_OK, "EX-08 one small span");
    end_spans(50);
    is_int(hotel_flush(4000), HOTEL_OK, "EX-08 50 spans");
    ok(!server_request_at(&r.s, 0)->gzip, "EX-08 noise goes out plain");
    ok(server_request_at(&r.s, 0)->body.size > 20000, "... as it is");
    ok(server_request_at(&r.s, 2)->gzip, "EX-08 and 50 spans packed");
    end(&r, "noise");
}

static void test_repeated(void) {
    static const server_step steps[] = {{.reply = SERVER_STATUS("503 Busy")}, {.reply = SERVER_OK}};
    run r;
    begin(&r, steps, 2);
    start(&r);
    end_spans(50);
    is_int(hotel_flush(4000), HOTEL_OK, "OR-16 packed, refused, delivered");
    ok(server_request_at(&r.s, 0)->gzip && server_request_at(&r.s, 1)->gzip &&
           server_request_at(&r.s, 0)->wire_size == server_request_at(&r.s, 1)->wire_size,
       "OR-16 both times packed, in as many bytes");
    is_mem(server_request_at(&r.s, 1)->body.at, server_request_at(&r.s, 1)->body.size,
           server_request_at(&r.s, 0)->body.at, server_request_at(&r.s, 0)->body.size,
           "OR-16 the same spans");
    (void)hotel_shutdown(1000);
    server_stop(&r.s);
    check_books("packed and repeated");
    server_release(&r.s);
}

static void test_several(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 30}};
    run r;
    int round;
    begin(&r, slow, 1);
    r.to.max_inflight = 4;
    r.to.max_export_batch_size = 50;
    start(&r);
    for (round = 0; round < 5; round++) {
        end_spans(400);
        end_noise(3000);
        is_int(hotel_flush(8000), HOTEL_OK, "EX-08 EX-11 four at once, round %d", round);
    }
    is_int(since_opened(0).connections, 4, "EX-11 over four connections");
    end(&r, "packed, four at once");
}

/* The limit is on the bytes before packing. */
static void test_limit(void) {
    run r;
    unsigned i;
    size_t largest = 0;
    begin(&r, NULL, 0);
    r.to.max_request_bytes = 4096;
    start(&r);
    end_spans(200);
    is_int(hotel_flush(4000), HOTEL_OK, "OX-11 200 spans in requests of 4 KiB");
    for (i = 0; i < server_num_requests(&r.s); i++) {
        size_t size = server_request_at(&r.s, i)->body.size;
        if (size > largest) largest = size;
    }
    ok(largest > 3500 && largest <= 4096, "OX-11 the limit is measured before packing (%zu)",
       largest);
    end(&r, "packed with a limit");
}

static void test_variables(void) {
    static const struct {
        const char *traces, *general;
        hotel_compression code;
        bool gzip;
        unsigned messages;
    } cases[] = {
        {NULL, NULL, HOTEL_COMPRESSION_DEFAULT, false, 0},
        {NULL, "gzip", HOTEL_COMPRESSION_DEFAULT, true, 0},
        {"gzip", NULL, HOTEL_COMPRESSION_DEFAULT, true, 0},
        {"gzip", "none", HOTEL_COMPRESSION_DEFAULT, true, 0},
        {"none", "gzip", HOTEL_COMPRESSION_DEFAULT, false, 0},
        {"zstd", "gzip", HOTEL_COMPRESSION_DEFAULT, true, 1},
        {"zstd", NULL, HOTEL_COMPRESSION_DEFAULT, false, 1},
        {"", "gzip", HOTEL_COMPRESSION_DEFAULT, true, 0},
        {"none", "none", HOTEL_COMPRESSION_GZIP, true, 0},
        {"gzip", "gzip", HOTEL_COMPRESSION_NONE, false, 0},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        run r;
        if (cases[i].traces != NULL)
            (void)setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", cases[i].traces, 1);
        if (cases[i].general != NULL)
            (void)setenv("OTEL_EXPORTER_OTLP_COMPRESSION", cases[i].general, 1);
        begin(&r, NULL, 0);
        r.config.ignore_environment = false;
        r.to.compression = cases[i].code;
        start(&r);
        end_spans(50);
        is_int(hotel_flush(4000), HOTEL_OK, "OX-08 variables, case %zu: delivered", i);
        is_int(server_request_at(&r.s, 0)->gzip, cases[i].gzip, "OX-08 ... packed or not");
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), cases[i].messages, "OX-08 ... messages");
        end(&r, "variables");
        (void)unsetenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION");
        (void)unsetenv("OTEL_EXPORTER_OTLP_COMPRESSION");
    }
}

/* A value that is none of them, and memory that is given and given back. */
static void test_setup(void) {
    static unsigned char memory[128 * 1024];
    run r;
    int round;
    begin(&r, NULL, 0);
    r.to.compression = (hotel_compression)77;
    log_clear();
    is_int(hotel_init(&r.config), HOTEL_ERR_ARGUMENT, "OX-08 a compression of 77");
    open_books();
    check_log(HOTEL_LOG_ID_BAD_CONFIG, 1, "OX-08 a compression of 77");
    end_spans(50);
    is_int(hotel_flush(4000), HOTEL_OK, "OX-08 works without");
    end(&r, "a compression of 77");
    (void)hotel_release();
    for (round = 0; round < 3; round++) {
        begin(&r, NULL, 0);
        r.config.memory = memory;
        r.config.memory_bytes = sizeof memory;
        start(&r);
        end_spans(40);
        is_int(hotel_flush(4000), HOTEL_OK, "P2 packed, in memory that is given");
        ok(server_request_at(&r.s, 0)->gzip, "P2 ... indeed");
        end(&r, "packed in given memory");
        if (round > 0) (void)hotel_release();
    }
    begin(&r, NULL, 0);
    r.config.memory = memory;
    r.config.memory_bytes = 2048;
    is_int(hotel_init(&r.config), HOTEL_ERR_MEMORY, "P2 too little memory for it");
    server_release(&r.s);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_packed();
    test_plain_instead();
    test_repeated();
    test_several();
    test_limit();
    test_variables();
    test_setup();
    return done_testing();
}

#else

int main(void) {
    skip_all("no zlib found");
}

#endif
