"""Rules of references, casts, structs and arrays."""

from __future__ import annotations

import pytest

from tests.core.validate.check import accept, reject

PREAMBLE = """
  (type $f (func))
  (type $s (sub (struct (field $a (mut i32)) (field $b i8) (field $c (mut (ref null $s))))))
  (type $sub (sub $s (struct (field (mut i32)) (field i8) (field (mut (ref null $s)))
    (field f64))))
  (type $bytes (array (mut i8)))
  (type $words (array (mut i32)))
  (type $const (array i32))
  (type $refs (array (mut anyref)))
  (type $funcs (array (mut funcref)))
  (type $strict (struct (field (ref any))))
  (func $fn (type $f)) (elem declare func $fn)
  (elem $e func $fn) (elem $anys anyref) (data $d "")
  (global $any (mut anyref) (ref.null any))
  (global $gs (mut (ref null $s)) (ref.null $s))
"""

VALID = [
    "(drop (ref.is_null (ref.null $f)))",
    "(drop (ref.eq (ref.null struct) (ref.i31 (i32.const 0))))",
    "(drop (i31.get_s (ref.i31 (i32.const 0))))",
    "(drop (i31.get_u (ref.null i31)))",
    "(global.set $gs (struct.new $sub (i32.const 1) (i32.const 2) (ref.null $sub) (f64.const 0)))",
    "(global.set $any (struct.new_default $s))",
    "(drop (i32.add (struct.get $s 0 (global.get $gs)) (struct.get_s $s 1 (global.get $gs))))",
    "(drop (struct.get_u $sub 1 (ref.null $sub)))",
    "(struct.set $s 2 (global.get $gs) (struct.new_default $sub))",
    "(drop (array.get_u $bytes (array.new_default $bytes (i32.const 1)) (i32.const 0)))",
    "(array.set $words (ref.null $words) (i32.const 0) (i32.const 0))",
    "(drop (array.len (array.new_fixed $refs 1 (ref.i31 (i32.const 1)))))",
    "(array.fill $bytes (ref.null $bytes) (i32.const 0) (i32.const 0) (i32.const 0))",
    "(array.copy $words $const (ref.null $words) (i32.const 0) (ref.null $const) (i32.const 0)"
    " (i32.const 0))",
    "(drop (array.new_data $bytes $d (i32.const 0) (i32.const 0)))",
    "(drop (array.new_elem $funcs $e (i32.const 0) (i32.const 0)))",
    "(array.init_data $words $d (ref.null $words) (i32.const 0) (i32.const 0) (i32.const 0))",
    "(array.init_elem $refs $anys (ref.null $refs) (i32.const 0) (i32.const 0) (i32.const 0))",
    "(drop (ref.test (ref $s) (global.get $any)))",
    "(global.set $gs (ref.cast (ref null $sub) (global.get $any)))",
    "(drop (ref.cast (ref $f) (ref.func $fn)))",
    "(drop (struct.get $s 0 (block (result (ref $s))"
    " (br_on_cast 0 anyref (ref $s) (global.get $any)) (unreachable))))",
    "(drop (block (result anyref) (br_on_cast_fail 0 anyref (ref $s) (global.get $any))"
    " (struct.get $s 0) (drop) (unreachable)))",
    "(drop (extern.convert_any (any.convert_extern (ref.null extern))))",
    "(drop (ref.as_non_null (global.get $gs)))",
    "(unreachable) (any.convert_extern) (ref.as_non_null) (drop)",
    "(unreachable) (struct.new $sub) (drop)",
    "(unreachable) (br_on_null 0) (drop)",
]


@pytest.mark.parametrize("code", VALID)
def test_valid_code(code: str):
    accept(f"(module {PREAMBLE} (func {code}))")


INVALID = [
    ("(ref.is_null (i32.const 0)) (drop)", "expected a reference, found i32"),
    ("(ref.eq (ref.null func) (ref.null eq)) (drop)", "expected eqref, found funcref"),
    ("(ref.eq (global.get $any) (ref.null eq)) (drop)", "expected eqref, found anyref"),
    ("(drop (i31.get_s (ref.null eq)))", "expected i31ref, found eqref"),
    ("(drop (struct.new $s (i32.const 1) (i32.const 2) (ref.null any)))", "type mismatch"),
    ("(drop (struct.new $f))", "type 0 is not a struct type"),
    ("(drop (struct.new_default $strict))", "a field has no default value"),
    ("(drop (struct.get $s 1 (global.get $gs)))", "packed storage"),
    ("(drop (struct.get_s $s 0 (global.get $gs)))", "only packed storage"),
    ("(drop (struct.get $s 9 (global.get $gs)))", "unknown field 9"),
    ("(drop (struct.get $sub 3 (global.get $gs)))", "expected \\(ref null 2\\)"),
    ("(struct.set $s 1 (global.get $gs) (i32.const 0))", "immutable field 1"),
    ("(array.set $const (ref.null $const) (i32.const 0) (i32.const 0))", "immutable array"),
    ("(drop (array.get $bytes (ref.null $bytes) (i32.const 0)))", "packed storage"),
    ("(drop (array.get_s $words (ref.null $words) (i32.const 0)))", "only packed storage"),
    ("(drop (array.new $s (i32.const 0) (i32.const 0)))", "type 1 is not an array type"),
    ("(drop (array.new_data $refs $d (i32.const 0) (i32.const 0)))", "not numeric or vector"),
    ("(drop (array.new_elem $refs $e (i32.const 0) (i32.const 0)))", "expected anyref"),
    (
        "(array.copy $words $bytes (ref.null $words) (i32.const 0) (ref.null $bytes)"
        " (i32.const 0) (i32.const 0))",
        "array types do not match",
    ),
    (
        "(array.copy $const $words (ref.null $const) (i32.const 0) (ref.null $words)"
        " (i32.const 0) (i32.const 0))",
        "immutable array",
    ),
    ("(drop (ref.test (ref func) (global.get $any)))", "expected funcref, found anyref"),
    ("(drop (ref.cast (ref $s) (ref.null extern)))", "expected anyref, found externref"),
    (
        "(drop (block (result anyref) (br_on_cast 0 eqref anyref (ref.null eq))))",
        "not a subtype of the source",
    ),
    ("(br_on_cast 0 anyref eqref (global.get $any)) (drop)", "label does not take"),
    ("(drop (ref.func 9))", "unknown function 9"),
    ("(drop (ref.null 99))", "unknown type 99"),
    ("(drop (any.convert_extern (ref.null any)))", "expected externref, found anyref"),
    ("(drop (struct.new 99))", "unknown type 99"),
]


@pytest.mark.parametrize(("code", "message"), INVALID)
def test_invalid_code(code: str, message: str):
    reject(f"(module {PREAMBLE} (func {code}))", message)


def test_array_new_default_needs_a_default():
    reject(
        "(module (type $a (array (ref any))) (func (drop (array.new_default $a (i32.const 1)))))",
        "the element has no default value",
    )
