/*
 * SPDX-License-Identifier: MIT
 *
 * table.h - tables of servers: each row is a script and what must come of three spans exported to
 * it: delivered, tried again or given up, how often the server saw them, what is counted, what is
 * logged, how long it takes. Include it behind hatchet_otel.h.
 */
#ifndef TABLE_H_INCLUDED
#define TABLE_H_INCLUDED

#include <strings.h>

#include "grpc_server.h"

#include "books.h"
#include "tap.h"

enum { NUM_SPANS = 3, GROUP = 4 };

static void end_spans(unsigned count) {
    unsigned i;
    for (i = 0; i < count; i++) {
        hotel_span span = hotel_start("fault");
        hotel_set_int(&span, "n", (int64_t)i);
        hotel_end(&span);
    }
}

/* Messages with this id that name this port. */
static unsigned log_count_of(hotel_log_id id, uint16_t port) {
    char start[16], address[32];
    const char *line;
    unsigned count = 0;
    (void)snprintf(start, sizeof start, "%d/", (int)id);
    (void)snprintf(address, sizeof address, ":%u", (unsigned)port);
    (void)pthread_mutex_lock(&log_mutex);
    for (line = log_text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *found = strstr(line, address);
        count += strncmp(line, start, strlen(start)) == 0 && found != NULL && found < line + size;
        line += size + (line[size] == '\n');
    }
    (void)pthread_mutex_unlock(&log_mutex);
    return count;
}

/* ---- One table of servers -------------------------------------------------------------------- */

typedef enum outcome {
    ONCE,  /* delivered by the first request                  */
    AGAIN, /* delivered by the second, after a wait           */
    FINAL, /* given up at once, though there was time         */
    LATE   /* given up when its time (timeout_ms) was over    */
} outcome;

/* Three spans are exported to a server with this script. */
typedef struct row {
    const char *name;
    server_step steps[4];
    size_t num_steps;
    outcome outcome;
    unsigned seen;       /* times that all of the spans came to the server      */
    unsigned rejected;   /* of them                                             */
    unsigned warnings;   /* PARTIAL_SUCCESS messages                            */
    uint32_t timeout_ms; /* of the destination; 0: the default of ten seconds   */
    unsigned requests;   /* 0: one, or two with AGAIN                           */
    const char *said;    /* stands in the message that it fails, or tries again */
    unsigned maybe_seen; /* times more that it is well if they came             */
    unsigned cancels;    /* RST_STREAM with CANCEL from the client              */
    unsigned pongs;      /* at least so many of them                            */
    unsigned goaway;     /* code of the GOAWAY from the client; 0: not looked at */
} row;

/* Set it where the rows are for gRPC. */
static bool table_of_grpc;

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* clang-format off */
#define SEEN(how, times) .outcome = how, .seen = times
#define ANSWER(text) {{.reply = (text)}}, 1
#define CLOSING(text) {{.reply = (text), .after = SERVER_CLOSE}}, 1
/* clang-format on */

static bool same_bodies(server *s) {
    unsigned i, count = server_num_requests(s);
    const server_request *first = server_request_at(s, 0);
    for (i = 1; i < count && i < SERVER_MAX_REQUESTS; i++) {
        const server_request *r = server_request_at(s, i);
        if (r->body.size != first->body.size ||
            memcmp(r->body.at, first->body.at, r->body.size) != 0) {
            return false;
        }
    }
    return true;
}

/* Is there a message about this port with these words? \n stands for its end. */
static bool log_says(uint16_t port, const char *words) {
    char address[32];
    const char *line;
    bool found = false;
    (void)snprintf(address, sizeof address, ":%u", (unsigned)port);
    (void)pthread_mutex_lock(&log_mutex);
    for (line = log_text; *line != '\0' && !found;) {
        size_t size = strcspn(line, "\n");
        const char *at = strstr(line, address), *said = strstr(line, words);
        found = at != NULL && at < line + size && said != NULL && said < line + size;
        line += size + (line[size] == '\n');
    }
    (void)pthread_mutex_unlock(&log_mutex);
    return found;
}

static bool logs_fit(const row *r, uint16_t port) {
    unsigned retried = log_count_of(HOTEL_LOG_ID_EXPORT_RETRY, port);
    unsigned failed = log_count_of(HOTEL_LOG_ID_EXPORT_FAILED, port);
    unsigned partial = log_count_of(HOTEL_LOG_ID_PARTIAL_SUCCESS, port);
    bool given_up = r->outcome == FINAL || r->outcome == LATE;
    bool is_again = r->outcome == AGAIN || r->requests > 1;
    if ((retried == is_again || (r->outcome == LATE && retried == 1)) && failed == given_up &&
        partial == r->warnings && (r->said == NULL || log_says(port, r->said))) {
        return true;
    }
    note("logged for port %u: retry %u, failed %u, partial %u; wanted the words: %s", port, retried,
         failed, partial, r->said != NULL ? r->said : "");
    log_show();
    return false;
}

static bool counts_fit(const row *r, const hotel_destination_stats *d) {
    bool given_up = r->outcome == FINAL || r->outcome == LATE;
    unsigned requests = r->requests != 0 ? r->requests : r->outcome == AGAIN ? 2 : 1;
    /* A connection that ends as it begins may never have been seen as made. */
    bool any = r->outcome == LATE || r->steps[0].when == SERVER_AT_ACCEPT;
    if (d->accepted == (given_up ? 0 : NUM_SPANS - r->rejected) && d->rejected == r->rejected &&
        d->failed == (given_up ? NUM_SPANS : 0) && d->dropped_shutdown == 0 &&
        (d->requests == requests || (any && d->requests > 0)) && d->retries + 1 == d->requests) {
        return true;
    }
    note("accepted %llu, rejected %llu, failed %llu, shutdown %llu, requests %llu, retries %llu",
         (unsigned long long)d->accepted, (unsigned long long)d->rejected,
         (unsigned long long)d->failed, (unsigned long long)d->dropped_shutdown,
         (unsigned long long)d->requests, (unsigned long long)d->retries);
    return false;
}

/* How often the spans came; with an endless series of attempts any number will do. */
static bool server_fits(const row *r, grpc_server *g) {
    server *s = &g->http;
    bool good = s->num_bad == 0 && s->num_spans == s->num_requests * (size_t)NUM_SPANS &&
                ((s->num_requests >= r->seen && s->num_requests <= r->seen + r->maybe_seen) ||
                 (r->outcome == LATE && r->seen == 0)) &&
                same_bodies(s) && g->num_cancels == r->cancels && g->num_pongs >= r->pongs &&
                (r->goaway == 0 || g->goaway_code == r->goaway);
    if (!good) {
        note("the server saw %u requests, %u wanted, %u bad: %s", s->num_requests, r->seen,
             s->num_bad, s->problem);
        note("... %u CANCEL, %u PING answered, GOAWAY %u", g->num_cancels, g->num_pongs,
             g->goaway_code);
    }
    return good;
}

static void check_row(const row *r, grpc_server *g, size_t index) {
    static const char *const outcomes[] = {"delivered", "delivered at the second try",
                                           "given up at once", "given up at its deadline"};
    hotel_destination_stats d = since_opened(index);
    bool good = counts_fit(r, &d);
    good = logs_fit(r, g->http.port) && good;
    good = server_fits(r, g) && good;
    ok(good, "%s: %s, seen %u times", r->name, outcomes[r->outcome], g->http.num_requests);
}

/* Rows run four at a time, each on a destination of its own. */
static void run_group(const row *rows, size_t count, long long max_ms) {
    grpc_server servers[GROUP];
    char urls[GROUP][64];
    hotel_destination to[GROUP];
    hotel_config config = test_config(to, count);
    size_t i;
    bool lossless = true;
    hotel_result flushed;
    long long took;
    for (i = 0; i < count; i++) {
        server *s = &servers[i].http;
        memset(&servers[i], 0, sizeof servers[i]);
        if (!(table_of_grpc ? grpc_start(&servers[i], rows[i].steps, rows[i].num_steps)
                            : server_start(s, SERVER_IPV4, rows[i].steps, rows[i].num_steps))) {
            abort();
        }
        to[i] = destination(server_url(s, "", urls[i], sizeof urls[i]));
        if (table_of_grpc) to[i].protocol = HOTEL_PROTOCOL_GRPC;
        to[i].timeout_ms = rows[i].timeout_ms;
        if (rows[i].outcome > AGAIN || rows[i].rejected > 0) lossless = false;
    }
    log_clear();
    if (hotel_init(&config) != HOTEL_OK) note("hotel_init failed");
    open_books();
    took = server_now_ms();
    end_spans(NUM_SPANS);
    flushed = hotel_flush(8000);
    took = server_now_ms() - took;
    is_int(flushed, lossless ? HOTEL_OK : HOTEL_ERR_FAILED, "BSP-16 flush of \"%s\" and %zu more",
           rows[0].name, count - 1);
    ok(took < max_ms, "... takes less than %lld ms (%lld)", max_ms, took);
    is_int(hotel_shutdown(3000), HOTEL_OK, "... and shutdown has nothing left to do");
    for (i = 0; i < count; i++) {
        (void)server_wait(&servers[i].http, rows[i].seen, 2000);
        server_stop(&servers[i].http);
        check_row(&rows[i], &servers[i], i);
    }
    check_books(rows[0].name);
    for (i = 0; i < count; i++) server_release(&servers[i].http);
}

static void run_rows(const row *rows, size_t count, long long max_ms) {
    size_t i;
    for (i = 0; i < count; i += GROUP) {
        run_group(rows + i, count - i < GROUP ? count - i : GROUP, max_ms);
    }
}

#define RUN_ROWS(rows, max_ms) run_rows((rows), COUNT(rows), (max_ms))

#endif
