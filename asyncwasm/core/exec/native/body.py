"""Function bodies as LLVM IR: blocks and branches, and the whole.

Locals and the values that blocks pass are stack slots; LLVM turns them into registers.
Code that cannot be reached is skipped, so lowerings never see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.binary.immediates import BrTable, read_instruction, read_val_type
from asyncwasm.core.binary.leb128 import read_u32
from asyncwasm.core.types import DefType, FuncType
from asyncwasm.errors import TrapCode

from .abi import CONVENTION, TAIL_CONVENTION, Helper, Items, Word, context_words, place
from .bounds import Bounds
from .emit import ZEROS, helper_call, ir_type
from .exits import CTX, TRAPS, Exits, NotCoveredError, Way
from .fuel import FUEL, FuelMeter
from .gil import BOUND, REGAIN, loosen
from .known import Then
from .operands import Slots
from .passing import loads, parameters
from .refs import REF
from .ticker import COUNTER
from .turns import SHORT, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncwasm.core.module import ModuleInfo
    from asyncwasm.core.runtime.config import Config

    Lowering = Callable[["Body", tuple[Any, ...]], None]

# Values of a function without calls up to which its frame is surely small.
_SMALL_FRAME: Final = 512
# Values from which a function's frame may be too large to rely on the stack's reserve, and the
# most that is asked to be free for it; functions of more values are interpreted.
LARGE: Final = 4_000
LARGEST: Final = 100_000
# The most calls, or else traps, of a function that is compiled: LLVM takes time by their square.
# Of the functions of CPython and SQLite none has more than half as many.
MOST_WAYS: Final = 8_000
_LARGEST_NEED: Final = 256 * 1024
MEM: Final = "!tbaa !3"
_OVERFLOW: Final = TRAPS.index((TrapCode.STACK_OVERFLOW, None))


@dataclass(slots=True)
class Label:
    """An open block: where branches to it go, and the slots of the values that they bring."""

    target: str
    slots: Slots
    height: int
    end: str
    results: Slots
    otherwise: str | None = None
    params: Slots = field(default_factory=list)
    on_end: Callable[[], None] | None = None
    # What was known where it was opened.
    then: Then | None = None
    head: str = ""


def _readable(size: int) -> str:
    return f", !dereferenceable !{{i64 {size}}}" if size else ""


class Body(Exits):
    """The translation of one function."""

    # What a check calls, and whether there are checks for the sake of time; code that is to be
    # replaced by faster code sets both, because it shows there what takes time; see `loops`.
    poll = "preserve_mostcc i32 @poll(ptr %ctx)"
    watched = False
    # Whether what never changes is read at the entry, and not where it is needed: in code that is
    # not optimised, which is made faster the shorter it is.
    hoists = False

    def __init__(self, info: ModuleInfo, index: int, config: Config) -> None:
        super().__init__(info, index, config)
        self.text = ""
        self.labels: list[Label] = []
        self.callees: set[int] = set()
        self.tail_callees: set[int] = set()
        # Stubs that the unit is to have: their names without the type, and the type.
        self.stubs: set[tuple[str, DefType]] = set()
        self.loops = False
        self._hoisted: Final[dict[str, str]] = {}
        # Whether it works on Python objects, for which it must have the GIL; see `gil`.
        self.bound = not config.release_gil
        # Whether nothing took long, whatever it works on, since the innermost loop began.
        self.only_short = False
        self.fuel: Final = FuelMeter(self)
        self.bounds: Final = Bounds(self)

    # State -----------------------------------------------------------------------------------

    def word(self, word: Word, size: int = 0) -> str:
        """A word of the context, as a pointer.  They never change while the instance lives.

        `size` is how many bytes can be read there at any time, for LLVM to read them early.
        """
        at = self.constant(f"getelementptr ptr, ptr %ctx, i64 {int(word)}")
        return self.constant(f"load ptr, ptr {at}, !invariant.load !4, {CTX}{_readable(size)}")

    def item(self, word: Word, index: int, size: int = 0) -> str:
        """An item of one of the context's lists, as a pointer; these never change either."""
        at = self.constant(f"getelementptr ptr, ptr {self.word(word, 8 * index + 8)}, i64 {index}")
        return self.constant(f"load ptr, ptr {at}, !invariant.load !4, {CTX}{_readable(size)}")

    def own(self, items: Items, index: int, size: int = 0) -> str:
        """What the context has a word for, as a pointer; they never change, either."""
        at = self.constant(f"getelementptr ptr, ptr %ctx, i64 {place(self.info, items, index)}")
        return self.constant(f"load ptr, ptr {at}, !invariant.load !4, {CTX}{_readable(size)}")

    def constant(self, text: str) -> str:
        """The result of an instruction, which is the same wherever in the function it stands."""
        if not self.hoists:
            return self.out.op(text)
        name = self._hoisted.get(text)
        if name is None:
            name = self._hoisted[text] = f"%{self.out.fresh('h')}"
            self.out.allocas.append(f"  {name} = {text}")
        return name

    def helper(self, helper: Helper, *operands: str) -> str:
        """Call a Python helper with i64 operands; its result as an i64.  Leaves if it raises."""
        at = self.item(Word.HELPERS, int(helper))
        self.calls = True
        result = self.out.op(helper_call(at, *operands))
        status = self.out.op(f"extractvalue {{ i32, i64 }} {result}, 0")
        self.unwind_if(self.out.op(f"icmp ne i32 {status}, 0"))
        return self.out.op(f"extractvalue {{ i32, i64 }} {result}, 1")

    def regain(self) -> None:
        """Make sure of the GIL where it may have been released; see `gil`."""
        if self.config.release_gil:
            self.out.do(REGAIN)

    def check_interrupt(self) -> bool:
        """Call the poll helper if the store asks for it, or has no fuel left.

        Whether there is anything to check.
        """
        out = self.out
        due = ""
        if self.config.checks_interrupts or self.watched:
            now = out.op(f"load atomic i64, ptr {COUNTER} monotonic, align 8")
            seen = out.op(f"load i64, ptr {self.word(Word.INTERRUPT, 8)}, {CTX}")
            due = out.op(f"icmp ne i64 {now}, {seen}")
        if self.config.consume_fuel:
            left = out.op(f"load i64, ptr {self.word(Word.FUEL, 8)}, {FUEL}")
            used = out.op(f"icmp sle i64 {left}, 0")
            due = out.op(f"or i1 {due}, {used}") if due else used
        if not due:
            return False
        poll, after = out.fresh("poll"), out.fresh("go")
        out.branch(due, poll, after, unlikely=True)
        out.label(poll, always_after=True)
        status = out.op(f"call {self.poll}")
        self.unwind_if(out.op(f"icmp ne i32 {status}, 0"))
        self.polled(after)
        out.jump(after)
        out.label(after, always_after=True)
        return True

    def polled(self, after: str) -> None:
        """What else to do after a check that called something, before going on at `after`."""

    def check_loop(self) -> bool:
        """`check_interrupt` at the head of the innermost loop."""
        return self.check_interrupt()

    # Blocks ----------------------------------------------------------------------------------

    def open_block(self, ty: FuncType) -> None:
        self.settle()
        results = self.slots(ty.results)
        end = self.out.fresh("end")
        self.labels.append(Label(end, results, len(self.stack) - len(ty.params), end, results))
        self.labels[-1].then = self._now()

    def open_loop(self, ty: FuncType) -> None:
        self.loops = True
        self.settle()
        params = self.slots(ty.params)
        self.fill(params)
        head, again, end = (self.out.fresh(name) for name in ("loop", "again", "end"))
        results = self.slots(ty.results)
        self.labels.append(Label(again, params, len(self.stack), end, results, head=head))
        then = self.labels[-1].then = self._now()
        self.labels[-1].on_end = Loop(self, again, head).begin()
        if then is not None:
            # What the loop sets is not known yet.
            self.known.recall(then, locals=False)
        self.load(params)

    def open_if(self, ty: FuncType) -> None:
        condition = self.pop_condition()
        self.settle()
        params = self.slots(ty.params)
        self.fill(params)
        results = self.slots(ty.results)
        then, other, end = (self.out.fresh(name) for name in ("then", "else", "end"))
        self.labels.append(Label(end, results, len(self.stack), end, results, other, params))
        self.labels[-1].then = self._now()
        self.out.branch(condition, then, other)
        self.out.label(then, always_after=True)
        self.load(params)

    def open_else(self) -> None:
        label = self.labels[-1]
        self.leave_block(label)
        assert label.otherwise is not None
        self._meet(label.otherwise, label)
        label.otherwise = None
        self.load(label.params)

    def close(self) -> None:
        label = self.labels[-1]
        self.leave_block(label)
        if label.otherwise is not None:
            # An `if` without `else`: its parameters are its results.
            self._meet(label.otherwise, label)
            self.load(label.params)
            self.leave_block(label)
        self.labels.pop()
        if label.on_end is not None:
            label.on_end()
        self._meet(label.end, label)
        self.load(label.results)

    def _now(self) -> Then | None:
        # LLVM knows better where it optimises.
        return self.known.now() if self.hoists else None

    def _meet(self, name: str, label: Label) -> None:
        """Start a block to which only what is in an open block leads."""
        self.out.label(name)
        if label.then is not None:
            self.known.recall(label.then)

    def leave_block(self, label: Label) -> None:
        """Fall through to the end of the innermost block."""
        if self.out.block is not None:
            self.fill(label.results)
            self.out.jump(label.end)
        del self.stack[label.height :]

    def branch_target(self, depth: int) -> Label:
        return self.labels[-1 - depth]

    def br(self, depth: int) -> None:
        self._leave_for(self.branch_target(depth))

    def _leave_for(self, label: Label) -> None:
        """Go to a label with the topmost values; the stack is left as it is."""
        self.store(label.slots)
        for operand in self.stack[label.height : len(self.stack) - len(label.slots)]:
            self.give_up(operand)
        self.out.jump(label.target)

    def _plain(self, label: Label) -> bool:
        """Whether nothing needs to be done on the way to a label."""
        dropped = self.stack[label.height : len(self.stack) - len(label.slots)]
        return not label.slots and not any(isinstance(each.owner, str) for each in dropped)

    def br_if(self, depth: int) -> None:
        self.branch_if(self.pop_condition(), depth)

    def branch_if(self, condition: str, depth: int) -> None:
        """Branch if the i1 `condition` holds; the values that go along stay on the stack."""
        label = self.branch_target(depth)
        after = self.out.fresh("next")
        if self._plain(label):
            self.out.branch(condition, label.target, after)
        else:
            taken = self.out.fresh("taken")
            self.out.branch(condition, taken, after)
            self.out.label(taken, always_after=True)
            self._leave_for(label)
        self.out.label(after, always_after=True)

    def br_table(self, table: BrTable) -> None:
        index = self.pop()
        ways = {depth: self.branch_target(depth).target for depth in {*table.labels, table.default}}
        edges = []
        for depth in ways:
            label = self.branch_target(depth)
            if not self._plain(label):
                ways[depth] = self.out.fresh("way")
                edges.append((ways[depth], label))
        cases = " ".join(
            f"i32 {number}, label %{ways[depth]}" for number, depth in enumerate(table.labels)
        )
        self.out.end(f"switch i32 {index}, label %{ways[table.default]} [ {cases} ]")
        for way, label in edges:
            self.out.label(way)
            self._leave_for(label)

    def ret(self) -> None:
        """Return the topmost values."""
        if any(ty == REF for ty, _ in self.locals):
            # There is one place that releases them.
            self._leave_for(self.labels[0])
            return
        values = self.pop_taken(self.ty.results)
        self.leave_all()
        self.give_back(values)

    # The whole -------------------------------------------------------------------------------

    def translate(self, lowerings: Mapping[str, Lowering]) -> None:
        """Make `text`, the function's definition.  Raises `NotCoveredError`."""
        info, index = self.info, self.index
        data = info.data
        span = info.bodies[index - info.imported_funcs]
        names = [f"%p{number}" for number in range(len(self.ty.params))]
        self.add_params(names)
        pos = self._read_locals(data, span.start)
        self.offset = span.start
        self.regain()
        self.started()
        results = self.slots(self.ty.results)
        self.labels.append(Label("return", results, 0, "return", results))
        skip = 0
        while pos < span.end:
            self.offset = pos
            row, immediates, pos = read_instruction(data, pos, info.types)
            name = row.name
            if self.out.block is None:
                # Unreachable until the block that is open now ends or takes its other arm.
                if name in ("block", "loop", "if", "try_table"):
                    skip += 1
                    continue
                if skip:
                    skip -= name == "end"
                    continue
                if name not in ("else", "end"):
                    continue
            else:
                self.fuel.charge(row)
                self.bound |= row.family in BOUND
            self.only_short &= name in SHORT
            lower = lowerings.get(name)
            if lower is None:
                raise NotCoveredError(f"`{name}`")
            lower(self, immediates)
        values = self.pop_taken(self.ty.results)
        self.release_locals()
        self.give_back(values)
        text = self._define(names)
        self.text = text if self.bound else loosen(text)

    def add_params(self, names: list[str]) -> None:
        """Add the locals that are parameters, of these names."""
        for ty, name in zip(self.ty.params, names, strict=True):
            self.add_local(ty, name)

    def started(self) -> None:
        """All locals have their first values, and the code begins."""

    def _check_entry(self) -> None:
        """At the entry, trap if the stack has grown past the store's limit, and poll.

        Functions that call nothing end soon or have a loop, and their frames are small.  The
        stack pointer is below the function's own frame, so large frames count too.
        """
        config = self.config
        stack = self.calls or self.out.count > _SMALL_FRAME
        timed = config.checks_interrupts or self.watched
        due = config.epoch_interruption or (timed and self.calls)
        poll = due or config.consume_fuel
        start = self.info.bodies[self.index - self.info.imported_funcs].start
        lines: list[str] = []
        if stack:
            self.offset = start
            self.traps.append(("entry", self.site(_OVERFLOW)))
            lines += [
                f"  %entry.words = load ptr, ptr %ctx, !invariant.load !4, {CTX}",
                f"  %entry.limit = load i64, ptr %entry.words, {CTX}",
                "  %entry.frame = call ptr @llvm.stacksave.p0() memory(none)",
                "  %entry.here = ptrtoint ptr %entry.frame to i64",
                "  %entry.deep = icmp ult i64 %entry.here, %entry.limit",
                "  br i1 %entry.deep, label %trap, label %entry.fits, !prof !0",
                "entry.fits:",
            ]
        if poll:
            self.ways.append(Way("entry.poll", str(start), "1"))
            conditions = []
            if due:
                conditions.append("%entry.due")
                lines += [
                    f"  %entry.now = load atomic i64, ptr {COUNTER} monotonic, align 8",
                    f"  %entry.at = getelementptr ptr, ptr %ctx, i64 {int(Word.INTERRUPT)}",
                    f"  %entry.word = load ptr, ptr %entry.at, !invariant.load !4, {CTX}",
                    f"  %entry.seen = load i64, ptr %entry.word, {CTX}",
                    "  %entry.due = icmp ne i64 %entry.now, %entry.seen",
                ]
            if config.consume_fuel:
                conditions.append("%entry.dry")
                lines += [
                    f"  %entry.fuel = getelementptr ptr, ptr %ctx, i64 {int(Word.FUEL)}",
                    f"  %entry.cell = load ptr, ptr %entry.fuel, !invariant.load !4, {CTX}",
                    f"  %entry.left = load i64, ptr %entry.cell, {FUEL}",
                    "  %entry.dry = icmp sle i64 %entry.left, 0",
                ]
            lines += [
                f"  %entry.both = or i1 {conditions[0]}, {conditions[-1]}",
                "  br i1 %entry.both, label %entry.poll, label %start, !prof !0",
                "entry.poll:",
                f"  %entry.status = call {self.poll}",
                "  %entry.failed = icmp ne i32 %entry.status, 0",
                "  br i1 %entry.failed, label %unwind, label %start, !prof !0",
            ]
        else:
            lines.append("  br label %start")
        self.out.prologue = lines

    def _read_locals(self, data: bytes, pos: int) -> int:
        groups, pos = read_u32(data, pos)
        for _ in range(groups):
            count, pos = read_u32(data, pos)
            ty, pos = read_val_type(data, pos, self.info.types)
            for _ in range(count):
                self.add_local(ty, None)
        return pos

    def _define(self, names: list[str]) -> str:
        """The text of the definition: checks at the entry, the body, and the ways out."""
        params = ["ptr %ctx"]
        params += [f"{ir_type(t)} {n}" for t, n in zip(self.ty.params, names, strict=True)]
        out = self.out
        self._check_entry()
        failed = "i32 1" + "".join(f", {ir_type(t)} {ZEROS[ir_type(t)]}" for t in self.ty.results)
        tail = self.last_blocks()
        symbol = f"f{self.index}"
        name = f'@n{self.index} = private constant [{len(symbol) + 1} x i8] c"{symbol}\\00"'
        params[0] = f"ptr dereferenceable({8 * context_words(self.info)}) %ctx"
        listed = ", ".join(params)
        if self.tails:
            symbol = f"t{self.index}"
            listed = f"{params[0]}{parameters(self.ty)}"
            out.allocas[:0] = loads(self.ty)
        convention = TAIL_CONVENTION if self.tails else CONVENTION
        head = f"define dso_local {convention} {self.returns} @{symbol}({listed}) {{"
        if out.count > LARGE:
            guard = self._guard(head, listed, failed)
            symbol = f"b{self.index}"
            head = f"define internal {convention} {self.returns} @{symbol}({listed}) noinline {{"
            return "\n".join([name, *guard, head, out.text(), *tail, "}"])
        return "\n".join([name, head, out.text(), *tail, "}"])

    def _guard(self, head: str, params: str, failed: str) -> list[str]:
        """What stands before a function whose frame may be larger than what the stack's limit
        leaves: it could write there before it looks at the limit itself.
        """
        start = self.info.bodies[self.index - self.info.imported_funcs].start
        call = f"musttail call {TAIL_CONVENTION}" if self.tails else f"call {CONVENTION}"
        return [
            head,
            "entry:",
            *(loads(self.ty) if self.tails else ()),
            f"  %cell = load ptr, ptr %ctx, {CTX}",
            f"  %limit = load i64, ptr %cell, {CTX}",
            f"  %least = add i64 %limit, {min(8 * self.out.count, _LARGEST_NEED)}",
            "  %frame = call ptr @llvm.stacksave.p0() memory(none)",
            "  %here = ptrtoint ptr %frame to i64",
            "  %deep = icmp ult i64 %here, %least",
            "  br i1 %deep, label %trap, label %fits, !prof !0",
            "fits:",
            f"  %result = {call} {self.returns} @b{self.index}({params})",
            f"  ret {self.returns} %result",
            "trap:",
            f"  call void @raise_trap(ptr %ctx, i64 {_OVERFLOW})",
            f"  call void @passed(ptr %ctx, ptr @n{self.index}, i32 {start}, i32 1)",
            *[
                f"  call void @release(ptr %p{number})"
                for number, ty in enumerate(self.ty.params)
                if ir_type(ty) == REF
            ],
            f"  ret {self.returns} {{ {failed} }}",
            "}",
        ]
