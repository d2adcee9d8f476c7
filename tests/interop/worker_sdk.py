# SPDX-License-Identifier: MIT
"""Hatchet's Python SDK, instrumented as its users do it, in an environment of its own:

    worker_sdk.py worker                 runs the tasks below until it is told to end
    worker_sdk.py client                 triggers them: JSON lines in, JSON lines out

The client's lines: {"do": "run", "workflow", "input", "metadata"} -> {"run_id"},
{"do": "push", "key", "payload", "metadata"} -> {"event_id"}, both with the SDK's spans; and
{"do": "send", "key", "payload", "metadata"}, the same event by gRPC alone, with the metadata as it
is. EXTENSION in the environment is the C library that the native task calls.
"""

import asyncio
import ctypes
import json
import os
import sys
from datetime import timedelta

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet
from hatchet_sdk.clients.events import proto_timestamp_now
from hatchet_sdk.connection import new_conn
from hatchet_sdk.contracts.events_pb2 import PushEventRequest
from hatchet_sdk.contracts.events_pb2_grpc import EventsServiceStub
from hatchet_sdk.opentelemetry.instrumentor import HatchetInstrumentor
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel

SIMPLE, DAG, PARENT = "interop-simple", "interop-dag", "interop-parent"
RETRIED, STUCK, WAITING, NATIVE, PUSHING = (
    "interop-retried",
    "interop-stuck",
    "interop-waiting",
    "interop-native",
    "interop-pushing",
)
EVENT = "interop:ordered"

# A task's parents, and its spans: those of a list are under the one before it. One task runs after
# the other: the engine also tells a task of others that have ended.
STEPS = {
    "load": ([], ["fetch", "parse"]),
    "check": (["load"], ["validate", "clean"]),
    "convert": (["load", "check"], ["transform", ["split", "map", "join"]]),
    "store": (["check", "convert"], ["insert", "invalidate", "notify"]),
}

tracer = trace.get_tracer("interop")


class Message(BaseModel):
    message: str


def spans_of(step, names):
    under = None
    for name in names:
        if isinstance(name, str):
            with tracer.start_as_current_span(name) as under:
                under.set_attribute("step", step)
        else:
            with trace.use_span(under):
                spans_of(step, name)


def dag(hatchet):
    workflow = hatchet.workflow(name=DAG)
    tasks = {}
    for step, (parents, names) in STEPS.items():

        def run(_: EmptyModel, __: Context, step=step, names=names) -> dict[str, str]:
            spans_of(step, names)
            return {"step": step}

        tasks[step] = workflow.task(name=step, parents=[tasks[name] for name in parents])(run)
    return workflow


def simple(task_input: Message, _: Context) -> dict[str, str]:
    with tracer.start_as_current_span("custom.child.span") as span:
        span.set_attribute("test.marker", "interop")
        span.set_attribute("input.message", task_input.message)
    return {"status": "ok"}


def retried(_: EmptyModel, context: Context) -> dict[str, str]:
    with tracer.start_as_current_span("attempt"):
        if context.retry_count == 0:
            raise ValueError("the first attempt fails")
    return {"status": "ok"}


async def stuck(_: EmptyModel, __: Context) -> dict[str, str]:
    with tracer.start_as_current_span("stuck"):
        await asyncio.sleep(60)
    return {"status": "not cancelled"}


async def waiting(_: EmptyModel, context: DurableContext) -> dict[str, str]:
    await context.aio_sleep_for(timedelta(seconds=1))
    return {"status": "ok"}


def native(task_input: Message, context: Context) -> dict[str, str]:
    """Calls C: what C has to know is what the SDK's own spans say."""
    library = ctypes.CDLL(os.environ["EXTENSION"])
    library.interop_native.argtypes = [ctypes.c_char_p] * 2
    action = context.action
    with tracer.start_as_current_span("custom.child.span"):
        carrier = {}
        TraceContextTextMapPropagator().inject(carrier)
        known = {
            "additional_metadata": json.dumps(carrier),
            "workflow_name": NATIVE,
            "step_name": action.step_name,
            "action_name": action.action_id,
            "step_run_id": action.step_run_id,
            "workflow_run_id": action.workflow_run_id,
            "step_id": action.step_id,
            "workflow_id": action.workflow_id,
            "workflow_version_id": action.workflow_version_id,
            "worker_id": action.worker_id,
            "tenant_id": action.tenant_id,
            "payload": json.dumps(action.action_payload.model_dump()),
        }
        text = "\x1f".join(f"{key}={value}" for key, value in known.items() if value)
        failed = library.interop_native(text.encode(), task_input.message.encode())
    if failed:
        raise RuntimeError(f"the library says {failed}")
    return {"status": "ok"}


def workflows(hatchet):
    """All of them by name."""
    made = {
        SIMPLE: hatchet.task(name=SIMPLE, on_events=[EVENT], input_validator=Message)(simple),
        DAG: dag(hatchet),
        RETRIED: hatchet.task(name=RETRIED, retries=1)(retried),
        STUCK: hatchet.task(name=STUCK)(stuck),
        WAITING: hatchet.durable_task(name=WAITING)(waiting),
        NATIVE: hatchet.task(name=NATIVE, input_validator=Message)(native),
    }

    @hatchet.task(name=PARENT, input_validator=Message)
    async def parent(task_input: Message, _: Context) -> dict[str, str]:
        with tracer.start_as_current_span("spawn.child") as span:
            span.set_attribute("parent.message", task_input.message)
            await made[SIMPLE].aio_run(task_input)
        return {"status": "ok"}

    @hatchet.task(name=PUSHING, input_validator=Message)
    def pushing(task_input: Message, _: Context) -> dict[str, str]:
        hatchet.event.push(
            EVENT, {"message": task_input.message}, additional_metadata={"inside": "a task"}
        )
        return {"status": "ok"}

    return made | {PARENT: parent, PUSHING: pushing}


def work(hatchet):
    hatchet.worker("interop-sdk", slots=20, workflows=list(workflows(hatchet).values())).start()


def serve(hatchet, answers):
    made = workflows(hatchet)
    events = EventsServiceStub(new_conn(hatchet.config, False))
    for line in sys.stdin:
        said = json.loads(line)
        metadata = said["metadata"]
        if said["do"] == "run":
            workflow, content = made[said["workflow"]], said["input"]
            content = Message(**content) if content else EmptyModel()
            run = workflow.run(content, additional_metadata=metadata, wait_for_result=False)
            answer = {"run_id": run.workflow_run_id}
        elif said["do"] == "push":
            event = hatchet.event.push(
                said["key"], said["payload"], additional_metadata=metadata
            )
            answer = {"event_id": event.event_id}
        else:
            event = events.Push(
                PushEventRequest(
                    key=said["key"],
                    payload=said["payload"],
                    event_timestamp=proto_timestamp_now(),
                    additional_metadata=metadata,
                ),
                metadata=[("authorization", f"bearer {hatchet.config.token}")],
            )
            answer = {"event_id": event.event_id}
        print(json.dumps(answer), file=answers, flush=True)
    trace.get_tracer_provider().force_flush()


def main(role):
    HatchetInstrumentor(schedule_delay_millis=100).instrument()
    if role == "worker":
        work(Hatchet())
        return
    # The SDK may write to standard output; the answers must not be mixed with it.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Hatchet(), answers)


if __name__ == "__main__":
    main(sys.argv[1])
