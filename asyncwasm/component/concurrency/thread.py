"""A thread of a guest.  See "Threads" in `CanonicalABI.md` of the Component Model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from asyncwasm.errors import Trap, TrapCode
from asyncwasm.fiber import Fiber, suspend

from ..runtime import task as sync
from .waitable import Source

if TYPE_CHECKING:
    from .scheduler import Scheduler
    from .task import Task

Ready = Callable[[], bool]


# What a thread waits for that only gave others a turn.
_TURN: Final = "its turn"


def _always() -> bool:
    return True


class Thread(sync.Thread):
    """A line of execution of a task, on a fiber of its own.

    It is running, or suspended, or waiting: then `ready_func` says whether it may go on.  A task
    that cannot block runs its first thread on its caller's stack; such a thread has no fiber.
    """

    __slots__ = (
        "cancellable",
        "fiber",
        "gave_turn",
        "ready_func",
        "running",
        "scheduler",
        "sources",
        "what",
    )

    task: Task

    def __init__(self, task: Task, fn: Callable[[], None] | None) -> None:
        """A suspended thread that will run `fn`, or, without one, a running one with no fiber."""
        super().__init__(task)
        self.scheduler: Scheduler = task.instance.state.scheduler
        self.fiber = None if fn is None else Fiber(fn)
        self.running = fn is None
        self.ready_func: Ready | None = None
        self.sources: tuple[Source, ...] = ()
        self.what: str | Callable[[], str] = ""
        self.cancellable = False
        self.gave_turn = False
        if fn is not None:
            self.scheduler.threads[self] = None

    @property
    def suspended(self) -> bool:
        """Whether it only goes on when another thread says so."""
        return not self.running and self.ready_func is None

    @property
    def waiting(self) -> bool:
        """Whether it goes on by itself once it is ready."""
        return not self.running and self.ready_func is not None

    def is_ready(self) -> bool:
        """Whether it waits and what it waits for is there."""
        ready = self.ready_func
        return not self.running and ready is not None and ready()

    def resume(self, cancelled: bool = False) -> None:
        """Go on until it blocks or ends, and with what it switches to meanwhile.

        `cancelled` is what its blocking operation returns.  Raises what guest code raises.
        """
        scheduler = self.scheduler
        state = self.task.instance.state
        previous = state.current
        thread: Thread | None = self
        try:
            while thread is not None:
                if thread.ready_func is not None:
                    thread._stop_waiting()
                fiber = thread.fiber
                assert fiber is not None
                thread.running = True
                state.current = thread
                current, thread = thread, None
                try:
                    thread = fiber.resume(cancelled or None)
                finally:
                    if fiber.done:
                        scheduler.threads.pop(current, None)
                cancelled = False
        finally:
            state.current = previous

    def close(self) -> None:
        """Unwind it where it is suspended.  Raises what it raises instead of ending."""
        fiber = self.fiber
        if fiber is not None and not self.running:
            if self.ready_func is not None:
                self._stop_waiting()
            state = self.task.instance.state
            previous = state.current
            state.current = self
            self.running = True
            try:
                fiber.close()
            finally:
                state.current = previous
                self.scheduler.threads.pop(self, None)

    def resume_later(self) -> None:
        """Make it ready.  Raises `Trap` unless it is suspended."""
        if not self.suspended:
            raise Trap(TrapCode.CANNOT_RESUME_THREAD)
        self._start_waiting(_always, (), _TURN)
        self.scheduler.queue(self)

    # --- operations of the running thread on itself --------------------------------------------

    def suspend(self, cancellable: bool) -> bool:
        """Block until another thread resumes it; return whether the task was cancelled."""
        self.task.check_may_block()
        if self.task.deliver_pending_cancel(cancellable):
            return True
        return self._block(cancellable, None)

    def wait_until(
        self,
        ready: Ready,
        sources: tuple[Source, ...],
        cancellable: bool = False,
        *,
        what: str | Callable[[], str],
    ) -> bool:
        """Block until `ready`, if it is not already; return whether the task was cancelled.

        One of `sources` wakes up when that may have changed.  `what` tells a report of a deadlock
        what is waited for.
        """
        if self.task.deliver_pending_cancel(cancellable):
            return True
        if ready():
            return False
        self._start_waiting(ready, sources, what)
        return self._block(cancellable, None)

    def yield_(self, cancellable: bool) -> bool:
        """Give others a turn; return whether the task was cancelled.

        A task that may not block lets one ready thread of its instance run and goes on.
        """
        task = self.task
        if not task.may_block:
            task.run_ready_sibling()
            return False
        if task.deliver_pending_cancel(cancellable):
            return True
        if self.scheduler.flip():
            return False
        self._start_waiting(_always, (), _TURN)
        self.scheduler.queue(self)
        return self._block(cancellable, None)

    def yield_when(
        self,
        ready: Ready,
        sources: tuple[Source, ...],
        cancellable: bool,
        what: str | Callable[[], str] = _TURN,
    ) -> bool:
        """Give others a turn, and more of them until `ready`; whether the task was cancelled."""
        if self.task.deliver_pending_cancel(cancellable):
            return True
        self._start_waiting(ready, sources, what)
        self.gave_turn = what == _TURN
        self.scheduler.queue(self)
        return self._block(cancellable, None)

    def suspend_then_resume(self, cancellable: bool, other: Thread) -> bool:
        """Block and let `other` go on.  Raises `Trap` unless that is suspended."""
        if not other.suspended:
            raise Trap(TrapCode.CANNOT_RESUME_THREAD)
        if self.task.deliver_pending_cancel(cancellable):
            return True
        return self._block(cancellable, other)

    def yield_then_resume(self, cancellable: bool, other: Thread) -> bool:
        """Let `other` go on and stay ready.  Raises `Trap` unless that is suspended."""
        if not other.suspended:
            raise Trap(TrapCode.CANNOT_RESUME_THREAD)
        if self.task.deliver_pending_cancel(cancellable):
            return True
        self._start_waiting(_always, (), _TURN)
        self.scheduler.queue(self)
        return self._block(cancellable, other)

    def suspend_then_promote(self, cancellable: bool, other: Thread) -> bool:
        """Block, and let `other` go on now if it is ready."""
        if self.task.deliver_pending_cancel(cancellable):
            return True
        if not other.is_ready():
            return self.suspend(cancellable)
        other._stop_waiting()
        return self._block(cancellable, other)

    def yield_then_promote(self, cancellable: bool, other: Thread) -> bool:
        """Stay ready, and let `other` go on now if it is ready."""
        if not other.is_ready():
            return self.yield_(cancellable)
        if self.task.deliver_pending_cancel(cancellable):
            return True
        other._stop_waiting()
        self._start_waiting(_always, (), _TURN)
        self.scheduler.queue(self)
        return self._block(cancellable, other)

    # --- waiting -------------------------------------------------------------------------------

    def _start_waiting(
        self, ready: Ready, sources: tuple[Source, ...], what: str | Callable[[], str]
    ) -> None:
        assert self.ready_func is None
        self.ready_func = ready
        self.sources = sources
        self.what = what
        for source in sources:
            source.waiters[self] = None

    def _stop_waiting(self) -> None:
        self.ready_func = None
        self.gave_turn = False
        for source in self.sources:
            source.waiters.pop(self, None)
        self.sources = ()
        self.what = ""
        self.scheduler.forget(self)

    def _block(self, cancellable: bool, switch_to: Thread | None) -> bool:
        self.cancellable = cancellable
        self.running = False
        try:
            return suspend(switch_to) is True
        finally:
            self.cancellable = False

    def describe(self) -> str:
        """What it waits for, for reports."""
        if self.running:
            return "running"
        if self.ready_func is None:
            return "suspended until another thread resumes it"
        return f"waiting for {self.what if isinstance(self.what, str) else self.what()}"
