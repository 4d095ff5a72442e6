"""From bytes to `ComponentDef`: the preamble and the sequence of sections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.isa.features import ALL, Feature, Features, require
from asyncwasm.core.module import Span
from asyncwasm.errors import MalformedError

from ..syntax import ComponentDef, CoreModuleDef, CustomSection, Definition, Start, ValueDef
from .canon import read_canon
from .core_types import skip_core_type
from .externs import read_alias, read_core_instance, read_export, read_import, read_instance
from .limits import MAX_ARGS, MAX_COMPONENT_BYTES, check_limit
from .reader import Budget, Reader
from .types import read_type
from .values import read_val_type

MAGIC: Final = b"\0asm"
VERSION: Final = b"\x0d\0"
LAYER: Final = b"\x01\0"

_CUSTOM: Final = 0
_CORE_MODULE: Final = 1
_COMPONENT: Final = 4
_START: Final = 9


def is_component(data: bytes) -> bool:
    """Whether these bytes say of themselves that they are a component, of any version."""
    return data[:4] == MAGIC and data[6:8] == LAYER


def decode_component(data: bytes, features: Features = ALL) -> ComponentDef:
    """Decode the component `data`, all that is nested in it included, but for core modules.

    Raises `MalformedError` for what the binary format does not allow; `ValidationError` where a
    feature is used that is not among `features`, and in a few places where the grammar alone
    does not say how to go on; `ResourceLimitError` for what is larger than `limits.py` allows.
    Never suspends.
    """
    require(features, Feature.COMPONENT_MODEL, 0)
    check_limit(len(data), MAX_COMPONENT_BYTES, "bytes in a component")
    data = bytes(data)
    return _read_component(Reader(data, 0, len(data), features, Budget()), 0)


def _read_component(reader: Reader, offset: int) -> ComponentDef:
    """A component from the reader's position to its end, in the section at `offset`."""
    component = ComponentDef(reader.data, Span(reader.pos, reader.end), offset)
    reader.budget.enter()
    _read_preamble(reader)
    while reader.pos < reader.end:
        _read_section(reader, component)
    reader.budget.leave()
    return component


def _read_preamble(reader: Reader) -> None:
    start, data = reader.pos, reader.data[reader.pos : min(reader.end, reader.pos + 8)]
    if len(data) < 4:
        raise MalformedError("unexpected end-of-file", offset=start + len(data))
    if data[:4] != MAGIC:
        raise MalformedError("magic header not detected", offset=start)
    if len(data) < 8:
        raise MalformedError("unexpected end-of-file", offset=start + len(data))
    if data[6:] != LAYER:
        raise MalformedError("expected a version header for a component", offset=start + 4)
    if data[4:6] != VERSION:
        raise MalformedError("unknown binary version", offset=start + 4)
    reader.pos += 8


def _read_section(reader: Reader, component: ComponentDef) -> None:
    start = reader.pos
    id = reader.byte()
    if id > 12:
        raise MalformedError("malformed section id", offset=start)
    content = reader.span()
    section = Reader(reader.data, content.start, content.end, reader.features, reader.budget)
    definitions = component.definitions
    if id == _CUSTOM:
        name = section.name()
        component.customs.append(
            CustomSection(name, Span(section.pos, content.end), start, len(definitions))
        )
        return
    component.section_starts.append(len(definitions))
    if id == _CORE_MODULE:
        reader.budget.define()
        definitions.append(CoreModuleDef(content, start))
    elif id == _COMPONENT:
        reader.budget.define()
        definitions.append(_read_component(section, start))
    else:
        if id == _START:
            reader.budget.define()
            definitions.append(_read_start(section))
        else:
            read = _SECTIONS[id]
            definitions.extend([read(section) for _ in range(section.definitions())])
        if section.pos != content.end:
            raise MalformedError(
                "section size mismatch: unexpected content in the section", offset=section.pos
            )


def _read_start(reader: Reader) -> Start:
    start = reader.pos
    func = reader.u32()
    args = tuple(reader.u32() for _ in range(reader.count(MAX_ARGS, "arguments")))
    return Start(func, args, reader.u32(), start)


def _read_value(reader: Reader) -> ValueDef:
    start = reader.pos
    return ValueDef(read_val_type(reader), reader.span(), start)


_SECTIONS: Final[dict[int, Callable[[Reader], Definition]]] = {
    2: read_core_instance,
    3: skip_core_type,
    5: read_instance,
    6: read_alias,
    7: read_type,
    8: read_canon,
    10: read_import,
    11: read_export,
    12: _read_value,
}
