"""Canonical definitions: `lift`, `lower` and the built-ins ("Canonical Definitions")."""

from __future__ import annotations

from typing import Final, NamedTuple

from asyncwasm.component.syntax import Sort
from asyncwasm.core.binary.leb128 import write_unsigned
from asyncwasm.core.text.context import vector
from asyncwasm.core.text.types import value_type

from .scope import Section
from .types import Types


class Builtin(NamedTuple):
    """A built-in: its code, and its operands in their order."""

    code: int
    operands: tuple[str, ...] = ()


# Operands: `type` is a type index, `async`, `cancellable` and `shared` are flags, `options` are
# canonical options, `result` is a result, `memory` a core memory within `(memory …)`, `slot` a
# core value type and a number, `core type` and `core table` are core indices.
BUILTINS: Final = {
    "resource.new": Builtin(0x02, ("type",)),
    "resource.drop": Builtin(0x03, ("type",)),
    "resource.rep": Builtin(0x04, ("type",)),
    "task.cancel": Builtin(0x05),
    "subtask.cancel": Builtin(0x06, ("async",)),
    "task.return": Builtin(0x09, ("result", "options")),
    "context.get": Builtin(0x0A, ("slot",)),
    "context.set": Builtin(0x0B, ("slot",)),
    "thread.yield": Builtin(0x0C, ("cancellable",)),
    "subtask.drop": Builtin(0x0D),
    "stream.new": Builtin(0x0E, ("type",)),
    "stream.read": Builtin(0x0F, ("type", "options")),
    "stream.write": Builtin(0x10, ("type", "options")),
    "stream.cancel-read": Builtin(0x11, ("type", "async")),
    "stream.cancel-write": Builtin(0x12, ("type", "async")),
    "stream.drop-readable": Builtin(0x13, ("type",)),
    "stream.drop-writable": Builtin(0x14, ("type",)),
    "future.new": Builtin(0x15, ("type",)),
    "future.read": Builtin(0x16, ("type", "options")),
    "future.write": Builtin(0x17, ("type", "options")),
    "future.cancel-read": Builtin(0x18, ("type", "async")),
    "future.cancel-write": Builtin(0x19, ("type", "async")),
    "future.drop-readable": Builtin(0x1A, ("type",)),
    "future.drop-writable": Builtin(0x1B, ("type",)),
    "error-context.new": Builtin(0x1C, ("options",)),
    "error-context.debug-message": Builtin(0x1D, ("options",)),
    "error-context.drop": Builtin(0x1E),
    "waitable-set.new": Builtin(0x1F),
    "waitable-set.wait": Builtin(0x20, ("cancellable", "memory")),
    "waitable-set.poll": Builtin(0x21, ("cancellable", "memory")),
    "waitable-set.drop": Builtin(0x22),
    "waitable.join": Builtin(0x23),
    "backpressure.inc": Builtin(0x24),
    "backpressure.dec": Builtin(0x25),
    "thread.index": Builtin(0x26),
    "thread.new-indirect": Builtin(0x27, ("core type", "core table")),
    "thread.resume-later": Builtin(0x28),
    "thread.suspend": Builtin(0x29, ("cancellable",)),
    "thread.suspend-then-resume": Builtin(0x2A, ("cancellable",)),
    "thread.yield-then-resume": Builtin(0x2B, ("cancellable",)),
    "thread.suspend-then-promote": Builtin(0x2C, ("cancellable",)),
    "thread.yield-then-promote": Builtin(0x2D, ("cancellable",)),
    "thread.spawn-ref": Builtin(0x40, ("shared", "core type")),
    "thread.spawn-indirect": Builtin(0x41, ("shared", "core type", "core table")),
    "thread.available-parallelism": Builtin(0x42, ("shared",)),
}
# Options that are a word, and those that are a core index in parentheses.
WORD_OPTIONS: Final = {
    "string-encoding=utf8": 0,
    "string-encoding=utf16": 1,
    "string-encoding=latin1+utf16": 2,
    "async": 6,
}
INDEX_OPTIONS: Final = {
    "memory": (3, Sort.CORE_MEMORY),
    "realloc": (4, Sort.CORE_FUNC),
    "post-return": (5, Sort.CORE_FUNC),
    "callback": (7, Sort.CORE_FUNC),
}
_FUNC_SORT: Final = b"\0"
_I32: Final = b"\x7f"


class Canon(Types):
    """Parses canonical definitions."""

    def canon_definition(self) -> None:
        """`canon …` after this keyword, up to its closing parenthesis."""
        cursor, scope = self.cursor, self.scope
        if not cursor.take("lift"):
            code = self._core_body()
            cursor.expect("(")
            if self.sort() is not Sort.CORE_FUNC:
                raise cursor.unexpected(cursor.pos - 1)
            label = self.label()
            cursor.close()
            scope.emit(Section.CANON, code)
            scope.declare(Sort.CORE_FUNC, cursor, label)
            return
        lift = self._lift_head()
        cursor.expect("(")
        if self.sort() is not Sort.FUNC:
            raise cursor.unexpected(cursor.pos - 1)
        label = self.label()
        lift += self.function_use()
        cursor.close()
        scope.emit(Section.CANON, lift)
        scope.declare(Sort.FUNC, cursor, label)

    def canon_core_function(self) -> bytes:
        """`(canon …)` that makes a core function, within the function's definition."""
        self.cursor.expect("(")
        self.cursor.expect("canon")
        code = self._core_body()
        self.cursor.close()
        return code

    def canon_lift(self, use: bytes) -> bytes:
        """`(canon lift …)` of the type `use`, within a function's definition."""
        cursor = self.cursor
        cursor.expect("(")
        cursor.expect("canon")
        cursor.expect("lift")
        code = self._lift_head() + use
        cursor.close()
        return code

    def _lift_head(self) -> bytes:
        func = self.encoded(Sort.CORE_FUNC)
        return b"\0" + _FUNC_SORT + func + self._options()

    def _core_body(self) -> bytes:
        cursor = self.cursor
        if cursor.take("lower"):
            func = self.encoded(Sort.FUNC)
            return b"\1" + _FUNC_SORT + func + self._options()
        builtin = BUILTINS.get(cursor.tokens[cursor.pos])
        if builtin is None:
            raise cursor.unexpected()
        cursor.pos += 1
        return bytes((builtin.code,)) + b"".join(map(self._operand, builtin.operands))

    def _operand(self, kind: str) -> bytes:
        cursor = self.cursor
        match kind:
            case "type":
                return self.encoded(Sort.TYPE)
            case "options":
                return self._options()
            case "result":
                return self.result()
            case "memory":
                memory = self.optional_group("memory", Sort.CORE_MEMORY)
                if memory is None:
                    raise cursor.unexpected()
                return memory
            case "slot":
                has_type = not cursor.is_number()
                ty = value_type(cursor, self.scope.context) if has_type else _I32
                return ty + write_unsigned(cursor.unsigned(32))
            case "core type":
                return self.encoded(Sort.CORE_TYPE)
            case "core table":
                return self.encoded(Sort.CORE_TABLE)
            case _:
                return b"\1" if cursor.take(kind) else b"\0"

    def _options(self) -> bytes:
        cursor = self.cursor
        found = []
        while True:
            token = cursor.tokens[cursor.pos]
            if token in WORD_OPTIONS:
                cursor.pos += 1
                found.append(bytes((WORD_OPTIONS[token],)))
                continue
            option = INDEX_OPTIONS.get(cursor.tokens[cursor.pos + 1]) if token == "(" else None
            if option is None:
                return vector(found)
            cursor.pos += 2
            code, sort = option
            found.append(bytes((code,)) + self.encoded(sort))
            cursor.close()
