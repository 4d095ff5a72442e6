"""Calls of lifted functions as tasks.  See `canon lift` in `CanonicalABI.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.errors import Trap, TrapCode

from ..runtime import task as sync
from ..runtime.context import Context, HostContext
from .task import OnResolve, OnStart, Task
from .thread import Thread
from .waitable import CANCELLED_EVENT, NO_EVENT, Event, expect_set

if TYPE_CHECKING:
    from ..abi import Abi
    from ..abi.codec import Params
    from ..abi.layout import Options as AbiOptions
    from ..compile.program import LiftedFunction
    from ..runtime.instance import InstanceData
    from ..types import FuncType

_EXIT: Final = 0
_YIELD: Final = 1
_WAIT: Final = 2


@final
@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """How values get into and out of a callee, which depends on who calls.

    `lower_args(cx, values)` gives core arguments; `lift_result(cx, raw)` the result of a core
    function and `lift_return(cx, flat)` the one given to `task.return`.
    """

    context: type[Context]
    lower_args: Callable[..., Any]
    lift_result: Callable[..., Any]
    lift_return: Callable[..., Any]


def conversion(context: type[Context], abi: Abi, ty: FuncType, options: AbiOptions) -> Conversion:
    """How values get into and out of a function of type `ty` with these options."""
    results: Params = () if ty.result is None else (("result", ty.result),)
    lift = abi.lift_params(results, options)

    def lift_return(cx: Context, flat: Sequence[Any]) -> Any:
        values = lift(cx, flat)
        return values[0] if values else None

    return Conversion(
        context,
        abi.lower_params(ty.params, options),
        abi.lift_result(ty.result, options),
        lift_return,
    )


@final
class Refused:
    """The result of a call whose arguments were refused before any guest code ran."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def has_switching(data: InstanceData) -> bool:
    """Whether guest threads are made explicitly, so that any task may be switched away from."""
    return any(
        getattr(trampoline, "name", "") == "thread.new-indirect"
        for trampoline in data.program.trampolines
    )


@final
class Lifted:
    """A lifted function of an instance, for calls that may do more than run and return.

    Functions of an `async` type run on a fiber, others on the stack of their caller unless there
    are explicit threads, which they may switch to.
    """

    __slots__ = (
        "_callback",
        "_core",
        "_on_fiber",
        "_post_return",
        "conversion",
        "data",
        "function",
        "instance",
        "name",
    )

    def __init__(
        self, data: InstanceData, function: LiftedFunction, conversion: Conversion, name: str = ""
    ) -> None:
        options = function.options
        self.data = data
        self.function = function
        self.conversion = conversion
        self.name = name
        self.instance = data.instances[options.instance]
        self._core = data.func(function.core)
        self._callback = None if options.callback is None else data.funcs[options.callback]
        post = options.post_return
        self._post_return = None if post is None else data.funcs[post]
        self._on_fiber = function.type.is_async or has_switching(data)

    def start(self, on_start: OnStart, on_resolve: OnResolve, caller: sync.Thread | None) -> Task:
        """Begin a call: it has run until it first blocked, or to its end.

        Values go the way that the conversion says.  Raises what guest code raises.
        """
        function = self.function
        options = function.options
        state = self.instance.state
        task = Task(
            self.instance,
            function.type,
            on_start,
            on_resolve,
            async_lift=options.is_async,
            callback=options.callback is not None,
            caller=caller,
            options=options,
            conversion=self.conversion,
            name=self.name,
        )
        if self._on_fiber:
            thread = Thread(task, partial(task.run_guest, self._run, task))
            task.implicit_thread = thread
            thread.resume()
        else:
            task.implicit_thread = thread = Thread(task, None)
            before, state.current = state.current, thread
            task.run_guest(self._run, task)
            state.current = before
        if not function.type.is_async:
            while not task.resolved:
                if not task.run_ready_sibling():
                    raise Trap(TrapCode.CANNOT_BLOCK_SYNC_TASK)
        return task

    def _run(self, task: Task) -> None:
        thread = task.implicit_thread
        assert thread is not None
        if not task.enter_implicit_thread(thread):
            return
        instance, conversion = self.instance, self.conversion
        options = self.function.options
        cx = conversion.context(instance, options, task)
        values = task.start()
        instance.may_leave = False
        try:
            flat = conversion.lower_args(cx, values)
        except (TypeError, ValueError, OverflowError) as error:
            if cx.inside or not isinstance(cx, HostContext):
                raise
            cx.undo()
            task.release()
            task.resolve(Refused(error))
            task.exit_implicit_thread()
            return
        finally:
            instance.may_leave = True
        if options.is_async:
            self._run_async(task, thread, flat)
        else:
            raw = self._core.fn(*flat)
            task.check_borrows()
            task.return_(conversion.lift_result(cx, raw))
            if self._post_return is not None:
                instance.may_leave = False
                self._post_return.fn() if raw is None else self._post_return.fn(raw)
                instance.may_leave = True
        task.exit_implicit_thread()

    def _run_async(self, task: Task, thread: Thread, flat: tuple[Any, ...]) -> None:
        callback = self._callback
        if callback is None:
            self._core.fn(*flat)
            return
        instance = self.instance
        packed = self._core.fn(*flat)
        while packed & 0xF != _EXIT:
            # Others may have the instance while this one has nothing on the stack.
            task.release_exclusive()
            event = self._next_event(thread, packed & 0xF, packed >> 4)
            instance.exclusive = thread
            packed = callback.fn(*event)

    def _next_event(self, thread: Thread, code: int, index: int) -> Event:
        instance = self.instance
        if code == _YIELD:
            cancelled = thread.yield_when(
                lambda: instance.exclusive is None, (instance.gate,), cancellable=True
            )
            return CANCELLED_EVENT if cancelled else NO_EVENT
        if code == _WAIT:
            wset = expect_set(instance.handles.get(index))
            thread.task.check_may_block()
            return wset.wait_for_event(thread, True, instance.gate)
        raise Trap(TrapCode.UNSUPPORTED_CALLBACK_CODE)
