"""Structs as Python objects: classes, inline numbers, size, and their end."""

from __future__ import annotations

import gc
import math
import sys
import weakref

import pytest

from asyncwasm import Engine, ExternRef, Store, StructRef
from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.runtime.storage import INLINE, offset_of, slot_name
from asyncwasm.core.runtime.structs import StructRefPre, new_struct, struct_class
from asyncwasm.core.types import (
    ANYREF,
    EXTERNREF,
    F32,
    F64,
    I32,
    I64,
    V128,
    DefType,
    FieldType,
    PackedType,
    StructType,
    SubType,
    rec_group,
)

ALL = (PackedType.I8, PackedType.I16, I32, I64, F32, F64, V128, EXTERNREF)


def struct_type(*storages, supertype=None, final=True) -> DefType:
    comp = StructType(tuple(FieldType(storage, mutable=True) for storage in storages))
    return rec_group([SubType(comp, final, supertype)]).types[0]


def chain(count: int) -> StructRef:
    """A linked list."""
    make, last = struct_class(struct_type(I32, ANYREF)), None
    for number in range(count):
        last = make(number, last)
    return last


@pytest.fixture
def store() -> Store[None]:
    return Store(Engine())


def test_cpython_has_numbers_in_the_objects():
    # On the versions that the project supports; elsewhere the portable engine does without.
    assert (sys.implementation.name == "cpython" and sys.maxsize > 1 << 32) == INLINE


def test_every_type_of_field():
    largest = 0xFF, 0xFFFF, 0xFFFF_FFFF, (1 << 64) - 1, 1.5, -0.0, bytes(range(16)), None
    made = new_struct(struct_type(*ALL), largest)
    assert made.fields == list(largest)
    assert math.copysign(1, made.fields[5]) == -1
    for index, value in enumerate((0, 0, 0, 0, 0.0, math.inf, bytes(16), "object")):
        setattr(made, slot_name(index), value)
    assert made.fields == [0, 0, 0, 0, 0.0, math.inf, bytes(16), "object"]


def test_numbers_take_no_objects():
    made = new_struct(struct_type(*ALL), [1 << 7, 1 << 15, 1 << 31, 1 << 63, 0.1, 0.2, b"", None])
    referents = gc.get_referents(made)
    assert [item for item in referents if isinstance(item, (int, float))] == []
    assert b"" in referents


@pytest.mark.parametrize("bits", [0x7FA0_0001, 0xFF80_0001, 0x7FC0_0000, 0xFFFF_FFFF, 1])
def test_singles_keep_their_bits(bits):
    made = new_struct(struct_type(F32, F64), [f32_from_bits(bits), f64_from_bits(bits << 32 | 1)])
    assert (f32_to_bits(made.fields[0]), f64_to_bits(made.fields[1])) == (bits, bits << 32 | 1)


def test_a_subtype_has_the_fields_of_its_supertype_where_that_has_them():
    base = struct_type(I32, ANYREF, final=False)
    middle = struct_type(I32, ANYREF, F64, *[I64] * 20, supertype=base, final=False)
    lowest = struct_type(I32, ANYREF, F64, *[I64] * 20, V128, supertype=middle)
    classes = [struct_class(ty) for ty in (lowest, middle, base)]
    assert [cls.__base__ for cls in classes] == [*classes[1:], StructRef]
    assert [cls.type for cls in classes] == [lowest, middle, base]
    made = classes[0](7, None, 0.5, *range(20), b"v")
    assert made.fields == [7, None, 0.5, *range(20), b"v"]
    assert isinstance(made, StructRef)
    first = offset_of(classes[2], "f0")
    for cls in classes:
        for index in range(cls is not classes[2], len(cls.type.comp.fields)):
            if slot_name(index) in cls.__dict__:
                assert offset_of(cls, slot_name(index)) == first + 8 * index


@pytest.mark.parametrize("count", [0, 1, 100, 101, 10_000])
def test_structs_of_any_size(count):
    made = new_struct(struct_type(*[I64] * count), range(count))
    assert made.fields == list(range(count))


def test_classes_go_with_their_types():
    ty = struct_type(I32, I32, I32, I64, I64)
    assert struct_class(ty) is struct_class(ty)
    gone = weakref.ref(struct_class(ty))
    del ty
    gc.collect()
    assert gone() is None


def test_the_class_is_not_for_others():
    with pytest.raises(TypeError, match="^type `StructRef` is not an acceptable base type$"):
        type("Own", (StructRef,), {})
    with pytest.raises(TypeError, match="^type `StructRef` is not an acceptable base type$"):
        type("Own", (struct_class(struct_type(I32)),), {"__slots__": ()})


@pytest.mark.skipif(not INLINE, reason="this Python has numbers as objects")
def test_size():
    """Two words of the collector's, two of any object, one for the store, one for each field."""
    made = new_struct(struct_type(I32, I64, F64, ANYREF), [1, 1 << 60, 0.1, None])
    assert sys.getsizeof(made) == 8 * (2 + 2 + 1 + 4)


def test_a_long_chain_goes():
    head = chain(1_000_000)
    kept = head.f1.f1
    del head
    assert kept.f0 == 999_997
    del kept


def test_cycles_are_collected(store):
    class Host:
        pass

    host = Host()
    gone = weakref.ref(host)
    make = struct_class(struct_type(I32, EXTERNREF, ANYREF))
    first = make(1, ExternRef.new(store, host), None)
    last = first
    for _ in range(100):
        last = make(2, None, last)
    first.f2 = last
    host.first = first
    del first, last, host
    gc.collect()
    assert gone() is None


def test_hosts_see_them_as_ever(store):
    pre = StructRefPre.new(store, struct_type(*ALL[:6]))
    made = StructRef.new(store, pre, [-1, -1, -1, -1, 1.5, 2.5])
    assert made.get_fields(store) == [0xFF, 0xFFFF, -1, -1, 1.5, 2.5]
    made.set_field(store, 3, -5)
    made.set_field(store, 0, 0x123)
    assert (made.field(store, 3), made.field(store, 0)) == (-5, 0x23)
    assert type(made).__name__ == "StructRef"
