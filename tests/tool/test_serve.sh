#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Tests `hatchet-otel serve` from outside: what it prints and writes for known requests, what it
# refuses, and that it stays up and small whatever arrives.
#
#     HATCHET_OTEL_TOOL   the tool (default build/hatchet-otel)
#     CC                  compiler for the client and the sanitized tool (default cc)
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/tap.sh

tool=${HATCHET_OTEL_TOOL:-build/hatchet-otel}
cc=${CC:-cc}
dir=build/tests/serve
client=build/tool/otlp_post # made by `make test`
defines='-D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L'
LC_ALL=C
export LC_ALL
unset NO_COLOR

[ -x "$tool" ] || skip_all "there is no $tool (make tools)"
rm -rf "$dir"
mkdir -p "$dir"
if [ ! -x "$client" ]; then
    client=$dir/otlp_post
    # shellcheck disable=SC2086
    $cc -std=c99 $defines tests/tool/otlp_post.c -o "$client" || skip_all "no C compiler ($cc)"
fi

# serve OPTION...: starts the tool on a free port.
pid=
locale=C
serve() {
    rm -f "$dir/port"
    LC_ALL=$locale "$tool" serve --listen 0 --port-file "$dir/port" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null &
    pid=$!
    "$client" wait "$dir/port" || show "$dir/err"
    port=$(cat "$dir/port")
}

# ended [SIGNAL]: leaves the exit code in $code.
ended() {
    [ $# -eq 0 ] || kill "-$1" "$pid"
    wait "$pid"
    code=$?
    pid=
}
trap '[ -z "$pid" ] || kill -KILL "$pid"' EXIT

# make NAME [N]: a request body in a file of that name.
make() { "$client" make "$@" >"$dir/$1"; }

# post NAME...: the status lines of the replies, on one connection.
post() {
    files=
    for name; do files="$files $dir/$name"; done
    # shellcheck disable=SC2086
    "$client" post "$port" $files | grep '^HTTP'
}

# ask FORMAT: sends what printf makes of it, then ends; the reply.
# shellcheck disable=SC2059
ask() { printf "$1" | "$client" raw "$port" end; }

for name in trigger worker types escapes orphans; do make "$name"; done

# --- Trees --------------------------------------------------------------------------------

serve --exit-after 5 --timeout-ms 20000 --jsonl "$dir/jsonl"
is "$(post worker trigger | sort -u)" "HTTP/1.1 200 OK" "two requests on one connection are taken"
ended
is "$code" 0 "--exit-after: exits with 0 once the spans are there"
cat >"$dir/want" <<'TREE'
trace 0af7651916cd43dd8448eb211c80319c  5 spans  152 ms  trigger, worker
  trigger_otel_data_pipeline    internal   152 ms  ============================  [trigger]
  `- hatchet.run_workflow       producer  8.00 ms  ==
     |  hatchet.workflow_name=OTelDataPipeline hatchet.payload="{"url": "https://example.com"}"
     `- hatchet.start_step_run  consumer   125 ms     ========================   [worker]  OK
        |  hatchet.step_run_id=8ce6ba2c-0f62-4d0b-8e3a-5f6a5f5d1f10 hatchet.tenant_id=707d0855
        |  > link to span 00f067aa0ba902b7 of trace 4bf92f3577b34da6a3ce929d0e0e4736 why=retry
        |- http.request         client    99.0 ms       ===================
        |     http.status_code=200 note="two words"
        `- json.parse           internal  11.0 ms                         ===    ERROR no record 43
              json.record_count=42
              * exception +10.0 ms exception.type=ParseError exception.message="no record 43"
                                   exception.stacktrace=main.c:1\nmain.c:2\n
              dropped by the sender: 3 attributes

TREE
is "$(cat "$dir/out")" "$(cat "$dir/want")" "a trace of two services is printed as one tree"
has "$(cat "$dir/err")" "received 5 spans of 1 trace in 2 requests; refused 0" \
    "a summary at the end"
is "$(sed -n 1p "$dir/err" | sed 's/ and .*//')" \
    "hatchet-otel: listening on http://127.0.0.1:$port" "the first line tells the address"
has "$(sed -n 2p "$dir/err")" "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$port" \
    "the second one how to use it"

serve --exit-after 5 --width 72
post trigger worker >/dev/null
ended
is "$(awk 'length > 72' "$dir/out")" "" "--width: no line is longer"
has "$(cat "$dir/out")" '...' "... and what does not fit is cut visibly"
is "$(grep -c ' $' "$dir/out")" 0 "no blanks at the ends of lines"

locale=C.UTF-8
serve --exit-after 5 --color always
locale=C
post trigger worker >/dev/null
ended
esc=$(printf '\033')
has "$(cat "$dir/out")" "$(printf '\342\224\224\342\224\200 ')" "UTF-8 locale: lines are drawn"
has "$(cat "$dir/out")" "${esc}[0;32mOK${esc}[0m" "--color always: OK is green"
has "$(cat "$dir/out")" "${esc}[0;1;31mERROR no record 43${esc}[0m" "... and ERROR red"
sed "s/$esc\[[0-9;]*m//g" "$dir/out" | sed 's/[^ -~]//g' >"$dir/plain"
has "$(cat "$dir/plain")" "hatchet.start_step_run  consumer   125 ms" "... the text is the same"

serve --exit-after 5
post orphans >/dev/null
ended
cat >"$dir/want" <<'TREE'
trace 0af7651916cd43dd8448eb211c80319c  5 spans  40.0 ms  lost
  remote parent 00000000000000ff
  |- first            internal  10.0 ms  =======                       [lost]
  `- second           internal  10.0 ms         =======                [lost]
  ring                internal -10.0 ms                       =        [lost]  (a circle of parents)
  `- ring             internal  1.00 ms                       ==
  self                internal  7.00 ms                         =====  [lost]  (a circle of parents)

TREE
is "$(cat "$dir/out")" "$(cat "$dir/want")" "unknown parents and circles do not hide spans"

serve --quiet-ms 0
for name in trigger worker trigger; do post "$name" >/dev/null; done
ended TERM
is "$(grep -c '^trace' "$dir/out")" 3 "--quiet-ms 0: every request is printed at once"
is "$(grep -c '(continued)' "$dir/out")" 2 "what comes later for a trace is marked"
has "$(cat "$dir/out")" "remote parent 0000000000000002" "... and hangs under a remote parent"

serve
post trigger trigger >/dev/null
ended INT
is "$code" 0 "SIGINT: exits with 0"
has "$(cat "$dir/out")" "2 spans  152 ms  (2 received twice)" \
    "... the pending tree is printed, once"

make chain 3000
serve --exit-after 3000
post chain >/dev/null
ended
is "$(grep -c ' many ' "$dir/out")" 3000 "3000 spans, each the child of the one before"

# --- Escaping -----------------------------------------------------------------------------

serve --exit-after 1 --color never
ask 'GET /\033[31m\r\n\r\n HTTP/1.1\r\nHost: x\r\n\r\n' >/dev/null
post escapes >/dev/null
ended
is "$(cat "$dir/out" "$dir/err" | tr -d '\n' | tr -d ' -~' | wc -c | tr -d ' ')" 0 \
    "nothing but printable ASCII and newlines reaches the terminal"
has "$(cat "$dir/out")" 'a\x1b[2Jb\x07\r\nc' "... control characters are shown as escapes"
has "$(cat "$dir/out")" '\x9b3m \u202e \u5b57' "... C1, bidirectional and, in ASCII, all others too"
locale=C.UTF-8
serve --exit-after 1
locale=C
post escapes >/dev/null
ended
has "$(cat "$dir/out")" "$(printf '\\x9b3m \\u202e \345\255\227')" \
    "UTF-8: letters stay, the rest not"

# --- OTLP/JSON ----------------------------------------------------------------------------

# joined: a here-document without its line ends.
joined() { tr -d '\n'; }

is "$(sed -n 2p "$dir/jsonl")" "$(joined <<'JSON'
{"resourceSpans":[{"resource":{"attributes":[
{"key":"service.name","value":{"stringValue":"trigger"}}]},
"scopeSpans":[{"scope":{"name":"demo","version":"1.2"},"spans":[
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0000000000000001",
"name":"trigger_otel_data_pipeline","kind":1,
"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000152000000"},
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0000000000000002",
"parentSpanId":"0000000000000001","name":"hatchet.run_workflow","kind":4,
"startTimeUnixNano":"1700000000001000000","endTimeUnixNano":"1700000000009000000",
"attributes":[
{"key":"hatchet.payload","value":{"stringValue":"{\"url\": \"https://example.com\"}"}},
{"key":"hatchet.workflow_name","value":{"stringValue":"OTelDataPipeline"}}]}]}]}]}
JSON
)" "OJ-01 OJ-02 OJ-04 OJ-07 --jsonl: the request as a line"
worker=$(sed -n 1p "$dir/jsonl")
has "$worker" "$(joined <<'JSON'
"links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",
"traceState":"a=1","attributes":[{"key":"why","value":{"stringValue":"retry"}}],"flags":257}],
"status":{"code":1}}
JSON
)" "OJ-03 links, flags, status"
has "$worker" '"flags":769,"name":"hatchet.start_step_run","kind":5' "... of a span"
has "$worker" "$(joined <<'JSON'
"droppedAttributesCount":3,"events":[{"timeUnixNano":"1700000000140000500","name":"exception",
"attributes":[{"key":"exception.stacktrace","value":{"stringValue":"main.c:1\u000amain.c:2\u000a"}}
JSON
)" "OJ-04 counts are numbers; events"
is "$(wc -l <"$dir/jsonl" | tr -d ' ')" 2 "one line per request"

serve --exit-after 1 --jsonl - --width 300
post types >/dev/null
ended
has "$(cat "$dir/out")" "$(joined <<JSON
"attributes":[{"key":"str","value":{"stringValue":"q\\" b\\\\ t\\u0009 $(printf '\342\202\254')"}},
{"key":"min","value":{"intValue":"-9223372036854775808"}},
{"key":"zero","value":{"intValue":"0"}},
{"key":"pi","value":{"doubleValue":3.14159}},
{"key":"big","value":{"doubleValue":1e+300}},
{"key":"third","value":{"doubleValue":0.3333333333333333}},
{"key":"nan","value":{"doubleValue":"NaN"}},
{"key":"inf","value":{"doubleValue":"-Infinity"}},
{"key":"minus","value":{"doubleValue":-0.0}},
{"key":"yes","value":{"boolValue":true}},
{"key":"raw","value":{"bytesValue":"AP8QgA=="}},
{"key":"none","value":{"bytesValue":""}},
{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{"boolValue":false},{}]}}},
{"key":"map","value":{"kvlistValue":{"values":[
{"key":"n","value":{"intValue":"-1"}},{"key":"s","value":{"stringValue":""}}]}}}]}]}]}]}
JSON
)" \
    "OJ-02 OJ-04 OJ-05 every type of value; unknown fields are left out"
has "$(cat "$dir/err")" '  types  ' "--jsonl -: the tree goes to standard error"
has "$(cat "$dir/err")" 'raw=<4 bytes> none=<0 bytes> list=["a", false, <empty>] map={n=-1, s=""}' \
    "every type of value in a tree"

if [ -c /dev/full ]; then
    serve --exit-after 1 --jsonl /dev/full
    post types >/dev/null
    ended
    has "$(cat "$dir/err")" "cannot write to /dev/full:" "--jsonl: a write error is reported"
    is "$code" 1 "... and makes the exit code 1"
else
    skip "no /dev/full"
fi

# --- HTTP ---------------------------------------------------------------------------------

serve --quiet-ms 0 --max-request-bytes 4096
type='Content-Type: application/x-protobuf\r\n'
head="POST /v1/traces HTTP/1.1\r\nHost: x\r\n$type"
empty='Content-Length: 0\r\n\r\n'
look='GET / HTTP/1.1\r\nHost: x\r\n\r\n'

# takes NAME FORMAT, refuses STATUS REASON FORMAT: one request, one status line
takes() { is "$(ask "$2" | sed -n 1p)" "HTTP/1.1 200 OK" "$1"; }
refuses() {
    reply=$(ask "$3")
    is "$(printf '%s' "$reply" | sed -n '1s/^HTTP.1.1 \([0-9]*\) .*/\1/p')" "$1" "$1 $2"
    has "$reply" "$2" "... says so in the body" || show "$dir/err"
}

takes "an empty body is an empty request" "$head$empty"
takes "HTTP/1.0" "POST /v1/traces HTTP/1.0\r\n$type$empty"
takes "absolute form, query, parameters, odd case" \
    "POST http://x/v1/traces?a=b HTTP/1.1\r\nHOST: x\r\n\
content-type: Application/X-Protobuf; a=b\r\n$empty"
takes "bare line feeds and blank lines before" \
    "\r\n\r\nPOST /v1/traces HTTP/1.1\nHost: x\n${type}Content-Length: 0\n\n"
takes "chunked" "${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
takes "chunked with extension and trailer" \
    "${head}Transfer-Encoding: Chunked\r\n\r\n000;a=b\r\nX: y\r\n\r\n"
has "$(ask "$look")" "requests taken    6" "GET / shows what this is and counters"

stay=${look%????}Connection: # the head of a request, open
is "$(ask "$head$empty$look$stay close\r\n\r\n$look" | grep -c '^HTTP')" 3 \
    "pipelined requests are answered in order, up to Connection: close"
has "$(ask "${head}Connection: close\r\n$empty")" "Connection: close" \
    "Connection: close is honoured"
has "$(ask 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n')" "Connection: keep-alive" \
    "HTTP/1.0 stays open when asked to"

size=$(wc -c <"$dir/trigger" | tr -d ' ')
{
    # shellcheck disable=SC2059
    printf "${head}Expect: 100-continue\r\nContent-Length: $size\r\n\r\n"
    cat "$dir/trigger"
} >"$dir/expect"
is "$("$client" raw "$port" drip <"$dir/expect" | grep '^HTTP')" "HTTP/1.1 100 Continue" \
    "Expect: 100-continue is answered before the body" # the client ends at the first answer
{
    # shellcheck disable=SC2059
    printf "${head}Transfer-Encoding: chunked\r\n\r\n"
    dd if="$dir/trigger" bs=1 count=10 2>/dev/null | { printf 'A\r\n'; cat; printf '\r\n'; }
    printf '%x\r\n' $((size - 10))
    dd if="$dir/trigger" bs=1 skip=10 2>/dev/null
    printf '\r\n0\r\n\r\n'
} >"$dir/chunked"
is "$("$client" raw "$port" end <"$dir/chunked" | sed -n 1p)" "HTTP/1.1 200 OK" \
    "a body in two chunks"
has "$(cat "$dir/out")" "2 spans  152 ms" "... is put together"

refuses 404 "only traces" 'POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc'
refuses 405 "use POST" 'GET /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n'
has "$reply" "Allow: POST" "405 has Allow"
refuses 405 "use GET" 'DELETE / HTTP/1.1\r\nHost: x\r\n\r\n'
has "$reply" "Allow: GET" "405 has Allow"
refuses 415 'is "application/json", not' \
    'POST /v1/traces HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
refuses 415 'compressed (gzip)' "${head}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nzz"
has "$reply" "Accept-Encoding: identity" "415 tells what is accepted"
refuses 411 "no Content-Length" "${head}\r\n"
refuses 413 "larger than 4096 bytes" "${head}Content-Length: 4097\r\n\r\n"
refuses 413 "larger than 4096 bytes" "${head}Transfer-Encoding: chunked\r\n\r\n1001\r\n"
refuses 413 "larger than 4096 bytes" "${head}Content-Length: 18446744073709551609\r\n\r\n"
refuses 413 "larger than 4096 bytes" \
    "${head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n"
refuses 400 "not one number" "${head}Content-Length: 99999999999999999999999\r\n\r\n"
refuses 400 "not one number" "${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
refuses 400 "not one number" "${head}Content-Length: -1\r\n\r\n"
refuses 400 "does not go with" "${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
refuses 501 "only Transfer-Encoding known" "${head}Transfer-Encoding: gzip, chunked\r\n\r\n"
refuses 400 "begin with its size" "${head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"
refuses 400 "longer than its size" "${head}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"
refuses 400 "Host header" 'GET / HTTP/1.1\r\n\r\n'
refuses 400 "no colon" 'GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'
refuses 400 "must not have" 'GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n'
refuses 400 "not an HTTP request" 'hello\r\n\r\n'
refuses 400 "not an HTTP request" '\001\002\003'
refuses 400 "this is TLS" '\026\003\001\002'
refuses 505 "gRPC are not spoken" 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
refuses 505 "version is not known" 'GET / HTTP/1.22\r\nHost: x\r\n\r\n'
{
    printf 'GET / HTTP/1.1\r\nX: '
    dd if=/dev/zero bs=1000 count=20 2>/dev/null | tr '\0' x
} >"$dir/long"
has "$("$client" raw "$port" end <"$dir/long")" "HTTP/1.1 431 " "431 the head is too large"
ask "${head}Content-Length: 100\r\n\r\nhalf" >/dev/null
"$client" raw "$port" reset <"$dir/chunked"
dd if="$dir/chunked" bs=100 count=1 2>/dev/null | "$client" raw "$port" reset
is "$(post trigger)" "HTTP/1.1 200 OK" "after all that, requests are taken as before"
ended TERM
is "$code" 0 "SIGTERM: exits with 0"
has "$(cat "$dir/err")" "refused POST /v1/metrics with 404: only traces" "refusals are reported"
has "$(cat "$dir/err")" "more, not shown" "... at a limited rate"

# --- Malformed requests -------------------------------------------------------------------

serve
span="ExportTraceServiceRequest.resource_spans[0].scope_spans[0].spans[0]"
malformed() {
    make "$1"
    reply=$("$client" post "$port" "$dir/$1")
    has "$reply" "400 Bad Request" "$1 is refused with 400"
    has "$reply" "....malformed protobuf at byte $2, in $3" "... the Status says what and where"
}
malformed short-id "47: an id has 3 bytes instead of 16" "$span.trace_id"
malformed zero-id "65: an id is all zeros" "$span.span_id"
malformed short-parent "75: an id has 1 bytes instead of 8" "$span.parent_span_id"
malformed no-id "45: span_id is missing" "$span"
malformed not-utf8 "77: text is not UTF-8" "$span.name"
malformed surrogate "75: text is not UTF-8" "$span.name"
malformed wire-type "97: a field has wire type 0, not 1" "$span.start_time_unix_nano"
malformed group "45: a field has a wire type that OTLP does not use" "$span"
malformed field-0 "45: a field number is out of range" "$span"
malformed length "45: a length points beyond the end of the message" "$span"
malformed varint "45: a varint is larger than 64 bits" "$span"
malformed cut "45: the message ends inside a fixed-size number" "$span"
make deep 40
is "$(post deep)" "HTTP/1.1 200 OK" "40 nested arrays are taken"
make deep 5000
has "$("$client" post "$port" "$dir/deep")" "more than 100 levels of messages" \
    "5000 nested arrays are not"
ended TERM
has "$(cat "$dir/err")" "refused POST /v1/traces with 400: malformed protobuf at byte 47" \
    "stderr has it, too"

# --- Bounds -------------------------------------------------------------------------------

serve --request-timeout-ms 200
printf 'POST /v1/traces HTTP/1.1\r\n' >"$dir/half"
has "$("$client" raw "$port" <"$dir/half")" "408 Request Timeout" "half a request: 408"
sed 's/^Expect.*$/X: y/' "$dir/expect" >"$dir/slow"
has "$("$client" raw "$port" drip <"$dir/slow")" "408 Request Timeout" "a byte every 20 ms: 408"
is "$("$client" crowd "$port" 300 0 | tr '\n' ' ')" "HTTP/1.1 200 closed 45 answered 0 " \
    "of 300 idle connections, 256 stay; a new one is served"
is "$("$client" crowd "$port" 300 100 | sed -n 1p)" "HTTP/1.1 200" \
    "nor are 300 slow ones in the way"
ended TERM

serve --max-memory-mb 1 --quiet-ms 60000
for first in 1 1001 2001 3001 4001; do
    make traces 1000 "$first"
    post traces >/dev/null
done
is "$(grep -c '^trace' "$dir/out" | awk '{ print ($1 > 3000 && $1 < 5000) }')" 1 \
    "--max-memory-mb: the oldest traces are printed early, the latest wait"
has "$(cat "$dir/out")" "(early: --max-memory-mb is reached)" "... and say so"
make big 300000
has "$(post big)" "413 Content Too Large" "... a quarter of it bounds a request"
is "$("$client" crowd "$port" 4 250000 | tr '\n' ' ')" "HTTP/1.1 200 closed 0 answered 2 " \
    "... half of it bounds all bodies together"
has "$(cat "$dir/err")" "503: too many large requests at once" "... with 503"
if grep -q asan_init "$tool"; then
    skip "a sanitized process takes more memory"
elif [ -r "/proc/$pid/status" ]; then
    peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
    [ "$peak" -lt 16384 ]
    ok $? "... the process stays below 16 MiB (peak $peak kB)"
else
    skip "no /proc to measure memory with"
fi
ended TERM
is "$(grep -c '^trace' "$dir/out")" 5000 "... no trace is lost"

# --- Options ------------------------------------------------------------------------------

serve --exit-after 3 --timeout-ms 1000
post trigger >/dev/null
ended
is "$code" 3 "--timeout-ms: exits with 3 if the spans do not come"
has "$(cat "$dir/err")" "timed out: 2 of 3 spans were received within 1000 ms" \
    "... says how many came"
has "$(cat "$dir/out")" "hatchet.run_workflow" "... and prints those"

serve
"$tool" serve --listen "127.0.0.1:$port" 2>"$dir/err2"
is "$?" 1 "a port in use: exits with 1"
has "$(cat "$dir/err2")" \
    "cannot listen on 127.0.0.1:$port: another program does; choose another address" \
    "... and says what to do"
ended TERM

"$tool" serve --listen "unix:$dir/socket" --exit-after 2 >"$dir/out" 2>"$dir/err" &
pid=$!
"$client" wait "$dir/socket"
"$client" post "unix:$dir/socket" "$dir/trigger" >/dev/null
ended
is "$code $(sed -n 1p "$dir/err")" "0 hatchet-otel: listening on unix:$dir/socket" \
    "--listen unix:PATH"
[ ! -e "$dir/socket" ]
ok $? "... the socket is removed at the end"

"$tool" serve --listen 127.0.0.1:0 --exit-after 1 --timeout-ms 100 >/dev/null 2>"$dir/err"
is "$?" 3 "--listen HOST:PORT"

# runs CODE TEXT ARGUMENT...
runs() {
    want=$1 text=$2
    shift 2
    said=$("$tool" "$@" 2>&1)
    is "$?" "$want" "hatchet-otel $*: exits with $want"
    has "$said" "$text" "... says \"$text\""
}
runs 2 "usage:"
runs 2 'no command "sreve"' sreve
runs 2 'no option "--prot"' serve --prot 1
runs 2 "needs a value" serve --listen
runs 2 "takes no value" serve --ascii=1
runs 2 "is not a number from 0 to" serve --quiet-ms -1
runs 2 "none of always, never, auto" serve --color=blue
runs 0 "received 0 spans" serve --listen 0 --timeout-ms 5
runs 2 "needs --max-memory-mb 64" serve --max-request-bytes 16777216 --max-memory-mb 32
runs 2 "has no port" serve --listen unix:x --port-file y
runs 2 "none of PORT, HOST:PORT" serve --listen nonsense
runs 1 "cannot write to /nonexistent/x" serve --listen 0 --jsonl /nonexistent/x
runs 0 "hatchet-otel 0." --version
runs 0 "Examples:" --help
is "$("$tool" serve --help)" "$("$tool" --help)" "serve --help"

# --- Mutations ----------------------------------------------------------------------------

flags='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined'
# shellcheck disable=SC2086
if $cc -std=c99 $flags $defines tools/hatchet-otel.c -o "$dir/sanitized" 2>"$dir/cc.log"; then
    tool=$dir/sanitized
else
    note "no sanitizers with $cc; the tool as it is"
fi
serve --quiet-ms 0 --jsonl "$dir/fuzz.jsonl"
for name in worker types escapes orphans; do
    taken=$("$client" fuzz "$port" "$dir/$name" 1250 42)
    ok $? "1250 mutations of $name: all answered or closed"
    [ "${taken#taken }" -gt 50 ]
    ok $? "... enough of them are good enough to be printed ($taken)"
done
is "$(post trigger)" "HTTP/1.1 200 OK" "the tool is still there"
ended TERM
is "$code" 0 "... and ends without complaints" || show "$dir/err"

done_testing
