"""Rules of reference instructions and of the aggregates of garbage collection."""

from __future__ import annotations

from typing import Any, Final

from asyncwasm.core.binary.cursor import require_heap_type
from asyncwasm.core.binary.limits import MAX_FIXED_ARRAY, check_limit
from asyncwasm.core.types import (
    ANYREF,
    ARRAYREF,
    EQREF,
    EXTERNREF,
    I31REF,
    I32,
    AbsHeapType,
    FieldType,
    HeapType,
    PackedType,
    RefType,
    ValType,
    heap_top,
)
from asyncwasm.errors import ValidationError

from .body import Body, Bottom
from .control import as_non_null

_I31: Final = RefType(False, AbsHeapType.I31)


def ref_null(body: Body, heap: HeapType) -> None:
    require_heap_type(body.module.features, heap, None)
    body.push(RefType(True, heap))


def ref_is_null(body: Body) -> None:
    body.pop_ref()
    body.push(I32)


def ref_as_non_null(body: Body) -> None:
    body.push(as_non_null(body.pop_ref()))


def ref_func(body: Body, func: int) -> None:
    ty = body.module.func(func)
    if body.constant:
        body.refs.add(func)
    elif func not in body.module.info.declared_funcs:
        raise ValidationError(f"undeclared function reference {func}")
    body.push(ty.ref)


def ref_eq(body: Body) -> None:
    body.expect_all((EQREF, EQREF))
    body.push(I32)


def _cast(body: Body, target: RefType, result: ValType) -> None:
    require_heap_type(body.module.features, target.heap, None)
    body.expect(RefType(True, heap_top(target.heap)))
    body.push(result)


def ref_test(body: Body, heap: HeapType) -> None:
    _cast(body, RefType(False, heap), I32)


def ref_test_null(body: Body, heap: HeapType) -> None:
    _cast(body, RefType(True, heap), I32)


def ref_cast(body: Body, heap: HeapType) -> None:
    _cast(body, RefType(False, heap), RefType(False, heap))


def ref_cast_null(body: Body, heap: HeapType) -> None:
    _cast(body, RefType(True, heap), RefType(True, heap))


def _convert(body: Body, source: RefType, target: AbsHeapType) -> None:
    found = body.pop_ref()
    if isinstance(found, Bottom):
        # It may be taken for a reference that is not null.
        body.push(RefType(False, target))
        return
    if not found.matches(source):
        raise body.mismatch(source, found)
    body.push(RefType(found.nullable, target))


def any_convert_extern(body: Body) -> None:
    _convert(body, EXTERNREF, AbsHeapType.ANY)


def extern_convert_any(body: Body) -> None:
    _convert(body, ANYREF, AbsHeapType.EXTERN)


def ref_i31(body: Body) -> None:
    body.expect(I32)
    body.push(_I31)


def i31_get(body: Body) -> None:
    body.expect(I31REF)
    body.push(I32)


def _ref_null(body: Body, type: int) -> RefType:
    return body.module.defined(type).ref_null


def _ref(body: Body, type: int) -> RefType:
    return body.module.defined(type).ref


def struct_new(body: Body, type: int) -> None:
    body.expect_all(body.module.field_types(type))
    body.push(_ref(body, type))


def struct_new_default(body: Body, type: int) -> None:
    if not body.module.has_default_fields(type):
        raise ValidationError("type mismatch: a field has no default value")
    body.push(_ref(body, type))


def _field(body: Body, type: int, index: int) -> FieldType:
    fields = body.module.struct_type(type).fields
    if index >= len(fields):
        raise ValidationError(f"unknown field {index}")
    return fields[index]


def _full(field: FieldType) -> ValType:
    """The type that a get without sign extension gives."""
    if isinstance(field.storage, PackedType):
        raise ValidationError("type mismatch: packed storage is read with sign or zero extension")
    return field.storage


def _packed(field: FieldType) -> ValType:
    """The type that a get with sign or zero extension gives."""
    if not isinstance(field.storage, PackedType):
        raise ValidationError("type mismatch: only packed storage is read with extension")
    return I32


def struct_get(body: Body, type: int, index: int) -> None:
    ty = _full(_field(body, type, index))
    body.expect(_ref_null(body, type))
    body.push(ty)


def struct_get_packed(body: Body, type: int, index: int) -> None:
    ty = _packed(_field(body, type, index))
    body.expect(_ref_null(body, type))
    body.push(ty)


def struct_set(body: Body, type: int, index: int) -> None:
    field = _field(body, type, index)
    if not field.mutable:
        raise ValidationError(f"immutable field {index}")
    body.expect(field.unpacked)
    body.expect(_ref_null(body, type))


def _mutable_array(body: Body, type: int) -> FieldType:
    field = body.module.array_type(type).field
    if not field.mutable:
        raise ValidationError("immutable array")
    return field


def array_new(body: Body, type: int) -> None:
    body.expect_all((body.module.array_type(type).field.unpacked, I32))
    body.push(_ref(body, type))


def array_new_default(body: Body, type: int) -> None:
    if not body.module.array_type(type).field.unpacked.is_defaultable:
        raise ValidationError("type mismatch: the element has no default value")
    body.expect(I32)
    body.push(_ref(body, type))


def array_new_fixed(body: Body, type: int, count: int) -> None:
    element = body.module.array_type(type).field.unpacked
    check_limit(count, MAX_FIXED_ARRAY, "operands of array.new_fixed")
    body.expect_all((element,) * count)
    body.push(_ref(body, type))


def _require_plain(field: FieldType) -> None:
    if isinstance(field.storage, RefType):
        raise ValidationError("array type is not numeric or vector")


def array_new_data(body: Body, type: int, data: int) -> None:
    _require_plain(body.module.array_type(type).field)
    body.module.data(data)
    body.expect_all((I32, I32))
    body.push(_ref(body, type))


def _match_element(body: Body, elem: int, field: FieldType) -> None:
    found, expected = body.module.elem(elem), field.unpacked
    if not found.matches(expected):
        raise body.mismatch(expected, found)


def array_new_elem(body: Body, type: int, elem: int) -> None:
    _match_element(body, elem, body.module.array_type(type).field)
    body.expect_all((I32, I32))
    body.push(_ref(body, type))


def array_get(body: Body, type: int) -> None:
    ty = _full(body.module.array_type(type).field)
    body.expect_all((_ref_null(body, type), I32))
    body.push(ty)


def array_get_packed(body: Body, type: int) -> None:
    ty = _packed(body.module.array_type(type).field)
    body.expect_all((_ref_null(body, type), I32))
    body.push(ty)


def array_set(body: Body, type: int) -> None:
    field = _mutable_array(body, type)
    body.expect_all((_ref_null(body, type), I32, field.unpacked))


def array_len(body: Body) -> None:
    body.expect(ARRAYREF)
    body.push(I32)


def array_fill(body: Body, type: int) -> None:
    field = _mutable_array(body, type)
    body.expect_all((_ref_null(body, type), I32, field.unpacked, I32))


def array_copy(body: Body, target: int, source: int) -> None:
    to = _mutable_array(body, target).storage
    from_ = body.module.array_type(source).field.storage
    same = from_ is to
    if isinstance(from_, PackedType) or isinstance(to, PackedType):
        matches = same
    else:
        matches = same or from_.matches(to)
    if not matches:
        raise ValidationError("array types do not match")
    body.expect_all((_ref_null(body, target), I32, _ref_null(body, source), I32, I32))


def array_init_data(body: Body, type: int, data: int) -> None:
    _require_plain(_mutable_array(body, type))
    body.module.data(data)
    body.expect_all((_ref_null(body, type), I32, I32, I32))


def array_init_elem(body: Body, type: int, elem: int) -> None:
    _match_element(body, elem, _mutable_array(body, type))
    body.expect_all((_ref_null(body, type), I32, I32, I32))


RULES: Final[dict[str, Any]] = {
    "ref.null": ref_null,
    "ref.is_null": ref_is_null,
    "ref.as_non_null": ref_as_non_null,
    "ref.func": ref_func,
    "ref.eq": ref_eq,
    "ref.test": ref_test,
    "ref.test_null": ref_test_null,
    "ref.cast": ref_cast,
    "ref.cast_null": ref_cast_null,
    "any.convert_extern": any_convert_extern,
    "extern.convert_any": extern_convert_any,
    "ref.i31": ref_i31,
    "i31.get_s": i31_get,
    "i31.get_u": i31_get,
    "struct.new": struct_new,
    "struct.new_default": struct_new_default,
    "struct.get": struct_get,
    "struct.get_s": struct_get_packed,
    "struct.get_u": struct_get_packed,
    "struct.set": struct_set,
    "array.new": array_new,
    "array.new_default": array_new_default,
    "array.new_fixed": array_new_fixed,
    "array.new_data": array_new_data,
    "array.new_elem": array_new_elem,
    "array.get": array_get,
    "array.get_s": array_get_packed,
    "array.get_u": array_get_packed,
    "array.set": array_set,
    "array.len": array_len,
    "array.fill": array_fill,
    "array.copy": array_copy,
    "array.init_data": array_init_data,
    "array.init_elem": array_init_elem,
}
