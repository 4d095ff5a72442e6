"""Stacks that can be switched: the one module that knows greenlet.

A `Stack` runs one job (a plain callable) at a time and is then idle, to be used again: starting
a greenlet costs several times what reusing one does.  Whoever switches into a stack is its
`resumer`, remembered on each entry; greenlet's own parent links say nothing about that as soon
as a program switches greenlets itself.

What crosses a switch lies in slots of the stack (`mail`, `error`), not in the arguments of
`switch()`: those stay referenced by the suspended side until it runs again, which for an idle
stack would be the next job.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, WrongThreadError

if TYPE_CHECKING:
    from weakref import ReferenceType

    class greenlet:  # noqa: N801
        """The part of greenlet used here; its distribution carries no type hints."""

        parent: greenlet | None
        gr_context: Context | None

        def __init__(self, run: Callable[[], None] | None = None) -> None: ...
        def switch(self) -> object: ...

    class GreenletError(Exception): ...

    def getcurrent() -> greenlet: ...

else:
    from greenlet import error as GreenletError  # noqa: N812
    from greenlet import getcurrent, greenlet

__all__ = ["Stack", "awaiting_stack", "live_fibers", "suspending_stack", "take_stack"]

MAX_IDLE = 128
"""Idle stacks kept per thread; each holds some 20 KB."""

DEEP = 200
"""A stack made below this many Python frames is not kept for others.

A greenlet counts its recursion from where it was first entered, for good, so a stack made near
the recursion limit would hand its small remainder on to every later job.
"""


class Thread:
    """What one thread knows of its stacks."""

    __slots__ = ("idle", "live", "orphans")

    def __init__(self) -> None:
        self.idle: list[Stack] = []
        self.live = 0
        # Filled by other threads that collected or resumed a call of this one.
        self.orphans: deque[Stack] = deque()


class _Here(threading.local):
    def __init__(self) -> None:
        self.thread = Thread()


_here = _Here()


class Stack(greenlet):
    """A stack of its own for one job at a time.

    Running when `resumer` is set, else idle, suspended or finished.  No stack may refer to
    itself through its slots or its idle frames: greenlets that have started are invisible to
    the garbage collector, so such a cycle is never freed.
    """

    __slots__ = (
        "at",
        "awaits",
        "closing",
        "deep",
        "done",
        "error",
        "job",
        "mail",
        "owner",
        "resumer",
        "thread",
    )

    job: tuple[Callable[..., Any], tuple[Any, ...]] | None
    mail: Any
    """What is handed over by a switch: a request, a reply, or the job's result."""
    error: BaseException | None
    """The same for an exception, which goes before `mail`."""
    done: bool
    resumer: greenlet | None
    """Who entered last and gets control back; None unless running."""
    at: greenlet | None
    """The foreign greenlet, above this stack, that suspended it; None for the stack itself."""
    awaits: bool
    """The resumer is a coroutine that awaits what it is handed."""
    closing: bool
    """Being unwound: suspending again fails at once."""
    owner: ReferenceType[Any] | None
    """The `Fiber` this stack belongs to, if any."""
    thread: Thread | None
    deep: bool

    def start(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Run a job until it first suspends or ends, in the context of the caller."""
        self.job = (fn, args)
        self.gr_context = current_context()
        self.resume()

    def resume(self) -> None:
        """Switch in; return when the job has suspended or is done."""
        at = self.at
        self.resumer = getcurrent()
        self.at = None
        try:
            (self if at is None else at).switch()
        except GreenletError:
            self.resumer = None
            self.at = at
            raise WrongThreadError("a fiber can only be resumed by the thread it runs on") from None

    def suspend(self) -> None:
        """Switch out to the resumer; return, or raise the `error` it left, when resumed.

        Called from the stack itself or from a greenlet that was started above it.
        """
        here = getcurrent()
        if here is not self:
            self.at = here
        resumer = self.resumer
        assert resumer is not None
        self.resumer = None
        del here
        resumer.switch()
        error = self.error
        if error is not None:
            del resumer
            self.error = self.mail = None
            context = error.__context__
            try:
                raise error
            finally:
                # A `raise` inside an `except` block replaces the context; keep the one that
                # tells more.
                if context is not None:
                    error.__context__ = context
                del error, context

    def unwind(self, error: BaseException) -> None:
        """End a suspended job by raising `error` in it, and forget its outcome.

        A stack of another thread is left for that thread to unwind.
        """
        self.closing = True
        self.error = error
        try:
            while not self.done and self:
                self.resume()
        except WrongThreadError:
            thread = self.thread
            if thread is not None:
                thread.orphans.append(self)
        except RuntimeError:
            # At the end of the process greenlet no longer switches.
            if not sys.is_finalizing():
                raise
        else:
            self.mail = self.error = None
            self.release()

    def release(self) -> None:
        """Give a stack that is done back."""
        thread = self.thread
        self.thread = None
        self.owner = None
        self.awaits = self.closing = False
        self.gr_context = None
        # While idle, a stack is suspended in a call on its last resumer and so keeps that
        # alive: harmless for a thread's main greenlet, a leak for any other.
        if (
            thread is not None
            and not self.deep
            and len(thread.idle) < MAX_IDLE
            and getcurrent().parent is None
        ):
            thread.idle.append(self)


def _run_jobs() -> None:
    """What every stack executes: jobs, one after the other.

    Dropping the last reference to a stack raises GreenletExit wherever it stands; there is no
    resumer then, and this function ends.
    """
    resumer: greenlet | None = None
    while True:
        # From here a signal handler's exception counts as the job's.
        try:
            if resumer is not None:
                resumer.switch()
            stack = _current_stack()
            job = stack.job
            thread = stack.thread
            assert job is not None
            assert thread is not None
            stack.job = None
            thread.live += 1
            try:
                fn, args = job
                del job
                stack.mail = fn(*args)
            finally:
                thread.live -= 1
                del thread
        except BaseException as error:
            stack = _current_stack()
            stack.mail = None
            traceback = error.__traceback__
            # This frame goes on with other jobs, so no traceback may show it.
            stack.error = error.with_traceback(traceback and traceback.tb_next)
            del traceback
        fn = args = None  # type: ignore[assignment]
        resumer = stack.resumer
        if resumer is None:
            return
        stack.resumer = None
        stack.done = True
        del stack


def _current_stack() -> Stack:
    here = getcurrent()
    assert type(here) is Stack
    return here


def take_stack() -> Stack:
    """An idle stack of this thread, or a new one."""
    thread = _here.thread
    if thread.orphans:
        unwind_orphans()
    if thread.idle:
        stack = thread.idle.pop()
    else:
        stack = Stack(_run_jobs)
        stack.at = stack.owner = stack.resumer = stack.error = stack.mail = None
        stack.awaits = stack.closing = False
        try:
            sys._getframe(DEEP)
        except ValueError:
            stack.deep = False
        else:
            stack.deep = True
    stack.thread = thread
    stack.done = False
    return stack


def unwind_orphans() -> None:
    """Unwind this thread's suspended jobs that other threads gave up."""
    orphans = _here.thread.orphans
    while orphans:
        orphans.popleft().unwind(GeneratorExit())


def live_fibers() -> int:
    """How many fibers of the calling thread have started and not finished."""
    unwind_orphans()
    return _here.thread.live


def current_context() -> Context:
    """The context that is entered here: itself, not a copy."""
    here = getcurrent()
    context = here.gr_context
    if context is None:
        copy_context()  # gives a thread outside any context one of its own
        context = here.gr_context
        assert context is not None
    return context


def awaiting_stack() -> Stack | None:
    """The innermost stack around the caller whose resumer awaits."""
    here: greenlet | None = getcurrent()
    while here is not None:
        if type(here) is Stack:
            resumer = here.resumer
            if here.awaits and resumer is not None:
                return here
            here = resumer
        else:
            here = here.parent
    return None


def suspending_stack() -> Stack | None:
    """The innermost stack around the caller, if it is one that a `Fiber` owns."""
    here: greenlet | None = getcurrent()
    while here is not None:
        if type(here) is Stack:
            return None if here.awaits or here.resumer is None else here
        here = here.parent
    return None


def no_stack_error(what: str) -> UsageError:
    """The error for suspending where nothing can be suspended."""
    return UsageError(f"`{what}` needs a fiber, and none is running here")
