/*
 * SPDX-License-Identifier: MIT
 *
 * test_detectors.c - resources that are put together by hand, the rules of their merging, the
 * detectors that are built in, and who wins when a library starts with them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <pwd.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "guard.h"

#include "sink.h"

enum { ROOM = 8192 };

/* ---- look-ups ------------------------------------------------------------------------------- */

static const char *string_text(hotel_string string) {
    otlp_bytes bytes;
    bytes.at = (const unsigned char *)string.text;
    bytes.size = string.size;
    return as_text(bytes);
}

/* A string attribute; NULL when absent or of another type. */
static const char *found_text(const hotel_resource *resource, const char *key) {
    hotel_value_view value;
    if (!hotel_find_attr(hotel_resource_read(resource).attributes, key, &value) ||
        value.type != HOTEL_TYPE_STRING) {
        return NULL;
    }
    return string_text(value.as.string);
}

/* An integer attribute; -77777 when absent or of another type. */
static long long found_int(const hotel_resource *resource, const char *key) {
    hotel_value_view value;
    if (!hotel_find_attr(hotel_resource_read(resource).attributes, key, &value) ||
        value.type != HOTEL_TYPE_INT) {
        return -77777;
    }
    return (long long)value.as.integer;
}

static const char *schema_of(const hotel_resource *resource) {
    return string_text(hotel_resource_read(resource).schema_url);
}

/* All of it as text: "key=value,", numbers in decimal, and the schema URL. */
static const char *all_of(const hotel_resource *resource) {
    static char out[1024];
    hotel_resource_view view = hotel_resource_read(resource);
    hotel_attr_view attribute;
    size_t used = 0;
    out[0] = '\0';
    while (hotel_next_attr(&view.attributes, &attribute)) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%s=", string_text(attribute.key));
        if (attribute.value.type == HOTEL_TYPE_STRING) {
            used += (size_t)snprintf(out + used, sizeof out - used, "%s,",
                                     string_text(attribute.value.as.string));
        } else {
            used += (size_t)snprintf(out + used, sizeof out - used, "%lld,",
                                     (long long)attribute.value.as.integer);
        }
    }
    (void)snprintf(out + used, sizeof out - used, "|%s", string_text(view.schema_url));
    return out;
}

/* ---- resources ------------------------------------------------------------------------------ */

static void test_builder(void) {
    uint8_t *memory = (uint8_t *)guard_room(0, 64);
    hotel_resource resource;
    char name[] = "changed";
    int64_t ports[] = {80, 443};
    hotel_value_view value, element;
    is_int(hotel_resource_start(&resource, memory, 64, NULL), HOTEL_OK, "RS-02 an empty resource");
    is_str(all_of(&resource), "|", "RS-02 has nothing in it");
    is_int(hotel_resource_add(&resource, hotel_str("k", name)), HOTEL_OK, "RS-01 a string");
    memset(name, 'x', sizeof name - 1);
    is_int(hotel_resource_add(&resource, hotel_int("n", -3)), HOTEL_OK, "RS-01 a number");
    is_str(all_of(&resource), "k=changed,n=-3,|", "RS-04 SP-96 read back, copied");
    is_int(hotel_resource_add(&resource, hotel_str("k", "")), HOTEL_OK, "RS-01 a key again");
    is_str(all_of(&resource), "n=-3,k=,|", "RS-01 keeps the last value");
    is_int(hotel_resource_set_schema(&resource, "https://s/1"), HOTEL_OK, "RS-01 a schema URL");
    is_str(all_of(&resource), "n=-3,k=,|https://s/1", "RS-01 is read back");
    is_int(hotel_resource_read(&resource).num_attributes, 2, "RS-04 counted");
    is_int(hotel_resource_add(&resource, hotel_ints("k", ports, 2)), HOTEL_OK, "RS-01 an array");
    ok(hotel_find_attr(hotel_resource_read(&resource).attributes, "k", &value) &&
           value.type == HOTEL_TYPE_ARRAY && hotel_next_value(&value.as.list, &element) &&
           element.as.integer == 80,
       "RS-04 an array is read back");
    is_int(hotel_resource_add(&resource, hotel_str("large", "0123456789012345678901234567890123")),
           HOTEL_ERR_MEMORY, "RS-01 what does not fit");
    is_int(hotel_resource_add(&resource, hotel_str("k", "0123456789012345678901234567890123456")),
           HOTEL_ERR_MEMORY, "RS-01 a larger value that does not fit");
    ok(hotel_find_attr(hotel_resource_read(&resource).attributes, "k", &value) &&
           value.type == HOTEL_TYPE_ARRAY,
       "RS-01 leaves the old one");
    is_str(schema_of(&resource), "https://s/1", "RS-01 and the schema URL");
    is_int(hotel_resource_add(&resource, hotel_int(NULL, 1)), HOTEL_ERR_ARGUMENT,
           "RS-01 a key that is NULL");
    is_int(hotel_resource_add(&resource, hotel_int("", 1)), HOTEL_ERR_ARGUMENT,
           "RS-01 an empty key");
    is_int(hotel_resource_add(NULL, hotel_int("a", 1)), HOTEL_ERR_ARGUMENT, "RS-01 no resource");
    is_int(hotel_resource_start(&resource, memory, 3, "https://s/1"), HOTEL_ERR_MEMORY,
           "RS-01 a schema URL that does not fit");
    is_int(hotel_resource_start(&resource, NULL, 0, NULL), HOTEL_OK, "RS-02 no memory at all");
    is_int(hotel_resource_add(&resource, hotel_int("a", 1)), HOTEL_ERR_MEMORY,
           "RS-02 takes nothing");
    is_str(all_of(&resource), "|", "RS-02 and is empty");
}

/* Filled exactly: every capacity from nothing to all of it, up to a page that is forbidden. */
static void test_builder_room(void) {
    hotel_resource resource;
    size_t capacity, whole = 0;
    bool good = true;
    for (capacity = 0; capacity < 80; capacity++) {
        hotel_result a, b, s;
        (void)hotel_resource_start(&resource, guard_room(0, capacity), capacity, NULL);
        a = hotel_resource_add(&resource, hotel_str("first", "value"));
        s = hotel_resource_set_schema(&resource, "https://s.example/");
        b = hotel_resource_add(&resource, hotel_int("second", 2));
        good = good && resource.size + resource.schema_size <= capacity;
        good = good && (a == HOTEL_OK) == (found_text(&resource, "first") != NULL);
        good = good && (b == HOTEL_OK) == (found_int(&resource, "second") == 2);
        good = good && (s == HOTEL_OK) == (schema_of(&resource)[0] != '\0');
        if (a == HOTEL_OK && b == HOTEL_OK && s == HOTEL_OK && whole == 0) {
            whole = capacity;
            good = good && resource.size + resource.schema_size == capacity;
        }
    }
    ok(good && whole > 0, "RS-01 all or nothing of each, at any capacity");
}

typedef struct merge_row {
    const char *id;
    const char *old_schema, *new_schema;
    bool clash; /* both have the key k */
    hotel_result result;
    const char *want;
} merge_row;

static const merge_row merges[] = {
    {"SP-94 the union", NULL, NULL, false, HOTEL_OK, "k=old,only.old=1,other=new,only.new=2,|"},
    {"SP-94 the updating side wins, an empty value too", NULL, NULL, true, HOTEL_OK,
     "only.old=1,k=,only.new=2,|"},
    {"SP-94 the only schema URL: old", "https://s/1", NULL, true, HOTEL_OK,
     "only.old=1,k=,only.new=2,|https://s/1"},
    {"SP-94 the only schema URL: updating", NULL, "https://s/2", true, HOTEL_OK,
     "only.old=1,k=,only.new=2,|https://s/2"},
    {"SP-94 an empty schema URL is none", "https://s/1", "", true, HOTEL_OK,
     "only.old=1,k=,only.new=2,|https://s/1"},
    {"SP-94 the common schema URL", "https://s/1", "https://s/1", true, HOTEL_OK,
     "only.old=1,k=,only.new=2,|https://s/1"},
    {"SP-94 RS-07 two schema URLs are an error", "https://s/1", "https://s/2", true,
     HOTEL_ERR_ARGUMENT, "only.old=1,k=,only.new=2,|"},
};

static void test_merge(void) {
    static uint8_t memory[3][ROOM];
    hotel_resource old, updating, third;
    size_t i;
    for (i = 0; i < COUNT(merges); i++) {
        const merge_row *row = &merges[i];
        (void)hotel_resource_start(&old, memory[0], ROOM, row->old_schema);
        (void)hotel_resource_start(&updating, memory[1], ROOM, row->new_schema);
        (void)hotel_resource_add(&old, hotel_str("k", "old"));
        (void)hotel_resource_add(&old, hotel_int("only.old", 1));
        (void)hotel_resource_add(&updating, row->clash ? hotel_str("k", "")
                                                       : hotel_str("other", "new"));
        (void)hotel_resource_add(&updating, hotel_int("only.new", 2));
        is_int(hotel_resource_merge(&old, &updating), row->result, "%s: result", row->id);
        is_str(all_of(&old), row->want, "RS-03 %s", row->id);
        ok(found_int(&updating, "only.new") == 2 && found_int(&updating, "only.old") != 1,
           "SP-96 %s: the updating side stays as it was", row->id);
    }
    /* `old` is the last row's: in conflict. */
    is_int(hotel_resource_set_schema(&old, "https://s/1"), HOTEL_ERR_ARGUMENT,
           "SP-94 after a conflict there is no schema URL any more");
    (void)hotel_resource_start(&third, memory[2], ROOM, "https://s/1");
    is_int(hotel_resource_merge(&third, &old), HOTEL_ERR_ARGUMENT, "SP-94 it is handed on");
    is_str(schema_of(&third), "", "SP-94 and clears that of the other");
    is_int(hotel_resource_merge(&third, &third), HOTEL_OK, "RS-03 with itself");
    is_int(hotel_resource_merge(&third, NULL), HOTEL_ERR_ARGUMENT, "RS-03 with nothing");
    (void)hotel_resource_start(&third, memory[2], 12, NULL);
    (void)hotel_resource_start(&updating, memory[1], ROOM, NULL);
    (void)hotel_resource_add(&updating, hotel_str("too.large", "for the other"));
    (void)hotel_resource_add(&updating, hotel_int("k", 2));
    is_int(hotel_resource_merge(&third, &updating), HOTEL_ERR_MEMORY, "RS-03 too much");
    is_str(all_of(&third), "k=2,|", "RS-03 what fits is there");
}

/* A resource is made before hotel_init as after it: no limit of spans is a limit of it. */
static void test_unlimited(void) {
    static uint8_t memory[ROOM];
    hotel_config config = sink_config();
    hotel_resource resource;
    const char *words[] = {"one", "two"};
    hotel_value_view value, element;
    int round;
    config.limits.attribute_value_length = 1;
    config.limits.attribute_value_depth = HOTEL_NONE;
    for (round = 0; round < 2; round++) {
        if (round == 1) sink_open(&config);
        (void)hotel_resource_start(&resource, memory, sizeof memory, NULL);
        (void)hotel_resource_add(&resource, hotel_strs("words", words, 2));
        ok(hotel_find_attr(hotel_resource_read(&resource).attributes, "words", &value) &&
               hotel_next_value(&value.as.list, &element) &&
               hotel_next_value(&value.as.list, &element) &&
               hotel_string_is(element.as.string, "two"),
           "SP-40 no limits %s", round == 1 ? "while running" : "before the start");
    }
    sink_close("limits");
}

/* ---- the built-in detectors ----------------------------------------------------------------- */

static uint8_t detected_memory[2][ROOM];

static hotel_resource detect(hotel_detector detector, int slot) {
    hotel_resource resource;
    (void)hotel_resource_start(&resource, detected_memory[slot], ROOM, NULL);
    is_int(detector.detect_fn(&resource, detector.user_data), HOTEL_OK, "RS-06 %s: found out",
           detector.name);
    return resource;
}

static void test_process(void) {
    hotel_resource r = detect(hotel_process_detector(), 0);
    struct passwd *user = getpwuid(geteuid());
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    is_int(found_int(&r, "process.pid"), getpid(), "RS-06 process.pid");
    is_int(found_int(&r, "process.parent_pid"), getppid(), "RS-06 process.parent_pid");
    is_str(schema_of(&r), HOTEL_SCHEMA_URL, "RS-07 the schema URL of the names");
    if (n > 0) {
        path[n] = '\0';
        is_str(found_text(&r, "process.executable.path"), path, "RS-06 process.executable.path");
        is_str(found_text(&r, "process.executable.name"), strrchr(path, '/') + 1,
               "RS-06 process.executable.name");
    }
    if (user != NULL) is_str(found_text(&r, "process.owner"), user->pw_name, "RS-06 process.owner");
    ok(found_text(&r, "process.command_args") == NULL &&
           found_text(&r, "process.command_line") == NULL,
       "RS-06 no arguments unasked");
#if defined(__GLIBC__)
    (void)snprintf(path, sizeof path, "%d.%d", __GLIBC__, __GLIBC_MINOR__);
    is_str(found_text(&r, "process.runtime.name"), "glibc", "RS-06 process.runtime.name");
    is_str(found_text(&r, "process.runtime.version"), path, "RS-06 process.runtime.version");
#endif
}

/* This program again, with arguments of its own: it answers by its exit code. */
static int check_arguments(void) {
    uint8_t memory[ROOM];
    hotel_resource r;
    hotel_value_view value, element;
    static const char *const want[] = {"the command", "arguments", "", "a b"};
    size_t i;
    (void)hotel_resource_start(&r, memory, sizeof memory, NULL);
    if (hotel_command_detector().detect_fn(&r, NULL) != HOTEL_OK) return 2;
    if (!hotel_find_attr(hotel_resource_read(&r).attributes, "process.command_args", &value)) {
        return 3;
    }
    for (i = 0; i < COUNT(want); i++) {
        if (!hotel_next_value(&value.as.list, &element) ||
            !hotel_string_is(element.as.string, want[i])) {
            return 4;
        }
    }
    if (hotel_next_value(&value.as.list, &element)) return 5;
    (void)hotel_resource_start(&r, memory, sizeof memory, NULL);
    if (hotel_process_detector().detect_fn(&r, NULL) != HOTEL_OK) return 6;
    return strcmp(found_text(&r, "process.command"), "the command") == 0 ? 0 : 7;
}

static void test_command(void) {
    pid_t child;
    int status = -1;
    if (access("/proc/self/cmdline", R_OK) != 0) {
        skip("RS-06 no /proc here");
        return;
    }
    child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "the command", "arguments", "", "a b", (char *)NULL);
        _exit(9);
    }
    (void)waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 9) {
        skip("RS-06 process.command_args: the program cannot start itself here");
        return;
    }
    is_int(status, 0, "RS-06 process.command and process.command_args are those of the process");
}

static void test_host(void) {
    hotel_resource r = detect(hotel_host_detector(), 0);
    char name[256] = "", id[64] = "";
    FILE *file = fopen("/etc/machine-id", "r");
    (void)gethostname(name, sizeof name - 1);
    is_str(found_text(&r, "host.name"), name, "RS-06 host.name");
    if (file != NULL && fgets(id, sizeof id, file) != NULL && id[0] > ' ') {
        id[strcspn(id, "\n")] = '\0';
        is_str(found_text(&r, "host.id"), id, "RS-06 host.id");
    } else {
        skip("RS-06 host.id: no /etc/machine-id here");
    }
    if (file != NULL) (void)fclose(file);
#if defined(__x86_64__)
    is_str(found_text(&r, "host.arch"), "amd64", "RS-06 host.arch");
#elif defined(__aarch64__)
    is_str(found_text(&r, "host.arch"), "arm64", "RS-06 host.arch");
#endif
    is_str(hoteli_arch_name("armv7l"), "arm32", "RS-06 host.arch of a 32-bit ARM");
    is_str(hoteli_arch_name("aarch64_be"), "arm64", "RS-06 host.arch of a 64-bit ARM");
    is_str(hoteli_arch_name("ppc64le"), "ppc64", "RS-06 host.arch of a 64-bit PowerPC");
    is_str(hoteli_arch_name("ppc"), "ppc32", "RS-06 host.arch of a 32-bit PowerPC");
    is_str(hoteli_arch_name("i686"), "x86", "RS-06 host.arch of a 32-bit x86");
    is_str(hoteli_arch_name("riscv64"), "riscv64", "RS-06 host.arch without a name of its own");
}

static void is_value(const char *file, const char *name, const char *want, const char *what) {
    char copy[256];
    size_t size = strlen(file);
    memcpy(copy, file, size);
    is_str(string_text(hoteli_release_value(copy, size, name)), want, "RS-06 os-release: %s", what);
}

static void test_os(void) {
    hotel_resource r = detect(hotel_os_detector(), 0);
    struct utsname system;
    if (uname(&system) < 0) abort();
#if defined(__linux__)
    is_str(found_text(&r, "os.type"), "linux", "RS-06 os.type");
#elif defined(__APPLE__)
    is_str(found_text(&r, "os.type"), "darwin", "RS-06 os.type");
#endif
    ok(found_text(&r, "os.name") != NULL, "RS-06 os.name");
    ok(found_text(&r, "os.description") != NULL &&
           strstr(found_text(&r, "os.description"), system.release) != NULL,
       "RS-06 os.description has the kernel's version");
    is_value("ID=a\nNAME=plain\n", "NAME", "plain", "a word");
    is_value("NAME=\"with blanks\"\nVERSION_ID=1\n", "NAME", "with blanks", "quotes");
    is_value("NAME='single \\ \"'\n", "NAME", "single \\ \"", "single quotes");
    is_value("NAME=\"a \\\"b\\\" \\$c\"", "NAME", "a \"b\" $c", "backslashes, no last newline");
    is_value("PRETTY_NAME=x\nXNAME=y\n", "NAME", "", "names are whole");
    is_value("NAME=\nVERSION_ID=2\n", "NAME", "", "an empty one");
    is_value("", "NAME", "", "an empty file");
    is_value("NAME\n#NAME=x\nNAME=\"open\nVERSION_ID=3", "NAME", "open", "a quote that stays open");
}

static bool is_uuid4(const char *text) {
    size_t i;
    if (text == NULL || strlen(text) != 36) return false;
    for (i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL) return false;
    }
    return text[14] == '4' && strchr("89ab", text[19]) != NULL;
}

static void test_service(void) {
    hotel_resource r, again;
    char first[64];
    uint64_t zeros[2] = {0, 0}, ones[2] = {UINT64_MAX, UINT64_MAX};
    (void)unsetenv("OTEL_SERVICE_NAME");
    r = detect(hotel_service_detector(), 0);
    ok(is_uuid4(found_text(&r, "service.instance.id")), "SP-93 a random UUID: %s",
       found_text(&r, "service.instance.id"));
    ok(found_text(&r, "service.name") == NULL, "RS-06 no service.name where there is none");
    (void)setenv("OTEL_SERVICE_NAME", "by name", 1);
    again = detect(hotel_service_detector(), 1);
    is_str(found_text(&again, "service.name"), "by name", "RS-06 service.name");
    is_str(found_text(&again, "service.instance.id"), found_text(&r, "service.instance.id"),
           "SP-93 the process keeps it");
    (void)setenv("OTEL_SERVICE_NAME", "", 1);
    again = detect(hotel_service_detector(), 1);
    ok(found_text(&again, "service.name") == NULL, "EP-01 empty is unset");
    (void)unsetenv("OTEL_SERVICE_NAME");
    hoteli_uuid_write(first, zeros);
    is_str(first, "00000000-0000-4000-8000-000000000000", "SP-93 version and variant, of zeros");
    hoteli_uuid_write(first, ones);
    is_str(first, "ffffffff-ffff-4fff-bfff-ffffffffffff", "SP-93 version and variant, of ones");
    r = detect(hotel_sdk_detector(), 0);
    is_str(found_text(&r, "telemetry.sdk.name"), "hatchet_otel", "SP-92 telemetry.sdk.name");
    is_str(found_text(&r, "telemetry.sdk.language"), "c", "SP-92 telemetry.sdk.language");
    is_str(found_text(&r, "telemetry.sdk.version"), hotel_version(), "SP-90 telemetry.sdk.version");
    ok(found_text(&r, "service.instance.id") == NULL, "SP-93 no other detector has an instance");
}

/* The same text in /etc/passwd and here is the name of the user. */
static void test_owner(void) {
    char name[256];
    hotel_string got = hoteli_user_name(0, name, sizeof name);
    is_str(string_text(got), "root", "RS-06 the name of user 0");
    got = hoteli_user_name(0, name, 3);
    is_int(got.size, 0, "RS-06 a name without room is none");
    got = hoteli_user_name(UINT64_C(4294967290), name, sizeof name);
    is_int(got.size, 0, "RS-06 a user without a name");
}

/* ---- in a library --------------------------------------------------------------------------- */

static hotel_result detect_pair(hotel_resource *out, void *user_data) {
    const char *const *pair = (const char *const *)user_data;
    hotel_result result = hotel_resource_add(out, hotel_str(pair[0], pair[1]));
    return result != HOTEL_OK ? result : hotel_resource_set_schema(out, pair[2]);
}

static hotel_result detect_nothing(hotel_resource *out, void *user_data) {
    (void)out;
    (void)user_data;
    return HOTEL_OK;
}

static hotel_result detect_half(hotel_resource *out, void *user_data) {
    (void)user_data;
    (void)hotel_resource_add(out, hotel_str("half", "found"));
    return HOTEL_ERR_SYSTEM;
}

static hotel_result detect_much(hotel_resource *out, void *user_data) {
    char key[16];
    int i;
    (void)user_data;
    for (i = 0; i < 5000; i++) {
        hotel_result result;
        (void)snprintf(key, sizeof key, "key.%d", i);
        result = hotel_resource_add(out, hotel_int(key, i));
        if (result != HOTEL_OK) return result;
    }
    return HOTEL_OK;
}

static int blocked; /* what the calls that wait answered */

static hotel_result detect_rude(hotel_resource *out, void *user_data) {
    (void)out;
    (void)user_data;
    blocked = hotel_flush(1) == HOTEL_ERR_CALLBACK && hotel_shutdown(1) == HOTEL_ERR_CALLBACK &&
              hotel_init(NULL) == HOTEL_ERR_CALLBACK && hotel_poll(0) == HOTEL_ERR_CALLBACK;
    return HOTEL_OK;
}

static hotel_detector detector_of(hotel_result (*detect_fn)(hotel_resource *, void *),
                                  const char *name, const void *user_data) {
    hotel_detector detector;
    memset(&detector, 0, sizeof detector);
    detector.detect_fn = detect_fn;
    detector.name = name;
    detector.user_data = (void *)(uintptr_t)user_data;
    return detector;
}

static const char *schema_sent;

/* The resource with which a library of this configuration sends a span. */
static otlp_bytes resource_by(const hotel_config *config, hotel_result want) {
    hotel_span span;
    log_clear();
    is_int(hotel_init(config), want, "RS-06 hotel_init with detectors");
    open_books();
    span = hotel_start("resource");
    hotel_end(&span);
    sink_flush();
    schema_sent = as_text(part(part(sink_bodies[0], 1, 0), 3, 0));
    return otlp_resource(sink_bodies[0]);
}

static const char *sent(otlp_bytes resource, const char *key) {
    return text(attribute_in(resource, 1, key), ANY_STRING);
}

/* Default, detectors in their order, environment, code: each beats the ones before. */
static void test_order(void) {
    static const char *const first[] = {"a", "detector 1", "https://s/1"};
    static const char *const second[] = {"a", "detector 2", "https://s/1"};
    static const char *const by_default[] = {"telemetry.sdk.name", "detector", ""};
    static const char *const by_variable[] = {"b", "detector", ""};
    static const char *const by_code[] = {"c", "detector", ""};
    static const char *const service[] = {"service.name", "detector", ""};
    hotel_attr own = hotel_str("c", "code");
    hotel_detector detectors[6];
    hotel_config config = sink_config();
    otlp_bytes got;
    size_t i;
    detectors[0] = detector_of(detect_pair, "first", first);
    detectors[1] = detector_of(detect_pair, "second", second);
    detectors[2] = detector_of(detect_pair, "default", by_default);
    detectors[3] = detector_of(detect_pair, "variable", by_variable);
    detectors[4] = detector_of(detect_pair, "code", by_code);
    detectors[5] = detector_of(detect_pair, "service", service);
    config.detectors = detectors;
    config.num_detectors = 6;
    config.resource = &own;
    config.num_resource = 1;
    config.service_name = NULL;
    config.ignore_environment = false;
    (void)setenv("OTEL_RESOURCE_ATTRIBUTES", "b=environment,c=environment", 1);
    got = resource_by(&config, HOTEL_OK);
    is_str(sent(got, "a"), "detector 2", "SP-95 a later detector beats an earlier one");
    is_str(sent(got, "telemetry.sdk.name"), "detector", "SP-95 detectors beat defaults");
    is_str(sent(got, "service.name"), "detector", "SP-95 that of service.name too");
    is_str(sent(got, "b"), "environment", "SP-95 the environment beats detectors");
    is_str(sent(got, "c"), "code", "SP-95 code beats both");
    is_int(otlp_count(got, 1), 7, "RS-03 each key once");
    is_str(schema_sent, "https://s/1", "RS-07 EX-16 the detectors' schema URL");
    sink_close("order");
    (void)setenv("OTEL_SERVICE_NAME", "environment", 1);
    got = resource_by(&config, HOTEL_OK);
    is_str(sent(got, "service.name"), "environment", "SP-95 OTEL_SERVICE_NAME beats detectors");
    sink_close("order with a service name");
    config.service_name = "code";
    config.ignore_environment = true;
    detectors[0] = hotel_service_detector();
    detectors[1] = detector_of(detect_nothing, "nothing", NULL);
    got = resource_by(&config, HOTEL_OK);
    is_str(sent(got, "service.name"), "code", "SP-95 code beats detectors");
    is_str(sent(got, "b"), "detector", "SP-95 without the environment");
    ok(is_uuid4(sent(got, "service.instance.id")), "SP-93 the service detector's instance");
    sink_close("order without the environment");
    for (i = 2; i < 6; i++) detectors[i] = detector_of(detect_nothing, "nothing", NULL);
    config.service_name = NULL;
    got = resource_by(&config, HOTEL_OK);
    ok(strncmp(sent(got, "service.name"), "unknown_service", 15) == 0,
       "RS-06 a detector reads no environment that is to be ignored");
    is_int(log_count(HOTEL_LOG_ID_DETECTOR), 0, "RS-06 finding nothing is no error");
    sink_close("detectors that find nothing");
    (void)unsetenv("OTEL_SERVICE_NAME");
    (void)unsetenv("OTEL_RESOURCE_ATTRIBUTES");
}

static void test_failures(void) {
    static const char *const pair[] = {"after", "found", ""};
    hotel_detector detectors[3];
    hotel_config config = sink_config();
    otlp_bytes got;
    config.detectors = detectors;
    config.num_detectors = 3;
    detectors[0] = detector_of(detect_half, "half", NULL);
    detectors[1] = detector_of(NULL, "absent", NULL);
    detectors[2] = detector_of(detect_pair, "after", pair);
    got = resource_by(&config, HOTEL_OK);
    is_str(sent(got, "after"), "found", "RS-06 the detectors behind a failing one are used");
    is_str(sent(got, "half"), "found", "RS-06 so is what the failing one found");
    is_int(log_count(HOTEL_LOG_ID_DETECTOR), 2, "RS-06 failing ones are logged");
    ok(log_has("\"half\" failed: the operating system refused"), "RS-06 by name and reason");
    ok(log_has("\"absent\" failed: it has no function"), "RS-06 one without a function too");
    sink_close("failing detectors");
    detectors[0] = detector_of(detect_much, NULL, NULL);
    detectors[1] = detector_of(detect_rude, "rude", NULL);
    config.num_detectors = 2;
    got = resource_by(&config, HOTEL_OK);
    ok(otlp_count(got, 1) > 400, "RS-06 8 KiB of findings: %d", (int)otlp_count(got, 1));
    ok(log_has("failed: not enough memory"), "RS-06 more are refused, and logged");
    ok(blocked, "RS-06 calls that wait are refused inside a detector");
    sink_close("detectors that find much");
}

static void test_schemas(void) {
    static const char *const one[] = {"a", "1", "https://s/1"};
    static const char *const two[] = {"b", "2", "https://s/2"};
    hotel_detector detectors[3];
    hotel_config config = sink_config();
    otlp_bytes got;
    config.detectors = detectors;
    config.num_detectors = 1;
    detectors[0] = detector_of(detect_pair, "one", one);
    config.resource_schema_url = "https://s/1";
    got = resource_by(&config, HOTEL_OK);
    is_str(schema_sent, "https://s/1", "RS-07 the same schema URL in code");
    sink_close("the same schema URL");
    config.resource_schema_url = "https://s/2";
    got = resource_by(&config, HOTEL_ERR_ARGUMENT);
    is_str(schema_sent, "", "RS-07 another one is an error, and there is none");
    is_str(sent(got, "a"), "1", "RS-07 the attributes are there");
    is_int(log_count(HOTEL_LOG_ID_BAD_CONFIG), 1, "RS-07 logged");
    sink_close("another schema URL in code");
    config.resource_schema_url = NULL;
    config.num_detectors = 3;
    detectors[1] = detector_of(detect_pair, "two", two);
    detectors[2] = detectors[0];
    got = resource_by(&config, HOTEL_ERR_ARGUMENT);
    is_str(schema_sent, "", "RS-07 two detectors with different ones: none");
    is_str(sent(got, "b"), "2", "RS-07 the attributes of both");
    is_int(log_count(HOTEL_LOG_ID_DETECTOR), 1, "RS-07 logged once");
    ok(log_has("\"two\" failed: its schema URL differs"), "RS-07 by name");
    sink_close("two schema URLs");
}

/* All built-in ones together, and a resource made by hand. */
static void test_together(void) {
    static uint8_t memory[1024];
    static uint8_t block[65536];
    hotel_resource own;
    hotel_detector detectors[7];
    hotel_config config = sink_config();
    otlp_bytes got;
    detectors[0] = hotel_service_detector();
    detectors[1] = hotel_process_detector();
    detectors[2] = hotel_command_detector();
    detectors[3] = hotel_host_detector();
    detectors[4] = hotel_os_detector();
    detectors[5] = hotel_sdk_detector();
    detectors[6] = hotel_resource_detector(&own);
    (void)hotel_resource_start(&own, memory, sizeof memory, HOTEL_SCHEMA_URL);
    (void)hotel_resource_add(&own, hotel_str("os.name", "mine"));
    config.detectors = detectors;
    config.num_detectors = COUNT(detectors);
    got = resource_by(&config, HOTEL_OK);
    is_int((long long)number(attribute_in(got, 1, "process.pid"), ANY_INT), getpid(),
           "RS-06 what detectors find is sent");
    is_str(sent(got, "os.name"), "mine", "RS-06 a resource made by hand takes part");
    is_str(schema_sent, HOTEL_SCHEMA_URL, "RS-07 the built-in ones agree on a schema URL");
    is_int(log_count(HOTEL_LOG_ID_DETECTOR), 0, "RS-06 none failed");
    sink_close("the built-in detectors");
    config.memory = block;
    config.memory_bytes = sizeof block;
    config.detectors = detectors;
    got = resource_by(&config, HOTEL_OK);
    is_str(sent(got, "os.name"), "mine", "RS-06 in memory of the caller's");
    sink_close("detectors in a block of memory");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "arguments") == 0) return check_arguments();
    test_unlimited();
    test_builder();
    test_builder_room();
    test_merge();
    test_process();
    test_command();
    test_host();
    test_os();
    test_service();
    test_owner();
    test_order();
    test_failures();
    test_schemas();
    test_together();
    return done_testing();
}
