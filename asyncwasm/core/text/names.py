"""The name section ("Name Section" in the specification's appendix on custom sections).

Names come from identifiers and from `(@name "…")` annotations; the subsections for labels,
types, tables and so on are those of the extended name section proposal.
"""

from __future__ import annotations

from collections.abc import Mapping

from asyncwasm.core.binary.leb128 import write_name, write_unsigned
from asyncwasm.core.binary.names import NameSection

from .context import Context, vector


def name_section(context: Context) -> bytes:
    """The content of the name section; empty if nothing has a name."""
    types = context.types
    fields = {i: space.names for i, space in enumerate(types.fields) if space and space.names}
    return encode_names(
        NameSection(
            module=context.module_name,
            functions=context.func.names,
            locals=context.local_names,
            labels=context.label_names,
            types=types.space.names,
            tables=context.table.names,
            memories=context.memory.names,
            globals=context.global_.names,
            elems=context.elem.names,
            datas=context.data.names,
            fields=fields,
            tags=context.tag.names,
        )
    )


def encode_names(names: NameSection) -> bytes:
    """The content of a name section with these names; empty without any."""
    subsections = [
        b"" if names.module is None else write_name(names.module),
        _map(names.functions),
        _indirect(names.locals),
        _indirect(names.labels),
        _map(names.types),
        _map(names.tables),
        _map(names.memories),
        _map(names.globals),
        _map(names.elems),
        _map(names.datas),
        _indirect(names.fields),
        _map(names.tags),
    ]
    return b"".join(
        bytes((number,)) + write_unsigned(len(content)) + content
        for number, content in enumerate(subsections)
        if content
    )


def _map(names: Mapping[int, str]) -> bytes:
    if not names:
        return b""
    return vector([write_unsigned(i) + write_name(name) for i, name in sorted(names.items())])


def _indirect(names: Mapping[int, Mapping[int, str]]) -> bytes:
    if not names:
        return b""
    return vector([write_unsigned(i) + _map(inner) for i, inner in sorted(names.items())])
