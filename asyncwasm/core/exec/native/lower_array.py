"""Instructions on arrays as LLVM IR; see `arrays`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.runtime.gc import MAX_ARRAY_LENGTH
from asyncwasm.core.types import ArrayType, StorageType
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
    kept_type,
    load_number,
    pop_many,
    push_object,
    put_object,
    store_number,
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


def _range(body: Body, elements: str, held: str, start: str, count: str) -> str:
    """The place of the first of some elements; traps unless all are there."""
    out = body.out
    start = out.op(f"zext i32 {start} to i64")
    end = out.op(f"add nuw i64 {start}, {count}")
    outside = out.op(f"icmp ugt i64 {end}, {_size(body, elements)}")
    body.trap_if(outside, TrapCode.ARRAY_OUT_OF_BOUNDS)
    return _place(body, elements, held, start)


def _get(name: str) -> None:
    @lowering(name)
    def get(body: Body, imms: tuple[Any, ...]) -> None:
        index = body.pop()
        array = body.stack.pop()
        storage = _storage(body, imms[0])
        held = _held(storage)
        place = _element(body, array, held, index)
        if held is None:
            push_object(body, place, storage, array)
            return
        value = load_number(body, place, held, storage, name)
        body.give_up(array)
        body.push(kept_type(storage), value)


for _suffix in ("", "_s", "_u"):
    _get(f"array.get{_suffix}")


@lowering("array.set")
def _set(body: Body, imms: tuple[Any, ...]) -> None:
    value, index = body.stack.pop(), body.pop()
    array = body.stack.pop()
    storage = _storage(body, imms[0])
    held = _held(storage)
    place = _element(body, array, held, index)
    if held is None:
        put_object(body, place, storage, value)
    else:
        store_number(body, place, held, storage, body.as_value(value))
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


def _zeros(body: Body, held: str, count: str) -> str:
    """The elements of a new array of numbers; traps if there is no memory for so many."""
    out = body.out
    zeros = out.op(c_call("PySequence_Repeat", one_zero(held), count))
    failed, ready = out.fresh("failed"), out.fresh("ready")
    out.branch(out.op(f"icmp eq ptr {zeros}, null"), failed, ready, unlikely=True)
    out.label(failed)
    out.do(c_call("PyErr_Clear"))
    body.trap(TrapCode.ALLOCATION_TOO_LARGE)
    out.label(ready)
    return zeros


@lowering("array.new")
def _new(body: Body, imms: tuple[Any, ...]) -> None:
    length, value = body.pop(), body.stack.pop()
    storage = _storage(body, imms[0])
    held = _held(storage)
    if held is None:
        _push_filled(body, imms[0], value, length)
        return
    zeros = _counted_zeros(body, held, length)
    number = as_held(body, held, storage, body.as_value(value))
    count = body.out.op(f"zext i32 {length} to i64")
    _fill(body, _place(body, zeros, held, "0"), held, number, count)
    _push_wrapped(body, imms[0], zeros)


@lowering("array.new_default")
def _new_default(body: Body, imms: tuple[Any, ...]) -> None:
    length = body.pop()
    storage = _storage(body, imms[0])
    held = _held(storage)
    if held is None:
        _push_filled(body, imms[0], default(body, storage), length)
    else:
        _push_wrapped(body, imms[0], _counted_zeros(body, held, length))


def _counted_zeros(body: Body, held: str, length: str) -> str:
    large = body.out.op(f"icmp ugt i32 {length}, {MAX_ARRAY_LENGTH}")
    body.trap_if(large, TrapCode.ALLOCATION_TOO_LARGE)
    return _zeros(body, held, body.out.op(f"zext i32 {length} to i64"))


def _push_filled(body: Body, index: int, value: Operand, length: str) -> None:
    given = kept_type(_storage(body, index)), value.value
    made = ask(body, Helper.ARRAY_NEW, REF, ("i32", str(index)), given, ("i32", length))
    body.give_up(value)
    body.push_counted(made)


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
        if held is None:
            initialise(body, place, operand)
        else:
            store_number(body, place, held, storage, body.as_value(operand))
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


def _fill(body: Body, place: str, held: str, number: str, count: str) -> None:
    body.out.do(f"call void @fill_{held}(ptr {place}, {held} {number}, i64 {count})")


@lowering("array.fill")
def _array_fill(body: Body, imms: tuple[Any, ...]) -> None:
    count = body.pop()
    value, start = body.stack.pop(), body.pop()
    array = body.stack.pop()
    storage = _storage(body, imms[0])
    held = _held(storage)
    if held is None:
        given = kept_type(storage), value.value
        operands = (REF, array.value), ("i32", start), given, ("i32", count)
        ask(body, Helper.ARRAY_FILL, None, *operands)
        body.give_up(value)
    else:
        size = body.out.op(f"zext i32 {count} to i64")
        place = _range(body, _elements(body, array), held, start, size)
        _fill(body, place, held, as_held(body, held, storage, body.as_value(value)), size)
    body.give_up(array)


@lowering("array.copy")
def _copy(body: Body, imms: tuple[Any, ...]) -> None:
    start, count = body.pop_many(2)
    source, to = body.stack.pop(), body.pop()
    target = body.stack.pop()
    held = _held(_storage(body, imms[0]))
    if held is None:
        places = (REF, target.value), ("i32", to), (REF, source.value), ("i32", start)
        ask(body, Helper.ARRAY_COPY, None, *places, ("i32", count))
    else:
        written, read = _elements(body, target), _elements(body, source)
        size = body.out.op(f"zext i32 {count} to i64")
        destination = _range(body, written, held, to, size)
        origin = _range(body, read, held, start, size)
        size = body.out.op(f"mul i64 {size}, {SIZES[held]}")
        operands = f"ptr {destination}, ptr {origin}, i64 {size}, i1 false"
        body.out.do(f"call void @llvm.memmove.p0.p0.i64({operands})")
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
