"""Compiling and starting real programs from npm with one engine, in a process of its own.

Usage: python -m bench.modules ENGINE PACKAGE FILE [DIRECTORY]

Prints a line of JSON: the seconds until the module is there (for Wasmtime, which compiles all of
it then, as well as for us, who compile functions when they are called), and for some packages
also the seconds from the start of the process to the first result: a hash, or the rows of a first
query.  DIRECTORY is where our native engine keeps machine code.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from bench.engines import asyncwasm_config, wasmtime_engine

STARTED = time.perf_counter()
PACKAGES = ("xxhash-wasm", "@dprint/json", "@sqlite.org/sqlite-wasm", "quickjs-wasi")
TEXT = b"the quick brown fox"
QUERY = b"select sqlite_version(), 6 * 7\0"
ROW = 100
READ_WRITE_CREATE = 6


class Guest(Protocol):
    """An instance, whichever engine runs it."""

    def call(self, name: str, *args: int) -> int: ...

    def write(self, address: int, data: bytes) -> None: ...

    def read(self, address: int, size: int) -> bytes: ...


def hash_text(guest: Guest) -> None:
    """The first hash of xxhash."""
    guest.write(0, TEXT)
    guest.call("xxh64", 0, len(TEXT), 0)


def query(guest: Guest) -> None:
    """The first query of SQLite, in a database in memory."""

    def keep(data: bytes) -> int:
        address = guest.call("malloc", len(data))
        guest.write(address, data)
        return address

    guest.call("__wasm_call_ctors")
    out = guest.call("malloc", 4)
    assert guest.call("sqlite3_open_v2", keep(b":memory:\0"), out, READ_WRITE_CREATE, 0) == 0
    handle = int.from_bytes(guest.read(out, 4), "little")
    assert guest.call("sqlite3_prepare_v2", handle, keep(QUERY), -1, out, 0) == 0
    statement = int.from_bytes(guest.read(out, 4), "little")
    assert guest.call("sqlite3_step", statement) == ROW
    column = guest.call("sqlite3_column_text", statement, 1)
    assert guest.read(column, 3) == b"42\0"


FIRST = {"xxhash-wasm": hash_text, "@sqlite.org/sqlite-wasm": query}


class Ours:
    """An instance in one of our engines, with stubs for what it imports."""

    def __init__(self, module: Any) -> None:
        from asyncwasm import ExternFunc, Linker, Memory, MemoryType, Store

        self._store: Any = Store(module.engine)
        linker = Linker(module.engine)
        memory = None
        for wanted in module.imports:
            if isinstance(wanted.type, MemoryType):
                memory = Memory.new(self._store, wanted.type)
                linker.define(self._store, wanted.module, wanted.name, memory)
            elif isinstance(wanted.type, ExternFunc):
                ty = wanted.type.type.func
                zero = 0 if ty.results else None
                linker.func_new(wanted.module, wanted.name, ty, lambda caller, *_, zero=zero: zero)
        self._instance = linker.instantiate(self._store, module)
        self._memory: Any = memory or self._instance.get_memory(self._store, "mem")

    def call(self, name: str, *args: int) -> int:
        func: Any = self._instance.get_func(self._store, name)
        return func.call(self._store, *args)  # type: ignore[no-any-return]

    def write(self, address: int, data: bytes) -> None:
        self._memory.write(self._store, address, data)

    def read(self, address: int, size: int) -> bytes:
        return self._memory.read(self._store, address, size)  # type: ignore[no-any-return]


class Theirs:
    """The same in Wasmtime."""

    def __init__(self, module: Any, engine: Any) -> None:
        import wasmtime

        self._store = wasmtime.Store(engine)
        imports: list[Any] = []
        memory = None
        for wanted in module.imports:
            if isinstance(wanted.type, wasmtime.MemoryType):
                memory = wasmtime.Memory(self._store, wanted.type)
                imports.append(memory)
            else:
                zero = 0 if wanted.type.results else None
                stub = lambda *_, zero=zero: zero  # noqa: E731
                imports.append(wasmtime.Func(self._store, wanted.type, stub))
        self._exports: Any = wasmtime.Instance(self._store, module, imports).exports(self._store)
        self._memory: Any = memory or self._exports["mem"]

    def call(self, name: str, *args: int) -> int:
        return self._exports[name](self._store, *args)  # type: ignore[no-any-return]

    def write(self, address: int, data: bytes) -> None:
        self._memory.write(self._store, data, address)

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, address, address + size))


def measure(engine: str, wasm: bytes, package: str, directory: str | None) -> dict[str, float]:
    """The seconds that everything takes."""
    make: Any
    if engine == "wasmtime":
        import wasmtime

        made: Any = wasmtime_engine()
        make = wasmtime.Module
    else:
        from asyncwasm import Engine, Module

        config = asyncwasm_config(engine)
        made = Engine(replace(config, cache=directory) if directory else config)
        make = Module
    begin = time.perf_counter()
    module = make(made, wasm)
    found = {"module": time.perf_counter() - begin}
    first = FIRST.get(package)
    if first is not None:
        first(Theirs(module, made) if engine == "wasmtime" else Ours(module))
        found["first"] = time.perf_counter() - STARTED
    return found


def main() -> None:
    engine, package, path, *directory = sys.argv[1:]
    wasm = Path(path).read_bytes()
    found = measure(engine, wasm, package, directory[0] if directory else None)
    print(json.dumps({"size": len(wasm), **found}))


if __name__ == "__main__":
    main()
