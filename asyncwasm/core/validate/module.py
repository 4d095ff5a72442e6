"""Validation of whole modules ("Modules" in the chapter on validation)."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Feature, Features, require
from asyncwasm.core.module import ElemSegment, ExternKind, ModuleInfo
from asyncwasm.core.types import (
    ExternType,
    FuncType,
    IndexType,
    Limits,
    MemoryType,
    TableType,
    TagType,
)
from asyncwasm.errors import ValidationError

from .constant import validate_constant
from .context import ModuleContext
from .function import validate_body

_SPACES: Final = {
    ExternKind.FUNC: ("function", ModuleContext.func),
    ExternKind.TABLE: ("table", ModuleContext.table),
    ExternKind.MEMORY: ("memory", ModuleContext.memory),
    ExternKind.GLOBAL: ("global", ModuleContext.global_),
    ExternKind.TAG: ("tag", ModuleContext.tag),
}


def validate_module(info: ModuleInfo, features: Features, *, lazy: bool = False) -> None:
    """Validate a decoded module, and set its `declared_funcs`.

    With `lazy`, function bodies are left out, for `validate_function` to do one at a time.
    Raises `ValidationError`; `MalformedError` and `ResourceLimitError` for what is in bodies.
    Never suspends.
    """
    module = ModuleContext(info, features)
    _validate_types(module)
    refs: set[int] = set()
    _validate_inits(module, refs)
    _validate_exports(module, refs)
    _validate_start(module)
    for segment in info.elems:
        _validate_elem(module, segment, refs)
    _validate_datas(module)
    info.declared_funcs = frozenset(refs)
    if not lazy:
        for index in range(info.imported_funcs, len(info.funcs)):
            validate_body(module, index)


def validate_extern_type(extern: ExternType) -> None:
    """Validate the type of an import or export by itself.  Raises `ValidationError`."""
    match extern:
        case TableType():
            _validate_table(0, extern)
        case MemoryType():
            _validate_memory(0, extern)
        case TagType() if extern.type.func.results:
            raise ValidationError("non-empty tag result type")
        case _:
            pass


def _validate_types(module: ModuleContext) -> None:
    """The types of tables, memories and tags, imported or not."""
    info = module.info
    for index, table in enumerate(info.tables):
        _validate_table(index, table)
    _require_single(module, len(info.tables), "tables", Feature.REFERENCE_TYPES)
    for index, memory in enumerate(info.memories):
        _validate_memory(index, memory)
    _require_single(module, len(info.memories), "memories", Feature.MULTI_MEMORY)
    for index, tag in enumerate(info.tags):
        if tag.type.func.results:
            raise ValidationError(f"non-empty tag result type of tag {index}")


def _require_single(module: ModuleContext, count: int, what: str, feature: Feature) -> None:
    """A module has had at most one table and one memory before there were these proposals."""
    if count > 1:
        try:
            require(module.features, feature, None)
        except ValidationError as error:
            raise ValidationError(f"multiple {what}: {error.reason}") from None


def _validate_table(index: int, table: TableType) -> None:
    bits = 64 if table.index_type is IndexType.I64 else 32
    _validate_limits(table.limits, (1 << bits) - 1, "table size", index, "elements")


def _validate_memory(index: int, memory: MemoryType) -> None:
    if memory.page_size not in (1, 65536):
        raise ValidationError(f"invalid custom page size of memory {index}")
    bits = 64 if memory.index_type is IndexType.I64 else 32
    # One byte less than all there are addresses for, if a page is one byte.
    most = min((1 << bits) // memory.page_size, (1 << bits) - 1)
    _validate_limits(memory.limits, most, "memory size", index, "pages")
    if memory.shared and memory.limits.maximum is None:
        raise ValidationError("shared memory must have maximum")


def _validate_limits(limits: Limits, most: int, what: str, index: int, unit: str) -> None:
    if limits.minimum > most or (limits.maximum or 0) > most:
        raise ValidationError(f"{what} must be at most {most} {unit} (number {index})")
    if limits.maximum is not None and limits.minimum > limits.maximum:
        raise ValidationError(
            f"size minimum must not be greater than maximum ({what} number {index})"
        )


def _validate_inits(module: ModuleContext, refs: set[int]) -> None:
    """Initial values of globals and tables."""
    info = module.info
    # A table comes before the module's own globals, a global sees those before it.
    module.globals_visible = info.imported_globals
    for index, init in enumerate(info.table_inits, info.imported_tables):
        element = info.tables[index].element
        if init is not None:
            refs |= validate_constant(module, init, element)
        elif not element.is_defaultable:
            raise ValidationError(f"type mismatch: table {index} must have an initial value")
    for index, span in enumerate(info.global_inits, info.imported_globals):
        if Feature.GC in module.features:
            module.globals_visible = index
        refs |= validate_constant(module, span, info.globals[index].content)
    if Feature.GC in module.features:
        module.globals_visible = len(info.globals)


def _validate_exports(module: ModuleContext, refs: set[int]) -> None:
    info = module.info
    for export in info.exports.values():
        _, look_up = _SPACES[export.kind]
        try:
            look_up(module, export.index)
        except ValidationError as error:
            raise ValidationError(error.reason, offset=export.offset) from None
        if export.kind is ExternKind.FUNC:
            refs.add(export.index)
        elif export.kind is ExternKind.GLOBAL and info.globals[export.index].mutable:
            require(module.features, Feature.MUTABLE_GLOBAL, export.offset)


def _validate_start(module: ModuleContext) -> None:
    start = module.info.start
    if start is not None and module.func(start).func != FuncType():
        raise ValidationError(f"start function {start} must have type [] -> []")


def _validate_elem(module: ModuleContext, segment: ElemSegment, refs: set[int]) -> None:
    if segment.table_index is not None and segment.offset_expr is not None:
        try:
            table = module.table(segment.table_index)
        except ValidationError as error:
            raise ValidationError(error.reason, offset=segment.offset) from None
        if not segment.type.matches(table.element):
            raise ValidationError(
                f"type mismatch: table {segment.table_index} does not hold what the segment does",
                offset=segment.offset,
            )
        refs |= validate_constant(module, segment.offset_expr, table.index_type.value_type)
    if segment.functions:
        last = max(segment.functions)
        if last >= len(module.info.funcs):
            raise ValidationError(f"unknown function {last}", offset=segment.offset)
        refs.update(segment.functions)
    for span in segment.expressions or ():
        refs |= validate_constant(module, span, segment.type)


def _validate_datas(module: ModuleContext) -> None:
    for segment in module.info.datas:
        if segment.memory_index is None or segment.offset_expr is None:
            continue
        try:
            address = module.memory_address(segment.memory_index)
        except ValidationError as error:
            raise ValidationError(error.reason, offset=segment.offset) from None
        validate_constant(module, segment.offset_expr, address)
