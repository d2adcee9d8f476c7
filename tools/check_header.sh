#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check_header.sh [HEADER] - checks the form of hatchet_otel.h and prints TAP. What it relies on:
#
#   head comment     the first comment of the file
#   contents         in the head comment: lines "    nn  NAME", one for each section
#   sections         /* ==== [SECTION nn] NAME ==== */, any number of = from four on
#   options          in the head comment: lines that begin with HATCHET_OTEL_NAME, one an option
#   implementation   the line /* ==== IMPLEMENTATION ==== */ ends the interface
#   version          #define HOTEL_VERSION_MAJOR, _MINOR, _PATCH with plain numbers
#
# A public declaration is one that names something hotel_* or HOTEL_* at file scope before the
# implementation. It counts as documented if the paragraph it stands in (lines without an empty one
# between them) has a comment, or if the same name is documented elsewhere.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/tap.sh
header=${1:-hatchet_otel.h}
LC_ALL=C
export LC_ALL

# none FINDINGS NAME: passes if there is nothing to show
none() {
    [ -z "$1" ]
    ok $? "$2" || note "$(printf '%s\n' "$1" | head -n 40)"
}

head_comment() { awk '{ print } /\*\// { exit }' "$header"; }

[ -f "$header" ]
ok $? "$header is there" || done_testing

tab=$(printf '\t')
none "$(tr -d '\000-\177' <"$header" | wc -c | grep -vx ' *0')" "only ASCII"
none "$(grep -n "$tab" "$header")" "no tabs"
none "$(tr -d '\r' <"$header" | cmp "$header" - 2>&1)" "no carriage returns"
none "$(awk 'length > 100 { print NR ": " length " columns" }' "$header")" "at most 100 columns"
none "$(grep -n ' $' "$header")" "no trailing blanks"
none "$(grep -nE '(TO[D]O|FIX[M]E|XX[X]|HAC[K])' "$header")" "no left-over markers"

none "$(awk '
    !head { head = /\*\//; next }
    /^(extern "C"|typedef|(static )?struct|enum|union|class|namespace)/ || /= *\{$/ { next }
    /^[A-Za-z].*\{$/ {
        start = NR
        text = $0
    }
    /^[A-Za-z].*[(,]$/ || (/^[A-Za-z].*\(/ && !/[;{}]$/) { text = $0 }
    /^ .*\) *\{$/ && text != "" && !start { start = NR }
    /^\}/ {
        if (start && NR - start + 1 > 80) print start ": " NR - start + 1 " lines: " text
        start = 0
        text = ""
    }' "$header")" "functions have at most 80 lines"

contents=$(head_comment | sed -n 's/^[ *]*    \([0-9][0-9]\)  \([A-Z].*[^ ]\) *$/\1 \2/p')
sections=$(sed -n 's|^/\* =====* \[SECTION \([0-9][0-9]\)\] \(.*[^ =]\) *=====* \*/$|\1 \2|p' \
    "$header")
[ -n "$sections" ]
ok $? "there are section banners"
is "$contents" "$sections" "the contents list equals the section banners"
is "$(grep -c '\[SECTION' "$header")" "$(printf '%s\n' "$sections" | grep -c .)" \
    "every section banner is well-formed"
is "$(printf '%s\n' "$sections" | cut -c1-2)" "$(printf '%s\n' "$sections" | cut -c1-2 | sort -u)" \
    "sections are numbered in order"

version=$(tools/version.sh "$header")
is "$(printf '%s' "$version" | tr -cd . | wc -c | tr -d ' ')" 2 "the header has a version: $version"
is "$(sed -n 's/^## \[*\([0-9][0-9.]*\)\]*.*/\1/p' CHANGELOG.md | head -n 1)" "$version" \
    "the newest entry of CHANGELOG.md has the header's version"
has "$(head_comment | head -n 3)" "$version" "the head comment starts with the version"

documented=$(head_comment | sed -n 's/^[ *]*\(HATCHET_OTEL_[A-Z0-9_]*\).*/\1/p' | sort -u)
used=$(awk '
    { is_directive = continued || /^ *#/ }
    { continued = is_directive && /\\$/ }
    is_directive {
        while (match($0, /HATCHET_OTEL_[A-Z0-9_]+/)) {
            print substr($0, RSTART, RLENGTH)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }' "$header" | grep -v '_INCLUDED$' | sort -u)
is "$documented" "$used" "the documented options are the ones that are used"

is "$(grep -cE '^/\* =+ IMPLEMENTATION =+ \*/$' "$header")" 1 \
    "one line divides off the implementation"

# names WORD: of the functions whose lines begin with the word
names() { sed -n "s/^$1 .*[ *]\(hotel_[a-z0-9_]*\)(.*/\1/p" | sort; }
declared=$(sed '/^\/\* ==* IMPLEMENTATION/,$d' "$header" | names HOTEL_API)
disabled=$(sed -n '/^#ifdef HATCHET_OTEL_DISABLE/,/^#endif.*HATCHET_OTEL_DISABLE/p' "$header" |
    names HOTEL_INLINE)
is "$(printf '%s\n' "$disabled" | grep -vx hotel_pass_on)" "$declared" \
    "every HOTEL_API function has a body for HATCHET_OTEL_DISABLE"

none "$(awk '
    /^\/\* =+ IMPLEMENTATION =+ \*\/$/ { exit }
    # Comments are taken out; has_comment stays for the paragraph.
    {
        line = $0
        code = ""
        while (line != "") {
            if (in_comment) {
                has_comment = 1
                end = index(line, "*/")
                if (!end) break
                line = substr(line, end + 2)
                in_comment = 0
            } else if (match(line, /\/\*|\/\//)) {
                has_comment = 1
                code = code substr(line, 1, RSTART - 1)
                if (substr(line, RSTART, 2) == "//") break
                line = substr(line, RSTART + 2)
                in_comment = 1
            } else {
                code = code line
                break
            }
        }
    }
    $0 == "" && depth == 0 && !in_comment && !in_macro { has_comment = 0 }
    code ~ /^ *#/ || in_macro {
        in_macro = code ~ /\\$/
        if (match(code, /^ *# *define +HOTEL_[A-Z0-9_]+/)) {
            name = substr(code, RSTART, RLENGTH)
            sub(/.* /, "", name)
            if (name !~ /_INCLUDED$/) declare(name)
        }
        next
    }
    code ~ /^extern "C" \{$/ || (code ~ /^\}$/ && depth == 0) { next }
    depth == 0 {
        rest = code
        sub(/[{=].*/, "", rest)
        if (rest ~ /\(/ && match(rest, /hotel_[a-z0-9_]+ *\(/)) {
            declare(substr(rest, RSTART, RLENGTH))
        } else if (rest ~ /^(typedef +)?(struct|enum|union|class) / &&
                   match(rest, /hotel_[a-z0-9_]+/)) {
            declare(substr(rest, RSTART, RLENGTH))
        }
    }
    {
        depth += gsub(/\{/, "", code) - gsub(/\}/, "", code)
    }
    function declare(name) {
        sub(/ *\($/, "", name)
        if (has_comment) documented[name] = 1
        else if (!(name in at)) at[name] = NR
    }
    END { for (name in at) if (!(name in documented)) print at[name] ": " name }
    ' "$header" | sort -n)" "every public declaration has a comment"

done_testing
