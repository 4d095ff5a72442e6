"""`Linker`: definitions for the imports of components, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from asyncwasm.errors import LinkError, UnknownImportError, WrongEngineError

from .definitions import Definition, ModuleDef, ResourceDef
from .instance import Instance, InstancePre
from .introspection import substituted
from .matching import Matcher, describe
from .names import NameMap
from .runtime.host import Kind, host_func
from .runtime.resources import ResourceType
from .types import ComponentType, ExternType, FuncType, InstanceType, ResourceId, TypeExport

if TYPE_CHECKING:
    from asyncwasm.core import Engine, Module
    from asyncwasm.core.runtime.handles import StoreLike

    from .component import Component

CROSS_ENGINE = "cross-`Engine` instantiation is not currently supported"


@final
class Linker:
    """Definitions for imports, in a tree of names; they belong to no store.

    Where the exact name is missing, a compatible version of it will do: `a:b/c@1.2.0` for
    `a:b/c@1.0.1`, the highest of several.  Follows Wasmtime's `component::Linker`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._map: NameMap[Definition] = NameMap()
        self._settings = _Settings()

    def root(self) -> LinkerInstance:
        """The top level of names."""
        return LinkerInstance(self.engine, self._map, self._settings)

    def instance(self, name: str) -> LinkerInstance:
        """The instance `name`, to define what it exports; made if there is none.

        Raises `LinkError` if something else has that name.
        """
        return self.root().instance(name)

    def allow_shadowing(self, allow: bool) -> None:
        """Whether a definition may replace an earlier one of the same name."""
        self._settings.shadowing = allow

    def clone(self) -> Linker:
        """An independent copy."""
        other = Linker(self.engine)
        other._map = _copy(self._map)
        other._settings.shadowing = self._settings.shadowing
        return other

    def substituted_component_type(self, component: Component) -> ComponentType:
        """The type of `component` with the resource types that this linker gives it.

        Raises `LinkError` as `instantiate_pre`.
        """
        matcher = self._match(component)
        return substituted(component.scope.type, matcher.resources)

    def instantiate_pre(self, component: Component) -> InstancePre:
        """Resolve and check the imports of `component` once, without a store.

        Raises `WrongEngineError`, and `LinkError` for what is missing or of the wrong type.
        """
        matcher = self._match(component)
        items = [matcher.found[wanted.path] for wanted in component.program.imports]
        return InstancePre(component, [_plain(item) for item in items])

    def instantiate(self, store: StoreLike, component: Component) -> Instance:
        """Instantiate `component` with what is defined here.  Never suspends.

        In order: raises `AsyncSupportError` if the store requires async, what `instantiate_pre`
        raises, and then as `InstancePre.instantiate`.
        """
        store.store.check_sync(CLASSIC_ASYNC)
        return self.instantiate_pre(component).instantiate(store)

    async def instantiate_async(self, store: StoreLike, component: Component) -> Instance:
        """As `instantiate`, on a fiber.  Always checkpoints."""
        return await self.instantiate_pre(component).instantiate_async(store)

    def define_unknown_imports_as_traps(self, component: Component) -> None:
        """Define what `component` imports and nobody defined.

        Functions raise `UnknownImportError` when they are called; resources are the host's, without
        destructor.  Raises `LinkError` for a missing module.
        """
        root = self.root()
        for name, ty in component.scope.type.imports.items():
            root._define_unknown(name, ty, None)

    def _match(self, component: Component) -> Matcher:
        if component.engine is not self.engine:
            raise WrongEngineError(CROSS_ENGINE)
        matcher = Matcher()
        matcher.component(component.scope.type, self._map)
        return matcher


CLASSIC_ASYNC = "must use async instantiation when async support is enabled"


class _Settings:
    """What all parts of a linker share."""

    __slots__ = ("shadowing",)

    def __init__(self) -> None:
        self.shadowing = False


@final
class LinkerInstance:
    """One level of a linker's names.  Defining a name twice is a `LinkError` unless allowed.

    Host functions get one argument per parameter and return the result's value; for a result of
    type `result` the value of the success, or they raise `ComponentError` with that of the
    failure.  A first parameter annotated `Caller`, or called `caller`, is given the caller.
    """

    __slots__ = ("_engine", "_map", "_settings")

    def __init__(self, engine: Engine, names: NameMap[Definition], settings: _Settings) -> None:
        """For the runtime's own use; see `Linker.root` and `instance`."""
        self._engine = engine
        self._map = names
        self._settings = settings

    @property
    def engine(self) -> Engine:
        """The linker's engine."""
        return self._engine

    def func_wrap(self, name: str, fn: Callable[..., Any]) -> None:
        """Define a host function that is called with the arguments.

        What it raises reaches the embedder unchanged.
        """
        self._func(name, fn, "sync", dynamic=False)

    def func_wrap_async(self, name: str, fn: Callable[..., Any]) -> None:
        """As `func_wrap`, with a `fn` that may be a coroutine function.

        Calling it suspends the guest until the coroutine is done.  Stores come to require async
        when a component that imports it is instantiated in them.
        """
        self._func(name, fn, "async", dynamic=False)

    def func_wrap_concurrent(self, name: str, fn: Callable[..., Any]) -> None:
        """Define a coroutine function for an import that is an `async func`.

        Its coroutine is a task beside the guest's, which may go on meanwhile.  A first parameter
        annotated `Accessor`, or called `accessor`, is given one.
        """
        self._func(name, fn, "concurrent", dynamic=False)

    def func_new(self, name: str, fn: Callable[..., Any]) -> None:
        """Define a host function that is called as `fn(caller, type, *args)`.

        `type` is the `FuncType` of the import.
        """
        self._func(name, fn, "sync", dynamic=True)

    def func_new_async(self, name: str, fn: Callable[..., Any]) -> None:
        """As `func_new`, with a `fn` that may be a coroutine function; see `func_wrap_async`."""
        self._func(name, fn, "async", dynamic=True)

    def func_new_concurrent(self, name: str, fn: Callable[..., Any]) -> None:
        """As `func_new`, for an import that is an `async func`; see `func_wrap_concurrent`."""
        self._func(name, fn, "concurrent", dynamic=True)

    def module(self, name: str, module: Module) -> None:
        """Define a core module.  Raises `WrongEngineError`."""
        if module.engine is not self._engine:
            raise WrongEngineError(CROSS_ENGINE)
        self._insert(name, ModuleDef(module))

    def resource(
        self, name: str, ty: ResourceType, destructor: Callable[..., Any] | None = None
    ) -> None:
        """Define a resource type of the host.

        `destructor` is called with the representation when a guest drops an owned handle.
        """
        self._resource(name, ty, destructor, "sync")

    def resource_async(self, name: str, ty: ResourceType, destructor: Callable[..., Any]) -> None:
        """As `resource`, with a `destructor` that may be a coroutine function.

        The guest is suspended meanwhile.  Stores come to require async as with `func_wrap_async`.
        """
        self._resource(name, ty, destructor, "async")

    def resource_concurrent(
        self, name: str, ty: ResourceType, destructor: Callable[..., Any]
    ) -> None:
        """As `resource_async`, with a `destructor` that only the dropping task waits for.

        Others go on, if that task runs an `async` function within `Store.run_concurrent` or
        `call_async`; elsewhere there is nobody to go on.
        """
        self._resource(name, ty, destructor, "concurrent")

    def instance(self, name: str) -> LinkerInstance:
        """The instance `name` at this level, made if there is none.

        Raises `LinkError` if something else has that name.
        """
        found = self._map.exact(name)
        if not isinstance(found, NameMap):
            found = NameMap()
            self._insert(name, found)
        return LinkerInstance(self._engine, found, self._settings)

    def into_instance(self, name: str) -> LinkerInstance:
        """`instance`."""
        return self.instance(name)

    def _func(self, name: str, fn: Callable[..., Any], kind: Kind, *, dynamic: bool) -> None:
        if kind == "concurrent" and not self._engine.config.wasm_component_model_async:
            raise LinkError("concurrent host functions require `Config::concurrency_support`")
        self._insert(name, host_func(fn, kind, dynamic=dynamic))

    def _resource(
        self, name: str, ty: ResourceType, destructor: Callable[..., Any] | None, kind: Kind
    ) -> None:
        if not isinstance(ty, ResourceType):
            raise TypeError(f"expected ResourceType, got {type(ty).__name__}")
        host = None if destructor is None else host_func(destructor, kind, dynamic=False)
        self._insert(name, ResourceDef(ty, host))

    def _insert(self, name: str, item: Definition) -> None:
        if not isinstance(name, str):
            raise TypeError("the name of a definition must be a string")
        if name in self._map and not self._settings.shadowing:
            raise LinkError(f"map entry `{name}` defined twice")
        self._map.set(name, item)

    def _define_unknown(self, name: str, ty: ExternType, parent: str | None) -> None:
        found = self._map.find(name)
        if isinstance(ty, InstanceType):
            if found is None or isinstance(found, NameMap):
                below = (
                    self.instance(name)
                    if found is None
                    else LinkerInstance(self._engine, found, self._settings)
                )
                for inner, item in ty.exports.items():
                    below._define_unknown(inner, item, name)
            return
        if found is not None:
            return
        match ty:
            case FuncType():
                kind: Kind = "concurrent" if ty.is_async else "sync"
                fn = _unknown(name if parent is None else f"{parent}#{name}", ty)
                self._map.set(name, host_func(fn, kind, dynamic=True))
            case TypeExport(ResourceId()):
                self._map.set(name, ResourceDef(ResourceType.host(None), None))
            case TypeExport():
                pass
            case _:
                raise LinkError(f"unable to define {describe(ty)} imports as traps")


def _unknown(path: str, ty: FuncType) -> Callable[..., Any]:
    def unknown(*_: Any) -> Any:
        error = UnknownImportError(*path.rpartition("#")[::2], ty)
        error.args = (f"unknown import: `{path}` has not been defined",)
        raise error

    async def unknown_async(*_: Any) -> Any:
        unknown()

    return unknown_async if ty.is_async else unknown


def _plain(item: Any) -> Any:
    return item.module if isinstance(item, ModuleDef) else item


def _copy(names: NameMap[Definition]) -> NameMap[Definition]:
    copied: NameMap[Definition] = NameMap()
    for name, item in names.items():
        copied.set(name, _copy(item) if isinstance(item, NameMap) else item)
    return copied
