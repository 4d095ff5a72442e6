"""Values at the border: public ones, as hosts see them, and raw ones, as engines hold them.

i32 and i64 are unsigned `int`s inside and signed outside.  f32 and f64 are `float`s on both
sides, v128 is `bytes`; references are in `gc`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asyncwasm.core.isa.numeric import f64_from_bits, f64_to_bits, round_f32
from asyncwasm.core.types import NumType, RefType, ValType
from asyncwasm.errors import WrongStoreError

from .gc import from_raw_ref, to_raw_ref
from .handles import in_context

if TYPE_CHECKING:
    from .store import Store

# Takes the store and a value, public or raw, and gives the other.
Converter: TypeAlias = "Callable[[Store[Any], Any], Any]"


def to_raw(store: Store[Any], ty: ValType, value: Any) -> Any:
    """The raw value for a public one.

    Raises `TypeError` if it is not of type `ty`, `OverflowError` for an integer out of range,
    and `WrongStoreError` for an object of another store.
    """
    return to_raw_converter(ty)(store, value)


def from_raw(store: Store[Any], ty: ValType, raw: Any) -> Any:
    """The public value for a raw one of type `ty`."""
    return from_raw_converter(ty)(store, raw)


def convert(store: Store[Any], ty: ValType, value: Any, context: str) -> Any:
    """`to_raw`, with `context` in front of the message of what it raises."""
    try:
        return to_raw_converter(ty)(store, value)
    except (TypeError, OverflowError, WrongStoreError) as error:
        raise in_context(context, error) from error


def to_raw_converter(ty: ValType) -> Converter:
    """`to_raw` for one type."""
    if isinstance(ty, NumType):
        return _TO_RAW[ty]
    return _to_raw_ref_converter(ty)


def from_raw_converter(ty: ValType) -> Converter:
    """`from_raw` for one type."""
    if isinstance(ty, NumType):
        return _FROM_RAW[ty]
    return _from_raw_ref_converter(ty)


def _to_raw_ref_converter(ty: RefType) -> Converter:
    return lambda store, value: to_raw_ref(store, ty, value)


def _from_raw_ref_converter(ty: RefType) -> Converter:
    return lambda store, raw: from_raw_ref(store, ty, raw)


def _mismatch(ty: NumType, value: Any) -> TypeError:
    return TypeError(f"type mismatch: expected {ty}, found {type(value).__name__}")


def _integer_to_raw(ty: NumType) -> Converter:
    low, mask = -(1 << ty.bits - 1), (1 << ty.bits) - 1

    def to_integer(store: Store[Any], value: Any) -> int:
        if type(value) is not int:
            # Other integers will do (an `IntEnum` member, numpy's), but a truth value is none.
            if isinstance(value, bool):
                raise _mismatch(ty, value)
            try:
                value = operator.index(value)
            except TypeError:
                raise _mismatch(ty, value) from None
        if low <= value <= mask:
            return value & mask  # type: ignore[no-any-return]
        raise OverflowError(f"integer out of range for {ty}")

    return to_integer


def _integer_from_raw(ty: NumType) -> Converter:
    sign = 1 << ty.bits - 1
    return lambda store, raw: (raw ^ sign) - sign


def _to_f64(store: Store[Any], value: Any) -> float:
    if type(value) is float:
        return value
    # `float` would also read numbers from text and buffers.
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise _mismatch(NumType.F64, value)
    return float(value)


def _to_f32(store: Store[Any], value: Any) -> float:
    try:
        wide = _to_f64(store, value)
    except TypeError:
        raise _mismatch(NumType.F32, value) from None
    if wide == wide:
        return round_f32(wide)
    # A NaN keeps what of its payload a single has room for; nothing left would be an infinity.
    bits = f64_to_bits(wide) & ~0x1FFF_FFFF
    return f64_from_bits(bits if bits & 0x000F_FFFF_FFFF_FFFF else bits | 1 << 51)


def _to_v128(store: Store[Any], value: Any) -> bytes:
    if type(value) is not bytes:
        try:
            value = memoryview(value).tobytes()
        except TypeError:
            raise _mismatch(NumType.V128, value) from None
    if len(value) != 16:
        raise TypeError(f"type mismatch: expected v128, found {len(value)} bytes")
    return value  # type: ignore[no-any-return]


def _same(store: Store[Any], raw: Any) -> Any:
    return raw


_TO_RAW: Final[dict[NumType, Converter]] = {
    NumType.I32: _integer_to_raw(NumType.I32),
    NumType.I64: _integer_to_raw(NumType.I64),
    NumType.F32: _to_f32,
    NumType.F64: _to_f64,
    NumType.V128: _to_v128,
}
_FROM_RAW: Final[dict[NumType, Converter]] = {
    NumType.I32: _integer_from_raw(NumType.I32),
    NumType.I64: _integer_from_raw(NumType.I64),
    NumType.F32: _same,
    NumType.F64: _same,
    NumType.V128: _same,
}
