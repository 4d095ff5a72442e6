"""What a unit has code for, in a form that can be kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from .compiler import Object


@dataclass(frozen=True, slots=True)
class Made:
    """The code of some functions of a module.

    `tails` are those that make tail calls, and have a form for being called so.
    """

    native: tuple[int, ...]
    tails: tuple[int, ...]
    level: int
    optimised: bool
    code: Object

    def pack(self) -> bytes:
        """All of it, for storage."""
        facts = [self.native, self.tails, self.level, self.optimised]
        return json.dumps(facts).encode() + b"\n" + self.code.pack()

    @staticmethod
    def unpack(packed: bytes) -> Made:
        """What was packed.  Raises `ValueError` for anything else."""
        line, _, rest = packed.partition(b"\n")
        native, tails, level, optimised = json.loads(line)
        code = Object.unpack(rest)
        return Made(tuple(native), tuple(tails), level, optimised, code)


def imports(packed: Iterable[bytes]) -> set[str]:
    """The symbols that something packed needs."""
    return {name for each in packed for name in Made.unpack(each).code.imports}


def functions(packed: bytes) -> tuple[list[int], int]:
    """Which functions something packed has code for, and at which level."""
    line, _, _ = packed.partition(b"\n")
    native, _, level, _ = json.loads(line)
    return native, level
