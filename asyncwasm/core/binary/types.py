"""The type section and the types of imports, tables, memories, globals and tags.

Recursion groups are canonicalised as they are read, which needs them to be valid: unknown
indices and wrong subtype declarations are `ValidationError`s here already.  See "Types" in
the binary format and in validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.types import (
    AbsHeapType,
    ArrayType,
    CompositeType,
    DefType,
    FieldType,
    FuncType,
    GlobalType,
    IndexType,
    Limits,
    MemoryType,
    PackedType,
    RecIndex,
    RecRef,
    StructType,
    SubType,
    TableType,
    TagType,
    rec_group,
)
from asyncwasm.errors import MalformedError, ValidationError

from .cursor import Cursor
from .limits import (
    MAX_FIELDS,
    MAX_PARAMS,
    MAX_RESULTS,
    MAX_SUBTYPING_DEPTH,
    MAX_TYPES,
    check_limit,
)

_REC: Final = 0x4E
_SUB: Final = 0x50
_SUB_FINAL: Final = 0x4F
_FUNC: Final = 0x60
_STRUCT: Final = 0x5F
_ARRAY: Final = 0x5E
_PACKED: Final = {0x78: PackedType.I8, 0x77: PackedType.I16}

_MEMORY_FEATURES: Final = {
    2: Feature.THREADS,
    4: Feature.MEMORY64,
    8: Feature.CUSTOM_PAGE_SIZES,
}


@dataclass(frozen=True, slots=True)
class _Member:
    """Stands among the types for a member of the group that is being read.

    It has the two attributes that `RefType` asks a heap type for, so a reference to it reads
    as a `RecRef`.
    """

    ref: RecRef
    ref_null: RecRef


def read_type_section(cursor: Cursor, types: list[DefType]) -> None:
    """Append the defined types to `types`, which is also what the cursor looks types up in."""
    for _ in range(cursor.count(MAX_TYPES, "types")):
        read_rec_type(cursor, types)


def read_rec_type(cursor: Cursor, types: list[DefType]) -> None:
    """Append the members of one recursion group to `types`, which its indices refer to."""
    start = cursor.pos
    size = 1
    if cursor.data[start : start + 1] == bytes((_REC,)):
        require(cursor.features, Feature.GC, start)
        cursor.pos += 1
        size = cursor.count(MAX_TYPES, "types")
    check_limit(len(types) + size, MAX_TYPES, "types")
    _read_group(cursor, types, size)


def _read_group(cursor: Cursor, types: list[DefType], size: int) -> None:
    base = len(types)
    types.extend(cast(DefType, _Member(RecRef(False, i), RecRef(True, i))) for i in range(size))
    members: list[SubType] = []
    starts: list[int] = []
    depths: list[int] = []
    for i in range(size):
        starts.append(cursor.pos)
        member = _read_sub_type(cursor, types, base, base + i)
        members.append(member)
        # A type holds the set of all its supertypes, so the depth is bounded before it exists.
        match member.supertype:
            case None:
                depths.append(0)
            case RecIndex(index):
                depths.append(depths[index] + 1)
            case sup:
                depths.append(len(sup.supers))
        check_limit(depths[i], MAX_SUBTYPING_DEPTH, "levels of subtyping")
    group = rec_group(members)
    types[base:] = group.types
    for start, index, ty in zip(starts, range(base, base + size), group.types, strict=True):
        _check_supertype(ty, index, start)


def _read_sub_type(cursor: Cursor, types: list[DefType], base: int, own: int) -> SubType:
    """One member, number `own`, of the group that starts at number `base`."""
    start = cursor.pos
    code = cursor.byte()
    if code not in (_SUB, _SUB_FINAL):
        return SubType(_read_composite(cursor, code, start))
    require(cursor.features, Feature.GC, start)
    supertype: DefType | RecIndex | None = None
    supers = [cursor.u32() for _ in range(cursor.count(MAX_TYPES, "supertypes"))]
    if len(supers) > 1:
        raise ValidationError("sub type has more than one super type", offset=start)
    for index in supers:
        if index >= own:
            known = index < len(types)
            message = f"sub type {own} uses type {index} before its definition"
            raise ValidationError(message if known else f"unknown type {index}", offset=start)
        supertype = types[index] if index < base else RecIndex(index - base)
    composite_start = cursor.pos
    composite = _read_composite(cursor, cursor.byte(), composite_start)
    return SubType(composite, code == _SUB_FINAL, supertype)


def _read_composite(cursor: Cursor, code: int, start: int) -> CompositeType:
    if code == _FUNC:
        params = [cursor.val_type() for _ in range(cursor.count(MAX_PARAMS, "parameters"))]
        results = [cursor.val_type() for _ in range(cursor.count(MAX_RESULTS, "results"))]
        if len(results) > 1:
            require(cursor.features, Feature.MULTI_VALUE, start)
        return FuncType(tuple(params), tuple(results))
    if code == _STRUCT:
        require(cursor.features, Feature.GC, start)
        fields = [_read_field(cursor) for _ in range(cursor.count(MAX_FIELDS, "fields"))]
        return StructType(tuple(fields))
    if code == _ARRAY:
        require(cursor.features, Feature.GC, start)
        return ArrayType(_read_field(cursor))
    raise MalformedError("malformed definition type", offset=start)


def _read_field(cursor: Cursor) -> FieldType:
    packed = _PACKED.get(cursor.data[cursor.pos]) if cursor.pos < len(cursor.data) else None
    if packed is not None:
        cursor.pos += 1
        return FieldType(packed, _read_mutability(cursor))
    ty = cursor.val_type()
    return FieldType(ty, _read_mutability(cursor))


def _check_supertype(ty: DefType, index: int, start: int) -> None:
    """The declared supertype must be open and have a structure that this one matches."""
    sup = ty.supertype
    if sup is None:
        return
    if sup.final:
        raise ValidationError(f"sub type {index} has a final super type", offset=start)
    # `matches` of two structures of different kinds is not defined.
    if sup.kind is not ty.kind or not cast(Any, ty.comp).matches(sup.comp):
        raise ValidationError(f"sub type {index} does not match its super type", offset=start)


def _read_mutability(cursor: Cursor) -> bool:
    start = cursor.pos
    code = cursor.byte()
    if code > 1:
        raise MalformedError("malformed mutability", offset=start)
    return code == 1


def read_func_type(cursor: Cursor, types: list[DefType]) -> DefType:
    """A type index that must be that of a function type."""
    start = cursor.pos
    index = cursor.index(types, "type")
    ty = types[index]
    if ty.kind is not AbsHeapType.FUNC:
        raise ValidationError(f"type {index} is not a function type", offset=start)
    return ty


def read_global_type(cursor: Cursor) -> GlobalType:
    content = cursor.val_type()
    return GlobalType(content, _read_mutability(cursor))


def read_tag_type(cursor: Cursor, types: list[DefType]) -> TagType:
    start = cursor.pos
    require(cursor.features, Feature.EXCEPTIONS, start)
    if cursor.byte() != 0:
        raise MalformedError("malformed tag attribute", offset=start)
    return TagType(read_func_type(cursor, types))


def _read_limits(cursor: Cursor, flags: int) -> tuple[Limits, IndexType]:
    # Sizes had 32 bits before there were 64-bit memories.
    wide = flags & 4 or Feature.MEMORY64 in cursor.features
    read = cursor.u64 if wide else cursor.u32
    minimum = read()
    maximum = read() if flags & 1 else None
    return Limits(minimum, maximum), IndexType.I64 if flags & 4 else IndexType.I32


def read_table_type(cursor: Cursor) -> TableType:
    element = cursor.ref_type()
    start = cursor.pos
    flags = cursor.byte()
    if flags & ~5:
        raise MalformedError("malformed limits flags", offset=start)
    limits, index_type = _read_limits(cursor, flags)
    if flags & 4:
        require(cursor.features, Feature.MEMORY64, start)
    return TableType(element, limits, index_type)


def read_memory_type(cursor: Cursor) -> MemoryType:
    start = cursor.pos
    flags = cursor.byte()
    if flags & ~15:
        raise MalformedError("malformed limits flags", offset=start)
    limits, index_type = _read_limits(cursor, flags)
    page_size = 65536
    if flags & 8:
        exponent_start = cursor.pos
        exponent = cursor.u32()
        if exponent >= 64:
            raise MalformedError("invalid custom page size", offset=exponent_start)
        page_size = 1 << exponent
    for bit, feature in _MEMORY_FEATURES.items():
        if flags & bit:
            require(cursor.features, feature, start)
    return MemoryType(limits, index_type, bool(flags & 2), page_size)
