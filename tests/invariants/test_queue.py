"""Stores that queue calls, under cancellations at random: in order, one at a time, never stuck."""

from __future__ import annotations

import asyncio
import random

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import Caller, Engine, Func, FuncType, Instance, Module, Store
from asyncwasm.core.types import I32
from tests.invariants.books import assert_idle

TASKS = 20
TEXT = """(module (import "" "" (func $h (param i32) (result i32)))
  (func (export "f") (param i32) (result i32) (call $h (call $h (local.get 0)))))"""


class Storm:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.store: Store[None] = Store(Engine(), concurrent_calls="queue")
        self.running: int | None = None
        # Tasks in the order in which they asked, began and ended.
        self.asked: list[int] = []
        self.began: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []

    async def host(self, caller: Caller[None], who: int) -> int:
        if self.running != who:
            assert self.running is None
            self.running = who
            self.began.append(who)
        try:
            for _ in range(self.random.randrange(4)):
                await anyio.lowlevel.checkpoint()
            if self.random.random() < 0.3:
                # A nested call does not queue.
                nested = Func.new(caller, FuncType(), lambda caller: None)
                await nested.call_async(caller)
        except BaseException:
            self.running = None
            raise
        return who

    async def setup(self) -> Func:
        ty = FuncType((I32,), (I32,))
        func = Func.new_async(self.store, ty, self.host)
        module = Module(self.store.engine, TEXT)
        found = (await Instance.new_async(self.store, module, [func])).get_func(self.store, "f")
        assert found is not None
        return found

    async def one(self, func: Func, who: int) -> None:
        self.asked.append(who)
        try:
            assert await func.call_async(self.store, who) == who
        except BaseException:
            self.cancelled.append(who)
            raise
        self.running = None
        self.ended.append(who)

    def check(self) -> None:
        assert self.running is None
        assert sorted(self.ended + self.cancelled) == list(range(TASKS))
        order = [who for who in self.asked if who in self.began]
        assert self.began == order
        assert_idle(self.store)


@pytest.mark.slow
def test_on_trio():
    async def main(seed: int) -> int:
        storm = Storm(seed)
        func = await storm.setup()
        scopes = [trio.CancelScope() for _ in range(TASKS)]

        async def task(who: int) -> None:
            with scopes[who]:
                await storm.one(func, who)

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for who in range(TASKS):
                    nursery.start_soon(task, who)
                    for _ in range(storm.random.randrange(3)):
                        await trio.lowlevel.checkpoint()
                    if storm.random.random() < 0.5:
                        storm.random.choice(scopes[: who + 1]).cancel()
                while storm.random.random() < 0.9:
                    await trio.lowlevel.checkpoint()
                    storm.random.choice(scopes).cancel()
        storm.check()
        assert await func.call_async(storm.store, 99) == 99
        return len(storm.cancelled)

    assert sum(trio.run(main, seed) for seed in range(60)) > 100


@pytest.mark.slow
def test_on_asyncio():
    async def main(seed: int) -> int:
        storm = Storm(seed)
        func = await storm.setup()
        async with asyncio.timeout(10):
            tasks = []
            for who in range(TASKS):
                tasks.append(asyncio.create_task(storm.one(func, who)))
                for _ in range(storm.random.randrange(3)):
                    await asyncio.sleep(0)
                if storm.random.random() < 0.5:
                    storm.random.choice(tasks).cancel()
            while storm.random.random() < 0.9:
                await asyncio.sleep(0)
                storm.random.choice(tasks).cancel()
            await asyncio.wait(tasks)
        # A task that is cancelled before its first step has not asked.
        for who, task in enumerate(tasks):
            if who not in storm.asked:
                assert task.cancelled()
                storm.cancelled.append(who)
        storm.check()
        storm.running = None
        assert await func.call_async(storm.store, 99) == 99
        return len(storm.cancelled)

    assert sum(asyncio.run(main(seed)) for seed in range(60)) > 100


@pytest.mark.anyio
async def test_closing_a_store_fails_who_waits():
    store: Store[None] = Store(Engine(), concurrent_calls="queue")
    go_on = anyio.Event()
    log: list[str] = []

    async def host(caller: Caller[None]) -> None:
        await go_on.wait()

    func = Func.new_async(store, FuncType(), host)

    async def call(name: str) -> None:
        try:
            await func.call_async(store)
            log.append(name)
            store.close()
        except RuntimeError as error:
            log.append(f"{name}: {error}")

    async with anyio.create_task_group() as group:
        for name in ("first", "second", "third"):
            group.start_soon(call, name)
            await anyio.sleep(0.005)
        go_on.set()
    assert log[0] == "first"
    assert len(log) == 3
