"""Driving a store: guest threads on a fiber, host functions as tasks around it.

One task of the event loop at a time drives a store.  It runs all guest code, on one fiber of
its own, and suspends that while no guest can go on.  Host functions that run concurrently are
tasks of the scope that the driver opened; what they have to say to guests they post, and the
driver sees to it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
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


class HostTask(ABC):
    """Something of the host's that runs as a task; `cancel` ends it early.

    It is `idle` while it can only go on when a guest does something.  Those who inherit have the
    slots.  There may be very many of these, so that each is one object.
    """

    # For the type checker these would be all the slots that an instance has.
    if not TYPE_CHECKING:
        __slots__ = ()

    name: str
    idle: bool
    loop: Loop
    child: Child | None
    value: Any
    error: BaseException | None

    def start(self, loop: Loop, awaitable: Awaitable[Any], name: str) -> None:
        """Await something in a task of the loop's scope."""
        self.name = name
        self.idle = False
        self.loop = loop
        loop.tasks[self] = None
        self.child = loop.children.start(awaitable, self, name)

    def ended(self, child: Child, value: Any, error: BaseException | None) -> None:
        """The task has ended."""
        loop = self.loop
        loop.tasks.pop(self, None)
        self.value = value
        self.error = error
        loop.post(self)

    def __call__(self) -> None:
        """Run by the driver when the task has ended."""
        value, error = self.value, self.error
        self.value = self.error = None
        try:
            self.finish(value, error)
        finally:
            del error

    def is_result(self, error: BaseException | None) -> bool:
        """Whether that error is for a guest, so that nothing has failed."""
        return False

    @abstractmethod
    def finish(self, value: Any, error: BaseException | None) -> None:
        """What to do with how it ended, on the driver's fiber.

        Both are None where the task was cancelled.  What this raises ends the scope.
        """

    @property
    def cancelled(self) -> bool:
        """Whether it is to end, or has ended, because of `cancel`."""
        return self.child is not None and self.child.cancelled

    def cancel(self) -> None:
        """Cancel it at what it awaits."""
        if self.child is not None:
            self.child.cancel()


class SpawnedTask(HostTask):
    """One that has a function called when it has ended."""

    __slots__ = ("_done", "child", "error", "idle", "loop", "name", "value")

    def __init__(self, done: Done) -> None:
        self._done = done
        self.child = None

    def finish(self, value: Any, error: BaseException | None) -> None:
        self._done(value, error)


class Loop:
    """A scope in which a store's guests make progress."""

    def __init__(self, state: StoreState, children: Children) -> None:
        self.state = state
        self.tasks: dict[HostTask, None] = {}
        # How many wait for something that does not happen in the scope.
        self.outsiders = 0
        self.driver = current_task()
        self.children = children
        self._posted: deque[Callable[[], None]] = deque()
        self._event: Any = None
        self.closed = False
        self.interrupted: BaseException | None = None
        # Set when the loop has ended: what tasks wait for that do not belong to it.
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

    def spawn(self, awaitable: Awaitable[Any], name: str, done: Done) -> SpawnedTask:
        """Await something in a task of its own; `done` is posted when that has ended.

        It is `done(value, None)` or `done(None, error)`, with an error of None too where the task
        was cancelled.
        """
        task = SpawnedTask(done)
        task.start(self, awaitable, name)
        return task

    def ended(self) -> list[BaseException]:
        """The scope and its tasks have ended: what these have raised that the driver did not see.

        Wakes up those outside of it who wait for it.
        """
        self.closed = True
        for event in self.waiting:
            event.set()
        tasks = [action for action in self._posted if isinstance(action, HostTask)]
        self._posted.clear()
        errors = ((task, task.error) for task in tasks)
        return [error for task, error in errors if error is not None and not task.is_result(error)]

    def is_quiet(self) -> bool:
        """Whether nothing will happen but that guests give each other turns."""
        if self._posted or not self.scheduler.only_yields():
            return False
        return self._is_up_to_guests()

    def _is_up_to_guests(self) -> bool:
        return not self.outsiders and all(task.idle for task in self.tasks)

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
                if self._is_up_to_guests():
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
