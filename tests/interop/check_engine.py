# SPDX-License-Identifier: MIT
"""Hatchet's engine: what C programs send arrives, in clear text and encrypted, and whatever the
engine does to a request costs no other span. engine.py runs it."""

import base64
import concurrent.futures
import os
import re
import signal
import socket
import threading
import time
import uuid

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import check_examples
import check_recovery
import engine
import grpc_peers
import harness
import model
import otlp

NEEDS_COLLECTOR = False

OK, TIMEOUT = check_recovery.OK, check_recovery.TIMEOUT
DAY_NS = 86400 * 10**9
MAX_SPANS = 1000  # of a request; the engine drops those behind
MAX_BYTES = 4 << 20  # of a request; the engine refuses it whole

ASPECTS = [
    ("IDs and parents", ("trace_id", "span_id", "parent_span_id")),
    ("names and kinds", ("name", "kind")),
    ("start times and durations", ("start", "end")),
    ("attributes", ("attributes",)),
    ("retry counts", ("retry_count",)),
    ("status", ("status",)),
    ("resource", ("resource",)),
    ("scope's name", ("scope",)),
]


def clear(engine_, **settings):
    """What a C program needs in its environment without TLS."""
    return {
        "HATCHET_CLIENT_TOKEN": engine_.token,
        "HATCHET_CLIENT_TLS_STRATEGY": "none",
        **settings,
    }


class Program(check_recovery.Program):
    """A running deliver that sends to Hatchet."""

    def task(self, run_id, count):
        """So many spans in a task; returns the trace's ID."""
        trace_id = self.conversation.ask(f"task {run_id}")
        self.spans(count)
        self.conversation.ask("done")
        return trace_id

    def large(self, size):
        self.conversation.ask(f"large {size}")

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")


def numbers(rows):
    """The numbers of deliver's spans, in order."""
    return sorted(
        int(row["spanAttributes"]["number"]) for row in rows if row["spanName"] == "numbered"
    )


# ---- the engine itself, asked by gRPC's own client ---------------------------------------------


def request_of(spans):
    request = trace_service_pb2.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "control"
    scope = resource.scope_spans.add()
    scope.scope.name = "control"
    for name, run_id in spans:
        span = scope.spans.add(
            trace_id=os.urandom(16), span_id=os.urandom(8), name=name, kind=3
        )
        span.start_time_unix_nano = time.time_ns()
        span.end_time_unix_nano = span.start_time_unix_nano + 1234567
        span.attributes.add(key="hatchet.step_run_id").value.string_value = str(run_id)
        span.attributes.add(key="answer").value.int_value = 42
    return request


def check_control(tap, hatchet, clear_engine):
    """What the other checks take for granted of this version of the engine."""
    run_id = uuid.uuid4()
    request = request_of([("control", run_id)])
    tap.same(clear_engine.export(request)[0], "OK", "the engine takes a span of gRPC's client")
    rows = hatchet.trace_of(run_id)
    got, want = engine.spans_of_rows(rows), otlp.spans_from_proto(request)
    tap.none(otlp.differences([engine.kept(span) for span in want], got), "and gives it back")

    code, _ = clear_engine.export(request_of([("good", uuid.uuid4()), ("bad", "not-a-uuid")]))
    tap.same(code, "INTERNAL", "it loses a request with an ID that is no UUID")
    _, answer = clear_engine.export(request_of([("many", run_id)] * (MAX_SPANS + 1)))
    tap.same(answer.partial_success.rejected_spans, 1, f"it takes {MAX_SPANS} spans of a request")
    code, _ = clear_engine.export(request_of([("x" * MAX_BYTES, run_id)]))
    tap.same(code, "RESOURCE_EXHAUSTED", f"it refuses requests over {MAX_BYTES} bytes")


# ---- the model and the examples ----------------------------------------------------------------


def storable(span):
    """Whether there is a partition for the day of the span's start."""
    return callable(span["start"]) or abs(span["start"] - time.time_ns()) < DAY_NS


def check_model(tap, clear_engine):
    journal = harness.OUTPUT / "engine-model.journal"
    result = harness.run([harness.INTEROP / "model", "hatchet", journal], **clear(clear_engine))
    tap.ok(result.returncode == 0, "model delivers all its spans to Hatchet", result.stderr)
    expected = model.Model(journal)
    expected.spans = {
        span_id: engine.kept(span) for span_id, span in expected.spans.items() if storable(span)
    }
    trace_ids = sorted({span["trace_id"] for span in expected.spans.values()})
    spans = engine.spans_of_rows(clear_engine.traces(trace_ids))
    tap.none(expected.compare_arrivals(spans), "each sampled span arrives once, in Hatchet")
    for what, fields in ASPECTS:
        tap.none(expected.compare(spans, fields), f"{what}, in Hatchet")


def check_programs(tap, hatchet, clear_engine):
    """`trigger | worker` of examples/, as the dashboard shows them."""
    settings = clear(clear_engine)
    trigger = harness.run([harness.BUILD / "examples" / "trigger"], **settings)
    worker = harness.run(
        [harness.BUILD / "examples" / "worker"], input=trigger.stdout, **settings
    )
    tap.ok(trigger.returncode == 0, "trigger succeeds, to Hatchet", trigger.stderr)
    tap.ok(worker.returncode == 0, "worker succeeds, to Hatchet", worker.stderr)

    trace_id = re.search(r"00-([0-9a-f]{32})-", trigger.stdout).group(1)
    rows = clear_engine.traces([trace_id])
    names = [row["spanName"] for row in rows]
    if not tap.same(sorted(names), sorted(check_examples.SPANS), "five spans, in Hatchet"):
        return
    spans = {span["name"]: span for span in engine.spans_of_rows(rows)}
    run = spans["hatchet.start_step_run"]["attributes"]
    for run_id in ("hatchet.step_run_id", "hatchet.workflow_run_id"):
        found = [row["spanName"] for row in hatchet.trace_of(run[run_id])]
        found = [name for name in found if name != engine.BEACON]
        tap.same(found, names, f"{run_id} leads to the trace")
    for name, (service, kind, parent, _, status, attributes) in check_examples.SPANS.items():
        want = {
            **spans[name],  # IDs and times: the model proves them
            "kind": engine.KINDS[kind],
            "parent_span_id": spans[parent]["span_id"] if parent else "",
            "status": (engine.STATUSES[status], ""),
            "attributes": engine.in_texts(attributes),
        }
        if name == "hatchet.start_step_run":
            want["parent_span_id"] = engine.workflow_run_span(run["hatchet.workflow_run_id"])
        problems = otlp.differences(want, spans[name])
        problems += otlp.differences(service, spans[name]["resource"]["service.name"], "service")
        tap.none(problems, f"{name}: service, kind, parent, status, attributes, in Hatchet")


# ---- what would lose more than itself ----------------------------------------------------------


def check_many(tap, hatchet, clear_engine):
    """A batch of over 1000 spans, though the program wants 8192 in a request."""
    run_id, count = uuid.uuid4(), 2500
    program = Program("engine-many", None, "greedy", **clear(clear_engine))
    program.task(run_id, count)
    tap.same(program.flush(20000)[0], OK, f"flush of {count} spans")
    check_recovery.check_books(
        tap, program.books(), f"{count} spans to Hatchet", accepted=count + 1, rejected=0
    )
    program.end()
    rows = hatchet.trace_of(run_id)
    tap.ok(numbers(rows) == list(range(count)), "each arrives once", f"{len(rows)} rows")


def check_large(tap, hatchet, clear_engine):
    """Payloads that together, or alone, are over the engine's 4 MiB, though the program wants to
    send 16 MiB in a request."""
    run_id = uuid.uuid4()
    program = Program("engine-large", None, "greedy", **clear(clear_engine))
    program.conversation.ask(f"task {run_id}")
    program.spans(1)
    for size in (MAX_BYTES - 100000, 3 << 20, 3 << 20, MAX_BYTES + 1):
        program.large(size)
    program.spans(1)
    program.conversation.ask("done")
    program.flush(20000)
    check_recovery.check_books(
        tap, program.books(), "a payload over 4 MiB", accepted=6, dropped_too_large=1, failed=0
    )
    program.end()
    rows = hatchet.trace_of(run_id)
    tap.same(numbers(rows), [0, 1, 2, 3, 5], "all other spans arrive, payloads up to 4 MiB too")
    sizes = [len(row["spanAttributes"].get("hatchet.payload", "")) for row in rows]
    tap.same(max(sizes, default=0), MAX_BYTES - 100000, "payloads arrive as they are")

    run_id = uuid.uuid4()
    program = Program("engine-payload", None, **clear(clear_engine))
    program.conversation.ask(f"task {run_id}")
    program.spans(1)
    program.large(MAX_BYTES + 1)
    program.conversation.ask("done")
    tap.same(program.flush(20000)[0], OK, "flush after a payload over what a span may hold")
    program.end()
    found = numbers(hatchet.trace_of(run_id))
    tap.same(found, [0, 1], "by default such a payload is left out, the span arrives")


def check_not_a_uuid(tap, clear_engine):
    """The engine would lose the whole request."""
    program = Program("engine-uuid", None, **clear(clear_engine))
    forms = ["not-a-uuid", str(uuid.uuid4()), "", "0" * 32 + " ", str(uuid.uuid4())[:-1] + "g"]
    trace_ids = [program.task(form, 2) for form in forms]
    tap.same(program.flush(20000)[0], OK, "flush of IDs that are no UUIDs")
    count = 3 * len(forms)
    check_recovery.check_books(tap, program.books(), "IDs that are no UUIDs", accepted=count)
    said = program.said()
    program.end()
    rows = clear_engine.traces(trace_ids)
    tap.same((len(rows), numbers(rows)), (count, list(range(2 * len(forms)))), "no span is lost")
    ids = {row["spanAttributes"].get("hatchet.step_run_id", "") for row in rows}
    want = {base64.b64encode(form.encode()).decode() for form in forms if form != forms[1]}
    want.add(forms[1])
    tap.same(ids, want, "what is not a UUID is sent as bytes")
    lines = [line for line in said.splitlines() if "UUID" in line]
    tap.same(len(lines), 3, "of the destination and of each member that is logged once")
    for key in ["hatchet.step_run_id", "hatchet.workflow_run_id"]:
        named = sum(f"{key} is not a UUID" in line and " or " not in line for line in lines)
        tap.same(named, 1, f"{key} is named")


# ---- refusals ----------------------------------------------------------------------------------


class Relay:
    """Between a program and the engine: counts the requests of HTTP/2 that go by."""

    def __init__(self, port):
        self.requests = 0
        self.server_port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source, target, counted):
        seen = b""
        frames = 24  # the preface goes first
        try:
            while data := source.recv(65536):
                if counted:
                    seen += data
                    while len(seen) >= frames + 9:
                        self.requests += seen[frames + 3] == 1  # HEADERS
                        frames += 9 + int.from_bytes(seen[frames : frames + 3], "big")
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.close()


def refused(name, to, **settings):
    """Three flushes of five spans each, over a relay. Returns the results, the number of requests,
    the books and what was logged."""
    relay = Relay(to.port)
    program = Program(
        name, None, **clear(to, HATCHET_CLIENT_HOST_PORT=f"localhost:{relay.port}", **settings)
    )
    results = []
    for _ in range(3):
        program.spans(5)
        results.append(program.flush(5000))
    books, said = program.books(), program.said()
    program.end()
    relay.stop()
    return results, relay.requests, books, said


def check_off(tap, hatchet):
    """SERVER_OBSERVABILITY_ENABLED is false, as it is by default."""
    off = engine.Engine(hatchet, "off", collector=False)
    code, _ = off.export(request_of([("control", uuid.uuid4())]))
    tap.same(code, "UNIMPLEMENTED", "the engine's collector is off")
    results, requests, books, said = refused("engine-is-off", off)
    off.stop()
    tap.same(requests, 1, "three batches make one request, then it is quiet")
    tap.ok(max(ms for _, ms in results) < 2000, "nothing waits meanwhile", results)
    check_recovery.check_books(tap, books, "the collector is off", failed=15, accepted=0)
    tap.same(
        said.count("SERVER_OBSERVABILITY_ENABLED"), 1, "the log says once what switches it on"
    )


def check_tokens(tap, hatchet, clear_engine):
    bad = clear_engine.token[:-8] + "AAAAAAAA"
    code, text = clear_engine.export(request_of([("control", uuid.uuid4())]), bad)
    tap.same((code, text), ("UNAUTHENTICATED", "invalid auth token"), "a token of another key")
    answers = refused("engine-bad", clear_engine, HATCHET_CLIENT_TOKEN=bad)
    check_refused(tap, "a bad token", *answers)

    run_id, token = uuid.uuid4(), clear_engine.mint()
    program = Program("engine-revoked", None, **clear(clear_engine, HATCHET_CLIENT_TOKEN=token))
    program.task(run_id, 3)
    tap.same(program.flush(5000)[0], OK, "flush before the token is revoked")
    hatchet.revoke(token)
    time.sleep(2 * engine.CACHE_SECONDS)
    program.spans(5)
    program.flush(5000)
    books, said = program.books(), program.said()
    program.end()
    check_recovery.check_books(tap, books, "a revoked token", accepted=4, failed=5)
    tap.ok("invalid auth token" in said, "the log has the engine's answer: a revoked token", said)
    tap.same(numbers(hatchet.trace_of(run_id)), [0, 1, 2], "what was sent before is there")


def check_refused(tap, what, results, requests, books, said):
    tap.same(requests, 3, f"each batch is sent once: {what}")
    tap.ok(all(result != TIMEOUT for result, _ in results), f"no flush waits: {what}", results)
    check_recovery.check_books(tap, books, what, failed=15, accepted=0)
    tap.ok("invalid auth token" in said, f"the log has the engine's answer: {what}", said)


# ---- restarts ----------------------------------------------------------------------------------


def check_restarts(tap, hatchet):
    """In order between exports, and killed with a request that it has and has not answered."""
    victim = engine.Engine(hatchet, "restarted")
    run_id = uuid.uuid4()
    program = Program("engine-restart", None, **clear(victim))
    program.conversation.ask(f"task {run_id}")
    program.spans(5)
    tap.same(program.flush(10000)[0], OK, "flush to the first engine")

    victim.stop(signal.SIGTERM)
    victim.start()
    program.spans(5)
    tap.same(program.flush(10000)[0], OK, "flush after a restart between exports")

    victim.process.child.send_signal(signal.SIGSTOP)
    program.spans(5)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        flush = pool.submit(program.flush, 20000)
        time.sleep(0.5)
        tap.ok(not flush.done(), "the engine has a request and does not answer")
        victim.stop(signal.SIGKILL)
        victim.start()
        tap.same(flush.result()[0], OK, "flush over a restart during an export")
    program.conversation.ask("done")
    tap.same(program.shutdown(10000)[0], OK, "shutdown delivers the rest")
    check_recovery.check_books(tap, program.books(), "the engine restarts", accepted=16, failed=0)
    program.end()
    victim.stop()
    tap.same(numbers(hatchet.trace_of(run_id)), list(range(15)), "each span arrived once")


class Idle:
    """A connection on which nothing happens for longer than the engine lets one live that does not
    answer: it asks after 30 seconds, and waits 20."""

    SECONDS = 55

    def __init__(self, clear_engine):
        self.run_id = uuid.uuid4()
        self.program = Program("engine-idle", None, **clear(clear_engine))
        self.program.task(self.run_id, 1)
        self.first = self.program.flush(10000)[0]
        self.since = time.monotonic()

    def check(self, tap, hatchet):
        time.sleep(max(0, self.SECONDS - (time.monotonic() - self.since)))
        self.program.spans(1)
        second = self.program.flush(10000)[0]
        tap.same((self.first, second), (OK, OK), f"flush before and after {self.SECONDS} s")
        books = self.program.books()
        self.program.end()
        wanted = {"accepted": 3, "connections": 1, "retries": 0}
        check_recovery.check_books(tap, books, "the connection stays while it is idle", **wanted)
        tap.same(numbers(hatchet.trace_of(self.run_id)), [0], "what was sent before is there")


# ---- TLS ---------------------------------------------------------------------------------------


def check_encrypted(tap, hatchet, name, what, **settings):
    run_id = uuid.uuid4()
    program = Program(name, None, **settings)
    program.task(run_id, 3)
    tap.same(program.flush(10000)[0], OK, f"flush over TLS: {what}")
    program.end()
    tap.same(numbers(hatchet.trace_of(run_id)), [0, 1, 2], f"the spans arrive over TLS: {what}")


def check_tls(tap, hatchet):
    files = grpc_peers.Certificates()
    encrypted = engine.Engine(hatchet, "tls", tls=files)
    code, _ = encrypted.export(request_of([("control", uuid.uuid4())]))
    tap.same(code, "OK", "the engine takes a span over TLS of gRPC's client")
    program = Program("engine-tls-or-not")
    has_tls = program.conversation.ask("tls") == "yes"
    program.end()
    if not has_tls:
        encrypted.stop()
        tap.skip("spans over TLS", "OpenSSL is not here (Debian: libssl-dev)")
        return
    token = {"HATCHET_CLIENT_TOKEN": encrypted.token}
    ca = {"HATCHET_CLIENT_TLS_ROOT_CA_FILE": str(files.ca)}
    check_encrypted(tap, hatchet, "engine-tls-ca", "a CA in a file", **token, **ca)
    check_encrypted(
        tap, hatchet, "engine-tls-roots", "the system's roots", **token, SSL_CERT_FILE=str(files.ca)
    )
    program = Program("engine-tls-unknown", None, **token)
    program.spans(1)
    program.shutdown(1000)
    check_recovery.check_books(tap, program.books(), "an engine whose CA is unknown", accepted=0)
    program.end()
    encrypted.stop()

    mutual = engine.Engine(hatchet, "mtls", tls=files, mtls=True)
    check_encrypted(
        tap,
        hatchet,
        "engine-mtls-client",
        "with the client's certificate",
        HATCHET_CLIENT_TOKEN=mutual.token,
        HATCHET_CLIENT_TLS_STRATEGY="mtls",
        HATCHET_CLIENT_TLS_CERT_FILE=str(files.client_cert),
        HATCHET_CLIENT_TLS_KEY_FILE=str(files.client_key),
        **ca,
    )
    mutual.stop()


def check(tap):
    reason = os.environ.get("INTEROP_NO_ENGINE")
    if reason:
        tap.skip("engine", reason)
        return
    hatchet = engine.Hatchet()
    try:
        clear_engine = engine.Engine(hatchet, "clear")
        check_control(tap, hatchet, clear_engine)
        idle = Idle(clear_engine)
        check_programs(tap, hatchet, clear_engine)
        check_model(tap, clear_engine)
        check_not_a_uuid(tap, clear_engine)
        check_many(tap, hatchet, clear_engine)
        check_large(tap, hatchet, clear_engine)
        check_tokens(tap, hatchet, clear_engine)
        check_off(tap, hatchet)
        check_restarts(tap, hatchet)
        check_tls(tap, hatchet)
        idle.check(tap, hatchet)
    finally:
        hatchet.stop()
