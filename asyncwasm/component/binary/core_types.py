"""Core types in components: recursion groups and module types.

Decoding only finds their end; validation reads them, when it knows the types that their indices
refer to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from asyncwasm.core.binary.cursor import Cursor
from asyncwasm.core.binary.immediates import HEAP_TYPES, NUM_TYPES, REF, REF_NULL
from asyncwasm.core.binary.limits import MAX_FIELDS, MAX_PARAMS, MAX_RESULTS, MAX_TYPES
from asyncwasm.core.binary.sections import read_extern_type
from asyncwasm.core.binary.types import read_rec_type
from asyncwasm.core.isa.features import Features
from asyncwasm.core.module import ModuleInfo, Span
from asyncwasm.core.types import DefType, ExternType
from asyncwasm.errors import MalformedError, ValidationError

from ..syntax import CoreTypeDef
from ..types import ModuleType
from .limits import MAX_DEFINITIONS
from .reader import Reader, bad_byte

_MODULE: Final = 0x50
_SUB: Final = 0x50
_SUB_FINAL: Final = 0x4F
_REC: Final = 0x4E
_ARRAY: Final = 0x5E
_STRUCT: Final = 0x5F
_FUNC: Final = 0x60
_PACKED: Final = (0x77, 0x78)


def skip_core_type(reader: Reader) -> CoreTypeDef:
    """A core type of a component or of a declaration, as its place."""
    start = reader.pos
    if reader.peek() == _MODULE:
        reader.pos += 1
        for _ in range(reader.definitions()):
            _skip_module_decl(reader)
        return CoreTypeDef(Span(start, reader.pos), True, start)
    content = _skip_rec_type(reader)
    return CoreTypeDef(content, False, start)


def _skip_rec_type(reader: Reader) -> Span:
    """A recursion group, where a single open type has a zero before it."""
    start = reader.pos
    if reader.peek() == 0:
        reader.pos += 1
        if reader.peek() != _SUB:
            raise bad_byte(reader.peek(), "sub type", reader.pos)
        start = reader.pos
        _skip_sub_type(reader)
    elif reader.peek() == _REC:
        reader.pos += 1
        for _ in range(reader.count(MAX_TYPES, "types")):
            _skip_sub_type(reader)
    else:
        _skip_sub_type(reader)
    return Span(start, reader.pos)


def _skip_module_decl(reader: Reader) -> None:
    start = reader.pos
    match reader.byte():
        case 0:
            reader.name()
            reader.name()
            _skip_extern(reader)
        case 1:
            if reader.peek() == _MODULE:
                # The rules forbid it, the grammar does not; nothing is lost by saying so at once.
                raise ValidationError(
                    "invalid leading byte (0x50): a module type cannot define a module type",
                    offset=reader.pos,
                )
            _skip_rec_type(reader)
        case 2:
            _skip_alias(reader)
        case 3:
            reader.name()
            _skip_extern(reader)
        case code:
            raise bad_byte(code, "type definition", start)


def _skip_alias(reader: Reader) -> tuple[int, int]:
    start = reader.pos
    sort = reader.byte()
    if sort != 0x10:
        raise bad_byte(sort, "outer alias kind", start)
    target = reader.byte()
    if target != 1:
        raise bad_byte(target, "outer alias target", start + 1)
    return reader.u32(), reader.u32()


def _skip_sub_type(reader: Reader) -> None:
    start = reader.pos
    code = reader.byte()
    if code in (_SUB, _SUB_FINAL):
        for _ in range(reader.count(MAX_TYPES, "supertypes")):
            reader.u32()
        start = reader.pos
        code = reader.byte()
    if code == _FUNC:
        for _ in range(reader.count(MAX_PARAMS, "parameters")):
            _skip_val_type(reader)
        for _ in range(reader.count(MAX_RESULTS, "results")):
            _skip_val_type(reader)
    elif code == _STRUCT:
        for _ in range(reader.count(MAX_FIELDS, "fields")):
            _skip_field(reader)
    elif code == _ARRAY:
        _skip_field(reader)
    else:
        raise bad_byte(code, "type definition", start)


def _skip_field(reader: Reader) -> None:
    if reader.peek() in _PACKED:
        reader.pos += 1
    else:
        _skip_val_type(reader)
    _skip_mutability(reader)


def _skip_mutability(reader: Reader) -> None:
    start = reader.pos
    if reader.byte() > 1:
        raise MalformedError("malformed mutability", offset=start)


def _skip_val_type(reader: Reader) -> None:
    start = reader.pos
    code = reader.byte()
    if code in (REF, REF_NULL):
        heap_start = reader.pos
        heap = reader.s33()
        if heap < 0 and (heap + 0x80 not in HEAP_TYPES or reader.pos != heap_start + 1):
            raise MalformedError("malformed heap type", offset=heap_start)
    elif code not in NUM_TYPES and code not in HEAP_TYPES:
        raise MalformedError("malformed value type", offset=start)


def _skip_extern(reader: Reader) -> None:
    start = reader.pos
    match reader.byte():
        case 0:
            reader.u32()
        case 1:
            _skip_val_type(reader)
            _skip_limits(reader, 5)
        case 2:
            flags = _skip_limits(reader, 15)
            if flags & 8:
                reader.u32()
        case 3:
            _skip_val_type(reader)
            _skip_mutability(reader)
        case 4:
            attribute = reader.byte()
            if attribute:
                raise bad_byte(attribute, "tag attribute", start + 1)
            reader.u32()
        case code:
            raise bad_byte(code, "external kind", start)


def _skip_limits(reader: Reader, allowed: int) -> int:
    start = reader.pos
    flags = reader.byte()
    if flags & ~allowed:
        raise MalformedError("malformed limits flags", offset=start)
    for _ in range(2 if flags & 1 else 1):
        # Up to 64 bits; their value is checked when the type is read.
        for _ in range(10):
            if reader.byte() < 0x80:
                break
        else:
            raise MalformedError("integer representation too long", offset=start)
    return flags


# --- reading, in validation --------------------------------------------------------------------

# What an outer alias refers to, by count, index and the alias's offset.
Outer = Callable[[int, int, int], DefType | ModuleType]


class _NotADefType:
    """Stands for a module type where only other core types may be referred to."""

    def __getattr__(self, name: str) -> object:
        raise ValidationError("core type index refers to a module type")


_NOT_A_DEF_TYPE: Final = cast(DefType, _NotADefType())


class CoreTypes:
    """A core type index space that core types can be read from.

    `items` are the types.  Alongside is what a core type may refer to, kept and not made anew for
    each type, because there may be very many.
    """

    __slots__ = ("_known", "items")

    def __init__(self) -> None:
        self.items: list[DefType | ModuleType] = []
        self._known: list[DefType] = []

    def append(self, ty: DefType | ModuleType) -> None:
        """Add a type."""
        self.items.append(ty)
        self._known.append(ty if isinstance(ty, DefType) else _NOT_A_DEF_TYPE)

    def define(
        self, data: bytes, definition: CoreTypeDef, outer: Outer, features: Features
    ) -> None:
        """Read a recursion group or a module type, and add it.

        `outer(count, index, offset)` looks up what an outer alias in a module type refers to,
        where a count of 0 means this space.  Raises `MalformedError` and `ValidationError`.
        """
        base = definition.content.start
        # A slice of its own, because a cursor reads to the end of its data.
        content = data[base : definition.content.end]
        size = len(self._known)
        try:
            if definition.is_module:
                self.append(_ModuleTypeReader(content, base, outer, features).read())
                return
            read_rec_type(Cursor(content, 0, self._known, features), self._known)
        except (MalformedError, ValidationError) as error:
            raise shifted(error, base, definition.offset) from None
        self.items += self._known[size:]


def shifted(
    error: MalformedError | ValidationError, base: int, default: int
) -> MalformedError | ValidationError:
    """`error` of bytes that start at `base`, for the whole; `default` where it has no offset."""
    offset = default if error.offset is None else error.offset + base
    return type(error)(error.reason, offset=offset)


class _ModuleTypeReader:
    """Reads one module type, whose grammar decoding has checked."""

    def __init__(
        self,
        content: bytes,
        base: int,
        outer: Outer,
        features: Features,
    ) -> None:
        self._info = ModuleInfo(content)
        self._cursor = Cursor(content, 1, self._info.types, features)
        self._base = base
        self._outer = outer

    def read(self) -> ModuleType:
        cursor, info = self._cursor, self._info
        imports: dict[tuple[str, str], ExternType] = {}
        exports: dict[str, ExternType] = {}
        for _ in range(cursor.count(MAX_DEFINITIONS, "declarations")):
            start = cursor.pos
            match cursor.byte():
                case 0:
                    key = (cursor.name(), cursor.name())
                    if key in imports:
                        raise ValidationError(
                            f"duplicate import name `{key[0]}:{key[1]}`", offset=start
                        )
                    imports[key] = read_extern_type(cursor, info)
                case 1:
                    if content_byte(cursor) == 0:
                        cursor.pos += 1
                    read_rec_type(cursor, info.types)
                case 2:
                    cursor.pos += 2
                    info.types.append(self._alias(cursor.u32(), cursor.u32(), start))
                case _:
                    name = cursor.name()
                    if name in exports:
                        raise ValidationError(
                            f"duplicate export name `{name}` already defined", offset=start
                        )
                    exports[name] = read_extern_type(cursor, info)
        return ModuleType(imports, exports)

    def _alias(self, count: int, index: int, start: int) -> DefType:
        if count == 0:
            if index >= len(self._info.types):
                raise ValidationError(f"unknown type {index}: index out of bounds", offset=start)
            return self._info.types[index]
        ty = self._outer(count - 1, index, start + self._base)
        if isinstance(ty, ModuleType):
            raise ValidationError("outer alias refers to a module type", offset=start)
        return ty


def content_byte(cursor: Cursor) -> int:
    """The next byte of what decoding has found to be complete."""
    return cursor.data[cursor.pos]
