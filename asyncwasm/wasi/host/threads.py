"""Blocking work in worker threads, few at a time, so that it never blocks the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Generic, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

# Threads that all programs of one event loop share.  Disks answer no faster for being asked by
# more, and a program that is slow to be served only waits.
MAX_THREADS: Final = 8

# Computing gets no faster than by the number of processors, and mostly not even that.
MAX_COMPUTING: Final = 2

_Limiter: TypeAlias = RunVar[anyio.CapacityLimiter]
_FILES: Final[_Limiter] = RunVar("asyncwasm.wasi.files")
_COMPUTING: Final[_Limiter] = RunVar("asyncwasm.wasi.computing")
_TURN: Final[_Limiter] = RunVar("asyncwasm.wasi.turn")


def _limiter(variable: _Limiter, threads: int) -> anyio.CapacityLimiter:
    try:
        return variable.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(threads)
        variable.set(limiter)
        return limiter


def busy_threads() -> int:
    """How many threads work on files for this event loop."""
    return _limiter(_FILES, MAX_THREADS).borrowed_tokens


async def in_thread(
    fn: Callable[..., T], *args: Any, discard: Callable[[T], object] | None = None
) -> T:
    """Run `fn(*args)` in a worker thread, with its result or its exception.

    Work that was begun is finished before a cancellation comes through (except for asyncio's
    own `Task.cancel`, which waits for nothing).  `discard` gets a result that the caller will
    not.
    """
    work = _Work(fn, args, discard)
    try:
        return await anyio.to_thread.run_sync(work.run, limiter=_limiter(_FILES, MAX_THREADS))
    except BaseException:
        work.abandon()
        raise


async def abandoning(fn: Callable[..., T], *args: Any) -> T:
    """As `in_thread`, for work that may block for ever: a cancellation leaves the thread to it.

    Such threads are not among the few.
    """
    return await anyio.to_thread.run_sync(
        fn, *args, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
    )


async def computing(fn: Callable[..., T], *args: Any) -> T:
    """Run `fn(*args)`, which has no effects, in a worker thread.

    A cancellation leaves the thread to it, and keeps its place among the few.
    """
    limiter = _limiter(_COMPUTING, MAX_COMPUTING)
    return await anyio.to_thread.run_sync(fn, *args, abandon_on_cancel=True, limiter=limiter)


def turn() -> AbstractAsyncContextManager[object]:
    """Be the only one on this event loop within the block.

    For what takes the loop a millisecond: a hundred tasks that all begin with it would take it
    for a tenth of a second, but in turn they let others run in between.
    """
    return _limiter(_TURN, 1)


class _Work(Generic[T]):
    def __init__(
        self, fn: Callable[..., T], args: tuple[Any, ...], discard: Callable[[T], object] | None
    ) -> None:
        self._fn = fn
        self._args = args
        self._discard = discard
        self._lock = threading.Lock()
        self._abandoned = False
        self._results: list[T] = []

    def run(self) -> T:
        result = self._fn(*self._args)
        with self._lock:
            if not self._abandoned:
                self._results.append(result)
                return result
        self._drop(result)
        return result

    def abandon(self) -> None:
        """Discard the result, now or when there is one."""
        with self._lock:
            self._abandoned = True
            results, self._results = self._results, []
        for result in results:
            self._drop(result)

    def _drop(self, result: T) -> None:
        if self._discard is not None:
            self._discard(result)
