"""The operands that instructions are written with: a parser and encoder for each kind.

`READERS` maps the kinds of the instruction table to functions that take the operand off the
cursor and return its encoding; `parsers()` puts them together for every row.  Where the text
has operands in another order than the binary, or leaves some out, the whole list of kinds has
a function of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.binary.leb128 import write_signed, write_unsigned
from asyncwasm.core.isa.table import TABLE, Row

from . import numbers
from .context import Context, Space
from .cursor import PSEUDO_NAMES, Cursor, shorten
from .types import (
    heap_type,
    reference_parts,
    results,
    type_use,
)


class Scope:
    """What operands may refer to inside of one expression."""

    __slots__ = ("context", "cursor", "label_places", "labels", "locals")

    def __init__(self, cursor: Cursor, context: Context) -> None:
        self.cursor = cursor
        self.context = context
        self.locals = Space("local")
        # The labels around the place, outermost first; those with identifiers by identifier.
        self.labels: list[str | None] = [None]
        self.label_places: dict[str, list[int]] = {}

    def push_label(self, identifier: str | None) -> None:
        """Enter a block."""
        if identifier is not None:
            self.label_places.setdefault(identifier, []).append(len(self.labels))
        self.labels.append(identifier)

    def pop_label(self) -> None:
        """Leave a block."""
        identifier = self.labels.pop()
        if identifier is not None:
            self.label_places[identifier].pop()

    def label(self) -> int:
        """A label, as the number of blocks to leave."""
        cursor = self.cursor
        token = cursor.tokens[cursor.pos]
        if token[:1] != "$":
            return cursor.unsigned(32)
        places = self.label_places.get(token)
        if not places:
            raise cursor.error(f"unknown label `{shorten(token)}`")
        cursor.pos += 1
        return len(self.labels) - 1 - places[-1]


Reader = Callable[[Scope], bytes]


def _space(space: str) -> Reader:
    def read(scope: Scope) -> bytes:
        return write_unsigned(scope.context.spaces[space].index(scope.cursor))

    return read


def _optional(space: str) -> Reader:
    def read(scope: Scope) -> bytes:
        found = scope.context.spaces[space]
        return write_unsigned(found.index(scope.cursor)) if scope.cursor.is_index() else b"\0"

    return read


def _label(scope: Scope) -> bytes:
    return write_unsigned(scope.label())


def _local(scope: Scope) -> bytes:
    return write_unsigned(scope.locals.index(scope.cursor))


def _type(scope: Scope) -> bytes:
    return write_unsigned(scope.context.types.space.index(scope.cursor))


def _data(scope: Scope) -> bytes:
    scope.context.needs_data_count = True
    return write_unsigned(scope.context.data.index(scope.cursor))


def _u32(scope: Scope) -> bytes:
    return write_unsigned(scope.cursor.unsigned(32))


def _labels(scope: Scope) -> bytes:
    found = [_label(scope)]
    while scope.cursor.is_index():
        found.append(_label(scope))
    return write_unsigned(len(found) - 1) + b"".join(found)


def _heap_type(scope: Scope) -> bytes:
    return heap_type(scope.cursor, scope.context)


def _cast(scope: Scope) -> bytes:
    label = scope.label()
    null1, source = reference_parts(scope.cursor, scope.context)
    null2, target = reference_parts(scope.cursor, scope.context)
    return bytes((null1 | null2 << 1,)) + write_unsigned(label) + source + target


def _memory_argument(scope: Scope, align: int, memory: int) -> bytes:
    cursor = scope.cursor
    offset = 0
    if cursor.tokens[cursor.pos][:7] == "offset=":
        offset = _suffix(cursor, 7)
    if cursor.tokens[cursor.pos][:6] == "align=":
        value = _suffix(cursor, 6)
        if value.bit_count() != 1:
            raise cursor.error("alignment must be a power of two", cursor.pos - 1)
        align = value.bit_length() - 1
    if not memory:
        return write_unsigned(align) + write_unsigned(offset)
    return write_unsigned(align | 0x40) + write_unsigned(memory) + write_unsigned(offset)


def _suffix(cursor: Cursor, start: int) -> int:
    try:
        value = numbers.unsigned(cursor.tokens[cursor.pos][start:], 64)
    except OverflowError:
        raise cursor.error("i64 constant out of range") from None
    if value is None:
        raise cursor.unexpected()
    cursor.pos += 1
    return value


def _access(opcode: bytes, align: int) -> Reader:
    def read(scope: Scope) -> bytes:
        space = scope.context.memory
        memory = space.index(scope.cursor) if scope.cursor.is_index() else 0
        return opcode + _memory_argument(scope, align, memory)

    return read


def _lane_access(opcode: bytes, align: int) -> Reader:
    def read(scope: Scope) -> bytes:
        # A single number is the lane; one that something else follows is the memory.
        cursor = scope.cursor
        memory = 0
        following = cursor.tokens[cursor.pos + 1] if cursor.tokens[cursor.pos] else ""
        if cursor.tokens[cursor.pos][:1] == "$" or (
            cursor.is_number()
            and (following[:1].isdigit() or following.startswith(("offset=", "align=")))
        ):
            memory = scope.context.memory.index(cursor)
        return opcode + _memory_argument(scope, align, memory) + _lane(scope)

    return read


def _lane(scope: Scope) -> bytes:
    return bytes((scope.cursor.unsigned(8),))


def _signed(bits: int) -> Reader:
    def read(scope: Scope) -> bytes:
        value = scope.cursor.integer(bits)
        return write_signed(value - (value >> (bits - 1) << bits))

    return read


def _float(bits: int) -> Reader:
    return lambda scope: scope.cursor.float(bits).to_bytes(bits // 8, "little")


_SHAPES: Final = {
    "i8x16": (16, 8),
    "i16x8": (8, 16),
    "i32x4": (4, 32),
    "i64x2": (2, 64),
    "f32x4": (4, 32),
    "f64x2": (2, 64),
}


def _is_numeric(token: str) -> bool:
    return token[:1].isdigit() or token[:1] in ("+", "-") or token[:3] in ("inf", "nan")


def lane_shape(cursor: Cursor) -> tuple[bool, int, int]:
    """A vector shape: whether its lanes are floats, how many there are, and their bits."""
    token = cursor.tokens[cursor.pos]
    shape = _SHAPES.get(token)
    if shape is None:
        raise cursor.unexpected()
    cursor.pos += 1
    return token[0] == "f", *shape


def count_lanes(cursor: Cursor, lanes: int) -> None:
    """Check that exactly so many numbers come next."""
    pos = cursor.pos
    while _is_numeric(cursor.tokens[pos]):
        pos += 1
    if pos - cursor.pos != lanes:
        raise cursor.error("wrong number of lane literals")


def vector_constant(cursor: Cursor) -> bytes:
    """A shape and its lanes, as 16 bytes."""
    floats, lanes, bits = lane_shape(cursor)
    count_lanes(cursor, lanes)
    read = cursor.float if floats else cursor.integer
    return b"".join(read(bits).to_bytes(bits // 8, "little") for _ in range(lanes))


def _shuffle(scope: Scope) -> bytes:
    cursor = scope.cursor
    start = cursor.pos
    out = bytearray()
    while _is_numeric(cursor.tokens[cursor.pos]):
        try:
            lane = numbers.unsigned(cursor.tokens[cursor.pos], 8)
        except OverflowError:
            lane = None
        if lane is None:
            raise cursor.error("i8 constant out of range")
        out.append(lane)
        cursor.pos += 1
    if len(out) != 16:
        raise cursor.error("invalid lane length", start)
    return bytes(out)


READERS: Final[dict[str, Reader]] = {
    "labelidx": _label,
    "funcidx": _space("func"),
    "typeidx": _type,
    "tableidx": _optional("table"),
    "memidx": _optional("memory"),
    "globalidx": _space("global"),
    "localidx": _local,
    "tagidx": _space("tag"),
    "dataidx": _data,
    "elemidx": _space("elem"),
    "u32": _u32,
    "labelvec": _labels,
    "heaptype": _heap_type,
    "castop": _cast,
    "lane": _lane,
    "lanes16": _shuffle,
    "s32": _signed(32),
    "s64": _signed(64),
    "f32": _float(32),
    "f64": _float(64),
    "v128": lambda scope: vector_constant(scope.cursor),
    "zero": lambda scope: b"\0",
}


def _field(scope: Scope) -> bytes:
    types = scope.context.types
    cursor = scope.cursor
    index = types.space.index(cursor)
    if cursor.tokens[cursor.pos][:1] != "$":
        return write_unsigned(index) + _u32(scope)
    fields = types.fields[index] if index < len(types.fields) else None
    field = (fields or Space("field")).index(cursor)
    return write_unsigned(index) + write_unsigned(field)


def _indirect(scope: Scope) -> bytes:
    table = READERS["tableidx"](scope)
    return write_unsigned(type_use(scope.cursor, scope.context)) + table


def _segment(segment: str, space: str) -> Reader:
    # The table or memory comes first and may be left out.
    def read(scope: Scope) -> bytes:
        cursor = scope.cursor
        owner = b"\0"
        following = cursor.tokens[cursor.pos + 1][:1] if cursor.tokens[cursor.pos] else ""
        if following == "$" or following.isdigit():
            owner = READERS[space](scope)
        return READERS[segment](scope) + owner

    return read


def _pair(kind: str) -> Reader:
    # Both or none.
    def read(scope: Scope) -> bytes:
        if not scope.cursor.is_index():
            return b"\0\0"
        first = READERS[kind](scope)
        if not scope.cursor.is_index():
            raise scope.cursor.unexpected()
        return first + READERS[kind](scope)

    return read


_LISTS: Final[dict[tuple[str, ...], Reader]] = {
    ("typeidx", "tableidx"): _indirect,
    ("elemidx", "tableidx"): _segment("elemidx", "tableidx"),
    ("dataidx", "memidx"): _segment("dataidx", "memidx"),
    ("tableidx", "tableidx"): _pair("tableidx"),
    ("memidx", "memidx"): _pair("memidx"),
}


def opcode_bytes(row: Row) -> bytes:
    """The opcode of an instruction."""
    if row.prefix is None:
        return bytes((row.number,))
    return bytes((row.prefix,)) + write_unsigned(row.number)


def _prefixed(opcode: bytes, read: Reader) -> Reader:
    return lambda scope: opcode + read(scope)


def _sequence(readers: list[Reader]) -> Reader:
    return lambda scope: b"".join([read(scope) for read in readers])


def _reference_test(plain: bytes, null: bytes) -> Reader:
    def read(scope: Scope) -> bytes:
        nullable, heap = reference_parts(scope.cursor, scope.context)
        return (null if nullable else plain) + heap

    return read


def _select(plain: bytes, typed: bytes) -> Reader:
    def read(scope: Scope) -> bytes:
        if not scope.cursor.at("result"):
            return plain
        found = results(scope.cursor, scope.context)
        return typed + write_unsigned(len(found)) + b"".join(found)

    return read


STRUCTURE: Final = frozenset("block loop if else end try_table".split())


def parsers() -> tuple[dict[str, bytes], dict[str, Reader]]:
    """By name, the code of every instruction without operands, and the parser of every other.

    The instructions of `STRUCTURE` are left to the caller.
    """
    codes = {row.name: opcode_bytes(row) for row in TABLE}
    plain: dict[str, bytes] = {}
    found: dict[str, Reader] = {
        "select": _select(codes["select"], codes["select.t"]),
        "ref.test": _reference_test(codes["ref.test"], codes["ref.test_null"]),
        "ref.cast": _reference_test(codes["ref.cast"], codes["ref.cast_null"]),
    }
    for row in TABLE:
        if row.name in found or row.name in STRUCTURE or row.name in PSEUDO_NAMES:
            continue
        code = codes[row.name]
        kinds = row.immediates
        if not kinds or kinds == ("zero",):
            plain[row.name] = code + b"\0" * len(kinds)
        elif kinds == ("memarg",):
            found[row.name] = _access(code, row.natural_align)
        elif kinds == ("memarg", "lane"):
            found[row.name] = _lane_access(code, row.natural_align)
        elif kinds == ("typeidx", "u32") and row.name.startswith("struct."):
            found[row.name] = _prefixed(code, _field)
        elif kinds in _LISTS:
            found[row.name] = _prefixed(code, _LISTS[kinds])
        elif len(kinds) == 1:
            found[row.name] = _prefixed(code, READERS[kinds[0]])
        else:
            found[row.name] = _prefixed(code, _sequence([READERS[kind] for kind in kinds]))
    return plain, found
