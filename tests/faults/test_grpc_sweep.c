/*
 * SPDX-License-Identifier: MIT
 *
 * test_grpc_sweep.c - test_sweep.c with gRPC: the connection ends at every byte of the exchange, of
 * the request and of the answer, of a fresh connection and of a kept one; closed and reset; first
 * over sockets, then over a transport in memory. Every time the span is delivered once or counted
 * as failed, and a kept connection that dies under a request is replaced at once. Rules OR-03,
 * OR-18, OG-03, OG-08.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sweep.h"

/* What a server's connection begins with, and frames on the first stream. */
#define OPENING \
    "\0\0\0\4\0\0\0\0\0" \
    "\0\0\0\4\1\0\0\0\0"
#define FRAME(size, type, flags) "\0\0" size type flags "\0\0\0\1"
#define GRPC "\x88\x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64"
#define STATUS "\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x01\x30"
#define ANSWER(name, step, literal) \
    { name, step, 0, literal, sizeof(literal) - 1 }

static sweep_answer answers[] = {
    ANSWER("headers, message, trailers", GRPC_OK,
           OPENING FRAME("\x0e", "\1", "\4")
               GRPC FRAME("\5", "\0", "\0") "\0\0\0\0\0" FRAME("\x0c", "\1", "\5") STATUS),
    ANSWER("a warning, padding, CONTINUATION", "split 9; pad 3; h; pad 2; m 0a041202686d; t 0",
           OPENING FRAME("\3", "\1", "\10") "\1\x88\0" FRAME("\2", "\x9", "\0") "\x5f\x8b" FRAME(
               "\x0b", "\x9", "\4") "\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65"
                                    "\x64" FRAME("\xe", "\0", "\10") "\2\0\0\0\0\6\x0a\4\x12\2hm"
                                                                     "\0\0" FRAME("\x0c", "\1",
                                                                                  "\5") STATUS),
    ANSWER("trailers-only", "headers :status=103; ping; only 0",
           OPENING "\0\0\x8\6\0\0\0\0\0"
                   "faultily" FRAME("\x1a", "\1", "\5") GRPC STATUS),
};
enum { NUM_ANSWERS = 3 };

/* Bytes that the server sends for its step, once the connection is open. */
static size_t answer_size(const sweep_answer *answer) {
    grpc_server g;
    tally t;
    memset(&t, 0, sizeof t);
    memset(steps, 0, sizeof steps);
    steps[0].reply = answer->step;
    begin(&g, 1, 0);
    export_one(&t);
    finish(&g, answer->name);
    is_int(t.delivered, 1, "OG-03 an answer with %s", answer->name);
    server_release(&g.http);
    return g.step_size;
}

int main(void) {
    size_t fresh, kept, i;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    sweep_of_grpc = true;
    fresh = request_size(0, 0);
    kept = request_size(0, 2);
    ok(fresh > 300 && kept > 200 && kept < fresh && 2 * fresh + 1 < MAX_STEPS,
       "OG-08 a request has %zu bytes, on a kept connection %zu", fresh, kept);
    for (i = 0; i < NUM_ANSWERS; i++) answers[i].step_size = answer_size(&answers[i]);
    sweep_fresh(fresh, SERVER_CLOSE, "closed");
    sweep_fresh(fresh, SERVER_RESET, "reset");
    sweep_kept(kept, SERVER_CLOSE, "closed");
    sweep_kept(kept, SERVER_RESET, "reset");
    for (i = 0; i < NUM_ANSWERS; i++) {
        sweep_reply(&answers[i], SERVER_CLOSE, "closed");
        sweep_reply(&answers[i], SERVER_RESET, "reset");
    }
    sweep_retried(fresh);
    /* The host's name is another one. */
    fresh = fresh - (strlen("127.0.0.1:") + 5) + strlen("memory");
    wire_begin();
    for (i = 0; i < NUM_ANSWERS; i++) {
        sweep_memory(fresh, &answers[i], true, 0, false);
        sweep_memory(fresh, &answers[i], false, 0, i == 1);
        sweep_memory(fresh, &answers[i], i == 1, 7, i != 1);
    }
    wire_end();
    note("all of it took %lld ms", server_now_ms() - began);
    return done_testing();
}
