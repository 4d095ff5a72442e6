"""Identifiers for printing, taken from a module's name section.

A name becomes an identifier where it is the only one of its space (or function, or type);
elsewhere the printer falls back on indices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from asyncwasm.core.binary.names import NameMap, NameSection

from .printer_literals import identifier


class Identifiers:
    """What to call each index: `$name` where it has a usable name, its number elsewhere.

    Spaces are called as in the kinds of immediates: `func`, `mem`, `local` and so on.
    """

    def __init__(self, names: NameSection) -> None:
        self.module = identifier(names.module) if names.module else None
        self._flat = {
            "func": _unique(names.functions),
            "type": _unique(names.types),
            "table": _unique(names.tables),
            "mem": _unique(names.memories),
            "global": _unique(names.globals),
            "elem": _unique(names.elems),
            "data": _unique(names.datas),
            "tag": _unique(names.tags),
        }
        self._nested = {
            "local": {outer: _unique(inner) for outer, inner in names.locals.items()},
            "field": {outer: _unique(inner) for outer, inner in names.fields.items()},
            # Labels may hide each other; who refers to one checks that it is in sight.
            "label": {outer: _usable(inner) for outer, inner in names.labels.items()},
        }

    def find(self, space: str, index: int) -> str | None:
        """The identifier of an item, or None."""
        return self._flat[space].get(index)

    def use(self, space: str, index: int) -> str:
        """The identifier of an item, or its index as text."""
        return self._flat[space].get(index) or str(index)

    def inner(self, space: str, outer: int) -> Mapping[int, str]:
        """The identifiers of a function's locals or labels, or of a type's fields."""
        return self._nested[space].get(outer, NO_NAMES)


NO_NAMES: Final[Mapping[int, str]] = {}


def _usable(names: NameMap) -> dict[int, str]:
    return {index: identifier(name) for index, name in names.items() if name}


def _unique(names: NameMap) -> dict[int, str]:
    counts = Counter(names.values())
    return _usable({index: name for index, name in names.items() if counts[name] == 1})
