"""Futures.  See "Future State" in `CanonicalABI.md` of the Component Model."""

from __future__ import annotations

from asyncwasm.errors import CanonicalAbiError

from .copying import (
    CopyEnd,
    CopyResult,
    CopyState,
    OnCopyDone,
    ReadableBuffer,
    Shared,
    WritableBuffer,
    copy,
)


class SharedFuture(Shared):
    """A rendezvous for one value."""

    __slots__ = ()

    kind = "future"

    def _park(self, buffer: ReadableBuffer | WritableBuffer, on_done: OnCopyDone) -> None:
        self.pending_buffer = buffer
        self.pending_done = on_done

    def read(self, target: WritableBuffer, on_done: OnCopyDone) -> None:
        """Begin to read into `target`, of length 1."""
        if self.pending_buffer is None:
            self._park(target, on_done)
        else:
            self.check_intra(target)
            copy(self.pending_buffer, target, 1)
            self.finish_pending(CopyResult.COMPLETED)
            on_done(CopyResult.COMPLETED)

    def write(self, source: ReadableBuffer, on_done: OnCopyDone) -> None:
        """Begin to write from `source`, of length 1."""
        if self.dropped:
            on_done(CopyResult.DROPPED)
        elif self.pending_buffer is None:
            self._park(source, on_done)
        else:
            self.check_intra(source)
            copy(source, self.pending_buffer, 1)
            self.finish_pending(CopyResult.COMPLETED)
            on_done(CopyResult.COMPLETED)


class ReadableFutureEnd(CopyEnd):
    """The end of a future that the value comes out of."""

    __slots__ = ()

    def done_message(self) -> str:
        return "cannot read from future after previous read succeeded"


class WritableFutureEnd(CopyEnd):
    """The end of a future that the value goes into; it must be written before it is dropped."""

    __slots__ = ()

    readable = False

    def done_message(self) -> str:
        return "cannot write to future after previous write succeeded or readable end dropped"

    def discard(self) -> None:
        """Drop it.  Raises `CanonicalAbiError` while it copies or when nothing was written."""
        if not self.copying and self.state is not CopyState.DONE:
            raise CanonicalAbiError("cannot drop future write end without first writing a value")
        super().discard()
