"""Tail calls take no stack: within native code, between instances, and between engines."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from asyncwasm import (
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
    i64,
)
from asyncwasm.core.types import I64

pytest.importorskip("llvmlite")

from asyncwasm.core.exec.native.lower import LOWERINGS

DEEP = 10_000_000

TEXT = """
(module
  (type $t (func (param i64 i64) (result i64)))
  (table $table (export "table") 3 funcref)
  (elem $table (i32.const 0) func $direct $indirect $ref)
  (elem declare func $ref)
  (func $direct (export "direct") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $wide (i64.sub (local.get 0) (i64.const 1)) (local.get 1)
      (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)
      (f64.const 7)))
  (func $wide (param i64 i64 i64 i64 i64 i64 i64 i64 f64) (result i64)
    (return_call $direct (local.get 0)
      (i64.add (i64.add (local.get 1) (local.get 7)) (i64.trunc_f64_s (local.get 8)))))
  (func $indirect (export "indirect") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_indirect $table (type $t)
      (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 13))
      (i32.const 1)))
  (func $ref (export "ref") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_ref $t
      (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 13))
      (ref.func $ref))))
"""


def made(strategy: str, text: str, *imports: Any, store: Any = None) -> Any:
    store = store or Store(Engine(Config(strategy=strategy)))
    return Instance.new(store, Module(store.engine, text), list(imports))


def call(instance: Any, name: str, *args: Any) -> Any:
    return instance.get_func(instance.store, name).call(instance.store, *args)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["direct", "indirect", "ref"])
def test_ten_million_deep(name: str):
    assert call(made("native", TEXT), name, DEEP, 0) == 13 * DEEP


PING = """
(module
  (type $t (func (param i64 i64) (result i64)))
  (import "" "pong" (func $pong (type $t)))
  (func (export "ping") (type $t)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $pong
      (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1)))))
"""
PONG = """
(module
  (type $t (func (param i64 i64) (result i64)))
  (table $table (export "table") 1 funcref)
  (func (export "pong") (type $t)
    {interpreted}
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_indirect (type $t)
      (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 2)) (i32.const 0))))
"""


@pytest.mark.parametrize("interpreted", ["", "(drop (i32.popcnt (i32.const 1)))"])
def test_between_instances_and_engines(interpreted: str, monkeypatch):
    """With something that native code does not cover, every other function is interpreted."""
    monkeypatch.delitem(LOWERINGS, "i32.popcnt")
    pong = made("native", PONG.format(interpreted=interpreted))
    store = pong.store
    ping = made("native", PING, pong.get_func(store, "pong"), store=store)
    pong.get_table(store, "table").set(store, 0, ping.get_func(store, "ping"))
    assert call(ping, "ping", 100_000, 0) == 150_000
    assert call(pong, "pong", 100_000, 0) == 150_000
    assert bool(store.engine.statistics().functions_interpreted) == bool(interpreted)


@pytest.mark.parametrize("level", ["none", "speed"])
@pytest.mark.parametrize("wants_caller", [True, False])
def test_a_host_function_is_called_without_the_frame(wants_caller: bool, level: Any):
    store = Store(Engine(Config(strategy="native", opt_level=level)))

    def add(n: i64) -> i64:
        return n + 1

    host = Func.wrap(store, add)
    if wants_caller:
        host = Func.new(store, FuncType((I64,), (I64,)), lambda caller, n: n + 1)
    text = """(module (import "" "h" (func $h (param i64) (result i64)))
      (table funcref (elem $h)) (type $t (func (param i64) (result i64)))
      (elem declare func $h)
      (func (export "direct") (type $t) (return_call $h (local.get 0)))
      (func (export "indirect") (type $t)
        (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
      (func (export "ref") (type $t) (return_call_ref $t (local.get 0) (ref.func $h)))
      (func (export "plain") (type $t) (i64.mul (i64.const 2) (call 1 (local.get 0)))))"""
    instance = made("native", text, host, store=store)
    for name in ("direct", "indirect", "ref") * 3:
        assert call(instance, name, 41) == 42
    assert call(instance, "plain", 41) == 84


def test_what_a_host_function_raises_comes_out():
    class HostError(Exception):
        pass

    def fail(caller: Any) -> None:
        raise HostError

    store = Store(Engine(Config(strategy="native")))
    text = """(module (import "" "h" (func $h))
      (func $f (return_call $h)) (func (export "run") (call $f) unreachable))"""
    instance = made("native", text, Func.new(store, FuncType((), ()), fail), store=store)
    for _ in range(3):
        with pytest.raises(HostError):
            call(instance, "run")


@pytest.mark.parametrize(
    ("operand", "code"),
    [
        ("(i32.const 9)", TrapCode.TABLE_OUT_OF_BOUNDS),
        ("(i32.const 1)", TrapCode.INDIRECT_CALL_TO_NULL),
        ("(i32.const 2)", TrapCode.BAD_SIGNATURE),
    ],
)
def test_traps(operand: str, code: TrapCode):
    text = f"""(module (table 3 funcref) (elem (i32.const 2) func $f) (func $f (param i32))
      (func (export "run") (param externref) (local externref)
        (local.set 1 (local.get 0)) (local.get 1)
        (return_call_indirect (param externref) (local.get 0) {operand})))"""
    instance = made("native", text)
    value = ExternRef.new(instance.store, object())
    before = sys.getrefcount(value)
    for _ in range(3):
        with pytest.raises(Trap) as caught:
            call(instance, "run", value)
        assert caught.value.code is code
        caught.value.__traceback__ = None
        del caught
    assert sys.getrefcount(value) == before


def test_references_go_along_and_the_others_are_released():
    text = """(module
      (type $t (func (param i64 externref externref) (result externref)))
      (table funcref (elem $a $b))
      (func $a (export "run") (type $t)
        (local externref)
        (local.set 3 (local.get 1)) (local.get 2) (local.get 3)
        (if (i64.eqz (local.get 0)) (then (return (local.get 2))))
        (return_call $b (i64.sub (local.get 0) (i64.const 1)) (local.get 2) (local.get 1)))
      (func $b (type $t)
        (return_call_indirect (type $t) (local.get 0) (local.get 1) (local.get 2) (i32.const 0))))
    """
    instance = made("native", text)
    values = [ExternRef.new(instance.store, object()) for _ in range(2)]
    call(instance, "run", 3, *values)
    before = [sys.getrefcount(value) for value in values]
    for n in (0, 1, 2, 1000):
        assert call(instance, "run", n, *values) is values[(n + 1) % 2]
    assert [sys.getrefcount(value) for value in values] == before


def test_more_results_than_registers():
    """Such a function is interpreted, and goes on in native code."""
    text = """(module
      (func $f (param i64) (result i64 i64 i64 i64)
        (local.get 0) (local.get 0) (local.get 0) (local.get 0))
      (func $g (param i64) (result i64 i64 i64 i64) (return_call $f (local.get 0)))
      (func (export "run") (result i64 i64 i64 i64) (call $g (i64.const 5)))
      (func (export "four") (param i64) (result f64 f64 i64 f64 f64 i64)
        (if (i64.eqz (local.get 0)) (then (return
          (f64.const 1) (f64.const 2) (i64.const 3) (f64.const 4) (f64.const 5) (i64.const 6))))
        (return_call 3 (i64.sub (local.get 0) (i64.const 1)))))"""
    instance = made("native", text)
    assert call(instance, "run") == (5, 5, 5, 5)
    assert call(instance, "four", 1_000_000) == (1.0, 2.0, 3, 4.0, 5.0, 6)
    assert sum(instance.store.engine.statistics().functions_interpreted.values()) == 1


def test_an_endless_chain_can_be_interrupted():
    config = Config(strategy="native", epoch_interruption=True)
    store = Store(Engine(config))
    store.set_epoch_deadline(1)
    store.engine.increment_epoch()
    text = """(module (func $f (export "run") (return_call $g)) (func $g (return_call $f)))"""
    with pytest.raises(Trap) as caught:
        call(made("native", text, store=store), "run")
    assert caught.value.code is TrapCode.INTERRUPT


def test_a_large_function_makes_a_tail_call():
    adds = " ".join(
        f"(local.set 1 (i64.xor (local.get 1) (i64.mul (local.get 0) (i64.const {n}))))"
        for n in range(1500)
    )
    text = f"""(module (func (export "run") (param i64 i64) (result i64)
      (if (i64.eqz (local.get 0)) (then (return (local.get 1)))) {adds}
      (return_call 0 (i64.sub (local.get 0) (i64.const 1)) (local.get 1))))"""
    native = made("native", text)
    call(native, "run", 10_000, 0)
    assert call(native, "run", 3, 0) == call(made("interpreter", text), "run", 3, 0)
    assert native.store.engine.statistics().functions_interpreted == {}


@pytest.mark.parametrize("level", ["none", "speed"])
def test_functions_that_make_no_tail_calls_are_tail_called(level: Any):
    """Also from another unit, and more than once."""
    text = """(module (type $t (func (param i64) (result i64)))
      (table funcref (elem $plain)) (elem declare func $plain)
      (func $plain (type $t) (i64.mul (local.get 0) (i64.const 3)))
      (func (export "direct") (type $t) (return_call $plain (local.get 0)))
      (func (export "indirect") (type $t)
        (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
      (func (export "ref") (type $t) (return_call_ref $t (local.get 0) (ref.func $plain))))"""
    store = Store(Engine(Config(strategy="native", opt_level=level)))
    instance = made("native", text, store=store)
    for name in ("direct", "indirect", "ref") * 3:
        assert call(instance, name, 14) == 42
