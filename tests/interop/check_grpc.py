# SPDX-License-Identifier: MIT
"""Spans (deliver.c, random_spans.c) over gRPC to the receivers and proxies of grpc_peers.py."""

import collections
import os
import shutil
import signal
import time

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import check_model
import check_random
import check_recovery
import grpc_peers
import harness
import model
import otlp

NEEDS_COLLECTOR = False  # as a whole: its cases are skipped one by one

OK = "0"
ROUND = 2000  # spans made before a flush: what the queue holds by default
BATCH = 50
SERVERS = ("collector", "c_core", "grpc_js", "grpc_java", "tonic", "strict_h2")


class Client(check_recovery.Program):
    """deliver over gRPC; the SDK's exporter instead if the person who looks for a fault asks."""

    ours = os.environ.get("INTEROP_CLIENT") != "sdk"
    if not ours:
        program = [grpc_peers.PYTHON, grpc_peers.SERVERS / "send.py"]

    def __init__(self, name, endpoint, certificates, *options, batch=BATCH, **settings):
        super().__init__(
            name,
            None,
            *options,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificates.ca),
            OTEL_EXPORTER_OTLP_TIMEOUT="30000",
            OTEL_BSP_SCHEDULE_DELAY="20",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE=str(batch),
            **settings,
        )

    def deliver(self, count, rate=None):
        """Makes spans, at a rate or in rounds that are flushed; then the shutdown. Results."""
        results = []
        if rate:
            self.conversation.ask(f"pace {count} {rate}")
        else:
            for first in range(0, count, ROUND):
                self.spans(min(ROUND, count - first))
                results.append(self.flush(60000)[0])
        return results + [self.shutdown(60000)[0]]

    def check_books(self, tap, count, name, connections=1):
        """They balance, and there were so many connections at least."""
        if not self.ours:
            return
        books = self.books()
        tap.note("books: " + " ".join(f"{part}={number}" for part, number in books.items()))
        wanted = {"started": count, "ended": count, "accepted": count}
        check_recovery.check_books(tap, books, name, **wanted)
        made = books["connections"]
        tap.ok(made >= connections, f"{made} connections, not under {connections}: {name}")

    def can_encrypt(self):
        return not self.ours or self.conversation.ask("tls") == "yes"


def lacks(kind):
    """Why a receiver or proxy cannot be had; None if it can."""
    if kind == "collector":
        return os.environ.get("INTEROP_NO_COLLECTOR")
    if kind in ("nginx", "haproxy", "nghttpx"):
        return None if grpc_peers.find(kind) else f"{kind} is not here"
    tool = {"grpc_js": "node", "grpc_java": "java", "tonic": "tonic"}.get(kind)
    return os.environ.get(f"INTEROP_NO_{tool.upper()}") if tool else None


def numbers(receivers):
    """How often each numbered span arrived, and what else is wrong with the spans."""
    seen, ids, problems = collections.Counter(), set(), []
    for receiver in receivers:
        for message in receiver.messages():
            request = trace_service_pb2.ExportTraceServiceRequest.FromString(message)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        if span.name != "numbered" or span.attributes[0].key != "number":
                            problems.append(f"a span {span.name}")
                        seen[span.attributes[0].value.int_value] += 1
                        ids.add(span.span_id)
    if len(ids) != len(seen):
        problems.append(f"{len(seen)} spans have {len(ids)} IDs")
    return seen, problems


def check_arrived(tap, receivers, count, name, duplicates=0):
    """Each span from 0 to count once, or up to that many of them twice."""
    seen, problems = numbers(receivers)
    lost = [number for number in range(count) if number not in seen]
    twice = [number for number, times in seen.items() if times > 1]
    if lost:
        problems.append(f"{len(lost)} lost, first {lost[0]}")
    if len(twice) > duplicates or any(times > 2 for times in seen.values()):
        problems.append(f"{len(twice)} more than once, first {min(twice)}")
    if len(seen) > count:
        problems.append(f"{len(seen)} different ones")
    more = f", {len(twice)} twice" if twice else ""
    tap.none(problems[:10], f"{count} spans arrived{more}: {name}")


class Cases:
    """What the cases have in common. Each makes a receiver and perhaps a proxy of its own."""

    def __init__(self, tap):
        self.tap = tap
        self.certificates = grpc_peers.Certificates()
        self.spans = int(os.environ.get("INTEROP_GRPC_SPANS", "2000"))
        self.count = 0
        client = Client("grpc-can", "http://127.0.0.1:9", self.certificates)
        self.tls = client.can_encrypt()
        client.end()

    def client(self, label, receiver, *options, **settings):
        name = f"{label}-client"
        return Client(name, receiver.endpoint, self.certificates, *options, **settings)

    def skipped(self, name, tls, *kinds):
        reasons = [reason for reason in map(lacks, kinds) if reason]
        if tls and not self.tls:
            reasons.append("OpenSSL's headers are not here (Debian: libssl-dev)")
        if reasons:
            self.tap.skip(name, reasons[0])
        return bool(reasons)

    def label(self):
        self.count += 1
        return f"grpc-{self.count}"

    def receiver(self, kind, label, tls=False, **options):
        certificates = self.certificates if tls else None
        if kind == "collector":
            return grpc_peers.Collector(label, certificates, **options)
        return grpc_peers.Server(kind, label, certificates, **options)

    def case(self, name, kind, spans=None, tls=False, proxy=None, requests=None, batch=BATCH,
             rate=None, parallel=False, connections=1, **options):
        """options are the receiver's; the rest is the client's and the proxy's."""
        if self.skipped(name, tls, kind, *([proxy] if proxy else [])):
            return
        spans, label = spans or self.spans, self.label()
        receiver = self.receiver(kind, label, tls and not proxy, **options)
        front = receiver
        try:
            if proxy:
                certificates = self.certificates if tls else None
                front = grpc_peers.Proxy(proxy, f"{label}-proxy", receiver, certificates, requests)
            client = self.client(label, front, *(["parallel"] if parallel else []), batch=batch)
            began = time.monotonic()
            results = client.deliver(spans, rate)
            seconds = time.monotonic() - began
            self.tap.same(set(results), {OK}, f"flush and shutdown: {name}")
            client.check_books(self.tap, spans, name, connections)
            client.end()
        finally:
            if front is not receiver:
                front.stop()
            receiver.stop()
        self.tap.note(f"{name}: {spans} spans in {seconds:.2f} s")
        check_arrived(self.tap, [receiver], spans, name)
        if receiver.finds_faults:
            self.tap.none(receiver.problems()[:10], f"the server finds no fault: {name}")

    def restart(self, name, kind, how, **options):
        """Ended while the connection idles, and back on the same port before the next export."""
        if self.skipped(name, False, kind):
            return
        label = self.label()
        first = self.receiver(kind, f"{label}-first", **options)
        client = self.client(label, first)
        client.spans(100)
        flushed = [client.flush(20000)[0]]
        first.stop(how)
        second = self.receiver(kind, f"{label}-second", port=first.port, **options)
        client.spans(100)
        flushed += [client.flush(20000)[0], client.shutdown(5000)[0]]
        second.stop()
        self.tap.same(flushed, [OK, OK, OK], f"flush, flush and shutdown: {name}")
        client.check_books(self.tap, 200, name)
        client.end()
        check_arrived(self.tap, [first, second], 200, name)

    def under_way(self, name, kind, how, duplicates, **options):
        """Ended while requests are under way, and started again on the same port."""
        if self.skipped(name, False, kind):
            return
        label = self.label()
        first = self.receiver(kind, f"{label}-first", **options)
        client = self.client(label, first)
        client.conversation.say(f"pace {ROUND} {2 * ROUND}")
        harness.wait_until(lambda: any(first.messages()), 20, name)
        first.stop(how)
        arrived = len(numbers([first])[0])
        second = self.receiver(kind, f"{label}-second", port=first.port)
        client.conversation.hear()
        stopped = client.shutdown(20000)[0]
        second.stop()
        self.tap.same(stopped, OK, f"shutdown: {name}")
        client.check_books(self.tap, ROUND, name)
        client.end()
        self.tap.note(f"{name}: {arrived} of {ROUND} before the end of the first server")
        check_arrived(self.tap, [first, second], ROUND, name, duplicates)

    def random(self, kind, tls):
        """Spans with everything that a span can have equal what the model says."""
        name = f"random spans over gRPC to {kind}"
        if self.skipped(name, tls, kind):
            return
        receiver = self.receiver(kind, self.label(), tls)
        journal = harness.OUTPUT / f"grpc-{kind}.journal"
        result = harness.run(
            [harness.INTEROP / "random_spans", receiver.endpoint, journal, 1, self.spans]
            + [self.certificates.ca],
            seconds=300,
        )
        receiver.stop()
        self.tap.ok(result.returncode == 0, name, result.stdout, result.stderr)
        requests = [check_random.decode(message) for message in receiver.messages()]
        spans = [span for request in requests for span in otlp.spans_from_proto(request)]
        check_model.compare(self.tap, model.Model(journal), spans, name)


def check_servers(cases):
    for tls in (False, True):
        for kind in SERVERS:
            cases.case(f"{kind}, {'TLS' if tls else 'clear text'}", kind, tls=tls)


def check_proxies(cases):
    for tls in (False, True):
        for proxy in grpc_peers.PROXIES:
            cases.case(f"{proxy}, {'TLS' if tls else 'clear text'}", "c_core", tls=tls, proxy=proxy)
    for proxy in ("nginx", "envoy"):
        cases.case(f"{proxy}, GOAWAY every 3", "c_core", proxy=proxy, requests=3, connections=10)


def check_windows(cases):
    few = max(cases.spans // 10, 1)  # a byte takes a round trip
    for kind in ("strict_h2", "grpc_java", "tonic"):
        cases.case(f"{kind}, windows of 1 byte", kind, few, window=1)
    for window in (7, 1000, 65535):
        cases.case(f"strict_h2, windows of {window}", "strict_h2", batch=512, window=window)
    cases.case("c_core, windows of 64", "c_core", batch=512, window=64)
    cases.case("grpc_js, windows of 65535", "grpc_js", batch=512)  # it has no option for less
    cases.case("strict_h2, windows 1000 or 7", "strict_h2", window=1000, wobble=7)


def check_limits(cases):
    cases.case("strict_h2, header table size 0", "strict_h2", table=0)
    cases.case("c_core, header table size 0", "c_core", table=0)
    cases.case("grpc_java, small header list", "grpc_java", metadata=1024)
    for kind in ("c_core", "tonic", "strict_h2"):
        cases.case(f"{kind}, frames of 16384", kind, batch=512, frame=16384)
    cases.case("strict_h2, larger frames", "strict_h2", batch=512, frame=1 << 20)
    cases.case("strict_h2, PING every 5 ms", "strict_h2", ROUND, rate=4000, ping_ms=5)
    cases.case("strict_h2, four in flight", "strict_h2", parallel=True)
    cases.case("c_core, four in flight", "c_core", parallel=True)


def check_goaway(cases):
    for every in (1, 3):
        for how in ("after", "during", "refuse"):
            cases.case(
                f"strict_h2, GOAWAY {how} every {every}",
                "strict_h2",
                connections=cases.spans // BATCH // every,
                goaway=every,
                goaway_as=how,
            )
    aged = {"rate": ROUND, "connections": 3}
    for kind in ("c_core", "grpc_js", "tonic"):
        cases.case(f"{kind}, GOAWAY at an age of 20 ms", kind, ROUND, **aged, age_ms=20)
    age = {"server_parameters": {"max_connection_age": "20ms", "max_connection_age_grace": "5s"}}
    cases.case("collector, GOAWAY at an age of 20 ms", "collector", ROUND, **aged, keepalive=age)
    aged = {"rate": ROUND // 2, "connections": 2}  # it allows none that is shorter
    cases.case("grpc_java, GOAWAY at an age of 1 s", "grpc_java", ROUND, **aged, age_ms=1000)
    cases.case("strict_h2, REFUSED_STREAM", "strict_h2", refuse=max(cases.spans // BATCH // 2, 1))
    cases.case("strict_h2, resets amid a body", "strict_h2", connections=3, abort=2000, aborts=2)


def check_ends(cases):
    for kind in SERVERS:
        cases.restart(f"{kind} restarted", kind, signal.SIGTERM)
    cases.restart("c_core killed", "c_core", signal.SIGKILL)
    for kind in ("collector", "c_core"):
        cases.under_way(f"{kind} ended under way", kind, signal.SIGTERM, 0)
    # Killed between having written a request down and answering it, it gets it twice.
    cases.under_way("strict_h2 killed under way", "strict_h2", signal.SIGKILL, BATCH, window=20)


def check_pace(cases):
    """The budget: nothing of a million spans at 100,000 a second is lost."""
    name, spans, rate, queue = "the Collector at 100,000 spans a second", 1000000, 100000, 32768
    if cases.skipped(name, False, "collector"):
        return
    receiver = cases.receiver("collector", "grpc-pace")
    size = {"batch": 2048, "OTEL_BSP_MAX_QUEUE_SIZE": str(queue)}
    client = cases.client("grpc-pace", receiver, "greedy", **size)
    cases.tap.none(
        [line for line in client.log.read_text().splitlines() if "not possible" in line],
        f"a queue of {queue}: {name}",
    )
    began = time.monotonic()
    cases.tap.same(client.deliver(spans, rate), [OK], f"shutdown: {name}")
    seconds = time.monotonic() - began
    client.check_books(cases.tap, spans, name)
    client.end()
    receiver.stop()
    cases.tap.note(f"{name}: {spans} spans in {seconds:.2f} s")
    cases.tap.ok(seconds < 1.2 * spans / rate, f"{seconds:.2f} s: {name}")
    check_arrived(cases.tap, [receiver], spans, name)


def check(tap):
    if not shutil.which("openssl"):
        tap.skip("grpc", "openssl is not here")
        return
    cases = Cases(tap)
    check_servers(cases)
    check_proxies(cases)
    check_windows(cases)
    check_limits(cases)
    check_goaway(cases)
    check_ends(cases)
    cases.random("c_core", False)
    cases.random("tonic", True)
    if os.environ.get("INTEROP_FULL"):
        check_pace(cases)
