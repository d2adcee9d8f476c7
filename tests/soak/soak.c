/*
 * SPDX-License-Identifier: MIT
 *
 * soak.c - a long run under load: producer threads that keep a rate, and a server in a process of
 * its own that fails one request in ten. Memory and the cost of a span stay what they were, and in
 * the end the books balance, with those of the server too. `make soak` runs it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <sys/resource.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "faults/books.h"
#include "faults/otlp.h"
#include "tap.h"

enum {
    NUM_PRODUCERS = 4,
    TICK_MS = 5,
    PROGRESS_S = 5,
    BATCH_SPANS = 4096,
    QUEUE_SPANS = 65536, /* more than comes while the server asks for a second's rest */
    MEMORY_BYTES = 80 << 20,
    LARGE_TEXT = 1500,   /* takes a span beyond its first chunk */
    MAX_BODY = 8 << 20
};

static unsigned soak_seconds = 600;
static unsigned soak_rate = 50000; /* spans a second */

static uint64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void rest(unsigned ms) {
    struct timespec left;
    left.tv_sec = (time_t)(ms / 1000);
    left.tv_nsec = (long)(ms % 1000) * 1000000;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* ---- The server ------------------------------------------------------------------------------ */

/* What a server does with a request. One in ten is not FATE_OK. */
typedef enum fate {
    FATE_OK,
    FATE_UNAVAILABLE,  /* 503, nothing stored                  */
    FATE_TOO_MANY,     /* 429 with Retry-After, nothing stored */
    FATE_RESET,        /* RST instead of an answer             */
    FATE_STORED_RESET, /* the same, but the spans are stored   */
    FATE_DRIP,         /* success, byte by byte                */
    FATE_PARTIAL,      /* success, some spans rejected         */
    NUM_FATES
} fate;

static const char *const fate_names[NUM_FATES] = {
    "200", "503", "429 with Retry-After", "reset", "reset after storing", "drip", "partial success",
};

/* Shared by the two processes. Every span has a serial number, by which it is known here. */
typedef struct server_books {
    uint64_t fates[NUM_FATES];
    uint64_t connections;
    uint64_t answered; /* spans in requests that were answered with success */
    uint64_t rejected; /* of these, by partial success */
    uint64_t twice;    /* spans that were answered with success more than once */
    uint64_t unknown;  /* spans without a serial number */
    uint64_t malformed;
    char problem[128];
} server_books;

static server_books *server_said;
static uint64_t num_serials;
static uint8_t *stored;  /* a bit for each serial number: stored by the server, answered or not */
static uint8_t *settled; /* answered with success */

/* Sets the bit; returns what it was. */
static bool set_bit(uint8_t *bits, uint64_t n) {
    bool was = (bits[n / 8] >> (n % 8) & 1) != 0;
    bits[n / 8] = (uint8_t)(bits[n / 8] | 1 << (n % 8));
    return was;
}

static uint64_t serial_of(otlp_bytes span) {
    otlp_field attribute, key, value, number;
    while (otlp_next(&span, &attribute)) {
        if (attribute.number != 9 || !otlp_get(attribute.bytes, 1, 0, &key)) continue;
        if (!otlp_equal(key.bytes, "serial")) continue;
        if (!otlp_get(attribute.bytes, 2, 0, &value)) continue;
        if (otlp_get(value.bytes, 3, 0, &number)) return number.value;
    }
    return UINT64_MAX;
}

typedef struct visit {
    bool answered;
    uint64_t num_spans;
} visit;

static void take_span(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                      void *user_data) {
    visit *v = (visit *)user_data;
    uint64_t serial = serial_of(span);
    (void)scope_spans;
    (void)resource_spans;
    v->num_spans++;
    if (serial >= num_serials) {
        server_said->unknown++;
        return;
    }
    (void)set_bit(stored, serial);
    if (v->answered && set_bit(settled, serial)) server_said->twice++;
}

static fate next_fate(void) {
    static unsigned num_requests, num_failures;
    if (++num_requests % 10 != 0) return FATE_OK;
    return (fate)(1 + num_failures++ % (NUM_FATES - 1));
}

/* A success that rejects so many of the spans. */
static size_t write_partial(char *out, size_t capacity, uint64_t rejected) {
    char body[16];
    size_t size = 0;
    int head;
    body[size++] = 0x0a;
    body[size++] = 0; // the length, filled in below
    body[size++] = 0x08;
    for (; rejected >= 0x80; rejected >>= 7) body[size++] = (char)(rejected | 0x80);
    body[size++] = (char)rejected;
    body[1] = (char)(size - 2);
    head = snprintf(out, capacity,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                    "Content-Length: %u\r\n\r\n", (unsigned)size);
    memcpy(out + head, body, size);
    return (size_t)head + size;
}

static bool send_all(int fd, const char *text, size_t size, bool drip) {
    while (size > 0) {
        ptrdiff_t sent = send(fd, text, drip ? 1 : size, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        text += sent;
        size -= (size_t)sent;
        if (drip) rest(2);
    }
    return true;
}

/* Decides, keeps the books, answers. False: the connection is over. */
static bool answer(int fd, otlp_bytes body) {
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                               "Content-Length: 0\r\n\r\n";
    static const char unavailable[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    static const char too_many[] =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    static unsigned num_checked;
    struct linger now = {1, 0};
    char partial[256];
    fate f = next_fate();
    visit v;
    v.num_spans = 0;
    v.answered = f == FATE_OK || f == FATE_DRIP || f == FATE_PARTIAL;
    server_said->fates[f]++;
    if (num_checked++ % 16 == 0) { // the whole wire table costs as much as making the spans
        const char *problem = otlp_check(OTLP_REQUEST, body, 0);
        if (problem != NULL && server_said->malformed++ == 0) {
            (void)snprintf(server_said->problem, sizeof server_said->problem, "%s", problem);
        }
    }
    if (v.answered || f == FATE_STORED_RESET) (void)otlp_each_span(body, take_span, &v);
    if (v.answered) server_said->answered += v.num_spans;
    switch (f) {
    case FATE_UNAVAILABLE: return send_all(fd, unavailable, sizeof unavailable - 1, false);
    case FATE_TOO_MANY: return send_all(fd, too_many, sizeof too_many - 1, false);
    case FATE_RESET:
    case FATE_STORED_RESET:
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return false;
    case FATE_PARTIAL:
        server_said->rejected += v.num_spans / 4;
        return send_all(fd, partial, write_partial(partial, sizeof partial, v.num_spans / 4),
                        false);
    default: return send_all(fd, good, sizeof good - 1, f == FATE_DRIP);
    }
}

/* One connection after the other: the library has one. */
static void serve_connection(int fd, unsigned char *buffer) {
    size_t size = 0;
    for (;;) {
        const char *end = (const char *)memmem(buffer, size, "\r\n\r\n", 4);
        const char *length = NULL;
        ptrdiff_t got;
        if (end != NULL) {
            length = (const char *)memmem(buffer, (size_t)(end - (char *)buffer),
                                          "Content-Length: ", 16);
        }
        if (length != NULL) {
            otlp_bytes body;
            size_t whole;
            body.at = (const unsigned char *)end + 4;
            body.size = strtoul(length + 16, NULL, 10);
            whole = (size_t)(body.at - buffer) + body.size;
            if (size >= whole) {
                if (!answer(fd, body)) return;
                size -= whole;
                memmove(buffer, buffer + whole, size);
                continue;
            }
        }
        if (size == MAX_BODY) return;
        got = recv(fd, buffer + size, MAX_BODY - size, 0);
        if (got <= 0) return;
        size += (size_t)got;
    }
}

static void run_server(int listener) {
    unsigned char *buffer = (unsigned char *)malloc(MAX_BODY + 1);
    while (buffer != NULL) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        server_said->connections++;
        serve_connection(fd, buffer);
        (void)close(fd);
    }
}

static void *share_memory(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("soak: memory");
        exit(2);
    }
    return memory;
}

/* Returns its process; *port is where it listens. */
static pid_t start_server(uint16_t *port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pid_t pid;
    num_serials = 2 * (uint64_t)soak_seconds * soak_rate + 1000000;
    server_said = (server_books *)share_memory(sizeof *server_said);
    stored = (uint8_t *)share_memory((size_t)(num_serials / 8 + 1));
    settled = (uint8_t *)share_memory((size_t)(num_serials / 8 + 1));
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("soak: server");
        exit(2);
    }
    *port = ntohs(address.sin_port);
    pid = fork();
    if (pid == 0) {
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // however the measuring process ends
#endif
        run_server(listener);
        _exit(1);
    }
    (void)close(listener);
    return pid;
}

/* ---- The producers --------------------------------------------------------------------------- */

static uint64_t next_serial; /* atomic */
static bool stopping;        /* atomic */

static int64_t take_serial(void) {
    return (int64_t)__atomic_fetch_add(&next_serial, 1, __ATOMIC_RELAXED);
}

static uint64_t num_made(void) {
    return __atomic_load_n(&next_serial, __ATOMIC_RELAXED);
}

static void make_plain(void) {
    hotel_span span = hotel_start_as("http.request", HOTEL_CLIENT);
    hotel_set(&span, hotel_int("serial", take_serial()), hotel_str("http.method", "GET"),
              hotel_str("http.url", "http://127.0.0.1:8080/api/v1/things/42"),
              hotel_int("http.status_code", 200));
    hotel_end(&span);
}

static void make_with_event(void) {
    hotel_span span = hotel_start("query");
    hotel_set_int(&span, "serial", take_serial());
    hotel_add_event_with(&span, "retry", hotel_int("attempt", 2), hotel_str("reason", "timeout"));
    hotel_set_status(&span, HOTEL_STATUS_ERROR, "no such table");
    hotel_end(&span);
}

static char large_text[LARGE_TEXT];

static void make_large(void) {
    hotel_span span = hotel_start("render");
    hotel_set(&span, hotel_int("serial", take_serial()),
              hotel_strn("body", large_text, sizeof large_text), hotel_double("share", 0.25));
    hotel_end(&span);
}

static void make_nested(void) {
    HOTEL_SCOPE(outer, hotel_start_as("handle", HOTEL_SERVER));
    hotel_set_int(&outer, "serial", take_serial());
    {
        HOTEL_SCOPE(inner, hotel_start("parse"));
        hotel_set(&inner, hotel_int("serial", take_serial()), hotel_bool("cached", true));
    }
}

static void make_task(bool succeeds) {
    hotel_step_run run;
    hotel_task task;
    memset(&run, 0, sizeof run);
    run.workflow_name = "OTelDataPipeline";
    run.step_name = "fetch_data";
    run.step_run_id = "5f0c1f0e-7d5e-4d0b-9a53-2f1f6f0f9b3c";
    run.workflow_run_id = "0b4d3c1a-9a4f-4b1e-8a57-6f3d2c1b0a99";
    run.tenant_id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    task = hotel_start_step_run(&run);
    hotel_set_int(&task.span, "serial", take_serial());
    make_plain();
    make_nested();
    if (succeeds) {
        hotel_task_succeed(&task);
    } else {
        hotel_task_fail(&task, "upstream timed out");
    }
}

/* One to four spans of some shape. */
static void make_some(unsigned i) {
    switch (i % 16) {
    case 0: make_task(i % 32 != 0); break;
    case 1:
    case 2: make_with_event(); break;
    case 3: make_large(); break;
    case 4:
    case 5: make_nested(); break;
    default: make_plain(); break;
    }
}

/* Keeps the share of the rate that is this thread's. */
static void *produce(void *unused) {
    uint64_t start = now_ns();
    uint64_t made = 0;
    unsigned i = 0;
    (void)unused;
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        uint64_t due = (now_ns() - start) / 1000 * soak_rate / NUM_PRODUCERS / 1000000;
        for (; made < due; i++) {
            make_some(i);
            made += i % 16 == 0 ? 4 : i % 16 == 4 || i % 16 == 5 ? 2 : 1;
        }
        rest(TICK_MS);
    }
    return NULL;
}

/* Threads come and go. */
static void *produce_briefly(void *unused) {
    unsigned i;
    (void)unused;
    for (i = 0; i < 16; i++) make_some(i);
    return NULL;
}

/* ---- Figures --------------------------------------------------------------------------------- */

typedef struct sample {
    double seconds;
    uint64_t made;
    double cpu_s;
    double rss_kib; /* 0: cannot be known here */
} sample;

static sample *samples; /* one a second */
static size_t num_samples;

static double cpu_seconds(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double rss_kib(void) {
    unsigned long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void take_sample(uint64_t start) {
    sample *s = &samples[num_samples++];
    s->seconds = 1e-9 * (double)(now_ns() - start);
    s->made = num_made();
    s->cpu_s = cpu_seconds();
    s->rss_kib = rss_kib();
}

/* CPU seconds of a million spans between two samples. */
static double cpu_per_million(const sample *from, const sample *to) {
    double spans = (double)(to->made - from->made);
    return spans > 0 ? 1e6 * (to->cpu_s - from->cpu_s) / spans : 0;
}

static void show_progress(const sample *from, const sample *to) {
    books now = read_books();
    const hotel_destination_stats *d = &now.to[0];
    note("%4.0f s %6.0f spans/s, rss %.1f MiB, cpu %.2f s/M, queued %llu, chunks free %llu of "
         "%llu, accepted %llu rejected %llu failed %llu dropped %llu not admitted %llu, "
         "retries %llu",
         to->seconds, (double)(to->made - from->made) / (to->seconds - from->seconds),
         to->rss_kib / 1024, cpu_per_million(from, to), (unsigned long long)d->queued,
         (unsigned long long)now.process.chunks_free, (unsigned long long)now.process.chunks_total,
         (unsigned long long)d->accepted, (unsigned long long)d->rejected,
         (unsigned long long)d->failed, (unsigned long long)d->dropped_queue_full,
         (unsigned long long)now.process.not_admitted, (unsigned long long)d->retries);
}

static double mean_rss(size_t from, size_t to) {
    double sum = 0;
    size_t i;
    for (i = from; i < to; i++) sum += samples[i].rss_kib;
    return sum / (double)(to - from);
}

/* Last quarter against second: what grows without bound, or gets slower, shows there. */
static void check_figures(void) {
    size_t quarter = (num_samples - 1) / 4;
    double former = mean_rss(quarter, 2 * quarter), last = mean_rss(3 * quarter, 4 * quarter);
    double former_cpu = cpu_per_million(&samples[quarter], &samples[2 * quarter]);
    double last_cpu = cpu_per_million(&samples[3 * quarter], &samples[4 * quarter]);
    const sample *end = &samples[num_samples - 1];
    double rate = (double)end->made / end->seconds;
    ok(rate > 0.8 * soak_rate, "the rate was kept: %.0f spans/s", rate);
    if (last > 0) {
        ok(last < former + 1024, "memory is flat: %.0f KiB in the second quarter, %.0f in the last",
           former, last);
    } else {
        skip("memory is flat: no /proc/self/statm here");
    }
    ok(last_cpu < 1.6 * former_cpu,
       "the cost is flat: %.3f CPU s for a million spans in the second quarter, %.3f in the last",
       former_cpu, last_cpu);
}

static void check_server(void) {
    hotel_destination_stats d = since_opened(0);
    uint64_t i, num_settled = 0, num_stored_only = 0;
    int f;
    for (i = 0; i < num_serials; i++) {
        bool was_settled = (settled[i / 8] >> (i % 8) & 1) != 0;
        num_settled += was_settled;
        num_stored_only += !was_settled && (stored[i / 8] >> (i % 8) & 1) != 0;
    }
    for (f = 0; f < NUM_FATES; f++) {
        ok(server_said->fates[f] > 0, "the server answered %llu requests like this: %s",
           (unsigned long long)server_said->fates[f], fate_names[f]);
    }
    is_int(server_said->malformed, 0, "the server found every request well-formed");
    if (server_said->malformed > 0) note("%s", server_said->problem);
    is_int(server_said->unknown, 0, "and no span that was not made");
    is_int(server_said->twice, 0, "no span was settled twice");
    is_int(num_settled, d.accepted + d.rejected,
           "the different spans that the server settled are those accepted or rejected");
    is_int(server_said->answered, d.accepted + d.rejected, "span for span");
    is_int(server_said->rejected, d.rejected, "and as many were rejected as it said");
    ok(num_stored_only <= d.failed + d.dropped_shutdown,
       "what it stored without an answer and never again (%llu) counts as failed (%llu)",
       (unsigned long long)num_stored_only, (unsigned long long)d.failed);
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void begin(uint16_t port) {
    static char endpoint[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(endpoint);
    to.max_queue_size = QUEUE_SPANS;
    to.max_export_batch_size = BATCH_SPANS;
    to.max_request_bytes = 4 << 20;
    to.schedule_delay_ms = 200;
    config.service_name = "soak";
    config.memory = malloc(MEMORY_BYTES);
    config.memory_bytes = MEMORY_BYTES;
    if (config.memory == NULL) abort();
    memset(config.memory, 0xa5, MEMORY_BYTES); // resident from the start
    memset(large_text, 'x', sizeof large_text);
    is_int(hotel_init(&config), HOTEL_OK, "init");
    open_books();
}

static void soak(void) {
    pthread_t producers[NUM_PRODUCERS], brief;
    uint64_t start = now_ns();
    size_t i;
    samples = (sample *)calloc(soak_seconds + 2, sizeof *samples);
    if (samples == NULL) abort();
    memset(samples, 0, (soak_seconds + 2) * sizeof *samples);
    for (i = 0; i < NUM_PRODUCERS; i++) {
        if (pthread_create(&producers[i], NULL, produce, NULL) != 0) abort();
    }
    take_sample(start);
    for (i = 1; i <= soak_seconds; i++) {
        uint64_t due = start + i * 1000000000u, now;
        if (pthread_create(&brief, NULL, produce_briefly, NULL) == 0) {
            (void)pthread_join(brief, NULL);
        }
        now = now_ns();
        if (now < due) rest((unsigned)((due - now) / 1000000));
        take_sample(start);
        if (i % PROGRESS_S == 0) show_progress(&samples[i - PROGRESS_S], &samples[i]);
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    for (i = 0; i < NUM_PRODUCERS; i++) (void)pthread_join(producers[i], NULL);
}

/* A number from 1 on; 0: it is none. */
static unsigned number_of(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    return *end == 0 && value <= 10000000 ? (unsigned)value : 0;
}

int main(int argc, char **argv) {
    uint16_t port;
    pid_t pid;
    hotel_stats stats;
    if (argc > 1) soak_seconds = number_of(argv[1]);
    if (argc > 2) soak_rate = number_of(argv[2]);
    if (argc > 3 || soak_seconds < 8 || soak_rate < 1000) {
        fprintf(stderr, "usage: soak [SECONDS [SPANS-PER-SECOND]]     (from 8, from 1000)\n");
        return 2;
    }
    pid = start_server(&port);
    begin(port);
    soak();
    is_int(hotel_shutdown(60000), since_opened(0).failed == 0 ? HOTEL_OK : HOTEL_ERR_FAILED,
           "shutdown");
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    stats = read_books().process;
    check_figures();
    is_int(stats.started, num_made(), "every span that was made is counted");
    check_books("after the soak");
    is_int(stats.chunks_free, books_opened.process.chunks_free, "every chunk is free again");
    check_server();
    return done_testing();
}
