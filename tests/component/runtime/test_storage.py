"""What a thread keeps for a guest: every call begins with none, and nobody else sees it."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Store
from asyncwasm.component import Component, Linker

# The inner component and the outer one each set their own; the outer one calls the inner.
TEXT = """
(component
  (component $Inner
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core module $m
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (func (export "swap") (param i32) (result i32)
        (call $get) (call $set (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "get" (func $get)) (export "set" (func $set))))))
    (func (export "swap") (param "x" u32) (result u32) (canon lift (core func $i "swap"))))
  (component $Plain
    (core module $m (func (export "same") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (func (export "same") (param "x" u32) (result u32) (canon lift (core func $i "same"))))
  (component $Outer
    (import "swap" (func $swap (param "x" u32) (result u32)))
    (import "same" (func $same (param "x" u32) (result u32)))
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core func $swap' (canon lower (func $swap)))
    (core func $same' (canon lower (func $same)))
    (core module $m
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "swap" (func $swap (param i32) (result i32)))
      (import "" "same" (func $same (param i32) (result i32)))
      (memory (export "memory") 1)
      (global $seen (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $seen (i32.add (global.get $seen) (call $get)))
        (call $set (i32.const 77))
        (i32.const 64))
      (func (export "seen") (result i32) (global.get $seen))
      (func (export "text") (param i32 i32) (result i32) (call $get))
      (func (export "run") (param i32) (result i32)
        (local $before i32)
        (local.set $before (call $get))
        (call $set (local.get 0))
        (drop (call $swap (i32.const 5)))
        (drop (call $same (i32.const 6)))
        (i32.add
          (i32.mul (i32.const 10000) (local.get $before))
          (i32.add (i32.mul (i32.const 100) (call $swap (i32.const 7))) (call $get)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "get" (func $get)) (export "set" (func $set))
      (export "swap" (func $swap')) (export "same" (func $same'))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run")))
    (func (export "seen") (result u32) (canon lift (core func $i "seen")))
    (func (export "text") (param "t" string) (result u32)
      (canon lift (core func $i "text")
        (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $inner (instantiate $Inner))
  (instance $plain (instantiate $Plain))
  (instance $outer (instantiate $Outer
    (with "swap" (func $inner "swap")) (with "same" (func $plain "same"))))
  (export "run" (func $outer "run"))
  (export "seen" (func $outer "seen"))
  (export "text" (func $outer "text"))
  (export "swap" (func $inner "swap")))
"""


@pytest.fixture(params=["interpreter", "native"])
def call(request):
    engine = Engine(Config(strategy=request.param))
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, TEXT))
    return lambda name, *args: instance.get_func(store, name).call(store, *args)


def test_each_call_has_its_own(call):
    for _ in range(3):
        # Nothing before, nothing that a callee left, and what was set is still there.
        assert call("run", 42) == 42
        assert call("swap", 3) == 0


def test_the_allocator_sees_nothing_and_leaves_nothing(call):
    for _ in range(3):
        assert call("text", "x") == 0
        assert call("seen") == 0
