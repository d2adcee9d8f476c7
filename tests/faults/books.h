/*
 * SPDX-License-Identifier: MIT
 *
 * books.h - what the fault tests look at: the log, counted by id, and the books of hotel_stats,
 * which must balance whatever happened. Include it behind hatchet_otel.h.
 *
 *     open_books();                        after hotel_init
 *     ... hotel_shutdown(1000); ...
 *     check_books("the server hung");      one check; says what does not add up
 */
#ifndef BOOKS_H_INCLUDED
#define BOOKS_H_INCLUDED

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"

#define BOOKS_FN __attribute__((unused)) static

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* For a child that leaves by exit(): the search for leaks there stops threads from a process of its
   own, which now and then does not end. */
#if UNDER_ASAN
static bool leaks_ignored;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return leaks_ignored;
}
#define IGNORE_LEAKS() (void)(leaks_ignored = true)
#else
#define IGNORE_LEAKS() (void)0
#endif

/* ---- The log -------------------------------------------------------------------------------- */

enum { LOG_TEXT_SIZE = 32768 };

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the three below */
static unsigned log_counts[HOTEL_LOG_ID_MAX + 1];
static char log_text[LOG_TEXT_SIZE]; /* every message on a line: "id message\n" */
static size_t log_used;

/* A hotel_log_fn. */
BOOKS_FN void log_record(hotel_log_level level, hotel_log_id id, const char *message,
                         void *user_data) {
    (void)user_data;
    (void)pthread_mutex_lock(&log_mutex);
    if (id > 0 && id <= HOTEL_LOG_ID_MAX) log_counts[id]++;
    if (log_used < sizeof log_text) {
        int size = snprintf(log_text + log_used, sizeof log_text - log_used, "%d/%d %s\n", (int)id,
                            (int)level, message != NULL ? message : "(NULL)");
        if (size > 0) log_used += (size_t)size;
    }
    (void)pthread_mutex_unlock(&log_mutex);
}

BOOKS_FN void log_clear(void) {
    (void)pthread_mutex_lock(&log_mutex);
    memset(log_counts, 0, sizeof log_counts);
    log_used = 0;
    log_text[0] = '\0';
    (void)pthread_mutex_unlock(&log_mutex);
}

BOOKS_FN unsigned log_count(hotel_log_id id) {
    unsigned count;
    (void)pthread_mutex_lock(&log_mutex);
    count = log_counts[id];
    (void)pthread_mutex_unlock(&log_mutex);
    return count;
}

/* Messages of every id but STARTED. */
BOOKS_FN unsigned log_count_all(void) {
    unsigned id, count = 0;
    (void)pthread_mutex_lock(&log_mutex);
    for (id = HOTEL_LOG_ID_STARTED + 1; id <= HOTEL_LOG_ID_MAX; id++) count += log_counts[id];
    (void)pthread_mutex_unlock(&log_mutex);
    return count;
}

BOOKS_FN bool log_has(const char *part) {
    bool found;
    (void)pthread_mutex_lock(&log_mutex);
    found = strstr(log_text, part) != NULL;
    (void)pthread_mutex_unlock(&log_mutex);
    return found;
}

BOOKS_FN void log_show(void) {
    const char *line;
    (void)pthread_mutex_lock(&log_mutex);
    for (line = log_text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        note("log: %.*s", (int)size, line);
        line += size + (line[size] == '\n');
    }
    (void)pthread_mutex_unlock(&log_mutex);
}

/* One check: this id was logged so many times. */
BOOKS_FN bool check_log(hotel_log_id id, unsigned count, const char *what) {
    bool passed = is_int(log_count(id), count, "%s: log id %d %u times", what, (int)id, count);
    if (!passed) log_show();
    return passed;
}

/* ---- The books ------------------------------------------------------------------------------ */

enum { BOOKS_MAX_DESTINATIONS = 4 };

typedef struct books {
    hotel_stats process;
    hotel_destination_stats to[BOOKS_MAX_DESTINATIONS];
} books;

static books books_opened; /* the figures when open_books was called */

/* Set it where several providers run: then each destination is offered its own spans only. */
__attribute__((unused)) static bool books_of_providers;

BOOKS_FN books read_books(void) {
    books now;
    size_t i;
    memset(&now, 0, sizeof now);
    hotel_get_stats(&now.process);
    for (i = 0; i < now.process.num_destinations && i < BOOKS_MAX_DESTINATIONS; i++) {
        (void)hotel_get_destination_stats(i, &now.to[i]);
    }
    return now;
}

/* Figures count from here; hotel_init need not reset them. */
BOOKS_FN void open_books(void) {
    books_opened = read_books();
}

/* The figures since open_books. */
BOOKS_FN hotel_destination_stats since_opened(size_t index) {
    hotel_destination_stats now = read_books().to[index];
    const hotel_destination_stats *then = &books_opened.to[index];
    now.offered -= then->offered;
    now.accepted -= then->accepted;
    now.rejected -= then->rejected;
    now.failed -= then->failed;
    now.dropped_queue_full -= then->dropped_queue_full;
    now.dropped_too_large -= then->dropped_too_large;
    now.dropped_shutdown -= then->dropped_shutdown;
    now.requests -= then->requests;
    now.retries -= then->retries;
    now.connections -= then->connections;
    now.bytes_sent -= then->bytes_sent;
    return now;
}

BOOKS_FN unsigned long long sum_of(const hotel_destination_stats *d) {
    return d->accepted + d->rejected + d->failed + d->dropped_queue_full + d->dropped_too_large +
           d->dropped_shutdown;
}

BOOKS_FN bool process_balances(const hotel_stats *s) {
    unsigned long long over = s->unsampled + s->not_admitted + s->record_only + s->ended;
    if (s->started == over + s->live) return true;
    note("started %llu != unsampled %llu + not_admitted %llu + record_only %llu + live %llu + "
         "ended %llu",
         (unsigned long long)s->started, (unsigned long long)s->unsampled,
         (unsigned long long)s->not_admitted, (unsigned long long)s->record_only,
         (unsigned long long)s->live, (unsigned long long)s->ended);
    return false;
}

BOOKS_FN bool destination_balances(size_t index, unsigned long long ended) {
    hotel_destination_stats d = since_opened(index);
    if (books_of_providers) ended = d.offered;
    if (d.offered == sum_of(&d) && ended == d.offered && d.queued == 0) return true;
    note("destination %zu: ended %llu, offered %llu != accepted %llu + rejected %llu + "
         "failed %llu + queue_full %llu + too_large %llu + shutdown %llu; queued %llu",
         index, ended, (unsigned long long)d.offered, (unsigned long long)d.accepted,
         (unsigned long long)d.rejected, (unsigned long long)d.failed,
         (unsigned long long)d.dropped_queue_full, (unsigned long long)d.dropped_too_large,
         (unsigned long long)d.dropped_shutdown, (unsigned long long)d.queued);
    return false;
}

/* True when everything adds up; call it after hotel_shutdown. Diagnostics only when not. */
BOOKS_FN bool books_balance(void) {
    books now = read_books();
    bool good = process_balances(&now.process);
    size_t i;
    for (i = 0; i < now.process.num_destinations && i < BOOKS_MAX_DESTINATIONS; i++) {
        hotel_destination_stats started;
        if (hotel_get_destination_stats(i, &started) != HOTEL_OK) continue;
        if (!destination_balances(i, now.process.ended - books_opened.process.ended)) good = false;
    }
    return good;
}

BOOKS_FN bool check_books(const char *what) {
    bool good = books_balance();
    return ok(good, "P5 %s: the books balance", what);
}

/* A configuration for tests: own log, no environment. to may be filled in afterwards. */
BOOKS_FN hotel_config test_config(hotel_destination *to, size_t count) {
    hotel_config config;
    memset(&config, 0, sizeof config);
    config.service_name = "faults";
    config.destinations = to;
    config.num_destinations = count;
    config.ignore_environment = true;
    config.log_fn = log_record;
    return config;
}

BOOKS_FN hotel_destination destination(const char *endpoint) {
    hotel_destination to;
    memset(&to, 0, sizeof to);
    to.endpoint = endpoint;
    return to;
}

#endif
