"""Reference semantics of the numeric instructions: one pure function per row.

`REFERENCE` maps row names to functions; each is also an attribute of this module under
`Row.identifier` (`i32_add`).  They take and give raw values: integers unsigned in their width,
f64 as `float`, f32 as a `float` whose value is exactly a single.  Two results come as a tuple.
No function suspends; the ones whose rows declare traps raise `Trap`.

NaNs.  A single NaN is held as the double NaN with the same sign and the same leading bits, so
that nothing is lost either way.  Instructions that only move bits (abs, neg, copysign,
reinterpret) keep a NaN exactly, signalling ones too.  Arithmetic gives what the host's double
arithmetic gives for the same operands: an operand's NaN made quiet, or the host's default NaN,
which is canonical; both are within the specification ("NaN Propagation"), and both become
canonical when every operand is.  Where Python raises instead of computing, the result is the
positive canonical NaN.

See "Numerics" in the core specification.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.errors import Trap, TrapCode

Reference = Callable[..., Any]

NAN: Final = math.nan  # the positive canonical NaN, as a single too
_INF: Final = math.inf

# A store and a load through one of these cells convert a number between its forms, several
# times faster than `struct`.  The interpreter lock is not released between two neighbouring
# subscripts, so threads need no cells of their own.
_single = array("f", [0.0])
_single_bits = memoryview(_single).cast("B").cast("I")
_double = array("d", [0.0])
_double_bits = memoryview(_double).cast("B").cast("Q")

_F64_EXPONENT: Final = 0x7FF0_0000_0000_0000
_F32_EXPONENT: Final = 0x7F80_0000


def publish(reference: Mapping[str, Reference], namespace: dict[str, Any]) -> None:
    """Make the functions attributes of their module, under their rows' identifiers.

    A function that its own name does not lead to is renamed, so that names are unique.
    """
    for name, function in reference.items():
        identifier = name.replace(".", "_")
        if isinstance(function, FunctionType) and namespace.get(function.__name__) is not function:
            function.__name__ = function.__qualname__ = identifier
        namespace[identifier] = function


def round_f32(x: float) -> float:
    """The single nearest to the double `x` (`f32.demote_f64`): overflow gives an infinity."""
    _single[0] = x
    return _single[0]


def f64_from_bits(bits: int) -> float:
    """The double whose bit pattern is `bits`, 0 ≤ bits < 2**64."""
    _double_bits[0] = bits
    return _double[0]


def f64_to_bits(x: float) -> int:
    """The bit pattern of a double, unsigned."""
    _double[0] = x
    return _double_bits[0]


def f32_from_bits(bits: int) -> float:
    """The raw f32 whose bit pattern is `bits`, 0 ≤ bits < 2**32."""
    _single_bits[0] = bits
    x = _single[0]
    if x == x:
        return x
    # Converting a float makes a signalling NaN quiet, so NaNs go by way of their bits.
    _double_bits[0] = (bits & 0x8000_0000) << 32 | _F64_EXPONENT | (bits & 0x007F_FFFF) << 29
    return _double[0]


def f32_to_bits(x: float) -> int:
    """The single bit pattern of a raw f32, unsigned."""
    if x == x:
        _single[0] = x
        return _single_bits[0]
    _double[0] = x
    bits = _double_bits[0]
    return bits >> 32 & 0x8000_0000 | _F32_EXPONENT | bits >> 29 & 0x007F_FFFF


def sign_extend(from_bits: int, bits: int) -> Callable[[int], int]:
    """A function that takes the low `from_bits` of an integer as signed, to `bits` unsigned."""
    low = (1 << from_bits) - 1
    sign = 1 << from_bits - 1
    mask = (1 << bits) - 1

    def extend(x: int) -> int:
        return ((x & low) ^ sign) - sign & mask

    return extend


def _integer(bits: int) -> dict[str, Reference]:
    """The instructions that i32 and i64 have alike."""
    mask = (1 << bits) - 1
    sign = 1 << bits - 1
    last = bits - 1

    def eqz(x: int) -> int:
        return 0 if x else 1

    def eq(x: int, y: int) -> int:
        return 1 if x == y else 0

    def ne(x: int, y: int) -> int:
        return 1 if x != y else 0

    # Flipping the sign bits maps the order of signed numbers onto that of unsigned ones.
    def lt_s(x: int, y: int) -> int:
        return 1 if x ^ sign < y ^ sign else 0

    def lt_u(x: int, y: int) -> int:
        return 1 if x < y else 0

    def gt_s(x: int, y: int) -> int:
        return 1 if x ^ sign > y ^ sign else 0

    def gt_u(x: int, y: int) -> int:
        return 1 if x > y else 0

    def le_s(x: int, y: int) -> int:
        return 1 if x ^ sign <= y ^ sign else 0

    def le_u(x: int, y: int) -> int:
        return 1 if x <= y else 0

    def ge_s(x: int, y: int) -> int:
        return 1 if x ^ sign >= y ^ sign else 0

    def ge_u(x: int, y: int) -> int:
        return 1 if x >= y else 0

    def clz(x: int) -> int:
        return bits - x.bit_length()

    def ctz(x: int) -> int:
        return (x & -x).bit_length() - 1 if x else bits

    def popcnt(x: int) -> int:
        return x.bit_count()

    def add(x: int, y: int) -> int:
        return x + y & mask

    def sub(x: int, y: int) -> int:
        return x - y & mask

    def mul(x: int, y: int) -> int:
        return x * y & mask

    def div_s(x: int, y: int) -> int:
        if x < sign and 0 < y < sign:
            return x // y
        if not y:
            raise Trap(TrapCode.INTEGER_DIVISION_BY_ZERO)
        a = (x ^ sign) - sign
        b = (y ^ sign) - sign
        quotient = abs(a) // abs(b)
        if (a < 0) != (b < 0):
            return -quotient & mask
        if quotient == sign:
            raise Trap(TrapCode.INTEGER_OVERFLOW)
        return quotient

    def div_u(x: int, y: int) -> int:
        if not y:
            raise Trap(TrapCode.INTEGER_DIVISION_BY_ZERO)
        return x // y

    def rem_s(x: int, y: int) -> int:
        if x < sign and 0 < y < sign:
            return x % y
        if not y:
            raise Trap(TrapCode.INTEGER_DIVISION_BY_ZERO)
        a = (x ^ sign) - sign
        remainder = abs(a) % abs((y ^ sign) - sign)
        return -remainder & mask if a < 0 else remainder

    def rem_u(x: int, y: int) -> int:
        if not y:
            raise Trap(TrapCode.INTEGER_DIVISION_BY_ZERO)
        return x % y

    def and_(x: int, y: int) -> int:
        return x & y

    def or_(x: int, y: int) -> int:
        return x | y

    def xor(x: int, y: int) -> int:
        return x ^ y

    def shl(x: int, y: int) -> int:
        return x << (y & last) & mask

    def shr_s(x: int, y: int) -> int:
        return (x ^ sign) - sign >> (y & last) & mask

    def shr_u(x: int, y: int) -> int:
        return x >> (y & last)

    def rotl(x: int, y: int) -> int:
        y &= last
        return (x << y | x >> bits - y) & mask

    def rotr(x: int, y: int) -> int:
        y &= last
        return (x >> y | x << bits - y) & mask

    functions: list[Reference] = [
        eqz, eq, ne, lt_s, lt_u, gt_s, gt_u, le_s, le_u, ge_s, ge_u, clz, ctz, popcnt, add, sub,
        mul, div_s, div_u, rem_s, rem_u, and_, or_, xor, shl, shr_s, shr_u, rotl, rotr,
    ]  # fmt: skip
    named = {function.__name__.rstrip("_"): function for function in functions}
    for width in (8, 16, 32):
        if width < bits:
            named[f"extend{width}_s"] = sign_extend(width, bits)
    return named


def trunc(bits: int, signed: bool) -> Callable[[float], int]:
    """Truncation of a float to an integer, trapping where the integer type lacks the result."""
    mask = (1 << bits) - 1
    least, _, low, high = _trunc_range(bits, signed)

    def trunc(x: float) -> int:
        if low < x < high:
            return int(x) & mask
        if x == least:
            return least & mask
        if x != x:
            raise Trap(TrapCode.BAD_CONVERSION_TO_INTEGER)
        raise Trap(TrapCode.INTEGER_OVERFLOW)

    return trunc


def trunc_sat(bits: int, signed: bool) -> Callable[[float], int]:
    """Truncation of a float to the nearest integer of the type; NaN gives 0."""
    mask = (1 << bits) - 1
    least, most, low, high = _trunc_range(bits, signed)

    def trunc_sat(x: float) -> int:
        if low < x < high:
            return int(x) & mask
        if x != x:
            return 0
        return most if x > 0.0 else least & mask

    return trunc_sat


def _trunc_range(bits: int, signed: bool) -> tuple[int, int, float, float]:
    """The least and the greatest integer, and doubles between which truncation is in range.

    Where `least - 1` is not a double the lower bound is `least` itself, which is in range too.
    """
    least = -(1 << bits - 1) if signed else 0
    most = (1 << bits - 1 if signed else 1 << bits) - 1
    return least, most, float(least - 1), float(most + 1)


def _quiet(x: float) -> float:
    """A float unchanged, but a NaN made quiet."""
    return x * 1.0


def _sqrt(x: float) -> float:
    try:
        return math.sqrt(x)
    except ValueError:
        return NAN


# From this magnitude on every double is an integer.  `int` results lose the sign of zero.
_INTEGRAL: Final = float(1 << 52)


def f64_ceil(x: float) -> float:
    return math.copysign(math.ceil(x), x) if -_INTEGRAL < x < _INTEGRAL else x * 1.0


def f64_floor(x: float) -> float:
    return math.copysign(math.floor(x), x) if -_INTEGRAL < x < _INTEGRAL else x * 1.0


def f64_trunc(x: float) -> float:
    return math.copysign(int(x), x) if -_INTEGRAL < x < _INTEGRAL else x * 1.0


def f64_nearest(x: float) -> float:
    return math.copysign(round(x), x) if -_INTEGRAL < x < _INTEGRAL else x * 1.0


def f64_sqrt(x: float) -> float:
    return _sqrt(x)


def f64_add(x: float, y: float) -> float:
    return x + y


def f64_sub(x: float, y: float) -> float:
    return x - y


def f64_mul(x: float, y: float) -> float:
    return x * y


def f64_div(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        if x != x:
            return x * 1.0
        return math.copysign(_INF, x) * math.copysign(1.0, y) if x else NAN


def f64_min(x: float, y: float) -> float:
    if x < y:
        return x
    if y < x:
        return y
    if x == y:
        return x or -(-x - y)  # of two zeros the negative one
    return x + y


def f64_max(x: float, y: float) -> float:
    if x > y:
        return x
    if y > x:
        return y
    if x == y:
        return x or x + y  # of two zeros the positive one
    return x + y


# The double result of each of these on two singles, rounded once more, is the single result:
# 53 bits are enough for the second rounding to be harmless.
def f32_sqrt(x: float) -> float:
    _single[0] = _sqrt(x)
    return _single[0]


def f32_add(x: float, y: float) -> float:
    _single[0] = x + y
    return _single[0]


def f32_sub(x: float, y: float) -> float:
    _single[0] = x - y
    return _single[0]


def f32_mul(x: float, y: float) -> float:
    _single[0] = x * y
    return _single[0]


def f32_div(x: float, y: float) -> float:
    _single[0] = f64_div(x, y)
    return _single[0]


def _float_eq(x: float, y: float) -> int:
    return 1 if x == y else 0


def _float_ne(x: float, y: float) -> int:
    return 1 if x != y else 0


def _float_lt(x: float, y: float) -> int:
    return 1 if x < y else 0


def _float_gt(x: float, y: float) -> int:
    return 1 if x > y else 0


def _float_le(x: float, y: float) -> int:
    return 1 if x <= y else 0


def _float_ge(x: float, y: float) -> int:
    return 1 if x >= y else 0


def _neg(x: float) -> float:
    return -x


# What f32 and f64 have alike, given that a raw f32 is a double.
_FLOAT: Final[dict[str, Reference]] = {
    "eq": _float_eq,
    "ne": _float_ne,
    "lt": _float_lt,
    "gt": _float_gt,
    "le": _float_le,
    "ge": _float_ge,
    "abs": abs,
    "neg": _neg,
    "copysign": math.copysign,
    "ceil": f64_ceil,
    "floor": f64_floor,
    "trunc": f64_trunc,
    "nearest": f64_nearest,
    "min": f64_min,
    "max": f64_max,
}


def _f32_convert_i32_s(x: int) -> float:
    _single[0] = (x ^ 0x8000_0000) - 0x8000_0000
    return _single[0]


def _f32_convert_i32_u(x: int) -> float:
    _single[0] = x
    return _single[0]


def _round_to_odd(x: int) -> int:
    """`x`, |x| ≤ 2**64, with at most 53 significant bits, rounded so that rounding it again to
    a single gives what rounding `x` would."""
    return x if -(1 << 53) < x < 1 << 53 else (x >> 11 | (x & 0x7FF != 0)) << 11


def _f32_convert_i64_s(x: int) -> float:
    _single[0] = _round_to_odd((x ^ 1 << 63) - (1 << 63))
    return _single[0]


def _f32_convert_i64_u(x: int) -> float:
    _single[0] = _round_to_odd(x)
    return _single[0]


def _f64_convert_i32_s(x: int) -> float:
    return float((x ^ 0x8000_0000) - 0x8000_0000)


def _f64_convert_i64_s(x: int) -> float:
    return float((x ^ 1 << 63) - (1 << 63))


def _wrap(x: int) -> int:
    return x & 0xFFFF_FFFF


def _extend_unsigned(x: int) -> int:
    return x


_M64: Final = (1 << 64) - 1


def _add128(low1: int, high1: int, low2: int, high2: int) -> tuple[int, int]:
    low = low1 + low2
    return low & _M64, high1 + high2 + (low >> 64) & _M64


def _sub128(low1: int, high1: int, low2: int, high2: int) -> tuple[int, int]:
    low = low1 - low2
    return low & _M64, high1 - high2 + (low >> 64) & _M64


def _mul_wide_s(x: int, y: int) -> tuple[int, int]:
    product = ((x ^ 1 << 63) - (1 << 63)) * ((y ^ 1 << 63) - (1 << 63))
    return product & _M64, product >> 64 & _M64


def _mul_wide_u(x: int, y: int) -> tuple[int, int]:
    product = x * y
    return product & _M64, product >> 64


REFERENCE: Final[dict[str, Reference]] = {
    **{f"i32.{name}": function for name, function in _integer(32).items()},
    **{f"i64.{name}": function for name, function in _integer(64).items()},
    **{f"f32.{name}": function for name, function in _FLOAT.items()},
    **{f"f64.{name}": function for name, function in _FLOAT.items()},
    "f32.sqrt": f32_sqrt,
    "f32.add": f32_add,
    "f32.sub": f32_sub,
    "f32.mul": f32_mul,
    "f32.div": f32_div,
    "f64.sqrt": f64_sqrt,
    "f64.add": f64_add,
    "f64.sub": f64_sub,
    "f64.mul": f64_mul,
    "f64.div": f64_div,
    "i32.wrap_i64": _wrap,
    "i64.extend_i32_s": sign_extend(32, 64),
    "i64.extend_i32_u": _extend_unsigned,
    **{
        f"i{bits}.{name}_f{source}_{sign}": make(bits, sign == "s")
        for bits in (32, 64)
        for name, make in (("trunc", trunc), ("trunc_sat", trunc_sat))
        for source in (32, 64)
        for sign in "su"
    },
    "f32.convert_i32_s": _f32_convert_i32_s,
    "f32.convert_i32_u": _f32_convert_i32_u,
    "f32.convert_i64_s": _f32_convert_i64_s,
    "f32.convert_i64_u": _f32_convert_i64_u,
    "f32.demote_f64": round_f32,
    "f64.convert_i32_s": _f64_convert_i32_s,
    "f64.convert_i32_u": float,
    "f64.convert_i64_s": _f64_convert_i64_s,
    "f64.convert_i64_u": float,
    "f64.promote_f32": _quiet,
    "i32.reinterpret_f32": f32_to_bits,
    "i64.reinterpret_f64": f64_to_bits,
    "f32.reinterpret_i32": f32_from_bits,
    "f64.reinterpret_i64": f64_from_bits,
    "i64.add128": _add128,
    "i64.sub128": _sub128,
    "i64.mul_wide_s": _mul_wide_s,
    "i64.mul_wide_u": _mul_wide_u,
}

publish(REFERENCE, globals())

if TYPE_CHECKING:

    def __getattr__(name: str) -> Reference:
        """Tells type checkers of the attributes named after rows."""
