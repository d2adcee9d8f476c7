/* events.c - Hatchet events: a service pushes one, and a task that runs because of it pushes more.
   An event pushed inside a task names the task, so that Hatchet can tell where it came from. What a
   Hatchet client would send goes to standard output, a line of metadata for each event.

   cc -I. examples/events.c -o build/examples/events -pthread && build/examples/events */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>

enum { METADATA_BYTES = 512, NUM_ITEMS = 2 };

/* Stands for the call of a Hatchet client. */
static bool push(const char *key, const char *payload, const char *metadata) {
    (void)payload;
    return printf("%s %s\n", key, metadata) > 0;
}

/* The metadata is where the event's runs find this trace. */
static void push_order(char *metadata, size_t capacity) {
    hotel_hatchet_event event = {
        .event_key = "order:created",
        .payload = "{\"items\": 2}",
        .additional_metadata = "{\"customer\": \"acme\"}",
        .priority = &(int32_t){3},
        .scope = "eu",
    };
    hotel_span span = hotel_start_push_event(&event);
    size_t size = hotel_inject_event_metadata(&span, event.additional_metadata, metadata, capacity);
    bool ok = size < capacity && push(event.event_key, event.payload, metadata);
    ok ? hotel_succeed(&span) : hotel_fail(&span, "the event was not pushed");
}

/* Many in one call: a span for all of them, whose context each takes along. */
static void push_items(void) {
    const hotel_hatchet_event events[NUM_ITEMS] = {
        {.event_key = "item:reserved", .payload = "{\"item\": \"lamp\"}"},
        {.event_key = "item:reserved", .payload = "{\"item\": \"chair\"}"},
    };
    hotel_span span = hotel_start_bulk_push_event(events, NUM_ITEMS);
    bool ok = true;
    for (int i = 0; i < NUM_ITEMS; i++) {
        char metadata[METADATA_BYTES];
        (void)hotel_inject_event_metadata(&span, NULL, metadata, sizeof metadata);
        ok = push(events[i].event_key, events[i].payload, metadata) && ok;
    }
    ok ? hotel_succeed(&span) : hotel_fail(&span, "not all events were pushed");
}

/* What the worker does when the engine has assigned it the run that the event triggered. */
static void reserve_items(const char *metadata) {
    hotel_task task = hotel_start_step_run(&(hotel_step_run){
        .workflow_name = "Order",
        .step_name = "reserve",
        .step_run_id = "0b5f1d9e-36c9-4c5d-8b0a-6d1d2f6f2f11",
        .workflow_run_id = "0b5f1d9e-36c9-4c5d-8b0a-6d1d2f6f2f11",
        .triggering_event_external_id = "c1f6c1f4-93d5-4f0e-9d50-0b9c8f0f2a77",
        .triggering_event_key = "order:created",
        .additional_metadata = metadata,
    });
    push_items();
    hotel_task_succeed(&task);
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "events",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    char metadata[METADATA_BYTES];
    push_order(metadata, sizeof metadata);
    reserve_items(metadata);

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "events: spans not delivered: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
