/*
 * SPDX-License-Identifier: MIT
 *
 * Finished spans out of any bytes: all that a walk gives lies in the input, walks end, what is
 * there twice is found twice; the console prints it, the memory exporter gives it back. Mended for
 * Hatchet it has as many spans, and nothing is left to mend.
 */
#include "fuzz.h"

#include <fcntl.h>

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

static void check_mended(const uint8_t *data, size_t size, size_t num_spans) {
    uint8_t *request = (uint8_t *)fuzz_alloc(size + 1);
    hotel_batch batch;
    if (size > 0) memcpy(request, data, size);
    (void)hoteli_mend_for_hatchet(request, size);
    FUZZ_CHECK(hoteli_mend_for_hatchet(request, size) == 0);
    batch = hotel_batch_of(request, size);
    FUZZ_CHECK(batch.num_spans == num_spans);
    free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int nowhere = -1;
    hotel_batch batch = hotel_batch_of(data, size), kept;
    hotel_memory_exporter memory;
    hotel_exporter exporter, console;
    uint8_t *room = (uint8_t *)fuzz_alloc(2 * size + 1);
    if (nowhere < 0) nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FUZZ_CHECK(nowhere >= 0);
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
    check_mended(data, size, batch.num_spans);
    return 0;
}
