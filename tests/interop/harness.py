# SPDX-License-Identifier: MIT
"""What the interop tests stand on: TAP output, child processes, servers on free loopback ports."""

import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
INTEROP = BUILD / "interop"
OUTPUT = INTEROP / "output"  # what the tests' programs and servers wrote, for a look afterwards


class Tap:
    """Test Anything Protocol on standard output."""

    def __init__(self):
        self.count = 0
        self.failed = 0
        self.skipped = 0

    def ok(self, passed, name, *diagnostics):
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {name}", flush=True)
        if not passed:
            for diagnostic in diagnostics:
                for line in str(diagnostic).splitlines():
                    print(f"#   {line}", flush=True)
        return passed

    def same(self, got, want, name):
        return self.ok(got == want, name, f" got: {got!r}", f"want: {want!r}")

    def none(self, problems, name):
        """Passes if the list of problems is empty."""
        return self.ok(not problems, name, *problems)

    def skip(self, name, reason):
        self.count += 1
        self.skipped += 1
        print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def done(self):
        """Prints the plan and the closing line; returns the exit code."""
        passed = self.count - self.failed - self.skipped
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"1..{self.count}\n{passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clean_environment(**settings):
    """The environment without anything that configures OpenTelemetry or Hatchet."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "HATCHET_"))
    }
    return {**kept, **settings}


def run(arguments, seconds=120, **settings):
    """Runs a program to its end; settings are environment variables, input its standard input."""
    given = settings.pop("input", "")
    return subprocess.run(
        [str(argument) for argument in arguments],
        env=clean_environment(**settings),
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Process:
    """A child that runs beside the test and is ended by its own process ID. owner: the user and
    group that it runs as, in the words of subprocess; none: the test's."""

    def __init__(self, arguments, log, owner=None, **settings):
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments],
                env=clean_environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **(owner or {}),
            )

    def running(self):
        return self.child.poll() is None

    def stop(self, signal_number=signal.SIGTERM, seconds=20):
        """Returns the exit code."""
        if self.running():
            self.child.send_signal(signal_number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]


class Conversation:
    """A program that answers each line on its standard input with one on its standard output."""

    def __init__(self, arguments, log, **settings):
        with open(log, "ab") as errors:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments],
                env=clean_environment(**settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def hear(self):
        answer = self.child.stdout.readline()
        if not answer.endswith("\n"):
            raise EOFError(f"no answer; exit code {self.child.wait(10)}")
        return answer.rstrip("\n")

    def ask(self, line):
        self.say(line)
        return self.hear()

    def end(self):
        """Closes its standard input and returns the exit code."""
        self.child.stdin.close()
        self.child.stdout.close()
        return self.child.wait(30)


class Collector:
    """The OpenTelemetry Collector: OTLP/HTTP in, a file of OTLP/JSON lines out."""

    def __init__(self, name, port=None):
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.path = OUTPUT / f"{name}.jsonl"
        self.path.unlink(missing_ok=True)
        config = OUTPUT / f"{name}.yaml"
        config.write_text(json.dumps(self.configuration(), indent=2))  # JSON is YAML
        self.process = Process(
            [INTEROP / "collector" / "otelcol", "--config", f"file:{config}"],
            OUTPUT / f"{name}.log",
        )
        wait_until(self.ready, 30, f"the Collector's start (see {self.process.log})")

    def configuration(self):
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "exporters": {
                "file": {"path": str(self.path)},
                "debug": {"verbosity": "detailed"},
            },
            "service": {
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file", "debug"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
        }

    def ready(self):
        if not self.process.running():
            raise RuntimeError(f"the Collector ended:\n{self.process.tail()}")
        return accepts(self.port)

    def stop(self, signal_number=signal.SIGTERM):
        """Ended in order it has written everything that it had acknowledged."""
        return self.process.stop(signal_number)


class Capture(http.server.ThreadingHTTPServer):
    """An OTLP/HTTP receiver that keeps the bodies and acknowledges them."""

    def __init__(self):
        self.bodies = []
        self.headers = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), CaptureHandler)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class CaptureHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.headers.append((self.path, dict(self.headers.items())))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Quiet: standard output is TAP."""
