"""The asynchronous part of the Component Model's suite, under many orders of scheduling.

Each seed is a run of all scripts.  Compiling takes most of the native engine's time here, so it
gets a tenth of the seeds; ASYNCWASM_SEEDS=50 gives it all of them.
"""

from __future__ import annotations

import asyncio
import os

import pytest
import trio

from asyncwasm.testing import run_script
from tests.spec.suite import ABSENT, ENGINES, engine_for
from tests.spec.test_components import SUITE, check, scripts

pytestmark = [
    pytest.mark.spec,
    pytest.mark.skipif(not SUITE.exists(), reason=ABSENT),
]

SEEDS = 50
SEEDS_OF_NATIVE = int(os.environ.get("ASYNCWASM_SEEDS", "5"))

RUNS = [
    pytest.param(engine, seed, id=f"{engine}-{seed}")
    for engine in ENGINES
    for seed in range(SEEDS if engine == "interpreter" else SEEDS_OF_NATIVE)
]


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
@pytest.mark.parametrize(("engine", "seed"), RUNS)
def test_seed(engine: str, seed: int, loop: str) -> None:
    for script in scripts("async"):
        text = script.read_bytes()
        used = engine_for(script, engine, scheduler_seed=seed)
        if loop == "trio":
            result = trio.run(lambda: run_script(text, engine=used))  # noqa: B023 - runs at once
        else:
            result = asyncio.run(run_script(text, engine=used))
        check(script, result)
