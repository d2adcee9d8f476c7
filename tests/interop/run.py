# SPDX-License-Identifier: MIT
"""Runs the parts of the interop tests, all of them or those named on the command line."""

import os
import sys
import traceback

import check_engine
import check_examples
import check_grpc
import check_gzip
import check_hatchet
import check_hpack
import check_model
import check_propagation
import check_random
import check_receiver
import check_recovery
import check_sdks
import check_tls
import harness

PARTS = {
    "model": check_model,
    "random": check_random,
    "propagation": check_propagation,
    "examples": check_examples,
    "recovery": check_recovery,
    "gzip": check_gzip,
    "engine": check_engine,
    "hatchet": check_hatchet,
    "receiver": check_receiver,
    "hpack": check_hpack,
    "grpc": check_grpc,
    "tls": check_tls,
    "sdks": check_sdks,
}


def main(names):
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"run.py: no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    for name in list(os.environ):
        if name.startswith(("OTEL_", "HATCHET_")):
            del os.environ[name]
    harness.OUTPUT.mkdir(parents=True, exist_ok=True)
    tap = harness.Tap()
    no_collector = os.environ.get("INTEROP_NO_COLLECTOR")
    for name in names or PARTS:
        part = PARTS[name]
        if part.NEEDS_COLLECTOR and no_collector:
            tap.skip(name, no_collector)
            continue
        try:
            part.check(tap)
        except Exception:  # one part must not hide the others
            tap.ok(False, f"{name} ran to its end", traceback.format_exc())
    return tap.done()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
