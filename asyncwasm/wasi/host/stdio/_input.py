"""Where a program's input can come from."""

from __future__ import annotations

import inspect
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import anyio.lowlevel

from asyncwasm.errors import UsageError

from ..threads import abandoning

if TYPE_CHECKING:
    from typing_extensions import Buffer

# How much is fetched of a source that is only waited for.
CHUNK: Final = 65536


class Reader(Protocol):
    """A binary file, as far as reading goes."""

    def read(self, limit: int, /) -> bytes | None:
        """At most so many bytes; none at the end."""
        ...


class InputStream(ABC):
    """Bytes that arrive.

    Subclasses fetch the next piece; what of it was not read waits here, so that a stream can be
    waited for without taking anything from it.
    """

    is_terminal: bool = False

    def __init__(self) -> None:
        self._rest: memoryview[int] = memoryview(b"")
        self._ended = False

    @abstractmethod
    async def fetch(self, limit: int) -> Buffer:
        """The next bytes, `limit` of them if that can be chosen; none at the end.  May wait."""

    def fetch_sync(self, limit: int) -> Buffer:
        """As `fetch`, blocking the thread.  Raises `UsageError` where only an event loop can."""
        raise UsageError("an async stream can only be read by a program that is run async")

    @property
    def available(self) -> int | None:
        """How many bytes are waiting; 0 at the end; None if that is not known."""
        return len(self._rest) if self._rest or self._ended else None

    async def read(self, limit: int) -> bytes:
        """At most `limit` bytes, at least one; none at the end.  Always checkpoints."""
        if limit == 0 or self.available is not None:
            await anyio.lowlevel.checkpoint()
        else:
            self._keep(await self.fetch(limit))
        return self._take(limit)

    def read_sync(self, limit: int) -> bytes:
        """As `read`, blocking the thread."""
        if limit and self.available is None:
            self._keep(self.fetch_sync(limit))
        return self._take(limit)

    async def wait_readable(self) -> None:
        """Return when `read` would not wait.  Loses nothing when it is cancelled."""
        if self.available is None:
            self._keep(await self.fetch(CHUNK))
        else:
            await anyio.lowlevel.checkpoint()

    def fileno(self) -> int | None:
        """What to poll in a sync program; None if a read need not or cannot wait."""
        return None

    def _keep(self, piece: Any) -> None:
        if isinstance(piece, str):
            raise TypeError("a program's input must be bytes, not str")
        self._rest = memoryview(piece).cast("B")
        self._ended = not self._rest

    def _take(self, limit: int) -> bytes:
        taken = bytes(self._rest[:limit])
        self._rest = self._rest[limit:]
        return taken


class BytesInput(InputStream):
    """Bytes known beforehand; without any, a closed input."""

    def __init__(self, data: Buffer = b"") -> None:
        super().__init__()
        self._keep(bytes(data))
        self._ended = True

    async def fetch(self, limit: int) -> Buffer:
        return b""


class FileInput(InputStream):
    """A binary file object, read in a worker thread unless it is in memory.

    A read that blocks keeps its thread when the program is cancelled: Python cannot interrupt
    it.  Waiting for one to become readable returns at once.
    """

    def __init__(self, file: Reader) -> None:
        super().__init__()
        # What is there now, rather than waiting for all that is asked for.
        self._read = getattr(file, "read1", file.read)
        self._in_memory = isinstance(file, io.BytesIO)

    async def fetch(self, limit: int) -> Buffer:
        if self._in_memory:
            await anyio.lowlevel.checkpoint()
            return self.fetch_sync(limit)
        return await abandoning(self.fetch_sync, limit)

    def fetch_sync(self, limit: int) -> Buffer:
        # A non-blocking file gives None where it should wait, and there is nothing to wait for.
        return cast("Buffer", self._read(limit) or b"")

    async def wait_readable(self) -> None:
        await anyio.lowlevel.checkpoint()


class CallableInput(InputStream):
    """A function called with how much is wanted, which returns bytes or an awaitable of them."""

    def __init__(self, fn: Callable[[int], Buffer | Awaitable[Buffer]]) -> None:
        super().__init__()
        self._fn = fn

    async def fetch(self, limit: int) -> Buffer:
        piece = self._fn(limit)
        if isinstance(piece, Awaitable):
            return await piece
        await anyio.lowlevel.checkpoint()
        return piece

    def fetch_sync(self, limit: int) -> Buffer:
        piece = self._fn(limit)
        if isinstance(piece, Awaitable):
            if inspect.iscoroutine(piece):
                piece.close()
            return super().fetch_sync(limit)
        return piece


class IteratorInput(InputStream):
    """An async stream or iterator of bytes, such as anyio's and trio's receive streams.

    Cancelling an async generator would end it, so waiting for one to become readable returns at
    once: a poll says that there is input, and the read waits for it.
    """

    def __init__(self, stream: AsyncIterable[Buffer]) -> None:
        super().__init__()
        self._iterator: AsyncIterator[Buffer] = aiter(stream)

    async def fetch(self, limit: int) -> Buffer:
        async for piece in self._iterator:
            if len(piece):  # type: ignore[arg-type]  # a buffer, or a mistake found later
                return piece
        return b""

    async def wait_readable(self) -> None:
        if isinstance(self._iterator, AsyncGenerator):
            await anyio.lowlevel.checkpoint()
        else:
            await super().wait_readable()
