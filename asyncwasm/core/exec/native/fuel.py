"""What instructions cost in fuel: the same as on the portable engine, at the same points.

Costs are added up while straight code is translated, and taken off the store's counter before
anything that could look at it: what may trap, calls, branches, and places that branches go to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .abi import Word

if TYPE_CHECKING:
    from asyncwasm.core.isa.table import Row

    from .body import Body

FUEL: Final = "!tbaa !8"

_FREE: Final = frozenset("drop unreachable nop block loop else end return try_table".split())
# These cost as much again as their length, which is their last operand.
_SIZED: Final = frozenset(
    "memory.copy memory.fill memory.init table.copy table.fill table.init table.grow "
    "array.new array.new_default array.new_data array.new_elem array.fill array.copy "
    "array.init_data array.init_elem".split()
)
_QUIET_FAMILIES: Final = frozenset("parametric variable const numeric simd simd_const".split())
# More fuel than a store's counter ever holds.
_MOST: Final = 1 << 62


class FuelMeter:
    """Charges one function's instructions; does nothing if fuel is not consumed."""

    def __init__(self, body: Body) -> None:
        self._body: Final = body
        self._on: Final = body.config.consume_fuel
        # The call itself; what is called charges it.
        self._units = 1

    def charge(self, row: Row) -> None:
        """Note that an instruction, whose operands are on the stack, is executed next."""
        if not self._on:
            return
        name = row.name
        self._units += name not in _FREE
        if name in ("block", "nop") or (row.family in _QUIET_FAMILIES and not row.traps):
            return
        self._take(str(self._units) if self._units else None)
        self._units = 0
        if name in _SIZED:
            out = self._body.out
            ty, length = self._body.stack[-1][:2]
            if ty != "i64":
                length = out.op(f"zext {ty} {length} to i64")
            # A length may be any number, as nothing was checked yet.
            self._take(out.op(f"call i64 @llvm.umin.i64(i64 {length}, i64 {_MOST})"))

    def _take(self, amount: str | None) -> None:
        if amount is not None:
            out = self._body.out
            cell = self._body.word(Word.FUEL)
            left = out.op(f"load i64, ptr {cell}, {FUEL}")
            left = out.op(f"call i64 @llvm.ssub.sat.i64(i64 {left}, i64 {amount})")
            out.do(f"store i64 {left}, ptr {cell}, {FUEL}")
