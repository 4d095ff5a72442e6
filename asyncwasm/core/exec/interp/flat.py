"""Control flow for functions that nest too deeply for Python.

The outer constructs are taken apart: the function becomes numbered pieces of straight code (and
of inner constructs that do fit), the leaves of a decision tree over `P` in an endless loop.  A
branch sets `P` and goes round.  Nothing here recurses over the program, and the result nests no
deeper than the logarithm of the number of pieces, so any function can be written like this.

A `try_table` that is taken apart cannot be a Python `try` around its code.  One `try` is around
the tree instead, and whoever catches finds by `P` which `try_table`s were being executed.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from asyncwasm.errors import ThrownException

from .body import Body
from .control import Control
from .expr import Expr
from .jumps import Loop
from .parse import Function, Item, Jump, Node, Point, resolve
from .registry import Instr

# Where the code of the leaves is indented to; the tree's levels are to the left of it.
_LEAF_DEPTH = 26


class _Open(NamedTuple):
    """A construct that has been taken apart and is being written."""

    node: Node
    items: list[Item]
    base: int
    outer: tuple[int, int, int]  # the length of `held`, the floor and the region outside
    params: list[Expr]
    facts: dict[int, tuple[int, int, int]]
    other: int  # the leaf of the `else` arm, or -1


class FlatControl(Control):
    """Writes a function as a dispatch loop."""

    # How much nesting inside a leaf is left to Python.
    MAX_LOOPS: ClassVar[int] = 11
    MAX_INDENTS: ClassVar[int] = 54

    def __init__(self, body: Body, function: Function) -> None:
        super().__init__(body, function)
        self.outermost = self.loop = Loop({}, None, None)
        self._leaf: dict[Point, int] = {}
        # Of each leaf: where its lines start and end, and the `try_table` it belongs to, which
        # is counted from 1.
        self._spans: list[tuple[int, int]] = []
        self._regions: list[int] = []
        self._current = -1
        self._region = 0
        self._tries: list[Node] = []
        self._outer_region = [0]

    def exit_loop(self, point: Point) -> list[str] | None:
        if self.loop is not self.outermost:
            return super().exit_loop(point)
        leaf = self._leaf.get(point)
        return None if leaf is None else [f"P = {leaf}", "continue"]

    def write(self) -> None:
        source = self.source
        source.emit("P = 0")
        start = len(source.lines)
        source.depth = _LEAF_DEPTH
        self._begin(self._new_leaf())
        self._walk(self.function.root.items)
        if self.reachable:
            self.goto(self.root_end, {})
        self._end()
        lines, offsets = source.lines[start:], source.offsets[start:]
        del source.lines[start:], source.offsets[start:]
        source.depth = 1
        source.emit("while True:")
        source.depth = 2
        if self._tries:
            source.emit("try:")
            source.depth = 3
        self._tree(0, len(self._spans), start, lines, offsets)
        if self._tries:
            source.depth = 2
            self._catch()

    # -- leaves -----------------------------------------------------------------------------------

    def _new_leaf(self) -> int:
        self._spans.append((0, 0))
        self._regions.append(0)
        return len(self._spans) - 1

    def _begin(self, leaf: int) -> None:
        """Go on writing in another leaf."""
        self._end()
        self._current = leaf
        self._regions[leaf] = self._region
        start = len(self.source.lines)
        self._spans[leaf] = (start, start)

    def _end(self) -> None:
        if self._current >= 0:
            start, _ = self._spans[self._current]
            if len(self.source.lines) == start:
                self.source.emit("pass")
            self._spans[self._current] = (start, len(self.source.lines))

    def _tree(self, low: int, high: int, start: int, lines: list[str], offsets: object) -> None:
        source = self.source
        if high - low == 1:
            first, last = (at - start for at in self._spans[low])
            source.lines += lines[first:last]
            source.offsets += offsets[first:last]  # type: ignore[index]
            return
        middle = (low + high) // 2
        source.emit(f"if P < {middle}:")
        source.depth += 1
        self._tree(low, middle, start, lines, offsets)
        source.depth -= 1
        source.emit("else:")
        source.depth += 1
        self._tree(middle, high, start, lines, offsets)
        source.depth -= 1

    # -- constructs -------------------------------------------------------------------------------

    def _walk(self, items: list[Item]) -> None:
        nowhere = Point(())
        opened: list[_Open] = []
        self.reachable = True
        at = [0]
        lists = [items]
        while True:
            if at[-1] == len(lists[-1]):
                if not opened:
                    return
                self._finish(opened, lists, at)
                continue
            item = lists[-1][at[-1]]
            at[-1] += 1
            if isinstance(item, Instr):
                self.instruction(item)
            elif isinstance(item, Jump):
                self.jump(item, False, {}, [])
            elif item.loops <= self.MAX_LOOPS and item.indents <= self.MAX_INDENTS:
                self.construct(item, False, nowhere, {}, [])
            else:
                opened.append(self._start(item))
                lists.append(opened[-1].items)
                at.append(0)

    def _start(self, node: Node) -> _Open:
        body = self.body
        body.sweep()
        outer = (len(self.held), body.floor, self._region)
        other = -1
        if node.kind == "if":
            condition = body.pop()
            self.charge(1)
        self.flush_fuel()
        base = self.enter(node)
        body.floor = base
        params = body.stack[base:]
        if node.kind == "loop":
            self.reserve(node.label, base)
            self.emit_all(self.assignments(node.label))
            self._leaf[node.label] = head = self._new_leaf()
            self.emit_all((f"P = {head}", "continue"))
            self._begin(head)
            self.arrive(node, node.label)
            self.checks(node.offset)
        else:
            self.reserve(node.end, base)
            self._leaf[node.end] = self._new_leaf()
        if node.kind == "if":
            self.held.extend(params)
            other = self._new_leaf()
            self.source.emit(f"if {condition.condition[1]}: P = {other}; continue", node.offset)
        elif node.kind == "try_table":
            self._tries.append(node)
            self._outer_region.append(self._region)
            self._region = len(self._tries)
            inside = self._new_leaf()
            self.emit_all((f"P = {inside}", "continue"))
            self._begin(inside)
        self.reachable = True
        return _Open(node, node.items, base, outer, params, dict(body.facts), other)

    def _finish(self, opened: list[_Open], lists: list[list[Item]], at: list[int]) -> None:
        """At the end of a list of items: go on with the `else` arm or behind the construct."""
        body = self.body
        node, items, base, outer, params, facts, other = opened[-1]
        if node.kind == "loop":
            # Nothing but its own end leads behind a loop.
            self.flush_fuel()
        elif self.reachable:
            self.goto(node.end, {})
        if other >= 0 and items is node.items and node.orelse is not None:
            self._begin(other)
            body.stack[base:] = params
            body.facts = facts
            body.floor = base
            self.reachable = True
            opened[-1] = opened[-1]._replace(items=node.orelse, other=-1)
            lists[-1] = node.orelse
            at[-1] = 0
            return
        opened.pop()
        lists.pop()
        at.pop()
        held, body.floor, self._region = outer
        if node.kind != "loop":
            self._begin(self._leaf[node.end])
            self.arrive(node, node.end)
            self.reachable = node.reaches_end
            if not self.reachable:
                self.source.emit("pass")
        del self.held[held:]

    # -- exceptions -------------------------------------------------------------------------------

    def _catch(self) -> None:
        """Send what was thrown on to the innermost handler for it."""
        source, body = self.source, self.body
        thrown = body.names.named("Thrown", ThrownException)
        source.emit(f"except {thrown} as E:")
        source.depth += 1
        source.emit("X = E.exn")
        source.emit(f"R = ({', '.join(map(str, self._regions))},)[P]")
        source.emit("while R:")
        source.depth += 1
        self._handlers(1, len(self._tries) + 1)
        source.emit(f"R = ({', '.join(map(str, self._outer_region))},)[R]")
        source.depth -= 1
        source.emit("else: raise")
        source.depth -= 1

    def _handlers(self, low: int, high: int) -> None:
        source = self.source
        if high - low > 1:
            middle = (low + high) // 2
            mark = self.open(f"if R < {middle}:")
            self._handlers(low, middle)
            self.close(mark)
            mark = self.open("else:")
            self._handlers(middle, high)
            self.close(mark)
            return
        mark = len(source.lines)
        for catch, label in self._tries[low - 1].catches:
            point = resolve(label)
            test = "True" if catch.tag is None else f"X.tag is {self.body.tag(catch.tag)}"
            clause = self.open(f"if {test}:")
            values = [f"X.fields[{i}]" for i in range(len(point.types) - catch.ref)]
            if catch.ref:
                values.append("X")
            if point is self.root_end:
                joined = ", ".join(values)
                source.emit(f"return ({joined})" if len(values) > 1 else f"return {joined}")
            else:
                for slot, value in zip(point.slots, values, strict=True):
                    source.emit(f"{slot.text} = {value}")
                source.emit(f"P = {self._leaf[point]}; break")
            self.close(clause)
        if len(source.lines) == mark:
            source.emit("pass")


class FlattestControl(FlatControl):
    """Takes everything apart."""

    MAX_LOOPS: ClassVar[int] = -1
    MAX_INDENTS: ClassVar[int] = -1
