"""Structured control: how branches between points become Python without `goto`.

Python has `if`, endless loops, `break` and `continue` without labels.  The generator turns the
tree of a function into these, in this order of preference for a branch to a point:

* nothing at all, where the end of the suite being written leads there (`falls`): what is left
  of the surrounding code goes into the other arm of an `if`;
* `break` or `continue` of the innermost Python loop, or `return`;
* setting `L` to the point's number and breaking out of the innermost loop; behind that loop `L`
  is tested and the branch taken from there.  `L` is 0 whenever no such branch is under way.

A block whose branches cannot all be had by the first two ways is put into a `while True:` of
its own that ends in `break` ("wrapped"), which costs nothing when it runs.

`seq` writes a list of items and guarantees that control, where it reaches the list's end, has
been sent on to the given point with the values that belong there.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.errors import ThrownException

from .expr import TRAPS, Expr
from .jumps import Falls, Jumps
from .numeric import by_reference
from .parse import TERMINATORS, Item, Jump, Node, Point, resolve
from .registry import BRANCHINGS, LOWERINGS, Instr
from .switch import Switch

# Fuel: instructions that cost nothing, and those that cost as much again as their length.
_FREE: Final = frozenset("drop unreachable".split())
_SIZED: Final = frozenset(
    "memory.copy memory.fill memory.init table.copy table.fill table.init table.grow "
    "array.new array.new_default array.new_data array.new_elem array.fill array.copy "
    "array.init_data array.init_elem".split()
)


class Control(Jumps):
    """Writes one function's control flow; everything else is left to the lowerings."""

    def write(self) -> None:
        """Write the whole function."""
        self.seq(self.function.root.items, self.root_end, {})

    def seq(self, items: list[Item], end: Point, falls: Falls) -> None:
        """Write `items` and send control on to `end`."""
        self.reachable = True
        opened: list[int] = []
        done = self.items(items, True, end, falls, opened)
        if self.reachable and not done:
            self.goto(end, falls)
        while opened:
            self.close(opened.pop())

    def items(
        self, items: list[Item], is_last: bool, end: Point, falls: Falls, opened: list[int]
    ) -> bool:
        """Write `items` into the current suite.  True if control has been sent on to `end`.

        `is_last` says that nothing follows them before `end`.  Suites that what follows goes
        into are added to `opened`.
        """
        done = False
        count = len(items)
        for i, item in enumerate(items):
            ends = is_last and i == count - 1
            if isinstance(item, Instr):
                self.instruction(item)
            elif isinstance(item, Jump):
                self.jump(item, ends, falls, opened)
            else:
                done = self.construct(item, ends, end, falls, opened)
        return done

    def instruction(self, instr: Instr) -> None:
        """Lower one plain instruction."""
        body = self.body
        body.sweep()
        name = instr.row.name
        if body.options.consume_fuel:
            self._charge(instr)
        LOWERINGS.get(name, by_reference)(body, instr)
        if name in TERMINATORS:
            self.reachable = False
            self._fuel = 0

    def _charge(self, instr: Instr) -> None:
        name = instr.row.name
        if name in _FREE:
            if name == "unreachable":
                self.flush_fuel()
            return
        self._fuel += 1
        if name in _SIZED:
            # Bulk operations cost their length too, which is always the last operand.
            length = self.body.atom(self.body.pop())
            self.body.push(length)
            self.flush_fuel()
            self.source.emit(f"{self.body.fuel()} -= {length.text}")
        elif instr.row.traps:
            self.flush_fuel()

    def jump(self, jump: Jump, is_last: bool, falls: Falls, opened: list[int]) -> None:
        body = self.body
        body.sweep()
        instr = jump.instr
        name = instr.row.name
        if name != "return":
            self.charge(1)
        if name in ("br", "return"):
            body.flush(TRAPS)
            self.goto(jump.points[0], falls)
        elif name == "br_if":
            condition = body.pop()
            body.flush(TRAPS)
            self.flush_fuel()
            self._branch_item(*condition.condition, jump, is_last, falls, opened)
        elif name == "br_table":
            index = body.atom(body.pop())
            body.flush(TRAPS)
            self.flush_fuel()
            self.table(index, jump.points, falls)
            self.reachable = False
        else:
            body.flush()
            self.flush_fuel()
            true, false, taken, otherwise = BRANCHINGS[name](body, instr)
            height = len(body.stack)
            body.stack.extend(taken)
            self._branch_item(true, false, jump, is_last, falls, opened)
            del body.stack[height:]
            for expr in otherwise:
                body.push(expr)

    def _branch_item(
        self,
        true: str,
        false: str,
        jump: Jump,
        is_last: bool,
        falls: Falls,
        opened: list[int],
    ) -> None:
        mark = self.branch(true, false, jump.points[0], falls, jump.instr.offset, is_last=is_last)
        if mark is not None:
            opened.append(mark)

    def table(self, index: Expr, points: tuple[Point, ...], falls: Falls) -> None:
        """A `br_table`: a decision tree over runs of indices that go to the same point."""
        if self._look_up(index.text, points, falls):
            return
        variable = index.text
        targets = [resolve(point) for point in points]
        runs: list[tuple[int, Point]] = []  # the first index of each run, and where it goes
        for i, target in enumerate(targets):
            if not runs or runs[-1][1] is not target:
                runs.append((i, target))
        distinct = list(dict.fromkeys(targets))
        if len(runs) > len(distinct) + 3:
            # Better to decide between the points than between the runs.
            order = {point: i for i, point in enumerate(distinct)}
            *table, default = [str(order[target]) for target in targets]
            choice = f"({', '.join(table)})[{variable}] if {variable} < {len(table)}"
            variable = self.body.temp(32).text
            self.source.emit(f"{variable} = {choice} else {default}")
            runs = list(enumerate(distinct))
        self._decide(variable, runs, 0, len(runs), falls)

    def _look_up(self, index: str, points: tuple[Point, ...], falls: Falls) -> bool:
        """A `br_table` by a tuple, where all there is to do is to set a variable to a number."""
        ways: dict[Point, list[str]] = {}
        for point in points:
            if point not in ways:
                if point.types or resolve(point) is self.root_end:
                    return False
                ways[point] = self.leave(point, falls, prefer_falls=True)[0]
        firsts = {way[0].partition(" = ")[0] for way in ways.values() if way}
        rests = {tuple(way[1:]) for way in ways.values()}
        if len(ways) < 3 or len(rests) > 1 or len(firsts) > 1 or not all(ways.values()):
            return False
        values = [ways[point][0].partition(" = ")[2] for point in points]
        if not all(value.isdigit() for value in values):
            return False
        *table, default = values
        count = len(table)
        choice = (
            index if table == [str(i) for i in range(count)] else f"({', '.join(table)})[{index}]"
        )
        self.source.emit(f"{firsts.pop()} = {choice} if {index} < {count} else {default}")
        self.emit_all(rests.pop())
        return True

    def _decide(
        self, index: str, runs: list[tuple[int, Point]], low: int, high: int, falls: Falls
    ) -> None:
        if high - low == 1:
            self.emit_all(self.leave(runs[low][1], falls, prefer_falls=True)[0])
            return
        middle = (low + high) // 2
        mark = self.open(f"if {index} < {runs[middle][0]}:")
        self._decide(index, runs, low, middle, falls)
        self.close(mark)
        mark = self.open("else:")
        self._decide(index, runs, middle, high, falls)
        self.close(mark)

    def construct(
        self, node: Node, is_last: bool, end: Point, falls: Falls, opened: list[int]
    ) -> bool:
        """Write a construct.  True if control has been sent on to `end` as well."""
        self.body.sweep()
        self.flush_fuel()
        held = len(self.held)
        floor = self.body.floor
        if node.kind == "loop":
            done = self._loop(node, is_last, end, falls, opened)
        elif node.kind == "if":
            done = self._if(node, is_last, end, falls, opened)
        elif node.switch is not None:
            done = Switch(self, node).write(is_last, end, falls, opened)
        else:
            done = self._block(node, is_last, end, falls, opened)
        del self.held[held:]
        self.body.floor = floor
        return done

    def joins(self, node: Node, is_last: bool, end: Point) -> bool:
        """Whether reaching the end of `node` is the same as reaching `end`."""
        return is_last and len(node.end.types) == len(end.types)

    def _block(
        self, node: Node, is_last: bool, end: Point, falls: Falls, opened: list[int]
    ) -> bool:
        base = self.enter(node)
        self.body.floor = base
        wrap = self.wraps(node)
        joins = self.joins(node, is_last, end) and (end in falls or not wrap)
        if joins:
            node.end.join(end)
            target, inner = end, falls
        else:
            self.reserve(node.end, base)
            target, inner = node.end, {node.end: None}
        if wrap:
            loop = self.begin_loop(inner)
            if node.kind == "try_table":
                self._try(node, target)
            else:
                self.seq(node.items, target, {})
            opened += self.end_loop(loop, falls, done=joins)
        else:
            self.seq(node.items, target, inner)
        if joins:
            self.reachable = False
            return True
        self.arrive(node, node.end)
        self.reachable = node.reaches_end
        return False

    def _loop(self, node: Node, is_last: bool, end: Point, falls: Falls, opened: list[int]) -> bool:
        body = self.body
        base = self.enter(node)
        body.flush()
        self.reserve(node.label, base)
        self.emit_all(self.assignments(node.label))
        joins = self.joins(node, is_last, end) and end in falls
        if joins:
            node.end.join(end)
            target, after = end, falls
        else:
            self.reserve(node.end, base)
            target, after = node.end, {node.end: None}
        self.arrive(node, node.label)
        body.floor = base
        loop = self.begin_loop(after, node.label)
        self.checks(node.offset)
        self.seq(node.items, target, {node.label: None})
        opened += self.end_loop(loop, falls, done=joins)
        if joins:
            self.reachable = False
            return True
        self.arrive(node, node.end)
        self.reachable = node.falls
        return False

    # -- if -------------------------------------------------------------------------------------

    def _if(self, node: Node, is_last: bool, end: Point, falls: Falls, opened: list[int]) -> bool:
        body = self.body
        condition = body.pop()
        self.charge(1)
        self.flush_fuel()
        base = self.enter(node)
        true, false = condition.condition
        assert node.orelse is not None
        if node.falls != node.else_falls and not node.end.jumps:
            return self._lopsided_if(node, true, false, is_last, end, falls, opened)
        body.floor = base
        joins = self.joins(node, is_last, end)
        wrap = self.wraps(node)
        joins = joins and (end in falls or not wrap)
        if joins:
            node.end.join(end)
            target, inner = end, falls
        else:
            self.reserve(node.end, base)
            target, inner = node.end, {node.end: None}
        loop = None
        if wrap:
            loop = self.begin_loop(inner)
            inner = {}
        params = body.stack[base:]
        self.held.extend(params)
        facts = dict(body.facts)
        self._arms(node, true, false, params, base, facts, target, inner)
        if loop is not None:
            opened += self.end_loop(loop, falls, done=joins)
        if joins:
            self.reachable = False
            return True
        self.arrive(node, node.end)
        self.reachable = node.reaches_end
        return False

    def _arms(
        self,
        node: Node,
        true: str,
        false: str,
        params: list[Expr],
        base: int,
        facts: dict[int, tuple[int, int, int]],
        target: Point,
        falls: Falls,
    ) -> None:
        assert node.orelse is not None
        body = self.body
        start = len(self.source.lines)
        mark = self.open(f"if {true}:", node.offset)
        self.seq(node.items, target, falls)
        empty = len(self.source.lines) == mark
        if not empty:
            self.close(mark)
        body.stack[base:] = params
        body.facts = facts
        if empty:
            # Only the other arm does anything.
            del self.source.lines[start:], self.source.offsets[start:]
            self.source.depth -= 1
            mark = self.open(f"if {false}:", node.offset)
        else:
            else_start = len(self.source.lines)
            mark = self.open("else:")
        self.seq(node.orelse, target, falls)
        if len(self.source.lines) == mark and not empty:
            del self.source.lines[else_start:], self.source.offsets[else_start:]
            self.source.depth -= 1
        else:
            self.close(mark)

    def _lopsided_if(
        self,
        node: Node,
        true: str,
        false: str,
        is_last: bool,
        end: Point,
        falls: Falls,
        opened: list[int],
    ) -> bool:
        """An `if` of which one arm never ends: the other one is simply what comes next."""
        assert node.orelse is not None
        body = self.body
        condition = false if node.falls else true
        leaving, staying = node.items, node.orelse
        first, last = node.first, node.middle
        if node.falls:
            leaving, staying = staying, leaving
            first, last = node.middle, node.last
        base = len(body.stack) - len(node.type.params)
        params = body.stack[base:]
        held = len(self.held)
        self.held.extend(params)
        facts = dict(body.facts)
        # Branches that work by falling need the rest of the suite out of their way.
        sinks = any(
            point.reached_from(first, last) and self.exit_loop(point) is None for point in falls
        )
        mark = self.open(f"if {condition}:", node.offset)
        floor = body.floor
        body.floor = base
        self.seq(leaving, node.end, falls if sinks else {})
        body.floor = floor
        self.close(mark)
        body.stack[base:] = params
        body.facts = facts
        del self.held[held:]
        if sinks:
            opened.append(self.open("else:"))
        self.reachable = True
        return self.items(staying, is_last, end, falls, opened)

    # -- exceptions -----------------------------------------------------------------------------

    def _try(self, node: Node, end: Point) -> None:
        """A `try_table`, which is always wrapped: handlers store what they caught and leave."""
        body = self.body
        thrown = body.names.named("Thrown", ThrownException)
        caught = body.temp()
        self.held.append(caught)
        mark = self.open("try:")
        self.seq(node.items, end, {})
        self.close(mark)
        mark = self.open(f"except {thrown} as E:")
        self.source.emit(f"{caught.text} = E.exn")
        for catch, label in node.catches:
            if catch.tag is None:
                clause = self.open("if True:")
            else:
                clause = self.open(f"if {caught.text}.tag is {body.tag(catch.tag)}:")
            point = resolve(label)
            count = len(point.types) - catch.ref
            values = [f"{caught.text}.fields[{i}]" for i in range(count)]
            if catch.ref:
                values.append(caught.text)
            if point is self.root_end:
                joined = ", ".join(values)
                self.source.emit(f"return ({joined})" if len(values) > 1 else f"return {joined}")
            else:
                for slot, value in zip(point.slots, values, strict=True):
                    self.source.emit(f"{slot.text} = {value}")
                self.emit_all(self._depart(point))
            self.close(clause)
        self.source.emit("raise")
        self.close(mark)

    # -- what needs wrapping --------------------------------------------------------------------

    def wraps(self, node: Node) -> bool:
        """Whether a construct needs a loop around it for its branches to break out of."""
        found = self._wrapped.get(node)
        if found is None:
            point = node.end
            if node.kind == "try_table":
                found = True
            elif not point.jumps:
                found = False
            elif len(point.jumps) > self.MAX_NESTED_JUMPS:
                found = True
            else:
                found = not self.nests(node.items, point, point, True, False)
                if node.orelse:
                    found = found or not self.nests(node.orelse, point, point, True, False)
            self._wrapped[node] = found
        return found

    def nests(self, items: list[Item], point: Point, end: Point, is_tail: bool, more: bool) -> bool:
        """Whether every branch to `point` in `items` can work by falling.

        `is_tail` says that the end of the suite leads to `point`, `more` that something follows
        `items` in it.
        """
        count = len(items)
        for i, item in enumerate(items):
            if isinstance(item, Instr):
                continue
            if isinstance(item, Jump):
                if not is_tail and any(resolve(label) is point for label in item.points):
                    return False
                continue
            if not point.reached_from(item.first, item.last):
                continue
            if item.kind in ("loop", "try_table") or item.switch is not None or self.wraps(item):
                if not is_tail:
                    return False
                continue
            is_last = i == count - 1 and not more
            inside = is_tail and self.joins(item, is_last, end)
            if item.kind == "if" and item.falls != item.else_falls and not item.end.jumps:
                assert item.orelse is not None
                leaving, staying = item.items, item.orelse
                if item.falls:
                    leaving, staying = staying, leaving
                if not self.nests(leaving, point, item.end, is_tail, False):
                    return False
                if not self.nests(staying, point, end, is_tail, not is_last):
                    return False
                continue
            for arm in (item.items, item.orelse or []):
                if not self.nests(arm, point, item.end, inside, False):
                    return False
        return True
