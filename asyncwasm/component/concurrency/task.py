"""A call of a lifted function.  See "Tasks" in `CanonicalABI.md` of the Component Model."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asyncwasm.errors import ThrownException, Trap, TrapCode

from ..runtime import task as sync
from ..types import FuncType
from .thread import Thread

if TYPE_CHECKING:
    from ..compile.program import Options
    from ..runtime.instance import ComponentInstance
    from .lift import Conversion

OnStart: TypeAlias = Callable[[], Any]
"""Gives the arguments, when the callee is ready for them."""
OnResolve: TypeAlias = Callable[[Any], None]
"""Takes the result, or `CANCELLED`."""


class Cancelled(enum.Enum):
    """The one value that says that a task ended without a result, on request."""

    CANCELLED = enum.auto()


CANCELLED = Cancelled.CANCELLED

_ACTION: Final = FuncType(())


def _nothing(*_: Any) -> None: ...


class TaskState(enum.Enum):
    """How far a task is."""

    INITIAL = "starting"
    STARTED = "started"
    PENDING_CANCEL = "started, to be cancelled"
    CANCEL_DELIVERED = "being cancelled"
    RESOLVED = "returned"


def sync_thread(instance: ComponentInstance) -> Thread:
    """The running thread of a task that can do nothing but run to its end."""
    task = Task(instance, _ACTION, _nothing, _nothing, caller=instance.state.current)
    task.implicit_thread = thread = Thread(task, None)
    thread.index = instance.threads.add(thread)
    return thread


class Task(sync.Task):
    """A call of a lifted function, from its start until its last thread has ended."""

    __slots__ = (
        "async_lift",
        "callback",
        "conversion",
        "implicit_thread",
        "name",
        "on_resolve",
        "on_start",
        "options",
        "state",
        "threads",
    )

    def __init__(
        self,
        instance: ComponentInstance,
        type: FuncType,
        on_start: OnStart,
        on_resolve: OnResolve,
        *,
        async_lift: bool = False,
        callback: bool = False,
        caller: sync.Thread | None = None,
        options: Options | None = None,
        conversion: Conversion | None = None,
        name: str = "",
    ) -> None:
        """`async_lift` and `callback` are options of the lift, `options` are all of them."""
        super().__init__(instance, caller, type)
        self.on_start = on_start
        self.on_resolve = on_resolve
        self.async_lift = async_lift
        self.callback = callback
        self.options = options
        self.conversion = conversion
        self.name = name
        self.state = TaskState.INITIAL
        self.implicit_thread: Thread | None = None
        self.threads: dict[Thread, None] = {}

    def check_may_block(self) -> None:
        """Trap if it is not allowed to block, whether or not it would have to."""
        if not self.may_block:
            error = Trap(TrapCode.CANNOT_BLOCK_SYNC_TASK)
            error.add_note(f"{self.describe()} has a synchronous type and has not returned")
            raise error

    @property
    def needs_exclusive(self) -> bool:
        """Whether nothing else of its kind may run in the instance while it does."""
        return self.is_async and (not self.async_lift or self.callback)

    @property
    def done(self) -> bool:
        """Whether it has resolved and its threads have ended."""
        return self.state is TaskState.RESOLVED and not self.threads

    # --- threads -------------------------------------------------------------------------------

    def enter_implicit_thread(self, thread: Thread) -> bool:
        """Begin, on the running `thread`; wait if the instance does not admit it.

        False if the call was cancelled before that.
        """
        self.implicit_thread = thread
        instance = self.instance
        if self.is_async:
            if self._held_back() or instance.waiting_to_enter:
                instance.waiting_to_enter += 1
                try:
                    # Not at once even if it could: others came first.
                    cancelled = thread.yield_when(
                        lambda: not self._held_back(),
                        (instance.gate,),
                        cancellable=True,
                        what=self._held_back_by,
                    )
                finally:
                    instance.waiting_to_enter -= 1
                if cancelled:
                    self.cancel()
                    return False
            if self.needs_exclusive:
                instance.exclusive = thread
        self.register_thread(thread)
        return True

    def try_to_start(self) -> None:
        """Let who keeps it from starting go on, if that is ready, and then this.

        A caller may rely on calls being admitted if all they wait for has happened.
        """
        instance = self.instance
        holder: Any = instance.exclusive
        if holder is not None and not instance.backpressure and holder.is_ready():
            holder.resume()
        thread = self.implicit_thread
        if thread is not None and thread.is_ready():
            thread.resume()

    def _held_back(self) -> bool:
        instance = self.instance
        return instance.backpressure > 0 or (
            self.needs_exclusive and instance.exclusive is not None
        )

    def _held_back_by(self) -> str:
        holder = self.instance.exclusive
        if self.instance.backpressure or holder is None:
            return "the end of its instance's backpressure"
        return "another call to leave its instance"

    def exit_implicit_thread(self) -> None:
        """End the first thread, which is running."""
        thread = self.implicit_thread
        assert thread is not None
        self.unregister_thread(thread)
        if self.needs_exclusive:
            self.release_exclusive()

    def release_exclusive(self) -> None:
        """Let others of its kind run in the instance."""
        self.instance.exclusive = None
        self.instance.gate.wake()

    def register_thread(self, thread: Thread) -> None:
        """Give `thread` an index in the instance."""
        self.threads[thread] = None
        thread.index = self.instance.threads.add(thread)

    def unregister_thread(self, thread: Thread) -> None:
        """`thread` has ended.  Raises `Trap` if it was the last and the task has no result."""
        del self.threads[thread]
        if not self.threads and self.state is not TaskState.RESOLVED:
            raise Trap(TrapCode.NO_ASYNC_RESULT)
        assert thread.index is not None
        self.instance.threads.remove(thread.index)

    def run_ready_sibling(self) -> bool:
        """Let one ready thread of the instance run, in the midst of the running one."""
        instance = self.instance
        ready = [
            thread
            for thread in instance.threads
            if thread.is_ready() and thread is not instance.exclusive
        ]
        if not ready:
            return False
        instance.state.scheduler.choose(ready).resume()
        return True

    @staticmethod
    def run_guest(fn: Callable[..., Any], *args: Any) -> Any:
        """Call guest code.  An exception of the guest that nothing caught is a trap."""
        try:
            return fn(*args)
        except ThrownException:
            raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None

    # --- its result ----------------------------------------------------------------------------

    def start(self) -> Any:
        """Take the arguments."""
        self.state = TaskState.STARTED
        return self.on_start()

    def check_unresolved(self) -> None:
        """Trap if there is a result already."""
        if self.state is TaskState.RESOLVED:
            raise Trap(TrapCode.TASK_CANCEL_OR_RETURN_TWICE)

    def return_(self, result: Any) -> None:
        """Give the result.  Raises `Trap` and `CanonicalAbiError` where it may not."""
        self.check_unresolved()
        self.check_borrows()
        self.resolve(result)

    def resolve(self, result: Any) -> None:
        """Hand the result on, whatever it is."""
        self.on_resolve(result)
        self.state = TaskState.RESOLVED
        self.resolved = True

    def cancel(self) -> None:
        """End without a result, as was requested.  Raises `Trap` where it may not."""
        self.check_unresolved()
        if self.state is not TaskState.CANCEL_DELIVERED:
            raise Trap(TrapCode.TASK_CANCEL_NOT_CANCELLED)
        self.check_borrows()
        self.resolve(CANCELLED)

    # --- cancellation --------------------------------------------------------------------------

    def request_cancellation(self) -> None:
        """Ask it to end early; a thread that can be cancelled gets to know it at once."""
        instance = self.instance
        if self.state is TaskState.INITIAL:
            self.state = TaskState.CANCEL_DELIVERED
            assert self.implicit_thread is not None
            self.implicit_thread.resume(cancelled=True)
            return
        if self.state is not TaskState.STARTED:
            return
        candidates = [thread for thread in self.threads if thread.cancellable]
        if self.needs_exclusive and instance.exclusive not in (None, self.implicit_thread):
            candidates = [t for t in candidates if t is not self.implicit_thread]
        if not candidates or self._is_calling():
            self.state = TaskState.PENDING_CANCEL
            return
        self.state = TaskState.CANCEL_DELIVERED
        instance.state.scheduler.choose(candidates).resume(cancelled=True)

    def _is_calling(self) -> bool:
        # Whether the running thread was called, directly or through others, by its instance.
        thread = self.instance.state.current
        while thread is not None:
            if thread.task.instance is self.instance:
                return True
            thread = thread.task.caller
        return False

    def deliver_pending_cancel(self, cancellable: bool) -> bool:
        """Whether a request that could not be told before is told now."""
        if cancellable and self.state is TaskState.PENDING_CANCEL:
            self.state = TaskState.CANCEL_DELIVERED
            return True
        return False

    def describe(self) -> str:
        """What it is, for reports."""
        return f"the call of `{self.name}`" if self.name else "a call"
