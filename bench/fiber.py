"""What fibers cost, beside plain coroutines and a turn of the event loop.

Usage: python -m bench.fiber [--markdown FILE]

Each figure is the best of several rounds in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import greenlet
import trio

from asyncwasm.fiber import Fiber, await_, checkpoint, on_fiber, suspend
from bench.report import duration, table, write_between_markers
from bench.suspended import resident

ROUNDS = 100
COUNT = 1_000


async def best(work: Callable[[], Awaitable[None]]) -> float:
    """Seconds for each of the `COUNT` operations that `work` does, at best."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        await work()
        times.append(time.perf_counter() - begin)
    return min(times) / COUNT


async def value() -> int:
    return 1


async def coroutines() -> None:
    for _ in range(COUNT):
        await value()


async def turns() -> None:
    for _ in range(COUNT):
        await checkpoint()


async def calls() -> None:
    def body() -> int:
        return 1

    for _ in range(COUNT):
        await on_fiber(body)


async def suspensions() -> None:
    def body() -> None:
        for _ in range(COUNT):
            await_(value())

    await on_fiber(body)


async def suspended_turns() -> None:
    def body() -> None:
        for _ in range(COUNT):
            await_(checkpoint())

    await on_fiber(body)


async def switches() -> None:
    def body() -> None:
        while True:
            suspend()

    fiber = Fiber(body)
    for _ in range(COUNT):
        fiber.resume()
    fiber.close()


async def bare_switches() -> None:
    def body() -> None:
        while True:
            here.switch()

    here = greenlet.getcurrent()
    child = greenlet.greenlet(body)
    for _ in range(COUNT):
        child.switch()


async def new_greenlets() -> None:
    def body() -> None:
        pass

    for _ in range(COUNT):
        greenlet.greenlet(body).switch()


def by_hand(coroutine: Coroutine[Any, Any, float]) -> float:
    """Run what needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError


@types.coroutine
def pause() -> Generator[None, None, None]:
    yield


def suspended_bytes(calls: int = 10_000) -> float:
    """Resident memory of each suspended call."""
    before = resident()
    waiting = [on_fiber(lambda: await_(pause())) for _ in range(calls)]
    for call in waiting:
        call.send(None)
    size = (resident() - before) / calls
    for call in waiting:
        call.close()
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what fibers cost.")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    arguments = parser.parse_args()

    size = suspended_bytes()
    rows: list[tuple[str, float]] = [
        ("`await` of a coroutine that returns at once", by_hand(best(coroutines))),
        ("greenlet: switch there and back", by_hand(best(bare_switches))),
        ("greenlet: a new one for one call", by_hand(best(new_greenlets))),
        ("`Fiber`: resume and suspend", by_hand(best(switches))),
        ("`await_` of a coroutine that returns at once", by_hand(best(suspensions))),
    ]
    for name, run in (("asyncio", asyncio.run), ("trio", lambda c: trio.run(lambda: c))):
        rows += [
            (f"{name}: a turn of the event loop", run(best(turns))),
            (f"{name}: `await on_fiber(f)`, its checkpoint included", run(best(calls))),
            (f"{name}: `await_` of a turn of the event loop", run(best(suspended_turns))),
        ]
    text = table(["operation", "about"], [[label, duration(cost)] for label, cost in rows])
    text += f"\n\nA suspended call takes about {size / 1000:.0f} KB of memory."
    print(text)
    if arguments.markdown:
        write_between_markers(arguments.markdown, "bench/fiber.py", text)


if __name__ == "__main__":
    main()
