/*
 * SPDX-License-Identifier: MIT
 *
 * test_sweep.c - the connection ends at every byte of the exchange: behind each byte of the request
 * that the server has read, behind each byte that the client got out, behind each byte of the
 * reply; closed and reset; first over sockets, then over a transport in memory, where what has
 * arrived is known to the byte. Every time the span is delivered once or counted as failed, and a
 * kept connection that dies under a request is replaced at once. Rules OR-03, OR-16, OR-18, OT-06.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "sweep.h"

#define ANSWER(name, literal) \
    { name, literal, sizeof(literal) - 1, literal, sizeof(literal) - 1 }

static const sweep_answer answers[] = {
    ANSWER("Content-Length",
           "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n"
           "\x0a\x00"),
    ANSWER("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "1;a=b\r\n\x0a\r\n1\r\n\x00\r\n0\r\nX: y\r\n\r\n"),
    ANSWER("a partial success",
           "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
           "\x0a\x04\x12\x02hm"),
};
enum { NUM_ANSWERS = 3 };

/* With time: the second attempt sends the same bytes. */
static void sweep_memory_retried(size_t size) {
    size_t n, wrong = 0;
    for (n = 0; n < 4; n++) {
        wire w;
        hotel_destination_stats d;
        memset(&w, 0, sizeof w);
        w.take = n * size / 4;
        w.size = size;
        w.reply = answers[0].bytes, w.reply_size = answers[0].size;
        d = exchange(&w, 3000);
        wrong += d.accepted != 1 || d.requests != 2 || d.retries != 1 || w.complete != 1 ||
                 memcmp(w.seen[0], w.seen[1], w.take) != 0;
    }
    is_int(wrong, 0, "OR-16 lost in the request, then delivered with the same bytes");
}

int main(void) {
    size_t size, i;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    size = request_size(0, 0);
    ok(size > 200 && 2 * size + 1 < MAX_STEPS, "a request has %zu bytes", size);
    sweep_fresh(size, SERVER_CLOSE, "closed");
    sweep_fresh(size, SERVER_RESET, "reset");
    sweep_kept(size, SERVER_CLOSE, "closed");
    sweep_kept(size, SERVER_RESET, "reset");
    for (i = 0; i < NUM_ANSWERS; i++) {
        sweep_reply(&answers[i], SERVER_CLOSE, "closed");
        sweep_reply(&answers[i], SERVER_RESET, "reset");
    }
    sweep_retried(size);
    /* The host's name is another one. */
    size = size - (strlen("127.0.0.1:") + 5) + strlen("memory");
    wire_begin();
    for (i = 0; i < NUM_ANSWERS; i++) {
        sweep_memory(size, &answers[i], true, 0, false);
        sweep_memory(size, &answers[i], false, 0, i == 1);
        sweep_memory(size, &answers[i], i == 1, 7, i != 1);
    }
    sweep_memory_retried(size);
    wire_end();
    note("all of it took %lld ms", server_now_ms() - began);
    return done_testing();
}
