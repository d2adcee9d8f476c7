/*
 * SPDX-License-Identifier: MIT
 *
 * test_grpc_settings.c - what code and the environment say about gRPC, and what a server then gets:
 * protocol, endpoint with and without a scheme, headers, time limit, compression. Rules OX-02,
 * OX-03, OX-07, OX-08, OX-10, OH-04, OH-07, OH-08, OG-01, OG-02, OT-09.
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

#include "grpc_server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OTLP "OTEL_EXPORTER_OTLP_"
#define TRACES "OTEL_EXPORTER_OTLP_TRACES_"

static grpc_server here; /* serves all tests of this file, in gRPC */
static server http;      /* and this one in HTTP/1.1 */

static void clear_environment(void) {
    static const char *const names[] = {
        OTLP "ENDPOINT",    TRACES "ENDPOINT",    OTLP "HEADERS",  TRACES "HEADERS",
        OTLP "TIMEOUT",     TRACES "TIMEOUT",     OTLP "PROTOCOL", TRACES "PROTOCOL",
        OTLP "COMPRESSION", TRACES "COMPRESSION", OTLP "INSECURE", TRACES "INSECURE",
    };
    size_t i;
    for (i = 0; i < COUNT(names); i++) (void)unsetenv(names[i]);
}

/* Text in which %u stands for the port. */
static void set_variable(const char *name, const char *text) {
    char value[512];
    const char *mark = text != NULL ? strstr(text, "%u") : NULL;
    if (text == NULL) return;
    if (mark != NULL) {
        (void)snprintf(value, sizeof value, "%.*s%u%s", (int)(mark - text), text,
                       (unsigned)here.http.port, mark + 2);
    }
    (void)setenv(name, mark != NULL ? value : text, 1);
}

/* Nothing but the log function set: everything comes from the environment. */
static hotel_config environment_config(void) {
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.log_fn = log_record;
    return config;
}

static hotel_result export_one(void) {
    hotel_span span = hotel_start("setting");
    hotel_end(&span);
    return hotel_flush(3000);
}

static const char *describe(void) {
    static char text[16384];
    (void)hotel_describe(text, sizeof text);
    return text;
}

/* ---- Protocol and endpoint ------------------------------------------------------------------- */

typedef struct env_row {
    const char *name;
    const char *protocol, *traces_protocol;
    const char *endpoint, *traces_endpoint;
    const char *insecure, *traces_insecure;
    bool is_https; /* refused, in a build without TLS */
} env_row;

static const env_row env_rows[] = {
    {"EX-05 OX-10 grpc", "grpc", NULL, "http://127.0.0.1:%u", NULL, NULL, NULL, false},
    {"OX-10 GRPC in capitals, with blanks", " GRPC ", NULL, "http://127.0.0.1:%u", NULL, NULL, NULL,
     false},
    {"OX-10 the traces form wins", "http/protobuf", "grpc", "http://127.0.0.1:%u", NULL, NULL, NULL,
     false},
    {"OX-10 an empty traces form falls through", "grpc", "", "http://127.0.0.1:%u", NULL, NULL,
     NULL, false},
    {"OX-10 an unknown traces form is ignored", "grpc", "pigeon", "http://127.0.0.1:%u", NULL, NULL,
     NULL, false},
    {"OX-02 a path is not used", "grpc", NULL, "http://127.0.0.1:%u/any/path/", NULL, NULL, NULL,
     false},
    {"OX-02 a path in the traces form is not used", "grpc", NULL, "http://127.0.0.1:1",
     "http://127.0.0.1:%u/v1/traces", NULL, NULL, false},
    {"OX-02 a name", "grpc", NULL, "http://localhost:%u", NULL, NULL, NULL, false},
    {"OX-02 the scheme beats INSECURE", "grpc", NULL, "http://127.0.0.1:%u", NULL, "false", NULL,
     false},
    {"OX-03 host:port with INSECURE", "grpc", NULL, "127.0.0.1:%u", NULL, "true", NULL, false},
    {"OX-03 a name with INSECURE", "grpc", NULL, "localhost:%u", NULL, "TRUE", NULL, false},
    {"OX-03 host:port with the traces form", "grpc", NULL, NULL, "127.0.0.1:%u", NULL, "true",
     false},
    {"OX-03 the traces form of INSECURE wins", "grpc", NULL, "127.0.0.1:%u", NULL, "false", "true",
     false},
    {"OX-03 host:port without INSECURE is https", "grpc", NULL, "127.0.0.1:%u", NULL, NULL, NULL,
     true},
    {"OX-03 host:port with INSECURE false", "grpc", NULL, "127.0.0.1:%u", NULL, "false", NULL,
     true},
    {"OX-03 the traces form says false", "grpc", NULL, "127.0.0.1:%u", NULL, "true", "false", true},
    {"OX-02 https beats INSECURE", "grpc", NULL, "https://127.0.0.1:%u", NULL, "true", NULL, true},
};

static void test_environment(void) {
    size_t i;
    for (i = 0; i < COUNT(env_rows); i++) {
        const env_row *row = &env_rows[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here.http);
        clear_environment();
        log_clear();
        set_variable(OTLP "PROTOCOL", row->protocol);
        set_variable(TRACES "PROTOCOL", row->traces_protocol);
        set_variable(OTLP "ENDPOINT", row->endpoint);
        set_variable(TRACES "ENDPOINT", row->traces_endpoint);
        set_variable(OTLP "INSECURE", row->insecure);
        set_variable(TRACES "INSECURE", row->traces_insecure);
        is_int(hotel_init(&config), row->is_https ? HOTEL_ERR_TLS : HOTEL_OK, "%s: init",
               row->name) ||
            (log_show(), 0);
        if (row->is_https) {
            ok(log_has("https needs"), "%s: TLS is what is missing", row->name) || (log_show(), 0);
        } else {
            is_int(export_one(), HOTEL_OK, "%s: delivered", row->name) || (log_show(), 0);
        }
        (void)hotel_shutdown(1000);
        is_int(server_num_requests(&here.http) - before, !row->is_https, "%s: requests", row->name);
    }
}

static void test_protocols(void) {
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    unsigned before = server_num_requests(&here.http);
    clear_environment();
    log_clear();
    config.ignore_environment = false;
    (void)setenv(OTLP "PROTOCOL", "grpc", 1);
    to = destination(server_url(&http, "", url, sizeof url));
    to.protocol = HOTEL_PROTOCOL_HTTP;
    (void)hotel_init(&config);
    is_int(export_one(), HOTEL_OK, "OX-10 code beats the variable: http/protobuf");
    (void)hotel_shutdown(1000);
    is_int(server_num_requests(&http), 1, "OX-10 ... the HTTP server has it");

    clear_environment();
    (void)setenv(OTLP "PROTOCOL", "grpc", 1);
    (void)setenv(TRACES "PROTOCOL", "http/protobuf", 1);
    to.protocol = HOTEL_PROTOCOL_DEFAULT;
    (void)hotel_init(&config);
    is_int(export_one(), HOTEL_OK, "OX-10 the traces form takes http/protobuf");
    (void)hotel_shutdown(1000);
    is_int(server_num_requests(&http), 2, "OX-10 ... the HTTP server has it");
    is_int(server_num_requests(&here.http), before, "OX-10 ... and the other one has not");
}

static void test_default_endpoint(void) {
    hotel_config config = environment_config();
    clear_environment();
    log_clear();
    (void)setenv(OTLP "PROTOCOL", "grpc", 1);
    is_int(hotel_init(&config), HOTEL_OK, "OX-02 no endpoint");
    ok(strstr(describe(), "localhost:4317") != NULL, "OX-02 is localhost:4317") ||
        (note("%s", describe()), 0);
    (void)hotel_shutdown(0);
}

/* By code: insecure, and the families of addresses. */
static void test_code(void) {
    static const server_family families[] = {SERVER_IPV4, SERVER_IPV6, SERVER_UNIX};
    size_t i;
    for (i = 0; i < COUNT(families); i++) {
        grpc_server g;
        char url[160], authority[128];
        hotel_destination to;
        hotel_config config = test_config(&to, 1);
        const server_request *r;
        clear_environment();
        log_clear();
        if (!grpc_start_at(&g, families[i], 0, NULL, 0)) {
            skip("this machine has no such address");
            continue;
        }
        to = destination(server_url(&g.http, "", url, sizeof url));
        to.protocol = HOTEL_PROTOCOL_GRPC;
        (void)hotel_init(&config);
        open_books();
        is_int(export_one(), HOTEL_OK, "OG-01 to %s", url) || (log_show(), 0);
        (void)hotel_shutdown(1000);
        server_stop(&g.http);
        r = server_request_at(&g.http, 0);
        (void)grpc_field(r, ":authority", authority, sizeof authority);
        if (families[i] != SERVER_UNIX) {
            is_str(authority, url + strlen("http://"), "OG-01 :authority is the address");
        } else {
            is_str(authority, "localhost", "OG-01 :authority of a socket");
        }
        is_int(g.http.num_bad, 0, "OG-01 the client keeps to the rules (%s)", g.http.problem);
        check_books(url);
        server_release(&g.http);
    }
}

static void test_insecure(void) {
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    (void)snprintf(url, sizeof url, "127.0.0.1:%u", (unsigned)here.http.port);
    to = destination(url);
    to.protocol = HOTEL_PROTOCOL_GRPC;
    to.insecure = true;
    clear_environment();
    is_int(hotel_init(&config), HOTEL_OK, "OX-03 host:port and insecure by code");
    is_int(export_one(), HOTEL_OK, "OX-03 ... delivered");
    (void)hotel_shutdown(1000);
    to.insecure = false;
    log_clear();
    is_int(hotel_init(&config), HOTEL_ERR_TLS, "OX-03 host:port alone is https");
    ok(log_has("https needs"), "OX-03 ... and TLS is what is missing");
    (void)hotel_shutdown(100);
}

/* ---- Headers --------------------------------------------------------------------------------- */

typedef struct header_row {
    const char *rule;
    const char *value; /* of OTEL_EXPORTER_OTLP_HEADERS */
    const char *name;  /* a header that the server looks at */
    const char *want;  /* "": it is not there */
    bool is_secret;    /* sent as never to be indexed */
    unsigned messages; /* about the variable */
} header_row;

static const header_row header_rows[] = {
    {"OH-04", "authorization=Bearer%20s3cret", "authorization", "Bearer s3cret", true, 0},
    {"OH-07 in lower case", "Authorization=Basic%20QQ==", "authorization", "Basic QQ==", true, 0},
    {"OH-07 in lower case", "X-Tenant-ID=One,X-B=2", "x-tenant-id", "One", true, 0},
    {"OH-07 in lower case", "X-A=1,X-Tenant-ID=Two", "x-tenant-id", "Two", true, 0},
    {"OH-08 the last one wins, whatever its case", "x-a=1,X-A=2", "x-a", "2", true, 0},
    {"OH-07 no grpc- header", "grpc-timeout=1S,x-a=1", "x-a", "1", true, 1},
    {"OH-07 no grpc- header", "GRPC-Encoding=gzip", "grpc-encoding", "", false, 1},
    {"OH-07 no grpc- header", "grpc-anything=x", "grpc-anything", "", false, 1},
    {"OH-07 no pseudo-header", ":path=/evil,x-a=1", "x-a", "1", true, 1},
    {"OH-07 no content-type", "Content-Type=text/html,x-a=1", "content-type", "application/grpc",
     false, 1},
    {"OH-07 no content-length", "content-length=5", "content-length", "", false, 1},
    {"OH-07 no te", "TE=gzip", "te", "trailers", false, 1},
    {"OH-07 no host", "Host=evil.example", "host", "", false, 1},
    {"OH-07 no connection", "Connection=close", "connection", "", false, 1},
    {"OH-07 no transfer-encoding", "Transfer-Encoding=chunked", "transfer-encoding", "", false, 1},
    {"OH-07 no line break", "x-a=1%0d%0aevil:%201", "x-a", "", false, 1},
    {"OH-07 no NUL", "x-a=1%00", "x-a", "", false, 1},
    {"OH-08 a user agent of one's own", "User-Agent=mine/1.0", "user-agent", "mine/1.0", true, 0},
    {"OH-03 an empty value", "x-a=", "x-a", "", true, 0},
};

static void test_headers(void) {
    size_t i;
    for (i = 0; i < COUNT(header_rows); i++) {
        const header_row *row = &header_rows[i];
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here.http);
        char value[256];
        const server_request *r;
        clear_environment();
        log_clear();
        set_variable(OTLP "PROTOCOL", "grpc");
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        (void)setenv(OTLP "HEADERS", row->value, 1);
        (void)hotel_init(&config);
        is_int(export_one(), HOTEL_OK, "%s \"%s\": delivered", row->rule, row->value);
        (void)hotel_shutdown(1000);
        r = server_request_at(&here.http, before);
        is_str(grpc_field(r, row->name, value, sizeof value), row->want, "%s \"%s\": %s", row->rule,
               row->value, row->name);
        is_int(grpc_is_secret(r->head, row->name), row->is_secret,
               "%s \"%s\": %s never to be indexed?", row->rule, row->value, row->name);
        ok(server_header_in(r->head, row->name, 1, value, sizeof value) == NULL,
           "%s \"%s\": %s at most once", row->rule, row->value, row->name);
        is_int(log_count(HOTEL_LOG_ID_BAD_VARIABLE), row->messages, "%s \"%s\": messages",
               row->rule, row->value) ||
            (log_show(), 0);
    }
}

/* Thirty headers, 3 KB in all. */
static void test_many_headers(void) {
    static char names[30][16], values[30][80];
    hotel_header headers[30];
    char url[64], value[128];
    hotel_destination to = destination(server_url(&here.http, "", url, sizeof url));
    hotel_config config = test_config(&to, 1);
    unsigned before = server_num_requests(&here.http);
    size_t i;
    memset(headers, 0, sizeof headers);
    for (i = 0; i < 30; i++) {
        (void)snprintf(names[i], sizeof names[i], "X-Header-%zu", i);
        (void)snprintf(values[i], sizeof values[i], "value %060zu", i);
        headers[i].name = names[i];
        headers[i].value = values[i];
    }
    to.protocol = HOTEL_PROTOCOL_GRPC;
    to.headers = headers;
    to.num_headers = 30;
    clear_environment();
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "OH-01 30 headers");
    is_int(export_one(), HOTEL_OK, "OH-01 ... delivered") || (log_show(), 0);
    (void)hotel_shutdown(1000);
    (void)grpc_field(server_request_at(&here.http, before), "x-header-29", value, sizeof value);
    is_str(value, values[29], "OH-01 ... with the last one");
}

/* ---- Time and compression -------------------------------------------------------------------- */

/* Milliseconds of a grpc-timeout; -1: there is none. */
static long long timeout_of(const server_request *r) {
    char value[32], *unit;
    long long amount;
    if (*grpc_field(r, "grpc-timeout", value, sizeof value) == '\0') return -1;
    amount = strtoll(value, &unit, 10);
    return *unit == 'H'   ? amount * 3600000
           : *unit == 'M' ? amount * 60000
           : *unit == 'S' ? amount * 1000
           : *unit == 'm' ? amount
           : *unit == 'u' ? amount / 1000
                          : amount / 1000000;
}

static void test_timeouts(void) {
    static const struct {
        const char *text;
        long long least, most;
    } rows[] = {
        {"2500", 2000, 2500}, {"10000", 9000, 10000}, {"29000", 28000, 29000}, {"0", 29000, 30000}};
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = environment_config();
        unsigned before = server_num_requests(&here.http);
        long long sent;
        clear_environment();
        log_clear();
        set_variable(OTLP "PROTOCOL", "grpc");
        set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
        (void)setenv(OTLP "TIMEOUT", rows[i].text, 1);
        (void)hotel_init(&config);
        is_int(export_one(), HOTEL_OK, "OX-09 TIMEOUT %s: delivered", rows[i].text);
        (void)hotel_shutdown(1000);
        sent = timeout_of(server_request_at(&here.http, before));
        ok(sent >= rows[i].least && sent <= rows[i].most,
           "OG-01 TIMEOUT %s: grpc-timeout is %lld ms", rows[i].text, sent);
    }
}

static void test_user_agent(void) {
    char value[128];
    (void)grpc_field(server_request_at(&here.http, 0), "user-agent", value, sizeof value);
    ok(strstr(value, "hatchet") != NULL || strstr(value, "Hatchet") != NULL,
       "OT-09 the user agent names the library: %s", value);
}

#if defined(TESTS_HAVE_ZLIB)
static void test_gzip(void) {
    static unsigned char noise[20000];
    uint64_t state = 88172645463325252u;
    hotel_config config = environment_config();
    unsigned before = server_num_requests(&here.http);
    const server_request *r;
    char value[32];
    hotel_span span;
    size_t i;
    clear_environment();
    log_clear();
    set_variable(OTLP "PROTOCOL", "grpc");
    set_variable(OTLP "ENDPOINT", "http://127.0.0.1:%u");
    set_variable(OTLP "COMPRESSION", "gzip");
    (void)hotel_init(&config);
    open_books();
    for (i = 0; i < 200; i++) {
        span = hotel_start("packed");
        hotel_set_str(&span, "http.url", "https://example.com/a/path?and=a&query=string");
        hotel_end(&span);
    }
    is_int(hotel_flush(4000), HOTEL_OK, "OX-08 200 spans, packed") || (log_show(), 0);
    r = server_request_at(&here.http, before);
    is_str(grpc_field(r, "grpc-encoding", value, sizeof value), "gzip", "OG-02 grpc-encoding");
    ok(r->gzip, "OG-02 the compressed flag is set");
    is_int(r->num_spans, 200, "OX-08 the server unpacks 200 spans");
    ok(r->wire_size * 2 < r->body.size, "OX-08 %zu bytes in %zu", r->body.size, r->wire_size);
    for (i = 0; i < sizeof noise; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        noise[i] = (unsigned char)(state >> 32);
    }
    span = hotel_start("noise");
    hotel_set(&span, hotel_bytes("noise", noise, sizeof noise));
    hotel_end(&span);
    is_int(hotel_flush(4000), HOTEL_OK, "OX-08 noise");
    r = server_request_at(&here.http, before + 1);
    ok(r->num_spans == 1 && !r->gzip, "OG-02 what does not shrink goes out without the flag");
    is_int(export_one(), HOTEL_OK, "OX-08 one small span");
    (void)hotel_shutdown(1000);
    check_books("packed");
}
#endif

/* What is given has to do for all destinations, without a setting for their requests. */
static void test_given_memory(void) {
    static char block[256 << 10] __attribute__((aligned(64)));
    hotel_destination to[4];
    hotel_config config = test_config(to, 4);
    char urls[2][64];
    size_t before = here.http.num_spans + http.num_spans, i;
    for (i = 0; i < 4; i++) {
        server *s = i % 2 == 0 ? &here.http : &http;
        to[i] = destination(server_url(s, "", urls[i % 2], sizeof urls[0]));
        to[i].protocol = i % 2 == 0 ? HOTEL_PROTOCOL_GRPC : HOTEL_PROTOCOL_HTTP;
    }
    config.memory = block;
    config.memory_bytes = sizeof block;
    (void)hotel_release();
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "four destinations in 256 KiB") || (log_show(), 0);
    open_books();
    for (i = 0; i < 3; i++) {
        hotel_span span = hotel_start("given memory");
        hotel_end(&span);
    }
    is_int(hotel_flush(5000), HOTEL_OK, "P5 ... and all of them deliver");
    (void)hotel_shutdown(1000);
    is_int(here.http.num_spans + http.num_spans - before, 12, "P5 ... every span");
    check_books("four destinations in 256 KiB");
    (void)hotel_release();
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!grpc_start(&here, NULL, 0) || !server_start(&http, SERVER_IPV4, NULL, 0)) abort();
    test_environment();
    test_user_agent();
    test_protocols();
    test_default_endpoint();
    test_code();
    test_insecure();
    test_headers();
    test_many_headers();
    test_timeouts();
#if defined(TESTS_HAVE_ZLIB)
    test_gzip();
#else
    skip("no zlib here: OX-08 OG-02 gzip");
#endif
    test_given_memory();
    server_stop(&here.http);
    server_stop(&http);
    is_int(here.http.num_bad, 0, "OG-01 every request is right (%s)", here.http.problem);
    server_release(&here.http);
    server_release(&http);
    return done_testing();
}
