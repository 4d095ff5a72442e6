"""Numbers of the text format ("Values" in the core specification's text format).

Tokens come from the lexer, so their shape is known to be right: what starts with a digit or a
sign is a number.  A number of the wrong kind gives None, one outside the range raises
`OverflowError`.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import Final

# More than any literal may denote; stands for integers with too many digits to convert.
_HUGE: Final = 1 << 1024
_HEX_FLOAT: Final = re.compile(r"0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?[0-9]+))?")
# Width of the significand and exponent fields.
_SHAPES: Final = {32: (23, 8), 64: (52, 11)}


def integer(token: str) -> int | None:
    """The value of an integer literal, with or without a sign; None if it is none."""
    if token[:1] not in "0123456789+-" or not token:
        return None
    digits = token.replace("_", "")
    body = digits.lstrip("+-")
    try:
        return int(digits, 16 if body[:2] == "0x" else 10)
    except ValueError:
        # Python refuses very long decimal numbers.
        if not body.isdigit():
            return None
        body = body.lstrip("0") or "0"
        value = int(body) if len(body) < 100 else _HUGE
        return -value if digits[0] == "-" else value


def unsigned(token: str, bits: int) -> int | None:
    """The value of an unsigned integer literal of `bits` bits, which has no sign."""
    if not token[:1].isdigit():
        return None
    value = integer(token)
    if value is not None and value >> bits:
        raise OverflowError
    return value


def signless(token: str, bits: int) -> int | None:
    """An integer literal of `bits` bits, read as signed or unsigned; the value is unsigned."""
    value = integer(token)
    if value is None:
        return None
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise OverflowError
    return value & ((1 << bits) - 1)


def float_bits(token: str, bits: int) -> int | None:
    """The bit pattern of a floating-point literal of `bits` (32 or 64) bits, rounded once."""
    sign = token[:1] == "-"
    body = token[1:] if token[:1] in ("+", "-") else token
    fraction, exponent = _SHAPES[bits]
    top = ((1 << exponent) - 1) << fraction
    if body == "inf":
        value = top
    elif body == "nan":
        value = top | 1 << (fraction - 1)
    elif body[:6] == "nan:0x":
        payload = integer(body[4:])
        if payload is None:
            return None
        if not 0 < payload < 1 << fraction:
            raise OverflowError
        value = top | payload
    elif not body[:1].isdigit():
        return None
    elif body[:2] == "0x":
        value = _hexadecimal(body.replace("_", "").lower(), fraction, exponent)
    elif bits == 64:
        value = _double(body.replace("_", ""))
    else:
        value = _single(body.replace("_", ""))
    if value >= top and body[:1].isdigit():
        raise OverflowError
    return value | sign << (bits - 1)


def _double(decimal: str) -> int:
    return int.from_bytes(struct.pack("<d", float(decimal)), "little")


def _single(decimal: str) -> int:
    # Rounding to double first is harmless unless the double lies exactly between two singles:
    # then the decimal itself tells on which side of the middle it is.
    double = float(decimal)
    try:
        bits = int.from_bytes(struct.pack("<f", double), "little")
    except OverflowError:
        bits = 0x7F800000
    single = _wide(bits)
    if single == double:
        return bits
    low = bits if single < double else bits - 1
    # A sum of neighbouring singles is exact in double precision.
    if 2 * double != _wide(low) + _wide(low + 1):
        return bits
    side = Decimal(decimal).compare(Decimal(double))
    return bits if not side else low + (side > 0)


def _wide(bits: int) -> float:
    # The step past the greatest single is where the next one would be.
    if bits == 0x7F800000:
        return 2.0**128
    value: float = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    return value


def _hexadecimal(body: str, fraction: int, exponent: int) -> int:
    match = _HEX_FLOAT.fullmatch(body)
    assert match is not None
    whole, part, power = match.groups()
    mantissa = int(whole + part, 16)
    if not mantissa:
        return 0
    digits = (power or "0").lstrip("+")
    negative = digits[:1] == "-"
    digits = digits.lstrip("-").lstrip("0") or "0"
    size = int(digits) if len(digits) < 100 else _HUGE
    scale = (-size if negative else size) - 4 * len(part)
    # The value is mantissa * 2**scale; `unit` is the exponent of its last kept bit.
    bias = (1 << (exponent - 1)) - 1
    top = mantissa.bit_length() - 1 + scale
    if top > bias:
        return ((1 << exponent) - 1) << fraction
    lowest = 1 - bias - fraction
    unit = max(top - fraction, lowest)
    shift = unit - scale
    if shift <= 0:
        significand = mantissa << -shift
    elif shift > mantissa.bit_length() + 1:
        significand = 0
    else:
        significand = mantissa >> shift
        rest = mantissa & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        significand += rest > half or (rest == half and significand & 1)
    # A carry out of the significand moves into the exponent field by itself.
    return significand + ((unit - lowest) << fraction)
