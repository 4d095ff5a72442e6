"""References to value types."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Feature
from asyncwasm.errors import MalformedError

from ..syntax import ValTypeRef
from ..types import Primitive
from .reader import Reader

PRIMITIVES: Final = {
    0x7F: Primitive.BOOL,
    0x7E: Primitive.S8,
    0x7D: Primitive.U8,
    0x7C: Primitive.S16,
    0x7B: Primitive.U16,
    0x7A: Primitive.S32,
    0x79: Primitive.U32,
    0x78: Primitive.S64,
    0x77: Primitive.U64,
    0x76: Primitive.F32,
    0x75: Primitive.F64,
    0x74: Primitive.CHAR,
    0x73: Primitive.STRING,
    0x64: Primitive.ERROR_CONTEXT,
}


def read_val_type(reader: Reader) -> ValTypeRef:
    """A primitive type, or the index of a type."""
    start = reader.pos
    primitive = PRIMITIVES.get(reader.peek())
    if primitive is not None:
        reader.pos += 1
        if primitive is Primitive.ERROR_CONTEXT:
            reader.require(Feature.COMPONENT_MODEL_ERROR_CONTEXT, start)
        return primitive
    index = reader.s33()
    if index < 0:
        raise MalformedError(
            f"invalid leading byte ({reader.data[start]:#x}) for component value type",
            offset=start,
        )
    return index
