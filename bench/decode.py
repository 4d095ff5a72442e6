"""How fast modules are decoded and validated, in megabytes of code per second.

Usage: python -m bench.decode FILE.wasm...

Decoding and validating the whole module is timed a few times and the fastest counts, by the
process's own CPU time.  Real modules to measure with: `sql-wasm.wasm` of the npm package
sql.js, `plugin.wasm` of @dprint/json.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.validate import validate_module

_ROUNDS = 5


def measure(data: bytes) -> tuple[int, float]:
    """The size of all function bodies in bytes, and the seconds that the module takes."""
    best = float("inf")
    code = 0
    for _ in range(_ROUNDS):
        started = time.process_time()
        info = decode_module(data, ALL)
        validate_module(info, ALL)
        best = min(best, time.process_time() - started)
        code = sum(body.end - body.start for body in info.bodies)
    return code, best


if __name__ == "__main__":
    for path in sys.argv[1:]:
        size, seconds = measure(Path(path).read_bytes())
        print(f"{path}: {size} bytes of code, {seconds:.3f} s, {size / seconds / 1e6:.2f} MB/s")
