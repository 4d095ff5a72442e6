"""Branches of structured control: how a point is left and reached in Python without `goto`.

See `control` for the scheme; this is its bookkeeping of Python loops, of the label variable `L`
and of the values that branches bring along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from .body import Body
from .expr import Expr, canonical
from .parse import Function, Node, Point, resolve
from .variable import width

# What the end of a suite leads to, and what has to be assigned for that.
Falls = dict[Point, "str | None"]

# Python's own limits are 20 loops and 100 levels.
_MAX_LOOPS: Final = 18
_MAX_INDENTS: Final = 92


class TooDeepError(Exception):
    """The function does not fit into Python's nesting limits; another strategy is needed."""


class MisfitError(TooDeepError):
    """A branch that was to work by falling cannot.  Means a mistake in `Control.wraps`."""


class Loop:
    """A Python loop being written.

    `after` is what `break` leads to, `head` what `continue` does (or None).  `pending` are the
    points that branches inside left the loop for by way of `L`.
    """

    __slots__ = ("after", "depth", "head", "mark", "outer", "pending")

    def __init__(self, after: Falls, head: Point | None, outer: Loop | None) -> None:
        self.after = after
        self.head = head
        self.outer = outer
        self.depth: int = 1 if outer is None else outer.depth + 1
        self.pending: dict[Point, None] = {}
        self.mark = 0
        if self.depth > _MAX_LOOPS:
            raise TooDeepError


class Jumps:
    """The state of one function's control flow, and the ways to get from point to point."""

    # Wrapping keeps code flat where nesting `if`s would go deep.
    MAX_NESTED_JUMPS: ClassVar[int] = 8

    def __init__(self, body: Body, function: Function) -> None:
        self.body = body
        self.source = body.source
        self.function = function
        self.root_end = function.root.end
        self.loop: Loop | None = None
        # The loop around everything that `L` does not lead out of, if there is one.
        self.outermost: Loop | None = None
        self.reachable = True
        self.uses_label = False
        self._codes = 0
        self._wrapped: dict[Node, bool] = {}
        # Temporaries that constructs being written hold, beside the operand stack.
        self.held: list[Expr] = []
        body.held = self._live
        body.before_effect = self.flush_fuel
        self._fuel = 0

    def _live(self) -> int:
        live = 0
        for expr in self.held:
            live |= expr.temps
        return live

    # -- fuel and interrupts ------------------------------------------------------------------

    def charge(self, units: int) -> None:
        self._fuel += units

    def flush_fuel(self) -> None:
        if self._fuel:
            if self.body.options.consume_fuel:
                self.source.emit(f"{self.body.fuel()} -= {self._fuel}")
            self._fuel = 0

    def checks(self, offset: int) -> None:
        """What functions and loops do at their heads."""
        options = self.body.options
        if options.consume_fuel:
            refill = f"{self.body.store()}.out_of_fuel()"
            self.source.emit(f"if {self.body.fuel()} <= 0: {refill}", offset)
        if options.checks_interrupts:
            names = self.body.names
            interrupt, poll = names.singleton("interrupt"), names.singleton("poll")
            self.source.emit(f"if {interrupt}[0]: {poll}()", offset)

    # -- suites ---------------------------------------------------------------------------------

    def open(self, head: str, offset: int = 0) -> int:
        """Start a suite; the result goes to `_close`."""
        self.source.emit(head, offset)
        self.source.depth += 1
        if self.source.depth > _MAX_INDENTS:
            raise TooDeepError
        return len(self.source.lines)

    def close(self, mark: int) -> None:
        if len(self.source.lines) == mark:
            self.source.emit("pass")
        self.source.depth -= 1

    # -- leaving for a point --------------------------------------------------------------------

    def _number(self, point: Point) -> int:
        if not point.code:
            self._codes += 1
            point.code = self._codes
        return point.code

    def _values(self, point: Point) -> list[Expr]:
        """The operands that go along to `point`, as expressions that can be repeated."""
        count = len(point.types)
        return [canonical(expr) for expr in self.body.stack[-count:]] if count else []

    def assignments(self, point: Point) -> list[str]:
        moves = [
            (slot, value)
            for slot, value in zip(point.slots, self._values(point), strict=True)
            if slot.text != value.text
        ]
        if not moves:
            return []
        written = 0
        for slot, value in moves:
            if value.temps & written:
                # A value reads a slot that is assigned before it: all at once, then.
                left = ", ".join(slot.text for slot, _ in moves)
                return [f"{left} = {', '.join(value.operand for _, value in moves)}"]
            written |= slot.temps
        return [f"{slot.text} = {value.text}" for slot, value in moves]

    def return_(self) -> str:
        values = self._values(self.root_end)
        if len(values) < 2:
            return f"return {values[0].text}" if values else "return"
        return f"return ({', '.join(value.text for value in values)})"

    def exit_loop(self, point: Point) -> list[str] | None:
        """How to get to `point` by leaving or restarting the innermost loop, if that does."""
        loop = self.loop
        if loop is None:
            return None
        if point in loop.after:
            assign = loop.after[point]
            return ["break"] if assign is None else [assign, "break"]
        return ["continue"] if point is loop.head else None

    def leave(self, point: Point, falls: Falls, *, prefer_falls: bool) -> tuple[list[str], bool]:
        """The statements that send control to `point`, and whether they do so by falling."""
        point = resolve(point)
        if point in falls and (prefer_falls or self.exit_loop(point) is None):
            assign = falls[point]
            return self.assignments(point) + ([assign] if assign else []), True
        if point is self.root_end:
            return [self.return_()], False
        return self.assignments(point) + self._depart(point), False

    def _depart(self, point: Point) -> list[str]:
        """Leave the innermost loop for `point`, whose values have been assigned."""
        direct = self.exit_loop(point)
        if direct is not None:
            return direct
        self._pend(point)
        return [f"L = {self._number(point)}", "break"]

    def _pend(self, point: Point) -> None:
        """Note that the innermost loop is left for `point` by way of `L`."""
        # Branches that no loop has to be left for work by falling, or else the construct is
        # wrapped in a loop.
        if self.loop is None or self.loop is self.outermost:
            raise MisfitError
        self.loop.pending[point] = None
        self.uses_label = True

    def goto(self, point: Point, falls: Falls) -> None:
        """Send control to `point`; nothing after this is reached."""
        self.flush_fuel()
        self.emit_all(self.leave(point, falls, prefer_falls=True)[0])
        self.reachable = False

    def emit_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.source.emit(line)

    # -- conditional branches -------------------------------------------------------------------

    def branch(
        self, true: str, false: str, point: Point, falls: Falls, offset: int, *, is_last: bool
    ) -> int | None:
        """Branch to `point` if `true` holds; its values are on the stack.

        The result is the mark of a suite that the code to follow goes into, or None.
        `is_last` says that nothing but the end of the suite follows.
        """
        lines, fell = self.leave(point, falls, prefer_falls=is_last)
        if fell and not lines:
            return self.open(f"if {false}:", offset)
        if len(lines) == 1 and not fell:
            self.source.emit(f"if {true}: {lines[0]}", offset)
            return None
        mark = self.open(f"if {true}:", offset)
        self.emit_all(lines)
        self.close(mark)
        return self.open("else:") if fell else None

    def begin_loop(self, after: Falls, head: Point | None = None) -> Loop:
        """Start an endless loop; see `Loop` for the arguments."""
        loop = self.loop = Loop(after, head, self.loop)
        loop.mark = self.open("while True:")
        return loop

    def end_loop(self, loop: Loop, falls: Falls, *, done: bool) -> list[int]:
        """End a loop, behind which control falls to `falls`; see `take_pending`."""
        self.close(loop.mark)
        self.loop = loop.outer
        return self.take_pending(loop, falls, done=done)

    def take_pending(self, loop: Loop, falls: Falls, *, done: bool) -> list[int]:
        """Behind a loop: go on with the branches that left it through `L`.

        `done` says that otherwise control has arrived where it is meant to.
        """
        marks = []
        for point in loop.pending:
            head = f"if L == {self._number(point)}:"
            direct = self.exit_loop(point)
            if direct is not None:
                self.source.emit(f"{head} {'; '.join(('L = 0', *direct))}")
            elif point in falls:
                assign = falls[point]
                self.source.emit(f"{head} L = 0{f'; {assign}' if assign else ''}")
                if not done:
                    marks.append(self.open("else:"))
            else:
                self._pend(point)
                self.source.emit(f"{head} break")
        return marks

    # -- constructs -----------------------------------------------------------------------------

    def enter(self, node: Node) -> int:
        """Prepare the stack for a construct; the result is its height below the parameters."""
        body = self.body
        body.flush()
        params = len(node.type.params)
        body.settle_assigned(node.assigned)
        return len(body.stack) - params

    def reserve(self, point: Point, base: int) -> None:
        """Give `point` the temporaries in which values arrive."""
        point.base = base
        point.slots = tuple([self.body.temp(width(ty)) for ty in point.types])
        self.held.extend(point.slots)

    def arrive(self, node: Node, point: Point) -> None:
        """Set the stack to what it is at `point`, which several paths lead to."""
        body = self.body
        del body.stack[point.base :]
        for slot in point.slots:
            body.push(slot)
        body.forget(node.assigned)
        self.reachable = True
