"""Coroutines to await in fibers, and ways to drive them."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import anyio.lowlevel

from asyncwasm.fiber import await_


async def echo(value: Any) -> Any:
    """A coroutine that gives the loop a turn."""
    await anyio.lowlevel.checkpoint()
    return value


async def at_once(value: Any) -> Any:
    """A coroutine that does not."""
    return value


@types.coroutine
def pause() -> Generator[None, Any, Any]:
    """Suspend a coroutine that is driven by hand."""
    return (yield)


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end without an event loop."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


class Thing:
    """Something to hold a weak reference to."""


async def forever() -> None:
    """Sleep until cancelled."""
    await anyio.sleep_forever()


def swallow(log: list[str], awaitable: Callable[[], Awaitable[object]]) -> str:
    """A job that catches whatever cancels it and awaits again."""
    for _ in range(3):
        try:
            await_(awaitable())
            log.append("finished")
        except BaseException as error:
            log.append(type(error).__name__)
    return "returned"


class Steps:
    """A job that suspends in several places and says where it came by."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.stopped = anyio.Event()
        self.log: list[object] = []
        self.error: BaseException | None = None

    async def step(self, number: int) -> int:
        if number != self.stop_at:
            return await echo(number)
        try:
            self.stopped.set()
            await anyio.sleep_forever()
        finally:
            self.log.append("inner")

    def __call__(self) -> str:
        try:
            for number in range(5):
                self.log.append(await_(self.step(number)))
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.log.append("outer")
        return "done"
