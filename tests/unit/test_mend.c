/*
 * SPDX-License-Identifier: MIT
 *
 * What Hatchet's engine would lose a whole request for is changed where it stands: texts with NUL
 * and IDs of runs that are not UUIDs; everything else is left as it is.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

typedef struct message {
    uint8_t bytes[4096];
    size_t size;
} message;

static void put(message *m, uint8_t tag, const void *bytes, size_t size) {
    if (m->size + size + 3 > sizeof m->bytes) abort();
    m->bytes[m->size++] = tag;
    if (size >= 0x80) m->bytes[m->size++] = (uint8_t)(size | 0x80);
    m->bytes[m->size++] = (uint8_t)(size >= 0x80 ? size >> 7 : size);
    if (size > 0) memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static message in(uint8_t tag, const message *inner) {
    message m;
    m.size = 0;
    put(&m, tag, inner->bytes, inner->size);
    return m;
}

static message text(uint8_t tag, const char *bytes, size_t size) {
    message m;
    m.size = 0;
    put(&m, tag, bytes, size);
    return m;
}

/* A KeyValue; the value is an AnyValue. */
static message pair(const char *key, size_t size, const message *value) {
    message m;
    m.size = 0;
    put(&m, 0x0A, key, size);
    put(&m, 0x12, value->bytes, value->size);
    return m;
}

static message string_pair(const char *key, const char *value) {
    message string = text(0x0A, value, strlen(value));
    return pair(key, strlen(key), &string);
}

/* A request with one span that has this field, and one with a field of the resource. */
static message request_with(uint8_t tag, const message *field) {
    message span = in(tag, field), scope_spans, resource_spans;
    span = in(0x12, &span);
    scope_spans = in(0x12, &span);
    resource_spans = in(0x0A, &scope_spans);
    return resource_spans;
}

/* Mends a copy, which has to become the other message. */
static void mends(const message *given, const message *want, unsigned what, const char *name) {
    uint8_t *copy = (uint8_t *)guard_copy(0, given->bytes, given->size);
    is_int((long long)hoteli_mend_for_hatchet(copy, given->size), (long long)what, "%s: told",
           name);
    is_mem(copy, given->size, want->bytes, want->size, "%s: done", name);
    is_int((long long)hoteli_mend_for_hatchet(copy, given->size), 0, "%s: once", name);
}

static void as_it_is(const message *given, const char *name) {
    mends(given, given, 0, name);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_texts(void) {
    static const struct {
        uint8_t tag;
        const char *name;
        bool mended;
    } fields[] = {{0x2A, "a name", true}, {0x1A, "a tracestate", false}};
    size_t i;
    for (i = 0; i < 2; i++) {
        message given, want, bytes = {{0}, 0}, good = {{0}, 0};
        bytes.size = good.size = 5;
        memcpy(bytes.bytes, "\0ab\0\0", 5);
        memcpy(good.bytes, "?ab??", 5);
        given = request_with(fields[i].tag, &bytes);
        want = request_with(fields[i].tag, &good);
        if (fields[i].mended)
            mends(&given, &want, HOTELI_MENDED_NUL, fields[i].name);
        else
            as_it_is(&given, fields[i].name);
    }
}

static void test_status(void) {
    message bad = text(0x12, "a\0", 2), good = text(0x12, "a?", 2);
    message given = request_with(0x7A, &bad), want = request_with(0x7A, &good);
    mends(&given, &want, HOTELI_MENDED_NUL, "a status's description");
}

static void test_scope_and_resource(void) {
    message bad = text(0x0A, "a\0", 2), good = text(0x0A, "a?", 2), given, want;
    given = in(0x0A, &bad);
    want = in(0x0A, &good);
    given = in(0x12, &given);
    want = in(0x12, &want);
    given = in(0x0A, &given);
    want = in(0x0A, &want);
    mends(&given, &want, HOTELI_MENDED_NUL, "a scope's name");

    good = text(0x3A, "a\0", 2);
    bad = pair("host", 4, &bad);
    good = pair("host", 4, &good);
    given = in(0x0A, &bad);
    want = in(0x0A, &good);
    given = in(0x0A, &given);
    want = in(0x0A, &want);
    given = in(0x0A, &given);
    want = in(0x0A, &want);
    mends(&given, &want, HOTELI_MENDED_NUL, "a resource's attribute");
}

static void test_values(void) {
    message bad = text(0x0A, "a\0b", 3), good = text(0x3A, "a\0b", 3), given, want;
    message number = {{0x18, 0}, 2}, both;
    given = pair("key", 3, &bad);
    want = pair("key", 3, &good);
    given = request_with(0x4A, &given);
    want = request_with(0x4A, &want);
    mends(&given, &want, HOTELI_MENDED_NUL, "a value becomes bytes");
    as_it_is(&want, "bytes are bytes");

    given = pair("k\0y", 3, &number);
    want = pair("k?y", 3, &number);
    given = request_with(0x4A, &given);
    want = request_with(0x4A, &want);
    mends(&given, &want, HOTELI_MENDED_NUL, "a key");

    both = in(0x0A, &bad); /* an array, in a map */
    both = in(0x2A, &both);
    both = pair("inner", 5, &both);
    both = in(0x0A, &both);
    both = in(0x32, &both);
    given = pair("outer", 5, &both);
    both = in(0x0A, &good);
    both = in(0x2A, &both);
    both = pair("inner", 5, &both);
    both = in(0x0A, &both);
    both = in(0x32, &both);
    want = pair("outer", 5, &both);
    given = request_with(0x4A, &given);
    want = request_with(0x4A, &want);
    mends(&given, &want, HOTELI_MENDED_NUL, "a value in an array in a map");
    given = request_with(0x5A, &bad);
    as_it_is(&given, "an event");
}

static void test_ids(void) {
    static const char *const good[] = {"",
                                       "707d0855-80ab-4e1f-a156-f1c4546cbf52",
                                       "707D0855-80AB-4E1F-A156-F1C4546CBF52",
                                       "00000000-0000-0000-0000-000000000000",
                                       "707d085580ab4e1fa156f1c4546cbf52",
                                       "{707d0855-80ab-4e1f-a156-f1c4546cbf52}",
                                       "urn:uuid:707d0855-80ab-4e1f-a156-f1c4546cbf52",
                                       "URN:UUID:707d0855-80ab-4e1f-a156-f1c4546cbf52"};
    static const char *const bad[] = {"1",
                                      "707d0855-80ab-4e1f-a156-f1c4546cbf5",
                                      "707d0855-80ab-4e1f-a156-f1c4546cbf52 ",
                                      "707d0855-80ab-4e1f-a156-f1c4546cbf5g",
                                      "707d0855080ab-4e1f-a156-f1c4546cbf52",
                                      "707d085580ab4e1fa156f1c4546cbf5-",
                                      "{707d0855-80ab-4e1f-a156-f1c4546cbf52)",
                                      "(707d0855-80ab-4e1f-a156-f1c4546cbf52}",
                                      "urn:uuie:707d0855-80ab-4e1f-a156-f1c4546cbf52"};
    static const char *const keys[] = {"hatchet.step_run_id", "hatchet.workflow_run_id"};
    static const char *const others[] = {"hatchet.step_run_ix", "hatchet.workflow_run_ix",
                                         "hatchet.worker_id"};
    size_t i, k;
    for (k = 0; k < 2; k++) {
        for (i = 0; i < sizeof good / sizeof good[0]; i++) {
            message given = string_pair(keys[k], good[i]);
            given = request_with(0x4A, &given);
            as_it_is(&given, good[i]);
        }
        for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            message given = string_pair(keys[k], bad[i]), want = text(0x3A, bad[i], strlen(bad[i]));
            want = pair(keys[k], strlen(keys[k]), &want);
            given = request_with(0x4A, &given);
            want = request_with(0x4A, &want);
            mends(&given, &want, HOTELI_MENDED_ID, bad[i]);
        }
    }
    for (i = 0; i < 3; i++) {
        message given = string_pair(others[i], "1");
        given = request_with(0x4A, &given);
        as_it_is(&given, others[i]);
    }
}

/* Only an attribute of the span itself names a run, and only its own value. */
static void test_other_ids(void) {
    message inner = string_pair("hatchet.step_run_id", "1"), given, attribute;
    given = in(0x0A, &inner);
    given = in(0x0A, &given);
    given = in(0x0A, &given);
    as_it_is(&given, "a run's ID in a resource");

    attribute = in(0x0A, &inner);
    attribute = in(0x32, &attribute);
    attribute = pair("map", 3, &attribute);
    given = request_with(0x4A, &attribute);
    as_it_is(&given, "a run's ID in a map");

    attribute = text(0x0A, "1", 1);
    attribute = in(0x0A, &attribute);
    attribute = in(0x2A, &attribute);
    attribute = pair("hatchet.step_run_id", 19, &attribute);
    given = request_with(0x4A, &attribute);
    as_it_is(&given, "an array");
}

static void test_malformed(void) {
    message bad = text(0x0A, "a\0", 2), given = pair("k", 1, &bad);
    size_t size;
    bool changed = false;
    given = request_with(0x4A, &given);
    for (size = 0; size < given.size; size++) {
        uint8_t *copy = (uint8_t *)guard_copy(0, given.bytes, size);
        changed = changed || hoteli_mend_for_hatchet(copy, size) != 0 ||
                  (size > 0 && memcmp(copy, given.bytes, size) != 0);
    }
    ok(!changed, "what is cut off is left as it is");
}

/* Deeper than any value may be: left alone from there, nothing is overrun. */
static void test_depth(void) {
    message value = text(0x0A, "a\0", 2), given;
    int i;
    for (i = 0; i < 250; i++) {
        value = in(0x0A, &value);
        value = in(0x2A, &value);
        if (i != 199) continue;
        given = pair("k", 1, &value);
        given = request_with(0x4A, &given);
        is_int((long long)hoteli_mend_for_hatchet(given.bytes, given.size), HOTELI_MENDED_NUL,
               "200 arrays in one another");
    }
    given = pair("k", 1, &value);
    given = request_with(0x4A, &given);
    is_int((long long)hoteli_mend_for_hatchet(given.bytes, given.size), 0,
           "250 arrays in one another");
}

/* What nobody writes, but may: a tag in two bytes cannot be changed where it stands. */
static void test_long_tag(void) {
    static const uint8_t bytes[] = {0x8A, 0x00, 2, 'a', 0};
    message value, given;
    memcpy(value.bytes, bytes, sizeof bytes);
    value.size = sizeof bytes;
    given = pair("k", 1, &value);
    given = request_with(0x4A, &given);
    as_it_is(&given, "a tag of two bytes");
}

/* ---- spans of another day ---- */

/* A transport without a server: the request stays where it can be looked at. */
static int connection;

static void *silent_open(const char *host, uint16_t port, void *user_data) {
    (void)host, (void)port, (void)user_data;
    return &connection;
}

static int silent_connect(void *which) {
    (void)which;
    return HOTEL_IO_WANT_READ;
}

static ptrdiff_t silent_send(void *which, const void *bytes, size_t size) {
    (void)which, (void)bytes, (void)size;
    return HOTEL_IO_WANT_WRITE;
}

static ptrdiff_t silent_receive(void *which, void *bytes, size_t size) {
    (void)which, (void)bytes, (void)size;
    return HOTEL_IO_WANT_READ;
}

static int silent_descriptor(void *which) {
    (void)which;
    return -1;
}

static void silent_close(void *which, bool inherited) {
    (void)which, (void)inherited;
}

/* Spans with these starts, in hours from now, 0: whenever they start. How many go in the first
   request? */
static uint32_t first_batch(const int *hours, size_t count) {
    const char *token = "eyJhbGciOiJFUzI1NiJ9."
                        "eyJzdWIiOiI3MDdkMDg1NS04MGFiLTRlMWYtYTE1Ni1mMWM0NTQ2Y2JmNTIifQ.c2ln";
    hotel_transport transport = {silent_open,    silent_connect,    silent_send,
                                 silent_receive, silent_descriptor, silent_close, NULL};
    hotel_config config;
    uint32_t spans;
    size_t i;
    memset(&config, 0, sizeof config);
    config.ignore_environment = config.no_threads = true;
    config.hatchet.token = token;
    config.hatchet.host_port = "localhost:7077";
    config.hatchet.tls_strategy = HOTEL_TLS_STRATEGY_NONE;
    config.hatchet.collector.transport = &transport;
    config.hatchet.collector.schedule_delay_ms = HOTEL_NONE;
    if (hotel_init(&config) != HOTEL_OK) abort();
    for (i = 0; i < count; i++) {
        struct timespec now;
        hotel_start_options options;
        hotel_span span;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        memset(&options, 0, sizeof options);
        if (hours[i] != 0)
            options.start_time_ns =
                (uint64_t)((int64_t)now.tv_sec + (int64_t)hours[i] * 3600) * 1000000000u;
        span = hotel_start_with("of some day", &options);
        hotel_end(&span);
    }
    (void)hotel_poll(0);
    spans = hoteli_g.destinations[0]->requests[0].spans;
    (void)hotel_shutdown(0);
    return spans;
}

static void test_days(void) {
    static const int near[] = {0, 23, -23, 0}, past[] = {-25, 0, 0}, future[] = {25, 0};
    static const int behind[] = {0, 1, -100, 0};
    is_int(first_batch(near, 4), 4, "spans of about now go together");
    is_int(first_batch(past, 3), 1, "one of the day before yesterday goes alone");
    is_int(first_batch(future, 2), 1, "one of the day after tomorrow goes alone");
    is_int(first_batch(behind, 4), 2, "those in front of such a one go without it");
    (void)hotel_release();
}

int main(void) {
    test_long_tag();
    test_days();
    test_texts();
    test_status();
    test_scope_and_resource();
    test_values();
    test_ids();
    test_other_ids();
    test_malformed();
    test_depth();
    return done_testing();
}
