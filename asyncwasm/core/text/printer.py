"""The printer: a module's binary format as text ("Text Format" in the core specification).

Sections are read from the bytes again, because the text must say which type index, which of
two equal encodings of a segment, and which place of a custom section the binary has; the
decoder's `ModuleInfo` abstracts from those.  Assembling the text gives the same module: the same
bytes where they were as short as possible, as those of our assembler are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.names import NameSection, read_names
from asyncwasm.core.module import CustomSection, ExternKind, ModuleInfo

from .names import encode_names
from .printer_code import CodePrinter, type_use
from .printer_literals import bytes_literal, name_literal
from .printer_names import Names, definition
from .printer_types import Signature, TypeReader, read_types

_SPACES: Final = {
    ExternKind.FUNC: "func",
    ExternKind.TABLE: "table",
    ExternKind.MEMORY: "mem",
    ExternKind.GLOBAL: "global",
    ExternKind.TAG: "tag",
}
_KEYWORDS: Final = {**_SPACES, ExternKind.MEMORY: "memory"}
# Section numbers, by the word that places a custom section after them.
_SECTIONS: Final = {
    1: "type",
    2: "import",
    3: "func",
    4: "table",
    5: "memory",
    6: "global",
    7: "export",
    8: "start",
    9: "elem",
    10: "code",
    11: "data",
    12: "datacount",
    13: "tag",
}
_START: Final = 8
_DATA_COUNT: Final = 12
_BYTES_PER_LINE: Final = 48


def print_module(data: bytes, *, names: bool = True) -> str:
    """The text of a module in binary format, ending in a newline.

    With `names`, identifiers are taken from the name section where they are unambiguous;
    without, everything is called by its index.  The module need not be valid.  Raises
    `MalformedError` for bytes that are not a module, and `ResourceLimitError` for one that
    declares more locals than can be written out.
    """
    return _ModulePrinter(decode_module(data), names).text()


class _Place(NamedTuple):
    """Where custom sections are: in front of line `line`, and by a section.

    `where` says which one.  A data count is only written where it is needed: without it, the
    place is `without_count`.
    """

    line: int
    where: str
    without_count: str
    customs: list[CustomSection]


class _ModulePrinter:
    def __init__(self, info: ModuleInfo, use_names: bool) -> None:
        self._info = info
        self._section = read_names(info) if use_names else NameSection()
        self._names = Names(self._section)
        self._reader = TypeReader(info.data, self._names)
        self._signatures: dict[int, Signature] = {}
        self._code = CodePrinter(info.data, self._names, self._signatures)
        self._func_types: list[int] = []
        # How many items of each index space have been printed so far.
        self._counts = dict.fromkeys([*_SPACES.values(), "elem", "data"], 0)
        self._lines: list[str] = []

    def text(self) -> str:
        customs: dict[int, list[CustomSection]] = {}
        for custom in self._info.customs:
            customs.setdefault(custom.before, []).append(custom)
        data = self._info.data
        reader = self._reader
        places = [_Place(0, "before first", "before first", customs.get(0, []))]
        place = other = "before first"
        seen = 0
        reader.pos = 8
        while reader.pos < len(data):
            section = reader.byte()
            end = reader.u32() + reader.pos
            if section:
                seen += 1
                start = reader.pos
                if section == _DATA_COUNT:
                    place = f"after {_SECTIONS[section]}"
                elif section == _START or reader.u32():
                    place = other = f"after {_SECTIONS[section]}"
                    reader.pos = start
                    _HANDLERS[section](self)
                places.append(_Place(len(self._lines), place, other, customs.get(seen, [])))
            reader.pos = end
        self._insert_customs(places)
        name = self._names.module
        head = f"(module{'' if name is None else f' {definition(name)}'}"
        if not self._lines:
            return f"{head})\n"
        return "\n".join([head, *(f"  {line}" for line in self._lines), ")\n"])

    def _insert_customs(self, places: list[_Place]) -> None:
        """Print the custom sections, the last first so that the places before stay right."""
        implied = self._info.customs[-1] if self._info.customs and self._is_implied() else None
        for place in reversed(places):
            keeps_count = place.where != "after datacount" or self._code.uses_data
            where = place.where if keeps_count else place.without_count
            lines: list[str] = []
            for custom in place.customs:
                if custom is not implied:
                    content = self._info.data[custom.content.start : custom.content.end]
                    head = f"(@custom {name_literal(custom.name)} ({where})"
                    lines += _with_strings(head, content)
            self._lines[place.line : place.line] = lines

    def _is_implied(self) -> bool:
        """Whether the names in the text make the assembler write the last custom section."""
        info, names, counts = self._info, self._section, self._counts
        if [custom.name for custom in info.customs].count("name") != 1:
            return False
        last = info.customs[-1]
        content = info.data[last.content.start : last.content.end]
        if last.name != "name" or last.content.end != len(info.data):
            return False
        if encode_names(names) != content:
            return False
        # All of them must be in the text: none for something that does not exist.
        flat = (
            (names.functions, counts["func"]),
            (names.types, len(info.types)),
            (names.tables, counts["table"]),
            (names.memories, counts["mem"]),
            (names.globals, counts["global"]),
            (names.elems, counts["elem"]),
            (names.datas, counts["data"]),
            (names.tags, counts["tag"]),
        )
        nested = sum(
            len(inner)
            for maps in (names.locals, names.labels, names.fields)
            for inner in maps.values()
        )
        return nested == self._names.inner_count and all(
            index < count for found, count in flat for index in found
        )

    def _define(self, space: str) -> str:
        index = self._counts[space]
        self._counts[space] = index + 1
        return self._names.define(space, index)

    def _types(self) -> None:
        self._lines += read_types(self._reader, self._signatures)

    def _imports(self) -> None:
        reader = self._reader
        for _ in range(reader.u32()):
            module, name = reader.name(), reader.name()
            kind = ExternKind(reader.byte())
            head = f"(import {name_literal(module)} {name_literal(name)}"
            item = f"{_KEYWORDS[kind]} {self._define(_SPACES[kind])}"
            match kind:
                case ExternKind.FUNC:
                    ty = type_use(self._names, self._signatures, reader.u32())
                case ExternKind.TABLE:
                    ty = reader.table_type()
                case ExternKind.MEMORY:
                    ty = reader.memory_type()
                case ExternKind.GLOBAL:
                    ty = reader.global_type()
                case ExternKind.TAG:
                    ty = type_use(self._names, self._signatures, reader.tag_type())
            self._lines.append(f"{head} ({item} {ty}))")

    def _funcs(self) -> None:
        self._func_types = [self._reader.u32() for _ in range(self._reader.u32())]

    def _tables(self) -> None:
        reader = self._reader
        for _ in range(reader.u32()):
            head = f"(table {self._define('table')}"
            if reader.data[reader.pos] != 0x40:
                self._lines.append(f"{head} {reader.table_type()})")
                continue
            reader.pos += 2
            ty = reader.table_type()
            self._lines.append(f"{head} {ty} {self._expression()})")

    def _memories(self) -> None:
        for _ in range(self._reader.u32()):
            head = f"(memory {self._define('mem')}"
            self._lines.append(f"{head} {self._reader.memory_type()})")

    def _tags(self) -> None:
        for _ in range(self._reader.u32()):
            head = f"(tag {self._define('tag')}"
            ty = type_use(self._names, self._signatures, self._reader.tag_type())
            self._lines.append(f"{head} {ty})")

    def _globals(self) -> None:
        for _ in range(self._reader.u32()):
            head = f"(global {self._define('global')}"
            ty = self._reader.global_type()
            self._lines.append(f"{head} {ty} {self._expression()})")

    def _exports(self) -> None:
        reader = self._reader
        for _ in range(reader.u32()):
            name = name_literal(reader.name())
            kind = ExternKind(reader.byte())
            item = self._names.use(_SPACES[kind], reader.u32())
            self._lines.append(f"(export {name} ({_KEYWORDS[kind]} {item}))")

    def _start(self) -> None:
        self._lines.append(f"(start {self._names.use('func', self._reader.u32())})")

    def _elems(self) -> None:
        reader = self._reader
        for _ in range(reader.u32()):
            head = f"(elem {self._define('elem')}"
            flags = reader.u32()
            if flags & 1:
                head += " declare" if flags & 2 else ""
            else:
                table = reader.u32() if flags & 2 else 0
                head += f" (table {self._names.use('table', table)})" if table else ""
                head += f" {self._expression('offset')}"
            if flags & 4:
                head += f" {reader.val_type() if flags & 3 else 'funcref'}"
                items = [self._expression("item") for _ in range(reader.u32())]
            else:
                if flags & 3:
                    reader.byte()
                head += " func"
                items = [self._names.use("func", reader.u32()) for _ in range(reader.u32())]
            self._lines.append(f"{' '.join([head, *items])})")

    def _datas(self) -> None:
        reader = self._reader
        for _ in range(reader.u32()):
            head = f"(data {self._define('data')}"
            flags = reader.u32()
            if flags != 1:
                memory = reader.u32() if flags else 0
                head += f" (memory {self._names.use('mem', memory)})" if memory else ""
                head += f" {self._expression('offset')}"
            size = reader.u32()
            self._lines += _with_strings(head, reader.data[reader.pos : reader.pos + size])
            reader.pos += size

    def _code_section(self) -> None:
        info = self._info
        for ty, body in zip(self._func_types, info.bodies, strict=True):
            func = self._counts["func"]
            params = self._names.inner("local", func).definitions
            use = type_use(self._names, self._signatures, ty, params)
            self._lines.append(f"(func {self._define('func')} {use}")
            lines = self._code.body(func, ty, body, 1)
            if lines:
                self._lines += lines
                self._lines.append(")")
            else:
                self._lines[-1] += ")"

    def _expression(self, keyword: str | None = None) -> str:
        """The constant expression at the reader's position, folded where it is one instruction."""
        instructions, self._reader.pos = self._code.expression(self._reader.pos)
        if len(instructions) == 1:
            return f"({instructions[0]})"
        text = " ".join(instructions)
        return f"({keyword} {text})" if keyword else text


def _with_strings(head: str, content: bytes) -> list[str]:
    """`head` and then `content` as string literals: on its line if short, else below it."""
    if len(content) <= _BYTES_PER_LINE:
        return [f"{head} {bytes_literal(content)})"]
    chunks = range(0, len(content), _BYTES_PER_LINE)
    lines = [f"  {bytes_literal(content[at : at + _BYTES_PER_LINE])}" for at in chunks]
    lines[-1] += ")"
    return [head, *lines]


_HANDLERS: Final[dict[int, Callable[[_ModulePrinter], None]]] = {
    1: _ModulePrinter._types,
    2: _ModulePrinter._imports,
    3: _ModulePrinter._funcs,
    4: _ModulePrinter._tables,
    5: _ModulePrinter._memories,
    6: _ModulePrinter._globals,
    7: _ModulePrinter._exports,
    8: _ModulePrinter._start,
    9: _ModulePrinter._elems,
    10: _ModulePrinter._code_section,
    11: _ModulePrinter._datas,
    13: _ModulePrinter._tags,
}
