#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The CMake package as a consumer meets it: built and installed, then found with find_package, and
# the source tree taken in with add_subdirectory; through both targets, in C and in C++. Prints TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
have cmake || skip_all "no cmake found"

source=$(pwd)
work=$source/build/cmake
rm -rf "$work"
mkdir -p "$work/consumer" || exit 1

languages=C
main_file=main.c
if have c++ || have g++ || have clang++; then
    languages='C CXX'
    main_file='main.c more.cpp'
else
    skip "C++ consumer: no C++ compiler found"
fi

cat >"$work/consumer/main.c" <<'TEXT'
#if defined(HATCHET_OTEL_IMPLEMENTATION)
#error "a target defined the implementation macro"
#endif
#if defined(IMPLEMENTATION_HERE)
#define HATCHET_OTEL_IMPLEMENTATION
#endif
#include "hatchet_otel.h"

int main(void) {
    return hotel_shutdown(0) == HOTEL_ERR_NOT_RUNNING ? HOTEL_VERSION_MAJOR : 100;
}
TEXT
cat >"$work/consumer/more.cpp" <<'TEXT'
#if defined(HATCHET_OTEL_IMPLEMENTATION)
#error "a target defined the implementation macro"
#endif
#include "hatchet_otel.h"

int version_seen_by_cxx = HOTEL_VERSION_MINOR;
TEXT
cat >"$work/consumer/CMakeLists.txt" <<TEXT
cmake_minimum_required(VERSION 3.15)
project(consumer LANGUAGES $languages)
if(SUBDIRECTORY)
    add_subdirectory(\${SUBDIRECTORY} library EXCLUDE_FROM_ALL)
else()
    find_package(hatchet_otel \${WANTED} REQUIRED)
endif()
add_executable(with_header $main_file)
target_compile_definitions(with_header PRIVATE IMPLEMENTATION_HERE)
target_link_libraries(with_header PRIVATE hatchet_otel::hatchet_otel)
add_executable(with_library $main_file)
target_link_libraries(with_library PRIVATE hatchet_otel::impl)
TEXT

# step NAME COMMAND...: passes if the command exits with 0; shows what it said if not
step() {
    name=$1
    shift
    "$@" >"$work/log" 2>&1 </dev/null
    ok $? "$name" && return 0
    tail -n 40 "$work/log" >"$work/tail"
    show "$work/tail"
    return 1
}

# runs DIR: both programs of the consumer that was built there
runs() {
    step "$1: the program with the implementation in one of its files runs" "$work/$1/with_header"
    step "$1: the program with the compiled library runs" "$work/$1/with_library"
}

# configure NAME OPTIONS...: the consumer, in a build folder of that name
configure() {
    folder=$1
    shift
    cmake -S "$work/consumer" -B "$work/$folder" "$@"
}

version=$(tools/version.sh)
major=${version%%.*}

step "configures as the top project" \
    cmake -S . -B "$work/library" -DCMAKE_INSTALL_PREFIX="$work/prefix" -DCMAKE_BUILD_TYPE=Release
step "builds" cmake --build "$work/library" --parallel 2
step "installs" cmake --install "$work/library"
is "$(find "$work/prefix" -name 'hatchet_otel.h')" "$work/prefix/include/hatchet_otel.h" \
    "the header is installed"

step "find_package finds version $version" \
    configure found -DCMAKE_PREFIX_PATH="$work/prefix" -DWANTED="$version"
step "find_package consumer builds" cmake --build "$work/found" --parallel 2
runs found

! configure newer -DCMAKE_PREFIX_PATH="$work/prefix" -DWANTED="$((major + 1)).0" >"$work/log" 2>&1
ok $? "find_package does not take it for version $((major + 1)).0"
has "$(cat "$work/log")" "version: $version" "find_package saw version $version"

step "add_subdirectory configures" configure subdirectory -DSUBDIRECTORY="$source"
step "add_subdirectory consumer builds" cmake --build "$work/subdirectory" --parallel 2
runs subdirectory
is "$(cmake --build "$work/subdirectory" --target help | grep -c 'with_header$')" 1 \
    "the consumer's own programs are targets"
is "$(cmake --build "$work/subdirectory" --target help | grep 'example_')" "" \
    "add_subdirectory does not bring the examples"

done_testing
