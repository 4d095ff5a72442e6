"""Structs, arrays and i31 in native code: values, traps, and no objects left behind."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from asyncwasm import ArrayRef, Config, Engine, ExternRef, Instance, Module, Store, StructRef, Trap

pytest.importorskip("llvmlite")

TEXT = """
(module
  (rec
    (type $base (sub (struct (field $n (mut i32)))))
    (type $node (sub $base (struct
      (field $n (mut i32)) (field $x (mut externref)) (field $next (mut (ref null $node))))))
    (type $leaf (sub final $node (struct
      (field $n (mut i32)) (field $x (mut externref)) (field $next (mut (ref null $node)))
      (field $b (mut i8)) (field $h (mut i16)) (field $l (mut i64)) (field $f (mut f32))
      (field $d (mut f64)) (field $v (mut v128))))))
  (type $refs (array (mut externref)))
  (type $bytes (array (mut i8)))
  (type $longs (array (mut i64)))
  (type $any (array (mut anyref)))
  (elem $e externref (ref.null extern) (ref.null extern))
  (data $d "\\ff\\01\\02\\03\\80")
  (func $leaf (param i32 externref) (result (ref $leaf))
    (struct.new $leaf (local.get 0) (local.get 1) (ref.null $node) (i32.const 0x1ff)
      (i32.const 0x18000) (i64.const -3) (f32.const 1.5) (f64.const -0.25)
      (v128.const i64x2 1 -1)))
  (func (export "fields") (param i32 externref) (result i32 i32 i32 i32 i64 f32 f64 i32)
    (local $s (ref null $leaf))
    (local.set $s (call $leaf (local.get 0) (local.get 1)))
    (struct.set $leaf $n (local.get $s) (i32.mul (local.get 0) (i32.const 3)))
    (struct.get_s $leaf $b (local.get $s)) (struct.get_u $leaf $b (local.get $s))
    (struct.get_s $leaf $h (local.get $s)) (struct.get $base $n (local.get $s))
    (struct.get $leaf $l (local.get $s)) (struct.get $leaf $f (local.get $s))
    (struct.get $leaf $d (local.get $s))
    (i32x4.extract_lane 2 (struct.get $leaf $v (local.get $s))))
  (func (export "list") (param i32 externref) (result i32 externref)
    (local $head (ref null $node)) (local $i i32) (local $sum i32)
    (loop $more
      (local.set $head
        (struct.new $node (local.get $i) (local.get 1) (local.get $head)))
      (br_if $more
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 0))))
    (struct.get $node $x (local.get $head))
    (block $end
      (loop $walk
        (local.set $sum
          (i32.add (local.get $sum) (struct.get $node $n (br_on_null $end (local.get $head)))))
        (struct.set $node $x (local.get $head) (ref.null extern))
        (local.set $head (struct.get $node $next (local.get $head)))
        (br $walk)))
    (local.set 1) (local.get $sum) (local.get 1))
  (func (export "cycle") (param i32 externref) (result i32)
    (local $s (ref null $node))
    (local.set $s (struct.new_default $node))
    (struct.set $node $x (local.get $s) (local.get 1))
    (struct.set $node $next (local.get $s) (local.get $s))
    (ref.eq (local.get $s) (struct.get $node $next (local.get $s))))
  (func (export "null") (param i32 externref) (result i32)
    (struct.get $node $n (struct.get $node $next (call $leaf (local.get 0) (local.get 1)))))
  (func (export "array") (param i32 externref) (result i32 externref i32 i64)
    (local $r (ref null $refs)) (local $b (ref null $bytes)) (local $l (ref null $longs))
    (local.set $r (array.new $refs (local.get 1) (i32.const 5)))
    (array.set $refs (local.get $r) (i32.const 2) (ref.null extern))
    (local.set $b (array.new_data $bytes $d (i32.const 0) (i32.const 5)))
    (array.fill $bytes (local.get $b) (i32.const 1) (i32.const 0x1fe) (i32.const 2))
    (array.copy $bytes $bytes (local.get $b) (i32.const 3) (local.get $b) (i32.const 1)
      (i32.const 2))
    (array.init_elem $refs $e (local.get $r) (i32.const 0) (i32.const 0) (i32.const 1))
    (local.set $l (array.new_fixed $longs 3 (i64.const 1) (i64.const -1) (i64.const 1073741824)))
    (array.set $longs (local.get $l) (i32.const 0) (i64.const 0x7fffffffffffffff))
    (array.get_s $bytes (local.get $b) (i32.and (local.get 0) (i32.const 7)))
    (array.get $refs (local.get $r) (i32.and (local.get 0) (i32.const 7)))
    (i32.add (array.len (local.get $r)) (array.len (array.new_default $any (i32.const 7))))
    (array.get $longs (local.get $l) (i32.rem_u (local.get 0) (i32.const 4))))
  (func (export "i31") (param i32 externref) (result i32 i32 i32)
    (local $i (ref null i31))
    (local.set $i (ref.i31 (local.get 0)))
    (i31.get_s (local.get $i)) (i31.get_u (local.get $i))
    (ref.eq (local.get $i) (ref.i31 (local.get 0))))
  (func $pick (param i32 externref) (result anyref)
    (if (i32.eq (local.get 0) (i32.const 0)) (then (return (ref.i31 (i32.const 9)))))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (return (struct.new_default $node))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (return (call $leaf (local.get 0) (local.get 1)))))
    (if (i32.eq (local.get 0) (i32.const 3))
      (then (return (array.new_fixed $bytes 2 (i32.const 1) (i32.const 2)))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (return (any.convert_extern (local.get 1)))))
    (ref.null any))
  (func (export "tests") (param i32 externref) (result i32)
    (local $a anyref)
    (local.set $a (call $pick (local.get 0) (local.get 1)))
    (i32.or (ref.test (ref eq) (local.get $a))
    (i32.or (i32.shl (ref.test (ref null i31) (local.get $a)) (i32.const 1))
    (i32.or (i32.shl (ref.test (ref struct) (local.get $a)) (i32.const 2))
    (i32.or (i32.shl (ref.test (ref array) (local.get $a)) (i32.const 3))
    (i32.or (i32.shl (ref.test (ref $base) (local.get $a)) (i32.const 4))
    (i32.or (i32.shl (ref.test (ref null $leaf) (local.get $a)) (i32.const 5))
    (i32.or (i32.shl (ref.test (ref $refs) (local.get $a)) (i32.const 6))
    (i32.or (i32.shl (ref.test (ref none) (local.get $a)) (i32.const 7))
      (i32.shl (ref.test nullref (local.get $a)) (i32.const 8)))))))))))
  (func (export "casts") (param i32 externref) (result i32)
    (block $node (result (ref $node))
      (block $other (result anyref)
        (br_on_cast $node anyref (ref $node)
          (br_on_cast_fail $other anyref (ref eq) (call $pick (local.get 0) (local.get 1)))))
      (return (i31.get_u (ref.cast (ref i31)))))
    (struct.get $node $n))
)
"""

NAMES = ("fields", "list", "cycle", "null", "array", "i31", "tests", "casts")
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 1000, -1, 1 << 30, -(1 << 31))


def made(strategy: str) -> Any:
    store = Store(Engine(Config(strategy=strategy)))
    return Instance.new(store, Module(store.engine, TEXT))


def outcomes(instance: Any, name: str, value: Any) -> list[object]:
    func = instance.get_func(instance.store, name)
    found: list[object] = []
    numbers = NUMBERS[:8] if name == "list" else NUMBERS
    for number in numbers:
        for given in (value, None):
            try:
                result = func.call(instance.store, number, given)
            except Trap as trap:
                found.append(trap.message)
                continue
            items = result if isinstance(result, tuple) else (result,)
            found.append(["value" if item is value else item for item in items])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_agree(name: str):
    native, portable = made("native"), made("interpreter")
    found = outcomes(native, name, ExternRef.new(native.store, object()))
    assert found == outcomes(portable, name, ExternRef.new(portable.store, object()))
    assert native.store.engine.statistics().functions_interpreted == {}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name: str):
    instance = made("native")
    value = ExternRef.new(instance.store, object())

    def objects() -> int:
        gc.collect()
        return sum(isinstance(item, (StructRef, ArrayRef)) for item in gc.get_objects())

    outcomes(instance, name, value)
    before = objects(), sys.getrefcount(value)
    nones = sys.getrefcount(None)
    for _ in range(20):
        outcomes(instance, name, value)
    assert (objects(), sys.getrefcount(value)) == before
    assert abs(sys.getrefcount(None) - nones) < 100


def test_objects_are_the_same_in_both_engines():
    """What native code makes, Python reads, and the other way round."""
    store = Store(Engine(Config(strategy="native")))
    text = """(module (type $s (struct (field (mut i32)) (field i64)))
      (func (export "make") (param i32) (result (ref $s))
        (struct.new $s (local.get 0) (i64.const -5)))
      (func (export "read") (param (ref $s)) (result i64)
        (i64.add (i64.extend_i32_s (struct.get $s 0 (local.get 0)))
          (struct.get $s 1 (local.get 0)))))"""
    instance = Instance.new(store, Module(store.engine, text))
    make, read = (instance.get_func(store, name) for name in ("make", "read"))
    assert make is not None
    assert read is not None
    struct = make.call(store, -7)
    assert isinstance(struct, StructRef)
    assert [struct.field(store, n) for n in range(2)] == [-7, -5]
    struct.set_field(store, 0, 1 << 20)
    assert read.call(store, struct) == (1 << 20) - 5
