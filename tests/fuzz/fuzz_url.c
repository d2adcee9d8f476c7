/*
 * SPDX-License-Identifier: MIT
 *
 * An endpoint. What is parsed means the same when it is put together again, in capitals, with
 * userinfo, query and fragment, or with its default port.
 */
#include "fuzz.h"

static bool within(const char *part, size_t part_size, const char *text, size_t size) {
    return part >= text && part <= text + size && part_size <= (size_t)(text + size - part);
}

static const char *scheme_of(const hoteli_url *url) {
    return url->is_unix ? "unix:" : url->tls ? "https://" : "http://";
}

/* The URL of which `userinfo`, `authority` and `tail` may be other than those of `url`. */
static char *join(const hoteli_url *url, const char *scheme, const char *userinfo,
                  const char *authority, const char *tail, size_t *size) {
    size_t room = strlen(userinfo) + strlen(authority) + url->path_size + strlen(tail) + 32;
    char *text = (char *)fuzz_alloc(room);
    int head = snprintf(text, room, "%s%s%s%s", scheme, userinfo, authority,
                        url->is_unix && url->path_size > 0 ? ":" : "");
    *size = (size_t)head;
    if (url->path_size > 0) memcpy(text + *size, url->path, url->path_size);
    *size += url->path_size;
    memcpy(text + *size, tail, strlen(tail));
    *size += strlen(tail);
    return text;
}

/* Parsed again it is the same; a default port may be spelled out in the authority. */
static void check_same(const hoteli_url *url, const char *scheme, const char *userinfo,
                       const char *authority, const char *tail) {
    hoteli_url again;
    size_t size;
    char *text = join(url, scheme, userinfo, authority, tail, &size);
    char *exact = (char *)fuzz_alloc(size);
    memcpy(exact, text, size);
    FUZZ_CHECK(hoteli_url_parse(exact, size, &again) == NULL);
    FUZZ_CHECK(strcmp(url->host, again.host) == 0 && url->port == again.port);
    FUZZ_CHECK(strcmp(url->authority, again.authority) == 0);
    FUZZ_CHECK(url->tls == again.tls && url->is_unix == again.is_unix);
    FUZZ_CHECK(url->path_size == again.path_size);
    FUZZ_CHECK(url->path_size == 0 || memcmp(url->path, again.path, url->path_size) == 0);
    free(exact);
    free(text);
}

static void check_host(const hoteli_url *url) {
    const char *host = url->host, *c;
    FUZZ_CHECK(host[0] != 0 && memchr(host, 0, sizeof url->host) != NULL);
    FUZZ_CHECK(memchr(url->authority, 0, sizeof url->authority) != NULL);
    if (url->is_unix) {
        FUZZ_CHECK(host[0] == '/' && strlen(host) <= 107 && url->port == 0);
        FUZZ_CHECK(strcmp(url->authority, "localhost") == 0);
        return;
    }
    FUZZ_CHECK(url->port != 0);
    for (c = url->authority; *c != 0; c++) FUZZ_CHECK(*c > ' ' && *c < 0x7F && *c != '@');
    for (c = host; *c != 0; c++) FUZZ_CHECK(strchr("/?#@[]%\\", *c) == NULL);
    if (url->authority[0] == '[') {
        FUZZ_CHECK(strncmp(url->authority + 1, host, strlen(host)) == 0);
        FUZZ_CHECK(url->authority[strlen(host) + 1] == ']');
    } else {
        FUZZ_CHECK(strncmp(url->authority, host, strlen(host)) == 0 && strchr(host, ':') == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *problem, *scheme;
    char with_port[320];
    hoteli_url url, again;
    size_t i;
    problem = hoteli_url_parse(text, size, &url);
    FUZZ_CHECK(problem == hoteli_url_parse(text, size, &again));
    if (problem != NULL) {
        FUZZ_CHECK(problem[0] != 0);
        return 0;
    }
    check_host(&url);
    FUZZ_CHECK(url.path_size == 0 ||
               (within(url.path, url.path_size, text, size) && url.path[0] == '/'));
    for (i = 0; i < url.path_size; i++) {
        FUZZ_CHECK(url.path[i] > ' ' && url.path[i] < 0x7F && url.path[i] != '?' &&
                   url.path[i] != '#');
    }
    scheme = scheme_of(&url);
    if (url.is_unix) {
        check_same(&url, scheme, "", url.host, "");
        check_same(&url, "UNIX:", "", url.host, "");
        if (url.path_size > 0) check_same(&url, scheme, "", url.host, "?q=1#f");
        return 0;
    }
    check_same(&url, scheme, "", url.authority, "");
    check_same(&url, url.tls ? "HTTPS://" : "hTTP://", "user:p%40w@", url.authority, "?a#b");
    check_same(&url, scheme, "a@b:c@", url.authority, "#/path");
    (void)snprintf(with_port, sizeof with_port, "%s%s%s:%05u", strchr(url.host, ':') ? "[" : "",
                   url.host, strchr(url.host, ':') ? "]" : "", url.port);
    if (url.port == (url.tls ? 443 : 80)) {
        check_same(&url, scheme, "", with_port, "");
    }
    return 0;
}
