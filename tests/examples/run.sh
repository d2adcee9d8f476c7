#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every example against `hatchet-otel serve` and checks the spans that arrive, by what the
# receiver wrote down: one line of OTLP/JSON per request.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

bin=build/examples
work=build/tap/examples
rm -rf "$work"
mkdir -p "$work" || exit 1

# The receiver ends by itself; if this script is stopped first, it goes along.
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null' EXIT
trap 'exit 1' INT TERM

# receive NAME NUM_SPANS: starts a receiver and points the environment at it
receive() {
    rm -f "$work/port"
    build/hatchet-otel serve --listen 127.0.0.1:0 --port-file "$work/port" \
        --jsonl "$work/$1.jsonl" --exit-after "$2" --timeout-ms 20000 >"$work/$1.txt" 2>&1 &
    receiver=$!
    tries=0
    while [ ! -s "$work/port" ] && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    port=$(cat "$work/port" 2>/dev/null)
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$port
    export OTEL_EXPORTER_OTLP_ENDPOINT
}

# received NAME NUM_SPANS: the receiver got them, no more and no less; one span a line from here on
received() {
    wait "$receiver"
    ok $? "$1: the receiver ended after $2 spans" || show "$work/$1.txt"
    receiver=
    sed 's/{"traceId"/\
&/g' "$work/$1.jsonl" | grep '^{"traceId"' >"$work/spans"
    is "$(grep -c . "$work/spans")" "$2" "$1: $2 spans were written down"
}

# named NAME: the spans of that name; text KEY, number KEY: a member of the span on standard input
named() { grep "^{[^[{]*\"name\":\"$1\"" "$work/spans"; }
text() { sed -n "s/^{[^[{]*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
number() { sed -n "s/^{[^[{]*\"$1\":\([0-9]*\).*/\1/p"; }

traces() { text traceId <"$work/spans" | sort -u | grep -c .; }

# child NAME PARENT: the one span NAME is a child of the one span PARENT
child() {
    parent=$(named "$2" | text spanId)
    is "$(named "$1" | text parentSpanId)" "${parent:-a span $2}" "$1 is under $2"
}
root() { is "$(named "$1" | grep -c .) $(named "$1" | text parentSpanId)" "1 " "$1 is a root"; }
kind() { is "$(named "$1" | number kind | sort -u)" "$2" "$1 has kind $2"; }

# attribute NAME KEY TYPE VALUE
attribute() { has "$(named "$1")" "{\"key\":\"$2\",\"value\":{\"$3\":$4}}" "$1: $2 = $4"; }
string_is() { attribute "$1" "$2" stringValue "\"$3\""; }
int_is() { attribute "$1" "$2" intValue "\"$3\""; }

# children NAME PARENT: each span NAME is under a span PARENT, and each of these has one at least
children() {
    parents=$(named "$2" | text spanId | sort)
    is "$(named "$1" | text parentSpanId | sort -u)" "${parents:-spans $2}" "each $1 is under a $2"
}
status() { has "$(named "$1")" "\"status\":{$2}" "$1: its status is $2"; }

INTERNAL=1 SERVER=2 CLIENT=3 PRODUCER=4 CONSUMER=5

for program in hello trigger worker event_loop fork_server embedded events durable_wait bulk \
    threads external_collector both_destinations pipeline.so; do
    [ -x "$bin/$program" ] || { ok 1 "$bin/$program was built"; done_testing; }
done

# ---- hello ---------------------------------------------------------------------------------------

receive hello 2
"$bin/hello" 2>"$work/hello.err"
ok $? "hello: exit code 0" || show "$work/hello.err"
received hello 2
is "$(traces)" 1 "hello: one trace"
root hello
child world hello
string_is world greeting "hello, world"
int_is world planets 8

# ---- trigger | worker ----------------------------------------------------------------------------

receive pipeline 5
"$bin/trigger" >"$work/metadata" 2>"$work/trigger.err"
ok $? "trigger: exit code 0" || show "$work/trigger.err"
"$bin/worker" <"$work/metadata" 2>"$work/worker.err"
ok $? "worker: exit code 0" || show "$work/worker.err"
received pipeline 5
is "$(wc -l <"$work/metadata" | tr -d ' ')" 1 "trigger: one line on standard output"
is "$(cat "$work/trigger.err")" "" "trigger: nothing on standard error"
has "$(cat "$work/metadata")" '"requested_by": "examples/trigger.c"' \
    "trigger: the user's metadata is kept"
has "$(cat "$work/metadata")" "$(named hatchet.run_workflow | text spanId)-" \
    "trigger: the traceparent in the metadata names hatchet.run_workflow"

is "$(traces)" 1 "pipeline: one trace"
root trigger_otel_data_pipeline
child hatchet.run_workflow trigger_otel_data_pipeline
child hatchet.start_step_run hatchet.run_workflow
child http.request hatchet.start_step_run
child json.parse hatchet.start_step_run
kind trigger_otel_data_pipeline $INTERNAL
kind hatchet.run_workflow $PRODUCER
kind hatchet.start_step_run $CONSUMER
kind http.request $CLIENT
kind json.parse $INTERNAL
string_is hatchet.run_workflow hatchet.workflow_name OTelDataPipeline
string_is hatchet.run_workflow hatchet.payload '{\"since\": \"2026-01-01\"}'
int_is hatchet.run_workflow hatchet.priority 2
status hatchet.run_workflow '"code":1'
int_is hatchet.start_step_run hatchet.retry_count 0
string_is hatchet.start_step_run hatchet.payload '{\"input\": {\"since\": \"2026-01-01\"}}'
has "$(named hatchet.start_step_run)" '"name":"records.fetched"' "the task has its event"
ids="trace_id=$(named json.parse | text traceId)"
ids="$ids span_id=$(named hatchet.start_step_run | text spanId) step_run_id="
has "$(cat "$work/worker.err")" "fetch_data is done $ids" "worker: its log leads to the trace"
string_is hatchet.start_step_run hatchet.workflow_name OTelDataPipeline
string_is http.request http.method GET
string_is http.request http.url https://api.example.com/data
int_is http.request http.status_code 200
int_is json.parse json.record_count 42

# run_ids: the value of hatchet.step_run_id on each span that has one, if it is a UUID
uuid='[0-9a-f]\{8\}-[0-9a-f]\{4\}-[1-8][0-9a-f]\{3\}-[89ab][0-9a-f]\{3\}-[0-9a-f]\{12\}'
run_ids() {
    sed -n "s/.*{\"key\":\"hatchet.step_run_id\",\"value\":{\"stringValue\":\"\($uuid\)\"}.*/\1/p" \
        "$work/spans"
}
is "$(run_ids | grep -c .)" 3 "the task and both its children carry hatchet.step_run_id, a UUID"
run_id=$(run_ids | sort -u)
is "$(echo "$run_id" | grep -c .)" 1 "and it is the same one"
has "$(named hatchet.start_step_run)" '"status":{"code":1}' "the task's status is OK"

receive again 5
"$bin/trigger" 2>/dev/null | "$bin/worker" 2>/dev/null
received again 5
is "$(traces)" 1 "trigger | worker: one trace"
is "$(run_ids | grep -c "$run_id")" 0 "trigger | worker: another run has other ids"

"$bin/worker" </dev/null 2>"$work/worker.err"
is $? 2 "worker: exit code 2 without input"
has "$(cat "$work/worker.err")" "no metadata on standard input" "worker: and says what is missing"

# retries FAILED SPANS: a run whose first attempts fail
retries() {
    receive "retries$1" "$2"
    "$bin/worker" "$1" <"$work/metadata" 2>"$work/worker.err"
    ok $? "worker $1: exit code 0" || show "$work/worker.err"
    received "retries$1" "$2"
    is "$(traces)" 1 "worker $1: one trace"
    is "$(run_ids | sort -u | grep -c .)" 1 "worker $1: one run"
    children http.request hatchet.start_step_run
    failed='"status":{"message":"upstream timed out","code":2}'
    is "$(named hatchet.start_step_run | grep -c "$failed")" "$1" "worker $1: attempts failed"
    is "$(named hatchet.start_step_run | grep -c '{"stringValue":"TimeoutError"}')" "$1" \
        "worker $1: and say why"
    is "$(named http.request | grep -c '"code":2')" "$1" "worker $1: so did their requests"
}
retries 1 5
for i in 0 1; do int_is hatchet.start_step_run hatchet.retry_count "$i"; done
is "$(named hatchet.start_step_run | grep -c '"status":{"code":1}')" 1 "worker 1: one did not"
retries 3 6
int_is hatchet.start_step_run hatchet.retry_count 2

receive rootless 3
echo '{"traceparent": "of no use"}' | "$bin/worker" 2>"$work/worker.err"
ok $? "worker: runs with a traceparent of no use" || show "$work/worker.err"
received rootless 3
root hatchet.start_step_run

# ---- the others ----------------------------------------------------------------------------------

if [ -x "$bin/cpp" ]; then
    receive cpp 7
    "$bin/cpp" 2>"$work/cpp.err"
    ok $? "cpp: exit code 0" || show "$work/cpp.err"
    received cpp 7
    is "$(traces)" 2 "cpp: two traces"
    kind hatchet.start_step_run $CONSUMER
    kind inventory.reserve $CLIENT
    children checkout hatchet.start_step_run
    children inventory.reserve checkout
    bought=$(named receipt.write | text parentSpanId)
    has "$(named checkout | text spanId)" "${bought:-none}" "cpp: the thread carried the trace on"
    is "$(grep -c '"key":"hatchet.step_run_id"' "$work/spans")" 7 "cpp: every span names its task"
    status hatchet.start_step_run '"code":1'
    status hatchet.start_step_run '"message":"no such item: unicorn","code":2'
    has "$(named hatchet.start_step_run)" '{"stringValue":"std::out_of_range"}' "cpp: and by what"
    is "$(named inventory.reserve | grep -c '"name":"reserved"')" 1 "cpp: the other has its event"
else
    skip "cpp: no C++ compiler when the examples were built"
fi

receive event_loop 6
"$bin/event_loop" 2>"$work/event_loop.err"
ok $? "event_loop: exit code 0" || show "$work/event_loop.err"
received event_loop 6
is "$(traces)" 3 "event_loop: a trace for each request"
is "$(named echo.handle | text parentSpanId | sort)" "$(named echo.call | text spanId | sort)" \
    "event_loop: each handler is under its caller"
kind echo.call $CLIENT
kind echo.handle $SERVER
for i in 0 1 2; do string_is echo.handle echo.text "message $i"; done

receive fork_server 7
"$bin/fork_server" 2>"$work/fork_server.err"
ok $? "fork_server: exit code 0" || show "$work/fork_server.err"
received fork_server 7
is "$(traces)" 1 "fork_server: one trace"
is "$(named request | text parentSpanId | sort -u)" "$(named serve | text spanId)" \
    "fork_server: the children's requests are under the parent's span"
is "$(named query | text parentSpanId | sort)" "$(named request | text spanId | sort)" \
    "fork_server: each query is under its own request"
is "$(text spanId <"$work/spans" | sort -u | grep -c .)" 7 "fork_server: no span ID twice"

receive embedded 5
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_SERVICE_NAME=other OTEL_SDK_DISABLED=true \
    "$bin/embedded" "$port" 2>"$work/embedded.err"
ok $? "embedded: exit code 0, whatever the environment says" || show "$work/embedded.err"
received embedded 5
is "$(traces)" 5 "embedded: five traces"
has "$(cat "$work/embedded.jsonl")" '{"stringValue":"thermometer"}' "embedded: its own name"
int_is measure sample 4
attribute measure celsius doubleValue 24.5
if command -v size >/dev/null && [ "$(getconf LONG_BIT)" = 64 ] &&
    "${CC:-cc}" -std=gnu99 -Os -I. -c examples/embedded.c -o "$work/embedded.o" 2>/dev/null; then
    bytes=$(size "$work/embedded.o" | awk 'NR == 2 { print $2 + $3 }')
    [ "$bytes" -le 16384 ]
    ok $? "embedded: $bytes bytes of data, of the 16384 that it claims"
else
    skip "embedded: no size(1) here to measure its memory"
fi

# ---- operations of Hatchet -----------------------------------------------------------------------

receive events 3
"$bin/events" >"$work/events.out" 2>"$work/events.err"
ok $? "events: exit code 0" || show "$work/events.err"
received events 3
root hatchet.push_event
child hatchet.start_step_run hatchet.push_event
child hatchet.bulk_push_event hatchet.start_step_run
kind hatchet.push_event $PRODUCER
kind hatchet.bulk_push_event $PRODUCER
string_is hatchet.push_event hatchet.event_key order:created
string_is hatchet.push_event hatchet.payload '{\"items\": 2}'
string_is hatchet.push_event hatchet.additional_metadata '{\"customer\": \"acme\"}'
string_is hatchet.push_event hatchet.scope eu
int_is hatchet.push_event hatchet.priority 3
int_is hatchet.bulk_push_event hatchet.num_events 2
string_is hatchet.bulk_push_event hatchet.unique_event_keys '[\"item:reserved\"]'
string_is hatchet.start_step_run hatchet.triggering_event_key order:created
for name in hatchet.push_event hatchet.bulk_push_event hatchet.start_step_run; do
    status "$name" '"code":1'
done
order=$(grep '^order:created ' "$work/events.out")
has "$order" '{"customer": "acme"' "events: the user's metadata is kept"
has "$order" "-$(named hatchet.push_event | text spanId)-" "events: and names the span"
is "$(echo "$order" | grep -c hatchet__source)" 0 "events: outside of a task there is no source"
items=$(grep '^item:reserved ' "$work/events.out")
id='"0b5f1d9e-36c9-4c5d-8b0a-6d1d2f6f2f11"'
for key in workflow_run step_run; do
    is "$(echo "$items" | grep -c "\"hatchet__source_${key}_id\":$id")" 2 "events: source $key"
done
is "$(echo "$items" | grep -c -e "-$(named hatchet.bulk_push_event | text spanId)-")" 2 \
    "events: each of many names their span"

receive durable_wait 3
"$bin/durable_wait" 2>"$work/durable_wait.err"
ok $? "durable_wait: exit code 0" || show "$work/durable_wait.err"
received durable_wait 3
root hatchet.start_step_run
child hatchet.durable.wait_for hatchet.start_step_run
child parcel.ship hatchet.start_step_run
kind hatchet.durable.wait_for $INTERNAL
string_is hatchet.durable.wait_for hatchet.signal_key approval
string_is hatchet.durable.wait_for approval.outcome approved
int_is hatchet.durable.wait_for hatchet.num_conditions 2
string_is hatchet.durable.wait_for hatchet.step_run_id 8d9e2a1b-52d6-4f3c-b7de-0d9f0a0c4e55
status hatchet.durable.wait_for '"code":1'

# leads_to: where each line that bulk printed leads to
leads_to() { sed 's/.*"00-[0-9a-f]*-\([0-9a-f]*\)-.*/\1/' "$work/bulk.out" | sort "$@"; }

receive bulk 1
"$bin/bulk" >"$work/bulk.out" 2>"$work/bulk.err"
ok $? "bulk: exit code 0" || show "$work/bulk.err"
received bulk 1
kind hatchet.run_workflows $PRODUCER
int_is hatchet.run_workflows hatchet.num_workflows 3
string_is hatchet.run_workflows hatchet.unique_workflow_names '[\"Resize\", \"Index\"]'
is "$(leads_to -u)" "$(named hatchet.run_workflows | text spanId)" "bulk: all runs go under it"

receive bulk_each 4
"$bin/bulk" each >"$work/bulk.out" 2>"$work/bulk.err"
ok $? "bulk each: exit code 0" || show "$work/bulk.err"
received bulk_each 4
children hatchet.run_workflow hatchet.run_workflows
kind hatchet.run_workflow $PRODUCER
is "$(leads_to)" "$(named hatchet.run_workflow | text spanId | sort)" \
    "bulk each: each run goes under its own span"
string_is hatchet.run_workflow hatchet.payload '{\"width\": 1280}'
string_is hatchet.run_workflow hatchet.key large
is "$(named hatchet.run_workflow | grep -c '"status":{"code":1}')" 3 "bulk each: all succeeded"

receive threads 10
"$bin/threads" >"$work/threads.out" 2>"$work/threads.err"
ok $? "threads: exit code 0" || show "$work/threads.err"
received threads 10
is "$(traces)" 1 "threads: one trace"
root hatchet.start_step_run
children scan hatchet.start_step_run
children scan.page scan
is "$(named scan | grep -c .) $(named scan.page | grep -c .)" "3 6" "threads: three of two pages"
is "$(grep -c '"key":"hatchet.step_run_id"' "$work/spans")" 10 "threads: every span names the task"
ids=',"step_run_id":"3b7d6f52-0c52-4c7e-9a3e-7a0a0f7e6d21"'
ids=$ids',"workflow_run_id":"f2f0c0de-9a57-4b5c-8f0b-6d9d2f1f4b10"}'
trace=$(named hatchet.start_step_run | text traceId)
lines=$(named scan.page | text spanId | sort |
    sed 's/.*/{"message":"scanned","page":N,"trace_id":"'"$trace"'","span_id":"&"'"$ids"'/')
is "$(sed 's/"page":[0-9]*/"page":N/' "$work/threads.out" | sort)" "$lines" \
    "threads: each line of the log leads to its span"

# ---- where spans go ------------------------------------------------------------------------------

# Of tenant 707d0855-80ab-4e1f-a156-f1c4546cbf52, valid until 2100; nobody listens there.
token=eyJhbGciOiJub25lIn0
token=$token.eyJzdWIiOiI3MDdkMDg1NS04MGFiLTRlMWYtYTE1Ni1mMWM0NTQ2Y2JmNTIiLCJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl
to_nobody() {
    HATCHET_CLIENT_TOKEN=$token HATCHET_CLIENT_HOST_PORT=127.0.0.1:1 \
        HATCHET_CLIENT_TLS_STRATEGY=none "$@"
}

receive external_collector 2
endpoint=$OTEL_EXPORTER_OTLP_ENDPOINT
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 to_nobody "$bin/external_collector" "$endpoint" \
    >"$work/external_collector.out" 2>"$work/external_collector.err"
ok $? "external_collector: exit code 0, a token in the environment" ||
    show "$work/external_collector.err"
received external_collector 2
is "$(cat "$work/external_collector.err")" "" "external_collector: Hatchet was not tried"
root "POST /reports"
child hatchet.run_workflow "POST /reports"
has "$(cat "$work/external_collector.out")" "-$(named hatchet.run_workflow | text spanId)-" \
    "external_collector: the metadata names the span"

receive both_destinations 2
"$bin/both_destinations" "$OTEL_EXPORTER_OTLP_ENDPOINT" >"$work/both.out" 2>"$work/both.err"
ok $? "both_destinations: exit code 0 without a token" || show "$work/both.err"
received both_destinations 2
is "$(cat "$work/both.out")" "collector: 2 of 2 spans accepted" "both_destinations: one destination"

receive both_refused 2
to_nobody "$bin/both_destinations" "$OTEL_EXPORTER_OTLP_ENDPOINT" >"$work/both.out" \
    2>"$work/both.err"
is $? 1 "both_destinations: exit code 1 when one of two does not answer"
received both_refused 2
child render.page hatchet.start_step_run
is "$(cat "$work/both.out")" "collector: 2 of 2 spans accepted
hatchet: 0 of 2 spans accepted" "both_destinations: the other has got everything"

# ---- a C library in a Python task ----------------------------------------------------------------

if command -v python3 >/dev/null && python3 -c 'import ctypes' 2>/dev/null; then
    receive python 3
    PYTHONDONTWRITEBYTECODE=1 python3 examples/python_extension/pipeline.py >"$work/python.out" \
        2>"$work/python.err"
    ok $? "python_extension: exit code 0" || show "$work/python.err"
    received python 3
    is "$(cat "$work/python.out")" "3.5
no median of no values" "python_extension: C worked, and failed"
    is "$(text traceId <"$work/spans" | sort -u)" 0af7651916cd43dd8448eb211c80319c \
        "python_extension: Python's trace"
    is "$(named pipeline.median | text parentSpanId | sort -u)" b7ad6b7169203331 \
        "python_extension: under Python's span"
    parent=$(named pipeline.sort | text parentSpanId)
    has "$(named pipeline.median | text spanId)" "${parent:-none}" "python_extension: C's own"
    for name in pipeline.median pipeline.sort; do
        string_is "$name" hatchet.step_run_id f47ac10b-58cc-4372-a567-0e02b2c3d479
        string_is "$name" hatchet.workflow_name python-extension
        string_is "$name" hatchet.payload '{\"input\": {\"values\": [3, 1, 4, 1, 5, 9]}}'
        int_is "$name" hatchet.retry_count 1
        int_is "$name" hatchet.child_workflow_index 0
    done
    status pipeline.median '"message":"no values","code":2'
    python3 - examples/python_extension/worker.py <<'PYTHON'
import ast, sys
tree = ast.parse(open(sys.argv[1], encoding="utf-8").read())
sys.exit(not any(isinstance(node, ast.FunctionDef) and node.name == "make" for node in tree.body))
PYTHON
    ok $? "python_extension: worker.py is Python, with make(hatchet)"
else
    skip "python_extension: no python3 with ctypes"
fi

# ---- nobody listens ------------------------------------------------------------------------------

# Port 1 of the loopback interface refuses; a short timeout saves the retries.
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1
OTEL_EXPORTER_OTLP_TIMEOUT=300
export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_TIMEOUT
for program in hello trigger event_loop fork_server cpp events durable_wait bulk threads; do
    [ -x "$bin/$program" ] || continue
    "$bin/$program" >"$work/refused.out" 2>"$work/refused.err"
    is $? 1 "$program: exit code 1 when nobody listens"
done
"$bin/trigger" >"$work/refused.out" 2>"$work/refused.err"
has "$(cat "$work/refused.err")" "trigger: spans not delivered" "trigger: says so"
has "$(cat "$work/refused.out")" '"traceparent"' "trigger: triggers nevertheless"
"$bin/worker" <"$work/refused.out" 2>"$work/refused.err"
is $? 1 "worker: exit code 1 when nobody listens"
has "$(cat "$work/refused.err")" "worker: spans not delivered" "worker: says so"

done_testing
