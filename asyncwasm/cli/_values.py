"""Values on the command line: arguments read by a parameter's type, results printed.

Numbers are written as in the text format, vectors as one hexadecimal number, and a null
reference as `null`.
"""

from __future__ import annotations

from typing import Any

from asyncwasm import ExternRef, Func, RefType, ValType
from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.lexer import Source
from asyncwasm.core.text.printer_literals import f32_literal, f64_literal
from asyncwasm.core.types import NumType
from asyncwasm.errors import MalformedError

from ._failure import Failure


def parse_value(text: str, ty: ValType) -> Any:
    """An argument of type `ty`; raises `Failure` if `text` is none."""
    if isinstance(ty, RefType):
        if text == "null" and ty.nullable:
            return None
        raise Failure(f"unsupported argument {text!r} for a parameter of type `{ty}`")
    try:
        cursor = Cursor(Source(text))
        value = _number(cursor, ty)
        cursor.expect("")
    except MalformedError as error:
        raise Failure(f"argument {text!r} is not of type `{ty}`: {error.reason}") from error
    return value


def _number(cursor: Cursor, ty: NumType) -> Any:
    match ty:
        case NumType.I32 | NumType.I64:
            return cursor.integer(ty.bits)
        case NumType.F32:
            return f32_from_bits(cursor.float(32))
        case NumType.F64:
            return f64_from_bits(cursor.float(64))
        case NumType.V128:
            return cursor.unsigned(128).to_bytes(16, "little")


def show_value(value: Any, ty: ValType) -> str:
    """A result as text."""
    match ty:
        case NumType.F32:
            return f32_literal(f32_to_bits(value))
        case NumType.F64:
            return f64_literal(f64_to_bits(value))
        case NumType.V128:
            return f"{int.from_bytes(value, 'little'):#034x}"
        case NumType():
            return str(value)
    if value is None:
        return "null"
    if isinstance(value, Func):
        return "<funcref>"
    return "<externref>" if isinstance(value, ExternRef) else f"<{type(value).__name__.lower()}>"
