/*
 * SPDX-License-Identifier: MIT
 *
 * HTTP/2 as a script: what the server sends and what the application does on one side, what came
 * of the request and every frame that was sent on the other, as text. Each script is run with the
 * server's bytes whole, byte by byte and cut at random; all must come to the same. What is fed, and
 * the buffers of the connection, end at forbidden pages.
 *
 * Steps of a script stand between bars:
 *     request N        a request with N bytes of content, sent as far as it goes
 *     quietly N        ... not sent
 *     cancel, close    by the application; by the server
 *     drain, take N    all, or so many bytes, of what is to be sent are sent
 *     look             what is to be sent is asked for, and not sent
 *     stall            nothing more is sent, at the end either
 *     time MS          that much later
 *     out N, block N   capacities; only in front of everything else
 *     refuse           the application wants no content
 *     TYPE [STREAM] [words]   a frame of the server's, its stream 0 if not given. *N in front: N
 *                      times. Words: es, eh, ack are flags; p=N: padded; prio: with a priority;
 *                      name=value: a field, or a setting; x:HEX, t:TEXT, z:N: bytes, N zeros;
 *                      n:NUMBER: four bytes; len=N: a length that is not true; f=N: flags
 *     raw WORDS        bytes that are no frame
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

enum { TEXT_ROOM = 1 << 14, WIRE_ROOM = 1 << 21, BODY_ROOM = 1 << 20 };

static const char *const type_names[] = {"DATA",          "HEADERS",      "PRIORITY", "RST_STREAM",
                                         "SETTINGS",      "PUSH_PROMISE", "PING",     "GOAWAY",
                                         "WINDOW_UPDATE", "CONTINUATION"};
static const char *const outcome_names[] = {"OPEN", "DONE", "RESET", "REFUSED", "LOST", "BROKEN"};

static uint64_t random_state = 1;

static size_t random_below(size_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % limit;
}

typedef struct text {
    char bytes[TEXT_ROOM];
    size_t size;
} text;

__attribute__((format(printf, 2, 3))) static void say(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    t->size += (size_t)vsnprintf(t->bytes + t->size, sizeof t->bytes - t->size, format, args);
    va_end(args);
    if (t->size >= sizeof t->bytes) t->size = sizeof t->bytes - 1;
}

/* A connection, the application that uses it, and what the server sees. */
typedef struct world {
    hoteli_h2 h2;
    size_t block_capacity, out_capacity;
    bool started, stalled, refuses, strict;
    int64_t now_ms;
    int cut; /* how the server's bytes are cut: 0 not at all, 1 byte by byte, else at random */
    uint8_t *wire; /* of the server's, not fed yet */
    size_t wire_size;
    uint8_t *seen; /* by the server, and not read as frames yet */
    size_t seen_size;
    bool seen_preface;
    size_t body_seen;
    hoteli_hpack server; /* decodes what we send */
    text sent, heard;    /* frames; fields and content */
    char content[64];    /* since the last field */
    size_t content_size;
    bool any_content;
} world;

static uint8_t body_byte(size_t i) {
    return (uint8_t)(i * 7 + i / 251);
}

static uint8_t body[BODY_ROOM], head_block[32768];
static size_t head_size;

/* ---- what the server sees ---- */

static void see_field(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size) {
    world *w = (world *)user_data;
    if (value_size > 40) {
        say(&w->sent, " %.*s=(%u)", (int)name_size, name, (unsigned)value_size);
    } else {
        say(&w->sent, " %.*s=%.*s", (int)name_size, name, (int)value_size, value);
    }
}

static void see_payload(world *w, unsigned type, unsigned flags, const uint8_t *at, size_t size) {
    static uint8_t block[1 << 17];
    static size_t block_size;
    size_t i, wrong = 0;
    switch (type) {
    case HOTELI_H2_DATA:
        for (i = 0; i < size; i++) wrong += at[i] != body_byte(w->body_seen + i);
        w->body_seen += size;
        say(&w->sent, " %u%s", (unsigned)size, wrong != 0 ? " WRONG" : "");
        break;
    case HOTELI_H2_HEADERS:
    case HOTELI_H2_CONTINUATION:
        if (type == HOTELI_H2_HEADERS) block_size = w->body_seen = 0;
        memcpy(block + block_size, at, size);
        block_size += size;
        if (!(flags & HOTELI_H2_END_HEADERS)) {
            say(&w->sent, " %u", (unsigned)size);
            break;
        }
        if (block_size > 0 && block[0] == 0x20) say(&w->sent, " table=0");
        if (!hoteli_hpack_decode(&w->server, block, block_size, see_field, w)) {
            say(&w->sent, " MALFORMED");
        }
        break;
    case HOTELI_H2_SETTINGS:
        for (i = 0; i + 6 <= size; i += 6) {
            say(&w->sent, " %u=%u", (unsigned)at[i] << 8 | at[i + 1], hoteli_h2_get32(at + i + 2));
        }
        break;
    case HOTELI_H2_PING:
        say(&w->sent, " %.*s", (int)size, (const char *)at);
        break;
    case HOTELI_H2_GOAWAY:
        say(&w->sent, " %u %s", hoteli_h2_get32(at), hoteli_h2_code_name(hoteli_h2_get32(at + 4)));
        break;
    case HOTELI_H2_RST_STREAM:
        say(&w->sent, " %s", hoteli_h2_code_name(hoteli_h2_get32(at)));
        break;
    default:
        say(&w->sent, " %u", hoteli_h2_get32(at));
        break;
    }
}

/* The reader of frames: says each that is complete. */
static void see(world *w) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t i = 0;
    if (!w->seen_preface && w->seen_size >= 24) {
        say(&w->sent, "%s", memcmp(w->seen, preface, 24) == 0 ? "PREFACE" : "NO PREFACE");
        w->seen_preface = true;
        i = 24;
    }
    while (w->seen_preface && w->seen_size - i >= 9) {
        const uint8_t *at = w->seen + i;
        size_t size = hoteli_h2_get32(at) >> 8;
        unsigned type = at[3], flags = at[4];
        uint32_t id = hoteli_h2_get32(at + 5);
        if (w->seen_size - i < 9 + size) break;
        say(&w->sent, " | %s", type < 10 ? type_names[type] : "UNKNOWN");
        if (id != 0) say(&w->sent, " %u", id);
        if ((type == HOTELI_H2_DATA || type == HOTELI_H2_HEADERS) && (flags & 1)) {
            say(&w->sent, " es");
        }
        if ((type == HOTELI_H2_SETTINGS || type == HOTELI_H2_PING) && (flags & 1)) {
            say(&w->sent, " ack");
        }
        if (type == HOTELI_H2_HEADERS || type == HOTELI_H2_CONTINUATION) {
            if (flags & 4) say(&w->sent, " eh");
        }
        see_payload(w, type, flags, at + 9, size);
        i += 9 + size;
    }
    memmove(w->seen, w->seen + i, w->seen_size - i);
    w->seen_size -= i;
}

/* Sends up to `most` bytes, each time as much as is there, or a random part of it. */
static void drain(world *w, size_t most) {
    const uint8_t *bytes;
    size_t size;
    while (most > 0 && (size = hoteli_h2_output(&w->h2, &bytes)) > 0) {
        if (size > most) size = most;
        if (w->cut > 1) size = 1 + random_below(size);
        memcpy(w->seen + w->seen_size, bytes, size);
        w->seen_size += size;
        hoteli_h2_sent(&w->h2, size);
        most -= size;
        see(w);
    }
}

/* ---- the application ---- */

/* Content is said when it is complete, if it is short. */
static void end_content(world *w) {
    if (w->any_content && w->content_size > sizeof w->content) {
        say(&w->heard, " (%u bytes)", (unsigned)w->content_size);
    } else if (w->any_content) {
        say(&w->heard, " \"%.*s\"", (int)w->content_size, w->content);
    }
    w->any_content = false;
    w->content_size = 0;
}

static void on_field(void *user_data, const char *name, size_t name_size, const char *value,
                     size_t value_size) {
    world *w = (world *)user_data;
    end_content(w);
    say(&w->heard, " %s%.*s=%.*s", w->h2.trailing ? "~" : "", (int)name_size, name, (int)value_size,
        value);
}

static bool on_data(void *user_data, const uint8_t *bytes, size_t size) {
    world *w = (world *)user_data;
    size_t i;
    if (w->refuses) return false;
    w->any_content = true;
    for (i = 0; i < size; i++, w->content_size++) {
        if (w->content_size < sizeof w->content) w->content[w->content_size] = (char)bytes[i];
    }
    return true;
}

static void start(world *w) {
    if (w->started) return;
    w->started = true;
    hoteli_h2_start(&w->h2, (uint8_t *)guard_room(1, w->block_capacity), w->block_capacity,
                    (uint8_t *)guard_room(2, w->out_capacity), w->out_capacity);
}

static void flush_wire(world *w) {
    size_t i = 0;
    start(w);
    while (i < w->wire_size) {
        size_t n = w->wire_size - i;
        int outcome;
        if (w->cut == 1) n = 1;
        if (w->cut > 1) n = 1 + random_below(HOTELI_MIN(n, (size_t)w->cut));
        if (n > GUARD_MAX_BYTES) n = GUARD_MAX_BYTES;
        outcome =
            hoteli_h2_feed(&w->h2, (const uint8_t *)guard_copy(0, w->wire + i, n), n, w->now_ms);
        if (outcome != w->h2.outcome) say(&w->heard, " WRONG OUTCOME");
        i += n;
    }
    w->wire_size = 0;
}

static void request(world *w, size_t size) {
    hoteli_h2_parts parts;
    memset(&parts, 0, sizeof parts);
    parts.head = head_block;
    parts.head_size = head_size;
    parts.body = body;
    parts.body_size = size;
    parts.field_fn = on_field;
    parts.data_fn = on_data;
    parts.user_data = w;
    w->heard.size = w->content_size = 0;
    w->any_content = false;
    w->heard.bytes[0] = 0;
    if (!hoteli_h2_request(&w->h2, &parts)) say(&w->heard, " not usable");
    /* Most scripts are about what comes later: but for "new" they go on as if SETTINGS had come. */
    if (!w->strict) w->h2.settled = true;
}

/* ---- scripts ---- */

static void put(world *w, const void *bytes, size_t size) {
    if (w->wire_size + size > WIRE_ROOM) abort();
    if (bytes != NULL)
        memcpy(w->wire + w->wire_size, bytes, size);
    else
        memset(w->wire + w->wire_size, 0, size);
    w->wire_size += size;
}

static void put_number(world *w, uint32_t number) {
    uint8_t bytes[4];
    hoteli_h2_put32(bytes, number);
    put(w, bytes, 4);
}

/* The payload that a word stands for. */
static void put_word(world *w, const char *word, bool is_setting) {
    const char *mark = strchr(word, '=');
    if (strncmp(word, "x:", 2) == 0) {
        for (word += 2; *word != 0; word += 2) {
            uint8_t byte = (uint8_t)(hoteli_hex_digit(word[0]) << 4 | hoteli_hex_digit(word[1]));
            put(w, &byte, 1);
        }
    } else if (strncmp(word, "t:", 2) == 0) {
        put(w, word + 2, strlen(word + 2));
    } else if (strncmp(word, "z:", 2) == 0) {
        put(w, NULL, (size_t)atoi(word + 2));
    } else if (strncmp(word, "n:", 2) == 0) {
        put_number(w, (uint32_t)strtoul(word + 2, NULL, 0));
    } else if (mark != NULL && is_setting) {
        uint8_t id[2] = {0, (uint8_t)atoi(word)};
        put(w, id, 2);
        put_number(w, (uint32_t)strtoul(mark + 1, NULL, 0));
    } else if (mark != NULL) {
        char name[64];
        uint8_t field[600];
        (void)snprintf(name, sizeof name, "%.*s", (int)(mark - word), word);
        put(w, field,
            hoteli_hpack_write(field, sizeof field, name, mark + 1, strlen(mark + 1), false));
    } else {
        fprintf(stderr, "what is %s?\n", word);
        abort();
    }
}

/* A frame of the server's. */
static void put_frame(world *w, unsigned type, char **words) {
    size_t begin = w->wire_size, size, pad = 0;
    unsigned flags = 0;
    long length = -1;
    uint32_t id = 0;
    if (*words != NULL && strspn(*words, "0123456789") == strlen(*words)) {
        id = (uint32_t)strtoul(*words++, NULL, 0);
    }
    put(w, NULL, 9);
    for (; *words != NULL; words++) {
        const char *word = *words;
        if (strcmp(word, "es") == 0 || strcmp(word, "ack") == 0)
            flags |= 1;
        else if (strcmp(word, "eh") == 0)
            flags |= 4;
        else if (strncmp(word, "f=", 2) == 0)
            flags |= (unsigned)strtoul(word + 2, NULL, 0);
        else if (strncmp(word, "len=", 4) == 0)
            length = atol(word + 4);
        else if (strncmp(word, "p=", 2) == 0) {
            uint8_t byte = (uint8_t)atoi(word + 2);
            flags |= 8;
            pad = byte;
            put(w, &byte, 1);
        } else if (strcmp(word, "prio") == 0) {
            flags |= 0x20;
            put(w, "\x80\x00\x00\x00\x0f", 5);
        } else {
            put_word(w, word, type == HOTELI_H2_SETTINGS);
        }
    }
    put(w, NULL, pad);
    size = w->wire_size - begin - 9;
    hoteli_h2_put_frame(w->wire + begin, length >= 0 ? (size_t)length : size, type, flags, id);
}

static void client_step(world *w, const char *what, const char *value) {
    size_t number = value != NULL ? (size_t)strtoul(value, NULL, 0) : 0;
    if (strcmp(what, "out") == 0) {
        w->out_capacity = number;
        return;
    }
    if (strcmp(what, "block") == 0) {
        w->block_capacity = number;
        return;
    }
    flush_wire(w);
    if (strcmp(what, "request") == 0 || strcmp(what, "new") == 0) {
        w->strict = what[0] == 'n';
        request(w, number);
        if (!w->stalled) drain(w, SIZE_MAX);
    } else if (strcmp(what, "quietly") == 0) {
        request(w, number);
    } else if (strcmp(what, "cancel") == 0) {
        hoteli_h2_cancel(&w->h2);
    } else if (strcmp(what, "close") == 0) {
        (void)hoteli_h2_finish(&w->h2);
    } else if (strcmp(what, "drain") == 0) {
        drain(w, SIZE_MAX);
    } else if (strcmp(what, "take") == 0) {
        int cut = w->cut;
        w->cut = 0;
        drain(w, number);
        w->cut = cut;
    } else if (strcmp(what, "look") == 0) {
        const uint8_t *bytes;
        (void)hoteli_h2_output(&w->h2, &bytes);
    } else if (strcmp(what, "stall") == 0) {
        w->stalled = true;
    } else if (strcmp(what, "refuse") == 0) {
        w->refuses = true;
    } else if (strcmp(what, "time") == 0) {
        w->now_ms += (int64_t)number;
    } else {
        fprintf(stderr, "what is %s?\n", what);
        abort();
    }
}

static void step(world *w, char *line) {
    char *words[64];
    size_t count = 0, type;
    long times = 1;
    char *rest = NULL, *word;
    for (word = strtok_r(line, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
        words[count++] = word;
    }
    words[count] = NULL;
    word = words[0];
    count = 1;
    if (word[0] == '*') {
        times = atol(word + 1);
        word = words[count++];
    }
    for (type = 0; type < 10 && strcmp(word, type_names[type]) != 0; type++) {
    }
    if (type < 10 || strcmp(word, "UNKNOWN") == 0) {
        while (times-- > 0) put_frame(w, type < 10 ? (unsigned)type : 0xEE, words + count);
    } else if (strcmp(word, "raw") == 0) {
        for (; words[count] != NULL; count++) put_word(w, words[count], false);
    } else {
        client_step(w, word, words[count]);
    }
}

static void conclude(world *w) {
    const hoteli_h2 *c = &w->h2;
    text said;
    end_content(w);
    said.size = 0;
    say(&said, "%s", outcome_names[c->outcome]);
    if (c->outcome == HOTELI_H2_RESET || c->outcome == HOTELI_H2_REFUSED ||
        c->outcome == HOTELI_H2_BROKEN) {
        say(&said, " %s", hoteli_h2_code_name(c->code));
    }
    if (c->by_us) say(&said, " by us");
    if (c->status != 0) say(&said, " %d", c->status);
    if (c->reason != NULL) say(&said, ": %s", c->reason);
    say(&said, "%s", w->heard.bytes);
    if (c->leaving) {
        say(&said, " leaving %s", hoteli_h2_code_name(c->leave_code));
        if (c->leave_words_size > 0) {
            say(&said, "(%.*s)", (int)c->leave_words_size, c->leave_words);
        }
    }
    if (c->broken) say(&said, " broken");
    if ((c->reason != NULL) != (c->outcome > HOTELI_H2_DONE)) say(&said, " NO REASON");
    w->heard = said;
}

static void run(world *w, const char *script, int cut) {
    static uint8_t *wire, *seen;
    char *copy = strdup(script), *rest = NULL, *line;
    if (wire == NULL) {
        wire = (uint8_t *)malloc(WIRE_ROOM);
        seen = (uint8_t *)malloc(WIRE_ROOM);
    }
    memset(w, 0, sizeof *w);
    w->wire = wire;
    w->seen = seen;
    w->block_capacity = 512;
    w->out_capacity = 4096;
    w->now_ms = 1000;
    w->cut = cut;
    hoteli_hpack_start(&w->server);
    for (line = strtok_r(copy, "|", &rest); line != NULL; line = strtok_r(NULL, "|", &rest)) {
        step(w, line);
    }
    flush_wire(w);
    if (!w->stalled) drain(w, SIZE_MAX);
    if (w->seen_size > 0) say(&w->sent, " | CUT");
    conclude(w);
    free(copy);
}

/* Every connection begins with these; the checks are about what follows. */
static const char *behind_preface(const world *w) {
    static const char first[] = "PREFACE | SETTINGS 2=0 6=512";
    const char *sent = w->sent.bytes;
    if (strncmp(sent, first, sizeof first - 1) != 0) return sent;
    sent += sizeof first - 1;
    return strncmp(sent, " | ", 3) == 0 ? sent + 3 : sent;
}

/* `name` begins with the rule that is proved. */
static void check(const char *name, const char *script, const char *outcome, const char *sent) {
    static world whole, other;
    int i, differ = 0;
    run(&whole, script, 0);
    is_str(whole.heard.bytes, outcome, "%s", name);
    is_str(behind_preface(&whole), sent, "%s: what is sent", name);
    for (i = 0; i < 12; i++) {
        run(&other, script, i == 0 ? 1 : i < 8 ? 12 : 300);
        if (strcmp(other.heard.bytes, whole.heard.bytes) == 0 &&
            strcmp(other.sent.bytes, whole.sent.bytes) == 0) {
            continue;
        }
        if (differ++ == 0) note("otherwise: %s -- %s", other.heard.bytes, other.sent.bytes);
    }
    is_int(differ, 0, "%s: the same in any pieces", name);
}

#define BEGIN "request 10 | SETTINGS | "
#define OPENED "HEADERS 1 eh :method=POST a=b | DATA 1 es 10"
#define BEGUN OPENED " | SETTINGS ack"
#define GOAWAY(code) " | GOAWAY 0 " code

static void test_requests(void) {
    check("OG-08 the preface and our SETTINGS", "block 300 | SETTINGS", "OPEN",
          "PREFACE | SETTINGS 2=0 6=300 | SETTINGS ack");
    check("OG-03 headers, content, trailers",
          BEGIN "HEADERS 1 eh :status=200 content-type=application/grpc | DATA 1 t:hello |"
                "DATA 1 t:world | HEADERS 1 es eh grpc-status=0 x=y",
          "DONE 200 content-type=application/grpc \"helloworld\" ~grpc-status=0 ~x=y", BEGUN);
    check("OG-03 trailers only", BEGIN "HEADERS 1 eh es :status=200 grpc-status=12",
          "DONE 200 grpc-status=12", BEGUN);
    check("OG-03 content ends the response", BEGIN "HEADERS 1 eh :status=404 | DATA 1 es t:gone",
          "DONE 404 \"gone\"", BEGUN);
    check("OG-03 empty DATA ends the response",
          BEGIN "HEADERS 1 eh :status=204 | DATA 1 | DATA 1 es", "DONE 204", BEGUN);
    check("OG-03 no content to send", "request 0 | SETTINGS", "OPEN",
          "HEADERS 1 es eh :method=POST a=b | SETTINGS ack");
    check("OG-08 answered before the server's SETTINGS are acknowledged",
          "request 10 | SETTINGS | SETTINGS ack | HEADERS 1 eh es :status=200", "DONE 200", BEGUN);
    check("OG-08 one request after the other",
          BEGIN "HEADERS 1 eh es :status=200 | request 3 | HEADERS 3 eh :status=200 x=1 |"
                "DATA 3 es t:ok | request 4 | HEADERS 5 eh es :status=503",
          "DONE 503",
          BEGUN " | HEADERS 3 eh :method=POST a=b | DATA 3 es 3"
                " | HEADERS 5 eh :method=POST a=b | DATA 5 es 4");
    check("OG-08 not two at once", BEGIN "request 5", "OPEN not usable", BEGUN);
    check("OG-08 interim headers are passed over",
          BEGIN "HEADERS 1 eh :status=100 | HEADERS 1 eh :status=103 link=x |"
                "HEADERS 1 eh es :status=200 a=b",
          "DONE 200 a=b", BEGUN);
    check("OG-08 content-length means nothing",
          BEGIN "HEADERS 1 eh :status=200 content-length=99 | DATA 1 es t:abc",
          "DONE 200 content-length=99 \"abc\"", BEGUN);
    check("OG-08 a blank at the end of a value is let through",
          BEGIN "HEADERS 1 eh es :status=200 x:400161022020", "DONE 200 a=  ", BEGUN);
    check("OG-03 the answer is complete before the request",
          "request 70000 | SETTINGS | HEADERS 1 eh es :status=200 grpc-status=8 | drain |"
          "WINDOW_UPDATE 0 n:9999 | WINDOW_UPDATE 1 n:9999 | RST_STREAM 1 n:0",
          "DONE 200 grpc-status=8",
          "HEADERS 1 eh :method=POST a=b | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 1212"
          " | SETTINGS ack | RST_STREAM 1 NO_ERROR");
    check("OG-08 the server closes", BEGIN "close",
          "LOST: the server closed without a response broken", BEGUN);
    check("OG-08 the server closes in the middle",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 t:ab len=5 | close",
          "LOST 200: the server closed in the middle of its response \"ab\" broken", BEGUN);
    check("OG-08 the server closes while idle", BEGIN "HEADERS 1 eh es :status=200 | close",
          "DONE 200 broken", BEGUN);
    check("OG-08 no request on a closed connection", "SETTINGS | close | request 5",
          "OPEN not usable broken", "SETTINGS ack");
}

static void test_framing(void) {
    check("OG-08 padded frames",
          BEGIN "HEADERS 1 eh p=7 :status=200 a=b | DATA 1 p=0 t:ab | DATA 1 p=255 t:cd |"
                "DATA 1 p=9 | HEADERS 1 es eh p=3 grpc-status=0",
          "DONE 200 a=b \"abcd\" ~grpc-status=0", BEGUN);
    check("OG-08 headers with a priority",
          BEGIN "HEADERS 1 eh prio :status=200 | HEADERS 1 es eh p=4 prio grpc-status=0",
          "DONE 200 ~grpc-status=0", BEGUN);
    check("OG-08 CONTINUATION",
          BEGIN "HEADERS 1 :status=200 | CONTINUATION 1 | CONTINUATION 1 a=b x:00 |"
                "CONTINUATION 1 eh x:01780179 | HEADERS 1 es p=2 x:40 |"
                "CONTINUATION 1 eh x:01710172",
          "DONE 200 a=b x=y ~q=r", BEGUN);
    check("OG-08 PRIORITY is passed over",
          BEGIN "PRIORITY 1 n:3 x:10 | PRIORITY 7 n:0 x:00 | PRIORITY 2 n:0 x:00 |"
                "HEADERS 1 eh es :status=200",
          "DONE 200", BEGUN);
    check("OG-08 unknown frames, flags and settings are passed over",
          BEGIN "UNKNOWN 0 t:hello f=255 | UNKNOWN 1 | UNKNOWN 9 z:300 | SETTINGS 99=7 8=1 255=0 |"
                "PING t:abcdefgh f=0xfe | HEADERS 1 eh es f=0xd2 p=0 :status=200",
          "DONE 200", BEGUN " | SETTINGS ack | PING ack abcdefgh");
    check("OG-08 the reserved bit of a stream id is passed over",
          BEGIN "raw x:0000010105 n:0x80000001 x:88", "DONE 200", BEGUN);
    check("OG-08 the largest frame", BEGIN "UNKNOWN z:16384 | HEADERS 1 eh es :status=200",
          "DONE 200", BEGUN);
    check("OG-08 a larger frame", BEGIN "DATA 1 len=16385",
          "BROKEN FRAME_SIZE_ERROR: a frame larger than allowed broken",
          BEGUN GOAWAY("FRAME_SIZE_ERROR"));
    check("OG-08 an unknown frame that is too large", BEGIN "UNKNOWN len=16777215",
          "BROKEN FRAME_SIZE_ERROR: a frame larger than allowed broken",
          BEGUN GOAWAY("FRAME_SIZE_ERROR"));
    check("OG-08 more padding than payload: DATA",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 f=8 x:03aabb",
          "BROKEN PROTOCOL_ERROR 200: a frame with more padding than payload broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 more padding than payload: HEADERS", BEGIN "HEADERS 1 eh f=0x28 x:0100000000ff",
          "BROKEN PROTOCOL_ERROR: a frame with more padding than payload broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 no room for the padding: DATA", BEGIN "DATA 1 f=8",
          "BROKEN FRAME_SIZE_ERROR: a frame of the wrong size broken",
          BEGUN GOAWAY("FRAME_SIZE_ERROR"));
    check("OG-08 no room for the priority: HEADERS", BEGIN "HEADERS 1 f=0x28 z:5",
          "BROKEN FRAME_SIZE_ERROR: a frame of the wrong size broken",
          BEGUN GOAWAY("FRAME_SIZE_ERROR"));
    check("OG-08 a PRIORITY of the wrong size", BEGIN "PRIORITY 1 z:4",
          "RESET FRAME_SIZE_ERROR by us: a frame of the wrong size",
          BEGUN " | RST_STREAM 1 FRAME_SIZE_ERROR");
    check("OG-08 a PRIORITY of the wrong size on another stream",
          BEGIN "PRIORITY 3 z:9 | HEADERS 1 eh es :status=200", "DONE 200", BEGUN);
}

/* One frame that must not come, while a request is open: the connection is given up. */
static void refused(const char *name, const char *frame, const char *code, const char *reason) {
    char script[512], outcome[512], sent[512];
    (void)snprintf(script, sizeof script, BEGIN "drain | %s", frame);
    (void)snprintf(outcome, sizeof outcome, "BROKEN %s: %s broken", code, reason);
    (void)snprintf(sent, sizeof sent, BEGUN GOAWAY("%s"), code);
    check(name, script, outcome, sent);
}

static void test_refused(void) {
    static const char wrong_size[] = "a frame of the wrong size";
    static const char wrong_stream[] = "a frame on a stream where it cannot be";
    static const char never[] = "a frame on a stream that was never opened";
    static const char not_continued[] = "headers are not continued by CONTINUATION";
    refused("OG-08 SETTINGS of the wrong size", "SETTINGS z:5", "FRAME_SIZE_ERROR", wrong_size);
    refused("OG-08 SETTINGS ACK with a payload", "SETTINGS ack 4=1", "FRAME_SIZE_ERROR",
            wrong_size);
    refused("OG-08 SETTINGS on a stream", "SETTINGS 1 4=1", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 PING of the wrong size", "PING z:7", "FRAME_SIZE_ERROR", wrong_size);
    refused("OG-08 PING on a stream", "PING 1 z:8", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 GOAWAY of the wrong size", "GOAWAY z:7", "FRAME_SIZE_ERROR", wrong_size);
    refused("OG-08 GOAWAY on a stream", "GOAWAY 1 z:8", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 RST_STREAM of the wrong size", "RST_STREAM 1 z:5", "FRAME_SIZE_ERROR",
            wrong_size);
    refused("OG-08 RST_STREAM on no stream", "RST_STREAM 0 z:4", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 RST_STREAM before the stream", "RST_STREAM 3 z:4", "PROTOCOL_ERROR", never);
    refused("OG-08 WINDOW_UPDATE of the wrong size", "WINDOW_UPDATE 1 z:3", "FRAME_SIZE_ERROR",
            wrong_size);
    refused("OG-08 WINDOW_UPDATE before the stream", "WINDOW_UPDATE 3 n:1", "PROTOCOL_ERROR",
            never);
    refused("OG-08 DATA on no stream", "DATA 0 z:1", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 DATA before the stream", "DATA 3 z:1", "PROTOCOL_ERROR", never);
    refused("OG-08 HEADERS on no stream", "HEADERS 0 eh :status=200", "PROTOCOL_ERROR",
            wrong_stream);
    refused("OG-08 HEADERS before the stream", "HEADERS 3 eh :status=200", "PROTOCOL_ERROR", never);
    refused("OG-08 HEADERS on a stream of the server's", "HEADERS 2 eh :status=200",
            "PROTOCOL_ERROR", never);
    refused("OG-08 DATA on a stream of the server's", "DATA 2 z:1", "PROTOCOL_ERROR", never);
    refused("OG-08 PRIORITY on no stream", "PRIORITY 0 z:5", "PROTOCOL_ERROR", wrong_stream);
    refused("OG-08 PUSH_PROMISE", "PUSH_PROMISE 1 eh n:2 :method=GET", "PROTOCOL_ERROR",
            "the server pushes, which was refused");
    refused("OG-08 CONTINUATION of nothing", "CONTINUATION 1 eh a=b", "PROTOCOL_ERROR",
            not_continued);
    refused("OG-08 another frame between headers", "HEADERS 1 :status=200 | PING z:8",
            "PROTOCOL_ERROR", not_continued);
    refused("OG-08 an unknown frame between headers", "HEADERS 1 :status=200 | UNKNOWN",
            "PROTOCOL_ERROR", not_continued);
    refused("OG-08 HEADERS between headers", "HEADERS 1 :status=200 | HEADERS 1 eh",
            "PROTOCOL_ERROR", not_continued);
    refused("OG-08 another stream between headers", "HEADERS 1 :status=200 | CONTINUATION 3 eh",
            "PROTOCOL_ERROR", not_continued);
    refused("OG-08 headers that cannot be decompressed", "HEADERS 1 eh es x:88ff",
            "COMPRESSION_ERROR", "the headers of the response cannot be decompressed");
    refused("OG-08 compressed headers beyond the limit",
            "HEADERS 1 es z:300 | CONTINUATION 1 eh z:213", "ENHANCE_YOUR_CALM",
            "the headers of the response are larger than the limit");
}

/* Headers that make the response malformed: the stream is given up, the connection goes on. */
static void malformed(const char *name, const char *frames, const char *reason) {
    char script[1024], outcome[512];
    (void)snprintf(script, sizeof script, BEGIN "%s | drain | SETTINGS | DATA 1 t:late | request 2",
                   frames);
    (void)snprintf(outcome, sizeof outcome, "RESET PROTOCOL_ERROR by us%s", reason);
    check(name, script, "OPEN",
          BEGUN " | RST_STREAM 1 PROTOCOL_ERROR | SETTINGS ack"
                " | HEADERS 3 eh :method=POST a=b | DATA 3 es 2");
    (void)snprintf(script, sizeof script, BEGIN "%s | PING z:8 | DATA 1 t:late", frames);
    check(name, script, outcome, BEGUN " | RST_STREAM 1 PROTOCOL_ERROR | PING ack ");
}

static void test_malformed(void) {
    static const char pseudo[] = ": the response has a malformed pseudo-header";
    static const char header[] = ": the response has a malformed header";
    static const char no_status[] = ": the response has no :status";
    static const char interim[] = ": the response is an interim one";
    malformed("OG-08 no :status", "HEADERS 1 eh es grpc-status=0", no_status);
    malformed("OG-08 no header at all", "HEADERS 1 eh", no_status);
    malformed("OG-08 :status behind another header", "HEADERS 1 eh es a=b :status=200", no_status);
    malformed("OG-08 :status behind headers of its own", "HEADERS 1 eh es :status=200 :status=200",
              pseudo);
    malformed("OG-08 a pseudo-header behind a header", "HEADERS 1 eh es :status=200 a=b :x=y",
              ": the response has a malformed pseudo-header a=b");
    malformed("OG-08 a pseudo-header of requests", "HEADERS 1 eh es :path=/", pseudo);
    malformed("OG-08 an unknown pseudo-header", "HEADERS 1 eh es :status=200 :x=y", pseudo);
    malformed("OG-08 :status of two digits", "HEADERS 1 eh es :status=20", pseudo);
    malformed("OG-08 :status of four digits", "HEADERS 1 eh es :status=2000", pseudo);
    malformed("OG-08 :status below 100", "HEADERS 1 eh es :status=099", pseudo);
    malformed("OG-08 :status no number", "HEADERS 1 eh es :status=2x0", pseudo);
    malformed("OG-08 :status with a blank in front", "HEADERS 1 eh es x:0803203939", pseudo);
    malformed("OG-08 :status with a blank behind", "HEADERS 1 eh es x:0803393920", pseudo);
    malformed("OG-08 :STATUS", "HEADERS 1 eh es :STATUS=200", pseudo);
    malformed("OG-08 upper case", "HEADERS 1 eh es :status=200 aB=c", header);
    malformed("OG-08 no name", "HEADERS 1 eh es :status=200 x:40000178", header);
    malformed("OG-08 a colon in a name", "HEADERS 1 eh es :status=200 a:b=c", header);
    malformed("OG-08 a blank in a name", "HEADERS 1 eh es :status=200 x:4003612062 x:0178", header);
    malformed("OG-08 a NUL in a name", "HEADERS 1 eh es :status=200 x:4003610062 x:0178", header);
    malformed("OG-08 DEL in a name", "HEADERS 1 eh es :status=200 x:40027f62 x:0178", header);
    malformed("OG-08 a byte above ASCII in a name", "HEADERS 1 eh es :status=200 x:4002e462 x:0178",
              header);
    malformed("OG-08 a NUL in a value", "HEADERS 1 eh es :status=200 x:400161 x:03620063", header);
    malformed("OG-08 CR in a value", "HEADERS 1 eh es :status=200 x:400161 x:03620d63", header);
    malformed("OG-08 LF in a value", "HEADERS 1 eh es :status=200 x:400161 x:03620a63", header);
    malformed("OG-08 connection", "HEADERS 1 eh es :status=200 connection=close", header);
    malformed("OG-08 keep-alive", "HEADERS 1 eh es :status=200 keep-alive=1", header);
    malformed("OG-08 transfer-encoding", "HEADERS 1 eh es :status=200 transfer-encoding=chunked",
              header);
    malformed("OG-08 101", "HEADERS 1 eh :status=101", interim);
    malformed("OG-08 an interim response ends the stream", "HEADERS 1 eh es :status=103", interim);
    malformed("OG-08 content before headers", "DATA 1 t:x",
              ": the response has content before headers");
    malformed("OG-08 content behind interim headers", "HEADERS 1 eh :status=100 | DATA 1 es t:x",
              ": the response has content before headers");
    malformed("OG-08 trailers that do not end the stream",
              "HEADERS 1 eh :status=200 | HEADERS 1 eh a=b",
              " 200: the trailers do not end the response ~a=b");
    malformed("OG-08 a pseudo-header in trailers",
              "HEADERS 1 eh :status=200 | HEADERS 1 es eh a=b :status=200",
              " 200: the response has a malformed pseudo-header ~a=b");
    malformed("OG-08 WINDOW_UPDATE of 0 on the stream", "WINDOW_UPDATE 1 n:0",
              ": the server sent a wrong WINDOW_UPDATE");
}

/* A small block can stand for long headers: what is decoded is bounded too. */
static void test_header_list(void) {
    check("OG-08 as many headers as the limit allows",
          BEGIN "HEADERS 1 eh es :status=200 x:400161017a x:bebebebebebebebebebebebe x:00017801",
          "BROKEN COMPRESSION_ERROR: the headers of the response cannot be decompressed"
          " a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z broken",
          BEGUN GOAWAY("COMPRESSION_ERROR"));
    check("OG-08 headers up to the limit", // 42 + 13 * 34 = 484
          BEGIN "HEADERS 1 eh es :status=200 x:400161017a x:bebebebebebebebebebebebe",
          "DONE 200 a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z", BEGUN);
    check("OG-08 headers beyond the limit", // 518
          BEGIN "HEADERS 1 eh es :status=200 x:400161017a x:bebebebebebebebebebebebebebe |"
                "request 4 | HEADERS 3 eh es :status=200 x:be",
          "DONE 200 a=z",
          BEGUN " | RST_STREAM 1 ENHANCE_YOUR_CALM"
                " | HEADERS 3 eh :method=POST a=b | DATA 3 es 4");
    check("OG-08 headers beyond the limit: what came of it",
          BEGIN "HEADERS 1 eh es :status=200 x:400161017a x:bebebebebebebebebebebebebebe",
          "RESET ENHANCE_YOUR_CALM by us: the headers of the response are larger than the limit"
          " a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z a=z",
          BEGUN " | RST_STREAM 1 ENHANCE_YOUR_CALM");
    check("OG-08 the table of the compression is kept from one response to the next",
          BEGIN "HEADERS 1 eh :status=200 x:400161017a x:400162017a | HEADERS 1 es eh x:be |"
                "request 1 | HEADERS 3 eh es :status=200 x:bfbe",
          "DONE 200 a=z b=z", BEGUN " | HEADERS 3 eh :method=POST a=b | DATA 3 es 1");
    check("OG-08 headers of a stream that was given up count for the table",
          BEGIN "cancel | HEADERS 1 eh es :status=200 x:400161017a | request 1 |"
                "HEADERS 3 eh es :status=200 x:be",
          "DONE 200 a=z",
          BEGUN " | RST_STREAM 1 CANCEL | HEADERS 3 eh :method=POST a=b | DATA 3 es 1");
}

static void test_settings(void) {
    check("OG-08 SETTINGS first", "new 10 | HEADERS 1 eh es :status=200",
          "BROKEN PROTOCOL_ERROR: the first frame is not SETTINGS broken",
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 not their ACK first", "new 10 | SETTINGS ack",
          "BROKEN PROTOCOL_ERROR: the first frame is not SETTINGS broken",
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 each SETTINGS is acknowledged",
          BEGIN "SETTINGS 4=5 | SETTINGS ack | SETTINGS 5=16385", "OPEN",
          BEGUN " | SETTINGS ack | SETTINGS ack");
    check("OG-08 ENABLE_PUSH 0", BEGIN "SETTINGS 2=0", "OPEN", BEGUN " | SETTINGS ack");
    check("OG-08 ENABLE_PUSH 1", BEGIN "SETTINGS 2=1",
          "BROKEN PROTOCOL_ERROR: the server sent ENABLE_PUSH broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 INITIAL_WINDOW_SIZE beyond 2^31-1", BEGIN "SETTINGS 4=0x80000000",
          "BROKEN FLOW_CONTROL_ERROR: INITIAL_WINDOW_SIZE is larger than a window can be broken",
          BEGUN GOAWAY("FLOW_CONTROL_ERROR"));
    check("OG-08 INITIAL_WINDOW_SIZE makes the window pass 2^31-1",
          BEGIN "WINDOW_UPDATE 1 n:100 | SETTINGS 4=0x7fffffff",
          "BROKEN FLOW_CONTROL_ERROR: INITIAL_WINDOW_SIZE makes a window too large broken",
          BEGUN GOAWAY("FLOW_CONTROL_ERROR"));
    check("OG-08 INITIAL_WINDOW_SIZE of 2^31-1", BEGIN "SETTINGS 4=0x7fffffff", "OPEN",
          BEGUN " | SETTINGS ack");
    check("OG-08 ... while no stream is open",
          "SETTINGS 4=0x7fffffff | SETTINGS 4=0 | SETTINGS 4=0x7fffffff | request 5", "OPEN",
          "SETTINGS ack | SETTINGS ack | SETTINGS ack | HEADERS 1 eh :method=POST a=b"
          " | DATA 1 es 5");
    check("OG-08 MAX_FRAME_SIZE below its range", BEGIN "SETTINGS 5=16383",
          "BROKEN PROTOCOL_ERROR: MAX_FRAME_SIZE is out of its range broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 MAX_FRAME_SIZE above its range", BEGIN "SETTINGS 5=16777216",
          "BROKEN PROTOCOL_ERROR: MAX_FRAME_SIZE is out of its range broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check(
        "OG-08 MAX_FRAME_SIZE in the middle",
        "out 65536 | SETTINGS 4=1000000 | WINDOW_UPDATE 0 n:1000000 | quietly 150000 | take 66000 |"
        "SETTINGS 5=30000",
        "OPEN",
        "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 16384 | DATA 1 16384"
        " | DATA 1 16384 | DATA 1 16384 | DATA 1 16384 | DATA 1 16384 | SETTINGS ack"
        " | DATA 1 30000 | DATA 1 es 21696");
    check("OG-08 MAX_CONCURRENT_STREAMS 0: the request waits",
          "SETTINGS 3=0 | request 5 | PING z:8 | drain | SETTINGS 3=1 | drain |"
          "HEADERS 1 eh es :status=200",
          "DONE 200",
          "SETTINGS ack | PING ack  | SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 es 5");
    check("OG-08 MAX_CONCURRENT_STREAMS 0: given up in the meantime",
          "SETTINGS 3=0 | request 5 | cancel | SETTINGS 3=1",
          "RESET CANCEL by us: the request was cancelled", "SETTINGS ack | SETTINGS ack");
    check("OG-08 MAX_CONCURRENT_STREAMS 0 behind the request",
          "request 5 | SETTINGS 3=0 | HEADERS 1 eh es :status=200", "DONE 200",
          "HEADERS 1 eh :method=POST a=b | DATA 1 es 5 | SETTINGS ack");
    check("OG-08 HEADER_TABLE_SIZE below the default is agreed to, once",
          BEGIN "SETTINGS 1=100 1=4096 | HEADERS 1 eh es :status=200 | request 1 | SETTINGS 1=0 |"
                "HEADERS 3 eh es :status=200 | request 2",
          "OPEN",
          BEGUN " | SETTINGS ack | HEADERS 3 eh table=0 :method=POST a=b | DATA 3 es 1"
                " | SETTINGS ack | HEADERS 5 eh :method=POST a=b | DATA 5 es 2");
    check("OG-08 HEADER_TABLE_SIZE above the default", "SETTINGS 1=65536 | request 1", "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 es 1");
}

static void test_windows(void) {
    static world w;
    check("OG-08 the window of the connection",
          "SETTINGS 4=100000 | out 70000 | request 65540 | WINDOW_UPDATE 0 n:2 | drain |"
          "WINDOW_UPDATE 1 n:5 | drain | WINDOW_UPDATE 0 n:100",
          "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 16384 | DATA 1 16384"
          " | DATA 1 16384 | DATA 1 16383 | DATA 1 2 | DATA 1 es 3");
    check("OG-08 the window of the stream",
          "SETTINGS 4=4 | request 9 | WINDOW_UPDATE 1 n:1 | drain | WINDOW_UPDATE 0 n:9 | drain |"
          "WINDOW_UPDATE 1 n:4",
          "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 4 | DATA 1 1 | DATA 1 es 4");
    check("OG-08 a window of 0 at first",
          "SETTINGS 4=0 | request 3 | WINDOW_UPDATE 1 n:1 | drain | SETTINGS 4=1 | drain |"
          "WINDOW_UPDATE 1 n:1",
          "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 1 | SETTINGS ack | DATA 1 1"
          " | DATA 1 es 1");
    check("OG-08 SETTINGS make the window negative",
          "SETTINGS 4=8 | request 20 | SETTINGS 4=3 | drain | WINDOW_UPDATE 1 n:5 | drain |"
          "WINDOW_UPDATE 1 n:1 | drain | SETTINGS 4=5 | drain | SETTINGS 4=100",
          "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 8 | SETTINGS ack | DATA 1 1"
          " | SETTINGS ack | DATA 1 2 | SETTINGS ack | DATA 1 es 9");
    check("OG-08 the next stream has the window of the SETTINGS",
          "SETTINGS 4=5 | request 5 | WINDOW_UPDATE 1 n:100 | HEADERS 1 eh es :status=200 |"
          "request 7",
          "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 es 5"
          " | HEADERS 3 eh :method=POST a=b | DATA 3 5");
    check("OG-08 WINDOW_UPDATE of 0 on the connection", BEGIN "WINDOW_UPDATE 0 n:0",
          "BROKEN PROTOCOL_ERROR: the server sent a wrong WINDOW_UPDATE broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 the window of the connection passes 2^31-1", BEGIN "WINDOW_UPDATE 0 n:0x7fff0010",
          "BROKEN FLOW_CONTROL_ERROR: the server sent a wrong WINDOW_UPDATE broken",
          BEGUN GOAWAY("FLOW_CONTROL_ERROR"));
    check("OG-08 the window of the stream passes 2^31-1", BEGIN "WINDOW_UPDATE 1 n:0x7fff0010",
          "RESET FLOW_CONTROL_ERROR by us: the server sent a wrong WINDOW_UPDATE",
          BEGUN " | RST_STREAM 1 FLOW_CONTROL_ERROR");
    check("OG-08 windows of 2^31-1",
          "request 0 | SETTINGS | WINDOW_UPDATE 0 n:0x7fff0000 |"
          "WINDOW_UPDATE 1 n:0x7fff0000",
          "OPEN", "HEADERS 1 es eh :method=POST a=b | SETTINGS ack");
    check("OG-08 WINDOW_UPDATE on a stream that is over",
          BEGIN "HEADERS 1 eh es :status=200 | WINDOW_UPDATE 1 n:0x7fffffff | WINDOW_UPDATE 1 n:0",
          "DONE 200", BEGUN);
    check("OG-08 the reserved bit of an increment is passed over",
          "request 0 | SETTINGS | WINDOW_UPDATE 0 n:0x80000001", "OPEN",
          "HEADERS 1 es eh :method=POST a=b | SETTINGS ack");
    run(&w, "SETTINGS 4=0 | request 30000 | *20000 WINDOW_UPDATE 1 n:1", 0);
    ok(!w.h2.broken, "OG-08 windows that open byte by byte are no flood");
}

/* What we grant is what the response may have. */
static void test_granted(void) {
    check("OG-08 windows are granted again as content is handed over",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 z:16384 | DATA 1 z:16383 | drain |"
                "DATA 1 z:1 | drain | DATA 1 z:16384 | DATA 1 z:16384",
          "OPEN 200 (65536 bytes)",
          BEGUN " | WINDOW_UPDATE 32768 | WINDOW_UPDATE 1 32768"
                " | WINDOW_UPDATE 32768 | WINDOW_UPDATE 1 32768");
    check("OG-08 padding is granted again too",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 p=255 z:16128 | DATA 1 p=255 z:16128",
          "OPEN 200 (32256 bytes)", BEGUN " | WINDOW_UPDATE 32768 | WINDOW_UPDATE 1 32768");
    check("OG-08 content of a stream that is over is granted to the connection",
          BEGIN "cancel | DATA 1 z:16384 | DATA 1 z:16384",
          "RESET CANCEL by us: the request was cancelled",
          BEGUN " | RST_STREAM 1 CANCEL | WINDOW_UPDATE 32768");
    check("OG-08 the end of the response needs no window",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 z:16384 | DATA 1 es z:16384",
          "DONE 200 (32768 bytes)", BEGUN " | WINDOW_UPDATE 32768");
    check("OG-08 more than the connection was granted",
          BEGIN "HEADERS 1 eh :status=200 | *3 DATA 1 z:16384 | DATA 1 z:16384",
          "BROKEN FLOW_CONTROL_ERROR 200: the server sent more than was granted (49152 bytes)"
          " broken",
          BEGUN GOAWAY("FLOW_CONTROL_ERROR"));
    check("OG-08 all that was granted",
          BEGIN "HEADERS 1 eh :status=200 | *3 DATA 1 z:16384 | DATA 1 es z:16383",
          "DONE 200 (65535 bytes)", BEGUN " | WINDOW_UPDATE 65535");
    check("OG-08 more than the stream was granted", // there was room for one of two grants
          "stall | quietly 0 | SETTINGS | look | *232 PING z:8 |"
          "HEADERS 1 eh :status=200 | *2 DATA 1 z:16384 | look | *2 DATA 1 z:16384",
          "RESET FLOW_CONTROL_ERROR by us 200: the server sent more than was granted"
          " (49152 bytes)",
          "");
    check("OG-10 content that is not wanted",
          BEGIN "refuse | HEADERS 1 eh :status=200 |"
                "DATA 1 t:abc | DATA 1 t:def | HEADERS 1 es eh grpc-status=0",
          "RESET CANCEL by us 200: the rest of the response is not wanted",
          BEGUN " | RST_STREAM 1 CANCEL");
}

static void test_streams(void) {
    check("OG-06 RST_STREAM", BEGIN "RST_STREAM 1 n:7 | request 2", "OPEN",
          BEGUN " | HEADERS 3 eh :method=POST a=b | DATA 3 es 2");
    check("OG-06 the code of RST_STREAM", BEGIN "RST_STREAM 1 n:7",
          "RESET REFUSED_STREAM: the server reset the stream", BEGUN);
    check("OG-06 RST_STREAM in the middle of the request",
          "request 70000 | SETTINGS | RST_STREAM 1 n:11 | WINDOW_UPDATE 0 n:10000 | drain |"
          "take 0 | request 1",
          "OPEN",
          "HEADERS 1 eh :method=POST a=b | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063"
          " | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 3063 | DATA 1 1212"
          " | SETTINGS ack | HEADERS 3 eh :method=POST a=b | DATA 3 es 1");
    check("OG-06 RST_STREAM of an unknown code", BEGIN "RST_STREAM 1 n:99",
          "RESET an unknown code: the server reset the stream", BEGUN);
    check("OG-06 RST_STREAM behind the response",
          BEGIN "HEADERS 1 eh es :status=200 | RST_STREAM 1 n:0", "DONE 200", BEGUN);
    check("OG-08 DATA behind the response", BEGIN "HEADERS 1 eh es :status=200 | DATA 1 z:1",
          "DONE 200 broken", BEGUN GOAWAY("STREAM_CLOSED"));
    check("OG-08 HEADERS behind the response",
          BEGIN "HEADERS 1 eh es :status=200 | HEADERS 1 eh es a=b", "DONE 200 broken",
          BEGUN GOAWAY("STREAM_CLOSED"));
    check("OG-09 cancelled", BEGIN "HEADERS 1 eh :status=200 a=b | cancel | DATA 1 es t:abc",
          "RESET CANCEL by us 200: the request was cancelled a=b", BEGUN " | RST_STREAM 1 CANCEL");
    check("OG-09 cancelled: the next request is undisturbed",
          BEGIN "HEADERS 1 eh :status=200 | cancel | request 3 | DATA 1 t:abc |"
                "HEADERS 3 eh :status=200 | HEADERS 1 eh es c=d | DATA 3 es t:xyz",
          "DONE 200 \"xyz\"",
          BEGUN " | RST_STREAM 1 CANCEL | HEADERS 3 eh :method=POST a=b | DATA 3 es 3");
    check("OG-09 cancelled between headers",
          BEGIN "HEADERS 1 :status=200 | cancel | CONTINUATION 1 eh a=b | request 1 |"
                "HEADERS 3 eh es :status=200",
          "DONE 200", BEGUN " | RST_STREAM 1 CANCEL | HEADERS 3 eh :method=POST a=b | DATA 3 es 1");
    check("OG-09 cancelled in the middle of a frame of DATA",
          BEGIN "HEADERS 1 eh :status=200 | DATA 1 len=6 t:abc | cancel | raw t:def | PING z:8",
          "RESET CANCEL by us 200: the request was cancelled \"abc\"",
          BEGUN " | RST_STREAM 1 CANCEL | PING ack ");
    check("OG-09 cancelled before it was sent", "quietly 5 | cancel | SETTINGS | request 1", "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 es 1");
    check("OG-09 cancelled with frames under way: they are completed",
          "quietly 100 | take 70 | cancel | SETTINGS",
          "RESET CANCEL by us: the request was cancelled",
          "HEADERS 1 eh :method=POST a=b | DATA 1 es 100 | RST_STREAM 1 CANCEL | SETTINGS ack");
    check("OG-09 cancelled: frames for it do not reach a request that waits",
          BEGIN "cancel | SETTINGS 3=0 | request 1 | RST_STREAM 1 n:7 | HEADERS 1 eh es a=b |"
                "WINDOW_UPDATE 1 n:0 | SETTINGS 3=1",
          "OPEN",
          BEGUN " | RST_STREAM 1 CANCEL | SETTINGS ack | SETTINGS ack"
                " | HEADERS 3 eh :method=POST a=b | DATA 3 es 1");
    check("OG-09 nothing to cancel", BEGIN "HEADERS 1 eh es :status=200 | cancel", "DONE 200",
          BEGUN);
}

static void test_goaway(void) {
    check("OG-07 GOAWAY: a request below is finished",
          BEGIN "GOAWAY n:1 n:0 t:bye | HEADERS 1 eh es :status=200",
          "DONE 200 leaving NO_ERROR(bye)", BEGUN);
    check("OG-07 GOAWAY: a request above was not processed",
          BEGIN "GOAWAY n:0 n:11 t:too_many_pings",
          "REFUSED ENHANCE_YOUR_CALM: the server closes the connection"
          " leaving ENHANCE_YOUR_CALM(too_many_pings)",
          BEGUN);
    check("OG-07 GOAWAY: the rest of a request below is sent",
          "SETTINGS 4=5 | request 10 | GOAWAY n:1 n:0 | WINDOW_UPDATE 1 n:5",
          "OPEN leaving NO_ERROR",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | DATA 1 5 | DATA 1 es 5");
    check("OG-07 GOAWAY before the request was sent", "quietly 5 | SETTINGS | GOAWAY n:0 n:0",
          "REFUSED NO_ERROR: the server closes the connection leaving NO_ERROR", "SETTINGS ack");
    check("OG-07 no request behind GOAWAY",
          BEGIN "HEADERS 1 eh es :status=200 | GOAWAY n:1 n:0 | request 1",
          "DONE 200 not usable leaving NO_ERROR", BEGUN);
    check("OG-07 GOAWAY in two steps",
          BEGIN "GOAWAY n:0x7fffffff n:0 t:soon | GOAWAY n:1 n:2 | HEADERS 1 eh es :status=200",
          "DONE 200 leaving INTERNAL_ERROR", BEGUN);
    check("OG-07 the second GOAWAY refuses", BEGIN "GOAWAY n:0x7fffffff n:0 | GOAWAY n:0 n:0",
          "REFUSED NO_ERROR: the server closes the connection leaving NO_ERROR", BEGUN);
    check("OG-07 GOAWAY cannot be taken back", BEGIN "GOAWAY n:1 n:0 | GOAWAY n:3 n:0",
          "BROKEN PROTOCOL_ERROR: a second GOAWAY takes back the first leaving NO_ERROR broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-07 the reserved bit of the last stream is passed over",
          BEGIN "GOAWAY n:0x80000001 n:0", "OPEN leaving NO_ERROR", BEGUN);
    check("OG-07 GOAWAY with more words than are kept",
          BEGIN
          "GOAWAY n:1 n:0 t:0123456789012345678901234567890123456789012345678901234567890123456789",
          "OPEN leaving NO_ERROR(0123456789012345678901234567890123456789012345678901234567890123)",
          BEGUN);
    check("OG-07 PING is answered behind GOAWAY", BEGIN "GOAWAY n:1 n:0 | PING t:12345678",
          "OPEN leaving NO_ERROR", BEGUN " | PING ack 12345678");
}

static void test_strangers(void) {
    static const char tls[] = "BROKEN PROTOCOL_ERROR: the server speaks TLS broken";
    static const char http1[] =
        "BROKEN PROTOCOL_ERROR: the server speaks HTTP/1.1, not HTTP/2 broken";
    static const char other[] = "BROKEN PROTOCOL_ERROR: the server does not speak HTTP/2 broken";
    check("OG-08 no request before the server's SETTINGS", "new 10", "OPEN", "");
    check("OG-08 it goes out behind them", "new 10 | SETTINGS", "OPEN", "SETTINGS ack | " OPENED);
    check("OG-08 an answer in HTTP/1.1",
          "new 10 | raw t:HTTP/1.1 x:20 t:400 x:20 t:Bad x:20 t:Request x:0d0a0d0a", http1,
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 the beginning of an answer in HTTP/1.1", "new 10 | raw t:HTTP/", http1,
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 too little to tell", "new 10 | raw t:HTTP", "OPEN", "");
    check("OG-08 an alert of TLS", "new 10 | raw x:15030100020246", tls,
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 a handshake of TLS", "new 10 | raw x:160303007a", tls,
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 a banner of SSH", "new 10 | raw t:SSH-2.0-x", other,
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 almost HTTP", "new 10 | raw t:HTTPS/", other, "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 almost TLS", "new 10 | raw x:150403", other, "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 a number of zeros", "new 10 | raw z:9",
          "BROKEN PROTOCOL_ERROR: the first frame is not SETTINGS broken",
          "GOAWAY 0 PROTOCOL_ERROR");
    check("OG-08 nothing is read behind an error",
          BEGIN "DATA 0 | PING z:8 | HEADERS 1 eh es :status=200",
          "BROKEN PROTOCOL_ERROR: a frame on a stream where it cannot be broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
    check("OG-08 no request behind an error", BEGIN "DATA 0 | request 1",
          "BROKEN PROTOCOL_ERROR: a frame on a stream where it cannot be not usable broken",
          BEGUN GOAWAY("PROTOCOL_ERROR"));
}

static void test_idle(void) {
    check("OG-08 PING is answered while idle",
          BEGIN "HEADERS 1 eh es :status=200 | time 3600000 | PING t:hatchet. | drain |"
                "PING ack t:whatever | SETTINGS 4=70000 | WINDOW_UPDATE 0 n:1",
          "DONE 200", BEGUN " | PING ack hatchet. | SETTINGS ack");
    check("OG-08 PING is answered before the first request", "SETTINGS | PING t:01234567", "OPEN",
          "SETTINGS ack | PING ack 01234567");
    check("OG-08 PING is answered while the window is closed",
          "SETTINGS 4=0 | request 5 | PING t:01234567", "OPEN",
          "SETTINGS ack | HEADERS 1 eh :method=POST a=b | PING ack 01234567");
}

/* A flood ends the connection, and GOAWAY says so, however full the buffer is. */
static void flood(const char *name, const char *script, const char *reason) {
    static const char last[] = " | GOAWAY 0 ENHANCE_YOUR_CALM";
    static world w;
    int cut;
    for (cut = 0; cut < 3; cut++) {
        const char *sent = w.sent.bytes;
        run(&w, script, cut == 2 ? 1000 : cut);
        if (!ok(w.h2.broken && strstr(w.heard.bytes, reason) != NULL, "%s", name)) {
            note("%s", w.heard.bytes);
        }
        ok(w.sent.size > sizeof last && strcmp(sent + w.sent.size - sizeof last + 1, last) == 0,
           "%s: GOAWAY is the last", name);
    }
}

static void test_floods(void) {
    static const char frames[] = "a flood of frames";
    static const char replies[] = "the server demands replies and does not read them";
    static world w;
    int i;
    flood("OG-08 a flood of PINGs that are answered and not read", BEGIN "*300 PING z:8", replies);
    flood("OG-08 a flood of SETTINGS that are answered and not read", BEGIN "*500 SETTINGS",
          replies);
    flood("OG-08 a flood of their ACKs", BEGIN "*10001 SETTINGS ack", frames);
    flood("OG-08 a flood of CONTINUATION", BEGIN "HEADERS 1 :status=200 | *10001 CONTINUATION 1",
          frames);
    flood("OG-08 a flood of empty DATA", BEGIN "HEADERS 1 eh :status=200 | *10001 DATA 1", frames);
    flood("OG-08 a flood of padding",
          "SETTINGS | *200 PING ack z:8 | request 1 |"
          "HEADERS 1 eh :status=200 | *10001 DATA 1 p=0",
          frames);
    flood("OG-08 a flood of interim headers", BEGIN "*10001 HEADERS 1 eh :status=103", frames);
    flood("OG-08 a flood of headers that take work",
          "block 16384 | request 1 | SETTINGS | cancel | *15 HEADERS 1 eh z:12000", "broken");
    flood("OG-08 a flood of PRIORITY", BEGIN "*10001 PRIORITY 5 z:5", frames);
    flood("OG-08 a flood of WINDOW_UPDATE", BEGIN "*10001 WINDOW_UPDATE 0 n:1", frames);
    flood("OG-08 a flood of unknown frames", BEGIN "*10001 UNKNOWN 5 z:5", frames);
    flood("OG-08 a flood of content for a stream that is over", BEGIN "cancel | *10001 DATA 1 z:1",
          "broken");
    run(&w, BEGIN "*9000 SETTINGS ack | time 1000 | *9000 SETTINGS ack", 0);
    ok(!w.h2.broken, "OG-08 as many frames in the course of time are no flood");
    run(&w, BEGIN "HEADERS 1 eh es :status=200", 0);
    for (i = 0; i < 20000 && !w.h2.broken; i++) {
        static const uint8_t ping[17] = {0, 0, 8, HOTELI_H2_PING};
        const uint8_t *bytes;
        (void)hoteli_h2_feed(&w.h2, ping, sizeof ping, 1000);
        hoteli_h2_sent(&w.h2, hoteli_h2_output(&w.h2, &bytes));
    }
    is_int(i, 10001, "OG-08 a flood of PINGs whose answers are read");
}

static void test_heads(void) {
    static uint8_t small[sizeof head_block];
    size_t small_size = head_size;
    char value[20000];
    memcpy(small, head_block, head_size);
    memset(value, 'v', sizeof value);
    head_size = hoteli_hpack_write(head_block, sizeof head_block, "x", value, sizeof value, true);
    check("OG-08 headers larger than a frame",
          "out 24000 | SETTINGS | request 1 | HEADERS 1 eh es :status=200 | SETTINGS 5=30000 1=0 |"
          "request 1",
          "OPEN",
          "SETTINGS ack | HEADERS 1 16384 | CONTINUATION 1 eh x=(4063) | DATA 1 es 1"
          " | SETTINGS ack | HEADERS 3 eh table=0 x=(4063) | DATA 3 es 1");
    check("OG-08 headers larger than a frame, with a change of the table",
          "out 24000 | SETTINGS 1=0 | request 1", "OPEN",
          "SETTINGS ack | HEADERS 1 16384 | CONTINUATION 1 eh table=0 x=(4063) | DATA 1 es 1");
    check("OG-08 headers wait until there is room",
          "out 21100 | SETTINGS | look | PING z:8 | quietly 1 | look | take 10 | look", "OPEN",
          "SETTINGS ack | PING ack  | HEADERS 1 16384 | CONTINUATION 1 eh x=(4063)"
          " | DATA 1 es 1");
    check("OG-08 headers that can never fit", "out 21000 | SETTINGS | request 1", "OPEN not usable",
          "SETTINGS ack");
    head_size = 0;
    check("OG-08 no headers", "request 1 | SETTINGS", "OPEN",
          "HEADERS 1 eh | DATA 1 es 1 | SETTINGS ack");
    memcpy(head_block, small, small_size);
    head_size = small_size;
}

/* What a request waits for when its deadline comes. */
static void trouble(const char *name, const char *script, const char *want) {
    static world w;
    run(&w, script, 0);
    is_str(hoteli_h2_trouble(&w.h2), want, "%s", name);
}

static void test_trouble(void) {
    static world w;
    static const char slow[] = "the server did not answer in time";
    static const char window[] =
        "the server took no more data (its flow-control window stayed closed)";
    trouble("OG-09 the server says nothing", "request 10", slow);
    trouble("OG-09 the server does not answer", BEGIN "PING z:8", slow);
    trouble("OG-09 the window of the stream is closed", "SETTINGS 4=0 | request 10", window);
    trouble("OG-09 the window of the connection is closed", "SETTINGS 4=100000 | request 100000",
            window);
    trouble("OG-09 no stream is allowed", "SETTINGS 3=0 | request 10",
            "the server allowed no request (SETTINGS_MAX_CONCURRENT_STREAMS 0)");
    trouble("OG-09 a request that is not sent", "quietly 10", slow);
    run(&w, BEGIN "HEADERS 1 eh es :status=200", 0);
    ok(hoteli_h2_usable(&w.h2), "OG-08 usable behind a response");
    w.h2.stream = HOTELI_H2_MAX;
    ok(!hoteli_h2_usable(&w.h2), "OG-08 not when the streams are used up");
    is_str(hoteli_h2_code_name(HOTELI_H2_HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED",
           "OG-06 the last code has its name");
    is_str(hoteli_h2_code_name(14), "an unknown code", "OG-06 the next one has none");
}

/* A long request against a server that opens its windows as it pleases arrives unchanged. */
static void test_long(void) {
    static world w;
    int round, wrong = 0;
    for (round = 0; round < 40; round++) {
        size_t size = 1 + random_below(BODY_ROOM), steps = 0;
        char script[256];
        (void)snprintf(script, sizeof script, "out %u | SETTINGS 4=%u 5=%u | quietly %u",
                       (unsigned)(2048 + random_below(70000)), (unsigned)random_below(70000),
                       (unsigned)(16384 + random_below(60000)), (unsigned)size);
        run(&w, script, 300);
        while (!w.h2.broken && w.h2.sending && steps++ < 100000) {
            char words[64];
            w.wire_size = w.sent.size = 0;
            (void)snprintf(words, sizeof words, "WINDOW_UPDATE %u n:%u", (unsigned)random_below(2),
                           (unsigned)(1 + random_below(60000)));
            if (random_below(20) == 0) {
                (void)snprintf(words, sizeof words, "SETTINGS 4=%u", (unsigned)random_below(90000));
            }
            step(&w, words);
            flush_wire(&w);
            drain(&w, SIZE_MAX);
            wrong += strstr(w.sent.bytes, "WRONG") != NULL;
        }
        wrong += w.h2.broken || w.h2.sending || w.body_seen != size || w.seen_size != 0;
    }
    is_int(wrong, 0, "OG-08 requests of up to a MiB through windows of any size");
}

int main(void) {
    size_t i;
    for (i = 0; i < BODY_ROOM; i++) body[i] = body_byte(i);
    head_size = hoteli_hpack_write(head_block, 100, ":method", "POST", 4, false);
    head_size += hoteli_hpack_write(head_block + head_size, 100, "a", "b", 1, false);
    test_requests();
    test_framing();
    test_refused();
    test_malformed();
    test_header_list();
    test_settings();
    test_windows();
    test_granted();
    test_streams();
    test_goaway();
    test_strangers();
    test_idle();
    test_floods();
    test_heads();
    test_trouble();
    test_long();
    return done_testing();
}
