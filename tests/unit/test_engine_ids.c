/*
 * SPDX-License-Identifier: MIT
 *
 * The IDs of the engine's own spans: SHA-256 against digests of an independent implementation and
 * those that FIPS 180 prints, the forms of UUIDs, and what the engine makes of them.
 */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include "guard.h"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *hex_of(const uint8_t *bytes, size_t size) {
    static char texts[4][65];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t i;
    for (i = 0; i < size; i++) (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    return text;
}

/* ---- SHA-256 -------------------------------------------------------------------------------- */

/* The digest of a text that is given in pieces of this size; wanted bytes of it. */
static const char *digest(const char *text, size_t size, size_t piece, size_t wanted) {
    hoteli_sha256 h;
    uint8_t out[32];
    size_t i;
    hoteli_sha256_start(&h);
    for (i = 0; i < size; i += piece)
        hoteli_sha256_add(&h, text + i, size - i < piece ? size - i : piece);
    hoteli_sha256_end(&h, out, wanted);
    return hex_of(out, wanted);
}

typedef struct printed_row {
    const char *text, *digest;
} printed_row;

static const printed_row printed[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
     "lmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

/* Byte i of a message of n bytes is 7 i + n. The sizes lie on both sides of where the padding takes
   a block more. */
typedef struct size_row {
    size_t size;
    const char *digest;
} size_row;

static const size_row sizes[] = {
    {0,
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1,
     "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"},
    {3,
     "6ab0dba1f4f1dfbb37b4f9eeb092c09fca4900ad32bdcd147d8dde35d6c87c35"},
    {54,
     "1ad616be707a2b269ecfe28bdea4a4284a4f78a221287d45b98004231f501c77"},
    {55,
     "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72"},
    {56,
     "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1"},
    {57,
     "903284efbf9100e8ba1614ec65eacacad125e03f857cae7acbf8b73b23e0fdfe"},
    {63,
     "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e"},
    {64,
     "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8"},
    {65,
     "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720"},
    {111,
     "b41ae5233b9ec35d8576a032034d2857b667a618c7038714d727d4dae3aa2525"},
    {119,
     "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e"},
    {120,
     "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d"},
    {127,
     "68f6ff710276900c0ffbbc57426f67e00c2e01f0750c7edc25ac06b8ce7a8095"},
    {128,
     "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707"},
    {129,
     "4e1556b2e9a50a3cc9478f3254727b01065f9ac5d2c3a8b4cd538ae7240bb87d"},
    {1000,
     "6b0df76627243d095b0c4400cb658b7e804dd03461cc03aee8fc8fe0bcada168"},
};

static void test_sha256(void) {
    char message[1000];
    char *many = (char *)malloc(1000000);
    size_t i, k;
    for (i = 0; i < COUNT(printed); i++) {
        is_str(digest(printed[i].text, strlen(printed[i].text), 1000, 32), printed[i].digest,
               "the digest of \"%s\"", printed[i].text);
    }
    for (i = 0; i < COUNT(sizes); i++) {
        size_t n = sizes[i].size;
        for (k = 0; k < n; k++) message[k] = (char)(7 * k + n);
        is_str(digest(message, n, 1000, 32), sizes[i].digest, "the digest of %u bytes",
               (unsigned)n);
        is_str(digest(message, n, 13, 32), sizes[i].digest, "of %u bytes in pieces", (unsigned)n);
        ok(strncmp(digest(message, n, 1, 8), sizes[i].digest, 16) == 0,
           "the first 8 bytes of the digest of %u", (unsigned)n);
    }
    if (many == NULL) abort();
    memset(many, 'a', 1000000);
    is_str(digest(many, 1000000, 4096, 32),
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
           "the digest of a million times a");
    free(many);
}

/* ---- UUIDs ---------------------------------------------------------------------------------- */

#define PLAIN "707d0855-80ab-4e1f-a156-f1c4546cbf52"
#define BARE "707d085580ab4e1fa156f1c4546cbf52"

static const char *const good[] = {
    PLAIN, BARE, "{" PLAIN "}", "urn:uuid:" PLAIN, "URN:UUID:" PLAIN,
    "707D0855-80AB-4E1F-A156-F1C4546CBF52", "707D085580AB4E1FA156F1C4546CBF52",
};

static const char *const bad[] = {
    "", "7", "707d0855-80ab-4e1f-a156-f1c4546cbf5", PLAIN "0", "{" PLAIN, PLAIN "}", "(" PLAIN ")",
    "707d0855-80ab-4e1f-a156-f1c4546cbf5g", "707d0855080ab04e1f0a1560f1c4546cbf52",
    "707d08558-0ab-4e1f-a156-f1c4546cbf52", "707d085580ab4e1fa156f1c4546cbf5", BARE "0",
    "707d085580ab4e1fa156f1c4546cbf5-", "urn:uuid:" BARE, "urn:uuie:" PLAIN, " " PLAIN,
    "{707d085580ab4e1fa156f1c4546cbf5201234}", "------------------------------------",
};

static void test_forms(void) {
    static const uint8_t zeros[16] = {0};
    hotel_span_context run;
    uint8_t id[8], one[16];
    size_t i;
    for (i = 0; i < COUNT(good); i++) {
        size_t size = strlen(good[i]);
        const char *tight = guard_copy(0, good[i], size);
        memset(one, 0xEE, sizeof one);
        ok(hoteli_uuid_read(tight, size, one), "\"%s\" is read", good[i]);
        is_str(hex_of(one, 16), BARE, "\"%s\": its bytes", good[i]);
        ok(hoteli_uuid_read(good[i], 0, one), "\"%s\" is read up to the NUL", good[i]);
        ok(hotel_engine_run(tight, size, &run), "\"%s\": a run", good[i]);
        is_str(hex_of(run.span_id, 8), "676fb74f6fdbc0ee", "\"%s\": the same run", good[i]);
    }
    for (i = 0; i < COUNT(bad); i++) {
        size_t size = strlen(bad[i]);
        const char *tight = size > 0 ? guard_copy(0, bad[i], size) : bad[i];
        memset((void *)&run, 0xEE, sizeof run);
        memset(id, 0xEE, sizeof id);
        ok(!hotel_engine_run(tight, size, &run), "\"%s\" is no run", bad[i]);
        ok(memcmp(run.trace_id, zeros, 16) == 0 && memcmp(run.span_id, zeros, 8) == 0 &&
               run.trace_flags == 0 && !run.is_remote,
           "\"%s\": zeros", bad[i]);
        ok(!hotel_engine_queued(tight, size, 0, id) && memcmp(id, zeros, 8) == 0,
           "\"%s\" is queued nowhere", bad[i]);
        memset(id, 0xEE, sizeof id);
        ok(!hotel_engine_step_run(bad[i], 0, 0, id) && memcmp(id, zeros, 8) == 0,
           "\"%s\" is no task", bad[i]);
        memset(id, 0xEE, sizeof id);
        ok(!hotel_engine_event(tight, size, PLAIN, 0, id) && memcmp(id, zeros, 8) == 0,
           "\"%s\" is no event", bad[i]);
        memset(id, 0xEE, sizeof id);
        ok(!hotel_engine_event(PLAIN, 0, tight, size, id) && memcmp(id, zeros, 8) == 0,
           "\"%s\" is no event's run", bad[i]);
    }
}

/* ---- The engine's IDs ----------------------------------------------------------------------- */

#define FIRST "00000000-0000-0000-0000-000000000001"

typedef struct attempt_row {
    const char *task;
    int32_t retry;
    const char *queued, *step_run; /* NULL: not known from elsewhere */
} attempt_row;

static const attempt_row attempts[] = {
    {PLAIN, 0, "85f51706b1138b6e", "4eb635c57e6bbb99"},
    {PLAIN, 1, NULL, "05e3029271786980"},
    {FIRST, 0, NULL, "b8be75019bc62555"},
    {PLAIN, 0x1020304, "0b4450c9fd845c4e", "b20629289e1b3c7f"},
    {PLAIN, INT32_MAX, "53740037cc49b116", "e2a678d985d0d826"},
};

static void test_engine(void) {
    hotel_span_context run;
    uint8_t id[8], zeros[8] = {0};
    size_t i;
    ok(hotel_engine_run(PLAIN, 0, &run), "a run");
    is_str(hex_of(run.trace_id, 16), "6e02807090546adb592d95d42105c695", "its trace");
    is_str(hex_of(run.span_id, 8), "676fb74f6fdbc0ee", "its span");
    is_int(run.trace_flags, HOTEL_FLAG_SAMPLED, "which is sampled");
    ok(run.is_remote && run.trace_state.index == 0, "elsewhere, and without tracestate");
    ok(hotel_engine_run(FIRST " and more", 36, &run), "a run with a size");
    is_str(hex_of(run.trace_id, 16), "da839ea45699105a337d3acd73b3e3ce", "its trace");
    is_str(hex_of(run.span_id, 8), "3c3e74038512aa83", "its span");
    for (i = 0; i < COUNT(attempts); i++) {
        const attempt_row *row = &attempts[i];
        ok(hotel_engine_queued(row->task, 0, row->retry, id), "attempt %d: queued",
           (int)row->retry);
        if (row->queued != NULL) is_str(hex_of(id, 8), row->queued, "its span");
        ok(hotel_engine_step_run(row->task, 36, row->retry, id), "attempt %d: the task",
           (int)row->retry);
        is_str(hex_of(id, 8), row->step_run, "its span");
    }
    ok(hotel_engine_event(FIRST, 0, PLAIN, 36, id), "an event");
    is_str(hex_of(id, 8), "8c0887c1530fb2fc", "its span");
    ok(!hotel_engine_queued(PLAIN, 0, -1, id) && memcmp(id, zeros, 8) == 0, "no negative retry");
    ok(!hotel_engine_step_run(PLAIN, 0, INT32_MIN, id), "nor a very negative one");
    ok(!hotel_engine_run(PLAIN, 0, NULL), "a run goes nowhere");
    ok(!hotel_engine_queued(PLAIN, 0, 0, NULL), "a queued span goes nowhere");
    ok(!hotel_engine_step_run(PLAIN, 0, 0, NULL), "a task's goes nowhere");
    ok(!hotel_engine_event(PLAIN, 0, PLAIN, 0, NULL), "an event's goes nowhere");
    ok(!hotel_engine_run(NULL, 0, &run) && !run.is_remote, "no ID is no run");
    ok(!hotel_engine_run(NULL, 36, &run), "whatever its size");
    ok(!hotel_engine_queued(NULL, 0, 0, id), "nor a task");
    ok(!hotel_engine_event(NULL, 0, PLAIN, 0, id), "nor an event");
    ok(!hotel_engine_event(PLAIN, 0, NULL, 0, id), "nor an event's run");
}

int main(void) {
    test_sha256();
    test_forms();
    test_engine();
    return done_testing();
}
