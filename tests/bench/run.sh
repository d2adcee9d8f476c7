#!/bin/sh
# SPDX-License-Identifier: MIT
set -u
cd "$(dirname "$0")/../.." || exit 1

usage() {
    cat <<'TEXT'
usage: tests/bench/run.sh [options]     (or: make bench)

Measures what the library costs and prints it beside its floor and its budget: first what
build/bench/bench measures while it runs, then what the compiler makes of the header. Writes a line
of JSON for each figure to build/bench/results.jsonl, and the table as Markdown to
build/bench/table.md; --readme puts that table into README.md.

  --quick           three repetitions of fewer spans
  --repetitions N   of each figure (default 7)
  --only WORD       run-time figures with WORD in their name, and nothing else
  --callgrind       also count instructions (needs valgrind)
  --readme          put the table into README.md
  --help

CC is the compiler (default cc). NO_COLOR is obeyed. A quiet machine gives steady figures.
TEXT
}

CC=${CC:-cc}
bench=build/bench/bench
work=build/bench/work
results=build/bench/results.jsonl
table=build/bench/table.md
callgrind=no compiled=yes readme=no
for argument; do
    case $argument in
    --help) usage; exit 0 ;;
    --callgrind) callgrind=yes ;;
    --readme) readme=yes ;;
    --only) compiled=no ;;
    esac
done
# The rest goes to the program as it is.
for argument; do
    shift
    case $argument in --callgrind | --readme) ;; *) set -- "$@" "$argument" ;; esac
done

[ -x "$bench" ] || { echo "$bench is missing: make bench" >&2; exit 2; }
mkdir -p "$work" || exit 2
: >"$results"

green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
fi

# figure NAME TEXT VALUE UNIT [BUDGET]: a line of the table, a line of JSON
figure() {
    budget='' verdict='' colour=''
    json="{\"name\":\"$1\",\"text\":\"$2\",\"form\":\"\",\"unit\":\"$4\",\"median\":$3"
    if [ -n "${5:-}" ]; then
        budget="<= $5 $4"
        verdict=over colour=$red
        awk "BEGIN { exit !($3 <= $5) }" && verdict=PASS colour=$green
        json="$json,\"budget_max\":$5,\"verdict\":\"$(echo "$verdict" | tr PAS pas)\""
    fi
    printf '%-44s %-8s %10s  %-19s %10s %7s %12s %s\n' "$2" '' "$3 $4" '' '' '' "$budget" \
        "$colour$verdict$plain"
    echo "$json}" >>"$results"
}

"$bench" --jsonl "$results" "$@"
status=$?

# ---- instructions, counted by callgrind ----------------------------------------------------------
# count_instructions NAME FUNCTION: the counter runs inside the function only, without the export
count_instructions() {
    spans=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
        "--toggle-collect=burst_$2" "$bench" --count "$1" 2>"$work/callgrind.txt") || return 1
    awk -v spans="$spans" '/Collected/ { printf "%.0f\n", $NF / spans }' "$work/callgrind.txt"
}

if [ "$callgrind" = yes ]; then
    if command -v valgrind >/dev/null; then
        echo
        while read -r name function text; do
            count=$(count_instructions "$name" "$function") || {
                cat "$work/callgrind.txt" >&2
                exit 1
            }
            figure "instructions_$name" "instructions: $text" "$count" ""
        done <<'TEXT'
start_end start_end start + end
start_set4_end start_set4_end start + hotel_set of 4 + end
start_4set_end start_4set_end start + 4 single setters + end
not_sampled start_end start + end, not sampled
extract extract extract a traceparent
inject inject inject a traceparent
TEXT
    else
        echo "instructions are not counted: no valgrind here"
    fi
fi

# ---- what the compiler makes of it ---------------------------------------------------------------
cat >"$work/empty.c" <<'TEXT'
int main(void) {
    return 0;
}
TEXT
cat >"$work/interface.c" <<'TEXT'
#include "hatchet_otel.h"
int main(void) {
    return 0;
}
TEXT
cat >"$work/program.c" <<'TEXT'
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
int main(void) {
    hotel_init(0);
    hotel_span span = hotel_start("span");
    hotel_set(&span, hotel_str("http.method", "GET"), hotel_int("http.status_code", 200));
    hotel_end(&span);
    return hotel_shutdown(5000) == HOTEL_OK ? 0 : 1;
}
TEXT

bytes() { wc -c <"$1" | tr -d ' '; }

# added NAME TEXT BUDGET COMPILER FLAGS...: kibibytes that the library adds to a program
added() {
    name=$1 text=$2 limit=$3
    shift 3
    "$@" -Os -s -I. "$work/empty.c" -o "$work/empty" -pthread 2>"$work/cc.txt" &&
        "$@" -Os -s -I. "$work/program.c" -o "$work/program" -pthread 2>"$work/cc.txt" || {
        echo "$text: $* does not work here"
        return
    }
    more=$(($(bytes "$work/program") - $(bytes "$work/empty")))
    kib=$(awk "BEGIN { printf \"%.1f\", $more / 1024 }")
    figure "$name" "$text" "$kib" KiB "$limit"
}

# of_that NAME TEXT PREFIXES COMPILER: kibibytes of it in functions and tables with such names
of_that() {
    "$4" -Os -I. -c "$work/program.c" -o "$work/program.o" 2>"$work/cc.txt" &&
        nm -S -t d "$work/program.o" >"$work/symbols.txt" || {
        echo "$2: $4 -c, or nm, does not work here"
        return
    }
    figure "$1" "$2" "$(awk -v names="^hoteli_($3)" '$4 ~ names { sum += $2 }
        END { printf "%.1f", sum / 1024 }' "$work/symbols.txt")" KiB
}

# added_ms NAME TEXT BUDGET FILE RUNS FLAGS...: milliseconds more than the same for an empty file
added_ms() {
    name=$1 text=$2 limit=$3 file=$4 runs=$5
    shift 5
    empty=$("$bench" --time "$runs" "$CC" "$@" -I. -c "$work/empty.c" -o "$work/object.o") &&
        full=$("$bench" --time "$runs" "$CC" "$@" -I. -c "$file" -o "$work/object.o") || {
        echo "$text: $CC does not work here"
        return
    }
    figure "$name" "$text" "$(awk "BEGIN { printf \"%.1f\", $full - $empty }")" ms "$limit"
}

if [ "$compiled" = yes ]; then
    echo
    if command -v musl-gcc >/dev/null; then
        added size_static "added to a static program (-Os, musl)" 48 musl-gcc -static
        added size_static_gc "the same, unused sections removed" '' musl-gcc -static \
            -ffunction-sections -fdata-sections -Wl,--gc-sections
        of_that size_grpc "gRPC, HTTP/2 and HPACK in it, by names" "grpc|h2|hpack" musl-gcc
    else
        added size_dynamic "added to a program (-Os)" 48 "$CC"
    fi
    added_ms include_ms "time to include the interface" 5 "$work/interface.c" 41 -O0
    added_ms compile_ms "time to compile the implementation (-O2)" 4000 "$work/program.c" 5 -O2
fi

# ---- the same as Markdown ------------------------------------------------------------------------

awk '
    function value(key) { # of a member of this line, "" if it is not there
        if (!match($0, "\"" key "\":(\"[^\"]*\"|[^,}]*)")) return ""
        text = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
        gsub(/"/, "", text)
        return text
    }
    function number(text, n) {
        n = text + 0
        if (text == "") return ""
        return sprintf(n >= 100 || n == int(n) ? "%.0f" : n >= 10 ? "%.1f" : "%.2f", n)
    }
    BEGIN { print "| | | median | floor | ratio | budget | |\n|---|---|--:|--:|--:|--:|---|" }
    {
        unit = value("unit") == "" ? "" : " " value("unit")
        ratio = value("ratio")
        limit = value("budget_ratio")
        budget = limit == "" ? "" : "<= " limit " x"
        if (value("budget_max") != "") budget = "<= " value("budget_max") unit
        if (value("budget_min") != "") budget = ">= " value("budget_min") unit
        print "| " value("text") " | " value("form") " | " number(value("median")) unit " | " \
            number(value("floor")) " | " (ratio == "" ? "" : sprintf("%.2f x", ratio)) " | " \
            budget " | " value("verdict") " |"
    }' "$results" >"$table"

if [ "$readme" = yes ] && [ "$status" -eq 0 ]; then
    awk -v table="$table" '
        /^<!-- bench: end -->$/ { inside = 0 }
        !inside { print }
        /^<!-- bench: build/ { inside = 1; while ((getline line < table) > 0) print line }
    ' README.md >"$work/README.md" && cp "$work/README.md" README.md
fi

echo
echo "$(wc -l <"$results" | tr -d ' ') figures in $results"
exit "$status"
