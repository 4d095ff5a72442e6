"""All modules of the official suite, compared with what Wasmtime's assembler makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.lexer import Source
from asyncwasm.core.text.script import (
    AssertInvalid,
    AssertMalformed,
    AssertTrap,
    BinaryModule,
    Command,
    QuotedModule,
    ScriptModule,
    TextModule,
    read_script,
)
from asyncwasm.errors import MalformedError, ValidationError
from tests.core.text.check import sections

pytestmark = pytest.mark.spec

_ROOT = Path(__file__).parents[3]
_SUITES = os.environ.get("ASYNCWASM_SPEC_TESTS", _ROOT.parent / "shared" / "spec-tests")
SUITE = Path(_SUITES, "core")
# What the assembler does not know: legacy exception handling and a proposal in the making.
_OTHER = ("legacy", "custom-descriptors")
SCRIPTS = sorted(
    path for path in SUITE.rglob("*.wast") if not set(_OTHER) & set(path.relative_to(SUITE).parts)
)

if not SCRIPTS:
    pytest.skip(f"no conformance suite at {SUITE}", allow_module_level=True)

# Scripts of the threads proposal are older than 64-bit memories; these sizes are well-formed now.
_WELL_FORMED_NOW = "i32 constant out of range"
# Sections that may differ: Wasmtime does not take `(rec (type …))` for `(type …)`, takes types
# that are not final for inline type uses, and names the first table where it need not.
_FREE = {1, 3, 9}


def modules(script: Path) -> Iterator[tuple[Command, ScriptModule]]:
    for command in read_script(script.read_bytes()):
        found = command.action if isinstance(command, AssertTrap) else None
        found = found or getattr(command, "module", None)
        if isinstance(found, TextModule | QuotedModule | BinaryModule):
            yield command, found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_modules_are_assembled_or_refused(script: Path):
    """Malformed text is a `MalformedError` with the suite's reason; all other text assembles."""
    wrong = []
    for command, module in modules(script):
        error: MalformedError | ValidationError | None = None
        try:
            module.to_binary()
        except (MalformedError, ValidationError) as caught:
            error = caught
        if isinstance(command, AssertMalformed) and isinstance(module, QuotedModule):
            if error is None and command.message == _WELL_FORMED_NOW:
                continue
            reason = "" if error is None else error.reason.replace("`", "")
            if not isinstance(error, MalformedError) or not reason.startswith(command.message):
                wrong.append((command.line, command.message, error))
        elif isinstance(command, AssertInvalid) and command.custom:
            if error is None or not error.reason.startswith(command.message):
                wrong.append((command.line, command.message, error))
        elif error is not None:
            wrong.append((command.line, None, error))
    assert not wrong


def _text(module: TextModule | QuotedModule) -> str:
    if isinstance(module, QuotedModule):
        return module.text.decode()
    source = module.source
    cursor = Cursor(source, module.at)
    if not cursor.at("module"):
        return source.text
    cursor.skip_group()
    lines = source.text.splitlines(keepends=True)

    def offset(index: int) -> int:
        line, column = source.place(index)
        return sum(map(len, lines[: line - 1])) + column - 1

    text = source.text[offset(module.at) : offset(cursor.pos - 1) + 1]
    is_definition = cursor.tokens[module.at + 2] == "definition"
    return text.replace("definition", "", 1) if is_definition else text


def _free_parts(binary: bytes) -> object:
    """What the sections that may differ have to agree on."""
    info = decode_module(binary)
    elems = [
        (
            elem.mode,
            elem.type,
            elem.functions,
            elem.table_index,
            elem.offset_expr and info.data[elem.offset_expr.start : elem.offset_expr.end],
            elem.expressions and [info.data[e.start : e.end] for e in elem.expressions],
        )
        for elem in info.elems
    ]
    return [ty.func for ty in info.funcs], elems


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_modules_are_the_same_as_wasmtimes(script: Path):
    """Sections are equal byte for byte, but for freedom in groups of one type and in segments."""
    wasmtime = pytest.importorskip("wasmtime")
    wrong = []
    for command, module in modules(script):
        if isinstance(command, AssertMalformed) or isinstance(module, BinaryModule):
            continue
        try:
            theirs = bytes(wasmtime.wat2wasm(_text(module)))
            ours = module.to_binary()
        except (wasmtime.WasmtimeError, ValidationError):
            # It refuses characters that might confuse a reader.
            continue
        left, right = sections(theirs), sections(ours)
        different = {i for i in left.keys() | right.keys() if left.get(i) != right.get(i)}
        if not different or isinstance(command, AssertInvalid):
            continue
        if different - _FREE or _free_parts(theirs) != _free_parts(ours):
            wrong.append((command.line, different))
    assert not wrong


def test_source_of_a_module_is_cut_out():
    """The helper above: from the opening parenthesis to the closing one."""
    source = Source("\n (module\n (func)) x")
    assert _text(TextModule(None, source, 0)) == "(module\n (func))"
