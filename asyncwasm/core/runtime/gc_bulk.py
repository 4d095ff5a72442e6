"""What instructions do to many elements of an array at once, for the engines.

All of them trap, with nothing written, if something is null or out of bounds.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

from asyncwasm.core.isa.numeric import f32_from_bits
from asyncwasm.core.types import F32, F64, I32, I64, V128, PackedType, StorageType
from asyncwasm.errors import Trap, TrapCode

from .aggregates import ArrayRef, Elements, elements_of
from .storage import INLINE

# How numbers are in data segments: letters of `array`, and sizes; singles are read as bits.
_LETTERS: Final[dict[StorageType, tuple[str, int]]] = {
    PackedType.I8: ("B", 1),
    PackedType.I16: ("H", 2),
    I32: ("I", 4),
    I64: ("Q", 8),
    F32: ("I", 4),
    F64: ("d", 8),
    V128: ("B", 16),
}


def data_elements(
    data: bytes | memoryview, storage: StorageType, start: int, count: int
) -> Elements:
    """`count` raw elements from byte `start` of a data segment."""
    letter, size = _LETTERS[storage]
    end = start + size * count
    if end > len(data):
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    chosen = bytes(data[start:end])
    if storage is V128:
        return [chosen[i : i + 16] for i in range(0, len(chosen), 16)]
    made: array[Any] = array(letter, chosen)
    if sys.byteorder == "big":
        made.byteswap()
    if storage is F32:
        return elements_of(F32, map(f32_from_bits, made))
    return made if INLINE else made.tolist()


def segment_elements(elements: list[Any], start: int, count: int) -> list[Any]:
    """`count` elements from element `start` of an element segment."""
    if start + count > len(elements):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    return elements[start : start + count]


def _range(array: ArrayRef | None, start: int, count: int) -> Elements:
    if array is None:
        raise Trap(TrapCode.NULL_REFERENCE, "null array reference")
    elements = array.elements
    if start + count > len(elements):
        raise Trap(TrapCode.ARRAY_OUT_OF_BOUNDS)
    return elements


def array_fill(array: ArrayRef | None, start: int, value: Any, count: int) -> None:
    """Set `count` elements from `start`."""
    elements = _range(array, start, count)
    if count:
        elements[start] = value
        one: Any = elements[start : start + 1]
        elements[start : start + count] = one * count


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
