"""Loops that go on in optimised code while they run."""

from __future__ import annotations

import gc
import sys
import time
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
)
from asyncwasm.core.exec.native import state, units
from asyncwasm.core.runtime.words import SEEN
from asyncwasm.core.types import EXTERNREF, I32
from tests.core.exec.interp.generate import ControlGenerator

pytest.importorskip("llvmlite")


class Hurry:
    """Whenever a loop that is not optimised begins a turn it is given an entry, and goes on there.

    Only every so many turns, if `every` is set, for other loops to come first.
    """

    every = 1
    turns = 0
    entered = 0


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    found, tick, make = Hurry(), state.tick, units.ModuleCode._make_entry

    def hurried(store: Any) -> None:
        tick(store)
        store.words[SEEN] = 0

    def sampled(self: Any, module: Any, index: int, loop: int) -> None:
        if loop and not self._entry(loop)[0]:
            found.turns += 1
            if found.turns % found.every == 0:
                make(self, module, index, loop)
        found.entered += bool(loop and self._entry(loop)[0])

    monkeypatch.setattr(state, "tick", hurried)
    monkeypatch.setattr(units.ModuleCode, "sampled", sampled)
    # Without this, small modules' loops are optimised before they run.
    monkeypatch.setattr(units, "_SMALL_MODULE_BYTES", -1)
    return found


def made(text: str, *imports: Any, **options: Any) -> tuple[Store[None], Instance]:
    store: Store[None] = Store(Engine(Config(**{"strategy": "native", **options})))
    given = [each(store) for each in imports]
    return store, Instance.new(store, Module(store.engine, text), given)


def outcomes(
    text: str, calls: list[tuple[str, list[Any]]], strategy: Any, **options: Any
) -> list[Any]:
    store, instance = made(text, strategy=strategy, **options)
    found = []
    for name, arguments in calls:
        if options.get("consume_fuel"):
            store.set_fuel(1_000_000)
        try:
            func = instance.get_func(store, name)
            assert func is not None
            store.words[SEEN] = 0
            outcome = repr(func.call(store, *arguments))
        except Trap as trap:
            outcome = trap.code.name
        found.append((name, outcome, store.get_fuel() if options.get("consume_fuel") else None))
    return found


OPTIONS: list[dict[str, Any]] = [
    {},
    {"consume_fuel": True},
    {"release_gil": True, "preemption_interval": None},
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "fuel", "released"])
def test_control_flow(hurry: Hurry, options: dict[str, Any]):
    for seed in range(100):
        hurry.every = 1 + seed % 4
        text = ControlGenerator(seed, 40 + seed % 100).module()
        calls = [("run", [argument]) for argument in range(10)]
        expected = outcomes(text, calls, "interpreter", **options)
        assert outcomes(text, calls, "native", **options) == expected, f"seed {seed}"
    assert hurry.entered > 100


# Operands of all types below loops in blocks in loops, which take parameters and give results.
NESTED = """
(module
  (func (export "f") (param $n i32) (param $m i64) (result f64) (local $i i32) (local $j i32)
    (local $sum f64) (local $v v128)
    (local.set $v (v128.const i32x4 1 2 3 4))
    (f64.convert_i32_s (local.get $n))
    (i32.eqz (local.get $n))
    (v128.const i64x2 7 8)
    (block $out (result f64)
      (f64.const 0.5)
      (loop $l (param f64) (result f64)
        (f32.demote_f64)
        (local.set $j (i32.const 0))
        (i64.mul (local.get $m) (i64.const 3))
        (block $skip
          (br_if $skip (i32.and (local.get $i) (i32.const 1)))
          (i32.const 9) (f32.const 1.5)
          (loop $k
            (local.set $sum (f64.add (local.get $sum) (f64.const 1)))
            (local.set $v (i32x4.add (local.get $v) (v128.const i32x4 1 1 1 1)))
            (br_if $k (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1)))
                                (i32.const 5))))
          (f64.promote_f32) (local.set $sum (f64.add (local.get $sum)))
          (f64.convert_i32_s) (local.set $sum (f64.add (local.get $sum))))
        (f64.convert_i64_s) (local.set $sum (f64.add (local.get $sum)))
        (f64.promote_f32)
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (if (param f64) (result f64) (i32.lt_u (local.get $i) (local.get $n))
          (then (f64.const 2) (f64.mul))
          (else (br $out)))
        (br $l)))
    (local.set $sum (f64.add (local.get $sum)))
    (i64x2.extract_lane 1) (f64.convert_i64_s) (local.set $sum (f64.add (local.get $sum)))
    (f64.convert_i32_s) (local.set $sum (f64.add (local.get $sum)))
    (f64.add (local.get $sum))
    (f64.add (f64.convert_i32_s (i32x4.extract_lane 2 (local.get $v))))))
"""


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 7, 11])
def test_what_is_on_the_stack_goes_along(hurry: Hurry, every: int):
    hurry.every = every
    calls = [("f", [n, n * 1000]) for n in (0, 1, 2, 9)]
    assert outcomes(NESTED, calls, "native") == outcomes(NESTED, calls, "interpreter")
    assert hurry.entered


# References in locals, below loops and as their parameters; calls that throw in a loop.
REFERENCES = """
(module (import "" "host" (func $host (param i32 externref) (result externref)))
  (tag $e (param i32))
  (func $throws (param i32)
    (if (i32.eq (i32.rem_u (local.get 0) (i32.const 3)) (i32.const 2))
      (then (throw $e (local.get 0)))))
  (func (export "f") (param $n i32) (param $r externref) (result externref i32)
    (local $i i32) (local $s externref) (local $caught i32)
    (local.set $s (local.get $r))
    (call $host (i32.const 100) (local.get $r))
    (block $b (param externref) (result externref)
      (loop $l (param externref) (result externref)
        (local.set $s)
        (call $host (local.get $i) (local.get $s))
        (local.get $s)
        (block $skip
          (block $h (result i32)
            (try_table (catch $e $h)
              (loop $k
                (call $throws (local.get $i))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $k (i32.lt_u (i32.rem_u (local.get $i) (i32.const 5)) (i32.const 2)))))
            (br $skip))
          (local.set $caught (i32.add (local.get $caught)))
          (local.set $i (i32.add (local.get $i) (i32.const 1))))
        (drop)
        (br_if $b (i32.ge_u (local.get $i) (local.get $n)))
        (br $l)))
    (if (i32.eq (local.get $n) (i32.const 7)) (then (unreachable)))
    (local.get $caught)))
"""


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 8])
def test_references_go_along_with_their_counts(hurry: Hurry, every: int):
    hurry.every = every

    class Host:
        pass

    def host(store: Store[None]) -> Func:
        ty = FuncType((I32, EXTERNREF), (EXTERNREF,))

        def call(caller: Any, number: int, given: Any) -> Any:
            return ExternRef.new(store, Host()) if number % 2 else given

        return Func.new(store, ty, call)

    results = {}
    for strategy in ("interpreter", "native"):
        store, instance = made(REFERENCES, host, strategy=strategy)
        func = instance.get_func(store, "f")
        assert func is not None
        found = []
        for n in (0, 1, 4, 7, 20, 20, 20):
            store.words[SEEN] = 0
            try:
                reference, caught = func.call(store, n, ExternRef.new(store, "given"))
                found.append((type(reference.value), caught))
                del reference
            except Trap as trap:
                found.append((trap.code, len(trap.frames)))
        gc.collect()
        results[strategy] = found
        assert not [each for each in gc.get_objects() if type(each) is Host]
    assert results["native"] == results["interpreter"]
    assert (TrapCode.UNREACHABLE, 1) in results["native"]
    assert hurry.entered


# More code than is optimised before it runs, and a loop that nobody would see end.
LARGE = f"""
(module (memory (export "memory") 1)
  (func (export "spin") (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if $l (i32.eqz (i32.load (local.get 0)))))
    (local.get 1))
  (func $tail (export "tail") (param i32) (result i32)
    (loop $l (br_if $l (i32.eqz (i32.load (local.get 0)))))
    (if (i32.load (local.get 0)) (then (return (i32.const 5))))
    (return_call $tail (local.get 0)))
  (func (param i32) (result i32)
    {"(local.set 0 (i32.add (local.get 0) (i32.const 1)))" * 6000} (local.get 0)))
"""


def spin(name: str, until: Any) -> Any:
    """Call a function of `LARGE` that only ends when `until`, which gets statistics, says so."""
    store, instance = made(LARGE)
    memory: Any = instance.get_export(store, "memory")
    deadline = time.monotonic() + 60

    def poll() -> None:
        if until(store.engine.statistics()) or time.monotonic() > deadline:
            memory.data(store)[0] = 1

    # What looks is what others do while the guest runs.
    before = state.tick
    state.tick = lambda store: (poll(), before(store))[1]
    try:
        func = instance.get_func(store, name)
        assert func is not None
        result = func.call(store, 0)
    finally:
        state.tick = before
    assert time.monotonic() < deadline
    return result, store.engine.statistics()


def test_a_running_loop_goes_on_in_optimised_code():
    result, found = spin("spin", lambda found: found.loops_replaced)
    assert result != 0
    assert found.loops_replaced == 1
    assert found.loops_stuck == {}
    assert (found.functions_compiled, found.functions_optimised, found.units) == (1, 1, 3)


def test_a_loop_that_cannot_is_counted():
    result, found = spin("tail", lambda found: found.loops_stuck)
    assert result == 5
    assert found.loops_replaced == 0
    assert found.loops_stuck == {"its function makes tail calls": 1}


def test_kept_code_finds_entries_too(hurry: Hurry):
    engine = Engine(Config(strategy="native"))
    module = Module.deserialize(engine, Module(engine, NESTED).serialize())
    store: Store[None] = Store(engine)
    func = Instance.new(store, module, []).get_func(store, "f")
    assert func is not None
    store.words[SEEN] = 0
    found = [("f", repr(func.call(store, 9, 9000)), None)]
    assert found == outcomes(NESTED, [("f", [9, 9000])], "interpreter")
    assert engine.statistics().units_recalled
    assert hurry.entered


def test_entries_are_kept_no_longer_than_their_module(hurry: Hurry):
    def use() -> None:
        calls = [("f", [9, 9])]
        outcomes(NESTED, calls, "native")
        gc.collect()

    for _ in range(3):
        use()
    before = sys.getallocatedblocks()
    for _ in range(5):
        use()
    assert sys.getallocatedblocks() - before < 500
