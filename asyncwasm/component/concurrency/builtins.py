"""Canonical built-ins of the concurrent runtime, in the order of `CanonicalABI.md`.

Each factory takes the instance and the definition and gives the function on raw values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode

from ..runtime.context import HostContext
from ..runtime.options import abi_options
from ..types import Primitive
from .copying import MAX_LENGTH, CopyEnd, CopyResult, CopyState, OnCopy
from .error_context import ErrorContext, expect_error_context
from .future import ReadableFutureEnd, SharedFuture, WritableFutureEnd
from .lower import running_thread
from .stream import ReadableStreamEnd, SharedStream, WritableStreamEnd
from .subtask import expect_subtask
from .thread import Thread
from .transfer import expect_end
from .waitable import Event, EventCode, WaitableSet, expect_set, expect_waitable

if TYPE_CHECKING:
    from ..compile.program import Builtin
    from ..runtime.instance import ComponentInstance

Fn = Callable[..., Any]
Factory = Callable[["ComponentInstance", "Builtin"], Fn]

BLOCKED: Final = 0xFFFF_FFFF
MAX_BACKPRESSURE: Final = (1 << 16) - 1

# --- tasks -------------------------------------------------------------------------------------


def _backpressure_inc(instance: ComponentInstance, definition: Builtin) -> Fn:
    def backpressure_inc() -> None:
        if instance.backpressure == MAX_BACKPRESSURE:
            raise Trap(TrapCode.BACKPRESSURE_OVERFLOW)
        instance.backpressure += 1

    return backpressure_inc


def _backpressure_dec(instance: ComponentInstance, definition: Builtin) -> Fn:
    def backpressure_dec() -> None:
        if not instance.backpressure:
            raise Trap(TrapCode.BACKPRESSURE_OVERFLOW)
        instance.backpressure -= 1
        if not instance.backpressure:
            instance.gate.wake()

    return backpressure_dec


def _task_return(instance: ComponentInstance, definition: Builtin) -> Fn:
    options, result = definition.options, definition.type

    def task_return(*flat: Any) -> None:
        instance.check_leave()
        task = running_thread(instance).task
        mine = task.options
        if (
            mine is None
            or task.conversion is None
            or not mine.is_async
            or task.type is None
            or result != task.type.result
            or options.string_encoding is not mine.string_encoding
            or options.memory not in (None, mine.memory)
        ):
            raise Trap(TrapCode.TASK_RETURN_INVALID)
        task.check_unresolved()
        cx = task.conversion.context(instance, mine, task)
        task.return_(task.conversion.lift_return(cx, flat))

    return task_return


def _task_cancel(instance: ComponentInstance, definition: Builtin) -> Fn:
    def task_cancel() -> None:
        instance.check_leave()
        task = running_thread(instance).task
        if not task.async_lift:
            raise Trap(TrapCode.TASK_CANCEL_NOT_CANCELLED)
        task.cancel()

    return task_cancel


# --- waitables ---------------------------------------------------------------------------------


def _waitable_set_new(instance: ComponentInstance, definition: Builtin) -> Fn:
    def waitable_set_new() -> int:
        instance.check_leave()
        return instance.handles.add(WaitableSet())

    return waitable_set_new


def _deliver(instance: ComponentInstance, definition: Builtin) -> Callable[[Event, int], int]:
    index = definition.options.memory
    assert index is not None

    def deliver(event: Event, pointer: int) -> int:
        if pointer & 3:
            raise CanonicalAbiError("pointer not aligned")
        memory = instance.data.memories[index]
        if pointer + 8 > memory.size_bytes:
            raise CanonicalAbiError("pointer out of bounds of memory")
        code, handle, payload = event
        memory.view[pointer : pointer + 4] = handle.to_bytes(4, "little")
        memory.view[pointer + 4 : pointer + 8] = payload.to_bytes(4, "little")
        return int(code)

    return deliver


def _waitable_set_wait(instance: ComponentInstance, definition: Builtin) -> Fn:
    deliver = _deliver(instance, definition)
    cancellable = definition.cancellable

    def waitable_set_wait(index: int, pointer: int) -> int:
        instance.check_leave()
        thread = running_thread(instance)
        thread.task.check_may_block()
        wset = expect_set(instance.handles.get(index))
        return deliver(wset.wait_for_event(thread, cancellable), pointer)

    return waitable_set_wait


def _waitable_set_poll(instance: ComponentInstance, definition: Builtin) -> Fn:
    deliver = _deliver(instance, definition)
    cancellable = definition.cancellable

    def waitable_set_poll(index: int, pointer: int) -> int:
        instance.check_leave()
        wset = expect_set(instance.handles.get(index))
        return deliver(wset.poll(running_thread(instance), cancellable), pointer)

    return waitable_set_poll


def _waitable_set_drop(instance: ComponentInstance, definition: Builtin) -> Fn:
    def waitable_set_drop(index: int) -> None:
        instance.check_leave()
        wset = expect_set(instance.handles.get(index))
        instance.handles.remove(index)
        wset.discard()

    return waitable_set_drop


def _waitable_join(instance: ComponentInstance, definition: Builtin) -> Fn:
    def waitable_join(index: int, set_index: int) -> None:
        instance.check_leave()
        waitable = expect_waitable(instance.handles.get(index))
        waitable.join(expect_set(instance.handles.get(set_index)) if set_index else None)

    return waitable_join


# --- subtasks ----------------------------------------------------------------------------------


def _subtask_cancel(instance: ComponentInstance, definition: Builtin) -> Fn:
    is_async = definition.is_async

    def subtask_cancel(index: int) -> int:
        instance.check_leave()
        thread = running_thread(instance)
        if not is_async:
            thread.task.check_may_block()
        subtask = expect_subtask(instance.handles.get(index))
        if subtask.resolve_delivered or subtask.cancellation_requested:
            raise Trap(TrapCode.SUBTASK_CANCEL_AFTER_TERMINAL)
        if not is_async:
            subtask.refuse_in_set()
        if not subtask.is_resolved():
            subtask.cancellation_requested = True
            assert subtask.on_cancel is not None
            subtask.on_cancel()
            if not subtask.is_resolved():
                if is_async:
                    return BLOCKED
                subtask.wait_for_pending_event(thread)
        subtask.get_pending_event()
        return int(subtask.state)

    return subtask_cancel


def _subtask_drop(instance: ComponentInstance, definition: Builtin) -> Fn:
    def subtask_drop(index: int) -> None:
        instance.check_leave()
        subtask = expect_subtask(instance.handles.get(index))
        subtask.discard()
        instance.handles.remove(index)

    return subtask_drop


# --- streams and futures -----------------------------------------------------------------------


def _stream_new(instance: ComponentInstance, definition: Builtin) -> Fn:
    from .elements import resolve_element

    def stream_new() -> int:
        instance.check_leave()
        shared = SharedStream(resolve_element(instance, definition.type))
        readable = instance.handles.add(ReadableStreamEnd(shared))
        return readable | instance.handles.add(WritableStreamEnd(shared)) << 32

    return stream_new


def _future_new(instance: ComponentInstance, definition: Builtin) -> Fn:
    from .elements import resolve_element

    def future_new() -> int:
        instance.check_leave()
        shared = SharedFuture(resolve_element(instance, definition.type))
        readable = instance.handles.add(ReadableFutureEnd(shared))
        return readable | instance.handles.add(WritableFutureEnd(shared)) << 32

    return future_new


def _copy(kind: str, readable: bool) -> Factory:
    """The factory of `{stream,future}.{read,write}`."""
    stream = kind == "stream"
    code = {
        ("stream", True): EventCode.STREAM_READ,
        ("stream", False): EventCode.STREAM_WRITE,
        ("future", True): EventCode.FUTURE_READ,
        ("future", False): EventCode.FUTURE_WRITE,
    }[kind, readable]

    def factory(instance: ComponentInstance, definition: Builtin) -> Fn:
        from .buffers import GuestBuffer

        element, options = definition.type, definition.options

        def copy(index: int, pointer: int, count: int = 1) -> int:
            instance.check_leave()
            thread = running_thread(instance)
            if count > MAX_LENGTH:
                raise Trap(TrapCode.STREAM_OP_TOO_BIG)
            if not options.is_async:
                thread.task.check_may_block()
            end = expect_end(instance, kind, element, index)
            if end.readable is not readable:
                raise Trap(TrapCode.CONCURRENT_FUTURE_STREAM_OP)
            end.check_idle()
            if not options.is_async:
                end.refuse_in_set()
            buffer = GuestBuffer(instance, options, element, pointer, count, writing=not readable)

            def event(result: CopyResult) -> Event:
                if result is CopyResult.DROPPED or (not stream and result is CopyResult.COMPLETED):
                    end.state = CopyState.DONE
                else:
                    end.state = CopyState.IDLE
                progress = buffer.progress << 4 if stream else 0
                return code, index, result | progress

            def on_done(result: CopyResult) -> None:
                end.set_pending_event(lambda: event(result))

            end.state = CopyState.COPYING
            shared = end.shared
            operation = shared.read if readable else shared.write
            if stream:
                operation(buffer, _on_copy(end, event), on_done)
            else:
                operation(buffer, on_done)
            if not end.has_pending_event():
                if options.is_async:
                    return BLOCKED
                end.wait_for_pending_event(thread)
            return end.get_pending_event()[2]

        return copy

    return factory


def _on_copy(end: CopyEnd, event: Callable[[CopyResult], Event]) -> OnCopy:
    def on_copy(reclaim: Callable[[], None]) -> None:
        # Until it is delivered, more may be copied, which the same event then tells of.
        def completed() -> Event:
            reclaim()
            return event(CopyResult.COMPLETED)

        end.set_pending_event(completed)

    return on_copy


def _cancel_copy(kind: str, readable: bool) -> Factory:
    """The factory of `{stream,future}.cancel-{read,write}`."""

    def factory(instance: ComponentInstance, definition: Builtin) -> Fn:
        element, is_async = definition.type, definition.is_async

        def cancel_copy(index: int) -> int:
            instance.check_leave()
            thread = running_thread(instance)
            if not is_async:
                thread.task.check_may_block()
            end = expect_end(instance, kind, element, index)
            if end.readable is not readable:
                passed, wanted = ("read", "write") if end.readable else ("write", "read")
                raise CanonicalAbiError(
                    f"passed {passed} end to `{{stream|future}}.cancel-{wanted}`"
                )
            if end.state is not CopyState.COPYING or end.has_sync_waiter:
                verb = "read" if readable else "write"
                raise CanonicalAbiError(
                    f"stream or future {verb} cancelled when no {verb} is pending"
                )
            if not is_async:
                end.refuse_in_set()
            end.state = CopyState.CANCELLING
            if end.has_pending_event():
                payload = end.get_pending_event()[2]
                # What has been copied already counts, but nothing more will be.
                completed = kind == "stream" and payload & 0xF == CopyResult.COMPLETED
                return payload | CopyResult.CANCELLED if completed else payload
            end.shared.cancel()
            if not end.has_pending_event():
                if is_async:
                    return BLOCKED
                end.wait_for_pending_event(thread)
            return end.get_pending_event()[2]

        return cancel_copy

    return factory


def _drop_end(kind: str, readable: bool) -> Factory:
    """The factory of `{stream,future}.drop-{readable,writable}`."""

    def factory(instance: ComponentInstance, definition: Builtin) -> Fn:
        element = definition.type
        name = f"{kind}.drop-{'readable' if readable else 'writable'}"

        def drop_end(index: int) -> None:
            instance.check_leave()
            end = expect_end(instance, kind, element, index)
            if end.readable is not readable:
                passed = "read" if end.readable else "write"
                raise CanonicalAbiError(f"passed {passed} end to `{name}`")
            end.discard()
            instance.handles.remove(index)

        return drop_end

    return factory


# --- error contexts ----------------------------------------------------------------------------


def _error_context_new(instance: ComponentInstance, definition: Builtin) -> Fn:
    options = definition.options
    abi = instance.data.component.abi
    lift = abi.lift_params((("message", Primitive.STRING),), abi_options(options))

    def error_context_new(pointer: int, length: int) -> int:
        instance.check_leave()
        cx = HostContext(instance, options, None)
        [message] = lift(cx, (pointer, length))
        return instance.handles.add(ErrorContext(message))

    return error_context_new


def _error_context_debug_message(instance: ComponentInstance, definition: Builtin) -> Fn:
    options = definition.options
    abi, static = instance.data.component.abi, abi_options(options)
    check = abi.check_out(Primitive.STRING, static)
    store = abi.store(Primitive.STRING, static)

    def error_context_debug_message(index: int, pointer: int) -> None:
        instance.check_leave()
        context = expect_error_context(instance.handles.get(index))
        cx = HostContext(instance, options, None)
        check(cx, pointer)
        store(cx, context.debug_message, pointer)

    return error_context_debug_message


def _error_context_drop(instance: ComponentInstance, definition: Builtin) -> Fn:
    def error_context_drop(index: int) -> None:
        instance.check_leave()
        expect_error_context(instance.handles.get(index))
        instance.handles.remove(index)

    return error_context_drop


# --- threads -----------------------------------------------------------------------------------


def _expect_thread(instance: ComponentInstance, index: int) -> Thread:
    item = instance.threads.get(index)
    if not isinstance(item, Thread):
        raise CanonicalAbiError("handle is not a guest thread")
    return item


def _thread_index(instance: ComponentInstance, definition: Builtin) -> Fn:
    def thread_index() -> int:
        instance.check_leave()
        return running_thread(instance).index

    return thread_index


def _thread_new_indirect(instance: ComponentInstance, definition: Builtin) -> Fn:
    number, wanted = definition.table, definition.start
    assert number is not None

    def thread_new_indirect(index: int, argument: int) -> int:
        instance.check_leave()
        task = running_thread(instance).task
        elements = instance.data.tables[number].elements
        if index >= len(elements):
            raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
        func = elements[index]
        if func is None:
            raise Trap(TrapCode.THREAD_NEW_INDIRECT_UNINITIALIZED)
        if func.type != wanted:
            raise Trap(TrapCode.THREAD_NEW_INDIRECT_INVALID_TYPE)

        def run() -> None:
            task.run_guest(func.fn, argument)
            task.unregister_thread(thread)

        thread = Thread(task, run)
        task.register_thread(thread)
        return thread.index

    return thread_new_indirect


def _thread_resume_later(instance: ComponentInstance, definition: Builtin) -> Fn:
    def thread_resume_later(index: int) -> None:
        instance.check_leave()
        _expect_thread(instance, index).resume_later()

    return thread_resume_later


def _thread_suspend(instance: ComponentInstance, definition: Builtin) -> Fn:
    cancellable = definition.cancellable

    def thread_suspend() -> int:
        instance.check_leave()
        return int(running_thread(instance).suspend(cancellable))

    return thread_suspend


def _thread_yield(instance: ComponentInstance, definition: Builtin) -> Fn:
    cancellable = definition.cancellable

    def thread_yield() -> int:
        instance.check_leave()
        return int(running_thread(instance).yield_(cancellable))

    return thread_yield


def _switch(method: Callable[[Thread, bool, Thread], bool]) -> Factory:
    """The factory of the built-ins that switch to another thread."""

    def factory(instance: ComponentInstance, definition: Builtin) -> Fn:
        cancellable = definition.cancellable

        def switch(index: int) -> int:
            instance.check_leave()
            other = _expect_thread(instance, index)
            return int(method(running_thread(instance), cancellable, other))

        return switch

    return factory


BUILTINS: Final[dict[str, Factory]] = {
    "backpressure.inc": _backpressure_inc,
    "backpressure.dec": _backpressure_dec,
    "task.return": _task_return,
    "task.cancel": _task_cancel,
    "waitable-set.new": _waitable_set_new,
    "waitable-set.wait": _waitable_set_wait,
    "waitable-set.poll": _waitable_set_poll,
    "waitable-set.drop": _waitable_set_drop,
    "waitable.join": _waitable_join,
    "subtask.cancel": _subtask_cancel,
    "subtask.drop": _subtask_drop,
    "stream.new": _stream_new,
    "stream.read": _copy("stream", True),
    "stream.write": _copy("stream", False),
    "stream.cancel-read": _cancel_copy("stream", True),
    "stream.cancel-write": _cancel_copy("stream", False),
    "stream.drop-readable": _drop_end("stream", True),
    "stream.drop-writable": _drop_end("stream", False),
    "future.new": _future_new,
    "future.read": _copy("future", True),
    "future.write": _copy("future", False),
    "future.cancel-read": _cancel_copy("future", True),
    "future.cancel-write": _cancel_copy("future", False),
    "future.drop-readable": _drop_end("future", True),
    "future.drop-writable": _drop_end("future", False),
    "error-context.new": _error_context_new,
    "error-context.debug-message": _error_context_debug_message,
    "error-context.drop": _error_context_drop,
    "thread.index": _thread_index,
    "thread.new-indirect": _thread_new_indirect,
    "thread.resume-later": _thread_resume_later,
    "thread.suspend": _thread_suspend,
    "thread.yield": _thread_yield,
    "thread.suspend-then-resume": _switch(Thread.suspend_then_resume),
    "thread.yield-then-resume": _switch(Thread.yield_then_resume),
    "thread.suspend-then-promote": _switch(Thread.suspend_then_promote),
    "thread.yield-then-promote": _switch(Thread.yield_then_promote),
}
