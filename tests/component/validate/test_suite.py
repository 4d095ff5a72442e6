"""What the official suite of the Component Model asserts about what is malformed or invalid."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncwasm.core.text.script import AssertInvalid, AssertMalformed
from asyncwasm.errors import MalformedError, ValidationError, WasmError
from tests.component.validate.check import SUITE, script_components, scripts, validated

pytestmark = pytest.mark.spec

if not scripts():
    pytest.skip(f"no conformance suite at {SUITE}", allow_module_level=True)

# Where our words are others.
OTHER_WORDS = {
    "section out of order",
    "expected a result, found none",
    "type index out of bounds",
}


@pytest.mark.parametrize("script", scripts(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_components_of_the_suite(script: Path):
    wrong = []
    for command, component in script_components(script):
        found: WasmError | None = None
        try:
            data = component.to_binary()
        except MalformedError as error:
            # The assembler has words of its own.
            if not isinstance(command, AssertMalformed | AssertInvalid):
                wrong.append((command.line, "valid", error))
            continue
        try:
            validated(data)
        except WasmError as error:
            found = error
        expected: type[WasmError] | None = None
        if isinstance(command, AssertMalformed):
            expected = MalformedError
        elif isinstance(command, AssertInvalid):
            expected = ValidationError
        if expected is None:
            if found is not None:
                wrong.append((command.line, "valid", found))
        elif type(found) is not expected or (
            command.message not in str(found) and command.message not in OTHER_WORDS
        ):
            wrong.append((command.line, f"{expected.__name__} {command.message}", found))
    assert not wrong
