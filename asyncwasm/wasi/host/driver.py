"""How operations that may block are done: on an event loop, or by blocking the thread.

A WASI version writes its functions once, as coroutine functions that wait for nothing but a
driver's methods.  With `LOOP` they suspend the guest; with `BLOCKING` they never suspend, so
that `finish` can run them in a sync call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel

from .clocks import NANOSECONDS, MonotonicClock
from .readiness import first_of, is_ready, wait_ready, wait_sync
from .sockets import Socket
from .stdio import InputStream, OutputStream
from .threads import in_thread

T = TypeVar("T")

# What can be read within this time is there already: a stream takes a turn of the loop to say so.
_AT_ONCE: Final = 0.001


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that a poll waits for: to read a stream, or to use a socket."""

    source: InputStream | Socket
    write: bool = False


class Driver(ABC):
    """See the module.  All methods raise what the operation raises."""

    @abstractmethod
    async def work(
        self, fn: Callable[..., T], *args: Any, discard: Callable[[T], object] | None = None
    ) -> T:
        """`fn(*args)`, which blocks its thread; `discard` gets a result that came too late."""

    @abstractmethod
    async def read(self, stream: InputStream, limit: int) -> bytes:
        """See `InputStream.read`."""

    @abstractmethod
    async def readable(self, stream: InputStream) -> bool:
        """Whether reading would not wait."""

    @abstractmethod
    async def write(self, stream: OutputStream, data: bytes) -> None:
        """See `OutputStream.write`."""

    @abstractmethod
    async def accept(self, sock: Socket, *, wait: bool) -> Socket:
        """See `Socket.accept`."""

    @abstractmethod
    async def receive(
        self, sock: Socket, limit: int, *, peek: bool, wait: bool
    ) -> tuple[bytes, bool]:
        """See `Socket.receive`."""

    @abstractmethod
    async def send(self, sock: Socket, data: bytes, *, wait: bool) -> int:
        """See `Socket.send`."""

    @abstractmethod
    async def ready(self, fd: int, *, write: bool) -> None:
        """Wait until an operation on a descriptor of the system would not block."""

    @abstractmethod
    async def give_way(self) -> None:
        """Let others run."""

    @abstractmethod
    async def poll(
        self, waiting: Sequence[Waiting], clock: MonotonicClock, deadline: int | None
    ) -> list[bool]:
        """Wait for one of several things, until `clock` reaches `deadline`.

        Says which have come about: none if the deadline came first.
        """


class _Loop(Driver):
    async def work(
        self, fn: Callable[..., T], *args: Any, discard: Callable[[T], object] | None = None
    ) -> T:
        return await in_thread(fn, *args, discard=discard)

    async def read(self, stream: InputStream, limit: int) -> bytes:
        return await stream.read(limit)

    async def readable(self, stream: InputStream) -> bool:
        with anyio.move_on_after(_AT_ONCE):
            await stream.wait_readable()
            return True
        return False

    async def write(self, stream: OutputStream, data: bytes) -> None:
        await stream.write(data)

    async def accept(self, sock: Socket, *, wait: bool) -> Socket:
        return await sock.accept(wait=wait)

    async def receive(
        self, sock: Socket, limit: int, *, peek: bool, wait: bool
    ) -> tuple[bytes, bool]:
        return await sock.receive(limit, peek=peek, wait=wait)

    async def send(self, sock: Socket, data: bytes, *, wait: bool) -> int:
        return await sock.send(data, wait=wait)

    async def ready(self, fd: int, *, write: bool) -> None:
        await wait_ready(fd, write=write)

    async def give_way(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def poll(
        self, waiting: Sequence[Waiting], clock: MonotonicClock, deadline: int | None
    ) -> list[bool]:
        ready = [False] * len(waiting)

        def waiter(index: int, item: Waiting) -> Callable[[], Coroutine[Any, Any, None]]:
            async def wait() -> None:
                if isinstance(item.source, Socket):
                    await item.source.wait_ready(write=item.write)
                else:
                    await item.source.wait_readable()
                ready[index] = True

            return wait

        async def sleep() -> None:
            assert deadline is not None
            await clock.sleep_until(deadline)
            if waiting and not any(ready):
                # What has come about by now is said, though the time is up.
                await anyio.sleep(_AT_ONCE)

        waiters = [waiter(*pair) for pair in enumerate(waiting)]
        if deadline is not None:
            waiters.append(sleep)
        await first_of(waiters)
        return ready


class _Blocking(Driver):
    async def work(
        self, fn: Callable[..., T], *args: Any, discard: Callable[[T], object] | None = None
    ) -> T:
        return fn(*args)

    async def read(self, stream: InputStream, limit: int) -> bytes:
        return stream.read_sync(limit)

    async def readable(self, stream: InputStream) -> bool:
        fd = stream.fileno()
        return fd is None or is_ready(fd)

    async def write(self, stream: OutputStream, data: bytes) -> None:
        stream.write_sync(data)

    async def accept(self, sock: Socket, *, wait: bool) -> Socket:
        return sock.accept_sync(wait=wait)

    async def receive(
        self, sock: Socket, limit: int, *, peek: bool, wait: bool
    ) -> tuple[bytes, bool]:
        return sock.receive_sync(limit, peek=peek, wait=wait)

    async def send(self, sock: Socket, data: bytes, *, wait: bool) -> int:
        return sock.send_sync(data, wait=wait)

    async def ready(self, fd: int, *, write: bool) -> None:
        wait_sync([] if write else [fd], [fd] if write else [], None)

    async def give_way(self) -> None:
        pass

    async def poll(
        self, waiting: Sequence[Waiting], clock: MonotonicClock, deadline: int | None
    ) -> list[bool]:
        files = [(item.source.fileno(), item.write) for item in waiting]
        if all(fd is not None for fd, _ in files):
            if not files:
                assert deadline is not None
                clock.sleep_until_sync(deadline)
                return []
            seconds = None if deadline is None else max(0, deadline - clock.now()) / NANOSECONDS
            readers = [fd for fd, write in files if fd is not None and not write]
            writers = [fd for fd, write in files if fd is not None and write]
            wait_sync(readers, writers, seconds)
        return [fd is None or is_ready(fd, write=write) for fd, write in files]


LOOP: Final[Driver] = _Loop()
BLOCKING: Final[Driver] = _Blocking()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing but the methods of `BLOCKING`."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    work.close()
    raise AssertionError("a blocking driver suspended")


def time_limit(seconds: float | None) -> AbstractContextManager[object]:
    """Cancel what runs in the block after so many seconds, and raise `TimeoutError`."""
    return anyio.fail_after(seconds)
