"""Values of components in scripts: `(u32.const 1)`, `(record.const (field "x" …))` and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.script_values import Result, read_result

_INTEGERS: Final = {f"{sign}{bits}": bits for sign in "su" for bits in (8, 16, 32, 64)}


@dataclass(frozen=True, slots=True)
class ComponentValue:
    """A value, of the kind that its keyword says.

    `value` is an `int` (for `f32` and `f64` the bit pattern), a `bool` or a `str`; a tuple of
    values for `list` and `tuple`, of pairs of a name and a value for `record`, of names for
    `flags`; a pair of a name and a value or None for `variant`, a name for `enum`, a value or
    None for `option`, a pair of whether it is `ok` and a value or None for `result`.
    """

    kind: str
    value: Any


def read_any_value(cursor: Cursor) -> ComponentValue | Result:
    """A value of a component, or of a core module where its keyword is one of theirs."""
    cursor.expect("(")
    if not _is_component_value(cursor):
        cursor.pos -= 1
        return read_result(cursor)
    value = read_component_value(cursor)
    cursor.close()
    return value


def _is_component_value(cursor: Cursor) -> bool:
    kind, dot, _ = cursor.tokens[cursor.pos].partition(".")
    return bool(dot) and (kind in _INTEGERS or kind in _READERS)


def read_component_value(cursor: Cursor) -> ComponentValue:
    """A value without parentheses around it, as a field of a record has it."""
    keyword = cursor.tokens[cursor.pos]
    kind, _, rest = keyword.partition(".")
    if kind in _INTEGERS and rest == "const":
        cursor.pos += 1
        return ComponentValue(kind, _integer(cursor, kind))
    if kind in ("f32", "f64") and rest == "const":
        cursor.pos += 1
        return ComponentValue(kind, cursor.float(int(kind[1:])))
    reader = _READERS.get(kind)
    if reader is None or rest not in _FORMS.get(kind, ("const",)):
        raise cursor.unexpected()
    cursor.pos += 1
    return ComponentValue(_NAMES.get(kind, kind), reader(cursor, rest))


def _integer(cursor: Cursor, kind: str) -> int:
    bits = _INTEGERS[kind]
    value = cursor.integer(bits)
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def _nested(cursor: Cursor) -> ComponentValue:
    cursor.expect("(")
    value = read_component_value(cursor)
    cursor.close()
    return value


def _optional(cursor: Cursor) -> ComponentValue | None:
    return _nested(cursor) if cursor.tokens[cursor.pos] == "(" else None


def _bool(cursor: Cursor, form: str) -> bool:
    if cursor.take("true"):
        return True
    cursor.expect("false")
    return False


def _string(cursor: Cursor, form: str) -> str:
    return cursor.name()


def _sequence(cursor: Cursor, form: str) -> tuple[ComponentValue, ...]:
    found = []
    while cursor.tokens[cursor.pos] == "(":
        found.append(_nested(cursor))
    return tuple(found)


def _record(cursor: Cursor, form: str) -> tuple[tuple[str, ComponentValue], ...]:
    found = []
    while cursor.open("field"):
        name = cursor.name()
        nested = cursor.tokens[cursor.pos] == "("
        found.append((name, _nested(cursor) if nested else read_component_value(cursor)))
        cursor.close()
    return tuple(found)


def _variant(cursor: Cursor, form: str) -> tuple[str, ComponentValue | None]:
    return cursor.name(), _optional(cursor)


def _option(cursor: Cursor, form: str) -> ComponentValue | None:
    return None if form == "none" else _nested(cursor)


def _result(cursor: Cursor, form: str) -> tuple[bool, ComponentValue | None]:
    return form == "ok", _optional(cursor)


def _flags(cursor: Cursor, form: str) -> tuple[str, ...]:
    found = []
    while cursor.is_string():
        found.append(cursor.name())
    return tuple(found)


_READERS: Final = {
    "bool": _bool,
    "char": _string,
    "str": _string,
    "list": _sequence,
    "tuple": _sequence,
    "record": _record,
    "variant": _variant,
    "enum": _string,
    "option": _option,
    "result": _result,
    "flags": _flags,
}
_FORMS: Final = {"option": ("some", "none"), "result": ("ok", "err")}
_NAMES: Final = {"str": "string"}
