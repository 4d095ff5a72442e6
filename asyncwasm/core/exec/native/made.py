"""What a unit has code for, in a form that can be kept."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .compiler import Object


@dataclass(frozen=True, slots=True)
class Made:
    """The code of some functions of a module.

    `others` are those with a form of their own for tail calls, `tails` those that make some.
    """

    native: tuple[int, ...]
    others: tuple[int, ...]
    tails: tuple[int, ...]
    level: int
    optimised: bool
    code: Object

    def pack(self) -> bytes:
        """All of it, for storage."""
        facts = [self.native, self.others, self.tails, self.level, self.optimised]
        return json.dumps(facts).encode() + b"\n" + self.code.pack()

    @staticmethod
    def unpack(packed: bytes) -> Made:
        """What was packed.  Raises `ValueError` for anything else."""
        line, _, rest = packed.partition(b"\n")
        native, others, tails, level, optimised = json.loads(line)
        code = Object.unpack(rest)
        return Made(tuple(native), tuple(others), tuple(tails), level, optimised, code)


def functions(packed: bytes) -> tuple[list[int], int]:
    """Which functions something packed has code for, and at which level."""
    line, _, _ = packed.partition(b"\n")
    native, _, _, level, _ = json.loads(line)
    return native, level
