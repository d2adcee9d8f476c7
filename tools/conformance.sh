#!/bin/sh
# SPDX-License-Identifier: MIT
set -u
cd "$(dirname "$0")/.." || exit 2

usage() {
    cat <<'TEXT'
usage: tools/conformance.sh [file.tap | program ...]

Writes docs/conformance.md: for each rule of tests/conformance/rules.txt how many checks name its ID
and passed. Programs are run by tests/run.sh; files that end in .tap are read as they are. Without
arguments runs all of build/plain/*/test_*. `make conformance` builds those first.

Exits 0 if no check failed and every program ran to its end.
TEXT
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac

rules=tests/conformance/rules.txt
out=docs/conformance.md
logs=build/conformance
failed=0

[ $# -gt 0 ] || set -- build/plain/*/test_*
count=$#
rm -rf "$logs/given"
mkdir -p "$logs/given" docs || exit 2

# Turns the arguments into the programs among them; the files that are TAP already are copied.
number=0
while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    case $argument in
    *.d) ;;
    *.tap) number=$((number + 1)); cp "$argument" "$logs/given/$number.tap" || exit 2 ;;
    *) if [ -x "$argument" ] || [ "${argument%.sh}" != "$argument" ]; then
           set -- "$@" "$argument"
       else
           echo "tools/conformance.sh: $argument: no program" >&2
           exit 2
       fi ;;
    esac
done
rm -rf "$logs/run"
if [ $# -gt 0 ]; then tests/run.sh --logs "$logs/run" "$@" || failed=1; fi

find "$logs" -name '*.tap' -exec cat {} + | awk -v rules="$rules" -v version="$(tools/version.sh)" '
    # All that looks like an ID in a line, each once.
    function each_id(line, good,    id, seen) {
        while (match(line, /[A-Z][A-Z][A-Z]?-[0-9]+/)) {
            id = substr(line, RSTART, RLENGTH)
            if (RSTART > 1 && substr(line, RSTART - 1, 1) ~ /[A-Za-z0-9]/) id = ""
            line = substr(line, RSTART + RLENGTH)
            if (line ~ /^[A-Za-z]/ || id == "" || index(seen, " " id " ")) continue
            seen = seen " " id " "
            if (good) passed[id]++
            else broken[id]++
        }
    }
    # What stands in the third column of the table, and the figures of the section.
    function state(i) {
        if (broken[ids[i]]) { failing[part[i]]++; return "**" broken[ids[i]] " fail**" }
        if (what[i] == "left out") { left_out[part[i]]++; return "left out" }
        if (passed[ids[i]]) { proven[part[i]]++; return "proven, " passed[ids[i]] }
        open[part[i]]++
        return what[i] == "later" ? "not yet (planned)" : "not yet"
    }
    function total(figures, from, to,    sum, s) {
        for (s = from; s <= to; s++) sum += figures[s]
        return sum + 0
    }
    function row(name, from, to) {
        printf "| %s | %d | %d | %d | %d | %d |\n", name, total(size, from, to),
            total(proven, from, to), total(open, from, to), total(left_out, from, to),
            total(failing, from, to)
    }
    BEGIN {
        while ((getline line < rules) > 0) {
            if (line ~ /^=/) { title[++sections] = substr(line, 3); continue }
            if (line !~ /^[A-Z]+-[0-9]+ \| /) continue
            fields = split(line, field, / \| /)
            ids[++rows] = field[1]
            says[rows] = field[2]
            what[rows] = fields > 2 ? field[3] : ""
            part[rows] = sections
            size[sections]++
            if (title[sections] ~ /^Matrix: /) matrix = sections
        }
    }
    /^(not )?ok([ \t]|$)/ {
        if (toupper($0) ~ /[^\\]# *(SKIP|TO[D]O)/ || / - P5 /) next # no rule
        each_id($0, !/^not/)
    }
    END {
        for (i = 1; i <= rows; i++) result[i] = state(i)
        print "# Conformance"
        print ""
        print "Version " version ". Written by `make conformance`; not edited by hand."
        print ""
        print "Each rule of the OpenTelemetry and W3C specifications that concerns tracing has an"
        print "ID, with a reminder of what it is about. Checks name the IDs that they prove; the"
        print "figure counts the checks that passed. *Not yet*: no check names the rule."
        print ""
        print "| Rules | All | Proven | Not yet | Left out | Failing |"
        print "|---|--:|--:|--:|--:|--:|"
        for (s = 1; s <= sections; s++) {
            row(title[s], s, s)
            if (s == matrix) row("**The compliance matrix**", 1, s)
        }
        row("**All**", 1, sections)
        for (i = 1; i <= rows; i++) {
            if (part[i] != part[i - 1]) {
                printf "\n## %s\n\n| ID | Rule | Checks |\n|---|---|---|\n", title[part[i]]
            }
            printf "| %s | %s | %s |\n", ids[i], says[i], result[i]
        }
    }' >"$out.new" || exit 2
mv "$out.new" "$out" || exit 2

awk '/^\| \*\*/ { gsub(/\*/, ""); split($0, f, / *\| */)
    printf "%s: %d of %d proven, %d not yet, %d left out, %d failing\n",
        f[2], f[4], f[3], f[5], f[6], f[7]; bad += f[7] }
    END { exit bad > 0 }' "$out" || failed=1
exit "$failed"
