/*
 * SPDX-License-Identifier: MIT
 *
 * test_connections.c - what happens to connections: kept, closed, stale, refused, silent,
 * redirected, restarted, and a shutdown in the middle. Rules OR-15, OR-18, OT-05, OT-06, OU-09,
 * OU-10, traps T-03, T-10, T-12.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <netdb.h>
#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

enum { NUM_SPANS = 3 };

/* ---- A resolver of our own: this program asks no name server -------------------------------- */

static int lookup_ms;        /* how long an answer takes; atomic */
static unsigned num_lookups; /* atomic */
static const char
    *lookup_answer; /* numeric IPv4 addresses with blanks between; NULL: no such name */

static struct addrinfo *one_address(const char *text, size_t size, struct addrinfo *next) {
    struct addrinfo *a = (struct addrinfo *)calloc(1, sizeof *a + sizeof(struct sockaddr_in));
    struct sockaddr_in in;
    char address[INET_ADDRSTRLEN];
    if (a == NULL) abort();
    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    (void)snprintf(address, sizeof address, "%.*s", (int)size, text);
    if (inet_pton(AF_INET, address, &in.sin_addr) != 1) abort();
    a->ai_family = AF_INET;
    a->ai_socktype = SOCK_STREAM;
    a->ai_addrlen = sizeof in;
    a->ai_addr = (struct sockaddr *)(void *)(a + 1);
    memcpy(a->ai_addr, &in, sizeof in);
    a->ai_next = next;
    return a;
}

/* The last address first, so that the list ends up in the order of the answer. */
static struct addrinfo *all_addresses(const char *text) {
    size_t size = strcspn(text, " ");
    struct addrinfo *rest = text[size] == ' ' ? all_addresses(text + size + 1) : NULL;
    return one_address(text, size, rest);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out) {
    const char *answer = __atomic_load_n(&lookup_answer, __ATOMIC_ACQUIRE);
    (void)node, (void)service, (void)hints;
    (void)__atomic_fetch_add(&num_lookups, 1, __ATOMIC_RELAXED);
    server_sleep_ms(__atomic_load_n(&lookup_ms, __ATOMIC_RELAXED));
    if (answer == NULL) return EAI_NONAME;
    *out = all_addresses(answer);
    return 0;
}

void freeaddrinfo(struct addrinfo *list) {
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static unsigned lookups(void) {
    return __atomic_load_n(&num_lookups, __ATOMIC_RELAXED);
}

static void set_resolver(const char *answer, int ms) {
    __atomic_store_n(&lookup_answer, answer, __ATOMIC_RELEASE);
    __atomic_store_n(&lookup_ms, ms, __ATOMIC_RELAXED);
    __atomic_store_n(&num_lookups, 0, __ATOMIC_RELAXED);
}

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("fault");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_end(&span);
    }
}

/* ---- Connections ---------------------------------------------------------------------------- */

/* Starts one server and the library with it alone. */
static void begin_single(server *s, const server_step *steps, size_t count, uint32_t timeout_ms) {
    static char url[160];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(s, SERVER_IPV4, steps, count)) abort();
    to = destination(server_url(s, "", url, sizeof url));
    to.timeout_ms = timeout_ms;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void end_single(server *s, const char *name) {
    (void)hotel_shutdown(2000);
    server_stop(s);
    is_int(s->num_bad, 0, "%s: every request is right (%s)", name, s->problem);
    is_int(server_num_duplicates(s), 0, "%s: no span came twice", name);
    check_books(name);
    server_release(s);
}

static bool flush_one(void) {
    end_spans(1);
    return hotel_flush(4000) == HOTEL_OK;
}

static void test_first_request(void) {
    server s;
    const server_request *r;
    char value[128], length[24];
    begin_single(&s, NULL, 0, 0);
    ok(flush_one(), "a request");
    r = server_request_at(&s, 0);
    is_str(server_target(r, value, sizeof value), "/v1/traces",
           "an endpoint in code without a path: /v1/traces");
    (void)snprintf(length, sizeof length, "%zu", r->body.size);
    is_str(server_header_in(r->head, "Content-Length", 0, value, sizeof value), length,
           "EX-06 OT-01 Content-Length is the body's");
    is_str(server_header_in(r->head, "User-Agent", 0, value, sizeof value),
           "HatchetOtel-OTLP-Exporter-C/0.1.0", "EX-17 OT-09 User-Agent");
    (void)snprintf(length, sizeof length, "127.0.0.1:%u", (unsigned)s.port);
    is_str(server_header_in(r->head, "Host", 0, value, sizeof value), length, "Host with the port");
    ok(server_header_in(r->head, "Content-Encoding", 0, value, sizeof value) == NULL &&
           server_header_in(r->head, "Accept-Encoding", 0, value, sizeof value) == NULL,
       "OT-02 nothing is said of encodings that are not used");
    is_int(log_count_all(), 0, "a healthy export logs nothing");
    end_single(&s, "first request");
}

static void test_keep_alive(void) {
    static const server_step polite[] = {
        {.reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         .after = SERVER_CLOSE}};
    server s;
    int i, good = 0;
    begin_single(&s, NULL, 0, 0);
    for (i = 0; i < 20; i++) good += flush_one();
    is_int(good, 20, "20 flushes deliver");
    is_int(since_opened(0).connections, 1, "OT-05 20 requests go over one connection");
    end_single(&s, "keep-alive");
    begin_single(&s, polite, 1, 0);
    for (i = 0, good = 0; i < 5; i++) good += flush_one();
    is_int(good, 5, "5 flushes deliver");
    is_int(since_opened(0).connections, 5, "OT-06 Connection: close is obeyed");
    is_int(since_opened(0).retries, 0, "... without a repeat");
    is_int(log_count_all(), 0, "... and without a message");
    end_single(&s, "Connection: close");
}

/* The kept connection ends between two exports, or as the second request arrives. */
static void test_stale_connection(void) {
    static const server_step idle[] = {{.reply = SERVER_OK, .linger_ms = 50, .after = SERVER_CLOSE},
                                       {.reply = SERVER_OK}};
    static const server_step crossing[] = {
        {.reply = SERVER_OK}, {.reply = SERVER_OK}, {.after = SERVER_CLOSE}, {.reply = SERVER_OK}};
    static const server_step reset[] = {
        {.reply = SERVER_OK}, {.after = SERVER_RESET}, {.reply = SERVER_OK}};
    static const struct {
        const char *name;
        const server_step *steps;
        size_t num_steps;
        int pause_ms;
        unsigned flushes;
    } cases[] = {
        {"OR-18 closed while idle", idle, 2, 150, 2},
        {"OR-18 closed as the request came", crossing, 4, 0, 3},
        {"OR-18 reset as the request came", reset, 3, 0, 2},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        server s;
        unsigned n;
        long long began;
        begin_single(&s, cases[i].steps, cases[i].num_steps, 0);
        for (n = 1; n < cases[i].flushes; n++) ok(flush_one(), "%s: first export", cases[i].name);
        server_sleep_ms(cases[i].pause_ms);
        began = server_now_ms();
        ok(flush_one(), "%s: the next export succeeds (T-10)", cases[i].name);
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY), 0, "%s: without a back-off", cases[i].name);
        ok(server_now_ms() - began < SERVER_SOON_MS, "%s: at once, %lld ms", cases[i].name,
           server_now_ms() - began);
        is_int(since_opened(0).failed, 0, "%s: nothing is lost", cases[i].name);
        is_int(since_opened(0).connections, 2, "%s: over a second connection", cases[i].name);
        is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0, "%s: no failure is logged", cases[i].name);
        (void)hotel_shutdown(1000);
        server_stop(&s);
        check_books(cases[i].name);
        server_release(&s);
    }
}

/* What came over a kept connection while nobody looked is no answer to the next request: servers
   say 408 before they close one that idles. */
static void test_goodbye(void) {
    static const server_step says_408[] = {{.reply = SERVER_OK},
                                           {.when = SERVER_AT_BYTES,
                                            .delay_ms = 30,
                                            .reply = SERVER_STATUS("408 Request Timeout"),
                                            .after = SERVER_CLOSE},
                                           {.reply = SERVER_OK}};
    static const server_step half[] = {{.reply = SERVER_OK, .linger_ms = 30, .after = SERVER_HALF},
                                       {.reply = SERVER_OK}};
    static const server_step reset[] = {
        {.reply = SERVER_OK, .linger_ms = 30, .after = SERVER_RESET}, {.reply = SERVER_OK}};
    static const struct {
        const char *name;
        const server_step *steps;
        size_t num_steps;
    } cases[] = {{"408 while idle", says_408, 3},
                 {"the server's direction ended while idle", half, 2},
                 {"reset while idle", reset, 2}};
    size_t i;
    for (i = 0; i < 6; i++) {
        server s;
        char url[64];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        const char *name = cases[i % 3].name;
        if (!server_start(&s, SERVER_IPV4, cases[i % 3].steps, cases[i % 3].num_steps)) abort();
        to = destination(server_url(&s, "", url, sizeof url));
        config.no_threads = i >= 3; /* nobody looks until the next flush */
        log_clear();
        (void)hotel_init(&config);
        open_books();
        ok(flush_one(), "OR-18 %s: first export", name);
        server_sleep_ms(120);
        ok(flush_one(), "OR-18 %s: the next export succeeds (T-10)", name);
        is_int(since_opened(0).requests, 2, "OR-18 %s: at the first try", name);
        is_int(since_opened(0).connections, 2, "OR-18 %s: over a second connection", name);
        is_int(log_count_all(), 0, "OR-18 %s: nothing is logged", name);
        end_single(&s, name);
    }
}

static void test_restarted_server(void) {
    server s, again;
    uint16_t port;
    begin_single(&s, NULL, 0, 0);
    ok(flush_one(), "T-12 delivered before the restart");
    port = s.port;
    server_stop(&s);
    end_spans(1);
    is_int(hotel_flush(200), HOTEL_ERR_TIMEOUT, "T-12 nobody there: flush is out of time");
    if (!server_start_at(&again, SERVER_IPV4, port, NULL, 0)) {
        skip("the port was taken in between");
    } else {
        ok(flush_one(), "T-12 delivered after the restart");
        is_int(server_num_spans(&again), 2, "T-12 with what had waited");
        is_int(since_opened(0).failed, 0, "T-12 nothing is lost");
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY), 1, "the trouble is logged once");
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RECOVERED), 1, "and so is its end");
        (void)hotel_shutdown(1000);
        check_books("restart");
        server_release(&again);
    }
    (void)hotel_shutdown(1000);
    server_release(&s);
}

/* What comes behind a reply belongs to no request of ours. */
static void test_bytes_behind_reply(void) {
    static const server_step steps[] = {
        {.reply = SERVER_OK "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"}, {.reply = SERVER_OK}};
    server s;
    begin_single(&s, steps, 2, 0);
    ok(flush_one(), "a reply with another behind it");
    server_sleep_ms(50);
    ok(flush_one(), "the next request does not take the surplus for its answer");
    is_int(since_opened(0).accepted, 2, "both spans are accepted");
    is_int(since_opened(0).connections, 2, "the connection was given up");
    end_single(&s, "bytes behind a reply");
}

static void test_redirect_not_followed(void) {
    static const char *const codes[] = {"301 Moved Permanently", "302 Found",
                                        "307 Temporary Redirect", "308 Permanent Redirect"};
    size_t i;
    for (i = 0; i < 4; i++) {
        server target, s;
        char reply[160], url[64];
        server_step step = {.reply = reply};
        if (!server_start(&target, SERVER_IPV4, NULL, 0)) abort();
        (void)snprintf(reply, sizeof reply,
                       "HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", codes[i],
                       server_url(&target, "/v1/traces", url, sizeof url));
        begin_single(&s, &step, 1, 0);
        end_spans(1);
        is_int(hotel_flush(2000), HOTEL_ERR_FAILED, "OR-15 %s is a failure", codes[i]);
        is_int(server_num_requests(&target), 0, "OR-15 %s is not followed", codes[i]);
        is_int(since_opened(0).requests, 1, "OR-15 %s is not repeated", codes[i]);
        check_log(HOTEL_LOG_ID_EXPORT_FAILED, 1, codes[i]);
        end_single(&s, codes[i]);
        server_release(&target);
    }
}

static void test_families(void) {
    static const server_family families[] = {SERVER_IPV4, SERVER_IPV6, SERVER_UNIX};
    static const char *const names[] = {"IPv4", "IPv6", "a Unix socket"};
    static const char *const paths[] = {"", "/v1/traces", "/x/y/"};
    size_t i;
    for (i = 0; i < 9; i++) {
        server s;
        char url[192], target[64], host[128];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        if (!server_start(&s, families[i / 3], NULL, 0)) {
            skip("no %s here", names[i / 3]);
            continue;
        }
        to = destination(server_url(&s, paths[i % 3], url, sizeof url));
        is_int(hotel_init(&config), HOTEL_OK, "%s is an endpoint", url);
        open_books();
        ok(flush_one(), "%s: delivered", names[i / 3]);
        (void)hotel_shutdown(1000);
        is_str(server_target(server_request_at(&s, 0), target, sizeof target),
               i % 3 == 0 ? "/v1/traces" : paths[i % 3], "OU-09 %s: the target", url);
        if (server_header_in(server_request_at(&s, 0)->head, "Host", 0, host, sizeof host) == NULL)
            host[0] = '\0';
        ok(families[i / 3] != SERVER_IPV6 || strncmp(host, "[::1]:", 6) == 0,
           "OU-10 %s: Host keeps the brackets (%s)", names[i / 3], host);
        check_books(names[i / 3]);
        server_release(&s);
    }
}

/* ---- Endpoints that never answer ------------------------------------------------------------ */

typedef struct silence {
    server hanging;
    uint16_t refusing;
    int refusing_fd;
    int hole[8];
    char urls[4][64];
    hotel_destination to[4];
} silence;

static void silence_begin(silence *q, uint32_t timeout_ms) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    hotel_config config = test_config(q->to, 4);
    uint16_t port;
    size_t i;
    if (!server_start(&q->hanging, SERVER_IPV4, hang, 1)) abort();
    (void)server_url(&q->hanging, "", q->urls[0], sizeof q->urls[0]);
    q->refusing_fd = server_refusing_port(&q->refusing);
    (void)snprintf(q->urls[1], sizeof q->urls[1], "http://127.0.0.1:%u", (unsigned)q->refusing);
    server_black_hole(&port, q->hole);
    (void)snprintf(q->urls[2], sizeof q->urls[2], "http://127.0.0.1:%u", (unsigned)port);
    (void)snprintf(q->urls[3], sizeof q->urls[3], "http://name.invalid:4318");
    for (i = 0; i < 4; i++) {
        q->to[i] = destination(q->urls[i]);
        q->to[i].timeout_ms = timeout_ms;
    }
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init asks no server whether it is there");
    open_books();
}

static void silence_end(silence *q) {
    size_t i;
    for (i = 0; i < 8; i++) (void)close(q->hole[i]);
    (void)close(q->refusing_fd);
    server_release(&q->hanging);
}

static const char *const silent_names[] = {"a hanging server", "a refusing port", "a black hole",
                                           "a name that does not resolve"};

static void test_silence(void) {
    silence q;
    size_t i;
    long long began;
    silence_begin(&q, 700);
    began = server_now_ms();
    end_spans(NUM_SPANS);
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "flush to four dead endpoints: failed");
    ok(server_now_ms() - began < 2000, "OX-09 one deadline of 700 ms over all attempts (%lld ms)",
       server_now_ms() - began);
    (void)hotel_shutdown(2000);
    for (i = 0; i < 4; i++) {
        is_int(since_opened(i).failed, NUM_SPANS, "OR-17 %s: three spans failed", silent_names[i]);
        ok(log_has(q.urls[i] + strlen("http://")), "OR-17 %s: the log names it", silent_names[i]);
    }
    check_log(HOTEL_LOG_ID_EXPORT_FAILED, 4, "OR-17 once for each endpoint");
    check_books("silence");
    silence_end(&q);
}

/* The failure lasts over many batches and is still logged once. */
static void test_lasting_failure(void) {
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    uint16_t port;
    int i, fd = server_refusing_port(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(url);
    to.timeout_ms = 20;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    for (i = 0; i < 20; i++) {
        end_spans(5);
        (void)!hotel_flush(1000);
    }
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 100, "20 batches fail");
    is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 1, "BSP-22 20 failures: one message");
    ok(log_count(HOTEL_LOG_ID_EXPORT_RETRY) <= 1, "BSP-22 and at most one of the retries");
    check_books("a lasting failure");
    (void)close(fd);
}

/* Neither a connect, nor a read, nor a back-off outlives the time that shutdown gives. */
static void test_shutdown_is_bounded(void) {
    static const server_step busy[] = {{.reply = SERVER_STATUS("503 Service Unavailable")}};
    silence q;
    server s;
    size_t i;
    long long took;
    hotel_result result;
    silence_begin(&q, 10000);
    end_spans(NUM_SPANS);
    server_sleep_ms(30);
    took = server_now_ms();
    result = hotel_shutdown(300);
    took = server_now_ms() - took;
    is_int(result, HOTEL_ERR_TIMEOUT, "T-03 shutdown(300) is out of time");
    ok(took >= 250 && took < 300 + SERVER_SOON_MS, "T-03 and returns after %lld ms", took);
    for (i = 0; i < 4; i++) {
        hotel_destination_stats d = since_opened(i);
        is_int(d.dropped_shutdown + d.failed, NUM_SPANS, "%s: three spans are accounted for",
               silent_names[i]);
    }
    check_books("shutdown in silence");
    silence_end(&q);
    begin_single(&s, busy, 1, 10000);
    end_spans(NUM_SPANS);
    ok(hotel_flush(0) != HOTEL_ERR_NOT_RUNNING && server_wait(&s, 1, 3000), "a back-off begins");
    took = server_now_ms();
    result = hotel_shutdown(100);
    took = server_now_ms() - took;
    is_int(result, HOTEL_ERR_TIMEOUT, "T-03 shutdown(100) during a back-off is out of time");
    ok(took < 100 + SERVER_SOON_MS, "BSP-21 and returns after %lld ms", took);
    is_int(since_opened(0).dropped_shutdown + since_opened(0).failed, NUM_SPANS,
           "three spans are accounted for");
    is_int(hotel_shutdown(100), HOTEL_OK, "BSP-19 a second shutdown is fine");
    server_stop(&s);
    check_books("shutdown in a back-off");
    server_release(&s);
}

/* ---- Names ---------------------------------------------------------------------------------- */

static void begin_named(server *s, uint32_t timeout_ms, bool no_threads) {
    static char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    if (!server_start(s, SERVER_IPV4, NULL, 0)) abort();
    (void)snprintf(url, sizeof url, "http://collector.example:%u", (unsigned)s->port);
    to = destination(url);
    to.timeout_ms = timeout_ms;
    if (no_threads) to.schedule_delay_ms = 1;
    config.no_threads = no_threads;
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "init with a name");
    open_books();
}

static void test_names(void) {
    server s;
    char host[64];
    long long took;
    /* 127.0.0.1 alone has a server; the others of the block refuse. */
    set_resolver("127.0.0.77 127.0.0.78 127.0.0.1", 100);
    begin_named(&s, 0, false);
    ok(flush_one(), "all addresses of a name are tried");
    ok(server_header_in(server_request_at(&s, 0)->head, "Host", 0, host, sizeof host) != NULL &&
           strncmp(host, "collector.example:", 18) == 0,
       "Host is the name (%s)", host);
    ok(flush_one(), "and again");
    is_int(lookups(), 1, "a kept connection needs no second lookup");
    is_int(log_count_all(), 0, "and nothing is logged");
    end_single(&s, "a name with three addresses");

    set_resolver(NULL, 10);
    begin_named(&s, 150, false);
    end_spans(1);
    is_int(hotel_flush(3000), HOTEL_ERR_FAILED, "OR-03 a name that does not exist");
    ok(log_has("collector.example"), "OR-17 is named in the log");
    check_log(HOTEL_LOG_ID_EXPORT_FAILED, 1, "OR-17 a name that does not exist");
    end_single(&s, "a name that does not exist");

    set_resolver("127.0.0.1", 3000);
    begin_named(&s, 0, false);
    end_spans(1);
    took = server_now_ms();
    is_int(hotel_flush(100), HOTEL_ERR_TIMEOUT, "T-05 a slow resolver: flush is out of time");
    ok(server_now_ms() - took < SERVER_SOON_MS, "T-05 and returns: %lld ms", server_now_ms() - took);
    took = server_now_ms();
    is_int(hotel_shutdown(100), HOTEL_ERR_TIMEOUT, "T-03 a slow resolver: shutdown too");
    ok(server_now_ms() - took < SERVER_SOON_MS, "T-03 and returns: %lld ms", server_now_ms() - took);
    is_int(since_opened(0).failed + since_opened(0).dropped_shutdown, 1, "the span is counted");
    server_stop(&s);
    check_books("a slow resolver");
    server_release(&s);
    (void)hotel_release();
    server_sleep_ms(3000); /* the abandoned lookup ends in a library that is gone */
}

/* Neither hotel_init nor hotel_poll waits for a resolver: it has a short-lived thread. */
static void test_names_polled(void) {
    server s;
    long long took, longest = 0, end;
    set_resolver("127.0.0.77 127.0.0.1", 50);
    begin_named(&s, 0, true);
    is_int(lookups(), 0, "without threads hotel_init looks no name up");
    ok(flush_one(), "and the span is delivered");
    is_int(lookups(), 1, "after one lookup");
    end_single(&s, "a name without threads");

    set_resolver(NULL, 1000);
    begin_named(&s, 1500, true);
    end_spans(1);
    end = server_now_ms() + 2600; /* the first attempt and one more */
    while (server_now_ms() < end) {
        took = server_now_ms();
        (void)hotel_poll(5);
        took = server_now_ms() - took;
        if (took > longest) longest = took;
    }
    ok(log_count(HOTEL_LOG_ID_EXPORT_RETRY) + log_count(HOTEL_LOG_ID_EXPORT_FAILED) > 0,
       "hotel_poll tries to send");
    ok(longest < 900, "hotel_poll(5) waits for no resolver: at most %lld ms", longest);
    (void)hotel_shutdown(200);
    server_stop(&s);
    check_books("an unknown name without threads");
    server_release(&s);
    set_resolver(NULL, 0);
}

/* A dead destination does not slow a live one (OC-03, EX-15). */
static void test_dead_beside_live(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    server live, dead;
    char urls[2][64];
    hotel_destination to[2];
    hotel_config config = test_config(to, 2);
    long long began;
    int i;
    if (!server_start(&live, SERVER_IPV4, NULL, 0)) abort();
    if (!server_start(&dead, SERVER_IPV4, hang, 1)) abort();
    to[0] = destination(server_url(&dead, "", urls[0], sizeof urls[0]));
    to[1] = destination(server_url(&live, "", urls[1], sizeof urls[1]));
    to[0].schedule_delay_ms = to[1].schedule_delay_ms = 20;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    began = server_now_ms();
    for (i = 0; i < 10; i++) {
        end_spans(10);
        server_sleep_ms(20);
    }
    while (server_num_spans(&live) < 100 && server_now_ms() - began < 3000) server_sleep_ms(5);
    is_int(server_num_spans(&live), 100, "EX-15 the live server has all spans");
    ok(server_now_ms() - began < 2000, "EX-15 ... after %lld ms", server_now_ms() - began);
    is_int(hotel_shutdown(100), HOTEL_ERR_TIMEOUT, "the dead one makes shutdown late");
    is_int(since_opened(1).accepted, 100, "accepted 100 by the live one");
    is_int(since_opened(0).dropped_shutdown + since_opened(0).failed, 100,
           "100 are lost at the dead one");
    check_books("dead beside live");
    server_release(&live);
    server_release(&dead);
}

/* What a server says is shown, without control characters that would forge log lines. */
static void test_server_text(void) {
    static const server_step reply[] = {
        {.reply = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-protobuf\r\n"
                  "Content-Length: 25\r\n\r\n"
                  "\x08\x03\x12\x15"
                  "the\nserver's \x1b[31mwhy",
         .reply_size = 0}};
    server s;
    begin_single(&s, reply, 1, 0);
    end_spans(1);
    is_int(hotel_flush(2000), HOTEL_ERR_FAILED, "a 400 with a Status");
    ok(log_has("server's"), "OR-14 its message is logged");
    ok(!log_has("\x1b") && !log_has("the\nserver"), "OR-14 ... made printable");
    ok(log_has("400"), "... with the HTTP status");
    end_single(&s, "server text");
}

/* A host without standard input: its number stays free for what the host opens next. */
static void test_closed_standard_input(void) {
    hotel_destination to = destination("http://127.0.0.1:1");
    hotel_config config = test_config(&to, 1);
    int saved = dup(0);
    (void)close(0);
    is_int(hotel_init(&config), HOTEL_OK, "init without standard input");
    open_books();
    is_int(fcntl(0, F_GETFD), -1, "no descriptor of the library is 0");
    end_spans(1);
    is_int(hotel_flush(50), HOTEL_ERR_TIMEOUT, "nobody listens");
    is_int(fcntl(0, F_GETFD), -1, "nor after an attempt to connect");
    (void)hotel_shutdown(100);
    check_books("without standard input");
    if (saved >= 0 && (dup2(saved, 0) != 0 || close(saved) != 0)) abort();
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_first_request();
    test_keep_alive();
    test_stale_connection();
    test_goodbye();
    test_restarted_server();
    test_bytes_behind_reply();
    test_redirect_not_followed();
    test_families();
    test_silence();
    test_names();
    test_names_polled();
    test_lasting_failure();
    test_shutdown_is_bounded();
    test_dead_beside_live();
    test_server_text();
    test_closed_standard_input();
    return done_testing();
}
