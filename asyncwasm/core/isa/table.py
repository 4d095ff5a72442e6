"""The instruction table: `rows.ROWS` parsed into one `Row` per instruction.

The single source for decoder, validator, text parser, printer, engines and tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from asyncwasm.errors import TrapCode

from .features import Feature
from .rows import ROWS


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction.

    `opcode` is the byte, or `prefix << 16 | number` after a prefix byte.  `immediates` are the
    kinds of `immediates.py`, without the parameter after the dot; `natural_align` is the log2
    of the access width in bytes for memory accesses, and `lanes` the number of lanes that a lane
    immediate may name (0 where neither applies).  `params` and `results` are None where the
    stack effect depends on more than the row; `addr` in them is the memory's index type.
    `identifier` is the name with dots as underscores, as functions that implement a row are
    called.
    """

    name: str
    opcode: int
    immediates: tuple[str, ...]
    params: tuple[str, ...] | None
    results: tuple[str, ...] | None
    feature: Feature | None
    family: str
    traps: frozenset[TrapCode]
    natural_align: int
    lanes: int

    @property
    def prefix(self) -> int | None:
        """The prefix byte, or None."""
        return self.opcode >> 16 or None

    @property
    def number(self) -> int:
        """The opcode byte, or the number after the prefix."""
        return self.opcode & 0xFFFF

    @property
    def identifier(self) -> str:
        return self.name.replace(".", "_")


PREFIXES: Final = frozenset({0xFB, 0xFC, 0xFD, 0xFE})


def _parse() -> Iterator[Row]:
    feature: Feature | None = None
    family = ""
    for line in ROWS.strip().splitlines():
        if line.startswith("#"):
            _, proposal, family = line.split()
            feature = None if proposal == "-" else Feature(proposal)
            continue
        head, _, tail = line.partition(":")
        code, name, *kinds = head.split()
        effect, _, traps = tail.partition(";")
        prefix, _, number = code.rpartition(".")
        immediates = [] if kinds == ["-"] else [kind.partition(".") for kind in kinds]
        parameter = {kind: int(value) for kind, _, value in immediates if value}
        params: tuple[str, ...] | None = None
        results: tuple[str, ...] | None = None
        if effect.strip() != "*":
            left, _, right = effect.partition("->")
            params, results = tuple(left.split()), tuple(right.split())
        yield Row(
            name=name,
            opcode=(int(prefix, 16) << 16 if prefix else 0) | int(number, 16),
            immediates=tuple(kind for kind, _, _ in immediates),
            params=params,
            results=results,
            feature=feature,
            family=family,
            traps=frozenset(TrapCode[trap] for trap in traps.split()),
            natural_align=parameter.get("memarg", 0),
            lanes=parameter.get("lane", 0),
        )


TABLE: Final[tuple[Row, ...]] = tuple(_parse())
BY_NAME: Final[dict[str, Row]] = {row.name: row for row in TABLE}
BY_OPCODE: Final[dict[int, Row]] = {row.opcode: row for row in TABLE}
assert len(BY_NAME) == len(BY_OPCODE) == len(TABLE)
