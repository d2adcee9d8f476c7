# SPDX-License-Identifier: MIT
"""Each operation of a Hatchet client, performed by Hatchet's SDKs for Python, Go and TypeScript
(sdks/) and by the library (operations.c), with the same inputs, against fake_hatchet.py. The spans
are compared attribute by attribute. What differs from the Python SDK has to be among DIFFERENCES,
each of which has to be found; what is found makes docs/hatchet-comparison.md, which has to be the
committed one: `make comparison` renews it."""

import dataclasses
import json
import os
import pathlib
import threading

import fake_hatchet
import harness

NEEDS_COLLECTOR = False

SDKS = harness.ROOT / "tests" / "interop" / "sdks"
DOCUMENT = harness.ROOT / "docs" / "hatchet-comparison.md"
OURS, PYTHON = "here", "Python"
SECONDS = 180  # that a program may take
INDIVIDUAL = "runs with spans of their own"
KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUSES = ["UNSET", "OK", "ERROR"]
ABSENT = ("absent",)
NOT_RUN = ("not run",)
TASK, RUN, EVENT = "hatchet.start_step_run", "hatchet.run_workflow", "hatchet.push_event"


@dataclasses.dataclass
class Operation:
    name: str  # as the programs know it
    title: str
    spans: tuple  # names of the spans that are compared
    beside: tuple = ()  # of those that are not: the same as in another operation
    note: str = ""


OPERATIONS = [
    Operation("task", "A task succeeds", (TASK,)),
    Operation("task that fails", "A task fails", (TASK,)),
    Operation("task tried again", "The first retry of a task, as the fourth child", (TASK,)),
    Operation(
        "task that is cancelled", "A task is cancelled", (TASK, "hatchet.cancel_step_run")
    ),
    Operation("run", "A run is triggered", (RUN,)),
    Operation("run that is refused", "A run is triggered, and refused", (RUN,)),
    Operation(
        "runs",
        "Three runs of two workflows in one call",
        ("hatchet.run_workflows", RUN),
        note="Go: of one workflow, as its call takes them; it knows no setting for the spans.",
    ),
    Operation(INDIVIDUAL, "The same with a span for each", ("hatchet.run_workflows", RUN)),
    Operation("schedule", "A run is scheduled", ("hatchet.schedule_workflow",)),
    Operation("event", "An event is pushed", (EVENT,)),
    Operation(
        "events",
        "Three events of two keys in one call",
        ("hatchet.bulk_push_event",),
        note="TypeScript: of one key, as its call takes them.",
    ),
    Operation("wait", "A durable task waits", ("hatchet.durable.wait_for",), (TASK,)),
    Operation("child", "A task spawns a child", (RUN,), (TASK,)),
    Operation("event in a task", "A task pushes an event without payload", (EVENT,), (TASK,)),
]


# ---- differences that are meant ----------------------------------------------------------------


def json_of(value):
    try:
        return json.loads(value[1])
    except (IndexError, TypeError, ValueError):
        return None


def same_json(theirs, ours):
    return json_of(ours) is not None and json_of(theirs) == json_of(ours)


def part_of(theirs, ours):
    """What is ours is in theirs too, which has more members."""
    theirs, ours = json_of(theirs), json_of(ours)
    return isinstance(ours, dict) and isinstance(theirs, dict) and ours.items() <= theirs.items()


def as_set(theirs, ours):
    """Theirs is Python's way to write a set of the names that are ours."""
    text = json_of(theirs)
    names = text.strip("{}")[1:-1].split("', '") if isinstance(text, str) else []
    return sorted(json_of(ours)) == sorted(names)


def pair(theirs, ours):
    return lambda *values: values == (theirs, ours)


@dataclasses.dataclass
class Difference:
    """Here from the Python SDK, in these properties if the pair of values is such a one."""

    reason: str
    properties: tuple
    such: object = None
    operations: tuple = ()  # none: any

    def covers(self, operation, name, theirs, ours):
        return (
            name in self.properties
            and (not self.operations or operation in self.operations)
            and (self.such is None or self.such(theirs, ours))
        )


ZERO = ("int", 0)
INPUTS = json.loads((SDKS / "inputs.json").read_text(encoding="utf-8"))
REFUSED = ("run that is refused",)
DIFFERENCES = [
    Difference("each library names itself", ("scope",)),
    Difference(
        "what is known is sent, zero too",
        ("hatchet.retry_count", "hatchet.child_workflow_index", "hatchet.child_index"),
        pair(ABSENT, ZERO),
    ),
    Difference(
        "the workflow's name; the Python SDK puts the task's there",
        ("hatchet.workflow_name",),
        lambda theirs, ours: ours == ("string", INPUTS["workflow_name"])
        and theirs == ("string", INPUTS["step_name"]),
    ),
    Difference(
        "success is stated",
        ("status",),
        pair(("UNSET",), ("OK",)),
    ),
    Difference(
        "the payload as it came, without members that are always empty",
        ("hatchet.payload",),
        lambda theirs, ours: part_of(theirs, ours) and not same_json(theirs, ours),
    ),
    Difference(
        "the same JSON as the user gave it, not written anew",
        ("hatchet.payload", "hatchet.additional_metadata"),
        same_json,
    ),
    Difference(
        "a JSON array, in the order of first appearance; the Python SDK writes a set as a string",
        ("hatchet.unique_workflow_names", "hatchet.unique_event_keys"),
        as_set,
    ),
    Difference(
        "under the task that waits, not beside it",
        ("parent",),
        pair(("the metadata's traceparent",), ("the task's span",)),
        ("wait",),
    ),
    Difference(
        "in the run's trace: a trace of its own would become the one that the dashboard shows",
        ("parent",),
        pair(("none",), ("the metadata's traceparent",)),
        ("task that is cancelled",),
    ),
    Difference(
        "how many conditions there are; the Python SDK counts its arguments",
        ("hatchet.num_conditions",),
        pair(("int", 2), ("int", 1)),
    ),
    Difference(
        "OpenTelemetry has deprecated it",
        ("exception.escaped",),
        pair(("string", "False"), ABSENT),
    ),
    Difference(
        "what the client says of the failure; an exception of Python's gRPC is not what C has",
        ("status", "exception.type", "exception.message"),
        lambda theirs, ours: "InactiveRpcError" in theirs[1] and "InactiveRpcError" not in ours[1],
        REFUSED,
    ),
    Difference(
        "the program gave none",
        ("exception.stacktrace",),
        pair(("string", "(a stack trace)"), ABSENT),
        REFUSED,
    ),
]


# ---- capture -----------------------------------------------------------------------------------


@dataclasses.dataclass
class Sdk:
    name: str
    version: str
    command: list
    settings: dict = dataclasses.field(default_factory=dict)
    missing: str = ""  # why it cannot run here
    works: bool = False  # its tasks run in a worker, to which they are assigned


def pinned(kind, package):
    for line in (SDKS.parent / "versions.txt").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:2] == [kind, package]:
            return words[2]
    raise KeyError(package)


def sdks():
    inputs = SDKS / "inputs.json"
    python = [harness.INTEROP / "sdk" / "bin" / "python", SDKS / "python.py", inputs]
    given = [f"{name}={value}" for name, value in INPUTS.items()]
    return [
        Sdk(PYTHON, pinned("sdk", "hatchet-sdk"), python, {"PYTHONHASHSEED": "0"}),
        Sdk(
            "Go",
            pinned("engine", "github.com/hatchet-dev/hatchet"),
            [harness.INTEROP / "gosdk" / "operations", inputs],
            missing=os.environ.get("INTEROP_NO_GOSDK", ""),
            works=True,
        ),
        Sdk(
            "TypeScript",
            pinned("npm", "@hatchet-dev/typescript-sdk"),
            ["node", SDKS / "typescript.js", inputs],
            {
                "NODE_PATH": str(harness.INTEROP / "node" / "node_modules"),
                "HATCHET_CLIENT_RETRIER_MAX_ATTEMPTS": "1",  # it tries again what is refused
            },
            os.environ.get("INTEROP_NO_NODE", ""),
        ),
        Sdk(OURS, "", [harness.INTEROP / "operations", *given]),
    ]


@dataclasses.dataclass
class Result:
    """Of one operation of one SDK: properties of each span by its name, or why there are none."""

    spans: dict
    reason: str = ""


def perform(sdk, names, **settings):
    """The answers and what arrived, by operation."""
    log = harness.OUTPUT / f"sdk-{sdk.name}.log"
    hatchet = fake_hatchet.Hatchet(INPUTS)
    program = harness.Conversation(
        sdk.command, log, **hatchet.settings(), **sdk.settings, **settings
    )
    watchdog = threading.Timer(SECONDS, program.child.kill)
    watchdog.start()
    came = {}
    for name in names:
        hatchet.refusing = name in REFUSED
        program.say(name)
        if sdk.works:
            assign(hatchet, program, name)
        answer = program.hear()
        came[name] = (answer, *hatchet.taken())
    code = program.end()
    watchdog.cancel()
    hatchet.stop()
    if code != 0:
        raise RuntimeError(f"{sdk.name}: exit code {code}, see {log}")
    return came


TASKS = {  # what is special about the action that is assigned
    "task": {},
    "task that fails": {},
    "task tried again": {"retry_count": 1, "child_index": 3},
    "task that is cancelled": {},
    "wait": {"name": "approve"},
    "child": {},
    "event in a task": {},
}


def assign(hatchet, program, name):
    if name not in TASKS:
        return
    hatchet.assign(**TASKS[name])
    if name == "task that is cancelled":
        program.hear()  # that it has started
        hatchet.assign(cancel=True)


def capture(sdk):
    (harness.OUTPUT / f"sdk-{sdk.name}.log").unlink(missing_ok=True)
    if sdk.missing:
        return {operation.name: Result({}, sdk.missing) for operation in OPERATIONS}
    names = [operation.name for operation in OPERATIONS if operation.name != INDIVIDUAL]
    came = perform(sdk, names)
    flag = {"HATCHET_CLIENT_OPENTELEMETRY_INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN": "true"}
    came |= perform(sdk, [INDIVIDUAL], **flag)
    return {operation.name: result_of(operation, *came[operation.name]) for operation in OPERATIONS}


def result_of(operation, answer, spans, requests):
    if not answer.endswith("done"):
        return Result({}, answer.removeprefix("not run: "))
    names = {span["span_id"]: span["name"] for span in spans}
    unknown = set(names.values()) - {*operation.spans, *operation.beside, "caller"}
    if unknown:
        raise ValueError(f"{operation.name}: spans that nobody expects: {unknown}")
    found = {name: [] for name in operation.spans}
    parents, sources = fake_hatchet.carried(requests + answer)
    for span in spans:
        if span["name"] in found:
            count = sum(parent == span["span_id"] for parent in parents)
            found[span["name"]].append(properties(span, names, count, sources))
    for name in found:  # of each name in an order that does not hang on threads
        found[name].sort(key=lambda span: sorted(span.items()))
    return Result(found)


def properties(span, names, count, sources):
    parent = span["parent_span_id"]
    code, text = span["status"]
    result = {
        "name": ("name", span["name"]),
        "kind": ("kind", KINDS[span["kind"]]),
        "scope": ("scope", span["scope"][0]),
        "parent": (parent_name(parent, names),),
        "status": (STATUSES[code], first_line(text)) if text else (STATUSES[code],),
    }
    result |= span["attributes"]
    for event, _, attributes, _ in span["events"]:
        for key, (kind, value) in attributes.items():
            shown = "(a stack trace)" if key.endswith("stacktrace") else first_line(value)
            result[key if event == "exception" else f"{event}: {key}"] = (kind, shown)
    if span["kind"] == KINDS.index("PRODUCER"):
        result["traceparents sent"] = ("sent", count)
        if sources:
            result["source run sent"] = ("sent", ", ".join(sources))
    return result


def parent_name(parent, names):
    if not parent:
        return "none"
    if parent == INPUTS["task_traceparent"].split("-")[2]:
        return "the metadata's traceparent"
    known = {TASK: "the task's span", "caller": "the program's span"}
    return known.get(names[parent], names[parent])


def first_line(text):
    """Of a text that goes on with addresses and times."""
    line, rest, _ = text.partition("\n")
    return line + " ..." if rest else line


# ---- comparison --------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    name: str
    values: dict  # by SDK
    reason: str = ""


@dataclasses.dataclass
class Table:
    operation: Operation
    span: str
    rows: list
    times: int = 1


def reason_of(operation, name, theirs, ours, used):
    for index, difference in enumerate(DIFFERENCES):
        if difference.covers(operation.name, name, theirs, ours):
            used.add(index)
            return difference.reason
    return ""


def tables(results, problems):
    """All tables; adds to the problems what is not announced, and what is and does not differ."""
    made, used = [], set()
    for operation in OPERATIONS:
        of = {sdk: result[operation.name] for sdk, result in results.items()}
        for span in operation.spans:
            count = max(len(result.spans.get(span, ())) for result in of.values())
            for index in range(count):
                table = Table(operation, span, rows(operation, span, index, of, used, problems))
                same = [t for t in made if t.operation == operation and t.rows == table.rows]
                if same:
                    same[0].times += 1
                else:
                    made.append(table)
    for index, difference in enumerate(DIFFERENCES):
        if index not in used:
            problems.append(f"announced and not found: {difference.reason}")
    return made


def rows(operation, span, index, of, used, problems):
    found, keys = {}, {}
    for sdk, result in of.items():
        spans = result.spans.get(span, ())
        found[sdk] = spans[index] if index < len(spans) else {}
        keys |= dict.fromkeys(found[sdk])
    # As they come, with the counts of what was sent at the end.
    order = sorted(keys, key=lambda key: (key.endswith(" sent"), key.startswith("exception")))
    made = []
    for name in order:
        values = {}
        for sdk, result in of.items():
            values[sdk] = NOT_RUN if result.reason else found[sdk].get(name, ABSENT)
        theirs, ours = values[PYTHON], values[OURS]
        reason = ""
        if theirs != ours:
            reason = reason_of(operation, name, theirs, ours, used)
            if not reason:
                problems.append(f"{operation.name}: {name}: Python {theirs}, here {ours}")
        elif any(value not in (ours, NOT_RUN) for value in values.values()):
            reason = "as the Python SDK"
        made.append(Row(name, values, reason))
    return made


# ---- document ----------------------------------------------------------------------------------


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def cell(value):
    if value == ABSENT:
        return "-"
    if value == NOT_RUN:
        return "not run"
    if len(value) == 1:
        return value[0]
    kind, content = value
    if kind == "string":
        return code(content) if content else "(empty)"
    if kind in ("int", "bool"):
        return f"{code(str(content).lower())} {kind}"
    if kind == "ERROR":
        return f"ERROR, {code(content)}"
    return code(str(content))


HEAD = """# Beside Hatchet's SDKs

Written by `make comparison`; not edited by hand. Each operation is performed by Hatchet's SDKs,
with their own instrumentation, and by this library, with the same inputs, against a server that
keeps the spans; `make interop` does it again and fails where what it finds is not what stands here.
A value without a type is a string, `-` is an attribute that is not there.
"""


def document(all_sdks, results, made):
    lines = [HEAD, "| SDK | Version |", "|---|---|"]
    lines += [f"| {sdk.name} | {sdk.version} |" for sdk in all_sdks if sdk.version]
    lines += ["", "## Where this library differs from the Python SDK", ""]
    lines += ["| What | Why | Operations |", "|---|---|---|"]
    for difference in DIFFERENCES:
        concerned = [
            table.operation.title
            for table in made
            for row in table.rows
            if row.reason == difference.reason
        ]
        keys = ", ".join(code(name) for name in difference.properties)
        where = "all" if len(set(concerned)) == len(OPERATIONS) else ""
        where = where or ", ".join(dict.fromkeys(concerned))
        lines.append(f"| {keys} | {difference.reason} | {where} |")
    for operation in OPERATIONS:
        lines += ["", f"## {operation.title}"] + (["", operation.note] if operation.note else [])
        reasons = {sdk: result[operation.name].reason for sdk, result in results.items()}
        lines += [f"\n{sdk}, not run: {reason}." for sdk, reason in reasons.items() if reason]
        for table in made:
            if table.operation is operation:
                lines += table_lines(table, [sdk.name for sdk in all_sdks])
    return "\n".join(lines) + "\n"


def table_lines(table, names):
    times = f", {table.times} times" if table.times > 1 else ""
    lines = ["", f"### {code(table.span)}{times}", ""]
    lines.append(f"| | {' | '.join(names)} | Why |")
    lines.append("|---" * (len(names) + 2) + "|")
    for row in table.rows:
        if row.name == "name":
            continue
        cells = " | ".join(cell(row.values[name]) for name in names)
        lines.append(f"| {row.name} | {cells} | {row.reason} |")
    return lines


def check(tap):
    all_sdks = sdks()
    results = {}
    for sdk in all_sdks:
        results[sdk.name] = capture(sdk)
        reasons = [f"{name}: {r.reason}" for name, r in results[sdk.name].items() if r.reason]
        if sdk.missing:
            tap.skip(f"the operations of {sdk.name}", sdk.missing)
        else:
            tap.ok(len(reasons) < len(OPERATIONS), f"the operations of {sdk.name}", *reasons)
    problems = []
    made = tables(results, problems)
    tap.none(problems, "what differs from the Python SDK is announced, what is announced differs")
    text = document(all_sdks, results, made)
    if any(sdk.missing for sdk in all_sdks):
        tap.skip("docs/hatchet-comparison.md is what was found", "not all SDKs are here")
        return
    if os.environ.get("INTEROP_RENEW"):
        DOCUMENT.write_text(text, encoding="utf-8")
    pathlib.Path(harness.OUTPUT / DOCUMENT.name).write_text(text, encoding="utf-8")
    committed = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    tap.none(
        changes(committed, text), "docs/hatchet-comparison.md is what was found (make comparison)"
    )


def changes(committed, found):
    if committed == found:
        return []
    old, new = committed.splitlines(), found.splitlines()
    gone = [f"-{line}" for line in old if line not in new]
    return (gone + [f"+{line}" for line in new if line not in old])[:40] or ["the order of lines"]
