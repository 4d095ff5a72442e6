"""Literals of the text format: strings, identifiers, numbers ("Values" in "Text Format").

Everything printed here is read back as exactly the same bytes or bits.
"""

from __future__ import annotations

import re
import struct
from typing import Final

_QUOTED: Final = {'"': '\\"', "\\": "\\\\"}
_BYTES: Final = [
    _QUOTED.get(chr(b), chr(b)) if 0x20 <= b < 0x7F else f"\\{b:02x}" for b in range(256)
]
_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+")


def bytes_literal(content: bytes | memoryview) -> str:
    """Bytes as a string literal: printable ASCII as it is, the rest escaped by byte."""
    return '"' + "".join([_BYTES[b] for b in content]) + '"'


def name_literal(name: str) -> str:
    """A name as a string literal: printable characters as they are, the rest escaped."""
    return '"' + "".join(map(_escape, name)) + '"'


def _escape(char: str) -> str:
    return _QUOTED.get(char, char) if char.isprintable() else f"\\u{{{ord(char):x}}}"


def identifier(name: str) -> str:
    """`$name`, quoted where it has characters that a bare identifier may not have."""
    return f"${name}" if _PLAIN_ID.fullmatch(name) else f"${name_literal(name)}"


def f64_literal(bits: int) -> str:
    """The shortest decimal (or `inf`, `nan:0x…`) that is exactly the double with these bits."""
    special = _special(bits, 11, 52)
    if special is not None:
        return special
    (value,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    return _trim(repr(value))


def f32_literal(bits: int) -> str:
    """The shortest decimal (or `inf`, `nan:0x…`) that is exactly the single with these bits."""
    special = _special(bits, 8, 23)
    if special is not None:
        return special
    (value,) = struct.unpack("<f", bits.to_bytes(4, "little"))
    for precision in range(1, 9):
        text = f"{value:.{precision}g}"
        nearest = float(text)
        # Rounding to a double first can only mislead where that double is halfway between two
        # singles; all of those, of subnormals too, have at least 28 zero bits at the end.
        if nearest != value and not struct.unpack("<Q", struct.pack("<d", nearest))[0] & 0xFFFFFFF:
            continue
        try:
            same = struct.unpack("<I", struct.pack("<f", nearest))[0] == bits
        except OverflowError:  # rounds to more than the largest single
            continue
        if same:
            return _trim(text)
    return _trim(f"{value:.9g}")


def _special(bits: int, exponent_bits: int, mantissa_bits: int) -> str | None:
    mantissa = bits & ((1 << mantissa_bits) - 1)
    if bits >> mantissa_bits & ((1 << exponent_bits) - 1) != (1 << exponent_bits) - 1:
        return None
    sign = "-" if bits >> (exponent_bits + mantissa_bits) else ""
    if not mantissa:
        return f"{sign}inf"
    if mantissa == 1 << (mantissa_bits - 1):
        return f"{sign}nan"
    return f"{sign}nan:{mantissa:#x}"


def _trim(text: str) -> str:
    return text.removesuffix(".0")


def v128_literal(value: bytes) -> str:
    """The operands of `v128.const` for these 16 bytes, as four 32-bit lanes."""
    return "i32x4 " + " ".join(f"{lane:#010x}" for lane in struct.unpack("<4I", value))
