"""Compiling and starting real programs from npm with one engine, in a process of its own.

Usage: python -m bench.modules ENGINE PACKAGE FILE

Prints a line of JSON: the seconds until the module is there (for Wasmtime, which compiles all of
it then, as well as for us, who compile functions when they are called), and for `xxhash-wasm`
also the seconds from the start of the process to the first result.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.engines import asyncwasm_config, wasmtime_engine

STARTED = time.perf_counter()
PACKAGES = ("xxhash-wasm", "@dprint/json", "@sqlite.org/sqlite-wasm", "quickjs-wasi")
FIRST = "xxhash-wasm"
TEXT = b"the quick brown fox"


def ours(engine: str, wasm: bytes, first: bool) -> dict[str, float]:
    """One of our engines."""
    from asyncwasm import Engine, Instance, Module, Store

    made = Engine(asyncwasm_config(engine))
    begin = time.perf_counter()
    module = Module(made, wasm)
    found = {"module": time.perf_counter() - begin}
    if first:
        store: Store[None] = Store(made)
        instance = Instance.new(store, module)
        memory, hash_ = instance.get_memory(store, "mem"), instance.get_func(store, "xxh64")
        assert memory is not None
        assert hash_ is not None
        memory.write(store, 0, TEXT)
        hash_.call(store, 0, len(TEXT), 0)
        found["first"] = time.perf_counter() - STARTED
    return found


def theirs(wasm: bytes, first: bool) -> dict[str, float]:
    """Wasmtime."""
    import wasmtime

    made = wasmtime_engine()
    begin = time.perf_counter()
    module = wasmtime.Module(made, wasm)
    found = {"module": time.perf_counter() - begin}
    if first:
        store = wasmtime.Store(made)
        exports: Any = wasmtime.Instance(store, module, []).exports(store)
        exports["mem"].write(store, TEXT, 0)
        exports["xxh64"](store, 0, len(TEXT), 0)
        found["first"] = time.perf_counter() - STARTED
    return found


def main() -> None:
    engine, package, path = sys.argv[1:]
    wasm = Path(path).read_bytes()
    first = package == FIRST
    found = theirs(wasm, first) if engine == "wasmtime" else ours(engine, wasm, first)
    print(json.dumps({"size": len(wasm), **found}))


if __name__ == "__main__":
    main()
