/*
 * SPDX-License-Identifier: MIT
 *
 * HTTP/2 against a server that sends anything at any time. The input is a script of what the
 * server and the application do; it is run with the server's bytes whole and byte by byte, which
 * comes to the same. Everything that is sent is read as frames and held against a second set of
 * books: windows, sizes of frames, what a stream may see in which order, replies that are owed.
 *
 *     r N        a request with N * N bytes of content; R N one with large headers
 *     f T F I N  a frame of type T with flags F on stream I, and N bytes of the input
 *     z T F I N  ... and N * 64 zeros
 *     * N        the next frame N % 32 times
 *     v          so many frames came in vain that the next few are a flood
 *     b N        N bytes as they are
 *     d          all is sent that is to be sent; t N: N * 8 bytes
 *     c  x  s    cancelled; closed by the server; half a second later
 */
#include "fuzz.h"

enum { MAX_BODY = 255 * 255, SMALL_HEAD = 40, LARGE_HEAD = 3000, MAX_STEPS = 100 };

/* The books of one run. Those of the server's bytes are kept byte by byte, as they are read. */
typedef struct run_state {
    hoteli_h2 h2;
    size_t step; /* of what is fed */
    int64_t now_ms;
    uint8_t *block, *out;
    size_t out_capacity;
    /* of the request */
    uint32_t requests;
    size_t head_size, body_size;
    uint64_t heard; /* a hash of fields and content */
    size_t heard_size;
    /* what was staged, read as frames */
    uint64_t sent;               /* a hash of it, DATA by its size only */
    uint64_t num_sent, num_read; /* bytes of the output: sent; read as frames */
    size_t head_seen, body_seen;
    uint32_t stream;
    bool in_head, ended, reset, gone;
    int64_t window, stream_window;
    uint32_t ping_acks, settings_acks;
    uint64_t granted;
    /* what was fed */
    uint8_t frame[9], unit[8];
    size_t frame_size;
    uint32_t left, at;
    uint32_t pings, settings;
    uint32_t peer_window, peer_frame;
    uint64_t data_fed;
} run_state;

static uint8_t body[MAX_BODY], large_head[LARGE_HEAD];

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
    const uint8_t *at = (const uint8_t *)bytes;
    size_t i;
    for (i = 0; i < size; i++) hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint32_t number(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- The application ------------------------------------------------------------------------ */

static void on_field(void *user_data, const char *name, size_t name_size, const char *value,
                     size_t value_size) {
    run_state *s = (run_state *)user_data;
    size_t i;
    FUZZ_CHECK(s->h2.outcome == HOTELI_H2_OPEN && s->requests > 0);
    FUZZ_CHECK(name_size > 0 && name[0] != ':');
    for (i = 0; i < name_size; i++) FUZZ_CHECK(name[i] < 'A' || name[i] > 'Z');
    s->heard = mix(s->heard + s->h2.trailing, name, name_size);
    s->heard = mix(s->heard, value, value_size);
}

static bool on_data(void *user_data, const uint8_t *bytes, size_t size) {
    run_state *s = (run_state *)user_data;
    const uint8_t *stop;
    size_t room;
    FUZZ_CHECK(s->h2.outcome == HOTELI_H2_OPEN && s->h2.status >= 200 && size > 0);
    stop = (const uint8_t *)memchr(bytes, '!', size);
    if (stop != NULL) size = (size_t)(stop - bytes);
    // Long content is zeros.
    room = s->heard_size < 512 ? 512 - s->heard_size : 0;
    s->heard = mix(s->heard, bytes, size < room ? size : room);
    s->heard_size += size;
    return stop == NULL;
}

static void request(run_state *s, size_t size, bool large) {
    bool usable = hoteli_h2_usable(&s->h2), made;
    hoteli_h2_parts parts;
    memset(&parts, 0, sizeof parts);
    parts.head = large_head;
    parts.head_size = large ? LARGE_HEAD : SMALL_HEAD;
    parts.body = body;
    parts.body_size = size;
    parts.field_fn = on_field;
    parts.data_fn = on_data;
    parts.user_data = s;
    made = hoteli_h2_request(&s->h2, &parts);
    FUZZ_CHECK(made == (usable && (!large || s->out_capacity >= LARGE_HEAD + 1024 + 18)));
    if (!made) return;
    FUZZ_CHECK(s->h2.outcome == HOTELI_H2_OPEN && !hoteli_h2_usable(&s->h2));
    s->requests++;
    s->head_size = parts.head_size;
    s->body_size = size;
}

/* ---- What is sent --------------------------------------------------------------------------- */

static void read_data(run_state *s, const uint8_t *at, size_t size, bool ends) {
    FUZZ_CHECK(size > 0 && memcmp(at, body + s->body_seen, size) == 0);
    s->body_seen += size;
    FUZZ_CHECK(ends == (s->body_seen == s->body_size));
    s->ended = ends;
    s->window -= (int64_t)size;
    s->stream_window -= (int64_t)size;
    FUZZ_CHECK(s->window >= 0 && s->stream_window >= 0);
}

static void read_head(run_state *s, unsigned type, unsigned flags, uint32_t id, const uint8_t *at,
                      size_t size) {
    if (type == HOTELI_H2_HEADERS) {
        FUZZ_CHECK(id == (s->stream == 0 ? 1 : s->stream + 2));
        FUZZ_CHECK(((flags & 1) != 0) == (s->body_size == 0));
        s->stream = id;
        s->head_seen = s->body_seen = 0;
        s->ended = s->body_size == 0;
        s->reset = false;
        s->stream_window = s->peer_window;
        if (size > 0 && at[0] == 0x20) at++, size--; // the change of the table
    }
    FUZZ_CHECK(size <= s->head_size - s->head_seen);
    FUZZ_CHECK(memcmp(at, large_head + s->head_seen, size) == 0);
    s->head_seen += size;
    s->in_head = (flags & 4) == 0;
    FUZZ_CHECK(s->in_head || s->head_seen == s->head_size);
}

static void read_frame(run_state *s, const uint8_t *at, size_t size) {
    unsigned type = at[3], flags = at[4];
    uint32_t id = number(at + 5);
    at += 9;
    FUZZ_CHECK(!s->gone && s->in_head == (type == HOTELI_H2_CONTINUATION));
    FUZZ_CHECK(size <= s->peer_frame || (type != HOTELI_H2_DATA && size <= 16384));
    switch (type) {
    case HOTELI_H2_DATA:
        FUZZ_CHECK(id == s->stream && !s->ended && !s->reset && !s->h2.broken);
        read_data(s, at, size, (flags & 1) != 0);
        break;
    case HOTELI_H2_HEADERS:
    case HOTELI_H2_CONTINUATION:
        read_head(s, type, flags, id, at, size);
        break;
    case HOTELI_H2_SETTINGS:
        FUZZ_CHECK(id == 0 && (flags == 1 ? size == 0 : size == 12 && s->num_read == 24));
        s->settings_acks += flags;
        break;
    case HOTELI_H2_PING:
        FUZZ_CHECK(id == 0 && size == 8 && flags == 1);
        s->ping_acks++;
        break;
    case HOTELI_H2_GOAWAY:
        FUZZ_CHECK(id == 0 && size == 8 && s->h2.broken && number(at) == 0);
        s->gone = true;
        break;
    case HOTELI_H2_RST_STREAM:
        FUZZ_CHECK(id == s->stream && size == 4 && !s->reset);
        s->reset = true;
        break;
    default:
        FUZZ_CHECK(type == HOTELI_H2_WINDOW_UPDATE && size == 4 && number(at) > 0);
        FUZZ_CHECK(id == 0 || (id == s->stream && !s->reset));
        if (id == 0) s->granted += number(at);
        FUZZ_CHECK(s->granted <= s->data_fed);
        break;
    }
    FUZZ_CHECK(s->settings_acks <= s->settings && s->ping_acks <= s->pings);
}

/* Reads what was staged since the last time; it is complete frames always. */
static size_t look(run_state *s, const uint8_t **bytes) {
    size_t size = hoteli_h2_output(&s->h2, bytes);
    size_t i = (size_t)(s->num_read - s->num_sent);
    FUZZ_CHECK(s->h2.out_end <= s->out_capacity && i <= size);
    FUZZ_CHECK(*bytes >= s->out && *bytes + size <= s->out + s->out_capacity);
    if (s->num_read == 0) {
        FUZZ_CHECK(size >= 24 && memcmp(*bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) == 0);
        s->num_read = i = 24;
    }
    while (i < size) {
        size_t payload = number(*bytes + i) >> 8;
        FUZZ_CHECK(size - i >= 9 && size - i - 9 >= payload);
        s->sent = mix(s->sent, *bytes + i, 9 + (payload < 64 ? payload : 0));
        read_frame(s, *bytes + i, payload);
        i += 9 + payload;
        s->num_read += 9 + payload;
    }
    return size;
}

static void drain(run_state *s, size_t most) {
    const uint8_t *bytes;
    size_t size;
    while (most > 0 && (size = look(s, &bytes)) > 0) {
        if (size > most) size = most;
        s->num_sent += size;
        most -= size;
        hoteli_h2_sent(&s->h2, size);
    }
}

/* ---- What is fed ---------------------------------------------------------------------------- */

static void account_unit(run_state *s) {
    uint32_t value = number(s->unit + 2), id = number(s->frame + 5) & 0x7fffffff;
    if (s->frame[3] == HOTELI_H2_SETTINGS && s->unit[0] == 0 && s->unit[1] == 4) {
        s->stream_window += (int64_t)value - (int64_t)s->peer_window;
        s->peer_window = value;
    } else if (s->frame[3] == HOTELI_H2_SETTINGS && s->unit[0] == 0 && s->unit[1] == 5) {
        s->peer_frame = value;
    } else if (s->frame[3] == HOTELI_H2_WINDOW_UPDATE) {
        value = number(s->unit) & 0x7fffffff;
        if (id == 0)
            s->window += value;
        else if (id == s->stream)
            s->stream_window += value;
    }
}

/* Some bytes of the server's, in the second set of books; returns how many. */
static size_t account(run_state *s, const uint8_t *bytes, size_t count) {
    uint8_t byte = *bytes;
    unsigned size;
    if (s->frame_size == 9 && s->frame[3] != HOTELI_H2_SETTINGS &&
        s->frame[3] != HOTELI_H2_WINDOW_UPDATE) {
        if (count > s->left) count = s->left;
        s->left -= (uint32_t)count;
    } else if (s->frame_size < 9) {
        s->frame[s->frame_size++] = byte;
        if (s->frame_size < 9) return 1;
        count = 1;
        s->left = number(s->frame) >> 8;
        s->at = 0;
        if (s->frame[3] == HOTELI_H2_DATA) s->data_fed += s->left;
    } else {
        size = s->frame[3] == HOTELI_H2_SETTINGS ? 6 : 4;
        count = 1;
        s->unit[s->at % size] = byte;
        s->left--;
        if (++s->at % size == 0) account_unit(s);
    }
    if (s->left > 0) return count;
    s->frame_size = 0;
    if (s->frame[4] & 1) return count;
    s->pings += s->frame[3] == HOTELI_H2_PING;
    s->settings += s->frame[3] == HOTELI_H2_SETTINGS;
    return count;
}

static void check_state(const run_state *s, int before) {
    const hoteli_h2 *c = &s->h2;
    FUZZ_CHECK(before == HOTELI_H2_OPEN || c->outcome == before);
    FUZZ_CHECK(c->outcome == HOTELI_H2_OPEN || !c->active);
    FUZZ_CHECK((c->reason != NULL) == (c->outcome > HOTELI_H2_DONE));
    FUZZ_CHECK(c->outcome != HOTELI_H2_DONE || (c->status >= 200 && c->status <= 999));
    FUZZ_CHECK(!c->by_us || c->outcome == HOTELI_H2_RESET);
    FUZZ_CHECK(c->outcome != HOTELI_H2_BROKEN || c->broken);
    FUZZ_CHECK(c->outcome != HOTELI_H2_REFUSED || c->leaving);
    FUZZ_CHECK(!(c->broken && c->active));
    FUZZ_CHECK(c->leave_words_size <= sizeof c->leave_words);
    FUZZ_CHECK(hoteli_h2_trouble(c) != NULL);
    FUZZ_CHECK(!hoteli_h2_usable(c) || (!c->broken && !c->leaving));
}

static void feed(run_state *s, const uint8_t *bytes, size_t size) {
    size_t i, step = s->step == 0 ? size : size <= 264 ? s->step : s->step * 200;
    uint64_t heard;
    // What was staged before must not be held against what comes now.
    const uint8_t *unused;
    (void)look(s, &unused);
    for (i = 0; i < size; i += step) {
        size_t n = size - i < step ? size - i : step, k;
        int before = s->h2.outcome;
        bool broken = s->h2.broken;
        heard = s->heard;
        FUZZ_CHECK(hoteli_h2_feed(&s->h2, bytes + i, n, s->now_ms) == s->h2.outcome);
        check_state(s, s->requests > 0 ? before : s->h2.outcome);
        FUZZ_CHECK(!broken || (s->h2.broken && s->heard == heard));
        for (k = 0; k < n;) k += account(s, bytes + i + k, n - k);
    }
}

/* ---- The script ------------------------------------------------------------------------------ */

static void frame(run_state *s, const uint8_t **at, const uint8_t *end, bool zeros, int times) {
    static const uint8_t nothing[255 * 64] = {0};
    uint8_t type = fuzz_byte(at, end), flags = fuzz_byte(at, end), id = fuzz_byte(at, end);
    size_t size = fuzz_byte(at, end);
    const uint8_t *payload = *at;
    uint8_t bytes[9 + 255] = {0};
    if (zeros) {
        size *= 64;
    } else {
        size = HOTELI_MIN(size, (size_t)(end - *at));
        *at += size;
    }
    bytes[1] = (uint8_t)(size >> 8);
    bytes[2] = (uint8_t)size;
    bytes[3] = type;
    bytes[4] = flags;
    bytes[8] = id;
    if (!zeros && size > 0) memcpy(bytes + 9, payload, size);
    for (times = zeros && times > 5 ? 5 : times; times > 0; times--) {
        feed(s, bytes, zeros ? 9 : 9 + size);
        if (zeros && size > 0) feed(s, nothing, size);
    }
}

static void play(run_state *s, const uint8_t *at, const uint8_t *end) {
    int steps, times = 1;
    for (steps = 0; at != end && steps < MAX_STEPS; steps++) {
        uint8_t op = fuzz_byte(&at, end), size;
        int before = s->h2.outcome, again = 1;
        switch (op) {
        case 'r':
        case 'R':
            size = fuzz_byte(&at, end);
            request(s, (size_t)size * size, op == 'R');
            break;
        case 'f':
        case 'z':
            frame(s, &at, end, op == 'z', times);
            break;
        case '*':
            again = fuzz_byte(&at, end) % 32;
            break;
        case 'v':
            s->h2.vain = HOTELI_H2_MAX_VAIN - 4;
            break;
        case 'b':
            size = fuzz_byte(&at, end);
            if (size > end - at) size = (uint8_t)(end - at);
            feed(s, at, size);
            at += size;
            break;
        case 'd':
            drain(s, SIZE_MAX);
            break;
        case 't':
            drain(s, (size_t)fuzz_byte(&at, end) * 8);
            break;
        case 'c':
            hoteli_h2_cancel(&s->h2);
            FUZZ_CHECK(!s->h2.active);
            break;
        case 'x':
            (void)hoteli_h2_finish(&s->h2);
            FUZZ_CHECK(!s->h2.active && !hoteli_h2_usable(&s->h2));
            break;
        case 's':
            s->now_ms += 500;
            break;
        default:
            break;
        }
        if (op != 'r' && op != 'R') check_state(s, s->requests > 0 ? before : s->h2.outcome);
        times = again;
    }
}

static void run_script(run_state *s, const uint8_t *data, size_t size, size_t step) {
    uint8_t how = data[0];
    size_t block_capacity = (size_t)64 << (how & 7);
    memset((uint8_t *)s + sizeof s->h2, 0, sizeof *s - sizeof s->h2);
    s->step = step;
    s->out_capacity = 2048 + (size_t)(how >> 3) * 1024;
    s->block = (uint8_t *)fuzz_alloc(block_capacity);
    s->out = (uint8_t *)fuzz_alloc(s->out_capacity);
    s->window = s->peer_window = 65535;
    s->peer_frame = 16384;
    hoteli_h2_start(&s->h2, s->block, block_capacity, s->out, s->out_capacity);
    play(s, data + 1, data + size);
    drain(s, SIZE_MAX);
    // What is owed was answered, unless the connection was given up.
    FUZZ_CHECK(s->h2.broken || (s->ping_acks == s->pings && s->settings_acks == s->settings));
    FUZZ_CHECK(s->num_read == s->num_sent && s->h2.out_end == 0);
    free(s->block);
    free(s->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static run_state whole, other;
    size_t i;
    if (size < 2) return 0;
    if (large_head[1] == 0) {
        for (i = 0; i < MAX_BODY; i++) body[i] = (uint8_t)(i * 7 + i / 251);
        for (i = 0; i < LARGE_HEAD; i++) large_head[i] = (uint8_t)(0x80 | (i % 61 + 1));
    }
    run_script(&whole, data, size, 0);
    run_script(&other, data, size, 1 + data[size - 1] % 8u);
    FUZZ_CHECK(whole.h2.outcome == other.h2.outcome && whole.h2.code == other.h2.code);
    FUZZ_CHECK(whole.h2.reason == other.h2.reason && whole.h2.status == other.h2.status);
    FUZZ_CHECK(whole.h2.broken == other.h2.broken && whole.h2.leaving == other.h2.leaving);
    FUZZ_CHECK(whole.num_sent == other.num_sent && whole.sent == other.sent);
    FUZZ_CHECK(whole.heard == other.heard && whole.heard_size == other.heard_size);
    FUZZ_CHECK(whole.requests == other.requests);
    return 0;
}
