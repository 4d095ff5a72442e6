"""The types of WebAssembly: frozen values with equality, hashing and subtyping.

Type definitions are canonical.  Recursion groups that are equal up to renaming of their own
indices (the specification's iso-recursive equality) are one object, whatever module they come
from, so equality of defined types is identity and nothing behind the decoder deals in type
indices.  See "Types" and "Matching" in the core specification.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Union, final


class NumType(enum.Enum):
    """Numeric and vector types.  `bits` is their width."""

    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    V128 = "v128"

    @property
    def bits(self) -> int:
        """The width in bits."""
        return 128 if self is NumType.V128 else int(self.value[1:])

    def matches(self, other: ValType) -> bool:
        """Whether this is a subtype of `other`; numeric types are only their own subtypes."""
        return self is other

    @property
    def is_defaultable(self) -> bool:
        """Whether locals of this type start out with a value: always."""
        return True

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return f"ValType.{self.name}"


class PackedType(enum.Enum):
    """Storage types of struct and array fields that are narrower than a value."""

    I8 = "i8"
    I16 = "i16"

    @property
    def bits(self) -> int:
        """The width in bits."""
        return int(self.value[1:])

    def __str__(self) -> str:
        return self.value


class AbsHeapType(enum.Enum):
    """Abstract heap types, by their name in the text format."""

    FUNC = "func"
    NOFUNC = "nofunc"
    EXTERN = "extern"
    NOEXTERN = "noextern"
    ANY = "any"
    EQ = "eq"
    I31 = "i31"
    STRUCT = "struct"
    ARRAY = "array"
    NONE = "none"
    EXN = "exn"
    NOEXN = "noexn"

    @property
    def top(self) -> AbsHeapType:
        """The top of this type's hierarchy."""
        return _TOP[self]

    def __str__(self) -> str:
        return self.value


_H = AbsHeapType
_TOP: Final = {
    _H.FUNC: _H.FUNC,
    _H.NOFUNC: _H.FUNC,
    _H.EXTERN: _H.EXTERN,
    _H.NOEXTERN: _H.EXTERN,
    _H.EXN: _H.EXN,
    _H.NOEXN: _H.EXN,
    _H.ANY: _H.ANY,
    _H.EQ: _H.ANY,
    _H.I31: _H.ANY,
    _H.STRUCT: _H.ANY,
    _H.ARRAY: _H.ANY,
    _H.NONE: _H.ANY,
}
_BOTTOM: Final = {_H.FUNC: _H.NOFUNC, _H.EXTERN: _H.NOEXTERN, _H.EXN: _H.NOEXN, _H.ANY: _H.NONE}
# Every abstract type with all its abstract supertypes, itself included.
_SUPERS: Final = {
    _H.FUNC: {_H.FUNC},
    _H.NOFUNC: {_H.NOFUNC, _H.FUNC},
    _H.EXTERN: {_H.EXTERN},
    _H.NOEXTERN: {_H.NOEXTERN, _H.EXTERN},
    _H.EXN: {_H.EXN},
    _H.NOEXN: {_H.NOEXN, _H.EXN},
    _H.ANY: {_H.ANY},
    _H.EQ: {_H.EQ, _H.ANY},
    _H.I31: {_H.I31, _H.EQ, _H.ANY},
    _H.STRUCT: {_H.STRUCT, _H.EQ, _H.ANY},
    _H.ARRAY: {_H.ARRAY, _H.EQ, _H.ANY},
    _H.NONE: {_H.NONE, _H.I31, _H.STRUCT, _H.ARRAY, _H.EQ, _H.ANY},
}

HeapType = Union[AbsHeapType, "DefType"]


def heap_top(heap: HeapType) -> AbsHeapType:
    """The top of the hierarchy that `heap` belongs to."""
    return heap.top if isinstance(heap, AbsHeapType) else heap.kind.top


def heap_bottom(heap: HeapType) -> AbsHeapType:
    """The bottom of the hierarchy that `heap` belongs to."""
    return _BOTTOM[heap_top(heap)]


def heap_matches(sub: HeapType, sup: HeapType) -> bool:
    """Whether heap type `sub` is a subtype of `sup`."""
    if sub is sup:
        return True
    if isinstance(sup, DefType):
        if isinstance(sub, DefType):
            return sup in sub.supers
        return sub is _BOTTOM[sup.kind.top]
    if isinstance(sub, DefType):
        return sup in _SUPERS[sub.kind]
    return sup in _SUPERS[sub]


@final
class RefType:
    """A reference type `(ref null? heap)`.  Interned: equal reference types are one object."""

    __slots__ = ("__weakref__", "heap", "nullable")

    nullable: bool
    heap: HeapType

    def __new__(cls, nullable: bool, heap: HeapType) -> RefType:
        if isinstance(heap, AbsHeapType):
            return _ABSTRACT_REFS[nullable, heap]
        return heap.ref_null if nullable else heap.ref

    @staticmethod
    def _make(nullable: bool, heap: HeapType) -> RefType:
        self = object.__new__(RefType)
        self.nullable = nullable
        self.heap = heap
        return self

    def matches(self, other: ValType) -> bool:
        """Whether this is a subtype of `other`."""
        return self is other or (
            isinstance(other, RefType)
            and (other.nullable or not self.nullable)
            and heap_matches(self.heap, other.heap)
        )

    @property
    def is_defaultable(self) -> bool:
        """Whether locals of this type start out with a value, which is null."""
        return self.nullable

    def __str__(self) -> str:
        if self.nullable and isinstance(self.heap, AbsHeapType):
            return _SHORTHANDS[self.heap]
        return f"(ref {'null ' if self.nullable else ''}{self.heap})"

    def __repr__(self) -> str:
        return f"RefType({self})"

    def __reduce__(self) -> tuple[object, ...]:
        return (RefType, (self.nullable, self.heap))


_SHORTHANDS: Final = {h: f"{h.value}ref" for h in AbsHeapType} | {
    _H.NONE: "nullref",
    _H.NOFUNC: "nullfuncref",
    _H.NOEXTERN: "nullexternref",
    _H.NOEXN: "nullexnref",
}
_ABSTRACT_REFS: Final = {(n, h): RefType._make(n, h) for n in (False, True) for h in AbsHeapType}

ValType = Union[NumType, RefType]
StorageType = Union[NumType, RefType, PackedType]

I32: Final = NumType.I32
I64: Final = NumType.I64
F32: Final = NumType.F32
F64: Final = NumType.F64
V128: Final = NumType.V128
FUNCREF: Final = RefType(True, AbsHeapType.FUNC)
EXTERNREF: Final = RefType(True, AbsHeapType.EXTERN)
ANYREF: Final = RefType(True, AbsHeapType.ANY)
EQREF: Final = RefType(True, AbsHeapType.EQ)
I31REF: Final = RefType(True, AbsHeapType.I31)
STRUCTREF: Final = RefType(True, AbsHeapType.STRUCT)
ARRAYREF: Final = RefType(True, AbsHeapType.ARRAY)
EXNREF: Final = RefType(True, AbsHeapType.EXN)
NULLREF: Final = RefType(True, AbsHeapType.NONE)
NULLFUNCREF: Final = RefType(True, AbsHeapType.NOFUNC)
NULLEXTERNREF: Final = RefType(True, AbsHeapType.NOEXTERN)
NULLEXNREF: Final = RefType(True, AbsHeapType.NOEXN)


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of a struct field or of an array's elements."""

    storage: StorageType
    mutable: bool = False

    @property
    def unpacked(self) -> ValType:
        """The type of the value that reading this field gives."""
        return I32 if isinstance(self.storage, PackedType) else self.storage

    def matches(self, other: FieldType) -> bool:
        """Whether a field of this type may stand for `other`: invariant where mutable."""
        if self.mutable != other.mutable:
            return False
        if self.mutable or isinstance(self.storage, PackedType):
            return self.storage == other.storage
        return not isinstance(other.storage, PackedType) and self.storage.matches(other.storage)

    def __str__(self) -> str:
        return f"(mut {self.storage})" if self.mutable else str(self.storage)


@dataclass(frozen=True, slots=True)
class FuncType:
    """A function type."""

    params: tuple[ValType, ...] = ()
    results: tuple[ValType, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", tuple(self.params))
        object.__setattr__(self, "results", tuple(self.results))

    def matches(self, other: FuncType) -> bool:
        """Whether a function of this type may stand for `other`, structurally."""
        return (
            len(self.params) == len(other.params)
            and len(self.results) == len(other.results)
            and all(o.matches(s) for s, o in zip(self.params, other.params, strict=True))
            and all(s.matches(o) for s, o in zip(self.results, other.results, strict=True))
        )

    def __str__(self) -> str:
        parts = ["func"]
        if self.params:
            parts.append(f"(param {' '.join(map(str, self.params))})")
        if self.results:
            parts.append(f"(result {' '.join(map(str, self.results))})")
        return f"({' '.join(parts)})"


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct type."""

    fields: tuple[FieldType, ...] = ()

    def matches(self, other: StructType) -> bool:
        """Width and depth subtyping."""
        return len(self.fields) >= len(other.fields) and all(
            s.matches(o) for s, o in zip(self.fields, other.fields, strict=False)
        )

    def __str__(self) -> str:
        return f"(struct{''.join(f' (field {f})' for f in self.fields)})"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An array type."""

    field: FieldType

    def matches(self, other: ArrayType) -> bool:
        """Whether an array of this type may stand for `other`, structurally."""
        return self.field.matches(other.field)

    def __str__(self) -> str:
        return f"(array {self.field})"


CompositeType = Union[FuncType, StructType, ArrayType]
_KINDS: Final[dict[type, AbsHeapType]] = {
    FuncType: AbsHeapType.FUNC,
    StructType: AbsHeapType.STRUCT,
    ArrayType: AbsHeapType.ARRAY,
}


@final
class DefType:
    """A defined type: one member of a canonical recursion group.  Compared by identity.

    `comp` is its structure, `final` whether it may have subtypes, `supertype` the declared
    supertype or None, `supers` the set of all its supertypes, itself included, `group` the
    whole recursion group and `index` its place there.  `objects` is the class of objects of a
    struct type, once there is one.
    """

    __slots__ = (
        "__weakref__",
        "comp",
        "final",
        "group",
        "index",
        "kind",
        "objects",
        "ref",
        "ref_null",
        "supers",
        "supertype",
    )

    comp: CompositeType
    final: bool
    supertype: DefType | None
    supers: frozenset[DefType]
    kind: AbsHeapType
    group: RecGroup
    index: int
    objects: type | None

    def __init__(self, group: RecGroup, index: int) -> None:
        self.group = group
        self.index = index
        self.objects = None
        self.ref: Final = RefType._make(False, self)
        self.ref_null: Final = RefType._make(True, self)

    def _complete(self, comp: CompositeType, final: bool, supertype: DefType | None) -> None:
        self.comp = comp
        self.final = final
        self.supertype = supertype
        self.kind = _KINDS[type(comp)]
        self.supers = frozenset((self,)) | (supertype.supers if supertype else frozenset())

    @property
    def func(self) -> FuncType:
        """The structure of a function type; the caller knows that it is one."""
        assert isinstance(self.comp, FuncType)
        return self.comp

    def matches(self, other: DefType) -> bool:
        """Whether this is `other` or declared a subtype of it, directly or not."""
        return other in self.supers

    @staticmethod
    def of(comp: CompositeType) -> DefType:
        """The final defined type without supertypes whose structure is `comp`."""
        return rec_group([SubType(comp)]).types[0]

    def __str__(self) -> str:
        return _describe(self)

    def __repr__(self) -> str:
        return f"<DefType {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (self.group.key, self.index))


def _describe(ty: DefType) -> str:
    """Structure as text.

    Other defined types in it are named by their kind only, as in `(ref null (struct …))`: types
    may be recursive, and a few of them, each with two references to the one before, would make
    a text of exponential size.
    """

    def storage(t: StorageType) -> str:
        if isinstance(t, RefType) and isinstance(t.heap, DefType):
            inner = "rec" if t.heap is ty else f"({t.heap.kind} …)"
            return f"(ref {'null ' if t.nullable else ''}{inner})"
        return str(t)

    def field(f: FieldType) -> str:
        return f"(mut {storage(f.storage)})" if f.mutable else storage(f.storage)

    comp = ty.comp
    if isinstance(comp, StructType):
        return f"(struct{''.join(f' (field {field(f)})' for f in comp.fields)})"
    if isinstance(comp, ArrayType):
        return f"(array {field(comp.field)})"
    parts = ["func"]
    if comp.params:
        parts.append(f"(param {' '.join(map(storage, comp.params))})")
    if comp.results:
        parts.append(f"(result {' '.join(map(storage, comp.results))})")
    return f"({' '.join(parts)})"


@dataclass(frozen=True, slots=True)
class RecIndex:
    """Inside a group that is being defined: its own member number `index`, not yet a type."""

    index: int


@dataclass(frozen=True, slots=True)
class RecRef:
    """A reference type to a member of the group that is being defined."""

    nullable: bool
    index: int


@dataclass(frozen=True, slots=True)
class SubType:
    """One member of a group that is being defined.

    References to the group's own members are `RecRef`s in place of `RefType`s, and a
    supertype in the group is a `RecIndex`.
    """

    comp: CompositeType
    final: bool = True
    supertype: DefType | RecIndex | None = None


@final
class RecGroup:
    """A canonical recursion group.  `key` is the structure that it was made from."""

    __slots__ = ("__weakref__", "key", "types")

    key: tuple[SubType, ...]
    types: tuple[DefType, ...]


# Equal groups are one object for as long as any of their types is alive.  The key holds outer
# types by identity, which is right because they are canonical themselves.
_GROUPS: weakref.WeakValueDictionary[tuple[SubType, ...], RecGroup] = weakref.WeakValueDictionary()


def rec_group(members: Sequence[SubType]) -> RecGroup:
    """The canonical group with these members."""
    key = tuple(members)
    found = _GROUPS.get(key)
    if found is not None:
        return found
    group = object.__new__(RecGroup)
    group.key = key
    types = tuple(DefType(group, i) for i in range(len(key)))
    group.types = types
    # Supertypes inside a group come before their subtypes (validation rejects the rest before
    # this is called), so `supers` is complete when a later member reads it.
    for ty, member in zip(types, key, strict=True):
        sup = member.supertype
        resolved = types[sup.index] if isinstance(sup, RecIndex) else sup
        ty._complete(_resolve(member.comp, types), member.final, resolved)
    return _GROUPS.setdefault(key, group)


def _restore(key: tuple[SubType, ...], index: int) -> DefType:
    return rec_group(key).types[index]


def _resolve(comp: CompositeType, types: tuple[DefType, ...]) -> CompositeType:
    def value(t: ValType | RecRef) -> ValType:
        if isinstance(t, RecRef):
            return RefType(t.nullable, types[t.index])
        return t

    def field(f: FieldType) -> FieldType:
        if isinstance(f.storage, PackedType):
            return f
        return FieldType(value(f.storage), f.mutable)

    match comp:
        case FuncType(params, results):
            return FuncType(tuple(map(value, params)), tuple(map(value, results)))
        case StructType(fields):
            return StructType(tuple(map(field, fields)))
        case ArrayType(element):
            return ArrayType(field(element))


class IndexType(enum.Enum):
    """Whether a memory or table is addressed with 32 or 64 bits."""

    I32 = "i32"
    I64 = "i64"

    @property
    def value_type(self) -> NumType:
        """The type of indices."""
        return NumType(self.value)


@dataclass(frozen=True, slots=True)
class Limits:
    """Size limits: `minimum` and `maximum` (or None) in the owner's unit."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        return f"{self.minimum}" if self.maximum is None else f"{self.minimum} {self.maximum}"


@dataclass(frozen=True, slots=True)
class MemoryType:
    """A memory type.  Limits count pages of `page_size` bytes (65536, or 1)."""

    limits: Limits
    index_type: IndexType = IndexType.I32
    shared: bool = False
    page_size: int = 65536

    def __str__(self) -> str:
        index = "i64 " if self.index_type is IndexType.I64 else ""
        shared = " shared" if self.shared else ""
        page = "" if self.page_size == 65536 else f" (pagesize {self.page_size})"
        return f"(memory {index}{self.limits}{shared}{page})"


@dataclass(frozen=True, slots=True)
class TableType:
    """A table type.  Limits count elements."""

    element: RefType
    limits: Limits
    index_type: IndexType = IndexType.I32

    def __str__(self) -> str:
        index = "i64 " if self.index_type is IndexType.I64 else ""
        return f"(table {index}{self.limits} {self.element})"


@dataclass(frozen=True, slots=True)
class GlobalType:
    """A global's type."""

    content: ValType
    mutable: bool = False

    def __str__(self) -> str:
        return f"(global {f'(mut {self.content})' if self.mutable else self.content})"


@dataclass(frozen=True, slots=True)
class TagType:
    """A tag's type: `type` is a function type whose parameters are the exception's fields."""

    type: DefType

    def __str__(self) -> str:
        return f"(tag {self.type})"


@dataclass(frozen=True, slots=True)
class ExternFunc:
    """A function as an import's or export's type; `type` is its defined type."""

    type: DefType

    @property
    def func(self) -> FuncType:
        """Its parameters and results."""
        return self.type.func

    def __str__(self) -> str:
        return str(self.type)


ExternType = Union[ExternFunc, TableType, MemoryType, GlobalType, TagType]


@dataclass(frozen=True, slots=True)
class ImportType:
    """One import: its two names and what must be given for it."""

    module: str
    name: str
    type: ExternType


@dataclass(frozen=True, slots=True)
class ExportType:
    """One export: its name and type."""

    name: str
    type: ExternType
