"""The host's ends of streams: async iterators and writers."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from anyio import BrokenResourceError, EndOfStream

from ..runtime.state import state_of
from ..types import ValType
from .copying import CopyResult
from .host_end import (
    ANY,
    UNBOUND,
    Element,
    HostEnd,
    Link,
    Operation,
    bind_to_guest,
    spawn,
)
from .stream import SharedStream

if TYPE_CHECKING:
    from asyncwasm.core import Store

    from ..runtime.context import Context

T = TypeVar("T")

# What one turn of an iteration asks for at most.
_CHUNK = 1 << 20


class _Source:
    """Elements that the host gives."""

    __slots__ = ("items", "length", "owner", "progress")

    def __init__(self, items: Sequence[Any] | memoryview) -> None:
        self.owner: object | None = None
        self.items = items
        self.length = len(items)
        self.progress = 0

    def read(self, count: int, target: object | None) -> Any:
        return self.items[self.progress : self.progress + count]


class _Target:
    """Room for elements that the host takes."""

    __slots__ = ("length", "owner", "parts", "progress")

    def __init__(self, length: int) -> None:
        self.owner: object | None = None
        self.length = length
        self.progress = 0
        self.parts: list[Any] = []

    def write(self, elements: Any, count: int, source: object | None) -> None:
        # What the host gives stays the host's to change.
        copied = bytes(elements) if isinstance(elements, memoryview) else elements
        self.parts.append(copied)

    def items(self, as_bytes: bool) -> Any:
        """All elements."""
        if len(self.parts) == 1:
            return self.parts[0]
        return b"".join(self.parts) if as_bytes else [x for part in self.parts for x in part]


@final
class StreamReader(HostEnd, Generic[T]):
    """The readable end of a stream.

    Iterate over it with `async for`: that gives the elements one by one, those of a
    `stream<u8>` as `bytes` of any length.  The iteration ends when the writer has closed its end.
    Give it to a guest, as an argument or a result, and it is the guest's.
    """

    __slots__ = ("_kept",)

    def __init__(self, link: Link) -> None:
        """For the runtime's own use; see `open_stream`."""
        super().__init__(link)
        # What had been read when the reading task was cancelled.
        self._kept: Any = None

    async def read(self, most: int = _CHUNK) -> Any:
        """Wait for elements and return at least one and at most `most`: a list, or `bytes`.

        Raises `anyio.EndOfStream` when the writer has closed its end and all has been read.
        Elements are not lost when this is cancelled.  Always checkpoints.
        """
        if most < 1:
            raise ValueError("most must be positive")
        self._check_usable()
        link = self._link
        if self._kept is None:
            if link.element is UNBOUND:
                link.bind(ANY, None)
            target = _Target(most)
            op = Operation()

            def on_copy(reclaim: Callable[[], None]) -> None:
                reclaim()
                op.finish(CopyResult.COMPLETED)

            def start() -> None:
                shared: Any = link.shared
                shared.read(target, on_copy, op.finish)

            try:
                await self._perform(op, start)
            except BaseException:
                self._kept = target.items(link.is_bytes) if target.progress else None
                raise
            if not target.progress:
                raise EndOfStream
            return target.items(link.is_bytes)
        found, rest = self._kept[:most], self._kept[most:]
        self._kept = rest or None
        return found

    async def receive(self, max_bytes: int = _CHUNK) -> Any:
        """The next element, or the next at most `max_bytes` bytes of a `stream<u8>`.

        What anyio's receive streams have.  Raises as `read`.
        """
        if self._link.is_bytes:
            return await self.read(max_bytes)
        return (await self.read(1))[0]

    def __aiter__(self) -> StreamReader[T]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def pipe(self, sink: Any) -> None:
        """Send everything to `sink` as it comes, and close both when the writer has closed.

        `sink` has `send` or `send_all`, and perhaps `aclose`: a memory channel or a byte stream of
        trio's or anyio's, or a `StreamWriter`.  Raises what these raise.
        """
        send = getattr(sink, "send", None) or sink.send_all
        try:
            async with self:
                async for item in self:
                    await send(item)
        finally:
            close = getattr(sink, "aclose", None)
            if close is not None:
                await close()

    def _give(self) -> tuple[Link, Any]:
        self._check_usable()
        self._given = True
        return self._link, self._kept

    def __repr__(self) -> str:
        return f"<StreamReader of {_describe(self._link.element)}>"


@final
class StreamWriter(HostEnd, Generic[T]):
    """The writable end of a stream that the host has made with `open_stream`.

    What is sent waits until it is read: a slow reader slows the writer down.
    """

    __slots__ = ()

    async def write(self, items: Any) -> int:
        """Wait for a reader and give it some of `items`, a sequence or buffer; return how many.

        Raises `anyio.BrokenResourceError` if the reader has closed its end, and `TypeError`,
        `ValueError` or `OverflowError` for a value that is none of the stream's.  Always
        checkpoints.
        """
        self._check_usable()
        link = self._link
        await link.wait_bound()
        if link.is_bytes:
            source = _Source(link.checked_bytes(items))
        else:
            source = _Source([link.checked(item) for item in items])
        return await self._write(source)

    async def _write(self, source: _Source) -> int:
        link = self._link
        op = Operation()

        def on_copy(reclaim: Callable[[], None]) -> None:
            reclaim()
            op.finish(CopyResult.COMPLETED)

        def start() -> None:
            shared: Any = link.shared
            shared.write(source, on_copy, op.finish)

        before = source.progress
        await self._perform(op, start)
        if op.result is CopyResult.DROPPED and source.progress == before:
            raise BrokenResourceError
        return source.progress - before

    async def send(self, item: Any) -> None:
        """Send one element, or all bytes of a buffer for a `stream<u8>`.  Raises as `write`."""
        self._check_usable()
        link = self._link
        await link.wait_bound()
        await self._send(
            _Source(link.checked_bytes(item) if link.is_bytes else [link.checked(item)])
        )

    async def send_all(self, items: Any) -> None:
        """Send all of `items`: a sequence, a buffer, any iterable, or an async iterable.

        The elements of iterables of a `stream<u8>` are buffers.  Raises as `write`.
        """
        self._check_usable()
        await self._link.wait_bound()
        if isinstance(items, AsyncIterable):
            async for item in items:
                await self.send(item)
        elif isinstance(items, bytes | bytearray | memoryview) and self._link.is_bytes:
            await self.send(items)
        elif isinstance(items, list | tuple) and not self._link.is_bytes:
            await self._send(_Source([self._link.checked(item) for item in items]))
        else:
            for item in items:
                await self.send(item)

    async def _send(self, source: _Source) -> None:
        # An empty buffer waits for a reader all the same.
        while True:
            await self._write(source)
            if source.progress >= source.length:
                return

    def __repr__(self) -> str:
        return f"<StreamWriter of {_describe(self._link.element)}>"


def open_stream(
    store: Store[Any], element: Element = UNBOUND
) -> tuple[StreamWriter[Any], StreamReader[Any]]:
    """A new stream of the host's: its writable and its readable end.

    The type of the elements is that of the guest which gets the readable end, unless `element`
    says it; a stream that the host itself reads takes any objects.
    """
    link = Link(state_of(store), SharedStream(None), element)
    link.writer = writer = StreamWriter[Any](link)
    return writer, StreamReader(link)


def _describe(element: Element) -> str:
    if element is UNBOUND or element is ANY:
        return "host objects"
    return "nothing" if element is None else str(element)


def take_stream(cx: Context, shared: SharedStream) -> StreamReader[Any]:
    """The host's end of a stream that a guest gives to it."""
    return StreamReader(Link(cx.instance.state, shared, shared.element, guest=True))


def give_stream(cx: Context, element: ValType | None, value: Any) -> SharedStream:
    """What a guest gets for a `StreamReader`, an iterable, or an async iterable.

    Raises `TypeError` for anything else, and `UsageError` for what cannot be given.
    """
    instance = cx.instance
    if isinstance(value, StreamReader):
        link, kept = value._give()
        if kept is None:
            bind_to_guest(link, instance, element)
            shared = link.shared
            assert isinstance(shared, SharedStream)
            return shared
        inner = StreamReader[Any](link)
        inner._kept = kept
        value = inner
    is_buffer = isinstance(value, bytes | bytearray | memoryview)
    if not isinstance(value, AsyncIterable | Iterable) or isinstance(value, str):
        raise TypeError(f"expected StreamReader or iterable, got {type(value).__name__}")
    link = Link(instance.state, SharedStream(None), UNBOUND)
    bind_to_guest(link, instance, element)
    shared = link.shared
    assert isinstance(shared, SharedStream)
    if is_buffer and link.is_bytes:
        _park(shared, _Source(link.checked_bytes(value)))
    elif isinstance(value, list | tuple) and not link.is_bytes:
        _park(shared, _Source([link.checked(item) for item in value]))
    else:
        writer = StreamWriter[Any](link)
        link.feeder = spawn(instance, _pump(writer, value), "an iterable", _finish)
    return shared


def _park(shared: SharedStream, source: _Source) -> None:
    """Let the guest read all of `source`, and then the end."""
    if not source.length:
        shared.drop()
        return

    def on_copy(reclaim: Callable[[], None]) -> None:
        if source.progress >= source.length:
            reclaim()
            shared.drop()

    shared.write(source, on_copy, lambda result: None)


async def _pump(writer: StreamWriter[Any], items: Any) -> None:
    try:
        async with writer:
            await writer.send_all(items)
    except BrokenResourceError:
        pass  # the reader has had enough
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _finish(value: Any, error: BaseException | None) -> None:
    if error is not None:
        raise error
