"""Component-level types, and the declarators of component and instance types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.binary.immediates import NUM_TYPES
from asyncwasm.core.isa.features import Feature
from asyncwasm.core.types import NumType
from asyncwasm.errors import MalformedError, ValidationError

from ..syntax import (
    BorrowDef,
    ComponentTypeDef,
    Declarator,
    DefValType,
    EnumDef,
    FlagsDef,
    FuncDef,
    FutureDef,
    InstanceTypeDef,
    ListDef,
    MapDef,
    OptionDef,
    OwnDef,
    RecordDef,
    ResourceDef,
    ResultDef,
    StreamDef,
    TupleDef,
    TypeDef,
    ValTypeRef,
    VariantDef,
)
from ..types import Primitive
from .core_types import skip_core_type
from .externs import read_alias, read_export_decl, read_import
from .limits import MAX_FIELDS, MAX_PARAMS
from .reader import Reader, bad_byte
from .values import read_val_type

_FIRST_PRIMITIVE: Final = 0x73


def read_type(reader: Reader) -> TypeDef:
    """One definition of the type section, or of a declaration."""
    start = reader.pos
    code = reader.byte()
    if code >= _FIRST_PRIMITIVE or code == 0x64:
        reader.pos = start
        ty = read_val_type(reader)
        if isinstance(ty, Primitive):
            return TypeDef(ty, start)
        raise bad_byte(code, "component defined type", start)
    read = _READERS.get(code)
    if read is None:
        raise bad_byte(code, "component defined type", start)
    return TypeDef(read(reader, start), start)


def _read_optional(
    reader: Reader, what: str = "optional component value type"
) -> ValTypeRef | None:
    return read_val_type(reader) if reader.optional(what) else None


def _read_labelled(reader: Reader) -> tuple[str, ValTypeRef]:
    return reader.name(), read_val_type(reader)


def _read_record(reader: Reader, start: int) -> DefValType:
    count = reader.count(MAX_FIELDS, "fields")
    return RecordDef(tuple(_read_labelled(reader) for _ in range(count)))


def _read_variant(reader: Reader, start: int) -> DefValType:
    cases: list[tuple[str, ValTypeRef | None]] = []
    for _ in range(reader.count(MAX_FIELDS, "cases")):
        label = reader.name()
        payload = _read_optional(reader)
        zero = reader.byte()
        if zero:
            raise bad_byte(zero, "zero byte required", reader.pos - 1)
        cases.append((label, payload))
    return VariantDef(tuple(cases))


def _read_list(reader: Reader, start: int) -> DefValType:
    return ListDef(read_val_type(reader))


def _read_fixed_list(reader: Reader, start: int) -> DefValType:
    reader.require(Feature.COMPONENT_MODEL_FIXED_LENGTH_LISTS, start)
    return ListDef(read_val_type(reader), reader.u32())


def _read_tuple(reader: Reader, start: int) -> DefValType:
    count = reader.count(MAX_FIELDS, "types")
    return TupleDef(tuple(read_val_type(reader) for _ in range(count)))


def _read_labels(reader: Reader) -> tuple[str, ...]:
    return tuple(reader.name() for _ in range(reader.count(MAX_FIELDS, "labels")))


def _read_flags(reader: Reader, start: int) -> DefValType:
    return FlagsDef(_read_labels(reader))


def _read_enum(reader: Reader, start: int) -> DefValType:
    return EnumDef(_read_labels(reader))


def _read_option(reader: Reader, start: int) -> DefValType:
    return OptionDef(read_val_type(reader))


def _read_result(reader: Reader, start: int) -> DefValType:
    return ResultDef(_read_optional(reader), _read_optional(reader))


def _read_own(reader: Reader, start: int) -> DefValType:
    return OwnDef(reader.u32())


def _read_borrow(reader: Reader, start: int) -> DefValType:
    return BorrowDef(reader.u32())


def _read_stream(reader: Reader, start: int) -> DefValType:
    reader.require(Feature.COMPONENT_MODEL_ASYNC, start)
    return StreamDef(_read_optional(reader))


def _read_future(reader: Reader, start: int) -> DefValType:
    reader.require(Feature.COMPONENT_MODEL_ASYNC, start)
    return FutureDef(_read_optional(reader))


def _read_map(reader: Reader, start: int) -> DefValType:
    reader.require(Feature.COMPONENT_MODEL_MAP, start)
    return MapDef(read_val_type(reader), read_val_type(reader))


def read_result_list(reader: Reader) -> ValTypeRef | None:
    """The result of a function, if it has one."""
    start = reader.pos
    match reader.byte():
        case 0:
            return read_val_type(reader)
        case 1:
            zero = reader.byte()
            if zero:
                raise bad_byte(zero, "number of results", start + 1)
            return None
        case code:
            raise bad_byte(code, "component function results", start)


def _read_func(reader: Reader, start: int) -> FuncDef:
    count = reader.count(MAX_PARAMS, "parameters")
    params = tuple(_read_labelled(reader) for _ in range(count))
    return FuncDef(params, read_result_list(reader), False)


def _read_async_func(reader: Reader, start: int) -> FuncDef:
    reader.require(Feature.COMPONENT_MODEL_ASYNC, start)
    sync = _read_func(reader, start)
    return FuncDef(sync.params, sync.result, True)


def _read_resource(reader: Reader, start: int) -> ResourceDef:
    rep_start = reader.pos
    rep = read_num_type(reader)
    if rep is NumType.I64:
        reader.require(Feature.COMPONENT_MODEL_MEMORY64, rep_start)
    elif rep is not NumType.I32:
        raise ValidationError("resources can only be represented by `i32`", offset=rep_start)
    destructor = reader.u32() if reader.optional("optional destructor") else None
    return ResourceDef(rep, destructor)


def read_num_type(reader: Reader) -> NumType:
    """A numeric core type.  The Component Model has no use for other core types yet."""
    start = reader.pos
    code = reader.byte()
    if code not in NUM_TYPES:
        raise MalformedError("malformed value type", offset=start)
    return NUM_TYPES[code]


def _read_component_type(reader: Reader, start: int) -> ComponentTypeDef:
    return ComponentTypeDef(_read_decls(reader, imports=True))


def _read_instance_type(reader: Reader, start: int) -> InstanceTypeDef:
    return InstanceTypeDef(_read_decls(reader, imports=False))


def _read_decls(reader: Reader, *, imports: bool) -> tuple[Declarator, ...]:
    reader.budget.enter()
    decls = tuple(_read_decl(reader, imports) for _ in range(reader.definitions()))
    reader.budget.leave()
    return decls


def _read_decl(reader: Reader, imports: bool) -> Declarator:
    start = reader.pos
    match reader.byte():
        case 0:
            return skip_core_type(reader)
        case 1:
            return read_type(reader)
        case 2:
            return read_alias(reader)
        case 3 if imports:
            return read_import(reader)
        case 4:
            return read_export_decl(reader)
        case code:
            raise bad_byte(code, "component or instance type declaration", start)


_READERS: Final[
    dict[
        int,
        Callable[
            [Reader, int], DefValType | FuncDef | ComponentTypeDef | InstanceTypeDef | ResourceDef
        ],
    ]
] = {
    0x72: _read_record,
    0x71: _read_variant,
    0x70: _read_list,
    0x6F: _read_tuple,
    0x6E: _read_flags,
    0x6D: _read_enum,
    0x6B: _read_option,
    0x6A: _read_result,
    0x69: _read_own,
    0x68: _read_borrow,
    0x67: _read_fixed_list,
    0x66: _read_stream,
    0x65: _read_future,
    0x63: _read_map,
    0x43: _read_async_func,
    0x42: _read_instance_type,
    0x41: _read_component_type,
    0x40: _read_func,
    0x3F: _read_resource,
}
