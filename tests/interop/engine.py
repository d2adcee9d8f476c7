# SPDX-License-Identifier: MIT
"""Hatchet's engine as its users run it: PostgreSQL, the engine, the REST API, the admin command.

One database and one API serve all the engines of a test; each engine listens on a port of its own
and has tokens of its own, because a token names the engine's address. Everything binds loopback but
the API, which has no setting for that.
"""

import base64
import datetime
import hashlib
import json
import math
import os
import pathlib
import pwd
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

import harness

PROGRAMS = harness.INTEROP / "engine"
TENANT = "707d0855-80ab-4e1f-a156-f1c4546cbf52"  # of the admin command's quickstart
MAX_ROWS = 1000  # that the API returns at once
CACHE_SECONDS = 0.2  # how long an engine believes what it knows of a token; by default 5
BEACON = "beacon"


class Postgres:
    """A database server of its own, made anew and gone with the test. It refuses to be root, so
    that under root it is nobody, who may not be able to reach the build folder."""

    def __init__(self):
        self.folder = folder = pathlib.Path(tempfile.mkdtemp(prefix="hotel-postgres-"))
        self.owner = {"cwd": folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self.owner |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.port = harness.free_port()
        data = folder / "data"
        self.run("initdb", "-D", data, "-U", "hatchet", "-A", "trust", "-E", "UTF8", "-N",
                 "--locale=C")
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "fsync": "off",
        }
        options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        self.process = harness.Process(
            ["postgres", "-D", data, "-p", self.port, *options],
            harness.OUTPUT / "engine-postgres.log",
            owner=self.owner,
        )
        harness.wait_until(self.ready, 30, f"PostgreSQL's start (see {self.process.log})")
        self.query("CREATE DATABASE hatchet", "postgres")

    def ready(self):
        if not self.process.running():
            raise RuntimeError(f"PostgreSQL ended:\n{self.process.tail()}")
        if not harness.accepts(self.port):
            return False
        try:
            return self.query("SELECT 1", "postgres") == "1"
        except RuntimeError:  # it takes connections before it is ready
            return False

    def run(self, program, *arguments):
        result = subprocess.run(
            [program, *map(str, arguments)],
            env=harness.clean_environment(HOME=str(self.folder), LC_ALL="C"),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **self.owner,
        )
        if result.returncode != 0:
            raise RuntimeError(f"{program}: {result.stdout}\n{result.stderr}")
        return result.stdout.strip()

    def query(self, statement, database="hatchet"):
        """The result, a line each row."""
        return self.run("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "hatchet", "-XAtq",
                        "-v", "ON_ERROR_STOP=1", "-c", statement, database)

    def stop(self):
        self.process.stop(signal.SIGINT)
        shutil.rmtree(self.folder)


class Hatchet:
    """The database, its first tenant and keys, and the API."""

    def __init__(self):
        for program in ("engine", "api", "admin", "migrate"):
            if not (PROGRAMS / f"hatchet-{program}").exists():
                raise FileNotFoundError(f"no {PROGRAMS}/hatchet-{program}: tests/interop/run.sh")
        self.engines = []
        self.postgres = Postgres()
        self.config = harness.OUTPUT / "engine-config"
        shutil.rmtree(self.config, ignore_errors=True)
        self.api_port = harness.free_port()
        self.url = f"http://localhost:{self.api_port}"
        # That of the engine by which the API triggers and cancels, if a test starts one.
        self.engine_port = harness.free_port()
        self.run("migrate")
        self.run("admin", "quickstart", "--skip", "certs", "--generated-config-dir", self.config)
        self.api = harness.Process(
            [PROGRAMS / "hatchet-api", "--config", self.config],
            harness.OUTPUT / "engine-api.log",
            SERVER_INTERNAL_CLIENT_INTERNAL_GRPC_BROADCAST_ADDRESS=f"localhost:{self.engine_port}",
            **self.settings(),
        )
        self.reader = self.run("admin", "token", "create", "--tenant-id", TENANT).strip()
        harness.wait_until(self.ready, 30, f"the start of Hatchet's API (see {self.api.log})")

    def settings(self):
        """Of every one of Hatchet's programs; engines add theirs."""
        return {
            "DATABASE_URL": f"postgresql://hatchet@127.0.0.1:{self.postgres.port}/hatchet"
            "?sslmode=disable",
            "DATABASE_MAX_CONNS": "20",
            "CACHE_DURATION": f"{CACHE_SECONDS}s",
            "SERVER_URL": self.url,
            "SERVER_PORT": str(self.api_port),
            "SERVER_HEALTHCHECK": "false",
            "SERVER_GRPC_INSECURE": "true",
            "SERVER_MSGQUEUE_KIND": "postgres",
            "SERVER_OBSERVABILITY_ENABLED": "true",
            "SERVER_SECURITY_CHECK_ENABLED": "false",
            "SERVER_AUTH_COOKIE_DOMAIN": "localhost",
            "SERVER_AUTH_COOKIE_INSECURE": "true",
            "SERVER_LOGGER_FORMAT": "json",
        }

    def run(self, program, *arguments, **settings):
        if program == "admin":
            arguments = ("--config", self.config, *arguments)
        result = harness.run(
            [PROGRAMS / f"hatchet-{program}", *arguments], **{**self.settings(), **settings}
        )
        if result.returncode != 0:
            raise RuntimeError(f"hatchet-{program}: {result.stdout}\n{result.stderr}")
        return result.stdout

    def ready(self):
        if not self.api.running():
            raise RuntimeError(f"Hatchet's API ended:\n{self.api.tail()}")
        return harness.accepts(self.api_port) and self.get("meta")["observabilityEnabled"]

    def get(self, path, **parameters):
        """What the API answers; None for what it does not know."""
        return self.ask(f"{path}?{urllib.parse.urlencode(parameters)}")

    def post(self, path, content):
        return self.ask(path, json.dumps(content).encode())

    def ask(self, path, content=None):
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            content,
            {"Authorization": f"Bearer {self.reader}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def trace_of(self, run_id):
        """The rows of a run's trace, in the order of their start."""
        rows = []
        while True:
            page = self.get(
                f"stable/tenants/{TENANT}/traces",
                run_external_id=run_id,
                offset=len(rows),
                limit=MAX_ROWS,
            )
            if page is None:
                return rows
            rows += page.get("rows", [])
            if len(page.get("rows", [])) < MAX_ROWS:
                return rows

    def revoke(self, token):
        self.postgres.query(
            f"""UPDATE "APIToken" SET revoked = true WHERE id = '{claims(token)["token_id"]}'"""
        )

    def stop(self):
        for running in self.engines:
            running.stop()
        self.api.stop(signal.SIGKILL)
        self.postgres.stop()


class Engine:
    """An engine that runs. tls: grpc_peers.Certificates; with mtls the client must have one too.
    port: the API's engine has hatchet.engine_port."""

    def __init__(self, hatchet, name, collector=True, tls=None, mtls=False, port=None):
        self.hatchet = hatchet
        self.port = port or harness.free_port()
        self.tls = tls
        self.log = harness.OUTPUT / f"engine-{name}.log"
        self.settings = {
            **hatchet.settings(),
            "SERVER_GRPC_PORT": str(self.port),
            "SERVER_GRPC_BROADCAST_ADDRESS": f"localhost:{self.port}",
            "SERVER_OBSERVABILITY_ENABLED": "true" if collector else "false",
        }
        if tls:
            self.settings.update(
                SERVER_GRPC_INSECURE="false",
                SERVER_TLS_STRATEGY="mtls" if mtls else "tls",
                SERVER_TLS_CERT_FILE=str(tls.cert),
                SERVER_TLS_KEY_FILE=str(tls.key),
                SERVER_TLS_ROOT_CA_FILE=str(tls.ca),
            )
        hatchet.engines.append(self)
        self.start()
        self.token = self.mint()

    def start(self):
        self.process = harness.Process(
            [PROGRAMS / "hatchet-engine", "--config", self.hatchet.config], self.log,
            **self.settings,
        )
        harness.wait_until(self.ready, 30, f"the start of Hatchet's engine (see {self.log})")

    def ready(self):
        if not self.process.running():
            raise RuntimeError(f"Hatchet's engine ended:\n{self.process.tail()}")
        return harness.accepts(self.port)

    def mint(self):
        """A new token that names this engine's address."""
        return self.hatchet.run(
            "admin", "token", "create", "--tenant-id", TENANT, **self.settings
        ).strip()

    def stop(self, signal_number=signal.SIGKILL):
        """Ended in order it takes some seconds."""
        self.process.stop(signal_number)

    def export(self, request, token=None):
        """Sends a request by gRPC's own client. Returns the status, and the text of the error or
        the response."""
        address = f"localhost:{self.port}"
        if self.tls:
            credentials = grpc.ssl_channel_credentials(
                self.tls.ca.read_bytes(),
                self.tls.client_key.read_bytes(),
                self.tls.client_cert.read_bytes(),
            )
            channel = grpc.secure_channel(address, credentials)
        else:
            channel = grpc.insecure_channel(address)
        with channel:
            stub = trace_service_pb2_grpc.TraceServiceStub(channel)
            credentials = [("authorization", f"Bearer {token or self.token}")]
            try:
                response = stub.Export(request, timeout=10, metadata=credentials)
            except grpc.RpcError as error:
                return error.code().name, error.details()
            return "OK", response

    def traces(self, trace_ids):
        """The rows of some traces. The API finds a trace only by the run that one of its spans
        names, so that each gets such a span, which is left out here."""
        request = trace_service_pb2.ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for trace_id in trace_ids:
            span = spans.add(
                trace_id=bytes.fromhex(trace_id),
                span_id=os.urandom(8),
                name=BEACON,
                start_time_unix_nano=time.time_ns(),
            )
            span.attributes.add(key="hatchet.step_run_id").value.string_value = str(
                uuid.UUID(trace_id)
            )
        answer = self.export(request)
        if answer != ("OK", trace_service_pb2.ExportTraceServiceResponse()):
            raise RuntimeError(f"the engine does not take beacons: {answer}")
        return [
            row
            for trace_id in trace_ids
            for row in self.hatchet.trace_of(uuid.UUID(trace_id))
            if row["spanName"] != BEACON
        ]


def claims(token):
    """The middle of a JSON Web Token."""
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


# ---- what it keeps of a span -----------------------------------------------------------------

KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUSES = ["UNSET", "OK", "ERROR"]


def workflow_run_span(run_id):
    """The ID of the engine's own span of a workflow run."""
    digest = hashlib.sha256(b"hatchet-engine-wf-span:" + uuid.UUID(run_id).bytes)
    return digest.hexdigest()[:16]


def plain(value):
    """The JSON value that the engine makes of a value of otlp.py. Numbers are doubles there, which
    JSON has no way to write some of."""
    if value[0] in ("array", "map"):
        content = value[1]
        if value[0] == "array":
            return [plain(item) for item in content]
        return {key: plain(item) for key, item in content.items()}
    if value[0] == "empty":
        return None
    if value[0] == "int":
        return float(value[1])
    if value[0] == "double":
        number = struct.unpack("<d", struct.pack("<Q", value[1]))[0]
        if not math.isfinite(number):
            raise ValueError("not in JSON")
        return number
    if value[0] == "bytes":
        return base64.b64encode(value[1]).decode()
    return value[1]


def in_text(value):
    """How the API returns a value: as text. JSON is compared as JSON."""
    if callable(value):
        return lambda text: value(("string", text))
    content = plain(value)
    if isinstance(content, str):
        return content

    def judge(text):
        try:
            if json.loads(text, parse_int=float) == content:
                return None
        except ValueError:
            pass
        return f"want the JSON text of {content!r}"

    return judge


def in_texts(attributes):
    """A collection; none of it if one value cannot be written as JSON."""
    try:
        return {key: in_text(value) for key, value in attributes.items()}
    except ValueError:
        return {}


def mended(value):
    """NUL in a text would lose a whole request; hence such a text is sent to Hatchet as bytes."""
    if callable(value):
        return value
    if value[0] == "map":
        return ("map", mended_pairs(value[1]))
    if value[0] == "array":
        return ("array", tuple(mended(item) for item in value[1]))
    if value[0] == "string" and "\0" in value[1]:
        return ("bytes", value[1].encode())
    return value


def mended_pairs(attributes):
    return {key.replace("\0", "?"): mended(value) for key, value in attributes.items()}


def is_uuid(text):
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def kept(span):
    """A span of otlp.py or model.py as spans_of_rows gives it back. Events, links, tracestate,
    flags, counts of drops and most of the scope are not kept."""
    attributes = mended_pairs(span["attributes"])
    for key in ("hatchet.step_run_id", "hatchet.workflow_run_id"):
        if key in attributes and not is_uuid(attributes[key][1]):
            attributes[key] = ("bytes", attributes[key][1].encode())  # the same
    parent = span["parent_span_id"]
    run = attributes.get("hatchet.workflow_run_id")
    if parent and run and span["name"].startswith("hatchet.start_step_run"):
        parent = workflow_run_span(run[1])
    retry = attributes.get("hatchet.retry_count", ("empty",))
    start, end = span["start"], span["end"]
    if not callable(start):
        start = start // 1000 * 1000  # the database has microseconds ...
        if not callable(end):
            end -= span["start"] - start  # ... and the duration has not
    return {
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "parent_span_id": parent,
        "name": span["name"].replace("\0", "?"),
        "kind": KINDS[span["kind"]],
        "start": start,
        "end": end,
        "status": (STATUSES[span["status"][0]], span["status"][1].replace("\0", "?")),
        "attributes": in_texts(attributes),
        "retry_count": max(retry[1], 0) if retry[0] == "int" else 0,
        "resource": in_texts(mended_pairs(span["resource"][0])),
        "scope": span["scope"][0],
    }


def nanoseconds(text):
    """Of a time as the API writes it, to microseconds."""
    moment = datetime.datetime.fromisoformat(text)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1) * 1000


def spans_of_rows(rows):
    """The API's rows as dicts like those of otlp.py."""
    return [
        {
            "trace_id": row["traceId"],
            "span_id": row["spanId"],
            "parent_span_id": row.get("parentSpanId", ""),
            "name": row["spanName"],
            "kind": row["spanKind"],
            "start": nanoseconds(row["createdAt"]),
            "end": nanoseconds(row["createdAt"]) + row["durationNs"],
            "status": (row["statusCode"], row.get("statusMessage", "")),
            "attributes": row.get("spanAttributes") or {},
            "retry_count": row.get("retryCount", 0),
            "resource": row.get("resourceAttributes") or {},
            "scope": row.get("scopeName", ""),
        }
        for row in rows
    ]
