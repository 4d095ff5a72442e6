"""Structs that native code makes and the portable engine reads, and the other way round."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from asyncwasm import Config, Engine, ExternRef, Func, Instance, Module, Store, StructRef, Trap
from asyncwasm.core.runtime.structs import StructRefPre

pytest.importorskip("llvmlite")

TEXT = """
(module
  (rec
    (type $a (sub (struct (field $n (mut i32)))))
    (type $b (sub $a (struct (field $n (mut i32)) (field $f (mut f32)) (field $d (mut f64)))))
    (type $c (sub final $b (struct (field $n (mut i32)) (field $f (mut f32)) (field $d (mut f64))
      (field $next (mut (ref null $a))))))
    (type $d (sub $a (struct (field $n (mut i32)) (field $l (mut i64)))))
    (type $list (struct (field (mut (ref null $list))))))
  (func (export "bits") (param i32 i64) (result (ref $b))
    (struct.new $b (i32.const 1) (f32.reinterpret_i32 (local.get 0))
      (f64.reinterpret_i64 (local.get 1))))
  (func (export "bits_of") (param (ref $b)) (result i32 i64)
    (i32.reinterpret_f32 (struct.get $b $f (local.get 0)))
    (i64.reinterpret_f64 (struct.get $b $d (local.get 0))))
  (func (export "quieted") (result i32)
    (local $s (ref $b))
    (local.set $s (struct.new_default $b))
    (struct.set $b $f (local.get $s)
      (f32.sub (f32.reinterpret_i32 (i32.const 0x7fa00000)) (struct.get $b $f (local.get $s))))
    (i32.and (i32.reinterpret_f32 (struct.get $b $f (local.get $s))) (i32.const 0x400000)))
  (func (export "make") (param $kind i32) (result (ref $a))
    (if (i32.eq (local.get $kind) (i32.const 0)) (then (return (struct.new_default $a))))
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (struct.new_default $b))))
    (if (i32.eq (local.get $kind) (i32.const 2))
      (then (return (struct.new $c (i32.const 1) (f32.const 2) (f64.const 3)
        (struct.new_default $d)))))
    (struct.new_default $d))
  (func (export "kinds") (param (ref null $a)) (result i32)
    (i32.or (ref.test (ref $a) (local.get 0))
    (i32.or (i32.shl (ref.test (ref $b) (local.get 0)) (i32.const 1))
    (i32.or (i32.shl (ref.test (ref $c) (local.get 0)) (i32.const 2))
    (i32.or (i32.shl (ref.test (ref $d) (local.get 0)) (i32.const 3))
      (i32.shl (ref.test (ref struct) (local.get 0)) (i32.const 4)))))))
  (func (export "chain") (param $n i32) (result (ref null $list))
    (local $at (ref null $list))
    (loop $more
      (local.set $at (struct.new $list (local.get $at)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $at))
  (func (export "length") (param $at (ref null $list)) (result i32)
    (local $n i32)
    (block $end
      (loop $more
        (local.set $at (struct.get $list 0 (br_on_null $end (local.get $at))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $more)))
    (local.get $n))
  (func (export "cut") (param $at (ref null $list))
    (struct.set $list 0 (local.get $at) (ref.null $list)))
  (func (export "rings") (param $n i32)
    (local $at (ref null $list))
    (loop $more
      (local.set $at (struct.new_default $list))
      (struct.set $list 0 (local.get $at) (struct.new $list (local.get $at)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
)
"""


def structs() -> int:
    gc.collect()
    return sum(isinstance(item, StructRef) for item in gc.get_objects())


class Both:
    """An instance on each engine, in one process: types, and so classes, are the same."""

    def __init__(self) -> None:
        self.instances = {}
        for strategy in ("native", "interpreter"):
            store = Store(Engine(Config(strategy=strategy, opt_level="speed")))
            self.instances[strategy] = Instance.new(store, Module(store.engine, TEXT))

    def call(self, strategy: str, name: str, *args: Any) -> Any:
        instance = self.instances[strategy]
        for arg in args:
            if isinstance(arg, StructRef):
                arg.store = None  # It comes from the other one.
        return instance.get_func(instance.store, name).call(instance.store, *args)


@pytest.fixture(params=["native", "interpreter"])
def one(request) -> str:
    return request.param


@pytest.fixture(params=["native", "interpreter"])
def other(request) -> str:
    return request.param


@pytest.mark.parametrize("bits", [0x7FA0_0001, 0x7FC0_0000, 0x7F80_0001, 0x3FC0_0000, 1, 0])
def test_floats_keep_their_bits(one, other, bits):
    both = Both()
    made = both.call(one, "bits", bits, bits << 32 | 5)
    assert both.call(other, "bits_of", made) == (bits, bits << 32 | 5)


def test_default_zeros_are_numbers_like_any(one):
    assert Both().call(one, "quieted") == 0x40_0000


@pytest.mark.parametrize(("kind", "expected"), [(0, 17), (1, 19), (2, 23), (3, 25)])
def test_casts_between_types(one, other, kind, expected):
    both = Both()
    made = both.call(one, "make", kind)
    assert both.call(other, "kinds", made) == expected
    assert both.call(other, "kinds", None) == 0


def test_what_a_host_makes(one):
    both = Both()
    instance = both.instances[one]
    store = instance.store
    ty = type(both.call(one, "make", 1)).type
    made = StructRef.new(store, StructRefPre.new(store, ty), [-1, 0.5, -0.5])
    assert both.call(one, "kinds", made) == 19
    assert both.call(one, "bits_of", made) == (0x3F00_0000, 0xBFE0_0000_0000_0000 - (1 << 64))


def test_long_chains_go(one):
    both = Both()
    before = structs()
    head = both.call(one, "chain", 300_000)
    assert structs() == before + 300_000
    assert both.call("native", "length", head) == 300_000
    both.call("native", "cut", head)
    assert structs() == before + 1


def test_rings_are_collected(one):
    both = Both()
    both.call(one, "rings", 10)
    before = structs()
    both.call(one, "rings", 5_000)
    assert structs() == before


def test_nulls_trap(one):
    with pytest.raises(Trap, match="null reference"):
        Both().call(one, "cut", None)


def test_objects_made_while_garbage_is_collected():
    """Allocating may run finalizers, and these may be guests."""
    text = """
    (module
      (type $s (struct (field (mut externref)) (field (mut anyref)) (field i32)))
      (func (export "litter") (param externref i32) (result i32)
        (local $s (ref null $s)) (local $sum i32)
        (loop $more
          (local.set $s (struct.new $s (local.get 0) (ref.null any) (local.get 1)))
          (struct.set $s 1 (local.get $s) (local.get $s))
          (local.set $sum (i32.add (local.get $sum) (struct.get $s 2 (local.get $s))))
          (br_if $more (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
        (local.get $sum)))"""
    store = Store(Engine(Config(strategy="native")))
    instance = Instance.new(store, Module(store.engine, text))
    litter = instance.get_func(store, "litter")
    ended = []

    class Host:
        def __del__(self) -> None:
            ended.append(litter.call(store, None, 10))

    for _ in range(3):
        host = ExternRef.new(store, Host())
        host.value.itself = host
        assert litter.call(store, host, 2_000) == 2_001_000
        del host
    gc.collect()
    assert ended == [55] * 3


def test_counts_of_null():
    both = Both()
    before = sys.getrefcount(None)
    for _ in range(1000):
        both.call("native", "make", 2)
        both.call("native", "cut", both.call("native", "chain", 3))
    assert abs(sys.getrefcount(None) - before) < 100


def test_host_functions_get_them(one):
    store = Store(Engine(Config(strategy=one)))
    text = """(module
      (type $s (struct (field (mut i32))))
      (import "" "f" (func $f (param (ref $s)) (result (ref $s))))
      (func (export "run") (result i32)
        (struct.get $s 0 (call $f (struct.new $s (i32.const 20))))))"""
    module = Module(store.engine, text)

    def add(struct: StructRef) -> StructRef:
        struct.set_field(store, 0, struct.field(store, 0) + 1)
        return struct

    func = Func.new(store, module.imports[0].type.type.func, lambda _, struct: add(struct))
    instance = Instance.new(store, module, [func])
    assert instance.get_func(store, "run").call(store) == 21
