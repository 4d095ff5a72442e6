"""The ways out of a function that is translated: results, tail calls, traps, exceptions.

What leaves a function in the middle goes to one of its two last blocks, `trap` and from there
`unwind`, or to the handlers of a `try_table`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from asyncwasm.core.types import FuncType, ValType
from asyncwasm.errors import TrapCode

from .abi import TAIL_CONVENTION, Word
from .emit import ir_type
from .operands import Operands, Slots
from .passing import arguments, can_tail_call
from .refs import NULL, REF, release

if TYPE_CHECKING:
    from asyncwasm.core.module import ModuleInfo
    from asyncwasm.core.runtime.config import Config

CTX: Final = "!tbaa !2"
# The places where references may be times the ways out: with more of them the places stay in
# memory, because in registers each way would need a value for each.
_MOST_MERGES: Final = 5_000
# The offset from a body's start takes so many bits; larger bodies are interpreted.
_OFFSET_BITS: Final = 24
# Traps that generated code raises by number, with the suite's more exact texts.
TRAPS: Final[tuple[tuple[TrapCode, str | None], ...]] = (
    *[(code, None) for code in TrapCode],
    (TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element"),
    *[
        (TrapCode.NULL_REFERENCE, f"null {kind} reference")
        for kind in ("function", "exception", "structure", "array", "i31")
    ],
)


class NotCoveredError(Exception):
    """A function uses something that native code does not do; the text says what."""


def result_type(results: tuple[ValType, ...]) -> str:
    """The IR type of what a function returns: its status, then its results."""
    return f"{{ {', '.join(['i32', *map(ir_type, results)])} }}"


@dataclass(slots=True)
class Way:
    """From where and with what something leaves: the block, the offset and the status there."""

    block: str
    offset: str
    status: str


@dataclass(slots=True)
class Handlers:
    """Those of an open `try_table`: their block, and the ways that lead there."""

    block: str
    ways: list[Way] = field(default_factory=list)


class Exits(Operands):
    """What leaves one function, and how."""

    def __init__(self, info: ModuleInfo, index: int, config: Config) -> None:
        super().__init__()
        self.info: Final = info
        self.index: Final = index
        self.config: Final = config
        self.ty: Final[FuncType] = info.funcs[index].func
        self.returns: Final = result_type(self.ty.results)
        self.handlers: Final[list[Handlers]] = []
        # Whether anything is called, and whether by tail calls.
        self.calls = False
        self.tails = False
        # Where in the module the body starts, and the instruction that is being translated.
        self.start: Final = info.bodies[index - info.imported_funcs].start
        self.offset = self.start
        # Blocks that lead to `trap`, with the `site`.
        self.traps: Final[list[tuple[str, int]]] = []
        self.ways: Final[list[Way]] = []

    def site(self, trap: int) -> int:
        """A trap by number, and where: in 32 bits, for which no register is set aside."""
        return trap << _OFFSET_BITS | self.offset - self.start

    def trap_if(self, condition: str, code: TrapCode, detail: str | None = None) -> None:
        """Trap if the i1 `condition` holds."""
        after = self.out.fresh("ok")
        if self.out.block is not None:
            self.traps.append((self.out.block, self.site(TRAPS.index((code, detail)))))
        self.out.branch(condition, "trap", after, unlikely=True)
        self.out.label(after, always_after=True)

    def trap(self, code: TrapCode) -> None:
        """Trap.  What follows is unreachable."""
        if self.out.block is not None:
            self.traps.append((self.out.block, self.site(TRAPS.index((code, None)))))
        self.out.jump("trap")

    def _way_out(self, status: str, offset: str | None = None) -> str:
        """Note that the current block leads out; the label to go to."""
        if self.out.block is not None:
            ways = self.handlers[-1].ways if self.handlers else self.ways
            ways.append(Way(self.out.block, offset or str(self.offset), status))
        return self.handlers[-1].block if self.handlers else "unwind"

    def unwind_if(self, condition: str, status: str = "1") -> None:
        """Leave with a status, and the exception that goes with it, if the i1 holds."""
        after = self.out.fresh("ok")
        self.out.branch(condition, self._way_out(status), after, unlikely=True)
        self.out.label(after, always_after=True)

    def unwind(self, status: str, offset: str | None = None) -> None:
        """Leave with a status and the exception that goes with it.  The rest is unreachable."""
        self.out.jump(self._way_out(status, offset))

    def give_back(self, values: Slots) -> None:
        """Return with these results."""
        result = f"{self.returns} zeroinitializer"
        for number, (ty, value) in enumerate(values, 1):
            name = self.out.op(f"insertvalue {result}, {ty} {value}, {number}")
            result = f"{self.returns} {name}"
        self.out.end(f"ret {result}")

    def give_away(self, callee: str, context: list[str], values: Slots, ty: FuncType) -> None:
        """Return what `callee` of type `ty` does with these values, in a call that takes the
        place of this one.  Everything else must have been released.
        """
        self.calls = self.tails = True
        if not (can_tail_call(ty, ty) and can_tail_call(self.ty, ty)):
            raise NotCoveredError("a tail call with so many parameters or results")
        extra = len(context) - 1
        args = ", ".join(context) + arguments(self.out, "%ctx", values, ty, extra)
        returns = self.returns
        result = self.out.op(f"musttail call {TAIL_CONVENTION} {returns} {callee}({args})")
        self.out.end(f"ret {returns} {result}")

    def leave_all(self) -> None:
        """Release all operands and locals, on the way out."""
        for operand in self.stack:
            self.give_up(operand)
        self.release_locals()

    def release_roots(self, height: int) -> None:
        """Release what operands from that height on may hold, wherever that is known."""
        for root in self.roots[height:]:
            value = self.out.op(f"load {REF}, ptr {root}")
            self.out.do(f"store {REF} {NULL}, ptr {root}")
            release(self.out, value)

    # The last blocks -------------------------------------------------------------------------

    def last_blocks(self) -> list[str]:
        """The text of `trap` and `unwind`, as far as anything leads there."""
        lines: list[str] = []
        ways = list(self.ways)
        if self.traps:
            sources = ", ".join(f"[ {site}, %{block} ]" for block, site in self.traps)
            lines += [
                "trap:",
                f"  %trap.site = phi i32 {sources}",
                f"  %trap.number = lshr i32 %trap.site, {_OFFSET_BITS}",
                "  %trap.code = zext i32 %trap.number to i64",
                "  call void @raise_trap(ptr %ctx, i64 %trap.code)",
                f"  %trap.from = and i32 %trap.site, {(1 << _OFFSET_BITS) - 1}",
                f"  %trap.offset = add i32 %trap.from, {self.start}",
                "  br label %unwind",
            ]
            ways.append(Way("trap", "%trap.offset", "1"))
        if ways:
            offsets = ", ".join(f"[ {way.offset}, %{way.block} ]" for way in ways)
            statuses = ", ".join(f"[ {way.status}, %{way.block} ]" for way in ways)
            lines += [
                "unwind:",
                f"  %unwind.offset = phi i32 {offsets}",
                f"  %unwind.status = phi i32 {statuses}",
                f"  call void @passed(ptr %ctx, ptr @n{self.index}, i32 %unwind.offset, "
                "i32 %unwind.status)",
                *self._release_all(),
                f"  %unwind.result = insertvalue {self.returns} zeroinitializer, "
                "i32 %unwind.status, 0",
                f"  ret {self.returns} %unwind.result",
            ]
        return lines

    def _release_all(self) -> list[str]:
        """What is done on the way out with references wherever they may be."""
        places = [*self.roots, *[slot for ty, slot in self.locals if ty == REF]]
        if not places:
            return []
        if len(places) * (len(self.traps) + len(self.ways)) > _MOST_MERGES:
            releases = [f"  call void @release_at(ptr {place})" for place in places]
        else:
            releases = [
                line
                for number, place in enumerate(places)
                for line in (
                    f"  %last{number} = load ptr, ptr {place}",
                    f"  call void @release(ptr %last{number})",
                )
            ]
        # Releasing runs finalizers, and those may run guests.
        return [
            f"  %parked.at = getelementptr ptr, ptr %ctx, i64 {int(Word.EXCEPTION)}",
            f"  %parked.word = load ptr, ptr %parked.at, !invariant.load !4, {CTX}",
            "  %parked = load ptr, ptr %parked.word",
            *releases,
            "  store ptr %parked, ptr %parked.word",
        ]
