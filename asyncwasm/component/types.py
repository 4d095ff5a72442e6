"""Types of the Component Model: frozen values with structural equality.

What validation makes of the definitions in a binary: no index is left, and a resource type is an
identity.  See "Type Definitions" in `Explainer.md` of the Component Model.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Union, final

from asyncwasm.core.types import ExternType as CoreExternType


class Primitive(enum.Enum):
    """A value type without parts; the value is its name in the text format."""

    BOOL = "bool"
    S8 = "s8"
    U8 = "u8"
    S16 = "s16"
    U16 = "u16"
    S32 = "s32"
    U32 = "u32"
    S64 = "s64"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"
    CHAR = "char"
    STRING = "string"
    ERROR_CONTEXT = "error-context"

    def __str__(self) -> str:
        return self.value


@final
@dataclass(frozen=True, slots=True)
class Record:
    """Named fields, at least one."""

    fields: tuple[tuple[str, ValType], ...]


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """Named cases, at least one, each with a payload or with None."""

    cases: tuple[tuple[str, ValType | None], ...]


@final
@dataclass(frozen=True, slots=True)
class List:
    """A list; `length` is not None for a fixed-length one."""

    element: ValType
    length: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Tuple:
    """Unnamed fields, at least one."""

    types: tuple[ValType, ...]


@final
@dataclass(frozen=True, slots=True)
class Flags:
    """A set of names, from 1 to 32 of them."""

    labels: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Enum:
    """One of a list of names."""

    labels: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Option:
    """A value or nothing."""

    type: ValType


@final
@dataclass(frozen=True, slots=True)
class Result:
    """Success or failure, each with a payload or with None."""

    ok: ValType | None
    error: ValType | None


@final
@dataclass(frozen=True, slots=True)
class Own:
    """An owning handle.  What identifies the resource depends on who made the type."""

    resource: Hashable


@final
@dataclass(frozen=True, slots=True)
class Borrow:
    """A handle lent for the time of a call."""

    resource: Hashable


@final
@dataclass(frozen=True, slots=True)
class Stream:
    """The readable end of a stream; without elements that have a value where None."""

    element: ValType | None


@final
@dataclass(frozen=True, slots=True)
class Future:
    """The readable end of a future; of no value where None."""

    element: ValType | None


@final
@dataclass(frozen=True, slots=True)
class Map:
    """A list of pairs, taken for a mapping: the later of two equal keys wins."""

    key: ValType
    value: ValType


ValType = Union[
    Primitive,
    Record,
    Variant,
    List,
    Tuple,
    Flags,
    Enum,
    Option,
    Result,
    Own,
    Borrow,
    Stream,
    Future,
    Map,
]


@final
@dataclass(frozen=True, slots=True)
class FuncType:
    """A function's type: named parameters, at most one result, `async` or not."""

    params: tuple[tuple[str, ValType], ...]
    result: ValType | None = None
    is_async: bool = False


@final
class ResourceId:
    """A resource type, as validation knows it: equal to nothing but itself.

    Each `(sub resource)` bound and each definition is one, and each instantiation makes new ones
    of those that the component defines.  `name` is for messages.
    """

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<resource {self.name or hex(id(self))}>"


@final
@dataclass(frozen=True, slots=True)
class ModuleType:
    """The type of a core module: imports by module and name, exports by name."""

    imports: Mapping[tuple[str, str], CoreExternType]
    exports: Mapping[str, CoreExternType]


@final
@dataclass(frozen=True, slots=True)
class TypeExport:
    """What a type import or export is: a resource, or another type."""

    type: AnyType


@final
@dataclass(frozen=True, slots=True)
class ValueExport:
    """A value import or export."""

    type: ValType


# Where a resource is found below an instance or a component: names of exports, outermost first.
Path = tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class InstanceType:
    """The type of an instance.

    `resources` are the resource types that are new with such an instance, abstract where the type
    is an import's or the result of instantiation, and where in the exports each is found first.
    """

    exports: Mapping[str, ExternType]
    resources: Mapping[ResourceId, Path] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class ComponentType:
    """The type of a component.

    `imported` are the resource types that the imports bring, to be replaced by what is given for
    them at instantiation, with the import and the way below it; `defined` those that each
    instantiation makes anew, by where in the exports each is found first, or with None where it is
    not exported.
    """

    imports: Mapping[str, ExternType]
    exports: Mapping[str, ExternType]
    imported: Mapping[ResourceId, Path] = field(default_factory=dict)
    defined: Mapping[ResourceId, Path | None] = field(default_factory=dict)


AnyType = Union[ValType, FuncType, ResourceId, InstanceType, ComponentType, ModuleType]
ExternType = Union[FuncType, InstanceType, ComponentType, ModuleType, TypeExport, ValueExport]


def substitute(ty: ValType, replace: Callable[[Hashable], Hashable]) -> ValType:
    """`ty` with every resource `r` in it replaced by `replace(r)`."""
    match ty:
        case Primitive() | Flags() | Enum():
            return ty
        case Own(resource):
            return Own(replace(resource))
        case Borrow(resource):
            return Borrow(replace(resource))
        case Record(fields):
            return Record(tuple((name, substitute(t, replace)) for name, t in fields))
        case Variant(cases):
            return Variant(tuple((name, substitute_optional(t, replace)) for name, t in cases))
        case List(element, length):
            return List(substitute(element, replace), length)
        case Tuple(types):
            return Tuple(tuple(substitute(t, replace) for t in types))
        case Option(inner):
            return Option(substitute(inner, replace))
        case Result(ok, error):
            return Result(substitute_optional(ok, replace), substitute_optional(error, replace))
        case Stream(element):
            return Stream(substitute_optional(element, replace))
        case Future(element):
            return Future(substitute_optional(element, replace))
        case Map(key, value):
            return Map(substitute(key, replace), substitute(value, replace))


def substitute_optional(
    ty: ValType | None, replace: Callable[[Hashable], Hashable]
) -> ValType | None:
    """`substitute`, where None is no type."""
    return None if ty is None else substitute(ty, replace)


def substitute_func(ty: FuncType, replace: Callable[[Hashable], Hashable]) -> FuncType:
    """`substitute` in the parameters and the result of a function."""
    return FuncType(
        tuple((name, substitute(t, replace)) for name, t in ty.params),
        substitute_optional(ty.result, replace),
        ty.is_async,
    )
