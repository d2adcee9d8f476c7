# SPDX-License-Identifier: MIT
"""Performs the operations of check_sdks.py with Hatchet's Python SDK, instrumented by its own
instrumentor: reads the name of an operation, performs it, sends its spans, answers.

    python.py INPUTS.json

Tasks go through the SDK's Runner, which a worker gives what the dispatcher sends."""

import asyncio
import contextlib
import json
import os
import pathlib
import queue
import sys
from datetime import datetime, timedelta

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet
from hatchet_sdk.clients.admin import ScheduleTriggerWorkflowOptions, WorkflowRunTriggerConfig
from hatchet_sdk.clients.events import BulkPushEventWithMetadata
from hatchet_sdk.conditions import SleepCondition
from hatchet_sdk.config import ClientConfig
from hatchet_sdk.opentelemetry.instrumentor import HatchetInstrumentor
from hatchet_sdk.runnables.action import Action, ActionPayload, ActionType
from hatchet_sdk.types.priority import Priority
from hatchet_sdk.types.trigger import TriggerWorkflowOptions
from hatchet_sdk.worker.runner.runner import Runner
from hatchet_sdk.worker.runner.utils.capture_logs import AsyncLogSender
from opentelemetry.sdk.trace import TracerProvider

# The SDK's logger keeps the standard output that it finds: it gets the one for errors.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

inputs = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
metadata = json.loads(inputs["metadata"])
provider = TracerProvider()
tracer = provider.get_tracer("caller")
config = ClientConfig()
HatchetInstrumentor(tracer_provider=provider, config=config).instrument()
hatchet = Hatchet(config=config)


def trigger(**options):
    return TriggerWorkflowOptions(
        parent_id=inputs["parent_id"],
        parent_step_run_id=inputs["parent_step_run_id"],
        child_index=0,
        child_key=inputs["child_key"],
        namespace=inputs["namespace"],
        additional_metadata=metadata,
        priority=2,
        desired_worker_id=inputs["worker_id"],
        sticky=True,
        key=inputs["key"],
        **options,
    )


def runs():
    return [
        WorkflowRunTriggerConfig(
            workflow_name=inputs[name],
            input=inputs["payload"],
            options=TriggerWorkflowOptions(additional_metadata=metadata),
        )
        for name in ("workflow_name", "other_workflow_name", "workflow_name")
    ]


# ---- what a task does -------------------------------------------------------------------------

workflow = hatchet.workflow(name=inputs["workflow_name"], input_validator=EmptyModel)
does = None  # what the task's function awaits


async def charge(given: EmptyModel, context: Context) -> dict[str, str]:
    await does(context)
    return {"paid": "yes"}


async def approve(given: EmptyModel, context: DurableContext) -> dict[str, str]:
    await does(context)
    return {"approved": "yes"}


tasks = {"charge": workflow.task(name="charge")(charge)}
tasks["approve"] = workflow.durable_task(name="approve")(approve)


async def nothing(context):
    pass


async def failing(context):
    raise ValueError(inputs["failure"])


async def spawning(context):
    await runner.admin_client.aio_run_workflow(
        inputs["other_workflow_name"],
        inputs["payload"],
        TriggerWorkflowOptions(
            parent_id=inputs["workflow_run_id"],
            parent_step_run_id=inputs["step_run_id"],
            child_index=0,
        ),
    )


async def pushing(context):
    await runner.event_client.aio_push(inputs["event_key"], {})


async def waiting(context):
    await context.aio_wait_for(inputs["signal_key"], SleepCondition(timedelta(seconds=1)))


# ---- the runner, and what it gets ---------------------------------------------------------------


def action(name="charge", kind=ActionType.START_STEP_RUN, retry_count=0, child_index=0):
    return Action(
        tenant_id=inputs["tenant_id"],
        worker_id=inputs["worker_id"],
        workflow_run_id=inputs["workflow_run_id"],
        workflow_id=inputs["workflow_id"],
        workflow_version_id=inputs["workflow_version_id"],
        job_id=inputs["workflow_id"],
        job_name=inputs["step_name"],  # as the engine fills it
        job_run_id=inputs["workflow_run_id"],
        step_id=inputs["step_id"],
        step_run_id=inputs["step_run_id"],
        action_id=f"{inputs['workflow_name']}:{name}",
        step_name=name,
        action_type=kind,
        retry_count=retry_count,
        action_payload=ActionPayload.model_validate_json(inputs["task_payload"]),
        additional_metadata=json.loads(inputs["task_metadata"]),
        child_workflow_index=child_index,
        child_workflow_key=inputs["child_key"],
        parent_workflow_run_id=inputs["parent_workflow_run_id"],
        triggering_event_external_id=inputs["event_id"],
        triggering_event_key=inputs["event_key"],
    )


async def make_runner():
    registry = {f"{inputs['workflow_name']}:{name}": task for name, task in tasks.items()}
    sender = AsyncLogSender(hatchet._client.event)
    return Runner(queue.Queue(), config, 4, 4, False, registry, [], None, sender)


async def run_task(body, **special):
    global does
    does = body
    runner.run(action(**special))
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*runner.running_tasks)


async def cancelled():
    global does
    started = asyncio.Event()

    async def body(context):
        started.set()
        await asyncio.sleep(60)

    does = body
    runner.run(action())
    await started.wait()
    runner.run(action(kind=ActionType.CANCEL_STEP_RUN))
    await asyncio.gather(*runner.running_tasks, return_exceptions=True)


# ---- operations --------------------------------------------------------------------------------


def called(call):
    """A call in a span of the program's own."""

    async def operation():
        with tracer.start_as_current_span("caller"), contextlib.suppress(Exception):
            call()

    return operation


def run_workflow():
    runner.admin_client.run_workflow(inputs["workflow_name"], inputs["payload"], trigger())


def schedule():
    runner.admin_client.schedule_workflow(
        inputs["workflow_name"],
        [datetime.fromisoformat(inputs["run_at"])],
        inputs["payload"],
        ScheduleTriggerWorkflowOptions(additional_metadata=metadata, priority=2),
    )


def push():
    payload = json.loads(inputs["payload"])
    runner.event_client.push(
        inputs["event_key"], payload, None, metadata, Priority(2), inputs["scope"]
    )


def bulk_push():
    runner.event_client.bulk_push(
        [
            BulkPushEventWithMetadata(
                key=inputs[key], payload=json.loads(inputs["payload"]), additional_metadata=metadata
            )
            for key in ("event_key", "other_event_key", "event_key")
        ]
    )


OPERATIONS = {
    "task": lambda: run_task(nothing),
    "task that fails": lambda: run_task(failing),
    "task tried again": lambda: run_task(nothing, retry_count=1, child_index=3),
    "task that is cancelled": cancelled,
    "run": called(run_workflow),
    "run that is refused": called(run_workflow),
    "runs": called(lambda: runner.admin_client.run_workflows(runs())),
    "schedule": called(schedule),
    "event": called(push),
    "events": called(bulk_push),
    "wait": lambda: run_task(waiting, name="approve"),
    "child": lambda: run_task(spawning),
    "event in a task": lambda: run_task(pushing),
}
OPERATIONS["runs with spans of their own"] = OPERATIONS["runs"]

loop = asyncio.new_event_loop()
runner = loop.run_until_complete(make_runner())
for line in sys.stdin:
    loop.run_until_complete(OPERATIONS[line.rstrip("\n")]())
    provider.force_flush()
    print("done", file=answers, flush=True)
