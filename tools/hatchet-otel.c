/* SPDX-License-Identifier: MIT
 *
 * hatchet-otel - the command that goes with hatchet_otel.h.
 *
 *     hatchet-otel serve      receives traces (OTLP over HTTP) and prints them as trees
 *
 * One file, C99 and POSIX, libc only:
 *
 *     cc -std=c99 -O2 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L hatchet-otel.c -o hatchet-otel
 *
 * One thread, one poll loop. What arrives is not trusted: lengths are checked before use, buffers
 * are bounded, text is escaped before it reaches a terminal.
 *
 * CONTENTS
 *     [SECTION 01] BASICS            views, buffers, clock, messages on stderr
 *     [SECTION 02] TEXT              UTF-8, escaping, display width
 *     [SECTION 03] PROTOBUF          the wire format, the OTLP messages, checking a request
 *     [SECTION 04] OUTPUT            unbuffered files behind one fixed buffer
 *     [SECTION 05] OTLP/JSON         a checked request as one line of JSON
 *     [SECTION 06] STORE             spans that wait for their trace to go quiet
 *     [SECTION 07] TREE              a trace's spans linked to their parents
 *     [SECTION 08] PRINTING          a tree as lines of text
 *     [SECTION 09] SERVER STATE      options, connections, counters
 *     [SECTION 10] HTTP REQUESTS     reading a request's head
 *     [SECTION 11] HTTP REPLIES      replies and refusals
 *     [SECTION 12] CONNECTIONS       from bytes to requests to replies
 *     [SECTION 13] LISTENING         addresses and sockets
 *     [SECTION 14] POLL LOOP         readiness, time, signals
 *     [SECTION 15] COMMAND LINE      options, help, main
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef TOOL_VERSION
#define TOOL_VERSION "unknown"
#endif

/* ========================================================================================== */
/* [SECTION 01] BASICS                                                                        */
/* ========================================================================================== */

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes that somebody else owns. */
struct view {
    const unsigned char *data;
    size_t size;
};

static struct view view_of(const char *text) {
    struct view view;
    view.data = (const unsigned char *)text;
    view.size = strlen(text);
    return view;
}

static struct view view_part(struct view whole, size_t start, size_t size) {
    struct view view;
    view.data = start > 0 ? whole.data + start : whole.data;
    view.size = size;
    return view;
}

static struct view view_after(struct view whole, size_t start) {
    return view_part(whole, start, whole.size - start);
}

static bool view_equal(struct view a, struct view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool view_is(struct view view, const char *text) {
    return view_equal(view, view_of(text));
}

static bool view_is_nocase(struct view view, const char *text) {
    return view.size == strlen(text) &&
           (view.size == 0 || strncasecmp((const char *)view.data, text, view.size) == 0);
}

static bool view_starts(struct view view, const char *prefix) {
    size_t size = strlen(prefix);
    return view.size >= size && memcmp(view.data, prefix, size) == 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One line on standard error, in one write. */
static void say_v(const char *format, va_list arguments) {
    char line[1024] = "hatchet-otel: ";
    size_t used = strlen(line);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    if (wanted > 0) {
        size_t room = sizeof line - used - 2;
        used += (size_t)wanted < room ? (size_t)wanted : room;
    }
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) return; // nobody left to tell
}

PRINTF_LIKE(1, 2) static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_v(format, arguments);
    va_end(arguments);
}

/* Memory use is bounded by design, so a failing allocation means a machine without memory. */
static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        say("out of memory (%lu bytes)", (unsigned long)size);
        exit(1);
    }
    return memory;
}

static void *reallocate(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (memory == NULL) {
        say("out of memory (%lu bytes)", (unsigned long)size);
        exit(1);
    }
    return memory;
}

/* Lets a few lines a second through and counts the rest, so that a flood of refusals
 * neither hides what else is on the terminal nor slows the receiver down. */
struct limiter {
    int64_t window_ms;
    unsigned shown;
    unsigned long hidden;
};

enum { LIMITER_LINES = 10, LIMITER_WINDOW_MS = 1000 };

static void limiter_flush(struct limiter *limiter, int64_t now) {
    if (now - limiter->window_ms < LIMITER_WINDOW_MS) return;
    if (limiter->hidden > 0) say("... and %lu more, not shown", limiter->hidden);
    limiter->window_ms = now;
    limiter->shown = 0;
    limiter->hidden = 0;
}

PRINTF_LIKE(2, 3) static void say_limited(struct limiter *limiter, const char *format, ...) {
    va_list arguments;
    limiter_flush(limiter, now_ms());
    if (limiter->shown >= LIMITER_LINES) {
        limiter->hidden++;
        return;
    }
    limiter->shown++;
    va_start(arguments, format);
    say_v(format, arguments);
    va_end(arguments);
}

/* A short text that is cut, never overrun. */
struct text {
    char bytes[512];
    size_t size;
};

static void text_clear(struct text *text) {
    text->size = 0;
    text->bytes[0] = '\0';
}

static void text_add(struct text *text, struct view part) {
    size_t room = sizeof text->bytes - 1 - text->size;
    size_t size = part.size;
    if (size > room) {
        size = room;
        while (size > 0 && (part.data[size] & 0xc0) == 0x80) size--; // whole characters only
    }
    if (size > 0) memcpy(text->bytes + text->size, part.data, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

static void text_format_v(struct text *text, const char *format, va_list arguments) {
    char part[sizeof text->bytes];
    vsnprintf(part, sizeof part, format, arguments);
    text_add(text, view_of(part));
}

PRINTF_LIKE(2, 3) static void text_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_format_v(text, format, arguments);
    va_end(arguments);
}

static struct view text_view(const struct text *text) {
    struct view view;
    view.data = (const unsigned char *)text->bytes;
    view.size = text->size;
    return view;
}

static void text_add_hex(struct text *text, struct view bytes) {
    size_t i;
    for (i = 0; i < bytes.size; i++) text_format(text, "%02x", bytes.data[i]);
}

/* Three digits are enough for a glance; cut, not rounded. */
static void text_add_duration(struct text *text, uint64_t ns) {
    static const struct {
        uint64_t ns;
        const char *name;
        uint64_t part_ns; // from a minute up, two units are shown
        const char *part_name;
    } units[] = {
        {UINT64_C(3600000000000), "h", UINT64_C(60000000000), "m"},
        {UINT64_C(60000000000), "m", 1000000000, "s"},
        {1000000000, "s", 0, NULL},
        {1000000, "ms", 0, NULL},
        {1000, "us", 0, NULL},
        {1, "ns", 0, NULL},
    };
    unsigned long long whole, part;
    size_t i = 0;
    while (i + 1 < COUNT_OF(units) && ns < units[i].ns) i++;
    whole = ns / units[i].ns;
    if (units[i].part_ns != 0) {
        part = ns % units[i].ns / units[i].part_ns;
        text_format(text, "%llu%s %02llu%s", whole, units[i].name, part, units[i].part_name);
        return;
    }
    part = ns % units[i].ns * 100 / units[i].ns;
    if (whole >= 100 || units[i].ns == 1) {
        text_format(text, "%llu %s", whole, units[i].name);
    } else if (whole >= 10) {
        text_format(text, "%llu.%llu %s", whole, part / 10, units[i].name);
    } else {
        text_format(text, "%llu.%02llu %s", whole, part, units[i].name);
    }
}

/* ========================================================================================== */
/* [SECTION 02] TEXT                                                                          */
/* ========================================================================================== */

/* Decodes the first character. Returns its length, 0 if the bytes are not UTF-8
 * (overlong forms, surrogates and what is beyond U+10FFFF included) or there are none. */
static size_t utf8_first(struct view text, uint32_t *code) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length, i;
    uint32_t value;
    if (text.size == 0) return 0;
    value = text.data[0];
    if (value < 0x80) {
        *code = value;
        return 1;
    }
    length = value >= 0xf0 ? 4 : value >= 0xe0 ? 3 : 2;
    if (value < 0xc2 || value > 0xf4 || text.size < length) return 0;
    value &= 0xffU >> (length + 1);
    for (i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (text.data[i] & 0x3fU);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code = value;
    return length;
}

/* Returns how many bytes at the beginning are valid UTF-8; text.size if all are. */
static size_t utf8_valid_size(struct view text) {
    size_t at = 0;
    uint32_t code;
    while (at < text.size) {
        size_t length = text.data[at] < 0x80 ? 1 : utf8_first(view_after(text, at), &code);
        if (length == 0) return at;
        at += length;
    }
    return at;
}

struct code_range {
    uint32_t first;
    uint32_t last;
};

static bool in_ranges(uint32_t code, const struct code_range *ranges, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

/* What can move the cursor, change the direction of the text or hide itself. */
static bool is_unsafe(uint32_t code) {
    static const struct code_range ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},        {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},    {0x2060, 0x206f},
        {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xe0000, 0x10ffff},
    };
    return in_ranges(code, ranges, COUNT_OF(ranges));
}

/* Columns on a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks. */
static size_t code_columns(uint32_t code) {
    static const struct code_range combining[] = {
        {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x64b, 0x65f},
        {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0x302a, 0x302d},
        {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
    };
    static const struct code_range wide[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
        {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
    };
    if (code < 0x300) return 1;
    if (in_ranges(code, combining, COUNT_OF(combining))) return 0;
    return in_ranges(code, wide, COUNT_OF(wide)) ? 2 : 1;
}

/* One character as it may be shown: itself, or an escape sequence in printable ASCII. */
struct shown {
    char bytes[16];
    size_t size;
    size_t columns;
};

/* Takes the first character off the (not empty) text. */
static struct shown show_first(struct view *text, bool unicode) {
    struct shown shown;
    uint32_t code = 0;
    size_t length = utf8_first(*text, &code);
    const char *format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
    if (length == 0) {
        code = text->data[0];
        length = 1;
        format = "\\x%02x";
    } else if (!is_unsafe(code) && (code < 0x80 || unicode)) {
        memcpy(shown.bytes, text->data, length);
        shown.size = length;
        shown.columns = code_columns(code);
        *text = view_after(*text, length);
        return shown;
    } else if (code == '\n' || code == '\r' || code == '\t') {
        format = code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    }
    snprintf(shown.bytes, sizeof shown.bytes, format, (unsigned)code);
    shown.size = strlen(shown.bytes);
    shown.columns = shown.size;
    *text = view_after(*text, length);
    return shown;
}

/* Columns that the text takes when shown; stops counting beyond the limit. */
static size_t text_columns(struct view text, bool unicode, size_t limit) {
    size_t columns = 0;
    while (text.size > 0 && columns <= limit) columns += show_first(&text, unicode).columns;
    return columns;
}

/* Adds what somebody sent to a message of ours: ASCII, escaped, at most max characters. */
static void text_add_escaped(struct text *text, struct view part, size_t max) {
    size_t columns = 0;
    while (part.size > 0 && columns < max) {
        struct shown shown = show_first(&part, false);
        struct view bytes;
        bytes.data = (const unsigned char *)shown.bytes;
        bytes.size = shown.size;
        text_add(text, bytes);
        columns += shown.columns;
    }
    if (part.size > 0) text_add(text, view_of("..."));
}

/* ========================================================================================== */
/* [SECTION 03] PROTOBUF                                                                      */
/* ========================================================================================== */

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
    uint32_t number;
    unsigned wire_type;
    uint64_t value;    // varint, fixed64, fixed32
    struct view bytes; // length-delimited
};

/* Readers take from the front of *rest. They return NULL, or the reason why they cannot. */
static const char *wire_varint(struct view *rest, uint64_t *value) {
    uint64_t result = 0;
    size_t i;
    for (i = 0; i < rest->size && i < 10; i++) {
        unsigned char byte = rest->data[i];
        if (i == 9 && byte > 1) return "a varint is larger than 64 bits";
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *value = result;
            *rest = view_after(*rest, i + 1);
            return NULL;
        }
    }
    return i == 10 ? "a varint is larger than 64 bits" : "the message ends inside a varint";
}

static const char *wire_fixed(struct view *rest, size_t size, uint64_t *value) {
    uint64_t result = 0;
    size_t i;
    if (rest->size < size) return "the message ends inside a fixed-size number";
    for (i = 0; i < size; i++) result |= (uint64_t)rest->data[i] << (8 * i);
    *value = result;
    *rest = view_after(*rest, size);
    return NULL;
}

static const char *wire_bytes(struct view *rest, struct view *bytes) {
    uint64_t size = 0;
    const char *reason = wire_varint(rest, &size);
    if (reason != NULL) return reason;
    if (size > rest->size) return "a length points beyond the end of the message";
    *bytes = view_part(*rest, 0, (size_t)size);
    *rest = view_after(*rest, (size_t)size);
    return NULL;
}

static const char *wire_next(struct view *rest, struct wire_field *field) {
    uint64_t tag = 0;
    const char *reason = wire_varint(rest, &tag);
    if (reason != NULL) return reason;
    if (tag > UINT32_MAX || tag >> 3 == 0) return "a field number is out of range";
    field->number = (uint32_t)(tag >> 3);
    field->wire_type = (unsigned)(tag & 7);
    field->value = 0;
    field->bytes = view_part(*rest, 0, 0);
    switch (field->wire_type) {
    case WIRE_VARINT:
        return wire_varint(rest, &field->value);
    case WIRE_FIXED64:
        return wire_fixed(rest, 8, &field->value);
    case WIRE_FIXED32:
        return wire_fixed(rest, 4, &field->value);
    case WIRE_BYTES:
        return wire_bytes(rest, &field->bytes);
    default:
        return "a field has a wire type that OTLP does not use";
    }
}

/* --- The messages. One table serves the check and the JSON. ------------------------------- */

enum field_type {
    TYPE_MESSAGE,
    TYPE_STRING,
    TYPE_BYTES,
    TYPE_TRACE_ID,
    TYPE_SPAN_ID,
    TYPE_BOOL,
    TYPE_ENUM,
    TYPE_UINT32,
    TYPE_INT64,
    TYPE_FIXED32,
    TYPE_FIXED64,
    TYPE_DOUBLE
};

enum { FIELD_REPEATED = 1, FIELD_REQUIRED = 2, FIELD_ONEOF = 4 };

struct message;

struct field {
    uint32_t number;
    enum field_type type;
    unsigned flags;
    const char *name;
    const struct message *message; // TYPE_MESSAGE
};

struct message {
    const char *name;
    const struct field *fields;
    size_t num_fields;
};

enum { MAX_FIELDS = 16 };

/* Field numbers that the code below uses. */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SPANS = 2 };
enum { SPAN_TRACE_ID = 1, SPAN_SPAN_ID = 2, SPAN_PARENT_SPAN_ID = 4, SPAN_NAME = 5, SPAN_KIND = 6 };
enum { SPAN_START = 7, SPAN_END = 8, SPAN_ATTRIBUTES = 9, SPAN_DROPPED_ATTRIBUTES = 10 };
enum { SPAN_EVENTS = 11, SPAN_DROPPED_EVENTS = 12, SPAN_LINKS = 13, SPAN_DROPPED_LINKS = 14 };
enum { SPAN_STATUS = 15 };
enum { EVENT_TIME = 1, EVENT_NAME = 2, EVENT_ATTRIBUTES = 3 };
enum { LINK_TRACE_ID = 1, LINK_SPAN_ID = 2, LINK_ATTRIBUTES = 4 };
enum { STATUS_MESSAGE = 2, STATUS_CODE = 3 };
enum { STATUS_CODE_OK = 1, STATUS_CODE_ERROR = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum { VALUE_STRING = 1, VALUE_BOOL = 2, VALUE_INT = 3, VALUE_DOUBLE = 4, VALUE_ARRAY = 5 };
enum { VALUE_KVLIST = 6, VALUE_BYTES = 7 };
enum { LIST_VALUES = 1 }; // of ArrayValue and of KeyValueList

static const struct message message_any_value;

#define MESSAGE(label, list) \
    { label, list, COUNT_OF(list) }

static const struct field fields_key_value[] = {
    {KEY_VALUE_KEY, TYPE_STRING, 0, "key", NULL},
    {KEY_VALUE_VALUE, TYPE_MESSAGE, 0, "value", &message_any_value},
};
static const struct message message_key_value = MESSAGE("KeyValue", fields_key_value);

static const struct field fields_array_value[] = {
    {LIST_VALUES, TYPE_MESSAGE, FIELD_REPEATED, "values", &message_any_value},
};
static const struct message message_array_value = MESSAGE("ArrayValue", fields_array_value);

static const struct field fields_key_value_list[] = {
    {LIST_VALUES, TYPE_MESSAGE, FIELD_REPEATED, "values", &message_key_value},
};
static const struct message message_key_value_list = MESSAGE("KeyValueList", fields_key_value_list);

static const struct field fields_any_value[] = {
    {VALUE_STRING, TYPE_STRING, FIELD_ONEOF, "string_value", NULL},
    {VALUE_BOOL, TYPE_BOOL, FIELD_ONEOF, "bool_value", NULL},
    {VALUE_INT, TYPE_INT64, FIELD_ONEOF, "int_value", NULL},
    {VALUE_DOUBLE, TYPE_DOUBLE, FIELD_ONEOF, "double_value", NULL},
    {VALUE_ARRAY, TYPE_MESSAGE, FIELD_ONEOF, "array_value", &message_array_value},
    {VALUE_KVLIST, TYPE_MESSAGE, FIELD_ONEOF, "kvlist_value", &message_key_value_list},
    {VALUE_BYTES, TYPE_BYTES, FIELD_ONEOF, "bytes_value", NULL},
};
static const struct message message_any_value = MESSAGE("AnyValue", fields_any_value);

static const struct field fields_event[] = {
    {EVENT_TIME, TYPE_FIXED64, 0, "time_unix_nano", NULL},
    {EVENT_NAME, TYPE_STRING, 0, "name", NULL},
    {EVENT_ATTRIBUTES, TYPE_MESSAGE, FIELD_REPEATED, "attributes", &message_key_value},
    {4, TYPE_UINT32, 0, "dropped_attributes_count", NULL},
};
static const struct message message_event = MESSAGE("Event", fields_event);

static const struct field fields_link[] = {
    {LINK_TRACE_ID, TYPE_TRACE_ID, 0, "trace_id", NULL},
    {LINK_SPAN_ID, TYPE_SPAN_ID, 0, "span_id", NULL},
    {3, TYPE_STRING, 0, "trace_state", NULL},
    {LINK_ATTRIBUTES, TYPE_MESSAGE, FIELD_REPEATED, "attributes", &message_key_value},
    {5, TYPE_UINT32, 0, "dropped_attributes_count", NULL},
    {6, TYPE_FIXED32, 0, "flags", NULL},
};
static const struct message message_link = MESSAGE("Link", fields_link);

static const struct field fields_status[] = {
    {STATUS_MESSAGE, TYPE_STRING, 0, "message", NULL},
    {STATUS_CODE, TYPE_ENUM, 0, "code", NULL},
};
static const struct message message_status = MESSAGE("Status", fields_status);

static const struct field fields_span[] = {
    {SPAN_TRACE_ID, TYPE_TRACE_ID, FIELD_REQUIRED, "trace_id", NULL},
    {SPAN_SPAN_ID, TYPE_SPAN_ID, FIELD_REQUIRED, "span_id", NULL},
    {3, TYPE_STRING, 0, "trace_state", NULL},
    {SPAN_PARENT_SPAN_ID, TYPE_SPAN_ID, 0, "parent_span_id", NULL},
    {16, TYPE_FIXED32, 0, "flags", NULL},
    {SPAN_NAME, TYPE_STRING, 0, "name", NULL},
    {SPAN_KIND, TYPE_ENUM, 0, "kind", NULL},
    {SPAN_START, TYPE_FIXED64, 0, "start_time_unix_nano", NULL},
    {SPAN_END, TYPE_FIXED64, 0, "end_time_unix_nano", NULL},
    {SPAN_ATTRIBUTES, TYPE_MESSAGE, FIELD_REPEATED, "attributes", &message_key_value},
    {SPAN_DROPPED_ATTRIBUTES, TYPE_UINT32, 0, "dropped_attributes_count", NULL},
    {SPAN_EVENTS, TYPE_MESSAGE, FIELD_REPEATED, "events", &message_event},
    {SPAN_DROPPED_EVENTS, TYPE_UINT32, 0, "dropped_events_count", NULL},
    {SPAN_LINKS, TYPE_MESSAGE, FIELD_REPEATED, "links", &message_link},
    {SPAN_DROPPED_LINKS, TYPE_UINT32, 0, "dropped_links_count", NULL},
    {SPAN_STATUS, TYPE_MESSAGE, 0, "status", &message_status},
};
static const struct message message_span = MESSAGE("Span", fields_span);

static const struct field fields_entity_ref[] = {
    {1, TYPE_STRING, 0, "schema_url", NULL},
    {2, TYPE_STRING, 0, "type", NULL},
    {3, TYPE_STRING, FIELD_REPEATED, "id_keys", NULL},
    {4, TYPE_STRING, FIELD_REPEATED, "description_keys", NULL},
};
static const struct message message_entity_ref = MESSAGE("EntityRef", fields_entity_ref);

static const struct field fields_resource[] = {
    {RESOURCE_ATTRIBUTES, TYPE_MESSAGE, FIELD_REPEATED, "attributes", &message_key_value},
    {2, TYPE_UINT32, 0, "dropped_attributes_count", NULL},
    {3, TYPE_MESSAGE, FIELD_REPEATED, "entity_refs", &message_entity_ref},
};
static const struct message message_resource = MESSAGE("Resource", fields_resource);

static const struct field fields_scope[] = {
    {1, TYPE_STRING, 0, "name", NULL},
    {2, TYPE_STRING, 0, "version", NULL},
    {3, TYPE_MESSAGE, FIELD_REPEATED, "attributes", &message_key_value},
    {4, TYPE_UINT32, 0, "dropped_attributes_count", NULL},
};
static const struct message message_scope = MESSAGE("InstrumentationScope", fields_scope);

static const struct field fields_scope_spans[] = {
    {1, TYPE_MESSAGE, 0, "scope", &message_scope},
    {SCOPE_SPANS_SPANS, TYPE_MESSAGE, FIELD_REPEATED, "spans", &message_span},
    {3, TYPE_STRING, 0, "schema_url", NULL},
};
static const struct message message_scope_spans = MESSAGE("ScopeSpans", fields_scope_spans);

static const struct field fields_resource_spans[] = {
    {RESOURCE_SPANS_RESOURCE, TYPE_MESSAGE, 0, "resource", &message_resource},
    {RESOURCE_SPANS_SCOPE_SPANS, TYPE_MESSAGE, FIELD_REPEATED, "scope_spans", &message_scope_spans},
    {3, TYPE_STRING, 0, "schema_url", NULL},
};
static const struct message message_resource_spans =
    MESSAGE("ResourceSpans", fields_resource_spans);

static const struct field fields_request[] = {
    {REQUEST_RESOURCE_SPANS, TYPE_MESSAGE, FIELD_REPEATED, "resource_spans",
     &message_resource_spans},
};
static const struct message message_request = MESSAGE("ExportTraceServiceRequest", fields_request);

static const struct field *message_field(const struct message *message, uint32_t number,
                                         size_t *index) {
    size_t i;
    for (i = 0; i < message->num_fields; i++) {
        if (message->fields[i].number == number) {
            *index = i;
            return &message->fields[i];
        }
    }
    return NULL;
}

/* --- The check. What passes it is read without further questions. ------------------------- */

enum { MAX_DEPTH = 100 }; // of nested messages, as in Google's implementations

/* Where in the request the check is: a list on the C stack, innermost first. */
struct place {
    const struct place *outer;
    const struct field *field;
    size_t index;
};

struct check {
    const unsigned char *base;
    struct text *reason;
};

static void check_add_place(struct text *text, const struct place *place) {
    if (place == NULL) {
        text_add(text, view_of(message_request.name));
        return;
    }
    check_add_place(text, place->outer);
    text_format(text, ".%s", place->field->name);
    if ((place->field->flags & FIELD_REPEATED) != 0) {
        text_format(text, "[%lu]", (unsigned long)place->index);
    }
}

PRINTF_LIKE(4, 5)
static bool check_failed(const struct check *check, const struct place *place,
                         const unsigned char *at, const char *format, ...) {
    va_list arguments;
    text_clear(check->reason);
    text_format(check->reason, "malformed protobuf at byte %ld: ", (long)(at - check->base));
    va_start(arguments, format);
    text_format_v(check->reason, format, arguments);
    va_end(arguments);
    text_add(check->reason, view_of(", in "));
    check_add_place(check->reason, place);
    return false;
}

static bool check_id(const struct check *check, const struct place *place, struct view id) {
    static const unsigned char zeros[16] = {0};
    size_t size = place->field->type == TYPE_TRACE_ID ? 16 : 8;
    bool required = (place->field->flags & FIELD_REQUIRED) != 0;
    if (id.size == 0 && !required) return true;
    if (id.size != size) {
        return check_failed(check, place, id.data, "an id has %lu bytes instead of %lu",
                            (unsigned long)id.size, (unsigned long)size);
    }
    if (required && memcmp(id.data, zeros, size) == 0) {
        return check_failed(check, place, id.data, "an id is all zeros");
    }
    return true;
}

static unsigned expected_wire_type(enum field_type type) {
    switch (type) {
    case TYPE_BOOL:
    case TYPE_ENUM:
    case TYPE_UINT32:
    case TYPE_INT64:
        return WIRE_VARINT;
    case TYPE_FIXED64:
    case TYPE_DOUBLE:
        return WIRE_FIXED64;
    case TYPE_FIXED32:
        return WIRE_FIXED32;
    case TYPE_MESSAGE:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_TRACE_ID:
    case TYPE_SPAN_ID:
        break;
    }
    return WIRE_BYTES;
}

static bool check_message(const struct check *check, const struct place *place, struct view bytes,
                          const struct message *message, int depth);

static bool check_field(const struct check *check, const struct place *place,
                        const struct wire_field *wire, int depth) {
    const struct field *field = place->field;
    if (wire->wire_type != expected_wire_type(field->type)) {
        return check_failed(check, place, wire->bytes.data, "a field has wire type %u, not %u",
                            wire->wire_type, expected_wire_type(field->type));
    }
    if (field->type == TYPE_MESSAGE) {
        return check_message(check, place, wire->bytes, field->message, depth + 1);
    }
    if (field->type == TYPE_TRACE_ID || field->type == TYPE_SPAN_ID) {
        return check_id(check, place, wire->bytes);
    }
    if (field->type == TYPE_STRING) {
        size_t valid = utf8_valid_size(wire->bytes);
        if (valid < wire->bytes.size) {
            return check_failed(check, place, wire->bytes.data + valid, "text is not UTF-8");
        }
    }
    return true;
}

static bool check_message(const struct check *check, const struct place *place, struct view bytes,
                          const struct message *message, int depth) {
    size_t seen[MAX_FIELDS] = {0};
    struct view rest = bytes;
    struct place inner;
    size_t i;
    inner.outer = place;
    if (depth > MAX_DEPTH) {
        return check_failed(check, NULL, bytes.data, "more than %d levels of messages", MAX_DEPTH);
    }
    while (rest.size > 0) {
        const unsigned char *at = rest.data;
        struct wire_field wire;
        const char *reason = wire_next(&rest, &wire);
        if (reason != NULL) return check_failed(check, place, at, "%s", reason);
        inner.field = message_field(message, wire.number, &i);
        if (inner.field == NULL) continue;
        inner.index = seen[i]++;
        if (!check_field(check, &inner, &wire, depth)) return false;
    }
    for (i = 0; i < message->num_fields; i++) {
        if ((message->fields[i].flags & FIELD_REQUIRED) != 0 && seen[i] == 0) {
            return check_failed(check, place, bytes.data, "%s is missing", message->fields[i].name);
        }
    }
    return true;
}

static bool check_request(struct view body, struct text *reason) {
    struct check check;
    check.base = body.data;
    check.reason = reason;
    return check_message(&check, NULL, body, &message_request, 1);
}

/* --- Reading messages that passed the check ----------------------------------------------- */

/* The next occurrence of a field; false when there is none. */
static bool next_of(struct view *rest, uint32_t number, struct wire_field *found) {
    while (rest->size > 0 && wire_next(rest, found) == NULL) {
        if (found->number == number) return true;
    }
    return false;
}

/* The last occurrence counts, as proto3 has it for single fields. (A reader may also merge
 * repeated occurrences of a single message; no exporter sends such.) Zero if there is none. */
static struct wire_field last_of(struct view message, uint32_t number) {
    struct wire_field found, field;
    memset(&found, 0, sizeof found);
    while (next_of(&message, number, &field)) found = field;
    return found;
}

static struct view bytes_of(struct view message, uint32_t number) {
    return last_of(message, number).bytes;
}

static uint64_t value_of(struct view message, uint32_t number) {
    return last_of(message, number).value;
}

/* Which member of an AnyValue is set: number 0 if none is. */
static struct wire_field any_value_member(struct view value) {
    struct wire_field member, field;
    memset(&member, 0, sizeof member);
    while (value.size > 0 && wire_next(&value, &field) == NULL) {
        if (field.number >= VALUE_STRING && field.number <= VALUE_BYTES) member = field;
    }
    return member;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Two's complement without implementation-defined conversions. */
static int64_t signed_of(uint64_t bits) {
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The shortest form that reads back as the same number. */
static void format_double(char *out, size_t size, double value) {
    int digits;
    for (digits = 15; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (!(strtod(out, NULL) < value) && !(strtod(out, NULL) > value)) return;
    }
}

/* ========================================================================================== */
/* [SECTION 04] OUTPUT                                                                        */
/* ========================================================================================== */

struct output {
    int fd;
    int error;    // errno of the first failed write since the last output_finish
    bool midline; // a failed write left half a line behind
    size_t used;
    char bytes[32768];
};

static void output_flush(struct output *output) {
    size_t sent = 0;
    while (sent < output->used && output->error == 0) {
        ssize_t wrote = write(output->fd, output->bytes + sent, output->used - sent);
        if (wrote >= 0) {
            sent += (size_t)wrote;
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd wait = {0, POLLOUT, 0};
            wait.fd = output->fd;
            poll(&wait, 1, 100);
        } else if (errno != EINTR) {
            output->error = errno;
        }
    }
    output->used = 0;
}

static void output_bytes(struct output *output, const void *bytes, size_t size) {
    const char *from = (const char *)bytes;
    while (size > 0) {
        size_t room = sizeof output->bytes - output->used;
        size_t part = size < room ? size : room;
        memcpy(output->bytes + output->used, from, part);
        output->used += part;
        from += part;
        size -= part;
        if (output->used == sizeof output->bytes) output_flush(output);
    }
}

static void output_text(struct output *output, const char *text) {
    output_bytes(output, text, strlen(text));
}

/* Ends a unit of output. Returns 0, or the errno of what went wrong since the last one. */
static int output_finish(struct output *output) {
    int error;
    output_flush(output);
    error = output->error;
    output->error = 0;
    return error;
}

/* ========================================================================================== */
/* [SECTION 05] OTLP/JSON                                                                     */
/* ========================================================================================== */

/* Rules of the OTLP/JSON encoding: lowerCamelCase names, ids in hex, other bytes in base64, enums
 * as numbers, 64-bit integers as strings, default values left out (not inside an AnyValue). */

static void json_string(struct output *output, struct view text) {
    size_t done = 0, i;
    output_text(output, "\"");
    for (i = 0; i < text.size; i++) {
        unsigned char byte = text.data[i];
        char escape[8];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        if (byte == '"' || byte == '\\') {
            snprintf(escape, sizeof escape, "\\%c", byte);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", byte);
        }
        output_bytes(output, text.data + done, i - done);
        output_text(output, escape);
        done = i + 1;
    }
    if (done < text.size) output_bytes(output, text.data + done, text.size - done);
    output_text(output, "\"");
}

static void json_hex(struct output *output, struct view bytes) {
    size_t i;
    output_text(output, "\"");
    for (i = 0; i < bytes.size; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", bytes.data[i]);
        output_text(output, digits);
    }
    output_text(output, "\"");
}

static void json_base64(struct output *output, struct view bytes) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;
    output_text(output, "\"");
    for (i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        char four[4];
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)bytes.data[i + 2] : 0;
        four[0] = alphabet[group >> 18];
        four[1] = alphabet[group >> 12 & 63];
        four[2] = '=';
        four[3] = '=';
        if (left > 1) four[2] = alphabet[group >> 6 & 63];
        if (left > 2) four[3] = alphabet[group & 63];
        output_bytes(output, four, sizeof four);
    }
    output_text(output, "\"");
}

static void json_double(struct output *output, uint64_t bits) {
    double value = double_of(bits);
    char number[40];
    if (value != value) {
        output_text(output, "\"NaN\"");
    } else if (value - value != 0) {
        output_text(output, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else if (bits == UINT64_C(1) << 63) {
        output_text(output, "-0.0"); // "-0" is an integer to some readers, and loses its sign
    } else {
        format_double(number, sizeof number, value);
        output_text(output, number);
    }
}

static void json_message(struct output *output, struct view bytes, const struct message *message);

static void json_value(struct output *output, const struct field *field,
                       const struct wire_field *wire) {
    char number[32] = "";
    switch (field->type) {
    case TYPE_MESSAGE:
        json_message(output, wire->bytes, field->message);
        return;
    case TYPE_STRING:
        json_string(output, wire->bytes);
        return;
    case TYPE_BYTES:
        json_base64(output, wire->bytes);
        return;
    case TYPE_TRACE_ID:
    case TYPE_SPAN_ID:
        json_hex(output, wire->bytes);
        return;
    case TYPE_DOUBLE:
        json_double(output, wire->value);
        return;
    case TYPE_BOOL:
        output_text(output, wire->value != 0 ? "true" : "false");
        return;
    case TYPE_ENUM: // 32 bits, negative ones sign-extended on the wire
        snprintf(number, sizeof number, "%ld",
                 (long)(signed_of(wire->value << 32) / (int64_t)(UINT64_C(1) << 32)));
        break;
    case TYPE_UINT32:
    case TYPE_FIXED32:
        snprintf(number, sizeof number, "%lu", (unsigned long)(wire->value & UINT32_MAX));
        break;
    case TYPE_INT64:
        snprintf(number, sizeof number, "\"%lld\"", (long long)signed_of(wire->value));
        break;
    case TYPE_FIXED64:
        snprintf(number, sizeof number, "\"%llu\"", (unsigned long long)wire->value);
        break;
    }
    output_text(output, number);
}

/* "trace_id": -> "traceId": */
static void json_name(struct output *output, const char *name, bool first) {
    char camel[64];
    size_t size = 0;
    bool upper = false;
    if (!first) camel[size++] = ',';
    camel[size++] = '"';
    for (; *name != '\0'; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        camel[size++] = upper ? (char)(*name - 'a' + 'A') : *name;
        upper = false;
    }
    camel[size++] = '"';
    camel[size++] = ':';
    output_bytes(output, camel, size);
}

static bool is_default(const struct field *field, const struct wire_field *wire) {
    if (field->type == TYPE_UINT32 || field->type == TYPE_FIXED32 || field->type == TYPE_ENUM) {
        return (wire->value & UINT32_MAX) == 0;
    }
    return field->type != TYPE_MESSAGE && wire->value == 0 && wire->bytes.size == 0;
}

static bool json_repeated(struct output *output, struct view bytes, const struct field *field,
                          bool first) {
    struct wire_field wire;
    bool any = false;
    while (next_of(&bytes, field->number, &wire)) {
        if (!any) json_name(output, field->name, first);
        output_text(output, any ? "," : "[");
        json_value(output, field, &wire);
        any = true;
    }
    if (any) output_text(output, "]");
    return any;
}

/* Returns whether something was written. */
static bool json_field(struct output *output, struct view bytes, const struct field *field,
                       bool first) {
    struct wire_field wire;
    if ((field->flags & FIELD_REPEATED) != 0) return json_repeated(output, bytes, field, first);
    if ((field->flags & FIELD_ONEOF) != 0) {
        wire = any_value_member(bytes);
        if (wire.number != field->number) return false;
    } else {
        wire = last_of(bytes, field->number);
        if (wire.number == 0 || is_default(field, &wire)) return false;
    }
    json_name(output, field->name, first);
    json_value(output, field, &wire);
    return true;
}

static void json_message(struct output *output, struct view bytes, const struct message *message) {
    bool first = true;
    size_t i;
    output_text(output, "{");
    for (i = 0; i < message->num_fields; i++) {
        if (json_field(output, bytes, &message->fields[i], first)) first = false;
    }
    output_text(output, "}");
}

/* Appends one line. Returns 0 or an errno; half a line is closed off before the next one. */
static int json_line(struct output *output, struct view request) {
    int error;
    if (output->midline) output_text(output, "\n");
    json_message(output, request, &message_request);
    output_text(output, "\n");
    error = output_finish(output);
    output->midline = error != 0;
    return error;
}

/* ========================================================================================== */
/* [SECTION 06] STORE                                                                         */
/* ========================================================================================== */

struct span {
    struct span *next;   // in order of arrival
    struct span *parent; // the tree, see section 07
    struct span *children;
    struct span *last_child;
    struct span *sibling;
    size_t order; // of arrival, within the trace
    size_t depth;
    size_t walk; // which search for cycles came by
    uint64_t start_ns;
    uint64_t end_ns;
    struct view raw; // the Span message; empty: stands for a parent that is not here
    struct view service;
    unsigned char id[8];
    unsigned char parent_id[8];
    bool is_placeholder;
    bool in_cycle;
};

struct trace {
    unsigned char id[16];
    struct span *spans;
    struct span *last_span;
    size_t num_spans;
    size_t num_duplicates;
    size_t cost_bytes;
    int64_t touched_ms;
    bool is_continued;
    struct trace *newer; // by the last arrival
    struct trace *older;
    struct trace *next; // in the bucket
};

enum { STORE_BUCKETS = 16384, STORE_RECENT = 64, MAX_SERVICE_BYTES = 128 };

struct store {
    struct trace *buckets[STORE_BUCKETS];
    struct trace *oldest;
    struct trace *newest;
    size_t num_traces;
    size_t cost_bytes;
    uint64_t seed;
    unsigned char recent[STORE_RECENT][16]; // printed lately: what comes now is a continuation
    size_t recent_at;
};

static const unsigned char zero_id[16] = {0};

static struct trace **store_bucket(struct store *store, const unsigned char *id) {
    uint64_t hash = UINT64_C(14695981039346656037) ^ store->seed;
    size_t i;
    for (i = 0; i < 16; i++) hash = (hash ^ id[i]) * UINT64_C(1099511628211);
    return &store->buckets[(hash ^ hash >> 32) % STORE_BUCKETS];
}

static void store_unlink(struct store *store, struct trace *trace) {
    *(trace->older != NULL ? &trace->older->newer : &store->oldest) = trace->newer;
    *(trace->newer != NULL ? &trace->newer->older : &store->newest) = trace->older;
}

static void store_append(struct store *store, struct trace *trace) {
    trace->older = store->newest;
    trace->newer = NULL;
    *(store->newest != NULL ? &store->newest->newer : &store->oldest) = trace;
    store->newest = trace;
}

static bool store_is_recent(const struct store *store, const unsigned char *id) {
    size_t i;
    for (i = 0; i < STORE_RECENT; i++) {
        if (memcmp(store->recent[i], id, 16) == 0) return true;
    }
    return false;
}

/* Finds the trace, or makes it. */
static struct trace *store_trace(struct store *store, const unsigned char *id) {
    struct trace **bucket = store_bucket(store, id);
    struct trace *trace;
    for (trace = *bucket; trace != NULL; trace = trace->next) {
        if (memcmp(trace->id, id, 16) == 0) return trace;
    }
    trace = (struct trace *)allocate(sizeof *trace);
    memset(trace, 0, sizeof *trace);
    memcpy(trace->id, id, 16);
    trace->is_continued = store_is_recent(store, id);
    trace->cost_bytes = sizeof *trace;
    trace->next = *bucket;
    *bucket = trace;
    store_append(store, trace);
    store->num_traces++;
    store->cost_bytes += trace->cost_bytes;
    return trace;
}

/* Takes the trace out; the caller frees it. */
static void store_remove(struct store *store, struct trace *trace) {
    struct trace **link = store_bucket(store, trace->id);
    while (*link != trace) link = &(*link)->next;
    *link = trace->next;
    store_unlink(store, trace);
    store->num_traces--;
    store->cost_bytes -= trace->cost_bytes;
    memcpy(store->recent[store->recent_at], trace->id, 16);
    store->recent_at = (store->recent_at + 1) % STORE_RECENT;
}

static void trace_free(struct trace *trace) {
    struct span *span = trace->spans;
    while (span != NULL) {
        struct span *next = span->next;
        free(span);
        span = next;
    }
    free(trace);
}

/* Memory that a span takes, including what is needed to print it: a slot in the sorted list,
 * a placeholder for its parent, and what malloc adds. */
static size_t span_cost(struct view raw, struct view service) {
    return 2 * (sizeof(struct span) + 16) + sizeof(struct span *) + raw.size + service.size;
}

static void store_span(struct store *store, struct trace *trace, struct view raw,
                       struct view service, int64_t now) {
    struct span *span = (struct span *)allocate(sizeof *span + raw.size + service.size);
    unsigned char *bytes = (unsigned char *)(span + 1);
    struct view parent;
    memset(span, 0, sizeof *span);
    memcpy(bytes, raw.data, raw.size);
    if (service.size > 0) memcpy(bytes + raw.size, service.data, service.size);
    span->raw.data = bytes;
    span->raw.size = raw.size;
    span->service.data = bytes + raw.size;
    span->service.size = service.size;
    span->order = trace->num_spans++;
    span->start_ns = value_of(span->raw, SPAN_START);
    span->end_ns = value_of(span->raw, SPAN_END);
    memcpy(span->id, bytes_of(span->raw, SPAN_SPAN_ID).data, sizeof span->id);
    parent = bytes_of(span->raw, SPAN_PARENT_SPAN_ID);
    if (parent.size == sizeof span->parent_id) {
        memcpy(span->parent_id, parent.data, sizeof span->parent_id);
    }
    *(trace->last_span != NULL ? &trace->last_span->next : &trace->spans) = span;
    trace->last_span = span;
    trace->cost_bytes += span_cost(raw, service);
    store->cost_bytes += span_cost(raw, service);
    trace->touched_ms = now;
    store_unlink(store, trace);
    store_append(store, trace);
}

/* The service.name of a Resource, cut to a sane length. */
static struct view resource_service(struct view resource) {
    struct wire_field attribute;
    struct view service = {NULL, 0};
    while (next_of(&resource, RESOURCE_ATTRIBUTES, &attribute)) {
        if (view_is(bytes_of(attribute.bytes, KEY_VALUE_KEY), "service.name")) {
            service = bytes_of(bytes_of(attribute.bytes, KEY_VALUE_VALUE), VALUE_STRING);
        }
    }
    if (service.size > MAX_SERVICE_BYTES) {
        service.size = MAX_SERVICE_BYTES;
        service.size = utf8_valid_size(service);
    }
    return service;
}

/* ========================================================================================== */
/* [SECTION 07] TREE                                                                          */
/* ========================================================================================== */

static int compare_order(const struct span *a, const struct span *b) {
    if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static const struct span *sorted_item(const void *item) {
    return *(const struct span *const *)item;
}

static int compare_by_id(const void *left, const void *right) {
    const struct span *a = sorted_item(left), *b = sorted_item(right);
    int order = memcmp(a->id, b->id, sizeof a->id);
    return order != 0 ? order : a->order < b->order ? -1 : a->order > b->order;
}

static int compare_by_parent(const void *left, const void *right) {
    const struct span *a = sorted_item(left), *b = sorted_item(right);
    int order = memcmp(a->parent_id, b->parent_id, sizeof a->parent_id);
    return order != 0 ? order : compare_order(a, b);
}

static int compare_by_start(const void *left, const void *right) {
    return compare_order(sorted_item(left), sorted_item(right));
}

/* A retry after a lost reply sends the same bytes again: one copy is enough. The list is sorted
 * by id and arrival. Returns how many are left. */
static size_t tree_drop_duplicates(struct span **list, size_t count) {
    size_t kept = 0, i;
    for (i = 0; i < count; i++) {
        if (kept > 0 && view_equal(list[kept - 1]->raw, list[i]->raw)) continue;
        list[kept++] = list[i];
    }
    return kept;
}

/* Binary search for the first span with this id. */
static struct span *tree_find(struct span **list, size_t count, const unsigned char *id) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(list[middle]->id, id, 8) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && memcmp(list[low]->id, id, 8) == 0 ? list[low] : NULL;
}

/* Spans may name each other as parents; every such ring is cut open once. */
static void tree_cut_cycles(struct span **list, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        struct span *span = list[i];
        while (span != NULL && span->walk == 0) {
            span->walk = i + 1;
            span = span->parent;
        }
        if (span != NULL && span->walk == i + 1) {
            span->parent = NULL;
            span->in_cycle = true;
        }
    }
}

static void tree_add_child(struct span *parent, struct span *child) {
    child->parent = parent;
    *(parent->last_child != NULL ? &parent->last_child->sibling : &parent->children) = child;
    parent->last_child = child;
}

/* Stands for a parent that has not arrived; its children are shown beneath it. */
static struct span *tree_placeholder(struct trace *trace, const struct span *first_child) {
    struct span *span = (struct span *)allocate(sizeof *span);
    memset(span, 0, sizeof *span);
    span->is_placeholder = true;
    span->start_ns = first_child->start_ns;
    span->order = first_child->order;
    memcpy(span->id, first_child->parent_id, sizeof span->id);
    span->next = trace->spans;
    trace->spans = span;
    return span;
}

/* Hangs each span under its parent, children by start time. The list is used up: its first
 * places end up holding the roots, whose number is returned. */
static size_t tree_hang(struct trace *trace, struct span **list, size_t count) {
    struct span *placeholder = NULL;
    size_t roots = 0, i;
    qsort(list, count, sizeof *list, compare_by_parent);
    for (i = 0; i < count; i++) {
        struct span *span = list[i];
        bool has_parent = memcmp(span->parent_id, zero_id, sizeof span->parent_id) != 0;
        if (span->parent != NULL) {
            tree_add_child(span->parent, span);
        } else if (!has_parent || span->in_cycle) {
            list[roots++] = span;
        } else {
            if (placeholder == NULL || memcmp(placeholder->id, span->parent_id, 8) != 0) {
                placeholder = tree_placeholder(trace, span);
                list[roots++] = placeholder; // never overtakes i: one at most per span
            }
            tree_add_child(placeholder, span);
        }
    }
    return roots;
}

/* Links the spans of a trace. Returns the first root; roots are siblings. */
static struct span *tree_link(struct trace *trace) {
    struct span **list = (struct span **)allocate(trace->num_spans * sizeof *list);
    struct span *span, *first;
    size_t count = 0, i;
    for (span = trace->spans; span != NULL; span = span->next) list[count++] = span;
    qsort(list, count, sizeof *list, compare_by_id);
    count = tree_drop_duplicates(list, count);
    trace->num_duplicates = trace->num_spans - count;
    for (i = 0; i < count; i++) {
        if (memcmp(list[i]->parent_id, zero_id, 8) != 0) {
            list[i]->parent = tree_find(list, count, list[i]->parent_id);
        }
    }
    tree_cut_cycles(list, count);
    count = tree_hang(trace, list, count);
    qsort(list, count, sizeof *list, compare_by_start);
    for (i = 0; i + 1 < count; i++) list[i]->sibling = list[i + 1];
    first = list[0];
    free(list);
    return first;
}

/* The span after this one in printing order. Also sets its depth. No recursion: a trace
 * may be a chain of a hundred thousand spans. */
static struct span *tree_next(struct span *span) {
    if (span->children != NULL) {
        span->children->depth = span->depth + 1;
        return span->children;
    }
    while (span != NULL && span->sibling == NULL) span = span->parent;
    if (span == NULL) return NULL;
    span->sibling->depth = span->depth;
    return span->sibling;
}

/* ========================================================================================== */
/* [SECTION 08] PRINTING                                                                      */
/* ========================================================================================== */

struct style {
    bool color;
    bool unicode;
    size_t width; // columns
};

#define STYLE_DIM "2"
#define STYLE_BOLD "1"
#define STYLE_ERROR "1;31"
#define STYLE_OK "32"

/* A line as it is written: knows its column, never passes the last one, leaves no blanks at its
 * end. */
struct line {
    struct output *output;
    const struct style *style;
    size_t column;
    size_t blanks; // owed, paid by what comes next
    bool is_styled;
};

/* What is drawn, in both character sets. */
struct glyph {
    const char *unicode;
    size_t unicode_columns;
    const char *ascii;
};

static const struct glyph glyph_branch = {"\xe2\x94\x9c\xe2\x94\x80 ", 3, "|- "};
static const struct glyph glyph_last = {"\xe2\x94\x94\xe2\x94\x80 ", 3, "`- "};
static const struct glyph glyph_pipe = {"\xe2\x94\x82  ", 3, "|  "};
static const struct glyph glyph_bar = {"\xe2\x96\x88", 1, "="};
static const struct glyph glyph_event = {"\xe2\x80\xa2 ", 2, "* "};
static const struct glyph glyph_link = {"\xe2\x86\x92 ", 2, "> "};
static const struct glyph glyph_ellipsis = {"\xe2\x80\xa6", 1, "..."};

static struct line line_begin(struct output *output, const struct style *style) {
    struct line line = {NULL, NULL, 0, 0, false};
    line.output = output;
    line.style = style;
    return line;
}

static size_t line_room(const struct line *line) {
    size_t used = line->column + line->blanks;
    return used < line->style->width ? line->style->width - used : 0;
}

static void line_blanks(struct line *line, size_t count) {
    line->blanks += count;
}

static void line_to_column(struct line *line, size_t column) {
    size_t used = line->column + line->blanks;
    line->blanks += column > used ? column - used : 0;
}

static void line_raw(struct line *line, const char *bytes, size_t size, size_t columns) {
    for (; line->blanks > 0; line->blanks--) {
        output_text(line->output, " ");
        line->column++;
    }
    output_bytes(line->output, bytes, size);
    line->column += columns;
}

/* Selects a style for what follows; NULL: the plain one. */
static void line_style(struct line *line, const char *code) {
    char sequence[24];
    if (!line->style->color || (code == NULL && !line->is_styled)) return;
    snprintf(sequence, sizeof sequence, "\x1b[0%s%sm", code != NULL ? ";" : "",
             code != NULL ? code : "");
    line_raw(line, sequence, strlen(sequence), 0);
    line->is_styled = code != NULL;
}

static void line_glyph(struct line *line, struct glyph glyph) {
    const char *bytes = line->style->unicode ? glyph.unicode : glyph.ascii;
    size_t columns = line->style->unicode ? glyph.unicode_columns : strlen(glyph.ascii);
    if (columns <= line_room(line)) line_raw(line, bytes, strlen(bytes), columns);
}

/* Text from anywhere: escaped, and cut with an ellipsis at max columns or at the edge. */
static void line_text(struct line *line, struct view text, size_t max) {
    bool unicode = line->style->unicode;
    size_t ellipsis = unicode ? 1 : 3, room = line_room(line), columns = 0, bytes = 0;
    bool is_cut;
    if (room > max) room = max;
    is_cut = text_columns(text, unicode, room) > room;
    if (is_cut) room = room > ellipsis ? room - ellipsis : 0;
    while (text.size > 0 && bytes < 8 * max) { // combining marks take bytes, but no columns
        struct shown shown = show_first(&text, unicode);
        if (columns + shown.columns > room) break;
        line_raw(line, shown.bytes, shown.size, shown.columns);
        columns += shown.columns;
        bytes += shown.size;
    }
    if (is_cut) line_glyph(line, glyph_ellipsis);
}

static void line_words(struct line *line, const char *words) {
    line_text(line, view_of(words), SIZE_MAX / 8);
}

static void line_end(struct line *line) {
    line->blanks = 0;
    line_style(line, NULL);
    output_text(line->output, "\n");
}

/* --- Layout ------------------------------------------------------------------------------- */

enum {
    KIND_COLUMNS = 8,
    DURATION_COLUMNS = 8,
    MIN_WIDTH = 60,
    MAX_WIDTH = 1000,
    DEFAULT_WIDTH = 120,
    MARGIN = 2,
    INDENT = 3,
    MAX_LEVELS = 32,
    MAX_VALUE_COLUMNS = 60,
    MAX_ATTRIBUTES = 128, // considered per span
    MAX_ATTRIBUTE_LINES = 2,
    MAX_EVENTS = 8, // shown per span
    MAX_LINKS = 4
};

struct printer {
    struct output *output;
    struct style style;
    uint64_t first_ns; // of the trace
    uint64_t total_ns;
    size_t levels;       // deeper spans are not indented further
    size_t name_columns; // branches included
    size_t bar_columns;
    bool more[MAX_LEVELS + 1]; // at this level another sibling follows
};

static void printer_measure(struct printer *printer, struct span *root) {
    uint64_t last_ns = 0;
    size_t width = printer->style.width, needed = 20, most;
    struct span *span;
    printer->first_ns = UINT64_MAX;
    printer->bar_columns = width >= 110 ? 28 : width >= 90 ? 20 : 12;
    printer->levels = width / 10 < MAX_LEVELS ? width / 10 : MAX_LEVELS;
    most = width - printer->bar_columns - KIND_COLUMNS - DURATION_COLUMNS - 6 - width / 8;
    for (span = root; span != NULL; span = tree_next(span)) {
        struct view name = bytes_of(span->raw, SPAN_NAME);
        size_t level = span->depth < printer->levels ? span->depth : printer->levels;
        size_t columns = MARGIN + level * INDENT;
        columns += text_columns(name, printer->style.unicode, width);
        needed = columns > needed ? columns : needed;
        if (!span->is_placeholder) {
            uint64_t end_ns = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
            printer->first_ns =
                span->start_ns < printer->first_ns ? span->start_ns : printer->first_ns;
            last_ns = end_ns > last_ns ? end_ns : last_ns;
        }
    }
    printer->name_columns = needed < most ? needed : most;
    printer->total_ns = last_ns - printer->first_ns;
}

static void print_branches(struct printer *printer, struct line *line, const struct span *span,
                           bool is_detail) {
    size_t level = span->depth < printer->levels ? span->depth : printer->levels, i;
    line_blanks(line, MARGIN);
    line_style(line, STYLE_DIM);
    for (i = 1; i < level || (is_detail && i == level); i++) {
        if (printer->more[i]) {
            line_glyph(line, glyph_pipe);
        } else {
            line_blanks(line, INDENT);
        }
    }
    if (level > 0 && !is_detail) line_glyph(line, printer->more[level] ? glyph_branch : glyph_last);
    if (is_detail && span->children != NULL && span->depth < printer->levels) {
        line_glyph(line, glyph_pipe);
    } else if (is_detail) {
        line_blanks(line, INDENT);
    }
    line_style(line, NULL);
}

/* The same service gets the same colour everywhere. */
static const char *service_style(struct view service) {
    static const char *const styles[] = {"36", "35", "33", "34", "92", "96", "95", "94"};
    unsigned hash = 0;
    size_t i;
    for (i = 0; i < service.size; i++) hash = hash * 31 + service.data[i];
    return styles[hash % COUNT_OF(styles)];
}

static uint64_t span_status(const struct span *span) {
    return value_of(bytes_of(span->raw, SPAN_STATUS), STATUS_CODE) & UINT32_MAX;
}

/* When the span ran, as a share of the whole trace. */
static void print_bar(const struct printer *printer, struct line *line, const struct span *span) {
    size_t start = 0, end = printer->bar_columns, column = line->column + line->blanks;
    if (printer->total_ns > 0) {
        double scale = (double)printer->bar_columns / (double)printer->total_ns;
        uint64_t end_ns = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
        start = (size_t)((double)(span->start_ns - printer->first_ns) * scale);
        end = (size_t)((double)(end_ns - printer->first_ns) * scale + 0.999);
        end = end < printer->bar_columns ? end : printer->bar_columns;
        start = start < printer->bar_columns ? start : printer->bar_columns - 1;
        end = end > start ? end : start + 1;
    }
    line_blanks(line, start);
    line_style(line,
               span_status(span) == STATUS_CODE_ERROR ? STYLE_ERROR : service_style(span->service));
    for (; start < end; start++) line_glyph(line, glyph_bar);
    line_style(line, NULL);
    line_to_column(line, column + printer->bar_columns);
}

static void print_status(struct line *line, const struct span *span) {
    uint64_t code = span_status(span);
    if (code == STATUS_CODE_OK) {
        line_blanks(line, 2);
        line_style(line, STYLE_OK);
        line_words(line, "OK");
        line_style(line, NULL);
    } else if (code == STATUS_CODE_ERROR) {
        struct view message = bytes_of(bytes_of(span->raw, SPAN_STATUS), STATUS_MESSAGE);
        line_blanks(line, 2);
        line_style(line, STYLE_ERROR);
        line_words(line, "ERROR");
        line_blanks(line, 1);
        line_text(line, message, MAX_WIDTH);
        line_style(line, NULL);
    }
}

static void print_duration(struct line *line, const struct span *span) {
    struct text text;
    size_t columns;
    text_clear(&text);
    if (span->end_ns == 0) {
        text_add(&text, view_of("no end"));
    } else if (span->end_ns < span->start_ns) {
        text_add(&text, view_of("-"));
        text_add_duration(&text, span->start_ns - span->end_ns);
    } else {
        text_add_duration(&text, span->end_ns - span->start_ns);
    }
    columns = text.size < DURATION_COLUMNS ? DURATION_COLUMNS - text.size : 0;
    line_blanks(line, columns);
    line_text(line, text_view(&text), DURATION_COLUMNS + 2);
}

static void print_span_line(struct printer *printer, const struct span *span) {
    static const char *const kinds[] = {"-",      "internal", "server",
                                        "client", "producer", "consumer"};
    struct line line = line_begin(printer->output, &printer->style);
    struct view name = bytes_of(span->raw, SPAN_NAME);
    uint64_t kind = value_of(span->raw, SPAN_KIND);
    size_t used;
    print_branches(printer, &line, span, false);
    used = line.column + line.blanks;
    line_style(&line, span_status(span) == STATUS_CODE_ERROR ? STYLE_ERROR : STYLE_BOLD);
    if (name.size == 0) name = view_of("(no name)");
    line_text(&line, name, printer->name_columns > used ? printer->name_columns - used : 1);
    line_style(&line, NULL);
    line_to_column(&line, printer->name_columns + 2);
    line_style(&line, STYLE_DIM);
    line_words(&line, kind < COUNT_OF(kinds) ? kinds[kind] : "?");
    line_style(&line, NULL);
    line_to_column(&line, printer->name_columns + 2 + KIND_COLUMNS + 1);
    print_duration(&line, span);
    line_blanks(&line, 2);
    print_bar(printer, &line, span);
    if (span->service.size > 0 &&
        (span->parent == NULL || !view_equal(span->parent->service, span->service))) {
        line_blanks(&line, 2);
        line_style(&line, service_style(span->service));
        line_words(&line, "[");
        line_text(&line, span->service, MAX_SERVICE_BYTES);
        line_words(&line, "]");
        line_style(&line, NULL);
    }
    if (span->in_cycle) {
        line_blanks(&line, 2);
        line_words(&line, "(a circle of parents)");
    }
    print_status(&line, span);
    line_end(&line);
}

/* --- Attributes --------------------------------------------------------------------------- */

static void value_add(struct text *text, struct view value, bool is_nested);

static void value_add_list(struct text *text, struct view list, bool is_map) {
    struct wire_field item;
    bool first = true;
    text_add(text, view_of(is_map ? "{" : "["));
    while (text->size + 1 < sizeof text->bytes && next_of(&list, LIST_VALUES, &item)) {
        text_add(text, view_of(first ? "" : ", "));
        if (is_map) {
            text_add(text, bytes_of(item.bytes, KEY_VALUE_KEY));
            text_add(text, view_of("="));
            value_add(text, bytes_of(item.bytes, KEY_VALUE_VALUE), true);
        } else {
            value_add(text, item.bytes, true);
        }
        first = false;
    }
    text_add(text, view_of(is_map ? "}" : "]"));
}

/* Quotes where the end of the value could not be seen otherwise. */
static void value_add_string(struct text *text, struct view string, bool is_nested) {
    bool quoted = is_nested || string.size == 0 || memchr(string.data, ' ', string.size) != NULL ||
                  memchr(string.data, '"', string.size) != NULL;
    text_add(text, view_of(quoted ? "\"" : ""));
    text_add(text, string);
    text_add(text, view_of(quoted ? "\"" : ""));
}

/* Depth is bounded by the check of the request. */
static void value_add(struct text *text, struct view value, bool is_nested) {
    struct wire_field member = any_value_member(value);
    char number[40];
    switch (member.number) {
    case VALUE_STRING:
        value_add_string(text, member.bytes, is_nested);
        break;
    case VALUE_BOOL:
        text_add(text, view_of(member.value != 0 ? "true" : "false"));
        break;
    case VALUE_INT:
        text_format(text, "%lld", (long long)signed_of(member.value));
        break;
    case VALUE_DOUBLE:
        format_double(number, sizeof number, double_of(member.value));
        text_add(text, view_of(number));
        break;
    case VALUE_ARRAY:
    case VALUE_KVLIST:
        value_add_list(text, member.bytes, member.number == VALUE_KVLIST);
        break;
    case VALUE_BYTES:
        text_format(text, "<%lu bytes>", (unsigned long)member.bytes.size);
        break;
    default:
        text_add(text, view_of("<empty>"));
        break;
    }
}

/* What says most comes first; long or seldom wanted values last. */
static unsigned attribute_rank(struct view key) {
    static const char *const first[] = {
        "error.",
        "exception.type",
        "exception.message",
        "hatchet.workflow_name",
        "hatchet.step_name",
        "hatchet.event_key",
        "hatchet.step_run_id",
        "hatchet.workflow_run_id",
        "http.",
        "url.",
        "rpc.",
        "db.",
        "messaging.",
        "server.",
    };
    static const char *const last[] = {"hatchet.", "telemetry.", "thread.", "code."};
    unsigned i;
    if (view_is(key, "exception.stacktrace") || view_is(key, "hatchet.payload")) return UINT_MAX;
    for (i = 0; i < COUNT_OF(first); i++) {
        if (view_starts(key, first[i])) return i;
    }
    for (i = 0; i < COUNT_OF(last); i++) {
        if (view_starts(key, last[i])) return 1000 + i;
    }
    return 500;
}

struct attributes {
    struct view items[MAX_ATTRIBUTES];
    unsigned ranks[MAX_ATTRIBUTES];
    size_t count;
    size_t not_taken;
};

/* Looks at the beginning of the parent only, where its attributes are. */
static bool is_inherited(struct view item, struct view parent, uint32_t number) {
    struct wire_field field;
    size_t looked;
    for (looked = 0; looked < 2 * MAX_ATTRIBUTES && parent.size > 0; looked++) {
        if (wire_next(&parent, &field) == NULL && field.number == number &&
            view_equal(field.bytes, item)) {
            return true;
        }
    }
    return false;
}

/* Collects the attributes in the order in which to show them. What the parent has as well
 * (a Hatchet task's attributes are on all its spans) is not repeated. */
static void attributes_collect(struct attributes *list, struct view message, uint32_t number,
                               struct view parent) {
    struct wire_field field;
    list->count = 0;
    list->not_taken = 0;
    while (next_of(&message, number, &field)) {
        unsigned rank;
        size_t at;
        if (list->count == MAX_ATTRIBUTES) {
            list->not_taken++;
            continue;
        }
        if (is_inherited(field.bytes, parent, number)) continue;
        rank = attribute_rank(bytes_of(field.bytes, KEY_VALUE_KEY));
        for (at = list->count++; at > 0 && list->ranks[at - 1] > rank; at--) {
            list->items[at] = list->items[at - 1];
            list->ranks[at] = list->ranks[at - 1];
        }
        list->items[at] = field.bytes;
        list->ranks[at] = rank;
    }
}

static size_t attribute_columns(const struct printer *printer, struct view key, struct view value) {
    bool unicode = printer->style.unicode;
    size_t columns = text_columns(value, unicode, MAX_VALUE_COLUMNS);
    columns = columns < MAX_VALUE_COLUMNS ? columns : MAX_VALUE_COLUMNS;
    return columns + 1 + text_columns(key, unicode, MAX_WIDTH);
}

/* Shows as many attributes as fit into a few lines; `line` is the first of them, begun. */
static void print_attributes(struct printer *printer, struct line *line, const struct span *span,
                             const struct attributes *list) {
    enum { MORE_COLUMNS = 12 }; // "+12345 more"
    size_t lines = 1, start = line->column + line->blanks, i;
    bool is_empty = true;
    for (i = 0; i < list->count; i++) {
        struct view key = bytes_of(list->items[i], KEY_VALUE_KEY);
        struct text value;
        text_clear(&value);
        value_add(&value, bytes_of(list->items[i], KEY_VALUE_VALUE), false);
        if (!is_empty &&
            attribute_columns(printer, key, text_view(&value)) + MORE_COLUMNS > line_room(line)) {
            if (lines++ == MAX_ATTRIBUTE_LINES) break;
            line_end(line);
            *line = line_begin(printer->output, &printer->style);
            print_branches(printer, line, span, true);
            line_to_column(line, start);
        }
        line_style(line, STYLE_DIM);
        line_text(line, key, MAX_WIDTH);
        line_words(line, "=");
        line_style(line, NULL);
        line_text(line, text_view(&value), MAX_VALUE_COLUMNS);
        line_blanks(line, 1);
        is_empty = false;
    }
    if (i < list->count || list->not_taken > 0) {
        char more[40];
        snprintf(more, sizeof more, "+%lu more",
                 (unsigned long)(list->count - i + list->not_taken));
        line_words(line, more);
    }
    line_end(line);
}

static void print_span_attributes(struct printer *printer, const struct span *span) {
    struct attributes list;
    struct line line;
    struct view parent = {NULL, 0};
    if (span->parent != NULL) parent = span->parent->raw;
    attributes_collect(&list, span->raw, SPAN_ATTRIBUTES, parent);
    if (list.count > 0) {
        line = line_begin(printer->output, &printer->style);
        print_branches(printer, &line, span, true);
        print_attributes(printer, &line, span, &list);
    }
}

/* --- Events, links, what was lost --------------------------------------------------------- */

static void print_event(struct printer *printer, const struct span *span, struct view event) {
    struct line line = line_begin(printer->output, &printer->style);
    struct view name = bytes_of(event, EVENT_NAME), nothing = {NULL, 0};
    uint64_t time_ns = value_of(event, EVENT_TIME);
    bool is_before = time_ns < span->start_ns;
    struct attributes list;
    struct text text;
    print_branches(printer, &line, span, true);
    line_glyph(&line, glyph_event);
    line_style(&line, view_is(name, "exception") ? STYLE_ERROR : STYLE_BOLD);
    line_text(&line, name, MAX_VALUE_COLUMNS);
    line_style(&line, NULL);
    text_clear(&text);
    text_add(&text, view_of(is_before ? " -" : " +"));
    text_add_duration(&text, is_before ? span->start_ns - time_ns : time_ns - span->start_ns);
    line_words(&line, text.bytes);
    line_blanks(&line, 1);
    attributes_collect(&list, event, EVENT_ATTRIBUTES, nothing);
    print_attributes(printer, &line, span, &list);
}

static void print_link(struct printer *printer, const struct span *span, struct view link) {
    struct line line = line_begin(printer->output, &printer->style);
    struct view nothing = {NULL, 0};
    struct attributes list;
    struct text text;
    print_branches(printer, &line, span, true);
    line_glyph(&line, glyph_link);
    text_clear(&text);
    text_add(&text, view_of("link to span "));
    text_add_hex(&text, bytes_of(link, LINK_SPAN_ID));
    text_add(&text, view_of(" of trace "));
    text_add_hex(&text, bytes_of(link, LINK_TRACE_ID));
    line_words(&line, text.bytes);
    line_blanks(&line, 1);
    attributes_collect(&list, link, LINK_ATTRIBUTES, nothing);
    print_attributes(printer, &line, span, &list);
}

static void print_note(struct printer *printer, const struct span *span, const char *words) {
    struct line line = line_begin(printer->output, &printer->style);
    print_branches(printer, &line, span, true);
    line_style(&line, STYLE_DIM);
    line_words(&line, words);
    line_end(&line);
}

static void print_each(struct printer *printer, const struct span *span, uint32_t number,
                       size_t max, const char *what,
                       void (*print)(struct printer *, const struct span *, struct view)) {
    struct view rest = span->raw;
    struct wire_field item;
    size_t count = 0;
    while (next_of(&rest, number, &item)) {
        if (count++ < max) print(printer, span, item.bytes);
    }
    if (count > max) {
        struct text text;
        text_clear(&text);
        text_format(&text, "+%lu more %s", (unsigned long)(count - max), what);
        print_note(printer, span, text.bytes);
    }
}

/* What the sender had to leave out, by its own account. */
static void print_dropped(struct printer *printer, const struct span *span) {
    static const struct {
        uint32_t number;
        const char *name;
    } counts[] = {{SPAN_DROPPED_ATTRIBUTES, "attributes"},
                  {SPAN_DROPPED_EVENTS, "events"},
                  {SPAN_DROPPED_LINKS, "links"}};
    struct text text;
    size_t i;
    text_clear(&text);
    for (i = 0; i < COUNT_OF(counts); i++) {
        uint64_t count = value_of(span->raw, counts[i].number) & UINT32_MAX;
        if (count > 0) {
            text_format(&text, "%s%llu %s",
                        text.size > 0 ? ", " : "dropped by the sender: ", (unsigned long long)count,
                        counts[i].name);
        }
    }
    if (text.size > 0) print_note(printer, span, text.bytes);
}

static void print_placeholder(struct printer *printer, const struct span *span) {
    struct line line = line_begin(printer->output, &printer->style);
    struct view id;
    struct text text;
    id.data = span->id;
    id.size = sizeof span->id;
    text_clear(&text);
    text_add(&text, view_of("remote parent "));
    text_add_hex(&text, id);
    print_branches(printer, &line, span, false);
    line_style(&line, STYLE_DIM);
    line_words(&line, text.bytes);
    line_end(&line);
}

static void print_span(struct printer *printer, const struct span *span) {
    if (span->depth <= printer->levels) {
        printer->more[span->depth] = span->sibling != NULL;
    } else {
        printer->more[printer->levels] = true; // deeper ones stand one below the other
    }
    if (span->is_placeholder) {
        print_placeholder(printer, span);
        return;
    }
    print_span_line(printer, span);
    print_span_attributes(printer, span);
    print_each(printer, span, SPAN_EVENTS, MAX_EVENTS, "events", print_event);
    print_each(printer, span, SPAN_LINKS, MAX_LINKS, "links", print_link);
    print_dropped(printer, span);
}

/* --- The trace ---------------------------------------------------------------------------- */

/* Adds "a, b, c" in the order of the tree; no more than a handful. */
static void add_services(struct text *text, struct span *root) {
    enum { MAX_SERVICES = 6 };
    struct view services[MAX_SERVICES];
    size_t count = 0, i;
    struct span *span;
    for (span = root; span != NULL; span = tree_next(span)) {
        for (i = 0; i < count && !view_equal(services[i], span->service); i++) {
        }
        if (i < count || span->service.size == 0) continue;
        if (count == MAX_SERVICES) {
            text_add(text, view_of(", ..."));
            return;
        }
        services[count++] = span->service;
        text_add(text, view_of(count > 1 ? ", " : "  "));
        text_add(text, span->service);
    }
}

static void print_header(struct printer *printer, const struct trace *trace, struct span *root,
                         const char *remark) {
    struct line line = line_begin(printer->output, &printer->style);
    size_t count = trace->num_spans - trace->num_duplicates;
    struct view id;
    struct text text;
    id.data = trace->id;
    id.size = sizeof trace->id;
    text_clear(&text);
    text_add(&text, view_of("trace "));
    text_add_hex(&text, id);
    line_style(&line, STYLE_BOLD);
    line_words(&line, text.bytes);
    line_style(&line, NULL);
    text_clear(&text);
    text_format(&text, "  %lu %s  ", (unsigned long)count, count == 1 ? "span" : "spans");
    text_add_duration(&text, printer->total_ns);
    if (trace->is_continued) text_add(&text, view_of("  (continued)"));
    if (trace->num_duplicates > 0) {
        text_format(&text, "  (%lu received twice)", (unsigned long)trace->num_duplicates);
    }
    text_add(&text, view_of(remark));
    add_services(&text, root);
    line_words(&line, text.bytes);
    line_end(&line);
}

/* Prints the trace and a blank line. The remark goes into the header. */
static void print_trace(struct output *output, const struct style *style, struct trace *trace,
                        const char *remark) {
    struct span *root = tree_link(trace), *span;
    struct printer printer;
    memset(&printer, 0, sizeof printer);
    printer.output = output;
    printer.style = *style;
    printer_measure(&printer, root);
    print_header(&printer, trace, root, remark);
    for (span = root; span != NULL; span = tree_next(span)) print_span(&printer, span);
    output_text(output, "\n");
}

/* ========================================================================================== */
/* [SECTION 09] SERVER STATE                                                                  */
/* ========================================================================================== */

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct options {
    const char *listen;
    const char *port_file;
    const char *jsonl;
    uint64_t quiet_ms;
    uint64_t exit_after; // spans; 0: never
    uint64_t timeout_ms; // 0: none
    uint64_t request_timeout_ms;
    uint64_t max_request_bytes;
    uint64_t max_memory_mb;
    uint64_t width; // 0: the terminal's
    enum color_mode color;
    bool ascii;
};

enum {
    MAX_CONNECTIONS = 256,
    HEAD_BYTES = 16384, // request line and headers
    REPLY_BYTES = 2048, // one reply and what may stand before it
    LINGER_MS = 2000,
    STOP_MS = 1000 // for replies that are still to be sent
};

enum phase {
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_CHUNK_SIZE,
    PHASE_CHUNK_DATA,
    PHASE_CHUNK_END,
    PHASE_TRAILER,
    PHASE_REPLY, // nothing more is read until the reply is sent
    PHASE_LINGER // reply sent, our side closed: what still comes is thrown away
};

struct request {
    char name[128]; // "POST /v1/traces", escaped, for messages
    char type[96];
    char encoding[48];
    bool is_post;
    bool is_get;
    bool is_traces;
    bool is_root;
    bool is_http10;
    bool has_host;
    bool has_length;
    bool is_chunked;
    bool wants_continue;
    bool keep_alive;
    uint64_t length;
};

struct connection {
    int fd;
    enum phase phase;
    int64_t active_ms;
    int64_t deadline_ms; // 0: idle, none
    bool at_end;         // the peer sends no more
    struct request request;
    int refuse_status; // decided at the head, sent after the body; 0: none
    struct text refuse_reason;
    uint64_t left;       // of the body or of the chunk
    uint64_t seen_bytes; // of the body
    unsigned char *body;
    size_t body_size;
    size_t body_capacity;
    size_t in_size;
    size_t reply_size;
    size_t reply_sent;
    char in[HEAD_BYTES];
    char reply[REPLY_BYTES];
};

struct counters {
    uint64_t spans;
    uint64_t traces;
    uint64_t requests;
    uint64_t refused;
};

struct listener {
    int fd;
    char name[160]; // "127.0.0.1:4318", "[::1]:4318", "unix:/path"
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct server {
    struct options options;
    struct listener listeners[2];
    size_t num_listeners;
    bool is_v6_taken; // the same port on ::1 belongs to another program
    struct connection *connections[MAX_CONNECTIONS];
    size_t num_connections;
    size_t body_bytes; // of all connections
    size_t max_body_bytes;
    size_t max_store_bytes;
    struct store store;
    struct output trees;
    struct output jsonl;
    bool has_jsonl;
    struct style style;
    struct limiter limiter; // of messages that other programs can provoke
    struct counters counters;
    int64_t stop_ms;    // 0: running; else when to be gone at the latest
    int64_t give_up_ms; // 0: never; else when --timeout-ms is over
    int exit_code;
};

static void server_stop(struct server *server, int exit_code) {
    if (server->stop_ms == 0) {
        server->stop_ms = now_ms() + STOP_MS;
        server->exit_code = exit_code;
    }
}

/* Prints a trace and forgets it. */
static void server_print(struct server *server, struct trace *trace, const char *remark) {
    struct winsize size;
    int error;
    server->style.width = (size_t)server->options.width;
    if (server->style.width == 0) {
        bool is_known = isatty(server->trees.fd) && ioctl(server->trees.fd, TIOCGWINSZ, &size) == 0;
        server->style.width = is_known && size.ws_col > 0 ? size.ws_col : DEFAULT_WIDTH;
        server->style.width = server->style.width > MIN_WIDTH ? server->style.width : MIN_WIDTH;
    }
    store_remove(&server->store, trace);
    if (!trace->is_continued) server->counters.traces++;
    print_trace(&server->trees, &server->style, trace, remark);
    trace_free(trace);
    error = output_finish(&server->trees);
    if (error != 0 && server->exit_code == 0) {
        say("cannot print: %s", strerror(error));
        server_stop(server, 1);
        server->exit_code = 1;
    }
}

static void server_print_all(struct server *server) {
    while (server->store.oldest != NULL) server_print(server, server->store.oldest, "");
}

static void server_print_quiet(struct server *server, int64_t now) {
    int64_t quiet_ms = (int64_t)server->options.quiet_ms;
    while (server->store.oldest != NULL && now - server->store.oldest->touched_ms >= quiet_ms) {
        server_print(server, server->store.oldest, "");
    }
}

static void server_keep_span(struct server *server, struct view span, struct view service) {
    struct store *store = &server->store;
    size_t cost = span_cost(span, service) + sizeof(struct trace);
    while (store->oldest != NULL && store->cost_bytes + cost > server->max_store_bytes) {
        server_print(server, store->oldest, "  (early: --max-memory-mb is reached)");
    }
    store_span(store, store_trace(store, bytes_of(span, SPAN_TRACE_ID).data), span, service,
               now_ms());
    server->counters.spans++;
}

static void server_write_jsonl(struct server *server, struct view request) {
    int error = json_line(&server->jsonl, request);
    if (error != 0) {
        say_limited(&server->limiter, "cannot write to %s: %s", server->options.jsonl,
                    strerror(error));
        server->exit_code = 1;
    }
}

/* A request that passed the check. */
static void server_take(struct server *server, struct view request) {
    struct wire_field resource_spans, scope_spans, span;
    if (server->has_jsonl) server_write_jsonl(server, request);
    while (next_of(&request, REQUEST_RESOURCE_SPANS, &resource_spans)) {
        struct view scopes = resource_spans.bytes;
        struct view service = resource_service(bytes_of(scopes, RESOURCE_SPANS_RESOURCE));
        while (next_of(&scopes, RESOURCE_SPANS_SCOPE_SPANS, &scope_spans)) {
            while (next_of(&scope_spans.bytes, SCOPE_SPANS_SPANS, &span)) {
                server_keep_span(server, span.bytes, service);
            }
        }
    }
    server->counters.requests++;
    if (server->options.exit_after > 0 && server->counters.spans >= server->options.exit_after) {
        server_stop(server, server->exit_code);
    }
}

/* ========================================================================================== */
/* [SECTION 10] HTTP REQUESTS                                                                 */
/* ========================================================================================== */

static struct view view_trim(struct view view) {
    while (view.size > 0 && (view.data[0] == ' ' || view.data[0] == '\t')) {
        view = view_after(view, 1);
    }
    while (view.size > 0 && (view.data[view.size - 1] == ' ' || view.data[view.size - 1] == '\t')) {
        view.size--;
    }
    return view;
}

/* Takes the part before the separator off the front; all of it if there is none. */
static struct view view_until(struct view *rest, char separator) {
    const void *at = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    struct view part = *rest;
    if (at == NULL) {
        *rest = view_part(*rest, rest->size, 0);
        return part;
    }
    part.size = (size_t)((const unsigned char *)at - rest->data);
    *rest = view_after(*rest, part.size + 1);
    return part;
}

/* A line without its end, which is LF or CRLF. */
static struct view view_line(struct view *rest) {
    struct view line = view_until(rest, '\n');
    if (line.size > 0 && line.data[line.size - 1] == '\r') line.size--;
    return line;
}

static bool list_has_token(struct view list, const char *token) {
    while (list.size > 0) {
        if (view_is_nocase(view_trim(view_until(&list, ',')), token)) return true;
    }
    return false;
}

/* Copies what was sent, for messages. */
static void copy_escaped(char *out, size_t size, struct view part) {
    struct text text;
    text_clear(&text);
    text_add_escaped(&text, part, size / 2);
    snprintf(out, size, "%.*s", (int)(size - 1), text.bytes);
}

static bool parse_decimal(struct view digits, uint64_t *value) {
    size_t i;
    *value = 0;
    for (i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || *value > (UINT64_MAX - 9) / 10) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(digits.data[i] - '0');
    }
    return digits.size > 0;
}

/* The functions that read a head return 0, or the status to refuse it with and a reason. */

static int request_line(struct request *request, struct view line, const char **reason) {
    struct view method = view_until(&line, ' ');
    struct view target = view_until(&line, ' ');
    struct view path;
    char shown_method[24], shown_path[96];
    if (method.size == 0 || target.size == 0 || !view_starts(line, "HTTP/")) {
        *reason = "this is not an HTTP request";
        return 400;
    }
    if (view_starts(target, "http://")) {
        target = view_after(target, strlen("http://"));
        view_until(&target, '/');
        path = view_until(&target, '?');
        request->is_traces = view_is(path, "v1/traces");
        request->is_root = path.size == 0;
    } else {
        path = view_until(&target, '?');
        request->is_traces = view_is(path, "/v1/traces");
        request->is_root = view_is(path, "/");
    }
    copy_escaped(shown_method, sizeof shown_method, method);
    copy_escaped(shown_path, sizeof shown_path, path);
    snprintf(request->name, sizeof request->name, "%s %s", shown_method, shown_path);
    request->is_post = view_is(method, "POST");
    request->is_get = view_is(method, "GET");
    if (view_starts(line, "HTTP/2")) {
        *reason = "HTTP/2 and gRPC are not spoken here; "
                  "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
        return 505;
    }
    if (line.size != strlen("HTTP/1.1") || !view_starts(line, "HTTP/1.")) {
        *reason = "this HTTP version is not known";
        return 505;
    }
    request->is_http10 = line.data[line.size - 1] == '0';
    request->keep_alive = !request->is_http10;
    return 0;
}

static int request_framing_header(struct request *request, struct view name, struct view value,
                                  const char **reason) {
    if (view_is_nocase(name, "content-length")) {
        uint64_t length;
        if (!parse_decimal(value, &length) || (request->has_length && length != request->length)) {
            *reason = "Content-Length is not one number";
            return 400;
        }
        request->has_length = true;
        request->length = length;
    } else if (view_is_nocase(name, "transfer-encoding")) {
        if (!view_is_nocase(value, "chunked") || request->is_chunked) {
            *reason = "the only Transfer-Encoding known here is chunked";
            return 501;
        }
        request->is_chunked = true;
    } else if (view_is_nocase(name, "expect") && view_is_nocase(value, "100-continue")) {
        request->wants_continue = !request->is_http10;
    }
    return 0;
}

static int request_header(struct request *request, struct view line, const char **reason) {
    struct view value = line;
    struct view name = view_until(&value, ':');
    size_t i;
    if (name.size == line.size || name.size == 0) {
        *reason = "a header line has no name or no colon";
        return 400;
    }
    for (i = 0; i < name.size; i++) {
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f) {
            *reason = "a header name has blanks or other characters that it must not have";
            return 400;
        }
    }
    value = view_trim(value);
    if (view_is_nocase(name, "host")) {
        request->has_host = true;
    } else if (view_is_nocase(name, "content-type")) {
        copy_escaped(request->type, sizeof request->type, view_trim(view_until(&value, ';')));
    } else if (view_is_nocase(name, "content-encoding")) {
        copy_escaped(request->encoding, sizeof request->encoding, value);
    } else if (view_is_nocase(name, "connection")) {
        if (list_has_token(value, "close")) {
            request->keep_alive = false;
        } else if (request->is_http10) {
            request->keep_alive = list_has_token(value, "keep-alive");
        }
    }
    return request_framing_header(request, name, value, reason);
}

/* The head ends with its last header line. */
static int request_parse(struct request *request, struct view head, const char **reason) {
    int status;
    memset(request, 0, sizeof *request);
    copy_escaped(request->name, sizeof request->name, head);
    status = request_line(request, view_line(&head), reason);
    while (status == 0 && head.size > 0) status = request_header(request, view_line(&head), reason);
    if (status != 0) return status;
    if (!request->is_http10 && !request->has_host) {
        *reason = "the Host header is missing";
        return 400;
    }
    if (request->is_chunked && (request->has_length || request->is_http10)) {
        *reason = "Transfer-Encoding does not go with Content-Length or HTTP/1.0";
        return 400;
    }
    return 0;
}

/* ========================================================================================== */
/* [SECTION 11] HTTP REPLIES                                                                  */
/* ========================================================================================== */

struct status_line {
    int status;
    const char *words;
    unsigned grpc_code; // of the Status message in the body
};

enum { GRPC_INVALID_ARGUMENT = 3, GRPC_DEADLINE_EXCEEDED = 4, GRPC_NOT_FOUND = 5 };
enum { GRPC_RESOURCE_EXHAUSTED = 8, GRPC_UNIMPLEMENTED = 12, GRPC_UNAVAILABLE = 14 };

static const struct status_line status_lines[] = {
    {400, "Bad Request", GRPC_INVALID_ARGUMENT},
    {200, "OK", 0},
    {404, "Not Found", GRPC_NOT_FOUND},
    {405, "Method Not Allowed", GRPC_UNIMPLEMENTED},
    {408, "Request Timeout", GRPC_DEADLINE_EXCEEDED},
    {411, "Length Required", GRPC_INVALID_ARGUMENT},
    {413, "Content Too Large", GRPC_RESOURCE_EXHAUSTED},
    {415, "Unsupported Media Type", GRPC_INVALID_ARGUMENT},
    {431, "Request Header Fields Too Large", GRPC_RESOURCE_EXHAUSTED},
    {501, "Not Implemented", GRPC_UNIMPLEMENTED},
    {503, "Service Unavailable", GRPC_UNAVAILABLE},
    {505, "HTTP Version Not Supported", GRPC_UNIMPLEMENTED},
};

static const struct status_line *status_line_of(int status) {
    size_t i;
    for (i = 0; i < COUNT_OF(status_lines); i++) {
        if (status_lines[i].status == status) return &status_lines[i];
    }
    return &status_lines[0];
}

static void connection_reply(struct connection *connection, int status, const char *headers,
                             const char *type, struct view body) {
    char head[512];
    size_t size;
    snprintf(head, sizeof head,
             "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %lu\r\nConnection: %s\r\n"
             "%s\r\n",
             status, status_line_of(status)->words, type, (unsigned long)body.size,
             connection->request.keep_alive ? "keep-alive" : "close", headers);
    size = strlen(head);
    memcpy(connection->reply + connection->reply_size, head, size);
    connection->reply_size += size;
    if (body.size > 0) {
        memcpy(connection->reply + connection->reply_size, body.data, body.size);
        connection->reply_size += body.size;
    }
    connection->phase = PHASE_REPLY;
}

/* What a refusal's status calls for. */
static const char *refusal_headers(const struct connection *connection) {
    switch (connection->refuse_status) {
    case 405:
        return connection->request.is_root ? "Allow: GET\r\n" : "Allow: POST\r\n";
    case 415:
        return "Accept-Encoding: identity\r\n";
    case 503:
        return "Retry-After: 1\r\n";
    default:
        return "";
    }
}

/* The body is a google.rpc.Status for those who post, text for those who look. */
static void connection_send_refusal(struct server *server, struct connection *connection) {
    const struct request *request = &connection->request;
    const char *headers = refusal_headers(connection);
    int status = connection->refuse_status;
    struct view body = text_view(&connection->refuse_reason);
    unsigned char message[sizeof connection->refuse_reason.bytes + 8];
    server->counters.refused++;
    say_limited(&server->limiter, "refused %s with %d: %s",
                request->name[0] != '\0' ? request->name : "a request", status,
                connection->refuse_reason.bytes);
    if (!request->is_post) {
        connection_reply(connection, status, headers, "text/plain; charset=utf-8", body);
        return;
    }
    message[0] = 0x08;
    message[1] = (unsigned char)status_line_of(status)->grpc_code;
    message[2] = 0x12;
    message[3] = (unsigned char)((body.size & 0x7f) | 0x80); // a varint of two bytes
    message[4] = (unsigned char)(body.size >> 7);
    memcpy(message + 5, body.data, body.size);
    body.data = message;
    body.size += 5;
    connection_reply(connection, status, headers, "application/x-protobuf", body);
}

/* Notes the refusal. It is sent when the body has been skipped: the connection stays usable. */
PRINTF_LIKE(3, 4)
static void refuse_later(struct connection *connection, int status, const char *format, ...) {
    va_list arguments;
    connection->refuse_status = status;
    text_clear(&connection->refuse_reason);
    va_start(arguments, format);
    text_format_v(&connection->refuse_reason, format, arguments);
    va_end(arguments);
}

/* Refuses at once: the rest of the request cannot be found, or is not worth reading. */
PRINTF_LIKE(4, 5)
static void refuse_now(struct server *server, struct connection *connection, int status,
                       const char *format, ...) {
    va_list arguments;
    connection->refuse_status = status;
    connection->request.keep_alive = false;
    text_clear(&connection->refuse_reason);
    va_start(arguments, format);
    text_format_v(&connection->refuse_reason, format, arguments);
    va_end(arguments);
    connection_send_refusal(server, connection);
}

/* Decides by the head alone what will become of the request. */
static void connection_route(struct connection *connection) {
    const struct request *request = &connection->request;
    if (!request->is_traces && !request->is_root) {
        refuse_later(connection, 404, "only traces are taken, at /v1/traces");
    } else if (request->is_root && !request->is_get) {
        refuse_later(connection, 405, "use GET here");
    } else if (request->is_traces && !request->is_post) {
        refuse_later(connection, 405, "use POST here");
    } else if (request->is_root) {
        return;
    } else if (strcasecmp(request->type, "application/x-protobuf") != 0) {
        refuse_later(connection, 415,
                     "the Content-Type is \"%s\", not application/x-protobuf; "
                     "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                     request->type);
    } else if (request->encoding[0] != '\0' && strcasecmp(request->encoding, "identity") != 0) {
        refuse_later(connection, 415,
                     "the body is compressed (%s), which is not supported; "
                     "unset OTEL_EXPORTER_OTLP_COMPRESSION",
                     request->encoding);
    } else if (!request->has_length && !request->is_chunked) {
        refuse_later(connection, 411, "there is no Content-Length");
    }
}

static void connection_show_page(const struct server *server, struct connection *connection) {
    struct text page;
    const struct counters *counters = &server->counters;
    text_clear(&page);
    text_add(&page, view_of("hatchet-otel " TOOL_VERSION " serve: receives OpenTelemetry traces "
                            "and prints them as trees.\n"
                            "POST them to /v1/traces as application/x-protobuf.\n\n"));
    text_format(&page, "spans received    %llu\ntraces printed    %llu\ntraces waiting    %lu\n",
                (unsigned long long)counters->spans, (unsigned long long)counters->traces,
                (unsigned long)server->store.num_traces);
    text_format(&page, "requests taken    %llu\nrequests refused  %llu\nconnections       %lu\n",
                (unsigned long long)counters->requests, (unsigned long long)counters->refused,
                (unsigned long)server->num_connections);
    text_format(&page, "bytes held        %lu\n",
                (unsigned long)(server->store.cost_bytes + server->body_bytes));
    connection_reply(connection, 200, "", "text/plain; charset=utf-8", text_view(&page));
}

/* The request is complete. */
static void connection_answer(struct server *server, struct connection *connection) {
    struct view body = {NULL, 0};
    body.data = connection->body;
    body.size = connection->body_size;
    if (connection->refuse_status == 0 && connection->request.is_traces &&
        !check_request(body, &connection->refuse_reason)) {
        connection->refuse_status = 400;
    }
    if (connection->refuse_status != 0) {
        connection_send_refusal(server, connection);
    } else if (connection->request.is_root) {
        connection_show_page(server, connection);
    } else {
        server_take(server, body);
        body.size = 0; // an ExportTraceServiceResponse without fields
        connection_reply(connection, 200, "", "application/x-protobuf", body);
    }
}

/* ========================================================================================== */
/* [SECTION 12] CONNECTIONS                                                                   */
/* ========================================================================================== */

static struct connection *connection_new(int fd) {
    struct connection *connection = (struct connection *)allocate(sizeof *connection);
    memset(connection, 0, offsetof(struct connection, in));
    connection->fd = fd;
    connection->phase = PHASE_HEAD;
    connection->active_ms = now_ms();
    return connection;
}

static void connection_drop_body(struct server *server, struct connection *connection) {
    server->body_bytes -= connection->body_capacity;
    free(connection->body);
    connection->body = NULL;
    connection->body_size = 0;
    connection->body_capacity = 0;
}

static void server_close(struct server *server, size_t index) {
    struct connection *connection = server->connections[index];
    connection_drop_body(server, connection);
    close(connection->fd);
    free(connection);
    server->connections[index] = server->connections[--server->num_connections];
}

static bool connection_is_idle(const struct connection *connection) {
    return connection->phase == PHASE_HEAD && connection->in_size == 0;
}

static void connection_take_in(struct connection *connection, size_t size) {
    connection->in_size -= size;
    memmove(connection->in, connection->in + size, connection->in_size);
}

static struct view connection_in(const struct connection *connection) {
    struct view in;
    in.data = (const unsigned char *)connection->in;
    in.size = connection->in_size;
    return in;
}

/* Makes room for more of the body: doubling, but never beyond what may still come, and never on
 * the mere promise of a length. */
static bool body_reserve(struct server *server, struct connection *connection, size_t size) {
    size_t capacity = connection->body_capacity > 0 ? connection->body_capacity : 4096;
    while (capacity < size) capacity *= 2;
    if (capacity > server->options.max_request_bytes) {
        capacity = (size_t)server->options.max_request_bytes;
    }
    if (capacity <= connection->body_capacity) return true;
    if (server->body_bytes - connection->body_capacity + capacity > server->max_body_bytes) {
        return false;
    }
    connection->body = (unsigned char *)reallocate(connection->body, capacity);
    server->body_bytes += capacity - connection->body_capacity;
    connection->body_capacity = capacity;
    return true;
}

/* Moves what there is of the body out of the input; skips it if the request is refused anyway.
 * Returns false when a refusal was sent or more input is needed. */
static bool connection_body(struct server *server, struct connection *connection) {
    size_t size = connection->in_size;
    if (size > connection->left) size = (size_t)connection->left;
    if (connection->refuse_status == 0 && size > 0) {
        if (!body_reserve(server, connection, connection->body_size + size)) {
            refuse_now(server, connection, 503,
                       "too many large requests at once; raise --max-memory-mb");
            return false;
        }
        memcpy(connection->body + connection->body_size, connection->in, size);
        connection->body_size += size;
    }
    connection_take_in(connection, size);
    connection->left -= size;
    return connection->left == 0;
}

static void connection_refuse_size(struct server *server, struct connection *connection) {
    refuse_now(server, connection, 413,
               "the body is larger than %llu bytes; raise --max-request-bytes, or send "
               "smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)",
               (unsigned long long)server->options.max_request_bytes);
}

/* Reads one line of at most max bytes from the input. Returns its size with the end, 0 if it is
 * not complete yet; *is_long tells that it will never be. */
static size_t connection_line(const struct connection *connection, size_t max, bool *is_long) {
    struct view in = connection_in(connection);
    const void *end = in.size > 0 ? memchr(in.data, '\n', in.size) : NULL;
    size_t size = end != NULL ? (size_t)((const unsigned char *)end - in.data) + 1 : 0;
    *is_long = size > max || (end == NULL && in.size >= max);
    return size;
}

static unsigned hex_digit(unsigned char c) {
    const char *digits = "0123456789abcdef", *at = c != 0 ? strchr(digits, c | 0x20) : NULL;
    if (c >= '0' && c <= '9') return c - (unsigned)'0';
    return at != NULL && c > '9' ? (unsigned)(at - digits) : 16;
}

/* The steps return true when they got on and another step may follow. */

static bool step_chunk_size(struct server *server, struct connection *connection) {
    bool is_long;
    size_t size = connection_line(connection, 256, &is_long), i;
    struct view line = view_part(connection_in(connection), 0, size);
    struct view rest = view_line(&line);
    struct view digits = view_trim(view_until(&rest, ';'));
    uint64_t value = 0;
    if (size == 0 && !is_long) return false;
    for (i = 0; i < digits.size && value <= UINT32_MAX; i++) {
        unsigned digit = hex_digit(digits.data[i]);
        if (digit == 16) break;
        value = value * 16 + digit;
    }
    if (is_long || digits.size == 0 || (i < digits.size && value <= UINT32_MAX)) {
        refuse_now(server, connection, 400, "a chunk does not begin with its size");
        return true;
    }
    connection_take_in(connection, size);
    connection->seen_bytes += value;
    if (connection->seen_bytes > server->options.max_request_bytes) {
        connection_refuse_size(server, connection);
        return true;
    }
    connection->left = value;
    connection->phase = value > 0 ? PHASE_CHUNK_DATA : PHASE_TRAILER;
    return true;
}

static bool step_chunk_end(struct server *server, struct connection *connection) {
    bool is_long;
    size_t size = connection_line(connection, 2, &is_long);
    if (size == 0 && !is_long) return false;
    if (is_long || (size == 2 && connection->in[0] != '\r')) {
        refuse_now(server, connection, 400, "a chunk is longer than its size says");
        return true;
    }
    connection_take_in(connection, size);
    connection->phase = PHASE_CHUNK_SIZE;
    return true;
}

static bool step_trailer(struct server *server, struct connection *connection) {
    bool is_long, is_empty;
    size_t size = connection_line(connection, 4096, &is_long);
    if (size == 0 && !is_long) return false;
    connection->seen_bytes += size;
    if (is_long || connection->seen_bytes > server->options.max_request_bytes + HEAD_BYTES) {
        refuse_now(server, connection, 431, "the trailer is too long");
        return true;
    }
    is_empty = size == 1 || (size == 2 && connection->in[0] == '\r');
    connection_take_in(connection, size);
    if (is_empty) connection_answer(server, connection);
    return true;
}

/* The size of the head including the empty line at its end; 0 while it is not complete. */
static size_t head_size(struct view in) {
    size_t i;
    for (i = 0; i + 1 < in.size; i++) {
        if (in.data[i] != '\n') continue;
        if (in.data[i + 1] == '\n') return i + 2;
        if (i + 2 < in.size && in.data[i + 1] == '\r' && in.data[i + 2] == '\n') return i + 3;
    }
    return 0;
}

/* People point gRPC or TLS at a plain port; say so instead of "bad request". */
static bool refuse_other_protocols(struct server *server, struct connection *connection) {
    struct view in = connection_in(connection);
    if (in.size >= 3 && in.data[0] == 0x16 && in.data[1] == 0x03) {
        refuse_now(server, connection, 400, "this is TLS; use http:// instead of https://");
        return true;
    }
    if (in.size > 0 && (in.data[0] < 'A' || in.data[0] > 'z')) {
        refuse_now(server, connection, 400, "this is not an HTTP request");
        return true;
    }
    return false;
}

static void connection_begin_body(struct server *server, struct connection *connection) {
    const struct request *request = &connection->request;
    connection->left = request->length;
    connection->seen_bytes = request->length;
    connection->phase = request->is_chunked ? PHASE_CHUNK_SIZE : PHASE_BODY;
    if (request->has_length && request->length > server->options.max_request_bytes) {
        connection_refuse_size(server, connection);
        return;
    }
    connection_route(connection);
    if (request->wants_continue && connection->refuse_status != 0) {
        connection->request.keep_alive = false; // the body may or may not follow
        connection_answer(server, connection);
        return;
    }
    if (request->wants_continue && connection->in_size == 0) {
        static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
        memcpy(connection->reply, interim, strlen(interim));
        connection->reply_size = strlen(interim);
    }
}

static bool step_head(struct server *server, struct connection *connection) {
    const char *reason = NULL;
    struct view in, head;
    size_t size = 0;
    int status;
    while (size < connection->in_size &&
           (connection->in[size] == '\r' || connection->in[size] == '\n')) {
        size++; // blank lines before a request are harmless
    }
    connection_take_in(connection, size);
    in = connection_in(connection);
    memset(&connection->request, 0, sizeof connection->request);
    if (refuse_other_protocols(server, connection)) return true;
    size = head_size(in);
    if (size == 0) {
        if (in.size == sizeof connection->in) {
            refuse_now(server, connection, 431, "the head is larger than %d bytes", HEAD_BYTES);
            return true;
        }
        return false;
    }
    head = view_part(in, 0, size - (in.data[size - 2] == '\r' ? 2 : 1));
    status = request_parse(&connection->request, head, &reason);
    connection_take_in(connection, size);
    if (status != 0) {
        refuse_now(server, connection, status, "%s", reason);
        return true;
    }
    connection->refuse_status = 0;
    connection_begin_body(server, connection);
    return true;
}

static bool connection_step(struct server *server, struct connection *connection) {
    switch (connection->phase) {
    case PHASE_HEAD:
        return step_head(server, connection);
    case PHASE_BODY:
        if (connection_body(server, connection)) {
            connection_answer(server, connection);
            return true;
        }
        return false;
    case PHASE_CHUNK_SIZE:
        return step_chunk_size(server, connection);
    case PHASE_CHUNK_DATA:
        if (connection_body(server, connection)) {
            connection->phase = PHASE_CHUNK_END;
            return true;
        }
        return false;
    case PHASE_CHUNK_END:
        return step_chunk_end(server, connection);
    case PHASE_TRAILER:
        return step_trailer(server, connection);
    case PHASE_LINGER:
        connection->in_size = 0;
        return false;
    case PHASE_REPLY:
        break;
    }
    return false;
}

/* Sends what there is. Returns false if the connection is broken. */
static bool connection_send(struct connection *connection) {
    while (connection->reply_sent < connection->reply_size) {
        ssize_t sent = send(connection->fd, connection->reply + connection->reply_sent,
                            connection->reply_size - connection->reply_sent, 0);
        if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        connection->reply_sent += (size_t)sent;
    }
    connection->reply_sent = 0;
    connection->reply_size = 0;
    return true;
}

/* After a reply: the next request, or the end. Closing at once with unread input would make the
 * kernel reset the connection and the peer lose the reply, hence the lingering. */
static void connection_reply_done(struct server *server, struct connection *connection) {
    connection_drop_body(server, connection);
    connection->deadline_ms = 0;
    if (connection->request.keep_alive && server->stop_ms == 0) {
        connection->phase = PHASE_HEAD;
        return;
    }
    connection->phase = PHASE_LINGER;
    connection->deadline_ms = now_ms() + LINGER_MS;
    shutdown(connection->fd, SHUT_WR);
}

/* Goes as far as the input allows. Returns false when the connection is to be closed. */
static bool connection_advance(struct server *server, struct connection *connection) {
    for (;;) {
        while (connection_step(server, connection)) {
        }
        if (!connection_send(connection)) return false;
        if (connection->phase != PHASE_REPLY || connection->reply_size > 0) break;
        connection_reply_done(server, connection);
    }
    if (connection->deadline_ms == 0 && !connection_is_idle(connection)) {
        connection->deadline_ms = now_ms() + (int64_t)server->options.request_timeout_ms;
    }
    if (!connection->at_end || connection->phase == PHASE_REPLY) return true;
    if (connection->phase != PHASE_LINGER && !connection_is_idle(connection)) {
        server->counters.refused++;
        say_limited(&server->limiter, "a connection was closed in the middle of a request%s%s",
                    connection->request.name[0] != '\0' ? ": " : "", connection->request.name);
    }
    return false;
}

/* Reads a bounded amount, so that one busy connection does not starve the others. */
static bool connection_read(struct server *server, struct connection *connection) {
    int turns;
    for (turns = 0; turns < 8; turns++) {
        size_t room = sizeof connection->in - connection->in_size;
        ssize_t got;
        if (room == 0 || connection->phase == PHASE_REPLY) break;
        got = recv(connection->fd, connection->in + connection->in_size, room, 0);
        if (got < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
            connection->at_end = true;
            return connection_advance(server, connection);
        }
        connection->at_end = got == 0;
        connection->in_size += (size_t)got;
        connection->active_ms = now_ms();
        if (!connection_advance(server, connection)) return false;
        if (connection->at_end) break;
    }
    return true;
}

static bool connection_late(struct server *server, struct connection *connection) {
    if (connection->phase == PHASE_REPLY || connection->phase == PHASE_LINGER) return false;
    connection->deadline_ms = 0;
    refuse_now(server, connection, 408, "the request was not complete after %llu ms",
               (unsigned long long)server->options.request_timeout_ms);
    return connection_advance(server, connection);
}

static bool connection_handle(struct server *server, struct connection *connection, short events,
                              int64_t now) {
    if ((events & POLLOUT) != 0 && !connection_advance(server, connection)) return false;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        if (connection->phase == PHASE_REPLY && (events & (POLLHUP | POLLERR)) != 0) {
            return false; // nobody left to read the reply
        }
        if (!connection_read(server, connection)) return false;
    }
    if (connection->deadline_ms != 0 && now >= connection->deadline_ms) {
        return connection_late(server, connection);
    }
    return true;
}

static short connection_events(const struct connection *connection) {
    short events = 0;
    if (connection->reply_sent < connection->reply_size) events |= POLLOUT;
    if (connection->phase != PHASE_REPLY && !connection->at_end) events |= POLLIN;
    return events;
}

/* ========================================================================================== */
/* [SECTION 13] LISTENING                                                                     */
/* ========================================================================================== */

static bool set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL, 0);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Opens a listening socket; returns it, or -1 with errno set. */
static int listen_on(const struct sockaddr *address, socklen_t size) {
    int fd = socket(address->sa_family, SOCK_STREAM, 0), one = 1, error;
    if (fd < 0) return -1;
    if (address->sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (set_nonblocking(fd) && bind(fd, address, size) == 0 && listen(fd, 128) == 0) return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Keeps a bound socket, under the name of the address that it really has. */
static void listener_add(struct server *server, int fd, const char *name) {
    struct listener *listener = &server->listeners[server->num_listeners++];
    char host[64], port[16];
    listener->fd = fd;
    listener->address_size = sizeof listener->address;
    getsockname(fd, (struct sockaddr *)&listener->address, &listener->address_size);
    snprintf(listener->name, sizeof listener->name, "%s", name);
    if (listener->address.ss_family != AF_UNIX &&
        getnameinfo((struct sockaddr *)&listener->address, listener->address_size, host,
                    sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        bool is_v6 = listener->address.ss_family == AF_INET6;
        snprintf(listener->name, sizeof listener->name, "%s%s%s:%s", is_v6 ? "[" : "", host,
                 is_v6 ? "]" : "", port);
    }
}

static unsigned listener_port(const struct listener *listener) {
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    if (listener->address.ss_family == AF_INET6) {
        memcpy(&v6, &listener->address, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    memcpy(&v4, &listener->address, sizeof v4);
    return ntohs(v4.sin_port);
}

static bool listener_is_loopback(const struct listener *listener) {
    return strncmp(listener->name, "127.", 4) == 0 || strncmp(listener->name, "[::1]", 5) == 0 ||
           listener->address.ss_family == AF_UNIX;
}

/* Tries all addresses of the host. Returns 0, or an errno after the last one. */
static int listen_tcp(struct server *server, const char *host, const char *port) {
    struct addrinfo hints, *list = NULL, *item;
    int error = EADDRNOTAVAIL, fd = -1;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    if (getaddrinfo(host, port, &hints, &list) != 0) return EADDRNOTAVAIL;
    for (item = list; item != NULL && fd < 0; item = item->ai_next) {
        fd = listen_on(item->ai_addr, item->ai_addrlen);
        error = fd < 0 ? errno : 0;
    }
    freeaddrinfo(list);
    if (fd >= 0) listener_add(server, fd, host);
    return error;
}

static bool listen_failed(const char *where, int error) {
    if (error == EADDRINUSE) {
        say("cannot listen on %s: another program does; choose another address with --listen "
            "(--listen 0 picks a free port)",
            where);
    } else {
        say("cannot listen on %s: %s", where, strerror(error));
    }
    return false;
}

/* A socket file that nobody listens on is left over from a killed process and replaced. */
static bool listen_unix(struct server *server, const char *where, const char *path) {
    struct sockaddr_un address;
    struct stat file;
    mode_t mask;
    int fd, error;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (*path == '\0' || strlen(path) >= sizeof address.sun_path) {
        say("cannot listen on %s: the path must have 1 to %lu bytes", where,
            (unsigned long)sizeof address.sun_path - 1);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (stat(path, &file) == 0 && S_ISSOCK(file.st_mode)) {
        int probe = socket(AF_UNIX, SOCK_STREAM, 0);
        bool is_dead = probe >= 0 &&
                       connect(probe, (struct sockaddr *)&address, sizeof address) != 0 &&
                       errno == ECONNREFUSED;
        if (probe >= 0) close(probe);
        if (is_dead) unlink(path);
    }
    mask = umask(077); // what a program sends is its user's own business
    fd = listen_on((struct sockaddr *)&address, sizeof address);
    error = errno;
    umask(mask);
    if (fd < 0) return listen_failed(where, error);
    listener_add(server, fd, where);
    return true;
}

/* A port alone: both loopback addresses, because "localhost" may mean either. */
static bool listen_loopback(struct server *server, const char *port) {
    char where[64], bound[16];
    int error = listen_tcp(server, "127.0.0.1", port);
    if (error != 0) {
        snprintf(where, sizeof where, "127.0.0.1:%s", port);
        return listen_failed(where, error);
    }
    snprintf(bound, sizeof bound, "%u", listener_port(&server->listeners[0]));
    server->is_v6_taken = listen_tcp(server, "::1", bound) == EADDRINUSE;
    return true;
}

static bool is_port(const char *text) {
    uint64_t port;
    return parse_decimal(view_of(text), &port) && port <= 65535;
}

/* Returns 0 or the exit code. */
static int server_listen(struct server *server) {
    const char *where = server->options.listen, *colon = strrchr(where, ':');
    char host[128];
    size_t size;
    int error;
    if (strncmp(where, "unix:", 5) == 0) return listen_unix(server, where, where + 5) ? 0 : 1;
    if (is_port(where)) return listen_loopback(server, where) ? 0 : 1;
    size = colon != NULL ? (size_t)(colon - where) : 0;
    if (size >= 2 && where[0] == '[' && where[size - 1] == ']') {
        where++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof host || !is_port(colon + 1) ||
        (where == server->options.listen && memchr(where, ':', size) != NULL)) {
        say("--listen: \"%s\" is none of PORT, HOST:PORT, [IPV6]:PORT, unix:PATH",
            server->options.listen);
        return 2;
    }
    memcpy(host, where, size);
    host[size] = '\0';
    error = listen_tcp(server, host, colon + 1);
    return error == 0 || listen_failed(server->options.listen, error) ? 0 : 1;
}

/* Says where to send to. The first line is for scripts as well. */
static void server_announce(const struct server *server) {
    bool is_unix = server->listeners[0].address.ss_family == AF_UNIX;
    const char *scheme = is_unix ? "" : "http://";
    size_t i;
    say("listening on %s%s%s%s", scheme, server->listeners[0].name,
        server->num_listeners > 1 ? " and http://" : "",
        server->num_listeners > 1 ? server->listeners[1].name : "");
    say("    export OTEL_EXPORTER_OTLP_ENDPOINT=%s%s OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        scheme, server->listeners[0].name);
    if (server->is_v6_taken) {
        say("note: another program listens on [::1]:%u; what is sent to \"localhost\" may end up "
            "there",
            listener_port(&server->listeners[0]));
    }
    for (i = 0; i < server->num_listeners; i++) {
        if (!listener_is_loopback(&server->listeners[i])) {
            say("note: everybody who reaches %s can send spans; there is no authentication",
                server->listeners[i].name);
        }
    }
}

/* Written under another name and renamed, so that whoever waits for it never reads half a port. */
static bool server_write_port(const struct server *server) {
    const char *path = server->options.port_file;
    char temporary[PATH_MAX];
    int size = snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file;
    bool is_written;
    if (size < 0 || (size_t)size >= sizeof temporary) {
        say("--port-file: the name is too long");
        return false;
    }
    file = fopen(temporary, "w");
    is_written = file != NULL && fprintf(file, "%u\n", listener_port(&server->listeners[0])) > 0;
    is_written = file != NULL && fclose(file) == 0 && is_written;
    if (!is_written || rename(temporary, path) != 0) {
        say("cannot write %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* ========================================================================================== */
/* [SECTION 14] POLL LOOP                                                                     */
/* ========================================================================================== */

static int signal_pipe[2];

static void on_signal(int number) {
    int error = errno;
    unsigned char byte = (unsigned char)number;
    if (write(signal_pipe[1], &byte, 1) < 0) {
        _exit(1); // the pipe cannot be full of the few signals that get here
    }
    errno = error;
}

/* SIGINT and SIGTERM end the loop; a second one ends the process, should the first not do. */
static bool install_signals(void) {
    struct sigaction action;
    if (pipe(signal_pipe) != 0 || !set_nonblocking(signal_pipe[0]) ||
        !set_nonblocking(signal_pipe[1])) {
        say("cannot make a pipe: %s", strerror(errno));
        return false;
    }
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
    return true;
}

/* Makes room by closing the connection that has been silent for longest, idle ones first: being
 * closed between requests hurts nobody. */
static void server_evict(struct server *server) {
    size_t chosen = 0, i;
    for (i = 1; i < server->num_connections; i++) {
        const struct connection *best = server->connections[chosen];
        const struct connection *other = server->connections[i];
        bool best_idle = connection_is_idle(best), other_idle = connection_is_idle(other);
        if (best_idle == other_idle ? other->active_ms < best->active_ms : other_idle) chosen = i;
    }
    if (!connection_is_idle(server->connections[chosen])) {
        server->counters.refused++;
        say_limited(&server->limiter, "a slow connection was closed to make room: %d are open",
                    MAX_CONNECTIONS);
    }
    server_close(server, chosen);
}

static void server_accept(struct server *server, int listener) {
    int turns, one = 1;
    for (turns = 0; turns < 64; turns++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                say_limited(&server->limiter, "cannot accept a connection: %s", strerror(errno));
                if (server->num_connections > 0) {
                    server_evict(server);
                } else {
                    poll(NULL, 0, 100);
                }
            }
            return;
        }
        if (!set_nonblocking(fd)) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (server->num_connections == MAX_CONNECTIONS) server_evict(server);
        server->connections[server->num_connections++] = connection_new(fd);
    }
}

/* The earlier of two points in time, of which the second may be 0: never. */
static int64_t earlier(int64_t a, int64_t b) {
    return b != 0 && b < a ? b : a;
}

static int server_poll_timeout(const struct server *server, int64_t now) {
    int64_t next = now + 60000;
    size_t i;
    next = earlier(next, server->stop_ms);
    next = earlier(next, server->give_up_ms);
    if (server->store.oldest != NULL) {
        next = earlier(next, server->store.oldest->touched_ms + (int64_t)server->options.quiet_ms);
    }
    if (server->limiter.hidden > 0) {
        next = earlier(next, server->limiter.window_ms + LIMITER_WINDOW_MS);
    }
    for (i = 0; i < server->num_connections; i++) {
        next = earlier(next, server->connections[i]->deadline_ms);
    }
    return next > now ? (int)(next - now) : 0;
}

static bool server_has_replies(const struct server *server) {
    size_t i;
    for (i = 0; i < server->num_connections; i++) {
        if (server->connections[i]->reply_size > 0) return true;
    }
    return false;
}

/* --timeout-ms is over. */
static void server_give_up(struct server *server) {
    if (server->options.exit_after == 0) {
        server_stop(server, server->exit_code);
        return;
    }
    say("timed out: %llu of %llu spans were received within %llu ms",
        (unsigned long long)server->counters.spans, (unsigned long long)server->options.exit_after,
        (unsigned long long)server->options.timeout_ms);
    server_stop(server, 3);
}

/* Waits once, and handles what is ready. */
static void server_turn(struct server *server) {
    struct pollfd fds[1 + COUNT_OF(server->listeners) + MAX_CONNECTIONS];
    size_t base = 1 + server->num_listeners, i;
    int64_t now = now_ms();
    bool is_stopping = server->stop_ms != 0;
    memset(fds, 0, sizeof fds);
    fds[0].fd = signal_pipe[0];
    fds[0].events = POLLIN;
    for (i = 0; i < server->num_listeners; i++) {
        fds[1 + i].fd = server->listeners[i].fd;
        fds[1 + i].events = is_stopping ? 0 : POLLIN;
    }
    for (i = 0; i < server->num_connections; i++) {
        fds[base + i].fd = server->connections[i]->fd;
        fds[base + i].events = connection_events(server->connections[i]);
        if (is_stopping) fds[base + i].events &= POLLOUT;
    }
    if (poll(fds, (nfds_t)(base + server->num_connections), server_poll_timeout(server, now)) < 0) {
        return; // interrupted: the pipe tells by which signal
    }
    now = now_ms();
    if (fds[0].revents != 0) server_stop(server, server->exit_code);
    for (i = server->num_connections; i-- > 0;) { // closing moves the last one into the gap
        if (!connection_handle(server, server->connections[i], fds[base + i].revents, now)) {
            server_close(server, i);
        }
    }
    for (i = 0; i < server->num_listeners; i++) {
        if ((fds[1 + i].revents & POLLIN) != 0) server_accept(server, server->listeners[i].fd);
    }
    server_print_quiet(server, now_ms());
    limiter_flush(&server->limiter, now);
    if (server->stop_ms == 0 && server->give_up_ms != 0 && now >= server->give_up_ms) {
        server_give_up(server);
    }
}

static void server_summary(struct server *server) {
    const struct counters *counters = &server->counters;
    server->limiter.window_ms = now_ms() - LIMITER_WINDOW_MS;
    limiter_flush(&server->limiter, now_ms());
    say("received %llu %s of %llu %s in %llu %s; refused %llu", (unsigned long long)counters->spans,
        counters->spans == 1 ? "span" : "spans", (unsigned long long)counters->traces,
        counters->traces == 1 ? "trace" : "traces", (unsigned long long)counters->requests,
        counters->requests == 1 ? "request" : "requests", (unsigned long long)counters->refused);
}

static void server_free(struct server *server) {
    size_t i;
    while (server->num_connections > 0) server_close(server, server->num_connections - 1);
    for (i = 0; i < server->num_listeners; i++) {
        close(server->listeners[i].fd);
        if (server->listeners[i].address.ss_family == AF_UNIX) {
            unlink(server->options.listen + strlen("unix:"));
        }
    }
    if (server->has_jsonl && server->jsonl.fd != STDOUT_FILENO) close(server->jsonl.fd);
}

static int server_run(struct server *server) {
    if (server->options.timeout_ms > 0) {
        server->give_up_ms = now_ms() + (int64_t)server->options.timeout_ms;
    }
    while (server->stop_ms == 0 || (server_has_replies(server) && now_ms() < server->stop_ms)) {
        server_turn(server);
    }
    server_print_all(server);
    server_summary(server);
    server_free(server);
    return server->exit_code;
}

/* ========================================================================================== */
/* [SECTION 15] COMMAND LINE                                                                  */
/* ========================================================================================== */

static const char usage[] =
    "usage: hatchet-otel serve [options]\n"
    "       hatchet-otel --help | --version\n"
    "\n"
    "serve receives OpenTelemetry traces (OTLP over HTTP, protobuf) and prints each as a tree\n"
    "once it has gone quiet. Stop it with Ctrl-C.\n"
    "\n"
    "  --listen ADDRESS         PORT (on 127.0.0.1 and ::1), HOST:PORT, [IPV6]:PORT or\n"
    "                           unix:PATH; port 0 picks a free one (default 4318)\n"
    "  --port-file FILE         write the port there, for scripts\n"
    "  --jsonl FILE             append each request as a line of OTLP/JSON; - is standard\n"
    "                           output, the trees then go to standard error\n"
    "  --quiet-ms N             print a trace when it had no new span for so long (default 1000)\n"
    "  --exit-after N           stop when N spans have been received\n"
    "  --timeout-ms N           stop then; exit with 3 if --exit-after was not reached\n"
    "  --color WHEN             always, never or auto (a terminal, and NO_COLOR not set)\n"
    "  --ascii                  draw with ASCII, escape all other characters (default unless\n"
    "                           LC_ALL, LC_CTYPE or LANG say UTF-8)\n"
    "  --width N                columns, at least 60 (default: the terminal's, else 120)\n"
    "  --max-request-bytes N    refuse larger requests (default 16 MiB, at most a quarter of\n"
    "                           the memory below)\n"
    "  --max-memory-mb N        half of it for spans that wait (when it is used up, the oldest\n"
    "                           trace is printed early), half for requests (default 64); 256\n"
    "                           connections take up to 5 MB more\n"
    "  --request-timeout-ms N   close a connection whose request takes longer (default 30000)\n"
    "\n"
    "Exit codes: 0 stopped or all spans received; 1 cannot listen or write; 2 wrong usage;\n"
    "3 timed out.\n"
    "\n"
    "Examples:\n"
    "  hatchet-otel serve\n"
    "      and in another terminal\n"
    "  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 ./my-program\n"
    "\n"
    "  hatchet-otel serve --listen 0 --port-file port --exit-after 5 --timeout-ms 10000\n"
    "      in a test: waits for five spans\n"
    "\n"
    "  hatchet-otel serve --jsonl - | jq .\n"
    "      looks at all that was sent\n";

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_COLOR, OPTION_ASCII };

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset; // in struct options
    uint64_t min;
    uint64_t max;
};

#define TEXT_OPTION(name, member) \
    { name, OPTION_TEXT, offsetof(struct options, member), 0, 0 }
#define NUMBER_OPTION(name, member, min, max) \
    { name, OPTION_NUMBER, offsetof(struct options, member), min, max }

enum { MAX_MS = 86400000 };

static const struct option option_table[] = {
    TEXT_OPTION("--listen", listen),
    TEXT_OPTION("--port-file", port_file),
    TEXT_OPTION("--jsonl", jsonl),
    NUMBER_OPTION("--quiet-ms", quiet_ms, 0, MAX_MS),
    NUMBER_OPTION("--exit-after", exit_after, 1, INT64_MAX),
    NUMBER_OPTION("--timeout-ms", timeout_ms, 1, MAX_MS),
    NUMBER_OPTION("--request-timeout-ms", request_timeout_ms, 1, MAX_MS),
    NUMBER_OPTION("--max-request-bytes", max_request_bytes, 1, 1 << 30),
    NUMBER_OPTION("--max-memory-mb", max_memory_mb, 1, 4096),
    NUMBER_OPTION("--width", width, MIN_WIDTH, MAX_WIDTH),
    {"--color", OPTION_COLOR, 0, 0, 0},
    {"--ascii", OPTION_ASCII, 0, 0, 0},
};

static bool option_set(struct options *options, const struct option *option, const char *value) {
    static const char *const colors[] = {"auto", "always", "never"}; // as enum color_mode
    char *member = (char *)options + option->offset;
    uint64_t number;
    size_t i;
    switch (option->kind) {
    case OPTION_TEXT:
        memcpy(member, &value, sizeof value);
        return *value != '\0';
    case OPTION_NUMBER:
        if (!parse_decimal(view_of(value), &number) || number < option->min ||
            number > option->max) {
            say("%s: \"%s\" is not a number from %llu to %llu", option->name, value,
                (unsigned long long)option->min, (unsigned long long)option->max);
            return false;
        }
        memcpy(member, &number, sizeof number);
        return true;
    case OPTION_COLOR:
        for (i = 0; i < COUNT_OF(colors); i++) {
            if (strcmp(value, colors[i]) == 0) {
                options->color = (enum color_mode)i;
                return true;
            }
        }
        say("--color: \"%s\" is none of always, never, auto", value);
        return false;
    case OPTION_ASCII:
        break;
    }
    options->ascii = true;
    return true;
}

/* Takes one option, "--name value" or "--name=value", off the arguments. */
static bool option_parse(struct options *options, char ***arguments) {
    const char *argument = *(*arguments)++, *equals = strchr(argument, '='), *value = NULL;
    size_t size = equals != NULL ? (size_t)(equals - argument) : strlen(argument), i;
    for (i = 0; i < COUNT_OF(option_table); i++) {
        const struct option *option = &option_table[i];
        bool wants_value = option->kind != OPTION_ASCII;
        if (strlen(option->name) != size || memcmp(option->name, argument, size) != 0) continue;
        if (equals != NULL) {
            value = equals + 1;
        } else if (wants_value && **arguments != NULL) {
            value = *(*arguments)++;
        }
        if (wants_value == (value == NULL) || (wants_value && *value == '\0')) {
            say("%s %s; see hatchet-otel serve --help", option->name,
                wants_value ? "needs a value" : "takes no value");
            return false;
        }
        return option_set(options, option, value);
    }
    say("serve has no option \"%s\"; see hatchet-otel serve --help", argument);
    return false;
}

/* What cannot be said of one option alone; defaults that depend on others. */
static bool options_finish(struct options *options) {
    uint64_t most = options->max_memory_mb * 1024 * 1024 / 4;
    if (options->port_file != NULL && strncmp(options->listen, "unix:", 5) == 0) {
        say("--port-file: a unix: address has no port");
        return false;
    }
    if (options->max_request_bytes > most) {
        say("--max-request-bytes %llu needs --max-memory-mb %llu or more",
            (unsigned long long)options->max_request_bytes,
            (unsigned long long)((options->max_request_bytes * 4 + 1048575) / 1048576));
        return false;
    }
    if (options->max_request_bytes == 0) {
        options->max_request_bytes = most < 16777216 ? most : 16777216;
    }
    return true;
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0';
}

/* Decided by the variables alone: what setlocale knows of installed locales does not matter. */
static bool is_utf8_locale(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    size_t i;
    for (i = 0; i < COUNT_OF(names); i++) {
        if (is_set(names[i])) {
            const char *value = strchr(getenv(names[i]), '.');
            return value != NULL &&
                   (strncasecmp(value, ".utf-8", 6) == 0 || strncasecmp(value, ".utf8", 5) == 0);
        }
    }
    return false;
}

static bool server_open_outputs(struct server *server) {
    const struct options *options = &server->options;
    const char *terminal = getenv("TERM");
    server->trees.fd = STDOUT_FILENO;
    if (options->jsonl != NULL) {
        bool is_stdout = strcmp(options->jsonl, "-") == 0;
        server->has_jsonl = true;
        server->jsonl.fd = STDOUT_FILENO;
        if (is_stdout) {
            server->trees.fd = STDERR_FILENO;
            server->options.jsonl = "standard output";
        } else {
            int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
            server->jsonl.fd = open(options->jsonl, flags, 0666);
        }
        if (server->jsonl.fd < 0) {
            say("cannot write to %s: %s", options->jsonl, strerror(errno));
            return false;
        }
    }
    server->style.unicode = !options->ascii && is_utf8_locale();
    server->style.color = options->color == COLOR_ALWAYS;
    if (options->color == COLOR_AUTO) {
        server->style.color = isatty(server->trees.fd) && !is_set("NO_COLOR") &&
                              (terminal == NULL || strcmp(terminal, "dumb") != 0);
    }
    return true;
}

static int serve(char **arguments) {
    static struct server server;
    struct options *options = &server.options;
    int code;
    options->listen = "4318";
    options->quiet_ms = 1000;
    options->request_timeout_ms = 30000;
    options->max_memory_mb = 64;
    while (*arguments != NULL) {
        if (strcmp(*arguments, "--help") == 0 || strcmp(*arguments, "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (!option_parse(options, &arguments)) return 2;
    }
    if (!options_finish(options)) return 2;
    server.max_store_bytes = (size_t)(options->max_memory_mb * 1024 * 1024 / 2);
    server.max_body_bytes = server.max_store_bytes;
    server.store.seed = (uint64_t)now_ms() * 2654435761U ^ (uint64_t)getpid() << 32;
    if (!server_open_outputs(&server) || !install_signals()) return 1;
    code = server_listen(&server);
    if (code != 0) return code;
    server_announce(&server);
    if (options->port_file != NULL && !server_write_port(&server)) {
        server_free(&server);
        return 1;
    }
    return server_run(&server);
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : NULL;
    if (command == NULL) {
        fputs(usage, stderr);
        return 2;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        puts("hatchet-otel " TOOL_VERSION);
        return 0;
    }
    if (strcmp(command, "serve") == 0) return serve(argv + 2);
    say("there is no command \"%s\"; see hatchet-otel --help", command);
    return 2;
}
