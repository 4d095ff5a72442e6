"""The fields of a module: imports, definitions, segments, exports.

`scan` looks a module through once and binds every identifier, for fields may refer to what
comes after them; `Fields` then parses field by field and collects the entries of the sections.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Final, NamedTuple

from asyncwasm.core.binary.leb128 import write_name, write_unsigned
from asyncwasm.core.module import ExternKind

from .context import Context, Space, vector
from .cursor import Cursor
from .instructions import END, Expressions, constant, constant_item
from .types import reference_type, type_use, value_type, value_types

_KINDS: Final = {kind.name.lower(): kind for kind in ExternKind}
_WORDS: Final = {"func": "function"}
_OTHER: Final = frozenset(("type", "rec", "import", "export", "start", "elem", "data"))
FIELD_KEYWORDS: Final = _OTHER | _KINDS.keys()
_FUNCREF: Final = b"\x70"
_CONST_32: Final = b"\x41"
_CONST_64: Final = b"\x42"
_REF_FUNC: Final = b"\xd2"


class Field(NamedTuple):
    """A field: its keyword, its first token, that after its identifier, and its index (or -1)."""

    keyword: str
    start: int
    at: int
    number: int


def scan(cursor: Cursor, context: Context) -> list[Field]:
    """Bind what the fields from here to the closing parenthesis (or the end) define."""
    found: list[Field] = []
    defined: str | None = None
    tokens = cursor.tokens
    while tokens[cursor.pos] == "(":
        start = cursor.pos
        keyword = tokens[start + 1]
        if keyword not in FIELD_KEYWORDS:
            raise cursor.unexpected(start + 1)
        cursor.pos += 2
        index = -1
        is_import = keyword == "import"
        at = cursor.pos
        if keyword in _KINDS:
            index = context.spaces[keyword].bind(context, cursor)
            at = cursor.pos
            while cursor.open("export"):
                cursor.name()
                cursor.close()
            is_import = cursor.at("import")
            if not is_import and defined is None:
                defined = keyword
            _bind_inline(cursor, context, keyword)
        elif keyword in ("elem", "data"):
            index = context.spaces[keyword].bind(context, cursor)
            at = cursor.pos
        elif keyword == "type":
            index = context.types.space.bind(context, cursor)
        elif keyword == "rec":
            while cursor.at("type"):
                inner = cursor.pos
                cursor.pos += 2
                context.types.space.bind(context, cursor)
                cursor.pos = inner
                cursor.skip_group()
        elif is_import:
            cursor.name()
            cursor.name()
            kind = tokens[cursor.pos + 1] if tokens[cursor.pos] == "(" else ""
            if kind not in _KINDS:
                raise cursor.unexpected()
            cursor.pos += 2
            index = context.spaces[kind].bind(context, cursor)
        if is_import and defined is not None:
            raise cursor.error(f"import after {_WORDS.get(defined, defined)}", start)
        cursor.pos = start
        cursor.skip_group()
        found.append(Field(keyword, start, at, index))
    return found


def _bind_inline(cursor: Cursor, context: Context, keyword: str) -> None:
    """Count the segment that a table or memory may have in its definition."""
    if keyword not in ("table", "memory") or cursor.at("import"):
        return
    _is_wide(cursor)
    if keyword == "table":
        # The element type comes first only in front of an inline segment.
        if not cursor.is_number():
            context.elem.count += 1
    else:
        if cursor.at("pagesize"):
            cursor.skip_group()
        if cursor.at("data"):
            context.data.count += 1


def _is_wide(cursor: Cursor) -> bool:
    """An index type, which may be left out: whether it is `i64`."""
    if cursor.take("i64"):
        return True
    cursor.take("i32")
    return False


class Fields:
    """Parses fields into section entries."""

    def __init__(self, cursor: Cursor, context: Context) -> None:
        self.cursor = cursor
        self.context = context
        self.imports: list[bytes] = []
        self.funcs: list[bytes] = []
        self.tables: list[bytes] = []
        self.memories: list[bytes] = []
        self.tags: list[bytes] = []
        self.globals: list[bytes] = []
        self.exports: list[bytes] = []
        self.start: bytes | None = None
        self.elems: list[bytes] = []
        self.datas: list[bytes] = []
        self.bodies: list[bytes] = []
        # By function index, offsets into the body and hints.
        self.hints: dict[int, list[tuple[int, int]]] = {}
        self._parsers: Final[dict[str, Callable[[int], None]]] = {
            "import": self._import,
            "export": self._export,
            "start": self._start,
            "func": self._func,
            "table": self._table,
            "memory": self._memory,
            "global": self._global,
            "tag": self._tag,
            "elem": self._elem,
            "data": self._data,
        }

    def parse(self, field: Field) -> None:
        """Parse a field other than a type."""
        self.cursor.pos = field.at
        self._parsers[field.keyword](field.number)
        self.cursor.close()

    def _inline(self, kind: str, index: int) -> bool:
        """Inline exports, and an inline import with its type; true if there was an import."""
        cursor = self.cursor
        while cursor.open("export"):
            self._add_export(cursor.name(), kind, index)
            cursor.close()
        if not cursor.open("import"):
            return False
        names = self._import_names()
        cursor.close()
        self.imports.append(names + self.extern_type(kind))
        return True

    def _import_names(self) -> bytes:
        module = write_name(self.cursor.name())
        return module + write_name(self.cursor.name())

    def extern_type(self, kind: str) -> bytes:
        """The kind and the type of an import, as they come after its names."""
        types = {
            "func": self._func_type,
            "table": self._table_type,
            "memory": self._memory_type,
            "global": self._global_type,
            "tag": self._tag_type,
        }
        return bytes((_KINDS[kind],)) + types[kind]()

    def _add_export(self, name: str, kind: str, index: int) -> None:
        self.exports.append(write_name(name) + bytes((_KINDS[kind],)) + write_unsigned(index))

    def _import(self, index: int) -> None:
        cursor = self.cursor
        names = self._import_names()
        kind = cursor.tokens[cursor.pos + 1]
        cursor.pos += 2
        cursor.identifier()
        self.imports.append(names + self.extern_type(kind))
        cursor.close()

    def _export(self, index: int) -> None:
        cursor = self.cursor
        name = cursor.name()
        cursor.expect("(")
        kind = cursor.tokens[cursor.pos]
        if kind not in _KINDS:
            raise cursor.unexpected()
        cursor.pos += 1
        self._add_export(name, kind, self.context.spaces[kind].index(cursor))
        cursor.close()

    def _start(self, index: int) -> None:
        if self.start is not None:
            raise self.cursor.error("multiple start sections")
        self.start = write_unsigned(self.context.func.index(self.cursor))

    def _func_type(self) -> bytes:
        return write_unsigned(type_use(self.cursor, self.context, Space("local")))

    def _func(self, index: int) -> None:
        cursor, context = self.cursor, self.context
        start = cursor.pos
        if self._inline("func", index):
            return
        body = Expressions(cursor, context)
        self.funcs.append(write_unsigned(type_use(cursor, context, body.locals)))
        runs = self._locals(body.locals)
        code = body.sequence()
        self.bodies.append(b"".join((runs, code, END)))
        if body.locals.names:
            context.local_names[index] = body.locals.names
        if body.label_names:
            context.label_names[index] = body.label_names
        if body.hints:
            self.hints[index] = [(len(runs) + offset, hint) for offset, hint in body.hints]
        if context.annotations:
            body.check_hints(start, cursor.pos)

    def _locals(self, space: Space) -> bytes:
        """Local declarations, equal neighbours put together."""
        cursor, context = self.cursor, self.context
        found: list[bytes] = []
        while cursor.open("local"):
            if cursor.tokens[cursor.pos][:1] == "$" or cursor.pos in context.annotations:
                space.bind(context, cursor)
                found.append(value_type(cursor, context))
                cursor.close()
            else:
                more = value_types(cursor, context)
                space.count += len(more)
                found += more
        return vector([write_unsigned(len(list(run))) + code for code, run in groupby(found)])

    def _range(self) -> tuple[int, int | None]:
        """A minimum and perhaps a maximum."""
        minimum = self.cursor.unsigned(64)
        return minimum, self.cursor.unsigned(64) if self.cursor.is_number() else None

    def _table_type(self) -> bytes:
        wide = _is_wide(self.cursor)
        limits = encode_limits(*self._range(), wide=wide)
        return reference_type(self.cursor, self.context) + limits

    def _table(self, index: int) -> None:
        cursor, context = self.cursor, self.context
        if self._inline("table", index):
            return
        at = cursor.pos
        wide = _is_wide(cursor)
        if not cursor.is_number():
            self._table_of_elements(index, wide)
            return
        cursor.pos = at
        ty = self._table_type()
        if cursor.tokens[cursor.pos] == ")":
            self.tables.append(ty)
        else:
            self.tables.append(b"\x40\0" + ty + constant(cursor, context))

    def _table_of_elements(self, index: int, wide: bool) -> None:
        cursor, context = self.cursor, self.context
        ty = reference_type(cursor, context)
        if not cursor.open("elem"):
            raise cursor.unexpected()
        as_functions = cursor.tokens[cursor.pos] != "("
        items = self._functions() if as_functions else self._expressions()
        cursor.close()
        self.tables.append(ty + encode_limits(len(items), len(items), wide=wide))
        if as_functions and ty != _FUNCREF:
            items = [_REF_FUNC + item + END for item in items]
            as_functions = False
        segment = encode_elem(0, index, _zero(wide), None if as_functions else ty, items)
        self.elems.append(segment)

    def _memory_type(self) -> bytes:
        cursor = self.cursor
        wide = _is_wide(cursor)
        minimum, maximum = self._range()
        shared = cursor.take("shared")
        page = self._page_size()
        return encode_limits(minimum, maximum, wide=wide, shared=shared, page=page)

    def _page_size(self) -> int | None:
        """The logarithm of a page size."""
        cursor = self.cursor
        if not cursor.open("pagesize"):
            return None
        size = cursor.unsigned(64)
        if size.bit_count() != 1:
            raise cursor.error("invalid custom page size", cursor.pos - 1)
        cursor.close()
        return size.bit_length() - 1

    def _memory(self, index: int) -> None:
        cursor = self.cursor
        if self._inline("memory", index):
            return
        at = cursor.pos
        wide = _is_wide(cursor)
        page = self._page_size()
        if not cursor.open("data"):
            cursor.pos = at
            self.memories.append(self._memory_type())
            return
        content = cursor.strings()
        cursor.close()
        pages = -((-len(content)) >> (16 if page is None else page))
        self.memories.append(encode_limits(pages, pages, wide=wide, page=page))
        self.datas.append(encode_data(index, _zero(wide), content))

    def _global_type(self) -> bytes:
        cursor = self.cursor
        if not cursor.open("mut"):
            return value_type(cursor, self.context) + b"\0"
        code = value_type(cursor, self.context)
        cursor.close()
        return code + b"\1"

    def _global(self, index: int) -> None:
        if not self._inline("global", index):
            ty = self._global_type()
            self.globals.append(ty + constant(self.cursor, self.context))

    def _tag_type(self) -> bytes:
        return b"\0" + self._func_type()

    def _tag(self, index: int) -> None:
        if not self._inline("tag", index):
            self.tags.append(self._tag_type())

    def _functions(self) -> list[bytes]:
        space = self.context.func
        found = []
        while self.cursor.is_index():
            found.append(write_unsigned(space.index(self.cursor)))
        return found

    def _expressions(self) -> list[bytes]:
        found = []
        while self.cursor.tokens[self.cursor.pos] == "(":
            found.append(constant_item(self.cursor, self.context, "item"))
        return found

    def _owner(self, kind: str) -> int | None:
        """The table or memory of a segment, if it is given."""
        cursor, space = self.cursor, self.context.spaces[kind]
        if cursor.open(kind):
            index = space.index(cursor)
            cursor.close()
            return index
        # An old form gives its number alone.
        if cursor.is_number() and cursor.tokens[cursor.pos + 1] == "(":
            return space.index(cursor)
        return None

    def _elem(self, index: int) -> None:
        cursor, context = self.cursor, self.context
        named = cursor.at("table")
        table = self._owner("table")
        declared = table is None and cursor.take("declare")
        active = table is not None or (
            not declared and cursor.tokens[cursor.pos] == "(" and not cursor.at("ref")
        )
        offset = constant_item(cursor, context, "offset") if active else b""
        ty: bytes | None = None
        # `func` may be left out where no table is named.
        if cursor.take("func") or (active and not named and self._at_functions()):
            items = self._functions()
        else:
            ty = reference_type(cursor, context)
            items = self._expressions()
        flags = 0 if active else 3 if declared else 1
        self.elems.append(encode_elem(flags, table, offset, ty, items))

    def _at_functions(self) -> bool:
        cursor = self.cursor
        return cursor.tokens[cursor.pos] == ")" or cursor.is_index()

    def _data(self, index: int) -> None:
        cursor, context = self.cursor, self.context
        memory = self._owner("memory")
        offset = b""
        if memory is not None or cursor.tokens[cursor.pos] == "(":
            memory = memory or 0
            offset = constant_item(cursor, context, "offset")
        self.datas.append(encode_data(memory, offset, cursor.strings()))


def _zero(wide: bool) -> bytes:
    """The constant expression 0, as an offset."""
    return (_CONST_64 if wide else _CONST_32) + b"\0" + END


def encode_limits(
    minimum: int,
    maximum: int | None,
    *,
    wide: bool = False,
    shared: bool = False,
    page: int | None = None,
) -> bytes:
    """Limits; `page` is the logarithm of a memory's page size, if one is given."""
    flags = (maximum is not None) | shared << 1 | wide << 2 | (page is not None) << 3
    out = bytes((flags,)) + write_unsigned(minimum)
    if maximum is not None:
        out += write_unsigned(maximum)
    if page is not None:
        out += write_unsigned(page)
    return out


def encode_elem(
    flags: int, table: int | None, offset: bytes, ty: bytes | None, items: list[bytes]
) -> bytes:
    """An element segment: active (flags 0), passive (1) or declarative (3).

    The first table needs no index, unless something else than a function is in the segment.
    `items` are function indices if the type `ty` is None, else constant expressions.
    """
    if ty is not None:
        flags |= 4
    head = b""
    if not flags & 1:
        if table or ty not in (None, _FUNCREF):
            flags |= 2
            head = write_unsigned(table or 0)
        head += offset
    if flags & 3:
        head += b"\0" if ty is None else ty
    return bytes((flags,)) + head + vector(items)


def encode_data(memory: int | None, offset: bytes, content: bytes) -> bytes:
    """A data segment, active if there is a memory."""
    if memory is None:
        head = b"\1"
    elif not memory:
        head = b"\0" + offset
    else:
        head = b"\2" + write_unsigned(memory) + offset
    return head + write_unsigned(len(content)) + content
