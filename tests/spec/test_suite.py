"""The official test suite, script by script, on every engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trio

from asyncwasm.testing import ScriptResult, run_script, run_script_sync
from tests.spec.suite import (
    CORE,
    ENGINES,
    engine_for,
    known_failures,
    name_of,
    parameters,
    unsupported,
)

pytestmark = pytest.mark.spec

# Scripts that between them use everything that differs between entry points and loops.
VARIED = """
    call_indirect.wast exports.wast fac.wast global.wast imports.wast linking.wast start.wast
    memory_grow.wast table_grow.wast try_table.wast unwind.wast extern.wast return_call.wast
    proposals/threads/atomic.wast
""".split()


def check(script: Path, result: ScriptResult) -> None:
    """Compare with what is known to fail: nothing more, and nothing less."""
    expectation = known_failures().get(name_of(script))
    known = set(expectation.lines) if expectation else set()
    new = [f"{name_of(script)}:{f.line}: {f}" for f in result.failures if f.line not in known]
    assert not new, "\n".join(new)
    fixed = known - {failure.line for failure in result.failures}
    assert not fixed, f"no longer fail: take them out of known_failures.toml: {sorted(fixed)}"
    assert not result.skips
    assert result.passed or known


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", parameters())
def test_script(script: Path, engine: str) -> None:
    text = script.read_bytes()
    reason = unsupported().get(name_of(script))
    if reason is not None:
        result = trio.run(lambda: run_script(text, engine=engine_for(script, engine)))
        assert result.failures, f"all passes: take it out of known_failures.toml ({reason})"
        return
    check(script, trio.run(lambda: run_script(text, engine=engine_for(script, engine))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("variant", ["asyncio", "sync", "async_support", "lazy", "preempted"])
@pytest.mark.parametrize("name", VARIED)
def test_script_otherwise(name: str, variant: str, engine: str) -> None:
    """The same on asyncio, through the sync entry points, and with other code generated."""
    script = CORE / name
    if not script.exists():
        pytest.skip(f"no {name} in the suite")
    text = script.read_bytes()
    if variant == "asyncio":
        result = asyncio.run(run_script(text, engine=engine_for(script, engine)))
    elif variant == "sync":
        options = {"async_support": False, "preemption_interval": None}
        result = run_script_sync(text, engine=engine_for(script, engine, **options))
    else:
        options = {
            "async_support": {"async_support": True},
            "lazy": {"lazy_validation": True},
            "preempted": {"preemption_interval": 1e-6},
        }[variant]
        result = trio.run(lambda: run_script(text, engine=engine_for(script, engine, **options)))
    check(script, result)


def test_known_failures_are_of_the_suite() -> None:
    if not CORE.exists():
        pytest.skip("no official test suite")
    assert all((CORE / name).is_file() for name in (*known_failures(), *unsupported()))
