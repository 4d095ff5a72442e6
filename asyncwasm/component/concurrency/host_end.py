"""The host's ends of streams and futures: what those of both have in common.

A host end may be used in any task.  Guests only make progress while something drives the store,
so an operation that has to wait for one drives it itself if nothing else does.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from anyio import BusyResourceError, ClosedResourceError

from asyncwasm.errors import Trap, TrapCode, UsageError
from asyncwasm.fiber import checkpoint, current_task, new_event

from ..abi.accept import as_bytes
from ..abi.explain import check
from ..types import Primitive, ValType
from .copying import CopyResult, Shared
from .elements import resolve_element

if TYPE_CHECKING:
    from ..runtime.instance import ComponentInstance
    from ..runtime.state import StoreState
    from ..values import Classes
    from .loop import HostTask


class Untyped(enum.Enum):
    """What the type of the elements is before it is known."""

    UNBOUND = enum.auto()
    # The host reads what the host has written: nothing needs a type.
    ANY = enum.auto()


UNBOUND: Final = Untyped.UNBOUND
ANY: Final = Untyped.ANY

Element = ValType | Untyped | None

# What lowering raises for a value of the host that does not fit.
VALUE_ERRORS: Final = (TypeError, ValueError, OverflowError)


class Operation:
    """One operation of a host end: how it ended, once it has."""

    __slots__ = ("done", "error", "event", "result", "started")

    def __init__(self) -> None:
        self.started = False
        self.done = False
        self.result: CopyResult | None = None
        self.error: Exception | None = None
        self.event: Any = None

    def finish(self, result: CopyResult) -> None:
        """It has ended."""
        self.result = result
        self.done = True
        if self.event is not None:
            self.event.set()

    def begin(self, start: Callable[[], None]) -> None:
        """Call `start`, once; values that it refuses end the operation."""
        if self.started:
            return
        self.started = True
        try:
            start()
        except VALUE_ERRORS as error:
            self.error = error
            self.finish(CopyResult.CANCELLED)


class Link:
    """What the host knows about a stream or future, shared by both ends if both are its own.

    `guest` says that a guest has the other end; `writer` is the host's writable end, if it made
    the stream or future, and `feeder` the task that does nothing but write to it.
    """

    __slots__ = ("_bound", "classes", "element", "feeder", "guest", "shared", "state", "writer")

    def __init__(
        self, state: StoreState, shared: Shared, element: Element, *, guest: bool = False
    ) -> None:
        self.state = state
        self.shared = shared
        self.element: Element = element
        self.guest = guest
        self.writer: HostEnd | None = None
        self.feeder: HostTask | None = None
        self.classes: Classes | None = None
        self._bound: Any = None

    def bind(self, element: ValType | Untyped | None, classes: Classes | None) -> None:
        """The elements are of this type.  Raises `TypeError` if they are known not to be."""
        if self.element is UNBOUND:
            self.element = element
            if self._bound is not None:
                self._bound.set()
        elif self.element != element:
            raise TypeError(f"{self.shared.kind} payload types differ")
        if classes is not None:
            self.classes = classes

    async def wait_bound(self) -> None:
        """Wait until something reads: only then it is known what the values must be."""
        if self.element is UNBOUND:
            if self._bound is None:
                self._bound = new_event()
            # Not an operation that a guest would have to finish, so nothing is driven for it.
            await self._bound.wait()

    @property
    def is_bytes(self) -> bool:
        """Whether elements are moved as buffers."""
        return self.element is Primitive.U8

    def checked(self, value: Any) -> Any:
        """One element to send.  Raises what tells where it does not fit."""
        element = self.element
        if self.classes is not None and element is not None and not isinstance(element, Untyped):
            check(self.classes, element, value, "value")
        return value

    def checked_bytes(self, value: Any) -> memoryview:
        """Elements of a `stream<u8>`.  `TypeError` for what is no buffer."""
        try:
            return memoryview(as_bytes(value))
        except VALUE_ERRORS:
            raise TypeError(f"value: expected bytes, got {type(value).__name__}") from None


class HostEnd:
    """An end of a stream or future that the host has.

    Is an async context manager that closes it.  One operation at a time: `BusyResourceError`
    otherwise.
    """

    __slots__ = ("__weakref__", "_busy", "_closed", "_given", "_link")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._busy = False
        self._closed = False
        self._given = False
        if link.guest:
            link.state.ends.add(self)

    def close(self) -> None:
        """Drop the end; the other end gets to know.  Has no effect the second time."""
        if not self._closed and not self._given:
            if self._busy:
                raise BusyResourceError("using this end of")
            self._closed = True
            if self._link.element is UNBOUND:
                self._link.bind(ANY, None)
            self._link.shared.drop()
            self._link.state.ends.discard(self)

    async def aclose(self) -> None:
        """As `close`.  Always checkpoints."""
        self.close()
        await checkpoint()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.close()
        except UsageError:
            # Of two errors the one that came first says more.
            if kind is None:
                raise

    def _check_usable(self) -> None:
        if self._given:
            raise UsageError(f"this {self._link.shared.kind} has been given to a guest")
        if self._closed:
            raise ClosedResourceError
        if self._busy:
            raise BusyResourceError("using this end of")

    async def _perform(self, op: Operation, start: Callable[[], None]) -> None:
        """Begin an operation and wait for its end, driving the store if nobody else does."""
        self._busy = True
        try:
            await checkpoint()
            if not self._link.guest:
                op.begin(start)
            while not op.done:
                await self._progress(op, start)
        finally:
            self._busy = False
            if op.started and not op.done:
                self._link.shared.cancel()
            # What has been posted must not begin any more.
            op.started = True
        if op.error is not None:
            raise op.error

    async def _progress(self, op: Operation, start: Callable[[], None]) -> None:
        from .run import drive_for

        state = self._link.state
        loop = state.loop
        if self._link.guest:
            if state.store.failed:
                raise Trap(TrapCode.CANNOT_ENTER_COMPONENT)
            if loop is None or current_task() is loop.driver:
                # Another task may yet use another end, and so help a guest along.
                idle = any(end is not self and not end._link.shared.dropped for end in state.ends)
                await drive_for(state, lambda: op.begin(start), lambda: op.done, idle=idle)
                return
        op.event = event = new_event()
        if loop is None:
            await event.wait()
            return
        if not op.started:
            loop.post(lambda: op.begin(start))
        loop.waiting.add(event)
        task = self._link.feeder
        if task is not None:
            task.idle = True
        try:
            await event.wait()
        finally:
            loop.waiting.discard(event)
            if task is not None:
                task.idle = False


def bind_to_guest(link: Link, instance: ComponentInstance, element: ValType | None) -> None:
    """A guest gets the other end.  Raises `TypeError` if the elements are of another type."""
    if link.state is not instance.state:
        raise UsageError(f"the {link.shared.kind} belongs to another store")
    resolved = resolve_element(instance, element)
    link.bind(resolved, instance.data.component.abi.classes)
    link.shared.element = resolved
    link.guest = True
    if link.writer is not None:
        link.state.ends.add(link.writer)


def spawn(instance: ComponentInstance, awaitable: Awaitable[Any], what: str, done: Any) -> HostTask:
    """Run something of the host's that feeds a stream or future, in the scope of the store."""
    loop = instance.state.loop
    if loop is None:
        close = getattr(awaitable, "close", None)
        if close is not None:
            close()
        raise UsageError(f"{what} can only be given to a guest from within `run_concurrent`")
    return loop.spawn(awaitable, what, done)
