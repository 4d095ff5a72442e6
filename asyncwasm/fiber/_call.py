"""Sync code that awaits: `on_fiber` outside, `await_` inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from inspect import CO_ITERABLE_COROUTINE
from types import CoroutineType, GeneratorType, coroutine
from typing import Any, TypeVar, TypeVarTuple, cast

from ..errors import WrongThreadError
from ._bridge import current_task, turn
from ._switch import Stack, awaiting_stack, getcurrent, no_stack_error, take_stack

__all__ = [
    "await_",
    "await_held",
    "current_task_id",
    "drive",
    "fail",
    "in_fiber",
    "is_awaitable",
    "maybe_await",
    "on_fiber",
]

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
    await turn()
    stack = take_stack()
    try:
        stack.start(fn, args)
        if stack.job is not None:
            await drive(stack)
    except BaseException as error:
        failure = fail(stack, error)
        if failure is error:
            raise
        if failure is not None:
            raise failure  # noqa: B904 - it has its cause
    result: T = stack.mail
    failed = stack.release()
    del stack
    if failed is not None:
        context = failed.__context__
        try:
            raise failed
        finally:
            # `raise` in a caller's `except` block replaces the context; keep the one it had.
            if context is not None:
                failed.__context__ = context
            del failed, context
    return result


@coroutine
def drive(stack: Stack) -> Generator[Any, Any, None]:
    """Await what a stack that was started asks for, until it is done."""
    # A generator, because nobody is warned of one that a signal handler keeps from being awaited.
    # Not `while stack.job is not None`: CPython 3.13 leaves the jump of a conditional loop, where
    # signal handlers run, out of a caller's `try`.
    while True:
        request = stack.mail
        stack.mail = None
        try:
            if type(request) is not CoroutineType:
                request = _awaiting(request)
            stack.mail = yield from request
        except BaseException as error:
            # What the job sees begins below this frame, as if it had awaited by itself.
            traceback = error.__traceback__
            stack.error = error.with_traceback(traceback and traceback.tb_next)
            if isinstance(error, GeneratorExit):
                stack.closing = True
            del traceback
        request = None
        stack.resume()
        if stack.job is None:
            break


@coroutine
def _awaiting(request: Any) -> Generator[Any, Any, Any]:
    if not is_awaitable(request):
        raise TypeError(f"object {type(request).__name__} can't be used in 'await' expression")
    iterator = request if isinstance(request, GeneratorType) else request.__await__()
    return (yield from iterator)


def fail(stack: Stack, error: BaseException) -> BaseException | None:
    """End the job of a stack that `error` kept from being driven; what is to be raised for it.

    None if the job is done, and has done something else than to end so.
    """
    if isinstance(error, GeneratorExit) and stack.closing and stack.job is None:
        # Closing a coroutine closes `drive` first, which has raised a GeneratorExit in the job.
        if isinstance(stack.error, GeneratorExit):
            stack.release()
            return error
        return None
    if isinstance(error, WrongThreadError):
        # A call collected by another thread is closed there, which is not worth an error.
        stack.orphan()
        if stack.closing and stack.error:
            stack.error.__suppress_context__ = True
            return stack.error
        return error
    if stack.job is not None:
        # What nobody will await any more.
        discard(stack.mail)
        stack.mail = None
    # Not an exception of the job, which comes out when it is done, but a failed switch or one
    # that a signal handler raised.
    failure = stack.unwind(error)
    if failure is None:
        return error
    failure.__cause__ = error
    return failure


def await_(awaitable: Awaitable[T]) -> T:
    """Suspend the fiber until `awaitable` is done; return its value or raise its exception.

    It is awaited by the `on_fiber` call around the caller, in that call's task, however many
    `Fiber`s or foreign greenlets lie between.  Raises `UsageError` where there is none, and
    GeneratorExit in a call that is being closed; the awaitable is closed first in both cases.
    """
    held = [awaitable]
    del awaitable
    return cast("T", await_held(held))


def maybe_await(value: Awaitable[T] | T) -> T:
    """`await_` what can be awaited; return anything else as it is."""
    if not is_awaitable(value):
        return cast("T", value)
    held = [value]
    del value
    return cast("T", await_held(held))


def await_held(held: list[Any]) -> Any:
    """`await_` the one item of a list, which is taken out of it.

    The suspended frames of our callers must not hold on to the awaitable: whatever a suspended
    greenlet refers to is never collected, and an awaitable leads to its task.
    """
    stack = getcurrent()
    if type(stack) is Stack and stack.owner is None and not stack.closing:
        # What `Stack.suspend` does, on the stack itself.
        resumer = stack.resumer
        assert resumer is not None
        stack.mail = held.pop()
        stack.error = stack.resumer = None
        resumer.switch()
        del resumer
        if stack.error is not None:
            stack.raise_error()
    else:
        del stack
        stack = _request(held.pop())
        stack.suspend()
    value = stack.mail
    stack.mail = None
    return value


def _request(awaitable: object) -> Stack:
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


def current_task_id() -> int | None:
    """The id of what `current_task` gives.  Calls that are being driven remember it."""
    stack = getcurrent()
    if type(stack) is Stack and stack.task is not None:
        return stack.task
    task = current_task()
    if task is None:
        return None
    around = awaiting_stack()
    if around is not None:
        around.task = id(task)
    return id(task)


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
