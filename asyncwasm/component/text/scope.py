"""Index spaces and what has been defined so far, of a component, a type or a module type.

Definitions are strictly in order: an identifier means what has been bound to it above.  One
that is bound further out is brought in by an outer alias, on its first use.
"""

from __future__ import annotations

import enum
from itertools import groupby
from typing import Final, NamedTuple

from asyncwasm.component.syntax import Sort
from asyncwasm.core.binary.leb128 import write_name, write_unsigned
from asyncwasm.core.text.context import Context, Signature, Space, TypeTable, vector
from asyncwasm.core.text.cursor import Cursor, shorten
from asyncwasm.core.text.lexer import Annotation
from asyncwasm.errors import MalformedError

PREAMBLE: Final = b"\0asm\x0d\0\1\0"
NAME_SECTION: Final = "component-name"
# How deep components and types may lie in each other.
MAX_NESTING: Final = 100

SORT_CODES: Final = {
    Sort.CORE_FUNC: b"\0\0",
    Sort.CORE_TABLE: b"\0\1",
    Sort.CORE_MEMORY: b"\0\2",
    Sort.CORE_GLOBAL: b"\0\3",
    Sort.CORE_TAG: b"\0\4",
    Sort.CORE_TYPE: b"\0\x10",
    Sort.CORE_MODULE: b"\0\x11",
    Sort.CORE_INSTANCE: b"\0\x12",
    Sort.FUNC: b"\1",
    Sort.VALUE: b"\2",
    Sort.TYPE: b"\3",
    Sort.COMPONENT: b"\4",
    Sort.INSTANCE: b"\5",
}
# What core instances export.
CORE_EXPORTS: Final = frozenset(
    (Sort.CORE_FUNC, Sort.CORE_TABLE, Sort.CORE_MEMORY, Sort.CORE_GLOBAL, Sort.CORE_TAG)
)
_OUTER: Final = frozenset((Sort.CORE_TYPE, Sort.CORE_MODULE, Sort.TYPE, Sort.COMPONENT))


class Section(enum.IntEnum):
    """The sections of a component, by their numbers."""

    CUSTOM = 0
    CORE_MODULE = 1
    CORE_INSTANCE = 2
    CORE_TYPE = 3
    COMPONENT = 4
    INSTANCE = 5
    ALIAS = 6
    TYPE = 7
    CANON = 8
    START = 9
    IMPORT = 10
    EXPORT = 11
    VALUE = 12


_SINGLE: Final = frozenset((Section.CUSTOM, Section.CORE_MODULE, Section.COMPONENT, Section.START))


# The codes of declarators in a component or instance type, and in a module type.
_TYPE_CODES: Final = {
    Section.CORE_TYPE: b"\0",
    Section.TYPE: b"\1",
    Section.ALIAS: b"\2",
    Section.IMPORT: b"\3",
    Section.EXPORT: b"\4",
}
_MODULE_TYPE_CODES: Final = {
    Section.IMPORT: b"\0",
    Section.CORE_TYPE: b"\1",
    Section.ALIAS: b"\2",
    Section.EXPORT: b"\3",
}


class Label(NamedTuple):
    """The identifier and the name in front of a definition, and the token where they are."""

    at: int
    identifier: str | None = None
    name: str | None = None


class IndexSpace(Space):
    """An index space that knows where to look when an identifier is not its own."""

    __slots__ = ("outer", "scope", "sort")

    def __init__(self, scope: Scope, sort: Sort) -> None:
        super().__init__(sort.value)
        self.scope = scope
        self.sort = sort
        # What outer aliases have brought in, by identifier.
        self.outer: dict[str, int] = {}

    def lookup(self, identifier: str) -> int | None:
        """The index that an identifier is bound to here."""
        index = self.indices.get(identifier)
        return self.outer.get(identifier) if index is None else index

    def index(self, cursor: Cursor) -> int:
        """An index into this space, by number or by identifier."""
        token = cursor.tokens[cursor.pos]
        if token[:1] != "$":
            return cursor.unsigned(32)
        index = self.scope.resolve(self.sort, token, cursor)
        cursor.pos += 1
        return index


class _CoreTypes(TypeTable):
    """The core types of a scope, those of inline type uses included."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope.space(Sort.CORE_TYPE))
        self._scope = scope

    def catch_up(self, signature: Signature | None = None) -> None:
        """Account for types that were declared and are no core definitions of this scope."""
        while len(self.signatures) < self.space.count:
            self.signatures.append(signature)
            self.fields.append(None)

    def use(self, signature: Signature) -> int:
        index = self.singles.get(signature)
        if index is None:
            self._scope.emit(Section.CORE_TYPE, signature.encode())
            index = self.singles[signature] = self.space.count
            self.space.count += 1
            self.catch_up(signature)
        return index


class Scope:
    """The inside of a component, of a component or instance type, or of a module type."""

    __slots__ = (
        "context",
        "core_types",
        "exports",
        "identifier",
        "is_module",
        "items",
        "parent",
        "shapes",
        "spaces",
    )

    def __init__(
        self,
        annotations: dict[int, list[Annotation]],
        parent: Scope | None = None,
        identifier: str | None = None,
        *,
        is_module: bool = False,
    ) -> None:
        """`is_module` is for the inside of a module type; `annotations` are the whole text's."""
        self.parent = parent
        self.identifier = identifier
        self.is_module = is_module
        self.spaces: dict[Sort, IndexSpace] = {}
        # What is known of types of values, by index: the definition and the scope that it is in.
        self.shapes: dict[int, tuple[Scope, bytes]] = {}
        self.items: list[tuple[Section, bytes]] = []
        # Exports written within the definition of what they export: they come last.
        self.exports: list[tuple[bytes, Sort, int]] = []
        # For what the text of core modules and of components have in common.
        self.context = Context(annotations)
        self.core_types = self.context.types = _CoreTypes(self)

    def space(self, sort: Sort) -> IndexSpace:
        """The index space of `sort`."""
        space = self.spaces.get(sort)
        if space is None:
            space = self.spaces[sort] = IndexSpace(self, sort)
        return space

    def emit(self, section: Section, code: bytes) -> None:
        """Add the encoding of a definition, without what introduces it."""
        self.items.append((section, code))

    def declare(self, sort: Sort, cursor: Cursor, label: Label | None = None) -> int:
        """Add an item to an index space and bind its identifier; gives its index."""
        space = self.space(sort)
        index = space.count
        space.count += 1
        if label is not None and label.identifier is not None:
            if label.identifier in space.indices:
                message = f"duplicate {sort.value} `{shorten(label.identifier)}`"
                raise cursor.error(message, label.at)
            space.indices[label.identifier] = index
        if label is not None and label.name is not None:
            space.names[index] = label.name
        return index

    def resolve(self, sort: Sort, identifier: str, cursor: Cursor) -> int:
        """The index in this scope of what `identifier` is bound to, here or further out."""
        scope: Scope | None = self
        count = 0
        while scope is not None:
            space = scope.spaces.get(sort)
            index = None if space is None else space.lookup(identifier)
            if index is not None:
                break
            scope = scope.parent
            count += 1
        else:
            raise cursor.error(f"unknown {sort.value} `{shorten(identifier)}`")
        if not count:
            return index
        if sort not in _OUTER:
            message = f"outer item `{shorten(identifier[1:])}` is not a module, type, or component"
            raise cursor.error(message)
        local = self.alias_outer(sort, count, index, cursor)
        self.space(sort).outer[identifier] = local
        return local

    def alias_outer(
        self, sort: Sort, count: int, index: int, cursor: Cursor, label: Label | None = None
    ) -> int:
        """Add an outer alias; gives its index."""
        place = b"\1" + write_unsigned(count) + write_unsigned(index)
        if self.is_module:
            self.emit(Section.ALIAS, b"\x10" + place)
        else:
            self.emit(Section.ALIAS, SORT_CODES[sort] + b"\2" + place[1:])
        if sort is Sort.CORE_TYPE:
            self.core_types.catch_up()
            target = self.outward(count)
            known = [] if target is None else target.core_types.signatures
            local = self.declare(sort, cursor, label)
            self.core_types.catch_up(known[index] if index < len(known) else None)
            return local
        local = self.declare(sort, cursor, label)
        if sort is Sort.TYPE:
            self.alias_shape(local, self.outward(count), index)
        return local

    def alias_shape(self, local: int, scope: Scope | None, index: int) -> None:
        """Take note that a type is the same as another one."""
        known = None if scope is None else scope.shapes.get(index)
        if known is not None:
            self.shapes[local] = known

    def alias_export(
        self, sort: Sort, instance: int, name: str, cursor: Cursor, label: Label | None = None
    ) -> int:
        """Add an alias of an export (of a core instance if the sort is one of theirs)."""
        core = b"\1" if sort in CORE_EXPORTS else b"\0"
        code = SORT_CODES[sort] + core + write_unsigned(instance) + write_name(name)
        self.emit(Section.ALIAS, code)
        return self.declare(sort, cursor, label)

    def enclosing(self, identifier: str, cursor: Cursor) -> int:
        """How many scopes out from here the one called `identifier` is."""
        scope: Scope | None = self
        count = 0
        while scope is not None:
            if scope.identifier == identifier:
                return count
            scope = scope.parent
            count += 1
        raise cursor.error(f"unknown outer component or type `{shorten(identifier)}`")

    def outward(self, count: int) -> Scope | None:
        """The scope `count` scopes out from here."""
        scope: Scope | None = self
        while count and scope is not None:
            scope = scope.parent
            count -= 1
        return scope

    def check_nesting(self, cursor: Cursor) -> None:
        """Refuse to go deeper than is sensible."""
        if self.outward(MAX_NESTING) is not None:
            raise too_deep(cursor)

    def declarators(self) -> bytes:
        """The content of a type, as a vector."""
        codes = _MODULE_TYPE_CODES if self.is_module else _TYPE_CODES
        return vector([codes[section] + code for section, code in self.items])

    def component(self, name: str | None) -> bytes:
        """The binary format of a component, neighbours in one section; `name` is its own."""
        out = [PREAMBLE]
        for section, group in groupby(self.items, lambda item: item[0]):
            codes = [code for _, code in group]
            contents = codes if section in _SINGLE else [vector(codes)]
            out += [encode_section(section, content) for content in contents]
        names = encode_names(name, {sort: space.names for sort, space in self.spaces.items()})
        header = write_name(NAME_SECTION)
        # One written out as a `@custom` annotation takes the place of the implied one.
        if names and (Section.CUSTOM, header) not in {(s, c[: len(header)]) for s, c in self.items}:
            out.append(encode_section(Section.CUSTOM, header + names))
        return b"".join(out)


def encode_section(section: Section, content: bytes) -> bytes:
    """A section with its number and size."""
    return bytes((section,)) + write_unsigned(len(content)) + content


def encode_names(name: str | None, names: dict[Sort, dict[int, str]]) -> bytes:
    """The content of a name section; empty if nothing has a name."""
    out = []
    if name is not None:
        out.append((0, write_name(name)))
    for sort, code in SORT_CODES.items():
        if names.get(sort):
            pairs = [write_unsigned(i) + write_name(n) for i, n in sorted(names[sort].items())]
            out.append((1, code + vector(pairs)))
    return b"".join(bytes((n,)) + write_unsigned(len(code)) + code for n, code in out)


def too_deep(cursor: Cursor) -> MalformedError:
    """The error for text that nests deeper than is sensible, for the caller to raise."""
    return cursor.error("nesting too deep")
