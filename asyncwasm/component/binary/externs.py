"""What names things across scopes: imports, exports, aliases and instances."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Feature
from asyncwasm.errors import ValidationError

from ..syntax import (
    CoreInlineExports,
    CoreInstantiate,
    EqBound,
    ExportAlias,
    ExportDecl,
    ExportDef,
    ExternDesc,
    ImportDecl,
    InlineExports,
    Instantiate,
    Name,
    OuterAlias,
    Sort,
    SortIndex,
    SubResource,
)
from .limits import MAX_ARGS
from .reader import Reader, bad_byte
from .values import read_val_type

_CORE_SORTS: Final = {
    0x00: Sort.CORE_FUNC,
    0x01: Sort.CORE_TABLE,
    0x02: Sort.CORE_MEMORY,
    0x03: Sort.CORE_GLOBAL,
    0x04: Sort.CORE_TAG,
    0x10: Sort.CORE_TYPE,
    0x11: Sort.CORE_MODULE,
    0x12: Sort.CORE_INSTANCE,
}
# What an instance of a core module may export.
_CORE_EXTERNS: Final = frozenset(code for code in _CORE_SORTS if code < 0x10)
_SORTS: Final = {
    0x01: Sort.FUNC,
    0x02: Sort.VALUE,
    0x03: Sort.TYPE,
    0x04: Sort.COMPONENT,
    0x05: Sort.INSTANCE,
}
_OUTER_SORTS: Final = (Sort.CORE_MODULE, Sort.CORE_TYPE, Sort.TYPE, Sort.COMPONENT)
_EXTERNAL = "component external kind"
_ATTRIBUTES: Final = ("implements", "versionsuffix", "external-id")


def _read_sort(reader: Reader) -> Sort:
    """The sort of something that a component deals in: of the core ones, only modules."""
    start = reader.pos
    code = reader.byte()
    if code == 0:
        core = reader.byte()
        if core != 0x11:
            raise bad_byte(core, _EXTERNAL, start + 1)
        return Sort.CORE_MODULE
    if code not in _SORTS:
        raise bad_byte(code, _EXTERNAL, start)
    return _SORTS[code]


def _read_sort_index(reader: Reader) -> SortIndex:
    return SortIndex(_read_sort(reader), reader.u32())


def _read_core_sort_index(reader: Reader) -> SortIndex:
    start = reader.pos
    code = reader.byte()
    if code not in _CORE_EXTERNS:
        raise bad_byte(code, "external kind", start)
    return SortIndex(_CORE_SORTS[code], reader.u32())


def read_name(reader: Reader) -> Name:
    """The name of an import or export, with its attributes."""
    start = reader.pos
    form = reader.byte()
    if form > 2:
        raise bad_byte(form, "component name", start)
    name = reader.name()
    if form < 2:
        return Name(name, form=form)
    attributes: dict[str, str] = {}
    for _ in range(reader.count(MAX_ARGS, "attributes")):
        attribute_start = reader.pos
        code = reader.byte()
        if code >= len(_ATTRIBUTES):
            raise bad_byte(code, "name option", attribute_start)
        reader.require(Feature.COMPONENT_MODEL_IMPLEMENTS, attribute_start)
        kind = _ATTRIBUTES[code]
        if kind in attributes:
            raise ValidationError(f"duplicate '{kind}' option in name", offset=attribute_start)
        attributes[kind] = reader.name()
    implements, version_suffix, external_id = (attributes.get(kind) for kind in _ATTRIBUTES)
    return Name(name, implements, version_suffix, external_id, form)


def _read_desc(reader: Reader) -> ExternDesc:
    sort = _read_sort(reader)
    start = reader.pos
    if sort is Sort.TYPE:
        match reader.byte():
            case 0:
                return ExternDesc(sort, EqBound(reader.u32()))
            case 1:
                return ExternDesc(sort, SubResource())
            case code:
                raise bad_byte(code, "type bound", start)
    if sort is Sort.VALUE:
        match reader.byte():
            case 0:
                return ExternDesc(sort, EqBound(reader.u32()))
            case 1:
                return ExternDesc(sort, read_val_type(reader))
            case code:
                raise bad_byte(code, "value bound", start)
    return ExternDesc(sort, reader.u32())


def read_import(reader: Reader) -> ImportDecl:
    """An import of a component, or a declared one."""
    start = reader.pos
    return ImportDecl(read_name(reader), _read_desc(reader), start)


def read_export_decl(reader: Reader) -> ExportDecl:
    """A declared export."""
    start = reader.pos
    return ExportDecl(read_name(reader), _read_desc(reader), start)


def read_export(reader: Reader) -> ExportDef:
    """An export of a component, with the type that is ascribed to it, if any."""
    start = reader.pos
    name = read_name(reader)
    item = _read_sort_index(reader)
    desc = _read_desc(reader) if reader.optional("optional component export type") else None
    return ExportDef(name, item, desc, start)


def read_alias(reader: Reader) -> ExportAlias | OuterAlias:
    """An alias of any kind."""
    start = reader.pos
    code = reader.byte()
    core = reader.byte() if code == 0 else None
    target_start = reader.pos
    target = reader.byte()
    if target > 2:
        raise bad_byte(target, "alias", target_start)
    if target == 0:
        if core not in (None, 0x11):
            raise bad_byte(core, _EXTERNAL, start + 1)
        if core is None and code not in _SORTS:
            raise bad_byte(code, _EXTERNAL, start)
        sort = Sort.CORE_MODULE if core is not None else _SORTS[code]
        return ExportAlias(sort, reader.u32(), reader.name(), False, start)
    if target == 1:
        if core is None or core not in _CORE_EXTERNS:
            raise bad_byte(code if core is None else core, "external kind", start)
        return ExportAlias(_CORE_SORTS[core], reader.u32(), reader.name(), True, start)
    found = _SORTS.get(code) if core is None else _CORE_SORTS.get(core)
    if found not in _OUTER_SORTS:
        wrong = code if core is None else core
        raise bad_byte(wrong, "component outer alias kind", start)
    return OuterAlias(found, reader.u32(), reader.u32(), start)


def read_core_instance(reader: Reader) -> CoreInstantiate | CoreInlineExports:
    """A definition of the core instance section."""
    start = reader.pos
    match reader.byte():
        case 0:
            module = reader.u32()
            args: list[tuple[str, SortIndex]] = []
            for _ in range(reader.count(MAX_ARGS, "arguments")):
                name = reader.name()
                kind_start = reader.pos
                kind = reader.byte()
                if kind != 0x12:
                    raise bad_byte(kind, "instantiation arg kind", kind_start)
                args.append((name, SortIndex(Sort.CORE_INSTANCE, reader.u32())))
            return CoreInstantiate(module, tuple(args), start)
        case 1:
            count = reader.count(MAX_ARGS, "exports")
            exports = ((reader.name(), _read_core_sort_index(reader)) for _ in range(count))
            return CoreInlineExports(tuple(exports), start)
        case code:
            raise bad_byte(code, "core instance", start)


def read_instance(reader: Reader) -> Instantiate | InlineExports:
    """A definition of the instance section."""
    start = reader.pos
    match reader.byte():
        case 0:
            component = reader.u32()
            count = reader.count(MAX_ARGS, "arguments")
            args = ((reader.name(), _read_sort_index(reader)) for _ in range(count))
            return Instantiate(component, tuple(args), start)
        case 1:
            count = reader.count(MAX_ARGS, "exports")
            exports = ((read_name(reader), _read_sort_index(reader)) for _ in range(count))
            return InlineExports(tuple(exports), start)
        case code:
            raise bad_byte(code, "instance", start)
