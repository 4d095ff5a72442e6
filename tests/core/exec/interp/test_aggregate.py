"""Structs and arrays through the interpreter."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import Ours, agree

STORAGES = {
    "i8": "i32", "i16": "i32", "i32": "i32", "i64": "i64", "f32": "f32", "f64": "f64",
}  # fmt: skip
SIZES = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "f32": 4, "f64": 8}
EDGES = [0, 1, 4, 5, 6, -1]


def _values(type: str) -> list[float]:
    return [1.5, -0.0, 3e38] if type[0] == "f" else [0, 1, -1, 0x7F, 0x80, 0x8000, 0x7FFF]


@pytest.mark.parametrize("storage", STORAGES)
def test_fields_agree_with_wasmtime(storage):
    """Reading what was written, by constructor or by assignment, and reading defaults."""
    type = STORAGES[storage]
    gets = ["_s", "_u"] if storage in ("i8", "i16") else [""]
    reads = " ".join(f"(struct.get{s} $s 1 (local.get $x))" for s in gets)
    elements = " ".join(f"(array.get{s} $a (local.get $y) (i32.const 2))" for s in gets)
    results = " ".join([type] * len(gets))
    zero = f"({type}.const 0)"
    wat = f"""(module
      (type $s (struct (field (mut i32)) (field (mut {storage})) (field {storage})))
      (type $a (array (mut {storage})))
      (func (export "new") (param {type}) (result {results}) (local $x (ref null $s))
        (local.set $x (struct.new $s (i32.const 1) (local.get 0) {zero})) {reads})
      (func (export "set") (param {type}) (result {results}) (local $x (ref null $s))
        (local.set $x (struct.new_default $s))
        (struct.set $s 1 (local.get $x) (local.get 0)) {reads})
      (func (export "default") (result {results}) (local $x (ref null $s))
        (local.set $x (struct.new_default $s)) {reads})
      (func (export "array_new") (param {type}) (result {results}) (local $y (ref null $a))
        (local.set $y (array.new $a (local.get 0) (i32.const 3))) {elements})
      (func (export "array_fixed") (param {type}) (result {results}) (local $y (ref null $a))
        (local.set $y (array.new_fixed $a 4 {zero} {zero} (local.get 0) {zero})) {elements})
      (func (export "array_set") (param {type}) (result {results}) (local $y (ref null $a))
        (local.set $y (array.new_default $a (i32.const 3)))
        (array.set $a (local.get $y) (i32.const 2) (local.get 0)) {elements})
      (func (export "array_default") (result {results}) (local $y (ref null $a))
        (local.set $y (array.new_default $a (i32.const 3))) {elements}))"""
    names = "new set array_new array_fixed array_set".split()
    calls = [(name, value) for name in names for value in _values(type)]
    agree(wat, [*calls, ("default",), ("array_default",)])


@pytest.mark.parametrize("storage", STORAGES)
def test_initialising_from_data_agrees_with_wasmtime(storage):
    """All of a segment's bytes, also where an element would end behind it."""
    type, size = STORAGES[storage], SIZES[storage]
    get = "array.get_u" if storage in ("i8", "i16") else "array.get"
    bits = {"f32": "i32.reinterpret_f32", "f64": "i64.reinterpret_f64"}.get(type, "")
    result = type.replace("f", "i")
    data = "".join(f"\\{(37 * i + 200) % 256:02x}" for i in range(28)) + "\\01\\00\\a0\\7f"
    wat = f"""(module
      (type $a (array (mut {storage})))
      (data $d "{data}")
      (func (export "new") (param i32 i32 i32) (result {result})
        ({bits or "block"} {"" if bits else f"(result {result})"}
          ({get} $a (array.new_data $a $d (local.get 0) (local.get 1)) (local.get 2))))
      (func (export "init") (param i32 i32 i32 i32) (result {result}) (local $x (ref null $a))
        (local.set $x (array.new_default $a (i32.const 5)))
        (array.init_data $a $d (local.get $x) (local.get 0) (local.get 1) (local.get 2))
        ({bits or "block"} {"" if bits else f"(result {result})"}
          ({get} $a (local.get $x) (local.get 3))))
      (func (export "init_null")
        (array.init_data $a $d (ref.null $a) (i32.const 0) (i32.const 0) (i32.const 0)))
      (func (export "drop") (data.drop $d)))"""
    starts = [0, 1, 32 - size, 33 - size, 32, 33, -1]
    counts = [0, 1, 2, 32 // size, 32 // size + 1, -1]
    calls = [("new", *key, i) for key in itertools.product(starts, counts) for i in (0, 1)]
    calls += [("new", 0, 32 // size, i) for i in range(32 // size + 1)]
    for key in itertools.product([0, 4, 5, 6, -1], starts, [0, 1, 5, -1]):
        calls += [("init", *key, i) for i in (0, 4)]
    calls += [("init_null",), ("drop",), ("new", 0, 0, 0), ("new", 0, 1, 0), ("init", 0, 0, 0, 0)]
    agree(wat, calls)


def test_array_operations_agree_with_wasmtime():
    """Fill, copy (overlapping too), length and bounds."""
    wat = """(module
      (type $a (array (mut i16))) (type $r (array (mut funcref)))
      (func $f) (elem $e func $f $f $f)
      (global $x (mut (ref null $a)) (ref.null $a))
      (func (export "reset")
        (global.set $x (array.new_fixed $a 5
          (i32.const 10) (i32.const 11) (i32.const 12) (i32.const 13) (i32.const 65535))))
      (func (export "null") (global.set $x (ref.null $a)))
      (func (export "len") (result i32) (array.len (global.get $x)))
      (func (export "get_s") (param i32) (result i32)
        (array.get_s $a (global.get $x) (local.get 0)))
      (func (export "set") (param i32 i32)
        (array.set $a (global.get $x) (local.get 0) (local.get 1)))
      (func (export "fill") (param i32 i32 i32)
        (array.fill $a (global.get $x) (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param i32 i32 i32)
        (array.copy $a $a (global.get $x) (local.get 0) (global.get $x) (local.get 1)
          (local.get 2)))
      (func (export "copy_from_null")
        (array.copy $a $a (global.get $x) (i32.const 0) (ref.null $a) (i32.const 0) (i32.const 0)))
      (func (export "elems") (param i32 i32 i32) (result i32)
        (ref.is_null (array.get $r (array.new_elem $r $e (local.get 0) (local.get 1))
          (local.get 2))))
      (func (export "init") (param i32 i32 i32) (result i32) (local $y (ref null $r))
        (local.set $y (array.new_default $r (i32.const 4)))
        (array.init_elem $r $e (local.get $y) (local.get 0) (local.get 1) (local.get 2))
        (i32.add (ref.is_null (array.get $r (local.get $y) (i32.const 0)))
          (ref.is_null (array.get $r (local.get $y) (i32.const 3)))))
      (func (export "drop") (elem.drop $e)))"""
    look = [("get_s", i) for i in range(5)]
    calls = [("reset",), ("len",), *(("get_s", i) for i in EDGES)]
    calls += [("set", i, 70000) for i in EDGES] + look
    for triple in itertools.product(EDGES, EDGES, EDGES):
        calls += [("reset",), ("fill", *triple), *look, ("reset",), ("copy", *triple), *look]
    for triple in itertools.product([0, 1, 3, 4, -1], [0, 2, 3, 4, -1], [0, 1, 3, 4, -1]):
        calls += [("elems", *triple), ("init", *triple)]
    calls += [("drop",), ("elems", 0, 0, 0), ("elems", 0, 1, 0), ("init", 0, 0, 0)]
    calls += [("copy_from_null",), ("null",), ("copy_from_null",), ("len",), ("get_s", 0)]
    agree(wat, [*calls, ("set", 0, 0), ("fill", 0, 0, 0), ("copy", 0, 0, 0)])


def test_operands_are_evaluated_in_order():
    """Which of several traps comes first is observable; Python evaluates assignments otherwise."""
    wat = """(module
      (type $s (struct (field (mut i32)))) (type $a (array (mut i32)))
      (table $t 2 funcref)
      (func (export "struct") (param i32 i32)
        (struct.set $s 0
          (ref.as_non_null (if (result (ref null $s)) (local.get 0)
            (then (struct.new_default $s)) (else (ref.null $s))))
          (i32.div_u (i32.const 1) (local.get 1))))
      (func (export "nulls") (param i32) (struct.set $s 0 (ref.null $s)
        (i32.div_u (i32.const 1) (local.get 0))))
      (func (export "array") (param (;index;) i32 (;divisor;) i32 (;divisor;) i32)
        (array.set $a (array.new_default $a (i32.const 2))
          (i32.add (local.get 0) (i32.div_u (i32.const 0) (local.get 1)))
          (i32.rem_u (i32.const 1) (local.get 2))))
      (func (export "overwrite") (param i32) (result i32) (local $x (ref null $s))
        (local.set $x (struct.new $s (local.get 0)))
        (struct.get $s 0 (local.get $x))
        (struct.set $s 0 (local.get $x) (i32.const 9))
        (i32.add (struct.get $s 0 (local.get $x))))
      (func (export "table") (param i32 i32)
        (table.set $t (i32.div_u (i32.const 0) (local.get 0))
          (table.get $t (i32.add (local.get 1) (i32.const 1))))))"""
    calls = [("struct", i, j) for i in (0, 1) for j in (0, 1)]
    calls += [("nulls", 0), ("nulls", 1), ("overwrite", 5)]
    calls += [("array", i, j, k) for i in (1, 2) for j in (0, 1) for k in (0, 1)]
    agree(wat, [*calls, *(("table", i, j) for i in (0, 1) for j in (0, 1))])


def test_vectors_in_aggregates():
    """Wasmtime's Python interface has no vectors, so this one is by hand."""
    ours = Ours("""(module
      (type $s (struct (field (mut v128)))) (type $a (array (mut v128)))
      (data $d "0123456789abcdefghijklmnopqrstuvw")
      (func (export "default") (result v128) (struct.get $s 0 (struct.new_default $s)))
      (func (export "data") (param i32 i32) (result v128)
        (array.get $a (array.new_data $a $d (local.get 0) (i32.const 2)) (local.get 1))))""")
    assert ours("default") == bytes(16)
    assert ours("data", 1, 1) == b"hijklmnopqrstuvw"
    assert ours("data", 0, 0) == b"0123456789abcdef"
    assert ours("data", 2, 0) == "MEMORY_OUT_OF_BOUNDS"


def test_absurd_arrays_trap():
    """Lengths that no machine has the memory for are refused before it is asked for."""
    ours = Ours("""(module (type $a (array (mut i8)))
      (func (export "new") (param i32) (array.new $a (i32.const 1) (local.get 0)) drop)
      (func (export "default") (param i32) (array.new_default $a (local.get 0)) drop))""")
    for name in ("new", "default"):
        assert ours(name, 1000) is None
        assert ours(name, -1) == "ALLOCATION_TOO_LARGE"
