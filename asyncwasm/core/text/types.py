"""Types of the text format, parsed straight into their encodings."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.binary.immediates import HEAP_TYPES, NUM_TYPES
from asyncwasm.core.binary.leb128 import write_signed, write_unsigned
from asyncwasm.core.types import RefType

from .context import Context, Signature, Space, vector
from .cursor import Cursor

_HEAP_TYPES: Final = {heap.value: bytes((code,)) for code, heap in HEAP_TYPES.items()}
_VALUE_TYPES: Final = {
    **{ty.value: bytes((code,)) for code, ty in NUM_TYPES.items()},
    **{str(RefType(True, heap)): bytes((code,)) for code, heap in HEAP_TYPES.items()},
}
_PACKED_TYPES: Final = {"i8": b"\x78", "i16": b"\x77"}
_NUM_CODES: Final = frozenset(bytes((code,)) for code in NUM_TYPES)


def heap_type(cursor: Cursor, context: Context) -> bytes:
    """A heap type."""
    code = _HEAP_TYPES.get(cursor.tokens[cursor.pos])
    if code is not None:
        cursor.pos += 1
        return code
    return write_signed(context.types.space.index(cursor))


def reference_parts(cursor: Cursor, context: Context) -> tuple[bool, bytes]:
    """A reference type, as nullability and heap type."""
    code = _VALUE_TYPES.get(cursor.tokens[cursor.pos])
    if code is not None and code not in _NUM_CODES:
        cursor.pos += 1
        return True, code
    if not cursor.open("ref"):
        raise cursor.unexpected()
    nullable = cursor.take("null")
    heap = heap_type(cursor, context)
    cursor.close()
    return nullable, heap


def encode_reference(nullable: bool, heap: bytes) -> bytes:
    """A reference type in the binary format, in its short form where it has one."""
    if not nullable:
        return b"\x64" + heap
    # The code of an abstract heap type is that of its nullable reference type; as a number
    # it is negative, which no index is.
    return heap if len(heap) == 1 and heap[0] & 0x40 else b"\x63" + heap


def reference_type(cursor: Cursor, context: Context) -> bytes:
    """A reference type."""
    return encode_reference(*reference_parts(cursor, context))


def value_type(cursor: Cursor, context: Context) -> bytes:
    """A value type."""
    code = _VALUE_TYPES.get(cursor.tokens[cursor.pos])
    if code is not None:
        cursor.pos += 1
        return code
    return reference_type(cursor, context)


def value_types(cursor: Cursor, context: Context) -> list[bytes]:
    """Value types up to a closing parenthesis, which is taken, too."""
    found = []
    while not cursor.take(")"):
        found.append(value_type(cursor, context))
    return found


def results(cursor: Cursor, context: Context) -> tuple[bytes, ...]:
    """Any number of `(result …)`."""
    found: list[bytes] = []
    while cursor.open("result"):
        found += value_types(cursor, context)
    return tuple(found)


def signature(cursor: Cursor, context: Context, params: Space | None = None) -> Signature:
    """Any number of `(param …)` and `(result …)`.

    Identifiers are allowed, and bound, only if there is a space `params` for them.
    """
    found: list[bytes] = []
    while cursor.open("param"):
        if params is None:
            found += value_types(cursor, context)
            continue
        if cursor.tokens[cursor.pos][:1] == "$" or cursor.pos in context.annotations:
            params.bind(context, cursor)
            found.append(value_type(cursor, context))
            cursor.close()
        else:
            more = value_types(cursor, context)
            params.count += len(more)
            found += more
    inline = Signature(tuple(found), results(cursor, context))
    if cursor.at("param"):
        raise cursor.unexpected(cursor.pos + 1)
    return inline


def type_index(cursor: Cursor, context: Context) -> int | None:
    """`(type …)`, if it comes next."""
    if not cursor.open("type"):
        return None
    index = context.types.space.index(cursor)
    cursor.close()
    return index


def type_use(cursor: Cursor, context: Context, params: Space | None = None) -> int:
    """A type use, explicit or inline, as a type index.

    `params` is where the parameters' identifiers go, if they may have any; it ends up with as
    many entries as the type has parameters.
    """
    at = cursor.pos
    index = type_index(cursor, context)
    inline = signature(cursor, context, params)
    if index is None:
        return context.types.use(inline)
    check_inline(cursor, context, index, inline, at)
    if params is not None:
        known = context.types.signature(index)
        if known is not None:
            params.count = len(known.params)
    return index


def check_inline(cursor: Cursor, context: Context, index: int, inline: Signature, at: int) -> None:
    """Refuse an inline signature that differs from the explicit type beside it."""
    if inline == ((), ()):
        return
    types = context.types
    known = types.signature(index)
    if index >= len(types.signatures):
        types.unchecked = types.unchecked or (index, at)
    elif known != inline:
        raise cursor.error("inline function type does not match explicit type", at)


def block_type(cursor: Cursor, context: Context) -> bytes:
    """A block type: short where it can be, without adding a type for it."""
    at = cursor.pos
    if cursor.tokens[at] != "(":
        return b"\x40"
    index = type_index(cursor, context)
    inline = signature(cursor, context)
    if index is not None:
        check_inline(cursor, context, index, inline, at)
        return write_signed(index)
    if inline.params or len(inline.results) > 1:
        return write_signed(context.types.use(inline))
    return inline.results[0] if inline.results else b"\x40"


def _field_type(cursor: Cursor, context: Context) -> bytes:
    mutable = cursor.open("mut")
    code = _PACKED_TYPES.get(cursor.tokens[cursor.pos])
    if code is not None:
        cursor.pos += 1
    else:
        code = value_type(cursor, context)
    if mutable:
        cursor.close()
    return code + (b"\1" if mutable else b"\0")


def _struct(cursor: Cursor, context: Context) -> tuple[bytes, Space]:
    names = Space("field")
    found: list[bytes] = []
    while cursor.open("field"):
        if cursor.tokens[cursor.pos][:1] == "$" or cursor.pos in context.annotations:
            names.bind(context, cursor)
            found.append(_field_type(cursor, context))
            cursor.close()
            continue
        while not cursor.take(")"):
            found.append(_field_type(cursor, context))
            names.count += 1
    return b"\x5f" + vector(found), names


def _sub_type(cursor: Cursor, context: Context) -> tuple[bytes, Signature | None]:
    """A sub type; its signature is given only if it is a plain final function type."""
    types = context.types
    sub = cursor.open("sub")
    final = not sub or cursor.take("final")
    supers = []
    while sub and cursor.is_index():
        supers.append(write_unsigned(types.space.index(cursor)))
    found: Signature | None = None
    fields: Space | None = None
    if cursor.open("func"):
        found = signature(cursor, context, Space("local"))
        code = found.encode()
    elif cursor.open("struct"):
        code, fields = _struct(cursor, context)
    elif cursor.open("array"):
        code = b"\x5e" + _field_type(cursor, context)
    else:
        raise cursor.unexpected(cursor.pos + (cursor.tokens[cursor.pos] == "("))
    cursor.close()
    types.signatures.append(found)
    types.fields.append(fields)
    if sub:
        cursor.close()
    if final and not supers:
        return code, found
    return (b"\x4f" if final else b"\x50") + vector(supers) + code, None


def _definition(cursor: Cursor, context: Context) -> tuple[bytes, Signature | None]:
    # Identifiers were bound when the fields were looked through.
    cursor.identifier()
    found = _sub_type(cursor, context)
    cursor.close()
    return found


def type_definition(cursor: Cursor, context: Context) -> None:
    """A `(type …)`, after these two tokens."""
    types = context.types
    index = len(types.signatures)
    code, plain = _definition(cursor, context)
    types.groups.append(code)
    if plain is not None:
        types.singles.setdefault(plain, index)


def rec_group(cursor: Cursor, context: Context) -> None:
    """A `(rec …)`, after these two tokens."""
    types = context.types
    index = len(types.signatures)
    members = []
    plain: Signature | None = None
    while cursor.open("type"):
        code, plain = _definition(cursor, context)
        members.append(code)
    cursor.close()
    if len(members) == 1:
        types.groups.append(members[0])
        if plain is not None:
            types.singles.setdefault(plain, index)
    else:
        types.groups.append(b"\x4e" + vector(members))
