# SPDX-License-Identifier: MIT
"""What a client of Hatchet talks to, as far as the operations need it: answers their calls of gRPC
and HTTP as the engine would, and keeps the spans and the requests that arrive."""

import base64
import concurrent.futures
import http.server
import json
import queue
import re
import threading
import time

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import otlp

VERSION = "v0.79.0"  # the last before durable tasks had a stream of their own
RUN_ID = "94a5b6c7-f2a9-43cb-94ed-058a9b0c1d0c"  # of every run that is triggered here
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}")
SOURCE = re.compile(r"hatchet__source_\w+")


def carried(text):
    """Of what goes over the wire: the span IDs of traceparents, and the names of source runs."""
    return TRACEPARENT.findall(text), sorted(SOURCE.findall(text))


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def message(*fields):
    """Of protobuf: fields are (number, text, bytes or int)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        content = value.encode() if isinstance(value, str) else value
        out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def field(content, number):
    """The values of a field of bytes or text, in order."""
    values, at = [], 0

    def read():
        nonlocal at
        result = shift = 0
        while True:
            byte, at = content[at], at + 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while at < len(content):
        tag = read()
        if tag & 7 == 0:
            read()
        elif tag & 7 == 2:
            size = read()
            if tag >> 3 == number:
                values.append(content[at : at + size])
            at += size
        else:
            at += 8 if tag & 7 == 1 else 4
    return values


def token(tenant_id, port, rest_port):
    """Clients read the addresses in it and do not check its signature."""
    claims = {
        "sub": tenant_id,
        "server_url": f"http://127.0.0.1:{rest_port}",
        "grpc_broadcast_address": f"127.0.0.1:{port}",
        "exp": int(time.time()) + 86400,
        "iat": int(time.time()),
        "iss": f"http://127.0.0.1:{rest_port}",
        "aud": f"http://127.0.0.1:{rest_port}",
        "token_id": RUN_ID,
    }
    parts = ({"alg": "ES256", "typ": "JWT"}, claims)
    texts = [json.dumps(part).encode() for part in parts] + [b"signature"]
    return ".".join(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in texts)


class Hatchet:
    def __init__(self, inputs):
        self.inputs = inputs
        self.spans = []
        self.requests = ""  # the texts of what came that has metadata in it
        self.refusing = False
        self.actions = queue.Queue()  # AssignedAction for the worker that listens
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
        self.server.add_generic_rpc_handlers([Calls(self)])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.rest = Rest(self)
        self.rest_port = self.rest.server_address[1]
        threading.Thread(target=self.rest.serve_forever, daemon=True).start()

    def settings(self):
        """Of the environment, for a client."""
        return {
            "HATCHET_CLIENT_TOKEN": token(self.inputs["tenant_id"], self.port, self.rest_port),
            "HATCHET_CLIENT_HOST_PORT": f"127.0.0.1:{self.port}",
            "HATCHET_CLIENT_SERVER_URL": f"http://127.0.0.1:{self.rest_port}",
            "HATCHET_CLIENT_API_URL": f"http://127.0.0.1:{self.rest_port}",
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
        }

    def taken(self):
        """What came since it was last asked: spans, and requests."""
        spans, self.spans = self.spans, []
        requests, self.requests = self.requests, ""
        return spans, requests

    def stop(self):
        self.actions.put(None)
        self.server.stop(None)
        self.rest.shutdown()
        self.rest.server_close()

    def assign(self, cancel=False, **special):
        """Gives a worker that listens a task, or the cancellation of one."""
        given = dict(self.inputs, name="charge", retry_count=0, child_index=0) | special
        fields = [(1, "tenant_id"), (2, "workflow_run_id"), (4, "workflow_id"), (5, "step_name")]
        fields += [(6, "workflow_run_id"), (7, "step_id"), (8, "step_run_id"), (12, "name")]
        fields += [(11, "task_payload"), (13, "retry_count"), (14, "task_metadata")]
        fields += [(15, "child_index"), (16, "child_key"), (17, "parent_workflow_run_id")]
        fields += [(19, "workflow_id"), (20, "workflow_version_id"), (22, "event_id")]
        action = [(number, given[name]) for number, name in [*fields, (23, "event_key")]]
        action += [(9, f"{given['workflow_name']}:{given['name']}"), (10, int(cancel)), (18, 1)]
        self.actions.put(message(*action))

    # ---- calls, each with the message that came

    def trigger(self, content):
        return message((1, RUN_ID))

    def bulk_trigger(self, content):
        return message(*((1, RUN_ID) for _ in field(content, 1)))

    def push(self, content):
        event = [(1, self.inputs["tenant_id"]), (2, RUN_ID), (3, field(content, 1)[0])]
        return message(*event, (4, "{}"), (5, message((1, 1))))

    def bulk_push(self, content):
        return message(*((1, self.push(event)) for event in field(content, 1)))

    def register(self, content):
        tenant, worker = self.inputs["tenant_id"], self.inputs["worker_id"]
        return message((1, tenant), (2, worker), (3, "worker"))

    def step_event(self, content):
        return message((1, self.inputs["tenant_id"]), (2, self.inputs["worker_id"]))

    def version(self, content):
        return message((1, VERSION))

    def put_workflow(self, content):
        return message((1, RUN_ID), (2, self.inputs["workflow_id"]))

    def nothing(self, content):
        return b""

    # ---- streams

    def listen(self, requests, context):
        while (action := self.actions.get()) is not None:
            yield action

    def durable_events(self, requests, context):
        for request in requests:
            (task_id,), (signal_key,) = field(request, 1), field(request, 2)
            yield message((1, task_id), (2, signal_key), (3, b"{}"))

    def silence(self, requests, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait()
        yield from ()


class Calls(grpc.GenericRpcHandler):
    TRIGGERS = {
        "/WorkflowService/TriggerWorkflow": Hatchet.trigger,
        "/WorkflowService/BulkTriggerWorkflow": Hatchet.bulk_trigger,
        "/WorkflowService/ScheduleWorkflow": Hatchet.trigger,
        "/v1.AdminService/TriggerWorkflowRun": Hatchet.trigger,
        "/EventsService/Push": Hatchet.push,
        "/EventsService/BulkPush": Hatchet.bulk_push,
    }
    UNARY = {
        "/Dispatcher/Register": Hatchet.register,
        "/Dispatcher/GetVersion": Hatchet.version,
        "/Dispatcher/Heartbeat": Hatchet.nothing,
        "/Dispatcher/Unsubscribe": Hatchet.nothing,
        "/Dispatcher/UpsertWorkerLabels": Hatchet.register,
        "/Dispatcher/SendStepActionEvent": Hatchet.step_event,
        "/v1.AdminService/PutWorkflow": Hatchet.put_workflow,
        "/v1.V1Dispatcher/RegisterDurableEvent": Hatchet.nothing,
    }
    STREAMS = {
        "/v1.V1Dispatcher/ListenForDurableEvent": Hatchet.durable_events,
        "/Dispatcher/SubscribeToWorkflowRuns": Hatchet.silence,
    }
    LISTENS = ("/Dispatcher/ListenV2", "/Dispatcher/Listen")
    EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

    def __init__(self, hatchet):
        self.hatchet = hatchet

    def service(self, details):
        method = details.method
        if method == self.EXPORT:
            return grpc.unary_unary_rpc_method_handler(self.export)
        if method in self.TRIGGERS:
            return grpc.unary_unary_rpc_method_handler(self.trigger(self.TRIGGERS[method]))
        if method in self.UNARY:
            call = self.UNARY[method]
            return grpc.unary_unary_rpc_method_handler(
                lambda content, context: call(self.hatchet, content)
            )
        if method in self.LISTENS:
            return grpc.unary_stream_rpc_method_handler(self.hatchet.listen)
        if method in self.STREAMS:
            stream = self.STREAMS[method]
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: stream(self.hatchet, requests, context)
            )
        return None  # UNIMPLEMENTED: an engine of before that call

    def export(self, content, context):
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(content)
        self.hatchet.spans += otlp.spans_from_proto(request)
        return b""

    def trigger(self, call):
        def answer(content, context):
            if self.hatchet.refusing:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.hatchet.inputs["refusal"])
            self.hatchet.requests += content.decode(errors="replace")
            return call(self.hatchet, content)

        return answer


class Rest(http.server.ThreadingHTTPServer):
    def __init__(self, hatchet):
        self.hatchet = hatchet
        super().__init__(("127.0.0.1", 0), RestHandler)


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, code=200):
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer({}, 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/scheduled"):
            self.answer({}, 404)
            return
        hatchet = self.server.hatchet
        hatchet.requests += body.decode(errors="replace")
        run_at = hatchet.inputs["run_at"]
        self.answer(
            {
                "metadata": {"id": RUN_ID, "createdAt": run_at, "updatedAt": run_at},
                "tenantId": hatchet.inputs["tenant_id"],
                "workflowVersionId": hatchet.inputs["workflow_version_id"],
                "workflowId": hatchet.inputs["workflow_id"],
                "workflowName": hatchet.inputs["workflow_name"],
                "triggerAt": run_at,
                "method": "API",
            }
        )

    def log_message(self, *arguments):
        """Quiet: standard output is TAP."""
