#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compiles hatchet_otel.h in every way that is promised, with every warning of the house an error:
# ways of including it x compilers x language standards; then what the objects, the programs made of
# them and the preprocessor show. Only syntax is checked where code would show nothing more.
# Prints TAP. Works in build/compile; two compilers at a time (COMPILE_JOBS).
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

work=build/compile
jobs=${COMPILE_JOBS:-2}
rm -rf "$work"
mkdir -p "$work" || exit 1

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual \
-Werror -I."
c_warnings="$warnings -Wstrict-prototypes -Wmissing-prototypes"
cxx_warnings="$warnings -Wold-style-cast"

# ---- the queue: checks are lined up with add, then made by several workers at once ---------------

num_added=0
num_shown=0

# add NAME COMMAND...: passes if the command exits with 0
# the house's warnings are left out of the name
add() {
    num_added=$((num_added + 1))
    name=${1%" $c_warnings"}
    printf '%s\n' "${name%" $cxx_warnings"}" >"$work/$num_added.name"
    shift
    printf '%s\n' "$*" >"$work/$num_added.command"
}

worker() {
    n=$(($1 + num_shown))
    while [ "$n" -le "$num_added" ]; do
        (. "$work/$n.command") >"$work/$n.log" 2>&1 </dev/null
        echo $? >"$work/$n.status"
        n=$((n + jobs))
    done
}

run_all() {
    n=1
    while [ "$n" -le "$jobs" ]; do
        worker "$n" &
        n=$((n + 1))
    done
    wait
    while [ "$num_shown" -lt "$num_added" ]; do
        num_shown=$((num_shown + 1))
        ok "$(cat "$work/$num_shown.status")" "$(cat "$work/$num_shown.name")" && continue
        show "$work/$num_shown.command"
        head -n 12 "$work/$num_shown.log" >"$work/head"
        show "$work/head"
    done
}

# gives_documented_error COMMAND...: fails with an #error that names header and remedy
gives_documented_error() {
    if "$@" 2>&1; then
        echo "compiled, but should not have"
        return 1
    fi >"$work/error.$1.$n"
    cat "$work/error.$1.$n"
    sed -n 's/.*error://p' "$work/error.$1.$n" | grep 'hatchet_otel\.h' | grep -q '_POSIX_C_SOURCE'
}

# ---- sources -------------------------------------------------------------------------------------

echo '#include "hatchet_otel.h"' >"$work/interface.c"
cat >"$work/implementation.c" <<'TEXT'
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT
cat >"$work/static.c" <<'TEXT'
#define HATCHET_OTEL_STATIC
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT
cat >"$work/zlib.c" <<'TEXT'
#define HATCHET_OTEL_ZLIB
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT
cat >"$work/openssl.c" <<'TEXT'
#define HATCHET_OTEL_OPENSSL
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT
cat >"$work/twice.c" <<'TEXT'
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
#include "hatchet_otel.h"
TEXT
cat >"$work/late.c" <<'TEXT'
#include "hatchet_otel.h"
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT
cat >"$work/after.c" <<'TEXT'
#include <stdio.h>
#include <string.h>
#include <time.h>
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT

cat >"$work/disabled.c" <<'TEXT'
#define HATCHET_OTEL_DISABLE
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"
TEXT

# A function full of span calls, and with PLAIN the same without them.
cat >"$work/traced.c" <<'TEXT'
#include "disabled.c"
#if defined(__cplusplus)
extern "C"
#endif
int work(const char *item, int count, char *metadata);
int work(const char *item, int count, char *metadata) {
#ifndef PLAIN
    HOTEL_SCOPE(order, hotel_start_as(item, HOTEL_SERVER));
    hotel_context parent = hotel_extract(item, NULL);
    hotel_span child = hotel_start_in(&parent, item, HOTEL_CLIENT);
    hotel_link link;
    hotel_step_run step_run;
    hotel_task task;
    step_run.workflow_name = item;
    task = hotel_start_step_run(&step_run);
    link.context = child.context;
    hotel_set(&order, hotel_str("item", item), hotel_int("count", count));
    hotel_set_str(&child, "item", item);
    hotel_set_double(&child, "share", 0.5);
    hotel_add_event(&child, "begun");
    hotel_add_event_with(&child, "begun", hotel_bool("again", true));
    hotel_add_link(&child, &link);
    hotel_record_exception(&child, "type", item, NULL, NULL, 0);
    hotel_set_status(&child, HOTEL_STATUS_ERROR, item);
    hotel_end(&child);
    hotel_task_succeed(&task);
    hotel_context_release(&parent);
    if (hotel_is_recording(&order)) count = -1;
    metadata[0] = 0;
    if (hotel_traceparent(&order, metadata)) return 0;
#else
    (void)item;
    metadata[0] = 0;
#endif
    return count * 2;
}
TEXT
cat >"$work/disabled_program.c" <<'TEXT'
#include "disabled.c"
#include <stdio.h>
#include <string.h>
int main(void) {
    char text[64];
    hotel_span span = hotel_start("x");
    hotel_stats stats;
    hotel_destination_stats destination;
    if (hotel_init(NULL) || hotel_flush(0) || hotel_poll(0) || hotel_shutdown(0) ||
        hotel_release()) return 1;
    if (span.record != 0 || hotel_is_recording(&span) || hotel_is_valid(&span.context)) return 2;
    if (hotel_traceparent(&span, text) || text[0] != 0) return 3;
    hotel_trace_id_hex(&span.context, text);
    if (strcmp(text, "00000000000000000000000000000000") != 0) return 4;
    hotel_span_id_hex(&span.context, text);
    if (strcmp(text, "0000000000000000") != 0) return 5;
    if (hotel_inject_metadata(&span, "{\"a\": 1}", text, sizeof text) != 8 ||
        strcmp(text, "{\"a\": 1}") != 0) return 6;
    if (hotel_inject_metadata_n(&span, "{\"a\": 1} tail", 8, text, 5) != 8 ||
        strcmp(text, "{\"a\"") != 0) return 7;
    if (hotel_inject_metadata(&span, NULL, text, sizeof text) != 2 ||
        strcmp(text, "{}") != 0) return 8;
    if (hotel_inject_metadata(&span, "{}", NULL, 0) != 2) return 9;
    if (hotel_engine_run("", 0, NULL) || hotel_engine_queued("", 0, 0, NULL) ||
        hotel_engine_step_run("", 0, 0, NULL) || hotel_engine_event("", 0, "", 0, NULL)) return 23;
    if (hotel_tracestate_set("a=1", "b", "2", text, sizeof text) != 3 ||
        strcmp(text, "a=1") != 0) return 10;
    if (hotel_tracestate_get("a=1", "a", text, sizeof text) != -1 || text[0] != 0) return 11;
    memset(&stats, 1, sizeof stats);
    hotel_get_stats(&stats);
    if (stats.started != 0 || stats.num_destinations != 0) return 12;
    if (hotel_get_destination_stats(0, &destination) != HOTEL_ERR_ARGUMENT) return 13;
    if (hotel_describe(text, sizeof text) != 0 || text[0] != 0) return 14;
    return strcmp(hotel_version(), HOTEL_VERSION_STRING) == 0 ? 0 : 15;
}
TEXT

# Every public function by name, one a line.
functions=$(awk '/^\/\* =+ IMPLEMENTATION =+ \*\/$/ { exit }
    /^HOTEL_API / && match($0, /hotel_[a-z0-9_]+\(/) { print substr($0, RSTART, RLENGTH - 1) }' \
    hatchet_otel.h | sort -u)

# A function that returns the address of the table of all of them.
{
    echo 'typedef void (*any_function)(void);'
    echo 'any_function *TABLE(void);'
    echo 'any_function *TABLE(void) {'
    echo '    static any_function all[] = {'
    printf '%s\n' "$functions" | sed 's/.*/        (any_function)&,/'
    echo '        NULL,'
    echo '    };'
    echo '    return all;'
    echo '}'
} >"$work/table.h"
for kind in implementation static interface; do
    { cat "$work/$kind.c"; echo '#include "table.h"'; } >"$work/table_$kind.c"
done
{
    cat "$work/static.c"
    echo '#if defined(__cplusplus)'
    echo 'extern "C"'
    echo '#endif'
    echo 'const char *copy(void);'
    echo 'const char *copy(void) { return "a third static copy, C++ where there is a compiler"; }'
} >"$work/copy.c"
cat >"$work/program.c" <<'TEXT'
#include <stdio.h>
typedef void (*any_function)(void);
any_function *interface_table(void);
any_function *static_table(void);
any_function *other_static_table(void);
const char *copy(void);
int main(void) {
    any_function *one = interface_table();
    any_function *two = static_table();
    any_function *three = other_static_table();
    int i;
    for (i = 0; one[i] != NULL; i++) {
        if (one[i] == two[i] || one[i] == three[i] || two[i] == three[i]) {
            printf("function %d exists once where three copies are expected\n", i);
            return 1;
        }
    }
    return copy()[0] == 'a' && i > 0 ? 0 : 1;
}
TEXT

# ---- the matrix ----------------------------------------------------------------------------------

# accepts COMPILER LANGUAGE FLAGS...
accepts() {
    compiler=$1 language=$2
    shift 2
    echo 'int hotel_probe;' | "$compiler" -x "$language" "$@" -fsyntax-only - >/dev/null 2>&1
}

# matrix COMPILER LANGUAGE WARNINGS STANDARD...
matrix() {
    compiler=$1 language=$2 flags=$3
    shift 3
    for standard; do
        if ! accepts "$compiler" "$language" "-std=$standard"; then
            skip "$compiler does not know -std=$standard"
            continue
        fi
        command="$compiler -x $language -std=$standard $flags -fsyntax-only"
        for kind in interface implementation static disabled twice $with_zlib $with_openssl; do
            add "$kind: $compiler -std=$standard" "$command $work/$kind.c"
        done
        case $standard in
        c[0-9]*)
            add "after system headers, the documented #error: $compiler -std=$standard" \
                "gives_documented_error $command -Wno-error $work/after.c"
            add "after system headers, POSIX asked for: $compiler -std=$standard" \
                "$command -D_POSIX_C_SOURCE=200809L $work/after.c"
            add "interface first, compiles or the documented #error: $compiler -std=$standard" \
                "$command $work/late.c || gives_documented_error $command -Wno-error $work/late.c"
            ;;
        *)
            add "after system headers: $compiler -std=$standard" "$command $work/after.c"
            add "interface first: $compiler -std=$standard" "$command $work/late.c"
            ;;
        esac
    done
}

with_zlib='' with_openssl=''
for compiler in gcc clang; do
    have "$compiler" || continue
    accepts "$compiler" c -include zlib.h && with_zlib=zlib
    accepts "$compiler" c -include openssl/ssl.h && with_openssl=openssl
done
[ -n "$with_zlib" ] || skip "HATCHET_OTEL_ZLIB: no zlib.h found (Debian: zlib1g-dev)"
[ -n "$with_openssl" ] || skip "HATCHET_OTEL_OPENSSL: no openssl/ssl.h found (Debian: libssl-dev)"

compilers=
for pair in gcc:g++ clang:clang++; do
    compiler=${pair%:*} cxx=${pair#*:}
    if have "$compiler"; then
        compilers="$compilers $compiler"
        matrix "$compiler" c "$c_warnings" c99 c11 c17 c2x gnu99 gnu11 gnu17 gnu2x
    else
        skip "no $compiler found"
    fi
    if have "$cxx"; then
        matrix "$cxx" c++ "$cxx_warnings" c++11 c++14 c++17 c++20 c++2b gnu++11 gnu++17 gnu++2b
    else
        skip "no $cxx found"
    fi
done
if [ -z "$compilers" ]; then
    ok 1 "gcc or clang found"
    done_testing
fi
first=${compilers# }
first=${first%% *}
first_cxx=g++
have g++ || first_cxx=clang++
have "$first_cxx" || first_cxx=

for example in examples/*.c; do
    add "$example compiles as strict C99" \
        "$first -std=c99 $c_warnings -fsyntax-only $example"
done

# runs_disabled EXAMPLE COMPILE-COMMAND...: made without tracing, without threads, and run
runs_disabled() {
    out=$work/$(basename "$1").disabled
    input=$1
    shift
    "$@" -DHATCHET_OTEL_DISABLE "$input" -o "$out" || return 1
    case $input in
    */worker.c) echo '{}' | "$out" ;;
    */embedded.c) ;; # it needs a gateway
    *) "$out" ;;
    esac
}
for example in examples/*.c; do
    add "$example runs with HATCHET_OTEL_DISABLE" \
        "runs_disabled $example $first -std=c99 $c_warnings -O2"
done
[ -z "$first_cxx" ] || for example in examples/*.cpp; do
    add "$example runs with HATCHET_OTEL_DISABLE" \
        "runs_disabled $example $first_cxx -std=c++11 $cxx_warnings -O2 -pthread"
done

if have clang && accepts clang c -Werror=unknown-warning-option -Wreserved-macro-identifier; then
    add "interface has no reserved name: clang -std=c99" \
        "clang -std=c99 $c_warnings -Wreserved-identifier -Wreserved-macro-identifier \
            -fsyntax-only $work/interface.c"
    add "interface has no reserved name: clang -std=c++17" \
        "clang -x c++ -std=c++17 $cxx_warnings -Wreserved-identifier -Wreserved-macro-identifier \
            -fsyntax-only $work/interface.c"
    add "implementation has no reserved name but feature-test macros: clang -std=c99" \
        "clang -std=c99 $c_warnings -Wreserved-identifier -Wno-reserved-macro-identifier \
        -fsyntax-only $work/implementation.c"
else
    skip "reserved names: no clang that looks for them found"
fi

# ---- objects -------------------------------------------------------------------------------------

# external OBJECT: the defined external symbols; C++ adds references of its own (DW.ref.*)
external() {
    nm -g -P "$1" | awk '$2 !~ /^[Uwv]$/ && $1 !~ /^DW\.ref\./ { print $1 }'
}
only_hotel() {
    [ -n "$(external "$1")" ] || { echo "no external symbol in $1"; return 1; }
    ! external "$1" | grep -v '^_*hotel_[a-z0-9_]*$'
}
only_table() {
    external "$1"
    [ "$(external "$1")" = the_table ]
}
no_external() { ! external "$1" | grep .; }

# object COMPILER FLAGS: both kinds built with optimisation, and their symbols. A compiler leaves
# out static functions that nobody calls, so that C also builds a table of all of them.
object() {
    id=$((num_added + 1))
    add "external build has only hotel_* symbols: $*" \
        "$* -c $work/implementation.c -o $work/$id.o && only_hotel $work/$id.o"
    add "static build has no external symbol: $*" \
        "$* -c $work/static.c -o $work/$id.s.o && no_external $work/$id.s.o"
}
c_object() {
    object "$@"
    add "static build has no external symbol, all functions used: $*" \
        "$* -DTABLE=the_table -c $work/table_static.c -o $work/$id.t.o && only_table $work/$id.t.o"
}
if have nm; then
    for compiler in $compilers; do
        c_object "$compiler -std=c99 -O0 $c_warnings"
        c_object "$compiler -std=gnu11 -O2 $c_warnings"
        c_object "$compiler -std=c99 -Os $c_warnings"
    done
    [ -z "$first_cxx" ] || object "$first_cxx -x c++ -std=c++11 -O2 $cxx_warnings"
    ! have clang++ || object "clang++ -x c++ -std=c++17 -O2 $cxx_warnings"
else
    skip "symbols: no nm found"
fi

# code OBJECT: its instructions; vanishes COMPILER FLAGS...: span calls leave none, and no symbol
code() { objdump -d "$1" | sed 1,3d; }
vanishes() {
    id=$work/vanishes.$n
    "$@" -c "$work/traced.c" -o "$id.o" && "$@" -DPLAIN -c "$work/traced.c" -o "$id.plain.o" ||
        return 1
    code "$id.o" >"$id.code" && code "$id.plain.o" >"$id.plain.code"
    [ "$(nm "$id.o" | awk '{ print $NF }')" = work ] || { nm "$id.o"; return 1; }
    [ -s "$id.code" ] && diff "$id.plain.code" "$id.code"
}
if have nm && have objdump; then
    for compiler in $compilers; do
        for level in -O1 -O2 -Os; do
            add "HATCHET_OTEL_DISABLE leaves nothing of a function's span calls: $compiler $level" \
                "vanishes $compiler -std=c99 $level -I."
        done
    done
    [ -z "$first_cxx" ] ||
        add "HATCHET_OTEL_DISABLE leaves nothing of a function's span calls: $first_cxx -O2" \
            "vanishes $first_cxx -x c++ -std=c++11 -O2 -I."
else
    skip "what HATCHET_OTEL_DISABLE leaves: no nm or no objdump found"
fi
for compiler in $compilers; do
    add "HATCHET_OTEL_DISABLE has the results it says: $compiler" \
        "$compiler -std=c99 $c_warnings $work/disabled_program.c -o $work/disabled.$compiler &&
            $work/disabled.$compiler"
done

# ---- programs ------------------------------------------------------------------------------------

[ "$(printf '%s\n' "$functions" | grep -c .)" -eq "$(awk '/^\/\* =+ IMPLEMENTATION/ { exit }
    /^HOTEL_API / { n++ } END { print n + 0 }' hatchet_otel.h)" ]
ok $? "every HOTEL_API line of the interface names its function: $(printf '%s\n' "$functions" |
    grep -c .) functions"

# program FLAGS: a program with one external and three static copies, one of them in C++
program() {
    flags="$*"
    id=p$((num_added + 1))
    cc="$first -std=gnu99 -I. -I$work $flags"
    cxx=${first_cxx:-$first}
    language=c++
    [ -n "$first_cxx" ] || language=c
    add "every public function is defined, externally and in static copies: $first $flags" "
        $cc -DTABLE=interface_table -c $work/table_interface.c -o $work/$id.1.o &&
        $cc -c $work/implementation.c -o $work/$id.2.o &&
        $cc -DTABLE=static_table -c $work/table_static.c -o $work/$id.3.o &&
        $cc -DTABLE=other_static_table -c $work/table_static.c -o $work/$id.4.o &&
        $cc -c $work/program.c -o $work/$id.5.o &&
        $cxx -x $language -I. $flags -c $work/copy.c -o $work/$id.6.o &&
        $cxx $flags $work/$id.?.o -o $work/$id -pthread &&
        $work/$id"
}

# links COMPILER FLAGS...: whether a program can be made and run that way
links() {
    printf '%s\n' '#include <sys/socket.h>' 'int main(void) { return 0; }' >"$work/links.c"
    "$@" "$work/links.c" -o "$work/links" -pthread >/dev/null 2>&1 && "$work/links"
}

program -O0
if links "$first" -O3 -flto && { [ -z "$first_cxx" ] || links "$first_cxx" -O3 -flto; }; then
    odr=
    accepts "$first" c -Werror -Wlto-type-mismatch && odr="-Wlto-type-mismatch"
    program "-O3 -flto -Werror $odr"
else
    skip "link-time optimisation: $first -flto does not work here"
fi

# elsewhere COMPILER: strict C99 where types, structs of the system or its headers are others.
# `make machines` runs tests there.
elsewhere() {
    if accepts "$1" c -std=c99; then
        add "implementation: $1 -std=c99" \
            "$1 -std=c99 -O2 $c_warnings -c $work/implementation.c -o $work/$1.o"
    else
        skip "no $1 found"
    fi
}
for compiler in s390x-linux-gnu-gcc arm-linux-gnueabihf-gcc aarch64-linux-gnu-gcc \
    i686-linux-gnu-gcc musl-gcc; do
    elsewhere "$compiler"
done

# ---- the preprocessor ----------------------------------------------------------------------------

# macros FILE COMPILER: the names of all that are defined after it
macros() {
    file=$1
    shift
    "$@" -I. -dM -E "$file" | awk '{ sub(/\(.*/, "", $2); print $2 }' | sort
}

# leaks COMPILER: names of macros that the interface leaves behind and that are not its own
leaks() {
    printf '#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n' >"$work/plain.c"
    macros "$work/plain.c" "$@" >"$work/plain.$n"
    macros "$work/interface.c" "$@" >"$work/after.$n"
    grep -q HOTEL_VERSION_MAJOR "$work/after.$n" || { echo "nothing was preprocessed"; return 1; }
    ! comm -13 "$work/plain.$n" "$work/after.$n" | grep -vE '^(HOTEL_|hotel_|HATCHET_OTEL_)'
}

# touches HEADER FILE COMPILER: does it include that header?
touches() {
    header=$1 file=$2
    shift 2
    "$@" -I. -H -fsyntax-only "$work/$file.c" 2>&1 | grep '^\.' >"$work/touched.$n"
    grep -q 'pthread\.h$' "$work/touched.$n" || { echo "nothing was included"; return 2; }
    grep "/$header" "$work/touched.$n"
}

# includes COMPILER: what the interface includes beyond three small headers
includes() {
    "$@" -I. -H -fsyntax-only "$work/interface.c" 2>&1 | grep '^\.\. ' >"$work/includes.$n"
    grep -q 'stdint\.h$' "$work/includes.$n" || { echo "nothing was included"; return 1; }
    ! grep -vE '/(stdbool|stddef|stdint)\.h$' "$work/includes.$n"
}

for compiler in $compilers; do
    add "interface leaves only macros of its own: $compiler" "leaks $compiler -std=gnu11 -x c"
    add "interface includes only stdbool, stddef and stdint: $compiler" \
        "includes $compiler -std=c99"
    add "zlib.h is not touched without HATCHET_OTEL_ZLIB: $compiler" \
        "touches zlib.h implementation $compiler -std=c99; [ \$? -eq 1 ]"
    [ -z "$with_zlib" ] || add "and is with it: $compiler" "touches zlib.h zlib $compiler -std=c99"
    add "no header of OpenSSL is touched without HATCHET_OTEL_OPENSSL: $compiler" \
        "touches openssl/ implementation $compiler -std=c99; [ \$? -eq 1 ]"
    [ -z "$with_openssl" ] || add "and some are with it: $compiler" \
        "touches openssl/ openssl $compiler -std=c99"
done
if [ -n "$first_cxx" ]; then
    add "interface leaves only macros of its own: $first_cxx" "leaks $first_cxx -x c++"
    add "interface includes only stdbool, stddef and stdint: $first_cxx" \
        "includes $first_cxx -x c++"
else
    skip "interface in C++: no C++ compiler found"
fi

run_all
done_testing
