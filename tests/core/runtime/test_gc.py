"""References: allocation, access, conversion, and who may use them."""

from __future__ import annotations

import gc
import weakref

import pytest

from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.gc import (
    I31,
    MAX_ARRAY_LENGTH,
    AnyRef,
    ArrayRef,
    ArrayRefPre,
    EqRef,
    ExnRef,
    ExnRefPre,
    ExternRef,
    StructRef,
    StructRefPre,
    default_raw,
    heap_type_of,
    matches,
    matches_heap,
    new_array,
    new_struct,
    pack,
    same,
    type_of,
)
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.runtime.tag import Tag
from asyncwasm.core.runtime.values import from_raw, to_raw
from asyncwasm.core.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    AbsHeapType,
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    PackedType,
    RefType,
    StructType,
    SubType,
    TagType,
    rec_group,
)
from asyncwasm.errors import Trap, TrapCode, WrongStoreError

H = AbsHeapType
POINT = StructType((FieldType(I32, mutable=True), FieldType(PackedType.I8, mutable=True)))
CONSTANT = StructType((FieldType(I64),))
BYTES = ArrayType(FieldType(PackedType.I8, mutable=True))
REFS = ArrayType(FieldType(EXTERNREF))
ERROR = TagType(DefType.of(FuncType((I32, EXTERNREF))))


@pytest.fixture
def store() -> Store[None]:
    return Store(Engine())


@pytest.fixture
def point(store) -> StructRef:
    return StructRef.new(store, StructRefPre.new(store, POINT), [-1, 0x1FE])


def test_structs(store, point):
    assert point.type is DefType.of(POINT)
    assert point.fields == [0xFFFF_FFFF, 0xFE]
    assert point.ty(store) == POINT
    assert point.get_fields(store) == [-1, 0xFE]
    point.set_field(store, 1, -1)
    assert point.field(store, 1) == 0xFF
    with pytest.raises(TypeError, match="^cannot set field 0: type mismatch: type mismatch: expe"):
        point.set_field(store, 0, 1.0)


def test_struct_errors(store, point):
    pre = StructRefPre.new(store, DefType.of(CONSTANT))
    with pytest.raises(TypeError, match="^expected 1 fields, got 2$"):
        StructRef.new(store, pre, [1, 2])
    with pytest.raises(TypeError, match="^field type mismatch: type mismatch: expected i64, foun"):
        StructRef.new(store, pre, ["x"])
    constant = StructRef.new(store, pre, [1])
    with pytest.raises(TypeError, match="^cannot set field 0: field is not mutable$"):
        constant.set_field(store, 0, 2)
    for use in (point.field, lambda s, i: point.set_field(s, i, 0)):
        for index in (2, -1):
            with pytest.raises(
                IndexError, match=f"^cannot access field {index}: struct only has 2 fields$"
            ):
                use(store, index)
    with pytest.raises(TypeError, match="expected a StructType, found "):
        StructRefPre.new(store, DefType.of(BYTES))


def test_arrays(store):
    pre = ArrayRefPre.new(store, BYTES)
    array = ArrayRef.new(store, pre, 0x101, 3)
    assert list(array.elements) == [1, 1, 1]
    array.set(store, 1, -1)
    assert (array.len(store), array.get(store, 1)) == (3, 255)
    assert array.elems(store) == [1, 255, 1]
    assert array.ty(store) == BYTES
    assert list(ArrayRef.new_fixed(store, pre, [1, 2]).elements) == [1, 2]
    for index in (3, -1):
        for use in (array.get, lambda s, i: array.set(s, i, 0)):
            with pytest.raises(
                IndexError, match=f"^index out of bounds: the length is 3 but the index is {index}$"
            ):
                use(store, index)
    with pytest.raises(OverflowError, match="^cannot set element 0: type mismatch: integer out"):
        array.set(store, 0, 1 << 32)


def test_array_errors(store):
    pre = ArrayRefPre.new(store, REFS)
    with pytest.raises(TypeError, match="^element type mismatch: type mismatch: expected externr"):
        ArrayRef.new(store, pre, 1, 1)
    with pytest.raises(TypeError, match="^element type mismatch: "):
        ArrayRef.new_fixed(store, pre, [None, 1])
    with pytest.raises(ValueError, match="length must not be negative"):
        ArrayRef.new(store, pre, None, -1)
    array = ArrayRef.new(store, pre, None, 1)
    with pytest.raises(TypeError, match="^cannot set element 0: array elements are not mutable$"):
        array.set(store, 0, None)
    with pytest.raises(TypeError, match="expected a ArrayType, found "):
        ArrayRefPre.new(store, DefType.of(POINT))


def test_absurd_arrays_trap(store):
    for use in (
        lambda n: new_array(DefType.of(BYTES), 0, n),
        lambda n: ArrayRef.new(store, ArrayRefPre.new(store, BYTES), 0, n),
    ):
        for length in (MAX_ARRAY_LENGTH + 1, 0xFFFF_FFFF):
            with pytest.raises(Trap) as caught:
                use(length)
            assert caught.value.code is TrapCode.ALLOCATION_TOO_LARGE


def test_i31():
    assert I31.new_u32(0x7FFF_FFFF).get_i32() == -1
    assert I31.new_i32(-1).get_u32() == 0x7FFF_FFFF
    assert I31.new_i32(-(1 << 30)).get_i32() == -(1 << 30)
    assert I31.new_u32(1 << 31) is I31.new_u32(-1) is None
    assert I31.new_i32(1 << 30) is I31.new_i32(-(1 << 30) - 1) is None
    assert I31.wrapping_u32(0xFFFF_FFFF).get_u32() == 0x7FFF_FFFF
    assert I31.wrapping_i32(-2).get_i32() == -2
    assert I31(5) == I31(5) != I31(6)
    assert len({I31(5), I31(5), I31(6)}) == 2


def test_host_objects_keep_their_identity(store):
    value = object()
    ref = ExternRef.new(store, value)
    assert ref.data(store) is value
    assert to_raw(store, EXTERNREF, ref) is ref
    assert from_raw(store, EXTERNREF, ref) is ref
    assert ref != ExternRef.new(store, value)
    assert ref == ref


def test_a_host_object_as_an_internal_reference(store):
    ref = ExternRef.new(store, "host")
    internal = AnyRef.convert_extern(store, ref)
    assert to_raw(store, ANYREF, internal) is ref
    assert from_raw(store, ANYREF, ref) == internal
    assert hash(from_raw(store, ANYREF, ref)) == hash(internal)
    assert ExternRef.convert_any(store, internal) is ref
    assert internal.heap_type(store) is H.ANY
    assert not internal.is_eqref(store)
    with pytest.raises(TypeError, match="expected eqref, found "):
        to_raw(store, RefType(True, H.EQ), internal)


@pytest.mark.parametrize("make", [lambda point: point, lambda point: I31(0)])
def test_an_internal_reference_as_an_external_one(store, point, make):
    value = make(point)
    raw = to_raw(store, ANYREF, value)
    external = ExternRef.convert_any(store, value)
    assert external.data(store) is None
    assert to_raw(store, EXTERNREF, external) is raw
    again = from_raw(store, EXTERNREF, raw)
    assert again == external
    assert hash(again) == hash(external)
    assert again != ExternRef.new(store, None)
    assert AnyRef.convert_extern(store, again) == value


def test_what_kind_an_internal_reference_is(store, point):
    array = ArrayRef.new(store, ArrayRefPre.new(store, BYTES), 0, 1)
    number = I31(1)
    host = AnyRef.convert_extern(store, ExternRef.new(store, 1))
    for ref, is_eq, is_i31, is_struct, is_array in (
        (point, 1, 0, 1, 0),
        (array, 1, 0, 0, 1),
        (number, 1, 1, 0, 0),
        (host, 0, 0, 0, 0),
    ):
        for kind, expected in (
            ("eqref", is_eq),
            ("i31", is_i31),
            ("struct", is_struct),
            ("array", is_array),
        ):
            assert getattr(ref, f"is_{kind}")(store) == expected
            assert getattr(ref, f"as_{kind}")(store) is (ref if expected else None)
            unwrap = getattr(ref, f"unwrap_{kind}")
            if expected:
                assert unwrap(store) is ref
            else:
                with pytest.raises(TypeError, match="^expected "):
                    unwrap(store)
    assert isinstance(point, EqRef)
    assert AnyRef.from_i31(store, number) is number


def test_heap_types(store, point):
    assert point.heap_type(store) is DefType.of(POINT)
    assert I31(1).heap_type(store) is H.I31
    assert point.matches_ty(store, H.STRUCT)
    assert not point.matches_ty(store, H.ARRAY)
    assert point.matches_ty(store, DefType.of(POINT))


def test_matching_of_raw_references(store, point):
    base = rec_group([SubType(StructType(()), final=False)]).types[0]
    derived = rec_group([SubType(StructType((FieldType(I32),)), supertype=base)]).types[0]
    instance = new_struct(derived, [0])
    func = Func.new(store, FuncType(), lambda caller: None)
    external = ExternRef(1)
    exn = ExnRef(Tag.new(store, ERROR), (1, None))
    internal = {H.ANY, H.EQ, H.I31, H.STRUCT, H.ARRAY, H.NONE}
    for raw, hierarchy, expected in (
        (5, internal, {H.ANY, H.EQ, H.I31}),
        (instance, internal, {H.ANY, H.EQ, H.STRUCT}),
        (ArrayRef(DefType.of(BYTES), []), internal, {H.ANY, H.EQ, H.ARRAY}),
        (external, internal, {H.ANY}),
        (external, {H.EXTERN, H.NOEXTERN}, {H.EXTERN}),
        (instance, {H.EXTERN, H.NOEXTERN}, {H.EXTERN}),
        (func, {H.FUNC, H.NOFUNC}, {H.FUNC}),
        (exn, {H.EXN, H.NOEXN}, {H.EXN}),
    ):
        assert {heap for heap in hierarchy if matches_heap(raw, heap)} == expected
        for heap in hierarchy:
            assert matches(raw, RefType(False, heap)) == (heap in expected)
            assert matches(None, RefType(True, heap))
            assert not matches(None, RefType(False, heap))
    assert matches_heap(instance, derived)
    assert matches_heap(instance, base)
    assert not matches_heap(new_struct(base, []), derived)
    assert not matches_heap(5, base)
    assert not matches_heap(external, base)
    assert matches_heap(func, DefType.of(FuncType()))
    assert heap_type_of(exn) is H.EXN
    assert [type_of(raw) for raw in (None, 5, external, instance)] == [
        "null",
        "(ref i31)",
        "(ref extern)",
        "(ref (struct (field i32)))",
    ]


def test_raw_helpers():
    assert [default_raw(ty) for ty in (I32, I64, F32, F64, V128, PackedType.I16, ANYREF)] == [
        0,
        0,
        0.0,
        0.0,
        bytes(16),
        0,
        None,
    ]
    assert [pack(ty, 0x12345) for ty in (PackedType.I8, PackedType.I16, I32)] == [
        0x45,
        0x2345,
        0x12345,
    ]
    big = 1 << 30
    assert same(big, int(str(big)))
    assert not same(1, 2)
    one = new_struct(DefType.of(CONSTANT), [0])
    assert same(one, one)
    assert not same(one, new_struct(DefType.of(CONSTANT), [0]))


def test_exceptions(store):
    tag = Tag.new(store, ERROR)
    pre = ExnRefPre.new(store, ERROR)
    host = ExternRef.new(store, "x")
    exn = ExnRef.new(store, pre, tag, [-5, host])
    assert exn.tag is tag
    assert exn.fields == (0xFFFF_FFFB, host)
    assert exn.get_fields(store) == [-5, host]
    assert exn.ty(store) == ERROR.type.func
    assert to_raw(store, EXNREF, exn) is exn is from_raw(store, EXNREF, exn)
    with pytest.raises(IndexError, match="^cannot access field 2: exn only has 2 fields$"):
        exn.field(store, 2)


def test_exception_errors(store):
    tag = Tag.new(store, ERROR)
    pre = ExnRefPre.new(store, ERROR)
    with pytest.raises(TypeError, match="^expected 2 fields, got 0$"):
        ExnRef.new(store, pre, tag, [])
    with pytest.raises(TypeError, match="^field type mismatch: type mismatch: expected i32, foun"):
        ExnRef.new(store, pre, tag, [None, None])
    other = ExnRefPre.new(store, TagType(DefType.of(FuncType())))
    with pytest.raises(
        TypeError, match="^incorrect signature for tag when creating exception object$"
    ):
        ExnRef.new(store, other, tag, [])
    with pytest.raises(TypeError, match="^Cannot create an exception type from a tag type with re"):
        ExnRefPre.new(store, TagType(DefType.of(FuncType((), (I32,)))))
    elsewhere = Store(store.engine)
    with pytest.raises(WrongStoreError, match="^tag comes from the wrong store$"):
        ExnRef.new(elsewhere, pre, tag, [1, None])


def test_objects_stay_in_their_store(store, point):
    other = Store(store.engine)
    array = ArrayRef.new(store, ArrayRefPre.new(store, BYTES), 0, 1)
    exn = ExnRef.new(store, ExnRefPre.new(store, ERROR), Tag.new(store, ERROR), [1, None])
    host = ExternRef.new(store, 1)
    for use in (
        lambda: point.field(other, 0),
        lambda: point.set_field(other, 0, 0),
        lambda: point.ty(other),
        lambda: array.get(other, 0),
        lambda: array.len(other),
        lambda: exn.field(other, 0),
        lambda: host.data(other),
        lambda: StructRef.new(other, StructRefPre.new(store, POINT), [1, 1]),
    ):
        with pytest.raises(WrongStoreError, match="^object used with wrong store$"):
            use()
    for ty, ref in (
        (ANYREF, point),
        (ANYREF, AnyRef.convert_extern(store, host)),
        (EXTERNREF, ExternRef.convert_any(store, point)),
        (EXNREF, exn),
    ):
        with pytest.raises(WrongStoreError, match="^reference used with wrong store$"):
            to_raw(other, ty, ref)


def test_what_a_guest_allocates_is_marked_when_it_comes_out(store):
    raw = new_struct(DefType.of(CONSTANT), [1])
    assert raw.store is None
    assert from_raw(store, ANYREF, raw) is raw
    with pytest.raises(WrongStoreError, match="^reference used with wrong store$"):
        to_raw(Store(store.engine), ANYREF, raw)


def test_cycles_are_collected(store):
    class Host:
        pass

    cyclic = ArrayType(FieldType(ANYREF, mutable=True))
    array = ArrayRef.new(store, ArrayRefPre.new(store, cyclic), None, 1)
    host = Host()
    host.reference = array
    array.set(store, 0, AnyRef.convert_extern(store, ExternRef.new(store, host)))
    gone = [weakref.ref(host), weakref.ref(array)]
    del host, array
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_host_object_goes_with_its_last_reference(store):
    class Host:
        pass

    ref = ExternRef.new(store, Host())
    gone = weakref.ref(ref.data(store))
    del ref
    assert gone() is None


def test_functions_are_not_wrapped(store):
    func = Func.new(store, FuncType(), lambda caller: None)
    array = ArrayRef.new(store, ArrayRefPre.new(store, ArrayType(FieldType(FUNCREF))), func, 1)
    assert array.get(store, 0) is func


@pytest.mark.anyio
async def test_async_twins_checkpoint(anyio_backend, store):
    struct = StructRefPre.new(store, CONSTANT)
    array = ArrayRefPre.new(store, BYTES)
    exn, tag = ExnRefPre.new(store, ERROR), Tag.new(store, ERROR)
    makers = (
        lambda: ExternRef.new_async(store, 1),
        lambda: StructRef.new_async(store, struct, [1]),
        lambda: ArrayRef.new_async(store, array, 1, 2),
        lambda: ArrayRef.new_fixed_async(store, array, [1, 2]),
        lambda: ExnRef.new_async(store, exn, tag, [1, None]),
    )
    for make in makers:
        if anyio_backend == "trio":
            import trio.testing

            with trio.testing.assert_checkpoints():
                await make()
        assert (await make()).store is store
