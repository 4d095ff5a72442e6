"""Stack switching by hand: new, resume, suspend, current."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVarTuple

from ..errors import UsageError, WrongThreadError
from ._switch import Stack, no_stack_error, suspending_stack, take_stack

__all__ = ["Fiber", "current", "suspend"]

Ts = TypeVarTuple("Ts")


class Fiber:
    """A sync callable that can be left in the middle and gone on with later.

    `resume` enters it, `suspend` inside leaves it; both carry one value.  It belongs to the
    thread that first resumes it.  A fiber has no event loop of its own: `await_` inside it
    suspends the `on_fiber` call around whoever resumed it.

    Close a fiber that is not run to its end.  Dropping one closes it as well, but only
    when nothing in its own frames refers to it.
    """

    __slots__ = ("__weakref__", "_job", "_stack")

    def __init__(self, fn: Callable[[*Ts], Any], *args: *Ts) -> None:
        """A fiber that will run `fn(*args)`; nothing runs before the first `resume`."""
        self._job: tuple[Callable[..., Any], tuple[Any, ...]] | None = (fn, args)
        self._stack: Stack | None = None

    @property
    def done(self) -> bool:
        """Whether it has returned, raised or been closed."""
        return self._job is None and self._stack is None

    @property
    def frame(self) -> FrameType | None:
        """The innermost frame while it is suspended, else None."""
        return None if self._stack is None else self._stack.gr_frame

    def resume(self, value: Any = None) -> Any:
        """Enter; return what it suspends with, or what it returns when `done` is then true.

        `value` is what the `suspend` it stands in returns; it must be None the first time.
        Raises what the fiber raises; `UsageError` when it is running or done; and
        `WrongThreadError`.
        """
        if self._job is not None and value is not None:
            raise UsageError("a fiber that has not started cannot be given a value")
        return self._enter(value, None)

    def throw(self, error: BaseException) -> Any:
        """Like `resume`, but the `suspend` inside raises `error`.

        In a fiber that has not started, nothing runs: it is done and `error` comes out.
        """
        if self._job is not None:
            self._job = None
            raise error
        return self._enter(None, error)

    def close(self) -> None:
        """Raise GeneratorExit where it is suspended and run it to its end.

        What it suspends with or awaits while closing fails at once.  No-op on a fiber that is
        done; one that has not started just becomes done.  Exceptions other than GeneratorExit
        come out.  Raises `UsageError` when it is running, and `WrongThreadError`.
        """
        self._job = None
        stack = self._stack
        if stack is not None:
            stack.closing = stack.resumer is None
            try:
                self._enter(None, GeneratorExit())
            except GeneratorExit:
                pass
            except WrongThreadError:
                stack.closing = False
                raise

    def __del__(self) -> None:
        stack = self._stack
        if stack is not None:
            failure = stack.unwind(GeneratorExit())
            if failure is not None:
                raise failure

    def _enter(self, value: Any, error: BaseException | None) -> Any:
        stack = self._stack
        job = None
        if stack is None:
            if self._job is None:
                raise UsageError("the fiber is done")
            job, self._job = self._job, None
            stack = take_stack()
            stack.owner = weakref.ref(self)
            self._stack = stack
        elif stack.resumer is not None:
            raise UsageError("the fiber is running")
        else:
            stack.mail = value
            stack.error = error
            del value, error
        try:
            if job is None:
                stack.resume()
            else:
                stack.start(*job)
        except BaseException:
            stack.mail = stack.error = None
            # A signal handler raised before it could run, or after it did.
            if stack.dead or stack.job is None:
                stack.release()
                self._stack = None
            raise
        result = stack.mail
        if stack.job is not None:
            stack.mail = None
            return result
        failure = stack.release()
        self._stack = stack = None
        if failure is not None:
            context = failure.__context__
            try:
                raise failure
            finally:
                if context is not None:
                    failure.__context__ = context
                del failure, context
        return result


def suspend(value: Any = None) -> Any:
    """Leave the current fiber, handing `value` to its resumer; return what `resume` is given.

    Raises what `throw` is given; GeneratorExit in a fiber that is being closed; and
    `UsageError` where no `Fiber` is current.
    """
    stack = suspending_stack()
    if stack is None:
        raise no_stack_error("suspend")
    if stack.closing:
        raise GeneratorExit
    stack.mail = value
    stack.error = None
    del value
    stack.suspend()
    reply = stack.mail
    stack.mail = None
    return reply


def current() -> Fiber | None:
    """The `Fiber` that is running here; None outside, and directly inside an `on_fiber` call."""
    stack = suspending_stack()
    if stack is None:
        return None
    assert stack.owner is not None
    fiber = stack.owner()
    assert fiber is None or isinstance(fiber, Fiber)
    return fiber
