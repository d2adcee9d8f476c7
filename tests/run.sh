#!/bin/sh
# SPDX-License-Identifier: MIT
set -u
cd "$(dirname "$0")/.." || exit 2

usage() {
    cat <<'TEXT'
usage: tests/run.sh [options] [program ...]

Runs test programs that speak TAP, each for a limited time, and sums up what they report. Uses
prove(1) where there is one, else a loop of its own. The last line is "N passed, N failed", with
", N skipped" after it when there were any. Exits 0 if nothing failed and something was run.

  --timeout SECONDS   for each program (default 600)
  --jobs N            programs at a time, where prove runs them (default 1)
  --logs DIR          where each program's output is kept (default build/tap)
  --skip REASON       counts as one check that could not be made; may be repeated
  --under DIR/ CMD    CMD runs the programs below DIR, an emulator say; may be repeated
  --no-prove          use the loop even if there is a prove
  --help

A program fails if a check fails, if its plan is missing or wrong, if it exits with anything but 0
or if its time is up (it then gets SIGTERM, and SIGKILL five seconds later). Variables OTEL_* and
HATCHET_* are taken out of the environment first. NO_COLOR is obeyed.
TEXT
}

# Runs one program under the clock. Its TAP goes to standard output when it has finished, and to
# LOGS/NAME.tap; standard error to NAME.err; the exit code, or "timeout", to NAME.status.
run_one() {
    log=$TAP_LOGS/$(log_name "$1")
    rm -f "$log".*
    case $1 in /*) command=$1 ;; *) command=./$1 ;; esac
    under=$(printf '%s' "$TAP_UNDER" | while read -r folder how; do
        case $1 in "$folder"*) printf '%s' "$how" ;; esac
    done)
    [ -x "$command" ] || under=sh
    $under "$command" >"$log.tap" 2>"$log.err" </dev/null &
    pid=$!
    watch "$pid" "$log" >/dev/null 2>&1 &
    watcher=$!
    wait "$pid" 2>/dev/null
    status=$?
    kill "$watcher" 2>/dev/null
    [ -f "$log.status" ] || echo "$status" >"$log.status"
    cat "$log.tap"
    return "$status"
}

watch() {
    trap 'kill "$sleeper"; exit' TERM
    sleep "$TAP_TIMEOUT" &
    sleeper=$!
    wait "$sleeper"
    echo timeout >"$2.status"
    kill -TERM "$1"
    sleep 5 &
    sleeper=$!
    wait "$sleeper"
    kill -KILL "$1"
}

log_name() { printf '%s' "$1" | tr '/ ' '__'; }

# Prints "passed failed skipped problem" for the program whose log is LOGS/NAME.
count() {
    awk -v status="$(cat "$1.status")" -v seconds="$TAP_TIMEOUT" '
        /^(not )?ok([ \t]|$)/ {
            run++
            if (/^not/) failed++
            else if (toupper($0) ~ /[^\\]# *SKIP/) skipped++
            else passed++
        }
        /^1\.\.[0-9]+/ {
            planned = substr($1, 4) + 0
            has_plan = 1
            if (planned == 0 && toupper($0) ~ /# *SKIP/) skipped++
        }
        END {
            if (status == "timeout") problem = "still running after " seconds " seconds"
            else if (status > 128) problem = "ended by signal " (status - 128)
            else if (!has_plan) problem = "no plan, exit code " status
            else if (planned != run) problem = "planned " planned " checks, made " run + 0
            else if (status != 0 && !failed) problem = "exit code " status
            if (problem != "") failed++
            printf "%d %d %d %s\n", passed, failed, skipped, problem
        }' "$1.tap"
}

# What a reader needs of a failed program: the checks that failed with their remarks, and stderr.
explain() {
    printf '\n%s%s%s %s\n' "$red" "$1" "$plain" "$2"
    awk '/^not ok/ { show = 1 } /^ok|^1\.\./ { show = 0 } show { print "  " $0 }' "$3.tap" |
        head -n 200
    tail -n 60 "$3.err" | sed 's/^/  | /'
}

run_with_prove() {
    if [ -n "${NO_COLOR:-}" ]; then set -- --nocolor "$@"; fi
    prove --jobs "$jobs" --exec "tests/run.sh --one" "$@"
}

run_with_shell() {
    total=$#
    number=0
    for program; do
        number=$((number + 1))
        [ -z "$line" ] || printf '%s[%d/%d] %s' "$line" "$number" "$total" "$program"
        run_one "$program" >/dev/null
        read -r p f s problem <<TEXT
$(count "$TAP_LOGS/$(log_name "$program")")
TEXT
        word=ok
        colour=$green
        [ "$f" -eq 0 ] || word=FAILED colour=$red
        [ -n "$line" ] && [ "$f" -eq 0 ] && [ "$number" -lt "$total" ] && continue
        printf '%s%s%-7s%s%s: %d passed, %d failed, %d skipped%s\n' \
            "$line" "$colour" "$word" "$plain" "$program" "$p" "$f" "$s" "${problem:+: $problem}"
    done
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit $?
fi

TAP_TIMEOUT=600
TAP_LOGS=build/tap
TAP_UNDER=
jobs=1
skips=
use_prove=$(command -v prove)
while [ $# -gt 0 ]; do
    case $1 in
    --timeout) TAP_TIMEOUT=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --logs) TAP_LOGS=$2; shift 2 ;;
    --skip) skips="$skips$2
"; shift 2 ;;
    --under) TAP_UNDER="$TAP_UNDER$2 $3
"; shift 3 ;;
    --no-prove) use_prove=; shift ;;
    --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) break ;;
    esac
done
export TAP_TIMEOUT TAP_LOGS TAP_UNDER
mkdir -p "$TAP_LOGS" || exit 2

red='' green='' plain='' line=''
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    line=$(printf '\r\033[K')
    if [ -z "${NO_COLOR:-}" ]; then
        red=$(printf '\033[31m') green=$(printf '\033[32m') plain=$(printf '\033[0m')
    fi
fi

for name in $(env | sed -n -e 's/^\(OTEL_[A-Za-z0-9_]*\)=.*/\1/p' \
    -e 's/^\(HATCHET_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done
unset MAKEFLAGS MFLAGS MAKELEVEL
LC_ALL=C
export LC_ALL
# A sanitizer's finding ends the program; a child of a fork may use threads.
: "${ASAN_OPTIONS=detect_stack_use_after_return=1}"
: "${UBSAN_OPTIONS=print_stacktrace=1}"
: "${TSAN_OPTIONS=die_after_fork=0 halt_on_error=1}"
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

harness=0
if [ $# -gt 0 ]; then
    if [ -n "$use_prove" ]; then run_with_prove "$@"; else run_with_shell "$@"; fi
    harness=$?
fi

passed=0 failed=0 skipped=0
for program; do
    log=$TAP_LOGS/$(log_name "$program")
    read -r p f s problem <<TEXT
$(count "$log")
TEXT
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" -eq 0 ] || explain "$program" "$problem" "$log"
done
[ -z "$use_prove" ] || [ "$harness" -eq 0 ] || [ "$failed" -gt 0 ] || {
    echo "prove ended with exit code $harness"
    failed=1
}

# Why checks were skipped, each reason once.
reasons=$(
    printf '%s' "$skips"
    for program; do
        awk '/^ok|^1\.\.0/ && match(toupper($0), /[^\\]# *SKIP */) {
                print substr($0, RSTART + RLENGTH)
            }' "$TAP_LOGS/$(log_name "$program").tap"
    done
)
if [ -n "$reasons" ]; then
    skipped=$((skipped + $(printf '%s' "$skips" | grep -c .)))
    printf '\nskipped:\n'
    printf '%s\n' "$reasons" | sort | uniq -c | sed 's/^ */  /'
fi

colour=$green
[ "$failed" -eq 0 ] || colour=$red
more=
[ "$skipped" -eq 0 ] || more=", $skipped skipped"
printf '%s%s passed, %s failed%s%s\n' "$colour" "$passed" "$failed" "$more" "$plain"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
