"""Clocks, the host's and the fakes."""

from __future__ import annotations

import time

import anyio
import pytest
import trio.testing

from asyncwasm.wasi import (
    FakeMonotonicClock,
    FakeWallClock,
    SystemMonotonicClock,
    SystemWallClock,
)


def test_the_hosts_clocks():
    wall = SystemWallClock()
    assert abs(wall.now() - time.time_ns()) < 10**9
    assert wall.resolution() >= 1
    clock = SystemMonotonicClock()
    first = clock.now()
    assert 0 <= first < 10**9  # it says nothing of how long the host has been up
    assert clock.now() >= first
    assert clock.resolution() >= 1
    clock.sleep_until_sync(clock.now() + 5_000_000)
    assert clock.now() >= first + 5_000_000
    clock.sleep_until_sync(0)


@pytest.mark.anyio
async def test_sleeping():
    clock = SystemMonotonicClock()
    deadline = clock.now() + 20_000_000
    await clock.sleep_until(deadline)
    assert clock.now() >= deadline - 1_000_000
    await clock.sleep_until(0)


def test_a_mock_clock_of_the_loop_makes_sleeps_short():
    async def main() -> None:
        clock = SystemMonotonicClock()
        await clock.sleep_until(clock.now() + 3600 * 10**9)

    started = time.monotonic()
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert time.monotonic() - started < 60


@pytest.mark.anyio
async def test_a_fake_jumps():
    clock = FakeMonotonicClock(5)
    await clock.sleep_until(100)
    assert clock.now() == 100
    await clock.sleep_until(50)
    assert clock.now() == 100
    clock.sleep_until_sync(200)
    assert clock.now() == 200


@pytest.mark.anyio
async def test_a_fake_is_advanced():
    clock = FakeMonotonicClock(jump=False, resolution=1000)
    assert clock.resolution() == 1000
    woken = []

    async def sleep(until: int) -> None:
        await clock.sleep_until(until)
        woken.append(until)

    async with anyio.create_task_group() as group:
        for until in (30, 10, 0):
            group.start_soon(sleep, until)
        await anyio.wait_all_tasks_blocked()
        assert woken == [0]
        clock.advance(10)
        await anyio.wait_all_tasks_blocked()
        assert woken == [0, 10]
        clock.advance(100)
    assert woken == [0, 10, 30]
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)
    with pytest.raises(RuntimeError, match="nobody can advance"):
        clock.sleep_until_sync(1000)


def test_a_fake_wall_clock_is_set():
    clock = FakeWallClock(7, resolution=3)
    assert (clock.now(), clock.resolution()) == (7, 3)
    clock.time = 9
    assert clock.now() == 9
