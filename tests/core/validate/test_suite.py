"""The official suite's assertions about what is malformed, invalid and valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.text.script import AssertInvalid, AssertMalformed
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import MalformedError, ValidationError, WasmError
from tests.core.validate.check import SUITE, script_features, script_modules, scripts

pytestmark = pytest.mark.spec

if not scripts():
    pytest.skip(f"no conformance suite at {SUITE}", allow_module_level=True)


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.stem)
def test_modules_of_the_suite(script: Path):
    """Malformed modules are `MalformedError`s, invalid ones `ValidationError`s, and no others."""
    features = script_features(script)
    wrong = []
    for command, data in script_modules(script):
        found: WasmError | None = None
        try:
            if isinstance(data, MalformedError):
                raise data
            validate_module(decode_module(data, features), features)
        except WasmError as error:
            found = error
        expected = type(None)
        # Annotations are comments to us, so what is wrong only in one is not.
        if isinstance(command, AssertMalformed) and not command.custom:
            expected = MalformedError
        elif isinstance(command, AssertInvalid) and not command.custom:
            expected = ValidationError
        if type(found) is not expected:
            wrong.append((command.line, expected.__name__, found))
    assert not wrong
