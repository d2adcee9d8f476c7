/*
 * SPDX-License-Identifier: MIT
 *
 * Endpoints.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

/* "tls|unix|plain host port authority path" or "error: reason". */
static void describe(const char *text, size_t size, char *out, size_t capacity) {
    hoteli_url url;
    const char *reason = hoteli_url_parse(guard_copy(0, text, size), size, &url);
    if (reason != NULL) {
        (void)snprintf(out, capacity, "error: %s", reason);
    } else {
        (void)snprintf(out, capacity, "%s %s %d %s %.*s",
                       url.is_unix ? "unix"
                       : url.tls   ? "tls"
                                   : "plain",
                       url.host, (int)url.port, url.authority, (int)url.path_size,
                       url.path_size > 0 ? url.path : "");
    }
}

static void check(const char *id, const char *text, const char *want) {
    char got[1024];
    describe(text, strlen(text), got, sizeof got);
    is_str(got, want, "%s %s", id, text);
}

#define BAD_PORT "error: the port is not a number from 1 to 65535"
#define BAD_HOST "error: the host name has a character that cannot be in one"
#define BAD_IPV6 "error: the IPv6 address has a character that cannot be in one"
#define BAD_SCHEME "error: it does not begin with http://, https:// or unix:"
#define BAD_PATH "error: the path has a character that must be percent-encoded"
#define BAD_BYTE "error: it has a space or a control character in it"

static void test_accepted(void) {
    check("OU-01", "http://h:4318", "plain h 4318 h:4318 ");
    check("OU-02", "http://h:4318/", "plain h 4318 h:4318 /");
    check("OU-03", "http://h/base/", "plain h 80 h /base/");
    check("OU-04", "http://h/v1/traces", "plain h 80 h /v1/traces");
    check("OU-05", "http://h:4318", "plain h 4318 h:4318 ");
    check("OU-06", "http://h/x//y/../z/", "plain h 80 h /x//y/../z/");
    check("OU-07", "http://h", "plain h 80 h ");
    check("OU-07", "https://h", "tls h 443 h ");
    check("OU-07", "http://h:80/a", "plain h 80 h /a");
    check("OU-07", "https://h:443", "tls h 443 h ");
    check("OU-07", "http://h:443", "plain h 443 h:443 ");
    check("OU-07", "https://h:80", "tls h 80 h:80 ");
    check("OU-07", "http://h:00080", "plain h 80 h ");
    check("OU-10", "http://[::1]:4318", "plain ::1 4318 [::1]:4318 ");
    check("OU-10", "https://[2001:db8::1]/x", "tls 2001:db8::1 443 [2001:db8::1] /x");
    check("OU-10", "http://[::ffff:10.0.0.1]", "plain ::ffff:10.0.0.1 80 [::ffff:10.0.0.1] ");
    check("OX-01", "HTTPS://API.Example.com/p", "tls API.Example.com 443 API.Example.com /p");
    check("OX-01", "http://127.0.0.1:1/", "plain 127.0.0.1 1 127.0.0.1:1 /");
    check("OX-01", "http://h:65535", "plain h 65535 h:65535 ");
    check("OX-01", "http://a_b-c.d.:4318", "plain a_b-c.d. 4318 a_b-c.d.:4318 ");
    check("OX-01", "http://user:secret@h:4318/p", "plain h 4318 h:4318 /p");
    check("OX-01", "http://a@b@h/p", "plain h 80 h /p");
    check("OX-01", "http://u:p@[::1]:9/p", "plain ::1 9 [::1]:9 /p");
    check("OX-01", "http://h/p?query=1#x", "plain h 80 h /p");
    check("OX-01", "http://h?query", "plain h 80 h ");
    check("OX-01", "http://h#fragment", "plain h 80 h ");
    check("OX-01", "http://h:8/p#a/b?c", "plain h 8 h:8 /p");
    check("OX-01", "http://h/a@b:c", "plain h 80 h /a@b:c");
    check("OX-01", "http://h/%E2%82%AC~", "plain h 80 h /%E2%82%AC~");
    check("unix:", "unix:/run/otel.sock", "unix /run/otel.sock 0 localhost ");
    check("unix:", "UNIX:/s", "unix /s 0 localhost ");
    check("unix:", "unix:///run/otel.sock", "unix /run/otel.sock 0 localhost ");
    check("unix:", "unix:/a.sock:/v1/traces", "unix /a.sock 0 localhost /v1/traces");
    check("unix:", "unix:/a.sock:/", "unix /a.sock 0 localhost /");
    check("unix:", "unix:/a.sock:/x?q", "unix /a.sock 0 localhost /x");
    check("unix:", "unix:/a:b?c#d", "unix /a:b?c#d 0 localhost ");
    check("unix:", "unix:/\xC3\xA9", "unix /\xC3\xA9 0 localhost ");
}

static void test_refused(void) {
    check("OX-01", "", BAD_SCHEME);
    check("OX-01", "localhost:4318", BAD_SCHEME);
    check("OX-01", "http:/h", BAD_SCHEME);
    check("OX-01", "http", BAD_SCHEME);
    check("OX-01", "ftp://h", BAD_SCHEME);
    check("OX-01", "httpx://h", BAD_SCHEME);
    check("OX-01", "//h", BAD_SCHEME);
    check("OX-01", "http://", "error: it has no host");
    check("OX-01", "https://", "error: it has no host");
    check("OX-01", "https:///path", "error: it has no host");
    check("OX-01", "http://:4318", "error: it has no host");
    check("OX-01", "http://user@", "error: it has no host");
    check("OX-01", "http://[]:1", "error: it has no host");
    check("OX-01", "http://h:", BAD_PORT);
    check("OX-01", "http://h:/p", BAD_PORT);
    check("OX-01", "http://h:0", BAD_PORT);
    check("OX-01", "http://h:65536", BAD_PORT);
    check("OX-01", "http://h:99999999999", BAD_PORT);
    check("OX-01", "http://h:-1", BAD_PORT);
    check("OX-01", "http://h:+1", BAD_PORT);
    check("OX-01", "http://h:80x", BAD_PORT);
    check("OX-01", "http://[::1]4318", BAD_PORT);
    check("OX-01", "http://[::1]:", BAD_PORT);
    check("OX-01", "http://[::1]::1", BAD_PORT);
    check("OU-10", "http://::1", "error: it has no host");
    check("OU-10", "http://fe80::1:4318", "error: an IPv6 address needs brackets around it");
    check("OU-10", "http://[::1", "error: the IPv6 address has no closing bracket");
    check("OU-10", "http://[", "error: the IPv6 address has no closing bracket");
    check("OU-10", "http://[::1/]", "error: the IPv6 address has no closing bracket");
    check("OU-10", "http://[fe80::1%25eth0]", BAD_IPV6);
    check("OU-10", "http://[host]", BAD_IPV6);
    check("OU-10", "http://[127.0.0.1]", "error: what is in the brackets is not an IPv6 address");
    check("OU-10", "http://[c0de]:1", "error: what is in the brackets is not an IPv6 address");
    check("OX-01", "http://h\\x", BAD_HOST);
    check("OX-01", "http://a,b", BAD_HOST);
    check("OX-01", "http://a%41", BAD_HOST);
    check("OX-01", "http://x[::1]", BAD_HOST);
    check("OX-01", "http://\xC3\xA9t\xC3\xA9", BAD_HOST);
    check("OX-01", "http://h/\xC3\xA9", BAD_PATH);
    check("OX-01", "http://h /p", BAD_BYTE);
    check("OX-01", " http://h", BAD_BYTE);
    check("OX-01", "http://h/a b", BAD_BYTE);
    check("OX-01", "http://h/\r\nHost: x", BAD_BYTE);
    check("OX-01", "http://h/\x7F", BAD_BYTE);
    check("OX-01", "unix:/a b", BAD_BYTE);
    check("unix:", "unix:", "error: unix: needs the absolute path of a socket");
    check("unix:", "unix:run/s", "error: unix: needs the absolute path of a socket");
    check("unix:", "unix:/", "error: unix: needs the absolute path of a socket");
    check("unix:", "unix:///", "error: unix: needs the absolute path of a socket");
    check("unix:", "unix:/s:/\xC3\xA9", BAD_PATH);
}

static void test_lengths(void) {
    char text[600], got[1024], want[1024];
    memcpy(text, "http://", 7);
    memset(text + 7, 'a', 300);
    memcpy(text + 7 + 255, ":65535", 7);
    describe(text, 7 + 255 + 6, got, sizeof got);
    (void)snprintf(want, sizeof want, "plain %.255s 65535 %.255s:65535 ", text + 7, text + 7);
    is_str(got, want, "OX-01 a host name of 255 bytes with the longest port");
    memset(text + 7, 'a', 300);
    describe(text, 7 + 256, got, sizeof got);
    is_str(got, "error: the host name is longer than 255 bytes", "OX-01 a host name of 256 bytes");
    memcpy(text, "http://[", 8);
    memset(text + 8, ':', 300);
    memcpy(text + 8 + 255, "]:65535", 8);
    describe(text, 8 + 255 + 7, got, sizeof got);
    (void)snprintf(want, sizeof want, "plain %.255s 65535 [%.255s]:65535 ", text + 8, text + 8);
    is_str(got, want, "OX-01 255 bytes between brackets");
    memcpy(text, "unix:/", 6);
    memset(text + 6, 'a', 300);
    describe(text, 5 + 107, got, sizeof got);
    (void)snprintf(want, sizeof want, "unix %.107s 0 localhost ", text + 5);
    is_str(got, want, "unix: a path of 107 bytes");
    describe(text, 5 + 108, got, sizeof got);
    is_str(got, "error: the path of the socket is longer than 107 bytes",
           "unix: a path of 108 bytes");
    describe("http://h\0x", 10, got, sizeof got);
    is_str(got, BAD_BYTE, "OX-01 a NUL in the text");
}

/* No cut and no replaced byte may lead beyond the text; the guard page sees to that. */
static void test_damaged(void) {
    static const char text[] = "https://user:pw@[2001:db8::1]:4318/v1/traces?q#f";
    static const char local[] = "unix:///run/a.sock:/v1/traces?q";
    size_t i;
    unsigned c;
    int num_fine = 0;
    char got[1024], damaged[sizeof text];
    for (i = 0; i < sizeof text; i++) {
        describe(text, i, got, sizeof got);
        num_fine += got[0] != 0;
        describe(local, i < sizeof local ? i : 0, got, sizeof got);
        num_fine += got[0] != 0;
        for (c = 0; i < sizeof text - 1 && c < 256; c++) {
            memcpy(damaged, text, sizeof text);
            damaged[i] = (char)c;
            describe(damaged, sizeof text - 1, got, sizeof got);
            num_fine += got[0] != 0;
        }
    }
    is_int(num_fine, 2 * sizeof text + 256 * (sizeof text - 1),
           "every cut and every replaced byte gives a result or a reason");
}

/* host:port, as gRPC names a server. */
static void test_targets(void) {
    static const struct {
        const char *text;
        bool tls;
        const char *want; /* host, port, authority; or the reason */
    } rows[] = {
        {"collector:4317", false, "collector 4317 collector:4317"},
        {"collector", false, "collector 80 collector"},
        {"collector", true, "collector 443 collector"},
        {"[::1]:4317", true, "::1 4317 [::1]:4317"},
        {"collector: 4317", false, "it has a space or a control character in it"},
        {"collector:0", true, "the port is not a number from 1 to 65535"},
        {"", false, "it has no host"},
    };
    size_t i;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hoteli_url url;
        char got[700];
        const char *reason =
            hoteli_url_target(rows[i].text, strlen(rows[i].text), rows[i].tls, &url);
        (void)snprintf(got, sizeof got, "%s %u %s", url.host, (unsigned)url.port, url.authority);
        is_str(reason != NULL ? reason : got, rows[i].want, "OX-02 \"%s\"", rows[i].text);
        ok(reason != NULL || url.tls == rows[i].tls, "OX-03 ... with TLS or without");
    }
}

int main(void) {
    test_targets();
    test_accepted();
    test_refused();
    test_lengths();
    test_damaged();
    return done_testing();
}
