"""Literal values: from their text to the bytes of a value definition ("Value Definitions").

What a literal looks like depends on its type, so the type has to be known where the value is: one
that is an export of an instance is not, and its values are written as `(binary …)`.  Characters
are written as strings of one, because the quotes that the grammar has for them are letters of
identifiers to the core format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncwasm.core.binary.leb128 import (
    read_name,
    read_signed,
    read_u32,
    write_name,
    write_signed,
    write_unsigned,
)
from asyncwasm.core.text.cursor import Cursor

if TYPE_CHECKING:
    from .scope import Scope

_INTEGERS: Final = {
    0x7E: ("s", 8),
    0x7D: ("u", 8),
    0x7C: ("s", 16),
    0x7B: ("u", 16),
    0x7A: ("s", 32),
    0x79: ("u", 32),
    0x78: ("s", 64),
    0x77: ("u", 64),
}
_FLOATS: Final = {0x76: 32, 0x75: 64}
_NANS: Final = {32: 0x7FC00000, 64: 0x7FF8000000000000}
_BOOL, _CHAR, _STRING = 0x7F, 0x74, 0x73
_RECORD, _VARIANT, _LIST, _FIXED, _TUPLE = 0x72, 0x71, 0x70, 0x67, 0x6F
_FLAGS, _ENUM, _OPTION, _RESULT = 0x6E, 0x6D, 0x6B, 0x6A


class Literals:
    """Reads literals at `cursor`; types are given as they are encoded, in terms of a scope."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def value(self, scope: Scope, ty: bytes) -> bytes:
        """The encoding of a value of type `ty`, a reference or a definition."""
        return self._read(scope, ty, 0)[0]

    def _read(self, scope: Scope, code: bytes, pos: int) -> tuple[bytes, int]:
        """A value of the type at `pos` of `code`, and the position after the type."""
        cursor = self._cursor
        kind = code[pos]
        if kind in _INTEGERS:
            return self._integer(*_INTEGERS[kind]), pos + 1
        if kind in _FLOATS:
            return self._float(_FLOATS[kind]), pos + 1
        if kind == _BOOL:
            value = cursor.take("true")
            if not value:
                cursor.expect("false")
            return bytes((value,)), pos + 1
        if kind == _CHAR:
            text = cursor.name()
            if len(text) != 1:
                raise cursor.error("one character expected", cursor.pos - 1)
            return text.encode(), pos + 1
        if kind == _STRING:
            return write_name(cursor.name()), pos + 1
        index, after = read_signed(code, pos, 33)
        known = scope.shapes.get(index)
        if known is None:
            raise cursor.error("the value of a type that is not known here has to be `(binary …)`")
        return self._defined(*known), after

    def _integer(self, sign: str, bits: int) -> bytes:
        cursor = self._cursor
        at = cursor.pos
        negative = cursor.tokens[at][:1] == "-"
        value = cursor.integer(bits)
        if sign == "u":
            if negative:
                raise cursor.error("constant out of range", at)
            return bytes((value,)) if bits == 8 else write_unsigned(value)
        if value >> (bits - 1):
            if not negative:
                raise cursor.error("constant out of range", at)
            value -= 1 << bits
        return bytes((value & 0xFF,)) if bits == 8 else write_signed(value)

    def _float(self, bits: int) -> bytes:
        cursor = self._cursor
        if cursor.take("nan"):
            value = _NANS[bits]
        elif "nan" in cursor.tokens[cursor.pos]:
            raise cursor.unexpected()
        else:
            value = cursor.float(bits)
        return value.to_bytes(bits // 8, "little")

    def _defined(self, scope: Scope, code: bytes) -> bytes:
        """A value of a defined type."""
        kind = code[0]
        if kind >= 0x73 or kind == 0x64:
            return self._read(scope, code, 0)[0]
        if kind == _OPTION:
            return self._option(scope, code)
        if kind == _RESULT:
            return self._result(scope, code)
        keyword = _KEYWORDS.get(kind)
        if keyword is None:
            raise self._cursor.error("there are no literals of this type")
        if not self._cursor.open(keyword):
            raise self._cursor.unexpected()
        value = self._compound(scope, code)
        self._cursor.close()
        return value

    def _compound(self, scope: Scope, code: bytes) -> bytes:
        cursor = self._cursor
        kind, pos = code[0], 1
        parts: list[bytes] = []
        if kind in (_LIST, _FIXED):
            while cursor.tokens[cursor.pos] != ")":
                part, _ = self._read(scope, code, pos)
                parts.append(part)
            return (write_unsigned(len(parts)) if kind == _LIST else b"") + b"".join(parts)
        count, pos = read_u32(code, pos)
        if kind in (_RECORD, _TUPLE):
            for _ in range(count):
                if kind == _RECORD:
                    _, pos = read_name(code, pos, len(code))
                part, pos = self._read(scope, code, pos)
                parts.append(part)
            return b"".join(parts)
        if kind == _VARIANT:
            return self._variant(scope, code, count, pos)
        labels = []
        for _ in range(count):
            label, pos = read_name(code, pos, len(code))
            labels.append(label)
        if kind == _ENUM:
            return write_unsigned(self._label(labels))
        bits = 0
        while cursor.is_string():
            bits |= 1 << self._label(labels)
        return bits.to_bytes((count + 7) // 8, "little")

    def _label(self, labels: list[str]) -> int:
        cursor = self._cursor
        label = cursor.name()
        if label not in labels:
            raise cursor.error(f"unknown label `{label}`", cursor.pos - 1)
        return labels.index(label)

    def _variant(self, scope: Scope, code: bytes, count: int, pos: int) -> bytes:
        labels: list[str] = []
        payloads: list[int | None] = []
        for _ in range(count):
            label, pos = read_name(code, pos, len(code))
            labels.append(label)
            payloads.append(pos + 1 if code[pos] else None)
            # A reference to a type takes one byte, or is a number; a zero byte follows it.
            pos = (read_signed(code, pos + 1, 33)[1] if code[pos] else pos + 1) + 1
        case = self._label(labels)
        payload = payloads[case]
        value = b"" if payload is None else self._read(scope, code, payload)[0]
        return write_unsigned(case) + value

    def _option(self, scope: Scope, code: bytes) -> bytes:
        cursor = self._cursor
        if cursor.take("none"):
            return b"\0"
        if not cursor.open("some"):
            raise cursor.unexpected()
        value, _ = self._read(scope, code, 1)
        cursor.close()
        return b"\1" + value

    def _result(self, scope: Scope, code: bytes) -> bytes:
        cursor = self._cursor
        ok = 2 if code[1] else None
        after = read_signed(code, 2, 33)[1] if code[1] else 2
        error = after + 1 if code[after] else None
        for number, (word, payload) in enumerate((("ok", ok), ("error", error))):
            if payload is None:
                if cursor.take(word):
                    return bytes((number,))
            elif cursor.open(word):
                value, _ = self._read(scope, code, payload)
                cursor.close()
                return bytes((number,)) + value
        raise cursor.unexpected()


_KEYWORDS: Final = {
    _RECORD: "record",
    _VARIANT: "variant",
    _LIST: "list",
    _FIXED: "list",
    _TUPLE: "tuple",
    _FLAGS: "flags",
    _ENUM: "enum",
}
