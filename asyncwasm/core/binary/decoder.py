"""From bytes to `ModuleInfo`: the preamble and the sequence of sections.

See "Modules" in the binary format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.isa.features import ALL, Feature, Features, require
from asyncwasm.core.module import CustomSection, ModuleInfo, Span
from asyncwasm.errors import MalformedError

from . import sections
from .cursor import Cursor
from .leb128 import read_name, read_u32
from .limits import MAX_MODULE_BYTES, check_limit

MAGIC: Final = b"\0asm"
VERSION: Final = b"\x01\0\0\0"

# Section readers by id, in the order in which sections may come.
_SECTIONS: Final[dict[int, Callable[[Cursor, ModuleInfo], None]]] = {
    1: sections.read_types,
    2: sections.read_imports,
    3: sections.read_funcs,
    4: sections.read_tables,
    5: sections.read_memories,
    13: sections.read_tags,
    6: sections.read_globals,
    7: sections.read_exports,
    8: sections.read_start,
    9: sections.read_elems,
    12: sections.read_data_count,
    10: sections.read_code,
    11: sections.read_datas,
}
_ORDER: Final = {id: place for place, id in enumerate(_SECTIONS)}
_TAG_SECTION: Final = 13


def decode_module(data: bytes, features: Features = ALL) -> ModuleInfo:
    """Decode the core module `data`, all but the contents of function bodies.

    Raises `MalformedError` for what the binary format does not allow; `ValidationError` where
    a type cannot be made canonical because it is invalid, where an export's name is not
    unique, and where a feature is used that is not among `features`; `ResourceLimitError` for
    what is larger than `limits.py` allows.  Never suspends.
    """
    _check_preamble(data)
    check_limit(len(data), MAX_MODULE_BYTES, "bytes in a module")
    data = bytes(data)
    info = ModuleInfo(data)
    last = -1
    sections_before = 0
    pos = 8
    while pos < len(data):
        start = pos
        id = data[pos]
        size, pos = read_u32(data, pos + 1)
        end = pos + size
        if id and id not in _ORDER:
            raise MalformedError("malformed section id", offset=start)
        if end > len(data):
            raise MalformedError("unexpected end of section or function", offset=start)
        if id == 0:
            name, content = read_name(data, pos, end)
            info.customs.append(CustomSection(name, Span(content, end), start, sections_before))
        else:
            if _ORDER[id] <= last:
                raise MalformedError("unexpected content after last section", offset=start)
            last = _ORDER[id]
            sections_before += 1
            if id == _TAG_SECTION:
                require(features, Feature.EXCEPTIONS, start)
            cursor = Cursor(data[:end], pos, info.types, features)
            _SECTIONS[id](cursor, info)
            if cursor.pos != end:
                raise MalformedError("section size mismatch", offset=cursor.pos)
        pos = end
    if len(info.bodies) != len(info.funcs) - info.imported_funcs:
        raise MalformedError("function and code section have inconsistent lengths", offset=pos)
    if info.data_count not in (None, len(info.datas)):
        raise MalformedError("data count and data section have inconsistent lengths", offset=pos)
    return info


def _check_preamble(data: bytes) -> None:
    magic, version = bytes(data[:4]), bytes(data[4:8])
    if len(magic) < 4:
        raise MalformedError("unexpected end", offset=len(magic))
    if magic != MAGIC:
        raise MalformedError("magic header not detected", offset=0)
    if len(version) < 4:
        raise MalformedError("unexpected end", offset=4 + len(version))
    # A component has a layer of 1 in the upper half of the version.
    if version[2:] == b"\x01\0":
        raise MalformedError("expected a core module, found a component", offset=4)
    if version != VERSION:
        raise MalformedError("unknown binary version", offset=4)
