"""Exceptions through the interpreter."""

from __future__ import annotations

import pytest

from asyncwasm.errors import ThrownException, Trap

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import Ours, agree

WAT = """(module
  (tag $none) (tag $one (param i32)) (tag $two (param i64 f64))
  (func $throw (export "throw") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $none)))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $one (i32.const 42))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $two (i64.const 7) (f64.const 0.5))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable)))
    (if (i32.eq (local.get 0) (i32.const 5))
      (then (throw_ref (ref.null exn))))
    (i32.const 100))
  (func (export "catch") (param i32) (result i32) (local $x i32)
    (block $none
      (block $one (result i32)
        (block $two (result i64 f64)
          (try_table (result i32) (catch $two $two) (catch $one $one) (catch $none $none)
            (call $throw (local.get 0)))
          (return (i32.add (i32.const 1))))
        (i32.trunc_f64_s (f64.mul (f64.const 4)))
        (local.set $x)
        (i32.wrap_i64)
        (return (i32.mul (local.get $x))))
      (return (i32.add (i32.const 2000))))
    (i32.const 1000))
  (func (export "all") (param i32) (result i32)
    (block $all (return (try_table (result i32) (catch_all $all) (call $throw (local.get 0)))))
    (i32.const -1))
  (func $again (export "again") (param i32) (result i32)
    (throw_ref (block $all (result exnref)
      (return (try_table (result i32) (catch_all_ref $all) (call $throw (local.get 0)))))))
  (func (export "twice") (param i32) (result i32)
    (block $one (result i32)
      (try_table (result i32) (catch $one $one) (call $again (local.get 0)))
      (return))
    (i32.add (i32.const 1)))
  (func (export "with_ref") (param i32) (result i32) (local $e exnref)
    (block $one (result i32 exnref)
      (try_table (result i32) (catch_ref $one $one) (call $throw (local.get 0)))
      (return))
    (local.set $e)
    (drop)
    (block $inner (result i32)
      (try_table (catch $one $inner) (throw_ref (local.get $e)))
      (i32.const 5)))
  (func (export "locals") (param i32) (result i32) (local $x i32)
    (local.set $x (i32.const 1))
    (block $h
      (try_table (catch_all $h)
        (local.set $x (i32.const 2))
        (drop (call $throw (local.get 0)))
        (local.set $x (i32.const 3))))
    (local.get $x))
  (func (export "loop") (param i32) (result i32) (local $i i32)
    (loop $next
      (block $done
        (block $none
          (try_table (catch $none $none)
            (drop (call $throw (i32.eq (i32.and (local.get $i) (i32.const 1)) (i32.const 1))))
            (br $done)))
        (local.set $i (i32.add (local.get $i) (i32.const 10))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get 0))))
    (local.get $i)))"""


@pytest.mark.parametrize("fuel", [False, True])
def test_handlers_agree_with_wasmtime(fuel):
    names = "catch all locals".split()
    calls = [(name, i) for name in names for i in range(6)]
    calls += [("twice", i) for i in (0, 2, 4, 5)] + [("with_ref", i) for i in (0, 2, 4, 5)]
    agree(WAT, [*calls, ("loop", 50), ("throw", 0), ("throw", 4), ("again", 0)], consume_fuel=fuel)


@pytest.mark.parametrize("function", ["throw", "again"])
def test_what_is_not_caught_reaches_the_host(function):
    ours = Ours(WAT)
    for number, fields in ((1, []), (2, [42]), (3, [7, 0.5])):
        with pytest.raises(ThrownException) as caught:
            ours(function, number)
        assert caught.value.exn.get_fields(ours.store) == fields


def test_throwing_null_traps():
    ours = Ours(WAT)
    func = ours.instance.get_func(ours.store, "throw")
    with pytest.raises(Trap) as caught:
        func.call(ours.store, 5)
    assert caught.value.message == "null exception reference"
