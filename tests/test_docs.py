"""The documentation's programs are the examples', and its fragments are at least real code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import asyncwasm
from asyncwasm.core.isa.features import Feature

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "includes"),
]

# What a variable of that name is in every fragment.
VARIABLES = {
    "caller": asyncwasm.Caller,
    "engine": asyncwasm.Engine,
    "instance": asyncwasm.Instance,
    "linker": asyncwasm.Linker,
    "memory": asyncwasm.Memory,
    "module": asyncwasm.Module,
    "pre": asyncwasm.InstancePre,
    "store": asyncwasm.Store,
}


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fragments(page: Path) -> list[str]:
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "--8<--" not in block]


def test_the_readme_shows_the_example():
    example = (ROOT / "examples/hello_async.py").read_text()
    program = re.search(r"# --8<-- \[start:program\]\n(.*)# --8<-- \[end:program\]", example, re.S)
    assert program is not None
    assert program[1] in fragments(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_fragments_are_python(page):
    for fragment in fragments(page):
        compile(fragment, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_fragments_use_names_that_exist(page):
    for fragment in fragments(page):
        for node in ast.walk(ast.parse(fragment)):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            owner = VARIABLES.get(node.value.id) or getattr(asyncwasm, node.value.id, None)
            if owner is not None and not hasattr(owner, node.attr):
                # An attribute that only instances have is annotated or assigned in the class.
                assert node.attr in getattr(owner, "__annotations__", {}) or node.attr == "data", (
                    f"{node.value.id}.{node.attr}"
                )


@pytest.mark.parametrize("page", PAGES[:2], ids=page_id)
def test_links_of_the_repositorys_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_paths_named_in_running_text_exist(page):
    text = page.read_text()
    for path in re.findall(r"`((?:asyncwasm|core|fiber|bench|tests|examples|docs)/[\w./]+)`", text):
        places = [ROOT / path, ROOT / "asyncwasm" / path]
        assert any(place.exists() for place in places), path


def test_every_proposal_has_a_switch_that_is_documented():
    switches = set(asyncwasm.Config.__dataclass_fields__)
    assert {feature.switch for feature in Feature} <= switches
