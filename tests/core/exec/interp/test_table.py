"""Tables through the interpreter."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import agree

EDGES = [0, 1, 3, 9, 10, 11, -1]


def module(index: str) -> str:
    """A module with a table of ten, another of four, and a passive segment of six.

    Function `i` gives `i`; `at` calls through the table, so that its content can be seen.
    """
    functions = " ".join(f"(func $f{i} (result i32) (i32.const {i}))" for i in range(8))
    return f"""
      (module (type $r (func (result i32))) {functions}
        (table $t {index} 10 20 funcref)
        (table $u {index} 4 4 funcref)
        (elem (table $t) ({index}.const 2) func $f0 $f1 $f2 $f3)
        (elem $p func $f4 $f5 $f6 $f7 $f0 $f1)
        (func (export "at") (param {index}) (result i32)
          (if (result i32) (ref.is_null (table.get $t (local.get 0)))
            (then (i32.const -1))
            (else (call_indirect $t (type $r) (local.get 0)))))
        (func (export "set") (param {index} i32)
          (table.set $t (local.get 0) (if (result funcref) (local.get 1)
            (then (ref.func $f7)) (else (ref.null func)))))
        (func (export "move") (param {index} {index})
          (table.set $t (local.get 0) (table.get $t (local.get 1))))
        (func (export "size") (result {index} {index}) (table.size $t) (table.size $u))
        (func (export "grow") (param {index}) (result {index})
          (table.grow $t (ref.func $f5) (local.get 0)))
        (func (export "fill") (param {index} {index})
          (table.fill $t (local.get 0) (ref.func $f6) (local.get 1)))
        (func (export "copy") (param {index} {index} {index})
          (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
        (func (export "copy_over") (param {index} {index} {index})
          (table.copy $u $t (local.get 0) (local.get 1) (local.get 2))
          (table.copy $t $u (local.get 1) (local.get 0) (local.get 2)))
        (func (export "init") (param {index} i32 i32)
          (table.init $t $p (local.get 0) (local.get 1) (local.get 2)))
        (func (export "drop") (elem.drop $p)))"""


@pytest.mark.parametrize("index", ["i32", "i64"])
def test_access_agrees_with_wasmtime(index):
    look = [("at", i) for i in range(12)]
    calls = [*look, *(("at", i) for i in EDGES)]
    for index_, other in itertools.product(EDGES, EDGES):
        calls += [("set", index_, other & 1), ("move", index_, other), *look]
    calls += [("at", 1 << 31), ("set", 1 << 30, 0)]
    agree(module(index), calls)


@pytest.mark.parametrize("index", ["i32", "i64"])
def test_bulk_operations_agree_with_wasmtime(index):
    """Also where ranges overlap, end exactly at the table's end, or start past it, empty."""
    look = [("at", i) for i in range(10)]
    calls = []
    for triple in itertools.product([0, 1, 3, 8, 10, 11, -1], [0, 2, 5, 6, 10], [0, 1, 4, 6, -1]):
        calls += [("init", *triple), ("copy", *triple), ("copy_over", *triple), *look]
    for start, count in itertools.product(EDGES, EDGES):
        calls += [("init", 0, 0, 6), ("fill", start, count), *look]
    calls += [("drop",), ("init", 0, 0, 0), ("init", 0, 0, 1), ("drop",)]
    agree(module(index), calls)


@pytest.mark.parametrize("index", ["i32", "i64"])
def test_growing_agrees_with_wasmtime(index):
    calls = [("grow", 0), ("grow", 5), ("size",), ("at", 14), ("at", 15), ("grow", 6), ("grow", -1)]
    agree(module(index), [*calls, ("grow", 5), ("size",), ("at", 19), ("grow", 1), ("size",)])
