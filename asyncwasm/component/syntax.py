"""A decoded component: its definitions in order, plain data, no behaviour.

What the binary decoder produces and validation, compilation and the printer read.  Indices are
those of the binary, nothing is resolved.  Core modules and nested components keep their bytes.
See `design/mvp/Binary.md` of the Component Model, whose productions name the classes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from asyncwasm.core.module import Span
from asyncwasm.core.types import NumType

from .types import Primitive


class Sort(enum.Enum):
    """What an index is an index of: one member per index space."""

    CORE_FUNC = "core func"
    CORE_TABLE = "core table"
    CORE_MEMORY = "core memory"
    CORE_GLOBAL = "core global"
    CORE_TAG = "core tag"
    CORE_TYPE = "core type"
    CORE_MODULE = "core module"
    CORE_INSTANCE = "core instance"
    FUNC = "func"
    VALUE = "value"
    TYPE = "type"
    COMPONENT = "component"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class SortIndex:
    """Item number `index` of the index space of `sort`."""

    sort: Sort
    index: int


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an import or export, with its attributes (None where absent).

    `form` is the byte that introduced it (0, 1 or 2): it has no meaning, but printing a binary
    and assembling it again shall give the same.
    """

    name: str
    implements: str | None = None
    version_suffix: str | None = None
    external_id: str | None = None
    form: int = 0


# --- value types -------------------------------------------------------------------------------

# A reference to a type: an index of the type index space, or a primitive type.
ValTypeRef = int | Primitive


@dataclass(frozen=True, slots=True)
class RecordDef:
    fields: tuple[tuple[str, ValTypeRef], ...]


@dataclass(frozen=True, slots=True)
class VariantDef:
    cases: tuple[tuple[str, ValTypeRef | None], ...]


@dataclass(frozen=True, slots=True)
class ListDef:
    """A list; `length` is not None for a fixed-length one."""

    element: ValTypeRef
    length: int | None = None


@dataclass(frozen=True, slots=True)
class TupleDef:
    types: tuple[ValTypeRef, ...]


@dataclass(frozen=True, slots=True)
class FlagsDef:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnumDef:
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptionDef:
    type: ValTypeRef


@dataclass(frozen=True, slots=True)
class ResultDef:
    ok: ValTypeRef | None
    error: ValTypeRef | None


@dataclass(frozen=True, slots=True)
class OwnDef:
    resource: int


@dataclass(frozen=True, slots=True)
class BorrowDef:
    resource: int


@dataclass(frozen=True, slots=True)
class StreamDef:
    element: ValTypeRef | None


@dataclass(frozen=True, slots=True)
class FutureDef:
    element: ValTypeRef | None


@dataclass(frozen=True, slots=True)
class MapDef:
    key: ValTypeRef
    value: ValTypeRef


DefValType = (
    Primitive
    | RecordDef
    | VariantDef
    | ListDef
    | TupleDef
    | FlagsDef
    | EnumDef
    | OptionDef
    | ResultDef
    | OwnDef
    | BorrowDef
    | StreamDef
    | FutureDef
    | MapDef
)


@dataclass(frozen=True, slots=True)
class FuncDef:
    """A function type: named parameters, at most one result."""

    params: tuple[tuple[str, ValTypeRef], ...]
    result: ValTypeRef | None
    is_async: bool


@dataclass(frozen=True, slots=True)
class ResourceDef:
    """A resource type: its representation and the core function that is its destructor."""

    rep: NumType
    destructor: int | None


# --- types of imports and exports --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EqBound:
    """The bound `(eq i)` of a type, or of a value."""

    index: int


@dataclass(frozen=True, slots=True)
class SubResource:
    """The bound `(sub resource)`."""


@dataclass(frozen=True, slots=True)
class ExternDesc:
    """The type of an import or export.

    `bound` is the index of the type where `sort` is CORE_MODULE, FUNC, COMPONENT or INSTANCE; an
    `EqBound` or `SubResource` where it is TYPE; an `EqBound` or the type where it is VALUE.
    """

    sort: Sort
    bound: int | EqBound | SubResource | Primitive


@dataclass(frozen=True, slots=True)
class ImportDecl:
    """An import, as a definition or as a declarator of a component type."""

    name: Name
    desc: ExternDesc
    offset: int


@dataclass(frozen=True, slots=True)
class ExportDecl:
    """An export declarator of a component or instance type."""

    name: Name
    desc: ExternDesc
    offset: int


# --- core types --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CoreTypeDef:
    """A core type: a recursion group (one new core type per member), or a module type.

    It stays bytes, because what its indices mean depends on what outer aliases bring, which is
    known during validation only; `binary.core_types` reads it with the types at hand.
    """

    content: Span
    is_module: bool
    offset: int


# --- definitions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CoreModuleDef:
    """An embedded core module, as bytes."""

    content: Span
    offset: int


@dataclass(frozen=True, slots=True)
class CoreInstantiate:
    """`(core instance (instantiate m (with n (instance i))*))`."""

    module: int
    args: tuple[tuple[str, SortIndex], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class CoreInlineExports:
    """`(core instance (export n si)*)`."""

    exports: tuple[tuple[str, SortIndex], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Instantiate:
    """`(instance (instantiate c (with n si)*))`."""

    component: int
    args: tuple[tuple[str, SortIndex], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class InlineExports:
    """`(instance (export n si)*)`."""

    exports: tuple[tuple[Name, SortIndex], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class ExportAlias:
    """`(alias export i n (sort))`, or `(alias core export …)` for a core sort."""

    sort: Sort
    instance: int
    name: str
    core: bool
    offset: int


@dataclass(frozen=True, slots=True)
class OuterAlias:
    """`(alias outer count index (sort))`."""

    sort: Sort
    count: int
    index: int
    offset: int


@dataclass(frozen=True, slots=True)
class ComponentTypeDef:
    """A component type: declarators in order."""

    decls: tuple[Declarator, ...]


@dataclass(frozen=True, slots=True)
class InstanceTypeDef:
    """An instance type: declarators in order, none of them an import."""

    decls: tuple[Declarator, ...]


@dataclass(frozen=True, slots=True)
class TypeDef:
    """A definition of the type index space."""

    type: DefValType | FuncDef | ComponentTypeDef | InstanceTypeDef | ResourceDef
    offset: int


Declarator = CoreTypeDef | TypeDef | ExportAlias | OuterAlias | ImportDecl | ExportDecl


class StringEncoding(enum.Enum):
    """How strings lie in a memory."""

    UTF8 = "utf8"
    UTF16 = "utf16"
    LATIN1_UTF16 = "latin1+utf16"


@dataclass(frozen=True, slots=True)
class CanonOptions:
    """The options of a canonical definition; None or False where absent.

    `order` has the option codes in the order in which they came, for the printer and for
    finding duplicates, which validation refuses.
    """

    string_encoding: StringEncoding | None = None
    memory: int | None = None
    realloc: int | None = None
    post_return: int | None = None
    is_async: bool = False
    callback: int | None = None
    order: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CanonLift:
    """`(canon lift f opts)`: a new function of the type with index `type`."""

    core_func: int
    options: CanonOptions
    type: int
    offset: int


@dataclass(frozen=True, slots=True)
class CanonLower:
    """`(canon lower f opts)`: a new core function."""

    func: int
    options: CanonOptions
    offset: int


@dataclass(frozen=True, slots=True)
class CanonBuiltin:
    """Any other canonical definition: a new core function with a name from the Canonical ABI.

    `name` is the built-in's (`"resource.new"`, `"task.return"`, `"stream.read"`, …).  What else it
    takes is in the field that fits: `type` is a type index (a core one for
    `thread.new-indirect`), `result` the result of `task.return`, `is_async` and `cancellable`
    the flags, `slot` and `slot_type` the immediates of `context.get` and `context.set`,
    `memory` and `table` core indices.
    """

    name: str
    offset: int
    type: int | None = None
    result: ValTypeRef | None = None
    options: CanonOptions = CanonOptions()
    is_async: bool = False
    cancellable: bool = False
    slot: int | None = None
    slot_type: NumType | None = None
    memory: int | None = None
    table: int | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """`(start f (value v)* (result (value))ʳ)`."""

    func: int
    args: tuple[int, ...]
    results: int
    offset: int


@dataclass(frozen=True, slots=True)
class ExportDef:
    """`(export name si type?)`: a new index of the sort of what is exported."""

    name: Name
    item: SortIndex
    desc: ExternDesc | None
    offset: int


@dataclass(frozen=True, slots=True)
class ValueDef:
    """A literal value: its type and its encoding."""

    type: ValTypeRef
    content: Span
    offset: int


@dataclass(frozen=True, slots=True)
class CustomSection:
    """A custom section: `content` follows the name; `before` definitions came first."""

    name: str
    content: Span
    offset: int
    before: int


@dataclass(slots=True)
class ComponentDef:
    """A component: itself a definition when nested.  `content` are its bytes within `data`.

    Spans refer to `data`, the bytes of the outermost component.  `section_starts` are the places
    in `definitions` where a new section began, so that a binary can be printed as it was.
    """

    data: bytes
    content: Span
    offset: int
    definitions: list[Definition] = field(default_factory=list)
    customs: list[CustomSection] = field(default_factory=list)
    section_starts: list[int] = field(default_factory=list)


Definition = (
    CoreModuleDef
    | CoreInstantiate
    | CoreInlineExports
    | CoreTypeDef
    | ComponentDef
    | Instantiate
    | InlineExports
    | ExportAlias
    | OuterAlias
    | TypeDef
    | CanonLift
    | CanonLower
    | CanonBuiltin
    | Start
    | ImportDecl
    | ExportDef
    | ValueDef
)
