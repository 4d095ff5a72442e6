"""Shorthands for tests of validation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL, Feature, Features
from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.text import assemble
from asyncwasm.core.text.script import (
    AssertInvalid,
    AssertMalformed,
    AssertTrap,
    AssertUnlinkable,
    BinaryModule,
    Command,
    DefineModule,
    InstantiateModule,
    QuotedModule,
    TextModule,
    read_script,
)
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import MalformedError, ValidationError, WasmError

_ROOT = Path(__file__).parents[3]
SUITE = Path(os.environ.get("ASYNCWASM_SPEC_TESTS", _ROOT.parent / "shared" / "spec-tests"))

# The suites of this proposal are older than these, and assert that they are absent.
_BEFORE_3 = ALL - {
    Feature.MULTI_MEMORY,
    Feature.MEMORY64,
    Feature.REFERENCE_TYPES,
    Feature.FUNCTION_REFERENCES,
    Feature.GC,
}


def accept(module: str | bytes, features: Features = ALL) -> ModuleInfo:
    """Decode and validate a module."""
    info = decode_module(assemble(module) if isinstance(module, str) else module, features)
    validate_module(info, features)
    return info


def reject(
    module: str | bytes,
    message: str,
    features: Features = ALL,
    error: type[WasmError] = ValidationError,
) -> WasmError:
    """Check that a module is refused, and give the error."""
    binary = assemble(module) if isinstance(module, str) else module
    with pytest.raises(error, match=message) as caught:
        validate_module(decode_module(binary, features), features)
    assert type(caught.value) is error
    return caught.value


def scripts() -> list[Path]:
    """The scripts of the official suite that are about what we decode and validate."""
    core = SUITE / "core"
    proposals = ("threads", "custom-page-sizes", "wide-arithmetic")
    found = [*core.glob("*.wast")]
    for proposal in proposals:
        found += (core / "proposals" / proposal).glob("*.wast")
    return sorted(found)


def script_features(script: Path) -> Features:
    return _BEFORE_3 if script.parent.name == "threads" else ALL


def script_modules(script: Path) -> Iterator[tuple[Command, bytes | MalformedError]]:
    """Every command of a script that has a module, with the module's bytes or text error."""
    for command in read_script(script.read_bytes()):
        match command:
            case (
                AssertInvalid(module=module)
                | AssertMalformed(module=module)
                | DefineModule(module=module)
                | InstantiateModule(module=module)
                | AssertUnlinkable(module=BinaryModule() | TextModule() | QuotedModule() as module)
                | AssertTrap(action=BinaryModule() | TextModule() | QuotedModule() as module)
            ):
                try:
                    yield command, module.to_binary()
                except MalformedError as error:
                    yield command, error


def without(*features: Feature) -> Features:
    return ALL - frozenset(features)


def all_of(modules: Iterable[tuple[Command, bytes | MalformedError]]) -> list[bytes]:
    """The modules that could be put into bytes."""
    return [data for _, data in modules if isinstance(data, bytes)]
