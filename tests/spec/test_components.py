"""The official suite of the Component Model, script by script, with and without an event loop."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import trio

from asyncwasm.testing import ScriptResult, run_script, run_script_sync
from tests.spec.suite import ABSENT, ROOT, engine_for

pytestmark = pytest.mark.spec

SUITE = ROOT / "component"
NEEDS_LLVM = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")
ENGINES = ["interpreter", pytest.param("native", marks=[NEEDS_LLVM, pytest.mark.slow])]


def name_of(script: Path) -> str:
    """The path of a script inside the suite."""
    return script.relative_to(SUITE).as_posix()


def scripts(*directories: str) -> list[Path]:
    """The scripts (of these directories), but those that the suite says nobody runs yet."""
    early = {line.removeprefix("./") for line in (SUITE / "nyi.txt").read_text().splitlines()}
    return [
        script
        for script in sorted(SUITE.rglob("*.wast"))
        if name_of(script) not in early and (not directories or script.parent.name in directories)
    ]


def parameters(*directories: str) -> list[Any]:
    """`scripts`, as parameters; one that is skipped where there is no suite."""
    if not SUITE.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    return [pytest.param(script, id=name_of(script)) for script in scripts(*directories)]


def check(script: Path, result: ScriptResult) -> None:
    """Nothing may fail or be skipped."""
    assert not result.failures, "\n".join(
        f"{name_of(script)}:{f.line}: {f}" for f in result.failures
    )
    assert not result.skips
    assert result.passed


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", parameters())
def test_script(script: Path, engine: str) -> None:
    text = script.read_bytes()
    check(script, trio.run(lambda: run_script(text, engine=engine_for(script, engine))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", parameters("async"))
def test_script_on_asyncio(script: Path, engine: str) -> None:
    text = script.read_bytes()
    check(script, asyncio.run(run_script(text, engine=engine_for(script, engine))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "script", parameters("binary", "linking", "resources", "validation", "values")
)
def test_script_without_an_event_loop(script: Path, engine: str) -> None:
    """Those in which nothing has to wait."""
    engine_ = engine_for(script, engine, async_support=False, preemption_interval=None)
    check(script, run_script_sync(script.read_bytes(), engine=engine_))
