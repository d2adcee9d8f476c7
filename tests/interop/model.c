/*
 * SPDX-License-Identifier: MIT
 *
 * model.c - a known set of spans that covers every field of OTLP, made through the public
 * interface, delivered to an endpoint and written down in a journal (journal.h).
 *
 *     model ENDPOINT JOURNAL
 *     model hatchet JOURNAL      to where HATCHET_CLIENT_* say; its engine takes no span that
 *                                starts long before today or after tomorrow
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "journal.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const hotel_tracer_config database_scope = {.name = "example.database"};

static journal_calls start(const char *name, const journal_parent *parent) {
    return journal_start(name, strlen(name), &(journal_start_options){.parent = parent});
}

/* ---- parents, ids, flags, kinds -------------------------------------------------------------- */

static void kinds(const journal_parent *parent) {
    static const char *const names[] = {"default", "internal", "server",
                                        "client",  "producer", "consumer"};
    int kind;
    for (kind = HOTEL_KIND_DEFAULT; kind <= HOTEL_CONSUMER; kind++) {
        journal_calls span =
            journal_start(names[kind], strlen(names[kind]),
                          &(journal_start_options){.parent = parent, .kind = (hotel_kind)kind});
        journal_end(&span, 0);
    }
}

/* A parent that is current, and one that ended before its child began. */
static void local_parents(void) {
    journal_calls root = start("root", NULL);
    journal_parent under_root = journal_local(&root);
    hotel_context context = hotel_context_with(&root.span);
    hotel_token token = hotel_attach(&context);
    journal_calls child = journal_start(
        "child of the current span", 25,
        &(journal_start_options){.parent = &under_root, .implicit = true, .kind = HOTEL_CLIENT});
    journal_parent under_child = journal_local(&child);
    journal_calls sibling = start("explicit parent", &under_root);
    journal_calls other_root = start("root although a span is current", NULL);
    journal_calls late;
    (void)hotel_detach(token);
    journal_end(&other_root, 0);
    journal_end(&sibling, 0);
    journal_end(&child, 0);
    late = start("child of an ended span", &under_child);
    journal_end(&late, 0);
    kinds(&under_root);
    journal_end(&root, 0);
}

static void remote_parents(void) {
    static const char *const parents[][2] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL},
        {"00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-03", "congo=t61rcWkgMzE"},
        {"00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01",
         "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,tenant@vendor=a b!~"},
        {"00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00", "kept=yes"},
        {"00-cccccccccccccccccccccccccccccccc-dddddddddddddddd-02", NULL},
    };
    size_t i;
    for (i = 0; i < COUNT(parents); i++) {
        journal_parent parent = journal_remote(parents[i][0], parents[i][1]);
        journal_calls server = journal_start(
            "server", 6, &(journal_start_options){.parent = &parent, .kind = HOTEL_SERVER});
        journal_parent local = journal_local(&server);
        journal_calls inner = start("inside the server", &local);
        journal_end(&inner, 0);
        journal_end(&server, 0);
        hotel_context_release(&parent.context);
    }
}

enum { FOREIGN_TIMES = 4 }; /* spans of times() */

static void times(void) {
    static const uint64_t given[FOREIGN_TIMES][3] = {
        {1, 2, 3},
        {1544712660300000123u, 1544712660300000124u, 1544712660300000125u},
        {1544712661000000000u, 7, 1544712660000000000u}, /* ends before it starts */
        {UINT64_MAX, UINT64_MAX, UINT64_MAX},
    };
    size_t i;
    for (i = 0; i < COUNT(given); i++) {
        journal_calls span = journal_start("given times", 11,
                                           &(journal_start_options){.start_time_ns = given[i][0]});
        journal_event(&span, &(hotel_event){.name = "given time", .time_ns = given[i][1]});
        journal_event(&span, &(hotel_event){.name = "now"});
        journal_end(&span, given[i][2]);
    }
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void scalars(void) {
    static const unsigned char bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0};
    journal_calls span = start("scalars", NULL);
    JOURNAL_SET(&span, hotel_str("string", "value"), hotel_str("string.empty", ""),
                hotel_str("string.null", NULL),
                hotel_str("string.unicode", "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8f\xa8"),
                hotel_strn("string.nul", "a\0b", 3),
                hotel_str("string.control", "\t\r\n\x01\x7f\"\\"));
    JOURNAL_SET(&span, hotel_bool("bool.true", true), hotel_bool("bool.false", false));
    JOURNAL_SET(&span, hotel_int("int.0", 0), hotel_int("int.-1", -1), hotel_int("int.127", 127),
                hotel_int("int.128", 128), hotel_int("int.2^53+1", 9007199254740993),
                hotel_int("int.min", INT64_MIN), hotel_int("int.max", INT64_MAX));
    JOURNAL_SET(&span, hotel_double("double.0", 0.0), hotel_double("double.-0", -0.0),
                hotel_double("double.third", 1.0 / 3.0), hotel_double("double.smallest", 4.9e-324),
                hotel_double("double.largest", 1.7976931348623157e308),
                hotel_double("double.whole", 1e21), hotel_double("double.infinity", INFINITY),
                hotel_double("double.-infinity", -INFINITY),
                hotel_double("double.nan", (double)NAN));
    JOURNAL_SET(&span, hotel_bytes("bytes", bytes, sizeof bytes),
                hotel_bytes("bytes.empty", bytes, 0), hotel_empty("empty"));
    JOURNAL_SET(&span, hotel_str("\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", "a Cyrillic key"),
                hotel_str("\xf0\x9f\x94\x91", "a key outside the basic plane"),
                hotel_str(" ", "a blank"), hotel_str("", "no key: ignored"),
                hotel_attrn("nul\0key", 7, hotel_of_int(1)));
    JOURNAL_SET(&span, hotel_str("last wins", "first and longer"), hotel_int("last wins", 2));
    JOURNAL_SET(&span, hotel_str("last wins", "third"));
    journal_end(&span, 0);
}

static void arrays_and_maps(void) {
    static const char *const strings[] = {"a", "", "\xc3\xa4", NULL};
    static const bool bools[] = {true, false, true};
    static const int64_t ints[] = {0, -1, INT64_MIN, INT64_MAX};
    static const double doubles[] = {0.0, -0.0, 1.5, -1e300};
    hotel_attr inner[] = {hotel_str("deepest", "yes"), hotel_empty("nothing")};
    hotel_value mixed[6];
    hotel_attr map[] = {hotel_str("key", "first"),       hotel_map("map", inner, COUNT(inner)),
                        hotel_ints("ints", ints, 2),     hotel_map("map.empty", inner, 0),
                        hotel_str("key", "last in map"), hotel_bytes("bytes", "\xff", 1)};
    journal_calls span = start("arrays and maps", NULL);
    mixed[0] = hotel_of_str("text");
    mixed[1] = hotel_of_int(-5);
    mixed[2] = hotel_of_empty();
    mixed[3] = hotel_of_strs(strings, 2);
    mixed[4] = hotel_of_map(map, COUNT(map));
    mixed[5] = hotel_of_array(mixed, 0);
    JOURNAL_SET(&span, hotel_strs("strings", strings, COUNT(strings)),
                hotel_bools("bools", bools, COUNT(bools)), hotel_ints("ints", ints, COUNT(ints)),
                hotel_doubles("doubles", doubles, COUNT(doubles)));
    JOURNAL_SET(&span, hotel_strs("strings.empty", strings, 0),
                hotel_bools("bools.empty", bools, 0), hotel_ints("ints.empty", ints, 0),
                hotel_doubles("doubles.empty", doubles, 0), hotel_array("array.empty", mixed, 0),
                hotel_map("map.empty", map, 0));
    JOURNAL_SET(&span, hotel_array("mixed", mixed, COUNT(mixed)),
                hotel_map("map", map, COUNT(map)));
    journal_end(&span, 0);
}

/* Text that is not UTF-8: values keep their bytes, everything else is repaired. Two keys that are
   one after the repair are one key. */
static void invalid_text(void) {
    static const char *const strings[] = {"good", "b\xff"
                                                  "d"};
    journal_calls span = journal_start("name \xc3(", 7, &(journal_start_options){.parent = NULL});
    JOURNAL_SET(&span, hotel_str("value", "\xff"), hotel_str("key \xe2\x82", "cut"),
                hotel_str("surrogate", "\xed\xa0\x80"), hotel_str("overlong", "\xc0\xaf"),
                hotel_strs("strings", strings, COUNT(strings)), hotel_str("good", "\xc3\xa9"));
    JOURNAL_SET(&span, hotel_int("clash \xff", 1), hotel_int("clash \xfe", 2));
    journal_event(&span, &(hotel_event){.name = "event \xf0\x9f\x8f"});
    journal_status(&span, HOTEL_STATUS_ERROR, "status \x80", 8);
    journal_end(&span, 0);
}

/* Text with NUL, where text can be. */
static void nul(void) {
    hotel_value string = hotel_of_strn("in\0side", 7);
    journal_calls span = journal_start("na\0me", 5, &(journal_start_options){.parent = NULL});
    JOURNAL_SET(&span, hotel_attrn("nul\0key", 7, hotel_of_int(1)), hotel_strn("nul", "\0", 1),
                hotel_array("array", &string, 1), hotel_str("good", "text"));
    journal_event(&span, &(hotel_event){.name = "event"});
    journal_status(&span, HOTEL_STATUS_ERROR, "sta\0tus", 7);
    journal_end(&span, 0);
}

/* ---- events, links, status ------------------------------------------------------------------- */

static void events(void) {
    static const char *const names[] = {"a", "b"};
    hotel_attr given[] = {hotel_int("attempt", 2), hotel_strs("names", names, COUNT(names)),
                          hotel_double("wait", 0.25), hotel_int("attempt", 3)};
    hotel_attr override[] = {hotel_str("exception.message", "the caller's wins"),
                             hotel_bool("handled", false)};
    journal_calls span = start("events", NULL);
    journal_event(&span, &(hotel_event){.name = "plain"});
    journal_event(&span, &(hotel_event){
                             .name = "retry", .attributes = given, .num_attributes = COUNT(given)});
    journal_event(&span, &(hotel_event){.name = "before the first", .time_ns = 12});
    journal_event(&span, &(hotel_event){.name = NULL});
    journal_exception(&span, "IOError",
                      "disk \xe2\x80\x9c"
                      "full\xe2\x80\x9d",
                      "at main:1\nat start:2", NULL, 0);
    journal_exception(&span, "IOError", NULL, NULL, NULL, 0);
    journal_exception(&span, "IOError", "generated", NULL, override, COUNT(override));
    journal_end(&span, 0);
}

static void links(void) {
    journal_calls linked = start("linked", NULL);
    journal_parent remote =
        journal_remote("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "foo=1,bar=2");
    journal_parent unsampled =
        journal_remote("00-11111111111111111111111111111111-2222222222222222-00", NULL);
    hotel_attr given[] = {hotel_str("why", "batch"), hotel_int("index", 0)};
    hotel_link at_start[] = {{.context = linked.span.context},
                             {.context = remote.context.span.context,
                              .attributes = given,
                              .num_attributes = COUNT(given)}};
    journal_calls span = journal_start(
        "links", 5, &(journal_start_options){.links = at_start, .num_links = COUNT(at_start)});
    journal_add_link(&span, &(hotel_link){.context = unsampled.context.span.context});
    journal_add_link(&span, &(hotel_link){.attributes = given, .num_attributes = 1});
    journal_add_link(&span, &(hotel_link){.num_attributes = 0}); /* says nothing: may go */
    journal_end(&span, 0);
    journal_end(&linked, 0);
    hotel_context_release(&unsampled.context);
    hotel_context_release(&remote.context);
}

typedef struct status_step {
    hotel_status status;
    const char *description;
} status_step;

static void statuses(void) {
    static const status_step steps[][3] = {
        {{HOTEL_STATUS_ERROR, "b\xc3\xb6se"},
         {HOTEL_STATUS_UNSET, NULL},
         {HOTEL_STATUS_UNSET, "x"}},
        {{HOTEL_STATUS_ERROR, "first"}, {HOTEL_STATUS_ERROR, "second"}, {HOTEL_STATUS_UNSET, NULL}},
        {{HOTEL_STATUS_ERROR, "first"}, {HOTEL_STATUS_ERROR, NULL}, {HOTEL_STATUS_UNSET, NULL}},
        {{HOTEL_STATUS_ERROR, "gone"}, {HOTEL_STATUS_OK, "ignored"}, {HOTEL_STATUS_UNSET, NULL}},
        {{HOTEL_STATUS_OK, NULL}, {HOTEL_STATUS_ERROR, "too late"}, {HOTEL_STATUS_UNSET, NULL}},
        {{HOTEL_STATUS_UNSET, "ignored"}, {HOTEL_STATUS_UNSET, NULL}, {HOTEL_STATUS_UNSET, NULL}},
    };
    size_t i;
    size_t j;
    for (i = 0; i < COUNT(steps); i++) {
        journal_calls span = start("status", NULL);
        for (j = 0; j < COUNT(steps[i]); j++) {
            journal_status(&span, steps[i][j].status, steps[i][j].description,
                           hotel_text_size(steps[i][j].description));
        }
        journal_rename(&span, i % 2 == 0 ? "renamed" : "", i % 2 == 0 ? 7 : 0);
        journal_end(&span, 0);
    }
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static void scopes(const journal_parent *parent) {
    hotel_attr given[] = {hotel_str("scope.attribute", "value"), hotel_int("scope.number", 7)};
    const hotel_tracer_config all[] = {
        database_scope,
        {.name = "example.database", .version = "2.0"},
        {.name = "example.database", .version = "2.0", .schema_url = "https://example.org/1.0"},
        {.name = "example.database",
         .version = "2.0",
         .schema_url = "https://example.org/1.0",
         .attributes = given,
         .num_attributes = COUNT(given)},
        {.name = "example.\xd1\x81\xd0\xba", .attributes = given, .num_attributes = 1},
        {.name = "", .version = "nameless"},
        {.name = "example.database", .version = "2.0"}, /* equal to the second: the same scope */
    };
    size_t i;
    for (i = 0; i < COUNT(all); i++) {
        journal_calls span = journal_start(
            "scoped", 6, &(journal_start_options){.parent = parent, .scope = &all[i]});
        journal_end(&span, 0);
    }
}

/* ---- Hatchet --------------------------------------------------------------------------------- */

static void task_spans(const journal_calls *task) {
    static const int32_t zero = 0;
    static const bool not_sticky = false;
    journal_parent under_task = journal_local(task);
    journal_calls child = journal_start(
        "http.request", 12,
        &(journal_start_options){.parent = &under_task, .implicit = true, .task = task});
    journal_calls trigger;
    JOURNAL_SET(&child, hotel_str("http.method", "GET"),
                hotel_str("hatchet.step_name", "my own wins"),
                hotel_int("hatchet.retry_count", 99));
    trigger = journal_start_run_workflow(&(hotel_trigger){.workflow_name = "child-workflow",
                                                          .payload = "{\"n\": 1}",
                                                          .child_index = &zero,
                                                          .child_key = "key",
                                                          .namespace_name = "test_",
                                                          .additional_metadata = "{\"a\": \"b\"}",
                                                          .priority = &zero,
                                                          .sticky = &not_sticky,
                                                          .desired_worker_id = ""},
                                         &under_task, task);
    journal_end(&trigger, 0);
    journal_end(&child, 0);
}

#define TASK_UUID(last) "00000000-0000-4000-8000-00000000000" last

static void tasks(const char *payload) {
    static const int32_t index = 0;
    static const char traceparent[] = "00-3d86bd9e5a7c4c58a2f1e0d9c8b7a695-0102030405060708-01";
    char metadata[200];
    journal_parent parent = journal_remote(traceparent, NULL);
    hotel_step_run run = {.workflow_name = "OTelDataPipeline",
                          .step_name = "fetch_data",
                          .action_name = "oteldatapipeline:fetch_data",
                          .step_run_id = TASK_UUID("1"),
                          .workflow_run_id = TASK_UUID("2"),
                          .step_id = TASK_UUID("3"),
                          .workflow_id = TASK_UUID("4"),
                          .workflow_version_id = TASK_UUID("5"),
                          .worker_id = TASK_UUID("6"),
                          .tenant_id = TASK_UUID("7"),
                          .child_workflow_index = &index,
                          .child_workflow_key = "",
                          .parent_workflow_run_id = TASK_UUID("8"),
                          .triggering_event_external_id = TASK_UUID("9"),
                          .triggering_event_key = "user:created",
                          .payload = payload,
                          .additional_metadata = metadata};
    journal_calls task;
    (void)snprintf(metadata, sizeof metadata, "{\"traceparent\": \"%s\", \"x\": [1]}", traceparent);
    task = journal_start_step_run(&run, &parent);
    task_spans(&task);
    journal_end_task(&task, NULL, NULL);

    run.retry_count = 1;
    run.additional_metadata = "{}";
    task = journal_start_step_run(&run, NULL);
    task_spans(&task);
    journal_end_task(&task, "UpstreamError", "upstream timed out");
    hotel_context_release(&parent.context);
}

static void large_payload(void) {
    char payload[3000];
    memset(payload, 'x', sizeof payload - 1);
    payload[0] = '"';
    payload[sizeof payload - 2] = '"';
    payload[sizeof payload - 1] = '\0';
    tasks(payload);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void past_the_limits(void) {
    static const char *const strings[] = {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac", "short"};
    hotel_value inner = hotel_of_strs(strings, 2);
    hotel_value middle = hotel_of_array(&inner, 1);
    hotel_attr given[] = {hotel_str("k1", "truncated"), hotel_int("k2", 2), hotel_int("k3", 3)};
    hotel_attr map = hotel_array("deep", &middle, 1);
    journal_calls span = start("past the limits", NULL);
    size_t i;
    JOURNAL_SET(&span,
                hotel_str("a", "\xe2\x82\xac"
                               "2345\xe2\x82\xac"),
                hotel_bytes("b", "123456", 6), hotel_strs("c", strings, 2), hotel_map("d", &map, 1),
                hotel_str("e", "dropped"));
    JOURNAL_SET(&span, hotel_int("f", 1), hotel_str("a", "longer than before"));
    for (i = 0; i < 4; i++) {
        journal_event(&span, &(hotel_event){.name = "an event with a long name",
                                            .attributes = given,
                                            .num_attributes = i});
    }
    for (i = 0; i < 3; i++) {
        journal_add_link(
            &span,
            &(hotel_link){.context = span.span.context, .attributes = given, .num_attributes = 3});
    }
    journal_end(&span, 0);
}

static void more_than_by_default(void) {
    journal_calls span = start("more than 128 of each", NULL);
    char key[16];
    int i;
    for (i = 0; i < 130; i++) {
        (void)snprintf(key, sizeof key, "key.%d", i);
        JOURNAL_SET(&span, hotel_int(key, i));
        journal_event(&span, &(hotel_event){.name = key});
        journal_add_link(&span, &(hotel_link){.context = span.span.context});
    }
    journal_end(&span, 0);
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* Whether every span was delivered, but for so many that were rejected. */
static bool deliver(const char *what, uint64_t rejected) {
    hotel_stats stats;
    hotel_destination_stats sent;
    hotel_result result = hotel_shutdown(20000);
    hotel_get_stats(&stats);
    if ((result != HOTEL_OK && !rejected) || hotel_get_destination_stats(0, &sent) != HOTEL_OK ||
        sent.accepted + rejected != stats.ended || sent.rejected != rejected || stats.live != 0) {
        fprintf(stderr,
                "model: %s: %s, %" PRIu64 " of %" PRIu64 " accepted, %" PRIu64 " rejected\n", what,
                hotel_result_text(result), sent.accepted, stats.ended, sent.rejected);
        return false;
    }
    return true;
}

static bool session_with_defaults(const hotel_destination *destination) {
    static const char *const hosts[] = {"a", "b"};
    hotel_attr resource[] = {hotel_str("deployment.environment.name", "t\xc3\xa9st"),
                             hotel_int("process.pid", 42), hotel_strs("hosts", hosts, COUNT(hosts)),
                             hotel_bool("resource.flag", false), hotel_empty("resource.empty")};
    hotel_attr scope[] = {hotel_str("default.scope", "yes")};
    hotel_config config = {.service_name = "model \xe2\x9c\x93",
                           .resource = resource,
                           .num_resource = COUNT(resource),
                           .resource_schema_url = "https://opentelemetry.io/schemas/1.44.0",
                           .destinations = destination,
                           .num_destinations = destination != NULL,
                           .tracer = {.name = "model",
                                      .version = "1.2.3",
                                      .schema_url = "https://example.org/schema",
                                      .attributes = scope,
                                      .num_attributes = COUNT(scope)},
                           .log_fn = hotel_log_to_stderr,
                           .ignore_environment = destination != NULL};
    if (journal_init(&config) != HOTEL_OK) return false;
    local_parents();
    remote_parents();
    times();
    scalars();
    arrays_and_maps();
    invalid_text();
    nul();
    events();
    links();
    statuses();
    scopes(NULL);
    tasks("{\"input\": {\"x\": 1}}");
    large_payload();
    more_than_by_default();
    return deliver("the session with defaults", destination == NULL ? FOREIGN_TIMES : 0);
}

static bool session_with_limits(const hotel_destination *destination, hotel_limits limits) {
    hotel_config config = {.service_name = "limited",
                           .destinations = destination,
                           .num_destinations = destination != NULL,
                           .limits = limits,
                           .log_fn = hotel_log_to_stderr,
                           .log_level = HOTEL_LOG_ERROR,
                           .ignore_environment = destination != NULL};
    if (journal_init(&config) != HOTEL_OK) return false;
    past_the_limits();
    return deliver("a session with limits", 0);
}

int main(int argc, char **argv) {
    static const hotel_limits few = {.attribute_count = 4,
                                     .attribute_value_length = 5,
                                     .attribute_value_depth = 2,
                                     .event_count = 3,
                                     .link_count = 2,
                                     .event_attribute_count = 1,
                                     .link_attribute_count = 2};
    static const hotel_limits none = {
        .attribute_count = HOTEL_NONE, .event_count = HOTEL_NONE, .link_count = HOTEL_NONE};
    static const hotel_limits empty = {.attribute_value_length = HOTEL_NONE,
                                       .event_attribute_count = HOTEL_NONE,
                                       .link_attribute_count = HOTEL_NONE};
    hotel_destination destination = {0};
    const hotel_destination *to = &destination;
    bool delivered;
    if (argc != 3) {
        fprintf(stderr, "usage: model ENDPOINT|hatchet JOURNAL\n");
        return 2;
    }
    destination.endpoint = argv[1];
    if (strcmp(argv[1], "hatchet") == 0) to = NULL;
    journal_open(argv[2]);
    delivered = session_with_defaults(to) && session_with_limits(to, few) &&
                session_with_limits(to, none) && session_with_limits(to, empty);
    journal_close();
    return delivered ? 0 : 1;
}
