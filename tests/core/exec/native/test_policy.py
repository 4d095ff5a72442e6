"""Which functions get machine code, when, and what an engine says of it."""

from __future__ import annotations

import importlib.util

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, UsageError
from asyncwasm.core.exec.interp import Interpreter
from asyncwasm.core.exec.native import NativeExecutor
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


def patient(patience: int) -> tuple[Engine, Store[None], Instance]:
    """An engine that waits for so many calls."""
    engine = Engine()
    engine._executor = NativeExecutor(engine.config, Interpreter(engine.config), patience)
    store: Store[None] = Store(engine)
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n * 2)
    return engine, store, Instance.new(store, Module(engine, TEXT), [host])


def test_functions_without_loops_are_compiled_when_they_were_called_often():
    engine, store, instance = patient(5)
    plain = instance.get_func(store, "plain")
    assert plain is not None
    for count in range(1, 10):
        assert plain.call(store, 3) == 7
        assert bool(engine.statistics().functions_compiled) == (count >= 5), count
    assert engine.statistics().functions_interpreted == {}


def test_functions_with_loops_are_compiled_before_they_run():
    engine, store, instance = patient(5)
    loop = instance.get_func(store, "loop")
    assert loop is not None
    assert loop.call(store, 3) == 3
    assert engine.statistics().functions_compiled == 1
    assert engine.statistics().compile_seconds > 0


def test_interpreted_code_calls_compiled_code_directly():
    _, store, instance = patient(3)
    mixed = instance.get_func(store, "mixed")
    assert mixed is not None
    for _ in range(5):
        assert mixed.call(store, 1) == 3
    assert instance.namespace["f1"] is instance.func(1).fn
    assert type(instance.func(1).fn).__name__ == "builtin_function_or_method"


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
    from asyncwasm.core.exec.native import units
    from asyncwasm.core.exec.native.compiler import CompileError

    def refuse(text: str, *, speed: int) -> None:
        raise CompileError("no")

    monkeypatch.setattr(units, "compile_unit", refuse)
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
    Engine()
    Engine(Config(strategy="auto"))
