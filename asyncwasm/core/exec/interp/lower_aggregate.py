"""Lowerings of the instructions on structs and arrays.

`None` has neither fields nor `elements`, and lists check their bounds, so that most accesses
trap without any check in the source.
"""

from __future__ import annotations

from array import array

from asyncwasm.core.runtime.aggregates import CODES
from asyncwasm.core.runtime.gc import (
    MAX_ARRAY_LENGTH,
    ArrayRef,
    default_raw,
    new_array,
    struct_class,
)
from asyncwasm.core.runtime.gc_bulk import (
    array_copy,
    array_fill,
    array_init_data,
    array_init_elem,
    data_elements,
    segment_elements,
)
from asyncwasm.core.runtime.storage import slot_name
from asyncwasm.core.types import (
    I32,
    I64,
    ArrayType,
    FieldType,
    PackedType,
    StorageType,
    StructType,
)

from .body import Body
from .expr import READS, TRAPS, Expr, merge
from .lower_table import assign
from .registry import Instr, lowering

# Types and values ---------------------------------------------------------------------------


def _fields(body: Body, type_index: int) -> tuple[FieldType, ...]:
    comp = body.types[type_index].comp
    assert isinstance(comp, StructType)
    return comp.fields


def _element(body: Body, type_index: int) -> StorageType:
    comp = body.types[type_index].comp
    assert isinstance(comp, ArrayType)
    return comp.field.storage


def _packed(body: Body, value: Expr, storage: StorageType) -> Expr:
    """`value`, popped before canonicalisation, as a field holds it."""
    if isinstance(storage, PackedType):
        mask = (1 << storage.bits) - 1
        if not 0 <= value.lo <= value.hi <= mask:
            return body.op(f"{{0}} & {mask}", value, bits=32, lo=0, hi=mask)
    return value


def _pop_stored(body: Body, storage: StorageType) -> Expr:
    """Pop a value for a field."""
    if isinstance(storage, PackedType):
        return _packed(body, body.pop_modular(), storage)
    return body.pop()


def _pop_all_stored(body: Body, storages: list[StorageType]) -> list[Expr]:
    """Pop values for fields; the first is the lowest."""
    values = [_pop_stored(body, storage) for storage in reversed(storages)]
    values.reverse()
    return values


def _default(storage: StorageType) -> str:
    return repr(default_raw(storage))


def _width(storage: StorageType) -> int:
    return 64 if storage is I64 else 32 if storage is I32 or isinstance(storage, PackedType) else 0


def _push_read(
    body: Body, template: str, operands: list[Expr], field: FieldType, instr: Instr
) -> None:
    """Push the field or element that `template` reads."""
    storage = field.storage
    effects = TRAPS | READS if field.mutable else TRAPS
    facts: dict[str, int] = {"bits": _width(storage)}
    if isinstance(storage, PackedType):
        sign = 1 << storage.bits - 1
        facts |= {"lo": 0, "hi": 2 * sign - 1}
        if instr.row.name.endswith("_s"):
            template = f"({template} ^ {sign}) - {sign}"
            facts |= {"lo": -sign, "hi": sign - 1}
    body.push_op(template, *operands, effects=effects, instr=instr, **facts)


# Structs ------------------------------------------------------------------------------------


def _push_struct(body: Body, type_index: int, values: list[Expr]) -> None:
    made_by = body.constant(struct_class(body.types[type_index]))
    listed = ", ".join([value.text for value in values])
    body.push(merge(f"{made_by}({listed})", *values))


@lowering("struct.new")
def struct_new(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    _push_struct(
        body, index, _pop_all_stored(body, [field.storage for field in _fields(body, index)])
    )


@lowering("struct.new_default")
def struct_new_default(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    values = [Expr(_default(field.storage), simple=True) for field in _fields(body, index)]
    _push_struct(body, index, values)


@lowering("struct.get", "struct.get_s", "struct.get_u")
def struct_get(body: Body, instr: Instr) -> None:
    index, field = instr.immediates
    ty = _fields(body, index)[field]
    _push_read(body, f"{{0}}.{slot_name(field)}", [body.pop()], ty, instr)


@lowering("struct.set")
def struct_set(body: Body, instr: Instr) -> None:
    index, field = instr.immediates
    value = _pop_stored(body, _fields(body, index)[field].storage)
    assign(body, f"{{0}}.{slot_name(field)} = {{1}}", body.pop(), value, instr=instr)


# Arrays -------------------------------------------------------------------------------------


def _array_text(body: Body, type_index: int, elements: str) -> str:
    """A template for a new array, of the elements that the template `elements` makes."""
    name = body.names.named("ArrayRef", ArrayRef)
    return f"{name}({body.constant(body.types[type_index])}, {elements})"


def _elements_text(body: Body, type_index: int, listed: str) -> str:
    """The elements that are listed."""
    code = CODES.get(_element(body, type_index))
    return f"{body.names.named('array', array)}('{code}', [{listed}])" if code else f"[{listed}]"


def _push_filled_array(
    body: Body, type_index: int, value: Expr, length: Expr, instr: Instr
) -> None:
    if length.hi <= MAX_ARRAY_LENGTH:
        elements = f"{_elements_text(body, type_index, '{0}')} * {{1}}"
        body.push_op(_array_text(body, type_index, elements), value, length)
    else:
        type_name = body.constant(body.types[type_index])
        call = f"{body.helper(new_array)}({type_name}, {{0}}, {{1}})"
        body.push_op(call, value, length, effects=TRAPS, instr=instr)


@lowering("array.new")
def lower_array_new(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    length = body.pop()
    value = _pop_stored(body, _element(body, index))
    _push_filled_array(body, index, value, length, instr)


@lowering("array.new_default")
def array_new_default(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    value = Expr(_default(_element(body, index)), simple=True)
    _push_filled_array(body, index, value, body.pop(), instr)


@lowering("array.new_fixed")
def array_new_fixed(body: Body, instr: Instr) -> None:
    index, count = instr.immediates
    values = _pop_all_stored(body, [_element(body, index)] * count)
    listed = ", ".join([value.text for value in values])
    text = _array_text(body, index, _elements_text(body, index, listed))
    body.push(merge(text, *values))


@lowering("array.new_data")
def array_new_data(body: Body, instr: Instr) -> None:
    index, data = instr.immediates
    storage = body.constant(_element(body, index))
    segment = f"{body.instance()}.datas[{data}]"
    call = f"{body.helper(data_elements)}({segment}, {storage}, {{0}}, {{1}})"
    text = _array_text(body, index, call)
    body.push_op(text, *body.pops(2), effects=TRAPS | READS, instr=instr)


@lowering("array.new_elem")
def array_new_elem(body: Body, instr: Instr) -> None:
    index, elem = instr.immediates
    segment = f"{body.instance()}.elems[{elem}]"
    call = f"{body.helper(segment_elements)}({segment}, {{0}}, {{1}})"
    text = _array_text(body, index, call)
    body.push_op(text, *body.pops(2), effects=TRAPS | READS, instr=instr)


@lowering("array.get", "array.get_s", "array.get_u")
def array_get(body: Body, instr: Instr) -> None:
    comp = body.types[instr.immediates[0]].comp
    assert isinstance(comp, ArrayType)
    _push_read(body, "{0}.elements[{1}]", body.pops(2), comp.field, instr)


@lowering("array.set")
def array_set(body: Body, instr: Instr) -> None:
    value = _pop_stored(body, _element(body, instr.immediates[0]))
    array, index = body.pops(2)
    assign(body, "{0}.elements[{1}] = {2}", array, index, value, instr=instr)


@lowering("array.len")
def array_len(body: Body, instr: Instr) -> None:
    # The length of an array never changes.
    body.push_op(
        "len({0}.elements)",
        body.pop(),
        effects=TRAPS,
        instr=instr,
        bits=32,
        lo=0,
        hi=(1 << 32) - 1,
    )


@lowering("array.fill")
def lower_array_fill(body: Body, instr: Instr) -> None:
    count = body.pop()
    value = _pop_stored(body, _element(body, instr.immediates[0]))
    call = f"{body.helper(array_fill)}({{0}}, {{1}}, {{2}}, {{3}})"
    body.effect(call, *body.pops(2), value, count, instr=instr)


@lowering("array.copy")
def lower_array_copy(body: Body, instr: Instr) -> None:
    call = f"{body.helper(array_copy)}({{0}}, {{1}}, {{2}}, {{3}}, {{4}})"
    body.effect(call, *body.pops(5), instr=instr)


@lowering("array.init_data")
def lower_array_init_data(body: Body, instr: Instr) -> None:
    index, data = instr.immediates
    storage = body.constant(_element(body, index))
    segment = f"{body.instance()}.datas[{data}]"
    call = f"{body.helper(array_init_data)}({{0}}, {{1}}, {{2}}, {{3}}, {segment}, {storage})"
    body.effect(call, *body.pops(4), instr=instr)


@lowering("array.init_elem")
def lower_array_init_elem(body: Body, instr: Instr) -> None:
    segment = f"{body.instance()}.elems[{instr.immediates[1]}]"
    call = f"{body.helper(array_init_elem)}({{0}}, {{1}}, {{2}}, {{3}}, {segment})"
    body.effect(call, *body.pops(4), instr=instr)
