"""A place in a token list, and the small readings that every part of the parser shares."""

from __future__ import annotations

import re
from typing import Final

from asyncwasm.core.isa.table import BY_NAME
from asyncwasm.errors import MalformedError

from . import numbers
from .lexer import UTF8, Source, string_bytes

# Rows whose names are not words of the text format: it writes them with other operands.
PSEUDO_NAMES: Final = frozenset({"select.t", "ref.test_null", "ref.cast_null"})

_WORDS: Final = frozenset(
    """
    module type rec sub final struct array field mut func param result local import export table
    memory global tag start elem data item offset declare shared pagesize ref null then
    catch catch_ref catch_all catch_all_ref binary quote definition instance
    i8 i16 i32 i64 f32 f64 v128 any eq i31 none nofunc exn noexn extern noextern
    anyref eqref i31ref structref arrayref nullref funcref nullfuncref exnref nullexnref
    externref nullexternref i8x16 i16x8 i32x4 i64x2 f32x4 f64x2 inf nan
    register invoke get assert_return assert_trap assert_exhaustion assert_malformed
    assert_invalid assert_malformed_custom assert_invalid_custom assert_unlinkable
    assert_exception either nan:canonical nan:arithmetic thread wait
    """.split()
)
# Words of the grammar that stand for many.
_LITERAL: Final = re.compile(r"(offset=|align=|nan:0x)[0-9a-fA-F]")
KEYWORDS: Final = (frozenset(BY_NAME) - PSEUDO_NAMES) | _WORDS


class Cursor:
    """A position `pos` in the tokens of a source; readings move it past what they took."""

    __slots__ = ("pos", "source", "tokens")

    def __init__(self, source: Source, pos: int = 0) -> None:
        self.source = source
        self.tokens = source.tokens
        self.pos = pos

    def error(self, message: str, at: int | None = None) -> MalformedError:
        """The error `message` at token `at`, by default the next one."""
        return self.source.error(message, self.pos if at is None else at)

    def unexpected(self, at: int | None = None) -> MalformedError:
        """The error for a token that has no business where it is."""
        at = self.pos if at is None else at
        token = self.tokens[at]
        if not token:
            return self.error("unexpected end of text", at)
        known = not "a" <= token[0] <= "z" or token in KEYWORDS or _LITERAL.match(token)
        kind = "unexpected token" if known else "unknown operator"
        return self.error(f"{kind} `{shorten(token)}`", at)

    def at(self, keyword: str) -> bool:
        """Whether `(` and this keyword come next."""
        return self.tokens[self.pos] == "(" and self.tokens[self.pos + 1] == keyword

    def open(self, keyword: str) -> bool:
        """Take `(` and this keyword, if they come next."""
        if self.tokens[self.pos] == "(" and self.tokens[self.pos + 1] == keyword:
            self.pos += 2
            return True
        return False

    def take(self, token: str) -> bool:
        """Take this token, if it comes next."""
        if self.tokens[self.pos] == token:
            self.pos += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Take this token, which has to come next."""
        if self.tokens[self.pos] != token:
            raise self.unexpected()
        self.pos += 1

    def close(self) -> None:
        """Take a closing parenthesis."""
        if self.tokens[self.pos] != ")":
            raise self.unexpected()
        self.pos += 1

    def skip_group(self) -> None:
        """Move past the parenthesised group that starts here."""
        tokens = self.tokens
        pos = self.pos + 1
        depth = 1
        while depth:
            token = tokens[pos]
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
            elif not token:
                raise self.unexpected(pos)
            pos += 1
        self.pos = pos

    def identifier(self) -> str | None:
        """An identifier (with its `$`), if one comes next."""
        token = self.tokens[self.pos]
        if token[:1] != "$":
            return None
        self.pos += 1
        return token

    def is_string(self) -> bool:
        return self.tokens[self.pos][:1] == '"'

    def string(self) -> bytes:
        """A string, as bytes."""
        token = self.tokens[self.pos]
        if token[:1] != '"':
            raise self.unexpected()
        self.pos += 1
        return string_bytes(token)

    def strings(self) -> bytes:
        """Any number of strings, joined."""
        parts = []
        while self.is_string():
            parts.append(self.string())
        return b"".join(parts)

    def name(self) -> str:
        """A string that is UTF-8, as text."""
        at = self.pos
        try:
            return str(self.string(), "utf-8")
        except UnicodeDecodeError:
            raise self.error(UTF8, at) from None

    def is_number(self) -> bool:
        """Whether an unsigned number (of whatever shape) comes next."""
        return self.tokens[self.pos][:1].isdigit()

    def is_index(self) -> bool:
        """Whether an index (a number or an identifier) comes next."""
        first = self.tokens[self.pos][:1]
        return first == "$" or first.isdigit()

    def unsigned(self, bits: int) -> int:
        """An unsigned integer of at most `bits` bits."""
        try:
            value = numbers.unsigned(self.tokens[self.pos], bits)
        except OverflowError:
            raise self.error(f"i{bits} constant out of range") from None
        if value is None:
            raise self.unexpected()
        self.pos += 1
        return value

    def integer(self, bits: int) -> int:
        """An integer of `bits` bits, signed or not; given as unsigned."""
        try:
            value = numbers.signless(self.tokens[self.pos], bits)
        except OverflowError:
            raise self.error("constant out of range") from None
        if value is None:
            raise self.unexpected()
        self.pos += 1
        return value

    def float(self, bits: int) -> int:
        """A floating-point number, as its bit pattern."""
        try:
            value = numbers.float_bits(self.tokens[self.pos], bits)
        except OverflowError:
            raise self.error("constant out of range") from None
        if value is None:
            raise self.unexpected()
        self.pos += 1
        return value


def shorten(token: str) -> str:
    """A token for an error message."""
    return token if len(token) <= 60 else token[:57] + "..."
