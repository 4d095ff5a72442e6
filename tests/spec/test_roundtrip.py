"""Printing and parsing every module of the official suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.module import ModuleInfo, Span
from asyncwasm.core.text import assemble, script
from asyncwasm.core.text.printer import print_module
from asyncwasm.errors import MalformedError, WasmError
from tests.spec.suite import parameters

pytestmark = pytest.mark.spec


def modules(path: Path) -> Iterator[tuple[int, bool, bytes]]:
    """The line of each module, whether it was text, and its bytes; malformed text is left out."""
    try:
        for command in script.read_script(path.read_bytes()):
            for field in ("module", "action"):
                module = getattr(command, field, None)
                if isinstance(module, (script.TextModule, script.QuotedModule)):
                    try:
                        yield command.line, True, module.to_binary()
                    except WasmError:
                        continue
                elif isinstance(module, script.BinaryModule):
                    yield command.line, False, module.data
    except MalformedError:
        return  # a command of a proposal that is not supported


def meaning(info: ModuleInfo) -> dict[str, Any]:
    """What a module says, without where in its bytes."""

    def text(span: Span | None) -> bytes | None:
        return None if span is None else info.data[span.start : span.end]

    return {
        "types": info.types,
        "imports": [(i.module, i.name, i.type) for i in info.imports],
        "funcs": info.funcs,
        "tables": info.tables,
        "memories": info.memories,
        "globals": info.globals,
        "tags": info.tags,
        "exports": [(e.name, e.kind, e.index) for e in info.exports.values()],
        "start": info.start,
        "elems": [
            (e.mode, e.type, e.functions, len(e.expressions or ()), e.table_index)
            for e in info.elems
        ],
        "datas": [(d.mode, text(d.content), d.memory_index) for d in info.datas],
        "customs": [(c.name, text(c.content)) for c in info.customs],
    }


@pytest.mark.parametrize("path", parameters())
def test_print_and_parse(path: Path) -> None:
    for line, was_text, binary in modules(path):
        try:
            info = decode_module(binary)
            text = print_module(binary)
        except WasmError:
            continue
        again = assemble(text)
        place = f"{path.name}:{line}"
        if was_text:
            assert again == binary, place
        else:
            assert meaning(decode_module(again)) == meaning(info), place
        assert print_module(again) == text, place
        unnamed = assemble(print_module(binary, names=False))
        assert meaning(decode_module(unnamed)) == meaning(info), place
