"""pipeline.py - the Python side of pipeline.c. It needs nothing but Python.

Run by itself it plays the worker, with a task that nobody has assigned:

    cc -I. -shared -fPIC examples/python_extension/pipeline.c -o build/examples/pipeline.so \\
        -pthread && python3 examples/python_extension/pipeline.py
"""

import atexit
import ctypes
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(HERE, "..", "..", "build", "examples", "pipeline.so")

TEXTS = (
    "metadata",
    "workflow_name",
    "step_name",
    "action_name",
    "workflow_run_id",
    "step_run_id",
    "step_id",
    "workflow_id",
    "workflow_version_id",
    "worker_id",
    "tenant_id",
    "payload",
    "parent_workflow_run_id",
    "child_workflow_key",
    "triggering_event_external_id",
    "triggering_event_key",
)


class Task(ctypes.Structure):
    """What C has to know of the task that calls it: pipeline_task."""

    _fields_ = [(name, ctypes.c_char_p) for name in TEXTS] + [
        ("child_workflow_index", ctypes.POINTER(ctypes.c_int32)),
        ("retry_count", ctypes.c_int32),
    ]

    def __init__(self, carrier, retry_count=0, child_workflow_index=None, **texts):
        """carrier: what OpenTelemetry's propagator has injected, {"traceparent": ...}."""
        texts["metadata"] = json.dumps(carrier)
        known = {name: text.encode() for name, text in texts.items() if text}
        super().__init__(retry_count=retry_count, **known)
        if child_workflow_index is not None:
            self.child_workflow_index = ctypes.pointer(ctypes.c_int32(child_workflow_index))


class Pipeline:
    def __init__(self, path=None):
        self.library = ctypes.CDLL(path or os.environ.get("PIPELINE", LIBRARY))
        self.library.pipeline_error.restype = ctypes.c_char_p
        self.library.pipeline_median.restype = ctypes.c_bool
        self.library.pipeline_median.argtypes = [
            ctypes.POINTER(Task),
            ctypes.POINTER(ctypes.c_double),
            ctypes.c_size_t,
            ctypes.POINTER(ctypes.c_double),
        ]
        self.complain("pipeline_start", self.library.pipeline_start())
        atexit.register(self.stop)

    def complain(self, what, result):
        if result:
            text = self.library.pipeline_error(result).decode()
            print(f"{what}: {text}", file=sys.stderr)
        return result

    def stop(self):
        """Delivers what has not been delivered. Once is enough."""
        atexit.unregister(self.stop)
        return self.complain("pipeline_stop", self.library.pipeline_stop(5000))

    def median(self, task, values):
        """ctypes lets other Python threads run while C works."""
        numbers = (ctypes.c_double * len(values))(*values)
        median = ctypes.c_double()
        found = self.library.pipeline_median(
            ctypes.byref(task), numbers, len(values), ctypes.byref(median)
        )
        if not found:
            raise ValueError("no median of no values")
        return median.value


def main():
    task = Task(
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        retry_count=1,
        child_workflow_index=0,
        payload='{"input": {"values": [3, 1, 4, 1, 5, 9]}}',
        workflow_name="python-extension",
        step_name="python-extension",
        action_name="python-extension:python-extension",
        workflow_run_id="f47ac10b-58cc-4372-a567-0e02b2c3d479",
        step_run_id="f47ac10b-58cc-4372-a567-0e02b2c3d479",
    )
    pipeline = Pipeline()
    print(pipeline.median(task, [3, 1, 4, 1, 5, 9]))
    try:
        pipeline.median(task, [])
    except ValueError as error:
        print(error)
    return 1 if pipeline.stop() else 0


if __name__ == "__main__":
    sys.exit(main())
