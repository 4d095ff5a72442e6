"""From the text of a module to its binary format ("Modules" in the text format).

`assemble` is the way in.  The text is an abbreviation of the binary: what comes out has not
been validated, and may refer to things that do not exist if it does so by number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from asyncwasm.core.binary.leb128 import write_name, write_unsigned

from .context import Context, Signature, annotation_error, annotation_string, vector
from .cursor import Cursor
from .fields import Fields, scan
from .lexer import BRANCH_HINT, Annotation, Source, string_bytes
from .names import name_section
from .types import rec_group, type_definition

_HEADER: Final = b"\0asm\1\0\0\0"
# Section numbers by the words of `@custom` annotations, in the order of the binary format.
_SECTIONS: Final = {
    "type": 1,
    "import": 2,
    "func": 3,
    "table": 4,
    "memory": 5,
    "tag": 13,
    "global": 6,
    "export": 7,
    "start": 8,
    "elem": 9,
    "datacount": 12,
    "code": 10,
    "data": 11,
}


class _Custom(NamedTuple):
    """A custom section, placed before or after a section (or `first` and `last`)."""

    after: bool
    section: str
    content: bytes


def assemble(text: str | bytes) -> bytes:
    """The binary format of the module that `text` describes, as `(module …)` or its fields.

    Raises `MalformedError`, with line and column, for what is not a module in the text format.
    """
    source = Source(text)
    source.check()
    cursor = Cursor(source)
    code = assemble_module(cursor) if cursor.at("module") else assemble_fields(cursor, 0)
    if cursor.tokens[cursor.pos]:
        raise cursor.unexpected()
    return code


def assemble_module(cursor: Cursor) -> bytes:
    """The module `(module …)` at the cursor, which is moved past it.

    Knows the forms `binary`, `quote` and `definition` of scripts, too.
    """
    if not cursor.open("module"):
        raise cursor.unexpected()
    start = cursor.pos
    cursor.take("definition")
    identifier = cursor.identifier()
    if cursor.take("binary"):
        code = cursor.strings()
    elif cursor.take("quote"):
        code = assemble(cursor.strings())
    else:
        code = assemble_fields(cursor, start, identifier)
    cursor.close()
    return code


def assemble_fields(cursor: Cursor, start: int, identifier: str | None = None) -> bytes:
    """The fields of a module, up to a closing parenthesis or the end of the text.

    `start` is the token from which on annotations are the module's.
    """
    at = cursor.pos
    implicit: list[Signature] = []
    while True:
        cursor.pos = at
        context, fields, customs = _parse(cursor, start, identifier, implicit)
        types = context.types
        # A type use by number may mean a type that an inline use further down adds, and its
        # parameters decide how locals are counted: then do it again with that knowledge.
        if implicit or not 0 <= types.forward < len(types.signatures):
            return _encode(context, fields, customs)
        implicit = types.implicit


def _parse(
    cursor: Cursor, start: int, identifier: str | None, implicit: list[Signature]
) -> tuple[Context, Fields, list[_Custom]]:
    context = Context(_annotations(cursor, start))
    context.module_name = context.name_of(cursor, identifier, "module")
    found = scan(cursor, context)
    end = cursor.pos
    customs = _customs(cursor, context, {field.start for field in found} | {end})
    for field in found:
        if field.keyword in ("type", "rec"):
            cursor.pos = field.at
            (type_definition if field.keyword == "type" else rec_group)(cursor, context)
    for signature in implicit:
        context.types.use(signature)
    fields = Fields(cursor, context)
    for field in found:
        if field.keyword not in ("type", "rec"):
            fields.parse(field)
    cursor.pos = end
    types = context.types
    if types.unchecked is not None and types.unchecked[0] >= len(types.signatures):
        raise cursor.error(f"unknown type {types.unchecked[0]}", types.unchecked[1])
    for left in context.annotations.values():
        if left[0].name == BRANCH_HINT:
            raise annotation_error(cursor, left[0], "not in a function")
        raise cursor.source.error(f"misplaced @{left[0].name} annotation", raw=left[0].index)
    return context, fields, customs


def _annotations(cursor: Cursor, start: int) -> dict[int, list[Annotation]]:
    """The annotations of the module whose fields start at the cursor."""
    everything = cursor.source.annotations
    if not everything:
        return {}
    at = cursor.pos
    while cursor.tokens[cursor.pos] == "(":
        cursor.skip_group()
    end, cursor.pos = cursor.pos, at
    return {at: list(found) for at, found in everything.items() if start <= at <= end}


def _customs(cursor: Cursor, context: Context, places: set[int]) -> list[_Custom]:
    """The custom sections; `places` are the tokens that they may stand in front of."""
    found = []
    for at in sorted(context.annotations):
        while at <= min(places) or at in places:
            annotation = context.annotation(at, "custom")
            if annotation is None:
                break
            found.append(_custom(cursor, annotation))
    return found


def _custom(cursor: Cursor, annotation: Annotation) -> _Custom:
    items = annotation.items
    if not items or items[0][:1] != '"':
        raise annotation_error(cursor, annotation, "missing section name")
    name = annotation_string(cursor, annotation, items[0])
    after, section = True, "last"
    rest = items[1:]
    if rest[:1] == ["("]:
        place = rest[1 : rest.index(")")]
        rest = rest[len(place) + 2 :]
        if not place or place[0] not in ("before", "after"):
            raise annotation_error(cursor, annotation, "malformed placement")
        if len(place) < 2 or place[1] not in (*_SECTIONS, "first", "last"):
            raise annotation_error(cursor, annotation, "malformed section kind")
        if len(place) > 2:
            raise annotation_error(cursor, annotation, "unexpected token")
        after, section = place[0] == "after", place[1]
    if not all(item[:1] == '"' for item in rest):
        raise annotation_error(cursor, annotation, "unexpected token")
    return _Custom(after, section, write_name(name) + b"".join(map(string_bytes, rest)))


def _encode(context: Context, fields: Fields, customs: list[_Custom]) -> bytes:
    contents = {
        "type": context.types.groups,
        "import": fields.imports,
        "func": fields.funcs,
        "table": fields.tables,
        "memory": fields.memories,
        "tag": fields.tags,
        "global": fields.globals,
        "export": fields.exports,
        "elem": fields.elems,
        "code": [write_unsigned(len(body)) + body for body in fields.bodies],
        "data": fields.datas,
    }
    out = [_HEADER]

    def place(section: str, *sides: bool) -> None:
        out.extend(
            _section(0, custom.content)
            for custom in customs
            if custom.section == section and custom.after in sides
        )

    place("first", False, True)
    for name, number in _SECTIONS.items():
        place(name, False)
        if contents.get(name):
            if name == "code" and fields.hints:
                out.append(_section(0, _branch_hints(fields)))
            out.append(_section(number, vector(contents[name])))
        elif name == "start" and fields.start is not None:
            out.append(_section(number, fields.start))
        elif name == "datacount" and context.needs_data_count:
            out.append(_section(number, write_unsigned(len(fields.datas))))
        place(name, True)
    place("last", False, True)
    # A name section written out as a `@custom` annotation takes the place of the implied one.
    names = name_section(context)
    header = write_name("name")
    if names and not any(custom.content.startswith(header) for custom in customs):
        out.append(_section(0, header + names))
    return b"".join(out)


def _section(number: int, content: bytes) -> bytes:
    return bytes((number,)) + write_unsigned(len(content)) + content


def _branch_hints(fields: Fields) -> bytes:
    found = []
    for func, hints in sorted(fields.hints.items()):
        # Each hint is followed by the length of its value, which is one byte.
        items = [write_unsigned(offset) + bytes((1, hint)) for offset, hint in hints]
        found.append(write_unsigned(func) + vector(items))
    return write_name(BRANCH_HINT) + vector(found)
