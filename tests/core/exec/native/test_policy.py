"""Which functions get machine code, when, and what an engine says of it."""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap, UsageError
from asyncwasm.core.exec.native import units
from asyncwasm.core.exec.native.lower import LOWERINGS
from asyncwasm.core.types import I32

pytest.importorskip("llvmlite")

TEXT = """
(module (import "" "h" (func $h (param i32) (result i32)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "plain") (param i32) (result i32) (call $leaf (call $h (local.get 0))))
  (func (export "loop") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1))
  (func (export "bits") (param i32) (result i32) (i32.popcnt (local.get 0)))
  (func (export "mixed") (param i32) (result i32)
    (i32.add (call $leaf (local.get 0)) (i32.popcnt (i32.const 4))))
  (func (export "caller") (param i32) (result i32) (call 5 (local.get 0))))
"""


@pytest.fixture(autouse=True)
def _not_covered(monkeypatch):
    """Something has to be left for the portable engine."""
    monkeypatch.delitem(LOWERINGS, "i32.popcnt")


def made(**options: Any) -> tuple[Engine, Store[None], Instance]:
    engine = Engine(Config(strategy="native", **options))
    store: Store[None] = Store(engine)
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n * 2)
    return engine, store, Instance.new(store, Module(engine, TEXT), [host])


def test_functions_are_compiled_when_they_are_called():
    engine, store, instance = made()
    plain = instance.get_func(store, "plain")
    assert plain is not None
    assert engine.statistics().functions_compiled == 0
    for _ in range(3):
        assert plain.call(store, 3) == 7
    found = engine.statistics()
    assert (found.functions_compiled, found.functions_optimised, found.units) == (2, 0, 2)
    assert found.compile_seconds > 0


def test_a_function_can_be_optimised_before_it_runs():
    engine, store, instance = made(opt_level="speed")
    plain = instance.get_func(store, "plain")
    assert plain is not None
    assert plain.call(store, 3) == 7
    found = engine.statistics()
    # What it calls is in the same unit.
    assert (found.functions_compiled, found.functions_optimised, found.units) == (2, 2, 1)


FIB = """
(module (func $fib (export "fib") (param i32) (result i32)
  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
"""


@pytest.mark.parametrize("preemption_interval", [0.01, None])
def test_a_function_that_takes_time_is_optimised(preemption_interval: float | None):
    engine = Engine(Config(strategy="native", preemption_interval=preemption_interval))
    store: Store[None] = Store(engine)
    fib = Instance.new(store, Module(engine, FIB)).get_func(store, "fib")
    assert fib is not None
    assert fib.call(store, 10) == 55
    assert engine.statistics().functions_optimised == 0
    deadline = time.monotonic() + 30
    while not engine.statistics().functions_optimised:
        assert fib.call(store, 25) == 75025
        assert time.monotonic() < deadline
    assert fib.call(store, 10) == 55
    assert engine.statistics().functions_compiled == 1


def test_a_small_function_with_loops_is_optimised_before_it_runs():
    engine, store, instance = made()
    loop = instance.get_func(store, "loop")
    assert loop is not None
    assert loop.call(store, 1000) == 1000
    assert engine.statistics().functions_optimised == 1


def test_without_tiers_nothing_is_optimised():
    engine, store, instance = made(opt_level="none")
    loop = instance.get_func(store, "loop")
    assert loop is not None
    for _ in range(10):
        loop.call(store, 10_000_000)
    assert engine.statistics().functions_optimised == 0


def test_interpreted_code_calls_compiled_code_directly():
    _, store, instance = made()
    mixed = instance.get_func(store, "mixed")
    assert mixed is not None
    for _ in range(5):
        assert mixed.call(store, 1) == 3
    assert instance.namespace["f1"] is instance.func(1).fn
    assert type(instance.func(1).fn).__name__ == "builtin_function_or_method"


BETWEEN = """
(module (table funcref (elem $odd))
  (func $even (export "even") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
  (func $odd (export "odd") (param i32) (result i32) (drop (i32.popcnt (i32.const 0)))
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (return_call $even (i32.sub (local.get 0) (i32.const 1))))
  (func $last (param i32) (result i32) (i32.popcnt (i32.div_u (i32.const 7) (local.get 0))))
  (func (export "call") (param i32) (result i32) (call $odd (local.get 0)))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func (export "last") (param i32) (result i32) (call $last (local.get 0))))
"""


@pytest.mark.parametrize(
    "order", [["call", "even", "indirect", "odd"], ["even", "call"], ["indirect", "even", "odd"]]
)
def test_compiled_code_calls_interpreted_code(order: list[str]):
    store: Store[None] = Store(Engine(Config(strategy="native")))
    instance = Instance.new(store, Module(store.engine, BETWEEN), [])

    def call(name: str, argument: int) -> Any:
        func = instance.get_func(store, name)
        assert func is not None
        return func.call(store, argument)

    for name in order:
        # Tail calls take no stack, whichever way they go.
        assert call(name, 30_001) == (name != "even")
        assert call(name, 30_000) == (name == "even")
    for _ in range(2):
        assert call("last", 1) == 3
        with pytest.raises(Trap, match="integer divide by zero"):
            call("last", 0)


def test_what_is_not_covered_is_interpreted_and_counted():
    engine = Engine(Config(strategy="native"))
    store: Store[None] = Store(engine)
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n * 2)
    instance = Instance.new(store, Module(engine, TEXT), [host])
    bits, caller = instance.get_func(store, "bits"), instance.get_func(store, "caller")
    assert bits is not None
    assert caller is not None
    assert bits.call(store, 7) == 3
    assert caller.call(store, 1) == 3
    found = engine.statistics()
    assert found.functions_compiled == 2
    assert found.functions_interpreted == {"`i32.popcnt`": 2}


def test_what_llvm_refuses_is_interpreted(monkeypatch):
    from asyncwasm.core.exec.native.compiler import CompileError

    def refuse(text: str, *, speed: int) -> None:
        raise CompileError("no")

    monkeypatch.setattr(units, "emit", refuse)
    engine = Engine(Config(strategy="native"))
    store: Store[None] = Store(engine)
    module = Module(engine, '(module (func (export "f") (result i32) (i32.const 7)))')
    func = Instance.new(store, module).get_func(store, "f")
    assert func is not None
    assert func.call(store) == 7
    assert engine.statistics().functions_interpreted == {"compiling failed: no": 1}


def test_without_llvmlite_native_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install llvmlite"):
        Engine(Config(strategy="native"))
    Engine(Config(strategy="auto"))


def test_what_is_too_large_to_be_optimised_stays_compiled(monkeypatch):
    engine, store, instance = made()
    loop = instance.get_func(store, "loop")
    assert loop is not None
    assert loop.call(store, 3) == 3
    code = instance.module(store).translations["native"]
    monkeypatch.setattr(units, "LARGEST", 1)
    index = next(n for n, level in enumerate(code.levels) if level)
    code.levels[index] = units.Level.BASELINE
    code._optimise(instance.module(store), index)
    assert code.reasons == {}
    assert engine.statistics().functions_interpreted == {}
