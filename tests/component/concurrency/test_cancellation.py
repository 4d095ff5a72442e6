"""Cancelling a scope at each of its suspensions, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import Engine, Store
from asyncwasm.component import Accessor, Component, Linker
from asyncwasm.errors import Trap, TrapCode
from asyncwasm.fiber import live_fibers
from tests.invariants.books import open_books
from tests.invariants.test_cancellation import At

from .guests import FAN_OUT, new_engine, relay

Main = Callable[[], Coroutine[Any, Any, None]]

FEWEST = 15


class Scenario:
    """Guests and the host's tasks, coroutines and streams, all in one scope."""

    def __init__(self, engine: Engine, fan_out: Component, relays: Component) -> None:
        self.store = Store(engine)
        self.fan_out, self.relays = fan_out, relays
        self.entered = self.left = 0
        self.result: int | None = None
        self.instance: Any = None

    async def pause(self) -> None:
        self.entered += 1
        try:
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        finally:
            self.left += 1

    async def work(self, n: int) -> int:
        await self.pause()
        return n

    async def numbers(self):
        for i in range(5):
            await self.pause()
            yield i

    async def run(self) -> None:
        store = self.store
        linker = Linker(store.engine)
        linker.root().func_wrap_concurrent("work", self.work)
        self.instance = await linker.instantiate_async(store, self.fan_out)
        relays = await linker.instantiate_async(store, self.relays)
        fan_out = self.instance.get_func(store, "run")
        total = await fan_out.call_async(store, 3)

        async def main(accessor: Accessor) -> int:
            task = accessor.spawn(fan_out.call_concurrent, accessor, 4)
            one = await relays.get_func(store, "a").call_concurrent(accessor, self.numbers())
            two = await relays.get_func(store, "b").call_concurrent(accessor, one)
            found = [item async for item in two]
            two.close()
            return sum(found) + await task

        total += await store.run_concurrent(main)
        self.result = total

    def assert_over(self) -> None:
        assert self.entered == self.left
        assert self.store.tasks() == []
        assert open_books(self.store) == []
        assert not live_fibers()

    async def assert_state(self) -> None:
        """As documented: usable, or no component of it can be entered any more."""
        if self.instance is None:
            return
        call = self.instance.get_func(self.store, "run").call_async(self.store, 3)
        if self.store.failed:
            with pytest.raises(Trap) as caught:
                await call
            assert caught.value.code is TrapCode.CANNOT_ENTER_COMPONENT
        else:
            assert await call == 3


async def cancelled_at(number: int, scenario: Scenario) -> bool:
    """Run it, cancelled at one of its suspensions; whether it was."""
    with anyio.CancelScope() as scope:
        await At(number, scope.cancel, scenario.run())
    assert scope.cancelled_caught == (scenario.result is None)
    if scenario.result is not None:
        assert scenario.result == 3 + 10 + 6
    scenario.assert_over()
    await scenario.assert_state()
    return scope.cancel_called


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["interpreter", "native"])
@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_each_suspension(strategy: str, loop: str) -> None:
    engine = new_engine(strategy=strategy)
    fan_out = Component(engine, FAN_OUT)
    relays = Component(engine, relay("u32", 4, 2))

    async def main() -> bool:
        again = await cancelled_at(number, Scenario(engine, fan_out, relays))
        if loop == "asyncio":
            assert len(asyncio.all_tasks()) == 1
        return again

    number = 1
    while trio.run(main) if loop == "trio" else asyncio.run(main()):
        number += 1
    assert number > FEWEST
