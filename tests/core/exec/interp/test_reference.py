"""References through the interpreter."""

from __future__ import annotations

import pytest

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import Ours, agree

TYPES = """
  (rec (type $f (sub (func (result i32)))) (type $g (sub final $f (func (result i32)))))
  (type $a (sub (struct (field (mut i32)))))
  (type $b (sub $a (struct (field (mut i32)) (field i64))))
  (type $c (sub final $b (struct (field (mut i32)) (field i64) (field f32))))
  (type $other (struct (field (mut i32))))
  (type $v (sub (array (mut i32))))
  (type $w (sub final $v (array (mut i32))))
  (func $one (type $f) (i32.const 1))
  (func $two (type $g) (i32.const 2))
  (elem declare func $one $two)
"""
# By hierarchy: the top type, how to make values, and what to ask them for.
HIERARCHIES = {
    "any": (
        [
            "(ref.null none)",
            "(ref.i31 (i32.const 0))",
            "(ref.i31 (i32.const 0x7fffffff))",
            "(struct.new_default $a)",
            "(struct.new_default $b)",
            "(struct.new_default $c)",
            "(struct.new_default $other)",
            "(array.new_default $v (i32.const 0))",
            "(array.new_default $w (i32.const 3))",
            "(any.convert_extern (extern.convert_any (struct.new_default $b)))",
            "(any.convert_extern (extern.convert_any (ref.i31 (i32.const 5))))",
            "(any.convert_extern (ref.null noextern))",
        ],
        "any eq i31 struct array none $a $b $c $other $v $w".split(),
    ),
    "func": (
        ["(ref.null nofunc)", "(ref.func $one)", "(ref.func $two)"],
        "func nofunc $f $g".split(),
    ),
    "extern": (
        ["(ref.null noextern)", "(extern.convert_any (ref.i31 (i32.const 5)))"],
        "extern noextern".split(),
    ),
}


@pytest.mark.parametrize("top", HIERARCHIES)
def test_tests_casts_and_branches_agree_with_wasmtime(top):
    """Every kind of value against every type that may be asked for, nullable and not."""
    values, targets = HIERARCHIES[top]
    makers = " ".join(
        f"(if (i32.eq (local.get 0) (i32.const {i})) (then (return {value})))"
        for i, value in enumerate(values)
    )
    functions, names = [], []
    for target in targets:
        for ref in (f"(ref {target})", f"(ref null {target})"):
            names += [f"{kind} {ref}" for kind in ("test", "cast", "br_on_cast", "br_on_cast_fail")]
            functions.append(f"""
              (func (export "test {ref}") (param i32) (result i32)
                (ref.test {ref} (call $make (local.get 0))))
              (func (export "cast {ref}") (param i32) (result i32)
                (ref.is_null (ref.cast {ref} (call $make (local.get 0)))))
              (func (export "br_on_cast {ref}") (param i32) (result i32)
                (block $yes (result {ref})
                  (br_on_cast $yes {top}ref {ref} (call $make (local.get 0)))
                  (return (i32.add (ref.is_null) (i32.const 10))))
                (ref.is_null))
              (func (export "br_on_cast_fail {ref}") (param i32) (result i32)
                (block $no (result {top}ref)
                  (br_on_cast_fail $no {top}ref {ref} (call $make (local.get 0)))
                  (return (i32.add (ref.is_null) (i32.const 10))))
                (ref.is_null))""")
    wat = f"""(module {TYPES}
      (func $make (param i32) (result {top}ref) {makers} (ref.null {top}))
      {" ".join(functions)})"""
    agree(wat, [(name, i) for name in names for i in range(len(values))])


def test_null_checks_agree_with_wasmtime():
    wat = f"""(module {TYPES}
      (func $make (param i32) (result (ref null $a))
        (if (result (ref null $a)) (local.get 0)
          (then (struct.new $a (local.get 0))) (else (ref.null $a))))
      (func (export "is_null") (param i32) (result i32) (ref.is_null (call $make (local.get 0))))
      (func (export "as_non_null") (param i32) (result i32)
        (struct.get $a 0 (ref.as_non_null (call $make (local.get 0)))))
      (func (export "br_on_null") (param i32) (result i32)
        (block $null
          (br_on_null $null (call $make (local.get 0)))
          (return (struct.get $a 0)))
        (i32.const -1))
      (func (export "br_on_non_null") (param i32) (result i32)
        (block $ok (result (ref $a))
          (br_on_non_null $ok (call $make (local.get 0)))
          (return (i32.const -1)))
        (struct.get $a 0))
      (func (export "sum") (param i32 i32) (result i32) (local $x (ref null $a))
        (local.set $x (call $make (local.get 1)))
        (i32.add
          (i32.mul (local.get 0) (struct.get $a 0 (ref.as_non_null (call $make (local.get 0)))))
          (struct.get $a 0 (ref.as_non_null (local.get $x))))))"""
    names = "is_null as_non_null br_on_null br_on_non_null".split()
    calls = [(name, i) for name in names for i in (0, 7)]
    agree(wat, [*calls, *(("sum", i, j) for i in (0, 3) for j in (0, 4))])


def test_i31_and_equality_agree_with_wasmtime():
    """Integers far outside of those that Python keeps one object of are still equal."""
    wat = f"""(module {TYPES}
      (global $s (ref $a) (struct.new_default $a))
      (func (export "i31") (param i32) (result i32 i32)
        (i31.get_s (ref.i31 (local.get 0))) (i31.get_u (ref.i31 (local.get 0))))
      (func (export "null_s") (result i32) (i31.get_s (ref.null i31)))
      (func (export "null_u") (result i32) (i31.get_u (ref.null i31)))
      (func $make (param i32) (result eqref)
        (if (i32.lt_u (local.get 0) (i32.const 3)) (then (return (ref.null eq))))
        (if (i32.lt_u (local.get 0) (i32.const 5)) (then (return (global.get $s))))
        (if (i32.lt_u (local.get 0) (i32.const 7)) (then (return (struct.new_default $a))))
        (ref.i31 (local.get 0)))
      (func (export "eq") (param i32 i32) (result i32)
        (ref.eq (call $make (local.get 0)) (call $make (local.get 1)))))"""
    integers = [0, 1, -1, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, -0x80000000, -0x40000001]
    keys = [0, 1, 3, 4, 5, 6, 7, 123456789, 123456789 - 0x80000000, 2000000000]
    calls = [("i31", i) for i in integers] + [("null_s",), ("null_u",)]
    agree(wat, calls + [("eq", i, j) for i in keys for j in keys])


def test_functions_are_one_reference():
    """`ref.func` gives the object that the embedder sees."""
    ours = Ours("""(module (func $f (export "f")) (elem declare func $f)
      (func (export "g") (result funcref) (ref.func $f)))""")
    assert ours("g") is ours.instance.get_func(ours.store, "f")


def test_a_constant_number_is_asked_for_its_identity():
    """Python warns of that where it sees the number, and warnings are errors here."""
    ours = Ours(
        """(module (func (export "f") (param v128) (result i32)
          (select (i32.const 3) (i32.const 4)
            (ref.is_null (ref.i31 (i32x4.extract_lane 0
              (i32x4.sub (v128.const i32x4 9 9 9 9) (v128.const i32x4 4 4 4 4))))))
          (if (result i32) (ref.is_null (ref.i31 (i32.const 255)))
            (then (i32.const 1)) (else (i32.const 2)))
          (i32.add)))"""
    )
    assert ours("f", bytes(16)) == 6
