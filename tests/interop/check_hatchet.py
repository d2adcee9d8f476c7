# SPDX-License-Identifier: MIT
"""Runs of Hatchet on its real engine, in one trace whoever takes part: Hatchet's Python SDK alone,
C that triggers, pushes events and is called by Python's tasks, and C in the place of the SDK.
worker_sdk.py is the SDK, hatchet.c what C does, worker_c.py the worker whose tasks are in C."""

import json
import os
import re
import signal
import time

import engine
import harness

NEEDS_COLLECTOR = False

SECONDS = 60  # for what takes a second on a machine that is not busy
HERE = harness.ROOT / "tests" / "interop"
PYTHON = harness.INTEROP / "sdk" / "bin" / "python"
PROGRAM = harness.INTEROP / "hatchet"
EXTENSION = harness.INTEROP / "extension.so"

SIMPLE, DAG, PARENT = "interop-simple", "interop-dag", "interop-parent"
RETRIED, STUCK, WAITING, NATIVE, PUSHING = (
    "interop-retried",
    "interop-stuck",
    "interop-waiting",
    "interop-native",
    "interop-pushing",
)
EVENT = "interop:ordered"
METADATA = {"requested_by": "interop", "unicode": "ünï"}

# Of each run: its input, and how many spans its trace has. The first four are those of Hatchet's
# own live test.
RUNS = {
    SIMPLE: ({"message": "hello"}, 6),
    "event": ({"message": "hello"}, 7),
    DAG: ({}, 25),
    PARENT: ({"message": "hello"}, 12),
    RETRIED: ({}, 10),
    WAITING: ({}, 6),
    PUSHING: ({"message": "hello"}, 12),
}
STEPS = ("load", "check", "convert", "store")
ALONE = (SIMPLE, PARENT, RETRIED, STUCK, WAITING, PUSHING)
ACTIONS = {f"{name}:{name}": name for name in ALONE} | {f"{DAG}:{step}": DAG for step in STEPS}


class Live:
    """The engine, the SDK's client, and the worker of the moment."""

    def __init__(self, hatchet):
        self.hatchet = hatchet
        self.engine = engine.Engine(hatchet, "live", port=hatchet.engine_port)
        self.settings = {
            "HATCHET_CLIENT_TOKEN": self.engine.token,
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
            "OTEL_SERVICE_NAME": "interop",
        }
        self.worker = None
        self.client = harness.Conversation(
            [PYTHON, HERE / "worker_sdk.py", "client"],
            harness.OUTPUT / "hatchet-client.log",
            **self.settings,
        )

    def start_worker(self, name, *arguments):
        log = harness.OUTPUT / f"hatchet-{name}.log"
        log.unlink(missing_ok=True)
        known = {worker["metadata"]["id"] for worker in self.workers()}
        self.worker = harness.Process(
            [PYTHON, HERE / arguments[0], *arguments[1:]],
            log,
            EXTENSION=str(EXTENSION),
            **self.settings,
        )

        def ready():
            if not self.worker.running():
                raise RuntimeError(f"the worker ended:\n{self.worker.tail()}")
            return any(worker["metadata"]["id"] not in known for worker in self.workers())

        harness.wait_until(ready, SECONDS, f"the worker's start (see {log})")

    def workers(self):
        return self.hatchet.get(f"tenants/{engine.TENANT}/worker").get("rows") or []

    def stop(self):
        if self.worker:  # if the checks did not get so far as to end it
            self.worker.stop(signal.SIGQUIT)
        self.client.end()

    # ---- what Python does ----

    def ask(self, do, **content):
        return json.loads(self.client.ask(json.dumps({"do": do, **content})))

    def run(self, workflow, content):
        """Triggers a run by the SDK; returns its ID."""
        return self.ask("run", workflow=workflow, input=content, metadata=METADATA)["run_id"]

    def push(self, content):
        """Pushes the event by the SDK; returns the event's ID."""
        return self.ask("push", key=EVENT, payload=content, metadata=METADATA)["event_id"]

    # ---- what C does, with a client for the call itself ----

    def c(self, command, call, **fields):
        """One operation of hatchet.c around a call that takes its metadata."""
        program = harness.Conversation(
            [PROGRAM, command, *(f"{name}={value}" for name, value in fields.items())],
            harness.OUTPUT / "hatchet-c.log",
            **self.settings,
        )
        result = call(json.loads(program.hear())["metadata"])
        program.say("ok")
        status = program.end()
        if status != 0:
            raise RuntimeError(f"hatchet {command} ended with {status}")
        return result

    def c_run(self, workflow, content):
        """C makes span and metadata, Hatchet's API takes the trigger."""
        return self.c(
            "trigger",
            lambda metadata: self.post_run(workflow, content, metadata),
            workflow_name=workflow,
            payload=json.dumps(content, separators=(",", ":")),
            additional_metadata=json.dumps(METADATA),
        )

    def c_push(self, content):
        """The API refuses events: a client of gRPC pushes it with C's metadata."""

        def call(metadata):
            return self.ask(
                "send", key=EVENT, payload=json.dumps(content), metadata=json.dumps(metadata)
            )["event_id"]

        return self.c(
            "push",
            call,
            event_key=EVENT,
            payload=json.dumps(content),
            additional_metadata=json.dumps(METADATA),
        )

    def c_ids(self, **fields):
        """What C makes of a run's IDs."""
        arguments = [f"{name}={value}" for name, value in fields.items()]
        return json.loads(harness.run([PROGRAM, "ids", *arguments]).stdout)

    # ---- what the engine does and knows ----

    def post_run(self, workflow, content, metadata):
        """Triggers a run by Hatchet's API; returns its ID."""
        details = self.hatchet.post(
            f"stable/tenants/{engine.TENANT}/workflow-runs/trigger",
            {
                "workflowName": workflow,
                "input": content,
                "additionalMetadata": metadata,
                "return_only_id": True,
            },
        )
        return details["run"]["metadata"]["id"]

    def run_of(self, event_id):
        """The run that an event triggered."""
        found = []

        def there():
            found[:] = self.hatchet.get(
                f"stable/tenants/{engine.TENANT}/workflow-runs",
                since="2020-01-01T00:00:00Z",
                only_tasks="true",
                triggering_event_external_id=event_id,
            ).get("rows", [])
            return found

        harness.wait_until(there, SECONDS, "the run of an event")
        return found[0]["taskExternalId"]

    @staticmethod
    def patience(there):
        """Waits for spans. The checks say which are missing; what is too many has a second more."""
        try:
            harness.wait_until(there, SECONDS, "spans")
        except TimeoutError:
            pass
        time.sleep(1)

    def traces(self, wanted):
        """The rows of some runs, each of which wants a number of them."""

        def there():
            return all(len(self.hatchet.trace_of(run)) >= count for run, count in wanted.values())

        self.patience(there)
        return {name: self.hatchet.trace_of(run) for name, (run, _) in wanted.items()}


# ---- two traces of the same kind ---------------------------------------------------------------


def label(row):
    """Tells the spans of a trace apart: name, task or workflow, attempt."""
    attributes = row.get("spanAttributes") or {}
    workflow = re.sub(r"-\d+$", "", attributes.get("hatchet.workflow_name", ""))
    step = attributes.get("hatchet.step_name", workflow)
    if row["spanName"] == "hatchet.run_workflow":
        step = workflow
    return f"{row['spanName']} {step} {row.get('retryCount', 0)}"


class Trace:
    """Spans by label, in which IDs of this run are replaced by what they stand for."""

    IDS = (
        "step_run_id",
        "workflow_run_id",
        "worker_id",
        "triggering_event_external_id",
        "event_id",
    )

    def __init__(self, rows):
        self.rows = rows
        self.labels = {row["spanId"]: label(row) for row in rows}
        self.meanings = {}
        for row in sorted(rows, key=label):
            for key in self.IDS:
                value = row["spanAttributes"].get(f"hatchet.{key}")
                if value:
                    self.meanings.setdefault(value, f"<{key} of {label(row)}>")
        self.spans = {label(row): self.described(row) for row in rows}

    def described(self, row):
        attributes = {
            key: self.meant(key, value) for key, value in row["spanAttributes"].items()
        }
        return {
            "kind": row["spanKind"],
            "status": (row["statusCode"], row.get("statusMessage", "")),
            "parent": self.labels.get(row.get("parentSpanId"), row.get("parentSpanId", "")),
            **attributes,
        }

    def meant(self, key, value):
        if key == "hatchet.payload" and "overrides" in value:
            # The dispatcher's text here, what Python's model of it writes there.
            return {name: part for name, part in json.loads(value).items() if part}
        if key == "hatchet.workflow_name":
            return re.sub(r"-\d{6,}$", "", value)
        for id_, meaning in self.meanings.items():
            value = value.replace(id_, meaning)
        return value

    def whole(self):
        """Problems: more than one trace, spans twice, a parent that is not there."""
        problems = [f"several traces: {self.labels}"] if self.num_traces() != 1 else []
        if len(self.labels) != len(self.rows) or len(self.spans) != len(self.rows):
            problems.append(f"not each once: {sorted(map(label, self.rows))}")
        ids = {row["spanId"] for row in self.rows}
        roots = [label(row) for row in self.rows if not row.get("parentSpanId")]
        if len(roots) != 1:
            problems.append(f"roots: {roots}")
        problems += [
            f"{label(row)} has a parent that is not there"
            for row in self.rows
            if row.get("parentSpanId") and row["parentSpanId"] not in ids
        ]
        return problems

    def num_traces(self):
        return len({row["traceId"] for row in self.rows})


# What the design announces to be other than in the SDK.
ZEROS = "what is known is sent, zeros included"
WORKFLOW = "hatchet.workflow_name of a task is the workflow's name, not the task's"
TASK_STATUS = "a task that succeeds has the status OK"
STATUS = "so has another operation that succeeds"
WAIT = "hatchet.durable.wait_for is under the task's span"
ANNOUNCED = {ZEROS, WORKFLOW, TASK_STATUS, STATUS, WAIT}


def announced(span, key, theirs, ours):
    """Which of them makes this difference; None: it is a fault."""
    name, step = span.split(" ")[:2]
    if key in ("hatchet.retry_count", "hatchet.child_workflow_index"):
        if (theirs, ours) == (None, "0"):
            return ZEROS
    elif key == "hatchet.workflow_name":
        if step in STEPS and (theirs, ours) == (step, DAG):
            return WORKFLOW
    elif key == "status" and (theirs, ours) == (("UNSET", ""), ("OK", "")):
        if name == "hatchet.start_step_run":
            return TASK_STATUS
        if name in ("hatchet.run_workflow", "hatchet.push_event", "hatchet.durable.wait_for"):
            return STATUS
    elif key == "parent" and name == "hatchet.durable.wait_for":
        if (theirs.split(" ")[0], ours.split(" ")[0]) == (
            "hatchet.run_workflow",
            "hatchet.start_step_run",
        ):
            return WAIT
    return None


def differences(theirs, ours):
    """Between two traces: what is a fault, and what was announced."""
    problems, choices = [], set()
    if theirs.spans.keys() != ours.spans.keys():
        problems.append(f"missing: {sorted(theirs.spans.keys() - ours.spans.keys())}")
        problems.append(f"not theirs: {sorted(ours.spans.keys() - theirs.spans.keys())}")
    for span in sorted(theirs.spans.keys() & ours.spans.keys()):
        left, right = theirs.spans[span], ours.spans[span]
        for key in sorted(left.keys() | right.keys()):
            pair = left.get(key), right.get(key)
            if pair[0] == pair[1]:
                continue
            choice = announced(span, key, *pair)
            if choice:
                choices.add(choice)
            else:
                problems.append(f"{span}: {key}: theirs {pair[0]!r}, ours {pair[1]!r}")
    return problems, choices


# ---- the checks --------------------------------------------------------------------------------


def perform(live, run, push):
    """Starts all runs, by the SDK or by C. Returns the event's ID, and of each run the ID and how
    many spans it wants."""
    runs = {name: run(name, content) for name, (content, _) in RUNS.items() if name != "event"}
    event = push(RUNS["event"][0])
    runs["event"] = live.run_of(event)
    return event, {name: (runs[name], count) for name, (_, count) in RUNS.items()}


def check_sets(tap, who, traces):
    for name, (_, count) in RUNS.items():
        trace = traces[name]
        tap.same(len(trace.rows), count, f"{name}, {who}: {count} spans")
        tap.none(trace.whole(), f"{name}, {who}: one trace, each span once, under one root")


def check_source(tap, live, who, run_id, trace):
    """The event that a task pushed names the task to the run that it triggered."""
    triggered = {
        row["spanAttributes"]["hatchet.workflow_run_id"]
        for row in trace.rows
        if row["spanName"] == "custom.child.span"
    }
    got = [
        live.hatchet.get(f"stable/workflow-runs/{run}")["run"]["additionalMetadata"]
        for run in triggered
    ]
    source = {
        "hatchet__source_workflow_run_id": run_id,
        "hatchet__source_step_run_id": run_id,
        "inside": "a task",
    }
    tap.ok(
        len(got) == 1 and got[0].items() >= source.items(),
        f"{who} says which task pushed an event",
        got,
        source,
    )


def check_native(tap, trace):
    """Spans of a C library that the Python task calls."""
    tap.none(trace.whole(), "Python's task calls C: one trace")
    python = f"custom.child.span {NATIVE} 0"
    outer, inner = f"native.outer {NATIVE} 0", f"native.inner {NATIVE} 0"
    if not tap.none({python, outer, inner} - trace.spans.keys(), "the spans of C are there"):
        return
    tap.same(trace.spans[outer]["parent"], python, "under the span of Python that is current")
    tap.same(trace.spans[inner]["parent"], outer, "and under each other")
    want = {
        key: value for key, value in trace.spans[python].items() if key.startswith("hatchet.")
    } | {"hatchet.retry_count": "0", "instrumentor": "hatchet"}
    for span, own in ((outer, {"input.message": "hello"}), (inner, {"native": "true"})):
        got = {
            key: value
            for key, value in trace.spans[span].items()
            if key not in ("kind", "parent", "status")
        }
        tap.same(got, want | own, f"{span.split()[0]} has the task's attributes")


CANCEL, TASK = "hatchet.cancel_step_run", "hatchet.start_step_run"


def cancel(live, run_id, wanted):
    """Waits until the task runs, and cancels it. Returns the rows of the run when so many of the
    spans of cancel and task are there."""

    def started():
        details = live.hatchet.get(f"stable/workflow-runs/{run_id}")
        return details and details["run"]["status"] == "RUNNING"

    harness.wait_until(started, SECONDS, "the start of a task")
    live.hatchet.post(f"stable/tenants/{engine.TENANT}/tasks/cancel", {"externalIds": [run_id]})

    def there():
        found = {row["spanName"] for row in live.hatchet.trace_of(run_id)}
        return len(found & {CANCEL, TASK}) >= wanted

    live.patience(there)
    return live.hatchet.trace_of(run_id)


def check_sdk(tap, live):
    """The SDK's worker: triggered by the SDK, by C, and with C inside. Returns the SDK's traces."""
    live.start_worker("worker-sdk", "worker_sdk.py", "worker")
    _, wanted = perform(live, live.run, live.push)
    c = {SIMPLE: RUNS[SIMPLE], PARENT: RUNS[PARENT], DAG: RUNS[DAG]}
    for name, (content, count) in c.items():
        wanted[f"C {name}"] = live.c_run(name, content), count
    event = live.c_push(RUNS["event"][0])
    wanted["native"] = live.run(NATIVE, {"message": "hello"}), 8
    stuck = live.run(STUCK, {})
    wanted["C event"] = live.run_of(event), RUNS["event"][1]
    captured = cancel(live, stuck, 1)
    traces = {name: Trace(rows) for name, rows in live.traces(wanted).items()}
    live.worker.stop(seconds=SECONDS)  # it tells the engine, which then looks for another

    check_sets(tap, "the SDK", traces)
    for name in (*c, "event"):
        problems, _ = differences(traces[name], traces[f"C {name}"])
        tap.none(problems, f"{name}: C triggers, Python runs: as if the SDK had triggered")
        tap.none(traces[f"C {name}"].whole(), f"{name}: C triggers, Python runs: one trace")
    check_source(tap, live, "the SDK", wanted[PUSHING][0], traces[PUSHING])
    check_native(tap, traces["native"])
    # Which of the two the lookup finds depends on what the SDK exports first.
    found = {row["spanName"] for row in captured} & {CANCEL, TASK}
    tap.same(len(found), 1, "a cancel by the SDK is in another trace than its task")
    return traces


def check_ids(tap, live, traces, event_id):
    """The engine's own spans have the IDs that C works out."""
    problems, checked = [], set()
    for run_id, trace in traces:
        for row in trace.rows:
            if not row["spanName"].startswith("hatchet.engine."):
                continue
            ids = live.c_ids(
                workflow_run_id=run_id,
                step_run_id=run_id,  # the same, for these
                retry_count=row["retryCount"],
                event_id=event_id,
            )
            checked.add(f"{row['spanName']} {row['retryCount']}")
            if ids[row["spanName"]] != row["spanId"]:
                problems.append(f"{label(row)}: engine {row['spanId']}, C {ids}")
    tap.none(problems, "the engine's own spans have the IDs that C works out")
    want = {f"hatchet.engine.{name} 0" for name in ("workflow_run", "queued", "start_step_run")}
    want |= {"hatchet.engine.queued 1", "hatchet.engine.start_step_run 1", "hatchet.engine.event 0"}
    tap.same(checked, want, "those of runs, events and retries")


def check_alone(tap, live, run_id, trace):
    """A run that nobody's span triggered: the engine begins the trace."""
    want = RUNS[SIMPLE][1] - 1
    tap.same(len(trace.rows), want, f"a run without a traceparent: {want} spans")
    tap.none(trace.whole(), "a run without a traceparent: one trace, each span once")
    trace_id = live.c_ids(workflow_run_id=run_id, step_run_id=run_id, event_id=run_id)["trace"]
    tap.same({row["traceId"] for row in trace.rows}, {trace_id}, "the one that C works out")


def check_c(tap, live, theirs):
    """C in the place of the SDK."""
    pairs = [f"{action}={workflow}" for action, workflow in ACTIONS.items()]
    live.start_worker("worker-c", "worker_c.py", PROGRAM, *pairs)
    event, wanted = perform(live, live.c_run, live.c_push)
    mixed = (SIMPLE, PARENT, DAG)
    wanted |= {f"SDK {name}": (live.run(name, RUNS[name][0]), RUNS[name][1]) for name in mixed}
    wanted["alone"] = live.post_run(SIMPLE, RUNS[SIMPLE][0], METADATA), RUNS[SIMPLE][1] - 1
    stuck = live.c_run(STUCK, {})
    cancelled = Trace(cancel(live, stuck, 2))
    traces = {name: Trace(rows) for name, rows in live.traces(wanted).items()}

    check_sets(tap, "C", traces)
    check_source(tap, live, "C", wanted[PUSHING][0], traces[PUSHING])
    seen = set()
    for name in RUNS:
        problems, choices = differences(theirs[name], traces[name])
        seen |= choices
        tap.none(problems, f"{name}: names, kinds, parents, attributes of C are the SDK's")
    tap.same(seen, ANNOUNCED, "but for what was announced, and all of that is so")
    for name in mixed:
        problems, _ = differences(theirs[name], traces[f"SDK {name}"])
        tap.none(problems, f"{name}: the SDK triggers, C runs: as if the SDK had run it")
    check_alone(tap, live, wanted["alone"][0], traces["alone"])
    named = (SIMPLE, "event", RETRIED)
    check_ids(tap, live, [(wanted[name][0], traces[name]) for name in named], event)
    check_cancelled(tap, cancelled)


def check_cancelled(tap, cancelled):
    tap.none(cancelled.whole(), "a cancel by C leaves the run's trace where the lookup finds it")
    spans = cancelled.spans
    tap.same(
        sorted(name.split()[0] for name in spans),
        sorted(
            [
                "hatchet.run_workflow",
                "hatchet.engine.workflow_run",
                "hatchet.engine.queued",
                "hatchet.engine.start_step_run",
                TASK,
                "stuck",
                CANCEL,
            ]
        ),
        "with all its spans",
    )
    task = spans.get(f"{TASK} {STUCK} 0", {})
    tap.same(task.get("status"), ("UNSET", ""), "a cancelled task has no status")


def check(tap):
    reason = os.environ.get("INTEROP_NO_ENGINE")
    if reason:
        tap.skip("hatchet", reason)
        return
    hatchet = engine.Hatchet()
    try:
        live = Live(hatchet)
        try:
            check_c(tap, live, check_sdk(tap, live))
        finally:
            live.stop()
    finally:
        hatchet.stop()
