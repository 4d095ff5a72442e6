"""Blocking work in worker threads, few at a time, so that it never blocks the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

# Threads that all programs of one event loop share.  Disks answer no faster for being asked by
# more, and a program that is slow to be served only waits.
MAX_THREADS: Final = 8

_LIMITER: Final[RunVar[anyio.CapacityLimiter]] = RunVar("asyncwasm.wasi.threads")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MAX_THREADS)
        _LIMITER.set(limiter)
        return limiter


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
        return await anyio.to_thread.run_sync(work.run, limiter=_limiter())
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
