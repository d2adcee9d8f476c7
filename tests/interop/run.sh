#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Proves the library against software that is not ours; `make interop` builds the programs and
# calls this. Prints TAP and ends with a line "N passed, N failed".
#     run.sh [PART...]      all parts, or those named: see run.py
#     INTEROP_SEED=N        the first seed of the random spans, and that of the header blocks (1)
#     INTEROP_SEEDS=N       how many seeds (3), each of 16 sessions with limits of their own
#     INTEROP_SPANS=N       how many spans of all (10000)
#     INTEROP_GRPC_SPANS=N  how many spans to each gRPC server (2000)
#     INTEROP_FULL=1        gRPC at the budget's pace too
#     INTEROP_CLIENT=sdk    the gRPC cases with the SDK's exporter instead of the library: what it
#                           cannot deliver either is not the library's fault
# Wants python3 (with venv), go, node (with npm), java (a JDK, with mvn), cargo, and their package
# registries the first time; PostgreSQL, openssl, nginx, haproxy and nghttpx. What is built stays in
# build/interop; what the tests' programs and servers wrote is in build/interop/output.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/build/interop

# prepare WHAT: built once; takes seconds for python, about two minutes for collector and engine
# each.
prepare() {
    echo "# preparing $1 in $build (the first time needs the network)"
    if ! "$here/prepare.sh" "$1" "$build"; then
        tail -n 20 "$build/$1.log" | sed 's/^/#   /'
        echo "not ok 1 - $1 is ready (all of the log: $build/$1.log; then: make interop)"
        printf '1..1\n0 passed, 1 failed\n'
        exit 1
    fi
}

if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
    printf '1..0 # SKIP python3 with venv is not here (Debian: python3-venv)\n0 passed, 0 failed\n'
    exit 0
fi
prepare python
prepare sdk

# prepare_with TOOL... WHAT: sets INTEROP_NO_<WHAT> to the reason if a tool is missing.
prepare_with() {
    tools=
    while [ "$#" -gt 1 ]; do
        tools="$tools $1"
        shift
    done
    for tool in $tools; do
        if ! command -v "$tool" > /dev/null; then
            export "INTEROP_NO_$(echo "$1" | tr '[:lower:]' '[:upper:]')=$tool is not here"
            return
        fi
    done
    prepare "$1"
}
# Debian keeps PostgreSQL's programs out of PATH.
for folder in /usr/lib/postgresql/*/bin; do
    PATH=$PATH:$folder
done
prepare_with go collector
prepare_with go postgres initdb psql engine
prepare_with go gosdk
prepare_with node npm node
prepare_with java javac mvn java
prepare_with cargo tonic

PYTHONPYCACHEPREFIX=$build/pycache
export PYTHONPYCACHEPREFIX
exec "$build/venv/bin/python" "$here/run.py" "$@"
