/*
 * SPDX-License-Identifier: MIT
 *
 * extension.c - C that a task of a Hatchet worker in another language calls, as a shared library:
 * its spans go under the span of that language, with all that the task's spans carry.
 */
#define HATCHET_OTEL_STATIC
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "interop/fields.h"

enum { MAX_FIELDS = 32, MAX_TEXT = 65536 };

int interop_native(const char *known, const char *message);

/* known: the task's members, divided by the character 0x1F. Returns 0 when its spans are sent. */
int interop_native(const char *known, const char *message) {
    static bool started;
    static char text[MAX_TEXT];
    char *fields[MAX_FIELDS + 1], *next;
    size_t count = 0;
    int32_t child_index;
    hotel_config config = {.log_fn = hotel_log_to_stderr, .log_level = HOTEL_LOG_WARN};
    hotel_step_run run;
    hotel_task task;
    if (!started && hotel_init(&config) != HOTEL_OK) return 1;
    started = true;
    if (strlen(known) >= sizeof text) return 2;
    memcpy(text, known, strlen(known) + 1);
    for (next = strtok(text, "\x1f"); next != NULL; next = strtok(NULL, "\x1f")) {
        if (count == MAX_FIELDS) return 3;
        fields[count++] = next;
    }
    fields[count] = NULL;
    run = step_run_of(fields, &child_index);
    task = hotel_join_step_run(&run);
    {
        HOTEL_SCOPE(outer, hotel_start("native.outer"));
        hotel_set_str(&outer, "input.message", message);
        HOTEL_SCOPE(inner, hotel_start("native.inner"));
        hotel_set_bool(&inner, "native", true);
    }
    hotel_task_succeed(&task);
    return hotel_flush(10000) == HOTEL_OK ? 0 : 4;
}
