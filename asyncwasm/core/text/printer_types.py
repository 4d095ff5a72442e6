"""Types for printing, read from the bytes so that every type index stays the one written.

`ModuleInfo` holds canonical types, where two equal definitions are one object; text made from
those would change which of them a function names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asyncwasm.core.binary.immediates import HEAP_TYPES, NUM_TYPES, REF, REF_NULL
from asyncwasm.core.binary.leb128 import read_name, read_signed, read_u32, read_unsigned
from asyncwasm.core.types import RefType
from asyncwasm.errors import MalformedError

from .printer_names import NO_NAMES, Names

_SHORT: Final = {
    **{code: str(num) for code, num in NUM_TYPES.items()},
    **{code: str(RefType(True, heap)) for code, heap in HEAP_TYPES.items()},
}
_STORAGE: Final = {0x78: "i8", 0x77: "i16"}
_REC, _SUB, _SUB_FINAL = 0x4E, 0x50, 0x4F
_ARRAY, _STRUCT, _FUNC = 0x5E, 0x5F, 0x60


@dataclass(frozen=True, slots=True)
class Signature:
    """A function type, each parameter and result as text."""

    params: list[str]
    results: list[str]

    def text(self, names: Names, params: Mapping[int, str] = NO_NAMES) -> str:
        """The clauses after `func`; a named parameter has a clause of its own."""
        out = clauses(names, "param", self.params, params)
        if self.results:
            out.append(group("result", self.results))
        return " ".join(out)


def group(keyword: str, types: list[str]) -> str:
    return f"({keyword} {' '.join(types)})"


def clauses(
    names: Names, keyword: str, types: list[str], definitions: Mapping[int, str], first: int = 0
) -> list[str]:
    """`(keyword type…)` clauses for parameters, locals or fields numbered from `first`."""
    out: list[str] = []
    run: list[str] = []
    for index, ty in enumerate(types, first):
        name = definitions.get(index)
        if name is None:
            run.append(ty)
            continue
        names.inner_count += 1
        if run:
            out.append(group(keyword, run))
            run = []
        out.append(f"({keyword} {name} {ty})")
    if run:
        out.append(group(keyword, run))
    return out


class TypeReader:
    """A position in a module's bytes from which types are read as text."""

    def __init__(self, data: bytes, names: Names, pos: int = 0) -> None:
        self.data = data
        self.names = names
        self.pos = pos

    def byte(self) -> int:
        if self.pos >= len(self.data):
            raise MalformedError("unexpected end", offset=self.pos)
        self.pos += 1
        return self.data[self.pos - 1]

    def u32(self) -> int:
        value, self.pos = read_u32(self.data, self.pos)
        return value

    def u64(self) -> int:
        value, self.pos = read_unsigned(self.data, self.pos, 64)
        return value

    def name(self) -> str:
        value, self.pos = read_name(self.data, self.pos, len(self.data))
        return value

    def heap_type(self) -> str:
        start = self.pos
        value, self.pos = read_signed(self.data, start, 33)
        if value >= 0:
            return self.names.use("type", value)
        if self.pos == start + 1 and value + 0x80 in HEAP_TYPES:
            return str(HEAP_TYPES[value + 0x80])
        raise MalformedError("malformed heap type", offset=start)

    def val_type(self) -> str:
        start = self.pos
        code = self.byte()
        if code in _SHORT:
            return _SHORT[code]
        if code in (REF, REF_NULL):
            return ref_type(code == REF_NULL, self.heap_type())
        raise MalformedError("malformed value type", offset=start)

    def val_types(self) -> list[str]:
        return [self.val_type() for _ in range(self.u32())]

    def block_type(self) -> tuple[int | None, list[str]]:
        """A block type: a type index, or else at most one result."""
        if self.pos < len(self.data):
            code = self.data[self.pos]
            if code == 0x40:
                self.pos += 1
                return None, []
            if code in _SHORT or code in (REF, REF_NULL):
                return None, [self.val_type()]
        start = self.pos
        index, self.pos = read_signed(self.data, start, 33)
        if index < 0:
            raise MalformedError("malformed block type", offset=start)
        return index, []

    def field_type(self) -> str:
        code = self.data[self.pos]
        if code in _STORAGE:
            self.pos += 1
            storage = _STORAGE[code]
        else:
            storage = self.val_type()
        return f"(mut {storage})" if self.byte() else storage

    def limits(self) -> tuple[int, str]:
        """Limits: the flags and the text, without what the flags say about sharing and index."""
        flags = self.byte()
        text = str(self.u64())
        return flags, f"{text} {self.u64()}" if flags & 1 else text

    def table_type(self) -> str:
        element = self.val_type()
        flags, limits = self.limits()
        return f"{'i64 ' if flags & 4 else ''}{limits} {element}"

    def memory_type(self) -> str:
        flags, limits = self.limits()
        text = f"{'i64 ' if flags & 4 else ''}{limits}{' shared' if flags & 2 else ''}"
        return f"{text} (pagesize {1 << self.u32()})" if flags & 8 else text

    def global_type(self) -> str:
        content = self.val_type()
        return f"(mut {content})" if self.byte() else content

    def tag_type(self) -> int:
        self.byte()
        return self.u32()


def ref_type(nullable: bool, heap: str) -> str:
    return f"(ref null {heap})" if nullable else f"(ref {heap})"


def read_types(reader: TypeReader, signatures: dict[int, Signature]) -> list[str]:
    """The lines of a type section; fills in the signature of every function type."""
    lines: list[str] = []
    index = 0
    for _ in range(reader.u32()):
        group, size = read_group(reader, index, signatures)
        lines += group
        index += size
    return lines


def read_group(
    reader: TypeReader, index: int, signatures: dict[int, Signature]
) -> tuple[list[str], int]:
    """The lines of a recursion group whose first type has this index, and how many it has."""
    size = 1
    if reader.data[reader.pos] == _REC:
        reader.pos += 1
        size = reader.u32()
    group = [_type(reader, index + i, signatures) for i in range(size)]
    if size == 1:
        # The same type as outside of a group, where text has it.
        return group, 1
    lines = ["(rec", *(f"  {line}" for line in group)]
    lines[-1] += ")"
    return lines, size


def _type(reader: TypeReader, index: int, signatures: dict[int, Signature]) -> str:
    names = reader.names
    code = reader.data[reader.pos]
    opening = closing = ""
    if code in (_SUB, _SUB_FINAL):
        reader.pos += 1
        supers = "".join(f"{names.use('type', reader.u32())} " for _ in range(reader.u32()))
        opening, closing = f"(sub {'final ' if code == _SUB_FINAL else ''}{supers}", ")"
    kind = reader.byte()
    if kind == _FUNC:
        signature = signatures[index] = Signature(reader.val_types(), reader.val_types())
        comp = f"func {signature.text(names)}".rstrip()
    elif kind == _STRUCT:
        fields = [reader.field_type() for _ in range(reader.u32())]
        definitions = names.inner("field", index).definitions
        comp = " ".join(["struct", *clauses(names, "field", fields, definitions)])
    elif kind == _ARRAY:
        comp = f"array {reader.field_type()}"
    else:
        raise MalformedError("malformed type", offset=reader.pos - 1)
    return f"(type {names.define('type', index)} {opening}({comp}){closing})"
