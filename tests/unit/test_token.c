/*
 * SPDX-License-Identifier: MIT
 *
 * Hatchet's token: which part is malformed, what its claims say. And PEM text, as far as it is
 * looked at before TLS decodes it.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(char *out, const char *text, size_t size) {
    size_t i;
    for (i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)text[i] << 16;
        size_t left = size - i;
        if (left > 1) bits |= (uint32_t)(unsigned char)text[i + 1] << 8;
        if (left > 2) bits |= (uint32_t)(unsigned char)text[i + 2];
        *out++ = base64url[bits >> 18];
        *out++ = base64url[bits >> 12 & 63];
        if (left > 1) *out++ = base64url[bits >> 6 & 63];
        if (left > 2) *out++ = base64url[bits & 63];
    }
    *out = 0;
}

/* A token with these claims. */
static const char *token_of(const char *claims) {
    static char token[16384];
    char *out = token + sprintf(token, "eyJhbGciOiJFUzI1NiJ9.");
    encode(out, claims, strlen(claims));
    strcat(out, ".c2lnbmF0dXJl");
    return token;
}

static const char *parse(const char *token, size_t size, hoteli_claims *claims) {
    memset(claims, 0x5A, sizeof *claims);
    return hoteli_token_parse(guard_copy(0, token, size), size, claims);
}

/* ---- base64url ------------------------------------------------------------------------------ */

static void test_base64url(void) {
    static const char *const vectors[][2] = {{"f", "Zg"},         {"fo", "Zm8"},
                                             {"foo", "Zm9v"},     {"foob", "Zm9vYg"},
                                             {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
                                             {"\xff\xfe\xfd", "__79"}, {"\xfb\xef\xbe", "----"}};
    static const char *const bad[] = {"", "Z", "Zm9vY", "Zm9v+", "Zm9/", "Zg==", "Zm 9", "Zm9v\n"};
    char text[256], coded[512], back[256], *out;
    size_t i, used, size;
    for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size = strlen(vectors[i][1]);
        out = guard_room(1, strlen(vectors[i][0]));
        ok(hoteli_base64url_decode(guard_copy(0, vectors[i][1], size), size, out, &used),
           "RFC 4648: %s", vectors[i][1]);
        is_mem(out, used, vectors[i][0], strlen(vectors[i][0]), "and its bytes");
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size = strlen(bad[i]);
        ok(!hoteli_base64url_decode(guard_copy(0, bad[i], size), size, NULL, &used),
           "not base64url: \"%s\"", bad[i]);
    }
    for (i = 0; i < 256; i++) text[i] = (char)(i * 167 + 13);
    for (i = 1; i < 256; i++) {
        encode(coded, text, i);
        if (!hoteli_base64url_decode(coded, strlen(coded), back, &used) || used != i ||
            memcmp(text, back, i) != 0)
            break;
    }
    is_int(i, 256, "every length comes back as it was");
}

/* ---- claims --------------------------------------------------------------------------------- */

static void test_claims(void) {
    hoteli_claims c;
    const char *token = token_of("{\"aud\":\"http://localhost:8080\",\"exp\":1735689600,"
                                 "\"grpc_broadcast_address\":\"engine.example:7077\",\"iat\":1,"
                                 "\"iss\":\"x\",\"server_url\":\"http://localhost:8080\","
                                 "\"sub\":\"707d0855-80ab-4e1f-a156-f1c4546cbf52\"}");
    is_str(parse(token, strlen(token), &c), NULL, "a token as Hatchet makes it");
    is_str(c.tenant, "707d0855-80ab-4e1f-a156-f1c4546cbf52", "the tenant");
    is_str(c.address, "engine.example:7077", "the address");
    is_int(c.expires, 1735689600, "the expiry");
    token = token_of("{}");
    is_str(parse(token, strlen(token), &c), NULL, "a token without claims");
    is_str(c.tenant, "", "no tenant");
    is_str(c.address, "", "no address");
    ok(c.expires == INT64_MAX, "never expires");
    token = token_of("{\"sub\":\"\\u0061\\/\",\"\\u0073ub\":\"b\\u00e9\"}");
    is_str(parse(token, strlen(token), &c), NULL, "escapes, and a claim twice");
    is_str(c.tenant, "b\xc3\xa9", "the last one");
}

static void test_expiry(void) {
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {{"0", 0},
                {"1", 1},
                {"4102444800", 4102444800},
                {"1735689600.75", 1735689600},
                {"1735689600.0", 1735689600},
                {"-1", 0},
                {"-0.5", 0},
                {"1e9", -1},
                {"1.5e9", -1},
                {"1.5E+9", -1},
                {"\"1735689600\"", -1},
                {"true", -1},
                {"null", -1},
                {"[1]", -1},
                {"{}", -1}};
    char claims[128];
    hoteli_claims c;
    size_t i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *token, *problem;
        (void)snprintf(claims, sizeof claims, "{\"exp\":%s}", rows[i].text);
        token = token_of(claims);
        problem = parse(token, strlen(token), &c);
        if (rows[i].want < 0) {
            is_str(problem, "its claim exp is not a time in seconds", "exp %s", rows[i].text);
        } else {
            is_str(problem, NULL, "exp %s", rows[i].text);
            is_int(c.expires, rows[i].want, "and its value");
        }
    }
    (void)snprintf(claims, sizeof claims, "{\"exp\":%0100d9}", 0);
    claims[7] = '9';
    {
        const char *token = token_of(claims);
        is_str(parse(token, strlen(token), &c), NULL, "exp of 101 digits");
        ok(c.expires > INT64_C(90000000000000000), "is far away");
    }
}

static void test_time(void) {
    static const struct {
        int64_t at;
        const char *want;
    } rows[] = {{0, "1970-01-01 00:00:00"},          {951782399, "2000-02-28 23:59:59"},
                {951782400, "2000-02-29 00:00:00"},  {951868800, "2000-03-01 00:00:00"},
                {1704067199, "2023-12-31 23:59:59"}, {1735689600, "2025-01-01 00:00:00"},
                {4107542400, "2100-03-01 00:00:00"}, {4107542399, "2100-02-28 23:59:59"},
                {253402300799, "9999-12-31 23:59:59"}, {-1, "1969-12-31 23:59:59"},
                {-2208988801, "1899-12-31 23:59:59"}, {-11644473600, "1601-01-01 00:00:00"}};
    char words[64];
    hoteli_text text;
    size_t i;
    int64_t day;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hoteli_text_start(&text, words, sizeof words);
        hoteli_say_date(&text, rows[i].at, " ");
        is_str(words, rows[i].want, "a time");
    }
    for (day = 0; day < 200000; day++) {
        char want[64];
        time_t at = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_say_date(&text, (int64_t)at, " ");
        if (gmtime_r(&at, &tm) == NULL) break;
        (void)strftime(want, sizeof want, "%Y-%m-%d %H:%M:%S", &tm);
        if (strcmp(words, want) != 0) break;
        if (sizeof(time_t) < 8 && day > 24000) day = 199999;
    }
    is_int(day, 200000, "547 years of days as gmtime() has them");
}

/* ---- what is malformed ---------------------------------------------------------------------- */

static void refuses(const char *token, const char *want) {
    hoteli_claims c;
    const char *problem = parse(token, strlen(token), &c);
    is_str(problem, want, "%.60s", token);
}

static void test_malformed(void) {
    static const char begin[] = "it does not begin with \"ey\"",
                      parts[] = "it does not have three parts with dots between them",
                      first[] = "its first part, the header, is not base64url",
                      second[] = "its second part, the claims, is not base64url",
                      third[] = "its third part, the signature, is not base64url",
                      json[] = "its second part, the claims, is not a JSON object";
    char large[HOTELI_TOKEN_SIZE + 3];
    hoteli_claims c;
    size_t cut, whole;
    const char *token;
    refuses("e", begin);
    refuses("Bearer eyJ.e30.x", begin);
    refuses(" eyJ.e30.xxx", begin);
    refuses("\"eyJ.e30.xxx\"", begin);
    refuses("ey", parts);
    refuses("eyJh", parts);
    refuses("eyJh.e30", parts);
    refuses("eyJh.e30.abcd.abcd", parts);
    refuses("eyJh....", parts);
    refuses("eyJ h.e30.abcd", first);
    refuses("eyJhb.e30.abcd", first);
    refuses("eyJh=.e30.abcd", first);
    refuses("eyJh..abcd", second);
    refuses("eyJh.e30=.abcd", second);
    refuses("eyJh.e3+0.abcd", second);
    refuses("eyJh.e30.", third);
    refuses("eyJh.e30.abcd\n", third);
    refuses("eyJh.e30.abcd ", third);
    refuses("eyJh.e30.\xc3\xa9", third);
    refuses(token_of("[]"), json);
    refuses(token_of("null"), json);
    refuses(token_of(" "), json);
    refuses(token_of("{"), json);
    refuses(token_of("{}}"), json);
    refuses(token_of("{\"sub\":1,}"), json);
    refuses(token_of("{\"sub\":\"\xff\"}"), json);
    refuses(token_of("{\"sub\":7}"), "its claim sub is not the ID of a tenant");
    refuses(token_of("{\"sub\":\"a\\u0000b\"}"), "its claim sub is not the ID of a tenant");
    refuses(token_of("{\"sub\":\"0123456789012345678901234567890123456789012345678901234567890123\""
                     "}"),
            "its claim sub is not the ID of a tenant");
    refuses(token_of("{\"grpc_broadcast_address\":null}"),
            "its claim grpc_broadcast_address is not an address");
    memset(large, 'a', sizeof large);
    memcpy(large, "eyJh.e30.", 9);
    is_str(parse(large, HOTELI_TOKEN_SIZE, &c), NULL, "4088 bytes are a token");
    is_str(parse(large, HOTELI_TOKEN_SIZE + 1, &c), "it is longer than 4088 bytes", "4089 are not");
    token = token_of("{\"sub\":\"t\",\"grpc_broadcast_address\":\"h:1\",\"exp\":99}");
    whole = strlen(token);
    for (cut = 0; cut < whole; cut++) {
        const char *problem = parse(token, cut, &c);
        if (problem == NULL && cut < whole - 12) break;
    }
    is_int(cut, whole, "cut before its signature it is never a token");
}

/* ---- PEM ------------------------------------------------------------------------------------ */

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

static void pem(const char *text, const char *kind, const char *want) {
    is_str(hoteli_pem_check(guard_copy(0, text, strlen(text) + 1), kind), want, "%s in %.70s", kind,
           text);
}

static void test_pem(void) {
    static const char none[] = "it is not PEM: there is no -----BEGIN line",
                      no_certificate[] = "there is no certificate in it",
                      no_key[] = "there is no private key in it",
                      cut[] = "it is cut off: there is no -----END line",
                      flat[] = "it has no line breaks",
                      spelled[] = "line breaks in it are written as \\n";
    pem(CERTIFICATE, "CERTIFICATE", NULL);
    pem(CERTIFICATE CERTIFICATE, "CERTIFICATE", NULL);
    pem("some words\n" CERTIFICATE, "CERTIFICATE", NULL);
    pem("-----BEGIN CERTIFICATE-----\r\nMIIB\r\n-----END CERTIFICATE-----\r\n", "CERTIFICATE",
        NULL);
    pem("-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----",
        "CERTIFICATE", NULL);
    pem("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "PRIVATE KEY", NULL);
    pem("-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n"
        "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n",
        "PRIVATE KEY", NULL);
    pem(CERTIFICATE "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n",
        "PRIVATE KEY", NULL);
    pem("", "CERTIFICATE", none);
    pem("MIIB", "CERTIFICATE", none);
    pem("/etc/ssl/ca.pem", "CERTIFICATE", none);
    pem("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", "CERTIFICATE", none);
    pem("-----BEGIN", "CERTIFICATE", none);
    pem("-----BEGIN ", "CERTIFICATE", no_certificate);
    pem("-----BEGIN CERTIFICATE", "CERTIFICATE", no_certificate);
    pem("-----BEGIN -----\n", "CERTIFICATE", no_certificate);
    pem(CERTIFICATE, "PRIVATE KEY", no_key);
    pem("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "PRIVATE KEY", no_key);
    pem("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
        "CERTIFICATE", no_certificate);
    pem("-----BEGIN CERTIFICATE-----\nMIIB\n", "CERTIFICATE", cut);
    pem("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----", "CERTIFICATE", cut);
    pem("-----BEGIN CERTIFICATE-----\nMIIB\n-----END X509 CRL-----\n", "CERTIFICATE", cut);
    pem("-----BEGIN CERTIFICATE-----", "CERTIFICATE", flat);
    pem("-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----", "CERTIFICATE", flat);
    pem("-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----", "CERTIFICATE", spelled);
}

int main(void) {
    test_base64url();
    test_claims();
    test_expiry();
    test_time();
    test_malformed();
    test_pem();
    return done_testing();
}
