"""What differs between event loops.

A library the program has not imported cannot be the one that is running, so nothing is imported
here: both are looked up among the loaded modules.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import coroutine
from typing import Any, final

__all__ = ["ThreadEvent", "checkpoint", "current_task", "new_event"]


@coroutine
def _asyncio_turn() -> Generator[None, None, None]:
    yield


async def checkpoint() -> None:
    """Give the event loop a turn and raise if the caller is cancelled (trio's checkpoint).

    On asyncio that is what `asyncio.sleep(0)` does.  A coroutine driven by neither library has
    nothing to give a turn to, and goes straight on.
    """
    trio, on_asyncio = _running()
    if trio is not None:
        await trio.checkpoint()
    elif on_asyncio:
        await _asyncio_turn()


def current_task() -> object | None:
    """The task of the event loop that is running, or None outside of both libraries."""
    trio, on_asyncio = _running()
    if trio is not None:
        return trio.current_task()  # type: ignore[no-any-return]
    if on_asyncio:
        return sys.modules["asyncio.tasks"].current_task()  # type: ignore[no-any-return]
    return None


def new_event() -> Any:
    """An event with `set()` and `async wait()`, for tasks of one thread on either library."""
    import anyio

    return anyio.Event()


@final
class ThreadEvent:
    """An event that a task of the running event loop waits for and any thread may set."""

    def __init__(self) -> None:
        import anyio

        self._event = anyio.Event()
        trio, _ = _running()
        if trio is not None:
            self._call_soon = trio.current_trio_token().run_sync_soon
        else:
            self._call_soon = sys.modules["asyncio"].get_running_loop().call_soon_threadsafe

    def set(self) -> None:
        """Set the event.  Raises a `RuntimeError` if its event loop has ended."""
        self._call_soon(self._event.set)

    async def wait(self, seconds: float | None) -> None:
        """Wait until the event is set, at most so many seconds; None is for ever."""
        import anyio

        with anyio.move_on_after(seconds):
            await self._event.wait()


def _running() -> tuple[Any, bool]:
    """`trio.lowlevel` if trio is the library that runs, and whether asyncio is running."""
    lowlevel: Any = sys.modules.get("trio.lowlevel")
    events: Any = sys.modules.get("asyncio.events")
    on_asyncio = events is not None and events._get_running_loop() is not None
    if lowlevel is not None and lowlevel.in_trio_task() and not (on_asyncio and _asyncio_inside()):
        return lowlevel, on_asyncio
    return None, on_asyncio


def _asyncio_inside() -> bool:
    """Whether of two running libraries asyncio is the inner one."""
    if sys.modules["asyncio.tasks"].current_task() is None:
        return False  # trio as the guest of an asyncio loop runs in callbacks, not in a task
    sniffio: Any = sys.modules.get("sniffio")
    return sniffio is None or sniffio.thread_local.name != "trio"
