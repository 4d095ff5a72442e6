"""Switches: a nest of blocks around a `br_table`, as cases side by side.

    block $c block $b block $a  … br_table $a $b $c …  end A… end B… end C…

The code before the cases ends by setting a variable to a case's number, and a decision tree over
that variable has the cases as its leaves, so that none is nested in another.  A case that goes
on to a later one sets the variable to that number, and the tree looks again behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain as concatenate
from typing import TYPE_CHECKING

from .parse import Item, Jump, Node, Point, resolve, switch_chain

if TYPE_CHECKING:
    from .control import Control
    from .jumps import Falls


class Switch:
    """One switch being written.

    Cases are numbered in this order: the code behind the inner blocks as it follows in the
    program; branches of the `br_table` to places elsewhere; and, if anything sets the variable
    so, nothing at all, for the end of the whole.
    """

    def __init__(self, control: Control, node: Node) -> None:
        self.control = control
        self.node = node
        self.blocks = switch_chain(node)
        self.bases: list[int] = []
        # What comes before the nested block and what comes after it, outermost first.
        self.before: list[list[Item]] = []
        after: list[list[Item]] = []
        for outer, inner in zip(self.blocks, self.blocks[1:], strict=False):
            at = next(i for i, item in enumerate(outer.items) if item is inner)
            self.before.append(outer.items[:at])
            after.append(outer.items[at + 1 :])
        self.before.append(self.blocks[-1].items)
        self.cases = after[::-1]
        self.starts = [block.end for block in self.blocks[:0:-1]]
        self.number = {point: i for i, point in enumerate(self.starts)}
        # Where the branches of each part go: of the code before the cases, and of the cases.
        self.head_targets: set[Point] = set()
        self.case_targets: list[set[Point]] = []
        self.elsewhere: list[Point] = []
        self.beyond: Falls = {}
        self.variable = ""
        self.total = 0
        # For every case: the highest one it goes on to (or -1), and whether it may end it all.
        self.reach: list[int] = []
        self.finishes: list[bool] = []

    def write(self, is_last: bool, end: Point, falls: Falls, opened: list[int]) -> bool:
        """Write the switch; see `Control.construct`."""
        control, node = self.control, self.node
        base = control.enter(node)
        control.body.floor = base
        self.bases.append(base)
        joins = control.joins(node, is_last, end) and end in falls
        if joins:
            node.end.join(end)
            self.beyond = falls
        else:
            control.reserve(node.end, base)
            self.beyond = {node.end: None}
        self.head_targets = targets(concatenate.from_iterable(self.before))
        self.case_targets = [targets(items) for items in self.cases]
        # A branch that would have to fall past what follows leaves through a loop instead.
        foreign = self.head_targets.union(*self.case_targets)
        wraps = not joins and any(
            point in foreign and control.exit_loop(point) is None for point in falls
        )
        loop = control.begin_loop(self.beyond) if wraps else None
        self._plan()
        selector = control.body.temp(32)
        self.variable = selector.text
        control.held.append(selector)
        self._head()
        self._tree(0, self.total, checked=False)
        if loop is not None:
            control.source.emit("break")
            opened += control.end_loop(loop, falls, done=False)
        if joins:
            control.reachable = False
            return True
        control.arrive(node, node.end)
        control.reachable = node.reaches_end
        return False

    def _plan(self) -> None:
        count = len(self.cases)
        assert self.node.switch is not None
        known = {*self.number, *self.beyond}
        for label in self.node.switch.points:
            point = resolve(label)
            if point not in known and not point.types:
                known.add(point)
                self.number[point] = count + len(self.elsewhere)
                self.elsewhere.append(point)
        for k, found in enumerate(self.case_targets):
            following = {self.number[point] for point in found if point in self.number}
            if self._case_falls_on(k) and k + 1 < count:
                following.add(k + 1)
            self.reach.append(max(following, default=-1))
            ends = self._case_falls_on(k) and k + 1 == count
            self.finishes.append(ends or any(point in found for point in self.beyond))
        self.reach += [-1] * len(self.elsewhere)
        self.finishes += [any(point is p for p in self.beyond) for point in self.elsewhere]
        self.total = count + len(self.elsewhere)
        # Only set by the code before the cases, or where the tree looks again.
        if any(point in self.head_targets for point in self.beyond) or (
            max(self.reach, default=-1) >= 0 and any(self.finishes)
        ):
            self.total += 1
            self.reach.append(-1)
            self.finishes.append(False)

    def _case_falls_on(self, k: int) -> bool:
        return self.blocks[-2 - k].falls

    def _finishing(self, *, checked: bool) -> Falls:
        """How to fall to the points behind the switch."""
        if not checked:
            return self.beyond
        leave = f"{self.variable} = {self.total - 1}"
        return {p: f"{assign}; {leave}" if assign else leave for p, assign in self.beyond.items()}

    def _head(self) -> None:
        """What comes before the cases."""
        control = self.control
        falls: Falls = {point: f"{self.variable} = {i}" for point, i in self.number.items()}
        if any(point in self.head_targets for point in self.beyond):
            falls.update(self._finishing(checked=True))
        head = list(concatenate.from_iterable(self.before))
        end = self.starts[0]
        # The `br_table` itself comes last and can fall to anything.
        used = targets(item for item in head if item is not self.node.switch)
        loop = None
        if not self._nest(head, used & falls.keys(), end):
            loop = control.begin_loop(falls)
            falls = {}
        opened: list[int] = []
        done = False
        control.reachable = True
        for level, items in enumerate(self.before):
            if level:
                block = self.blocks[level]
                base = control.enter(block)
                control.body.floor = base
                self.bases.append(base)
                control.reserve(block.end, base)
            done = control.items(items, level == len(self.before) - 1, end, falls, opened)
        if control.reachable and not done:
            control.goto(end, falls)
        while opened:
            control.close(opened.pop())
        if loop is not None:
            control.end_loop(loop, {}, done=True)

    def _nest(self, items: list[Item], points: set[Point], end: Point) -> bool:
        """Whether branches to `points` in `items` can all work by falling."""
        control = self.control
        jumps = sum(isinstance(item, Jump) for item in items)
        return jumps <= control.MAX_NESTED_JUMPS and all(
            control.nests(items, point, end, True, False) for point in points
        )

    def _tree(self, low: int, high: int, *, checked: bool) -> None:
        """Cases `low … high - 1`; `checked` says that the variable is looked at behind them."""
        control = self.control
        if high - low == 1:
            self._case(low, checked=checked)
            return
        middle = (low + high) // 2
        highest = max(self.reach[low:middle])
        again = highest >= middle
        mark = control.open(f"if {self.variable} < {middle}:")
        self._tree(low, middle, checked=checked or again)
        control.close(mark)
        if not again:
            mark = control.open("else:")
        elif high < self.total and (highest >= high or any(self.finishes[low:middle])):
            mark = control.open(f"if {self.variable} < {high}:")
        else:
            self._tree(middle, high, checked=checked)
            return
        self._tree(middle, high, checked=checked)
        control.close(mark)

    def _case(self, k: int, *, checked: bool) -> None:
        control = self.control
        count = len(self.cases)
        if k >= count:
            if k - count < len(self.elsewhere):
                point, exits = self.elsewhere[k - count], self._finishing(checked=checked)
                control.emit_all(control.leave(point, exits, prefer_falls=True)[0])
            return
        block = self.blocks[-1 - k]
        control.body.floor = self.bases[-2 - k]
        control.arrive(block, block.end)
        found = self.case_targets[k]
        end = self.starts[k + 1] if k + 1 < count else resolve(self.node.end)
        falls: Falls = {
            point: f"{self.variable} = {self.number[point]}"
            for point in (end, *found)
            if self.number.get(point, -1) > k
        }
        falls.update(self._finishing(checked=checked))
        items = self.cases[k]
        if self._nest(items, found & falls.keys(), end):
            control.seq(items, end, falls)
            return
        loop = control.begin_loop(falls)
        control.seq(items, end, {})
        control.end_loop(loop, {}, done=True)


def targets(items: Iterable[Item]) -> set[Point]:
    """Every point that a branch in `items` goes to."""
    found: set[Point] = set()
    pending = list(items)
    while pending:
        item = pending.pop()
        if isinstance(item, Jump):
            found.update(map(resolve, item.points))
        elif isinstance(item, Node):
            pending += item.items
            pending += item.orelse or ()
            found.update(resolve(point) for _, point in item.catches)
    return found
