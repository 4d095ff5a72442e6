"""Instruction sequences: plain and folded ones, blocks, and constant expressions.

The parser keeps a stack of its own, so that nesting is limited by memory only.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.core.binary.leb128 import write_unsigned
from asyncwasm.core.isa.table import BY_NAME
from asyncwasm.errors import MalformedError, ValidationError

from .context import Context, annotation_error
from .cursor import Cursor
from .immediates import STRUCTURE, Scope, parsers
from .lexer import BRANCH_HINT, string_bytes
from .types import block_type

_PLAIN, _PARSERS = parsers()
END: Final = bytes((BY_NAME["end"].opcode,))
_ELSE: Final = BY_NAME["else"].opcode
_BLOCKS: Final = {name: bytes((BY_NAME[name].opcode,)) for name in STRUCTURE - {"else", "end"}}
_LEGACY: Final = frozenset(("try", "delegate", "rethrow"))
_CATCHES: Final = {"catch": 0, "catch_ref": 1, "catch_all": 2, "catch_all_ref": 3}

# What the parser is in the middle of.  Any instruction may come next in the first group.
_BODY: Final = 0  # the whole expression
_BLOCK: Final = 1  # `block`, `loop` or `try_table` up to `end`
_IF: Final = 2  # `if` up to `else` or `end`
_IF_ELSE: Final = 3  # `else` up to `end`
_FOLDED: Final = 4  # a folded block, loop or try_table
_THEN: Final = 5  # `(then …)`
_THEN_ELSE: Final = 6  # `(else …)`
# In the second group, only folded ones.
_OPERANDS: Final = 7  # a folded instruction, before its own code
_CONDITION: Final = 8  # a folded `if` up to `(then`
_SINGLE: Final = 9  # an expression that is one folded instruction
# In the third none.
_AFTER_THEN: Final = 10
_AFTER_ELSE: Final = 11


class Expressions(Scope):
    """Parses instructions; one object serves one function or one constant expression.

    `label_names` are the names of labels by their number in the function, and `hints` pairs
    of an offset in the code and a branch hint.
    """

    __slots__ = ("_out", "hints", "label_count", "label_names")

    def __init__(self, cursor: Cursor, context: Context) -> None:
        super().__init__(cursor, context)
        self.label_count = 0
        self.label_names: dict[int, str] = {}
        self.hints: list[tuple[int, int]] = []
        self._out = bytearray()

    def sequence(self) -> bytes:
        """Instructions up to the parenthesis that closes what they are in (not taken)."""
        return self._parse(_BODY)

    def single(self) -> bytes:
        """One folded instruction."""
        return self._parse(_SINGLE)

    def _parse(self, mode: int) -> bytes:
        cursor = self.cursor
        tokens = cursor.tokens
        self._out = out = bytearray()
        # For every folded instruction around: the mode outside of it, its code where that
        # comes after its operands, and its branch hint.
        stack: list[tuple[int, bytes, int | None]] = []
        # For every folded `if` before its `then`: the label.
        labels: list[tuple[str | None, str | None]] = []
        # For every plain block around: the mode outside of it.
        outer: list[int] = []
        while True:
            token = tokens[cursor.pos]
            if mode < _OPERANDS:
                code = _PLAIN.get(token)
                if code is not None:
                    cursor.pos += 1
                    out += code
                    continue
                parse = _PARSERS.get(token)
                if parse is not None:
                    hint = self._hint(cursor.pos) if token == "br_if" else None
                    cursor.pos += 1
                    self._emit(parse(self), hint)
                    continue
            if token == "(":
                inner = tokens[cursor.pos + 1]
                if mode < _AFTER_THEN:
                    code = _PLAIN.get(inner)
                    parse = _PARSERS.get(inner)
                    if code is not None or parse is not None:
                        hint = self._hint(cursor.pos) if inner == "br_if" else None
                        cursor.pos += 2
                        if parse is not None:
                            code = parse(self)
                        assert code is not None
                        stack.append((mode, code, hint))
                        mode = _OPERANDS
                        continue
                    if inner in _BLOCKS:
                        hint = self._hint(cursor.pos) if inner == "if" else None
                        cursor.pos += 2
                        code, identifier, name = self._header(inner)
                        if inner == "if":
                            stack.append((mode, code, hint))
                            labels.append((identifier, name))
                            mode = _CONDITION
                        else:
                            stack.append((mode, b"", None))
                            out += code
                            self._enter(identifier, name)
                            mode = _FOLDED
                        continue
                    if mode == _CONDITION and inner == "then":
                        cursor.pos += 2
                        self._emit(*stack[-1][1:])
                        self._enter(*labels.pop())
                        mode = _THEN
                        continue
                elif mode == _AFTER_THEN and inner == "else":
                    cursor.pos += 2
                    out.append(_ELSE)
                    mode = _THEN_ELSE
                    continue
                raise self._unexpected(cursor.pos + 1)
            if token == ")":
                if mode == _BODY:
                    return bytes(out)
                cursor.pos += 1
                if mode == _THEN:
                    mode = _AFTER_THEN
                    continue
                if mode == _THEN_ELSE:
                    mode = _AFTER_ELSE
                    continue
                if mode == _OPERANDS:
                    mode, code, hint = stack.pop()
                    self._emit(code, hint)
                elif mode in (_FOLDED, _AFTER_THEN, _AFTER_ELSE):
                    mode = stack.pop()[0]
                    self.pop_label()
                    out += END
                else:
                    raise cursor.unexpected(cursor.pos - 1)
                if mode == _SINGLE:
                    return bytes(out)
                continue
            if mode >= _OPERANDS:
                raise self._unexpected(cursor.pos)
            if token in _BLOCKS:
                hint = self._hint(cursor.pos) if token == "if" else None
                cursor.pos += 1
                code, identifier, name = self._header(token)
                self._emit(code, hint)
                self._enter(identifier, name)
                outer.append(mode)
                mode = _IF if token == "if" else _BLOCK
            elif token == "end" and _BLOCK <= mode <= _IF_ELSE:
                self._repeat_label()
                self.pop_label()
                out += END
                mode = outer.pop()
            elif token == "else" and mode == _IF:
                self._repeat_label()
                out.append(_ELSE)
                mode = _IF_ELSE
            else:
                raise self._unexpected(cursor.pos)

    def _unexpected(self, at: int) -> MalformedError:
        token = self.cursor.tokens[at]
        if token in _LEGACY:
            message = f"legacy exception handling is not supported (`{token}`)"
            return self.cursor.error(message, at)
        return self.cursor.unexpected(at)

    def _emit(self, code: bytes, hint: int | None) -> None:
        if hint is not None:
            self.hints.append((len(self._out), hint))
        self._out += code

    def _header(self, keyword: str) -> tuple[bytes, str | None, str | None]:
        """What a block has before its instructions: the code, the label and its name."""
        cursor = self.cursor
        identifier = cursor.identifier()
        name = self.context.name_of(cursor, identifier, "label")
        code = _BLOCKS[keyword] + block_type(cursor, self.context)
        if keyword == "try_table":
            code += self._catches()
        return code, identifier, name

    def _catches(self) -> bytes:
        # Labels are those around the block: its own does not count.
        cursor = self.cursor
        found = bytearray()
        count = 0
        while cursor.tokens[cursor.pos] == "(":
            kind = _CATCHES.get(cursor.tokens[cursor.pos + 1])
            if kind is None:
                break
            cursor.pos += 2
            found.append(kind)
            if kind < 2:
                found += write_unsigned(self.context.tag.index(cursor))
            found += write_unsigned(self.label())
            cursor.close()
            count += 1
        return write_unsigned(count) + bytes(found)

    def _enter(self, identifier: str | None, name: str | None) -> None:
        self.push_label(identifier)
        if name is not None:
            self.label_names[self.label_count] = name
        self.label_count += 1

    def _repeat_label(self) -> None:
        """An `else` or `end`, with the label that it may repeat."""
        cursor = self.cursor
        cursor.pos += 1
        at = cursor.pos
        identifier = cursor.identifier()
        if identifier is not None and identifier != self.labels[-1]:
            raise cursor.error("mismatching label", at)

    def _hint(self, at: int) -> int | None:
        """The branch hint in front of token `at`."""
        context, cursor = self.context, self.cursor
        annotation = context.annotation(at, BRANCH_HINT)
        if annotation is None:
            return None
        again = context.annotation(at, BRANCH_HINT)
        if again is not None:
            raise annotation_error(cursor, again, "duplicate annotation")
        if not all(item[:1] == '"' for item in annotation.items):
            raise annotation_error(cursor, annotation, "unexpected token")
        hint = b"".join(map(string_bytes, annotation.items))
        if hint not in (b"\0", b"\1"):
            raise annotation_error(cursor, annotation, "invalid hint value")
        return hint[0]

    def check_hints(self, start: int, end: int) -> None:
        """Refuse branch hints among these tokens that no instruction has taken."""
        for at, found in self.context.annotations.items():
            if start <= at <= end and any(a.name == BRANCH_HINT for a in found):
                line, column = self.cursor.source.place(at)
                raise ValidationError(
                    f"@{BRANCH_HINT} annotation: invalid target (at line {line}, column {column})"
                )


def constant(cursor: Cursor, context: Context) -> bytes:
    """A constant expression that fills the parentheses that it is in, with its `end`."""
    return Expressions(cursor, context).sequence() + END


def constant_item(cursor: Cursor, context: Context, keyword: str) -> bytes:
    """A constant expression as `(keyword …)` or as one folded instruction, with its `end`."""
    if cursor.open(keyword):
        code = constant(cursor, context)
        cursor.close()
        return code
    return Expressions(cursor, context).single() + END
