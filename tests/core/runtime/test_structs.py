"""Structs as Python objects: classes, inline numbers, size, and their end."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from importlib.util import find_spec

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
    # On the versions that the project supports.
    is_known = sys.implementation.name == "cpython" and sys.maxsize > 1 << 32
    assert (is_known and find_spec("llvmlite") is not None) == INLINE


def test_numbers_are_objects_where_there_is_no_native_code():
    program = '''if 1:
        import gc, sys
        sys.modules["llvmlite"] = None
        from asyncwasm import *
        from asyncwasm.core.runtime.storage import INLINE
        assert not INLINE
        store = Store(Engine())
        module = Module(store.engine, r"""(module
          (type $s (struct (field (mut i32)) (field f64))) (type $a (array (mut i16)))
          (type $f (array (mut f32))) (data $d "\\01\\80\\02\\00\\00\\3f")
          (func (export "struct") (result (ref $s))
            (struct.new $s (i32.const 77777) (f64.const 0.5)))
          (func (export "array") (result (ref $a))
            (local $a (ref $a))
            (local.set $a (array.new_data $a $d (i32.const 0) (i32.const 3)))
            (array.fill $a (local.get $a) (i32.const 1) (i32.const 0x12345) (i32.const 1))
            (local.get $a))
          (func (export "floats") (result (ref $f))
            (local $f (ref $f))
            (local.set $f (array.new_default $f (i32.const 3)))
            (array.init_data $f $d (local.get $f) (i32.const 1) (i32.const 2) (i32.const 1))
            (local.get $f)))""")
        instance = Instance.new(store, module)
        call = lambda name: instance.get_func(store, name).call(store)
        assert call("struct").fields == [77777, 0.5]
        assert 0.5 in gc.get_referents(call("struct"))
        assert call("array").elements == [0x8001, 0x2345, 0x3F00]
        assert call("floats").elements == [0.0, 0.5 + 2**-23, 0.0]
        '''
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_every_type_of_field():
    largest = 0xFF, 0xFFFF, 0xFFFF_FFFF, (1 << 64) - 1, 1.5, -0.0, bytes(range(16)), None
    made = new_struct(struct_type(*ALL), largest)
    assert made.fields == list(largest)
    assert math.copysign(1, made.fields[5]) == -1
    for index, value in enumerate((0, 0, 0, 0, 0.0, math.inf, bytes(16), "object")):
        setattr(made, slot_name(index), value)
    assert made.fields == [0, 0, 0, 0, 0.0, math.inf, bytes(16), "object"]


@pytest.mark.skipif(not INLINE, reason="numbers are objects")
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


def test_finalizers_may_want_the_class_that_is_being_made():
    ty = struct_type(I64, I64, I32, I64)
    found = []

    class Garbage:
        def __del__(self) -> None:
            found.append(struct_class(ty))

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(20):
            ring = [Garbage()]
            ring.append(ring)
            del ring
            found.append(struct_class(ty))
    finally:
        gc.set_threshold(*thresholds)
    assert len(found) > 20
    assert len(set(found)) == 1


def test_the_class_is_not_for_others():
    with pytest.raises(TypeError, match="^type `StructRef` is not an acceptable base type$"):
        type("Own", (StructRef,), {})
    with pytest.raises(TypeError, match="^type `StructRef` is not an acceptable base type$"):
        type("Own", (struct_class(struct_type(I32)),), {"__slots__": ()})


@pytest.mark.skipif(not INLINE, reason="numbers are objects")
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
