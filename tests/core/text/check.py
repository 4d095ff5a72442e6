"""Shorthands for tests of the text format."""

from __future__ import annotations

import pytest

from asyncwasm.core.text import assemble
from asyncwasm.errors import MalformedError


def body(instructions: str, before: str = "", params: str = "") -> bytes:
    """The code of a function with these instructions, without its `end`.

    `before` are other fields, which must not define functions with bodies.
    """
    code = sections(assemble(f"(module {before} (func {params} {instructions}))"))[10]
    assert code[0] == 1
    _, pos = size(code, 1)
    assert code[pos] == 0
    assert code[-1] == 0x0B
    return code[pos + 1 : -1]


def size(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned LEB128 number."""
    value = shift = 0
    while True:
        byte = data[pos]
        value |= (byte & 0x7F) << shift
        pos += 1
        shift += 7
        if byte < 0x80:
            return value, pos


def section_list(binary: bytes) -> list[tuple[int, bytes]]:
    """The sections of a module, as numbers and contents."""
    assert binary[:8] == b"\0asm\1\0\0\0"
    found = []
    pos = 8
    while pos < len(binary):
        number = binary[pos]
        length, start = size(binary, pos + 1)
        pos = start + length
        found.append((number, binary[start:pos]))
    return found


def sections(binary: bytes) -> dict[int, bytes]:
    """The sections of a module that are not custom, by number."""
    return {number: content for number, content in section_list(binary) if number}


def reject(text: str | bytes, message: str) -> MalformedError:
    """Check that a module is refused for this reason, and give the error."""
    with pytest.raises(MalformedError) as caught:
        assemble(text)
    assert caught.value.reason.startswith(message), caught.value
    assert caught.value.line is not None
    return caught.value
