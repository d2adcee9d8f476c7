/*
 * SPDX-License-Identifier: MIT
 *
 * test_servers.c - a table of servers, from 200 in every form to garbage, floods and silence. For
 * each: delivered, tried again or given up exactly as the rules say, how often the server saw the
 * spans, what is counted, what is logged, how long it takes. Rules EX-10, EX-12 to EX-14, EX-19,
 * OR-*, OT-*, OX-09, OX-12.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "table.h"

/* clang-format off */
#define THEN_OK(text) {{.reply = (text)}, {.reply = SERVER_OK}}, 2
#define CLOSING_THEN_OK(text) {{.reply = (text), .after = SERVER_CLOSE}, {.reply = SERVER_OK}}, 2
#define ENDLESS(text, more) {{.reply = (text), .filler = SERVER_ENDLESS, .repeat = (more)}}, 1
#define BYTES(literal) {{.reply = (literal), .reply_size = sizeof(literal) - 1}}, 1
/* clang-format on */
#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n\r\n"
#define PARTIAL(size, bytes) BYTES(OK_HEAD "Content-Length: " size "\r\n\r\n" bytes)
#define TYPED(status, type, size, text) \
    "HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " #size "\r\n\r\n" text

#define A16 "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16

static const row success_rows[] = {
    {"OT-03 200 with an empty message", ANSWER(SERVER_OK), SEEN(ONCE, 1)},
    {"OT-03 201", ANSWER(SERVER_STATUS("201 Created")), SEEN(ONCE, 1)},
    {"OT-03 202", ANSWER(SERVER_STATUS("202 Accepted")), SEEN(ONCE, 1)},
    {"OT-03 204 without Content-Length", ANSWER("HTTP/1.1 204 No Content\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-03 204 with a Content-Length that cannot be",
     ANSWER("HTTP/1.1 204 No Content\r\n" LENGTH(10)), SEEN(ONCE, 1)},
    {"OT-03 206", ANSWER("HTTP/1.1 206 Partial Content\r\n" LENGTH(0)), SEEN(ONCE, 1)},
    {"OT-03 299", ANSWER(SERVER_STATUS("299 Odd")), SEEN(ONCE, 1)},
    {"OT-03 200 without a reason phrase", ANSWER("HTTP/1.1 200\r\n" LENGTH(0)), SEEN(ONCE, 1)},
    {"OT-03 200 with HTML", ANSWER(TYPED("200 OK", "text/html", 6, "<html>")), SEEN(ONCE, 1)},
    {"OT-03 200 with a compressed body",
     ANSWER(OK_HEAD "Content-Encoding: gzip\r\n" LENGTH(3) "\x1f\x8b\x08"), SEEN(ONCE, 1)},
    {"OT-06 chunked, empty", ANSWER(CHUNKED "0\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-06 chunked with extensions and trailers",
     BYTES(OK_HEAD "transfer-encoding: Chunked\r\n\r\n"
                   "2;name=value\r\n\x0a\x00\r\n0;last\r\nExpires: never\r\nX: y\r\n\r\n"),
     SEEN(ONCE, 1)},
    {"OT-06 chunk sizes with zeros in front and capital letters",
     ANSWER(CHUNKED "0000A\r\n0123456789\r\n00F\r\n0123456789abcde\r\n000\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-06 until close", CLOSING(OK_HEAD "Connection: close\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-06 until close, the server ends its direction only",
     {{.reply = OK_HEAD "\r\n", .after = SERVER_HALF}},
     1,
     SEEN(ONCE, 1)},
    {"OT-06 HTTP/1.0 until close", CLOSING("HTTP/1.0 200 OK\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-06 HTTP/1.0 with a length, without keep-alive", ANSWER("HTTP/1.0 200 OK\r\n" LENGTH(0)),
     SEEN(ONCE, 1)},
    {"OT-06 HTTP/1.0 with keep-alive",
     ANSWER("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" LENGTH(0)), SEEN(ONCE, 1)},
    {"OT-06 100 Continue before 200", ANSWER("HTTP/1.1 100 Continue\r\n\r\n" SERVER_OK),
     SEEN(ONCE, 1)},
    {"OT-06 103 Early Hints before 200",
     ANSWER("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" SERVER_OK), SEEN(ONCE, 1)},
    {"OT-06 a series of 100, 102, 103 and 199",
     ANSWER("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\n"
            "Content-Length: 5\r\nConnection: close\r\n\r\nHTTP/1.1 199 x\r\n\r\n" SERVER_OK),
     SEEN(ONCE, 1)},
    {"OT-06 header names in any case, blanks around values",
     ANSWER(OK_HEAD "cONTENT-lENGTH: \t 0 \t\r\nX-Empty:\r\n\r\n"), SEEN(ONCE, 1)},
    {"OT-06 lines that end in LF alone", ANSWER("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
     SEEN(ONCE, 1)},
    {"OT-06 two Content-Lengths that agree", ANSWER(OK_HEAD "Content-Length: 0\r\n" LENGTH(0)),
     SEEN(ONCE, 1)},
    {"OT-06 blank lines in front", ANSWER("\r\n\r\n" SERVER_OK), SEEN(ONCE, 1)},
    {"OT-06 a reply before the request",
     {{.reply = SERVER_OK, .when = SERVER_AT_ACCEPT}},
     1,
     SEEN(ONCE, 1)},
    {"OT-06 bytes behind the reply", ANSWER(SERVER_OK "HTTP/1.1 400 Bad\r\n" LENGTH(0)),
     SEEN(ONCE, 1)},
    {"OT-06 a body longer than its Content-Length", ANSWER(OK_HEAD LENGTH(1) "0123456789"),
     SEEN(ONCE, 1)},
    {"OT-06 closed behind the reply", CLOSING(SERVER_OK), SEEN(ONCE, 1)},
    {"OT-06 reset behind the reply",
     {{.reply = SERVER_OK, .linger_ms = 20, .after = SERVER_RESET}},
     1,
     SEEN(ONCE, 1)},
    {"OT-06 a reply in single bytes", {{.reply = SERVER_OK, .drip_ms = 1}}, 1, SEEN(ONCE, 1)},
    {"OT-06 a reply after a pause", {{.reply = SERVER_OK, .delay_ms = 150}}, 1, SEEN(ONCE, 1)},
    {"OR-13 partial success with nothing in it", PARTIAL("2", "\x0a\x00"), SEEN(ONCE, 1)},
    {"OR-13 EX-19 a warning only", PARTIAL("6", "\x0a\x04\x12\x02hm"), SEEN(ONCE, 1), .warnings = 1,
     .said = "accepted everything, with a warning: \"hm\""},
    {"OR-12 EX-19 one of three rejected", PARTIAL("8", "\x0a\x06\x08\x01\x12\x02no"), SEEN(ONCE, 1),
     .rejected = 1, .warnings = 1, .said = "rejected 1 span: \"no\""},
    {"OR-12 all rejected, no reason", PARTIAL("4", "\x0a\x02\x08\x03"), SEEN(ONCE, 1),
     .rejected = 3, .warnings = 1, .said = "rejected 3 spans"},
    {"OR-12 more rejected than sent", PARTIAL("5", "\x0a\x03\x08\xe8\x07"), SEEN(ONCE, 1),
     .rejected = 3, .warnings = 1},
    {"OR-12 less than none rejected",
     PARTIAL("13", "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), SEEN(ONCE, 1)},
    {"OR-12 chunked partial success", BYTES(CHUNKED "1\r\n\x0a\r\n3\r\n\x02\x08\x01\r\n0\r\n\r\n"),
     SEEN(ONCE, 1), .rejected = 1, .warnings = 1},
    {"OR-12 a malformed response counts as success", PARTIAL("3", "\x0a\x7f\x08"), SEEN(ONCE, 1)},
};

static const row refusal_rows[] = {
    {"OR-02 EX-13 400", ANSWER(SERVER_STATUS("400 Bad Request")), SEEN(FINAL, 1),
     .said = "status 400"},
    {"OR-02 EX-13 401", ANSWER(SERVER_STATUS("401 Unauthorized")), SEEN(FINAL, 1),
     .said = "status 401"},
    {"OR-02 EX-13 403", ANSWER(SERVER_STATUS("403 Forbidden")), SEEN(FINAL, 1),
     .said = "status 403"},
    {"OR-02 EX-13 404", ANSWER(SERVER_STATUS("404 Not Found")), SEEN(FINAL, 1),
     .said = "status 404"},
    {"OR-02 EX-13 408", ANSWER(SERVER_STATUS("408 Timeout")), SEEN(FINAL, 1), .said = "status 408"},
    {"OR-02 EX-13 413", ANSWER(SERVER_STATUS("413 Too Large")), SEEN(FINAL, 1),
     .said = "status 413"},
    {"OR-02 413 before the body is read",
     {{.reply = SERVER_STATUS("413 Content Too Large"),
       .when = SERVER_AT_HEAD,
       .linger_ms = 20,
       .after = SERVER_CLOSE}},
     1,
     SEEN(FINAL, 0),
     .said = "status 413"},
    {"OR-02 415", ANSWER(SERVER_STATUS("415 Unsupported Media Type")), SEEN(FINAL, 1)},
    {"OR-02 431", ANSWER(SERVER_STATUS("431 Request Header Fields Too Large")), SEEN(FINAL, 1)},
    {"OR-02 EX-13 500", ANSWER(SERVER_STATUS("500 Oops")), SEEN(FINAL, 1), .said = "status 500"},
    {"OR-02 EX-13 501", ANSWER(SERVER_STATUS("501 Not Implemented")), SEEN(FINAL, 1)},
    {"OR-02 505", ANSWER(SERVER_STATUS("505 HTTP Version Not Supported")), SEEN(FINAL, 1)},
    {"OR-02 599", ANSWER(SERVER_STATUS("599 Odd")), SEEN(FINAL, 1)},
    {"OR-02 600", ANSWER(SERVER_STATUS("600 Odder")), SEEN(FINAL, 1)},
    {"OR-02 500 with a Retry-After", ANSWER("HTTP/1.1 500 Oops\r\nRetry-After: 1\r\n" LENGTH(0)),
     SEEN(FINAL, 1)},
    {"OR-15 300", ANSWER(SERVER_STATUS("300 Multiple Choices")), SEEN(FINAL, 1),
     .said = "status 300, a redirect, which is not followed"},
    {"OR-15 303", ANSWER("HTTP/1.1 303 See Other\r\nLocation: /here\r\n" LENGTH(0)), SEEN(FINAL, 1),
     .said = "status 303, a redirect"},
    {"OR-15 304 without a body", ANSWER("HTTP/1.1 304 Not Modified\r\n\r\n"), SEEN(FINAL, 1)},
    {"OR-14 400 with a google.rpc.Status",
     BYTES(TYPED("400 Bad Request", "application/x-protobuf", 12,
                 "\x08\x03\x12\x08"
                 "the why!")),
     SEEN(FINAL, 1), .said = "HTTP status 400: \"the why!\""},
    {"OR-14 500 with a Status without a message",
     BYTES(TYPED("500 Oops", "application/x-protobuf", 2, "\x08\x0d")), SEEN(FINAL, 1),
     .said = "HTTP status 500\n"},
    {"OR-14 400 with a truncated Status",
     BYTES(TYPED("400 Bad", "application/x-protobuf", 3, "\x12\x7f\x61")), SEEN(FINAL, 1),
     .said = "HTTP status 400\n"},
    {"OR-14 500 with HTML",
     ANSWER(TYPED("500 Oops", "text/html", 24, "\r\n<h1>nginx says</h1>\r\n.")), SEEN(FINAL, 1),
     .said = "HTTP status 500: \"<h1>nginx says</h1>\""},
    {"OR-14 403 with a line of text",
     ANSWER(TYPED("403 Forbidden", "text/plain", 24, "key revoked\nsecond line\n")), SEEN(FINAL, 1),
     .said = "HTTP status 403: \"key revoked\"\n"},
    {"OR-14 400 with text without a type",
     ANSWER("HTTP/1.1 400 Bad\r\nConnection: close\r\n" LENGTH(10) "not a span"), SEEN(FINAL, 1),
     .said = "HTTP status 400: \"not a span\""},
    {"OR-14 400 with bytes that are no text",
     BYTES(TYPED("400 Bad", "image/png", 6, "\x89PNG\x1a\x00")), SEEN(FINAL, 1),
     .said = "HTTP status 400\n"},
    {"OR-14 400 with text that is not UTF-8", ANSWER(TYPED("400 Bad", "text/plain", 5, "caf\xe9!")),
     SEEN(FINAL, 1), .said = "HTTP status 400: \"caf.!\""},
    {"OR-14 404 with 200 characters on a line", ANSWER(TYPED("404 Bad", "text/plain", 256, A256)),
     SEEN(FINAL, 1), .said = "HTTP status 404: \"" A16 A16 A16 A16 A16 "\"\n"},
    {"EX-10 OX-12 a body over the limit by Content-Length", ANSWER(OK_HEAD LENGTH(4194305)),
     SEEN(FINAL, 1), .said = "max_response_bytes (4194304)"},
    {"EX-10 OX-12 a Content-Length of 2^64 - 1", ANSWER(OK_HEAD LENGTH(18446744073709551615)),
     SEEN(FINAL, 1), .said = "max_response_bytes"},
    {"EX-10 OX-12 a 503 over the limit is final too",
     ANSWER("HTTP/1.1 503 Busy\r\n" LENGTH(4194305)), SEEN(FINAL, 1), .said = "max_response_bytes"},
    {"EX-10 OX-12 a body over the limit until close",
     {{.reply = "HTTP/1.0 200 OK\r\n\r\n", .filler = SERVER_ENDLESS}},
     1,
     SEEN(FINAL, 1),
     .said = "max_response_bytes"},
    {"EX-10 OX-12 a chunk over the limit",
     {{.reply = CHUNKED "400001\r\n", .filler = SERVER_ENDLESS}},
     1,
     SEEN(FINAL, 1),
     .said = "max_response_bytes"},
    {"EX-10 OX-12 chunks without end", ENDLESS(CHUNKED, "100\r\n" A256 "\r\n"), SEEN(FINAL, 1),
     .said = "max_response_bytes"},
    {"OX-12 a header line without end",
     {{.reply = OK_HEAD "X-Long: ", .filler = SERVER_ENDLESS}},
     1,
     SEEN(FINAL, 1),
     .said = "64 KiB"},
    {"OX-12 headers without end", ENDLESS(OK_HEAD, "X-More: and more\r\n"), SEEN(FINAL, 1),
     .said = "64 KiB"},
    {"OX-12 trailers without end", ENDLESS(CHUNKED "0\r\n", "X-More: and more\r\n"), SEEN(FINAL, 1),
     .said = "64 KiB"},
    {"OX-12 a chunk extension without end",
     {{.reply = CHUNKED "1;", .filler = SERVER_ENDLESS}},
     1,
     SEEN(FINAL, 1),
     .said = "64 KiB"},
    {"OX-12 interim responses without end", ENDLESS("", "HTTP/1.1 100 Continue\r\n\r\n"),
     SEEN(FINAL, 1), .said = "64 KiB"},
    {"101, asked for by nobody", ANSWER("HTTP/1.1 101 Switching Protocols\r\n\r\n"), SEEN(FINAL, 1),
     .said = "another protocol"},
};

/* What is no HTTP will be none the second time: final, with the reason. */
static const row garbage_rows[] = {
    {"garbage", CLOSING("\x7f\x45LF garbage without a line"), SEEN(FINAL, 1), .said = "not HTTP"},
    {"another protocol", CLOSING("SSH-2.0-OpenSSH_9.2\r\n\r\n"), SEEN(FINAL, 1),
     .said = "not HTTP"},
    {"HTTP/2", BYTES("\0\0\6\4\0\0\0\0\0"), SEEN(FINAL, 1), .said = "gRPC port"},
    {"TLS", CLOSING("\x15\x03\x01"), SEEN(FINAL, 1), .said = "answers in TLS"},
    {"a status that is no number", CLOSING("HTTP/1.1 OK 200\r\n\r\n"), SEEN(FINAL, 1),
     .said = "status line"},
    {"a status of four digits", CLOSING("HTTP/1.1 2000 OK\r\n\r\n"), SEEN(FINAL, 1),
     .said = "status line"},
    {"a status below 100", CLOSING("HTTP/1.1 099 Odd\r\n\r\n"), SEEN(FINAL, 1),
     .said = "status line"},
    {"a folded header line", ANSWER(OK_HEAD "X: y\r\n z\r\n" LENGTH(0)), SEEN(FINAL, 1),
     .said = "folded"},
    {"a header line without a colon", ANSWER(OK_HEAD "Whatever\r\n" LENGTH(0)), SEEN(FINAL, 1),
     .said = "header line"},
    {"a blank before the colon", ANSWER(OK_HEAD "Content-Length : 0\r\n\r\n"), SEEN(FINAL, 1),
     .said = "header line"},
    {"a control character in a header", ANSWER(OK_HEAD "X: a\x01z\r\n" LENGTH(0)), SEEN(FINAL, 1),
     .said = "control character"},
    {"a chunk size that is no number", CLOSING(CHUNKED "xyz\r\n"), SEEN(FINAL, 1),
     .said = "chunk size"},
    {"a negative chunk size", CLOSING(CHUNKED "-5\r\n01234\r\n0\r\n\r\n"), SEEN(FINAL, 1),
     .said = "chunk size"},
    {"an empty chunk size", CLOSING(CHUNKED "\r\n0\r\n\r\n"), SEEN(FINAL, 1), .said = "chunk size"},
    {"a chunk size beyond 64 bits", CLOSING(CHUNKED "fffffffffffffffff\r\n"), SEEN(FINAL, 1),
     .said = "max_response_bytes"},
    {"a chunk longer than its size", CLOSING(CHUNKED "2\r\n0123\r\n0\r\n\r\n"), SEEN(FINAL, 1),
     .said = "longer than its size"},
    {"two different Content-Lengths",
     CLOSING(OK_HEAD "Content-Length: 0\r\nContent-Length: 5\r\n\r\n01234"), SEEN(FINAL, 1),
     .said = "content-length"},
    {"a negative Content-Length", CLOSING(OK_HEAD "Content-Length: -1\r\n\r\n"), SEEN(FINAL, 1),
     .said = "content-length"},
    {"a Content-Length beyond 64 bits",
     CLOSING(OK_HEAD "Content-Length: 99999999999999999999999\r\n\r\n"), SEEN(FINAL, 1),
     .said = "content-length"},
    {"Content-Length beside chunks",
     CLOSING(OK_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     SEEN(FINAL, 1), .said = "both"},
    {"a transfer coding that is not known",
     CLOSING(OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), SEEN(FINAL, 1),
     .said = "transfer-encoding"},
};

/* The server is there, but no whole answer comes. */
static const row silence_rows[] = {
    {"OX-09 a server that hangs",
     {{.after = SERVER_HANG}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400,
     .said = "did not answer in time"},
    {"OX-09 a byte a second",
     {{.reply = SERVER_OK, .drip_ms = 1000}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 a server that accepts and reads nothing",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_HANG}},
     1,
     SEEN(LATE, 0),
     .timeout_ms = 400},
    {"OX-09 half an answer, then silence",
     {{.reply = OK_HEAD LENGTH(10) "01234", .after = SERVER_HANG}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 an interim response, then silence",
     {{.reply = "HTTP/1.1 100 Continue\r\n\r\n", .after = SERVER_HANG}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 a body that drips for ever",
     {{.reply = OK_HEAD "\r\n", .filler = SERVER_ENDLESS, .drip_ms = 5}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 chunks without the last one",
     {{.reply = CHUNKED "1\r\na\r\n", .after = SERVER_HANG}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 interim responses that drip for ever",
     {{.reply = "",
       .repeat = "HTTP/1.1 102 Processing\r\n\r\n",
       .filler = SERVER_ENDLESS,
       .drip_ms = 1}},
     1,
     SEEN(LATE, 1),
     .timeout_ms = 400},
    {"OX-09 503 for ever, one deadline", ANSWER(SERVER_STATUS("503 Busy")), SEEN(LATE, 0),
     .timeout_ms = 1200, .said = "HTTP status 503"},
    {"OX-09 closed for ever, one deadline",
     {{.after = SERVER_CLOSE}},
     1,
     SEEN(LATE, 0),
     .timeout_ms = 1200,
     .said = "closed without a response"},
};

static const row retry_rows[] = {
    {"OR-02 EX-12 429 once", THEN_OK(SERVER_STATUS("429 Too Many Requests")), SEEN(AGAIN, 2),
     .said = "HTTP status 429; trying again"},
    {"OR-02 EX-12 502 once", THEN_OK(SERVER_STATUS("502 Bad Gateway")), SEEN(AGAIN, 2),
     .said = "HTTP status 502; trying again"},
    {"OR-02 EX-12 503 once", THEN_OK(SERVER_STATUS("503 Service Unavailable")), SEEN(AGAIN, 2),
     .said = "HTTP status 503; trying again"},
    {"OR-02 EX-12 504 once, chunked HTML",
     THEN_OK("HTTP/1.1 504 Gateway Timeout\r\nTransfer-Encoding: chunked\r\n\r\n"
             "4\r\n<ht>\r\n0\r\n\r\n"),
     SEEN(AGAIN, 2), .said = "HTTP status 504: \"<ht>\"; trying again"},
    {"OR-14 503 with a google.rpc.Status",
     {{.reply = TYPED("503 Busy", "application/x-protobuf", 8,
                      "\x08\x0e\x12\x04"
                      "full"),
       .reply_size = sizeof TYPED("503 Busy", "application/x-protobuf", 8,
                                  "\x08\x0e\x12\x04"
                                  "full") -
                     1},
      {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2),
     .said = "HTTP status 503: \"full\"; trying again"},
    {"OR-02 429 until close", CLOSING_THEN_OK("HTTP/1.0 429 Slow\r\n\r\nslower"), SEEN(AGAIN, 2),
     .said = "\"slower\""},
    {"OR-02 503, then 400",
     {{.reply = SERVER_STATUS("503 Busy")}, {.reply = SERVER_STATUS("400 Bad Request")}},
     2,
     SEEN(FINAL, 2),
     .requests = 2,
     .said = "lost: HTTP status 400"},
    {"OR-02 429 before the body is read",
     {{.reply = SERVER_STATUS("429 Slow"),
       .when = SERVER_AT_HEAD,
       .linger_ms = 20,
       .after = SERVER_CLOSE},
      {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 1)},
    {"OR-03 closed without an answer",
     {{.after = SERVER_CLOSE}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2),
     .said = "closed without a response"},
    {"OR-03 reset without an answer",
     {{.after = SERVER_RESET}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-03 ends its direction without an answer",
     {{.after = SERVER_HALF}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-03 closed when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_CLOSE}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 1)},
    {"OR-03 reset when accepted",
     {{.when = SERVER_AT_ACCEPT, .after = SERVER_RESET}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 1)},
    {"OR-03 closed with the head half read",
     {{.when = SERVER_AT_BYTES, .at_bytes = 40, .after = SERVER_CLOSE}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 1)},
    {"OR-03 closed behind an interim response", CLOSING_THEN_OK("HTTP/1.1 100 Continue\r\n\r\n"),
     SEEN(AGAIN, 2), .said = "in the middle of its response"},
    {"OR-03 closed in the status line", CLOSING_THEN_OK("HTTP/1."), SEEN(AGAIN, 2),
     .said = "in the middle of its response"},
    {"OR-03 closed in the head", CLOSING_THEN_OK(OK_HEAD "Content-Len"), SEEN(AGAIN, 2)},
    {"OR-03 closed in the body: Content-Length says more",
     CLOSING_THEN_OK(OK_HEAD LENGTH(100) "0123456789"), SEEN(AGAIN, 2)},
    {"OR-03 closed in a chunk", CLOSING_THEN_OK(CHUNKED "ff\r\n0123"), SEEN(AGAIN, 2)},
    {"OR-03 closed before the last chunk", CLOSING_THEN_OK(CHUNKED "4\r\n0123\r\n"),
     SEEN(AGAIN, 2)},
    {"OR-03 closed in the trailers", CLOSING_THEN_OK(CHUNKED "0\r\nExpires: nev"), SEEN(AGAIN, 2)},
    {"OR-03 reset in the body",
     {{.reply = OK_HEAD LENGTH(100) "0123456789", .after = SERVER_RESET}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-03 reset in a body until close",
     {{.reply = OK_HEAD "\r\n0123456789", .after = SERVER_RESET}, {.reply = SERVER_OK}},
     2,
     SEEN(AGAIN, 2)},
    {"OR-09 Retry-After beyond the deadline ends it at once",
     ANSWER("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\n" LENGTH(0)), SEEN(FINAL, 1)},
    {"OR-09 a Retry-After of 20 digits",
     ANSWER("HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\n" LENGTH(0)),
     SEEN(FINAL, 1)},
    {"OR-09 a date far away",
     ANSWER("HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n" LENGTH(0)),
     SEEN(FINAL, 1)},
};

/* ---- Retry-After ---------------------------------------------------------------------------- */

typedef struct wait_row {
    const char *name;
    const char *format; /* of strftime; NULL: no such header */
    int seconds_ahead;
    int min_ms, max_ms; /* between the first request and the second */
} wait_row;

/* Whole seconds: a date two seconds ahead may be as little as one second away. The back-off of a
   first attempt is half a second to a second. */
static const wait_row wait_rows[] = {
    {"1", "1", 0, 980, 2500},
    {"an IMF-fixdate", "%a, %d %b %Y %H:%M:%S GMT", 2, 900, 3500},
    {"an RFC 850 date", "%A, %d-%b-%y %H:%M:%S GMT", 2, 900, 3500},
    {"an asctime date", "%a %b %e %H:%M:%S %Y", 2, 900, 3500},
    {"garbage: back-off", "soon", 0, 450, 2000},
    {"a negative number: back-off", "-5", 0, 450, 2000},
    {"a past date: back-off", "%a, %d %b %Y %H:%M:%S GMT", -60, 450, 2000},
    {"a date of 1970: back-off", "Thu, 01 Jan 1970 00:00:00 GMT", 0, 450, 2000},
    {"0 has a floor", "0", 0, 90, 2000},
    {"with a unit: back-off", "1s", 0, 450, 2000},
    {"empty: back-off", "", 0, 450, 2000},
    {"none: back-off", NULL, 0, 450, 2000},
};

static void make_wait(const wait_row *r, int status, char *out, size_t capacity) {
    char date[64] = "", header[96] = "";
    struct tm parts;
    time_t when = time(NULL) + r->seconds_ahead;
    (void)gmtime_r(&when, &parts);
    if (r->format != NULL) {
        (void)strftime(date, sizeof date, r->format, &parts);
        (void)snprintf(header, sizeof header, "Retry-After: %s\r\n", date);
    }
    (void)snprintf(out, capacity, "HTTP/1.1 %d x\r\n%sContent-Length: 0\r\n\r\n", status, header);
}

static void run_waits(const wait_row *rows, int status) {
    server servers[GROUP];
    server_step steps[GROUP][2];
    char urls[GROUP][64], replies[GROUP][160];
    hotel_destination to[GROUP];
    hotel_config config = test_config(to, GROUP);
    size_t i;
    memset(steps, 0, sizeof steps);
    for (i = 0; i < GROUP; i++) {
        make_wait(&rows[i], status, replies[i], sizeof replies[i]);
        steps[i][0].reply = replies[i];
        steps[i][1].reply = SERVER_OK;
        if (!server_start(&servers[i], SERVER_IPV4, steps[i], 2)) abort();
        to[i] = destination(server_url(&servers[i], "", urls[i], sizeof urls[i]));
    }
    log_clear();
    (void)hotel_init(&config);
    open_books();
    end_spans(1);
    is_int(hotel_flush(8000), HOTEL_OK, "all are delivered in the end");
    (void)hotel_shutdown(2000);
    for (i = 0; i < GROUP; i++) {
        long long waited;
        server_stop(&servers[i]);
        waited =
            server_request_at(&servers[i], 1)->time_ms - server_request_at(&servers[i], 0)->time_ms;
        ok(servers[i].num_requests == 2 && waited >= rows[i].min_ms && waited <= rows[i].max_ms,
           "OR-07 EX-14 %d with Retry-After: %s: sent again after %lld ms", status, rows[i].name,
           waited);
    }
    check_books("after Retry-After");
    for (i = 0; i < GROUP; i++) server_release(&servers[i]);
}

/* ---- Nobody there, then somebody -------------------------------------------------------------- */

static void test_late_server(void) {
    server s;
    char url[64];
    hotel_destination to;
    hotel_config config = test_config(&to, 1);
    uint16_t port;
    int fd = server_refusing_port(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    to = destination(url);
    log_clear();
    (void)hotel_init(&config);
    open_books();
    end_spans(NUM_SPANS);
    is_int(hotel_flush(100), HOTEL_ERR_TIMEOUT, "OR-03 nobody listens yet");
    (void)close(fd);
    if (!server_start_at(&s, SERVER_IPV4, port, NULL, 0)) {
        skip("the port was taken in between");
        (void)hotel_shutdown(100);
        return;
    }
    is_int(hotel_flush(4000), HOTEL_OK, "OR-03 refused, then accepted: delivered");
    (void)hotel_shutdown(1000);
    server_stop(&s);
    is_int(s.num_spans, NUM_SPANS, "OR-03 once");
    ok(log_says(port, "connection refused; trying again"), "OR-17 the log says why it waited");
    check_log(HOTEL_LOG_ID_EXPORT_RECOVERED, 1, "refused, then accepted");
    check_books("refused, then accepted");
    server_release(&s);
}

int main(void) {
    size_t i, rows = COUNT(success_rows) + COUNT(refusal_rows) + COUNT(garbage_rows) +
                     COUNT(silence_rows) + COUNT(retry_rows) + 2 * COUNT(wait_rows) + 1;
    long long began = server_now_ms();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    RUN_ROWS(success_rows, 2500);
    RUN_ROWS(refusal_rows, 4000);
    RUN_ROWS(garbage_rows, 2500);
    RUN_ROWS(silence_rows, 2500);
    RUN_ROWS(retry_rows, 5000);
    for (i = 0; i < COUNT(wait_rows); i += GROUP) {
        run_waits(wait_rows + i, 503);
        run_waits(wait_rows + i, 429);
    }
    test_late_server();
    note("%zu behaviours in %lld ms", rows, server_now_ms() - began);
    return done_testing();
}
