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

INTERNAL=1 SERVER=2 CLIENT=3 PRODUCER=4 CONSUMER=5

for program in hello trigger worker event_loop fork_server embedded; do
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
kind http.request $INTERNAL
kind json.parse $INTERNAL
string_is hatchet.run_workflow hatchet.workflow_name OTelDataPipeline
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

receive rootless 3
echo '{"traceparent": "of no use"}' | "$bin/worker" 2>"$work/worker.err"
ok $? "worker: runs with a traceparent of no use" || show "$work/worker.err"
received rootless 3
root hatchet.start_step_run

# ---- the others ----------------------------------------------------------------------------------

if [ -x "$bin/cpp" ]; then
    receive cpp 5
    "$bin/cpp" 2>"$work/cpp.err"
    ok $? "cpp: exit code 0" || show "$work/cpp.err"
    received cpp 5
    is "$(traces)" 2 "cpp: two traces"
    kind checkout $SERVER
    kind inventory.reserve $CLIENT
    bought=$(named receipt.write | text parentSpanId)
    has "$(named checkout | text spanId)" "${bought:-none}" "cpp: the thread carried the trace on"
    is "$(named checkout | grep -c '"status":{[^}]*"code":2')" 1 "cpp: one of the two failed"
    has "$(named checkout)" "no such item: unicorn" "cpp: and tells why"
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

# ---- nobody listens ------------------------------------------------------------------------------

# Port 1 of the loopback interface refuses; a short timeout saves the retries.
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1
OTEL_EXPORTER_OTLP_TIMEOUT=300
export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_TIMEOUT
for program in hello trigger event_loop fork_server cpp; do
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
