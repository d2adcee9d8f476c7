# SPDX-License-Identifier: MIT
"""An OTLP trace receiver on the HTTP/2 of the package h2, which forgives nothing and can be told to
be awkward: appends each request, after its length, to a file. Arguments are NAME=VALUE;
grpc_peers.py lists them. What is wrong with a client is a line "problem ..."."""

import asyncio
import gzip
import signal
import ssl
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame

PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CODES = h2.settings.SettingCodes
PING_SECONDS = 2


def complain(text):
    print(f"problem {text}", flush=True)


class Server:
    """What the connections have in common."""

    def __init__(self, given):
        self.window = int(given.get("window", 65535))
        self.frame = int(given.get("frame", 16384))
        self.table = int(given.get("table", 4096))
        self.goaway = int(given.get("goaway", 0))
        self.goaway_as = given.get("goaway_as", "after")
        self.refuse = int(given.get("refuse", 0))
        self.wobble = int(given.get("wobble", 0))
        self.abort = int(given.get("abort", 0))
        self.aborts = int(given.get("aborts", 0))
        self.ping = float(given.get("ping_ms", 0)) / 1000
        self.requests = 0
        self.record = open(given["record"], "ab", buffering=0)

    def append(self, message):
        self.record.write(len(message).to_bytes(4, "big") + message)


class Stream:
    def __init__(self, headers):
        self.headers = dict(headers)
        self.body = bytearray()


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.streams = {}
        self.opened = 0
        self.answered = 0
        self.last = 0  # the newest stream that is, or will be, answered
        self.leaving = False
        self.received = 0
        self.aborted = False
        self.pinged = None

    def connection_made(self, transport):
        self.transport = transport
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        # From the start: h2 reads on under the old limit behind an acknowledgement.
        self.h2.max_inbound_frame_size = self.server.frame
        self.h2.initiate_connection()
        # As a change h2 enforces them from the client's acknowledgement on, as it should.
        self.h2.update_settings(
            {
                CODES.INITIAL_WINDOW_SIZE: self.server.window,
                CODES.MAX_FRAME_SIZE: self.server.frame,
                CODES.HEADER_TABLE_SIZE: self.server.table,
            }
        )
        self.send()
        if self.server.ping:
            self.send_ping()

    def connection_lost(self, error):
        self.transport = None
        for stream_id in self.streams:
            if not self.aborted:
                complain(f"the client closed while stream {stream_id} was open")

    def send(self):
        data = self.h2.data_to_send()
        if data and self.transport:
            self.transport.write(data)

    def send_ping(self):
        if self.transport is None or self.leaving:
            return
        loop = asyncio.get_running_loop()
        if self.pinged is None:
            self.pinged = loop.time()
            self.h2.ping(b"are you?")
            self.send()
        elif loop.time() - self.pinged > PING_SECONDS:
            complain("PING was not answered")
            return
        loop.call_later(self.server.ping, self.send_ping)

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            complain(f"{type(error).__name__}: {error}")
            self.send()
            self.transport.close()
            return
        for event in events:
            self.handle(event)
            if self.transport is None or self.transport.is_closing():
                return
        self.send()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.on_request(event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.on_data(event)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self.streams:
                self.answer(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            if self.streams.pop(event.stream_id, None):
                complain(f"stream {event.stream_id} was reset with {event.error_code}")
        elif isinstance(event, h2.events.PingAckReceived):
            self.pinged = None
        elif isinstance(event, h2.events.ConnectionTerminated):
            if event.error_code != h2.errors.ErrorCodes.NO_ERROR:
                complain(f"GOAWAY with {event.error_code}: {event.additional_data}")
            self.transport.close()

    def on_request(self, stream_id, headers):
        if self.leaving:
            return
        self.opened += 1
        self.server.requests += 1
        how, every = self.server.goaway_as, self.server.goaway
        if every and how == "refuse" and self.opened > every:
            self.send_goaway()
            asyncio.get_running_loop().call_later(0.1, self.transport.close)
            return
        if self.server.refuse and self.server.requests % self.server.refuse == 0:
            self.h2.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        self.last = stream_id
        self.streams[stream_id] = Stream(headers)
        if every and how == "during" and self.opened == every:
            self.send_goaway()

    def send_goaway(self):
        """Behind the back of h2, which would answer nothing more."""
        self.leaving = True
        self.send()
        self.transport.write(GoAwayFrame(last_stream_id=self.last).serialize())

    def on_data(self, event):
        stream = self.streams.get(event.stream_id)
        size = event.flow_controlled_length
        if stream is not None:
            if not stream.body and self.server.wobble:
                self.h2.update_settings({CODES.INITIAL_WINDOW_SIZE: self.wobbled()})
            stream.body += event.data
            if event.stream_ended is None:
                self.h2.increment_flow_control_window(size, event.stream_id)
        # What h2 has for the connection's window cannot be small: it starts at 65,535.
        if self.h2.inbound_flow_control_window <= 0:
            self.h2.increment_flow_control_window(self.server.window)
        self.received += size
        if self.server.aborts and self.received >= self.server.abort:
            self.server.aborts -= 1
            self.aborted = True
            self.transport.abort()

    def wobbled(self):
        """The stream window that every second request changes to."""
        now = self.h2.local_settings.initial_window_size
        return self.server.window if now != self.server.window else self.server.wobble

    def answer(self, stream_id):
        stream = self.streams.pop(stream_id)
        status, text = self.accept(stream)
        self.h2.send_headers(
            stream_id, [(":status", "200"), ("content-type", "application/grpc+proto")]
        )
        if status == 0:
            self.h2.send_data(stream_id, bytes(5))
        trailers = [("grpc-status", str(status)), ("grpc-message", text)]
        self.h2.send_headers(stream_id, trailers, end_stream=True)
        self.answered += 1
        if self.server.goaway_as == "after" and self.answered == self.server.goaway:
            self.send_goaway()
        self.send()
        if self.leaving:
            self.transport.close()

    def accept(self, stream):
        """Status and text; a message that is well framed is appended."""
        headers, body = stream.headers, bytes(stream.body)
        for name, value in (
            (":method", "POST"),
            (":path", PATH),
            ("te", "trailers"),
        ):
            if headers.get(name) != value:
                complain(f"{name} is {headers.get(name)}")
        if not headers.get("content-type", "").startswith("application/grpc"):
            complain(f"content-type is {headers.get('content-type')}")
        if len(body) < 5 or body[0] > 1 or int.from_bytes(body[1:5], "big") != len(body) - 5:
            complain(f"a message of {len(body)} bytes that starts with {body[:5].hex()}")
            return 13, "not one message"
        message = body[5:]
        if body[0] == 1:
            if headers.get("grpc-encoding") != "gzip":
                return 12, "packed as what?"
            message = gzip.decompress(message)
        self.server.append(message)
        return 0, ""


def tls_of(given):
    if "cert" not in given:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given["cert"], given["key"])
    context.set_alpn_protocols(["h2"])
    if "ca" in given:
        context.load_verify_locations(given["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main(given):
    loop = asyncio.get_running_loop()
    server = Server(given)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    listener = await loop.create_server(
        lambda: Connection(server), "127.0.0.1", int(given.get("port", 0)), ssl=tls_of(given)
    )
    print(f"port {listener.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(dict(argument.split("=", 1) for argument in sys.argv[1:])))
