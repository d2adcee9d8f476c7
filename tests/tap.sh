# SPDX-License-Identifier: MIT
#
# tap.sh - what tap.h is for C programs, for test scripts (POSIX sh):
#
#     . tests/tap.sh
#     ok $? "the command before this line succeeded"
#     is "$got" "$want" "they are equal"
#     has "$text" "part" "the text contains the part"
#     done_testing
#
# Each check returns whether it passed: `has "$out" GET "..." || show log-file`.

tap_run=0
tap_failed=0

# Names stay on one line, and a '#' in one starts no directive.
tap_name() { printf '%s' "$*" | tr '\n' ' ' | sed 's/#/\\#/g'; }

# ok STATUS NAME
ok() {
    tap_run=$((tap_run + 1))
    if [ "$1" -eq 0 ]; then
        shift
        printf 'ok %d - %s\n' "$tap_run" "$(tap_name "$@")"
        return 0
    fi
    shift
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_run" "$(tap_name "$@")"
    return 1
}

# is GOT WANT NAME
is() {
    [ "$1" = "$2" ]
    ok $? "$3" && return 0
    note " got: $1"
    note "want: $2"
    return 1
}

# has TEXT PART NAME
has() {
    case $1 in *"$2"*) ok 0 "$3"; return 0 ;; esac
    ok 1 "$3"
    note "no \"$2\" in:"
    note "$1"
    return 1
}

# skip REASON: stands for one check that cannot be made here
skip() {
    tap_run=$((tap_run + 1))
    printf 'ok %d # SKIP %s\n' "$tap_run" "$*"
}

# skip_all REASON: nothing in this script can be tested here
skip_all() {
    printf '1..0 # SKIP %s\n' "$*"
    exit 0
}

# note TEXT, show FILE: remarks for whoever reads the output
note() { printf '%s\n' "$*" | sed 's/^/# /'; }
show() { sed 's/^/# /' "$1"; }

have() { command -v "$1" >/dev/null 2>&1; }

# Ends the script: 0 if checks were made and none failed.
done_testing() {
    printf '1..%d\n' "$tap_run"
    [ "$tap_failed" -eq 0 ] && [ "$tap_run" -gt 0 ]
    exit $?
}
