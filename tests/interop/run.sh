#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Proves the library against software that is not ours; `make interop` builds the programs and
# calls this. Prints TAP and ends with a line "N passed, N failed".
#     run.sh [PART...]      all parts, or those named: see run.py
#     INTEROP_SEED=N        the first seed of the random spans, and that of the header blocks (1)
#     INTEROP_SEEDS=N       how many seeds (3), each of 16 sessions with limits of their own
#     INTEROP_SPANS=N       how many spans of all (10000)
# Wants python3 (with venv), go, and their package registries the first time. What is built stays
# in build/interop; what the tests' programs and servers wrote is in build/interop/output.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/build/interop

# prepare WHAT: built once; takes seconds for python, about two minutes for collector.
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

if command -v go > /dev/null; then
    prepare collector
else
    INTEROP_NO_COLLECTOR="go is not here to build the Collector"
    export INTEROP_NO_COLLECTOR
fi

PYTHONPYCACHEPREFIX=$build/pycache
export PYTHONPYCACHEPREFIX
exec "$build/venv/bin/python" "$here/run.py" "$@"
