/* hatchet_otel.h 0.1.0 - OpenTelemetry tracing for C and C++ in one file, with Hatchet's
   instrumentation built in.
   SPDX-License-Identifier: MIT
   SPDX-FileCopyrightText: 2026 The hatchet_otel authors

Records spans in C and C++ programs and delivers them by OTLP, over HTTP or gRPC, to any
OpenTelemetry collector, Hatchet's own among them. No dependency but libc and pthread; Linux, macOS
and the BSDs; GCC and Clang.

DO THIS

    #define HATCHET_OTEL_IMPLEMENTATION
    #include "hatchet_otel.h"

in exactly one C or C++ file, before other headers if it is compiled with a strict -std=c99.
Everywhere else include it without the macro. Link with -pthread. Then:

    --- code: first.c
    #include "hatchet_otel.h"

    int main(void) {
        if (hotel_init(NULL) != HOTEL_OK) return 1;
        hotel_span span = hotel_start("checkout");
        hotel_set_str(&span, "cart.id", "c-42");
        hotel_set_int(&span, "cart.items", 3);
        hotel_end(&span);
        return hotel_shutdown(5000) == HOTEL_OK ? 0 : 1;
    }
    ---

sends one span to http://localhost:4318, or wherever OTEL_EXPORTER_OTLP_ENDPOINT points. Run
"hatchet-otel serve" in another terminal to see it.

OPTIONS (for the file with the implementation; _STATIC and _DISABLE wherever it is included)

HATCHET_OTEL_IMPLEMENTATION   compile the implementation here
HATCHET_OTEL_STATIC           a private copy: every function static, nothing for the linker to see
HATCHET_OTEL_DISABLE          no tracing: every function is an empty inline one, no code remains
HATCHET_OTEL_CHUNK_BYTES      bytes of an arena chunk, a power of two from 256; default 512
HATCHET_OTEL_MAX_ATTACHED     contexts attached at once on a thread, 80 bytes each; default 32
HATCHET_OTEL_MAX_PROVIDERS    tracer providers at once, 1.5 KiB each: 1, 2, 4 or 8; default 4
HATCHET_OTEL_ZLIB             gzip for requests; link with -lz. Without it zlib.h is never included
HATCHET_OTEL_OPENSSL          https by OpenSSL 1.1.1 or later; link with -lssl -lcrypto. Without it
                              no header of OpenSSL is included

No option changes a public type; hotel_init checks that caller and implementation agree.

CONTENTS

    01  VERSION AND LINKAGE
    02  RESULTS AND LOG MESSAGES
    03  ATTRIBUTES
    04  SPAN CONTEXT, SPAN, CONTEXT
    05  CONFIGURATION
    06  LIFE CYCLE
    07  STATISTICS
    08  TRACERS AND SPANS
    09  CURRENT CONTEXT
    10  BAGGAGE
    11  PROPAGATION
    12  EXPORTERS AND FINISHED SPANS
    13  RESOURCES AND DETECTORS
    14  HATCHET
    15  WITHOUT TRACING
    16  MACROS FOR C
    17  THE SAME FOR C++
    18  PLATFORM
    19  TEXT
    20  LISTS OF PAIRS
    21  URLS
    22  W3C TRACE CONTEXT
    23  HTTP RESPONSES
    24  HPACK
    25  HTTP/2
    26  OTLP REPLIES
    27  GRPC
    28  FINISHED SPANS
    29  FIT FOR HATCHET
    30  JSON METADATA
    31  ENGINE IDS
    32  HATCHET TOKEN
    33  ENV FILES
    34  PEM TEXT
    35  STRUCTURES
    36  STATE
    37  LOG
    38  CLOCK AND RANDOM
    39  ARENA
    40  WRITING OTLP VALUES
    41  INSIDE A SPAN
    42  SCOPES AND RESOURCE
    43  RESOURCES AND DETECTORS
    44  THREADS AND CURRENT CONTEXT
    45  STARTING SPANS
    46  OTLP ENCODING
    47  SOCKETS
    48  TLS
    49  DESTINATIONS
    50  EXPORTER
    51  CONSOLE AND MEMORY EXPORTERS
    52  CONFIGURATION
    53  FORK
    54  HATCHET
    55  BAGGAGE AND VALUES OF CONTEXTS
    56  PROPAGATORS
    57  PUBLIC FUNCTIONS

CONCEPTS

A span is a plain struct. Start it, set attributes, end it. Spans nest through the thread's
current context: HOTEL_SCOPE makes a span current for a block and ends it when the block is left;
hotel_attach and hotel_detach do so by hand; a hotel_context carries it to another thread, a
hotel_traceparent to another process.

    --- code: nested.c
    void handle_request(int socket) {
        HOTEL_SCOPE(request, hotel_start_as("handle_request", HOTEL_SERVER));
        hotel_set(&request, hotel_int("net.socket", socket), hotel_bool("cached", false));
        {
            HOTEL_SCOPE(query, hotel_start_as("query", HOTEL_CLIENT));
            hotel_add_event(&query, "retry");
            hotel_set_status(&query, HOTEL_STATUS_ERROR, "no such table");
        }
    }
    ---

Beside the span a context carries baggage, which travels to other processes, and values of the
application under keys, which do not. A context never changes: setting makes another one, which is
given back once. Propagators write contexts into carriers and read them back; hotel_inject and
hotel_extract_from use the one that OTEL_PROPAGATORS or the application chose.

    --- code: carried.c
    static void set_header(void *request, const char *name, const char *value) {
        fprintf((FILE *)request, "%s: %s\r\n", name, value);
    }

    void send_request(FILE *request, const char *customer) {
        char memory[HOTEL_BAGGAGE_BYTES];
        hotel_baggage baggage;
        hotel_setter setter = {set_header};
        hotel_baggage_start(&baggage, memory, sizeof memory);
        hotel_context_baggage(NULL, &baggage);
        hotel_baggage_set(&baggage, "customer", customer, NULL);
        hotel_context context = hotel_context_with_baggage(NULL, &baggage);
        hotel_inject(&context, &setter, request);
        hotel_context_release(&context);
    }
    ---

Everything that a span holds is copied into an arena whose size is fixed by hotel_init. A span
begins with one chunk and takes more as it grows. When no chunk is free the span is not recorded,
its children hang under its parent, and the books count it. Nothing on this path allocates,
locks, waits or calls back, but for what you configure yourself: a clock, an ID generator, a
sampler, the hooks of a processor, or a simple destination, which hotel_end waits for. A background
thread encodes ended spans and sends them in batches to each destination: OTLP over HTTP or gRPC,
or an exporter of yours that reads them back (hotel_span_view). hotel_flush is a barrier,
hotel_shutdown the last one.

hotel_init starts the tracer provider that spans have by default. hotel_provider_start starts
another one beside it, with its own resource, sampler, limits, processors and destinations; spans of
its tracers are its own.

HATCHET

With HATCHET_CLIENT_TOKEN in the environment spans go to Hatchet too: to the collector in its
engine, over gRPC, at the address that the token names. That takes HATCHET_OTEL_OPENSSL, or
HATCHET_CLIENT_TLS_STRATEGY=none where the engine speaks clear text. hotel_config.hatchet says the
same in code; what it leaves out comes from the environment:

    --- code: hatchet.c
    hotel_result start(const char *token) {
        hotel_config config = {0};
        config.hatchet.token = token;
        config.hatchet.env_folder = ".";
        config.hatchet.collector.schedule_delay_ms = 1000;
        config.log_fn = hotel_log_to_stderr;
        return hotel_init(&config);
    }
    ---

The answer is HOTEL_ERR_TOKEN or HOTEL_ERR_TLS if that cannot be used, for reasons that are in the
log. env_folder is where .env files are read, as Hatchet's Python SDK reads them.

Each operation of a Hatchet client is a span: a task that runs or is cancelled, a run that is
triggered or scheduled, an event, a wait. Start it from the message that the client sends or has
received, send the metadata that carries the trace on, end it:

    --- code: task.c
    bool send_run(const char *workflow, const char *additional_metadata);

    void run_task(const hotel_step_run *assigned) {
        hotel_task task = hotel_start_step_run(assigned);
        hotel_trigger report = {0};
        char metadata[512];
        report.workflow_name = "report";
        hotel_span run = hotel_start_run_workflow(&report);
        hotel_inject_metadata(&run, "{\"priority\": \"low\"}", metadata, sizeof metadata);
        if (send_run("report", metadata)) hotel_succeed(&run);
        else hotel_fail(&run, "Hatchet does not answer");
        hotel_task_succeed(&task);
    }
    ---

Between the two calls every span of the task's thread, and of any thread that attaches task.context,
hangs under the task's span and carries its hatchet.* attributes.

THREADS, FORK, SIGNALS, EXIT

Every function may be called by any thread, and several threads may use one span. The span calls may
be used in signal handlers, for which an alternate stack of 8 KiB suffices, or 24 KiB beside a
processor with on_end or for the operations of section 14. After fork the child records and delivers
its own spans with its first use of the library, which must not be in a signal handler, and its
parent's spans stay valid as parents; spans that were open at the fork belong to the parent. A child
that was forked while another thread was in hotel_init, hotel_shutdown, hotel_release, or one of the
first two for a provider, begins as if never started. No call is a cancellation point; a thread that
is cancelled asynchronously loses the span it works on. The library installs no signal handler,
raises no SIGPIPE, prints nothing and does nothing at exit: call hotel_shutdown, or lose what was
not sent yet.

ERRORS

Functions that set up, wait or stop return a hotel_result. Span calls return nothing: what they
cannot do is counted by hotel_get_stats and reported once through hotel_config.log_fn
(hotel_log_to_stderr will do). NULL, zeroed, ended and stale spans ignore every call.
*/

/* Strict modes of the C library hide POSIX: asked for here, before anything is included. */
#if defined(HATCHET_OTEL_IMPLEMENTATION) && !defined(HATCHET_OTEL_IMPLEMENTATION_INCLUDED) && \
    defined(__STRICT_ANSI__) && !defined(_GNU_SOURCE)
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1
#endif
#endif

#ifndef HATCHET_OTEL_H_INCLUDED
#define HATCHET_OTEL_H_INCLUDED

/* ==== [SECTION 01] VERSION AND LINKAGE ===================================================== */

/* One source of truth for everything that is versioned with this file. */
#define HOTEL_VERSION_MAJOR 0
#define HOTEL_VERSION_MINOR 1
#define HOTEL_VERSION_PATCH 0
#define HOTEL_VERSION_STRING "0.1.0"
/* For #if: major * 10000 + minor * 100 + patch. */
#define HOTEL_VERSION_NUMBER \
    (HOTEL_VERSION_MAJOR * 10000 + HOTEL_VERSION_MINOR * 100 + HOTEL_VERSION_PATCH)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#error "hatchet_otel.h needs GCC, Clang or a compiler that speaks their dialect"
#endif

/* HATCHET_OTEL_STATIC gives a file its own private copy: nothing is visible to the linker.
   A library that embeds this header should define it. With HATCHET_OTEL_DISABLE the interface
   stays and the bodies vanish: section WITHOUT TRACING has them. */
#if defined(HATCHET_OTEL_DISABLE)
#define HOTEL_API static inline __attribute__((unused))
#elif defined(HATCHET_OTEL_STATIC)
#define HOTEL_API static __attribute__((unused))
#else
#define HOTEL_API extern
#endif
#define HOTEL_INLINE static inline __attribute__((unused))
#define HOTEL_MUST_CHECK __attribute__((warn_unused_result))
#ifdef __cplusplus
#define HOTEL_CAST(type, value) static_cast<type>(value)
#else
#define HOTEL_CAST(type, value) ((type)(value))
#endif

/* C++14 and later let a struct with member defaults be an aggregate; there, designated
   initialisers that leave members out stay free of -Wmissing-field-initializers. */
#if defined(__cplusplus) && __cplusplus >= 201402L
#define HOTEL_ZERO = {}
#else
#define HOTEL_ZERO
#endif

/* Such a struct is returned like any other, whatever Clang suspects. */
#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ==== [SECTION 02] RESULTS AND LOG MESSAGES ================================================ */

/* What set-up, flush and shutdown return. Zero is success, errors are negative.
   Span calls return nothing: they never fail the host, they count (hotel_stats). */
typedef enum hotel_result {
    HOTEL_OK = 0,
    HOTEL_ERR_TIMEOUT = -1,        /* the deadline passed first; the work may still complete      */
    HOTEL_ERR_FAILED = -2,         /* spans were lost on the way; hotel_stats says how and where  */
    HOTEL_ERR_NOT_RUNNING = -3,    /* before hotel_init or after hotel_shutdown                   */
    HOTEL_ERR_RUNNING = -4,        /* hotel_init when it runs already                             */
    HOTEL_ERR_ARGUMENT = -10,      /* an argument that cannot be used; the log names it           */
    HOTEL_ERR_HEADER = -11,        /* caller and implementation come from different headers       */
    HOTEL_ERR_ENDPOINT = -12,      /* a destination's endpoint is malformed or not supported      */
    HOTEL_ERR_TOKEN = -13,         /* Hatchet's token, or what goes with it, cannot be used       */
    HOTEL_ERR_ORDER = -14,         /* contexts detached in the wrong order                        */
    HOTEL_ERR_CALLBACK = -15,      /* a blocking call from inside one of the library's callbacks  */
    HOTEL_ERR_TLS = -16,           /* a certificate or key cannot be used; or no TLS in the build */
    HOTEL_ERR_MEMORY = -20,        /* no memory, or the memory given is too small                 */
    HOTEL_ERR_SYSTEM = -21         /* the operating system refused; the log has its words         */
} hotel_result;

/* English for a result, never NULL, for any integer. threads: any. */
HOTEL_API const char *hotel_result_text(int result);

/* Levels of OTEL_LOG_LEVEL. The default is HOTEL_LOG_INFO. */
typedef enum hotel_log_level {
    HOTEL_LOG_DEFAULT = 0,
    HOTEL_LOG_ERROR = 1,
    HOTEL_LOG_WARN = 2,
    HOTEL_LOG_INFO = 3,
    HOTEL_LOG_DEBUG = 4,
    HOTEL_LOG_NONE = 5
} hotel_log_level;

/* Everything this library can say, with a stable id: X(id, name). Tests and alerts go by id,
   people by text. A message about a lasting condition is logged once when it begins and then
   at most once a minute; the statistics have the counts. */
#define HOTEL_LOG_IDS(X)                                                                           \
    X(1, STARTED)             /* a destination was set up: where it sends                       */ \
    X(2, BAD_VARIABLE)        /* an environment variable has a bad value; what was used instead */ \
    X(3, BAD_CONFIG)          /* a value in hotel_config was clamped or ignored                 */ \
    X(4, BAD_ENDPOINT)        /* a destination was not started: its endpoint and the reason     */ \
    X(5, HATCHET)             /* a Hatchet connection setting: what is wrong with it            */ \
    X(6, SYSTEM)              /* the operating system refused something                         */ \
    X(7, DETECTOR)            /* a resource detector failed; the rest is used                   */ \
    X(8, TLS)                 /* certificates, keys, or the lack of TLS in this build           */ \
    X(10, EXPORT_RETRY)       /* a request failed and will be sent again                        */ \
    X(11, EXPORT_FAILED)      /* a request was given up: its spans are lost                     */ \
    X(12, PARTIAL_SUCCESS)    /* the server rejected some spans, or sent a warning              */ \
    X(13, EXPORT_RECOVERED)   /* the first success after failures                               */ \
    X(14, REQUEST_TOO_LARGE)  /* a span dropped: it alone is larger than max_request_bytes      */ \
    X(15, COLLECTOR_OFF)      /* Hatchet's collector is not switched on: five minutes of quiet  */ \
    X(16, MENDED_FOR_HATCHET) /* what its engine would lose a whole request for was changed     */ \
    X(17, BAD_FIELD)          /* a member of a Hatchet operation: which, and what was done      */ \
    X(20, QUEUE_FULL)         /* spans dropped: a destination's queue is full                   */ \
    X(21, ARENA_FULL)         /* spans not recorded: no chunk was free                          */ \
    X(22, SPAN_TOO_LARGE)     /* data dropped: a span reached max_span_bytes                    */ \
    X(23, LIMIT_REACHED)      /* attributes, events or links dropped by a limit                 */ \
    X(24, INVALID_UTF8)       /* text that is not UTF-8 was repaired                            */ \
    X(25, STALE_REFERENCE)    /* a released context was used: its shared values read as empty   */ \
    X(26, BAD_ARGUMENT)       /* a span call with a NULL or empty key, or a bad value           */ \
    X(27, DETACH_ORDER)       /* contexts detached in the wrong order                           */ \
    X(28, ATTACH_DEPTH)       /* too many contexts attached on one thread                       */ \
    X(29, TOO_MANY_SCOPES)    /* too many different tracers: the default one is used            */ \
    X(30, EMPTY_SCOPE_NAME)   /* a tracer was asked for without a name                          */ \
    X(31, BAD_METADATA)       /* additional_metadata is not a JSON object, or its traceparent   */ \
    X(32, BAD_TRACEPARENT)    /* a traceparent, tracestate or B3 header was refused             */ \
    X(33, RATIO_WITH_PARENT)  /* TRACE_ID_RATIO decided about a span with a parent              */ \
    X(34, NOT_RANDOM)         /* a probability was applied to trace IDs not known to be random  */ \
    X(40, BAD_BAGGAGE)        /* entries of baggage were left out on their way in or out        */ \
    X(41, CONTEXT_FULL)       /* a value or baggage found no room in a context                  */

/* HOTEL_LOG_ID_STARTED and so on. */
typedef enum hotel_log_id {
#define HOTEL_LOG_ENUM(id, name) HOTEL_LOG_ID_##name = id,
    HOTEL_LOG_IDS(HOTEL_LOG_ENUM)
#undef HOTEL_LOG_ENUM
    HOTEL_LOG_ID_MAX = 41
} hotel_log_id;

/* Receives log messages. Called on the exporter's thread, or on the thread inside hotel_init or
   hotel_provider_start, which may be at the same time, or with no_threads inside hotel_poll,
   hotel_flush and hotel_shutdown; never on the span path. While hotel_init runs, statistics asked
   for by other threads wait. message is valid during the call only and holds no secrets. Must not
   call hotel_init, hotel_flush, hotel_shutdown, hotel_release or hotel_poll: they answer
   HOTEL_ERR_CALLBACK. A child that is forked inside may use the library and must not return from
   here. */
typedef void (*hotel_log_fn)(hotel_log_level level, hotel_log_id id, const char *message,
                             void *user_data);

/* A ready-made hotel_log_fn: one line to standard error. */
HOTEL_API void hotel_log_to_stderr(hotel_log_level level, hotel_log_id id, const char *message,
                                   void *user_data);

/* ==== [SECTION 03] ATTRIBUTES ============================================================== */

/* The kinds of attribute values (SP-31). */
typedef enum hotel_type {
    HOTEL_TYPE_EMPTY = 0, /* a value that is there and empty */
    HOTEL_TYPE_STRING,
    HOTEL_TYPE_BOOL,
    HOTEL_TYPE_INT,
    HOTEL_TYPE_DOUBLE,
    HOTEL_TYPE_BYTES,
    HOTEL_TYPE_STRINGS, /* homogeneous arrays */
    HOTEL_TYPE_BOOLS,
    HOTEL_TYPE_INTS,
    HOTEL_TYPE_DOUBLES,
    HOTEL_TYPE_ARRAY, /* of hotel_value, mixed */
    HOTEL_TYPE_MAP    /* of up to 1024 hotel_attr; a repeated key keeps its last value */
} hotel_type;

struct hotel_attr;

/* One attribute value. Made by the hotel_of_* functions, borrowed: what it points to is copied
   by the call that it is passed to. Strings are UTF-8; one that is not is delivered as bytes.
   A NULL string or array is the empty value. */
typedef struct hotel_value {
    hotel_type type;
    uint32_t size; /* bytes of a string, elements of an array */
    union {
        const char *string;
        const void *bytes;
        bool boolean;
        int64_t integer;
        double real;
        const char *const *strings;
        const bool *bools;
        const int64_t *ints;
        const double *doubles;
        const struct hotel_value *values;
        const struct hotel_attr *entries;
    } as;
} hotel_value;

/* A key with its value. The key is UTF-8 and not empty; it need not end in NUL. */
typedef struct hotel_attr {
    const char *key;
    size_t key_size;
    hotel_value value;
} hotel_attr;

/* Text that is read: UTF-8, borrowed; it need not end in NUL. text NULL: none. */
typedef struct hotel_string {
    const char *text;
    size_t size;
} hotel_string;

/* Lengths of literals are computed by the compiler. A size above 4 GiB - 1 is cut there. */
HOTEL_INLINE uint32_t hotel_size32(size_t size) {
    return size > UINT32_MAX ? UINT32_MAX : HOTEL_CAST(uint32_t, size);
}
HOTEL_INLINE size_t hotel_text_size(const char *text) {
    return text ? __builtin_strlen(text) : 0;
}

/* Values. In every form (pointer, size): NULL gives the empty value. */
HOTEL_INLINE hotel_value hotel_of_empty(void) {
    hotel_value v;
    v.type = HOTEL_TYPE_EMPTY;
    v.size = 0;
    v.as.integer = 0;
    return v;
}
HOTEL_INLINE hotel_value hotel_of_strn(const char *text, size_t size) {
    hotel_value v = hotel_of_empty();
    if (text) {
        v.type = HOTEL_TYPE_STRING;
        v.size = hotel_size32(size);
        v.as.string = text;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_str(const char *text) {
    return hotel_of_strn(text, hotel_text_size(text));
}
HOTEL_INLINE hotel_value hotel_of_bool(bool value) {
    hotel_value v = hotel_of_empty();
    v.type = HOTEL_TYPE_BOOL;
    v.as.boolean = value;
    return v;
}
HOTEL_INLINE hotel_value hotel_of_int(int64_t value) {
    hotel_value v = hotel_of_empty();
    v.type = HOTEL_TYPE_INT;
    v.as.integer = value;
    return v;
}
HOTEL_INLINE hotel_value hotel_of_double(double value) {
    hotel_value v = hotel_of_empty();
    v.type = HOTEL_TYPE_DOUBLE;
    v.as.real = value;
    return v;
}
HOTEL_INLINE hotel_value hotel_of_bytes(const void *bytes, size_t size) {
    hotel_value v = hotel_of_empty();
    if (bytes) {
        v.type = HOTEL_TYPE_BYTES;
        v.size = hotel_size32(size);
        v.as.bytes = bytes;
    }
    return v;
}
/* Arrays: an element that is NULL in an array of strings is an empty value. */
HOTEL_INLINE hotel_value hotel_of_strs(const char *const *items, size_t count) {
    hotel_value v = hotel_of_empty();
    if (items) {
        v.type = HOTEL_TYPE_STRINGS;
        v.size = hotel_size32(count);
        v.as.strings = items;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_bools(const bool *items, size_t count) {
    hotel_value v = hotel_of_empty();
    if (items) {
        v.type = HOTEL_TYPE_BOOLS;
        v.size = hotel_size32(count);
        v.as.bools = items;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_ints(const int64_t *items, size_t count) {
    hotel_value v = hotel_of_empty();
    if (items) {
        v.type = HOTEL_TYPE_INTS;
        v.size = hotel_size32(count);
        v.as.ints = items;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_doubles(const double *items, size_t count) {
    hotel_value v = hotel_of_empty();
    if (items) {
        v.type = HOTEL_TYPE_DOUBLES;
        v.size = hotel_size32(count);
        v.as.doubles = items;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_array(const hotel_value *items, size_t count) {
    hotel_value v = hotel_of_empty();
    if (items) {
        v.type = HOTEL_TYPE_ARRAY;
        v.size = hotel_size32(count);
        v.as.values = items;
    }
    return v;
}
HOTEL_INLINE hotel_value hotel_of_map(const hotel_attr *entries, size_t count) {
    hotel_value v = hotel_of_empty();
    if (entries) {
        v.type = HOTEL_TYPE_MAP;
        v.size = hotel_size32(count);
        v.as.entries = entries;
    }
    return v;
}

/* Attributes: key and value in one. hotel_attrn is the form for keys without a NUL. */
HOTEL_INLINE hotel_attr hotel_attrn(const char *key, size_t key_size, hotel_value value) {
    hotel_attr a;
    a.key = key;
    a.key_size = key ? key_size : 0;
    a.value = value;
    return a;
}
HOTEL_INLINE hotel_attr hotel_empty(const char *key) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_empty());
}
HOTEL_INLINE hotel_attr hotel_str(const char *key, const char *text) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_str(text));
}
HOTEL_INLINE hotel_attr hotel_strn(const char *key, const char *text, size_t size) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_strn(text, size));
}
HOTEL_INLINE hotel_attr hotel_bool(const char *key, bool value) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_bool(value));
}
HOTEL_INLINE hotel_attr hotel_int(const char *key, int64_t value) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_int(value));
}
HOTEL_INLINE hotel_attr hotel_double(const char *key, double value) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_double(value));
}
HOTEL_INLINE hotel_attr hotel_bytes(const char *key, const void *bytes, size_t size) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_bytes(bytes, size));
}
HOTEL_INLINE hotel_attr hotel_strs(const char *key, const char *const *items, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_strs(items, count));
}
HOTEL_INLINE hotel_attr hotel_bools(const char *key, const bool *items, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_bools(items, count));
}
HOTEL_INLINE hotel_attr hotel_ints(const char *key, const int64_t *items, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_ints(items, count));
}
HOTEL_INLINE hotel_attr hotel_doubles(const char *key, const double *items, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_doubles(items, count));
}
HOTEL_INLINE hotel_attr hotel_array(const char *key, const hotel_value *items, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_array(items, count));
}
HOTEL_INLINE hotel_attr hotel_map(const char *key, const hotel_attr *entries, size_t count) {
    return hotel_attrn(key, hotel_text_size(key), hotel_of_map(entries, count));
}

/* ==== [SECTION 04] SPAN CONTEXT, SPAN, CONTEXT ============================================= */

/* A reference to a shared immutable block in the arena (tracestate, a task's attributes, baggage).
   Counted; index 0 is none; a reference that outlived its block reads as empty. Opaque. */
typedef struct hotel_block {
    uint32_t index;
    uint32_t generation;
} hotel_block;

#define HOTEL_FLAG_SAMPLED 0x01 /* W3C trace flags */
#define HOTEL_FLAG_RANDOM 0x02

/* What identifies a span across processes. Plain data, never changes (SP-19). */
typedef struct hotel_span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t trace_flags; /* HOTEL_FLAG_* */
    bool is_remote;      /* came out of hotel_extract */
    uint8_t reserved[2];
    hotel_block trace_state; /* read it with hotel_tracestate */
} hotel_span_context;

/* A span. A plain struct that the caller owns and may copy; calls take it by pointer. The
   context stays valid after the end and for spans that are not recorded. A zeroed, ended,
   stale or inherited (over fork) span ignores every call, as does NULL. Several threads may
   use one span at once; none waits (TR-32). The last three members are opaque. */
typedef struct hotel_span {
    hotel_span_context context;
    uint32_t record; /* 0: not recording */
    uint32_t generation;
    uint32_t epoch;
} hotel_span;

/* What flows from caller to callee: the current span and what is shared beside it. Plain data,
   never changed but by who made it (SP-05); see hotel_context_hold for carrying one to another
   thread. Only span is meant to be looked at. */
typedef struct hotel_context {
    hotel_span span;
    hotel_block values;  /* a Hatchet task's attributes    */
    hotel_block baggage; /* see hotel_context_with_baggage */
    hotel_block entries; /* see hotel_context_with_value   */
} hotel_context;

/* True when both IDs are non-zero (TR-16). threads: any. */
HOTEL_API bool hotel_is_valid(const hotel_span_context *context);

/* Lower-case hex with a final NUL (SP-21). NULL gives zeros. threads: any. */
HOTEL_API void hotel_trace_id_hex(const hotel_span_context *context, char out[33]);
HOTEL_API void hotel_span_id_hex(const hotel_span_context *context, char out[17]);

/* A span that only carries this context: not recording, every call ignored (SP-02). */
HOTEL_API hotel_span hotel_wrap(const hotel_span_context *context);

/* ==== [SECTION 05] CONFIGURATION =========================================================== */

/* In every configuration struct a zeroed member means its default. Where zero itself is a
   useful setting, this constant says it: a limit that keeps none, a delay of 0 ms. */
#define HOTEL_NONE UINT32_MAX

/* One header sent with each request. Copied by hotel_init. */
typedef struct hotel_header {
    const char *name HOTEL_ZERO;
    const char *value HOTEL_ZERO;
} hotel_header;

/* What an operation on a connection answers when it did not move bytes. */
typedef enum hotel_io {
    HOTEL_IO_DONE = 0,
    HOTEL_IO_WANT_READ = -1,  /* call again when the descriptor is readable  */
    HOTEL_IO_WANT_WRITE = -2, /* call again when the descriptor is writable  */
    HOTEL_IO_CLOSED = -3,     /* receive: the peer closed in order           */
    HOTEL_IO_REFUSED = -4     /* lost or never made; errno may say why       */
} hotel_io;

/* How bytes travel. The built-in one is TCP and Unix sockets; an application brings its own
   for another TLS library, lwIP or a serial line. All functions are called by one thread at
   a time (the exporter's, or the one in hotel_poll) and must not block. receive_fn is also called
   while a request is still being sent, because a server may answer early, and before one, to see
   whether a kept connection is still good. Up to max_inflight connections are open at once. */
typedef struct hotel_transport {
    /* Starts a connection; the result is handed to all the others. NULL: failed at once. */
    void *(*open_fn)(const char *host, uint16_t port, void *user_data)HOTEL_ZERO;
    /* Carries on connecting: HOTEL_IO_DONE, a want, or HOTEL_IO_REFUSED. */
    int (*connect_fn)(void *connection) HOTEL_ZERO;
    /* Bytes moved (> 0), a want, or HOTEL_IO_CLOSED / HOTEL_IO_REFUSED. */
    ptrdiff_t (*send_fn)(void *connection, const void *bytes, size_t size) HOTEL_ZERO;
    ptrdiff_t (*receive_fn)(void *connection, void *bytes, size_t size) HOTEL_ZERO;
    /* Descriptor to wait on; -1: there is none, try again every 10 ms. */
    int (*descriptor_fn)(void *connection) HOTEL_ZERO;
    /* Ends it and frees it. inherited: in a fork child, release without a word to the peer. */
    void (*close_fn)(void *connection, bool inherited) HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_transport;

/* How requests are packed (OX-08, OT-02). */
typedef enum hotel_compression {
    HOTEL_COMPRESSION_DEFAULT = 0, /* OTEL_EXPORTER_OTLP_(TRACES_)COMPRESSION, else none */
    HOTEL_COMPRESSION_NONE,
    HOTEL_COMPRESSION_GZIP /* needs HATCHET_OTEL_ZLIB. What would not shrink goes out plain. zlib
                              takes its 270 KiB for each destination by malloc, in hotel_init */
} hotel_compression;

/* How requests travel (OX-10). */
typedef enum hotel_protocol {
    HOTEL_PROTOCOL_DEFAULT = 0, /* OTEL_EXPORTER_OTLP_(TRACES_)PROTOCOL, else http/protobuf */
    HOTEL_PROTOCOL_HTTP,        /* http/protobuf: protobuf over HTTP/1.1 */
    HOTEL_PROTOCOL_GRPC         /* grpc: over HTTP/2, without TLS by prior knowledge */
} hotel_protocol;

/* The least that is spoken (OT-10). */
typedef enum hotel_tls_version {
    HOTEL_TLS_DEFAULT = 0, /* 1.2 */
    HOTEL_TLS_1_2,
    HOTEL_TLS_1_3
} hotel_tls_version;

/*
 * How a connection is secured, where the endpoint says https (OX-04 to OX-06, OT-10); needs
 * HATCHET_OTEL_OPENSSL. The chain and the name or address of the server are always verified, by
 * the certificate's alternative names; revocation is not. Files and text are PEM, read by
 * hotel_init; text beats the file. Members that are not set: the variables
 * OTEL_EXPORTER_OTLP_(TRACES_)CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY.
 *
 * A destination whose certificates cannot be used is not started (HOTEL_ERR_TLS). A server that is
 * not to be trusted counts as one that cannot be reached: there are further attempts up to
 * timeout_ms, and the log says what is wrong. OpenSSL takes its memory by malloc. It has locks
 * that do not survive a fork while another thread of the program uses it: spans of such a child
 * may not be sent.
 */
typedef struct hotel_tls {
    /* Whom to trust; NULL: the roots of the system, where OpenSSL and SSL_CERT_FILE have them. */
    const char *ca_file HOTEL_ZERO;
    const char *ca_pem HOTEL_ZERO;
    const char *certificate_file HOTEL_ZERO; /* the client's, or its chain */
    const char *certificate_pem HOTEL_ZERO;
    const char *key_file HOTEL_ZERO;
    const char *key_pem HOTEL_ZERO;
    const char *server_name HOTEL_ZERO; /* expected and sent instead of the endpoint's host */
    hotel_tls_version min_version HOTEL_ZERO;
} hotel_tls;

/* Where spans go: OTLP over HTTP or gRPC, protobuf. Copied by hotel_init. */
typedef struct hotel_destination {
    /* http://host:port[/path], https://host:port[/path] or unix:/path/to/socket[:/path]. Without a
       path /v1/traces is used, with one exactly that. With gRPC the path is not used, host:port
       will do, and is https unless insecure (OX-02). NULL: OTEL_EXPORTER_OTLP_*, else localhost,
       port 4318 or with gRPC 4317. */
    const char *endpoint HOTEL_ZERO;
    hotel_protocol protocol HOTEL_ZERO;
    bool insecure HOTEL_ZERO; /* no TLS to a host:port without a scheme;
                                 OTEL_EXPORTER_OTLP_(TRACES_)INSECURE (OX-03) */
    hotel_tls tls HOTEL_ZERO;
    const hotel_header *headers HOTEL_ZERO; /* replace those of the environment (C-05) */
    size_t num_headers HOTEL_ZERO;
    uint32_t timeout_ms HOTEL_ZERO;            /* one batch, all attempts; 10000       */
    uint32_t schedule_delay_ms HOTEL_ZERO;     /* longest wait of an ended span; 5000             */
    uint32_t max_queue_size HOTEL_ZERO;        /* ended spans that wait; 2048                     */
    uint32_t max_export_batch_size HOTEL_ZERO; /* spans in a request; 512                         */
    /* Largest request, before compression (OX-11). 512 KiB, smaller in a small arena; at most
       64 MiB, the specification's limit. A span that alone is larger is dropped and counted. */
    uint32_t max_request_bytes HOTEL_ZERO;
    uint32_t max_response_bytes HOTEL_ZERO; /* a larger one is a failure, final (OX-12); 4 MiB    */
    /* Requests under way at once, each on a connection of its own and with a buffer of
       max_request_bytes, or two of them with gzip (OC-01). 1, at most 8. With more than one,
       batches may arrive in another order. While the server fails one of them tries alone. */
    uint32_t max_inflight HOTEL_ZERO;
    hotel_compression compression HOTEL_ZERO;
    const hotel_transport *transport HOTEL_ZERO; /* table is copied; NULL: sockets               */
    /* Spans go to this exporter instead, in batches (EX-01); endpoint, headers, compression,
       max_inflight and transport have no meaning then. Copied. NULL: OTLP over HTTP. */
    const struct hotel_exporter *exporter HOTEL_ZERO;
    /* The simple processor (BSP-29): each span is exported by itself, and hotel_end returns when
       that is over, after 30 s at the latest. For tests and the console: it makes the span path
       wait, and hotel_end must not be called in signal handlers. */
    bool simple HOTEL_ZERO;
} hotel_destination;

/* Who shows a certificate, in the words of Hatchet's SDKs: tls, mtls, none. */
typedef enum hotel_tls_strategy {
    HOTEL_TLS_STRATEGY_DEFAULT = 0, /* HATCHET_CLIENT_TLS_STRATEGY, else tls */
    HOTEL_TLS_STRATEGY_TLS,         /* the server shows a certificate */
    HOTEL_TLS_STRATEGY_MTLS,        /* the client too */
    HOTEL_TLS_STRATEGY_NONE         /* clear text */
} hotel_tls_strategy;

/*
 * The connection to Hatchet. With a token, spans go to the collector in Hatchet's engine, beside
 * the other destinations: OTLP over gRPC, with the token as credentials, at most 1000 spans in a
 * request. Each member that is not set has a variable of Hatchet's SDKs, named behind it, all with
 * the prefix HATCHET_CLIENT_. Without a token there is no such destination, and that is no error.
 *
 * An engine whose collector is switched off answers UNIMPLEMENTED: the spans of that request and of
 * the next five minutes are lost, counted as failed, and the log says so once each time. What would
 * make the engine lose a whole request is changed on the way to it, and logged: texts with NUL, and
 * a hatchet.step_run_id or hatchet.workflow_run_id that is not a UUID, are sent as bytes; a span
 * that started more than a day away from now goes in a request of its own.
 */
typedef struct hotel_hatchet {
    const char *token HOTEL_ZERO;     /* TOKEN */
    const char *host_port HOTEL_ZERO; /* HOST_PORT, else the address in the token */
    hotel_tls_strategy tls_strategy HOTEL_ZERO; /* TLS_STRATEGY */
    /* TLS_ROOT_CA_FILE, TLS_CERT_FILE, TLS_KEY_FILE; as text in TLS_ROOT_CA, TLS_CERT, TLS_KEY;
       TLS_SERVER_NAME; TLS_MIN_VERSION, "1.2" or "1.3" */
    hotel_tls tls HOTEL_ZERO;
    const char *name_space HOTEL_ZERO; /* NAMESPACE: prefix of workflows and events */
    const char *tenant_id HOTEL_ZERO;  /* TENANT_ID, else the one in the token */
    bool no_collector HOTEL_ZERO; /* no destination; the rest holds. The enable_hatchet_collector
                                     of other SDKs, the other way round */
    /* Folder, "." for example, whose files .env, .env.hatchet, .env.dev and .env.local are read for
       these variables, a later file winning; the environment beats them all. Written as for
       python-dotenv: export, quotes, comments, ${NAME}; at most 64 KiB each. hotel_init takes
       128 KiB for the time of reading, by allocator or malloc even if it is given memory. NULL, or
       in a program with borrowed rights: none is read. */
    const char *env_folder HOTEL_ZERO;
    /* Attributes that no span carries, and no span of a task inherits: names out of
       HOTEL_HATCHET_KEYS with or without "hatchet.", in any case, or the names of the Python SDK's
       enum (ACTION_PAYLOAD, FILTER_SCOPE), as a JSON array or separated by commas.
       OPENTELEMETRY_EXCLUDED_ATTRIBUTES. instrumentor, num_workflows, num_events and unique_...
       stay. */
    const char *excluded_attributes HOTEL_ZERO;
    /* A task's span is called hatchet.start_step_run.<action_name>.
       OPENTELEMETRY_INCLUDE_TASK_NAME_IN_START_STEP_RUN_SPAN_NAME. Hatchet's dashboard shows it
       beside the engine's own span then, not as one with it. */
    bool task_name_in_span_name HOTEL_ZERO;
    /* Each run of a batch has a span: see hotel_start_run_of.
       OPENTELEMETRY_INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN. */
    bool individual_run_spans HOTEL_ZERO;
    /* The largest hatchet.payload, in bytes, that the spans inside a task carry as well; a larger
       one stays on the task's own span, because hundreds of copies in a request pass what the
       engine accepts. 0: 2048; below 0: never. For code alone. */
    int32_t shared_payload_bytes HOTEL_ZERO;
    /* How spans go there: timeout, delay, batch, queue, compression, transport ... Its endpoint,
       protocol, insecure, headers, tls and exporter are not looked at. */
    hotel_destination collector HOTEL_ZERO;
} hotel_hatchet;

/* Samplers (SM-01, SM-05 to SM-16). OTEL_TRACES_SAMPLER has names for the first six; the others
   are for code. */
typedef enum hotel_sampler_type {
    HOTEL_SAMPLER_DEFAULT = 0, /* OTEL_TRACES_SAMPLER, else parent based, always on at the root */
    HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON,
    HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF,
    HOTEL_SAMPLER_ALWAYS_ON,
    HOTEL_SAMPLER_ALWAYS_OFF,
    HOTEL_SAMPLER_TRACE_ID_RATIO,              /* by trace ID, whatever the parent says */
    HOTEL_SAMPLER_PARENT_BASED_TRACE_ID_RATIO, /* by ratio at the root, then as the parent */
    HOTEL_SAMPLER_PARENT_BASED,                /* with delegates of your own */
    HOTEL_SAMPLER_ALWAYS_RECORD,               /* what root drops is recorded, not exported */
    HOTEL_SAMPLER_CUSTOM,                      /* sample_fn decides */
    HOTEL_SAMPLER_PROBABILITY, /* by ratio, consistent among all services, said in tracestate */
    HOTEL_SAMPLER_COMPOSITE,   /* as root says: one of the next, ALWAYS_ON, _OFF or PROBABILITY */
    HOTEL_SAMPLER_PARENT_THRESHOLD, /* in a composite: as the parent, root for those without one */
    HOTEL_SAMPLER_RULE_BASED,       /* in a composite: the first of rules that matches */
    HOTEL_SAMPLER_ANNOTATING        /* in a composite: as root, and attributes are added */
} hotel_sampler_type;

/* What a sampler decides (SM-01). */
typedef enum hotel_decision {
    HOTEL_DROP = 0,             /* not recorded; the span still has an ID of its own (TR-56) */
    HOTEL_RECORD_ONLY = 1,      /* recorded for processors, not exported, not sampled */
    HOTEL_RECORD_AND_SAMPLE = 2
} hotel_decision;

/* What a sampler is asked about; borrowed (TR-54). */
typedef struct hotel_sampling {
    const struct hotel_context *parent; /* never NULL; its span is invalid for a root */
    const uint8_t *trace_id;            /* 16 bytes */
    const char *name;
    size_t name_size;
    int kind;                           /* hotel_kind */
    const struct hotel_attr *attributes; /* given at start, as are the links */
    size_t num_attributes;
    const struct hotel_link *links;
    size_t num_links;
} hotel_sampling;

/* Its answer, zeroed before: what is not set is HOTEL_DROP, no attribute, the parent's
   tracestate. What it points to must live until the start call returns. */
typedef struct hotel_sampling_result {
    hotel_decision decision;
    const struct hotel_attr *attributes; /* added to the span; the caller's win (SM-02) */
    size_t num_attributes;
    const char *trace_state; /* replaces the parent's in recorded spans; "" clears it (TR-53) in
                                dropped ones too */
} hotel_sampling_result;

/* A sampler of your own. Called on the span path by any thread, also in signal handlers if they
   start spans; must be fast and thread-safe, and starts no span itself (SM-03). */
typedef void (*hotel_sampler_fn)(const hotel_sampling *input, hotel_sampling_result *result,
                                 void *user_data);

/* Whether a rule applies to a span. Called as a hotel_sampler_fn is. */
typedef bool (*hotel_match_fn)(const hotel_sampling *input, void *user_data);

/* A rule of RULE_BASED: the first that matches decides, by its sampler (SM-16). */
typedef struct hotel_sampler_rule {
    hotel_match_fn match_fn HOTEL_ZERO; /* NULL: every span */
    void *user_data HOTEL_ZERO;
    const struct hotel_sampler *sampler HOTEL_ZERO; /* what may stand in a composite */
} hotel_sampler_rule;

/*
 * A sampler with those it delegates to, the samplers of rules too; up to 12 in all, copied by
 * hotel_init. NULL as a root is ALWAYS_ON.
 *
 * TRACE_ID_RATIO with a ratio r keeps the traces whose low 63 bits are below r * 2^63: every trace
 * that a smaller ratio keeps, and the same ones as the SDKs for Go, Rust and Python (SM-08). It is
 * meant for roots: a span with a parent is reported (SM-09).
 *
 * PROBABILITY and COMPOSITE sample consistently: a span is kept if the 56 bits of randomness of its
 * trace (rv in the tracestate's ot member, else the end of the trace ID) are not below a threshold,
 * (1 - r) * 2^56 with four hex digits behind the leading f's, and a span that is kept tells the
 * threshold as th in its tracestate (SM-10 to SM-13). Spans of every service and ratio can so be
 * counted. PARENT_THRESHOLD applies the parent's th; without a usable one it keeps what the parent
 * kept, and th is removed (SM-14, SM-16). RULE_BASED drops what no rule matches.
 *
 * A span that is dropped keeps the parent's tracestate, unless th was all that it held.
 */
typedef struct hotel_sampler {
    hotel_sampler_type type HOTEL_ZERO;
    double ratio HOTEL_ZERO;                              /* 0 keeps none, 1 keeps all */
    /* PARENT_BASED, ALWAYS_RECORD, COMPOSITE, PARENT_THRESHOLD, ANNOTATING */
    const struct hotel_sampler *root HOTEL_ZERO;
    /* PARENT_BASED: by what the parent is; NULL: as the parent did. */
    const struct hotel_sampler *remote_sampled HOTEL_ZERO;
    const struct hotel_sampler *remote_not_sampled HOTEL_ZERO;
    const struct hotel_sampler *local_sampled HOTEL_ZERO;
    const struct hotel_sampler *local_not_sampled HOTEL_ZERO;
    hotel_sampler_fn sample_fn HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
    const char *description HOTEL_ZERO; /* of a CUSTOM one; kept by reference */
    const hotel_sampler_rule *rules HOTEL_ZERO; /* RULE_BASED */
    size_t num_rules HOTEL_ZERO;
    const struct hotel_attr *attributes HOTEL_ZERO; /* ANNOTATING; kept by reference */
    size_t num_attributes HOTEL_ZERO;
} hotel_sampler;

/* The text that other SDKs use for it, "TraceIdRatioBased{0.25}" (SM-04), with snprintf's
   manners. threads: any. */
HOTEL_API size_t hotel_sampler_description(const hotel_sampler *sampler, char *out,
                                           size_t capacity);

/* Span limits (SP-34 to SP-39). Zero is the default, HOTEL_NONE keeps none. */
typedef struct hotel_limits {
    uint32_t attribute_count HOTEL_ZERO;        /* 128                                     */
    uint32_t attribute_value_length HOTEL_ZERO; /* code points, or bytes of a byte string; none */
    uint32_t attribute_value_depth HOTEL_ZERO;  /* 64                                      */
    uint32_t event_count HOTEL_ZERO;            /* 128                                     */
    uint32_t link_count HOTEL_ZERO;             /* 128                                     */
    uint32_t event_attribute_count HOTEL_ZERO;  /* 128                                     */
    uint32_t link_attribute_count HOTEL_ZERO;   /* 128                                     */
    uint32_t max_span_bytes HOTEL_ZERO;         /* what one span may hold; arena / 16      */
} hotel_limits;

/* Replaces the clock: Unix time in nanoseconds, never 0. Called on the span path by any
   thread; must be fast, thread-safe and async-signal-safe. */
typedef struct hotel_clock {
    uint64_t (*now_ns_fn)(void *user_data)HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_clock;

/* Replaces the ID generator (SP-71). Both functions or neither; called on the span path by any
   thread. All-zero IDs are replaced by random ones. */
typedef struct hotel_id_generator {
    void (*trace_id_fn)(uint8_t out[16], void *user_data) HOTEL_ZERO;
    void (*span_id_fn)(uint8_t out[8], void *user_data) HOTEL_ZERO;
    bool is_random HOTEL_ZERO; /* the low 56 bits of the trace ID are random (SP-72) */
    void *user_data HOTEL_ZERO;
} hotel_id_generator;

struct hotel_span;
struct hotel_span_view;

/* Hooks into the life of recorded spans, RECORD_ONLY ones included (BSP-08, BSP-09). Each may be
   NULL. They run on the thread that starts or ends the span, in the order of the list, cost what
   they cost, and are exempt from the promises of the span path: on_end gets the span encoded. Must
   be thread-safe; spans that they start are not recorded, and waiting calls answer
   HOTEL_ERR_CALLBACK. */
typedef struct hotel_processor {
    /* parent: the context that was resolved, never NULL (TR-24). */
    void (*on_start_fn)(const struct hotel_span *span, const struct hotel_context *parent,
                        void *user_data) HOTEL_ZERO;
    /* The end time is fixed, the span still takes attributes, events and links (TR-36). */
    void (*on_ending_fn)(const struct hotel_span *span, void *user_data) HOTEL_ZERO;
    /* The finished span, borrowed. */
    void (*on_end_fn)(const struct hotel_span_view *span, void *user_data) HOTEL_ZERO;
    /* Called by hotel_flush and, once, by hotel_shutdown on their threads (TR-07, TR-08). */
    hotel_result (*flush_fn)(uint32_t timeout_ms, void *user_data) HOTEL_ZERO;
    hotel_result (*shutdown_fn)(uint32_t timeout_ms, void *user_data) HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_processor;

/* Memory for set-up: hotel_init and hotel_provider_start take what they need, hotel_release and
   the next hotel_init give it back. Neither function is ever called on the span path, nor may they
   call hotel_init, hotel_flush, hotel_shutdown, hotel_release or hotel_poll. */
typedef struct hotel_allocator {
    void *(*allocate_fn)(size_t size, void *user_data)HOTEL_ZERO; /* NULL: malloc and free */
    void (*free_fn)(void *memory, void *user_data) HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_allocator;

/* A tracer provider. {0} is the one that hotel_init starts. */
typedef struct hotel_provider {
    uint32_t index;
    uint32_t serial;
} hotel_provider;

/* Identity of an instrumentation scope (SP-100). Copied. */
typedef struct hotel_tracer_config {
    hotel_provider provider HOTEL_ZERO; /* whose tracer it is */
    const char *name HOTEL_ZERO; /* the instrumented library, module or program */
    const char *version HOTEL_ZERO;
    const char *schema_url HOTEL_ZERO;
    const hotel_attr *attributes HOTEL_ZERO;
    size_t num_attributes HOTEL_ZERO;
} hotel_tracer_config;

struct hotel_detector;
struct hotel_propagator; /* section PROPAGATION */

/* Everything hotel_init takes. Zeroed is a working default. Code beats environment beats
   default (SP-95). Nothing is kept by reference but the functions, their user data, and memory. */
typedef struct hotel_config {
    const char *service_name HOTEL_ZERO; /* OTEL_SERVICE_NAME, else unknown_service:<program> */
    const hotel_attr *resource HOTEL_ZERO; /* win over OTEL_RESOURCE_ATTRIBUTES                */
    size_t num_resource HOTEL_ZERO;
    const char *resource_schema_url HOTEL_ZERO;
    /* Asked in their order. What they find beats the defaults; OTEL_RESOURCE_ATTRIBUTES,
       OTEL_SERVICE_NAME and the members above beat it (SP-95). At most 8 KiB; takes 16 KiB of
       memory. Different schema URLs, of detectors and the one above, are an error (RS-07). */
    const struct hotel_detector *detectors HOTEL_ZERO;
    size_t num_detectors HOTEL_ZERO;
    /* At most 4, with Hatchet's. None: one by the environment, if there is no token, or an
       OTLP endpoint or OTEL_TRACES_EXPORTER is set beside it. */
    const hotel_destination *destinations HOTEL_ZERO;
    size_t num_destinations HOTEL_ZERO;
    hotel_hatchet hatchet HOTEL_ZERO;
    hotel_tracer_config tracer HOTEL_ZERO; /* scope of spans that name no tracer               */
    hotel_sampler sampler HOTEL_ZERO;
    /* Becomes the global one; the struct is copied. NULL: OTEL_PROPAGATORS, else
       tracecontext,baggage. */
    const struct hotel_propagator *propagator HOTEL_ZERO;
    hotel_limits limits HOTEL_ZERO; /* OTEL_*_LIMIT                                            */
    const hotel_processor *processors HOTEL_ZERO; /* copied                                    */
    size_t num_processors HOTEL_ZERO;             /* at most 4                                 */
    bool no_destinations HOTEL_ZERO; /* nothing is exported; OTEL_TRACES_EXPORTER=none         */
    bool disabled HOTEL_ZERO; /* records nothing, propagates still; OTEL_SDK_DISABLED (EV-01)  */
    size_t arena_bytes HOTEL_ZERO; /* span memory: 2 MiB                                       */
    void *memory HOTEL_ZERO;       /* use this block for everything instead of malloc          */
    size_t memory_bytes HOTEL_ZERO;
    bool no_threads HOTEL_ZERO;         /* the application calls hotel_poll; only the lookup   */
                                        /* of a host name still takes a short-lived thread     */
    bool ignore_environment HOTEL_ZERO; /* read no environment variable                        */
    hotel_allocator allocator HOTEL_ZERO;
    hotel_log_level log_level HOTEL_ZERO; /* OTEL_LOG_LEVEL                                    */
    hotel_log_fn log_fn HOTEL_ZERO; /* NULL: silent                                            */
    void *log_user_data HOTEL_ZERO;
    hotel_clock clock HOTEL_ZERO;
    hotel_id_generator id_generator HOTEL_ZERO;
} hotel_config;

/* ==== [SECTION 06] LIFE CYCLE ============================================================== */

/* Starts the library: reads configuration and environment, sets up the arena, the destinations
   and (unless no_threads) the exporter's thread. config NULL: all defaults. Copies what it is
   given. Starts every destination that is valid and returns the first error; without a valid
   destination it still records, and drops at export. HOTEL_ERR_RUNNING when started already, or
   when a processor of before has not returned.
   After hotel_shutdown it may be called again; the arena stays as it is until hotel_release.
   threads: any, one at a time wins. */
#define hotel_init(...) \
    hotel_init_checked(__VA_ARGS__, sizeof(hotel_config), HOTEL_VERSION_NUMBER)
HOTEL_API hotel_result hotel_init_checked(const hotel_config *config, size_t config_size,
                                          int version);

/* Delivers every span that ended before the call, to every destination, or returns at the
   deadline (BSP-13 to BSP-17). HOTEL_ERR_FAILED: some were lost in the meantime. timeout_ms
   0 starts the delivery and returns. threads: any. callbacks: HOTEL_ERR_CALLBACK. */
HOTEL_API HOTEL_MUST_CHECK hotel_result hotel_flush(uint32_t timeout_ms);

/* hotel_flush, then stops for good: spans started later are not recorded. What is not delivered
   at the deadline is dropped and counted. Returns within timeout_ms plus a few milliseconds,
   whatever the servers do. The second call returns HOTEL_OK at once (BSP-18, BSP-19).
   The statistics stay readable. threads: any. */
HOTEL_API hotel_result hotel_shutdown(uint32_t timeout_ms);

/* Gives the arena back after hotel_shutdown. A shared object that embeds the implementation may be
   unloaded then; one that is unloaded without stays in memory while its threads run (glibc), or
   must not be. The application warrants that no other thread is inside the library. Not needed
   before exit. */
HOTEL_API hotel_result hotel_release(void);

/* Starts a further tracer provider with its own resource, sampler, limits, clock, ID generator,
   processors and destinations (TR-01); at most HATCHET_OTEL_MAX_PROVIDERS in all. What belongs to
   the process is ignored in its configuration: arena_bytes, limits.max_span_bytes, no_threads,
   allocator, propagator, log. memory is for its set-up only. hotel_init comes first; hotel_shutdown
   shuts it down too. Get tracers by hotel_tracer_config.provider. Results as of hotel_init; when
   none was started *out names none, and its tracers record nothing. threads: any. */
HOTEL_API hotel_result hotel_provider_start(const hotel_config *config, hotel_provider *out);

/* hotel_flush and hotel_shutdown for one provider. hotel_provider_shutdown with {0} shuts down all,
   as hotel_shutdown does. After its shutdown a provider's tracers record nothing; its place is
   free again after the next hotel_init. threads: any. */
HOTEL_API HOTEL_MUST_CHECK hotel_result hotel_provider_flush(hotel_provider provider,
                                                             uint32_t timeout_ms);
HOTEL_API hotel_result hotel_provider_shutdown(hotel_provider provider, uint32_t timeout_ms);

/* With no_threads: does what is due, waiting at most timeout_ms for the network. Returns
   HOTEL_OK, or HOTEL_ERR_NOT_RUNNING. One thread at a time; a signal handler that interrupts it
   makes no spans. */
HOTEL_API hotel_result hotel_poll(uint32_t timeout_ms);

/* What a loop of your own has to wait for: <poll.h>'s events on a descriptor. */
typedef struct hotel_descriptor {
    int fd;
    short events;
} hotel_descriptor;

/* With no_threads: the descriptors whose events, and *timeout_ms the time after which, hotel_poll
   has something to do; ask again after each hotel_poll, because both change. Returns how many
   there are, at most 32 for each provider, and writes up to `capacity` of them. Spans that end
   meanwhile may bring the time forward: ask again after those, or let them wait for the delay that
   was given.
   threads: one at a time, as hotel_poll. */
HOTEL_API size_t hotel_get_descriptors(hotel_descriptor *out, size_t capacity,
                                       uint32_t *timeout_ms);

/* The version this implementation was compiled from, "0.1.0". */
HOTEL_API const char *hotel_version(void);

/* ==== [SECTION 07] STATISTICS ============================================================== */

/* The books since hotel_init (a fork child starts at zero). On 32-bit machines the counters come
   round at 2^32. Once no call is in progress
       started = unsampled + not_admitted + live + record_only + ended
   and for each destination
       offered = queued + accepted + rejected + failed + dropped_queue_full + dropped_too_large
                 + dropped_shutdown,
   where queued is 0 after hotel_shutdown and offered then is the number of its
   provider's spans that ended. */
typedef struct hotel_stats {
    uint64_t started;      /* spans asked for while running                      */
    uint64_t unsampled;    /* the sampler said no                                */
    uint64_t not_admitted; /* no chunk was free                                  */
    uint64_t live;         /* recording, not ended                               */
    uint64_t record_only;  /* ended, but not sampled: processors saw them        */
    uint64_t ended;        /* sampled, for the destinations                      */
    uint64_t limited;      /* attributes, events, links, baggage, context values dropped by */
                           /* limits or lack of space                                      */
    uint64_t repaired;            /* texts that were not UTF-8 and were repaired   */
    uint64_t stale_references;    /* contexts used after their release             */
    uint64_t bad_arguments;       /* calls with unusable arguments                 */
    uint64_t rejected_parents;    /* traceparents, B3, baggage, metadata refused   */
    uint64_t chunks_total;        /* size of the arena in chunks                   */
    uint64_t chunks_free;
    size_t num_destinations;
} hotel_stats;

/* What became of the spans that were handed to a destination. */
typedef struct hotel_destination_stats {
    uint64_t offered;  /* spans handed to it                                             */
    uint64_t accepted; /* by the server                                                  */
    uint64_t rejected; /* by the server: partial success                                 */
    uint64_t failed;   /* sent without success; the outcome may be unknown               */
    uint64_t dropped_queue_full;
    uint64_t dropped_too_large; /* one span larger than max_request_bytes                */
    uint64_t dropped_shutdown;  /* not delivered when shutdown's time was over           */
    uint64_t queued;            /* waiting now, the requests in flight included          */
    uint64_t requests;          /* sent, repeats included                                */
    uint64_t retries;
    uint64_t connections;
    uint64_t bytes_sent;
} hotel_destination_stats;

/* Fills *out with a consistent-enough reading at any time. threads: any. */
HOTEL_API void hotel_get_stats(hotel_stats *out);

/* index counts from 0 in the order of hotel_config. HOTEL_ERR_ENDPOINT for one that was not
   started, HOTEL_ERR_ARGUMENT beyond the last; *out is zeroed then. */
HOTEL_API hotel_result hotel_get_destination_stats(size_t index, hotel_destination_stats *out);

/* The configuration in force as text, a line a setting, secrets masked, with snprintf's
   manners: returns the size needed without the NUL. threads: any. */
HOTEL_API size_t hotel_describe(char *out, size_t capacity);

/* ==== [SECTION 08] TRACERS AND SPANS ======================================================= */

/* A tracer: an instrumentation scope. {0} is the default one of hotel_config. */
typedef struct hotel_tracer {
    uint32_t scope;
    uint32_t generation;
} hotel_tracer;

/* A tracer for this identity; equal identities give equal tracers, whatever the order of their
   attributes (TR-02 to TR-05, SP-100). At most 64 different ones of up to 2 KiB each, then the
   default tracer. Keep the result rather than ask per span. Works before hotel_init only in that
   it returns the default one. threads: any. */
HOTEL_API hotel_tracer hotel_get_tracer(const hotel_tracer_config *config);

/* True when spans of this tracer may be recorded now (SP-03). Ask each time. */
HOTEL_API bool hotel_is_enabled(hotel_tracer tracer);

/* Span kinds, by their wire values (SP-14). */
typedef enum hotel_kind {
    HOTEL_KIND_DEFAULT = 0, /* HOTEL_INTERNAL */
    HOTEL_INTERNAL = 1,
    HOTEL_SERVER = 2,
    HOTEL_CLIENT = 3,
    HOTEL_PRODUCER = 4,
    HOTEL_CONSUMER = 5
} hotel_kind;

/* A link to another span (SP-52). */
typedef struct hotel_link {
    hotel_span_context context HOTEL_ZERO;
    const hotel_attr *attributes HOTEL_ZERO;
    size_t num_attributes HOTEL_ZERO;
} hotel_link;

/* How to start a span. Attributes and links given here are seen by samplers, those set later
   are not: prefer to give them here (TR-12). */
typedef struct hotel_start_options {
    hotel_tracer tracer HOTEL_ZERO;
    const hotel_context *parent HOTEL_ZERO; /* NULL: the thread's current context */
    hotel_kind kind HOTEL_ZERO;
    bool root HOTEL_ZERO;              /* a new trace, whatever is current (TR-20)            */
    uint64_t start_time_ns HOTEL_ZERO; /* Unix time; 0: now                                   */
    const hotel_attr *attributes HOTEL_ZERO;
    size_t num_attributes HOTEL_ZERO;
    const hotel_link *links HOTEL_ZERO;
    size_t num_links HOTEL_ZERO;
    size_t name_size HOTEL_ZERO; /* of a name without NUL; 0: up to the NUL                  */
} hotel_start_options;

/* Start a span: a child of the thread's current span, or a root (SP-10 to SP-15). It does not
   become current. name is copied; NULL is "". Costs two clock reads with hotel_end, allocates
   nothing, takes no lock. Without a free chunk the parent's context comes back, not recording.
   threads: any, signal handlers too. */
HOTEL_API hotel_span hotel_start_with(const char *name, const hotel_start_options *options);
HOTEL_API hotel_span hotel_start(const char *name);
HOTEL_API hotel_span hotel_start_as(const char *name, hotel_kind kind);
HOTEL_API hotel_span hotel_start_in(const hotel_context *parent, const char *name,
                                    hotel_kind kind);

/* Ends it: now, or at a Unix time in nanoseconds. Children stay open, the current context stays
   as it is (TR-27). Every later call on the span is ignored. */
HOTEL_API void hotel_end(const hotel_span *span);
HOTEL_API void hotel_end_at(const hotel_span *span, uint64_t end_time_ns);

/* True from start to end of a span that is recorded (TR-29). */
HOTEL_API bool hotel_is_recording(const hotel_span *span);

/* Sets attributes: a key that is there gets the new value (TR-37). A NULL or empty key is
   ignored and counted. From C and C++: hotel_set(&span, hotel_str(...), hotel_int(...), ...);
   several at once cost less than one by one. threads: any. */
HOTEL_API void hotel_set_attrs(const hotel_span *span, const hotel_attr *attributes,
                               size_t num_attributes);

/* One attribute at a time; value rules as for the hotel_of_* functions above. */
HOTEL_INLINE void hotel_set_attr(const hotel_span *span, hotel_attr attribute) {
    hotel_set_attrs(span, &attribute, 1);
}
HOTEL_INLINE void hotel_set_empty(const hotel_span *span, const char *key) {
    hotel_set_attr(span, hotel_empty(key));
}
HOTEL_INLINE void hotel_set_str(const hotel_span *span, const char *key, const char *text) {
    hotel_set_attr(span, hotel_str(key, text));
}
HOTEL_INLINE void hotel_set_strn(const hotel_span *span, const char *key, const char *text,
                                 size_t size) {
    hotel_set_attr(span, hotel_strn(key, text, size));
}
HOTEL_INLINE void hotel_set_bool(const hotel_span *span, const char *key, bool value) {
    hotel_set_attr(span, hotel_bool(key, value));
}
HOTEL_INLINE void hotel_set_int(const hotel_span *span, const char *key, int64_t value) {
    hotel_set_attr(span, hotel_int(key, value));
}
HOTEL_INLINE void hotel_set_double(const hotel_span *span, const char *key, double value) {
    hotel_set_attr(span, hotel_double(key, value));
}
HOTEL_INLINE void hotel_set_bytes(const hotel_span *span, const char *key, const void *bytes,
                                  size_t size) {
    hotel_set_attr(span, hotel_bytes(key, bytes, size));
}
HOTEL_INLINE void hotel_set_strs(const hotel_span *span, const char *key,
                                 const char *const *items, size_t count) {
    hotel_set_attr(span, hotel_strs(key, items, count));
}
HOTEL_INLINE void hotel_set_bools(const hotel_span *span, const char *key, const bool *items,
                                  size_t count) {
    hotel_set_attr(span, hotel_bools(key, items, count));
}
HOTEL_INLINE void hotel_set_ints(const hotel_span *span, const char *key, const int64_t *items,
                                 size_t count) {
    hotel_set_attr(span, hotel_ints(key, items, count));
}
HOTEL_INLINE void hotel_set_doubles(const hotel_span *span, const char *key,
                                    const double *items, size_t count) {
    hotel_set_attr(span, hotel_doubles(key, items, count));
}
HOTEL_INLINE void hotel_set_array(const hotel_span *span, const char *key,
                                  const hotel_value *items, size_t count) {
    hotel_set_attr(span, hotel_array(key, items, count));
}
HOTEL_INLINE void hotel_set_map(const hotel_span *span, const char *key,
                                const hotel_attr *entries, size_t count) {
    hotel_set_attr(span, hotel_map(key, entries, count));
}

/* Renames it (TR-25). NULL is "". The _n form takes a name without NUL. */
HOTEL_API void hotel_set_name(const hotel_span *span, const char *name);
HOTEL_API void hotel_set_name_n(const hotel_span *span, const char *name, size_t size);

/* Status codes, by their wire values. */
typedef enum hotel_status {
    HOTEL_STATUS_UNSET = 0,
    HOTEL_STATUS_OK = 1,
    HOTEL_STATUS_ERROR = 2
} hotel_status;

/* Ok is final, Unset is ignored, the description counts for Error only (SP-60 to SP-63).
   description may be NULL. */
HOTEL_API void hotel_set_status(const hotel_span *span, hotel_status status,
                                const char *description);
HOTEL_API void hotel_set_status_n(const hotel_span *span, hotel_status status,
                                  const char *description, size_t size);

/* An event to add: a name at a time, with attributes (TR-48). */
typedef struct hotel_event {
    const char *name HOTEL_ZERO;
    size_t name_size HOTEL_ZERO; /* 0: up to the NUL */
    uint64_t time_ns HOTEL_ZERO; /* Unix time; 0: now */
    const hotel_attr *attributes HOTEL_ZERO;
    size_t num_attributes HOTEL_ZERO;
} hotel_event;

/* Adds an event; order is call order (SP-50). hotel_add_event is the short form;
   hotel_add_event_with(&span, "retry", hotel_int("attempt", 2)) gives it attributes. */
HOTEL_API void hotel_add_event_as(const hotel_span *span, const hotel_event *event);
HOTEL_API void hotel_add_event(const hotel_span *span, const char *name);

/* Adds a link (SP-52). One with zero IDs is kept if it has attributes or a tracestate. */
HOTEL_API void hotel_add_link(const hotel_span *span, const hotel_link *link);

/* Adds an event "exception" (SP-54); what is NULL is left out; the caller's attributes win over
   the generated ones (SP-55). Does not touch the status. */
HOTEL_API void hotel_record_exception(const hotel_span *span, const char *type,
                                      const char *message, const char *stacktrace,
                                      const hotel_attr *attributes, size_t num_attributes);

/* ==== [SECTION 09] CURRENT CONTEXT ========================================================= */

/* The thread's current context and span; zero when nothing is attached. Borrowed: valid while
   it stays attached. threads: each sees its own. */
HOTEL_API hotel_context hotel_current(void);
HOTEL_API hotel_span hotel_current_span(void);

/* The current context with another span in it (TR-10). */
HOTEL_API hotel_context hotel_context_with(const hotel_span *span);

/* What hotel_attach gives and hotel_detach takes. Opaque. */
typedef struct hotel_token {
    uint32_t depth;
    uint32_t serial;
} hotel_token;

/* Makes a context current on this thread until it is detached (CP-04, CP-05). Tokens go back in
   reverse order; one taken back too early ends those above it too and answers HOTEL_ERR_ORDER,
   as does one of another thread or one used before. At most 32 deep, deeper ones are counted
   and not attached. */
HOTEL_API hotel_token hotel_attach(const hotel_context *context);
HOTEL_API hotel_result hotel_detach(hotel_token token);

/* A context to keep or to hand to another thread: takes a reference on its shared values, to be
   given back once with hotel_context_release. NULL: the current one. threads: any. */
HOTEL_API hotel_context hotel_context_hold(const hotel_context *context);
HOTEL_API void hotel_context_release(hotel_context *context);

/* Values of the application in a context (CP-01 to CP-03). A key is told apart by identity, never
   by its name, which is for the reader of the code. Make it once and keep it; {0} is no key.
   threads: any; works before hotel_init. */
typedef struct hotel_key {
    uint32_t id;
} hotel_key;
HOTEL_API hotel_key hotel_create_key(const char *name);

/* A new context with this value under the key, the old one stays as it is (NULL: the current one).
   value is borrowed: it must live as long as the context; NULL takes the key out. Give the result
   to hotel_context_release once. A context holds 32 keys: beyond that, without room in the arena,
   or outside of hotel_init and hotel_release, the result is the old context, and that is counted
   and logged. threads: any. */
HOTEL_API hotel_context hotel_context_with_value(const hotel_context *context, hotel_key key,
                                                 void *value);

/* The value under a key, NULL if there is none. context NULL: the current one. threads: any. */
HOTEL_API void *hotel_context_value(const hotel_context *context, hotel_key key);

/* What HOTEL_SCOPE and HOTEL_ATTACH are made of: attach a span (and end it when leaving), or a
   context. A guard is left once, on the thread that made it. */
typedef struct hotel_guard {
    hotel_span span;
    hotel_token token;
    bool ends_span;
} hotel_guard;
HOTEL_API hotel_guard hotel_guard_span(const hotel_span *span);
HOTEL_API hotel_guard hotel_guard_context(const hotel_context *context);
HOTEL_API void hotel_guard_leave(hotel_guard *guard);

/* ==== [SECTION 10] BAGGAGE ================================================================= */

/* Names with values that travel beside a trace (BG-01). This is a working copy in memory of the
   caller, made by hotel_baggage_start, for one thread at a time; it needs no hotel_init. A context
   carries an immutable copy of one. */
typedef struct hotel_baggage {
    void *memory;
    size_t capacity; /* bytes of memory                                              */
    size_t size;     /* of them in use: 15 and its texts for each entry              */
    size_t count;    /* entries                                                      */
    size_t dropped;  /* entries, members of headers, without room or with a bad form */
} hotel_baggage;

/* Name and value are UTF-8, the value may be empty. metadata are the properties of the W3C format,
   "key=value;key", as they travel; empty: none. Each text has a NUL behind it, too. */
typedef struct hotel_baggage_entry {
    hotel_string name;
    hotel_string value;
    hotel_string metadata;
} hotel_baggage_entry;

/* What must be carried (WB-06): 64 members in 8192 bytes. Memory of _BYTES has room for every
   header of that size, a buffer of _HEADER_SIZE for the header with its NUL. */
#define HOTEL_BAGGAGE_MEMBERS 64
#define HOTEL_BAGGAGE_BYTES (8192 + 64 * 15)
#define HOTEL_BAGGAGE_HEADER_SIZE (8192 + 1)

/* Begins an empty one in this memory. */
HOTEL_API void hotel_baggage_start(hotel_baggage *baggage, void *memory, size_t capacity);

/* Sets a value, which replaces the one of that name; for a moment there must be room for both.
   value NULL is empty; bytes that are not UTF-8 become U+FFFD. metadata NULL: none. false, nothing
   is changed and dropped counts it: no room, a name that is empty or not UTF-8, metadata that is
   not a list of properties. Any name may be set, one that is no HTTP token cannot be sent. */
HOTEL_API bool hotel_baggage_set(hotel_baggage *baggage, const char *name, const char *value,
                                 const char *metadata);
HOTEL_API bool hotel_baggage_set_n(hotel_baggage *baggage, hotel_string name, hotel_string value,
                                   hotel_string metadata);

/* Looks a name up; upper and lower case differ. Texts are valid until the next change. get: the
   value, NULL when there is none. find: the whole entry; *out stays as it is when there is none. */
HOTEL_API const char *hotel_baggage_get(const hotel_baggage *baggage, const char *name);
HOTEL_API bool hotel_baggage_find(const hotel_baggage *baggage, hotel_string name,
                                  hotel_baggage_entry *out);

/* Takes one entry out (false: there is none), or all. */
HOTEL_API bool hotel_baggage_remove(hotel_baggage *baggage, const char *name);
HOTEL_API bool hotel_baggage_remove_n(hotel_baggage *baggage, hotel_string name);
HOTEL_API void hotel_baggage_clear(hotel_baggage *baggage);

/* All entries, the oldest first: begin with *cursor 0, false is the end. */
HOTEL_API bool hotel_baggage_next(const hotel_baggage *baggage, size_t *cursor,
                                  hotel_baggage_entry *out);

/* Adds the members of a baggage header (WB-02 to WB-09); of several headers one after the other
   (WB-12). A malformed member is dropped, the rest is kept; at the first one without room, and
   behind 64 entries, it ends. Returns how many were taken. */
HOTEL_API size_t hotel_baggage_parse(hotel_baggage *baggage, const char *header, size_t size);

/* The baggage header with snprintf's manners: the size needed without NUL, 0 when there is nothing
   to send. Whole members only, at most 64 and 8192 bytes; what is left out is counted and logged
   (WB-01, WB-06, WB-08). */
HOTEL_API size_t hotel_baggage_format(const hotel_baggage *baggage, char *out, size_t capacity);

/* A new context with a copy of this baggage; NULL or empty: without any (WB-11). context NULL: the
   current one. Give the result to hotel_context_release once. What is beyond max_span_bytes, or
   finds no room in the arena, is left out, counted and logged. Needs hotel_init. threads: any. */
HOTEL_API hotel_context hotel_context_with_baggage(const hotel_context *context,
                                                   const hotel_baggage *baggage);

/* Replaces the content of a working copy by the baggage of a context (NULL: the current one).
   false: some entries found no room, out->dropped says how many. threads: any. */
HOTEL_API bool hotel_context_baggage(const hotel_context *context, hotel_baggage *out);

/* ==== [SECTION 11] PROPAGATION ============================================================= */

/* The current context with the remote parent that a request brought: W3C traceparent and, if
   there is one, tracestate (NULL: none). A traceparent that is absent or malformed leaves the
   context as it is, a malformed tracestate is left out (WP-*, WT-*). Give the result to
   hotel_context_release when the request is done. threads: any. */
HOTEL_API hotel_context hotel_extract(const char *traceparent, const char *tracestate);
HOTEL_API hotel_context hotel_extract_n(const char *traceparent, size_t traceparent_size,
                                        const char *tracestate, size_t tracestate_size);

/* The traceparent to send from inside this span, 55 characters and NUL. false and "" when the
   span context is not valid (WP-18): send no header then. threads: any. */
#define HOTEL_TRACEPARENT_SIZE 56
HOTEL_API bool hotel_traceparent(const hotel_span *span, char out[HOTEL_TRACEPARENT_SIZE]);

/* The tracestate to send beside it, with snprintf's manners: the size needed without NUL,
   0 when there is none. 512 bytes hold what must be carried. */
HOTEL_API size_t hotel_tracestate(const hotel_span *span, char *out, size_t capacity);

/* Reads and edits tracestate text (WT-10 to WT-13). get: the value's size, or -1 when the key
   is absent. set: puts the member first; value NULL deletes it; bad input gives the state
   unchanged. Both with snprintf's manners. threads: any. */
HOTEL_API ptrdiff_t hotel_tracestate_get(const char *state, const char *key, char *out,
                                         size_t capacity);
HOTEL_API size_t hotel_tracestate_set(const char *state, const char *key, const char *value,
                                      char *out, size_t capacity);

/* How a carrier is read: the headers of a request, properties of a message, an environment. What
   get_fn and keys_fn return stays valid until the extraction is over. */
typedef struct hotel_getter {
    /* The index-th value under a name, from 0 on: a header that was sent twice has two (WC-01).
       text NULL: there are no more. For HTTP, upper and lower case of names are the same. */
    hotel_string (*get_fn)(const void *carrier, const char *key, size_t index) HOTEL_ZERO;
    /* The index-th name in the carrier, text NULL: there are no more (WC-02). Optional: none of
       the built-in propagators asks. */
    hotel_string (*keys_fn)(const void *carrier, size_t index) HOTEL_ZERO;
} hotel_getter;

/* How a carrier is written: the value replaces what is under that name (WC-03). Both end in NUL
   and are valid during the call only; names are lower-case ASCII. */
typedef struct hotel_setter {
    void (*set_fn)(void *carrier, const char *key, const char *value) HOTEL_ZERO;
} hotel_setter;

/* Writes part of a context into carriers and reads it back (CP-14). Any function may be missing.
   Called by the thread that injects or extracts, several at once. */
typedef struct hotel_propagator {
    void (*inject_fn)(const hotel_context *context, const hotel_setter *setter, void *carrier,
                      void *user_data) HOTEL_ZERO;
    /* Changes a held context, or leaves it as it is where the carrier has nothing usable: by
       hotel_context_put_span, or as in
       next = hotel_context_with_value(context, key, value); hotel_context_release(context);
       *context = next; */
    void (*extract_fn)(hotel_context *context, const hotel_getter *getter, const void *carrier,
                       void *user_data) HOTEL_ZERO;
    /* The index-th name that inject_fn may set; NULL: there are no more (CP-15). */
    const char *(*field_fn)(size_t index, void *user_data)HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_propagator;

/* The built-in ones: W3C trace context (CP-09); W3C baggage (BG-02); B3 in one header and in
   several (CP-10): both extract either form, the single header first. B3's debug flag implies
   sampled and goes on to the spans below; a decision that is missing reads as not sampled, one
   without IDs is not taken; no parent span ID is sent. */
HOTEL_API hotel_propagator hotel_tracecontext_propagator(void);
HOTEL_API hotel_propagator hotel_baggage_propagator(void);
HOTEL_API hotel_propagator hotel_b3_propagator(void);
HOTEL_API hotel_propagator hotel_b3multi_propagator(void);

/* Several that act as one, in this order (CP-07). The list and what it points to are kept by
   reference. */
typedef struct hotel_propagator_list {
    const hotel_propagator *parts HOTEL_ZERO;
    size_t count HOTEL_ZERO;
} hotel_propagator_list;
HOTEL_API hotel_propagator hotel_composite_propagator(const hotel_propagator_list *list);

/* The global propagator: none until hotel_init or this sets it (CP-08). One that was set by hand
   stays when hotel_init is given none; NULL: propagate nothing. The struct is copied. threads:
   any. */
HOTEL_API void hotel_set_global_propagator(const hotel_propagator *propagator);
HOTEL_API hotel_propagator hotel_get_global_propagator(void);

/* Writes what the global propagator carries into a request that is about to be sent. context NULL:
   the current one. Nothing is written without a valid span context or baggage (WP-18, WB-10).
   threads: any. */
HOTEL_API void hotel_inject(const hotel_context *context, const hotel_setter *setter,
                            void *carrier);

/* The current context with what a request brought. What is absent or malformed leaves that part as
   it is. Give the result to hotel_context_release when the request is done. threads: any. */
HOTEL_API hotel_context hotel_extract_from(const hotel_getter *getter, const void *carrier);

/* The same by a propagator of choice (NULL: the global one), and into any context (NULL: the
   current one). */
HOTEL_API void hotel_inject_with(const hotel_propagator *propagator, const hotel_context *context,
                                 const hotel_setter *setter, void *carrier);
HOTEL_API hotel_context hotel_extract_with(const hotel_propagator *propagator,
                                           const hotel_context *context,
                                           const hotel_getter *getter, const void *carrier);

/* The index-th name that a propagator (NULL: the global one) may set, NULL behind the last: what
   has to be taken out of a request before it is sent again (CP-15). */
HOTEL_API const char *hotel_propagator_field(const hotel_propagator *propagator, size_t index);

/* For propagators: puts a span into a context that is held, in place. */
HOTEL_API void hotel_context_put_span(hotel_context *held, const hotel_span *span);

/* A ready-made getter for HTTP: the carrier is a hotel_headers, names in any case (CP-17). */
typedef struct hotel_headers {
    const hotel_header *list HOTEL_ZERO;
    size_t count HOTEL_ZERO;
} hotel_headers;
HOTEL_API hotel_getter hotel_header_getter(void);

/* Environment variables as carrier (CP-19, WC-06). The name under which a key travels, with
   snprintf's manners: upper-case, _ for what is neither letter nor digit and before a leading
   digit; TRACEPARENT, TRACESTATE, BAGGAGE. */
HOTEL_API size_t hotel_env_name(const char *key, char *out, size_t capacity);

/* Reads an array like envp, "NAME=value" up to a NULL; carrier NULL: this process' environment.
   Keys are those names that are in that form. */
HOTEL_API hotel_getter hotel_env_getter(void);

/* An environment for execve: pointers in `list`, ended by NULL, and what was set in `memory`, both
   the caller's. base: variables to begin with, by reference (environ, or NULL). What finds no room
   is counted in dropped. hotel_env_setter writes into one. */
typedef struct hotel_env {
    char **list;
    size_t capacity; /* pointers in list, that of the NULL included */
    size_t count;
    char *memory;
    size_t memory_bytes;
    size_t used_bytes;
    size_t dropped;
} hotel_env;
HOTEL_API void hotel_env_start(hotel_env *env, char **list, size_t capacity, char *memory,
                               size_t memory_bytes, char *const *base);
HOTEL_API hotel_setter hotel_env_setter(void);

/* ==== [SECTION 12] EXPORTERS AND FINISHED SPANS ============================================ */

/* A list inside something finished: attributes, elements of an array, events, links. It is walked
   with the hotel_next_* function of its members; walking uses it up, so walk a copy to come
   again. Borrowed from the bytes that it was read from, as is all that it gives. Zeroed is empty;
   a walk with another function finds nothing. Opaque. */
typedef struct hotel_list {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t tag;
    uint32_t members;
} hotel_list;

/* A value as it is on the wire: every array is HOTEL_TYPE_ARRAY, whatever it was made of. */
typedef struct hotel_value_view {
    hotel_type type;
    union {
        hotel_string string; /* of HOTEL_TYPE_BYTES too */
        bool boolean;
        int64_t integer;
        double real;
        hotel_list list; /* HOTEL_TYPE_ARRAY: hotel_next_value; HOTEL_TYPE_MAP: hotel_next_attr */
    } as;
} hotel_value_view;

/* An attribute, or an entry of a map. */
typedef struct hotel_attr_view {
    hotel_string key;
    hotel_value_view value;
} hotel_attr_view;

/* An event of a finished span. */
typedef struct hotel_event_view {
    hotel_string name;
    uint64_t time_ns;      /* Unix time */
    hotel_list attributes; /* hotel_next_attr */
    uint32_t num_attributes;
    uint32_t dropped_attributes;
} hotel_event_view;

/* A link of a finished span; its tracestate is beside the context, not in it. */
typedef struct hotel_link_view {
    hotel_span_context context;
    hotel_string trace_state;
    hotel_list attributes; /* hotel_next_attr */
    uint32_t num_attributes;
    uint32_t dropped_attributes;
} hotel_link_view;

/* The instrumentation scope of a span (TR-61, SP-100). */
typedef struct hotel_scope_view {
    hotel_string name;
    hotel_string version;
    hotel_string schema_url;
    hotel_list attributes; /* hotel_next_attr */
    uint32_t num_attributes;
    uint32_t dropped_attributes;
} hotel_scope_view;

/* The resource of a span (RS-04). */
typedef struct hotel_resource_view {
    hotel_string schema_url;
    hotel_list attributes; /* hotel_next_attr */
    uint32_t num_attributes;
    uint32_t dropped_attributes;
} hotel_resource_view;

/* A finished span, read on demand out of its encoded form: nothing is copied or allocated. Every
   text, list and view inside is borrowed from there. Text that is absent has size 0. */
typedef struct hotel_span_view {
    hotel_span_context context; /* without a tracestate: that is the next member */
    hotel_string trace_state;   /* as in the header */
    uint8_t parent_span_id[8];
    bool has_parent;
    bool has_remote_parent;
    hotel_kind kind;
    hotel_status status;
    hotel_string status_description;
    hotel_string name;
    uint64_t start_time_ns; /* Unix time */
    uint64_t end_time_ns;
    hotel_list attributes; /* hotel_next_attr  */
    hotel_list events;     /* hotel_next_event */
    hotel_list links;      /* hotel_next_link  */
    uint32_t num_attributes;
    uint32_t num_events;
    uint32_t num_links;
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    hotel_scope_view scope;
    hotel_resource_view resource;
} hotel_span_view;

/* The next member of a list, false at its end. A list that is not well-formed ends where it stops
   making sense. threads: any, each with a list of its own. */
HOTEL_API bool hotel_next_attr(hotel_list *list, hotel_attr_view *out);
HOTEL_API bool hotel_next_value(hotel_list *list, hotel_value_view *out);
HOTEL_API bool hotel_next_event(hotel_list *list, hotel_event_view *out);
HOTEL_API bool hotel_next_link(hotel_list *list, hotel_link_view *out);

/* The value of a key in a list of attributes, in an attribute of the span: false if there is none,
   and *out is the empty value. Takes time by the length of the list. */
HOTEL_API bool hotel_find_attr(hotel_list attributes, const char *key, hotel_value_view *out);
HOTEL_INLINE bool hotel_view_attr(const hotel_span_view *span, const char *key,
                                  hotel_value_view *out) {
    return hotel_find_attr(span->attributes, key, out);
}

/* Is it this text? NULL equals the empty one. */
HOTEL_INLINE bool hotel_string_is(hotel_string string, const char *text) {
    size_t size = hotel_text_size(text);
    return string.size == size && (size == 0 || __builtin_memcmp(string.text, text, size) == 0);
}

/* What an exporter gets: finished spans as one encoded ExportTraceServiceRequest, which is what
   OTLP over HTTP posts. It may be sent or kept on disk as it is; two behind one another are again
   one. To read it, walk its spans. */
typedef struct hotel_batch {
    const void *request;
    size_t request_size;
    size_t num_spans;
} hotel_batch;

/* Any encoded request as a batch; its spans are counted. Bytes that are none are an empty batch.
   threads: any. */
HOTEL_API hotel_batch hotel_batch_of(const void *request, size_t request_size);

/* A walk over the spans of a batch. Opaque. */
typedef struct hotel_spans {
    hotel_list groups;
    hotel_list scopes;
    hotel_list spans;
    hotel_resource_view resource;
    hotel_scope_view scope;
} hotel_spans;

/* All spans of a batch in their order, grouped by resource and scope:

       hotel_span_view span;
       hotel_spans spans = hotel_batch_spans(batch);
       while (hotel_next_span(&spans, &span)) ...

   A span that is not well-formed is passed over. NULL is an empty batch. threads: any. */
HOTEL_API hotel_spans hotel_batch_spans(const hotel_batch *batch);
HOTEL_API bool hotel_next_span(hotel_spans *spans, hotel_span_view *out);

/* An exporter of your own (EX-01, EX-02): three functions and what they are called with.

   They are called by one thread at a time, export_fn never before its last call has returned
   (BSP-02): by the exporter's thread, for which hotel_end of a simple destination waits; with
   no_threads by the thread in hotel_poll, hotel_flush, hotel_shutdown, or hotel_end of a simple
   one. While they run no other destination moves: what takes long belongs on a thread of their
   own. Spans started inside them are not recorded; hotel_init, hotel_flush, hotel_shutdown,
   hotel_release and hotel_poll answer HOTEL_ERR_CALLBACK.

   export_fn   takes a batch, valid during the call only. HOTEL_OK: delivered; anything else: its
               spans count as failed, there is no second attempt (BSP-11). Required.
   flush_fn    delivers what export_fn kept back, within timeout_ms (EX-02, BSP-14). NULL: nothing
               is ever kept back.
   shutdown_fn is called once, the last call of all (BSP-18, BSP-20). NULL: nothing to do. */
typedef struct hotel_exporter {
    hotel_result (*export_fn)(const hotel_batch *batch, void *user_data) HOTEL_ZERO;
    hotel_result (*flush_fn)(uint32_t timeout_ms, void *user_data) HOTEL_ZERO;
    hotel_result (*shutdown_fn)(uint32_t timeout_ms, void *user_data) HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_exporter;

/* Prints spans for people (EX-03), the resource once a batch, long values cut, control characters
   escaped. The format may change with any version: do not parse it. In colour if the descriptor
   is a terminal and NO_COLOR is not set in the environment. The descriptor stays the caller's.
   HOTEL_ERR_FAILED when it cannot be written, or takes nothing for a second. Neither raises
   SIGPIPE nor allocates. */
HOTEL_API hotel_exporter hotel_console_exporter(int descriptor);

/* Keeps finished spans for tests (EX-04), in memory of the caller's. Opaque. */
typedef struct hotel_memory_exporter {
    uint8_t *memory;
    size_t capacity;
    size_t used;
    size_t refused;
    uint32_t busy;
    uint32_t stopped;
} hotel_memory_exporter;

/* Starts with nothing kept. The object and `capacity` bytes at `memory` must outlive their use by
   the library. A batch that does not fit is refused as a whole, HOTEL_ERR_FAILED, and its spans
   are counted; so is every one after shutdown (BSP-20). threads: setup. */
HOTEL_API hotel_exporter hotel_memory_exporter_start(hotel_memory_exporter *exporter, void *memory,
                                                     size_t capacity);

/* Everything kept so far as one batch, oldest first. May be read while the exporter runs; what
   came later is in the next answer. It and all that is read out of it stay valid until the
   reset. To see all that ended, flush first. threads: any, but for the reset. */
HOTEL_API hotel_batch hotel_memory_exporter_batch(const hotel_memory_exporter *exporter);

/* Spans kept; the one at an index in their order, false beyond the last; spans refused. */
HOTEL_API size_t hotel_memory_exporter_count(const hotel_memory_exporter *exporter);
HOTEL_API bool hotel_memory_exporter_at(const hotel_memory_exporter *exporter, size_t index,
                                        hotel_span_view *out);
HOTEL_API size_t hotel_memory_exporter_refused(const hotel_memory_exporter *exporter);

/* Forgets all spans, and the count of refused ones. The exporter may be running, but nobody may be
   reading. */
HOTEL_API void hotel_memory_exporter_reset(hotel_memory_exporter *exporter);

/* ==== [SECTION 13] RESOURCES AND DETECTORS ================================================= */

/* The schema URL of the semantic conventions whose names this library's detectors use (RS-07). */
#define HOTEL_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

/* A resource that is being put together, in memory of the caller's (RS-01). Opaque but for the
   last member. */
typedef struct hotel_resource {
    uint8_t *memory;
    size_t capacity;
    size_t size;        /* encoded attributes, at the front of the memory */
    size_t schema_size; /* schema URL, at its end */
    bool schema_conflict;
    bool ignore_environment; /* for detectors: read no environment variable */
} hotel_resource;

/* Starts an empty resource (RS-02). schema_url may be NULL. HOTEL_ERR_MEMORY: too small for it.
   threads: a resource is used by one at a time. */
HOTEL_API hotel_result hotel_resource_start(hotel_resource *resource, void *memory, size_t capacity,
                                            const char *schema_url);

/* Adds an attribute, copied, or replaces the one with its key. HOTEL_ERR_MEMORY, and nothing
   changes, when it does not fit; HOTEL_ERR_ARGUMENT for a NULL or empty key. */
HOTEL_API hotel_result hotel_resource_add(hotel_resource *resource, hotel_attr attribute);

/* Sets the schema URL that the attributes added follow. NULL, "" and the one that is set change
   nothing. A second, different one is an error (SP-94): HOTEL_ERR_ARGUMENT, and from then on
   the resource has none. */
HOTEL_API hotel_result hotel_resource_set_schema(hotel_resource *resource, const char *schema_url);

/* Merges `updating` into `resource`: the union of both, the updating side wins, an empty value too
   (RS-03, SP-94). HOTEL_ERR_ARGUMENT: their schema URLs differ; attributes are merged all the
   same. HOTEL_ERR_MEMORY: those that fit are. */
HOTEL_API hotel_result hotel_resource_merge(hotel_resource *resource,
                                            const hotel_resource *updating);

/* What is in it (RS-04): valid until the next change. */
HOTEL_API hotel_resource_view hotel_resource_read(const hotel_resource *resource);

/* Finds out about the surroundings when the library starts (RS-06): see hotel_config.detectors.
   detect_fn adds what it finds to *out, which holds what earlier detectors found, and sets the
   schema URL if its names follow one (RS-07). Finding nothing is HOTEL_OK. After anything else
   the log names the detector; what it added stays. Called inside hotel_init: must not call
   hotel_init, hotel_flush, hotel_shutdown, hotel_release or hotel_poll. */
typedef struct hotel_detector {
    hotel_result (*detect_fn)(hotel_resource *out, void *user_data) HOTEL_ZERO;
    const char *name HOTEL_ZERO;
    void *user_data HOTEL_ZERO;
} hotel_detector;

/* The built-in ones. What cannot be found out is left out.
   service  service.name if OTEL_SERVICE_NAME is set, service.instance.id: a random UUID that the
            process keeps; a fork child has its parent's, as it has its whole resource (SP-93)
   process  process.pid, .parent_pid, .executable.name, .executable.path, .command, .owner,
            .runtime.name, .runtime.version (of the C library)
   command  process.command_args: the whole command line, which may hold secrets
   host     host.name, host.arch, host.id (/etc/machine-id)
   os       os.type, os.name, os.version, os.description
   sdk      telemetry.sdk.name, .language, .version; hotel_init adds these by itself
   resource what a resource of yours holds, which must outlive hotel_init. */
HOTEL_API hotel_detector hotel_service_detector(void);
HOTEL_API hotel_detector hotel_process_detector(void);
HOTEL_API hotel_detector hotel_command_detector(void);
HOTEL_API hotel_detector hotel_host_detector(void);
HOTEL_API hotel_detector hotel_os_detector(void);
HOTEL_API hotel_detector hotel_sdk_detector(void);
HOTEL_API hotel_detector hotel_resource_detector(const hotel_resource *resource);

/* ==== [SECTION 14] HATCHET ================================================================= */

/*
 * Each operation of a Hatchet client is a span that a call below starts from a struct with the
 * members of the message that the client sends or receives. What is NULL or empty, {} or [] is left
 * out; numbers are always sent, zero included, where NULL stands for "not given". A string without
 * NUL has its size in the member behind it; 0 there means up to the NUL, so that for an empty one
 * without NUL the pointer is to be NULL. What Hatchet could not use (an ID that is not a UUID, NUL,
 * text that is not UTF-8, a negative count) is reported once for each member, with its name, and
 * never stops anything.
 *
 * End the span with hotel_succeed or hotel_fail when the client's call has returned; hotel_end
 * alone leaves the status unset, as the Python SDK does. threads: any, for all calls of this
 * section.
 */

/* Every attribute key: X(NAME, key). See hotel_hatchet_key_name. */
#define HOTEL_HATCHET_KEYS(X)                                                  \
    X(INSTRUMENTOR, "instrumentor")                                            \
    X(NAMESPACE, "hatchet.namespace")                                          \
    X(ADDITIONAL_METADATA, "hatchet.additional_metadata")                      \
    X(WORKFLOW_NAME, "hatchet.workflow_name")                                  \
    X(PRIORITY, "hatchet.priority")                                            \
    X(PAYLOAD, "hatchet.payload")                                              \
    X(ACTION_NAME, "hatchet.action_name")                                      \
    X(STEP_NAME, "hatchet.step_name")                                          \
    X(CHILD_WORKFLOW_INDEX, "hatchet.child_workflow_index")                    \
    X(CHILD_WORKFLOW_KEY, "hatchet.child_workflow_key")                        \
    X(PARENT_WORKFLOW_RUN_ID, "hatchet.parent_workflow_run_id")                \
    X(RETRY_COUNT, "hatchet.retry_count")                                      \
    X(STEP_ID, "hatchet.step_id")                                              \
    X(STEP_RUN_ID, "hatchet.step_run_id")                                      \
    X(TENANT_ID, "hatchet.tenant_id")                                          \
    X(WORKER_ID, "hatchet.worker_id")                                          \
    X(WORKFLOW_ID, "hatchet.workflow_id")                                      \
    X(WORKFLOW_RUN_ID, "hatchet.workflow_run_id")                              \
    X(WORKFLOW_VERSION_ID, "hatchet.workflow_version_id")                      \
    X(TRIGGERING_EVENT_EXTERNAL_ID, "hatchet.triggering_event_external_id")    \
    X(TRIGGERING_EVENT_KEY, "hatchet.triggering_event_key")                    \
    X(EVENT_KEY, "hatchet.event_key")                                          \
    X(SCOPE, "hatchet.scope")                                                  \
    X(PARENT_ID, "hatchet.parent_id")                                          \
    X(PARENT_STEP_RUN_ID, "hatchet.parent_step_run_id")                        \
    X(CHILD_INDEX, "hatchet.child_index")                                      \
    X(CHILD_KEY, "hatchet.child_key")                                          \
    X(DESIRED_WORKER_ID, "hatchet.desired_worker_id")                          \
    X(STICKY, "hatchet.sticky")                                                \
    X(KEY, "hatchet.key")                                                      \
    X(RUN_AT_TIMESTAMPS, "hatchet.run_at_timestamps")                          \
    X(SIGNAL_KEY, "hatchet.signal_key")                                        \
    X(NUM_CONDITIONS, "hatchet.num_conditions")                                \
    X(NUM_WORKFLOWS, "hatchet.num_workflows")                                  \
    X(UNIQUE_WORKFLOW_NAMES, "hatchet.unique_workflow_names")                  \
    X(NUM_EVENTS, "hatchet.num_events")                                        \
    X(UNIQUE_EVENT_KEYS, "hatchet.unique_event_keys")

/* HOTEL_HATCHET_PAYLOAD and so on. */
typedef enum hotel_hatchet_key {
#define HOTEL_HATCHET_ENUM(name, key) HOTEL_HATCHET_##name,
    HOTEL_HATCHET_KEYS(HOTEL_HATCHET_ENUM)
#undef HOTEL_HATCHET_ENUM
    HOTEL_HATCHET_NUM_KEYS
} hotel_hatchet_key;

/* "hatchet.payload" for HOTEL_HATCHET_PAYLOAD; "" for what is none of them. */
HOTEL_API const char *hotel_hatchet_key_name(hotel_hatchet_key key);

/* ---- tasks ---- */

/* A task run as a worker receives it: the members are those of Hatchet's AssignedAction. */
typedef struct hotel_step_run {
    const char *workflow_name HOTEL_ZERO; /* the workflow's name, not the task's */
    size_t workflow_name_size HOTEL_ZERO;
    const char *step_name HOTEL_ZERO; /* the task's readable name */
    size_t step_name_size HOTEL_ZERO;
    const char *action_name HOTEL_ZERO; /* workflow:task */
    size_t action_name_size HOTEL_ZERO;
    const char *step_run_id HOTEL_ZERO; /* task_run_external_id */
    size_t step_run_id_size HOTEL_ZERO;
    const char *workflow_run_id HOTEL_ZERO;
    size_t workflow_run_id_size HOTEL_ZERO;
    const char *step_id HOTEL_ZERO;
    size_t step_id_size HOTEL_ZERO;
    const char *workflow_id HOTEL_ZERO;
    size_t workflow_id_size HOTEL_ZERO;
    const char *workflow_version_id HOTEL_ZERO;
    size_t workflow_version_id_size HOTEL_ZERO;
    const char *worker_id HOTEL_ZERO;
    size_t worker_id_size HOTEL_ZERO;
    const char *tenant_id HOTEL_ZERO;
    size_t tenant_id_size HOTEL_ZERO;
    int32_t retry_count HOTEL_ZERO;
    const int32_t *child_workflow_index HOTEL_ZERO; /* NULL: not a child */
    const char *child_workflow_key HOTEL_ZERO;
    size_t child_workflow_key_size HOTEL_ZERO;
    const char *parent_workflow_run_id HOTEL_ZERO;
    size_t parent_workflow_run_id_size HOTEL_ZERO;
    const char *triggering_event_external_id HOTEL_ZERO;
    size_t triggering_event_external_id_size HOTEL_ZERO;
    const char *triggering_event_key HOTEL_ZERO;
    size_t triggering_event_key_size HOTEL_ZERO;
    const char *payload HOTEL_ZERO; /* JSON; see hotel_hatchet.shared_payload_bytes */
    size_t payload_size HOTEL_ZERO;
    const char *additional_metadata HOTEL_ZERO; /* JSON object; its traceparent is the parent */
    size_t additional_metadata_size HOTEL_ZERO;
} hotel_step_run;

/* A task that runs: its span, and the context in which the task's code runs. */
typedef struct hotel_task {
    hotel_span span;
    hotel_context context; /* carry it to other threads with hotel_attach */
    hotel_token token;
} hotel_task;

/* Starts "hatchet.start_step_run" (CONSUMER) under the traceparent in the metadata and makes it
   current on this thread. Until the task ends every span started in its context carries the
   hatchet.* attributes, by reference. Without a traceparent it goes under the current span, with
   a malformed one it begins a new trace. A retry is the same call with its retry_count.
   End it once, with one of the calls below, on any thread; a thread's tasks may end in any order.
   A member too long to be shared is on the task's own span alone. */
HOTEL_API hotel_task hotel_start_step_run(const hotel_step_run *step_run);

/* The same inside a task whose span somebody else has made, a Python worker for example: the
   traceparent in the metadata is that of the span to go under. Starts no span; installs the
   attributes and makes the context current. Any of the calls below leaves it, status and message
   then go nowhere. */
HOTEL_API hotel_task hotel_join_step_run(const hotel_step_run *step_run);

/* Why something failed; what is NULL is left out. Sizes as above. */
typedef struct hotel_failure {
    const char *type HOTEL_ZERO;
    size_t type_size HOTEL_ZERO;
    const char *message HOTEL_ZERO;
    size_t message_size HOTEL_ZERO;
    const char *stacktrace HOTEL_ZERO;
    size_t stacktrace_size HOTEL_ZERO;
} hotel_failure;

/* Ends the task: status OK; or status ERROR with the message and an exception event (type may
   be NULL); or, for a task that was cancelled, without a status. The first end counts, those that
   follow or come at the same moment are ignored, by a copy of the task too. */
HOTEL_API void hotel_task_succeed(hotel_task *task);
HOTEL_API void hotel_task_fail(hotel_task *task, const char *message);
HOTEL_API void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                  const char *stacktrace);
HOTEL_API void hotel_task_fail_with(hotel_task *task, const hotel_failure *failure);
HOTEL_API void hotel_task_cancel(hotel_task *task);

/* Starts "hatchet.cancel_step_run" (CONSUMER) with the step_run_id, around what a worker does when
   it is told to cancel a run. Hatchet's dashboard finds a run's trace by that attribute, so the
   span goes into it: under the traceparent in the metadata; without a good one under the engine's
   span for workflow_run_id, where a run without a traceparent has its trace. Where neither is
   given, the span starts a trace and has no step_run_id. */
HOTEL_API hotel_span hotel_start_cancel_step_run(const hotel_step_run *step_run);

/* Ends a span as hotel_task_succeed and hotel_task_fail end a task. */
HOTEL_API void hotel_succeed(const hotel_span *span);
HOTEL_API void hotel_fail(const hotel_span *span, const char *message);
HOTEL_API void hotel_fail_as(const hotel_span *span, const char *type, const char *message,
                             const char *stacktrace);
HOTEL_API void hotel_fail_with(const hotel_span *span, const hotel_failure *failure);

/* ---- runs ---- */

/* A workflow run that is about to be triggered: the members of Hatchet's TriggerWorkflowRequest. */
typedef struct hotel_trigger {
    const char *workflow_name HOTEL_ZERO; /* as the user says it, without the namespace */
    size_t workflow_name_size HOTEL_ZERO;
    const char *payload HOTEL_ZERO; /* JSON input */
    size_t payload_size HOTEL_ZERO;
    const char *parent_id HOTEL_ZERO;
    size_t parent_id_size HOTEL_ZERO;
    const char *parent_step_run_id HOTEL_ZERO;
    size_t parent_step_run_id_size HOTEL_ZERO;
    const int32_t *child_index HOTEL_ZERO; /* NULL: none */
    const char *child_key HOTEL_ZERO;
    size_t child_key_size HOTEL_ZERO;
    const char *namespace_name HOTEL_ZERO; /* hatchet.namespace */
    size_t namespace_name_size HOTEL_ZERO;
    const char *additional_metadata HOTEL_ZERO; /* JSON, as the user gave it */
    size_t additional_metadata_size HOTEL_ZERO;
    const int32_t *priority HOTEL_ZERO; /* NULL: not given */
    const char *desired_worker_id HOTEL_ZERO;
    size_t desired_worker_id_size HOTEL_ZERO;
    const bool *sticky HOTEL_ZERO; /* NULL: not given */
    const char *key HOTEL_ZERO;
    size_t key_size HOTEL_ZERO;
    /* The task that spawns this run as its child, on whatever thread: its span is the parent, and
       its IDs are the parent_id and parent_step_run_id that are not given. NULL: none. */
    const hotel_task *task HOTEL_ZERO;
} hotel_trigger;

/* Starts "hatchet.run_workflow" (PRODUCER), child of the current span or of trigger->task. */
HOTEL_API hotel_span hotel_start_run_workflow(const hotel_trigger *trigger);

/* Starts "hatchet.run_workflows" (PRODUCER) around a call that triggers many runs, and the part of
   each in it: a child span "hatchet.run_workflow" with hotel_hatchet.individual_run_spans, else a
   span that only stands for the batch's. Take the metadata of a run from its part, and end each
   part and then the batch; the task is that of the first run. */
HOTEL_API hotel_span hotel_start_run_workflows(const hotel_trigger *runs, size_t num_runs);
HOTEL_API hotel_span hotel_start_run_of(const hotel_span *batch, const hotel_trigger *run);

/* Runs that are about to be scheduled: the members of Hatchet's ScheduleWorkflowRequest. */
typedef struct hotel_schedule {
    const char *workflow_name HOTEL_ZERO;
    size_t workflow_name_size HOTEL_ZERO;
    const int64_t *run_at_unix_ns HOTEL_ZERO; /* when: Unix times in nanoseconds */
    size_t num_run_at HOTEL_ZERO;
    const char *payload HOTEL_ZERO;
    size_t payload_size HOTEL_ZERO;
    const char *parent_id HOTEL_ZERO;
    size_t parent_id_size HOTEL_ZERO;
    const char *parent_step_run_id HOTEL_ZERO;
    size_t parent_step_run_id_size HOTEL_ZERO;
    const int32_t *child_index HOTEL_ZERO; /* NULL: none */
    const char *child_key HOTEL_ZERO;
    size_t child_key_size HOTEL_ZERO;
    const char *namespace_name HOTEL_ZERO;
    size_t namespace_name_size HOTEL_ZERO;
    const char *additional_metadata HOTEL_ZERO;
    size_t additional_metadata_size HOTEL_ZERO;
    const int32_t *priority HOTEL_ZERO; /* NULL: not given */
} hotel_schedule;

/* Starts "hatchet.schedule_workflow" (PRODUCER). The times are a JSON array as Python writes it:
   ["2030-01-02T03:04:05.000678+00:00"]; what does not fit 4 KiB of it is left out and reported. */
HOTEL_API hotel_span hotel_start_schedule_workflow(const hotel_schedule *schedule);

/* ---- events and waits ---- */

/* An event that is about to be pushed: the members of Hatchet's PushEventRequest. */
typedef struct hotel_hatchet_event {
    const char *event_key HOTEL_ZERO; /* as the user says it, without the namespace */
    size_t event_key_size HOTEL_ZERO;
    const char *payload HOTEL_ZERO;
    size_t payload_size HOTEL_ZERO;
    const char *additional_metadata HOTEL_ZERO; /* JSON, as the user gave it */
    size_t additional_metadata_size HOTEL_ZERO;
    const int32_t *priority HOTEL_ZERO; /* NULL: not given */
    const char *scope HOTEL_ZERO;
    size_t scope_size HOTEL_ZERO;
} hotel_hatchet_event;

/* Starts "hatchet.push_event", or "hatchet.bulk_push_event" for many (PRODUCER). Metadata of
   events comes from hotel_inject_event_metadata. */
HOTEL_API hotel_span hotel_start_push_event(const hotel_hatchet_event *event);
HOTEL_API hotel_span hotel_start_bulk_push_event(const hotel_hatchet_event *events,
                                                 size_t num_events);

/* A wait of a durable task. */
typedef struct hotel_wait {
    const hotel_task *task HOTEL_ZERO; /* NULL: the one that is current */
    const char *signal_key HOTEL_ZERO;
    size_t signal_key_size HOTEL_ZERO;
    const int32_t *num_conditions HOTEL_ZERO; /* NULL: not given */
    const char *step_run_id HOTEL_ZERO;       /* NULL: the task's */
    size_t step_run_id_size HOTEL_ZERO;
} hotel_wait;

/* Starts "hatchet.durable.wait_for" (INTERNAL), child of the task's span or the current one. */
HOTEL_API hotel_span hotel_start_wait_for(const hotel_wait *wait);

/* ---- metadata ---- */

/* Writes a copy of the metadata (a JSON object; NULL or empty: {}) in which traceparent, and
   tracestate if the span has one, are those of the span; every other byte is kept. snprintf's
   manners: returns the size needed without NUL. 0: not a JSON object, "" is written, it is
   counted and logged. A span without a valid context changes nothing. */
HOTEL_API size_t hotel_inject_metadata(const hotel_span *span, const char *json, char *out,
                                       size_t capacity);
HOTEL_API size_t hotel_inject_metadata_n(const hotel_span *span, const char *json,
                                         size_t json_size, char *out, size_t capacity);

/* The same for an event: inside a task hatchet__source_workflow_run_id and
   hatchet__source_step_run_id name it, whatever stood there, if both are known. */
HOTEL_API size_t hotel_inject_event_metadata(const hotel_span *span, const char *json, char *out,
                                             size_t capacity);
HOTEL_API size_t hotel_inject_event_metadata_n(const hotel_span *span, const char *json,
                                               size_t json_size, char *out, size_t capacity);

/* The current context with the parent that a run's metadata names, as hotel_extract. */
HOTEL_API hotel_context hotel_extract_metadata(const char *json, size_t json_size);

/* ---- log lines and the engine's own spans ---- */

/* How hotel_log_fields writes. */
typedef enum hotel_log_format {
    HOTEL_LOG_FORMAT_TEXT = 0, /* " trace_id=... span_id=... step_run_id=..." */
    HOTEL_LOG_FORMAT_JSON = 1  /* ",\"trace_id\":\"...\",\"span_id\":..."      */
} hotel_log_format;

/* What ties a line of the program's own log to the trace: trace_id, span_id and, inside a task,
   step_run_id and workflow_run_id. Each begins with what separates it from the one before, so that
   the text goes behind a message or member as it is, and may be empty: there is none without a
   span. context NULL: the current one. snprintf's manners: returns the size needed without NUL. */
HOTEL_API size_t hotel_log_fields(const hotel_context *context, hotel_log_format format, char *out,
                                  size_t capacity);

/* The IDs that the engine makes for its own spans, by which a run's trace can be linked to or
   looked up: "hatchet.engine.workflow_run" with the trace that it has unless its metadata named
   one, "hatchet.engine.queued" and "hatchet.engine.start_step_run" of one attempt,
   "hatchet.engine.event" of an event and a run that it triggered. IDs are UUIDs in any form that
   the engine reads; a size of 0: up to the NUL. False, and zeros: one is not a UUID, or the retry
   count is negative. */
HOTEL_API bool hotel_engine_run(const char *workflow_run_id, size_t size, hotel_span_context *out);
HOTEL_API bool hotel_engine_queued(const char *step_run_id, size_t size, int32_t retry_count,
                                   uint8_t span_id[8]);
HOTEL_API bool hotel_engine_step_run(const char *step_run_id, size_t size, int32_t retry_count,
                                     uint8_t span_id[8]);
HOTEL_API bool hotel_engine_event(const char *event_id, size_t event_id_size,
                                  const char *workflow_run_id, size_t workflow_run_id_size,
                                  uint8_t span_id[8]);

/* ---- settings ---- */

/* By the settings of Hatchet's connection: what the names of workflows and events begin with in
   Hatchet, "shop_" for the namespace Shop, and the ID of the tenant. "" when it is not known.
   snprintf's manners: returns the size needed without NUL. threads: any. */
HOTEL_API size_t hotel_hatchet_namespace(char *out, size_t capacity);
HOTEL_API size_t hotel_hatchet_tenant(char *out, size_t capacity);

/* ==== [SECTION 15] WITHOUT TRACING ========================================================= */

#ifdef HATCHET_OTEL_DISABLE

/* One body for every HOTEL_API function above. Set-up, flush and shutdown succeed, spans and
   contexts are zero, texts are empty. What a program passes on is passed on as it was: metadata
   and tracestate come out unchanged. hotel_poll returns at once. */
#ifdef __cplusplus
#define HOTEL_NOTHING(type) type()
#else
#define HOTEL_NOTHING(type) ((type){0})
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* Copies text with snprintf's manners. */
HOTEL_INLINE size_t hotel_pass_on(const char *text, size_t size, char *out, size_t capacity) {
    size_t kept = size < capacity ? size : capacity - 1;
    if (!out || capacity == 0) return size;
    if (kept > 0) __builtin_memcpy(out, text, kept);
    out[kept] = 0;
    return size;
}

HOTEL_INLINE const char *hotel_result_text(int result) {
    return result == HOTEL_OK ? "success" : "tracing is compiled out";
}
HOTEL_INLINE void hotel_log_to_stderr(hotel_log_level level, hotel_log_id id, const char *message,
                                      void *user_data) {}

HOTEL_INLINE bool hotel_is_valid(const hotel_span_context *context) { return false; }
HOTEL_INLINE void hotel_trace_id_hex(const hotel_span_context *context, char out[33]) {
    if (out) __builtin_memcpy(out, "00000000000000000000000000000000", 33);
}
HOTEL_INLINE void hotel_span_id_hex(const hotel_span_context *context, char out[17]) {
    if (out) __builtin_memcpy(out, "0000000000000000", 17);
}
HOTEL_INLINE hotel_span hotel_wrap(const hotel_span_context *context) {
    return HOTEL_NOTHING(hotel_span);
}

HOTEL_INLINE hotel_result hotel_init_checked(const hotel_config *config, size_t config_size,
                                             int version) {
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_flush(uint32_t timeout_ms) { return HOTEL_OK; }
HOTEL_INLINE hotel_result hotel_shutdown(uint32_t timeout_ms) { return HOTEL_OK; }
HOTEL_INLINE hotel_result hotel_release(void) { return HOTEL_OK; }
HOTEL_INLINE hotel_result hotel_poll(uint32_t timeout_ms) { return HOTEL_OK; }
HOTEL_INLINE const char *hotel_version(void) { return HOTEL_VERSION_STRING; }

HOTEL_INLINE void hotel_get_stats(hotel_stats *out) {
    if (out) *out = HOTEL_NOTHING(hotel_stats);
}
HOTEL_INLINE hotel_result hotel_get_destination_stats(size_t index, hotel_destination_stats *out) {
    if (out) *out = HOTEL_NOTHING(hotel_destination_stats);
    return HOTEL_ERR_ARGUMENT; /* there is none */
}
HOTEL_INLINE size_t hotel_describe(char *out, size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}

HOTEL_INLINE hotel_tracer hotel_get_tracer(const hotel_tracer_config *config) {
    return HOTEL_NOTHING(hotel_tracer);
}
HOTEL_INLINE bool hotel_is_enabled(hotel_tracer tracer) { return false; }
HOTEL_INLINE hotel_span hotel_start_with(const char *name, const hotel_start_options *options) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start(const char *name) { return HOTEL_NOTHING(hotel_span); }
HOTEL_INLINE hotel_span hotel_start_as(const char *name, hotel_kind kind) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_in(const hotel_context *parent, const char *name,
                                       hotel_kind kind) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE void hotel_end(const hotel_span *span) {}
HOTEL_INLINE void hotel_end_at(const hotel_span *span, uint64_t end_time_ns) {}
HOTEL_INLINE bool hotel_is_recording(const hotel_span *span) { return false; }
HOTEL_INLINE void hotel_set_attrs(const hotel_span *span, const hotel_attr *attributes,
                                  size_t num_attributes) {}
HOTEL_INLINE void hotel_set_name(const hotel_span *span, const char *name) {}
HOTEL_INLINE void hotel_set_name_n(const hotel_span *span, const char *name, size_t size) {}
HOTEL_INLINE void hotel_set_status(const hotel_span *span, hotel_status status,
                                   const char *description) {}
HOTEL_INLINE void hotel_set_status_n(const hotel_span *span, hotel_status status,
                                     const char *description, size_t size) {}
HOTEL_INLINE void hotel_add_event_as(const hotel_span *span, const hotel_event *event) {}
HOTEL_INLINE void hotel_add_event(const hotel_span *span, const char *name) {}
HOTEL_INLINE void hotel_add_link(const hotel_span *span, const hotel_link *link) {}
HOTEL_INLINE void hotel_record_exception(const hotel_span *span, const char *type,
                                         const char *message, const char *stacktrace,
                                         const hotel_attr *attributes, size_t num_attributes) {}

HOTEL_INLINE hotel_context hotel_current(void) { return HOTEL_NOTHING(hotel_context); }
HOTEL_INLINE hotel_span hotel_current_span(void) { return HOTEL_NOTHING(hotel_span); }
HOTEL_INLINE hotel_context hotel_context_with(const hotel_span *span) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE hotel_token hotel_attach(const hotel_context *context) {
    return HOTEL_NOTHING(hotel_token);
}
HOTEL_INLINE hotel_result hotel_detach(hotel_token token) { return HOTEL_OK; }
HOTEL_INLINE hotel_context hotel_context_hold(const hotel_context *context) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE void hotel_context_release(hotel_context *context) {}
HOTEL_INLINE hotel_guard hotel_guard_span(const hotel_span *span) {
    return HOTEL_NOTHING(hotel_guard);
}
HOTEL_INLINE hotel_guard hotel_guard_context(const hotel_context *context) {
    return HOTEL_NOTHING(hotel_guard);
}
HOTEL_INLINE void hotel_guard_leave(hotel_guard *guard) {}

HOTEL_INLINE hotel_context hotel_extract(const char *traceparent, const char *tracestate) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE hotel_context hotel_extract_n(const char *traceparent, size_t traceparent_size,
                                           const char *tracestate, size_t tracestate_size) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE bool hotel_traceparent(const hotel_span *span, char out[HOTEL_TRACEPARENT_SIZE]) {
    if (out) out[0] = 0;
    return false;
}
HOTEL_INLINE size_t hotel_tracestate(const hotel_span *span, char *out, size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}
HOTEL_INLINE ptrdiff_t hotel_tracestate_get(const char *state, const char *key, char *out,
                                            size_t capacity) {
    (void)hotel_pass_on("", 0, out, capacity);
    return -1;
}
HOTEL_INLINE size_t hotel_tracestate_set(const char *state, const char *key, const char *value,
                                         char *out, size_t capacity) {
    return hotel_pass_on(state, hotel_text_size(state), out, capacity);
}

HOTEL_INLINE bool hotel_next_attr(hotel_list *list, hotel_attr_view *out) { return false; }
HOTEL_INLINE bool hotel_next_value(hotel_list *list, hotel_value_view *out) { return false; }
HOTEL_INLINE bool hotel_next_event(hotel_list *list, hotel_event_view *out) { return false; }
HOTEL_INLINE bool hotel_next_link(hotel_list *list, hotel_link_view *out) { return false; }
HOTEL_INLINE bool hotel_find_attr(hotel_list attributes, const char *key, hotel_value_view *out) {
    if (out) *out = HOTEL_NOTHING(hotel_value_view);
    return false;
}
HOTEL_INLINE hotel_batch hotel_batch_of(const void *request, size_t request_size) {
    return HOTEL_NOTHING(hotel_batch);
}
HOTEL_INLINE hotel_spans hotel_batch_spans(const hotel_batch *batch) {
    return HOTEL_NOTHING(hotel_spans);
}
HOTEL_INLINE bool hotel_next_span(hotel_spans *spans, hotel_span_view *out) {
    if (out) *out = HOTEL_NOTHING(hotel_span_view);
    return false;
}
HOTEL_INLINE hotel_exporter hotel_console_exporter(int descriptor) {
    return HOTEL_NOTHING(hotel_exporter);
}
HOTEL_INLINE hotel_exporter hotel_memory_exporter_start(hotel_memory_exporter *exporter,
                                                        void *memory, size_t capacity) {
    *exporter = HOTEL_NOTHING(hotel_memory_exporter);
    return HOTEL_NOTHING(hotel_exporter);
}
HOTEL_INLINE hotel_batch hotel_memory_exporter_batch(const hotel_memory_exporter *exporter) {
    return HOTEL_NOTHING(hotel_batch);
}
HOTEL_INLINE size_t hotel_memory_exporter_count(const hotel_memory_exporter *exporter) {
    return 0;
}
HOTEL_INLINE bool hotel_memory_exporter_at(const hotel_memory_exporter *exporter, size_t index,
                                           hotel_span_view *out) {
    *out = HOTEL_NOTHING(hotel_span_view);
    return false;
}
HOTEL_INLINE size_t hotel_memory_exporter_refused(const hotel_memory_exporter *exporter) {
    return 0;
}
HOTEL_INLINE void hotel_memory_exporter_reset(hotel_memory_exporter *exporter) {}

HOTEL_INLINE hotel_result hotel_resource_start(hotel_resource *resource, void *memory,
                                               size_t capacity, const char *schema_url) {
    *resource = HOTEL_NOTHING(hotel_resource);
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_resource_add(hotel_resource *resource, hotel_attr attribute) {
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_resource_set_schema(hotel_resource *resource,
                                                    const char *schema_url) {
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_resource_merge(hotel_resource *resource,
                                               const hotel_resource *updating) {
    return HOTEL_OK;
}
HOTEL_INLINE hotel_resource_view hotel_resource_read(const hotel_resource *resource) {
    return HOTEL_NOTHING(hotel_resource_view);
}
HOTEL_INLINE hotel_detector hotel_service_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_process_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_command_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_host_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_os_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_sdk_detector(void) { return HOTEL_NOTHING(hotel_detector); }
HOTEL_INLINE hotel_detector hotel_resource_detector(const hotel_resource *resource) {
    return HOTEL_NOTHING(hotel_detector);
}

HOTEL_INLINE hotel_key hotel_create_key(const char *name) { return HOTEL_NOTHING(hotel_key); }
HOTEL_INLINE hotel_context hotel_context_with_value(const hotel_context *context, hotel_key key,
                                                    void *value) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE void *hotel_context_value(const hotel_context *context, hotel_key key) {
    return NULL;
}

HOTEL_INLINE void hotel_baggage_start(hotel_baggage *baggage, void *memory, size_t capacity) {
    if (baggage) *baggage = HOTEL_NOTHING(hotel_baggage);
}
HOTEL_INLINE bool hotel_baggage_set(hotel_baggage *baggage, const char *name, const char *value,
                                    const char *metadata) {
    return false;
}
HOTEL_INLINE bool hotel_baggage_set_n(hotel_baggage *baggage, hotel_string name,
                                      hotel_string value, hotel_string metadata) {
    return false;
}
HOTEL_INLINE const char *hotel_baggage_get(const hotel_baggage *baggage, const char *name) {
    return NULL;
}
HOTEL_INLINE bool hotel_baggage_find(const hotel_baggage *baggage, hotel_string name,
                                     hotel_baggage_entry *out) {
    return false;
}
HOTEL_INLINE bool hotel_baggage_remove(hotel_baggage *baggage, const char *name) { return false; }
HOTEL_INLINE bool hotel_baggage_remove_n(hotel_baggage *baggage, hotel_string name) {
    return false;
}
HOTEL_INLINE void hotel_baggage_clear(hotel_baggage *baggage) {}
HOTEL_INLINE bool hotel_baggage_next(const hotel_baggage *baggage, size_t *cursor,
                                     hotel_baggage_entry *out) {
    return false;
}
HOTEL_INLINE size_t hotel_baggage_parse(hotel_baggage *baggage, const char *header, size_t size) {
    return 0;
}
HOTEL_INLINE size_t hotel_baggage_format(const hotel_baggage *baggage, char *out,
                                         size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}
HOTEL_INLINE hotel_context hotel_context_with_baggage(const hotel_context *context,
                                                      const hotel_baggage *baggage) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE bool hotel_context_baggage(const hotel_context *context, hotel_baggage *out) {
    return true;
}

HOTEL_INLINE hotel_propagator hotel_tracecontext_propagator(void) {
    return HOTEL_NOTHING(hotel_propagator);
}
HOTEL_INLINE hotel_propagator hotel_baggage_propagator(void) {
    return HOTEL_NOTHING(hotel_propagator);
}
HOTEL_INLINE hotel_propagator hotel_b3_propagator(void) { return HOTEL_NOTHING(hotel_propagator); }
HOTEL_INLINE hotel_propagator hotel_b3multi_propagator(void) {
    return HOTEL_NOTHING(hotel_propagator);
}
HOTEL_INLINE hotel_propagator hotel_composite_propagator(const hotel_propagator_list *list) {
    return HOTEL_NOTHING(hotel_propagator);
}
HOTEL_INLINE void hotel_set_global_propagator(const hotel_propagator *propagator) {}
HOTEL_INLINE hotel_propagator hotel_get_global_propagator(void) {
    return HOTEL_NOTHING(hotel_propagator);
}
HOTEL_INLINE void hotel_inject(const hotel_context *context, const hotel_setter *setter,
                               void *carrier) {}
HOTEL_INLINE void hotel_inject_with(const hotel_propagator *propagator,
                                    const hotel_context *context, const hotel_setter *setter,
                                    void *carrier) {}
HOTEL_INLINE hotel_context hotel_extract_from(const hotel_getter *getter, const void *carrier) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE hotel_context hotel_extract_with(const hotel_propagator *propagator,
                                              const hotel_context *context,
                                              const hotel_getter *getter, const void *carrier) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE const char *hotel_propagator_field(const hotel_propagator *propagator,
                                                size_t index) {
    return NULL;
}
HOTEL_INLINE void hotel_context_put_span(hotel_context *held, const hotel_span *span) {}
HOTEL_INLINE hotel_getter hotel_header_getter(void) { return HOTEL_NOTHING(hotel_getter); }
HOTEL_INLINE hotel_getter hotel_env_getter(void) { return HOTEL_NOTHING(hotel_getter); }
HOTEL_INLINE hotel_setter hotel_env_setter(void) { return HOTEL_NOTHING(hotel_setter); }
HOTEL_INLINE size_t hotel_env_name(const char *key, char *out, size_t capacity) {
    return hotel_pass_on(key, hotel_text_size(key), out, capacity);
}
/* The child still gets the variables to begin with. */
HOTEL_INLINE void hotel_env_start(hotel_env *env, char **list, size_t capacity, char *memory,
                                  size_t memory_bytes, char *const *base) {
    if (!env) return;
    *env = HOTEL_NOTHING(hotel_env);
    if (!list || capacity == 0) return;
    env->list = list;
    env->capacity = capacity;
    for (; base && *base; base++) {
        if (env->count + 1 < capacity) list[env->count++] = *base;
        else env->dropped++;
    }
    list[env->count] = NULL;
}

HOTEL_INLINE hotel_task hotel_start_step_run(const hotel_step_run *step_run) {
    return HOTEL_NOTHING(hotel_task);
}
HOTEL_INLINE const char *hotel_hatchet_key_name(hotel_hatchet_key key) {
    return "";
}
HOTEL_INLINE hotel_task hotel_join_step_run(const hotel_step_run *step_run) {
    return HOTEL_NOTHING(hotel_task);
}
HOTEL_INLINE void hotel_task_succeed(hotel_task *task) {}
HOTEL_INLINE void hotel_task_fail(hotel_task *task, const char *message) {}
HOTEL_INLINE void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                     const char *stacktrace) {}
HOTEL_INLINE void hotel_task_fail_with(hotel_task *task, const hotel_failure *failure) {}
HOTEL_INLINE void hotel_task_cancel(hotel_task *task) {}
HOTEL_INLINE hotel_span hotel_start_cancel_step_run(const hotel_step_run *step_run) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE void hotel_succeed(const hotel_span *span) {}
HOTEL_INLINE void hotel_fail(const hotel_span *span, const char *message) {}
HOTEL_INLINE void hotel_fail_as(const hotel_span *span, const char *type, const char *message,
                                const char *stacktrace) {}
HOTEL_INLINE void hotel_fail_with(const hotel_span *span, const hotel_failure *failure) {}
HOTEL_INLINE hotel_span hotel_start_run_workflow(const hotel_trigger *trigger) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_run_workflows(const hotel_trigger *runs, size_t num_runs) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_run_of(const hotel_span *batch, const hotel_trigger *run) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_schedule_workflow(const hotel_schedule *schedule) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_push_event(const hotel_hatchet_event *event) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_bulk_push_event(const hotel_hatchet_event *events,
                                                    size_t num_events) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE hotel_span hotel_start_wait_for(const hotel_wait *wait) {
    return HOTEL_NOTHING(hotel_span);
}
HOTEL_INLINE size_t hotel_inject_metadata_n(const hotel_span *span, const char *json,
                                            size_t json_size, char *out, size_t capacity) {
    bool empty = !json || json_size == 0;
    return hotel_pass_on(empty ? "{}" : json, empty ? 2 : json_size, out, capacity);
}
HOTEL_INLINE size_t hotel_inject_metadata(const hotel_span *span, const char *json, char *out,
                                          size_t capacity) {
    return hotel_inject_metadata_n(span, json, hotel_text_size(json), out, capacity);
}
HOTEL_INLINE size_t hotel_inject_event_metadata_n(const hotel_span *span, const char *json,
                                                  size_t json_size, char *out, size_t capacity) {
    return hotel_inject_metadata_n(span, json, json_size, out, capacity);
}
HOTEL_INLINE size_t hotel_inject_event_metadata(const hotel_span *span, const char *json,
                                                char *out, size_t capacity) {
    return hotel_inject_metadata(span, json, out, capacity);
}
HOTEL_INLINE hotel_context hotel_extract_metadata(const char *json, size_t json_size) {
    return HOTEL_NOTHING(hotel_context);
}
HOTEL_INLINE size_t hotel_log_fields(const hotel_context *context, hotel_log_format format,
                                     char *out, size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}
HOTEL_INLINE bool hotel_engine_run(const char *workflow_run_id, size_t size,
                                   hotel_span_context *out) {
    if (out) *out = HOTEL_NOTHING(hotel_span_context);
    return false;
}
HOTEL_INLINE bool hotel_engine_queued(const char *step_run_id, size_t size, int32_t retry_count,
                                      uint8_t span_id[8]) {
    if (span_id) __builtin_memset(span_id, 0, 8);
    return false;
}
HOTEL_INLINE bool hotel_engine_step_run(const char *step_run_id, size_t size, int32_t retry_count,
                                        uint8_t span_id[8]) {
    return hotel_engine_queued(step_run_id, size, retry_count, span_id);
}
HOTEL_INLINE bool hotel_engine_event(const char *event_id, size_t event_id_size,
                                     const char *workflow_run_id, size_t workflow_run_id_size,
                                     uint8_t span_id[8]) {
    return hotel_engine_queued(event_id, event_id_size, 0, span_id);
}
HOTEL_INLINE size_t hotel_hatchet_namespace(char *out, size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}
HOTEL_INLINE size_t hotel_hatchet_tenant(char *out, size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}

HOTEL_INLINE size_t hotel_sampler_description(const hotel_sampler *sampler, char *out,
                                              size_t capacity) {
    return hotel_pass_on("", 0, out, capacity);
}
HOTEL_INLINE hotel_result hotel_provider_start(const hotel_config *config, hotel_provider *out) {
    if (out) *out = HOTEL_NOTHING(hotel_provider);
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_provider_flush(hotel_provider provider, uint32_t timeout_ms) {
    return HOTEL_OK;
}
HOTEL_INLINE hotel_result hotel_provider_shutdown(hotel_provider provider, uint32_t timeout_ms) {
    return HOTEL_OK;
}
HOTEL_INLINE size_t hotel_get_descriptors(hotel_descriptor *out, size_t capacity,
                                          uint32_t *timeout_ms) {
    if (timeout_ms) *timeout_ms = 60000; /* nothing is ever due */
    return 0;
}

#pragma GCC diagnostic pop
#undef HOTEL_NOTHING
#endif /* HATCHET_OTEL_DISABLE */

#ifdef __cplusplus
} /* extern "C" */
#endif
#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic pop
#endif

/* ==== [SECTION 16] MACROS FOR C ============================================================ */

#ifndef __cplusplus

/* Several attributes at once: hotel_set(&span, hotel_str("a", "b"), hotel_int("n", 1)); */
#define hotel_set(span, ...)                                          \
    hotel_set_attrs((span), (const hotel_attr[]){__VA_ARGS__},        \
                    sizeof((const hotel_attr[]){__VA_ARGS__}) / sizeof(hotel_attr))

/* An event with attributes: hotel_add_event_with(&span, "retry", hotel_int("attempt", 2)); */
#define hotel_add_event_with(span, event_name, ...)                                       \
    hotel_add_event_as((span),                                                            \
                       &(const hotel_event){                                              \
                           .name = (event_name),                                          \
                           .attributes = (const hotel_attr[]){__VA_ARGS__},               \
                           .num_attributes =                                              \
                               sizeof((const hotel_attr[]){__VA_ARGS__}) / sizeof(hotel_attr)})

/* HOTEL_SCOPE(span, hotel_start("x")); declares span, makes it current, and ends it when the
   block is left, by return, break and goto too. HOTEL_ATTACH(context); attaches for the block. */
#define HOTEL_SCOPE(name, start)                                                        \
    hotel_span name = (start);                                                          \
    hotel_guard name##_guard __attribute__((cleanup(hotel_guard_leave), unused)) =      \
        hotel_guard_span(&name)
#define HOTEL_ATTACH(name, context)                                                     \
    hotel_guard name __attribute__((cleanup(hotel_guard_leave), unused)) =              \
        hotel_guard_context(context)

#else

/* ==== [SECTION 17] THE SAME FOR C++ ======================================================== */

/* Several attributes at once. */
template <typename... Attributes>
inline void hotel_set(const hotel_span *span, const Attributes &...attributes) {
    const hotel_attr list[] = {attributes...};
    hotel_set_attrs(span, list, sizeof list / sizeof list[0]);
}

/* An event with attributes. */
template <typename... Attributes>
inline void hotel_add_event_with(const hotel_span *span, const char *name,
                                 const Attributes &...attributes) {
    const hotel_attr list[] = {attributes...};
    hotel_event event = hotel_event();
    event.name = name;
    event.attributes = list;
    event.num_attributes = sizeof list / sizeof list[0];
    hotel_add_event_as(span, &event);
}

/* Pointers to temporaries are not C++; references are. */
inline hotel_span hotel_start_with(const char *name, const hotel_start_options &options) {
    return hotel_start_with(name, &options);
}
inline hotel_tracer hotel_get_tracer(const hotel_tracer_config &config) {
    return hotel_get_tracer(&config);
}
inline void hotel_add_event_as(const hotel_span *span, const hotel_event &event) {
    hotel_add_event_as(span, &event);
}
inline void hotel_add_link(const hotel_span *span, const hotel_link &link) {
    hotel_add_link(span, &link);
}
inline hotel_task hotel_start_step_run(const hotel_step_run &step_run) {
    return hotel_start_step_run(&step_run);
}
inline hotel_task hotel_join_step_run(const hotel_step_run &step_run) {
    return hotel_join_step_run(&step_run);
}
inline hotel_span hotel_start_cancel_step_run(const hotel_step_run &step_run) {
    return hotel_start_cancel_step_run(&step_run);
}
inline hotel_span hotel_start_run_workflow(const hotel_trigger &trigger) {
    return hotel_start_run_workflow(&trigger);
}
inline hotel_span hotel_start_schedule_workflow(const hotel_schedule &schedule) {
    return hotel_start_schedule_workflow(&schedule);
}
inline hotel_span hotel_start_push_event(const hotel_hatchet_event &event) {
    return hotel_start_push_event(&event);
}
inline hotel_span hotel_start_wait_for(const hotel_wait &wait) {
    return hotel_start_wait_for(&wait);
}
inline void hotel_task_fail_with(hotel_task *task, const hotel_failure &failure) {
    hotel_task_fail_with(task, &failure);
}
inline void hotel_fail_with(const hotel_span *span, const hotel_failure &failure) {
    hotel_fail_with(span, &failure);
}
inline void hotel_inject(const hotel_context *context, const hotel_setter &setter,
                         void *carrier) {
    hotel_inject(context, &setter, carrier);
}
inline hotel_context hotel_extract_from(const hotel_getter &getter, const void *carrier) {
    return hotel_extract_from(&getter, carrier);
}
inline void hotel_set_global_propagator(const hotel_propagator &propagator) {
    hotel_set_global_propagator(&propagator);
}
inline hotel_result hotel_init_checked(const hotel_config &config, size_t size, int version) {
    return hotel_init_checked(&config, size, version);
}

/* Makes a span current and ends it, or attaches a context, for the life of the object. */
class hotel_scope_guard {
public:
    explicit hotel_scope_guard(const hotel_span &span) : guard(hotel_guard_span(&span)) {}
    explicit hotel_scope_guard(const hotel_context &context)
        : guard(hotel_guard_context(&context)) {}
    ~hotel_scope_guard() { hotel_guard_leave(&guard); }
    hotel_scope_guard(const hotel_scope_guard &) = delete;
    hotel_scope_guard &operator=(const hotel_scope_guard &) = delete;

private:
    hotel_guard guard;
};

#define HOTEL_SCOPE(name, start) \
    hotel_span name = (start);   \
    hotel_scope_guard name##_guard(name)
#define HOTEL_ATTACH(name, context) hotel_scope_guard name(*(context))

#endif /* __cplusplus */

#endif /* HATCHET_OTEL_H_INCLUDED */


/* ==== IMPLEMENTATION ======================================================================== */

#if defined(HATCHET_OTEL_IMPLEMENTATION) && !defined(HATCHET_OTEL_DISABLE) && \
    !defined(HATCHET_OTEL_IMPLEMENTATION_INCLUDED)
#define HATCHET_OTEL_IMPLEMENTATION_INCLUDED

/* ==== [SECTION 18] PLATFORM ================================================================ */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif
#if defined(HATCHET_OTEL_ZLIB)
#include <zlib.h>
#endif
#if defined(HATCHET_OTEL_OPENSSL)
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#if !defined(CLOCK_MONOTONIC) || !defined(AF_UNIX) || !defined(POLLIN)
#error "include hatchet_otel.h before system headers, or use -std=gnu11 (_POSIX_C_SOURCE=200809L)"
#endif

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif
extern "C" {
#endif

/* Bytes of one chunk of the arena: a span starts with one and takes more as it grows. */
#ifndef HATCHET_OTEL_CHUNK_BYTES
#define HATCHET_OTEL_CHUNK_BYTES 512
#endif
#if HATCHET_OTEL_CHUNK_BYTES < 256 || HATCHET_OTEL_CHUNK_BYTES > 32768 || \
    (HATCHET_OTEL_CHUNK_BYTES & (HATCHET_OTEL_CHUNK_BYTES - 1)) != 0
#error "HATCHET_OTEL_CHUNK_BYTES must be a power of two from 256 to 32768"
#endif

/* Contexts attached at the same time on one thread: 80 bytes of thread-local memory each. */
#ifndef HATCHET_OTEL_MAX_ATTACHED
#define HATCHET_OTEL_MAX_ATTACHED 32
#endif
#if HATCHET_OTEL_MAX_ATTACHED < 1 || HATCHET_OTEL_MAX_ATTACHED > 1024
#error "HATCHET_OTEL_MAX_ATTACHED must be from 1 to 1024"
#endif
/* Providers have their places from the start. */
#ifndef HATCHET_OTEL_MAX_PROVIDERS
#define HATCHET_OTEL_MAX_PROVIDERS 4
#endif
#if HATCHET_OTEL_MAX_PROVIDERS != 1 && HATCHET_OTEL_MAX_PROVIDERS != 2 && \
    HATCHET_OTEL_MAX_PROVIDERS != 4 && HATCHET_OTEL_MAX_PROVIDERS != 8
#error "HATCHET_OTEL_MAX_PROVIDERS must be 1, 2, 4 or 8"
#endif

#define HOTELI_LIKELY(x) __builtin_expect(!!(x), 1)
#define HOTELI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HOTELI_COLD __attribute__((noinline, cold))
#define HOTELI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HOTELI_MAX(a, b) ((a) > (b) ? (a) : (b))

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifdef SOCK_CLOEXEC
#define HOTELI_CLOEXEC SOCK_CLOEXEC
#else
#define HOTELI_CLOEXEC 0
#endif

/* Atomics on wrapped integers, so that plain access does not compile. The native word is the
   widest that every supported machine swaps in one step. */
typedef struct hoteli_word {
    uintptr_t bits;
} hoteli_word;
typedef struct hoteli_flag {
    uint32_t bits;
} hoteli_flag;

static inline uintptr_t hoteli_load(const hoteli_word *w) {
    return __atomic_load_n(&w->bits, __ATOMIC_ACQUIRE);
}
static inline uintptr_t hoteli_load_relaxed(const hoteli_word *w) {
    return __atomic_load_n(&w->bits, __ATOMIC_RELAXED);
}
static inline void hoteli_store(hoteli_word *w, uintptr_t bits) {
    __atomic_store_n(&w->bits, bits, __ATOMIC_RELEASE);
}
static inline bool hoteli_cas(hoteli_word *w, uintptr_t *expected, uintptr_t desired) {
    return __atomic_compare_exchange_n(&w->bits, expected, desired, true, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}
static inline uintptr_t hoteli_swap(hoteli_word *w, uintptr_t bits) {
    return __atomic_exchange_n(&w->bits, bits, __ATOMIC_ACQ_REL);
}
static inline uintptr_t hoteli_sub(hoteli_word *w, uintptr_t n) {
    return __atomic_fetch_sub(&w->bits, n, __ATOMIC_ACQ_REL);
}
static inline void hoteli_count(hoteli_word *w, uintptr_t n) {
    (void)__atomic_fetch_add(&w->bits, n, __ATOMIC_RELAXED);
}
static inline uint32_t hoteli_flag_load(const hoteli_flag *f) {
    return __atomic_load_n(&f->bits, __ATOMIC_ACQUIRE);
}
static inline void hoteli_flag_store(hoteli_flag *f, uint32_t bits) {
    __atomic_store_n(&f->bits, bits, __ATOMIC_RELEASE);
}
static inline uint32_t hoteli_flag_swap(hoteli_flag *f, uint32_t bits) {
    return __atomic_exchange_n(&f->bits, bits, __ATOMIC_SEQ_CST);
}
static inline bool hoteli_flag_cas(hoteli_flag *f, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n(&f->bits, &expected, desired, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}
/* Settings that spans read while a later hotel_init may write them. */
#define HOTELI_GET(setting) __atomic_load_n(&(setting), __ATOMIC_RELAXED)
#define HOTELI_SET(setting, value) __atomic_store_n(&(setting), (value), __ATOMIC_RELAXED)

/* Links of lists that another thread may read while they change: its swap then fails. */
static inline uint32_t hoteli_link_get(const uint32_t *link) {
    return __atomic_load_n(link, __ATOMIC_RELAXED);
}
static inline void hoteli_link_set(uint32_t *link, uint32_t value) {
    __atomic_store_n(link, value, __ATOMIC_RELAXED);
}

/* A thread that is cancelled inside would take along what it holds: no call is a cancellation
   point. Returns what hoteli_cancel_back takes. */
static int hoteli_cancel_hold(void) {
    int state = 0;
#ifdef PTHREAD_CANCEL_DISABLE
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
#endif
    return state;
}

static void hoteli_cancel_back(int state) {
#ifdef PTHREAD_CANCEL_DISABLE
    (void)pthread_setcancelstate(state, &state);
#endif
    (void)state;
}

/* ==== [SECTION 19] TEXT ==================================================================== */

/* One byte value in all eight bytes of a word. */
#define HOTELI_BYTES(x) (UINT64_C(0x0101010101010101) * (x))

static bool hoteli_is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool hoteli_is_alnum(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Value of a hex digit of either case, -1 for anything else. */
static int hoteli_hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void hoteli_trim(const char **text, size_t *size) {
    while (*size > 0 && hoteli_is_blank((*text)[*size - 1])) --*size;
    while (*size > 0 && hoteli_is_blank(**text)) {
        ++*text;
        --*size;
    }
}

/* ASCII comparison without regard to case; `lower` is a lower-case literal. */
static bool hoteli_is_word(const char *text, size_t size, const char *lower) {
    size_t i;
    for (i = 0; i < size && lower[i] != 0; i++) {
        char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c) != lower[i]) return false;
    }
    return i == size && lower[i] == 0;
}

/* Text that is measured first (out NULL) and written by a second identical pass. */
typedef struct hoteli_sink {
    char *out;
    size_t size;
} hoteli_sink;

static void hoteli_sink_put(hoteli_sink *sink, const char *text, size_t size) {
    if (sink->out != NULL && size > 0) memcpy(sink->out + sink->size, text, size);
    sink->size += size;
}

static bool hoteli_is_ascii8(const char *text) {
    uint64_t word;
    memcpy(&word, text, 8);
    return (word & HOTELI_BYTES(0x80)) == 0;
}

/* Size of the well-formed UTF-8 sequence (RFC 3629) at `text`, 0 if its first byte is a bad one. */
static size_t hoteli_utf8_sequence(const char *text, size_t size) {
    const unsigned char *p = (const unsigned char *)text;
    unsigned char low, high;
    size_t length, i;
    if (p[0] < 0x80) return 1;
    length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] < 0xC2 || p[0] > 0xF4 || length > size) return 0;
    // The second byte decides: no overlong form, no surrogate, nothing above U+10FFFF.
    low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) return 0;
    for (i = 2; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    return length;
}

/* In words, of which the last one overlaps. */
static inline bool hoteli_is_ascii(const void *bytes, size_t size) {
    const char *text = (const char *)bytes;
    uint64_t all = 0, word;
    size_t i;
    if (size >= 8) {
        for (i = 0; i + 8 < size; i += 8) {
            memcpy(&word, text + i, 8);
            all |= word;
        }
        memcpy(&word, text + size - 8, 8);
        all |= word;
    } else if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, text, 4);
        memcpy(&high, text + size - 4, 4);
        all = low | high;
    } else {
        for (i = 0; i < size; i++) all |= (unsigned char)text[i];
    }
    return (all & HOTELI_BYTES(0x80)) == 0;
}

static bool hoteli_utf8_check(const char *text, size_t size) {
    size_t i, step;
    for (i = 0; i < size; i += step) {
        if (size - i >= 8 && hoteli_is_ascii8(text + i)) {
            step = 8;
        } else if ((step = hoteli_utf8_sequence(text + i, size - i)) == 0) {
            return false;
        }
    }
    return true;
}

/* Whether the text is UTF-8 (SP-41). Most are ASCII. */
static inline bool hoteli_utf8_valid(const char *text, size_t size) {
    return hoteli_is_ascii(text, size) || hoteli_utf8_check(text, size);
}

/*
 * Copies the text with U+FFFD for every byte that belongs to no well-formed sequence (SP-41).
 * Returns the size of the result; `out` may be NULL to ask for it, and must not overlap `text`.
 */
static size_t hoteli_utf8_repair(char *out, const char *text, size_t size) {
    hoteli_sink sink;
    size_t i, step;
    sink.out = out;
    sink.size = 0;
    for (i = 0; i < size; i += step) {
        step = hoteli_utf8_sequence(text + i, size - i);
        if (step > 0) {
            hoteli_sink_put(&sink, text + i, step);
        } else {
            hoteli_sink_put(&sink, "\xEF\xBF\xBD", 3);
            step = 1;
        }
    }
    return sink.size;
}

/* The size that hoteli_utf8_repair() gives the text: at most three times its own. */
static size_t hoteli_utf8_repaired_size(const char *text, size_t size) {
    return hoteli_utf8_repair(NULL, text, size);
}

/*
 * Size in bytes of the longest prefix of at most `max_code_points` (SP-35): never splits a
 * sequence, a byte that belongs to none counts as one.
 */
static size_t hoteli_utf8_prefix(const char *text, size_t size, size_t max_code_points) {
    size_t i = 0;
    if (size <= max_code_points) return size;
    while (i < size && max_code_points > 0) {
        size_t bytes = 8, points = 8;
        if (max_code_points < 8 || size - i < 8 || !hoteli_is_ascii8(text + i)) {
            bytes = hoteli_utf8_sequence(text + i, size - i);
            bytes += bytes == 0;
            points = 1;
        }
        i += bytes;
        max_code_points -= points;
    }
    return i;
}

/*
 * An unsigned decimal number up to and including `max`, blanks around it allowed (EP-03, EP-10).
 * False, and `out` untouched, for a sign, junk, nothing at all or a number above `max`.
 */
static bool hoteli_parse_uint(const char *text, size_t size, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    size_t i;
    hoteli_trim(&text, &size);
    for (i = 0; i < size; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (digit > 9 || digit > max || value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    if (size == 0) return false;
    *out = value;
    return true;
}

/*
 * RFC 3986 decoding; plus stays plus (OH-04). Returns the decoded size, never above `size`; `out`
 * may be `text`. A '%' that starts no escape is kept as it is, and *ok becomes false.
 */
static size_t hoteli_percent_decode(char *out, const char *text, size_t size, bool *ok) {
    size_t i, used = 0;
    *ok = true;
    for (i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = size - i > 2 ? hoteli_hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hoteli_hex_digit(text[i + 2]) : -1;
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            } else {
                *ok = false;
            }
        }
        out[used++] = c;
    }
    return used;
}

/* The word at that place of a list, each ending in NUL: a table of pointers would be data, of which
   small devices have least. */
static const char *hoteli_nth(const char *words, int place) {
    while (place-- > 0) words += strlen(words) + 1;
    return words;
}

/* ==== [SECTION 20] LISTS OF PAIRS ========================================================== */

typedef struct hoteli_pair {
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
} hoteli_pair;

/*
 * The next member of a "k=v,k=v" list (OH-01, OH-02, OH-03, OH-06): split at its first '=', blanks
 * trimmed, nothing decoded, empty members skipped. Returns 1 for a member, 0 at the end, -1 for a
 * member without '=' or without a key; then `key` is the whole member and `value` is NULL.
 */
static int hoteli_list_next(const char **cursor, const char *end, hoteli_pair *pair) {
    while (*cursor != end) {
        const char *member = *cursor;
        size_t size = (size_t)(end - member);
        const char *mark = (const char *)memchr(member, ',', size);
        if (mark != NULL) size = (size_t)(mark - member);
        *cursor = mark != NULL ? mark + 1 : end;
        hoteli_trim(&member, &size);
        if (size == 0) continue;
        mark = (const char *)memchr(member, '=', size);
        pair->key = member;
        pair->key_size = size;
        pair->value = NULL;
        pair->value_size = 0;
        if (mark == NULL || mark == member) return -1;
        pair->key_size = (size_t)(mark - member);
        pair->value = mark + 1;
        pair->value_size = size - pair->key_size - 1;
        hoteli_trim(&pair->key, &pair->key_size);
        hoteli_trim(&pair->value, &pair->value_size);
        return 1;
    }
    return 0;
}

/* RFC 7230 token: what the name of a header may be (OH-04). */
static bool hoteli_is_token(const char *text, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        if (!hoteli_is_alnum(text[i]) && memchr("!#$%&'*+-.^_`|~", text[i], 15) == NULL) {
            return false;
        }
    }
    return size > 0;
}

/* ==== [SECTION 21] URLS ==================================================================== */

typedef struct hoteli_url {
    bool tls;
    bool is_unix;
    char host[256];      /* name, IPv4, IPv6 without brackets, or the path of the socket */
    uint16_t port;       /* 0 for a socket path */
    char authority[300]; /* value of the Host header */
    const char *path;    /* within the parsed text */
    size_t path_size;    /* 0: none was given */
} hoteli_url;

/* The path up to a query or fragment, which are ignored. */
static const char *hoteli_url_path(const char *text, size_t size, hoteli_url *url) {
    size_t i;
    for (i = 0; i < size && text[i] != '?' && text[i] != '#'; i++) {
        if ((unsigned char)text[i] > 0x7E) {
            return "the path has a character that must be percent-encoded";
        }
    }
    url->path = text;
    url->path_size = i;
    return NULL;
}

/* "/path/to.sock", then perhaps ":/http/path". */
static const char *hoteli_url_unix(const char *text, size_t size, hoteli_url *url) {
    size_t i = 0;
    while (size > 1 && text[0] == '/' && text[1] == '/') {
        text++;
        size--;
    }
    if (size < 2 || text[0] != '/') return "unix: needs the absolute path of a socket";
    while (i < size && !(text[i] == ':' && i + 1 < size && text[i + 1] == '/')) i++;
    if (i > 107) return "the path of the socket is longer than 107 bytes";
    url->is_unix = true;
    memcpy(url->host, text, i);
    memcpy(url->authority, "localhost", 9);
    return i < size ? hoteli_url_path(text + i + 1, size - i - 1, url) : NULL;
}

/* "host" or "host:port", without userinfo. */
static const char *hoteli_url_authority(const char *text, size_t size, hoteli_url *url) {
    bool is_v6 = size > 0 && text[0] == '[';
    const char *mark = size > 0 ? (const char *)memchr(text, is_v6 ? ']' : ':', size) : NULL;
    size_t name_size = mark != NULL ? (size_t)(mark - text) + is_v6 : size;
    size_t host_size = is_v6 ? name_size - 2 : name_size;
    size_t i, port_size = size - name_size;
    uint64_t port = url->port;
    if (is_v6 && mark == NULL) return "the IPv6 address has no closing bracket";
    if (host_size == 0 || host_size >= sizeof url->host) {
        return host_size == 0 ? "it has no host" : "the host name is longer than 255 bytes";
    }
    memcpy(url->host, text + is_v6, host_size);
    for (i = 0; i < host_size; i++) {
        char c = url->host[i];
        if (is_v6 ? hoteli_hex_digit(c) < 0 && c != ':' && c != '.'
                  : !hoteli_is_alnum(c) && c != '-' && c != '.' && c != '_') {
            return is_v6 ? "the IPv6 address has a character that cannot be in one"
                         : "the host name has a character that cannot be in one";
        }
    }
    if (is_v6 && memchr(url->host, ':', host_size) == NULL) {
        return "what is in the brackets is not an IPv6 address";
    }
    if (port_size > 0) {
        const char *colon = text + name_size;
        if (!is_v6 && memchr(colon + 1, ':', port_size - 1) != NULL) {
            return "an IPv6 address needs brackets around it";
        }
        if (*colon != ':' || port_size > 6 ||
            !hoteli_parse_uint(colon + 1, port_size - 1, 65535, &port) || port == 0) {
            return "the port is not a number from 1 to 65535";
        }
    }
    memcpy(url->authority, text, port == url->port ? name_size : size);
    url->port = (uint16_t)port;
    return NULL;
}

static const char *hoteli_url_text(const char *text, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F) {
            return "it has a space or a control character in it";
        }
    }
    return NULL;
}

/*
 * An endpoint: http, https, or "unix:/path/to.sock" with ":/http/path" behind it or not (OX-01,
 * OU-05, OU-06, OU-07, OU-10). Userinfo, query and fragment are ignored. Returns NULL, or the
 * reason why the text is none; `url` points into `text`.
 */
static const char *hoteli_url_parse(const char *text, size_t size, hoteli_url *url) {
    size_t start, stop;
    const char *reason = hoteli_url_text(text, size);
    memset(url, 0, sizeof *url);
    if (reason != NULL) return reason;
    if (size >= 5 && hoteli_is_word(text, 5, "unix:")) {
        return hoteli_url_unix(text + 5, size - 5, url);
    }
    url->tls = size >= 8 && hoteli_is_word(text, 8, "https://");
    if (!url->tls && !(size >= 7 && hoteli_is_word(text, 7, "http://"))) {
        return "it does not begin with http://, https:// or unix:";
    }
    url->port = url->tls ? 443 : 80;
    start = url->tls ? 8 : 7;
    for (stop = start; stop < size && memchr("/?#", text[stop], 3) == NULL; stop++) {
        if (text[stop] == '@') start = stop + 1;
    }
    reason = hoteli_url_authority(text + start, stop - start, url);
    return reason != NULL ? reason : hoteli_url_path(text + stop, size - stop, url);
}

/* "host:port", as gRPC names a server. Returns NULL, or the reason why it is none. */
static const char *hoteli_url_target(const char *text, size_t size, bool tls, hoteli_url *url) {
    const char *reason = hoteli_url_text(text, size);
    memset(url, 0, sizeof *url);
    if (reason) return reason;
    url->tls = tls;
    url->port = tls ? 443 : 80;
    url->path = text + size;
    return hoteli_url_authority(text, size, url);
}

/* ==== [SECTION 22] W3C TRACE CONTEXT ======================================================= */

/* Between a word as it lies in memory and one whose lowest byte is the first. */
static uint64_t hoteli_le64(uint64_t v) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static uint64_t hoteli_load8(const void *bytes) {
    uint64_t v;
    memcpy(&v, bytes, 8);
    return hoteli_le64(v);
}

/*
 * Eight loaded lower-case hex digits as four bytes, the first the lowest, all at once. Any other
 * character sets bits in the upper half of the result (WP-03, WP-07).
 */
static uint64_t hoteli_hex_read(uint64_t v) {
    // Adding 0x80 - c sets the top bit of the bytes that are at least c. Bytes above 0x7F carry
    // into their neighbour, but are themselves refused by ~v.
    uint64_t digit = (v + HOTELI_BYTES(0x80 - '0')) & ~(v + HOTELI_BYTES(0x80 - '9' - 1));
    uint64_t letter = (v + HOTELI_BYTES(0x80 - 'a')) & ~(v + HOTELI_BYTES(0x80 - 'f' - 1));
    uint64_t bad = ~((digit | letter) & ~v) & HOTELI_BYTES(0x80);
    v = (v & HOTELI_BYTES(0x0F)) + 9 * (v >> 6 & HOTELI_BYTES(0x01));
    v = (v << 4 | v >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    v = (v | v >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    return ((v | v >> 16) & 0xFFFFFFFF) | (bad >> 32 | bad) << 32;
}

/* The lowest four bytes as eight lower-case hex digits. */
static uint64_t hoteli_hex_digits(uint64_t v) {
    v = (v << 16 | v) & UINT64_C(0x0000FFFF0000FFFF);
    v = (v << 8 | v) & UINT64_C(0x00FF00FF00FF00FF);
    v = (v >> 4 | v << 8) & HOTELI_BYTES(0x0F);
    v += HOTELI_BYTES('0') + ((v + HOTELI_BYTES(6)) >> 4 & HOTELI_BYTES(1)) * ('a' - '9' - 1);
    return hoteli_le64(v);
}

/* Eight bytes as sixteen lower-case hex digits (SP-21). */
static void hoteli_hex_write(char *out, const uint8_t *bytes) {
    uint64_t v = hoteli_load8(bytes), low, high;
    low = hoteli_hex_digits(v & 0xFFFFFFFF);
    high = hoteli_hex_digits(v >> 32);
    memcpy(out, &low, 8);
    memcpy(out + 8, &high, 8);
}

/*
 * The value of one traceparent header, W3C Level 2 (WP-01 to WP-14). Unknown flag bits are read
 * as absent. `out` is untouched when the header is refused.
 */
static bool hoteli_traceparent_parse(const char *text, size_t size, hotel_span_context *out) {
    uint64_t a, b, c, d, e, f, edges;
    hoteli_trim(&text, &size);
    if (size < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
    a = hoteli_hex_read(hoteli_load8(text + 3));
    b = hoteli_hex_read(hoteli_load8(text + 11));
    c = hoteli_hex_read(hoteli_load8(text + 19));
    d = hoteli_hex_read(hoteli_load8(text + 27));
    e = hoteli_hex_read(hoteli_load8(text + 36));
    f = hoteli_hex_read(hoteli_load8(text + 44));
    // Version and flags, the first two and the last two characters, and zeros.
    edges = hoteli_hex_read((hoteli_load8(text) & 0xFFFF) | hoteli_load8(text + 47) >> 48 << 16 |
                            (uint64_t)0x30303030 << 32);
    if ((a | b | c | d | e | f | edges) >> 32 != 0 || (a | b | c | d) == 0 || (e | f) == 0 ||
        (edges & 0xFF) == 0xFF) {
        return false;
    }
    // Version 00 ends here; a later one may go on behind a dash.
    if (size > 55 && ((edges & 0xFF) == 0 || text[55] != '-')) return false;
    memset(out, 0, sizeof *out);
    a = hoteli_le64(a | b << 32);
    c = hoteli_le64(c | d << 32);
    e = hoteli_le64(e | f << 32);
    memcpy(out->trace_id, &a, 8);
    memcpy(out->trace_id + 8, &c, 8);
    memcpy(out->span_id, &e, 8);
    out->trace_flags = (uint8_t)(edges >> 8 & 0x03);
    out->is_remote = true;
    return true;
}

/* The traceparent of a valid context (WP-13, WP-19), without NUL. */
static void hoteli_traceparent_format(const hotel_span_context *context, char out[55]) {
    memcpy(out, "00-", 3);
    hoteli_hex_write(out + 3, context->trace_id);
    hoteli_hex_write(out + 19, context->trace_id + 8);
    out[35] = '-';
    hoteli_hex_write(out + 36, context->span_id);
    memcpy(out + 52, "-0", 2);
    out[54] = (char)('0' + (context->trace_flags & 0x03));
}

/* Level 2 key: [a-z0-9][a-z0-9_*\/@-]{0,255} (WT-05, WT-06, WT-07). */
static bool hoteli_tracestate_key_valid(const char *key, size_t size) {
    size_t i;
    for (i = 0; i < size && i < 256; i++) {
        char c = key[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            (i == 0 || memchr("_*/@-", c, 5) == NULL)) {
            return false;
        }
    }
    return size > 0 && size <= 256;
}

/* 1 to 256 printable ASCII characters without ',' and '=', the last no space (WT-05, WT-07). */
static bool hoteli_tracestate_value_valid(const char *value, size_t size) {
    size_t i;
    for (i = 0; i < size && i < 256; i++) {
        if (value[i] < 0x20 || value[i] > 0x7E || value[i] == ',' || value[i] == '=') return false;
    }
    return size > 0 && size <= 256 && value[size - 1] != ' ';
}

/* The next member: 1, 0 at the end, -1 when it breaks the grammar (WT-02, WT-03, WT-07). */
static int hoteli_tracestate_next(const char **cursor, const char *end, hoteli_pair *pair) {
    int found = hoteli_list_next(cursor, end, pair);
    if (found == 1) {
        // No blank may stand before '='; those behind it belong to the value.
        const char *value = pair->key + pair->key_size + 1;
        pair->value_size += (size_t)(pair->value - value);
        pair->value = value;
        if (value[-1] != '=' || !hoteli_tracestate_key_valid(pair->key, pair->key_size) ||
            !hoteli_tracestate_value_valid(pair->value, pair->value_size)) {
            found = -1;
        }
    }
    return found;
}

/* The value of a key, within `state`; false if there is none (WT-13). */
static bool hoteli_tracestate_get(const char *state, size_t state_size, const char *key,
                                  size_t key_size, const char **value, size_t *value_size) {
    const char *end = state_size > 0 ? state + state_size : state;
    hoteli_pair pair;
    while (hoteli_tracestate_next(&state, end, &pair) == 1) {
        if (pair.key_size == key_size && memcmp(pair.key, key, key_size) == 0) {
            *value = pair.value;
            *value_size = pair.value_size;
            return true;
        }
    }
    return false;
}

/*
 * The canonical "k=v,k=v" of a tracestate header, several headers joined by ',' before (WT-01 to
 * WT-09, WT-14). Of a repeated key the first is kept. False when nothing is usable: a member is
 * invalid, there are more than 32, or the result needs more than `capacity`; then the content of
 * `out` is undefined. `out` must not overlap `text`.
 */
static bool hoteli_tracestate_normalise(const char *text, size_t size, char *out, size_t capacity,
                                        size_t *out_size) {
    const char *end = size > 0 ? text + size : text, *value;
    size_t used = 0, members = 0, value_size;
    hoteli_pair pair;
    int found;
    *out_size = 0;
    while ((found = hoteli_tracestate_next(&text, end, &pair)) == 1) {
        size_t need = pair.key_size + 1 + pair.value_size;
        if (++members > 32) return false;
        if (hoteli_tracestate_get(out, used, pair.key, pair.key_size, &value, &value_size)) {
            continue;
        }
        if (need + (used > 0) > capacity - used) return false;
        if (used > 0) out[used++] = ',';
        memcpy(out + used, pair.key, need);
        used += need;
    }
    if (found == 0) *out_size = used;
    return found == 0;
}

/* One pass of hoteli_tracestate_set() over valid arguments. */
static bool hoteli_tracestate_edit(const char *state, const char *end, const hoteli_pair *edit,
                                   hoteli_sink *sink) {
    int members = 0, found;
    hoteli_pair pair;
    if (edit->value != NULL) {
        hoteli_sink_put(sink, edit->key, edit->key_size);
        hoteli_sink_put(sink, "=", 1);
        hoteli_sink_put(sink, edit->value, edit->value_size);
        members++;
    }
    while ((found = hoteli_tracestate_next(&state, end, &pair)) == 1) {
        if (members == 32 ||
            (pair.key_size == edit->key_size && memcmp(pair.key, edit->key, pair.key_size) == 0)) {
            continue;
        }
        if (members++ > 0) hoteli_sink_put(sink, ",", 1);
        hoteli_sink_put(sink, pair.key, pair.key_size + 1 + pair.value_size);
    }
    return found == 0;
}

/*
 * Puts a key in front of a canonical tracestate, or takes it out when `value` is NULL (WT-10,
 * WT-11, WT-13); a 33rd member falls off at the right. Returns the size of the result and writes
 * it, without NUL, if it fits `capacity`. With an invalid key, value or state the result is the
 * state unchanged and *ok is false. `out` must not overlap the inputs.
 */
static size_t hoteli_tracestate_set(const char *state, size_t state_size, const char *key,
                                    size_t key_size, const char *value, size_t value_size,
                                    char *out, size_t capacity, bool *ok) {
    const char *end = state_size > 0 ? state + state_size : state;
    hoteli_sink sink;
    hoteli_pair edit;
    edit.key = key;
    edit.key_size = key_size;
    edit.value = value;
    edit.value_size = value_size;
    sink.out = NULL;
    sink.size = 0;
    *ok = hoteli_tracestate_key_valid(key, key_size) &&
          (value == NULL || hoteli_tracestate_value_valid(value, value_size)) &&
          hoteli_tracestate_edit(state, end, &edit, &sink);
    if (!*ok) sink.size = state_size;
    if (sink.size > 0 && sink.size <= capacity) {
        sink.out = out;
        sink.size = 0;
        if (*ok) {
            hoteli_tracestate_edit(state, end, &edit, &sink);
        } else {
            hoteli_sink_put(&sink, state, state_size);
        }
    }
    return sink.size;
}

/*
 * Cuts whole members of a canonical tracestate, in place, until it has at most `max_size` bytes
 * (WT-12): the right-most over 128 characters while there is one, then the right-most.
 */
static size_t hoteli_tracestate_shrink(char *state, size_t size, size_t max_size) {
    while (size > max_size) {
        size_t begin, stop, cut = 0, cut_size = 0;
        for (begin = 0; begin < size; begin = stop + 1) {
            const char *comma = (const char *)memchr(state + begin, ',', size - begin);
            stop = comma != NULL ? (size_t)(comma - state) : size;
            if (stop - begin > 128 || cut_size <= 128) {
                cut = begin;
                cut_size = stop - begin;
            }
        }
        // With the member goes the comma in front of it, or behind it if it is the first.
        stop = cut + cut_size + (cut == 0 && cut_size < size);
        cut -= cut > 0;
        memmove(state + cut, state + stop, size - stop);
        size -= stop - cut;
    }
    return size;
}

/* ---- the member ot: sub-keys k:v joined by ';' (SM-12, SM-13) ---- */

#define HOTELI_THRESHOLDS (UINT64_C(1) << 56) /* thresholds and randomness are below */
#define HOTELI_OT_SIZE 256u                   /* longest value of ot */
#define HOTELI_OT_ROOM (HOTELI_OT_SIZE + 18)  /* ... and a th in front */

/* What sampling reads in it. */
typedef struct hoteli_ot {
    bool has_th;
    bool has_rv;
    uint64_t th; /* rejection threshold */
    uint64_t rv; /* explicit randomness */
} hoteli_ot;

/* The next sub-key: 1, 0 at the end, -1 when it breaks the grammar. */
static int hoteli_ot_next(const char **cursor, const char *end, hoteli_pair *pair) {
    const char *at = *cursor;
    if (at == end) return 0;
    pair->key = at;
    while (at != end &&
           ((*at >= 'a' && *at <= 'z') || (at != pair->key && *at >= '0' && *at <= '9'))) {
        at++;
    }
    pair->key_size = (size_t)(at - pair->key);
    if (pair->key_size == 0 || at == end || *at != ':') return -1;
    pair->value = ++at;
    while (at != end && (hoteli_is_alnum(*at) || *at == '.' || *at == '_' || *at == '-')) at++;
    pair->value_size = (size_t)(at - pair->value);
    if (at != end && (*at != ';' || at + 1 == end)) return -1;
    *cursor = at != end ? at + 1 : end;
    return 1;
}

static bool hoteli_ot_is(const hoteli_pair *pair, const char *key) {
    return pair->key_size == 2 && memcmp(pair->key, key, 2) == 0;
}

/* `least` to 14 lower-case hex digits, those that are missing at the right are zeros. */
static bool hoteli_ot_number(const hoteli_pair *pair, size_t least, uint64_t *out) {
    uint64_t number = 0;
    size_t i;
    if (pair->value_size < least || pair->value_size > 14) return false;
    for (i = 0; i < 14; i++) {
        char c = i < pair->value_size ? pair->value[i] : '0';
        int digit = c >= 'A' && c <= 'F' ? -1 : hoteli_hex_digit(c);
        if (digit < 0) return false;
        number = number << 4 | (uint64_t)digit;
    }
    *out = number;
    return true;
}

/* Reads a value of ot; of a repeated sub-key the first counts. False: malformed, nothing read. */
static bool hoteli_ot_parse(const char *value, size_t size, hoteli_ot *ot) {
    const char *end = size > 0 ? value + size : value;
    bool th = false, rv = false;
    hoteli_pair pair;
    int found;
    memset(ot, 0, sizeof *ot);
    while ((found = hoteli_ot_next(&value, end, &pair)) == 1) {
        if (!th && hoteli_ot_is(&pair, "th")) {
            th = true;
            ot->has_th = hoteli_ot_number(&pair, 1, &ot->th);
        } else if (!rv && hoteli_ot_is(&pair, "rv")) {
            rv = true;
            ot->has_rv = hoteli_ot_number(&pair, 14, &ot->rv);
        }
    }
    if (found < 0) memset(ot, 0, sizeof *ot);
    return found == 0;
}

/* A threshold in hex without zeros at its end (SM-12); returns its size. */
static size_t hoteli_ot_format_th(uint64_t th, char out[14]) {
    size_t size = 0;
    do {
        out[size++] = "0123456789abcdef"[th >> 52 & 15];
        th = th << 4 & (HOTELI_THRESHOLDS - 1);
    } while (th != 0);
    return size;
}

/* A value of ot with this th in front, or without any (NULL); all other sub-keys are kept. A
   malformed value counts as none. Returns the size of the result, which may be more than
   HOTELI_OT_SIZE. */
static size_t hoteli_ot_edit(const char *value, size_t size, const uint64_t *th,
                             char out[HOTELI_OT_ROOM]) {
    const char *end = value;
    hoteli_sink sink;
    hoteli_pair pair;
    hoteli_ot ot;
    sink.out = out;
    sink.size = 0;
    if (size <= HOTELI_OT_SIZE && hoteli_ot_parse(value, size, &ot)) end = value + size;
    if (th != NULL) {
        memcpy(out, "th:", 3);
        sink.size = 3 + hoteli_ot_format_th(*th, out + 3);
    }
    while (hoteli_ot_next(&value, end, &pair) == 1) {
        if (hoteli_ot_is(&pair, "th")) continue;
        if (sink.size > 0) hoteli_sink_put(&sink, ";", 1);
        hoteli_sink_put(&sink, pair.key, pair.key_size + 1 + pair.value_size);
    }
    return sink.size;
}

/* What the ot member of a canonical tracestate says. */
static hoteli_ot hoteli_tracestate_ot(const char *state, size_t size) {
    const char *value = "";
    size_t value_size = 0;
    hoteli_ot ot;
    (void)hoteli_tracestate_get(state, size, "ot", 2, &value, &value_size);
    (void)hoteli_ot_parse(value, value_size, &ot);
    return ot;
}

/*
 * Writes th into the ot member of a canonical tracestate, or takes it out (NULL). False when that
 * changes nothing, when ot would be too long, so that the change is given up (SM-13), or when the
 * result needs more than `capacity`; then `out` and *out_size mean nothing.
 */
static bool hoteli_tracestate_put_th(const char *state, size_t size, const uint64_t *th,
                                     char *out, size_t capacity, size_t *out_size) {
    const char *value = "";
    char edited[HOTELI_OT_ROOM];
    size_t value_size = 0, edited_size;
    hoteli_ot ot;
    bool good;
    (void)hoteli_tracestate_get(state, size, "ot", 2, &value, &value_size);
    (void)hoteli_ot_parse(value, value_size, &ot);
    if (th != NULL && ot.has_th && ot.th == *th) return false;
    edited_size = hoteli_ot_edit(value, value_size, th, edited);
    if (edited_size == value_size && memcmp(edited, value, value_size) == 0) return false;
    *out_size = hoteli_tracestate_set(state, size, "ot", 2, edited_size > 0 ? edited : NULL,
                                      edited_size, out, capacity, &good);
    return good && *out_size <= capacity;
}

/* ==== [SECTION 23] HTTP RESPONSES ========================================================== */

enum {
    HOTELI_HTTP_STATUS,
    HOTELI_HTTP_HEADER,
    HOTELI_HTTP_TRAILER,
    HOTELI_HTTP_CHUNK_SIZE,
    HOTELI_HTTP_CHUNK_END,
    HOTELI_HTTP_CHUNK, /* this and what follows is content, not lines */
    HOTELI_HTTP_LENGTH,
    HOTELI_HTTP_UNTIL_CLOSE
};

#define HOTELI_HTTP_MAX_HEAD 65536 /* bytes of status lines, headers and trailers in all */

typedef struct hoteli_http {
    /* for the caller */
    int status;
    bool keep_alive; /* decided when the response is complete */
    bool any_byte;
    bool is_protobuf; /* application/x-protobuf, and not compressed */
    size_t body_kept; /* bytes in `body`; the rest was counted and dropped */
    uint64_t body_size;
    char retry_after[64]; /* as it was sent, "" if absent or too long to be one */
    const char *reason;   /* why it failed, NULL while it has not */
    /* private */
    int state;
    int result;
    bool is_http10;
    bool chunked;
    bool has_length;
    bool says_close;
    bool says_keep_alive;
    bool encoded;
    bool after_cr;
    char *body;
    size_t body_capacity;
    uint64_t max_response_bytes;
    uint64_t left; /* bytes until the content, or a chunk of it, is complete */
    size_t head_bytes;
    size_t line_size; /* beyond sizeof line: the rest of the line was dropped */
    char line[256];
} hoteli_http;

/* `body` takes the first `body_capacity` bytes of content; it may be NULL when that is 0. */
static void hoteli_http_start(hoteli_http *http, char *body, size_t body_capacity,
                              uint64_t max_response_bytes) {
    memset(http, 0, sizeof *http);
    http->body = body;
    http->body_capacity = body_capacity;
    http->max_response_bytes = max_response_bytes;
}

static void hoteli_http_fail(hoteli_http *http, int result, const char *reason) {
    http->result = result;
    http->reason = reason;
    http->keep_alive = false;
}

static void hoteli_http_too_large(hoteli_http *http) {
    hoteli_http_fail(http, -2, "the response is larger than the limit");
}

/* "HTTP/1.1 200 OK"; the text behind the code may be missing. */
static void hoteli_http_status_line(hoteli_http *http) {
    const char *line = http->line;
    uint64_t status = 0;
    if (http->line_size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' ||
        line[8] != ' ' || (http->line_size > 12 && line[12] != ' ') ||
        !hoteli_parse_uint(line + 9, 3, 999, &status) || status < 100) {
        hoteli_http_fail(http, -1, "malformed status line");
        return;
    }
    // What the headers of an interim response said does not count for the final one.
    http->status = (int)status;
    http->is_http10 = line[7] == '0';
    http->chunked = http->has_length = http->says_close = http->says_keep_alive = false;
    http->is_protobuf = http->encoded = false;
    http->retry_after[0] = 0;
    http->state = HOTELI_HTTP_HEADER;
}

/* Content-Length, which may be repeated, in a list too, as long as all say the same. */
static void hoteli_http_length(hoteli_http *http, const char *value, size_t size) {
    const char *end = value + size;
    hoteli_pair item;
    while (hoteli_list_next(&value, end, &item) != 0) {
        uint64_t length = 0;
        if (!hoteli_parse_uint(item.key, item.key_size, UINT64_MAX, &length) ||
            item.value != NULL || (http->has_length && length != http->left)) {
            hoteli_http_fail(http, -1, "malformed or contradicting content-length");
            return;
        }
        http->left = length;
        http->has_length = true;
    }
    if (!http->has_length) hoteli_http_fail(http, -1, "empty content-length");
}

static void hoteli_http_connection(hoteli_http *http, const char *value, size_t size) {
    const char *end = value + size;
    hoteli_pair item;
    // An overlong list may say "close" where it was cut.
    http->says_close |= http->line_size > sizeof http->line;
    while (hoteli_list_next(&value, end, &item) != 0) {
        http->says_close |= hoteli_is_word(item.key, item.key_size, "close");
        http->says_keep_alive |= hoteli_is_word(item.key, item.key_size, "keep-alive");
    }
}

/* One header or trailer line; trailers are checked and ignored. */
static void hoteli_http_header_line(hoteli_http *http) {
    const char *name = http->line, *value;
    size_t size = http->line_size < sizeof http->line ? http->line_size : sizeof http->line;
    const char *colon = (const char *)memchr(name, ':', size);
    size_t name_size = colon != NULL ? (size_t)(colon - name) : 0;
    if (hoteli_is_blank(name[0])) {
        hoteli_http_fail(http, -1, "folded header line");
        return;
    }
    if (!hoteli_is_token(name, name_size)) {
        hoteli_http_fail(http, -1, "malformed header line");
        return;
    }
    if (http->state == HOTELI_HTTP_TRAILER) return;
    value = colon + 1;
    size -= name_size + 1;
    hoteli_trim(&value, &size);
    if (hoteli_is_word(name, name_size, "content-length")) {
        hoteli_http_length(http, value, size);
        // Digits that were cut off would go unseen.
        if (http->line_size > sizeof http->line) {
            hoteli_http_fail(http, -1, "overlong content-length");
        }
    } else if (hoteli_is_word(name, name_size, "transfer-encoding")) {
        if (http->chunked || http->line_size > sizeof http->line ||
            !hoteli_is_word(value, size, "chunked")) {
            hoteli_http_fail(http, -1, "transfer-encoding other than chunked");
        }
        http->chunked = true;
    } else if (hoteli_is_word(name, name_size, "connection")) {
        hoteli_http_connection(http, value, size);
    } else if (hoteli_is_word(name, name_size, "content-type")) {
        const char *semicolon = (const char *)memchr(value, ';', size);
        size = semicolon != NULL ? (size_t)(semicolon - value) : size;
        hoteli_trim(&value, &size);
        http->is_protobuf = hoteli_is_word(value, size, "application/x-protobuf");
    } else if (hoteli_is_word(name, name_size, "content-encoding")) {
        http->encoded |= !hoteli_is_word(value, size, "identity");
    } else if (hoteli_is_word(name, name_size, "retry-after")) {
        size = size < sizeof http->retry_after ? size : 0;
        memcpy(http->retry_after, value, size);
        http->retry_after[size] = 0;
    }
}

/* The blank line behind the headers: decides how the content is delimited. */
static void hoteli_http_headers_end(hoteli_http *http) {
    if (http->status == 101) {
        hoteli_http_fail(http, -1, "switched to another protocol unasked");
        return;
    }
    if (http->status < 200) {
        http->status = 0;
        http->state = HOTELI_HTTP_STATUS;
        return;
    }
    if (http->chunked && http->has_length) {
        hoteli_http_fail(http, -1, "both content-length and transfer-encoding");
        return;
    }
    // HTTP/1.0 knows no chunks: such framing is believed, such a connection is not.
    http->keep_alive =
        !http->says_close && (!http->is_http10 || (http->says_keep_alive && !http->chunked));
    http->is_protobuf = http->is_protobuf && !http->encoded;
    if (http->status == 204 || http->status == 304) {
        http->result = 1;
    } else if (http->chunked) {
        http->state = HOTELI_HTTP_CHUNK_SIZE;
    } else if (!http->has_length) {
        http->keep_alive = false;
        http->left = http->max_response_bytes;
        http->state = HOTELI_HTTP_UNTIL_CLOSE;
    } else if (http->left > http->max_response_bytes) {
        hoteli_http_too_large(http);
    } else {
        http->state = HOTELI_HTTP_LENGTH;
        http->result = http->left == 0;
    }
}

/* "1f;name=value": the size counts, extensions do not. */
static void hoteli_http_chunk_size(hoteli_http *http) {
    const char *line = http->line, *rest;
    size_t size = http->line_size < sizeof http->line ? http->line_size : sizeof http->line;
    size_t i = 0, rest_size;
    uint64_t chunk = 0;
    bool overflow = false;
    for (; i < size && hoteli_hex_digit(line[i]) >= 0; i++) {
        overflow |= chunk >> 60 != 0;
        chunk = chunk << 4 | (uint64_t)hoteli_hex_digit(line[i]);
    }
    rest = line + i;
    rest_size = size - i;
    hoteli_trim(&rest, &rest_size);
    if (i == 0 || i == sizeof http->line || (rest_size > 0 && *rest != ';')) {
        hoteli_http_fail(http, -1, "malformed chunk size");
    } else if (overflow || chunk > http->max_response_bytes - http->body_size) {
        hoteli_http_too_large(http);
    } else {
        http->left = chunk;
        http->state = chunk > 0 ? HOTELI_HTTP_CHUNK : HOTELI_HTTP_TRAILER;
    }
}

static void hoteli_http_line_end(hoteli_http *http) {
    switch (http->state) {
    case HOTELI_HTTP_STATUS:
        // Blank lines in front of a response are left over from the one before.
        if (http->line_size > 0) hoteli_http_status_line(http);
        break;
    case HOTELI_HTTP_CHUNK_SIZE:
        hoteli_http_chunk_size(http);
        break;
    case HOTELI_HTTP_CHUNK_END:
        http->state = HOTELI_HTTP_CHUNK_SIZE;
        break;
    default:
        if (http->line_size > 0) {
            hoteli_http_header_line(http);
        } else if (http->state == HOTELI_HTTP_HEADER) {
            hoteli_http_headers_end(http);
        } else {
            http->result = 1;
        }
        break;
    }
    http->line_size = 0;
}

/* One byte of a line. Lines end in CR LF or LF; no other control character but tab is taken. */
static void hoteli_http_line_byte(hoteli_http *http, char c) {
    bool is_head = http->state <= HOTELI_HTTP_TRAILER;
    // The lines between chunks are as many as there are chunks: only overlong ones count.
    if ((is_head || http->line_size >= 32) && ++http->head_bytes > HOTELI_HTTP_MAX_HEAD) {
        hoteli_http_fail(http, -1, "more than 64 KiB of headers");
    } else if (c == '\n') {
        http->after_cr = false;
        hoteli_http_line_end(http);
    } else if (http->after_cr) {
        hoteli_http_fail(http, -1, "carriage return without line feed");
    } else if (c == '\r') {
        http->after_cr = true;
    } else if (http->state == HOTELI_HTTP_CHUNK_END) {
        hoteli_http_fail(http, -1, "chunk longer than its size");
    } else if (http->state == HOTELI_HTTP_STATUS && http->line_size < 5 &&
               c != "HTTP/"[http->line_size]) {
        hoteli_http_fail(http, -1,
                         http->line_size > 0 ? "not an HTTP response"
                         : c == 0x00         ? "answers in HTTP/2, as a gRPC port does"
                         : c == 0x15         ? "answers in TLS: https may be right"
                                             : "not an HTTP response");
    } else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7F) {
        hoteli_http_fail(http, -1, "control character in a header");
    } else {
        if (http->line_size < sizeof http->line) http->line[http->line_size] = c;
        http->line_size++;
    }
}

/* Content: as many of the bytes as belong to it, at least one unless the limit is reached. */
static size_t hoteli_http_content(hoteli_http *http, const char *bytes, size_t size) {
    size_t taken = size < http->left ? size : (size_t)http->left;
    size_t room = http->body_capacity - http->body_kept;
    size_t kept = taken < room ? taken : room;
    if (taken == 0) {
        hoteli_http_too_large(http);
        return 0;
    }
    if (kept > 0) memcpy(http->body + http->body_kept, bytes, kept);
    http->body_kept += kept;
    http->body_size += taken;
    http->left -= taken;
    if (http->left == 0 && http->state == HOTELI_HTTP_CHUNK) {
        http->state = HOTELI_HTTP_CHUNK_END;
    } else if (http->left == 0 && http->state == HOTELI_HTTP_LENGTH) {
        http->result = 1;
    }
    return taken;
}

/*
 * Takes the next bytes of a response (OT-06, OX-12), however they were cut. Returns 0 when more is
 * needed, 1 when the response is complete, -1 when it is malformed, -2 when it is larger than
 * allowed. `consumed` is short of `size` only when the answer is not 0; what is left after 1 was
 * sent unasked, and makes the connection unfit for reuse.
 */
static int hoteli_http_feed(hoteli_http *http, const char *bytes, size_t size, size_t *consumed) {
    size_t i = 0;
    http->any_byte |= size > 0;
    while (i < size && http->result == 0) {
        if (http->state >= HOTELI_HTTP_CHUNK) {
            i += hoteli_http_content(http, bytes + i, size - i);
        } else {
            hoteli_http_line_byte(http, bytes[i++]);
        }
    }
    *consumed = i;
    return http->result;
}

/* The peer closed: 1 if that completes the response, else -1 with the reason (OR-03, OR-18). */
static int hoteli_http_finish(hoteli_http *http) {
    if (http->result == 0 && http->state == HOTELI_HTTP_UNTIL_CLOSE) {
        http->result = 1;
    } else if (http->result == 0) {
        hoteli_http_fail(http, -1,
                         !http->any_byte ? "closed before any response byte"
                         : http->state <= HOTELI_HTTP_HEADER
                             ? "closed in the middle of the response header"
                             : "closed in the middle of the response body");
    }
    return http->result == 1 ? 1 : -1;
}

/*
 * Matches a date against a pattern: w day of the week, b month, d h m s two digits, Y four, y two,
 * all else itself. The numbers land in fields[], in the order "Yybdhms".
 */
static bool hoteli_date_match(const char *text, const char *pattern, int64_t fields[7]) {
    static const char order[] = "Yybdhms", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (; *pattern != 0; pattern++) {
        const char *field = (const char *)memchr(order, *pattern, sizeof order - 1);
        int64_t number = 0;
        int i, digits = *pattern == 'Y' ? 4 : 2;
        if (*pattern == 'w') {
            for (i = 0; (*text | 0x20) >= 'a' && (*text | 0x20) <= 'z'; i++) text++;
            if (i < 3) return false;
            continue;
        }
        if (field == NULL) {
            if (*text++ != *pattern) return false;
            continue;
        }
        if (*pattern == 'b') {
            while (number < 12 && strncmp(text, months + 3 * number, 3) != 0) number++;
            text += number < 12 ? 3 : 0;
        }
        for (i = 0; *pattern != 'b' && i < digits; i++, text++) {
            // asctime() pads the day with a space.
            char c = *text == ' ' && i == 0 && *pattern == 'd' ? '0' : *text;
            if (c < '0' || c > '9') return false;
            number = number * 10 + (c - '0');
        }
        fields[field - order] = number;
    }
    return *text == 0;
}

/* Seconds since 1970 of an HTTP date in any of its three forms, -1 if it is none. */
static int64_t hoteli_date_parse(const char *text, int64_t now_unix_s) {
    int64_t f[7] = {0, 0, 0, 0, 0, 0, 0}, year, month, days,
            this_year = 1970 + now_unix_s / 31556952;
    if (hoteli_date_match(text, "w, d-b-y h:m:s GMT", f)) {
        // RFC 9110, 5.6.7: two digits mean the year that is at most 50 years ahead.
        f[0] = this_year - this_year % 100 + f[1];
        f[0] += f[0] > this_year + 50 ? -100 : f[0] <= this_year - 50 ? 100 : 0;
    } else if (!hoteli_date_match(text, "w, d b Y h:m:s GMT", f) &&
               !hoteli_date_match(text, "w b d h:m:s Y", f)) {
        return -1;
    }
    if (f[2] > 11 || f[3] < 1 || f[3] > 31 || f[4] > 23 || f[5] > 59 || f[6] > 60) return -1;
    // Years that begin in March have their leap day last.
    year = f[2] < 2 ? f[0] - 1 : f[0];
    month = (f[2] + 10) % 12;
    days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + f[3] - 719469;
    return days * 86400 + f[4] * 3600 + f[5] * 60 + f[6];
}

/*
 * The wait a Retry-After asks for, in milliseconds, at most 24 hours (OR-07): seconds or a date.
 * -1 when it is absent, garbage or in the past.
 */
static int64_t hoteli_http_retry_after_ms(const char *text, int64_t now_unix_s) {
    size_t digits = strspn(text, "0123456789");
    uint64_t seconds = 86400;
    if (digits > 0 && text[digits] == 0) {
        // More than a day, and more than fits, are the same.
        if (!hoteli_parse_uint(text, digits, 86400, &seconds)) seconds = 86400;
    } else {
        int64_t date = hoteli_date_parse(text, now_unix_s);
        if (date < 0 || date < now_unix_s) return -1;
        seconds = (uint64_t)(date - now_unix_s);
    }
    return (int64_t)(seconds < 86400 ? seconds : 86400) * 1000;
}

/* ==== [SECTION 24] HPACK =================================================================== */

/*
 * RFC 7541: the header fields of HTTP/2. What is received may use all of it: the state is a table
 * of 4096 bytes, which is what a peer assumes when SETTINGS say nothing. What is sent uses the
 * static table only and leaves no state.
 */

/* A field of a header block. Both texts are borrowed for the call; neither ends in NUL. */
typedef void (*hoteli_field_fn)(void *user_data, const char *name, size_t name_size,
                                const char *value, size_t value_size);

#define HOTELI_HPACK_TABLE 4096 /* bytes of the dynamic table, as RFC 7541, 4.1 counts them */
#define HOTELI_HPACK_ENTRY 32   /* of these in each entry, beside name and value */
/* What is handed on of a field, name first: any that the table could take is whole. */
#define HOTELI_HPACK_FIELD (HOTELI_HPACK_TABLE - HOTELI_HPACK_ENTRY)

typedef struct hoteli_hpack {
    size_t max_size;    /* the peer's choice, up to HOTELI_HPACK_TABLE */
    size_t size;        /* as counted: never above max_size */
    size_t num_entries; /* of the dynamic table */
    size_t used;        /* bytes of `entries` that these take: less than `size` */
    /* The oldest first: two sizes, name, value. Behind them a literal is decoded where it would
       stand as the newest, so that it may name an entry that it drives out. */
    char entries[2 * HOTELI_HPACK_TABLE];
} hoteli_hpack;

/* Appendix A, from index 1 on. */
static const char hoteli_hpack_static[] =
    ":authority=\n:method=GET\n:method=POST\n:path=/\n:path=/index.html\n:scheme=http\n"
    ":scheme=https\n:status=200\n:status=204\n:status=206\n:status=304\n:status=400\n"
    ":status=404\n:status=500\naccept-charset=\naccept-encoding=gzip, deflate\n"
    "accept-language=\naccept-ranges=\naccept=\naccess-control-allow-origin=\nage=\nallow=\n"
    "authorization=\ncache-control=\ncontent-disposition=\ncontent-encoding=\n"
    "content-language=\ncontent-length=\ncontent-location=\ncontent-range=\ncontent-type=\n"
    "cookie=\ndate=\netag=\nexpect=\nexpires=\nfrom=\nhost=\nif-match=\nif-modified-since=\n"
    "if-none-match=\nif-range=\nif-unmodified-since=\nlast-modified=\nlink=\nlocation=\n"
    "max-forwards=\nproxy-authenticate=\nproxy-authorization=\nrange=\nreferer=\nrefresh=\n"
    "retry-after=\nserver=\nset-cookie=\nstrict-transport-security=\ntransfer-encoding=\n"
    "user-agent=\nvary=\nvia=\nwww-authenticate=\n";

#define HOTELI_HPACK_STATIC 61

/* Appendix B is a canonical code: the symbols in the order of their codes, and how many have one
   of 5, 6, ... bits, say it all. EOS, the last code of 30 bits, is left out: it is an error. */
static const char hoteli_hpack_symbols[] =
    "012aceiost %-./3456789=A_bdfghlmnpru:BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz&*,;XZ!\"()?'+|#>"
    "\x00$@[]~^}<`{\\\xC3\xD0\x80\x82\x83\xA2\xB8\xC2\xE0\xE2\x99\xA1\xA7\xAC\xB0\xB1\xB3\xD1"
    "\xD8\xD9\xE3\xE5\xE6\x81\x84\x85\x86\x88\x92\x9A\x9C\xA0\xA3\xA4\xA9\xAA\xAD\xB2\xB5\xB9"
    "\xBA\xBB\xBD\xBE\xC4\xC6\xE4\xE8\xE9\x01\x87\x89\x8A\x8B\x8C\x8D\x8F\x93\x95\x96\x97\x98"
    "\x9B\x9D\x9E\xA5\xA6\xA8\xAE\xAF\xB4\xB6\xB7\xBC\xBF\xC5\xE7\xEF\x09\x8E\x90\x91\x94\x9F"
    "\xAB\xCE\xD7\xE1\xEC\xED\xC7\xCF\xEA\xEB\xC0\xC1\xC8\xC9\xCA\xCD\xD2\xD5\xDA\xDB\xEE\xF0"
    "\xF2\xF3\xFF\xCB\xCC\xD3\xD4\xD6\xDD\xDE\xDF\xF1\xF4\xF5\xF6\xF7\xF8\xFA\xFB\xFC\xFD\xFE"
    "\x02\x03\x04\x05\x06\x07\x08\x0B\x0C\x0E\x0F\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1A\x1B"
    "\x1C\x1D\x1E\x1F\x7F\xDC\xF9\x0A\x0D\x16";
static const uint8_t hoteli_hpack_codes[31] = {0,  0,  0,  0, 0,  10, 26, 32, 6, 0, 5,
                                               3,  2,  6,  2, 3,  0,  0,  0,  3, 8, 13,
                                               26, 29, 12, 4, 15, 19, 29, 0,  3};

static void hoteli_hpack_start(hoteli_hpack *h) {
    h->max_size = HOTELI_HPACK_TABLE;
    h->size = h->num_entries = h->used = 0;
}

/* The next entry of the static table; false behind its last. */
static bool hoteli_hpack_static_next(const char **cursor, hoteli_pair *field) {
    const char *mark = strchr(*cursor, '='), *end;
    if (mark == NULL) return false;
    end = strchr(mark, '\n');
    field->key = *cursor;
    field->key_size = (size_t)(mark - *cursor);
    field->value = mark + 1;
    field->value_size = (size_t)(end - mark - 1);
    *cursor = end + 1;
    return true;
}

/* The entry that stands at this byte of the dynamic table; returns where the next one stands. */
static size_t hoteli_hpack_entry(const hoteli_hpack *h, size_t at, hoteli_pair *field) {
    uint16_t sizes[2];
    memcpy(sizes, h->entries + at, sizeof sizes);
    field->key = h->entries + at + sizeof sizes;
    field->key_size = sizes[0];
    field->value = field->key + sizes[0];
    field->value_size = sizes[1];
    return at + sizeof sizes + sizes[0] + sizes[1];
}

/* The field of an index (2.3.3): the static table, then the dynamic one from its newest on. */
static bool hoteli_hpack_find(const hoteli_hpack *h, size_t index, hoteli_pair *field) {
    const char *cursor = hoteli_hpack_static;
    size_t at = 0;
    if (index == 0 || index > HOTELI_HPACK_STATIC + h->num_entries) return false;
    if (index <= HOTELI_HPACK_STATIC) {
        while (index-- > 0) (void)hoteli_hpack_static_next(&cursor, field);
        return true;
    }
    for (index -= HOTELI_HPACK_STATIC; index <= h->num_entries; index++) {
        at = hoteli_hpack_entry(h, at, field);
    }
    return true;
}

/* Lets the oldest entries go until the others fit (4.3). */
static void hoteli_hpack_evict(hoteli_hpack *h) {
    hoteli_pair field;
    size_t at = 0;
    while (h->size > h->max_size) {
        at = hoteli_hpack_entry(h, at, &field);
        h->size -= field.key_size + field.value_size + HOTELI_HPACK_ENTRY;
        h->num_entries--;
    }
    memmove(h->entries, h->entries + at, h->used - at);
    h->used -= at;
}

/* Keeps the field that was decoded behind the entries; one that is too large empties the table
   (4.4). `size` is what it counts, with all that was cut off. */
static void hoteli_hpack_add(hoteli_hpack *h, const hoteli_pair *field, size_t size) {
    uint16_t sizes[2];
    if (size > h->max_size) {
        h->size = h->num_entries = h->used = 0;
        return;
    }
    sizes[0] = (uint16_t)field->key_size;
    sizes[1] = (uint16_t)field->value_size;
    memcpy(h->entries + h->used, sizes, sizeof sizes);
    h->used += sizeof sizes + field->key_size + field->value_size;
    h->size += size;
    h->num_entries++;
    hoteli_hpack_evict(h);
}

/* An integer whose first byte has so many bits of it (5.1). More than four bytes behind that one,
   28 bits, are refused: no block is that large. */
static bool hoteli_hpack_int(const uint8_t **cursor, const uint8_t *end, int bits, size_t *out) {
    uint32_t full = (1u << bits) - 1, value;
    uint8_t byte = 0x80;
    int shift;
    if (*cursor == end) return false;
    value = *(*cursor)++ & full;
    for (shift = 0; value >= full && byte >= 0x80; shift += 7) {
        if (*cursor == end || shift == 28) return false;
        byte = *(*cursor)++;
        value += (uint32_t)(byte & 0x7F) << shift;
    }
    *out = value;
    return true;
}

/*
 * Huffman-coded text (5.2): the first `room` bytes of it, and the size of all. False for EOS and
 * for an end that is not padded with up to seven ones.
 */
static bool hoteli_hpack_huffman(const uint8_t *text, size_t size, char *out, size_t room,
                                 size_t *out_size) {
    // `code`: the bits since the last symbol. `first`: the lowest code of as many bits, whose
    // symbol is number `index`.
    uint32_t code = 0, first = 0, index = 0;
    size_t i, used = 0;
    int bits = 0;
    for (i = 0; i < 8 * size; i++) {
        uint32_t count = hoteli_hpack_codes[++bits];
        code = code << 1 | ((uint32_t)text[i / 8] >> (7 - i % 8) & 1);
        if (code - first < count) {
            if (used < room) out[used] = hoteli_hpack_symbols[index + code - first];
            used++;
            code = first = index = 0;
            bits = 0;
        } else if (bits == 30) {
            return false;
        } else {
            index += count;
            first = (first + count) << 1;
        }
    }
    *out_size = used;
    return bits < 8 && code + 1 == 1u << bits;
}

/* A string literal (5.2): the first `room` bytes of it, and the size of all. */
static bool hoteli_hpack_string(const uint8_t **cursor, const uint8_t *end, char *out, size_t room,
                                size_t *out_size) {
    const uint8_t *text = *cursor;
    size_t size;
    if (!hoteli_hpack_int(cursor, end, 7, &size) || size > (size_t)(end - *cursor)) return false;
    *cursor += size;
    if (*text & 0x80) return hoteli_hpack_huffman(*cursor - size, size, out, room, out_size);
    memcpy(out, *cursor - size, HOTELI_MIN(size, room));
    *out_size = size;
    return true;
}

/* A literal field (6.2), whose first byte has so many bits of an index: behind the entries, cut to
   HOTELI_HPACK_FIELD. `size` is what all of it counts. */
static bool hoteli_hpack_literal(hoteli_hpack *h, const uint8_t **cursor, const uint8_t *end,
                                 int bits, hoteli_pair *field, size_t *size) {
    char *text = h->entries + h->used + 2 * sizeof(uint16_t);
    size_t index, name_size, value_size, room;
    if (!hoteli_hpack_int(cursor, end, bits, &index)) return false;
    if (index > 0) {
        if (!hoteli_hpack_find(h, index, field)) return false;
        name_size = field->key_size;
        memcpy(text, field->key, name_size);
    } else if (!hoteli_hpack_string(cursor, end, text, HOTELI_HPACK_FIELD, &name_size)) {
        return false;
    }
    field->key = text;
    field->key_size = HOTELI_MIN(name_size, HOTELI_HPACK_FIELD);
    field->value = text + field->key_size;
    room = HOTELI_HPACK_FIELD - field->key_size;
    if (!hoteli_hpack_string(cursor, end, text + field->key_size, room, &value_size)) return false;
    field->value_size = HOTELI_MIN(value_size, room);
    *size = name_size + value_size + HOTELI_HPACK_ENTRY;
    return true;
}

/*
 * Decodes a complete header block: `fn` gets its fields one by one, each cut to HOTELI_HPACK_FIELD
 * bytes of name and value together. False is a COMPRESSION_ERROR: the fields in front of it were
 * handed on, and the connection cannot go on.
 */
static bool hoteli_hpack_decode(hoteli_hpack *h, const uint8_t *block, size_t size,
                                hoteli_field_fn fn, void *user_data) {
    const uint8_t *cursor = block, *end = block + size;
    bool any_field = false;
    hoteli_pair field;
    size_t number;
    while (cursor != end) {
        uint8_t first = *cursor;
        bool is_added = first >= 0x40 && first < 0x80, good;
        if (first >= 0x20 && first < 0x40) {
            // The size of the table changes between blocks (4.2).
            if (any_field || !hoteli_hpack_int(&cursor, end, 5, &number) ||
                number > HOTELI_HPACK_TABLE) {
                return false;
            }
            h->max_size = number;
            hoteli_hpack_evict(h);
            continue;
        }
        if (first >= 0x80) {
            good =
                hoteli_hpack_int(&cursor, end, 7, &number) && hoteli_hpack_find(h, number, &field);
        } else {
            good = hoteli_hpack_literal(h, &cursor, end, is_added ? 6 : 4, &field, &number);
        }
        if (!good) return false;
        any_field = true;
        fn(user_data, field.key, field.key_size, field.value, field.value_size);
        if (is_added) hoteli_hpack_add(h, &field, number);
    }
    return true;
}

/* An integer below 2^28 behind the pattern that its first byte begins with. */
static void hoteli_hpack_put_int(hoteli_sink *sink, unsigned pattern, int bits, size_t value) {
    size_t full = ((size_t)1 << bits) - 1;
    char byte = (char)(pattern | HOTELI_MIN(value, full));
    hoteli_sink_put(sink, &byte, 1);
    if (value < full) return;
    for (value -= full; value >= 0x80; value >>= 7) {
        byte = (char)(value | 0x80);
        hoteli_sink_put(sink, &byte, 1);
    }
    byte = (char)value;
    hoteli_sink_put(sink, &byte, 1);
}

static void hoteli_hpack_put(hoteli_sink *sink, const char *name, const char *value,
                             size_t value_size, bool secret) {
    const char *cursor = hoteli_hpack_static;
    size_t name_size = strlen(name), i, index = 0;
    hoteli_pair field;
    for (i = 1; hoteli_hpack_static_next(&cursor, &field); i++) {
        if (field.key_size != name_size || memcmp(field.key, name, name_size) != 0) continue;
        if (index == 0) index = i;
        if (!secret && field.value_size == value_size &&
            memcmp(field.value, value, value_size) == 0) {
            hoteli_hpack_put_int(sink, 0x80, 7, i);
            return;
        }
    }
    hoteli_hpack_put_int(sink, secret ? 0x10 : 0, 4, index);
    if (index == 0) {
        hoteli_hpack_put_int(sink, 0, 7, name_size);
        hoteli_sink_put(sink, name, name_size);
    }
    hoteli_hpack_put_int(sink, 0, 7, value_size);
    hoteli_sink_put(sink, value, value_size);
}

/*
 * Writes a field: from the static table what is there, the rest as literals without indexing, of
 * which a `secret` one is never indexed (7.1.3). `name` is in lower case; `value` is not NULL.
 * Returns the bytes that the field takes; where they are more than `capacity`, none is written.
 */
static size_t hoteli_hpack_write(uint8_t *out, size_t capacity, const char *name, const char *value,
                                 size_t value_size, bool secret) {
    hoteli_sink sink;
    sink.out = NULL;
    sink.size = 0;
    hoteli_hpack_put(&sink, name, value, value_size, secret);
    if (sink.size <= capacity) {
        sink.out = (char *)out;
        sink.size = 0;
        hoteli_hpack_put(&sink, name, value, value_size, secret);
    }
    return sink.size;
}

/* ==== [SECTION 25] HTTP/2 ================================================================== */

/*
 * The client's half of RFC 9113 with one request at a time (OG-08). Nothing is announced but that
 * pushes are refused and how large headers may be: what is received has frames and windows of the
 * protocol's default sizes. Windows are granted again as the response is handed over.
 */
enum {
    HOTELI_H2_NO_ERROR,
    HOTELI_H2_PROTOCOL_ERROR,
    HOTELI_H2_INTERNAL_ERROR,
    HOTELI_H2_FLOW_CONTROL_ERROR,
    HOTELI_H2_SETTINGS_TIMEOUT,
    HOTELI_H2_STREAM_CLOSED,
    HOTELI_H2_FRAME_SIZE_ERROR,
    HOTELI_H2_REFUSED_STREAM,
    HOTELI_H2_CANCEL,
    HOTELI_H2_COMPRESSION_ERROR,
    HOTELI_H2_CONNECT_ERROR,
    HOTELI_H2_ENHANCE_YOUR_CALM,
    HOTELI_H2_INADEQUATE_SECURITY,
    HOTELI_H2_HTTP_1_1_REQUIRED
};

enum {
    HOTELI_H2_DATA,
    HOTELI_H2_HEADERS,
    HOTELI_H2_PRIORITY,
    HOTELI_H2_RST_STREAM,
    HOTELI_H2_SETTINGS,
    HOTELI_H2_PUSH_PROMISE,
    HOTELI_H2_PING,
    HOTELI_H2_GOAWAY,
    HOTELI_H2_WINDOW_UPDATE,
    HOTELI_H2_CONTINUATION
};

#define HOTELI_H2_ACK 0x01u
#define HOTELI_H2_END_STREAM 0x01u
#define HOTELI_H2_END_HEADERS 0x04u
#define HOTELI_H2_PADDED 0x08u
#define HOTELI_H2_HAS_PRIORITY 0x20u

/* What came of a request. */
enum {
    HOTELI_H2_OPEN,    /* nothing yet */
    HOTELI_H2_DONE,    /* the response is complete */
    HOTELI_H2_RESET,   /* the stream was given up, by the server or by us */
    HOTELI_H2_REFUSED, /* GOAWAY: the server has not processed it and will not (OG-07) */
    HOTELI_H2_LOST,    /* the server closed the connection */
    HOTELI_H2_BROKEN   /* the server broke the protocol: the connection is of no more use */
};

#define HOTELI_H2_HEAD 9         /* bytes in front of the payload of a frame */
#define HOTELI_H2_FRAME 16384    /* largest payload that is received */
#define HOTELI_H2_WINDOW 65535   /* of streams and connections, at first */
#define HOTELI_H2_MAX 0x7fffffff /* largest window, and stream */
/* Bytes of the staging buffer that requests leave to replies; the last of them are for giving up
   a stream and the connection. */
#define HOTELI_H2_RESERVE 1024
#define HOTELI_H2_LAST 64
/* What a server may send in a second without bringing the request forward: frames, and further
   ones for the work that their headers make. */
#define HOTELI_H2_MAX_VAIN 10000

/* Content as it comes. False: the rest is not wanted, and the stream is given up. */
typedef bool (*hoteli_data_fn)(void *user_data, const uint8_t *bytes, size_t size);

/* The borrowed parts of a request: unchanged until the request has an outcome. */
typedef struct hoteli_h2_parts {
    const uint8_t *head; /* a header block */
    size_t head_size;
    const uint8_t *body;
    size_t body_size;
    hoteli_field_fn field_fn; /* headers, then trailers, without pseudo-headers */
    hoteli_data_fn data_fn;
    void *user_data;
} hoteli_h2_parts;

typedef struct hoteli_h2 {
    /* for the caller, about the request */
    int outcome;
    uint32_t code;      /* of RESET, REFUSED and BROKEN */
    const char *reason; /* NULL while it is OPEN, and when it is DONE */
    bool by_us;         /* RESET: not by the server */
    bool any_byte;      /* a frame of the response came */
    bool trailing;      /* the headers are complete: fields are trailers now */
    int status;         /* of the complete headers, 0 before */
    /* ... and the connection */
    bool broken;
    bool leaving; /* GOAWAY came: no further request */
    uint32_t leave_code;
    char leave_words[64]; /* what the server said with it, not checked */
    size_t leave_words_size;
    /* private: what is sent */
    hoteli_h2_parts parts;
    uint8_t *out;
    size_t out_capacity;
    size_t out_begin;
    size_t out_end;
    size_t body_sent;
    bool active;     /* there is a request without an outcome */
    bool queued;     /* ... which has no stream yet */
    bool sending;    /* ... whose last frame is not in `out` yet */
    bool ended;      /* the server has ended the last stream */
    uint8_t table;   /* 1: the next block must say that we use no dynamic table; 2: one did */
    uint32_t stream; /* the last one opened, 0: none */
    uint32_t peer_frame;
    uint32_t peer_window;
    uint32_t peer_streams;
    int64_t window; /* bytes that may be sent; SETTINGS can take back what was allowed */
    int64_t stream_window;
    /* what is received */
    uint32_t last_stream; /* of GOAWAY */
    int64_t receive_window;
    int64_t stream_receive;
    uint32_t owed; /* bytes handed over and not granted again */
    uint32_t stream_owed;
    uint32_t vain;
    int64_t vain_ms;
    bool settled; /* the server's first SETTINGS came */
    uint8_t frame[HOTELI_H2_HEAD];
    size_t frame_size;
    uint32_t left; /* of the payload, padding included */
    uint32_t at;   /* where in the payload, behind the prefix */
    uint32_t pad;
    uint32_t prefix; /* bytes left of pad length and priority */
    bool has_pad;    /* ... of which the first is still to come */
    uint32_t id;
    uint8_t type;
    uint8_t flags;
    uint8_t small[8];
    bool in_block;
    bool block_ends; /* the stream */
    uint32_t block_id;
    uint8_t *block;
    size_t block_capacity;
    size_t block_size;
    size_t list_size; /* of the decoded fields, as RFC 9113, 6.5.2 counts them */
    int block_status;
    bool any_field;
    const char *problem; /* of the decoded fields */
    uint32_t problem_code;
    hoteli_hpack hpack;
} hoteli_h2;

static const char *hoteli_h2_code_name(uint32_t code) {
    static const char names[] =
        "NO_ERROR\0PROTOCOL_ERROR\0INTERNAL_ERROR\0FLOW_CONTROL_ERROR\0SETTINGS_TIMEOUT\0"
        "STREAM_CLOSED\0FRAME_SIZE_ERROR\0REFUSED_STREAM\0CANCEL\0COMPRESSION_ERROR\0"
        "CONNECT_ERROR\0ENHANCE_YOUR_CALM\0INADEQUATE_SECURITY\0HTTP_1_1_REQUIRED";
    return code <= HOTELI_H2_HTTP_1_1_REQUIRED ? hoteli_nth(names, (int)code) : "an unknown code";
}

static uint32_t hoteli_h2_get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void hoteli_h2_put32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

/* ---- what is sent ---- */

static void hoteli_h2_put_frame(uint8_t *at, size_t size, unsigned type, unsigned flags,
                                uint32_t stream) {
    hoteli_h2_put32(at, (uint32_t)size << 8 | type);
    at[4] = (uint8_t)flags;
    hoteli_h2_put32(at + 5, stream);
}

/* A frame of a few bytes; false when fewer than `keep` bytes would be left behind it. */
static bool hoteli_h2_put_small(hoteli_h2 *c, unsigned type, unsigned flags, uint32_t stream,
                                const uint8_t *payload, size_t size, size_t keep) {
    size_t need = HOTELI_H2_HEAD + size + keep;
    if (c->out_capacity - c->out_end < need && c->out_begin > 0) {
        memmove(c->out, c->out + c->out_begin, c->out_end - c->out_begin);
        c->out_end -= c->out_begin;
        c->out_begin = 0;
    }
    if (c->out_capacity - c->out_end < need) return false;
    hoteli_h2_put_frame(c->out + c->out_end, size, type, flags, stream);
    if (size > 0) memcpy(c->out + c->out_end + HOTELI_H2_HEAD, payload, size);
    c->out_end += HOTELI_H2_HEAD + size;
    return true;
}

static void hoteli_h2_end(hoteli_h2 *c, int outcome, uint32_t code, const char *reason) {
    c->outcome = outcome;
    c->code = code;
    c->reason = reason;
    c->active = c->queued = c->sending = false;
}

/* A connection error: GOAWAY is the last that is sent, and nothing is read any more. */
static void hoteli_h2_break(hoteli_h2 *c, uint32_t code, const char *reason) {
    uint8_t payload[8];
    c->broken = true;
    if (c->active) hoteli_h2_end(c, HOTELI_H2_BROKEN, code, reason);
    // No stream of the server's was ever processed.
    hoteli_h2_put32(payload, 0);
    hoteli_h2_put32(payload + 4, code);
    (void)hoteli_h2_put_small(c, HOTELI_H2_GOAWAY, 0, 0, payload, sizeof payload, 0);
}

/* A reply to what the server sent. One that does not read its replies is given up. */
static void hoteli_h2_reply(hoteli_h2 *c, unsigned type, const uint8_t *payload, size_t size) {
    if (!hoteli_h2_put_small(c, type, HOTELI_H2_ACK, 0, payload, size, HOTELI_H2_LAST)) {
        hoteli_h2_break(c, HOTELI_H2_ENHANCE_YOUR_CALM,
                        "the server demands replies and does not read them");
    }
}

/* There is room: replies leave it, and a stream is reset once. */
static void hoteli_h2_put_reset(hoteli_h2 *c, uint32_t code) {
    uint8_t payload[4];
    hoteli_h2_put32(payload, code);
    (void)hoteli_h2_put_small(c, HOTELI_H2_RST_STREAM, 0, c->stream, payload, sizeof payload, 0);
}

/* A stream error: the request fails, the connection goes on. */
static void hoteli_h2_reset(hoteli_h2 *c, uint32_t code, const char *reason) {
    hoteli_h2_put_reset(c, code);
    hoteli_h2_end(c, HOTELI_H2_RESET, code, reason);
    c->by_us = true;
}

/* Grants again what was handed over: in large steps, and not while replies stand in line. */
static void hoteli_h2_grant(hoteli_h2 *c, uint32_t stream, uint32_t *owed, int64_t *window) {
    uint8_t payload[4];
    if (*owed <= HOTELI_H2_WINDOW / 2) return;
    hoteli_h2_put32(payload, *owed);
    if (!hoteli_h2_put_small(c, HOTELI_H2_WINDOW_UPDATE, 0, stream, payload, sizeof payload,
                             HOTELI_H2_LAST)) {
        return;
    }
    *window += *owed;
    *owed = 0;
}

/* HEADERS, and CONTINUATION where the server's frames are smaller, of the next stream. */
static void hoteli_h2_put_head(hoteli_h2 *c) {
    const hoteli_h2_parts *parts = &c->parts;
    size_t size = parts->head_size + (c->table == 1), done = 0;
    size_t frames = (size + c->peer_frame - 1) / c->peer_frame + (size == 0);
    unsigned type = HOTELI_H2_HEADERS, flags = parts->body_size == 0 ? HOTELI_H2_END_STREAM : 0;
    if (c->out_capacity - c->out_end < frames * HOTELI_H2_HEAD + size + HOTELI_H2_RESERVE) return;
    c->stream = c->stream == 0 ? 1 : c->stream + 2;
    do {
        size_t part = HOTELI_MIN(size, c->peer_frame), taken = part;
        uint8_t *at = c->out + c->out_end;
        c->out_end += HOTELI_H2_HEAD + part;
        size -= part;
        if (size == 0) flags |= HOTELI_H2_END_HEADERS;
        hoteli_h2_put_frame(at, part, type, flags, c->stream);
        at += HOTELI_H2_HEAD;
        if (c->table == 1) {
            *at++ = 0x20;
            taken--;
            c->table = 2;
        }
        if (taken > 0) memcpy(at, parts->head + done, taken);
        done += taken;
        type = HOTELI_H2_CONTINUATION;
        flags = 0;
    } while (size > 0);
    c->queued = c->ended = false;
    c->sending = parts->body_size > 0;
    c->body_sent = 0;
    c->stream_window = c->peer_window;
    c->stream_receive = HOTELI_H2_WINDOW;
    c->stream_owed = 0;
}

/* The next DATA frame; false when it has to wait for room or for a window. */
static bool hoteli_h2_put_data(hoteli_h2 *c) {
    size_t left = c->parts.body_size - c->body_sent;
    size_t most = c->out_capacity - HOTELI_H2_RESERVE - HOTELI_H2_HEAD;
    int64_t window = HOTELI_MIN(c->window, c->stream_window);
    size_t size = HOTELI_MIN(HOTELI_MIN(left, most), (size_t)c->peer_frame);
    if (window <= 0) return false;
    if ((int64_t)size > window) size = (size_t)window;
    // Frames are as large as they can be: none for the rest of the buffer.
    if (c->out_capacity - c->out_end < HOTELI_H2_HEAD + size + HOTELI_H2_RESERVE) return false;
    hoteli_h2_put_frame(c->out + c->out_end, size, HOTELI_H2_DATA,
                        size == left ? HOTELI_H2_END_STREAM : 0, c->stream);
    memcpy(c->out + c->out_end + HOTELI_H2_HEAD, c->parts.body + c->body_sent, size);
    c->out_end += HOTELI_H2_HEAD + size;
    c->body_sent += size;
    c->window -= (int64_t)size;
    c->stream_window -= (int64_t)size;
    c->sending = size < left;
    c->vain = 0;
    return true;
}

/*
 * What is to be sent now; 0 bytes: nothing, until something arrives. The bytes stay the same until
 * they are sent, with more behind them perhaps, but may move.
 */
static inline size_t hoteli_h2_output(hoteli_h2 *c, const uint8_t **bytes) {
    if (!c->broken) {
        hoteli_h2_grant(c, 0, &c->owed, &c->receive_window);
        if (c->active && !c->queued) {
            hoteli_h2_grant(c, c->stream, &c->stream_owed, &c->stream_receive);
        }
        // Not before the server's SETTINGS: some enforce what they say as if it had been known.
        if (c->queued && c->settled && c->peer_streams > 0) hoteli_h2_put_head(c);
        while (c->sending && hoteli_h2_put_data(c)) {
        }
    }
    *bytes = c->out + c->out_begin;
    return c->out_end - c->out_begin;
}

static inline void hoteli_h2_sent(hoteli_h2 *c, size_t size) {
    c->out_begin += size;
    if (c->out_begin == c->out_end) c->out_begin = c->out_end = 0;
}

/* ---- a connection and its requests ---- */

/*
 * A new connection: the preface and our SETTINGS are to be sent. `block` takes header blocks of
 * the server's; its size also bounds their decoded size. `out` has room for the headers of a
 * request and 2 KiB; more makes what is sent at once larger.
 */
static inline void hoteli_h2_start(hoteli_h2 *c, uint8_t *block, size_t block_capacity,
                                   uint8_t *out, size_t out_capacity) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t settings[12] = {0, 2, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0};
    memset(c, 0, offsetof(hoteli_h2, hpack));
    hoteli_hpack_start(&c->hpack);
    c->block = block;
    c->block_capacity = block_capacity;
    c->out = out;
    c->out_capacity = out_capacity;
    c->peer_frame = HOTELI_H2_FRAME;
    c->peer_window = HOTELI_H2_WINDOW;
    c->peer_streams = UINT32_MAX;
    c->window = c->receive_window = HOTELI_H2_WINDOW;
    memcpy(out, preface, sizeof preface - 1);
    c->out_end = sizeof preface - 1;
    hoteli_h2_put32(settings + 8, (uint32_t)block_capacity);
    (void)hoteli_h2_put_small(c, HOTELI_H2_SETTINGS, 0, 0, settings, sizeof settings, 0);
}

/* May another request be made? While one is without an outcome, not yet. */
static inline bool hoteli_h2_usable(const hoteli_h2 *c) {
    return !c->broken && !c->leaving && !c->active && c->stream < HOTELI_H2_MAX;
}

/*
 * Makes a request; hoteli_h2_output() sends it as the server allows. False when the connection is
 * not usable, or when the headers can never fit.
 */
static inline bool hoteli_h2_request(hoteli_h2 *c, const hoteli_h2_parts *parts) {
    size_t frames = parts->head_size / HOTELI_H2_FRAME + 2;
    if (!hoteli_h2_usable(c) ||
        parts->head_size + frames * HOTELI_H2_HEAD > c->out_capacity - HOTELI_H2_RESERVE) {
        return false;
    }
    c->parts = *parts;
    hoteli_h2_end(c, HOTELI_H2_OPEN, HOTELI_H2_NO_ERROR, NULL);
    c->by_us = c->any_byte = c->trailing = false;
    c->status = 0;
    c->active = c->queued = true;
    c->vain = 0;
    return true;
}

/* Gives the request up (OG-09). What the server still sends for it is dropped. */
static inline void hoteli_h2_cancel(hoteli_h2 *c) {
    if (!c->active) return;
    if (!c->queued) {
        hoteli_h2_reset(c, HOTELI_H2_CANCEL, "the request was cancelled");
    } else {
        hoteli_h2_end(c, HOTELI_H2_RESET, HOTELI_H2_CANCEL, "the request was cancelled");
        c->by_us = true;
    }
}

/* What an open request waits for, in words for its deadline. */
static inline const char *hoteli_h2_trouble(const hoteli_h2 *c) {
    return !c->settled ? "the server did not say that it speaks HTTP/2 (no SETTINGS came)"
           : c->queued && c->peer_streams == 0
               ? "the server allowed no request (SETTINGS_MAX_CONCURRENT_STREAMS 0)"
           : c->sending && HOTELI_MIN(c->window, c->stream_window) <= 0
               ? "the server took no more data (its flow-control window stayed closed)"
               : "the server did not answer in time";
}

/* ---- what is received ---- */

/* Is that the stream of the request? */
static bool hoteli_h2_is_mine(const hoteli_h2 *c, uint32_t id) {
    return c->active && !c->queued && id == c->stream;
}

static bool hoteli_h2_was_opened(const hoteli_h2 *c, uint32_t id) {
    return (id & 1) != 0 && id <= c->stream;
}

/* The response is complete (OG-03). The rest of a request that was not waited for is not sent. */
static void hoteli_h2_done(hoteli_h2 *c) {
    if (c->sending) hoteli_h2_put_reset(c, HOTELI_H2_NO_ERROR);
    c->ended = true;
    hoteli_h2_end(c, HOTELI_H2_DONE, HOTELI_H2_NO_ERROR, NULL);
}

static void hoteli_h2_problem(hoteli_h2 *c, uint32_t code, const char *problem) {
    if (c->problem != NULL) return;
    c->problem_code = code;
    c->problem = problem;
}

/* Names are in lower case, and tokens but for what is harmless; values hold no NUL, CR or LF. A
   blank at the end of a value is let through: a grpc-message may end in one. */
static bool hoteli_h2_is_sound(const char *name, size_t name_size, const char *value,
                               size_t value_size) {
    static const char *const of_http1[] = {"connection", "keep-alive", "proxy-connection",
                                           "transfer-encoding", "upgrade"};
    size_t i;
    for (i = 0; i < name_size; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= 0x20 || c >= 0x7F || c == ':' || (c >= 'A' && c <= 'Z')) return false;
    }
    for (i = 0; i < value_size; i++) {
        if (value[i] == 0 || value[i] == '\r' || value[i] == '\n') return false;
    }
    for (i = 0; i < sizeof of_http1 / sizeof of_http1[0]; i++) {
        if (hoteli_is_word(name, name_size, of_http1[i])) return false;
    }
    return name_size > 0;
}

/* A field of a header block. Blocks of streams that are over are decoded, and that is all. */
static void hoteli_h2_field(void *user_data, const char *name, size_t name_size, const char *value,
                            size_t value_size) {
    hoteli_h2 *c = (hoteli_h2 *)user_data;
    uint64_t status = 0;
    if (!hoteli_h2_is_mine(c, c->block_id) || c->problem != NULL) return;
    c->list_size += name_size + value_size + HOTELI_HPACK_ENTRY;
    if (c->list_size > c->block_capacity) {
        hoteli_h2_problem(c, HOTELI_H2_ENHANCE_YOUR_CALM,
                          "the headers of the response are larger than the limit");
    } else if (name_size > 0 && name[0] == ':') {
        if (c->trailing || c->any_field || c->block_status != 0 || name_size != 7 ||
            memcmp(name, ":status", 7) != 0 || value_size != 3 || hoteli_is_blank(value[0]) ||
            hoteli_is_blank(value[2]) || !hoteli_parse_uint(value, 3, 999, &status) ||
            status < 100) {
            hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR,
                              "the response has a malformed pseudo-header");
        }
        c->block_status = (int)status;
    } else if (!hoteli_h2_is_sound(name, name_size, value, value_size)) {
        hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR, "the response has a malformed header");
    } else if (!c->trailing && c->block_status == 0) {
        hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR, "the response has no :status");
    } else if (c->trailing || c->block_status >= 200) {
        c->parts.field_fn(c->parts.user_data, name, name_size, value, value_size);
    }
    c->any_field |= name_size == 0 || name[0] != ':';
}

/* A header block is complete: headers, interim headers, trailers, or of a stream that is over. */
static void hoteli_h2_block_end(hoteli_h2 *c) {
    uint32_t vain = c->vain + (uint32_t)(c->block_size / 16);
    c->in_block = false;
    c->list_size = 0;
    c->block_status = 0;
    c->any_field = false;
    c->problem = NULL;
    if (!hoteli_hpack_decode(&c->hpack, c->block, c->block_size, hoteli_h2_field, c)) {
        hoteli_h2_break(c, HOTELI_H2_COMPRESSION_ERROR,
                        "the headers of the response cannot be decompressed");
        return;
    }
    c->vain = vain;
    if (!hoteli_h2_is_mine(c, c->block_id)) return;
    if (!c->trailing && c->block_status == 0) {
        hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR, "the response has no :status");
    }
    if (c->block_status == 101 || (c->block_status > 0 && c->block_status < 200 && c->block_ends)) {
        hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR, "the response is an interim one");
    }
    if (c->trailing && !c->block_ends) {
        hoteli_h2_problem(c, HOTELI_H2_PROTOCOL_ERROR, "the trailers do not end the response");
    }
    if (c->problem != NULL) {
        hoteli_h2_reset(c, c->problem_code, c->problem);
        return;
    }
    if (!c->trailing && c->block_status < 200) return;
    if (!c->trailing) c->status = c->block_status;
    c->trailing = true;
    c->vain = 0;
    if (c->block_ends) hoteli_h2_done(c);
}

static void hoteli_h2_setting(hoteli_h2 *c, unsigned id, uint32_t value) {
    switch (id) {
    case 1: // HEADER_TABLE_SIZE: less than the default must be agreed to (RFC 7541, 4.2)
        if (value < HOTELI_HPACK_TABLE && c->table == 0) c->table = 1;
        break;
    case 2:
        if (value != 0) {
            hoteli_h2_break(c, HOTELI_H2_PROTOCOL_ERROR, "the server sent ENABLE_PUSH");
        }
        break;
    case 3:
        c->peer_streams = value;
        break;
    case 4:
        if (value > HOTELI_H2_MAX) {
            hoteli_h2_break(c, HOTELI_H2_FLOW_CONTROL_ERROR,
                            "INITIAL_WINDOW_SIZE is larger than a window can be");
            break;
        }
        c->stream_window += (int64_t)value - (int64_t)c->peer_window;
        c->peer_window = value;
        if (c->active && !c->queued && c->stream_window > HOTELI_H2_MAX) {
            hoteli_h2_break(c, HOTELI_H2_FLOW_CONTROL_ERROR,
                            "INITIAL_WINDOW_SIZE makes a window too large");
        }
        break;
    case 5:
        if (value < HOTELI_H2_FRAME || value > 0xffffff) {
            hoteli_h2_break(c, HOTELI_H2_PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range");
            break;
        }
        c->peer_frame = value;
        break;
    default:
        break;
    }
}

static void hoteli_h2_window_update(hoteli_h2 *c, uint32_t increment) {
    bool is_mine = hoteli_h2_is_mine(c, c->id);
    int64_t *window = c->id == 0 ? &c->window : &c->stream_window;
    uint32_t code = increment == 0 ? HOTELI_H2_PROTOCOL_ERROR : HOTELI_H2_FLOW_CONTROL_ERROR;
    if (c->id != 0 && !is_mine) return;
    if (increment > 0 && *window + increment <= HOTELI_H2_MAX) {
        *window += increment;
    } else if (is_mine) {
        hoteli_h2_reset(c, code, "the server sent a wrong WINDOW_UPDATE");
    } else {
        hoteli_h2_break(c, code, "the server sent a wrong WINDOW_UPDATE");
    }
}

/* Streams above the last one were not processed (OG-07); the others may still be answered. */
static void hoteli_h2_goaway(hoteli_h2 *c, uint32_t last, uint32_t code) {
    if (c->leaving && last > c->last_stream) {
        hoteli_h2_break(c, HOTELI_H2_PROTOCOL_ERROR, "a second GOAWAY takes back the first");
        return;
    }
    c->leaving = true;
    c->last_stream = last;
    c->leave_code = code;
    c->leave_words_size = 0;
    if (c->active && (c->queued || c->stream > last)) {
        hoteli_h2_end(c, HOTELI_H2_REFUSED, code, "the server closes the connection");
    }
}

/* The payload of a small frame, or one setting of many, is complete. */
static void hoteli_h2_act(hoteli_h2 *c) {
    uint32_t first = hoteli_h2_get32(c->small);
    switch (c->type) {
    case HOTELI_H2_RST_STREAM:
        if (!hoteli_h2_is_mine(c, c->id)) break;
        c->any_byte = true;
        hoteli_h2_end(c, HOTELI_H2_RESET, first, "the server reset the stream");
        break;
    case HOTELI_H2_SETTINGS:
        hoteli_h2_setting(c, first >> 16,
                          (first & 0xffff) << 16 | (uint32_t)c->small[4] << 8 | c->small[5]);
        break;
    case HOTELI_H2_PING:
        if (c->flags & HOTELI_H2_ACK) break;
        hoteli_h2_reply(c, HOTELI_H2_PING, c->small, 8);
        break;
    case HOTELI_H2_GOAWAY:
        hoteli_h2_goaway(c, first & HOTELI_H2_MAX, hoteli_h2_get32(c->small + 4));
        break;
    default:
        hoteli_h2_window_update(c, first & HOTELI_H2_MAX);
        break;
    }
}

/* Frames, or parts of them, that are complete when so many bytes have come. */
static void hoteli_h2_small_bytes(hoteli_h2 *c, const uint8_t *bytes, size_t size) {
    uint32_t unit = c->type == HOTELI_H2_SETTINGS                              ? 6
                    : c->type == HOTELI_H2_PING || c->type == HOTELI_H2_GOAWAY ? 8
                                                                               : 4;
    size_t i;
    for (i = 0; i < size && !c->broken; i++, c->at++) {
        if (c->type == HOTELI_H2_GOAWAY && c->at >= 8) {
            if (c->leave_words_size == sizeof c->leave_words) return;
            c->leave_words[c->leave_words_size++] = (char)bytes[i];
            continue;
        }
        c->small[c->at % unit] = bytes[i];
        if (c->at % unit == unit - 1) hoteli_h2_act(c);
    }
}

/* Payload behind the prefix and in front of the padding. */
static void hoteli_h2_content(hoteli_h2 *c, const uint8_t *bytes, size_t size) {
    switch (c->type) {
    case HOTELI_H2_DATA:
        if (!hoteli_h2_is_mine(c, c->id)) break;
        c->vain = 0;
        if (!c->parts.data_fn(c->parts.user_data, bytes, size)) {
            hoteli_h2_reset(c, HOTELI_H2_CANCEL, "the rest of the response is not wanted");
        }
        break;
    case HOTELI_H2_HEADERS:
    case HOTELI_H2_CONTINUATION:
        // What is not decoded leaves the state of the decompression behind.
        if (size > c->block_capacity - c->block_size) {
            hoteli_h2_break(c, HOTELI_H2_ENHANCE_YOUR_CALM,
                            "the headers of the response are larger than the limit");
            break;
        }
        memcpy(c->block + c->block_size, bytes, size);
        c->block_size += size;
        break;
    case HOTELI_H2_RST_STREAM:
    case HOTELI_H2_SETTINGS:
    case HOTELI_H2_PING:
    case HOTELI_H2_GOAWAY:
    case HOTELI_H2_WINDOW_UPDATE:
        hoteli_h2_small_bytes(c, bytes, size);
        break;
    default:
        break;
    }
}

/* The next bytes of a payload; returns how many were taken. */
static size_t hoteli_h2_payload(hoteli_h2 *c, const uint8_t *bytes, size_t size) {
    size_t taken = HOTELI_MIN(size, (size_t)c->left);
    if (c->prefix > 0) {
        // The pad length comes first, the priority has five bytes and is passed over.
        taken = c->has_pad ? 1 : HOTELI_MIN(taken, (size_t)c->prefix);
        if (c->has_pad) c->pad = bytes[0];
        if (c->pad > c->left - c->prefix) {
            hoteli_h2_break(c, HOTELI_H2_PROTOCOL_ERROR, "a frame with more padding than payload");
        }
        c->has_pad = false;
        c->prefix -= (uint32_t)taken;
    } else if (c->left > c->pad) {
        taken = HOTELI_MIN(taken, (size_t)(c->left - c->pad));
        hoteli_h2_content(c, bytes, taken);
    }
    c->left -= (uint32_t)taken;
    return taken;
}

/* DATA counts against the windows with all of its payload, padding too. */
static void hoteli_h2_data_begin(hoteli_h2 *c) {
    if (c->left > c->receive_window) {
        hoteli_h2_break(c, HOTELI_H2_FLOW_CONTROL_ERROR, "the server sent more than was granted");
        return;
    }
    c->receive_window -= c->left;
    if (!hoteli_h2_is_mine(c, c->id)) return;
    c->any_byte = true;
    if (c->left > c->stream_receive) {
        hoteli_h2_reset(c, HOTELI_H2_FLOW_CONTROL_ERROR, "the server sent more than was granted");
        return;
    }
    c->stream_receive -= c->left;
    if (!c->trailing) {
        hoteli_h2_reset(c, HOTELI_H2_PROTOCOL_ERROR, "the response has content before headers");
    }
}

/* What is wrong with a frame as its head shows; NULL: nothing. */
static const char *hoteli_h2_frame_problem(const hoteli_h2 *c, uint32_t *code) {
    static const uint8_t sizes[] = {0, 0, 0, 4, 0, 0, 8, 0, 4, 0};
    bool is_known = c->type <= HOTELI_H2_CONTINUATION;
    bool of_connection =
        c->type == HOTELI_H2_SETTINGS || c->type == HOTELI_H2_PING || c->type == HOTELI_H2_GOAWAY;
    bool has_prefix = c->type == HOTELI_H2_DATA || c->type == HOTELI_H2_HEADERS;
    bool is_ack = (c->flags & HOTELI_H2_ACK) != 0;
    *code = HOTELI_H2_FRAME_SIZE_ERROR;
    if (c->left > HOTELI_H2_FRAME) return "a frame larger than allowed";
    *code = HOTELI_H2_PROTOCOL_ERROR;
    if (!c->settled && (c->type != HOTELI_H2_SETTINGS || is_ack)) {
        return "the first frame is not SETTINGS";
    }
    if (c->in_block != (c->type == HOTELI_H2_CONTINUATION) ||
        (c->in_block && c->id != c->block_id)) {
        return "headers are not continued by CONTINUATION";
    }
    if (c->type == HOTELI_H2_PUSH_PROMISE) return "the server pushes, which was refused";
    if (is_known && c->type != HOTELI_H2_WINDOW_UPDATE && (c->id == 0) != of_connection) {
        return "a frame on a stream where it cannot be";
    }
    if (is_known && c->type != HOTELI_H2_PRIORITY && c->id != 0 &&
        !hoteli_h2_was_opened(c, c->id)) {
        return "a frame on a stream that was never opened";
    }
    *code = HOTELI_H2_FRAME_SIZE_ERROR;
    if ((is_known && sizes[c->type] != 0 && c->left != sizes[c->type]) ||
        (c->type == HOTELI_H2_SETTINGS && (is_ack ? c->left != 0 : c->left % 6 != 0)) ||
        (c->type == HOTELI_H2_GOAWAY && c->left < 8) || (has_prefix && c->left < c->prefix)) {
        return "a frame of the wrong size";
    }
    *code = HOTELI_H2_STREAM_CLOSED;
    if (has_prefix && c->id == c->stream && c->ended) return "a frame behind the response's end";
    return NULL;
}

/* The head of a frame is complete. */
static void hoteli_h2_frame_begin(hoteli_h2 *c) {
    const char *problem;
    uint32_t code;
    c->left = hoteli_h2_get32(c->frame) >> 8;
    c->type = c->frame[3];
    c->flags = c->frame[4];
    c->id = hoteli_h2_get32(c->frame + 5) & HOTELI_H2_MAX;
    c->at = c->pad = c->prefix = 0;
    c->has_pad = (c->flags & HOTELI_H2_PADDED) != 0;
    if (c->type == HOTELI_H2_DATA || c->type == HOTELI_H2_HEADERS) c->prefix = c->has_pad;
    if (c->type == HOTELI_H2_HEADERS && (c->flags & HOTELI_H2_HAS_PRIORITY)) c->prefix += 5;
    problem = hoteli_h2_frame_problem(c, &code);
    if (problem != NULL) {
        hoteli_h2_break(c, code, problem);
        return;
    }
    c->settled = true;
    // Windows may open byte by byte while they are needed.
    if (c->type != HOTELI_H2_WINDOW_UPDATE || !c->sending) c->vain++;
    if (c->vain > HOTELI_H2_MAX_VAIN) {
        hoteli_h2_break(c, HOTELI_H2_ENHANCE_YOUR_CALM, "a flood of frames");
    } else if (c->type == HOTELI_H2_DATA) {
        hoteli_h2_data_begin(c);
    } else if (c->type == HOTELI_H2_HEADERS) {
        c->in_block = true;
        c->block_id = c->id;
        c->block_ends = (c->flags & HOTELI_H2_END_STREAM) != 0;
        c->block_size = 0;
        c->any_byte |= hoteli_h2_is_mine(c, c->id);
    } else if (c->type == HOTELI_H2_PRIORITY && c->left != 5 && hoteli_h2_is_mine(c, c->id)) {
        hoteli_h2_reset(c, HOTELI_H2_FRAME_SIZE_ERROR, "a frame of the wrong size");
    }
}

/* The payload of a frame is complete. */
static void hoteli_h2_frame_end(hoteli_h2 *c) {
    uint32_t size = hoteli_h2_get32(c->frame) >> 8;
    c->frame_size = 0;
    if (c->broken) return;
    switch (c->type) {
    case HOTELI_H2_DATA:
        c->owed += size;
        if (!hoteli_h2_is_mine(c, c->id)) break;
        c->stream_owed += size;
        if (c->flags & HOTELI_H2_END_STREAM) hoteli_h2_done(c);
        break;
    case HOTELI_H2_HEADERS:
    case HOTELI_H2_CONTINUATION:
        if (c->flags & HOTELI_H2_END_HEADERS) hoteli_h2_block_end(c);
        break;
    case HOTELI_H2_SETTINGS:
        if (c->flags & HOTELI_H2_ACK) break;
        hoteli_h2_reply(c, HOTELI_H2_SETTINGS, NULL, 0);
        break;
    default:
        break;
    }
}

/* What else than HTTP/2 begins with these bytes; NULL: nothing, or it is too early to tell. */
static const char *hoteli_h2_stranger(const uint8_t *bytes, size_t size) {
    static const char http1[] = "HTTP/";
    if (size < 3 || bytes[0] == 0) return NULL;
    if (memcmp(bytes, http1, HOTELI_MIN(size, (size_t)5)) == 0) {
        return size < 5 ? NULL : "the server speaks HTTP/1.1, not HTTP/2";
    }
    // Records of TLS: their type, then the version.
    if (bytes[0] >= 0x14 && bytes[0] <= 0x17 && bytes[1] == 3) return "the server speaks TLS";
    return "the server does not speak HTTP/2";
}

/* The next bytes of the head of a frame; returns how many were taken. */
static size_t hoteli_h2_frame_head(hoteli_h2 *c, const uint8_t *bytes, size_t size) {
    size_t taken = HOTELI_MIN(size, HOTELI_H2_HEAD - c->frame_size);
    const char *stranger;
    memcpy(c->frame + c->frame_size, bytes, taken);
    c->frame_size += taken;
    stranger = c->settled ? NULL : hoteli_h2_stranger(c->frame, c->frame_size);
    if (stranger != NULL) {
        hoteli_h2_break(c, HOTELI_H2_PROTOCOL_ERROR, stranger);
    } else if (c->frame_size == HOTELI_H2_HEAD) {
        hoteli_h2_frame_begin(c);
    }
    return taken;
}

/*
 * Takes what arrived, however it was cut, with a request or without; returns the outcome of the
 * last request. Callbacks are made from inside. `now_ms` is of any clock that does not go back: it
 * tells a flood of frames from what came in the course of hours.
 */
static inline int hoteli_h2_feed(hoteli_h2 *c, const uint8_t *bytes, size_t size, int64_t now_ms) {
    size_t i = 0;
    if (now_ms - c->vain_ms >= 1000) {
        c->vain_ms = now_ms;
        c->vain = 0;
    }
    while (i < size && !c->broken) {
        if (c->frame_size < HOTELI_H2_HEAD) {
            i += hoteli_h2_frame_head(c, bytes + i, size - i);
        } else {
            i += hoteli_h2_payload(c, bytes + i, size - i);
        }
        if (c->frame_size == HOTELI_H2_HEAD && c->left == 0) hoteli_h2_frame_end(c);
    }
    return c->outcome;
}

/* The server closed: an open request is lost. */
static inline int hoteli_h2_finish(hoteli_h2 *c) {
    if (c->active) {
        hoteli_h2_end(c, HOTELI_H2_LOST, HOTELI_H2_NO_ERROR,
                      c->any_byte ? "the server closed in the middle of its response"
                                  : "the server closed without a response");
    }
    c->broken = true;
    return c->outcome;
}

/* ==== [SECTION 26] OTLP REPLIES ============================================================ */

typedef struct hoteli_reply {
    bool has_partial_success;
    int64_t rejected;
    const char *message; /* within the parsed bytes, not checked for UTF-8; NULL if none */
    size_t message_size;
} hoteli_reply;

typedef struct hoteli_field {
    uint64_t tag;         /* number << 3 | wire type */
    uint64_t number;      /* of a varint field */
    const uint8_t *bytes; /* of a length-delimited field */
    size_t size;
} hoteli_field;

static bool hoteli_varint_read(const uint8_t **cursor, const uint8_t *end, uint64_t *out) {
    uint64_t value = 0;
    int shift;
    for (shift = 0; *cursor != end; shift += 7) {
        uint8_t byte = *(*cursor)++;
        // The tenth byte has room for one bit: it is the last.
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The next field of a protobuf message: 1, 0 at the end, -1 malformed. Groups are refused. */
static int hoteli_field_next(const uint8_t **cursor, const uint8_t *end, hoteli_field *field) {
    uint64_t size = 0;
    memset(field, 0, sizeof *field);
    if (*cursor == end) return 0;
    if (!hoteli_varint_read(cursor, end, &field->tag) || field->tag < 8 ||
        field->tag > UINT32_MAX) {
        return -1;
    }
    switch (field->tag & 7) {
    case 0:
        return hoteli_varint_read(cursor, end, &field->number) ? 1 : -1;
    case 1:
        size = 8;
        break;
    case 2:
        if (!hoteli_varint_read(cursor, end, &size)) return -1;
        break;
    case 5:
        size = 4;
        break;
    default:
        return -1;
    }
    if (size > (uint64_t)(end - *cursor)) return -1;
    field->bytes = *cursor;
    field->size = (size_t)size;
    *cursor += field->size;
    return 1;
}

/*
 * The fields of a google.rpc.Status and of an ExportTracePartialSuccess at once: the messages have
 * error text under the same number, and field 1 of the former is a code nobody asks for.
 */
static bool hoteli_reply_fields(const uint8_t *bytes, size_t size, hoteli_reply *reply) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x08) {
            reply->rejected = (int64_t)field.number;
        } else if (field.tag == 0x12) {
            reply->message = (const char *)field.bytes;
            reply->message_size = field.size;
        }
    }
    return found == 0;
}

/*
 * An ExportTraceServiceResponse (OT-03, OR-12, OR-13); no bytes are an empty message. False, and
 * an empty reply, when it is malformed. Unknown fields are skipped.
 */
static bool hoteli_reply_parse(const uint8_t *bytes, size_t size, hoteli_reply *reply) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    memset(reply, 0, sizeof *reply);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x0A) {
            reply->has_partial_success = true;
            if (!hoteli_reply_fields(field.bytes, field.size, reply)) {
                found = -1;
                break;
            }
        }
    }
    if (found < 0) memset(reply, 0, sizeof *reply);
    return found == 0;
}

/* The message of a google.rpc.Status, the body of a 4xx or 5xx reply (OR-14). */
static bool hoteli_status_parse(const uint8_t *bytes, size_t size, hoteli_reply *reply) {
    bool ok;
    memset(reply, 0, sizeof *reply);
    ok = hoteli_reply_fields(bytes, size, reply);
    reply->rejected = 0;
    if (!ok) memset(reply, 0, sizeof *reply);
    return ok;
}

/* ==== [SECTION 27] GRPC ==================================================================== */

/*
 * Unary calls over HTTP/2. A request's headers are built once for a destination, but for its
 * timeout; of the response everything is read that decides what becomes of the request.
 */
enum {
    HOTELI_GRPC_OK,
    HOTELI_GRPC_CANCELLED,
    HOTELI_GRPC_UNKNOWN,
    HOTELI_GRPC_INVALID_ARGUMENT,
    HOTELI_GRPC_DEADLINE_EXCEEDED,
    HOTELI_GRPC_NOT_FOUND,
    HOTELI_GRPC_ALREADY_EXISTS,
    HOTELI_GRPC_PERMISSION_DENIED,
    HOTELI_GRPC_RESOURCE_EXHAUSTED,
    HOTELI_GRPC_FAILED_PRECONDITION,
    HOTELI_GRPC_ABORTED,
    HOTELI_GRPC_OUT_OF_RANGE,
    HOTELI_GRPC_UNIMPLEMENTED,
    HOTELI_GRPC_INTERNAL,
    HOTELI_GRPC_UNAVAILABLE,
    HOTELI_GRPC_DATA_LOSS,
    HOTELI_GRPC_UNAUTHENTICATED
};

#define HOTELI_GRPC_PREFIX 5     /* bytes in front of a message: compressed or not, size */
#define HOTELI_GRPC_TIMEOUT 25   /* most bytes that the timeout takes of a header block */
#define HOTELI_GRPC_DETAILS 3072 /* most that is decoded of a google.rpc.Status */

/* ---- what is sent ---- */

/* A header block in the making, or counted only: `size` may pass `capacity`. */
typedef struct hoteli_grpc_head {
    uint8_t *bytes;
    size_t capacity;
    size_t size;
    size_t split; /* where the timeout goes: right behind the pseudo-headers (OG-01) */
} hoteli_grpc_head;

static void hoteli_grpc_put(hoteli_grpc_head *h, const char *name, const char *value,
                            size_t value_size, bool secret) {
    size_t room = h->size < h->capacity ? h->capacity - h->size : 0;
    uint8_t *at = room > 0 ? h->bytes + h->size : NULL;
    h->size += hoteli_hpack_write(at, room, name, value, value_size, secret);
}

/* Everything but the headers of the user's. `user_agent` NULL: there is one among those. */
static inline void hoteli_grpc_head_start(hoteli_grpc_head *h, uint8_t *bytes, size_t capacity,
                                          bool tls, const char *path, const char *authority,
                                          bool gzip, const char *user_agent) {
    h->bytes = bytes;
    h->capacity = capacity;
    h->size = 0;
    hoteli_grpc_put(h, ":method", "POST", 4, false);
    hoteli_grpc_put(h, ":scheme", tls ? "https" : "http", tls ? 5 : 4, false);
    hoteli_grpc_put(h, ":path", path, strlen(path), false);
    hoteli_grpc_put(h, ":authority", authority, strlen(authority), false);
    h->split = h->size;
    hoteli_grpc_put(h, "te", "trailers", 8, false);
    hoteli_grpc_put(h, "content-type", "application/grpc", 16, false);
    if (gzip) hoteli_grpc_put(h, "grpc-encoding", "gzip", 4, false);
    if (user_agent != NULL) {
        hoteli_grpc_put(h, "user-agent", user_agent, strlen(user_agent), false);
    }
}

/*
 * A header of the user's, whose name is a token and whose value holds no control characters. Its
 * name becomes lower case, and as it may be a credential it is never indexed. False, and nothing
 * is added, for a name that is gRPC's own (OH-07) or longer than 255 bytes.
 */
static inline bool hoteli_grpc_head_add(hoteli_grpc_head *h, const char *name, size_t name_size,
                                        const char *value, size_t value_size) {
    char lower[256];
    size_t i;
    if (name_size >= sizeof lower || (name_size >= 5 && hoteli_is_word(name, 5, "grpc-"))) {
        return false;
    }
    for (i = 0; i < name_size; i++) {
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    }
    lower[name_size] = 0;
    hoteli_trim(&value, &value_size);
    hoteli_grpc_put(h, lower, value, value_size, true);
    return true;
}

/* The text of a timeout: at most eight digits and a unit, never shorter than the time. */
static size_t hoteli_grpc_timeout(char out[16], int64_t timeout_ms) {
    uint64_t number = timeout_ms > 0 ? (uint64_t)timeout_ms : 1;
    char digits[20], unit = 'm';
    size_t count = 0, i;
    if (number > 99999999) {
        number = (number + 999) / 1000;
        unit = 'S';
    }
    if (number > 99999999) number = 99999999;
    for (; number > 0; number /= 10) digits[count++] = (char)('0' + number % 10);
    for (i = 0; i < count; i++) out[i] = digits[count - 1 - i];
    out[count] = unit;
    return count + 1;
}

/*
 * The header block of a request with that timeout, INT64_MAX: none. `out` has room for h->size and
 * HOTELI_GRPC_TIMEOUT bytes; returns how many it took.
 */
static inline size_t hoteli_grpc_head_write(const hoteli_grpc_head *h, int64_t timeout_ms,
                                            uint8_t *out) {
    size_t size = h->split;
    memcpy(out, h->bytes, size);
    if (timeout_ms != INT64_MAX) {
        char text[16];
        size_t text_size = hoteli_grpc_timeout(text, timeout_ms);
        size += hoteli_hpack_write(out + size, HOTELI_GRPC_TIMEOUT, "grpc-timeout", text, text_size,
                                   false);
    }
    memcpy(out + size, h->bytes + h->split, h->size - h->split);
    return size + h->size - h->split;
}

/* What stands in front of a message (OG-02). */
static inline void hoteli_grpc_put_prefix(uint8_t *out, size_t size, bool compressed) {
    out[0] = compressed;
    hoteli_h2_put32(out + 1, (uint32_t)size);
}

/* ---- what is received ---- */

typedef struct hoteli_grpc {
    /* for the caller */
    size_t body_kept;   /* bytes in `body`; the rest was counted and dropped */
    uint64_t body_size; /* of the message; or of the content, when it is none of gRPC's */
    bool is_message;    /* false: the server sent something else, a page of a proxy's say */
    /* private */
    char *body;
    size_t body_capacity;
    uint64_t max_response_bytes;
    uint64_t received;
    uint64_t left; /* of the message */
    uint32_t messages;
    uint8_t prefix[HOTELI_GRPC_PREFIX];
    size_t prefix_size;
    int status;       /* grpc-status, -1: none */
    int64_t delay_ms; /* of RetryInfo, -1: none */
    bool too_large;
    const char *problem; /* of the messages */
    char message[160];   /* grpc-message, decoded, or what stands for it */
    size_t message_size;
} hoteli_grpc;

/* What becomes of a request. */
typedef struct hoteli_verdict {
    int code;            /* of gRPC; 0: success */
    bool retryable;      /* OR-04, OR-05, OR-06 */
    bool unprocessed;    /* ... at once, on another connection: the server has done nothing */
    int64_t delay_ms;    /* the least wait the server asks for, up to a day; -1: none (OR-08) */
    const char *message; /* within the hoteli_grpc, not checked for UTF-8 */
    size_t message_size;
} hoteli_verdict;

static const char *hoteli_grpc_code_name(int code) {
    static const char names[] =
        "OK\0CANCELLED\0UNKNOWN\0INVALID_ARGUMENT\0DEADLINE_EXCEEDED\0NOT_FOUND\0"
        "ALREADY_EXISTS\0PERMISSION_DENIED\0RESOURCE_EXHAUSTED\0FAILED_PRECONDITION\0ABORTED\0"
        "OUT_OF_RANGE\0UNIMPLEMENTED\0INTERNAL\0UNAVAILABLE\0DATA_LOSS\0UNAUTHENTICATED";
    bool known = code >= 0 && code <= HOTELI_GRPC_UNAUTHENTICATED;
    return known ? hoteli_nth(names, code) : "UNKNOWN";
}

/* `body` takes the first `body_capacity` bytes of the message; it may be NULL when that is 0. */
static inline void hoteli_grpc_start(hoteli_grpc *g, char *body, size_t body_capacity,
                                     uint64_t max_response_bytes) {
    memset(g, 0, sizeof *g);
    g->body = body;
    g->body_capacity = body_capacity;
    g->max_response_bytes = max_response_bytes;
    g->is_message = true;
    g->status = -1;
    g->delay_ms = -1;
}

/* Value of a character of base64 (RFC 4648, 4), -1 for anything else. */
static int hoteli_grpc_base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Binary metadata, padded or not (OG-11): as much as is well-formed and fits. */
static size_t hoteli_grpc_base64(uint8_t *out, size_t capacity, const char *text, size_t size) {
    uint32_t bits = 0;
    size_t used = 0, i;
    for (i = 0; i < size && used < capacity; i++) {
        int digit = hoteli_grpc_base64_digit(text[i]);
        if (digit < 0) break;
        bits = (bits << 6 | (uint32_t)digit) & 0xffff;
        // Four characters hold three bytes: each but the first one of them completes one.
        if (i % 4 != 0) out[used++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return used;
}

/* Milliseconds of a google.protobuf.Duration, rounded up, from 0 to a day. */
static int64_t hoteli_grpc_duration_ms(const uint8_t *bytes, size_t size) {
    const uint8_t *end = bytes + size;
    int64_t seconds = 0, nanos = 0;
    hoteli_field field;
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x08) seconds = (int64_t)field.number;
        if (field.tag == 0x10) nanos = (int32_t)(uint32_t)field.number;
    }
    if (seconds < 0 || nanos < 0) return 0;
    if (seconds >= 86400) return 86400000;
    return HOTELI_MIN(seconds * 1000 + (nanos + 999999) / 1000000, (int64_t)86400000);
}

/* A google.protobuf.Any: the delay, if it holds a google.rpc.RetryInfo. */
static void hoteli_grpc_detail(hoteli_grpc *g, const uint8_t *bytes, size_t size) {
    static const char name[] = "google.rpc.RetryInfo";
    const uint8_t *end = bytes + size, *value = NULL, *value_end = NULL;
    size_t name_size = sizeof name - 1;
    bool is_retry = false;
    hoteli_field field;
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x0A) {
            // The name stands behind the last slash.
            is_retry = field.size > name_size && field.bytes[field.size - name_size - 1] == '/' &&
                       memcmp(field.bytes + field.size - name_size, name, name_size) == 0;
        } else if (field.tag == 0x12) {
            value = field.bytes;
            value_end = field.bytes + field.size;
        }
    }
    if (!is_retry) return;
    g->delay_ms = 0;
    while (value != NULL && hoteli_field_next(&value, value_end, &field) == 1) {
        if (field.tag == 0x0A) g->delay_ms = hoteli_grpc_duration_ms(field.bytes, field.size);
    }
}

/* The details of a google.rpc.Status; more values than one stand in a list. */
static void hoteli_grpc_details(hoteli_grpc *g, const char *value, size_t size) {
    const char *end = value + size;
    hoteli_pair item;
    while (hoteli_list_next(&value, end, &item) != 0) {
        uint8_t status[HOTELI_GRPC_DETAILS];
        // Padding makes it look like a pair of name and value.
        size_t used = hoteli_grpc_base64(status, sizeof status, item.key, item.key_size);
        const uint8_t *at = status;
        hoteli_field field;
        while (hoteli_field_next(&at, status + used, &field) == 1) {
            if (field.tag == 0x1A) hoteli_grpc_detail(g, field.bytes, field.size);
        }
    }
}

/* Percent-encoded UTF-8 (OG-05), its beginning: whole characters as far as they fit. */
static void hoteli_grpc_message(hoteli_grpc *g, const char *value, size_t size) {
    char decoded[3 * sizeof g->message];
    size_t used, n;
    bool ok;
    used = hoteli_percent_decode(decoded, value, HOTELI_MIN(size, sizeof decoded), &ok);
    n = HOTELI_MIN(used, sizeof g->message);
    while (n > 0 && n < used && ((unsigned char)decoded[n] & 0xC0) == 0x80) n--;
    memcpy(g->message, decoded, n);
    g->message_size = n;
}

/* A header or trailer of the response; hoteli_h2 calls it with the hoteli_grpc. */
static inline void hoteli_grpc_field(void *user_data, const char *name, size_t name_size,
                                     const char *value, size_t value_size) {
    hoteli_grpc *g = (hoteli_grpc *)user_data;
    if (hoteli_is_word(name, name_size, "content-type")) {
        g->is_message = value_size >= 16 && hoteli_is_word(value, 16, "application/grpc") &&
                        (value_size == 16 || value[16] == '+' || value[16] == ';');
    } else if (hoteli_is_word(name, name_size, "grpc-status")) {
        uint64_t status = HOTELI_GRPC_UNKNOWN;
        (void)hoteli_parse_uint(value, value_size, HOTELI_GRPC_UNAUTHENTICATED, &status);
        g->status = (int)status;
    } else if (hoteli_is_word(name, name_size, "grpc-message")) {
        hoteli_grpc_message(g, value, value_size);
    } else if (hoteli_is_word(name, name_size, "grpc-status-details-bin")) {
        hoteli_grpc_details(g, value, value_size);
    }
}

static void hoteli_grpc_keep(hoteli_grpc *g, const uint8_t *bytes, size_t size) {
    size_t kept = HOTELI_MIN(size, g->body_capacity - g->body_kept);
    if (kept > 0) memcpy(g->body + g->body_kept, bytes, kept);
    g->body_kept += kept;
    g->body_size += size;
}

/* The prefix of a message is complete (OG-02, OG-10). We accept none that is compressed. */
static void hoteli_grpc_prefix(hoteli_grpc *g) {
    g->left = hoteli_h2_get32(g->prefix + 1);
    g->messages++;
    g->too_large = g->left > g->max_response_bytes;
    if (g->prefix[0] != 0) {
        g->problem = g->prefix[0] == 1 ? "the reply is compressed, which was not asked for"
                                       : "the reply is no message of gRPC";
    } else if (g->messages > 1) {
        g->problem = "the reply has more than one message";
    }
}

/* Content of the response; hoteli_h2 calls it with the hoteli_grpc. False: it is too large. */
static inline bool hoteli_grpc_data(void *user_data, const uint8_t *bytes, size_t size) {
    hoteli_grpc *g = (hoteli_grpc *)user_data;
    g->received += size;
    g->too_large = g->received > g->max_response_bytes + HOTELI_GRPC_PREFIX;
    if (!g->is_message) hoteli_grpc_keep(g, bytes, size);
    while (g->is_message && size > 0 && !g->too_large) {
        size_t taken = 1;
        if (g->prefix_size < HOTELI_GRPC_PREFIX) {
            g->prefix[g->prefix_size++] = *bytes;
            if (g->prefix_size == HOTELI_GRPC_PREFIX) hoteli_grpc_prefix(g);
        } else {
            taken = size < g->left ? size : (size_t)g->left;
            if (g->problem == NULL) hoteli_grpc_keep(g, bytes, taken);
            g->left -= taken;
        }
        bytes += taken;
        size -= taken;
        if (g->prefix_size == HOTELI_GRPC_PREFIX && g->left == 0) g->prefix_size = 0;
    }
    return !g->too_large;
}

/* The code for a response without grpc-status (OG-04). */
static int hoteli_grpc_http_code(int status) {
    switch (status) {
    case 400:
    case 431:
        return HOTELI_GRPC_INTERNAL;
    case 401:
        return HOTELI_GRPC_UNAUTHENTICATED;
    case 403:
        return HOTELI_GRPC_PERMISSION_DENIED;
    case 404:
        return HOTELI_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return HOTELI_GRPC_UNAVAILABLE;
    default:
        return HOTELI_GRPC_UNKNOWN;
    }
}

/* The code for a stream that was reset (OG-06). */
static int hoteli_grpc_reset_code(uint32_t code) {
    return code == HOTELI_H2_REFUSED_STREAM        ? HOTELI_GRPC_UNAVAILABLE
           : code == HOTELI_H2_CANCEL              ? HOTELI_GRPC_CANCELLED
           : code == HOTELI_H2_ENHANCE_YOUR_CALM   ? HOTELI_GRPC_RESOURCE_EXHAUSTED
           : code == HOTELI_H2_INADEQUATE_SECURITY ? HOTELI_GRPC_PERMISSION_DENIED
                                                   : HOTELI_GRPC_INTERNAL;
}

static void hoteli_grpc_say(hoteli_grpc *g, const char *text, size_t size) {
    size = HOTELI_MIN(size, sizeof g->message - g->message_size);
    memcpy(g->message + g->message_size, text, size);
    g->message_size += size;
}

/* "what (NAME)" or "what (NAME: words)": a code of HTTP/2 */
static void hoteli_grpc_say_code(hoteli_grpc *g, uint32_t code, const char *words, size_t size) {
    const char *name = hoteli_h2_code_name(code);
    hoteli_grpc_say(g, " (", 2);
    hoteli_grpc_say(g, name, strlen(name));
    if (size > 0) hoteli_grpc_say(g, ": ", 2);
    hoteli_grpc_say(g, words, size);
    hoteli_grpc_say(g, ")", 1);
}

/* What is to be said when the server did not say it. */
static void hoteli_grpc_explain(hoteli_grpc *g, const hoteli_h2 *c) {
    const char *reason = c->reason;
    g->message_size = 0;
    if (g->too_large) {
        reason = "the response is larger than max_response_bytes";
    } else if (c->outcome == HOTELI_H2_OPEN) {
        reason = hoteli_h2_trouble(c);
    } else if (c->outcome == HOTELI_H2_DONE && g->status == HOTELI_GRPC_OK) {
        reason = g->problem;
    } else if (c->outcome == HOTELI_H2_DONE) {
        char text[] = "HTTP status 000 without a status of gRPC";
        text[12] = (char)('0' + c->status / 100);
        text[13] = (char)('0' + c->status / 10 % 10);
        text[14] = (char)('0' + c->status % 10);
        hoteli_grpc_say(g, text, sizeof text - 1);
        return;
    }
    hoteli_grpc_say(g, reason, strlen(reason));
    if (c->outcome == HOTELI_H2_REFUSED) {
        hoteli_grpc_say_code(g, c->code, c->leave_words, c->leave_words_size);
    } else if (c->outcome == HOTELI_H2_RESET && !c->by_us) {
        hoteli_grpc_say_code(g, c->code, "", 0);
    }
}

static int hoteli_grpc_code(const hoteli_grpc *g, const hoteli_h2 *c) {
    if (g->too_large) return HOTELI_GRPC_RESOURCE_EXHAUSTED;
    switch (c->outcome) {
    case HOTELI_H2_OPEN:
        return HOTELI_GRPC_DEADLINE_EXCEEDED;
    case HOTELI_H2_DONE:
        if (g->status < 0) return hoteli_grpc_http_code(c->status);
        return g->status == HOTELI_GRPC_OK && g->problem != NULL ? HOTELI_GRPC_INTERNAL : g->status;
    case HOTELI_H2_RESET:
        if (c->by_us && c->code == HOTELI_H2_CANCEL) return HOTELI_GRPC_DEADLINE_EXCEEDED;
        return hoteli_grpc_reset_code(c->code);
    case HOTELI_H2_BROKEN:
        return HOTELI_GRPC_INTERNAL;
    default:
        return HOTELI_GRPC_UNAVAILABLE;
    }
}

/*
 * What becomes of the request, when it has an outcome, or when its deadline is there (OG-04,
 * OG-06, OG-07, OG-09, OG-10). A success without any message counts as one with an empty message.
 */
static inline hoteli_verdict hoteli_grpc_finish(hoteli_grpc *g, const hoteli_h2 *c) {
    static const uint32_t retried = 1u << HOTELI_GRPC_CANCELLED |
                                    1u << HOTELI_GRPC_DEADLINE_EXCEEDED |
                                    1u << HOTELI_GRPC_ABORTED | 1u << HOTELI_GRPC_OUT_OF_RANGE |
                                    1u << HOTELI_GRPC_UNAVAILABLE | 1u << HOTELI_GRPC_DATA_LOSS;
    hoteli_verdict v;
    bool answered = c->outcome == HOTELI_H2_DONE && g->status >= 0;
    if (g->is_message && g->problem == NULL && g->prefix_size > 0) {
        g->problem = "the reply ends in the middle of its message";
    }
    v.code = hoteli_grpc_code(g, c);
    v.delay_ms = answered ? g->delay_ms : -1;
    v.retryable = (retried >> v.code & 1) != 0 ||
                  (v.code == HOTELI_GRPC_RESOURCE_EXHAUSTED && v.delay_ms >= 0);
    v.unprocessed =
        c->outcome == HOTELI_H2_REFUSED ||
        (c->outcome == HOTELI_H2_RESET && !c->by_us && c->code == HOTELI_H2_REFUSED_STREAM);
    if (!answered || v.code != g->status) hoteli_grpc_explain(g, c);
    v.message = g->message;
    v.message_size = g->message_size;
    return v;
}

/* ==== [SECTION 28] FINISHED SPANS ========================================================== */

/* What the members of a hotel_list are. */
enum {
    HOTELI_LIST_ATTRS = 1,
    HOTELI_LIST_VALUES,
    HOTELI_LIST_EVENTS,
    HOTELI_LIST_LINKS,
    HOTELI_LIST_MESSAGES /* of a walk over spans */
};

static hotel_list hoteli_list_of(const uint8_t *bytes, size_t size, uint32_t tag,
                                 uint32_t members) {
    hotel_list list;
    list.at = bytes;
    list.end = size > 0 ? bytes + size : bytes;
    list.tag = tag;
    list.members = members;
    return list;
}

/* The next field with the list's tag, all others being skipped; a malformed one ends the list. */
static bool hoteli_list_field(hotel_list *list, uint32_t members, hoteli_field *field) {
    int found;
    if (list == NULL || list->members != members) return false;
    while ((found = hoteli_field_next(&list->at, list->end, field)) == 1) {
        if (field->tag == list->tag) return true;
    }
    list->at = list->end;
    return false;
}

static hotel_string hoteli_field_text(const hoteli_field *field) {
    hotel_string string;
    string.text = (const char *)field->bytes;
    string.size = field->size;
    return string;
}

static uint32_t hoteli_field_fixed32(const hoteli_field *field) {
    const uint8_t *b = field->bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* An ID of another size is no ID. */
static bool hoteli_field_id(const hoteli_field *field, uint8_t *out, size_t size) {
    if (field->size != size) {
        memset(out, 0, size);
        return false;
    }
    memcpy(out, field->bytes, size);
    return true;
}

/* An AnyValue: of a oneof the last field counts. */
static bool hoteli_value_read(const uint8_t *bytes, size_t size, hotel_value_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    uint64_t bits;
    int found;
    memset(out, 0, sizeof *out);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        switch (field.tag) {
        case 0x0A:
        case 0x3A:
            out->type = field.tag == 0x0A ? HOTEL_TYPE_STRING : HOTEL_TYPE_BYTES;
            out->as.string = hoteli_field_text(&field);
            break;
        case 0x10:
            out->type = HOTEL_TYPE_BOOL;
            out->as.boolean = field.number != 0;
            break;
        case 0x18:
            out->type = HOTEL_TYPE_INT;
            out->as.integer = (int64_t)field.number;
            break;
        case 0x21:
            out->type = HOTEL_TYPE_DOUBLE;
            bits = hoteli_load8(field.bytes);
            memcpy(&out->as.real, &bits, 8);
            break;
        case 0x2A:
            out->type = HOTEL_TYPE_ARRAY;
            out->as.list = hoteli_list_of(field.bytes, field.size, 0x0A, HOTELI_LIST_VALUES);
            break;
        case 0x32:
            out->type = HOTEL_TYPE_MAP;
            out->as.list = hoteli_list_of(field.bytes, field.size, 0x0A, HOTELI_LIST_ATTRS);
            break;
        default:
            break;
        }
    }
    return found == 0;
}

/* A KeyValue. */
static bool hoteli_attr_read(const uint8_t *bytes, size_t size, hotel_attr_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    memset(out, 0, sizeof *out);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x0A) {
            out->key = hoteli_field_text(&field);
        } else if (field.tag == 0x12 && !hoteli_value_read(field.bytes, field.size, &out->value)) {
            return false;
        }
    }
    return found == 0;
}

static bool hoteli_event_read(const uint8_t *bytes, size_t size, hotel_event_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    memset(out, 0, sizeof *out);
    out->attributes = hoteli_list_of(bytes, size, 0x1A, HOTELI_LIST_ATTRS);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x09) out->time_ns = hoteli_load8(field.bytes);
        if (field.tag == 0x12) out->name = hoteli_field_text(&field);
        if (field.tag == 0x1A) out->num_attributes++;
        if (field.tag == 0x20) out->dropped_attributes = (uint32_t)field.number;
    }
    return found == 0;
}

static bool hoteli_link_read(const uint8_t *bytes, size_t size, hotel_link_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    memset(out, 0, sizeof *out);
    out->attributes = hoteli_list_of(bytes, size, 0x22, HOTELI_LIST_ATTRS);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x0A) (void)hoteli_field_id(&field, out->context.trace_id, 16);
        if (field.tag == 0x12) (void)hoteli_field_id(&field, out->context.span_id, 8);
        if (field.tag == 0x1A) out->trace_state = hoteli_field_text(&field);
        if (field.tag == 0x22) out->num_attributes++;
        if (field.tag == 0x28) out->dropped_attributes = (uint32_t)field.number;
        if (field.tag == 0x35) {
            uint32_t flags = hoteli_field_fixed32(&field);
            out->context.trace_flags = (uint8_t)(flags & 0xFF);
            out->context.is_remote = (flags & 0x200) != 0;
        }
    }
    return found == 0;
}

/* Fields of an InstrumentationScope. */
static void hoteli_scope_read(const uint8_t *bytes, size_t size, hotel_scope_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    out->attributes = hoteli_list_of(bytes, size, 0x1A, HOTELI_LIST_ATTRS);
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x0A) out->name = hoteli_field_text(&field);
        if (field.tag == 0x12) out->version = hoteli_field_text(&field);
        if (field.tag == 0x1A) out->num_attributes++;
        if (field.tag == 0x20) out->dropped_attributes = (uint32_t)field.number;
    }
}

/* Fields of a Resource. */
static void hoteli_resource_read(const uint8_t *bytes, size_t size, hotel_resource_view *out) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    out->attributes = hoteli_list_of(bytes, size, 0x0A, HOTELI_LIST_ATTRS);
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x0A) out->num_attributes++;
        if (field.tag == 0x10) out->dropped_attributes = (uint32_t)field.number;
    }
}

/* What a ScopeSpans, or any part of one, says about its scope; its spans are skipped. */
static void hoteli_view_scope(hotel_scope_view *out, const uint8_t *bytes, size_t size) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x0A) hoteli_scope_read(field.bytes, field.size, out);
        if (field.tag == 0x1A) out->schema_url = hoteli_field_text(&field);
    }
}

/* What a ResourceSpans, or any part of one, says about its resource. */
static void hoteli_view_resource(hotel_resource_view *out, const uint8_t *bytes, size_t size) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    while (hoteli_field_next(&bytes, end, &field) == 1) {
        if (field.tag == 0x0A) hoteli_resource_read(field.bytes, field.size, out);
        if (field.tag == 0x1A) out->schema_url = hoteli_field_text(&field);
    }
}

static bool hoteli_view_status(hotel_span_view *out, const uint8_t *bytes, size_t size) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hoteli_field field;
    int found;
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (field.tag == 0x12) out->status_description = hoteli_field_text(&field);
        if (field.tag == 0x18) {
            out->status = field.number <= HOTEL_STATUS_ERROR ? (hotel_status)field.number
                                                             : HOTEL_STATUS_UNSET;
        }
    }
    return found == 0;
}

/* One field of a Span; false: it is malformed inside. */
static bool hoteli_view_field(hotel_span_view *out, const hoteli_field *field) {
    uint32_t flags;
    switch (field->tag) {
    case 0x0A: (void)hoteli_field_id(field, out->context.trace_id, 16); break;
    case 0x12: (void)hoteli_field_id(field, out->context.span_id, 8); break;
    case 0x1A: out->trace_state = hoteli_field_text(field); break;
    case 0x22:
        out->has_parent = hoteli_field_id(field, out->parent_span_id, 8) &&
                          hoteli_load8(out->parent_span_id) != 0;
        break;
    case 0x2A: out->name = hoteli_field_text(field); break;
    case 0x30:
        out->kind = field->number <= HOTEL_CONSUMER ? (hotel_kind)field->number
                                                    : HOTEL_KIND_DEFAULT;
        break;
    case 0x39: out->start_time_ns = hoteli_load8(field->bytes); break;
    case 0x41: out->end_time_ns = hoteli_load8(field->bytes); break;
    case 0x4A: out->num_attributes++; break;
    case 0x50: out->dropped_attributes = (uint32_t)field->number; break;
    case 0x5A: out->num_events++; break;
    case 0x60: out->dropped_events = (uint32_t)field->number; break;
    case 0x6A: out->num_links++; break;
    case 0x70: out->dropped_links = (uint32_t)field->number; break;
    case 0x7A: return hoteli_view_status(out, field->bytes, field->size);
    case 0x85:
        flags = hoteli_field_fixed32(field);
        out->context.trace_flags = (uint8_t)(flags & 0xFF);
        out->has_remote_parent = (flags & 0x200) != 0;
        break;
    default: break;
    }
    return true;
}

/* A Span message; scope and resource stay as they are. False, and the rest zeroed, if it is
   malformed. */
static bool hoteli_view_span(hotel_span_view *out, const uint8_t *bytes, size_t size) {
    const uint8_t *end = size > 0 ? bytes + size : bytes;
    hotel_scope_view scope = out->scope;
    hotel_resource_view resource = out->resource;
    hoteli_field field;
    int found;
    memset(out, 0, sizeof *out);
    out->scope = scope;
    out->resource = resource;
    out->attributes = hoteli_list_of(bytes, size, 0x4A, HOTELI_LIST_ATTRS);
    out->events = hoteli_list_of(bytes, size, 0x5A, HOTELI_LIST_EVENTS);
    out->links = hoteli_list_of(bytes, size, 0x6A, HOTELI_LIST_LINKS);
    while ((found = hoteli_field_next(&bytes, end, &field)) == 1) {
        if (!hoteli_view_field(out, &field)) {
            found = -1;
            break;
        }
    }
    if (found == 0) return true;
    memset(out, 0, sizeof *out);
    out->scope = scope;
    out->resource = resource;
    return false;
}

/*
 * A view from its parts: encoded fields of ResourceSpans (resource, schema URL), encoded fields of
 * ScopeSpans (scope and schema URL; spans among them are skipped), and the Span message without
 * tag and length. Any of them may be absent: NULL and 0. False if the span is malformed.
 */
static bool hoteli_view_parse(
    hotel_span_view *out, const uint8_t *resource, size_t resource_size, const uint8_t *schema,
    size_t schema_size, const uint8_t *scope, size_t scope_size, const uint8_t *span,
    size_t span_size) {
    memset(out, 0, sizeof *out);
    hoteli_view_resource(&out->resource, resource, resource_size);
    hoteli_view_resource(&out->resource, schema, schema_size);
    hoteli_view_scope(&out->scope, scope, scope_size);
    return hoteli_view_span(out, span, span_size);
}

HOTEL_API bool hotel_next_attr(hotel_list *list, hotel_attr_view *out) {
    hoteli_field field;
    if (out == NULL || !hoteli_list_field(list, HOTELI_LIST_ATTRS, &field)) return false;
    if (hoteli_attr_read(field.bytes, field.size, out)) return true;
    list->at = list->end;
    return false;
}

HOTEL_API bool hotel_next_value(hotel_list *list, hotel_value_view *out) {
    hoteli_field field;
    if (out == NULL || !hoteli_list_field(list, HOTELI_LIST_VALUES, &field)) return false;
    if (hoteli_value_read(field.bytes, field.size, out)) return true;
    list->at = list->end;
    return false;
}

HOTEL_API bool hotel_next_event(hotel_list *list, hotel_event_view *out) {
    hoteli_field field;
    if (out == NULL || !hoteli_list_field(list, HOTELI_LIST_EVENTS, &field)) return false;
    if (hoteli_event_read(field.bytes, field.size, out)) return true;
    list->at = list->end;
    return false;
}

HOTEL_API bool hotel_next_link(hotel_list *list, hotel_link_view *out) {
    hoteli_field field;
    if (out == NULL || !hoteli_list_field(list, HOTELI_LIST_LINKS, &field)) return false;
    if (hoteli_link_read(field.bytes, field.size, out)) return true;
    list->at = list->end;
    return false;
}

HOTEL_API bool hotel_find_attr(hotel_list attributes, const char *key, hotel_value_view *out) {
    hotel_attr_view attribute;
    if (out == NULL) return false;
    while (key != NULL && hotel_next_attr(&attributes, &attribute)) {
        if (hotel_string_is(attribute.key, key)) {
            *out = attribute.value;
            return true;
        }
    }
    memset(out, 0, sizeof *out);
    return false;
}

HOTEL_API hotel_spans hotel_batch_spans(const hotel_batch *batch) {
    hotel_spans spans;
    memset(&spans, 0, sizeof spans);
    if (batch != NULL && batch->request != NULL) {
        spans.groups = hoteli_list_of((const uint8_t *)batch->request, batch->request_size, 0x0A,
                                      HOTELI_LIST_MESSAGES);
    }
    return spans;
}

/* The next Span message, scope and resource being those around it. */
static bool hoteli_spans_field(hotel_spans *spans, hoteli_field *field) {
    while (!hoteli_list_field(&spans->spans, HOTELI_LIST_MESSAGES, field)) {
        if (hoteli_list_field(&spans->scopes, HOTELI_LIST_MESSAGES, field)) {
            memset(&spans->scope, 0, sizeof spans->scope);
            hoteli_view_scope(&spans->scope, field->bytes, field->size);
            spans->spans = hoteli_list_of(field->bytes, field->size, 0x12, HOTELI_LIST_MESSAGES);
        } else if (hoteli_list_field(&spans->groups, HOTELI_LIST_MESSAGES, field)) {
            memset(&spans->resource, 0, sizeof spans->resource);
            hoteli_view_resource(&spans->resource, field->bytes, field->size);
            spans->scopes = hoteli_list_of(field->bytes, field->size, 0x12, HOTELI_LIST_MESSAGES);
        } else {
            return false;
        }
    }
    return true;
}

HOTEL_API bool hotel_next_span(hotel_spans *spans, hotel_span_view *out) {
    hoteli_field field;
    if (spans == NULL || out == NULL) return false;
    while (hoteli_spans_field(spans, &field)) {
        out->scope = spans->scope;
        out->resource = spans->resource;
        if (hoteli_view_span(out, field.bytes, field.size)) return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}

HOTEL_API hotel_batch hotel_batch_of(const void *request, size_t request_size) {
    hotel_span_view span;
    hotel_batch batch;
    hotel_spans spans;
    batch.request = request;
    batch.request_size = request != NULL ? request_size : 0;
    batch.num_spans = 0;
    spans = hotel_batch_spans(&batch);
    while (hotel_next_span(&spans, &span)) batch.num_spans++;
    return batch;
}

/* ==== [SECTION 29] FIT FOR HATCHET ========================================================= */

/* Hatchet's engine loses a whole request for one text with a NUL, which its database refuses, and
   for one span whose run ID is not a UUID. Both are changed in the encoded request, where they
   stand, so that no length changes: values become byte strings, which the engine keeps as base64
   and reads no ID from; a NUL in a key, a name or a description becomes a question mark. */

enum { HOTELI_MENDED_NUL = 1, HOTELI_MENDED_ID = 2 };

/* Messages on the way from a request to its texts. */
enum {
    HOTELI_IN_NOTHING,
    HOTELI_IN_REQUEST,
    HOTELI_IN_RESOURCE_SPANS,
    HOTELI_IN_RESOURCE,
    HOTELI_IN_SCOPE_SPANS,
    HOTELI_IN_SCOPE,
    HOTELI_IN_SPAN,
    HOTELI_IN_STATUS,
    HOTELI_IN_ATTRIBUTE, /* of a span: what can be a run's ID */
    HOTELI_IN_PAIR,
    HOTELI_IN_VALUE,
    HOTELI_IN_ARRAY,
    HOTELI_IN_MAP,
    HOTELI_IN_TEXT,  /* a key, a name or a description */
    HOTELI_IN_STRING /* a value */
};

/* What a field of a message is. Events, links and what else the engine does not store are
   nothing. */
static int hoteli_field_in(int message, uint64_t tag) {
    static const uint8_t fields[][2] = {
        {0, 0},
        {HOTELI_IN_RESOURCE_SPANS, 0},
        {HOTELI_IN_RESOURCE, HOTELI_IN_SCOPE_SPANS},
        {HOTELI_IN_PAIR, 0},
        {HOTELI_IN_SCOPE, HOTELI_IN_SPAN},
        {HOTELI_IN_TEXT, 0},
        {0, 0}, /* a span, see below */
        {0, HOTELI_IN_TEXT},
        {HOTELI_IN_TEXT, HOTELI_IN_VALUE},
        {HOTELI_IN_TEXT, HOTELI_IN_VALUE},
        {HOTELI_IN_STRING, 0},
        {HOTELI_IN_VALUE, 0},
        {HOTELI_IN_PAIR, 0},
    };
    switch (tag) {
    case 0x0A: return fields[message][0];
    case 0x12: return fields[message][1];
    case 0x2A:
        if (message == HOTELI_IN_SPAN) return HOTELI_IN_TEXT;
        return message == HOTELI_IN_VALUE ? HOTELI_IN_ARRAY : HOTELI_IN_NOTHING;
    case 0x32: return message == HOTELI_IN_VALUE ? HOTELI_IN_MAP : HOTELI_IN_NOTHING;
    case 0x4A: return message == HOTELI_IN_SPAN ? HOTELI_IN_ATTRIBUTE : HOTELI_IN_NOTHING;
    case 0x7A: return message == HOTELI_IN_SPAN ? HOTELI_IN_STATUS : HOTELI_IN_NOTHING;
    default: return HOTELI_IN_NOTHING;
    }
}

/* Whether the engine can read it: the usual form, also in braces or as a URN, or 32 hex digits. */
static bool hoteli_is_uuid(const char *text, size_t size) {
    size_t i;
    if (size == 45 && hoteli_is_word(text, 9, "urn:uuid:")) {
        text += 9;
        size = 36;
    } else if (size == 38 && text[0] == '{' && text[37] == '}') {
        text++;
        size = 36;
    }
    if (size != 36 && size != 32) return false;
    for (i = 0; i < size; i++) {
        bool hyphen = size == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (hyphen ? text[i] != '-' : hoteli_hex_digit(text[i]) < 0) return false;
    }
    return true;
}

static bool hoteli_is_run_id(const char *key, size_t size) {
    return (size == 19 && memcmp(key, "hatchet.step_run_id", 19) == 0) ||
           (size == 23 && memcmp(key, "hatchet.workflow_run_id", 23) == 0);
}

/* Returns whether there was a NUL. */
static bool hoteli_mend_text(uint8_t *text, size_t size) {
    uint8_t *nul = (uint8_t *)memchr(text, 0, size);
    if (!nul) return false;
    for (; nul; nul = (uint8_t *)memchr(nul, 0, size - (size_t)(nul - text))) *nul = '?';
    return true;
}

/* Values may be nested 200 deep, two messages each. */
#define HOTELI_MEND_DEPTH 420

/* Makes a request fit; returns what was changed. What is malformed stays as it is from there. */
static unsigned hoteli_mend_for_hatchet(uint8_t *request, size_t size) {
    struct {
        const uint8_t *end;
        int message;
    } open[HOTELI_MEND_DEPTH];
    const uint8_t *at = request;
    unsigned mended = 0, depth = 0;
    bool run_id = false;
    open[0].end = request + size;
    open[0].message = HOTELI_IN_REQUEST;
    for (;;) {
        hoteli_field field;
        uint8_t *tag = request + (at - request), *text;
        int found = hoteli_field_next(&at, open[depth].end, &field), what;
        if (found < 0 || (found == 0 && depth == 0)) return mended;
        if (found == 0) {
            depth--;
            continue;
        }
        what = hoteli_field_in(open[depth].message, field.tag);
        if (what == HOTELI_IN_NOTHING) continue;
        text = request + (field.bytes - request);
        if (what == HOTELI_IN_TEXT) {
            if (hoteli_mend_text(text, field.size)) mended |= HOTELI_MENDED_NUL;
            if (open[depth].message == HOTELI_IN_ATTRIBUTE)
                run_id = hoteli_is_run_id((const char *)text, field.size);
        } else if (what == HOTELI_IN_STRING && *tag == 0x0A) {
            bool of_span = open[depth - 1].message == HOTELI_IN_ATTRIBUTE;
            bool bad_id = run_id && of_span && field.size > 0 &&
                          !hoteli_is_uuid((const char *)text, field.size);
            bool nul = memchr(text, 0, field.size) != NULL;
            if (bad_id || nul) *tag = 0x3A; /* AnyValue: bytes instead of a string */
            if (bad_id) mended |= HOTELI_MENDED_ID;
            else if (nul) mended |= HOTELI_MENDED_NUL;
        } else if (what != HOTELI_IN_STRING && depth + 1 < HOTELI_MEND_DEPTH) {
            depth++;
            open[depth].end = at;
            open[depth].message = what;
            at = field.bytes;
        }
    }
}

/* ==== [SECTION 30] JSON METADATA =========================================================== */

static const char *hoteli_json_blanks(const char *p, const char *end) {
    while (p != end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

/* Behind the string that `p` begins, NULL if there is none; its UTF-8 has been checked. */
static const char *hoteli_json_string(const char *p, const char *end) {
    int i;
    if (p == end || *p != '"') return NULL;
    while (++p != end && (unsigned char)*p >= 0x20) {
        if (*p == '"') return p + 1;
        if (*p == '\\') {
            if (++p == end || memchr("\"\\/bfnrtu", *p, 9) == NULL) return NULL;
            for (i = *p == 'u' ? 4 : 0; i > 0; i--) {
                if (++p == end || hoteli_hex_digit(*p) < 0) return NULL;
            }
        }
    }
    return NULL;
}

static const char *hoteli_json_digits(const char *p, const char *end) {
    const char *start = p;
    while (p != end && *p >= '0' && *p <= '9') p++;
    return p != start ? p : NULL;
}

static const char *hoteli_json_number(const char *p, const char *end) {
    p += *p == '-';
    if (p != end && *p == '0') {
        p++;
    } else {
        p = hoteli_json_digits(p, end);
    }
    if (p != NULL && p != end && *p == '.') p = hoteli_json_digits(p + 1, end);
    if (p != NULL && p != end && (*p | 0x20) == 'e') {
        p++;
        p += p != end && (*p == '+' || *p == '-');
        p = hoteli_json_digits(p, end);
    }
    return p;
}

/* Behind a string, number or literal; NULL if `p`, which is not the end, begins none. */
static const char *hoteli_json_scalar(const char *p, const char *end) {
    const char *word = *p == 't' ? "true" : *p == 'f' ? "false" : *p == 'n' ? "null" : NULL;
    if (word != NULL) {
        size_t size = strlen(word);
        return (size_t)(end - p) >= size && memcmp(p, word, size) == 0 ? p + size : NULL;
    }
    return *p == '"' ? hoteli_json_string(p, end) : hoteli_json_number(p, end);
}

/* Behind the colon of a member, NULL if there is none. */
static const char *hoteli_json_key(const char *p, const char *end) {
    p = hoteli_json_string(hoteli_json_blanks(p, end), end);
    p = p != NULL ? hoteli_json_blanks(p, end) : end;
    return p != end && *p == ':' ? p + 1 : NULL;
}

/* Behind a value of any kind, NULL if there is none or it is nested deeper than 128 in all. */
static const char *hoteli_json_value(const char *p, const char *end) {
    char closers[127]; // the object around it is the first level
    size_t depth = 0;
    do {
        p = hoteli_json_blanks(p, end);
        if (p == end) return NULL;
        if (*p == '{' || *p == '[') {
            char closer = *p == '{' ? '}' : ']';
            p = hoteli_json_blanks(p + 1, end);
            if (p == end || depth == sizeof closers) return NULL;
            closers[depth++] = closer;
            if (*p != closer) {
                if (closer == '}' && (p = hoteli_json_key(p, end)) == NULL) return NULL;
                continue;
            }
        } else if ((p = hoteli_json_scalar(p, end)) == NULL) {
            return NULL;
        }
        // Behind a value, or at the closer of an empty container.
        while (depth > 0) {
            p = hoteli_json_blanks(p, end);
            if (p == end) return NULL;
            if (*p == ',') {
                p++;
                if (closers[depth - 1] == '}' && (p = hoteli_json_key(p, end)) == NULL) return NULL;
                break;
            }
            if (*p++ != closers[--depth]) return NULL;
        }
    } while (depth > 0);
    return p;
}

typedef struct hoteli_json_member {
    const char *key; /* with its quotes, like a string value */
    const char *key_end;
    const char *value;
    const char *value_end;
} hoteli_json_member;

/*
 * The next member of the outermost object: 1, 0 at its end, -1 malformed. *cursor starts at '{' and
 * is left at the ',' or '}' behind the member.
 */
static int hoteli_json_next(const char **cursor, const char *end, hoteli_json_member *member) {
    const char *p = *cursor;
    bool is_first = *p == '{';
    if (*p != '}') p = hoteli_json_blanks(p + 1, end);
    if (p != end && *p == '}' && (is_first || p == *cursor)) {
        *cursor = p;
        return hoteli_json_blanks(p + 1, end) == end ? 0 : -1;
    }
    member->key = p;
    member->key_end = hoteli_json_string(p, end);
    p = hoteli_json_key(p, end);
    if (p == NULL) return -1;
    member->value = hoteli_json_blanks(p, end);
    member->value_end = hoteli_json_value(p, end);
    if (member->value_end == NULL) return -1;
    p = hoteli_json_blanks(member->value_end, end);
    *cursor = p;
    return p != end && (*p == ',' || *p == '}') ? 1 : -1;
}

/* Moves *json to the '{': 1; 0 if there is nothing (NULL, blank, null); -1 if it is no object. */
static int hoteli_json_open(const char **json, size_t size, const char **end) {
    const char *p;
    if (*json == NULL || size == 0) return 0;
    *end = *json + size;
    p = hoteli_json_blanks(*json, *end);
    if (p == *end ||
        (*end - p >= 4 && memcmp(p, "null", 4) == 0 && hoteli_json_blanks(p + 4, *end) == *end)) {
        return 0;
    }
    *json = p;
    return *p == '{' && hoteli_utf8_valid(p, (size_t)(*end - p)) ? 1 : -1;
}

static uint32_t hoteli_json_unit(const char *p) {
    return (uint32_t)(hoteli_hex_digit(p[0]) << 12 | hoteli_hex_digit(p[1]) << 8 |
                      hoteli_hex_digit(p[2]) << 4 | hoteli_hex_digit(p[3]));
}

/*
 * The next character inside a checked string as UTF-8, which takes 1 to 4 bytes; raw ones come a
 * byte at a time. Half of a surrogate pair becomes U+FFFD.
 */
static size_t hoteli_json_char(const char **cursor, const char *end, char out[4]) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *p = *cursor, *simple;
    uint32_t code;
    size_t size, i;
    if (*p != '\\' || p[1] != 'u') {
        p += *p == '\\';
        simple = p != *cursor ? (const char *)memchr(from, *p, 5) : NULL;
        out[0] = simple != NULL ? to[simple - from] : *p;
        *cursor = p + 1;
        return 1;
    }
    code = hoteli_json_unit(p + 2);
    p += 6;
    if (code >= 0xD800 && code < 0xE000) {
        uint32_t low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hoteli_json_unit(p + 2) : 0;
        if (code < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
        } else {
            code = 0xFFFD;
        }
    }
    *cursor = p;
    size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (i = size; i > 1; i--) {
        out[i - 1] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(size == 1 ? code : (0xF00u >> size & 0xFF) | code);
    return size;
}

/* Whether a member has this key, however it is spelled. */
static bool hoteli_json_is_key(const hoteli_json_member *member, const char *key) {
    const char *p = member->key + 1, *end = member->key_end - 1;
    char bytes[4];
    while (p != end) {
        size_t size = hoteli_json_char(&p, end, bytes);
        if (*key == 0 || strncmp(key, bytes, size) != 0) return false;
        key += size;
    }
    return *key == 0;
}

/*
 * The value under a key of the outermost object, as it stands: 1, 0 if there is none or no object
 * (NULL, blank, null), -1 if the text is no JSON object. Of a repeated key the last counts.
 */
static int hoteli_json_raw(const char *json, size_t size, const char *key, const char **value,
                           const char **value_end) {
    const char *end = NULL;
    hoteli_json_member member;
    int found = hoteli_json_open(&json, size, &end);
    *value = *value_end = NULL;
    while (found == 1 && (found = hoteli_json_next(&json, end, &member)) == 1) {
        if (hoteli_json_is_key(&member, key)) {
            *value = member.value;
            *value_end = member.value_end;
        }
    }
    return found < 0 ? found : *value != NULL;
}

/*
 * The string under a key of the outermost object, unescaped, without NUL. Returns as above, -2 if
 * the value is no string, -3 if it does not fit, with the needed size in *out_size.
 */
static int hoteli_json_find(const char *json, size_t size, const char *key, char *out,
                            size_t capacity, size_t *out_size) {
    const char *value, *value_end;
    char bytes[4];
    int pass, found = hoteli_json_raw(json, size, key, &value, &value_end);
    *out_size = 0;
    if (found != 1) return found;
    if (*value != '"') return -2;
    for (pass = 0; pass < 2; pass++) {
        const char *p = value + 1;
        hoteli_sink sink;
        sink.out = pass == 1 ? out : NULL;
        sink.size = 0;
        while (p != value_end - 1) {
            size_t step = hoteli_json_char(&p, value_end - 1, bytes);
            hoteli_sink_put(&sink, bytes, step);
        }
        *out_size = sink.size;
        if (sink.size > capacity) return -3;
    }
    return 1;
}

typedef struct hoteli_json_edit {
    const char *key;
    const char *value; /* NULL: remove the key */
    size_t value_size;
} hoteli_json_edit;

/* A string with its quotes; what is not UTF-8 becomes U+FFFD. */
static void hoteli_json_put(hoteli_sink *sink, const char *text, size_t size) {
    size_t i, step;
    hoteli_sink_put(sink, "\"", 1);
    for (i = 0; i < size; i += step) {
        unsigned char c = (unsigned char)text[i];
        step = hoteli_utf8_sequence(text + i, size - i);
        if (step == 0) {
            hoteli_sink_put(sink, "\xEF\xBF\xBD", 3);
            step = 1;
        } else if (c < 0x20) {
            hoteli_sink_put(sink, "\\u00", 4);
            hoteli_sink_put(sink, &"0123456789abcdef"[c >> 4], 1);
            hoteli_sink_put(sink, &"0123456789abcdef"[c & 15], 1);
        } else {
            if (c == '"' || c == '\\') hoteli_sink_put(sink, "\\", 1);
            hoteli_sink_put(sink, text + i, step);
        }
    }
    hoteli_sink_put(sink, "\"", 1);
}

/* One pass over the object at `json`: false if it is malformed. */
static bool hoteli_json_rewrite(const char *json, const char *end, const hoteli_json_edit *edits,
                                size_t num_edits, hoteli_sink *sink) {
    const char *tail = json + 1, *piece = json + 1;
    size_t i, tail_size = 0;
    bool is_empty = true, any = false;
    uint64_t done = 0;
    hoteli_json_member member;
    int found;
    hoteli_sink_put(sink, "{", 1);
    for (; (found = hoteli_json_next(&json, end, &member)) == 1; piece = json + 1) {
        is_empty = false;
        i = 0;
        while (i < num_edits && !hoteli_json_is_key(&member, edits[i].key)) i++;
        if (i < num_edits && (edits[i].value == NULL || (done >> i & 1) != 0)) continue;
        // Blanks behind a member wait until it is known what follows it.
        if (any) {
            hoteli_sink_put(sink, tail, tail_size);
            hoteli_sink_put(sink, ",", 1);
        }
        if (i < num_edits) {
            hoteli_sink_put(sink, piece, (size_t)(member.value - piece));
            hoteli_json_put(sink, edits[i].value, edits[i].value_size);
            done |= UINT64_C(1) << i;
        } else {
            hoteli_sink_put(sink, piece, (size_t)(member.value_end - piece));
        }
        tail = member.value_end;
        tail_size = (size_t)(json - tail);
        any = true;
    }
    if (found < 0) return false;
    for (i = 0; i < num_edits; i++) {
        if (edits[i].value != NULL && (done >> i & 1) == 0) {
            hoteli_sink_put(sink, ",", any);
            hoteli_json_put(sink, edits[i].key, strlen(edits[i].key));
            hoteli_sink_put(sink, ":", 1);
            hoteli_json_put(sink, edits[i].value, edits[i].value_size);
            any = true;
        }
    }
    hoteli_sink_put(sink, tail, is_empty ? (size_t)(json - tail) : tail_size);
    hoteli_sink_put(sink, json, (size_t)(end - json));
    return true;
}

/*
 * A copy of a JSON object with string members set or removed at its outermost level. An existing
 * member keeps its place, repetitions of it go; every other byte stays. NULL, blank and null count
 * as {}. At most 64 edits, with distinct keys. Returns the size needed and writes, with a NUL, only
 * if that fits `capacity`. *result is 0, or -1 when the text is no JSON object: then nothing is
 * written and 0 returned.
 */
static size_t hoteli_json_inject(const char *json, size_t size, const hoteli_json_edit *edits,
                                 size_t num_edits, char *out, size_t capacity, int *result) {
    const char *start = json, *end = NULL;
    hoteli_sink sink;
    int kind = num_edits <= 64 ? hoteli_json_open(&json, size, &end) : -1;
    *result = -1;
    if (kind == 0) {
        start = json = "{}";
        end = json + 2;
    }
    sink.out = NULL;
    sink.size = 0;
    if (kind < 0 || !hoteli_json_rewrite(json, end, edits, num_edits, &sink)) return 0;
    *result = 0;
    sink.size += (size_t)(json - start);
    if (sink.size < capacity) {
        sink.out = out;
        sink.size = 0;
        hoteli_sink_put(&sink, start, (size_t)(json - start));
        hoteli_json_rewrite(json, end, edits, num_edits, &sink);
        out[sink.size] = 0;
    }
    return sink.size;
}

/* ==== [SECTION 31] ENGINE IDS ============================================================== */

/* SHA-256 (FIPS 180-4). */
typedef struct hoteli_sha256 {
    uint32_t state[8];
    uint8_t block[64];
    size_t size; /* bytes so far */
} hoteli_sha256;

static uint32_t hoteli_rotate32(uint32_t x, unsigned n) {
    return x >> n | x << (32 - n);
}

static void hoteli_sha256_block(uint32_t state[8], const uint8_t *block) {
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64], v[8];
    int i;
    for (i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (hoteli_rotate32(a, 7) ^ hoteli_rotate32(a, 18) ^ a >> 3) + w[i - 7] +
               (hoteli_rotate32(b, 17) ^ hoteli_rotate32(b, 19) ^ b >> 10);
    }
    memcpy(v, state, sizeof v);
    for (i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t one = hoteli_rotate32(e, 6) ^ hoteli_rotate32(e, 11) ^ hoteli_rotate32(e, 25);
        uint32_t two = hoteli_rotate32(a, 2) ^ hoteli_rotate32(a, 13) ^ hoteli_rotate32(a, 22);
        one += v[7] + ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
        two += (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (i = 0; i < 8; i++) state[i] += v[i];
}

static void hoteli_sha256_start(hoteli_sha256 *h) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(h->state, start, sizeof start);
    h->size = 0;
}

static void hoteli_sha256_add(hoteli_sha256 *h, const void *bytes, size_t size) {
    const uint8_t *from = (const uint8_t *)bytes;
    for (; size; size--) {
        h->block[h->size++ % 64] = *from++;
        if (h->size % 64 == 0) hoteli_sha256_block(h->state, h->block);
    }
}

/* The first bytes of the digest, up to 32. */
static void hoteli_sha256_end(hoteli_sha256 *h, uint8_t *out, size_t wanted) {
    uint64_t bits = (uint64_t)h->size * 8;
    uint8_t tail[8];
    size_t i;
    for (i = 0; i < 8; i++) tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    hoteli_sha256_add(h, "\x80", 1);
    while (h->size % 64 != 56) hoteli_sha256_add(h, "", 1);
    hoteli_sha256_add(h, tail, 8);
    for (i = 0; i < wanted; i++) out[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

/* The bytes of a UUID in any form that the engine reads. */
static bool hoteli_uuid_read(const char *text, size_t size, uint8_t out[16]) {
    size_t i = size - 1, n = 32;
    if (!text) return false;
    if (!size) i = (size = strlen(text)) - 1;
    if (!hoteli_is_uuid(text, size)) return false;
    if (text[i] == '}') i--;
    for (; n; i--) {
        int digit = hoteli_hex_digit(text[i]);
        if (digit < 0) continue; /* a hyphen */
        n--;
        if (n & 1) out[n / 2] = (uint8_t)digit;
        else out[n / 2] = (uint8_t)(out[n / 2] | digit << 4);
    }
    return true;
}

/* What a digest is over: a word, one UUID or two, and what is behind them. */
static void hoteli_engine_id(const char *word, const uint8_t *ids, size_t num_ids, const void *tail,
                             size_t tail_size, uint8_t *out, size_t wanted) {
    hoteli_sha256 h;
    hoteli_sha256_start(&h);
    hoteli_sha256_add(&h, word, strlen(word));
    hoteli_sha256_add(&h, ids, num_ids * 16);
    hoteli_sha256_add(&h, tail, tail_size);
    hoteli_sha256_end(&h, out, wanted);
}

/* ==== [SECTION 32] HATCHET TOKEN =========================================================== */

/* With "Bearer " in front a token still fits the 4096 bytes that decoded headers may have. */
#define HOTELI_TOKEN_SIZE 4088u

/* What a token says about itself; nothing of it is verified here, the server does that. */
typedef struct hoteli_claims {
    char tenant[64];   /* sub; "": not there */
    char address[300]; /* grpc_broadcast_address; "": not there */
    int64_t expires;   /* exp, Unix seconds; INT64_MAX: never */
} hoteli_claims;

/* Value of a character of base64url (RFC 4648, 5), -1 for anything else. */
static int hoteli_base64url_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Whether this is base64url without padding; then its bytes, at most size / 4 * 3 + 2, go to `out`
   unless that is NULL. */
static bool hoteli_base64url_decode(const char *text, size_t size, char *out, size_t *out_size) {
    uint32_t bits = 0;
    size_t i, used = 0;
    for (i = 0; i < size; i++) {
        int digit = hoteli_base64url_digit(text[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        if ((i & 3) == 0) continue;
        if (out != NULL) out[used] = (char)(bits >> (6 - 2 * (i & 3)) & 0xFF);
        used++;
    }
    *out_size = used;
    return size > 0 && (size & 3) != 1;
}

/* A claim that is text, as a C string: false if it is something else, too long, or has a NUL. One
   that is absent is empty. */
static bool hoteli_claim_text(const char *json, size_t size, const char *name, char *out,
                              size_t capacity) {
    size_t used;
    int found = hoteli_json_find(json, size, name, out, capacity - 1, &used);
    if (found != 1) used = 0;
    out[used] = 0;
    return found >= 0 && memchr(out, 0, used) == NULL;
}

/* The time of expiry: whole seconds; a fraction is cut off, what is before 1970 is 0. */
static bool hoteli_claim_time(const char *json, size_t size, const char *name, int64_t *out) {
    const char *value, *end;
    uint64_t seconds = 0;
    bool is_negative;
    int found = hoteli_json_raw(json, size, name, &value, &end);
    *out = INT64_MAX;
    if (found != 1) return found == 0;
    if (*value == '"') return false;
    is_negative = *value == '-';
    for (value += is_negative; value != end && *value >= '0' && *value <= '9'; value++)
        if (seconds < (uint64_t)INT64_MAX / 100) seconds = seconds * 10 + (uint64_t)(*value - '0');
    if (value != end && *value == '.') value++;
    while (value != end && *value <= '9') value++; /* a number ends so, or in an exponent */
    *out = is_negative ? 0 : (int64_t)seconds;
    return value == end;
}

/*
 * The claims of a token: a JWT, three parts with dots in between, each base64url without padding,
 * of which the middle one is a JSON object. Returns NULL, or what is wrong with it, in which no
 * part of the token stands.
 */
static const char *hoteli_token_parse(const char *text, size_t size, hoteli_claims *claims) {
    const char *first, *second, *end = text + size;
    char json[HOTELI_TOKEN_SIZE / 4 * 3 + 3];
    const char *at = json, *stop;
    size_t used = 0, ignored;
    memset(claims, 0, sizeof *claims);
    claims->expires = INT64_MAX;
    if (size > HOTELI_TOKEN_SIZE) return "it is longer than 4088 bytes";
    if (size < 2 || text[0] != 'e' || text[1] != 'y') return "it does not begin with \"ey\"";
    first = (const char *)memchr(text, '.', size);
    second = first ? (const char *)memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return "it does not have three parts with dots between them";
    if (!hoteli_base64url_decode(text, (size_t)(first - text), NULL, &ignored))
        return "its first part, the header, is not base64url";
    if (!hoteli_base64url_decode(first + 1, (size_t)(second - first - 1), json, &used))
        return "its second part, the claims, is not base64url";
    if (!hoteli_base64url_decode(second + 1, (size_t)(end - second - 1), NULL, &ignored))
        return "its third part, the signature, is not base64url";
    if (hoteli_json_open(&at, used, &stop) != 1 ||
        hoteli_json_raw(json, used, "", &at, &stop) < 0)
        return "its second part, the claims, is not a JSON object";
    if (!hoteli_claim_text(json, used, "sub", claims->tenant, sizeof claims->tenant))
        return "its claim sub is not the ID of a tenant";
    if (!hoteli_claim_text(json, used, "grpc_broadcast_address", claims->address,
                           sizeof claims->address))
        return "its claim grpc_broadcast_address is not an address";
    if (!hoteli_claim_time(json, used, "exp", &claims->expires))
        return "its claim exp is not a time in seconds";
    return NULL;
}

/* ==== [SECTION 33] ENV FILES =============================================================== */

/* Variables of files, the later ones behind: "NAME\0value\0NAME\0value\0" and so on. */
typedef struct hoteli_dotenv {
    char *text;
    size_t size;
    size_t capacity;
    size_t file; /* where those of the file that is being read begin */
    /* What "${NAME}" means if the file has no such variable; a result of NULL: nothing. */
    const char *(*outside_fn)(const char *name, void *user_data);
    void *user_data;
} hoteli_dotenv;

/* A variable as it stands in a file. */
typedef struct hoteli_binding {
    const char *key; /* NULL: it was a comment, or the end */
    size_t key_size;
    const char *value; /* what is between the quotes, if there are some; NULL: there is no '=' */
    size_t value_size;
    char quote; /* 0: none */
} hoteli_binding;

/* White space as Python has it, of ASCII. */
static bool hoteli_dotenv_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F);
}

static bool hoteli_dotenv_blank(char c) {
    return hoteli_dotenv_space(c) && c != '\n' && c != '\r';
}

static const char *hoteli_dotenv_blanks(const char *p, const char *end) {
    while (p != end && hoteli_dotenv_blank(*p)) p++;
    return p;
}

static const char *hoteli_dotenv_line(const char *p, const char *end) {
    while (p != end && *p != '\n' && *p != '\r') p++;
    return p;
}

/* A key, behind which *cursor is left; false: there is none. */
static bool hoteli_dotenv_key(const char **cursor, const char *end, hoteli_binding *b) {
    const char *p = *cursor, *start = p;
    if (p != end && *p == '\'') {
        start++;
        p = start != end ? (const char *)memchr(start, '\'', (size_t)(end - start)) : NULL;
        if (p == NULL || p == start) return false;
        *cursor = p + 1;
    } else {
        while (p != end && *p != '=' && *p != '#' && !hoteli_dotenv_space(*p)) p++;
        if (p == start) return false;
        *cursor = p;
    }
    b->key = start;
    b->key_size = (size_t)(p - start);
    return true;
}

/* Text in quotes, which may span lines; a backslash is never before the last one. False, and
   *cursor as it was: it does not end. */
static bool hoteli_dotenv_quoted(const char **cursor, const char *end, hoteli_binding *b) {
    const char *p = *cursor;
    b->quote = *p++;
    b->value = p;
    while (p != end && *p != b->quote) {
        p += *p == '\\';
        if (p == end) return false;
        p++;
    }
    b->value_size = (size_t)(p - b->value);
    if (p == end) return false;
    *cursor = p + 1;
    return true;
}

/* What follows the '=' that *cursor is at. */
static bool hoteli_dotenv_value(const char **cursor, const char *end, hoteli_binding *b) {
    const char *p = hoteli_dotenv_blanks(*cursor + 1, end), *stop = p;
    bool is_comment = p != end && *p == '#' && p != *cursor + 1;
    *cursor = b->value = p;
    if (p == end || is_comment) return true;
    if (*p == '\'' || *p == '"') return hoteli_dotenv_quoted(cursor, end, b);
    *cursor = hoteli_dotenv_line(p, end);
    while (stop != *cursor && (*stop != '#' || stop == p || !hoteli_dotenv_blank(stop[-1]))) stop++;
    while (stop != p && hoteli_dotenv_blank(stop[-1])) stop--;
    b->value_size = (size_t)(stop - p);
    return true;
}

/*
 * The next variable, comment, or the end, read as python-dotenv does; *cursor is left behind its
 * line. False: what stands there is none of them, and its line was skipped.
 */
static bool hoteli_dotenv_next(const char **cursor, const char *end, hoteli_binding *b) {
    const char *p = *cursor;
    bool good = true;
    memset(b, 0, sizeof *b);
    while (p != end && hoteli_dotenv_space(*p)) p++;
    *cursor = p;
    if (p == end) return true;
    if (end - p > 6 && memcmp(p, "export", 6) == 0 && hoteli_dotenv_blank(p[6]))
        p = hoteli_dotenv_blanks(p + 6, end);
    if (p == end || *p != '#') {
        good = hoteli_dotenv_key(&p, end, b);
        if (good) p = hoteli_dotenv_blanks(p, end);
        if (good && p != end && *p == '=') good = hoteli_dotenv_value(&p, end, b);
    }
    if (good) p = hoteli_dotenv_blanks(p, end);
    if (good && p != end && *p == '#') p = hoteli_dotenv_line(p, end);
    good = good && p == hoteli_dotenv_line(p, end);
    p = hoteli_dotenv_line(p, end);
    if (p != end) p += p + 1 != end && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    *cursor = p;
    return good;
}

static void hoteli_dotenv_put(hoteli_dotenv *v, const char *bytes, size_t size) {
    if (v->size > v->capacity || size > v->capacity - v->size) v->size = v->capacity + 1;
    else if (size > 0) memcpy(v->text + v->size, bytes, size);
    if (v->size <= v->capacity) v->size += size;
}

/* The value of the last variable of the file that has this name; NULL: there is none. */
static const char *hoteli_dotenv_find(const hoteli_dotenv *v, size_t stop, const char *name) {
    const char *p = v->text + v->file, *found = NULL;
    while (p != v->text + stop) {
        const char *value = p + strlen(p) + 1;
        if (strcmp(p, name) == 0) found = value;
        p = value + strlen(value) + 1;
    }
    return found;
}

/* A value without the escapes of its quotes; line breaks of any kind become line feeds. */
static void hoteli_dotenv_unescape(hoteli_dotenv *v, const hoteli_binding *b) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    size_t i, known = b->quote == '"' ? 10 : b->quote == '\'' ? 2 : 0;
    for (i = 0; i < b->value_size; i++) {
        const char *c = b->value + i, *escape = NULL;
        bool more = i + 1 < b->value_size;
        if (*c == '\\' && more && known > 0) escape = (const char *)memchr(from, c[1], known);
        if (escape != NULL) {
            hoteli_dotenv_put(v, to + (escape - from), 1);
            i++;
        } else if (*c == '\r') {
            hoteli_dotenv_put(v, "\n", 1);
            i += more && c[1] == '\n';
        } else {
            hoteli_dotenv_put(v, c, 1);
        }
    }
}

/*
 * What "${NAME}" or "${NAME:-default}" at `p` stands for, in the variable that begins at `entry`:
 * behind it, or NULL if it is neither. The text is writable and ends in NUL.
 */
static char *hoteli_dotenv_insert(hoteli_dotenv *v, size_t entry, char *p) {
    char *name = p + 2, *mark = name + strcspn(name, "}:"), *stop = mark, was = *mark;
    const char *value, *otherwise = "";
    if (was == ':') {
        if (mark[1] != '-') return NULL;
        otherwise = mark + 2;
        stop = mark + 2 + strcspn(mark + 2, "}");
    }
    if (*stop == 0) return NULL;
    *mark = *stop = 0;
    value = hoteli_dotenv_find(v, entry, name);
    if (value == NULL) value = v->outside_fn(name, v->user_data);
    if (value == NULL) value = otherwise;
    hoteli_dotenv_put(v, value, strlen(value));
    *mark = was;
    *stop = '}';
    return stop + 1;
}

/* Puts values in the place of names in the text behind `at`, the last of all. */
static void hoteli_dotenv_expand(hoteli_dotenv *v, size_t entry, size_t at) {
    size_t out = v->size;
    char *p = v->text + at;
    if (strstr(p, "${") == NULL) return;
    while (*p != 0 && v->size <= v->capacity) {
        char *behind = p[0] == '$' && p[1] == '{' ? hoteli_dotenv_insert(v, entry, p) : NULL;
        if (behind == NULL) hoteli_dotenv_put(v, p, 1);
        p = behind != NULL ? behind : p + 1;
    }
    hoteli_dotenv_put(v, "", 1);
    if (v->size > v->capacity) return;
    memmove(v->text + at, v->text + out, v->size - out);
    v->size -= out - at;
}

/*
 * Adds the variables of a file. Returns NULL, or what is wrong with it; then none was added.
 * *bad_line is the first line, counted from 1, that could not be read and was skipped; 0: none.
 */
static const char *hoteli_dotenv_read(hoteli_dotenv *v, const char *text, size_t size,
                                      size_t *bad_line) {
    const char *p = text, *end = text + size;
    hoteli_binding b;
    *bad_line = 0;
    v->file = v->size;
    if (size == 0) return NULL;
    if (memchr(text, 0, size) != NULL || !hoteli_utf8_valid(text, size)) return "it is not UTF-8";
    if (size >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) p += 3;
    while (p != end) {
        size_t entry = v->size, at;
        const char *line = p;
        bool good = hoteli_dotenv_next(&p, end, &b);
        if (!good && *bad_line == 0) {
            while (hoteli_dotenv_space(*line)) line++;
            for (*bad_line = 1; line != text; line--) *bad_line += line[-1] == '\n';
        }
        if (!good || b.key == NULL) continue;
        hoteli_dotenv_put(v, b.key, b.key_size);
        hoteli_dotenv_put(v, "", 1);
        at = v->size;
        hoteli_dotenv_unescape(v, &b);
        hoteli_dotenv_put(v, "", 1);
        if (v->size <= v->capacity) hoteli_dotenv_expand(v, entry, at);
        if (v->size > v->capacity) {
            v->size = v->file;
            return "its variables, with those of the files before, take more than 64 KiB";
        }
    }
    return NULL;
}

/* ==== [SECTION 34] PEM TEXT ================================================================ */

/*
 * Whether the text has a whole block of that kind, "CERTIFICATE" or "PRIVATE KEY", as far as can be
 * seen without decoding it: NULL, or what is wrong with it.
 */
static const char *hoteli_pem_check(const char *text, const char *kind) {
    static const char begin[] = "-----BEGIN ", finish[] = "-----END ";
    const char *p = text, *label, *dashes, *end = NULL;
    size_t size, kind_size = strlen(kind);
    for (p = strstr(p, begin); p != NULL; p = strstr(label, begin)) {
        label = p + sizeof begin - 1;
        dashes = strstr(label, "-----");
        size = dashes != NULL ? (size_t)(dashes - label) : 0;
        if (size < kind_size || memcmp(dashes - kind_size, kind, kind_size) != 0) continue;
        if (dashes[5] == '\\') return "line breaks in it are written as \\n";
        if (dashes[5] != '\n' && dashes[5] != '\r') return "it has no line breaks";
        for (end = strstr(dashes, finish); end != NULL; end = strstr(end + 1, finish))
            if (strncmp(end + sizeof finish - 1, label, size + 5) == 0) return NULL;
        return "it is cut off: there is no -----END line";
    }
    if (strstr(text, begin) == NULL) return "it is not PEM: there is no -----BEGIN line";
    return *kind == 'C' ? "there is no certificate in it" : "there is no private key in it";
}

/* ==== [SECTION 35] STRUCTURES ============================================================== */

/* A state word, {generation, owned, ended, count}. In a span record count is the number of
   threads inside, owned says that one of them has the chain to itself. In a block count is the
   number of references, owned says that the task it belongs to is over; ended is always set,
   so that no handle is taken for a span. */
#define HOTELI_GENERATION_SHIFT (sizeof(uintptr_t) * 4)
#define HOTELI_OWNED ((uintptr_t)1 << (HOTELI_GENERATION_SHIFT - 1))
#define HOTELI_ENDED ((uintptr_t)1 << (HOTELI_GENERATION_SHIFT - 2))
#define HOTELI_COUNT (HOTELI_ENDED - 1)
#define HOTELI_GENERATION_MASK ((uint32_t)(UINTPTR_MAX >> HOTELI_GENERATION_SHIFT))

/* Lists in one word: index of the first chunk below, a number above. For a free stack it is
   the number of pops, which makes a recycled head recognisable; for a list of ended spans it is
   their number. */
#define HOTELI_INDEX_BITS (sizeof(uintptr_t) * 4)
#define HOTELI_INDEX_MASK (((uintptr_t)1 << HOTELI_INDEX_BITS) - 1)
#define HOTELI_ONE ((uintptr_t)1 << HOTELI_INDEX_BITS)
/* A count of references must be able to hold one from every chunk. */
#define HOTELI_MAX_CHUNKS ((size_t)(sizeof(uintptr_t) > 4 ? 0x3fffffff : 0x1fff))

#define HOTELI_MAX_SHARDS 8
#define HOTELI_NO_SCOPE 0xffffu
#define HOTELI_MAX_SCOPES 64
#define HOTELI_MAX_OF_PROVIDER 4     /* destinations, processors */
#define HOTELI_MAX_PROVIDERS HATCHET_OTEL_MAX_PROVIDERS
#define HOTELI_MAX_DESTINATIONS (HOTELI_MAX_PROVIDERS * HOTELI_MAX_OF_PROVIDER) /* <= 32, bits */
#define HOTELI_MAX_SAMPLERS 12       /* in the tree of one provider */
#define HOTELI_SIMPLE_WAIT_MS 30000u /* longest that hotel_end waits for a simple destination */
#define HOTELI_MAX_INFLIGHT 8
/* Of the request's head behind the digits of Content-Length, and these; with gRPC its timeout, and
   what stands in front of the message. */
#define HOTELI_HEAD_TAIL 64
#define HOTELI_LINE 64
/* What is carried of a tracestate: whole members up to this size (WT-12 asks for 512). */
#define HOTELI_STATE_SIZE 1024u

enum { HOTELI_FREE = 0, HOTELI_RECORD = 1, HOTELI_MORE = 2, HOTELI_BLOCK = 3 };

/* What every chunk begins with. kind and used are written when a step is complete, so that a
   reader of a dead process' arena can trust them. */
typedef struct hoteli_chunk {
    hoteli_word state;
    uint32_t next; /* of the free, ended or side list; of the chain in a HOTELI_MORE */
    uint16_t used; /* payload bytes */
    uint8_t kind;
    uint8_t pad;
} hoteli_chunk;

/* A set of keys by two bits each: "not there" is certain, "there" is a reason to look. */
typedef struct hoteli_filter {
    uint32_t bits[8];
} hoteli_filter;

enum {
    HOTELI_START_GIVEN = 1,  /* start is Unix time, not ticks */
    HOTELI_HAS_PARENT = 2,
    HOTELI_REMOTE_PARENT = 4,
    HOTELI_HAS_DEAD = 8,     /* the payload has entries to skip */
    HOTELI_HAS_TICKS = 16,   /* ... events whose time is in ticks */
    HOTELI_MEASURED = 32     /* the exporter has looked at it: wire_size is right */
};

/* First chunk of a span: what is not on the wire as it stands, then the payload: finished OTLP
   fields in call order. */
typedef struct hoteli_record {
    hoteli_chunk chunk;
    uint64_t start;
    uint64_t end;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint32_t more; /* chain of further chunks */
    uint32_t tail; /* last chunk of the chain, this one at first */
    uint32_t size; /* payload bytes in all chunks */
    uint32_t dead; /* of them to be skipped */
    hotel_block trace_state; /* a reference held on each */
    hotel_block values;
    hoteli_flag side; /* list of what threads beside the owner wrote */
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    uint16_t num_attributes;
    uint16_t num_events;
    uint16_t num_links;
    uint16_t scope;
    uint8_t trace_flags;
    uint8_t kind;
    uint8_t status;
    uint8_t flags;
    uint8_t end_given; /* written by the one that ends the span, beside the owner */
    uint8_t holders;   /* destinations that still have to encode it */
    uint8_t provider;
    uint8_t ending;    /* set by the first hotel_end where hooks run before the end */
    uint32_t wire_size; /* of the exporter */
    hoteli_filter filter; /* keys of the attributes */
} hoteli_record;

#define HOTELI_BLOCK_KEYS 23

/* First chunk of a block; the payload follows, further chunks by more. */
typedef struct hoteli_block_head {
    hoteli_chunk chunk;
    uint32_t size;
    uint32_t more;
    uint16_t num_keys; /* hashes of its keys, if it holds attributes */
    uint16_t keys[HOTELI_BLOCK_KEYS];
} hoteli_block_head;

#define HOTELI_RECORD_ROOM ((uint32_t)(HATCHET_OTEL_CHUNK_BYTES - sizeof(hoteli_record)))
#define HOTELI_BLOCK_ROOM ((uint32_t)(HATCHET_OTEL_CHUNK_BYTES - sizeof(hoteli_block_head)))
#define HOTELI_MORE_ROOM ((uint32_t)(HATCHET_OTEL_CHUNK_BYTES - sizeof(hoteli_chunk)))

/* Each shard in cache lines of its own. */
typedef struct hoteli_shard {
    hoteli_word free;
    hoteli_word pops;   /* of free, all of them: the list's own number continued */
    hoteli_word extra;  /* ... of which did not begin a span */
    hoteli_word unsampled;
    hoteli_word not_admitted;
    uint8_t pad_a[HOTELI_LINE * 2 - 5 * sizeof(hoteli_word)];
    hoteli_word ended;
    uint8_t pad_b[HOTELI_LINE * 2 - sizeof(hoteli_word)];
} hoteli_shard;

/* A place in a chain of chunks, for reading and for writing. */
typedef struct hoteli_cursor {
    uint8_t *at;
    uint8_t *end;
    uint32_t next; /* chunk that follows, 0: none */
} hoteli_cursor;

/* A thread inside a span. */
typedef struct hoteli_writer {
    hoteli_record *record;
    uint32_t index;
    bool owner;
    uint32_t first; /* beside the owner: own chain */
    uint32_t tail;  /* chunk that is being filled, from at to end */
    uint32_t size;  /* bytes in the own chain */
    uint8_t *at;
    uint8_t *end;
} hoteli_writer;

typedef struct hoteli_slot {
    hotel_context context;
    uint32_t serial;
} hoteli_slot;

/* What a thread has: identity, ID generator, attached contexts. */
typedef struct hoteli_thread {
    uint32_t epoch;  /* of the process the rest was made for */
    uint32_t shard;
    uint64_t random[4];
    uint32_t random_busy; /* set while stepping: a signal handler takes another way */
    uint32_t quiet;  /* inside a callback: spans are not recorded, waiting is refused */
    int cancel;      /* how cancellation was before it took the lock */
    bool pooled;     /* has the buffer for large spans that processors see */
    uint32_t depth;
    uint32_t serial;
    hoteli_slot slots[HATCHET_OTEL_MAX_ATTACHED];
} hoteli_thread;

/* Ticks against Unix time: unix_ns at ticks, and what a tick lasts. */
typedef struct hoteli_anchor {
    uint64_t ticks;
    uint64_t unix_ns;
    uint64_t base_ticks; /* of the first reading, for the rate */
    uint64_t base_ns;
    double ns_per_tick;
} hoteli_anchor;

/* Text that is put together without printf. Always ends in NUL; too much is cut. */
typedef struct hoteli_text {
    char *at;
    size_t size;     /* what was asked for */
    size_t capacity; /* 0: only counted */
} hoteli_text;

/* The result of looking up a name, shared with the thread that does it. */
typedef struct hoteli_lookup {
    hoteli_flag state; /* bit 0: done, bit 1: abandoned; the second to set its bit frees it */
    size_t count;
    struct sockaddr_storage addresses[8];
    char host[256];
} hoteli_lookup;

/* What a connection keeps of an address; of a Unix socket only the family. */
typedef union hoteli_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} hoteli_address;

/* The built-in transport's connection. */
typedef struct hoteli_socket {
    int fd;
    bool connected;
    uint16_t port;
    hoteli_lookup *lookup;
    size_t count;
    size_t next;
    int64_t started_ms;
    const char *path; /* of a Unix socket */
    hoteli_address addresses[8];
} hoteli_socket;

enum {
    HOTELI_IDLE = 0,
    HOTELI_CONNECTING,
    HOTELI_SENDING,
    HOTELI_RECEIVING,
    HOTELI_WAITING /* for the next attempt */
};

/* hotel_destination_stats, in words that any thread may read. */
typedef struct hoteli_books {
    hoteli_word offered;
    hoteli_word accepted;
    hoteli_word rejected;
    hoteli_word failed;
    hoteli_word dropped_queue_full;
    hoteli_word dropped_too_large;
    hoteli_word dropped_shutdown;
    hoteli_word requests;
    hoteli_word retries;
    hoteli_word connections;
    hoteli_word bytes_sent;
    hoteli_word flush_failures; /* of an exporter */
} hoteli_books;

#if defined(HATCHET_OTEL_OPENSSL)
/* What a connection with TLS has beside its socket. */
typedef struct hoteli_tls {
    SSL *ssl;       /* in a fork child also that of before, until the next connection */
    bool ready;     /* the handshake is over */
    bool served;    /* content came */
    bool broken;    /* OpenSSL allows no goodbye */
    bool asked;     /* the server wants a certificate, and there is none */
    bool heard;     /* something came */
    uint8_t first;  /* ... which begins with that */
    char words[320]; /* what is wrong; "": nothing, or it is not known */
} hoteli_tls;

/* What the connections of a destination have in common. */
typedef struct hoteli_tls_setup {
    SSL_CTX *context; /* NULL: no TLS */
    BIO_METHOD *method;
    SSL_SESSION *session; /* the newest, to go on from; NULL: none */
    char name[256];       /* of the server, as its certificate must have it */
    bool is_address;
    bool only_1_3;
    bool own_ca;
    bool own_certificate;
} hoteli_tls_setup;
#endif

/* A request and its connection. The bytes are kept unchanged until it is settled. */
typedef struct hoteli_request {
    struct hoteli_destination *to;
    uint8_t *buffer;
    uint8_t *packed;     /* NULL without gzip; never holds the head of gRPC */
    const uint8_t *bytes; /* what is sent, in one of the two */
    size_t size;
    size_t sent;
    uint32_t spans;
    uint64_t first;      /* its first span, counted like taken below */
    int state;
    short events;        /* that its connection waits for */
    void *connection;
    hoteli_socket socket;
#if defined(HATCHET_OTEL_OPENSSL)
    hoteli_tls tls;
#endif
    bool reused;         /* the connection served a request before */
    uint32_t attempts;
    uint32_t step_ms;
    int64_t retry_ms;
    int64_t deadline_ms;
    hoteli_http http;
    hoteli_grpc grpc;    /* this and what follows: with gRPC only */
    hoteli_h2 *h2;       /* NULL with HTTP/1.1 */
    uint8_t *out;        /* the connection's, out_capacity and block_capacity bytes */
    uint8_t *block;
    bool spoken;         /* the preface of the connection was sent */
    bool heard;          /* something came since the request began */
    short idle_events;   /* what the connection waits for without a request */
    char reply[1024];
    const char *trouble; /* why the last attempt failed */
    char said[80];       /* ... in the server's words, fit to be logged */
    size_t said_size;
} hoteli_request;

/* What a turn of the exporter waits for: the wake-up pipe, without an owner, and connections. */
typedef struct hoteli_watch {
    struct pollfd fds[HOTELI_MAX_DESTINATIONS * HOTELI_MAX_INFLIGHT + 1];
    hoteli_request *owners[HOTELI_MAX_DESTINATIONS * HOTELI_MAX_INFLIGHT + 1];
    uint32_t count;
} hoteli_watch;

typedef struct hoteli_destination {
    const struct hoteli_provider *provider;
    uint32_t position; /* in the configuration */
    uint32_t bit;      /* in masks of destinations */
    hoteli_url url;
    char *path;
    char *head; /* up to the digits of Content-Length; with gRPC a block of HPACK */
    size_t head_size;
    size_t head_split; /* gRPC: where the timeout goes */
    uint32_t timeout_ms; /* 0: none */
    uint32_t delay_ms;
    uint32_t max_queue;
    uint32_t max_batch;
    uint32_t max_bytes;
    uint32_t max_response;
    uint32_t max_inflight;
    hotel_transport transport;
    bool builtin;
    bool exports;        /* batches go to exporter, not over a connection */
    bool shut;           /* its exporter has had its last call */
    bool gzip;
    bool grpc;
    bool hatchet;        /* Hatchet's collector */
    int64_t quiet_ms;    /* until when nothing is sent to it, because it is switched off */
    hotel_exporter exporter;
#if defined(HATCHET_OTEL_ZLIB)
    z_stream zlib;
    bool has_zlib;       /* zlib holds memory */
#endif
#if defined(HATCHET_OTEL_OPENSSL)
    hoteli_tls_setup tls;
#endif
    /* ended spans that wait */
    uint32_t *queue;
    uint32_t first;
    uint32_t count;
    uint32_t chunks;     /* they take */
    uint32_t max_chunks;
    int64_t due_ms;      /* when the oldest must go */
    uint64_t taken;      /* spans that left the queue so far */
    uint64_t target;     /* a flush wants that many to have left, and to be settled */
    uint32_t flush_begun; /* the round that is on; under the lock, as is the next */
    uint32_t flush_done;
    bool flush_deep;     /* it ends with the exporter's flush */
    /* on their way */
    hoteli_request *requests; /* max_inflight of them; NULL until the set-up is complete */
    size_t capacity;     /* of each buffer */
    size_t out_capacity; /* gRPC: of what a connection sends at once */
    size_t block_capacity; /* ... and of the headers that it receives */
    bool failing;        /* the last request that ended, or was put off, had no success */
    int64_t probe_ms;    /* while failing: no repeat before */
    int64_t logged_retry_ms;
    int64_t logged_failed_ms;
    int64_t logged_partial_ms;
    int64_t logged_full_ms;
    int64_t logged_large_ms;
    int64_t logged_mended_ms;
    hoteli_books books;
} hoteli_destination;

typedef struct hoteli_scope {
    hotel_block block; /* encoded: scope field, then schema URL field */
    uint32_t prefix;   /* bytes of the scope field */
    uint32_t provider;
    uint32_t serial;   /* of that provider */
} hoteli_scope;

/* A sampler of the configuration, its delegates by their places in the provider's list. */
typedef struct hoteli_sampler {
    uint8_t type;
    uint8_t root;         /* also what always-record asks, and the first rule's */
    uint8_t delegates[4]; /* by remote or local, sampled or not: HOTELI_REMOTE_SAMPLED ... */
    uint8_t next;         /* of a rule: the next one's, 0: none */
    uint8_t above;        /* the annotating one that it stands in, 0: none */
    uint64_t threshold;   /* of a ratio: bits below it are kept; 2^63: all. Of a probability: the
                             randomness that is kept begins there; 2^56: none */
    double ratio;
    const char *description; /* of a custom one */
    hotel_sampler_fn sample_fn;
    void *user_data;
    hotel_match_fn match_fn; /* of a rule */
    void *match_data;
    const hotel_attr *attributes; /* of an annotating one */
    size_t num_attributes;
} hoteli_sampler;

/* Space to have a span, its values and its tracestate each in one piece. */
typedef struct hoteli_scratch {
    uint8_t *bytes[3];
    hotel_block block[3]; /* what the last two hold */
    size_t room;          /* of the first two; the last has HOTELI_STATE_SIZE */
} hoteli_scratch;

typedef struct hoteli_memory {
    void *at;
    hotel_allocator from;
} hoteli_memory;

/* What a span needs of its provider stays in place until hotel_release; what the exporter needs
   lies in set-up memory. */
typedef struct hoteli_provider {
    hoteli_flag open; /* spans are admitted */
    uint32_t sampler; /* HOTEL_SAMPLER_*; _CUSTOM: ask the first of samplers */
    uint32_t default_scope;
    uint32_t waits;   /* destinations, as bits, that hotel_end waits for */
    uint32_t hooks;   /* HOTELI_ON_START and so on: what a span stops for; 0: shut down */
    hoteli_word inside; /* threads that are in them */
    hotel_limits limits;
    hotel_clock clock;
    hotel_id_generator id_generator;
    hoteli_sampler samplers[HOTELI_MAX_SAMPLERS];
    hotel_processor processors[HOTELI_MAX_OF_PROVIDER];
    uint32_t num_processors;
    uint32_t first;            /* of its destinations */
    uint32_t num_destinations; /* that were valid */
    uint32_t serial;           /* names it in handles */
    hoteli_flag state;         /* of its shutdown: HOTELI_ASKED, HOTELI_OVER */
    int64_t stop_ms;           /* when that must be over; under the lock */
    uint32_t ticket;           /* of its last flush */
    uint8_t *resource;         /* encoded field */
    size_t resource_size;
    uint8_t *resource_schema;
    size_t resource_schema_size;
    hoteli_flag pool_busy;     /* of pool: space for large spans that processors see */
    uint8_t *pool;
    hoteli_memory memory;      /* of its set-up, ours to free */
} hoteli_provider;

enum { HOTELI_REMOTE_SAMPLED, HOTELI_REMOTE_NOT, HOTELI_LOCAL_SAMPLED, HOTELI_LOCAL_NOT };
enum {
    HOTELI_ON_START = 1,
    HOTELI_ON_ENDING = 2,
    HOTELI_ON_END = 4,
    HOTELI_ON_FLUSH = 8,
    HOTELI_WAITS = 16
};
enum { HOTELI_RUNS = 0, HOTELI_ASKED, HOTELI_OVER };

/* What can be wrong with a member of a Hatchet operation; the log has a sentence for each. */
typedef enum hoteli_fault_kind {
    HOTELI_NOT_UUID,
    HOTELI_EMPTY_ID,
    HOTELI_HAS_NUL,
    HOTELI_NOT_UTF8,
    HOTELI_NEGATIVE,
    HOTELI_TOO_LONG,
    HOTELI_NUM_FAULTS
} hoteli_fault_kind;

/* ==== [SECTION 36] STATE =================================================================== */

/* The one mutable object of the library beside thread-local memory. */
static struct hoteli_state {
    /* read by every span */
    uint32_t *epoch;     /* 0: never started, or a fork child that has not begun */
    uint8_t *arena;
    hoteli_shard *shards;
    uint32_t num_chunks;
    uint32_t shard_mask;
    uint32_t shard_shift; /* chunks per shard, as a power of two */
    uint32_t wake_step;
    hoteli_flag running;  /* spans are admitted */
    hoteli_flag closed;   /* nobody collects ended spans any more */
    uint32_t max_span_bytes;
    bool use_ticks;
    bool ending_hooks; /* a processor has on_ending */
    hoteli_provider providers[HOTELI_MAX_PROVIDERS]; /* the first is that of hotel_init */
    /* written by spans, rarely */
    hoteli_flag sleeping __attribute__((aligned(HOTELI_LINE)));
    hoteli_flag nudge;   /* somebody waits for the exporter */
    hoteli_word pending; /* ended spans since the last drain, in steps */
    hoteli_word stream;
    hoteli_word log_bits[2];
    uint32_t bad_fields[HOTELI_NUM_FAULTS][2]; /* a bit for each hotel_hatchet_key */
    uint32_t said_fields[HOTELI_NUM_FAULTS][2]; /* ... of which the log has spoken */
    hoteli_word limited;
    hoteli_word stale;
    hoteli_word bad_arguments;
    hoteli_word rejected_parents;
    hoteli_word collected; /* ended spans taken from the shards */
    hoteli_word moves;     /* beginnings and ends of such taking: odd while one is under way */
    hoteli_word record_only; /* ended spans that no destination sees */
    hoteli_word repaired;
    uint8_t pad[HOTELI_LINE];
    /* the global propagator: readers copy slot propagator_turn % 2, a writer fills the other */
    hotel_propagator propagators[2];
    hoteli_flag propagator_turn;
    hoteli_flag propagator_lock; /* of writers */
    bool propagator_chosen;      /* set by hand */
    hoteli_word last_key;        /* hotel_create_key */
    /* set-up */
    pthread_mutex_t lock; /* life cycle, flush, statistics; never taken by spans */
    pthread_cond_t settled;
    bool clock_cond;      /* settled runs on the monotonic clock */
    hoteli_flag life;     /* guards set-up, shutdown, release and rebuild, from end to end: the
                             process of the thread that is inside */
    int life_cancel;      /* how cancellation was set on the thread that is inside */
    hoteli_flag turning;  /* somebody drives the exporter */
    hoteli_flag shape;    /* guards what they change, for the moment that it takes */
    bool atfork_set;
    uint32_t last_epoch;
    uint32_t epoch_word;  /* where the kernel offers no page that is wiped on fork */
    bool initialised;
    bool stopped;
    uint64_t key[4];
    uint32_t wake_at;
    hotel_allocator allocator;
    hoteli_memory arena_memory; /* ours to free */
    uint8_t *user_memory;
    size_t user_bytes;
    uint8_t *setup_at;
    size_t setup_room;
    hoteli_scratch scratch; /* of the exporter */
    hoteli_flag instance_state; /* of service.instance.id: 1 being drawn, 2 there */
    uint64_t instance[4];
    hoteli_scope scopes[HOTELI_MAX_SCOPES];
    uint32_t num_scopes;
    uint32_t hatchet_scope;
    char hatchet_namespace[128]; /* lower case, "_" at the end; "": none */
    char hatchet_tenant[40];     /* "": not known */
    uint32_t hatchet_excluded[2]; /* a bit for each hotel_hatchet_key */
    uint32_t hatchet_shared_payload; /* bytes */
    bool hatchet_task_name;
    bool hatchet_run_spans;
    uint32_t num_providers;
    uint32_t last_serial; /* of a provider */
    hotel_log_fn log_fn;
    void *log_user_data;
    hotel_log_level log_level;
    int64_t logged_ms[HOTEL_LOG_ID_MAX + 1];
    /* exporter */
    bool no_threads;
    bool has_thread;
    bool thread_done;     /* under lock */
    pthread_t thread;
    int wake_pipe[2];
    bool pipe_lost;       /* closed by the host */
    hoteli_anchor anchor;
    uint64_t rate;        /* its ns_per_tick as bits, for all threads */
    int64_t anchored_ms;
    int64_t drain_ms;     /* next drain by time */
    int64_t drained_ms;   /* the last one */
    uint32_t drain_delay_ms;
    uint32_t num_destinations; /* of all providers, that were valid; read while it grows */
    uint32_t num_configured;
    hoteli_destination *destinations[HOTELI_MAX_DESTINATIONS];
    uint32_t flush_asked;   /* number of the last flush that was asked for; all under lock */
    uint32_t flush_mask;    /* destinations that have not begun with it, as bits */
    uint32_t flush_deep;    /* ... whose exporter is to be flushed too */
    int64_t next_ms;        /* the last turn: when the next one is due */
    bool stopping;
    int64_t stop_ms;
    uint32_t stop_ticket;   /* of its last flush */
    uint32_t stop_mask;     /* destinations that this is for */
#if defined(HATCHET_OTEL_OPENSSL)
    hoteli_word tls_inside; /* threads that are in OpenSSL for us */
    hoteli_word tls_forks;  /* under way: nobody enters */
    hoteli_flag tls_gone;   /* it has cleaned up: nobody enters any more */
    bool tls_watched;       /* ... which we are told */
#endif
} hoteli_g;

static __thread hoteli_thread hoteli_t;

/* A callback is over. In a child that it forked none was begun. */
static void hoteli_loud(void) {
    if (hoteli_t.quiet) hoteli_t.quiet--;
}

static inline uint32_t hoteli_epoch(void) {
    const uint32_t *epoch = __atomic_load_n(&hoteli_g.epoch, __ATOMIC_ACQUIRE);
    return epoch ? __atomic_load_n(epoch, __ATOMIC_RELAXED) : 0;
}

/* The lock of set-up, flush and statistics. A thread that is cancelled takes it nowhere. */
static void hoteli_lock(void) {
    int cancel = hoteli_cancel_hold();
    (void)pthread_mutex_lock(&hoteli_g.lock);
    hoteli_t.cancel = cancel;
}

static void hoteli_unlock(void) {
    int cancel = hoteli_t.cancel;
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    hoteli_cancel_back(cancel);
}

/* Before a thread calls processors, which see no spans meanwhile and are not cancelled. false: they
   are shut down, or have no such function. A number that is up keeps what they look at. */
static HOTELI_COLD bool hoteli_hooks_enter(hoteli_provider *p, uint32_t which, int *cancel) {
    *cancel = hoteli_cancel_hold();
    (void)__atomic_add_fetch(&p->inside.bits, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&p->hooks, __ATOMIC_SEQ_CST) & which) {
        hoteli_t.quiet++;
        return true;
    }
    (void)hoteli_sub(&p->inside, 1);
    hoteli_cancel_back(*cancel);
    return false;
}

/* In a child that was forked inside nobody had entered. */
static HOTELI_COLD void hoteli_hooks_leave(hoteli_provider *p, int cancel) {
    if (hoteli_t.quiet) {
        hoteli_t.quiet--;
        (void)hoteli_sub(&p->inside, 1);
    }
    hoteli_cancel_back(cancel);
}

static inline const hoteli_provider *hoteli_provider_of(const hoteli_record *record) {
    return &hoteli_g.providers[record->provider & (HOTELI_MAX_PROVIDERS - 1)];
}

/* Its destinations as bits. */
static uint32_t hoteli_mask_of(const hoteli_provider *p) {
    return (((uint32_t)1 << p->num_destinations) - 1) << p->first;
}

/* The exporter sees those that were there when it looked; further ones only come behind. */
static inline uint32_t hoteli_num_destinations(void) {
    return __atomic_load_n(&hoteli_g.num_destinations, __ATOMIC_ACQUIRE);
}


/* ==== [SECTION 37] LOG ===================================================================== */

static void hoteli_text_start(hoteli_text *text, char *out, size_t capacity) {
    text->at = out;
    text->size = 0;
    text->capacity = capacity;
    if (capacity) out[0] = 0;
}

static void hoteli_say_n(hoteli_text *text, const char *words, size_t size) {
    if (!size) return; /* words may be NULL then */
    if (text->size + 1 < text->capacity) {
        size_t room = text->capacity - 1 - text->size;
        size_t n = HOTELI_MIN(room, size);
        memcpy(text->at + text->size, words, n);
        text->at[text->size + n] = 0;
    }
    text->size += size;
}

static void hoteli_say(hoteli_text *text, const char *words) {
    if (words) hoteli_say_n(text, words, strlen(words));
}

static void hoteli_say_uint(hoteli_text *text, uint64_t value) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    hoteli_say_n(text, digits + n, sizeof digits - n);
}

/* Date, what goes between, and time, in UTC. */
static void hoteli_say_date(hoteli_text *text, int64_t unix_s, const char *between) {
    /* Days are counted in years that begin in March, from the year 0 on; eras of 400 years. */
    const int64_t era_s = INT64_C(146097) * 86400;
    int64_t shifted = unix_s % era_s + INT64_C(719468) * 86400; /* positive */
    int64_t era = unix_s / era_s + shifted / era_s;
    uint64_t second = (uint64_t)(shifted % era_s), day = second / 86400;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365, month;
    uint64_t fields[6];
    size_t i;
    second %= 86400;
    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153;
    fields[0] = (uint64_t)(era * 400 + (int64_t)year + (month >= 10));
    fields[1] = month < 10 ? month + 3 : month - 9;
    fields[2] = day - (153 * month + 2) / 5 + 1;
    fields[3] = second / 3600;
    fields[4] = second / 60 % 60;
    fields[5] = second % 60;
    for (i = 0; i < 6; i++) {
        if (i == 3) hoteli_say(text, between);
        else if (i) hoteli_say_n(text, &"0-- ::"[i], 1);
        if (i && fields[i] < 10) hoteli_say(text, "0");
        hoteli_say_uint(text, fields[i]);
    }
}

/* What came from outside, in quotes, cut at 80 bytes, control characters as dots. */
static void hoteli_say_quoted(hoteli_text *text, const char *words, size_t size) {
    size_t i;
    hoteli_say(text, "\"");
    for (i = 0; i < size && i < 80; i++) {
        char c = words[i];
        if ((unsigned char)c < 0x20 || c == 0x7f) c = '.';
        hoteli_say_n(text, &c, 1);
    }
    hoteli_say(text, size > 80 ? "...\"" : "\"");
}

static void hoteli_log(hotel_log_level level, hotel_log_id id, const char *message) {
    if (!hoteli_g.log_fn || level > hoteli_g.log_level) return;
    hoteli_t.quiet++;
    hoteli_g.log_fn(level, id, message, hoteli_g.log_user_data);
    hoteli_loud();
}

static void hoteli_log_text(hotel_log_level level, hotel_log_id id, const hoteli_text *text) {
    hoteli_log(level, id, text->at);
}

/* Messages about lasting conditions: true once a minute, by the time in *last. */
static bool hoteli_log_due(int64_t *last, int64_t now_ms) {
    if (*last && now_ms - *last < 60000) return false;
    *last = now_ms;
    return true;
}

/* From the span path: remembered, said by the exporter. */
static void hoteli_log_later(hotel_log_id id) {
    unsigned bit = (unsigned)id;
    hoteli_word *word = &hoteli_g.log_bits[bit >> 5];
    uintptr_t mask = (uintptr_t)1 << (bit & 31);
    if (!(hoteli_load_relaxed(word) & mask))
        (void)__atomic_fetch_or(&word->bits, mask, __ATOMIC_RELAXED);
}

/* From a Hatchet operation: remembered, said once by the exporter. */
static void hoteli_fault(hoteli_fault_kind kind, hotel_hatchet_key key) {
    uint32_t mask = (uint32_t)1 << (key & 31), *word = &hoteli_g.bad_fields[kind][key >> 5];
    if (HOTELI_GET(*word) & mask) return;
    (void)__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
    /* In every case, where hoteli_log_later may look first: the exporter that clears the bit sees
       the field. */
    (void)__atomic_fetch_or(&hoteli_g.log_bits[HOTEL_LOG_ID_BAD_FIELD >> 5].bits,
                            (uintptr_t)1 << (HOTEL_LOG_ID_BAD_FIELD & 31), __ATOMIC_RELEASE);
}

static const char *hoteli_log_sentence(int id) {
    switch (id) {
    case HOTEL_LOG_ID_ARENA_FULL:
        return "spans are not recorded: the arena has no free chunk; raise arena_bytes, end spans "
               "sooner, or see whether a destination is down";
    case HOTEL_LOG_ID_SPAN_TOO_LARGE:
        return "attributes, events or links were dropped: a span reached max_span_bytes, or the "
               "arena had no free chunk";
    case HOTEL_LOG_ID_LIMIT_REACHED:
        return "attributes, events or links were dropped by the span limits";
    case HOTEL_LOG_ID_INVALID_UTF8:
        return "text that is not UTF-8 was repaired: values are delivered as bytes, names and keys "
               "with U+FFFD in place of the bad bytes";
    case HOTEL_LOG_ID_STALE_REFERENCE:
        return "a context was used after its release: its tracestate and values read as empty";
    case HOTEL_LOG_ID_BAD_ARGUMENT:
        return "a span call with a NULL or empty key, or another value it cannot use, was ignored";
    case HOTEL_LOG_ID_DETACH_ORDER:
        return "contexts were detached in the wrong order, twice, or on another thread";
    case HOTEL_LOG_ID_ATTACH_DEPTH:
        return "a context was not attached: too many are on this thread "
               "(HATCHET_OTEL_MAX_ATTACHED); are some never detached?";
    case HOTEL_LOG_ID_TOO_MANY_SCOPES:
        return "more than 64 different tracers, or no space for one: the default tracer is used";
    case HOTEL_LOG_ID_EMPTY_SCOPE_NAME:
        return "a tracer was asked for without a name; its scope name is empty";
    case HOTEL_LOG_ID_BAD_METADATA:
        return "additional_metadata is not a JSON object, or its traceparent is not a string";
    case HOTEL_LOG_ID_BAD_TRACEPARENT:
        return "a malformed traceparent, tracestate or B3 header was ignored";
    case HOTEL_LOG_ID_RATIO_WITH_PARENT:
        return "a trace ID ratio decided about spans that have a parent: traces may be incomplete; "
               "put it at the root of a parent based sampler";
    case HOTEL_LOG_ID_NOT_RANDOM:
        return "spans were sampled by a probability although the trace flags of their parents do "
               "not say that the trace ID is random";
    case HOTEL_LOG_ID_BAD_BAGGAGE:
        return "baggage was left out: a malformed member of a header, a name that cannot be sent, "
               "more than 64 members or 8192 bytes, or no room";
    case HOTEL_LOG_ID_CONTEXT_FULL:
        return "a context was not given a value or baggage: more than 32 keys, more than "
               "max_span_bytes, no free chunk, or no hotel_init";
    default:
        return "";
    }
}

/* The texts of all keys in one piece, and where in it each begins. */
#define HOTELI_KEY_ROOM(name, key) char name##_text[sizeof(key)];
#define HOTELI_KEY_TEXT(name, key) key,
#define HOTELI_KEY_PLACE(name, key) (uint16_t)offsetof(hoteli_key_texts, name##_text),
typedef struct hoteli_key_texts {
    HOTEL_HATCHET_KEYS(HOTELI_KEY_ROOM)
} hoteli_key_texts;

static const char *hoteli_key_text(hotel_hatchet_key key) {
    static const hoteli_key_texts texts = {HOTEL_HATCHET_KEYS(HOTELI_KEY_TEXT)};
    static const uint16_t places[] = {HOTEL_HATCHET_KEYS(HOTELI_KEY_PLACE)};
    return (const char *)&texts + places[key];
}

/* Each member that a fault was found in is named once. */
static void hoteli_log_faults(void) {
    static const char faults[] =
        "is not a UUID: it is delivered as it is, to Hatchet as bytes, where nothing finds it\0"
        "is empty: the attribute is left out, and Hatchet cannot tell which run this is\0"
        "contains NUL: it is delivered as it is, to Hatchet as bytes\0"
        "is not UTF-8: it is delivered as bytes\0"
        "is negative: the attribute is left out\0"
        "is too long: what does not fit is left out, of a list, of a span's name, or of the "
        "spans in the task\0";
    int kind, key;
    for (kind = 0; kind < HOTELI_NUM_FAULTS; kind++) {
        for (key = 0; key < HOTEL_HATCHET_NUM_KEYS; key++) {
            uint32_t mask = (uint32_t)1 << (key & 31), *said = hoteli_g.said_fields[kind];
            char words[256];
            hoteli_text text;
            if (!(HOTELI_GET(hoteli_g.bad_fields[kind][key >> 5]) & ~said[key >> 5] & mask))
                continue;
            said[key >> 5] |= mask;
            hoteli_text_start(&text, words, sizeof words);
            hoteli_say(&text, hoteli_key_text((hotel_hatchet_key)key));
            hoteli_say(&text, " ");
            hoteli_say(&text, hoteli_nth(faults, kind));
            hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_BAD_FIELD, &text);
        }
    }
}

/* Says what spans have asked to be said. */
static void hoteli_log_pending(int64_t now_ms) {
    int id;
    for (id = 1; id <= HOTEL_LOG_ID_MAX; id++) {
        hoteli_word *word = &hoteli_g.log_bits[id >> 5];
        uintptr_t mask = (uintptr_t)1 << (id & 31);
        if (!(hoteli_load_relaxed(word) & mask)) continue;
        (void)__atomic_fetch_and(&word->bits, ~mask, __ATOMIC_ACQ_REL);
        if (id == HOTEL_LOG_ID_BAD_FIELD) hoteli_log_faults();
        else if (hoteli_log_due(&hoteli_g.logged_ms[id], now_ms))
            hoteli_log(HOTEL_LOG_WARN, (hotel_log_id)id, hoteli_log_sentence(id));
    }
}

/* ==== [SECTION 38] CLOCK AND RANDOM ======================================================== */

static uint64_t hoteli_clock_ns(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Never 0, so that 0 can mean "not yet". */
static int64_t hoteli_now_ms(void) {
    return (int64_t)(hoteli_clock_ns(CLOCK_MONOTONIC) / 1000000u) + 1;
}

static uint32_t hoteli_time_left(int64_t until_ms) {
    int64_t left = until_ms - hoteli_now_ms();
    return left > 0 ? (uint32_t)HOTELI_MIN(left, (int64_t)UINT32_MAX) : 0;
}

static void hoteli_nap(int ms) {
    int cancel = hoteli_cancel_hold();
    struct timespec pause;
    pause.tv_sec = 0;
    pause.tv_nsec = (long)ms * 1000000;
    (void)nanosleep(&pause, NULL);
    hoteli_cancel_back(cancel);
}

/* Waits for its turn. */
static void hoteli_flag_enter(hoteli_flag *flag) {
    while (!hoteli_flag_cas(flag, 0, 1)) hoteli_nap(1);
}

static inline uint64_t hoteli_counter(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/* The processor's counter serves where it is invariant and the kernel itself trusts it. */
static bool hoteli_counter_usable(void) {
#if defined(__aarch64__)
    return true;
#elif (defined(__x86_64__) || defined(__i386__)) && defined(__linux__)
    unsigned a, b, c, d;
    char source[8] = {0};
    int fd;
    ssize_t n;
    if (!__get_cpuid(0x80000007u, &a, &b, &c, &d) || !(d & 0x100u)) return false;
    fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
              O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    n = read(fd, source, sizeof source - 1);
    (void)close(fd);
    return n >= 3 && memcmp(source, "tsc", 3) == 0;
#else
    return false;
#endif
}

static inline uint64_t hoteli_ticks(void) {
    if (HOTELI_LIKELY(HOTELI_GET(hoteli_g.use_ticks))) return hoteli_counter();
    return hoteli_clock_ns(CLOCK_MONOTONIC);
}

/* Reads a clock and the ticks at the same moment: the narrowest of a few brackets. */
static uint64_t hoteli_read_pair(clockid_t clock, uint64_t *ticks) {
    uint64_t best = UINT64_MAX, ns = 0;
    int i;
    for (i = 0; i < 5; i++) {
        uint64_t before = hoteli_ticks();
        uint64_t value = hoteli_clock_ns(clock);
        uint64_t width = hoteli_ticks() - before;
        if (width < best) {
            best = width;
            ns = value;
            *ticks = before + width / 2;
        }
    }
    return ns;
}

/* Renewed while running, so that Unix time follows steps and slews of the system's clock. The
   rate is taken over the whole run: the longer, the more exact. */
static void hoteli_anchor_renew(hoteli_anchor *anchor) {
    uint64_t ticks = 0, mono = hoteli_read_pair(CLOCK_MONOTONIC, &ticks), rate;
    if (!anchor->base_ticks) {
        anchor->base_ticks = ticks;
        anchor->base_ns = mono;
        anchor->ns_per_tick = 1.0;
    } else if (ticks > anchor->base_ticks && HOTELI_GET(hoteli_g.use_ticks)) {
        anchor->ns_per_tick =
            (double)(mono - anchor->base_ns) / (double)(ticks - anchor->base_ticks);
    }
    anchor->unix_ns = hoteli_read_pair(CLOCK_REALTIME, &anchor->ticks);
    memcpy(&rate, &anchor->ns_per_tick, 8);
    __atomic_store_n(&hoteli_g.rate, rate, __ATOMIC_RELAXED);
}

static uint64_t hoteli_anchor_time(const hoteli_anchor *anchor, uint64_t ticks) {
    double ns;
    if (ticks >= anchor->ticks) {
        ns = (double)(ticks - anchor->ticks) * anchor->ns_per_tick;
        return anchor->unix_ns + (uint64_t)ns;
    }
    ns = (double)(anchor->ticks - ticks) * anchor->ns_per_tick;
    return (uint64_t)ns < anchor->unix_ns ? anchor->unix_ns - (uint64_t)ns : 0;
}

static uint64_t hoteli_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Randomness from the kernel, else from what differs between processes. */
static void hoteli_entropy(uint64_t key[4]) {
    const size_t size = 4 * sizeof *key;
    ssize_t n = -1;
    int i;
#if defined(__linux__)
    n = getrandom(key, size, GRND_NONBLOCK);
#else
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, key, size);
        (void)close(fd);
    }
#endif
    if (n != (ssize_t)size) {
        uint64_t seed = hoteli_clock_ns(CLOCK_REALTIME) ^ ((uint64_t)getpid() << 32) ^
                        hoteli_clock_ns(CLOCK_MONOTONIC) ^ (uint64_t)(uintptr_t)&key;
        for (i = 0; i < 4; i++) key[i] = seed = hoteli_mix(seed + hoteli_g.key[i]);
    }
}

/* The key of this process. */
static void hoteli_new_key(void) {
    uint64_t key[4];
    hoteli_entropy(key);
    memcpy(hoteli_g.key, key, sizeof key);
}

/* A stream of its own for each thread: the process' key and the stream's number. */
static void hoteli_random_seed(uint64_t state[4], uint64_t stream) {
    int i;
    for (i = 0; i < 4; i++) state[i] = hoteli_mix(hoteli_g.key[i] ^ hoteli_mix(stream + 1));
    if (!(state[0] | state[1] | state[2] | state[3])) state[0] = 1;
}

static inline uint64_t hoteli_rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* One step of xoshiro256++. */
static inline uint64_t hoteli_random_step(uint64_t s[4]) {
    uint64_t result = hoteli_rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = hoteli_rotate(s[3], 45);
    return result;
}

/* In a signal handler that interrupted the thread in the middle of a step: a stream of one
   number, so that both never give the same. */
static HOTELI_COLD uint64_t hoteli_random_aside(void) {
    uint64_t state[4];
    hoteli_random_seed(state, __atomic_add_fetch(&hoteli_g.stream.bits, 1, __ATOMIC_RELAXED));
    return hoteli_random_step(state);
}

/* Not zero: an ID must not be, and of a trace ID both halves are filled by one call each. */
static inline uint64_t hoteli_random(hoteli_thread *t) {
    uint64_t value;
    do {
        if (HOTELI_UNLIKELY(t->random_busy)) {
            value = hoteli_random_aside();
        } else {
            t->random_busy = 1;
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            value = hoteli_random_step(t->random);
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            t->random_busy = 0;
        }
    } while (HOTELI_UNLIKELY(!value));
    return value;
}

/* ==== [SECTION 39] ARENA =================================================================== */

static inline hoteli_chunk *hoteli_chunk_at(uint32_t index) {
    return (hoteli_chunk *)(void *)(hoteli_g.arena +
                                    (size_t)(index - 1) * HATCHET_OTEL_CHUNK_BYTES);
}
static inline hoteli_record *hoteli_record_at(uint32_t index) {
    return (hoteli_record *)(void *)hoteli_chunk_at(index);
}
static inline hoteli_block_head *hoteli_block_at(uint32_t index) {
    return (hoteli_block_head *)(void *)hoteli_chunk_at(index);
}
static inline hoteli_shard *hoteli_shard_of(uint32_t index) {
    return &hoteli_g.shards[((index - 1) >> hoteli_g.shard_shift) & hoteli_g.shard_mask];
}

static uint32_t hoteli_pop(hoteli_shard *shard) {
    uintptr_t head = hoteli_load(&shard->free);
    for (;;) {
        uint32_t index = (uint32_t)(head & HOTELI_INDEX_MASK);
        uint32_t next;
        if (HOTELI_UNLIKELY(!index)) return 0;
        next = hoteli_link_get(&hoteli_chunk_at(index)->next);
        if (hoteli_cas(&shard->free, &head, head - index + next + HOTELI_ONE)) {
            if (next) {
                /* Freed by the exporter's core: fetch it before the next span needs it. */
                const uint8_t *cold = (const uint8_t *)hoteli_chunk_at(next);
                __builtin_prefetch(cold, 1);
                __builtin_prefetch(cold + HOTELI_LINE, 1);
                __builtin_prefetch(cold + 2 * HOTELI_LINE, 1);
                __builtin_prefetch(cold + 3 * HOTELI_LINE, 1);
            }
            return index;
        }
    }
}

/* All pops of a shard. The list itself counts them in half a word; the exporter carries that
   number on before it can come round. */
static uintptr_t hoteli_pops(const hoteli_shard *shard) {
    uintptr_t pops = hoteli_load(&shard->pops);
    uintptr_t now = hoteli_load(&shard->free) >> HOTELI_INDEX_BITS;
    return pops + ((now - pops) & HOTELI_INDEX_MASK);
}

/* Gives back a list that is linked by next, last being its end. */
static void hoteli_push(hoteli_shard *shard, uint32_t first, uint32_t last) {
    uintptr_t head = hoteli_load(&shard->free);
    do {
        hoteli_link_set(&hoteli_chunk_at(last)->next, (uint32_t)(head & HOTELI_INDEX_MASK));
    } while (!hoteli_cas(&shard->free, &head, (head & ~HOTELI_INDEX_MASK) | first));
}

/* A chunk from the thread's shard, else from any. 0: the arena is full. */
static inline uint32_t hoteli_take(const hoteli_thread *t) {
    uint32_t i, index = hoteli_pop(&hoteli_g.shards[t->shard & hoteli_g.shard_mask]);
    for (i = 1; HOTELI_UNLIKELY(!index) && i <= hoteli_g.shard_mask; i++)
        index = hoteli_pop(&hoteli_g.shards[(t->shard + i) & hoteli_g.shard_mask]);
    return index;
}

/* The same for what does not begin a span: pops less these are the spans. */
static uint32_t hoteli_take_extra(void) {
    uint32_t index = hoteli_take(&hoteli_t);
    if (index) hoteli_count(&hoteli_shard_of(index)->extra, 1);
    return index;
}

static void hoteli_free_chunk(uint32_t index) {
    __atomic_store_n(&hoteli_chunk_at(index)->kind, (uint8_t)HOTELI_FREE, __ATOMIC_RELAXED);
    hoteli_push(hoteli_shard_of(index), index, index);
}

static void hoteli_free_chain(uint32_t index) {
    while (index) {
        uint32_t next = hoteli_link_get(&hoteli_chunk_at(index)->next);
        hoteli_free_chunk(index);
        index = next;
    }
}

/* count further chunks, linked; all or none. */
static uint32_t hoteli_take_chain(uint32_t count) {
    uint32_t first = 0;
    while (count--) {
        uint32_t index = hoteli_take_extra();
        hoteli_chunk *chunk;
        if (!index) {
            hoteli_free_chain(first);
            return 0;
        }
        chunk = hoteli_chunk_at(index);
        __atomic_store_n(&chunk->kind, (uint8_t)HOTELI_MORE, __ATOMIC_RELAXED);
        chunk->used = (uint16_t)HOTELI_MORE_ROOM;
        hoteli_link_set(&chunk->next, first);
        first = index;
    }
    return first;
}

static void hoteli_cursor_more(hoteli_cursor *c) {
    hoteli_chunk *chunk = hoteli_chunk_at(c->next);
    c->at = (uint8_t *)chunk + sizeof *chunk;
    c->end = c->at + HOTELI_MORE_ROOM;
    c->next = hoteli_link_get(&chunk->next);
}

static hoteli_cursor hoteli_cursor_flat(const uint8_t *bytes, size_t size) {
    hoteli_cursor c;
    c.at = (uint8_t *)(uintptr_t)bytes;
    c.end = c.at + size;
    c.next = 0;
    return c;
}

/* Writes across chunks; the caller has made sure of the space. */
static void hoteli_write(hoteli_cursor *c, const void *bytes, size_t size) {
    const uint8_t *from = (const uint8_t *)bytes;
    if (HOTELI_UNLIKELY(!size)) return; /* bytes may be NULL then */
    for (;;) {
        size_t room = (size_t)(c->end - c->at);
        if (HOTELI_LIKELY(size <= room)) break;
        memcpy(c->at, from, room);
        from += room;
        size -= room;
        hoteli_cursor_more(c);
    }
    memcpy(c->at, from, size);
    c->at += size;
}

static inline void hoteli_write_byte(hoteli_cursor *c, uint8_t byte) {
    if (HOTELI_UNLIKELY(c->at == c->end)) hoteli_cursor_more(c);
    *c->at++ = byte;
}

/* Reads, or skips with to NULL. */
static void hoteli_read(hoteli_cursor *c, void *to, size_t size) {
    uint8_t *out = (uint8_t *)to;
    while (size) {
        size_t room = (size_t)(c->end - c->at), n;
        if (!room) {
            hoteli_cursor_more(c);
            continue;
        }
        n = HOTELI_MIN(room, size);
        if (out) {
            memcpy(out, c->at, n);
            out += n;
        }
        c->at += n;
        size -= n;
    }
}

static uint8_t hoteli_read_byte(hoteli_cursor *c) {
    if (c->at == c->end) hoteli_cursor_more(c);
    return *c->at++;
}

static uint64_t hoteli_read_varint(hoteli_cursor *c) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = hoteli_read_byte(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) && shift < 64);
    return value;
}

static void hoteli_copy(hoteli_cursor *to, hoteli_cursor *from, size_t size) {
    uint8_t piece[64];
    while (size) {
        size_t n = HOTELI_MIN(size, sizeof piece);
        hoteli_read(from, piece, n);
        hoteli_write(to, piece, n);
        size -= n;
    }
}

/* Compares size bytes of two places; both are copies. */
static bool hoteli_same(hoteli_cursor a, hoteli_cursor b, size_t size) {
    while (size) {
        size_t n;
        if (a.at == a.end) hoteli_cursor_more(&a);
        if (b.at == b.end) hoteli_cursor_more(&b);
        n = HOTELI_MIN((size_t)(a.end - a.at), (size_t)(b.end - b.at));
        n = HOTELI_MIN(n, size);
        if (memcmp(a.at, b.at, n) != 0) return false;
        a.at += n;
        b.at += n;
        size -= n;
    }
    return true;
}

/* Blocks: made once, then only read, counted. */

static hoteli_cursor hoteli_block_cursor(uint32_t index) {
    hoteli_block_head *head = hoteli_block_at(index);
    hoteli_cursor c;
    c.at = (uint8_t *)head + sizeof *head;
    c.end = c.at + HOTELI_BLOCK_ROOM;
    c.next = head->more;
    return c;
}

/* Space for a block of that size, one reference on it, to be filled through the cursor and then
   published by hoteli_block_ready. Index 0: no space. */
static hotel_block hoteli_block_new(size_t size, hoteli_cursor *out) {
    hotel_block block = {0, 0};
    hoteli_block_head *head;
    uint32_t index;
    /* After hotel_release there is no arena. */
    if (!hoteli_g.arena || size > HOTELI_GET(hoteli_g.max_span_bytes)) return block;
    index = hoteli_take_extra();
    if (!index) return block;
    head = hoteli_block_at(index);
    head->more = 0;
    if (size > HOTELI_BLOCK_ROOM) {
        size_t rest = size - HOTELI_BLOCK_ROOM;
        rest = (rest + HOTELI_MORE_ROOM - 1) / HOTELI_MORE_ROOM;
        head->more = hoteli_take_chain((uint32_t)rest);
        if (!head->more) {
            hoteli_free_chunk(index);
            return block;
        }
    }
    head->size = (uint32_t)size;
    head->chunk.used = (uint16_t)HOTELI_MIN(size, (size_t)HOTELI_BLOCK_ROOM);
    head->num_keys = 0;
    *out = hoteli_block_cursor(index);
    block.index = index;
    return block;
}

static inline uintptr_t hoteli_next_generation(uintptr_t state) {
    uintptr_t generation = (state >> HOTELI_GENERATION_SHIFT) + 1;
    return (generation & HOTELI_GENERATION_MASK) << HOTELI_GENERATION_SHIFT;
}

static void hoteli_block_ready(hotel_block *block) {
    hoteli_chunk *chunk = hoteli_chunk_at(block->index);
    uintptr_t state = hoteli_next_generation(hoteli_load_relaxed(&chunk->state));
    block->generation = (uint32_t)(state >> HOTELI_GENERATION_SHIFT);
    __atomic_store_n(&chunk->kind, (uint8_t)HOTELI_BLOCK, __ATOMIC_RELAXED);
    hoteli_store(&chunk->state, state | HOTELI_ENDED | 1);
}

/* Takes a reference if the block is still the one meant. */
static bool hoteli_block_hold(hotel_block block) {
    hoteli_word *word;
    uintptr_t state;
    if (!block.index || block.index > hoteli_g.num_chunks) return false;
    word = &hoteli_chunk_at(block.index)->state;
    state = hoteli_load(word);
    do {
        uintptr_t count = state & HOTELI_COUNT;
        if ((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != block.generation || !count ||
            count == HOTELI_COUNT ||
            __atomic_load_n(&hoteli_chunk_at(block.index)->kind, __ATOMIC_RELAXED) != HOTELI_BLOCK)
            return false;
    } while (!hoteli_cas(word, &state, state + 1));
    return true;
}

/* Gives a reference back; one too many, or to a block that is gone, changes nothing. */
static bool hoteli_block_drop(hotel_block block) {
    hoteli_chunk *chunk;
    uintptr_t state;
    if (!block.index || block.index > hoteli_g.num_chunks) return false;
    chunk = hoteli_chunk_at(block.index);
    state = hoteli_load(&chunk->state);
    do {
        if ((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != block.generation ||
            !(state & HOTELI_COUNT) || !(state & HOTELI_ENDED))
            return false;
    } while (!hoteli_cas(&chunk->state, &state, state - 1));
    if ((state & HOTELI_COUNT) == 1) {
        hoteli_free_chain(hoteli_block_at(block.index)->more);
        hoteli_free_chunk(block.index);
    }
    return true;
}

/* The task that a block of values belongs to is over. */
static bool hoteli_block_finished(hotel_block block) {
    uintptr_t state = hoteli_load(&hoteli_chunk_at(block.index)->state);
    return (uint32_t)(state >> HOTELI_GENERATION_SHIFT) != block.generation ||
           (state & HOTELI_OWNED) != 0;
}

static HOTELI_COLD void hoteli_stale(void) {
    hoteli_count(&hoteli_g.stale, 1);
    hoteli_log_later(HOTEL_LOG_ID_STALE_REFERENCE);
}

/* Takes a reference for a handle that is to be kept; what is gone by now reads as empty. */
static void hoteli_keep(hotel_block *block) {
    if (!block->index || hoteli_block_hold(*block)) return;
    memset(block, 0, sizeof *block);
    hoteli_stale();
}

static void hoteli_give_back(hotel_block *block) {
    if (block->index && !hoteli_block_drop(*block)) hoteli_stale();
    memset(block, 0, sizeof *block);
}

/* ==== [SECTION 40] WRITING OTLP VALUES ===================================================== */

/* Payload entries use the tags of the Span message, plus two of our own with wire types that
   never go out. */
enum {
    HOTELI_TAG_DEAD = 0x02,  /* to be skipped */
    HOTELI_TAG_NAME = 0x2a,
    HOTELI_TAG_ATTRIBUTE = 0x4a,
    HOTELI_TAG_EVENT = 0x5a,
    HOTELI_TAG_TICK_EVENT = 0x5b, /* an event whose time is in ticks */
    HOTELI_TAG_LINK = 0x6a,
    HOTELI_TAG_STATUS = 0x7a
};

static inline size_t hoteli_varint_size(uint64_t value) {
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;
}

static inline size_t hoteli_field_size(size_t size) {
    return 1 + hoteli_varint_size(size) + size;
}

static void hoteli_write_varint(hoteli_cursor *c, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (uint8_t)value;
    hoteli_write(c, bytes, n);
}

/* Tag and length, of a field whose bytes follow. */
static inline void hoteli_write_head(hoteli_cursor *c, uint8_t tag, size_t size) {
    if (HOTELI_LIKELY(size < 0x80 && c->end - c->at >= 2)) {
        c->at[0] = tag;
        c->at[1] = (uint8_t)size;
        c->at += 2;
        return;
    }
    hoteli_write_byte(c, tag);
    hoteli_write_varint(c, size);
}

static inline void hoteli_write_field(hoteli_cursor *c, uint8_t tag, const void *bytes,
                                      size_t size) {
    hoteli_write_head(c, tag, size);
    hoteli_write(c, bytes, size);
}

static void hoteli_write_fixed64(hoteli_cursor *c, uint64_t value) {
    uint8_t bytes[8];
    int i;
    for (i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    hoteli_write(c, bytes, 8);
}

static void hoteli_write_fixed32(hoteli_cursor *c, uint32_t value) {
    uint8_t bytes[4];
    int i;
    for (i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    hoteli_write(c, bytes, 4);
}

/* Text where the wire asks for UTF-8: names, keys, descriptions. Bad bytes become U+FFFD. */
static size_t hoteli_text_bytes(const char *text, size_t size) {
    return hoteli_utf8_valid(text, size) ? size : hoteli_utf8_repaired_size(text, size);
}

static HOTELI_COLD void hoteli_repaired(void) {
    hoteli_count(&hoteli_g.repaired, 1);
    hoteli_log_later(HOTEL_LOG_ID_INVALID_UTF8);
}

/* The next piece of a text as it is on the wire: a character, or what stands for a bad byte. */
static size_t hoteli_text_piece(const char **text, size_t *left, const char **piece) {
    size_t n = hoteli_utf8_sequence(*text, *left);
    *piece = n ? *text : "\xef\xbf\xbd";
    *text += n ? n : 1;
    *left -= n ? n : 1;
    return n ? n : 3;
}

static void hoteli_write_text(hoteli_cursor *c, uint8_t tag, const char *text, size_t size) {
    if (hoteli_utf8_valid(text, size)) {
        hoteli_write_field(c, tag, text, size);
        return;
    }
    hoteli_repaired();
    hoteli_write_head(c, tag, hoteli_utf8_repaired_size(text, size));
    while (size) {
        const char *piece;
        size_t n = hoteli_text_piece(&text, &size, &piece);
        hoteli_write(c, piece, n);
    }
}

/* What a value really is: pointers that are NULL make it empty. */
static inline hotel_type hoteli_type(const hotel_value *v) {
    bool scalar = v->type >= HOTEL_TYPE_BOOL && v->type <= HOTEL_TYPE_DOUBLE;
    return scalar || v->as.bytes ? v->type : HOTEL_TYPE_EMPTY;
}

/* Length after the limit: code points of a string, bytes of a byte string (SP-35). */
static inline size_t hoteli_limited(const hotel_value *v, const hotel_limits *l) {
    uint32_t limit = HOTELI_GET(l->attribute_value_length);
    if (HOTELI_LIKELY(v->size <= limit)) return v->size;
    return v->type == HOTEL_TYPE_STRING ? hoteli_utf8_prefix(v->as.string, v->size, limit) : limit;
}

/* One element of a homogeneous array as a value of its own. */
static hotel_value hoteli_element(const hotel_value *v, uint32_t i) {
    switch (v->type) {
    case HOTEL_TYPE_STRINGS: return hotel_of_str(v->as.strings[i]);
    case HOTEL_TYPE_BOOLS: return hotel_of_bool(v->as.bools[i]);
    case HOTEL_TYPE_INTS: return hotel_of_int(v->as.ints[i]);
    case HOTEL_TYPE_DOUBLES: return hotel_of_double(v->as.doubles[i]);
    default: return v->as.values[i]; /* HOTEL_TYPE_ARRAY */
    }
}

/* Compares two keys as they will be on the wire: those that are not UTF-8 are repaired there, and
   different ones may become equal. */
static int hoteli_text_order(const char *a, size_t a_size, const char *b, size_t b_size) {
    while (a_size && b_size) {
        const char *x, *y;
        size_t m = hoteli_text_piece(&a, &a_size, &x), n = hoteli_text_piece(&b, &b_size, &y);
        int order = memcmp(x, y, HOTELI_MIN(m, n));
        if (order) return order;
    }
    return (a_size > 0) - (b_size > 0);
}

static bool hoteli_same_text(const char *a, size_t a_size, const char *b, size_t b_size) {
    if (!a || !b) return false;
    if (a_size == b_size && memcmp(a, b, a_size) == 0) return true;
    if (hoteli_utf8_valid(a, a_size) && hoteli_utf8_valid(b, b_size)) return false;
    return hoteli_text_order(a, a_size, b, b_size) == 0;
}

static bool hoteli_same_key(const hotel_attr *a, const hotel_attr *b) {
    return hoteli_same_text(a->key, a->key_size, b->key, b->key_size);
}

static inline unsigned hoteli_hash_words(uint64_t a, uint64_t b, size_t size) {
    return (unsigned)(((a ^ hoteli_rotate(b, 29) ^ size) * 0x9e3779b97f4a7c15u) >> 48);
}

/* For keys of ASCII; all others share one value, so that those which repair makes equal meet. */
#define HOTELI_OTHER_KEY 0xffffu

static inline unsigned hoteli_ascii_hash(const uint8_t *key, size_t size) {
    uint64_t a = 0, b = 0;
    if (size >= 8) {
        memcpy(&a, key, 8);
        memcpy(&b, key + size - 8, 8);
    } else if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, key, 4);
        memcpy(&high, key + size - 4, 4);
        a = low;
        b = high;
    } else if (size) {
        a = key[0];
        b = (uint64_t)key[size / 2] << 8 | key[size - 1];
    }
    return hoteli_hash_words(a, b, size);
}

static unsigned hoteli_key_hash(const uint8_t *key, size_t size) {
    return hoteli_is_ascii(key, size) ? hoteli_ascii_hash(key, size) : HOTELI_OTHER_KEY;
}

/* The same of a key that may lie in several chunks. */
static unsigned hoteli_key_hash_at(hoteli_cursor key, size_t size) {
    uint8_t piece[64], ends[16];
    uint64_t a, b;
    size_t left = size, n;
    hoteli_cursor c = key;
    for (; left; left -= n) {
        n = HOTELI_MIN(left, sizeof piece);
        hoteli_read(&c, piece, n);
        if (!hoteli_is_ascii(piece, n)) return HOTELI_OTHER_KEY;
    }
    if (size < 16) {
        hoteli_read(&key, ends, size);
        return hoteli_ascii_hash(ends, size);
    }
    hoteli_read(&key, ends, 8);
    hoteli_read(&key, NULL, size - 16);
    hoteli_read(&key, ends + 8, 8);
    memcpy(&a, ends, 8);
    memcpy(&b, ends + 8, 8);
    return hoteli_hash_words(a, b, size);
}

static inline bool hoteli_filter_has(const hoteli_filter *f, unsigned hash) {
    unsigned other = hash >> 8;
    hash &= 255;
    return (f->bits[hash >> 5] >> (hash & 31)) & (f->bits[other >> 5] >> (other & 31)) & 1u;
}
static inline void hoteli_filter_add(hoteli_filter *f, unsigned hash) {
    unsigned other = hash >> 8;
    hash &= 255;
    f->bits[hash >> 5] |= (uint32_t)1 << (hash & 31);
    f->bits[other >> 5] |= (uint32_t)1 << (other & 31);
}

/* Finding repeated keys takes time by the square: longer lists are cut. */
#define HOTELI_MAX_ENTRIES 1024u

/* Not NULL, not empty (SP-30), and of a type that there is. */
static inline bool hoteli_attr_sound(const hotel_attr *a) {
    return a->key && a->key_size && a->value.type <= HOTEL_TYPE_MAP;
}

/* Goes over a list of attributes so that each key comes once, with its last value (SP-33). */
typedef struct hoteli_unique {
    const hotel_attr *list;
    size_t count;
    size_t at;
    bool repeats; /* two keys may be the same: each is compared with all others */
} hoteli_unique;

static void hoteli_unique_start(hoteli_unique *u, const hotel_attr *list, size_t count) {
    hoteli_filter seen;
    size_t i;
    u->list = list;
    u->count = list ? HOTELI_MIN(count, (size_t)HOTELI_MAX_ENTRIES) : 0;
    u->at = 0;
    u->repeats = false;
    if (u->count < 2) return;
    if (count > HOTELI_MAX_ENTRIES) hoteli_log_later(HOTEL_LOG_ID_LIMIT_REACHED);
    memset(&seen, 0, sizeof seen);
    for (i = 0; i < u->count && !u->repeats; i++) {
        unsigned hash;
        if (!hoteli_attr_sound(&list[i])) continue;
        hash = hoteli_key_hash((const uint8_t *)list[i].key, list[i].key_size);
        u->repeats = hoteli_filter_has(&seen, hash);
        hoteli_filter_add(&seen, hash);
    }
}

/* The last attribute with the key of list[first]; NULL if that key came before. */
static const hotel_attr *hoteli_last_of(const hotel_attr *list, size_t count, size_t first) {
    size_t i;
    for (i = 0; i < first; i++)
        if (hoteli_attr_sound(&list[i]) && hoteli_same_key(&list[i], &list[first])) return NULL;
    for (i = count; --i > first;)
        if (hoteli_attr_sound(&list[i]) && hoteli_same_key(&list[i], &list[first])) break;
    return &list[i];
}

static const hotel_attr *hoteli_unique_next(hoteli_unique *u) {
    while (u->at < u->count) {
        const hotel_attr *a = &u->list[u->at++];
        if (!hoteli_attr_sound(a)) {
            hoteli_log_later(HOTEL_LOG_ID_BAD_ARGUMENT);
            continue;
        }
        if (HOTELI_UNLIKELY(u->repeats)) a = hoteli_last_of(u->list, u->count, u->at - 1);
        if (a) return a;
    }
    return NULL;
}

/* What limits values: those of the span's provider, or none for resources, scopes and what a task
   shares (SP-40). */
static const hotel_limits hoteli_unlimited = {
    UINT32_MAX, UINT32_MAX, 200, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};

static size_t hoteli_value_size(const hotel_value *v, const hotel_limits *l, uint32_t depth);
static size_t hoteli_attr_size(const hotel_attr *a, const hotel_limits *l, uint32_t depth);
static void hoteli_write_attr(hoteli_cursor *c, uint8_t tag, const hotel_attr *a,
                              const hotel_limits *l, uint32_t depth);

/* The largest that a span may be. Measuring ends there, so that values which contain themselves
   many times over take no time; what is larger is never written. */
#define HOTELI_MAX_VALUE ((size_t)64 << 20)

/* Bytes of an AnyValue. depth counts containers from 1 (SP-36). */
static HOTELI_COLD size_t hoteli_container_size(const hotel_value *v, const hotel_limits *l,
                                                uint32_t depth) {
    size_t size = 0;
    uint32_t i;
    if (depth > HOTELI_GET(l->attribute_value_depth)) return 0;
    if (v->type == HOTEL_TYPE_MAP) {
        hoteli_unique u;
        const hotel_attr *a;
        hoteli_unique_start(&u, v->as.entries, v->size);
        while (size <= HOTELI_MAX_VALUE && (a = hoteli_unique_next(&u)) != NULL)
            size += hoteli_field_size(hoteli_attr_size(a, l, depth + 1));
    } else {
        for (i = 0; size <= HOTELI_MAX_VALUE && i < v->size; i++) {
            hotel_value e = hoteli_element(v, i);
            size += hoteli_field_size(hoteli_value_size(&e, l, depth + 1));
        }
    }
    return hoteli_field_size(size);
}

static size_t hoteli_value_size(const hotel_value *v, const hotel_limits *l, uint32_t depth) {
    switch (hoteli_type(v)) {
    case HOTEL_TYPE_STRING:
    case HOTEL_TYPE_BYTES: return hoteli_field_size(HOTELI_MIN(hoteli_limited(v, l),
                                                               HOTELI_MAX_VALUE));
    case HOTEL_TYPE_INT: return 1 + hoteli_varint_size((uint64_t)v->as.integer);
    case HOTEL_TYPE_BOOL: return 2;
    case HOTEL_TYPE_DOUBLE: return 9;
    case HOTEL_TYPE_EMPTY: return 0;
    default: return v->type <= HOTEL_TYPE_MAP ? hoteli_container_size(v, l, depth) : 0;
    }
}

/* Bytes of a KeyValue without tag and length. */
static size_t hoteli_attr_size(const hotel_attr *a, const hotel_limits *l, uint32_t depth) {
    return hoteli_field_size(hoteli_text_bytes(a->key, a->key_size)) +
           hoteli_field_size(hoteli_value_size(&a->value, l, depth));
}

static void hoteli_write_value(hoteli_cursor *c, const hotel_value *v, const hotel_limits *l,
                               uint32_t depth);

static HOTELI_COLD void hoteli_write_container(hoteli_cursor *c, const hotel_value *v,
                                               const hotel_limits *l, uint32_t depth) {
    size_t whole = hoteli_container_size(v, l, depth), size;
    uint32_t i;
    if (!whole) return;
    /* whole is tag, length and bytes; the length's own size follows from it */
    size = whole - 2;
    while (hoteli_field_size(size) > whole) size--;
    hoteli_write_head(c, v->type == HOTEL_TYPE_MAP ? 0x32 : 0x2a, size);
    if (v->type == HOTEL_TYPE_MAP) {
        hoteli_unique u;
        const hotel_attr *a;
        hoteli_unique_start(&u, v->as.entries, v->size);
        while ((a = hoteli_unique_next(&u)) != NULL) hoteli_write_attr(c, 0x0a, a, l, depth + 1);
        return;
    }
    for (i = 0; i < v->size; i++) {
        hotel_value e = hoteli_element(v, i);
        hoteli_write_head(c, 0x0a, hoteli_value_size(&e, l, depth + 1));
        hoteli_write_value(c, &e, l, depth + 1);
    }
}

static void hoteli_write_value(hoteli_cursor *c, const hotel_value *v, const hotel_limits *l,
                               uint32_t depth) {
    switch (hoteli_type(v)) {
    case HOTEL_TYPE_STRING: {
        /* A string value that is not UTF-8 goes out as bytes (SP-41). */
        size_t size = hoteli_limited(v, l);
        bool valid = hoteli_utf8_valid(v->as.string, size);
        if (!valid) hoteli_repaired();
        hoteli_write_field(c, valid ? 0x0a : 0x3a, v->as.string, size);
        break;
    }
    case HOTEL_TYPE_BYTES: hoteli_write_field(c, 0x3a, v->as.bytes, hoteli_limited(v, l)); break;
    case HOTEL_TYPE_INT:
        hoteli_write_byte(c, 0x18);
        hoteli_write_varint(c, (uint64_t)v->as.integer);
        break;
    case HOTEL_TYPE_BOOL:
        hoteli_write_byte(c, 0x10);
        hoteli_write_byte(c, v->as.boolean ? 1 : 0);
        break;
    case HOTEL_TYPE_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &v->as.real, 8);
        hoteli_write_byte(c, 0x21);
        hoteli_write_fixed64(c, bits);
        break;
    }
    case HOTEL_TYPE_EMPTY: break;
    default:
        if (v->type <= HOTEL_TYPE_MAP) hoteli_write_container(c, v, l, depth);
        break;
    }
}

static void hoteli_write_attr(hoteli_cursor *c, uint8_t tag, const hotel_attr *a,
                              const hotel_limits *l, uint32_t depth) {
    size_t value = hoteli_value_size(&a->value, l, depth);
    size_t key = hoteli_text_bytes(a->key, a->key_size);
    hoteli_write_head(c, tag, hoteli_field_size(key) + hoteli_field_size(value));
    hoteli_write_text(c, 0x0a, a->key, a->key_size);
    hoteli_write_head(c, 0x12, value);
    hoteli_write_value(c, &a->value, l, depth);
}

/* A list of attributes as fields with that tag; out NULL only measures. limit counts unique
   keys, what is over it, cut off or too large is added to *dropped. */
static size_t hoteli_write_attrs(hoteli_cursor *out, uint8_t tag, const hotel_attr *list,
                                 size_t count, const hotel_limits *l, uint32_t limit,
                                 uint32_t *dropped) {
    hoteli_unique u;
    const hotel_attr *a;
    size_t size = 0, n;
    uint32_t kept = 0;
    hoteli_unique_start(&u, list, count);
    if (list && count > u.count) *dropped += hotel_size32(count - u.count);
    while ((a = hoteli_unique_next(&u)) != NULL) {
        n = kept < limit ? hoteli_field_size(hoteli_attr_size(a, l, 1)) : 0;
        if (kept >= limit || n > HOTELI_MAX_VALUE - size) {
            ++*dropped;
            continue;
        }
        kept++;
        size += n;
        if (out) hoteli_write_attr(out, tag, a, l, 1);
    }
    return size;
}

/* The IDs of a task's run, behind the attributes in its block: events and log lines need them,
   and the attributes may leave them out. */
#define HOTELI_ID_SIZE 64u
typedef struct hoteli_run_ids {
    uint8_t workflow_run_size; /* 0: not known, or longer than anything the engine gives */
    uint8_t step_run_size;
    char workflow_run[HOTELI_ID_SIZE];
    char step_run[HOTELI_ID_SIZE];
} hoteli_run_ids;

static size_t hoteli_block_measure(const hotel_attr *list, size_t count) {
    const hotel_limits *l = &hoteli_g.providers[0].limits;
    uint32_t dropped = 0;
    return hoteli_write_attrs(NULL, 0, list, count, l, UINT32_MAX, &dropped);
}

static bool hoteli_block_fits(const hotel_attr *list, size_t count) {
    return hoteli_block_measure(list, count) + sizeof(hoteli_run_ids) <=
           HOTELI_GET(hoteli_g.max_span_bytes);
}

/* A block of up to HOTELI_BLOCK_KEYS attributes, encoded as they stand in a span, and the IDs of
   the run that they are of. */
static hotel_block hoteli_block_of_attrs(const hotel_attr *list, size_t count,
                                         const hoteli_run_ids *ids) {
    uint32_t dropped = 0;
    hoteli_cursor c;
    const hotel_limits *l = &hoteli_g.providers[0].limits;
    size_t i, size = hoteli_block_measure(list, count);
    hotel_block block = {0, 0};
    hoteli_block_head *head;
    if (!size || count > HOTELI_BLOCK_KEYS) return block;
    block = hoteli_block_new(size + sizeof *ids, &c);
    if (!block.index) {
        hoteli_count(&hoteli_g.limited, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return block;
    }
    (void)hoteli_write_attrs(&c, HOTELI_TAG_ATTRIBUTE, list, count, l, UINT32_MAX, &dropped);
    hoteli_write(&c, ids, sizeof *ids);
    head = hoteli_block_at(block.index);
    head->size = (uint32_t)size;
    for (i = 0; i < count; i++)
        head->keys[i] = (uint16_t)hoteli_key_hash((const uint8_t *)list[i].key, list[i].key_size);
    head->num_keys = (uint16_t)count;
    hoteli_block_ready(&block);
    return block;
}

/* The IDs in a task's block; none when the task is over. */
static bool hoteli_block_ids(hotel_block block, hoteli_run_ids *out) {
    hoteli_cursor c;
    bool found;
    memset(out, 0, sizeof *out);
    if (!hoteli_block_hold(block)) return false;
    found = !hoteli_block_finished(block) && hoteli_block_at(block.index)->num_keys;
    if (found) {
        c = hoteli_block_cursor(block.index);
        hoteli_read(&c, NULL, hoteli_block_at(block.index)->size);
        hoteli_read(&c, out, sizeof *out);
    }
    (void)hoteli_block_drop(block);
    return found;
}

/* ==== [SECTION 41] INSIDE A SPAN =========================================================== */

static HOTELI_COLD void hoteli_bad_argument(void) {
    hoteli_count(&hoteli_g.bad_arguments, 1);
    hoteli_log_later(HOTEL_LOG_ID_BAD_ARGUMENT);
}

/* Counts a call with attributes that are left out (SP-30). */
static void hoteli_check_attrs(const hotel_attr *list, size_t count) {
    size_t i;
    for (i = 0; list && i < count && hoteli_attr_sound(&list[i]); i++) continue;
    if (list && i < count) hoteli_bad_argument();
}

/* A dropped count may be raised by the owner and by threads beside it. */
static HOTELI_COLD void hoteli_drop(uint32_t *count, hotel_log_id why) {
    (void)__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
    hoteli_count(&hoteli_g.limited, 1);
    hoteli_log_later(why);
}

static inline uint8_t *hoteli_payload(uint32_t index, const hoteli_writer *w) {
    return (uint8_t *)hoteli_chunk_at(index) +
           (w->owner && index == w->index ? sizeof(hoteli_record) : sizeof(hoteli_chunk));
}

/* Sets the writer on a chunk of which so many bytes are taken. */
static inline void hoteli_writer_on(hoteli_writer *w, uint32_t index, uint32_t used) {
    w->tail = index;
    w->at = hoteli_payload(index, w) + used;
    w->end = (uint8_t *)hoteli_chunk_at(index) + HATCHET_OTEL_CHUNK_BYTES;
}

/* A span ends at max_span_bytes, even where its last chunk goes on. */
static inline void hoteli_writer_bound(hoteli_writer *w) {
    size_t most = HOTELI_GET(hoteli_g.max_span_bytes), size = w->record->size;
    size_t left = most > size ? most - size : 0;
    if (left < (size_t)(w->end - w->at)) w->end = w->at + left;
}

/* As the owner, at the end of the chain. */
static inline void hoteli_writer_own(hoteli_writer *w, hoteli_record *record, uint32_t index) {
    w->record = record;
    w->index = index;
    w->owner = true;
    hoteli_writer_on(w, record->tail, hoteli_chunk_at(record->tail)->used);
    if (HOTELI_UNLIKELY(record->tail != index)) hoteli_writer_bound(w);
}

/* What is taken of the chunk being filled. */
static inline void hoteli_writer_used(hoteli_writer *w) {
    hoteli_chunk_at(w->tail)->used = (uint16_t)(w->at - hoteli_payload(w->tail, w));
}

/* Only for the owner: where the next one goes on. */
static inline void hoteli_writer_save(hoteli_writer *w) {
    w->record->tail = w->tail;
    hoteli_writer_used(w);
}

/* Enters the span that the handle means, if it records still. */
static inline bool hoteli_enter(const hotel_span *span, hoteli_writer *w) {
    hoteli_record *record;
    uintptr_t state;
    bool owner;
    if (!span || !span->record || span->epoch != hoteli_epoch() ||
        HOTELI_UNLIKELY(span->record > hoteli_g.num_chunks))
        return false;
    record = hoteli_record_at(span->record);
    state = hoteli_load_relaxed(&record->chunk.state);
    do {
        if (HOTELI_UNLIKELY((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != span->generation ||
                            (state & HOTELI_ENDED) || (state & HOTELI_COUNT) == HOTELI_COUNT))
            return false;
        owner = !(state & HOTELI_OWNED);
    } while (!hoteli_cas(&record->chunk.state, &state, (state + 1) | HOTELI_OWNED));
    if (HOTELI_LIKELY(owner)) {
        hoteli_writer_own(w, record, span->record);
    } else {
        w->record = record;
        w->index = span->record;
        w->owner = false;
        w->first = w->tail = w->size = 0;
        w->at = w->end = NULL;
    }
    return true;
}

static uint32_t *hoteli_link_of(hoteli_writer *w) {
    if (w->owner && w->tail == w->index) return &w->record->more;
    return &hoteli_chunk_at(w->tail)->next;
}

/* Moves the end of the chain size bytes on, into chunks that are linked already. */
static void hoteli_advance(hoteli_writer *w, size_t size) {
    while (size > (size_t)(w->end - w->at)) {
        size -= (size_t)(w->end - w->at);
        w->at = w->end;
        hoteli_writer_used(w);
        hoteli_writer_on(w, hoteli_link_get(hoteli_link_of(w)), 0);
    }
    w->at += size;
}

/* Links further chunks so that size more bytes fit. Beside the owner the first chunk begins with
   its place on the side list. */
static HOTELI_COLD bool hoteli_grow(hoteli_writer *w, size_t size) {
    size_t room = (size_t)(w->end - w->at), count;
    uint32_t chain, taken = w->owner ? w->record->size : w->size;
    size_t most = HOTELI_GET(hoteli_g.max_span_bytes);
    if (size > most || taken + size > most) return false;
    if (!w->tail) size += 8;
    count = (size - room + HOTELI_MORE_ROOM - 1) / HOTELI_MORE_ROOM;
    chain = hoteli_take_chain((uint32_t)count);
    if (!chain) return false;
    if (w->tail) {
        hoteli_link_set(hoteli_link_of(w), chain);
    } else {
        w->first = chain;
        hoteli_writer_on(w, chain, 8);
    }
    return true;
}

/* Space for an entry at the end of the chain. */
static inline bool hoteli_append(hoteli_writer *w, size_t size, hoteli_cursor *c) {
    bool fits = size <= (size_t)(w->end - w->at);
    if (HOTELI_UNLIKELY(!fits) && !hoteli_grow(w, size)) return false;
    c->at = w->at;
    c->end = w->end;
    c->next = 0;
    if (HOTELI_LIKELY(w->owner)) w->record->size += (uint32_t)size;
    else w->size += (uint32_t)size;
    if (HOTELI_LIKELY(fits)) {
        w->at += size;
        return true;
    }
    c->next = hoteli_link_get(hoteli_link_of(w));
    hoteli_advance(w, size);
    if (w->owner) hoteli_writer_bound(w);
    return true;
}

static hoteli_cursor hoteli_record_cursor(hoteli_record *record) {
    hoteli_cursor c;
    c.at = (uint8_t *)record + sizeof *record;
    c.end = c.at + HOTELI_RECORD_ROOM;
    c.next = record->more;
    return c;
}

/* An entry of the payload: where it begins, its tag, its size with tag and length. */
typedef struct hoteli_entry {
    hoteli_cursor start;
    hoteli_cursor body;
    uint8_t tag;
    size_t size;
    size_t body_size;
} hoteli_entry;

static void hoteli_entry_read(hoteli_cursor *c, hoteli_entry *e) {
    uint8_t byte;
    size_t head = 1;
    unsigned shift = 0;
    if (c->at == c->end) hoteli_cursor_more(c);
    e->start = *c;
    e->tag = hoteli_read_byte(c);
    e->body_size = 0;
    do {
        byte = hoteli_read_byte(c);
        e->body_size |= (size_t)(byte & 0x7f) << shift;
        shift += 7;
        head++;
    } while (byte & 0x80);
    e->body = *c;
    e->size = head + e->body_size;
    hoteli_read(c, NULL, e->body_size);
}

/* Is the key at this place what a text becomes that is not UTF-8? Then it is the longer one. */
static HOTELI_COLD bool hoteli_same_repaired(hoteli_cursor at, size_t size,
                                             const hoteli_cursor *key,
                                             size_t key_size) {
    const char *text = (const char *)key->at, *piece;
    if (size <= key_size || key_size > (size_t)(key->end - key->at)) return false;
    while (key_size) {
        size_t n = hoteli_text_piece(&text, &key_size, &piece);
        if (n > size || !hoteli_same(at, hoteli_cursor_flat((const uint8_t *)piece, n), n))
            return false;
        hoteli_read(&at, NULL, n);
        size -= n;
    }
    return size == 0;
}

/* Finds the entry with that tag, and for attributes that key (a place of key_size bytes). A key
   that is in several chunks is UTF-8 already. */
static HOTELI_COLD bool hoteli_find(hoteli_record *record, uint8_t tag, const hoteli_cursor *key,
                                    size_t key_size, hoteli_entry *e) {
    hoteli_cursor c = hoteli_record_cursor(record);
    size_t left = record->size;
    while (left) {
        hoteli_entry_read(&c, e);
        left -= e->size;
        if (e->tag != tag) continue;
        if (!key) return true;
        {
            hoteli_cursor at = e->body;
            size_t size;
            (void)hoteli_read_byte(&at);
            size = (size_t)hoteli_read_varint(&at);
            if (size == key_size && hoteli_same(at, *key, key_size)) return true;
            if (hoteli_same_repaired(at, size, key, key_size)) return true;
        }
    }
    return false;
}

static void hoteli_bury(hoteli_record *record, hoteli_entry *e) {
    *e->start.at = HOTELI_TAG_DEAD;
    record->dead += (uint32_t)e->size;
    record->flags |= HOTELI_HAS_DEAD;
}

/* Fills what is left of an overwritten entry: nothing, or a dead entry of 2 bytes or more. */
static void hoteli_fill(hoteli_record *record, hoteli_cursor c, size_t size) {
    if (!size) return;
    hoteli_write_byte(&c, HOTELI_TAG_DEAD);
    if (size <= 129) {
        hoteli_write_byte(&c, (uint8_t)(size - 2));
    } else {
        uint32_t n = (uint32_t)size - 5;
        uint8_t padded[4];
        padded[0] = (uint8_t)(n | 0x80);
        padded[1] = (uint8_t)((n >> 7) | 0x80);
        padded[2] = (uint8_t)((n >> 14) | 0x80);
        padded[3] = (uint8_t)((n >> 21) & 0x7f);
        hoteli_write(&c, padded, 4);
    }
    record->dead += (uint32_t)size;
    record->flags |= HOTELI_HAS_DEAD;
}

/* Moves the live entries together and gives the rest of the chain back. */
static HOTELI_COLD void hoteli_compact(hoteli_writer *w) {
    hoteli_record *record = w->record;
    hoteli_cursor from = hoteli_record_cursor(record), to = from;
    size_t left = record->size;
    uint32_t chain;
    record->size = 0;
    hoteli_writer_on(w, w->index, 0);
    while (left) {
        hoteli_entry e;
        hoteli_entry_read(&from, &e);
        left -= e.size;
        if (e.tag == HOTELI_TAG_DEAD) continue;
        hoteli_copy(&to, &e.start, e.size);
        hoteli_advance(w, e.size);
        record->size += (uint32_t)e.size;
    }
    record->dead = 0;
    record->flags = (uint8_t)(record->flags & ~HOTELI_HAS_DEAD);
    chain = hoteli_link_get(hoteli_link_of(w));
    hoteli_link_set(hoteli_link_of(w), 0);
    if (w->tail != w->index) hoteli_writer_bound(w);
    hoteli_free_chain(chain);
}

/* Space for an entry that replaces an old one: over it where that fits, else at the end. */
static HOTELI_COLD bool hoteli_replace(hoteli_writer *w, hoteli_entry *old, size_t size,
                                       hoteli_cursor *c) {
    hoteli_record *record = w->record;
    if (old->size == size || old->size >= size + 2) {
        hoteli_cursor rest = old->start;
        hoteli_read(&rest, NULL, size);
        hoteli_fill(record, rest, old->size - size);
        *c = old->start;
        return true;
    }
    if (!hoteli_append(w, size, c)) return false;
    hoteli_bury(record, old);
    return true;
}

/* The same in a span that may have to be compacted for it: when half of it is dead, or when there
   is no space otherwise. Where even that does not help the old entry stays. */
static HOTELI_COLD bool hoteli_replace_in(hoteli_writer *w, hoteli_entry *old, uint8_t tag,
                                          const hoteli_cursor *key, size_t key_size, size_t size,
                                          hoteli_cursor *c) {
    hoteli_record *record = w->record;
    bool half = record->more && record->dead > record->size / 2;
    if (!half && hoteli_replace(w, old, size, c)) return true;
    if (!record->dead) return false;
    hoteli_compact(w);
    return hoteli_find(record, tag, key, key_size, old) && hoteli_replace(w, old, size, c);
}

/* Space for an attribute's entry, in the place of an older one with its key; false: dropped. */
static bool hoteli_place_attribute(hoteli_writer *w, const hoteli_cursor *key, size_t key_size,
                                   unsigned hash, size_t size, hoteli_cursor *c) {
    hoteli_record *record = w->record;
    if (HOTELI_LIKELY(w->owner)) {
        hoteli_entry old;
        if (HOTELI_UNLIKELY(hoteli_filter_has(&record->filter, hash)) &&
            hoteli_find(record, HOTELI_TAG_ATTRIBUTE, key, key_size, &old)) {
            if (hoteli_replace_in(w, &old, HOTELI_TAG_ATTRIBUTE, key, key_size, size, c))
                return true;
            hoteli_drop(&record->dropped_attributes, HOTEL_LOG_ID_SPAN_TOO_LARGE);
            return false;
        }
        uint32_t limit = HOTELI_GET(hoteli_provider_of(record)->limits.attribute_count);
        if (HOTELI_UNLIKELY(record->num_attributes >= limit)) {
            hoteli_drop(&record->dropped_attributes, HOTEL_LOG_ID_LIMIT_REACHED);
            return false;
        }
    }
    if (HOTELI_UNLIKELY(!hoteli_append(w, size, c))) {
        hoteli_drop(&record->dropped_attributes, HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return false;
    }
    if (HOTELI_LIKELY(w->owner)) {
        record->num_attributes++;
        hoteli_filter_add(&record->filter, hash);
    }
    return true;
}

/* Copies a text in words and says whether it is all ASCII. */
static inline bool hoteli_copy_text(uint8_t *to, const void *text, size_t size) {
    const uint8_t *from = (const uint8_t *)text;
    uint64_t seen = 0, word;
    size_t i;
    if (size >= 8) {
        for (i = 0; i + 8 <= size; i += 8) {
            memcpy(&word, from + i, 8);
            memcpy(to + i, &word, 8);
            seen |= word;
        }
        memcpy(&word, from + size - 8, 8);
        memcpy(to + size - 8, &word, 8);
        return !((seen | word) & 0x8080808080808080u);
    }
    for (i = 0; i < size; i++) {
        to[i] = from[i];
        seen |= from[i];
    }
    return !(seen & 0x80u);
}

/* The common case, in one go: a scalar under a new key, all ASCII, everything short, space in the
   chunk. Writes what hoteli_write_attr would write, or nothing that counts. */
static inline bool hoteli_put_short(hoteli_writer *w, const hotel_attr *a, unsigned hash) {
    hoteli_record *r = w->record;
    size_t key = a->key_size, size = 0;
    uint8_t *at = w->at, *value;
    const hotel_limits *l = &hoteli_provider_of(r)->limits;
    if (a->value.type == HOTEL_TYPE_STRING) {
        size = a->value.size;
        if (HOTELI_UNLIKELY(!a->value.as.string)) return false;
    }
    if (HOTELI_UNLIKELY(!w->owner || key + size > 110 || (size_t)(w->end - at) < key + size + 20 ||
                        hoteli_filter_has(&r->filter, hash) ||
                        size > HOTELI_GET(l->attribute_value_length) ||
                        r->num_attributes >= HOTELI_GET(l->attribute_count)))
        return false;
    at[0] = HOTELI_TAG_ATTRIBUTE;
    at[2] = 0x0a;
    at[3] = (uint8_t)key;
    if (HOTELI_UNLIKELY(!hoteli_copy_text(at + 4, a->key, key))) return false;
    value = at + 4 + key; /* tag and length, then the AnyValue */
    value[0] = 0x12;
    switch (a->value.type) {
    case HOTEL_TYPE_STRING:
        value[1] = (uint8_t)(size + 2);
        value[2] = 0x0a;
        value[3] = (uint8_t)size;
        if (HOTELI_UNLIKELY(!hoteli_copy_text(value + 4, a->value.as.string, size))) return false;
        break;
    case HOTEL_TYPE_INT: {
        uint64_t n = (uint64_t)a->value.as.integer;
        uint8_t *digit = value + 3;
        value[2] = 0x18;
        for (; n >= 0x80; n >>= 7) *digit++ = (uint8_t)(n | 0x80);
        *digit = (uint8_t)n;
        value[1] = (uint8_t)(digit - value - 1);
        break;
    }
    case HOTEL_TYPE_BOOL:
        value[1] = 2;
        value[2] = 0x10;
        value[3] = a->value.as.boolean ? 1 : 0;
        break;
    default: return false;
    }
    size = 6 + key + value[1];
    at[1] = (uint8_t)(size - 2);
    w->at = at + size;
    r->size += (uint32_t)size;
    r->num_attributes++;
    hoteli_filter_add(&r->filter, hash);
    return true;
}

static inline void hoteli_put_attribute(hoteli_writer *w, const hotel_attr *a) {
    const hotel_limits *l;
    hoteli_cursor c, key;
    size_t size;
    unsigned hash;
    if (HOTELI_UNLIKELY(!hoteli_attr_sound(a))) {
        hoteli_bad_argument();
        return;
    }
    hash = hoteli_ascii_hash((const uint8_t *)a->key, a->key_size);
    if (HOTELI_LIKELY(hoteli_put_short(w, a, hash))) return;
    hash = hoteli_key_hash((const uint8_t *)a->key, a->key_size);
    l = &hoteli_provider_of(w->record)->limits;
    size = hoteli_field_size(hoteli_attr_size(a, l, 1));
    key = hoteli_cursor_flat((const uint8_t *)a->key, a->key_size);
    if (hoteli_place_attribute(w, &key, a->key_size, hash, size, &c))
        hoteli_write_attr(&c, HOTELI_TAG_ATTRIBUTE, a, l, 1);
}

static void hoteli_put_attributes(hoteli_writer *w, const hotel_attr *list, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) hoteli_put_attribute(w, &list[i]);
}

/* Space for an event or a link, within its limit; false: dropped. */
static bool hoteli_place_item(hoteli_writer *w, uint8_t tag, size_t size, hoteli_cursor *c) {
    hoteli_record *record = w->record;
    bool link = tag == HOTELI_TAG_LINK;
    uint16_t *count = link ? &record->num_links : &record->num_events;
    uint32_t *dropped = link ? &record->dropped_links : &record->dropped_events;
    const hotel_limits *l = &hoteli_provider_of(record)->limits;
    uint32_t limit = link ? HOTELI_GET(l->link_count) : HOTELI_GET(l->event_count);
    if (w->owner && *count >= limit) {
        hoteli_drop(dropped, HOTEL_LOG_ID_LIMIT_REACHED);
        return false;
    }
    if (!hoteli_append(w, size, c)) {
        hoteli_drop(dropped, HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return false;
    }
    if (w->owner) {
        ++*count;
        if (tag == HOTELI_TAG_TICK_EVENT) record->flags |= HOTELI_HAS_TICKS;
    }
    return true;
}

/* Space for the name or the status, of which there is one; size 0 only removes the old one. */
static bool hoteli_place_single(hoteli_writer *w, uint8_t tag, size_t size, hoteli_cursor *c) {
    hoteli_record *record = w->record;
    hoteli_entry old;
    bool placed;
    if (w->owner && hoteli_find(record, tag, NULL, 0, &old)) {
        if (!size) {
            hoteli_bury(record, &old);
            return false;
        }
        placed = hoteli_replace_in(w, &old, tag, NULL, 0, size, c);
    } else {
        placed = size && hoteli_append(w, size, c);
    }
    if (size && !placed) {
        hoteli_count(&hoteli_g.limited, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
    }
    return placed;
}

static void hoteli_put_name(hoteli_writer *w, const char *name, size_t size) {
    hoteli_cursor c;
    /* Beside the owner an empty name is an entry too: it must win over the old one. */
    size_t entry = size || !w->owner ? hoteli_field_size(hoteli_text_bytes(name, size)) : 0;
    if (hoteli_place_single(w, HOTELI_TAG_NAME, entry, &c))
        hoteli_write_text(&c, HOTELI_TAG_NAME, name, size);
}

/* The status machine of 5.5: Ok is final, Unset is ignored. */
static bool hoteli_status_counts(const hoteli_writer *w, uint8_t status) {
    return status != HOTEL_STATUS_UNSET && (!w->owner || w->record->status != HOTEL_STATUS_OK);
}

static void hoteli_put_status(hoteli_writer *w, uint8_t status, const char *text, size_t size) {
    hoteli_cursor c;
    size_t body;
    if (!hoteli_status_counts(w, status)) return;
    if (status != HOTEL_STATUS_ERROR) size = 0;
    body = (size ? hoteli_field_size(hoteli_text_bytes(text, size)) : 0) + 2;
    if (!hoteli_place_single(w, HOTELI_TAG_STATUS, hoteli_field_size(body), &c)) return;
    hoteli_write_head(&c, HOTELI_TAG_STATUS, body);
    if (size) hoteli_write_text(&c, 0x12, text, size);
    hoteli_write_byte(&c, 0x18);
    hoteli_write_byte(&c, status);
    if (w->owner) w->record->status = status;
}

static uint64_t hoteli_now_stamp(const hoteli_provider *p, bool *given) {
    uint64_t (*now_ns_fn)(void *) = HOTELI_GET(p->clock.now_ns_fn);
    if (HOTELI_UNLIKELY(now_ns_fn != NULL)) {
        *given = true;
        return now_ns_fn(HOTELI_GET(p->clock.user_data));
    }
    *given = false;
    return hoteli_ticks();
}

/* An event; own are attributes that give way to those of the caller. */
static void hoteli_put_event(hoteli_writer *w, const hotel_event *event, const hotel_attr *own,
                             size_t num_own) {
    const hoteli_provider *p = hoteli_provider_of(w->record);
    const hotel_limits *l = &p->limits;
    uint32_t most = HOTELI_GET(l->event_attribute_count), limit = most;
    uint32_t dropped = 0, ignored = 0;
    size_t name = event->name ? event->name_size ? event->name_size : strlen(event->name) : 0;
    uint64_t time = event->time_ns;
    bool given = true;
    size_t own_size, size;
    hoteli_cursor c;
    uint8_t tag;
    if (!time) time = hoteli_now_stamp(p, &given);
    hoteli_check_attrs(event->attributes, event->num_attributes);
    own_size = hoteli_write_attrs(NULL, 0, own, num_own, l, limit, &dropped);
    limit -= HOTELI_MIN(limit, (uint32_t)num_own);
    size = 9 + (name ? hoteli_field_size(hoteli_text_bytes(event->name, name)) : 0) + own_size +
           hoteli_write_attrs(NULL, 0, event->attributes, event->num_attributes, l, limit,
                              &dropped);
    if (dropped) {
        size += 1 + hoteli_varint_size(dropped);
        hoteli_count(&hoteli_g.limited, dropped);
        hoteli_log_later(HOTEL_LOG_ID_LIMIT_REACHED);
    }
    tag = given ? HOTELI_TAG_EVENT : HOTELI_TAG_TICK_EVENT;
    if (!hoteli_place_item(w, tag, hoteli_field_size(size), &c)) return;
    hoteli_write_head(&c, tag, size);
    hoteli_write_byte(&c, 0x09);
    hoteli_write_fixed64(&c, time);
    if (name) hoteli_write_text(&c, 0x12, event->name, name);
    (void)hoteli_write_attrs(&c, 0x1a, own, num_own, l, most, &ignored);
    (void)hoteli_write_attrs(&c, 0x1a, event->attributes, event->num_attributes, l, limit,
                             &ignored);
    if (dropped) {
        hoteli_write_byte(&c, 0x20);
        hoteli_write_varint(&c, dropped);
    }
}

static bool hoteli_valid_ids(const hotel_span_context *context) {
    uint64_t t[2], s;
    memcpy(t, context->trace_id, 16);
    memcpy(&s, context->span_id, 8);
    return (t[0] | t[1]) && s;
}

static void hoteli_put_link(hoteli_writer *w, const hotel_link *link) {
    const hotel_span_context *to = &link->context;
    const hotel_limits *l = &hoteli_provider_of(w->record)->limits;
    uint32_t limit = HOTELI_GET(l->link_attribute_count), dropped = 0, ignored = 0;
    bool state = to->trace_state.index && hoteli_block_hold(to->trace_state);
    size_t state_size = state ? hoteli_block_at(to->trace_state.index)->size : 0, size;
    hoteli_cursor c, from;
    if (to->trace_state.index && !state) hoteli_stale();
    hoteli_check_attrs(link->attributes, link->num_attributes);
    if (!hoteli_valid_ids(to) && !state && (!link->attributes || !link->num_attributes)) return;
    size = 18 + 10 + (state ? hoteli_field_size(state_size) : 0) + 5 +
           hoteli_write_attrs(NULL, 0, link->attributes, link->num_attributes, l, limit,
                              &dropped);
    if (dropped) {
        size += 1 + hoteli_varint_size(dropped);
        hoteli_count(&hoteli_g.limited, dropped);
        hoteli_log_later(HOTEL_LOG_ID_LIMIT_REACHED);
    }
    if (hoteli_place_item(w, HOTELI_TAG_LINK, hoteli_field_size(size), &c)) {
        hoteli_write_head(&c, HOTELI_TAG_LINK, size);
        hoteli_write_field(&c, 0x0a, to->trace_id, 16);
        hoteli_write_field(&c, 0x12, to->span_id, 8);
        if (state) {
            from = hoteli_block_cursor(to->trace_state.index);
            hoteli_write_head(&c, 0x1a, state_size);
            hoteli_copy(&c, &from, state_size);
        }
        (void)hoteli_write_attrs(&c, 0x22, link->attributes, link->num_attributes, l, limit,
                                 &ignored);
        if (dropped) {
            hoteli_write_byte(&c, 0x28);
            hoteli_write_varint(&c, dropped);
        }
        hoteli_write_byte(&c, 0x35);
        hoteli_write_fixed32(&c, (to->trace_flags & 3u) | 0x100u | (to->is_remote ? 0x200u : 0u));
    }
    if (state) (void)hoteli_block_drop(to->trace_state);
}

/* Takes over what threads beside the owner wrote: each entry as if its owner wrote it now. */
static HOTELI_COLD void hoteli_replay(hoteli_writer *w, hoteli_cursor c, size_t size) {
    while (size) {
        hoteli_entry e;
        hoteli_cursor to;
        bool placed = false;
        hoteli_entry_read(&c, &e);
        size -= e.size;
        if (e.tag == HOTELI_TAG_ATTRIBUTE) {
            hoteli_cursor key = e.body;
            size_t key_size;
            (void)hoteli_read_byte(&key);
            key_size = (size_t)hoteli_read_varint(&key);
            placed = hoteli_place_attribute(w, &key, key_size, hoteli_key_hash_at(key, key_size),
                                            e.size, &to);
        } else if (e.tag == HOTELI_TAG_NAME) {
            placed = hoteli_place_single(w, e.tag, e.body_size ? e.size : 0, &to);
        } else if (e.tag == HOTELI_TAG_STATUS) {
            hoteli_cursor last = e.body;
            uint8_t status;
            hoteli_read(&last, NULL, e.body_size - 1);
            status = hoteli_read_byte(&last);
            if (!hoteli_status_counts(w, status)) continue;
            placed = hoteli_place_single(w, e.tag, e.size, &to);
            if (placed) w->record->status = status;
        } else {
            placed = hoteli_place_item(w, e.tag, e.size, &to);
        }
        if (placed) hoteli_copy(&to, &e.start, e.size);
    }
}

static HOTELI_COLD void hoteli_splice(hoteli_writer *w) {
    uint32_t list = hoteli_flag_swap(&w->record->side, 0), ordered = 0;
    while (list) { /* newest first: turn it round */
        uint32_t head[2];
        memcpy(head, (uint8_t *)hoteli_chunk_at(list) + sizeof(hoteli_chunk), 8);
        memcpy((uint8_t *)hoteli_chunk_at(list) + sizeof(hoteli_chunk), &ordered, 4);
        ordered = list;
        list = head[0];
    }
    while (ordered) {
        hoteli_chunk *chunk = hoteli_chunk_at(ordered);
        uint32_t head[2];
        hoteli_cursor c;
        c.at = (uint8_t *)chunk + sizeof *chunk;
        memcpy(head, c.at, 8);
        c.end = c.at + HOTELI_MORE_ROOM;
        c.at += 8;
        c.next = hoteli_link_get(&chunk->next);
        hoteli_replay(w, c, head[1]);
        hoteli_free_chain(ordered);
        ordered = head[0];
    }
}

/* Puts what a thread wrote beside the owner on the side list. */
static HOTELI_COLD void hoteli_put_aside(hoteli_writer *w) {
    uint8_t *at = (uint8_t *)hoteli_chunk_at(w->first) + sizeof(hoteli_chunk);
    uint32_t head[2];
    head[0] = hoteli_flag_load(&w->record->side);
    head[1] = w->size;
    do {
        memcpy(at, head, 8);
    } while (!__atomic_compare_exchange_n(&w->record->side.bits, &head[0], w->first, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

static HOTELI_COLD void hoteli_wake(void) {
    int cancel;
    if (HOTELI_GET(hoteli_g.no_threads) || hoteli_g.pipe_lost || !hoteli_g.wake_pipe[1] ||
        !hoteli_flag_swap(&hoteli_g.sleeping, 0))
        return;
    cancel = hoteli_cancel_hold();
    while (send(hoteli_g.wake_pipe[1], "", 1, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
    hoteli_cancel_back(cancel);
}

/* Every so many ended spans of a shard, and for each that takes further chunks: is it time to wake
   the exporter? */
static HOTELI_COLD void hoteli_wake_check(uintptr_t more) {
    uintptr_t pending = __atomic_add_fetch(&hoteli_g.pending.bits, more, __ATOMIC_SEQ_CST);
    if (pending >= HOTELI_GET(hoteli_g.wake_at) && hoteli_flag_load(&hoteli_g.sleeping)) {
        int error = errno;
        hoteli_wake();
        errno = error;
    }
}

static void hoteli_record_free(uint32_t index) {
    hoteli_record *r = hoteli_record_at(index);
    uint32_t more = r->more;
    if (r->values.index) (void)hoteli_block_drop(r->values);
    if (r->trace_state.index) (void)hoteli_block_drop(r->trace_state);
    if (more) hoteli_free_chain(more);
    hoteli_free_chunk(index);
}

static HOTELI_COLD void hoteli_late(void);
static HOTELI_COLD void hoteli_wait_exported(uint32_t mask);
static HOTELI_COLD void hoteli_run_end_hooks(uint32_t provider, hoteli_record *record);

/* What processors see of a finished span. A span that is not sampled goes no further; false. */
static HOTELI_COLD bool hoteli_processed(const hoteli_provider *p, hoteli_record *record,
                                         uint32_t index) {
    if (HOTELI_GET(p->hooks) & HOTELI_ON_END) hoteli_run_end_hooks(record->provider, record);
    if (record->trace_flags & HOTEL_FLAG_SAMPLED) return true;
    hoteli_count(&hoteli_g.record_only, 1);
    hoteli_record_free(index);
    return false;
}

/* Hands an ended span over; nobody else is inside any more. */
static void hoteli_publish(hoteli_record *record, uint32_t index) {
    const hoteli_provider *p = hoteli_provider_of(record);
    const uint32_t hooks = HOTELI_GET(p->hooks);
    hoteli_shard *shard = &hoteli_g.shards[hoteli_t.shard & hoteli_g.shard_mask];
    uintptr_t head, next, step = HOTELI_GET(hoteli_g.wake_step);
    uint32_t further;
    if (HOTELI_UNLIKELY(hoteli_flag_load(&record->side) != 0)) {
        hoteli_writer w;
        hoteli_writer_own(&w, record, index);
        hoteli_splice(&w);
        hoteli_writer_save(&w);
    }
    if (HOTELI_UNLIKELY((hooks & HOTELI_ON_END) ||
                        !(record->trace_flags & HOTEL_FLAG_SAMPLED)) &&
        !hoteli_processed(p, record, index))
        return;
    further = HOTELI_UNLIKELY(record->more) ? record->size / HOTELI_MORE_ROOM : 0;
    head = hoteli_load_relaxed(&shard->ended);
    do {
        hoteli_link_set(&record->chunk.next, (uint32_t)(head & HOTELI_INDEX_MASK));
        next = (head & ~HOTELI_INDEX_MASK) + HOTELI_ONE + index;
    } while (!hoteli_cas(&shard->ended, &head, next));
    if (((next >> HOTELI_INDEX_BITS) & (step - 1)) != 0) step = 0;
    if (HOTELI_UNLIKELY(step + further)) hoteli_wake_check(step + further);
    if (HOTELI_UNLIKELY(__atomic_load_n(&hoteli_g.closed.bits, __ATOMIC_SEQ_CST))) hoteli_late();
    else if (HOTELI_UNLIKELY(hooks & HOTELI_WAITS)) hoteli_wait_exported(HOTELI_GET(p->waits));
}

static inline void hoteli_leave(hoteli_writer *w) {
    hoteli_record *record = w->record;
    uintptr_t state;
    if (HOTELI_LIKELY(w->owner)) {
        hoteli_writer_save(w);
        state = hoteli_sub(&record->chunk.state, HOTELI_OWNED + 1);
    } else {
        if (w->first) {
            hoteli_writer_used(w);
            hoteli_put_aside(w);
        }
        state = hoteli_sub(&record->chunk.state, 1);
    }
    if (HOTELI_UNLIKELY((state & HOTELI_ENDED) && (state & HOTELI_COUNT) == 1))
        hoteli_publish(record, w->index);
}

/* As hoteli_enter, and takes over what was written beside. */
static inline bool hoteli_begin(const hotel_span *span, hoteli_writer *w) {
    if (!hoteli_enter(span, w)) return false;
    if (HOTELI_UNLIKELY(hoteli_flag_load(&w->record->side) != 0) && w->owner) hoteli_splice(w);
    return true;
}

/* Where a processor wants to see spans before their end: fixes the time, runs the hooks. false:
   somebody else ends the span already, or it is over. */
static HOTELI_COLD bool hoteli_run_ending_hooks(const hotel_span *span, uint64_t *time_ns,
                                                bool *given) {
    hoteli_provider *p;
    hoteli_writer w;
    bool hooked, first = true;
    uint32_t i;
    int cancel;
    if (!hoteli_begin(span, &w)) return false;
    p = &hoteli_g.providers[w.record->provider & (HOTELI_MAX_PROVIDERS - 1)];
    hooked = (HOTELI_GET(p->hooks) & HOTELI_ON_ENDING) != 0;
    if (hooked) first = !__atomic_exchange_n(&w.record->ending, (uint8_t)1, __ATOMIC_ACQ_REL);
    hoteli_leave(&w);
    if (!first || !hooked || !hoteli_hooks_enter(p, HOTELI_ON_ENDING, &cancel)) return first;
    if (!*time_ns) *time_ns = hoteli_now_stamp(p, given);
    for (i = 0; i < p->num_processors; i++)
        if (p->processors[i].on_ending_fn)
            p->processors[i].on_ending_fn(span, p->processors[i].user_data);
    hoteli_hooks_leave(p, cancel);
    return true;
}

static void hoteli_end(const hotel_span *span, uint64_t time_ns) {
    hoteli_record *record;
    uintptr_t state, next;
    uint64_t ticks;
    uint64_t (*now_ns_fn)(void *);
    bool given = true;
    if (!span || !span->record || span->epoch != hoteli_epoch() ||
        HOTELI_UNLIKELY(span->record > hoteli_g.num_chunks))
        return;
    if (HOTELI_UNLIKELY(HOTELI_GET(hoteli_g.ending_hooks)) &&
        !hoteli_run_ending_hooks(span, &time_ns, &given))
        return;
    record = hoteli_record_at(span->record);
    ticks = hoteli_ticks(); /* before the exchange, beside which it costs nothing */
    state = hoteli_load(&record->chunk.state);
    do {
        if (HOTELI_UNLIKELY((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != span->generation ||
                            (state & HOTELI_ENDED) || (state & HOTELI_COUNT) == HOTELI_COUNT))
            return;
        /* Nobody inside: ended keeps everybody out, so there is no need to enter. */
        next = (state & HOTELI_COUNT) ? (state | HOTELI_ENDED) + 1 : state | HOTELI_ENDED;
    } while (!hoteli_cas(&record->chunk.state, &state, next));
    now_ns_fn = HOTELI_GET(hoteli_provider_of(record)->clock.now_ns_fn);
    if (HOTELI_LIKELY(!time_ns)) {
        given = now_ns_fn != NULL;
        time_ns = given ? now_ns_fn(HOTELI_GET(hoteli_provider_of(record)->clock.user_data))
                        : ticks;
    }
    record->end = time_ns;
    record->end_given = given;
    if ((state & HOTELI_COUNT) && (hoteli_sub(&record->chunk.state, 1) & HOTELI_COUNT) != 1) return;
    hoteli_publish(record, span->record);
}

/* ==== [SECTION 42] SCOPES AND RESOURCE ===================================================== */

/* A text field that is left out when empty; out NULL measures. */
static size_t hoteli_optional_text(hoteli_cursor *out, uint8_t tag, const char *text) {
    size_t size = hotel_text_size(text);
    if (!size) return 0;
    if (out) hoteli_write_text(out, tag, text, size);
    return hoteli_field_size(hoteli_text_bytes(text, size));
}

/* Encodes an instrumentation scope as the two fields of ScopeSpans it fills. out NULL measures. */
static size_t hoteli_write_scope(hoteli_cursor *out, const hotel_tracer_config *t,
                                 size_t *prefix) {
    uint32_t dropped = 0;
    size_t body = hoteli_optional_text(NULL, 0x0a, t->name) +
                  hoteli_optional_text(NULL, 0x12, t->version) +
                  hoteli_write_attrs(NULL, 0, t->attributes, t->num_attributes,
                                     &hoteli_unlimited, UINT32_MAX,
                                     &dropped);
    *prefix = hoteli_field_size(body);
    if (out) {
        hoteli_write_head(out, 0x0a, body);
        (void)hoteli_optional_text(out, 0x0a, t->name);
        (void)hoteli_optional_text(out, 0x12, t->version);
        (void)hoteli_write_attrs(out, 0x1a, t->attributes, t->num_attributes,
                                 &hoteli_unlimited, UINT32_MAX, &dropped);
    }
    return *prefix + hoteli_optional_text(out, 0x1a, t->schema_url);
}

/* Name, version, schema URL and attributes of a scope together. */
#define HOTELI_SCOPE_SIZE 2048u

/* The identity with its attributes in the order of their keys, so that equal sets are equal bytes.
   A longer list is taken as it is. */
static void hoteli_scope_sort(hotel_tracer_config *t, hotel_attr *sorted, size_t capacity) {
    size_t i, k;
    if (!t->attributes || t->num_attributes > capacity) return;
    for (i = 0; i < t->num_attributes; i++) {
        const hotel_attr *a = &t->attributes[i];
        for (k = i; k > 0; k--) {
            const hotel_attr *b = &sorted[k - 1];
            if (!a->key || !b->key ||
                hoteli_text_order(b->key, b->key_size, a->key, a->key_size) <= 0)
                break;
            sorted[k] = *b;
        }
        sorted[k] = *a;
    }
    t->attributes = sorted;
}

/* Interns a scope of a provider; 0-based index. When there is no room the provider's default one,
   or HOTELI_NO_SCOPE if that is what was asked for. Under the lock. */
static uint32_t hoteli_scope_intern(const hotel_tracer_config *asked, uint32_t provider) {
    hotel_tracer_config sorted_by_key = *asked;
    const hotel_tracer_config *t = &sorted_by_key;
    hoteli_cursor c;
    hotel_attr sorted[32];
    size_t prefix, size;
    hotel_block block;
    uint8_t bytes[HOTELI_SCOPE_SIZE];
    uint32_t i, at = hoteli_g.num_scopes;
    hoteli_scope_sort(&sorted_by_key, sorted, sizeof sorted / sizeof sorted[0]);
    size = hoteli_write_scope(NULL, t, &prefix);
    if (size > sizeof bytes) goto full;
    c = hoteli_cursor_flat(bytes, size);
    (void)hoteli_write_scope(&c, t, &prefix);
    for (i = 0; i < hoteli_g.num_scopes; i++) {
        uint32_t other = hoteli_g.scopes[i].block.index;
        if (!other) at = i;
        else if (hoteli_g.scopes[i].provider == provider &&
            hoteli_g.scopes[i].serial == hoteli_g.providers[provider].serial &&
            hoteli_block_at(other)->size == size && hoteli_g.scopes[i].prefix == prefix &&
            hoteli_same(hoteli_block_cursor(other), hoteli_cursor_flat(bytes, size), size))
            return i;
    }
    if (at == HOTELI_MAX_SCOPES) goto full;
    block = hoteli_block_new(size, &c);
    if (!block.index) goto full;
    hoteli_write(&c, bytes, size);
    hoteli_block_ready(&block);
    hoteli_g.scopes[at].block = block;
    hoteli_g.scopes[at].prefix = (uint32_t)prefix;
    hoteli_g.scopes[at].provider = provider;
    hoteli_g.scopes[at].serial = hoteli_g.providers[provider].serial;
    if (at == hoteli_g.num_scopes) hoteli_g.num_scopes++;
    return at;
full:
    hoteli_log_later(HOTEL_LOG_ID_TOO_MANY_SCOPES);
    return HOTELI_GET(hoteli_g.providers[provider].default_scope);
}

/* A tracer names its scope by index + 1, and in the byte above its provider. */
static hotel_tracer hoteli_tracer(uint32_t scope, uint32_t provider) {
    hotel_tracer tracer;
    tracer.scope = (scope + 1) | provider << 8;
    tracer.generation = hoteli_g.scopes[scope].block.generation;
    return tracer;
}

/* One from before hotel_release, or garbage, is the default one; that of a provider which is gone
   is none. */
static uint32_t hoteli_scope_of(hotel_tracer tracer) {
    uint32_t i = (tracer.scope & 0xff) - 1;
    const hoteli_scope *scope = &hoteli_g.scopes[i & (HOTELI_MAX_SCOPES - 1)];
    if (tracer.scope == HOTELI_NO_SCOPE) return HOTELI_NO_SCOPE;
    if (i < HOTELI_MAX_SCOPES && scope->block.index &&
        scope->block.generation == tracer.generation)
        return scope->serial == HOTELI_GET(hoteli_g.providers[scope->provider].serial)
                   ? i : HOTELI_NO_SCOPE;
    i = tracer.scope >> 8;
    if (i && i < HOTELI_MAX_PROVIDERS) return HOTELI_NO_SCOPE;
    return HOTELI_GET(hoteli_g.providers[0].default_scope);
}

/* With a new set-up: scopes of providers that are gone, and that no span has, give their places
   back. */
static void hoteli_scopes_clear(void) {
    bool used[HOTELI_MAX_SCOPES] = {false};
    uint32_t i;
    for (i = 1; i <= hoteli_g.num_chunks; i++)
        if (__atomic_load_n(&hoteli_chunk_at(i)->kind, __ATOMIC_RELAXED) == HOTELI_RECORD)
            used[hoteli_record_at(i)->scope & (HOTELI_MAX_SCOPES - 1)] = true;
    for (i = 0; i < hoteli_g.num_scopes; i++) {
        hoteli_scope *scope = &hoteli_g.scopes[i];
        if (!scope->serial || used[i]) continue;
        (void)hoteli_block_drop(scope->block);
        memset(&scope->block, 0, sizeof scope->block);
    }
}

/* Its provider; NULL when that is gone. */
static const hoteli_provider *hoteli_tracer_provider(hotel_tracer tracer) {
    uint32_t scope = tracer.scope ? hoteli_scope_of(tracer)
                                  : HOTELI_GET(hoteli_g.providers[0].default_scope);
    if (scope == HOTELI_NO_SCOPE) return NULL;
    return &hoteli_g.providers[hoteli_g.scopes[scope].provider];
}

/* Memory that lasts until the next set-up; NULL when a block given by the user is too small. */
static void *hoteli_carve(size_t size) {
    void *at;
    size = (size + 15) & ~(size_t)15;
    if (size > hoteli_g.setup_room) return NULL;
    at = hoteli_g.setup_at;
    hoteli_g.setup_at += size;
    hoteli_g.setup_room -= size;
    return at;
}

/* ==== [SECTION 43] RESOURCES AND DETECTORS ================================================= */

/* Encoded attributes of Resource (fields 1) from the front of the memory, the schema URL at its
   end, what is between is free. */

HOTEL_API hotel_result hotel_resource_start(hotel_resource *resource, void *memory, size_t capacity,
                                            const char *schema_url) {
    if (!resource) return HOTEL_ERR_ARGUMENT;
    memset(resource, 0, sizeof *resource);
    resource->memory = (uint8_t *)memory;
    resource->capacity = memory ? capacity : 0;
    return hotel_resource_set_schema(resource, schema_url);
}

HOTEL_API hotel_resource_view hotel_resource_read(const hotel_resource *resource) {
    hotel_resource_view view;
    memset(&view, 0, sizeof view);
    if (!resource || !resource->memory) return view;
    hoteli_resource_read(resource->memory, resource->size, &view);
    view.schema_url.text =
        (const char *)resource->memory + resource->capacity - resource->schema_size;
    view.schema_url.size = resource->schema_size;
    return view;
}

static hotel_result hoteli_resource_schema(hotel_resource *r, hotel_string url) {
    hotel_string set = hotel_resource_read(r).schema_url;
    if (!url.size || r->schema_conflict) return r->schema_conflict ? HOTEL_ERR_ARGUMENT : HOTEL_OK;
    if (set.size) {
        if (set.size == url.size && memcmp(set.text, url.text, url.size) == 0) return HOTEL_OK;
        r->schema_conflict = true;
        r->schema_size = 0;
        return HOTEL_ERR_ARGUMENT;
    }
    if (url.size > r->capacity - r->size) return HOTEL_ERR_MEMORY;
    memcpy(r->memory + r->capacity - url.size, url.text, url.size);
    r->schema_size = url.size;
    return HOTEL_OK;
}

HOTEL_API hotel_result hotel_resource_set_schema(hotel_resource *resource, const char *schema_url) {
    hotel_string url;
    if (!resource) return HOTEL_ERR_ARGUMENT;
    url.text = schema_url;
    url.size = hotel_text_size(schema_url);
    if (!url.size) return HOTEL_OK;
    return hoteli_resource_schema(resource, url);
}

/* The place of the attribute with this key; size 0: there is none. */
static hotel_string hoteli_resource_find(const hotel_resource *r, const char *key, size_t size) {
    hotel_list list = hotel_resource_read(r).attributes;
    hotel_attr_view attribute;
    hotel_string place = {NULL, 0};
    const uint8_t *from = list.at;
    while (hotel_next_attr(&list, &attribute)) {
        if (hoteli_same_text(attribute.key.text, attribute.key.size, key, size)) {
            place.text = (const char *)from;
            place.size = (size_t)(list.at - from);
            return place;
        }
        from = list.at;
    }
    return place;
}

static void hoteli_resource_remove(hotel_resource *r, const char *key, size_t key_size) {
    hotel_string place = hoteli_resource_find(r, key, key_size);
    size_t from;
    if (!place.size) return;
    from = (size_t)((const uint8_t *)place.text - r->memory);
    memmove(r->memory + from, r->memory + from + place.size, r->size - from - place.size);
    r->size -= place.size;
}

/* Makes room for an encoded attribute with this key; NULL: it does not fit. */
static uint8_t *hoteli_resource_room(hotel_resource *r, const char *key, size_t key_size,
                                     size_t size) {
    size_t old = hoteli_resource_find(r, key, key_size).size;
    if (size > r->capacity - r->schema_size - (r->size - old)) return NULL;
    hoteli_resource_remove(r, key, key_size);
    r->size += size;
    return r->memory + r->size - size;
}

HOTEL_API hotel_result hotel_resource_add(hotel_resource *resource, hotel_attr attribute) {
    uint8_t *at;
    size_t size;
    if (!resource || !hoteli_attr_sound(&attribute)) return HOTEL_ERR_ARGUMENT;
    size = hoteli_field_size(hoteli_attr_size(&attribute, &hoteli_unlimited, 1));
    if (size > HOTELI_MAX_VALUE) return HOTEL_ERR_MEMORY;
    at = hoteli_resource_room(resource, attribute.key, attribute.key_size, size);
    if (at) {
        hoteli_cursor c = hoteli_cursor_flat(at, size);
        hoteli_write_attr(&c, 0x0a, &attribute, &hoteli_unlimited, 1);
    }
    return at ? HOTEL_OK : HOTEL_ERR_MEMORY;
}

HOTEL_API hotel_result hotel_resource_merge(hotel_resource *resource,
                                            const hotel_resource *updating) {
    hotel_resource_view view = hotel_resource_read(updating);
    hotel_attr_view attribute;
    const uint8_t *from = view.attributes.at;
    hotel_result result, worst = HOTEL_OK;
    if (!resource || !updating) return HOTEL_ERR_ARGUMENT;
    if (resource == updating) return HOTEL_OK;
    if (updating->schema_conflict) resource->schema_conflict = true;
    if (resource->schema_conflict) resource->schema_size = 0;
    while (hotel_next_attr(&view.attributes, &attribute)) {
        size_t size = (size_t)(view.attributes.at - from);
        uint8_t *at = hoteli_resource_room(resource, attribute.key.text, attribute.key.size, size);
        if (at) memcpy(at, from, size);
        else worst = HOTEL_ERR_MEMORY;
        from = view.attributes.at;
    }
    result = hoteli_resource_schema(resource, view.schema_url);
    return result != HOTEL_OK ? result : worst;
}

/* ---- what the surroundings say ---- */

/* Collects what a detector adds: the first error counts, text that is empty says nothing. */
typedef struct hoteli_finder {
    hotel_resource *out;
    hotel_result result;
    int cancel;
} hoteli_finder;

static hoteli_finder hoteli_finder_start(hotel_resource *out) {
    hoteli_finder f;
    f.out = out;
    f.result = hotel_resource_set_schema(out, HOTEL_SCHEMA_URL);
    f.cancel = hoteli_cancel_hold();
    return f;
}

static hotel_result hoteli_finder_end(hoteli_finder *f) {
    hoteli_cancel_back(f->cancel);
    return f->result;
}

static void hoteli_found(hoteli_finder *f, hotel_attr attribute) {
    hotel_result result;
    if (attribute.value.type == HOTEL_TYPE_STRING && !attribute.value.size) return;
    result = hotel_resource_add(f->out, attribute);
    if (f->result == HOTEL_OK) f->result = result;
}

/* Up to `capacity` bytes of a file; 0 when it is empty (errno is 0) or cannot be read. */
static size_t hoteli_file_read(const char *path, char *out, size_t capacity) {
    int fd;
    size_t size = 0;
    ssize_t n = 0;
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return 0;
    while (size < capacity && ((n = read(fd, out + size, capacity - size)) > 0 ||
                               (n < 0 && errno == EINTR)))
        if (n > 0) size += (size_t)n;
    if (n == 0) errno = 0;
    (void)close(fd);
    return n < 0 ? 0 : size;
}

/* Why that was so. */
static const char *hoteli_file_trouble(int error) {
    switch (error) {
    case ENOENT: return "there is no such file";
    case EACCES: return "it may not be read";
    case EISDIR: return "it is a directory";
    case EMFILE:
    case ENFILE: return "no file descriptor is left to read it";
    default: return "it cannot be read";
    }
}

/* The first line without blanks around it. */
static hotel_string hoteli_first_line(const char *text, size_t size) {
    const char *end = size ? (const char *)memchr(text, '\n', size) : NULL;
    hotel_string line;
    line.text = text;
    line.size = end ? (size_t)(end - text) : size;
    hoteli_trim(&line.text, &line.size);
    return line;
}

/* A random UUID (version 4) in lower-case text. */
static void hoteli_uuid_write(char out[37], const uint64_t random[2]) {
    uint8_t bytes[16];
    char hex[32];
    memcpy(bytes, random, 16);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    hoteli_hex_write(hex, bytes);
    hoteli_hex_write(hex + 16, bytes + 8);
    memset(out, '-', 36);
    memcpy(out, hex, 8);
    memcpy(out + 9, hex + 8, 4);
    memcpy(out + 14, hex + 12, 4);
    memcpy(out + 19, hex + 16, 4);
    memcpy(out + 24, hex + 20, 12);
    out[36] = 0;
}

/* Drawn by the first that asks; the others wait for it. */
static void hoteli_instance_id(char out[37]) {
    uint64_t own[4];
    int rounds;
    if (hoteli_flag_cas(&hoteli_g.instance_state, 0, 1)) {
        hoteli_entropy(hoteli_g.instance);
        hoteli_flag_store(&hoteli_g.instance_state, 2);
    }
    /* One who forked in that moment waits for nobody, and draws its own. */
    for (rounds = 0; hoteli_flag_load(&hoteli_g.instance_state) != 2; rounds++) {
        struct timespec pause = {0, 100000};
        if (rounds == 1000) break;
        (void)nanosleep(&pause, NULL);
    }
    if (rounds == 1000) hoteli_entropy(own);
    else memcpy(own, hoteli_g.instance, sizeof own);
    hoteli_uuid_write(out, own);
}

static hotel_result hoteli_detect_service(hotel_resource *out, void *user_data) {
    hoteli_finder f = hoteli_finder_start(out);
    bool borrowed = getuid() != geteuid() || getgid() != getegid();
    const char *name = out->ignore_environment || borrowed ? NULL : getenv("OTEL_SERVICE_NAME");
    char id[37];
    (void)user_data;
    if (name) hoteli_found(&f, hotel_str("service.name", name));
    hoteli_instance_id(id);
    hoteli_found(&f, hotel_str("service.instance.id", id));
    return hoteli_finder_end(&f);
}

static hotel_result hoteli_detect_sdk(hotel_resource *out, void *user_data) {
    hoteli_finder f = hoteli_finder_start(out);
    (void)user_data;
    hoteli_found(&f, hotel_str("telemetry.sdk.name", "hatchet_otel"));
    hoteli_found(&f, hotel_str("telemetry.sdk.language", "c"));
    hoteli_found(&f, hotel_str("telemetry.sdk.version", HOTEL_VERSION_STRING));
    return hoteli_finder_end(&f);
}

/* The name of a user by /etc/passwd: "name:password:uid:...", nothing asked of the network. */
static hotel_string hoteli_user_name(uint64_t uid, char *out, size_t capacity) {
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    hotel_string name = {out, 0};
    char piece[512];
    uint64_t number = 0;
    size_t size = 0, field = 0, digits = 0;
    ssize_t n = 0, i = 0;
    while (fd >= 0) {
        char c;
        if (i == n) {
            n = read(fd, piece, sizeof piece);
            i = 0;
            if (n <= 0) break;
        }
        c = piece[i++];
        if (c == ':' || c == '\n') {
            if (field == 2 && digits > 0 && digits < 11 && number == uid && size < capacity) {
                name.size = size;
                break;
            }
            field = c == ':' ? field + 1 : 0;
            if (field == 0) size = 0;
            number = digits = 0;
        } else if (field == 0) {
            if (size < capacity) out[size] = c;
            size++;
        } else if (field == 2) {
            number = number * 10 + (uint64_t)(c - '0');
            digits = c >= '0' && c <= '9' ? digits + 1 : 99;
        }
    }
    if (fd >= 0) (void)close(fd);
    return name;
}

/* The program's file and the last part of it. */
static void hoteli_find_executable(hoteli_finder *f) {
#if defined(__linux__)
    static const char gone[] = " (deleted)"; /* the kernel's word on a file that is not there */
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    size_t size = n > 0 && (size_t)n < sizeof path ? (size_t)n : 0, start, mark = sizeof gone - 1;
    if (size > mark && memcmp(path + size - mark, gone, mark) == 0) size -= mark;
    for (start = size; start > 0 && path[start - 1] != '/';) start--;
    hoteli_found(f, hotel_strn("process.executable.name", path + start, size - start));
    hoteli_found(f, hotel_strn("process.executable.path", path, size));
#elif defined(__APPLE__)
    hoteli_found(f, hotel_str("process.executable.name", getprogname()));
#else
    (void)f;
#endif
}

static hotel_result hoteli_detect_process(hotel_resource *out, void *user_data) {
    hoteli_finder f = hoteli_finder_start(out);
    char text[1024];
    hotel_string owner;
    size_t size;
    (void)user_data;
    hoteli_found(&f, hotel_int("process.pid", (int64_t)getpid()));
    hoteli_found(&f, hotel_int("process.parent_pid", (int64_t)getppid()));
    hoteli_find_executable(&f);
    size = hoteli_file_read("/proc/self/cmdline", text, sizeof text);
    if (size && memchr(text, 0, size)) hoteli_found(&f, hotel_str("process.command", text));
    owner = hoteli_user_name((uint64_t)geteuid(), text, sizeof text);
    hoteli_found(&f, hotel_strn("process.owner", owner.text, owner.size));
#if defined(_CS_GNU_LIBC_VERSION)
    size = confstr(_CS_GNU_LIBC_VERSION, text, sizeof text); /* "glibc 2.36" */
    if (size > 7 && size <= sizeof text && memcmp(text, "glibc ", 6) == 0) {
        hoteli_found(&f, hotel_str("process.runtime.name", "glibc"));
        hoteli_found(&f, hotel_str("process.runtime.version", text + 6));
    }
#endif
    return hoteli_finder_end(&f);
}

/* As many whole arguments as there is room for here. */
static hotel_result hoteli_detect_command(hotel_resource *out, void *user_data) {
    hoteli_finder f = hoteli_finder_start(out);
    const char *arguments[128];
    char text[4096];
    size_t size = hoteli_file_read("/proc/self/cmdline", text, sizeof text), at = 0, count = 0;
    (void)user_data;
    while (at < size && count < sizeof arguments / sizeof arguments[0]) {
        const char *end = (const char *)memchr(text + at, 0, size - at);
        if (!end) break;
        arguments[count++] = text + at;
        at = (size_t)(end - text) + 1;
    }
    if (count) hoteli_found(&f, hotel_strs("process.command_args", arguments, count));
    return hoteli_finder_end(&f);
}

/* The machine as the semantic conventions call it; an unknown one keeps its name. */
static const char *hoteli_arch_name(const char *machine) {
    static const char *const names[][2] = {
        {"x86_64", "amd64"}, {"amd64", "amd64"},  {"aarch64", "arm64"}, {"arm64", "arm64"},
        {"armv", "arm32"},   {"arm", "arm32"},    {"ppc64", "ppc64"},   {"powerpc64", "ppc64"},
        {"ppc", "ppc32"},    {"powerpc", "ppc32"}, {"s390x", "s390x"},  {"ia64", "ia64"},
        {"i386", "x86"},     {"i486", "x86"},     {"i586", "x86"},      {"i686", "x86"}};
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(machine, names[i][0], strlen(names[i][0])) == 0) return names[i][1];
    return machine;
}

static hotel_result hoteli_detect_host(hotel_resource *out, void *user_data) {
    static const char *const files[] = {"/etc/machine-id", "/var/lib/dbus/machine-id",
                                        "/etc/hostid"};
    hoteli_finder f = hoteli_finder_start(out);
    struct utsname system;
    char text[256];
    hotel_string id = {NULL, 0};
    size_t i;
    (void)user_data;
    if (uname(&system) >= 0) {
        hoteli_found(&f, hotel_str("host.name", system.nodename));
        hoteli_found(&f, hotel_str("host.arch", hoteli_arch_name(system.machine)));
    }
    for (i = 0; i < sizeof files / sizeof files[0] && !id.size; i++)
        id = hoteli_first_line(text, hoteli_file_read(files[i], text, sizeof text));
    hoteli_found(&f, hotel_strn("host.id", id.text, id.size));
    return hoteli_finder_end(&f);
}

/* The value of a name in an os-release file, quotes and backslashes taken off in place. */
static hotel_string hoteli_release_value(char *text, size_t size, const char *name) {
    size_t name_size = strlen(name), at = 0;
    hotel_string value = {NULL, 0};
    while (at < size && !value.text) {
        char *line = text + at, *end = (char *)memchr(line, '\n', size - at);
        size_t line_size = end ? (size_t)(end - line) : size - at, i, used = 0;
        char quote = 0;
        at += line_size + 1;
        if (line_size <= name_size || line[name_size] != '=' || memcmp(line, name, name_size) != 0)
            continue;
        value.text = line + name_size + 1;
        for (i = name_size + 1; i < line_size; i++) {
            char c = line[i];
            if ((c == '"' || c == '\'') && (!quote || quote == c)) {
                quote = quote ? 0 : c;
                continue;
            }
            if (c == '\\' && quote != '\'' && i + 1 < line_size) c = line[++i];
            line[name_size + 1 + used++] = c;
        }
        value.size = used;
    }
    return value;
}

/* os.type is the kernel's name in lower case. */
static void hoteli_find_kernel(hoteli_finder *f, const struct utsname *system) {
    char type[64];
    size_t i;
    for (i = 0; i + 1 < sizeof type && system->sysname[i]; i++) {
        char c = system->sysname[i];
        type[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    type[i] = 0;
    if (strcmp(type, "dragonfly") == 0) memcpy(type, "dragonflybsd", 13);
    if (strcmp(type, "sunos") == 0) memcpy(type, "solaris", 8);
    hoteli_found(f, hotel_str("os.type", type));
}

static hotel_result hoteli_detect_os(hotel_resource *out, void *user_data) {
    hoteli_finder f = hoteli_finder_start(out);
    struct utsname system;
    char file[4096], words[512];
    hotel_string name, version, pretty;
    size_t size = hoteli_file_read("/etc/os-release", file, sizeof file);
    hoteli_text text;
    (void)user_data;
    if (uname(&system) < 0) return hoteli_finder_end(&f);
    if (!size) size = hoteli_file_read("/usr/lib/os-release", file, sizeof file);
    name = hoteli_release_value(file, size, "NAME");
    version = hoteli_release_value(file, size, "VERSION_ID");
    pretty = hoteli_release_value(file, size, "PRETTY_NAME");
    hoteli_find_kernel(&f, &system);
    if (name.size) {
        hoteli_found(&f, hotel_strn("os.name", name.text, name.size));
        hoteli_found(&f, hotel_strn("os.version", version.text, version.size));
    } else {
        hoteli_found(&f, hotel_str("os.name", system.sysname));
        hoteli_found(&f, hotel_str("os.version", system.release));
    }
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say_n(&text, pretty.text, pretty.size);
    hoteli_say(&text, pretty.size ? " (" : "");
    hoteli_say(&text, system.sysname);
    hoteli_say(&text, " ");
    hoteli_say(&text, system.release);
    hoteli_say(&text, " ");
    hoteli_say(&text, system.version);
    hoteli_say(&text, pretty.size ? ")" : "");
    hoteli_found(&f, hotel_str("os.description", words));
    return hoteli_finder_end(&f);
}

static hotel_result hoteli_detect_given(hotel_resource *out, void *user_data) {
    return user_data ? hotel_resource_merge(out, (const hotel_resource *)user_data) : HOTEL_OK;
}

static hotel_detector hoteli_detector(const char *name,
                                      hotel_result (*detect_fn)(hotel_resource *, void *)) {
    hotel_detector detector;
    memset((void *)&detector, 0, sizeof detector);
    detector.detect_fn = detect_fn;
    detector.name = name;
    return detector;
}

HOTEL_API hotel_detector hotel_service_detector(void) {
    return hoteli_detector("service", hoteli_detect_service);
}

HOTEL_API hotel_detector hotel_process_detector(void) {
    return hoteli_detector("process", hoteli_detect_process);
}

HOTEL_API hotel_detector hotel_command_detector(void) {
    return hoteli_detector("command", hoteli_detect_command);
}

HOTEL_API hotel_detector hotel_host_detector(void) {
    return hoteli_detector("host", hoteli_detect_host);
}

HOTEL_API hotel_detector hotel_os_detector(void) {
    return hoteli_detector("os", hoteli_detect_os);
}

HOTEL_API hotel_detector hotel_sdk_detector(void) {
    return hoteli_detector("sdk", hoteli_detect_sdk);
}

HOTEL_API hotel_detector hotel_resource_detector(const hotel_resource *resource) {
    hotel_detector detector = hoteli_detector("resource", hoteli_detect_given);
    detector.user_data = (void *)(uintptr_t)resource;
    return detector;
}

/* ==== [SECTION 44] THREADS AND CURRENT CONTEXT ============================================= */

static bool hoteli_rebuild(void);
static HOTELI_COLD hotel_block hoteli_extract_state(const char *state, size_t state_size);
static hotel_block hoteli_state_block(char *state, size_t size);

/* First use on this thread, or in this process since a fork. */
static HOTELI_COLD bool hoteli_thread_enter(hoteli_thread *t) {
    uint32_t epoch = hoteli_epoch();
    if (t->quiet) return false;
    if (!epoch) {
        if (!__atomic_load_n(&hoteli_g.epoch, __ATOMIC_ACQUIRE) || !hoteli_rebuild()) return false;
        epoch = hoteli_epoch();
    }
    if (t->epoch != epoch) {
        uint64_t stream = __atomic_add_fetch(&hoteli_g.stream.bits, 1, __ATOMIC_RELAXED);
        hoteli_random_seed(t->random, stream);
        t->shard = (uint32_t)stream & hoteli_g.shard_mask;
        t->random_busy = 0;
        t->epoch = epoch;
    }
    return hoteli_flag_load(&hoteli_g.running) != 0;
}

/* May this thread record now? Sets it up where needed. */
static inline bool hoteli_ready(hoteli_thread *t) {
    uint32_t epoch = hoteli_epoch();
    if (HOTELI_LIKELY(epoch && t->epoch == epoch && !t->quiet &&
                      hoteli_flag_load(&hoteli_g.running)))
        return true;
    if (!__atomic_load_n(&hoteli_g.epoch, __ATOMIC_RELAXED)) return false; /* never started */
    return hoteli_thread_enter(t);
}

/* The innermost attached context whose task, if it belongs to one, is not over. */
static inline const hotel_context *hoteli_top(const hoteli_thread *t) {
    uint32_t depth = HOTELI_MIN(t->depth, (uint32_t)HATCHET_OTEL_MAX_ATTACHED);
    while (depth) {
        const hotel_context *context = &t->slots[--depth].context;
        if (HOTELI_LIKELY(!context->values.index) ||
            context->values.index > hoteli_g.num_chunks || !hoteli_block_finished(context->values))
            return context;
    }
    return NULL;
}

/* Serials are even, with HOTELI_OF_TASK for what a task attached. Threads begin far apart: a token
   is good on its own thread only. */
#define HOTELI_OF_TASK 1u

static uint32_t hoteli_next_serial(hoteli_thread *t) {
    if (!t->serial)
        t->serial = (uint32_t)__atomic_add_fetch(&hoteli_g.stream.bits, 1, __ATOMIC_RELAXED) *
                    0x9e3779b9u & ~HOTELI_OF_TASK;
    return t->serial += 2;
}

/* Takes off what tasks that ended on other threads, or before younger ones, have left on top. */
static inline void hoteli_detach_ended(hoteli_thread *t) {
    while (t->depth && t->depth <= HATCHET_OTEL_MAX_ATTACHED) {
        const hoteli_slot *slot = &t->slots[t->depth - 1];
        hotel_block values = slot->context.values;
        if (HOTELI_LIKELY(!(slot->serial & HOTELI_OF_TASK)) || !values.index ||
            (values.index <= hoteli_g.num_chunks && !hoteli_block_finished(values)))
            break;
        t->depth--;
    }
}

static hotel_token hoteli_attach(const hotel_context *context, uint32_t of_task) {
    hoteli_thread *t = &hoteli_t;
    hotel_token token = {0, 0};
    hoteli_slot *slot = NULL;
    hoteli_detach_ended(t);
    if (of_task && t->depth >= HATCHET_OTEL_MAX_ATTACHED) {
        hoteli_log_later(HOTEL_LOG_ID_ATTACH_DEPTH);
        return token; /* it may end on another thread, which could not count it back */
    }
    token.depth = t->depth + 1;
    token.serial = hoteli_next_serial(t) | of_task;
    if (token.depth <= HATCHET_OTEL_MAX_ATTACHED) slot = &t->slots[token.depth - 1];
    else hoteli_log_later(HOTEL_LOG_ID_ATTACH_DEPTH);
    /* A signal handler sees the slot when it is whole; one that has attached something before that
       took the slot, and gave it back with its own serial in it. */
    do {
        t->depth = token.depth - 1;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (slot) {
            slot->serial = token.serial;
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            if (context) slot->context = *context;
            else memset(&slot->context, 0, sizeof slot->context);
        }
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        t->depth = token.depth;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    } while (slot && slot->serial != token.serial);
    return token;
}

static hotel_result hoteli_detach(hotel_token token) {
    hoteli_thread *t = &hoteli_t;
    bool known = token.depth && token.depth <= t->depth &&
                 (token.depth > HATCHET_OTEL_MAX_ATTACHED ||
                  t->slots[token.depth - 1].serial == token.serial);
    bool last = known && token.depth == t->depth;
    if (known) t->depth = token.depth - 1;
    if (last) return HOTEL_OK;
    hoteli_log_later(HOTEL_LOG_ID_DETACH_ORDER);
    return HOTEL_ERR_ORDER;
}

/* ==== [SECTION 45] STARTING SPANS ========================================================== */

/* A ratio looks at the low-order bits, which are random in every kind of trace ID (SM-08). */
static bool hoteli_ratio_keeps(uint64_t threshold, const uint8_t trace_id[16]) {
    uint64_t bits = 0;
    int i;
    for (i = 8; i < 16; i++) bits = bits << 8 | trace_id[i];
    return bits >> 1 < threshold;
}

/* What is to become of the parent's tracestate. */
enum { HOTELI_STATE_KEPT = 0, HOTELI_STATE_GIVEN, HOTELI_STATE_TH, HOTELI_STATE_NO_TH };

/* What samplers answered. */
typedef struct hoteli_answer {
    hotel_sampling_result result;
    uint32_t above;     /* the annotating sampler around the one that has result.attributes */
    uint32_t state;     /* HOTELI_STATE_* */
    uint64_t threshold; /* what th is to say */
} hoteli_answer;

/* The sampler of the first rule that matches, 0: none. */
static HOTELI_COLD uint32_t hoteli_match(const hoteli_provider *p, uint32_t at,
                                         const hotel_sampling *in) {
    for (at = p->samplers[at].root; at; at = p->samplers[at].next) {
        const hoteli_sampler *sampler = &p->samplers[at];
        if (!sampler->match_fn || sampler->match_fn(in, sampler->match_data)) break;
    }
    return at;
}

/* What a part of a composite wants (SM-15, SM-16): a threshold, or false for none. Not reliable is
   what a parent without th kept: threshold 0, which passes whatever the randomness. */
static HOTELI_COLD bool hoteli_intend(const hoteli_provider *p, uint32_t at,
                                      const hotel_sampling *in, const hoteli_ot *ot,
                                      hoteli_answer *out, bool *reliable) {
    const hotel_span_context *parent = &in->parent->span.context;
    *reliable = true;
    for (;;) {
        const hoteli_sampler *sampler = &p->samplers[at];
        out->threshold = sampler->threshold;
        at = sampler->root;
        switch (sampler->type) {
        case HOTEL_SAMPLER_ALWAYS_ON:
        case HOTEL_SAMPLER_PROBABILITY: return true;
        case HOTEL_SAMPLER_PARENT_THRESHOLD:
            if (!hoteli_valid_ids(parent)) break;
            *reliable = ot->has_th;
            out->threshold = ot->th;
            return ot->has_th || (parent->trace_flags & HOTEL_FLAG_SAMPLED);
        case HOTEL_SAMPLER_RULE_BASED:
            at = hoteli_match(p, (uint32_t)(sampler - p->samplers), in);
            if (!at) return false;
            break;
        case HOTEL_SAMPLER_ANNOTATING:
            if (!sampler->attributes) break;
            out->result.attributes = sampler->attributes;
            out->result.num_attributes = sampler->num_attributes;
            out->above = sampler->above;
            break;
        case HOTEL_SAMPLER_COMPOSITE: break;
        default: return false;
        }
    }
}

/* Consistent sampling: the randomness of the trace against a threshold (SM-10, SM-11, SM-15). */
static HOTELI_COLD hotel_decision hoteli_consistent(const hoteli_provider *p, uint32_t at,
                                                    const hotel_sampling *in, hoteli_answer *out) {
    const hotel_span_context *parent = &in->parent->span.context;
    char state[HOTELI_STATE_SIZE + 1];
    size_t size = hotel_tracestate(&in->parent->span, state, sizeof state);
    hoteli_ot ot = hoteli_tracestate_ot(state, HOTELI_MIN(size, (size_t)HOTELI_STATE_SIZE));
    uint64_t random = ot.has_rv ? ot.rv : 0;
    bool reliable, keep, sampled = (parent->trace_flags & HOTEL_FLAG_SAMPLED) != 0;
    int i;
    for (i = 9; i < 16 && !ot.has_rv; i++) random = random << 8 | in->trace_id[i];
    /* A th that contradicts the flag says nothing (SM-14). */
    ot.has_th = ot.has_th && (random >= ot.th) == sampled;
    keep = hoteli_intend(p, at, in, &ot, out, &reliable);
    if (keep && reliable) {
        if (out->threshold && !ot.has_rv && hoteli_valid_ids(parent) &&
            !(parent->trace_flags & HOTEL_FLAG_RANDOM))
            hoteli_log_later(HOTEL_LOG_ID_NOT_RANDOM);
        keep = random >= out->threshold;
    }
    out->state = keep && reliable ? HOTELI_STATE_TH : HOTELI_STATE_NO_TH;
    return keep ? HOTEL_RECORD_AND_SAMPLE : HOTEL_DROP;
}

/* Goes from sampler to delegate; the list has no circles, because delegates come behind. */
static HOTELI_COLD hotel_decision hoteli_ask_sampler(const hoteli_provider *p, uint32_t at,
                                                     const hotel_sampling *in,
                                                     hoteli_answer *out) {
    const hoteli_sampler *sampler = &p->samplers[at];
    const hotel_span_context *parent = &in->parent->span.context;
    hotel_decision decision;
    switch (sampler->type) {
    case HOTEL_SAMPLER_ALWAYS_ON: return HOTEL_RECORD_AND_SAMPLE;
    case HOTEL_SAMPLER_ALWAYS_OFF: return HOTEL_DROP;
    case HOTEL_SAMPLER_TRACE_ID_RATIO:
        if (hoteli_valid_ids(parent)) hoteli_log_later(HOTEL_LOG_ID_RATIO_WITH_PARENT);
        return hoteli_ratio_keeps(sampler->threshold, in->trace_id) ? HOTEL_RECORD_AND_SAMPLE
                                                                    : HOTEL_DROP;
    case HOTEL_SAMPLER_ALWAYS_RECORD:
        decision = hoteli_ask_sampler(p, sampler->root, in, out);
        return decision == HOTEL_DROP ? HOTEL_RECORD_ONLY : decision;
    case HOTEL_SAMPLER_PARENT_BASED:
        at = (parent->is_remote ? HOTELI_REMOTE_SAMPLED : HOTELI_LOCAL_SAMPLED) +
             (parent->trace_flags & HOTEL_FLAG_SAMPLED ? 0u : 1u);
        at = hoteli_valid_ids(parent) ? sampler->delegates[at] : sampler->root;
        return hoteli_ask_sampler(p, at, in, out);
    case HOTEL_SAMPLER_PROBABILITY:
    case HOTEL_SAMPLER_COMPOSITE: return hoteli_consistent(p, at, in, out);
    default:
        sampler->sample_fn(in, &out->result, sampler->user_data);
        if (out->result.trace_state) out->state = HOTELI_STATE_GIVEN;
        return out->result.decision;
    }
}

/* A sampler makes no spans: what it starts is not recorded. */
static HOTELI_COLD hotel_decision hoteli_ask_samplers(const hoteli_provider *p,
                                                      const hotel_sampling *in,
                                                      hoteli_answer *out) {
    hotel_decision decision;
    hoteli_t.quiet++;
    decision = hoteli_ask_sampler(p, 0, in, out);
    hoteli_loud();
    return decision == HOTEL_RECORD_ONLY || decision == HOTEL_RECORD_AND_SAMPLE ? decision
                                                                                : HOTEL_DROP;
}

/* The plain samplers look at the parent only. */
static inline hotel_decision hoteli_sampled(uint32_t sampler, bool has_parent,
                                            uint8_t parent_flags) {
    bool yes;
    switch (sampler) {
    case HOTEL_SAMPLER_ALWAYS_ON: yes = true; break;
    case HOTEL_SAMPLER_ALWAYS_OFF: yes = false; break;
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF:
        yes = has_parent && (parent_flags & HOTEL_FLAG_SAMPLED);
        break;
    default: yes = !has_parent || (parent_flags & HOTEL_FLAG_SAMPLED); break;
    }
    return yes ? HOTEL_RECORD_AND_SAMPLE : HOTEL_DROP;
}

static HOTELI_COLD void hoteli_custom_ids(const hotel_id_generator *g, hotel_span_context *context,
                                          bool root) {
    hotel_span_context made = *context;
    if (root) {
        g->trace_id_fn(made.trace_id, g->user_data);
        made.trace_flags = g->is_random ? HOTEL_FLAG_RANDOM : 0;
    }
    g->span_id_fn(made.span_id, g->user_data);
    if (hoteli_valid_ids(&made)) *context = made;
}

/* New IDs: a span ID always, a trace ID for a root (SP-10, SP-70, SP-72). */
static inline void hoteli_new_ids(hoteli_thread *t, const hoteli_provider *p,
                                  hotel_span_context *context, bool root) {
    uint64_t id;
    if (root) {
        id = hoteli_random(t);
        memcpy(context->trace_id, &id, 8);
        id = hoteli_random(t);
        memcpy(context->trace_id + 8, &id, 8);
        context->trace_flags = HOTEL_FLAG_RANDOM;
    }
    id = hoteli_random(t);
    memcpy(context->span_id, &id, 8);
    if (HOTELI_UNLIKELY(p->id_generator.trace_id_fn != NULL))
        hoteli_custom_ids(&p->id_generator, context, root);
}

/* A span that carries a context and records nothing. */
static hotel_span hoteli_carrier(const hotel_span_context *context) {
    hotel_span span;
    memset(&span, 0, sizeof span);
    if (context) span.context = *context;
    return span;
}

/* A record for the span whose handle is being made; 0: no chunk is free. */
static inline uint32_t hoteli_record_new(hoteli_thread *t, hotel_span *span,
                                         const hotel_span *parent) {
    static const uint8_t zeros[sizeof(hoteli_record)] = {0};
    uint32_t index = hoteli_take(t);
    hoteli_record *r;
    if (HOTELI_UNLIKELY(!index)) return 0;
    r = hoteli_record_at(index);
    __atomic_store_n(&r->chunk.kind, (uint8_t)HOTELI_RECORD, __ATOMIC_RELAXED);
    r->chunk.used = 0;
    /* A copy becomes a few vector stores; compilers make a slow string instruction of memset. */
    memcpy(&r->more, zeros, sizeof *r - offsetof(hoteli_record, more));
    r->tail = index;
    memcpy(r->trace_id, span->context.trace_id, 16);
    memcpy(r->span_id, span->context.span_id, 8);
    r->trace_flags = span->context.trace_flags;
    if (parent) {
        memcpy(r->parent_id, parent->context.span_id, 8);
        r->flags = parent->context.is_remote ? HOTELI_HAS_PARENT | HOTELI_REMOTE_PARENT
                                             : HOTELI_HAS_PARENT;
    }
    span->record = index;
    span->epoch = t->epoch;
    return index;
}

/* References on what the span inherits; what is gone by now reads as empty. */
static inline void hoteli_inherit(hoteli_record *r, hotel_span *span, hotel_block values) {
    if (HOTELI_UNLIKELY(values.index)) {
        if (hoteli_block_hold(values)) r->values = values;
        else hoteli_stale();
    }
    if (HOTELI_UNLIKELY(span->context.trace_state.index)) {
        if (hoteli_block_hold(span->context.trace_state)) {
            r->trace_state = span->context.trace_state;
        } else {
            memset(&span->context.trace_state, 0, sizeof span->context.trace_state);
            hoteli_stale();
        }
    }
}

/* The attributes that samplers add; of annotating ones the outer win. */
static HOTELI_COLD void hoteli_put_answer(hoteli_writer *w, const hoteli_answer *answer) {
    const hoteli_sampler *samplers = hoteli_provider_of(w->record)->samplers;
    uint32_t at;
    hoteli_put_attributes(w, answer->result.attributes, answer->result.num_attributes);
    for (at = answer->above; at; at = samplers[at].above) {
        if (samplers[at].attributes)
            hoteli_put_attributes(w, samplers[at].attributes, samplers[at].num_attributes);
    }
}

static HOTELI_COLD void hoteli_start_extras(hoteli_writer *w, const hotel_start_options *o) {
    size_t i;
    if (o->attributes) hoteli_put_attributes(w, o->attributes, o->num_attributes);
    for (i = 0; o->links && i < o->num_links; i++) hoteli_put_link(w, &o->links[i]);
}

/* The record becomes a span: its handle's generation, its first entries, its start. */
static inline void hoteli_record_open(hotel_span *span, const char *name, size_t name_size,
                                      const hotel_start_options *o, const hoteli_answer *answer) {
    hoteli_record *r = hoteli_record_at(span->record);
    uintptr_t state = hoteli_next_generation(hoteli_load_relaxed(&r->chunk.state));
    bool given = true;
    hoteli_writer w;
    hoteli_writer_own(&w, r, span->record);
    span->generation = (uint32_t)(state >> HOTELI_GENERATION_SHIFT);
    if (HOTELI_LIKELY(name_size)) {
        if (HOTELI_LIKELY(name_size < 0x80 && name_size + 2 <= (size_t)(w.end - w.at) &&
                          hoteli_copy_text(w.at + 2, name, name_size))) {
            w.at[0] = HOTELI_TAG_NAME;
            w.at[1] = (uint8_t)name_size;
            w.at += 2 + name_size;
            r->size = (uint32_t)(2 + name_size);
        } else {
            hoteli_put_name(&w, name, name_size);
        }
    }
    if (HOTELI_UNLIKELY(answer->result.attributes != NULL)) hoteli_put_answer(&w, answer);
    if (o && (o->num_attributes || o->num_links)) hoteli_start_extras(&w, o);
    hoteli_writer_save(&w);
    r->start = o ? o->start_time_ns : 0;
    if (HOTELI_LIKELY(!r->start)) r->start = hoteli_now_stamp(hoteli_provider_of(r), &given);
    if (HOTELI_UNLIKELY(given)) r->flags |= HOTELI_START_GIVEN;
    hoteli_store(&r->chunk.state, state);
}

/* What is asked for: name, kind, parent, options. */
typedef struct hoteli_wish {
    const char *name;
    size_t name_size;
    int kind;
    const hotel_context *context; /* NULL: none */
    const hotel_start_options *o; /* NULL: none */
} hoteli_wish;

/* The tracestate with th as samplers want it, in `out`; *size 0: none. False: as it is. */
static HOTELI_COLD bool hoteli_sampler_th(const hotel_span *span, const hoteli_answer *answer,
                                          char out[HOTELI_STATE_SIZE + HOTELI_OT_ROOM + 4],
                                          size_t *size) {
    char state[HOTELI_STATE_SIZE + 1];
    size_t n = hotel_tracestate(span, state, sizeof state);
    return hoteli_tracestate_put_th(state, HOTELI_MIN(n, (size_t)HOTELI_STATE_SIZE),
                                    answer->state == HOTELI_STATE_TH ? &answer->threshold : NULL,
                                    out, HOTELI_STATE_SIZE + HOTELI_OT_ROOM + 4, size);
}

/* A dropped span has nothing that could hold another tracestate than its parent's. */
static HOTELI_COLD void hoteli_dropped_state(hotel_span *span, const hoteli_answer *answer) {
    char text[HOTELI_STATE_SIZE + HOTELI_OT_ROOM + 4];
    size_t size;
    bool clear = answer->state == HOTELI_STATE_GIVEN && !*answer->result.trace_state;
    if (answer->state == HOTELI_STATE_NO_TH)
        clear = hoteli_sampler_th(span, answer, text, &size) && !size;
    if (clear) memset(&span->context.trace_state, 0, sizeof span->context.trace_state);
}

/* The decision of samplers that have to be asked. */
static HOTELI_COLD hotel_decision hoteli_sample(const hoteli_provider *p, const hoteli_wish *wish,
                                                const hotel_span *parent, hotel_span *span,
                                                hoteli_answer *answer) {
    hotel_sampling in;
    hotel_context context;
    hotel_decision decision;
    memset((void *)answer, 0, sizeof *answer);
    memset((void *)&in, 0, sizeof in);
    if (wish->context) context = *wish->context;
    else memset(&context, 0, sizeof context);
    if (!parent) memset(&context.span, 0, sizeof context.span);
    in.parent = &context;
    in.trace_id = span->context.trace_id;
    in.name = wish->name;
    in.name_size = wish->name_size;
    in.kind = wish->kind;
    if (wish->o) {
        in.attributes = wish->o->attributes;
        in.num_attributes = in.attributes ? wish->o->num_attributes : 0;
        in.links = wish->o->links;
        in.num_links = in.links ? wish->o->num_links : 0;
    }
    decision = hoteli_ask_samplers(p, &in, answer);
    if (decision == HOTEL_DROP && answer->state) hoteli_dropped_state(span, answer);
    return decision;
}

/* The tracestate by samplers: the record alone holds it. Without space for it the span keeps its
   parent's. */
static HOTELI_COLD void hoteli_sampler_state(hoteli_record *r, hotel_span *span,
                                             const hoteli_answer *answer) {
    char text[HOTELI_STATE_SIZE + HOTELI_OT_ROOM + 4];
    hotel_block state = {0, 0};
    size_t size;
    if (answer->state == HOTELI_STATE_GIVEN) {
        const char *given = answer->result.trace_state;
        if (*given) state = hoteli_extract_state(given, strlen(given));
    } else {
        if (!hoteli_sampler_th(span, answer, text, &size)) return;
        if (size) state = hoteli_state_block(text, size);
        if (size && !state.index) return;
    }
    if (r->trace_state.index) (void)hoteli_block_drop(r->trace_state);
    r->trace_state = span->context.trace_state = state;
}

static HOTELI_COLD void hoteli_run_start_hooks(uint32_t provider, const hotel_span *span,
                                               const hotel_context *context, bool root) {
    hoteli_provider *p = &hoteli_g.providers[provider];
    hotel_context parent;
    uint32_t i;
    int cancel;
    if (!hoteli_hooks_enter(p, HOTELI_ON_START, &cancel)) return;
    if (context) parent = *context;
    else memset(&parent, 0, sizeof parent);
    if (root) memset(&parent.span, 0, sizeof parent.span);
    for (i = 0; i < p->num_processors; i++)
        if (p->processors[i].on_start_fn)
            p->processors[i].on_start_fn(span, &parent, p->processors[i].user_data);
    hoteli_hooks_leave(p, cancel);
}

/* What is left when no chunk is free: the parent, so that the tree stays connected, or a root that
   nobody records. */
static HOTELI_COLD hotel_span hoteli_not_admitted(hoteli_shard *shard, hotel_span *span,
                                                  const hotel_span *parent) {
    hoteli_count(&shard->not_admitted, 1);
    hoteli_log_later(HOTEL_LOG_ID_ARENA_FULL);
    if (parent) return hoteli_carrier(&parent->context);
    span->context.trace_flags &= HOTEL_FLAG_RANDOM;
    return *span;
}

/* The one way to a span. in NULL: the thread's current context. name_size 0: up to the NUL, which
   is looked for when somebody wants to know. Sampling is decided before any work; the clock is
   read last, so that a span does not measure its own making. */
static hotel_span hoteli_start(const char *name, size_t name_size, const hotel_context *in,
                               int kind, const hotel_start_options *o) {
    hoteli_thread *t = &hoteli_t;
    bool ready = hoteli_ready(t);
    const hotel_context *context = in ? in : hoteli_top(t);
    const hotel_span *parent = context && !(o && o->root) ? &context->span : NULL;
    uint32_t scope = HOTELI_GET(hoteli_g.providers[0].default_scope), provider = 0, sampler;
    const hoteli_provider *p = &hoteli_g.providers[0];
    hotel_decision decision;
    hoteli_answer answer;
    hoteli_record *r;
    hotel_span span;
    if (parent && HOTELI_UNLIKELY(!hoteli_valid_ids(&parent->context))) parent = NULL;
    if (o && o->tracer.scope) {
        scope = hoteli_scope_of(o->tracer);
        if (scope == HOTELI_NO_SCOPE) ready = false;
        else provider = hoteli_g.scopes[scope].provider;
        p = &hoteli_g.providers[provider];
    }
    if (HOTELI_UNLIKELY(!ready || !hoteli_flag_load(&p->open)))
        return hoteli_carrier(parent ? &parent->context : NULL);
    span = hoteli_carrier(parent ? &parent->context : NULL);
    span.context.is_remote = false;
    hoteli_new_ids(t, p, &span.context, !parent);
    sampler = HOTELI_GET(p->sampler);
    if (HOTELI_LIKELY(sampler <= HOTEL_SAMPLER_ALWAYS_OFF)) {
        decision = hoteli_sampled(sampler, parent != NULL, span.context.trace_flags);
        answer.result.attributes = NULL;
        answer.state = HOTELI_STATE_KEPT;
    } else {
        hoteli_wish wish = {name, name_size ? name_size : hotel_text_size(name), kind, context, o};
        decision = hoteli_sample(p, &wish, parent, &span, &answer);
    }
    span.context.trace_flags &= HOTEL_FLAG_RANDOM;
    if (decision == HOTEL_DROP) {
        hoteli_count(&hoteli_g.shards[t->shard].unsampled, 1);
        return span;
    }
    if (HOTELI_LIKELY(decision == HOTEL_RECORD_AND_SAMPLE))
        span.context.trace_flags |= HOTEL_FLAG_SAMPLED;
    if (HOTELI_UNLIKELY(!hoteli_record_new(t, &span, parent)))
        return hoteli_not_admitted(&hoteli_g.shards[t->shard], &span, parent);
    r = hoteli_record_at(span.record);
    r->kind = (uint8_t)(kind >= HOTEL_INTERNAL && kind <= HOTEL_CONSUMER ? kind : HOTEL_INTERNAL);
    r->scope = (uint16_t)scope;
    r->provider = (uint8_t)provider;
    if (context) hoteli_inherit(r, &span, context->values);
    if (!name_size) name_size = hotel_text_size(name);
    if (HOTELI_UNLIKELY(answer.state != HOTELI_STATE_KEPT))
        hoteli_sampler_state(r, &span, &answer);
    hoteli_record_open(&span, name, name_size, o, &answer);
    if (HOTELI_UNLIKELY(HOTELI_GET(p->hooks) & HOTELI_ON_START))
        hoteli_run_start_hooks(provider, &span, context, !parent);
    return span;
}

/* ==== [SECTION 46] OTLP ENCODING =========================================================== */

/* A payload in one piece: in place where it is one chunk, else copied to a scratch buffer. */
static const uint8_t *hoteli_flat(hoteli_cursor c, size_t size, const hoteli_scratch *scratch) {
    if (size <= (size_t)(c.end - c.at)) return c.at;
    if (size > scratch->room) return NULL;
    hoteli_read(&c, scratch->bytes[0], size);
    return scratch->bytes[0];
}

/* A block's bytes, if it is still the one meant. Blocks recur from span to span: their scratch
   buffers (1 or 2) keep the last one. */
static const uint8_t *hoteli_flat_block(hotel_block block, hoteli_scratch *scratch, int buffer,
                                        size_t *size) {
    hoteli_block_head *head;
    hoteli_cursor c;
    *size = 0;
    if (!block.index || hoteli_chunk_at(block.index)->kind != HOTELI_BLOCK ||
        (uint32_t)(hoteli_load(&hoteli_chunk_at(block.index)->state) >> HOTELI_GENERATION_SHIFT) !=
            block.generation)
        return NULL;
    head = hoteli_block_at(block.index);
    c = hoteli_block_cursor(block.index);
    *size = HOTELI_MIN(head->size, buffer == 2 ? HOTELI_STATE_SIZE : scratch->room);
    if (*size <= (size_t)(c.end - c.at)) return c.at;
    if (scratch->block[buffer].index != block.index ||
        scratch->block[buffer].generation != block.generation) {
        hoteli_read(&c, scratch->bytes[buffer], *size);
        scratch->block[buffer] = block;
    }
    return scratch->bytes[buffer];
}

/* A span on its way out: its payload in one piece, and what has to be done to it. */
typedef struct hoteli_view {
    hoteli_record *record;
    const hoteli_anchor *anchor;
    const uint8_t *payload;
    const uint8_t *values; /* inherited attributes */
    const uint8_t *state;  /* tracestate */
    size_t values_size;
    size_t state_size;
    bool as_is;     /* the payload can be copied */
    bool overlap;   /* an inherited key may be the span's own */
    size_t size;    /* encoded, without tag and length */
} hoteli_view;

/* One entry of the payload, written or measured: the dead are left out, ticks become time. */
static size_t hoteli_write_entry(const hoteli_entry *e, const hoteli_anchor *anchor, uint8_t *out) {
    if (e->tag == HOTELI_TAG_DEAD) return 0;
    if (out && e->tag == HOTELI_TAG_TICK_EVENT) {
        const uint8_t *from = e->body.at + 1;
        hoteli_cursor c = hoteli_cursor_flat(out, e->size);
        uint64_t ticks = 0;
        int i;
        for (i = 7; i >= 0; i--) ticks = ticks << 8 | from[i];
        hoteli_write_head(&c, HOTELI_TAG_EVENT, e->body_size);
        hoteli_write_byte(&c, 0x09);
        hoteli_write_fixed64(&c, hoteli_anchor_time(anchor, ticks));
        hoteli_write(&c, from + 8, e->body_size - 9);
    } else if (out) {
        hoteli_cursor c = hoteli_cursor_flat(out, e->size);
        hoteli_write_field(&c, e->tag, e->body.at, e->body_size);
    }
    return hoteli_field_size(e->body_size);
}

/* Does the span itself have an attribute with the key of this encoded one? */
static bool hoteli_own_key(const hoteli_view *v, const uint8_t *key, size_t key_size) {
    hoteli_cursor c = hoteli_cursor_flat(v->payload, v->record->size);
    size_t left = v->record->size;
    if (!hoteli_filter_has(&v->record->filter, hoteli_key_hash(key, key_size))) return false;
    while (left) {
        hoteli_entry e;
        hoteli_cursor at;
        hoteli_entry_read(&c, &e);
        left -= e.size;
        if (e.tag != HOTELI_TAG_ATTRIBUTE) continue;
        at = e.body;
        at.at++;
        if (hoteli_read_varint(&at) == key_size && memcmp(at.at, key, key_size) == 0) return true;
    }
    return false;
}

/* The inherited attributes that the span does not have itself. */
static size_t hoteli_write_inherited(hoteli_view *v, uint8_t *out) {
    hoteli_cursor c = hoteli_cursor_flat(v->values, v->values_size);
    size_t left = v->values_size, total = 0;
    if (!v->overlap) {
        if (out) memcpy(out, v->values, v->values_size);
        return v->values_size;
    }
    while (left) {
        hoteli_entry e;
        hoteli_cursor at;
        size_t key_size;
        hoteli_entry_read(&c, &e);
        left -= e.size;
        at = e.body;
        at.at++;
        key_size = (size_t)hoteli_read_varint(&at);
        if (hoteli_own_key(v, at.at, key_size)) continue;
        if (out) memcpy(out + total, e.start.at, e.size);
        total += e.size;
    }
    return total;
}

static size_t hoteli_write_payload(hoteli_view *v, uint8_t *out) {
    hoteli_cursor c = hoteli_cursor_flat(v->payload, v->record->size);
    size_t left = v->record->size, total = 0;
    if (v->as_is) {
        if (out) memcpy(out, v->payload, left);
        return left;
    }
    while (left) {
        hoteli_entry e;
        hoteli_entry_read(&c, &e);
        left -= e.size;
        total += hoteli_write_entry(&e, v->anchor, out ? out + total : NULL);
    }
    return total;
}

/* Looks at a record and measures what it takes on the wire. */
static void hoteli_view_start(hoteli_view *v, hoteli_record *r, hoteli_scratch *scratch,
                              const hoteli_anchor *anchor) {
    memset(v, 0, sizeof *v);
    v->record = r;
    v->anchor = anchor;
    v->payload = hoteli_flat(hoteli_record_cursor(r), r->size, scratch);
    v->values = hoteli_flat_block(r->values, scratch, 1, &v->values_size);
    v->state_size = 0;
    if (r->trace_state.index)
        v->state = hoteli_flat_block(r->trace_state, scratch, 2, &v->state_size);
    v->as_is = !(r->flags & (HOTELI_HAS_DEAD | HOTELI_HAS_TICKS));
    if (v->values) {
        const hoteli_block_head *head = hoteli_block_at(r->values.index);
        uint16_t i;
        for (i = 0; i < head->num_keys && !v->overlap; i++)
            v->overlap = hoteli_filter_has(&r->filter, head->keys[i]);
    }
    if (r->flags & HOTELI_MEASURED) {
        v->size = r->wire_size;
        return;
    }
    v->size = 18 + 10 + 2 + 9 + 9 + 6 + (r->flags & HOTELI_HAS_PARENT ? 10 : 0);
    if (v->state_size) v->size += hoteli_field_size(v->state_size);
    if (r->dropped_attributes) v->size += 1 + hoteli_varint_size(r->dropped_attributes);
    if (r->dropped_events) v->size += 1 + hoteli_varint_size(r->dropped_events);
    if (r->dropped_links) v->size += 1 + hoteli_varint_size(r->dropped_links);
    v->size += hoteli_write_payload(v, NULL);
    if (v->values) v->size += hoteli_write_inherited(v, NULL);
    r->wire_size = (uint32_t)v->size;
    r->flags |= HOTELI_MEASURED;
}

static void hoteli_write_dropped(hoteli_cursor *c, uint8_t tag, uint32_t count) {
    if (!count) return;
    hoteli_write_byte(c, tag);
    hoteli_write_varint(c, count);
}

/* Writes the span as a field of ScopeSpans; returns the end. */
static uint8_t *hoteli_write_span(hoteli_view *v, uint8_t *out) {
    const hoteli_record *r = v->record;
    hoteli_cursor c = hoteli_cursor_flat(out, v->size + 11);
    bool given = (r->flags & HOTELI_START_GIVEN) != 0;
    uint32_t flags = (uint32_t)r->trace_flags | 0x100u;
    if (r->flags & HOTELI_REMOTE_PARENT) flags |= 0x200u;
    hoteli_write_head(&c, 0x12, v->size);
    hoteli_write_field(&c, 0x0a, r->trace_id, 16);
    hoteli_write_field(&c, 0x12, r->span_id, 8);
    if (v->state_size) hoteli_write_field(&c, 0x1a, v->state, v->state_size);
    if (r->flags & HOTELI_HAS_PARENT) hoteli_write_field(&c, 0x22, r->parent_id, 8);
    hoteli_write_byte(&c, 0x30);
    hoteli_write_byte(&c, r->kind);
    hoteli_write_byte(&c, 0x39);
    hoteli_write_fixed64(&c, given ? r->start : hoteli_anchor_time(v->anchor, r->start));
    hoteli_write_byte(&c, 0x41);
    hoteli_write_fixed64(&c, r->end_given ? r->end : hoteli_anchor_time(v->anchor, r->end));
    c.at += hoteli_write_payload(v, c.at);
    if (v->values) c.at += hoteli_write_inherited(v, c.at);
    hoteli_write_dropped(&c, 0x50, r->dropped_attributes);
    hoteli_write_dropped(&c, 0x60, r->dropped_events);
    hoteli_write_dropped(&c, 0x70, r->dropped_links);
    hoteli_write_byte(&c, 0x85);
    hoteli_write_byte(&c, 0x01);
    hoteli_write_fixed32(&c, flags);
    return c.at;
}

/* ---- a request from the first spans of a queue ---- */

typedef struct hoteli_batch {
    const hoteli_provider *provider;
    uint32_t count;                      /* spans in it */
    uint32_t num_scopes;                 /* present */
    uint16_t order[HOTELI_MAX_SCOPES];   /* their indices, by first appearance */
    size_t bytes[HOTELI_MAX_SCOPES];     /* of the spans of scope i */
    size_t size;                         /* whole request */
} hoteli_batch;

static uint32_t hoteli_queue_at(const hoteli_destination *d, uint32_t i) {
    return d->queue[(d->first + i) % d->max_queue];
}

/* Bytes of ScopeSpans without tag and length. */
static size_t hoteli_scope_bytes(const hoteli_batch *b, uint32_t scope) {
    return hoteli_block_at(hoteli_g.scopes[scope].block.index)->size + b->bytes[scope];
}

/* Size of the request that holds the batch (ResourceSpans is its only field). */
static size_t hoteli_batch_bytes(const hoteli_batch *b) {
    size_t body = b->provider->resource_size + b->provider->resource_schema_size;
    uint32_t i;
    for (i = 0; i < b->num_scopes; i++)
        body += hoteli_field_size(hoteli_scope_bytes(b, b->order[i]));
    return body;
}

/* Hatchet has a partition for each day from its first one to tomorrow. A span that starts on
   another is refused with all of its request, so that those who may go alone. */
static bool hoteli_goes_alone(const hoteli_destination *d, const hoteli_record *r) {
    const uint64_t day = UINT64_C(86400000000000);
    const hoteli_anchor *anchor = &hoteli_g.anchor;
    uint64_t start = r->start;
    if (!d->hatchet) return false;
    if (!(r->flags & HOTELI_START_GIVEN)) start = hoteli_anchor_time(anchor, start);
    return start < anchor->unix_ns ? anchor->unix_ns - start > day : start - anchor->unix_ns > day;
}

/* Chooses how many spans go: up to max_batch, and as many as fit. The wire size of each is kept
   in its record until it is written. */
static void hoteli_batch_choose(hoteli_batch *b, hoteli_destination *d, size_t room) {
    bool alone = false;
    memset(b, 0, sizeof *b);
    b->provider = d->provider;
    while (b->count < d->count && b->count < d->max_batch && !alone) {
        hoteli_view v;
        uint32_t index = hoteli_queue_at(d, b->count), scope;
        alone = hoteli_goes_alone(d, hoteli_record_at(index));
        if (alone && b->count) break;
        if (b->count + 1 < d->count)
            __builtin_prefetch(hoteli_record_at(hoteli_queue_at(d, b->count + 1)), 0);
        hoteli_view_start(&v, hoteli_record_at(index), &hoteli_g.scratch, &hoteli_g.anchor);
        scope = v.record->scope;
        if (!b->bytes[scope]) b->order[b->num_scopes++] = (uint16_t)scope;
        b->bytes[scope] += hoteli_field_size(v.size);
        if (hoteli_field_size(hoteli_batch_bytes(b)) > room) {
            b->bytes[scope] -= hoteli_field_size(v.size);
            if (!b->bytes[scope]) b->num_scopes--;
            break;
        }
        b->count++;
    }
    b->size = hoteli_field_size(hoteli_batch_bytes(b));
}

/* Encodes the batch; the views are made again, from cache. */
static void hoteli_batch_write(const hoteli_batch *b, hoteli_destination *d, uint8_t *out) {
    hoteli_cursor c = hoteli_cursor_flat(out, b->size);
    uint32_t s, i;
    hoteli_write_head(&c, 0x0a, hoteli_batch_bytes(b));
    hoteli_write(&c, b->provider->resource, b->provider->resource_size);
    for (s = 0; s < b->num_scopes; s++) {
        uint32_t scope = b->order[s];
        hoteli_cursor text = hoteli_block_cursor(hoteli_g.scopes[scope].block.index);
        size_t whole = hoteli_block_at(hoteli_g.scopes[scope].block.index)->size;
        size_t prefix = hoteli_g.scopes[scope].prefix;
        hoteli_write_head(&c, 0x12, hoteli_scope_bytes(b, scope));
        hoteli_copy(&c, &text, prefix);
        for (i = 0; i < b->count; i++) {
            hoteli_view v;
            hoteli_record *r = hoteli_record_at(hoteli_queue_at(d, i));
            if (r->scope != scope) continue;
            hoteli_view_start(&v, r, &hoteli_g.scratch, &hoteli_g.anchor);
            c.at = hoteli_write_span(&v, c.at);
        }
        hoteli_copy(&c, &text, whole - prefix);
    }
    hoteli_write(&c, b->provider->resource_schema, b->provider->resource_schema_size);
}

/* ---- finished spans for processors ---- */

/* Space to encode a span of ordinary size on the stack of the thread that ends it. */
#define HOTELI_STAGE 2048u
typedef struct hoteli_stage {
    uint8_t payload[HOTELI_STAGE];
    uint8_t values[HOTELI_STAGE];
    uint8_t state[HOTELI_STATE_SIZE];
    uint8_t scope[HOTELI_SCOPE_SIZE];
    uint8_t encoded[3 * HOTELI_STAGE];
} hoteli_stage;

/* Larger ones take turns in a buffer that set-up made: max_span_bytes for the payload, as much for
   inherited values, and both again, encoded. */
static size_t hoteli_pool_size(size_t max_span_bytes) {
    return 4 * max_span_bytes + HOTELI_STATE_SIZE + 512;
}

static bool hoteli_pool_enter(hoteli_provider *p) {
    if (hoteli_t.pooled) return false; /* a signal handler inside a hook */
    while (!hoteli_flag_cas(&p->pool_busy, 0, 1)) (void)sched_yield();
    hoteli_t.pooled = true;
    return true;
}

static void hoteli_pool_leave(hoteli_provider *p) {
    if (!hoteli_t.pooled) return; /* in a child that was forked inside */
    hoteli_t.pooled = false;
    hoteli_flag_store(&p->pool_busy, 0);
}

/* In a fork child: of the threads that were in processors none is here. */
static void hoteli_hooks_forked(void) {
    uint32_t i;
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++) {
        hoteli_store(&hoteli_g.providers[i].inside, 0);
        hoteli_flag_store(&hoteli_g.providers[i].pool_busy, 0);
    }
    hoteli_t.pooled = false;
}

/* Encodes the span with that space, and shows it to those who want to see it. */
static void hoteli_show(const hoteli_provider *p, hoteli_view *v, const hoteli_stage *stage,
                        size_t scope_size, uint8_t *encoded) {
    hotel_span_view view;
    const uint8_t *span = encoded;
    uint32_t i;
    size_t size = (size_t)(hoteli_write_span(v, encoded) - encoded);
    span += size - v->size; /* without tag and length */
    if (!hoteli_view_parse(&view, p->resource, p->resource_size, p->resource_schema,
                           p->resource_schema_size, stage->scope, scope_size, span, v->size))
        return;
    for (i = 0; i < p->num_processors; i++)
        if (p->processors[i].on_end_fn)
            p->processors[i].on_end_fn(&view, p->processors[i].user_data);
}

/* Unix time by a reading of this moment: the exporter's anchor is not for other threads. */
static hoteli_anchor hoteli_anchor_here(void) {
    hoteli_anchor anchor;
    uint64_t bits = __atomic_load_n(&hoteli_g.rate, __ATOMIC_RELAXED);
    memset(&anchor, 0, sizeof anchor);
    memcpy(&anchor.ns_per_tick, &bits, 8);
    anchor.unix_ns = hoteli_read_pair(CLOCK_REALTIME, &anchor.ticks);
    return anchor;
}

static HOTELI_COLD void hoteli_encode_for_hooks(hoteli_provider *p, hoteli_record *record) {
    uint32_t scope = hoteli_g.scopes[record->scope].block.index;
    size_t scope_size = hoteli_block_at(scope)->size; /* at most HOTELI_SCOPE_SIZE */
    hoteli_anchor anchor = hoteli_anchor_here();
    hoteli_stage stage;
    hoteli_scratch scratch;
    hoteli_cursor c = hoteli_block_cursor(scope);
    hoteli_view v;
    uint8_t *encoded = stage.encoded;
    size_t room = HOTELI_GET(hoteli_g.max_span_bytes);
    uint32_t values = record->values.index;
    bool pooled = record->size > HOTELI_STAGE ||
                  (values && hoteli_block_at(values)->size > HOTELI_STAGE);
    memset(&scratch, 0, sizeof scratch);
    hoteli_read(&c, stage.scope, scope_size);
    scratch.room = HOTELI_STAGE;
    scratch.bytes[0] = stage.payload;
    scratch.bytes[1] = stage.values;
    scratch.bytes[2] = stage.state;
    if (pooled) {
        if (!hoteli_pool_enter(p)) {
            hoteli_count(&hoteli_g.limited, 1);
            hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
            return;
        }
        scratch.room = room;
        scratch.bytes[0] = p->pool;
        scratch.bytes[1] = p->pool + room;
        encoded = p->pool + 2 * room;
    }
    hoteli_view_start(&v, record, &scratch, &anchor);
    hoteli_show(p, &v, &stage, scope_size, encoded);
    if (pooled) hoteli_pool_leave(p);
}

static HOTELI_COLD void hoteli_run_end_hooks(uint32_t provider, hoteli_record *record) {
    hoteli_provider *p = &hoteli_g.providers[provider & (HOTELI_MAX_PROVIDERS - 1)];
    int cancel;
    if (!hoteli_hooks_enter(p, HOTELI_ON_END, &cancel)) return;
    if (hoteli_g.scopes[record->scope].serial == HOTELI_GET(p->serial))
        hoteli_encode_for_hooks(p, record);
    hoteli_hooks_leave(p, cancel);
}

/* ==== [SECTION 47] SOCKETS ================================================================= */

/* The one call that cannot be bounded, on a thread of its own. */
static void *hoteli_lookup_run(void *argument) {
    hoteli_lookup *l = (hoteli_lookup *)argument;
    struct addrinfo hints, *found = NULL, *a;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(l->host, NULL, &hints, &found) == 0) {
        for (a = found; a && l->count < 8; a = a->ai_next) {
            if (a->ai_addrlen > sizeof l->addresses[0]) continue;
            memcpy(&l->addresses[l->count++], a->ai_addr, a->ai_addrlen);
        }
        freeaddrinfo(found);
    }
    if (__atomic_fetch_or(&l->state.bits, 1u, __ATOMIC_ACQ_REL)) free(l);
    return NULL;
}

static void hoteli_lookup_abandon(hoteli_lookup *l) {
    if (l && __atomic_fetch_or(&l->state.bits, 2u, __ATOMIC_ACQ_REL)) free(l);
}

typedef struct hoteli_launch {
    void *(*run)(void *);
    void *argument;
    hoteli_flag begun;
} hoteli_launch;

#if defined(__GLIBC__)
/* Of the C library, which calls the function when the thread ends and does not unload the shared
   object that holds the last argument before. */
extern int hoteli_at_thread_end(void (*function)(void *), void *argument, void *object)
    __asm__("__cxa_thread_atexit_impl") __attribute__((weak));

static void hoteli_unpin(void *unused) { (void)unused; }
#endif

/* A plugin that is closed without hotel_shutdown, or while a name is being looked up, stays in
   memory until its threads have ended. */
static void *hoteli_thread_main(void *argument) {
    hoteli_launch *launch = (hoteli_launch *)argument;
    void *(*run)(void *) = launch->run;
    argument = launch->argument;
#if defined(__GLIBC__)
    if (hoteli_at_thread_end) (void)hoteli_at_thread_end(hoteli_unpin, NULL, &hoteli_g);
#endif
    hoteli_flag_store(&launch->begun, 1);
    return run(argument);
}

/* A thread with all signals blocked: none of the host's handlers runs on it. Returns when it
   runs. */
static int hoteli_thread_start(pthread_t *thread, void *(*run)(void *), void *argument,
                               bool detached) {
    hoteli_launch launch;
    pthread_attr_t attributes;
    sigset_t all, old;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    launch.run = run;
    launch.argument = argument;
    launch.begun.bits = 0;
    if (detached) (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(thread, &attributes, hoteli_thread_main, &launch);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attributes);
    while (!error && !hoteli_flag_load(&launch.begun)) hoteli_nap(0);
    return error;
}

static void hoteli_socket_add(hoteli_socket *s, const struct sockaddr_storage *address) {
    hoteli_address a;
    if (s->count >= sizeof s->addresses / sizeof s->addresses[0]) return;
    memcpy(&a, address, sizeof a);
    if (a.any.sa_family == AF_INET) a.v4.sin_port = htons(s->port);
    else if (a.any.sa_family == AF_INET6) a.v6.sin6_port = htons(s->port);
    else if (a.any.sa_family != AF_UNIX) return;
    s->addresses[s->count++] = a;
}

/* Addresses that need no lookup: sockets in the file system, numbers, localhost (RFC 6761). */
static bool hoteli_socket_literal(hoteli_socket *s, const char *host) {
    struct sockaddr_storage a;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&a;
    bool local = hoteli_is_word(host, strlen(host), "localhost");
    memset(&a, 0, sizeof a);
    if (host[0] == '/') {
        a.ss_family = AF_UNIX;
        s->path = host; /* the destination's, which outlives the connection */
        hoteli_socket_add(s, &a);
        return true;
    }
    if (inet_pton(AF_INET, local ? "127.0.0.1" : host, &v4->sin_addr) == 1) {
        a.ss_family = AF_INET;
        hoteli_socket_add(s, &a);
        if (!local) return true;
        memset(&a, 0, sizeof a);
    }
    if (inet_pton(AF_INET6, local ? "::1" : host, &v6->sin6_addr) == 1) {
        a.ss_family = AF_INET6;
        hoteli_socket_add(s, &a);
        return true;
    }
    return local;
}

/* The answer comes later. */
static bool hoteli_socket_look_up(hoteli_socket *s, const char *host) {
    hoteli_lookup *l = (hoteli_lookup *)calloc(1, sizeof *l);
    pthread_t thread;
    if (!l) return false;
    memcpy(l->host, host, HOTELI_MIN(strlen(host), sizeof l->host - 1));
    s->lookup = l;
    if (hoteli_thread_start(&thread, hoteli_lookup_run, l, true) == 0) return true;
    s->lookup = NULL;
    free(l);
    return false;
}

static void *hoteli_socket_open(const char *host, uint16_t port, void *user_data) {
    hoteli_socket *s = (hoteli_socket *)user_data;
    s->port = port;
    s->fd = -1;
    s->next = s->count = 0;
    s->connected = false;
    if (!hoteli_socket_literal(s, host) && !hoteli_socket_look_up(s, host)) return NULL;
    return s;
}

/* Makes a descriptor ours. 0, 1 and 2 are the host's even where it has closed them: what it prints
   must not get into a connection. */
static bool hoteli_own_descriptor(int *at) {
    int fd = *at, flags;
    if (fd <= 2) {
        *at = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        (void)close(fd);
        fd = *at;
    }
    flags = fcntl(fd, F_GETFL);
#ifdef SO_NOSIGPIPE
    {
        int one = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
    }
#endif
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Starts to connect to the next address. */
static int hoteli_socket_try(hoteli_socket *s) {
    const struct sockaddr *a = &s->addresses[s->next++].any;
    socklen_t size = a->sa_family == AF_INET    ? (socklen_t)sizeof(struct sockaddr_in)
                     : a->sa_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                : (socklen_t)sizeof(struct sockaddr_un);
    struct sockaddr_un un;
    int one = 1, family = a->sa_family;
    if (family == AF_UNIX) {
        memset(&un, 0, sizeof un);
        un.sun_family = AF_UNIX;
        memcpy(un.sun_path, s->path, HOTELI_MIN(strlen(s->path), sizeof un.sun_path - 1));
        a = (const struct sockaddr *)(const void *)&un;
    }
    s->fd = socket(family, SOCK_STREAM | HOTELI_CLOEXEC, 0);
    if (s->fd < 0) return HOTEL_IO_REFUSED;
    if (!hoteli_own_descriptor(&s->fd)) return HOTEL_IO_REFUSED;
    if (family != AF_UNIX)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->started_ms = hoteli_now_ms();
    if (connect(s->fd, a, size) == 0) {
        s->connected = true;
        return HOTEL_IO_DONE;
    }
    return errno == EINPROGRESS || errno == EINTR ? HOTEL_IO_WANT_WRITE : HOTEL_IO_REFUSED;
}

static void hoteli_socket_shut(hoteli_socket *s) {
    if (s->fd >= 0) (void)close(s->fd);
    s->fd = -1;
}

/* The state of a connect in progress. An address that stays silent gives way to the next one
   after two seconds. */
static int hoteli_socket_check(hoteli_socket *s) {
    struct pollfd p;
    int error = 0;
    socklen_t size = sizeof error;
    p.fd = s->fd;
    p.events = POLLOUT;
    p.revents = 0;
    if (poll(&p, 1, 0) <= 0) {
        bool late = hoteli_now_ms() - s->started_ms > 2000 && s->next < s->count;
        if (late) errno = ETIMEDOUT;
        return late ? HOTEL_IO_REFUSED : HOTEL_IO_WANT_WRITE;
    }
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return HOTEL_IO_REFUSED;
    if (error) {
        errno = error;
        return HOTEL_IO_REFUSED;
    }
    s->connected = true;
    return HOTEL_IO_DONE;
}

static int hoteli_socket_connect(void *connection) {
    hoteli_socket *s = (hoteli_socket *)connection;
    if (s->lookup) {
        size_t i;
        if (!(hoteli_flag_load(&s->lookup->state) & 1u)) return HOTEL_IO_WANT_READ;
        for (i = 0; i < s->lookup->count; i++) hoteli_socket_add(s, &s->lookup->addresses[i]);
        free(s->lookup);
        s->lookup = NULL;
        errno = 0;
        if (!s->count) return HOTEL_IO_REFUSED;
    }
    for (;;) {
        int result = s->fd >= 0 ? hoteli_socket_check(s)
                     : s->next < s->count ? hoteli_socket_try(s) : (int)HOTEL_IO_REFUSED;
        if (result != HOTEL_IO_REFUSED || s->next >= s->count) return result;
        hoteli_socket_shut(s);
    }
}

static ptrdiff_t hoteli_socket_result(ssize_t n, hotel_io want) {
    if (n > 0) return n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return want;
    return HOTEL_IO_REFUSED;
}

static ptrdiff_t hoteli_socket_send(void *connection, const void *bytes, size_t size) {
    hoteli_socket *s = (hoteli_socket *)connection;
    ptrdiff_t n =
        hoteli_socket_result(send(s->fd, bytes, size, MSG_NOSIGNAL), HOTEL_IO_WANT_WRITE);
    /* The peer may be well and wait for the rest: the answer that is looked for now would not come
       before the deadline. */
    if (n < 0 && n == HOTEL_IO_REFUSED && errno != EPIPE && errno != ECONNRESET)
        (void)shutdown(s->fd, SHUT_RDWR);
    return n;
}

static ptrdiff_t hoteli_socket_receive(void *connection, void *bytes, size_t size) {
    hoteli_socket *s = (hoteli_socket *)connection;
    ssize_t n = recv(s->fd, bytes, size, 0);
    if (n == 0) return HOTEL_IO_CLOSED;
    return hoteli_socket_result(n, HOTEL_IO_WANT_READ);
}

static int hoteli_socket_descriptor(void *connection) {
    return ((hoteli_socket *)connection)->fd;
}

static void hoteli_socket_close(void *connection, bool inherited) {
    hoteli_socket *s = (hoteli_socket *)connection;
    hoteli_socket_shut(s);
    /* After a fork the lookup belongs to a thread of the parent. */
    if (!inherited) hoteli_lookup_abandon(s->lookup);
    s->lookup = NULL;
}

/* ==== [SECTION 48] TLS ===================================================================== */

#if defined(HATCHET_OTEL_OPENSSL)

/*
 * TLS by OpenSSL, 1.1.1 or later, between the built-in socket and the protocols: the same table of
 * functions, whose connection is the request it belongs to. OpenSSL moves its bytes by our own
 * functions, because its own would raise SIGPIPE. A destination has a context, made from its
 * settings by hotel_init; a connection has a session of its own in it.
 *
 * Nothing of this runs while the process forks or after OpenSSL has cleaned itself up: every use
 * stands between hoteli_tls_enter and hoteli_tls_leave, and no callback of the host is called in
 * between.
 */

/* Errors that the thread, which may be the host's, had in OpenSSL's queue before. */
typedef struct hoteli_tls_errors {
    unsigned long kept[16];
    size_t count;
} hoteli_tls_errors;

/* With an empty queue, as OpenSSL wants it; false: OpenSSL is not there any more. */
static bool hoteli_tls_enter(hoteli_tls_errors *errors) {
    errors->count = 0;
    for (;;) {
        (void)__atomic_add_fetch(&hoteli_g.tls_inside.bits, 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&hoteli_g.tls_forks.bits, __ATOMIC_SEQ_CST) &&
            !__atomic_load_n(&hoteli_g.tls_gone.bits, __ATOMIC_SEQ_CST))
            break;
        (void)hoteli_sub(&hoteli_g.tls_inside, 1);
        if (hoteli_flag_load(&hoteli_g.tls_gone)) return false;
        hoteli_nap(1);
    }
    while (errors->count < sizeof errors->kept / sizeof errors->kept[0] &&
           (errors->kept[errors->count] = ERR_get_error()) != 0)
        errors->count++;
    return true;
}

static void hoteli_tls_leave(const hoteli_tls_errors *errors) {
    size_t i;
    ERR_clear_error();
    for (i = 0; i < errors->count; i++) {
        unsigned long code = errors->kept[i];
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
        ERR_new();
        ERR_set_error(ERR_GET_LIB(code), ERR_GET_REASON(code), NULL);
#else
        ERR_put_error(ERR_GET_LIB(code), ERR_GET_FUNC(code), ERR_GET_REASON(code), "", 0);
#endif
    }
    (void)hoteli_sub(&hoteli_g.tls_inside, 1);
}

/* Until nobody is inside. A thread that forks or exits in a signal handler may be so itself. */
static void hoteli_tls_wait(void) {
    int i;
    for (i = 0; i < 200 && __atomic_load_n(&hoteli_g.tls_inside.bits, __ATOMIC_SEQ_CST); i++)
        hoteli_nap(1);
}

/* OpenSSL cleans up: by the host's call, or at exit if the host was the first to use it. */
static void hoteli_tls_gone(void) {
    (void)hoteli_flag_swap(&hoteli_g.tls_gone, 1);
    hoteli_tls_wait();
}

/* A child must not inherit what OpenSSL has half done. */
static void hoteli_tls_before_fork(void) {
    (void)__atomic_add_fetch(&hoteli_g.tls_forks.bits, 1, __ATOMIC_SEQ_CST);
    hoteli_tls_wait();
}

static void hoteli_tls_after_fork(void) { (void)hoteli_sub(&hoteli_g.tls_forks, 1); }

static void hoteli_tls_forked(void) {
    hoteli_store(&hoteli_g.tls_forks, 0);
    hoteli_store(&hoteli_g.tls_inside, 0);
}

/* First of all: whoever comes first decides whether OpenSSL cleans up at exit, where threads may
   still be inside. */
static bool hoteli_tls_start(void) {
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) != 1) return false;
    if (!hoteli_g.tls_watched) hoteli_g.tls_watched = OPENSSL_atexit(hoteli_tls_gone) == 1;
    return hoteli_g.tls_watched;
}

/* ---- what is wrong, in words ---- */

static void hoteli_tls_text(hoteli_text *text, hoteli_request *r) {
    hoteli_text_start(text, r->tls.words, sizeof r->tls.words);
}

/* The first explanation counts: it is the nearest to the cause. */
static void hoteli_tls_say(hoteli_request *r, const char *words) {
    hoteli_text text;
    if (r->tls.words[0]) return;
    hoteli_tls_text(&text, r);
    hoteli_say(&text, words);
}

/* What a certificate has in it, in quotes. */
static void hoteli_tls_say_bytes(hoteli_text *text, const unsigned char *bytes, int size) {
    char words[81];
    size_t i, n = size > 0 ? (size_t)size : 0;
    for (i = 0; i < n && i < sizeof words; i++)
        words[i] = (char)(bytes[i] < 0x20 || bytes[i] > 0x7e ? '.' : bytes[i]);
    hoteli_say_quoted(text, words, i);
}

static void hoteli_tls_say_two(hoteli_text *text, int number) {
    if (number < 10) hoteli_say(text, "0");
    hoteli_say_uint(text, (uint64_t)number);
}

/* "2026-01-31 23:59:59 UTC". */
static void hoteli_tls_say_time(hoteli_text *text, const ASN1_TIME *at) {
    struct tm t;
    memset(&t, 0, sizeof t);
    if (!at || ASN1_TIME_to_tm(at, &t) != 1) {
        hoteli_say(text, "an unreadable date");
        return;
    }
    hoteli_say_uint(text, (uint64_t)t.tm_year + 1900);
    hoteli_say(text, "-");
    hoteli_tls_say_two(text, t.tm_mon + 1);
    hoteli_say(text, "-");
    hoteli_tls_say_two(text, t.tm_mday);
    hoteli_say(text, " ");
    hoteli_tls_say_two(text, t.tm_hour);
    hoteli_say(text, ":");
    hoteli_tls_say_two(text, t.tm_min);
    hoteli_say(text, ":");
    hoteli_tls_say_two(text, t.tm_sec);
    hoteli_say(text, " UTC");
}

/* The names and addresses that a certificate is for, the first few of them. */
static void hoteli_tls_say_names(hoteli_text *text, const X509 *certificate) {
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int i, count = names ? sk_GENERAL_NAME_num(names) : 0, said = 0, more = 0;
    for (i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = name->type == GEN_DNS     ? name->d.dNSName
                                   : name->type == GEN_IPADD ? name->d.iPAddress
                                                             : NULL;
        int size = value ? ASN1_STRING_length(value) : 0;
        const unsigned char *bytes = value ? ASN1_STRING_get0_data(value) : NULL;
        char address[INET6_ADDRSTRLEN];
        if (!value || (name->type == GEN_IPADD && size != 4 && size != 16)) continue;
        if (said == 4) {
            more++;
            continue;
        }
        hoteli_say(text, said++ ? ", " : "");
        if (name->type == GEN_DNS) hoteli_tls_say_bytes(text, bytes, size);
        else if (inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, address, sizeof address))
            hoteli_say(text, address);
    }
    if (more) hoteli_say(text, " and others");
    if (!said) hoteli_say(text, "no name at all (a common name does not count)");
    GENERAL_NAMES_free(names);
}

static void hoteli_tls_say_setting(hoteli_text *text, const hoteli_destination *d,
                                   const char *otlp, const char *hatchet, const char *member) {
    hoteli_say(text, d->hatchet ? "HATCHET_CLIENT_TLS_" : "OTEL_EXPORTER_OTLP_");
    hoteli_say(text, d->hatchet ? hatchet : otlp);
    hoteli_say(text, " (");
    hoteli_say(text, member);
    hoteli_say(text, ")");
}

static void hoteli_tls_say_unknown(hoteli_text *text, const hoteli_destination *d,
                                   X509 *certificate, int error) {
    char issuer[256];
    issuer[0] = 0;
    if (certificate)
        (void)X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    if (error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
        hoteli_say(text, "the server's certificate is self-signed, ");
    } else {
        hoteli_say(text, "the server's certificate was issued by ");
        hoteli_say_quoted(text, issuer, strlen(issuer));
        hoteli_say(text, ", ");
    }
    if (d->tls.own_ca) {
        hoteli_say(text, "and not among those that ");
        hoteli_tls_say_setting(text, d, "CERTIFICATE", "ROOT_CA_FILE", "tls.ca_file");
        hoteli_say(text, " trusts");
        return;
    }
    hoteli_say(text, "unknown to this system: give the CA's certificate in ");
    hoteli_tls_say_setting(text, d, "CERTIFICATE", "ROOT_CA_FILE", "tls.ca_file");
}

static void hoteli_tls_say_verify(hoteli_request *r, X509_STORE_CTX *store) {
    int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    hoteli_text text;
    hoteli_tls_text(&text, r);
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        hoteli_say(&text,
                   depth ? "a certificate in the server's chain" : "the server's certificate");
        if (error == X509_V_ERR_CERT_HAS_EXPIRED) {
            hoteli_say(&text, " expired on ");
            hoteli_tls_say_time(&text, X509_get0_notAfter(certificate));
        } else {
            hoteli_say(&text, " is not valid before ");
            hoteli_tls_say_time(&text, X509_get0_notBefore(certificate));
        }
        hoteli_say(&text, ", if this machine's clock is right");
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        hoteli_say(&text, "the server's certificate is not for ");
        hoteli_say_quoted(&text, r->to->tls.name, strlen(r->to->tls.name));
        hoteli_say(&text, " but for ");
        hoteli_tls_say_names(&text, certificate);
        hoteli_say(&text, "; tls.server_name sets the name that is expected");
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        hoteli_tls_say_unknown(&text, r->to, certificate, error);
        break;
    default:
        hoteli_say(&text, "the server's certificate cannot be trusted: ");
        hoteli_say(&text, X509_verify_cert_error_string(error));
        break;
    }
}

static void hoteli_tls_say_client(hoteli_request *r) {
    hoteli_text text;
    hoteli_tls_text(&text, r);
    hoteli_say(&text, "the server wants a client certificate: give one in ");
    hoteli_tls_say_setting(&text, r->to, "CLIENT_CERTIFICATE", "CERT_FILE", "tls.certificate_file");
    hoteli_say(&text, " and its key in ");
    hoteli_tls_say_setting(&text, r->to, "CLIENT_KEY", "KEY_FILE", "tls.key_file");
}

static void hoteli_tls_say_alert(hoteli_request *r, int alert, const char *words) {
    const hoteli_tls_setup *t = &r->to->tls;
    bool about_us = alert == SSL_AD_CERTIFICATE_REQUIRED ||
                    (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
                    alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED;
    hoteli_text text;
    if (r->tls.asked && (about_us || alert == SSL_AD_HANDSHAKE_FAILURE)) {
        hoteli_tls_say_client(r);
        return;
    }
    hoteli_tls_text(&text, r);
    if (alert == SSL_AD_PROTOCOL_VERSION) {
        hoteli_say(&text, "the server speaks no version of TLS that is allowed here, ");
        hoteli_say(&text, t->only_1_3 ? "1.3" : "1.2 or later");
        hoteli_say(&text, " (tls.min_version)");
    } else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
        hoteli_say(&text, r->to->grpc
                              ? "the server does not offer HTTP/2 there (ALPN), which gRPC needs"
                              : "the server does not offer HTTP/1.1 there (ALPN): a gRPC port?");
    } else {
        hoteli_say(&text, about_us && t->own_certificate
                              ? "the server does not accept the client certificate: "
                              : "the server broke TLS off: ");
        hoteli_say(&text, words);
    }
}

/* After an error that ends the connection; what is known of it is in OpenSSL's queue. */
static void hoteli_tls_explain(hoteli_request *r) {
    const hoteli_tls *c = &r->tls;
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    const char *words = ERR_reason_error_string(code);
    hoteli_text text;
    if (c->words[0]) return;
    if (!code) {
        /* The peer closed, or the connection broke. */
        if (c->asked && !c->served) hoteli_tls_say_client(r);
        else if (!c->ready)
            hoteli_tls_say(r, c->heard ? "the server closed in the middle of the TLS handshake"
                                       : "the server closed without a word of TLS: is this its "
                                         "TLS port?");
    } else if (!c->ready && c->heard && c->first != 0x15 && c->first != 0x16) {
        hoteli_tls_say(r, "the server does not speak TLS there: it answers in clear text");
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        int alert = reason - SSL_AD_REASON_OFFSET;
        hoteli_tls_say_alert(r, alert, SSL_alert_desc_string_long(alert));
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
               (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_SSL_VERSION)) {
        hoteli_tls_say_alert(r, SSL_AD_PROTOCOL_VERSION, "");
    } else {
        hoteli_tls_text(&text, r);
        hoteli_say(&text, "TLS failed: ");
        hoteli_say(&text, words ? words : "unknown error");
    }
}

/* ---- what OpenSSL calls ---- */

static int hoteli_tls_verify(int good, X509_STORE_CTX *store) {
    const SSL *ssl =
        (const SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    hoteli_request *r = (hoteli_request *)SSL_get_ex_data(ssl, 0);
    if (!good && !r->tls.words[0]) hoteli_tls_say_verify(r, store);
    return good;
}

/* The server asks for a certificate, and there is none. */
static int hoteli_tls_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key) {
    (void)certificate;
    (void)key;
    ((hoteli_request *)SSL_get_ex_data(ssl, 0))->tls.asked = true;
    return 0;
}

/* The next connection may go on from here. 1: it is ours now. */
static int hoteli_tls_session(SSL *ssl, SSL_SESSION *session) {
    hoteli_tls_setup *t = &((hoteli_request *)SSL_get_ex_data(ssl, 0))->to->tls;
    SSL_SESSION_free(t->session);
    t->session = session;
    return 1;
}

static int hoteli_tls_no_password(char *out, int size, int writing, void *wanted) {
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)wanted = true;
    return -1;
}

static int hoteli_tls_write(BIO *bio, const char *bytes, int size) {
    hoteli_request *r = (hoteli_request *)BIO_get_data(bio);
    ptrdiff_t n = hoteli_socket_send(&r->socket, bytes, (size_t)size);
    BIO_clear_retry_flags(bio);
    if (n == HOTEL_IO_WANT_WRITE) BIO_set_retry_write(bio);
    return n > 0 ? (int)n : -1;
}

static int hoteli_tls_read(BIO *bio, char *bytes, int size) {
    hoteli_request *r = (hoteli_request *)BIO_get_data(bio);
    ptrdiff_t n = hoteli_socket_receive(&r->socket, bytes, (size_t)size);
    BIO_clear_retry_flags(bio);
    if (n == HOTEL_IO_WANT_READ) BIO_set_retry_read(bio);
    if (n > 0 && !r->tls.heard) {
        r->tls.heard = true;
        r->tls.first = (uint8_t)bytes[0];
    }
    return n > 0 ? (int)n : n == HOTEL_IO_CLOSED ? 0 : -1;
}

static long hoteli_tls_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- the transport ---- */

/* Without a word to the peer. */
static void hoteli_tls_drop(hoteli_request *r) {
    SSL *ssl = r->tls.ssl;
    if (!ssl) return;
    /* Else OpenSSL takes the session for unfit to go on from. */
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    r->tls.ssl = NULL;
}

static void *hoteli_tls_open(const char *host, uint16_t port, void *user_data) {
    hoteli_request *r = (hoteli_request *)user_data;
    hoteli_tls_errors errors;
    if (r->tls.ssl && hoteli_tls_enter(&errors)) { /* of before a fork */
        hoteli_tls_drop(r);
        hoteli_tls_leave(&errors);
    }
    memset(&r->tls, 0, sizeof r->tls);
    return hoteli_socket_open(host, port, &r->socket) ? r : NULL;
}

static bool hoteli_tls_begin(hoteli_request *r) {
    hoteli_tls_setup *t = &r->to->tls;
    BIO *bio;
    r->tls.ssl = SSL_new(t->context);
    bio = r->tls.ssl ? BIO_new(t->method) : NULL;
    if (!bio) return false;
    BIO_set_data(bio, r);
    BIO_set_init(bio, 1);
    SSL_set_bio(r->tls.ssl, bio, bio);
    SSL_set_connect_state(r->tls.ssl);
    if (!t->is_address && SSL_set_tlsext_host_name(r->tls.ssl, t->name) != 1) return false;
    if (t->session) (void)SSL_set_session(r->tls.ssl, t->session);
    return SSL_set_ex_data(r->tls.ssl, 0, r) == 1;
}

/* What a call that moved nothing means. */
static int hoteli_tls_result(hoteli_request *r, int result) {
    switch (SSL_get_error(r->tls.ssl, result)) {
    case SSL_ERROR_WANT_READ: return HOTEL_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return HOTEL_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return HOTEL_IO_CLOSED;
    default:
        r->tls.broken = true;
        hoteli_tls_explain(r);
        return HOTEL_IO_REFUSED;
    }
}

static int hoteli_tls_handshake(hoteli_request *r) {
    const unsigned char *chosen = NULL;
    unsigned size = 0;
    int result;
    if (!r->tls.ssl && !hoteli_tls_begin(r)) {
        hoteli_tls_say(r, "not enough memory for TLS");
        return HOTEL_IO_REFUSED;
    }
    result = SSL_do_handshake(r->tls.ssl);
    if (result != 1) {
        result = hoteli_tls_result(r, result);
        if (result == HOTEL_IO_CLOSED) hoteli_tls_explain(r);
        return result;
    }
    r->tls.ready = true;
    if (!r->to->grpc) return HOTEL_IO_DONE;
    SSL_get0_alpn_selected(r->tls.ssl, &chosen, &size);
    if (size == 2 && chosen[0] == 'h' && chosen[1] == '2') return HOTEL_IO_DONE;
    hoteli_tls_say_alert(r, SSL_AD_NO_APPLICATION_PROTOCOL, "");
    return HOTEL_IO_REFUSED;
}

static int hoteli_tls_connect(void *connection) {
    hoteli_request *r = (hoteli_request *)connection;
    hoteli_tls_errors errors;
    int result = HOTEL_IO_DONE;
    if (!r->socket.connected) result = hoteli_socket_connect(&r->socket);
    if (result != HOTEL_IO_DONE) return result;
    if (!hoteli_tls_enter(&errors)) return HOTEL_IO_REFUSED;
    result = hoteli_tls_handshake(r);
    hoteli_tls_leave(&errors);
    return result;
}

/* Several records at once. What OpenSSL has begun to send it wants to see again, wherever it lies
   then: a caller offers the same bytes until they are taken. */
static ptrdiff_t hoteli_tls_send(void *connection, const void *bytes, size_t size) {
    hoteli_request *r = (hoteli_request *)connection;
    hoteli_tls_errors errors;
    size_t most = HOTELI_MIN(size, (size_t)256 << 10), sent = 0;
    int n = 1;
    if (!hoteli_tls_enter(&errors)) return HOTEL_IO_REFUSED;
    while (sent < most) {
        n = SSL_write(r->tls.ssl, (const char *)bytes + sent,
                      (int)HOTELI_MIN(size - sent, (size_t)1 << 30));
        if (n <= 0) break;
        sent += (size_t)n;
    }
    if (!sent && n <= 0) n = hoteli_tls_result(r, n);
    hoteli_tls_leave(&errors);
    return sent ? (ptrdiff_t)sent : n;
}

static ptrdiff_t hoteli_tls_receive(void *connection, void *bytes, size_t size) {
    hoteli_request *r = (hoteli_request *)connection;
    hoteli_tls_errors errors;
    int n;
    if (!hoteli_tls_enter(&errors)) return HOTEL_IO_REFUSED;
    n = SSL_read(r->tls.ssl, bytes, (int)HOTELI_MIN(size, (size_t)1 << 30));
    if (n > 0) r->tls.served = true;
    else n = hoteli_tls_result(r, n);
    hoteli_tls_leave(&errors);
    return n;
}

static int hoteli_tls_descriptor(void *connection) {
    return ((hoteli_request *)connection)->socket.fd;
}

/* Says goodbye and does not wait for the answer. In a fork child the session is freed later, not in
   the middle of fork. */
static void hoteli_tls_close(void *connection, bool inherited) {
    hoteli_request *r = (hoteli_request *)connection;
    hoteli_tls_errors errors;
    if (!inherited && r->tls.ssl && hoteli_tls_enter(&errors)) {
        if (r->tls.ready && !r->tls.broken) (void)SSL_shutdown(r->tls.ssl);
        hoteli_tls_drop(r);
        hoteli_tls_leave(&errors);
    }
    hoteli_socket_close(&r->socket, inherited);
}

/* ---- settings ---- */

/* A certificate or key: as text, or in a file. */
typedef struct hoteli_tls_source {
    const char *name; /* of the setting; NULL: there is none */
    const char *file;
    const char *pem;
} hoteli_tls_source;

enum { HOTELI_TLS_CA, HOTELI_TLS_CERTIFICATE, HOTELI_TLS_KEY, HOTELI_TLS_SOURCES };

/* The whole of it in memory; NULL, or what is wrong. */
static const char *hoteli_tls_load(const hoteli_tls_source *from, BIO **out) {
    char bytes[4096];
    size_t size = 0;
    const char *problem = NULL;
    ssize_t n = 0;
    int fd;
    *out = from->pem ? BIO_new_mem_buf(from->pem, -1) : BIO_new(BIO_s_mem());
    if (!*out) return "there is no memory to read it";
    if (from->pem) return NULL;
    fd = open(from->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return hoteli_file_trouble(errno);
    while (!problem && ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))) {
        if (n < 0) continue;
        size += (size_t)n;
        if (size > (size_t)4 << 20) problem = "it is larger than 4 MiB";
        else if (BIO_write(*out, bytes, (int)n) != (int)n)
            problem = "there is no memory to read it";
    }
    if (n < 0) problem = hoteli_file_trouble(errno);
    (void)close(fd);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return problem;
}

/* The next certificate; NULL: there is none, or *damaged. */
static X509 *hoteli_tls_next(BIO *from, bool *damaged) {
    bool wanted = false;
    X509 *certificate = PEM_read_bio_X509(from, NULL, hoteli_tls_no_password, &wanted);
    unsigned long code = ERR_peek_last_error();
    if (!certificate)
        *damaged =
            ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE;
    ERR_clear_error();
    return certificate;
}

/* All certificates of the source are trusted, or the first is ours and the others lead to it.
   NULL, or what is wrong. */
static const char *hoteli_tls_certificates(SSL_CTX *context, const hoteli_tls_source *from,
                                           bool ours) {
    BIO *bio = NULL;
    const char *problem = hoteli_tls_load(from, &bio);
    bool damaged = false;
    size_t count = 0;
    while (!problem) {
        X509 *certificate = hoteli_tls_next(bio, &damaged);
        int good;
        if (!certificate) break;
        if (!ours) good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
        else if (!count) good = SSL_CTX_use_certificate(context, certificate);
        else good = (int)SSL_CTX_add1_chain_cert(context, certificate);
        X509_free(certificate);
        count++;
        if (good != 1) problem = ERR_reason_error_string(ERR_peek_error());
        if (good != 1 && !problem) problem = "a certificate in it cannot be used";
    }
    BIO_free(bio);
    if (!problem && damaged) problem = "a certificate in it is damaged";
    if (!problem && !count) problem = "there is no certificate in it (PEM)";
    return problem;
}

/* Behind the certificate. NULL, or what is wrong. */
static const char *hoteli_tls_key(SSL_CTX *context, const hoteli_tls_source *from) {
    BIO *bio = NULL;
    const char *problem = hoteli_tls_load(from, &bio);
    bool wanted = false;
    EVP_PKEY *key =
        problem ? NULL : PEM_read_bio_PrivateKey(bio, NULL, hoteli_tls_no_password, &wanted);
    BIO_free(bio);
    if (problem) return problem;
    if (!key)
        return wanted ? "the key in it has a passphrase; take one without"
                      : "there is no private key in it (PEM)";
    if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        problem = "the key in it does not belong to the certificate";
    EVP_PKEY_free(key);
    return problem;
}

/* Whom the server must prove to be: a name or an address. false: it is neither. */
static bool hoteli_tls_expect(hoteli_tls_setup *t, const char *name) {
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(t->context);
    size_t size = strlen(name), i;
    struct in6_addr address;
    if (size > 1 && name[size - 1] == '.') size--;
    if (!size || size >= sizeof t->name) return false;
    memcpy(t->name, name, size);
    t->name[size] = 0;
    t->is_address = inet_pton(AF_INET, t->name, &address) == 1 ||
                    inet_pton(AF_INET6, t->name, &address) == 1;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (t->is_address) return X509_VERIFY_PARAM_set1_ip_asc(parameters, t->name) == 1;
    for (i = 0; i < size; i++)
        if (!hoteli_is_alnum(name[i]) && !memchr("-._", name[i], 3)) return false;
    return X509_VERIFY_PARAM_set1_host(parameters, t->name, size) == 1;
}

/* What does not depend on certificates. */
static bool hoteli_tls_prepare(hoteli_tls_setup *t, bool grpc) {
    static const unsigned char h2[] = {2, 'h', '2'};
    static const unsigned char http[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    long version = t->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX *context = t->context = SSL_CTX_new(TLS_client_method());
    t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "hatchet_otel");
    if (!context || !t->method) return false;
    (void)BIO_meth_set_write(t->method, hoteli_tls_write);
    (void)BIO_meth_set_read(t->method, hoteli_tls_read);
    (void)BIO_meth_set_ctrl(t->method, hoteli_tls_control);
    /* The system may want more. */
    if (SSL_CTX_get_min_proto_version(context) < version &&
        SSL_CTX_set_min_proto_version(context, (int)version) != 1)
        return false;
    (void)SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* A peer that sends tickets and key updates without end gets a turn like all others. */
    (void)SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_set_session_cache_mode(context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, hoteli_tls_session);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, hoteli_tls_verify);
    /* Whatever certificate is given to trust is an anchor, a root or not. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    return (grpc ? SSL_CTX_set_alpn_protos(context, h2, sizeof h2)
                 : SSL_CTX_set_alpn_protos(context, http, sizeof http)) == 0;
}

static void hoteli_tls_free(hoteli_tls_setup *t) {
    SSL_SESSION_free(t->session);
    SSL_CTX_free(t->context);
    BIO_meth_free(t->method);
    t->session = NULL;
    t->context = NULL;
    t->method = NULL;
}

/* Makes the context of a destination. NULL, or what is wrong, and *at the source of it. */
static const char *hoteli_tls_make(hoteli_tls_setup *t, const hoteli_tls_source *sources,
                                   const char *name, bool grpc, const hoteli_tls_source **at) {
    const hoteli_tls_source *ca = &sources[HOTELI_TLS_CA];
    const hoteli_tls_source *certificate = &sources[HOTELI_TLS_CERTIFICATE];
    const hoteli_tls_source *key = &sources[HOTELI_TLS_KEY];
    const char *problem = NULL;
    *at = NULL;
    if (!hoteli_tls_prepare(t, grpc)) return "OpenSSL could not be set up";
    if (!hoteli_tls_expect(t, name))
        return "tls.server_name (HATCHET_CLIENT_TLS_SERVER_NAME) is neither a host name nor an "
               "address";
    t->own_ca = ca->name != NULL;
    t->own_certificate = certificate->name != NULL;
    *at = ca;
    if (t->own_ca) problem = hoteli_tls_certificates(t->context, ca, false);
    else if (SSL_CTX_set_default_verify_paths(t->context) != 1)
        return "the roots of the system cannot be read";
    if (problem) return problem;
    *at = certificate;
    if (t->own_certificate && !key->name) return "it needs a key, which is not given";
    if (t->own_certificate) problem = hoteli_tls_certificates(t->context, certificate, true);
    if (problem) return problem;
    *at = key;
    if (key->name && !t->own_certificate) return "it needs a certificate, which is not given";
    if (key->name) problem = hoteli_tls_key(t->context, key);
    if (!t->own_certificate) SSL_CTX_set_client_cert_cb(t->context, hoteli_tls_asked);
    return problem;
}

#endif

/* ==== [SECTION 49] DESTINATIONS ============================================================ */

static void hoteli_destination_name(hoteli_text *text, const hoteli_destination *d) {
    if (d->exports) {
        hoteli_say(text, "an exporter");
        return;
    }
    hoteli_say(text, d->url.is_unix ? "unix:" : d->url.tls ? "https://" : "http://");
    hoteli_say(text, d->url.is_unix ? d->url.host : d->url.authority);
    if (d->url.is_unix) hoteli_say(text, ":");
    hoteli_say(text, d->path);
}

static void hoteli_say_spans(hoteli_text *text, uint64_t count) {
    hoteli_say_uint(text, count);
    hoteli_say(text, count == 1 ? " span" : " spans");
}

static uint32_t hoteli_record_chunks(const hoteli_record *r) {
    if (!r->more) return 1;
    return 1 + (r->size - HOTELI_RECORD_ROOM + HOTELI_MORE_ROOM - 1) / HOTELI_MORE_ROOM;
}

/* A span has left the destination; the last one to hold it gives its memory back. */
static void hoteli_release_span(uint32_t index) {
    if (--hoteli_record_at(index)->holders == 0) hoteli_record_free(index);
}

/* Takes count spans off the front of the queue. Those that end one behind the other in the
   arena's order are few; giving them back one by one costs one swap each. */
static void hoteli_queue_pop(hoteli_destination *d, uint32_t count) {
    d->taken += count;
    while (count--) {
        uint32_t index = hoteli_queue_at(d, 0);
        d->chunks -= hoteli_record_chunks(hoteli_record_at(index));
        d->first = (d->first + 1) % d->max_queue;
        d->count--;
        hoteli_release_span(index);
    }
}

/* Spans are settled: they count under one reason. What was offered and is not settled is queued.
   Whoever reads that a span is settled reads after it that it was offered. */
static void hoteli_settle(hoteli_word *reason, uint32_t count) {
    (void)__atomic_fetch_add(&reason->bits, count, __ATOMIC_RELEASE);
}

static void hoteli_enqueue(hoteli_destination *d, uint32_t index) {
    uint32_t chunks = hoteli_record_chunks(hoteli_record_at(index));
    hoteli_count(&d->books.offered, 1);
    if (d->count >= d->max_queue || d->chunks + chunks > d->max_chunks) {
        hoteli_settle(&d->books.dropped_queue_full, 1);
        hoteli_log_later(HOTEL_LOG_ID_QUEUE_FULL);
        hoteli_release_span(index);
        return;
    }
    /* It may have waited in its shard since the last drain. */
    if (!d->count) d->due_ms = hoteli_g.drained_ms + d->delay_ms;
    d->queue[(d->first + d->count) % d->max_queue] = index;
    d->count++;
    d->chunks += chunks;
}

/* ---- the requests of a destination as a whole ---- */

static uint32_t hoteli_num_requests(const hoteli_destination *d) {
    return d->requests ? d->max_inflight : 0;
}

/* Requests between their start and their settlement; or only those not put off. */
static uint32_t hoteli_num_busy(const hoteli_destination *d, bool under_way) {
    uint32_t i, count = 0;
    for (i = 0; i < hoteli_num_requests(d); i++) {
        int state = d->requests[i].state;
        count += state != HOTELI_IDLE && !(under_way && state == HOTELI_WAITING);
    }
    return count;
}

static bool hoteli_destination_idle(const hoteli_destination *d) {
    return !d->count && !hoteli_num_busy(d, false);
}

/* A flush wants what is here to be settled; what comes later may take its time. */
static void hoteli_destination_flush(hoteli_destination *d) { d->target = d->taken + d->count; }

static bool hoteli_destination_flushed(const hoteli_destination *d) {
    uint32_t i;
    if (d->taken < d->target) return false;
    for (i = 0; i < hoteli_num_requests(d); i++)
        if (d->requests[i].state != HOTELI_IDLE && d->requests[i].first < d->target) return false;
    return true;
}

/* What a connection over HTTP/2 has to say, as far as it is taken: 0 all of it, else why not. */
static ptrdiff_t hoteli_h2_pump(hoteli_request *r) {
    const uint8_t *bytes;
    size_t size;
    while ((size = hoteli_h2_output(r->h2, &bytes)) != 0) {
        ptrdiff_t n = r->to->transport.send_fn(r->connection, bytes, size);
        if (n <= 0) return n ? n : (ptrdiff_t)HOTEL_IO_REFUSED;
        hoteli_h2_sent(r->h2, (size_t)n);
        hoteli_count(&r->to->books.bytes_sent, (uintptr_t)n);
    }
    return 0;
}

/* A server that is still at work on a request is told that nobody waits (OG-09), one that broke
   HTTP/2 how it did. */
static void hoteli_disconnect(hoteli_request *r, bool inherited) {
    if (r->connection && r->spoken && !inherited) {
        hoteli_h2_cancel(r->h2);
        (void)hoteli_h2_pump(r);
    }
    if (r->connection) r->to->transport.close_fn(r->connection, inherited);
    r->connection = NULL;
    r->reused = r->spoken = false;
}

/* In a fork child, before it uses the library: sockets are given back, the transport of an
   application is left alone until then. */
static void hoteli_destination_forked(hoteli_destination *d) {
    uint32_t i;
    for (i = 0; d->builtin && i < hoteli_num_requests(d); i++)
        hoteli_disconnect(&d->requests[i], true);
}

/* As after hotel_init, but for the configuration. */
static void hoteli_destination_clear(hoteli_destination *d) {
    uint32_t i;
    for (i = 0; i < hoteli_num_requests(d); i++) {
        hoteli_disconnect(&d->requests[i], true);
        d->requests[i].state = HOTELI_IDLE;
        d->requests[i].spans = 0;
    }
    d->failing = false;
    d->quiet_ms = 0;
    d->first = d->count = d->chunks = 0;
    d->taken = d->target = 0;
    d->flush_begun = d->flush_done = 0;
    d->logged_retry_ms = d->logged_failed_ms = d->logged_partial_ms = 0;
    d->logged_full_ms = d->logged_large_ms = d->logged_mended_ms = 0;
    memset(&d->books, 0, sizeof d->books);
}

/* ---- gzip ---- */

#if defined(HATCHET_OTEL_ZLIB)
static void *hoteli_zlib_take(void *allocator, unsigned count, unsigned size) {
    const hotel_allocator *from = (const hotel_allocator *)allocator;
    return from->allocate_fn ? from->allocate_fn((size_t)count * size, from->user_data)
                             : calloc(count, size);
}

static void hoteli_zlib_give(void *allocator, void *memory) {
    const hotel_allocator *from = (const hotel_allocator *)allocator;
    if (from->allocate_fn) from->free_fn(memory, from->user_data);
    else free(memory);
}
#endif

/* zlib takes its memory here and nowhere else: for good, until hoteli_pack_release. */
static void hoteli_pack_make(hoteli_destination *d) {
#if defined(HATCHET_OTEL_ZLIB)
    if (!d->gzip) return;
    d->zlib.zalloc = hoteli_zlib_take;
    d->zlib.zfree = hoteli_zlib_give;
    d->zlib.opaque = &hoteli_g.allocator;
    /* 15 + 16: the largest window, in the gzip format. Level 1: a collector is not far away. */
    d->has_zlib = deflateInit2(&d->zlib, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    if (d->has_zlib) return;
    hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
               "compression: zlib found no memory; requests are sent uncompressed");
#endif
    d->gzip = false;
}

static void hoteli_pack_release(hoteli_destination *d) {
#if defined(HATCHET_OTEL_ZLIB)
    if (d->has_zlib) (void)deflateEnd(&d->zlib);
    d->has_zlib = false;
#endif
    d->gzip = false;
}

/* Gives back what does not lie in the set-up's memory. */
static void hoteli_destination_release(hoteli_destination *d) {
#if defined(HATCHET_OTEL_OPENSSL)
    hoteli_tls_errors errors;
    uint32_t i;
    if (d->tls.context && hoteli_tls_enter(&errors)) {
        for (i = 0; i < hoteli_num_requests(d); i++) hoteli_tls_drop(&d->requests[i]);
        hoteli_tls_free(&d->tls);
        hoteli_tls_leave(&errors);
    }
#endif
    hoteli_pack_release(d);
}

/* Size of the packed bytes; 0 when there are none: no gzip, an error, or nothing gained. */
static size_t hoteli_pack(hoteli_destination *d, uint8_t *from, size_t size, uint8_t *out) {
#if defined(HATCHET_OTEL_ZLIB)
    z_stream *z = &d->zlib;
    size_t room = size > HOTELI_HEAD_TAIL ? size - HOTELI_HEAD_TAIL : 0;
    if (!d->gzip || !room || deflateReset(z) != Z_OK) return 0;
    z->next_in = from;
    z->avail_in = (uInt)size;
    z->next_out = out;
    z->avail_out = (uInt)room;
    return deflate(z, Z_FINISH) == Z_STREAM_END ? room - z->avail_out : 0;
#else
    (void)d;
    (void)from;
    (void)size;
    (void)out;
    return 0;
#endif
}

/* ---- Hatchet's collector ---- */

/* It is switched off: it answered UNIMPLEMENTED. For five minutes it is asked for nothing. Called
   while the spans of that request still count as queued; they fail. */
static void hoteli_quiet(hoteli_destination *d, int64_t now_ms) {
    bool known = now_ms < d->quiet_ms;
    char words[512];
    hoteli_text text;
    d->quiet_ms = now_ms + 300000;
    d->failing = true;
    if (known) return;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_destination_name(&text, d);
    hoteli_say(&text, ": UNIMPLEMENTED: Hatchet's collector is switched off; start its engine with "
                      "SERVER_OBSERVABILITY_ENABLED=true. Nothing is sent for five minutes, spans "
                      "that are due in that time are lost");
    hoteli_log_text(HOTEL_LOG_ERROR, HOTEL_LOG_ID_COLLECTOR_OFF, &text);
}

/* What its engine would lose a request for. */
static void hoteli_mend(hoteli_destination *d, uint8_t *request, size_t size, int64_t now_ms) {
    unsigned mended = hoteli_mend_for_hatchet(request, size);
    char words[512];
    hoteli_text text;
    if (!mended || !hoteli_log_due(&d->logged_mended_ms, now_ms)) return;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_destination_name(&text, d);
    if (mended & HOTELI_MENDED_ID)
        hoteli_say(&text, ": a hatchet.step_run_id or hatchet.workflow_run_id is not a UUID: "
                          "sent as bytes, which name no run");
    if (mended & HOTELI_MENDED_NUL)
        hoteli_say(&text, ": text with NUL is sent as bytes, names and keys with question marks");
    hoteli_say(&text, ". Otherwise the engine would refuse the whole request");
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_MENDED_FOR_HATCHET, &text);
}

/* A batch that is due in that time. */
static void hoteli_quiet_drop(hoteli_destination *d, int64_t now_ms) {
    uint32_t count = HOTELI_MIN(d->count, d->max_batch);
    hoteli_settle(&d->books.failed, count);
    hoteli_queue_pop(d, count);
    d->due_ms = now_ms + d->delay_ms;
}

/* ---- one request ---- */

/* The head goes right in front of the body, so that a request is one piece. */
static void hoteli_write_request_head(hoteli_request *r, uint8_t *buffer, size_t size) {
    const hoteli_destination *d = r->to;
    uint8_t *body = buffer + d->head_size + HOTELI_HEAD_TAIL;
    char tail[HOTELI_HEAD_TAIL];
    hoteli_text text;
    hoteli_text_start(&text, tail, sizeof tail);
    hoteli_say_uint(&text, size);
    hoteli_say(&text, buffer == r->packed ? "\r\nContent-Encoding: gzip\r\n\r\n" : "\r\n\r\n");
    r->bytes = body - d->head_size - text.size;
    r->size = d->head_size + text.size + size;
    memcpy(body - d->head_size - text.size, d->head, d->head_size);
    memcpy(body - text.size, tail, text.size);
}

/* What stands in front of the message of gRPC. Its head is made for each attempt, with the time
   that is left. */
static void hoteli_write_prefix(hoteli_request *r, uint8_t *buffer, size_t packed, size_t size) {
    uint8_t *at = buffer + r->to->head_size + HOTELI_HEAD_TAIL - HOTELI_GRPC_PREFIX;
    if (packed) size = packed;
    hoteli_grpc_put_prefix(at, size, packed != 0);
    r->bytes = at;
    r->size = HOTELI_GRPC_PREFIX + size;
}

/* One span alone is more than a request may be (OX-11). */
static void hoteli_span_too_large(hoteli_destination *d) {
    uint32_t size = hoteli_record_at(hoteli_queue_at(d, 0))->wire_size;
    hoteli_settle(&d->books.dropped_too_large, 1);
    hoteli_queue_pop(d, 1);
    if (hoteli_log_due(&d->logged_large_ms, hoteli_now_ms())) {
        char words[512];
        hoteli_text text;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_destination_name(&text, d);
        hoteli_say(&text, ": a span of ");
        hoteli_say_uint(&text, size);
        hoteli_say(&text, " bytes was dropped: with its resource and scope it is larger than "
                          "max_request_bytes (");
        hoteli_say_uint(&text, d->max_bytes);
        hoteli_say(&text, ")");
        hoteli_log_text(HOTEL_LOG_ERROR, HOTEL_LOG_ID_REQUEST_TOO_LARGE, &text);
    }
}

static void hoteli_hand_over(hoteli_request *r, const hoteli_batch *from, const uint8_t *bytes,
                             int64_t now_ms);

/* Encodes the next batch and begins to send it. */
static void hoteli_request_start(hoteli_request *r, int64_t now_ms) {
    hoteli_destination *d = r->to;
    size_t body = d->head_size + HOTELI_HEAD_TAIL, packed = 0;
    hoteli_batch batch;
    if (now_ms < d->quiet_ms) {
        hoteli_quiet_drop(d, now_ms);
        return;
    }
    hoteli_batch_choose(&batch, d, d->max_bytes);
    if (!batch.count) {
        hoteli_span_too_large(d);
        return;
    }
    hoteli_batch_write(&batch, d, r->buffer + body);
    if (d->hatchet) hoteli_mend(d, r->buffer + body, batch.size, now_ms);
    if (d->exports) {
        hoteli_hand_over(r, &batch, r->buffer + body, now_ms);
        return;
    }
    if (r->packed) packed = hoteli_pack(d, r->buffer + body, batch.size, r->packed + body);
    if (d->grpc) hoteli_write_prefix(r, packed ? r->packed : r->buffer, packed, batch.size);
    else if (packed) hoteli_write_request_head(r, r->packed, packed);
    else hoteli_write_request_head(r, r->buffer, batch.size);
    r->first = d->taken;
    r->spans = batch.count;
    hoteli_queue_pop(d, batch.count);
    d->due_ms = now_ms + d->delay_ms;
    if (!hoteli_num_busy(d, false)) d->probe_ms = 0;
    r->attempts = 0;
    r->step_ms = 1000;
    r->deadline_ms = d->timeout_ms ? now_ms + (int64_t)d->timeout_ms : INT64_MAX;
    r->trouble = "no attempt was made";
    r->said_size = 0;
    r->state = HOTELI_CONNECTING;
}

/* Is it time for another request, given that one is free? While the server fails they go one
   after another. */
static bool hoteli_request_allowed(const hoteli_destination *d) {
    return d->count && (!d->failing || !hoteli_num_busy(d, false));
}

static bool hoteli_request_due(const hoteli_destination *d, int64_t now_ms) {
    return hoteli_request_allowed(d) &&
           (d->count >= d->max_batch || d->taken < d->target || now_ms >= d->due_ms ||
            d->chunks >= d->max_bytes / HATCHET_OTEL_CHUNK_BYTES);
}

/* The request is over; its spans count under that reason. */
static void hoteli_request_end(hoteli_request *r, hoteli_word *reason) {
    hoteli_settle(reason, r->spans);
    r->spans = 0;
    r->state = HOTELI_IDLE;
}

/* Keeps what the server said (OR-14) so that it can stand in a log line: control characters, and
   bytes above ASCII if they are not UTF-8, become dots. */
static void hoteli_request_hear(hoteli_request *r, const char *words, size_t size) {
    bool sound = hoteli_utf8_valid(words, size);
    size_t i, n = HOTELI_MIN(size, sizeof r->said);
    while (n && n < size && ((unsigned char)words[n] & 0xc0) == 0x80) n--;
    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)words[i];
        r->said[i] = c < 0x20 || c == 0x7f || (c >= 0x80 && !sound) ? '.' : words[i];
    }
    r->said_size = n;
}

/* The message of a google.rpc.Status, or the first line of what proxies send instead. */
static void hoteli_request_hear_body(hoteli_request *r) {
    const char *line = r->reply;
    size_t size = r->http.body_kept, i;
    hoteli_reply reply;
    if (r->http.is_protobuf) {
        if (hoteli_status_parse((const uint8_t *)r->reply, size, &reply) && reply.message_size)
            hoteli_request_hear(r, reply.message, reply.message_size);
        return;
    }
    if (r->http.encoded) return;
    while (size && (hoteli_is_blank(*line) || *line == '\r' || *line == '\n')) line++, size--;
    for (i = 0; i < size && line[i] != '\r' && line[i] != '\n'; i++)
        if ((unsigned char)line[i] < 0x20 && line[i] != '\t') return; /* no text */
    hoteli_request_hear(r, line, i);
}

/* "http://host:4318/v1/traces: " and so on: the beginning of a message about a request. */
static void hoteli_request_text(hoteli_text *text, char *words, size_t capacity,
                                const hoteli_request *r) {
    hoteli_text_start(text, words, capacity);
    hoteli_destination_name(text, r->to);
    hoteli_say(text, ": ");
}

static void hoteli_say_said(hoteli_text *text, const hoteli_request *r) {
    if (!r->said_size) return;
    hoteli_say(text, ": ");
    hoteli_say_quoted(text, r->said, r->said_size);
}

static void hoteli_request_fail(hoteli_request *r, const char *why) {
    hoteli_destination *d = r->to;
    uint32_t lost = r->spans;
    d->quiet_ms = 0; /* it was another error */
    hoteli_disconnect(r, false);
    hoteli_request_end(r, &d->books.failed);
    if (hoteli_log_due(&d->logged_failed_ms, hoteli_now_ms())) {
        char words[512];
        hoteli_text text;
        hoteli_request_text(&text, words, sizeof words, r);
        hoteli_say_spans(&text, lost);
        hoteli_say(&text, " lost: ");
        hoteli_say(&text, why);
        hoteli_say_said(&text, r);
        hoteli_log_text(HOTEL_LOG_ERROR, HOTEL_LOG_ID_EXPORT_FAILED, &text);
    }
    d->failing = true;
}

/* ---- exporters of the user's ---- */

/* Gives a batch to an exporter instead. There is no second attempt (BSP-11). */
static void hoteli_hand_over(hoteli_request *r, const hoteli_batch *from, const uint8_t *bytes,
                             int64_t now_ms) {
    hoteli_destination *d = r->to;
    hotel_batch batch;
    hotel_result result;
    batch.request = bytes;
    batch.request_size = from->size;
    batch.num_spans = from->count;
    r->first = d->taken;
    r->spans = from->count;
    hoteli_queue_pop(d, from->count);
    d->due_ms = now_ms + d->delay_ms;
    hoteli_count(&d->books.requests, 1);
    hoteli_count(&d->books.bytes_sent, from->size);
    hoteli_t.quiet++;
    result = d->exporter.export_fn(&batch, d->exporter.user_data);
    hoteli_loud();
    if (result == HOTEL_OK) hoteli_request_end(r, &d->books.accepted);
    else hoteli_request_fail(r, "the exporter did not take them");
    d->failing = false; /* the next batch has its chance at once */
}

static void hoteli_exporter_flush(hoteli_destination *d, uint32_t timeout_ms) {
    hotel_result result = HOTEL_OK;
    if (d->shut) return;
    hoteli_t.quiet++;
    if (d->exporter.flush_fn) result = d->exporter.flush_fn(timeout_ms, d->exporter.user_data);
    hoteli_loud();
    if (result != HOTEL_OK) hoteli_count(&d->books.flush_failures, 1);
}

/* Its last call of all (BSP-18). */
static void hoteli_exporter_shutdown(hoteli_destination *d, uint32_t timeout_ms) {
    hotel_result result = HOTEL_OK;
    if (d->shut) return;
    d->shut = true;
    hoteli_t.quiet++;
    if (d->exporter.shutdown_fn)
        result = d->exporter.shutdown_fn(timeout_ms, d->exporter.user_data);
    hoteli_loud();
    if (result != HOTEL_OK) hoteli_count(&d->books.flush_failures, 1);
}

/* Sends the same bytes again after a wait: what the server asked for, else a growing step with
   jitter (OR-01, OR-07, OR-09, OR-10). A wait past the deadline ends it now. */
static void hoteli_request_retry(hoteli_request *r, const char *why, int64_t wait_ms) {
    hoteli_destination *d = r->to;
    int64_t now_ms = hoteli_now_ms();
    r->trouble = why;
    d->quiet_ms = 0;
    hoteli_disconnect(r, false);
    if (wait_ms < 0) {
        uint64_t jitter = hoteli_random_aside() % (r->step_ms / 2 + 1);
        wait_ms = (int64_t)(r->step_ms / 2 + jitter);
        /* A longer one is left of what the server asked for (OR-08). */
        if (r->step_ms < 5000) r->step_ms = HOTELI_MIN(r->step_ms + r->step_ms / 2, 5000u);
    }
    wait_ms = HOTELI_MAX(wait_ms, (int64_t)100);
    r->retry_ms = now_ms + wait_ms;
    d->probe_ms = d->failing ? HOTELI_MAX(d->probe_ms, r->retry_ms) : r->retry_ms;
    if (r->deadline_ms != INT64_MAX && now_ms + wait_ms >= r->deadline_ms) {
        hoteli_request_fail(r, why);
        return;
    }
    if (hoteli_log_due(&d->logged_retry_ms, now_ms)) {
        char words[512];
        hoteli_text text;
        hoteli_request_text(&text, words, sizeof words, r);
        hoteli_say(&text, why);
        hoteli_say_said(&text, r);
        hoteli_say(&text, "; trying again in ");
        hoteli_say_uint(&text, (uint64_t)wait_ms);
        hoteli_say(&text, " ms");
        hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_EXPORT_RETRY, &text);
    }
    d->failing = true;
    r->state = HOTELI_WAITING;
}

/* When a request that was put off goes again. While the destination fails they take turns, and
   the wait of the last one counts for all. */
static int64_t hoteli_retry_at(const hoteli_request *r) {
    const hoteli_destination *d = r->to;
    if (!d->failing) return r->retry_ms;
    return hoteli_num_busy(d, true) ? INT64_MAX : HOTELI_MAX(r->retry_ms, d->probe_ms);
}

static bool hoteli_step_wait(hoteli_request *r, int64_t now_ms) {
    int64_t at = hoteli_retry_at(r);
    if (now_ms >= at) {
        r->state = HOTELI_CONNECTING;
        return true;
    }
    if (at == INT64_MAX || at < r->deadline_ms) return false;
    /* Others have put off what this one waits for until it is too late. */
    hoteli_request_fail(r, r->trouble);
    return true;
}

/* The connection broke. One that had served before and gave no byte back was stale: once more at
   once (OR-18). Else a retry, which covers what may have reached the server too (OR-16). */
static void hoteli_connection_lost(hoteli_request *r, const char *why) {
    if (r->reused && !(r->h2 ? r->heard : r->http.any_byte)) {
        hoteli_disconnect(r, false);
        r->state = HOTELI_CONNECTING;
        return;
    }
    hoteli_request_retry(r, why, -1);
}

/* Says what the server had to say beside success (OR-12, OR-13). */
static void hoteli_reply_log(hoteli_destination *d, const hoteli_reply *reply) {
    char words[512];
    hoteli_text text;
    if (!hoteli_log_due(&d->logged_partial_ms, hoteli_now_ms())) return;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_destination_name(&text, d);
    if (reply->rejected > 0) {
        hoteli_say(&text, " rejected ");
        hoteli_say_spans(&text, (uint64_t)reply->rejected);
    } else {
        hoteli_say(&text, " accepted everything, with a warning");
    }
    if (reply->message_size) {
        hoteli_say(&text, ": ");
        hoteli_say_quoted(&text, reply->message, reply->message_size);
    }
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_PARTIAL_SUCCESS, &text);
}

/* A reply of which only the beginning was kept: the number of rejected spans stands in front of
   the message that made it so long. */
static void hoteli_reply_start(const uint8_t *bytes, size_t size, hoteli_reply *reply) {
    const uint8_t *at = bytes, *end = bytes + size;
    uint64_t whole, rejected;
    if (size < 16 || *at++ != 0x0a || !hoteli_varint_read(&at, end, &whole)) return;
    if (at == end || *at++ != 0x08 || !hoteli_varint_read(&at, end, &rejected)) return;
    reply->has_partial_success = true;
    reply->rejected = (int64_t)rejected;
}

/* Of the reply's size bytes so many were kept. */
static void hoteli_request_success(hoteli_request *r, size_t kept, uint64_t size) {
    hoteli_destination *d = r->to;
    hoteli_reply reply;
    uint32_t rejected = 0;
    d->quiet_ms = 0;
    memset(&reply, 0, sizeof reply);
    if (kept < size) hoteli_reply_start((const uint8_t *)r->reply, kept, &reply);
    else if (!hoteli_reply_parse((const uint8_t *)r->reply, kept, &reply))
        memset(&reply, 0, sizeof reply);
    if (reply.has_partial_success && (reply.rejected > 0 || reply.message_size)) {
        if (reply.rejected > 0)
            rejected = (uint32_t)HOTELI_MIN(reply.rejected, (int64_t)r->spans);
        hoteli_reply_log(d, &reply);
    }
    if (rejected) {
        hoteli_settle(&d->books.rejected, rejected);
        r->spans -= rejected;
    }
    hoteli_request_end(r, &d->books.accepted);
    if (d->failing) {
        char words[512];
        hoteli_text text;
        d->failing = false;
        d->logged_retry_ms = d->logged_failed_ms = 0;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_destination_name(&text, d);
        hoteli_say(&text, " accepts spans again");
        hoteli_log_text(HOTEL_LOG_INFO, HOTEL_LOG_ID_EXPORT_RECOVERED, &text);
    }
}

/* A complete response (OR-02, OR-11, OR-14, OR-15, OT-03, OT-06). */
static void hoteli_response(hoteli_request *r) {
    static const char *const retried[] = {"HTTP status 429", "HTTP status 502", "HTTP status 503",
                                          "HTTP status 504"};
    int status = r->http.status;
    int which = status == 429 ? 0 : status >= 502 && status <= 504 ? status - 501 : -1;
    if (!r->http.keep_alive) hoteli_disconnect(r, false);
    else r->reused = true;
    if (status >= 200 && status < 300) {
        hoteli_request_success(r, r->http.body_kept, r->http.body_size);
        return;
    }
    hoteli_request_hear_body(r);
    if (which >= 0) {
        int64_t unix_s = (int64_t)(hoteli_clock_ns(CLOCK_REALTIME) / 1000000000u);
        hoteli_request_retry(r, retried[which],
                             hoteli_http_retry_after_ms(r->http.retry_after, unix_s));
    } else {
        char words[80];
        hoteli_text text;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_say(&text, "HTTP status ");
        hoteli_say_uint(&text, (uint64_t)status);
        if (status >= 300 && status < 400 && status != 304)
            hoteli_say(&text, ", a redirect, which is not followed");
        hoteli_request_fail(r, words);
    }
}

static bool hoteli_is_want(ptrdiff_t n) {
    return n == HOTEL_IO_WANT_READ || n == HOTEL_IO_WANT_WRITE;
}

static short hoteli_want(ptrdiff_t result) {
    return result == HOTEL_IO_WANT_READ ? POLLIN : POLLOUT;
}

/* A connection over HTTP/2 without a request: PINGs are answered, SETTINGS obeyed; GOAWAY ends
   it. */
static void hoteli_h2_idle(hoteli_request *r) {
    uint8_t bytes[1024];
    ptrdiff_t got = HOTEL_IO_WANT_READ, sent = hoteli_h2_pump(r);
    int turns;
    for (turns = 0; turns < 16 && hoteli_h2_usable(r->h2); turns++) {
        got = r->to->transport.receive_fn(r->connection, bytes, sizeof bytes);
        if (got <= 0) break;
        (void)hoteli_h2_feed(r->h2, bytes, (size_t)got, hoteli_now_ms());
        sent = hoteli_h2_pump(r);
    }
    /* What is left may be inside TLS, where no descriptor tells of it: one that can be written to
       is looked at again at once. */
    r->idle_events = (short)((got == HOTEL_IO_WANT_WRITE || got > 0 ? POLLOUT : POLLIN) |
                             (sent == HOTEL_IO_WANT_WRITE ? POLLOUT : 0));
    if (!hoteli_h2_usable(r->h2) || (got <= 0 && !hoteli_is_want(got)) ||
        (sent && !hoteli_is_want(sent)))
        hoteli_disconnect(r, false);
}

/* A kept connection on which something arrives while idle was closed by the server. */
static void hoteli_check_idle(hoteli_request *r) {
    char byte;
    ptrdiff_t n;
    if (r->h2) {
        hoteli_h2_idle(r);
        return;
    }
    n = r->to->transport.receive_fn(r->connection, &byte, 1);
    if (hoteli_is_want(n)) r->idle_events = hoteli_want(n);
    else hoteli_disconnect(r, false);
}

static const char *hoteli_connect_trouble(const hoteli_destination *d, int error) {
    switch (error) {
    case ECONNREFUSED: return "connection refused";
    case EHOSTUNREACH: return "no route to the host";
    case ENETUNREACH: return "the network is unreachable";
    case ENOENT: return "there is no such socket";
    case EMFILE:
    case ENFILE: return "no file descriptor is left";
    case 0: return d->builtin ? "the name was not found" : "no connection could be made";
    default: return "no connection could be made";
    }
}

#if defined(HATCHET_OTEL_OPENSSL)
static bool hoteli_has_tls(const hoteli_destination *d) { return d->tls.context != NULL; }

/* What is known of a broken connection: what TLS says, else that. */
static const char *hoteli_link_trouble(const hoteli_request *r, const char *otherwise) {
    return r->tls.words[0] ? r->tls.words : otherwise;
}

static const char *hoteli_connect_slow(const hoteli_request *r) {
    return hoteli_has_tls(r->to) && r->socket.connected ? "the TLS handshake did not end in time"
                                                        : "no connection was made in time";
}

/* What the built-in transports open a connection with. */
static void *hoteli_open_data(hoteli_request *r) {
    return hoteli_has_tls(r->to) ? (void *)r : (void *)&r->socket;
}
#else
static const char *hoteli_link_trouble(const hoteli_request *r, const char *otherwise) {
    (void)r;
    return otherwise;
}

static const char *hoteli_connect_slow(const hoteli_request *r) {
    (void)r;
    return "no connection was made in time";
}

static void *hoteli_open_data(hoteli_request *r) { return &r->socket; }
#endif

/* The stream of a request is to be opened, on a new connection behind the preface. */
static void hoteli_grpc_begin(hoteli_request *r) {
    const hoteli_destination *d = r->to;
    int64_t left = INT64_MAX;
    hoteli_grpc_head head;
    hoteli_h2_parts parts;
    if (!r->spoken) hoteli_h2_start(r->h2, r->block, d->block_capacity, r->out, d->out_capacity);
    r->spoken = true;
    r->heard = false;
    if (r->deadline_ms != INT64_MAX) left = r->deadline_ms - hoteli_now_ms();
    memset(&head, 0, sizeof head);
    head.bytes = (uint8_t *)d->head;
    head.size = d->head_size;
    head.split = d->head_split;
    parts.head = r->buffer;
    parts.head_size = hoteli_grpc_head_write(&head, left, r->buffer);
    parts.body = r->bytes;
    parts.body_size = r->size;
    parts.field_fn = hoteli_grpc_field;
    parts.data_fn = hoteli_grpc_data;
    parts.user_data = &r->grpc;
    hoteli_grpc_start(&r->grpc, r->reply, sizeof r->reply, d->max_response);
    if (!hoteli_h2_request(r->h2, &parts)) hoteli_request_fail(r, "its headers are too large");
}

static void hoteli_response_too_large(hoteli_request *r) {
    char words[80];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, "the response is larger than max_response_bytes (");
    hoteli_say_uint(&text, r->to->max_response);
    hoteli_say(&text, ")");
    hoteli_request_fail(r, words);
}

/* The request has an outcome, or its time is over. */
static void hoteli_grpc_end(hoteli_request *r) {
    hoteli_destination *d = r->to;
    hoteli_verdict v = hoteli_grpc_finish(&r->grpc, r->h2);
    char words[80];
    hoteli_text text;
    /* Nothing was done, or what came had to do with an earlier request: as with a stale connection
       (OG-07). */
    if (r->reused &&
        (v.unprocessed || (r->h2->outcome == HOTELI_H2_BROKEN && !r->h2->any_byte))) {
        hoteli_disconnect(r, false);
        r->state = HOTELI_CONNECTING;
        return;
    }
    r->reused = true;
    if (!v.code) {
        hoteli_h2_idle(r); /* what stood behind the answer is answered now */
        hoteli_request_success(r, r->grpc.body_kept, r->grpc.body_size);
        return;
    }
    if (r->grpc.too_large) {
        hoteli_response_too_large(r);
        return;
    }
    hoteli_request_hear(r, v.message, v.message_size);
    if (v.retryable) {
        /* Waits grow from the one that was asked for (OR-08). */
        if (2 * v.delay_ms > (int64_t)r->step_ms) r->step_ms = (uint32_t)(2 * v.delay_ms);
        hoteli_request_retry(r, hoteli_grpc_code_name(v.code), v.delay_ms);
        return;
    }
    /* By the engine's word: a proxy's 404 counts as that code too. */
    if (d->hatchet && v.code == HOTELI_GRPC_UNIMPLEMENTED && r->grpc.status == v.code) {
        hoteli_quiet(d, hoteli_now_ms());
        hoteli_disconnect(r, false);
        hoteli_request_end(r, &d->books.failed);
        return;
    }
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, r->h2->outcome == HOTELI_H2_BROKEN ? "no answer over HTTP/2"
                                                         : "gRPC status ");
    if (r->h2->outcome != HOTELI_H2_BROKEN) hoteli_say(&text, hoteli_grpc_code_name(v.code));
    if (d->hatchet && v.code == HOTELI_GRPC_UNAUTHENTICATED)
        hoteli_say(&text, " (see HATCHET_CLIENT_TOKEN)");
    hoteli_request_fail(r, words);
}

/* One step of the connection: true when something moved, else *events says what to wait for. */
static bool hoteli_step_connect(hoteli_request *r, short *events) {
    hoteli_destination *d = r->to;
    int result;
    r->said_size = 0;
    if (r->connection && r->reused) hoteli_check_idle(r);
    if (!r->connection) {
        void *user_data = d->builtin ? hoteli_open_data(r) : d->transport.user_data;
        r->connection = d->transport.open_fn(d->url.host, d->url.port, user_data);
        r->reused = false;
        if (!r->connection) {
            hoteli_request_retry(r, "the name was not found", -1);
            return true;
        }
    }
    errno = 0;
    result = r->reused ? (int)HOTEL_IO_DONE : d->transport.connect_fn(r->connection);
    if (result == HOTEL_IO_WANT_READ || result == HOTEL_IO_WANT_WRITE) {
        *events = hoteli_want(result);
        r->trouble = hoteli_connect_slow(r);
        return false;
    }
    if (result != HOTEL_IO_DONE) {
        hoteli_request_retry(r, hoteli_link_trouble(r, hoteli_connect_trouble(d, errno)), -1);
        return true;
    }
    if (!r->reused) hoteli_count(&d->books.connections, 1);
    r->sent = 0;
    hoteli_count(&d->books.requests, 1);
    if (r->attempts++) hoteli_count(&d->books.retries, 1);
    r->trouble = "the server did not answer in time";
    r->state = HOTELI_SENDING;
    r->idle_events = POLLIN;
    if (r->h2) hoteli_grpc_begin(r);
    else hoteli_http_start(&r->http, r->reply, sizeof r->reply, d->max_response);
    return true;
}

/* More bytes of the response, however early it came. */
static bool hoteli_step_receive(hoteli_request *r, short *events) {
    char bytes[4096];
    size_t consumed = 0;
    int result;
    ptrdiff_t n = r->to->transport.receive_fn(r->connection, bytes, sizeof bytes);
    if (n == HOTEL_IO_WANT_READ || n == HOTEL_IO_WANT_WRITE) {
        *events = (short)(*events | hoteli_want(n));
        return false;
    }
    result = n > 0 ? hoteli_http_feed(&r->http, bytes, (size_t)n, &consumed)
                   : n == HOTEL_IO_CLOSED ? hoteli_http_finish(&r->http) : -1;
    if (result == 1) {
        /* Bytes behind the response, or a response before the request was out: not reusable. */
        if ((n > 0 && consumed < (size_t)n) || n <= 0 || r->sent != r->size)
            r->http.keep_alive = false;
        hoteli_response(r);
    } else if (result == -2) {
        hoteli_response_too_large(r);
    } else if (result == -1 && n <= 0) {
        const char *why = r->http.any_byte ? "the server closed in the middle of its response"
                                           : "the server closed without a response";
        hoteli_connection_lost(r, hoteli_link_trouble(r, why));
    } else if (result == -1) {
        hoteli_request_hear(r, r->http.reason, hotel_text_size(r->http.reason));
        hoteli_request_fail(r, "the response is not HTTP");
    } else if (r->http.state > HOTELI_HTTP_HEADER && r->http.status >= 300) {
        /* The rest of a request that was refused already is not sent. */
        r->state = HOTELI_RECEIVING;
    }
    return true;
}

static bool hoteli_step_send(hoteli_request *r, short *events) {
    ptrdiff_t n = r->to->transport.send_fn(r->connection, r->bytes + r->sent, r->size - r->sent);
    if (n > 0) {
        r->sent += (size_t)n;
        hoteli_count(&r->to->books.bytes_sent, (uintptr_t)n);
        if (r->sent == r->size) r->state = HOTELI_RECEIVING;
        return true;
    }
    if (n == HOTEL_IO_WANT_WRITE || n == HOTEL_IO_WANT_READ) {
        /* A server that has had enough may answer now, and read no further. */
        *events = hoteli_want(n);
        return hoteli_step_receive(r, events);
    }
    /* ... or have answered and closed. */
    r->state = HOTELI_RECEIVING;
    return true;
}

/* Sends what may be sent and takes what is there, both at once: a server may answer early, and
   windows open in the middle. */
static bool hoteli_step_grpc(hoteli_request *r, short *events) {
    uint8_t bytes[4096];
    ptrdiff_t sent = hoteli_h2_pump(r);
    ptrdiff_t got = r->to->transport.receive_fn(r->connection, bytes, sizeof bytes);
    if (hoteli_is_want(got)) {
        *events = (short)(hoteli_want(got) | (hoteli_is_want(sent) ? hoteli_want(sent) : 0));
        r->trouble = hoteli_h2_trouble(r->h2);
        return false;
    }
    if (got > 0) {
        r->heard = true;
        (void)hoteli_h2_feed(r->h2, bytes, (size_t)got, hoteli_now_ms());
    } else {
        (void)hoteli_h2_finish(r->h2);
    }
    if (r->h2->outcome == HOTELI_H2_LOST) {
        const char *why = r->h2->reason;
        if (!r->heard && !r->reused && !r->to->url.tls)
            why = "the server closed without a word of HTTP/2: does it want TLS (https)?";
        hoteli_connection_lost(r, hoteli_link_trouble(r, why));
    } else if (r->h2->outcome != HOTELI_H2_OPEN) {
        hoteli_grpc_end(r);
    }
    return true;
}

/* When a request wants to be called again at the latest, and *fd to wait on, -1: none. */
static int64_t hoteli_request_wait(const hoteli_request *r, int64_t now_ms, int *fd) {
    const hoteli_destination *d = r->to;
    *fd = r->connection && r->state != HOTELI_WAITING ? d->transport.descriptor_fn(r->connection)
                                                      : -1;
    if (r->state == HOTELI_IDLE) return hoteli_request_allowed(d) ? d->due_ms : INT64_MAX;
    if (r->state == HOTELI_WAITING) return HOTELI_MIN(hoteli_retry_at(r), r->deadline_ms);
    if (*fd < 0) return HOTELI_MIN(now_ms + 10, r->deadline_ms);
    if (r->state == HOTELI_CONNECTING) return HOTELI_MIN(now_ms + 500, r->deadline_ms);
    return r->deadline_ms;
}

/* Drives a request as far as it goes; true when it came to a halt because it has to wait. A bound
   on the steps keeps one busy connection from starving the others. */
static bool hoteli_request_step(hoteli_request *r, int64_t now_ms, short *events) {
    int steps;
    bool moved = true;
    for (steps = 0; moved && steps < 16; steps++) {
        *events = 0;
        if (r->state == HOTELI_IDLE) {
            if (!hoteli_request_due(r->to, now_ms)) {
                *events = r->idle_events;
                return true;
            }
            hoteli_request_start(r, now_ms);
            continue;
        }
        if (now_ms >= r->deadline_ms) {
            hoteli_request_fail(r, r->trouble);
            continue;
        }
        switch (r->state) {
        case HOTELI_WAITING: moved = hoteli_step_wait(r, now_ms); break;
        case HOTELI_CONNECTING: moved = hoteli_step_connect(r, events); break;
        case HOTELI_SENDING:
            moved = r->h2 ? hoteli_step_grpc(r, events) : hoteli_step_send(r, events);
            break;
        default: moved = hoteli_step_receive(r, events); break;
        }
    }
    return !moved;
}

/* Drives a destination as far as it goes. Returns when it wants to be called again, at the
   latest; what else it waits for is added to the watch. */
static int64_t hoteli_destination_step(hoteli_destination *d, int64_t now_ms, hoteli_watch *w) {
    int64_t until = INT64_MAX;
    bool failing = d->failing;
    uint32_t i, busy = hoteli_num_busy(d, true);
    for (i = 0; i < hoteli_num_requests(d); i++) {
        hoteli_request *r = &d->requests[i];
        short events = 0;
        bool halted = hoteli_request_step(r, now_ms, &events);
        int fd;
        int64_t due = hoteli_request_wait(r, now_ms, &fd);
        r->events = events;
        until = HOTELI_MIN(until, halted ? due : now_ms);
        if (fd < 0) continue;
        w->fds[w->count].fd = fd;
        w->fds[w->count].events = events;
        w->fds[w->count].revents = 0;
        w->owners[w->count++] = r;
    }
    /* What one request came to may let others go that had their turn before it. */
    if (failing != d->failing || (failing && busy && !hoteli_num_busy(d, true))) return now_ms;
    return until;
}

/* Shutdown's time is over: what is still here is dropped; a request under way may or may not have
   arrived. */
static void hoteli_destination_close(hoteli_destination *d, uint32_t timeout_ms) {
    uint32_t i, left = d->count;
    hoteli_queue_pop(d, left);
    if (left) hoteli_settle(&d->books.dropped_shutdown, left);
    for (i = 0; i < hoteli_num_requests(d); i++) {
        if (d->requests[i].state != HOTELI_IDLE)
            hoteli_request_fail(&d->requests[i], "shutdown's time was over");
        hoteli_disconnect(&d->requests[i], false);
    }
    hoteli_exporter_shutdown(d, timeout_ms);
}

/* ==== [SECTION 50] EXPORTER ================================================================ */

/* A span that is older than the set-up, and whose provider is gone: the one in that place now has
   nothing to do with it. */
static bool hoteli_orphan(const hoteli_record *r) {
    return hoteli_g.scopes[r->scope].serial != HOTELI_GET(hoteli_provider_of(r)->serial);
}

/* An ended span that comes too late for its provider's destinations. */
static void hoteli_drop_late(const hoteli_provider *p, uint32_t index) {
    uint32_t i;
    for (i = 0; i < p->num_destinations; i++) {
        hoteli_books *books = &hoteli_g.destinations[p->first + i]->books;
        hoteli_count(&books->offered, 1);
        hoteli_settle(&books->dropped_shutdown, 1);
    }
    hoteli_record_free(index);
}

/* An ended span goes to every destination of its provider. */
static void hoteli_distribute(uint32_t index) {
    hoteli_record *r = hoteli_record_at(index);
    const hoteli_provider *p = hoteli_provider_of(r);
    uint32_t i, n = p->num_destinations;
    if (hoteli_orphan(r)) {
        hoteli_record_free(index);
        return;
    }
    if (!n || hoteli_flag_load(&p->state) == HOTELI_OVER) {
        hoteli_drop_late(p, index);
        return;
    }
    r->holders = (uint8_t)n;
    for (i = 0; i < n; i++) hoteli_enqueue(hoteli_g.destinations[p->first + i], index);
}

/* The ended spans of a shard, oldest first. */
static uint32_t hoteli_take_ended(hoteli_shard *shard) {
    uint32_t index, ordered = 0;
    uintptr_t head;
    if (!(hoteli_load_relaxed(&shard->ended) & HOTELI_INDEX_MASK)) return 0;
    /* For those who read the books the spans are in one place or the other, never in both. */
    (void)__atomic_fetch_add(&hoteli_g.moves.bits, 1, __ATOMIC_ACQ_REL);
    head = hoteli_swap(&shard->ended, 0);
    (void)__atomic_fetch_add(&hoteli_g.collected.bits, head >> HOTELI_INDEX_BITS, __ATOMIC_ACQ_REL);
    (void)__atomic_fetch_add(&hoteli_g.moves.bits, 1, __ATOMIC_RELEASE);
    index = (uint32_t)(head & HOTELI_INDEX_MASK);
    while (index) {
        hoteli_chunk *chunk = hoteli_chunk_at(index);
        uint32_t next = hoteli_link_get(&chunk->next);
        if (next) __builtin_prefetch(hoteli_chunk_at(next), 1);
        hoteli_link_set(&chunk->next, ordered);
        ordered = index;
        index = next;
    }
    return ordered;
}

static void hoteli_drain(int64_t now_ms) {
    uint32_t i;
    (void)__atomic_exchange_n(&hoteli_g.pending.bits, 0, __ATOMIC_RELAXED);
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        uint32_t index = hoteli_take_ended(&hoteli_g.shards[i]);
        hoteli_store(&hoteli_g.shards[i].pops, hoteli_pops(&hoteli_g.shards[i]));
        while (index) {
            uint32_t next = hoteli_link_get(&hoteli_chunk_at(index)->next);
            hoteli_distribute(index);
            index = next;
        }
    }
    hoteli_g.drained_ms = now_ms;
}

/* After shutdown: whatever ends now, or ended in the last moment, is dropped and counted. */
static void hoteli_drop_ended(void) {
    uint32_t i;
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        uint32_t index = hoteli_take_ended(&hoteli_g.shards[i]);
        while (index) {
            uint32_t next = hoteli_link_get(&hoteli_chunk_at(index)->next);
            if (hoteli_orphan(hoteli_record_at(index))) hoteli_record_free(index);
            else hoteli_drop_late(hoteli_provider_of(hoteli_record_at(index)), index);
            index = next;
        }
    }
}

/* By whoever ends a span then, if nobody changes or reads the set-up; else by the next one, or
   by those who read. */
static HOTELI_COLD void hoteli_late(void) {
    int cancel = hoteli_cancel_hold();
    if (hoteli_flag_cas(&hoteli_g.shape, 0, 1)) {
        if (hoteli_g.shards && hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
        hoteli_flag_store(&hoteli_g.shape, 0);
    }
    hoteli_cancel_back(cancel);
}

/* Flush goes in rounds, of each destination by itself. A round begins with a drain, so that
   everything that ended before it was asked for is in the queue, and is over when the destination
   has settled what it had then (BSP-17, BSP-24). Whoever asks while one is on waits for the
   next. */
static void hoteli_flush_begin(int64_t now_ms) {
    uint32_t i, asked, ready = 0, deep;
    hoteli_lock();
    asked = hoteli_g.flush_asked;
    for (i = 0; hoteli_g.flush_mask && i < hoteli_num_destinations(); i++) {
        const hoteli_destination *d = hoteli_g.destinations[i];
        if (d->flush_done == d->flush_begun) ready |= hoteli_g.flush_mask & d->bit;
    }
    deep = hoteli_g.flush_deep & ready;
    hoteli_g.flush_mask &= ~ready;
    hoteli_g.flush_deep &= ~ready;
    hoteli_unlock();
    if (!ready) return;
    hoteli_drain(now_ms);
    for (i = 0; i < hoteli_num_destinations(); i++) {
        hoteli_destination *d = hoteli_g.destinations[i];
        if (!(ready & d->bit)) continue;
        hoteli_destination_flush(d);
        d->flush_begun = asked;
        d->flush_deep = (deep & d->bit) != 0;
    }
}

/* True when a round has come to its end. */
static bool hoteli_flush_end(void) {
    bool ended = false;
    uint32_t i;
    for (i = 0; i < hoteli_num_destinations(); i++) {
        hoteli_destination *d = hoteli_g.destinations[i];
        if (d->flush_begun == d->flush_done || !hoteli_destination_flushed(d)) continue;
        if (d->flush_deep) hoteli_exporter_flush(d, d->timeout_ms);
        hoteli_lock();
        d->flush_done = d->flush_begun;
        hoteli_unlock();
        ended = true;
    }
    if (ended) (void)pthread_cond_broadcast(&hoteli_g.settled);
    return ended;
}

/* Under the lock: have these destinations come to the end of that round? */
static bool hoteli_flush_reached(uint32_t ticket, uint32_t mask) {
    uint32_t i;
    for (i = 0; i < hoteli_num_destinations(); i++) {
        const hoteli_destination *d = hoteli_g.destinations[i];
        if ((mask & d->bit) && (int32_t)(d->flush_done - ticket) < 0) return false;
    }
    return true;
}

static bool hoteli_all_idle(void) {
    uint32_t i;
    for (i = 0; i < hoteli_num_destinations(); i++)
        if (!hoteli_destination_idle(hoteli_g.destinations[i])) return false;
    return true;
}

static void hoteli_log_queue_full(int64_t now_ms) {
    uintptr_t mask = (uintptr_t)1 << HOTEL_LOG_ID_QUEUE_FULL;
    uint32_t i;
    if (!(hoteli_load_relaxed(&hoteli_g.log_bits[0]) & mask)) return;
    (void)__atomic_fetch_and(&hoteli_g.log_bits[0].bits, ~mask, __ATOMIC_RELAXED);
    for (i = 0; i < hoteli_num_destinations(); i++) {
        hoteli_destination *d = hoteli_g.destinations[i];
        uintptr_t dropped = hoteli_load_relaxed(&d->books.dropped_queue_full);
        char words[512];
        hoteli_text text;
        if (!dropped || !hoteli_log_due(&d->logged_full_ms, now_ms)) continue;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_destination_name(&text, d);
        hoteli_say(&text, ": ");
        hoteli_say_spans(&text, dropped);
        hoteli_say(&text, " dropped so far: the queue (max_queue_size ");
        hoteli_say_uint(&text, d->max_queue);
        hoteli_say(&text, ") is full");
        hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_QUEUE_FULL, &text);
    }
}

/* Without a delay every span that ends wakes the exporter: nothing waits for the clock. */
static int64_t hoteli_drain_period(void) {
    uint32_t delay = HOTELI_GET(hoteli_g.drain_delay_ms);
    return delay ? (int64_t)delay : 1000;
}

/* Says what has to be said, renews the anchor, takes ended spans in. */
static void hoteli_housekeeping(int64_t now_ms) {
    uintptr_t pending = hoteli_load_relaxed(&hoteli_g.pending);
    /* At first the rate is known from a short time only: it is taken again soon. */
    bool young = hoteli_clock_ns(CLOCK_MONOTONIC) - hoteli_g.anchor.base_ns < 5000000000u;
    if (now_ms - hoteli_g.anchored_ms >= (young ? 20 : 1000) || !hoteli_g.anchored_ms) {
        hoteli_anchor_renew(&hoteli_g.anchor);
        hoteli_g.anchored_ms = now_ms;
    }
    hoteli_log_queue_full(now_ms);
    if (hoteli_load_relaxed(&hoteli_g.log_bits[0]) | hoteli_load_relaxed(&hoteli_g.log_bits[1]))
        hoteli_log_pending(now_ms);
    hoteli_flush_begin(now_ms);
    if (now_ms >= hoteli_g.drain_ms) {
        hoteli_drain(now_ms);
        hoteli_g.drain_ms = now_ms + hoteli_drain_period();
    } else if (pending >= HOTELI_GET(hoteli_g.wake_at)) {
        hoteli_drain(now_ms);
    }
}

/* Without threads there is nothing that could wake a thread in hotel_poll for another one in
   hotel_flush or hotel_shutdown: it looks now and then. */
static int hoteli_poll_alone(struct pollfd *fds, uint32_t count, int timeout) {
    int result = 0;
    while (!hoteli_flag_swap(&hoteli_g.nudge, 0)) {
        int slice = HOTELI_MIN(timeout, 50);
        result = poll(fds, (nfds_t)count, slice);
        timeout -= slice;
        if (result != 0 || timeout <= 0) break;
    }
    return result;
}

/* Waits for the network, the next due time, or a wake-up. */
static void hoteli_wait(struct pollfd *fds, uint32_t count, int64_t until_ms, int64_t now_ms) {
    int64_t wait = until_ms - now_ms;
    int timeout = wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait, result;
    if (!hoteli_g.no_threads) {
        uintptr_t pending;
        (void)hoteli_flag_swap(&hoteli_g.sleeping, 1);
        /* What came before the flag was up gave no wake-up. */
        pending = __atomic_load_n(&hoteli_g.pending.bits, __ATOMIC_SEQ_CST);
        if (hoteli_flag_swap(&hoteli_g.nudge, 0) || pending >= HOTELI_GET(hoteli_g.wake_at))
            timeout = 0;
    }
    result = hoteli_g.no_threads ? hoteli_poll_alone(fds, count, timeout)
                                 : poll(fds, (nfds_t)count, timeout);
    if (result > 0 && !hoteli_g.no_threads && fds[0].revents) {
        char bytes[64];
        if (fds[0].revents & POLLNVAL) hoteli_g.pipe_lost = true;
        while (recv(hoteli_g.wake_pipe[0], bytes, sizeof bytes, 0) > 0) continue;
    } else if (result < 0 && errno != EINTR) {
        /* Fewer descriptors are allowed than are here (RLIMIT_NOFILE), or memory is short. */
        hoteli_nap(HOTELI_MIN(timeout, 10));
    }
    if (!hoteli_g.no_threads) (void)hoteli_flag_swap(&hoteli_g.sleeping, 0);
}

static int64_t hoteli_close_asked(int64_t now_ms);

/* One turn of the exporter: everything that is due, then a wait of at most max_wait_ms. */
static void hoteli_turn(int64_t max_wait_ms) {
    hoteli_watch w;
    int64_t now_ms = hoteli_now_ms(), until = now_ms + 60000, due;
    uint32_t i;
    w.count = 0;
    if (!hoteli_g.no_threads) {
        /* A host that closes every descriptor has taken the pipe too: look now and then. */
        bool lost = hoteli_g.pipe_lost || !hoteli_g.wake_pipe[1];
        if (lost) until = HOTELI_MIN(until, now_ms + 100);
        w.fds[0].fd = lost ? -1 : hoteli_g.wake_pipe[0];
        w.fds[0].events = POLLIN;
        w.fds[0].revents = 0;
        w.owners[w.count++] = NULL;
    }
    hoteli_housekeeping(now_ms);
    for (i = 0; i < hoteli_num_destinations(); i++) {
        due = hoteli_destination_step(hoteli_g.destinations[i], now_ms, &w);
        until = HOTELI_MIN(until, due);
    }
    until = HOTELI_MIN(until, hoteli_g.drain_ms);
    due = hoteli_close_asked(now_ms);
    until = HOTELI_MIN(until, due);
    if (hoteli_flush_end()) until = now_ms; /* the next round, or the end */
    hoteli_g.next_ms = until;
    until = HOTELI_MIN(until, now_ms + max_wait_ms);
    hoteli_wait(w.fds, w.count, until, now_ms);
    for (i = 0; i < w.count; i++) {
        hoteli_request *r = w.owners[i];
        if (!r || !w.fds[i].revents || r->state != HOTELI_IDLE || !r->connection) continue;
        hoteli_check_idle(r);
        r->events = r->idle_events;
    }
}

static bool hoteli_stop_now(void) {
    bool stop;
    int64_t limit;
    hoteli_lock();
    stop = hoteli_g.stopping;
    limit = hoteli_g.stop_ms;
    stop = stop && (hoteli_now_ms() >= limit ||
                    (hoteli_flush_reached(hoteli_g.stop_ticket, hoteli_g.stop_mask) &&
                     hoteli_all_idle()));
    hoteli_unlock();
    return stop;
}

static void hoteli_close_provider(hoteli_provider *p, int64_t until_ms) {
    uint32_t i;
    for (i = 0; i < p->num_destinations; i++)
        hoteli_destination_close(hoteli_g.destinations[p->first + i], hoteli_time_left(until_ms));
    hoteli_lock();
    hoteli_flag_store(&p->state, HOTELI_OVER);
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    hoteli_unlock();
}

/* Providers that are to be shut down, once they have nothing left or their time is over. Returns
   when to look again. */
static int64_t hoteli_close_asked(int64_t now_ms) {
    int64_t until = INT64_MAX;
    uint32_t i, k;
    for (i = 1; i < HOTELI_MAX_PROVIDERS; i++) {
        hoteli_provider *p = &hoteli_g.providers[i];
        bool over;
        int64_t stop_ms;
        if (hoteli_flag_load(&p->state) != HOTELI_ASKED) continue;
        hoteli_lock();
        stop_ms = p->stop_ms;
        over = hoteli_flush_reached(p->ticket, hoteli_mask_of(p));
        hoteli_unlock();
        for (k = 0; over && k < p->num_destinations; k++)
            over = hoteli_destination_idle(hoteli_g.destinations[p->first + k]);
        if (over || now_ms >= stop_ms) hoteli_close_provider(p, stop_ms);
        else until = HOTELI_MIN(until, stop_ms);
    }
    return until;
}

/* The end of all. */
static void hoteli_close_all(void) {
    int64_t now_ms = hoteli_now_ms();
    uint32_t i;
    hoteli_drain(now_ms);
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++)
        if (hoteli_flag_load(&hoteli_g.providers[i].state) != HOTELI_OVER)
            hoteli_close_provider(&hoteli_g.providers[i], hoteli_g.stop_ms);
    (void)__atomic_exchange_n(&hoteli_g.closed.bits, 1u, __ATOMIC_SEQ_CST);
    hoteli_late();
    hoteli_log_queue_full(now_ms);
    hoteli_log_pending(now_ms);
    (void)hoteli_flush_end();
}

static int64_t hoteli_stop_wait(void) {
    int64_t wait = 60000;
    hoteli_lock();
    if (hoteli_g.stopping) wait = HOTELI_MAX(hoteli_g.stop_ms - hoteli_now_ms(), (int64_t)0);
    hoteli_unlock();
    return wait;
}

static void *hoteli_thread_run(void *unused) {
    (void)unused;
    hoteli_t.quiet = 1; /* its own work is not traced (SP-08) */
    while (!hoteli_stop_now()) hoteli_turn(hoteli_stop_wait());
    hoteli_close_all();
    hoteli_lock();
    hoteli_g.thread_done = true;
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    hoteli_unlock();
    return NULL;
}

static bool hoteli_exporter_start(void) {
    int error;
    hoteli_g.drained_ms = hoteli_now_ms();
    hoteli_g.drain_ms = hoteli_g.drained_ms + hoteli_drain_period();
    hoteli_g.anchored_ms = 0;
    hoteli_anchor_renew(&hoteli_g.anchor);
    if (hoteli_g.no_threads) return true;
    hoteli_g.thread_done = false;
    error = hoteli_thread_start(&hoteli_g.thread, hoteli_thread_run, NULL, false);
    hoteli_g.has_thread = error == 0;
    return error == 0;
}

/* ==== [SECTION 51] CONSOLE AND MEMORY EXPORTERS ============================================ */

/* Text on its way to a descriptor, in pieces. */
typedef struct hoteli_printer {
    int fd;
    bool color;
    bool failed;
    size_t used;
    char bytes[1024];
} hoteli_printer;

enum {
    HOTELI_PRINT_TEXT = 256, /* bytes of a text that are shown; elements and depth of a value */
    HOTELI_PRINT_ITEMS = 16,
    HOTELI_PRINT_DEPTH = 8,
    HOTELI_PRINT_WAIT_MS = 1000
};

static void hoteli_print_flush(hoteli_printer *p) {
    size_t sent = 0;
    while (sent < p->used && !p->failed) {
        ssize_t n = write(p->fd, p->bytes + sent, p->used - sent);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd ready;
            ready.fd = p->fd;
            ready.events = POLLOUT;
            ready.revents = 0;
            if (poll(&ready, 1, HOTELI_PRINT_WAIT_MS) == 0) p->failed = true;
        } else if (n == 0 || errno != EINTR) {
            p->failed = true;
        }
    }
    p->used = 0;
}

static void hoteli_print_n(hoteli_printer *p, const char *text, size_t size) {
    while (size > 0) {
        size_t n = HOTELI_MIN(size, sizeof p->bytes - p->used);
        memcpy(p->bytes + p->used, text, n);
        p->used += n;
        text += n;
        size -= n;
        if (p->used == sizeof p->bytes) hoteli_print_flush(p);
    }
}

static void hoteli_print(hoteli_printer *p, const char *text) {
    hoteli_print_n(p, text, strlen(text));
}

static void hoteli_print_style(hoteli_printer *p, const char *style) {
    if (p->color) hoteli_print(p, style);
}

static void hoteli_print_uint(hoteli_printer *p, uint64_t value, unsigned min_digits) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || sizeof digits - n < min_digits);
    hoteli_print_n(p, digits + n, sizeof digits - n);
}

static void hoteli_print_int(hoteli_printer *p, int64_t value) {
    if (value < 0) hoteli_print(p, "-");
    hoteli_print_uint(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

static void hoteli_print_hex(hoteli_printer *p, const void *bytes, size_t size) {
    const uint8_t *b = (const uint8_t *)bytes;
    size_t i;
    for (i = 0; i < size; i++) {
        hoteli_print_n(p, &"0123456789abcdef"[b[i] >> 4], 1);
        hoteli_print_n(p, &"0123456789abcdef"[b[i] & 15], 1);
    }
}

/* Brings a positive number into [1, 10) and returns the power of ten that was taken out. */
static int hoteli_print_scale(double *value) {
    static const double powers[] = {1e256, 1e128, 1e64, 1e32, 1e16, 1e8, 1e4, 1e2, 1e1};
    int i, exponent = 0, step = 256;
    for (i = 0; i < 9; i++, step = step > 1 ? step / 2 : 1) {
        if (*value >= powers[i]) {
            *value /= powers[i];
            exponent += step;
        } else if (*value < 1 && *value * powers[i] < 10) {
            *value *= powers[i];
            exponent -= step;
        }
    }
    return exponent;
}

/* Fifteen digits at most: for people, not for reading back. */
static void hoteli_print_double(hoteli_printer *p, double value) {
    char digits[16];
    uint64_t bits, whole;
    int exponent, count = 15, point, i;
    memcpy(&bits, &value, 8);
    if (value != value) {
        hoteli_print(p, "NaN");
        return;
    }
    if (bits >> 63) {
        hoteli_print(p, "-");
        value = -value;
    }
    if (bits << 1 == UINT64_C(0x7FF) << 53) {
        hoteli_print(p, "Infinity");
        return;
    }
    exponent = bits << 1 == 0 ? 0 : hoteli_print_scale(&value);
    whole = (uint64_t)(value * 1e14 + 0.5);
    if (whole >= UINT64_C(1000000000000000)) {
        whole /= 10;
        exponent++;
    }
    for (i = 15; i > 0; i--, whole /= 10) digits[i - 1] = (char)('0' + whole % 10);
    while (count > 1 && digits[count - 1] == '0') count--;
    point = exponent >= 0 && exponent < 15 ? exponent + 1 : 1;
    if (exponent < 0 && exponent >= -4) {
        hoteli_print_n(p, "0.0000", (size_t)(1 - exponent));
        hoteli_print_n(p, digits, (size_t)count);
        return;
    }
    while (count < point) digits[count++] = '0';
    hoteli_print_n(p, digits, (size_t)point);
    if (count > point) hoteli_print(p, ".");
    hoteli_print_n(p, digits + point, (size_t)(count - point));
    if (point == exponent + 1) return;
    hoteli_print(p, exponent < 0 ? "e-" : "e+");
    hoteli_print_uint(p, (uint64_t)(exponent < 0 ? -exponent : exponent), 2);
}

/* One character as it is, or escaped if a terminal would obey it or it is not UTF-8. */
static void hoteli_print_char(hoteli_printer *p, const char *at, size_t size) {
    unsigned char c = (unsigned char)*at;
    bool control = c < 0x20 || c == 0x7F || (c == 0xC2 && size == 2 && (uint8_t)at[1] < 0xA0);
    if (c == '\n' || c == '\t' || c == '\r') {
        hoteli_print(p, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
    } else if (size == 0 || control) {
        for (size += size == 0; size > 0; size--, at++) {
            hoteli_print(p, "\\x");
            hoteli_print_hex(p, at, 1);
        }
    } else {
        hoteli_print_n(p, at, size);
    }
}

/* Text from outside, cut between characters. */
static void hoteli_print_text(hoteli_printer *p, hotel_string text, bool quoted) {
    size_t i = 0;
    if (quoted) hoteli_print(p, "\"");
    while (i < text.size && i < HOTELI_PRINT_TEXT) {
        size_t n = hoteli_utf8_sequence(text.text + i, text.size - i);
        if (quoted && (text.text[i] == '"' || text.text[i] == '\\')) hoteli_print(p, "\\");
        hoteli_print_char(p, text.text + i, n);
        i += n > 0 ? n : 1;
    }
    if (quoted) hoteli_print(p, "\"");
    if (i == text.size) return;
    hoteli_print(p, "... (");
    hoteli_print_uint(p, text.size, 1);
    hoteli_print(p, " bytes)");
}

static void hoteli_print_value(hoteli_printer *p, const hotel_value_view *v, int depth);

/* "[1, 2]" or "{a: 1}"; members beyond the first ones are counted. */
static void hoteli_print_list(hoteli_printer *p, const hotel_value_view *v, int depth) {
    bool is_map = v->type == HOTEL_TYPE_MAP;
    hotel_list list = v->as.list;
    hotel_attr_view item;
    size_t count = 0;
    hoteli_print(p, is_map ? "{" : "[");
    memset(&item, 0, sizeof item);
    while (depth < HOTELI_PRINT_DEPTH &&
           (is_map ? hotel_next_attr(&list, &item) : hotel_next_value(&list, &item.value))) {
        if (++count > HOTELI_PRINT_ITEMS) continue;
        if (count > 1) hoteli_print(p, ", ");
        if (is_map) hoteli_print_text(p, item.key, false);
        if (is_map) hoteli_print(p, ": ");
        hoteli_print_value(p, &item.value, depth + 1);
    }
    if (depth >= HOTELI_PRINT_DEPTH) hoteli_print(p, "...");
    if (count > HOTELI_PRINT_ITEMS) {
        hoteli_print(p, ", ... (");
        hoteli_print_uint(p, count - HOTELI_PRINT_ITEMS, 1);
        hoteli_print(p, " more)");
    }
    hoteli_print(p, is_map ? "}" : "]");
}

static void hoteli_print_value(hoteli_printer *p, const hotel_value_view *v, int depth) {
    switch (v->type) {
    case HOTEL_TYPE_STRING: hoteli_print_text(p, v->as.string, true); break;
    case HOTEL_TYPE_BOOL: hoteli_print(p, v->as.boolean ? "true" : "false"); break;
    case HOTEL_TYPE_INT: hoteli_print_int(p, v->as.integer); break;
    case HOTEL_TYPE_DOUBLE: hoteli_print_double(p, v->as.real); break;
    case HOTEL_TYPE_BYTES:
        hoteli_print(p, "0x");
        hoteli_print_hex(p, v->as.string.text, HOTELI_MIN(v->as.string.size, (size_t)32));
        if (v->as.string.size > 32) {
            hoteli_print(p, "... (");
            hoteli_print_uint(p, v->as.string.size, 1);
            hoteli_print(p, " bytes)");
        }
        break;
    case HOTEL_TYPE_ARRAY:
    case HOTEL_TYPE_MAP: hoteli_print_list(p, v, depth); break;
    default: hoteli_print(p, "(empty)"); break;
    }
}

static void hoteli_print_key(hoteli_printer *p, const char *indent, hotel_string key) {
    hoteli_print(p, indent);
    hoteli_print_style(p, "\033[36m");
    hoteli_print_text(p, key, false);
    hoteli_print_style(p, "\033[0m");
    hoteli_print(p, " = ");
}

static void hoteli_print_attrs(hoteli_printer *p, const char *indent, hotel_list attributes) {
    hotel_attr_view attribute;
    while (hotel_next_attr(&attributes, &attribute)) {
        hoteli_print_key(p, indent, attribute.key);
        hoteli_print_value(p, &attribute.value, 0);
        hoteli_print(p, "\n");
    }
}

/* What formats other than OTLP say by attributes of these names (SP-101). */
static void hoteli_print_named(hoteli_printer *p, const char *indent, const char *name,
                               hotel_string text) {
    hotel_string key;
    if (text.size == 0) return;
    key.text = name;
    key.size = strlen(name);
    hoteli_print_key(p, indent, key);
    hoteli_print_text(p, text, true);
    hoteli_print(p, "\n");
}

static void hoteli_print_dropped(hoteli_printer *p, const char *indent, const char *name,
                                 uint32_t count) {
    hotel_string key;
    if (count == 0) return;
    key.text = name;
    key.size = strlen(name);
    hoteli_print_key(p, indent, key);
    hoteli_print_uint(p, count, 1);
    hoteli_print(p, "\n");
}

/* 2026-11-23T15:55:36.123456789Z, by the proleptic Gregorian calendar. */
static void hoteli_print_time(hoteli_printer *p, uint64_t ns) {
    uint64_t seconds = ns / 1000000000u, day = seconds / 86400u;
    uint32_t rest = (uint32_t)(seconds % 86400u);
    /* Years begin in March, so that the leap day is the last one; eras have 400 years. */
    uint32_t era_day = (uint32_t)((day + 719468u) % 146097u);
    uint64_t era = (day + 719468u) / 146097u;
    uint32_t year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
    uint32_t year_day = era_day - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * year_day + 2) / 153;
    hoteli_print_uint(p, era * 400 + year + (month >= 10), 4);
    hoteli_print(p, "-");
    hoteli_print_uint(p, month < 10 ? month + 3 : month - 9, 2);
    hoteli_print(p, "-");
    hoteli_print_uint(p, year_day - (153 * month + 2) / 5 + 1, 2);
    hoteli_print(p, "T");
    hoteli_print_uint(p, rest / 3600, 2);
    hoteli_print(p, ":");
    hoteli_print_uint(p, rest / 60 % 60, 2);
    hoteli_print(p, ":");
    hoteli_print_uint(p, rest % 60, 2);
    hoteli_print(p, ".");
    hoteli_print_uint(p, ns % 1000000000u, 9);
    hoteli_print(p, "Z");
}

/* From one time to another, in the unit that suits; the later may be the first. */
static void hoteli_print_duration(hoteli_printer *p, uint64_t from, uint64_t to) {
    uint64_t ns = to >= from ? to - from : from - to, unit = 1;
    const char *name = " ns";
    if (ns >= 1000000000) {
        unit = 1000000000;
        name = " s";
    } else if (ns >= 1000) {
        unit = ns >= 1000000 ? 1000000 : 1000;
        name = unit == 1000 ? " us" : " ms";
    }
    if (to < from) hoteli_print(p, "-");
    hoteli_print_uint(p, ns / unit, 1);
    if (unit > 1) {
        hoteli_print(p, ".");
        hoteli_print_uint(p, ns % unit / (unit / 1000), 3);
    }
    hoteli_print(p, name);
}

static void hoteli_print_ids(hoteli_printer *p, const hotel_span_context *context) {
    hoteli_print(p, "\n    trace ");
    hoteli_print_hex(p, context->trace_id, 16);
    hoteli_print(p, " span ");
    hoteli_print_hex(p, context->span_id, 8);
}

static void hoteli_print_events(hoteli_printer *p, const hotel_span_view *span) {
    hotel_list events = span->events;
    hotel_event_view event;
    while (hotel_next_event(&events, &event)) {
        hoteli_print(p, "    event ");
        hoteli_print_text(p, event.name, true);
        hoteli_print(p, event.time_ns >= span->start_time_ns ? " at +" : " at ");
        hoteli_print_duration(p, span->start_time_ns, event.time_ns);
        hoteli_print(p, "\n");
        hoteli_print_attrs(p, "        ", event.attributes);
        hoteli_print_dropped(p, "        ", "otel.dropped_attributes_count",
                             event.dropped_attributes);
    }
}

static void hoteli_print_links(hoteli_printer *p, const hotel_span_view *span) {
    hotel_list links = span->links;
    hotel_link_view link;
    while (hotel_next_link(&links, &link)) {
        hoteli_print(p, "    link to trace ");
        hoteli_print_hex(p, link.context.trace_id, 16);
        hoteli_print(p, " span ");
        hoteli_print_hex(p, link.context.span_id, 8);
        hoteli_print(p, link.context.is_remote ? " (remote)\n" : "\n");
        hoteli_print_named(p, "        ", "tracestate", link.trace_state);
        hoteli_print_attrs(p, "        ", link.attributes);
        hoteli_print_dropped(p, "        ", "otel.dropped_attributes_count",
                             link.dropped_attributes);
    }
}

/* The span's first lines: name, kind, IDs, times. */
static void hoteli_print_identity(hoteli_printer *p, const hotel_span_view *span) {
    static const char *const kinds[] = {" (unspecified)", " (internal)", " (server)",
                                        " (client)", " (producer)", " (consumer)"};
    hoteli_print(p, "span ");
    hoteli_print_style(p, "\033[1m");
    hoteli_print_text(p, span->name, true);
    hoteli_print_style(p, "\033[0m");
    hoteli_print(p, kinds[span->kind]);
    hoteli_print_ids(p, &span->context);
    hoteli_print(p, " flags ");
    hoteli_print_hex(p, &span->context.trace_flags, 1);
    if (span->has_parent) {
        hoteli_print(p, "\n    parent ");
        hoteli_print_hex(p, span->parent_span_id, 8);
        if (span->has_remote_parent) hoteli_print(p, " (remote)");
    }
    hoteli_print(p, "\n    start ");
    hoteli_print_time(p, span->start_time_ns);
    hoteli_print(p, " duration ");
    hoteli_print_duration(p, span->start_time_ns, span->end_time_ns);
    hoteli_print(p, "\n");
    hoteli_print_named(p, "    ", "tracestate", span->trace_state);
}

static void hoteli_print_span(hoteli_printer *p, const hotel_span_view *span) {
    hoteli_print_identity(p, span);
    if (span->status != HOTEL_STATUS_UNSET) {
        bool is_ok = span->status == HOTEL_STATUS_OK;
        hoteli_print(p, "    otel.status_code = ");
        hoteli_print_style(p, is_ok ? "\033[32m" : "\033[31m");
        hoteli_print(p, is_ok ? "OK" : "ERROR");
        hoteli_print_style(p, "\033[0m");
        hoteli_print(p, "\n");
        hoteli_print_named(p, "    ", "otel.status_description", span->status_description);
    }
    hoteli_print_attrs(p, "    ", span->attributes);
    hoteli_print_dropped(p, "    ", "otel.dropped_attributes_count", span->dropped_attributes);
    hoteli_print_events(p, span);
    hoteli_print_dropped(p, "    ", "otel.dropped_events_count", span->dropped_events);
    hoteli_print_links(p, span);
    hoteli_print_dropped(p, "    ", "otel.dropped_links_count", span->dropped_links);
    hoteli_print_named(p, "    ", "otel.scope.name", span->scope.name);
    hoteli_print_named(p, "    ", "otel.scope.version", span->scope.version);
    hoteli_print_named(p, "    ", "otel.library.name", span->scope.name);
    hoteli_print_named(p, "    ", "otel.library.version", span->scope.version);
    hoteli_print_named(p, "    ", "otel.scope.schema_url", span->scope.schema_url);
    hoteli_print_attrs(p, "    otel.scope.", span->scope.attributes);
}

static void hoteli_print_batch(hoteli_printer *p, const hotel_batch *batch) {
    hotel_spans spans = hotel_batch_spans(batch);
    const uint8_t *group = NULL;
    hotel_span_view span;
    while (!p->failed && hotel_next_span(&spans, &span)) {
        if (spans.groups.at != group) {
            group = spans.groups.at;
            hoteli_print(p, "resource\n");
            hoteli_print_attrs(p, "    ", span.resource.attributes);
            hoteli_print_named(p, "    ", "schema_url", span.resource.schema_url);
        }
        hoteli_print_span(p, &span);
    }
    hoteli_print_flush(p);
}

/* Writing to a pipe that nobody reads raises SIGPIPE: held back, and taken away if it came. */
static hotel_result hoteli_console_export(const hotel_batch *batch, void *user_data) {
    uintptr_t setting = (uintptr_t)user_data;
    hoteli_printer p;
    sigset_t broken, before, pending;
    bool was_pending;
    int error = errno, number, cancel = hoteli_cancel_hold();
    p.fd = (int)(setting >> 1);
    p.color = setting & 1;
    p.failed = false;
    p.used = 0;
    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &broken, &before);
    was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    hoteli_print_batch(&p, batch);
    if (p.failed && !was_pending && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGPIPE) == 1)
        (void)sigwait(&broken, &number);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    hoteli_cancel_back(cancel);
    errno = error;
    return p.failed ? HOTEL_ERR_FAILED : HOTEL_OK;
}

HOTEL_API hotel_exporter hotel_console_exporter(int descriptor) {
    const char *no_color = getenv("NO_COLOR");
    bool color = !(no_color && *no_color) && isatty(descriptor) == 1;
    hotel_exporter exporter;
    memset((void *)&exporter, 0, sizeof exporter);
    exporter.export_fn = hoteli_console_export;
    exporter.user_data = (void *)((uintptr_t)(unsigned)descriptor << 1 | color);
    return exporter;
}

/* ---- in memory ---- */

/* Batches are kept behind one another, which is one batch. What is below `used` never changes, so
   readers need only that; busy keeps a reset out of an export. */
static void hoteli_memory_enter(hotel_memory_exporter *m) {
    int cancel = hoteli_cancel_hold();
    while (__atomic_exchange_n(&m->busy, 1u, __ATOMIC_ACQUIRE) != 0) {
        struct timespec pause = {0, 100000};
        (void)nanosleep(&pause, NULL);
    }
    hoteli_cancel_back(cancel);
}

static void hoteli_memory_leave(hotel_memory_exporter *m) {
    __atomic_store_n(&m->busy, 0u, __ATOMIC_RELEASE);
}

static hotel_result hoteli_memory_export(const hotel_batch *batch, void *user_data) {
    hotel_memory_exporter *m = (hotel_memory_exporter *)user_data;
    size_t size = batch->request_size, used;
    hotel_result result = HOTEL_OK;
    hoteli_memory_enter(m);
    used = m->used;
    if (HOTELI_GET(m->stopped) || size > m->capacity - used) {
        HOTELI_SET(m->refused, m->refused + batch->num_spans);
        result = HOTEL_ERR_FAILED;
    } else if (size > 0) {
        memcpy(m->memory + used, batch->request, size);
        __atomic_store_n(&m->used, used + size, __ATOMIC_RELEASE);
    }
    hoteli_memory_leave(m);
    return result;
}

static hotel_result hoteli_memory_shutdown(uint32_t timeout_ms, void *user_data) {
    hotel_memory_exporter *m = (hotel_memory_exporter *)user_data;
    (void)timeout_ms;
    HOTELI_SET(m->stopped, 1u);
    return HOTEL_OK;
}

HOTEL_API hotel_exporter hotel_memory_exporter_start(hotel_memory_exporter *exporter, void *memory,
                                                     size_t capacity) {
    hotel_exporter result;
    memset((void *)&result, 0, sizeof result);
    if (!exporter) return result;
    memset(exporter, 0, sizeof *exporter);
    exporter->memory = (uint8_t *)memory;
    exporter->capacity = memory ? capacity : 0;
    result.export_fn = hoteli_memory_export;
    result.shutdown_fn = hoteli_memory_shutdown;
    result.user_data = exporter;
    return result;
}

HOTEL_API hotel_batch hotel_memory_exporter_batch(const hotel_memory_exporter *exporter) {
    if (!exporter) return hotel_batch_of(NULL, 0);
    return hotel_batch_of(exporter->memory, __atomic_load_n(&exporter->used, __ATOMIC_ACQUIRE));
}

HOTEL_API size_t hotel_memory_exporter_count(const hotel_memory_exporter *exporter) {
    return hotel_memory_exporter_batch(exporter).num_spans;
}

HOTEL_API bool hotel_memory_exporter_at(const hotel_memory_exporter *exporter, size_t index,
                                        hotel_span_view *out) {
    hotel_batch batch = hotel_memory_exporter_batch(exporter);
    hotel_spans spans = hotel_batch_spans(&batch);
    while (hotel_next_span(&spans, out)) {
        if (index-- == 0) return true;
    }
    return false;
}

HOTEL_API size_t hotel_memory_exporter_refused(const hotel_memory_exporter *exporter) {
    return exporter ? HOTELI_GET(exporter->refused) : 0;
}

HOTEL_API void hotel_memory_exporter_reset(hotel_memory_exporter *exporter) {
    if (!exporter) return;
    hoteli_memory_enter(exporter);
    HOTELI_SET(exporter->refused, (size_t)0);
    __atomic_store_n(&exporter->used, (size_t)0, __ATOMIC_RELEASE);
    hoteli_memory_leave(exporter);
}

/* ==== [SECTION 52] CONFIGURATION =========================================================== */

/* Where the settings of one destination come from. */
typedef struct hoteli_plan {
    const hotel_destination *config; /* never NULL: zeroed for the one by the environment */
    const char *headers;             /* a list in a variable, NULL: none */
    const char *headers_variable;
    const char *suffix;              /* what is appended to the path */
} hoteli_plan;

/* Of Hatchet's destination, on its way from settings to a plan. */
typedef struct hoteli_connection {
    bool wanted; /* there is a token, and the collector is not switched off */
    bool valid;
    hoteli_claims claims;
    hotel_destination config;
    hotel_header header;
    char bearer[HOTELI_TOKEN_SIZE + 8];
    char endpoint[320];
    hoteli_dotenv files;
    hoteli_memory memory; /* of files, until the set-up is over */
    size_t ends[4];       /* where in files each of them ends */
} hoteli_connection;

typedef struct hoteli_setup {
    const hotel_config *config;
    hoteli_provider *provider;
    uint32_t index; /* of the provider */
    hoteli_plan plans[HOTELI_MAX_OF_PROVIDER];
    hoteli_destination drafts[HOTELI_MAX_OF_PROVIDER]; /* until there is memory */
    hoteli_destination *built[HOTELI_MAX_OF_PROVIDER];
    uint32_t num_drafts;
    uint32_t num_planned; /* valid or not */
    uint32_t drain_delay_ms;
    uint32_t hooks; /* of its processors, told when there is what they look at */
    hotel_destination by_environment[2];
    hotel_exporter console;
    hoteli_connection hatchet;
    const char *service;
    const char *attributes; /* OTEL_RESOURCE_ATTRIBUTES */
    size_t num_attributes;
    size_t attributes_size;
    char program[280];
    hotel_result result; /* the first error */
} hoteli_setup;

/* An empty variable is unset (EP-01); a program with borrowed rights reads none (EP-10). */
static const char *hoteli_env(const hoteli_setup *s, const char *name) {
    const char *value;
    if (s->config->ignore_environment) return NULL;
    value = getenv(name);
    if (!value || !*value) return NULL;
    return getuid() == geteuid() && getgid() == getegid() ? value : NULL;
}

static void hoteli_bad_variable(const char *name, const char *value, const char *problem,
                                const char *instead) {
    char words[512];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, name);
    if (value) {
        hoteli_say(&text, "=");
        hoteli_say_quoted(&text, value, strlen(value));
    }
    hoteli_say(&text, " ");
    hoteli_say(&text, problem);
    hoteli_say(&text, "; ");
    hoteli_say(&text, instead);
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_BAD_VARIABLE, &text);
}

static void hoteli_bad_config(const char *what, uint64_t asked, uint64_t used) {
    char words[256];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, what);
    hoteli_say(&text, " ");
    hoteli_say_uint(&text, asked);
    hoteli_say(&text, " is not possible here; ");
    hoteli_say_uint(&text, used);
    hoteli_say(&text, " is used");
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_BAD_CONFIG, &text);
}

/* A number: code, else the variable, else the second variable, else the default (EP-03, EP-05).
   In code HOTEL_NONE means 0. */
static uint32_t hoteli_number(const hoteli_setup *s, uint32_t code, const char *first,
                              const char *second, uint32_t least, uint32_t fallback) {
    const char *names[2];
    uint64_t used = fallback;
    int i, at = 2;
    if (code == HOTEL_NONE) return 0;
    if (code) return code;
    names[0] = first;
    names[1] = second;
    for (i = 0; i < 2 && at == 2; i++) {
        const char *value = names[i] ? hoteli_env(s, names[i]) : NULL;
        uint64_t n;
        if (!value || !hoteli_parse_uint(value, strlen(value), 0x7fffffff, &n) || n < least)
            continue;
        used = n;
        at = i;
    }
    for (i = 0; i < at; i++) {
        const char *value = names[i] ? hoteli_env(s, names[i]) : NULL;
        char words[64], instead[48];
        hoteli_text text;
        if (!value) continue;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_say(&text, "is not a whole number from ");
        hoteli_say_uint(&text, least);
        hoteli_say(&text, " to 2147483647");
        hoteli_text_start(&text, instead, sizeof instead);
        hoteli_say_uint(&text, used);
        hoteli_say(&text, " is used");
        hoteli_bad_variable(names[i], value, words, instead);
    }
    return (uint32_t)used;
}

static void hoteli_fail_setup(hoteli_setup *s, hotel_result result) {
    if (s->result == HOTEL_OK) s->result = result;
}

static void hoteli_bad_endpoint(hoteli_setup *s, const char *source, const char *endpoint,
                                const char *problem, hotel_result result) {
    const char *at;
    char words[512];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    at = strrchr(endpoint, '@'); /* in front of it may be a password */
    hoteli_say(&text, source);
    hoteli_say(&text, at ? " ..." : " ");
    hoteli_say_quoted(&text, at ? at : endpoint, strlen(at ? at : endpoint));
    hoteli_say(&text, ": ");
    hoteli_say(&text, problem);
    hoteli_say(&text, "; this destination is not started");
    hoteli_log_text(HOTEL_LOG_ERROR,
                    result == HOTEL_ERR_TLS ? HOTEL_LOG_ID_TLS : HOTEL_LOG_ID_BAD_ENDPOINT, &text);
    hoteli_fail_setup(s, result);
}

/* A boolean: "true" in any case is true, and all else false, with a word about it (EP-02). */
static bool hoteli_boolean(const hoteli_setup *s, bool code, const char *name) {
    const char *value = code ? NULL : hoteli_env(s, name);
    size_t size;
    if (code) return true;
    if (!value) return false;
    size = strlen(value);
    hoteli_trim(&value, &size);
    if (hoteli_is_word(value, size, "true")) return true;
    if (!hoteli_is_word(value, size, "false"))
        hoteli_bad_variable(name, value, "is neither true nor false", "false is used");
    return false;
}

/* One of some words in any case (EP-07): its place in the list; -1 when unset or unknown. */
static int hoteli_choice(const hoteli_setup *s, const char *name, const char *const *words,
                         int count, const char *instead) {
    const char *value = hoteli_env(s, name), *word = value;
    size_t size = value ? strlen(value) : 0;
    int i;
    if (!value) return -1;
    hoteli_trim(&word, &size);
    for (i = 0; i < count; i++)
        if (hoteli_is_word(word, size, words[i])) return i;
    hoteli_bad_variable(name, value, "is not a value that is known here", instead);
    return -1;
}

/* gRPC or HTTP: code, else the first variable that can be followed (OX-10). */
static bool hoteli_plan_grpc(hoteli_setup *s, uint32_t asked) {
    static const char *const names[] = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                                        "OTEL_EXPORTER_OTLP_PROTOCOL"};
    int i;
    if (asked > HOTEL_PROTOCOL_GRPC) {
        hoteli_bad_config("protocol", asked, HOTEL_PROTOCOL_HTTP);
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        return false;
    }
    if (asked != HOTEL_PROTOCOL_DEFAULT) return asked == HOTEL_PROTOCOL_GRPC;
    for (i = 0; i < 2; i++) {
        const char *value = hoteli_env(s, names[i]), *word = value;
        size_t size = value ? strlen(value) : 0;
        if (!value) continue;
        hoteli_trim(&word, &size);
        if (hoteli_is_word(word, size, "grpc")) return true;
        if (hoteli_is_word(word, size, "http/protobuf")) return false;
        hoteli_bad_variable(names[i], value,
                            hoteli_is_word(word, size, "http/json")
                                ? "is not supported by this version, only grpc and http/protobuf"
                                : "is none of grpc, http/protobuf, http/json",
                            "it is ignored");
    }
    return false;
}

/* host:port without a scheme, which gRPC takes too (OX-02, OX-03). */
static bool hoteli_plan_target(hoteli_setup *s, hoteli_plan *p, const char *endpoint,
                               hoteli_destination *d, const char **problem) {
    bool insecure = p->config->insecure;
    size_t size = strlen(endpoint);
    if (!d->grpc || !size || strstr(endpoint, "://") || !strncmp(endpoint, "unix:", 5))
        return false;
    insecure = hoteli_boolean(s, insecure, "OTEL_EXPORTER_OTLP_TRACES_INSECURE") ||
               (!hoteli_env(s, "OTEL_EXPORTER_OTLP_TRACES_INSECURE") &&
                hoteli_boolean(s, insecure, "OTEL_EXPORTER_OTLP_INSECURE"));
    *problem = hoteli_url_target(endpoint, size, !insecure, &d->url);
    return true;
}

#if defined(HATCHET_OTEL_OPENSSL)
#define HOTELI_OPENSSL_HERE true
#else
#define HOTELI_OPENSSL_HERE false
#endif

/* Finds the endpoint and parses it. false: the destination is not started. */
static bool hoteli_plan_endpoint(hoteli_setup *s, hoteli_plan *p, hoteli_destination *d) {
    const char *source = "endpoint", *endpoint = p->config->endpoint, *problem;
    bool general = false;
    p->suffix = "";
    if (!endpoint) {
        source = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        endpoint = hoteli_env(s, source);
    }
    if (!endpoint) {
        source = "OTEL_EXPORTER_OTLP_ENDPOINT";
        endpoint = hoteli_env(s, source);
        general = true;
    }
    if (!endpoint) {
        source = "the default endpoint";
        endpoint = d->grpc ? "http://localhost:4317" : "http://localhost:4318";
    }
    if (!hoteli_plan_target(s, p, endpoint, d, &problem))
        problem = hoteli_url_parse(endpoint, strlen(endpoint), &d->url);
    if (!problem && d->url.is_unix &&
        strlen(d->url.host) >= sizeof((struct sockaddr_un *)0)->sun_path)
        problem = "the path of the socket is too long";
    if (!problem && d->url.tls && !HOTELI_OPENSSL_HERE && !p->config->transport) {
        hoteli_bad_endpoint(s, source, endpoint,
                            "https needs HATCHET_OTEL_OPENSSL where the implementation is compiled",
                            HOTEL_ERR_TLS);
        return false;
    }
    if (problem) {
        hoteli_bad_endpoint(s, source, endpoint, problem, HOTEL_ERR_ENDPOINT);
        return false;
    }
    if (d->grpc) {
        d->url.path_size = 0;
    } else if (general) {
        while (d->url.path_size && d->url.path[d->url.path_size - 1] == '/') d->url.path_size--;
        p->suffix = "/v1/traces";
    } else if (!d->url.path_size) {
        p->suffix = p->config->endpoint ? "/v1/traces" : "/";
    }
    return true;
}

/* "https://host: " and what is wrong with TLS there. */
static void hoteli_bad_tls(const hoteli_destination *d, hotel_log_level level, const char *name,
                           const char *file, const char *problem) {
    char words[512];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, d->url.tls ? "https://" : d->url.is_unix ? "unix:" : "http://");
    hoteli_say(&text, d->url.is_unix ? d->url.host : d->url.authority);
    hoteli_say(&text, ": ");
    if (name) hoteli_say(&text, name);
    if (file) {
        hoteli_say(&text, " ");
        hoteli_say_quoted(&text, file, strlen(file));
    }
    if (name) hoteli_say(&text, ": ");
    hoteli_say(&text, problem);
    if (level == HOTEL_LOG_ERROR) hoteli_say(&text, "; this destination is not started");
    hoteli_log_text(level, HOTEL_LOG_ID_TLS, &text);
}

/* Settings that have no meaning, because something else than TLS, or somebody else's, is used. */
static void hoteli_plan_no_tls(const hoteli_plan *p, const hoteli_destination *d) {
    const hotel_tls *c = &p->config->tls;
    if (!c->ca_file && !c->ca_pem && !c->certificate_file && !c->certificate_pem && !c->key_file &&
        !c->key_pem && !c->server_name && !c->min_version)
        return;
    hoteli_bad_tls(d, HOTEL_LOG_WARN, "tls", NULL,
                   d->url.tls ? "not looked at, because the transport is the application's"
                              : "not looked at, because the endpoint is not https");
}

#if defined(HATCHET_OTEL_OPENSSL)
static hoteli_tls_source hoteli_tls_find(const hoteli_setup *s, const hoteli_destination *d,
                                         int which, const char *pem, const char *file) {
    static const char *const names[HOTELI_TLS_SOURCES][6] = {
        {"tls.ca_pem", "tls.ca_file", "hatchet.tls.ca_pem (HATCHET_CLIENT_TLS_ROOT_CA)",
         "hatchet.tls.ca_file (HATCHET_CLIENT_TLS_ROOT_CA_FILE)",
         "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
        {"tls.certificate_pem", "tls.certificate_file",
         "hatchet.tls.certificate_pem (HATCHET_CLIENT_TLS_CERT)",
         "hatchet.tls.certificate_file (HATCHET_CLIENT_TLS_CERT_FILE)",
         "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
        {"tls.key_pem", "tls.key_file", "hatchet.tls.key_pem (HATCHET_CLIENT_TLS_KEY)",
         "hatchet.tls.key_file (HATCHET_CLIENT_TLS_KEY_FILE)",
         "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"}};
    hoteli_tls_source found;
    int i;
    found.name = NULL;
    found.pem = pem && *pem ? pem : NULL;
    found.file = !found.pem && file && *file ? file : NULL;
    if (found.pem || found.file)
        found.name = names[which][(d->hatchet ? 2 : 0) + (found.pem ? 0 : 1)];
    for (i = 4; i < 6 && !found.name && !d->hatchet; i++) {
        found.file = hoteli_env(s, names[which][i]);
        if (found.file) found.name = names[which][i];
    }
    return found;
}

/* The context of an https destination. false: it is not started. */
static bool hoteli_plan_tls(hoteli_setup *s, const hoteli_plan *p, hoteli_destination *d) {
    const hotel_tls *c = &p->config->tls;
    const hoteli_tls_source *at = NULL;
    const char *problem = "OpenSSL could not be set up";
    hoteli_tls_source sources[HOTELI_TLS_SOURCES];
    hoteli_tls_errors errors;
    memset(&d->tls, 0, sizeof d->tls);
    if (!d->url.tls || p->config->transport) {
        hoteli_plan_no_tls(p, d);
        return true;
    }
    if ((uint32_t)c->min_version > HOTEL_TLS_1_3) {
        hoteli_bad_tls(d, HOTEL_LOG_WARN, "tls.min_version", NULL, "unknown; 1.2 is used");
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
    }
    d->tls.only_1_3 = c->min_version == HOTEL_TLS_1_3;
    sources[HOTELI_TLS_CA] = hoteli_tls_find(s, d, HOTELI_TLS_CA, c->ca_pem, c->ca_file);
    sources[HOTELI_TLS_CERTIFICATE] = hoteli_tls_find(s, d, HOTELI_TLS_CERTIFICATE,
                                                      c->certificate_pem, c->certificate_file);
    sources[HOTELI_TLS_KEY] = hoteli_tls_find(s, d, HOTELI_TLS_KEY, c->key_pem, c->key_file);
    if (hoteli_tls_start() && hoteli_tls_enter(&errors)) {
        problem = hoteli_tls_make(&d->tls, sources,
                                  c->server_name && *c->server_name ? c->server_name : d->url.host,
                                  d->grpc, &at);
        if (problem) hoteli_tls_free(&d->tls);
        hoteli_tls_leave(&errors);
    }
    if (!problem) return true;
    hoteli_bad_tls(d, HOTEL_LOG_ERROR, at ? at->name : NULL, at ? at->file : NULL, problem);
    hoteli_fail_setup(s, HOTEL_ERR_TLS);
    return false;
}
#else
static bool hoteli_plan_tls(hoteli_setup *s, const hoteli_plan *p, hoteli_destination *d) {
    (void)s;
    hoteli_plan_no_tls(p, d);
    return true;
}
#endif

#define HOTELI_AGENT "HatchetOtel-OTLP-Exporter-C/" HOTEL_VERSION_STRING
#define HOTELI_GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

/* Framing is ours: these headers cannot be set (OH-07). */
static bool hoteli_header_reserved(const char *name, size_t size) {
    static const char reserved[] =
        "host\0content-length\0content-type\0transfer-encoding\0content-encoding\0connection\0"
        "expect\0upgrade\0te\0trailer\0keep-alive\0proxy-connection\0";
    const char *word;
    for (word = reserved; *word; word = hoteli_nth(word, 1))
        if (hoteli_is_word(name, size, word)) return true;
    return size > 5 && hoteli_is_word(name, 5, "grpc-");
}

static bool hoteli_header_sound(const char *value, size_t size) {
    size_t i;
    for (i = 0; i < size; i++)
        if ((unsigned char)value[i] < 0x20 ? value[i] != '\t' : value[i] == 0x7f) return false;
    return true;
}

static bool hoteli_same_name(const char *a, size_t a_size, const char *b, size_t b_size) {
    size_t i;
    if (a_size != b_size) return false;
    for (i = 0; i < a_size; i++) {
        char x = a[i], y = b[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x + 32);
        if (y >= 'A' && y <= 'Z') y = (char)(y + 32);
        if (x != y) return false;
    }
    return true;
}

/* Walks the headers of a plan, wherever they are: 1 a header (value decoded into buffer), 0 the
   end, -1 one that cannot be used, pair->key then being its name or its whole text. */
typedef struct hoteli_headers {
    const hoteli_plan *plan;
    size_t at;
    const char *cursor;
    char buffer[4096];
} hoteli_headers;

static void hoteli_headers_start(hoteli_headers *h, const hoteli_plan *plan) {
    h->plan = plan;
    h->at = 0;
    h->cursor = plan->headers;
}

static int hoteli_headers_next(hoteli_headers *h, hoteli_pair *pair) {
    const hotel_destination *config = h->plan->config;
    int result = 1;
    if (config->headers && config->num_headers) {
        const hotel_header *header;
        if (h->at == config->num_headers) return 0;
        header = &config->headers[h->at++];
        pair->key = header->name ? header->name : "";
        pair->key_size = strlen(pair->key);
        pair->value = header->value ? header->value : "";
        pair->value_size = strlen(pair->value);
    } else {
        bool ok = true;
        if (!h->cursor) return 0;
        result = hoteli_list_next(&h->cursor, h->cursor + strlen(h->cursor), pair);
        if (result < 0) pair->value = NULL;
        if (result <= 0) return result;
        if (pair->value_size > sizeof h->buffer) return -1;
        pair->value_size = hoteli_percent_decode(h->buffer, pair->value, pair->value_size, &ok);
        pair->value = h->buffer;
        if (!ok) return -1;
    }
    return hoteli_is_token(pair->key, pair->key_size) &&
                   !hoteli_header_reserved(pair->key, pair->key_size) &&
                   hoteli_header_sound(pair->value, pair->value_size) ? 1 : -1;
}

/* Does a header of that name come behind this place? The last one wins (OH-08). */
static bool hoteli_header_later(const hoteli_headers *from, const char *name, size_t size) {
    hoteli_headers h;
    hoteli_pair pair;
    int result;
    h.plan = from->plan;
    h.at = from->at;
    h.cursor = from->cursor;
    while ((result = hoteli_headers_next(&h, &pair)) != 0)
        if (result > 0 && hoteli_same_name(pair.key, pair.key_size, name, size)) return true;
    return false;
}

/* Names a header that is left out. What stands behind the name, or in a member without one, may
   be a secret. */
static void hoteli_bad_header(const char *variable, const hoteli_pair *pair) {
    char words[256];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, variable);
    if (pair->value) {
        hoteli_say(&text, ": the header ");
        hoteli_say_quoted(&text, pair->key, pair->key_size);
        hoteli_say(&text, " cannot be sent");
    } else {
        hoteli_say(&text, ": a member is not name=value");
    }
    hoteli_say(&text, "; it is left out");
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_BAD_VARIABLE, &text);
}

/* The head of a request over gRPC, but for its timeout. Complains only when counting. */
static void hoteli_write_block(hoteli_destination *d, const hoteli_plan *p, uint8_t *out,
                               size_t capacity) {
    hoteli_grpc_head head;
    hoteli_headers h;
    hoteli_pair pair;
    int result;
    hoteli_headers_start(&h, p);
    hoteli_grpc_head_start(&head, out, capacity, d->url.tls, HOTELI_GRPC_PATH, d->url.authority,
                           d->gzip, hoteli_header_later(&h, "user-agent", 10) ? NULL
                                                                              : HOTELI_AGENT);
    while ((result = hoteli_headers_next(&h, &pair)) != 0) {
        if (result > 0 && hoteli_header_later(&h, pair.key, pair.key_size)) continue;
        if (result < 0 || !hoteli_grpc_head_add(&head, pair.key, pair.key_size, pair.value,
                                                pair.value_size)) {
            if (!capacity) hoteli_bad_header(p->headers_variable, &pair);
        }
    }
    d->head_size = head.size;
    d->head_split = head.split;
}

/* The request's head up to the digits of Content-Length. Complains only when counting. */
static void hoteli_write_head_text(hoteli_text *text, const hoteli_plan *p,
                                   const hoteli_destination *d) {
    hoteli_headers h;
    hoteli_pair pair;
    int result;
    hoteli_say(text, "POST ");
    hoteli_say_n(text, d->url.path, d->url.path_size);
    hoteli_say(text, p->suffix);
    hoteli_say(text, " HTTP/1.1\r\nHost: ");
    hoteli_say(text, d->url.authority);
    hoteli_say(text, "\r\n");
    hoteli_headers_start(&h, p);
    if (!hoteli_header_later(&h, "user-agent", 10))
        hoteli_say(text, "User-Agent: " HOTELI_AGENT "\r\n");
    while ((result = hoteli_headers_next(&h, &pair)) != 0) {
        if (result < 0) {
            if (!text->capacity) hoteli_bad_header(p->headers_variable, &pair);
            continue;
        }
        if (hoteli_header_later(&h, pair.key, pair.key_size)) continue;
        hoteli_say_n(text, pair.key, pair.key_size);
        hoteli_say(text, ": ");
        hoteli_say_n(text, pair.value, pair.value_size);
        hoteli_say(text, "\r\n");
    }
    hoteli_say(text, "Content-Type: application/x-protobuf\r\nContent-Length: ");
}

#if defined(HATCHET_OTEL_ZLIB)
#define HOTELI_ZLIB_HERE true
#else
#define HOTELI_ZLIB_HERE false
#endif

/* gzip or not: code, else the first variable that can be followed (OX-08). */
static bool hoteli_plan_gzip(hoteli_setup *s, uint32_t asked) {
    static const char *const names[] = {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                                        "OTEL_EXPORTER_OTLP_COMPRESSION"};
    int i;
    if (asked > HOTEL_COMPRESSION_GZIP) {
        hoteli_bad_config("compression", asked, HOTEL_COMPRESSION_NONE);
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        return false;
    }
    if (asked == HOTEL_COMPRESSION_GZIP && !HOTELI_ZLIB_HERE)
        hoteli_log(HOTEL_LOG_WARN, HOTEL_LOG_ID_BAD_CONFIG,
                   "compression: gzip needs HATCHET_OTEL_ZLIB where the implementation is "
                   "compiled; none is used");
    if (asked != HOTEL_COMPRESSION_DEFAULT)
        return asked == HOTEL_COMPRESSION_GZIP && HOTELI_ZLIB_HERE;
    for (i = 0; i < 2; i++) {
        const char *value = hoteli_env(s, names[i]);
        if (!value) continue;
        if (hoteli_is_word(value, strlen(value), "none")) return false;
        if (!hoteli_is_word(value, strlen(value), "gzip")) {
            hoteli_bad_variable(names[i], value, "is neither none nor gzip", "it is ignored");
            continue;
        }
        if (!HOTELI_ZLIB_HERE)
            hoteli_bad_variable(names[i], value, "needs a build with HATCHET_OTEL_ZLIB",
                                "none is used");
        return HOTELI_ZLIB_HERE;
    }
    return false;
}

/* A number of hotel_destination where 0 and HOTEL_NONE are the default. */
static uint32_t hoteli_plan_number(const char *what, uint32_t asked, uint32_t usual,
                                   uint32_t most) {
    if (!asked || asked == HOTEL_NONE) return usual;
    if (asked > most) hoteli_bad_config(what, asked, most);
    return HOTELI_MIN(asked, most);
}

/* Bytes of the arena that is there, or to be made. */
static size_t hoteli_plan_arena(const hotel_config *c) {
    size_t bytes = (size_t)2 << 20;
    if (c->memory) bytes = c->memory_bytes / 2;
    else if (hoteli_g.arena) bytes = (size_t)hoteli_g.num_chunks * HATCHET_OTEL_CHUNK_BYTES;
    else if (c->arena_bytes) bytes = c->arena_bytes;
    return HOTELI_MIN(bytes, HOTELI_MAX_CHUNKS * HATCHET_OTEL_CHUNK_BYTES);
}

/* Spans of a call of which Hatchet's collector keeps the rest no more, and the message that its
   engine takes at most. */
#define HOTELI_HATCHET_BATCH 1000u
#define HOTELI_HATCHET_BYTES (4u << 20)

/* What connections over HTTP/2 need besides: room for eight whole frames, so that one send takes
   a batch of the usual size, and for replies, and 16 KiB for headers; less where requests are
   small. */
static void hoteli_plan_h2(hoteli_destination *d, const hoteli_plan *p) {
    hoteli_write_block(d, p, NULL, 0);
    d->out_capacity = HOTELI_MIN((size_t)d->max_bytes / 4, (size_t)131072);
    d->out_capacity = HOTELI_MAX(d->out_capacity, (size_t)1024);
    d->out_capacity += HOTELI_H2_RESERVE + d->head_size + 128; /* 128: the frames' heads, preface */
    d->block_capacity = HOTELI_MIN((size_t)d->max_bytes / 32, (size_t)16384);
    d->block_capacity = HOTELI_MAX(d->block_capacity, (size_t)4096);
}

static void hoteli_plan_destination(hoteli_setup *s, hoteli_plan *p, hoteli_destination *d,
                                    uint32_t share) {
    const hotel_destination *c = p->config;
    size_t arena = hoteli_plan_arena(s->config);
    uint32_t chunks = (uint32_t)(arena / HATCHET_OTEL_CHUNK_BYTES), most, bytes;
    hoteli_text text;
    if (d->exports) d->exporter = *c->exporter;
    p->headers_variable = "headers";
    if (!c->headers || !c->num_headers) {
        p->headers_variable = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
        p->headers = hoteli_env(s, p->headers_variable);
        if (!p->headers) {
            p->headers_variable = "OTEL_EXPORTER_OTLP_HEADERS";
            p->headers = hoteli_env(s, p->headers_variable);
        }
    }
    d->timeout_ms = hoteli_number(s, c->timeout_ms, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
                                  "OTEL_EXPORTER_OTLP_TIMEOUT", 0, 10000);
    /* The processor's limit bounds the exporter's from outside (C-03). */
    if (!c->timeout_ms) {
        uint32_t outer = hoteli_number(s, 0, "OTEL_BSP_EXPORT_TIMEOUT", NULL, 0, 30000);
        if (outer && (!d->timeout_ms || outer < d->timeout_ms)) d->timeout_ms = outer;
    }
    d->delay_ms = hoteli_number(s, c->schedule_delay_ms, "OTEL_BSP_SCHEDULE_DELAY", NULL, 0, 5000);
    d->max_queue = hoteli_number(s, c->max_queue_size, "OTEL_BSP_MAX_QUEUE_SIZE", NULL, 1, 2048);
    d->max_batch = hoteli_number(s, c->max_export_batch_size, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                                 NULL, 1, 512);
    if (d->hatchet && d->max_batch > HOTELI_HATCHET_BATCH) {
        hoteli_bad_config("max_export_batch_size to Hatchet", d->max_batch, HOTELI_HATCHET_BATCH);
        d->max_batch = HOTELI_HATCHET_BATCH;
    }
    if (c->simple) {
        d->delay_ms = 0;
        d->max_batch = 1;
    }
    most = HOTELI_MAX(chunks / 4 * 3 / share, 1u);
    d->max_chunks = most;
    if (d->max_queue > most || !d->max_queue) {
        if (d->max_queue != 2048) hoteli_bad_config("max_queue_size", d->max_queue, most);
        d->max_queue = most;
    }
    if (d->max_batch > d->max_queue || !d->max_batch) {
        uint32_t used = HOTELI_MIN(512u, d->max_queue);
        if (d->max_batch != 512) hoteli_bad_config("max_export_batch_size", d->max_batch, used);
        d->max_batch = used;
    }
    d->max_inflight = hoteli_plan_number("max_inflight", c->max_inflight, 1, HOTELI_MAX_INFLIGHT);
    if (d->exports) d->max_inflight = 1;
    d->gzip = !d->exports && hoteli_plan_gzip(s, (uint32_t)c->compression);
    d->max_response = hoteli_plan_number("max_response_bytes", c->max_response_bytes, 4u << 20,
                                         UINT32_MAX - 1);
    /* Memory that is given has to do for all of them. */
    if (s->config->memory) arena /= share * d->max_inflight * (d->gzip ? 2u : 1u);
    bytes = (uint32_t)HOTELI_MAX(HOTELI_MIN(arena / 2, (size_t)512 << 10), (size_t)1024);
    d->max_bytes = hoteli_plan_number("max_request_bytes", c->max_request_bytes, bytes,
                                      d->hatchet ? HOTELI_HATCHET_BYTES : 64u << 20);
    hoteli_text_start(&text, NULL, 0);
    if (!d->exports && !d->grpc) hoteli_write_head_text(&text, p, d);
    d->head_size = text.size;
    if (d->grpc) hoteli_plan_h2(d, p);
    d->capacity = d->head_size + HOTELI_HEAD_TAIL + d->max_bytes;
}

/* service.name when nobody gave one (SP-91). */
static void hoteli_program_name(char *out, size_t capacity) {
    char path[256];
    ssize_t n = -1;
    hoteli_text text;
    hoteli_text_start(&text, out, capacity);
    hoteli_say(&text, "unknown_service");
#if defined(__linux__)
    n = readlink("/proc/self/exe", path, sizeof path);
#endif
    if (n > 0) {
        ssize_t i = n;
        while (i > 0 && path[i - 1] != '/') i--;
        hoteli_say(&text, ":");
        hoteli_say_n(&text, path + i, (size_t)(n - i));
    }
}

static void hoteli_plan_resource(hoteli_setup *s) {
    const char *cursor;
    s->service = s->config->service_name ? s->config->service_name
                                         : hoteli_env(s, "OTEL_SERVICE_NAME");
    s->attributes = cursor = hoteli_env(s, "OTEL_RESOURCE_ATTRIBUTES");
    hoteli_program_name(s->program, sizeof s->program);
    if (!cursor) return;
    s->attributes_size = strlen(cursor);
    for (s->num_attributes = 1; (cursor = strchr(cursor, ',')) != NULL; cursor++)
        s->num_attributes++;
}

/* OTEL_RESOURCE_ATTRIBUTES, decoded into room that it fits: one error and the whole of it is
   discarded (EV-02). Returns how many there are. */
static size_t hoteli_decode_resource(const hoteli_setup *s, hotel_attr *list, char *room) {
    const char *cursor = s->attributes, *end = cursor + s->attributes_size;
    size_t n = 0;
    hoteli_pair pair;
    int found;
    while ((found = hoteli_list_next(&cursor, end, &pair)) != 0) {
        bool key_ok = false, value_ok = false;
        if (found > 0) {
            char *key = room, *value;
            size_t key_size = hoteli_percent_decode(key, pair.key, pair.key_size, &key_ok);
            size_t value_size;
            value = key + key_size;
            value_size = hoteli_percent_decode(value, pair.value, pair.value_size, &value_ok);
            room = value + value_size;
            key_ok = key_ok && hoteli_utf8_valid(key, key_size);
            value_ok = value_ok && hoteli_utf8_valid(value, value_size);
            list[n++] = hotel_attrn(key, key_size, hotel_of_strn(value, value_size));
        }
        if (key_ok && value_ok) continue;
        hoteli_bad_variable("OTEL_RESOURCE_ATTRIBUTES", s->attributes,
                            "is not a list of key=value, percent-encoded", "all of it is ignored");
        return 0;
    }
    return n;
}

static size_t hoteli_resource_count(const hoteli_setup *s) {
    return 6 + s->num_attributes + (s->config->resource ? s->config->num_resource : 0);
}

/* ---- detectors ---- */

/* Memory for what detectors find, taken only where there are some. */
#define HOTELI_DETECTED_SIZE 8192u

static size_t hoteli_detect_bytes(const hotel_config *c) {
    return c->detectors && c->num_detectors ? 2 * HOTELI_DETECTED_SIZE + 32 : 0;
}

static void hoteli_bad_detector(const hotel_detector *d, const char *problem) {
    char words[256];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, "the detector ");
    hoteli_say_quoted(&text, d->name ? d->name : "", hotel_text_size(d->name));
    hoteli_say(&text, " failed: ");
    hoteli_say(&text, problem);
    hoteli_say(&text, "; what it found before is used");
    hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_DETECTOR, &text);
}

/* Runs the detectors in their order; false without memory. */
static bool hoteli_detect(const hotel_config *c, hotel_resource *out) {
    size_t room = hoteli_detect_bytes(c) ? HOTELI_DETECTED_SIZE : 0, i;
    char *memory = room ? (char *)hoteli_carve(room + 1) : NULL;
    (void)hotel_resource_start(out, memory, room, NULL);
    if (!room) return true;
    if (!memory) return false;
    memory[room] = 0;
    out->ignore_environment = c->ignore_environment;
    for (i = 0; i < c->num_detectors; i++) {
        const hotel_detector *d = &c->detectors[i];
        bool conflict = out->schema_conflict;
        hotel_result result = HOTEL_ERR_ARGUMENT;
        if (d->detect_fn) {
            hoteli_t.quiet++;
            result = d->detect_fn(out, d->user_data);
            hoteli_loud();
        }
        if (out->schema_conflict) {
            if (!conflict)
                hoteli_bad_detector(d, "its schema URL differs from that of an earlier one, and "
                                       "the resource has none now");
        } else if (result != HOTEL_OK) {
            hoteli_bad_detector(d, d->detect_fn ? hotel_result_text(result) : "it has no function");
        }
    }
    return true;
}

/* Merges what was found with the other sources, which are in one list, the weakest first: its
   first `num_defaults` are weaker than what was found, the others stronger (SP-95). Each key is
   left on one side. Returns the new count. */
static size_t hoteli_detect_merge(hotel_resource *found, hotel_attr *list, size_t count,
                                  size_t num_defaults) {
    size_t i, kept = 0;
    for (i = num_defaults; i < count; i++)
        if (list[i].key) hoteli_resource_remove(found, list[i].key, list[i].key_size);
    for (i = 0; i < count; i++) {
        if (i < num_defaults && hoteli_resource_find(found, list[i].key, list[i].key_size).size)
            continue;
        list[kept++] = list[i];
    }
    return kept;
}

/* The schema URL of the whole, on which code and detectors must agree (SP-94). */
static const char *hoteli_detect_schema(hotel_resource *found, hoteli_setup *s) {
    const char *asked = s->config->resource_schema_url;
    bool conflict = found->schema_conflict;
    if (!found->memory) return asked;
    if (hotel_resource_set_schema(found, asked) == HOTEL_ERR_MEMORY) return asked;
    if (found->schema_conflict && !conflict)
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                   "resource_schema_url differs from that of the detectors; the resource has none");
    if (found->schema_conflict) hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
    /* hoteli_detect() put a NUL behind the memory, at whose end it stands. */
    return (const char *)found->memory + found->capacity - found->schema_size;
}

/* All sources in one list, the weakest first: of a key the last value counts (SP-94, SP-95). */
static bool hoteli_build_resource(hoteli_setup *s) {
    size_t count = hoteli_resource_count(s), n = 0, i, size;
    const char *schema;
    hotel_resource found;
    hotel_attr *list = (hotel_attr *)hoteli_carve(count * sizeof *list);
    hoteli_provider *p = s->provider;
    char *text = (char *)hoteli_carve(s->attributes_size + 1);
    uint32_t dropped = 0;
    hoteli_cursor c;
    if (!list || !text || !hoteli_detect(s->config, &found)) return false;
    list[n++] = hotel_str("telemetry.sdk.name", "hatchet_otel");
    list[n++] = hotel_str("telemetry.sdk.language", "c");
    list[n++] = hotel_str("telemetry.sdk.version", HOTEL_VERSION_STRING);
    list[n++] = hotel_str("service.name", s->program);
    if (s->attributes) n += hoteli_decode_resource(s, list + n, text);
    if (s->service && !s->config->service_name) list[n++] = hotel_str("service.name", s->service);
    for (i = 0; s->config->resource && i < s->config->num_resource; i++)
        list[n++] = s->config->resource[i];
    if (s->config->service_name) list[n++] = hotel_str("service.name", s->config->service_name);
    n = hoteli_detect_merge(&found, list, n, 4);
    schema = hoteli_detect_schema(&found, s);
    size = hoteli_write_attrs(NULL, 0, list, n, &hoteli_unlimited, UINT32_MAX, &dropped);
    size += found.size;
    p->resource_size = hoteli_field_size(size);
    p->resource = (uint8_t *)hoteli_carve(p->resource_size);
    if (p->resource) {
        c = hoteli_cursor_flat(p->resource, p->resource_size);
        hoteli_write_head(&c, 0x0a, size);
        (void)hoteli_write_attrs(&c, 0x0a, list, n, &hoteli_unlimited, UINT32_MAX, &dropped);
        hoteli_write(&c, found.memory, found.size);
    }
    p->resource_schema_size = hoteli_optional_text(NULL, 0x1a, schema);
    p->resource_schema = (uint8_t *)hoteli_carve(p->resource_schema_size);
    if (!p->resource || !p->resource_schema) return false;
    c = hoteli_cursor_flat(p->resource_schema, p->resource_schema_size);
    (void)hoteli_optional_text(&c, 0x1a, schema);
    return true;
}

/* Bytes that hoteli_carve will be asked for. Encoded resource attributes are at most their text
   and some bytes each; containers are measured by encoding. */
static size_t hoteli_setup_bytes(const hoteli_setup *s) {
    size_t total = 48, count = hoteli_resource_count(s);
    uint32_t i, dropped = 0;
    if (!s->index) total += 2 * (size_t)hoteli_g.max_span_bytes + HOTELI_STATE_SIZE;
    if (s->hooks & HOTELI_ON_END) total += hoteli_pool_size(hoteli_g.max_span_bytes) + 16;
    for (i = 0; i < s->num_drafts; i++) {
        const hoteli_destination *d = &s->drafts[i];
        size_t request = sizeof(hoteli_request) + (d->capacity + 16) * (d->gzip ? 2 : 1) + 16;
        if (d->grpc) request += sizeof(hoteli_h2) + d->out_capacity + d->block_capacity + 48;
        total += sizeof *d + d->max_inflight * request + d->head_size +
                 d->max_queue * sizeof(uint32_t) + d->url.path_size + strlen(s->plans[i].suffix) +
                 96;
    }
    total += count * (sizeof(hotel_attr) + 32) + 2 * s->attributes_size + 512;
    total += 3 * hotel_text_size(s->service) + 3 * strlen(s->program);
    total += hoteli_write_attrs(NULL, 0, s->config->resource, s->config->num_resource,
                                &hoteli_unlimited, UINT32_MAX,
                                &dropped);
    total += hoteli_detect_bytes(s->config);
    return total + hoteli_optional_text(NULL, 0x1a, s->config->resource_schema_url);
}

static bool hoteli_build_requests(hoteli_destination *d) {
    size_t size = d->max_inflight * sizeof(hoteli_request);
    hoteli_request *list = (hoteli_request *)hoteli_carve(size);
    uint32_t i;
    if (!list) return false;
    memset((void *)list, 0, size);
    for (i = 0; i < d->max_inflight; i++) {
        list[i].to = d;
        list[i].socket.fd = -1;
        list[i].buffer = (uint8_t *)hoteli_carve(d->capacity);
        if (d->gzip) list[i].packed = (uint8_t *)hoteli_carve(d->capacity);
        if (!list[i].buffer || (d->gzip && !list[i].packed)) return false;
        if (!d->grpc) continue;
        list[i].h2 = (hoteli_h2 *)hoteli_carve(sizeof(hoteli_h2));
        list[i].out = (uint8_t *)hoteli_carve(d->out_capacity);
        list[i].block = (uint8_t *)hoteli_carve(d->block_capacity);
        if (!list[i].h2 || !list[i].out || !list[i].block) return false;
    }
    hoteli_pack_make(d);
    d->requests = list;
    return true;
}

static hotel_transport hoteli_transport_of(const hoteli_destination *d) {
    hotel_transport t;
    memset((void *)&t, 0, sizeof t);
    t.open_fn = hoteli_socket_open;
    t.connect_fn = hoteli_socket_connect;
    t.send_fn = hoteli_socket_send;
    t.receive_fn = hoteli_socket_receive;
    t.descriptor_fn = hoteli_socket_descriptor;
    t.close_fn = hoteli_socket_close;
    (void)d;
#if defined(HATCHET_OTEL_OPENSSL)
    if (!hoteli_has_tls(d)) return t;
    t.open_fn = hoteli_tls_open;
    t.connect_fn = hoteli_tls_connect;
    t.send_fn = hoteli_tls_send;
    t.receive_fn = hoteli_tls_receive;
    t.descriptor_fn = hoteli_tls_descriptor;
    t.close_fn = hoteli_tls_close;
#endif
    return t;
}

static hoteli_destination *hoteli_build_destination(const hoteli_destination *draft,
                                                    const hoteli_plan *p) {
    hoteli_destination *d = (hoteli_destination *)hoteli_carve(sizeof *d);
    char *path = (char *)hoteli_carve(draft->url.path_size + strlen(p->suffix) + 1);
    hoteli_text text;
    if (!d) return NULL;
    *d = *draft;
    d->queue = (uint32_t *)hoteli_carve(d->max_queue * sizeof(uint32_t));
    d->head = (char *)hoteli_carve(d->head_size + 1);
    if (!path || !d->queue || !d->head) return NULL;
    hoteli_text_start(&text, path, d->url.path_size + strlen(p->suffix) + 1);
    hoteli_say_n(&text, d->url.path, d->url.path_size);
    hoteli_say(&text, p->suffix);
    d->path = path;
    hoteli_text_start(&text, d->head, d->head_size + 1);
    if (d->grpc) hoteli_write_block(d, p, (uint8_t *)d->head, d->head_size);
    else if (!d->exports) hoteli_write_head_text(&text, p, d);
    d->url.path = NULL;
    d->builtin = p->config->transport == NULL;
    d->transport = d->builtin ? hoteli_transport_of(d) : *p->config->transport;
    return hoteli_build_requests(d) ? d : NULL;
}

/* Memory of set-up, and who gave it. */
static bool hoteli_allocate(hoteli_memory *memory, size_t size) {
    const hotel_allocator *from = &hoteli_g.allocator;
    memory->from = *from;
    hoteli_t.quiet++; /* a set-up is on: what the allocator calls must not wait for it */
    memory->at = from->allocate_fn ? from->allocate_fn(size, from->user_data) : malloc(size);
    hoteli_loud();
    return memory->at != NULL;
}

static void hoteli_memory_free(hoteli_memory *memory) {
    if (!memory->at) return;
    hoteli_t.quiet++;
    if (memory->from.allocate_fn) memory->from.free_fn(memory->at, memory->from.user_data);
    else free(memory->at);
    hoteli_loud();
    memory->at = NULL;
}

/* What of the destinations is not in the set-up's memory is given back; none is left. */
static void hoteli_drop_destinations(void) {
    uint32_t i, count = hoteli_g.num_destinations;
    if (!count) return;
    /* Threads that waited for a flush until now look at them under the lock. */
    hoteli_lock();
    __atomic_store_n(&hoteli_g.num_destinations, 0u, __ATOMIC_RELEASE);
    hoteli_unlock();
    for (i = 0; i < count; i++) hoteli_destination_release(hoteli_g.destinations[i]);
}

/* Cuts the block into shards and chunks, all free. */
static void hoteli_arena_cut(uint8_t *memory, size_t bytes) {
    size_t pad = (size_t)(-(uintptr_t)memory & (HOTELI_LINE - 1));
    uint32_t shards = 1, chunks, i;
    memory += pad;
    bytes = bytes > pad ? bytes - pad : 0;
    while (shards < HOTELI_MAX_SHARDS && bytes / HATCHET_OTEL_CHUNK_BYTES >= shards * 128u)
        shards *= 2;
    hoteli_g.shards = (hoteli_shard *)(void *)memory;
    hoteli_g.shard_mask = shards - 1;
    memset(hoteli_g.shards, 0, shards * sizeof(hoteli_shard));
    memory += shards * sizeof(hoteli_shard);
    bytes = bytes > shards * sizeof(hoteli_shard) ? bytes - shards * sizeof(hoteli_shard) : 0;
    chunks = (uint32_t)HOTELI_MIN(bytes / HATCHET_OTEL_CHUNK_BYTES, HOTELI_MAX_CHUNKS);
    hoteli_g.arena = memory;
    hoteli_g.num_chunks = chunks;
    hoteli_g.shard_shift = 0;
    while (((size_t)shards << hoteli_g.shard_shift) < chunks) hoteli_g.shard_shift++;
    for (i = chunks; i >= 1; i--) {
        /* A generation of its own for each arena: references from before are strangers. */
        hoteli_store(&hoteli_chunk_at(i)->state,
                     ((uintptr_t)(hoteli_g.last_epoch * 0x9e37u & HOTELI_GENERATION_MASK)
                      << HOTELI_GENERATION_SHIFT) | HOTELI_ENDED);
        hoteli_free_chunk(i);
    }
}

static bool hoteli_arena_make(const hoteli_setup *s) {
    const hotel_config *c = s->config;
    size_t bytes;
    if (hoteli_g.arena) {
        bytes = (size_t)hoteli_g.num_chunks * HATCHET_OTEL_CHUNK_BYTES;
        if (c->arena_bytes && c->arena_bytes / HATCHET_OTEL_CHUNK_BYTES != hoteli_g.num_chunks)
            hoteli_bad_config("arena_bytes before hotel_release:", c->arena_bytes, bytes);
        return true;
    }
    if (c->memory) {
        hoteli_arena_cut(hoteli_g.setup_at + hoteli_g.setup_room,
                         hoteli_g.user_bytes - (size_t)(hoteli_g.setup_at + hoteli_g.setup_room -
                                                        hoteli_g.user_memory));
    } else {
        bytes = hoteli_plan_arena(c) + HOTELI_MAX_SHARDS * sizeof(hoteli_shard) + HOTELI_LINE;
        if (!hoteli_allocate(&hoteli_g.arena_memory, bytes)) return false;
        hoteli_arena_cut((uint8_t *)hoteli_g.arena_memory.at, bytes);
    }
    return hoteli_g.num_chunks >= 4;
}

static bool hoteli_setup_make(const hoteli_setup *s) {
    size_t bytes = hoteli_setup_bytes(s);
    const hotel_config *c = s->config;
    if (c->memory && s->index) {
        uintptr_t pad = -(uintptr_t)c->memory & 15u;
        if (bytes + pad > c->memory_bytes) return false;
        hoteli_g.setup_at = (uint8_t *)c->memory + pad;
    } else if (c->memory) {
        uintptr_t pad = -(uintptr_t)c->memory & 15u;
        if (hoteli_g.arena && c->memory != hoteli_g.user_memory) return false;
        hoteli_g.user_memory = (uint8_t *)c->memory;
        hoteli_g.user_bytes = c->memory_bytes;
        hoteli_g.setup_at = hoteli_g.user_memory + pad;
        /* The arena behind it stays from one set-up to the next. */
        if (hoteli_g.arena && hoteli_g.setup_at + bytes > (uint8_t *)hoteli_g.shards) return false;
        if (bytes + pad >= c->memory_bytes) return false;
    } else {
        hoteli_memory_free(&s->provider->memory);
        if (!hoteli_allocate(&s->provider->memory, bytes + 16)) return false;
        hoteli_g.setup_at = (uint8_t *)s->provider->memory.at;
    }
    hoteli_g.setup_room = bytes;
    return true;
}

/* A limit: code, else its variable, else the general one, else the default (4.2). */
static uint32_t hoteli_limit(const hoteli_setup *s, uint32_t code, const char *variable,
                             const char *general, uint32_t fallback, uint32_t most) {
    uint32_t n = hoteli_number(s, code, variable, general, 0, fallback);
    return HOTELI_MIN(n, most);
}

static void hoteli_plan_limits(const hoteli_setup *s) {
    const hotel_limits *from = &s->config->limits;
    hotel_limits *to = &s->provider->limits;
    uint32_t bytes = (uint32_t)HOTELI_MIN(hoteli_plan_arena(s->config) / 16, (size_t)64 << 20);
    uint32_t n;
    n = hoteli_limit(s, from->attribute_count, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
                     "OTEL_ATTRIBUTE_COUNT_LIMIT", 128, 65535);
    HOTELI_SET(to->attribute_count, n);
    n = hoteli_limit(s, from->attribute_value_length, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                     "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", UINT32_MAX, UINT32_MAX);
    HOTELI_SET(to->attribute_value_length, n);
    n = hoteli_limit(s, from->attribute_value_depth, NULL, NULL, 64, 200);
    HOTELI_SET(to->attribute_value_depth, n);
    n = hoteli_limit(s, from->event_count, "OTEL_SPAN_EVENT_COUNT_LIMIT", NULL, 128, 65535);
    HOTELI_SET(to->event_count, n);
    n = hoteli_limit(s, from->link_count, "OTEL_SPAN_LINK_COUNT_LIMIT", NULL, 128, 65535);
    HOTELI_SET(to->link_count, n);
    n = hoteli_limit(s, from->event_attribute_count, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", NULL, 128,
                     65535);
    HOTELI_SET(to->event_attribute_count, n);
    n = hoteli_limit(s, from->link_attribute_count, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", NULL, 128,
                     65535);
    HOTELI_SET(to->link_attribute_count, n);
    bytes = hoteli_limit(s, from->max_span_bytes, NULL, NULL, bytes, 64u << 20);
    bytes = HOTELI_MAX(bytes, (uint32_t)HATCHET_OTEL_CHUNK_BYTES);
    /* Spans of before that are still open may be as large as they were allowed to be, and what the
       first provider allows is what the exporter has space for. */
    if (hoteli_g.arena) bytes = HOTELI_MAX(bytes, hoteli_g.max_span_bytes);
    HOTELI_SET(to->max_span_bytes, bytes);
    if (!s->index) HOTELI_SET(hoteli_g.max_span_bytes, bytes);
}

/* ---- samplers ---- */

/* Whether it can be used as it stands, inside a composite or outside. */
static bool hoteli_sampler_sound(const hotel_sampler *from, bool inside) {
    switch (from->type) {
    case HOTEL_SAMPLER_ALWAYS_ON:
    case HOTEL_SAMPLER_ALWAYS_OFF: return true;
    case HOTEL_SAMPLER_PROBABILITY: return from->ratio >= 0 && from->ratio <= 1;
    case HOTEL_SAMPLER_PARENT_THRESHOLD:
    case HOTEL_SAMPLER_ANNOTATING: return inside;
    case HOTEL_SAMPLER_RULE_BASED: return inside && (from->rules || !from->num_rules);
    case HOTEL_SAMPLER_TRACE_ID_RATIO:
    case HOTEL_SAMPLER_PARENT_BASED_TRACE_ID_RATIO: /* not so for NaN */
        return !inside && from->ratio >= 0 && from->ratio <= 1;
    case HOTEL_SAMPLER_CUSTOM: return !inside && from->sample_fn != NULL;
    case HOTEL_SAMPLER_DEFAULT:
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON:
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF:
    case HOTEL_SAMPLER_PARENT_BASED:
    case HOTEL_SAMPLER_ALWAYS_RECORD:
    case HOTEL_SAMPLER_COMPOSITE: return !inside;
    default: return false;
    }
}

static uint64_t hoteli_ratio_threshold(double ratio) {
    const double all = 9223372036854775808.0; /* 2^63 */
    return ratio >= 1 ? (uint64_t)1 << 63 : (uint64_t)(ratio * all);
}

/* What a delegate is when nobody gave one. */
static const hotel_sampler *hoteli_default_sampler(bool on) {
    static hotel_sampler yes, no;
    yes.type = HOTEL_SAMPLER_ALWAYS_ON;
    no.type = HOTEL_SAMPLER_ALWAYS_OFF;
    return on ? &yes : &no;
}

/* A rejection threshold with four hex digits behind the leading f's (SM-12); 2^56 rejects all. */
static uint64_t hoteli_probability_threshold(double ratio) {
    uint64_t threshold = HOTELI_THRESHOLDS - (uint64_t)(ratio * (double)HOTELI_THRESHOLDS + 0.5);
    int cut = 40;
    uint64_t ones = UINT64_C(0xf) << 52;
    if (threshold == HOTELI_THRESHOLDS) return threshold;
    for (; ones && (threshold & ones) == ones; ones >>= 4) cut -= 4;
    if (cut <= 0) return threshold;
    threshold += UINT64_C(1) << (cut - 1);
    return threshold >> cut << cut;
}

static uint64_t hoteli_sampler_threshold(const hotel_sampler *from) {
    if (from->type == HOTEL_SAMPLER_TRACE_ID_RATIO) return hoteli_ratio_threshold(from->ratio);
    if (from->type == HOTEL_SAMPLER_PROBABILITY) return hoteli_probability_threshold(from->ratio);
    return 0;
}

/* Those it delegates to but by rules, the root first; their number. `root` is space for one that
   nobody gave. *type becomes PARENT_BASED for the short forms of that. */
static uint32_t hoteli_sampler_delegates(const hotel_sampler *from, hotel_sampler *root,
                                         const hotel_sampler *delegates[5], uint32_t *type) {
    const bool own = from->type == HOTEL_SAMPLER_PARENT_BASED;
    const hotel_sampler *const given[4] = {from->remote_sampled, from->remote_not_sampled,
                                           from->local_sampled, from->local_not_sampled};
    uint32_t i;
    memset((void *)root, 0, sizeof *root);
    root->type = HOTEL_SAMPLER_ALWAYS_ON;
    root->ratio = from->ratio;
    delegates[0] = root;
    switch (from->type) {
    case HOTEL_SAMPLER_DEFAULT:
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON: break;
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF: root->type = HOTEL_SAMPLER_ALWAYS_OFF; break;
    case HOTEL_SAMPLER_PARENT_BASED_TRACE_ID_RATIO:
        root->type = HOTEL_SAMPLER_TRACE_ID_RATIO;
        break;
    case HOTEL_SAMPLER_PARENT_BASED:
    case HOTEL_SAMPLER_ALWAYS_RECORD:
    case HOTEL_SAMPLER_COMPOSITE:
    case HOTEL_SAMPLER_PARENT_THRESHOLD:
    case HOTEL_SAMPLER_ANNOTATING:
        if (from->root) delegates[0] = from->root;
        if (!own) return 1;
        break;
    default: return 0;
    }
    *type = HOTEL_SAMPLER_PARENT_BASED;
    for (i = 0; i < 4; i++)
        delegates[1 + i] = own && given[i] ? given[i] : hoteli_default_sampler(!(i & 1));
    return 5;
}

static uint32_t hoteli_sampler_add(hoteli_sampler *list, uint32_t *count,
                                   const hotel_sampler *from, uint32_t above, bool inside);

/* The samplers of rules, each with its rule, in a row. */
static bool hoteli_sampler_add_rules(hoteli_sampler *list, uint32_t *count,
                                     const hotel_sampler *from, uint32_t at) {
    uint8_t *link = &list[at].root;
    size_t i;
    for (i = 0; i < from->num_rules; i++) {
        const hotel_sampler_rule *rule = &from->rules[i];
        uint32_t place = HOTELI_MAX_SAMPLERS;
        if (rule->sampler)
            place = hoteli_sampler_add(list, count, rule->sampler, list[at].above, true);
        if (place == HOTELI_MAX_SAMPLERS) return false;
        list[place].match_fn = rule->match_fn;
        list[place].match_data = rule->user_data;
        *link = (uint8_t)place;
        link = &list[place].next;
    }
    return true;
}

/* Copies a sampler and those it delegates to into a list; its place there, or
   HOTELI_MAX_SAMPLERS when it cannot be used. above: the annotating sampler around it, 0: none. */
static uint32_t hoteli_sampler_add(hoteli_sampler *list, uint32_t *count,
                                   const hotel_sampler *from, uint32_t above, bool inside) {
    const hotel_sampler *delegates[5];
    hotel_sampler root;
    uint32_t at = *count, type = (uint32_t)from->type, i, num;
    hoteli_sampler *to;
    if (at >= HOTELI_MAX_SAMPLERS || !hoteli_sampler_sound(from, inside))
        return HOTELI_MAX_SAMPLERS;
    ++*count;
    num = hoteli_sampler_delegates(from, &root, delegates, &type);
    to = &list[at];
    memset((void *)to, 0, sizeof *to);
    to->type = (uint8_t)type;
    to->above = (uint8_t)above;
    to->threshold = hoteli_sampler_threshold(from);
    to->ratio = from->ratio;
    to->sample_fn = from->sample_fn;
    to->user_data = from->user_data;
    to->description = from->description;
    if (type == HOTEL_SAMPLER_ANNOTATING && from->num_attributes) {
        to->attributes = from->attributes;
        to->num_attributes = from->num_attributes;
    }
    if (type == HOTEL_SAMPLER_ANNOTATING) above = at;
    inside = inside || type == HOTEL_SAMPLER_COMPOSITE;
    if (type == HOTEL_SAMPLER_RULE_BASED && !hoteli_sampler_add_rules(list, count, from, at))
        return HOTELI_MAX_SAMPLERS;
    for (i = 0; i < num; i++) {
        uint32_t place = hoteli_sampler_add(list, count, delegates[i], above, inside);
        if (place == HOTELI_MAX_SAMPLERS) return place;
        if (i) to->delegates[i - 1] = (uint8_t)place;
        else to->root = (uint8_t)place;
    }
    return at;
}

/* With as many decimals as it takes to have the same ratio again, six at least. */
static void hoteli_say_ratio(hoteli_text *text, double ratio) {
    uint64_t scale = 1000000, digits;
    unsigned decimals = 6, i;
    char zeros[20];
    for (;; scale *= 10, decimals++) {
        volatile double again; /* not with the extra digits that x87 registers have */
        digits = (uint64_t)(ratio * (double)scale + 0.5);
        again = (double)digits / (double)scale;
        if (decimals == 17 || again == ratio) break;
    }
    hoteli_say_uint(text, digits / scale);
    hoteli_say(text, ".");
    digits %= scale;
    for (i = 0, scale /= 10; i < decimals && digits < scale; i++, scale /= 10) zeros[i] = '0';
    if (i == decimals) i--;
    hoteli_say_n(text, zeros, i);
    hoteli_say_uint(text, digits);
}

/* Parts of a composite, with the names of the specification. */
static void hoteli_say_composable(hoteli_text *text, const hoteli_sampler *list, uint32_t at) {
    const hoteli_sampler *sampler = &list[at];
    size_t i;
    switch (sampler->type) {
    case HOTEL_SAMPLER_ALWAYS_ON: hoteli_say(text, "ComposableAlwaysOn"); break;
    case HOTEL_SAMPLER_ALWAYS_OFF: hoteli_say(text, "ComposableAlwaysOff"); break;
    case HOTEL_SAMPLER_PROBABILITY:
        hoteli_say(text, "ComposableProbability{");
        hoteli_say_ratio(text, sampler->ratio);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_PARENT_THRESHOLD:
        hoteli_say(text, "ComposableParentThreshold{root:");
        hoteli_say_composable(text, list, sampler->root);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_RULE_BASED:
        hoteli_say(text, "ComposableRuleBased{");
        for (at = sampler->root; at; at = list[at].next) {
            hoteli_say(text, at == sampler->root ? "" : ",");
            hoteli_say(text, list[at].match_fn ? "rule:" : "any:");
            hoteli_say_composable(text, list, at);
        }
        hoteli_say(text, "}");
        break;
    default:
        hoteli_say(text, "ComposableAnnotating{");
        hoteli_say_composable(text, list, sampler->root);
        for (i = 0; sampler->attributes && i < sampler->num_attributes; i++) {
            const hotel_attr *a = &sampler->attributes[i];
            hoteli_say(text, ",");
            if (a->key) hoteli_say_n(text, a->key, a->key_size);
        }
        hoteli_say(text, "}");
        break;
    }
}

/* SM-04. */
static void hoteli_say_sampler(hoteli_text *text, const hoteli_sampler *list, uint32_t at) {
    static const char *const names[] = {",remoteParentSampled:", ",remoteParentNotSampled:",
                                        ",localParentSampled:", ",localParentNotSampled:"};
    const hoteli_sampler *sampler = &list[at];
    uint32_t i;
    switch (sampler->type) {
    case HOTEL_SAMPLER_ALWAYS_ON: hoteli_say(text, "AlwaysOnSampler"); break;
    case HOTEL_SAMPLER_ALWAYS_OFF: hoteli_say(text, "AlwaysOffSampler"); break;
    case HOTEL_SAMPLER_TRACE_ID_RATIO:
        hoteli_say(text, "TraceIdRatioBased{");
        hoteli_say_ratio(text, sampler->ratio);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_PROBABILITY:
        hoteli_say(text, "ProbabilitySampler{");
        hoteli_say_ratio(text, sampler->ratio);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_COMPOSITE:
        hoteli_say(text, "CompositeSampler{");
        hoteli_say_composable(text, list, sampler->root);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_ALWAYS_RECORD:
        hoteli_say(text, "AlwaysRecordSampler{");
        hoteli_say_sampler(text, list, sampler->root);
        hoteli_say(text, "}");
        break;
    case HOTEL_SAMPLER_PARENT_BASED:
        hoteli_say(text, "ParentBased{root:");
        hoteli_say_sampler(text, list, sampler->root);
        for (i = 0; i < 4; i++) {
            hoteli_say(text, names[i]);
            hoteli_say_sampler(text, list, sampler->delegates[i]);
        }
        hoteli_say(text, "}");
        break;
    default: hoteli_say(text, sampler->description ? sampler->description : "CustomSampler"); break;
    }
}

/* A ratio as a variable has it: digits with a point, perhaps an exponent; -1: not one in [0,1]. */
static double hoteli_parse_ratio(const char *text) {
    double value = 0, scale = 1;
    bool point = false, digit = false, negative;
    int exponent = 0;
    while (*text == ' ' || *text == '\t') text++;
    negative = *text == '-'; /* -0 is 0 */
    if (negative) text++;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        digit = true;
        value = value * 10 + (*text - '0');
        if (point) scale *= 10;
        if (value > 1e300 || scale > 1e300) return -1;
    }
    if (digit && (*text == 'e' || *text == 'E')) {
        bool minus = *++text == '-';
        if (*text == '-' || *text == '+') text++;
        digit = *text >= '0' && *text <= '9';
        for (; *text >= '0' && *text <= '9' && exponent < 1000; text++)
            exponent = exponent * 10 + (*text - '0');
        for (; exponent && exponent < 300; exponent--) {
            if (minus) scale *= 10;
            else value *= 10;
        }
    }
    while (*text == ' ' || *text == '\t') text++;
    value /= scale;
    if (negative && value > 0) return -1;
    return digit && !*text && !exponent && value >= 0 && value <= 1 ? value : -1;
}

/* OTEL_TRACES_SAMPLER and its argument (EV-15, EV-16). */
static hotel_sampler hoteli_sampler_by_environment(const hoteli_setup *s) {
    static const char *const names[] = {"parentbased_always_on", "parentbased_always_off",
                                        "always_on", "always_off", "traceidratio",
                                        "parentbased_traceidratio"};
    const char *argument = NULL;
    hotel_sampler sampler;
    int choice = hoteli_choice(s, "OTEL_TRACES_SAMPLER", names, 6, "parentbased_always_on is used");
    memset((void *)&sampler, 0, sizeof sampler);
    sampler.type = choice < 0 ? HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON
                              : (hotel_sampler_type)(HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON + choice);
    if (sampler.type < HOTEL_SAMPLER_TRACE_ID_RATIO) return sampler;
    argument = hoteli_env(s, "OTEL_TRACES_SAMPLER_ARG");
    sampler.ratio = argument ? hoteli_parse_ratio(argument) : 1;
    if (sampler.ratio < 0) {
        sampler.ratio = 1;
        hoteli_bad_variable("OTEL_TRACES_SAMPLER_ARG", argument, "is not a number from 0 to 1",
                            "1 is used");
    }
    return sampler;
}

/* The plain samplers are decided by their type alone; for all others the list is asked. */
static void hoteli_plan_sampler(hoteli_setup *s) {
    hotel_sampler sampler = s->config->sampler;
    hoteli_provider *p = s->provider;
    uint32_t count = 0;
    if (sampler.type == HOTEL_SAMPLER_DEFAULT) sampler = hoteli_sampler_by_environment(s);
    if (hoteli_sampler_add(p->samplers, &count, &sampler, 0, false) == HOTELI_MAX_SAMPLERS) {
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                   "sampler: an unknown type, a ratio that is not from 0 to 1, no sample_fn, a "
                   "rule without a sampler, more than 12 samplers, one that does not go into a "
                   "composite or only there; parentbased_always_on is used");
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        memset((void *)&sampler, 0, sizeof sampler);
        sampler.type = HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON;
        count = 0;
        (void)hoteli_sampler_add(p->samplers, &count, &sampler, 0, false);
    }
    if (sampler.type > HOTEL_SAMPLER_ALWAYS_OFF) sampler.type = HOTEL_SAMPLER_CUSTOM;
    HOTELI_SET(p->sampler, (uint32_t)sampler.type);
}

static void hoteli_plan_processors(hoteli_setup *s) {
    const hotel_config *c = s->config;
    hoteli_provider *p = s->provider;
    size_t count = c->processors ? c->num_processors : 0, i;
    uint32_t hooks = 0;
    if (count > HOTELI_MAX_OF_PROVIDER) {
        hoteli_bad_config("num_processors", count, HOTELI_MAX_OF_PROVIDER);
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        count = HOTELI_MAX_OF_PROVIDER;
    }
    for (i = 0; i < count; i++) {
        p->processors[i] = c->processors[i];
        if (c->processors[i].on_start_fn) hooks |= HOTELI_ON_START;
        if (c->processors[i].on_ending_fn) hooks |= HOTELI_ON_ENDING;
        if (c->processors[i].on_end_fn) hooks |= HOTELI_ON_END;
        if (c->processors[i].flush_fn) hooks |= HOTELI_ON_FLUSH;
    }
    p->num_processors = (uint32_t)count;
    s->hooks = hooks;
    if (hooks & HOTELI_ON_ENDING) HOTELI_SET(hoteli_g.ending_hooks, true);
}

static void hoteli_plan_generator(hoteli_setup *s) {
    const hotel_config *c = s->config;
    hoteli_provider *p = s->provider;
    HOTELI_SET(p->clock.now_ns_fn, (uint64_t(*)(void *))NULL);
    HOTELI_SET(p->clock.user_data, c->clock.user_data);
    HOTELI_SET(p->clock.now_ns_fn, c->clock.now_ns_fn);
    memset((void *)&p->id_generator, 0, sizeof p->id_generator);
    if (c->id_generator.trace_id_fn && c->id_generator.span_id_fn) {
        p->id_generator = c->id_generator;
    } else if (c->id_generator.trace_id_fn || c->id_generator.span_id_fn) {
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                   "id_generator needs both functions; the built-in one is used");
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
    }
}

static void hoteli_plan_allocator(hoteli_setup *s) {
    const hotel_allocator *from = &s->config->allocator;
    memset((void *)&hoteli_g.allocator, 0, sizeof hoteli_g.allocator);
    if (!from->allocate_fn && !from->free_fn) return;
    if (from->allocate_fn && from->free_fn) {
        hoteli_g.allocator = *from;
        return;
    }
    hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
               "allocator needs both functions; malloc and free are used");
    hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
}

static void hoteli_plan_log(const hoteli_setup *s) {
    static const char *const words[] = {"error", "warn", "info", "debug", "none"};
    const hotel_config *c = s->config;
    int choice;
    hoteli_g.log_fn = c->log_fn;
    hoteli_g.log_user_data = c->log_user_data;
    hoteli_g.log_level = c->log_level ? c->log_level : HOTEL_LOG_INFO;
    if (!c->log_level) {
        choice = hoteli_choice(s, "OTEL_LOG_LEVEL", words, 5, "info is used");
        if (choice >= 0) hoteli_g.log_level = (hotel_log_level)(HOTEL_LOG_ERROR + choice);
    }
    if (hoteli_g.log_level == HOTEL_LOG_NONE) hoteli_g.log_fn = NULL;
}

/* What belongs to the provider, but for its resource and destinations. */
static void hoteli_plan_provider(hoteli_setup *s) {
    hoteli_plan_sampler(s);
    hoteli_plan_processors(s);
    hoteli_plan_generator(s);
    hoteli_plan_limits(s);
}

static bool hoteli_transport_sound(const hotel_transport *t) {
    return !t || (t->open_fn && t->connect_fn && t->send_fn && t->receive_fn &&
                  t->descriptor_fn && t->close_fn);
}

/* ---- Hatchet's connection ---- */

/* Of one of the .env files, and of the variables of all of them. */
#define HOTELI_DOTENV_SIZE ((size_t)64 << 10)

/* A setting, "" if there is none, and where it was found. */
typedef struct hoteli_given {
    const char *value;
    const char *name; /* of the variable or member */
    const char *file; /* NULL: it does not come from one */
} hoteli_given;

/* Where a setting may stand: its member, its variable. */
typedef struct hoteli_place {
    const char *code; /* the value there */
    const char *member;
    const char *variable;
} hoteli_place;

static const char *const hoteli_dotenv_files[4] = {".env", ".env.hatchet", ".env.dev",
                                                   ".env.local"};

static const char *hoteli_dotenv_outside(const char *name, void *setup) {
    const hoteli_setup *s = (const hoteli_setup *)setup;
    return s->config->ignore_environment ? NULL : getenv(name);
}

/* What is wrong with a setting; the value of a secret is not shown. */
static void hoteli_bad_hatchet(hoteli_setup *s, hotel_result result, const hoteli_given *from,
                               bool is_secret, const char *problem) {
    char words[768];
    hoteli_text text;
    const char *shown = strrchr(from->value, '@'); /* in front of it may be a password */
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, from->name);
    if (!is_secret && *from->value) {
        hoteli_say(&text, shown ? " ..." : " ");
        if (!shown) shown = from->value;
        hoteli_say_quoted(&text, shown, strlen(shown));
    }
    if (from->file) {
        hoteli_say(&text, " in ");
        hoteli_say(&text, from->file);
    }
    hoteli_say(&text, ": ");
    hoteli_say(&text, problem);
    hoteli_say(&text, "; no spans are sent to Hatchet");
    hoteli_log_text(HOTEL_LOG_ERROR,
                    result == HOTEL_ERR_TLS ? HOTEL_LOG_ID_TLS : HOTEL_LOG_ID_HATCHET, &text);
    hoteli_fail_setup(s, result);
    s->hatchet.valid = false;
}

static void hoteli_bad_dotenv(hoteli_setup *s, const char *path, const char *problem,
                              size_t line) {
    char words[512];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say_quoted(&text, path, strlen(path));
    if (line) {
        hoteli_say(&text, ", line ");
        hoteli_say_uint(&text, line);
        hoteli_say(&text, ": this is not NAME=value; the line is skipped");
    } else {
        hoteli_say(&text, ": ");
        hoteli_say(&text, problem);
        hoteli_say(&text, "; nothing of it is used");
        hoteli_fail_setup(s, HOTEL_ERR_TOKEN);
    }
    hoteli_log_text(line ? HOTEL_LOG_WARN : HOTEL_LOG_ERROR, HOTEL_LOG_ID_HATCHET, &text);
}

/* Reads one of the .env files into the variables. `room` is for HOTELI_DOTENV_SIZE and a byte. */
static void hoteli_dotenv_load(hoteli_setup *s, const char *path, char *room) {
    size_t size, line = 0;
    const char *problem = NULL;
    int error;
    size = hoteli_file_read(path, room, HOTELI_DOTENV_SIZE + 1);
    error = errno;
    if (size > HOTELI_DOTENV_SIZE) problem = "it is larger than 64 KiB";
    else if (size) problem = hoteli_dotenv_read(&s->hatchet.files, room, size, &line);
    else if (error && error != ENOENT) problem = hoteli_file_trouble(error);
    if (line) hoteli_bad_dotenv(s, path, NULL, line);
    if (problem) hoteli_bad_dotenv(s, path, problem, 0);
}

/* Not for programs with borrowed rights, whose working folder is somebody else's. */
static void hoteli_plan_dotenv(hoteli_setup *s) {
    const char *folder = s->config->hatchet.env_folder;
    hoteli_connection *h = &s->hatchet;
    size_t i;
    if (!folder || getuid() != geteuid() || getgid() != getegid()) return;
    if (!hoteli_allocate(&h->memory, 2 * HOTELI_DOTENV_SIZE + 1)) {
        hoteli_bad_dotenv(s, folder, "there is no memory to read its files", 0);
        return;
    }
    h->files.text = (char *)h->memory.at;
    h->files.capacity = HOTELI_DOTENV_SIZE;
    h->files.outside_fn = hoteli_dotenv_outside;
    h->files.user_data = s;
    for (i = 0; i < 4; i++) {
        char path[1024];
        hoteli_text text;
        hoteli_text_start(&text, path, sizeof path);
        hoteli_say(&text, folder);
        hoteli_say(&text, "/");
        hoteli_say(&text, hoteli_dotenv_files[i]);
        if (text.size >= sizeof path) hoteli_bad_dotenv(s, path, "the path is too long", 0);
        else hoteli_dotenv_load(s, path, h->files.text + HOTELI_DOTENV_SIZE);
        h->ends[i] = h->files.size;
    }
}

/* The last value in the files that is not empty; names in any case. */
static bool hoteli_dotenv_get(const hoteli_connection *h, const char *variable,
                              hoteli_given *out) {
    const char *p = h->files.text, *end = p ? p + h->files.size : NULL, *value;
    bool found = false;
    size_t i;
    for (; p != end; p = value + strlen(value) + 1) {
        value = p + strlen(p) + 1;
        if (!*value || !hoteli_same_name(p, strlen(p), variable, strlen(variable))) continue;
        out->value = value;
        for (i = 0; p >= h->files.text + h->ends[i]; i++) continue;
        out->file = hoteli_dotenv_files[i];
        found = true;
    }
    return found;
}

enum { HOTELI_IN_CODE = 0, HOTELI_IN_ENVIRONMENT, HOTELI_IN_FILES };

static bool hoteli_given_in(const hoteli_setup *s, int where, const hoteli_place *place,
                            hoteli_given *out) {
    const char *value = where == HOTELI_IN_CODE ? place->code
                        : where == HOTELI_IN_ENVIRONMENT ? hoteli_env(s, place->variable) : NULL;
    if (where == HOTELI_IN_FILES) {
        out->name = place->variable;
        return hoteli_dotenv_get(&s->hatchet, place->variable, out);
    }
    if (!value || !*value) return false;
    out->value = value;
    out->name = where == HOTELI_IN_CODE ? place->member : place->variable;
    return true;
}

/* Code beats environment beats files; without any the value is "". */
static hoteli_given hoteli_given_find(const hoteli_setup *s, const char *code, const char *member,
                                      const char *variable) {
    hoteli_place place;
    hoteli_given out;
    int where;
    place.code = code;
    place.member = member;
    place.variable = variable;
    memset((void *)&out, 0, sizeof out);
    for (where = HOTELI_IN_CODE; where <= HOTELI_IN_FILES; where++)
        if (hoteli_given_in(s, where, &place, &out)) return out;
    out.value = "";
    out.name = variable;
    return out;
}

static void hoteli_plan_token(hoteli_setup *s, const hoteli_given *token, const char *problem) {
    hoteli_connection *h = &s->hatchet;
    hoteli_text text;
    char words[64];
    if (problem) {
        hoteli_bad_hatchet(s, HOTEL_ERR_TOKEN, token, true, problem);
        return;
    }
    if (h->claims.expires <= (int64_t)(hoteli_clock_ns(CLOCK_REALTIME) / 1000000000u)) {
        hoteli_text_start(&text, words, sizeof words);
        hoteli_say(&text, "it expired at ");
        hoteli_say_date(&text, h->claims.expires, " ");
        hoteli_say(&text, " UTC");
        hoteli_bad_hatchet(s, HOTEL_ERR_TOKEN, token, true, words);
    }
    hoteli_text_start(&text, h->bearer, sizeof h->bearer);
    hoteli_say(&text, "Bearer ");
    hoteli_say(&text, token->value);
    h->header.name = "authorization";
    h->header.value = h->bearer;
    h->config.headers = &h->header;
    h->config.num_headers = 1;
}

static const char *hoteli_host_port_check(const char *text) {
    hoteli_url url;
    const char *reason;
    memset(&url, 0, sizeof url);
    if (strstr(text, "://")) return "it begins with a scheme; what belongs here is host:port";
    reason = hoteli_url_authority(text, strlen(text), &url);
    return reason ? reason : url.port ? NULL : "it has no port; what belongs here is host:port";
}

/* HOST_PORT, else what the token says, if it could be read. */
static void hoteli_plan_address(hoteli_setup *s, bool secure, bool token_read) {
    const hotel_hatchet *c = &s->config->hatchet;
    hoteli_connection *h = &s->hatchet;
    hoteli_given address = hoteli_given_find(s, c->host_port, "hatchet.host_port",
                                             "HATCHET_CLIENT_HOST_PORT");
    const char *problem = "it is not set, and the token names no address";
    hoteli_text text;
    if (!*address.value && *h->claims.address) {
        address.value = h->claims.address;
        address.name = "the token's grpc_broadcast_address";
    }
    if (*address.value) problem = hoteli_host_port_check(address.value);
    else if (!token_read) return;
    if (problem) hoteli_bad_hatchet(s, HOTEL_ERR_TOKEN, &address, false, problem);
    hoteli_text_start(&text, h->endpoint, sizeof h->endpoint);
    hoteli_say(&text, secure ? "https://" : "http://");
    hoteli_say(&text, address.value);
    h->config.endpoint = h->endpoint;
}

/* TLS_STRATEGY; DEFAULT when it is unknown. */
static hotel_tls_strategy hoteli_plan_strategy(hoteli_setup *s) {
    static const char *const words[] = {"tls", "mtls", "none"};
    const uint32_t asked = (uint32_t)s->config->hatchet.tls_strategy;
    hoteli_given given = hoteli_given_find(s, NULL, NULL, "HATCHET_CLIENT_TLS_STRATEGY");
    const char *word = given.value;
    size_t size = strlen(word), i;
    if (asked > HOTEL_TLS_STRATEGY_NONE) {
        given.value = "";
        given.name = "hatchet.tls_strategy";
        given.file = NULL;
        hoteli_bad_hatchet(s, HOTEL_ERR_TOKEN, &given, false, "it is none of the known ones");
        return HOTEL_TLS_STRATEGY_DEFAULT;
    }
    if (asked != HOTEL_TLS_STRATEGY_DEFAULT) return (hotel_tls_strategy)asked;
    if (!size) return HOTEL_TLS_STRATEGY_TLS;
    hoteli_trim(&word, &size);
    for (i = 0; i < 3; i++)
        if (hoteli_is_word(word, size, words[i]))
            return (hotel_tls_strategy)(HOTEL_TLS_STRATEGY_TLS + i);
    hoteli_bad_hatchet(s, HOTEL_ERR_TOKEN, &given, false, "it is none of tls, mtls, none");
    return HOTEL_TLS_STRATEGY_DEFAULT;
}

/* A certificate or key: text, which beats the file of the same place; both NULL: none is given. */
static void hoteli_plan_pem(hoteli_setup *s, const hoteli_place *text, const hoteli_place *file,
                            const char *kind, const char **pem, const char **path) {
    hoteli_given given;
    const char *problem;
    int where;
    memset((void *)&given, 0, sizeof given);
    *pem = *path = NULL;
    for (where = HOTELI_IN_CODE; where <= HOTELI_IN_FILES && !*pem && !*path; where++) {
        if (hoteli_given_in(s, where, text, &given)) {
            *pem = given.value;
            problem = hoteli_pem_check(given.value, kind);
            if (problem) hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &given, true, problem);
        } else if (hoteli_given_in(s, where, file, &given)) {
            *path = given.value;
        }
    }
}

static void hoteli_plan_min_version(hoteli_setup *s, hotel_tls_version *out) {
    const char *const variable = "HATCHET_CLIENT_TLS_MIN_VERSION";
    const uint32_t asked = (uint32_t)s->config->hatchet.tls.min_version;
    hoteli_given given = hoteli_given_find(s, NULL, NULL, variable);
    *out = (hotel_tls_version)asked;
    if (asked > HOTEL_TLS_1_3) {
        given.value = "";
        given.name = "hatchet.tls.min_version";
        hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &given, false, "it is none of the known ones");
    }
    if (asked || !*given.value) return;
    *out = strcmp(given.value, "1.2") == 0 ? HOTEL_TLS_1_2
           : strcmp(given.value, "1.3") == 0 ? HOTEL_TLS_1_3 : HOTEL_TLS_DEFAULT;
    if (*out == HOTEL_TLS_DEFAULT)
        hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &given, false, "it is neither 1.2 nor 1.3");
}

/* Certificates and what goes with them, for tls and mtls. */
static void hoteli_plan_hatchet_tls(hoteli_setup *s, hotel_tls_strategy strategy) {
    const hotel_tls *from = &s->config->hatchet.tls;
    hotel_tls *to = &s->hatchet.config.tls;
    const hoteli_place places[6] = {
        {from->ca_pem, "hatchet.tls.ca_pem", "HATCHET_CLIENT_TLS_ROOT_CA"},
        {from->ca_file, "hatchet.tls.ca_file", "HATCHET_CLIENT_TLS_ROOT_CA_FILE"},
        {from->certificate_pem, "hatchet.tls.certificate_pem", "HATCHET_CLIENT_TLS_CERT"},
        {from->certificate_file, "hatchet.tls.certificate_file", "HATCHET_CLIENT_TLS_CERT_FILE"},
        {from->key_pem, "hatchet.tls.key_pem", "HATCHET_CLIENT_TLS_KEY"},
        {from->key_file, "hatchet.tls.key_file", "HATCHET_CLIENT_TLS_KEY_FILE"}};
    hoteli_given missing = hoteli_given_find(s, from->server_name, "hatchet.tls.server_name",
                                             "HATCHET_CLIENT_TLS_SERVER_NAME");
    memset((void *)to, 0, sizeof *to);
    to->server_name = *missing.value ? missing.value : NULL;
    hoteli_plan_min_version(s, &to->min_version);
    hoteli_plan_pem(s, &places[0], &places[1], "CERTIFICATE", &to->ca_pem, &to->ca_file);
    if (strategy != HOTEL_TLS_STRATEGY_MTLS) return;
    hoteli_plan_pem(s, &places[2], &places[3], "CERTIFICATE", &to->certificate_pem,
                    &to->certificate_file);
    hoteli_plan_pem(s, &places[4], &places[5], "PRIVATE KEY", &to->key_pem, &to->key_file);
    memset((void *)&missing, 0, sizeof missing);
    missing.value = "";
    missing.name = places[3].variable;
    if (!to->certificate_pem && !to->certificate_file)
        hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &missing, false, "it is not set, and mtls needs it");
    missing.name = places[5].variable;
    if (!to->key_pem && !to->key_file)
        hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &missing, false, "it is not set, and mtls needs it");
}

/* Where spans for Hatchet go, and how; every setting that cannot be used is named. */
static void hoteli_plan_connection(hoteli_setup *s, bool token_read) {
    hoteli_connection *h = &s->hatchet;
    hoteli_given given;
    hotel_tls_strategy strategy = hoteli_plan_strategy(s);
    bool secure = strategy != HOTEL_TLS_STRATEGY_NONE;
    h->config.protocol = HOTEL_PROTOCOL_GRPC;
    h->config.insecure = false;
    h->config.exporter = NULL;
    hoteli_plan_address(s, secure, token_read);
    if (!secure || strategy == HOTEL_TLS_STRATEGY_DEFAULT) return;
    if (HOTELI_OPENSSL_HERE || h->config.transport) {
        hoteli_plan_hatchet_tls(s, strategy);
        return;
    }
    memset((void *)&given, 0, sizeof given);
    given.value = strategy == HOTEL_TLS_STRATEGY_TLS ? "tls" : "mtls";
    given.name = "HATCHET_CLIENT_TLS_STRATEGY";
    hoteli_bad_hatchet(s, HOTEL_ERR_TLS, &given, false,
                       "this build has no TLS; compile the implementation with "
                       "HATCHET_OTEL_OPENSSL, or set HATCHET_CLIENT_TLS_STRATEGY=none for clear "
                       "text");
}

static bool hoteli_name_fits(const hoteli_given *given, size_t capacity) {
    if (strlen(given->value) < capacity) return true;
    hoteli_bad_variable(given->name, given->value, "is too long", "it is ignored");
    return false;
}

/* The prefix of workflows and events, in the form that other SDKs give it, and the tenant. */
static void hoteli_plan_names(hoteli_setup *s) {
    const hotel_hatchet *c = &s->config->hatchet;
    hoteli_given name = hoteli_given_find(s, c->name_space, "hatchet.name_space",
                                          "HATCHET_CLIENT_NAMESPACE");
    hoteli_given tenant = hoteli_given_find(s, c->tenant_id, "hatchet.tenant_id",
                                            "HATCHET_CLIENT_TENANT_ID");
    char *out = hoteli_g.hatchet_namespace;
    hoteli_text text;
    if (!hoteli_name_fits(&name, sizeof hoteli_g.hatchet_namespace - 1)) name.value = "";
    hoteli_text_start(&text, out, sizeof hoteli_g.hatchet_namespace);
    hoteli_say(&text, name.value);
    for (; *out; out++)
        if (*out >= 'A' && *out <= 'Z') *out = (char)(*out + 32);
    if (text.size && out[-1] != '_') hoteli_say(&text, "_");
    if (!*tenant.value || !hoteli_name_fits(&tenant, sizeof hoteli_g.hatchet_tenant))
        tenant.value = s->hatchet.claims.tenant;
    hoteli_text_start(&text, hoteli_g.hatchet_tenant, sizeof hoteli_g.hatchet_tenant);
    hoteli_say(&text, tenant.value);
}

/* The words of pydantic's booleans, which the Python SDK reads; -1: none of them. */
static int hoteli_boolean_word(const char *text, size_t size) {
    static const char words[] = "0\0false\0no\0off\0f\0n\0001\0true\0yes\0on\0t\0y\0";
    int i;
    hoteli_trim(&text, &size);
    for (i = 0; i < 12 && !hoteli_is_word(text, size, hoteli_nth(words, i)); i++) continue;
    return i < 12 ? i >= 6 : -1;
}

static bool hoteli_plan_switch(const hoteli_setup *s, bool code, const char *name) {
    char variable[96];
    hoteli_text text;
    hoteli_given given;
    int on;
    if (code) return true;
    hoteli_text_start(&text, variable, sizeof variable);
    hoteli_say(&text, "HATCHET_CLIENT_OPENTELEMETRY_");
    hoteli_say(&text, name);
    given = hoteli_given_find(s, NULL, NULL, variable);
    if (!*given.value) return false;
    on = hoteli_boolean_word(given.value, strlen(given.value));
    if (on < 0)
        hoteli_bad_variable(variable, given.value, "is neither true nor false", "false is used");
    return on > 0;
}

/* The key that a name of an attribute means; HOTEL_HATCHET_NUM_KEYS: none that can be left out. */
static int hoteli_key_named(const char *name, size_t size) {
    const size_t prefix = sizeof "hatchet." - 1;
    int key;
    if (size > prefix && hoteli_is_word(name, prefix, "hatchet.")) {
        name += prefix;
        size -= prefix;
    }
    if (hoteli_is_word(name, size, "action_payload")) return HOTEL_HATCHET_PAYLOAD;
    if (hoteli_is_word(name, size, "filter_scope")) return HOTEL_HATCHET_SCOPE;
    for (key = HOTEL_HATCHET_NAMESPACE; key <= HOTEL_HATCHET_NUM_CONDITIONS; key++)
        if (hoteli_is_word(name, size, hoteli_key_text((hotel_hatchet_key)key) + prefix))
            return key;
    return HOTEL_HATCHET_NUM_KEYS;
}

/* A JSON array of names without escapes or a list with commas: words and what is between them. */
static void hoteli_plan_excluded(const hoteli_setup *s) {
    hoteli_given given = hoteli_given_find(s, s->config->hatchet.excluded_attributes,
                                           "hatchet.excluded_attributes",
                                           "HATCHET_CLIENT_OPENTELEMETRY_EXCLUDED_ATTRIBUTES");
    const char *at = given.value, *const between = "[], \t\r\n\"'";
    uint32_t bits[2] = {0, 0};
    for (at += strspn(at, between); *at; at += strspn(at, between)) {
        size_t size = strcspn(at, between);
        int key = hoteli_key_named(at, size);
        if (key < HOTEL_HATCHET_NUM_KEYS) bits[key >> 5] |= (uint32_t)1 << (key & 31);
        else if (!hoteli_is_word(at, size, "memo_fn_name")) { /* known, but on no span */
            char words[160];
            hoteli_text text;
            hoteli_text_start(&text, words, sizeof words);
            hoteli_say(&text, "names ");
            hoteli_say_quoted(&text, at, size);
            hoteli_say(&text, ", which is no attribute that can be left out");
            hoteli_bad_variable(given.name, given.value, words, "the others are left out");
        }
        at += size;
    }
    HOTELI_SET(hoteli_g.hatchet_excluded[0], bits[0]);
    HOTELI_SET(hoteli_g.hatchet_excluded[1], bits[1]);
}

/* What the spans of Hatchet's operations look like. */
static void hoteli_plan_operations(const hoteli_setup *s) {
    const hotel_hatchet *c = &s->config->hatchet;
    uint32_t shared = 2048;
    bool named = hoteli_plan_switch(s, c->task_name_in_span_name,
                                    "INCLUDE_TASK_NAME_IN_START_STEP_RUN_SPAN_NAME");
    bool runs = hoteli_plan_switch(s, c->individual_run_spans,
                                   "INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN");
    named = hoteli_plan_switch(s, named, "INCLUDE_TASK_NAME_IN_SPAN_NAME"); /* TypeScript's */
    HOTELI_SET(hoteli_g.hatchet_task_name, named);
    HOTELI_SET(hoteli_g.hatchet_run_spans, runs);
    if (c->shared_payload_bytes) shared = (uint32_t)HOTELI_MAX(c->shared_payload_bytes, 0);
    HOTELI_SET(hoteli_g.hatchet_shared_payload, shared);
    hoteli_plan_excluded(s);
}

/* A provider beside the first one has a destination at Hatchet only by a token in code. */
static void hoteli_plan_hatchet(hoteli_setup *s, bool disabled) {
    const hotel_hatchet *c = &s->config->hatchet;
    hoteli_connection *h = &s->hatchet;
    const char *const member = "hatchet.token", *const variable = "HATCHET_CLIENT_TOKEN";
    const char *problem = NULL;
    hoteli_given token;
    if (s->index && (!c->token || !*c->token)) return;
    hoteli_plan_dotenv(s);
    token = hoteli_given_find(s, c->token, member, variable);
    if (*token.value) problem = hoteli_token_parse(token.value, strlen(token.value), &h->claims);
    if (!s->index) {
        hoteli_plan_names(s);
        hoteli_plan_operations(s);
    }
    h->wanted = h->valid = *token.value && !c->no_collector && !s->config->no_destinations &&
                           !disabled;
    if (!h->wanted) return;
    h->config = c->collector;
    hoteli_plan_token(s, &token, problem);
    hoteli_plan_connection(s, problem == NULL);
}

/* Which destinations there are when code names none: OTEL_TRACES_EXPORTER (EV-08). The console
   comes with the simple processor (EX-03). */
static size_t hoteli_destinations_by_environment(hoteli_setup *s) {
    static const char *const words[] = {"none", "otlp", "console"};
    const char *variable = "OTEL_TRACES_EXPORTER", *list = hoteli_env(s, variable), *end;
    bool named[3] = {false, false, false}, any = false;
    size_t count = 0, size, i;
    if (s->config->no_destinations) return 0;
    while (list && *list) {
        for (end = list; *end && *end != ','; end++) continue;
        size = (size_t)(end - list);
        hoteli_trim(&list, &size);
        for (i = 0; i < 3 && !hoteli_is_word(list, size, words[i]); i++) continue;
        if (i < 3) named[i] = any = true;
        else if (size)
            hoteli_bad_variable(variable, hoteli_env(s, variable),
                                "names something beside otlp, console and none", "it is left out");
        list = *end ? end + 1 : end;
    }
    if (named[0]) return 0;
    /* Beside Hatchet's only where it is asked for. */
    any = any || (s->hatchet.wanted && !hoteli_env(s, "OTEL_EXPORTER_OTLP_ENDPOINT") &&
                  !hoteli_env(s, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
    if (named[1] || !any) count++;
    if (named[2]) {
        s->console = hotel_console_exporter(1);
        s->by_environment[count].exporter = &s->console;
        s->by_environment[count++].simple = true;
    }
    return count;
}

/* Every destination that is valid gets a place, Hatchet's the last. */
static void hoteli_plan_destinations(hoteli_setup *s) {
    const hotel_config *c = s->config;
    const hotel_destination *list = c->destinations;
    size_t count = list ? c->num_destinations : 0, total, i;
    uint32_t share, delay = HOTELI_GET(hoteli_g.drain_delay_ms);
    if (!count) {
        list = s->by_environment;
        count = hoteli_destinations_by_environment(s);
    }
    if (count > HOTELI_MAX_OF_PROVIDER) {
        hoteli_bad_config("num_destinations", count, HOTELI_MAX_OF_PROVIDER);
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        count = HOTELI_MAX_OF_PROVIDER;
    }
    if (s->hatchet.wanted && count == HOTELI_MAX_OF_PROVIDER) {
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_HATCHET,
                   "num_destinations leaves no place for Hatchet's, at most 4 are possible; no "
                   "spans are sent to Hatchet");
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        s->hatchet.wanted = s->hatchet.valid = false;
    }
    total = count + s->hatchet.wanted;
    share = (uint32_t)(count + s->hatchet.valid);
    for (i = 0; i < count + s->hatchet.valid; i++) {
        hoteli_plan *p = &s->plans[s->num_drafts];
        hoteli_destination *d = &s->drafts[s->num_drafts];
        d->hatchet = i == count;
        p->config = d->hatchet ? &s->hatchet.config : &list[i];
        d->provider = s->provider;
        d->position = hoteli_g.num_configured + (uint32_t)i;
        if (!hoteli_transport_sound(p->config->transport)) {
            hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                       "a transport lacks functions; its destination is not started");
            hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
            continue;
        }
        p->suffix = "";
        d->exports = p->config->exporter != NULL;
        if (d->exports && !p->config->exporter->export_fn) {
            hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                       "an exporter has no export_fn; its destination is not started");
            hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
            continue;
        }
        d->grpc = !d->exports && hoteli_plan_grpc(s, (uint32_t)p->config->protocol);
        if (!d->exports && !hoteli_plan_endpoint(s, p, d)) continue;
        if (!d->exports && !hoteli_plan_tls(s, p, d)) continue;
        hoteli_plan_destination(s, p, d, share);
        delay = HOTELI_MIN(delay, d->delay_ms);
        s->num_drafts++;
    }
    s->num_planned = (uint32_t)total;
    s->drain_delay_ms = delay;
}

/* Adds what was built to what the exporter drives. */
static void hoteli_publish_destinations(hoteli_setup *s) {
    uint32_t i, first = hoteli_g.num_destinations, waits = 0;
    s->provider->first = first;
    s->provider->num_destinations = s->num_drafts;
    hoteli_lock();
    for (i = 0; i < s->num_drafts; i++) {
        s->built[i]->bit = (uint32_t)1 << (first + i);
        s->built[i]->flush_begun = s->built[i]->flush_done = hoteli_g.flush_asked;
        if (s->plans[i].config->simple) waits |= s->built[i]->bit;
        hoteli_g.destinations[first + i] = s->built[i];
    }
    hoteli_g.num_configured += s->num_planned;
    HOTELI_SET(hoteli_g.drain_delay_ms, s->drain_delay_ms);
    HOTELI_SET(s->provider->waits, waits);
    if (waits) s->hooks |= HOTELI_WAITS;
    __atomic_store_n(&hoteli_g.num_destinations, first + s->num_drafts, __ATOMIC_RELEASE);
    hoteli_unlock();
}

/* When to wake the exporter: at the smallest batch, or when a good part of the arena waits.
   Ended spans are counted in steps, so that the shared counter is touched rarely. */
static void hoteli_plan_wake(void) {
    uint32_t at = HOTELI_MAX(hoteli_g.num_chunks / 8, 1u), step = 1, i;
    for (i = 0; i < hoteli_num_destinations(); i++) {
        const hoteli_destination *d = hoteli_g.destinations[i];
        at = HOTELI_MIN(at, d->delay_ms ? d->max_batch : 1u);
    }
    while (step * 16 <= at && step < 32) step *= 2;
    HOTELI_SET(hoteli_g.wake_at, at);
    HOTELI_SET(hoteli_g.wake_step, step);
}

static void hoteli_announce(const hoteli_destination *d) {
    char words[512];
    hoteli_text text;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say(&text, d->exports ? "handing spans to " : d->grpc ? "sending OTLP over gRPC to "
                                                            : "sending OTLP over HTTP to ");
    hoteli_destination_name(&text, d);
    hoteli_log_text(HOTEL_LOG_INFO, HOTEL_LOG_ID_STARTED, &text);
}

/* ==== [SECTION 53] FORK ==================================================================== */

/* The second end is never 0. */
static void hoteli_pipe_close(void) {
    int i;
    for (i = 0; i < 2; i++) {
        if (hoteli_g.wake_pipe[1]) (void)close(hoteli_g.wake_pipe[i]);
    }
    hoteli_g.wake_pipe[0] = hoteli_g.wake_pipe[1] = 0;
}

/* Stays open from the first start to hotel_release: a thread that has just been told to wake the
   exporter may write into it a little later. A pair of sockets: its descriptors are never without
   close-on-exec, and writing to them raises no SIGPIPE and harms no file of the host, should it
   have closed them. */
static bool hoteli_pipe_open(void) {
    if (hoteli_g.no_threads || (hoteli_g.wake_pipe[1] && !hoteli_g.pipe_lost)) return true;
    hoteli_g.pipe_lost = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | HOTELI_CLOEXEC, 0, hoteli_g.wake_pipe) != 0) {
        hoteli_g.wake_pipe[0] = hoteli_g.wake_pipe[1] = 0;
        return false;
    }
    if (hoteli_own_descriptor(&hoteli_g.wake_pipe[0]) &&
        hoteli_own_descriptor(&hoteli_g.wake_pipe[1]))
        return true;
    hoteli_pipe_close();
    return false;
}

static void hoteli_locks_make(void) {
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&hoteli_g.lock, NULL);
    hoteli_g.clock_cond = false;
    if (pthread_condattr_init(&attributes) != 0) {
        (void)pthread_cond_init(&hoteli_g.settled, NULL);
        return;
    }
#if !defined(__APPLE__)
    hoteli_g.clock_cond = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                          pthread_cond_init(&hoteli_g.settled, &attributes) == 0;
#endif
    if (!hoteli_g.clock_cond) (void)pthread_cond_init(&hoteli_g.settled, NULL);
    (void)pthread_condattr_destroy(&attributes);
}

/* The child's copy must not look started, and gives back what it inherited of files; everything
   else waits for the first use. */
static void hoteli_fork_child(void) {
    uint32_t i;
    if (hoteli_g.epoch) __atomic_store_n(hoteli_g.epoch, 0u, __ATOMIC_RELAXED);
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_t.quiet = 0; /* it may have been made inside a callback */
    hoteli_hooks_forked();
    hoteli_flag_store(&hoteli_g.propagator_lock, 0);
#if defined(HATCHET_OTEL_OPENSSL)
    hoteli_tls_forked();
#endif
    /* Later these numbers may belong to files of the child's own. */
    hoteli_pipe_close();
    for (i = 0; i < hoteli_num_destinations(); i++)
        hoteli_destination_forked(hoteli_g.destinations[i]);
}

/* The epoch lives in a page that the kernel wipes on fork, which also catches a raw clone(). */
static void hoteli_epoch_make(void) {
    if (!hoteli_g.epoch) {
        uint32_t *word = &hoteli_g.epoch_word;
#if defined(__linux__) && defined(MAP_ANONYMOUS)
        long size = sysconf(_SC_PAGESIZE);
        void *page = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
        if (page != MAP_FAILED) {
            if (madvise(page, (size_t)size, 18 /* MADV_WIPEONFORK */) == 0) word = (uint32_t *)page;
            else (void)munmap(page, (size_t)size);
        }
#endif
        __atomic_store_n(word, ++hoteli_g.last_epoch, __ATOMIC_RELAXED);
        __atomic_store_n(&hoteli_g.epoch, word, __ATOMIC_RELEASE);
    }
    if (!hoteli_g.atfork_set) {
#if defined(HATCHET_OTEL_OPENSSL)
        hoteli_g.atfork_set = pthread_atfork(hoteli_tls_before_fork, hoteli_tls_after_fork,
                                             hoteli_fork_child) == 0;
#else
        hoteli_g.atfork_set = pthread_atfork(NULL, NULL, hoteli_fork_child) == 0;
#endif
    }
}

/* Blocks survive a fork, because inherited contexts refer to them; what records held on them is
   not given back, so they stay for good. Everything else becomes free. */
static void hoteli_arena_inherit(void) {
    uint32_t i;
    for (i = 1; i <= hoteli_g.num_chunks; i++) hoteli_chunk_at(i)->pad = 0;
    for (i = 1; i <= hoteli_g.num_chunks; i++) {
        hoteli_chunk *chunk = hoteli_chunk_at(i);
        uint32_t link;
        if (chunk->kind != HOTELI_BLOCK || !(hoteli_load(&chunk->state) & HOTELI_COUNT)) continue;
        chunk->pad = 1;
        for (link = hoteli_block_at(i)->more; link; link = hoteli_chunk_at(link)->next)
            hoteli_chunk_at(link)->pad = 1;
    }
    memset(hoteli_g.shards, 0, (hoteli_g.shard_mask + 1) * sizeof(hoteli_shard));
    for (i = hoteli_g.num_chunks; i >= 1; i--) {
        hoteli_chunk *chunk = hoteli_chunk_at(i);
        if (chunk->pad) continue;
        hoteli_store(&chunk->state,
                     hoteli_next_generation(hoteli_load(&chunk->state)) | HOTELI_ENDED);
        hoteli_free_chunk(i);
    }
}

static void hoteli_books_clear(void) {
    uint32_t i;
    for (i = 0; i < hoteli_num_destinations(); i++)
        hoteli_destination_clear(hoteli_g.destinations[i]);
    {
        hoteli_word *const words[] = {&hoteli_g.record_only, &hoteli_g.pending, &hoteli_g.limited,
                                      &hoteli_g.stale, &hoteli_g.bad_arguments,
                                      &hoteli_g.rejected_parents, &hoteli_g.collected,
                                      &hoteli_g.moves, &hoteli_g.repaired};
        for (i = 0; i < sizeof words / sizeof words[0]; i++) hoteli_store(words[i], 0);
    }
}

static void hoteli_log_clear(void) {
    size_t i;
    hoteli_store(&hoteli_g.log_bits[0], 0);
    hoteli_store(&hoteli_g.log_bits[1], 0);
    for (i = 0; i < HOTELI_NUM_FAULTS * 2; i++) HOTELI_SET(hoteli_g.bad_fields[i / 2][i % 2], 0u);
    memset(hoteli_g.said_fields, 0, sizeof hoteli_g.said_fields);
    memset(hoteli_g.logged_ms, 0, sizeof hoteli_g.logged_ms);
}

/* When this process was forked a thread of the parent was setting up, stopping or releasing: what
   it left is nothing to go on from. As if never started; its memory is not given back. */
static HOTELI_COLD void hoteli_forget(void) {
    __atomic_store_n(&hoteli_g.epoch, (uint32_t *)NULL, __ATOMIC_RELEASE);
    hoteli_flag_store(&hoteli_g.running, 0);
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_flag_store(&hoteli_g.turning, 0);
    hoteli_flag_store(&hoteli_g.propagator_lock, 0);
    hoteli_g.initialised = hoteli_g.stopped = false;
    hoteli_g.num_destinations = hoteli_g.num_configured = 0;
    hoteli_g.num_chunks = hoteli_g.num_scopes = hoteli_g.shard_mask = 0;
    hoteli_g.shards = NULL;
    hoteli_g.arena = NULL;
    memset(hoteli_g.scopes, 0, sizeof hoteli_g.scopes);
    memset((void *)&hoteli_g.arena_memory, 0, sizeof hoteli_g.arena_memory);
    memset((void *)hoteli_g.providers, 0, sizeof hoteli_g.providers);
    hoteli_g.wake_pipe[0] = hoteli_g.wake_pipe[1] = 0;
}

/* False: another thread is setting up, stopping, releasing or rebuilding. */
static bool hoteli_life_try(void) {
    uint32_t self = (uint32_t)getpid(), holder = hoteli_flag_load(&hoteli_g.life);
    if (holder == self || !hoteli_flag_cas(&hoteli_g.life, holder, self)) return false;
    if (holder) hoteli_forget();
    return true;
}

/* First use in a fork child: everything anew, nothing of the parent's spans. One thread does it;
   what others ask for meanwhile is answered as before hotel_init. */
static HOTELI_COLD bool hoteli_rebuild(void) {
    bool started = true;
    int cancel;
    if (!hoteli_life_try()) return false;
    cancel = hoteli_cancel_hold();
    if (!hoteli_epoch() && hoteli_g.initialised) {
        hoteli_flag_store(&hoteli_g.shape, 0);
        hoteli_flag_store(&hoteli_g.propagator_lock, 0);
        hoteli_flag_store(&hoteli_g.turning, 0);
        hoteli_hooks_forked();
        hoteli_locks_make();
        hoteli_new_key();
        hoteli_pipe_close();
        hoteli_books_clear();
        hoteli_log_clear();
        if (hoteli_g.arena) hoteli_arena_inherit();
        memset(hoteli_g.scratch.block, 0, sizeof hoteli_g.scratch.block);
        hoteli_g.flush_asked = hoteli_g.flush_mask = hoteli_g.flush_deep = 0;
        hoteli_g.stopping = hoteli_g.has_thread = false;
        hoteli_flag_store(&hoteli_g.sleeping, 0);
        hoteli_flag_store(&hoteli_g.nudge, 0);
        if (!hoteli_g.stopped) {
            started = hoteli_pipe_open() && hoteli_exporter_start();
            if (!started) hoteli_flag_store(&hoteli_g.running, 0);
        }
        __atomic_store_n(hoteli_g.epoch, ++hoteli_g.last_epoch, __ATOMIC_RELEASE);
    }
    hoteli_flag_store(&hoteli_g.life, 0);
    hoteli_cancel_back(cancel);
    return hoteli_epoch() != 0;
}

/* Is there something to act on, in this process? */
static bool hoteli_here(void) {
    if (!__atomic_load_n(&hoteli_g.epoch, __ATOMIC_ACQUIRE)) return false;
    return hoteli_epoch() || hoteli_rebuild();
}

/* ==== [SECTION 54] HATCHET ================================================================= */

/* Attributes that are being put together: there is room for all that an operation has. */
typedef struct hoteli_fields {
    hotel_attr list[HOTELI_BLOCK_KEYS];
    size_t count;
    hoteli_run_ids ids; /* of the task around */
} hoteli_fields;

static bool hoteli_excluded(hotel_hatchet_key key) {
    return (HOTELI_GET(hoteli_g.hatchet_excluded[key >> 5]) >> (key & 31) & 1) != 0;
}

static void hoteli_put_field(hoteli_fields *f, hotel_attr field) {
    if (f->count < HOTELI_BLOCK_KEYS) f->list[f->count++] = field;
}

static void hoteli_check_text(hotel_hatchet_key key, const char *text, size_t size) {
    bool names_run = key == HOTEL_HATCHET_STEP_RUN_ID || key == HOTEL_HATCHET_WORKFLOW_RUN_ID;
    if (names_run && !size) hoteli_fault(HOTELI_EMPTY_ID, key);
    else if (memchr(text, 0, size)) hoteli_fault(HOTELI_HAS_NUL, key);
    else if (names_run && !hoteli_is_uuid(text, size)) hoteli_fault(HOTELI_NOT_UUID, key);
    if (!hoteli_utf8_valid(text, size)) hoteli_fault(HOTELI_NOT_UTF8, key);
}

/* A string member with its size; kept out when NULL, empty, {} or [] (presence rule). */
static void hoteli_put_text(hoteli_fields *f, hotel_hatchet_key key, const char *text,
                            size_t size) {
    if (!text || hoteli_excluded(key)) return;
    if (!size) size = strlen(text);
    hoteli_check_text(key, text, size);
    if (!size || (size == 2 && (memcmp(text, "{}", 2) == 0 || memcmp(text, "[]", 2) == 0))) return;
    hoteli_put_field(f, hotel_strn(hoteli_key_text(key), text, size));
}

static void hoteli_put_int(hoteli_fields *f, hotel_hatchet_key key, const int32_t *value) {
    if (!value) return;
    if (*value < 0) hoteli_fault(HOTELI_NEGATIVE, key);
    else if (!hoteli_excluded(key)) hoteli_put_field(f, hotel_int(hoteli_key_text(key), *value));
}

static void hoteli_fields_start(hoteli_fields *f) {
    f->count = 0;
    memset(&f->ids, 0, sizeof f->ids);
    hoteli_put_field(f, hotel_str(hoteli_key_text(HOTEL_HATCHET_INSTRUMENTOR), "hatchet"));
}

/* An ID that can be kept beside a task's attributes. */
static uint8_t hoteli_keep_id(char *out, const char *id, size_t size) {
    if (!id) return 0;
    if (!size) size = strlen(id);
    if (size > HOTELI_ID_SIZE || memchr(id, 0, size)) return 0;
    if (size) memcpy(out, id, size);
    return (uint8_t)size;
}

static hotel_tracer hoteli_hatchet_tracer(void) {
    return hoteli_tracer(HOTELI_GET(hoteli_g.hatchet_scope), 0);
}

#define HOTELI_FIELD(f, from, KEY, member) \
    hoteli_put_text(f, HOTEL_HATCHET_##KEY, (from)->member, (from)->member##_size)

/* The attributes of a task, which all its spans share, but for the payload. */
static void hoteli_task_fields(hoteli_fields *f, const hotel_step_run *r) {
    hoteli_fields_start(f);
    HOTELI_FIELD(f, r, TENANT_ID, tenant_id);
    HOTELI_FIELD(f, r, WORKER_ID, worker_id);
    HOTELI_FIELD(f, r, WORKFLOW_RUN_ID, workflow_run_id);
    HOTELI_FIELD(f, r, STEP_ID, step_id);
    HOTELI_FIELD(f, r, STEP_RUN_ID, step_run_id);
    hoteli_put_int(f, HOTEL_HATCHET_RETRY_COUNT, &r->retry_count);
    HOTELI_FIELD(f, r, PARENT_WORKFLOW_RUN_ID, parent_workflow_run_id);
    hoteli_put_int(f, HOTEL_HATCHET_CHILD_WORKFLOW_INDEX, r->child_workflow_index);
    HOTELI_FIELD(f, r, CHILD_WORKFLOW_KEY, child_workflow_key);
    HOTELI_FIELD(f, r, WORKFLOW_NAME, workflow_name);
    HOTELI_FIELD(f, r, ACTION_NAME, action_name);
    HOTELI_FIELD(f, r, STEP_NAME, step_name);
    HOTELI_FIELD(f, r, WORKFLOW_ID, workflow_id);
    HOTELI_FIELD(f, r, WORKFLOW_VERSION_ID, workflow_version_id);
    HOTELI_FIELD(f, r, TRIGGERING_EVENT_EXTERNAL_ID, triggering_event_external_id);
    HOTELI_FIELD(f, r, TRIGGERING_EVENT_KEY, triggering_event_key);
}

static void hoteli_trigger_fields(hoteli_fields *f, const hotel_trigger *t) {
    hoteli_run_ids *ids = &f->ids;
    hoteli_fields_start(f);
    if (t->task) (void)hoteli_block_ids(t->task->context.values, ids);
    HOTELI_FIELD(f, t, WORKFLOW_NAME, workflow_name);
    HOTELI_FIELD(f, t, PAYLOAD, payload);
    if (t->parent_id) HOTELI_FIELD(f, t, PARENT_ID, parent_id);
    else if (ids->workflow_run_size)
        hoteli_put_text(f, HOTEL_HATCHET_PARENT_ID, ids->workflow_run, ids->workflow_run_size);
    if (t->parent_step_run_id) HOTELI_FIELD(f, t, PARENT_STEP_RUN_ID, parent_step_run_id);
    else if (ids->step_run_size)
        hoteli_put_text(f, HOTEL_HATCHET_PARENT_STEP_RUN_ID, ids->step_run, ids->step_run_size);
    hoteli_put_int(f, HOTEL_HATCHET_CHILD_INDEX, t->child_index);
    HOTELI_FIELD(f, t, CHILD_KEY, child_key);
    HOTELI_FIELD(f, t, NAMESPACE, namespace_name);
    HOTELI_FIELD(f, t, ADDITIONAL_METADATA, additional_metadata);
    hoteli_put_int(f, HOTEL_HATCHET_PRIORITY, t->priority);
    HOTELI_FIELD(f, t, DESIRED_WORKER_ID, desired_worker_id);
    if (t->sticky && !hoteli_excluded(HOTEL_HATCHET_STICKY))
        hoteli_put_field(f, hotel_bool(hoteli_key_text(HOTEL_HATCHET_STICKY), *t->sticky));
    HOTELI_FIELD(f, t, KEY, key);
}

/* A JSON array of strings, the value of an attribute. */
typedef struct hoteli_array {
    char text[4096];
    size_t size;
    bool full;
} hoteli_array;

static void hoteli_array_add(hoteli_array *a, const char *item, size_t size) {
    hoteli_sink sink;
    size_t between = a->size ? 2 : 1;
    sink.out = NULL;
    sink.size = 0;
    hoteli_json_put(&sink, item, size);
    a->full = a->full || a->size + between + sink.size + 1 > sizeof a->text;
    if (a->full) return;
    memcpy(a->text + a->size, a->size ? ", " : "[", between);
    sink.out = a->text + a->size + between;
    a->size += between + sink.size;
    sink.size = 0;
    hoteli_json_put(&sink, item, size);
}

static void hoteli_array_put(hoteli_array *a, hoteli_fields *f, hotel_hatchet_key key) {
    if (a->full) hoteli_fault(HOTELI_TOO_LONG, key);
    if (!a->size) return;
    a->text[a->size++] = ']';
    hoteli_put_text(f, key, a->text, a->size);
}

/* A name of many, with its size, among the members of structs that stand one behind another. */
typedef struct hoteli_names {
    hotel_hatchet_key key;
    const void *first; /* the member of the first struct; its size is the next member */
    size_t step;       /* size of a struct */
    size_t count;
} hoteli_names;

static hotel_string hoteli_name_at(const hoteli_names *names, size_t i) {
    struct {
        const char *text;
        size_t size;
    } member;
    hotel_string name;
    memcpy(&member, (const char *)names->first + i * names->step, sizeof member);
    name.text = member.text;
    name.size = member.text && !member.size ? strlen(member.text) : member.size;
    if (!name.text) name.size = 0;
    return name;
}

/* Each name once, in the order of their first appearance. */
static void hoteli_array_names(hoteli_array *a, const hoteli_names *names) {
    uint32_t unique[sizeof a->text / 5 + 1]; /* a name takes five bytes at least */
    size_t count = 0, i, k;
    for (i = 0; i < names->count && !a->full; i++) {
        hotel_string name = hoteli_name_at(names, i);
        for (k = 0; name.size && k < count; k++) {
            hotel_string other = hoteli_name_at(names, unique[k]);
            if (other.size == name.size && memcmp(other.text, name.text, name.size) == 0) break;
        }
        if (!name.size || k < count) continue;
        hoteli_check_text(names->key, name.text, name.size);
        hoteli_array_add(a, name.text, name.size);
        unique[count++] = (uint32_t)i;
    }
}

/* A time as Python's isoformat writes it: microseconds, unless there are none. */
static void hoteli_array_time(hoteli_array *a, int64_t unix_ns) {
    char words[48];
    hoteli_text text;
    int64_t second = unix_ns / 1000000000, rest = unix_ns % 1000000000;
    uint64_t micros = (uint64_t)(rest < 0 ? rest + 1000000000 : rest) / 1000, scale;
    if (rest < 0) second--;
    hoteli_text_start(&text, words, sizeof words);
    hoteli_say_date(&text, second, "T");
    if (micros) {
        hoteli_say(&text, ".");
        for (scale = 100000; scale; scale /= 10)
            hoteli_say_uint(&text, micros / scale % 10);
    }
    hoteli_say(&text, "+00:00");
    hoteli_array_add(a, words, text.size);
}

static void hoteli_schedule_fields(hoteli_fields *f, const hotel_schedule *s, hoteli_array *a) {
    size_t i;
    hoteli_fields_start(f);
    HOTELI_FIELD(f, s, WORKFLOW_NAME, workflow_name);
    for (i = 0; s->run_at_unix_ns && i < s->num_run_at && !a->full; i++)
        hoteli_array_time(a, s->run_at_unix_ns[i]);
    hoteli_array_put(a, f, HOTEL_HATCHET_RUN_AT_TIMESTAMPS);
    HOTELI_FIELD(f, s, PAYLOAD, payload);
    HOTELI_FIELD(f, s, PARENT_ID, parent_id);
    HOTELI_FIELD(f, s, PARENT_STEP_RUN_ID, parent_step_run_id);
    hoteli_put_int(f, HOTEL_HATCHET_CHILD_INDEX, s->child_index);
    HOTELI_FIELD(f, s, CHILD_KEY, child_key);
    HOTELI_FIELD(f, s, NAMESPACE, namespace_name);
    HOTELI_FIELD(f, s, ADDITIONAL_METADATA, additional_metadata);
    hoteli_put_int(f, HOTEL_HATCHET_PRIORITY, s->priority);
}

static void hoteli_event_fields(hoteli_fields *f, const hotel_hatchet_event *e) {
    hoteli_fields_start(f);
    HOTELI_FIELD(f, e, EVENT_KEY, event_key);
    HOTELI_FIELD(f, e, PAYLOAD, payload);
    HOTELI_FIELD(f, e, ADDITIONAL_METADATA, additional_metadata);
    hoteli_put_int(f, HOTEL_HATCHET_PRIORITY, e->priority);
    HOTELI_FIELD(f, e, SCOPE, scope);
}

static void hoteli_wait_fields(hoteli_fields *f, const hotel_wait *w) {
    const hotel_context *context = w->task ? &w->task->context : hoteli_top(&hoteli_t);
    hoteli_fields_start(f);
    if (w->step_run_id) HOTELI_FIELD(f, w, STEP_RUN_ID, step_run_id);
    else if (context && hoteli_block_ids(context->values, &f->ids) && f->ids.step_run_size)
        hoteli_put_text(f, HOTEL_HATCHET_STEP_RUN_ID, f->ids.step_run, f->ids.step_run_size);
    HOTELI_FIELD(f, w, SIGNAL_KEY, signal_key);
    hoteli_put_int(f, HOTEL_HATCHET_NUM_CONDITIONS, w->num_conditions);
}

/* Starts the span of an operation. parent NULL: the current context. */
static hotel_span hoteli_start_operation(const char *name, hotel_kind kind,
                                         const hotel_attr *list, size_t count,
                                         const hotel_context *parent) {
    hotel_start_options options;
    memset((void *)&options, 0, sizeof options);
    options.kind = kind;
    options.attributes = list;
    options.num_attributes = count;
    options.tracer = hoteli_hatchet_tracer();
    options.parent = parent;
    return hotel_start_with(name, &options);
}

static HOTELI_COLD void hoteli_rejected(hotel_log_id id) {
    hoteli_count(&hoteli_g.rejected_parents, 1);
    hoteli_log_later(id);
}

/* A canonical tracestate as a block, cut if it is long (WT-12). */
static hotel_block hoteli_state_block(char *state, size_t size) {
    hotel_block block = {0, 0};
    size_t most = HOTELI_GET(hoteli_g.max_span_bytes);
    hoteli_cursor c;
    size = hoteli_tracestate_shrink(state, size, HOTELI_MIN(most, HOTELI_STATE_SIZE));
    if (!size) return block;
    block = hoteli_block_new(size, &c);
    if (!block.index) {
        hoteli_count(&hoteli_g.limited, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return block;
    }
    hoteli_write(&c, state, size);
    hoteli_block_ready(&block);
    return block;
}

/* A tracestate as a block; a malformed one is left out (WT-08). */
static HOTELI_COLD hotel_block hoteli_extract_state(const char *state, size_t state_size) {
    hotel_block block = {0, 0};
    char text[4096];
    size_t size = 0;
    if (!hoteli_here()) return block;
    if (!hoteli_tracestate_normalise(state, state_size, text, sizeof text, &size)) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
        return block;
    }
    return hoteli_state_block(text, size);
}

/* Replaces the span of a context by a remote parent. What is absent or malformed changes
   nothing; false: it was malformed. */
static inline bool hoteli_extract(hotel_context *context, const char *parent, size_t parent_size,
                                  const char *state, size_t state_size) {
    if (!parent || !parent_size) return true;
    if (!hoteli_traceparent_parse(parent, parent_size, &context->span.context)) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
        return false;
    }
    context->span.record = context->span.generation = context->span.epoch = 0;
    if (state && state_size)
        context->span.context.trace_state = hoteli_extract_state(state, state_size);
    return true;
}

/* The same with the parent that a run's metadata names. */
static bool hoteli_extract_json(hotel_context *context, const char *json, size_t size) {
    char parent[256], state[4096];
    size_t parent_size = 0, state_size = 0;
    int found;
    if (!json || !size) return true;
    found = hoteli_json_find(json, size, "traceparent", parent, sizeof parent, &parent_size);
    if (found == 0) return true;
    if (found < 0) {
        hoteli_rejected(found == -3 ? HOTEL_LOG_ID_BAD_TRACEPARENT : HOTEL_LOG_ID_BAD_METADATA);
        return false;
    }
    if (hoteli_json_find(json, size, "tracestate", state, sizeof state, &state_size) != 1)
        state_size = 0;
    return hoteli_extract(context, parent, parent_size, state, state_size);
}

/* Takes a reference out of a task that another thread may be ending too. */
static hotel_block hoteli_take_block(hotel_block *from) {
    hotel_block taken;
    taken.index = __atomic_exchange_n(&from->index, 0, __ATOMIC_RELAXED);
    taken.generation = from->generation;
    return taken;
}

/* The task that a block of values belongs to ends now: false if it had, by a copy of it. Where the
   task's context is still current it reads as detached from now on. */
static bool hoteli_block_finish(hotel_block values) {
    hoteli_word *word;
    uintptr_t state;
    if (values.index > hoteli_g.num_chunks) return false;
    word = &hoteli_chunk_at(values.index)->state;
    state = hoteli_load(word);
    do {
        if ((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != values.generation ||
            !(state & HOTELI_COUNT) || (state & HOTELI_OWNED))
            return false;
    } while (!hoteli_cas(word, &state, state | HOTELI_OWNED));
    (void)hoteli_block_drop(values);
    return true;
}

static void hoteli_task_end(hotel_task *task) {
    hotel_token token = task->token;
    hotel_block state = hoteli_take_block(&task->context.span.context.trace_state);
    hotel_block baggage = hoteli_take_block(&task->context.baggage);
    hotel_block entries = hoteli_take_block(&task->context.entries);
    hotel_block values = hoteli_take_block(&task->context.values);
    hoteli_thread *t = &hoteli_t;
    hoteli_end(&task->span, 0);
    if (!values.index || hoteli_block_finish(values)) {
        (void)hoteli_block_drop(state);
        (void)hoteli_block_drop(baggage);
        (void)hoteli_block_drop(entries);
    }
    if (!token.depth || t->depth < token.depth || token.depth > HATCHET_OTEL_MAX_ATTACHED ||
        t->slots[token.depth - 1].serial != token.serial)
        return;
    /* Below others, of tasks that began later, it is skipped and trimmed when it comes up. */
    if (t->depth == token.depth || !values.index) (void)hoteli_detach(token);
}

/* ==== [SECTION 55] BAGGAGE AND VALUES OF CONTEXTS ========================================== */

/* An entry, in a working copy as in a block: three sizes, then name, value and metadata, each with
   a NUL behind it. */
#define HOTELI_ENTRY_HEAD 12u
#define HOTELI_ENTRY_FRAME (HOTELI_ENTRY_HEAD + 3u)

#define HOTELI_MAX_KEYS 32u

/* The sizes at the cursor and the bytes of the whole entry; false at the end, and where somebody
   has written over them. */
static bool hoteli_entry_head(hoteli_cursor *c, size_t left, uint32_t sizes[3], size_t *whole) {
    size_t room, i;
    if (left < HOTELI_ENTRY_FRAME) return false;
    hoteli_read(c, sizes, HOTELI_ENTRY_HEAD);
    room = left - HOTELI_ENTRY_FRAME;
    for (i = 0; i < 3; i++) {
        if (sizes[i] > room) return false;
        room -= sizes[i];
    }
    *whole = left - room;
    return true;
}

static bool hoteli_entry_at(const hotel_baggage *b, size_t at, hotel_baggage_entry *out,
                            size_t *whole) {
    const char *text = (const char *)b->memory;
    uint32_t sizes[3];
    hoteli_cursor c;
    if (!text || b->size > b->capacity || at >= b->size) return false;
    c = hoteli_cursor_flat((const uint8_t *)b->memory + at, b->size - at);
    if (!hoteli_entry_head(&c, b->size - at, sizes, whole)) return false;
    text += at + HOTELI_ENTRY_HEAD;
    out->name.text = text;
    out->name.size = sizes[0];
    text += sizes[0] + 1;
    out->value.text = text;
    out->value.size = sizes[1];
    text += sizes[1] + 1;
    out->metadata.text = text;
    out->metadata.size = sizes[2];
    return true;
}

/* Finds the entry of a name and where it is. */
static bool hoteli_baggage_where(const hotel_baggage *b, hotel_string name,
                                 hotel_baggage_entry *out, size_t *at, size_t *whole) {
    for (*at = 0; hoteli_entry_at(b, *at, out, whole); *at += *whole) {
        if (out->name.size == name.size && name.size &&
            memcmp(out->name.text, name.text, name.size) == 0)
            return true;
    }
    return false;
}

static void hoteli_baggage_cut(hotel_baggage *b, size_t at, size_t whole) {
    uint8_t *bytes = (uint8_t *)b->memory;
    memmove(bytes + at, bytes + at + whole, b->size - at - whole);
    b->size -= whole;
    b->count--;
}

/* Place for value and metadata of an entry behind the others, which becomes one of them by
   hoteli_baggage_close; NULL: no room. */
static char *hoteli_baggage_open(hotel_baggage *b, hotel_string name, size_t value_size,
                                 size_t metadata_size) {
    size_t room = b->memory && b->size <= b->capacity ? b->capacity - b->size : 0;
    uint32_t sizes[3];
    char *at;
    room = HOTELI_MIN(room, (size_t)UINT32_MAX);
    if (room < HOTELI_ENTRY_FRAME || name.size > room - HOTELI_ENTRY_FRAME) return NULL;
    room -= HOTELI_ENTRY_FRAME + name.size;
    if (value_size > room || metadata_size > room - value_size) return NULL;
    sizes[0] = (uint32_t)name.size;
    sizes[1] = (uint32_t)value_size;
    sizes[2] = (uint32_t)metadata_size;
    at = (char *)b->memory + b->size;
    memcpy(at, sizes, HOTELI_ENTRY_HEAD);
    at += HOTELI_ENTRY_HEAD;
    memcpy(at, name.text, name.size);
    at += name.size;
    *at++ = 0;
    at[value_size] = 0;
    at[value_size + 1 + metadata_size] = 0;
    return at;
}

/* The new entry is complete; one of the same name goes (WB-07). */
static void hoteli_baggage_close(hotel_baggage *b, hotel_string name, size_t value_size,
                                 size_t metadata_size) {
    hotel_baggage_entry entry;
    size_t at, whole;
    bool old = hoteli_baggage_where(b, name, &entry, &at, &whole);
    b->size += HOTELI_ENTRY_FRAME + name.size + value_size + metadata_size;
    b->count++;
    if (old) hoteli_baggage_cut(b, at, whole);
}

/* What a value consists of on the wire: printable ASCII without blank " , ; \ (WB-01). */
static bool hoteli_is_octet(char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool hoteli_are_octets(const char *text, size_t size) {
    size_t i = 0;
    while (i < size && hoteli_is_octet(text[i])) i++;
    return i == size;
}

/* Properties "k=v;k" without the blanks around their parts, empty ones left out (WB-04, WB-05);
   nothing is decoded. false: one of them is malformed. */
static bool hoteli_properties(hoteli_sink *sink, const char *text, size_t size) {
    const char *end = size ? text + size : text;
    size_t start = sink->size;
    while (text != end) {
        const char *key = text, *value;
        size_t key_size = (size_t)(end - text), value_size = 0;
        const char *mark = (const char *)memchr(text, ';', key_size);
        if (mark) key_size = (size_t)(mark - text);
        text = mark ? mark + 1 : end;
        hoteli_trim(&key, &key_size);
        if (!key_size) continue;
        mark = (const char *)memchr(key, '=', key_size);
        value = mark ? mark + 1 : key;
        if (mark) {
            value_size = key_size - (size_t)(value - key);
            key_size = (size_t)(mark - key);
        }
        hoteli_trim(&key, &key_size);
        hoteli_trim(&value, &value_size);
        if (!hoteli_is_token(key, key_size) || !hoteli_are_octets(value, value_size)) return false;
        if (sink->size > start) hoteli_sink_put(sink, ";", 1);
        hoteli_sink_put(sink, key, key_size);
        if (mark) hoteli_sink_put(sink, "=", 1);
        hoteli_sink_put(sink, value, value_size);
    }
    return true;
}

/* One character of an encoded value: its bytes, U+FFFD for a byte that belongs to none (WB-02). */
static size_t hoteli_decode_char(const char **cursor, const char *end, char out[4]) {
    const char *behind[4], *p = *cursor;
    size_t n = 0, size;
    while (n < 4 && p != end) {
        int high = end - p > 2 && *p == '%' ? hoteli_hex_digit(p[1]) : -1;
        int low = high >= 0 ? hoteli_hex_digit(p[2]) : -1;
        out[n] = low >= 0 ? (char)(high * 16 + low) : *p;
        p += low >= 0 ? 3 : 1;
        behind[n++] = p;
    }
    size = hoteli_utf8_sequence(out, n);
    *cursor = behind[size ? size - 1 : 0];
    if (size) return size;
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

static void hoteli_decode(hoteli_sink *sink, const char *text, size_t size) {
    const char *end = size ? text + size : text;
    char piece[4];
    while (text != end) {
        size_t n = hoteli_decode_char(&text, end, piece);
        hoteli_sink_put(sink, piece, n);
    }
}

enum { HOTELI_TAKEN, HOTELI_MALFORMED, HOTELI_NO_ROOM };

/* One member of a header, blanks around it trimmed. */
static int hoteli_baggage_member(hotel_baggage *b, const char *member, size_t size) {
    const char *semicolon = (const char *)memchr(member, ';', size), *equals;
    const char *properties = semicolon ? semicolon + 1 : member + size, *value;
    size_t properties_size = (size_t)(member + size - properties), value_size;
    hoteli_sink decoded = {NULL, 0}, metadata = {NULL, 0};
    hotel_string name;
    if (semicolon) size = (size_t)(semicolon - member);
    equals = (const char *)memchr(member, '=', size);
    if (!equals) return HOTELI_MALFORMED;
    name.text = member;
    name.size = (size_t)(equals - member);
    value = equals + 1;
    value_size = size - name.size - 1;
    hoteli_trim(&name.text, &name.size);
    hoteli_trim(&value, &value_size);
    if (!hoteli_is_token(name.text, name.size) || !hoteli_are_octets(value, value_size) ||
        !hoteli_properties(&metadata, properties, properties_size))
        return HOTELI_MALFORMED;
    hoteli_decode(&decoded, value, value_size);
    decoded.out = hoteli_baggage_open(b, name, decoded.size, metadata.size);
    if (!decoded.out) return HOTELI_NO_ROOM;
    metadata.out = decoded.out + decoded.size + 1;
    decoded.size = metadata.size = 0;
    hoteli_decode(&decoded, value, value_size);
    (void)hoteli_properties(&metadata, properties, properties_size);
    hoteli_baggage_close(b, name, decoded.size, metadata.size);
    return HOTELI_TAKEN;
}

/* The entry whose sizes were read as a member of a header, written or (text NULL) only measured.
   0: its name cannot be sent. A plus is encoded, too: some read it as a blank. */
static size_t hoteli_write_member(hoteli_cursor c, const uint32_t sizes[3], hoteli_text *text) {
    static const char digits[] = "0123456789ABCDEF";
    hoteli_text counted;
    size_t start;
    uint32_t i;
    hoteli_text_start(&counted, NULL, 0);
    if (!text) text = &counted;
    start = text->size;
    for (i = 0; i < sizes[0]; i++) {
        char byte = (char)hoteli_read_byte(&c);
        if (!hoteli_is_token(&byte, 1)) return 0;
        hoteli_say_n(text, &byte, 1);
    }
    if (!sizes[0]) return 0;
    (void)hoteli_read_byte(&c);
    hoteli_say_n(text, "=", 1);
    for (i = 0; i < sizes[1]; i++) {
        unsigned byte = hoteli_read_byte(&c);
        char piece[3];
        piece[0] = (char)byte;
        if (hoteli_is_octet(piece[0]) && byte != '%' && byte != '+') {
            hoteli_say_n(text, piece, 1);
            continue;
        }
        piece[0] = '%';
        piece[1] = digits[byte >> 4];
        piece[2] = digits[byte & 15];
        hoteli_say_n(text, piece, 3);
    }
    (void)hoteli_read_byte(&c);
    if (sizes[2]) hoteli_say_n(text, ";", 1);
    for (i = 0; i < sizes[2]; i++) {
        char byte = (char)hoteli_read_byte(&c);
        hoteli_say_n(text, &byte, 1);
    }
    return text->size - start;
}

/* The header of the entries at the cursor (WB-06); *skipped are those that are not in it. */
static size_t hoteli_write_baggage(hoteli_cursor from, size_t left, char *out, size_t capacity,
                                   size_t *skipped) {
    size_t members = 0, whole;
    uint32_t sizes[3];
    hoteli_text text;
    hoteli_text_start(&text, out, capacity);
    *skipped = 0;
    for (; hoteli_entry_head(&from, left, sizes, &whole); left -= whole) {
        size_t size = hoteli_write_member(from, sizes, NULL);
        if (size && members < HOTEL_BAGGAGE_MEMBERS &&
            text.size + (members > 0) + size < HOTEL_BAGGAGE_HEADER_SIZE) {
            if (members++) hoteli_say_n(&text, ",", 1);
            (void)hoteli_write_member(from, sizes, &text);
        } else {
            ++*skipped;
        }
        hoteli_read(&from, NULL, whole - HOTELI_ENTRY_HEAD);
    }
    return text.size;
}

static HOTELI_COLD void hoteli_baggage_lost(hoteli_word *count, size_t entries) {
    if (!entries) return;
    hoteli_count(count, entries);
    hoteli_log_later(HOTEL_LOG_ID_BAD_BAGGAGE);
}

static HOTELI_COLD void hoteli_context_full(size_t entries) {
    hoteli_count(&hoteli_g.limited, entries);
    hoteli_log_later(HOTEL_LOG_ID_CONTEXT_FULL);
}

/* A block of those bytes; index 0: no room. */
static hotel_block hoteli_block_of_bytes(const void *bytes, size_t size) {
    hotel_block block = {0, 0};
    hoteli_cursor c;
    if (!hoteli_here()) return block;
    block = hoteli_block_new(size, &c);
    if (!block.index) return block;
    hoteli_write(&c, bytes, size);
    hoteli_block_ready(&block);
    return block;
}

/* A copy of the first entries that a block may hold. */
static hotel_block hoteli_baggage_block(const hotel_baggage *b) {
    size_t most = HOTELI_GET(hoteli_g.max_span_bytes), size = 0, count = 0, whole;
    hotel_block block = {0, 0};
    hotel_baggage_entry entry;
    while (hoteli_entry_at(b, size, &entry, &whole) && whole <= most - size) {
        size += whole;
        count++;
    }
    if (size) block = hoteli_block_of_bytes(b->memory, size);
    if (!block.index) count = 0;
    if (count < b->count) hoteli_context_full(b->count - count);
    return block;
}

/* Replaces the baggage of a context that is held; without room it stays as it is. */
static void hoteli_put_baggage(hotel_context *held, const hotel_baggage *b) {
    hotel_block block = hoteli_baggage_block(b);
    if (!block.index) return;
    hoteli_give_back(&held->baggage);
    held->baggage = block;
}

/* Copies the entries of a block as far as they find room. */
static void hoteli_baggage_read(hotel_block block, hotel_baggage *out) {
    hoteli_cursor c = hoteli_block_cursor(block.index);
    size_t left = hoteli_block_at(block.index)->size, whole;
    uint32_t sizes[3];
    for (; hoteli_entry_head(&c, left, sizes, &whole); left -= whole) {
        uint8_t *at = (uint8_t *)out->memory + out->size;
        if (whole > out->capacity - out->size) {
            out->dropped++;
            hoteli_read(&c, NULL, whole - HOTELI_ENTRY_HEAD);
            continue;
        }
        memcpy(at, sizes, HOTELI_ENTRY_HEAD);
        hoteli_read(&c, at + HOTELI_ENTRY_HEAD, whole - HOTELI_ENTRY_HEAD);
        out->size += whole;
        out->count++;
    }
}

/* A value under a key in a block of entries. */
typedef struct hoteli_slot_value {
    uintptr_t value;
    uint32_t key;
} hoteli_slot_value;

/* The entries of a block, at most HOTELI_MAX_KEYS; the caller holds it. */
static size_t hoteli_entries_read(hotel_block block, hoteli_slot_value *out) {
    hoteli_cursor c;
    size_t size;
    if (!block.index) return 0;
    c = hoteli_block_cursor(block.index);
    size = hoteli_block_at(block.index)->size;
    size = HOTELI_MIN(size, HOTELI_MAX_KEYS * sizeof *out);
    hoteli_read(&c, out, size);
    return size / sizeof *out;
}

/* ==== [SECTION 56] PROPAGATORS ============================================================= */

#if defined(__APPLE__)
#include <crt_externs.h>
#else
extern char **environ;
#endif

/* A built-in propagator is a list of these, four bits each, the first the lowest. */
enum {
    HOTELI_TRACECONTEXT = 1,
    HOTELI_BAGGAGE = 2,
    HOTELI_B3 = 3,
    HOTELI_B3MULTI = 4
};
#define HOTELI_PROPAGATOR_BITS 4

/* In hotel_span_context.reserved[0]: B3 asked for debugging, and so do the requests from here. */
#define HOTELI_B3_DEBUG 1u

/* More values than this under one name are not looked at. */
#define HOTELI_MAX_REPEATS 64u

/* The index-th value. A getter that gives one value again and again has one. */
static hotel_string hoteli_get(const hotel_getter *getter, const void *carrier, const char *key,
                               size_t index, const char *before) {
    hotel_string value = {NULL, 0};
    if (index < HOTELI_MAX_REPEATS) value = getter->get_fn(carrier, key, index);
    if (value.text == before) value.text = NULL;
    if (!value.text) value.size = 0;
    return value;
}

static void hoteli_block_replaced(hotel_block old, hotel_block now) {
    if (old.index && (old.index != now.index || old.generation != now.generation))
        (void)hoteli_block_drop(old);
}

static void hoteli_inject_trace(const hotel_context *context, const hotel_setter *setter,
                                void *carrier) {
    char parent[HOTEL_TRACEPARENT_SIZE], state[HOTELI_STATE_SIZE + 1];
    size_t size;
    if (!hotel_traceparent(&context->span, parent)) return;
    setter->set_fn(carrier, "traceparent", parent);
    size = hotel_tracestate(&context->span, state, sizeof state);
    if (size && size < sizeof state) setter->set_fn(carrier, "tracestate", state);
}

/* Several tracestate headers are one list (WT-01). */
static HOTELI_COLD void hoteli_extract_joined(hotel_context *context, hotel_string parent,
                                              const hotel_getter *getter, const void *carrier) {
    hotel_string value = {NULL, 0};
    char state[4096];
    hoteli_text text;
    size_t i;
    hoteli_text_start(&text, state, sizeof state);
    for (i = 0; (value = hoteli_get(getter, carrier, "tracestate", i, value.text)).text; i++) {
        if (i) hoteli_say_n(&text, ",", 1);
        hoteli_say_n(&text, value.text, value.size);
    }
    if (text.size >= sizeof state) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
        text.size = 0;
    }
    (void)hoteli_extract(context, parent.text, parent.size, state, text.size);
}

static void hoteli_extract_trace(hotel_context *context, const hotel_getter *getter,
                                 const void *carrier) {
    hotel_string parent = hoteli_get(getter, carrier, "traceparent", 0, NULL), again, state;
    hotel_block replaced = context->span.context.trace_state;
    size_t i;
    if (!parent.text) return;
    again = parent;
    hoteli_trim(&parent.text, &parent.size);
    for (i = 1; (again = hoteli_get(getter, carrier, "traceparent", i, again.text)).text; i++) {
        hotel_string other = again;
        hoteli_trim(&other.text, &other.size);
        if (other.size != parent.size || memcmp(other.text, parent.text, parent.size) != 0) {
            hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
            return;
        }
    }
    state = hoteli_get(getter, carrier, "tracestate", 0, NULL);
    if (state.text && hoteli_get(getter, carrier, "tracestate", 1, state.text).text)
        hoteli_extract_joined(context, parent, getter, carrier);
    else
        (void)hoteli_extract(context, parent.text, parent.size, state.text, state.size);
    hoteli_block_replaced(replaced, context->span.context.trace_state);
}

static HOTELI_COLD void hoteli_inject_baggage(const hotel_context *context,
                                              const hotel_setter *setter, void *carrier) {
    char header[HOTEL_BAGGAGE_HEADER_SIZE];
    hotel_block block = context->baggage;
    size_t size, skipped;
    if (!hoteli_block_hold(block)) {
        hoteli_stale();
        return;
    }
    size = hoteli_write_baggage(hoteli_block_cursor(block.index),
                                hoteli_block_at(block.index)->size, header, sizeof header,
                                &skipped);
    (void)hoteli_block_drop(block);
    hoteli_baggage_lost(&hoteli_g.limited, skipped);
    if (size) setter->set_fn(carrier, "baggage", header);
}

static HOTELI_COLD void hoteli_extract_baggage(hotel_context *context, const hotel_getter *getter,
                                               const void *carrier, hotel_string value) {
    char memory[HOTEL_BAGGAGE_BYTES];
    hotel_baggage found;
    size_t i;
    hotel_baggage_start(&found, memory, sizeof memory);
    for (i = 1; value.text; i++) {
        (void)hotel_baggage_parse(&found, value.text, value.size);
        value = hoteli_get(getter, carrier, "baggage", i, value.text);
    }
    hoteli_baggage_lost(&hoteli_g.rejected_parents, found.dropped);
    if (found.count) hoteli_put_baggage(context, &found);
}

/* Hex digits of either case as that many bytes. */
static bool hoteli_hex_bytes(const char *text, uint8_t *out, size_t bytes) {
    size_t i;
    for (i = 0; i < bytes; i++) {
        int high = hoteli_hex_digit(text[2 * i]), low = hoteli_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* The IDs of B3; a trace ID of 16 digits is the lower half of one. */
static bool hoteli_b3_ids(hotel_string trace, hotel_string span, hotel_span_context *out) {
    size_t bytes = trace.size / 2;
    memset(out, 0, sizeof *out);
    if ((trace.size != 16 && trace.size != 32) || span.size != 16) return false;
    if (!hoteli_hex_bytes(trace.text, out->trace_id + 16 - bytes, bytes) ||
        !hoteli_hex_bytes(span.text, out->span_id, 8))
        return false;
    out->is_remote = true;
    return hoteli_valid_ids(out);
}

/* The decision of B3. What is missing leaves it to others, which means not sampled here. */
static bool hoteli_b3_decide(hotel_string state, hotel_span_context *out) {
    if (state.size == 0 || (state.size == 1 && *state.text == '0') ||
        hoteli_is_word(state.text, state.size, "false"))
        return true;
    if (state.size == 1 && *state.text == 'd') out->reserved[0] = HOTELI_B3_DEBUG;
    else if (!(state.size == 1 && *state.text == '1') &&
             !hoteli_is_word(state.text, state.size, "true"))
        return false;
    out->trace_flags = HOTEL_FLAG_SAMPLED;
    return true;
}

/* {trace}-{span}[-{state}[-{parent}]]. A decision without IDs begins no trace here. */
static bool hoteli_b3_parse(const char *text, size_t size, hotel_span_context *out) {
    hotel_string parts[5];
    uint8_t parent[8];
    size_t count = 0;
    memset(parts, 0, sizeof parts);
    for (;;) {
        const char *dash = (const char *)memchr(text, '-', size);
        parts[count].text = text;
        parts[count].size = dash ? (size_t)(dash - text) : size;
        if (!dash || count == 4) break;
        size -= parts[count++].size + 1;
        text = dash + 1;
    }
    if (count < 1 || count > 3 || (count > 1 && parts[2].size != 1) ||
        !hoteli_b3_ids(parts[0], parts[1], out) || !hoteli_b3_decide(parts[2], out))
        return false;
    return count < 3 || (parts[3].size == 16 && hoteli_hex_bytes(parts[3].text, parent, 8));
}

static bool hoteli_b3_multi(const hotel_getter *getter, const void *carrier,
                            hotel_span_context *out) {
    static const char *const keys[] = {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled",
                                       "x-b3-flags"};
    hotel_string values[4];
    size_t i;
    for (i = 0; i < 4; i++) {
        values[i] = hoteli_get(getter, carrier, keys[i], 0, NULL);
        if (values[i].text) hoteli_trim(&values[i].text, &values[i].size);
    }
    if (!values[0].text) return false;
    if (values[3].size == 1 && *values[3].text == '1') {
        values[2].text = "d";
        values[2].size = 1;
    } else if (values[2].size == 1 && *values[2].text == 'd') {
        values[2].text = "1";
    }
    if (hoteli_b3_ids(values[0], values[1], out) && hoteli_b3_decide(values[2], out)) return true;
    hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
    return false;
}

static void hoteli_extract_b3(hotel_context *context, const hotel_getter *getter,
                              const void *carrier) {
    hotel_string single = hoteli_get(getter, carrier, "b3", 0, NULL);
    hotel_span span;
    memset(&span, 0, sizeof span);
    if (single.text) hoteli_trim(&single.text, &single.size);
    if (single.size == 1 && memchr("01d", *single.text, 3)) single.text = NULL; /* no IDs */
    if (single.text && !hoteli_b3_parse(single.text, single.size, &span.context)) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
        single.text = NULL;
    }
    if (single.text || hoteli_b3_multi(getter, carrier, &span.context))
        hotel_context_put_span(context, &span);
}

static void hoteli_inject_b3(const hotel_context *context, const hotel_setter *setter,
                             void *carrier, bool multi) {
    const hotel_span_context *from = &context->span.context;
    bool debug = (from->reserved[0] & HOTELI_B3_DEBUG) != 0;
    char text[32 + 1 + 16 + 1 + 1 + 1];
    if (!hoteli_valid_ids(from)) return;
    hotel_trace_id_hex(from, text);
    hotel_span_id_hex(from, text + 33);
    text[50] = debug ? 'd' : from->trace_flags & HOTEL_FLAG_SAMPLED ? '1' : '0';
    text[51] = 0;
    if (multi) {
        setter->set_fn(carrier, "x-b3-traceid", text);
        setter->set_fn(carrier, "x-b3-spanid", text + 33);
        setter->set_fn(carrier, debug ? "x-b3-flags" : "x-b3-sampled", debug ? "1" : text + 50);
    } else {
        text[32] = text[49] = '-';
        setter->set_fn(carrier, "b3", text);
    }
}

static void hoteli_builtin_inject(const hotel_context *context, const hotel_setter *setter,
                                  void *carrier, void *user_data) {
    uintptr_t list = (uintptr_t)user_data;
    for (; list; list >>= HOTELI_PROPAGATOR_BITS) {
        switch (list & 15) {
        case HOTELI_TRACECONTEXT: hoteli_inject_trace(context, setter, carrier); break;
        case HOTELI_BAGGAGE:
            if (context->baggage.index) hoteli_inject_baggage(context, setter, carrier);
            break;
        default: hoteli_inject_b3(context, setter, carrier, (list & 15) == HOTELI_B3MULTI);
        }
    }
}

static void hoteli_builtin_extract(hotel_context *context, const hotel_getter *getter,
                                   const void *carrier, void *user_data) {
    uintptr_t list = (uintptr_t)user_data;
    hotel_string value;
    for (; list; list >>= HOTELI_PROPAGATOR_BITS) {
        switch (list & 15) {
        case HOTELI_TRACECONTEXT: hoteli_extract_trace(context, getter, carrier); break;
        case HOTELI_BAGGAGE:
            value = hoteli_get(getter, carrier, "baggage", 0, NULL);
            if (value.text) hoteli_extract_baggage(context, getter, carrier, value);
            break;
        default: hoteli_extract_b3(context, getter, carrier);
        }
    }
}

static const char *hoteli_builtin_field(size_t index, void *user_data) {
    static const char *const fields[][5] = {{NULL, NULL, NULL, NULL, NULL},
                                            {"traceparent", "tracestate", NULL, NULL, NULL},
                                            {"baggage", NULL, NULL, NULL, NULL},
                                            {"b3", NULL, NULL, NULL, NULL},
                                            {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled",
                                             "x-b3-flags", NULL}};
    uintptr_t list = (uintptr_t)user_data;
    for (; list; list >>= HOTELI_PROPAGATOR_BITS) {
        const char *const *field = fields[list & 15];
        for (; *field; field++)
            if (!index--) return *field;
    }
    return NULL;
}

static hotel_propagator hoteli_builtin(uintptr_t list) {
    hotel_propagator made;
    memset((void *)&made, 0, sizeof made);
    made.inject_fn = hoteli_builtin_inject;
    made.extract_fn = hoteli_builtin_extract;
    made.field_fn = hoteli_builtin_field;
    made.user_data = (void *)list;
    return made;
}

static void hoteli_composite_inject(const hotel_context *context, const hotel_setter *setter,
                                    void *carrier, void *user_data) {
    const hotel_propagator_list *list = (const hotel_propagator_list *)user_data;
    size_t i;
    for (i = 0; i < list->count; i++) {
        const hotel_propagator *part = &list->parts[i];
        if (part->inject_fn) part->inject_fn(context, setter, carrier, part->user_data);
    }
}

static void hoteli_composite_extract(hotel_context *context, const hotel_getter *getter,
                                     const void *carrier, void *user_data) {
    const hotel_propagator_list *list = (const hotel_propagator_list *)user_data;
    size_t i;
    for (i = 0; i < list->count; i++) {
        const hotel_propagator *part = &list->parts[i];
        if (part->extract_fn) part->extract_fn(context, getter, carrier, part->user_data);
    }
}

static const char *hoteli_composite_field(size_t index, void *user_data) {
    const hotel_propagator_list *list = (const hotel_propagator_list *)user_data;
    size_t i, k;
    for (i = 0; i < list->count; i++) {
        const char *field;
        for (k = 0; (field = hotel_propagator_field(&list->parts[i], k)) != NULL; k++)
            if (!index--) return field;
    }
    return NULL;
}

/* The global propagator as one piece, without waiting, while others may set it: a slot changes only
   after the turn has passed on. */
static hotel_propagator hoteli_global(void) {
    uint32_t turn, again = hoteli_flag_load(&hoteli_g.propagator_turn);
    hotel_propagator now;
    do {
        const hotel_propagator *slot = &hoteli_g.propagators[again & 1];
        turn = again;
        now.inject_fn = __atomic_load_n(&slot->inject_fn, __ATOMIC_ACQUIRE);
        now.extract_fn = __atomic_load_n(&slot->extract_fn, __ATOMIC_ACQUIRE);
        now.field_fn = __atomic_load_n(&slot->field_fn, __ATOMIC_ACQUIRE);
        now.user_data = __atomic_load_n(&slot->user_data, __ATOMIC_ACQUIRE);
        again = hoteli_flag_load(&hoteli_g.propagator_turn);
    } while (again != turn);
    return now;
}

/* by_hand: a hotel_init that is given none leaves it alone. */
static void hoteli_global_set(const hotel_propagator *propagator, bool by_hand) {
    hotel_propagator *slot;
    uint32_t turn;
    hoteli_flag_enter(&hoteli_g.propagator_lock);
    turn = hoteli_flag_load(&hoteli_g.propagator_turn) + 1;
    slot = &hoteli_g.propagators[turn & 1];
    __atomic_store_n(&slot->inject_fn, propagator->inject_fn, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->extract_fn, propagator->extract_fn, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->field_fn, propagator->field_fn, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->user_data, propagator->user_data, __ATOMIC_RELEASE);
    hoteli_flag_store(&hoteli_g.propagator_turn, turn);
    HOTELI_SET(hoteli_g.propagator_chosen, by_hand);
    hoteli_flag_store(&hoteli_g.propagator_lock, 0);
}

/* The built-in propagators that a value of OTEL_PROPAGATORS names, each once (EV-05); what is in it
   beside them is said in *unknown, as "x", "y". *none: it asks for nothing. */
static uintptr_t hoteli_propagators_parse(const char *value, size_t size, hoteli_text *unknown,
                                          bool *none) {
    static const char *const names[] = {"none", "tracecontext", "baggage", "b3", "b3multi"};
    const char *end = value + size;
    uintptr_t list = 0, seen = 0;
    unsigned shift = 0;
    *none = false;
    while (value != end) {
        const char *word = value;
        size_t n = (size_t)(end - value), i;
        const char *comma = (const char *)memchr(value, ',', n);
        if (comma) n = (size_t)(comma - value);
        value = comma ? comma + 1 : end;
        hoteli_trim(&word, &n);
        if (!n) continue;
        for (i = 0; i < 5 && !hoteli_is_word(word, n, names[i]); i++) continue;
        if (i == 5) {
            hoteli_say(unknown, unknown->size ? ", " : "");
            hoteli_say_quoted(unknown, word, n);
        } else if (i == 0) {
            *none = true;
        } else if (!(seen >> i & 1)) {
            seen |= (uintptr_t)1 << i;
            list |= (uintptr_t)i << shift;
            shift += HOTELI_PROPAGATOR_BITS;
        }
    }
    return list;
}

/* Code beats environment beats default; none beside others says nothing (EV-05, WC-05). */
static void hoteli_plan_propagator(const hoteli_setup *s) {
    static const char variable[] = "OTEL_PROPAGATORS";
    const uintptr_t standard = HOTELI_TRACECONTEXT | HOTELI_BAGGAGE << HOTELI_PROPAGATOR_BITS;
    hotel_propagator made;
    const char *value;
    char words[256], problem[320];
    hoteli_text unknown, text;
    uintptr_t list = standard;
    bool none = false;
    if (s->config->propagator) {
        hoteli_global_set(s->config->propagator, false);
        return;
    }
    if (HOTELI_GET(hoteli_g.propagator_chosen)) return;
    value = hoteli_env(s, variable);
    hoteli_text_start(&unknown, words, sizeof words);
    if (value) list = hoteli_propagators_parse(value, strlen(value), &unknown, &none);
    if (unknown.size) {
        hoteli_text_start(&text, problem, sizeof problem);
        hoteli_say(&text, "names what this version does not have: ");
        hoteli_say(&text, words);
        hoteli_bad_variable(variable, value, problem,
                            list || none ? "the others are used" : "tracecontext,baggage is used");
    }
    if (none && list)
        hoteli_bad_variable(variable, value, "names none beside others", "none is ignored");
    if (!list && !none) list = standard;
    made = hoteli_builtin(list);
    hoteli_global_set(&made, false);
}

/* The variables of an environment that is given, or of this process. */
static char *const *hoteli_variables(const void *carrier) {
    if (carrier) return (char *const *)carrier;
#if defined(__APPLE__)
    return *_NSGetEnviron();
#else
    return environ;
#endif
}

/* The value of a variable of that name in "NAME=value", NULL if it is another. */
static const char *hoteli_variable_value(const char *variable, const char *name, size_t size) {
    return strncmp(variable, name, size) == 0 && variable[size] == '=' ? variable + size + 1 : NULL;
}

static hotel_string hoteli_env_get(const void *carrier, const char *key, size_t index) {
    char *const *at = hoteli_variables(carrier);
    hotel_string value = {NULL, 0};
    char name[256];
    size_t size = hotel_env_name(key, name, sizeof name);
    for (; !index && size < sizeof name && at && *at && !value.text; at++)
        value.text = hoteli_variable_value(*at, name, size);
    value.size = hotel_text_size(value.text);
    return value;
}

/* Names that hotel_env_name leaves as they are. */
static hotel_string hoteli_env_keys(const void *carrier, size_t index) {
    char *const *at = hoteli_variables(carrier);
    hotel_string key = {NULL, 0};
    for (; at && *at; at++) {
        size_t i = 0;
        while (((*at)[i] >= 'A' && (*at)[i] <= 'Z') || (*at)[i] == '_' ||
               (i && (*at)[i] >= '0' && (*at)[i] <= '9'))
            i++;
        if (!i || (*at)[i] != '=' || index--) continue;
        key.text = *at;
        key.size = i;
        break;
    }
    return key;
}

/* A variable replaces the one of its name. */
static void hoteli_env_set(void *carrier, const char *key, const char *value) {
    hotel_env *env = (hotel_env *)carrier;
    size_t name_size = hotel_env_name(key, NULL, 0), value_size = strlen(value), room, i;
    char *made;
    if (!env || !env->list || !env->memory) return;
    made = env->memory + env->used_bytes;
    room = env->memory_bytes - env->used_bytes;
    if (name_size >= room || value_size + 1 >= room - name_size) {
        env->dropped++;
        return;
    }
    (void)hotel_env_name(key, made, name_size + 1);
    for (i = 0; i < env->count && !hoteli_variable_value(env->list[i], made, name_size); i++)
        continue;
    if (i == env->count && env->count + 1 >= env->capacity) {
        env->dropped++;
        return;
    }
    made[name_size] = '=';
    memcpy(made + name_size + 1, value, value_size + 1);
    env->list[i] = made;
    env->used_bytes += name_size + 1 + value_size + 1;
    if (i == env->count) env->list[++env->count] = NULL;
}

static hotel_string hoteli_header_get(const void *carrier, const char *key, size_t index) {
    const hotel_headers *headers = (const hotel_headers *)carrier;
    hotel_string value = {NULL, 0};
    size_t i, size = strlen(key);
    for (i = 0; headers && headers->list && i < headers->count; i++) {
        const hotel_header *h = &headers->list[i];
        if (!h->name || !h->value || !hoteli_same_name(h->name, strlen(h->name), key, size) ||
            index--)
            continue;
        value.text = h->value;
        value.size = strlen(h->value);
        break;
    }
    return value;
}

static hotel_string hoteli_header_keys(const void *carrier, size_t index) {
    const hotel_headers *headers = (const hotel_headers *)carrier;
    hotel_string key = {NULL, 0};
    if (headers && headers->list && index < headers->count && headers->list[index].name) {
        key.text = headers->list[index].name;
        key.size = strlen(key.text);
    }
    return key;
}

/* ==== [SECTION 57] PUBLIC FUNCTIONS ======================================================== */

HOTEL_API const char *hotel_result_text(int result) {
    switch (result) {
    case HOTEL_OK: return "success";
    case HOTEL_ERR_TIMEOUT: return "the deadline passed first";
    case HOTEL_ERR_FAILED: return "spans were lost";
    case HOTEL_ERR_NOT_RUNNING: return "not running";
    case HOTEL_ERR_RUNNING: return "already running";
    case HOTEL_ERR_ARGUMENT: return "an argument cannot be used";
    case HOTEL_ERR_HEADER: return "caller and implementation come from different headers";
    case HOTEL_ERR_ENDPOINT: return "an endpoint is malformed or not supported";
    case HOTEL_ERR_TOKEN: return "Hatchet's token, or a setting of its connection, cannot be used";
    case HOTEL_ERR_ORDER: return "contexts were detached in the wrong order";
    case HOTEL_ERR_TLS: return "a certificate or key cannot be used, or TLS is not in this build";
    case HOTEL_ERR_CALLBACK: return "not allowed inside a callback";
    case HOTEL_ERR_MEMORY: return "not enough memory";
    case HOTEL_ERR_SYSTEM: return "the operating system refused";
    default: return "unknown result";
    }
}

HOTEL_API void hotel_log_to_stderr(hotel_log_level level, hotel_log_id id, const char *message,
                                   void *user_data) {
    static const char *const levels[] = {"", "error", "warning", "info", "debug"};
    char line[640];
    hoteli_text text;
    int error = errno;
    (void)id;
    (void)user_data;
    hoteli_text_start(&text, line, sizeof line - 1);
    hoteli_say(&text, "hatchet_otel: ");
    hoteli_say(&text, level >= HOTEL_LOG_ERROR && level <= HOTEL_LOG_DEBUG ? levels[level] : "?");
    hoteli_say(&text, ": ");
    hoteli_say(&text, message);
    text.size = HOTELI_MIN(text.size, sizeof line - 2);
    line[text.size] = '\n';
    if (write(2, line, text.size + 1) < 0) errno = error;
    errno = error;
}

HOTEL_API bool hotel_is_valid(const hotel_span_context *context) {
    return context && hoteli_valid_ids(context);
}

HOTEL_API void hotel_trace_id_hex(const hotel_span_context *context, char out[33]) {
    static const uint8_t zero[16] = {0};
    const uint8_t *id = context ? context->trace_id : zero;
    if (!out) return;
    hoteli_hex_write(out, id);
    hoteli_hex_write(out + 16, id + 8);
    out[32] = 0;
}

HOTEL_API void hotel_span_id_hex(const hotel_span_context *context, char out[17]) {
    static const uint8_t zero[8] = {0};
    if (!out) return;
    hoteli_hex_write(out, context ? context->span_id : zero);
    out[16] = 0;
}

HOTEL_API hotel_span hotel_wrap(const hotel_span_context *context) {
    return hoteli_carrier(context);
}

/* ---- life cycle ---- */

static void hoteli_nudge(void) {
    (void)hoteli_flag_swap(&hoteli_g.nudge, 1);
    hoteli_wake();
}

/* Set-up, shutdown and release exclude each other. */
static void hoteli_life_enter(void) {
    int cancel = hoteli_cancel_hold();
    while (!hoteli_life_try()) hoteli_nap(1);
    hoteli_g.life_cancel = cancel;
}

/* For the shutdown of all: that of one provider, which may be inside, gets no more time. */
static void hoteli_life_enter_by(int64_t until_ms) {
    int cancel = hoteli_cancel_hold();
    while (!hoteli_life_try()) {
        uint32_t i;
        hoteli_lock();
        for (i = 1; i < HOTELI_MAX_PROVIDERS; i++)
            hoteli_g.providers[i].stop_ms = HOTELI_MIN(hoteli_g.providers[i].stop_ms, until_ms);
        hoteli_unlock();
        hoteli_nudge();
        hoteli_nap(1);
    }
    hoteli_g.life_cancel = cancel;
}

static void hoteli_life_leave(void) {
    int cancel = hoteli_g.life_cancel;
    hoteli_flag_store(&hoteli_g.life, 0);
    hoteli_cancel_back(cancel);
}

/* Waits for threads that are in processors which are shut down. */
static bool hoteli_hooks_wait(const hoteli_provider *p, int64_t until_ms) {
    while (__atomic_load_n(&p->inside.bits, __ATOMIC_SEQ_CST)) {
        if (hoteli_now_ms() >= until_ms) return false;
        hoteli_nap(1);
    }
    return true;
}

/* For reading statistics and settings. Inside a callback nothing changes: no need to enter. */
static bool hoteli_reading(void) {
    if (hoteli_t.quiet) return hoteli_epoch() != 0;
    if (!hoteli_here()) return false;
    hoteli_flag_enter(&hoteli_g.shape);
    return true;
}

static void hoteli_reading_over(void) {
    if (!hoteli_t.quiet) hoteli_flag_store(&hoteli_g.shape, 0);
}

static hotel_result hoteli_no_memory(void) {
    hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
               "not enough memory: raise memory_bytes, or lower max_queue_size, max_request_bytes "
               "or max_span_bytes");
    return HOTEL_ERR_MEMORY;
}

/* What the exporter encodes with, and the arena: with the first provider only. */
static bool hoteli_build_common(hoteli_setup *s) {
    hoteli_scratch *scratch = &hoteli_g.scratch;
    if (!hoteli_arena_make(s)) return false;
    memset(scratch, 0, sizeof *scratch);
    scratch->room = hoteli_g.max_span_bytes;
    scratch->bytes[0] = (uint8_t *)hoteli_carve(scratch->room);
    scratch->bytes[1] = (uint8_t *)hoteli_carve(scratch->room);
    scratch->bytes[2] = (uint8_t *)hoteli_carve(HOTELI_STATE_SIZE);
    return scratch->bytes[0] && scratch->bytes[1] && scratch->bytes[2];
}

/* Everything of a provider that needs memory, in the order of hoteli_setup_bytes. */
static hotel_result hoteli_build_all(hoteli_setup *s) {
    hoteli_provider *p = s->provider;
    hotel_tracer_config own;
    uint32_t i;
    hoteli_plan_resource(s);
    if (!hoteli_setup_make(s)) return hoteli_no_memory();
    if (!s->index && !hoteli_build_common(s)) return hoteli_no_memory();
    if (!hoteli_build_resource(s)) return hoteli_no_memory();
    if (s->hooks & HOTELI_ON_END) {
        p->pool = (uint8_t *)hoteli_carve(hoteli_pool_size(hoteli_g.max_span_bytes));
        if (!p->pool) return hoteli_no_memory();
    }
    for (i = 0; i < s->num_drafts; i++) {
        s->built[i] = hoteli_build_destination(&s->drafts[i], &s->plans[i]);
        if (!s->built[i]) return hoteli_no_memory();
    }
    hoteli_lock();
    if (s->index) HOTELI_SET(p->default_scope, HOTELI_NO_SCOPE);
    HOTELI_SET(p->default_scope, hoteli_scope_intern(&s->config->tracer, s->index));
    memset((void *)&own, 0, sizeof own);
    own.name = "hatchet_otel";
    own.version = HOTEL_VERSION_STRING;
    if (!s->index) HOTELI_SET(hoteli_g.hatchet_scope, hoteli_scope_intern(&own, 0));
    i = hoteli_g.num_scopes;
    hoteli_unlock();
    return i && p->default_scope != HOTELI_NO_SCOPE ? HOTEL_OK : hoteli_no_memory();
}

static hotel_result hoteli_build(hoteli_setup *s) {
    hotel_result result = hoteli_build_all(s);
    uint32_t i;
    for (i = 0; result != HOTEL_OK && i < s->num_drafts; i++)
        hoteli_destination_release(s->built[i] ? s->built[i] : &s->drafts[i]);
    return result;
}

/* Gives all memory back. Handles of before carry the old epoch from now on. */
static void hoteli_let_go(void) {
    uint32_t i;
    if (hoteli_g.epoch) __atomic_store_n(hoteli_g.epoch, ++hoteli_g.last_epoch, __ATOMIC_RELEASE);
    hoteli_pipe_close();
    hoteli_drop_destinations();
    hoteli_g.num_configured = 0;
    hoteli_g.num_chunks = hoteli_g.num_scopes = hoteli_g.shard_mask = 0;
    hoteli_g.shards = NULL;
    hoteli_g.arena = NULL;
    memset(hoteli_g.scopes, 0, sizeof hoteli_g.scopes);
    hoteli_memory_free(&hoteli_g.arena_memory);
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++) hoteli_memory_free(&hoteli_g.providers[i].memory);
}

/* The books begin anew; spans that are still open from before count as started now. */
static void hoteli_shards_clear(void) {
    uintptr_t open = 0;
    uint32_t i;
    for (i = 1; i <= hoteli_g.num_chunks; i++)
        if (!(hoteli_load(&hoteli_chunk_at(i)->state) & HOTELI_ENDED)) open++;
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        hoteli_shard *shard = &hoteli_g.shards[i];
        open += hoteli_load(&shard->ended) >> HOTELI_INDEX_BITS;
        hoteli_store(&shard->extra, hoteli_pops(shard));
        hoteli_store(&shard->unsampled, 0);
        hoteli_store(&shard->not_admitted, 0);
    }
    hoteli_store(&hoteli_g.shards->extra, hoteli_load(&hoteli_g.shards->extra) - open);
}

/* The providers of before are gone; their memory with the next set-up. */
static void hoteli_providers_clear(void) {
    uint32_t i;
    hoteli_drop_destinations();
    hoteli_scopes_clear();
    hoteli_g.num_configured = 0; /* before their memory goes */
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++) {
        hoteli_provider *p = &hoteli_g.providers[i];
        p->num_destinations = p->num_processors = 0;
        HOTELI_SET(p->serial, 0u);
        HOTELI_SET(p->hooks, 0u);
        HOTELI_SET(p->waits, 0u);
        hoteli_flag_store(&p->state, i ? HOTELI_OVER : HOTELI_RUNS);
        if (i) hoteli_memory_free(&p->memory);
    }
    hoteli_g.drain_delay_ms = 5000;
    HOTELI_SET(hoteli_g.ending_hooks, false);
}

static void hoteli_announce_all(const hoteli_setup *s) {
    uint32_t i;
    for (i = 0; i < s->num_drafts; i++) hoteli_announce(s->built[i]);
}

static hotel_result hoteli_start_running(hoteli_setup *s) {
    bool kept = hoteli_g.arena != NULL;
    bool disabled = hoteli_boolean(s, s->config->disabled, "OTEL_SDK_DISABLED");
    hotel_result result;
    if (kept) hoteli_drop_ended();
    if (!hoteli_g.arena) hoteli_new_key();
    if (!hoteli_g.initialised) hoteli_locks_make();
    HOTELI_SET(hoteli_g.use_ticks, hoteli_counter_usable());
    hoteli_log_clear(); /* what the configuration asks to be said stays */
    hoteli_providers_clear();
    HOTELI_SET(hoteli_g.no_threads, s->config->no_threads || disabled);
    hoteli_plan_allocator(s);
    hoteli_plan_provider(s);
    hoteli_plan_hatchet(s, disabled);
    if (!disabled) hoteli_plan_destinations(s);
    result = hoteli_build(s);
    if (result != HOTEL_OK) {
        if (!kept) hoteli_let_go();
        return result;
    }
    hoteli_books_clear(); /* what the destinations have begins at 0 */
    /* Rounds are counted on: what was asked for before this set-up is over. */
    hoteli_lock();
    hoteli_g.flush_mask = hoteli_g.flush_deep = 0;
    hoteli_g.stopping = false;
    hoteli_unlock();
    hoteli_publish_destinations(s);
    hoteli_plan_wake();
    hoteli_flag_store(&hoteli_g.sleeping, 0);
    hoteli_shards_clear();
    hoteli_g.initialised = true;
    if (!hoteli_pipe_open() || !hoteli_exporter_start()) {
        hoteli_g.stopped = true;
        hoteli_flag_store(&hoteli_g.closed, 1); /* spans of before may still end */
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_SYSTEM, "no thread or pipe could be made");
        return HOTEL_ERR_SYSTEM;
    }
    hoteli_flag_store(&hoteli_g.closed, 0);
    hoteli_epoch_make();
    hoteli_g.stopped = false;
    if (!disabled) __atomic_store_n(&s->provider->hooks, s->hooks, __ATOMIC_SEQ_CST);
    hoteli_flag_store(&s->provider->open, disabled ? 0 : 1);
    hoteli_flag_store(&hoteli_g.running, 1);
    hoteli_announce_all(s);
    return s->result;
}

/* A further provider beside those that run. */
static hotel_result hoteli_start_further(hoteli_setup *s) {
    hotel_result result;
    hoteli_provider *p;
    for (s->index = 1; s->index < HOTELI_MAX_PROVIDERS; s->index++)
        if (!hoteli_g.providers[s->index].serial) break;
    if (s->index == HOTELI_MAX_PROVIDERS) {
        hoteli_bad_config("providers", HOTELI_MAX_PROVIDERS + 1, HOTELI_MAX_PROVIDERS);
        return HOTEL_ERR_ARGUMENT;
    }
    p = s->provider = &hoteli_g.providers[s->index];
    HOTELI_SET(p->serial, ++hoteli_g.last_serial); /* before its scopes are made */
    hoteli_plan_provider(s);
    hoteli_plan_hatchet(s, false);
    hoteli_plan_destinations(s);
    result = hoteli_build(s);
    if (result != HOTEL_OK) {
        hoteli_memory_free(&p->memory);
        HOTELI_SET(p->serial, 0u);
        return result;
    }
    hoteli_publish_destinations(s);
    hoteli_plan_wake();
    hoteli_flag_store(&p->state, HOTELI_RUNS);
    if (hoteli_flag_load(&hoteli_g.providers[0].open)) {
        __atomic_store_n(&p->hooks, s->hooks, __ATOMIC_SEQ_CST);
        hoteli_flag_store(&p->open, 1);
    }
    hoteli_announce_all(s);
    return s->result;
}

HOTEL_API hotel_result hotel_init_checked(const hotel_config *config, size_t config_size,
                                          int version) {
    hoteli_setup setup;
    hotel_config none;
    hotel_result result;
    uint32_t i;
    if (config_size != sizeof(hotel_config) || version != HOTEL_VERSION_NUMBER)
        return HOTEL_ERR_HEADER;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    memset((void *)&none, 0, sizeof none);
    memset((void *)&setup, 0, sizeof setup);
    setup.config = config ? config : &none;
    setup.provider = &hoteli_g.providers[0];
    (void)hoteli_here();
    hoteli_life_enter();
    if (hoteli_g.initialised && !hoteli_g.stopped) {
        hoteli_life_leave();
        return HOTEL_ERR_RUNNING;
    }
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++) {
        if (hoteli_hooks_wait(&hoteli_g.providers[i], hoteli_now_ms() + 1000)) continue;
        hoteli_life_leave();
        return HOTEL_ERR_RUNNING;
    }
    hoteli_plan_log(&setup);
    hoteli_flag_enter(&hoteli_g.shape);
    hoteli_plan_propagator(&setup);
    result = hoteli_start_running(&setup);
    hoteli_memory_free(&setup.hatchet.memory);
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_life_leave();
    return result;
}

HOTEL_API hotel_result hotel_provider_start(const hotel_config *config, hotel_provider *out) {
    hoteli_setup setup;
    hotel_config none;
    hotel_result result = HOTEL_ERR_NOT_RUNNING;
    if (!out) return HOTEL_ERR_ARGUMENT;
    out->index = HOTELI_MAX_PROVIDERS;
    out->serial = 0;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    memset((void *)&none, 0, sizeof none);
    memset((void *)&setup, 0, sizeof setup);
    setup.config = config ? config : &none;
    if (!hoteli_here()) return result;
    hoteli_life_enter();
    hoteli_flag_enter(&hoteli_g.shape);
    if (hoteli_flag_load(&hoteli_g.running)) {
        result = hoteli_start_further(&setup);
        hoteli_memory_free(&setup.hatchet.memory);
        if (setup.provider && setup.provider->serial) {
            out->index = setup.index;
            out->serial = setup.provider->serial;
        }
    }
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_life_leave();
    hoteli_nudge();
    return result;
}

static struct timespec hoteli_deadline(uint32_t timeout_ms, uint32_t grace_ms) {
    struct timespec at;
    uint64_t ns = hoteli_clock_ns(hoteli_g.clock_cond ? CLOCK_MONOTONIC : CLOCK_REALTIME) +
                  ((uint64_t)timeout_ms + grace_ms) * 1000000u;
    at.tv_sec = (time_t)(ns / 1000000000u);
    at.tv_nsec = (long)(ns % 1000000000u);
    return at;
}

/* One thread drives the exporter, from the end of the set-up to the end of the shutdown. */
static bool hoteli_turn_enter(void) {
    if (!hoteli_flag_cas(&hoteli_g.turning, 0, 1)) return false;
    if (!hoteli_flag_load(&hoteli_g.closed)) return true;
    hoteli_flag_store(&hoteli_g.turning, 0);
    return false;
}

/* Without threads whoever calls does the work; one at a time, others take a nap. */
static void hoteli_turn_alone(int64_t max_wait_ms) {
    int cancel;
    if (!hoteli_turn_enter()) {
        if (max_wait_ms) hoteli_nap(1);
        return;
    }
    cancel = hoteli_cancel_hold();
    hoteli_turn(max_wait_ms);
    hoteli_flag_store(&hoteli_g.turning, 0);
    hoteli_cancel_back(cancel);
}

static bool hoteli_flush_done(uint32_t ticket, uint32_t mask) {
    bool reached;
    hoteli_lock();
    reached = hoteli_flush_reached(ticket, mask);
    hoteli_unlock();
    return reached;
}

/* Without threads the caller does the work itself. */
static bool hoteli_pump(uint32_t ticket, uint32_t mask, uint32_t timeout_ms) {
    int64_t until = hoteli_now_ms() + timeout_ms;
    hoteli_t.quiet++;
    do {
        int64_t left = until - hoteli_now_ms();
        hoteli_turn_alone(HOTELI_MAX(HOTELI_MIN(left, (int64_t)20), (int64_t)0));
    } while (!hoteli_flush_done(ticket, mask) && hoteli_now_ms() < until &&
             !hoteli_flag_load(&hoteli_g.closed));
    hoteli_loud();
    return hoteli_flush_done(ticket, mask);
}

static bool hoteli_flush_wait(uint32_t ticket, uint32_t mask, uint32_t timeout_ms) {
    struct timespec until = hoteli_deadline(timeout_ms, 0);
    bool reached;
    int error = 0, cancel = hoteli_cancel_hold();
    hoteli_lock();
    while (!hoteli_flush_reached(ticket, mask) && error != ETIMEDOUT &&
           !hoteli_flag_load(&hoteli_g.closed))
        error = pthread_cond_timedwait(&hoteli_g.settled, &hoteli_g.lock, &until);
    reached = hoteli_flush_reached(ticket, mask);
    hoteli_unlock();
    hoteli_cancel_back(cancel);
    return reached;
}

/* Asks for a round of these destinations; deep: with their exporters. Under the lock. */
static uint32_t hoteli_flush_order(uint32_t mask, bool deep) {
    hoteli_g.flush_mask |= mask;
    if (deep) hoteli_g.flush_deep |= mask;
    return ++hoteli_g.flush_asked;
}

static uint32_t hoteli_flush_ask(uint32_t mask, bool deep) {
    uint32_t ticket;
    hoteli_lock();
    ticket = hoteli_flush_order(mask, deep);
    hoteli_unlock();
    hoteli_nudge();
    return ticket;
}

/* Spans of these destinations that were settled by anything but acceptance, and what their
   exporters could not flush. */
static uint64_t hoteli_lost(uint32_t mask) {
    uint64_t lost = 0;
    uint32_t i;
    hoteli_lock();
    for (i = 0; i < hoteli_num_destinations(); i++) {
        const hoteli_books *b = &hoteli_g.destinations[i]->books;
        if (!(mask & hoteli_g.destinations[i]->bit)) continue;
        lost += hoteli_load(&b->rejected) + hoteli_load(&b->failed) +
                hoteli_load(&b->dropped_queue_full) + hoteli_load(&b->dropped_too_large) +
                hoteli_load(&b->dropped_shutdown) + hoteli_load(&b->flush_failures);
    }
    hoteli_unlock();
    return lost;
}

static void hoteli_worst(hotel_result *worst, hotel_result result) {
    if (*worst == HOTEL_OK) *worst = result;
}

/* The processors' part of a flush, on the thread of the caller. */
static hotel_result hoteli_flush_processors(hoteli_provider *p, uint32_t timeout_ms) {
    hotel_result worst = HOTEL_OK;
    uint32_t i;
    int cancel;
    if (!hoteli_hooks_enter(p, HOTELI_ON_FLUSH, &cancel)) return worst;
    for (i = 0; i < p->num_processors; i++) {
        const hotel_processor *processor = &p->processors[i];
        if (processor->flush_fn)
            hoteli_worst(&worst, processor->flush_fn(timeout_ms, processor->user_data));
    }
    hoteli_hooks_leave(p, cancel);
    return worst;
}

/* Their shutdown is their last call, unless one does not return in time. */
static hotel_result hoteli_shut_processors(hoteli_provider *p, int64_t until_ms) {
    hotel_result worst = HOTEL_OK;
    uint32_t i;
    (void)__atomic_exchange_n(&p->hooks, 0u, __ATOMIC_SEQ_CST);
    if (!hoteli_hooks_wait(p, until_ms)) worst = HOTEL_ERR_TIMEOUT;
    hoteli_t.quiet++;
    for (i = 0; i < p->num_processors; i++) {
        const hotel_processor *processor = &p->processors[i];
        if (processor->shutdown_fn)
            hoteli_worst(&worst, processor->shutdown_fn(hoteli_time_left(until_ms),
                                                        processor->user_data));
    }
    hoteli_loud();
    return worst;
}

/* A barrier for some providers: those from first to end. */
static hotel_result hoteli_flush(uint32_t first, uint32_t end, uint32_t timeout_ms) {
    int64_t until = hoteli_now_ms() + timeout_ms;
    hotel_result result = HOTEL_OK;
    uint64_t lost;
    uint32_t ticket = 0, mask = 0, i;
    bool reached, running, pump;
    if (!hoteli_reading()) return HOTEL_ERR_NOT_RUNNING;
    running = hoteli_flag_load(&hoteli_g.running) != 0;
    pump = hoteli_g.no_threads;
    for (i = first; i < end; i++) {
        const hoteli_provider *p = &hoteli_g.providers[i];
        if (hoteli_flag_load(&p->state) == HOTELI_RUNS) mask |= hoteli_mask_of(p);
    }
    lost = hoteli_lost(mask);
    hoteli_reading_over();
    if (!running) return HOTEL_ERR_NOT_RUNNING;
    for (i = first; i < end; i++)
        hoteli_worst(&result, hoteli_flush_processors(&hoteli_g.providers[i],
                                                      hoteli_time_left(until)));
    ticket = hoteli_flush_ask(mask, true);
    timeout_ms = hoteli_time_left(until);
    reached = pump ? hoteli_pump(ticket, mask, timeout_ms)
                   : hoteli_flush_wait(ticket, mask, timeout_ms);
    if (!reached) return HOTEL_ERR_TIMEOUT;
    if (hoteli_lost(mask) != lost) return HOTEL_ERR_FAILED;
    return result;
}

/* The simple processor: the span that has just ended is exported before hotel_end returns. */
static HOTELI_COLD void hoteli_wait_exported(uint32_t mask) {
    int error = errno;
    uint32_t ticket;
    if (hoteli_t.quiet || !hoteli_flag_load(&hoteli_g.running)) return;
    ticket = hoteli_flush_ask(mask, false);
    if (HOTELI_GET(hoteli_g.no_threads)) (void)hoteli_pump(ticket, mask, HOTELI_SIMPLE_WAIT_MS);
    else (void)hoteli_flush_wait(ticket, mask, HOTELI_SIMPLE_WAIT_MS);
    errno = error;
}

HOTEL_API hotel_result hotel_flush(uint32_t timeout_ms) {
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    return hoteli_flush(0, HOTELI_MAX_PROVIDERS, timeout_ms);
}

/* The provider that a handle names; NULL: it is gone, or there was none. */
static hoteli_provider *hoteli_provider_named(hotel_provider provider) {
    hoteli_provider *p = &hoteli_g.providers[provider.index & (HOTELI_MAX_PROVIDERS - 1)];
    uint32_t serial = HOTELI_GET(p->serial);
    if (provider.index >= HOTELI_MAX_PROVIDERS || serial != provider.serial) return NULL;
    return provider.index && !serial ? NULL : p;
}

HOTEL_API hotel_result hotel_provider_flush(hotel_provider provider, uint32_t timeout_ms) {
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_provider_named(provider)) return HOTEL_ERR_ARGUMENT;
    return hoteli_flush(provider.index, provider.index + 1, timeout_ms);
}

/* The thread ends at the deadline by itself, unless one of the user's callbacks keeps it: then it
   is left to itself after half a second more. */
static bool hoteli_join(uint32_t timeout_ms) {
    struct timespec until = hoteli_deadline(timeout_ms, 500);
    bool done;
    int error = 0;
    hoteli_lock();
    while (!hoteli_g.thread_done && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&hoteli_g.settled, &hoteli_g.lock, &until);
    done = hoteli_g.thread_done;
    hoteli_unlock();
    if (!done) return false;
    (void)pthread_join(hoteli_g.thread, NULL);
    hoteli_g.has_thread = false;
    return true;
}

/* Runs the exporter down: a last flush until the deadline, then the rest is dropped. false: its
   thread did not come to an end. */
static bool hoteli_stop(uint32_t timeout_ms) {
    hoteli_lock();
    hoteli_g.stop_ms = hoteli_now_ms() + timeout_ms;
    hoteli_g.stopping = true;
    hoteli_g.stop_mask = (uint32_t)(((uint64_t)1 << hoteli_num_destinations()) - 1);
    hoteli_g.stop_ticket = hoteli_flush_order(hoteli_g.stop_mask, true);
    hoteli_unlock();
    hoteli_nudge();
    if (hoteli_g.has_thread) {
        if (!hoteli_join(timeout_ms)) return false;
    } else {
        hoteli_t.quiet++;
        while (!hoteli_stop_now()) hoteli_turn_alone(HOTELI_MIN(hoteli_stop_wait(), (int64_t)20));
        hoteli_flag_enter(&hoteli_g.turning);
        hoteli_close_all();
        hoteli_flag_store(&hoteli_g.turning, 0);
        hoteli_loud();
    }
    hoteli_lock();
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    hoteli_unlock();
    return true;
}

/* Processors hear of the shutdown once, before the last flush. */
static hotel_result hoteli_shut_all_processors(int64_t until_ms) {
    hotel_result worst = HOTEL_OK;
    uint32_t i;
    for (i = 0; i < HOTELI_MAX_PROVIDERS; i++) {
        hoteli_provider *p = &hoteli_g.providers[i];
        bool open = hoteli_flag_swap(&p->open, 0) != 0;
        if (open) hoteli_worst(&worst, hoteli_shut_processors(p, until_ms));
    }
    return worst;
}

HOTEL_API hotel_result hotel_shutdown(uint32_t timeout_ms) {
    uint64_t lost;
    int64_t until = hoteli_now_ms() + timeout_ms;
    hotel_result result = HOTEL_OK;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_here()) return HOTEL_ERR_NOT_RUNNING;
    hoteli_life_enter_by(until);
    if (!hoteli_g.stopped) {
        lost = hoteli_lost(UINT32_MAX);
        hoteli_flag_store(&hoteli_g.running, 0);
        result = hoteli_shut_all_processors(until);
        hoteli_g.stopped = hoteli_stop(hoteli_time_left(until));
        if (!hoteli_g.stopped) result = HOTEL_ERR_TIMEOUT;
        else if (hoteli_lost(UINT32_MAX) != lost)
            result = hoteli_now_ms() >= until ? HOTEL_ERR_TIMEOUT : HOTEL_ERR_FAILED;
    }
    hoteli_life_leave();
    return result;
}

/* Waits until the exporter has closed the provider; without threads does it itself. */
static bool hoteli_provider_wait(hoteli_provider *p, uint32_t timeout_ms) {
    struct timespec until = hoteli_deadline(timeout_ms, 500);
    int error = 0;
    if (hoteli_g.no_threads) {
        hoteli_t.quiet++;
        while (hoteli_flag_load(&p->state) != HOTELI_OVER) hoteli_turn_alone(20);
        hoteli_loud();
        return true;
    }
    hoteli_lock();
    while (hoteli_flag_load(&p->state) != HOTELI_OVER && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&hoteli_g.settled, &hoteli_g.lock, &until);
    hoteli_unlock();
    return hoteli_flag_load(&p->state) == HOTELI_OVER;
}

HOTEL_API hotel_result hotel_provider_shutdown(hotel_provider provider, uint32_t timeout_ms) {
    int64_t until = hoteli_now_ms() + timeout_ms;
    hotel_result result = HOTEL_OK;
    hoteli_provider *p;
    uint64_t lost;
    uint32_t mask;
    if (!provider.index && !provider.serial) return hotel_shutdown(timeout_ms);
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_here()) return HOTEL_ERR_NOT_RUNNING;
    hoteli_life_enter();
    p = hoteli_provider_named(provider);
    if (!p) result = HOTEL_ERR_ARGUMENT;
    if (p && hoteli_flag_load(&hoteli_g.running) && hoteli_flag_swap(&p->open, 0)) {
        mask = hoteli_mask_of(p);
        lost = hoteli_lost(mask);
        result = hoteli_shut_processors(p, until);
        hoteli_lock();
        p->ticket = hoteli_flush_order(mask, true);
        p->stop_ms = until;
        hoteli_flag_store(&p->state, HOTELI_ASKED);
        hoteli_unlock();
        hoteli_nudge();
        if (!hoteli_provider_wait(p, hoteli_time_left(until))) result = HOTEL_ERR_TIMEOUT;
        else if (hoteli_lost(mask) != lost)
            result = hoteli_now_ms() >= until ? HOTEL_ERR_TIMEOUT : HOTEL_ERR_FAILED;
    }
    hoteli_life_leave();
    return result;
}

HOTEL_API hotel_result hotel_release(void) {
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    (void)hoteli_here();
    hoteli_life_enter();
    if (hoteli_g.initialised && !hoteli_g.stopped) {
        hoteli_life_leave();
        return HOTEL_ERR_RUNNING;
    }
    hoteli_flag_enter(&hoteli_g.shape);
    hoteli_let_go();
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_life_leave();
    return HOTEL_OK;
}

HOTEL_API hotel_result hotel_poll(uint32_t timeout_ms) {
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_here() || !hoteli_flag_load(&hoteli_g.running) || !hoteli_g.no_threads)
        return HOTEL_ERR_NOT_RUNNING;
    hoteli_t.quiet++;
    hoteli_turn_alone((int64_t)timeout_ms);
    hoteli_loud();
    return HOTEL_OK;
}

HOTEL_API size_t hotel_get_descriptors(hotel_descriptor *out, size_t capacity,
                                       uint32_t *timeout_ms) {
    size_t count = 0;
    uint32_t i, k;
    int fd;
    if (timeout_ms) *timeout_ms = 0;
    if (hoteli_t.quiet || !hoteli_here() || !hoteli_flag_load(&hoteli_g.running) ||
        !hoteli_g.no_threads || !hoteli_turn_enter())
        return 0;
    for (i = 0; i < hoteli_num_destinations(); i++) {
        hoteli_destination *d = hoteli_g.destinations[i];
        for (k = 0; k < hoteli_num_requests(d); k++) {
            (void)hoteli_request_wait(&d->requests[k], hoteli_now_ms(), &fd);
            if (fd < 0) continue;
            if (out && count < capacity) {
                out[count].fd = fd;
                out[count].events = d->requests[k].events;
            }
            count++;
        }
    }
    if (timeout_ms && hoteli_load(&hoteli_g.pending) < HOTELI_GET(hoteli_g.wake_at))
        *timeout_ms = hoteli_time_left(hoteli_g.next_ms);
    hoteli_flag_store(&hoteli_g.turning, 0);
    return count;
}

HOTEL_API const char *hotel_version(void) { return HOTEL_VERSION_STRING; }

/* ---- statistics ---- */

/* Spans that ended, wherever they are. While the exporter takes some in, which is a matter of a few
   instructions, this looks again: until it does not, or for a while if that thread does not come
   to run. */
static uint64_t hoteli_num_ended(void) {
    uint32_t tries, i;
    uint64_t sum = 0;
    for (tries = 0; tries < 1100; tries++) {
        uintptr_t moves = hoteli_load(&hoteli_g.moves);
        sum = hoteli_load(&hoteli_g.collected);
        for (i = 0; i <= hoteli_g.shard_mask; i++)
            sum += hoteli_load(&hoteli_g.shards[i].ended) >> HOTELI_INDEX_BITS;
        if (!(moves & 1) && hoteli_load(&hoteli_g.moves) == moves) break;
        if (tries >= 100) hoteli_nap(1);
    }
    return sum;
}

static void hoteli_read_stats(hotel_stats *out) {
    uint32_t i;
    if (hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        const hoteli_shard *shard = &hoteli_g.shards[i];
        out->started += hoteli_pops(shard) - hoteli_load(&shard->extra);
        out->unsampled += hoteli_load(&shard->unsampled);
        out->not_admitted += hoteli_load(&shard->not_admitted);
    }
    out->started += out->unsampled + out->not_admitted;
    for (i = 1; i <= hoteli_g.num_chunks; i++) {
        const hoteli_chunk *chunk = hoteli_chunk_at(i);
        if (!(hoteli_load(&chunk->state) & HOTELI_ENDED)) out->live++;
        if (__atomic_load_n(&chunk->kind, __ATOMIC_RELAXED) == HOTELI_FREE) out->chunks_free++;
    }
    out->record_only = hoteli_load(&hoteli_g.record_only);
    out->ended = hoteli_num_ended();
    out->limited = hoteli_load(&hoteli_g.limited);
    out->repaired = hoteli_load(&hoteli_g.repaired);
    out->stale_references = hoteli_load(&hoteli_g.stale);
    out->bad_arguments = hoteli_load(&hoteli_g.bad_arguments);
    out->rejected_parents = hoteli_load(&hoteli_g.rejected_parents);
    out->chunks_total = hoteli_g.num_chunks;
    out->num_destinations = hoteli_g.num_configured;
}

HOTEL_API void hotel_get_stats(hotel_stats *out) {
    if (!out) return;
    memset(out, 0, sizeof *out);
    if (!hoteli_reading()) return;
    if (hoteli_g.arena) hoteli_read_stats(out);
    hoteli_reading_over();
}

static hotel_result hoteli_read_destination(size_t index, hotel_destination_stats *out) {
    const hoteli_books *b;
    uintptr_t offered;
    uint32_t i = 0;
    if (index >= hoteli_g.num_configured) return HOTEL_ERR_ARGUMENT;
    if (hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
    while (i < hoteli_g.num_destinations && hoteli_g.destinations[i]->position != index) i++;
    if (i == hoteli_g.num_destinations) return HOTEL_ERR_ENDPOINT;
    b = &hoteli_g.destinations[i]->books;
    out->accepted = hoteli_load(&b->accepted);
    out->rejected = hoteli_load(&b->rejected);
    out->failed = hoteli_load(&b->failed);
    out->dropped_queue_full = hoteli_load(&b->dropped_queue_full);
    out->dropped_too_large = hoteli_load(&b->dropped_too_large);
    out->dropped_shutdown = hoteli_load(&b->dropped_shutdown);
    offered = hoteli_load(&b->offered); /* after all of them */
    out->offered = offered;
    out->queued = (uintptr_t)(offered - out->accepted - out->rejected - out->failed -
                              out->dropped_queue_full - out->dropped_too_large -
                              out->dropped_shutdown);
    out->requests = hoteli_load(&b->requests);
    out->retries = hoteli_load(&b->retries);
    out->connections = hoteli_load(&b->connections);
    out->bytes_sent = hoteli_load(&b->bytes_sent);
    return HOTEL_OK;
}

HOTEL_API hotel_result hotel_get_destination_stats(size_t index, hotel_destination_stats *out) {
    hotel_result result = HOTEL_ERR_ARGUMENT;
    if (!out) return result;
    memset(out, 0, sizeof *out);
    if (!hoteli_reading()) return result;
    result = hoteli_read_destination(index, out);
    hoteli_reading_over();
    return result;
}

static void hoteli_describe_line(hoteli_text *text, const char *name, uint64_t value) {
    hoteli_say(text, name);
    hoteli_say(text, "=");
    hoteli_say_uint(text, value);
    hoteli_say(text, "\n");
}

static void hoteli_describe_text(hoteli_text *text, const char *name, const char *value) {
    if (!*value) return;
    hoteli_say(text, name);
    hoteli_say(text, "=");
    hoteli_say(text, value);
    hoteli_say(text, "\n");
}

static void hoteli_describe(hoteli_text *text) {
    const hotel_limits *l = &hoteli_g.providers[0].limits;
    uint32_t i;
    hoteli_say(text, hoteli_flag_load(&hoteli_g.running) ? "running=yes\n" : "running=no\n");
    hoteli_say(text, hoteli_g.no_threads ? "threads=no\n" : "threads=yes\n");
    hoteli_say(text, hoteli_g.use_ticks ? "clock=counter\n" : "clock=monotonic\n");
    hoteli_say(text, "sampler=");
    hoteli_say_sampler(text, hoteli_g.providers[0].samplers, 0);
    hoteli_say(text, "\n");
    hoteli_describe_line(text, "chunks", hoteli_g.num_chunks);
    hoteli_describe_line(text, "chunk_bytes", HATCHET_OTEL_CHUNK_BYTES);
    hoteli_describe_line(text, "shards", hoteli_g.shard_mask + 1);
    hoteli_describe_line(text, "max_span_bytes", l->max_span_bytes);
    hoteli_describe_line(text, "attribute_count", l->attribute_count);
    if (l->attribute_value_length != UINT32_MAX)
        hoteli_describe_line(text, "attribute_value_length", l->attribute_value_length);
    hoteli_describe_line(text, "attribute_value_depth", l->attribute_value_depth);
    hoteli_describe_line(text, "event_count", l->event_count);
    hoteli_describe_line(text, "link_count", l->link_count);
    hoteli_describe_line(text, "event_attribute_count", l->event_attribute_count);
    hoteli_describe_line(text, "link_attribute_count", l->link_attribute_count);
    for (i = 0; i < hoteli_num_destinations(); i++) {
        const hoteli_destination *d = hoteli_g.destinations[i];
        hoteli_say(text, "destination=");
        hoteli_destination_name(text, d);
        hoteli_say(text, "\n");
        hoteli_describe_line(text, "  timeout_ms", d->timeout_ms);
        hoteli_describe_line(text, "  schedule_delay_ms", d->delay_ms);
        hoteli_describe_line(text, "  max_queue_size", d->max_queue);
        hoteli_describe_line(text, "  max_export_batch_size", d->max_batch);
        hoteli_describe_line(text, "  max_request_bytes", d->max_bytes);
        hoteli_describe_line(text, "  max_response_bytes", d->max_response);
        hoteli_describe_line(text, "  max_inflight", d->max_inflight);
        hoteli_say(text, d->gzip ? "  compression=gzip\n" : "  compression=none\n");
    }
    for (i = 0; i < HOTEL_HATCHET_NUM_KEYS; i++)
        if (hoteli_excluded((hotel_hatchet_key)i))
            hoteli_describe_text(text, "excluded_attribute", hoteli_key_text((hotel_hatchet_key)i));
    hoteli_describe_line(text, "shared_payload_bytes", HOTELI_GET(hoteli_g.hatchet_shared_payload));
    if (HOTELI_GET(hoteli_g.hatchet_task_name))
        hoteli_say(text, "task_name_in_span_name=yes\n");
    if (HOTELI_GET(hoteli_g.hatchet_run_spans)) hoteli_say(text, "individual_run_spans=yes\n");
    hoteli_describe_text(text, "hatchet_namespace", hoteli_g.hatchet_namespace);
    hoteli_describe_text(text, "hatchet_tenant", hoteli_g.hatchet_tenant);
}

static size_t hoteli_read_name(const char *name, char *out, size_t capacity) {
    hoteli_text text;
    bool reading = hoteli_reading();
    hoteli_text_start(&text, out, out ? capacity : 0);
    if (reading) {
        hoteli_say(&text, name);
        hoteli_reading_over();
    }
    return text.size;
}

HOTEL_API size_t hotel_hatchet_namespace(char *out, size_t capacity) {
    return hoteli_read_name(hoteli_g.hatchet_namespace, out, capacity);
}

HOTEL_API size_t hotel_hatchet_tenant(char *out, size_t capacity) {
    return hoteli_read_name(hoteli_g.hatchet_tenant, out, capacity);
}

HOTEL_API size_t hotel_describe(char *out, size_t capacity) {
    hoteli_text text;
    bool reading = hoteli_reading();
    const char *field;
    size_t i;
    hoteli_text_start(&text, out, out ? capacity : 0);
    hoteli_say(&text, "version=" HOTEL_VERSION_STRING "\n");
    if (reading && hoteli_g.arena) hoteli_describe(&text);
    else hoteli_say(&text, "running=no\n");
    if (reading) hoteli_reading_over();
    hoteli_say(&text, "propagated=");
    for (i = 0; (field = hotel_propagator_field(NULL, i)) != NULL; i++) {
        hoteli_say(&text, i ? "," : "");
        hoteli_say(&text, field);
    }
    hoteli_say(&text, "\n");
    return text.size;
}

HOTEL_API size_t hotel_sampler_description(const hotel_sampler *sampler, char *out,
                                           size_t capacity) {
    hoteli_sampler list[HOTELI_MAX_SAMPLERS];
    hotel_sampler none;
    hoteli_text text;
    uint32_t count = 0;
    memset((void *)&none, 0, sizeof none);
    hoteli_text_start(&text, out, out ? capacity : 0);
    if (hoteli_sampler_add(list, &count, sampler ? sampler : &none, 0, false) !=
        HOTELI_MAX_SAMPLERS)
        hoteli_say_sampler(&text, list, 0);
    return text.size;
}

/* ---- tracers and spans ---- */

HOTEL_API hotel_tracer hotel_get_tracer(const hotel_tracer_config *config) {
    hotel_tracer tracer = {0, 0};
    uint32_t index;
    if (!config || !hoteli_here() || !hoteli_flag_load(&hoteli_g.running)) return tracer;
    if (!hoteli_provider_named(config->provider)) {
        tracer.scope = HOTELI_NO_SCOPE;
        return tracer;
    }
    if (!config->name || !*config->name) hoteli_log_later(HOTEL_LOG_ID_EMPTY_SCOPE_NAME);
    hoteli_check_attrs(config->attributes, config->num_attributes);
    hoteli_lock();
    index = hoteli_scope_intern(config, config->provider.index);
    if (index == HOTELI_NO_SCOPE) tracer.scope = index;
    else tracer = hoteli_tracer(index, config->provider.index);
    hoteli_unlock();
    return tracer;
}

HOTEL_API bool hotel_is_enabled(hotel_tracer tracer) {
    const hoteli_provider *p;
    if (!hoteli_here() || !hoteli_flag_load(&hoteli_g.running)) return false;
    p = hoteli_tracer_provider(tracer);
    return p && hoteli_flag_load(&p->open) && (p->num_destinations || p->num_processors);
}

HOTEL_API hotel_span hotel_start_with(const char *name, const hotel_start_options *options) {
    size_t size = name && options ? options->name_size : 0;
    return hoteli_start(name, size, options ? options->parent : NULL,
                        options ? (int)options->kind : HOTEL_INTERNAL, options);
}

HOTEL_API hotel_span hotel_start(const char *name) {
    return hoteli_start(name, 0, NULL, HOTEL_INTERNAL, NULL);
}

HOTEL_API hotel_span hotel_start_as(const char *name, hotel_kind kind) {
    return hoteli_start(name, 0, NULL, (int)kind, NULL);
}

HOTEL_API hotel_span hotel_start_in(const hotel_context *parent, const char *name,
                                    hotel_kind kind) {
    return hoteli_start(name, 0, parent, (int)kind, NULL);
}

HOTEL_API void hotel_end(const hotel_span *span) { hoteli_end(span, 0); }

HOTEL_API void hotel_end_at(const hotel_span *span, uint64_t end_time_ns) {
    hoteli_end(span, end_time_ns);
}

HOTEL_API bool hotel_is_recording(const hotel_span *span) {
    uintptr_t state;
    if (!span || !span->record || span->epoch != hoteli_epoch() ||
        span->record > hoteli_g.num_chunks)
        return false;
    state = hoteli_load(&hoteli_chunk_at(span->record)->state);
    return (uint32_t)(state >> HOTELI_GENERATION_SHIFT) == span->generation &&
           !(state & HOTELI_ENDED);
}

HOTEL_API void hotel_set_attrs(const hotel_span *span, const hotel_attr *attributes,
                               size_t num_attributes) {
    hoteli_writer w;
    if (!attributes || !hoteli_begin(span, &w)) return;
    hoteli_put_attributes(&w, attributes, num_attributes);
    hoteli_leave(&w);
}

HOTEL_API void hotel_set_name_n(const hotel_span *span, const char *name, size_t size) {
    hoteli_writer w;
    if (!hoteli_begin(span, &w)) return;
    hoteli_put_name(&w, name, name ? size : 0);
    hoteli_leave(&w);
}

HOTEL_API void hotel_set_name(const hotel_span *span, const char *name) {
    hotel_set_name_n(span, name, hotel_text_size(name));
}

HOTEL_API void hotel_set_status_n(const hotel_span *span, hotel_status status,
                                  const char *description, size_t size) {
    hoteli_writer w;
    if (status != HOTEL_STATUS_OK && status != HOTEL_STATUS_ERROR) {
        if (status != HOTEL_STATUS_UNSET) hoteli_bad_argument();
        return;
    }
    if (!hoteli_begin(span, &w)) return;
    hoteli_put_status(&w, (uint8_t)status, description, description ? size : 0);
    hoteli_leave(&w);
}

HOTEL_API void hotel_set_status(const hotel_span *span, hotel_status status,
                                const char *description) {
    hotel_set_status_n(span, status, description, hotel_text_size(description));
}

HOTEL_API void hotel_add_event_as(const hotel_span *span, const hotel_event *event) {
    hoteli_writer w;
    if (!event || !hoteli_begin(span, &w)) return;
    hoteli_put_event(&w, event, NULL, 0);
    hoteli_leave(&w);
}

HOTEL_API void hotel_add_event(const hotel_span *span, const char *name) {
    hotel_event event;
    memset((void *)&event, 0, sizeof event);
    event.name = name;
    hotel_add_event_as(span, &event);
}

HOTEL_API void hotel_add_link(const hotel_span *span, const hotel_link *link) {
    hoteli_writer w;
    if (!link || !hoteli_begin(span, &w)) return;
    hoteli_put_link(&w, link);
    hoteli_leave(&w);
}

HOTEL_API void hotel_record_exception(const hotel_span *span, const char *type,
                                      const char *message, const char *stacktrace,
                                      const hotel_attr *attributes, size_t num_attributes) {
    hotel_attr made[3], own[3];
    size_t count = 0, kept = 0, i, k;
    hotel_event event;
    hoteli_writer w;
    if (!hoteli_begin(span, &w)) return;
    if (type) made[count++] = hotel_str("exception.type", type);
    if (message) made[count++] = hotel_str("exception.message", message);
    if (stacktrace) made[count++] = hotel_str("exception.stacktrace", stacktrace);
    for (i = 0; i < count; i++) {
        for (k = 0; attributes && k < num_attributes; k++)
            if (hoteli_same_key(&made[i], &attributes[k])) break;
        if (!attributes || k == num_attributes) own[kept++] = made[i];
    }
    memset((void *)&event, 0, sizeof event);
    event.name = "exception";
    event.attributes = attributes;
    event.num_attributes = num_attributes;
    hoteli_put_event(&w, &event, own, kept);
    hoteli_leave(&w);
}

/* ---- current context ---- */

HOTEL_API hotel_context hotel_current(void) {
    const hotel_context *top = hoteli_top(&hoteli_t);
    hotel_context none;
    if (top) return *top;
    memset((void *)&none, 0, sizeof none);
    return none;
}

HOTEL_API hotel_span hotel_current_span(void) { return hotel_current().span; }

HOTEL_API hotel_context hotel_context_with(const hotel_span *span) {
    hotel_context context = hotel_current();
    if (span) context.span = *span;
    else memset(&context.span, 0, sizeof context.span);
    return context;
}

HOTEL_API hotel_token hotel_attach(const hotel_context *context) {
    return hoteli_attach(context, 0);
}

HOTEL_API hotel_result hotel_detach(hotel_token token) { return hoteli_detach(token); }

HOTEL_API hotel_context hotel_context_hold(const hotel_context *context) {
    hotel_context held = context ? *context : hotel_current();
    hoteli_keep(&held.span.context.trace_state);
    hoteli_keep(&held.values);
    hoteli_keep(&held.baggage);
    hoteli_keep(&held.entries);
    return held;
}

HOTEL_API void hotel_context_release(hotel_context *context) {
    if (!context) return;
    hoteli_give_back(&context->span.context.trace_state);
    hoteli_give_back(&context->values);
    hoteli_give_back(&context->baggage);
    hoteli_give_back(&context->entries);
}

HOTEL_API hotel_guard hotel_guard_span(const hotel_span *span) {
    hotel_guard guard;
    hotel_context context = hotel_context_with(span);
    guard.span = context.span;
    guard.token = hoteli_attach(&context, 0);
    guard.ends_span = true;
    return guard;
}

HOTEL_API hotel_guard hotel_guard_context(const hotel_context *context) {
    hotel_guard guard;
    memset(&guard, 0, sizeof guard);
    guard.token = hoteli_attach(context, 0);
    return guard;
}

HOTEL_API void hotel_guard_leave(hotel_guard *guard) {
    if (!guard) return;
    (void)hoteli_detach(guard->token);
    if (guard->ends_span) hoteli_end(&guard->span, 0);
    guard->ends_span = false;
}

/* ---- context values and baggage ---- */

HOTEL_API hotel_key hotel_create_key(const char *name) {
    uintptr_t last = hoteli_load(&hoteli_g.last_key);
    hotel_key key = {0};
    (void)name;
    do {
        if (last == UINT32_MAX) return key;
    } while (!hoteli_cas(&hoteli_g.last_key, &last, last + 1));
    key.id = (uint32_t)(last + 1);
    return key;
}

HOTEL_API hotel_context hotel_context_with_value(const hotel_context *context, hotel_key key,
                                                 void *value) {
    hotel_context made = hotel_context_hold(context);
    hoteli_slot_value list[HOTELI_MAX_KEYS + 1];
    size_t count = hoteli_entries_read(made.entries, list), i;
    hotel_block block = {0, 0};
    if (!key.id) {
        hoteli_bad_argument();
        return made;
    }
    for (i = 0; i < count && list[i].key != key.id; i++) continue;
    if (i < count) memmove(&list[i], &list[i + 1], (--count - i) * sizeof *list);
    if (value) {
        memset(&list[count], 0, sizeof *list);
        list[count].value = (uintptr_t)value;
        list[count++].key = key.id;
    }
    if (count && count <= HOTELI_MAX_KEYS)
        block = hoteli_block_of_bytes(list, count * sizeof *list);
    if (count && !block.index) {
        hoteli_context_full(1);
        return made;
    }
    hoteli_give_back(&made.entries);
    made.entries = block;
    return made;
}

HOTEL_API void *hotel_context_value(const hotel_context *context, hotel_key key) {
    const hotel_context *from = context ? context : hoteli_top(&hoteli_t);
    hoteli_slot_value list[HOTELI_MAX_KEYS];
    size_t count, i;
    if (!from || !from->entries.index || !key.id) return NULL;
    if (!hoteli_block_hold(from->entries)) {
        hoteli_stale();
        return NULL;
    }
    count = hoteli_entries_read(from->entries, list);
    (void)hoteli_block_drop(from->entries);
    for (i = 0; i < count; i++)
        if (list[i].key == key.id) return (void *)list[i].value;
    return NULL;
}

HOTEL_API void hotel_baggage_start(hotel_baggage *baggage, void *memory, size_t capacity) {
    if (!baggage) return;
    memset(baggage, 0, sizeof *baggage);
    baggage->memory = memory;
    baggage->capacity = memory ? capacity : 0;
}

static hotel_string hoteli_string(const char *text) {
    hotel_string made;
    made.text = text;
    made.size = hotel_text_size(text);
    return made;
}

HOTEL_API bool hotel_baggage_set_n(hotel_baggage *baggage, hotel_string name, hotel_string value,
                                   hotel_string metadata) {
    hoteli_sink properties = {NULL, 0};
    size_t value_size;
    if (!baggage) return false;
    if (!name.text) name.size = 0;
    if (!value.text) value.size = 0;
    if (!metadata.text) metadata.size = 0;
    value_size = hoteli_text_bytes(value.text, value.size);
    if (name.size && hoteli_utf8_valid(name.text, name.size) &&
        hoteli_properties(&properties, metadata.text, metadata.size)) {
        char *at = hoteli_baggage_open(baggage, name, value_size, properties.size);
        if (at) {
            (void)hoteli_utf8_repair(at, value.text, value.size);
            properties.out = at + value_size + 1;
            properties.size = 0;
            (void)hoteli_properties(&properties, metadata.text, metadata.size);
            hoteli_baggage_close(baggage, name, value_size, properties.size);
            return true;
        }
    }
    baggage->dropped++;
    return false;
}

HOTEL_API bool hotel_baggage_set(hotel_baggage *baggage, const char *name, const char *value,
                                 const char *metadata) {
    return hotel_baggage_set_n(baggage, hoteli_string(name), hoteli_string(value),
                               hoteli_string(metadata));
}

HOTEL_API bool hotel_baggage_find(const hotel_baggage *baggage, hotel_string name,
                                  hotel_baggage_entry *out) {
    hotel_baggage_entry entry;
    size_t at, whole;
    if (!baggage || !name.text || !hoteli_baggage_where(baggage, name, &entry, &at, &whole))
        return false;
    if (out) *out = entry;
    return true;
}

HOTEL_API const char *hotel_baggage_get(const hotel_baggage *baggage, const char *name) {
    hotel_baggage_entry entry;
    return hotel_baggage_find(baggage, hoteli_string(name), &entry) ? entry.value.text : NULL;
}

HOTEL_API bool hotel_baggage_remove_n(hotel_baggage *baggage, hotel_string name) {
    hotel_baggage_entry entry;
    size_t at, whole;
    if (!baggage || !name.text || !hoteli_baggage_where(baggage, name, &entry, &at, &whole))
        return false;
    hoteli_baggage_cut(baggage, at, whole);
    return true;
}

HOTEL_API bool hotel_baggage_remove(hotel_baggage *baggage, const char *name) {
    return hotel_baggage_remove_n(baggage, hoteli_string(name));
}

HOTEL_API void hotel_baggage_clear(hotel_baggage *baggage) {
    if (baggage) baggage->size = baggage->count = baggage->dropped = 0;
}

HOTEL_API bool hotel_baggage_next(const hotel_baggage *baggage, size_t *cursor,
                                  hotel_baggage_entry *out) {
    size_t whole;
    if (!baggage || !cursor || !out || !hoteli_entry_at(baggage, *cursor, out, &whole))
        return false;
    *cursor += whole;
    return true;
}

HOTEL_API size_t hotel_baggage_parse(hotel_baggage *baggage, const char *header, size_t size) {
    const char *end = header && size ? header + size : header;
    size_t taken = 0;
    bool full = false;
    if (!baggage) return 0;
    while (header != end) {
        const char *member = header;
        size_t n = (size_t)(end - header);
        const char *comma = (const char *)memchr(header, ',', n);
        int found = HOTELI_NO_ROOM;
        if (comma) n = (size_t)(comma - header);
        header = comma ? comma + 1 : end;
        hoteli_trim(&member, &n);
        if (!n) continue;
        if (!full && baggage->count < HOTEL_BAGGAGE_MEMBERS)
            found = hoteli_baggage_member(baggage, member, n);
        if (found == HOTELI_TAKEN) taken++;
        else baggage->dropped++;
        full = full || found == HOTELI_NO_ROOM;
    }
    return taken;
}

HOTEL_API size_t hotel_baggage_format(const hotel_baggage *baggage, char *out, size_t capacity) {
    size_t size, skipped;
    if (!out) capacity = 0;
    if (capacity) out[0] = 0;
    if (!baggage || !baggage->memory || baggage->size > baggage->capacity) return 0;
    size = hoteli_write_baggage(hoteli_cursor_flat((const uint8_t *)baggage->memory, baggage->size),
                                baggage->size, out, capacity, &skipped);
    hoteli_baggage_lost(&hoteli_g.limited, skipped);
    return size;
}

HOTEL_API hotel_context hotel_context_with_baggage(const hotel_context *context,
                                                   const hotel_baggage *baggage) {
    hotel_context made = hotel_context_hold(context);
    if (baggage && baggage->count) hoteli_put_baggage(&made, baggage);
    else hoteli_give_back(&made.baggage);
    return made;
}

HOTEL_API bool hotel_context_baggage(const hotel_context *context, hotel_baggage *out) {
    const hotel_context *from = context ? context : hoteli_top(&hoteli_t);
    if (!out) return false;
    hotel_baggage_clear(out);
    if (!from || !from->baggage.index) return true;
    if (!hoteli_block_hold(from->baggage)) {
        hoteli_stale();
        return true;
    }
    hoteli_baggage_read(from->baggage, out);
    (void)hoteli_block_drop(from->baggage);
    return out->dropped == 0;
}

/* ---- propagation ---- */

/* What the current context brings into an extracted one is held like the rest of it. */
static inline void hoteli_extracted(hotel_context *context) {
    const hotel_context *top = hoteli_top(&hoteli_t);
    if (!top) memset(context, 0, sizeof *context);
    else if (!(top->values.index | top->baggage.index | top->entries.index |
               top->span.context.trace_state.index))
        *context = *top;
    else *context = hotel_context_hold(top);
}

HOTEL_API hotel_context hotel_extract_n(const char *traceparent, size_t traceparent_size,
                                        const char *tracestate, size_t tracestate_size) {
    hotel_context context;
    hotel_block replaced;
    hoteli_extracted(&context);
    replaced = context.span.context.trace_state;
    (void)hoteli_extract(&context, traceparent, traceparent_size, tracestate, tracestate_size);
    hoteli_block_replaced(replaced, context.span.context.trace_state);
    return context;
}

HOTEL_API hotel_context hotel_extract(const char *traceparent, const char *tracestate) {
    return hotel_extract_n(traceparent, hotel_text_size(traceparent), tracestate,
                           hotel_text_size(tracestate));
}

HOTEL_API hotel_context hotel_extract_metadata(const char *json, size_t json_size) {
    hotel_context context;
    hotel_block replaced;
    hoteli_extracted(&context);
    replaced = context.span.context.trace_state;
    (void)hoteli_extract_json(&context, json, json_size);
    hoteli_block_replaced(replaced, context.span.context.trace_state);
    return context;
}

HOTEL_API bool hotel_traceparent(const hotel_span *span, char out[HOTEL_TRACEPARENT_SIZE]) {
    bool valid = span && hoteli_valid_ids(&span->context);
    if (!out) return false;
    out[0] = 0;
    if (!valid) return false;
    hoteli_traceparent_format(&span->context, out);
    out[HOTEL_TRACEPARENT_SIZE - 1] = 0;
    return true;
}

HOTEL_API size_t hotel_tracestate(const hotel_span *span, char *out, size_t capacity) {
    hotel_block block;
    size_t size, n;
    hoteli_cursor c;
    if (out && capacity) out[0] = 0;
    if (!span || !span->context.trace_state.index) return 0;
    block = span->context.trace_state;
    if (!hoteli_block_hold(block)) {
        hoteli_stale();
        return 0;
    }
    size = hoteli_block_at(block.index)->size;
    if (out && capacity) {
        n = HOTELI_MIN(size, capacity - 1);
        c = hoteli_block_cursor(block.index);
        hoteli_read(&c, out, n);
        out[n] = 0;
    }
    (void)hoteli_block_drop(block);
    return size;
}

HOTEL_API ptrdiff_t hotel_tracestate_get(const char *state, const char *key, char *out,
                                         size_t capacity) {
    const char *value;
    size_t size;
    hoteli_text text;
    hoteli_text_start(&text, out, out ? capacity : 0);
    if (!state || !key ||
        !hoteli_tracestate_get(state, strlen(state), key, strlen(key), &value, &size))
        return -1;
    hoteli_say_n(&text, value, size);
    return (ptrdiff_t)size;
}

HOTEL_API size_t hotel_tracestate_set(const char *state, const char *key, const char *value,
                                      char *out, size_t capacity) {
    bool ok = false;
    size_t size;
    if (out && capacity) out[0] = 0;
    size = hoteli_tracestate_set(state ? state : "", hotel_text_size(state), key ? key : "",
                                 hotel_text_size(key), value, hotel_text_size(value), out,
                                 out && capacity ? capacity - 1 : 0, &ok);
    if (out && capacity > size) out[size] = 0;
    if (!ok) hoteli_bad_argument();
    return size;
}

HOTEL_API void hotel_context_put_span(hotel_context *held, const hotel_span *span) {
    hotel_block replaced;
    if (!held) return;
    replaced = held->span.context.trace_state;
    if (span) held->span = *span;
    else memset(&held->span, 0, sizeof held->span);
    hoteli_keep(&held->span.context.trace_state);
    hoteli_give_back(&replaced);
}

HOTEL_API hotel_propagator hotel_tracecontext_propagator(void) {
    return hoteli_builtin(HOTELI_TRACECONTEXT);
}

HOTEL_API hotel_propagator hotel_baggage_propagator(void) { return hoteli_builtin(HOTELI_BAGGAGE); }

HOTEL_API hotel_propagator hotel_b3_propagator(void) { return hoteli_builtin(HOTELI_B3); }

HOTEL_API hotel_propagator hotel_b3multi_propagator(void) { return hoteli_builtin(HOTELI_B3MULTI); }

HOTEL_API hotel_propagator hotel_composite_propagator(const hotel_propagator_list *list) {
    hotel_propagator made = hoteli_builtin(0);
    if (!list || !list->parts) return made;
    made.inject_fn = hoteli_composite_inject;
    made.extract_fn = hoteli_composite_extract;
    made.field_fn = hoteli_composite_field;
    made.user_data = (void *)(uintptr_t)list;
    return made;
}

HOTEL_API void hotel_set_global_propagator(const hotel_propagator *propagator) {
    hotel_propagator none = hoteli_builtin(0);
    hoteli_global_set(propagator ? propagator : &none, true);
}

HOTEL_API hotel_propagator hotel_get_global_propagator(void) { return hoteli_global(); }

HOTEL_API void hotel_inject_with(const hotel_propagator *propagator, const hotel_context *context,
                                 const hotel_setter *setter, void *carrier) {
    hotel_propagator p = propagator ? *propagator : hoteli_global();
    hotel_context current;
    if (!setter || !setter->set_fn) {
        hoteli_bad_argument();
        return;
    }
    if (!context) {
        current = hotel_current();
        context = &current;
    }
    if (p.inject_fn) p.inject_fn(context, setter, carrier, p.user_data);
}

HOTEL_API void hotel_inject(const hotel_context *context, const hotel_setter *setter,
                            void *carrier) {
    hotel_inject_with(NULL, context, setter, carrier);
}

HOTEL_API hotel_context hotel_extract_with(const hotel_propagator *propagator,
                                           const hotel_context *context,
                                           const hotel_getter *getter, const void *carrier) {
    hotel_propagator p = propagator ? *propagator : hoteli_global();
    hotel_context made;
    if (context) made = hotel_context_hold(context);
    else hoteli_extracted(&made);
    if (!getter || !getter->get_fn) hoteli_bad_argument();
    else if (p.extract_fn) p.extract_fn(&made, getter, carrier, p.user_data);
    return made;
}

HOTEL_API hotel_context hotel_extract_from(const hotel_getter *getter, const void *carrier) {
    return hotel_extract_with(NULL, NULL, getter, carrier);
}

HOTEL_API const char *hotel_propagator_field(const hotel_propagator *propagator, size_t index) {
    hotel_propagator p = propagator ? *propagator : hoteli_global();
    return p.field_fn ? p.field_fn(index, p.user_data) : NULL;
}

HOTEL_API hotel_getter hotel_header_getter(void) {
    hotel_getter made;
    memset((void *)&made, 0, sizeof made);
    made.get_fn = hoteli_header_get;
    made.keys_fn = hoteli_header_keys;
    return made;
}

HOTEL_API size_t hotel_env_name(const char *key, char *out, size_t capacity) {
    size_t size = hotel_text_size(key), i, step;
    hoteli_text text;
    hoteli_text_start(&text, out, out ? capacity : 0);
    if (!size || (*key >= '0' && *key <= '9')) hoteli_say_n(&text, "_", 1);
    for (i = 0; i < size; i += step) {
        char c = key[i];
        step = hoteli_utf8_sequence(key + i, size - i);
        if (!step) step = 1;
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        if (!hoteli_is_alnum(c)) c = '_';
        hoteli_say_n(&text, &c, 1);
    }
    return text.size;
}

HOTEL_API hotel_getter hotel_env_getter(void) {
    hotel_getter made;
    memset((void *)&made, 0, sizeof made);
    made.get_fn = hoteli_env_get;
    made.keys_fn = hoteli_env_keys;
    return made;
}

HOTEL_API void hotel_env_start(hotel_env *env, char **list, size_t capacity, char *memory,
                               size_t memory_bytes, char *const *base) {
    if (!env) return;
    memset(env, 0, sizeof *env);
    if (!list || !capacity) return;
    env->list = list;
    env->capacity = capacity;
    env->memory = memory;
    env->memory_bytes = memory ? memory_bytes : 0;
    for (; base && *base; base++) {
        if (env->count + 1 < capacity) list[env->count++] = *base;
        else env->dropped++;
    }
    list[env->count] = NULL;
}

HOTEL_API hotel_setter hotel_env_setter(void) {
    hotel_setter made;
    made.set_fn = hoteli_env_set;
    return made;
}

/* ---- Hatchet ---- */

/* Where the task's span goes: under the metadata's traceparent; without one under the current
   span; with a malformed one nowhere, as in the Python SDK. The task holds the tracestate that
   comes along until it ends. */
static void hoteli_task_parent(hotel_task *task, const hotel_step_run *step_run) {
    const hotel_context *current = hoteli_top(&hoteli_t);
    const char *json = step_run->additional_metadata;
    size_t size = step_run->additional_metadata_size;
    hotel_block *state = &task->context.span.context.trace_state, before;
    if (current) {
        task->context.span = hoteli_carrier(&current->span.context);
        task->context.baggage = current->baggage;
        task->context.entries = current->entries;
        hoteli_keep(&task->context.baggage);
        hoteli_keep(&task->context.entries);
    }
    before = *state;
    if (!hoteli_extract_json(&task->context, json, size ? size : hotel_text_size(json)))
        memset(&task->context.span, 0, sizeof task->context.span);
    if (state->index && state->index == before.index && state->generation == before.generation &&
        !hoteli_block_hold(*state))
        memset(state, 0, sizeof *state);
}

/* Moves an attribute of the shared ones behind them. */
static void hoteli_unshare(hoteli_fields *f, size_t i, size_t *shared) {
    hotel_attr moved = f->list[i];
    memmove((void *)(f->list + i), f->list + i + 1, (f->count - i - 1) * sizeof moved);
    f->list[f->count - 1] = moved;
    --*shared;
}

static size_t hoteli_longest_text(const hoteli_fields *f, size_t count) {
    size_t i, longest = count;
    for (i = 0; i < count; i++)
        if (f->list[i].value.type == HOTEL_TYPE_STRING &&
            (longest == count || f->list[i].value.size > f->list[longest].value.size))
            longest = i;
    return longest;
}

/* The block of the attributes that the spans of a task share. What is left of *f, from *shared on,
   is for the task's own span: a large payload, and the longest of what a block has no room for. */
static hotel_block hoteli_task_block(hoteli_fields *f, const hotel_step_run *r, size_t *shared) {
    const char *payload = hoteli_key_text(HOTEL_HATCHET_PAYLOAD);
    size_t i;
    hoteli_task_fields(f, r);
    HOTELI_FIELD(f, r, PAYLOAD, payload);
    *shared = f->count;
    i = f->count - 1;
    if (f->list[i].key == payload &&
        f->list[i].value.size > HOTELI_GET(hoteli_g.hatchet_shared_payload))
        hoteli_unshare(f, i, shared);
    while (!hoteli_block_fits(f->list, *shared)) {
        const char *key;
        i = hoteli_longest_text(f, *shared);
        if (i == *shared) break;
        key = f->list[i].key;
        if (key != payload)
            hoteli_fault(HOTELI_TOO_LONG,
                         (hotel_hatchet_key)hoteli_key_named(key, strlen(key)));
        hoteli_unshare(f, i, shared);
    }
    f->ids.workflow_run_size =
        hoteli_keep_id(f->ids.workflow_run, r->workflow_run_id, r->workflow_run_id_size);
    f->ids.step_run_size = hoteli_keep_id(f->ids.step_run, r->step_run_id, r->step_run_id_size);
    return hoteli_block_of_attrs(f->list, *shared, &f->ids);
}

/* Makes the name of a task's span; one that does not fit stays without the task's name. */
static const char *hoteli_task_name(const hotel_step_run *r, char *out, size_t capacity) {
    static const char plain[] = "hatchet.start_step_run";
    const char *action = r->action_name;
    size_t size = r->action_name_size ? r->action_name_size : hotel_text_size(action);
    hoteli_text text;
    if (!action || !size || !HOTELI_GET(hoteli_g.hatchet_task_name)) return plain;
    hoteli_text_start(&text, out, capacity);
    hoteli_say(&text, plain);
    hoteli_say(&text, ".");
    hoteli_say_n(&text, action, size);
    if (text.size < capacity) return out;
    hoteli_fault(HOTELI_TOO_LONG, HOTEL_HATCHET_ACTION_NAME);
    return plain;
}

static hotel_task hoteli_task_start(const hotel_step_run *step_run, bool join) {
    hotel_task task;
    hoteli_fields f;
    size_t shared = 0;
    hotel_block state;
    char name[512];
    memset(&task, 0, sizeof task);
    if (!step_run) {
        hoteli_bad_argument();
        return task;
    }
    f.count = 0;
    if (hoteli_ready(&hoteli_t)) task.context.values = hoteli_task_block(&f, step_run, &shared);
    hoteli_task_parent(&task, step_run);
    state = task.context.span.context.trace_state;
    if (join)
        task.span = hoteli_carrier(&task.context.span.context);
    else
        task.span = hoteli_start_operation(hoteli_task_name(step_run, name, sizeof name),
                                           HOTEL_CONSUMER, f.list + shared, f.count - shared,
                                           &task.context);
    task.context.span = task.span;
    task.context.span.context.trace_state = state;
    task.token = hoteli_attach(&task.context, HOTELI_OF_TASK);
    return task;
}

HOTEL_API hotel_task hotel_start_step_run(const hotel_step_run *step_run) {
    return hoteli_task_start(step_run, false);
}

HOTEL_API hotel_task hotel_join_step_run(const hotel_step_run *step_run) {
    return hoteli_task_start(step_run, true);
}

/* Status and exception event of what has failed. */
static void hoteli_record_failure(const hotel_span *span, const hotel_failure *f) {
    static const char *const keys[3] = {"exception.type", "exception.message",
                                        "exception.stacktrace"};
    const char *texts[3];
    size_t sizes[3], i;
    hotel_attr list[3];
    hotel_event event;
    memset((void *)&event, 0, sizeof event);
    texts[0] = f->type, sizes[0] = f->type_size;
    texts[1] = f->message, sizes[1] = f->message_size;
    texts[2] = f->stacktrace, sizes[2] = f->stacktrace_size;
    for (i = 0; i < 3; i++) {
        if (!texts[i]) continue;
        if (!sizes[i]) sizes[i] = strlen(texts[i]);
        list[event.num_attributes++] = hotel_strn(keys[i], texts[i], sizes[i]);
    }
    event.name = "exception";
    event.attributes = list;
    if (event.num_attributes) hotel_add_event_as(span, &event);
    hotel_set_status_n(span, HOTEL_STATUS_ERROR, texts[1], texts[1] ? sizes[1] : 0);
}

static hotel_failure hoteli_failure(const char *type, const char *message,
                                    const char *stacktrace) {
    hotel_failure f;
    memset((void *)&f, 0, sizeof f);
    f.type = type;
    f.message = message;
    f.stacktrace = stacktrace;
    return f;
}

HOTEL_API void hotel_succeed(const hotel_span *span) {
    hotel_set_status(span, HOTEL_STATUS_OK, NULL);
    hotel_end(span);
}

HOTEL_API void hotel_fail_with(const hotel_span *span, const hotel_failure *failure) {
    hotel_failure none = hoteli_failure(NULL, NULL, NULL);
    hoteli_record_failure(span, failure ? failure : &none);
    hotel_end(span);
}

HOTEL_API void hotel_fail_as(const hotel_span *span, const char *type, const char *message,
                             const char *stacktrace) {
    hotel_failure f = hoteli_failure(type, message, stacktrace);
    hotel_fail_with(span, &f);
}

HOTEL_API void hotel_fail(const hotel_span *span, const char *message) {
    hotel_fail_as(span, NULL, message, NULL);
}

HOTEL_API void hotel_task_succeed(hotel_task *task) {
    if (!task) return;
    hotel_set_status(&task->span, HOTEL_STATUS_OK, NULL);
    hoteli_task_end(task);
}

HOTEL_API void hotel_task_cancel(hotel_task *task) {
    if (task) hoteli_task_end(task);
}

HOTEL_API void hotel_task_fail_with(hotel_task *task, const hotel_failure *failure) {
    hotel_failure none = hoteli_failure(NULL, NULL, NULL);
    if (!task) return;
    hoteli_record_failure(&task->span, failure ? failure : &none);
    hoteli_task_end(task);
}

HOTEL_API void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                  const char *stacktrace) {
    hotel_failure f = hoteli_failure(type, message, stacktrace);
    hotel_task_fail_with(task, &f);
}

HOTEL_API void hotel_task_fail(hotel_task *task, const char *message) {
    hotel_task_fail_as(task, NULL, message, NULL);
}

HOTEL_API hotel_span hotel_start_cancel_step_run(const hotel_step_run *step_run) {
    hotel_context parent;
    hotel_span_context found;
    hotel_span span;
    hoteli_fields f;
    memset((void *)&parent, 0, sizeof parent);
    f.count = 0;
    if (!step_run) hoteli_bad_argument();
    else {
        const char *json = step_run->additional_metadata;
        size_t size = step_run->additional_metadata_size;
        (void)hoteli_extract_json(&parent, json, size ? size : hotel_text_size(json));
        if (!hoteli_valid_ids(&parent.span.context) &&
            hotel_engine_run(step_run->workflow_run_id, step_run->workflow_run_id_size,
                             &found))
            parent.span = hoteli_carrier(&found);
        if (hoteli_ready(&hoteli_t)) hoteli_fields_start(&f);
        /* In a trace of its own it would lead the dashboard away from the run's. */
        if (f.count && hoteli_valid_ids(&parent.span.context))
            HOTELI_FIELD(&f, step_run, STEP_RUN_ID, step_run_id);
    }
    span = hoteli_start_operation("hatchet.cancel_step_run", HOTEL_CONSUMER, f.list, f.count,
                                  &parent);
    (void)hoteli_block_drop(parent.span.context.trace_state);
    return span;
}

static const hotel_context *hoteli_spawner(const hotel_trigger *trigger) {
    return trigger && trigger->task ? &trigger->task->context : NULL;
}

static hotel_span hoteli_start_run(const hotel_trigger *trigger, const hotel_context *parent) {
    hoteli_fields f;
    f.count = 0;
    if (!trigger) hoteli_bad_argument();
    else if (hoteli_ready(&hoteli_t)) hoteli_trigger_fields(&f, trigger);
    return hoteli_start_operation("hatchet.run_workflow", HOTEL_PRODUCER, f.list, f.count, parent);
}

HOTEL_API hotel_span hotel_start_run_workflow(const hotel_trigger *trigger) {
    return hoteli_start_run(trigger, hoteli_spawner(trigger));
}

/* The span of many at once: how many, and their names. */
static hotel_span hoteli_start_batch(const char *name, const hoteli_names *names,
                                     hotel_hatchet_key number, hotel_hatchet_key unique,
                                     const hotel_context *parent) {
    hoteli_fields f;
    hoteli_array a;
    f.count = a.size = 0;
    a.full = false;
    if (hoteli_ready(&hoteli_t)) {
        hoteli_fields_start(&f);
        hoteli_put_field(&f, hotel_int(hoteli_key_text(number), (int64_t)names->count));
        hoteli_array_names(&a, names);
        hoteli_array_put(&a, &f, unique);
    }
    return hoteli_start_operation(name, HOTEL_PRODUCER, f.list, f.count, parent);
}

HOTEL_API hotel_span hotel_start_run_workflows(const hotel_trigger *runs, size_t num_runs) {
    hoteli_names names;
    if (!runs && num_runs) hoteli_bad_argument();
    names.key = HOTEL_HATCHET_WORKFLOW_NAME;
    names.first = runs ? &runs->workflow_name : NULL;
    names.step = sizeof *runs;
    names.count = runs ? num_runs : 0;
    return hoteli_start_batch("hatchet.run_workflows", &names, HOTEL_HATCHET_NUM_WORKFLOWS,
                              HOTEL_HATCHET_UNIQUE_WORKFLOW_NAMES,
                              names.count ? hoteli_spawner(runs) : NULL);
}

HOTEL_API hotel_span hotel_start_run_of(const hotel_span *batch, const hotel_trigger *run) {
    const hotel_context *around = hoteli_spawner(run);
    hotel_context parent;
    if (!batch) {
        hoteli_bad_argument();
        return hoteli_carrier(NULL);
    }
    if (!HOTELI_GET(hoteli_g.hatchet_run_spans)) return hoteli_carrier(&batch->context);
    if (!around) around = hoteli_top(&hoteli_t);
    memset((void *)&parent, 0, sizeof parent);
    if (around) parent = *around;
    parent.span = *batch;
    return hoteli_start_run(run, &parent);
}

HOTEL_API hotel_span hotel_start_schedule_workflow(const hotel_schedule *schedule) {
    hoteli_fields f;
    hoteli_array a;
    f.count = a.size = 0;
    a.full = false;
    if (!schedule) hoteli_bad_argument();
    else if (hoteli_ready(&hoteli_t)) hoteli_schedule_fields(&f, schedule, &a);
    return hoteli_start_operation("hatchet.schedule_workflow", HOTEL_PRODUCER, f.list, f.count,
                                  NULL);
}

HOTEL_API hotel_span hotel_start_push_event(const hotel_hatchet_event *event) {
    hoteli_fields f;
    f.count = 0;
    if (!event) hoteli_bad_argument();
    else if (hoteli_ready(&hoteli_t)) hoteli_event_fields(&f, event);
    return hoteli_start_operation("hatchet.push_event", HOTEL_PRODUCER, f.list, f.count, NULL);
}

HOTEL_API hotel_span hotel_start_bulk_push_event(const hotel_hatchet_event *events,
                                                 size_t num_events) {
    hoteli_names names;
    if (!events && num_events) hoteli_bad_argument();
    names.key = HOTEL_HATCHET_EVENT_KEY;
    names.first = events ? &events->event_key : NULL;
    names.step = sizeof *events;
    names.count = events ? num_events : 0;
    return hoteli_start_batch("hatchet.bulk_push_event", &names, HOTEL_HATCHET_NUM_EVENTS,
                              HOTEL_HATCHET_UNIQUE_EVENT_KEYS, NULL);
}

HOTEL_API hotel_span hotel_start_wait_for(const hotel_wait *wait) {
    const hotel_context *parent = wait && wait->task ? &wait->task->context : NULL;
    hoteli_fields f;
    f.count = 0;
    if (!wait) hoteli_bad_argument();
    else if (hoteli_ready(&hoteli_t)) hoteli_wait_fields(&f, wait);
    return hoteli_start_operation("hatchet.durable.wait_for", HOTEL_INTERNAL, f.list, f.count,
                                  parent);
}

/* What an event says about the task that pushes it: both or nothing, as in every SDK. */
static size_t hoteli_source_edits(hoteli_run_ids *ids, hoteli_json_edit *edits) {
    const hotel_context *context = hoteli_top(&hoteli_t);
    if (!context || !hoteli_block_ids(context->values, ids) || !ids->workflow_run_size ||
        !ids->step_run_size)
        return 0;
    edits[0].key = "hatchet__source_workflow_run_id";
    edits[0].value = ids->workflow_run;
    edits[0].value_size = ids->workflow_run_size;
    edits[1].key = "hatchet__source_step_run_id";
    edits[1].value = ids->step_run;
    edits[1].value_size = ids->step_run_size;
    return 2;
}

static size_t hoteli_inject_json(const hotel_span *span, bool of_event, const char *json,
                                 size_t json_size, char *out, size_t capacity) {
    hoteli_json_edit edits[4];
    hoteli_run_ids ids;
    char parent[HOTEL_TRACEPARENT_SIZE], state[HOTELI_STATE_SIZE + 1];
    size_t count = of_event ? hoteli_source_edits(&ids, edits) : 0, size, state_size;
    int result = 0;
    if (out && capacity) out[0] = 0;
    if (hotel_traceparent(span, parent)) {
        edits[count].key = "traceparent";
        edits[count].value = parent;
        edits[count++].value_size = HOTEL_TRACEPARENT_SIZE - 1;
        state_size = hotel_tracestate(span, state, sizeof state);
        edits[count].key = "tracestate";
        edits[count].value = state_size && state_size < sizeof state ? state : NULL;
        edits[count++].value_size = state_size;
    }
    size = hoteli_json_inject(json, json ? json_size : 0, edits, count, out, out ? capacity : 0,
                              &result);
    if (result != 0) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_METADATA);
        return 0;
    }
    return size;
}

HOTEL_API size_t hotel_inject_metadata_n(const hotel_span *span, const char *json,
                                         size_t json_size, char *out, size_t capacity) {
    return hoteli_inject_json(span, false, json, json_size, out, capacity);
}

HOTEL_API size_t hotel_inject_metadata(const hotel_span *span, const char *json, char *out,
                                       size_t capacity) {
    return hoteli_inject_json(span, false, json, hotel_text_size(json), out, capacity);
}

HOTEL_API size_t hotel_inject_event_metadata_n(const hotel_span *span, const char *json,
                                               size_t json_size, char *out, size_t capacity) {
    return hoteli_inject_json(span, true, json, json_size, out, capacity);
}

HOTEL_API size_t hotel_inject_event_metadata(const hotel_span *span, const char *json, char *out,
                                             size_t capacity) {
    return hoteli_inject_json(span, true, json, hotel_text_size(json), out, capacity);
}

/* A field of a log line. In text a value that is no plain word has quotes and escapes too, so that
   it cannot pass for something else. */
static void hoteli_say_log_field(hoteli_text *text, hotel_log_format format, const char *name,
                                 const char *value, size_t size) {
    char quoted[6 * HOTELI_ID_SIZE + 2];
    hoteli_sink sink;
    bool is_json = format == HOTEL_LOG_FORMAT_JSON;
    if (!size) return;
    hoteli_say(text, is_json ? ",\"" : " ");
    hoteli_say(text, name);
    hoteli_say(text, is_json ? "\":" : "=");
    if (!is_json && hoteli_is_token(value, size)) {
        hoteli_say_n(text, value, size);
        return;
    }
    sink.out = quoted;
    sink.size = 0;
    hoteli_json_put(&sink, value, size);
    hoteli_say_n(text, quoted, sink.size);
}

HOTEL_API size_t hotel_log_fields(const hotel_context *context, hotel_log_format format, char *out,
                                  size_t capacity) {
    char parent[HOTEL_TRACEPARENT_SIZE];
    hoteli_run_ids ids;
    hoteli_text text;
    hoteli_text_start(&text, out, out ? capacity : 0);
    if (!context) context = hoteli_top(&hoteli_t);
    if (!context || !hotel_traceparent(&context->span, parent)) return 0;
    hoteli_say_log_field(&text, format, "trace_id", parent + 3, 32);
    hoteli_say_log_field(&text, format, "span_id", parent + 36, 16);
    (void)hoteli_block_ids(context->values, &ids);
    hoteli_say_log_field(&text, format, "step_run_id", ids.step_run, ids.step_run_size);
    hoteli_say_log_field(&text, format, "workflow_run_id", ids.workflow_run,
                         ids.workflow_run_size);
    return text.size;
}

HOTEL_API const char *hotel_hatchet_key_name(hotel_hatchet_key key) {
    return (unsigned)key < HOTEL_HATCHET_NUM_KEYS ? hoteli_key_text(key) : "";
}

HOTEL_API bool hotel_engine_run(const char *workflow_run_id, size_t size, hotel_span_context *out) {
    uint8_t id[16];
    if (!out) return false;
    memset((void *)out, 0, sizeof *out);
    if (!hoteli_uuid_read(workflow_run_id, size, id)) return false;
    hoteli_engine_id("hatchet-engine-wf-trace:", id, 1, NULL, 0, out->trace_id, 16);
    hoteli_engine_id("hatchet-engine-wf-span:", id, 1, NULL, 0, out->span_id, 8);
    out->trace_flags = HOTEL_FLAG_SAMPLED;
    out->is_remote = true;
    return true;
}

static bool hoteli_engine_attempt(const char *step_run_id, size_t size, int32_t retry_count,
                                  const char *word, uint8_t span_id[8]) {
    uint8_t id[16], tail[4 + 8];
    size_t word_size = strlen(word);
    uint32_t retry = (uint32_t)retry_count;
    if (!span_id) return false;
    memset(span_id, 0, 8);
    if (retry_count < 0 || !hoteli_uuid_read(step_run_id, size, id)) return false;
    tail[0] = (uint8_t)(retry >> 24);
    tail[1] = (uint8_t)(retry >> 16);
    tail[2] = (uint8_t)(retry >> 8);
    tail[3] = (uint8_t)retry;
    memcpy(tail + 4, word, word_size);
    hoteli_engine_id("hatchet-engine-sr-span:", id, 1, tail, 4 + word_size, span_id, 8);
    return true;
}

HOTEL_API bool hotel_engine_queued(const char *step_run_id, size_t size, int32_t retry_count,
                                   uint8_t span_id[8]) {
    return hoteli_engine_attempt(step_run_id, size, retry_count, "queued", span_id);
}

HOTEL_API bool hotel_engine_step_run(const char *step_run_id, size_t size, int32_t retry_count,
                                     uint8_t span_id[8]) {
    return hoteli_engine_attempt(step_run_id, size, retry_count, "step_run", span_id);
}

HOTEL_API bool hotel_engine_event(const char *event_id, size_t event_id_size,
                                  const char *workflow_run_id, size_t workflow_run_id_size,
                                  uint8_t span_id[8]) {
    uint8_t ids[32];
    if (!span_id) return false;
    memset(span_id, 0, 8);
    if (!hoteli_uuid_read(event_id, event_id_size, ids) ||
        !hoteli_uuid_read(workflow_run_id, workflow_run_id_size, ids + 16))
        return false;
    hoteli_engine_id("hatchet-engine-evt-span:", ids, 2, NULL, 0, span_id, 8);
    return true;
}

#ifdef __cplusplus
} /* extern "C" */
#pragma GCC diagnostic pop
#endif

#endif /* HATCHET_OTEL_IMPLEMENTATION */

/*
MIT License

Copyright (c) 2026 The hatchet_otel authors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
*/
