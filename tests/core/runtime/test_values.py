"""Converting values between what hosts see and what engines hold."""

from __future__ import annotations

import enum
import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.gc import I31, ExternRef
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.runtime.values import convert, from_raw, to_raw
from asyncwasm.core.types import (
    ANYREF,
    EXNREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I31REF,
    I32,
    I64,
    NULLFUNCREF,
    V128,
    AbsHeapType,
    DefType,
    FuncType,
    RefType,
)
from asyncwasm.errors import WrongStoreError


@pytest.fixture(scope="module")
def store() -> Store[None]:
    return Store(Engine())


@pytest.mark.parametrize(("ty", "bits"), [(I32, 32), (I64, 64)])
def test_integers(store, ty, bits):
    top = 1 << bits
    for value, raw, back in (
        (0, 0, 0),
        (-1, top - 1, -1),
        (top - 1, top - 1, -1),
        (top // 2 - 1, top // 2 - 1, top // 2 - 1),
        (-top // 2, top // 2, -top // 2),
        (top // 2, top // 2, -top // 2),
    ):
        assert to_raw(store, ty, value) == raw
        assert from_raw(store, ty, raw) == back
    for value in (top, -top // 2 - 1, 10**5000, -(10**5000)):
        with pytest.raises(OverflowError, match=f"^integer out of range for {ty}$"):
            to_raw(store, ty, value)


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_an_i64_means_the_same_outside_and_inside(value):
    raw = to_raw(None, I64, value)
    assert 0 <= raw < 1 << 64
    assert (raw - value) % (1 << 64) == 0
    assert to_raw(None, I64, from_raw(None, I64, raw)) == raw


def test_integers_of_other_classes(store):
    class Level(enum.IntEnum):
        HIGH = 3

    class Index:
        def __index__(self):
            return -2

    raw = to_raw(store, I32, Level.HIGH)
    assert (raw, type(raw)) == (3, int)
    assert to_raw(store, I32, Index()) == 0xFFFF_FFFE


@pytest.mark.parametrize(
    ("ty", "value", "found"),
    [
        (I32, True, "bool"),
        (I32, 1.0, "float"),
        (I64, "1", "str"),
        (I64, None, "NoneType"),
        (F32, True, "bool"),
        (F32, "1.0", "str"),
        (F64, b"1", "bytes"),
        (F64, memoryview(b"1"), "memoryview"),
        (F64, None, "NoneType"),
        (V128, 5, "int"),
        (V128, "0123456789abcdef", "str"),
    ],
)
def test_numbers_of_the_wrong_kind(store, ty, value, found):
    with pytest.raises(TypeError, match=f"^type mismatch: expected {ty}, found {found}$"):
        to_raw(store, ty, value)


def test_floats(store):
    assert to_raw(store, F64, 0.1) == 0.1
    raw = to_raw(store, F64, 3)
    assert (raw, type(raw)) == (3.0, float)
    assert to_raw(store, F32, 0.1) == f32_from_bits(0x3DCC_CCCD)
    assert to_raw(store, F32, 1e300) == math.inf
    assert to_raw(store, F32, 1e-300) == 0.0
    assert math.copysign(1, to_raw(store, F32, -0.0)) == -1
    assert from_raw(store, F32, 0.5) == from_raw(store, F64, 0.5) == 0.5
    for ty in (F32, F64):
        with pytest.raises(OverflowError):
            to_raw(store, ty, 10**400)


@given(st.integers(1, (1 << 22) - 1), st.booleans(), st.booleans())
def test_nan_payloads_survive(payload, quiet, negative):
    bits = 0x7F80_0000 | payload | quiet << 22 | negative << 31
    single = f32_from_bits(bits)
    assert f32_to_bits(to_raw(None, F32, single)) == bits
    double = f64_from_bits(f64_to_bits(single) | 1)
    assert f64_to_bits(to_raw(None, F64, double)) == f64_to_bits(double)
    # A single has no room for the last bit.
    assert f32_to_bits(to_raw(None, F32, double)) == bits


def test_a_nan_whose_payload_is_too_small_for_a_single_stays_a_nan(store):
    assert math.isnan(to_raw(store, F32, f64_from_bits(0x7FF0_0000_0000_0001)))


def test_vectors(store):
    value = bytes(range(16))
    assert to_raw(store, V128, value) is value
    assert to_raw(store, V128, bytearray(value)) == value
    raw = to_raw(store, V128, array("I", [1, 2, 3, 4]))
    assert raw == b"\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"
    assert from_raw(store, V128, value) is value
    with pytest.raises(TypeError, match="^type mismatch: expected v128, found 15 bytes$"):
        to_raw(store, V128, bytes(15))


def test_null(store):
    for ty in (FUNCREF, EXTERNREF, ANYREF, EXNREF, NULLFUNCREF):
        assert to_raw(store, ty, None) is None
        assert from_raw(store, ty, None) is None
    func = RefType(False, AbsHeapType.FUNC)
    with pytest.raises(
        TypeError,
        match=r"^type mismatch: expected non-nullable \(ref func\), found null reference$",
    ):
        to_raw(store, func, None)


def test_functions(store):
    nothing = DefType.of(FuncType())
    func = Func.new(store, nothing, lambda caller: None)
    for ty in (FUNCREF, RefType(False, nothing)):
        assert to_raw(store, ty, func) is func
        assert from_raw(store, ty, func) is func
    with pytest.raises(TypeError, match=r"expected \(ref \(func \(param i32\)\)\), found \(ref"):
        to_raw(store, RefType(False, DefType.of(FuncType((I32,)))), func)
    with pytest.raises(TypeError, match="expected nullfuncref, found "):
        to_raw(store, NULLFUNCREF, func)
    with pytest.raises(WrongStoreError, match="^value used with wrong store$"):
        to_raw(Store(store.engine), FUNCREF, func)


@pytest.mark.parametrize(
    ("ty", "value", "text"),
    [
        (FUNCREF, print, "funcref, found builtin_function_or_method"),
        (EXTERNREF, "host", "externref, found str; make one with `ExternRef.new`"),
        (ANYREF, 5, "anyref, found int"),
        (EXNREF, ValueError(), "exnref, found ValueError"),
        (FUNCREF, I31(5), r"funcref, found \(ref i31\)"),
    ],
)
def test_references_of_the_wrong_kind(store, ty, value, text):
    with pytest.raises(TypeError, match=f"^type mismatch: expected {text}$"):
        to_raw(store, ty, value)


def test_references_of_another_store(store):
    ref = ExternRef.new(Store(store.engine), 1)
    with pytest.raises(WrongStoreError, match="^reference used with wrong store$"):
        to_raw(store, EXTERNREF, ref)


def test_i31_belongs_to_every_store(store):
    assert to_raw(store, I31REF, I31(7)) == 7
    assert to_raw(store, ANYREF, I31(7)) == 7
    assert from_raw(store, ANYREF, 7) == I31(7)


def test_contexts_go_in_front(store):
    with pytest.raises(TypeError, match="^while testing: type mismatch: expected i32, found str$"):
        convert(store, I32, "x", "while testing")
    with pytest.raises(OverflowError, match="^while testing: integer out of range for i32$"):
        convert(store, I32, 1 << 32, "while testing")
    other = Func.new(Store(store.engine), FuncType(), lambda caller: None)
    with pytest.raises(WrongStoreError, match="^while testing: value used with wrong store$"):
        convert(store, FUNCREF, other, "while testing")
    assert convert(store, I32, 5, "while testing") == 5
