"""Calls of lowered functions as subtasks.  See `canon lower` in `CanonicalABI.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS
from ..runtime.context import GuestContext, HostContext
from .lift import Conversion, Lifted
from .subtask import Subtask, SubtaskState
from .task import CANCELLED, Task
from .thread import Thread

if TYPE_CHECKING:
    from ..compile.program import GuestCall, HostCall, Options
    from ..runtime.host import HostFunc
    from ..runtime.instance import ComponentInstance, InstanceData

Raw = Any
_STARTED: Final = int(SubtaskState.STARTED)


def running_thread(instance: ComponentInstance) -> Thread:
    """The guest thread that is calling out of `instance`."""
    thread = instance.state.current
    assert isinstance(thread, Thread)
    return thread


def flat_limits(options: Options) -> tuple[int, int]:
    """How many flat parameters and results a lowered function has at most."""
    if options.is_async:
        return MAX_FLAT_ASYNC_PARAMS, 0
    return MAX_FLAT_PARAMS, MAX_FLAT_RESULTS


def lower_guest(data: InstanceData, trampoline: GuestCall) -> Callable[..., Raw]:
    """A function of another component instance, on raw values."""
    callee, outer = trampoline.callee, trampoline.options
    inner = callee.options
    caller = data.instances[outer.instance]
    params = tuple(t for _, t in callee.type.params)
    results = () if callee.type.result is None else (callee.type.result,)
    codec = data.component.codec
    max_params, max_results = flat_limits(outer)
    lift_params, lower_args = codec.pair(params, outer, inner, max_params, MAX_FLAT_PARAMS)
    lift_results, lower_results = codec.pair(results, inner, outer, MAX_FLAT_RESULTS, max_results)
    lift_return, _ = codec.pair(results, inner, outer, MAX_FLAT_PARAMS, max_results)
    by_pointer = codec.by_pointer(results, outer, max_results)
    lifted = Lifted(data, callee, Conversion(GuestContext, lower_args, lift_results, lift_return))

    def call(*flat: Raw) -> Raw:
        if not caller.may_leave:
            caller.check_leave()
        thread = running_thread(caller)
        if callee.type.is_async and not outer.is_async:
            thread.task.check_may_block()
        subtask = Subtask()
        cx = GuestContext(caller, outer, subtask.loans)
        index = 0

        def on_start() -> Any:
            if index:
                subtask.note_progress(index)
            subtask.state = SubtaskState.STARTED
            return lift_params(cx, flat)

        def on_resolve(values: Any) -> None:
            if index:
                subtask.note_progress(index)
            if values is CANCELLED:
                subtask.resolve_cancelled()
            else:
                lowered = lower_results(cx, values, flat[-1] if by_pointer else None)
                subtask.resolve(SubtaskState.RETURNED, lowered)

        task = lifted.start(on_start, on_resolve, thread)
        if outer.is_async and not subtask.is_resolved():
            subtask.on_cancel = task.request_cancellation
            subtask.name = task.name
            index = caller.handles.add(subtask)
            return subtask.state | index << 4
        return finish(subtask, thread, outer, task.describe)

    return call


def finish(subtask: Subtask, thread: Thread, options: Options, what: Callable[[], str]) -> Raw:
    """What the call gives its caller once it is resolved, which a synchronous one waits for."""
    if not subtask.is_resolved():
        thread.wait_until(subtask.is_resolved, (subtask,), what=what)
    subtask.deliver_resolve()
    if options.is_async:
        return int(subtask.state)
    flat = subtask.flat_results
    return None if not flat else flat[0]


def lower_host(data: InstanceData, host: HostFunc, trampoline: HostCall) -> Callable[..., Raw]:
    """A host function with an `async` type, on raw values.

    Its coroutine is a task of the loop that drives the store; guests go on meanwhile.
    """
    options, ty = trampoline.options, trampoline.type
    instance = data.instances[options.instance]
    params = tuple(t for _, t in ty.params)
    results = () if ty.result is None else (ty.result,)
    codec = data.component.codec
    max_params, max_results = flat_limits(options)
    lift_params = codec.lift(params, options, max_params)
    lower_results = codec.lower(results, options, max_results)
    by_pointer = codec.by_pointer(results, options, max_results)
    check_out = codec.check_out(results, options) if by_pointer and options.is_async else None

    def call(*flat: Raw) -> Raw:
        from .hosts import begin

        if not instance.may_leave:
            instance.check_leave()
        thread = running_thread(instance)
        if not options.is_async:
            thread.task.check_may_block()
        subtask = Subtask(host.name)
        cx = HostContext(instance, options, subtask.loans)
        pointer = flat[-1] if by_pointer else None
        if check_out is not None:
            check_out(cx, pointer)
        values = lift_params(cx, flat)
        subtask.state = SubtaskState.STARTED
        index = 0

        def on_resolve(value: Any) -> None:
            if index:
                subtask.note_progress(index)
            subtask.loans.check_borrows()
            if value is CANCELLED:
                subtask.resolve_cancelled()
                return
            instance.may_leave = False
            lowered = lower_results(cx, (value,) if results else (), pointer)
            instance.may_leave = True
            subtask.resolve(SubtaskState.RETURNED, lowered)

        cancel = begin(data, host, ty, values, on_resolve)
        if options.is_async and not subtask.is_resolved():
            subtask.on_cancel = cancel
            index = instance.handles.add(subtask)
            return _STARTED | index << 4
        return finish(subtask, thread, options, lambda: f"the host function `{host.name}`")

    return call


def current_task(instance: ComponentInstance) -> Task:
    """The task of the guest thread that is calling out of `instance`."""
    return running_thread(instance).task
