"""Where memories are and how large, as a function knows it while it runs.

Both are values of the function's own, which LLVM keeps in registers.  The address of a memory never
changes; its size is read at the start, and again after whatever may have changed it, which any
call may.  Read where it is needed, it would be read in every turn of a loop, for the sake of the
call in the loop's check.  Code that is not optimised has no registers to spare, and does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .abi import Items, place
from .exits import CTX

if TYPE_CHECKING:
    from .body import Body


class Bounds:
    """What one function knows about its memories."""

    def __init__(self, body: Body) -> None:
        self._body: Final = body
        # By memory: the slots of its address and size, and where the size is.
        self._known: Final[dict[int, tuple[str, str, str]]] = {}
        body.out.after_calls = self._refresh

    def base(self, memory: int) -> str:
        """The address."""
        if self._is_read(memory):
            cell = self._cell(memory)
            return self._body.constant(f"load ptr, ptr {cell}, !invariant.load !4, {CTX}")
        return self._body.out.op(f"load ptr, ptr {self._slots(memory)[0]}")

    def size(self, memory: int) -> str:
        """The size in bytes."""
        body, out = self._body, self._body.out
        if self._is_read(memory):
            at = body.constant(f"getelementptr i64, ptr {self._cell(memory)}, i64 1")
            return out.op(f"load i64, ptr {at}, {CTX}")
        return out.op(f"load i64, ptr {self._slots(memory)[1]}")

    def _is_read(self, memory: int) -> bool:
        """Whether both are read where they are needed."""
        # Another thread may make a shared one grow at any time.
        return self._body.info.memories[memory].shared or self._body.hoists

    def _cell(self, memory: int) -> str:
        return self._body.own(Items.MEMORIES, memory, 16)

    def _slots(self, memory: int) -> tuple[str, str, str]:
        return self._known.get(memory) or self._know(memory)

    def _know(self, memory: int) -> tuple[str, str, str]:
        out = self._body.out
        slots = out.alloca("ptr", "base"), out.alloca("i64", "size")
        item, cell, base, size_at, size = (f"%{out.fresh('m')}" for _ in range(5))
        number = place(self._body.info, Items.MEMORIES, memory)
        unchanging = f"!invariant.load !4, {CTX}"
        out.first += [
            f"  {item} = getelementptr ptr, ptr %ctx, i64 {number}",
            f"  {cell} = load ptr, ptr {item}, {unchanging}",
            f"  {base} = load ptr, ptr {cell}, {unchanging}",
            f"  store ptr {base}, ptr {slots[0]}",
            f"  {size_at} = getelementptr i64, ptr {cell}, i64 1",
            f"  {size} = load i64, ptr {size_at}, {CTX}",
            f"  store i64 {size}, ptr {slots[1]}",
        ]
        known = self._known[memory] = *slots, size_at
        return known

    def _refresh(self) -> list[str]:
        lines = []
        for _, slot, at in self._known.values():
            size = f"%{self._body.out.fresh('m')}"
            lines += [f"  {size} = load i64, ptr {at}, {CTX}", f"  store i64 {size}, ptr {slot}"]
        return lines
