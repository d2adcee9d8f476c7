/*
 * SPDX-License-Identifier: MIT
 *
 * journal.h - makes spans through the public interface and writes down, in a file of JSON lines,
 * what was asked for. tests/interop/model.py works out from such a journal what the exported spans
 * must be; nothing here knows how the library stores or sends them.
 *
 * A line is one session (a hotel_init) or one span with its calls in order:
 *
 *     {"session": {"service_name": ..., "limits": [...], ...}}
 *     {"span": {"trace_id": ..., "span_id": ..., "parent": ..., "name": ..., "calls": [...], ...}}
 *
 * Strings may hold any bytes: a byte outside printable ASCII is written as \u00XX, one character
 * per byte. A value is ["type", ...]; doubles are the hex digits of their bits, integers and times
 * are decimal strings. Functions on one journal_calls belong to one thread at a time.
 *
 * Include after the implementation of hatchet_otel.h.
 */
#ifndef JOURNAL_H_INCLUDED
#define JOURNAL_H_INCLUDED

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOURNAL_FN __attribute__((unused)) static

typedef struct journal_text {
    char *bytes;
    size_t size;
    size_t capacity;
} journal_text;

/* A span and the calls that one thread made on it. */
typedef struct journal_calls {
    hotel_span span;
    hotel_task task; /* of journal_start_step_run */
    journal_text text;
} journal_calls;

/* The parent of a span: a local one, or a remote one with the text that came over the wire. */
typedef struct journal_parent {
    hotel_context context;
    const char *traceparent; /* NULL: local */
    const char *tracestate;
} journal_parent;

typedef struct journal_start_options {
    const journal_parent *parent;     /* NULL: a root */
    bool implicit;                    /* the parent is current, so that nothing need be passed */
    const journal_calls *task;        /* the Hatchet task whose attributes the span inherits */
    const hotel_tracer_config *scope; /* NULL: the session's */
    hotel_kind kind;
    uint64_t start_time_ns;
    const hotel_attr *attributes;
    size_t num_attributes;
    const hotel_link *links;
    size_t num_links;
} journal_start_options;

static FILE *journal_file;
static pthread_mutex_t journal_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards journal_file */

__attribute__((noreturn)) JOURNAL_FN void journal_die(const char *what) {
    perror(what);
    exit(2);
}

/* ---- text ------------------------------------------------------------------------------------ */

JOURNAL_FN void journal_append(journal_text *text, const char *bytes, size_t size) {
    if (text->size + size > text->capacity) {
        size_t capacity = (text->size + size) * 2 + 256;
        char *grown = (char *)realloc(text->bytes, capacity);
        if (grown == NULL) journal_die("journal");
        text->bytes = grown;
        text->capacity = capacity;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

__attribute__((format(printf, 2, 3))) JOURNAL_FN void journal_print(journal_text *text,
                                                                    const char *format, ...) {
    char buffer[1024];
    va_list args;
    int size;
    va_start(args, format);
    size = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof buffer) journal_die("journal: line too long");
    journal_append(text, buffer, (size_t)size);
}

/* A comma, unless a list or an object was just opened or a name was just written. */
JOURNAL_FN void journal_comma(journal_text *text) {
    char last = text->size > 0 ? text->bytes[text->size - 1] : '[';
    if (last != '[' && last != '{' && last != ':') journal_append(text, ",", 1);
}

JOURNAL_FN void journal_bytes(journal_text *text, const char *bytes, size_t size) {
    size_t i;
    journal_comma(text);
    if (bytes == NULL) {
        journal_append(text, "null", 4);
        return;
    }
    journal_append(text, "\"", 1);
    for (i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\') {
            journal_print(text, "\\u%04x", byte);
        } else {
            journal_append(text, bytes + i, 1);
        }
    }
    journal_append(text, "\"", 1);
}

JOURNAL_FN void journal_string(journal_text *text, const char *string) {
    journal_bytes(text, string, string != NULL ? strlen(string) : 0);
}

JOURNAL_FN void journal_member(journal_text *text, const char *name) {
    journal_string(text, name);
    journal_append(text, ":", 1);
}

JOURNAL_FN void journal_open_list(journal_text *text) {
    journal_comma(text);
    journal_append(text, "[", 1);
}

JOURNAL_FN void journal_close_list(journal_text *text) {
    journal_append(text, "]", 1);
}

/* Decimal digits in quotes; 0 is written as null, since it means "not given" everywhere here. */
JOURNAL_FN void journal_time(journal_text *text, uint64_t time_ns) {
    journal_comma(text);
    if (time_ns == 0) {
        journal_append(text, "null", 4);
    } else {
        journal_print(text, "\"%" PRIu64 "\"", time_ns);
    }
}

JOURNAL_FN uint64_t journal_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- values ---------------------------------------------------------------------------------- */

JOURNAL_FN void journal_attributes(journal_text *text, const hotel_attr *attributes,
                                   size_t num_attributes);

JOURNAL_FN void journal_scalar(journal_text *text, const hotel_value *value) {
    uint64_t bits;
    switch (value->type) {
    case HOTEL_TYPE_STRING:
        journal_string(text, "string");
        journal_bytes(text, value->as.string, value->size);
        break;
    case HOTEL_TYPE_BOOL:
        journal_print(text, "\"bool\",%s", value->as.boolean ? "true" : "false");
        break;
    case HOTEL_TYPE_INT:
        journal_print(text, "\"int\",\"%" PRId64 "\"", value->as.integer);
        break;
    case HOTEL_TYPE_DOUBLE:
        memcpy(&bits, &value->as.real, sizeof bits);
        journal_print(text, "\"double\",\"%016" PRIx64 "\"", bits);
        break;
    case HOTEL_TYPE_BYTES:
        journal_string(text, "bytes");
        journal_bytes(text, (const char *)value->as.bytes, value->size);
        break;
    default:
        journal_string(text, "empty");
        break;
    }
}

/* Item number index of an array, whatever its kind, as a value of its own. */
JOURNAL_FN hotel_value journal_item(const hotel_value *array, size_t index) {
    switch (array->type) {
    case HOTEL_TYPE_STRINGS:
        return hotel_of_str(array->as.strings[index]);
    case HOTEL_TYPE_BOOLS:
        return hotel_of_bool(array->as.bools[index]);
    case HOTEL_TYPE_INTS:
        return hotel_of_int(array->as.ints[index]);
    case HOTEL_TYPE_DOUBLES:
        return hotel_of_double(array->as.doubles[index]);
    default:
        return array->as.values[index];
    }
}

JOURNAL_FN void journal_value(journal_text *text, const hotel_value *value) {
    size_t i;
    journal_open_list(text);
    if (value->type == HOTEL_TYPE_MAP) {
        journal_string(text, "map");
        journal_attributes(text, value->as.entries, value->size);
    } else if (value->type >= HOTEL_TYPE_STRINGS) {
        journal_string(text, "array");
        journal_open_list(text);
        for (i = 0; i < value->size; i++) {
            hotel_value item = journal_item(value, i);
            journal_value(text, &item);
        }
        journal_close_list(text);
    } else {
        journal_scalar(text, value);
    }
    journal_close_list(text);
}

JOURNAL_FN void journal_attributes(journal_text *text, const hotel_attr *attributes,
                                   size_t num_attributes) {
    size_t i;
    journal_open_list(text);
    for (i = 0; i < num_attributes; i++) {
        journal_open_list(text);
        journal_bytes(text, attributes[i].key, attributes[i].key_size);
        journal_value(text, &attributes[i].value);
        journal_close_list(text);
    }
    journal_close_list(text);
}

/* ---- sessions -------------------------------------------------------------------------------- */

JOURNAL_FN void journal_write(journal_text *text) {
    journal_append(text, "\n", 1);
    (void)pthread_mutex_lock(&journal_mutex);
    if (fwrite(text->bytes, 1, text->size, journal_file) != text->size) journal_die("journal");
    (void)pthread_mutex_unlock(&journal_mutex);
    free(text->bytes);
    memset(text, 0, sizeof *text);
}

JOURNAL_FN void journal_open(const char *path) {
    journal_file = fopen(path, "w");
    if (journal_file == NULL) journal_die(path);
}

JOURNAL_FN void journal_close(void) {
    if (fclose(journal_file) != 0) journal_die("journal");
}

JOURNAL_FN void journal_scope(journal_text *text, const hotel_tracer_config *scope) {
    journal_open_list(text);
    journal_string(text, scope->name);
    journal_string(text, scope->version);
    journal_string(text, scope->schema_url);
    journal_attributes(text, scope->attributes, scope->num_attributes);
    journal_close_list(text);
}

/* hotel_init, written down. The limits are in the order of the struct. */
JOURNAL_FN hotel_result journal_init(const hotel_config *config) {
    const hotel_limits *limits = &config->limits;
    journal_text text = {NULL, 0, 0};
    journal_print(&text, "{\"session\":{");
    journal_member(&text, "service_name");
    journal_string(&text, config->service_name);
    journal_member(&text, "resource");
    journal_attributes(&text, config->resource, config->num_resource);
    journal_member(&text, "schema_url");
    journal_string(&text, config->resource_schema_url);
    journal_member(&text, "scope");
    journal_scope(&text, &config->tracer);
    journal_print(&text, ",\"limits\":[%u,%u,%u,%u,%u,%u,%u]", limits->attribute_count,
                  limits->attribute_value_length, limits->attribute_value_depth,
                  limits->event_count, limits->link_count, limits->event_attribute_count,
                  limits->link_attribute_count);
    journal_print(&text, "}}");
    journal_write(&text);
    return hotel_init(config);
}

/* ---- spans ----------------------------------------------------------------------------------- */

JOURNAL_FN void journal_parent_member(journal_text *text, const journal_parent *parent) {
    char id[17];
    journal_member(text, "parent");
    if (parent == NULL) {
        journal_append(text, "null", 4);
    } else if (parent->traceparent != NULL) {
        journal_open_list(text);
        journal_string(text, parent->traceparent);
        journal_string(text, parent->tracestate);
        journal_close_list(text);
    } else {
        hotel_span_id_hex(&parent->context.span.context, id);
        journal_string(text, id);
    }
}

/* What the span says of itself, and what is written of every kind of span. */
JOURNAL_FN void journal_head(journal_calls *calls, uint64_t began_ns,
                             const journal_parent *parent) {
    journal_text *text = &calls->text;
    char trace_id[33];
    char span_id[17];
    char state[513];
    hotel_trace_id_hex(&calls->span.context, trace_id);
    hotel_span_id_hex(&calls->span.context, span_id);
    (void)hotel_tracestate(&calls->span, state, sizeof state);
    journal_print(text, "{\"span\":{\"trace_id\":\"%s\",\"span_id\":\"%s\",\"flags\":%u", trace_id,
                  span_id, calls->span.context.trace_flags);
    journal_print(text, ",\"recording\":%s", hotel_is_recording(&calls->span) ? "true" : "false");
    journal_member(text, "trace_state");
    journal_string(text, state);
    journal_member(text, "began");
    journal_time(text, began_ns);
    journal_parent_member(text, parent);
}

JOURNAL_FN void journal_link(journal_text *text, const hotel_link *link) {
    hotel_span linked = hotel_wrap(&link->context);
    char trace_id[33];
    char span_id[17];
    char state[513];
    hotel_trace_id_hex(&link->context, trace_id);
    hotel_span_id_hex(&link->context, span_id);
    (void)hotel_tracestate(&linked, state, sizeof state);
    journal_open_list(text);
    journal_string(text, "link");
    journal_string(text, trace_id);
    journal_string(text, span_id);
    journal_print(text, ",%u,%s", link->context.trace_flags,
                  link->context.is_remote ? "true" : "false");
    journal_string(text, state);
    journal_attributes(text, link->attributes, link->num_attributes);
    journal_close_list(text);
}

JOURNAL_FN void journal_set_call(journal_text *text, const hotel_attr *attributes, size_t count) {
    journal_open_list(text);
    journal_string(text, "set");
    journal_attributes(text, attributes, count);
    journal_close_list(text);
}

JOURNAL_FN journal_calls journal_start(const char *name, size_t name_size,
                                       const journal_start_options *options) {
    journal_calls calls;
    hotel_start_options start;
    uint64_t began_ns = journal_now();
    size_t i;
    memset(&calls, 0, sizeof calls);
    memset(&start, 0, sizeof start);
    if (options->scope != NULL) start.tracer = hotel_get_tracer(options->scope);
    if (options->parent != NULL && !options->implicit) start.parent = &options->parent->context;
    start.kind = options->kind;
    start.root = options->parent == NULL;
    start.start_time_ns = options->start_time_ns;
    start.attributes = options->attributes;
    start.num_attributes = options->num_attributes;
    start.links = options->links;
    start.num_links = options->num_links;
    start.name_size = name_size;
    calls.span = hotel_start_with(name, &start);

    journal_head(&calls, began_ns, options->parent);
    journal_member(&calls.text, "name");
    journal_bytes(&calls.text, name, name_size);
    journal_print(&calls.text, ",\"kind\":%d", (int)options->kind);
    journal_member(&calls.text, "start");
    journal_time(&calls.text, options->start_time_ns);
    if (options->scope != NULL) {
        journal_member(&calls.text, "scope");
        journal_scope(&calls.text, options->scope);
    }
    if (options->task != NULL) {
        char id[17];
        hotel_span_id_hex(&options->task->span.context, id);
        journal_member(&calls.text, "task");
        journal_string(&calls.text, id);
    }
    journal_member(&calls.text, "calls");
    journal_open_list(&calls.text);
    journal_set_call(&calls.text, options->attributes, options->num_attributes);
    for (i = 0; i < options->num_links; i++) journal_link(&calls.text, &options->links[i]);
    return calls;
}

/* The calls of another thread on the same span; hand the result to journal_end with the owner. */
JOURNAL_FN journal_calls journal_share(const journal_calls *owner) {
    journal_calls calls;
    memset(&calls, 0, sizeof calls);
    calls.span = owner->span;
    journal_open_list(&calls.text);
    return calls;
}

JOURNAL_FN void journal_set(journal_calls *calls, const hotel_attr *attributes, size_t count) {
    journal_set_call(&calls->text, attributes, count);
    hotel_set_attrs(&calls->span, attributes, count);
}

/* Several attributes, each a hotel_attr: JOURNAL_SET(&calls, hotel_int("a", 1)); */
#define JOURNAL_SET(calls, ...) \
    journal_set((calls), (const hotel_attr[]){__VA_ARGS__}, \
                sizeof((const hotel_attr[]){__VA_ARGS__}) / sizeof(hotel_attr))

JOURNAL_FN void journal_event(journal_calls *calls, const hotel_event *event) {
    journal_text *text = &calls->text;
    size_t size = event->name_size > 0 ? event->name_size : hotel_text_size(event->name);
    journal_open_list(text);
    journal_string(text, "event");
    journal_bytes(text, event->name, size);
    journal_time(text, event->time_ns);
    journal_attributes(text, event->attributes, event->num_attributes);
    journal_close_list(text);
    hotel_add_event_as(&calls->span, event);
}

JOURNAL_FN void journal_add_link(journal_calls *calls, const hotel_link *link) {
    journal_link(&calls->text, link);
    hotel_add_link(&calls->span, link);
}

JOURNAL_FN void journal_exception(journal_calls *calls, const char *type, const char *message,
                                  const char *stacktrace, const hotel_attr *attributes,
                                  size_t num_attributes) {
    journal_text *text = &calls->text;
    journal_open_list(text);
    journal_string(text, "exception");
    journal_string(text, type);
    journal_string(text, message);
    journal_string(text, stacktrace);
    journal_attributes(text, attributes, num_attributes);
    journal_close_list(text);
    hotel_record_exception(&calls->span, type, message, stacktrace, attributes, num_attributes);
}

JOURNAL_FN void journal_status(journal_calls *calls, hotel_status status, const char *description,
                               size_t size) {
    journal_text *text = &calls->text;
    journal_open_list(text);
    journal_string(text, "status");
    journal_print(text, ",%d", (int)status);
    journal_bytes(text, description, size);
    journal_close_list(text);
    hotel_set_status_n(&calls->span, status, description, size);
}

JOURNAL_FN void journal_rename(journal_calls *calls, const char *name, size_t size) {
    journal_text *text = &calls->text;
    journal_open_list(text);
    journal_string(text, "rename");
    journal_bytes(text, name, size);
    journal_close_list(text);
    hotel_set_name_n(&calls->span, name, size);
}

/* Writes the line. Whatever ended the span has been called. */
JOURNAL_FN void journal_finish(journal_calls *calls, uint64_t end_time_ns, journal_calls *others,
                               size_t num_others) {
    journal_text *text = &calls->text;
    size_t i;
    journal_close_list(text);
    journal_member(text, "threads");
    journal_open_list(text);
    for (i = 0; i < num_others; i++) {
        journal_close_list(&others[i].text);
        journal_comma(text);
        journal_append(text, others[i].text.bytes, others[i].text.size);
        free(others[i].text.bytes);
    }
    journal_close_list(text);
    journal_member(text, "end");
    journal_time(text, end_time_ns);
    journal_member(text, "ended");
    journal_time(text, journal_now());
    journal_print(text, "}}");
    journal_write(text);
}

/* Ends the span: now when end_time_ns is 0. others: the calls of other threads, which are done. */
JOURNAL_FN void journal_end_shared(journal_calls *calls, uint64_t end_time_ns,
                                   journal_calls *others, size_t num_others) {
    if (end_time_ns == 0) {
        hotel_end(&calls->span);
    } else {
        hotel_end_at(&calls->span, end_time_ns);
    }
    journal_finish(calls, end_time_ns, others, num_others);
}

JOURNAL_FN void journal_end(journal_calls *calls, uint64_t end_time_ns) {
    journal_end_shared(calls, end_time_ns, NULL, 0);
}

/* A parent for journal_start. Local: the span. Remote: what hotel_extract makes of the text; give
   its context to hotel_context_release. */
JOURNAL_FN journal_parent journal_local(const journal_calls *calls) {
    journal_parent parent;
    memset(&parent, 0, sizeof parent);
    parent.context.span = calls->span;
    return parent;
}

JOURNAL_FN journal_parent journal_remote(const char *traceparent, const char *tracestate) {
    journal_parent parent;
    parent.context = hotel_extract(traceparent, tracestate);
    parent.traceparent = traceparent;
    parent.tracestate = tracestate;
    return parent;
}

/* ---- Hatchet --------------------------------------------------------------------------------- */

/* Writes a string member of a Hatchet struct if it was given. */
JOURNAL_FN void journal_given(journal_text *text, const char *name, const char *string,
                              size_t size) {
    if (string == NULL) return;
    journal_member(text, name);
    journal_bytes(text, string, size > 0 ? size : strlen(string));
}
#define JOURNAL_GIVEN(text, from, name) \
    journal_given((text), #name, (from)->name, (from)->name##_size)

JOURNAL_FN void journal_number(journal_text *text, const char *name, const int32_t *number) {
    if (number == NULL) return;
    journal_member(text, name);
    journal_print(text, "%" PRId32, *number);
}

/* hotel_start_step_run, written down. End it with journal_end_task. parent: the one its metadata
   names. */
JOURNAL_FN journal_calls journal_start_step_run(const hotel_step_run *run,
                                                const journal_parent *parent) {
    journal_calls calls;
    journal_text *text = &calls.text;
    uint64_t began_ns = journal_now();
    memset(&calls, 0, sizeof calls);
    calls.task = hotel_start_step_run(run);
    calls.span = calls.task.span;
    journal_head(&calls, began_ns, parent);
    journal_print(text, ",\"step_run\":{");
    JOURNAL_GIVEN(text, run, workflow_name);
    JOURNAL_GIVEN(text, run, step_name);
    JOURNAL_GIVEN(text, run, action_name);
    JOURNAL_GIVEN(text, run, step_run_id);
    JOURNAL_GIVEN(text, run, workflow_run_id);
    JOURNAL_GIVEN(text, run, step_id);
    JOURNAL_GIVEN(text, run, workflow_id);
    JOURNAL_GIVEN(text, run, workflow_version_id);
    JOURNAL_GIVEN(text, run, worker_id);
    JOURNAL_GIVEN(text, run, tenant_id);
    journal_number(text, "retry_count", &run->retry_count);
    journal_number(text, "child_workflow_index", run->child_workflow_index);
    JOURNAL_GIVEN(text, run, child_workflow_key);
    JOURNAL_GIVEN(text, run, parent_workflow_run_id);
    JOURNAL_GIVEN(text, run, triggering_event_external_id);
    JOURNAL_GIVEN(text, run, triggering_event_key);
    JOURNAL_GIVEN(text, run, payload);
    journal_print(text, "},\"calls\":[");
    return calls;
}

/* Ends a task: hotel_task_succeed if both texts are NULL, else hotel_task_fail_as. */
JOURNAL_FN void journal_end_task(journal_calls *calls, const char *type, const char *message) {
    journal_open_list(&calls->text);
    if (type == NULL && message == NULL) {
        journal_string(&calls->text, "succeed");
        hotel_task_succeed(&calls->task);
    } else {
        journal_string(&calls->text, "fail");
        journal_string(&calls->text, type);
        journal_string(&calls->text, message);
        hotel_task_fail_as(&calls->task, type, message, NULL);
    }
    journal_close_list(&calls->text);
    journal_finish(calls, 0, NULL, 0);
}

/* hotel_start_run_workflow, written down. parent is the thread's current span, task the one that
   it runs in, each NULL if there is none. */
JOURNAL_FN journal_calls journal_start_run_workflow(const hotel_trigger *trigger,
                                                    const journal_parent *parent,
                                                    const journal_calls *task) {
    journal_calls calls;
    journal_text *text = &calls.text;
    uint64_t began_ns = journal_now();
    memset(&calls, 0, sizeof calls);
    calls.span = hotel_start_run_workflow(trigger);
    journal_head(&calls, began_ns, parent);
    if (task != NULL) {
        char id[17];
        hotel_span_id_hex(&task->span.context, id);
        journal_member(text, "task");
        journal_string(text, id);
    }
    journal_print(text, ",\"trigger\":{");
    JOURNAL_GIVEN(text, trigger, workflow_name);
    JOURNAL_GIVEN(text, trigger, payload);
    JOURNAL_GIVEN(text, trigger, parent_id);
    JOURNAL_GIVEN(text, trigger, parent_step_run_id);
    journal_number(text, "child_index", trigger->child_index);
    JOURNAL_GIVEN(text, trigger, child_key);
    journal_given(text, "namespace", trigger->namespace_name, trigger->namespace_name_size);
    JOURNAL_GIVEN(text, trigger, additional_metadata);
    journal_number(text, "priority", trigger->priority);
    JOURNAL_GIVEN(text, trigger, desired_worker_id);
    if (trigger->sticky != NULL) {
        journal_member(text, "sticky");
        journal_print(text, "%s", *trigger->sticky ? "true" : "false");
    }
    JOURNAL_GIVEN(text, trigger, key);
    journal_print(text, "},\"calls\":[");
    return calls;
}

#endif /* JOURNAL_H_INCLUDED */
