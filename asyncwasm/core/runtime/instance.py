"""`Instance` and `InstancePre`: modules brought to life in a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, final

from asyncwasm.core.module import ExternKind, ModuleInfo
from asyncwasm.core.types import ValType
from asyncwasm.errors import LinkError, WrongEngineError, WrongStoreError

from .caller import caller_of
from .calls import enter, operate_async, operate_sync
from .extern import Extern, is_extern, live_type
from .func import Func, TypedFunc, bind_host
from .global_ import Global
from .handles import StoreLike, cannot_wait, check_owner
from .host import HostFunction
from .matching import check_import
from .memory import Memory, create_memory
from .shared_memory import SharedMemory
from .startup import Startup
from .table import Table, create_table
from .tag import Tag

if TYPE_CHECKING:
    from .module import Module, ModuleExport
    from .store import Store

CLASSIC_ASYNC = "must use async instantiation when async support is enabled"
CLASSIC_SYNC = "must use sync instantiation when async support is disabled"
CROSS_STORE = "cross-`Store` instantiation is not currently supported"
CROSS_ENGINE = "cross-`Engine` instantiation is not currently supported"


class Export(NamedTuple):
    """A name and what is exported under it."""

    name: str
    extern: Extern


@final
class Instance:
    """An instance of a module in a store.  Follows Wasmtime's `Instance`.

    Exports are looked up lazily; two look-ups of one name give the same object.
    """

    __slots__ = (
        "__weakref__",
        "_module",
        "datas",
        "elems",
        "funcs",
        "globals",
        "memories",
        "namespace",
        "store",
        "tables",
        "tags",
    )

    store: Store[Any]
    _module: Module
    funcs: list[Func | None]
    tables: list[Table]
    memories: list[Memory | SharedMemory]
    globals: list[Global]
    tags: list[Tag]
    elems: list[list[Any]]
    datas: list[bytes | memoryview]
    namespace: dict[str, Any]

    def __init__(self) -> None:
        raise TypeError("instances are made by `Instance.new` and `Instance.new_async`")

    @staticmethod
    def new(store: StoreLike, module: Module, imports: Sequence[Extern] = ()) -> Instance:
        """Instantiate `module` with `imports`, given in the order of `module.imports`.

        Never suspends.  In order: raises `AsyncSupportError` if the store requires async,
        `WrongStoreError` for an import of another store, `WrongEngineError` for a module of
        another engine, `LinkError` for a wrong number of imports or an import of the wrong
        type, and then what limits, segments and the start function end with.  A failure after
        that leaves what was done: writes to imported memories and tables stay, and functions
        put there work.
        """
        owner = store.store
        owner.check_sync(CLASSIC_ASYNC)
        check_imports(owner, module, imports)
        return instantiate_sync(owner, store, module, imports)

    @staticmethod
    async def new_async(
        store: StoreLike, module: Module, imports: Sequence[Extern] = ()
    ) -> Instance:
        """As `new`, on a fiber: limiters and the start function may suspend.

        Always checkpoints.  Cancelling it is like a failure at that point.
        """
        owner = store.store
        owner.check_async(CLASSIC_SYNC)
        check_imports(owner, module, imports)
        return await instantiate_async(owner, store, module, imports)

    def module(self, store: StoreLike) -> Module:
        """The module that was instantiated."""
        check_owner(self.store, store)
        return self._module

    def exports(self, store: StoreLike) -> Iterator[Export]:
        """All exports, in the module's order."""
        check_owner(self.store, store)
        for name in self._module.info.exports:
            extern = self.get_export(store, name)
            assert extern is not None
            yield Export(name, extern)

    def get_export(self, store: StoreLike, name: str) -> Extern | None:
        """The export of that name, or None."""
        check_owner(self.store, store)
        export = self._module.info.exports.get(name)
        if export is None:
            return None
        match export.kind:
            case ExternKind.FUNC:
                return self.func(export.index)
            case ExternKind.TABLE:
                return self.tables[export.index]
            case ExternKind.MEMORY:
                return self.memories[export.index]
            case ExternKind.GLOBAL:
                return self.globals[export.index]
            case ExternKind.TAG:
                return self.tags[export.index]

    def get_module_export(self, store: StoreLike, export: ModuleExport) -> Extern | None:
        """The export of a token of `Module.get_export_index`.

        None if the token is of another module.
        """
        check_owner(self.store, store)
        if export.module is not self._module:
            return None
        return self.get_export(store, export.name)

    def get_func(self, store: StoreLike, name: str) -> Func | None:
        """The exported function of that name; None if missing or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, Func) else None

    def get_typed_func(
        self,
        store: StoreLike,
        name: str,
        params: Sequence[ValType],
        results: Sequence[ValType],
    ) -> TypedFunc:
        """The exported function of that name, with its type checked.

        Raises `LinkError` if it is missing, not a function, or of another type.
        """
        func = self.get_func(store, name)
        if func is None:
            raise LinkError(f"failed to find function export `{name}`")
        try:
            return func.typed(store, params, results)
        except LinkError as error:
            raise LinkError(
                f"failed to convert function `{name}` to given type: {error}"
            ) from error

    def get_memory(self, store: StoreLike, name: str) -> Memory | None:
        """The exported memory of that name; None if missing, shared, or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, Memory) else None

    def get_shared_memory(self, store: StoreLike, name: str) -> SharedMemory | None:
        """The exported shared memory of that name; None if missing or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, SharedMemory) else None

    def get_table(self, store: StoreLike, name: str) -> Table | None:
        """The exported table of that name; None if missing or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, Table) else None

    def get_global(self, store: StoreLike, name: str) -> Global | None:
        """The exported global of that name; None if missing or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, Global) else None

    def get_tag(self, store: StoreLike, name: str) -> Tag | None:
        """The exported tag of that name; None if missing or of another kind."""
        found = self.get_export(store, name)
        return found if isinstance(found, Tag) else None

    @property
    def info(self) -> ModuleInfo:
        """The module's decoded form; for engines' use."""
        return self._module.info

    def func(self, index: int) -> Func:
        """Function `index` of the function index space; for engines' use."""
        found = self.funcs[index]
        if found is None:
            module = self._module
            found = self.funcs[index] = Func.make(
                self.store,
                module.info.funcs[index],
                _unlinked,
                instance=self,
                index=index,
                name=module.names.functions.get(index),
            )
        # Asked of one that was there too: a signal handler may have raised before it was linked.
        if found.raw is _unlinked:
            self.store.engine.executor.link(found)
        return found

    def __repr__(self) -> str:
        return f"<Instance of {self._module!r}>"


def _unlinked(*args: Any) -> Any:
    raise AssertionError("a function was called before the executor linked it")


def check_imports(store: Store[Any], module: Module, imports: Sequence[Extern]) -> None:
    """Steps 2 to 5 of instantiation: who owns the imports, how many, of which type."""
    for item in imports:
        if not is_extern(item):
            raise TypeError(
                f"an import must be a Func, Memory, SharedMemory, Table, Global or Tag, "
                f"not {type(item).__name__}"
            )
        if isinstance(item, SharedMemory):
            if item.engine is not store.engine:
                raise WrongEngineError(CROSS_ENGINE)
        elif item.store is not store:
            raise WrongStoreError(CROSS_STORE)
    if module.engine is not store.engine:
        raise WrongEngineError(CROSS_ENGINE)
    if len(imports) != len(module.imports):
        raise LinkError(f"expected {len(module.imports)} imports, found {len(imports)}")
    for wanted, item in zip(module.imports, imports, strict=True):
        check_import(wanted, live_type(item))


def instantiate_sync(
    store: Store[Any], given: StoreLike, module: Module, imports: Sequence[Extern]
) -> Instance:
    """The steps after the type check, on the caller's stack."""
    if store._hook is None and store.limits.limiter is None and Startup.of(module).plain:
        # Nobody's code runs, so there is no call to be in progress meanwhile.
        store.enter_nowait(caller_of(given))
        return instantiate(store, module, imports, False)
    return operate_sync(store, caller_of(given), instantiate, (store, module, imports, False))


async def instantiate_async(
    store: Store[Any], given: StoreLike, module: Module, imports: Sequence[Extern]
) -> Instance:
    """The steps after the type check, on a fiber."""
    args = (store, module, imports, True)
    return await operate_async(store, caller_of(given), instantiate, args)


def instantiate(
    store: Store[Any], module: Module, imports: Sequence[Extern], may_suspend: bool
) -> Instance:
    """The steps after the type check, within an operation on the store that is in progress."""
    startup = Startup.of(module)
    instance = _allocate(store, module, startup, imports, may_suspend)
    if startup.plain and store._hook is None:
        # No code runs: what a call has around it would have nothing to do.
        startup.run(instance)
    elif startup.needed:
        enter(store, startup.run, (instance,), may_suspend)
    return instance


def _allocate(
    store: Store[Any],
    module: Module,
    startup: Startup,
    imports: Sequence[Extern],
    may_suspend: bool,
) -> Instance:
    """Count, ask the limiter, and make what the module defines, memories before tables."""
    info = module.info
    store.limits.bump("instance", 1)
    store.limits.bump("memory", len(info.memories) - info.imported_memories)
    store.limits.bump("table", len(info.tables) - info.imported_tables)
    self = object.__new__(Instance)
    self.store = store
    self._module = module
    self.memories, self.tables, self.globals, self.tags, self.funcs = [], [], [], [], []
    if imports:
        self.memories += [i for i in imports if isinstance(i, (Memory, SharedMemory))]
        self.tables += [i for i in imports if isinstance(i, Table)]
        self.globals += [i for i in imports if isinstance(i, Global)]
        self.tags += [i for i in imports if isinstance(i, Tag)]
        self.funcs += [i for i in imports if isinstance(i, Func)]
    self.funcs += [None] * len(info.bodies)
    wait = store.wait if may_suspend else cannot_wait
    for memory_type in info.memories[info.imported_memories :]:
        self.memories.append(create_memory(store, memory_type, wait))
    for table_type in info.tables[info.imported_tables :]:
        self.tables.append(create_table(store, table_type, None, wait))
    if len(info.globals) > info.imported_globals:
        self.globals += [Global(store, ty, None) for ty in info.globals[info.imported_globals :]]
    if len(info.tags) > info.imported_tags:
        self.tags += [Tag(store, ty) for ty in info.tags[info.imported_tags :]]
    self.datas = [*startup.datas]
    self.elems = [[]] * len(info.elems)  # each is replaced, and never changed
    self.namespace = {}
    store.engine.executor.prepare(self)
    return self


@final
class InstancePre:
    """A module with its imports resolved, to be instantiated any number of times.

    Made by `Linker.instantiate_pre`.  Keeps the host functions among the imports alive.
    With an import that belongs to a store it works in that store only.  Follows Wasmtime's
    `InstancePre`.
    """

    __slots__ = ("_items", "_module")

    def __init__(self, module: Module, items: Sequence[Extern | HostFunction]) -> None:
        self._module = module
        self._items = tuple(items)

    @property
    def module(self) -> Module:
        """The module."""
        return self._module

    def instantiate(self, store: StoreLike) -> Instance:
        """Instantiate in `store`.  Never suspends.

        First flags the store as requiring async if an import is an async host function, then
        raises `AsyncSupportError` if it does; see `Instance.new` for the rest.
        """
        owner = store.store
        self._flag(owner)
        self._check_owner(owner)
        owner.check_sync(CLASSIC_ASYNC)
        return instantiate_sync(owner, store, self._module, self._bind(owner))

    async def instantiate_async(self, store: StoreLike) -> Instance:
        """As `instantiate`, on a fiber.  Always checkpoints."""
        owner = store.store
        owner.check_async(CLASSIC_SYNC)
        self._flag(owner)
        self._check_owner(owner)
        return await instantiate_async(owner, store, self._module, self._bind(owner))

    def _flag(self, store: Store[Any]) -> None:
        if self._module.engine is not store.engine:
            raise WrongEngineError("cross-`Engine` usage is not supported")
        if any(isinstance(item, HostFunction) and item.may_await for item in self._items):
            store.require_async()

    def _check_owner(self, store: Store[Any]) -> None:
        for item in self._items:
            if not isinstance(item, (HostFunction, SharedMemory)) and item.store is not store:
                raise WrongStoreError(CROSS_STORE)

    def _bind(self, store: Store[Any]) -> list[Extern]:
        return [
            bind_host(store, item) if isinstance(item, HostFunction) else item
            for item in self._items
        ]
