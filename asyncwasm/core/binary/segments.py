"""Element and data segments."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.module import DataSegment, ElemSegment, SegmentMode
from asyncwasm.core.types import FUNCREF, AbsHeapType, RefType
from asyncwasm.errors import MalformedError

from .cursor import Cursor
from .limits import MAX_SEGMENT_ELEMENTS

_FUNC_NON_NULL: Final = RefType(False, AbsHeapType.FUNC)


def read_elem_segment(cursor: Cursor) -> ElemSegment:
    """An element segment.

    Of its flags, bit 0 says that it is not active, bit 1 that it is declarative or, where it
    is active, that a table index follows, and bit 2 that its elements are expressions.
    """
    start = cursor.pos
    flags = cursor.u32()
    if flags > 7:
        raise MalformedError("malformed elements segment kind", offset=start)
    mode = SegmentMode.ACTIVE
    table = offset = None
    if flags & 1:
        mode = SegmentMode.DECLARATIVE if flags & 2 else SegmentMode.PASSIVE
        declarative = mode is SegmentMode.DECLARATIVE
        feature = Feature.REFERENCE_TYPES if declarative else Feature.BULK_MEMORY
        require(cursor.features, feature, start)
    else:
        table = 0
        if flags & 2:
            require(cursor.features, Feature.BULK_MEMORY, start)
            table = cursor.u32()
        offset = cursor.expression()
    expressions = functions = None
    if flags & 4:
        require(cursor.features, Feature.BULK_MEMORY, start)
        ty = cursor.ref_type() if flags & 3 else FUNCREF
        count = cursor.count(MAX_SEGMENT_ELEMENTS, "elements in a segment")
        expressions = [cursor.expression() for _ in range(count)]
    else:
        kind_start = cursor.pos
        if flags & 3 and cursor.byte() != 0:
            raise MalformedError("malformed element kind", offset=kind_start)
        ty = _FUNC_NON_NULL
        count = cursor.count(MAX_SEGMENT_ELEMENTS, "elements in a segment")
        functions = [cursor.u32() for _ in range(count)]
    return ElemSegment(mode, ty, functions, expressions, table, offset, start)


def read_data_segment(cursor: Cursor) -> DataSegment:
    """A data segment: active in memory 0, passive, or active in a memory that is named."""
    start = cursor.pos
    flags = cursor.u32()
    if flags > 2:
        raise MalformedError("malformed data segment kind", offset=start)
    if flags == 1:
        require(cursor.features, Feature.BULK_MEMORY, start)
        return DataSegment(SegmentMode.PASSIVE, cursor.skip_bytes(), None, None, start)
    memory = 0
    if flags == 2:
        require(cursor.features, Feature.BULK_MEMORY, start)
        memory = cursor.u32()
    offset = cursor.expression()
    return DataSegment(SegmentMode.ACTIVE, cursor.skip_bytes(), memory, offset, start)
