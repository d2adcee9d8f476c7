# SPDX-License-Identifier: MIT
"""An OTLP trace receiver on gRPC's C core: appends each request, after its length, to a file.
Arguments are NAME=VALUE; grpc_peers.py lists them."""

import concurrent.futures
import signal
import sys
import threading

import grpc

CHANNEL_OPTIONS = {
    "window": "grpc.http2.lookahead_bytes",
    "frame": "grpc.http2.max_frame_size",
    "table": "grpc.http2.hpack_table_size.decoder",
    "age_ms": "grpc.max_connection_age_ms",
}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(given):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    record = open(given["record"], "ab", buffering=0)
    lock = threading.Lock()

    def export(message, context):
        with lock:
            record.write(len(message).to_bytes(4, "big") + message)
        return b""

    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    for name in CHANNEL_OPTIONS.keys() & given.keys():
        options.append((CHANNEL_OPTIONS[name], int(given[name])))
    if "window" in given or "frame" in given:
        options.append(("grpc.http2.bdp_probe", 0))  # it would widen them again
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=options)
    handler = grpc.unary_unary_rpc_method_handler(export)  # without serializers: bytes
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": handler}
            )
        ]
    )
    address = f"127.0.0.1:{given.get('port', 0)}"
    if "cert" in given:
        ca = read(given["ca"]) if "ca" in given else None
        pair = [(read(given["key"]), read(given["cert"]))]
        credentials = grpc.ssl_server_credentials(pair, ca, ca is not None)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(f"port {port}", flush=True)
    ended.wait()
    server.stop(5).wait()


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
