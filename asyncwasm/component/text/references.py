"""Readings that everything in the text of components shares: indices, names, labels."""

from __future__ import annotations

from typing import Final

from asyncwasm.component.syntax import Sort
from asyncwasm.core.binary.leb128 import write_name, write_unsigned
from asyncwasm.core.text.context import vector
from asyncwasm.core.text.cursor import Cursor, shorten
from asyncwasm.errors import MalformedError

from .scope import CORE_EXPORTS, SORT_CODES, Label, Scope

_SORTS: Final = {sort.value: sort for sort in Sort}
# The attributes of names: their codes.
_ATTRIBUTES: Final = {"implements": b"\0", "versionsuffix": b"\1", "external-id": b"\2"}


class ComponentCursor(Cursor):
    """A cursor for which no keyword is unknown to the format, only out of place."""

    __slots__ = ()

    def unexpected(self, at: int | None = None) -> MalformedError:
        at = self.pos if at is None else at
        token = self.tokens[at]
        return self.error(
            f"unexpected token `{shorten(token)}`" if token else "unexpected end of text", at
        )


class References:
    """Reads at `cursor`, in terms of `scope`, which gets what has to be added on the way."""

    def __init__(self, cursor: Cursor, scope: Scope) -> None:
        self.cursor = cursor
        self.scope = scope

    def label(self) -> Label:
        """The identifier and the `@name` annotation in front of a definition, if any."""
        cursor = self.cursor
        at = cursor.pos
        identifier = cursor.identifier()
        return Label(at, identifier, self.scope.context.name_of(cursor, identifier, "item"))

    # Sorts and indices -------------------------------------------------------------------------

    def sort(self, *, core: bool = False) -> Sort:
        """A sort; with `core`, a core one that may do without the word `core`."""
        cursor = self.cursor
        at = cursor.pos
        prefix = "core " if cursor.take("core") or core else ""
        sort = _SORTS.get(prefix + cursor.tokens[cursor.pos])
        if sort is None or " " in cursor.tokens[cursor.pos]:
            raise cursor.unexpected()
        cursor.pos += 1
        if core and not sort.value.startswith("core "):
            raise cursor.unexpected(at)
        return sort

    def index(self, sort: Sort) -> int:
        """An index of this sort: plain, or in parentheses with its sort and perhaps projected."""
        cursor = self.cursor
        if cursor.tokens[cursor.pos] != "(":
            return self.scope.space(sort).index(cursor)
        return self.item(sort)

    def item(self, sort: Sort) -> int:
        """`(sort index name*)` of this sort."""
        cursor = self.cursor
        cursor.expect("(")
        at = cursor.pos
        if self.sort(core=sort.value.startswith("core ")) is not sort:
            raise cursor.unexpected(at)
        index = self._projected(sort)
        cursor.close()
        return index

    def any_item(self, *, core: bool = False) -> tuple[Sort, int]:
        """`(sort index name*)` of any sort; with `core`, of a core one."""
        cursor = self.cursor
        cursor.expect("(")
        sort = self.sort(core=core)
        index = self._projected(sort)
        cursor.close()
        return sort, index

    def _projected(self, sort: Sort) -> int:
        """An index, or an instance and the names of exports of it that lead to the item."""
        cursor, scope = self.cursor, self.scope
        if not cursor.is_index():
            raise cursor.unexpected()
        if cursor.tokens[cursor.pos + 1][:1] != '"':
            return scope.space(sort).index(cursor)
        if sort in CORE_EXPORTS:
            instance = scope.space(Sort.CORE_INSTANCE).index(cursor)
            return scope.alias_export(sort, instance, cursor.name(), cursor)
        index = scope.space(Sort.INSTANCE).index(cursor)
        names = []
        while cursor.is_string():
            names.append(cursor.name())
        for name in names[:-1]:
            index = scope.alias_export(Sort.INSTANCE, index, name, cursor)
        return scope.alias_export(sort, index, names[-1], cursor)

    def encoded(self, sort: Sort) -> bytes:
        """An index of this sort, encoded as an unsigned number."""
        return write_unsigned(self.index(sort))

    def optional_group(self, keyword: str, sort: Sort) -> bytes | None:
        """`(keyword index)`, if it comes next, as the encoded index."""
        if not self.cursor.open(keyword):
            return None
        code = self.encoded(sort)
        self.cursor.close()
        return code

    # Names of imports and exports --------------------------------------------------------------

    def extern_name(self) -> bytes:
        """The name of an import or export with its attributes, encoded."""
        cursor = self.cursor
        name = write_name(cursor.name())
        found: dict[str, bytes] = {}
        while cursor.tokens[cursor.pos] == "(" and cursor.tokens[cursor.pos + 1] in _ATTRIBUTES:
            keyword = cursor.tokens[cursor.pos + 1]
            if keyword in found:
                raise cursor.unexpected(cursor.pos + 1)
            cursor.pos += 2
            found[keyword] = _ATTRIBUTES[keyword] + write_name(cursor.name())
            cursor.close()
        if not found:
            return b"\0" + name
        return b"\2" + name + vector(sorted(found.values()))

    def at_inline(self, keyword: str) -> bool:
        """Whether `(keyword "name" attribute*)` comes next: an inline import or export."""
        cursor = self.cursor
        tokens = cursor.tokens
        pos = cursor.pos
        if not cursor.at(keyword) or tokens[pos + 2][:1] != '"':
            return False
        pos += 3
        while tokens[pos] == "(" and tokens[pos + 1] in _ATTRIBUTES:
            while tokens[pos] not in (")", ""):
                pos += 1
            pos += tokens[pos] == ")"
        return tokens[pos] == ")"

    def inline_name(self, keyword: str) -> bytes | None:
        """The name in an inline import or export, if one comes next."""
        if not self.at_inline(keyword):
            return None
        self.cursor.pos += 2
        name = self.extern_name()
        self.cursor.close()
        return name

    def inline_exports(self) -> list[bytes]:
        """The names of any number of inline exports."""
        found = []
        while (name := self.inline_name("export")) is not None:
            found.append(name)
        return found

    def export_inline(self, names: list[bytes], sort: Sort, index: int) -> None:
        """Have the component export an item at its end under these names."""
        self.scope.exports.extend((name, sort, index) for name in names)

    def sorted_index(self, sort: Sort, index: int) -> bytes:
        """An index with its sort, encoded."""
        return SORT_CODES[sort] + write_unsigned(index)
