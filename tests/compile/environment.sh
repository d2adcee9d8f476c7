#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Test programs again in surroundings that bring out what was never set or was given back already:
# memory filled by the allocator, its checks, symbols resolved at the start, small caches. They are
# built if they are not there yet. Prints TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

work=build/environment
rm -rf "$work"
mkdir -p "$work" || exit 1
: "${CC:=cc}"
have "$CC" || skip_all "no C compiler found"

programs="faults/test_values faults/test_poll"
for source in tests/conformance/*.c; do
    programs="$programs conformance/$(basename "$source" .c)"
done

# under WHAT VARIABLE=VALUE...: all programs pass in this environment
under() {
    what=$1
    shift
    for program in $programs; do
        [ -f "tests/$program.c" ] || continue
        built=build/plain/$program
        if [ ! -x "$built" ] || [ "tests/$program.c" -nt "$built" ] ||
            [ hatchet_otel.h -nt "$built" ]; then
            built=$work/$(basename "$program")
            [ -x "$built" ] || $CC -std=gnu99 -O2 -I. -Itests -pthread -o "$built" \
                "tests/$program.c" >"$work/log" 2>&1 || {
                ok 1 "$program compiles"
                continue
            }
        fi
        env "$@" "./$built" >"$work/tap" 2>&1 </dev/null
        ok $? "$what: $program" && continue
        grep '^not ok' "$work/tap" >"$work/failed" || tail -n 20 "$work/tap" >"$work/failed"
        show "$work/failed"
    done
}

under "memory filled by malloc and free" MALLOC_PERTURB_=165 MALLOC_CHECK_=3 \
    GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.check=3
programs=$(printf '%s\n' $programs | head -n 4)
under "no cache of freed memory, one heap" \
    GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1
under "symbols resolved at the start" LD_BIND_NOW=1
done_testing
