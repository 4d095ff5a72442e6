"""Instantiation: the initialisers of a program, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asyncwasm.component.compile.program import (
    DefineResource,
    ExtractFunc,
    ExtractMemory,
    ExtractTable,
    ImportResource,
    Initializer,
    InstantiateImport,
    InstantiateStatic,
)
from asyncwasm.core.runtime.instance import instantiate as instantiate_core

from .instance import InstanceData
from .resources import Identity, ResourceImpl, ResourceType

if TYPE_CHECKING:
    from asyncwasm.component.component import Component
    from asyncwasm.core import Extern, Module, Store


def instantiate(
    store: Store[Any], component: Component, imports: Sequence[Any], may_suspend: bool
) -> InstanceData:
    """An instance of `component`, within an operation on the store that is in progress.

    `imports` are what its program's imports are to be: host functions, modules and, for resource
    types, functions that make a `ResourceImpl` for a store.  What was made before a failure stays
    in the store.
    """
    data = InstanceData(store, component, imports)
    program = data.program
    for wanted, given in zip(program.imports, imports, strict=True):
        if type(wanted) is ImportResource:
            data.resources[wanted.resource] = given.bind(store)
    current = data.state.current
    try:
        for initializer in program.initializers:
            if isinstance(initializer, InstantiateStatic):
                module = program.modules[initializer.module]
                args = [data.item(item) for item in initializer.args]
                _instantiate_core(data, module, args, initializer.instance, may_suspend)
            elif isinstance(initializer, InstantiateImport):
                _instantiate_import(data, initializer, may_suspend)
            else:
                _extract(data, initializer)
    finally:
        data.state.current = current
    return data


def _instantiate_core(
    data: InstanceData, module: Module, imports: list[Extern], index: int, may_suspend: bool
) -> None:
    # The start function is a task that cannot wait for anything, and counts as within the
    # instance when it calls host functions.
    instance = data.instances[index]
    thread = instance.enter()
    data.core_instances.append(instantiate_core(data.store, module, imports, may_suspend))
    instance.leave(thread)


def _instantiate_import(
    data: InstanceData, initializer: InstantiateImport, may_suspend: bool
) -> None:
    module: Module = data.imports[initializer.module]
    args = initializer.args
    imports = [data.item(args[i.module][i.name]) for i in module.info.imports]
    _instantiate_core(data, module, imports, initializer.instance, may_suspend)


def _extract(data: InstanceData, initializer: Initializer) -> None:
    found: Any
    match initializer:
        case ExtractMemory(index, item):
            found = data.item(item)
            data.memories[index] = found
        case ExtractTable(index, item):
            found = data.item(item)
            data.tables[index] = found
        case ExtractFunc(index, core):
            data.funcs[index] = data.func(core)
        case DefineResource(index, destructor, number, name):
            instance = data.instances[number]
            func = None if destructor is None else data.func(destructor)
            data.resources[index] = ResourceImpl(
                ResourceType("guest", Identity(name)), instance, func, None
            )
