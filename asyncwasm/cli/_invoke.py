"""Calling a function of a component from the command line."""

from __future__ import annotations

from typing import Any

from asyncwasm import Store
from asyncwasm.component import Component, Func, Instance, Linker
from asyncwasm.component.types import ComponentType, FuncType, InstanceType, Result
from asyncwasm.component.values import Err, Ok
from asyncwasm.component.wave import WaveError, call_name, format_value, parse_arguments
from asyncwasm.component.wit import type_text
from asyncwasm.errors import ComponentError

from ._failure import Failure


async def invoke_component(store: Store[Any], component: Component, call: str) -> int:
    """Make the call `name(argument, …)`, print what it gives, and return the exit status.

    What the component imports is not there: calling it raises `UnknownImportError`.
    """
    linker = Linker(component.engine)
    linker.define_unknown_imports_as_traps(component)
    instance = await linker.instantiate_async(store, component)
    func = _find(store, instance, call_name(call))
    ty = func.ty(store)
    types = [param for _, param in ty.params]
    try:
        values = parse_arguments(call, types, component.classes)
    except WaveError as error:
        raise Failure(f"{error} of `{call}`, for {_signature(ty)}") from error
    status = 0
    try:
        found = await func.call_async(store, *values)
        if isinstance(ty.result, Result):
            found = Ok(found)
    except ComponentError as error:
        found = Err(error.payload)
        status = 1
    if ty.result is not None:
        try:
            print(format_value(found, ty.result))
        except ValueError as error:
            raise Failure(str(error)) from error
    return status


def _find(store: Store[Any], instance: Instance, name: str) -> Func:
    """The function called `name`, `interface#name`, or `name` in only one interface."""
    paths = list(_functions(instance.component.component_type(), ()))
    found = [path for path in paths if "#".join(path) == name]
    found = found or [path for path in paths if path[-1] == name]
    if len(found) != 1:
        kind = "one function" if found else "function"
        names = ", ".join(f"`{'#'.join(path)}`" for path in found or paths) or "none"
        raise Failure(f"no {kind} is exported as `{name}`; there are {names}")
    index = None
    for part in found[0]:
        index = instance.get_export(store, index, part)
    assert index is not None
    func = instance.get_func(store, index)
    assert func is not None
    return func


def _functions(ty: ComponentType | InstanceType, path: tuple[str, ...]) -> Any:
    for name, item in ty.exports.items():
        if isinstance(item, FuncType):
            yield (*path, name)
        elif isinstance(item, InstanceType):
            yield from _functions(item, (*path, name))


def _signature(ty: FuncType) -> str:
    params = ", ".join(f"{name}: {type_text(each)}" for name, each in ty.params)
    result = "" if ty.result is None else f" -> {type_text(ty.result)}"
    return f"`func({params}){result}`"
