/*
 * SPDX-License-Identifier: MIT
 *
 * The environment at start-up: a line of the input is a variable without OTEL_ and its value. The
 * library starts, sends one span to a server in memory and describes itself; what it took from
 * the environment is worked out here again, by the rules and without its parsers.
 */
#include "fuzz.h"

#include <ctype.h>
#include <strings.h>

#include "faults/otlp.h"

extern char **environ;

/* ---- The server ----------------------------------------------------------------------------- */

enum { REQUEST_BYTES = 1 << 16 };

static char request[REQUEST_BYTES + 1];
static size_t request_size, head_size, num_requests;
static bool answered;

static void *sink_open(const char *host, uint16_t port, void *user_data) {
    (void)port;
    (void)user_data;
    FUZZ_CHECK(host != NULL && host[0] != 0);
    request_size = 0;
    answered = false;
    return request;
}

static int sink_connect(void *connection) {
    (void)connection;
    return HOTEL_IO_DONE;
}

static ptrdiff_t sink_send(void *connection, const void *bytes, size_t size) {
    (void)connection;
    FUZZ_CHECK(size <= REQUEST_BYTES - request_size);
    memcpy(request + request_size, bytes, size);
    request_size += size;
    request[request_size] = 0;
    return (ptrdiff_t)size;
}

static ptrdiff_t sink_receive(void *connection, void *bytes, size_t size) {
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    (void)connection;
    if (answered) return HOTEL_IO_WANT_READ;
    FUZZ_CHECK(size >= sizeof reply - 1);
    memcpy(bytes, reply, sizeof reply - 1);
    answered = true;
    num_requests++;
    return (ptrdiff_t)sizeof reply - 1;
}

static int sink_descriptor(void *connection) {
    (void)connection;
    return -1;
}

static void sink_close(void *connection, bool inherited) {
    (void)connection;
    (void)inherited;
}

/* ---- The rules ------------------------------------------------------------------------------ */

typedef struct slice {
    const char *at;
    size_t size;
} slice;

static slice trimmed(slice t) {
    while (t.size > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) t.at++, t.size--;
    while (t.size > 0 && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t')) t.size--;
    return t;
}

/* Takes the next member off a list: what stands before the comma, trimmed, and its two halves. */
static bool next_member(const char **list, slice *whole, slice *key, slice *value) {
    while (**list != 0) {
        const char *equals;
        whole->at = *list;
        whole->size = strcspn(*list, ",");
        *list += whole->size + ((*list)[whole->size] == ',');
        *whole = trimmed(*whole);
        if (whole->size == 0) continue;
        equals = (const char *)memchr(whole->at, '=', whole->size);
        key->at = whole->at;
        key->size = equals != NULL ? (size_t)(equals - whole->at) : 0;
        value->at = equals != NULL ? equals + 1 : NULL;
        value->size = equals != NULL ? (size_t)(whole->at + whole->size - equals - 1) : 0;
        *key = trimmed(*key);
        *value = trimmed(*value);
        return true;
    }
    return false;
}

/* Percent-decodes; false if an escape is cut or has no hex digits. */
static bool decoded(slice t, char *out, size_t *out_size) {
    size_t i;
    bool good = true;
    *out_size = 0;
    for (i = 0; i < t.size; i++) {
        char hex[3] = {0, 0, 0};
        if (t.at[i] == '%' && t.size - i > 2) memcpy(hex, t.at + i + 1, 2);
        if (isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])) {
            out[(*out_size)++] = (char)strtoul(hex, NULL, 16);
            i += 2;
        } else {
            good = good && t.at[i] != '%';
            out[(*out_size)++] = t.at[i];
        }
    }
    return good;
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != 0 ? value : NULL;
}

/* EP-03, EP-10: digits between blanks, from `least` to 2^31 - 1. */
static bool number(const char *name, unsigned long least, unsigned long *out) {
    const char *value = variable(name);
    slice t = {value, 0};
    unsigned long long n = 0;
    size_t i;
    if (value == NULL) return false;
    t.size = strlen(value);
    t = trimmed(t);
    for (i = 0; i < t.size; i++) {
        if (!isdigit((unsigned char)t.at[i])) return false;
        n = n * 10 + (unsigned)(t.at[i] - '0');
        if (n > 0x7FFFFFFF) return false;
    }
    if (t.size == 0 || n < least) return false;
    *out = (unsigned long)n;
    return true;
}

static bool is_word(slice t, const char *word) {
    return t.size == strlen(word) && strncasecmp(t.at, word, t.size) == 0;
}

/* EP-07: the place of a variable's value among some words, -1 for none of them. */
static int choice(const char *name, const char *const *words, int count) {
    const char *value = variable(name);
    slice word = {value, value != NULL ? strlen(value) : 0};
    int i = count;
    word = trimmed(word);
    while (value != NULL && i-- > 0) {
        if (word.size == strlen(words[i]) && strncasecmp(word.at, words[i], word.size) == 0)
            return i;
    }
    return -1;
}

/* EV-15, EV-16: 1 if a root is sampled, 0 if it is not, -1 if chance decides. */
static int root_sampled(void) {
    static const char *const names[] = {"always_off", "parentbased_always_off", "traceidratio",
                                        "parentbased_traceidratio"};
    int which = choice("OTEL_TRACES_SAMPLER", names, 4);
    const char *argument = variable("OTEL_TRACES_SAMPLER_ARG");
    char *end;
    double ratio;
    if (which < 2) return which < 0;
    if (argument == NULL) return 1;
    /* What strtod takes beyond decimal numbers is not looked at, nor what is hardly a number. */
    if (argument[strspn(argument, " \t0123456789.eE+-")] != 0 || strlen(argument) > 40) return -1;
    argument += strspn(argument, " \t");
    if (*argument == '+') return 1; /* that sign is refused, -0 is 0 */
    ratio = strtod(argument, &end);
    if (end == argument) return 1;
    end += strspn(end, " \t");
    if (*end != 0 || !(ratio >= 0 && ratio <= 1)) return 1;
    return ratio >= 1 ? 1 : ratio <= 0 && argument[strcspn(argument, "123456789")] == 0 ? 0 : -1;
}

/* EV-08: how many destinations the variable asks for. What is unknown is left out; with nothing
   left it is as if it were unset. */
static size_t exporters(bool *otlp) {
    const char *list = variable("OTEL_TRACES_EXPORTER");
    bool none = false, console = false;
    *otlp = false;
    while (list != NULL && *list != 0) {
        slice word;
        word.at = list;
        word.size = strcspn(list, ",");
        list += word.size + (list[word.size] == ',');
        word = trimmed(word);
        *otlp = *otlp || is_word(word, "otlp");
        none = none || is_word(word, "none");
        console = console || is_word(word, "console");
    }
    *otlp = (*otlp || !console) && !none;
    return (size_t)*otlp + (console && !none ? 1 : 0);
}

/* ---- What came out -------------------------------------------------------------------------- */

static char description[8192];

/* A line "name=number" of hotel_describe. */
static unsigned long described(const char *name) {
    char line[64];
    const char *at;
    (void)snprintf(line, sizeof line, "\n%s=", name);
    at = strstr(description, line);
    FUZZ_CHECK(at != NULL);
    return strtoul(at + strlen(line), NULL, 10);
}

static void check_numbers(void) {
    unsigned long want, outer, got = described("  timeout_ms");
    if (!number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", 0, &want) &&
        !number("OTEL_EXPORTER_OTLP_TIMEOUT", 0, &want)) {
        want = 10000;
    }
    if (!number("OTEL_BSP_EXPORT_TIMEOUT", 0, &outer)) outer = 30000;
    if (outer > 0 && (want == 0 || outer < want)) want = outer;
    FUZZ_CHECK(got == want);
    if (!number("OTEL_BSP_SCHEDULE_DELAY", 0, &want)) want = 5000;
    FUZZ_CHECK(described("  schedule_delay_ms") == want);
    got = described("  max_queue_size");
    if (!number("OTEL_BSP_MAX_QUEUE_SIZE", 1, &want)) want = 2048;
    FUZZ_CHECK(got >= 1 && got <= want);
    if (!number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, &want)) want = 512;
    FUZZ_CHECK(described("  max_export_batch_size") <= got);
    FUZZ_CHECK(described("  max_export_batch_size") == want || want > got);
}

static unsigned long limit(const char *specific, const char *general) {
    unsigned long n = 128;
    if (!number(specific, 0, &n) && general != NULL) (void)number(general, 0, &n);
    return n < 65535 ? n : 65535;
}

static void check_limits(void) {
    FUZZ_CHECK(described("attribute_count") ==
               limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"));
    FUZZ_CHECK(described("event_count") == limit("OTEL_SPAN_EVENT_COUNT_LIMIT", NULL));
    FUZZ_CHECK(described("link_count") == limit("OTEL_SPAN_LINK_COUNT_LIMIT", NULL));
}

/* EV-05: the fields of the global propagator are those of the parts that are named. */
static void check_propagators(void) {
    static const char *const names[] = {"tracecontext", "baggage", "b3", "b3multi"};
    static const char *const fields[] = {"traceparent", "baggage", "b3", "X-B3-TraceId"};
    const char *list = variable("OTEL_PROPAGATORS"), *field;
    bool want[4] = {false, false, false, false}, none = false, any = false;
    hotel_propagator propagator = hotel_get_global_propagator();
    size_t i, k;
    while (list != NULL && *list != 0) {
        slice word;
        word.at = list;
        word.size = strcspn(list, ",");
        list += word.size + (list[word.size] == ',');
        word = trimmed(word);
        none = none || is_word(word, "none");
        for (i = 0; i < 4; i++) want[i] = want[i] || is_word(word, names[i]);
    }
    for (i = 0; i < 4; i++) any = any || want[i];
    if (!any && !none) want[0] = want[1] = true;
    for (i = 0; i < 4; i++) {
        bool found = false;
        for (k = 0; (field = hotel_propagator_field(&propagator, k)) != NULL; k++) {
            found = found || strcasecmp(field, fields[i]) == 0;
        }
        FUZZ_CHECK(found == want[i]);
    }
}

/* The line of a header in the request, NULL if there is none; fails if there are two. */
static const char *header(const char *name, size_t name_size) {
    const char *line = strstr(request, "\r\n"), *found = NULL;
    while (line != NULL && line + 2 < request + head_size) {
        line += 2;
        if (strncasecmp(line, name, name_size) == 0 && line[name_size] == ':') {
            FUZZ_CHECK(found == NULL);
            found = line;
        }
        line = strstr(line, "\r\n");
    }
    return found;
}

static bool is_name(slice t) {
    size_t i;
    for (i = 0; i < t.size; i++) {
        unsigned char c = (unsigned char)t.at[i];
        if (c <= ' ' || c >= 0x7F || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) return false;
    }
    return t.size > 0;
}

static bool is_framing(slice t) {
    static const char *const names[] = {"host", "content-length", "content-type", "te", "upgrade",
                                        "transfer-encoding", "content-encoding", "connection",
                                        "expect", "trailer"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == t.size && strncasecmp(t.at, names[i], t.size) == 0) return true;
    }
    return false;
}

/* OH-01 to OH-08 for one list: each good member is sent if it is the last of its name. */
static void check_headers(void) {
    const char *list = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), *rest, *line;
    static char value[REQUEST_BYTES], later[REQUEST_BYTES];
    slice whole, key, raw, key2, raw2;
    size_t size, size2, i;
    if (list == NULL) list = variable("OTEL_EXPORTER_OTLP_HEADERS");
    while (list != NULL && next_member(&list, &whole, &key, &raw)) {
        bool good = raw.at != NULL && is_name(key) && !is_framing(key), last = true;
        good = good && decoded(raw, value, &size);
        for (i = 0; good && i < size; i++) {
            unsigned char c = (unsigned char)value[i];
            good = (c >= ' ' || c == '\t') && c != 0x7F;
        }
        if (!good) continue;
        for (rest = list; next_member(&rest, &whole, &key2, &raw2);) {
            bool good2 = raw2.at != NULL && key2.size == key.size &&
                         strncasecmp(key2.at, key.at, key.size) == 0 &&
                         decoded(raw2, later, &size2);
            for (i = 0; good2 && i < size2; i++) {
                unsigned char c = (unsigned char)later[i];
                good2 = (c >= ' ' || c == '\t') && c != 0x7F;
            }
            last = last && !good2;
        }
        line = header(key.at, key.size);
        FUZZ_CHECK(line != NULL);
        if (!last) continue;
        line += key.size + 2;
        FUZZ_CHECK(memcmp(line, value, size) == 0 && memcmp(line + size, "\r\n", 2) == 0);
    }
}

/* Nothing but lines of name and value, each name once. */
static void check_head(void) {
    static const char *const own[] = {"Host", "User-Agent", "Content-Type", "Content-Length"};
    const char *end = strstr(request, "\r\n\r\n"), *line, *colon, *stop;
    size_t i;
    FUZZ_CHECK(end != NULL);
    head_size = (size_t)(end + 4 - request);
    FUZZ_CHECK(strncmp(request, "POST /", 6) == 0);
    line = strstr(request, "\r\n");
    FUZZ_CHECK(strncmp(line - 9, " HTTP/1.1", 9) == 0);
    FUZZ_CHECK(memchr(request + 5, ' ', (size_t)(line - request - 5)) == line - 9);
    for (i = 0; i < head_size - 4; i++) {
        unsigned char c = (unsigned char)request[i];
        if (c == '\r') FUZZ_CHECK(request[i + 1] == '\n');
        else if (c == '\n') FUZZ_CHECK(request[i - 1] == '\r');
        else FUZZ_CHECK((c >= ' ' || c == '\t') && c != 0x7F);
    }
    for (line += 2; line < end; line = stop + 2) {
        slice name;
        stop = strstr(line, "\r\n");
        colon = (const char *)memchr(line, ':', (size_t)(stop - line));
        FUZZ_CHECK(colon != NULL && colon[1] == ' ');
        name.at = line;
        name.size = (size_t)(colon - line);
        FUZZ_CHECK(is_name(name) && header(name.at, name.size) == line);
    }
    for (i = 0; i < sizeof own / sizeof own[0]; i++) FUZZ_CHECK(header(own[i], strlen(own[i])));
    colon = header("Content-Length", 14);
    FUZZ_CHECK(strtoul(colon + 15, NULL, 10) == request_size - head_size);
}

/* EV-02: all of the list, or nothing of it. */
static bool list_is_good(const char *list) {
    static char bytes[REQUEST_BYTES];
    slice whole, key, value;
    otlp_bytes got;
    while (next_member(&list, &whole, &key, &value)) {
        got.at = (const unsigned char *)bytes;
        if (value.at == NULL || key.size == 0) return false;
        if (!decoded(key, bytes, &got.size) || !otlp_is_utf8(got)) return false;
        if (!decoded(value, bytes, &got.size) || !otlp_is_utf8(got)) return false;
    }
    return true;
}

/* Adds a key of the expected resource, its value now this. */
typedef struct expectation {
    char key[2048], value[2048];
    size_t key_size, value_size;
} expectation;

static expectation expected[600];
static size_t num_expected;

static void expect(slice key, bool encoded, slice value) {
    expectation e, *place = expected;
    size_t i;
    e.key_size = key.size;
    e.value_size = value.size;
    memcpy(e.key, key.at, key.size);
    memcpy(e.value, value.at, value.size);
    if (encoded) {
        (void)decoded(key, e.key, &e.key_size);
        (void)decoded(value, e.value, &e.value_size);
    }
    for (i = 0; i < num_expected; i++, place++) {
        if (place->key_size == e.key_size && memcmp(place->key, e.key, e.key_size) == 0) break;
    }
    if (i == num_expected) FUZZ_CHECK(++num_expected < sizeof expected / sizeof expected[0]);
    *place = e;
}

static void check_resource(void) {
    const char *list = variable("OTEL_RESOURCE_ATTRIBUTES"), *name;
    slice whole, key, value, service = {"service.name", 12};
    otlp_field field, resource, attribute, string;
    otlp_bytes body;
    size_t i, k;
    num_expected = 0;
    if (list != NULL && list_is_good(list)) {
        while (next_member(&list, &whole, &key, &value)) expect(key, true, value);
    }
    name = variable("OTEL_SERVICE_NAME");
    if (name != NULL) {
        value.at = name;
        value.size = strlen(name);
        expect(service, false, value);
    }
    body.at = (const unsigned char *)request + head_size;
    body.size = request_size - head_size;
    FUZZ_CHECK(otlp_check(OTLP_REQUEST, body, 0) == NULL);
    FUZZ_CHECK(otlp_get(body, 1, 0, &field) && otlp_get(field.bytes, 1, 0, &resource));
    for (i = 0; i < num_expected; i++) {
        for (k = 0; otlp_get(resource.bytes, 1, k, &attribute); k++) {
            FUZZ_CHECK(otlp_get(attribute.bytes, 1, 0, &string));
            if (string.bytes.size != expected[i].key_size ||
                memcmp(string.bytes.at, expected[i].key, expected[i].key_size) != 0) {
                continue;
            }
            FUZZ_CHECK(otlp_get(attribute.bytes, 2, 0, &field));
            body.at = (const unsigned char *)expected[i].value;
            body.size = expected[i].value_size;
            FUZZ_CHECK(otlp_get(field.bytes, otlp_is_utf8(body) ? 1 : 7, 0, &string)); /* SP-41 */
            FUZZ_CHECK(string.bytes.size == expected[i].value_size);
            FUZZ_CHECK(memcmp(string.bytes.at, expected[i].value, string.bytes.size) == 0);
            break;
        }
        FUZZ_CHECK(otlp_get(resource.bytes, 1, k, &attribute));
    }
}

/* ---- One life ------------------------------------------------------------------------------- */

enum { MAX_VARIABLES = 24, INPUT_BYTES = 2048 };

/* Messages are text of one line and hold no secret. */
static void check_message(hotel_log_level level, hotel_log_id id, const char *message,
                          void *user_data) {
    const char *c;
    (void)level;
    (void)user_data;
    FUZZ_CHECK(id > 0 && id <= HOTEL_LOG_ID_MAX && message[0] != 0);
    for (c = message; *c != 0; c++) FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7F);
}

/* The variables of the input become the environment. */
static void set_environment(const char *input, size_t size) {
    static char room[INPUT_BYTES + 6 * MAX_VARIABLES];
    static char *list[MAX_VARIABLES + 1];
    const char *cursor = input, *end = input + size;
    size_t used = 0, count = 0;
    while (cursor != end && count < MAX_VARIABLES) {
        size_t line_size;
        const char *line = fuzz_line(&cursor, end, &line_size);
        if (memchr(line, '=', line_size) == NULL || memchr(line, 0, line_size) != NULL) continue;
        list[count++] = room + used;
        memcpy(room + used, "OTEL_", 5);
        memcpy(room + used + 5, line, line_size);
        room[used + 5 + line_size] = 0;
        used += 6 + line_size;
    }
    list[count] = NULL;
    environ = list;
}

/* Destinations by the environment have no server here: nothing is sent. */
static void start_only(hotel_config *config) {
    static const char *const yes = "true";
    bool otlp;
    size_t wanted = exporters(&otlp), found = 0;
    const char *at = description;
    hotel_result result;
    if (choice("OTEL_SDK_DISABLED", &yes, 1) == 0) wanted = otlp = 0;
    config->num_destinations = 0;
    result = hotel_init(config);
    FUZZ_CHECK(result == HOTEL_OK ||
               ((result == HOTEL_ERR_ENDPOINT || result == HOTEL_ERR_TLS) && otlp));
    FUZZ_CHECK(hotel_describe(description, sizeof description) < sizeof description);
    for (; (at = strstr(at, "\ndestination=")) != NULL; at++) found++;
    FUZZ_CHECK(found == (result == HOTEL_OK ? wanted : wanted - 1));
    (void)hotel_shutdown(0);
    FUZZ_CHECK(hotel_release() == HOTEL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint64_t memory[(192 << 10) / 8];
    static const hotel_transport transport = {sink_open,    sink_connect,    sink_send,
                                              sink_receive, sink_descriptor, sink_close, NULL};
    static const char *const yes = "true";
    hotel_destination to;
    hotel_config config;
    hotel_result result;
    hotel_span span;
    bool disabled, sampled;
    if (size > INPUT_BYTES) return 0;
    set_environment((const char *)data, size);
    disabled = choice("OTEL_SDK_DISABLED", &yes, 1) == 0;
    memset(&to, 0, sizeof to);
    memset(&config, 0, sizeof config);
    to.transport = &transport;
    to.protocol = HOTEL_PROTOCOL_HTTP; /* what the sink speaks, whatever the environment says */
    config.destinations = &to;
    config.num_destinations = 1;
    config.memory = memory;
    config.memory_bytes = sizeof memory;
    config.no_threads = true;
    config.log_fn = check_message;
    config.log_level = HOTEL_LOG_DEBUG;
    request_size = num_requests = 0;
    if (variable("OTEL_TRACES_EXPORTER") != NULL) {
        start_only(&config);
        return 0;
    }
    result = hotel_init(&config);
    FUZZ_CHECK(result == HOTEL_OK || result == HOTEL_ERR_ENDPOINT);
    FUZZ_CHECK(hotel_describe(description, sizeof description) < sizeof description);
    check_limits();
    check_propagators();
    span = hotel_start("span");
    sampled = (span.context.trace_flags & HOTEL_FLAG_SAMPLED) != 0;
    hotel_end(&span);
    if (result == HOTEL_OK && !disabled) {
        FUZZ_CHECK(root_sampled() < 0 || root_sampled() == sampled);
        FUZZ_CHECK(hotel_flush(1000) == HOTEL_OK && num_requests == sampled);
        check_numbers();
    }
    FUZZ_CHECK(num_requests == 0 || !disabled);
    if (num_requests > 0) {
        check_head();
        check_headers();
        check_resource();
    }
    (void)hotel_shutdown(1000);
    FUZZ_CHECK(hotel_release() == HOTEL_OK);
    return 0;
}
