/*
 * SPDX-License-Identifier: MIT
 *
 * Finished spans out of any bytes: all that a walk gives lies in the input, walks end, what is
 * there twice is found twice; the console prints it, the memory exporter gives it back.
 */
#include "fuzz.h"

#include <fcntl.h>

/* A request with every field of the wire table; values of every type; two groups. No byte is 0, for
   these are C strings. */
const char *const fuzz_seeds[] = {
    "\x0A\xE8\x01\x0A\x0C\x0A\x08\x0A\x01r\x12\x03\x0A\x01v\x10\x01\x12\xD4\x01\x0A\x17"
    "\x0A\x05scope\x12\x03"
    "1.2\x1A\x09\x0A\x01s\x12\x04\x0A\x02\x09\"\x12\xB5\x01\x0A\x10TTTTTTTTTTTTTTTT\x12"
    "\x08"
    "12345678\x1A\x03"
    "a=b\"\x08"
    "87654321*\x04name0\x03"
    "9abcdefg\x15"
    "Azbcdefg\x15J\x07\x0A\x01"
    "a\x12\x02\x18\x07P\xAC\x02Z\x1C\x09"
    "bbcdefg\x15\x12\x05"
    "event\x1A\x08\x0A\x01k\x12\x03\x0A\x01v \x01`\x01j1\x0A\x10LLLLLLLLLLLLLLLL\x12\x08"
    "87654321\x1A\x03"
    "c=d\"\x07\x0A\x01l\x12\x02\x10\x01(\x02"
    "5\x01\x03\x01\x01p\x02z\x07\x12\x03why\x18\x02\x85\x01\x01\x03\x01\x01\x1A\x01u\x1A"
    "\x01w",
    "\x0A"
    "e\x12"
    "c\x12"
    "aJ\x10\x0A\x01i\x12\x0B\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01J\x0E\x0A\x01"
    "d\x12\x09!\x18-DT\xFB!\x09@J\"\x0A\x01l\x12\x1D*\x1B\x0A\x02\x10\x01\x0A\x0C"
    "2\x0A\x0A\x08\x0A\x01m\x12\x03\x0A\x01x\x0A\x07*\x05\x0A\x03\x0A\x01yJ\x09\x0A\x01"
    "b\x12\x04:\x02\x01\xFFJ\x0E\x0A\x01"
    "e\x12\x09\x0A\x05\x7F\xC3\x82\xC2\x85\x18\x05",
    "\x0A\x0B\x12\x09\x12\x02P\x01\x12\x03*\x01"
    "b\x0A\x12\x12\x10\x0A\x03\x0A\x01t\x12\x04*\x02hi\x1A\x03url",
    NULL};

static const uint8_t *given;
static size_t given_size;

static void inside(const void *at, size_t size) {
    const uint8_t *bytes = (const uint8_t *)at;
    FUZZ_CHECK(size == 0 || (bytes >= given && size <= given_size &&
                             bytes <= given + given_size - size));
}

static void check_value(const hotel_value_view *value, int depth);

static size_t check_attrs(hotel_list list, int depth) {
    hotel_attr_view attribute;
    size_t count = 0;
    while (hotel_next_attr(&list, &attribute)) {
        count++;
        inside(attribute.key.text, attribute.key.size);
        check_value(&attribute.value, depth);
    }
    FUZZ_CHECK(!hotel_next_attr(&list, &attribute));
    return count;
}

static void check_value(const hotel_value_view *value, int depth) {
    hotel_value_view element;
    hotel_list list;
    if (value->type == HOTEL_TYPE_STRING || value->type == HOTEL_TYPE_BYTES) {
        inside(value->as.string.text, value->as.string.size);
    } else if (value->type == HOTEL_TYPE_ARRAY && depth < 50) {
        list = value->as.list;
        while (hotel_next_value(&list, &element)) check_value(&element, depth + 1);
        FUZZ_CHECK(!hotel_next_value(&list, &element));
    } else if (value->type == HOTEL_TYPE_MAP && depth < 50) {
        (void)check_attrs(value->as.list, depth + 1);
    }
}

static void check_span(hotel_span_view *span) {
    hotel_event_view event;
    hotel_link_view link;
    size_t count = 0;
    inside(span->name.text, span->name.size);
    inside(span->trace_state.text, span->trace_state.size);
    inside(span->status_description.text, span->status_description.size);
    inside(span->scope.name.text, span->scope.name.size);
    inside(span->scope.version.text, span->scope.version.size);
    inside(span->scope.schema_url.text, span->scope.schema_url.size);
    inside(span->resource.schema_url.text, span->resource.schema_url.size);
    FUZZ_CHECK((unsigned)span->kind <= HOTEL_CONSUMER);
    FUZZ_CHECK((unsigned)span->status <= HOTEL_STATUS_ERROR);
    FUZZ_CHECK(check_attrs(span->attributes, 0) <= span->num_attributes);
    FUZZ_CHECK(check_attrs(span->scope.attributes, 0) <= span->scope.num_attributes);
    FUZZ_CHECK(check_attrs(span->resource.attributes, 0) <= span->resource.num_attributes);
    while (hotel_next_event(&span->events, &event)) {
        count++;
        inside(event.name.text, event.name.size);
        FUZZ_CHECK(check_attrs(event.attributes, 0) <= event.num_attributes);
    }
    FUZZ_CHECK(count <= span->num_events);
    count = 0;
    while (hotel_next_link(&span->links, &link)) {
        count++;
        inside(link.trace_state.text, link.trace_state.size);
        FUZZ_CHECK(check_attrs(link.attributes, 0) <= link.num_attributes);
    }
    FUZZ_CHECK(count <= span->num_links);
}

static size_t check_walk(const hotel_batch *batch) {
    hotel_spans spans = hotel_batch_spans(batch);
    hotel_span_view span;
    size_t count = 0;
    given = (const uint8_t *)batch->request;
    given_size = batch->request_size;
    while (hotel_next_span(&spans, &span)) {
        check_span(&span);
        count++;
    }
    FUZZ_CHECK(!hotel_next_span(&spans, &span));
    return count;
}

/* Is it a sequence of whole fields? Then another request may stand behind it. */
static bool well_formed(const uint8_t *data, size_t size) {
    const uint8_t *end = size > 0 ? data + size : data;
    hoteli_field field;
    int found;
    do {
        found = hoteli_field_next(&data, end, &field);
    } while (found == 1);
    return found == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int nowhere = -1;
    hotel_batch batch = hotel_batch_of(data, size), kept;
    hotel_memory_exporter memory;
    hotel_exporter exporter, console;
    uint8_t *room = (uint8_t *)malloc(2 * size + 1);
    if (nowhere < 0) nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (room == NULL || nowhere < 0) abort();
    FUZZ_CHECK(check_walk(&batch) == batch.num_spans);
    exporter = hotel_memory_exporter_start(&memory, room, 2 * size);
    FUZZ_CHECK(exporter.export_fn(&batch, exporter.user_data) == HOTEL_OK);
    FUZZ_CHECK(exporter.export_fn(&batch, exporter.user_data) == HOTEL_OK);
    kept = hotel_memory_exporter_batch(&memory);
    FUZZ_CHECK(kept.request_size == 2 * size);
    FUZZ_CHECK(check_walk(&kept) == kept.num_spans);
    if (well_formed(data, size)) FUZZ_CHECK(kept.num_spans == 2 * batch.num_spans);
    console = hotel_console_exporter(nowhere);
    FUZZ_CHECK(console.export_fn(&batch, console.user_data) == HOTEL_OK);
    free(room);
    return 0;
}
