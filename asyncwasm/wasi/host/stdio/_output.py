"""Where a program's output can go."""

from __future__ import annotations

import inspect
import io
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol, cast

import anyio

from asyncwasm.errors import UsageError

from ..threads import in_thread

# What `BytesOutput` keeps unless told otherwise.
DEFAULT_LIMIT: Final = 1 << 20


class Writer(Protocol):
    """A binary file, as far as writing goes."""

    def write(self, data: bytes, /) -> int | None:
        """Write all of `data`."""
        ...


class OutputStream(ABC):
    """Where bytes go.  All of a write is taken; a slow taker makes the program wait."""

    is_terminal: bool = False

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Write all of `data`.  May wait.  `OSError` reaches the guest as an error number."""

    def write_sync(self, data: bytes) -> None:
        """As `write`, blocking the thread.  Raises `UsageError` where only an event loop can."""
        raise UsageError("an async stream can only be written by a program that is run async")


class NullOutput(OutputStream):
    """Takes everything and keeps nothing."""

    async def write(self, data: bytes) -> None:
        pass

    def write_sync(self, data: bytes) -> None:
        pass


class BytesOutput(OutputStream):
    """Keeps what is written, at most `limit` bytes: the last of it, or the first.

    `total` is how many bytes were written.  The program is not told that some were dropped.
    """

    def __init__(
        self, limit: int = DEFAULT_LIMIT, *, keep: Literal["tail", "head"] = "tail"
    ) -> None:
        if limit < 0:
            raise ValueError("the limit of an output must not be negative")
        if keep not in ("tail", "head"):
            raise ValueError("keep must be 'tail' or 'head'")
        self.limit: Final = limit
        self.total = 0
        self._tail = keep == "tail"
        self._kept = bytearray()

    @property
    def truncated(self) -> bool:
        """Whether some of the output was dropped."""
        return self.total > self.limit

    def getvalue(self) -> bytes:
        """What was kept."""
        kept = self._kept
        return bytes(kept[max(0, len(kept) - self.limit) :] if self._tail else kept)

    async def write(self, data: bytes) -> None:
        self.write_sync(data)

    def write_sync(self, data: bytes) -> None:
        self.total += len(data)
        kept = self._kept
        if not self._tail:
            kept += data[: max(0, self.limit - len(kept))]
            return
        kept += data
        # Cut seldom, so that many small writes cost no more than their bytes.
        if len(kept) > 2 * self.limit:
            del kept[: len(kept) - self.limit]


class FileOutput(OutputStream):
    """A binary file object, written to in a worker thread unless it is in memory.

    Flushed after each write.
    """

    def __init__(self, file: Writer) -> None:
        self._file = file
        self._flush: Callable[[], object] | None = getattr(file, "flush", None)
        self._in_memory = isinstance(file, io.BytesIO)

    async def write(self, data: bytes) -> None:
        if self._in_memory:
            self.write_sync(data)
        else:
            await in_thread(self.write_sync, data)

    def write_sync(self, data: bytes) -> None:
        left = data
        while left:
            # A raw file may take less than all; others say how much or nothing.
            taken = self._file.write(left)
            left = b"" if taken is None else left[taken:]
        if self._flush is not None:
            self._flush()


class CallableOutput(OutputStream):
    """A function called with each piece; what it returns is awaited if that can be done."""

    def __init__(self, fn: Callable[[bytes], object]) -> None:
        self._fn = fn

    async def write(self, data: bytes) -> None:
        result = self._fn(data)
        if isinstance(result, Awaitable):
            await result

    def write_sync(self, data: bytes) -> None:
        result = self._fn(data)
        if isinstance(result, Awaitable):
            if inspect.iscoroutine(result):
                result.close()
            super().write_sync(data)


class StreamOutput(OutputStream):
    """An async stream: anyio's (`send`), trio's (`send_all`, `send`) or asyncio's (`drain`)."""

    def __init__(self, stream: Any) -> None:
        send = _send_method(stream)
        if send is None:
            raise TypeError(f"bytes cannot be sent to {stream!r}")
        self._send = send

    async def write(self, data: bytes) -> None:
        try:
            await self._send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise BrokenPipeError("the reader of the output has gone") from error


def is_async_stream(target: object) -> bool:
    """Whether bytes can be sent to `target` with a coroutine."""
    return _send_method(target) is not None


def _send_method(stream: Any) -> Callable[[bytes], Awaitable[object]] | None:
    for name in ("send_all", "send"):
        send = getattr(stream, name, None)
        if inspect.iscoroutinefunction(send):
            return cast("Callable[[bytes], Awaitable[object]]", send)
    return _write_and_drain(stream) if hasattr(stream, "drain") else None


def _write_and_drain(writer: Any) -> Callable[[bytes], Awaitable[object]]:
    """`send` for an `asyncio.StreamWriter`."""

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return cast("Callable[[bytes], Awaitable[object]]", send)
