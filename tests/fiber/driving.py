"""Coroutines to await in fibers, and ways to drive them."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any

import anyio.lowlevel


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
