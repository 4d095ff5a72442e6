"""The contents of every section but the type section, in binary order.

Each reader takes a cursor at the section's first byte and fills in the `ModuleInfo`.
"""

from __future__ import annotations

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.module import Export, ExternKind, Import, ModuleInfo, Span
from asyncwasm.core.types import ExternFunc, ExternType
from asyncwasm.errors import MalformedError, ValidationError

from . import limits
from .cursor import Cursor
from .segments import read_data_segment, read_elem_segment
from .types import (
    read_func_type,
    read_global_type,
    read_memory_type,
    read_table_type,
    read_tag_type,
    read_type_section,
)


def read_types(cursor: Cursor, info: ModuleInfo) -> None:
    read_type_section(cursor, info.types)


def read_imports(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_IMPORTS, "imports")):
        start = cursor.pos
        module = cursor.name()
        name = cursor.name()
        info.imports.append(Import(module, name, read_extern_type(cursor, info), start))
    info.imported_funcs = len(info.funcs)
    info.imported_tables = len(info.tables)
    info.imported_memories = len(info.memories)
    info.imported_globals = len(info.globals)
    info.imported_tags = len(info.tags)


def read_extern_type(cursor: Cursor, info: ModuleInfo) -> ExternType:
    """The type of an import, which is added to its index space."""
    start = cursor.pos
    match cursor.byte():
        case ExternKind.FUNC:
            func = read_func_type(cursor, info.types)
            info.funcs.append(func)
            return ExternFunc(func)
        case ExternKind.TABLE:
            table = read_table_type(cursor)
            info.tables.append(table)
            return table
        case ExternKind.MEMORY:
            memory = read_memory_type(cursor)
            info.memories.append(memory)
            return memory
        case ExternKind.GLOBAL:
            global_ = read_global_type(cursor)
            if global_.mutable:
                require(cursor.features, Feature.MUTABLE_GLOBAL, start)
            info.globals.append(global_)
            return global_
        case ExternKind.TAG:
            tag = read_tag_type(cursor, info.types)
            info.tags.append(tag)
            return tag
        case _:
            raise MalformedError("malformed import kind", offset=start)


def read_funcs(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_FUNCTIONS, "functions")):
        info.funcs.append(read_func_type(cursor, info.types))
    limits.check_limit(len(info.funcs), limits.MAX_FUNCTIONS, "functions")


def read_tables(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_TABLES, "tables")):
        start = cursor.pos
        # 0x40 0x00 announces a table with an initial value.
        has_init = cursor.data[start : start + 1] == b"\x40"
        if has_init:
            require(cursor.features, Feature.FUNCTION_REFERENCES, start)
            cursor.pos += 1
            if cursor.byte() != 0:
                raise MalformedError("malformed table", offset=start)
        info.tables.append(read_table_type(cursor))
        info.table_inits.append(cursor.expression() if has_init else None)
    limits.check_limit(len(info.tables), limits.MAX_TABLES, "tables")


def read_memories(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_MEMORIES, "memories")):
        info.memories.append(read_memory_type(cursor))
    limits.check_limit(len(info.memories), limits.MAX_MEMORIES, "memories")


def read_tags(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_TAGS, "tags")):
        info.tags.append(read_tag_type(cursor, info.types))
    limits.check_limit(len(info.tags), limits.MAX_TAGS, "tags")


def read_globals(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_GLOBALS, "globals")):
        info.globals.append(read_global_type(cursor))
        info.global_inits.append(cursor.expression())
    limits.check_limit(len(info.globals), limits.MAX_GLOBALS, "globals")


def read_exports(cursor: Cursor, info: ModuleInfo) -> None:
    duplicate: ValidationError | None = None
    for _ in range(cursor.count(limits.MAX_EXPORTS, "exports")):
        start = cursor.pos
        name = cursor.name()
        kind_start = cursor.pos
        code = cursor.byte()
        if code > ExternKind.TAG:
            raise MalformedError("malformed export kind", offset=kind_start)
        export = Export(name, ExternKind(code), cursor.u32(), start)
        if info.exports.setdefault(name, export) is not export:
            duplicate = ValidationError(f"duplicate export name `{name}`", offset=start)
    if duplicate is not None:
        raise duplicate


def read_start(cursor: Cursor, info: ModuleInfo) -> None:
    info.start = cursor.u32()


def read_elems(cursor: Cursor, info: ModuleInfo) -> None:
    for _ in range(cursor.count(limits.MAX_ELEM_SEGMENTS, "element segments")):
        info.elems.append(read_elem_segment(cursor))


def read_data_count(cursor: Cursor, info: ModuleInfo) -> None:
    require(cursor.features, Feature.BULK_MEMORY, cursor.pos)
    info.data_count = cursor.u32()


def read_code(cursor: Cursor, info: ModuleInfo) -> None:
    """Only where bodies are; what is in them is for validation."""
    start = cursor.pos
    count = cursor.count(limits.MAX_FUNCTIONS, "function bodies")
    if count != len(info.funcs) - info.imported_funcs:
        raise MalformedError("function and code section have inconsistent lengths", offset=start)
    for _ in range(count):
        body: Span = cursor.skip_bytes()
        limits.check_limit(body.end - body.start, limits.MAX_BODY_BYTES, "bytes in a body")
        info.bodies.append(body)


def read_datas(cursor: Cursor, info: ModuleInfo) -> None:
    start = cursor.pos
    count = cursor.count(limits.MAX_DATA_SEGMENTS, "data segments")
    if info.data_count not in (None, count):
        raise MalformedError("data count and data section have inconsistent lengths", offset=start)
    for _ in range(count):
        info.datas.append(read_data_segment(cursor))
