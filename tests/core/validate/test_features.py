"""Every proposal that is switched off takes what it brought with it, and names its switch."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import ValidationError
from tests.core.binary import build as b
from tests.core.validate.check import accept, reject, without

# The shortest immediates of every kind.
_IMMEDIATES = {
    "labelvec": b"\0\0",
    "blocktype": b"\x40",
    "heaptype": b"\x70",
    "valtypevec": b"\x01\x7f",
    "catchvec": b"\0",
    "castop": b"\0\0\x6e\x6e",
    "memarg": b"\0\0",
    "f32": bytes(4),
    "f64": bytes(8),
    "v128": bytes(16),
    "lanes16": bytes(16),
}


def instruction(row: Row) -> bytes:
    opcode = bytes((row.prefix,)) + b.u(row.number) if row.prefix else bytes((row.number,))
    return opcode + b"".join(_IMMEDIATES.get(kind, b"\0") for kind in row.immediates)


@pytest.mark.parametrize("row", [row for row in TABLE if row.feature], ids=lambda row: row.name)
def test_instructions(row: Row):
    assert row.feature is not None
    end = b"\x0b" if "blocktype" in row.immediates else b""
    info = decode_module(b.function(b"\0" + instruction(row) + end + b"\0"), ALL)
    with pytest.raises(ValidationError, match=f"see `{row.feature.switch}`"):
        validate_module(info, without(row.feature))


CONSTRUCTS = [
    ("(memory 1) (memory 1)", Feature.MULTI_MEMORY),
    ('(import "" "" (memory 1)) (memory 1)', Feature.MULTI_MEMORY),
    ("(table 1 funcref) (table 1 funcref)", Feature.REFERENCE_TYPES),
    ("(memory i64 1)", Feature.MEMORY64),
    ("(table i64 1 funcref)", Feature.MEMORY64),
    ("(memory 1 1 shared)", Feature.THREADS),
    ("(memory 1 (pagesize 1))", Feature.CUSTOM_PAGE_SIZES),
    ('(global (export "g") (mut i32) (i32.const 0))', Feature.MUTABLE_GLOBAL),
    ("(global i32 (i32.add (i32.const 1) (i32.const 2)))", Feature.EXTENDED_CONST),
    ("(global v128 (v128.const i64x2 0 0))", Feature.SIMD),
    ("(global (ref i31) (ref.i31 (i32.const 1)))", Feature.GC),
    ("(func (local v128))", Feature.SIMD),
    ("(func (local externref))", Feature.REFERENCE_TYPES),
    ("(func (local anyref))", Feature.GC),
    ("(func (local exnref))", Feature.EXCEPTIONS),
    ("(func (local (ref func)))", Feature.FUNCTION_REFERENCES),
    ("(func (drop (ref.null any)))", Feature.GC),
    ("(func (block (result v128) (unreachable)) (drop))", Feature.SIMD),
    ("(func (block (result i32 i32) (unreachable)) (drop) (drop))", Feature.MULTI_VALUE),
    ("(func (param i32) (local.get 0) (block (param i32) (drop)))", Feature.MULTI_VALUE),
    ("(func (select (result (ref func)) (unreachable)) (drop))", Feature.FUNCTION_REFERENCES),
    ("(func (drop (ref.test (ref func) (ref.null func))))", Feature.GC),
    ("(tag)", Feature.EXCEPTIONS),
]


@pytest.mark.parametrize(("text", "feature"), CONSTRUCTS)
def test_constructs(text: str, feature: Feature):
    accept(f"(module {text})")
    reject(
        f"(module {text})", f"support is not enabled -- see `{feature.switch}`", without(feature)
    )


def test_globals_that_constants_may_read():
    """Only imported ones, before garbage collection."""
    own = "(module (global i32 (i32.const 1)) (global i32 (global.get 0)))"
    imported = '(module (import "" "" (global i32)) (global i32 (global.get 0)))'
    accept(own)
    reject(own, "unknown global 0", without(Feature.GC))
    accept(imported, frozenset())
