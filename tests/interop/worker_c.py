# SPDX-License-Identifier: MIT
"""A Hatchet worker whose tasks run in C: it speaks the dispatcher's protocol with the messages of
Hatchet's SDK, in the SDK's environment, and hands each assigned action to a process of hatchet.c.

    worker_c.py PROGRAM ACTION=WORKFLOW...

A worker knows its workflows' names; the dispatcher does not send them.
"""

import concurrent.futures
import json
import signal
import subprocess
import sys
import threading
import time

from hatchet_sdk import ClientConfig
from hatchet_sdk.clients.events import proto_timestamp_now
from hatchet_sdk.connection import new_conn
from hatchet_sdk.contracts import (
    dispatcher_pb2,
    dispatcher_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    workflows_pb2_grpc,
)
from hatchet_sdk.contracts.v1.shared.trigger_pb2 import TriggerWorkflowRequest

HEARTBEAT_SECONDS = 3

# The members of an assigned action under the names of hotel_step_run.
MEMBERS = {
    "tenant_id": "tenant_id",
    "workflow_run_id": "workflow_run_id",
    "task_id": "step_id",
    "task_run_external_id": "step_run_id",
    "action_id": "action_name",
    "action_payload": "payload",
    "task_name": "step_name",
    "retry_count": "retry_count",
    "additional_metadata": "additional_metadata",
    "child_workflow_index": "child_workflow_index",
    "child_workflow_key": "child_workflow_key",
    "parent_workflow_run_id": "parent_workflow_run_id",
    "workflow_id": "workflow_id",
    "workflow_version_id": "workflow_version_id",
    "triggering_event_external_id": "triggering_event_external_id",
    "triggering_event_key": "triggering_event_key",
}


class Worker:
    def __init__(self, program, workflows):
        config = ClientConfig()
        channel = new_conn(config, False)
        self.credentials = [("authorization", f"bearer {config.token}")]
        self.dispatcher = dispatcher_pb2_grpc.DispatcherStub(channel)
        self.runs = workflows_pb2_grpc.WorkflowServiceStub(channel)
        self.events = events_pb2_grpc.EventsServiceStub(channel)
        self.program = program
        self.workflows = workflows
        self.cancelled = {}  # an event for each task run that can be cancelled
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=20)
        self.id = self.dispatcher.Register(
            dispatcher_pb2.WorkerRegisterRequest(
                worker_name="interop-c",
                actions=list(workflows),
                services=["default"],
                slot_config={"default": 20, "durable": 20},
            ),
            metadata=self.credentials,
        ).worker_id

    def fields(self, action):
        given = {"worker_id": self.id, "workflow_name": self.workflows[action.action_id]}
        for member, name in MEMBERS.items():
            field = action.DESCRIPTOR.fields_by_name[member]
            if not field.has_presence or action.HasField(member):
                given[name] = getattr(action, member)
        content = json.loads(action.action_payload or "{}").get("input") or {}
        given["input"] = json.dumps(content, separators=(",", ":"))
        given["message"] = content.get("message", "")
        return [f"{name}={value}" for name, value in given.items()]

    def start(self, command, action):
        return subprocess.Popen(
            [self.program, command, *self.fields(action)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, action, kind, payload="{}"):
        self.dispatcher.SendStepActionEvent(
            dispatcher_pb2.StepActionEvent(
                worker_id=self.id,
                job_id=action.job_id,
                job_run_id=action.job_run_id,
                task_id=action.task_id,
                task_run_external_id=action.task_run_external_id,
                action_id=action.action_id,
                event_timestamp=proto_timestamp_now(),
                event_type=f"STEP_EVENT_TYPE_{kind}",
                event_payload=payload,
                retry_count=action.retry_count,
            ),
            metadata=self.credentials,
        )

    def run_child(self, action, said):
        """The child inherits its parent's metadata, as the SDK arranges it."""
        inherited = json.loads(action.additional_metadata or "{}")
        self.runs.TriggerWorkflow(
            TriggerWorkflowRequest(
                name=said["run"],
                input=json.dumps(said["input"]),
                parent_id=action.workflow_run_id,
                parent_task_run_external_id=action.task_run_external_id,
                child_index=0,
                additional_metadata=json.dumps(inherited | said["metadata"]),
            ),
            metadata=self.credentials,
        )

    def push(self, said):
        self.events.Push(
            events_pb2.PushEventRequest(
                key=said["push"],
                payload=json.dumps(said["payload"]),
                event_timestamp=proto_timestamp_now(),
                additional_metadata=json.dumps(said["metadata"]),
            ),
            metadata=self.credentials,
        )

    def run(self, action):
        stop = self.cancelled.setdefault(action.task_run_external_id, threading.Event())
        self.tell(action, "STARTED")
        task = self.start("task", action)
        for line in task.stdout:
            said = json.loads(line)
            if "end" in said:
                break
            if "run" in said:
                self.run_child(action, said)
            elif "push" in said:
                self.push(said)
            elif "wait" in said:
                time.sleep(said["wait"])
            elif "stop" in said:
                stop.wait()
            task.stdin.write("ok\n")
            task.stdin.flush()
        else:
            raise EOFError(f"{action.action_id} ended with {task.wait()}")
        # The engine learns of the end when the spans are there.
        status = task.wait()
        if status != 0:
            raise RuntimeError(f"{action.action_id} ended with {status}")
        if said["end"] == "succeeded":
            self.tell(action, "COMPLETED", json.dumps({"step": action.task_name}))
        elif said["end"] == "failed":
            self.tell(action, "FAILED", "the first attempt fails")

    def cancel(self, action):
        self.start("cancel", action).wait()
        self.cancelled[action.task_run_external_id].set()

    def guarded(self, what, action):
        try:
            what(action)
        except Exception as error:  # a thread must not end in silence
            print(f"{action.action_id}: {error!r}", file=sys.stderr, flush=True)

    def beat(self):
        while True:
            self.dispatcher.Heartbeat(
                dispatcher_pb2.HeartbeatRequest(
                    worker_id=self.id, heartbeat_at=proto_timestamp_now()
                ),
                metadata=self.credentials,
            )
            time.sleep(HEARTBEAT_SECONDS)

    def listen(self):
        request = dispatcher_pb2.WorkerListenRequest(worker_id=self.id)
        for action in self.dispatcher.ListenV2(request, metadata=self.credentials):
            starts = action.action_type == dispatcher_pb2.START_STEP_RUN
            self.pool.submit(self.guarded, self.run if starts else self.cancel, action)


def main(program, *pairs):
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a background job of a shell ignores it
    worker = Worker(program, dict(pair.split("=") for pair in pairs))
    threading.Thread(target=worker.beat, daemon=True).start()
    worker.listen()


if __name__ == "__main__":
    main(*sys.argv[1:])
