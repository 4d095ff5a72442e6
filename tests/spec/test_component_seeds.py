"""The asynchronous part of the Component Model's suite, under many orders of scheduling.

Each seed is a run of all scripts.  The native engine compiles them once, for all seeds.
"""

from __future__ import annotations

import asyncio

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


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("cache")
    directory.chmod(0o700)
    return str(directory)


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("engine", ENGINES)
def test_seed(engine: str, seed: int, loop: str, cache: str) -> None:
    for script in scripts("async"):
        text = script.read_bytes()
        used = engine_for(script, engine, scheduler_seed=seed, cache=cache)
        if loop == "trio":
            result = trio.run(lambda: run_script(text, engine=used))  # noqa: B023 - runs at once
        else:
            result = asyncio.run(run_script(text, engine=used))
        check(script, result)
