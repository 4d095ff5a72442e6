"""Native code, the portable engine and Wasmtime compute the same."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncwasm import Config, Engine, Instance, Module, Store, Trap
from asyncwasm.core.exec.native.lower import LOWERINGS
from asyncwasm.core.isa import numeric
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.errors import TrapCode
from tests.core.exec.interp.generate import ControlGenerator, Generator
from tests.core.exec.interp.test_random import ARGUMENTS, bits, ours, their_trap, theirs

wasmtime = pytest.importorskip("wasmtime")
pytest.importorskip("llvmlite")


def test_every_instruction_is_compiled():
    assert [row.name for row in TABLE if row.name not in LOWERINGS] == []


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 5000])
@pytest.mark.parametrize("opt_level", ["none", "speed"])
def test_programs(start: int, opt_level: str):
    for seed in range(start, start + 12):
        generator = Generator(seed)
        wasm = bytes(wasmtime.wat2wasm(generator.module()))
        rnd = random.Random(seed)
        calls = [
            (f"f{i}", [rnd.choice(ARGUMENTS[ty]) for ty in params])
            for i, (params, _) in enumerate(generator.signatures)
            for _ in range(3)
        ]
        found = ours(wasm, calls, {"strategy": "native", "opt_level": opt_level})
        assert found == ours(wasm, calls, {"strategy": "interpreter"}), f"seed {seed}"
        assert found == theirs(wasm, calls), f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("opt_level", ["none", "speed"])
def test_control_flow(opt_level: Any):
    their_engine = wasmtime.Engine()
    engine = Engine(Config(strategy="native", opt_level=opt_level))
    for seed in range(30):
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
                found = func.call(store, argument)
            except Trap as trap:
                found = trap.code.name
            assert found == expected, f"seed {seed}"


# Single instructions against the reference functions, which other tests hold against the
# specification.

ROWS = [
    row
    for row in TABLE
    if row.name in numeric.REFERENCE and not row.immediates and row.params and row.results
]
_INTEGERS = [0, 1, 2, 7, 31, 32, 33, 63, 64, 127, 128, 255, 32767, 32768, 65535]
_FLOATS = [
    0.0, -0.0, 0.5, -0.5, 1.0, 1.5, 2.5, -1.0, 1e-40, 5e-324, 2.0**31, 2.0**31 - 1, 2.0**32,
    -(2.0**31), -(2.0**31) - 1, 2.0**63, 2.0**64, -(2.0**63), 1e300, float("inf"), -float("inf"),
]  # fmt: skip


def _integers(size: int) -> st.SearchStrategy[int]:
    edges = [n & ((1 << size) - 1) for k in _INTEGERS for n in (k, -k)]
    edges += [1 << (size - 1), (1 << (size - 1)) - 1]
    return st.sampled_from(edges) | st.integers(0, (1 << size) - 1)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i32": _integers(32),
    "i64": _integers(64),
    "f32": st.sampled_from(_FLOATS).map(lambda v: numeric.f32_from_bits(_f32_bits(v)))
    | _integers(32).map(numeric.f32_from_bits),
    "f64": st.sampled_from(_FLOATS) | _integers(64).map(numeric.f64_from_bits),
}


def _f32_bits(value: float) -> int:
    try:
        return int(struct.unpack("<I", struct.pack("<f", value))[0])
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000


@pytest.fixture(scope="module", params=["none", "speed"])
def instructions(request: pytest.FixtureRequest) -> dict[str, Any]:
    """For every row a native function that does just that, on raw values."""
    lines = [
        f'(func (export "{row.name}") (param {" ".join(row.params or ())}) '
        f"(result {' '.join(row.results or ())}) "
        f"{' '.join(f'(local.get {n})' for n in range(len(row.params or ())))} {row.name})"
        for row in ROWS
    ]
    engine = Engine(Config(strategy="native", opt_level=request.param))
    store: Store[None] = Store(engine)
    instance = Instance.new(store, Module(engine, f"(module {' '.join(lines)})"))
    return {row.name: instance.get_func(store, row.name) for row in ROWS}


def outcome(fn: Any, *args: Any) -> Any:
    try:
        return bits(fn(*args))
    except Trap as trap:
        return trap.code


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_instruction_does_what_its_reference_function_does(row: Row, instructions, data):
    arguments = [data.draw(VALUES[ty]) for ty in row.params or ()]
    func = instructions[row.name]
    reference = numeric.REFERENCE[row.name]
    assert outcome(func.fn, *arguments) == outcome(reference, *arguments)


def test_a_trap_says_where():
    text = """(module $m
      (func $inner (param i32) (result i32) nop (i32.div_u (i32.const 1) (local.get 0)))
      (func $outer (export "f") (param i32) (result i32) (call $inner (local.get 0))))"""
    found = []
    for strategy in ("native", "interpreter"):
        engine = Engine(Config(strategy=strategy))
        store: Store[None] = Store(engine)
        func = Instance.new(store, Module(engine, text)).get_func(store, "f")
        assert func is not None
        with pytest.raises(Trap) as caught:
            func.call(store, 0)
        assert caught.value.code is TrapCode.INTEGER_DIVISION_BY_ZERO
        found.append([(f.func_name, f.module_offset) for f in caught.value.frames])
    assert found[0] == found[1]
    assert [name for name, _ in found[0]] == ["inner", "outer"]
