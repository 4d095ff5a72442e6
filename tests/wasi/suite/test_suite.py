"""The official WASI test suite, as far as it is for preview 1.

Found in `ASYNCWASM_WASI_TESTS` (a checkout of its branch `prod/testsuite-base`), else beside the
project; skipped without it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from asyncwasm import Config, Engine, Module, wasi
from asyncwasm.wasi import Permission
from tests.wasi.suite import adapter

SUITE = Path(
    os.environ.get("ASYNCWASM_WASI_TESTS") or Path(__file__).parents[4] / "shared" / "wasi-tests"
)
PROGRAMS = sorted(SUITE.glob("tests/*/testsuite/wasm32-wasip1/*.wasm"))
DEFAULTS = {"args": [], "env": {}, "root": None, "exit_code": 0}

pytestmark = [
    pytest.mark.spec,
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason=f"no WASI test suite at {SUITE}"),
]


def specification(program: Path) -> dict[str, object]:
    path = program.with_suffix(".json")
    found = json.loads(path.read_text()) if path.exists() else {}
    unknown = set(found) - set(DEFAULTS) - {"stdout", "stderr"}
    assert not unknown, f"{path} says what nobody here understands: {unknown}"
    return {**DEFAULTS, **found}


def program_id(program: Path) -> str:
    return f"{program.parents[2].name}/{program.stem}"


@pytest.fixture(params=["interpreter", "native"])
def strategy(request):
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return request.param


@cache  # for both event loops
def load(program: Path, strategy: str) -> Module:
    return Module.from_file(Engine(Config(strategy=strategy, lazy_validation=True)), program)


@pytest.mark.anyio
@pytest.mark.parametrize("program", PROGRAMS, ids=program_id)
async def test_program(program, strategy, tmp_path):
    expected = specification(program)
    dirs = {}
    if expected["root"]:
        root = tmp_path / "root"
        shutil.copytree(program.parent / expected["root"], root)
        dirs["/"] = (root, Permission.READ_WRITE)
    result = await wasi.run(
        load(program, strategy),
        argv0=program.name,
        args=expected["args"],
        env=expected["env"],
        dirs=dirs,
        capture=True,
        timeout=120,
    )
    assert result.exit_code == expected["exit_code"], result.stderr.decode()
    for stream in ("stdout", "stderr"):
        if stream in expected:
            assert getattr(result, stream).decode() == expected[stream]


def test_every_language_is_there():
    languages = {program.parents[2].name for program in PROGRAMS}
    assert languages == {"assemblyscript", "c", "rust"}
    assert len(PROGRAMS) >= 72


@pytest.mark.parametrize(
    "name",
    [
        "assemblyscript/args_get-multiple-arguments",
        "assemblyscript/environ_get-multiple-variables",
        "assemblyscript/proc_exit-failure",
        "rust/path_exists",
    ],
)
def test_the_adapter(name, strategy, tmp_path, monkeypatch):
    """Through the command line, as the suite's own runner does it."""
    monkeypatch.setattr(adapter, "ASYNCWASM", [sys.executable, "-m", "asyncwasm"])
    monkeypatch.setattr(adapter, "OPTIONS", [f"--engine={strategy}"])
    (program,) = (p for p in PROGRAMS if program_id(p) == name)
    expected = specification(program)
    argv = adapter.compute_argv(
        str(program),
        (expected["args"], expected["env"], str(tmp_path) if expected["root"] else None),
        [],
        "wasi:cli/command",
        "wasm32-wasip1",
    )
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    assert done.returncode == expected["exit_code"], done.stderr.decode()
    assert adapter.get_version()[0].isdigit()
