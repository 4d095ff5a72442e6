"""What differs between event loops.

A library the program has not imported cannot be the one that is running, so nothing is imported
here: both are looked up among the loaded modules.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Generator
from sys import get_asyncgen_hooks, modules
from types import FrameType, MethodType, coroutine
from typing import Any, final

__all__ = ["ThreadEvent", "checkpoint", "current_task", "new_event", "running", "turn"]


@coroutine
def _asyncio_turn() -> Generator[None, None, None]:
    yield


@coroutine
def _no_turn() -> Generator[None, None, None]:
    return
    yield


async def checkpoint() -> None:
    """Give the event loop a turn and raise if the caller is cancelled (trio's checkpoint).

    On asyncio that is what `asyncio.sleep(0)` does.  A coroutine driven by neither library has
    nothing to give a turn to, and goes straight on.
    """
    await turn()


def turn() -> Awaitable[None]:
    """What `checkpoint` awaits."""
    if (
        _on_trio
        and (_events is None or _events._get_running_loop() is None)
        and _lowlevel.in_trio_task()
    ):
        # What `running` would find, but not by asking what takes long on the other library.
        return _lowlevel.checkpoint()  # type: ignore[no-any-return]  # trio may be missing
    hook = get_asyncgen_hooks()[0]
    if (
        type(hook) is MethodType
        and hook.__func__ is _hook
        and ("trio.lowlevel" not in modules if _sniffed is None else _sniffed.name != "trio")
    ):
        return _asyncio_turn()
    trio, loop = running()
    if trio is not None:
        return trio.checkpoint()  # type: ignore[no-any-return]
    return _no_turn() if loop is None else _asyncio_turn()


def current_task() -> object | None:
    """The task of the event loop that is running, or None outside of both libraries."""
    trio, loop = running()
    if trio is not None:
        return trio.current_task()  # type: ignore[no-any-return]
    if loop is not None:
        return sys.modules["asyncio.tasks"].current_task(loop)  # type: ignore[no-any-return]
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
        trio, _ = running()
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


def running(modules: dict[str, Any] = sys.modules) -> tuple[Any, Any]:
    """`trio.lowlevel`, if trio is the library that runs here, and the running asyncio loop."""
    global _on_trio
    _on_trio = False
    if (_lowlevel is None and "trio.lowlevel" in modules) or (
        _events is None and "asyncio.events" in modules
    ):
        _look()
    if _lowlevel is None or (_sniffed is not None and _sniffed.name != "trio"):
        return None, None if _events is None else _asyncio_loop()
    loop = None if _events is None else _events._get_running_loop()
    if not _lowlevel.in_trio_task():
        return None, loop
    # With trio as the guest of an asyncio loop, its tasks run in callbacks, outside of any
    # asyncio task.
    if (
        loop is not None
        and modules["asyncio.tasks"].current_task(loop) is not None
        and not _trio_inside()
    ):
        return None, loop
    _on_trio = True
    return _lowlevel, loop


def _asyncio_loop() -> Any:
    """The asyncio loop that runs in this thread, or None."""
    global _hook
    # asyncio's own answer takes a system call in CPython 3.11.
    hook = get_asyncgen_hooks()[0]
    if type(hook) is MethodType and isinstance(hook.__self__, _events.AbstractEventLoop):
        _hook = hook.__func__
        return hook.__self__
    return _events._get_running_loop()


# `asyncio.events`, `trio.lowlevel` and what `sniffio` keeps for each thread, once the program has
# imported them: looking modules up by name takes longer than all the rest.
_events: Any = None
_lowlevel: Any = None
_sniffed: Any = None
# Whether trio was the library that ran here last.
_on_trio = False
# What asyncio's loops have Python call for asynchronous generators, while they run.
_hook: Any = None


def _look() -> None:
    global _events, _lowlevel, _sniffed
    _events = sys.modules.get("asyncio.events")
    _lowlevel = sys.modules.get("trio.lowlevel")
    sniffio = sys.modules.get("sniffio")
    _sniffed = None if sniffio is None else sniffio.thread_local


def _trio_inside() -> bool:
    """Whether trio runs inside the asyncio task that is current, and not around it.

    One loop blocks the other.  The inner one's frames come first.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        library = frame.f_globals.get("__name__", "").partition(".")[0]
        if library in ("asyncio", "trio"):
            return library == "trio"  # type: ignore[no-any-return]
        frame = frame.f_back
    return True
