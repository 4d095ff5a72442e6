"""Agreement with Wasmtime on what is a valid component, in components made wrong at random."""

from __future__ import annotations

import random

import pytest

from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.errors import WasmError
from tests.component.validate.check import SUITE, scripts, validated
from tests.component.validate.test_hostile import seeds

wasmtime = pytest.importorskip("wasmtime")
oracle = pytest.importorskip("wasmtime.component")

if not scripts():
    pytest.skip(f"no conformance suite at {SUITE}", allow_module_level=True)

# Those that cannot be switched on through its API in Python.
FEATURES = ALL - {
    Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS,
    Feature.COMPONENT_MODEL_ASYNC_STACKFUL,
    Feature.COMPONENT_MODEL_THREADING,
    Feature.COMPONENT_MODEL_ERROR_CONTEXT,
    Feature.COMPONENT_MODEL_MEMORY64,
    Feature.COMPONENT_MODEL_FIXED_LENGTH_LISTS,
}
SWITCHES = "component_model_map component_model_implements custom_page_sizes".split()
# What it refuses only when it compiles, and one rule that it has and the specification does not:
# names that differ in hyphens alone conflict.
NOT_RULES = (
    "unsupported type export",
    "is a reexport of an imported function",
    "exporting a component from the root component",
    "root-level component imports",
    "conflicts with previous name",
)


@pytest.fixture(scope="module")
def engine():
    config = wasmtime.Config()
    for switch in SWITCHES:
        setattr(config, f"wasm_{switch}", True)
    return wasmtime.Engine(config)


def theirs(engine, data: bytes) -> str | None:
    try:
        oracle.Component(engine, data)
    except wasmtime.WasmtimeError as error:
        return str(error)
    return None


def ours(data: bytes) -> str | None:
    try:
        validated(data, FEATURES)
    except WasmError as error:
        return str(error)
    return None


def mutated(rng: random.Random, data: bytes) -> bytes:
    binary = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(8, len(binary))
        chance = rng.random()
        if chance < 0.7:
            old = binary[place]
            near = (old ^ 1, (old + 1) & 255, (old - 1) & 255)
            binary[place] = rng.choice((rng.randrange(256), rng.randrange(8), *near))
        elif chance < 0.85:
            del binary[place]
        else:
            binary.insert(place, rng.randrange(8))
    return bytes(binary)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_mutated_components(engine, seed: int):
    rng = random.Random(seed)
    bases = [data for data in seeds() if 30 < len(data) < 1200 and ours(data) is None]
    different = []
    for _ in range(1200):
        data = mutated(rng, rng.choice(bases))
        mine, other = ours(data), theirs(engine, data)
        if (mine is None) is (other is None):
            continue
        if other is None or not any(text in other for text in NOT_RULES):
            different.append((data.hex(), mine, other))
    assert not different
