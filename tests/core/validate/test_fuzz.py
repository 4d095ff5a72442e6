"""Whatever the bytes are, there is an answer: the module, or a `WasmError`."""

from __future__ import annotations

import contextlib
import random

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.names import read_names
from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import WasmError
from tests.core.binary import build as b
from tests.core.validate.mutate import mutated_modules


@pytest.mark.slow
@pytest.mark.parametrize("inside_code", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_mutated_modules(seed: int, inside_code: bool):
    rng = random.Random(seed)
    for data in mutated_modules(seed=seed, count=4000, inside_code=inside_code):
        features = ALL if rng.random() < 0.5 else ALL - {rng.choice(list(Feature))}
        with contextlib.suppress(WasmError):
            info = decode_module(data, features)
            read_names(info)
            validate_module(info, features)


@pytest.mark.slow
def test_random_bytes_as_code():
    rng = random.Random(3)
    for _ in range(4000):
        code = bytes(rng.choices(range(256), k=rng.randrange(1, 12)))
        with contextlib.suppress(WasmError):
            validate_module(decode_module(b.function(code, [b.I32] * 3, [b.I32]), ALL), ALL)
