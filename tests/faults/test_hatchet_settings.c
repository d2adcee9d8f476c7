/*
 * SPDX-License-Identifier: MIT
 *
 * test_hatchet_settings.c - the settings of Hatchet's connection: in code, in the environment, in
 * .env files and in the token; what is wrong with each, said by name and without a secret; which
 * destinations there are then; and the quiet after UNIMPLEMENTED.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <sys/stat.h>

#include "grpc_server.h"

#include "books.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define H "HATCHET_CLIENT_"
#define TENANT "707d0855-80ab-4e1f-a156-f1c4546cbf52"

/* ---- Tokens --------------------------------------------------------------------------------- */

enum {
    TOKEN_GOOD,
    TOKEN_NO_ADDRESS,
    TOKEN_NO_CLAIMS,
    TOKEN_EXPIRED,
    TOKEN_BAD_ADDRESS,
    TOKEN_BAD_EXPIRY,
    NUM_TOKENS
};

static const char *const claims[NUM_TOKENS] = {
    ("{\"aud\":\"http://localhost:8080\",\"exp\":4102444800,\"grpc_broadcast_address\":"
     "\"engine.example:7077\",\"iat\":1,\"iss\":\"http://localhost:8080\",\"server_url\":"
     "\"http://localhost:8080\",\"sub\":\"" TENANT "\",\"token_id\":\"x\"}"),
    "{\"sub\":\"" TENANT "\",\"exp\":4102444800}",
    "{}",
    "{\"sub\":\"" TENANT "\",\"exp\":1735689599,\"grpc_broadcast_address\":\"engine.example:7077\"}",
    "{\"sub\":\"" TENANT "\",\"grpc_broadcast_address\":\"http://engine.example\"}",
    "{\"exp\":\"tomorrow\"}",
};
static char tokens[NUM_TOKENS][1024];

static void make_tokens(void) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i, k;
    for (i = 0; i < NUM_TOKENS; i++) {
        char *out = tokens[i] + sprintf(tokens[i], "eyJhbGciOiJFUzI1NiJ9.");
        uint32_t bits = 0;
        unsigned held = 0;
        for (k = 0; claims[i][k] != '\0'; k++) {
            bits = bits << 8 | (unsigned char)claims[i][k];
            for (held += 8; held >= 6; held -= 6) *out++ = digits[bits >> (held - 6) & 63];
        }
        if (held > 0) *out++ = digits[bits << (6 - held) & 63];
        strcpy(out, ".c2VjcmV0LXNpZ25hdHVyZQ");
    }
}

/* ---- A connection that takes everything and answers nothing --------------------------------- */

static struct {
    char host[256];
    uint16_t port;
    unsigned opened;
} taken;

static void *take_open(const char *host, uint16_t port, void *user_data) {
    (void)user_data;
    (void)snprintf(taken.host, sizeof taken.host, "%s", host);
    taken.port = port;
    taken.opened++;
    return &taken;
}

static int take_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

static ptrdiff_t take_send(void *connection, const void *bytes, size_t size) {
    (void)connection, (void)bytes;
    return (ptrdiff_t)size;
}

static ptrdiff_t take_receive(void *connection, void *bytes, size_t size) {
    (void)connection, (void)bytes, (void)size;
    return HOTEL_IO_WANT_READ;
}

static int take_descriptor(void *connection) {
    (void)connection;
    return -1;
}

static void take_close(void *connection, bool inherited) {
    (void)connection, (void)inherited;
}

static const hotel_transport taking = {take_open,       take_connect, take_send, take_receive,
                                       take_descriptor, take_close,   NULL};

/* ---- What all tests use --------------------------------------------------------------------- */

static const char *const names[] = {
    H "TOKEN", H "HOST_PORT", H "TLS_STRATEGY", H "TLS_ROOT_CA", H "TLS_ROOT_CA_FILE", H "TLS_CERT",
    H "TLS_CERT_FILE", H "TLS_KEY", H "TLS_KEY_FILE", H "TLS_SERVER_NAME", H "TLS_MIN_VERSION",
    H "NAMESPACE", H "TENANT_ID", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED",
};

static void clear_environment(void) {
    size_t i;
    for (i = 0; i < COUNT(names); i++) (void)unsetenv(names[i]);
    log_clear();
}

/* "NAME=value"; a value that is "@" and a digit is one of the tokens. */
static void set_variable(const char *binding) {
    char name[128];
    const char *value = strchr(binding, '=') + 1;
    (void)snprintf(name, sizeof name, "%.*s", (int)(value - 1 - binding), binding);
    if (value[0] == '@') value = tokens[value[1] - '0'];
    (void)setenv(name, value, 1);
}

static hotel_config environment_config(void) {
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.log_fn = log_record;
    config.log_level = HOTEL_LOG_DEBUG;
    config.no_threads = true;
    return config;
}

static const char *describe(void) {
    static char text[16384];
    (void)hotel_describe(text, sizeof text);
    return text;
}

static const char *name_space(void) {
    static char out[256];
    (void)hotel_hatchet_namespace(out, sizeof out);
    return out;
}

static const char *tenant(void) {
    static char out[256];
    (void)hotel_hatchet_tenant(out, sizeof out);
    return out;
}

/* Hatchet's destination; NULL: there is none. */
static hoteli_destination *hatchet(void) {
    uint32_t i;
    for (i = 0; i < hoteli_num_destinations(); i++)
        if (hoteli_g.destinations[i]->hatchet) return hoteli_g.destinations[i];
    return NULL;
}

static const char *address(void) {
    static char out[512];
    const hoteli_destination *d = hatchet();
    if (d == NULL) return NULL;
    (void)snprintf(out, sizeof out, "%s://%s", d->url.tls ? "https" : "http", d->url.authority);
    return out;
}

static bool has_secret(const char *text) {
    size_t i;
    if (strstr(text, "eyJ") != NULL || strstr(text, "s3cr3t") != NULL) return true;
    if (strstr(text, "c2VjcmV0") != NULL || strstr(text, "Bearer") != NULL) return true;
    for (i = 0; i < NUM_TOKENS; i++)
        if (strstr(text, tokens[i] + 25) != NULL) return true;
    return false;
}

/* Neither the log nor the description shows a token or key. */
static void check_secrets(const char *name) {
    ok(!has_secret(log_text) && !has_secret(describe()), "%s: no secret is shown", name) ||
        (log_show(), 0);
}

static void end_spans(unsigned count) {
    while (count-- > 0) {
        hotel_span span = hotel_start("span");
        hotel_end(&span);
    }
}

/* ---- Every setting, right and wrong --------------------------------------------------------- */

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n"
#define NONE H "TLS_STRATEGY=none"

typedef struct row {
    const char *name;
    const char *set[8];
    hotel_result want;
    const char *address; /* of Hatchet's destination; NULL: it is not started */
    const char *says[3]; /* in the log; none: nothing is said */
} row;

static const row rows[] = {
    {"no token", {NONE}, HOTEL_OK, NULL, {NULL}},
    {"no token, but other settings",
     {H "HOST_PORT=nonsense", H "TLS_STRATEGY=nonsense"},
     HOTEL_OK,
     NULL,
     {NULL}},
    {"an empty token", {H "TOKEN=", NONE}, HOTEL_OK, NULL, {NULL}},
    {"a token", {H "TOKEN=@0", NONE}, HOTEL_OK, "http://engine.example:7077", {NULL}},
    {"a token that never expires", {H "TOKEN=@2", H "HOST_PORT=h:1", NONE}, HOTEL_OK, "http://h:1",
     {NULL}},
    {"not a token", {H "TOKEN=s3cr3t", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: it does not begin with \"ey\"", "no spans are sent to Hatchet"}},
    {"a token in two parts", {H "TOKEN=eyJhs3cr3t.e30", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: it does not have three parts"}},
    {"a token with a bad header", {H "TOKEN=eyJhs3cr3t!.e30.abcd", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: its first part"}},
    {"a token with bad claims", {H "TOKEN=eyJh.s3cr3t!.abcd", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: its second part"}},
    {"a token with claims that are no object", {H "TOKEN=eyJh.W10.s3cr3t", NONE}, HOTEL_ERR_TOKEN,
     NULL, {H "TOKEN: its second part, the claims, is not a JSON object"}},
    {"a token with a bad signature", {H "TOKEN=eyJh.e30.s3cr3t\n", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: its third part"}},
    {"a bad claim", {H "TOKEN=@5", H "HOST_PORT=h:1", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: its claim exp"}},
    {"an expired token", {H "TOKEN=@3", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: it expired at 2024-12-31 23:59:59 UTC", "no spans are sent to Hatchet"}},
    {"no address anywhere", {H "TOKEN=@1", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "HOST_PORT: it is not set, and the token names no address"}},
    {"a bad address in the token", {H "TOKEN=@4", NONE}, HOTEL_ERR_TOKEN, NULL,
     {"grpc_broadcast_address \"http://engine.example\": it begins with a scheme"}},
    {"an address for a token without one", {H "TOKEN=@1", H "HOST_PORT=127.0.0.1:7070", NONE},
     HOTEL_OK, "http://127.0.0.1:7070", {NULL}},
    {"an address instead of the token's", {H "TOKEN=@0", H "HOST_PORT=[::1]:7070", NONE}, HOTEL_OK,
     "http://[::1]:7070", {NULL}},
    {"an address instead of a bad one", {H "TOKEN=@4", H "HOST_PORT=h:1", NONE}, HOTEL_OK,
     "http://h:1", {NULL}},
    {"an empty address is unset", {H "TOKEN=@0", H "HOST_PORT=", NONE}, HOTEL_OK,
     "http://engine.example:7077", {NULL}},
    {"an address with a scheme", {H "TOKEN=@0", H "HOST_PORT=https://h:1", NONE}, HOTEL_ERR_TOKEN,
     NULL, {H "HOST_PORT \"https://h:1\": it begins with a scheme", "host:port"}},
    {"an address without a port", {H "TOKEN=@0", H "HOST_PORT=engine", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "HOST_PORT \"engine\": it has no port"}},
    {"an address with half a port", {H "TOKEN=@0", H "HOST_PORT=engine:", NONE}, HOTEL_ERR_TOKEN,
     NULL, {H "HOST_PORT \"engine:\": the port is not a number"}},
    {"an address with port 0", {H "TOKEN=@0", H "HOST_PORT=engine:0", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "HOST_PORT \"engine:0\": the port is not a number"}},
    {"an address with a path", {H "TOKEN=@0", H "HOST_PORT=engine:7/x", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "HOST_PORT \"engine:7/x\": the port is not a number"}},
    {"an address of IPv6 without brackets", {H "TOKEN=@0", H "HOST_PORT=::1:7070", NONE},
     HOTEL_ERR_TOKEN, NULL, {H "HOST_PORT \"::1:7070\""}},
    {"an address with a password", {H "TOKEN=@0", H "HOST_PORT=me:s3cr3t@h:1", NONE},
     HOTEL_ERR_TOKEN, NULL, {H "HOST_PORT ...\"@h:1\""}},
    {"only a port", {H "TOKEN=@0", H "HOST_PORT=:7070", NONE}, HOTEL_ERR_TOKEN, NULL,
     {H "HOST_PORT \":7070\": it has no host"}},
    {"the strategy in capitals", {H "TOKEN=@0", H "TLS_STRATEGY= None "}, HOTEL_OK,
     "http://engine.example:7077", {NULL}},
    {"an unknown strategy", {H "TOKEN=@0", H "TLS_STRATEGY=starttls"}, HOTEL_ERR_TOKEN, NULL,
     {H "TLS_STRATEGY \"starttls\": it is none of tls, mtls, none"}},
    {"two things wrong", {H "TOKEN=@3", H "TLS_STRATEGY=x"}, HOTEL_ERR_TOKEN, NULL,
     {H "TOKEN: it expired", H "TLS_STRATEGY \"x\""}},
    {"certificates that are not needed",
     {H "TOKEN=@0", NONE, H "TLS_ROOT_CA=nonsense", H "TLS_CERT_FILE=/nowhere"},
     HOTEL_OK,
     "http://engine.example:7077",
     {NULL}},
    {"a namespace that is too long",
     {H "TOKEN=@0", NONE,
      H "NAMESPACE=0123456789012345678901234567890123456789012345678901234567890123456789012345678"
      "9012345678901234567890123456789012345678901234567890123456789"},
     HOTEL_OK,
     "http://engine.example:7077",
     {H "NAMESPACE=\"0123456789", "too long"}},
    {"a tenant that is too long",
     {H "TOKEN=@0", NONE,
      H "TENANT_ID=0123456789012345678901234567890123456789012345678901234567890123"},
     HOTEL_OK,
     "http://engine.example:7077",
     {H "TENANT_ID=\"0123456789", "too long"}},
};

static void check_row(const row *r, const hotel_config *config, bool beside) {
    size_t i;
    clear_environment();
    for (i = 0; i < COUNT(r->set) && r->set[i] != NULL; i++) set_variable(r->set[i]);
    if (beside) set_variable("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318");
    is_int(hotel_init(config), r->want, "%s", r->name) || (log_show(), 0);
    is_str(address(), r->address, "%s: Hatchet's destination", r->name);
    for (i = 0; i < COUNT(r->says) && r->says[i] != NULL; i++)
        ok(log_has(r->says[i]), "%s: \"%.60s\" is said", r->name, r->says[i]) || (log_show(), 0);
    if (i == 0) ok(log_count_all() == 0, "%s: nothing is said", r->name) || (log_show(), 0);
    if (r->want != HOTEL_OK)
        is_int(log_count(r->want == HOTEL_ERR_TLS ? HOTEL_LOG_ID_TLS : HOTEL_LOG_ID_HATCHET),
               r->says[1] != NULL && strstr(r->says[1], H) != NULL ? 2 : 1,
               "%s: the messages have their id", r->name);
    check_secrets(r->name);
    if (beside) {
        ok(strstr(describe(), "destination=http://127.0.0.1:4318") != NULL,
           "%s: the other destination is started", r->name);
    } else {
        open_books();
        end_spans(2);
        (void)hotel_shutdown(0);
        check_books(r->name);
    }
    (void)hotel_shutdown(0);
}

static void test_rows(void) {
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        hotel_config config = environment_config();
        check_row(&rows[i], &config, false);
        check_row(&rows[i], &config, true);
    }
}

/* Whose transport it is: then TLS is not the library's affair, but the settings are looked at. */
#define TLS(...) {H "TOKEN=@0", __VA_ARGS__}
#define HTTPS "https://engine.example:7077"
static const row tls_rows[] = {
    {"tls is the default", {H "TOKEN=@0"}, HOTEL_OK, HTTPS, {NULL}},
    {"tls", TLS(H "TLS_STRATEGY=TLS"), HOTEL_OK, HTTPS, {NULL}},
    {"an empty strategy is unset", TLS(H "TLS_STRATEGY="), HOTEL_OK, HTTPS, {NULL}},
    {"a key is nothing to tls", TLS(H "TLS_KEY=s3cr3t", H "TLS_CERT=x"), HOTEL_OK, HTTPS, {NULL}},
    {"a CA that is no PEM", TLS(H "TLS_ROOT_CA=/etc/ca.pem"), HOTEL_ERR_TLS, NULL,
     {H "TLS_ROOT_CA: it is not PEM"}},
    {"a CA without line breaks", TLS(H "TLS_ROOT_CA=-----BEGIN CERTIFICATE----- M -----END "
                                     "CERTIFICATE-----"),
     HOTEL_ERR_TLS, NULL, {H "TLS_ROOT_CA: it has no line breaks"}},
    {"a CA that is a key", TLS(H "TLS_ROOT_CA=" KEY), HOTEL_ERR_TLS, NULL,
     {H "TLS_ROOT_CA: there is no certificate in it"}},
    {"a version that is none", TLS(H "TLS_MIN_VERSION=1.4"), HOTEL_ERR_TLS, NULL,
     {H "TLS_MIN_VERSION \"1.4\": it is neither 1.2 nor 1.3"}},
    {"mtls without anything", TLS(H "TLS_STRATEGY=mtls"), HOTEL_ERR_TLS, NULL,
     {H "TLS_CERT_FILE: it is not set, and mtls needs it",
      H "TLS_KEY_FILE: it is not set, and mtls needs it"}},
    {"mtls without a key", TLS(H "TLS_STRATEGY=mtls", H "TLS_CERT=" CERTIFICATE), HOTEL_ERR_TLS,
     NULL, {H "TLS_KEY_FILE: it is not set, and mtls needs it"}},
    {"mtls without a certificate", TLS(H "TLS_STRATEGY=mtls", H "TLS_KEY=" KEY), HOTEL_ERR_TLS, NULL,
     {H "TLS_CERT_FILE: it is not set, and mtls needs it"}},
    {"mtls with a key that is none",
     TLS(H "TLS_STRATEGY=mtls", H "TLS_CERT=" CERTIFICATE, H "TLS_KEY=s3cr3t"), HOTEL_ERR_TLS, NULL,
     {H "TLS_KEY: it is not PEM"}},
    {"mtls with a key that is cut off",
     TLS(H "TLS_STRATEGY=mtls", H "TLS_CERT=" CERTIFICATE,
         H "TLS_KEY=-----BEGIN EC PRIVATE KEY-----\ns3cr3t"),
     HOTEL_ERR_TLS, NULL, {H "TLS_KEY: it is cut off"}},
};

static void test_tls_rows(void) {
    size_t i;
    for (i = 0; i < COUNT(tls_rows); i++) {
        hotel_config config = environment_config();
        config.hatchet.collector.transport = &taking;
        check_row(&tls_rows[i], &config, true);
    }
}

/* Without a transport of one's own and without OpenSSL there is no TLS. */
static void test_no_tls(void) {
#if !defined(HATCHET_OTEL_OPENSSL)
    static const char *const strategies[] = {"tls", "mtls"};
    size_t i;
    for (i = 0; i < COUNT(strategies); i++) {
        hotel_config config = environment_config();
        clear_environment();
        set_variable(H "TOKEN=@0");
        (void)setenv(H "TLS_STRATEGY", strategies[i], 1);
        is_int(hotel_init(&config), HOTEL_ERR_TLS, "%s in a build without TLS", strategies[i]);
        ok(hatchet() == NULL, "... is not started");
        check_log(HOTEL_LOG_ID_TLS, 1, strategies[i]);
        ok(log_has("HATCHET_OTEL_OPENSSL") && log_has(H "TLS_STRATEGY=none"),
           "... both ways out are named");
        check_secrets(strategies[i]);
        (void)hotel_shutdown(0);
    }
#endif
}

/* Where the plan of a destination is looked at before it is built. */
static void plan(hoteli_setup *s, const hotel_config *config) {
    memset((void *)s, 0, sizeof *s);
    s->config = config;
    s->provider = &hoteli_g.providers[0];
    hoteli_plan_log(s);
    hoteli_plan_hatchet(s, false);
}

static void test_tls_plan(void) {
    hotel_config config = environment_config();
    hoteli_setup *s = (hoteli_setup *)calloc(1, sizeof *s);
    const hotel_tls *tls = &s->hatchet.config.tls;
    config.hatchet.collector.transport = &taking;
    clear_environment();
    set_variable(H "TOKEN=@0");
    set_variable(H "TLS_STRATEGY=mtls");
    set_variable(H "TLS_ROOT_CA_FILE=/ca.pem");
    set_variable(H "TLS_CERT=" CERTIFICATE);
    set_variable(H "TLS_CERT_FILE=/cert.pem");
    set_variable(H "TLS_KEY_FILE=/key.pem");
    set_variable(H "TLS_SERVER_NAME=other.example");
    set_variable(H "TLS_MIN_VERSION=1.3");
    plan(s, &config);
    is_int(s->result, HOTEL_OK, "every variable of TLS") || (log_show(), 0);
    is_str(tls->ca_file, "/ca.pem", "the CA's file");
    is_str(tls->ca_pem, NULL, "and no text");
    is_str(tls->certificate_pem, CERTIFICATE, "text beats the file");
    is_str(tls->certificate_file, NULL, "which is not used");
    is_str(tls->key_file, "/key.pem", "the key's file");
    is_str(tls->server_name, "other.example", "the server's name");
    is_int(tls->min_version, HOTEL_TLS_1_3, "the version");
    config.hatchet.tls.certificate_file = "/code.pem";
    config.hatchet.tls.ca_pem = CERTIFICATE;
    config.hatchet.tls.server_name = "code.example";
    config.hatchet.tls.min_version = HOTEL_TLS_1_2;
    plan(s, &config);
    is_str(tls->certificate_file, "/code.pem", "a file in code beats text in a variable");
    is_str(tls->certificate_pem, NULL, "which is not used");
    is_str(tls->ca_pem, CERTIFICATE, "text in code beats a file in a variable");
    is_str(tls->ca_file, NULL, "which is not used");
    is_str(tls->server_name, "code.example", "the name in code");
    is_int(tls->min_version, HOTEL_TLS_1_2, "the version in code");
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_TLS;
    plan(s, &config);
    ok(tls->certificate_file == NULL && tls->key_file == NULL, "tls shows no certificate of ours");
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_NONE;
    config.hatchet.collector.tls.ca_file = "/nowhere";
    plan(s, &config);
    is_str(s->hatchet.config.endpoint, "http://engine.example:7077", "none is clear text");
    is_int(s->result, HOTEL_OK, "and no error");
    config.hatchet.tls_strategy = (hotel_tls_strategy)9;
    plan(s, &config);
    is_int(s->result, HOTEL_ERR_TOKEN, "a strategy that does not exist");
    ok(log_has("hatchet.tls_strategy"), "the member is named");
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_TLS;
    config.hatchet.tls.min_version = (hotel_tls_version)9;
    plan(s, &config);
    is_int(s->result, HOTEL_ERR_TLS, "a version that does not exist");
    ok(log_has("hatchet.tls.min_version"), "the member is named");
    free(s);
}

/* ---- In code -------------------------------------------------------------------------------- */

static void test_code(void) {
    hotel_config config = environment_config();
    clear_environment();
    set_variable(H "TOKEN=s3cr3t");
    set_variable(H "HOST_PORT=wrong");
    set_variable(H "TLS_STRATEGY=wrong");
    set_variable(H "NAMESPACE=wrong");
    set_variable(H "TENANT_ID=wrong");
    config.hatchet.token = tokens[TOKEN_GOOD];
    config.hatchet.host_port = "code.example:1";
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_NONE;
    config.hatchet.name_space = "Code";
    config.hatchet.tenant_id = "code-tenant";
    is_int(hotel_init(&config), HOTEL_OK, "code beats the environment") || (log_show(), 0);
    is_str(address(), "http://code.example:1", "its address");
    is_str(name_space(), "code_", "its namespace");
    is_str(tenant(), "code-tenant", "its tenant");
    ok(strstr(describe(), "hatchet_namespace=code_\nhatchet_tenant=code-tenant\n") != NULL,
       "both are described");
    is_int(hotel_hatchet_namespace(NULL, 0), 5, "the size alone");
    (void)hotel_shutdown(0);
    log_clear();
    config.hatchet.token = "eyJ";
    is_int(hotel_init(&config), HOTEL_ERR_TOKEN, "a bad token in code");
    ok(log_has("hatchet.token: it does not have three parts"), "the member is named");
    (void)hotel_shutdown(0);
    config.hatchet.token = tokens[TOKEN_GOOD];
    config.hatchet.host_port = "code.example";
    is_int(hotel_init(&config), HOTEL_ERR_TOKEN, "a bad address in code");
    ok(log_has("hatchet.host_port \"code.example\": it has no port"), "the member is named");
    (void)hotel_shutdown(0);
    config.hatchet.host_port = "";
    config.hatchet.token = "";
    clear_environment();
    set_variable(H "TOKEN=@0");
    is_int(hotel_init(&config), HOTEL_OK, "empty members are not set");
    is_str(address(), "http://engine.example:7077", "the environment is asked");
    (void)hotel_shutdown(0);
    config.ignore_environment = true;
    is_int(hotel_init(&config), HOTEL_OK, "but not if it is ignored");
    is_str(address(), NULL, "then there is no token");
    (void)hotel_shutdown(0);
}

static void test_names(void) {
    static const char *const pairs[][2] = {{"foo", "foo_"},   {"Foo_", "foo_"},  {"_", "_"},
                                           {"A-B.c", "a-b.c_"}, {"foo__", "foo__"}, {"", ""},
                                           {"\xc3\x84", "\xc3\x84_"}};
    size_t i;
    for (i = 0; i < COUNT(pairs); i++) {
        hotel_config config = environment_config();
        clear_environment();
        (void)setenv(H "NAMESPACE", pairs[i][0], 1);
        (void)hotel_init(&config);
        is_str(name_space(), pairs[i][1], "the namespace \"%s\"", pairs[i][0]);
        is_str(tenant(), "", "no tenant");
        (void)hotel_shutdown(0);
    }
    for (i = 0; i < 3; i++) {
        hotel_config config = environment_config();
        clear_environment();
        set_variable(H "TOKEN=@0");
        set_variable(NONE);
        if (i == 1) config.hatchet.no_collector = true;
        if (i == 2) set_variable("OTEL_SDK_DISABLED=true");
        is_int(hotel_init(&config), HOTEL_OK, "a tenant in the token");
        is_str(tenant(), TENANT, "%s", i == 0 ? "is known" : i == 1 ? "also without collector"
                                                                   : "also when disabled");
        is_str(address(), i == 0 ? "http://engine.example:7077" : NULL, "the destination");
        (void)hotel_shutdown(0);
    }
}

/* ---- Files ---------------------------------------------------------------------------------- */

static char folder[64];

static const char *file_path(const char *name) {
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t size) {
    FILE *file = fopen(file_path(name), "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}

static void write_file(const char *name, const char *format, const char *word) {
    char text[4096];
    int size = snprintf(text, sizeof text, format, word);
    write_bytes(name, text, (size_t)size);
}

static void no_files(void) {
    static const char *const files[] = {".env", ".env.hatchet", ".env.dev", ".env.local"};
    size_t i;
    for (i = 0; i < COUNT(files); i++) {
        (void)unlink(file_path(files[i]));
        (void)rmdir(file_path(files[i]));
    }
}

static void test_files(void) {
    hotel_config config = environment_config();
    clear_environment();
    no_files();
    is_int(hotel_init(&config), HOTEL_OK, "without a folder");
    write_file(".env", "# Hatchet\nexport hatchet_client_token=\"%s\"\nHATCHET_CLIENT_TLS_STRATEGY"
                       "=none # for now\nOTEL_EXPORTER_OTLP_ENDPOINT=nonsense\n",
               tokens[TOKEN_GOOD]);
    is_str(address(), NULL, "no file is read");
    (void)hotel_shutdown(0);
    config.hatchet.env_folder = folder;
    is_int(hotel_init(&config), HOTEL_OK, "with a folder") || (log_show(), 0);
    is_str(address(), "http://engine.example:7077", "its .env is read");
    is_int(log_count_all(), 0, "other variables are not looked at") || (log_show(), 0);
    check_secrets(".env");
    (void)hotel_shutdown(0);
    write_file(".env.hatchet", "PORT=7\nHATCHET_CLIENT_HOST_PORT=%s:${PORT}\n", "second");
    write_file(".env.dev", "HATCHET_CLIENT_NAMESPACE='%s'\n", "Third");
    write_file(".env.local", "%sHATCHET_CLIENT_HOST_PORT=\nHATCHET_CLIENT_TENANT_ID=fourth\r\n",
               "\xEF\xBB\xBF");
    is_int(hotel_init(&config), HOTEL_OK, "with all four files");
    is_str(address(), "http://second:7", "the last that sets something wins");
    is_str(name_space(), "third_", "each is read");
    is_str(tenant(), "fourth", "the last one too");
    (void)hotel_shutdown(0);
    set_variable(H "HOST_PORT=environment:8");
    is_int(hotel_init(&config), HOTEL_OK, "the environment");
    is_str(address(), "http://environment:8", "beats them all");
    (void)hotel_shutdown(0);
    set_variable(H "HOST_PORT=");
    is_int(hotel_init(&config), HOTEL_OK, "an empty variable");
    is_str(address(), "http://second:7", "does not");
    (void)hotel_shutdown(0);
    config.hatchet.host_port = "code:9";
    config.ignore_environment = true;
    is_int(hotel_init(&config), HOTEL_OK, "code");
    is_str(address(), "http://code:9", "beats them too; the environment is not asked");
    (void)hotel_shutdown(0);
    no_files();
    log_clear();
    config.hatchet.host_port = NULL;
    write_file(".env.dev", "HATCHET_CLIENT_TOKEN=%s\nHATCHET_CLIENT_TLS_STRATEGY=wrong\n",
               tokens[TOKEN_EXPIRED]);
    is_int(hotel_init(&config), HOTEL_ERR_TOKEN, "errors in a file");
    ok(log_has(H "TOKEN in .env.dev: it expired") && log_has("\"wrong\" in .env.dev: it is none of"),
       "say in which one") ||
        (log_show(), 0);
    check_secrets("errors in a file");
    (void)hotel_shutdown(0);
    no_files();
}

/* One of the files is out of order; what it is, said; the others are used. */
static void check_bad_file(const char *what, const char *says, hotel_result want) {
    hotel_config config = environment_config();
    clear_environment();
    config.hatchet.env_folder = folder;
    write_file(".env.local", "HATCHET_CLIENT_TOKEN=%s\nHATCHET_CLIENT_TLS_STRATEGY=none\n",
               tokens[TOKEN_GOOD]);
    is_int(hotel_init(&config), want, "%s", what) || (log_show(), 0);
    is_str(address(), "http://engine.example:7077", "%s: the others are read", what);
    ok(log_has(says) && log_has("/.env\""), "%s: \"%s\" is said of it", what, says) ||
        (log_show(), 0);
    is_int(log_count(HOTEL_LOG_ID_HATCHET), 1, "%s: once", what);
    check_secrets(what);
    (void)hotel_shutdown(0);
    no_files();
}

static void test_bad_files(void) {
    static char large[65538];
    hotel_config config = environment_config();
    write_file(".env", "HATCHET_CLIENT_NAMESPACE=x\n\n  s3cr3t %s\n", "s3cr3t");
    check_bad_file("a bad line", "line 3", HOTEL_OK);
    write_bytes(".env", "A=1\nB=\xff\n", 8);
    check_bad_file("another encoding", "it is not UTF-8", HOTEL_ERR_TOKEN);
    write_bytes(".env", "A=\0\n", 4);
    check_bad_file("a NUL", "it is not UTF-8", HOTEL_ERR_TOKEN);
    memset(large, '\n', sizeof large);
    write_bytes(".env", large, 65537);
    check_bad_file("64 KiB and a byte", "it is larger than 64 KiB", HOTEL_ERR_TOKEN);
    (void)mkdir(file_path(".env"), 0700);
    check_bad_file("a folder", "it is a directory", HOTEL_ERR_TOKEN);
    if (geteuid() != 0) {
        write_file(".env", "A=%s", "1");
        (void)chmod(file_path(".env"), 0);
        check_bad_file("no permission", "it may not be read", HOTEL_ERR_TOKEN);
    } else {
        skip("root may read everything");
    }
    memcpy(large, "A=1\n", 4);
    write_bytes(".env", large, 65536);
    write_file(".env.local", "HATCHET_CLIENT_NAMESPACE=%s", "x");
    clear_environment();
    (void)mkfifo(file_path(".env.dev"), 0600);
    config.hatchet.env_folder = folder;
    is_int(hotel_init(&config), HOTEL_OK, "64 KiB, and a pipe that nobody writes to");
    is_str(name_space(), "x_", "the others are read");
    (void)hotel_shutdown(0);
    no_files();
    write_file(".env", "A=%s\nB=${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}\nC=${B}${B}${B}${B}${B}"
                       "${B}${B}${B}${B}${B}\nD=${C}${C}${C}${C}${C}${C}${C}${C}${C}${C}\n"
                       "E=${D}${D}${D}${D}${D}${D}${D}${D}${D}${D}\n",
               "0123456789");
    check_bad_file("values that multiply", "take more than 64 KiB", HOTEL_ERR_TOKEN);
    config.hatchet.env_folder = "/nowhere/at/all";
    is_int(hotel_init(&config), HOTEL_OK, "a folder that does not exist has no files");
    (void)hotel_shutdown(0);
    memset(large, 'x', 2000);
    large[2000] = '\0';
    config.hatchet.env_folder = large;
    is_int(hotel_init(&config), HOTEL_ERR_TOKEN, "a path that is too long");
    ok(log_has("too long"), "is named");
    (void)hotel_shutdown(0);
}

/* ---- Which destinations there are ----------------------------------------------------------- */

/* Their addresses in a row, Hatchet's with a star. */
static const char *destinations(void) {
    static char out[1024];
    char *at = out;
    uint32_t i;
    *at = '\0';
    for (i = 0; i < hoteli_num_destinations(); i++) {
        const hoteli_destination *d = hoteli_g.destinations[i];
        at += sprintf(at, "%s%s%s", i > 0 ? " " : "", d->exports ? "console" : d->url.authority,
                      d->hatchet ? "*" : "");
    }
    return out;
}

static void test_which(void) {
    static const struct {
        const char *set[3];
        const char *want;
    } which[] = {
        {{NULL}, "engine.example:7077*"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1"}, "c:1 engine.example:7077*"},
        {{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c:1"}, "c:1 engine.example:7077*"},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT="}, "engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER=otlp"}, "localhost:4318 engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER=console"}, "console engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER=otlp,console"}, "localhost:4318 console engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER=none"}, "engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1"},
         "engine.example:7077*"},
        {{"OTEL_TRACES_EXPORTER="}, "engine.example:7077*"},
        {{"OTEL_EXPORTER_OTLP_HEADERS=a=1"}, "engine.example:7077*"},
        {{H "TOKEN="}, "localhost:4318"},
        {{H "TOKEN=", "OTEL_TRACES_EXPORTER=none"}, ""},
        {{H "TOKEN=eyJ"}, ""},
    };
    hotel_destination own[4];
    hotel_destination_stats stats;
    hotel_config config;
    size_t i;
    for (i = 0; i < COUNT(which); i++) {
        size_t k;
        config = environment_config();
        clear_environment();
        set_variable(H "TOKEN=@0");
        set_variable(NONE);
        for (k = 0; k < 3 && which[i].set[k] != NULL; k++) set_variable(which[i].set[k]);
        (void)hotel_init(&config);
        is_str(destinations(), which[i].want, "a token and %s",
               which[i].set[0] != NULL ? which[i].set[0] : "nothing");
        (void)hotel_shutdown(0);
    }
    clear_environment();
    set_variable(H "TOKEN=@0");
    set_variable(NONE);
    config = environment_config();
    for (i = 0; i < 4; i++) own[i] = destination("http://own:1");
    config.destinations = own;
    config.num_destinations = 3;
    is_int(hotel_init(&config), HOTEL_OK, "three in code");
    is_str(destinations(), "own:1 own:1 own:1 engine.example:7077*", "and Hatchet's behind them");
    is_int(hotel_get_destination_stats(3, &stats), HOTEL_OK, "the last in the statistics");
    (void)hotel_shutdown(0);
    config.num_destinations = 4;
    is_int(hotel_init(&config), HOTEL_ERR_ARGUMENT, "four in code");
    is_str(destinations(), "own:1 own:1 own:1 own:1", "leave no place for it");
    ok(log_has("num_destinations"), "which is said");
    (void)hotel_shutdown(0);
    config.num_destinations = 1;
    set_variable(H "TOKEN=@3");
    is_int(hotel_init(&config), HOTEL_ERR_TOKEN, "one in code, and an expired token");
    is_str(destinations(), "own:1", "the one is started");
    is_int(hotel_get_destination_stats(1, &stats), HOTEL_ERR_ENDPOINT, "the other has its place");
    (void)hotel_shutdown(0);
    set_variable(H "TOKEN=@0");
    config.hatchet.no_collector = true;
    is_int(hotel_init(&config), HOTEL_OK, "no_collector");
    is_str(destinations(), "own:1", "leaves those in code");
    (void)hotel_shutdown(0);
    config.num_destinations = 0;
    is_int(hotel_init(&config), HOTEL_OK, "no_collector alone");
    is_str(destinations(), "localhost:4318", "leaves the one by the environment");
    (void)hotel_shutdown(0);
    config.hatchet.no_collector = false;
    config.no_destinations = true;
    is_int(hotel_init(&config), HOTEL_OK, "no_destinations");
    is_str(destinations(), "", "leaves none");
    (void)hotel_shutdown(0);
}

static void test_further_provider(void) {
    hotel_config config = environment_config(), further = environment_config();
    hotel_provider provider;
    clear_environment();
    set_variable(H "TOKEN=@0");
    set_variable(NONE);
    set_variable(H "NAMESPACE=first");
    is_int(hotel_init(&config), HOTEL_OK, "two providers");
    is_int(hotel_provider_start(&further, &provider), HOTEL_OK, "of which the second has no token");
    is_str(destinations(), "engine.example:7077* localhost:4318", "of its own");
    (void)hotel_shutdown(0);
    further.hatchet.token = tokens[TOKEN_NO_ADDRESS];
    further.hatchet.host_port = "second:2";
    further.hatchet.name_space = "second";
    is_int(hotel_init(&config), HOTEL_OK, "two providers");
    is_int(hotel_provider_start(&further, &provider), HOTEL_OK, "of which the second has one");
    is_str(destinations(), "engine.example:7077* second:2*", "both go to Hatchet");
    is_str(name_space(), "first_", "names are those of the first");
    (void)hotel_shutdown(0);
}

/* ---- How spans go there --------------------------------------------------------------------- */

static void test_request(void) {
    hotel_config config = environment_config();
    clear_environment();
    memset(&taken, 0, sizeof taken);
    set_variable(H "TOKEN=@0");
    set_variable(NONE);
    set_variable("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf");
    set_variable("OTEL_EXPORTER_OTLP_INSECURE=false");
    set_variable("OTEL_EXPORTER_OTLP_TIMEOUT=1234");
    set_variable("OTEL_BSP_SCHEDULE_DELAY=4321");
    config.hatchet.collector.transport = &taking;
    config.hatchet.collector.endpoint = "nonsense";
    config.hatchet.collector.max_queue_size = 777;
    is_int(hotel_init(&config), HOTEL_OK, "a request to Hatchet") || (log_show(), 0);
    ok(hatchet()->grpc, "goes by gRPC");
    ok(strstr(describe(), "timeout_ms=1234\n  schedule_delay_ms=4321\n  max_queue_size=777\n"),
       "timeout, delay and queue are those of variables and code");
    end_spans(1);
    (void)!hotel_flush(50);
    is_int(taken.opened, 1, "one connection");
    is_str(taken.host, "engine.example", "to the host");
    is_int(taken.port, 7077, "and the port");
    check_secrets("a request to Hatchet");
    (void)hotel_shutdown(0);
}

static void test_limits(void) {
    hotel_config config = environment_config();
    hotel_destination own = destination("http://own:1");
    clear_environment();
    set_variable(H "TOKEN=@0");
    set_variable(NONE);
    (void)hotel_release();
    config.arena_bytes = (size_t)64 << 20;
    config.destinations = &own;
    config.num_destinations = 1;
    own.max_export_batch_size = config.hatchet.collector.max_export_batch_size = 1500;
    own.max_request_bytes = config.hatchet.collector.max_request_bytes = 5u << 20;
    is_int(hotel_init(&config), HOTEL_OK, "more than Hatchet takes");
    is_int(hatchet()->max_batch, 1000, "at most 1000 spans");
    is_int(hatchet()->max_bytes, 4194304, "at most 4 MiB");
    is_int(hoteli_g.destinations[0]->max_batch, 1500, "to others as many as they are told");
    is_int(hoteli_g.destinations[0]->max_bytes, 5 << 20, "and as large");
    check_log(HOTEL_LOG_ID_BAD_CONFIG, 2, "both are named");
    (void)hotel_shutdown(0);
    (void)hotel_release();
    log_clear();
    config.arena_bytes = 0;
    config.hatchet.collector.max_export_batch_size = 1000;
    config.hatchet.collector.max_request_bytes = 4194304;
    is_int(hotel_init(&config), HOTEL_OK, "as much as Hatchet takes");
    is_int(hatchet()->max_batch, 1000, "1000 spans");
    is_int(hatchet()->max_bytes, 4194304, "4 MiB");
    check_log(HOTEL_LOG_ID_BAD_CONFIG, 0, "nothing to complain about");
    (void)hotel_shutdown(0);
    (void)hotel_release();
}

/* ---- Memory --------------------------------------------------------------------------------- */

static int blocks, allocations_left;

static void *take_memory(size_t size, void *user_data) {
    (void)user_data;
    if (allocations_left-- == 0) return NULL;
    blocks++;
    return malloc(size);
}

static void give_memory(void *memory, void *user_data) {
    (void)user_data;
    blocks--;
    free(memory);
}

static void test_memory(void) {
    static char block[1 << 18] __attribute__((aligned(16)));
    hotel_config config = environment_config();
    int i;
    clear_environment();
    write_file(".env", "HATCHET_CLIENT_TOKEN=%s\nHATCHET_CLIENT_TLS_STRATEGY=none\n", tokens[TOKEN_GOOD]);
    config.hatchet.env_folder = folder;
    config.allocator.allocate_fn = take_memory;
    config.allocator.free_fn = give_memory;
    for (i = 0; i < 4; i++) {
        hotel_result result;
        log_clear();
        allocations_left = i;
        result = hotel_init(&config);
        if (i == 0) {
            is_int(result, HOTEL_ERR_TOKEN, "no memory for the files");
            ok(log_has("no memory to read its files"), "is said");
            is_str(destinations(), "localhost:4318", "the rest is started");
        } else if (i < 3) {
            is_int(result, HOTEL_ERR_MEMORY, "memory for the files, not for the rest");
        } else {
            is_int(result, HOTEL_OK, "memory for all");
            is_int(blocks, 2, "that for files has been given back");
            is_str(address(), "http://engine.example:7077", "what stood there lives on");
        }
        (void)hotel_shutdown(0);
        (void)hotel_release();
        is_int(blocks, 0, "all memory has been given back");
    }
    allocations_left = -1;
    config.memory = block;
    config.memory_bytes = sizeof block;
    is_int(hotel_init(&config), HOTEL_OK, "in a block of memory") || (log_show(), 0);
    is_str(address(), "http://engine.example:7077", "there is Hatchet's destination");
    is_int(blocks, 0, "and nothing else is held");
    (void)hotel_shutdown(0);
    (void)hotel_release();
    no_files();
}

/* ---- The quiet after UNIMPLEMENTED ---------------------------------------------------------- */

static void test_quiet(void) {
    hotel_config config = environment_config();
    hotel_destination_stats stats;
    hoteli_destination *d;
    int64_t now = hoteli_now_ms();
    clear_environment();
    memset(&taken, 0, sizeof taken);
    set_variable(H "TOKEN=@0");
    set_variable(NONE);
    config.hatchet.collector.transport = &taking;
    config.hatchet.collector.timeout_ms = 100;
    is_int(hotel_init(&config), HOTEL_OK, "a collector that is switched off");
    open_books();
    d = hatchet();
    hoteli_quiet(d, now);
    hoteli_quiet(d, now + 1000);
    check_log(HOTEL_LOG_ID_COLLECTOR_OFF, 1, "one message for two refusals");
    ok(log_has("SERVER_OBSERVABILITY_ENABLED=true"), "which names the setting of the engine");
    is_int(d->quiet_ms, now + 301000, "five minutes from the last one");
    end_spans(700);
    is_int(hotel_flush(60000), HOTEL_ERR_FAILED, "a flush fails");
    ok(hoteli_now_ms() - now < 30000, "at once");
    (void)hotel_get_destination_stats(0, &stats);
    is_int(stats.failed, 700, "the spans count as failed");
    is_int(stats.requests, 0, "without a request");
    is_int(taken.opened, 0, "or a connection");
    end_spans(600);
    (void)hotel_poll(0);
    (void)hotel_get_destination_stats(0, &stats);
    is_int(stats.failed, 700 + 512, "a batch that is due fails");
    is_int(stats.queued, 88, "what is not due waits");
    d->quiet_ms = hoteli_now_ms() - 1;
    (void)!hotel_flush(50);
    is_int(taken.opened, 1, "after the five minutes there is a request again");
    (void)!hotel_flush(2000);
    (void)hotel_get_destination_stats(0, &stats);
    is_int(stats.failed, 1300, "which fails in another way");
    is_int(d->quiet_ms, 0, "so it is no longer quiet");
    log_clear();
    hoteli_quiet(d, hoteli_now_ms());
    check_log(HOTEL_LOG_ID_COLLECTOR_OFF, 1, "the next time is said again");
    end_spans(3);
    (void)hotel_shutdown(1000);
    check_books("a collector that is switched off");
}

/* A server that is Hatchet's engine as far as the settings go. */
static hotel_config engine_config(const grpc_server *engine) {
    static char host_port[64];
    hotel_config config = environment_config();
    clear_environment();
    (void)snprintf(host_port, sizeof host_port, "127.0.0.1:%u", (unsigned)engine->http.port);
    config.hatchet.token = tokens[TOKEN_GOOD];
    config.hatchet.host_port = host_port;
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_NONE;
    return config;
}

/* A proxy that knows no such path is another trouble. */
static void test_wrong_place(void) {
    static const server_step steps[] = {{.reply = "trailers :status=404"}, {.reply = GRPC_OK}};
    grpc_server engine;
    hotel_config config;
    if (!grpc_start(&engine, steps, COUNT(steps))) abort();
    config = engine_config(&engine);
    is_int(hotel_init(&config), HOTEL_OK, "something in front of the engine");
    open_books();
    end_spans(5);
    is_int(hotel_flush(10000), HOTEL_ERR_FAILED, "that says HTTP status 404");
    check_log(HOTEL_LOG_ID_COLLECTOR_OFF, 0, "404 is not the engine's");
    ok(log_has("404"), "the log says what it was") || (log_show(), 0);
    end_spans(6);
    is_int(hotel_flush(10000), HOTEL_OK, "the next are sent");
    (void)hotel_shutdown(1000);
    server_stop(&engine.http);
    check_books("something in front of the engine");
    server_release(&engine.http);
}

static void test_switched_off(void) {
    static const server_step steps[] = {{.reply = "only 12 grpc-message=unknown~service"},
                                        {.reply = GRPC_OK},
                                        {.reply = "only 16 grpc-message=invalid~auth~token"},
                                        {.reply = GRPC_OK}};
    static const hotel_header ours[] = {{"x-ours", "s3cr3t"}};
    grpc_server engine;
    hotel_config config;
    char value[1200], bearer[1200];
    const char *head;
    if (!grpc_start(&engine, steps, COUNT(steps))) abort();
    config = engine_config(&engine);
    config.hatchet.collector.headers = ours;
    config.hatchet.collector.num_headers = 1;
    set_variable("OTEL_EXPORTER_OTLP_HEADERS=x-generic=s3cr3t");
    is_int(hotel_init(&config), HOTEL_OK, "an engine whose collector is switched off");
    open_books();
    end_spans(5);
    is_int(hotel_flush(10000), HOTEL_ERR_FAILED, "the first spans are lost");
    check_log(HOTEL_LOG_ID_COLLECTOR_OFF, 1, "UNIMPLEMENTED");
    is_int(log_count_all(), 1, "and nothing else is said") || (log_show(), 0);
    end_spans(6);
    is_int(hotel_flush(10000), HOTEL_ERR_FAILED, "so are the next");
    is_int(server_num_requests(&engine.http), 1, "for which there is no request");
    is_int(since_opened(0).failed, 11, "all of them failed");
    (void)snprintf(bearer, sizeof bearer, "Bearer %s", tokens[TOKEN_GOOD]);
    head = server_request_at(&engine.http, 0)->head;
    is_str(server_header_in(head, "authorization", 0, value, sizeof value), bearer,
           "the token is sent");
    ok(strstr(head, "x-ours") == NULL && strstr(head, "x-generic") == NULL,
       "headers of others are not");
    hatchet()->quiet_ms = hoteli_now_ms() - 1;
    end_spans(7);
    is_int(hotel_flush(10000), HOTEL_OK, "five minutes later it has been switched on");
    is_int(since_opened(0).accepted, 7, "and takes spans");
    check_log(HOTEL_LOG_ID_EXPORT_RECOVERED, 1, "which is said");
    end_spans(8);
    is_int(hotel_flush(10000), HOTEL_ERR_FAILED, "a token that is revoked meanwhile");
    ok(log_has("UNAUTHENTICATED") && log_has("invalid auth token"), "is said") || (log_show(), 0);
    end_spans(9);
    is_int(hotel_flush(10000), HOTEL_OK, "and does not make it quiet");
    check_secrets("answers of the engine");
    (void)hotel_shutdown(5000);
    server_stop(&engine.http);
    is_int(engine.http.num_bad, 0, "every request was right (%s)", engine.http.problem);
    check_books("an engine whose collector is switched off");
    server_release(&engine.http);
}

/* More spans, and larger ones, than the engine takes in one call. */
static void test_large(void) {
    static char payload[200001];
    grpc_server engine;
    hotel_config config;
    size_t most_spans = 0, most_bytes = 0;
    unsigned i;
    if (!grpc_start(&engine, NULL, 0)) abort();
    config = engine_config(&engine);
    config.arena_bytes = (size_t)64 << 20;
    config.hatchet.collector.max_queue_size = 8192;
    config.hatchet.collector.max_export_batch_size = 8192;
    config.hatchet.collector.max_request_bytes = 64u << 20;
    config.hatchet.collector.schedule_delay_ms = 600000;
    memset(payload, 'p', sizeof payload - 1);
    (void)hotel_release();
    is_int(hotel_init(&config), HOTEL_OK, "limits above those of the engine");
    open_books();
    end_spans(3500);
    is_int(hotel_flush(20000), HOTEL_OK, "3500 small spans");
    for (i = 0; i < 50; i++) {
        hotel_span span = hotel_start("large");
        hotel_set_str(&span, "payload", payload);
        hotel_end(&span);
    }
    is_int(hotel_flush(20000), HOTEL_OK, "10 MB of large ones");
    for (i = 0; i < server_num_requests(&engine.http); i++) {
        const server_request *r = server_request_at(&engine.http, i);
        if (r->num_spans > most_spans) most_spans = r->num_spans;
        if (r->body.size > most_bytes) most_bytes = r->body.size;
    }
    is_int(most_spans, 1000, "1000 spans in a call");
    ok(most_bytes > 3800000 && most_bytes <= 4194304, "%u bytes in a call", (unsigned)most_bytes);
    is_int(server_num_spans(&engine.http), 3550, "every span arrived");
    (void)hotel_shutdown(5000);
    (void)hotel_release();
    server_stop(&engine.http);
    is_int(engine.http.num_bad, 0, "every request was right (%s)", engine.http.problem);
    check_books("large batches");
    server_release(&engine.http);
}

int main(void) {
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)snprintf(folder, sizeof folder, "%s", "/tmp/hatchet_otel.XXXXXX");
    if (mkdtemp(folder) == NULL) abort();
    make_tokens();
    test_rows();
    test_tls_rows();
    test_no_tls();
    test_tls_plan();
    test_code();
    test_names();
    test_files();
    test_bad_files();
    test_which();
    test_further_provider();
    test_request();
    test_limits();
    test_memory();
    test_quiet();
    test_switched_off();
    test_wrong_place();
    test_large();
    no_files();
    (void)rmdir(folder);
    return done_testing();
}
