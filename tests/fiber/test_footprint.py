"""What calls take: switches, memory while suspended, nothing once done."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from pathlib import Path

import greenlet
import pytest

from asyncwasm.fiber import Fiber, await_, live_fibers, on_fiber, suspend
from tests.fiber.driving import at_once, drive, pause


def count_switches(function) -> int:
    """How often greenlets are switched while a function runs."""
    switches = []
    previous = greenlet.settrace(lambda event, _: switches.append(event))
    try:
        function()
    finally:
        greenlet.settrace(previous)
    return len(switches)


def test_a_call_takes_two_switches():
    drive(on_fiber(int))  # makes the stack
    assert count_switches(lambda: drive(on_fiber(int))) == 2


def test_an_await_takes_two_switches():
    def body() -> None:
        for _ in range(10):
            await_(at_once(1))

    assert count_switches(lambda: drive(on_fiber(body))) == 22


def test_a_resume_takes_two_switches():
    fiber = Fiber(suspend)
    assert count_switches(fiber.resume) == 2
    assert count_switches(fiber.resume) == 2


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def dive(depth: int) -> None:
    if depth:
        dive(depth - 1)
    else:
        await_(pause())


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ten_thousand_suspended_calls():
    count = 10_000
    before = resident_bytes()
    calls = [on_fiber(dive, 10) for _ in range(count)]
    for call in calls:
        call.send(None)
    assert live_fibers() == count
    assert (resident_bytes() - before) / count < 20_000
    for call in calls:
        with pytest.raises(StopIteration):
            call.send(None)
    del call, calls
    assert live_fibers() == 0
    gc.collect()
    assert (resident_bytes() - before) / count < 4_000  # a leak would be some 7 KB


@pytest.mark.slow
def test_memory_stays_flat():
    """However calls end."""

    def fail() -> None:
        await_(pause())
        raise ValueError

    def turn() -> None:
        drive(on_fiber(dive, 3))
        with pytest.raises(ValueError):
            drive(on_fiber(fail))
        call = on_fiber(dive, 3)
        call.send(None)
        call.close()
        fiber = Fiber(suspend)
        fiber.resume()
        del fiber

    for _ in range(100):
        turn()
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(1000):
            turn()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
