"""Instructions on arrays as LLVM IR; see `arrays`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.runtime.gc import MAX_ARRAY_LENGTH
from asyncwasm.core.types import V128, ArrayType, StorageType
from asyncwasm.errors import TrapCode

from .abi import LIST_ITEMS, LIST_SIZE, Helper
from .arrays import ELEMENTS, SIZES, one_zero
from .emit import c_call
from .lower import lowering
from .lower_aggregate import (
    as_held,
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
from .objects import ask
from .operands import Operand
from .refs import PYTHON, REF

if TYPE_CHECKING:
    from .body import Body


def _storage(body: Body, index: int) -> StorageType:
    comp = body.info.types[index].comp
    assert isinstance(comp, ArrayType)
    return comp.field.storage


def _held(storage: StorageType) -> str | None:
    return held_type(storage, narrow=True)


# Elements ----------------------------------------------------------------------------------------


def _elements(body: Body, operand: Operand) -> str:
    """The elements of an array that is not null; traps if it is."""
    null = is_null(body, operand.value)
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null array reference")
    at = body.out.op(f"getelementptr i8, ptr {operand.value}, i64 {ELEMENTS}")
    return body.out.op(f"load ptr, ptr {at}, {PYTHON}")


def _size(body: Body, elements: str) -> str:
    at = body.out.op(f"getelementptr i8, ptr {elements}, i64 {LIST_SIZE}")
    return body.out.op(f"load i64, ptr {at}, {PYTHON}")


def _place(body: Body, elements: str, held: str | None, index: str) -> str:
    at = body.out.op(f"getelementptr i8, ptr {elements}, i64 {LIST_ITEMS}")
    items = body.out.op(f"load ptr, ptr {at}, {PYTHON}")
    return body.out.op(f"getelementptr {held or 'ptr'}, ptr {items}, i64 {index}")


def _element(body: Body, array: Operand, held: str | None, index: str) -> str:
    """The place of an element; traps if there is none."""
    elements = _elements(body, array)
    wide = body.out.op(f"zext i32 {index} to i64")
    outside = body.out.op(f"icmp uge i64 {wide}, {_size(body, elements)}")
    body.trap_if(outside, TrapCode.ARRAY_OUT_OF_BOUNDS)
    return _place(body, elements, held, wide)


def _check(body: Body, elements: str, start: str, count: str) -> str:
    """The end of some elements; traps unless all are there."""
    end = body.out.op(f"add nuw i64 {start}, {count}")
    outside = body.out.op(f"icmp ugt i64 {end}, {_size(body, elements)}")
    body.trap_if(outside, TrapCode.ARRAY_OUT_OF_BOUNDS)
    return end


def _get(name: str) -> None:
    @lowering(name)
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        index = body.pop()
        array = body.stack.pop()
        storage = _storage(body, imms[0])
        held = _held(storage)
        place = _element(body, array, held, index)
        push_held(body, place, held, storage, array, name)


for _suffix in ("", "_s", "_u"):
    _get(f"array.get{_suffix}")


@lowering("array.set")
def _set(body: Body, imms: tuple[Any, ...]) -> None:
    value, index = body.stack.pop(), body.pop()
    array = body.stack.pop()
    storage = _storage(body, imms[0])
    held = _held(storage)
    place = _element(body, array, held, index)
    put_held(body, place, held, storage, value)
    body.give_up(array)


@lowering("array.len")
def _len(body: Body, imms: tuple[Any, ...]) -> None:
    array = body.stack.pop()
    size = _size(body, _elements(body, array))
    body.give_up(array)
    body.push("i32", body.out.op(f"trunc i64 {size} to i32"))


# New ---------------------------------------------------------------------------------------------


def _push_wrapped(body: Body, index: int, elements: str) -> None:
    """Push a new array with these elements, which it takes over."""
    # This may collect garbage, whose finalizers may do anything.
    body.calls = True
    made = body.out.op(f"call ptr @new_array(ptr {type_of(body, index)}, ptr {elements})")
    body.unwind_if(body.out.op(f"icmp eq ptr {made}, null"))
    body.push_counted(made)


def _zeros(body: Body, held: str | None, count: str) -> str:
    """The elements of a new array, zeros or nulls; traps if there is no memory for so many."""
    out = body.out
    zeros = out.op(c_call("PySequence_Repeat", one_zero(held), count))
    failed, ready = out.fresh("failed"), out.fresh("ready")
    out.branch(out.op(f"icmp eq ptr {zeros}, null"), failed, ready, unlikely=True)
    out.label(failed)
    out.do(c_call("PyErr_Clear"))
    body.trap(TrapCode.ALLOCATION_TOO_LARGE)
    out.label(ready)
    return zeros


def _push_filled(body: Body, index: int, value: Operand, length: str, *, default: bool) -> None:
    """Push a new array of as many times a value, which was popped: its type's default, or any."""
    out = body.out
    storage = _storage(body, index)
    if storage is V128:
        operands = ("i32", str(index)), (value.ty, value.value), ("i32", length)
        body.push_counted(ask(body, Helper.ARRAY_NEW, REF, *operands))
        return
    large = out.op(f"icmp ugt i32 {length}, {MAX_ARRAY_LENGTH}")
    body.trap_if(large, TrapCode.ALLOCATION_TOO_LARGE)
    count = out.op(f"zext i32 {length} to i64")
    elements = _zeros(body, _held(storage), count)
    if not default:
        _fill(body, _place(body, elements, None, "0"), storage, value, count)
        body.give_up(value)
    _push_wrapped(body, index, elements)


@lowering("array.new")
def _new(body: Body, imms: tuple[Any, ...]) -> None:
    length = body.pop()
    _push_filled(body, imms[0], body.stack.pop(), length, default=False)


@lowering("array.new_default")
def _new_default(body: Body, imms: tuple[Any, ...]) -> None:
    length = body.pop()
    value = default(body, _storage(body, imms[0]))
    _push_filled(body, imms[0], value, length, default=True)


@lowering("array.new_fixed")
def _new_fixed(body: Body, imms: tuple[Any, ...]) -> None:
    index, count = imms
    storage = _storage(body, index)
    held = _held(storage)
    if held is not None:
        elements = _zeros(body, held, str(count))
    else:
        box_vectors(body, [storage] * count)
        elements = body.out.op(c_call("PyList_New", str(count)))
        body.unwind_if(body.out.op(f"icmp eq ptr {elements}, null"))
    for number, operand in enumerate(pop_many(body, count)):
        place = _place(body, elements, held, str(number))
        initialise(body, place, held, storage, operand)
    _push_wrapped(body, index, elements)


def _new_from(name: str, helper: Helper) -> None:
    @lowering(name)
    def make(body: Body, imms: tuple[Any, ...]) -> None:
        start, count = body.pop_many(2)
        segment = [("i32", str(imm)) for imm in imms]
        made = ask(body, helper, REF, *segment, ("i32", start), ("i32", count))
        body.push_counted(made)


_new_from("array.new_data", Helper.ARRAY_NEW_DATA)
_new_from("array.new_elem", Helper.ARRAY_NEW_ELEM)


# Many elements -----------------------------------------------------------------------------------


def _fill(body: Body, place: str, storage: StorageType, value: Operand, count: str) -> None:
    """Set elements from a place on to a value, which is not given up."""
    held = _held(storage)
    if held is None:
        body.out.do(f"call void @fill_references(ptr {place}, ptr {value.value}, i64 {count})")
    else:
        number = as_held(body, held, storage, body.as_value(value))
        body.out.do(f"call void @fill_{held}(ptr {place}, {held} {number}, i64 {count})")


@lowering("array.fill")
def _array_fill(body: Body, imms: tuple[Any, ...]) -> None:
    out = body.out
    count = body.pop()
    value, start = body.stack.pop(), body.pop()
    array = body.stack.pop()
    storage = _storage(body, imms[0])
    if storage is V128:
        operands = (REF, array.value), ("i32", start), (value.ty, value.value), ("i32", count)
        ask(body, Helper.ARRAY_FILL, None, *operands)
    else:
        elements = _elements(body, array)
        start, count = (out.op(f"zext i32 {n} to i64") for n in (start, count))
        _check(body, elements, start, count)
        _fill(body, _place(body, elements, _held(storage), start), storage, value, count)
    body.give_up(value)
    body.give_up(array)


@lowering("array.copy")
def _copy(body: Body, imms: tuple[Any, ...]) -> None:
    out = body.out
    start, count = body.pop_many(2)
    source, to = body.stack.pop(), body.pop()
    target = body.stack.pop()
    held = _held(_storage(body, imms[0]))
    written, read = _elements(body, target), _elements(body, source)
    start, to, count = (out.op(f"zext i32 {n} to i64") for n in (start, to, count))
    last = _check(body, written, to, count)
    end = _check(body, read, start, count)
    if held is None:
        # What was there before is released, which may run anything, after all has its place.
        body.calls = True
        taken = out.op(c_call("PyList_GetSlice", read, start, end))
        body.unwind_if(out.op(f"icmp eq ptr {taken}, null"))
        status = out.op(c_call("PyList_SetSlice", written, to, last, taken))
        out.do(f"call void @drop(ptr {taken})")
        body.unwind_if(out.op(f"icmp ne i32 {status}, 0"))
    else:
        size = out.op(f"mul i64 {count}, {SIZES[held]}")
        places = _place(body, written, held, to), _place(body, read, held, start)
        operands = f"ptr {places[0]}, ptr {places[1]}, i64 {size}, i1 false"
        out.do(f"call void @llvm.memmove.p0.p0.i64({operands})")
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
