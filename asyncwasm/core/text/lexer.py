"""Tokens of the text format ("Lexical Format" in the core specification).

One regular expression cuts the whole text, and what a token is gets decided once per distinct
token instead of once per occurrence, so that cutting runs at tens of megabytes a second.  A
token is its text: `(` and `)` are parentheses, what starts with `"` is a string, with `$` an
identifier, with a letter a keyword (`inf` and `nan` included), with a digit or a sign a number;
the empty string ends the list.  Quoted identifiers are rewritten (`$"\\41"` becomes `$A`), so
equal identifiers are equal tokens.  Positions are computed only when somebody asks.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from asyncwasm.errors import MalformedError

_ID = r"!#$%&'*+\-./0-9:<=>?@A-Z\\^_`a-z|~"
_STRING = r'"(?:[^"\\\x00-\x1f\x7f]++|\\.)*+"'
# White space and comments, then one token.  `(;` as a token is a block comment with another
# one inside, or one that never ends.
_TOKEN: Final = re.compile(
    r"(?:[ \t\n\r]++|;;[^\n\r]*+|\(;(?:[^;(]++|;(?!\))|\((?!;))*+;\))*+"
    rf"(\((?!;)(?:@(?:[{_ID}]++|{_STRING})?)?|\)|(?:[{_ID}]++|{_STRING})++|\(;|[\s\S]|\Z)"
)
_NUM = r"[0-9](?:_?[0-9])*"
_HEX = r"[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_VALID: Final = re.compile(
    rf"[()]|[a-z][{_ID}]*|\$[{_ID}]+"
    rf"|[+-]?(?:{_NUM}(?:\.(?:{_NUM})?)?(?:[eE][+-]?{_NUM})?"
    rf"|0x{_HEX}(?:\.(?:{_HEX})?)?(?:[pP][+-]?{_NUM})?|inf|nan(?::0x{_HEX})?)"
)
_ONE_STRING: Final = re.compile(_STRING)
# What is a token by its characters and yet none that means anything.
_RUN: Final = re.compile(rf"(?:[{_ID}]++|{_STRING})++|[,;\[\]{{}}]")
_ESCAPE: Final = re.compile(
    rf"""\\(?:(?P<plain>[tnr"'\\])|(?P<byte>[0-9a-fA-F]{{2}})|u\{{(?P<code>{_HEX})\}}|(?P<bad>))"""
)
_PLAIN: Final = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}
_COMMENT_EDGE: Final = re.compile(r"\(;|;\)")
_NOT_NEWLINE: Final = re.compile(r"[^\n\r]")
_NEWLINE: Final = re.compile(r"\r\n?|\n")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

UTF8: Final = "malformed UTF-8 encoding"
BRANCH_HINT: Final = "metadata.code.branch_hint"
_EMPTY_ID: Final = "empty identifier"


def string_bytes(token: str) -> bytes:
    """The bytes that a string token stands for.

    Raises ValueError, with the reason, for an escape that the format does not have.
    """
    body = token[1:-1]
    if "\\" not in body:
        return body.encode()
    out = bytearray()
    done = 0
    for match in _ESCAPE.finditer(body):
        out += body[done : match.start()].encode()
        done = match.end()
        plain, byte, code = match["plain"], match["byte"], match["code"]
        if plain is not None:
            out += _PLAIN[plain]
        elif byte is not None:
            out.append(int(byte, 16))
        elif code is not None:
            digits = code.replace("_", "").lstrip("0") or "0"
            point = int(digits, 16) if len(digits) <= 6 else 0x110000
            if point >= 0x110000 or 0xD800 <= point < 0xE000:
                raise ValueError("malformed code point in string")
            out += chr(point).encode()
        else:
            raise ValueError("illegal escape in string")
    return bytes(out + body[done:].encode())


def _name(token: str) -> str:
    try:
        return str(string_bytes(token), "utf-8")
    except UnicodeDecodeError:
        raise ValueError(UTF8) from None


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation that means something to us, with the tokens inside it.

    `index` counts raw tokens, for its place.
    """

    name: str
    items: list[str]
    index: int


def is_known_annotation(name: str) -> bool:
    """Whether the assembler has a use for annotations of this name; others are comments."""
    return name in ("name", "custom", BRANCH_HINT)


class Source:
    """A text cut into tokens.

    `tokens` ends with the empty string.  `annotations` holds the known annotations in front of
    a token, by the token's index.  `fault` is the first lexical error as the index of the first
    token that it spoils, its message and its raw position, or None; `Source.check` raises it.
    """

    __slots__ = ("_raw", "_starts", "annotations", "fault", "text", "tokens")

    def __init__(self, text: str | bytes) -> None:
        """Cut `text`; raises `MalformedError` only if it is not UTF-8."""
        self.text = _decode(text)
        self.annotations: dict[int, list[Annotation]] = {}
        self._starts: array[int] | None = None
        # Maps token indices to raw ones where annotations were taken out.
        self._raw: array[int] | None = None
        faults: list[tuple[int, str]] = []
        tokens: list[str] = _TOKEN.findall(self.text)
        distinct = set(tokens)
        if "(;" in distinct:
            self.text = _blank_comments(self.text)
            tokens = _TOKEN.findall(self.text)
            distinct = set(tokens)
            if "(;" in distinct:
                start = tokens.index("(;")
                faults.append((start, "unclosed comment"))
                tokens[start:] = [""]
                distinct = set(tokens)
        while len(tokens) > 1 and tokens[-2] == "":
            tokens.pop()
        self.tokens = self._classify(tokens, distinct, faults)
        self.fault: tuple[int, str, int] | None = None
        if faults:
            at, message = min(faults)
            self.fault = (at if self._raw is None else bisect_left(self._raw, at), message, at)

    def _classify(
        self, tokens: list[str], distinct: set[str], faults: list[tuple[int, str]]
    ) -> list[str]:
        illegal: dict[str, str] = {}
        reserved: dict[str, str] = {}
        renamed: dict[str, str] = {}
        annotated = False
        for token in distinct:
            if _VALID.fullmatch(token) or not token:
                continue
            try:
                if token[0] == '"' and _ONE_STRING.fullmatch(token):
                    if "\\" in token:
                        string_bytes(token)
                elif token[:2] == "(@":
                    annotated = True
                elif token[:2] == '$"' and _ONE_STRING.fullmatch(token, 1):
                    renamed[token] = "$" + _name(token[1:])
                    if renamed[token] == "$":
                        raise ValueError(_EMPTY_ID)
                elif token == "$":
                    reserved[token] = _EMPTY_ID
                elif _RUN.fullmatch(token):
                    reserved[token] = f"unknown operator `{_shorten(token)}`"
                else:
                    illegal[token] = _illegal(token)
            except ValueError as error:
                illegal[token] = str(error)
        if illegal:
            first = next(i for i, token in enumerate(tokens) if token in illegal)
            faults.append((first, illegal[tokens[first]]))
        if annotated:
            tokens = self._take_annotations(tokens, faults)
        if reserved:
            for i, token in enumerate(tokens):
                if token in reserved:
                    faults.append((i if self._raw is None else self._raw[i], reserved[token]))
                    break
        if renamed:
            return [renamed.get(token, token) for token in tokens]
        return tokens

    def _take_annotations(self, tokens: list[str], faults: list[tuple[int, str]]) -> list[str]:
        kept: list[str] = []
        raw = array("L")
        end = len(tokens) - 1
        at = 0
        while at <= end:
            token = tokens[at]
            if token[:2] != "(@":
                kept.append(token)
                raw.append(at)
                at += 1
                continue
            start = at
            depth = 1
            while depth:
                at += 1
                inner = tokens[at]
                if inner[:1] == "(":
                    depth += 1
                elif inner == ")":
                    depth -= 1
                elif not inner:
                    if not faults:  # else it is for a reason already known
                        faults.append((start, "unclosed annotation"))
                    break
            else:
                at += 1
            try:
                name = _annotation_name(token)
            except ValueError as error:
                faults.append((start, str(error)))
                continue
            if is_known_annotation(name):
                found = Annotation(name, tokens[start + 1 : at - 1], start)
                self.annotations.setdefault(len(kept), []).append(found)
        self._raw = raw
        return kept

    def check(self) -> None:
        """Raise the first lexical error, if there is one."""
        if self.fault is not None:
            raise self.error(self.fault[1], raw=self.fault[2])

    def place(self, index: int, *, raw: int | None = None) -> tuple[int, int]:
        """Line and column, from 1, of the token `index` (or of a raw position)."""
        if raw is None:
            raw = index if self._raw is None else self._raw[index]
        if self._starts is None:
            self._starts = array("L", [m.start(1) for m in _TOKEN.finditer(self.text)])
        offset = self._starts[min(raw, len(self._starts) - 1)]
        line, start = _line(self.text, offset)
        return line, offset - start + 1

    def lines(self) -> LineCounter:
        """For asking for the lines of many tokens, in rising order."""
        return LineCounter(self)

    def error(self, message: str, index: int = 0, *, raw: int | None = None) -> MalformedError:
        """The error `message` at a token, for the caller to raise."""
        line, column = self.place(index, raw=raw)
        return MalformedError(message, line=line, column=column)


class LineCounter:
    """Lines of tokens, at a cost linear in the text for all of them together."""

    __slots__ = ("_line", "_offset", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._line = 1
        self._offset = 0
        source.place(0)

    def __call__(self, index: int) -> int:
        """The line of token `index`, which must not come before the last one asked for."""
        source = self._source
        assert source._starts is not None
        raw = index if source._raw is None else source._raw[index]
        offset = source._starts[raw]
        self._line += _count_lines(source.text, self._offset, offset)
        self._offset = offset
        return self._line


def _count_lines(text: str, start: int, end: int) -> int:
    if "\r" not in text:
        return text.count("\n", start, end)
    return sum(1 for _ in _NEWLINE.finditer(text, start, end))


def _line(text: str, offset: int) -> tuple[int, int]:
    line, start = 1, 0
    for match in _NEWLINE.finditer(text, 0, offset):
        line += 1
        start = match.end()
    return line, start


def _decode(text: str | bytes) -> str:
    try:
        if isinstance(text, str):
            text.encode()
            return text
        return str(text, "utf-8")
    except UnicodeEncodeError as error:
        before = error.object[: error.start]
    except UnicodeDecodeError as error:
        before = str(error.object[: error.start], "utf-8")
    line, start = _line(before, len(before))
    raise MalformedError(UTF8, line=line, column=len(before) - start + 1) from None


def _blank_comments(text: str) -> str:
    """Write blanks over comments that hold other comments; every other offset stays.

    A comment that never ends stays.
    """
    pieces: list[str] = []
    done = pos = 0
    while True:
        match = _TOKEN.match(text, pos)
        assert match is not None  # the expression matches the end, too
        pos = match.end()
        if not match[1]:
            break
        if match[1] != "(;":
            continue
        depth = 1
        while depth:
            edge = _COMMENT_EDGE.search(text, pos)
            if edge is None:
                return "".join((*pieces, text[done:]))
            depth += 1 if edge[0] == "(;" else -1
            pos = edge.end()
        start = match.start(1)
        pieces += (text[done:start], _NOT_NEWLINE.sub(" ", text[start:pos]))
        done = pos
    return "".join((*pieces, text[done:]))


def _annotation_name(token: str) -> str:
    name = _name(token[2:]) if token[2:3] == '"' else token[2:]
    if not name:
        raise ValueError("empty annotation id")
    return name


def _illegal(token: str) -> str:
    if token == '"':
        return "unclosed string"
    if _CONTROL.match(token):
        return f"illegal character {token!r}"
    return f"illegal character `{token}`"


def _shorten(token: str) -> str:
    return token if len(token) <= 60 else token[:57] + "..."
