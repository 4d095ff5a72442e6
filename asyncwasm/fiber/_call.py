"""Sync code that awaits: `on_fiber` outside, `await_` inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from inspect import CO_ITERABLE_COROUTINE
from types import CoroutineType, GeneratorType
from typing import Any, TypeVar, TypeVarTuple, cast

from ..errors import WrongThreadError
from ._bridge import checkpoint
from ._switch import Stack, awaiting_stack, no_stack_error, take_stack

__all__ = ["await_", "in_fiber", "maybe_await", "on_fiber"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def on_fiber(fn: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run `fn(*args)` on a stack of its own, where it may call `await_`.

    What it hands to `await_` is awaited here, in the caller's own task and context.  Cancelling
    that await, or closing this coroutine, raises in `fn` at the `await_`.  Returns what `fn`
    returns and raises what it raises, the same object.

    A checkpoint comes first and always: cancelled there, nothing has run.  After it, what `fn`
    did is never lost to a cancellation.

    Raises `WrongThreadError` when resumed by another thread than it was started on.
    """
    await checkpoint()
    stack = take_stack(fn, args)
    stack.awaits = True
    try:
        # Not `while not stack.done`: CPython 3.13 leaves the jump of a conditional loop, where
        # signal handlers run, out of the `try`.
        while True:
            stack.resume()
            if stack.done:
                break
            request = stack.mail
            stack.mail = None
            try:
                stack.mail = await request
            except BaseException as error:
                # What `fn` sees begins below this frame, as if it had awaited by itself.
                traceback = error.__traceback__
                stack.error = error.with_traceback(traceback and traceback.tb_next)
                if isinstance(error, GeneratorExit):
                    stack.closing = True
                del traceback
            request = None
    except WrongThreadError as error:
        # A call collected by another thread is closed there, which is not worth an error.
        stack.orphan()
        raise (stack.error if stack.closing and stack.error else error) from None
    except BaseException as error:
        # Not an exception of `fn`, which comes out below, but a failed switch or one that a
        # signal handler raised here.
        failure = stack.unwind(error)
        if failure is None:
            raise
        raise failure from error
    result: T = stack.mail
    failure = stack.error
    stack.mail = stack.error = None
    stack.release()
    del stack
    if failure is not None:
        context = failure.__context__
        try:
            raise failure
        finally:
            # `raise` in a caller's `except` block replaces the context; keep the one it had.
            if context is not None:
                failure.__context__ = context
            del failure, context
    return result


def await_(awaitable: Awaitable[T]) -> T:
    """Suspend the fiber until `awaitable` is done; return its value or raise its exception.

    It is awaited by the `on_fiber` call around the caller, in that call's task, however many
    `Fiber`s or foreign greenlets lie between.  Raises `UsageError` where there is none, and
    GeneratorExit in a call that is being closed; the awaitable is closed first in both cases.
    """
    stack = _request(awaitable)
    del awaitable
    stack.suspend()
    value: T = stack.mail
    stack.mail = None
    return value


def maybe_await(value: Awaitable[T] | T) -> T:
    """`await_` what can be awaited; return anything else as it is."""
    if not is_awaitable(value):
        return cast("T", value)
    stack = _request(value)
    del value
    stack.suspend()
    result: T = stack.mail
    stack.mail = None
    return result


def _request(awaitable: object) -> Stack:
    # The suspended frames of our callers must not hold on to the awaitable: whatever a
    # suspended greenlet refers to is never collected, and an awaitable leads to its task.
    stack = awaiting_stack()
    if stack is None:
        discard(awaitable)
        raise no_stack_error("await_")
    if stack.closing:
        discard(awaitable)
        raise GeneratorExit
    stack.mail = awaitable
    stack.error = None
    return stack


def in_fiber() -> bool:
    """Whether `await_` can be called here."""
    stack = awaiting_stack()
    return stack is not None and not stack.closing


def is_awaitable(value: object) -> bool:
    """What `inspect.isawaitable` says, at a fraction of its cost."""
    kind = type(value)
    return (
        kind is CoroutineType
        or hasattr(kind, "__await__")
        or (
            isinstance(value, GeneratorType)
            and bool(value.gi_code.co_flags & CO_ITERABLE_COROUTINE)
        )
    )


def discard(awaitable: Any) -> None:
    """Close a coroutine that nobody will await, so that it does not complain."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()
