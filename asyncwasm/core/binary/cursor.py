"""A position in a module's bytes, with the readers that sections are made of."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Feature, Features, require
from asyncwasm.core.module import Span
from asyncwasm.core.types import AbsHeapType, DefType, HeapType, NumType, RefType, ValType
from asyncwasm.errors import MalformedError, ValidationError

from .expressions import skip_expression
from .immediates import REF, REF_NULL, Types, read_val_type
from .leb128 import read_name, read_u32, read_unsigned
from .limits import check_limit

# Features that decide which value types exist.  With all of them on, none needs a look.
_TYPE_FEATURES: Final = frozenset(
    {
        Feature.SIMD,
        Feature.REFERENCE_TYPES,
        Feature.FUNCTION_REFERENCES,
        Feature.GC,
        Feature.EXCEPTIONS,
    }
)
_MVP_HEAPS: Final = (AbsHeapType.FUNC, AbsHeapType.EXTERN)
_EXN_HEAPS: Final = (AbsHeapType.EXN, AbsHeapType.NOEXN)


def require_heap_type(features: Features, heap: HeapType, offset: int | None) -> None:
    """Raise `ValidationError` if the features that are on do not have `heap`."""
    if features >= _TYPE_FEATURES:
        return
    if not isinstance(heap, AbsHeapType):
        require(features, Feature.FUNCTION_REFERENCES, offset)
    elif heap in _MVP_HEAPS:
        require(features, Feature.REFERENCE_TYPES, offset)
    elif heap in _EXN_HEAPS:
        require(features, Feature.EXCEPTIONS, offset)
    else:
        require(features, Feature.GC, offset)


def require_val_type(features: Features, ty: ValType, offset: int | None) -> None:
    """Raise `ValidationError` if the features that are on do not have the type `ty`."""
    if features >= _TYPE_FEATURES:
        return
    if ty is NumType.V128:
        require(features, Feature.SIMD, offset)
    if isinstance(ty, RefType):
        require_heap_type(features, ty.heap, offset)
        if not ty.nullable:
            require(features, Feature.FUNCTION_REFERENCES, offset)


class Cursor:
    """Reads `data` from `pos` on, for one module.

    `data` ends where the section being read does, while its offsets stay the module's, so
    that nothing reads past the section and every error has the right place.
    """

    __slots__ = ("data", "features", "pos", "types")

    def __init__(self, data: bytes, pos: int, types: list[DefType], features: Features) -> None:
        self.data = data
        self.pos = pos
        self.types: Types = types
        self.features = features

    def byte(self) -> int:
        pos = self.pos
        if pos >= len(self.data):
            raise MalformedError("unexpected end of section or function", offset=pos)
        self.pos = pos + 1
        return self.data[pos]

    def u32(self) -> int:
        value, self.pos = read_u32(self.data, self.pos)
        return value

    def u64(self) -> int:
        value, self.pos = read_unsigned(self.data, self.pos, 64)
        return value

    def count(self, limit: int, what: str) -> int:
        """The length of a vector.

        Every item takes at least one byte, so a length that the section cannot hold is
        refused here, before anything is allocated for it.
        """
        start = self.pos
        count = self.u32()
        if count > len(self.data) - self.pos:
            raise MalformedError("unexpected end of section or function", offset=start)
        check_limit(count, limit, what)
        return count

    def name(self) -> str:
        value, self.pos = read_name(self.data, self.pos, len(self.data))
        return value

    def skip_bytes(self) -> Span:
        """A vector of bytes, as their place."""
        size = self.u32()
        start = self.pos
        if size > len(self.data) - start:
            raise MalformedError("unexpected end of section or function", offset=start)
        self.pos = start + size
        return Span(start, self.pos)

    def expression(self) -> Span:
        """A constant expression, `end` included, as its place.  Only grammar is checked."""
        start = self.pos
        self.pos = skip_expression(self.data, start, self.types)
        return Span(start, self.pos)

    def val_type(self) -> ValType:
        start = self.pos
        ty, self.pos = read_val_type(self.data, start, self.types)
        require_val_type(self.features, ty, start)
        return ty

    def ref_type(self) -> RefType:
        """A reference type where only one may stand, such as the element type of a table."""
        start = self.pos
        ty, self.pos = read_val_type(self.data, start, self.types)
        if not isinstance(ty, RefType):
            raise MalformedError("malformed reference type", offset=start)
        # `funcref` was the element type of tables before there were reference types.
        if ty.heap is not AbsHeapType.FUNC or self.data[start] in (REF, REF_NULL):
            require_val_type(self.features, ty, start)
        return ty

    def index(self, space: list[DefType], what: str) -> int:
        """An index into `space`."""
        start = self.pos
        index = self.u32()
        if index >= len(space):
            raise ValidationError(f"unknown {what} {index}", offset=start)
        return index
