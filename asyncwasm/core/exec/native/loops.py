"""Loops that go on in better code while they run.

Code that is not optimised looks, whenever a tick is noticed at the head of a loop, whether there is
an *entry* for that loop: the same function, optimised, that begins there.  If so it calls that with
the places of its locals and the operands, and returns what it returns.  All counts of references
go along, so it releases nothing.

An entry is translated like any function.  But what is before the loop does not come before it, so
operands that are there when a block is opened are kept in memory until its end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .abi import CONVENTION, LOOP_SHIFT, context_words
from .body import Body
from .operands import Operand
from .refs import NULL, REF, release

if TYPE_CHECKING:
    from asyncwasm.core.module import ModuleInfo
    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.types import FuncType

    from .operands import Slots

_CELL: Final = 16


class Leaving(Body):
    """A function that is not optimised yet, whose loops may go on elsewhere."""

    watched = True

    def __init__(self, info: ModuleInfo, index: int, config: Config) -> None:
        super().__init__(info, index, config)
        self.poll = f"i32 @sample(ptr %ctx, i64 {index})"
        # Where it is left, with the address of the entry there.
        self._departures: Final[list[tuple[str, str]]] = []
        self._most = 0

    def check_loop(self) -> bool:
        poll = self.poll
        self.poll = f"i32 @sample(ptr %ctx, i64 {self.offset << LOOP_SHIFT | self.index})"
        checked = super().check_loop()
        self.poll = poll
        return checked

    def polled(self, after: str) -> None:
        out = self.out
        word = f"@module.loop.{self.offset}"
        code = out.op(f"load atomic i64, ptr {word} monotonic, align 8")
        leave = out.fresh("leave")
        out.branch(out.op(f"icmp eq i64 {code}, 0"), after, leave)
        out.label(leave, always_after=True)
        values = [(operand.ty, operand.value) for operand in self.stack]
        values += [(ty, out.op(f"load {ty}, ptr {slot}")) for ty, slot in self.labels[-1].slots]
        for number, (ty, value) in enumerate(values):
            at = out.op(f"getelementptr i8, ptr %operands, i64 {_CELL * number}")
            out.do(f"store {ty} {value}, ptr {at}")
        self._most = max(self._most, len(values))
        self._departures.append((leave, code))
        out.jump("depart")

    def last_blocks(self) -> list[str]:
        lines = super().last_blocks()
        if not self._departures:
            return lines
        self.out.allocas.append(f"  %operands = alloca [{max(1, self._most)} x <2 x i64>]")
        if self.tails:
            # There is no entry: it could not make tail calls, having arguments on the stack.
            return [*lines, "depart:", "  unreachable"]
        codes = ", ".join(f"[ {code}, %{block} ]" for block, code in self._departures)
        places = "".join(f", ptr {slot}" for _, slot in self.locals)
        return [
            *lines,
            "depart:",
            f"  %depart.code = phi i64 {codes}",
            "  %depart.entry = inttoptr i64 %depart.code to ptr",
            f"  %depart.result = notail call {CONVENTION} {self.returns} %depart.entry"
            f"(ptr %ctx, ptr %operands{places})",
            f"  ret {self.returns} %depart.result",
        ]


class Entry(Body):
    """A function that begins at the head of one of its loops, as `o<index>`.

    Its frame is one more on the stack, for which the reserve there has room.
    """

    def __init__(self, info: ModuleInfo, index: int, config: Config, loop: int) -> None:
        super().__init__(info, index, config)
        self._loop: Final = loop
        # For each open block the places of the operands below it.
        self._kept: Final[list[list[str]]] = []
        self._arrival: Final[list[str]] = []
        # Which line is to lead there.
        self._start = 0

    def open_block(self, ty: FuncType) -> None:
        self._keep(len(self.stack) - len(ty.params))
        super().open_block(ty)

    def open_if(self, ty: FuncType) -> None:
        self._keep(len(self.stack) - len(ty.params) - 1)
        super().open_if(ty)

    def open_loop(self, ty: FuncType) -> None:
        self._keep(len(self.stack) - len(ty.params))
        super().open_loop(ty)
        self._reload(self._kept[-1])

    def check_loop(self) -> bool:
        if self.offset == self._loop:
            self._arrive(self.labels[-1].slots)
        return super().check_loop()

    def close(self) -> None:
        super().close()
        if self.labels:
            self._reload(self._kept.pop())

    def _reload(self, slots: list[str]) -> None:
        for height, slot in enumerate(slots):
            ty, _, owner = self.stack[height]
            value = self.out.op(f"load {ty}, ptr {slot}")
            self.stack[height] = Operand(ty, value, owner)

    def give_up(self, operand: Operand) -> None:
        if isinstance(operand.owner, str):
            # Its value may be from before the loop, but that is in its root, too.
            value = self.out.op(f"load {REF}, ptr {operand.owner}")
            self.out.do(f"store {REF} {NULL}, ptr {operand.owner}")
            release(self.out, value)

    def _keep(self, height: int) -> None:
        """Keep the operands up to a height in memory while a block is open."""
        self.settle()
        slots = []
        for operand in self.stack[:height]:
            slot = self.out.alloca(operand.ty)
            self.out.do(f"store {operand.ty} {operand.value}, ptr {slot}")
            slots.append(slot)
        self._kept.append(slots)

    def _arrive(self, params: Slots) -> None:
        """Write what the function begins with: the state as it was left, and the way here."""
        lines = self._arrival
        for number, (ty, slot) in enumerate(self.locals):
            lines.append(f"  %from{number} = load {ty}, ptr %place{number}")
            lines.append(f"  store {ty} %from{number}, ptr {slot}")
        places: list[tuple[str, list[str]]] = []
        for height, operand in enumerate(self.stack):
            slots = [kept[height] for kept in self._kept if height < len(kept)]
            if isinstance(operand.owner, str):
                slots.append(operand.owner)
            places.append((operand.ty, slots))
        places += [(ty, [slot]) for ty, slot in params]
        for number, (ty, slots) in enumerate(places):
            lines.append(f"  %at{number} = getelementptr i8, ptr %operands, i64 {_CELL * number}")
            lines.append(f"  %operand{number} = load {ty}, ptr %at{number}")
            lines += [f"  store {ty} %operand{number}, ptr {slot}" for slot in slots]
        lines.append(f"  br label %{self.labels[-1].head}")

    def add_params(self, names: list[str]) -> None:
        # The arguments are among the locals that come along.
        for ty in self.ty.params:
            self.add_local(ty, None)

    def started(self) -> None:
        self._start = len(self.out.lines)
        self.out.jump("before")
        self.out.label("before")

    def _define(self, names: list[str]) -> str:
        out = self.out
        tail = self.last_blocks()
        assert self._arrival
        out.lines[self._start : self._start + 1] = self._arrival
        places = "".join(f", ptr %place{number}" for number in range(len(self.locals)))
        context = f"ptr dereferenceable({8 * context_words(self.info)}) %ctx"
        symbol = f"o{self.index}"
        name = f"f{self.index}"
        text = "\n".join(
            [
                f'@n{self.index} = private constant [{len(name) + 1} x i8] c"{name}\\00"',
                f"define dso_local {CONVENTION} {self.returns} @{symbol}"
                f"({context}, ptr %operands{places}) {{",
                out.text(),
                *tail,
                "}",
            ]
        )
        # The function itself may be in the unit, too.
        return re.sub(rf"@n{self.index}\b", f"@{symbol}.name", text)
