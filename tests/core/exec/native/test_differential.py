"""Generated programs do the same in native code, on the portable engine, and in Wasmtime."""

from __future__ import annotations

import time
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncwasm import Config, Engine, Instance, Module, Store, Trap
from asyncwasm.errors import TrapCode
from tests.core.exec.native.programs import RESULTS_AT, modules

wasmtime = pytest.importorskip("wasmtime")
pytest.importorskip("llvmlite")

FUNCTIONS = 20
# So many modules at the most (3 000 programs), and so many seconds; either is enough.
EXAMPLES = 150
SECONDS = 40.0
ARGUMENTS = ((0, 0, 0.0), (7, -3, 1.5), (-1, 1 << 40, float("inf")))
# A message of Wasmtime's that names the trap, where ours is longer.
THEIRS = {
    "undefined element": TrapCode.TABLE_OUT_OF_BOUNDS,
    "table out of bounds": TrapCode.TABLE_OUT_OF_BOUNDS,
    **{code.value: code for code in TrapCode if code is not TrapCode.TABLE_OUT_OF_BOUNDS},
}


def ours(wasm: bytes, **options: Any) -> list[tuple[str, int]]:
    engine = Engine(Config(**options))
    store: Store[None] = Store(engine)
    if engine.config.consume_fuel:
        store.set_fuel(1 << 40)
    instance = Instance.new(store, Module(engine, wasm))
    memory: Any = instance.get_memory(store, "memory")
    found = []
    run: Any = instance.get_func(store, "run")
    for number in range(FUNCTIONS):
        for arguments in ARGUMENTS:
            try:
                run.call(store, number, *arguments)
                outcome = "ok"
            except Trap as trap:
                outcome = trap.code.name
            if engine.config.consume_fuel:
                outcome += f" {store.get_fuel()}"
            found.append((outcome, zlib.crc32(memory.view)))
    if options["strategy"] == "native":
        assert engine.statistics().functions_interpreted == {}
    return found


def theirs(wasm: bytes) -> list[tuple[str, int]]:
    config = wasmtime.Config()
    for feature in ("wasm_gc", "wasm_function_references", "wasm_exceptions", "wasm_tail_call"):
        setattr(config, feature, True)
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, wasm), []).exports(store)
    found = []
    for number in range(FUNCTIONS):
        for arguments in ARGUMENTS:
            try:
                exports["run"](store, number, *arguments)
                outcome = "ok"
            except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
                message = str(error)
                outcome = next((c.name for m, c in THEIRS.items() if m in message), message)
            memory = bytes(exports["memory"].get_buffer_ptr(store))
            found.append((outcome, zlib.crc32(memory)))
    return found


_deadline: list[float] = []


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    text=modules(FUNCTIONS),
    level=st.sampled_from(["none"] * 4 + ["speed"]),
    fuel=st.booleans(),
)
def test_programs(text: str, level: str, fuel: bool):
    if not _deadline:
        _deadline.append(time.monotonic() + SECONDS)
    if time.monotonic() > _deadline[0]:
        return
    wasm = bytes(wasmtime.wat2wasm(text))
    native = ours(wasm, strategy="native", opt_level=level, consume_fuel=fuel)
    assert native == ours(wasm, strategy="interpreter", consume_fuel=fuel)
    if not fuel:
        assert native == theirs(wasm)


def test_programs_compute_something():
    """The strategy reaches far: most functions end, and with many different results."""
    import random

    from tests.core.exec.native.programs import Choices, Writer

    kinds, states = set(), set()
    for seed in range(6):
        data = random.Random(seed).randbytes(160 * FUNCTIONS)
        text = Writer(Choices(data)).module(FUNCTIONS)
        found = ours(bytes(wasmtime.wat2wasm(text)), strategy="interpreter")
        kinds |= {outcome for outcome, _ in found}
        states |= {state for _, state in found}
        assert sum(outcome == "ok" for outcome, _ in found) > len(found) // 3
    assert len(kinds) > 4
    assert len(states) > 20
    assert RESULTS_AT < 65536
