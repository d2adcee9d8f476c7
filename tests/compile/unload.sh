#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A plugin that embeds the library, loaded and unloaded by a host (tests/compile/unload). Prints
# the TAP of the host.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

work=build/unload
rm -rf "$work"
mkdir -p "$work" || exit 1
: "${CC:=cc}"
have "$CC" || skip_all "no C compiler found"
echo '#include <gnu/libc-version.h>' | $CC -E - >/dev/null 2>&1 ||
    skip_all "only the GNU C library keeps what has threads in memory"

# Two lines: build the plugin and the host, as a user would.
if ! {
    $CC -std=gnu99 -Wall -Wextra -O2 -g -fPIC -shared -I. -o "$work/plugin.so" \
        tests/compile/unload/plugin.c -pthread &&
        $CC -std=gnu99 -Wall -Wextra -O2 -g -I. -Itests -rdynamic -o "$work/host" \
            tests/compile/unload/host.c -pthread -ldl
} >"$work/log" 2>&1; then
    ok 1 "plugin and host compile"
    show "$work/log"
    done_testing
fi
exec "$work/host" "$work/plugin.so"
