"""A decoded module: plain data, no behaviour.

What the binary decoder produces and everything else reads.  Function bodies and constant
expressions stay byte ranges of `ModuleInfo.data`; nothing holds an object per instruction.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .types import (
    DefType,
    ExternType,
    GlobalType,
    MemoryType,
    RefType,
    TableType,
    TagType,
)


class ExternKind(enum.IntEnum):
    """Kinds of imports and exports, with their binary codes."""

    FUNC = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3
    TAG = 4


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `data[start:end]` of a module."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Import:
    """An import, with the offset of its entry."""

    module: str
    name: str
    type: ExternType
    offset: int


@dataclass(frozen=True, slots=True)
class Export:
    """An export: item number `index` of the index space of `kind`."""

    name: str
    kind: ExternKind
    index: int
    offset: int


class SegmentMode(enum.Enum):
    ACTIVE = "active"
    PASSIVE = "passive"
    DECLARATIVE = "declarative"


@dataclass(frozen=True, slots=True)
class ElemSegment:
    """An element segment.

    Exactly one of `functions` (function indices) and `expressions` (constant expressions,
    `end` included) is not None.  `table_index` and `offset_expr` are set when it is active.
    """

    mode: SegmentMode
    type: RefType
    functions: list[int] | None
    expressions: list[Span] | None
    table_index: int | None
    offset_expr: Span | None
    offset: int


@dataclass(frozen=True, slots=True)
class DataSegment:
    """A data segment: `content` are its bytes; the last two are set when it is active."""

    mode: SegmentMode
    content: Span
    memory_index: int | None
    offset_expr: Span | None
    offset: int


@dataclass(frozen=True, slots=True)
class CustomSection:
    """A custom section: `content` follows the name; `offset` is the section's id byte.

    `before` is how many non-custom sections came first, so that printing keeps its place.
    """

    name: str
    content: Span
    offset: int
    before: int


@dataclass(slots=True)
class ModuleInfo:
    """A decoded module.

    Index spaces start with the imports.  `tables` … `tags` hold whole index spaces;
    `table_inits`, `global_inits` and `bodies` only what the module defines (`table_inits` has
    None where a table has no initial value).  Constant expressions include their `end`.
    A body runs from its local declarations to its `end`, without the size field.
    """

    data: bytes
    types: list[DefType] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    funcs: list[DefType] = field(default_factory=list)
    tables: list[TableType] = field(default_factory=list)
    table_inits: list[Span | None] = field(default_factory=list)
    memories: list[MemoryType] = field(default_factory=list)
    globals: list[GlobalType] = field(default_factory=list)
    global_inits: list[Span] = field(default_factory=list)
    tags: list[TagType] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)
    start: int | None = None
    elems: list[ElemSegment] = field(default_factory=list)
    data_count: int | None = None
    datas: list[DataSegment] = field(default_factory=list)
    bodies: list[Span] = field(default_factory=list)
    customs: list[CustomSection] = field(default_factory=list)
    imported_funcs: int = 0
    imported_tables: int = 0
    imported_memories: int = 0
    imported_globals: int = 0
    imported_tags: int = 0
    # Functions that may be the operand of `ref.func` in a body: those that occur outside of
    # function bodies and the start section.  Filled in by validation of the module.
    declared_funcs: frozenset[int] = frozenset()
