"""Entering guest code from the host, and what comes out of it.

`enter` is the one way in.  It fires the call hook, lends the guest its stack, and gives
exceptions the shape that embedders see: traps with a code and frames, host functions'
exceptions unchanged with the backtrace as a note.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from asyncwasm.errors import Frame, ThrownException, Trap, TrapCode, WasmError, format_backtrace
from asyncwasm.fiber import on_fiber

from .budget import BUDGET
from .hooks import CallHook
from .words import BARS, DEPTH

if TYPE_CHECKING:
    from .caller import Caller
    from .store import Store

R = TypeVar("R")

_NOTE: Final = "error while executing at wasm backtrace:"


def enter(store: Store[Any], fn: Callable[..., R], args: tuple[Any, ...], may_suspend: bool) -> R:
    """Run guest code: `fn(*args)` on raw values.

    The caller has made sure that the store may be entered.  May suspend if `may_suspend`,
    which says that this runs on a fiber.  Raises `Trap`, `ThrownException`, and whatever host
    functions, hooks and limiters raise.
    """
    depth, outer = store._depth, store._may_suspend
    user = (id(store), depth)
    try:
        try:
            store.begin(may_suspend)
            BUDGET.acquire(user, store.engine.config.max_wasm_frames)
            if store._hook is not None:
                return _enter_hooked(store, fn, args)
            return fn(*args)
        except BaseException as error:
            shaped = _shape(store, error)
            try:
                if shaped is error:
                    raise
                raise shaped from None
            finally:
                del shaped  # its traceback refers to this frame
        finally:
            BUDGET.release(user)
            store.end(depth, outer)
    except BaseException:
        # Again, for what a signal handler may have cut short.
        BUDGET.release(user)
        store.end(depth, outer)
        raise


def _enter_hooked(store: Store[Any], fn: Callable[..., R], args: tuple[Any, ...]) -> R:
    store.fire(CallHook.CALLING_WASM)
    try:
        result = fn(*args)
    except Exception:
        store.fire(CallHook.RETURNING_FROM_WASM)
        raise
    store.fire(CallHook.RETURNING_FROM_WASM)
    return result


def raise_direct(store: Store[Any], error: BaseException) -> NoReturn:
    """End a call that native code has entered by itself, with what came out of it."""
    try:
        shaped = _shape(store, error)
        try:
            if shaped is error:
                raise error
            raise shaped from None
        finally:
            del shaped, error
    finally:
        # A call in progress is not this one, which has ended.
        if store.words[BARS] and not store.words[DEPTH]:
            store.end_direct()


def run_sync(
    store: Store[Any], caller: Caller[Any] | None, fn: Callable[..., R], args: tuple[Any, ...]
) -> R:
    """`enter` from a sync entry point whose split check has passed.  Never suspends."""
    store.enter_nowait(caller)
    return enter(store, fn, args, False)


async def run_async(
    store: Store[Any], caller: Caller[Any] | None, fn: Callable[..., R], args: tuple[Any, ...]
) -> R:
    """`enter` on a fiber of its own, when it is the call's turn.  Always checkpoints."""
    return await at_turn(store, caller, enter, fn, args)


async def at_turn(
    store: Store[Any],
    caller: Caller[Any] | None,
    how: Callable[[Store[Any], Callable[..., R], tuple[Any, ...], bool], R],
    fn: Callable[..., R],
    args: tuple[Any, ...],
) -> R:
    """`how(store, fn, args, True)` on a fiber, when it is the call's turn.  Always checkpoints."""
    turn = await store.take_turn(caller)

    def run() -> R:
        store.enter_at_turn(turn, caller)
        return how(store, fn, args, True)

    try:
        return await on_fiber(run)
    except BaseException:
        store.give_up_turn(turn)
        raise


def operate_sync(
    store: Store[Any], caller: Caller[Any] | None, fn: Callable[..., R], args: tuple[Any, ...]
) -> R:
    """Run the host's own operation on a store, such as growing a memory, as a call in it.

    No hooks fire and exceptions are left alone.  Never suspends.
    """
    store.enter_nowait(caller)
    return _operate(store, fn, args, False)


async def operate_async(
    store: Store[Any], caller: Caller[Any] | None, fn: Callable[..., R], args: tuple[Any, ...]
) -> R:
    """`operate_sync` on a fiber, where limiters may suspend.  Always checkpoints."""
    return await at_turn(store, caller, _operate, fn, args)


def _operate(
    store: Store[Any], fn: Callable[..., R], args: tuple[Any, ...], may_suspend: bool
) -> R:
    depth, outer = store._depth, store._may_suspend
    try:
        try:
            store.begin(may_suspend)
            return fn(*args)
        finally:
            store.end(depth, outer)
    except BaseException:
        store.end(depth, outer)  # again: see `enter`
        raise


def _shape(store: Store[Any], error: BaseException) -> BaseException:
    """The exception that leaves guest code in place of `error`; often `error` itself."""
    store.failed = True
    trace = error.__traceback__
    if not isinstance(error, WasmError):
        trap = store.engine.executor.classify(error, trace) or _exhausted(store, error, trace)
        if trap is not None:
            error = trap.with_traceback(trace)
    if isinstance(error, ThrownException):
        store._pending = error.exn
    most = store.engine.config.wasm_backtrace_max_frames
    # A cancellation is control flow: nobody reads its notes, and it may be a shared object.
    if most is None or not isinstance(error, (Exception, KeyboardInterrupt)):
        return error
    frames = _frames(store, trace)[:most]
    if not frames:
        return error
    if isinstance(error, Trap):
        error.frames = frames
    notes = getattr(error, "__notes__", [])
    # An error passes through one activation after the other: the last note has all frames.
    notes[:] = [note for note in notes if not note.startswith(_NOTE)]
    error.add_note(format_backtrace(frames))
    return error


def _exhausted(store: Store[Any], error: BaseException, trace: TracebackType | None) -> Trap | None:
    """A trap, if Python's stack ran out in a host function because the guest had used it up."""
    if not isinstance(error, RecursionError):
        return None
    guest = len(_frames(store, trace))
    return Trap(TrapCode.STACK_OVERFLOW) if guest * 2 > sys.getrecursionlimit() else None


def _frames(store: Store[Any], trace: TracebackType | None) -> tuple[Frame, ...]:
    """The guest frames of `store` in a traceback, innermost first."""
    found = []
    locate = store.engine.executor.locate
    instance_of = store.engine.executor.instance_of
    while trace is not None:
        code = trace.tb_frame.f_code
        namespace = trace.tb_frame.f_globals
        instance = namespace.get("__wasm_instance__") or instance_of(code)
        if instance is not None and instance.store is store:
            place = locate(namespace, code, trace.tb_lineno)
            if place is not None:
                found.append(_frame(instance, *place))
        trace = trace.tb_next
    return tuple(reversed(found))


def live_frames(store: Store[Any], frame: FrameType | None) -> tuple[Frame, ...]:
    """The guest frames of `store` on a suspended Python stack, innermost first.

    `frame` is the innermost Python frame.  What runs as machine code has no frames there.
    """
    found = []
    locate = store.engine.executor.locate
    while frame is not None:
        instance = frame.f_globals.get("__wasm_instance__")
        if instance is not None and instance.store is store:
            place = locate(frame.f_globals, frame.f_code, frame.f_lineno)
            if place is not None:
                found.append(_frame(instance, *place))
        frame = frame.f_back
    return tuple(found)


def _frame(instance: Any, index: int, offset: int | None) -> Frame:
    module = instance.module(instance.store)
    body = module.info.bodies[index - module.info.imported_funcs]
    return Frame(
        module_name=module.name,
        func_index=index,
        func_name=module.names.functions.get(index),
        module_offset=offset,
        func_offset=None if offset is None else offset - body.start,
    )
