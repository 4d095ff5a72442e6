"""`Linker`: definitions by name, and modules instantiated with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, final

from asyncwasm.core.types import (
    DefType,
    ExternFunc,
    ExternType,
    FuncType,
    GlobalType,
    ImportType,
    MemoryType,
    NumType,
    RefType,
    TableType,
    ValType,
)
from asyncwasm.errors import (
    LinkError,
    UnknownImportError,
    WrongEngineError,
    WrongStoreError,
)
from asyncwasm.fiber import checkpoint

from . import host
from .caller import Caller
from .extern import Extern, live_type
from .func import Func
from .global_ import Global
from .handles import StoreLike
from .host import HostFunction
from .instance import CROSS_ENGINE, CROSS_STORE, Instance, InstancePre
from .matching import check_import
from .memory import Memory
from .shared_memory import SharedMemory
from .table import Table

if TYPE_CHECKING:
    from .engine import Engine
    from .module import Module

# Exports of a command that are tolerated though they are not functions: toolchains have always
# produced them.
_COMMAND_IGNORED = frozenset(
    "memory table __indirect_function_table __data_end __heap_base __dso_handle __rtti_base".split()
)


@final
class Linker:
    """Definitions for imports, found by the two names of an import.

    Host functions defined here belong to no store; other definitions work in their own store
    only.  Defining a name twice is a `LinkError` unless shadowing is allowed.  Follows
    Wasmtime's `Linker`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Externs are kept with their type at definition, which is what `instantiate_pre` uses.
        self._items: dict[tuple[str, str], tuple[Extern | HostFunction, ExternType]] = {}
        self._shadowing = False
        self._unknown_exports = False

    # Defining --------------------------------------------------------------------------------

    def allow_shadowing(self, allow: bool) -> None:
        """Whether a definition may replace an earlier one of the same names."""
        self._shadowing = allow

    def allow_unknown_exports(self, allow: bool) -> None:
        """Whether `module` lets a command export things that it cannot use."""
        self._unknown_exports = allow

    def define(self, store: StoreLike, module: str, name: str, extern: Extern) -> None:
        """Define an import as something of `store`.

        Raises `WrongStoreError`, and `LinkError` if the names are taken.
        """
        if isinstance(extern, SharedMemory):
            if extern.engine is not self.engine:
                raise WrongEngineError(CROSS_ENGINE)
        elif extern.store is not store.store:
            raise WrongStoreError("object used with the wrong store")
        self._insert(module, name, extern)

    def define_name(self, store: StoreLike, name: str, extern: Extern) -> None:
        """`define` with an empty module name."""
        self.define(store, "", name, extern)

    def func_new(
        self, module: str, name: str, ty: FuncType | DefType, fn: Callable[..., Any]
    ) -> None:
        """Define a host function of type `ty`, called with a `Caller` first; see `Func.new`."""
        self._insert(module, name, host.from_type(ty, fn, may_await=False))

    def func_new_async(
        self, module: str, name: str, ty: FuncType | DefType, fn: Callable[..., Any]
    ) -> None:
        """As `func_new`, with a `fn` that may be a coroutine function.

        Stores come to require async when a module that imports it is instantiated in them.
        """
        self._insert(module, name, host.from_type(ty, fn, may_await=True))

    def func_wrap(self, module: str, name: str, fn: Callable[..., Any]) -> None:
        """Define a host function whose type is read from its annotations; see `Func.wrap`."""
        self._insert(module, name, host.from_signature(fn, may_await=False))

    def func_wrap_async(self, module: str, name: str, fn: Callable[..., Any]) -> None:
        """As `func_wrap`, with a `fn` that may be a coroutine function."""
        self._insert(module, name, host.from_signature(fn, may_await=True))

    def instance(self, store: StoreLike, module_name: str, instance: Instance) -> None:
        """Define all exports of `instance` under `module_name`.

        When one of the names is taken the ones before it stay defined.
        """
        for export in instance.exports(store):
            self.define(store, module_name, export.name, export.extern)

    def alias(self, module: str, name: str, as_module: str, as_name: str) -> None:
        """Define `as_module::as_name` as what `module::name` is now.

        Raises `LinkError` if that is not defined, or the new names are taken.
        """
        item = self._items.get((module, name))
        if item is None:
            raise LinkError(f"no item named `{module}::{name}` defined")
        self._insert(as_module, as_name, item[0])

    def alias_module(self, module: str, as_module: str) -> None:
        """`alias` for everything that is defined under `module` now."""
        for (found, name), (item, _) in list(self._items.items()):
            if found == module:
                self._insert(as_module, name, item)

    def module(self, store: StoreLike, module_name: str, module: Module) -> None:
        """Define the exports of a module, by the rules for commands and reactors.

        A command (it exports `_start`) is instantiated anew for every call of one of its
        functions.  A reactor is instantiated once, now, and its `_initialize` called.  Raises
        `LinkError` for a module that is both, or exports what a command cannot.
        """
        self._check_engine(store)
        if self._is_command(module):
            self._define_command(module_name, module, is_async=False)
            return
        instance = self.instantiate(store, module)
        initialize = instance.get_func(store, "_initialize")
        if initialize is not None:
            try:
                initialize.call(store)
            except Exception as error:
                error.add_note("calling the Reactor initialization function")
                raise
        self.instance(store, module_name, instance)

    async def module_async(self, store: StoreLike, module_name: str, module: Module) -> None:
        """As `module`, through the async entry points."""
        self._check_engine(store)
        if self._is_command(module):
            await checkpoint()
            self._define_command(module_name, module, is_async=True)
            return
        instance = await self.instantiate_async(store, module)
        initialize = instance.get_func(store, "_initialize")
        if initialize is not None:
            try:
                await initialize.call_async(store)
            except Exception as error:
                error.add_note("calling the Reactor initialization function")
                raise
        self.instance(store, module_name, instance)

    def define_unknown_imports_as_traps(self, module: Module) -> None:
        """Define the functions that `module` imports and nobody defined.

        Calling one raises `UnknownImportError`.  Other imports are left undefined.
        """
        for wanted in module.imports:
            if (wanted.module, wanted.name) in self._items:
                continue
            if isinstance(wanted.type, ExternFunc):
                self._insert(wanted.module, wanted.name, _unknown(wanted, wanted.type))

    def define_unknown_imports_as_default_values(self, store: StoreLike, module: Module) -> None:
        """Define what `module` imports and nobody defined, as things of `store`.

        Functions return zeros and nulls; globals, tables and memories are created.  Raises
        `LinkError` where a type has no default value.
        """
        for wanted in module.imports:
            if (wanted.module, wanted.name) in self._items:
                continue
            self._insert(wanted.module, wanted.name, _default(store, wanted))

    def clone(self) -> Linker:
        """An independent copy."""
        other = Linker(self.engine)
        other._items = dict(self._items)
        other._shadowing = self._shadowing
        other._unknown_exports = self._unknown_exports
        return other

    # Looking up ------------------------------------------------------------------------------

    def get(self, store: StoreLike, module: str, name: str) -> Extern:
        """What is defined under the names; a host function becomes a new `Func` of `store`.

        Does not make the store require async.  Raises `LinkError` if nothing is defined.
        """
        item = self._items.get((module, name))
        if item is None:
            raise LinkError(f"missing definition for `{module}::{name}`")
        return self._materialise(store, item[0])

    def get_by_import(self, store: StoreLike, wanted: ImportType) -> Extern | None:
        """What is defined for an import, or None."""
        item = self._items.get((wanted.module, wanted.name))
        return None if item is None else self._materialise(store, item[0])

    def get_default(self, store: StoreLike, module: str) -> Func:
        """The default function of a module: `""`, else `_start`, else one that does nothing.

        Raises `LinkError` if one of these is not a function.
        """
        for name, text in (
            ("", f"default export in '{module}' is not a function"),
            ("_start", f"`_start` in '{module}' is not a function"),
        ):
            item = self._items.get((module, name))
            if item is not None:
                found = self._materialise(store, item[0])
                if not isinstance(found, Func):
                    raise LinkError(text)
                return found
        return Func.new(store, FuncType(), lambda caller: None)

    def iter(self, store: StoreLike) -> Iterator[tuple[str, str, Extern]]:
        """All definitions, as `(module, name, extern)`."""
        for (module, name), (item, _) in list(self._items.items()):
            yield module, name, self._materialise(store, item)

    # Instantiating ---------------------------------------------------------------------------

    def instantiate(self, store: StoreLike, module: Module) -> Instance:
        """Instantiate `module` with what is defined here.  Never suspends.

        Raises `UnknownImportError` and `LinkError` for what is missing or of the wrong type,
        before `AsyncSupportError` if the store requires async; then as `Instance.new`.
        Memories and tables are judged by their size now.
        """
        pre = self._resolve(module, live=True)
        return pre.instantiate(store)

    async def instantiate_async(self, store: StoreLike, module: Module) -> Instance:
        """As `instantiate`, on a fiber.  Always checkpoints."""
        pre = self._resolve(module, live=True)
        return await pre.instantiate_async(store)

    def instantiate_pre(self, module: Module) -> InstancePre:
        """Resolve and check the imports of `module` once, without a store.

        Memories and tables are judged by their size when they were defined.
        """
        return self._resolve(module, live=False)

    def _resolve(self, module: Module, *, live: bool) -> InstancePre:
        if module.engine is not self.engine:
            raise WrongEngineError(CROSS_ENGINE)
        found: list[Extern | HostFunction] = []
        for wanted in module.imports:
            entry = self._items.get((wanted.module, wanted.name))
            if entry is None:
                raise UnknownImportError(wanted.module, wanted.name, wanted.type)
            item, ty = entry
            if live and not isinstance(item, HostFunction):
                ty = live_type(item)
            check_import(wanted, ty)
            found.append(item)
        return InstancePre(module, found)

    # Parts -----------------------------------------------------------------------------------

    def _insert(self, module: str, name: str, item: Extern | HostFunction) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("the names of a definition must be strings")
        key = (module, name)
        if key in self._items and not self._shadowing:
            raise LinkError(f"import of `{module}::{name}` defined twice")
        ty = ExternFunc(item.type) if isinstance(item, HostFunction) else live_type(item)
        self._items[key] = (item, ty)

    def _materialise(self, store: StoreLike, item: Extern | HostFunction) -> Extern:
        owner = store.store
        if isinstance(item, HostFunction):
            if owner.engine is not self.engine:
                raise WrongEngineError(
                    "cannot use a store with a different engine than a linker was created with"
                )
            return Func.make(owner, item.type, item.bind(owner), name=item.name)
        if not isinstance(item, SharedMemory) and item.store is not owner:
            raise WrongStoreError(CROSS_STORE)
        return item

    def _check_engine(self, store: StoreLike) -> None:
        if store.store.engine is not self.engine:
            raise WrongEngineError("different engines for this linker and the store provided")

    def _is_command(self, module: Module) -> bool:
        start = module.get_export("_start")
        initialize = module.get_export("_initialize")
        if start is not None and not isinstance(start, ExternFunc):
            raise LinkError("`_start` must be a function")
        if initialize is not None and not isinstance(initialize, ExternFunc):
            raise LinkError("`_initialize` must be a function")
        if start is not None and initialize is not None:
            raise LinkError("Program cannot be both a Command and a Reactor")
        return start is not None

    def _define_command(self, module_name: str, module: Module, *, is_async: bool) -> None:
        pre = self.instantiate_pre(module)
        for export in module.exports:
            if isinstance(export.type, ExternFunc):
                function = _command(pre, export.name, export.type, is_async=is_async)
                self._insert(module_name, export.name, function)
                if export.name == "_start":
                    self._insert(module_name, "", function)
            elif export.name not in _COMMAND_IGNORED and not self._unknown_exports:
                raise LinkError(f"command export '{export.name}' is not a function")


def _command(pre: InstancePre, name: str, ty: ExternFunc, *, is_async: bool) -> HostFunction:
    """A function that instantiates a command, calls its export and forgets it."""

    def call(caller: Caller[Any], *args: Any) -> Any:
        instance = pre.instantiate(caller)
        func = instance.get_func(caller, name)
        assert func is not None
        return func.call(caller, *args)

    async def call_async(caller: Caller[Any], *args: Any) -> Any:
        instance = await pre.instantiate_async(caller)
        func = instance.get_func(caller, name)
        assert func is not None
        return await func.call_async(caller, *args)

    return host.from_type(ty.type, call_async if is_async else call, may_await=is_async)


def _unknown(wanted: ImportType, ty: ExternFunc) -> HostFunction:
    def call(caller: Caller[Any], *args: Any) -> Any:
        raise UnknownImportError(wanted.module, wanted.name, wanted.type)

    return host.from_type(ty.type, call, may_await=False)


def _default(store: StoreLike, wanted: ImportType) -> Extern | HostFunction:
    def value(ty: ValType) -> Any:
        match ty:
            case NumType.F32 | NumType.F64:
                return 0.0
            case NumType.V128:
                return bytes(16)
            case NumType():
                return 0
            case RefType(nullable=True):
                return None
        raise LinkError(
            f"no default value exists for `{wanted.module}::{wanted.name}` with type `{ty}`"
        )

    try:
        return _make_default(store, wanted, value)
    except ValueError as error:
        # The type is the module's, so that it is not the host who is to blame for it.
        raise LinkError(
            f"no default value exists for `{wanted.module}::{wanted.name}`: {error}"
        ) from error


def _make_default(
    store: StoreLike, wanted: ImportType, value: Callable[[ValType], Any]
) -> Extern | HostFunction:
    ty = wanted.type
    match ty:
        case ExternFunc():
            results = tuple(value(r) for r in ty.func.results)
            answer: Any = results[0] if len(results) == 1 else results or None
            return host.from_type(ty.type, lambda caller, *args: answer, may_await=False)
        case GlobalType():
            return Global.new(store, ty, value(ty.content))
        case TableType():
            return Table.new(store, ty, value(ty.element))
        case MemoryType(shared=True):
            return SharedMemory.new(store.store.engine, ty)
        case MemoryType():
            return Memory.new(store, ty)
        case _:
            raise LinkError(
                f"no default value exists for `{wanted.module}::{wanted.name}` with type `{ty}`"
            )
