"""`canon lower` of a host function: from raw values to Python's and back."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncwasm.component.abi import needs_context
from asyncwasm.component.types import Result
from asyncwasm.component.values import Err, Ok
from asyncwasm.core import Caller, CallHook
from asyncwasm.errors import ComponentError, UsageError

from ..concurrency.hosts import destroy
from ..concurrency.lower import lower_host
from .context import HostContext
from .options import abi_options, is_by_pointer
from .state import state_of
from .task import CallScope

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import HostCall
    from asyncwasm.component.types import ValType
    from asyncwasm.core import Store

    from .host import HostFunc
    from .instance import ComponentInstance, InstanceData
    from .state import StoreState


def host_call(data: InstanceData, trampoline: HostCall) -> Callable[..., Any]:
    """The host function of an import, on raw values."""
    options = trampoline.options
    instance = data.instances[options.instance]
    host: HostFunc = data.imports[trampoline.import_index]
    ty = trampoline.type
    if ty.is_async:
        return lower_host(data, host, trampoline)
    result = ty.result
    types = tuple(t for _, t in ty.params) + (() if result is None else (result,))
    abi = data.component.abi
    static = abi_options(options)
    lift = abi.lift_params(ty.params, static)
    lower = abi.lower_result(result, static)
    call = caller_of_host(instance, host, ty if host.dynamic else None, result)
    store = data.store
    by_pointer = is_by_pointer(result, static)

    if not needs_context(types) and not by_pointer:
        # Neither memory nor handles: nothing to look after but the values.
        blank: Any = None

        def scalar_call(*flat: Any) -> Any:
            if not instance.may_leave:
                instance.check_leave()
            if store._hook is not None:
                store.fire(CallHook.CALLING_HOST)
            found = call(lift(blank, flat))
            if store._hook is not None:
                store.fire(CallHook.RETURNING_FROM_HOST)
            return lower(blank, found, None)

        return scalar_call

    def full_call(*flat: Any) -> Any:
        if not instance.may_leave:
            instance.check_leave()
        if store._hook is not None:
            store.fire(CallHook.CALLING_HOST)
        scope = CallScope()
        cx = HostContext(instance, options, scope)
        found = call(lift(cx, flat))
        scope.check_borrows()
        scope.release()
        instance.may_leave = False
        raw = lower(cx, found, flat[-1] if by_pointer else None)
        instance.may_leave = True
        if store._hook is not None:
            store.fire(CallHook.RETURNING_FROM_HOST)
        return raw

    return full_call


def caller_of_host(
    instance: ComponentInstance, host: HostFunc, type: object | None, result: ValType | None
) -> Callable[[Any], Any]:
    """A function that calls the host function with lifted arguments, and awaits if it has to."""
    store = instance.data.store
    state = instance.state
    fn, may_await = host.fn, host.kind == "async"

    def plain(args: Any) -> Any:
        found = fn(*args)
        if found is not None and isinstance(found, Awaitable):
            held = [found]
            del found
            return await_host(store, state, held, None, host, may_await)
        return found

    def with_caller(args: Any) -> Any:
        caller: Caller[Any] = Caller(store, None)
        try:
            found = fn(caller, *args) if type is None else fn(caller, type, *args)
            if found is not None and isinstance(found, Awaitable):
                held = [found]
                del found
                return await_host(store, state, held, caller, host, may_await)
            return found
        finally:
            caller.expire()

    simple = with_caller if host.takes_caller else plain
    if result is None:

        def action(args: Any) -> None:
            no_result(simple(args), host)

        return action
    if not isinstance(result, Result):
        return simple

    def checked(args: Any) -> Any:
        try:
            found = simple(args)
        except ComponentError as error:
            return Err(error.payload)
        return found if isinstance(found, (Ok, Err)) else Ok(found)

    return checked


def await_host(
    store: Store[Any],
    state: StoreState,
    held: list[Any],
    caller: Caller[Any] | None,
    host: HostFunc,
    may_await: bool,
) -> Any:
    """Suspend the guest until what is in `held` is done; see `Store.wait`."""
    if not may_await:
        found = held.pop()
        if inspect.iscoroutine(found):
            found.close()
        raise UsageError(
            f"host function `{host.name}` returned an awaitable: define it with "
            "`func_wrap_async` or `func_new_async`"
        )
    current = state.current
    result = store.wait(held.pop(), caller)
    state.current = current
    return result


def no_result(found: Any, host: HostFunc) -> None:
    """Raise `TypeError` if a function without a result returned one."""
    if found is not None and found != ():
        raise TypeError(f"host function `{host.name}` has no result, but returned {found!r}")


def caller_of_destructor(store: Store[Any], destructor: HostFunc) -> Callable[[int], None]:
    """A function that calls a host destructor with a representation, and awaits if it has to."""
    state = state_of(store)
    fn, may_await = destructor.fn, destructor.kind != "sync"

    def call(rep: int) -> None:
        caller: Caller[Any] | None = Caller(store, None) if destructor.takes_caller else None
        if store._hook is not None:
            store.fire(CallHook.CALLING_HOST)
        try:
            found = fn(rep) if caller is None else fn(caller, rep)
            if found is not None and isinstance(found, Awaitable):
                held = [found]
                del found
                await_host(store, state, held, caller, destructor, may_await)
        finally:
            if caller is not None:
                caller.expire()
        if store._hook is not None:
            store.fire(CallHook.RETURNING_FROM_HOST)

    def call_concurrently(rep: int) -> None:
        if not destroy(state, destructor, rep):
            call(rep)

    return call_concurrently if destructor.kind == "concurrent" else call
