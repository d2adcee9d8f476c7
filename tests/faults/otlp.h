/*
 * SPDX-License-Identifier: MIT
 *
 * otlp.h - reads OTLP trace requests without the library under test: a protobuf walker, a check
 * of a whole request against the wire table, and look-ups by span name and attribute key.
 */
#ifndef OTLP_H_INCLUDED
#define OTLP_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define OTLP_FN __attribute__((unused)) static

typedef struct otlp_bytes {
    const unsigned char *at;
    size_t size;
} otlp_bytes;

/* One field of a message. Varints and fixed values are in number_value, the rest in bytes. */
typedef struct otlp_field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;
    otlp_bytes bytes;
} otlp_field;

/* Takes a varint off the front. Only the shortest form is accepted. */
OTLP_FN bool otlp_varint(otlp_bytes *from, uint64_t *out) {
    unsigned shift = 0;
    *out = 0;
    while (from->size > 0 && shift < 64) {
        unsigned char byte = *from->at++;
        from->size--;
        if (shift == 63 && byte > 1) return false;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return byte != 0 || shift == 0;
        shift += 7;
    }
    return false;
}

OTLP_FN bool otlp_fixed(otlp_bytes *from, unsigned size, uint64_t *out) {
    unsigned i;
    *out = 0;
    if (from->size < size) return false;
    for (i = 0; i < size; i++) *out |= (uint64_t)from->at[i] << (8 * i);
    from->at += size;
    from->size -= size;
    return true;
}

/* Takes one field off the front; false at the end and when malformed (then size is not 0). */
OTLP_FN bool otlp_next(otlp_bytes *message, otlp_field *field) {
    otlp_bytes rest = *message;
    uint64_t tag;
    memset(field, 0, sizeof *field);
    if (rest.size == 0 || !otlp_varint(&rest, &tag) || tag >> 3 == 0) return false;
    field->number = (uint32_t)(tag >> 3);
    field->wire = (uint32_t)(tag & 7);
    if (field->wire == 0) {
        if (!otlp_varint(&rest, &field->value)) return false;
    } else if (field->wire == 1 || field->wire == 5) {
        if (!otlp_fixed(&rest, field->wire == 1 ? 8 : 4, &field->value)) return false;
    } else if (field->wire == 2) {
        uint64_t size;
        if (!otlp_varint(&rest, &size) || size > rest.size) return false;
        field->bytes.at = rest.at;
        field->bytes.size = (size_t)size;
        rest.at += size;
        rest.size -= (size_t)size;
    } else {
        return false;
    }
    *message = rest;
    return true;
}

/* The index-th field with this number. */
OTLP_FN bool otlp_get(otlp_bytes message, uint32_t number, size_t index, otlp_field *out) {
    while (otlp_next(&message, out)) {
        if (out->number == number && index-- == 0) return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}

OTLP_FN size_t otlp_count(otlp_bytes message, uint32_t number) {
    otlp_field field;
    size_t count = 0;
    while (otlp_next(&message, &field)) count += field.number == number;
    return count;
}

OTLP_FN bool otlp_equal(otlp_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && memcmp(bytes.at, text, bytes.size) == 0;
}

/* Well-formed UTF-8 by RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. */
OTLP_FN bool otlp_is_utf8(otlp_bytes text) {
    size_t i = 0;
    while (i < text.size) {
        unsigned char lead = text.at[i++];
        uint32_t code, least;
        unsigned more;
        if (lead < 0x80) continue;
        if (lead >= 0xc2 && lead <= 0xdf) {
            more = 1, code = lead & 0x1fu, least = 0x80;
        } else if (lead >= 0xe0 && lead <= 0xef) {
            more = 2, code = lead & 0x0fu, least = 0x800;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            more = 3, code = lead & 0x07u, least = 0x10000;
        } else {
            return false;
        }
        if (text.size - i < more) return false;
        for (; more > 0; more--) {
            if ((text.at[i] & 0xc0) != 0x80) return false;
            code = code << 6 | (text.at[i++] & 0x3fu);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    }
    return true;
}

/* ---- The wire table ------------------------------------------------------------------------- */

typedef enum otlp_message {
    OTLP_REQUEST,
    OTLP_RESOURCE_SPANS,
    OTLP_RESOURCE,
    OTLP_SCOPE_SPANS,
    OTLP_SCOPE,
    OTLP_SPAN,
    OTLP_EVENT,
    OTLP_LINK,
    OTLP_STATUS,
    OTLP_KEY_VALUE,
    OTLP_ANY,
    OTLP_ARRAY,
    OTLP_MAP
} otlp_message;

typedef enum otlp_kind {
    OTLP_VARINT,
    OTLP_FIXED64,
    OTLP_FIXED32,
    OTLP_STRING,
    OTLP_BYTES,
    OTLP_ONE,     /* a message, at most once */
    OTLP_REPEATED /* messages                */
} otlp_kind;

typedef struct otlp_rule {
    otlp_message message;
    uint32_t number;
    otlp_kind kind;
    otlp_message inner;
} otlp_rule;

static const otlp_rule otlp_rules[] = {
    {OTLP_REQUEST, 1, OTLP_REPEATED, OTLP_RESOURCE_SPANS},
    {OTLP_RESOURCE_SPANS, 1, OTLP_ONE, OTLP_RESOURCE},
    {OTLP_RESOURCE_SPANS, 2, OTLP_REPEATED, OTLP_SCOPE_SPANS},
    {OTLP_RESOURCE_SPANS, 3, OTLP_STRING, OTLP_ANY},
    {OTLP_RESOURCE, 1, OTLP_REPEATED, OTLP_KEY_VALUE},
    {OTLP_RESOURCE, 2, OTLP_VARINT, OTLP_ANY},
    {OTLP_SCOPE_SPANS, 1, OTLP_ONE, OTLP_SCOPE},
    {OTLP_SCOPE_SPANS, 2, OTLP_REPEATED, OTLP_SPAN},
    {OTLP_SCOPE_SPANS, 3, OTLP_STRING, OTLP_ANY},
    {OTLP_SCOPE, 1, OTLP_STRING, OTLP_ANY},
    {OTLP_SCOPE, 2, OTLP_STRING, OTLP_ANY},
    {OTLP_SCOPE, 3, OTLP_REPEATED, OTLP_KEY_VALUE},
    {OTLP_SCOPE, 4, OTLP_VARINT, OTLP_ANY},
    {OTLP_SPAN, 1, OTLP_BYTES, OTLP_ANY},
    {OTLP_SPAN, 2, OTLP_BYTES, OTLP_ANY},
    {OTLP_SPAN, 3, OTLP_STRING, OTLP_ANY},
    {OTLP_SPAN, 4, OTLP_BYTES, OTLP_ANY},
    {OTLP_SPAN, 5, OTLP_STRING, OTLP_ANY},
    {OTLP_SPAN, 6, OTLP_VARINT, OTLP_ANY},
    {OTLP_SPAN, 7, OTLP_FIXED64, OTLP_ANY},
    {OTLP_SPAN, 8, OTLP_FIXED64, OTLP_ANY},
    {OTLP_SPAN, 9, OTLP_REPEATED, OTLP_KEY_VALUE},
    {OTLP_SPAN, 10, OTLP_VARINT, OTLP_ANY},
    {OTLP_SPAN, 11, OTLP_REPEATED, OTLP_EVENT},
    {OTLP_SPAN, 12, OTLP_VARINT, OTLP_ANY},
    {OTLP_SPAN, 13, OTLP_REPEATED, OTLP_LINK},
    {OTLP_SPAN, 14, OTLP_VARINT, OTLP_ANY},
    {OTLP_SPAN, 15, OTLP_ONE, OTLP_STATUS},
    {OTLP_SPAN, 16, OTLP_FIXED32, OTLP_ANY},
    {OTLP_EVENT, 1, OTLP_FIXED64, OTLP_ANY},
    {OTLP_EVENT, 2, OTLP_STRING, OTLP_ANY},
    {OTLP_EVENT, 3, OTLP_REPEATED, OTLP_KEY_VALUE},
    {OTLP_EVENT, 4, OTLP_VARINT, OTLP_ANY},
    {OTLP_LINK, 1, OTLP_BYTES, OTLP_ANY},
    {OTLP_LINK, 2, OTLP_BYTES, OTLP_ANY},
    {OTLP_LINK, 3, OTLP_STRING, OTLP_ANY},
    {OTLP_LINK, 4, OTLP_REPEATED, OTLP_KEY_VALUE},
    {OTLP_LINK, 5, OTLP_VARINT, OTLP_ANY},
    {OTLP_LINK, 6, OTLP_FIXED32, OTLP_ANY},
    {OTLP_STATUS, 2, OTLP_STRING, OTLP_ANY},
    {OTLP_STATUS, 3, OTLP_VARINT, OTLP_ANY},
    {OTLP_KEY_VALUE, 1, OTLP_STRING, OTLP_ANY},
    {OTLP_KEY_VALUE, 2, OTLP_ONE, OTLP_ANY},
    {OTLP_ANY, 1, OTLP_STRING, OTLP_ANY},
    {OTLP_ANY, 2, OTLP_VARINT, OTLP_ANY},
    {OTLP_ANY, 3, OTLP_VARINT, OTLP_ANY},
    {OTLP_ANY, 4, OTLP_FIXED64, OTLP_ANY},
    {OTLP_ANY, 5, OTLP_ONE, OTLP_ARRAY},
    {OTLP_ANY, 6, OTLP_ONE, OTLP_MAP},
    {OTLP_ANY, 7, OTLP_BYTES, OTLP_ANY},
    {OTLP_ARRAY, 1, OTLP_REPEATED, OTLP_ANY},
    {OTLP_MAP, 1, OTLP_REPEATED, OTLP_KEY_VALUE},
};

OTLP_FN const otlp_rule *otlp_find_rule(otlp_message message, uint32_t number) {
    size_t i;
    for (i = 0; i < sizeof otlp_rules / sizeof otlp_rules[0]; i++) {
        const otlp_rule *rule = &otlp_rules[i];
        if (rule->message == message && rule->number == number) return rule;
    }
    return NULL;
}

OTLP_FN bool otlp_is_zero(otlp_bytes bytes) {
    size_t i;
    for (i = 0; i < bytes.size; i++) {
        if (bytes.at[i] != 0) return false;
    }
    return true;
}

/* Keys are there, not empty and unique (SP-30, SP-33). */
OTLP_FN const char *otlp_check_keys(otlp_bytes message, uint32_t number) {
    otlp_bytes outer = message;
    otlp_field entry, other, key, other_key;
    size_t index = 0;
    while (otlp_next(&outer, &entry)) {
        otlp_bytes inner = message;
        size_t i = 0;
        if (entry.number != number) continue;
        (void)otlp_get(entry.bytes, 1, 0, &key);
        if (key.bytes.size == 0) return "an attribute without a key";
        while (i < index && otlp_next(&inner, &other)) {
            if (other.number != number) continue;
            (void)otlp_get(other.bytes, 1, 0, &other_key);
            if (other_key.bytes.size == key.bytes.size &&
                memcmp(other_key.bytes.at, key.bytes.at, key.bytes.size) == 0) {
                return "an attribute key twice";
            }
            i++;
        }
        index++;
    }
    return NULL;
}

OTLP_FN const char *otlp_check_span(otlp_bytes span) {
    otlp_field field;
    if (!otlp_get(span, 1, 0, &field) || field.bytes.size != 16 || otlp_is_zero(field.bytes)) {
        return "a bad trace id";
    }
    if (!otlp_get(span, 2, 0, &field) || field.bytes.size != 8 || otlp_is_zero(field.bytes)) {
        return "a bad span id";
    }
    if (otlp_get(span, 4, 0, &field) && (field.bytes.size != 8 || otlp_is_zero(field.bytes))) {
        return "a bad parent span id";
    }
    if (!otlp_get(span, 6, 0, &field) || field.value < 1 || field.value > 5) return "a bad kind";
    if (!otlp_get(span, 7, 0, &field) || field.value == 0) return "no start time";
    if (!otlp_get(span, 8, 0, &field) || field.value == 0) return "no end time";
    if (!otlp_get(span, 16, 0, &field) || field.value >> 10 != 0 || !(field.value & 1)) {
        return "bad flags";
    }
    return otlp_check_keys(span, 9);
}

OTLP_FN const char *otlp_check_message(otlp_message message, otlp_bytes bytes) {
    switch (message) {
    case OTLP_RESOURCE:
        return otlp_check_keys(bytes, 1);
    case OTLP_SCOPE:
        return otlp_check_keys(bytes, 3);
    case OTLP_SPAN:
        return otlp_check_span(bytes);
    case OTLP_EVENT:
        return otlp_check_keys(bytes, 3);
    case OTLP_LINK:
        return otlp_check_keys(bytes, 4);
    case OTLP_MAP:
        return otlp_check_keys(bytes, 1);
    default:
        return NULL;
    }
}

/* NULL, or what is wrong with the message. */
OTLP_FN const char *otlp_check(otlp_message message, otlp_bytes bytes, unsigned depth) {
    static const uint32_t wires[] = {0, 1, 5, 2, 2, 2, 2};
    otlp_bytes rest = bytes;
    otlp_field field;
    uint64_t seen = 0;
    if (depth > 200) return "nested too deep";
    while (otlp_next(&rest, &field)) {
        const otlp_rule *rule = otlp_find_rule(message, field.number);
        if (rule == NULL) return "an unknown field";
        if (field.wire != wires[rule->kind]) return "a wrong wire type";
        if (rule->kind != OTLP_REPEATED && (seen >> field.number & 1)) return "a field twice";
        if (message == OTLP_ANY && seen != 0) return "a value of two types";
        seen |= (uint64_t)1 << field.number;
        if (rule->kind == OTLP_STRING && !otlp_is_utf8(field.bytes)) return "text is not UTF-8";
        if (rule->kind == OTLP_ONE || rule->kind == OTLP_REPEATED) {
            const char *problem = otlp_check(rule->inner, field.bytes, depth + 1);
            if (problem != NULL) return problem;
        }
    }
    if (rest.size != 0) return "malformed protobuf";
    return otlp_check_message(message, bytes);
}

/* ---- Look-ups ------------------------------------------------------------------------------- */

/* Called for each span with the ScopeSpans and ResourceSpans around it. */
typedef void (*otlp_span_fn)(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                             void *user_data);

/* Returns the number of spans in a request. span_fn may be NULL. */
OTLP_FN size_t otlp_each_span(otlp_bytes request, otlp_span_fn span_fn, void *user_data) {
    otlp_field group, scope, span;
    size_t count = 0;
    while (otlp_next(&request, &group)) {
        otlp_bytes scopes = group.bytes;
        while (group.number == 1 && otlp_next(&scopes, &scope)) {
            otlp_bytes spans = scope.bytes;
            while (scope.number == 2 && otlp_next(&spans, &span)) {
                if (span.number != 2) continue;
                count++;
                if (span_fn != NULL) span_fn(span.bytes, scope.bytes, group.bytes, user_data);
            }
        }
    }
    return count;
}

/* The AnyValue of a key among KeyValue fields with this number. */
OTLP_FN bool otlp_attribute(otlp_bytes message, uint32_t number, const char *key, otlp_bytes *out) {
    otlp_field entry, name, value;
    while (otlp_next(&message, &entry)) {
        if (entry.number != number) continue;
        if (!otlp_get(entry.bytes, 1, 0, &name) || !otlp_equal(name.bytes, key)) continue;
        (void)otlp_get(entry.bytes, 2, 0, &value);
        *out = value.bytes;
        return true;
    }
    out->at = NULL;
    out->size = 0;
    return false;
}

/* A string attribute as text with a NUL, "" when absent or of another type. */
OTLP_FN const char *otlp_attribute_text(otlp_bytes message, uint32_t number, const char *key,
                                        char *out, size_t capacity) {
    otlp_bytes value;
    otlp_field field;
    out[0] = '\0';
    if (otlp_attribute(message, number, key, &value) && otlp_get(value, 1, 0, &field)) {
        (void)snprintf(out, capacity, "%.*s", (int)field.bytes.size, (const char *)field.bytes.at);
    }
    return out;
}

typedef struct otlp_search {
    const char *name;
    otlp_bytes found;
} otlp_search;

OTLP_FN void otlp_match_name(otlp_bytes span, otlp_bytes scope_spans, otlp_bytes resource_spans,
                             void *user_data) {
    otlp_search *search = (otlp_search *)user_data;
    otlp_field name;
    (void)scope_spans;
    (void)resource_spans;
    (void)otlp_get(span, 5, 0, &name);
    if (otlp_equal(name.bytes, search->name)) search->found = span;
}

/* The last span of this name in a request; at is NULL when there is none. */
OTLP_FN otlp_bytes otlp_span_named(otlp_bytes request, const char *name) {
    otlp_search search;
    search.name = name;
    search.found.at = NULL;
    search.found.size = 0;
    (void)otlp_each_span(request, otlp_match_name, &search);
    return search.found;
}

/* The Resource message of a request. */
OTLP_FN otlp_bytes otlp_resource(otlp_bytes request) {
    otlp_field group, resource;
    (void)otlp_get(request, 1, 0, &group);
    (void)otlp_get(group.bytes, 1, 0, &resource);
    return resource.bytes;
}

#endif
