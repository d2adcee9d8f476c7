"""worker.py - a Hatchet worker in Python with a task that works in C: pipeline.c, by pipeline.py. In
the trace of a run the C library's spans hang under the task's span.

    pip install 'hatchet-sdk[otel]'
    cc -I. -shared -fPIC examples/python_extension/pipeline.c -o build/examples/pipeline.so -pthread
    HATCHET_CLIENT_TOKEN=... python3 examples/python_extension/worker.py

    HATCHET_CLIENT_TOKEN=... python3 examples/python_extension/worker.py run     in another terminal
"""

import json
import sys

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.opentelemetry.instrumentor import HatchetInstrumentor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel

import pipeline

NAME = "python-extension"


class Numbers(BaseModel):
    values: list[float]


class Median(BaseModel):
    median: float


def task_of(context):
    """The task that runs, and the span that is current, as C wants to know them."""
    carrier = {}
    TraceContextTextMapPropagator().inject(carrier)
    action = context.action
    return pipeline.Task(
        carrier,
        retry_count=action.retry_count,
        workflow_name=NAME,
        step_name=action.step_name,
        action_name=action.action_id,
        workflow_run_id=action.workflow_run_id,
        step_run_id=action.step_run_id,
        step_id=action.step_id,
        workflow_id=action.workflow_id,
        workflow_version_id=action.workflow_version_id,
        worker_id=action.worker_id,
        tenant_id=action.tenant_id,
        payload=json.dumps(action.action_payload.model_dump(), default=str),
        parent_workflow_run_id=action.parent_workflow_run_id,
        child_workflow_key=action.child_workflow_key,
        child_workflow_index=action.child_workflow_index,
        triggering_event_external_id=action.triggering_event_external_id,
        triggering_event_key=action.triggering_event_key,
    )


def make(hatchet):
    """Registers the task; returns what a worker takes as its workflow."""
    library = pipeline.Pipeline()

    @hatchet.task(name=NAME, input_validator=Numbers)
    def median(task_input: Numbers, context: Context) -> Median:
        return Median(median=library.median(task_of(context), task_input.values))

    return median


def main():
    HatchetInstrumentor().instrument()
    hatchet = Hatchet()
    median = make(hatchet)
    if sys.argv[1:] == ["run"]:
        print(median.run(Numbers(values=[3, 1, 4, 1, 5, 9])))
    else:
        hatchet.worker("python-extension", workflows=[median]).start()


if __name__ == "__main__":
    main()
