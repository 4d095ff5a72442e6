"""The name section ("Name Section" in the specification's appendix on custom sections).

Names come from identifiers and from `(@name "…")` annotations; the subsections for labels,
types, tables and so on are those of the extended name section proposal.
"""

from __future__ import annotations

from collections.abc import Mapping

from asyncwasm.core.binary.leb128 import write_name, write_unsigned

from .context import Context, vector


def name_section(context: Context) -> bytes:
    """The content of the name section; empty if nothing has a name."""
    types = context.types
    fields = {i: space.names for i, space in enumerate(types.fields) if space and space.names}
    subsections = [
        b"" if context.module_name is None else write_name(context.module_name),
        _map(context.func.names),
        _indirect(context.local_names),
        _indirect(context.label_names),
        _map(types.space.names),
        _map(context.table.names),
        _map(context.memory.names),
        _map(context.global_.names),
        _map(context.elem.names),
        _map(context.data.names),
        _indirect(fields),
        _map(context.tag.names),
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
