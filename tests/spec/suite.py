"""Where the official test suite is, how its scripts are run, and what of it fails."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncwasm import Engine
from asyncwasm.testing import script_config

_HERE = Path(__file__).parent
ROOT = Path(
    os.environ.get("ASYNCWASM_SPEC_TESTS", _HERE.parents[1].parent / "shared" / "spec-tests")
)
CORE = ROOT / "core"
ABSENT = f"no official test suite in {ROOT} (see ASYNCWASM_SPEC_TESTS)"
ENGINES = ["interpreter"]
if importlib.util.find_spec("llvmlite") is not None:
    ENGINES.append("native")

# Bigger scripts take more than a quarter of a second.
_SMALL = 60_000
# And these, small as they are: deep recursion, and functions with huge frames.
_SLOW = """
    call.wast call_indirect.wast fac.wast return_call.wast return_call_indirect.wast
    return_call_ref.wast br_table.wast skip-stack-guard-page.wast
""".split()


@dataclass(frozen=True)
class Expectation:
    """What `known_failures.toml` says of a script: the lines that fail, and why."""

    lines: tuple[int, ...]
    reason: str


def scripts() -> list[Path]:
    """Every script of the core suite."""
    return sorted(CORE.rglob("*.wast"))


def name_of(script: Path) -> str:
    """The path of a script inside the core suite."""
    return script.relative_to(CORE).as_posix()


def parameters() -> list[Any]:
    """Scripts as parameters of a test, the bigger ones marked slow."""
    if not scripts():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    return [
        pytest.param(
            script,
            id=name_of(script),
            marks=[pytest.mark.slow] if _is_slow(script) else [],
        )
        for script in scripts()
    ]


def _is_slow(script: Path) -> bool:
    return script.stat().st_size > _SMALL or name_of(script) in _SLOW


def engine_for(script: Path, strategy: Any, **options: Any) -> Engine:
    """An engine with the features that a script is written for."""
    return Engine(script_config(script, strategy=strategy, **options))


def known_failures() -> dict[str, Expectation]:
    """The entries of `known_failures.toml`, by script."""
    data = tomllib.loads((_HERE / "known_failures.toml").read_text())
    return {
        entry["file"]: Expectation(tuple(entry["lines"]), entry["reason"])
        for entry in data.get("failure", [])
    }


def unsupported() -> dict[str, str]:
    """The scripts of which nothing is expected, and why."""
    data = tomllib.loads((_HERE / "known_failures.toml").read_text())
    return {
        f"{entry['directory']}/{file}": entry["reason"]
        for entry in data.get("unsupported", [])
        for file in entry["files"]
    }
