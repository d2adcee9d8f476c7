# SPDX-License-Identifier: MIT
"""Flush and shutdown (deliver.c) with Collectors that are absent, silent, killed or restarted."""

import signal
import socket

import harness
import otlp

NEEDS_COLLECTOR = True

OK, TIMEOUT = "0", "-1"
GRACE_MS = 250  # over a deadline, on a busy machine


class Program:
    """A running deliver. Its log has what the library said."""

    program = [harness.INTEROP / "deliver"]

    def __init__(self, name, port=None, *options, **settings):
        if port:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        self.log = harness.OUTPUT / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.conversation = harness.Conversation([*self.program, *options], self.log, **settings)

    def spans(self, count):
        self.conversation.ask(f"spans {count}")

    def flush(self, timeout_ms):
        """Result and milliseconds."""
        result, took_ms = self.conversation.ask(f"flush {timeout_ms}").split()
        return result, int(took_ms)

    def shutdown(self, timeout_ms):
        result, took_ms = self.conversation.ask(f"shutdown {timeout_ms}").split()
        return result, int(took_ms)

    def books(self):
        pairs = (pair.split("=") for pair in self.conversation.ask("books").split())
        return {name: int(number) for name, number in pairs}

    def end(self):
        self.conversation.end()


def check_books(tap, books, name, **wanted):
    """P5: the books balance, and some of their figures are known."""
    outcome = ("accepted", "rejected", "failed")
    dropped = ("dropped_queue_full", "dropped_too_large", "dropped_shutdown")
    lives = ("unsampled", "not_admitted", "live", "ended")
    balanced = books["started"] == sum(books[part] for part in lives)
    balanced &= books["ended"] == sum(books[part] for part in outcome + dropped)
    known = {part: books[part] for part in wanted}
    tap.ok(
        balanced and known == wanted and books["queued"] == 0,
        f"the books balance: {name}",
        f" got: {books}",
        f"want: {wanted}",
    )


def check_in_vain(tap, name, port):
    """Nobody takes the spans: deadlines hold, and every span is accounted for."""
    program = Program("in-vain", port)
    program.spans(10)
    result, took_ms = program.flush(300)
    tap.ok(
        result == TIMEOUT and took_ms <= 300 + GRACE_MS,
        f"BSP-15 flush ends at its deadline: {name}",
        f"result {result} after {took_ms} ms",
    )
    program.spans(5)
    result, took_ms = program.shutdown(500)
    tap.ok(
        result != OK and took_ms <= 500 + GRACE_MS,
        f"BSP-21 shutdown ends at its deadline: {name}",
        f"result {result} after {took_ms} ms",
    )
    check_books(tap, program.books(), name, started=15, ended=15, accepted=0)
    program.end()


def numbers(collector):
    """The numbers of the spans that a Collector has written so far, in order."""
    spans = otlp.spans_from_lines(collector.path) if collector.path.exists() else []
    return sorted(span["attributes"]["number"][1] for span in spans)


def check_restart(tap):
    """Killed between two exports and started again on the same port: nothing is lost (T-12)."""
    first = harness.Collector("recovery-first")
    program = Program("restart", first.port)
    program.spans(5)
    tap.same(program.flush(20000)[0], OK, "flush to the first Collector")
    harness.wait_until(lambda: numbers(first) == [0, 1, 2, 3, 4], 10, "spans 0 to 4 on disk")
    first.stop(signal.SIGKILL)

    program.spans(5)
    tap.same(program.flush(300)[0], TIMEOUT, "flush while there is no Collector")
    second = harness.Collector("recovery-second", first.port)
    tap.same(program.flush(20000)[0], OK, "T-12 flush after the Collector's restart")
    program.spans(5)
    tap.same(program.shutdown(20000)[0], OK, "shutdown delivers the rest")
    books = program.books()
    program.end()
    second.stop()
    tap.same(numbers(second), list(range(5, 15)), "each span made since the kill arrived once")
    check_books(tap, books, "killed and restarted", started=15, ended=15, accepted=15)


def check_idle_restart(tap):
    """Ended in order while the connection idles, and back before the next export (T-10, OR-18)."""
    first = harness.Collector("idle-first")
    program = Program("idle", first.port)
    program.spans(1)
    tap.same(program.flush(20000)[0], OK, "flush before the restart")
    first.stop()
    second = harness.Collector("idle-second", first.port)
    program.spans(1)
    result, took_ms = program.flush(20000)
    tap.ok(
        result == OK and took_ms < 900,
        "OR-18 the stale connection is replaced at once, without a back-off",
        f"result {result} after {took_ms} ms",
    )
    program.shutdown(5000)
    check_books(tap, program.books(), "restarted while idle", accepted=2)
    program.end()
    second.stop()
    tap.same((numbers(first), numbers(second)), ([0], [1]), "one span before, one after")


def check_late_start(tap):
    """The program is up before its Collector."""
    port = harness.free_port()
    program = Program("late", port)
    program.spans(3)
    tap.same(program.flush(200)[0], TIMEOUT, "flush before the Collector's start")
    collector = harness.Collector("late", port)
    tap.same(program.shutdown(20000)[0], OK, "shutdown after the Collector's start")
    check_books(tap, program.books(), "the Collector comes late", ended=3, accepted=3)
    program.end()
    collector.stop()
    tap.same(numbers(collector), [0, 1, 2], "OR-03 spans from before the Collector's start arrive")


def check(tap):
    check_in_vain(tap, "the connection is refused", harness.free_port())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        check_in_vain(tap, "the server never answers", silent.getsockname()[1])
    check_restart(tap)
    check_idle_restart(tap)
    check_late_start(tap)
