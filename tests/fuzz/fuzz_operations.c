/*
 * SPDX-License-Identifier: MIT
 *
 * The operations of a Hatchet client. The input is lines, the first a choice of what is NULL; they
 * become, each in memory of just its size, the members of every struct in turn. Whatever they are:
 * the spans that started are those that ended, what is written is UTF-8 JSON of the size that was
 * announced, and an ID of the engine is made of a UUID or of nothing.
 */
#include "fuzz.h"

enum { NUM_TEXTS = 15 };

typedef struct texts {
    char *at[NUM_TEXTS];
    size_t size[NUM_TEXTS];
    unsigned which; /* a bit for each that is given */
} texts;

static void ignore_log(hotel_log_level level, hotel_log_id id, const char *message,
                       void *user_data) {
    (void)level;
    (void)user_data;
    FUZZ_CHECK(id > 0 && hoteli_utf8_valid(message, strlen(message)));
}

/* Every input starts a library of its own: what is remembered of one must not hide in another. */
static void start(void) {
    static const hotel_config zeroed;
    hotel_config config = zeroed;
    config.ignore_environment = true;
    config.no_destinations = true;
    config.no_threads = true;
    config.arena_bytes = 65536;
    config.log_fn = ignore_log;
    config.hatchet.task_name_in_span_name = true;
    config.hatchet.individual_run_spans = true;
    FUZZ_CHECK(hotel_init(&config) == HOTEL_OK);
}

/* Members that are a text and its size, one behind the other from `first` on. */
static void set(void *first, const texts *t, size_t from, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        size_t k = (from + i) % NUM_TEXTS;
        const char *text = (t->which >> k & 1) != 0 && t->size[k] > 0 ? t->at[k] : NULL;
        char *member = (char *)first + i * (sizeof text + sizeof(size_t));
        memcpy(member, &text, sizeof text);
        memcpy(member + sizeof text, &t->size[k], sizeof t->size[k]);
    }
}

static void check_fields(hotel_log_format format) {
    char *out;
    size_t size = hotel_log_fields(NULL, format, NULL, 0);
    out = (char *)fuzz_alloc(size + 1);
    FUZZ_CHECK(hotel_log_fields(NULL, format, out, size + 1) == size);
    FUZZ_CHECK(strlen(out) == size && strchr(out, '\n') == NULL);
    if (format == HOTEL_LOG_FORMAT_JSON && size > 0) {
        char value[64];
        size_t value_size;
        FUZZ_CHECK(hoteli_utf8_valid(out, size));
        out[0] = '{'; /* for the comma; the brace that ends it replaces the NUL */
        out[size] = '}';
        FUZZ_CHECK(hoteli_json_find(out, size + 1, "trace_id", value, sizeof value,
                                    &value_size) == 1);
    }
    free(out);
}

static void check_metadata(const hotel_span *span, const char *json, size_t json_size) {
    size_t size = hotel_inject_event_metadata_n(span, json, json_size, NULL, 0), value_size;
    char *out = (char *)fuzz_alloc(size + 1), value[256];
    FUZZ_CHECK(hotel_inject_event_metadata_n(span, json, json_size, out, size + 1) == size);
    FUZZ_CHECK(out[size] == 0);
    if (size > 0) {
        FUZZ_CHECK(hoteli_json_find(out, size, "traceparent", value, sizeof value,
                                    &value_size) == 1);
        FUZZ_CHECK(value_size == HOTEL_TRACEPARENT_SIZE - 1);
    }
    free(out);
}

static void use_engine(const texts *t) {
    hotel_span_context run;
    uint8_t id[8];
    size_t i;
    for (i = 0; i + 1 < NUM_TEXTS; i++) {
        bool good = t->size[i] > 0 && hoteli_is_uuid(t->at[i], t->size[i]);
        if (t->size[i] == 0) continue;
        FUZZ_CHECK(hotel_engine_run(t->at[i], t->size[i], &run) == good);
        FUZZ_CHECK(hotel_is_valid(&run) == good);
        FUZZ_CHECK(hotel_engine_queued(t->at[i], t->size[i], 1, id) == good);
    }
}

static void use_all(const texts *t, const int32_t *number) {
    hotel_step_run step_run;
    hotel_trigger runs[2];
    hotel_schedule schedule;
    hotel_hatchet_event events[2];
    hotel_wait wait;
    hotel_failure failure;
    hotel_task task;
    hotel_span span, one;
    int64_t when[2];
    when[0] = (int64_t)((uint64_t)(uint32_t)*number << 32 | (uint32_t)*number);
    when[1] = INT64_MIN;
    memset((void *)&step_run, 0, sizeof step_run);
    memset((void *)runs, 0, sizeof runs);
    memset((void *)&schedule, 0, sizeof schedule);
    memset((void *)events, 0, sizeof events);
    memset((void *)&wait, 0, sizeof wait);
    memset((void *)&failure, 0, sizeof failure);
    set(&step_run.workflow_name, t, 0, 10);
    set(&step_run.child_workflow_key, t, 10, 6);
    step_run.retry_count = *number;
    step_run.child_workflow_index = number;
    task = (*number & 1) != 0 ? hotel_join_step_run(&step_run) : hotel_start_step_run(&step_run);
    set(&runs[0].workflow_name, t, 1, 4);
    set(&runs[1].workflow_name, t, 2, 4);
    runs[0].child_index = runs[0].priority = number;
    runs[1].task = &task;
    span = hotel_start_run_workflows(runs, 2);
    one = hotel_start_run_of(&span, &runs[1]);
    hotel_succeed(&one);
    hotel_succeed(&span);
    set(&schedule.workflow_name, t, 3, 1);
    schedule.run_at_unix_ns = when;
    schedule.num_run_at = 2;
    span = hotel_start_schedule_workflow(&schedule);
    hotel_end(&span);
    set(&events[0].event_key, t, 4, 3);
    set(&events[1].event_key, t, 5, 3);
    span = hotel_start_push_event(events);
    if (hotel_is_valid(&span.context) && t->size[5] > 0)
        check_metadata(&span, t->at[5], t->size[5]);
    set(&failure.type, t, 6, 3);
    hotel_fail_with(&span, &failure);
    span = hotel_start_bulk_push_event(events, 2);
    hotel_end(&span);
    set(&wait.signal_key, t, 7, 1);
    span = hotel_start_wait_for(&wait);
    hotel_end(&span);
    check_fields(HOTEL_LOG_FORMAT_TEXT);
    check_fields(HOTEL_LOG_FORMAT_JSON);
    hotel_task_fail_with(&task, &failure);
    span = hotel_start_cancel_step_run(&step_run);
    hotel_end(&span);
    span = hotel_current_span();
    FUZZ_CHECK(!hotel_is_valid(&span.context));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *cursor = (const char *)data, *end = cursor + size;
    texts t;
    int32_t number = size > 0 ? (int8_t)data[0] : 0;
    hotel_stats stats;
    size_t i;
    t.which = size > 1 ? (unsigned)data[0] << 8 | data[1] : 0;
    if (size > 1) cursor += 2;
    t.which = ~t.which;
    for (i = 0; i < NUM_TEXTS; i++) {
        const char *line = fuzz_line(&cursor, end, &t.size[i]);
        t.at[i] = (char *)fuzz_alloc(t.size[i]);
        if (t.size[i] > 0) memcpy(t.at[i], line, t.size[i]);
    }
    start();
    use_engine(&t);
    use_all(&t, &number);
    (void)hotel_shutdown(0);
    hotel_get_stats(&stats);
    FUZZ_CHECK(stats.live == 0);
    FUZZ_CHECK(stats.started ==
               stats.unsampled + stats.not_admitted + stats.record_only + stats.ended);
    FUZZ_CHECK(hotel_release() == HOTEL_OK);
    for (i = 0; i < NUM_TEXTS; i++) free(t.at[i]);
    return 0;
}
