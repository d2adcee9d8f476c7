#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs libFuzzer programs one after the other, each with the dictionary and the seeds of its target,
# and prints a line for each: how often it was executed, how many edges of the program that covered
# (features: edges by how often they were taken), and how many inputs that needs. `make fuzz` builds
# the programs and calls this.
#     run.sh PROGRAM...
#     FUZZ_RUNS=N       executions of each; without it FUZZ_SECONDS (60) each
# What is found grows the corpus build/fuzz/corpus/NAME; the log is build/fuzz/NAME.log. An input
# that breaks a target is build/fuzz/NAME-crash-*; build/asan/fuzz/NAME FILE runs it again. Ends at
# the first of those, with exit code 1.
set -eu
cd "$(dirname "$0")/../.."

if [ -n "${FUZZ_RUNS:-}" ]; then
    bound=-runs=$FUZZ_RUNS
else
    bound=-max_total_time=${FUZZ_SECONDS:-60}
fi

# The last number behind a word in the log.
number() {
    sed -n "s/.*$1[: ]*\\([0-9][0-9]*\\).*/\\1/p" "$log" | tail -n 1
}

printf '%-18s %11s %8s %8s %8s %8s\n' target executions seconds edges features inputs
for program; do
    name=$(basename "$program")
    log=build/fuzz/$name.log
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus"
    status=0
    start=$(date +%s)
    "$program" "$bound" -timeout=10 -max_len=2048 -print_final_stats=1 -dict="tests/fuzz/dict/$name.dict" \
        -artifact_prefix="build/fuzz/$name-" "$corpus" > "$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log"
        echo "$name: exit code $status, see $log"
        exit 1
    fi
    printf '%-18s %11s %8s %8s %8s %8s\n' "$name" "$(number number_of_executed_units)" \
        "$(($(date +%s) - start))" "$(number ' cov')" "$(number ' ft')" "$(number ' corp')"
done
