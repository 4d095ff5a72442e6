"""Names for printing, taken from a module's name section.

A name becomes an identifier where it is the only one of its space (or function, or type).
Elsewhere an annotation `(@name "…")` keeps it, and the item is called by its index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from asyncwasm.core.binary.names import NameMap, NameSection

from .printer_literals import identifier, name_literal

NO_NAMES: Final[Mapping[int, str]] = {}


class Scope:
    """The names of one space, of one function's locals or labels, or of one type's fields.

    `uses` holds identifiers by index, `definitions` what to write where an item is defined:
    its identifier or an annotation.
    """

    __slots__ = ("definitions", "uses")

    def __init__(self, names: NameMap, *, labels: bool = False) -> None:
        counts = Counter(names.values())
        # Labels may hide each other; who refers to one checks that it is in sight.
        self.uses: Final = {
            index: identifier(name)
            for index, name in names.items()
            if name and (labels or counts[name] == 1)
        }
        self.definitions: Final = {
            index: definition(name, unique=index in self.uses) for index, name in names.items()
        }


NO_SCOPE: Final = Scope({})


class Names:
    """The names of a module.

    Spaces are called as in the kinds of immediates: `func`, `mem`, `local` and so on.
    """

    def __init__(self, names: NameSection) -> None:
        self.module = names.module
        # How many names of parameters, locals, labels and fields have been written.
        self.inner_count = 0
        self._flat = {
            "func": Scope(names.functions),
            "type": Scope(names.types),
            "table": Scope(names.tables),
            "mem": Scope(names.memories),
            "global": Scope(names.globals),
            "elem": Scope(names.elems),
            "data": Scope(names.datas),
            "tag": Scope(names.tags),
        }
        self._nested = {
            "local": {outer: Scope(inner) for outer, inner in names.locals.items()},
            "label": {outer: Scope(inner, labels=True) for outer, inner in names.labels.items()},
            "field": {outer: Scope(inner) for outer, inner in names.fields.items()},
        }

    def use(self, space: str, index: int) -> str:
        """What to call an item: its identifier, or its index."""
        return self._flat[space].uses.get(index) or str(index)

    def define(self, space: str, index: int) -> str:
        """How the definition of an item starts: its name, if any, and its index as a comment."""
        name = self._flat[space].definitions.get(index)
        return f"{name} (;{index};)" if name else f"(;{index};)"

    def inner(self, space: str, outer: int) -> Scope:
        """The names of a function's locals or labels, or of a type's fields."""
        return self._nested[space].get(outer, NO_SCOPE)


def definition(name: str, *, unique: bool = True) -> str:
    """What gives a name to a definition: an identifier, or else an annotation."""
    return identifier(name) if name and unique else f"(@name {name_literal(name)})"
