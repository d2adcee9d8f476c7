/*
 * SPDX-License-Identifier: MIT
 *
 * test_poll.c - the library without threads, sockets, clock and randomness of its own:
 * hotel_poll, a transport in memory that is slow, stingy or broken, a clock and an id generator
 * that make the output the same to the bit, and the calls that a callback must not make.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <dirent.h>
#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- A wire in memory ----------------------------------------------------------------------- */

typedef struct wire_plan {
    const char *name;
    const char *reply;      /* to each request; NULL: the default */
    size_t max_send;        /* bytes a call takes; 0: all */
    size_t max_receive;     /* bytes a call gives; 0: all */
    unsigned connect_turns; /* wants before it is connected */
    unsigned stall_every;   /* each so-manieth send or receive is a want; 0: none */
    size_t send_limit;      /* the connection is lost after so many bytes; 0: never */
    bool never_opens;
    bool never_connects;
    bool closes_silently; /* instead of a reply */
    bool has_descriptor;
    unsigned lossy;            /* the first so many connections have these faults */
    unsigned accepted, failed; /* of three spans */
} wire_plan;

typedef struct wire {
    const wire_plan *plan;
    unsigned opened, closed, inherited;
    unsigned late;     /* calls on a connection that was closed */
    unsigned requests; /* complete ones */
    unsigned char sent[65536];
    size_t sent_size;
    char host[64];
    uint16_t port;
    int descriptor[2];
} wire;

typedef struct line { /* one connection */
    wire *w;
    bool open;
    bool faulty;
    bool lost;
    unsigned turns;
    unsigned calls;
    size_t total;
    size_t begun;    /* where this connection's request starts in w->sent */
    size_t received; /* of the reply */
    bool answering;
} line;

static line lines[64];

static void *wire_open(const char *host, uint16_t port, void *user_data) {
    wire *w = (wire *)user_data;
    line *l = &lines[w->opened % COUNT(lines)];
    bool faulty = w->plan->lossy == 0 || w->opened < w->plan->lossy;
    (void)snprintf(w->host, sizeof w->host, "%s", host);
    w->port = port;
    w->opened++;
    if (w->plan->never_opens && faulty) {
        w->closed++;
        return NULL;
    }
    memset(l, 0, sizeof *l);
    l->w = w;
    l->open = true;
    l->faulty = faulty;
    l->begun = w->sent_size;
    return l;
}

static bool wire_usable(line *l) {
    if (l->open) return true;
    l->w->late++;
    return false;
}

static int wire_connect(void *connection) {
    line *l = (line *)connection;
    if (!wire_usable(l)) return HOTEL_IO_REFUSED;
    if (l->w->plan->never_connects && l->faulty) return HOTEL_IO_REFUSED;
    if (l->turns++ < l->w->plan->connect_turns) {
        return l->turns % 2 == 0 ? HOTEL_IO_WANT_READ : HOTEL_IO_WANT_WRITE;
    }
    return HOTEL_IO_DONE;
}

static bool wire_stalls(line *l) {
    unsigned every = l->w->plan->stall_every;
    return every != 0 && ++l->calls % every != 0;
}

/* Recognises the end of the request by its Content-Length. */
static void wire_look(line *l) {
    const unsigned char *from = l->w->sent + l->begun;
    size_t size = l->w->sent_size - l->begun, i;
    for (i = 4; i <= size; i++) {
        if (memcmp(from + i - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strstr((const char *)from, "Content-Length:");
            if (length == NULL) length = strstr((const char *)from, "content-length:");
            if (length == NULL || size < i + strtoul(length + 15, NULL, 10)) return;
            l->answering = true;
            l->received = 0;
            l->begun = l->w->sent_size;
            l->w->requests++;
            return;
        }
    }
}

static ptrdiff_t wire_send(void *connection, const void *bytes, size_t size) {
    line *l = (line *)connection;
    const wire_plan *plan = l->w->plan;
    if (!wire_usable(l)) return HOTEL_IO_REFUSED;
    if (wire_stalls(l)) return HOTEL_IO_WANT_WRITE;
    if (plan->max_send != 0 && size > plan->max_send) size = plan->max_send;
    if (plan->send_limit != 0 && l->faulty && l->total + size > plan->send_limit) {
        errno = EPIPE;
        l->lost = true;
        return HOTEL_IO_REFUSED;
    }
    if (l->w->sent_size + size >= sizeof l->w->sent) return HOTEL_IO_REFUSED;
    memcpy(l->w->sent + l->w->sent_size, bytes, size);
    l->w->sent_size += size;
    l->total += size;
    wire_look(l);
    return (ptrdiff_t)size;
}

static ptrdiff_t wire_receive(void *connection, void *bytes, size_t size) {
    line *l = (line *)connection;
    const wire_plan *plan = l->w->plan;
    const char *reply = plan->reply != NULL ? plan->reply : SERVER_OK;
    size_t left;
    if (!wire_usable(l) || l->lost) return HOTEL_IO_REFUSED;
    if (!l->answering || wire_stalls(l)) return HOTEL_IO_WANT_READ;
    if (plan->closes_silently && l->faulty) return HOTEL_IO_CLOSED;
    left = strlen(reply) - l->received;
    if (left == 0) {
        l->answering = false;
        return HOTEL_IO_WANT_READ;
    }
    if (size > left) size = left;
    if (plan->max_receive != 0 && size > plan->max_receive) size = plan->max_receive;
    memcpy(bytes, reply + l->received, size);
    l->received += size;
    if (l->received == strlen(reply)) l->answering = false;
    return (ptrdiff_t)size;
}

static int wire_descriptor(void *connection) {
    line *l = (line *)connection;
    (void)wire_usable(l);
    return l->w->plan->has_descriptor ? l->w->descriptor[0] : -1;
}

static void wire_close(void *connection, bool inherited) {
    line *l = (line *)connection;
    if (!wire_usable(l)) return;
    l->open = false;
    l->w->closed++;
    if (inherited) l->w->inherited++;
}

static hotel_transport wire_transport(wire *w, const wire_plan *plan) {
    hotel_transport t;
    memset(w, 0, sizeof *w);
    w->plan = plan;
    /* Readable and writable at once. */
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, w->descriptor) != 0) abort();
    if (write(w->descriptor[1], "x", 1) != 1) abort();
    t.open_fn = wire_open;
    t.connect_fn = wire_connect;
    t.send_fn = wire_send;
    t.receive_fn = wire_receive;
    t.descriptor_fn = wire_descriptor;
    t.close_fn = wire_close;
    t.user_data = w;
    return t;
}

static void wire_end(wire *w) {
    (void)close(w->descriptor[0]);
    (void)close(w->descriptor[1]);
}

/* ---- Transports ----------------------------------------------------------------------------- */

/* name, reply, max_send, max_receive, connect_turns, stall_every, send_limit, never_opens,
   never_connects, closes_silently, has_descriptor, lossy, accepted, failed */
static const wire_plan plans[] = {
    {"all at once", NULL, 0, 0, 0, 0, 0, false, false, false, false, 0, 3, 0},
    {"all at once, with a descriptor", NULL, 0, 0, 0, 0, 0, false, false, false, true, 0, 3, 0},
    {"a byte at a time", NULL, 1, 1, 0, 0, 0, false, false, false, true, 0, 3, 0},
    {"seven bytes, three bytes", NULL, 7, 3, 0, 0, 0, false, false, false, true, 0, 3, 0},
    {"ten turns to connect", NULL, 0, 0, 10, 0, 0, false, false, false, true, 0, 3, 0},
    {"five turns, no descriptor", NULL, 0, 0, 5, 0, 0, false, false, false, false, 0, 3, 0},
    {"a want before every move", NULL, 64, 16, 0, 2, 0, false, false, false, true, 0, 3, 0},
    {"two wants before every move, no descriptor", NULL, 200, 40, 1, 3, 0, false, false, false,
     false, 0, 3, 0},
    {"never opens", NULL, 0, 0, 0, 0, 0, true, false, false, false, 0, 0, 3},
    {"never connects", NULL, 0, 0, 0, 0, 0, false, true, false, false, 0, 0, 3},
    {"lost after 10 bytes", NULL, 4, 0, 0, 0, 10, false, false, false, true, 0, 0, 3},
    {"closed instead of a reply", NULL, 0, 0, 0, 0, 0, false, false, true, true, 0, 0, 3},
    {"400", SERVER_STATUS("400 Bad Request"), 0, 0, 0, 0, 0, false, false, false, true, 0, 0, 3},
    {"the second connection opens", NULL, 0, 0, 0, 0, 0, true, false, false, true, 1, 3, 0},
    {"the second connection connects", NULL, 0, 0, 0, 0, 0, false, true, false, true, 1, 3, 0},
    {"the second connection lasts", NULL, 16, 0, 0, 0, 100, false, false, false, true, 1, 3, 0},
};

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("wire");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_end(&span);
    }
}

static void test_transports(bool no_threads) {
    static wire w;
    size_t i;
    for (i = 0; i < COUNT(plans); i++) {
        const wire_plan *plan = &plans[i];
        hotel_transport transport = wire_transport(&w, plan);
        hotel_destination to = destination("http://wire.example:4318/up");
        hotel_config config = test_config(&to, 1);
        hotel_destination_stats d;
        const char *mode = no_threads ? "polled" : "threaded";
        if (plan->lossy > 0 && !no_threads) { /* these wait for a retry: once is enough */
            wire_end(&w);
            continue;
        }
        to.transport = &transport;
        to.timeout_ms = plan->failed > 0 ? 100 : 5000;
        config.no_threads = no_threads;
        log_clear();
        is_int(hotel_init(&config), HOTEL_OK, "%s, %s: init", plan->name, mode);
        open_books();
        end_spans(3);
        is_int(hotel_flush(4000), plan->failed > 0 ? HOTEL_ERR_FAILED : HOTEL_OK, "%s, %s: flush",
               plan->name, mode);
        (void)hotel_shutdown(1000);
        d = since_opened(0);
        is_int(d.accepted, plan->accepted, "%s, %s: accepted", plan->name, mode);
        is_int(d.failed, plan->failed, "%s, %s: failed", plan->name, mode);
        is_int(w.closed, w.opened, "%s, %s: every connection is closed once", plan->name, mode);
        is_int(w.late, 0, "%s, %s: none is used afterwards", plan->name, mode);
        is_str(w.host, "wire.example", "%s: the host", plan->name);
        is_int(w.port, 4318, "%s: the port", plan->name);
        check_log(HOTEL_LOG_ID_EXPORT_FAILED, plan->failed > 0 ? 1 : 0, plan->name);
        check_books(plan->name);
        wire_end(&w);
    }
}

/* ---- Bit-exact output ----------------------------------------------------------------------- */

static uint64_t fake_now;
static uint64_t fake_id;

static uint64_t fake_clock(void *user_data) {
    (void)user_data;
    return fake_now += 1000;
}

static void fake_trace_id(uint8_t out[16], void *user_data) {
    (void)user_data;
    memset(out, 0xab, 16);
    out[15] = (uint8_t)++fake_id;
}

static void fake_span_id(uint8_t out[8], void *user_data) {
    (void)user_data;
    memset(out, 0xcd, 8);
    out[7] = (uint8_t)++fake_id;
}

static void scenario(void) {
    static const int64_t numbers[] = {1, -1};
    hotel_tracer_config scope;
    hotel_start_options options;
    hotel_span root, child;
    hotel_context context;
    memset(&scope, 0, sizeof scope);
    memset(&options, 0, sizeof options);
    scope.name = "exact";
    scope.version = "1.2";
    options.tracer = hotel_get_tracer(&scope);
    options.kind = HOTEL_SERVER;
    root = hotel_start_with("root", &options);
    hotel_set(&root, hotel_str("s", "text"), hotel_int("i", -5), hotel_bool("b", true));
    hotel_set_ints(&root, "list", numbers, 2);
    context = hotel_context_with(&root);
    options.parent = &context;
    options.kind = HOTEL_CLIENT;
    child = hotel_start_with("child", &options);
    hotel_add_event_with(&child, "event", hotel_int("n", 7));
    hotel_set_status(&child, HOTEL_STATUS_ERROR, "bad");
    hotel_end(&child);
    hotel_end(&root);
}

/* Runs the scenario; returns the size of what went over the wire. */
static size_t run_exact(unsigned char *out, size_t capacity, bool custom) {
    static wire w;
    static const wire_plan plain = {"exact", NULL,  0,     0,    0, 0, 0,
                                    false,   false, false, true, 0, 0, 0};
    hotel_transport transport = wire_transport(&w, &plain);
    hotel_destination to = destination("http://127.0.0.1:4318");
    hotel_config config = test_config(&to, 1);
    to.transport = &transport;
    config.no_threads = true;
    if (custom) {
        config.clock.now_ns_fn = fake_clock;
        config.id_generator.trace_id_fn = fake_trace_id;
        config.id_generator.span_id_fn = fake_span_id;
    }
    fake_now = 1700000000000000000u;
    fake_id = 0;
    (void)hotel_init(&config);
    open_books();
    scenario();
    is_int(hotel_flush(2000), HOTEL_OK, "the scenario is delivered");
    (void)hotel_shutdown(100);
    check_books("the scenario");
    wire_end(&w);
    memcpy(out, w.sent, w.sent_size < capacity ? w.sent_size : capacity);
    return w.sent_size;
}

static otlp_bytes body_of(const unsigned char *request, size_t size) {
    otlp_bytes body = {NULL, 0};
    size_t i;
    for (i = 4; i <= size && body.at == NULL; i++) {
        if (memcmp(request + i - 4, "\r\n\r\n", 4) != 0) continue;
        body.at = request + i;
        body.size = size - i;
    }
    return body;
}

/* Fields in any order, each with exactly this value. */
static void check_span(otlp_bytes span, const char *name, const char *span_id, uint64_t kind,
                       uint64_t start, uint64_t end) {
    static const unsigned char trace_id[] =
        "\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab"
        "\xab\x01";
    otlp_field field;
    ok(span.at != NULL, "%s is there", name);
    (void)otlp_get(span, 1, 0, &field);
    is_mem(field.bytes.at, field.bytes.size, trace_id, 16, "SP-71 %s: trace id", name);
    (void)otlp_get(span, 2, 0, &field);
    is_mem(field.bytes.at, field.bytes.size, span_id, 8, "SP-71 %s: span id", name);
    (void)otlp_get(span, 6, 0, &field);
    is_int(field.value, kind, "%s: kind", name);
    (void)otlp_get(span, 7, 0, &field);
    is_int(field.value, start, "%s: start", name);
    (void)otlp_get(span, 8, 0, &field);
    is_int(field.value, end, "%s: end", name);
    (void)otlp_get(span, 16, 0, &field);
    is_int(field.value, 0x101, "SP-72 %s: flags, not random", name);
}

static void test_exact(void) {
    static unsigned char first[8192], second[8192], random[8192];
    size_t first_size = run_exact(first, sizeof first, true);
    size_t second_size = run_exact(second, sizeof second, true);
    otlp_bytes body = body_of(first, first_size), root, child;
    otlp_field field, inner;
    size_t random_size;
    ok(first_size > 200, "a request of %zu bytes", first_size);
    is_mem(first, first_size, second, second_size, "the same to the bit the second time");
    ok(otlp_check(OTLP_REQUEST, body, 0) == NULL, "well formed");
    root = otlp_span_named(body, "root");
    child = otlp_span_named(body, "child");
    check_span(root, "root", "\xcd\xcd\xcd\xcd\xcd\xcd\xcd\x02", 2, 1700000000000001000u,
               1700000000000005000u);
    check_span(child, "child", "\xcd\xcd\xcd\xcd\xcd\xcd\xcd\x03", 3, 1700000000000002000u,
               1700000000000004000u);
    (void)otlp_get(root, 9, 0, &field);
    is_mem(field.bytes.at, field.bytes.size, "\x0a\x01s\x12\x06\x0a\x04text", 11, "a string");
    (void)otlp_get(root, 9, 1, &field);
    is_mem(field.bytes.at, field.bytes.size,
           "\x0a\x01i\x12\x0b\x18\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01", 16,
           "a negative integer");
    (void)otlp_get(root, 9, 2, &field);
    is_mem(field.bytes.at, field.bytes.size,
           "\x0a\x01"
           "b\x12\x02\x10\x01",
           7, "a bool");
    (void)otlp_get(root, 9, 3, &field);
    is_mem(
        field.bytes.at, field.bytes.size,
        "\x0a\x04list\x12\x13\x2a\x11\x0a\x02\x18\x01\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff\x01",
        27, "an array of integers");
    (void)otlp_get(child, 11, 0, &field);
    (void)otlp_get(field.bytes, 1, 0, &inner);
    is_int(inner.value, 1700000000000003000u, "the event's time");
    (void)otlp_get(child, 15, 0, &field);
    is_mem(field.bytes.at, field.bytes.size,
           "\x12\x03"
           "bad\x18\x02",
           7, "the status");
    random_size = run_exact(random, sizeof random, false);
    ok(random_size != first_size || memcmp(first, random, first_size) != 0,
       "with the built-in clock and generator it differs");
}

/* ---- hotel_poll ----------------------------------------------------------------------------- */

static int count_threads(void) {
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    if (folder == NULL) return -1;
    while (readdir(folder) != NULL) count++;
    (void)closedir(folder);
    return count - 2;
}

static void test_poll(void) {
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    int before, after, result;
    long long began;
    is_int(hotel_poll(0), HOTEL_ERR_NOT_RUNNING, "hotel_poll before hotel_init");
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.schedule_delay_ms = 1000;
    config.no_threads = true;
    before = count_threads();
    is_int(hotel_init(&config), HOTEL_OK, "init without threads");
    open_books();
    after = count_threads();
    if (before < 0) {
        skip("no /proc here: threads are not counted");
    } else {
        is_int(after, before, "no thread was made");
    }
    began = server_now_ms();
    is_int(hotel_poll(0), HOTEL_OK, "poll(0) with nothing to do");
    ok(server_now_ms() - began < 900, "returns at once");
    end_spans(3);
    is_int(hotel_poll(0), HOTEL_OK, "poll(0) before the delay is over");
    is_int(server_num_requests(&s), 0, "BSP-03 sends nothing yet");
    while (since_opened(0).accepted < 3 && server_now_ms() - began < 5000) (void)hotel_poll(20);
    is_int(since_opened(0).accepted, 3, "BSP-03 polling alone delivers");
    ok(server_now_ms() - began >= 980, "BSP-03 after the delay");
    is_int(since_opened(0).requests, 1, "in one request");
    began = server_now_ms();
    (void)hotel_poll(60);
    ok(server_now_ms() - began < 900, "poll(60) with nothing to do returns");
    end_spans(1);
    began = server_now_ms();
    result = hotel_flush(0);
    ok(result == HOTEL_OK || result == HOTEL_ERR_TIMEOUT, "flush(0) starts the delivery: %d",
       result);
    ok(server_now_ms() - began < 900, "... and does not wait");
    began = server_now_ms();
    while (since_opened(0).accepted < 4 && server_now_ms() - began < 2000) (void)hotel_poll(5);
    ok(server_now_ms() - began < 900, "... before the delay: %lld ms", server_now_ms() - began);
    end_spans(2);
    is_int(hotel_shutdown(2000), HOTEL_OK, "shutdown pumps itself");
    is_int(since_opened(0).accepted, 6, "and delivers the rest");
    is_int(hotel_poll(10), HOTEL_ERR_NOT_RUNNING, "hotel_poll after hotel_shutdown");
    server_stop(&s);
    check_books("hotel_poll");
    is_int(s.num_bad, 0, "every request is right (%s)", s.problem);
    server_release(&s);
}

/* A loop of its own that waits for nothing but what hotel_get_descriptors says; polls needed. */
static unsigned drive(uint64_t accepted, int *longest_ms) {
    long long began = server_now_ms();
    unsigned polls = 0;
    *longest_ms = 0;
    while (since_opened(0).accepted < accepted && server_now_ms() - began < 5000) {
        hotel_descriptor list[8];
        struct pollfd fds[8];
        uint32_t wait_ms = 0;
        size_t i, count = hotel_get_descriptors(list, COUNT(list), &wait_ms);
        if (count > COUNT(list)) abort();
        for (i = 0; i < count; i++) {
            fds[i].fd = list[i].fd;
            fds[i].events = list[i].events;
        }
        if (wait_ms > 2000) wait_ms = 2000;
        if ((int)wait_ms > *longest_ms) *longest_ms = (int)wait_ms;
        (void)poll(fds, (nfds_t)count, (int)wait_ms);
        (void)hotel_poll(0);
        polls++;
    }
    return polls;
}

static void test_descriptors(void) {
    static const server_step slow[] = {{.reply = SERVER_OK, .delay_ms = 150},
                                       {.reply = SERVER_OK, .drip_ms = 5}};
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    unsigned polls;
    int longest;
    if (!server_start(&s, SERVER_IPV4, slow, COUNT(slow))) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.schedule_delay_ms = 200;
    config.no_threads = true;
    is_int(hotel_init(&config), HOTEL_OK, "init for a loop of its own");
    open_books();
    (void)hotel_poll(0);
    end_spans(3);
    polls = drive(3, &longest);
    is_int(since_opened(0).accepted, 3, "the descriptors and the time are enough to deliver");
    ok(polls < 40, "without turning idly: %u turns", polls);
    ok(longest >= 100, "it waits for the delay: %d ms", longest);
    {
        hotel_descriptor one;
        uint32_t wait_ms;
        is_int((long long)hotel_get_descriptors(&one, 1, &wait_ms), 1,
               "the kept connection is watched while idle");
        is_int(one.events, POLLIN, "for its end");
        is_int((long long)hotel_get_descriptors(NULL, 0, NULL), 1, "the number alone");
    }
    end_spans(2);
    polls = drive(5, &longest);
    is_int(since_opened(0).accepted, 5, "a reply that drips, too");
    ok(polls < 120, "a turn for each byte and no more: %u turns", polls);
    is_int(hotel_shutdown(2000), HOTEL_OK, "shutdown of a loop of its own");
    server_stop(&s);
    check_books("hotel_get_descriptors");
    server_release(&s);
}

static bool producing; /* atomic */

static void *produce(void *user_data) {
    (void)user_data;
    while (__atomic_load_n(&producing, __ATOMIC_RELAXED)) {
        end_spans(20);
        server_sleep_ms(1);
    }
    return NULL;
}

/* One thread polls, others produce. */
static void test_poll_with_producers(void) {
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    pthread_t threads[4];
    long long end;
    size_t i;
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.schedule_delay_ms = 5;
    config.no_threads = true;
    (void)hotel_init(&config);
    open_books();
    __atomic_store_n(&producing, true, __ATOMIC_RELAXED);
    for (i = 0; i < 4; i++) (void)pthread_create(&threads[i], NULL, produce, NULL);
    end = server_now_ms() + 300;
    while (server_now_ms() < end) (void)hotel_poll(5);
    __atomic_store_n(&producing, false, __ATOMIC_RELAXED);
    for (i = 0; i < 4; i++) (void)pthread_join(threads[i], NULL);
    /* A machine that is busy may poll too seldom for the queue. */
    ok(hotel_shutdown(5000) == HOTEL_OK || since_opened(0).dropped_queue_full > 0,
       "shutdown after 300 ms of four producers");
    is_int(since_opened(0).failed + since_opened(0).dropped_shutdown, 0, "delivers what is queued");
    server_stop(&s);
    is_int(server_num_spans(&s), since_opened(0).accepted, "what was accepted arrived");
    is_int(server_num_duplicates(&s), 0, "once");
    check_books("poll with producers");
    server_release(&s);
}

/* ---- Callbacks ------------------------------------------------------------------------------ */

static int callback_results[5];
static unsigned num_callbacks;

static void try_everything(void) {
    hotel_config config;
    hotel_span span;
    memset(&config, 0, sizeof config);
    if (num_callbacks++ > 0) return;
    callback_results[0] = hotel_init(&config);
    callback_results[1] = hotel_flush(10);
    callback_results[2] = hotel_shutdown(10);
    callback_results[3] = hotel_release();
    callback_results[4] = hotel_poll(0);
    span = hotel_start("from a callback");
    hotel_end(&span);
}

static void calling_log(hotel_log_level level, hotel_log_id id, const char *message,
                        void *user_data) {
    log_record(level, id, message, user_data);
    if (id == HOTEL_LOG_ID_EXPORT_FAILED) try_everything();
}

static void *calling_open(const char *host, uint16_t port, void *user_data) {
    try_everything();
    return wire_open(host, port, user_data);
}

static void check_callback(const char *where) {
    static const char *const names[] = {"hotel_init", "hotel_flush", "hotel_shutdown",
                                        "hotel_release", "hotel_poll"};
    size_t i;
    ok(num_callbacks > 0, "%s was called", where);
    for (i = 0; i < COUNT(names); i++) {
        is_int(callback_results[i], HOTEL_ERR_CALLBACK, "%s from %s", names[i], where);
    }
}

static void test_callbacks(void) {
    static const server_step refusing[] = {{.reply = SERVER_STATUS("400 Bad Request")}};
    static wire w;
    static const wire_plan plain = {"plain", NULL,  0,     0,    0, 0, 0,
                                    false,   false, false, true, 0, 0, 0};
    int no_threads;
    for (no_threads = 0; no_threads < 2; no_threads++) {
        server s;
        char url[64];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        hotel_transport transport;
        if (!server_start(&s, SERVER_IPV4, refusing, 1)) abort();
        to = destination(server_url(&s, "", url, sizeof url));
        config.no_threads = no_threads != 0;
        config.log_fn = calling_log;
        num_callbacks = 0;
        memset(callback_results, 0, sizeof callback_results);
        (void)hotel_init(&config);
        open_books();
        end_spans(1);
        (void)!hotel_flush(2000);
        (void)hotel_shutdown(1000);
        check_callback(no_threads ? "the log function, polled" : "the log function");
        check_books("calls from the log function");
        server_release(&s);

        transport = wire_transport(&w, &plain);
        transport.open_fn = calling_open;
        to = destination("http://wire.example");
        to.transport = &transport;
        num_callbacks = 0;
        memset(callback_results, 0, sizeof callback_results);
        (void)hotel_init(&config);
        open_books();
        end_spans(1);
        is_int(hotel_flush(2000), HOTEL_OK, "flush");
        (void)hotel_shutdown(1000);
        check_callback(no_threads ? "the transport, polled" : "the transport");
        check_books("calls from the transport");
        wire_end(&w);
    }
}

/* A table with holes, or one that lies. */
static void test_bad_transport(void) {
    static wire w;
    static const wire_plan plain = {"plain", NULL,  0,     0,    0, 0, 0,
                                    false,   false, false, true, 0, 0, 0};
    size_t i;
    for (i = 0; i < 6; i++) {
        hotel_transport transport = wire_transport(&w, &plain);
        hotel_destination to = destination("http://wire.example");
        hotel_config config = test_config(&to, 1);
        if (i == 0) transport.open_fn = NULL;
        if (i == 1) transport.connect_fn = NULL;
        if (i == 2) transport.send_fn = NULL;
        if (i == 3) transport.receive_fn = NULL;
        if (i == 4) transport.descriptor_fn = NULL;
        if (i == 5) transport.close_fn = NULL;
        to.transport = &transport;
        to.timeout_ms = 50;
        log_clear();
        is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "a transport without function %zu", i);
        ok(log_count_all() == 1, "is named in the log");
        open_books();
        end_spans(1);
        (void)!hotel_flush(500);
        (void)hotel_shutdown(500);
        check_books("a transport with a hole");
        wire_end(&w);
    }
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    test_poll();
    test_descriptors();
    test_poll_with_producers();
    test_transports(true);
    test_transports(false);
    test_exact();
    test_callbacks();
    test_bad_transport();
    return done_testing();
}
