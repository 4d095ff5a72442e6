"""What streams and futures have in common: buffers, ends, and the state of a copy.

See "Buffer State" and "Stream State" in `CanonicalABI.md` of the Component Model.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode

from ..types import Primitive, ValType
from .waitable import Waitable

MAX_LENGTH: Final = 2**28 - 1
"""The most elements that one operation may copy."""

NUMBERS: Final = frozenset(
    {
        Primitive.U8,
        Primitive.U16,
        Primitive.U32,
        Primitive.U64,
        Primitive.S8,
        Primitive.S16,
        Primitive.S32,
        Primitive.S64,
        Primitive.F32,
        Primitive.F64,
    }
)


class CopyResult(enum.IntEnum):
    """How an operation ended; the numbers are the Canonical ABI's."""

    COMPLETED = 0
    DROPPED = 1
    CANCELLED = 2


class CopyState(enum.Enum):
    """What an end is doing."""

    IDLE = enum.auto()
    COPYING = enum.auto()
    CANCELLING = enum.auto()
    DONE = enum.auto()


class Buffer(Protocol):
    """Part of a memory, or of the host's, that elements are copied from or to.

    `length` is how many it holds, `progress` how many of them have been copied.  `owner` is the
    component instance that it belongs to, None for the host.
    """

    owner: object | None
    length: int
    progress: int


class ReadableBuffer(Buffer, Protocol):
    """A buffer that elements are copied from."""

    def read(self, count: int, target: object | None) -> Any:
        """Take `count` elements for the owner `target`, None for the host."""


class WritableBuffer(Buffer, Protocol):
    """A buffer that elements are copied to."""

    def write(self, elements: Any, count: int, source: object | None) -> None:
        """Put `count` elements, as `read` gave them, of the owner `source`, None for the host."""


def copy(source: ReadableBuffer, target: WritableBuffer, count: int) -> None:
    """Copy `count` elements and note the progress on both sides.

    Buffers that lie in memories and have elements of the same layout may do it directly:
    `target.copy_from(source, count)` says whether it did.
    """
    direct = getattr(target, "copy_from", None)
    if direct is None or not direct(source, count):
        target.write(source.read(count, target.owner), count, source.owner)
    source.progress += count
    target.progress += count


def remaining(buffer: Buffer) -> int:
    """How many elements are still to be copied."""
    return buffer.length - buffer.progress


OnCopy: TypeAlias = Callable[[Callable[[], None]], None]
"""Some elements were copied; the buffer can still be added to until the argument is called."""
OnCopyDone: TypeAlias = Callable[[CopyResult], None]
"""The operation has ended."""


class Shared:
    """What the two ends of a stream or future share."""

    __slots__ = ("dropped", "element", "pending_buffer", "pending_done")

    kind = "stream"

    def __init__(self, element: ValType | None) -> None:
        self.element = element
        self.dropped = False
        self.pending_buffer: Any = None
        self.pending_done: OnCopyDone | None = None

    def reset_pending(self) -> None:
        """Forget the operation that waits for the other end."""
        self.pending_buffer = None
        self.pending_done = None

    def finish_pending(self, result: CopyResult) -> None:
        """End the operation that waits for the other end."""
        done = self.pending_done
        self.reset_pending()
        assert done is not None
        done(result)

    def cancel(self) -> None:
        """End the operation that waits, on its own side's request."""
        self.finish_pending(CopyResult.CANCELLED)

    def drop(self) -> None:
        """One of the ends is gone."""
        if not self.dropped:
            self.dropped = True
            if self.pending_buffer is not None:
                self.finish_pending(CopyResult.DROPPED)

    def check_intra(self, buffer: Buffer) -> None:
        """Raise `CanonicalAbiError` for a copy within an instance of more than numbers."""
        if (
            buffer.owner is not None
            and buffer.owner is self.pending_buffer.owner
            and self.element is not None
            and self.element not in NUMBERS
        ):
            raise CanonicalAbiError(
                f"cannot read from and write to intra-component {self.kind} "
                "with non-numeric payload"
            )


class CopyEnd(Waitable):
    """An end of a stream or a future in a handle table."""

    __slots__ = ("shared", "state")

    readable = True

    def __init__(self, shared: Any) -> None:
        super().__init__()
        self.state = CopyState.IDLE
        self.shared = shared

    @property
    def copying(self) -> bool:
        return self.state in (CopyState.COPYING, CopyState.CANCELLING)

    def check_idle(self) -> None:
        """Raise where no new operation may begin."""
        if self.copying:
            raise Trap(TrapCode.CONCURRENT_FUTURE_STREAM_OP)
        if self.state is CopyState.DONE:
            raise CanonicalAbiError(self.done_message())

    def done_message(self) -> str:
        """Why an end that is done can do nothing."""
        kind = self.shared.kind
        if self.readable:
            return f"cannot read from {kind} after being notified that the writable end dropped"
        return f"cannot write to {kind} after being notified that the readable end dropped"

    def discard(self) -> None:
        """Drop it.  Raises `CanonicalAbiError` while it copies."""
        if self.copying:
            verb = "remove" if self.readable else "drop"
            raise CanonicalAbiError(f"cannot {verb} busy {self.shared.kind}")
        self.shared.drop()
        super().discard()

    def describe(self) -> str:
        side = "readable" if self.readable else "writable"
        return f"the {side} end of a {self.shared.kind}"
