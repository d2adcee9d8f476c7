/*
 * SPDX-License-Identifier: MIT
 *
 * test_tls.c - https: every setting and every complaint about one, who is trusted and who is not,
 * connections that break, hang, drip and go on; fork, exit, signals, descriptors and memory.
 * Rules OX-04, OX-05, OX-06, OT-10, BSP-26. Skipped where there is no OpenSSL.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#if defined(TESTS_HAVE_OPENSSL)
#define HATCHET_OTEL_OPENSSL
#endif
#include "hatchet_otel.h"

#if defined(TESTS_HAVE_OPENSSL)

#include <dirent.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "grpc_server.h"
#include "tls.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OTLP "OTEL_EXPORTER_OTLP_"
#define TRACES OTLP "TRACES_"

#if UNDER_TSAN
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}
#endif

static identity ca, other_ca, leaf, client;

typedef struct run {
    server s;
    front f;
    char url[160];
    hotel_destination to;
    hotel_config config;
} run;

static void begin(run *r, const identity *who, const server_step *steps, size_t count) {
    if (!server_start(&r->s, SERVER_IPV4, steps, count)) abort();
    front_start(&r->f, who, r->s.port);
    r->to = destination(front_url(&r->f, "localhost", r->url, sizeof r->url));
    r->to.tls.ca_pem = ca.certificate_pem;
    r->config = test_config(&r->to, 1);
    log_clear();
}

static void start(run *r, const char *name) {
    is_int(hotel_init(&r->config), HOTEL_OK, "%s: init", name) || (log_show(), 0);
    open_books();
}

static void one_span(const char *name) {
    hotel_span span = hotel_start(name);
    hotel_set_int(&span, "n", 1);
    hotel_end(&span);
}

static void close_run(run *r) {
    front_stop(&r->f);
    server_stop(&r->s);
    server_release(&r->s);
}

/* Everything came, once. */
static void end(run *r, const char *name) {
    (void)hotel_shutdown(2000);
    front_stop(&r->f);
    server_stop(&r->s);
    is_int(r->s.num_bad, 0, "%s: every request is right (%s)", name, r->s.problem);
    is_int(r->s.num_spans, since_opened(0).offered, "%s: every span came", name);
    is_int(server_num_duplicates(&r->s), 0, "%s: once", name);
    check_books(name);
    server_release(&r->s);
}

static void deliver(run *r, const char *name) {
    start(r, name);
    one_span("delivered");
    is_int(hotel_flush(5000), HOTEL_OK, "%s: delivered", name) || (log_show(), 0);
    is_int(log_count_all(), 0, "%s: without a complaint", name) || (log_show(), 0);
}

static void set(const char *name, const char *value) {
    if (value != NULL) (void)setenv(name, value, 1);
    else (void)unsetenv(name);
}

static void clear_environment(void) {
    static const char *const names[] = {"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY",
                                        "ENDPOINT"};
    char name[80];
    size_t i;
    for (i = 0; i < COUNT(names); i++) {
        (void)snprintf(name, sizeof name, OTLP "%s", names[i]);
        set(name, NULL);
        (void)snprintf(name, sizeof name, TRACES "%s", names[i]);
        set(name, NULL);
    }
}

/* ---- Settings that are good ------------------------------------------------------------------ */

static void test_plain_case(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    deliver(&r, "OT-10 a CA as text");
    is_str(r.f.sni, "localhost", "OT-10 the name is sent (SNI)");
    is_str(r.f.spoken, "http/1.1", "OT-10 HTTP/1.1 is what is spoken (ALPN)");
    is_str(r.f.version, "TLSv1.3", "OT-10 the newest version");
    is_int(r.f.certificates, 0, "OX-06 no client certificate");
    one_span("again");
    is_int(hotel_flush(5000), HOTEL_OK, "OT-05 another request");
    is_int(since_opened(0).connections, 1, "OT-05 over the same connection");
    end(&r, "a CA as text");
    is_int(r.f.goodbyes, 1, "OT-10 the end of the connection is announced");
}

static void test_addresses(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    r.to.endpoint = front_url(&r.f, "127.0.0.1", r.url, sizeof r.url);
    deliver(&r, "OT-10 an address in the certificate");
    is_str(r.f.sni, "", "OT-10 an address is not sent as a name");
    end(&r, "an address");
    begin(&r, &leaf, NULL, 0);
    r.to.endpoint = front_url(&r.f, "LOCALHOST", r.url, sizeof r.url);
    deliver(&r, "OT-10 a name in other letters");
    end(&r, "a name in other letters");
}

static void test_server_name(void) {
    identity named = identity_make("named", "DNS:*.example.com", &ca, -60, 3600);
    run r;
    begin(&r, &named, NULL, 0);
    r.to.tls.server_name = "collector.example.com";
    deliver(&r, "OT-10 tls.server_name");
    is_str(r.f.sni, "collector.example.com", "OT-10 the other name is sent");
    end(&r, "tls.server_name");
    begin(&r, &named, NULL, 0);
    r.to.tls.server_name = "collector.example.com.";
    deliver(&r, "OT-10 tls.server_name with a dot at its end");
    is_str(r.f.sni, "collector.example.com", "OT-10 the dot is not sent");
    end(&r, "tls.server_name with a dot");
    identity_free(&named);
    begin(&r, &leaf, NULL, 0);
    r.to.tls.server_name = "127.0.0.1";
    deliver(&r, "OT-10 tls.server_name is an address");
    is_str(r.f.sni, "", "OT-10 which is not sent");
    end(&r, "tls.server_name is an address");
}

static void test_versions(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    (void)SSL_CTX_set_max_proto_version(r.f.context, TLS1_2_VERSION);
    deliver(&r, "OT-10 TLS 1.2");
    is_str(r.f.version, "TLSv1.2", "OT-10 TLS 1.2 indeed");
    end(&r, "TLS 1.2");
    begin(&r, &leaf, NULL, 0);
    r.to.tls.min_version = HOTEL_TLS_1_3;
    (void)SSL_CTX_set_min_proto_version(r.f.context, TLS1_3_VERSION);
    deliver(&r, "OT-10 TLS 1.3 on both sides");
    end(&r, "TLS 1.3");
}

/* A server that knows nothing of ALPN, and one with other certificates between it and the CA. */
static void test_servers(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    r.f.alpn = NULL;
    deliver(&r, "OT-10 HTTP needs no answer to ALPN");
    end(&r, "no ALPN");
    /* The certificate itself is trusted, which no CA has signed. */
    {
        identity own = identity_make("own", "DNS:localhost", NULL, -60, 3600);
        begin(&r, &own, NULL, 0);
        r.to.tls.ca_pem = own.certificate_pem;
        deliver(&r, "OX-04 the server's own certificate is given to trust");
        end(&r, "its own certificate");
        identity_free(&own);
    }
}

typedef struct source_row {
    const char *name;
    bool code_pem, code_file, traces, general;
    bool wrong; /* the weaker ones name a file that is not there */
} source_row;

/* The same for the CA, and for certificate and key of the client. */
static void test_sources(void) {
    static const source_row rows[] = {
        {"tls.*_pem", true, false, false, false, false},
        {"tls.*_file", false, true, false, false, false},
        {"tls.*_pem beats tls.*_file", true, true, false, false, true},
        {TRACES "*", false, false, true, false, false},
        {OTLP "*", false, false, false, true, false},
        {TRACES "* beats " OTLP "*", false, false, true, true, true},
        {"tls.*_file beats the environment", false, true, true, true, true},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        const source_row *row = &rows[i];
        const char *wrong = "/nonexistent/file.pem";
        bool file_wrong = row->wrong && row->code_pem;
        bool traces_wrong = row->wrong && (row->code_pem || row->code_file);
        bool general_wrong = row->wrong;
        hotel_tls *t;
        run r;
        begin(&r, &leaf, NULL, 0);
        front_demand(&r.f, &ca);
        t = &r.to.tls;
        r.config.ignore_environment = false;
        t->ca_pem = row->code_pem ? ca.certificate_pem : NULL;
        t->certificate_pem = row->code_pem ? client.certificate_pem : NULL;
        t->key_pem = row->code_pem ? client.key_pem : NULL;
        if (row->code_file) {
            t->ca_file = file_wrong ? wrong : ca.certificate_file;
            t->certificate_file = file_wrong ? wrong : client.certificate_file;
            t->key_file = file_wrong ? wrong : client.key_file;
        }
        if (row->traces) {
            set(TRACES "CERTIFICATE", traces_wrong ? wrong : ca.certificate_file);
            set(TRACES "CLIENT_CERTIFICATE", traces_wrong ? wrong : client.certificate_file);
            set(TRACES "CLIENT_KEY", traces_wrong ? wrong : client.key_file);
        }
        if (row->general) {
            set(OTLP "CERTIFICATE", general_wrong ? wrong : ca.certificate_file);
            set(OTLP "CLIENT_CERTIFICATE", general_wrong ? wrong : client.certificate_file);
            set(OTLP "CLIENT_KEY", general_wrong ? wrong : client.key_file);
        }
        deliver(&r, row->name);
        is_int(r.f.certificates, 1, "OX-04 OX-05 OX-06 %s: the client shows its certificate",
               row->name);
        is_str(r.f.subject, "/CN=client", "OX-06 %s: the right one", row->name);
        end(&r, row->name);
        clear_environment();
    }
}

/* A chain of the client: the server knows only the CA at its end. */
static void test_client_chain(void) {
    identity middle = identity_make("middle", NULL, NULL, -60, 3600), behind;
    char chain[8192];
    run r;
    /* Signed by the CA that the server knows, and a CA itself. */
    X509_free(middle.certificate);
    middle.certificate = X509_dup(ca.certificate);
    (void)X509_set_pubkey(middle.certificate, middle.key);
    {
        X509_NAME *name = X509_NAME_new();
        (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)"middle", -1, -1, 0);
        (void)X509_set_subject_name(middle.certificate, name);
        X509_NAME_free(name);
    }
    (void)ASN1_INTEGER_set(X509_get_serialNumber(middle.certificate), 7777);
    if (X509_sign(middle.certificate, ca.key, EVP_sha256()) == 0) abort();
    {
        BIO *text = BIO_new(BIO_s_mem());
        (void)PEM_write_bio_X509(text, middle.certificate);
        identity_text(text, middle.certificate_pem, sizeof middle.certificate_pem);
    }
    behind = identity_make("behind", "DNS:client", &middle, -60, 3600);
    (void)snprintf(chain, sizeof chain, "%s%s", behind.certificate_pem, middle.certificate_pem);
    begin(&r, &leaf, NULL, 0);
    front_demand(&r.f, &ca);
    r.to.tls.certificate_pem = chain;
    r.to.tls.key_pem = behind.key_pem;
    deliver(&r, "OX-06 a chain of two certificates");
    is_str(r.f.subject, "/CN=behind", "OX-06 the first is the client's");
    end(&r, "a chain of two certificates");
    identity_free(&behind);
    identity_free(&middle);
}

/* ---- Settings that are bad ------------------------------------------------------------------- */

typedef struct bad_row {
    const char *name;
    hotel_tls tls;
    const char *variable; /* NULL: none */
    const char *value;
    const char *said[3];
} bad_row;

static void check_bad(const bad_row *row) {
    hotel_destination to[2];
    hotel_config config = test_config(to, 2);
    server s;
    char url[64];
    size_t i;
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    log_clear();
    to[0] = destination("https://127.0.0.1:9");
    to[0].tls = row->tls;
    to[1] = destination(server_url(&s, "", url, sizeof url));
    if (row->variable != NULL) {
        config.ignore_environment = false;
        set(row->variable, row->value);
    }
    is_int(hotel_init(&config), HOTEL_ERR_TLS, "%s: init", row->name);
    open_books();
    check_log(HOTEL_LOG_ID_TLS, 1, row->name);
    for (i = 0; i < COUNT(row->said) && row->said[i] != NULL; i++)
        ok(log_has(row->said[i]), "%s: says \"%s\"", row->name, row->said[i]) || (log_show(), 0);
    ok(log_has("not started"), "%s: says what that means", row->name);
    one_span("beside");
    is_int(hotel_flush(3000), HOTEL_OK, "%s: the other destination works", row->name);
    (void)hotel_shutdown(1000);
    is_int(server_num_spans(&s), 1, "%s: ... indeed", row->name);
    server_stop(&s);
    server_release(&s);
    clear_environment();
}

static void test_bad_settings(void) {
    char garbage[128], empty[128], damaged[128], locked[128], large[128], words[4096], *middle;
    bad_row rows[32];
    bad_row row;
    size_t count = 0, i;
    memset(rows, 0, sizeof rows);
    (void)identity_write("garbage.pem", "this is no PEM\n", 15, garbage, sizeof garbage);
    (void)identity_write("empty.pem", "", 0, empty, sizeof empty);
    (void)snprintf(words, sizeof words, "%s", ca.certificate_pem);
    middle = words + strlen(words) / 2;
    memcpy(middle, "!!!!!!!!", 8);
    (void)identity_write("damaged.pem", words, strlen(words), damaged, sizeof damaged);
    {
        BIO *text = BIO_new(BIO_s_mem());
        char pass[] = "secret";
        (void)PEM_write_bio_PKCS8PrivateKey(text, client.key, EVP_aes_128_cbc(), pass, 6, NULL,
                                            NULL);
        identity_text(text, words, sizeof words);
    }
    (void)identity_write("locked.pem", words, strlen(words), locked, sizeof locked);
    {
        size_t size = (size_t)5 << 20;
        char *zeros = (char *)calloc(1, size);
        if (zeros == NULL) abort();
        (void)identity_write("large.pem", zeros, size, large, sizeof large);
        free(zeros);
    }
#define ROW(what, set_it, variable_name, variable_value, one, two) \
    memset(&row, 0, sizeof row);                                    \
    row.name = what;                                                \
    set_it;                                                         \
    row.variable = variable_name;                                   \
    row.value = variable_value;                                     \
    row.said[0] = one;                                              \
    row.said[1] = two;                                              \
    rows[count++] = row
    ROW("OX-04 no file", row.tls.ca_file = "/nonexistent/ca.pem", NULL, NULL,
        "tls.ca_file \"/nonexistent/ca.pem\"", "there is no such file");
    ROW("OX-04 no file, by variable", (void)0, TRACES "CERTIFICATE", "/nonexistent/ca.pem",
        TRACES "CERTIFICATE \"/nonexistent/ca.pem\"", "there is no such file");
    ROW("OX-04 no file, by general variable", (void)0, OTLP "CERTIFICATE", "/nonexistent/ca.pem",
        OTLP "CERTIFICATE \"/nonexistent/ca.pem\"", "there is no such file");
    ROW("OX-04 a folder", row.tls.ca_file = identity_folder, NULL, NULL, identity_folder,
        "it is a directory");
    ROW("OX-04 garbage", row.tls.ca_file = garbage, NULL, NULL, garbage,
        "there is no certificate in it");
    ROW("OX-04 an empty file", row.tls.ca_file = empty, NULL, NULL, empty,
        "there is no certificate in it");
    ROW("OX-04 a damaged certificate", row.tls.ca_file = damaged, NULL, NULL, damaged,
        "a certificate in it is damaged");
    ROW("OX-04 a large file", row.tls.ca_file = large, NULL, NULL, large, "larger than 4 MiB");
    ROW("OX-04 a file without end", row.tls.ca_file = "/dev/zero", NULL, NULL, "/dev/zero",
        "larger than 4 MiB");
    ROW("OX-04 a key instead", row.tls.ca_pem = client.key_pem, NULL, NULL, "tls.ca_pem: ",
        "there is no certificate in it");
    ROW("OX-04 garbage as text", row.tls.ca_pem = "garbage", NULL, NULL, "tls.ca_pem: ",
        "there is no certificate in it");
    ROW("OX-06 a certificate without key", row.tls.certificate_pem = client.certificate_pem, NULL,
        NULL, "tls.certificate_pem: ", "it needs a key");
    ROW("OX-06 a certificate without key, by variable", (void)0, OTLP "CLIENT_CERTIFICATE",
        client.certificate_file, OTLP "CLIENT_CERTIFICATE", "it needs a key");
    ROW("OX-05 a key without certificate", row.tls.key_file = client.key_file, NULL, NULL,
        "tls.key_file", "it needs a certificate");
    ROW("OX-05 a key without certificate, by variable", (void)0, TRACES "CLIENT_KEY",
        client.key_file, TRACES "CLIENT_KEY", "it needs a certificate");
    ROW("OX-05 another key",
        (row.tls.certificate_pem = client.certificate_pem, row.tls.key_pem = ca.key_pem), NULL,
        NULL, "tls.key_pem: ", "does not belong to the certificate");
    ROW("OX-05 a key with a passphrase",
        (row.tls.certificate_pem = client.certificate_pem, row.tls.key_file = locked), NULL, NULL,
        locked, "has a passphrase");
    ROW("OX-05 no key in it",
        (row.tls.certificate_pem = client.certificate_pem, row.tls.key_file = garbage), NULL, NULL,
        garbage, "there is no private key in it");
    ROW("OX-05 a certificate instead",
        (row.tls.certificate_pem = client.certificate_pem,
         row.tls.key_pem = client.certificate_pem),
        NULL, NULL, "tls.key_pem: ", "there is no private key in it");
    ROW("OX-06 no certificate in it",
        (row.tls.certificate_file = garbage, row.tls.key_pem = client.key_pem), NULL, NULL, garbage,
        "there is no certificate in it");
    ROW("OT-10 a server name with a blank", row.tls.server_name = "a b", NULL, NULL,
        "tls.server_name", "neither a host name nor an address");
#undef ROW
    for (i = 0; i < count; i++) check_bad(&rows[i]);
    ok(!log_has("PRIVATE KEY"), "OX-05 no text of a key in the log");
}

/* Settings that mean nothing here, and one that is out of range. */
static void test_odd_settings(void) {
    hotel_destination to;
    hotel_config config;
    server s;
    char url[64];
    run r;
    if (!server_start(&s, SERVER_IPV4, NULL, 0)) abort();
    to = destination(server_url(&s, "", url, sizeof url));
    to.tls.ca_file = "/nonexistent/ca.pem";
    config = test_config(&to, 1);
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "OX-04 a CA for http");
    check_log(HOTEL_LOG_ID_TLS, 1, "OX-04 a CA for http");
    ok(log_has("the endpoint is not https"), "OX-04 a CA for http: the log says why");
    (void)hotel_shutdown(1000);
    server_stop(&s);
    server_release(&s);
    begin(&r, &leaf, NULL, 0);
    r.to.tls.min_version = (hotel_tls_version)9;
    is_int(hotel_init(&r.config), HOTEL_ERR_ARGUMENT, "OT-10 version 9");
    open_books();
    ok(log_has("tls.min_version"), "OT-10 version 9 is named");
    one_span("1.2 instead");
    is_int(hotel_flush(3000), HOTEL_OK, "OT-10 version 9: 1.2 does");
    end(&r, "version 9");
}

/* An application that brings TLS itself. */
static unsigned num_opened;

static void *own_open(const char *host, uint16_t port, void *user_data) {
    (void)host, (void)port, (void)user_data;
    num_opened++;
    return NULL;
}
static int own_connect(void *connection) { return connection == NULL ? HOTEL_IO_REFUSED : 0; }
static ptrdiff_t own_send(void *connection, const void *bytes, size_t size) {
    (void)connection, (void)bytes, (void)size;
    return HOTEL_IO_REFUSED;
}
static ptrdiff_t own_receive(void *connection, void *bytes, size_t size) {
    (void)connection, (void)bytes, (void)size;
    return HOTEL_IO_REFUSED;
}
static int own_descriptor(void *connection) { return connection == NULL ? -1 : 0; }
static void own_close(void *connection, bool inherited) { (void)connection, (void)inherited; }

static void test_own_transport(void) {
    hotel_transport own = {own_open, own_connect, own_send, own_receive, own_descriptor, own_close,
                           NULL};
    hotel_destination to = destination("https://collector.example");
    hotel_config config = test_config(&to, 1);
    to.transport = &own;
    to.timeout_ms = 200;
    to.tls.ca_file = "/nonexistent/ca.pem";
    log_clear();
    is_int(hotel_init(&config), HOTEL_OK, "OX-01 https over a transport of the application's");
    ok(log_has("the transport is the application's"), "OX-04 ... where the CA means nothing");
    one_span("over it");
    (void)!hotel_flush(1000);
    (void)hotel_shutdown(1000);
    ok(num_opened > 0, "OX-01 ... which is asked");
}

/* ---- Whom not to trust, and other failures --------------------------------------------------- */

typedef struct refusal {
    const char *name;
    const identity *who;
    const char *said[3];
    void (*prepare)(run *r);
} refusal;

static void by_address(run *r) {
    r->to.endpoint = front_url(&r->f, "127.0.0.1", r->url, sizeof r->url);
}
static void by_system(run *r) { r->to.tls.ca_pem = NULL; }
static void by_expired_ca(run *r);
static void demands(run *r) { front_demand(&r->f, &ca); }
static void demands_1_2(run *r) {
    front_demand(&r->f, &ca);
    (void)SSL_CTX_set_max_proto_version(r->f.context, TLS1_2_VERSION);
}
static void strange_client(run *r) {
    front_demand(&r->f, &other_ca);
    r->to.tls.certificate_pem = client.certificate_pem;
    r->to.tls.key_pem = client.key_pem;
}
static void strange_client_1_2(run *r) {
    strange_client(r);
    (void)SSL_CTX_set_max_proto_version(r->f.context, TLS1_2_VERSION);
}
static void only_1_3(run *r) {
    r->to.tls.min_version = HOTEL_TLS_1_3;
    (void)SSL_CTX_set_max_proto_version(r->f.context, TLS1_2_VERSION);
}
static void too_old(run *r) { (void)SSL_CTX_set_max_proto_version(r->f.context, TLS1_1_VERSION); }
static void only_h2(run *r) { r->f.alpn = "\x02h2", r->f.insists = true; }
static void grpc_no_alpn(run *r) { r->to.protocol = HOTEL_PROTOCOL_GRPC, r->f.alpn = NULL; }
static void grpc_http(run *r) {
    r->to.protocol = HOTEL_PROTOCOL_GRPC, r->f.alpn = "\x08http/1.1", r->f.insists = true;
}
static void no_cipher(run *r) {
    (void)SSL_CTX_set_max_proto_version(r->f.context, TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(r->f.context, "AES128-SHA256"); /* RSA, which nobody has */
}
static void clear_text(run *r) { r->f.manner = FRONT_PLAIN; }
static void shuts(run *r) { r->f.manner = FRONT_SHUTS; }
static void silent(run *r) { r->f.manner = FRONT_SILENT; }
static void drips(run *r) { r->f.drip_ms = 20; }
static void clear_port(run *r) { r->f.manner = FRONT_PASSES; }

static identity expired_ca;
static void by_expired_ca(run *r) { r->to.tls.ca_pem = expired_ca.certificate_pem; }

static void check_refusal(const refusal *row) {
    long long began;
    size_t i;
    run r;
    begin(&r, row->who != NULL ? row->who : &leaf, NULL, 0);
    r.to.timeout_ms = 450; /* less than the wait for a second attempt */
    if (row->prepare != NULL) row->prepare(&r);
    start(&r, row->name);
    began = server_now_ms();
    one_span("refused");
    ok(hotel_flush(4000) != HOTEL_ERR_TIMEOUT, "%s: ends", row->name);
    ok(server_now_ms() - began < 2000, "%s: in time (%lld ms)", row->name,
       server_now_ms() - began);
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 1, "%s: fails", row->name);
    is_int(server_num_spans(&r.s), 0, "%s: nothing is given away", row->name);
    check_log(HOTEL_LOG_ID_EXPORT_FAILED, 1, row->name);
    for (i = 0; i < COUNT(row->said) && row->said[i] != NULL; i++)
        ok(log_has(row->said[i]), "%s: says \"%s\"", row->name, row->said[i]) || (log_show(), 0);
    check_books(row->name);
    close_run(&r);
}

static void test_refusals(void) {
    identity expired = identity_make("server", "DNS:localhost", &ca, -7200, -3600);
    identity early = identity_make("server", "DNS:localhost", &ca, 3600, 7200);
    identity elsewhere =
        identity_make("localhost", "DNS:a.example,DNS:b.example,IP:10.0.0.1", &ca, -60, 3600);
    identity many = identity_make(
        "many", "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f", &ca, -60, 3600);
    identity nameless = identity_make("localhost", NULL, &ca, -60, 3600);
    identity own = identity_make("own", "DNS:localhost", NULL, -60, 3600);
    identity strange = identity_make("strange", "DNS:localhost,IP:127.0.0.1", &other_ca, -60, 3600);
    identity partial = identity_make("partial", "DNS:*alhost", &ca, -60, 3600);
    identity late;
    expired_ca = identity_make("Expired CA", NULL, NULL, -7200, -3600);
    late = identity_make("late", "DNS:localhost", &expired_ca, -60, 3600);
    {
        const refusal rows[] = {
            {"OT-10 an expired certificate", &expired,
             {"the server's certificate expired on 20", " UTC"}, NULL},
            {"OT-10 not yet valid", &early, {"the server's certificate is not valid before 20"},
             NULL},
            {"OT-10 an expired CA", &late,
             {"a certificate in the server's chain expired on 20"}, by_expired_ca},
            {"OT-10 another host", &elsewhere,
             {"the server's certificate is not for \"localhost\" but for \"a.example\", "
              "\"b.example\", 10.0.0.1",
              "tls.server_name"}, NULL},
            {"OT-10 another address", &elsewhere,
             {"is not for \"127.0.0.1\" but for \"a.example\""}, by_address},
            {"OT-10 many names", &many, {"\"a\", \"b\", \"c\", \"d\" and others"}, NULL},
            {"OT-10 only a common name", &nameless, {"no name at all (a common name"}, NULL},
            {"OT-10 a partial wildcard", &partial, {"\"*alhost\""}, NULL},
            {"OX-04 self-signed", &own,
             {"self-signed, and not among those that " OTLP "CERTIFICATE (tls.ca_file) trusts"},
             NULL},
            {"OX-04 self-signed, with the system's roots", &own,
             {"self-signed, unknown to this system: give the CA's certificate in " OTLP
              "CERTIFICATE (tls.ca_file)"}, by_system},
            {"OX-04 another CA", &strange,
             {"issued by \"/CN=Other CA\", and not among those that " OTLP "CERTIFICATE"}, NULL},
            {"OX-04 another CA, with the system's roots", &strange,
             {"issued by \"/CN=Other CA\", unknown to this system: give"}, by_system},
            {"OX-06 no client certificate", NULL,
             {"the server wants a client certificate: give one in " OTLP "CLIENT_CERTIFICATE "
              "(tls.certificate_file) and its key in " OTLP "CLIENT_KEY (tls.key_file)"}, demands},
            {"OX-06 no client certificate, TLS 1.2", NULL,
             {"the server wants a client certificate: give one in " OTLP "CLIENT_CERTIFICATE"},
             demands_1_2},
            {"OX-06 a strange client", NULL, {"does not accept the client certificate: "},
             strange_client},
            {"OX-06 a strange client, TLS 1.2", NULL, {"does not accept the client certificate: "},
             strange_client_1_2},
            {"OT-10 TLS 1.2 where 1.3 is wanted", NULL,
             {"speaks no version of TLS that is allowed here, 1.3 (tls.min_version)"}, only_1_3},
            {"OT-10 TLS 1.1", NULL,
             {"speaks no version of TLS that is allowed here, 1.2 or later"}, too_old},
            {"OT-10 only HTTP/2", NULL, {"does not offer HTTP/1.1 there (ALPN): a gRPC port?"},
             only_h2},
            {"OT-10 gRPC without ALPN", NULL,
             {"does not offer HTTP/2 there (ALPN), which gRPC needs"}, grpc_no_alpn},
            {"OT-10 gRPC, only HTTP/1.1", NULL,
             {"does not offer HTTP/2 there (ALPN), which gRPC needs"}, grpc_http},
            {"OT-10 no common cipher", NULL, {"the server broke TLS off: handshake failure"},
             no_cipher},
            {"OT-10 clear text on a TLS port", NULL,
             {"the server does not speak TLS there: it answers in clear text"}, clear_text},
            {"OT-10 closes at once", NULL, {"closed without a word of TLS: is this its TLS port?"},
             shuts},
            {"OT-10 says nothing", NULL, {"the TLS handshake did not end in time"}, silent},
            {"OT-10 a handshake byte by byte, too slow", NULL,
             {"the TLS handshake did not end in time"}, drips},
            {"OT-10 an HTTP server behind https", NULL, {"the TLS handshake did not end in time"},
             clear_port},
        };
        size_t i;
        for (i = 0; i < COUNT(rows); i++) check_refusal(&rows[i]);
    }
    identity_free(&expired), identity_free(&early), identity_free(&elsewhere);
    identity_free(&many), identity_free(&nameless), identity_free(&own), identity_free(&strange);
    identity_free(&partial), identity_free(&late), identity_free(&expired_ca);
}

/* http to a port that speaks TLS. */
static void test_reverse(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    (void)snprintf(r.url, sizeof r.url, "http://localhost:%u", (unsigned)r.f.port);
    r.to.timeout_ms = 450;
    r.to.tls.ca_pem = NULL;
    start(&r, "http to a TLS port");
    one_span("refused");
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 1, "OX-01 http to a TLS port fails");
    close_run(&r);
}

/* A refused certificate is a matter of the attempt: it may be right the next time. */
static void test_retry(void) {
    identity own = identity_make("own", "DNS:localhost", NULL, -60, 3600);
    run r;
    begin(&r, &own, NULL, 0);
    r.to.timeout_ms = 8000;
    start(&r, "a new certificate");
    one_span("in the end");
    (void)!hotel_flush(300);
    check_log(HOTEL_LOG_ID_EXPORT_RETRY, 1, "OR-03 tried again");
    (void)SSL_CTX_use_certificate(r.f.context, leaf.certificate);
    (void)SSL_CTX_use_PrivateKey(r.f.context, leaf.key);
    is_int(hotel_flush(6000), HOTEL_OK, "OR-03 delivered when the server's certificate is renewed");
    end(&r, "a new certificate");
    identity_free(&own);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void spans(unsigned count, size_t size) {
    static char filler[4096];
    unsigned i;
    memset(filler, 'x', sizeof filler);
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("many");
        hotel_set(&span, hotel_strn("filler", filler, size));
        hotel_end(&span);
    }
}

static void test_large(void) {
    run r;
    (void)hotel_release();
    begin(&r, &leaf, NULL, 0);
    r.config.arena_bytes = (size_t)16 << 20;
    r.to.max_inflight = 4;
    r.to.max_queue_size = 8192;
    r.to.timeout_ms = 20000;
    start(&r, "large requests");
    spans(2000, 1500);
    is_int(hotel_flush(20000), HOTEL_OK, "EX-11 3 MB over four connections");
    ok(since_opened(0).connections <= 4, "EX-11 at most four");
    end(&r, "large requests");
}

static void test_drip(void) {
    run r;
    begin(&r, &leaf, NULL, 0);
    r.f.drip_ms = 1;
    r.to.timeout_ms = 20000;
    deliver(&r, "OT-10 a handshake byte by byte");
    end(&r, "a handshake byte by byte");
}

/* The server's side of the handshake ends at every place. */
static void test_cut(void) {
    int reset;
    for (reset = 0; reset < 2; reset++) {
        unsigned failed = 0;
        size_t cut;
        run r;
        begin(&r, &leaf, NULL, 0);
        r.to.timeout_ms = 450;
        r.f.reset = reset != 0;
        start(&r, "cut");
        for (cut = 1; cut < 700; cut += cut < 12 ? 1 : 61) {
            __atomic_store_n(&r.f.cut, cut, __ATOMIC_SEQ_CST);
            one_span("cut");
            (void)!hotel_flush(3000);
            failed++;
            if (since_opened(0).failed != failed) break;
        }
        is_int(since_opened(0).failed, failed, "OT-10 a handshake that ends early, %u times (%s)",
               failed, reset ? "RST" : "FIN");
        __atomic_store_n(&r.f.cut, (size_t)0, __ATOMIC_SEQ_CST);
        one_span("whole");
        is_int(hotel_flush(5000), HOTEL_OK, "OT-10 and a whole one");
        (void)hotel_shutdown(1000);
        check_books("cut");
        close_run(&r);
    }
}

static void test_resumption(void) {
    static const server_step closing[] = {{.reply = SERVER_OK, .after = SERVER_CLOSE}};
    int version;
    for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        const char *name = version == TLS1_2_VERSION ? "OT-10 TLS 1.2" : "OT-10 TLS 1.3";
        unsigned i;
        run r;
        begin(&r, &leaf, closing, 1);
        (void)SSL_CTX_set_max_proto_version(r.f.context, version);
        start(&r, name);
        for (i = 0; i < 4; i++) {
            one_span("resumed");
            is_int(hotel_flush(5000), HOTEL_OK, "%s: delivered", name);
        }
        is_int(r.f.handshakes, 4, "%s: four connections", name);
        is_int(r.f.resumed, 3, "%s: three go on from the first", name);
        end(&r, name);
        begin(&r, &leaf, closing, 1);
        (void)SSL_CTX_set_max_proto_version(r.f.context, version);
        r.f.rude = r.f.reset = true;
        start(&r, name);
        one_span("broken off");
        (void)!hotel_flush(5000);
        one_span("resumed");
        (void)!hotel_flush(5000);
        ok(r.f.resumed > 0, "%s: also where the server breaks off", name);
        (void)hotel_shutdown(1000);
        close_run(&r);
    }
}

/* What TLS says beside content does not end a connection. */
static void test_records(void) {
    unsigned i;
    run r;
    begin(&r, &leaf, NULL, 0);
    r.f.updates = r.f.idle_records = true;
    start(&r, "key updates");
    for (i = 0; i < 5; i++) {
        one_span("key update");
        is_int(hotel_flush(5000), HOTEL_OK, "OT-10 new keys before a response and while idle");
        server_sleep_ms(60);
    }
    is_int(since_opened(0).connections, 1, "OT-10 all over one connection");
    end(&r, "key updates");
    begin(&r, &leaf, NULL, 0);
    (void)SSL_CTX_set_max_proto_version(r.f.context, TLS1_2_VERSION);
    r.f.renegotiates = true;
    start(&r, "renegotiation");
    for (i = 0; i < 3; i++) {
        one_span("renegotiation");
        is_int(hotel_flush(5000), HOTEL_OK, "OT-10 a server that wants to renegotiate");
    }
    end(&r, "renegotiation");
}

/* Where a response without a length ends TLS says so, or it is not whole. */
static void test_goodbye(void) {
    static const server_step until_close[] = {
        {.reply = "HTTP/1.1 200 OK\r\n\r\n", .after = SERVER_CLOSE}};
    static const server_step half[] = {
        {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .after = SERVER_CLOSE}};
    run r;
    begin(&r, &leaf, until_close, 1);
    deliver(&r, "OT-06 a response up to the goodbye");
    end(&r, "up to the goodbye");
    begin(&r, &leaf, until_close, 1);
    r.f.rude = true;
    r.to.timeout_ms = 450;
    start(&r, "no goodbye");
    one_span("cut");
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 1, "OT-06 without a goodbye it may have been cut");
    close_run(&r);
    begin(&r, &leaf, half, 1);
    r.to.timeout_ms = 450;
    start(&r, "half a response");
    one_span("cut");
    (void)!hotel_flush(3000);
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).failed, 1, "OT-06 a goodbye in the middle of a response");
    ok(log_has("closed in the middle of its response"), "OT-06 ... which is said");
    close_run(&r);
}

/* A kept connection that the server has closed meanwhile, with and without a goodbye. */
static void test_stale(void) {
    static const server_step closing[] = {{.reply = SERVER_OK, .after = SERVER_CLOSE}};
    int way;
    for (way = 0; way < 2; way++) {
        unsigned i;
        run r;
        begin(&r, &leaf, closing, 1);
        r.f.rude = way > 0;
        start(&r, "stale");
        for (i = 0; i < 3; i++) {
            one_span("stale");
            is_int(hotel_flush(5000), HOTEL_OK, "OR-18 a server that closes after each response");
        }
        check_log(HOTEL_LOG_ID_EXPORT_RETRY, 0, "OR-18 at once");
        end(&r, "stale");
    }
}

/* An answer before the request is out. */
static void test_early_answer(void) {
    static const server_step early[] = {
        {.reply = SERVER_STATUS("413 Payload Too Large"), .when = SERVER_AT_HEAD,
         .after = SERVER_HALF}};
    run r;
    begin(&r, &leaf, early, 1);
    r.to.timeout_ms = 5000;
    start(&r, "an early answer");
    spans(300, 1500);
    (void)!hotel_flush(8000);
    ok(log_has("HTTP status 413"), "OT-06 an answer before the request is out") || (log_show(), 0);
    (void)hotel_shutdown(1000);
    check_books("an early answer");
    close_run(&r);
}

/* ---- gRPC ------------------------------------------------------------------------------------ */

static void test_grpc(void) {
    static const server_step leaving[] = {{.reply = "h; m; t 0; goaway s 0", .after = SERVER_CLOSE}};
    static const char *const names[] = {"gRPC", "gRPC, large", "gRPC, GOAWAY each time"};
    int way;
    for (way = 0; way < 3; way++) {
        const char *name = names[way];
        grpc_server g;
        unsigned i;
        run r;
        memset(&r, 0, sizeof r);
        if (!grpc_start(&g, way == 2 ? leaving : NULL, way == 2 ? 1 : 0)) abort();
        g.is_https = true;
        front_start(&r.f, &leaf, g.http.port);
        r.f.idle_records = r.f.updates = way == 0;
        front_demand(&r.f, &ca);
        r.to = destination(front_url(&r.f, "localhost", r.url, sizeof r.url));
        r.to.protocol = HOTEL_PROTOCOL_GRPC;
        r.to.timeout_ms = 20000;
        r.to.tls.ca_pem = ca.certificate_pem;
        r.to.tls.certificate_pem = client.certificate_pem;
        r.to.tls.key_pem = client.key_pem;
        r.config = test_config(&r.to, 1);
        log_clear();
        start(&r, name);
        for (i = 0; i < 4; i++) {
            if (way == 1) spans(300, 1500);
            else one_span("by gRPC");
            is_int(hotel_flush(15000), HOTEL_OK, "OT-10 %s: delivered", name) || (log_show(), 0);
            server_sleep_ms(way == 0 ? 50 : 0);
        }
        is_int(log_count_all(), 0, "OT-10 %s: without a complaint", name) || (log_show(), 0);
        is_str(r.f.spoken, "h2", "OT-10 %s: HTTP/2 is what is spoken (ALPN)", name);
        if (way < 2) is_int(since_opened(0).connections, 1, "OT-05 %s: one connection", name);
        else ok(r.f.resumed >= 3, "OT-10 %s: connections go on from the first", name);
        (void)hotel_shutdown(2000);
        front_stop(&r.f);
        server_stop(&g.http);
        is_int(g.http.num_bad, 0, "%s: every request is right (%s)", name, g.http.problem);
        is_int(g.http.num_spans, since_opened(0).offered, "%s: every span came", name);
        is_int(server_num_duplicates(&g.http), 0, "%s: once", name);
        check_books(name);
        server_release(&g.http);
    }
}

/* ---- The process ----------------------------------------------------------------------------- */

static volatile sig_atomic_t num_pipe_signals;
static void on_pipe(int number) {
    (void)number;
    num_pipe_signals = num_pipe_signals + 1;
}

/* Everything on this thread: nothing of ours may be left in its queue, and no signal comes. */
static void test_own_thread(void) {
    static const server_step closing[] = {{.reply = SERVER_OK, .after = SERVER_CLOSE}};
    static const server_step breaking[] = {{.when = SERVER_AT_HEAD, .after = SERVER_RESET}};
    identity own = identity_make("own", "DNS:localhost", NULL, -60, 3600);
    unsigned long mine;
    unsigned i;
    run r;
    (void)signal(SIGPIPE, on_pipe);
    ERR_clear_error();
    begin(&r, &leaf, closing, 1);
    r.config.no_threads = true;
    r.f.rude = true;
    (void)X509_check_private_key(leaf.certificate, ca.key); /* leaves an error */
    mine = ERR_peek_error();
    ok(mine != 0, "the host has an error in its queue");
    start(&r, "on this thread");
    for (i = 0; i < 5; i++) {
        one_span("alone");
        is_int(hotel_flush(5000), HOTEL_OK, "P4 delivered by this thread");
    }
    (void)hotel_shutdown(1000);
    is_int(ERR_get_error(), mine, "OT-10 the host's error is in its queue still");
    is_int(ERR_get_error(), 0, "OT-10 and none of ours");
    close_run(&r);
    begin(&r, &own, NULL, 0);
    r.config.no_threads = true;
    r.to.timeout_ms = 450;
    start(&r, "refused on this thread");
    one_span("alone");
    (void)!hotel_flush(3000);
    is_int(ERR_peek_error(), 0, "OT-10 a refused certificate leaves nothing there");
    (void)hotel_shutdown(1000);
    close_run(&r);
    begin(&r, &leaf, breaking, 1);
    r.config.no_threads = true;
    r.f.reset = true;
    r.to.timeout_ms = 450;
    start(&r, "broken off on this thread");
    for (i = 0; i < 5; i++) {
        spans(300, 1500);
        (void)!hotel_flush(3000);
    }
    (void)hotel_shutdown(1000);
    is_int(since_opened(0).accepted, 0, "OT-10 a server that breaks off while it is sent to");
    check_books("broken off");
    close_run(&r);
    is_int(num_pipe_signals, 0, "OT-10 no SIGPIPE");
    (void)signal(SIGPIPE, SIG_DFL);
    identity_free(&own);
}

static unsigned num_open(void) {
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;
    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    (void)closedir(folder);
    return count;
}

static void test_no_descriptors(void) {
    int taken[1024], fd;
    unsigned count = 0;
    struct rlimit former, few;
    run r;
    begin(&r, &leaf, NULL, 0);
    r.to.timeout_ms = 450;
    start(&r, "no descriptor");
    if (getrlimit(RLIMIT_NOFILE, &former) != 0) abort();
    few = former;
    few.rlim_cur = 200;
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) abort();
    while (count < COUNT(taken) && (fd = dup(0)) >= 0) taken[count++] = fd;
    one_span("no descriptor");
    (void)!hotel_flush(3000);
    ok(log_has("no file descriptor is left"), "OR-03 no descriptor: the log says so");
    while (count > 0) (void)close(taken[--count]);
    (void)setrlimit(RLIMIT_NOFILE, &former);
    one_span("again");
    is_int(hotel_flush(5000), HOTEL_OK, "OR-03 and when there is one again");
    (void)hotel_shutdown(1000);
    check_books("no descriptor");
    close_run(&r);
}

/* Live blocks of OpenSSL: all in this process ask for their memory here. */
static long num_blocks;

static void *count_malloc(size_t size, const char *file, int line) {
    void *at = malloc(size);
    (void)file, (void)line;
    if (at != NULL) (void)__atomic_add_fetch(&num_blocks, 1, __ATOMIC_RELAXED);
    return at;
}
static void *count_realloc(void *at, size_t size, const char *file, int line) {
    if (at == NULL) return count_malloc(size, file, line);
    return realloc(at, size);
}
static void count_free(void *at, const char *file, int line) {
    (void)file, (void)line;
    if (at != NULL) (void)__atomic_sub_fetch(&num_blocks, 1, __ATOMIC_RELAXED);
    free(at);
}

static void test_memory(void) {
    identity own = identity_make("own", "DNS:localhost", NULL, -60, 3600);
    long blocks[6];
    unsigned open_before, i;
    (void)hotel_release();
    open_before = num_open();
    for (i = 0; i < COUNT(blocks); i++) {
        run r;
        begin(&r, &leaf, NULL, 0);
        front_demand(&r.f, &ca);
        r.to.tls.certificate_pem = client.certificate_pem;
        r.to.tls.key_pem = client.key_pem;
        r.to.max_inflight = 2;
        start(&r, "again and again");
        spans(600, 10);
        (void)!hotel_flush(5000);
        (void)hotel_shutdown(1000);
        close_run(&r);
        begin(&r, &own, NULL, 0);
        r.to.timeout_ms = 450;
        (void)!hotel_init(&r.config);
        one_span("refused");
        (void)!hotel_flush(3000);
        (void)hotel_shutdown(1000);
        close_run(&r);
        r.to.tls.key_pem = "no key";
        (void)!hotel_init(&r.config);
        (void)hotel_shutdown(1000);
        (void)hotel_release();
        ERR_clear_error();
        blocks[i] = __atomic_load_n(&num_blocks, __ATOMIC_RELAXED);
    }
    is_int(blocks[COUNT(blocks) - 1], blocks[1], "OT-10 every block of OpenSSL's is given back");
    is_int(num_open(), open_before, "OT-10 and every descriptor");
    identity_free(&own);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static void test_fork(void) {
    pid_t pid;
    run r;
    begin(&r, &leaf, NULL, 0);
    if (UNDER_TSAN) r.config.no_threads = true;
    start(&r, "fork");
    one_span("parent");
    is_int(hotel_flush(5000), HOTEL_OK, "BSP-26 the parent has a connection");
    (void)fflush(stdout);
    server_sleep_ms(30);
    pid = server_fork(&r.s);
    if (pid == 0) _exit(3);
    is_int(server_wait_child(pid, 30000), 3, "BSP-26 a child that does nothing");
    server_sleep_ms(30);
    is_int(FRONT_GET(r.f.goodbyes), 0, "BSP-26 no goodbye on its parent's connection");
    (void)fflush(stdout);
    pid = server_fork(&r.s);
    if (pid == 0) {
        IGNORE_LEAKS();
        one_span("child");
        if (hotel_flush(5000) != HOTEL_OK) _exit(4);
        (void)hotel_shutdown(1000);
        (void)hotel_release();
        _exit(5);
    }
    is_int(server_wait_child(pid, 30000), 5, "BSP-26 a child that sends its own, and releases all");
    is_int(FRONT_GET(r.f.handshakes), 2, "BSP-26 over a connection of its own");
    one_span("parent again");
    is_int(hotel_flush(5000), HOTEL_OK, "BSP-26 the parent goes on");
    is_int(since_opened(0).connections, 1, "BSP-26 over its connection");
    (void)hotel_shutdown(2000);
    is_int(server_num_spans(&r.s), 3, "BSP-26 every span came");
    is_int(server_num_duplicates(&r.s), 0, "BSP-26 once");
    is_int(server_num_named(&r.s, "child"), 1, "BSP-26 the child's too");
    close_run(&r);
}

static bool producing; /* atomic */

static void *produce(void *user_data) {
    while (__atomic_load_n(&producing, __ATOMIC_RELAXED)) {
        one_span("busy");
        server_sleep_ms(1);
    }
    return user_data;
}

/* A server in a process of its own; *port is where. */
static pid_t serve_apart(uint16_t *port) {
    static const server_step closing[] = {{.reply = SERVER_OK, .after = SERVER_CLOSE}};
    int ends[2];
    pid_t pid;
    if (pipe(ends) != 0) abort();
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        run r;
        IGNORE_LEAKS();
        begin(&r, &leaf, closing, 1);
        if (write(ends[1], &r.f.port, sizeof r.f.port) != (ssize_t)sizeof r.f.port) _exit(1);
        for (;;) (void)pause();
    }
    if (read(ends[0], port, sizeof *port) != (ssize_t)sizeof *port) abort();
    (void)close(ends[0]);
    (void)close(ends[1]);
    return pid;
}

/* While the exporter is in OpenSSL all the time. Nobody else may be in it then: its locks do not
   survive that, which is why the server is not here. */
static void test_fork_busy(void) {
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    pthread_t thread;
    uint16_t port = 0;
    char url[64];
    pid_t apart;
    int i, good = 0, wanted = 25;
    if (UNDER_TSAN) {
        skip("BSP-26 fork while busy: children have no threads under this sanitizer");
        return;
    }
    if (UNDER_ASAN) { /* OpenSSL allocates all the time */
        skip("BSP-26 fork while busy: the locks of a sanitizer's allocator do not survive it");
        return;
    }
    apart = serve_apart(&port);
    (void)snprintf(url, sizeof url, "https://localhost:%u", (unsigned)port);
    to = destination(url);
    to.tls.ca_pem = ca.certificate_pem;
    to.schedule_delay_ms = HOTEL_NONE;
    is_int(hotel_init(&config), HOTEL_OK, "BSP-26 fork while busy");
    producing = true;
    if (pthread_create(&thread, NULL, produce, NULL) != 0) abort();
    for (i = 0; i < wanted; i++) {
        pid_t pid;
        server_sleep_ms(7 + i);
        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
            IGNORE_LEAKS();
            one_span("child");
            _exit(hotel_flush(10000) == HOTEL_OK ? 5 : 4);
        }
        good += server_wait_child(pid, 30000) == 5;
    }
    __atomic_store_n(&producing, false, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    is_int(good, wanted, "BSP-26 children forked while the exporter is busy deliver");
    (void)hotel_shutdown(3000);
    (void)kill(apart, SIGKILL);
    (void)waitpid(apart, NULL, 0);
}

/* ---- The end of the process ------------------------------------------------------------------ */

static const char *const ways[] = {"exit()", "quick_exit()", "exit() by another thread",
                                   "exit() with a shutdown in an exit handler",
                                   "exit() while busy"};

static void *leave(void *user_data) {
    (void)user_data;
    exit(7);
}

static void shut_down_at_exit(void) {
    (void)hotel_shutdown(200);
    (void)hotel_release();
}

/* Last of all: OpenSSL is there still, unless the host has it clean up at exit. */
static bool host_first;
static void at_exit(void) {
    bool there = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1;
    if (there == host_first) _exit(9);
}

/* This program once more, so that nobody else has used OpenSSL in it: way, who is first, where. */
static int child_main(char **arguments) {
    int way = atoi(arguments[2]);
    hotel_destination to = destination(arguments[4]);
    hotel_config config = test_config(&to, 1);
    pthread_t thread;
    IGNORE_LEAKS();
    host_first = atoi(arguments[3]) != 0;
    if (way != 1 && atexit(at_exit) != 0) return 90;
    if (host_first && OPENSSL_init_ssl(0, NULL) != 1) return 91;
    to.tls.ca_file = arguments[5];
    to.schedule_delay_ms = HOTEL_NONE;
    config.no_threads = UNDER_TSAN;
    if (hotel_init(&config) != HOTEL_OK) return 92;
    if (way == 4) {
        producing = true;
        if (pthread_create(&thread, NULL, produce, NULL) != 0) return 93;
    }
    one_span("leaving");
    (void)!hotel_flush(way == 4 ? 200 : 100);
    if (way == 1) quick_exit(7);
    if (way == 3) (void)atexit(shut_down_at_exit);
    if (way == 2 && !UNDER_TSAN) {
        if (pthread_create(&thread, NULL, leave, NULL) != 0) return 94;
        for (;;) (void)pause();
    }
    exit(7);
}

static void check_end(run *r, int way, bool host, const char *when) {
    char way_text[8], host_text[8];
    long long began = server_now_ms();
    pid_t pid;
    int code;
    (void)snprintf(way_text, sizeof way_text, "%d", way);
    (void)snprintf(host_text, sizeof host_text, "%d", host ? 1 : 0);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "test_tls", "child", way_text, host_text, r->url,
                    ca.certificate_file, (char *)NULL);
        _exit(99);
    }
    code = server_wait_child(pid, 30000);
    is_int(code, 7, "T-20 %s %s, %s first", ways[way], when, host ? "the host" : "the library");
    ok(server_now_ms() - began < 9000, "T-20 ... at once");
}

static void test_ends(void) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    static const server_step closing[] = {{.reply = SERVER_OK, .after = SERVER_CLOSE}};
    int way, host, i;
    for (host = 0; host < 2; host++) {
        run r;
        begin(&r, &leaf, hang, 1);
        for (way = 0; way < 4; way++) check_end(&r, way, host != 0, "in the middle of an export");
        close_run(&r);
        begin(&r, &leaf, NULL, 0);
        __atomic_store_n(&r.f.manner, FRONT_SILENT, __ATOMIC_SEQ_CST);
        for (way = 0; way < 4; way++) check_end(&r, way, host != 0, "in the middle of a handshake");
        close_run(&r);
        begin(&r, &leaf, closing, 1);
        for (i = 0; i < 4; i++) check_end(&r, 4, host != 0, "over and over");
        close_run(&r);
    }
}

int main(int count, char **arguments) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 6 && strcmp(arguments[1], "child") == 0) return child_main(arguments);
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1) abort();
    clear_environment();
    ca = identity_make("Test CA", NULL, NULL, -60, 86400);
    other_ca = identity_make("Other CA", NULL, NULL, -60, 86400);
    leaf = identity_make("server", "DNS:localhost,IP:127.0.0.1,IP:::1", &ca, -60, 86400);
    client = identity_make("client", "DNS:client", &ca, -60, 86400);
    note("%s", OpenSSL_version(OPENSSL_VERSION));
    test_plain_case();
    test_addresses();
    test_server_name();
    test_versions();
    test_servers();
    test_sources();
    test_client_chain();
    test_bad_settings();
    test_odd_settings();
    test_own_transport();
    test_refusals();
    test_reverse();
    test_retry();
    test_large();
    test_drip();
    test_cut();
    test_resumption();
    test_records();
    test_goodbye();
    test_stale();
    test_early_answer();
    test_grpc();
    test_own_thread();
    test_no_descriptors();
    test_memory();
    test_fork();
    test_fork_busy();
    test_ends();
    identity_free(&ca), identity_free(&other_ca), identity_free(&leaf), identity_free(&client);
    identity_remove_folder();
    return done_testing();
}

#else

#include "tap.h"

int main(void) {
    skip_all("no OpenSSL found");
}

#endif
