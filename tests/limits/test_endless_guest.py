"""A guest in an endless loop: deadlines end it, and other tasks keep their time.

The bounds are those of the contract. Interference by other programs on the machine only ever makes
things later, so a few attempts are allowed, of which one has to be in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import trio

from asyncwasm import Engine, Func, Instance, Module, Store

pytestmark = pytest.mark.slow

ATTEMPTS = 20
BEAT = 0.01
GUEST = (
    '(module (func (export "spin") (loop (br 0))) (func (export "ok") (result i32) i32.const 7))'
)


async def spinning() -> tuple[Store[None], Func, Func]:
    engine = Engine()
    store: Store[None] = Store(engine)
    instance = await Instance.new_async(store, Module(engine, GUEST))
    spin, ok = instance.get_func(store, "spin"), instance.get_func(store, "ok")
    assert spin is not None
    assert ok is not None
    return store, spin, ok


async def heartbeat(sleep: Callable[[float], Awaitable[None]], gaps: list[float]) -> None:
    """Note how long after the last beat each one comes."""
    last = time.perf_counter()
    while True:
        await sleep(BEAT)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


def in_time(attempt: Callable[[], tuple[float, list[float]]]) -> None:
    seen = []
    for _ in range(ATTEMPTS):
        elapsed, gaps = attempt()
        beats = len(gaps)
        seen.append(f"{elapsed:.3f} s, {beats} beats, longest gap {max(gaps, default=0):.3f} s")
        if 0.19 < elapsed < 0.3 and beats >= 8 and max(gaps) < 0.05:
            return
    pytest.fail("; ".join(seen))


def test_trio_fail_after():
    async def attempt() -> tuple[float, list[float]]:
        store, spin, ok = await spinning()
        gaps: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heartbeat, trio.sleep, gaps)
            begin = time.perf_counter()
            with pytest.raises(trio.TooSlowError):
                with trio.fail_after(0.2):
                    await spin.call_async(store)
            elapsed = time.perf_counter() - begin
            nursery.cancel_scope.cancel()
        assert await ok.call_async(store) == 7
        return elapsed, gaps

    in_time(lambda: trio.run(attempt))


def test_asyncio_timeout():
    async def attempt() -> tuple[float, list[float]]:
        store, spin, ok = await spinning()
        gaps: list[float] = []
        beating = asyncio.create_task(heartbeat(asyncio.sleep, gaps))
        begin = time.perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await spin.call_async(store)
        elapsed = time.perf_counter() - begin
        beating.cancel()
        await asyncio.wait([beating])
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await ok.call_async(store) == 7
        return elapsed, gaps

    in_time(lambda: asyncio.run(attempt()))


def test_two_endless_guests_share_the_loop():
    async def attempt() -> tuple[float, list[float]]:
        (first, spin1, _), (second, spin2, _) = await spinning(), await spinning()
        gaps: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heartbeat, trio.sleep, gaps)
            begin = time.perf_counter()
            with trio.move_on_after(0.2):
                async with trio.open_nursery() as guests:
                    guests.start_soon(spin1.call_async, first)
                    guests.start_soon(spin2.call_async, second)
            elapsed = time.perf_counter() - begin
            nursery.cancel_scope.cancel()
        return elapsed, gaps

    seen = []
    for _ in range(ATTEMPTS):
        elapsed, gaps = trio.run(attempt)
        seen.append((elapsed, gaps))
        if elapsed < 0.35 and len(gaps) >= 4:
            return
    pytest.fail(str(seen))
