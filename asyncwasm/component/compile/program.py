"""What a component is compiled to: initialisers over flat lists, plain data.

Nested components are gone: what they define lies in the same lists as what the component itself
does.  Indices are those of the lists that an instance has at run time (`runtime.InstanceData`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union, final

from asyncwasm.core import DefType, Module

from ..syntax import StringEncoding
from ..types import FuncType, ModuleType, Path, ValType

# --- core items --------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class CoreExport:
    """The export `name` of core instance number `instance`."""

    instance: int
    name: str


@final
@dataclass(frozen=True, slots=True)
class TrampolineFunc:
    """The core function of trampoline number `index`."""

    index: int


CoreDef = Union[CoreExport, TrampolineFunc]


@final
@dataclass(frozen=True, slots=True)
class Options:
    """Canonical options with their indices resolved; None where absent.

    `instance` is the component instance in which they stand.
    """

    instance: int
    string_encoding: StringEncoding = StringEncoding.UTF8
    memory: int | None = None
    memory64: bool = False
    realloc: int | None = None
    post_return: int | None = None
    callback: int | None = None
    is_async: bool = False


# --- component items ---------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, eq=False)
class LiftedFunction:
    """A function that the component defines.  Resources in `type` are flat indices."""

    type: FuncType
    core: CoreDef
    core_type: DefType
    options: Options


@final
@dataclass(frozen=True, slots=True)
class ImportedFunction:
    """The function of import number `index`."""

    index: int


@final
@dataclass(frozen=True, slots=True)
class StaticModule:
    """Number `index` of the modules that the component contains."""

    index: int


@final
@dataclass(frozen=True, slots=True)
class ImportedModule:
    """The module of import number `index`."""

    index: int


@final
@dataclass(frozen=True, slots=True)
class ResourceItem:
    """Resource type number `index`."""

    index: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class TypeItem:
    """Any other type, which does not exist at run time; None for those that values do not have."""

    type: ValType | None


@final
@dataclass(slots=True, eq=False)
class InstanceItem:
    """An instance: items by name."""

    exports: dict[str, Any]


# --- trampolines -------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True, eq=False)
class HostCall:
    """`canon lower` of the function of import number `import_index`."""

    import_index: int
    type: FuncType
    options: Options
    core_type: DefType


@final
@dataclass(frozen=True, slots=True, eq=False)
class GuestCall:
    """`canon lower` of a function that another component instance defines.

    `type` is the function's type as the caller knows it.
    """

    callee: LiftedFunction
    type: FuncType
    options: Options
    core_type: DefType


@final
@dataclass(frozen=True, slots=True, eq=False)
class AlwaysTrap:
    """`canon lower` of a function of an instance that the caller's is part of, or the reverse."""

    core_type: DefType
    instance: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """Any other canonical definition.

    What does not apply to the built-in of that `name` is None.  `resource` is a flat index,
    `type` the stream's, future's or task's result type, `start` the core type of
    `thread.new-indirect`.
    """

    name: str
    core_type: DefType
    options: Options
    resource: int | None = None
    type: ValType | None = None
    slot: int | None = None
    is_async: bool = False
    cancellable: bool = False
    table: int | None = None
    start: DefType | None = None


Trampoline = Union[HostCall, GuestCall, AlwaysTrap, Builtin]


# --- initialisers ------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class InstantiateStatic:
    """Instantiate a module that the component contains, with imports in the module's order.

    `instance` is the component instance that the start function runs in.
    """

    module: int
    args: tuple[CoreDef, ...]
    instance: int


@final
@dataclass(frozen=True, slots=True)
class InstantiateImport:
    """Instantiate the module of import number `module`, with imports by their names."""

    module: int
    args: Mapping[str, Mapping[str, CoreDef]]
    instance: int


@final
@dataclass(frozen=True, slots=True)
class ExtractMemory:
    """Memory number `index` is this export."""

    index: int
    item: CoreExport


@final
@dataclass(frozen=True, slots=True)
class ExtractTable:
    """Table number `index` is this export."""

    index: int
    item: CoreExport


@final
@dataclass(frozen=True, slots=True)
class ExtractFunc:
    """Function number `index`, a `realloc`, callback or post-return, is this."""

    index: int
    item: CoreDef


@final
@dataclass(frozen=True, slots=True)
class DefineResource:
    """A resource type of component instance `instance` comes to be, number `index`."""

    index: int
    destructor: CoreDef | None
    instance: int
    name: str


Initializer = Union[
    InstantiateStatic, InstantiateImport, ExtractMemory, ExtractTable, ExtractFunc, DefineResource
]


# --- imports and the whole ---------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class ImportFunction:
    """A function to be given.  `path` is the import's name and the names below it."""

    path: Path
    type: FuncType


@final
@dataclass(frozen=True, slots=True)
class ImportModule:
    """A core module to be given."""

    path: Path
    type: ModuleType


@final
@dataclass(frozen=True, slots=True)
class ImportResource:
    """A resource type to be given, number `resource` of the resource types."""

    path: Path
    resource: int


Import = Union[ImportFunction, ImportModule, ImportResource]


@final
@dataclass(slots=True, eq=False)
class Program:
    """A compiled component.

    `parents` has for each component instance the number of the one it was made by, None for the
    component's own, which is number 0.  `plain` says of each whether calls of it do nothing but run
    and return, with no built-in that could tell one task from another, here or in what it calls;
    `stores` whether a built-in looks at what a thread keeps.  `has_async` says that there is an
    instance that is not plain, or an import that is not.  `type_names` are names by which imports
    and exports know types.
    """

    imports: list[Import] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    initializers: list[Initializer] = field(default_factory=list)
    trampolines: list[Trampoline] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    parents: list[int | None] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    stores: list[bool] = field(default_factory=list)
    type_names: list[tuple[str, ValType]] = field(default_factory=list)
    core_instances: int = 0
    memories: int = 0
    tables: int = 0
    funcs: int = 0
    resources: int = 0
    has_async: bool = False
    adapters: dict[bytes, Module] = field(default_factory=dict)
