"""WAVE: values of components as text, as command lines and messages have them.

    true   -7   0.5   'c'   "text"   [1, 2]   (1, "a")   {name: "x", size: 3}
    some("x")   none   ok(1)   err   case   case(1)   {flag-a, flag-b}

A value is read by its type.  `some` and `ok` may be left out where what is in them is neither an
option nor a result; the fields of a record that are `none` may be left out, too (`{:}` is a
record without any other).  A label that is a word of the format is written with `%` before it.
A map is a list of pairs.  Resources, streams, futures and error contexts have no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.text.numbers import float_bits
from asyncwasm.core.text.printer_literals import f32_literal, f64_literal

from .types import (
    Borrow,
    Enum,
    Flags,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from .values import Classes, Err, Ok, Some

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|//[^\n]*)*")
_LABEL: Final = re.compile(r"%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*")
_INTEGER: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(
    r"-?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|inf(?![A-Za-z0-9-]))|nan"
)
_TOKEN: Final = re.compile(r"%?[A-Za-z0-9+._-]+|.", re.DOTALL)
_ESCAPE: Final = re.compile(r"""\\(?:([tnr"'\\])|u\{([0-9a-fA-F]{1,6})\})""")
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r"}
_QUOTED: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}
_WORDS: Final = frozenset(("true", "false", "inf", "nan", "some", "none", "ok", "err"))
_CALL: Final = re.compile(r"\s*([^\s(]+)\s*\(")
_RANGES: Final = {
    **{Primitive(f"u{bits}"): (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    **{
        Primitive(f"s{bits}"): (-1 << (bits - 1), (1 << (bits - 1)) - 1) for bits in (8, 16, 32, 64)
    },
}


class WaveError(ValueError):
    """A text that is no value of its type.  `position` is the offset of the place."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message = message
        self.position = position

    def __str__(self) -> str:
        return f"{self.message} (at character {self.position + 1})"


def parse_value(text: str, ty: ValType, classes: Classes) -> Any:
    """The value of type `ty` that `text` stands for, as a component would give it.

    Raises `WaveError`.
    """
    parser = _Parser(text, classes)
    value = parser.value(ty)
    parser.end()
    return value


def call_name(text: str) -> str:
    """The name of the function in the call `name(…)`, or the whole text if it is no call."""
    match = _CALL.match(text)
    return text.strip() if match is None else match[1]


def parse_arguments(text: str, types: Sequence[ValType], classes: Classes) -> list[Any]:
    """The arguments in the call `name(value, …)`, of these types.

    A text that is a name alone is a call without arguments; so are options at its end that are
    left out.  Raises `WaveError`.
    """
    match = _CALL.match(text)
    parser = _Parser(text, classes, len(text) if match is None else match.end() - 1)
    values = parser.sequence("(", ")", types) if match is not None else []
    parser.end()
    for ty in types[len(values) :]:
        if not isinstance(ty, Option):
            raise WaveError(f"expected {len(types)} arguments, got {len(values)}", len(text))
        values.append(None)
    return values


def format_value(value: Any, ty: ValType) -> str:
    """The text of a value of type `ty` that a component gave.

    Raises `ValueError` for what has no text.
    """
    match ty:
        case Primitive():
            return _format_primitive(value, ty)
        case List(element) | Map(key=element):
            if isinstance(ty, Map):
                pair = Tuple((ty.key, ty.value))
                return f"[{', '.join(format_value(item, pair) for item in value.items())}]"
            return f"[{', '.join(format_value(item, element) for item in value)}]"
        case Tuple(types):
            items = [format_value(item, each) for item, each in zip(value, types, strict=True)]
            return f"({', '.join(items)})"
        case Record(fields):
            names = type(value).wit_fields
            found = []
            for label, each in fields:
                field = getattr(value, names[label])
                if field is not None or not isinstance(each, Option):
                    found.append(f"{_label(label)}: {format_value(field, each)}")
            return f"{{{', '.join(found) or ':'}}}"
        case Variant(cases):
            payload = dict(cases)[value.case]
            return _with_payload(_label(value.case), getattr(value, "value", None), payload)
        case Enum():
            return _label(value.value)
        case Flags():
            return f"{{{', '.join(map(_label, value.labels))}}}"
        case Option(inner):
            if value is None:
                return "none"
            return (
                f"some({format_value(value.value if isinstance(inner, Option) else value, inner)})"
            )
        case Result(ok, error):
            if isinstance(value, Ok):
                return _with_payload("ok", value.value, ok)
            return _with_payload("err", value.value, error)
        case Own() | Borrow() | Stream() | Future():
            raise ValueError(f"a value of type `{_kind(ty)}` has no text")


def _with_payload(word: str, value: Any, ty: ValType | None) -> str:
    return word if ty is None else f"{word}({format_value(value, ty)})"


def _format_primitive(value: Any, ty: Primitive) -> str:
    match ty:
        case Primitive.BOOL:
            return "true" if value else "false"
        case Primitive.F32 | Primitive.F64:
            if value != value:
                return "nan"
            if ty is Primitive.F32:
                return f32_literal(f32_to_bits(value))
            return f64_literal(f64_to_bits(value))
        case Primitive.CHAR:
            return f"'{_quote(value, chr(39))}'"
        case Primitive.STRING:
            return f'"{_quote(value, chr(34))}"'
        case Primitive.ERROR_CONTEXT:
            raise ValueError("a value of type `error-context` has no text")
        case _:
            return str(value)


def _quote(text: str, mark: str) -> str:
    return "".join(
        f"\\{char}" if char == mark else _QUOTED.get(char) or _printable(char) for char in text
    )


def _printable(char: str) -> str:
    return char if char.isprintable() else f"\\u{{{ord(char):x}}}"


def _label(label: str) -> str:
    return f"%{label}" if label in _WORDS else label


def _kind(ty: ValType) -> str:
    return ty.value if isinstance(ty, Primitive) else type(ty).__name__.lower()


def _is_flat(ty: ValType | None) -> bool:
    """Whether `some` or `ok` may be left out around a value of this type."""
    return ty is not None and not isinstance(ty, Option | Result)


class _Parser:
    """Reads at `pos` of a text."""

    def __init__(self, text: str, classes: Classes, pos: int = 0) -> None:
        self._text = text
        self._classes = classes
        self._pos = pos

    def _skip(self) -> str:
        """Move to the next token; its first character, or an empty string at the end."""
        match = _SPACE.match(self._text, self._pos)
        assert match is not None  # it matches nothing, too
        self._pos = match.end()
        return self._text[self._pos : self._pos + 1]

    def _take(self, mark: str) -> bool:
        self._skip()
        if not self._text.startswith(mark, self._pos):
            return False
        self._pos += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise self._error(f"expected `{mark}`")

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        self._skip()
        match = pattern.match(self._text, self._pos)
        if match is None:
            return None
        self._pos = match.end()
        return match[0]

    def _error(self, message: str, at: int | None = None) -> WaveError:
        at = self._pos if at is None else at
        match = _TOKEN.match(self._text, at)
        found = f"`{match[0][:40]}`" if match else "the end"
        return WaveError(f"{message}, got {found}", at)

    def end(self) -> None:
        if self._skip():
            raise self._error("expected the end")

    def value(self, ty: ValType) -> Any:
        match ty:
            case Primitive():
                return self._primitive(ty)
            case List(Primitive.U8, None):
                return bytes(self._items("[", "]", lambda: self.value(Primitive.U8)))
            case List(element, length):
                self._skip()
                at = self._pos
                values = self._items("[", "]", lambda: self.value(element))
                if length is not None and len(values) != length:
                    raise WaveError(f"expected {length} elements, got {len(values)}", at)
                return values
            case Map(key, value):
                pair = Tuple((key, value))
                return dict(self._items("[", "]", lambda: self.value(pair)))
            case Tuple(types):
                self._skip()
                at = self._pos
                values = self.sequence("(", ")", types)
                if len(values) != len(types):
                    raise WaveError(f"expected {len(types)} values, got {len(values)}", at)
                return tuple(values)
            case Record(fields):
                return self._record(ty, fields)
            case Variant(cases):
                label = self._label(dict(cases))
                payload = dict(cases)[label]
                case = self._classes.of(ty).wit_cases[label]
                return case() if payload is None else case(self._payload(payload))
            case Enum(labels):
                return self._classes.of(ty)(self._label(labels))
            case Flags(labels):
                return self._flags(ty, labels)
            case Option(inner):
                return self._option(inner)
            case Result(ok, error):
                return self._result(ok, error)
            case Own() | Borrow() | Stream() | Future():
                raise self._error(f"a value of type `{_kind(ty)}` cannot be written")

    def sequence(self, opening: str, closing: str, types: Sequence[ValType]) -> list[Any]:
        """Values of these types, or fewer of them, between parentheses."""
        values: list[Any] = []

        def item() -> None:
            if len(values) == len(types):
                raise self._error(f"expected no more than {len(types)} values")
            values.append(self.value(types[len(values)]))

        self._items(opening, closing, item)
        return values

    def _items(self, opening: str, closing: str, item: Callable[[], Any]) -> list[Any]:
        self._expect(opening)
        found = []
        while not self._take(closing):
            found.append(item())
            if not self._take(","):
                self._expect(closing)
                break
        return found

    def _payload(self, ty: ValType) -> Any:
        self._expect("(")
        value = self.value(ty)
        self._take(",")
        self._expect(")")
        return value

    def _label(self, labels: Sequence[str] | dict[str, Any]) -> str:
        self._skip()
        at = self._pos
        label = self._match(_LABEL)
        if label is None or label.removeprefix("%") not in labels or label in _WORDS:
            known = ", ".join(f"`{_label(each)}`" for each in list(labels)[:8])
            raise self._error(f"expected one of {known}{', …' if len(labels) > 8 else ''}", at)
        return label.removeprefix("%")

    def _at_word(self, *words: str) -> bool:
        self._skip()
        match = _LABEL.match(self._text, self._pos)
        return match is not None and match[0] in words

    def _record(self, ty: Record, fields: Sequence[tuple[str, ValType]]) -> Any:
        made = self._classes.of(ty)
        types = dict(fields)
        values: dict[str, Any] = {}

        def field() -> None:
            at = self._pos
            label = self._label(types)
            if label in values:
                raise self._error(f"field `{label}` comes twice", at)
            self._expect(":")
            values[label] = self.value(types[label])

        self._skip()
        start = self._pos
        if self._text.startswith("{", start) and self._text[start + 1 :].lstrip()[:1] == ":":
            self._expect("{")
            self._expect(":")
            self._expect("}")
        else:
            self._items("{", "}", field)
        for label, each in fields:
            if label not in values:
                if not isinstance(each, Option):
                    raise WaveError(f"field `{label}` is missing", start)
                values[label] = None
        return made(**{made.wit_fields[label]: value for label, value in values.items()})

    def _flags(self, ty: Flags, labels: Sequence[str]) -> Any:
        bits = 0
        for label in self._items("{", "}", lambda: self._label(labels)):
            bits |= 1 << labels.index(label)
        return self._classes.of(ty)(bits)

    def _option(self, inner: ValType) -> Any:
        if self._at_word("none"):
            self._match(_LABEL)
            return None
        if _is_flat(inner) and not self._at_word("some"):
            return self.value(inner)
        if not self._at_word("some"):
            raise self._error("expected `some` or `none`")
        self._match(_LABEL)
        value = self._payload(inner)
        return Some(value) if isinstance(inner, Option) else value

    def _result(self, ok: ValType | None, error: ValType | None) -> Any:
        if not self._at_word("ok", "err"):
            if ok is not None and _is_flat(ok):
                return Ok(self.value(ok))
            raise self._error("expected `ok` or `err`")
        made, payload = (Ok, ok) if self._match(_LABEL) == "ok" else (Err, error)
        return made() if payload is None else made(self._payload(payload))

    def _primitive(self, ty: Primitive) -> Any:
        self._skip()
        at = self._pos
        match ty:
            case Primitive.BOOL:
                word = self._match(_LABEL)
                if word not in ("true", "false"):
                    raise self._error("expected `true` or `false`", at)
                return word == "true"
            case Primitive.F32 | Primitive.F64:
                number = self._match(_NUMBER)
                if number is None:
                    raise self._error("expected a number")
                value = _to_float(number, ty)
                if value is None:
                    raise WaveError(f"`{number[:40]}` is too large for `{ty}`", at)
                return value
            case Primitive.CHAR:
                text = self._string("'")
                if len(text) != 1:
                    raise WaveError("expected one character", at)
                return text
            case Primitive.STRING:
                if self._text.startswith('"""', at):
                    return self._lines()
                return self._string('"')
            case Primitive.ERROR_CONTEXT:
                raise self._error("a value of type `error-context` cannot be written")
        integer = self._match(_INTEGER)
        if integer is None:
            raise self._error("expected an integer")
        low, high = _RANGES[ty]
        # Longer ones are out of range, and slow to convert.
        result = int(integer) if len(integer) < 40 else high + 1
        if not low <= result <= high:
            raise WaveError(f"expected an integer from {low} to {high}, got `{integer[:40]}`", at)
        return result

    def _string(self, mark: str) -> str:
        self._expect(mark)
        start = self._pos
        end = start
        while (char := self._text[end : end + 1]) != mark:
            if char in ("", "\n"):
                raise WaveError("the string is not closed", start - 1)
            end += 2 if char == "\\" else 1
        self._pos = end + 1
        return self._unescape(start, end)

    def _unescape(self, start: int, end: int) -> str:
        text = self._text
        parts = []
        while (escape := text.find("\\", start, end)) >= 0:
            match = _ESCAPE.match(text, escape)
            code = 0 if match is None or match[2] is None else int(match[2], 16)
            if match is None or code >= 0x110000 or 0xD800 <= code < 0xE000:
                raise WaveError("invalid escape in a string", escape)
            parts += [text[start:escape], _ESCAPES.get(match[1], match[1]) or chr(code)]
            start = match.end()
        return "".join([*parts, text[start:end]])

    def _lines(self) -> str:
        """A string over several lines, indented as its last line is."""
        start = self._pos
        opening = re.compile(r'"""\r?\n').match(self._text, start)
        if opening is None:
            raise WaveError("expected a line break after the opening quotes", start + 3)
        closing = re.compile(r'\n([ ]*)"""').search(self._text, opening.end() - 1)
        if closing is None:
            raise WaveError("the string is not closed", start)
        self._pos = closing.end()
        indent = closing[1]
        lines = []
        at = opening.end()
        while at <= closing.start():
            end = self._text.find("\n", at, closing.start())
            end = closing.start() if end < 0 else end
            if not self._text.startswith(indent, at) and self._text[at:end].strip():
                raise WaveError("expected the line to be indented as the closing quotes are", at)
            lines.append(self._unescape(min(at + len(indent), end), end))
            at = end + 1
        return "\n".join(lines)


def _to_float(number: str, ty: Primitive) -> float | None:
    """The number, rounded once; None if it is larger than any of its type."""
    try:
        bits = float_bits(number, 32 if ty is Primitive.F32 else 64)
    except OverflowError:
        return None
    assert bits is not None  # the shapes are those of literals
    return f32_from_bits(bits) if ty is Primitive.F32 else f64_from_bits(bits)
