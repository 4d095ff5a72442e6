"""Walking over an expression by its grammar alone."""

from __future__ import annotations

import re
from typing import Final

from asyncwasm.errors import MalformedError

from .immediates import Types, read_instruction

_OPENERS: Final = frozenset({"block", "loop", "if", "try_table"})
# What nearly all constant expressions are: one `i32.const`, `global.get` or `ref.func` with a
# number too short to be malformed.  A module may have millions of them.
_ONE_CONSTANT: Final = re.compile(rb"[\x41\x23\xd2][\x80-\xff]{0,3}[\x00-\x7f]\x0b")


def skip_expression(data: bytes, pos: int, types: Types) -> int:
    """The position after the `end` that closes the expression at `pos`.

    Raises `MalformedError` if what is there is not an expression by the binary grammar.
    """
    constant = _ONE_CONSTANT.match(data, pos)
    if constant is not None:
        return constant.end()
    open_blocks: list[str] = []
    while True:
        start = pos
        row, _, pos = read_instruction(data, pos, types)
        name = row.name
        if name == "end":
            if not open_blocks:
                return pos
            open_blocks.pop()
        elif name == "else":
            if not open_blocks or open_blocks[-1] != "if":
                raise MalformedError("else without a matching if", offset=start)
            open_blocks[-1] = name
        elif name in _OPENERS:
            open_blocks.append(name)
