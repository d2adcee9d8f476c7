# SPDX-License-Identifier: MIT
"""TLS (deliver.c with OpenSSL): whom it trusts, what it shows of itself, what it complains about.

Every strategy (tls: the server shows a certificate, mtls: the client too, none) under every
condition, against `openssl s_server` over HTTP/1.1 and the Collector (Go's TLS) over both.
"""

import os
import re
import select
import shutil
import subprocess
import threading

import check_recovery
import grpc_peers
import harness

NEEDS_COLLECTOR = False  # as a whole: its cases are skipped one by one

OK = "0"
SPANS = 700  # more than a request
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
OTLP = "OTEL_EXPORTER_OTLP_"


class Files(grpc_peers.Certificates):
    """A server's certificate for each condition, and the client's."""

    def __init__(self):
        super().__init__()
        self.expired = self.issue("expired", NAMES, days=-1)
        self.elsewhere = self.issue(
            "elsewhere", "subjectAltName=DNS:elsewhere.example,DNS:www.elsewhere.example"
        )
        self.own = self.folder / "own.pem", self.folder / "own.key"
        self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2",
            *("-subj", "/CN=own", "-addext", NAMES, "-out", self.own[0], "-keyout", self.own[1]),
        )


class Condition:
    """What is special about it, and what the client then says; said: "" if it delivers."""

    def __init__(self, name, said="", server=None, trusts=None, **also):
        self.name = name
        self.said = said
        self.server = server  # its certificate and key
        self.trusts = trusts  # what the client does
        self.no_certificate = also.get("no_certificate", False)
        self.only_1_3 = also.get("only_1_3", False)
        self.no_alpn = also.get("no_alpn", False)


def conditions(files):
    unknown = r'issued by "/CN=interop CA", and not among those that OTEL_EXPORTER_OTLP_CERTIFICATE'
    good = (files.cert, files.key)
    return [
        Condition("good", server=good),
        Condition("expired", r"certificate expired on 20\d\d-.* UTC", files.expired),
        Condition(
            "wrong host",
            r'not for "localhost" but for "elsewhere\.example", "www\.elsewhere\.example"',
            files.elsewhere,
        ),
        Condition("self-signed", "self-signed, and not among those that OTEL_", files.own),
        Condition("self-signed, and trusted", "", files.own, files.own[0]),
        Condition("unknown CA", unknown, good, files.own[0]),
        Condition("missing client certificate", server=good, no_certificate=True),
        Condition("TLS 1.3 only", server=good, only_1_3=True),
        Condition("no ALPN", server=good, no_alpn=True),
    ]


# ---- servers ---------------------------------------------------------------------------------


class SServer:
    """`openssl s_server`: what a client sends comes out of it, what is put into it is sent."""

    def __init__(self, name, files, condition, mutual, alpn):
        self.log = harness.OUTPUT / f"{name}.log"
        self.bodies = []
        self.port = harness.free_port()
        self.endpoint = f"https://localhost:{self.port}"
        cert, key = condition.server
        command = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{self.port}"]
        command += ["-cert", cert, "-key", key]
        if mutual:
            command += ["-Verify", "1", "-verify_return_error", "-CAfile", files.ca]
        if condition.only_1_3:
            command += ["-tls1_3"]
        if not condition.no_alpn:
            command += ["-alpn", alpn]
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                env=harness.clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.stopping = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        # Not by a connection, which it would take for a client.
        harness.wait_until(self.listens, 20, f"s_server listens (see {self.log})")

    def listens(self):
        wanted = f":{self.port:04X}"
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(line.split()[1].endswith(wanted) for line in list(table)[1:])

    def serve(self):
        """Answers each request that is complete."""
        got = b""
        while not self.stopping:
            if not select.select([self.child.stdout], [], [], 0.05)[0]:
                continue
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                return
            got += piece
            while True:
                head = re.search(rb"POST .*?\r\n\r\n", got, re.DOTALL)
                size = head and re.search(rb"(?i)content-length: (\d+)", head.group())
                if not size or len(got) < head.end() + int(size.group(1)):
                    break
                end = head.end() + int(size.group(1))
                self.bodies.append(got[head.end() : end])
                got = got[end:]
                self.child.stdin.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self.child.stdin.flush()

    def count(self):
        return sum(body.count(b"numbered") for body in self.bodies)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.child.terminate()
        self.child.wait(20)
        self.child.stdin.close()
        self.child.stdout.close()


class Collector(harness.Collector):
    """Over HTTP or gRPC; without files in clear text."""

    def __init__(self, name, protocol, files=None, condition=None, mutual=False):
        self.protocol = protocol
        self.tls = {}
        if files:
            cert, key = condition.server
            self.tls = {"cert_file": str(cert), "key_file": str(key)}
            if mutual:
                self.tls["client_ca_file"] = str(files.ca)
            if condition.only_1_3:
                self.tls["min_version"] = "1.3"
        super().__init__(name)
        self.endpoint = f"{'https' if files else 'http'}://localhost:{self.port}"

    def configuration(self):
        configuration = super().configuration()
        receiver = {"endpoint": f"127.0.0.1:{self.port}"}
        if self.tls:
            receiver["tls"] = self.tls
        configuration["receivers"]["otlp"]["protocols"] = {self.protocol: receiver}
        configuration["exporters"].pop("debug")
        configuration["service"]["pipelines"]["traces"]["exporters"] = ["file"]
        return configuration

    def count(self):
        return self.path.read_text().count('"name":"numbered"') if self.path.exists() else 0


# ---- clients ---------------------------------------------------------------------------------


def settings(files, condition, strategy, protocol, endpoint):
    given = {
        "ENDPOINT": endpoint,
        "PROTOCOL": "grpc" if protocol == "grpc" else "http/protobuf",
        "CERTIFICATE": condition.trusts or files.ca,
        "TIMEOUT": 20000,
    }
    if strategy == "mtls":
        given |= {"CLIENT_CERTIFICATE": files.client_cert, "CLIENT_KEY": files.client_key}
        if condition.no_certificate:
            del given["CLIENT_CERTIFICATE"]
    return {OTLP + name: str(value) for name, value in given.items()}


def expected(condition, strategy, protocol):
    """What it says; "" if it delivers."""
    if strategy == "none":
        return ""
    if condition.no_certificate:
        return r"the server wants a client certificate: give one in OTEL_EXPORTER_OTLP_CLIENT_CERT"
    if condition.no_alpn and protocol == "grpc":
        return r"does not offer HTTP/2 there \(ALPN\), which gRPC needs"
    return condition.said


class Cases:
    def __init__(self, tap):
        self.tap = tap
        self.files = Files()
        self.no_collector = os.environ.get("INTEROP_NO_COLLECTOR")
        self.count = 0

    def server(self, kind, protocol, label, condition, strategy):
        mutual = strategy == "mtls" or condition.no_certificate
        if strategy == "none":
            return Collector(label, protocol)
        if kind == "s_server":
            alpn = "h2" if protocol == "grpc" else "http/1.1"
            return SServer(label, self.files, condition, mutual, alpn)
        return Collector(label, protocol, self.files, condition, mutual)

    def case(self, strategy, condition, kind, protocol):
        name = f"{strategy}, {condition.name}: {protocol} to {kind}"
        if kind == "collector" and self.no_collector:
            self.tap.skip(name, self.no_collector)
            return
        self.count += 1
        label = f"tls-{self.count}"
        server = self.server(kind, protocol, label, condition, strategy)
        given = settings(self.files, condition, strategy, protocol, server.endpoint)
        said = expected(condition, strategy, protocol)
        try:
            if strategy == "mtls" and condition.no_certificate:
                self.refused(name, given)
            elif said:
                self.fails(name, label, given, said)
            else:
                self.delivers(name, label, given)
        finally:
            server.stop()
        self.tap.same(server.count(), 0 if said else SPANS, f"OT-10 what arrived: {name}")

    def delivers(self, name, label, given):
        client = check_recovery.Program(f"{label}-client", **given)
        client.spans(SPANS)
        self.tap.same(client.flush(30000)[0], OK, f"OT-10 delivered: {name}")
        books = client.books()
        wanted = {"started": SPANS, "ended": SPANS, "accepted": SPANS}
        check_recovery.check_books(self.tap, books, name, **wanted)
        client.end()

    def fails(self, name, label, given, said):
        """In less time than a second attempt needs: one message says why."""
        client = check_recovery.Program(f"{label}-client", **given | {OTLP + "TIMEOUT": "450"})
        client.spans(1)
        client.flush(5000)
        books = client.books()
        client.end()
        log = client.log.read_text()
        self.tap.same((books["accepted"], books["failed"]), (0, 1), f"OT-10 fails: {name}")
        self.tap.ok(re.search(said, log), f"OT-10 says why: {name}", said, log)

    def refused(self, name, given):
        """A key without its certificate: hotel_init says so."""
        result = harness.run([harness.INTEROP / "deliver"], **given)
        said = "CLIENT_KEY .*: it needs a certificate, which is not given; this destination is not"
        self.tap.same(result.returncode, 2, f"OX-05 hotel_init fails: {name}")
        self.tap.ok(re.search(said, result.stderr), f"OX-05 says why: {name}", result.stderr)

    def clear(self, protocol):
        """https to a server that speaks clear text."""
        name = f"tls: {protocol} to a collector in clear text"
        if self.no_collector:
            self.tap.skip(name, self.no_collector)
            return
        server = Collector(f"tls-clear-{protocol}", protocol)
        good = conditions(self.files)[0]
        endpoint = server.endpoint.replace("http:", "https:")
        given = settings(self.files, good, "tls", protocol, endpoint)
        said = "the server does not speak TLS there: it answers in clear text"
        if protocol == "grpc":  # which closes, with its settings or without
            said += "|the server closed"
        try:
            self.fails(name, f"tls-clear-{protocol}", given, said)
        finally:
            server.stop()

    def reverse(self, protocol):
        """http to a server that speaks TLS."""
        name = f"none: {protocol} to a collector with TLS"
        if self.no_collector:
            self.tap.skip(name, self.no_collector)
            return
        good = conditions(self.files)[0]
        server = Collector(f"tls-reverse-{protocol}", protocol, self.files, good)
        endpoint = server.endpoint.replace("https:", "http:")
        given = settings(self.files, good, "none", protocol, endpoint)
        said = "HTTP request to an HTTPS server"
        if protocol == "grpc":
            said = r"closed without a word of HTTP/2: does it want TLS \(https\)\?|speaks TLS"
        try:
            self.fails(name, f"tls-reverse-{protocol}", given, said)
        finally:
            server.stop()


def check(tap):
    if not shutil.which("openssl"):
        tap.skip("tls", "openssl is not here")
        return
    probe = check_recovery.Program("tls-probe", 1)
    has_tls = probe.conversation.ask("tls") == "yes"
    probe.end()
    if not has_tls:
        tap.skip("tls", "deliver was built without OpenSSL (Debian: libssl-dev)")
        return
    cases = Cases(tap)
    for condition in conditions(cases.files):
        for strategy in ("tls", "mtls"):
            cases.case(strategy, condition, "s_server", "http")
            if condition.no_alpn:  # which the Collector cannot do without
                cases.case(strategy, condition, "s_server", "grpc")
                continue
            cases.case(strategy, condition, "collector", "http")
            cases.case(strategy, condition, "collector", "grpc")
        for protocol in ("http", "grpc"):
            cases.case("none", condition, "collector", protocol)
    for protocol in ("http", "grpc"):
        cases.clear(protocol)
        cases.reverse(protocol)
