"""Rules about everything outside of function bodies."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.text import assemble
from asyncwasm.core.validate import validate_function, validate_module
from asyncwasm.errors import MalformedError, ValidationError
from tests.core.binary import build as b
from tests.core.validate.check import accept, reject

VALID = [
    "(memory 65536)",
    "(memory 0 65536)",
    "(memory i64 0x1000000000000)",
    "(memory 0xffffffff (pagesize 1))",
    "(memory i64 0xffffffffffffffff (pagesize 1))",
    "(table 0xffffffff funcref)",
    "(table i64 0xffffffffffffffff funcref)",
    "(table 1 (ref func) (ref.func 0)) (func)",
    "(table 0 (ref null func))",
    "(memory 1 2 shared)",
    "(global funcref (ref.func 0)) (func)",
    "(global i64 (i64.mul (i64.const 2) (i64.sub (i64.const 1) (i64.const 3))))",
    "(global $a i32 (i32.const 1)) (global i32 (i32.add (global.get $a) (i32.const 1)))",
    "(type $s (struct (field i32 (mut i8)))) (global (ref $s) (struct.new_default $s))",
    "(type $s (struct (field i32))) (global (ref $s) (struct.new $s (i32.const 1)))",
    "(type $a (array i8)) (global (ref $a) (array.new_fixed $a 2 (i32.const 1) (i32.const 2)))",
    "(type $a (array i8)) (global (ref $a) (array.new $a (i32.const 1) (i32.const 2)))",
    "(type $a (array i8)) (global (ref eq) (array.new_default $a (i32.const 2)))",
    "(global externref (extern.convert_any (ref.i31 (i32.const 1))))",
    "(global anyref (any.convert_extern (ref.null extern)))",
    "(start 0) (func)",
    '(export "a" (func 0)) (export "b" (func 0)) (func)',
    "(table 1 funcref) (elem (i32.const 0) func 0) (func)",
    "(table i64 1 funcref) (elem (i64.const 0) func 0) (func)",
    "(elem declare func 0) (func)",
    "(elem funcref (ref.null func) (ref.func 0)) (func)",
    '(memory i64 1) (data (i64.const 0) "")',
    '(data "passive")',
    "(tag (param i32 i64))",
]


@pytest.mark.parametrize("fields", VALID)
def test_valid_modules(fields: str):
    accept(f"(module {fields})")


INVALID = [
    ("(memory 65537)", "memory size must be at most 65536 pages"),
    ("(memory 0 65537)", "memory size must be at most 65536 pages"),
    ("(memory 2 1)", "size minimum must not be greater than maximum"),
    ("(memory i64 0x1000000000001)", "memory size must be at most"),
    ("(memory 0x100000000 (pagesize 1))", "memory size must be at most"),
    ("(memory 1 (pagesize 2))", "invalid custom page size"),
    ("(memory 1 shared)", "shared memory must have maximum"),
    ("(table 2 1 funcref)", "size minimum must not be greater than maximum"),
    ("(table 0x100000000 funcref)", "table size must be at most 4294967295 elements"),
    ("(table 0 (ref func))", "type mismatch: table 0 must have an initial value"),
    ("(table 1 funcref (ref.null extern))", "type mismatch: expected funcref, found externref"),
    ("(table 1 funcref (global.get 0)) (global funcref (ref.null func))", "unknown global 0"),
    ('(import "" "" (tag (result i32)))', "non-empty tag result type"),
    ("(tag (result i32))", "non-empty tag result type"),
    ("(global i32 (i64.const 1))", "type mismatch: expected i32, found i64"),
    ("(global i32)", "type mismatch: expected an operand"),
    ("(global i32 (i32.const 1) (i32.const 2))", "type mismatch: values remain"),
    ("(global i32 (nop) (i32.const 1))", "constant expression required: `nop`"),
    ("(global i32 (i32.ctz (i32.const 1)))", "constant expression required: `i32.ctz`"),
    ("(global i32 (block (result i32) (i32.const 1)))", "constant expression required"),
    ("(global i32 (global.get 0))", "unknown global 0"),
    ("(global i32 (global.get 1)) (global i32 (i32.const 0))", "unknown global 1"),
    (
        '(import "" "" (global (mut i32))) (global i32 (global.get 0))',
        "constant expression required: global 0 is mutable",
    ),
    ("(global funcref (ref.func 0))", "unknown function 0"),
    ('(export "a" (func 0))', "unknown function 0"),
    ('(export "a" (table 0))', "unknown table 0"),
    ('(export "a" (memory 0))', "unknown memory 0"),
    ('(export "a" (global 0))', "unknown global 0"),
    ('(export "a" (tag 0))', "unknown tag 0"),
    ('(export "a" (func 0)) (export "a" (memory 0)) (func) (memory 1)', "duplicate export name"),
    ("(start 0)", "unknown function 0"),
    ("(start 0) (func (param i32))", "start function"),
    ("(start 0) (func (result i32) (i32.const 0))", "start function"),
    ("(elem (i32.const 0) func 0) (func)", "unknown table 0"),
    ("(table 1 funcref) (elem (i64.const 0) func)", "type mismatch: expected i32, found i64"),
    ("(table 1 externref) (elem (i32.const 0) func 0) (func)", "type mismatch: table 0"),
    ("(table 1 funcref) (elem (i32.const 0) func 1) (func)", "unknown function 1"),
    ("(elem funcref (ref.null extern))", "type mismatch: expected funcref, found externref"),
    ("(elem (ref func) (ref.null func))", "type mismatch: expected"),
    ('(data (i32.const 0) "")', "unknown memory 0"),
    ('(memory i64 1) (data (i32.const 0) "")', "type mismatch: expected i64, found i32"),
    ("(type $s (struct (field (ref any)))) (global (ref $s) (struct.new_default $s))", "default"),
]


@pytest.mark.parametrize(("fields", "message"), INVALID)
def test_invalid_modules(fields: str, message: str):
    reject(f"(module {fields})", message)


def test_functions_that_are_declared():
    info = accept("""
    (module (table 1 funcref)
      (func $start) (func $exported (export "f")) (func $listed) (func $expr) (func $global)
      (func $table) (func $body)
      (start $start) (elem declare func $listed) (elem funcref (ref.func $expr))
      (global funcref (ref.func $global)) (table 1 funcref (ref.func $table)))
    """)
    assert info.declared_funcs == {1, 2, 3, 4, 5}
    reject("(module (func $f (drop (ref.func $f))))", "undeclared function reference 0")
    reject("(module (func $f (drop (ref.func $f))) (start $f))", "undeclared function reference 0")
    accept('(module (func $f (export "f") (drop (ref.func $f))))')


def test_bodies_wait_if_validation_is_lazy():
    binary = assemble('(module (import "" "" (func)) (func) (func (drop)))')
    info = decode_module(binary, ALL)
    validate_module(info, ALL, lazy=True)
    validate_function(info, 1, ALL)
    with pytest.raises(ValidationError, match="nothing on the stack"):
        validate_function(info, 2, ALL)
    with pytest.raises(ValidationError, match="nothing on the stack"):
        validate_module(info, ALL)


def test_errors_have_the_place_of_the_instruction():
    data = b.function(b"\x01\x6a")
    error = reject(data, "type mismatch")
    assert data[error.offset] == 0x6A  # type: ignore[attr-defined]
    data = b.module(b.section(b.GLOBAL, b"\x7f\0\x41\0\x01\x0b"))
    error = reject(data, "constant expression required")
    assert data[error.offset] == 0x01  # type: ignore[attr-defined]


def test_malformed_constants_are_malformed():
    info = decode_module(b.module(b.section(b.GLOBAL, b"\x7f\0\xfc\x08\0\0\x0b")), ALL)
    with pytest.raises(ValidationError, match="constant expression required"):
        validate_module(info, ALL)
    with pytest.raises(MalformedError, match="illegal opcode"):
        decode_module(b.module(b.section(b.GLOBAL, b"\x7f\0\xfc\x7f\x0b")), ALL)


@pytest.mark.parametrize("value", [0, -1, 63, 64, -(1 << 31), (1 << 31) - 1])
def test_constants_of_every_length(value: int):
    accept(b.module(b.section(b.GLOBAL, b"\x7f\0\x41" + b.s(value) + b"\x0b")))


def test_types_are_not_spelled_out_in_messages():
    """The structure of a type may be of exponential size; its index is not."""
    pairs = " ".join(
        f"(type $t{i} (struct (field (ref null $t{i - 1}) (ref null $t{i - 1}))))"
        for i in range(1, 100)
    )
    text = f"(module (type $t0 (struct)) {pairs} (func (param (ref $t99)) (i32.eqz (local.get 0))))"
    reject(text, "type mismatch: expected i32, found \\(ref 99\\)")
