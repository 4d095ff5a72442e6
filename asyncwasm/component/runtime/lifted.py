"""Calls of lifted functions by the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from asyncwasm.component.abi import needs_context
from asyncwasm.component.types import Result
from asyncwasm.component.values import Ok
from asyncwasm.core.runtime.calls import at_turn, enter
from asyncwasm.errors import ComponentError, ThrownException, Trap, TrapCode

from .context import HostContext
from .options import abi_options, is_by_pointer, is_spilled

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import LiftedFunction
    from asyncwasm.core import Caller

    from .instance import InstanceData

# Scalars need no context.
_BLANK: Any = None


@final
class _Refused:
    """Arguments that were refused before any guest code ran."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


@final
class Runner:
    """What calls one lifted function of one instance."""

    __slots__ = ("_count", "_data", "_fallible", "_lift", "_lower", "_run", "_scalar", "_state")

    def __init__(self, data: InstanceData, lifted: LiftedFunction) -> None:
        ty = lifted.type
        abi, options = data.component.abi, abi_options(lifted.options)
        types = tuple(t for _, t in ty.params) + (() if ty.result is None else (ty.result,))
        self._data = data
        self._state = data.state
        self._count = len(ty.params)
        self._fallible = isinstance(ty.result, Result)
        self._lower = abi.lower_params(ty.params, options)
        self._lift = abi.lift_result(ty.result, options)
        self._scalar = (
            not needs_context(types)
            and not is_by_pointer(ty.result, options)
            and not is_spilled(ty, options)
        )
        self._run = self._scalar_run(lifted) if self._scalar else self._full_run(lifted)

    def call(self, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
        """Call it from a sync entry point whose split check has passed."""
        if len(args) != self._count:
            raise TypeError(f"expected {self._count} argument(s), got {len(args)}")
        if self._scalar:
            args = self._lower(_BLANK, args)
        store = self._data.store
        store.enter_nowait(caller)
        state = self._state
        current = state.current
        if current is not None or store.failed:
            state.check_entry(self._data)
        try:
            result = enter(store, self._run, args, False)
        except BaseException:
            state.current = current
            raise
        return self._finish(result)

    async def call_async(self, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
        """Call it on a fiber, when it is the call's turn."""
        if len(args) != self._count:
            raise TypeError(f"expected {self._count} argument(s), got {len(args)}")
        if self._scalar:
            args = self._lower(_BLANK, args)
        result = await at_turn(self._data.store, caller, self._enter, self._run, args)
        return self._finish(result)

    def _enter(
        self, store: Any, run: Callable[..., Any], args: tuple[Any, ...], may_suspend: bool
    ) -> Any:
        state = self._state
        current = state.current
        if current is not None or store.failed:
            state.check_entry(self._data)
        try:
            return enter(store, run, args, may_suspend)
        except BaseException:
            state.current = current
            raise

    def _finish(self, result: Any) -> Any:
        if type(result) is _Refused:
            raise result.error
        if self._fallible:
            if isinstance(result, Ok):
                return result.value
            raise ComponentError(result.value)
        return result

    def _scalar_run(self, lifted: LiftedFunction) -> Callable[..., Any]:
        data, lift = self._data, self._lift
        instance = data.instances[lifted.options.instance]
        func = data.func(lifted.core)
        index = lifted.options.post_return
        post = None if index is None else data.funcs[index]

        def run(*flat: Any) -> Any:
            thread = instance.enter()
            try:
                raw = func.fn(*flat)
                value = lift(_BLANK, raw)
                if post is not None:
                    instance.may_leave = False
                    post.fn() if raw is None else post.fn(raw)
                    instance.may_leave = True
            except ThrownException:
                raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None
            instance.leave(thread)
            return value

        return run

    def _full_run(self, lifted: LiftedFunction) -> Callable[..., Any]:
        data, lift, lower = self._data, self._lift, self._lower
        options = lifted.options
        instance = data.instances[options.instance]
        func = data.func(lifted.core)
        post = None if options.post_return is None else data.funcs[options.post_return]

        def run(*args: Any) -> Any:
            thread = instance.enter()
            task = thread.task
            cx = HostContext(instance, options, task)
            instance.may_leave = False
            try:
                flat = lower(cx, args)
            except (TypeError, ValueError, OverflowError) as error:
                if cx.allocations:
                    raise
                cx.undo()
                task.release()
                instance.may_leave = True
                instance.leave(thread)
                return _Refused(error)
            instance.may_leave = True
            try:
                raw = func.fn(*flat)
                task.check_borrows()
                value = lift(cx, raw)
                if post is not None:
                    instance.may_leave = False
                    post.fn() if raw is None else post.fn(raw)
                    instance.may_leave = True
            except ThrownException:
                raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None
            task.release()
            instance.leave(thread)
            return value

        return run
