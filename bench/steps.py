"""What each step of an embedding costs with one engine, in a process of its own; a line of JSON.

Usage: python -m bench.steps ENGINE

Figures are seconds for one step, the least of many short rounds: whatever else the machine does
only ever adds time.  Asynchronous calls are compared, within a round, with what they are made of
in any case: a checkpoint of the event loop, or the host function awaited directly.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.engines import asyncwasm_config, wasmtime_engine
from bench.measure import WARM_UP, to_wasm

ROUNDS = 40
LIVE = 1000

CALLS = """
(module
  (import "host" "f" (func $f (param i32) (result i32)))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "ask") (param $n i32)
    (loop $next
      (drop (call $f (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
"""
SMALL = """
(module
  (memory (export "memory") 1)
  (table 4 funcref)
  (elem (i32.const 0) $add $sub)
  (data (i32.const 8) "hello, world")
  (func $add (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func $sub (param i32 i32) (result i32)
    (i32.sub (local.get 0) (local.get 1))))
"""

Steps = dict[str, float]


def host(x: int) -> int:
    """The host function that is called."""
    return x


def least(work: Callable[[int], Any], count: int) -> float:
    """Seconds for each of `count` steps that `work(count)` takes, at best."""
    work(count)
    found = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work(count)
        found = min(found, time.perf_counter() - begin)
    return found / count


async def least_async(work: Callable[[int], Awaitable[Any]], count: int) -> float:
    """As `least`, awaiting."""
    await work(count)
    found = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        await work(count)
        found = min(found, time.perf_counter() - begin)
    return found / count


def resident() -> int:
    """The resident memory of this process, in bytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGESIZE")


def live(make: Callable[[], Any]) -> Steps:
    """What instances take while they live, and what is left when they are dropped."""
    first = make()
    gc.collect()
    before = resident()
    kept = [make() for _ in range(LIVE)]
    during = resident()
    del kept
    gc.collect()
    after = resident()
    del first
    return {"live_bytes": during - before, "left_bytes": max(0, after - before)}


def repeat(call: Callable[..., Any], *args: Any) -> Callable[[int], None]:
    """`count` calls."""

    def work(count: int) -> None:
        for _ in range(count):
            call(*args)

    return work


def wasmtime_steps() -> Steps:
    """Wasmtime's Python bindings, which have no async."""
    import wasmtime

    engine = wasmtime_engine()
    small = wasmtime.Module(engine, to_wasm(SMALL))
    module = wasmtime.Module(engine, to_wasm(CALLS))
    store = wasmtime.Store(engine)
    ty = wasmtime.FuncType([wasmtime.ValType.i32()], [wasmtime.ValType.i32()])
    exports = wasmtime.Instance(store, module, [wasmtime.Func(store, ty, host)]).exports(store)
    add, ask = exports["add"], exports["ask"]

    def make() -> Any:
        store = wasmtime.Store(engine)
        instance = wasmtime.Instance(store, small, [])
        instance.exports(store)["add"](store, 1, 2)
        return store, instance

    def instances(count: int) -> None:
        store = wasmtime.Store(engine)
        for _ in range(count):
            wasmtime.Instance(store, small, [])

    return {
        "instance": least(instances, 100),
        "store": least(repeat(lambda: wasmtime.Instance(wasmtime.Store(engine), small, [])), 100),
        "call": least(repeat(add, store, 1, 2), 200),
        "host": least(lambda count: ask(store, count), 500),
        **live(make),
    }


def sync_steps(engine: str) -> Steps:
    """One of our engines."""
    from asyncwasm import Engine, Func, Instance, Module, Store
    from asyncwasm.core.types import I32

    ours = Engine(asyncwasm_config(engine))
    small = Module(ours, to_wasm(SMALL))
    store: Store[None] = Store(ours)
    imports = [Func.wrap(store, host)]
    instance = Instance.new(store, Module(ours, to_wasm(CALLS)), imports)
    add = instance.get_typed_func(store, "add", [I32, I32], [I32])
    ask = instance.get_typed_func(store, "ask", [I32], [])
    warm(lambda: (add.call(store, 1, 2), ask.call(store, 1000)))

    def make() -> Any:
        store: Store[None] = Store(ours)
        instance = Instance.new(store, small)
        func = instance.get_func(store, "add")
        assert func is not None
        assert func.call(store, 1, 2) == 3
        return store, instance

    def instances(count: int) -> None:
        store: Store[None] = Store(ours)
        for _ in range(count):
            Instance.new(store, small)

    return {
        "instance": least(instances, 100),
        "store": least(repeat(lambda: Instance.new(Store(ours), small)), 100),
        "call": least(repeat(add.call, store, 1, 2), 200),
        "host": least(lambda count: ask.call(store, count), 500),
        **live(make),
    }


def warm(work: Callable[[], Any]) -> None:
    """Call until functions that turn out to be hot are compiled for good."""
    until = time.monotonic() + WARM_UP
    while time.monotonic() < until:
        work()


async def async_steps(engine: str, library: str) -> Steps:
    """What asynchronous calls cost beyond what is awaited in them."""
    from asyncwasm import Engine, Func, Instance, Module, Store
    from asyncwasm.core.types import I32

    if library == "trio":
        import trio

        checkpoint: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    else:

        def checkpoint() -> Awaitable[None]:
            return asyncio.sleep(0)

    async def waits(x: int) -> int:
        await checkpoint()
        return x

    waits.__annotations__ = {"x": int, "return": int}
    ours = Engine(asyncwasm_config(engine))
    module = Module(ours, to_wasm(CALLS))
    store: Store[None] = Store(ours)
    instance = await Instance.new_async(store, module, [Func.wrap_async(store, waits)])
    add = instance.get_typed_func(store, "add", [I32, I32], [I32])
    ask = instance.get_typed_func(store, "ask", [I32], [])
    until = time.monotonic() + WARM_UP
    while time.monotonic() < until:
        await add.call_async(store, 1, 2)
        await ask.call_async(store, 100)

    async def checkpoints(count: int) -> None:
        for _ in range(count):
            await checkpoint()

    async def calls(count: int) -> None:
        for _ in range(count):
            await add.call_async(store, 1, 2)

    async def waiting(count: int) -> None:
        for _ in range(count):
            await waits(1)

    alone = await least_async(checkpoints, 200)
    called = await least_async(calls, 200)
    awaited = await least_async(waiting, 200)
    suspended = await least_async(lambda count: ask.call_async(store, count), 200)
    return {
        f"{library}_checkpoint": alone,
        f"{library}_call": called - alone,
        f"{library}_suspension": suspended - awaited,
    }


def measure(engine: str) -> Steps:
    """All steps that the engine has."""
    if engine == "wasmtime":
        return wasmtime_steps()
    found = sync_steps(engine)
    found |= asyncio.run(async_steps(engine, "asyncio"))
    import trio

    found |= trio.run(async_steps, engine, "trio")
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
