"""Nothing is left of modules, stores and instances that were dropped."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import pytest
import trio

from asyncwasm import Engine, Func, Instance, Module, Store
from asyncwasm.core.runtime import linear, mapping

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm"),
]

WARM_UP = 300
ROUNDS = 3000


def template(number: int) -> str:
    """A module that differs each time, so that nothing is found in a cache."""
    return f"""
    (module
      (type $t{number} (func (param i32 i32) (result i32)))
      (import "host" "f" (func $f (param i32) (result i32)))
      (memory 1)
      (table 3 funcref)
      (elem (i32.const 0) $add)
      (data (i32.const 8) "some data")
      (func $add (export "add") (type $t{number})
        (i32.store (i32.const 0) (local.get 0))
        (i32.add (call $f (local.get 1)) (i32.const {number}))))"""


def megabytes() -> tuple[float, float]:
    """Virtual and resident size of the process."""
    virtual, resident, *_ = Path("/proc/self/statm").read_text().split()
    return int(virtual) * 4096 / 1e6, int(resident) * 4096 / 1e6


def assert_flat(before: tuple[float, float], after: tuple[float, float], objects: int) -> None:
    assert after[1] - before[1] < 6, f"resident memory went from {before[1]} to {after[1]} MB"
    # Some mappings, of 4 GiB each, are kept for other memories; how many at a time varies.
    kept = mapping.MAX_KEPT * linear.RESERVATION / 1e6
    assert after[0] - before[0] < kept + 5_000, (
        f"address space went from {before[0]} to {after[0]} MB"
    )
    assert objects < 500, f"{objects} more Python objects"


def test_sync():
    engine = Engine()

    def once(number: int) -> None:
        store: Store[None] = Store(engine)
        module = Module(engine, template(number))
        instance = Instance.new(store, module, [Func.wrap(store, _identity)])
        add = instance.get_func(store, "add")
        assert add is not None
        assert add.call(store, 1, 2) == 2 + number

    for number in range(WARM_UP):
        once(number)
    gc.collect()
    before, objects = megabytes(), len(gc.get_objects())
    for number in range(ROUNDS):
        once(number)
    gc.collect()
    assert_flat(before, megabytes(), len(gc.get_objects()) - objects)


def _identity(x: int) -> int:
    return x


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_async(loop):
    """With a suspension in each call, some of them cancelled there."""
    engine = Engine()

    async def once(number: int) -> None:
        store: Store[None] = Store(engine)
        module = Module(engine, template(number))
        host = Func.wrap_async(store, cancelled if number % 3 == 0 else checkpoint)
        instance = await Instance.new_async(store, module, [host])
        add = instance.get_func(store, "add")
        assert add is not None
        try:
            assert await add.call_async(store, 1, 2) == 2 + number
        except RuntimeError:
            assert number % 3 == 0

    async def checkpoint(x: int) -> int:
        if loop == "trio":
            await trio.lowlevel.checkpoint()
        else:
            await asyncio.sleep(0)
        return x

    async def cancelled(x: int) -> int:
        await checkpoint(x)
        raise RuntimeError

    async def main() -> None:
        for number in range(WARM_UP):
            await once(number)
        gc.collect()
        before, objects = megabytes(), len(gc.get_objects())
        for number in range(ROUNDS // 3):
            await once(number)
        gc.collect()
        assert_flat(before, megabytes(), len(gc.get_objects()) - objects)

    if loop == "trio":
        trio.run(main)
    else:
        asyncio.run(main())
