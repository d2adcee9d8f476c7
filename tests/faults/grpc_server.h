/*
 * SPDX-License-Identifier: MIT
 *
 * grpc_server.h - a gRPC server that misbehaves as told: server.h with HTTP/2 in clear text. The
 * reply of a step is a program, operations separated by semicolons, for the stream under way:
 *
 *     static const server_step script[] = {{.reply = "only 14"}, {.reply = GRPC_OK}};
 *     grpc_server here;
 *     grpc_start(&here, script, 2);
 *     ... server_url(&here.http, "", url, sizeof url) ...
 *     server_stop(&here.http);
 *     ... here.http.num_spans, here.num_cancels ...
 *     server_release(&here.http);
 *
 * Unasked, the server sends SETTINGS when it accepts (a step SERVER_AT_ACCEPT does so itself, or
 * not), acknowledges SETTINGS and PING, and opens its windows again. It reads during a step. What
 * the client may not do is a problem of the record.
 *
 * Operations; a word of fields is NAME=VALUE with ~ for a blank; bytes are in hex; S is a stream:
 * s ours, p the one before, n the one after, or a number:
 *     h                   headers with :status 200 and content-type application/grpc
 *     headers FIELD..     any others         trailers FIELD..    with END_STREAM
 *     m [BYTES]           a message in a DATA frame
 *     t CODE [FIELD..]    trailers with grpc-status
 *     only CODE [FIELD..] the two in one: trailers-only
 *     block FLAGS BYTES   HEADERS with this block
 *     split N, pad N, prio         how the next of the above are framed
 *     data BYTES, end BYTES        DATA, without and with END_STREAM
 *     bulk N              N bytes 'a' in DATA, as the client's windows allow
 *     settings [ID=VALUE]..        ping [BYTES]        ack        rst CODE
 *     window S INCREMENT  goaway S CODE [TEXT]         frame TYPE FLAGS S [BYTES]
 *     raw BYTES           text WORD
 *     wait MS             until head|request|ack|pong|reset|stuck|window
 *     mark, loop [N]      back to the mark, or the begin, N times or for ever
 *     manual              windows are opened by the program only       deaf    reads no more
 */
#ifndef GRPC_SERVER_H_INCLUDED
#define GRPC_SERVER_H_INCLUDED

#include "server.h"

#define GRPC_OK "h; m; t 0"
#define GRPC_EXPORT "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

enum { GRPC_MAX_CHANGES = 16, GRPC_BATCH = 16384, GRPC_NONE = 99 };

typedef struct grpc_server {
    server http;          /* the first member: it is the server */
    unsigned num_cancels; /* RST_STREAM with CANCEL */
    unsigned num_resets;  /* RST_STREAM with any code */
    unsigned num_goaways; /* from clients */
    unsigned num_pongs;   /* PING with ACK, right ones */
    unsigned num_acks;    /* of SETTINGS */
    uint32_t reset_code;  /* of the last one; GRPC_NONE */
    uint32_t goaway_code; /* of the last one; GRPC_NONE */
    size_t step_size;     /* bytes of the last step that is over */
    bool is_https;        /* set by the test: TLS ends before it */
} grpc_server;

/* SETTINGS that hold for the client once it has acknowledged them. */
typedef struct grpc_change {
    unsigned number; /* of the SETTINGS frame, from 1 on */
    uint32_t id, value;
} grpc_change;

typedef struct grpc_peer {
    const char *op;   /* what to do next; NULL: no step */
    const char *mark; /* where loops begin */
    long rounds;      /* of the loop under way */
    bool lingers;
    unsigned char *out;
    size_t out_size, out_sent, out_capacity;
    size_t step_size; /* bytes from the step */
    bool has_preface, has_settings, is_manual, is_deaf;
    uint32_t stream; /* the last one; 0: none */
    bool has_head, is_complete, is_served, is_answered, is_reset;
    unsigned char block[SERVER_MAX_HEAD];
    size_t block_size;
    bool in_block;
    char head[SERVER_MAX_HEAD];
    unsigned char *body;
    size_t body_size, body_capacity;
    long long window, stream_window, initial; /* what the client may send */
    uint32_t max_frame;
    long long give, give_stream, give_initial; /* what it lets us send */
    size_t bulk_left;
    grpc_change changes[GRPC_MAX_CHANGES];
    unsigned num_changes;
    unsigned settings_sent, settings_acked, acks_owed, pings_sent, pongs;
    size_t split, pad;
    bool has_pad, has_priority;
} grpc_peer;

/* ---- Output ---------------------------------------------------------------------------------- */

SERVER_FN void grpc_put(grpc_peer *p, const void *bytes, size_t size) {
    if (p->out_size + size > p->out_capacity) {
        size_t capacity = 2 * (p->out_size + size) + 4096;
        unsigned char *more = (unsigned char *)realloc(p->out, capacity);
        if (more == NULL) abort();
        p->out = more;
        p->out_capacity = capacity;
    }
    if (size > 0) memcpy(p->out + p->out_size, bytes, size);
    p->out_size += size;
}

SERVER_FN void grpc_put_frame(grpc_peer *p, unsigned type, unsigned flags, uint32_t stream,
                              const void *payload, size_t size) {
    unsigned char head[9];
    head[0] = (unsigned char)(size >> 16), head[1] = (unsigned char)(size >> 8);
    head[2] = (unsigned char)size;
    head[3] = (unsigned char)type, head[4] = (unsigned char)flags;
    head[5] = (unsigned char)(stream >> 24), head[6] = (unsigned char)(stream >> 16);
    head[7] = (unsigned char)(stream >> 8), head[8] = (unsigned char)stream;
    grpc_put(p, head, sizeof head);
    grpc_put(p, payload, size);
}

SERVER_FN void grpc_put_number(grpc_peer *p, unsigned type, uint32_t stream, uint32_t value) {
    unsigned char bytes[4];
    bytes[0] = (unsigned char)(value >> 24), bytes[1] = (unsigned char)(value >> 16);
    bytes[2] = (unsigned char)(value >> 8), bytes[3] = (unsigned char)value;
    grpc_put_frame(p, type, 0, stream, bytes, sizeof bytes);
}

/* DATA or HEADERS, padded and split as was asked for. */
SERVER_FN void grpc_put_padded(grpc_peer *p, unsigned type, unsigned flags,
                               const unsigned char *bytes, size_t size) {
    unsigned char payload[GRPC_BATCH + 300];
    size_t used = 0, part = p->split != 0 && p->split < size ? p->split : size;
    if (part > GRPC_BATCH) part = GRPC_BATCH;
    if (p->has_pad) payload[used++] = (unsigned char)p->pad;
    if (p->has_priority && type == 1) {
        memcpy(payload + used, "\0\0\0\0\x10", 5);
        used += 5;
    }
    if (part > 0) memcpy(payload + used, bytes, part);
    memset(payload + used + part, 0, p->pad);
    if (type == 1 && part == size) flags |= 4;
    flags |= (p->has_pad ? 8u : 0) | (p->has_priority && type == 1 ? 32u : 0);
    grpc_put_frame(p, type, flags, p->stream, payload, used + part + p->pad);
    while (type == 1 && part < size) {
        size_t next = size - part;
        if (next > (p->split != 0 ? p->split : GRPC_BATCH)) next = p->split ? p->split : GRPC_BATCH;
        grpc_put_frame(p, 9, part + next == size ? 4 : 0, p->stream, bytes + part, next);
        part += next;
    }
    p->split = p->pad = 0;
    p->has_pad = p->has_priority = false;
}

/* ---- Programs -------------------------------------------------------------------------------- */

/* The next word of an operation, up to the semicolon; false: there is none. */
SERVER_FN bool grpc_word(const char **cursor, char *out, size_t capacity) {
    size_t size;
    *cursor += strspn(*cursor, " \n");
    size = strcspn(*cursor, " \n;");
    if (size >= capacity) abort();
    memcpy(out, *cursor, size);
    out[size] = '\0';
    *cursor += size;
    return size > 0;
}

SERVER_FN uint32_t grpc_stream_word(const grpc_peer *p, const char **cursor) {
    char word[16];
    if (!grpc_word(cursor, word, sizeof word)) return 0;
    if (strcmp(word, "s") == 0) return p->stream;
    if (strcmp(word, "p") == 0) return p->stream > 2 ? p->stream - 2 : 0;
    if (strcmp(word, "n") == 0) return p->stream + 2;
    return (uint32_t)strtoul(word, NULL, 0);
}

SERVER_FN uint32_t grpc_number_word(const char **cursor, uint32_t usual) {
    char word[16];
    return grpc_word(cursor, word, sizeof word) ? (uint32_t)strtoul(word, NULL, 0) : usual;
}

SERVER_FN size_t grpc_hex_word(const char **cursor, unsigned char *out, size_t capacity) {
    char word[2 * SERVER_MAX_HEAD];
    size_t i;
    if (!grpc_word(cursor, word, sizeof word)) return 0;
    for (i = 0; word[2 * i] != '\0' && i < capacity; i++) {
        char pair[3] = {word[2 * i], word[2 * i + 1], '\0'};
        out[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return i;
}

SERVER_FN size_t grpc_hpack_text(unsigned char *out, const char *text) {
    size_t size = strlen(text), used = 0, rest;
    out[used++] = (unsigned char)(size < 127 ? size : 127);
    if (size >= 127) {
        for (rest = size - 127; rest >= 128; rest >>= 7) {
            out[used++] = (unsigned char)(rest | 128);
        }
        out[used++] = (unsigned char)rest;
    }
    memcpy(out + used, text, size);
    return used + size;
}

/* Literal fields behind those in front, the words of an operation. */
SERVER_FN void grpc_put_fields(grpc_peer *p, const char *front, const char **cursor, bool end) {
    unsigned char block[2 * SERVER_MAX_HEAD];
    char word[SERVER_MAX_HEAD];
    size_t used = 0, i;
    while (grpc_word(&front, word, sizeof word) || grpc_word(cursor, word, sizeof word)) {
        char *mark = strchr(word, '=');
        if (mark == NULL || used + strlen(word) + 16 > sizeof block) abort();
        *mark = '\0';
        for (i = 1; mark[i] != '\0'; i++) mark[i] = mark[i] == '~' ? ' ' : mark[i];
        block[used++] = 0;
        used += grpc_hpack_text(block + used, word);
        used += grpc_hpack_text(block + used, mark + 1);
    }
    grpc_put_padded(p, 1, end ? 1 : 0, block, used);
    if (end) p->is_answered = true;
}

SERVER_FN void grpc_put_settings(grpc_peer *p, const char **cursor) {
    unsigned char bytes[600];
    char word[32];
    size_t used = 0;
    p->settings_sent++;
    while (grpc_word(cursor, word, sizeof word)) {
        char *mark = strchr(word, '=');
        uint32_t id = (uint32_t)strtoul(word, NULL, 0), value;
        value = mark != NULL ? (uint32_t)strtoul(mark + 1, NULL, 0) : 0;
        bytes[used++] = (unsigned char)(id >> 8), bytes[used++] = (unsigned char)id;
        bytes[used++] = (unsigned char)(value >> 24), bytes[used++] = (unsigned char)(value >> 16);
        bytes[used++] = (unsigned char)(value >> 8), bytes[used++] = (unsigned char)value;
        if ((id != 4 && id != 5) || p->num_changes == GRPC_MAX_CHANGES) continue;
        p->changes[p->num_changes].number = p->settings_sent;
        p->changes[p->num_changes].id = id;
        p->changes[p->num_changes++].value = value;
    }
    grpc_put_frame(p, 4, 0, 0, bytes, used);
    for (; p->acks_owed > 0; p->acks_owed--) grpc_put_frame(p, 4, 1, 0, NULL, 0);
}

SERVER_FN void grpc_put_message(grpc_peer *p, const char **cursor) {
    unsigned char bytes[SERVER_MAX_HEAD];
    size_t size = grpc_hex_word(cursor, bytes + 5, sizeof bytes - 5);
    bytes[0] = bytes[1] = bytes[2] = 0;
    bytes[3] = (unsigned char)(size >> 8), bytes[4] = (unsigned char)size;
    p->give -= (long long)size + 5, p->give_stream -= (long long)size + 5;
    grpc_put_padded(p, 0, 0, bytes, size + 5);
}

/* As much of the bulk as fits into a frame and into the client's windows. */
SERVER_FN void grpc_put_bulk(server *s, grpc_peer *p) {
    size_t size = p->bulk_left < GRPC_BATCH ? p->bulk_left : GRPC_BATCH;
    if (p->give < (long long)size) size = p->give > 0 ? (size_t)p->give : 0;
    if (p->give_stream < (long long)size) size = p->give_stream > 0 ? (size_t)p->give_stream : 0;
    if (size == 0) return;
    grpc_put_frame(p, 0, 0, p->stream, s->filler, size);
    p->give -= (long long)size, p->give_stream -= (long long)size;
    p->bulk_left -= size;
}

SERVER_FN bool grpc_holds(const grpc_peer *p, const char *condition) {
    if (strcmp(condition, "head") == 0) return p->has_head;
    if (strcmp(condition, "request") == 0) return p->is_complete;
    if (strcmp(condition, "ack") == 0) return p->settings_acked >= p->settings_sent;
    if (strcmp(condition, "pong") == 0) return p->pongs >= p->pings_sent;
    if (strcmp(condition, "reset") == 0) return p->is_reset;
    if (strcmp(condition, "stuck") == 0) return p->window <= 0 || p->stream_window <= 0;
    if (strcmp(condition, "window") == 0) return p->give > 0 && p->give_stream > 0;
    abort();
}

/* Is the next operation one that waits for the client? */
SERVER_FN bool grpc_waits(const grpc_peer *p) {
    char word[16];
    const char *cursor = p->op;
    if (cursor == NULL || !grpc_word(&cursor, word, sizeof word)) return false;
    if (strcmp(word, "bulk") == 0) {
        return p->bulk_left > 0 && (p->give <= 0 || p->give_stream <= 0);
    }
    if (strcmp(word, "until") != 0 || !grpc_word(&cursor, word, sizeof word)) return false;
    return !grpc_holds(p, word);
}

/* Operations that put frames of other types; false: it is none of them. */
SERVER_FN bool grpc_do_control(grpc_peer *p, const char *word, const char **cursor) {
    unsigned char bytes[2 * SERVER_MAX_HEAD];
    char text[256];
    uint32_t stream, type, flags;
    memset(bytes, 0, 8);
    if (strcmp(word, "settings") == 0) {
        grpc_put_settings(p, cursor);
    } else if (strcmp(word, "ack") == 0) {
        grpc_put_frame(p, 4, 1, 0, NULL, 0);
    } else if (strcmp(word, "ping") == 0) {
        memcpy(bytes, "faultily", 8);
        (void)grpc_hex_word(cursor, bytes, 8);
        p->pings_sent++;
        grpc_put_frame(p, 6, 0, 0, bytes, 8);
    } else if (strcmp(word, "rst") == 0) {
        grpc_put_number(p, 3, p->stream, grpc_number_word(cursor, 0));
        p->is_answered = true;
    } else if (strcmp(word, "window") == 0) {
        stream = grpc_stream_word(p, cursor);
        type = grpc_number_word(cursor, 0);
        grpc_put_number(p, 8, stream, type);
        if (stream == 0) p->window += type;
        if (stream == p->stream && stream != 0) p->stream_window += type;
    } else if (strcmp(word, "goaway") == 0) {
        stream = grpc_stream_word(p, cursor);
        flags = grpc_number_word(cursor, 0);
        bytes[0] = (unsigned char)(stream >> 24), bytes[1] = (unsigned char)(stream >> 16);
        bytes[2] = (unsigned char)(stream >> 8), bytes[3] = (unsigned char)stream;
        bytes[4] = (unsigned char)(flags >> 24), bytes[5] = (unsigned char)(flags >> 16);
        bytes[6] = (unsigned char)(flags >> 8), bytes[7] = (unsigned char)flags;
        (void)grpc_word(cursor, text, sizeof text);
        memcpy(bytes + 8, text, strlen(text));
        grpc_put_frame(p, 7, 0, 0, bytes, 8 + strlen(text));
    } else if (strcmp(word, "frame") == 0) {
        type = grpc_number_word(cursor, 0);
        flags = grpc_number_word(cursor, 0);
        stream = grpc_stream_word(p, cursor);
        grpc_put_frame(p, type, flags, stream, bytes, grpc_hex_word(cursor, bytes, sizeof bytes));
    } else {
        return false;
    }
    return true;
}

/* Operations that answer the request; false: it is none of them. */
SERVER_FN bool grpc_do_answer(grpc_peer *p, const char *word, const char **cursor) {
    unsigned char bytes[2 * SERVER_MAX_HEAD];
    char front[128];
    size_t size;
    bytes[0] = 0;
    if (strcmp(word, "h") == 0) {
        grpc_put_fields(p, ":status=200 content-type=application/grpc", cursor, false);
    } else if (strcmp(word, "headers") == 0 || strcmp(word, "trailers") == 0) {
        grpc_put_fields(p, "", cursor, word[0] == 't');
    } else if (strcmp(word, "t") == 0) {
        (void)snprintf(front, sizeof front, "grpc-status=%u", grpc_number_word(cursor, 0));
        grpc_put_fields(p, front, cursor, true);
    } else if (strcmp(word, "only") == 0) {
        (void)snprintf(front, sizeof front,
                       ":status=200 content-type=application/grpc grpc-status=%u",
                       grpc_number_word(cursor, 0));
        grpc_put_fields(p, front, cursor, true);
    } else if (strcmp(word, "block") == 0) {
        unsigned flags = grpc_number_word(cursor, 0);
        size = grpc_hex_word(cursor, bytes, sizeof bytes);
        grpc_put_frame(p, 1, flags, p->stream, bytes, size);
        if (flags & 1) p->is_answered = true;
    } else if (strcmp(word, "m") == 0) {
        grpc_put_message(p, cursor);
    } else if (strcmp(word, "data") == 0 || strcmp(word, "end") == 0) {
        size = grpc_hex_word(cursor, bytes, sizeof bytes);
        p->give -= (long long)size, p->give_stream -= (long long)size;
        grpc_put_padded(p, 0, word[0] == 'e' ? 1 : 0, bytes, size);
        if (word[0] == 'e') p->is_answered = true;
    } else {
        return false;
    }
    return true;
}

SERVER_FN void grpc_do_other(server *s, server_connection *c, const char *word,
                             const char **cursor) {
    grpc_peer *p = (grpc_peer *)c->state;
    unsigned char bytes[2 * SERVER_MAX_HEAD];
    char text[512];
    bytes[0] = 0;
    if (strcmp(word, "raw") == 0) {
        grpc_put(p, bytes, grpc_hex_word(cursor, bytes, sizeof bytes));
    } else if (strcmp(word, "text") == 0) {
        (void)grpc_word(cursor, text, sizeof text);
        grpc_put(p, text, strlen(text));
    } else if (strcmp(word, "split") == 0) {
        p->split = grpc_number_word(cursor, 0);
    } else if (strcmp(word, "pad") == 0) {
        p->has_pad = true;
        p->pad = grpc_number_word(cursor, 0);
    } else if (strcmp(word, "prio") == 0) {
        p->has_priority = true;
    } else if (strcmp(word, "wait") == 0) {
        c->due_ms = server_now_ms() + grpc_number_word(cursor, 0);
    } else if (strcmp(word, "until") == 0) {
        (void)grpc_word(cursor, text, sizeof text);
    } else if (strcmp(word, "manual") == 0) {
        p->is_manual = true;
    } else if (strcmp(word, "deaf") == 0) {
        p->is_deaf = true;
    } else {
        server_blame(s, "no such operation in a test's program");
    }
}

/* Runs the operation that is next. */
SERVER_FN void grpc_do(server *s, server_connection *c) {
    grpc_peer *p = (grpc_peer *)c->state;
    char word[16];
    const char *cursor = p->op;
    bool stays = false;
    if (!grpc_word(&cursor, word, sizeof word)) {
        if (*cursor == '\0') p->op = cursor;
    } else if (strcmp(word, "mark") == 0) {
        p->mark = cursor + (*cursor == ';');
        p->rounds = 0;
    } else if (strcmp(word, "loop") == 0) {
        long rounds = (long)grpc_number_word(&cursor, 0x7FFFFFFF);
        if (++p->rounds < rounds) {
            p->op = p->mark;
            return;
        }
    } else if (strcmp(word, "bulk") == 0) {
        uint32_t size = grpc_number_word(&cursor, 0);
        if (p->bulk_left == 0) p->bulk_left = size;
        grpc_put_bulk(s, p);
        stays = p->bulk_left > 0;
    } else if (!grpc_do_control(p, word, &cursor) && !grpc_do_answer(p, word, &cursor)) {
        grpc_do_other(s, c, word, &cursor);
    }
    if (stays) return;
    cursor += strcspn(cursor, ";");
    p->op = cursor + (*cursor == ';');
}

/* ---- What the client sends ------------------------------------------------------------------- */

/* Names (and values) of the static table that a client of gRPC has a use for. */
SERVER_FN bool grpc_static_field(size_t index, const char **name, const char **value) {
    static const struct {
        size_t index;
        const char *name, *value;
    } fields[] = {{1, ":authority", ""},
                  {3, ":method", "POST"},
                  {4, ":path", "/"},
                  {6, ":scheme", "http"},
                  {7, ":scheme", "https"},
                  {19, "accept", ""},
                  {16, "accept-encoding", "gzip, deflate"},
                  {23, "authorization", ""},
                  {31, "content-type", ""},
                  {32, "cookie", ""},
                  {49, "proxy-authorization", ""},
                  {58, "user-agent", ""},
                  {60, "via", ""}};
    size_t i;
    for (i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].index != index) continue;
        *name = fields[i].name, *value = fields[i].value;
        return true;
    }
    return false;
}

SERVER_FN bool grpc_hpack_int(const unsigned char **at, const unsigned char *end, int bits,
                              size_t *out) {
    size_t full = ((size_t)1 << bits) - 1;
    int shift = 0;
    if (*at == end) return false;
    *out = *(*at)++ & full;
    if (*out < full) return true;
    do {
        if (*at == end || shift > 21) return false;
        *out += (size_t)(**at & 127) << shift;
        shift += 7;
    } while ((*(*at)++ & 128) != 0);
    return true;
}

/* Text as it is: no Huffman code. */
SERVER_FN bool grpc_hpack_read(const unsigned char **at, const unsigned char *end, char *out,
                               size_t capacity) {
    size_t size;
    if (*at == end || (**at & 128) != 0 || !grpc_hpack_int(at, end, 7, &size)) return false;
    if (size > (size_t)(end - *at) || size >= capacity) return false;
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size;
    return strlen(out) == size;
}

/* The fields of a block as lines "name: value"; below them "never-indexed: name". The client keeps
   no table, so indices beyond the static one and new entries are problems. */
SERVER_FN bool grpc_read_block(server *s, grpc_peer *p, char *out, size_t capacity) {
    const unsigned char *at = p->block, *end = p->block + p->block_size;
    char secrets[1024], name[512], value[SERVER_MAX_HEAD];
    size_t used = 0, hidden = 0;
    bool past_pseudo = false;
    secrets[0] = out[0] = '\0';
    while (at < end) {
        unsigned first = *at;
        const char *known = "", *usual = "";
        size_t index, i;
        /* The table is given up in front of all fields, if the server has none. */
        if (first == 0x20 && at == p->block) {
            at++;
            continue;
        }
        if ((first & 0x40 && first < 128) || (first >= 0x20 && first < 0x40)) return false;
        if (!grpc_hpack_int(&at, end, first >= 128 ? 7 : 4, &index)) return false;
        if (index != 0 && !grpc_static_field(index, &known, &usual)) return false;
        (void)snprintf(name, sizeof name, "%s", known);
        (void)snprintf(value, sizeof value, "%s", usual);
        if (index == 0 && !grpc_hpack_read(&at, end, name, sizeof name)) return false;
        if (first < 128 && !grpc_hpack_read(&at, end, value, sizeof value)) return false;
        for (i = 0; name[i] != '\0'; i++) {
            if (name[i] >= 'A' && name[i] <= 'Z') server_blame(s, "a capital in a header's name");
        }
        if (name[0] != ':') past_pseudo = true;
        if (name[0] == ':' && past_pseudo) server_blame(s, "a pseudo-header behind others (OG-01)");
        if (strpbrk(value, "\r\n") != NULL) server_blame(s, "a line break in a header (OH-07)");
        used += (size_t)snprintf(out + used, capacity - used, "%s: %s\n", name, value);
        if ((first & 0xF0) == 0x10) {
            hidden += (size_t)snprintf(secrets + hidden, sizeof secrets - hidden,
                                       "never-indexed: %s\n", name);
        }
        if (used >= capacity || hidden >= sizeof secrets) return false;
    }
    (void)snprintf(out + used, capacity - used, "%s", secrets);
    return true;
}

/* One field of a recorded request, "" when it is absent. */
SERVER_FN const char *grpc_field(const server_request *r, const char *name, char *out,
                                 size_t capacity) {
    if (server_header_in(r->head, name, 0, out, capacity) == NULL) out[0] = '\0';
    return out;
}

/* Is this field among those that were sent as never to be indexed? */
SERVER_FN bool grpc_is_secret(const char *head, const char *name) {
    char value[512];
    size_t i;
    for (i = 0; server_header_in(head, "never-indexed", i, value, sizeof value) != NULL; i++) {
        if (strcmp(value, name) == 0) return true;
    }
    return false;
}

SERVER_FN void grpc_expect(server *s, const char *head, const char *name, const char *want,
                           const char *problem) {
    char value[SERVER_MAX_HEAD];
    if (server_header_in(head, name, 0, value, sizeof value) == NULL ||
        (want != NULL && strcmp(value, want) != 0) ||
        server_header_in(head, name, 1, value, sizeof value) != NULL) {
        server_blame(s, problem);
    }
}

SERVER_FN void grpc_check_timeout(server *s, const char *head) {
    const char *line = strstr(head, "\ngrpc-timeout: "), *before = line;
    size_t digits;
    if (line == NULL) return;
    while (before > head && before[-1] != '\n') before--;
    if (*before != ':') server_blame(s, "grpc-timeout is not right behind the pseudo-headers");
    line += strlen("\ngrpc-timeout: ");
    digits = strspn(line, "0123456789");
    if (digits == 0 || digits > 8 || strchr("HMSmun", line[digits]) == NULL ||
        line[digits + 1] != '\n') {
        server_blame(s, "a grpc-timeout that is none (OG-01)");
    }
}

SERVER_FN void grpc_check_head(server *s, const char *head) {
    static const char *const refused[] = {
        "\nconnection: ", "\nhost: ",         "\nkeep-alive: ",
        "\nupgrade: ",    "\ncontent-type: ", "\ntransfer-encoding: "};
    char value[64];
    size_t i;
    grpc_expect(s, head, ":method", "POST", "not a POST");
    grpc_expect(s, head, ":path", GRPC_EXPORT, "not the path of the service (OG-01)");
    if (((grpc_server *)s)->is_https)
        grpc_expect(s, head, ":scheme", "https", "not the scheme https");
    else
        grpc_expect(s, head, ":scheme", "http", "not the scheme http");
    grpc_expect(s, head, ":authority", NULL, "not one :authority");
    grpc_expect(s, head, "te", "trailers", "not te: trailers (OG-01)");
    grpc_expect(s, head, "user-agent", NULL, "not one user-agent (OT-09)");
    if (server_header_in(head, "content-type", 0, value, sizeof value) == NULL ||
        (strcmp(value, "application/grpc") != 0 && strcmp(value, "application/grpc+proto") != 0)) {
        server_blame(s, "not application/grpc (OG-01)");
    }
    for (i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *found = strstr(head, refused[i]);
        if (found != NULL && (i != 4 || strstr(found + 1, refused[i]) != NULL)) {
            server_blame(s, "a header that HTTP/2 or gRPC forbids");
        }
    }
    if (strstr(head, "\nauthorization: ") != NULL && !grpc_is_secret(head, "authorization")) {
        server_blame(s, "credentials that may be indexed");
    }
    grpc_check_timeout(s, head);
}

SERVER_FN void grpc_complete(server *s, server_connection *c, size_t left) {
    grpc_peer *p = (grpc_peer *)c->state;
    char encoding[16];
    otlp_bytes message;
    bool gzip;
    if (p->body_size < 5 || ((size_t)p->body[1] << 24 | (size_t)p->body[2] << 16 |
                             (size_t)p->body[3] << 8 | p->body[4]) != p->body_size - 5) {
        server_blame(s, "not one message with its length (OG-02)");
        return;
    }
    if (server_header_in(p->head, "grpc-encoding", 0, encoding, sizeof encoding) == NULL) {
        (void)snprintf(encoding, sizeof encoding, "identity");
    }
    gzip = p->body[0] == 1;
    if (p->body[0] > 1 || (gzip && strcmp(encoding, "gzip") != 0)) {
        server_blame(s, "a compressed flag without its encoding (OG-02)");
    }
    message.at = p->body + 5;
    message.size = p->body_size - 5;
    server_keep_request(s, c, p->head, message, gzip, c->taken - left);
    c->taken = left;
}

SERVER_FN void grpc_end_block(server *s, grpc_peer *p) {
    p->in_block = false;
    /* The first line, for server_header_in and server_target. */
    (void)snprintf(p->head, sizeof p->head, "POST %s HTTP/2\n", GRPC_EXPORT);
    if (!grpc_read_block(s, p, p->head + strlen(p->head), sizeof p->head - strlen(p->head))) {
        server_blame(s, "a header block that this server cannot read");
    }
    grpc_check_head(s, p->head);
    p->has_head = true;
}

SERVER_FN void grpc_on_headers(server *s, grpc_peer *p, unsigned type, unsigned flags,
                               uint32_t stream, const unsigned char *at, size_t size) {
    if (type == 1) {
        if (p->in_block || stream % 2 == 0 || stream <= p->stream) {
            server_blame(s, "HEADERS on a stream that cannot be opened");
        }
        if (p->stream != 0 && !p->is_answered && !p->is_reset) {
            server_blame(s, "two streams at once");
        }
        if (flags & ~4u) server_blame(s, "HEADERS with flags that this client has no use for");
        p->stream = stream;
        p->stream_window = p->initial;
        p->give_stream = p->give_initial;
        p->block_size = p->body_size = 0;
        p->in_block = true;
        p->has_head = p->is_complete = p->is_served = p->is_answered = p->is_reset = false;
    } else if (!p->in_block || stream != p->stream) {
        server_blame(s, "CONTINUATION behind no HEADERS");
        return;
    }
    if (p->block_size + size > sizeof p->block) {
        server_blame(s, "a header block that is too large for this server");
        size = 0;
    }
    memcpy(p->block + p->block_size, at, size);
    p->block_size += size;
    if (flags & 4) grpc_end_block(s, p);
}

/* Opens the windows again, when they are half closed. */
SERVER_FN void grpc_refill(grpc_peer *p) {
    if (p->is_manual || p->settings_sent == 0) return;
    if (p->window < 32768) {
        grpc_put_number(p, 8, 0, (uint32_t)(65535 - p->window));
        p->window = 65535;
    }
    if (p->stream_window <= p->initial / 2 && p->initial > 0 && p->has_head && !p->is_complete &&
        !p->is_answered && !p->is_reset) {
        grpc_put_number(p, 8, p->stream, (uint32_t)(p->initial - p->stream_window));
        p->stream_window = p->initial;
    }
}

SERVER_FN void grpc_on_data(server *s, server_connection *c, unsigned flags, uint32_t stream,
                            const unsigned char *at, size_t size, size_t left) {
    grpc_peer *p = (grpc_peer *)c->state;
    p->window -= (long long)size;
    if (p->window < 0) server_blame(s, "the connection's window is overrun (OG-08)");
    if (stream != p->stream || !p->has_head || p->is_complete || p->is_reset) {
        server_blame(s, "DATA on a stream that is not open");
        return;
    }
    if (flags & ~1u) server_blame(s, "DATA with flags that this client has no use for");
    p->stream_window -= (long long)size;
    if (p->stream_window < 0) server_blame(s, "the stream's window is overrun (OG-08)");
    if (p->body_size + size > p->body_capacity) {
        size_t capacity = 2 * (p->body_size + size);
        unsigned char *more = (unsigned char *)realloc(p->body, capacity);
        if (more == NULL) abort();
        p->body = more;
        p->body_capacity = capacity;
    }
    if (size > 0) memcpy(p->body + p->body_size, at, size);
    p->body_size += size;
    if (flags & 1) p->is_complete = true;
    grpc_refill(p);
    if (flags & 1) grpc_complete(s, c, left);
}

/* The client has acknowledged SETTINGS: what they say holds from here on. */
SERVER_FN void grpc_on_ack(server *s, grpc_peer *p) {
    unsigned i, kept = 0;
    if (++p->settings_acked > p->settings_sent) server_blame(s, "an ACK of no SETTINGS");
    for (i = 0; i < p->num_changes; i++) {
        const grpc_change *change = &p->changes[i];
        if (change->number > p->settings_acked) {
            p->changes[kept++] = *change;
        } else if (change->id == 4) {
            p->stream_window += (long long)change->value - p->initial;
            p->initial = change->value;
        } else {
            p->max_frame = change->value;
        }
    }
    p->num_changes = kept;
    grpc_refill(p);
}

SERVER_FN void grpc_on_settings(server *s, grpc_peer *p, unsigned flags, const unsigned char *at,
                                size_t size) {
    size_t i;
    if (flags & 1) {
        if (size != 0) server_blame(s, "an ACK of SETTINGS with something in it");
        ((grpc_server *)s)->num_acks++;
        grpc_on_ack(s, p);
        return;
    }
    if (size % 6 != 0) server_blame(s, "SETTINGS of an odd size");
    for (i = 0; i + 6 <= size; i += 6) {
        unsigned id = at[i] * 256u + at[i + 1];
        uint32_t value = (uint32_t)at[i + 2] << 24 | (uint32_t)at[i + 3] << 16 |
                         (uint32_t)at[i + 4] << 8 | at[i + 5];
        if (id == 2 && value != 0) server_blame(s, "SETTINGS ask for pushes");
        if (id == 4) {
            p->give_stream += (long long)value - p->give_initial;
            p->give_initial = value;
        }
    }
    p->has_settings = true;
    /* The first frame of a server is its SETTINGS. */
    if (p->settings_sent > 0) {
        grpc_put_frame(p, 4, 1, 0, NULL, 0);
    } else {
        p->acks_owed++;
    }
}

SERVER_FN void grpc_on_control(server *s, grpc_peer *p, unsigned type, unsigned flags,
                               uint32_t stream, const unsigned char *at, size_t size) {
    grpc_server *g = (grpc_server *)s;
    uint32_t value = 0;
    if (size >= 4) {
        value = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    if (type == 3) {
        if (size != 4 || stream != p->stream) server_blame(s, "RST_STREAM of no stream");
        p->is_reset = true;
        g->reset_code = value;
        g->num_resets++;
        g->num_cancels += value == 8;
    } else if (type == 6) {
        if (size != 8 || stream != 0) server_blame(s, "a PING that is none");
        if ((flags & 1) == 0) {
            grpc_put_frame(p, 6, 1, 0, at, size);
        } else {
            p->pongs++;
            g->num_pongs++;
        }
    } else if (type == 7) {
        if (size < 8 || stream != 0) server_blame(s, "a GOAWAY that is none");
        g->num_goaways++;
        if (size >= 8) {
            g->goaway_code =
                (uint32_t)at[4] << 24 | (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 | at[7];
        }
    } else if (type == 8) {
        if (size != 4 || value == 0 || value > 0x7FFFFFFF) {
            server_blame(s, "a WINDOW_UPDATE that is none");
        }
        if (stream == 0) p->give += value;
        if (stream == p->stream) p->give_stream += value;
        if (p->give > 0x7FFFFFFF || p->give_stream > 0x7FFFFFFF) {
            server_blame(s, "a window that is opened too far");
        }
    } else if (type != 2) {
        server_blame(s, "a frame of a type that clients do not send");
    }
}

SERVER_FN void grpc_on_frame(server *s, server_connection *c, const unsigned char *head,
                             const unsigned char *at, size_t size, size_t left) {
    grpc_peer *p = (grpc_peer *)c->state;
    unsigned type = head[3], flags = head[4];
    uint32_t stream = (uint32_t)(head[5] & 127) << 24 | (uint32_t)head[6] << 16 |
                      (uint32_t)head[7] << 8 | head[8];
    if (head[5] & 128) server_blame(s, "the reserved bit of a frame is set");
    if (p->in_block && type != 9) server_blame(s, "a frame in the middle of a header block");
    if (!p->has_settings && type != 4) server_blame(s, "no SETTINGS in front of all");
    if (type == 0) {
        grpc_on_data(s, c, flags, stream, at, size, left);
    } else if (type == 1 || type == 9) {
        grpc_on_headers(s, p, type, flags, stream, at, size);
    } else if (type == 4) {
        if (stream != 0) server_blame(s, "SETTINGS on a stream");
        grpc_on_settings(s, p, flags, at, size);
    } else {
        grpc_on_control(s, p, type, flags, stream, at, size);
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

SERVER_FN bool grpc_begin(server *s, server_connection *c, server_when when) {
    grpc_peer *p = (grpc_peer *)c->state;
    if (c->step != NULL || !server_begin(s, c, when)) return false;
    p->op = c->step->reply != NULL ? c->step->reply : "";
    p->mark = p->op;
    p->rounds = 0;
    p->step_size = 0;
    p->lingers = false;
    if (when == SERVER_AT_HEAD || when == SERVER_AT_REQUEST) p->is_served = true;
    return true;
}

SERVER_FN void grpc_accepted(server *s, server_connection *c) {
    grpc_peer *p = (grpc_peer *)calloc(1, sizeof *p);
    const char *nothing = "";
    if (p == NULL) abort();
    p->window = p->stream_window = p->initial = 65535;
    p->give = p->give_stream = p->give_initial = 65535;
    p->max_frame = 16384;
    c->state = p;
    if (grpc_begin(s, c, SERVER_AT_ACCEPT)) return;
    grpc_put_settings(p, &nothing);
    (void)grpc_begin(s, c, SERVER_AT_BYTES);
}

SERVER_FN void grpc_ended(server_connection *c) {
    grpc_peer *p = (grpc_peer *)c->state;
    free(p->out);
    free(p->body);
    free(p);
}

SERVER_FN void grpc_arrived(server *s, server_connection *c) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    grpc_peer *p = (grpc_peer *)c->state;
    size_t done = 0;
    if (!p->has_preface && c->in_size >= 24) {
        if (memcmp(c->in, preface, 24) != 0) server_blame(s, "not the preface of HTTP/2");
        p->has_preface = true;
        done = 24;
    }
    while (p->has_preface && c->in_size - done >= 9) {
        const unsigned char *at = c->in + done;
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (size > p->max_frame) server_blame(s, "a frame that is too large (OG-08)");
        if (c->in_size - done < 9 + size) break;
        done += 9 + size;
        grpc_on_frame(s, c, at, at + 9, size, c->in_size - done);
        if (p->has_head && !p->is_served && !p->is_answered) (void)grpc_begin(s, c, SERVER_AT_HEAD);
    }
    c->in_size -= done;
    if (c->in_size > 0) memmove(c->in, c->in + done, c->in_size);
    if (p->has_head && !p->is_served && !p->is_answered) (void)grpc_begin(s, c, SERVER_AT_HEAD);
    if (p->is_complete && !p->is_served && !p->is_answered) {
        (void)grpc_begin(s, c, SERVER_AT_REQUEST);
    }
    (void)grpc_begin(s, c, SERVER_AT_BYTES);
}

SERVER_FN short grpc_wants(server *s, server_connection *c) {
    const grpc_peer *p = (const grpc_peer *)c->state;
    short events = p->is_deaf ? 0 : POLLIN;
    (void)s;
    if (c->step != NULL && c->step->when == SERVER_AT_BYTES) events = 0;
    if (p->out_sent < p->out_size) return (short)(events | POLLOUT);
    if (c->step != NULL && !grpc_waits(p)) return (short)(events | POLLOUT);
    return events;
}

/* Runs operations until there is something to send, or to wait for. */
SERVER_FN void grpc_run(server *s, server_connection *c) {
    grpc_peer *p = (grpc_peer *)c->state;
    size_t limit = c->step->reply_size;
    while (p->op != NULL && *p->op != '\0' && p->out_size < GRPC_BATCH && !grpc_waits(p) &&
           c->due_ms <= server_now_ms()) {
        size_t before = p->out_size;
        grpc_do(s, c);
        p->step_size += p->out_size - before;
        if (limit != 0 && p->step_size >= limit) {
            p->out_size -= p->step_size - limit;
            p->op = "";
        }
    }
}

SERVER_FN void grpc_write(server *s, server_connection *c) {
    grpc_peer *p = (grpc_peer *)c->state;
    size_t part;
    ssize_t sent;
    if (p->out_sent == p->out_size) {
        p->out_sent = p->out_size = 0;
        if (c->step != NULL) grpc_run(s, c);
    }
    part = p->out_size - p->out_sent;
    if (part > 0) {
        if (c->step != NULL && c->step->drip_ms > 0) part = 1;
        sent = send(c->fd, p->out + p->out_sent, part, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            server_drop(s, c, false);
            return;
        }
        if (sent > 0) p->out_sent += (size_t)sent;
        if (c->step != NULL && c->step->drip_ms > 0) c->due_ms = server_now_ms() + c->step->drip_ms;
    }
    if (p->out_sent < p->out_size || c->step == NULL || *p->op != '\0') return;
    if (c->step->linger_ms > 0 && !p->lingers) {
        p->lingers = true;
        c->due_ms = server_now_ms() + c->step->linger_ms;
    } else if (c->due_ms <= server_now_ms()) {
        p->op = NULL;
        ((grpc_server *)s)->step_size = p->step_size;
        server_finish_step(s, c);
    }
}

/* Starts on a given port, 0 for a free one. False when this machine has no such address. */
SERVER_FN bool grpc_start_at(grpc_server *g, server_family family, uint16_t port,
                             const server_step *steps, size_t num_steps) {
    static const server_protocol protocol = {grpc_accepted, grpc_arrived, grpc_write, grpc_wants,
                                             grpc_ended};
    static const server_step usual = {.reply = GRPC_OK};
    memset(g, 0, sizeof *g);
    g->reset_code = g->goaway_code = GRPC_NONE;
    if (num_steps == 0) steps = &usual, num_steps = 1;
    return server_start_with(&g->http, family, port, &protocol, steps, num_steps);
}

SERVER_FN bool grpc_start(grpc_server *g, const server_step *steps, size_t num_steps) {
    return grpc_start_at(g, SERVER_IPV4, 0, steps, num_steps);
}

#endif
