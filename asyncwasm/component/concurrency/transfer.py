"""Handing on the readable ends of streams and futures, and error contexts.

See `lift_async_value` and its kin in `CanonicalABI.md` of the Component Model.  Between guests the
value on the way is what the two ends share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.errors import CanonicalAbiError

from .copying import CopyEnd, CopyState
from .elements import resolve_element
from .error_context import ErrorContext, expect_error_context
from .future import ReadableFutureEnd, SharedFuture, WritableFutureEnd
from .stream import ReadableStreamEnd, SharedStream, WritableStreamEnd

if TYPE_CHECKING:
    from ..runtime.context import Context
    from ..runtime.instance import ComponentInstance
    from ..types import ValType

KINDS: dict[str, tuple[type[CopyEnd], type[CopyEnd]]] = {
    "stream": (ReadableStreamEnd, WritableStreamEnd),
    "future": (ReadableFutureEnd, WritableFutureEnd),
}


def expect_end(
    instance: ComponentInstance, kind: str, element: ValType | None, handle: int
) -> CopyEnd:
    """An end of a stream or future of that type.  Raises `CanonicalAbiError` if it is none."""
    item = instance.handles.get(handle)
    if not isinstance(item, KINDS[kind]):
        raise CanonicalAbiError(f"handle is not a {kind}")
    if item.shared.element != resolve_element(instance, element):
        raise CanonicalAbiError(f"handle is a {kind} of a different type")
    return item


def _lift(cx: Context, kind: str, element: ValType | None, handle: int) -> Any:
    instance = cx.instance
    end = expect_end(instance, kind, element, handle)
    if not end.readable:
        raise CanonicalAbiError(f"handle is not a readable end of a {kind}")
    if end.copying:
        raise CanonicalAbiError(f"cannot remove busy {kind}")
    if end.state is CopyState.DONE:
        raise CanonicalAbiError(end.done_message().replace(f"read from {kind}", f"lift {kind}"))
    if end.wset is not None:
        raise CanonicalAbiError(f"cannot lift {kind} while it's in a waitable set")
    instance.handles.remove(handle)
    return end.shared


def lift_stream(cx: Context, element: ValType | None, handle: int) -> SharedStream:
    """Take the readable end of a stream out of the table."""
    shared: SharedStream = _lift(cx, "stream", element, handle)
    return shared


def lift_future(cx: Context, element: ValType | None, handle: int) -> SharedFuture:
    """Take the readable end of a future out of the table."""
    shared: SharedFuture = _lift(cx, "future", element, handle)
    return shared


def lower_stream(cx: Context, shared: SharedStream) -> int:
    """Put the readable end of a stream into the table."""
    return cx.instance.handles.add(ReadableStreamEnd(shared))


def lower_future(cx: Context, shared: SharedFuture) -> int:
    """Put the readable end of a future into the table."""
    return cx.instance.handles.add(ReadableFutureEnd(shared))


def lift_error_context(cx: Context, handle: int) -> ErrorContext:
    """The error context at a handle, which stays there."""
    return expect_error_context(cx.instance.handles.get(handle))


def lower_error_context(cx: Context, value: ErrorContext) -> int:
    """A new handle for an error context."""
    return cx.instance.handles.add(value)
