"""Values and result patterns of scripts.

The same classes stand for arguments and for expected results; the patterns (`NanPattern`,
`RefPattern`, `NullPattern`, `Either`) occur in results only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Union

from asyncwasm.core.types import AbsHeapType, NumType

from .cursor import Cursor
from .immediates import count_lanes, lane_shape


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `bits` is its bit pattern (an integer as unsigned)."""

    type: NumType
    bits: int


@dataclass(frozen=True, slots=True)
class NanPattern:
    """Any NaN of this type: with a canonical payload, or (arithmetic) with its top bit set."""

    type: NumType
    canonical: bool


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector as lanes of a shape such as `i8x16` or `f32x4`; lanes are bit patterns."""

    shape: str
    lanes: tuple[int | NanPattern, ...]

    @property
    def lane_bits(self) -> int:
        """The width of a lane."""
        return 128 // len(self.lanes)

    @property
    def data(self) -> bytes:
        """The vector as 16 bytes; only for one without patterns."""
        size = 16 // len(self.lanes)
        return b"".join(lane.to_bytes(size, "little") for lane in self.lanes if type(lane) is int)


@dataclass(frozen=True, slots=True)
class NullRef:
    """A null reference; as a result, `heap` is the type that it must have, or None for any."""

    heap: AbsHeapType | None


@dataclass(frozen=True, slots=True)
class ExternValue:
    """The host's reference number `number`, as an `externref` (`ref.extern`)."""

    number: int


@dataclass(frozen=True, slots=True)
class HostValue:
    """The host's reference number `number`, as an `anyref` (`ref.host`)."""

    number: int


@dataclass(frozen=True, slots=True)
class RefPattern:
    """Any reference to something of heap type `heap`, not null."""

    heap: AbsHeapType


@dataclass(frozen=True, slots=True)
class Either:
    """Any of these."""

    choices: tuple[Result, ...]


Value = Union[Number, Vector, NullRef, ExternValue, HostValue]
Result = Union[Value, NanPattern, RefPattern, Either]

_NUMBERS: Final = {f"{ty.value}.const": ty for ty in NumType if ty is not NumType.V128}
_FLOATS: Final = {32: NumType.F32, 64: NumType.F64}
_NANS: Final = {"nan:canonical": True, "nan:arithmetic": False}
_REFS: Final = {f"ref.{heap.value}": heap for heap in AbsHeapType} | {"ref": AbsHeapType.ANY}


def read_value(cursor: Cursor) -> Value:
    """A constant, as an argument."""
    at = cursor.pos
    value = read_result(cursor)
    patterns = (NanPattern, RefPattern, Either)
    if isinstance(value, patterns) or (
        isinstance(value, Vector) and any(type(lane) is not int for lane in value.lanes)
    ):
        raise cursor.error("a result pattern is not a value", at)
    if isinstance(value, NullRef) and value.heap is None:
        raise cursor.error("heap type expected", at)
    return value


def read_result(cursor: Cursor) -> Result:
    """A constant or a pattern for a result."""
    cursor.expect("(")
    keyword = cursor.tokens[cursor.pos]
    at = cursor.pos
    cursor.pos += 1
    found: Result
    if keyword in _NUMBERS:
        found = _number(cursor, _NUMBERS[keyword])
    elif keyword == "v128.const":
        found = _vector(cursor)
    elif keyword == "ref.null":
        found = NullRef(None if cursor.tokens[cursor.pos] == ")" else _heap(cursor))
    elif keyword == "ref.host":
        found = HostValue(cursor.unsigned(32))
    elif keyword == "ref.extern" and cursor.is_number():
        found = ExternValue(cursor.unsigned(32))
    elif keyword in _REFS:
        found = RefPattern(_REFS[keyword])
    elif keyword == "either":
        choices: list[Result] = []
        while not choices or cursor.tokens[cursor.pos] == "(":
            if cursor.at("either"):
                raise cursor.unexpected(cursor.pos + 1)
            choices.append(read_result(cursor))
        found = Either(tuple(choices))
    else:
        raise cursor.unexpected(at)
    cursor.close()
    return found


def _heap(cursor: Cursor) -> AbsHeapType:
    try:
        heap = AbsHeapType(cursor.tokens[cursor.pos])
    except ValueError:
        raise cursor.unexpected() from None
    cursor.pos += 1
    return heap


def _number(cursor: Cursor, ty: NumType) -> Number | NanPattern:
    if ty in (NumType.I32, NumType.I64):
        return Number(ty, cursor.integer(ty.bits))
    canonical = _NANS.get(cursor.tokens[cursor.pos])
    if canonical is not None:
        cursor.pos += 1
        return NanPattern(ty, canonical)
    return Number(ty, cursor.float(ty.bits))


def _vector(cursor: Cursor) -> Vector:
    shape = cursor.tokens[cursor.pos]
    floats, count, bits = lane_shape(cursor)
    count_lanes(cursor, count)
    lanes: list[int | NanPattern] = []
    for _ in range(count):
        if floats:
            lane = _number(cursor, _FLOATS[bits])
            lanes.append(lane.bits if isinstance(lane, Number) else lane)
        else:
            lanes.append(cursor.integer(bits))
    return Vector(shape, tuple(lanes))
