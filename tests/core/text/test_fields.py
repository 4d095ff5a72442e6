"""Fields of modules: abbreviations, index spaces, types, and their errors."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.text import assemble
from asyncwasm.errors import ValidationError
from tests.core.text.check import reject, sections


@pytest.mark.parametrize(
    ("short", "full"),
    [
        # Inline imports and exports.
        ('(func (import "m" "n"))', '(import "m" "n" (func))'),
        (
            '(func $f (export "a") (export "b") (import "m" "n") (param $x i32) (result i64))',
            '(import "m" "n" (func $f (param i32) (result i64)))'
            ' (export "a" (func $f)) (export "b" (func $f))',
        ),
        ('(table (export "t") 1 2 funcref)', '(table 1 2 funcref) (export "t" (table 0))'),
        (
            '(table (import "m" "n") i64 1 externref)',
            '(import "m" "n" (table i64 1 externref))',
        ),
        ('(memory (import "m" "n") 1 2 shared)', '(import "m" "n" (memory i32 1 2 shared))'),
        ('(memory (export "m") i64 1)', '(memory i64 1) (export "m" (memory 0))'),
        ('(global (import "m" "n") (mut i32))', '(import "m" "n" (global (mut i32)))'),
        (
            '(global (export "g") i32 (i32.const 1))',
            '(global i32 i32.const 1) (export "g" (global 0))',
        ),
        ('(tag (import "m" "n") (param i32))', '(import "m" "n" (tag (param i32)))'),
        ('(tag (export "e"))', '(type (func)) (tag (type 0)) (export "e" (tag 0))'),
        # Types.
        ("(func (param i32) (param) (param i64 f32))", "(func (param i32 i64 f32))"),
        ("(type $t (func)) (func (type $t))", "(type (func)) (func)"),
        ("(type $t (func (param i32))) (func (type $t))", "(func (param i32))"),
        (
            "(func (param i32)) (type (func (param i32)))",
            "(type (func (param i32))) (func (type 0))",
        ),
        ("(rec (type (func)))", "(type (func))"),
        ("(type (sub final (func)))", "(type (func))"),
        ("(type (struct (field i32 (mut i8))))", "(type (struct (field i32) (field (mut i8))))"),
        (
            "(func (param anyref eqref i31ref structref arrayref nullref funcref nullfuncref"
            " exnref nullexnref externref nullexternref))",
            "(func (param (ref null any) (ref null eq) (ref null i31) (ref null struct)"
            " (ref null array) (ref null none) (ref null func) (ref null nofunc) (ref null exn)"
            " (ref null noexn) (ref null extern) (ref null noextern)))",
        ),
        # Segments.
        (
            "(table funcref (elem $f $f)) (func $f)",
            "(table 2 2 funcref) (elem (table 0) (i32.const 0) func 0 0) (func)",
        ),
        (
            "(table i64 (ref null func) (elem (ref.func 0) (item ref.null func))) (func)",
            "(table i64 2 2 funcref)"
            " (elem (i64.const 0) funcref (item ref.func 0) (ref.null func)) (func)",
        ),
        (
            "(type $f (func)) (table (ref null $f) (elem 0)) (func)",
            "(type (func)) (table 1 1 (ref null 0))"
            " (elem (offset (i32.const 0)) (ref null 0) (item (ref.func 0))) (func)",
        ),
        (
            "(table 1 funcref) (elem (i32.const 0) $f) (func $f)",
            "(table 1 funcref) (elem (table 0) (offset i32.const 0) func 0) (func)",
        ),
        ("(table 1 funcref) (elem 0 (i32.const 0))", "(table 1 funcref) (elem (i32.const 0) func)"),
        ('(memory (data "ab" "c"))', '(memory 1 1) (data (i32.const 0) "abc")'),
        ("(memory i64 (data))", "(memory i64 0 0) (data (i64.const 0))"),
        (
            '(memory (pagesize 1) (data "abc"))',
            '(memory 3 3 (pagesize 1)) (data (memory 0) (offset (i32.const 0)) "abc")',
        ),
        ('(memory 1) (data 0 (i32.const 0) "a")', '(memory 1) (data (i32.const 0) "a")'),
        ("(table 1 funcref (ref.null func))", "(table 1 funcref ref.null func)"),
        # Modules.
        ("", "(module)"),
        ("(func)", "(module (func))"),
        ("(module definition (func))", "(module (func))"),
        ('(module binary "\\00asm" "\\01\\00\\00\\00")', "(module)"),
        ('(module quote "(func" ")")', "(func)"),
    ],
)
def test_abbreviations(short: str, full: str):
    """Every abbreviation assembles to what it stands for."""
    assert sections(assemble(short)) == sections(assemble(full))


@pytest.mark.parametrize(
    ("text", "number", "content"),
    [
        ("(type (sub (func)))", 1, "01 50 00 60 00 00"),
        ("(type $a (sub (func))) (type (sub $a (func)))", 1, "02 50 00 60 00 00 50 01 00 60 00 00"),
        ("(type $a (sub (func))) (type (sub final $a (func)))", 1,
         "02 50 00 60 00 00 4f 01 00 60 00 00"),
        ("(rec)", 1, "01 4e 00"),
        ("(rec (type $a (struct (field (ref $a) (ref null $b)))) (type $b (array (mut i16))))", 1,
         "01 4e 02 5f 02 64 00 00 63 01 00 5e 77 01"),
        ("(table i64 1 2 (ref func) (ref.func 0))", 4, "01 40 00 64 70 05 01 02 d2 00 0b"),
        ("(memory 1 (pagesize 1))", 5, "01 08 01 00"),
        ("(memory i64 1 2 shared (pagesize 65536))", 5, "01 0f 01 02 10"),
        ("(memory 0xffff_ffff_ffff_ffff)", 5, "01 00 ff ff ff ff ff ff ff ff ff 01"),
        ("(global (mut (ref null extern)))", 6, "01 6f 01 0b"),
        ("(start $f) (func $f)", 8, "00"),
        ("(elem func 1 2)", 9, "01 01 00 02 01 02"),
        ("(elem declare func)", 9, "01 03 00 00"),
        ("(elem declare (ref func) (ref.func 0))", 9, "01 07 64 70 01 d2 00 0b"),
        ("(elem externref)", 9, "01 05 6f 00"),
        ("(elem (i32.const 0) funcref)", 9, "01 04 41 00 0b 00"),
        ("(elem (table 2) (i32.const 0) func 1)", 9, "01 02 02 41 00 0b 00 01 01"),
        ("(elem (table 2) (i32.const 0) funcref)", 9, "01 06 02 41 00 0b 70 00"),
        ("(elem (i32.const 0) externref)", 9, "01 06 00 41 00 0b 6f 00"),
        ('(data (memory 1) (offset (i32.const 0) i32.eqz) "a")', 11, "01 02 01 41 00 45 0b 01 61"),
        ('(data "a" "\\ff")', 11, "01 01 02 61 ff"),
        ('(tag (param i64))', 13, "01 00 00"),
    ],
)  # fmt: skip
def test_encodings(text: str, number: int, content: str):
    assert sections(assemble(text))[number] == bytes.fromhex(content)


def test_sections_are_in_order_and_only_where_needed():
    text = """
        (start 0) (data "") (elem func) (func) (export "" (func 0)) (global i32 (i32.const 0))
        (tag) (memory 0) (table 0 funcref)
    """
    assert list(sections(assemble(text))) == [1, 3, 4, 5, 13, 6, 7, 8, 9, 10, 11]
    assert list(sections(assemble('(import "" "" (func))'))) == [1, 2]
    assert list(sections(assemble('(data $d "") (func data.drop $d)'))) == [1, 3, 12, 10, 11]


def test_implicit_types_come_last_in_order_of_occurrence():
    """An inline type use takes the first equal final type by itself, else adds one at the end."""
    text = """
        (func $f (param f64) (block (param i32) (result i32)) (drop))
        (type (sub (func (param f64)))) (rec (type (func (param f64))) (type (func)))
        (type (func (result f32)))
        (func (result f32) unreachable)
        (tag (param i64 i64))
        (func call_indirect (result i32 i32) unreachable)
    """
    types = [str(ty) for ty in decode_module(assemble(text)).types[3:]]
    assert types == [
        "(func (result f32))",
        "(func (param f64))",
        "(func (param i32) (result i32))",
        "(func (param i64 i64))",
        "(func)",
        "(func (result i32 i32))",
    ]


def test_type_uses_by_number_may_mean_implicit_types():
    """Even where the number of parameters decides what a local's identifier means."""
    text = "(func (type 1) (local $x f32) local.get $x drop) (func) (func (param i32 i64))"
    info = decode_module(assemble(text))
    assert [len(ty.func.params) for ty in info.funcs] == [2, 0, 2]
    assert info.data[info.bodies[0].start :][:5] == bytes.fromhex("01 01 7d 20 02")
    reject("(func (type 0) (param i32)) (func (param i64))", "inline function type")
    reject("(func (type 5) (param i32))", "unknown type 5")
    with pytest.raises(ValidationError, match="unknown type"):
        decode_module(assemble("(func (type 5))"))


def test_identifiers_scope_over_the_whole_module():
    assemble("(start $f) (func $f (param (ref $t)) global.get $g) (global $g i32) (type $t (func))")


def test_fields_have_names_by_type():
    text = (
        "(type $a (struct (field $x i32) (field $y i64))) (type $b (struct (field $y i32)))"
        " (func struct.get $a $y struct.get $b $y)"
    )
    assert bytes.fromhex("fb 02 00 01 fb 02 01 00 0b") in assemble(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module) (module)", "unexpected token `(`"),
        ("(module))", "unexpected token `)`"),
        ("(func) x", "unknown operator `x`"),
        ("(foo)", "unknown operator `foo`"),
        ("(param)", "unexpected token `param`"),
        ("()", "unexpected token `)`"),
        ("(func $f) (func $f)", "duplicate func `$f`"),
        ('(import "" "" (func $"f")) (func $f)', "duplicate func `$f`"),
        ("(memory $m 0) (memory $m 0)", "duplicate memory"),
        ("(table $t 0 funcref) (table $t 0 funcref)", "duplicate table"),
        ("(global $g i32) (global $g i32)", "duplicate global"),
        ("(tag $e) (tag $e)", "duplicate tag"),
        ("(elem $e func) (elem $e func)", "duplicate elem"),
        ('(data $d "") (data $d "")', "duplicate data"),
        ("(type $t (func)) (rec (type $t (func)))", "duplicate type"),
        ("(func (param $x i32) (local $x i32))", "duplicate local"),
        ("(func (param $x i32) (param $x i32))", "duplicate local"),
        ("(type (struct (field $x i32) (field $x i32)))", "duplicate field"),
        ('(func) (import "" "" (func))', "import after function"),
        ('(table 0 funcref) (memory (import "" "") 0)', "import after table"),
        ('(global i32) (import "" "" (memory 0))', "import after global"),
        ('(memory 0) (import "" "" (memory 0))', "import after memory"),
        ('(tag) (import "" "" (tag))', "import after tag"),
        ("(start 0) (start 0)", "multiple start sections"),
        ("(type $t (func (param i32))) (func (type $t) (param i64))", "inline function type"),
        ("(type $t (struct)) (func (type $t) (param i64))", "inline function type"),
        ("(type $t (func)) (func block (type $t) (result i32) end)", "inline function type"),
        ("(func (type $t))", "unknown type `$t`"),
        ("(memory 0 (pagesize 3))", "invalid custom page size"),
        ("(memory 0 (pagesize 0))", "invalid custom page size"),
        ("(memory)", "unexpected token `)`"),
        ("(memory 18446744073709551616)", "i64 constant out of range"),
        ("(memory 1 -2)", "unexpected token `-2`"),
        ("(table 0)", "unexpected token `)`"),
        ("(table 0 i32)", "unexpected token `i32`"),
        ("(table 0 (ref null foo))", "unknown operator `foo`"),
        ("(table 0 anyfunc)", "unknown operator `anyfunc`"),
        ('(import "" "" (type))', "unexpected token"),
        ('(import "\\ff" "" (func))', "malformed UTF-8 encoding"),
        ('(export "a" (foo 0))', "unknown operator `foo`"),
        ('(export "a" func)', "unexpected token `func`"),
        ("(export a (func 0))", "unknown operator `a`"),
        ("(func (export))", "unexpected token `)`"),
        ("(type (func (result i32) (param i32)))", "unexpected token `param`"),
        ("(type (array))", "unexpected token `)`"),
        ("(type (array i32 i32))", "unexpected token `i32`"),
        ("(type)", "unexpected token `)`"),
        ("(type $t $u (func))", "unexpected token `$u`"),
        ("(type (struct (field $x i32 i32)))", "unexpected token `i32`"),
        ("(elem)", "unexpected token `)`"),
        ("(elem (table 0) (i32.const 0) 0)", "unexpected token `0`"),
        ("(elem 0)", "unexpected token `0`"),
        ("(elem func (ref.func 0))", "unexpected token `(`"),
        ("(data (i32.const 0) x)", "unknown operator `x`"),
        ("(data nop)", "unexpected token `nop`"),
        ("(global)", "unexpected token `)`"),
        ("(global (mut i32 i32))", "unexpected token `i32`"),
        ('(module quote "(func")', "unexpected end of text"),
        ("(module binary 0)", "unexpected token `0`"),
    ],
)
def test_errors(text: str, message: str):
    reject(text, message)
