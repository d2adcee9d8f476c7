#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: tests/coverage/run.sh PROGRAM...
#
# Runs test programs that were built with --coverage and tells which branches of the protocol and
# encoding sections of hatchet_otel.h all of them together have taken. Exits with 0 if every test
# passed, LEAST percent of the branches were taken and each of the others stands with its reason in
# exceptions.txt, where nothing else may stand. Works in build/coverage.
set -u
cd "$(dirname "$0")/../.." || exit 2

LEAST=95
sections='TEXT
LISTS OF PAIRS
URLS
W3C TRACE CONTEXT
HTTP RESPONSES
HPACK
HTTP/2
OTLP REPLIES
GRPC
FINISHED SPANS
FIT FOR HATCHET
JSON METADATA
HATCHET TOKEN
ENV FILES
PEM TEXT
WRITING OTLP VALUES
OTLP ENCODING
BAGGAGE AND VALUES OF CONTEXTS
PROPAGATORS'

work=build/coverage
if [ $# -eq 0 ] || ! command -v gcov >/dev/null; then
    echo "coverage: skipped, needs gcc and gcov (package gcc)"
    exit 0
fi
mkdir -p "$work" || exit 2

# Counts of earlier runs would be added to.
find "$work" -name '*.gcda' -exec rm -f {} +
tests/run.sh --logs "$work/tap" "$@"
tests_failed=$?
echo

bold='' red='' plain=''
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
fi

for program; do
    for notes in "$program".gcno "$program"-*.gcno; do
        [ ! -f "$notes" ] || gcov -b -c -t "$notes"
    done
done >"$work/all.gcov" 2>"$work/gcov.log" || {
    cat "$work/gcov.log"
    exit 1
}

# Every branch is known by its line and its number there: the header is the same in all programs.
awk -v least="$LEAST" -v sections="$sections" -v bold="$bold" -v red="$red" -v plain="$plain" \
    -v missed_file="$work/missed.txt" '
    function trimmed(text) {
        gsub(/^[ \t]+|[ \t]+$/, "", text)
        return text
    }
    function complain(text) {
        if (!complaints++) print ""
        print red text plain
    }
    function row(name, all, taken, listed) {
        printf "%-32s %9d %9d %9d %9d %8.1f %%\n", name, all, taken, all - taken, listed,
            all ? 100 * taken / all : 100
    }

    BEGIN { num_sections = split(sections, wanted, "\n") }

    # hatchet_otel.h: what is in which section.
    FILENAME == "hatchet_otel.h" {
        if (match($0, /^\/\* ==== \[SECTION [0-9]+\] /)) {
            section = substr($0, RLENGTH + 1)
            sub(/ =+ \*\/$/, "", section)
            exists[section] = 1
        }
        section_of[FNR] = section
        source[FNR] = trimmed($0)
        next
    }

    # exceptions.txt: "function: text of the line", then "    number: reason", or
    # "    at most number: reason" where it depends on how threads meet.
    FILENAME ~ /exceptions\.txt$/ {
        if (/^#/ || /^$/) next
        if (/^[^ ]/) {
            key = $0
            if (key in excepted) complain("exceptions.txt:" FNR ": twice: " key)
            excepted[key] = 0
            where[key] = FNR
        } else if (match($0, /^ +[0-9]+: ./)) {
            excepted[key] += $1 + 0
        } else if (match($0, /^ +at most [0-9]+: ./)) {
            excepted[key] += $3 + 0
            sometimes[key] = 1
        } else if (!(key in excepted) || !excepted[key]) {
            complain("exceptions.txt:" FNR ": neither a line of the header nor a number and reason")
        }
        next
    }

    # What gcov tells.
    /^ +-: +0:Source:/ {
        sub(/.*Source:/, "")
        in_header = $0 == "hatchet_otel.h" || $0 == "./hatchet_otel.h"
        next
    }
    !in_header { next }
    /^function / {
        function_name = $2
        next
    }
    /^ *[^ :]+: *[0-9]+:/ {
        split($0, field, ":")
        line = field[2] + 0
        branch = 0
        next
    }
    /^branch / {
        branch++
        if (branch > branches[line]) branches[line] = branch
        function_of[line] = function_name
        if ($0 ~ /taken [1-9]/) hit[line, branch] = 1
    }

    END {
        for (line = 1; line in source; line++) {
            if (!branches[line]) continue
            section = section_of[line]
            total[section] += branches[line]
            for (i = 1; i <= branches[line]; i++) {
                if ((line, i) in hit) taken[section]++
                else missed[line]++
            }
            if (missed[line]) {
                key = function_of[line] ": " source[line]
                not_taken[key] += missed[line]
                for (i = 1; i <= branches[line]; i++) {
                    if (!((line, i) in hit)) which[key] = which[key] " " line "/" i
                }
            }
        }
        printf "%s%-32s %9s %9s %9s %9s %10s%s\n", bold, "section", "branches", "taken",
            "not taken", "reasons", "", plain
        for (s = 1; s <= num_sections; s++) {
            name = wanted[s]
            if (!total[name]) {
                complain("no branch in section " name ": " \
                    (name in exists ? "no test compiles it" : "there is none of this name"))
                continue
            }
            listed = 0
            delete counted
            for (line = 1; line in source; line++) {
                if (section_of[line] != name || !missed[line]) continue
                key = function_of[line] ": " source[line]
                if (counted[key]++) continue
                in_section[key] = 1
                order[++num_missed] = key
                if (key in excepted) listed += not_taken[key]
            }
            row(name, total[name], taken[name], listed)
            sum_total += total[name]
            sum_taken += taken[name]
            sum_listed += listed
        }
        printf "%s", bold
        row("total", sum_total, sum_taken, sum_listed)
        printf "%s", plain

        for (i = 1; i <= num_missed; i++) {
            key = order[i]
            print key "\n    " not_taken[key] ": ?" >missed_file
            if (key in excepted && excepted[key] == not_taken[key]) continue
            if (key in sometimes && excepted[key] >= not_taken[key]) continue
            complain(key)
            print "    not taken:" which[key] " (line/branch), " excepted[key] + 0 " with a reason"
        }
        for (key in excepted) {
            if (!(key in in_section) && !(key in sometimes)) {
                complain("exceptions.txt:" where[key] ": no such line, or all taken: " key)
            }
        }
        if (100 * sum_taken < least * sum_total) {
            complain("fewer than " least " % of the branches were taken")
        }
        exit complaints > 0
    }' hatchet_otel.h tests/coverage/exceptions.txt "$work/all.gcov" && exit "$tests_failed"
