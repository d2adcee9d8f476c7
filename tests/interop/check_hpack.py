# SPDX-License-Identifier: MIT
"""Header blocks that cross between the library (hpack.c), nghttp2 and Python's hpack, both ways."""

import ctypes
import ctypes.util
import os
import random

import hpack

import harness

NEEDS_COLLECTOR = False

CONNECTIONS = 100
BLOCKS = 20  # of each connection
TABLE = 4096
KEPT = TABLE - 32  # what the library hands on of a field

NAMES = (
    ":status content-type grpc-status grpc-message grpc-status-details-bin grpc-encoding "
    "retry-after server date via cookie set-cookie authorization etag location x-request-id"
).split()
VALUES = "200 404 503 0 14 application/grpc identity gzip 120 envoy".split()


def random_text(dice, size, alphabet):
    return bytes(dice.choice(alphabet) for _ in range(size))


def random_size(dice):
    """Mostly short, now and then about as large as the table."""
    kind = dice.random()
    if kind < 0.9:
        return dice.randrange(24)
    return dice.randrange(500) if kind < 0.98 else dice.randrange(3900, 4300)


def random_fields(dice, known):
    """A list of (name, value, secret), some of which were sent before on this connection."""
    fields = []
    for _ in range(dice.randrange(1, 12)):
        if known and dice.random() < 0.4:
            name, value = dice.choice(known)
        else:
            name = dice.choice(NAMES).encode()
            if dice.random() < 0.3:
                name = random_text(dice, 1 + random_size(dice), b"abcdefghijklmnopqrstuvwxyz-_.")
            value = dice.choice(VALUES).encode()
            if dice.random() < 0.6:
                alphabet = range(256) if dice.random() < 0.3 else range(32, 127)
                value = random_text(dice, random_size(dice), alphabet)
        known.append((name, value))
        fields.append((name, value, dice.random() < 0.1))
    return fields


class Library:
    def __init__(self):
        self.conversation = harness.Conversation(
            [harness.INTEROP / "hpack"], harness.OUTPUT / "hpack.log"
        )

    def start(self):
        self.conversation.ask("new")

    def read(self, block):
        """The size of the table and the fields, or None for a block that is refused."""
        answer = self.conversation.ask("read " + block.hex())
        if answer == "refused":
            return None
        size, *fields = answer.split(" ")
        return int(size), [tuple(map(bytes.fromhex, field.split("="))) for field in fields]

    def write(self, fields):
        words = [
            f"{name.hex()}{'!' if secret else '='}{value.hex()}" for name, value, secret in fields
        ]
        return bytes.fromhex(self.conversation.ask("write " + " ".join(words)))


class Field(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.POINTER(ctypes.c_ubyte)),
        ("value", ctypes.POINTER(ctypes.c_ubyte)),
        ("name_size", ctypes.c_size_t),
        ("value_size", ctypes.c_size_t),
        ("flags", ctypes.c_uint8),
    ]


NEVER_INDEXED = 1
EMITTED = 2
FINAL = 1


def load_nghttp2():
    path = ctypes.util.find_library("nghttp2")
    if not path:
        return None
    library = ctypes.CDLL(path)
    for name in ("deflate_hd", "inflate_hd2"):
        getattr(library, "nghttp2_hd_" + name).restype = ctypes.c_ssize_t
    for name in ("deflate_bound", "deflate_get_dynamic_table_size"):
        getattr(library, "nghttp2_hd_" + name).restype = ctypes.c_size_t
    return library


class Deflater:
    """The encoder of nghttp2, which packs what becomes shorter by that."""

    def __init__(self, library):
        self.library = library
        self.handle = ctypes.c_void_p()
        library.nghttp2_hd_deflate_new(ctypes.byref(self.handle), ctypes.c_size_t(TABLE))

    def resize(self, size):
        self.library.nghttp2_hd_deflate_change_table_size(self.handle, ctypes.c_size_t(size))

    def encode(self, fields, _dice):
        array = (Field * len(fields))()
        for entry, (name, value, secret) in zip(array, fields):
            entry.name = (ctypes.c_ubyte * len(name)).from_buffer_copy(name)
            entry.value = (ctypes.c_ubyte * len(value)).from_buffer_copy(value)
            entry.name_size, entry.value_size = len(name), len(value)
            entry.flags = NEVER_INDEXED if secret else 0
        count = ctypes.c_size_t(len(fields))
        bound = self.library.nghttp2_hd_deflate_bound(self.handle, array, count)
        room = (ctypes.c_ubyte * bound)()
        size = self.library.nghttp2_hd_deflate_hd(
            self.handle, room, ctypes.c_size_t(bound), array, count
        )
        if size < 0:
            raise ValueError(f"nghttp2_hd_deflate_hd: {size}")
        return bytes(room[:size])

    def table_size(self):
        return self.library.nghttp2_hd_deflate_get_dynamic_table_size(self.handle)

    def end(self):
        self.library.nghttp2_hd_deflate_del(self.handle)


class Inflater:
    """The decoder of nghttp2."""

    def __init__(self, library):
        self.library = library
        self.handle = ctypes.c_void_p()
        library.nghttp2_hd_inflate_new(ctypes.byref(self.handle))

    def decode(self, block):
        """The fields as (name, value, never indexed), or None for a block that is refused."""
        fields = []
        data = (ctypes.c_ubyte * len(block)).from_buffer_copy(block)
        at = 0
        while True:
            entry, flags = Field(), ctypes.c_int()
            taken = self.library.nghttp2_hd_inflate_hd2(
                self.handle,
                ctypes.byref(entry),
                ctypes.byref(flags),
                ctypes.byref(data, at),
                ctypes.c_size_t(len(block) - at),
                1,
            )
            if taken < 0:
                return None
            at += taken
            if flags.value & EMITTED:
                name = ctypes.string_at(entry.name, entry.name_size)
                value = ctypes.string_at(entry.value, entry.value_size)
                fields.append((name, value, bool(entry.flags & NEVER_INDEXED)))
            if flags.value & FINAL:
                self.library.nghttp2_hd_inflate_end_headers(self.handle)
                return fields

    def end(self):
        self.library.nghttp2_hd_inflate_del(self.handle)


class PythonEncoder:
    """The encoder of Python's hpack, which packs all of a block or nothing."""

    def __init__(self):
        self.encoder = hpack.Encoder()

    def resize(self, size):
        # The same size again makes it forget to send what it was changed to before.
        if size != self.encoder.header_table_size:
            self.encoder.header_table_size = size

    def encode(self, fields, dice):
        return self.encoder.encode(fields, huffman=dice.random() < 0.5)

    def table_size(self):
        return None  # it does not tell

    def end(self):
        pass


def cut(name, value):
    name = name[:KEPT]
    return name, value[: KEPT - len(name)]


def check_reading(tap, library, who, connect, seed):
    """What `who` encodes, the library decodes; its table is as large."""
    dice = random.Random(seed)
    problems, fields_read, resized = [], 0, 0
    for connection in range(CONNECTIONS):
        encoder, known = connect(), []
        library.start()
        for number in range(BLOCKS):
            while dice.random() < 0.2:
                encoder.resize(dice.choice([0, 64, 256, TABLE, dice.randrange(TABLE)]))
                resized += 1
            fields = random_fields(dice, known)
            got = library.read(encoder.encode(fields, dice))
            want = [cut(name, value) for name, value, _ in fields]
            place = f"connection {connection}, block {number}"
            if got is None or got[1] != want:
                problems.append(f"{place}: got {got!r}, want {want!r}"[:2000])
                break
            if encoder.table_size() not in (None, got[0]):
                problems.append(f"{place}: table {got[0]}, want {encoder.table_size()}")
            fields_read += len(fields)
        encoder.end()
    name = f"{CONNECTIONS * BLOCKS} blocks of {who}, {fields_read} fields, {resized} table sizes"
    tap.none(problems, f"HPACK reads {name}")


def check_writing(tap, library, who, decode, seed):
    """What the library writes, `who` decodes, secrets as never indexed."""
    dice = random.Random(seed)
    problems, known = [], []
    for number in range(CONNECTIONS * BLOCKS):
        fields = random_fields(dice, known)
        del known[:-100]
        got = decode(library.write(fields))
        if got != fields:
            problems.append(f"block {number}: got {got!r}, want {fields!r}"[:2000])
    tap.none(problems, f"HPACK writes {CONNECTIONS * BLOCKS} blocks for {who}")


def check_damaged(tap, library, nghttp2, seed):
    """A block with a few other bytes is refused by both, or says the same to both."""
    dice = random.Random(seed)
    problems, refused, wanted = [], 0, CONNECTIONS * BLOCKS
    for number in range(wanted):
        deflater, inflater = Deflater(nghttp2), Inflater(nghttp2)
        block = bytearray(deflater.encode(random_fields(dice, []), dice))
        for _ in range(dice.randrange(1, 4)):
            block[dice.randrange(len(block))] = dice.randrange(256)
        library.start()
        got, want = library.read(bytes(block)), inflater.decode(bytes(block))
        if got is not None:
            got = got[1]
        if want is not None:
            want = [cut(name, value) for name, value, _ in want]
        refused += got is None
        if got != want:
            problems.append(f"block {number}, {block.hex()}: got {got!r}, want {want!r}"[:2000])
        deflater.end()
        inflater.end()
    tap.none(problems, f"HPACK and nghttp2 agree on {wanted} damaged blocks: {refused} refused")
    tap.ok(0 < refused < wanted, "of which some are refused, and some are not")


def python_decode(decoder, block):
    decoded = decoder.decode(block, raw=True)
    return [(name, value, not field.indexable) for field in decoded for name, value in [field]]


def check(tap):
    seed = int(os.environ.get("INTEROP_SEED", "1"))
    library = Library()
    decoder = hpack.Decoder()
    check_reading(tap, library, "Python's hpack", PythonEncoder, seed)
    check_writing(
        tap, library, "Python's hpack", lambda block: python_decode(decoder, block), seed
    )
    nghttp2 = load_nghttp2()
    if nghttp2 is None:
        tap.skip("HPACK with nghttp2", "libnghttp2 is not here (Debian: libnghttp2-14)")
    else:
        inflater = Inflater(nghttp2)
        check_reading(tap, library, "nghttp2", lambda: Deflater(nghttp2), seed)
        check_writing(tap, library, "nghttp2", inflater.decode, seed)
        inflater.end()
        check_damaged(tap, library, nghttp2, seed)
    tap.same(library.conversation.end(), 0, "hpack ends in order")
