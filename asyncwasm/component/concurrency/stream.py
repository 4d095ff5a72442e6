"""Streams.  See "Stream State" in `CanonicalABI.md` of the Component Model."""

from __future__ import annotations

from .copying import (
    CopyEnd,
    CopyResult,
    OnCopy,
    OnCopyDone,
    ReadableBuffer,
    Shared,
    WritableBuffer,
    copy,
    remaining,
)


class SharedStream(Shared):
    """A rendezvous: whoever comes first leaves a buffer, whoever comes second copies."""

    __slots__ = ("pending_copy",)

    kind = "stream"

    pending_copy: OnCopy | None

    def _park(
        self, buffer: ReadableBuffer | WritableBuffer, on_copy: OnCopy, on_done: OnCopyDone
    ) -> None:
        self.pending_buffer = buffer
        self.pending_copy = on_copy
        self.pending_done = on_done

    def reset_pending(self) -> None:
        super().reset_pending()
        self.pending_copy = None

    def read(self, target: WritableBuffer, on_copy: OnCopy, on_done: OnCopyDone) -> None:
        """Begin to read into `target`."""
        source = self.pending_buffer
        if self.dropped:
            on_done(CopyResult.DROPPED)
        elif source is None:
            self._park(target, on_copy, on_done)
        else:
            self.check_intra(target)
            if remaining(source):
                if remaining(target):
                    copy(source, target, min(remaining(source), remaining(target)))
                    assert self.pending_copy is not None
                    self.pending_copy(self.reset_pending)
                on_done(CopyResult.COMPLETED)
            else:
                self.finish_pending(CopyResult.COMPLETED)
                self._park(target, on_copy, on_done)

    def write(self, source: ReadableBuffer, on_copy: OnCopy, on_done: OnCopyDone) -> None:
        """Begin to write from `source`."""
        target = self.pending_buffer
        if self.dropped:
            on_done(CopyResult.DROPPED)
        elif target is None:
            self._park(source, on_copy, on_done)
        else:
            self.check_intra(source)
            if remaining(target):
                if remaining(source):
                    copy(source, target, min(remaining(source), remaining(target)))
                    assert self.pending_copy is not None
                    self.pending_copy(self.reset_pending)
                on_done(CopyResult.COMPLETED)
            elif not source.length and not target.length:
                on_done(CopyResult.COMPLETED)
            else:
                self.finish_pending(CopyResult.COMPLETED)
                self._park(source, on_copy, on_done)


class ReadableStreamEnd(CopyEnd):
    """The end of a stream that elements come out of."""

    __slots__ = ()


class WritableStreamEnd(CopyEnd):
    """The end of a stream that elements go into."""

    __slots__ = ()

    readable = False
