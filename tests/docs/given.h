/*
 * SPDX-License-Identifier: MIT
 *
 * given.h - what the documentation's snippets without a main take for granted: the reader's own
 * variables and functions. Compiled before each of them by run.sh.
 */
#ifndef GIVEN_H_INCLUDED
#define GIVEN_H_INCLUDED

#include "hatchet_otel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#endif
