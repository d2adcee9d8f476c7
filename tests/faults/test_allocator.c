/*
 * SPDX-License-Identifier: MIT
 *
 * test_allocator.c - memory from an allocator of the host's: where it is asked, how often, what
 * happens when it refuses, and that all of it comes back.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "server.h"

#include "books.h"
#include "tap.h"

typedef struct pool {
    int taken, given, fail_at; /* the fail_at-th call fails; 0: none */
    size_t bytes;              /* out now */
    bool foreign;              /* something came back that was not taken */
} pool;

enum { PREFIX = 64, MAGIC = 0x600d };

static void *pool_take(size_t size, void *user_data) {
    pool *p = (pool *)user_data;
    unsigned char *at;
    if (++p->taken == p->fail_at) return NULL;
    at = (unsigned char *)malloc(size + PREFIX);
    if (at == NULL) abort();
    memset(at, 0xa5, size + PREFIX); /* nobody may count on zeros */
    ((size_t *)(void *)at)[0] = size;
    ((size_t *)(void *)at)[1] = MAGIC;
    p->bytes += size;
    return at + PREFIX;
}

static void pool_give(void *memory, void *user_data) {
    pool *p = (pool *)user_data;
    unsigned char *at = (unsigned char *)memory - PREFIX;
    p->given++;
    if (((size_t *)(void *)at)[1] != MAGIC) {
        p->foreign = true;
        return;
    }
    ((size_t *)(void *)at)[1] = 0;
    p->bytes -= ((size_t *)(void *)at)[0];
    free(at);
}

static void on_end(const struct hotel_span_view *span, void *user_data) {
    (void)span;
    (void)user_data;
}

static hotel_config pool_config(pool *p, hotel_destination *to) {
    hotel_config config = test_config(to, 1);
    memset(p, 0, sizeof *p);
    config.allocator.allocate_fn = pool_take;
    config.allocator.free_fn = pool_give;
    config.allocator.user_data = p;
    return config;
}

static void some_spans(int count) {
    while (count-- > 0) {
        hotel_span span = hotel_start("allocated");
        hotel_set_str(&span, "key", "value");
        hotel_end(&span);
    }
}

static void test_everything_comes_back(void) {
    pool p;
    server s;
    char url[64];
    hotel_destination to, second;
    hotel_config config, further;
    hotel_processor processor;
    hotel_provider provider;
    int at_init, round;
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = second = destination(server_url(&s, "", url, sizeof url));
    to.compression = HOTEL_COMPRESSION_GZIP; /* where it was compiled in */
    to.max_inflight = 2;
    config = pool_config(&p, &to);
    memset(&processor, 0, sizeof processor);
    processor.on_end_fn = on_end;
    config.processors = &processor;
    config.num_processors = 1;
    further = config;
    further.destinations = &second;
    for (round = 1; round <= 2; round++) {
        (void)hotel_init(&config);
        open_books();
        ok(p.taken > 0, "round %d: set-up asks the allocator", round);
        is_int(hotel_provider_start(&further, &provider), HOTEL_OK, "a further provider");
        at_init = p.taken;
        some_spans(500);
        is_int(hotel_flush(5000), HOTEL_OK, "spans are delivered");
        is_int(p.taken, at_init, "P2 without another allocation");
        is_int(hotel_shutdown(5000), HOTEL_OK, "shutdown");
        is_int(p.taken, at_init, "nor one at the end");
    }
    is_int(hotel_release(), HOTEL_OK, "release");
    is_int((long long)p.bytes, 0, "all of it comes back");
    is_int(p.given, p.taken, "each piece once");
    ok(!p.foreign, "and nothing else");
    server_stop(&s);
    server_release(&s);
}

static void test_refusals(void) {
    pool p;
    hotel_destination to = destination("http://127.0.0.1:9");
    hotel_config config = pool_config(&p, &to);
    int n = 0;
    hotel_result result = HOTEL_ERR_MEMORY;
    to.schedule_delay_ms = 600000;
    for (n = 1; n < 20 && result != HOTEL_OK; n++) {
        config = pool_config(&p, &to);
        p.fail_at = n;
        log_clear();
        result = hotel_init(&config);
        if (result == HOTEL_OK) break;
        is_int(result, HOTEL_ERR_MEMORY, "the allocation %d fails: init says so", n);
        is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "and what could be done");
        is_int((long long)p.bytes, 0, "what it had comes back");
        some_spans(1);
        is_int(hotel_flush(0), HOTEL_ERR_NOT_RUNNING, "nothing runs");
    }
    ok(n > 1 && result == HOTEL_OK, "with %d allocations it starts", n - 1);
    (void)hotel_shutdown(0);
    (void)hotel_release();
    is_int((long long)p.bytes, 0, "all of it comes back");
}

static void test_provider_refusal(void) {
    pool p;
    hotel_destination to = destination("http://127.0.0.1:9");
    hotel_config config = pool_config(&p, &to);
    hotel_provider provider;
    size_t before;
    to.schedule_delay_ms = 600000;
    (void)hotel_init(&config);
    before = p.bytes;
    p.fail_at = p.taken + 1;
    is_int(hotel_provider_start(&config, &provider), HOTEL_ERR_MEMORY, "a provider without memory");
    is_int((long long)p.bytes, (long long)before, "takes none");
    is_int((long long)provider.serial, 0, "and has no handle");
    is_int(hotel_provider_start(&config, &provider), HOTEL_OK, "the next one starts");
    (void)hotel_shutdown(0);
    (void)hotel_release();
    is_int((long long)p.bytes, 0, "all of it comes back");
}

static void test_half_an_allocator(void) {
    pool p;
    hotel_destination to = destination("http://127.0.0.1:9");
    hotel_config config = pool_config(&p, &to);
    config.allocator.free_fn = NULL;
    log_clear();
    is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "an allocator that cannot free");
    is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "is reported");
    is_int(p.taken, 0, "and not used");
    some_spans(1);
    (void)hotel_shutdown(0);
    (void)hotel_release();
}

int main(void) {
    test_everything_comes_back();
    test_refusals();
    test_provider_refusal();
    test_half_an_allocator();
    return done_testing();
}
