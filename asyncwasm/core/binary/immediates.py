"""Reading instructions: opcodes and the immediates that their rows name.

The general reader, used where an instruction is looked at once (printer, translator, constant
expressions).  Values by kind: indices, `u32`, lanes and numbers are `int`s (`f32` and `f64` as
bit patterns, `v128` as 16 bytes), types are types, and the rest are the classes below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from asyncwasm.core.isa.table import BY_OPCODE, PREFIXES, Row
from asyncwasm.core.types import AbsHeapType, DefType, FuncType, HeapType, NumType, RefType, ValType
from asyncwasm.errors import MalformedError, ValidationError

from .leb128 import read_signed, read_u32, read_unsigned


class MemArg(NamedTuple):
    """A memory access: log2 of the alignment, the memory, and the constant offset in bytes."""

    align: int
    memory: int
    offset: int


class BrTable(NamedTuple):
    """The labels of a `br_table` and its default."""

    labels: tuple[int, ...]
    default: int


class Catch(NamedTuple):
    """One handler of a `try_table`; `tag` is None for the `catch_all` forms."""

    tag: int | None
    ref: bool
    label: int


class CastOp(NamedTuple):
    """The operands of `br_on_cast` and `br_on_cast_fail`."""

    label: int
    source: RefType
    target: RefType


Types = Sequence[DefType]

NUM_TYPES: Final = {
    0x7F: NumType.I32,
    0x7E: NumType.I64,
    0x7D: NumType.F32,
    0x7C: NumType.F64,
    0x7B: NumType.V128,
}
HEAP_TYPES: Final = {
    0x74: AbsHeapType.NOEXN,
    0x73: AbsHeapType.NOFUNC,
    0x72: AbsHeapType.NOEXTERN,
    0x71: AbsHeapType.NONE,
    0x70: AbsHeapType.FUNC,
    0x6F: AbsHeapType.EXTERN,
    0x6E: AbsHeapType.ANY,
    0x6D: AbsHeapType.EQ,
    0x6C: AbsHeapType.I31,
    0x6B: AbsHeapType.STRUCT,
    0x6A: AbsHeapType.ARRAY,
    0x69: AbsHeapType.EXN,
}
_SHORT_TYPES: Final[dict[int, ValType]] = {
    **NUM_TYPES,
    **{code: RefType(True, heap) for code, heap in HEAP_TYPES.items()},
}
REF: Final = 0x64
REF_NULL: Final = 0x63


def read_heap_type(data: bytes, pos: int, types: Types) -> tuple[HeapType, int]:
    """A heap type; an index past `types` is a `ValidationError`."""
    start = pos
    value, pos = read_signed(data, pos, 33)
    if value < 0:
        if pos == start + 1 and value + 0x80 in HEAP_TYPES:
            return HEAP_TYPES[value + 0x80], pos
        raise MalformedError("malformed heap type", offset=start)
    if value >= len(types):
        raise ValidationError(f"unknown type {value}", offset=start)
    return types[value], pos


def read_val_type(data: bytes, pos: int, types: Types) -> tuple[ValType, int]:
    """A value type."""
    if pos >= len(data):
        raise MalformedError("unexpected end", offset=pos)
    code = data[pos]
    short = _SHORT_TYPES.get(code)
    if short is not None:
        return short, pos + 1
    if code in (REF, REF_NULL):
        heap, end = read_heap_type(data, pos + 1, types)
        return RefType(code == REF_NULL, heap), end
    raise MalformedError("malformed value type", offset=pos)


def read_block_type(data: bytes, pos: int, types: Types) -> tuple[FuncType, int]:
    """A block type, as the function type that it stands for."""
    if pos >= len(data):
        raise MalformedError("unexpected end", offset=pos)
    code = data[pos]
    if code == 0x40:
        return FuncType(), pos + 1
    if code in _SHORT_TYPES or code in (REF, REF_NULL):
        result, pos = read_val_type(data, pos, types)
        return FuncType((), (result,)), pos
    start = pos
    index, pos = read_signed(data, pos, 33)
    if index < 0:
        raise MalformedError("malformed block type", offset=start)
    if index >= len(types):
        raise ValidationError(f"unknown type {index}", offset=start)
    comp = types[index].comp
    if not isinstance(comp, FuncType):
        raise ValidationError(f"type {index} is not a function type", offset=start)
    return comp, pos


def read_memarg(data: bytes, pos: int, types: Types = ()) -> tuple[MemArg, int]:
    """A memory argument; bit 6 of the flags says that a memory index follows."""
    start = pos
    flags, pos = read_u32(data, pos)
    if flags >= 0x80:
        raise MalformedError("malformed memop flags", offset=start)
    memory = 0
    if flags & 0x40:
        memory, pos = read_u32(data, pos)
    offset, pos = read_unsigned(data, pos, 64)
    return MemArg(flags & 0x3F, memory, offset), pos


def _read_count(data: bytes, pos: int) -> tuple[int, int]:
    # Every item takes a byte at least, so a count past the end is refused before any work.
    count, pos = read_u32(data, pos)
    if count > len(data) - pos:
        raise MalformedError("unexpected end", offset=pos)
    return count, pos


def _read_index(data: bytes, pos: int, types: Types) -> tuple[int, int]:
    return read_u32(data, pos)


def _read_label_vector(data: bytes, pos: int, types: Types) -> tuple[BrTable, int]:
    count, pos = _read_count(data, pos)
    labels = []
    for _ in range(count):
        label, pos = read_u32(data, pos)
        labels.append(label)
    default, pos = read_u32(data, pos)
    return BrTable(tuple(labels), default), pos


def _read_val_types(data: bytes, pos: int, types: Types) -> tuple[tuple[ValType, ...], int]:
    count, pos = _read_count(data, pos)
    found = []
    for _ in range(count):
        ty, pos = read_val_type(data, pos, types)
        found.append(ty)
    return tuple(found), pos


def _read_catches(data: bytes, pos: int, types: Types) -> tuple[tuple[Catch, ...], int]:
    count, pos = _read_count(data, pos)
    catches = []
    for _ in range(count):
        kind, after = read_u32(data, pos)
        if kind > 3:
            raise MalformedError("malformed catch clause", offset=pos)
        pos = after
        tag = None
        if kind < 2:
            tag, pos = read_u32(data, pos)
        label, pos = read_u32(data, pos)
        catches.append(Catch(tag, bool(kind & 1), label))
    return tuple(catches), pos


def _read_cast(data: bytes, pos: int, types: Types) -> tuple[CastOp, int]:
    start = pos
    (flags,), pos = read_bytes(data, pos, 1)
    if flags > 3:
        raise MalformedError("malformed br_on_cast flags", offset=start)
    label, pos = read_u32(data, pos)
    source, pos = read_heap_type(data, pos, types)
    target, pos = read_heap_type(data, pos, types)
    return CastOp(label, RefType(bool(flags & 1), source), RefType(bool(flags & 2), target)), pos


def read_bytes(data: bytes, pos: int, size: int) -> tuple[bytes, int]:
    """Exactly `size` bytes."""
    taken = bytes(data[pos : pos + size])
    if len(taken) != size:
        raise MalformedError("unexpected end", offset=pos)
    return taken, pos + size


def _read_zero(data: bytes, pos: int, types: Types) -> tuple[int, int]:
    taken, after = read_bytes(data, pos, 1)
    if taken != b"\0":
        raise MalformedError("zero byte expected", offset=pos)
    return 0, after


def _read_float(size: int) -> Callable[[bytes, int, Types], tuple[int, int]]:
    def read(data: bytes, pos: int, types: Types) -> tuple[int, int]:
        taken, after = read_bytes(data, pos, size)
        return int.from_bytes(taken, "little"), after

    return read


READERS: Final[dict[str, Callable[[bytes, int, Types], tuple[Any, int]]]] = {
    **{
        f"{space}idx": _read_index
        for space in "label func type table mem global local tag data elem".split()
    },
    "u32": _read_index,
    "labelvec": _read_label_vector,
    "blocktype": read_block_type,
    "heaptype": read_heap_type,
    "valtypevec": _read_val_types,
    "catchvec": _read_catches,
    "castop": _read_cast,
    "memarg": read_memarg,
    "s32": lambda data, pos, types: read_signed(data, pos, 32),
    "s64": lambda data, pos, types: read_signed(data, pos, 64),
    "f32": _read_float(4),
    "f64": _read_float(8),
    "v128": lambda data, pos, types: read_bytes(data, pos, 16),
    "lanes16": lambda data, pos, types: read_bytes(data, pos, 16),
    "lane": lambda data, pos, types: _read_byte(data, pos),
    "zero": _read_zero,
}


def _read_byte(data: bytes, pos: int) -> tuple[int, int]:
    taken, pos = read_bytes(data, pos, 1)
    return taken[0], pos


def read_opcode(data: bytes, pos: int) -> tuple[Row, int]:
    """The row of the instruction at `pos`, and the position of its immediates."""
    if pos >= len(data):
        raise MalformedError("unexpected end", offset=pos)
    code = data[pos]
    after = pos + 1
    if code in PREFIXES:
        number, after = read_u32(data, after)
        code = code << 16 | number if number < 0x10000 else -1
    row = BY_OPCODE.get(code)
    if row is None:
        taken = data[pos:after].hex(" ")
        raise MalformedError(f"illegal opcode {taken}", offset=pos)
    return row, after


def read_instruction(data: bytes, pos: int, types: Types) -> tuple[Row, tuple[Any, ...], int]:
    """The instruction at `pos`: its row, its immediates, and the position after it."""
    row, pos = read_opcode(data, pos)
    values = []
    for kind in row.immediates:
        value, pos = READERS[kind](data, pos, types)
        values.append(value)
    return row, tuple(values), pos
