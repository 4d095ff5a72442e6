"""Native code and the portable engine agree on what programs cost."""

from __future__ import annotations

import random

import pytest

from asyncwasm import Config, Engine, Instance, Module, Store, Trap
from tests.core.exec.interp.generate import ControlGenerator, Generator
from tests.core.exec.interp.test_random import ARGUMENTS

pytest.importorskip("llvmlite")

AMOUNT = 1_000_000


def costs(text: str, calls: list[tuple[str, list]], strategy: str) -> list[object]:
    store = Store(Engine(Config(strategy=strategy, consume_fuel=True)))
    store.set_fuel(AMOUNT)
    instance = Instance.new(store, Module(store.engine, text))
    found = []
    for name, arguments in calls:
        store.set_fuel(AMOUNT)
        try:
            outcome = repr(instance.get_func(store, name).call(store, *arguments))
        except Trap as trap:
            outcome = trap.code.name
        found.append((name, outcome, store.get_fuel()))
    return found


@pytest.mark.slow
def test_programs_cost_the_same():
    for seed in range(15):
        generator = Generator(seed)
        text = generator.module()
        rnd = random.Random(seed)
        calls = [
            (f"f{i}", [rnd.choice(ARGUMENTS[ty]) for ty in params])
            for i, (params, _) in enumerate(generator.signatures)
            for _ in range(3)
        ]
        assert costs(text, calls, "native") == costs(text, calls, "interpreter"), f"seed {seed}"


@pytest.mark.slow
def test_control_flow_costs_the_same():
    for seed in range(25):
        text = ControlGenerator(seed, 40 + seed).module()
        calls = [("run", [argument]) for argument in (1, 2, 77, 12345)]
        assert costs(text, calls, "native") == costs(text, calls, "interpreter"), f"seed {seed}"


def test_a_long_operation_may_use_up_everything():
    """Its length is charged before anything is checked, and may be any number."""
    text = """(module (memory i64 1)
      (func (export "fill") (param i64)
        (memory.fill (i64.const 0) (i32.const 0) (local.get 0))
        (call $next))
      (func $next))"""
    calls = [("fill", [n]) for n in (0, 100, 65536, AMOUNT, 1 << 40, -1)]
    assert costs(text, calls, "native") == costs(text, calls, "interpreter")


def test_the_most_fuel_there_can_be():
    for strategy in ("native", "interpreter"):
        store = Store(Engine(Config(strategy=strategy, consume_fuel=True)))
        store.set_fuel((1 << 64) - 1)
        text = '(module (func (export "f") (result i32) (i32.const 7)))'
        function = Instance.new(store, Module(store.engine, text)).get_func(store, "f")
        assert function.call(store) == 7
        assert store.get_fuel() == (1 << 64) - 3
