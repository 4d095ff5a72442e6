"""Rules about the shape of the package that no single module can keep by itself.

Which package may import which is checked by `lint-imports`; its contracts are in pyproject.toml.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asyncwasm
import asyncwasm.component
import asyncwasm.fiber
import asyncwasm.testing
import asyncwasm.wasi

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "asyncwasm"
SOURCES = sorted(PACKAGE.rglob("*.py"))

CEILING = 600
# Longer than that, with the reason.
LONG = {
    "core/isa/rows.py": "one line for each instruction",
    "core/types.py": "types refer to each other in circles",
}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_says_what_it_is_for_and_stays_readable(path):
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"
    if name(path) not in LONG:
        assert text.count("\n") <= CEILING


def test_long_modules_are_long_still():
    for path in LONG:
        assert (PACKAGE / path).read_text().count("\n") > CEILING, f"{path} needs no exception"


@pytest.mark.parametrize(
    "package", [p.parent for p in SOURCES if p.name == "__init__.py"], ids=name
)
def test_a_package_says_what_it_is(package):
    source = (package / "__init__.py").read_text()
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize(
    "module",
    [asyncwasm, asyncwasm.component, asyncwasm.fiber, asyncwasm.testing, asyncwasm.wasi],
)
def test_exports_are_complete(module):
    exported = module.__all__
    assert len(set(exported)) == len(exported)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not inspect.ismodule(value) and key != "annotations"
    }
    assert public == {n for n in exported if not n.startswith("_")}


def test_the_facade_has_no_logic():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    assert all(isinstance(node, allowed) for node in tree.body)


def _documented() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for module in (asyncwasm, asyncwasm.fiber, asyncwasm.testing, asyncwasm.wasi):
        for exported in module.__all__:
            value = getattr(module, exported)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            found.append((exported, value))
            if not inspect.isclass(value):
                continue
            for key, member in vars(value).items():
                if not key.startswith("_") and (
                    inspect.isfunction(member) or isinstance(member, (property, staticmethod))
                ):
                    found.append((f"{exported}.{key}", member))
    return found


@pytest.mark.parametrize(
    ("name", "value"), _documented(), ids=lambda v: v if type(v) is str else ""
)
def test_public_names_have_docstrings(name, value):
    # Overrides say what they do where they are declared first.
    owner, _, member = name.partition(".")
    if member and any(member in vars(base) for base in getattr(asyncwasm, owner, type).__mro__[1:]):
        return
    function = value.__func__ if isinstance(value, staticmethod) else value
    assert inspect.getdoc(function), f"{name} has no docstring"


@pytest.mark.parametrize(
    "module",
    [asyncwasm, asyncwasm.component, asyncwasm.fiber, asyncwasm.testing, asyncwasm.wasi],
)
def test_public_names_are_in_the_reference(module):
    pages = "\n".join(p.read_text() for p in (ROOT / "docs/reference").glob("*.md"))
    entries = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    names = [n for n in module.__all__ if not n.startswith("_")]
    missing = [n for n in names if f"{module.__name__}.{n}" not in entries]
    assert not missing
    stale = [e for e in entries if e.rpartition(".")[0] == module.__name__]
    assert {e.rpartition(".")[2] for e in stale} <= set(module.__all__)


@pytest.mark.slow
def test_importing_takes_only_what_is_needed():
    """Neither event loop is imported for users of the other, nor what only tests need."""
    code = "import asyncwasm, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    unneeded = {"trio", "pytest", "llvmlite"}
    unneeded |= {f"asyncwasm.{package}" for package in ("cli", "testing", "wasi")}
    assert not unneeded & set(loaded)
