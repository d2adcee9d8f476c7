/*
 * SPDX-License-Identifier: MIT
 *
 * test_environment.c - what the environment can say wrong and right: the request that a server then
 * receives, the setting in force, the message that names the variable, its text and what was used
 * instead. Rules OX-*, OU-*, OH-*, EP-*, EV-*.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <strings.h>

#include "server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OTLP "OTEL_EXPORTER_OTLP_"
#define TRACES "OTEL_EXPORTER_OTLP_TRACES_"

static server here; /* serves all tests of this file */

static void clear_environment(void) {
    static const char *const names[] = {
        OTLP "ENDPOINT",
        TRACES "ENDPOINT",
        OTLP "HEADERS",
        TRACES "HEADERS",
        OTLP "TIMEOUT",
        TRACES "TIMEOUT",
        OTLP "COMPRESSION",
        TRACES "COMPRESSION",
        OTLP "PROTOCOL",
        TRACES "PROTOCOL",
        OTLP "CERTIFICATE",
        TRACES "CERTIFICATE",
        OTLP "CLIENT_KEY",
        TRACES "CLIENT_KEY",
        OTLP "CLIENT_CERTIFICATE",
        TRACES "CLIENT_CERTIFICATE",
        OTLP "INSECURE",
        TRACES "INSECURE",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_TRACES_EXPORTER",
        "OTEL_LOG_LEVEL",
        "OTEL_CONFIG_FILE",
        "HATCHET_CLIENT_TOKEN",
        "HATCHET_CLIENT_HOST_PORT",
    };
    size_t i;
    for (i = 0; i < COUNT(names); i++) (void)unsetenv(names[i]);
}

/* Sets a variable to text in which %u stands for the server's port. */
static void set_variable(const char *name, const char *text) {
    char value[1024];
    const char *mark = strstr(text, "%u");
    if (mark == NULL) {
        (void)setenv(name, text, 1);
        return;
    }
    (void)snprintf(value, sizeof value, "%.*s%u%s", (int)(mark - text), text, (unsigned)here.port,
                   mark + 2);
    (void)setenv(name, value, 1);
}

/* Nothing but the log function set: everything comes from the environment. */
static hotel_config environment_config(void) {
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.log_fn = log_record;
    return config;
}

static const char *describe(void) {
    static char text[16384];
    (void)hotel_describe(text, sizeof text);
    return text;
}

/* ---- A transport that only takes down where it is asked to go ------------------------------- */

typedef struct asked {
    char host[256];
    uint16_t port;
    unsigned opened;
} asked;

static void *ask_open(const char *host, uint16_t port, void *user_data) {
    asked *a = (asked *)user_data;
    (void)snprintf(a->host, sizeof a->host, "%s", host);
    a->port = port;
    a->opened++;
    return NULL;
}

static int ask_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_REFUSED;
}

static ptrdiff_t ask_send(void *connection, const void *bytes, size_t size) {
    (void)connection, (void)bytes, (void)size;
    return HOTEL_IO_REFUSED;
}

static ptrdiff_t ask_receive(void *connection, void *bytes, size_t size) {
    (void)connection, (void)bytes, (void)size;
    return HOTEL_IO_REFUSED;
}

static int ask_descriptor(void *connection) {
    (void)connection;
    return -1;
}

static void ask_close(void *connection, bool inherited) {
    (void)connection, (void)inherited;
}

/* Where an endpoint in the environment leads. */
static asked where_to(const char *variable, const char *endpoint) {
    asked a;
    hotel_transport transport = {ask_open,       ask_connect, ask_send, ask_receive,
                                 ask_descriptor, ask_close,   NULL};
    hotel_destination to = destination(NULL);
    hotel_config config = environment_config();
    hotel_span span;
    memset(&a, 0, sizeof a);
    transport.user_data = &a;
    to.transport = &transport;
    to.timeout_ms = 50;
    config.destinations = &to;
    config.num_destinations = 1;
    config.no_threads = true;
    clear_environment();
    set_variable(variable, endpoint);
    (void)hotel_init(&config);
    span = hotel_start("where");
    hotel_end(&span);
    (void)!hotel_flush(200);
    (void)hotel_shutdown(0);
    return a;
}

/* ---- Endpoints ------------------------------------------------------------------------------ */

typedef struct url_row {
    const char *name;
    const char *general; /* OTEL_EXPORTER_OTLP_ENDPOINT, NULL: unset */
    const char *traces;  /* OTEL_EXPORTER_OTLP_TRACES_ENDPOINT */
    const char *target;
} url_row;

static const url_row url_rows[] = {
    {"OU-01", "http://127.0.0.1:%u", NULL, "/v1/traces"},
    {"OU-02", "http://127.0.0.1:%u/", NULL, "/v1/traces"},
    {"OU-03", "http://127.0.0.1:%u/base", NULL, "/base/v1/traces"},
    {"OU-03", "http://127.0.0.1:%u/base/", NULL, "/base/v1/traces"},
    {"OU-03", "http://127.0.0.1:%u/a/b%20c/", NULL, "/a/b%20c/v1/traces"},
    {"OU-04", "http://127.0.0.1:%u/v1/traces", NULL, "/v1/traces/v1/traces"},
    {"OU-05", NULL, "http://127.0.0.1:%u", "/"},
    {"OU-05", NULL, "http://127.0.0.1:%u/", "/"},
    {"OU-06", NULL, "http://127.0.0.1:%u/x/y/", "/x/y/"},
    {"OU-06", NULL, "http://127.0.0.1:%u/x//y", "/x//y"},
    {"OU-08", "http://127.0.0.1:1/wrong", "http://127.0.0.1:%u/right", "/right"},
    {"EP-01 an empty traces form falls through", "http://127.0.0.1:%u/base", "", "/base/v1/traces"},
    {"OX-01 the scheme in capitals", "HTTP://127.0.0.1:%u", NULL, "/v1/traces"},
    {"localhost without a name server", "http://localhost:%u", NULL, "/v1/traces"},
    {"LOCALHOST too", "http://LOCALHOST:%u", NULL, "/v1/traces"},
};

static void test_urls(void) {
    size_t i;
    for (i = 0; i < COUNT(url_rows); i++) {
        const url_row *row = &url_rows[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here);
        char target[64], host[64];
        const char *label =
            row->traces != NULL && *row->traces != '\0' ? row->traces : row->general;
        const server_request *r;
        hotel_span span;
        clear_environment();
        log_clear();
        if (row->general != NULL) set_variable(OTLP "ENDPOINT", row->general);
        if (row->traces != NULL) set_variable(TRACES "ENDPOINT", row->traces);
        is_int(hotel_init(&config), HOTEL_OK, "%s %s", row->name, label);
        open_books();
        span = hotel_start("url");
        hotel_end(&span);
        is_int(hotel_flush(3000), HOTEL_OK, "%s %s: delivered", row->name, label);
        (void)hotel_shutdown(1000);
        r = server_request_at(&here, before);
        is_str(server_target(r, target, sizeof target), row->target, "%s %s: target", row->name,
               label);
        if (server_header_in(r->head, "Host", 0, host, sizeof host) == NULL) host[0] = '\0';
        ok(strstr(host, ":") != NULL && strtol(strstr(host, ":") + 1, NULL, 10) == here.port,
           "%s %s: Host names the port (%s)", row->name, label, host);
        ok(log_count_all() == 0, "%s %s: no message", row->name, label) || (log_show(), 0);
        check_books(row->name);
    }
}

static void test_hosts(void) {
    static const struct {
        const char *endpoint, *host;
        uint16_t port;
    } rows[] = {
        {"http://127.0.0.9", "127.0.0.9", 80},
        {"http://127.0.0.9/base", "127.0.0.9", 80},
        {"http://collector.example", "collector.example", 80},
        {"http://collector.example:4318", "collector.example", 4318},
        {"http://[::1]:4318", "::1", 4318},
        {"http://[2001:db8::1]/v1", "2001:db8::1", 80},
        {"http://127.0.0.9:65535", "127.0.0.9", 65535},
        {"http://127.0.0.9:1/a:2", "127.0.0.9", 1},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        asked a = where_to(OTLP "ENDPOINT", rows[i].endpoint);
        is_str(a.host, rows[i].host, "OU-07, OU-10 %s: host", rows[i].endpoint);
        is_int(a.port, rows[i].port, "OU-07, OU-10 %s: port", rows[i].endpoint);
    }
}

/* Each is refused with a message that shows it; nothing is sent anywhere else instead. */
static const char *const bad_endpoints[] = {
    "localhost:4318",
    "//127.0.0.1:4318",
    "127.0.0.1",
    "http:",
    "http:/127.0.0.1",
    "http://",
    "http:///v1/traces",
    "http://:4318",
    "ftp://127.0.0.1:21",
    "file:///etc/passwd",
    "grpc://127.0.0.1:4317",
    "http://127.0.0.1:0",
    "http://127.0.0.1:65536",
    "http://127.0.0.1:99999999999999999999",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:+80",
    "http://127.0.0.1:4318x",
    "http://127.0.0.1:port",
    "http://[::1",
    "http://::1:4318",
    "http://[::1]4318",
    "http://[]:4318",
    "http://127.0.0.1:4318/a b",
    "http://127.0.0.1:4318/\r\nX-Evil: 1",
    "http://127.0.0.1:4318/\x7f",
    "http://a b:4318/",
    " http://127.0.0.1:4318",
    "http://127.0.0.1:4318\n",
    "unix:",
    "unix:relative",
    "https://127.0.0.1:4318",
    "HTTPS://collector.example",
};

static void test_bad_endpoints(void) {
    size_t i;
    for (i = 0; i < COUNT(bad_endpoints); i++) {
        const char *bad = bad_endpoints[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here);
        bool is_https = strncasecmp(bad, "https", 5) == 0;
        char part[16];
        int code;
        clear_environment();
        log_clear();
        (void)setenv(OTLP "ENDPOINT", bad, 1);
        is_int(hotel_init(&config), is_https ? HOTEL_ERR_TLS : HOTEL_ERR_ENDPOINT,
               "OX-01 %s: an error", bad);
        check_log(is_https ? HOTEL_LOG_ID_TLS : HOTEL_LOG_ID_BAD_ENDPOINT, 1, bad);
        (void)snprintf(part, sizeof part, "%.9s", bad);
        ok(log_has(part), "OX-01 %s: shown in the log", bad) || (log_show(), 0);
        if (is_https)
            ok(log_has("HATCHET_OTEL_OPENSSL"), "OX-01 %s: the option is what is missing", bad);
        open_books();
        hotel_set_str(NULL, "a", "b");
        code = hotel_shutdown(500);
        ok(code == HOTEL_OK || code == HOTEL_ERR_FAILED, "OX-01 %s: shutdown", bad);
        is_int(server_num_requests(&here), before, "OX-01 %s: nothing was sent", bad);
    }
}

/* The good destination is started beside the bad one, and the first error is returned. */
static void test_good_beside_bad(void) {
    char url[64];
    hotel_destination to[3];
    hotel_config config = test_config(to, 3);
    hotel_span span;
    size_t before = server_num_spans(&here);
    clear_environment();
    log_clear();
    to[0] = destination("https://127.0.0.1:4318");
    to[1] = destination(server_url(&here, "", url, sizeof url));
    to[2] = destination("nonsense");
    is_int(hotel_init(&config), HOTEL_ERR_TLS, "two of three destinations are bad");
    open_books();
    span = hotel_start("beside");
    hotel_end(&span);
    (void)!hotel_flush(2000);
    (void)hotel_shutdown(1000);
    is_int(server_num_spans(&here) - before, 1, "the good one delivers");
    is_int(since_opened(1).accepted, 1, "and is the second in the statistics");
    check_log(HOTEL_LOG_ID_TLS, 1, "one message for each bad one");
    check_log(HOTEL_LOG_ID_BAD_ENDPOINT, 1, "one message for each bad one");
    check_books("good beside bad");
}

/* ---- Values that are reported and ignored --------------------------------------------------- */

typedef struct value_row {
    const char *variable;
    const char *value;
    bool good;
    const char *used; /* what the message says is used instead; NULL: not looked at */
} value_row;

static const value_row value_rows[] = {
    {OTLP "TIMEOUT", "abc", false, "10000"},
    {OTLP "TIMEOUT", "-1", false, "10000"},
    {OTLP "TIMEOUT", "5000ms", false, "10000"},
    {OTLP "TIMEOUT", "1e3", false, "10000"},
    {OTLP "TIMEOUT", "1.5", false, "10000"},
    {OTLP "TIMEOUT", "+5", false, "10000"},
    {OTLP "TIMEOUT", "0x10", false, "10000"},
    {OTLP "TIMEOUT", "5 000", false, "10000"},
    {OTLP "TIMEOUT", "99999999999999999999", false, "10000"},
    {OTLP "TIMEOUT", "", true, NULL},
    {OTLP "TIMEOUT", "0", true, NULL},
    {OTLP "TIMEOUT", "007", true, NULL},
    {OTLP "TIMEOUT", " 500\t", true, NULL},
    {OTLP "TIMEOUT", "2147483647", true, NULL},
    {TRACES "TIMEOUT", "never", false, "10000"},
    {TRACES "TIMEOUT", "250", true, NULL},
    {OTLP "COMPRESSION", "none", true, NULL},
    {OTLP "COMPRESSION", "NONE", true, NULL},
    {OTLP "COMPRESSION", "brotli", false, "none"},
    {TRACES "COMPRESSION", "zip", false, "none"},
    {OTLP "COMPRESSION", "gzip", false, "none"},
    {OTLP "PROTOCOL", "http/protobuf", true, NULL},
    {OTLP "PROTOCOL", "HTTP/Protobuf", true, NULL},
    {OTLP "PROTOCOL", "carrier-pigeon", false, "http/protobuf"},
    {TRACES "PROTOCOL", "http", false, "http/protobuf"},
    {OTLP "PROTOCOL", "http/json", false, "http/protobuf"},
    {TRACES "PROTOCOL", "grpc-web", false, "grpc, http/protobuf"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "0", false, "2048"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "-2048", false, "2048"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "many", false, "2048"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "1000", true, NULL},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", false, "512"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", false, "512"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512,", false, "512"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100", true, NULL},
    {"OTEL_BSP_SCHEDULE_DELAY", "-5000", false, "5000"},
    {"OTEL_BSP_SCHEDULE_DELAY", "5s", false, "5000"},
    {"OTEL_BSP_SCHEDULE_DELAY", "0", true, NULL},
    {"OTEL_BSP_EXPORT_TIMEOUT", "-1", false, NULL},
    {"OTEL_BSP_EXPORT_TIMEOUT", "soon", false, NULL},
    {"OTEL_BSP_EXPORT_TIMEOUT", "0", true, NULL},
};

static void test_values(void) {
    size_t i;
    for (i = 0; i < COUNT(value_rows); i++) {
        const value_row *row = &value_rows[i];
        hotel_config config = environment_config();
        size_t before = server_num_spans(&here);
        hotel_span span;
        clear_environment();
        log_clear();
        set_variable(TRACES "ENDPOINT", "http://127.0.0.1:%u/v1/traces");
        (void)setenv(row->variable, row->value, 1);
        is_int(hotel_init(&config), HOTEL_OK, "EP-03 %s=\"%s\": the library starts", row->variable,
               row->value);
        check_log(HOTEL_LOG_ID_BAD_VARIABLE, row->good ? 0 : 1, row->value);
        if (!row->good) {
            ok(log_has(row->variable) && log_has(row->value),
               "EP-07 the message names %s and shows \"%s\"", row->variable, row->value) ||
                (log_show(), 0);
            if (row->used != NULL)
                ok(log_has(row->used), "... and says that %s is used", row->used);
        }
        open_books();
        span = hotel_start("value");
        hotel_end(&span);
        is_int(hotel_flush(3000), HOTEL_OK, "... and delivers");
        (void)hotel_shutdown(1000);
        is_int(server_num_spans(&here) - before, 1, "... its span");
        check_books(row->variable);
    }
}

/* Values that are good are also in force. */
static void test_values_in_force(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    server silent;
    hotel_config config = environment_config();
    char url[64];
    hotel_span span;
    long long took;
    int i;
    clear_environment();
    if (!server_start(&silent, SERVER_IPV4, hang, 1)) abort();
    (void)setenv(TRACES "ENDPOINT", server_url(&silent, "/", url, sizeof url), 1);
    (void)setenv(OTLP "TIMEOUT", "60000", 1);
    (void)setenv(TRACES "TIMEOUT", "300", 1);
    log_clear();
    (void)hotel_init(&config);
    open_books();
    span = hotel_start("late");
    hotel_end(&span);
    took = server_now_ms();
    is_int(hotel_flush(5000), HOTEL_ERR_FAILED, "OX-09 a server that hangs: failed");
    took = server_now_ms() - took;
    ok(took >= 250 && took < 1500, "OX-09 TRACES_TIMEOUT beats TIMEOUT: after %lld ms", took);
    (void)hotel_shutdown(500);
    check_books("TIMEOUT");
    server_release(&silent);

    clear_environment();
    set_variable(TRACES "ENDPOINT", "http://127.0.0.1:%u/");
    (void)setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10", 1);
    (void)setenv("OTEL_BSP_SCHEDULE_DELAY", "60000", 1);
    (void)hotel_init(&config);
    open_books();
    took = (long long)server_num_requests(&here);
    for (i = 0; i < 35; i++) {
        span = hotel_start("batched");
        hotel_end(&span);
    }
    (void)!hotel_flush(3000);
    ok((long long)server_num_requests(&here) - took >= 4, "EV-06 batches of at most 10");
    (void)hotel_shutdown(500);
    is_int(since_opened(0).accepted, 35, "EV-06 ... deliver all");
    check_books("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");

    (void)unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    (void)setenv("OTEL_BSP_SCHEDULE_DELAY", "50", 1);
    (void)hotel_init(&config);
    open_books();
    span = hotel_start("delayed");
    hotel_end(&span);
    took = server_now_ms();
    while (since_opened(0).accepted == 0 && server_now_ms() - took < 3000) server_sleep_ms(5);
    took = server_now_ms() - took;
    ok(took < 1500, "EV-06 OTEL_BSP_SCHEDULE_DELAY=50: sent after %lld ms", took);
    (void)hotel_shutdown(500);
    check_books("OTEL_BSP_SCHEDULE_DELAY");
}

/* Sizes that do not fit one another or the arena are clamped, and that is said. */
static void test_clamped(void) {
    hotel_config config = environment_config();
    clear_environment();
    set_variable(TRACES "ENDPOINT", "http://127.0.0.1:%u/");
    (void)setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100", 1);
    (void)setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200", 1);
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "C-02 a batch larger than the queue");
    ok(log_count(HOTEL_LOG_ID_BAD_CONFIG) + log_count(HOTEL_LOG_ID_BAD_VARIABLE) == 1,
       "C-02 is reported once") ||
        (log_show(), 0);
    ok(log_has("200") && log_has("100"), "C-02 with both numbers") || (log_show(), 0);
    (void)hotel_shutdown(500);
    (void)setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1000000", 1);
    (void)unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    log_clear();
    config.arena_bytes = 65536;
    is_int(hotel_init(&config), HOTEL_OK, "another arena size without hotel_release");
    ok(log_has("arena_bytes"), "is not followed, and said");
    (void)hotel_shutdown(500);
    (void)hotel_release();
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "a queue larger than the arena");
    ok(log_count(HOTEL_LOG_ID_BAD_CONFIG) + log_count(HOTEL_LOG_ID_BAD_VARIABLE) == 1,
       "is clamped and reported once") ||
        (log_show(), 0);
    (void)hotel_shutdown(500);
    (void)hotel_release();
}

/* ---- Headers -------------------------------------------------------------------------------- */

typedef struct header_row {
    const char *rule;
    const char *value; /* of OTEL_EXPORTER_OTLP_HEADERS */
    const char *name;  /* the header to look for */
    const char *want;  /* NULL: must be absent */
    unsigned messages; /* BAD_VARIABLE */
} header_row;

static const header_row header_rows[] = {
    {"OH-01", "x-a=1,x-b=2", "x-a", "1", 0},
    {"OH-01", "x-a=1,x-b=2", "x-b", "2", 0},
    {"OH-02", "authorization=Basic dXNlcjpwYXNz==", "authorization", "Basic dXNlcjpwYXNz==", 0},
    {"OH-03", " \tx-a \t=\t v \t,x-b=2", "x-a", "v", 0},
    {"OH-04", "x-a=a%20b%2Cc%3D%e2%82%ac", "x-a", "a b,c=\xe2\x82\xac", 0},
    {"OH-04", "x-a=1+1", "x-a", "1+1", 0},
    {"OH-04", "x%2da=v", "x%2da", "v", 0},
    {"OH-05", "authorization=Bearer abc def", "authorization", "Bearer abc def", 0},
    {"OH-05", "x-a=a;b=c", "x-a", "a;b=c", 0},
    {"OH-06", "broken,x-a=1", "x-a", "1", 1},
    {"OH-06", "=novalue,x-a=1", "x-a", "1", 1},
    {"OH-06", "bad name=1,x-a=1", "x-a", "1", 1},
    {"OH-06",
     "b\xc3\xa4"
     "d=1,x-a=1",
     "x-a", "1", 1},
    {"OH-06", "b(d=1,x-a=1", "x-a", "1", 1},
    {"OH-06", ",,x-a=1,", "x-a", "1", 0},
    {"OH-06", "x-bad=%zz,x-a=1", "x-a", "1", 1},
    {"OH-06", "x-bad=%4,x-a=1", "x-bad", NULL, 1},
    {"OH-07", "x-bad=a%0d%0aX-Evil: 1,x-a=1", "X-Evil", NULL, 1},
    {"OH-07", "x-bad=a%0d%0aX-Evil: 1,x-a=1", "x-bad", NULL, 1},
    {"OH-07", "x-bad=a%0ab,x-a=1", "x-bad", NULL, 1},
    {"OH-07", "x-bad=a%00b,x-a=1", "x-bad", NULL, 1},
    {"OH-07", "x-bad=a\nb,x-a=1", "x-bad", NULL, 1},
    {"OH-08", "x-a=1,X-A=2", "x-a", "2", 0},
    {"OH-08", "user-agent=mine/1", "User-Agent", "mine/1", 0},
    {"OH-08", "content-type=text/plain,x-a=1", "Content-Type", "application/x-protobuf", 1},
    {"OH-08", "Host=evil.example,x-a=1", "x-a", "1", 1},
    {"OH-08", "transfer-encoding=chunked,x-a=1", "Transfer-Encoding", NULL, 1},
    {"an empty value", "x-a=,x-b=2", "x-a", "", 0},
    {"EP-01", "", "x-a", NULL, 0},
};

static void test_headers(void) {
    size_t i;
    for (i = 0; i < COUNT(header_rows); i++) {
        const header_row *row = &header_rows[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here);
        char value[256];
        const server_request *r;
        const char *got;
        hotel_span span;
        clear_environment();
        log_clear();
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        (void)setenv(OTLP "HEADERS", row->value, 1);
        (void)hotel_init(&config);
        span = hotel_start("header");
        hotel_end(&span);
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(1000);
        r = server_request_at(&here, before);
        ok(r->num_spans == 1, "%s \"%s\": delivered", row->rule, row->value);
        got = server_header_in(r->head, row->name, 0, value, sizeof value);
        is_str(got, row->want, "%s \"%s\": %s", row->rule, row->value, row->name);
        ok(server_header_in(r->head, row->name, 1, value, sizeof value) == NULL,
           "%s \"%s\": %s at most once", row->rule, row->value, row->name);
        check_log(HOTEL_LOG_ID_BAD_VARIABLE, row->messages, row->value);
        if (row->messages > 0)
            ok(log_has("HEADERS"), "%s the message names the variable", row->rule);
    }
}

/* Header values are secrets: no message and no description shows one. */
static void test_header_secrets(void) {
    static const char *const values[] = {
        "authorization=Bearer s3cr3t",
        "x-key=s3cr3t%zz",
        "s3cr3t",
        "bad name=s3cr3t",
        "x-key=s3cr3t%0d%0aX-Evil: 1",
        "x-key=s3cr3t,content-length=s3cr3t",
        "authorization=Basic czNjcjN0,s3cr3t=",
        "authorization=s3cr3t\x01",
    };
    static const server_step refusing[] = {{.reply = SERVER_STATUS("401 Unauthorized")}};
    server s;
    char url[64];
    size_t i;
    if (!server_start(&s, SERVER_IPV4, refusing, 1)) abort();
    for (i = 0; i < COUNT(values); i++) {
        hotel_config config = environment_config();
        hotel_span span;
        config.log_level = HOTEL_LOG_DEBUG;
        clear_environment();
        log_clear();
        (void)setenv(OTLP "ENDPOINT", server_url(&s, "", url, sizeof url), 1);
        (void)setenv(OTLP "HEADERS", values[i], 1);
        (void)hotel_init(&config);
        ok(strstr(describe(), "s3cr3t") == NULL && strstr(describe(), "czNjcjN0") == NULL,
           "the description masks \"%s\"", values[i]);
        span = hotel_start("secret");
        hotel_end(&span);
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(1000);
        ok(!log_has("s3cr3t") && !log_has("czNjcjN0"), "no message shows a value of \"%s\"",
           values[i]) ||
            (log_show(), 0);
    }
    server_release(&s);
}

static void test_header_precedence(void) {
    static const hotel_header code[] = {{"x-from", "code"}};
    hotel_destination to = destination(NULL);
    hotel_config config = environment_config();
    unsigned before;
    int i;
    for (i = 0; i < 2; i++) {
        char from[32], other[32];
        hotel_span span;
        const server_request *r;
        clear_environment();
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        (void)setenv(OTLP "HEADERS", "x-from=general,x-other=1", 1);
        (void)setenv(TRACES "HEADERS", "x-from=traces", 1);
        config.destinations = &to;
        config.num_destinations = 1;
        to.headers = i == 0 ? NULL : code;
        to.num_headers = i == 0 ? 0 : 1;
        before = server_num_requests(&here);
        (void)hotel_init(&config);
        span = hotel_start("precedence");
        hotel_end(&span);
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(1000);
        r = server_request_at(&here, before);
        is_str(server_header_in(r->head, "x-from", 0, from, sizeof from),
               i == 0 ? "traces" : "code", "C-05 %s win",
               i == 0 ? "TRACES_HEADERS" : "headers in code");
        ok(server_header_in(r->head, "x-other", 0, other, sizeof other) == NULL,
           "C-05 and replace the others");
    }
}

/* ---- Resource ------------------------------------------------------------------------------- */

typedef struct resource_row {
    const char *name;
    const char *service;    /* OTEL_SERVICE_NAME */
    const char *attributes; /* OTEL_RESOURCE_ATTRIBUTES */
    const char *key, *want; /* "" : absent */
    unsigned messages;
} resource_row;

static const resource_row resource_rows[] = {
    {"EV-02", NULL, "a=1,b=2", "a", "1", 0},
    {"EV-02", NULL, "a=1,b=2", "b", "2", 0},
    {"EV-02 percent-decoded", NULL, "k%2Ck=v%3Dv%20%e2%82%ac", "k,k", "v=v \xe2\x82\xac", 0},
    {"EV-02 plus stays", NULL, "a=1+1", "a", "1+1", 0},
    {"EV-02 blanks around", NULL, " a = 1 , b = 2 ", "b", "2", 0},
    {"EV-02 service.name", NULL, "service.name=shop", "service.name", "shop", 0},
    {"EV-02 no equals sign discards all", NULL, "a=1,b", "a", "", 1},
    {"EV-02 no key discards all", NULL, "a=1,=2", "a", "", 1},
    {"EV-02 a bad escape discards all", NULL, "a=1,b=%zz", "a", "", 1},
    {"EV-02 half an escape discards all", NULL, "a=1,b=%4", "a", "", 1},
    {"EV-02 a bad escape in a key discards all", NULL, "a=1,%g1=2", "a", "", 1},
    {"EV-02 text that is not UTF-8 discards all", NULL, "a=1,b=%ff", "a", "", 1},
    {"EV-02 a repeated key: one in the export", NULL, "a=1,a=2", "a", "2", 0},
    {"EV-02 the SDK's own key can be replaced", NULL, "telemetry.sdk.name=x", "telemetry.sdk.name",
     "x", 0},
    {"EV-03 the service's name", "cart", NULL, "service.name", "cart", 0},
    {"EV-03 beats the list", "cart", "service.name=shop,a=1", "service.name", "cart", 0},
    {"EV-03 the rest of the list stays", "cart", "service.name=shop,a=1", "a", "1", 0},
    {"EP-01 an empty name is unset", "", "service.name=shop", "service.name", "shop", 0},
    {"EP-01 an empty list is unset", "cart", "", "service.name", "cart", 0},
    {"RS-05 nothing set", NULL, NULL, "service.name", "unknown_service:test_environment", 0},
    {"SP-92", NULL, NULL, "telemetry.sdk.name", "hatchet_otel", 0},
    {"SP-92", NULL, NULL, "telemetry.sdk.language", "c", 0},
    {"SP-90", NULL, NULL, "telemetry.sdk.version", HOTEL_VERSION_STRING, 0},
};

static void test_resource(void) {
    size_t i;
    for (i = 0; i < COUNT(resource_rows); i++) {
        const resource_row *row = &resource_rows[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here);
        char value[128];
        hotel_span span;
        clear_environment();
        log_clear();
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        if (row->service != NULL) (void)setenv("OTEL_SERVICE_NAME", row->service, 1);
        if (row->attributes != NULL) (void)setenv("OTEL_RESOURCE_ATTRIBUTES", row->attributes, 1);
        is_int(hotel_init(&config), HOTEL_OK, "%s: the library starts", row->name);
        span = hotel_start("resource");
        hotel_end(&span);
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(1000);
        (void)otlp_attribute_text(otlp_resource(server_request_at(&here, before)->body), 1,
                                  row->key, value, sizeof value);
        is_str(value, row->want, "%s: %s", row->name, row->key);
        check_log(HOTEL_LOG_ID_BAD_VARIABLE, row->messages, row->name);
        if (row->messages > 0) {
            ok(log_has("OTEL_RESOURCE_ATTRIBUTES"), "%s: named in the message", row->name);
        }
    }
}

static void test_code_beats_environment(void) {
    hotel_config config = environment_config();
    hotel_attr resource[2];
    char url[64], value[64], target[64];
    hotel_destination to = destination(server_url(&here, "/code", url, sizeof url));
    unsigned before = server_num_requests(&here);
    hotel_span span;
    otlp_bytes got;
    resource[0] = hotel_str("a", "code");
    resource[1] = hotel_str("c", "code");
    clear_environment();
    log_clear();
    (void)setenv(OTLP "ENDPOINT", "http://127.0.0.1:1/wrong", 1);
    (void)setenv("OTEL_SERVICE_NAME", "environment", 1);
    (void)setenv("OTEL_RESOURCE_ATTRIBUTES", "a=environment,b=environment", 1);
    config.service_name = "code";
    config.resource = resource;
    config.num_resource = 2;
    config.destinations = &to;
    config.num_destinations = 1;
    is_int(hotel_init(&config), HOTEL_OK, "SP-95 code and environment together");
    span = hotel_start("code");
    hotel_end(&span);
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(1000);
    is_str(server_target(server_request_at(&here, before), target, sizeof target), "/code",
           "OU-09 the endpoint in code, verbatim");
    got = otlp_resource(server_request_at(&here, before)->body);
    is_str(otlp_attribute_text(got, 1, "service.name", value, sizeof value), "code",
           "SP-95 service.name of the code");
    is_str(otlp_attribute_text(got, 1, "a", value, sizeof value), "code", "SP-95 a of the code");
    is_str(otlp_attribute_text(got, 1, "b", value, sizeof value), "environment",
           "SP-95 b of the environment");
    is_str(otlp_attribute_text(got, 1, "c", value, sizeof value), "code", "SP-95 c of the code");
}

/* ---- What is noticed, and what is not ------------------------------------------------------- */

static void test_certificates(void) {
    static const char *const names[] = {OTLP "CERTIFICATE", TRACES "CERTIFICATE", OTLP "CLIENT_KEY",
                                        TRACES "CLIENT_CERTIFICATE"};
    size_t i;
    for (i = 0; i < COUNT(names); i++) {
        hotel_config config = environment_config();
        size_t before = server_num_spans(&here);
        hotel_span span;
        clear_environment();
        log_clear();
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        (void)setenv(names[i], "/nowhere/ca.pem", 1);
        is_int(hotel_init(&config), HOTEL_OK, "OX-04..06 %s does not stop clear text", names[i]);
        span = hotel_start("certificate");
        hotel_end(&span);
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(500);
        is_int(server_num_spans(&here) - before, 1, "OX-04..06 %s: delivered", names[i]);
    }
}

static void test_ignore_environment(void) {
    char url[64], value[64];
    hotel_destination to = destination(server_url(&here, "", url, sizeof url));
    hotel_config config = test_config(&to, 1);
    unsigned before = server_num_requests(&here);
    const server_request *r;
    hotel_span span;
    size_t i;
    clear_environment();
    log_clear();
    for (i = 0; i < COUNT(value_rows); i++) {
        if (!value_rows[i].good) (void)setenv(value_rows[i].variable, value_rows[i].value, 1);
    }
    (void)setenv(OTLP "ENDPOINT", "nonsense", 1);
    (void)setenv(OTLP "HEADERS", "x-a=1,broken", 1);
    (void)setenv("OTEL_RESOURCE_ATTRIBUTES", "a=1", 1);
    (void)setenv("OTEL_SERVICE_NAME", "environment", 1);
    (void)setenv("OTEL_SDK_DISABLED", "true", 1);
    (void)setenv("OTEL_TRACES_SAMPLER", "always_off", 1);
    (void)setenv("HATCHET_CLIENT_TOKEN", "s3cr3t", 1);
    config.service_name = NULL;
    is_int(hotel_init(&config), HOTEL_OK, "ignore_environment with a bad environment");
    is_int(log_count_all(), 0, "nothing is said of it") || (log_show(), 0);
    span = hotel_start("ignored");
    hotel_end(&span);
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(1000);
    r = server_request_at(&here, before);
    is_int(r->num_spans, 1, "the span is delivered");
    ok(server_header_in(r->head, "x-a", 0, value, sizeof value) == NULL, "without its headers");
    is_str(otlp_attribute_text(otlp_resource(r->body), 1, "a", value, sizeof value), "",
           "without its attributes");
    is_str(otlp_attribute_text(otlp_resource(r->body), 1, "service.name", value, sizeof value),
           "unknown_service:test_environment", "without its name");
    clear_environment();
}

/* The server keeps so many requests: each test begins with a new one. */
static void with_server(void (*test)(void)) {
    if (!server_start(&here, SERVER_IPV4, NULL, 0)) abort();
    test();
    server_stop(&here);
    is_int(here.num_bad, 0, "every request was right (%s)", here.problem);
    server_release(&here);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    with_server(test_urls);
    with_server(test_hosts);
    with_server(test_bad_endpoints);
    with_server(test_good_beside_bad);
    with_server(test_values);
    with_server(test_values_in_force);
    with_server(test_clamped);
    with_server(test_headers);
    with_server(test_header_secrets);
    with_server(test_header_precedence);
    with_server(test_resource);
    with_server(test_code_beats_environment);
    with_server(test_certificates);
    with_server(test_ignore_environment);
    return done_testing();
}
