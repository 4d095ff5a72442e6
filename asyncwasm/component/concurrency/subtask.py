"""A call as its caller sees it.  See "Subtask State" in `CanonicalABI.md`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeAlias

from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode

from ..runtime.task import CallContext
from .waitable import Event, EventCode, Waitable

OnCancel: TypeAlias = Callable[[], None]
"""Asks the callee to end early."""


class SubtaskState(enum.IntEnum):
    """How far a call is; the numbers are the Canonical ABI's."""

    STARTING = 0
    STARTED = 1
    RETURNED = 2
    CANCELLED_BEFORE_STARTED = 3
    CANCELLED_BEFORE_RETURNED = 4


class Subtask(Waitable, CallContext):
    """A call of a lowered function, a waitable where it was made asynchronously.

    As a context it has what the caller lent to it, until the caller learns of the outcome.
    `index` is its handle in the caller's table, 0 while it has none.
    """

    __slots__ = (
        "borrows",
        "cancellation_requested",
        "index",
        "lenders",
        "name",
        "on_cancel",
        "raw",
        "resolve_delivered",
        "state",
    )

    kind = "a subtask"

    def __init__(self, name: str = "") -> None:
        Waitable.__init__(self)
        CallContext.__init__(self)
        self.name = name
        self.index = 0
        self.state = SubtaskState.STARTING
        self.on_cancel: OnCancel | None = None
        self.resolve_delivered = False
        self.cancellation_requested = False
        self.raw: Any = None

    def is_resolved(self) -> bool:
        """Whether the callee has returned or was cancelled."""
        return self.state >= SubtaskState.RETURNED

    def resolve(self, state: SubtaskState, raw: Any = None) -> None:
        """Record the outcome, and wake up who waits for it."""
        self.state = state
        self.raw = raw
        self.wake()

    def resolve_cancelled(self) -> None:
        """Record that the callee ended without a result."""
        self.resolve(
            SubtaskState.CANCELLED_BEFORE_STARTED
            if self.state is SubtaskState.STARTING
            else SubtaskState.CANCELLED_BEFORE_RETURNED
        )

    def deliver_resolve(self) -> None:
        """The caller learns of the outcome: what it lent comes back."""
        self.resolve_delivered = True
        self.release()

    def note_progress(self) -> None:
        """Have an event pending, if the caller knows it by a handle."""
        if self.index:
            self.set_pending_event(self._deliver_progress)

    def _deliver_progress(self) -> Event:
        # Tells the state of this moment, not that of when there was something to tell.
        if self.is_resolved() and not self.resolve_delivered:
            self.deliver_resolve()
        return EventCode.SUBTASK, self.index, self.state

    def discard(self) -> None:
        """Drop it.  Raises `Trap` if the caller does not know of the outcome."""
        if not self.resolve_delivered:
            raise Trap(TrapCode.SUBTASK_DROP_NOT_RESOLVED)
        super().discard()

    def describe(self) -> str:
        return f"the call of `{self.name}`" if self.name else "a call"


def expect_subtask(item: object) -> Subtask:
    """`item`, taken from a handle table.  Raises `CanonicalAbiError` if it is none."""
    if isinstance(item, Subtask):
        return item
    raise CanonicalAbiError("handle is not a subtask")
