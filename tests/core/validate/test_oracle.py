"""Wasmtime's opinion on what is valid: there is no difference."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import MalformedError, ValidationError

pytest.importorskip("wasmtime")

from tests.core.validate.mutate import mutated_modules
from tests.core.validate.oracle import Oracle, Programs, module_around


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def check(oracle: Oracle, data: bytes) -> bool:
    """Compare the two opinions on one module, and say what they are."""
    found = None
    try:
        validate_module(decode_module(data, ALL), ALL)
    except (MalformedError, ValidationError) as error:
        found = error
    other = oracle.refuses(data)
    assert (found is None) == (other is None), (found, other, data.hex())
    return found is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_programs(oracle: Oracle, seed: int):
    programs = Programs(seed)
    verdicts = [check(oracle, module_around(programs.body())) for _ in range(2000)]
    # Programs that are nearly all valid, or nearly none, would prove little.
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("inside_code", [False, True])
def test_mutated_modules(oracle: Oracle, inside_code: bool):
    for data in mutated_modules(seed=5, count=2500, inside_code=inside_code):
        check(oracle, data)
