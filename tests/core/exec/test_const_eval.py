"""Constant expressions, written as bytes."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import pytest

from asyncwasm.core.binary.leb128 import write_signed
from asyncwasm.core.exec.const_eval import evaluate
from asyncwasm.core.isa.table import BY_NAME
from asyncwasm.core.module import ModuleInfo, Span
from asyncwasm.core.runtime.gc import MAX_ARRAY_LENGTH, ArrayRef, ExternRef, StructRef
from asyncwasm.core.types import (
    EXTERNREF,
    I64,
    ArrayType,
    DefType,
    FieldType,
    PackedType,
    StructType,
)
from asyncwasm.errors import Trap, TrapCode

STRUCT = DefType.of(StructType((FieldType(PackedType.I8), FieldType(I64), FieldType(EXTERNREF))))
ARRAY = DefType.of(ArrayType(FieldType(PackedType.I16)))
HOST = ExternRef("host")
FUNC = object()


def op(name: str, immediates: bytes = b"") -> bytes:
    row = BY_NAME[name]
    prefix = b"" if row.prefix is None else bytes((row.prefix,))
    assert row.number < 0x80 or row.prefix is None
    return prefix + bytes((row.number,)) + immediates


def i32(value: int) -> bytes:
    return op("i32.const", write_signed(value))


def i64(value: int) -> bytes:
    return op("i64.const", write_signed(value))


def run(*code: bytes):
    body = b"".join(code) + op("end")
    info = ModuleInfo(data=b"before" + body + b"after", types=[STRUCT, ARRAY])
    instance = SimpleNamespace(
        info=info,
        globals=[SimpleNamespace(value=41), SimpleNamespace(value=HOST)],
        func=lambda index: (FUNC, index),
    )
    return evaluate(instance, Span(6, 6 + len(body)))


def test_numbers():
    assert run(i32(-1)) == 0xFFFF_FFFF
    assert run(i64(-1)) == 0xFFFF_FFFF_FFFF_FFFF
    assert run(op("f32.const", struct.pack("<f", 1.5))) == 1.5
    assert run(op("f64.const", struct.pack("<d", 0.1))) == 0.1
    assert math.isnan(run(op("f32.const", b"\1\0\x80\x7f")))
    assert run(op("v128.const", bytes(range(16)))) == bytes(range(16))


def test_arithmetic_wraps():
    for ty, const, top in (("i32", i32, 1 << 32), ("i64", i64, 1 << 64)):
        assert run(const(-1), const(2), op(f"{ty}.add")) == 1
        assert run(const(1), const(2), op(f"{ty}.sub")) == top - 1
        assert run(const(-3), const(5), op(f"{ty}.mul")) == top - 15
    assert run(op("global.get", b"\0"), i32(2), i32(3), op("i32.mul"), op("i32.sub")) == 35


def test_references():
    assert run(op("ref.null", b"\x70")) is None
    assert run(op("ref.func", b"\5")) == (FUNC, 5)
    assert run(op("global.get", b"\1")) is HOST
    assert run(i32(-1), op("ref.i31")) == 0x7FFF_FFFF
    assert run(op("global.get", b"\1"), op("any.convert_extern")) is HOST
    assert run(i32(3), op("ref.i31"), op("extern.convert_any")) == 3


def test_structs():
    made = run(i32(0x1FF), i64(-2), op("global.get", b"\1"), op("struct.new", b"\0"))
    assert isinstance(made, StructRef)
    assert made.type is STRUCT
    assert made.fields == [0xFF, (1 << 64) - 2, HOST]
    assert run(op("struct.new_default", b"\0")).fields == [0, 0, None]


def test_arrays():
    made = run(i32(0x12345), i32(2), op("array.new", b"\1"))
    assert isinstance(made, ArrayRef)
    assert made.type is ARRAY
    assert list(made.elements) == [0x2345, 0x2345]
    assert list(run(i32(3), op("array.new_default", b"\1")).elements) == [0, 0, 0]
    made = run(i32(-1), i32(7), op("array.new_fixed", b"\1\2"))
    assert list(made.elements) == [0xFFFF, 7]
    assert list(run(op("array.new_fixed", b"\1\0")).elements) == []


@pytest.mark.parametrize("length", [MAX_ARRAY_LENGTH + 1, -1])
def test_absurd_arrays_trap(length):
    for code in (
        (i32(1), i32(length), op("array.new", b"\1")),
        (i32(length), op("array.new_default", b"\1")),
    ):
        with pytest.raises(Trap) as caught:
            run(*code)
        assert caught.value.code is TrapCode.ALLOCATION_TOO_LARGE
