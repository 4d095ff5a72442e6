"""What guest threads wait for: waitables and sets of them.

See "Waitable State" in `CanonicalABI.md` of the Component Model.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode

if TYPE_CHECKING:
    from .scheduler import Scheduler
    from .thread import Thread


class EventCode(enum.IntEnum):
    """What kind of event it is."""

    NONE = 0
    SUBTASK = 1
    STREAM_READ = 2
    STREAM_WRITE = 3
    FUTURE_READ = 4
    FUTURE_WRITE = 5
    TASK_CANCELLED = 6


Event: TypeAlias = tuple[int, int, int]
"""A code, the handle of the waitable and what there is to say."""

NO_EVENT: Event = (EventCode.NONE, 0, 0)
CANCELLED_EVENT: Event = (EventCode.TASK_CANCELLED, 0, 0)


class Source:
    """Something that may make waiting threads ready when it changes.

    Whoever changes it calls `wake`; the threads look for themselves whether they are ready.
    """

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        self.waiters: dict[Thread, None] = {}

    def wake(self) -> None:
        """Have the scheduler look at the threads that wait for this."""
        for thread in self.waiters:
            thread.scheduler.notify(thread)


class Waitable(Source):
    """A subtask or an end of a stream or a future: has at most one event pending."""

    __slots__ = ("_pending", "has_sync_waiter", "wset")

    kind = "waitable"

    def __init__(self) -> None:
        super().__init__()
        self._pending: Callable[[], Event] | None = None
        self.wset: WaitableSet | None = None
        self.has_sync_waiter = False

    def set_pending_event(self, event: Callable[[], Event]) -> None:
        """Have an event pending, in place of an earlier one; `event` makes it when delivered."""
        self._pending = event
        wset = self.wset
        if wset is not None:
            wset.ready[self] = None
            wset.wake()
        self.wake()

    def has_pending_event(self) -> bool:
        return self._pending is not None

    def get_pending_event(self) -> Event:
        """Deliver the pending event."""
        event = self._pending
        assert event is not None
        self._pending = None
        if self.wset is not None:
            self.wset.ready.pop(self, None)
        return event()

    def refuse_in_set(self) -> None:
        """Trap if a synchronous operation may not wait for it because it is in a set."""
        if self.wset is not None:
            raise Trap(TrapCode.WAITABLE_SYNC_AND_ASYNC)

    def wait_for_pending_event(self, thread: Thread) -> None:
        """Block `thread`, which is running, until an event is pending."""
        self.has_sync_waiter = True
        try:
            thread.wait_until(self.has_pending_event, (self,), what=self.describe())
        finally:
            self.has_sync_waiter = False

    def join(self, wset: WaitableSet | None) -> None:
        """Leave the set it is in and enter `wset`, if any.  Traps if a thread waits for it."""
        if self.has_sync_waiter:
            raise Trap(TrapCode.WAITABLE_SYNC_AND_ASYNC)
        if self.wset is not None:
            del self.wset.elements[self]
            self.wset.ready.pop(self, None)
        self.wset = wset
        if wset is not None:
            wset.elements[self] = None
            if self._pending is not None:
                wset.ready[self] = None
                wset.wake()

    def discard(self) -> None:
        """Leave its set, being dropped."""
        self._pending = None
        self.join(None)

    def describe(self) -> str:
        """What it is, for reports of deadlocks."""
        return self.kind


class WaitableSet(Source):
    """A set of waitables, to wait for the first event of any of them."""

    __slots__ = ("elements", "num_waiting", "ready")

    def __init__(self) -> None:
        super().__init__()
        self.elements: dict[Waitable, None] = {}
        # Those of the elements that have an event pending, the oldest first.
        self.ready: dict[Waitable, None] = {}
        self.num_waiting = 0

    def has_pending_event(self) -> bool:
        return bool(self.ready)

    def get_pending_event(self, scheduler: Scheduler) -> Event:
        """Deliver a pending event of one of the elements."""
        return scheduler.choose(self.ready).get_pending_event()

    def wait_for_event(
        self, thread: Thread, cancellable: bool, gate: Source | None = None
    ) -> Event:
        """Block `thread` until there is an event to deliver, or until its task is cancelled.

        With the `gate` of its instance it waits until the instance is not exclusively entered.
        """
        instance = thread.task.instance

        def ready() -> bool:
            return bool(self.ready) and (gate is None or instance.exclusive is None)

        sources: tuple[Source, ...] = (self,) if gate is None else (self, gate)
        self.num_waiting += 1
        try:
            if thread.wait_until(ready, sources, cancellable, what=self.describe):
                return CANCELLED_EVENT
            return self.get_pending_event(thread.scheduler)
        finally:
            self.num_waiting -= 1

    def poll(self, thread: Thread, cancellable: bool) -> Event:
        """Deliver an event if there is one."""
        if thread.task.deliver_pending_cancel(cancellable):
            return CANCELLED_EVENT
        return self.get_pending_event(thread.scheduler) if self.ready else NO_EVENT

    def discard(self) -> None:
        """Check that it may be dropped.  Raises `Trap` if a thread waits or it has elements."""
        if self.num_waiting or self.elements:
            raise Trap(TrapCode.WAITABLE_SET_DROP_HAS_WAITERS)

    def describe(self) -> str:
        """What is waited for, for reports of deadlocks."""
        if not self.elements:
            return "a waitable set without waitables"
        return "one of: " + ", ".join(waitable.describe() for waitable in self.elements)


def expect_waitable(item: object) -> Waitable:
    """`item`, taken from a handle table.  Raises `CanonicalAbiError` if it is not a waitable."""
    if isinstance(item, Waitable):
        return item
    raise CanonicalAbiError("handle is not a waitable")


def expect_set(item: object) -> WaitableSet:
    """`item`, taken from a handle table.  Raises `CanonicalAbiError` if it is not a set."""
    if isinstance(item, WaitableSet):
        return item
    raise CanonicalAbiError("handle is not a waitable-set")
