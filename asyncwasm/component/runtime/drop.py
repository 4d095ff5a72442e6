"""Dropping what the host holds, and the destructors of guests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.runtime.calls import at_turn, enter
from asyncwasm.errors import ThrownException, Trap, TrapCode

from .state import state_of

if TYPE_CHECKING:
    from asyncwasm.component.resource import ResourceAny
    from asyncwasm.core import Caller, Store

    from .host_table import HostEntry
    from .resources import ResourceImpl

CLASSIC_ASYNC = "must use `resource_drop_async` when async support is enabled on the config"
CLASSIC_SYNC = "cannot use `resource_drop_async` without enabling async support in the config"


def drop_sync(store: Store[Any], caller: Caller[Any] | None, resource: ResourceAny) -> None:
    """`ResourceAny.resource_drop`."""
    store.check_sync(CLASSIC_ASYNC)
    store.enter_nowait(caller)
    _drop(store, resource, False)


async def drop_async(store: Store[Any], caller: Caller[Any] | None, resource: ResourceAny) -> None:
    """`ResourceAny.resource_drop_async`."""
    store.check_async(CLASSIC_SYNC)
    await at_turn(store, caller, _drop_at_turn, _nothing, (resource,))


def _nothing() -> None: ...


def _drop_at_turn(store: Store[Any], fn: Any, args: tuple[Any, ...], may_suspend: bool) -> None:
    _drop(store, args[0], may_suspend)


def _drop(store: Store[Any], resource: ResourceAny, may_suspend: bool) -> None:
    entry: HostEntry = resource.take()
    if entry.scope is not None:
        entry.scope.borrows -= 1
        return
    impl = entry.impl
    instance = impl.instance
    state = state_of(store)
    if instance is None:
        if impl.host_destructor is not None:
            before = state.current
            try:
                enter(store, impl.host_destructor, (entry.rep,), may_suspend)
            finally:
                state.current = before
        return
    state.check_entry(instance.data)
    if impl.destructor is not None:
        before = state.current
        try:
            enter(store, destroy, (impl, entry.rep), may_suspend)
        finally:
            state.current = before


def destroy(impl: ResourceImpl, rep: int) -> None:
    """Call the destructor of a guest's resource type as a synchronous task of its instance."""
    instance = impl.instance
    assert instance is not None
    thread = instance.enter()
    if impl.destructor is not None:
        try:
            impl.destructor.fn(rep)
        except ThrownException:
            raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None
    instance.leave(thread)
