"""Instructions on arrays and i31 as LLVM IR, and casts; see `aggregates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.runtime.gc import ArrayRef
from asyncwasm.core.types import (
    F32,
    F64,
    AbsHeapType,
    ArrayType,
    DefType,
    FieldType,
    HeapType,
    PackedType,
    StorageType,
)
from asyncwasm.errors import TrapCode

from .abi import FLOAT_VALUE, LIST_ITEMS, LIST_SIZE, Helper, Word
from .aggregates import ARRAY_CLASS, ARRAY_ELEMENTS, ARRAY_TYPE, FUNCTION_CLASS, FUNCTION_TYPE
from .emit import ZEROS, ir_type, object_address
from .glue import box, unbox
from .lower import lowering
from .lower_reference import is_null
from .objects import ask
from .operands import Operand
from .refs import NULL, PYTHON, REF, keep, put
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


def _boxed(body: Body, storage: StorageType, operand: Operand) -> str:
    """A new Python object for a value as a field holds it, maybe null for want of memory."""
    out = body.out
    if kept_type(storage) == REF:
        value = body.take(operand)
        out.do(f"call void @to_python(ptr {value})")
        return value
    value = body.as_value(operand)
    if isinstance(storage, PackedType):
        value = out.op(f"and i32 {value}, {(1 << storage.bits) - 1}")
    return box(out, kept_type(storage), value)


def _push_read(body: Body, place: str, field: FieldType, holder: Operand, name: str) -> None:
    """Push the value of a place in an object, which was popped and is given up."""
    out = body.out
    storage = field.storage
    item = out.op(f"load ptr, ptr {place}, {PYTHON}")
    ty = kept_type(storage)
    if ty == REF:
        keep(out, item)
        body.give_up(holder)
        body.push_counted(item)
        return
    if storage in (F32, F64):
        at = out.op(f"getelementptr i8, ptr {item}, i64 {FLOAT_VALUE}")
        value = out.op(f"load double, ptr {at}, {PYTHON}")
        if storage is F32:
            value = out.op(f"call float @to_single(double {value})")
    elif ty in ("i32", "i64"):
        value = out.op(f"call i64 @long_value(ptr {item})")
        if ty == "i32":
            value = out.op(f"trunc i64 {value} to i32")
    else:
        value = unbox(out, ty, item)
    if isinstance(storage, PackedType) and name.endswith("_s"):
        left = 32 - storage.bits
        value = out.op(f"ashr i32 {out.op(f'shl i32 {value}, {left}')}, {left}")
    body.give_up(holder)
    body.push(ty, value)


def _values(body: Body, operand: Operand) -> str:
    """The list of an array that is not null; traps if it is."""
    null = is_null(body, operand.value)
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null array reference")
    at = body.out.op(f"getelementptr i8, ptr {operand.value}, i64 {ARRAY_ELEMENTS}")
    # Always the same list, though what is in it changes.
    return body.out.op(f"load ptr, ptr {at}, {PYTHON}")


def _place(body: Body, values: str, index: str) -> str:
    at = body.out.op(f"getelementptr i8, ptr {values}, i64 {LIST_ITEMS}")
    items = body.out.op(f"load ptr, ptr {at}, {PYTHON}")
    return body.out.op(f"getelementptr ptr, ptr {items}, i64 {index}")


def _size(body: Body, values: str) -> str:
    at = body.out.op(f"getelementptr i8, ptr {values}, i64 {LIST_SIZE}")
    return body.out.op(f"load i64, ptr {at}, {PYTHON}")


def _element(body: Body, array: Operand, index: str) -> str:
    """The place of an element; traps if there is none."""
    values = _values(body, array)
    wide = body.out.op(f"zext i32 {index} to i64")
    outside = body.out.op(f"icmp uge i64 {wide}, {_size(body, values)}")
    body.trap_if(outside, TrapCode.ARRAY_OUT_OF_BOUNDS)
    return _place(body, values, wide)


def _put(body: Body, place: str, storage: StorageType, value: Operand) -> None:
    out = body.out
    if kept_type(storage) == REF:
        put(out, place, body.take(value))
        return
    boxed = _boxed(body, storage, value)
    body.unwind_if(out.op(f"icmp eq ptr {boxed}, null"))
    old = out.op(f"load ptr, ptr {place}, {PYTHON}")
    out.do(f"store ptr {boxed}, ptr {place}, {PYTHON}")
    out.do(f"call void @drop(ptr {old})")


def _make(body: Body, type_index: int, boxed: list[str]) -> None:
    """Push a new array of boxed values."""
    out = body.out
    array = out.alloca(f"[{max(1, len(boxed))} x ptr]")
    for number, value in enumerate(boxed):
        slot = out.op(f"getelementptr ptr, ptr {array}, i64 {number}")
        out.do(f"store ptr {value}, ptr {slot}")
    body.calls = True
    operands = f"ptr %ctx, ptr {type_of(body, type_index)}, ptr {array}, i64 {len(boxed)}"
    made = out.op(f"call ptr @new_array({operands})")
    body.unwind_if(out.op(f"icmp eq ptr {made}, null"))
    body.push_counted(made)


def _pop_boxed(body: Body, storages: list[StorageType]) -> list[str]:
    operands = [body.stack.pop() for _ in storages][::-1]
    return [_boxed(body, ty, operand) for ty, operand in zip(storages, operands, strict=True)]


def default(storage: StorageType) -> Operand:
    ty = kept_type(storage)
    return Operand(ty, NULL if ty == REF else ZEROS[ty])


# Arrays ----------------------------------------------------------------------------------------


def _field(body: Body, index: int) -> FieldType:
    comp = body.info.types[index].comp
    assert isinstance(comp, ArrayType)
    return comp.field


def _packed(body: Body, storage: StorageType, operand: Operand) -> tuple[str, str]:
    """A value as a field holds it, with its IR type, not yet boxed."""
    value = body.as_value(operand)
    if isinstance(storage, PackedType):
        value = body.out.op(f"and i32 {value}, {(1 << storage.bits) - 1}")
    return kept_type(storage), value


@lowering("array.new")
def _array_new(body: Body, imms: tuple[Any, ...]) -> None:
    length = body.pop()
    _push_filled(body, imms[0], body.stack.pop(), length)


@lowering("array.new_default")
def _array_new_default(body: Body, imms: tuple[Any, ...]) -> None:
    _push_filled(body, imms[0], default(_field(body, imms[0]).storage), body.pop())


def _push_filled(body: Body, index: int, value: Operand, length: str) -> None:
    given = _packed(body, _field(body, index).storage, value)
    made = ask(body, Helper.ARRAY_NEW, REF, ("i32", str(index)), given, ("i32", length))
    body.give_up(value)
    body.push_counted(made)


@lowering("array.new_fixed")
def _array_new_fixed(body: Body, imms: tuple[Any, ...]) -> None:
    index, count = imms
    _make(body, index, _pop_boxed(body, [_field(body, index).storage] * count))


def _new_from(name: str, helper: Helper) -> None:
    @lowering(name)
    def make(body: Body, imms: tuple[Any, ...]) -> None:
        start, count = body.pop_many(2)
        segment = [("i32", str(imm)) for imm in imms]
        made = ask(body, helper, REF, *segment, ("i32", start), ("i32", count))
        body.push_counted(made)


_new_from("array.new_data", Helper.ARRAY_NEW_DATA)
_new_from("array.new_elem", Helper.ARRAY_NEW_ELEM)


def _array_get(name: str) -> None:
    @lowering(name)
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        index = body.pop()
        array = body.stack.pop()
        _push_read(body, _element(body, array, index), _field(body, imms[0]), array, name)


for _suffix in ("", "_s", "_u"):
    _array_get(f"array.get{_suffix}")


@lowering("array.set")
def _array_set(body: Body, imms: tuple[Any, ...]) -> None:
    value, index = body.stack.pop(), body.pop()
    array = body.stack.pop()
    _put(body, _element(body, array, index), _field(body, imms[0]).storage, value)
    body.give_up(array)


@lowering("array.len")
def _array_len(body: Body, imms: tuple[Any, ...]) -> None:
    array = body.stack.pop()
    size = _size(body, _values(body, array))
    body.give_up(array)
    body.push("i32", body.out.op(f"trunc i64 {size} to i32"))


@lowering("array.fill")
def _array_fill(body: Body, imms: tuple[Any, ...]) -> None:
    count = body.pop()
    value, start = body.stack.pop(), body.pop()
    array = body.stack.pop()
    given = _packed(body, _field(body, imms[0]).storage, value)
    ask(
        body,
        Helper.ARRAY_FILL,
        None,
        (REF, array.value),
        ("i32", start),
        given,
        ("i32", count),
    )
    body.give_up(value)
    body.give_up(array)


@lowering("array.copy")
def _array_copy(body: Body, imms: tuple[Any, ...]) -> None:
    start, count = body.pop_many(2)
    source, to = body.stack.pop(), body.pop()
    target = body.stack.pop()
    ask(
        body,
        Helper.ARRAY_COPY,
        None,
        (REF, target.value),
        ("i32", to),
        (REF, source.value),
        ("i32", start),
        ("i32", count),
    )
    body.give_up(source)
    body.give_up(target)


def _init_from(name: str, helper: Helper) -> None:
    @lowering(name)
    def init(body: Body, imms: tuple[Any, ...]) -> None:
        to, start, count = body.pop_many(3)
        array = body.stack.pop()
        segment = [("i32", str(imm)) for imm in imms]
        places = [("i32", value) for value in (to, start, count)]
        ask(body, helper, None, *segment, (REF, array.value), *places)
        body.give_up(array)


_init_from("array.init_data", Helper.ARRAY_INIT_DATA)
_init_from("array.init_elem", Helper.ARRAY_INIT_ELEM)
