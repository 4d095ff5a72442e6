"""Loops that look at the clock every so many turns only.

A check takes two loads and a branch, which is as much as many a loop does, and what it may call
keeps LLVM from what it does with loops otherwise.  So a loop of nothing but instructions that
take a short time, whatever they work on, becomes two: one that makes so many turns as take a
fraction of a millisecond, and counts them in a register, and one around it that checks.  What
such a loop is shows at its end, when the check at its head is already written; it is then
written anew.

Loops around other loops, or with calls in them, check in every turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asyncwasm.core.isa.table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from .body import Body

_SHORT_FAMILIES: Final = frozenset(
    "parametric variable const numeric memory simd simd_const simd_memory".split()
)
_SHORT: Final = frozenset(
    "unreachable nop block loop if else end br br_if br_table return memory.size "
    "ref.null ref.is_null ref.func ref.eq".split()
)
_LONG: Final = frozenset("memory.grow memory.init memory.copy memory.fill data.drop".split())
# How many values are computed between two checks.
_VALUES: Final = 1 << 16
# What is said of loops: that they are to start where processors read a group of instructions.  Of
# those with one way back also not to unroll them, which LLVM would do for the count's sake, and
# which has proved to make them slower, and others faster.
_ALIGNED: Final = "!llvm.loop !16"
_NOT_UNROLLED: Final = "!llvm.loop !13"


# Instructions that take a short time in any case.
SHORT: Final = _SHORT | {
    row.name for row in BY_NAME.values() if row.family in _SHORT_FAMILIES and row.name not in _LONG
}


class Loop:
    """The head of a loop, from before it is written."""

    def __init__(self, body: Body, again: str, head: str) -> None:
        self._body: Final = body
        self._again: Final = again
        self._head: Final = head
        self._start: Final = len(body.out.lines)
        self._values: Final = body.out.count

    def begin(self) -> Callable[[], None] | None:
        """Write the head; what to do at the end, if anything."""
        body, out = self._body, self._body.out
        out.jump(self._head)
        # One way back for all branches.  Of a loop with many, LLVM makes loops in loops.
        out.label(self._again)
        out.end(f"br label %{self._head}, {_ALIGNED}")
        out.label(self._head)
        first = len(out.lines)
        body.only_short = True
        if not body.check_loop() or body.watched or body.config.consume_fuel:
            return None
        go = out.block
        assert go is not None
        check = slice(first, len(out.lines) - 1)
        return lambda: self._end(check, go)

    def _end(self, check: slice, go: str) -> None:
        body, out = self._body, self._body.out
        short, body.only_short = body.only_short, False
        turns = _VALUES // (out.count - self._values)
        if not short or turns < 2:
            return
        back = f"label %{self._again} "
        ways = sum(back in f"{line} ".replace(",", " ") for line in out.lines[check.stop :])
        said = _ALIGNED if ways > 1 else _NOT_UNROLLED
        left = out.alloca("i32", "left")
        before, after, none, anew = (out.fresh(name) for name in ("v", "v", "v", "anew"))
        out.lines[self._start : check.stop + 1] = [
            f"  br label %{anew}",
            f"{self._again}:",
            f"  %{before} = load i32, ptr {left}",
            f"  %{after} = sub i32 %{before}, 1",
            f"  store i32 %{after}, ptr {left}",
            f"  %{none} = icmp eq i32 %{after}, 0",
            f"  br i1 %{none}, label %{self._head}, label %{go}, !prof !0, {said}",
            f"{self._head}:",
            *(line.replace(f"%{go}", f"%{anew}") for line in out.lines[check]),
            f"{anew}:",
            # Keeps LLVM from making one loop of the two.
            "  call void @llvm.sideeffect()",
            f"  store i32 {turns}, ptr {left}",
            f"  br label %{go}",
            f"{go}:",
        ]
