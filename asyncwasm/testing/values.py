"""Values of test scripts: as arguments, as patterns that results are compared with, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from asyncwasm import (
    I31,
    AnyRef,
    ArrayRef,
    ExnRef,
    ExternRef,
    Func,
    RefType,
    Store,
    StructRef,
    ValType,
)
from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.runtime.gc import EqRef
from asyncwasm.core.text.printer_literals import f32_literal, f64_literal
from asyncwasm.core.text.script_values import (
    Either,
    ExternValue,
    HostValue,
    NanPattern,
    NullRef,
    Number,
    RefPattern,
    Result,
    Value,
    Vector,
)
from asyncwasm.core.types import AbsHeapType, NumType, heap_top

_H = AbsHeapType
_KINDS: Final[dict[AbsHeapType, type]] = {
    _H.FUNC: Func,
    _H.EXTERN: ExternRef,
    _H.EXN: ExnRef,
    _H.ANY: AnyRef,
    _H.EQ: EqRef,
    _H.I31: I31,
    _H.STRUCT: StructRef,
    _H.ARRAY: ArrayRef,
}
# Bits of the significand, by width of the type.
_SIGNIFICANDS: Final = {32: 23, 64: 52}


class HostReferences:
    """The host's references of one store: those of one number are one object."""

    def __init__(self, store: Store[Any]) -> None:
        self._store = store
        self._made: dict[int, ExternRef] = {}

    def _reference(self, number: int) -> ExternRef:
        if number not in self._made:
            self._made[number] = ExternRef.new(self._store, number)
        return self._made[number]

    def argument(self, value: Value) -> Any:
        """A value as an argument for `Func.call`."""
        match value:
            case Number(NumType.F32, bits):
                return f32_from_bits(bits)
            case Number(NumType.F64, bits):
                return f64_from_bits(bits)
            case Number(_, bits):
                return bits
            case Vector():
                return value.data
            case NullRef():
                return None
            case ExternValue(number):
                return self._reference(number)
            case HostValue(number):
                return AnyRef.convert_extern(self._store, self._reference(number))

    def matches(self, pattern: Result, ty: ValType, value: Any) -> bool:
        """Whether a result of type `ty` is what the script expects, to the bit."""
        match pattern:
            case Either(choices):
                return any(self.matches(choice, ty, value) for choice in choices)
            case Number(expected, bits):
                return ty is expected and to_bits(ty, value) == bits
            case NanPattern(expected):
                return ty is expected and _is_nan(pattern, to_bits(ty, value))
            case Vector():
                return ty is NumType.V128 and _matches_lanes(pattern, value)
            case NullRef(heap):
                return (
                    value is None
                    and isinstance(ty, RefType)
                    and (heap is None or heap_top(ty.heap) is heap.top)
                )
            case RefPattern(heap):
                return isinstance(ty, RefType) and isinstance(value, _KINDS.get(heap, _Nothing))
            case ExternValue(number):
                return isinstance(value, ExternRef) and self._is_host(value, number)
            case HostValue(number):
                return isinstance(value, AnyRef) and self._is_host(
                    ExternRef.convert_any(self._store, value), number
                )

    def _is_host(self, reference: ExternRef, number: int) -> bool:
        return bool(reference.data(self._store) == number)

    def match_all(
        self, patterns: Sequence[Result], types: Sequence[ValType], values: Sequence[Any]
    ) -> bool:
        """`matches` for as many results as there are patterns."""
        return len(patterns) == len(types) and all(map(self.matches, patterns, types, values))


class _Nothing:
    """What no reference is: there are none of the bottom types."""


def to_bits(ty: NumType, value: Any) -> int:
    """The bit pattern of a number; an integer's as unsigned, a vector's as little endian."""
    match ty:
        case NumType.F32:
            return f32_to_bits(value)
        case NumType.F64:
            return f64_to_bits(value)
        case NumType.V128:
            return int.from_bytes(value, "little")
        case _:
            masked: int = value & ((1 << ty.bits) - 1)
            return masked


def _is_nan(pattern: NanPattern, bits: int) -> bool:
    width = pattern.type.bits
    significand = _SIGNIFICANDS[width]
    canonical = ((1 << (width - significand)) - 1) << (significand - 1)
    magnitude = bits & ((1 << (width - 1)) - 1)
    # `canonical` has the exponent and the significand's top bit set, and the sign clear.
    if pattern.canonical:
        return magnitude == canonical
    return magnitude & canonical == canonical


def _matches_lanes(pattern: Vector, value: bytes) -> bool:
    size = pattern.lane_bits // 8
    found = (int.from_bytes(value[at : at + size], "little") for at in range(0, 16, size))
    return all(
        _is_nan(lane, bits) if isinstance(lane, NanPattern) else lane == bits
        for lane, bits in zip(pattern.lanes, found, strict=True)
    )


# Values as text ------------------------------------------------------------------------------


def show_patterns(patterns: Sequence[Result]) -> str:
    """What a script expects, as it would be written there."""
    return " ".join(map(_show_pattern, patterns)) or "no results"


def _show_pattern(pattern: Result) -> str:
    match pattern:
        case Number(ty, bits):
            return f"({ty}.const {_literal(ty, bits)})"
        case NanPattern(ty, canonical):
            return f"({ty}.const nan:{'canonical' if canonical else 'arithmetic'})"
        case Vector(shape, lanes):
            return f"(v128.const {shape} {' '.join(_show_lane(shape, n) for n in lanes)})"
        case NullRef(heap):
            return f"(ref.null{f' {heap}' if heap else ''})"
        case ExternValue(number):
            return f"(ref.extern {number})"
        case HostValue(number):
            return f"(ref.host {number})"
        case RefPattern(heap):
            return f"(ref.{heap})"
        case Either(choices):
            return f"(either {' '.join(map(_show_pattern, choices))})"


def _show_lane(shape: str, lane: int | NanPattern) -> str:
    if isinstance(lane, NanPattern):
        return f"nan:{'canonical' if lane.canonical else 'arithmetic'}"
    if shape[0] == "f":
        return _literal(NumType(shape.partition("x")[0]), lane)
    return f"{lane:#x}"


def _literal(ty: NumType, bits: int) -> str:
    match ty:
        case NumType.F32:
            return f32_literal(bits)
        case NumType.F64:
            return f64_literal(bits)
        case _:
            return str(bits - (1 << ty.bits) if bits >> (ty.bits - 1) else bits)


def show_values(types: Sequence[ValType], values: Sequence[Any]) -> str:
    """Results, as a script would expect them."""
    return " ".join(map(_show_value, types, values)) or "no results"


def _show_value(ty: ValType, value: Any) -> str:
    if isinstance(ty, NumType):
        bits = to_bits(ty, value)
        if ty is NumType.V128:
            lanes = tuple(bits >> shift & 0xFFFFFFFF for shift in range(0, 128, 32))
            return _show_pattern(Vector("i32x4", lanes))
        return _show_pattern(Number(ty, bits))
    return f"(ref.null {ty.heap})" if value is None else repr(value)
