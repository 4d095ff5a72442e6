"""One measurement: one engine, one kernel, one process; the result as a line of JSON.

Usage: python -m bench.measure ENGINE KERNEL SECONDS

The first call is timed on its own, because a lazy engine compiles in it.  Then calls are
repeated for about SECONDS (at least twice) and the fastest counts: interference by the rest of
the machine only ever adds time.  What is counted is the thread's CPU time, so that a machine that
is shared with other work does not favour short calls over long ones.
"""

from __future__ import annotations

import json
import sys
import time

from bench.engines import ENGINES
from bench.kernels import KERNELS

WARM_UP = 0.5


def to_wasm(text: str) -> bytes:
    """Assemble with the project's own parser, so that every engine gets the same bytes."""
    from asyncwasm.core.text import assemble

    return assemble(text)


def measure(engine: str, name: str, seconds: float) -> dict[str, object]:
    """Load the kernel, call it once, then time the fastest call in `seconds`."""
    kernel = next(k for k in KERNELS if k.name == name)
    n = kernel.n_native if ENGINES[engine].machine_code else kernel.n
    wasm = to_wasm(kernel.text)
    clock = time.thread_time
    started = clock()
    run = ENGINES[engine].load(wasm, name)
    loaded = clock()
    result = run(n)
    first = clock() - loaded
    expected = kernel.oracle(n)
    if result != expected:
        raise SystemExit(f"{engine} on {name}({n}): expected {expected!r}, got {result!r}")
    if ENGINES[engine].machine_code:
        # Functions that turn out to be hot are compiled again in the background meanwhile.
        warm = time.monotonic() + WARM_UP
        while time.monotonic() < warm:
            run(n)
    best = first
    calls = 1
    stop = clock() + seconds
    while calls < 3 or clock() < stop:
        begin = clock()
        run(n)
        best = min(best, clock() - begin)
        calls += 1
    return {
        "engine": engine,
        "kernel": name,
        "n": n,
        "load_s": loaded - started,
        "first_s": first,
        "best_s": best,
        "calls": calls,
        "unit_s": best / kernel.work(n),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
