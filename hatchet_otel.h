/* hatchet_otel.h 0.1.0 - OpenTelemetry tracing for C and C++ in one file, with Hatchet's
   instrumentation built in.
   SPDX-License-Identifier: MIT
   SPDX-FileCopyrightText: 2026 The hatchet_otel authors

Records spans in C and C++ programs and delivers them over OTLP/HTTP to any OpenTelemetry
collector. No dependency but libc and pthread; Linux, macOS and the BSDs; GCC and Clang.

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
HATCHET_OTEL_MAX_ATTACHED     contexts attached at once on a thread, 64 bytes each; default 32

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
    10  PROPAGATION
    11  HATCHET
    12  MACROS FOR C
    13  THE SAME FOR C++
    14  PLATFORM
    15  TEXT
    16  LISTS OF PAIRS
    17  URLS
    18  W3C TRACE CONTEXT
    19  HTTP RESPONSES
    20  OTLP REPLIES
    21  JSON METADATA
    22  STRUCTURES
    23  STATE
    24  LOG
    25  CLOCK AND RANDOM
    26  ARENA
    27  WRITING OTLP VALUES
    28  INSIDE A SPAN
    29  SCOPES AND RESOURCE
    30  THREADS AND CURRENT CONTEXT
    31  STARTING SPANS
    32  OTLP ENCODING
    33  SOCKETS
    34  DESTINATIONS
    35  EXPORTER
    36  CONFIGURATION
    37  FORK
    38  HATCHET
    39  PUBLIC FUNCTIONS

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

Everything that a span holds is copied into an arena whose size is fixed by hotel_init. A span
begins with one chunk and takes more as it grows. When no chunk is free the span is not recorded,
its children hang under its parent, and the books count it. Nothing on this path allocates,
locks, waits or calls back, but for a clock or ID generator of your own. A background
thread encodes ended spans and sends them in batches; hotel_flush is a barrier, hotel_shutdown
the last one.

THREADS, FORK, SIGNALS, EXIT

Every function may be called by any thread, and several threads may use one span. The span calls
may be used in signal handlers. After fork the child records and delivers its own spans with its
first use of the library, and its parent's spans stay valid as parents; spans that were open at
the fork belong to the parent. The library installs no signal handler, raises no SIGPIPE, prints
nothing and does nothing at exit: call hotel_shutdown, or lose what was not sent yet.

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
    HOTEL_ERR_ORDER = -14,         /* contexts detached in the wrong order                        */
    HOTEL_ERR_CALLBACK = -15,      /* a blocking call from inside one of the library's callbacks  */
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
    X(5, HATCHET_TOKEN)       /* a Hatchet token was seen; Hatchet needs OTLP over gRPC         */ \
    X(6, SYSTEM)              /* the operating system refused something                         */ \
    X(10, EXPORT_RETRY)       /* a request failed and will be sent again                        */ \
    X(11, EXPORT_FAILED)      /* a request was given up: its spans are lost                     */ \
    X(12, PARTIAL_SUCCESS)    /* the server rejected some spans, or sent a warning              */ \
    X(13, EXPORT_RECOVERED)   /* the first success after failures                               */ \
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
    X(32, BAD_TRACEPARENT)    /* a traceparent was refused                                      */

/* HOTEL_LOG_ID_STARTED and so on. */
typedef enum hotel_log_id {
#define HOTEL_LOG_ENUM(id, name) HOTEL_LOG_ID_##name = id,
    HOTEL_LOG_IDS(HOTEL_LOG_ENUM)
#undef HOTEL_LOG_ENUM
    HOTEL_LOG_ID_MAX = 32
} hotel_log_id;

/* Receives log messages. Called on the exporter's thread, or on the thread inside hotel_init, or
   with no_threads inside hotel_poll, hotel_flush and hotel_shutdown; never on the span path. While
   hotel_init runs, statistics asked for by other threads wait. message is valid during the call
   only and holds no secrets. Must not call hotel_init, hotel_flush,
   hotel_shutdown, hotel_release or hotel_poll: they answer HOTEL_ERR_CALLBACK. */
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

/* A reference to a shared immutable block in the arena (tracestate, a task's attributes).
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

/* What flows from caller to callee: the current span and shared values (a Hatchet task's
   attributes). Plain data; see hotel_context_hold for carrying one to another thread. */
typedef struct hotel_context {
    hotel_span span;
    hotel_block values;
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
   a time (the exporter's, or the one in hotel_poll) and must not block. */
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

/* Where spans go: OTLP over HTTP, protobuf. Copied by hotel_init. */
typedef struct hotel_destination {
    /* http://host:port[/path] or unix:/path/to/socket[:/path]. Without a path /v1/traces is
       used, with one exactly that. NULL: OTEL_EXPORTER_OTLP_*, else localhost:4318. */
    const char *endpoint HOTEL_ZERO;
    const hotel_header *headers HOTEL_ZERO; /* replace those of the environment (C-05) */
    size_t num_headers HOTEL_ZERO;
    uint32_t timeout_ms HOTEL_ZERO;            /* one batch, all attempts; 10000       */
    uint32_t schedule_delay_ms HOTEL_ZERO;     /* longest wait of an ended span; 5000             */
    uint32_t max_queue_size HOTEL_ZERO;        /* ended spans that wait; 2048                     */
    uint32_t max_export_batch_size HOTEL_ZERO; /* spans in a request; 512                         */
    uint32_t max_request_bytes HOTEL_ZERO;     /* 512 KiB, smaller in a small arena               */
    const hotel_transport *transport HOTEL_ZERO; /* table is copied; NULL: sockets               */
} hotel_destination;

/* Built-in samplers (SM-01, SM-05, SM-06). */
typedef enum hotel_sampler_type {
    HOTEL_SAMPLER_DEFAULT = 0, /* parent based, always on at the root */
    HOTEL_SAMPLER_PARENT_BASED_ALWAYS_ON,
    HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF,
    HOTEL_SAMPLER_ALWAYS_ON,
    HOTEL_SAMPLER_ALWAYS_OFF
} hotel_sampler_type;

/* The sampler of a configuration. */
typedef struct hotel_sampler {
    hotel_sampler_type type HOTEL_ZERO;
} hotel_sampler;

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

/* Identity of an instrumentation scope (SP-100). Copied. */
typedef struct hotel_tracer_config {
    const char *name HOTEL_ZERO; /* the instrumented library, module or program */
    const char *version HOTEL_ZERO;
    const char *schema_url HOTEL_ZERO;
    const hotel_attr *attributes HOTEL_ZERO;
    size_t num_attributes HOTEL_ZERO;
} hotel_tracer_config;

/* Everything hotel_init takes. Zeroed is a working default. Code beats environment beats
   default (SP-95). Nothing is kept by reference but the functions, their user data, and memory. */
typedef struct hotel_config {
    const char *service_name HOTEL_ZERO; /* OTEL_SERVICE_NAME, else unknown_service:<program> */
    const hotel_attr *resource HOTEL_ZERO; /* win over OTEL_RESOURCE_ATTRIBUTES                */
    size_t num_resource HOTEL_ZERO;
    const char *resource_schema_url HOTEL_ZERO;
    const hotel_destination *destinations HOTEL_ZERO; /* none: one by the environment          */
    size_t num_destinations HOTEL_ZERO;               /* at most 4                             */
    hotel_tracer_config tracer HOTEL_ZERO; /* scope of spans that name no tracer               */
    hotel_sampler sampler HOTEL_ZERO;
    hotel_limits limits HOTEL_ZERO;
    size_t arena_bytes HOTEL_ZERO; /* span memory: 2 MiB                                       */
    void *memory HOTEL_ZERO;       /* use this block for everything instead of malloc          */
    size_t memory_bytes HOTEL_ZERO;
    bool no_threads HOTEL_ZERO;         /* the application calls hotel_poll; only the lookup   */
                                        /* of a host name still takes a short-lived thread     */
    bool ignore_environment HOTEL_ZERO; /* read no environment variable                        */
    hotel_log_level log_level HOTEL_ZERO;
    hotel_log_fn log_fn HOTEL_ZERO; /* NULL: silent                                            */
    void *log_user_data HOTEL_ZERO;
    hotel_clock clock HOTEL_ZERO;
    hotel_id_generator id_generator HOTEL_ZERO;
} hotel_config;

/* ==== [SECTION 06] LIFE CYCLE ============================================================== */

/* Starts the library: reads configuration and environment, sets up the arena, the destinations
   and (unless no_threads) the exporter's thread. config NULL: all defaults. Copies what it is
   given. Starts every destination that is valid and returns the first error; without a valid
   destination it still records, and drops at export. HOTEL_ERR_RUNNING when started already.
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

/* Gives the arena back after hotel_shutdown. The application warrants that no other thread is
   inside the library. Not needed before exit. */
HOTEL_API hotel_result hotel_release(void);

/* With no_threads: does what is due, waiting at most timeout_ms for the network. Returns
   HOTEL_OK, or HOTEL_ERR_NOT_RUNNING. One thread at a time; a signal handler that interrupts it
   makes no spans. */
HOTEL_API hotel_result hotel_poll(uint32_t timeout_ms);

/* The version this implementation was compiled from, "0.1.0". */
HOTEL_API const char *hotel_version(void);

/* ==== [SECTION 07] STATISTICS ============================================================== */

/* The books since hotel_init (a fork child starts at zero). On 32-bit machines the counters come
   round at 2^32. Once no call is in progress
       started = unsampled + not_admitted + live + ended
   and for each destination, after hotel_shutdown,
       ended = accepted + rejected + failed + dropped_queue_full + dropped_too_large
               + dropped_shutdown. */
typedef struct hotel_stats {
    uint64_t started;      /* spans asked for while running                      */
    uint64_t unsampled;    /* the sampler said no                                */
    uint64_t not_admitted; /* no chunk was free                                  */
    uint64_t live;         /* recording, not ended                               */
    uint64_t ended;
    uint64_t limited;      /* attributes, events, links dropped by limits or lack of space */
    uint64_t repaired;            /* texts that were not UTF-8 and were repaired   */
    uint64_t stale_references;    /* contexts used after their release             */
    uint64_t bad_arguments;       /* calls with unusable arguments                 */
    uint64_t rejected_parents;    /* traceparents and metadata that were refused   */
    uint64_t chunks_total;        /* size of the arena in chunks                   */
    uint64_t chunks_free;
    size_t num_destinations;
} hotel_stats;

/* What became of the spans that were handed to a destination. */
typedef struct hotel_destination_stats {
    uint64_t accepted; /* by the server                                                  */
    uint64_t rejected; /* by the server: partial success                                 */
    uint64_t failed;   /* sent without success; the outcome may be unknown               */
    uint64_t dropped_queue_full;
    uint64_t dropped_too_large; /* one span larger than max_request_bytes                */
    uint64_t dropped_shutdown;  /* not delivered when shutdown's time was over           */
    uint64_t queued;            /* waiting now, the request in flight included           */
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

/* ==== [SECTION 10] PROPAGATION ============================================================= */

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

/* ==== [SECTION 11] HATCHET ================================================================= */

/* A task run as a worker receives it: the members are those of Hatchet's AssignedAction. What
   is NULL or empty is left out of the span; numbers are always sent, zero included. A string
   without NUL has its size in the member behind it; 0 there means up to the NUL. */
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
    const char *payload HOTEL_ZERO; /* JSON; above 2 KiB on the task's own span only */
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
   a malformed one it begins a new trace.
   End it exactly once, with one of the three calls below. threads: any; the task may end on
   another thread than it started on. */
HOTEL_API hotel_task hotel_start_step_run(const hotel_step_run *step_run);

/* Ends the task: status OK; or status ERROR with the message and an exception event (type may
   be NULL). A second end is ignored. */
HOTEL_API void hotel_task_succeed(hotel_task *task);
HOTEL_API void hotel_task_fail(hotel_task *task, const char *message);
HOTEL_API void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                  const char *stacktrace);

/* A workflow run that is about to be triggered: the members of Hatchet's TriggerWorkflowRequest.
   Presence and sizes as above. */
typedef struct hotel_trigger {
    const char *workflow_name HOTEL_ZERO;
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
} hotel_trigger;

/* Starts "hatchet.run_workflow" (PRODUCER), child of the current span. End it with hotel_end
   when the trigger call has returned; on failure set the status first. */
HOTEL_API hotel_span hotel_start_run_workflow(const hotel_trigger *trigger);

/* Writes a copy of the metadata (a JSON object; NULL or empty: {}) in which traceparent, and
   tracestate if the span has one, are those of the span; every other byte is kept. snprintf's
   manners: returns the size needed without NUL. 0: not a JSON object, "" is written, it is
   counted and logged. A span without a valid context changes nothing. threads: any. */
HOTEL_API size_t hotel_inject_metadata(const hotel_span *span, const char *json, char *out,
                                       size_t capacity);
HOTEL_API size_t hotel_inject_metadata_n(const hotel_span *span, const char *json,
                                         size_t json_size, char *out, size_t capacity);

/* The current context with the parent that a run's metadata names, as hotel_extract. */
HOTEL_API hotel_context hotel_extract_metadata(const char *json, size_t json_size);

/* ==== [SECTION 00] WITHOUT TRACING ========================================================= */

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
    __builtin_memcpy(out, "00000000000000000000000000000000", 33);
}
HOTEL_INLINE void hotel_span_id_hex(const hotel_span_context *context, char out[17]) {
    __builtin_memcpy(out, "0000000000000000", 17);
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
    out[0] = 0;
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

HOTEL_INLINE hotel_task hotel_start_step_run(const hotel_step_run *step_run) {
    return HOTEL_NOTHING(hotel_task);
}
HOTEL_INLINE void hotel_task_succeed(hotel_task *task) {}
HOTEL_INLINE void hotel_task_fail(hotel_task *task, const char *message) {}
HOTEL_INLINE void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                     const char *stacktrace) {}
HOTEL_INLINE hotel_span hotel_start_run_workflow(const hotel_trigger *trigger) {
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
HOTEL_INLINE hotel_context hotel_extract_metadata(const char *json, size_t json_size) {
    return HOTEL_NOTHING(hotel_context);
}

#pragma GCC diagnostic pop
#undef HOTEL_NOTHING
#endif /* HATCHET_OTEL_DISABLE */

#ifdef __cplusplus
} /* extern "C" */
#endif

/* ==== [SECTION 12] MACROS FOR C ============================================================ */

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

/* ==== [SECTION 13] THE SAME FOR C++ ======================================================== */

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
inline hotel_span hotel_start_run_workflow(const hotel_trigger &trigger) {
    return hotel_start_run_workflow(&trigger);
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

/* ==== [SECTION 14] PLATFORM ================================================================ */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
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

/* Contexts attached at the same time on one thread: 64 bytes of thread-local memory each. */
#ifndef HATCHET_OTEL_MAX_ATTACHED
#define HATCHET_OTEL_MAX_ATTACHED 32
#endif
#if HATCHET_OTEL_MAX_ATTACHED < 1 || HATCHET_OTEL_MAX_ATTACHED > 1024
#error "HATCHET_OTEL_MAX_ATTACHED must be from 1 to 1024"
#endif

#define HOTELI_LIKELY(x) __builtin_expect(!!(x), 1)
#define HOTELI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HOTELI_COLD __attribute__((noinline, cold))
#define HOTELI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HOTELI_MAX(a, b) ((a) > (b) ? (a) : (b))

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
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

/* ==== [SECTION 15] TEXT ==================================================================== */

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

/* ==== [SECTION 16] LISTS OF PAIRS ========================================================== */

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

/* ==== [SECTION 17] URLS ==================================================================== */

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

/*
 * An endpoint: http, https, or "unix:/path/to.sock" with ":/http/path" behind it or not (OX-01,
 * OU-05, OU-06, OU-07, OU-10). Userinfo, query and fragment are ignored. Returns NULL, or the
 * reason why the text is none; `url` points into `text`.
 */
static const char *hoteli_url_parse(const char *text, size_t size, hoteli_url *url) {
    size_t i, start, stop;
    const char *reason;
    memset(url, 0, sizeof *url);
    for (i = 0; i < size; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F) {
            return "it has a space or a control character in it";
        }
    }
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

/* ==== [SECTION 18] W3C TRACE CONTEXT ======================================================= */

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

/* ==== [SECTION 19] HTTP RESPONSES ========================================================== */

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
                         : c == 0x15         ? "answers in TLS"
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

/* ==== [SECTION 20] OTLP REPLIES ============================================================ */

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
    for (shift = 0; shift < 70 && *cursor != end; shift += 7) {
        uint8_t byte = *(*cursor)++;
        // The tenth byte has room for one bit.
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

/* ==== [SECTION 21] JSON METADATA =========================================================== */

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
 * The string under a key of the outermost object, unescaped, without NUL. Returns 1, 0 if there is
 * none or no object (NULL, blank, null), -1 if the text is no JSON object, -2 if the value is no
 * string, -3 if it does not fit, with the needed size in *out_size. Of a repeated key the last
 * counts.
 */
static int hoteli_json_find(const char *json, size_t size, const char *key, char *out,
                            size_t capacity, size_t *out_size) {
    const char *end = NULL, *value = NULL, *value_end = NULL;
    hoteli_json_member member;
    char bytes[4];
    int pass, found = hoteli_json_open(&json, size, &end);
    *out_size = 0;
    while (found == 1 && (found = hoteli_json_next(&json, end, &member)) == 1) {
        if (hoteli_json_is_key(&member, key)) {
            value = member.value + 1;
            value_end = member.value_end - 1;
        }
    }
    if (found < 0 || value == NULL) return found;
    if (value[-1] != '"') return -2;
    for (pass = 0; pass < 2; pass++) {
        const char *p = value;
        hoteli_sink sink;
        sink.out = pass == 1 ? out : NULL;
        sink.size = 0;
        while (p != value_end) {
            size_t step = hoteli_json_char(&p, value_end, bytes);
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

/* ==== [SECTION 22] STRUCTURES ============================================================== */

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
#define HOTELI_MAX_SCOPES 64
#define HOTELI_MAX_DESTINATIONS 4
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
    uint16_t pad;
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

/* The built-in transport's connection. */
typedef struct hoteli_socket {
    int fd;
    bool connected;
    uint16_t port;
    hoteli_lookup *lookup;
    size_t count;
    size_t next;
    int64_t started_ms;
    struct sockaddr_storage addresses[8];
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
    hoteli_word accepted;
    hoteli_word rejected;
    hoteli_word failed;
    hoteli_word dropped_queue_full;
    hoteli_word dropped_too_large;
    hoteli_word dropped_shutdown;
    hoteli_word queued;
    hoteli_word requests;
    hoteli_word retries;
    hoteli_word connections;
    hoteli_word bytes_sent;
} hoteli_books;

typedef struct hoteli_destination {
    uint32_t position; /* in the configuration */
    hoteli_url url;
    char *path;
    char *head; /* request line and headers up to the digits of Content-Length */
    size_t head_size;
    uint32_t timeout_ms; /* 0: none */
    uint32_t delay_ms;
    uint32_t max_queue;
    uint32_t max_batch;
    uint32_t max_bytes;
    hotel_transport transport;
    hoteli_socket socket;
    bool builtin;
    /* ended spans that wait */
    uint32_t *queue;
    uint32_t first;
    uint32_t count;
    uint32_t chunks;     /* they take */
    uint32_t max_chunks;
    int64_t due_ms;      /* when the oldest must go */
    bool urge;           /* a flush wants them now */
    /* the request: kept unchanged until it is settled */
    uint8_t *buffer;
    size_t capacity;
    size_t start;
    size_t end;
    size_t sent;
    uint32_t spans;
    int state;
    void *connection;
    bool reused;         /* the connection served a request before */
    bool failing;        /* the last request was given up */
    uint32_t attempts;
    uint32_t step_ms;
    int64_t retry_ms;
    int64_t deadline_ms;
    hoteli_http http;
    char reply[1024];
    const char *trouble; /* why the last attempt failed */
    int64_t logged_retry_ms;
    int64_t logged_failed_ms;
    int64_t logged_partial_ms;
    int64_t logged_full_ms;
    hoteli_books books;
    uint64_t settled;    /* spans that left, whatever their fate */
    uint64_t target;     /* settled must reach this for the flush in progress */
} hoteli_destination;

typedef struct hoteli_scope {
    hotel_block block; /* encoded: scope field, then schema URL field */
    uint32_t prefix;   /* bytes of the scope field */
} hoteli_scope;

/* ==== [SECTION 23] STATE =================================================================== */

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
    uint32_t sampler;
    uint32_t max_span_bytes;
    bool use_ticks;
    hotel_limits limits;
    hotel_clock clock;
    hotel_id_generator id_generator;
    /* written by spans, rarely */
    hoteli_flag sleeping __attribute__((aligned(HOTELI_LINE)));
    hoteli_flag nudge;   /* somebody waits for the exporter */
    hoteli_word pending; /* ended spans since the last drain, in steps */
    hoteli_word stream;
    hoteli_word log_bits[2];
    hoteli_word limited;
    hoteli_word stale;
    hoteli_word bad_arguments;
    hoteli_word rejected_parents;
    hoteli_word collected; /* ended spans taken from the shards */
    hoteli_word lost;      /* spans settled by anything but acceptance */
    hoteli_word repaired;
    uint8_t pad[HOTELI_LINE];
    /* set-up */
    pthread_mutex_t lock; /* life cycle, flush, statistics; never taken by spans */
    pthread_cond_t settled;
    bool clock_cond;      /* settled runs on the monotonic clock */
    hoteli_flag life;     /* guards set-up, shutdown, release and rebuild, from end to end */
    hoteli_flag turning;  /* somebody drives the exporter */
    hoteli_flag shape;    /* guards what they change, for the moment that it takes */
    bool atfork_set;
    uint32_t last_epoch;
    uint32_t epoch_word;  /* where the kernel offers no page that is wiped on fork */
    bool initialised;
    bool stopped;
    uint64_t key[4];
    uint32_t wake_at;
    void *arena_memory;   /* ours to free */
    uint8_t *user_memory;
    size_t user_bytes;
    void *setup_memory;   /* ours to free */
    uint8_t *setup_at;
    size_t setup_room;
    uint8_t *scratch[3];  /* a span, its values, its tracestate, each in one piece */
    hotel_block scratch_block[3]; /* what the last two hold */
    uint8_t *resource;    /* encoded resource field */
    size_t resource_size;
    uint8_t *resource_schema;
    size_t resource_schema_size;
    hoteli_scope scopes[HOTELI_MAX_SCOPES];
    uint32_t num_scopes;
    uint32_t default_scope;
    uint32_t hatchet_scope;
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
    int64_t anchored_ms;
    int64_t drain_ms;     /* next drain by time */
    int64_t drained_ms;   /* the last one */
    uint32_t drain_delay_ms;
    uint32_t num_destinations; /* that were valid */
    uint32_t num_configured;
    hoteli_destination destinations[HOTELI_MAX_DESTINATIONS];
    uint32_t flush_asked;   /* rounds of flush; all three under lock */
    uint32_t flush_begun;
    uint32_t flush_done;
    bool stopping;
    int64_t stop_ms;
} hoteli_g;

static __thread hoteli_thread hoteli_t;

static inline uint32_t hoteli_epoch(void) {
    const uint32_t *epoch = __atomic_load_n(&hoteli_g.epoch, __ATOMIC_ACQUIRE);
    return epoch ? __atomic_load_n(epoch, __ATOMIC_RELAXED) : 0;
}

/* ==== [SECTION 24] LOG ===================================================================== */

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
    hoteli_t.quiet--;
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
        return "a malformed traceparent or tracestate was ignored";
    default:
        return "";
    }
}

/* Says what spans have asked to be said. */
static void hoteli_log_pending(int64_t now_ms) {
    int id;
    for (id = 1; id <= HOTEL_LOG_ID_MAX; id++) {
        hoteli_word *word = &hoteli_g.log_bits[id >> 5];
        uintptr_t mask = (uintptr_t)1 << (id & 31);
        if (!(hoteli_load_relaxed(word) & mask)) continue;
        (void)__atomic_fetch_and(&word->bits, ~mask, __ATOMIC_RELAXED);
        if (hoteli_log_due(&hoteli_g.logged_ms[id], now_ms))
            hoteli_log(HOTEL_LOG_WARN, (hotel_log_id)id, hoteli_log_sentence(id));
    }
}

/* ==== [SECTION 25] CLOCK AND RANDOM ======================================================== */

static uint64_t hoteli_clock_ns(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Never 0, so that 0 can mean "not yet". */
static int64_t hoteli_now_ms(void) {
    return (int64_t)(hoteli_clock_ns(CLOCK_MONOTONIC) / 1000000u) + 1;
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
    uint64_t ticks = 0, mono = hoteli_read_pair(CLOCK_MONOTONIC, &ticks);
    if (!anchor->base_ticks) {
        anchor->base_ticks = ticks;
        anchor->base_ns = mono;
        anchor->ns_per_tick = 1.0;
    } else if (ticks > anchor->base_ticks && HOTELI_GET(hoteli_g.use_ticks)) {
        anchor->ns_per_tick =
            (double)(mono - anchor->base_ns) / (double)(ticks - anchor->base_ticks);
    }
    anchor->unix_ns = hoteli_read_pair(CLOCK_REALTIME, &anchor->ticks);
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

/* The key of this process: from the kernel, else from what differs between processes. */
static void hoteli_new_key(void) {
    uint64_t key[4];
    ssize_t n = -1;
    int i;
#if defined(__linux__)
    n = getrandom(key, sizeof key, GRND_NONBLOCK);
#else
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, key, sizeof key);
        (void)close(fd);
    }
#endif
    if (n != (ssize_t)sizeof key) {
        uint64_t seed = hoteli_clock_ns(CLOCK_REALTIME) ^ ((uint64_t)getpid() << 32) ^
                        hoteli_clock_ns(CLOCK_MONOTONIC) ^ (uint64_t)(uintptr_t)&key;
        for (i = 0; i < 4; i++) key[i] = seed = hoteli_mix(seed + hoteli_g.key[i]);
    }
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

/* ==== [SECTION 26] ARENA =================================================================== */

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
    if (size > HOTELI_GET(hoteli_g.max_span_bytes)) return block;
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

/* ==== [SECTION 27] WRITING OTLP VALUES ===================================================== */

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

static void hoteli_write_text(hoteli_cursor *c, uint8_t tag, const char *text, size_t size) {
    const char *end = text + size;
    if (hoteli_utf8_valid(text, size)) {
        hoteli_write_field(c, tag, text, size);
        return;
    }
    hoteli_repaired();
    hoteli_write_head(c, tag, hoteli_utf8_repaired_size(text, size));
    while (text < end) {
        size_t n = hoteli_utf8_sequence(text, (size_t)(end - text));
        hoteli_write(c, n ? text : "\xef\xbf\xbd", n ? n : 3);
        text += n ? n : 1;
    }
}

/* What a value really is: pointers that are NULL make it empty. */
static inline hotel_type hoteli_type(const hotel_value *v) {
    bool scalar = v->type >= HOTEL_TYPE_BOOL && v->type <= HOTEL_TYPE_DOUBLE;
    return scalar || v->as.bytes ? v->type : HOTEL_TYPE_EMPTY;
}

/* Length after the limit: code points of a string, bytes of a byte string (SP-35). */
static inline size_t hoteli_limited(const hotel_value *v) {
    uint32_t limit = HOTELI_GET(hoteli_g.limits.attribute_value_length);
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
    case HOTEL_TYPE_ARRAY: return v->as.values[i];
    default: return hotel_of_empty();
    }
}

/* Will the two keys be the same on the wire? Those that are not UTF-8 are repaired there, and
   different ones may become equal; only keys up to this size are looked at so closely. */
#define HOTELI_REPAIRED_KEY 256u

static bool hoteli_same_text(const char *a, size_t a_size, const char *b, size_t b_size) {
    char x[3 * HOTELI_REPAIRED_KEY], y[3 * HOTELI_REPAIRED_KEY];
    if (a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0)) return true;
    if (a_size > HOTELI_REPAIRED_KEY || b_size > HOTELI_REPAIRED_KEY) return false;
    if (hoteli_utf8_valid(a, a_size) && hoteli_utf8_valid(b, b_size)) return false;
    if (hoteli_utf8_repaired_size(a, a_size) != hoteli_utf8_repaired_size(b, b_size)) return false;
    a_size = hoteli_utf8_repair(x, a, a_size);
    (void)hoteli_utf8_repair(y, b, b_size);
    return memcmp(x, y, a_size) == 0;
}

static bool hoteli_same_key(const hotel_attr *a, const hotel_attr *b) {
    return a->key && b->key && hoteli_same_text(a->key, a->key_size, b->key, b->key_size);
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
        unsigned hash = list[i].key ? hoteli_key_hash((const uint8_t *)list[i].key,
                                                      list[i].key_size) : 0;
        u->repeats = hoteli_filter_has(&seen, hash);
        hoteli_filter_add(&seen, hash);
    }
}

/* The last attribute with the key of list[first]; NULL if that key came before. */
static const hotel_attr *hoteli_last_of(const hotel_attr *list, size_t count, size_t first) {
    size_t i;
    for (i = 0; i < first; i++)
        if (hoteli_same_key(&list[i], &list[first])) return NULL;
    for (i = count; --i > first;)
        if (hoteli_same_key(&list[i], &list[first])) break;
    return &list[i];
}

static const hotel_attr *hoteli_unique_next(hoteli_unique *u) {
    while (u->at < u->count) {
        const hotel_attr *a = &u->list[u->at++];
        if (!a->key || !a->key_size) continue;
        if (HOTELI_UNLIKELY(u->repeats)) a = hoteli_last_of(u->list, u->count, u->at - 1);
        if (a) return a;
    }
    return NULL;
}

static size_t hoteli_value_size(const hotel_value *v, uint32_t depth);
static size_t hoteli_attr_size(const hotel_attr *a, uint32_t depth);
static void hoteli_write_attr(hoteli_cursor *c, uint8_t tag, const hotel_attr *a, uint32_t depth);

/* Bytes of an AnyValue. depth counts containers from 1 (SP-36). */
static HOTELI_COLD size_t hoteli_container_size(const hotel_value *v, uint32_t depth) {
    size_t size = 0;
    uint32_t i;
    if (depth > HOTELI_GET(hoteli_g.limits.attribute_value_depth)) return 0;
    if (v->type == HOTEL_TYPE_MAP) {
        hoteli_unique u;
        const hotel_attr *a;
        hoteli_unique_start(&u, v->as.entries, v->size);
        while ((a = hoteli_unique_next(&u)) != NULL)
            size += hoteli_field_size(hoteli_attr_size(a, depth + 1));
    } else {
        for (i = 0; i < v->size; i++) {
            hotel_value e = hoteli_element(v, i);
            size += hoteli_field_size(hoteli_value_size(&e, depth + 1));
        }
    }
    return hoteli_field_size(size);
}

static size_t hoteli_value_size(const hotel_value *v, uint32_t depth) {
    switch (hoteli_type(v)) {
    case HOTEL_TYPE_STRING:
    case HOTEL_TYPE_BYTES: return hoteli_field_size(hoteli_limited(v));
    case HOTEL_TYPE_INT: return 1 + hoteli_varint_size((uint64_t)v->as.integer);
    case HOTEL_TYPE_BOOL: return 2;
    case HOTEL_TYPE_DOUBLE: return 9;
    case HOTEL_TYPE_EMPTY: return 0;
    default: return v->type <= HOTEL_TYPE_MAP ? hoteli_container_size(v, depth) : 0;
    }
}

/* Bytes of a KeyValue without tag and length. */
static size_t hoteli_attr_size(const hotel_attr *a, uint32_t depth) {
    return hoteli_field_size(hoteli_text_bytes(a->key, a->key_size)) +
           hoteli_field_size(hoteli_value_size(&a->value, depth));
}

static void hoteli_write_value(hoteli_cursor *c, const hotel_value *v, uint32_t depth);

static HOTELI_COLD void hoteli_write_container(hoteli_cursor *c, const hotel_value *v,
                                               uint32_t depth) {
    size_t whole = hoteli_container_size(v, depth), size;
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
        while ((a = hoteli_unique_next(&u)) != NULL) hoteli_write_attr(c, 0x0a, a, depth + 1);
        return;
    }
    for (i = 0; i < v->size; i++) {
        hotel_value e = hoteli_element(v, i);
        hoteli_write_head(c, 0x0a, hoteli_value_size(&e, depth + 1));
        hoteli_write_value(c, &e, depth + 1);
    }
}

static void hoteli_write_value(hoteli_cursor *c, const hotel_value *v, uint32_t depth) {
    switch (hoteli_type(v)) {
    case HOTEL_TYPE_STRING: {
        /* A string value that is not UTF-8 goes out as bytes (SP-41). */
        size_t size = hoteli_limited(v);
        bool valid = hoteli_utf8_valid(v->as.string, size);
        if (!valid) hoteli_repaired();
        hoteli_write_field(c, valid ? 0x0a : 0x3a, v->as.string, size);
        break;
    }
    case HOTEL_TYPE_BYTES: hoteli_write_field(c, 0x3a, v->as.bytes, hoteli_limited(v)); break;
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
        if (v->type <= HOTEL_TYPE_MAP) hoteli_write_container(c, v, depth);
        break;
    }
}

static void hoteli_write_attr(hoteli_cursor *c, uint8_t tag, const hotel_attr *a, uint32_t depth) {
    size_t value = hoteli_value_size(&a->value, depth);
    size_t key = hoteli_text_bytes(a->key, a->key_size);
    hoteli_write_head(c, tag, hoteli_field_size(key) + hoteli_field_size(value));
    hoteli_write_text(c, 0x0a, a->key, a->key_size);
    hoteli_write_head(c, 0x12, value);
    hoteli_write_value(c, &a->value, depth);
}

/* A list of attributes as fields with that tag; out NULL only measures. limit counts unique
   keys, what is over it is added to *dropped. */
static size_t hoteli_write_attrs(hoteli_cursor *out, uint8_t tag, const hotel_attr *list,
                                 size_t count, uint32_t limit, uint32_t *dropped) {
    hoteli_unique u;
    const hotel_attr *a;
    size_t size = 0;
    uint32_t kept = 0;
    hoteli_unique_start(&u, list, count);
    while ((a = hoteli_unique_next(&u)) != NULL) {
        if (kept >= limit) {
            ++*dropped;
            continue;
        }
        kept++;
        size += hoteli_field_size(hoteli_attr_size(a, 1));
        if (out) hoteli_write_attr(out, tag, a, 1);
    }
    return size;
}

/* A block of up to HOTELI_BLOCK_KEYS attributes, encoded as they stand in a span. */
static hotel_block hoteli_block_of_attrs(const hotel_attr *list, size_t count) {
    uint32_t dropped = 0;
    hoteli_cursor c;
    size_t i, size = hoteli_write_attrs(NULL, 0, list, count, UINT32_MAX, &dropped);
    hotel_block block = {0, 0};
    hoteli_block_head *head;
    if (!size || count > HOTELI_BLOCK_KEYS) return block;
    block = hoteli_block_new(size, &c);
    if (!block.index) {
        hoteli_count(&hoteli_g.limited, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return block;
    }
    (void)hoteli_write_attrs(&c, HOTELI_TAG_ATTRIBUTE, list, count, UINT32_MAX, &dropped);
    head = hoteli_block_at(block.index);
    for (i = 0; i < count; i++)
        head->keys[i] = (uint16_t)hoteli_key_hash((const uint8_t *)list[i].key, list[i].key_size);
    head->num_keys = (uint16_t)count;
    hoteli_block_ready(&block);
    return block;
}

/* ==== [SECTION 28] INSIDE A SPAN =========================================================== */

static HOTELI_COLD void hoteli_bad_argument(void) {
    hoteli_count(&hoteli_g.bad_arguments, 1);
    hoteli_log_later(HOTEL_LOG_ID_BAD_ARGUMENT);
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

/* Finds the entry with that tag, and for attributes that key (a place of key_size bytes). */
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
        uint32_t limit = HOTELI_GET(hoteli_g.limits.attribute_count);
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

/* Sixteen bytes at once where the machine can. */
typedef uint64_t hoteli_pair64 __attribute__((vector_size(16)));

/* Copies a text and says whether it is all ASCII: in pieces of which the last one overlaps. */
static inline bool hoteli_copy_text(uint8_t *to, const void *text, size_t size) {
    const uint8_t *from = (const uint8_t *)text;
    uint64_t a = 0, b = 0;
    size_t i;
    if (size >= 16) {
        hoteli_pair64 seen, piece;
        memcpy(&seen, from + size - 16, 16);
        memcpy(to + size - 16, &seen, 16);
        for (i = 0; i + 16 < size; i += 16) {
            memcpy(&piece, from + i, 16);
            memcpy(to + i, &piece, 16);
            seen |= piece;
        }
        a = seen[0] | seen[1];
    } else if (size >= 8) {
        memcpy(&a, from, 8);
        memcpy(&b, from + size - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + size - 8, &b, 8);
    } else if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, from, 4);
        memcpy(&high, from + size - 4, 4);
        memcpy(to, &low, 4);
        memcpy(to + size - 4, &high, 4);
        a = low | high;
    } else {
        for (i = 0; i < size; i++) a |= to[i] = from[i];
    }
    return !((a | b) & HOTELI_BYTES(0x80));
}

/* The common case, in one go: a scalar or bytes under a new key, texts all ASCII, everything short,
   space in the chunk. Writes what hoteli_write_attr would write, or nothing that counts. What is
   needed twice is read once: the compiler takes every byte written for a change of all that. */
static inline bool hoteli_put_short(hoteli_writer *w, const hotel_attr *a, unsigned hash) {
    hoteli_record *r = w->record;
    const hotel_type type = a->value.type;
    const char *text = a->value.as.string;
    const size_t key = a->key_size;
    const bool sized = type == HOTEL_TYPE_STRING || type == HOTEL_TYPE_BYTES;
    size_t size = sized ? a->value.size : 0;
    uint8_t *at = w->at, *value = at + 4 + key; /* tag and length, then the AnyValue */
    if (HOTELI_UNLIKELY(!w->owner || key + size > 110 || (size_t)(w->end - at) < key + size + 20 ||
                        (sized && !text) || hoteli_filter_has(&r->filter, hash) ||
                        size > HOTELI_GET(hoteli_g.limits.attribute_value_length) ||
                        r->num_attributes >= HOTELI_GET(hoteli_g.limits.attribute_count)))
        return false;
    if (HOTELI_UNLIKELY(!hoteli_copy_text(at + 4, a->key, key))) return false;
    if (sized) {
        bool ascii = hoteli_copy_text(value + 4, text, size);
        if (HOTELI_UNLIKELY(!ascii && type == HOTEL_TYPE_STRING)) return false;
        value[2] = type == HOTEL_TYPE_STRING ? 0x0a : 0x3a;
        value[3] = (uint8_t)size;
        size += 2;
    } else if (type == HOTEL_TYPE_INT) {
        uint64_t n = (uint64_t)a->value.as.integer;
        value[2] = 0x18;
        for (size = 1; n >= 0x80; n >>= 7) value[2 + size++] = (uint8_t)(n | 0x80);
        value[2 + size++] = (uint8_t)n;
    } else if (type == HOTEL_TYPE_BOOL) {
        value[2] = 0x10;
        value[3] = a->value.as.boolean ? 1 : 0;
        size = 2;
    } else {
        return false;
    }
    value[0] = 0x12;
    value[1] = (uint8_t)size;
    size += 6 + key;
    at[0] = HOTELI_TAG_ATTRIBUTE;
    at[1] = (uint8_t)(size - 2);
    at[2] = 0x0a;
    at[3] = (uint8_t)key;
    w->at = at + size;
    r->size += (uint32_t)size;
    r->num_attributes++;
    hoteli_filter_add(&r->filter, hash);
    return true;
}

static void hoteli_put_attribute(hoteli_writer *w, const hotel_attr *a);

/* Under a key that is not UTF-8: repaired here, so that it replaces an equal one. */
static HOTELI_COLD bool hoteli_put_repaired(hoteli_writer *w, const hotel_attr *a) {
    char key[3 * HOTELI_REPAIRED_KEY];
    hotel_attr sound = *a;
    if (a->key_size > HOTELI_REPAIRED_KEY || hoteli_utf8_valid(a->key, a->key_size)) return false;
    hoteli_repaired();
    sound.key = key;
    sound.key_size = hoteli_utf8_repair(key, a->key, a->key_size);
    hoteli_put_attribute(w, &sound);
    return true;
}

/* Measured first, then written, in as many chunks as it takes. */
static HOTELI_COLD void hoteli_put_measured(hoteli_writer *w, const hotel_attr *a) {
    hoteli_cursor c, key;
    unsigned hash = hoteli_key_hash((const uint8_t *)a->key, a->key_size);
    size_t size;
    if (hash == HOTELI_OTHER_KEY && hoteli_put_repaired(w, a)) return;
    size = hoteli_field_size(hoteli_attr_size(a, 1));
    key = hoteli_cursor_flat((const uint8_t *)a->key, a->key_size);
    if (hoteli_place_attribute(w, &key, a->key_size, hash, size, &c))
        hoteli_write_attr(&c, HOTELI_TAG_ATTRIBUTE, a, 1);
}

static inline void hoteli_put_attribute(hoteli_writer *w, const hotel_attr *a) {
    unsigned hash;
    if (HOTELI_UNLIKELY(!a->key || !a->key_size || a->value.type > HOTEL_TYPE_MAP)) {
        hoteli_bad_argument();
        return;
    }
    hash = hoteli_ascii_hash((const uint8_t *)a->key, a->key_size);
    if (HOTELI_UNLIKELY(!hoteli_put_short(w, a, hash))) hoteli_put_measured(w, a);
}

/* Space for an event or a link, within its limit; false: dropped. */
static bool hoteli_place_item(hoteli_writer *w, uint8_t tag, size_t size, hoteli_cursor *c) {
    hoteli_record *record = w->record;
    bool link = tag == HOTELI_TAG_LINK;
    uint16_t *count = link ? &record->num_links : &record->num_events;
    uint32_t *dropped = link ? &record->dropped_links : &record->dropped_events;
    uint32_t limit = link ? HOTELI_GET(hoteli_g.limits.link_count)
                          : HOTELI_GET(hoteli_g.limits.event_count);
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

static uint64_t hoteli_now_stamp(bool *given) {
    uint64_t (*now_ns_fn)(void *) = HOTELI_GET(hoteli_g.clock.now_ns_fn);
    if (HOTELI_UNLIKELY(now_ns_fn != NULL)) {
        *given = true;
        return now_ns_fn(HOTELI_GET(hoteli_g.clock.user_data));
    }
    *given = false;
    return hoteli_ticks();
}

/* An event; own are attributes that give way to those of the caller. */
static void hoteli_put_event(hoteli_writer *w, const hotel_event *event, const hotel_attr *own,
                             size_t num_own) {
    uint32_t most = HOTELI_GET(hoteli_g.limits.event_attribute_count), limit = most;
    uint32_t dropped = 0, ignored = 0;
    size_t name = event->name ? event->name_size ? event->name_size : strlen(event->name) : 0;
    uint64_t time = event->time_ns;
    bool given = true;
    size_t own_size, size;
    hoteli_cursor c;
    uint8_t tag;
    if (!time) time = hoteli_now_stamp(&given);
    own_size = hoteli_write_attrs(NULL, 0, own, num_own, limit, &dropped);
    limit -= HOTELI_MIN(limit, (uint32_t)num_own);
    size = 9 + (name ? hoteli_field_size(hoteli_text_bytes(event->name, name)) : 0) + own_size +
           hoteli_write_attrs(NULL, 0, event->attributes, event->num_attributes, limit, &dropped);
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
    (void)hoteli_write_attrs(&c, 0x1a, own, num_own, most, &ignored);
    (void)hoteli_write_attrs(&c, 0x1a, event->attributes, event->num_attributes, limit, &ignored);
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
    uint32_t limit = HOTELI_GET(hoteli_g.limits.link_attribute_count), dropped = 0, ignored = 0;
    bool state = to->trace_state.index && hoteli_block_hold(to->trace_state);
    size_t state_size = state ? hoteli_block_at(to->trace_state.index)->size : 0, size;
    hoteli_cursor c, from;
    if (to->trace_state.index && !state) hoteli_stale();
    if (!hoteli_valid_ids(to) && !state && (!link->attributes || !link->num_attributes)) return;
    size = 18 + 10 + (state ? hoteli_field_size(state_size) : 0) + 5 +
           hoteli_write_attrs(NULL, 0, link->attributes, link->num_attributes, limit, &dropped);
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
        (void)hoteli_write_attrs(&c, 0x22, link->attributes, link->num_attributes, limit, &ignored);
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
    if (hoteli_g.no_threads || hoteli_g.pipe_lost || !hoteli_g.wake_pipe[1] ||
        !hoteli_flag_swap(&hoteli_g.sleeping, 0))
        return;
    while (write(hoteli_g.wake_pipe[1], "", 1) < 0 && errno == EINTR) continue;
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

static HOTELI_COLD void hoteli_late(void);

/* Hands an ended span over; nobody else is inside any more. */
static void hoteli_publish(hoteli_record *record, uint32_t index) {
    hoteli_shard *shard = &hoteli_g.shards[hoteli_t.shard & hoteli_g.shard_mask];
    uintptr_t head, next, step = HOTELI_GET(hoteli_g.wake_step);
    uint32_t further;
    if (HOTELI_UNLIKELY(hoteli_flag_load(&record->side) != 0)) {
        hoteli_writer w;
        hoteli_writer_own(&w, record, index);
        hoteli_splice(&w);
        hoteli_writer_save(&w);
    }
    further = HOTELI_UNLIKELY(record->more) ? record->size / HOTELI_MORE_ROOM : 0;
    head = hoteli_load_relaxed(&shard->ended);
    do {
        hoteli_link_set(&record->chunk.next, (uint32_t)(head & HOTELI_INDEX_MASK));
        next = (head & ~HOTELI_INDEX_MASK) + HOTELI_ONE + index;
    } while (!hoteli_cas(&shard->ended, &head, next));
    if (((next >> HOTELI_INDEX_BITS) & (step - 1)) != 0) step = 0;
    if (HOTELI_UNLIKELY(step + further)) hoteli_wake_check(step + further);
    if (HOTELI_UNLIKELY(__atomic_load_n(&hoteli_g.closed.bits, __ATOMIC_SEQ_CST))) hoteli_late();
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

static void hoteli_end(const hotel_span *span, uint64_t time_ns) {
    hoteli_record *record;
    uintptr_t state, next;
    bool given = true;
    uint64_t time = time_ns;
    if (!span || !span->record || span->epoch != hoteli_epoch() ||
        HOTELI_UNLIKELY(span->record > hoteli_g.num_chunks))
        return;
    if (HOTELI_LIKELY(!time)) time = hoteli_now_stamp(&given);
    record = hoteli_record_at(span->record);
    state = hoteli_load(&record->chunk.state);
    do {
        if (HOTELI_UNLIKELY((uint32_t)(state >> HOTELI_GENERATION_SHIFT) != span->generation ||
                            (state & HOTELI_ENDED) || (state & HOTELI_COUNT) == HOTELI_COUNT))
            return;
        /* Nobody inside: ended keeps everybody out, so there is no need to enter. */
        next = (state & HOTELI_COUNT) ? (state | HOTELI_ENDED) + 1 : state | HOTELI_ENDED;
    } while (!hoteli_cas(&record->chunk.state, &state, next));
    record->end = time;
    record->end_given = given;
    if ((state & HOTELI_COUNT) && (hoteli_sub(&record->chunk.state, 1) & HOTELI_COUNT) != 1) return;
    hoteli_publish(record, span->record);
}

/* ==== [SECTION 29] SCOPES AND RESOURCE ===================================================== */

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
                  hoteli_write_attrs(NULL, 0, t->attributes, t->num_attributes, UINT32_MAX,
                                     &dropped);
    *prefix = hoteli_field_size(body);
    if (out) {
        hoteli_write_head(out, 0x0a, body);
        (void)hoteli_optional_text(out, 0x0a, t->name);
        (void)hoteli_optional_text(out, 0x12, t->version);
        (void)hoteli_write_attrs(out, 0x1a, t->attributes, t->num_attributes, UINT32_MAX, &dropped);
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
            size_t n = a->key && b->key ? HOTELI_MIN(a->key_size, b->key_size) : 0;
            int order = n ? memcmp(b->key, a->key, n) : 0;
            if (order < 0 || (order == 0 && b->key_size <= a->key_size)) break;
            sorted[k] = *b;
        }
        sorted[k] = *a;
    }
    t->attributes = sorted;
}

/* Interns a scope; 0-based index, or the default one when there is no room. Under the lock. */
static uint32_t hoteli_scope_intern(const hotel_tracer_config *asked) {
    hotel_tracer_config sorted_by_key = *asked;
    const hotel_tracer_config *t = &sorted_by_key;
    hoteli_cursor c;
    hotel_attr sorted[32];
    size_t prefix, size;
    hotel_block block;
    uint8_t bytes[HOTELI_SCOPE_SIZE];
    uint32_t i;
    hoteli_scope_sort(&sorted_by_key, sorted, sizeof sorted / sizeof sorted[0]);
    size = hoteli_write_scope(NULL, t, &prefix);
    if (size > sizeof bytes) goto full;
    c = hoteli_cursor_flat(bytes, size);
    (void)hoteli_write_scope(&c, t, &prefix);
    for (i = 0; i < hoteli_g.num_scopes; i++) {
        uint32_t other = hoteli_g.scopes[i].block.index;
        if (hoteli_block_at(other)->size == size && hoteli_g.scopes[i].prefix == prefix &&
            hoteli_same(hoteli_block_cursor(other), hoteli_cursor_flat(bytes, size), size))
            return i;
    }
    if (i == HOTELI_MAX_SCOPES) goto full;
    block = hoteli_block_new(size, &c);
    if (!block.index) goto full;
    hoteli_write(&c, bytes, size);
    hoteli_block_ready(&block);
    hoteli_g.scopes[i].block = block;
    hoteli_g.scopes[i].prefix = (uint32_t)prefix;
    hoteli_g.num_scopes++;
    return i;
full:
    hoteli_log_later(HOTEL_LOG_ID_TOO_MANY_SCOPES);
    return HOTELI_GET(hoteli_g.default_scope);
}

/* A tracer names its scope by index + 1; one from before hotel_release, or garbage, is the
   default one. */
static uint16_t hoteli_scope_of(hotel_tracer tracer) {
    uint32_t i = tracer.scope - 1;
    if (i < HOTELI_MAX_SCOPES && hoteli_g.scopes[i].block.index &&
        hoteli_g.scopes[i].block.generation == tracer.generation)
        return (uint16_t)i;
    return (uint16_t)HOTELI_GET(hoteli_g.default_scope);
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

/* ==== [SECTION 30] THREADS AND CURRENT CONTEXT ============================================= */

static bool hoteli_rebuild(void);

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

static hotel_token hoteli_attach(const hotel_context *context) {
    hoteli_thread *t = &hoteli_t;
    hotel_token token;
    token.depth = t->depth + 1;
    token.serial = ++t->serial;
    if (token.depth <= HATCHET_OTEL_MAX_ATTACHED) {
        hoteli_slot *slot = &t->slots[token.depth - 1];
        if (context) slot->context = *context;
        else memset(&slot->context, 0, sizeof slot->context);
        slot->serial = token.serial;
    } else {
        hoteli_log_later(HOTEL_LOG_ID_ATTACH_DEPTH);
    }
    /* A signal handler sees the slot when it is whole. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->depth = token.depth;
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

/* ==== [SECTION 31] STARTING SPANS ========================================================== */

/* The built-in samplers look at the parent only. */
static inline bool hoteli_sampled(bool has_parent, uint8_t parent_flags) {
    switch (HOTELI_GET(hoteli_g.sampler)) {
    case HOTEL_SAMPLER_ALWAYS_ON: return true;
    case HOTEL_SAMPLER_ALWAYS_OFF: return false;
    case HOTEL_SAMPLER_PARENT_BASED_ALWAYS_OFF:
        return has_parent && (parent_flags & HOTEL_FLAG_SAMPLED);
    default: return !has_parent || (parent_flags & HOTEL_FLAG_SAMPLED);
    }
}

static HOTELI_COLD void hoteli_custom_ids(hotel_span_context *context, bool root) {
    const hotel_id_generator *g = &hoteli_g.id_generator;
    hotel_span_context made = *context;
    if (root) {
        g->trace_id_fn(made.trace_id, g->user_data);
        made.trace_flags = g->is_random ? HOTEL_FLAG_RANDOM : 0;
    }
    g->span_id_fn(made.span_id, g->user_data);
    if (hoteli_valid_ids(&made)) *context = made;
}

/* New IDs: a span ID always, a trace ID for a root (SP-10, SP-70, SP-72). */
static inline void hoteli_new_ids(hoteli_thread *t, hotel_span_context *context, bool root) {
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
    if (HOTELI_UNLIKELY(hoteli_g.id_generator.trace_id_fn != NULL))
        hoteli_custom_ids(context, root);
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

static HOTELI_COLD void hoteli_start_extras(hoteli_writer *w, const hotel_start_options *o) {
    size_t i;
    for (i = 0; o->attributes && i < o->num_attributes; i++)
        hoteli_put_attribute(w, &o->attributes[i]);
    for (i = 0; o->links && i < o->num_links; i++) hoteli_put_link(w, &o->links[i]);
}

/* The record becomes a span: its handle's generation, its first entries, its start. */
static inline void hoteli_record_open(hotel_span *span, const char *name, size_t name_size,
                                      const hotel_start_options *o) {
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
    if (o && (o->num_attributes || o->num_links)) hoteli_start_extras(&w, o);
    hoteli_writer_save(&w);
    r->start = o ? o->start_time_ns : 0;
    if (HOTELI_LIKELY(!r->start)) r->start = hoteli_now_stamp(&given);
    if (HOTELI_UNLIKELY(given)) r->flags |= HOTELI_START_GIVEN;
    hoteli_store(&r->chunk.state, state);
}

/* The one way to a span. in NULL: the thread's current context. name_size 0: up to the NUL, which
   is looked for when a span is recorded only. Sampling is decided before any work; the clock is
   read last, so that a span does not measure its own making. */
static hotel_span hoteli_start(const char *name, size_t name_size, const hotel_context *in,
                               int kind, const hotel_start_options *o) {
    hoteli_thread *t = &hoteli_t;
    bool ready = hoteli_ready(t);
    const hotel_context *context = in ? in : hoteli_top(t);
    const hotel_span *parent = context && !(o && o->root) ? &context->span : NULL;
    hoteli_shard *shard;
    hoteli_record *r;
    hotel_span span;
    if (parent && HOTELI_UNLIKELY(!hoteli_valid_ids(&parent->context))) parent = NULL;
    if (HOTELI_UNLIKELY(!ready)) return hoteli_carrier(parent ? &parent->context : NULL);
    shard = &hoteli_g.shards[t->shard];
    span = hoteli_carrier(parent ? &parent->context : NULL);
    span.context.is_remote = false;
    hoteli_new_ids(t, &span.context, !parent);
    if (!hoteli_sampled(parent != NULL, span.context.trace_flags)) {
        span.context.trace_flags &= HOTEL_FLAG_RANDOM;
        hoteli_count(&shard->unsampled, 1);
        return span;
    }
    span.context.trace_flags |= HOTEL_FLAG_SAMPLED;
    if (HOTELI_UNLIKELY(!hoteli_record_new(t, &span, parent))) {
        hoteli_count(&shard->not_admitted, 1);
        hoteli_log_later(HOTEL_LOG_ID_ARENA_FULL);
        if (parent) return hoteli_carrier(&parent->context);
        span.context.trace_flags &= HOTEL_FLAG_RANDOM;
        return span;
    }
    r = hoteli_record_at(span.record);
    r->kind = (uint8_t)(kind >= HOTEL_INTERNAL && kind <= HOTEL_CONSUMER ? kind : HOTEL_INTERNAL);
    r->scope = (uint16_t)HOTELI_GET(hoteli_g.default_scope);
    if (o && o->tracer.scope) r->scope = hoteli_scope_of(o->tracer);
    if (context) hoteli_inherit(r, &span, context->values);
    if (!name_size) name_size = hotel_text_size(name);
    hoteli_record_open(&span, name, name_size, o);
    return span;
}

/* ==== [SECTION 32] OTLP ENCODING =========================================================== */

/* A payload in one piece: in place where it is one chunk, else copied to a scratch buffer. */
static const uint8_t *hoteli_flat(hoteli_cursor c, size_t size, uint8_t *scratch) {
    if (size <= (size_t)(c.end - c.at)) return c.at;
    if (size > HOTELI_GET(hoteli_g.max_span_bytes)) return NULL;
    hoteli_read(&c, scratch, size);
    return scratch;
}

/* A block's bytes, if it is still the one meant. Blocks recur from span to span: their scratch
   buffers (1 or 2) keep the last one. */
static const uint8_t *hoteli_flat_block(hotel_block block, int buffer, size_t *size) {
    hoteli_block_head *head;
    hoteli_cursor c;
    *size = 0;
    if (!block.index || hoteli_chunk_at(block.index)->kind != HOTELI_BLOCK ||
        (uint32_t)(hoteli_load(&hoteli_chunk_at(block.index)->state) >> HOTELI_GENERATION_SHIFT) !=
            block.generation)
        return NULL;
    head = hoteli_block_at(block.index);
    c = hoteli_block_cursor(block.index);
    *size = HOTELI_MIN(head->size, buffer == 2 ? HOTELI_STATE_SIZE
                                               : HOTELI_GET(hoteli_g.max_span_bytes));
    if (*size <= (size_t)(c.end - c.at)) return c.at;
    if (hoteli_g.scratch_block[buffer].index != block.index ||
        hoteli_g.scratch_block[buffer].generation != block.generation) {
        hoteli_read(&c, hoteli_g.scratch[buffer], *size);
        hoteli_g.scratch_block[buffer] = block;
    }
    return hoteli_g.scratch[buffer];
}

/* A span on its way out: its payload in one piece, and what has to be done to it. */
typedef struct hoteli_view {
    hoteli_record *record;
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
static size_t hoteli_write_entry(const hoteli_entry *e, uint8_t *out) {
    if (e->tag == HOTELI_TAG_DEAD) return 0;
    if (out && e->tag == HOTELI_TAG_TICK_EVENT) {
        const uint8_t *from = e->body.at + 1;
        hoteli_cursor c = hoteli_cursor_flat(out, e->size);
        uint64_t ticks = 0;
        int i;
        for (i = 7; i >= 0; i--) ticks = ticks << 8 | from[i];
        hoteli_write_head(&c, HOTELI_TAG_EVENT, e->body_size);
        hoteli_write_byte(&c, 0x09);
        hoteli_write_fixed64(&c, hoteli_anchor_time(&hoteli_g.anchor, ticks));
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
        total += hoteli_write_entry(&e, out ? out + total : NULL);
    }
    return total;
}

/* Looks at a record and measures what it takes on the wire. */
static void hoteli_view_start(hoteli_view *v, uint32_t index) {
    hoteli_record *r = hoteli_record_at(index);
    memset(v, 0, sizeof *v);
    v->record = r;
    v->payload = hoteli_flat(hoteli_record_cursor(r), r->size, hoteli_g.scratch[0]);
    v->values = hoteli_flat_block(r->values, 1, &v->values_size);
    v->state_size = 0;
    if (r->trace_state.index) v->state = hoteli_flat_block(r->trace_state, 2, &v->state_size);
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
    hoteli_write_fixed64(&c, given ? r->start : hoteli_anchor_time(&hoteli_g.anchor, r->start));
    hoteli_write_byte(&c, 0x41);
    hoteli_write_fixed64(&c, r->end_given ? r->end : hoteli_anchor_time(&hoteli_g.anchor, r->end));
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
    size_t body = hoteli_g.resource_size + hoteli_g.resource_schema_size;
    uint32_t i;
    for (i = 0; i < b->num_scopes; i++)
        body += hoteli_field_size(hoteli_scope_bytes(b, b->order[i]));
    return body;
}

/* Chooses how many spans go: up to max_batch, and as many as fit. The wire size of each is kept
   in its record until it is written. */
static void hoteli_batch_choose(hoteli_batch *b, hoteli_destination *d, size_t room) {
    memset(b, 0, sizeof *b);
    while (b->count < d->count && b->count < d->max_batch) {
        hoteli_view v;
        uint32_t index = hoteli_queue_at(d, b->count), scope;
        if (b->count + 1 < d->count)
            __builtin_prefetch(hoteli_record_at(hoteli_queue_at(d, b->count + 1)), 0);
        hoteli_view_start(&v, index);
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
    hoteli_write(&c, hoteli_g.resource, hoteli_g.resource_size);
    for (s = 0; s < b->num_scopes; s++) {
        uint32_t scope = b->order[s];
        hoteli_cursor text = hoteli_block_cursor(hoteli_g.scopes[scope].block.index);
        size_t whole = hoteli_block_at(hoteli_g.scopes[scope].block.index)->size;
        size_t prefix = hoteli_g.scopes[scope].prefix;
        hoteli_write_head(&c, 0x12, hoteli_scope_bytes(b, scope));
        hoteli_copy(&c, &text, prefix);
        for (i = 0; i < b->count; i++) {
            hoteli_view v;
            uint32_t index = hoteli_queue_at(d, i);
            if (hoteli_record_at(index)->scope != scope) continue;
            hoteli_view_start(&v, index);
            c.at = hoteli_write_span(&v, c.at);
        }
        hoteli_copy(&c, &text, whole - prefix);
    }
    hoteli_write(&c, hoteli_g.resource_schema, hoteli_g.resource_schema_size);
}

/* ==== [SECTION 33] SOCKETS ================================================================= */

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

/* A thread with all signals blocked: none of the host's handlers runs on it. */
static int hoteli_thread_start(pthread_t *thread, void *(*run)(void *), void *argument,
                               bool detached) {
    pthread_attr_t attributes;
    sigset_t all, old;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    if (detached) (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(thread, &attributes, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error;
}

static void hoteli_socket_add(hoteli_socket *s, const struct sockaddr_storage *address) {
    struct sockaddr_storage a = *address;
    if (s->count >= sizeof s->addresses / sizeof s->addresses[0]) return;
    if (a.ss_family == AF_INET) ((struct sockaddr_in *)(void *)&a)->sin_port = htons(s->port);
    else if (a.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&a)->sin6_port = htons(s->port);
    else if (a.ss_family != AF_UNIX) return;
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
        struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a;
        a.ss_family = AF_UNIX;
        memcpy(un->sun_path, host, HOTELI_MIN(strlen(host), sizeof un->sun_path - 1));
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

static bool hoteli_set_flags(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Starts to connect to the next address. */
static int hoteli_socket_try(hoteli_socket *s) {
    const struct sockaddr_storage *a = &s->addresses[s->next++];
    socklen_t size = a->ss_family == AF_INET    ? (socklen_t)sizeof(struct sockaddr_in)
                     : a->ss_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                : (socklen_t)sizeof(struct sockaddr_un);
    int one = 1;
#ifdef SOCK_CLOEXEC
    s->fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
    s->fd = socket(a->ss_family, SOCK_STREAM, 0);
#endif
    if (s->fd < 0) return HOTEL_IO_REFUSED;
    if (!hoteli_set_flags(s->fd)) return HOTEL_IO_REFUSED;
    if (a->ss_family != AF_UNIX)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef SO_NOSIGPIPE
    (void)setsockopt(s->fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
    s->started_ms = hoteli_now_ms();
    if (connect(s->fd, (const struct sockaddr *)(const void *)a, size) == 0) {
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
    return hoteli_socket_result(send(s->fd, bytes, size, MSG_NOSIGNAL), HOTEL_IO_WANT_WRITE);
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

/* ==== [SECTION 34] DESTINATIONS ============================================================ */

static void hoteli_destination_name(hoteli_text *text, const hoteli_destination *d) {
    hoteli_say(text, d->url.is_unix ? "unix:" : d->url.tls ? "https://" : "http://");
    hoteli_say(text, d->url.is_unix ? d->url.host : d->url.authority);
    if (d->url.is_unix) hoteli_say(text, ":");
    hoteli_say(text, d->path);
}

static void hoteli_say_spans(hoteli_text *text, uint64_t count) {
    hoteli_say_uint(text, count);
    hoteli_say(text, count == 1 ? " span" : " spans");
}

/* A span has left the destination; the last one to hold it gives its memory back. */
static void hoteli_record_free(uint32_t index) {
    hoteli_record *r = hoteli_record_at(index);
    uint32_t more = r->more;
    if (r->values.index) (void)hoteli_block_drop(r->values);
    if (r->trace_state.index) (void)hoteli_block_drop(r->trace_state);
    if (more) hoteli_free_chain(more);
    hoteli_free_chunk(index);
}

static uint32_t hoteli_record_chunks(const hoteli_record *r) {
    if (!r->more) return 1;
    return 1 + (r->size - HOTELI_RECORD_ROOM + HOTELI_MORE_ROOM - 1) / HOTELI_MORE_ROOM;
}

static void hoteli_release_span(uint32_t index) {
    if (--hoteli_record_at(index)->holders == 0) hoteli_record_free(index);
}

/* Takes count spans off the front of the queue. Those that end one behind the other in the
   arena's order are few; giving them back one by one costs one swap each. */
static void hoteli_queue_pop(hoteli_destination *d, uint32_t count) {
    while (count--) {
        uint32_t index = hoteli_queue_at(d, 0);
        d->chunks -= hoteli_record_chunks(hoteli_record_at(index));
        d->first = (d->first + 1) % d->max_queue;
        d->count--;
        hoteli_release_span(index);
    }
}

/* Spans are settled: they count under one reason and no longer as queued. */
static void hoteli_settle(hoteli_destination *d, hoteli_word *reason, uint32_t count) {
    hoteli_count(reason, count);
    if (reason != &d->books.accepted) hoteli_count(&hoteli_g.lost, count);
    (void)hoteli_sub(&d->books.queued, count);
    d->settled += count;
}

static void hoteli_enqueue(hoteli_destination *d, uint32_t index) {
    uint32_t chunks = hoteli_record_chunks(hoteli_record_at(index));
    hoteli_count(&d->books.queued, 1);
    if (d->count >= d->max_queue || d->chunks + chunks > d->max_chunks) {
        hoteli_settle(d, &d->books.dropped_queue_full, 1);
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

static void hoteli_disconnect(hoteli_destination *d, bool inherited) {
    if (d->connection) d->transport.close_fn(d->connection, inherited);
    d->connection = NULL;
    d->reused = false;
}

/* The head goes right in front of the body, so that a request is one piece. */
static void hoteli_write_request_head(hoteli_destination *d, size_t body, size_t size) {
    char digits[32];
    hoteli_text text;
    hoteli_text_start(&text, digits, sizeof digits);
    hoteli_say_uint(&text, size);
    hoteli_say(&text, "\r\n\r\n");
    d->start = body - d->head_size - text.size;
    memcpy(d->buffer + d->start, d->head, d->head_size);
    memcpy(d->buffer + d->start + d->head_size, digits, text.size);
    d->end = body + size;
}

/* Encodes the next batch and begins to send it. */
static void hoteli_request_start(hoteli_destination *d, int64_t now_ms) {
    size_t body = d->head_size + 32, room = d->capacity - body;
    hoteli_batch batch;
    hoteli_batch_choose(&batch, d, HOTELI_MIN(room, (size_t)d->max_bytes));
    if (!batch.count) {
        hoteli_settle(d, &d->books.dropped_too_large, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
        hoteli_queue_pop(d, 1);
        return;
    }
    hoteli_batch_write(&batch, d, d->buffer + body);
    hoteli_write_request_head(d, body, batch.size);
    hoteli_queue_pop(d, batch.count);
    d->urge = d->urge && d->count;
    d->due_ms = now_ms + d->delay_ms;
    d->spans = batch.count;
    d->attempts = 0;
    d->step_ms = 1000;
    d->deadline_ms = d->timeout_ms ? now_ms + (int64_t)d->timeout_ms : INT64_MAX;
    d->trouble = "no attempt was made";
    d->state = HOTELI_CONNECTING;
}

static bool hoteli_request_due(const hoteli_destination *d, int64_t now_ms) {
    return d->state == HOTELI_IDLE && d->count &&
           (d->count >= d->max_batch || d->urge || now_ms >= d->due_ms ||
            d->chunks >= d->max_bytes / HATCHET_OTEL_CHUNK_BYTES);
}

/* The request is over; its spans count under that reason. */
static void hoteli_request_end(hoteli_destination *d, hoteli_word *reason) {
    hoteli_settle(d, reason, d->spans);
    d->spans = 0;
    d->state = HOTELI_IDLE;
}

static void hoteli_request_fail(hoteli_destination *d, const char *why, const char *detail,
                                size_t detail_size) {
    uint32_t lost = d->spans;
    hoteli_disconnect(d, false);
    hoteli_request_end(d, &d->books.failed);
    if (hoteli_log_due(&d->logged_failed_ms, hoteli_now_ms())) {
        char words[512];
        hoteli_text text;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_destination_name(&text, d);
        hoteli_say(&text, ": ");
        hoteli_say_spans(&text, lost);
        hoteli_say(&text, " lost: ");
        hoteli_say(&text, why);
        if (detail_size) {
            hoteli_say(&text, ": ");
            hoteli_say_quoted(&text, detail, detail_size);
        }
        hoteli_log_text(HOTEL_LOG_ERROR, HOTEL_LOG_ID_EXPORT_FAILED, &text);
    }
    d->failing = true;
}

/* Sends the same bytes again after a wait: what the server asked for, else a growing step with
   jitter (OR-01, OR-07, OR-09, OR-10). A wait past the deadline ends it now. */
static void hoteli_request_retry(hoteli_destination *d, const char *why, int64_t wait_ms) {
    int64_t now_ms = hoteli_now_ms();
    d->trouble = why;
    hoteli_disconnect(d, false);
    if (wait_ms < 0) {
        uint64_t jitter = hoteli_random_aside() % (d->step_ms / 2 + 1);
        wait_ms = (int64_t)(d->step_ms / 2 + jitter);
        d->step_ms = HOTELI_MIN(d->step_ms + d->step_ms / 2, 5000u);
    }
    wait_ms = HOTELI_MAX(wait_ms, (int64_t)100);
    if (d->deadline_ms != INT64_MAX && now_ms + wait_ms >= d->deadline_ms) {
        hoteli_request_fail(d, why, NULL, 0);
        return;
    }
    if (hoteli_log_due(&d->logged_retry_ms, now_ms)) {
        char words[512];
        hoteli_text text;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_destination_name(&text, d);
        hoteli_say(&text, ": ");
        hoteli_say(&text, why);
        hoteli_say(&text, "; trying again in ");
        hoteli_say_uint(&text, (uint64_t)wait_ms);
        hoteli_say(&text, " ms");
        hoteli_log_text(HOTEL_LOG_WARN, HOTEL_LOG_ID_EXPORT_RETRY, &text);
    }
    d->failing = true;
    d->retry_ms = now_ms + wait_ms;
    d->state = HOTELI_WAITING;
}

/* The connection broke. One that had served before and gave no byte back was stale: once more at
   once (OR-18). Else a retry, which covers what may have reached the server too (OR-16). */
static void hoteli_connection_lost(hoteli_destination *d, const char *why) {
    if (d->reused && !d->http.any_byte) {
        hoteli_disconnect(d, false);
        d->state = HOTELI_CONNECTING;
        return;
    }
    hoteli_request_retry(d, why, -1);
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

static void hoteli_request_success(hoteli_destination *d) {
    hoteli_reply reply;
    uint32_t rejected = 0;
    memset(&reply, 0, sizeof reply);
    if (d->http.body_kept < d->http.body_size)
        hoteli_reply_start((const uint8_t *)d->reply, d->http.body_kept, &reply);
    else if (!hoteli_reply_parse((const uint8_t *)d->reply, d->http.body_kept, &reply))
        memset(&reply, 0, sizeof reply);
    if (reply.has_partial_success && (reply.rejected > 0 || reply.message_size)) {
        if (reply.rejected > 0)
            rejected = (uint32_t)HOTELI_MIN(reply.rejected, (int64_t)d->spans);
        hoteli_reply_log(d, &reply);
    }
    if (rejected) {
        hoteli_settle(d, &d->books.rejected, rejected);
        d->spans -= rejected;
    }
    hoteli_request_end(d, &d->books.accepted);
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

static void hoteli_http_status_words(hoteli_text *text, int status) {
    hoteli_say(text, "HTTP status ");
    hoteli_say_uint(text, (uint64_t)status);
}

/* A complete response (OR-02, OR-11, OR-14, OR-15, OT-03, OT-06). */
static void hoteli_response(hoteli_destination *d) {
    static const char *const retried[] = {"HTTP status 429", "HTTP status 502", "HTTP status 503",
                                          "HTTP status 504"};
    int status = d->http.status;
    int which = status == 429 ? 0 : status >= 502 && status <= 504 ? status - 501 : -1;
    if (!d->http.keep_alive) hoteli_disconnect(d, false);
    else d->reused = true;
    if (status >= 200 && status < 300) {
        hoteli_request_success(d);
    } else if (which >= 0) {
        int64_t unix_s = (int64_t)(hoteli_clock_ns(CLOCK_REALTIME) / 1000000000u);
        hoteli_request_retry(d, retried[which],
                             hoteli_http_retry_after_ms(d->http.retry_after, unix_s));
    } else {
        char words[64];
        hoteli_text text;
        hoteli_reply reply;
        memset(&reply, 0, sizeof reply);
        if (d->http.is_protobuf &&
            hoteli_status_parse((const uint8_t *)d->reply, d->http.body_kept, &reply) &&
            reply.message_size == 0)
            reply.message = NULL;
        hoteli_text_start(&text, words, sizeof words);
        hoteli_http_status_words(&text, status);
        hoteli_request_fail(d, words, reply.message, reply.message ? reply.message_size : 0);
    }
}

/* One step of the connection: true when something moved, else *events says what to wait for. */
static bool hoteli_step_connect(hoteli_destination *d, short *events) {
    int result;
    if (!d->connection) {
        d->connection = d->transport.open_fn(d->url.host, d->url.port, d->transport.user_data);
        d->reused = false;
        if (!d->connection) {
            hoteli_request_retry(d, "the name was not found", -1);
            return true;
        }
    }
    errno = 0;
    result = d->reused ? (int)HOTEL_IO_DONE : d->transport.connect_fn(d->connection);
    if (result == HOTEL_IO_WANT_READ || result == HOTEL_IO_WANT_WRITE) {
        *events = result == HOTEL_IO_WANT_READ ? POLLIN : POLLOUT;
        d->trouble = "no connection was made in time";
        return false;
    }
    if (result != HOTEL_IO_DONE) {
        int error = errno;
        hoteli_request_retry(d, error == ECONNREFUSED   ? "connection refused"
                                : error == EHOSTUNREACH ? "no route to the host"
                                : error == ENETUNREACH  ? "the network is unreachable"
                                : error == ENOENT       ? "there is no such socket"
                                : error == EMFILE || error == ENFILE
                                    ? "no file descriptor is left"
                                : error == 0 && d->builtin ? "the name was not found"
                                             : "no connection could be made", -1);
        return true;
    }
    if (!d->reused) hoteli_count(&d->books.connections, 1);
    d->sent = d->start;
    hoteli_count(&d->books.requests, 1);
    if (d->attempts++) hoteli_count(&d->books.retries, 1);
    hoteli_http_start(&d->http, d->reply, sizeof d->reply, 4u << 20);
    d->trouble = "the server did not answer in time";
    d->state = HOTELI_SENDING;
    return true;
}

static bool hoteli_step_send(hoteli_destination *d, short *events) {
    ptrdiff_t n = d->transport.send_fn(d->connection, d->buffer + d->sent, d->end - d->sent);
    if (n > 0) {
        d->sent += (size_t)n;
        hoteli_count(&d->books.bytes_sent, (uintptr_t)n);
        if (d->sent == d->end) d->state = HOTELI_RECEIVING;
        return true;
    }
    if (n == HOTEL_IO_WANT_WRITE || n == HOTEL_IO_WANT_READ) {
        *events = n == HOTEL_IO_WANT_WRITE ? POLLOUT : POLLIN;
        return false;
    }
    /* A server may answer and close before it has read everything. */
    d->state = HOTELI_RECEIVING;
    return true;
}

static bool hoteli_step_receive(hoteli_destination *d, short *events) {
    char bytes[4096];
    size_t consumed = 0;
    int result;
    ptrdiff_t n = d->transport.receive_fn(d->connection, bytes, sizeof bytes);
    if (n == HOTEL_IO_WANT_READ || n == HOTEL_IO_WANT_WRITE) {
        *events = n == HOTEL_IO_WANT_READ ? POLLIN : POLLOUT;
        return false;
    }
    result = n > 0 ? hoteli_http_feed(&d->http, bytes, (size_t)n, &consumed)
                   : n == HOTEL_IO_CLOSED ? hoteli_http_finish(&d->http) : -1;
    if (result == 1) {
        /* Bytes behind the response, or a response before the request was out: not reusable. */
        if ((n > 0 && consumed < (size_t)n) || n <= 0 || d->sent != d->end)
            d->http.keep_alive = false;
        hoteli_response(d);
    } else if (result == -2) {
        hoteli_request_fail(d, "the response is larger than 4 MiB", NULL, 0);
    } else if (result == -1) {
        if (n <= 0)
            hoteli_connection_lost(d, d->http.any_byte
                                          ? "the server closed in the middle of its response"
                                          : "the server closed without a response");
        else hoteli_request_fail(d, "the response is not HTTP", d->http.reason,
                                 hotel_text_size(d->http.reason));
    }
    return true;
}

/* A kept connection on which something arrives while idle was closed by the server. */
static void hoteli_check_idle(hoteli_destination *d) {
    char byte;
    ptrdiff_t n = d->transport.receive_fn(d->connection, &byte, 1);
    if (n != HOTEL_IO_WANT_READ && n != HOTEL_IO_WANT_WRITE) hoteli_disconnect(d, false);
}

/* Drives a destination as far as it goes. Returns when it wants to be called again, at the
   latest; *fd and *events say what else it waits for. A bound on the steps keeps one busy
   connection from starving the others. */
static int64_t hoteli_destination_step(hoteli_destination *d, int64_t now_ms, int *fd,
                                       short *events) {
    int steps;
    bool moved = true;
    *fd = -1;
    for (steps = 0; moved && steps < 16; steps++) {
        *events = 0;
        if (hoteli_request_due(d, now_ms)) {
            hoteli_request_start(d, now_ms);
            continue;
        }
        if (d->state == HOTELI_IDLE) break;
        if (now_ms >= d->deadline_ms) {
            hoteli_request_fail(d, d->trouble, NULL, 0);
            continue;
        }
        switch (d->state) {
        case HOTELI_WAITING:
            moved = now_ms >= d->retry_ms;
            if (moved) d->state = HOTELI_CONNECTING;
            break;
        case HOTELI_CONNECTING: moved = hoteli_step_connect(d, events); break;
        case HOTELI_SENDING: moved = hoteli_step_send(d, events); break;
        default: moved = hoteli_step_receive(d, events); break;
        }
    }
    if (moved && (d->state != HOTELI_IDLE || hoteli_request_due(d, now_ms))) return now_ms;
    if (d->state == HOTELI_IDLE) {
        if (d->connection) {
            *fd = d->transport.descriptor_fn(d->connection);
            *events = POLLIN;
        }
        return d->count ? d->due_ms : INT64_MAX;
    }
    if (d->state == HOTELI_WAITING) return HOTELI_MIN(d->retry_ms, d->deadline_ms);
    if (d->connection) *fd = d->transport.descriptor_fn(d->connection);
    if (*fd < 0) return HOTELI_MIN(now_ms + 10, d->deadline_ms);
    if (d->state == HOTELI_CONNECTING) return HOTELI_MIN(now_ms + 500, d->deadline_ms);
    return d->deadline_ms;
}

/* ==== [SECTION 35] EXPORTER ================================================================ */

/* An ended span goes to every destination. */
static void hoteli_distribute(uint32_t index) {
    hoteli_record *r = hoteli_record_at(index);
    uint32_t i, n = hoteli_g.num_destinations;
    if (!n) {
        hoteli_record_free(index);
        return;
    }
    r->holders = (uint8_t)n;
    for (i = 0; i < n; i++) hoteli_enqueue(&hoteli_g.destinations[i], index);
}

/* The ended spans of a shard, oldest first. */
static uint32_t hoteli_take_ended(hoteli_shard *shard) {
    uint32_t index, ordered = 0;
    if (!(hoteli_load_relaxed(&shard->ended) & HOTELI_INDEX_MASK)) return 0;
    index = (uint32_t)(hoteli_swap(&shard->ended, 0) & HOTELI_INDEX_MASK);
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
        uintptr_t taken = 0;
        hoteli_store(&hoteli_g.shards[i].pops, hoteli_pops(&hoteli_g.shards[i]));
        while (index) {
            uint32_t next = hoteli_link_get(&hoteli_chunk_at(index)->next);
            hoteli_distribute(index);
            taken++;
            index = next;
        }
        if (taken) hoteli_count(&hoteli_g.collected, taken);
    }
    hoteli_g.drained_ms = now_ms;
}

/* After shutdown: whatever ends now, or ended in the last moment, is dropped and counted. */
static void hoteli_drop_ended(void) {
    uint32_t i, k;
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        uint32_t index = hoteli_take_ended(&hoteli_g.shards[i]);
        while (index) {
            uint32_t next = hoteli_link_get(&hoteli_chunk_at(index)->next);
            for (k = 0; k < hoteli_g.num_destinations; k++)
                hoteli_count(&hoteli_g.destinations[k].books.dropped_shutdown, 1);
            hoteli_count(&hoteli_g.lost, hoteli_g.num_destinations);
            hoteli_count(&hoteli_g.collected, 1);
            hoteli_record_free(index);
            index = next;
        }
    }
}

/* By whoever ends a span then, if nobody changes or reads the set-up; else by the next one, or
   by those who read. */
static HOTELI_COLD void hoteli_late(void) {
    if (!hoteli_flag_cas(&hoteli_g.shape, 0, 1)) return;
    if (hoteli_g.shards && hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
    hoteli_flag_store(&hoteli_g.shape, 0);
}

/* Flush goes in rounds. A round begins with a drain, so that everything that ended before it was
   asked for is in the queues, and is over when every destination has settled what it had then
   (BSP-17, BSP-24). Whoever asks while one is on waits for the next. */
static void hoteli_flush_begin(int64_t now_ms) {
    uint32_t i;
    bool begin;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    begin = hoteli_g.flush_begun == hoteli_g.flush_done &&
            hoteli_g.flush_asked != hoteli_g.flush_begun;
    if (begin) hoteli_g.flush_begun = hoteli_g.flush_asked;
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    if (!begin) return;
    hoteli_drain(now_ms);
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        hoteli_destination *d = &hoteli_g.destinations[i];
        d->target = d->settled + d->count + d->spans;
        d->urge = d->count > 0;
    }
}

/* True when a round has come to its end. */
static bool hoteli_flush_end(void) {
    uint32_t i;
    if (hoteli_g.flush_begun == hoteli_g.flush_done) return false;
    for (i = 0; i < hoteli_g.num_destinations; i++)
        if (hoteli_g.destinations[i].settled < hoteli_g.destinations[i].target) return false;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    hoteli_g.flush_done = hoteli_g.flush_begun;
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return true;
}

static bool hoteli_all_idle(void) {
    uint32_t i;
    for (i = 0; i < hoteli_g.num_destinations; i++)
        if (hoteli_g.destinations[i].count || hoteli_g.destinations[i].state != HOTELI_IDLE)
            return false;
    return true;
}

static void hoteli_log_queue_full(int64_t now_ms) {
    uintptr_t mask = (uintptr_t)1 << HOTEL_LOG_ID_QUEUE_FULL;
    uint32_t i;
    if (!(hoteli_load_relaxed(&hoteli_g.log_bits[0]) & mask)) return;
    (void)__atomic_fetch_and(&hoteli_g.log_bits[0].bits, ~mask, __ATOMIC_RELAXED);
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        hoteli_destination *d = &hoteli_g.destinations[i];
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
    return hoteli_g.drain_delay_ms ? (int64_t)hoteli_g.drain_delay_ms : 1000;
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

/* Waits for the network, the next due time, or a wake-up. */
static void hoteli_wait(struct pollfd *fds, uint32_t count, int64_t until_ms, int64_t now_ms) {
    int64_t wait = until_ms - now_ms;
    int timeout = wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
    if (!hoteli_g.no_threads) {
        uintptr_t pending;
        (void)hoteli_flag_swap(&hoteli_g.sleeping, 1);
        /* What came before the flag was up gave no wake-up. */
        pending = __atomic_load_n(&hoteli_g.pending.bits, __ATOMIC_SEQ_CST);
        if (hoteli_flag_swap(&hoteli_g.nudge, 0) || pending >= HOTELI_GET(hoteli_g.wake_at))
            timeout = 0;
    }
    if (poll(fds, (nfds_t)count, timeout) > 0 && !hoteli_g.no_threads && fds[0].revents) {
        if (fds[0].revents & POLLNVAL) hoteli_g.pipe_lost = true;
        char bytes[64];
        while (read(hoteli_g.wake_pipe[0], bytes, sizeof bytes) > 0) continue;
    }
    if (!hoteli_g.no_threads) (void)hoteli_flag_swap(&hoteli_g.sleeping, 0);
}

/* One turn of the exporter: everything that is due, then a wait of at most max_wait_ms. */
static void hoteli_turn(int64_t max_wait_ms) {
    struct pollfd fds[HOTELI_MAX_DESTINATIONS + 1];
    int owner[HOTELI_MAX_DESTINATIONS + 1];
    int64_t now_ms = hoteli_now_ms(), until = now_ms + max_wait_ms;
    uint32_t i, count = 0;
    if (!hoteli_g.no_threads) {
        /* A host that closes every descriptor has taken the pipe too: look now and then. */
        bool lost = hoteli_g.pipe_lost || !hoteli_g.wake_pipe[1];
        if (lost) until = HOTELI_MIN(until, now_ms + 100);
        fds[count].fd = lost ? -1 : hoteli_g.wake_pipe[0];
        fds[count].events = POLLIN;
        fds[count].revents = 0;
        owner[count++] = -1;
    }
    hoteli_housekeeping(now_ms);
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        int fd;
        short events;
        int64_t due = hoteli_destination_step(&hoteli_g.destinations[i], now_ms, &fd, &events);
        until = HOTELI_MIN(until, due);
        if (fd < 0) continue;
        fds[count].fd = fd;
        fds[count].events = events;
        fds[count].revents = 0;
        owner[count++] = (int)i;
    }
    until = HOTELI_MIN(until, hoteli_g.drain_ms);
    if (hoteli_flush_end()) until = now_ms; /* the next round, or the end */
    hoteli_wait(fds, count, until, now_ms);
    for (i = 0; i < count; i++) {
        hoteli_destination *d = owner[i] >= 0 ? &hoteli_g.destinations[owner[i]] : NULL;
        if (d && fds[i].revents && d->state == HOTELI_IDLE && d->connection) hoteli_check_idle(d);
    }
}

static bool hoteli_stop_now(void) {
    bool stop;
    int64_t limit;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    stop = hoteli_g.stopping;
    limit = hoteli_g.stop_ms;
    stop = stop && (hoteli_now_ms() >= limit ||
                    (hoteli_g.flush_done == hoteli_g.flush_asked && hoteli_all_idle()));
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return stop;
}

/* The end: what is still here is dropped; a request under way may or may not have arrived. */
static void hoteli_close_all(void) {
    int64_t now_ms = hoteli_now_ms();
    uint32_t i;
    hoteli_drain(now_ms);
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        hoteli_destination *d = &hoteli_g.destinations[i];
        uint32_t left = d->count;
        hoteli_queue_pop(d, left);
        if (left) hoteli_settle(d, &d->books.dropped_shutdown, left);
        if (d->state != HOTELI_IDLE)
            hoteli_request_fail(d, "shutdown's time was over", NULL, 0);
        hoteli_disconnect(d, false);
    }
    (void)__atomic_exchange_n(&hoteli_g.closed.bits, 1u, __ATOMIC_SEQ_CST);
    hoteli_late();
    hoteli_log_queue_full(now_ms);
    hoteli_log_pending(now_ms);
    (void)hoteli_flush_end();
}

static int64_t hoteli_stop_wait(void) {
    int64_t wait = 60000;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    if (hoteli_g.stopping) wait = HOTELI_MAX(hoteli_g.stop_ms - hoteli_now_ms(), (int64_t)0);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return wait;
}

static void *hoteli_thread_run(void *unused) {
    (void)unused;
    hoteli_t.quiet = 1; /* its own work is not traced (SP-08) */
    while (!hoteli_stop_now()) hoteli_turn(hoteli_stop_wait());
    hoteli_close_all();
    (void)pthread_mutex_lock(&hoteli_g.lock);
    hoteli_g.thread_done = true;
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
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

/* ==== [SECTION 36] CONFIGURATION =========================================================== */

/* Where the settings of one destination come from. */
typedef struct hoteli_plan {
    const hotel_destination *config; /* never NULL: zeroed for the one by the environment */
    const char *headers;             /* a list in a variable, NULL: none */
    const char *headers_variable;
    const char *suffix;              /* what is appended to the path */
} hoteli_plan;

typedef struct hoteli_setup {
    const hotel_config *config;
    hoteli_plan plans[HOTELI_MAX_DESTINATIONS];
    hotel_destination by_environment;
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
    if (getuid() != geteuid() || getgid() != getegid()) return NULL;
    value = getenv(name);
    return value && *value ? value : NULL;
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
                                const char *problem) {
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
    hoteli_log_text(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_ENDPOINT, &text);
    hoteli_fail_setup(s, HOTEL_ERR_ENDPOINT);
}

/* Settings that this build cannot follow are named, with what happens instead. */
static void hoteli_unsupported(const hoteli_setup *s) {
    static const char *const tls[] = {"CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"};
    static const char *const prefixes[] = {"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"};
    char name[64];
    hoteli_text text;
    const char *value;
    size_t i, k;
    for (k = 0; k < 2; k++) {
        for (i = 0; i < 3; i++) {
            hoteli_text_start(&text, name, sizeof name);
            hoteli_say(&text, prefixes[k]);
            hoteli_say(&text, tls[i]);
            value = hoteli_env(s, name);
            if (value)
                hoteli_bad_variable(name, value, "needs TLS, which this version does not have",
                                    "it is ignored");
        }
        hoteli_text_start(&text, name, sizeof name);
        hoteli_say(&text, prefixes[k]);
        hoteli_say(&text, "COMPRESSION");
        value = hoteli_env(s, name);
        if (value && !hoteli_is_word(value, strlen(value), "none"))
            hoteli_bad_variable(name, value,
                                hoteli_is_word(value, strlen(value), "gzip")
                                    ? "is not supported by this version"
                                    : "is neither none nor gzip", "none is used");
        hoteli_text_start(&text, name, sizeof name);
        hoteli_say(&text, prefixes[k]);
        hoteli_say(&text, "PROTOCOL");
        value = hoteli_env(s, name);
        if (value && !hoteli_is_word(value, strlen(value), "http/protobuf"))
            hoteli_bad_variable(name, value,
                                hoteli_is_word(value, strlen(value), "grpc") ||
                                        hoteli_is_word(value, strlen(value), "http/json")
                                    ? "is not supported by this version"
                                    : "is none of grpc, http/protobuf, http/json",
                                "http/protobuf is used");
    }
    if (hoteli_env(s, "HATCHET_CLIENT_TOKEN"))
        hoteli_log(HOTEL_LOG_WARN, HOTEL_LOG_ID_HATCHET_TOKEN,
                   "HATCHET_CLIENT_TOKEN is set, but Hatchet's collector speaks OTLP over gRPC "
                   "only, which this version does not have: nothing is sent to Hatchet");
}

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
        endpoint = "http://localhost:4318";
    }
    problem = hoteli_url_parse(endpoint, strlen(endpoint), &d->url);
    if (!problem && d->url.is_unix &&
        strlen(d->url.host) >= sizeof((struct sockaddr_un *)0)->sun_path)
        problem = "the path of the socket is too long";
    if (!problem && d->url.tls)
        problem = "https needs TLS, which this version does not have; send to a local collector "
                  "over http, and let that one speak TLS";
    if (problem) {
        hoteli_bad_endpoint(s, source, endpoint, problem);
        return false;
    }
    if (general) {
        while (d->url.path_size && d->url.path[d->url.path_size - 1] == '/') d->url.path_size--;
        p->suffix = "/v1/traces";
    } else if (!d->url.path_size) {
        p->suffix = p->config->endpoint ? "/v1/traces" : "/";
    }
    return true;
}

/* Framing is ours: these headers cannot be set. */
static bool hoteli_header_reserved(const char *name, size_t size) {
    static const char *const reserved[] = {"host", "content-length", "content-type",
                                           "transfer-encoding", "content-encoding",
                                           "connection", "expect", "upgrade", "te", "trailer"};
    size_t i;
    for (i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (hoteli_is_word(name, size, reserved[i])) return true;
    return false;
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
        hoteli_say(text, "User-Agent: HatchetOtel-OTLP-Exporter-C/" HOTEL_VERSION_STRING "\r\n");
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

/* Bytes of the arena that is there, or to be made. */
static size_t hoteli_plan_arena(const hotel_config *c) {
    size_t bytes = (size_t)2 << 20;
    if (c->memory) bytes = c->memory_bytes / 2;
    else if (hoteli_g.arena) bytes = (size_t)hoteli_g.num_chunks * HATCHET_OTEL_CHUNK_BYTES;
    else if (c->arena_bytes) bytes = c->arena_bytes;
    return HOTELI_MIN(bytes, HOTELI_MAX_CHUNKS * HATCHET_OTEL_CHUNK_BYTES);
}

static void hoteli_plan_destination(hoteli_setup *s, hoteli_plan *p, hoteli_destination *d,
                                    uint32_t share) {
    const hotel_destination *c = p->config;
    size_t arena = hoteli_plan_arena(s->config);
    uint32_t chunks = (uint32_t)(arena / HATCHET_OTEL_CHUNK_BYTES), most, bytes;
    hoteli_text text;
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
    bytes = (uint32_t)HOTELI_MAX(HOTELI_MIN(arena / 2, (size_t)512 << 10), (size_t)1024);
    d->max_bytes = c->max_request_bytes && c->max_request_bytes != HOTEL_NONE
                       ? HOTELI_MIN(c->max_request_bytes, (uint32_t)64 << 20) : bytes;
    hoteli_text_start(&text, NULL, 0);
    hoteli_write_head_text(&text, p, d);
    d->head_size = text.size;
    d->capacity = d->head_size + 32 + d->max_bytes;
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

/* OTEL_RESOURCE_ATTRIBUTES: one error and the whole of it is discarded (EV-02). */
static void hoteli_plan_resource(hoteli_setup *s) {
    const char *variable = "OTEL_RESOURCE_ATTRIBUTES", *cursor, *end;
    hoteli_pair pair;
    int result;
    s->service = s->config->service_name ? s->config->service_name
                                         : hoteli_env(s, "OTEL_SERVICE_NAME");
    s->attributes = cursor = hoteli_env(s, variable);
    hoteli_program_name(s->program, sizeof s->program);
    if (!cursor) return;
    end = cursor + strlen(cursor);
    s->attributes_size = (size_t)(end - cursor);
    while ((result = hoteli_list_next(&cursor, end, &pair)) != 0) {
        bool ok = result > 0, key_ok = true;
        char byte[1024];
        if (ok && pair.key_size <= sizeof byte && pair.value_size <= sizeof byte) {
            size_t n = hoteli_percent_decode(byte, pair.key, pair.key_size, &key_ok);
            key_ok = key_ok && hoteli_utf8_valid(byte, n);
            n = hoteli_percent_decode(byte, pair.value, pair.value_size, &ok);
            ok = ok && hoteli_utf8_valid(byte, n);
        } else {
            ok = false;
        }
        if (ok && key_ok) {
            s->num_attributes++;
            continue;
        }
        hoteli_bad_variable(variable, s->attributes, "is not a list of key=value, percent-encoded",
                            "all of it is ignored");
        s->attributes = NULL;
        s->num_attributes = s->attributes_size = 0;
        return;
    }
}

static size_t hoteli_resource_count(const hoteli_setup *s) {
    return 6 + s->num_attributes + (s->config->resource ? s->config->num_resource : 0);
}

/* All sources in one list, the weakest first: of a key the last value counts (SP-94, SP-95). */
static bool hoteli_build_resource(const hoteli_setup *s) {
    size_t count = hoteli_resource_count(s), n = 0, i, size;
    const char *schema = s->config->resource_schema_url;
    hotel_attr *list = (hotel_attr *)hoteli_carve(count * sizeof *list);
    char *text = (char *)hoteli_carve(s->attributes_size + 1);
    uint32_t dropped = 0;
    hoteli_cursor c;
    if (!list || !text) return false;
    list[n++] = hotel_str("telemetry.sdk.name", "hatchet_otel");
    list[n++] = hotel_str("telemetry.sdk.language", "c");
    list[n++] = hotel_str("telemetry.sdk.version", HOTEL_VERSION_STRING);
    list[n++] = hotel_str("service.name", s->program);
    if (s->attributes) {
        const char *cursor = s->attributes, *end = cursor + s->attributes_size;
        hoteli_pair pair;
        bool ok;
        while (hoteli_list_next(&cursor, end, &pair) > 0) {
            char *key = text, *value;
            size_t key_size = hoteli_percent_decode(key, pair.key, pair.key_size, &ok);
            value = text += key_size;
            pair.value_size = hoteli_percent_decode(value, pair.value, pair.value_size, &ok);
            text += pair.value_size;
            list[n++] = hotel_attrn(key, key_size, hotel_of_strn(value, pair.value_size));
        }
    }
    if (s->service && !s->config->service_name) list[n++] = hotel_str("service.name", s->service);
    for (i = 0; s->config->resource && i < s->config->num_resource; i++)
        list[n++] = s->config->resource[i];
    if (s->config->service_name) list[n++] = hotel_str("service.name", s->config->service_name);
    size = hoteli_write_attrs(NULL, 0, list, n, UINT32_MAX, &dropped);
    hoteli_g.resource_size = hoteli_field_size(size);
    hoteli_g.resource = (uint8_t *)hoteli_carve(hoteli_g.resource_size);
    if (hoteli_g.resource) {
        c = hoteli_cursor_flat(hoteli_g.resource, hoteli_g.resource_size);
        hoteli_write_head(&c, 0x0a, size);
        (void)hoteli_write_attrs(&c, 0x0a, list, n, UINT32_MAX, &dropped);
    }
    hoteli_g.resource_schema_size = hoteli_optional_text(NULL, 0x1a, schema);
    hoteli_g.resource_schema = (uint8_t *)hoteli_carve(hoteli_g.resource_schema_size);
    if (!hoteli_g.resource || !hoteli_g.resource_schema) return false;
    c = hoteli_cursor_flat(hoteli_g.resource_schema, hoteli_g.resource_schema_size);
    (void)hoteli_optional_text(&c, 0x1a, schema);
    return true;
}

/* Bytes that hoteli_carve will be asked for. Encoded resource attributes are at most their text
   and some bytes each; containers are measured by encoding. */
static size_t hoteli_setup_bytes(const hoteli_setup *s) {
    size_t total = 2 * (size_t)hoteli_g.max_span_bytes + HOTELI_STATE_SIZE + 48;
    size_t count = hoteli_resource_count(s);
    uint32_t i, dropped = 0;
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        const hoteli_destination *d = &hoteli_g.destinations[i];
        total += d->capacity + d->head_size + d->max_queue * sizeof(uint32_t) + d->url.path_size +
                 strlen(s->plans[i].suffix) + 80;
    }
    total += count * (sizeof(hotel_attr) + 32) + 2 * s->attributes_size + 512;
    total += 3 * hotel_text_size(s->service) + 3 * strlen(s->program);
    total += hoteli_write_attrs(NULL, 0, s->config->resource, s->config->num_resource, UINT32_MAX,
                                &dropped);
    return total + hoteli_optional_text(NULL, 0x1a, s->config->resource_schema_url);
}

static bool hoteli_build_destination(hoteli_destination *d, const hoteli_plan *p) {
    hoteli_text text;
    char *path = (char *)hoteli_carve(d->url.path_size + strlen(p->suffix) + 1);
    d->buffer = (uint8_t *)hoteli_carve(d->capacity);
    d->queue = (uint32_t *)hoteli_carve(d->max_queue * sizeof(uint32_t));
    d->head = (char *)hoteli_carve(d->head_size + 1);
    if (!path || !d->buffer || !d->queue || !d->head) return false;
    hoteli_text_start(&text, path, d->url.path_size + strlen(p->suffix) + 1);
    hoteli_say_n(&text, d->url.path, d->url.path_size);
    hoteli_say(&text, p->suffix);
    d->path = path;
    hoteli_text_start(&text, d->head, d->head_size + 1);
    hoteli_write_head_text(&text, p, d);
    d->url.path = NULL;
    d->builtin = p->config->transport == NULL;
    if (!d->builtin) {
        d->transport = *p->config->transport;
    } else {
        d->transport.open_fn = hoteli_socket_open;
        d->transport.connect_fn = hoteli_socket_connect;
        d->transport.send_fn = hoteli_socket_send;
        d->transport.receive_fn = hoteli_socket_receive;
        d->transport.descriptor_fn = hoteli_socket_descriptor;
        d->transport.close_fn = hoteli_socket_close;
        d->transport.user_data = &d->socket;
        d->socket.fd = -1;
    }
    return true;
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
        hoteli_g.arena_memory = malloc(bytes);
        if (!hoteli_g.arena_memory) return false;
        hoteli_arena_cut((uint8_t *)hoteli_g.arena_memory, bytes);
    }
    return hoteli_g.num_chunks >= 4;
}

static bool hoteli_setup_make(const hoteli_setup *s) {
    size_t bytes = hoteli_setup_bytes(s);
    const hotel_config *c = s->config;
    if (c->memory) {
        uintptr_t pad = -(uintptr_t)c->memory & 15u;
        if (hoteli_g.arena && c->memory != hoteli_g.user_memory) return false;
        hoteli_g.user_memory = (uint8_t *)c->memory;
        hoteli_g.user_bytes = c->memory_bytes;
        hoteli_g.setup_at = hoteli_g.user_memory + pad;
        /* The arena behind it stays from one set-up to the next. */
        if (hoteli_g.arena && hoteli_g.setup_at + bytes > (uint8_t *)hoteli_g.shards) return false;
        if (bytes + pad >= c->memory_bytes) return false;
    } else {
        free(hoteli_g.setup_memory);
        hoteli_g.setup_memory = malloc(bytes + 16);
        if (!hoteli_g.setup_memory) return false;
        hoteli_g.setup_at = (uint8_t *)hoteli_g.setup_memory;
    }
    hoteli_g.setup_room = bytes;
    return true;
}

/* In hotel_limits 0 is the default and HOTEL_NONE is zero. */
static uint32_t hoteli_limit(uint32_t asked, uint32_t fallback, uint32_t most) {
    uint32_t limit = asked == HOTEL_NONE ? 0 : asked ? asked : fallback;
    return HOTELI_MIN(limit, most);
}

/* The limit on values waits: it is not for resources (SP-40). */
static void hoteli_plan_limits(const hotel_config *c) {
    const hotel_limits *from = &c->limits;
    hotel_limits *to = &hoteli_g.limits;
    uint32_t bytes = (uint32_t)HOTELI_MIN(hoteli_plan_arena(c) / 16, (size_t)64 << 20);
    HOTELI_SET(to->attribute_count, hoteli_limit(from->attribute_count, 128, 65535));
    HOTELI_SET(to->attribute_value_length, UINT32_MAX);
    HOTELI_SET(to->attribute_value_depth, hoteli_limit(from->attribute_value_depth, 64, 200));
    HOTELI_SET(to->event_count, hoteli_limit(from->event_count, 128, 65535));
    HOTELI_SET(to->link_count, hoteli_limit(from->link_count, 128, 65535));
    HOTELI_SET(to->event_attribute_count, hoteli_limit(from->event_attribute_count, 128, 65535));
    HOTELI_SET(to->link_attribute_count, hoteli_limit(from->link_attribute_count, 128, 65535));
    bytes = hoteli_limit(from->max_span_bytes, bytes, 64u << 20);
    bytes = HOTELI_MAX(bytes, (uint32_t)HATCHET_OTEL_CHUNK_BYTES);
    /* Spans of before that are still open may be as large as they were allowed to be. */
    if (hoteli_g.arena) bytes = HOTELI_MAX(bytes, hoteli_g.max_span_bytes);
    HOTELI_SET(to->max_span_bytes, bytes);
    HOTELI_SET(hoteli_g.max_span_bytes, bytes);
}

static void hoteli_plan_common(hoteli_setup *s) {
    const hotel_config *c = s->config;
    uint32_t sampler = (uint32_t)c->sampler.type;
    hoteli_g.no_threads = c->no_threads;
    if (sampler > HOTEL_SAMPLER_ALWAYS_OFF) {
        hoteli_bad_config("sampler.type", sampler, HOTEL_SAMPLER_DEFAULT);
        sampler = HOTEL_SAMPLER_DEFAULT;
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
    }
    HOTELI_SET(hoteli_g.sampler, sampler);
    HOTELI_SET(hoteli_g.clock.now_ns_fn, (uint64_t(*)(void *))NULL);
    HOTELI_SET(hoteli_g.clock.user_data, c->clock.user_data);
    HOTELI_SET(hoteli_g.clock.now_ns_fn, c->clock.now_ns_fn);
    memset((void *)&hoteli_g.id_generator, 0, sizeof hoteli_g.id_generator);
    if (c->id_generator.trace_id_fn && c->id_generator.span_id_fn) {
        hoteli_g.id_generator = c->id_generator;
    } else if (c->id_generator.trace_id_fn || c->id_generator.span_id_fn) {
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                   "id_generator needs both functions; the built-in one is used");
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
    }
    hoteli_plan_limits(c);
}

static bool hoteli_transport_sound(const hotel_transport *t) {
    return !t || (t->open_fn && t->connect_fn && t->send_fn && t->receive_fn &&
                  t->descriptor_fn && t->close_fn);
}

/* Every destination that is valid gets a place. */
static void hoteli_plan_destinations(hoteli_setup *s) {
    const hotel_config *c = s->config;
    const hotel_destination *list = c->destinations;
    size_t count = list ? c->num_destinations : 0, i;
    uint32_t share;
    memset((void *)hoteli_g.destinations, 0, sizeof hoteli_g.destinations);
    hoteli_g.num_destinations = 0;
    if (!count) {
        list = &s->by_environment;
        count = 1;
    }
    if (count > HOTELI_MAX_DESTINATIONS) {
        hoteli_bad_config("num_destinations", count, HOTELI_MAX_DESTINATIONS);
        hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
        count = HOTELI_MAX_DESTINATIONS;
    }
    share = hoteli_g.num_configured = (uint32_t)count;
    hoteli_unsupported(s);
    hoteli_g.drain_delay_ms = 5000;
    for (i = 0; i < count; i++) {
        uint32_t n = hoteli_g.num_destinations;
        hoteli_plan *p = &s->plans[n];
        hoteli_destination *d = &hoteli_g.destinations[n];
        p->config = &list[i];
        d->position = (uint32_t)i;
        if (!hoteli_transport_sound(p->config->transport)) {
            hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_BAD_CONFIG,
                       "a transport lacks functions; its destination is not started");
            hoteli_fail_setup(s, HOTEL_ERR_ARGUMENT);
            continue;
        }
        if (!hoteli_plan_endpoint(s, p, d)) continue;
        hoteli_plan_destination(s, p, d, share);
        if (!n || d->delay_ms < hoteli_g.drain_delay_ms) hoteli_g.drain_delay_ms = d->delay_ms;
        hoteli_g.num_destinations++;
    }
}

/* When to wake the exporter: at the smallest batch, or when a good part of the arena waits.
   Ended spans are counted in steps, so that the shared counter is touched rarely. */
static void hoteli_plan_wake(void) {
    uint32_t at = HOTELI_MAX(hoteli_g.num_chunks / 8, 1u), step = 1, i;
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        const hoteli_destination *d = &hoteli_g.destinations[i];
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
    hoteli_say(&text, "sending OTLP over HTTP to ");
    hoteli_destination_name(&text, d);
    hoteli_log_text(HOTEL_LOG_INFO, HOTEL_LOG_ID_STARTED, &text);
}

/* ==== [SECTION 37] FORK ==================================================================== */

/* Stays open from the first start to hotel_release: a thread that has just been told to wake the
   exporter may write into it a little later. */
static bool hoteli_pipe_open(void) {
    if (hoteli_g.no_threads || (hoteli_g.wake_pipe[1] && !hoteli_g.pipe_lost)) return true;
    hoteli_g.pipe_lost = false;
    if (pipe(hoteli_g.wake_pipe) != 0) return false;
    return hoteli_set_flags(hoteli_g.wake_pipe[0]) && hoteli_set_flags(hoteli_g.wake_pipe[1]);
}

static void hoteli_pipe_close(void) {
    int i;
    for (i = 0; i < 2; i++) {
        if (hoteli_g.wake_pipe[i] > 0) (void)close(hoteli_g.wake_pipe[i]);
        hoteli_g.wake_pipe[i] = 0;
    }
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
    hoteli_g.clock_cond = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0;
#endif
    (void)pthread_cond_init(&hoteli_g.settled, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* The child's copy must not look started, and gives back what it inherited of files; everything
   else waits for the first use. */
static void hoteli_fork_child(void) {
    uint32_t i;
    if (hoteli_g.epoch) __atomic_store_n(hoteli_g.epoch, 0u, __ATOMIC_RELAXED);
    hoteli_flag_store(&hoteli_g.life, 0);
    hoteli_flag_store(&hoteli_g.shape, 0);
    /* Later these numbers may belong to files of the child's own. */
    hoteli_pipe_close();
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        hoteli_socket *s = &hoteli_g.destinations[i].socket;
        if (hoteli_g.destinations[i].builtin && hoteli_g.destinations[i].connection)
            hoteli_socket_close(s, true);
        if (hoteli_g.destinations[i].builtin) hoteli_g.destinations[i].connection = NULL;
    }
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
    if (!hoteli_g.atfork_set)
        hoteli_g.atfork_set = pthread_atfork(NULL, NULL, hoteli_fork_child) == 0;
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
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        hoteli_destination *d = &hoteli_g.destinations[i];
        if (d->connection) d->transport.close_fn(d->connection, true);
        d->connection = NULL;
        d->reused = d->failing = d->urge = false;
        d->first = d->count = d->chunks = d->spans = 0;
        d->state = HOTELI_IDLE;
        d->settled = d->target = 0;
        d->logged_retry_ms = d->logged_failed_ms = d->logged_partial_ms = d->logged_full_ms = 0;
        memset(&d->books, 0, sizeof d->books);
    }
    {
        hoteli_word *const words[] = {&hoteli_g.lost, &hoteli_g.pending, &hoteli_g.limited,
                                      &hoteli_g.stale, &hoteli_g.bad_arguments,
                                      &hoteli_g.rejected_parents, &hoteli_g.collected,
                                      &hoteli_g.repaired, &hoteli_g.log_bits[0],
                                      &hoteli_g.log_bits[1]};
        for (i = 0; i < sizeof words / sizeof words[0]; i++) hoteli_store(words[i], 0);
    }
    memset(hoteli_g.logged_ms, 0, sizeof hoteli_g.logged_ms);
}

/* First use in a fork child: everything anew, nothing of the parent's spans. One thread does it;
   what others ask for meanwhile is answered as before hotel_init. */
static HOTELI_COLD bool hoteli_rebuild(void) {
    bool started = true;
    if (!hoteli_flag_cas(&hoteli_g.life, 0, 1)) return false;
    if (!hoteli_epoch() && hoteli_g.initialised) {
        hoteli_flag_store(&hoteli_g.shape, 0);
        hoteli_flag_store(&hoteli_g.turning, 0);
        hoteli_locks_make();
        hoteli_new_key();
        hoteli_pipe_close();
        hoteli_books_clear();
        if (hoteli_g.arena) hoteli_arena_inherit();
        memset(hoteli_g.scratch_block, 0, sizeof hoteli_g.scratch_block);
        hoteli_g.flush_asked = hoteli_g.flush_begun = hoteli_g.flush_done = 0;
        hoteli_g.stopping = false;
        hoteli_flag_store(&hoteli_g.sleeping, 0);
        hoteli_flag_store(&hoteli_g.nudge, 0);
        if (!hoteli_g.stopped) {
            started = hoteli_pipe_open() && hoteli_exporter_start();
            if (!started) hoteli_flag_store(&hoteli_g.running, 0);
        }
        __atomic_store_n(hoteli_g.epoch, ++hoteli_g.last_epoch, __ATOMIC_RELEASE);
    }
    hoteli_flag_store(&hoteli_g.life, 0);
    return hoteli_epoch() != 0;
}

/* Is there something to act on, in this process? */
static bool hoteli_here(void) {
    if (!__atomic_load_n(&hoteli_g.epoch, __ATOMIC_ACQUIRE)) return false;
    return hoteli_epoch() || hoteli_rebuild();
}

/* ==== [SECTION 38] HATCHET ================================================================= */

/* Payloads up to this size go to every span of a task; larger ones stay on the task's own span,
   because a full batch of copies must stay below the 4 MiB that the engine accepts. */
#define HOTELI_SHARED_PAYLOAD 2048u

/* A string member with its size; kept out when NULL, empty, {} or [] (presence rule). */
static size_t hoteli_member(hotel_attr *list, size_t n, const char *key, const char *text,
                            size_t size) {
    if (!text) return n;
    if (!size) size = strlen(text);
    if (!size) return n;
    if (size == 2 && (memcmp(text, "{}", 2) == 0 || memcmp(text, "[]", 2) == 0)) return n;
    list[n] = hotel_strn(key, text, size);
    return n + 1;
}

static size_t hoteli_member_int(hotel_attr *list, size_t n, const char *key, const int32_t *value) {
    if (!value) return n;
    list[n] = hotel_int(key, *value);
    return n + 1;
}

static hotel_tracer hoteli_hatchet_tracer(void) {
    hotel_tracer tracer;
    uint32_t scope = HOTELI_GET(hoteli_g.hatchet_scope);
    tracer.scope = scope + 1;
    tracer.generation = hoteli_g.scopes[scope].block.generation;
    return tracer;
}

/* The attributes of a task, which all its spans share. */
static size_t hoteli_task_attributes(const hotel_step_run *r, hotel_attr *list) {
    size_t n = 0;
    list[n++] = hotel_str("instrumentor", "hatchet");
    n = hoteli_member(list, n, "hatchet.tenant_id", r->tenant_id, r->tenant_id_size);
    n = hoteli_member(list, n, "hatchet.worker_id", r->worker_id, r->worker_id_size);
    n = hoteli_member(list, n, "hatchet.workflow_run_id", r->workflow_run_id,
                      r->workflow_run_id_size);
    n = hoteli_member(list, n, "hatchet.step_id", r->step_id, r->step_id_size);
    n = hoteli_member(list, n, "hatchet.step_run_id", r->step_run_id, r->step_run_id_size);
    list[n++] = hotel_int("hatchet.retry_count", r->retry_count);
    n = hoteli_member(list, n, "hatchet.parent_workflow_run_id", r->parent_workflow_run_id,
                      r->parent_workflow_run_id_size);
    n = hoteli_member_int(list, n, "hatchet.child_workflow_index", r->child_workflow_index);
    n = hoteli_member(list, n, "hatchet.child_workflow_key", r->child_workflow_key,
                      r->child_workflow_key_size);
    n = hoteli_member(list, n, "hatchet.workflow_name", r->workflow_name, r->workflow_name_size);
    n = hoteli_member(list, n, "hatchet.action_name", r->action_name, r->action_name_size);
    n = hoteli_member(list, n, "hatchet.step_name", r->step_name, r->step_name_size);
    n = hoteli_member(list, n, "hatchet.workflow_id", r->workflow_id, r->workflow_id_size);
    n = hoteli_member(list, n, "hatchet.workflow_version_id", r->workflow_version_id,
                      r->workflow_version_id_size);
    n = hoteli_member(list, n, "hatchet.triggering_event_external_id",
                      r->triggering_event_external_id, r->triggering_event_external_id_size);
    return hoteli_member(list, n, "hatchet.triggering_event_key", r->triggering_event_key,
                         r->triggering_event_key_size);
}

static size_t hoteli_trigger_attributes(const hotel_trigger *t, hotel_attr *list) {
    size_t n = 0;
    list[n++] = hotel_str("instrumentor", "hatchet");
    n = hoteli_member(list, n, "hatchet.workflow_name", t->workflow_name, t->workflow_name_size);
    n = hoteli_member(list, n, "hatchet.payload", t->payload, t->payload_size);
    n = hoteli_member(list, n, "hatchet.parent_id", t->parent_id, t->parent_id_size);
    n = hoteli_member(list, n, "hatchet.parent_step_run_id", t->parent_step_run_id,
                      t->parent_step_run_id_size);
    n = hoteli_member_int(list, n, "hatchet.child_index", t->child_index);
    n = hoteli_member(list, n, "hatchet.child_key", t->child_key, t->child_key_size);
    n = hoteli_member(list, n, "hatchet.namespace", t->namespace_name, t->namespace_name_size);
    n = hoteli_member(list, n, "hatchet.additional_metadata", t->additional_metadata,
                      t->additional_metadata_size);
    n = hoteli_member_int(list, n, "hatchet.priority", t->priority);
    n = hoteli_member(list, n, "hatchet.desired_worker_id", t->desired_worker_id,
                      t->desired_worker_id_size);
    if (t->sticky) list[n++] = hotel_bool("hatchet.sticky", *t->sticky);
    return hoteli_member(list, n, "hatchet.key", t->key, t->key_size);
}

static HOTELI_COLD void hoteli_rejected(hotel_log_id id) {
    hoteli_count(&hoteli_g.rejected_parents, 1);
    hoteli_log_later(id);
}

/* A tracestate as a block; a malformed one is left out (WT-08), a long one cut (WT-12). */
static HOTELI_COLD hotel_block hoteli_extract_state(const char *state, size_t state_size) {
    hotel_block block = {0, 0};
    char text[4096];
    size_t size = 0, most;
    hoteli_cursor c;
    if (!hoteli_here()) return block;
    if (!hoteli_tracestate_normalise(state, state_size, text, sizeof text, &size)) {
        hoteli_rejected(HOTEL_LOG_ID_BAD_TRACEPARENT);
        return block;
    }
    most = HOTELI_GET(hoteli_g.max_span_bytes);
    size = hoteli_tracestate_shrink(text, size, HOTELI_MIN(most, HOTELI_STATE_SIZE));
    if (!size) return block;
    block = hoteli_block_new(size, &c);
    if (!block.index) {
        hoteli_count(&hoteli_g.limited, 1);
        hoteli_log_later(HOTEL_LOG_ID_SPAN_TOO_LARGE);
        return block;
    }
    hoteli_write(&c, text, size);
    hoteli_block_ready(&block);
    return block;
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

static void hoteli_task_end(hotel_task *task) {
    hotel_block values = task->context.values;
    hoteli_end(&task->span, 0);
    if (values.index && values.index <= hoteli_g.num_chunks && !hoteli_block_finished(values)) {
        /* Where it is still current, the task's context reads as detached from now on. */
        (void)__atomic_fetch_or(&hoteli_chunk_at(values.index)->state.bits, HOTELI_OWNED,
                                __ATOMIC_ACQ_REL);
        (void)hoteli_block_drop(values);
    }
    if (task->token.depth && task->token.depth <= HATCHET_OTEL_MAX_ATTACHED &&
        hoteli_t.depth >= task->token.depth &&
        hoteli_t.slots[task->token.depth - 1].serial == task->token.serial)
        (void)hoteli_detach(task->token);
    (void)hoteli_block_drop(task->context.span.context.trace_state);
    memset(&task->context.span.context.trace_state, 0, sizeof(hotel_block));
    memset(&task->token, 0, sizeof task->token);
    memset(&task->context.values, 0, sizeof task->context.values);
}

/* ==== [SECTION 39] PUBLIC FUNCTIONS ======================================================== */

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
    case HOTEL_ERR_ORDER: return "contexts were detached in the wrong order";
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

/* Waits for its turn: set-up, shutdown and release exclude each other. */
static void hoteli_flag_enter(hoteli_flag *flag) {
    while (!hoteli_flag_cas(flag, 0, 1)) {
        struct timespec pause = {0, 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

static void hoteli_life_enter(void) { hoteli_flag_enter(&hoteli_g.life); }

static void hoteli_life_leave(void) { hoteli_flag_store(&hoteli_g.life, 0); }

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
    hoteli_g.num_destinations = 0;
    return HOTEL_ERR_MEMORY;
}

/* Everything that needs memory, in the order of hoteli_setup_bytes. */
static hotel_result hoteli_build(hoteli_setup *s) {
    hotel_tracer_config own;
    uint32_t i;
    hoteli_plan_resource(s);
    if (!hoteli_setup_make(s) || !hoteli_arena_make(s)) return hoteli_no_memory();
    hoteli_g.scratch[0] = (uint8_t *)hoteli_carve(hoteli_g.max_span_bytes);
    hoteli_g.scratch[1] = (uint8_t *)hoteli_carve(hoteli_g.max_span_bytes);
    memset(hoteli_g.scratch_block, 0, sizeof hoteli_g.scratch_block);
    hoteli_g.scratch[2] = (uint8_t *)hoteli_carve(HOTELI_STATE_SIZE);
    if (!hoteli_g.scratch[0] || !hoteli_g.scratch[1] || !hoteli_g.scratch[2] ||
        !hoteli_build_resource(s))
        return hoteli_no_memory();
    for (i = 0; i < hoteli_g.num_destinations; i++)
        if (!hoteli_build_destination(&hoteli_g.destinations[i], &s->plans[i]))
            return hoteli_no_memory();
    HOTELI_SET(hoteli_g.default_scope, hoteli_scope_intern(&s->config->tracer));
    memset((void *)&own, 0, sizeof own);
    own.name = "hatchet_otel";
    own.version = HOTEL_VERSION_STRING;
    HOTELI_SET(hoteli_g.hatchet_scope, hoteli_scope_intern(&own));
    if (!hoteli_g.num_scopes) return hoteli_no_memory();
    HOTELI_SET(hoteli_g.limits.attribute_value_length,
               hoteli_limit(s->config->limits.attribute_value_length, UINT32_MAX, UINT32_MAX));
    return HOTEL_OK;
}

/* Gives all memory back. Handles of before carry the old epoch from now on. */
static void hoteli_let_go(void) {
    if (hoteli_g.epoch) __atomic_store_n(hoteli_g.epoch, ++hoteli_g.last_epoch, __ATOMIC_RELEASE);
    hoteli_pipe_close();
    hoteli_g.num_destinations = hoteli_g.num_configured = 0;
    hoteli_g.num_chunks = hoteli_g.num_scopes = hoteli_g.shard_mask = 0;
    hoteli_g.shards = NULL;
    hoteli_g.arena = NULL;
    memset(hoteli_g.scopes, 0, sizeof hoteli_g.scopes);
    free(hoteli_g.arena_memory);
    free(hoteli_g.setup_memory);
    hoteli_g.arena_memory = hoteli_g.setup_memory = NULL;
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

static hotel_result hoteli_start_running(hoteli_setup *s) {
    bool kept = hoteli_g.arena != NULL;
    hotel_result result;
    uint32_t i;
    if (kept) hoteli_drop_ended();
    if (!hoteli_g.arena) hoteli_new_key();
    HOTELI_SET(hoteli_g.use_ticks, hoteli_counter_usable());
    hoteli_plan_common(s);
    hoteli_plan_destinations(s);
    result = hoteli_build(s);
    if (result != HOTEL_OK) {
        if (!kept) hoteli_let_go();
        return result;
    }
    hoteli_plan_wake();
    if (!hoteli_g.initialised) hoteli_locks_make();
    hoteli_books_clear();
    hoteli_g.flush_asked = hoteli_g.flush_begun = hoteli_g.flush_done = 0;
    hoteli_g.stopping = false;
    hoteli_flag_store(&hoteli_g.sleeping, 0);
    hoteli_flag_store(&hoteli_g.closed, 0);
    hoteli_shards_clear();
    hoteli_g.initialised = true;
    if (!hoteli_pipe_open() || !hoteli_exporter_start()) {
        hoteli_g.stopped = true;
        hoteli_log(HOTEL_LOG_ERROR, HOTEL_LOG_ID_SYSTEM, "no thread or pipe could be made");
        return HOTEL_ERR_SYSTEM;
    }
    hoteli_epoch_make();
    hoteli_g.stopped = false;
    hoteli_flag_store(&hoteli_g.running, 1);
    for (i = 0; i < hoteli_g.num_destinations; i++) hoteli_announce(&hoteli_g.destinations[i]);
    return s->result;
}

HOTEL_API hotel_result hotel_init_checked(const hotel_config *config, size_t config_size,
                                          int version) {
    hoteli_setup setup;
    hotel_config none;
    hotel_result result;
    if (config_size != sizeof(hotel_config) || version != HOTEL_VERSION_NUMBER)
        return HOTEL_ERR_HEADER;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    memset((void *)&none, 0, sizeof none);
    memset((void *)&setup, 0, sizeof setup);
    setup.config = config ? config : &none;
    (void)hoteli_here();
    hoteli_life_enter();
    if (hoteli_g.initialised && !hoteli_g.stopped) {
        hoteli_life_leave();
        return HOTEL_ERR_RUNNING;
    }
    hoteli_g.log_fn = setup.config->log_fn;
    hoteli_g.log_user_data = setup.config->log_user_data;
    hoteli_g.log_level =
        setup.config->log_level ? setup.config->log_level : HOTEL_LOG_INFO;
    if (hoteli_g.log_level == HOTEL_LOG_NONE) hoteli_g.log_fn = NULL;
    hoteli_flag_enter(&hoteli_g.shape);
    result = hoteli_start_running(&setup);
    hoteli_flag_store(&hoteli_g.shape, 0);
    hoteli_life_leave();
    return result;
}

static void hoteli_nudge(void) {
    (void)hoteli_flag_swap(&hoteli_g.nudge, 1);
    hoteli_wake();
}

static struct timespec hoteli_deadline(uint32_t timeout_ms, uint32_t grace_ms) {
    struct timespec at;
    uint64_t ns = hoteli_clock_ns(hoteli_g.clock_cond ? CLOCK_MONOTONIC : CLOCK_REALTIME) +
                  ((uint64_t)timeout_ms + grace_ms) * 1000000u;
    at.tv_sec = (time_t)(ns / 1000000000u);
    at.tv_nsec = (long)(ns % 1000000000u);
    return at;
}

static bool hoteli_flush_reached(uint32_t ticket) {
    return (int32_t)(hoteli_g.flush_done - ticket) >= 0;
}

/* Without threads whoever calls does the work; one at a time, others take a nap. */
static void hoteli_turn_alone(int64_t max_wait_ms) {
    struct timespec nap = {0, 1000000};
    if (!hoteli_flag_cas(&hoteli_g.turning, 0, 1)) {
        if (max_wait_ms) (void)nanosleep(&nap, NULL);
        return;
    }
    hoteli_turn(max_wait_ms);
    hoteli_flag_store(&hoteli_g.turning, 0);
}

static bool hoteli_flush_done(uint32_t ticket) {
    bool reached;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    reached = hoteli_flush_reached(ticket);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return reached;
}

/* Without threads the caller does the work itself. */
static bool hoteli_pump(uint32_t ticket, uint32_t timeout_ms) {
    int64_t until = hoteli_now_ms() + timeout_ms;
    hoteli_t.quiet++;
    do {
        int64_t left = until - hoteli_now_ms();
        hoteli_turn_alone(HOTELI_MAX(HOTELI_MIN(left, (int64_t)20), (int64_t)0));
    } while (!hoteli_flush_done(ticket) && hoteli_now_ms() < until);
    hoteli_t.quiet--;
    return hoteli_flush_done(ticket);
}

static bool hoteli_flush_wait(uint32_t ticket, uint32_t timeout_ms) {
    struct timespec until = hoteli_deadline(timeout_ms, 0);
    bool reached;
    int error = 0;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    while (!hoteli_flush_reached(ticket) && error != ETIMEDOUT &&
           !hoteli_flag_load(&hoteli_g.closed))
        error = pthread_cond_timedwait(&hoteli_g.settled, &hoteli_g.lock, &until);
    reached = hoteli_flush_reached(ticket);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return reached;
}

HOTEL_API hotel_result hotel_flush(uint32_t timeout_ms) {
    uintptr_t lost = hoteli_load(&hoteli_g.lost);
    uint32_t ticket = 0;
    bool reached, running, pump;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_reading()) return HOTEL_ERR_NOT_RUNNING;
    running = hoteli_flag_load(&hoteli_g.running) != 0;
    pump = hoteli_g.no_threads;
    if (running) {
        (void)pthread_mutex_lock(&hoteli_g.lock);
        ticket = ++hoteli_g.flush_asked;
        (void)pthread_mutex_unlock(&hoteli_g.lock);
        hoteli_nudge();
    }
    hoteli_reading_over();
    if (!running) return HOTEL_ERR_NOT_RUNNING;
    reached = pump ? hoteli_pump(ticket, timeout_ms) : hoteli_flush_wait(ticket, timeout_ms);
    if (!reached) return HOTEL_ERR_TIMEOUT;
    return hoteli_load(&hoteli_g.lost) == lost ? HOTEL_OK : HOTEL_ERR_FAILED;
}

/* The thread ends at the deadline by itself, unless one of the user's callbacks keeps it: then it
   is left to itself after half a second more. */
static bool hoteli_join(uint32_t timeout_ms) {
    struct timespec until = hoteli_deadline(timeout_ms, 500);
    bool done;
    int error = 0;
    (void)pthread_mutex_lock(&hoteli_g.lock);
    while (!hoteli_g.thread_done && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&hoteli_g.settled, &hoteli_g.lock, &until);
    done = hoteli_g.thread_done;
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    if (!done) return false;
    (void)pthread_join(hoteli_g.thread, NULL);
    hoteli_g.has_thread = false;
    return true;
}

/* Runs the exporter down: a last flush until the deadline, then the rest is dropped. false: its
   thread did not come to an end. */
static bool hoteli_stop(uint32_t timeout_ms) {
    (void)pthread_mutex_lock(&hoteli_g.lock);
    hoteli_g.stop_ms = hoteli_now_ms() + timeout_ms;
    hoteli_g.stopping = true;
    hoteli_g.flush_asked++;
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    hoteli_nudge();
    if (hoteli_g.has_thread) {
        if (!hoteli_join(timeout_ms)) return false;
    } else {
        hoteli_t.quiet++;
        while (!hoteli_stop_now()) hoteli_turn_alone(HOTELI_MIN(hoteli_stop_wait(), (int64_t)20));
        hoteli_flag_enter(&hoteli_g.turning);
        hoteli_close_all();
        hoteli_flag_store(&hoteli_g.turning, 0);
        hoteli_t.quiet--;
    }
    (void)pthread_mutex_lock(&hoteli_g.lock);
    (void)pthread_cond_broadcast(&hoteli_g.settled);
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return true;
}

HOTEL_API hotel_result hotel_shutdown(uint32_t timeout_ms) {
    uintptr_t lost;
    int64_t began = hoteli_now_ms();
    hotel_result result = HOTEL_OK;
    if (hoteli_t.quiet) return HOTEL_ERR_CALLBACK;
    if (!hoteli_here()) return HOTEL_ERR_NOT_RUNNING;
    hoteli_life_enter();
    if (!hoteli_g.stopped) {
        lost = hoteli_load(&hoteli_g.lost);
        hoteli_flag_store(&hoteli_g.running, 0);
        hoteli_g.stopped = hoteli_stop(timeout_ms);
        if (!hoteli_g.stopped) result = HOTEL_ERR_TIMEOUT;
        else if (hoteli_load(&hoteli_g.lost) != lost)
            result = hoteli_now_ms() - began >= (int64_t)timeout_ms ? HOTEL_ERR_TIMEOUT
                                                                    : HOTEL_ERR_FAILED;
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
    hoteli_t.quiet--;
    return HOTEL_OK;
}

HOTEL_API const char *hotel_version(void) { return HOTEL_VERSION_STRING; }

/* ---- statistics ---- */

static void hoteli_read_stats(hotel_stats *out) {
    uint64_t waiting = 0;
    uint32_t i;
    if (hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
    for (i = 0; i <= hoteli_g.shard_mask; i++) {
        const hoteli_shard *shard = &hoteli_g.shards[i];
        out->started += hoteli_pops(shard) - hoteli_load(&shard->extra);
        out->unsampled += hoteli_load(&shard->unsampled);
        out->not_admitted += hoteli_load(&shard->not_admitted);
        waiting += hoteli_load(&shard->ended) >> HOTELI_INDEX_BITS;
    }
    out->started += out->unsampled + out->not_admitted;
    for (i = 1; i <= hoteli_g.num_chunks; i++) {
        const hoteli_chunk *chunk = hoteli_chunk_at(i);
        if (!(hoteli_load(&chunk->state) & HOTELI_ENDED)) out->live++;
        if (__atomic_load_n(&chunk->kind, __ATOMIC_RELAXED) == HOTELI_FREE) out->chunks_free++;
    }
    out->ended = hoteli_load(&hoteli_g.collected) + waiting;
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
    uint32_t i = 0;
    if (index >= hoteli_g.num_configured) return HOTEL_ERR_ARGUMENT;
    if (hoteli_flag_load(&hoteli_g.closed)) hoteli_drop_ended();
    while (i < hoteli_g.num_destinations && hoteli_g.destinations[i].position != index) i++;
    if (i == hoteli_g.num_destinations) return HOTEL_ERR_ENDPOINT;
    b = &hoteli_g.destinations[i].books;
    out->accepted = hoteli_load(&b->accepted);
    out->rejected = hoteli_load(&b->rejected);
    out->failed = hoteli_load(&b->failed);
    out->dropped_queue_full = hoteli_load(&b->dropped_queue_full);
    out->dropped_too_large = hoteli_load(&b->dropped_too_large);
    out->dropped_shutdown = hoteli_load(&b->dropped_shutdown);
    out->queued = hoteli_load(&b->queued);
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

static void hoteli_describe(hoteli_text *text) {
    static const char *const samplers[] = {"parentbased_always_on", "parentbased_always_on",
                                           "parentbased_always_off", "always_on", "always_off"};
    uint32_t i;
    hoteli_say(text, hoteli_flag_load(&hoteli_g.running) ? "running=yes\n" : "running=no\n");
    hoteli_say(text, hoteli_g.no_threads ? "threads=no\n" : "threads=yes\n");
    hoteli_say(text, hoteli_g.use_ticks ? "clock=counter\n" : "clock=monotonic\n");
    hoteli_say(text, "sampler=");
    hoteli_say(text, samplers[hoteli_g.sampler]);
    hoteli_say(text, "\n");
    hoteli_describe_line(text, "chunks", hoteli_g.num_chunks);
    hoteli_describe_line(text, "chunk_bytes", HATCHET_OTEL_CHUNK_BYTES);
    hoteli_describe_line(text, "shards", hoteli_g.shard_mask + 1);
    hoteli_describe_line(text, "max_span_bytes", hoteli_g.limits.max_span_bytes);
    hoteli_describe_line(text, "attribute_count", hoteli_g.limits.attribute_count);
    hoteli_describe_line(text, "event_count", hoteli_g.limits.event_count);
    hoteli_describe_line(text, "link_count", hoteli_g.limits.link_count);
    for (i = 0; i < hoteli_g.num_destinations; i++) {
        const hoteli_destination *d = &hoteli_g.destinations[i];
        hoteli_say(text, "destination=");
        hoteli_destination_name(text, d);
        hoteli_say(text, "\n");
        hoteli_describe_line(text, "  timeout_ms", d->timeout_ms);
        hoteli_describe_line(text, "  schedule_delay_ms", d->delay_ms);
        hoteli_describe_line(text, "  max_queue_size", d->max_queue);
        hoteli_describe_line(text, "  max_export_batch_size", d->max_batch);
        hoteli_describe_line(text, "  max_request_bytes", d->max_bytes);
    }
}

HOTEL_API size_t hotel_describe(char *out, size_t capacity) {
    hoteli_text text;
    bool reading = hoteli_reading();
    hoteli_text_start(&text, out, out ? capacity : 0);
    hoteli_say(&text, "version=" HOTEL_VERSION_STRING "\n");
    if (reading && hoteli_g.arena) hoteli_describe(&text);
    else hoteli_say(&text, "running=no\n");
    if (reading) hoteli_reading_over();
    return text.size;
}

/* ---- tracers and spans ---- */

HOTEL_API hotel_tracer hotel_get_tracer(const hotel_tracer_config *config) {
    hotel_tracer tracer = {0, 0};
    uint32_t index;
    if (!config || !hoteli_here() || !hoteli_flag_load(&hoteli_g.running)) return tracer;
    if (!config->name || !*config->name) hoteli_log_later(HOTEL_LOG_ID_EMPTY_SCOPE_NAME);
    (void)pthread_mutex_lock(&hoteli_g.lock);
    index = hoteli_scope_intern(config);
    tracer.scope = index + 1;
    tracer.generation = hoteli_g.scopes[index].block.generation;
    (void)pthread_mutex_unlock(&hoteli_g.lock);
    return tracer;
}

HOTEL_API bool hotel_is_enabled(hotel_tracer tracer) {
    (void)tracer;
    return hoteli_here() && hoteli_flag_load(&hoteli_g.running) && hoteli_g.num_destinations > 0;
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
    size_t i;
    if (!attributes || !hoteli_begin(span, &w)) return;
    for (i = 0; i < num_attributes; i++) hoteli_put_attribute(&w, &attributes[i]);
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

HOTEL_API hotel_token hotel_attach(const hotel_context *context) { return hoteli_attach(context); }

HOTEL_API hotel_result hotel_detach(hotel_token token) { return hoteli_detach(token); }

HOTEL_API hotel_context hotel_context_hold(const hotel_context *context) {
    hotel_context held = context ? *context : hotel_current();
    hotel_block *state = &held.span.context.trace_state;
    if (held.values.index && !hoteli_block_hold(held.values)) {
        memset(&held.values, 0, sizeof held.values);
        hoteli_stale();
    }
    if (state->index && !hoteli_block_hold(*state)) {
        memset(state, 0, sizeof *state);
        hoteli_stale();
    }
    return held;
}

HOTEL_API void hotel_context_release(hotel_context *context) {
    if (!context) return;
    if (context->values.index && !hoteli_block_drop(context->values)) hoteli_stale();
    if (context->span.context.trace_state.index &&
        !hoteli_block_drop(context->span.context.trace_state))
        hoteli_stale();
    memset(&context->values, 0, sizeof context->values);
    memset(&context->span.context.trace_state, 0, sizeof context->span.context.trace_state);
}

HOTEL_API hotel_guard hotel_guard_span(const hotel_span *span) {
    hotel_guard guard;
    hotel_context context = hotel_context_with(span);
    guard.span = context.span;
    guard.token = hoteli_attach(&context);
    guard.ends_span = true;
    return guard;
}

HOTEL_API hotel_guard hotel_guard_context(const hotel_context *context) {
    hotel_guard guard;
    memset(&guard, 0, sizeof guard);
    guard.token = hoteli_attach(context);
    return guard;
}

HOTEL_API void hotel_guard_leave(hotel_guard *guard) {
    if (!guard) return;
    (void)hoteli_detach(guard->token);
    if (guard->ends_span) hoteli_end(&guard->span, 0);
    guard->ends_span = false;
}

/* ---- propagation ---- */

/* What the current context brings into an extracted one is held like the rest of it. */
static inline void hoteli_extracted(hotel_context *context) {
    const hotel_context *top = hoteli_top(&hoteli_t);
    if (!top) memset(context, 0, sizeof *context);
    else if (!top->values.index && !top->span.context.trace_state.index) *context = *top;
    else *context = hotel_context_hold(top);
}

static void hoteli_block_replaced(hotel_block old, hotel_block now) {
    if (old.index && (old.index != now.index || old.generation != now.generation))
        (void)hoteli_block_drop(old);
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

/* ---- Hatchet ---- */

/* Where the task's span goes: under the metadata's traceparent; without one under the current
   span; with a malformed one nowhere, as in the Python SDK. The task holds the tracestate that
   comes along until it ends. */
static void hoteli_task_parent(hotel_task *task, const hotel_step_run *step_run) {
    const hotel_context *current = hoteli_top(&hoteli_t);
    const char *json = step_run->additional_metadata;
    size_t size = step_run->additional_metadata_size;
    hotel_block *state = &task->context.span.context.trace_state, before;
    if (current) task->context.span = hoteli_carrier(&current->span.context);
    before = *state;
    if (!hoteli_extract_json(&task->context, json, size ? size : hotel_text_size(json)))
        memset(&task->context.span, 0, sizeof task->context.span);
    if (state->index && state->index == before.index && state->generation == before.generation &&
        !hoteli_block_hold(*state))
        memset(state, 0, sizeof *state);
}

HOTEL_API hotel_task hotel_start_step_run(const hotel_step_run *step_run) {
    hotel_task task;
    hotel_attr list[HOTELI_BLOCK_KEYS], payload;
    hotel_start_options options;
    hotel_block state;
    memset(&task, 0, sizeof task);
    memset((void *)&options, 0, sizeof options);
    if (!step_run) {
        hoteli_bad_argument();
        return task;
    }
    if (hoteli_ready(&hoteli_t)) {
        size_t count = hoteli_task_attributes(step_run, list);
        if (hoteli_member(&payload, 0, "hatchet.payload", step_run->payload,
                          step_run->payload_size)) {
            if (payload.value.size <= HOTELI_SHARED_PAYLOAD) {
                list[count++] = payload;
            } else {
                options.attributes = &payload;
                options.num_attributes = 1;
            }
        }
        task.context.values = hoteli_block_of_attrs(list, count);
        options.tracer = hoteli_hatchet_tracer();
    }
    hoteli_task_parent(&task, step_run);
    state = task.context.span.context.trace_state;
    options.parent = &task.context;
    options.kind = HOTEL_CONSUMER;
    task.span = hotel_start_with("hatchet.start_step_run", &options);
    task.context.span = task.span;
    task.context.span.context.trace_state = state;
    task.token = hoteli_attach(&task.context);
    return task;
}

HOTEL_API void hotel_task_succeed(hotel_task *task) {
    if (!task) return;
    hotel_set_status(&task->span, HOTEL_STATUS_OK, NULL);
    hoteli_task_end(task);
}

HOTEL_API void hotel_task_fail_as(hotel_task *task, const char *type, const char *message,
                                  const char *stacktrace) {
    if (!task) return;
    if (type || message)
        hotel_record_exception(&task->span, type, message, stacktrace, NULL, 0);
    hotel_set_status(&task->span, HOTEL_STATUS_ERROR, message);
    hoteli_task_end(task);
}

HOTEL_API void hotel_task_fail(hotel_task *task, const char *message) {
    hotel_task_fail_as(task, NULL, message, NULL);
}

HOTEL_API hotel_span hotel_start_run_workflow(const hotel_trigger *trigger) {
    hotel_attr list[16];
    hotel_start_options options;
    memset((void *)&options, 0, sizeof options);
    options.kind = HOTEL_PRODUCER;
    if (!trigger) hoteli_bad_argument();
    if (trigger && hoteli_ready(&hoteli_t)) {
        options.num_attributes = hoteli_trigger_attributes(trigger, list);
        options.attributes = list;
        options.tracer = hoteli_hatchet_tracer();
    }
    return hotel_start_with("hatchet.run_workflow", &options);
}

HOTEL_API size_t hotel_inject_metadata_n(const hotel_span *span, const char *json,
                                         size_t json_size, char *out, size_t capacity) {
    hoteli_json_edit edits[2];
    char parent[HOTEL_TRACEPARENT_SIZE], state[HOTELI_STATE_SIZE + 1];
    size_t count = 0, size, state_size;
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

HOTEL_API size_t hotel_inject_metadata(const hotel_span *span, const char *json, char *out,
                                       size_t capacity) {
    return hotel_inject_metadata_n(span, json, hotel_text_size(json), out, capacity);
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
