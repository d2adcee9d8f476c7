/*
 * SPDX-License-Identifier: MIT
 *
 * propagate.c - takes part in traces that cross processes. Each line on standard input asks for
 * one span, and is answered with the headers to send from inside it:
 *
 *     NAME|TRACEPARENT|TRACESTATE      a server span under that parent; both may be empty
 *     -> TRACEPARENT|TRACESTATE
 *
 * The spans go where the environment says; the end of the input is the end of the program.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <string.h>

/* Cuts the line at the next bar and returns what stood before it. */
static char *next_member(char **rest) {
    char *member = *rest;
    char *bar = strchr(member, '|');
    if (bar != NULL) *bar++ = '\0';
    *rest = bar != NULL ? bar : member + strlen(member);
    return member;
}

static void answer(char *line) {
    const char *name = next_member(&line);
    const char *traceparent = next_member(&line);
    const char *tracestate = next_member(&line);
    char headers[HOTEL_TRACEPARENT_SIZE];
    char state[1024];
    hotel_context request = hotel_extract(traceparent, tracestate);
    hotel_span span = hotel_start_in(&request, name, HOTEL_SERVER);
    (void)hotel_traceparent(&span, headers);
    (void)hotel_tracestate(&span, state, sizeof state);
    hotel_end(&span);
    hotel_context_release(&request);
    printf("%s|%s\n", headers, state);
    (void)fflush(stdout);
}

int main(void) {
    static char line[8192];
    hotel_config config = {.service_name = "c", .log_fn = hotel_log_to_stderr};
    if (hotel_init(&config) != HOTEL_OK) return 2;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(line);
    }
    return hotel_shutdown(10000) == HOTEL_OK ? 0 : 1;
}
