#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Tests what the documentation shows. Prints TAP; works in build/docs.
#
#   README.md        every block that is fenced as c, cpp or sh
#   hatchet_otel.h   in the head comment, what is indented between a line `--- code: NAME` and the
#                    next line `---` (c, or cpp if NAME ends in .cpp)
#
# C and C++ that has a main is compiled, linked with the implementation if it does not bring it
# along, and run against a receiver, named in OTEL_EXPORTER_OTLP_ENDPOINT: it must exit with 0.
# Anything else must compile, as a file or as the body of a function, after given.h, which
# declares the names that such snippets take for granted.
#
# A shell block runs line by line with `sh -e` in a folder that looks like the project, against the
# same receiver. If the first line of a C block is a comment that starts with a file name,
# /* hello.c ... */, the block lies there under that name.
#
# A line <!-- no test: REASON --> right before the fence skips a block.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

work=$(pwd)/build/docs
receiver=
rm -rf "$work"
mkdir -p "$work/project" || exit 1
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM

for entry in *; do ln -s "$(pwd)/$entry" "$work/project/$entry"; done

cc=${CC:-cc}
cxx=
for candidate in c++ g++ clang++; do
    [ -n "$cxx" ] || ! have "$candidate" || cxx=$candidate
done
flags="-Wall -Wextra -Wno-unused -Wno-missing-field-initializers -Werror -I. -Itests/docs -pthread"

# ---- the snippets, one file each, and a list of them: kind, place, file, reason to skip ----------

awk -v dir="$work" '
    /^<!-- no test: .* -->$/ { reason = substr($0, 15, length - 18); next }
    !inside && /^```(c|cpp|sh)$/ {
        kind = substr($0, 4)
        inside = 1
        name = "readme-" NR "." kind
        file = dir "/" name
        printf "" > file
        print kind, FILENAME ":" NR, name, reason
        next
    }
    !inside && /^```/ { inside = 2; next }
    inside && /^```$/ { if (inside == 1) close(file); inside = 0; reason = ""; next }
    inside == 1 { print > file }
    !inside && NF { reason = "" }
' README.md >"$work/list"

awk -v dir="$work" '
    { line = $0; sub(/^ \*( |$)/, "", line) }
    !inside && line ~ /^ *--- code: / {
        kind = line ~ /\.cpp *$/ ? "cpp" : "c"
        name = "header-" NR "." kind
        file = dir "/" name
        printf "" > file
        print kind, FILENAME ":" NR, name
        inside = 1
        next
    }
    inside && line ~ /^ *---$/ { inside = 0; close(file); next }
    inside { sub(/^    /, "", line); print line > file }
    /\*\/$/ && !inside { exit }
' hatchet_otel.h >>"$work/list"

# ---- the receiver --------------------------------------------------------------------------------

build/hatchet-otel serve --listen 127.0.0.1:0 --port-file "$work/port" --timeout-ms 240000 \
    >"$work/receiver.log" 2>&1 &
receiver=$!
tries=0
until [ -s "$work/port" ] || [ "$tries" -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
[ -s "$work/port" ]
ok $? "the receiver started" || { show "$work/receiver.log"; done_testing; }
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(cat "$work/port")
export OTEL_EXPORTER_OTLP_ENDPOINT

printf '#define HATCHET_OTEL_IMPLEMENTATION\n#include "hatchet_otel.h"\n' >"$work/implementation.c"
$cc -std=gnu99 -O1 $flags -c "$work/implementation.c" -o "$work/implementation.o" >"$work/log" 2>&1
ok $? "the implementation compiles" || show "$work/log"

# ---- one snippet ---------------------------------------------------------------------------------

# program COMPILER FILE: compiled, linked and run
program() {
    object=$work/implementation.o
    ! grep -q 'define HATCHET_OTEL_IMPLEMENTATION' "$2" || object=
    $1 $flags -o "$2.program" "$2" ${object:+"$object"} && (cd "$work/project" && "$2.program")
}

# fragment COMPILER FILE: compiles as a file or else as the body of a function
fragment() {
    suffix=${2##*.}
    { printf '#include "given.h"\n#line 1 "%s"\n' "${2##*/}"; cat "$2"; } >"$2.file.$suffix"
    { printf '#include "given.h"\nint snippet(void);\nint snippet(void) {\n'
      printf '#line 1 "%s"\n' "${2##*/}"; cat "$2"; printf '\nreturn 0;\n}\n'; } \
        >"$2.body.$suffix"
    $1 $flags -fsyntax-only "$2.file.$suffix" >"$2.file.log" 2>&1 && return 0
    $1 $flags -fsyntax-only "$2.body.$suffix" && return 0
    echo "and as a file of its own:"
    cat "$2.file.log"
    return 1
}

compiled() {
    saved_as=$(sed -n '1s,^/[*/] *\([A-Za-z0-9_-]*\.[a-z]*\).*,\1,p' "$2")
    [ -z "$saved_as" ] || [ -e "$work/project/$saved_as" ] || cp "$2" "$work/project/$saved_as"
    if grep -qE '(^|[^a-z_])main\(' "$2"; then program "$1" "$2"; else fragment "$1" "$2"; fi
}

num_snippets=0
while read -r kind place name reason; do
    file=$work/$name
    num_snippets=$((num_snippets + 1))
    if [ -n "$reason" ]; then
        skip "$place: $reason"
        continue
    fi
    if [ "$kind" = cpp ] && [ -z "$cxx" ]; then
        skip "$place: no C++ compiler found"
        continue
    fi
    case $kind in
    c) compiled "$cc -std=gnu99" "$file" ;;
    cpp) compiled "$cxx -std=c++17" "$file" ;;
    sh) (cd "$work/project" && sh -e "$file") ;;
    esac >"$work/log" 2>&1 </dev/null
    ok $? "$place: the $kind snippet works" || { show "$file"; show "$work/log"; }
done <"$work/list"

[ "$num_snippets" -gt 0 ]
ok $? "$num_snippets snippets in README.md and the header"
done_testing
