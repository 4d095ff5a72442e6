"""Random programs compute the same here and in Wasmtime, however control flow is written."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

import pytest
import wasmtime

from asyncwasm import Config, Engine, Instance, Module, Store, Trap
from asyncwasm.core.exec.interp.jumps import MisfitError, TooDeepError

from .generate import FUEL, ControlGenerator, Generator
from .strategies import STRATEGIES, every_strategy, only

ARGUMENTS: dict[str, list[Any]] = {
    "i32": [0, 1, 5, -1, 2**31 - 1],
    "i64": [0, 3, -2, 1 << 40],
    "f32": [0.0, 1.5, -3.0],
    "f64": [0.0, -1.5, 1e20],
}
THEIR_TRAPS = {
    "unreachable": "UNREACHABLE",
    "divide by zero": "INTEGER_DIVISION_BY_ZERO",
    "integer overflow": "INTEGER_OVERFLOW",
    "invalid conversion": "BAD_CONVERSION_TO_INTEGER",
    "out of bounds memory": "MEMORY_OUT_OF_BOUNDS",
    "undefined element": "TABLE_OUT_OF_BOUNDS",
    "uninitialized element": "INDIRECT_CALL_TO_NULL",
    "indirect call type": "BAD_SIGNATURE",
    "call stack": "STACK_OVERFLOW",
}
CONFIGS: list[dict[str, Any]] = [{}, {"consume_fuel": True, "preemption_interval": None}]


def bits(result: Any) -> Any:
    """A result in a form that compares: floats by their bits, any NaN as one."""
    if isinstance(result, (tuple, list)):
        return tuple(map(bits, result))
    if isinstance(result, float):
        return "nan" if result != result else struct.pack("<d", result)
    return result


def their_trap(error: Exception) -> str:
    return next(name for text, name in THEIR_TRAPS.items() if text in str(error))


def theirs(wasm: bytes, calls: list[tuple[str, list[Any]]]) -> list[Any]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, wasm), []).exports(store)
    outcomes = []
    for name, arguments in calls:
        exports["fuel"].set_value(store, wasmtime.Val.i32(FUEL))
        try:
            result = bits(exports[name](store, *arguments))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            result = their_trap(error)
        memory = bytes(exports["memory"].get_buffer_ptr(store))
        state = [exports[f"g{ty}"].value(store) for ty in ("i32", "i64")]
        outcomes.append((result, *state, zlib.crc32(memory)))
    return outcomes


def ours(wasm: bytes, calls: list[tuple[str, list[Any]]], options: dict[str, Any]) -> list[Any]:
    engine = Engine(Config(**options))
    store: Store[None] = Store(engine)
    if options.get("consume_fuel"):
        store.set_fuel(1 << 40)
    instance = Instance.new(store, Module(engine, wasm), [])
    exports: dict[str, Any] = {e.name: e.extern for e in instance.exports(store)}
    outcomes = []
    for name, arguments in calls:
        exports["fuel"].set(store, FUEL)
        try:
            result = bits(exports[name].call(store, *arguments))
        except Trap as trap:
            result = trap.code.name
        state = [exports[f"g{ty}"].get(store) for ty in ("i32", "i64")]
        outcomes.append((result, *state, zlib.crc32(exports["memory"].data(store))))
    return outcomes


def check_program(seed: int, options: dict[str, Any]) -> None:
    generator = Generator(seed)
    wasm = bytes(wasmtime.wat2wasm(generator.module()))
    rnd = random.Random(seed)
    calls = [
        (f"f{i}", [rnd.choice(ARGUMENTS[ty]) for ty in params])
        for i, (params, _) in enumerate(generator.signatures)
        for _ in range(3)
    ]
    assert ours(wasm, calls, options) == theirs(wasm, calls), f"seed {seed}"


@pytest.mark.slow
@every_strategy
@pytest.mark.parametrize("options", CONFIGS, ids=["default", "fuel"])
def test_programs(options, strategy):
    start = 1000 * STRATEGIES.index(strategy)
    with only(strategy):
        for seed in range(start, start + 25):
            check_program(seed, options)


@pytest.mark.slow
@every_strategy
def test_control_flow(strategy):
    their_engine = wasmtime.Engine()
    engine = Engine(Config(preemption_interval=None))
    for seed in range(150):
        wasm = bytes(wasmtime.wat2wasm(ControlGenerator(seed, 40 + seed % 100).module()))
        their_store = wasmtime.Store(their_engine)
        module = wasmtime.Module(their_engine, wasm)
        run = wasmtime.Instance(their_store, module, []).exports(their_store)["run"]
        store: Store[None] = Store(engine)
        func = Instance.new(store, Module(engine, wasm), []).get_func(store, "run")
        assert func is not None
        for argument in (1, 2, 77, 12345):
            try:
                expected = run(their_store, argument)
            except wasmtime.Trap as error:
                expected = their_trap(error)
            try:
                with only(strategy):
                    found = func.call(store, argument)
            except Trap as trap:
                found = trap.code.name
            except MisfitError:
                raise
            except TooDeepError:
                continue  # as it should be, where the strategy has a limit
            assert found == expected, f"seed {seed}"
