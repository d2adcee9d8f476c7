/* SPDX-License-Identifier: MIT
 *
 * otlp_post - the other side in the tests of `hatchet-otel serve`: makes OTLP requests and sends
 * them well, badly and maliciously.
 *
 *     otlp_post make NAME [N [FIRST]]       writes a request body to standard output
 *     otlp_post post WHERE FILE...          posts files over one connection, prints each reply
 *     otlp_post raw WHERE [end|drip|reset]  sends standard input as it is, prints what comes back
 *     otlp_post crowd WHERE COUNT SIZE      COUNT connections, each one byte short of a request
 *                                           of SIZE bytes (0: silent); then posts an empty request
 *     otlp_post fuzz WHERE FILE COUNT SEED  sends COUNT mutations of a request
 *     otlp_post wait FILE                   until the file exists
 *
 * WHERE is a port on 127.0.0.1 or unix:PATH. Exits with 0 unless something could not be done.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "otlp_post: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- Encoding ----------------------------------------------------------------------------- */

struct bytes {
    unsigned char *data;
    size_t size;
    size_t capacity;
};

static void put(struct bytes *out, const void *data, size_t size) {
    if (out->size + size > out->capacity) {
        out->capacity = 2 * (out->size + size) + 64;
        out->data = (unsigned char *)realloc(out->data, out->capacity);
        if (out->data == NULL) fail("realloc");
    }
    if (size > 0) memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put_text(struct bytes *out, const char *text) {
    put(out, text, strlen(text));
}

static void put_varint(struct bytes *out, uint64_t value) {
    unsigned char byte;
    while (value >= 0x80) {
        byte = (unsigned char)((value & 0x7f) | 0x80);
        put(out, &byte, 1);
        value >>= 7;
    }
    byte = (unsigned char)value;
    put(out, &byte, 1);
}

static void put_fixed(struct bytes *out, unsigned number, uint64_t value, unsigned size) {
    put_varint(out, number << 3 | (size == 8 ? 1 : 5));
    for (; size > 0; size--) {
        unsigned char byte = (unsigned char)(value & 0xff);
        put(out, &byte, 1);
        value >>= 8;
    }
}

static void put_number(struct bytes *out, unsigned number, uint64_t value) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

static void put_bytes(struct bytes *out, unsigned number, const void *data, size_t size) {
    put_varint(out, number << 3 | 2);
    put_varint(out, size);
    put(out, data, size);
}

static void put_string(struct bytes *out, unsigned number, const char *text) {
    put_bytes(out, number, text, strlen(text));
}

/* Ends a message that was built on its own: puts it into the outer one. */
static void put_message(struct bytes *out, unsigned number, struct bytes *message) {
    put_bytes(out, number, message->data, message->size);
    free(message->data);
    memset(message, 0, sizeof *message);
}

static void put_hex(struct bytes *out, unsigned number, const char *hex) {
    unsigned char id[64];
    size_t size = 0;
    for (; hex[0] != '\0' && hex[1] != '\0' && size < sizeof id; hex += 2) {
        unsigned byte = 0;
        sscanf(hex, "%2x", &byte);
        id[size++] = (unsigned char)byte;
    }
    put_bytes(out, number, id, size);
}

static uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Puts a KeyValue whose AnyValue is given; uses the value up. */
static void put_attribute(struct bytes *out, unsigned number, const char *key,
                          struct bytes *value) {
    struct bytes item = {NULL, 0, 0};
    put_string(&item, 1, key);
    put_message(&item, 2, value);
    put_message(out, number, &item);
}

static void put_attribute_string(struct bytes *out, unsigned number, const char *key,
                                 const char *text) {
    struct bytes value = {NULL, 0, 0};
    put_string(&value, 1, text);
    put_attribute(out, number, key, &value);
}

static void put_attribute_int(struct bytes *out, unsigned number, const char *key, int64_t n) {
    struct bytes value = {NULL, 0, 0};
    put_number(&value, 3, (uint64_t)n);
    put_attribute(out, number, key, &value);
}

static void put_attribute_double(struct bytes *out, unsigned number, const char *key, double n) {
    struct bytes value = {NULL, 0, 0};
    put_fixed(&value, 4, double_bits(n), 8);
    put_attribute(out, number, key, &value);
}

/* --- The requests ------------------------------------------------------------------------- */

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define EPOCH UINT64_C(1700000000000000000)
#define MS UINT64_C(1000000)

/* A span without its attributes. Times are in milliseconds. */
static struct bytes span_of(const char *trace, const char *id, const char *parent, const char *name,
                            unsigned kind, unsigned start, unsigned end) {
    struct bytes span = {NULL, 0, 0};
    put_hex(&span, 1, trace);
    put_hex(&span, 2, id);
    if (parent != NULL) put_hex(&span, 4, parent);
    put_string(&span, 5, name);
    put_number(&span, 6, kind);
    put_fixed(&span, 7, EPOCH + start * MS, 8);
    put_fixed(&span, 8, EPOCH + end * MS, 8);
    return span;
}

static void put_status(struct bytes *span, unsigned code, const char *message) {
    struct bytes status = {NULL, 0, 0};
    if (message != NULL) put_string(&status, 2, message);
    put_number(&status, 3, code);
    put_message(span, 15, &status);
}

/* A ResourceSpans with one scope; uses the spans (fields 2 of ScopeSpans) up. */
static void put_resource_spans(struct bytes *out, const char *service, struct bytes *spans) {
    struct bytes resource = {NULL, 0, 0}, scope = {NULL, 0, 0}, scope_spans = {NULL, 0, 0};
    struct bytes resource_spans = {NULL, 0, 0};
    put_attribute_string(&resource, 1, "service.name", service);
    put_message(&resource_spans, 1, &resource);
    put_string(&scope, 1, "demo");
    put_string(&scope, 2, "1.2");
    put_message(&scope_spans, 1, &scope);
    put(&scope_spans, spans->data, spans->size);
    free(spans->data);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(out, 1, &resource_spans);
}

/* One span in a request of its own. */
static void put_request(struct bytes *out, struct bytes *span) {
    struct bytes spans = {NULL, 0, 0};
    put_message(&spans, 2, span);
    put_resource_spans(out, "test", &spans);
}

static void make_trigger(struct bytes *out) {
    struct bytes spans = {NULL, 0, 0}, span;
    span = span_of(TRACE, "0000000000000001", NULL, "trigger_otel_data_pipeline", 1, 0, 152);
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000002", "0000000000000001", "hatchet.run_workflow", 4, 1, 9);
    put_attribute_string(&span, 9, "hatchet.payload", "{\"url\": \"https://example.com\"}");
    put_attribute_string(&span, 9, "hatchet.workflow_name", "OTelDataPipeline");
    put_message(&spans, 2, &span);
    put_resource_spans(out, "trigger", &spans);
}

static void put_exception(struct bytes *span) {
    struct bytes event = {NULL, 0, 0};
    put_fixed(&event, 1, EPOCH + 140 * MS + 500, 8);
    put_string(&event, 2, "exception");
    put_attribute_string(&event, 3, "exception.stacktrace", "main.c:1\nmain.c:2\n");
    put_attribute_string(&event, 3, "exception.type", "ParseError");
    put_attribute_string(&event, 3, "exception.message", "no record 43");
    put_message(span, 11, &event);
}

static void put_link(struct bytes *span) {
    struct bytes link = {NULL, 0, 0};
    put_hex(&link, 1, "4bf92f3577b34da6a3ce929d0e0e4736");
    put_hex(&link, 2, "00f067aa0ba902b7");
    put_string(&link, 3, "a=1");
    put_attribute_string(&link, 4, "why", "retry");
    put_fixed(&link, 6, 0x101, 4);
    put_message(span, 13, &link);
}

static void make_worker(struct bytes *out) {
    struct bytes spans = {NULL, 0, 0}, span;
    span = span_of(TRACE, "0000000000000005", "0000000000000003", "json.parse", 1, 130, 141);
    put_attribute_string(&span, 9, "hatchet.step_run_id", "8ce6ba2c-0f62-4d0b-8e3a-5f6a5f5d1f10");
    put_attribute_int(&span, 9, "json.record_count", 42);
    put_number(&span, 10, 3);
    put_exception(&span);
    put_status(&span, 2, "no record 43");
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000004", "0000000000000003", "http.request", 3, 30, 129);
    put_attribute_int(&span, 9, "http.status_code", 200);
    put_attribute_string(&span, 9, "note", "two words");
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000003", "0000000000000002", "hatchet.start_step_run", 5, 20,
                   145);
    put_attribute_string(&span, 9, "hatchet.tenant_id", "707d0855");
    put_attribute_string(&span, 9, "hatchet.step_run_id", "8ce6ba2c-0f62-4d0b-8e3a-5f6a5f5d1f10");
    put_link(&span);
    put_status(&span, 1, NULL);
    put_fixed(&span, 16, 0x301, 4);
    put_message(&spans, 2, &span);
    put_resource_spans(out, "worker", &spans);
}

static void put_attribute_list(struct bytes *out, const char *key, bool is_map) {
    struct bytes list = {NULL, 0, 0}, item = {NULL, 0, 0}, value = {NULL, 0, 0};
    if (is_map) {
        put_attribute_int(&list, 1, "n", -1);
        put_attribute_string(&list, 1, "s", "");
    } else {
        put_string(&item, 1, "a");
        put_message(&list, 1, &item);
        put_number(&item, 2, 0);
        put_message(&list, 1, &item);
        put_message(&list, 1, &item); // a value that is not set
    }
    put_message(&value, is_map ? 6 : 5, &list);
    put_attribute(out, 9, key, &value);
}

/* Every type of value, and the corners of each. */
static void make_types(struct bytes *out) {
    struct bytes span = span_of(TRACE, "00000000000000aa", NULL, "types", 2, 0, 1);
    struct bytes value = {NULL, 0, 0};
    put_attribute_string(&span, 9, "str", "q\" b\\ t\t \xe2\x82\xac");
    put_attribute_int(&span, 9, "min", INT64_MIN);
    put_attribute_int(&span, 9, "zero", 0);
    put_attribute_double(&span, 9, "pi", 3.14159);
    put_attribute_double(&span, 9, "big", 1e300);
    put_attribute_double(&span, 9, "third", 1.0 / 3.0);
    put_attribute_double(&span, 9, "nan", NAN);
    put_attribute_double(&span, 9, "inf", -INFINITY);
    put_attribute_double(&span, 9, "minus", -0.0);
    put_number(&value, 2, 1);
    put_attribute(&span, 9, "yes", &value);
    put_bytes(&value, 7, "\x00\xff\x10\x80", 4);
    put_attribute(&span, 9, "raw", &value);
    put_bytes(&value, 7, "", 0);
    put_attribute(&span, 9, "none", &value);
    put_attribute_list(&span, "list", false);
    put_attribute_list(&span, "map", true);
    put_string(&span, 77, "a field from the future");
    put_request(out, &span);
}

static void make_escapes(struct bytes *out) {
    struct bytes spans = {NULL, 0, 0}, span;
    span = span_of(TRACE, "00000000000000bb", NULL, "a\x1b[2Jb\x07\r\nc", 2, 0, 1);
    put_attribute_string(&span, 9, "k\x1b]0;x\x07",
                         "v\x1b[31m \x7f \xc2\x9b\x33m \xe2\x80\xae "
                         "\xe5\xad\x97");
    put_status(&span, 2, "\x1b[0m");
    put_message(&spans, 2, &span);
    put_resource_spans(out, "s\x1b[1m", &spans);
}

/* Two spans whose parent is elsewhere, two that are each other's parent, one its own. */
static void make_orphans(struct bytes *out) {
    struct bytes spans = {NULL, 0, 0}, span;
    span = span_of(TRACE, "0000000000000001", "00000000000000ff", "first", 1, 10, 20);
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000002", "00000000000000ff", "second", 1, 20, 30);
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000003", "0000000000000004", "ring", 1, 40, 30);
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000004", "0000000000000003", "ring", 1, 41, 42);
    put_message(&spans, 2, &span);
    span = span_of(TRACE, "0000000000000005", "0000000000000005", "self", 1, 43, 50);
    put_message(&spans, 2, &span);
    put_resource_spans(out, "lost", &spans);
}

/* Spans with consecutive ids: in one trace, each its predecessor's child, or each in a trace of
 * its own. */
static void make_many(struct bytes *out, unsigned count, unsigned first, bool is_chain) {
    struct bytes spans = {NULL, 0, 0}, span;
    unsigned i;
    for (i = first; i < first + count; i++) {
        char trace[40], id[24], parent[24];
        snprintf(trace, sizeof trace, "%032x", is_chain ? 1 : i);
        snprintf(id, sizeof id, "%016x", i);
        snprintf(parent, sizeof parent, "%016x", i - 1);
        span = span_of(trace, id, is_chain && i > first ? parent : NULL, "many", 1, i, i + 1);
        put_message(&spans, 2, &span);
    }
    put_resource_spans(out, "many", &spans);
}

static void make_deep(struct bytes *out, unsigned levels) {
    struct bytes span = span_of(TRACE, "00000000000000dd", NULL, "deep", 1, 0, 1);
    struct bytes value = {NULL, 0, 0};
    put_string(&value, 1, "bottom");
    for (; levels > 0; levels--) {
        struct bytes list = {NULL, 0, 0};
        put_message(&list, 1, &value);
        put_message(&value, 5, &list);
    }
    put_attribute(&span, 9, "deep", &value);
    put_request(out, &span);
}

static void make_big(struct bytes *out, unsigned size) {
    struct bytes span = span_of(TRACE, "00000000000000ee", NULL, "big", 1, 0, 1);
    char *text = (char *)malloc(size + 1);
    if (text == NULL) fail("malloc");
    memset(text, 'x', size);
    text[size] = '\0';
    put_attribute_string(&span, 9, "big", text);
    free(text);
    put_request(out, &span);
}

/* Requests that must be refused, each for one reason. */
static bool make_bad(struct bytes *out, const char *name) {
    struct bytes span = {NULL, 0, 0};
    if (strcmp(name, "short-id") == 0) {
        span = span_of("0af765", "0000000000000001", NULL, "x", 1, 0, 1);
    } else if (strcmp(name, "zero-id") == 0) {
        span = span_of(TRACE, "0000000000000000", NULL, "x", 1, 0, 1);
    } else if (strcmp(name, "short-parent") == 0) {
        span = span_of(TRACE, "0000000000000001", "01", "x", 1, 0, 1);
    } else if (strcmp(name, "no-id") == 0) {
        put_hex(&span, 1, TRACE);
    } else if (strcmp(name, "not-utf8") == 0) {
        span = span_of(TRACE, "0000000000000001", NULL, "ab\xff", 1, 0, 1);
    } else if (strcmp(name, "surrogate") == 0) {
        span = span_of(TRACE, "0000000000000001", NULL, "\xed\xa0\x80", 1, 0, 1);
    } else if (strcmp(name, "wire-type") == 0) {
        span = span_of(TRACE, "0000000000000001", NULL, "x", 1, 0, 1);
        put_number(&span, 7, 1);
    } else if (strcmp(name, "group") == 0) {
        put_text(&span, "\x0b");
    } else if (strcmp(name, "field-0") == 0) {
        put(&span, "\x00\x00", 2);
    } else if (strcmp(name, "length") == 0) {
        put_text(&span, "\x0a\x7f");
    } else if (strcmp(name, "varint") == 0) {
        put_text(&span, "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    } else if (strcmp(name, "cut") == 0) {
        put_text(&span, "\x39\x01\x02");
    } else {
        return false;
    }
    put_request(out, &span);
    return true;
}

static int make(const char *name, unsigned n, unsigned first) {
    struct bytes out = {NULL, 0, 0};
    if (strcmp(name, "trigger") == 0) {
        make_trigger(&out);
    } else if (strcmp(name, "worker") == 0) {
        make_worker(&out);
    } else if (strcmp(name, "types") == 0) {
        make_types(&out);
    } else if (strcmp(name, "escapes") == 0) {
        make_escapes(&out);
    } else if (strcmp(name, "orphans") == 0) {
        make_orphans(&out);
    } else if (strcmp(name, "chain") == 0 || strcmp(name, "traces") == 0) {
        make_many(&out, n, first, name[0] == 'c');
    } else if (strcmp(name, "deep") == 0) {
        make_deep(&out, n);
    } else if (strcmp(name, "big") == 0) {
        make_big(&out, n);
    } else if (!make_bad(&out, name)) {
        fprintf(stderr, "otlp_post: no request is called \"%s\"\n", name);
        return 1;
    }
    fwrite(out.data, 1, out.size, stdout);
    free(out.data);
    return 0;
}

/* --- Sending ------------------------------------------------------------------------------ */

enum { PATIENCE_MS = 10000 };

static int connect_to(const char *where) {
    struct sockaddr_un local;
    struct sockaddr_in address;
    bool is_unix = strncmp(where, "unix:", 5) == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0), result;
    if (fd < 0) fail("socket");
    memset(&local, 0, sizeof local);
    local.sun_family = AF_UNIX;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (is_unix) {
        snprintf(local.sun_path, sizeof local.sun_path, "%s", where + 5);
        result = connect(fd, (struct sockaddr *)&local, sizeof local);
    } else {
        address.sin_port = htons((uint16_t)atoi(where));
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    }
    if (result != 0) fail(where);
    return fd;
}

/* Sends until the other side has had enough. */
static void send_all(int fd, const unsigned char *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return;
        data += sent;
        size -= (size_t)sent;
    }
}

/* Reads until the end; exits if nothing comes for too long. */
static struct bytes read_all(int fd) {
    struct bytes in = {NULL, 0, 0};
    for (;;) {
        struct pollfd wait = {0, POLLIN, 0};
        unsigned char part[4096];
        ssize_t got;
        wait.fd = fd;
        if (poll(&wait, 1, PATIENCE_MS) <= 0) {
            errno = ETIMEDOUT;
            fail("no answer");
        }
        got = recv(fd, part, sizeof part, 0);
        if (got <= 0) return in;
        put(&in, part, (size_t)got);
    }
}

/* For people: carriage returns go, other unprintable bytes become dots. */
static void show(struct bytes bytes) {
    size_t i;
    for (i = 0; i < bytes.size; i++) {
        unsigned char c = bytes.data[i];
        if (c != '\r') putchar(c == '\n' || (c >= 0x20 && c < 0x7f) ? c : '.');
    }
}

static struct bytes read_file(FILE *file) {
    struct bytes bytes = {NULL, 0, 0};
    char part[4096];
    size_t got;
    if (file == NULL) fail("open");
    while ((got = fread(part, 1, sizeof part, file)) > 0) put(&bytes, part, got);
    fclose(file);
    return bytes;
}

static void put_head(struct bytes *out, size_t length) {
    char head[256];
    snprintf(head, sizeof head,
             "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Type: application/x-protobuf\r\nContent-Length: %lu\r\n\r\n",
             (unsigned long)length);
    put_text(out, head);
}

/* Reads one reply whose length is given; returns false at the end of the connection. */
static bool read_reply(int fd, struct bytes *reply) {
    size_t wanted = 0;
    reply->size = 0;
    while (wanted == 0 || reply->size < wanted) {
        struct pollfd wait = {0, POLLIN, 0};
        unsigned char byte;
        const char *length;
        wait.fd = fd;
        if (poll(&wait, 1, PATIENCE_MS) <= 0 || recv(fd, &byte, 1, 0) != 1) return false;
        put(reply, &byte, 1);
        put(reply, "", 1); // terminated for strstr
        reply->size--;
        if (wanted == 0 && strstr((char *)reply->data, "\r\n\r\n") != NULL) {
            length = strstr((char *)reply->data, "Content-Length: ");
            wanted = reply->size + (length != NULL ? (size_t)atoi(length + 16) : 0);
        }
    }
    return true;
}

static int post(const char *where, char **files) {
    int fd = connect_to(where);
    struct bytes reply = {NULL, 0, 0};
    for (; *files != NULL; files++) {
        struct bytes body = read_file(fopen(*files, "rb")), request = {NULL, 0, 0};
        put_head(&request, body.size);
        put(&request, body.data, body.size);
        send_all(fd, request.data, request.size);
        free(body.data);
        free(request.data);
        if (!read_reply(fd, &reply)) {
            errno = EPIPE;
            fail("no reply");
        }
        show(reply);
        putchar('\n');
    }
    free(reply.data);
    close(fd);
    return 0;
}

static void sleep_ms(long ms) {
    struct timespec wait;
    wait.tv_sec = ms / 1000;
    wait.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&wait, NULL);
}

static int raw(const char *where, const char *manner) {
    int fd = connect_to(where);
    struct bytes in = read_file(stdin), reply;
    size_t i;
    if (strcmp(manner, "drip") == 0) {
        for (i = 0; i < in.size; i++) {
            struct pollfd wait = {0, POLLIN, 0};
            wait.fd = fd;
            if (poll(&wait, 1, 20) > 0) {
                shutdown(fd, SHUT_WR); // answered before the end
                break;
            }
            send_all(fd, in.data + i, 1);
        }
    } else {
        send_all(fd, in.data, in.size);
    }
    if (strcmp(manner, "reset") == 0) {
        struct linger hard = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
        return 0;
    }
    if (strcmp(manner, "end") == 0) shutdown(fd, SHUT_WR);
    reply = read_all(fd);
    show(reply);
    free(reply.data);
    free(in.data);
    close(fd);
    return 0;
}

/* Prints how the empty request fared among them, and how many of them were closed or answered. */
static int crowd(const char *where, int count, size_t size) {
    int *fds = (int *)malloc((size_t)count * sizeof *fds), fd, i, closed = 0, answered = 0;
    struct bytes request = {NULL, 0, 0}, reply = {NULL, 0, 0};
    if (fds == NULL) fail("malloc");
    put_head(&request, size);
    for (i = 0; size > 0 && i + 1 < (int)size; i++) put(&request, "\x7a", 1);
    for (i = 0; i < count; i++) {
        fds[i] = connect_to(where);
        if (size > 0) send_all(fds[i], request.data, request.size);
    }
    sleep_ms(300);
    fd = connect_to(where);
    request.size = 0;
    put_head(&request, 0);
    send_all(fd, request.data, request.size);
    if (read_reply(fd, &reply)) printf("%.12s\n", (char *)reply.data);
    for (i = 0; i < count; i++) {
        struct pollfd wait = {0, POLLIN, 0};
        char byte;
        wait.fd = fds[i];
        if (poll(&wait, 1, 0) > 0) *(recv(fds[i], &byte, 1, 0) > 0 ? &answered : &closed) += 1;
        close(fds[i]);
    }
    printf("closed %d\nanswered %d\n", closed, answered);
    close(fd);
    free(fds);
    free(request.data);
    free(reply.data);
    return 0;
}

/* --- Mutations ---------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One small accident. The bytes have room for one more. */
static void mutate(struct bytes *bytes, uint64_t *state) {
    size_t at = (size_t)(random_next(state) % bytes->size);
    switch (random_next(state) % 6) {
    case 0:
        bytes->data[at] = (unsigned char)random_next(state);
        break;
    case 1:
        bytes->data[at] = (unsigned char)(bytes->data[at] ^ 1U << random_next(state) % 8);
        break;
    case 2: // a boundary value
        bytes->data[at] = (unsigned char)"\x00\x7f\x80\xff"[random_next(state) % 4];
        break;
    case 3:
        bytes->size -= bytes->size > 1;
        memmove(bytes->data + at, bytes->data + at + 1, bytes->size - at);
        break;
    case 4:
        put(bytes, "", 1);
        memmove(bytes->data + at + 1, bytes->data + at, bytes->size - 1 - at);
        break;
    default:
        bytes->size = at + 1;
        break;
    }
}

/* Every other time the head stays whole, so that the body is what is looked at. */
static int fuzz(const char *where, const char *path, unsigned count, uint64_t state) {
    struct bytes original = read_file(fopen(path, "rb"));
    unsigned i, taken = 0;
    for (i = 0; i < count; i++) {
        struct bytes body = {NULL, 0, 0}, request = {NULL, 0, 0}, reply;
        bool is_body = random_next(&state) % 4 != 0;
        unsigned times = (unsigned)(random_next(&state) % 4) + 1;
        int fd = connect_to(where);
        put(&body, original.data, original.size);
        for (; is_body && times > 0; times--) mutate(&body, &state);
        put_head(&request, body.size);
        put(&request, body.data, body.size);
        for (; !is_body && times > 0; times--) mutate(&request, &state);
        send_all(fd, request.data, request.size);
        shutdown(fd, SHUT_WR);
        reply = read_all(fd);
        taken += reply.size > 12 && memcmp(reply.data, "HTTP/1.1 200", 12) == 0;
        free(body.data);
        free(request.data);
        free(reply.data);
        close(fd);
    }
    printf("taken %u\n", taken);
    free(original.data);
    return 0;
}

static int wait_for(const char *path) {
    int turns;
    for (turns = 0; turns < 1000; turns++) {
        if (access(path, F_OK) == 0) return 0;
        sleep_ms(10);
    }
    errno = ETIMEDOUT;
    fail(path);
    return 1;
}

int main(int argc, char **argv) {
    const char *command = argc > 2 ? argv[1] : "";
    if (strcmp(command, "make") == 0) {
        return make(argv[2], argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0,
                    argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1);
    }
    if (strcmp(command, "post") == 0) return post(argv[2], argv + 3);
    if (strcmp(command, "raw") == 0) return raw(argv[2], argc > 3 ? argv[3] : "");
    if (strcmp(command, "crowd") == 0 && argc > 4) {
        return crowd(argv[2], atoi(argv[3]), (size_t)strtoul(argv[4], NULL, 10));
    }
    if (strcmp(command, "fuzz") == 0 && argc > 5) {
        return fuzz(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10),
                    strtoul(argv[5], NULL, 10));
    }
    if (strcmp(command, "wait") == 0) return wait_for(argv[2]);
    fprintf(stderr, "usage: see the top of otlp_post.c\n");
    return 2;
}
