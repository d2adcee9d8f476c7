#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make install` into a folder of its own, and a program that finds the header by pkg-config.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

root=$(pwd)/build/install
rm -rf "$root"
version=$(tools/version.sh)

make install DESTDIR="$root/stage" PREFIX=/opt/hotel >"$root.log" 2>&1
ok $? "make install DESTDIR=... PREFIX=/opt/hotel" || show "$root.log"
is "$(cd "$root/stage/opt/hotel" && find . ! -type d | sort)" "./bin/hatchet-otel
./include/hatchet_otel.h
./share/pkgconfig/hatchet_otel.pc" "header, command and pkg-config file are installed, nothing else"
cmp hatchet_otel.h "$root/stage/opt/hotel/include/hatchet_otel.h"
ok $? "the installed header is the header"
pc=$root/stage/opt/hotel/share/pkgconfig/hatchet_otel.pc
is "$(sed -n 's/^Version: //p' "$pc")" "$version" "the pkg-config file has the header's version"
is "$(sed -n 's/^prefix=//p' "$pc")" /opt/hotel "the pkg-config file has PREFIX, not DESTDIR"

if have pkg-config; then
    PKG_CONFIG_PATH=$(dirname "$pc")
    export PKG_CONFIG_PATH
    cat >"$root/main.c" <<'TEXT'
#define HATCHET_OTEL_IMPLEMENTATION
#include <hatchet_otel.h>
int main(void) {
    return hotel_shutdown(0) == HOTEL_ERR_NOT_RUNNING ? 0 : 1;
}
TEXT
    flags=$(pkg-config --define-variable=prefix="$root/stage/opt/hotel" \
        --cflags --libs hatchet_otel)
    ok $? "pkg-config knows hatchet_otel: $flags"
    # The flags are words to be split.
    (cd "$root" && ${CC:-cc} main.c -o main $flags && ./main) >"$root.log" 2>&1
    ok $? "a program built with these flags runs" || show "$root.log"
else
    skip "no pkg-config found"
fi

done_testing
