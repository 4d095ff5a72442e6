"""Calls of lifted functions by the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.component.abi import needs_context
from asyncwasm.component.types import Result
from asyncwasm.component.values import Ok
from asyncwasm.core import NumType
from asyncwasm.core.runtime.calls import at_turn, enter, raise_direct
from asyncwasm.core.runtime.func import REFUSED
from asyncwasm.errors import CanonicalAbiError, ComponentError, ThrownException, Trap, TrapCode

from ..concurrency.lift import Lifted, Refused, conversion
from ..concurrency.run import Accessor, call_async, call_concurrent, call_sync
from .context import HostContext
from .options import abi_options, is_by_pointer, is_spilled

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import LiftedFunction
    from asyncwasm.core import Caller, Func

    from .instance import InstanceData

# Scalars need no context.
_BLANK: Any = None
# What makes a signed integer the unsigned one of the same bits.
_MASKS: Final[dict[object, int]] = {NumType.I32: (1 << 32) - 1, NumType.I64: (1 << 64) - 1}


@final
class Runner:
    """What calls one lifted function of one instance."""

    __slots__ = (
        "_core",
        "_count",
        "_data",
        "_fallible",
        "_instance",
        "_lift",
        "_lifted",
        "_lower",
        "_mask",
        "_name",
        "_run",
        "_scalar",
        "_state",
        "_task",
    )

    def __init__(self, data: InstanceData, lifted: LiftedFunction, name: str) -> None:
        ty = lifted.type
        abi, options = data.component.abi, abi_options(lifted.options)
        types = tuple(t for _, t in ty.params) + (() if ty.result is None else (ty.result,))
        self._data = data
        self._state = data.state
        self._instance = data.instances[lifted.options.instance]
        self._count = len(ty.params)
        self._fallible = isinstance(ty.result, Result)
        self._lower = abi.lower_params(ty.params, options)
        self._lift = abi.lift_result(ty.result, options)
        self._scalar = (
            not needs_context(types)
            and not is_by_pointer(ty.result, options)
            and not is_spilled(ty, options)
        )
        self._lifted = lifted
        self._name = name
        # The core function, where nothing but its call stands between the host and the values.
        self._core: Func | None = None
        if self._scalar and self._instance.plain and lifted.options.post_return is None:
            self._core = data.func(lifted.core)
        results = lifted.core_type.func.results
        self._mask = _MASKS.get(results[0]) if results else None
        self._task = None if data.plain else self._as_task()
        self._run = self._scalar_run(lifted) if self._scalar else self._full_run(lifted)

    def _as_task(self) -> Lifted:
        lifted, abi = self._lifted, self._data.component.abi
        way = conversion(HostContext, abi, lifted.type, abi_options(lifted.options))
        return Lifted(self._data, lifted, way, self._name)

    def call(self, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
        """Call it from a sync entry point whose split check has passed."""
        if len(args) != self._count:
            raise TypeError(f"expected {self._count} argument(s), got {len(args)}")
        if self._task is not None and not self._instance.plain:
            return self._finish(call_sync(self._task, caller, args))
        store = self._data.store
        state = self._state
        current = state.current
        if self._scalar:
            args = self._lower(_BLANK, args)
            core = self._core
            if core is not None and core.direct is not None and current is None:
                result = self._call_direct(core.direct, args)
                if result is not REFUSED:
                    return self._finish(result) if self._fallible else result
        store.enter_nowait(caller)
        if current is not None or store.failed:
            state.check_entry(self._data)
        try:
            result = enter(store, self._run, args, False)
        except BaseException as error:
            state.recover(current, error)
            raise
        return result if self._scalar and not self._fallible else self._finish(result)

    def _call_direct(self, direct: Callable[..., Any], flat: tuple[Any, ...]) -> Any:
        """Call by way of native code that enters the store itself; `REFUSED` if it does not."""
        data = self._data
        store, state = data.store, self._state
        if store.failed:
            raise Trap(TrapCode.CANNOT_ENTER_COMPONENT)
        instance = self._instance
        # All of it in here: a signal handler may raise anywhere.
        try:
            thread = instance.enter()
            raw = direct(store, *flat)
            instance.leave(thread)
        except BaseException as error:
            state.current = None
            if isinstance(error, ThrownException):
                error = Trap(TrapCode.UNCAUGHT_EXCEPTION)
            raise_direct(store, error)
        if raw is REFUSED:
            return raw
        # What comes out of there is signed.
        mask = self._mask
        return self._lift(_BLANK, raw if mask is None else raw & mask)

    async def call_async(self, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
        """Call it on a fiber, when it is the call's turn."""
        if len(args) != self._count:
            raise TypeError(f"expected {self._count} argument(s), got {len(args)}")
        if self._task is not None:
            return self._finish(await call_async(self._task, caller, args))
        if self._scalar:
            args = self._lower(_BLANK, args)
        result = await at_turn(self._data.store, caller, self._enter, self._run, args)
        return self._finish(result)

    async def call_concurrent(self, accessor: Accessor[Any], args: tuple[Any, ...]) -> Any:
        """Call it in the scope of an accessor, next to other calls."""
        if len(args) != self._count:
            raise TypeError(f"expected {self._count} argument(s), got {len(args)}")
        if self._task is None:
            self._task = self._as_task()
        return self._finish(await call_concurrent(self._task, accessor, args))

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
        if type(result) is Refused:
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
            except (TypeError, ValueError, OverflowError, CanonicalAbiError) as error:
                # Not so what came out of the allocator, or is wrong with what it gave.
                if cx.inside or (isinstance(error, CanonicalAbiError) and not cx.refusing):
                    raise
                cx.undo()
                task.release()
                instance.may_leave = True
                instance.leave(thread)
                return Refused(error)
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
