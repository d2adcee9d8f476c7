/*
 * SPDX-License-Identifier: MIT
 *
 * grpc.h - how the sink counts spans, and its side of gRPC: as much of HTTP/2 as its clients need,
 * which neither pad nor compress. Every request is answered with the same bytes; windows are as
 * wide as they can be.
 */
#ifndef GRPC_H_INCLUDED
#define GRPC_H_INCLUDED

#include <stdint.h>

#include "line.h"

enum {
    PREFACE_SIZE = 24,
    FRAME_HEAD_SIZE = 9,
    FRAME_DATA = 0,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FLAG_END_STREAM = 1, /* of DATA */
    FLAG_ACK = 1,        /* of SETTINGS and PING */
    MESSAGE_HEAD_SIZE = 5
};

static uint64_t read_varint(const uint8_t **at, const uint8_t *end) {
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) break;
    }
    return value;
}

/* Counts by walking request > resource_spans (1) > scope_spans (2) > spans (2). */
static uint64_t count_spans(const uint8_t *at, const uint8_t *end, int depth) {
    uint64_t count = 0;
    while (at < end) {
        uint64_t tag = read_varint(&at, end);
        uint64_t value = read_varint(&at, end);
        if ((tag & 7) == 0) continue;
        if ((tag & 7) != 2 || value > (uint64_t)(end - at)) break;
        if (tag >> 3 == (depth == 0 ? 1 : 2)) {
            count += depth == 2 ? 1 : count_spans(at, at + value, depth + 1);
        }
        at += value;
    }
    return count;
}

/* A stream's window begins as 2^31 - 1; the connection's is widened to that. */
static bool send_greeting(sink_line *l) {
    static const char greeting[] = "\0\0\x06\x04\0" "\0\0\0\0" "\0\x04" "\x7f\xff\xff\xff"
                                   "\0\0\x04\x08\0" "\0\0\0\0" "\x7f\xff\0\0";
    return line_write(l, greeting, sizeof greeting - 1);
}

/* An empty message with status 0; the window that the request has used is given back. */
static bool send_answer(sink_line *l, const uint8_t stream[4], size_t used) {
    static const char fixed[] = "\0\0\x04\x08\0" "\0\0\0\0" "used"
                                "\0\0\x14\x01\x04" "name" "\x88\x0f\x10\x10" "application/grpc"
                                "\0\0\x05\0\0" "name" "\0\0\0\0\0"
                                "\0\0\x0f\x01\x05" "name" "\0\x0b" "grpc-status" "\x01" "0";
    enum { USED_AT = 9, HEAD_AT = 18, DATA_AT = HEAD_AT + 29, TRAILERS_AT = DATA_AT + 14 };
    char answer[sizeof fixed - 1];
    memcpy(answer, fixed, sizeof answer);
    for (int i = 0; i < 4; i++) answer[USED_AT + i] = (char)(used >> (24 - 8 * i) & 0xff);
    memcpy(answer + HEAD_AT, stream, 4);
    memcpy(answer + DATA_AT, stream, 4);
    memcpy(answer + TRAILERS_AT, stream, 4);
    return line_write(l, answer, sizeof answer);
}

/* SETTINGS are acknowledged by an empty frame, a PING by itself. */
static bool acknowledge(sink_line *l, const uint8_t *frame, size_t size) {
    char answer[FRAME_HEAD_SIZE + 8];
    if (frame[4] & FLAG_ACK) return true;
    if (frame[3] == FRAME_SETTINGS) size = FRAME_HEAD_SIZE;
    if (size > sizeof answer) return false;
    memcpy(answer, frame, size);
    answer[2] = (char)(size - FRAME_HEAD_SIZE);
    answer[4] = FLAG_ACK;
    return line_write(l, answer, size);
}

/* The message is gathered at the front of the buffer; *gathered is its size. */
static bool take_frame(sink_line *l, const uint8_t *frame, size_t size, size_t *gathered,
                       uint64_t *num_spans) {
    const uint8_t *message = (const uint8_t *)l->buffer;
    int type = frame[3], flags = frame[4];
    if (type == FRAME_SETTINGS || type == FRAME_PING) return acknowledge(l, frame, size);
    if (type != FRAME_DATA) return true;
    uint8_t stream[4];
    memcpy(stream, frame + 5, sizeof stream);
    memmove(l->buffer + *gathered, frame + FRAME_HEAD_SIZE, size - FRAME_HEAD_SIZE);
    *gathered += size - FRAME_HEAD_SIZE;
    if (!(flags & FLAG_END_STREAM)) return true;
    if (*gathered < MESSAGE_HEAD_SIZE) return false;
    size_t used = *gathered;
    *gathered = 0;
    *num_spans += count_spans(message + MESSAGE_HEAD_SIZE, message + used, 0);
    return send_answer(l, stream, used);
}

/* 0: the frame is not complete. */
static size_t frame_size(const uint8_t *at, size_t size) {
    if (size < FRAME_HEAD_SIZE) return 0;
    size_t whole = FRAME_HEAD_SIZE + ((size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2]);
    return size >= whole ? whole : 0;
}

static void serve_grpc(sink_line *l, uint64_t *num_spans) {
    size_t gathered = 0, at = PREFACE_SIZE, size;
    if (!send_greeting(l)) return;
    while (l->size < PREFACE_SIZE) {
        if (!line_read(l)) return;
    }
    do {
        const uint8_t *bytes = (const uint8_t *)l->buffer;
        while ((size = frame_size(bytes + at, l->size - at)) > 0) {
            if (!take_frame(l, bytes + at, size, &gathered, num_spans)) return;
            at += size;
        }
        l->size -= at;
        memmove(l->buffer + gathered, bytes + at, l->size);
        l->size += gathered;
        at = gathered;
    } while (line_read(l));
}

#endif
