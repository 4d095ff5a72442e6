"""Memory taken by suspended calls.

Usage: python -m bench.suspended [--calls N] [--markdown FILE]

N guests, each in a store of its own, call an async host function that waits for one event.  The
process's resident memory is read when the instances exist, when their tasks wait without any guest,
and when all calls are suspended; the differences are what each part takes.  Linux only.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import trio
import trio.testing

from asyncwasm import Engine, Func, Instance, Module, Store

GUEST = """
(module
  (import "host" "wait" (func $wait))
  (memory 1)
  (func $inner (param $depth i32)
    (if (local.get $depth)
      (then (call $inner (i32.sub (local.get $depth) (i32.const 1))))
      (else (call $wait))))
  (func (export "run") (param $depth i32)
    (call $inner (local.get $depth))))
"""
DEPTH = 5


def resident() -> int:
    """The resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


@dataclass
class Memory:
    """Bytes for each of the calls."""

    instance: float
    task: float
    suspended: float


async def measure(calls: int) -> Memory:
    """Build up, read, let everything go."""
    engine = Engine()
    module = Module(engine, GUEST)
    done = trio.Event()

    async def wait() -> None:
        await done.wait()

    async def suspend(store: Store[None], run: Func) -> None:
        await run.call_async(store, DEPTH)

    async def settled() -> int:
        await trio.testing.wait_all_tasks_blocked()
        return resident()

    empty = resident()
    guests = []
    for _ in range(calls):
        store: Store[None] = Store(engine)
        instance = await Instance.new_async(store, module, [Func.wrap_async(store, wait)])
        run = instance.get_func(store, "run")
        assert run is not None
        guests.append((store, run))
    instances = resident()
    async with trio.open_nursery() as nursery:
        for _ in range(calls):
            nursery.start_soon(wait)
        tasks = await settled() - instances
        for store, run in guests:
            nursery.start_soon(suspend, store, run)
        suspended = await settled() - instances - tasks
        done.set()
    return Memory((instances - empty) / calls, tasks / calls, suspended / calls)


def sentence(calls: int, memory: Memory) -> str:
    """What the documentation says about it."""
    instance, task, call = (
        f"{size / 1024:.1f} KiB" for size in (memory.instance, memory.task, memory.suspended)
    )
    return (
        f"{calls} calls, each suspended in a host function below {DEPTH + 2} guest frames, take "
        f"{call} each (`bench/suspended.py`): {task} of it is the trio task that waits, the rest "
        "the suspended stack, which is the used part of the C stack (greenlet copies it) and the "
        f"Python frames. The store and the instance behind each take {instance} more, with a "
        "memory of which nothing was touched. Nothing limits their number but memory and address "
        "space."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of suspended calls.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--markdown", type=Path, help="write the result to this file")
    options = parser.parse_args()
    shown = sentence(options.calls, trio.run(measure, options.calls))
    print(shown)
    if options.markdown:
        options.markdown.write_text(shown + "\n")


if __name__ == "__main__":
    main()
