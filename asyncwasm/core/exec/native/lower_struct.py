"""Instructions on structs as LLVM IR; see `structs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import FieldType, StorageType, StructType
from asyncwasm.errors import TrapCode

from .emit import c_call
from .lower import lowering
from .lower_aggregate import (
    box_vectors,
    default,
    held_type,
    initialise,
    pop_many,
    push_held,
    put_held,
    type_of,
)
from .lower_reference import is_null
from .operands import Operand
from .structs import FIELDS, allocate

if TYPE_CHECKING:
    from .body import Body


def _fields(body: Body, index: int) -> tuple[FieldType, ...]:
    comp = body.info.types[index].comp
    assert isinstance(comp, StructType)
    return comp.fields


def _field(body: Body, struct: str, number: int) -> str:
    """The place of a field of a struct that is not null."""
    return body.out.op(f"getelementptr i8, ptr {struct}, i64 {FIELDS + 8 * number}")


def _place(body: Body, struct: Operand, number: int) -> str:
    """The place of a field; traps if the struct is null."""
    null = is_null(body, struct.value)
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null structure reference")
    return _field(body, struct.value, number)


def _held(storage: StorageType) -> str | None:
    return held_type(storage, narrow=False)


# New ---------------------------------------------------------------------------------------------


def _push_struct(body: Body, index: int) -> None:
    """Pop the fields of a new struct, and push that."""
    storages = [field.storage for field in _fields(body, index)]
    box_vectors(body, storages)
    made = allocate(body, type_of(body, index), index, len(storages))
    operands = pop_many(body, len(storages))
    for number, (storage, operand) in enumerate(zip(storages, operands, strict=True)):
        initialise(body, _field(body, made, number), _held(storage), storage, operand)
    body.out.do(c_call("PyObject_GC_Track", made))
    body.push_counted(made)


@lowering("struct.new")
def _struct_new(body: Body, imms: tuple[Any, ...]) -> None:
    _push_struct(body, imms[0])


@lowering("struct.new_default")
def _struct_new_default(body: Body, imms: tuple[Any, ...]) -> None:
    for field in _fields(body, imms[0]):
        body.stack.append(default(body, field.storage))
    _push_struct(body, imms[0])


# Fields ------------------------------------------------------------------------------------------


def _get(name: str) -> None:
    @lowering(name)
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        index, number = imms
        storage = _fields(body, index)[number].storage
        struct = body.stack.pop()
        place = _place(body, struct, number)
        push_held(body, place, _held(storage), storage, struct, name)


for _suffix in ("", "_s", "_u"):
    _get(f"struct.get{_suffix}")


@lowering("struct.set")
def _struct_set(body: Body, imms: tuple[Any, ...]) -> None:
    index, number = imms
    storage = _fields(body, index)[number].storage
    value, struct = body.stack.pop(), body.stack.pop()
    place = _place(body, struct, number)
    put_held(body, place, _held(storage), storage, value)
    body.give_up(struct)
