"""Instructions on structs as LLVM IR; see `structs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import F32, F64, V128, FieldType, PackedType, StorageType, StructType
from asyncwasm.errors import TrapCode

from .emit import c_call
from .glue import box, unbox
from .lower import lowering
from .lower_aggregate import default, kept_type, type_of
from .lower_reference import is_null
from .opaque import fence, loaded
from .operands import Operand
from .refs import PYTHON, REF, keep, put
from .structs import FIELDS, allocate

if TYPE_CHECKING:
    from .body import Body

# Numbers in fields.
FIELD = "!tbaa !12"


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


def _put_number(body: Body, place: str, storage: StorageType, value: str) -> None:
    out = body.out
    ty = kept_type(storage)
    if isinstance(storage, PackedType):
        value = out.op(f"and i32 {value}, {(1 << storage.bits) - 1}")
    elif storage is F32:
        # As Python has it.
        ty, value = "double", out.op(f"call double @from_single(float {value})")
    out.do(f"store {ty} {value}, ptr {place}, {FIELD}")


def _get_number(body: Body, place: str, storage: StorageType, *, signed: bool) -> str:
    out = body.out
    if storage in (F32, F64):
        value = out.op(f"load double, ptr {place}, {FIELD}")
        value = out.op(loaded("double", value))
        return out.op(f"call float @to_single(double {value})") if storage is F32 else value
    value = out.op(f"load {kept_type(storage)}, ptr {place}, {FIELD}")
    if signed:
        assert isinstance(storage, PackedType)
        left = 32 - storage.bits
        return out.op(f"ashr i32 {out.op(f'shl i32 {value}, {left}')}, {left}")
    return value


def _is_object(storage: StorageType) -> bool:
    """Whether a field holds an object: a reference, or a vector as bytes."""
    return storage is V128 or kept_type(storage) == REF


# New ---------------------------------------------------------------------------------------------


def _box_vectors(body: Body, fields: tuple[FieldType, ...]) -> None:
    """Replace vectors among the topmost operands by counted objects."""
    first = len(body.stack) - len(fields)
    for height, field in enumerate(fields, first):
        if field.storage is V128:
            above = body.stack[height:]
            boxed = box(body.out, above[0].ty, above[0].value)
            body.unwind_if(body.out.op(f"icmp eq ptr {boxed}, null"))
            del body.stack[height:]
            body.push_counted(boxed)
            body.stack.extend(above[1:])


def _push_struct(body: Body, index: int) -> None:
    """Pop the fields of a new struct, and push that."""
    out = body.out
    fields = _fields(body, index)
    _box_vectors(body, fields)
    made = allocate(body, type_of(body, index), index, len(fields))
    operands = [body.stack.pop() for _ in fields][::-1]
    for number, (field, operand) in enumerate(zip(fields, operands, strict=True)):
        place = _field(body, made, number)
        if _is_object(field.storage):
            value = body.take(operand)
            out.do(f"call void @to_python(ptr {value})")
            out.do(f"store ptr {value}, ptr {place}, {PYTHON}")
        else:
            _put_number(body, place, field.storage, body.as_value(operand))
    out.do(c_call("PyObject_GC_Track", made))
    body.push_counted(made)


@lowering("struct.new")
def _struct_new(body: Body, imms: tuple[Any, ...]) -> None:
    _push_struct(body, imms[0])


@lowering("struct.new_default")
def _struct_new_default(body: Body, imms: tuple[Any, ...]) -> None:
    for field in _fields(body, imms[0]):
        value = default(field.storage)
        if value.ty in ("float", "double"):
            value = Operand(value.ty, body.out.op(fence(value.ty, value.value)))
        body.stack.append(value)
    _push_struct(body, imms[0])


# Fields ------------------------------------------------------------------------------------------


def _get(name: str) -> None:
    @lowering(name)
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        index, number = imms
        storage = _fields(body, index)[number].storage
        struct = body.stack.pop()
        place = _place(body, struct, number)
        if kept_type(storage) == REF:
            item = body.out.op(f"load ptr, ptr {place}, {PYTHON}")
            keep(body.out, item)
            body.give_up(struct)
            body.push_counted(item)
            return
        if storage is V128:
            item = body.out.op(f"load ptr, ptr {place}, {PYTHON}")
            value = unbox(body.out, kept_type(storage), item)
        else:
            value = _get_number(body, place, storage, signed=name.endswith("_s"))
        body.give_up(struct)
        body.push(kept_type(storage), value)


for _suffix in ("", "_s", "_u"):
    _get(f"struct.get{_suffix}")


@lowering("struct.set")
def _struct_set(body: Body, imms: tuple[Any, ...]) -> None:
    index, number = imms
    storage = _fields(body, index)[number].storage
    value, struct = body.stack.pop(), body.stack.pop()
    place = _place(body, struct, number)
    if storage is V128:
        boxed = box(body.out, value.ty, value.value)
        body.unwind_if(body.out.op(f"icmp eq ptr {boxed}, null"))
        put(body.out, place, boxed)
    elif kept_type(storage) == REF:
        put(body.out, place, body.take(value))
    else:
        _put_number(body, place, storage, body.as_value(value))
    body.give_up(struct)
