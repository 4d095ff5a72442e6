"""Calls of lowered functions as subtasks.  See `canon lower` in `CanonicalABI.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..abi.layout import MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS
from ..runtime.context import GuestContext, HostContext
from ..runtime.options import abi_options, adapter_options, is_by_pointer
from .lift import Lifted, conversion
from .subtask import Subtask, SubtaskState
from .task import CANCELLED
from .thread import Thread

if TYPE_CHECKING:
    from ..abi.layout import Options as AbiOptions
    from ..compile.program import GuestCall, HostCall, Options
    from ..runtime.host import HostFunc
    from ..runtime.instance import ComponentInstance, InstanceData
    from ..types import ValType

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


def has_pointer(result: ValType | None, static: AbiOptions, options: Options) -> bool:
    """Whether the last argument says where the result is to be stored."""
    return is_by_pointer(result, static) or (options.is_async and result is not None)


def lower_guest(data: InstanceData, trampoline: GuestCall) -> Callable[..., Raw]:
    """A function of another component instance, on raw values."""
    callee, outer = trampoline.callee, trampoline.options
    inner, ty = callee.options, callee.type
    caller = data.instances[outer.instance]
    abi, static = data.component.abi, adapter_options(outer, inner)
    max_params, max_results = flat_limits(outer)
    lift_params = abi.lift_params(ty.params, static, max_params)
    lower_result = abi.lower_result(ty.result, static, max_results)
    by_pointer = has_pointer(ty.result, static, outer)
    way = conversion(GuestContext, abi, ty, adapter_options(inner, outer))
    lifted = Lifted(data, callee, way)

    def call(*flat: Raw) -> Raw:
        if not caller.may_leave:
            caller.check_leave()
        thread = running_thread(caller)
        if ty.is_async and not outer.is_async:
            thread.task.check_may_block()
        subtask = Subtask()
        cx = GuestContext(caller, outer, subtask)

        def on_start() -> Any:
            subtask.note_progress()
            subtask.state = SubtaskState.STARTED
            return lift_params(cx, flat)

        def on_resolve(values: Any) -> None:
            subtask.note_progress()
            if values is CANCELLED:
                subtask.resolve_cancelled()
            else:
                raw = lower_result(cx, values, flat[-1] if by_pointer else None)
                subtask.resolve(SubtaskState.RETURNED, raw)

        task = lifted.start(on_start, on_resolve, thread)
        if subtask.state is SubtaskState.STARTING:
            task.try_to_start()
        if outer.is_async and not subtask.is_resolved():
            subtask.on_cancel = task.request_cancellation
            subtask.name = task.name
            subtask.index = index = caller.handles.add(subtask)
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
    return subtask.raw


def lower_host(data: InstanceData, host: HostFunc, trampoline: HostCall) -> Callable[..., Raw]:
    """A host function with an `async` type, on raw values.

    Its coroutine is a task of the loop that drives the store; guests go on meanwhile.
    """
    options, ty = trampoline.options, trampoline.type
    instance = data.instances[options.instance]
    abi, static = data.component.abi, abi_options(options)
    max_params, max_results = flat_limits(options)
    lift_params = abi.lift_params(ty.params, static, max_params)
    lower_result = abi.lower_result(ty.result, static, max_results)
    by_pointer = has_pointer(ty.result, static, options)
    check_out = None
    if by_pointer and options.is_async:
        assert ty.result is not None
        check_out = abi.check_out(ty.result, static)

    def lower(value: Any, pointer: int | None) -> Raw:
        instance.may_leave = False
        raw = lower_result(HostContext(instance, options, None), value, pointer)
        instance.may_leave = True
        return raw

    give = None if ty.result is None else lower

    def call(*flat: Raw) -> Raw:
        from .hosts import HostCall

        if not instance.may_leave:
            instance.check_leave()
        thread = running_thread(instance)
        if not options.is_async:
            thread.task.check_may_block()
        call = HostCall(host.name, ty, give, flat[-1] if by_pointer else None)
        cx = HostContext(instance, options, call)
        if check_out is not None:
            check_out(cx, flat[-1])
        call.begin(data.state, host, lift_params(cx, flat))
        if options.is_async and not call.is_resolved():
            call.index = index = instance.handles.add(call)
            return _STARTED | index << 4
        return finish(call, thread, options, call.describe)

    return call
