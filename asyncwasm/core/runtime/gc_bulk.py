"""What instructions do to many elements of an array at once, for the engines.

All of them trap, with nothing written, if something is null or out of bounds.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from asyncwasm.core.isa.numeric import f32_from_bits
from asyncwasm.core.types import F32, F64, I32, I64, V128, PackedType, StorageType
from asyncwasm.errors import Trap, TrapCode

from .aggregates import ArrayRef

# Sizes and `struct` letters of what data segments initialise; singles are read as bits.
_FORMATS: Final[dict[StorageType, tuple[int, str]]] = {
    PackedType.I8: (1, "B"),
    PackedType.I16: (2, "H"),
    I32: (4, "I"),
    I64: (8, "Q"),
    F32: (4, "I"),
    F64: (8, "d"),
    V128: (16, ""),
}


def data_elements(
    data: bytes | memoryview, storage: StorageType, start: int, count: int
) -> list[Any]:
    """`count` raw elements from byte `start` of a data segment."""
    size, code = _FORMATS[storage]
    end = start + size * count
    if end > len(data):
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    if storage is V128:
        return [bytes(data[i : i + 16]) for i in range(start, end, 16)]
    found = struct.unpack_from(f"<{count}{code}", data, start)
    return list(map(f32_from_bits, found)) if storage is F32 else list(found)


def segment_elements(elements: list[Any], start: int, count: int) -> list[Any]:
    """`count` elements from element `start` of an element segment."""
    if start + count > len(elements):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    return elements[start : start + count]


def _range(array: ArrayRef | None, start: int, count: int) -> list[Any]:
    if array is None:
        raise Trap(TrapCode.NULL_REFERENCE, "null array reference")
    elements = array.elements
    if start + count > len(elements):
        raise Trap(TrapCode.ARRAY_OUT_OF_BOUNDS)
    return elements


def array_fill(array: ArrayRef | None, start: int, value: Any, count: int) -> None:
    """Set `count` elements from `start`."""
    elements = _range(array, start, count)
    elements[start : start + count] = [value] * count


def array_copy(
    target: ArrayRef | None, to: int, source: ArrayRef | None, start: int, count: int
) -> None:
    """Copy elements; the ranges may overlap."""
    if target is None or source is None:
        raise Trap(TrapCode.NULL_REFERENCE, "null array reference")
    elements = _range(target, to, count)
    elements[to : to + count] = _range(source, start, count)[start : start + count]


def array_init_data(
    array: ArrayRef | None,
    to: int,
    start: int,
    count: int,
    data: bytes | memoryview,
    storage: StorageType,
) -> None:
    """Copy `count` elements from byte `start` of a data segment."""
    elements = _range(array, to, count)
    elements[to : to + count] = data_elements(data, storage, start, count)


def array_init_elem(
    array: ArrayRef | None, to: int, start: int, count: int, source: list[Any]
) -> None:
    """Copy elements of an element segment."""
    elements = _range(array, to, count)
    elements[to : to + count] = segment_elements(source, start, count)
