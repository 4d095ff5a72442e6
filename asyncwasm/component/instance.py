"""`Instance` and `InstancePre`: components brought to life in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, final

from asyncwasm.core import Module
from asyncwasm.core.runtime.caller import caller_of
from asyncwasm.core.runtime.calls import operate_async, operate_sync
from asyncwasm.core.runtime.handles import check_owner
from asyncwasm.errors import LinkError, WrongEngineError

from .compile.program import (
    ImportedModule,
    InstanceItem,
    LiftedFunction,
    ResourceItem,
    StaticModule,
)
from .definitions import ResourceDef
from .func import Func, TypedFunc
from .index import ComponentExportIndex
from .runtime.host import HostFunc
from .runtime.instantiate import instantiate

if TYPE_CHECKING:
    from asyncwasm.core import Store
    from asyncwasm.core.runtime.handles import StoreLike

    from .component import Component
    from .runtime.instance import InstanceData
    from .runtime.resources import ResourceType
    from .types import ValType

CLASSIC_ASYNC = "must use async instantiation when async support is enabled"
CLASSIC_SYNC = "must use sync instantiation when async support is disabled"

# What an export is looked up by: its name, or the token of `Component.export_index`.
Lookup: TypeAlias = str | ComponentExportIndex


@final
class Instance:
    """An instance of a component in a store.  Follows Wasmtime's `component::Instance`.

    Exports are looked up by name, or by a `ComponentExportIndex` where they are below an exported
    instance.  A version compatible with that of a name will do.  Two look-ups of one function
    give the same object.
    """

    __slots__ = ("__weakref__", "_data", "_funcs", "_pre")

    def __init__(self, data: InstanceData, pre: InstancePre) -> None:
        """For the runtime's own use; see `Linker.instantiate`."""
        self._data = data
        self._pre = pre
        self._funcs: dict[LiftedFunction, Func] = {}

    @property
    def component(self) -> Component:
        """The component that was instantiated."""
        return self._data.component

    @property
    def types(self) -> SimpleNamespace:
        """See `Component.types`."""
        return self._data.component.types

    def instance_pre(self, store: StoreLike) -> InstancePre:
        """What made it."""
        check_owner(self._data.store, store)
        return self._pre

    def get_func(self, store: StoreLike, name: Lookup) -> Func | None:
        """The exported function, or None."""
        check_owner(self._data.store, store)
        return self._func(name)

    def _func(self, name: Lookup) -> Func | None:
        index = self._lookup(name)
        if index is None or not isinstance(index.item, LiftedFunction):
            return None
        found = self._funcs.get(index.item)
        if found is None:
            found = self._funcs[index.item] = Func(self._data, index.item, "#".join(index.path))
        return found

    def get_typed_func(
        self,
        store: StoreLike,
        name: Lookup,
        params: Sequence[ValType],
        results: Sequence[ValType] = (),
    ) -> TypedFunc:
        """The exported function with its type checked.

        Raises `LinkError` if it is missing, not a function, or of another type.
        """
        func = self.get_func(store, name)
        if func is None:
            raise LinkError("failed to find function export")
        try:
            return func.typed(store, params, results)
        except LinkError as error:
            raise LinkError(f"failed to convert function to given type: {error}") from error

    def get_module(self, store: StoreLike, name: Lookup) -> Module | None:
        """The exported core module, or None."""
        check_owner(self._data.store, store)
        index = self._lookup(name)
        match None if index is None else index.item:
            case StaticModule(number):
                return self._data.program.modules[number]
            case ImportedModule(number):
                module = self._data.imports[number]
                assert isinstance(module, Module)
                return module
            case _:
                return None

    def get_resource(self, store: StoreLike, name: Lookup) -> ResourceType | None:
        """The exported resource type, or None."""
        check_owner(self._data.store, store)
        index = self._lookup(name)
        if index is None or not isinstance(index.item, ResourceItem):
            return None
        return self._data.resources[index.item.index].type

    def get_export(
        self, store: StoreLike, instance: ComponentExportIndex | None, name: str
    ) -> ComponentExportIndex | None:
        """A token for the export `name`, below the exported instance `instance` if that is given.

        None if there is no such export, or if `instance` is of another component.
        """
        check_owner(self._data.store, store)
        return self._data.component.get_export_index(instance, name)

    def get_export_index(
        self, store: StoreLike, instance: ComponentExportIndex | None, name: str
    ) -> ComponentExportIndex | None:
        """`get_export`, by its newer name."""
        return self.get_export(store, instance, name)

    def exports(self, store: StoreLike) -> Exports:
        """A view of the exports to walk through."""
        check_owner(self._data.store, store)
        return Exports(self)

    def _lookup(self, name: Lookup) -> ComponentExportIndex | None:
        component = self._data.component
        if isinstance(name, ComponentExportIndex):
            return name if name.component is component else None
        if not isinstance(name, str):
            raise TypeError(f"expected a name or a ComponentExportIndex, got {type(name).__name__}")
        return component.get_export_index(None, name) or _lookup_path(component, name)

    def __repr__(self) -> str:
        return f"<Instance of {self._data.component!r}>"


def _lookup_path(component: Component, name: str) -> ComponentExportIndex | None:
    """The export of an item path such as `ns:pkg/iface.func@1.0.0`."""
    base, _, version = name.partition("@")
    interface, dot, item = base.rpartition(".")
    if not dot or "/" not in interface:
        return None
    instance = component.get_export_index(None, f"{interface}@{version}" if version else interface)
    return None if instance is None else component.get_export_index(instance, item)


@final
class Exports:
    """The exports of an instance; see `Instance.exports`."""

    __slots__ = ("_instance",)

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def root(self) -> ExportInstance:
        """What the instance itself exports."""
        return ExportInstance(self._instance, None)

    def instance(self, name: str) -> ExportInstance | None:
        """The exported instance of that name, or None."""
        return self.root().instance(name)


@final
class ExportInstance:
    """One level of an instance's exports."""

    __slots__ = ("_index", "_instance")

    def __init__(self, instance: Instance, index: ComponentExportIndex | None) -> None:
        self._instance = instance
        self._index = index

    def _below(self, name: str) -> ComponentExportIndex | None:
        return self._instance.component.get_export_index(self._index, name)

    @property
    def _store(self) -> Store[Any]:
        return self._instance._data.store

    def func(self, name: str) -> Func | None:
        """See `Instance.get_func`."""
        index = self._below(name)
        return None if index is None else self._instance.get_func(self._store, index)

    def typed_func(
        self, name: str, params: Sequence[ValType], results: Sequence[ValType] = ()
    ) -> TypedFunc:
        """See `Instance.get_typed_func`."""
        index = self._below(name)
        if index is None:
            raise LinkError(f"failed to find function export `{name}`")
        return self._instance.get_typed_func(self._store, index, params, results)

    def module(self, name: str) -> Module | None:
        """See `Instance.get_module`."""
        index = self._below(name)
        return None if index is None else self._instance.get_module(self._store, index)

    def resource(self, name: str) -> ResourceType | None:
        """See `Instance.get_resource`."""
        index = self._below(name)
        return None if index is None else self._instance.get_resource(self._store, index)

    def modules(self) -> Iterator[tuple[str, Module]]:
        """The exported modules with their names."""
        index = self._index
        exports = self._instance._data.program.exports if index is None else index.item.exports
        for name in exports:
            module = self.module(name)
            if module is not None:
                yield name, module

    def instance(self, name: str) -> ExportInstance | None:
        """The exported instance of that name below this one, or None."""
        index = self._below(name)
        if index is None or not isinstance(index.item, InstanceItem):
            return None
        return ExportInstance(self._instance, index)

    def into_instance(self, name: str) -> ExportInstance | None:
        """`instance`."""
        return self.instance(name)


@final
class InstancePre:
    """A component with its imports resolved, to be instantiated any number of times.

    Made by `Linker.instantiate_pre`, whose later definitions do not matter to it.  Follows
    Wasmtime's `component::InstancePre`.
    """

    __slots__ = ("_component", "_items", "_needs_async")

    def __init__(self, component: Component, items: Sequence[Any]) -> None:
        """For the runtime's own use, with what the program's imports are to be."""
        self._component = component
        self._items = tuple(items)
        self._needs_async = any(_needs_async(item) for item in items)

    @property
    def component(self) -> Component:
        """The component."""
        return self._component

    def instantiate(self, store: StoreLike) -> Instance:
        """Instantiate in `store`.  Never suspends.

        First flags the store as requiring async if a host function or destructor among the imports
        is, then raises `AsyncSupportError` if it does.  Then whatever limits, segments and start
        functions end with; what was made before a failure stays in the store.
        """
        owner = store.store
        self._flag(owner)
        owner.check_sync(CLASSIC_ASYNC)
        args = (owner, self._component, self._items, False)
        return Instance(operate_sync(owner, caller_of(store), instantiate, args), self)

    async def instantiate_async(self, store: StoreLike) -> Instance:
        """As `instantiate`, on a fiber: limiters and start functions may suspend.

        Always checkpoints.  Cancelling it is like a failure at that point.
        """
        owner = store.store
        owner.check_async(CLASSIC_SYNC)
        self._flag(owner)
        args = (owner, self._component, self._items, True)
        return Instance(await operate_async(owner, caller_of(store), instantiate, args), self)

    def _flag(self, store: Store[Any]) -> None:
        if self._component.engine is not store.engine:
            raise WrongEngineError("cross-`Engine` usage is not supported")
        if self._needs_async:
            store.require_async()


def _needs_async(item: object) -> bool:
    if isinstance(item, ResourceDef):
        return item.destructor is not None and item.destructor.kind != "sync"
    return isinstance(item, HostFunc) and item.kind != "sync"
