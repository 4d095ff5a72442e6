"""Function bodies as trees of structured control.

Bytes in, one `Function` out: its instructions in nested lists, branch depths resolved to the
points in the program that they go to, and, gathered on the way, what the code generator wants to
know before it starts.  Dead code is dropped, and blocks that nothing branches to are dissolved
into their surroundings.  Nothing here recurses: nesting may be as deep as it likes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple, Union

from asyncwasm.core.binary.immediates import Catch, MemArg, read_instruction, read_val_type
from asyncwasm.core.binary.leb128 import read_u32
from asyncwasm.core.isa.table import BY_OPCODE
from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import FuncType, ValType

from .expr import Expr
from .registry import BRANCHINGS, Instr

# With more locals than this, a construct counts as assigning all of them: the bit sets of
# deeply nested constructs would otherwise take too much memory.
_MANY_LOCALS: Final = 2000

_STRUCTURES: Final = frozenset("block loop if try_table".split())
_TAIL_CALLS: Final = frozenset("return_call return_call_indirect return_call_ref".split())
_CALLS: Final = _TAIL_CALLS | frozenset("call call_indirect call_ref".split())
TERMINATORS: Final = _TAIL_CALLS | frozenset(
    "unreachable br br_table return throw throw_ref".split()
)
_JUMPS: Final = frozenset("br br_if br_table return".split())

# How instructions of one byte are read when they are common and have short immediates: none, an
# index, a small signed number, or a memory argument.
_BARE: Final = 1
_INDEX: Final = 2
_CONSTANT: Final = 3
_MEMORY: Final = 4
_ROWS: Final = [BY_OPCODE.get(code, BY_OPCODE[1]) for code in range(256)]
_FORMS: Final = bytearray(256)
for _row in _ROWS:
    if _row.immediates == () and _row.family in ("numeric", "parametric"):
        _FORMS[_row.opcode] = _BARE
    elif _row.family == "variable":
        _FORMS[_row.opcode] = _INDEX
    elif _row.name in ("i32.const", "i64.const"):
        _FORMS[_row.opcode] = _CONSTANT
    elif _row.immediates == ("memarg",):
        _FORMS[_row.opcode] = _MEMORY


class Point:
    """A place in the program that control can be sent to.

    `jumps` are the positions of the branches that go there, in order; `types` what the operand
    stack receives; `base` is how high the stack is beneath that and `slots` the temporaries
    that hold the values (both set by the generator on entry to the construct).  `alias` is set
    where going here is the same as going there.  `code` is the number by which generated code
    calls the point, when it has to.
    """

    __slots__ = ("alias", "base", "code", "jumps", "slots", "types")

    def __init__(self, types: tuple[ValType, ...]) -> None:
        self.types = types
        self.jumps: list[int] = []
        self.base = 0
        self.slots: tuple[Expr, ...] = ()
        self.alias: Point | None = None
        self.code = 0

    def join(self, other: Point) -> None:
        """Make coming here the same as coming to `other`."""
        self.alias = other
        if self.jumps:
            other.jumps = sorted(other.jumps + self.jumps)

    def reached_from(self, first: int, last: int) -> bool:
        """Whether a branch at a position in `first … last` goes here."""
        i = bisect_left(self.jumps, first)
        return i < len(self.jumps) and self.jumps[i] <= last


def resolve(point: Point) -> Point:
    """Where going to `point` leads."""
    while point.alias is not None:
        point = point.alias
    return point


class Node:
    """A structured construct: `func`, `block`, `loop`, `if` or `try_table`.

    `label` is where branches to it go and `end` what follows it (one point unless it is a
    loop).  `items` is its body, `orelse` the other arm of an `if`; `falls` and `else_falls`
    say whether control can reach their ends.  `first` and `last` are the positions it spans
    and `middle` that of its `else`, `assigned` the set of locals that it assigns, `catches` the
    handlers of a `try_table`.  `loops` and `indents` bound from above how deeply the Python for
    it nests.  `switch` is the `br_table` for whose sake the block and those directly inside it
    were put around the code, if so.
    """

    __slots__ = (
        "assigned",
        "catches",
        "else_falls",
        "end",
        "falls",
        "first",
        "indents",
        "items",
        "kind",
        "label",
        "last",
        "loops",
        "middle",
        "offset",
        "orelse",
        "parent",
        "switch",
        "type",
    )

    def __init__(
        self, kind: str, type: FuncType, offset: int, first: int, parent: Node | None
    ) -> None:
        self.kind = kind
        self.type = type
        self.offset = offset
        self.first = self.middle = self.last = first
        self.parent = parent
        self.end = Point(type.results)
        self.label = Point(type.params) if kind == "loop" else self.end
        self.items: list[Item] = []
        self.orelse: list[Item] | None = None
        self.falls = True
        self.else_falls = True
        self.assigned = 0
        self.catches: tuple[tuple[Catch, Point], ...] = ()
        self.loops = 0
        self.indents = 0
        self.switch: Jump | None = None

    @property
    def reaches_end(self) -> bool:
        """Whether control can reach what follows the construct."""
        if self.falls or bool(self.end.jumps):
            return True
        return self.kind == "if" and self.else_falls


class Jump(NamedTuple):
    """A branch: the instruction, where it may go (a `br_table`'s default last), its position."""

    instr: Instr
    points: tuple[Point, ...]
    position: int


Item = Union[Instr, Jump, Node]


class Function(NamedTuple):
    """A parsed function.

    `locals` are the types of all locals, parameters first, and `used` those that occur.
    """

    type: FuncType
    root: Node
    locals: Sequence[ValType]
    used: set[int]
    has_calls: bool
    has_tail_calls: bool


def parse(info: ModuleInfo, index: int) -> Function:
    """Parse the body of function `index`, which must be valid."""
    span = info.bodies[index - info.imported_funcs]
    ty = info.funcs[index].func
    data, types = info.data, info.types
    locals_: list[ValType] = list(ty.params)
    groups, pos = read_u32(data, span.start)
    for _ in range(groups):
        count, pos = read_u32(data, pos)
        local, pos = read_val_type(data, pos, types)
        locals_.extend([local] * count)

    many = len(locals_) > _MANY_LOCALS
    root = node = Node("func", FuncType((), ty.results), pos, 0, None)
    items = node.items
    scope = [root.label]
    used: set[int] = set()
    position = 0
    has_calls = has_tail_calls = False
    dead = 0  # how many constructs deep we are in dead code, the live one around it included
    while True:
        offset = pos
        code = data[pos]
        form = _FORMS[code]
        if form and not dead:
            # The bulk of all code; what it cannot take is left to the general reader below.
            first = data[pos + 1]
            if form == _BARE:
                items.append(Instr(_ROWS[code], (), pos))
                pos += 1
                position += 1
                continue
            if form == _MEMORY:
                second = data[pos + 2]
                if first < 0x40 and second < 0x80:
                    items.append(Instr(_ROWS[code], (MemArg(first, 0, second),), pos))
                    pos += 3
                    position += 1
                    continue
            elif first < 0x80:
                if form == _CONSTANT:
                    first = (first ^ 0x40) - 0x40
                elif code <= 0x22:
                    used.add(first)
                    if code != 0x20:
                        node.assigned |= -1 if many else 1 << first
                items.append(Instr(_ROWS[code], (first,), pos))
                pos += 2
                position += 1
                continue
        row, immediates, pos = read_instruction(data, pos, types)
        name = row.name
        position += 1
        if dead:
            if name in _STRUCTURES:
                dead += 1
                continue
            if name == "end" and dead > 1:
                dead -= 1
                continue
            if dead > 1 or name not in ("end", "else"):
                continue
        if name in _STRUCTURES:
            node = Node(name, immediates[0], offset, position, node)
            if name == "try_table":
                node.catches = tuple((c, scope[-1 - c.label]) for c in immediates[1])
                _note(position, [point for _, point in node.catches])
            items = node.items
            scope.append(node.label)
        elif name == "else":
            node.falls = not dead
            node.middle = position
            node.orelse = items = []
            dead = 0
        elif name == "end":
            _close(node, position, falls=not dead)
            dead = 0
            inner = node
            if inner.parent is None:
                return Function(ty, root, locals_, used, has_calls, has_tail_calls)
            scope.pop()
            node = inner.parent
            items = _append(node, inner)
            if not inner.reaches_end:
                dead = 1
        elif name in _JUMPS or name in BRANCHINGS:
            if name == "br_table":
                table = immediates[0]
                points = tuple([scope[-1 - d] for d in (*table.labels, table.default)])
            elif name == "return":
                points = (root.end,)
            else:
                first = immediates[0]
                points = (scope[-1 - (first if isinstance(first, int) else first.label)],)
            _note(position, points)
            jump = Jump(Instr(row, immediates, offset), points, position)
            items.append(jump)
            if name in TERMINATORS:
                dead = 1
                if name == "br_table":
                    _mark_switch(node, jump)
        elif name != "nop":
            items.append(Instr(row, immediates, offset))
            if name == "local.get":
                used.add(immediates[0])
            elif name in ("local.set", "local.tee"):
                used.add(immediates[0])
                node.assigned |= -1 if many else 1 << immediates[0]
            elif name in _CALLS:
                has_calls = True
                has_tail_calls |= name in _TAIL_CALLS
            if name in TERMINATORS:
                dead = 1


def _note(position: int, points: Sequence[Point]) -> None:
    for point in dict.fromkeys(points):
        point.jumps.append(position)


def _mark_switch(node: Node, jump: Jump) -> None:
    """Note `jump` on the outermost of the blocks directly around it that it goes to."""
    targets = set(jump.points)
    outermost = None
    current: Node | None = node
    # Most of the blocks are targets; the bound keeps hostile nests from costing too much.
    for _ in range(2 * len(targets) + 16):
        if current is None or current.kind != "block" or current.switch is not None:
            break
        if current.label in targets:
            outermost = current
        current = current.parent
    if outermost is not None and outermost is not node:
        outermost.switch = jump


def _append(parent: Node, node: Node) -> list[Item]:
    """Add a finished construct to its parent; the result is the list being filled."""
    parent.assigned |= node.assigned
    parent.loops = max(parent.loops, node.loops)
    parent.indents = max(parent.indents, node.indents)
    items = parent.items if parent.orelse is None else parent.orelse
    if node.label.jumps or node.kind not in ("block", "loop"):
        items.append(node)
    elif items:
        items.extend(node.items)
    elif parent.orelse is None:
        items = parent.items = node.items
    else:
        items = parent.orelse = node.items
    return items


def _close(node: Node, position: int, *, falls: bool) -> None:
    node.last = position
    if node.kind == "if":
        if node.orelse is None:
            node.falls = falls
            node.middle = position
            node.orelse = []
        else:
            node.else_falls = falls
        node.indents += 1
    else:
        node.falls = falls
    if node.switch is not None and len(switch_chain(node)) == 1:
        # The blocks inside turned out to be of no consequence.
        node.switch = None
    if node.switch is not None:
        _bound_switch(node)
    elif node.label.jumps:
        node.loops += 1
        node.indents += 2 + min(len(node.label.jumps), 8)
    if node.kind == "try_table":
        node.loops += 2
        node.indents += 3


def switch_chain(node: Node) -> list[Node]:
    """The nested blocks, outermost first, from `node` to the one that its `switch` ends."""
    assert node.switch is not None
    position = node.switch.position
    chain = [node]
    while True:
        for item in chain[-1].items:
            if isinstance(item, Node) and item.first <= position <= item.last:
                chain.append(item)
                break
        else:
            return chain


def _bound_switch(node: Node) -> None:
    # The blocks of a switch do not nest in the Python for it: they become cases side by side.
    chain = switch_chain(node)
    inside = set(chain)
    loops = indents = 0
    for block in chain:
        for item in block.items:
            if isinstance(item, Node) and item not in inside:
                loops = max(loops, item.loops)
                indents = max(indents, item.indents)
    node.loops = loops + 2
    node.indents = indents + 8 + 2 * len(chain).bit_length()
