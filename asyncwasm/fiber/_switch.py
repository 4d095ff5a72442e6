"""Stacks that can be switched: the one module that knows greenlet.

A `Stack` runs one job (a plain callable) at a time and is then idle, to be used again: starting
a greenlet costs several times what reusing one does.  Whoever switches into a stack is its
`resumer`, remembered on each entry; greenlet's own parent links say nothing about that as soon
as a program switches greenlets itself.

What crosses a switch lies in slots of the stack (`job`, `mail`, `error`), not in the arguments of
`switch()`: those stay referenced by the suspended side until it runs again, which for an idle
stack would be the next job.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from ..errors import UsageError, WrongThreadError

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from weakref import ReferenceType

    class greenlet:  # noqa: N801
        """The part of greenlet used here; its distribution carries no type hints."""

        parent: greenlet | None
        gr_context: Context | None
        gr_frame: FrameType | None
        dead: bool

        def __init__(self, run: Callable[[], None] | None = None) -> None: ...
        def switch(self) -> Any: ...
        def throw(
            self, kind: type[BaseException], error: BaseException, tb: TracebackType | None
        ) -> object: ...

    class GreenletError(Exception): ...

    class GreenletExit(BaseException): ...

    def getcurrent() -> greenlet: ...

else:
    from greenlet import GreenletExit, getcurrent, greenlet
    from greenlet import error as GreenletError  # noqa: N812

__all__ = [
    "Stack",
    "awaiting_stack",
    "getcurrent",
    "live_fibers",
    "suspending_stack",
    "take_stack",
]

MAX_IDLE = 128
"""Idle stacks kept per thread; each holds some 7 KB."""

_STRAY = "a greenlet has switched to the resumer of a running fiber"

DEEP = 200
"""A stack made below this many Python frames is not kept for others.

A greenlet counts its recursion from where it was first entered, for good, so a stack made near
the recursion limit would hand its small remainder on to every later job.
"""


class Thread:
    """What one thread's stacks share."""

    __slots__ = ("orphans", "stacks")

    def __init__(self) -> None:
        self.stacks: WeakSet[Stack] = WeakSet()
        # Filled by other threads that collected or resumed a call of this one.
        self.orphans: deque[Stack] = deque()


class _Here(threading.local):
    # The idle stacks lie outside `Thread`, which they refer to: they go when the thread ends.
    def __init__(self) -> None:
        self.thread = Thread()
        self.idle: list[Stack] = []


_here = _Here()


class Stack(greenlet):
    """A stack of its own for one job at a time.

    Running when `resumer` is set, else idle, suspended or done.  While it is idle neither its
    slots nor its frames may refer to it: greenlets that have started are invisible to the
    garbage collector, so such a cycle is never freed.
    """

    __slots__ = (
        "at",
        "closing",
        "context",
        "depth",
        "error",
        "job",
        "mail",
        "owner",
        "resumer",
        "reusable",
        "task",
        "thread",
    )

    job: tuple[Callable[..., Any], tuple[Any, ...]] | None
    """The function that runs and its arguments; None when that is done, and before any."""
    mail: Any
    """What is handed over by a switch: a request, a reply, or the job's result."""
    error: BaseException | None
    """The same for an exception, which goes before `mail`."""
    resumer: greenlet | None
    """Who entered last and gets control back; None unless running."""
    at: greenlet | None
    """The foreign greenlet, above this stack, that suspended it; None for the stack itself."""
    context: Context | None
    """The resumer's context, as of the last entry."""
    closing: bool
    """Being unwound: suspending again fails at once."""
    owner: ReferenceType[Any] | None
    """The `Fiber` this stack belongs to; None if its resumer awaits what it is handed."""
    task: int | None
    """The id of the task that its resumer is part of, once anybody has asked."""
    thread: Thread
    reusable: bool
    """May be kept for other jobs."""
    depth: int
    """How deep the recursion was where it was made, which all its jobs start from."""

    def start(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Run `fn(*args)` until it suspends or is done."""
        if self.thread.orphans:
            unwind_orphans()
        try:
            here = getcurrent()
            context = here.gr_context
            if context is None:
                self._follow(context)
            else:
                self.gr_context = self.context = context
            self.resumer = here
            del here
            # The last step before: with a job, it has been entered.
            self.job = (fn, args)
            self.switch()
        except BaseException:
            self.resumer = None
            raise
        if self.resumer is not None:
            self.resumer = None
            raise UsageError(_STRAY)

    def resume(self) -> None:
        """Switch in; return when the job has suspended or is done."""
        at = self.at
        try:
            here = getcurrent()
            if here.gr_context is not self.context:
                self._follow(here.gr_context)
            self.resumer = here
            del here
            if at is None:
                self.switch()
            else:
                self.at = None
                at.switch()
        except BaseException as error:
            self.resumer = None
            # While the interpreter shuts down no thread is the right one.
            if isinstance(error, GreenletError) or sys.is_finalizing():
                self.at = at
                raise wrong_thread() from None
            raise
        if self.resumer is not None:
            self.resumer = None
            raise UsageError(_STRAY)

    def _follow(self, context: Context | None) -> None:
        # Run in the resumer's context, wherever it takes the job, unless the job stands in
        # one that it entered itself.
        if context is None:
            copy_context()  # gives a thread outside of any context one of its own
            context = getcurrent().gr_context
        if self.gr_context is self.context:
            self.gr_context = context
        self.context = context
        self.task = None  # for it may well be another

    def suspend(self) -> None:
        """Switch out to the resumer; return, or raise the `error` it left, when resumed.

        Called from the stack itself or from a greenlet that was started above it, with `mail`
        set and `error` None.
        """
        here = getcurrent()
        if here is not self:
            self.at = here
        del here
        resumer = self.resumer
        assert resumer is not None
        self.resumer = None
        resumer.switch()
        if self.error is not None:
            self.raise_error()

    def raise_error(self) -> NoReturn:
        """Raise what the resumer left in `error`."""
        error = self.error
        assert error is not None
        self.error = self.mail = None
        context = error.__context__
        try:
            raise error
        finally:
            # `raise` in an `except` block replaces the context; keep the one it had.
            if context is not None:
                error.__context__ = context
            del error, context

    def unwind(self, error: BaseException) -> BaseException | None:
        """End a suspended job by raising `error` in it; return what it raised instead, if so.

        The job of another thread is left to that thread, as an orphan.
        """
        self.closing = True
        try:
            while self and self.job is not None:
                at = self.at
                self.at = None
                self.resumer = getcurrent()
                (self if at is None else at).throw(type(error), error, error.__traceback__)
        except GreenletError:
            self.resumer = None
            self.at = at
            self.orphan()
        except RuntimeError:
            # Greenlets no longer switch while the interpreter shuts down.
            if not sys.is_finalizing():
                raise
        if self.job is not None:
            return None
        failure = self.release()
        return None if failure is error or isinstance(failure, GeneratorExit) else failure

    def orphan(self) -> None:
        """Leave a suspended job to its own thread, which unwinds it when it next uses fibers."""
        self.thread.orphans.append(self)

    def release(self) -> BaseException | None:
        """Give a stack that is done back; what its job has raised, if it has."""
        error = self.error
        self.closing = False
        self.mail = self.error = None
        self.gr_context = self.context = self.owner = self.task = None
        if self.reusable and self:
            idle = _here.idle
            idle.append(self)
            if len(idle) > MAX_IDLE:
                idle.pop().end()
        return error

    def end(self) -> None:
        """Let an idle stack run to its end.

        Now, because one that is dropped is woken to exit, at the depth of recursion where it
        stands, which the limit in force by then may not allow.
        """
        self.reusable = False
        self.parent = getcurrent()
        self.throw(GreenletExit, GreenletExit(), None)


def _run_jobs() -> None:
    """What every stack executes: jobs, one after the other.

    It first leaves for whoever has made the stack, to be idle.  Dropping the last reference to an
    idle stack raises GreenletExit here, after its slots are gone, and this function ends.
    """
    resumer: Any = getcurrent().parent
    main: greenlet | None = None
    # Not `while resumer is not None`: CPython 3.11 never speeds up a loop that ends with a test.
    while True:
        # From here an exception that a signal handler raises counts as the job's.
        try:
            resumer.switch()
            stack = _current_stack()
            fn, args = stack.job  # type: ignore[misc]  # whoever switches here has set it
            stack.mail = fn(*args)
        except BaseException as error:
            stack = _current_stack()
            if getattr(stack, "resumer", None) is None:
                return
            stack.mail = None
            # This frame goes on with other jobs: no traceback may show it.
            traceback = error.__traceback__
            stack.error = error.with_traceback(traceback and traceback.tb_next)
            del traceback
        fn = args = stack.job = None
        resumer = stack.resumer
        stack.resumer = None
        # While idle, a stack is suspended in a call on its last resumer and so keeps that alive:
        # harmless for a thread's main greenlet, a leak for any other.
        if resumer is not main:
            if resumer is None:
                return
            if not (stack.reusable and resumer.parent is None):
                # Over for good, now: see `Stack.end`.
                stack.reusable = False
                with suppress(ValueError):  # a resumer that was started above this stack
                    stack.parent = resumer
                    return
            main = resumer
        del stack


if TYPE_CHECKING:

    def _current_stack() -> Stack: ...

else:
    _current_stack = getcurrent


def take_stack() -> Stack:
    """A stack, idle or new, to `start`; its resumer awaits what it is handed."""
    idle = _here.idle
    return idle.pop() if idle else _new_stack(_here.thread)


def _new_stack(thread: Thread) -> Stack:
    stack = Stack(_run_jobs)
    stack.at = stack.context = stack.error = stack.mail = stack.owner = stack.resumer = None
    stack.job = stack.task = None
    stack.closing = False
    stack.thread = thread
    thread.stacks.add(stack)
    stack.depth = _depth()
    stack.reusable = stack.depth < DEEP
    # To where it is idle, from within a C function with a frame of some kilobytes: each switch
    # copies what the resumer has on the C stack below the place where this one began.
    [stack].sort(key=greenlet.switch)
    return stack


def _depth() -> int:
    """About how deep Python's recursion is where a new stack is being made; at most `DEEP`."""
    here = getcurrent()
    depth = here.depth if type(here) is Stack else 0
    frame = sys._getframe(3)
    while frame is not None and depth < DEEP:
        depth += 1
        frame = frame.f_back  # type: ignore[assignment]
    return depth


def unwind_orphans() -> None:
    """Unwind this thread's suspended jobs that other threads gave up."""
    orphans = _here.thread.orphans
    while orphans:
        # Finalizing the generator reports exceptions as those of any collected coroutine.
        next(_unwinding(orphans.popleft()))


def _unwinding(stack: Stack) -> Generator[None, None, None]:
    try:
        yield
    finally:
        failure = stack.unwind(GeneratorExit())
        if failure is not None:
            raise failure


def live_fibers() -> int:
    """How many fibers of the calling thread have started and not finished."""
    unwind_orphans()
    return sum(bool(stack) and stack.job is not None for stack in _here.thread.stacks)


def wrong_thread() -> WrongThreadError:
    """The error for entering a stack from a thread it does not belong to."""
    return WrongThreadError("a fiber can only be resumed by the thread it started on")


def awaiting_stack() -> Stack | None:
    """The innermost stack around the caller whose resumer awaits, or that is being closed."""
    here: greenlet | None = getcurrent()
    while here is not None:
        if type(here) is Stack:
            resumer = here.resumer
            if resumer is not None and (here.owner is None or here.closing):
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
            return None if here.owner is None or here.resumer is None else here
        here = here.parent
    return None


def no_stack_error(what: str) -> UsageError:
    """The error for suspending where nothing can be suspended."""
    return UsageError(f"`{what}` needs a fiber, and none is running here")
