"""The name section: names for people, which never change what a module means.

See "Name Section" in the appendix on custom sections, and the extended name section proposal
for the subsections past local names.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Final

from asyncwasm.core.module import ModuleInfo
from asyncwasm.errors import MalformedError

from .leb128 import read_name, read_u32

NameMap = dict[int, str]
IndirectNameMap = dict[int, NameMap]


@dataclass(slots=True)
class NameSection:
    """Names by index.

    `locals` and `labels` are by function, `fields` by type.  Indices are as they were
    written and may name nothing.
    """

    module: str | None = None
    functions: NameMap = field(default_factory=dict)
    locals: IndirectNameMap = field(default_factory=dict)
    labels: IndirectNameMap = field(default_factory=dict)
    types: NameMap = field(default_factory=dict)
    tables: NameMap = field(default_factory=dict)
    memories: NameMap = field(default_factory=dict)
    globals: NameMap = field(default_factory=dict)
    elems: NameMap = field(default_factory=dict)
    datas: NameMap = field(default_factory=dict)
    fields: IndirectNameMap = field(default_factory=dict)
    tags: NameMap = field(default_factory=dict)


_MAPS: Final = {
    1: "functions",
    4: "types",
    5: "tables",
    6: "memories",
    7: "globals",
    8: "elems",
    9: "datas",
    11: "tags",
}
_INDIRECT_MAPS: Final = {2: "locals", 3: "labels", 10: "fields"}


def read_names(info: ModuleInfo) -> NameSection:
    """The names of a module, from its first custom section called `name`.

    Never fails: a malformed subsection is left out and ends the section.
    """
    names = NameSection()
    content = next((c.content for c in info.customs if c.name == "name"), None)
    if content is not None:
        with contextlib.suppress(MalformedError):
            _read_subsections(info.data[content.start : content.end], names)
    return names


def _read_subsections(data: bytes, names: NameSection) -> None:
    pos = 0
    while pos < len(data):
        id = data[pos]
        size, start = read_u32(data, pos + 1)
        pos = start + size
        if pos > len(data):
            raise MalformedError("length out of bounds", offset=start)
        # A window ends every read where the subsection does.
        window = data[start:pos]
        if id == 0:
            names.module, end = read_name(window, 0, size)
        elif id in _MAPS:
            map, end = _read_map(window, 0)
            setattr(names, _MAPS[id], map)
        elif id in _INDIRECT_MAPS:
            indirect, end = _read_indirect_map(window)
            setattr(names, _INDIRECT_MAPS[id], indirect)
        else:
            end = size
        if end != size:
            raise MalformedError("section size mismatch", offset=start)


def _read_map(data: bytes, pos: int) -> tuple[NameMap, int]:
    names: NameMap = {}
    count, pos = read_u32(data, pos)
    for _ in range(count):
        index, pos = read_u32(data, pos)
        names[index], pos = read_name(data, pos, len(data))
    return names, pos


def _read_indirect_map(data: bytes) -> tuple[IndirectNameMap, int]:
    names: IndirectNameMap = {}
    count, pos = read_u32(data, 0)
    for _ in range(count):
        index, pos = read_u32(data, pos)
        names[index], pos = _read_map(data, pos)
    return names, pos
