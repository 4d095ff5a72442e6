"""Shorthands for tests of validation of components."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncwasm.component.binary import decode_component
from asyncwasm.component.scope import Scope
from asyncwasm.component.text import assemble_component
from asyncwasm.component.text.script import (
    ComponentScriptReader,
    DefineComponent,
    InstantiateComponent,
    ScriptComponent,
)
from asyncwasm.component.validate import validate_component
from asyncwasm.core.isa.features import ALL, Features
from asyncwasm.core.text.script import (
    AssertInvalid,
    AssertMalformed,
    AssertTrap,
    AssertUnlinkable,
)
from asyncwasm.errors import ValidationError, WasmError

_ROOT = Path(__file__).parents[3]
SUITE = (
    Path(os.environ.get("ASYNCWASM_SPEC_TESTS", _ROOT.parent / "shared" / "spec-tests"))
    / "component"
)


def validated(data: bytes, features: Features = ALL) -> Scope:
    """Decode and validate a component."""
    return validate_component(decode_component(data, features), features)


def accept(text: str, features: Features = ALL) -> Scope:
    """Decode and validate a component given as text."""
    return validated(assemble_component(text), features)


def reject(
    component: str | bytes,
    message: str,
    features: Features = ALL,
    error: type[WasmError] = ValidationError,
) -> None:
    """Check that a component is refused."""
    data = assemble_component(component) if isinstance(component, str) else component
    with pytest.raises(error, match=message):
        validated(data, features)


def scripts() -> list[Path]:
    """The official suite's scripts with components."""
    return sorted(SUITE.glob("*/*.wast"))


def script_components(script: Path) -> Iterator[tuple[Any, ScriptComponent]]:
    """The commands of a script that have a component, with it."""
    for command in ComponentScriptReader(script.read_bytes()).commands():
        match command:
            case DefineComponent() | InstantiateComponent():
                yield command, command.component
            case (
                AssertInvalid(module=ScriptComponent() as component)
                | AssertMalformed(module=ScriptComponent() as component)
                | AssertUnlinkable(module=ScriptComponent() as component)
                | AssertTrap(action=ScriptComponent() as component)
            ):
                yield command, component
