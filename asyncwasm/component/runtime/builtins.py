"""Canonical built-ins that need no concurrency: resources, and a thread's storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core import NumType

from ..concurrency import builtins as concurrent
from .drop import destroy
from .handles import ResourceHandle, get_resource, remove_resource

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import Builtin

    from .instance import ComponentInstance
    from .resources import ResourceImpl

# Takes the instance and the definition, and gives the function on raw values.
Factory = Callable[["ComponentInstance", "Builtin"], Callable[..., Any]]


def builtin(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    """The function of a built-in in an instance, on raw values."""
    return BUILTINS[definition.name](instance, definition)


def _impl(instance: ComponentInstance, definition: Builtin) -> ResourceImpl:
    assert definition.resource is not None
    return instance.data.resources[definition.resource]


def _resource_new(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    type = _impl(instance, definition).type
    add = instance.handles.add

    def resource_new(rep: int) -> int:
        if not instance.may_leave:
            instance.check_leave()
        return add(ResourceHandle(type, rep))

    return resource_new


def _resource_rep(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    type = _impl(instance, definition).type
    handles = instance.handles

    def resource_rep(index: int) -> int:
        return get_resource(handles, index, type).rep

    return resource_rep


def _resource_drop(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    impl = _impl(instance, definition)
    handles = instance.handles
    owner = impl.instance

    def resource_drop(index: int) -> None:
        if not instance.may_leave:
            instance.check_leave()
        handle = remove_resource(handles, index, impl.type)
        scope = handle.scope
        if scope is not None:
            scope.borrows -= 1
        elif owner is not None:
            destroy(impl, handle.rep)
        elif impl.host_destructor is not None:
            impl.host_destructor(handle.rep)

    def resource_drop_own(index: int) -> None:
        if not instance.may_leave:
            instance.check_leave()
        handle = remove_resource(handles, index, impl.type)
        if impl.destructor is not None:
            impl.destructor.fn(handle.rep)

    return resource_drop_own if owner is instance else resource_drop


def _context_get(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    slot = definition.slot
    assert slot is not None
    state = instance.state
    mask = _mask(definition, definition.core_type.func.results)

    def context_get() -> int:
        thread = state.current
        return 0 if thread is None else thread.storage[slot] & mask

    return context_get


def _context_set(instance: ComponentInstance, definition: Builtin) -> Callable[..., Any]:
    slot = definition.slot
    assert slot is not None
    state = instance.state

    def context_set(value: int) -> None:
        thread = state.current
        if thread is not None:
            thread.storage[slot] = value

    return context_set


def _mask(definition: Builtin, types: tuple[Any, ...]) -> int:
    return (1 << 64) - 1 if types[0] is NumType.I64 else (1 << 32) - 1


BUILTINS: Final[dict[str, Factory]] = {
    **concurrent.BUILTINS,
    "resource.new": _resource_new,
    "resource.rep": _resource_rep,
    "resource.drop": _resource_drop,
    "context.get": _context_get,
    "context.set": _context_set,
}
