"""The concurrent programs of the Component Model's suite, cancelled at every suspension."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from asyncwasm import Engine
from asyncwasm.core.runtime.budget import BUDGET
from asyncwasm.fiber import live_fibers
from asyncwasm.testing import run_script
from tests.invariants.test_cancellation import At

from .suite import engine_for
from .test_components import parameters

pytestmark = [pytest.mark.spec, pytest.mark.slow]

Main = Callable[[], Coroutine[Any, Any, None]]


def on_trio(main: Main) -> None:
    trio.run(main)


def on_asyncio(main: Main) -> None:
    asyncio.run(main())


@pytest.mark.parametrize("run", [on_trio, on_asyncio])
@pytest.mark.parametrize("engine", ["interpreter", "native"])
@pytest.mark.parametrize("script", parameters("async"))
def test_cancellation(script: Path, engine: str, run: Callable[[Main], None]) -> None:
    engine_, text = engine_for(script, engine), script.read_bytes()
    count = 0

    async def measure() -> None:
        nonlocal count
        counting = At(-1, lambda: None, run_script(text, engine=engine_))
        await counting
        count = counting.count

    run(measure)
    for number in range(1, count + 1):
        run(lambda number=number: cancel_at(text, engine_, number))  # type: ignore[misc]
        gc.collect()
        assert not live_fibers(), number
        assert not BUDGET.users


async def cancel_at(text: bytes, engine: Engine, number: int) -> None:
    """Run a script and cancel it at one of its suspensions, of which the last may be shielded."""
    with anyio.CancelScope() as scope:
        await At(number, scope.cancel, run_script(text, engine=engine))
