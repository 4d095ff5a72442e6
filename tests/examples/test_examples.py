"""Every example runs as a program of its own and prints what its docstring says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# A tool, not an example; `tests/guests` uses it.
TOOLS = {"fetch_guest.py"}


def _cases():
    for path in sorted(EXAMPLES.rglob("*.py")):
        if path.name in TOOLS or path.name.startswith("test_"):
            continue
        name = str(path.relative_to(EXAMPLES))
        if "sys.argv" in path.read_text():
            for backend in ("trio", "asyncio"):
                yield pytest.param(path, [backend], id=f"{name}-{backend}")
        else:
            yield pytest.param(path, [], id=name)


def expected_output(path: Path) -> str:
    """The indented block after `Prints:` in a program's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    found = re.search(r"^Prints:\n\n((?:    .*\n?|\n)+)", docstring + "\n", re.MULTILINE)
    assert found, f"{path} does not say what it prints"
    return textwrap.dedent(found[1]).strip() + "\n"


@pytest.mark.slow
@pytest.mark.parametrize(("path", "arguments"), list(_cases()))
def test_prints_what_it_says(path: Path, arguments: list[str]) -> None:
    # Warnings are errors: a coroutine that was never awaited must not go unnoticed.
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout == expected_output(path)
