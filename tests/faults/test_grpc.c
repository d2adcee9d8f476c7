/*
 * SPDX-License-Identifier: MIT
 *
 * test_grpc.c - OTLP over gRPC against servers that behave in every way: each status with and
 * without its details, each way for a stream or a connection to end, windows and SETTINGS that
 * change under a request, proxies that speak something else, silence. For each: delivered, tried
 * again or given up exactly as the rules say, how often the server saw the spans, what is counted,
 * what is logged, how long it takes. Rules OG-*, OR-04 to OR-06, OR-08, OR-09, OR-12, OR-13, OR-18.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "table.h"

/* clang-format off */
#define THEN_OK(text) {{.reply = (text)}, {.reply = GRPC_OK}}, 2
#define CLOSING_THEN_OK(text) {{.reply = (text), .after = SERVER_CLOSE}, {.reply = GRPC_OK}}, 2
#define ACCEPTING(text) {{.reply = (text), .when = SERVER_AT_ACCEPT}, {.reply = GRPC_OK}}, 2
/* clang-format on */

static const row success_rows[] = {
    {"OG-03 headers, an empty message, trailers", ANSWER(GRPC_OK), SEEN(ONCE, 1)},
    {"OG-03 a pause behind each", ANSWER("wait 20; h; wait 20; m; wait 20; t 0"), SEEN(ONCE, 1)},
    {"OG-03 in single bytes", {{.reply = GRPC_OK, .drip_ms = 1}}, 1, SEEN(ONCE, 1)},
    {"OG-03 after a pause", {{.reply = GRPC_OK, .delay_ms = 150}}, 1, SEEN(ONCE, 1)},
    {"OG-03 application/grpc+proto",
     ANSWER("headers :status=200 content-type=application/grpc+proto; m; t 0"), SEEN(ONCE, 1)},
    {"OG-03 fields that the client has no use for",
     ANSWER("headers :status=200 content-type=application/grpc server=x date=now grpc-encoding="
            "identity grpc-accept-encoding=gzip,deflate; m; t 0 x-trace=1 grpc-message="),
     SEEN(ONCE, 1)},
    {"OG-02 a message over many DATA frames",
     ANSWER("h; data 0000; data; data 0000; data 020a; data; data 00; t 0"), SEEN(ONCE, 1)},
    {"OG-02 a message with fields of the future", ANSWER("h; m 1a027878; t 0"), SEEN(ONCE, 1)},
    {"OG-08 header blocks in CONTINUATION frames", ANSWER("split 1; h; m; split 2; t 0"),
     SEEN(ONCE, 1)},
    {"OG-08 an empty HEADERS frame and its CONTINUATION",
     ANSWER("frame 1 0 s; frame 9 0 s; frame 9 4 s "
            "885f8b1d75d0620d263d4c4d6564; m; t 0"),
     SEEN(ONCE, 1)},
    {"OG-08 padding and priority everywhere",
     ANSWER("pad 200; prio; h; pad 255; m; pad 3; data; pad 0; prio; t 0"), SEEN(ONCE, 1)},
    {"OG-08 Huffman codes and a dynamic table",
     ANSWER("block 4 885f8b1d75d0620d263d4c4d6564; m; "
            "block 5 40889acac8b21234da8f013040899acac8b5254207317f00"),
     SEEN(ONCE, 1)},
    {"OG-08 the dynamic table is given up in a block", ANSWER("block 4 20885f0161; m; t 0"),
     SEEN(ONCE, 1)},
    {"OG-03 interim responses",
     ANSWER("headers :status=100; headers :status=103 link=</a>; h; m; t 0"), SEEN(ONCE, 1)},
    {"OG-08 unknown frames and PRIORITY",
     ANSWER("frame 22 255 0 00112233; h; frame 32 0 s 00; frame 2 0 s 0000000010; m; "
            "frame 240 0 n; t 0"),
     SEEN(ONCE, 1)},
    {"OG-08 PING before and behind the headers",
     ANSWER("ping; until pong; h; ping; until pong; "
            "m; t 0"),
     SEEN(ONCE, 1), .pongs = 2},
    {"OG-08 an ACK of no PING", ANSWER("frame 6 1 0 0011223344556677; h; m; t 0"), SEEN(ONCE, 1)},
    {"OG-08 SETTINGS under a request",
     ANSWER("settings 1=0 3=1 4=1 5=16777215 6=1; until ack; h; settings; m; until ack; t 0"),
     SEEN(ONCE, 1)},
    {"OG-08 SETTINGS of the future", ACCEPTING("settings 8=1 77=5 65535=4294967295"),
     SEEN(ONCE, 1)},
    {"OG-08 a table of no bytes for what the client sends", ACCEPTING("settings 1=0"),
     SEEN(ONCE, 1)},
    {"OG-08 a window of one byte", ACCEPTING("settings 4=1"), SEEN(ONCE, 1)},
    {"OG-08 frames of 16 MiB", ACCEPTING("settings 5=16777215 4=2147483647"), SEEN(ONCE, 1)},
    {"OG-08 WINDOW_UPDATE on all streams, the closed one too",
     ANSWER("window s 5; window 0 5; h; m; t 0; window s 9"), SEEN(ONCE, 1)},
    {"OG-08 the largest window there can be", ACCEPTING("settings; window 0 2147418112"),
     SEEN(ONCE, 1)},
    {"OG-06 RST_STREAM behind the trailers", ANSWER("h; m; t 0; rst 0"), SEEN(ONCE, 1)},
    {"OG-06 RST_STREAM of another stream", ANSWER("h; m; t 0; wait 10; frame 3 0 s 00000008"),
     SEEN(ONCE, 1)},
    {"OG-07 GOAWAY behind the trailers", ANSWER("h; m; t 0; goaway s 0"), SEEN(ONCE, 1)},
    {"OG-07 GOAWAY that still serves our stream",
     ANSWER("goaway s 0 maintenance; wait 30; h; m; t 0"), SEEN(ONCE, 1)},
    {"OG-07 GOAWAY that promises streams to come", ANSWER("goaway n 0; h; m; t 0"), SEEN(ONCE, 1)},
    {"OG-07 GOAWAY twice, as servers do that leave gracefully",
     ANSWER("goaway 0x7fffffff 0; ping; until pong; goaway s 0; h; m; t 0"), SEEN(ONCE, 1),
     .pongs = 1},
    {"OG-03 closed behind the trailers", CLOSING(GRPC_OK), SEEN(ONCE, 1)},
    {"OG-03 reset behind the trailers",
     {{.reply = GRPC_OK, .linger_ms = 20, .after = SERVER_RESET}},
     1,
     SEEN(ONCE, 1)},
    {"OG-03 an answer at the head of the request",
     {{.reply = "h; m; t 0", .when = SERVER_AT_HEAD}},
     1,
     SEEN(ONCE, 1)},
    {"EX-18 OR-13 partial success with nothing in it", ANSWER("h; m 0a00; t 0"), SEEN(ONCE, 1)},
    {"EX-18 OR-13 a warning only", ANSWER("h; m 0a041202686d; t 0"), SEEN(ONCE, 1), .warnings = 1,
     .said = "accepted everything, with a warning: \"hm\""},
    {"EX-18 OR-12 one of three rejected", ANSWER("h; m 0a06080112026e6f; t 0"), SEEN(ONCE, 1),
     .rejected = 1, .warnings = 1, .said = "rejected 1 span: \"no\""},
    {"OR-12 all rejected, no reason", ANSWER("h; m 0a020803; t 0"), SEEN(ONCE, 1), .rejected = 3,
     .warnings = 1, .said = "rejected 3 spans"},
    {"OR-12 more rejected than sent", ANSWER("h; m 0a0308e807; t 0"), SEEN(ONCE, 1), .rejected = 3,
     .warnings = 1},
    {"OR-12 less than none rejected", ANSWER("h; m 0a0b08ffffffffffffffffff01; t 0"),
     SEEN(ONCE, 1)},
    {"OR-12 partial success in single bytes",
     ANSWER("h; data 00; data 00; data 00; data 00; data 04; data 0a; data 02; data 08; data 01; "
            "t 0"),
     SEEN(ONCE, 1), .rejected = 1, .warnings = 1},
    {"OR-12 a malformed message counts as success", ANSWER("h; m 0a7f08; t 0"), SEEN(ONCE, 1)},
};

/* Each as trailers-only; then the same code behind headers and message. */
static const row status_rows[] = {
    {"OR-04 CANCELLED(1) once", THEN_OK("only 1"), SEEN(AGAIN, 2), .said = "CANCELLED"},
    {"OR-06 UNKNOWN(2)", ANSWER("only 2"), SEEN(FINAL, 1), .said = "UNKNOWN"},
    {"OR-06 INVALID_ARGUMENT(3)", ANSWER("only 3"), SEEN(FINAL, 1), .said = "INVALID_ARGUMENT"},
    {"OR-04 DEADLINE_EXCEEDED(4) once", THEN_OK("only 4"), SEEN(AGAIN, 2),
     .said = "DEADLINE_EXCEEDED"},
    {"OR-06 NOT_FOUND(5)", ANSWER("only 5"), SEEN(FINAL, 1), .said = "NOT_FOUND"},
    {"OR-06 ALREADY_EXISTS(6)", ANSWER("only 6"), SEEN(FINAL, 1), .said = "ALREADY_EXISTS"},
    {"OR-06 PERMISSION_DENIED(7)", ANSWER("only 7"), SEEN(FINAL, 1), .said = "PERMISSION_DENIED"},
    {"OR-05 RESOURCE_EXHAUSTED(8) without details", ANSWER("only 8"), SEEN(FINAL, 1),
     .said = "RESOURCE_EXHAUSTED"},
    {"OR-06 FAILED_PRECONDITION(9)", ANSWER("only 9"), SEEN(FINAL, 1),
     .said = "FAILED_PRECONDITION"},
    {"OR-04 ABORTED(10) once", THEN_OK("only 10"), SEEN(AGAIN, 2), .said = "ABORTED"},
    {"OR-04 OUT_OF_RANGE(11) once", THEN_OK("only 11"), SEEN(AGAIN, 2), .said = "OUT_OF_RANGE"},
    {"OR-06 UNIMPLEMENTED(12)", ANSWER("only 12"), SEEN(FINAL, 1), .said = "UNIMPLEMENTED"},
    {"OR-06 INTERNAL(13)", ANSWER("only 13"), SEEN(FINAL, 1), .said = "INTERNAL"},
    {"OR-04 UNAVAILABLE(14) once", THEN_OK("only 14"), SEEN(AGAIN, 2), .said = "UNAVAILABLE"},
    {"OR-04 DATA_LOSS(15) once", THEN_OK("only 15"), SEEN(AGAIN, 2), .said = "DATA_LOSS"},
    {"OR-06 UNAUTHENTICATED(16)", ANSWER("only 16"), SEEN(FINAL, 1), .said = "UNAUTHENTICATED"},
    {"OG-04 an unknown status", ANSWER("only 17"), SEEN(FINAL, 1), .said = "UNKNOWN"},
    {"OG-04 a status beyond 32 bits",
     ANSWER("trailers :status=200 content-type=application/grpc grpc-status=4294967296"),
     SEEN(FINAL, 1)},
    {"OG-04 a status that is no number",
     ANSWER("trailers :status=200 content-type=application/grpc grpc-status=OK"), SEEN(FINAL, 1)},
    {"OG-04 a negative status",
     ANSWER("trailers :status=200 content-type=application/grpc grpc-status=-14"), SEEN(FINAL, 1)},
    {"OG-04 an empty status",
     ANSWER("trailers :status=200 content-type=application/grpc grpc-status="), SEEN(FINAL, 1)},
    {"OG-04 UNAVAILABLE behind headers", THEN_OK("h; t 14"), SEEN(AGAIN, 2), .said = "UNAVAILABLE"},
    {"OG-04 UNAVAILABLE behind a whole message", THEN_OK("h; m; t 14"), SEEN(AGAIN, 2),
     .said = "UNAVAILABLE"},
    {"OG-04 INTERNAL behind a whole message", ANSWER("h; m; t 13"), SEEN(FINAL, 1),
     .said = "INTERNAL"},
    {"OG-04 INTERNAL behind half a message", ANSWER("h; data 00000000ff00; t 13"), SEEN(FINAL, 1),
     .said = "INTERNAL"},
    {"OG-04 grpc-status decides, not :status 503",
     ANSWER("trailers :status=503 content-type=application/grpc grpc-status=3"), SEEN(FINAL, 1),
     .said = "INVALID_ARGUMENT"},
    {"OR-04 UNAVAILABLE, then INVALID_ARGUMENT",
     {{.reply = "only 14"}, {.reply = "only 3"}},
     2,
     SEEN(FINAL, 2),
     .requests = 2,
     .said = "INVALID_ARGUMENT"},
    {"OG-05 a message", ANSWER("only 3 grpc-message=no~such~thing"), SEEN(FINAL, 1),
     .said = "no such thing"},
    {"OG-05 a percent-encoded message", ANSWER("only 3 grpc-message=50%25%20of%20%E2%82%AC"),
     SEEN(FINAL, 1), .said = "50% of \xE2\x82\xAC"},
    {"OG-05 bad escapes stay as they are", ANSWER("only 3 grpc-message=a%zzb%4"), SEEN(FINAL, 1),
     .said = "a%zzb%4"},
    {"OG-05 a message of one percent sign", ANSWER("only 3 grpc-message=%"), SEEN(FINAL, 1),
     .said = "%"},
    {"OG-05 line breaks and NUL do not reach the log",
     ANSWER("only 3 grpc-message=first%0Asecond%00third"), SEEN(FINAL, 1), .said = "first"},
    {"OG-05 bytes that are no UTF-8", ANSWER("only 3 grpc-message=caf%E9!"), SEEN(FINAL, 1),
     .said = "caf"},
    {"OG-05 a message with UNAVAILABLE", THEN_OK("only 14 grpc-message=restarting"), SEEN(AGAIN, 2),
     .said = "restarting"},
};

#define A16 "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16

static const row proxy_rows[] = {
    {"OG-04 :status 400 is INTERNAL", ANSWER("trailers :status=400 content-type=text/plain"),
     SEEN(FINAL, 1), .said = "400"},
    {"OG-04 :status 401 is UNAUTHENTICATED", ANSWER("trailers :status=401"), SEEN(FINAL, 1),
     .said = "401"},
    {"OG-04 :status 403 is PERMISSION_DENIED", ANSWER("trailers :status=403"), SEEN(FINAL, 1),
     .said = "403"},
    {"OG-04 :status 404 is UNIMPLEMENTED", ANSWER("trailers :status=404"), SEEN(FINAL, 1),
     .said = "404"},
    {"OG-04 :status 429 is UNAVAILABLE", THEN_OK("trailers :status=429"), SEEN(AGAIN, 2),
     .said = "429"},
    {"OG-04 :status 502 is UNAVAILABLE", THEN_OK("trailers :status=502"), SEEN(AGAIN, 2),
     .said = "502"},
    {"OG-04 :status 503 is UNAVAILABLE", THEN_OK("trailers :status=503"), SEEN(AGAIN, 2),
     .said = "503"},
    {"OG-04 :status 504 is UNAVAILABLE", THEN_OK("trailers :status=504"), SEEN(AGAIN, 2),
     .said = "504"},
    {"OG-04 :status 431 is INTERNAL", ANSWER("trailers :status=431"), SEEN(FINAL, 1),
     .said = "431"},
    {"OG-04 :status 500 is UNKNOWN", ANSWER("trailers :status=500"), SEEN(FINAL, 1), .said = "500"},
    {"OG-04 :status 302 is UNKNOWN", ANSWER("trailers :status=302 location=/elsewhere"),
     SEEN(FINAL, 1), .said = "302"},
    {"OG-04 :status 200 without a status is UNKNOWN", ANSWER("h; m; end"), SEEN(FINAL, 1)},
    {"OG-04 :status 200 and trailers without a status", ANSWER("h; m; trailers x=y"),
     SEEN(FINAL, 1)},
    {"OG-04 :status 200 with HTML",
     ANSWER("headers :status=200 content-type=text/html; "
            "data 3c68746d6c3e; end 3c2f68746d6c3e"),
     SEEN(FINAL, 1)},
    {"OG-04 :status 502 with HTML",
     THEN_OK("headers :status=502 content-type=text/html; "
             "data 3c68746d6c3e; end 3c2f68746d6c3e"),
     SEEN(AGAIN, 2), .said = "502"},
    {"OG-04 :status 404 with much HTML",
     ANSWER("headers :status=404 content-type=text/html; bulk 60000; end"), SEEN(FINAL, 1),
     .said = "404"},
    {"HTTP/1.1 behind SETTINGS",
     CLOSING("text HTTP/1.1; raw 20; text 400; raw 20; text Bad; "
             "raw 0d0a0d0a"),
     SEEN(FINAL, 1)},
    {"HTTP/1.1 instead of SETTINGS",
     {{.reply = "raw 485454502f312e31203430300d0a0d0a",
       .when = SERVER_AT_ACCEPT,
       .linger_ms = 50,
       .after = SERVER_CLOSE}},
     1,
     SEEN(FINAL, 0),
     .maybe_seen = 1,
     .said = "HTTP/1"},
    {"an alert of TLS instead of SETTINGS",
     {{.reply = "raw 15030100020246",
       .when = SERVER_AT_ACCEPT,
       .linger_ms = 50,
       .after = SERVER_CLOSE}},
     1,
     SEEN(FINAL, 0),
     .maybe_seen = 1,
     .said = "TLS"},
    {"another protocol instead of SETTINGS",
     {{.reply = "text SSH-2.0-OpenSSH_9.2; raw 0d0a",
       .when = SERVER_AT_ACCEPT,
       .linger_ms = 50,
       .after = SERVER_CLOSE}},
     1,
     SEEN(FINAL, 0),
     .maybe_seen = 1,
     .said = "HTTP/2"},
};

static const row message_rows[] = {
    {"OG-10 a message over the limit by its length", ANSWER("h; data 0000400001; wait 300; t 0"),
     SEEN(FINAL, 1), .said = "max_response_bytes (4194304)", .cancels = 1},
    {"OG-10 a length of 2^32 - 1", ANSWER("h; data 00ffffffff; wait 300; t 0"), SEEN(FINAL, 1),
     .said = "max_response_bytes", .cancels = 1},
    {"OG-10 a message of the largest size", ANSWER("h; data 0000400000; bulk 4194304; t 0"),
     SEEN(ONCE, 1)},
    {"OG-02 a length that says more than comes", ANSWER("h; data 0000000064001122; t 0"),
     SEEN(FINAL, 1)},
    {"OG-02 a length that says less than comes", ANSWER("h; data 0000000002001122; t 0"),
     SEEN(FINAL, 1)},
    {"OG-02 a prefix that is cut", ANSWER("h; data 000000; t 0"), SEEN(FINAL, 1)},
    {"OG-02 two messages", ANSWER("h; m; m; t 0"), SEEN(FINAL, 1)},
    {"OG-02 a compressed message nobody asked for", ANSWER("h; data 01000000020a00; t 0"),
     SEEN(FINAL, 1)},
};

static const row reset_rows[] = {
    {"OG-06 RST_STREAM with NO_ERROR is INTERNAL", ANSWER("rst 0"), SEEN(FINAL, 1)},
    {"OG-06 PROTOCOL_ERROR is INTERNAL", ANSWER("rst 1"), SEEN(FINAL, 1), .said = "PROTOCOL_ERROR"},
    {"OG-06 INTERNAL_ERROR is INTERNAL", ANSWER("rst 2"), SEEN(FINAL, 1)},
    {"OG-06 FLOW_CONTROL_ERROR is INTERNAL", ANSWER("rst 3"), SEEN(FINAL, 1)},
    {"OG-06 SETTINGS_TIMEOUT is INTERNAL", ANSWER("rst 4"), SEEN(FINAL, 1)},
    {"OG-06 STREAM_CLOSED is INTERNAL", ANSWER("rst 5"), SEEN(FINAL, 1)},
    {"OG-06 FRAME_SIZE_ERROR is INTERNAL", ANSWER("rst 6"), SEEN(FINAL, 1)},
    {"OG-06 REFUSED_STREAM is UNAVAILABLE", THEN_OK("rst 7"), SEEN(AGAIN, 2),
     .said = "REFUSED_STREAM"},
    {"OG-06 CANCEL is CANCELLED", THEN_OK("rst 8"), SEEN(AGAIN, 2), .said = "CANCEL"},
    {"OG-06 COMPRESSION_ERROR is INTERNAL", ANSWER("rst 9"), SEEN(FINAL, 1)},
    {"OG-06 CONNECT_ERROR is INTERNAL", ANSWER("rst 10"), SEEN(FINAL, 1)},
    {"OG-06 ENHANCE_YOUR_CALM is RESOURCE_EXHAUSTED", ANSWER("rst 11"), SEEN(FINAL, 1),
     .said = "ENHANCE_YOUR_CALM"},
    {"OG-06 INADEQUATE_SECURITY is PERMISSION_DENIED", ANSWER("rst 12"), SEEN(FINAL, 1)},
    {"OG-06 HTTP_1_1_REQUIRED is INTERNAL", ANSWER("rst 13"), SEEN(FINAL, 1)},
    {"OG-06 an unknown code is INTERNAL", ANSWER("rst 4096"), SEEN(FINAL, 1)},
    {"OG-06 CANCEL behind headers", THEN_OK("h; rst 8"), SEEN(AGAIN, 2)},
    {"OG-06 CANCEL behind a message", THEN_OK("h; m; rst 8"), SEEN(AGAIN, 2)},
    {"OG-06 INTERNAL_ERROR behind headers", ANSWER("h; rst 2"), SEEN(FINAL, 1)},
    {"OG-06 REFUSED_STREAM at the head",
     {{.reply = "rst 7", .when = SERVER_AT_HEAD}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 1),
     .maybe_seen = 1},
    {"OG-07 GOAWAY below our stream", THEN_OK("goaway p 0"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY with stream 0", THEN_OK("goaway 0 0 leaving"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY with ENHANCE_YOUR_CALM", THEN_OK("goaway p 11 too_many_pings"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY below our stream, then closed", CLOSING_THEN_OK("goaway 0 0"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY with our stream, then closed", CLOSING_THEN_OK("goaway s 0"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY behind headers, then closed", CLOSING_THEN_OK("h; goaway s 2"), SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY twice, the second below our stream", THEN_OK("goaway 0x7fffffff 0; goaway 0 0"),
     SEEN(AGAIN, 2)},
    {"OG-07 GOAWAY when accepted",
     {{.reply = "settings; goaway 0 0", .when = SERVER_AT_ACCEPT}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 1),
     .maybe_seen = 1},
    {"OR-03 closed without an answer", CLOSING_THEN_OK(""), SEEN(AGAIN, 2)},
    {"OR-03 reset without an answer",
     {{.after = SERVER_RESET}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-03 ends its direction without an answer",
     {{.after = SERVER_HALF}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-03 closed when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_CLOSE}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 1),
     .maybe_seen = 1},
    {"OR-03 reset when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_RESET}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 1),
     .maybe_seen = 1},
    {"OR-03 closed behind headers", CLOSING_THEN_OK("h"), SEEN(AGAIN, 2)},
    {"OR-03 closed behind a message", CLOSING_THEN_OK("h; m"), SEEN(AGAIN, 2)},
    {"OR-03 closed in a frame", CLOSING_THEN_OK("h; m; raw 0000100105"), SEEN(AGAIN, 2)},
    {"OR-03 reset behind headers",
     {{.reply = "h", .linger_ms = 20, .after = SERVER_RESET}, {.reply = GRPC_OK}},
     2,
     SEEN(AGAIN, 2)},
};

/* Errors of the server's HTTP/2: what it is, it will be the second time; the client says why. */
static const row error_rows[] = {
    {"OG-08 DATA on stream 0", ANSWER("frame 0 0 0 00"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 HEADERS on stream 0", ANSWER("frame 1 5 0 88"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 a stream that the server opens", ANSWER("frame 1 5 2 88"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 DATA on a stream that nobody opened", ANSWER("frame 0 0 n 00"), SEEN(FINAL, 1),
     .goaway = 1},
    {"OG-08 SETTINGS on a stream", ANSWER("frame 4 0 s"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 SETTINGS of an odd size", ANSWER("frame 4 0 0 000100"), SEEN(FINAL, 1), .goaway = 6},
    {"OG-08 an ACK of SETTINGS with a payload", ANSWER("frame 4 1 0 000100000000"), SEEN(FINAL, 1),
     .goaway = 6},
    {"OG-08 INITIAL_WINDOW_SIZE beyond 2^31 - 1", ANSWER("settings 4=2147483648"), SEEN(FINAL, 1),
     .goaway = 3},
    {"OG-08 MAX_FRAME_SIZE below 16384", ANSWER("settings 5=16383"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 MAX_FRAME_SIZE beyond 2^24 - 1", ANSWER("settings 5=16777216"), SEEN(FINAL, 1),
     .goaway = 1},
    {"OG-08 PING on a stream", ANSWER("frame 6 0 s 0011223344556677"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 PING of seven bytes", ANSWER("frame 6 0 0 00112233445566"), SEEN(FINAL, 1),
     .goaway = 6},
    {"OG-08 GOAWAY on a stream", ANSWER("frame 7 0 s 0000000000000000"), SEEN(FINAL, 1),
     .goaway = 1},
    {"OG-08 GOAWAY of four bytes", ANSWER("frame 7 0 0 00000000"), SEEN(FINAL, 1), .goaway = 6},
    {"OG-08 RST_STREAM of stream 0", ANSWER("frame 3 0 0 00000008"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 RST_STREAM of three bytes", ANSWER("frame 3 0 s 000008"), SEEN(FINAL, 1), .goaway = 6},
    {"OG-08 RST_STREAM of a stream that nobody opened", ANSWER("frame 3 0 n 00000008"),
     SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 WINDOW_UPDATE of zero on the connection", ANSWER("frame 8 0 0 00000000"),
     SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 WINDOW_UPDATE of zero on the stream", ANSWER("frame 8 0 s 00000000"), SEEN(FINAL, 1)},
    {"OG-08 WINDOW_UPDATE of three bytes", ANSWER("frame 8 0 0 000001"), SEEN(FINAL, 1),
     .goaway = 6},
    {"OG-08 the connection's window overflows", ANSWER("window 0 2147483647"), SEEN(FINAL, 1),
     .goaway = 3},
    {"OG-08 the stream's window overflows", ANSWER("window s 2147483647"), SEEN(FINAL, 1)},
    {"OG-08 a push", ANSWER("frame 5 4 s 0000000282"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 a frame of more than 16384 bytes", ANSWER("raw 0040010000; raw 00000001; bulk 16385"),
     SEEN(FINAL, 1), .goaway = 6},
    {"OG-08 CONTINUATION behind no HEADERS", ANSWER("frame 9 4 s 88"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 PING in a header block", ANSWER("frame 1 0 s 88; ping"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 CONTINUATION of another stream", ANSWER("frame 1 0 s 88; frame 9 4 n 88"),
     SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 more padding than payload", ANSWER("h; frame 0 8 s 0500"), SEEN(FINAL, 1), .goaway = 1},
    {"OG-08 a header block that ends in a field", ANSWER("block 4 885f8b1d75"), SEEN(FINAL, 1),
     .goaway = 9},
    {"OG-08 an index beyond the tables", ANSWER("block 4 ff20"), SEEN(FINAL, 1), .goaway = 9},
    {"OG-08 the index 0", ANSWER("block 4 80"), SEEN(FINAL, 1), .goaway = 9},
    {"OG-08 a table that is larger than allowed", ANSWER("block 4 3fe2ff03"), SEEN(FINAL, 1),
     .goaway = 9},
    {"OG-08 a Huffman code with EOS in it", ANSWER("block 4 885f84ffffffff"), SEEN(FINAL, 1),
     .goaway = 9},
    {"OG-08 DATA before the headers", ANSWER("m"), SEEN(FINAL, 1)},
    {"OG-08 headers without :status", ANSWER("headers content-type=application/grpc; m; t 0"),
     SEEN(FINAL, 1)},
    {"OG-08 a :status that is no number", ANSWER("headers :status=abc; m; t 0"), SEEN(FINAL, 1)},
    {"OG-08 trailers without END_STREAM", ANSWER("h; m; headers grpc-status=0; wait 300"),
     SEEN(FINAL, 1)},
    {"OG-08 HEADERS behind the trailers", ANSWER("h; m; t 0; h"), SEEN(ONCE, 1)},
    {"OG-08 no SETTINGS in front of all",
     {{.reply = "ping; until request; h; m; t 0", .when = SERVER_AT_ACCEPT}},
     1,
     SEEN(FINAL, 0),
     .maybe_seen = 1,
     .goaway = 1},
};

/* The server is there, but no whole answer comes. */
static const row silence_rows[] = {
    {"OG-09 a server that reads and is silent", ANSWER(""), SEEN(LATE, 1), .timeout_ms = 400,
     .said = "did not answer in time", .cancels = 1},
    {"OG-09 headers, then silence", ANSWER("h"), SEEN(LATE, 1), .timeout_ms = 400, .cancels = 1},
    {"OG-09 half a message, then silence", ANSWER("h; data 0000000010; data 0011"), SEEN(LATE, 1),
     .timeout_ms = 400, .cancels = 1},
    {"OG-09 a message, then silence", ANSWER("h; m"), SEEN(LATE, 1), .timeout_ms = 400,
     .cancels = 1},
    {"OG-09 half a frame, then silence", ANSWER("h; raw 0000"), SEEN(LATE, 1), .timeout_ms = 400,
     .cancels = 1},
    {"OG-09 half a header block, then silence", ANSWER("frame 1 0 s 88"), SEEN(LATE, 1),
     .timeout_ms = 400, .cancels = 1},
    {"OG-09 a byte a second",
     {{.reply = GRPC_OK, .drip_ms = 1000}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400,
     .cancels = 1},
    {"OG-09 interim headers for ever",
     {{.reply = "headers :status=103; wait 5; loop"}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400,
     .cancels = 1},
    {"OG-09 PING for ever",
     {{.reply = "ping; wait 2; loop"}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400,
     .cancels = 1,
     .pongs = 5},
    {"OG-09 no SETTINGS and no answer",
     {{.when = SERVER_AT_ACCEPT}},
     1,
     SEEN(LATE, 0),
     .timeout_ms = 400},
    {"OG-09 a server that accepts and reads nothing",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_HANG}},
     1,
     SEEN(LATE, 0),
     .timeout_ms = 400},
    {"OG-09 a server that hangs", {{.after = SERVER_HANG}}, 1, SEEN(LATE, 1), .timeout_ms = 400},
    {"OG-09 GOAWAY with our stream, then silence", ANSWER("goaway s 0"), SEEN(LATE, 1),
     .timeout_ms = 400, .cancels = 1},
    {"OG-09 UNAVAILABLE for ever, one deadline", ANSWER("only 14"), SEEN(LATE, 0),
     .timeout_ms = 1200, .said = "UNAVAILABLE"},
    {"OG-09 GOAWAY for ever, one deadline", ANSWER("goaway 0 0"), SEEN(LATE, 0),
     .timeout_ms = 1200},
    {"OG-09 closed for ever, one deadline", CLOSING(""), SEEN(LATE, 0), .timeout_ms = 1200},
};

/* ---- RetryInfo ------------------------------------------------------------------------------- */

/* Each a google.rpc.Status in base64: code, message, and RetryInfo with what its name says. */
#define ONE_SECOND "CAgSBGJ1c3kaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ"
#define TENTHS "CAgSBGJ1c3kaNAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIICgYQgM7kzQI"
#define BEHIND_OTHERS \
    "CAgSAmJ1GjMKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5EZWJ1Z0luZm8SBwoFc3RhY2saMAoodH" \
    "lwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ=="
#define ZERO "CAgSBGJ1c3kaLgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxICCgA="
#define NEGATIVE \
    "CAgSBGJ1c3kaOQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxINCgsI+////////" \
    "///AQ=="
#define HOUR "CA4SBGJ1c3kaMQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIFCgMIkBw="
#define MOST \
    "CA4SBGJ1c3kaPgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxISChAI////////" \
    "//9/EP+T69wD"
#define NOTHING "CAgSBGJ1c3k="
#define CUT "CAgSBGJ1c3kaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECg=="
#define QUOTA "CAgSAWIaMwordHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlF1b3RhRmFpbHVyZRIECgIIAQ=="
#define DETAILS(code, text) "only " code " grpc-status-details-bin=" text

static const row detail_rows[] = {
    {"OR-05 RESOURCE_EXHAUSTED with a Status without RetryInfo", ANSWER(DETAILS("8", NOTHING)),
     SEEN(FINAL, 1), .said = "RESOURCE_EXHAUSTED"},
    {"OR-05 RESOURCE_EXHAUSTED with another detail", ANSWER(DETAILS("8", QUOTA)), SEEN(FINAL, 1)},
    {"OR-05 RESOURCE_EXHAUSTED with a Status that is cut", ANSWER(DETAILS("8", CUT)),
     SEEN(FINAL, 1)},
    {"OR-05 RESOURCE_EXHAUSTED with details that are no base64", ANSWER(DETAILS("8", "@@@@")),
     SEEN(FINAL, 1)},
    {"OR-05 RESOURCE_EXHAUSTED with empty details", ANSWER(DETAILS("8", "")), SEEN(FINAL, 1)},
    {"OR-06 PERMISSION_DENIED stays final with RetryInfo", ANSWER(DETAILS("7", ONE_SECOND)),
     SEEN(FINAL, 1)},
    {"OR-09 an hour is beyond the deadline: given up at once", ANSWER(DETAILS("14", HOUR)),
     SEEN(FINAL, 1)},
    {"OR-09 the largest delay there is", ANSWER(DETAILS("8", MOST)), SEEN(FINAL, 1)},
};

typedef struct wait_row {
    const char *name;
    const char *program;
    int min_ms, max_ms; /* between the first request and the second */
} wait_row;

/* The back-off of a first attempt is half a second to a second. */
static const wait_row wait_rows[] = {
    {"OR-05 OR-08 RESOURCE_EXHAUSTED, one second", DETAILS("8", ONE_SECOND "=="), 990, 2500},
    {"OR-08 UNAVAILABLE, one second", DETAILS("14", ONE_SECOND "=="), 990, 2500},
    {"OG-11 one second without padding", DETAILS("8", ONE_SECOND), 990, 2500},
    {"OG-11 0.7 s without padding", DETAILS("8", TENTHS), 690, 2200},
    {"OG-11 0.7 s padded", DETAILS("8", TENTHS "="), 690, 2200},
    {"OG-11 two values in one header", DETAILS("8", NOTHING "," ONE_SECOND "=="), 990, 2500},
    {"OG-11 two values with a blank between", DETAILS("8", ONE_SECOND "==,~" NOTHING), 990, 2500},
    {"OR-08 RetryInfo behind other details", DETAILS("8", BEHIND_OTHERS), 990, 2500},
    {"OR-08 in trailers behind a message",
     "h; m; t 14 grpc-status-details-bin=" ONE_SECOND "== grpc-message=later", 990, 2500},
    {"OR-09 no delay has a floor", DETAILS("8", ZERO), 90, 2000},
    {"OR-08 a negative delay", DETAILS("8", NEGATIVE), 90, 2000},
    {"OR-08 garbage on UNAVAILABLE: back-off", DETAILS("14", "@@"), 450, 2000},
};

static void run_waits(const wait_row *rows) {
    grpc_server servers[GROUP];
    server_step steps[GROUP][2];
    char urls[GROUP][64];
    hotel_destination to[GROUP];
    hotel_config config = test_config(to, GROUP);
    size_t i;
    memset(steps, 0, sizeof steps);
    for (i = 0; i < GROUP; i++) {
        steps[i][0].reply = rows[i].program;
        steps[i][1].reply = GRPC_OK;
        if (!grpc_start(&servers[i], steps[i], 2)) abort();
        to[i] = destination(server_url(&servers[i].http, "", urls[i], sizeof urls[i]));
        to[i].protocol = HOTEL_PROTOCOL_GRPC;
    }
    log_clear();
    (void)hotel_init(&config);
    open_books();
    end_spans(1);
    is_int(hotel_flush(8000), HOTEL_OK, "OR-08 all are delivered in the end");
    (void)hotel_shutdown(2000);
    for (i = 0; i < GROUP; i++) {
        server *s = &servers[i].http;
        long long waited;
        server_stop(s);
        waited = server_request_at(s, 1)->time_ms - server_request_at(s, 0)->time_ms;
        ok(s->num_requests == 2 && waited >= rows[i].min_ms && waited <= rows[i].max_ms,
           "%s: sent again after %lld ms", rows[i].name, waited);
    }
    check_books("after RetryInfo");
    for (i = 0; i < GROUP; i++) server_release(&servers[i].http);
}

/* ---- One server for several requests --------------------------------------------------------- */

typedef struct run {
    grpc_server g;
    char url[64];
    hotel_destination to;
    hotel_config config;
} run;

static void begin(run *r, const server_step *steps, size_t count) {
    if (!grpc_start(&r->g, steps, count)) abort();
    r->to = destination(server_url(&r->g.http, "", r->url, sizeof r->url));
    r->to.protocol = HOTEL_PROTOCOL_GRPC;
    r->config = test_config(&r->to, 1);
    log_clear();
}

static void start(run *r) {
    is_int(hotel_init(&r->config), HOTEL_OK, "init");
    open_books();
}

static void end(run *r, const char *name) {
    server *s = &r->g.http;
    (void)hotel_shutdown(2000);
    server_stop(s);
    is_int(s->num_bad, 0, "OG-08 %s: the client keeps to the rules (%s)", name, s->problem);
    check_books(name);
    server_release(s);
}

/* Spans with so many bytes in all: the bodies of requests. */
static hotel_result export_bytes(size_t size) {
    static char text[32768];
    memset(text, 't', sizeof text);
    do {
        size_t part = size < sizeof text ? size : sizeof text;
        hotel_span span = hotel_start("fault");
        hotel_set_strn(&span, "text", text, part);
        hotel_end(&span);
        size -= part;
    } while (size > 0);
    return hotel_flush(5000);
}

/* The second answer is made of entries that the first one put into the table. */
static void test_kept_connection(void) {
    static const server_step steps[] = {
        {.reply = "block 4 885f8b1d75d0620d263d4c4d6564; m; "
                  "block 5 40889acac8b21234da8f013040899acac8b5254207317f00"},
        {.reply = "block 4 88c0; m; block 5 bfbe"},
        {.reply = "block 4 2088c0; m; t 0"}, /* the table is emptied: 64 is no more */
        {.reply = GRPC_OK}};
    run r;
    begin(&r, steps, 4);
    start(&r);
    is_int(export_bytes(10), HOTEL_OK, "OG-08 entries are put into the table");
    is_int(export_bytes(10), HOTEL_OK, "OG-08 ... and used by the next answer");
    is_int(since_opened(0).connections, 1, "OT-05 one connection for both");
    is_int(export_bytes(10), HOTEL_ERR_FAILED, "OG-08 entries that were driven out are no more");
    is_int(export_bytes(10), HOTEL_OK, "OG-08 the next request");
    is_int(since_opened(0).connections, 2, "OG-08 ... has a table and a connection of its own");
    server_stop(&r.g.http);
    is_int(r.g.goaway_code, 9, "OG-08 GOAWAY said COMPRESSION_ERROR");
    end(&r, "a kept connection");
}

/* 300 requests: what was sent is granted again on both sides, and ids grow. */
static void test_many_requests(void) {
    static const server_step steps[] = {{.reply = "h; m; data; t 0"}};
    run r;
    unsigned i, good = 0;
    begin(&r, steps, 1);
    start(&r);
    for (i = 0; i < 300; i++) good += export_bytes(1000) == HOTEL_OK;
    is_int(good, 300, "OT-05 300 requests one after another");
    is_int(since_opened(0).connections, 1, "OT-05 ... over one connection");
    is_int(r.g.http.num_spans, 300, "OT-05 ... every span came");
    is_int(server_num_duplicates(&r.g.http), 0, "OT-05 ... once");
    end(&r, "300 requests");
}

typedef struct idle_row {
    const char *name;
    server_step first; /* what the server does once it has answered */
    unsigned connections;
} idle_row;

static const idle_row idle_rows[] = {
    {"OR-18 closed while idle", {.reply = GRPC_OK, .linger_ms = 30, .after = SERVER_CLOSE}, 2},
    {"OR-18 reset while idle", {.reply = GRPC_OK, .linger_ms = 30, .after = SERVER_RESET}, 2},
    {"OG-07 GOAWAY while idle", {.reply = "h; m; t 0; wait 30; goaway s 0 idle"}, 2},
    {"OG-07 GOAWAY while idle, then closed",
     {.reply = "h; m; t 0; wait 30; goaway s 0", .linger_ms = 10, .after = SERVER_CLOSE},
     2},
    {"OG-08 PING while idle", {.reply = "h; m; t 0; wait 30; mark; ping; wait 2; loop 10"}, 1},
    {"OG-08 SETTINGS while idle",
     {.reply = "h; m; t 0; wait 30; settings 4=100 5=20000; wait 20; settings 1=0 4=65535"},
     1},
    {"OG-08 unknown frames while idle",
     {.reply = "h; m; t 0; wait 30; frame 77 1 0 0011; frame 10 0 s 00"},
     1},
    {"OG-08 windows while idle", {.reply = "h; m; t 0; wait 30; window 0 100000"}, 1},
    {"OG-08 garbage while idle", {.reply = "h; m; t 0; wait 30; raw ffffffffffffffffffff"}, 2},
    {"OG-08 a whole answer that nobody asked for", {.reply = "h; m; t 0; wait 30; h; m; t 0"}, 2},
};

/* What comes between two requests disturbs neither of them. */
static void test_idle(const idle_row *idle) {
    server_step steps[2];
    run r;
    long long took;
    steps[0] = idle->first;
    memset(&steps[1], 0, sizeof steps[1]);
    steps[1].reply = GRPC_OK;
    begin(&r, steps, 2);
    start(&r);
    is_int(export_bytes(10), HOTEL_OK, "%s: the first request", idle->name);
    server_sleep_ms(100);
    took = server_now_ms();
    is_int(export_bytes(10), HOTEL_OK, "%s: the next one", idle->name);
    took = server_now_ms() - took;
    ok(took < SERVER_SOON_MS, "%s: ... at once (%lld ms)", idle->name, took);
    is_int(since_opened(0).connections, idle->connections, "%s: ... connections", idle->name);
    is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY) + log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0,
           "%s: ... and nothing is logged", idle->name);
    is_int(r.g.http.num_spans, 2, "%s: ... both spans came", idle->name);
    is_int(server_num_duplicates(&r.g.http), 0, "%s: ... once", idle->name);
    end(&r, idle->name);
}

/* Waits that grew from what a server asked for do not fall back to shorter ones. */
static void test_long_waits(void) {
    hoteli_request *r;
    run here;
    int i;
    begin(&here, NULL, 0);
    here.config.no_threads = true;
    start(&here);
    r = &hoteli_g.destinations[0]->requests[0];
    r->deadline_ms = INT64_MAX;
    r->step_ms = 20000; /* twice a RetryInfo of ten seconds */
    for (i = 0; i < 3; i++) {
        int64_t now = hoteli_now_ms();
        hoteli_request_retry(r, "UNAVAILABLE", -1);
        ok(r->retry_ms - now >= 10000, "OR-08 wait %d is as long as what was asked for (%lld ms)",
           i, (long long)(r->retry_ms - now));
    }
    r->state = HOTELI_IDLE;
    end(&here, "long waits");
}

/* What stands right behind an answer, in the same bytes, is answered too. */
static void test_ping_behind_answer(void) {
    static const server_step steps[] = {{.reply = "h; m; t 0; settings; ping"}};
    run r;
    unsigned pongs, acks;
    begin(&r, steps, 1);
    start(&r);
    is_int(export_bytes(10), HOTEL_OK, "OG-08 PING and SETTINGS right behind the answer");
    server_sleep_ms(200);
    (void)pthread_mutex_lock(&r.g.http.mutex);
    pongs = r.g.num_pongs;
    acks = r.g.num_acks;
    (void)pthread_mutex_unlock(&r.g.http.mutex);
    is_int(pongs, 1, "OG-08 ... the PING is answered before the next request");
    is_int(acks, 2, "OG-08 ... SETTINGS too, as those at the beginning were");
    end(&r, "PING right behind the answer");
}

/* A kept connection ends under a request: OR-18 replaces it where no byte of an answer came. */
static void test_stale(void) {
    static const struct {
        const char *name;
        server_step second;
        bool at_once;
    } rows[] = {
        {"OR-18 closed at the head of the next request",
         {.when = SERVER_AT_HEAD, .after = SERVER_CLOSE},
         true},
        {"OR-18 closed behind the next request", {.after = SERVER_CLOSE}, true},
        {"OR-18 reset behind the next request", {.after = SERVER_RESET}, true},
        {"OG-07 GOAWAY below the next request", {.reply = "goaway p 0"}, true},
        {"OG-06 the next request is refused", {.reply = "rst 7"}, true},
        {"OR-18 closed behind headers: no stale connection",
         {.reply = "h", .after = SERVER_CLOSE},
         false},
    };
    size_t i;
    for (i = 0; i < COUNT(rows); i++) {
        server_step steps[3];
        run r;
        long long took;
        memset(steps, 0, sizeof steps);
        steps[0].reply = GRPC_OK;
        steps[1] = rows[i].second;
        steps[2].reply = GRPC_OK;
        begin(&r, steps, 3);
        start(&r);
        (void)!export_bytes(10);
        took = server_now_ms();
        is_int(export_bytes(10), HOTEL_OK, "%s: delivered", rows[i].name);
        took = server_now_ms() - took;
        ok(rows[i].at_once ? took < SERVER_SOON_MS : took >= 400, "%s: ... after %lld ms",
           rows[i].name, took);
        is_int(log_count(HOTEL_LOG_ID_EXPORT_RETRY), rows[i].at_once ? 0 : 1,
               "%s: ... and only then with a back-off", rows[i].name);
        is_int(log_count(HOTEL_LOG_ID_EXPORT_FAILED), 0, "%s: ... nothing is lost", rows[i].name);
        end(&r, rows[i].name);
    }
}

/* ---- Windows --------------------------------------------------------------------------------- */

/* One request of 200 kB; what the server does at its head, and what it says if that fails. */
typedef struct window_row {
    const char *name;
    const char *accept, *program;
    const char *said; /* NULL: delivered */
} window_row;

static const window_row window_rows[] = {
    {"both windows open in steps", "manual; settings",
     "until stuck; wait 20; window s 300000; wait 20; window 0 1; wait 5; window 0 1000; wait 5; "
     "window 0 300000; until request; h; m; t 0",
     NULL},
    {"the stream's window becomes negative", "manual; settings",
     "until stuck; settings 4=0; until ack; window 0 400000; wait 30; window s 65534; wait 30; "
     "window s 1; wait 30; window s 1; wait 10; window s 300000; until request; h; m; t 0",
     NULL},
    {"INITIAL_WINDOW_SIZE goes up under the request", "manual; settings",
     "until stuck; window 0 300000; wait 10; settings 4=70000; until ack; wait 10; "
     "settings 4=2147483647; until request; h; m; t 0",
     NULL},
    {"INITIAL_WINDOW_SIZE goes up and down", "manual; settings",
     "until stuck; settings 4=100000; settings 4=10; settings 4=50000; until ack; wait 10; "
     "window 0 300000; wait 10; settings 4=300000; until request; h; m; t 0",
     NULL},
    {"a thousand windows of one byte, then more", "manual; settings",
     "until stuck; window s 300000; mark; window 0 1; wait 0; loop 1000; window 0 300000; "
     "until request; h; m; t 0",
     NULL},
    {"windows of 100 bytes to the end", "manual; settings",
     "until stuck; window s 300000; mark; window 0 100; loop 3000; until request; h; m; t 0", NULL},
    {"MAX_FRAME_SIZE goes up and down", "settings 5=100000 4=1000000",
     "settings 5=16384; until ack; until request; h; m; t 0", NULL},
    {"frames of 16 MiB are allowed", "settings 5=16777215 4=2147483647; window 0 2147418112",
     "until request; h; m; t 0", NULL},
    {"an answer before the request is complete", "manual; settings", "until stuck; h; m; t 0",
     NULL},
    {"an answer and NO_ERROR before the request is complete", "manual; settings",
     "until stuck; h; m; t 0; rst 0", NULL},
    {"a refusal before the request is complete", "manual; settings",
     "until stuck; only 3 grpc-message=enough", "enough"},
    {"CANCEL in the middle of the request", "manual; settings", "until stuck; rst 2",
     "INTERNAL_ERROR"},
    {"windows that never open", "manual; settings", "", "window"},
    {"the connection's window never opens", "manual; settings", "window s 300000", "window"},
    {"windows that open by a byte now and then", "manual; settings",
     "until stuck; window s 300000; mark; window 0 1; wait 50; loop", "window"},
};

static void test_window(const window_row *w) {
    server_step steps[2];
    run r;
    long long took = server_now_ms();
    hotel_result want = w->said == NULL ? HOTEL_OK : HOTEL_ERR_FAILED;
    memset(steps, 0, sizeof steps);
    steps[0].reply = w->accept;
    steps[0].when = SERVER_AT_ACCEPT;
    steps[1].reply = w->program;
    steps[1].when = SERVER_AT_HEAD;
    begin(&r, steps, 2);
    r.to.timeout_ms = 1500;
    start(&r);
    is_int(export_bytes(200000), want, "OG-08 %s", w->name) || (log_show(), 0);
    took = server_now_ms() - took;
    ok(took < 2500, "OG-08 %s: after %lld ms", w->name, took);
    if (w->said != NULL) {
        ok(log_has(w->said), "OG-08 %s: the log says so", w->name) || (log_show(), 0);
    }
    is_int(since_opened(0).requests, 1, "OG-08 %s: one request", w->name);
    end(&r, w->name);
}

/* The server allows no stream; later one. */
static void test_max_streams(void) {
    static const server_step steps[] = {
        {.reply = "h; m; t 0; settings 3=0; until ack; wait 200; settings 3=1"},
        {.reply = GRPC_OK}};
    static const server_step never[] = {{.reply = "h; m; t 0; settings 3=0"}};
    run r;
    begin(&r, steps, 2);
    start(&r);
    is_int(export_bytes(10), HOTEL_OK, "OG-08 a request as long as streams are allowed");
    server_sleep_ms(50);
    is_int(export_bytes(10), HOTEL_OK, "OG-08 MAX_CONCURRENT_STREAMS 0, later 1");
    is_int(r.g.http.num_spans, 2, "OG-08 ... both came");
    is_int(since_opened(0).failed, 0, "OG-08 ... none is lost");
    end(&r, "MAX_CONCURRENT_STREAMS");

    begin(&r, never, 1);
    r.to.timeout_ms = 500;
    start(&r);
    (void)!export_bytes(10);
    server_sleep_ms(50);
    is_int(export_bytes(10), HOTEL_ERR_FAILED, "OG-09 MAX_CONCURRENT_STREAMS 0 for ever");
    ok(log_has("MAX_CONCURRENT_STREAMS"), "OG-09 ... and the log says so") || (log_show(), 0);
    end(&r, "MAX_CONCURRENT_STREAMS 0");
}

/* Four requests at once: a connection each. */
static void test_inflight(void) {
    static const server_step steps[] = {{.reply = GRPC_OK, .delay_ms = 100}};
    run r;
    begin(&r, steps, 1);
    r.to.max_inflight = 4;
    r.to.max_export_batch_size = 1;
    start(&r);
    end_spans(8);
    is_int(hotel_flush(4000), HOTEL_OK, "OT-07 eight requests, four at once");
    is_int(since_opened(0).connections, 4, "OT-07 ... over four connections");
    is_int(r.g.http.num_spans, 8, "OT-07 ... every span came");
    is_int(server_num_duplicates(&r.g.http), 0, "OT-07 ... once");
    end(&r, "four at once");
}

/* ---- Nobody there, then somebody ------------------------------------------------------------- */

static void test_late_server(void) {
    grpc_server g;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    uint16_t port;
    int fd = server_refusing_port(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(url);
    to.protocol = HOTEL_PROTOCOL_GRPC;
    log_clear();
    (void)hotel_init(&config);
    open_books();
    end_spans(NUM_SPANS);
    is_int(hotel_flush(100), HOTEL_ERR_TIMEOUT, "OR-03 nobody listens yet");
    (void)close(fd);
    if (!grpc_start_at(&g, SERVER_IPV4, port, NULL, 0)) {
        skip("the port was taken in between");
        (void)hotel_shutdown(100);
        return;
    }
    is_int(hotel_flush(4000), HOTEL_OK, "OR-03 refused, then accepted: delivered");
    (void)hotel_shutdown(1000);
    server_stop(&g.http);
    is_int(g.http.num_spans, NUM_SPANS, "OR-03 once");
    ok(log_says(port, "connection refused; trying again"), "OR-17 the log says why it waited");
    check_log(HOTEL_LOG_ID_EXPORT_RECOVERED, 1, "refused, then accepted");
    check_books("refused, then accepted");
    server_release(&g.http);
}

int main(void) {
    size_t i;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    table_of_grpc = true;
    RUN_ROWS(success_rows, 2500);
    RUN_ROWS(status_rows, 5000);
    RUN_ROWS(proxy_rows, 5000);
    RUN_ROWS(message_rows, 4000);
    RUN_ROWS(reset_rows, 5000);
    RUN_ROWS(error_rows, 2500);
    RUN_ROWS(silence_rows, 2500);
    RUN_ROWS(detail_rows, 2500);
    for (i = 0; i < COUNT(wait_rows); i += GROUP) run_waits(wait_rows + i);
    test_kept_connection();
    test_many_requests();
    for (i = 0; i < COUNT(idle_rows); i++) test_idle(&idle_rows[i]);
    test_long_waits();
    test_ping_behind_answer();
    test_stale();
    for (i = 0; i < COUNT(window_rows); i++) test_window(&window_rows[i]);
    test_max_streams();
    test_inflight();
    test_late_server();
    note("all of it took %lld ms", server_now_ms() - began);
    return done_testing();
}
