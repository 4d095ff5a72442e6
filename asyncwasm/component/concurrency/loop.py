"""Driving a store: guest threads on a fiber, host functions as tasks around it.

One task of the event loop at a time drives a store.  It runs all guest code, on one fiber of
its own, and suspends that while no guest can go on.  Host functions that run concurrently are
tasks of the scope that the driver opened; what they have to say to guests they post, and the
driver sees to it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.errors import Trap, TrapCode
from asyncwasm.fiber import Child, Children, await_, checkpoint, current_task, new_event

if TYPE_CHECKING:
    from ..runtime.state import StoreState
    from .scheduler import Scheduler

TURN: Final = 0.01
"""Seconds after which the event loop gets a turn even if guests always have something to do."""

Done = Callable[[Any, BaseException | None], None]


class HostTask:
    """A host function that runs as a task; `cancel` ends it early.

    It is `idle` while it can only go on when a guest does something.
    """

    __slots__ = ("child", "idle", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.idle = False
        self.child: Child | None = None

    @property
    def cancelled(self) -> bool:
        """Whether it is to end, or has ended, because of `cancel`."""
        return self.child is not None and self.child.cancelled

    def cancel(self) -> None:
        """Cancel it at what it awaits."""
        if self.child is not None:
            self.child.cancel()


class Loop:
    """A scope in which a store's guests make progress."""

    def __init__(self, state: StoreState, children: Children) -> None:
        self.state = state
        self.tasks: dict[HostTask, None] = {}
        self.driver = current_task()
        self._children = children
        self._posted: deque[Callable[[], None]] = deque()
        self._event: Any = None
        self.closed = False
        self.interrupted: BaseException | None = None
        # Set when the loop ends: what tasks wait for that do not belong to it.
        self.waiting: set[Any] = set()

    @property
    def scheduler(self) -> Scheduler:
        scheduler: Scheduler = self.state.scheduler
        return scheduler

    def wake(self) -> None:
        """Have the driver look whether there is something to do."""
        if self._event is not None:
            self._event.set()
            self._event = None

    def post(self, action: Callable[[], None]) -> None:
        """Have the driver do something, between guests' turns."""
        self._posted.append(action)
        self.wake()

    def spawn(self, awaitable: Awaitable[Any], name: str, done: Done) -> HostTask:
        """Await something in a task of its own; `done` is posted when that has ended.

        It is `done(value, None)` or `done(None, error)`, with an error of None too where the task
        was cancelled.
        """
        task = HostTask(name)

        def ended(child: Child, value: Any, error: BaseException | None) -> None:
            self.tasks.pop(task, None)
            self.post(lambda: done(value, error))

        self.tasks[task] = None
        task.child = self._children.start(awaitable, ended, name)
        return task

    def close(self) -> None:
        """The scope has ended."""
        self.closed = True
        self.state.loop = None
        for event in self.waiting:
            event.set()

    def is_quiet(self) -> bool:
        """Whether nothing will happen but that guests give each other turns."""
        if self._posted or not self.scheduler.only_yields():
            return False
        return all(task.idle for task in self.tasks)

    def drive(self, until: Callable[[], bool], *, gently: bool = False) -> None:
        """Run guests until `until()`.  Called on the driver's fiber, in an entered store.

        Raises `Trap` with `ASYNC_DEADLOCK` if there is nothing to wait for, what guests raise, and
        what host functions raise.  A cancellation comes out too, unless it is to go `gently`: then
        this returns and the exception is in `interrupted`, as no guest has to know.
        """
        scheduler = self.scheduler
        posted = self._posted
        scheduler.on_ready.append(self.wake)
        begin = time.perf_counter()
        looked = False
        try:
            while True:
                while posted:
                    posted.popleft()()
                if until():
                    return
                if scheduler.has_candidates():
                    # Those who give others a turn give it to the event loop too.
                    if scheduler.only_yields() or time.perf_counter() - begin > TURN:
                        if not self._wait(checkpoint(), gently):
                            return
                        begin = time.perf_counter()
                        if posted:
                            continue
                    if scheduler.tick():
                        looked = False
                        continue
                    if posted or until():
                        continue
                if all(task.idle for task in self.tasks):
                    if looked:
                        raise deadlock(scheduler)
                    # A cancellation may have reached the tasks first, and come here yet.
                    looked = True
                    if not self._wait(checkpoint(), gently):
                        return
                    continue
                looked = False
                self._event = event = new_event()
                if not self._wait(event.wait(), gently):
                    return
                begin = time.perf_counter()
        finally:
            scheduler.on_ready.remove(self.wake)

    def _wait(self, awaitable: Awaitable[Any], gently: bool) -> bool:
        try:
            await_(awaitable)
        except BaseException as error:
            if not gently:
                raise
            self.interrupted = error
            return False
        return True


def deadlock(scheduler: Scheduler) -> Trap:
    """The error for guests that wait for each other, or for nothing, with who waits for what."""
    error = Trap(TrapCode.ASYNC_DEADLOCK)
    for thread in scheduler.threads:
        error.add_note(f"{thread.task.describe()} is {thread.describe()}")
    return error
