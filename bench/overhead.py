"""What each step of an embedding costs: compiling, instantiating, calling, suspending.

Usage: python -m bench.overhead [--markdown FILE]

Each figure is CPU time, the best of several rounds in this process.  Wasmtime's Python bindings,
which have no async, stand beside it where they can do the same thing.  Compiling is measured on
a real module from npm, and left out where that cannot be fetched.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
import wasmtime

from asyncwasm import Config, Engine, Func, Instance, Module, Store
from asyncwasm.core.text import assemble
from bench.engines import version
from bench.report import duration, table, write_between_markers
from examples.fetch_guest import FetchError, module_path

ROUNDS = 7

GUEST = """
(module
  (import "host" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "ask") (param $n i32)
    (loop $next
      (drop (call $f (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
"""


def best(work: Callable[[], Any], count: int) -> float:
    """Seconds for each of the `count` operations that `work` does, at best."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times) / count


async def best_async(work: Callable[[], Awaitable[Any]], count: int) -> float:
    """As `best`, awaiting."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        await work()
        times.append(time.process_time() - begin)
    return min(times) / count


Row = tuple[str, float | None, float | None]


def compiling() -> list[Row]:
    """A module of 0.6 MB: decoded and validated here, compiled by Wasmtime."""
    try:
        wasm = module_path("@dprint/json").read_bytes()
    except FetchError:
        return []
    engine = wasmtime.Engine()
    validating = best(lambda: wasmtime.Module.validate(engine, wasm), 1)
    compiling = best(lambda: wasmtime.Module(engine, wasm), 1)
    mine = best(lambda: Module(Engine(), wasm), 1)
    translating = best(lambda: _translate(wasm), 1) - mine
    size = len(wasm) / 1e6
    return [
        (f"decode and validate a plugin of {size:.2f} MB", mine, validating),
        ("translate (Wasmtime: compile) all of it; lazily here", translating, compiling),
    ]


def _translate(wasm: bytes) -> None:
    module = Module(Engine(), wasm)
    store: Store[None] = Store(module.engine)
    instance = Instance.new(store, module)
    for index in range(module.info.imported_funcs, len(module.info.funcs)):
        module.engine.executor.translation(instance.func(index))


def sync_calls(module: Module, wasm: bytes) -> list[Row]:
    """Instances and calls without an event loop."""
    store = Store(module.engine)
    host = Func.wrap(store, _sync_host)
    instance = Instance.new(store, module, [host])
    add, ask = instance.get_func(store, "add"), instance.get_func(store, "ask")
    assert add is not None
    assert ask is not None

    def instantiate() -> None:
        for _ in range(200):
            fresh = Store(module.engine)
            Instance.new(fresh, module, [Func.wrap(fresh, _sync_host)])

    their_engine = wasmtime.Engine()
    their_module = wasmtime.Module(their_engine, wasm)
    i32 = wasmtime.ValType.i32()
    their_type = wasmtime.FuncType([i32], [i32])

    def their_instance() -> tuple[wasmtime.Store, Any]:
        fresh = wasmtime.Store(their_engine)
        function = wasmtime.Func(fresh, their_type, _sync_host)
        return fresh, wasmtime.Instance(fresh, their_module, [function]).exports(fresh)

    their_store, exports = their_instance()
    their_add, their_ask = exports["add"], exports["ask"]
    return [
        (
            "store, host function and instance, sync",
            best(instantiate, 200),
            best(lambda: [their_instance() for _ in range(200)], 200),
        ),
        (
            "host → guest, `call`",
            best(lambda: [add.call(store, 1, 2) for _ in range(2000)], 2000),
            best(lambda: [their_add(their_store, 1, 2) for _ in range(2000)], 2000),
        ),
        (
            "guest → host, a `def`",
            best(lambda: ask.call(store, 5000), 5000),
            best(lambda: their_ask(their_store, 5000), 5000),
        ),
    ]


def _sync_host(x: int) -> int:
    return x


async def async_calls(module: Module) -> list[Row]:
    """The same on trio, and what only exists there."""

    async def ready(x: int) -> int:
        return x

    async def checkpointing(x: int) -> int:
        await trio.lowlevel.checkpoint()
        return x

    async def instance_of(host: Any) -> tuple[Store[None], Instance]:
        store: Store[None] = Store(module.engine)
        return store, await Instance.new_async(store, module, [Func.wrap_async(store, host)])

    async def instantiate() -> None:
        for _ in range(200):
            await instance_of(ready)

    async def adding() -> None:
        for _ in range(500):
            await add.call_async(store, 1, 2)

    async def checkpoints() -> None:
        for _ in range(500):
            await trio.lowlevel.checkpoint()

    rows: list[Row] = [
        ("store, host function and instance, async", await best_async(instantiate, 200), None)
    ]
    store, instance = await instance_of(ready)
    add = instance.get_func(store, "add")
    assert add is not None
    rows.append(("host → guest, `call_async`", await best_async(adding, 500), None))
    for what, host in (("that returns at once", ready), ("that checkpoints", checkpointing)):
        store, instance = await instance_of(host)
        ask = instance.get_func(store, "ask")
        assert ask is not None
        taken = await best_async(lambda s=store, f=ask: f.call_async(s, 1000), 1000)  # type: ignore[misc]
        rows.append((f"guest → host, an `async def` {what}", taken, None))
    alone = await best_async(checkpoints, 500)
    rows.append(("for comparison: `await trio.lowlevel.checkpoint()`", alone, None))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what each step costs.")
    parser.add_argument("--markdown", type=Path, help="replace the table in this page")
    options = parser.parse_args()
    wasm = assemble(GUEST)
    module = Module(Engine(Config()), wasm)
    rows = [*compiling(), *sync_calls(module, wasm), *trio.run(async_calls, module)]
    shown = table(
        ["step", "asyncwasm", f"wasmtime {version('wasmtime')}"],
        [[what, duration(mine), duration(theirs)] for what, mine, theirs in rows],
    )
    print(shown)
    if options.markdown:
        write_between_markers(options.markdown, "bench/overhead.py", shown)


if __name__ == "__main__":
    main()
