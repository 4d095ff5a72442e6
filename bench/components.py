"""What values of components cost, many calls at once, and long streams.

Usage: python -m bench.components [--markdown FILE]

Each figure is CPU time, the best of several rounds in this process.  Wasmtime's Python bindings
stand beside it where they can do the same thing: they have no concurrency, and take a second for
a list of a million bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import trio
import wasmtime
from wasmtime import component as wasmtime_component

from asyncwasm import Config, Engine, Store
from asyncwasm.component import Component, Instance, Linker, open_stream
from bench.report import duration, table, write_between_markers
from tests.component.concurrency.guests import FAN_OUT, new_engine, relay

ECHO = """
(component
  (core module $m
    (memory (export "memory") 64)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local i32)
      (local.set 4
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get 2))))
      (global.set $top (i32.add (local.get 4) (local.get 3)))
      (local.get 4))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (global.set $top (i32.const 1024))
      (i32.const 16))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (type $point' (record (field "a" u32) (field "b" f64) (field "name" string)))
  (export $point "point" (type $point'))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "text") (param "s" string) (result string)
    (canon lift (core func $i "echo")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (func (export "bytes") (param "s" (list u8)) (result (list u8))
    (canon lift (core func $i "echo")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (func (export "points") (param "s" (list $point)) (result (list $point))
    (canon lift (core func $i "echo")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
)
"""
TEXT = "x" * (64 << 10)
BYTES = bytes(1 << 20)
MANY = 10_000
STREAM = 64 << 20
CHUNK = bytes(1 << 20)

ROUNDS = 7

Row = tuple[str, float | None, float | None]


def best(work: Callable[[], Any], count: int) -> float:
    """Seconds for each of the `count` operations that `work` does, at best."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times) / count


def values(strategy: Any) -> list[Row]:
    """Calls with and of values, there and back."""
    engine = Engine(Config(strategy=strategy))
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, ECHO))
    mine: dict[str, Callable[..., Any]] = {}
    for name in ("add", "text", "bytes", "points"):
        mine[name] = _bound(instance, store, name)
    points = mine["points"]([{"a": i, "b": i / 2, "name": f"name {i}"} for i in range(MANY)])
    theirs = _wasmtime()
    records = []
    for i in range(MANY):
        record = wasmtime_component.Record()
        record.a, record.b, record.name = i, i / 2, f"name {i}"
        records.append(record)
    return [
        (
            "`add(u32, u32)`",
            best(lambda: [mine["add"](3, 4) for _ in range(1000)], 1000),
            best(lambda: [theirs["add"](3, 4) for _ in range(1000)], 1000),
        ),
        (
            "a string of 64 KiB",
            best(lambda: mine["text"](TEXT), 1),
            best(lambda: theirs["text"](TEXT), 1),
        ),
        ("`list<u8>` of 1 MiB", best(lambda: mine["bytes"](BYTES), 1), None),
        ("… copied twice", best(_copy_twice, 1), None),
        (
            "10 000 records of `u32`, `f64` and string",
            best(lambda: mine["points"](points), 1),
            best(lambda: theirs["points"](records), 1),
        ),
    ]


def _bound(instance: Instance, store: Store[Any], name: str) -> Callable[..., Any]:
    func = instance.get_func(store, name)
    assert func is not None
    return lambda *args: func.call(store, *args)


def _wasmtime() -> dict[str, Callable[..., Any]]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    linker = wasmtime_component.Linker(engine)
    instance = linker.instantiate(store, wasmtime_component.Component(engine, ECHO))

    def bound(name: str) -> Callable[..., Any]:
        func = instance.get_func(store, name)

        def call(*args: Any) -> Any:
            result = func(store, *args)
            if hasattr(func, "post_return"):
                func.post_return(store)
            return result

        return call

    return {name: bound(name) for name in ("add", "text", "points")}


def _copy_twice() -> None:
    memory = bytearray(BYTES)
    bytes(memoryview(memory))


Main = Callable[[], Coroutine[Any, Any, Any]]


@dataclass
class ManyCalls:
    """10 000 calls of the host at once, each of which sleeps 10 ms, and bare tasks that do so.

    Seconds of wall time for all, and bytes that each holds on to while it sleeps.
    """

    seconds: float
    bare_seconds: float
    size: float
    bare_size: float


def many_calls(run: Callable[[Main], Any]) -> ManyCalls:
    """Measure them on one event loop."""

    async def nap(_: int) -> None:
        await anyio.sleep(0.01)

    async def main() -> ManyCalls:
        pause: Callable[[int], Awaitable[None]] = nap

        async def work(n: int) -> int:
            await pause(n)
            return n

        engine = new_engine()
        store = Store(engine)
        linker = Linker(engine)
        linker.root().func_wrap_concurrent("work", work)
        instance = await linker.instantiate_async(store, Component(engine, FAN_OUT))
        func = instance.get_func(store, "run")
        assert func is not None

        async def calls(n: int) -> None:
            assert await func.call_async(store, n) == sum(range(n))

        async def bare(n: int) -> None:
            async with anyio.create_task_group() as tasks:
                for number in range(n):
                    tasks.start_soon(work, number)

        async def seconds(way: Callable[[int], Awaitable[None]]) -> float:
            begin = time.perf_counter()
            await way(MANY)
            return time.perf_counter() - begin

        async def size(way: Callable[[int], Awaitable[None]]) -> float:
            nonlocal pause
            waiting, held = 0, 0
            go = anyio.Event()

            async def gather(_: int) -> None:
                nonlocal waiting, held
                waiting += 1
                if waiting == MANY:
                    held = tracemalloc.get_traced_memory()[0]
                    go.set()
                await go.wait()

            pause = gather
            tracemalloc.start()
            try:
                await way(MANY)
            finally:
                tracemalloc.stop()
                pause = nap
            return held / MANY

        await calls(10)
        ways = (calls, bare)
        times = [min([await seconds(way) for _ in range(3)]) for way in ways]
        return ManyCalls(*times, *[await size(way) for way in ways])

    result: ManyCalls = run(main)
    return result


def long_stream(run: Callable[[Main], Any], most: int) -> float:
    """Seconds of wall time for 64 MiB through two guests, at most `most` bytes at a time."""

    async def main() -> float:
        engine = new_engine()
        store = Store(engine)
        component = Component(engine, relay("u8", 1, most))
        instance = await Linker(engine).instantiate_async(store, component)

        async def through(accessor: Any) -> float:
            writer, given = open_stream(store)

            async def write() -> None:
                async with writer:
                    for _ in range(STREAM // len(CHUNK)):
                        await writer.send(CHUNK)

            first, second = instance.get_func(store, "a"), instance.get_func(store, "b")
            assert first is not None
            assert second is not None
            begin = time.perf_counter()
            accessor.spawn(write)
            reader = await second.call_concurrent(
                accessor, await first.call_concurrent(accessor, given)
            )
            received = 0
            async for chunk in reader:
                received += len(chunk)
            assert received == STREAM
            return time.perf_counter() - begin

        return await store.run_concurrent(through)

    return min(run(main) for _ in range(3))


def _on_trio(main: Main) -> Any:
    return trio.run(main)


def _on_asyncio(main: Main) -> Any:
    return asyncio.run(main())


def report() -> str:
    """All figures, as Markdown."""
    parts = []
    for strategy in ("native", "interpreter"):
        rows = values(strategy)
        parts.append(
            table(
                [f"values, {strategy}", "asyncwasm", f"wasmtime-py {version('wasmtime')}"],
                [
                    [name, duration(mine), "" if theirs is None else duration(theirs)]
                    for name, mine, theirs in rows
                    if mine is not None
                ],
            )
        )
    loops = (("trio", _on_trio), ("asyncio", _on_asyncio))
    many = [many_calls(run) for _, run in loops]
    rows_ = [
        ["10 000 calls of the host at once", *(duration(one.seconds) for one in many)],
        ["10 000 bare tasks of a task group", *(duration(one.bare_seconds) for one in many)],
        ["memory of a call that waits", *(f"{one.size / 1e3:.1f} kB" for one in many)],
        ["memory of a bare task", *(f"{one.bare_size / 1e3:.1f} kB" for one in many)],
    ]
    for most, name in ((1 << 20, "1 MiB"), (1 << 16, "64 KiB")):
        speeds = [f"{STREAM / long_stream(run, most) / 1e6:.0f} MB/s" for _, run in loops]
        rows_.append([f"64 MiB through two guests, {name} at a time", *speeds])
    parts.append(table(["concurrency, wall time", "trio", "asyncio"], rows_))
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    arguments = parser.parse_args()
    text = report()
    print(text)
    if arguments.markdown is not None:
        write_between_markers(arguments.markdown, "bench/components.py", text)
