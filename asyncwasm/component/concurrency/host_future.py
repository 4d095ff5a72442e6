"""The host's ends of futures: awaitables and writers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from anyio import BrokenResourceError

from asyncwasm.errors import UsageError
from asyncwasm.fiber import is_awaitable

from ..runtime.state import state_of
from ..types import ValType
from .copying import CopyResult
from .future import SharedFuture
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

if TYPE_CHECKING:
    from asyncwasm.core import Store

    from ..runtime.context import Context

T = TypeVar("T")


class _Cell:
    """A place for one value, which is a buffer of length 1."""

    __slots__ = ("length", "owner", "progress", "value")

    def __init__(self, value: Any = None) -> None:
        self.owner: object | None = None
        self.length = 1
        self.progress = 0
        self.value = value

    def read(self, count: int, target: object | None) -> Any:
        return [self.value]

    def write(self, elements: Any, count: int, source: object | None) -> None:
        self.value = elements[0]


@final
class FutureReader(HostEnd, Generic[T]):
    """The readable end of a future: `await` it for the value.

    Give it to a guest, as an argument or a result, and it is the guest's.
    """

    __slots__ = ("_cell",)

    def __init__(self, link: Link) -> None:
        """For the runtime's own use; see `open_future`."""
        super().__init__(link)
        self._cell = _Cell()

    async def read(self) -> Any:
        """Wait for the value; the same again if it has been read.

        Raises `anyio.BrokenResourceError` if there will be none.  Always checkpoints.
        """
        cell = self._cell
        if cell.progress:
            return cell.value
        self._check_usable()
        link = self._link
        if link.element is UNBOUND:
            link.bind(ANY, None)
        op = Operation()

        def start() -> None:
            shared: Any = link.shared
            shared.read(cell, op.finish)

        await self._perform(op, start)
        if op.result is not CopyResult.COMPLETED:
            raise BrokenResourceError
        return cell.value

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.read().__await__()

    def _give(self) -> Link:
        self._check_usable()
        if self._cell.progress:
            raise UsageError("this future has been read")
        self._given = True
        return self._link

    def __repr__(self) -> str:
        return f"<FutureReader of {self._link.element}>"


@final
class FutureWriter(HostEnd, Generic[T]):
    """The writable end of a future that the host has made with `open_future`."""

    __slots__ = ("_sent",)

    def __init__(self, link: Link) -> None:
        """For the runtime's own use; see `open_future`."""
        super().__init__(link)
        self._sent = False

    async def send(self, value: Any) -> None:
        """Give the future its value, and wait until it has been read.

        Raises `anyio.BrokenResourceError` if the reader has closed its end, `UsageError` the
        second time, and `TypeError`, `ValueError` or `OverflowError` for a value that is not of the
        future's type.  Always checkpoints.
        """
        self._check_usable()
        if self._sent:
            raise UsageError("this future has a value already")
        link = self._link
        await link.wait_bound()
        cell = _Cell(link.checked(value))
        op = Operation()

        def start() -> None:
            self._sent = True
            shared: Any = link.shared
            shared.write(cell, op.finish)

        await self._perform(op, start)
        if op.result is CopyResult.DROPPED:
            raise BrokenResourceError

    def close(self) -> None:
        """Drop the end.

        Raises `UsageError` if a guest still waits for the value, which the Canonical ABI has no
        way to tell it.
        """
        if not self._sent and not self._closed and self._link.guest:
            if not self._link.shared.dropped:
                raise UsageError("cannot drop future write end without first writing a value")
            self._closed = True
            return
        super().close()

    def __repr__(self) -> str:
        return f"<FutureWriter of {self._link.element}>"


def open_future(
    store: Store[Any], element: Element = UNBOUND
) -> tuple[FutureWriter[Any], FutureReader[Any]]:
    """A new future of the host's: its writable and its readable end.

    The type of the value is that of the guest which gets the readable end, unless `element` says
    it; for a future that the host itself reads any object will do.
    """
    link = Link(state_of(store), SharedFuture(None), element)
    link.writer = writer = FutureWriter[Any](link)
    return writer, FutureReader(link)


def take_future(cx: Context, shared: SharedFuture) -> FutureReader[Any]:
    """The host's end of a future that a guest gives to it."""
    return FutureReader(Link(cx.instance.state, shared, shared.element, guest=True))


def give_future(cx: Context, element: ValType | None, value: Any) -> SharedFuture:
    """What a guest gets for a `FutureReader`, or for an awaitable, which is awaited in a task.

    Raises `TypeError` for anything else, and `UsageError` for what cannot be given.
    """
    instance = cx.instance
    if isinstance(value, FutureReader):
        link = value._give()
        bind_to_guest(link, instance, element)
        shared = link.shared
        assert isinstance(shared, SharedFuture)
        return shared
    if not is_awaitable(value):
        raise TypeError(f"expected FutureReader or awaitable, got {type(value).__name__}")
    link = Link(instance.state, SharedFuture(None), UNBOUND)
    bind_to_guest(link, instance, element)
    shared = link.shared
    assert isinstance(shared, SharedFuture)
    spawn(instance, _awaited(value), "an awaitable", _writer(link, shared))
    return shared


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _writer(link: Link, shared: SharedFuture) -> Callable[[Any, BaseException | None], None]:
    def done(value: Any, error: BaseException | None) -> None:
        if error is not None:
            raise error
        shared.write(_Cell(link.checked(value)), lambda result: None)

    return done
