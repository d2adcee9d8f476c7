#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - two programs, one trace: starts the receiver on a free loopback port, runs a trigger and
# the worker it starts, and waits until the receiver has printed their five spans as a tree.
# `make demo` builds what is needed first. Exits 0 if all five spans arrived.
set -u
cd "$(dirname "$0")/.." || exit 1

port_file=build/demo-port.$$
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -f "$port_file"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Settings of the person who runs this must not send the trace elsewhere.
for name in $(env | sed -n -e 's/^\(OTEL_[A-Za-z0-9_]*\)=.*/\1/p' \
    -e 's/^\(HATCHET_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done

build/hatchet-otel serve --listen 127.0.0.1:0 --port-file "$port_file" \
    --exit-after 5 --timeout-ms 15000 &
server=$!

tries=0
until [ -s "$port_file" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "demo: the receiver did not start" >&2
        exit 1
    fi
    sleep 0.1 2>/dev/null || sleep 1
done

OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(cat "$port_file")
export OTEL_EXPORTER_OTLP_ENDPOINT
cat <<TEXT
export OTEL_EXPORTER_OTLP_ENDPOINT=$OTEL_EXPORTER_OTLP_ENDPOINT
build/examples/trigger | build/examples/worker
TEXT
build/examples/trigger | build/examples/worker
worker_status=$?

wait "$server"
server_status=$?
server=
[ "$worker_status" -eq 0 ] || echo "demo: the worker ended with $worker_status" >&2
[ "$server_status" -eq 0 ] || echo "demo: the receiver ended with $server_status" >&2
[ "$worker_status" -eq 0 ] && [ "$server_status" -eq 0 ]
