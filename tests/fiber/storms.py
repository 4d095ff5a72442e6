"""What `test_interrupts.py` runs, in processes of their own: signals all over fibers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from functools import partial

import trio

from asyncwasm.fiber import Fiber, await_, live_fibers, on_fiber, suspend
from tests import child
from tests.fiber.driving import drive, echo
from tests.strike import Striker, interrupt

STRIKES = 400


class Value:
    """Awaitable without a coroutine: one interrupted on its way does not complain."""

    def __await__(self) -> Generator[None, None, int]:
        yield
        return 1


def in_calls() -> None:
    log: list[int] = []

    def body() -> None:
        # An interrupt between two statements must not look like a `finally` that never ran.
        entered = len(log)
        try:
            log.append(1)
            while True:
                await_(Value())
        finally:
            del log[entered:]

    striker = Striker()
    for turn in range(STRIKES):
        call = on_fiber(body)
        striker.run(0.0001 + 0.000001 * turn, partial(drive, call))
        call.close()
        assert live_fibers() == 0
    assert not log


def between_calls() -> None:
    """Calls so short that starting, ending and reuse are hit as well."""

    def body() -> int:
        return await_(Value())

    striker = Striker()
    for turn in range(STRIKES):
        call = on_fiber(body)

        def again() -> None:
            nonlocal call
            drive(call)
            call = on_fiber(body)

        striker.run(0.0001 + 0.000001 * turn, again)
        call.close()
        assert live_fibers() == 0
        assert drive(on_fiber(body)) == 1


def in_fibers() -> None:
    def body() -> None:
        while True:
            suspend()

    striker = Striker()
    for turn in range(STRIKES):
        fiber = Fiber(body)
        striker.run(0.0001 + 0.000001 * turn, fiber.resume)
        fiber.close()
        assert fiber.done
        assert live_fibers() == 0


def sleeping(loop: str) -> None:
    """The main task of a loop is interrupted where it waits."""
    log = []

    def body() -> None:
        timer.start()
        try:
            await_(asyncio.sleep(60) if loop == "asyncio" else trio.sleep(60))  # noqa: ASYNC105
        finally:
            log.append("unwound")

    timer = interrupt(0.05)
    try:
        if loop == "asyncio":
            asyncio.run(on_fiber(body))
        else:
            trio.run(on_fiber, body)
    except KeyboardInterrupt:
        log.append("came out")
    assert log == ["unwound", "came out"]


def computing_on_trio() -> None:
    """Trio takes frames it does not know for its own and spares them."""
    log = []

    def body() -> None:
        timer.start()
        timer.join()
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            pass
        log.append("finished")
        await_(echo(1))
        log.append("not reached")

    timer = interrupt(0)
    try:
        trio.run(on_fiber, body)
    except KeyboardInterrupt:
        log.append("came out")
    assert log == ["finished", "came out"]


if __name__ == "__main__":
    child.main(
        in_calls=in_calls,
        between_calls=between_calls,
        in_fibers=in_fibers,
        sleeping=sleeping,
        computing_on_trio=computing_on_trio,
    )
