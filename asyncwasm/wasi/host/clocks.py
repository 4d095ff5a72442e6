"""Clocks: of the host, and fakes that stand still until they are told otherwise."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Final, Literal

import anyio
import anyio.lowlevel

NANOSECONDS: Final = 1_000_000_000


class WallClock(ABC):
    """The time of day."""

    @abstractmethod
    def now(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z."""

    @abstractmethod
    def resolution(self) -> int:
        """The clock's step in nanoseconds, at least 1."""


class MonotonicClock(ABC):
    """A clock that never goes back, counted from a moment that means nothing."""

    @abstractmethod
    def now(self) -> int:
        """Nanoseconds since the clock's own beginning."""

    @abstractmethod
    def resolution(self) -> int:
        """The clock's step in nanoseconds, at least 1."""

    @abstractmethod
    async def sleep_until(self, deadline: int) -> None:
        """Return when the clock has reached `deadline`, in its nanoseconds."""

    @abstractmethod
    def sleep_until_sync(self, deadline: int) -> None:
        """As `sleep_until`, blocking the thread."""


class SystemWallClock(WallClock):
    """The host's time of day."""

    def now(self) -> int:
        return max(0, time.time_ns())

    def resolution(self) -> int:
        return _resolution("time")


class SystemMonotonicClock(MonotonicClock):
    """The host's monotonic clock, counted from when this was made: it tells no uptime.

    Sleeps are the event loop's: with a mock clock on the loop they take no time.
    """

    def __init__(self) -> None:
        self._origin = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self._origin

    def resolution(self) -> int:
        return _resolution("monotonic")

    async def sleep_until(self, deadline: int) -> None:
        await anyio.sleep(max(0, deadline - self.now()) / NANOSECONDS)

    def sleep_until_sync(self, deadline: int) -> None:
        time.sleep(max(0, deadline - self.now()) / NANOSECONDS)


def _resolution(name: Literal["time", "monotonic"]) -> int:
    return max(1, round(time.get_clock_info(name).resolution * NANOSECONDS))


class FakeWallClock(WallClock):
    """A time of day that is what it was set to; `time` may be assigned."""

    def __init__(self, time: int = 0, resolution: int = 1) -> None:
        self.time = time
        self._resolution = resolution

    def now(self) -> int:
        return self.time

    def resolution(self) -> int:
        return self._resolution


class FakeMonotonicClock(MonotonicClock):
    """A clock that moves only when told to.

    With `jump` (the default) a sleep moves it to the sleep's deadline at once; otherwise
    sleepers wait for `advance`.
    """

    def __init__(self, time: int = 0, resolution: int = 1, *, jump: bool = True) -> None:
        self._time = time
        self._resolution = resolution
        self._jump = jump
        self._moved: anyio.Event | None = None

    def now(self) -> int:
        return self._time

    def resolution(self) -> int:
        return self._resolution

    def advance(self, nanoseconds: int) -> None:
        """Move the clock forward and wake who slept until then."""
        if nanoseconds < 0:
            raise ValueError("a monotonic clock does not go back")
        self._time += nanoseconds
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def sleep_until(self, deadline: int) -> None:
        await anyio.lowlevel.checkpoint()
        if self._jump:
            self._time = max(self._time, deadline)
        while self._time < deadline:
            if self._moved is None:
                self._moved = anyio.Event()
            await self._moved.wait()

    def sleep_until_sync(self, deadline: int) -> None:
        if not self._jump and self._time < deadline:
            raise RuntimeError("nobody can advance a fake clock while a sync call sleeps on it")
        self._time = max(self._time, deadline)
