"""Casts and i31 as LLVM IR, and what structs and arrays have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.runtime.gc import ArrayRef
from asyncwasm.core.types import (
    F32,
    V128,
    AbsHeapType,
    DefType,
    HeapType,
    PackedType,
    StorageType,
)
from asyncwasm.errors import TrapCode

from .abi import Word
from .aggregates import FUNCTION_CLASS, FUNCTION_TYPE
from .arrays import ARRAY_CLASS, ARRAY_TYPE
from .emit import ZEROS, ir_type, object_address
from .glue import box, unbox
from .lower import lowering
from .lower_reference import is_null
from .opaque import fence, loaded
from .operands import Operand
from .refs import FIELD, NULL, PYTHON, REF, keep, put
from .structs import STRUCT_CLASS, is_struct

if TYPE_CHECKING:
    from .body import Body

_H = AbsHeapType
_TOPS: Final = frozenset({_H.FUNC, _H.EXTERN, _H.ANY, _H.EXN})
_BOTTOMS: Final = frozenset({_H.NOFUNC, _H.NOEXTERN, _H.NONE, _H.NOEXN})
_CLASSES: Final[dict[HeapType, tuple[type, ...]]] = {
    _H.EQ: (int, ArrayRef),
    _H.I31: (int,),
    _H.STRUCT: (),
    _H.ARRAY: (ArrayRef,),
}


# Types -----------------------------------------------------------------------------------------


def type_of(body: Body, index: int) -> str:
    """A defined type of the module, as a pointer."""
    return body.item(Word.TYPES, index)


def _index(body: Body, ty: DefType) -> int:
    return next(number for number, found in enumerate(body.info.types) if found is ty)


def _has_type(body: Body, value: str, *, nullable: bool, heap: HeapType) -> str:
    """Whether a reference is of a type in its hierarchy, as an i1."""
    out = body.out
    null = is_null(body, value)
    if heap in _BOTTOMS:
        return null if nullable else "false"
    if heap in _TOPS:
        return "true" if nullable else out.op(f"xor i1 {null}, true")
    if isinstance(heap, DefType):
        ty = type_of(body, _index(body, heap))
        match heap.kind:
            case _H.FUNC:
                operands = f"ptr {FUNCTION_CLASS}, i64 {FUNCTION_TYPE}, ptr {ty}"
                found = out.op(f"call i1 @has_type(ptr {value}, {operands})")
            case _H.STRUCT:
                found = is_struct(body, value, ty, final=heap.final)
            case _:
                operands = f"ptr {ARRAY_CLASS}, i64 {ARRAY_TYPE}, ptr {ty}"
                found = out.op(f"call i1 @has_type(ptr {value}, {operands})")
    else:
        at = out.op(f"getelementptr i8, ptr {value}, i64 8")
        own = out.op(f"load ptr, ptr {at}, {PYTHON}")
        found = "false"
        for cls in _CLASSES[heap]:
            same = out.op(f"icmp eq ptr {own}, {object_address(cls)}")
            found = out.op(f"or i1 {found}, {same}")
        if heap in (_H.EQ, _H.STRUCT):
            struct = out.op(f"call i1 @derives(ptr {own}, ptr {STRUCT_CLASS})")
            found = out.op(f"or i1 {found}, {struct}")
    return out.op(f"or i1 {found}, {null}") if nullable else found


def _test(name: str, *, nullable: bool) -> None:
    @lowering(f"ref.test{name}")
    def test(body: Body, imms: tuple[Any, ...]) -> None:
        operand = body.stack.pop()
        found = _has_type(body, operand.value, nullable=nullable, heap=imms[0])
        body.give_up(operand)
        body.push_condition(found)

    @lowering(f"ref.cast{name}")
    def cast(body: Body, imms: tuple[Any, ...]) -> None:
        found = _has_type(body, body.stack[-1].value, nullable=nullable, heap=imms[0])
        body.trap_if(body.out.op(f"xor i1 {found}, true"), TrapCode.CAST_FAILURE)


_test("", nullable=False)
_test("_null", nullable=True)


def _branch(name: str, *, on: bool) -> None:
    @lowering(name)
    def branch(body: Body, imms: tuple[Any, ...]) -> None:
        target = imms[0].target
        value = body.stack[-1].value
        found = _has_type(body, value, nullable=target.nullable, heap=target.heap)
        if not on:
            found = body.out.op(f"xor i1 {found}, true")
        body.branch_if(found, imms[0].label)


_branch("br_on_cast", on=True)
_branch("br_on_cast_fail", on=False)


# Numbers ---------------------------------------------------------------------------------------


@lowering("ref.i31")
def _ref_i31(body: Body, imms: tuple[Any, ...]) -> None:
    out = body.out
    value = out.op(f"and i32 {body.pop()}, {0x7FFF_FFFF}")
    boxed = box(out, "i32", value)
    body.unwind_if(out.op(f"icmp eq ptr {boxed}, null"))
    body.push_counted(boxed)


def _get_i31(sign: str) -> None:
    @lowering(f"i31.get_{sign}")
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        out = body.out
        operand = body.stack.pop()
        null = is_null(body, operand.value)
        body.trap_if(null, TrapCode.NULL_REFERENCE, "null i31 reference")
        value = out.op(f"call i64 @long_value(ptr {operand.value})")
        body.give_up(operand)
        value = out.op(f"trunc i64 {value} to i32")
        if sign == "s":
            value = out.op(f"ashr i32 {out.op(f'shl i32 {value}, 1')}, 1")
        body.push("i32", value)


_get_i31("s")
_get_i31("u")


# Values in objects -----------------------------------------------------------------------------


def kept_type(storage: StorageType) -> str:
    """The IR type of a value that is kept so."""
    return "i32" if isinstance(storage, PackedType) else ir_type(storage)


def default(body: Body, storage: StorageType) -> Operand:
    """The default value of a type."""
    ty = kept_type(storage)
    if ty == REF:
        return Operand(ty, NULL)
    zero = ZEROS[ty]
    return Operand(ty, body.out.op(fence(ty, zero)) if ty in ("float", "double") else zero)


def held_type(storage: StorageType, *, narrow: bool) -> str | None:
    """The IR type of what an object has for a number, packed ones `narrow` or in 32 bits.

    None if the object refers to another one: for references, and vectors, which are bytes there.
    """
    if storage is V128 or kept_type(storage) == REF:
        return None
    if isinstance(storage, PackedType):
        return f"i{storage.bits}" if narrow else "i32"
    # Singles are as Python has them.
    return "double" if storage is F32 else ir_type(storage)


def _store_number(body: Body, place: str, held: str, storage: StorageType, value: str) -> None:
    """Put a number into an object."""
    body.out.do(f"store {held} {as_held(body, held, storage, value)}, ptr {place}, {FIELD}")


def as_held(body: Body, held: str, storage: StorageType, value: str) -> str:
    """A number as an object has it."""
    out = body.out
    if storage is F32:
        return out.op(f"call double @from_single(float {value})")
    if not isinstance(storage, PackedType):
        return value
    if held == "i32":
        return out.op(f"and i32 {value}, {(1 << storage.bits) - 1}")
    return out.op(f"trunc i32 {value} to {held}")


def _load_number(body: Body, place: str, held: str, storage: StorageType, name: str) -> str:
    """Get a number out of an object, for the instruction `name`."""
    out = body.out
    value = out.op(f"load {held}, ptr {place}, {FIELD}")
    if held == "double":
        value = out.op(loaded(held, value))
        return out.op(f"call float @to_single(double {value})") if storage is F32 else value
    if not isinstance(storage, PackedType):
        return value
    signed = name.endswith("_s")
    if held != "i32":
        return out.op(f"{'sext' if signed else 'zext'} {held} {value} to i32")
    if signed:
        left = 32 - storage.bits
        return out.op(f"ashr i32 {out.op(f'shl i32 {value}, {left}')}, {left}")
    return value


def push_held(
    body: Body, place: str, held: str | None, storage: StorageType, holder: Operand, name: str
) -> None:
    """Push what is at a place, for the instruction `name`, and give up its popped holder."""
    if held is None:
        _push_object(body, place, storage, holder)
        return
    value = _load_number(body, place, held, storage, name)
    body.give_up(holder)
    body.push(kept_type(storage), value)


def put_held(
    body: Body, place: str, held: str | None, storage: StorageType, value: Operand
) -> None:
    """Put a value, which was popped, in the place of another."""
    if held is None:
        _put_object(body, place, storage, value)
    else:
        _store_number(body, place, held, storage, body.as_value(value))


def initialise(
    body: Body, place: str, held: str | None, storage: StorageType, value: Operand
) -> None:
    """Put a value, which was popped, where there is none; see `box_vectors`."""
    if held is None:
        _initialise_object(body, place, value)
    else:
        _store_number(body, place, held, storage, body.as_value(value))


def _push_object(body: Body, place: str, storage: StorageType, holder: Operand) -> None:
    """Push what an object at a place stands for; its holder was popped and is given up."""
    item = body.out.op(f"load ptr, ptr {place}, {PYTHON}")
    if storage is V128:
        value = unbox(body.out, kept_type(storage), item)
        body.give_up(holder)
        body.push(kept_type(storage), value)
        return
    keep(body.out, item)
    body.give_up(holder)
    body.push_counted(item)


def _put_object(body: Body, place: str, storage: StorageType, operand: Operand) -> None:
    """Put the object for a value, which was popped, in the place of another."""
    if storage is V128:
        boxed = box(body.out, operand.ty, operand.value)
        body.unwind_if(body.out.op(f"icmp eq ptr {boxed}, null"))
        put(body.out, place, boxed)
    else:
        put(body.out, place, body.take(operand))


def box_vectors(body: Body, storages: Sequence[StorageType]) -> None:
    """Replace vectors among the topmost operands by counted objects."""
    first = len(body.stack) - len(storages)
    for height, storage in enumerate(storages, first):
        if storage is V128:
            above = body.stack[height:]
            boxed = box(body.out, above[0].ty, above[0].value)
            body.unwind_if(body.out.op(f"icmp eq ptr {boxed}, null"))
            del body.stack[height:]
            body.push_counted(boxed)
            body.stack.extend(above[1:])


def pop_many(body: Body, count: int) -> list[Operand]:
    """Pop operands of any types, the first pushed first."""
    return [body.stack.pop() for _ in range(count)][::-1]


def _initialise_object(body: Body, place: str, operand: Operand) -> None:
    """Put the object for a value, which was popped, where there is none; see `box_vectors`."""
    value = body.take(operand)
    body.out.do(f"call void @to_python(ptr {value})")
    body.out.do(f"store ptr {value}, ptr {place}, {PYTHON}")
