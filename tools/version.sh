#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the version of the header, which is the only place where it is written down.
awk '/^#define HOTEL_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$/ { printf "%s%s", dot, $3; dot = "." }' \
    "${1:-hatchet_otel.h}"
