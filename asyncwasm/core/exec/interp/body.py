"""The function being translated: its symbolic operand stack and the statements emitted so far.

Lowerings work on a `Body`.  The operand stack holds expressions that have not been evaluated
yet; the rules that keep the order of evaluation WebAssembly's are kept here:

* an expression that reads a variable is evaluated before that variable is assigned;
* before a statement with a side effect, everything pending that can trap or reads state is
  evaluated into temporaries, bottom of the stack first;
* before control may leave the straight line, everything pending that can trap is evaluated.

Pure expressions move freely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import DefType

from .expr import MARK, MARK_END, MASKS, MAX_DEPTH, READS, TRAPS, Expr, canonical, merge
from .names import Constants, Names
from .registry import Instr
from .source import Source

# Entries further down the stack than this hold nothing pending, so that looking for what a
# statement invalidates takes bounded time.
WINDOW: Final = 64
# What is known about locals is copied where control splits, so it is kept small.
_MAX_FACTS: Final = 32


class Options(NamedTuple):
    """What of an engine's configuration shows in generated code."""

    consume_fuel: bool
    checks_interrupts: bool
    checks_entries: bool


class Body:
    """One function under translation; see the module's docstring.

    Public attributes: `info` and `types` of the module, `names`, `source`.
    """

    def __init__(
        self, info: ModuleInfo, constants: Constants, options: Options, widths: Sequence[int]
    ) -> None:
        self.info = info
        self.types: Sequence[DefType] = info.types
        self.options = options
        self.widths = widths  # of the locals: 32, 64, or 0 for what is not an integer
        self.names = Names(constants)
        self.source = Source()
        self.stack: list[Expr] = []
        # What is known about integer locals: (lo, hi, zeros).
        self.facts: dict[int, tuple[int, int, int]] = {}
        # The temporary that the last statement assigned, if that can still be changed: its name
        # and the range of the statement's lines.
        self._latest = ("", 0, 0)
        # Temporaries that may hold something needed, as a bit set; swept by `sweep`.
        self._busy = 0
        self._sweep_at = 8
        # Entries below this belong to constructs around the current one and are not touched.
        self.floor = 0
        # Whether what can trap is evaluated at once, so that fuel is exact when it does.
        self._eager: bool = options.consume_fuel
        # Set by `Control`: the temporaries that constructs hold, and what is to be emitted
        # before a statement with effects.
        self.held: Callable[[], int] = lambda: 0
        self.before_effect: Callable[[], None] = lambda: None

    # -- names ------------------------------------------------------------------------------

    def helper(self, function: Callable[..., Any]) -> str:
        """The name by which generated code calls `function`, a helper of ours."""
        return self.names.helper(function)

    def constant(self, value: object) -> str:
        """The name of an object that is the same in all instances, such as a type."""
        return self.names.constant(value)

    def memory(self, index: int) -> str:
        """The name of the `Memory`."""
        return self.names.indexed("memory", "m", index)

    def table(self, index: int) -> str:
        """The name of the `Table`."""
        return self.names.indexed("table", "w", index)

    def elements(self, index: int) -> str:
        """The name of the table's list of elements."""
        return self.names.indexed("elements", "e", index)

    def global_(self, index: int) -> str:
        """The name of the `Global`."""
        return self.names.indexed("global", "g", index)

    def tag(self, index: int) -> str:
        """The name of the `Tag`."""
        return self.names.indexed("tag", "x", index)

    def instance(self) -> str:
        """The name of the `Instance`."""
        return self.names.singleton("instance")

    def store(self) -> str:
        """The name of the `Store`."""
        return self.names.singleton("store")

    def fuel(self) -> str:
        """The store's active fuel, for reading and assigning."""
        return f"{self.names.singleton('fuel')}[0]"

    # -- the operand stack ------------------------------------------------------------------

    def push(self, expr: Expr) -> None:
        """Push an expression; it is evaluated when something needs it to be."""
        stack = self.stack
        stack.append(expr)
        if expr.depth > MAX_DEPTH or (expr.effects and self._eager):
            if expr.effects:
                self.flush()
            else:
                self._settle(len(stack) - 1)
        if len(stack) - WINDOW > self.floor:
            old = stack[-1 - WINDOW]
            if old.effects or old.locals:
                self._settle(len(stack) - 1 - WINDOW)

    def pop(self) -> Expr:
        """Pop a value whose text is canonical."""
        return canonical(self.stack.pop())

    def pop_modular(self) -> Expr:
        """Pop an integer of which only the value modulo 2**bits matters."""
        return self.stack.pop()

    def pops(self, count: int) -> list[Expr]:
        """Pop `count` canonical values; the first is the lowest."""
        if not count:
            return []
        popped = [canonical(expr) for expr in self.stack[-count:]]
        del self.stack[-count:]
        return popped

    def _settle(self, position: int) -> None:
        """Evaluate the stack entry at `position` into a temporary."""
        self.stack[position] = self._assign(self.stack[position])

    def _assign(self, expr: Expr) -> Expr:
        number = self.new_temp()
        name = f"t{number}"
        self.source.emit(f"{name} = {expr.text}")
        return Expr(
            name,
            simple=True,
            temps=1 << number,
            bits=expr.bits,
            lo=expr.lo,
            hi=expr.hi,
            zeros=expr.zeros,
        )

    def _pending(self) -> range:
        """Positions of the entries that may be pending."""
        height = len(self.stack)
        return range(max(self.floor, height - WINDOW - 1), height)

    def flush(self, mask: int = TRAPS | READS) -> None:
        """Evaluate pending entries whose effects are in `mask`, bottom first."""
        stack = self.stack
        for i in self._pending():
            if stack[i].effects & mask:
                self._settle(i)

    def settle_assigned(self, assigned: int) -> None:
        """Evaluate pending entries that read one of the locals in the bit set `assigned`.

        Done before these locals change.
        """
        stack = self.stack
        if not any(stack[i].locals & assigned for i in self._pending()):
            return
        for i in self._pending():
            # What can trap is evaluated too, so that the order among it stays.
            if stack[i].locals & assigned or stack[i].effects:
                self._settle(i)

    def local(self, index: int) -> Expr:
        """The current value of a local."""
        bits = self.widths[index]
        lo, hi, zeros = self.facts.get(index, (0, -1, 0)) if bits else (0, -1, 0)
        return Expr(
            f"l{index}", simple=True, locals=1 << index, bits=bits, lo=lo, hi=hi, zeros=zeros
        )

    def assign_local(self, index: int, expr: Expr) -> None:
        """Emit the assignment of `expr`, popped before, to a local."""
        expr = canonical(expr)
        if expr.effects:
            self.flush()
        self.settle_assigned(1 << index)
        if not self._redirect(expr, f"l{index}"):
            self.source.emit(f"l{index} = {expr.text}")
        if expr.bits and (expr.zeros or expr.lo or expr.hi < MASKS[expr.bits]):
            if len(self.facts) >= _MAX_FACTS:
                self.facts.clear()
            self.facts[index] = (expr.lo, expr.hi, expr.zeros)
        else:
            self.facts.pop(index, None)

    def _redirect(self, expr: Expr, target: str) -> bool:
        """Let the statement just emitted assign to `target`, if all it did was to make `expr`."""
        name, start, end = self._latest
        if expr.text != name or end != len(self.source.lines):
            return False
        line = self.source.lines[start]
        self.source.lines[start] = line.replace(f"{name} = ", f"{target} = ", 1)
        self._latest = ("", 0, 0)
        return True

    def emit_value(self, text: str, offset: int = 0, bits: int = 0) -> None:
        """Emit the assignment of `text` to a fresh temporary, and push that."""
        result = self.temp(bits)
        start = len(self.source.lines)
        self.source.emit(f"{result.text} = {text}", offset)
        self._latest = (result.text, start, len(self.source.lines))
        self.push(result)

    def forget(self, assigned: int) -> None:
        """Drop what is known about the locals in the bit set `assigned`."""
        if self.facts:
            self.facts = {i: fact for i, fact in self.facts.items() if not assigned >> i & 1}

    def atom(self, expr: Expr) -> Expr:
        """`expr` (popped last) as a variable or literal, so that it can be used repeatedly."""
        if expr.simple:
            return expr
        if expr.effects:
            self.flush()
        return self._assign(expr)

    def atoms(self, *exprs: Expr) -> list[Expr]:
        """`exprs`, popped in reverse, as variables or literals, evaluated in order."""
        if any(expr.effects for expr in exprs):
            self.flush()
        return [expr if expr.simple else self._assign(expr) for expr in exprs]

    def new_temp(self) -> int:
        """The number of a temporary that nothing pending reads."""
        busy = self._busy
        lowest = ~busy & (busy + 1)
        self._busy = busy | lowest
        return lowest.bit_length() - 1

    def temp(self, bits: int = 0) -> Expr:
        """A fresh temporary, to be assigned by the caller, as an expression."""
        number = self.new_temp()
        return Expr(f"t{number}", simple=True, temps=1 << number, bits=bits)

    def sweep(self) -> None:
        """Between instructions: find out which temporaries are free again."""
        if self._busy.bit_count() >= self._sweep_at:
            live = self.held()
            for expr in self.stack:
                live |= expr.temps
            self._busy = live
            self._sweep_at = 8 + 2 * live.bit_count()

    # -- expressions and statements from templates --------------------------------------------

    def op(
        self,
        template: str,
        *operands: Expr,
        effects: int = 0,
        instr: Instr | None = None,
        bits: int = 0,
        lo: int = 0,
        hi: int = -1,
        zeros: int = 0,
    ) -> Expr:
        """An expression from `template`, in which `{0}`, `{1}` … stand for the operands.

        Operands are given in stack order.  One that the template uses other than exactly once,
        out of order or conditionally is evaluated beforehand where that matters.  `effects`
        and `instr` (which must be given with `TRAPS`) describe the operation itself; `bits`,
        `lo`, `hi` and `zeros` its result.
        """
        text, reads, temps, inherited, depth = self._format(template, operands)
        atomic = False
        if effects & TRAPS:
            assert instr is not None
            text = f"({MARK}{instr.offset}{MARK_END}{text})"
            atomic = True
        return Expr(
            text,
            atomic=atomic,
            locals=reads,
            temps=temps,
            effects=inherited | effects,
            depth=depth + 1,
            bits=bits,
            lo=lo,
            hi=hi,
            zeros=zeros,
        )

    def push_op(self, template: str, *operands: Expr, **facts: Any) -> None:
        """Push `op(...)`."""
        self.push(self.op(template, *operands, **facts))

    def push_reading(self, text: str, operand: Expr, instr: Instr, **facts: Any) -> None:
        """Push an operation that reads state and can trap; `operand` is what `text` contains."""
        expr = merge(f"({MARK}{instr.offset}{MARK_END}{text})", operand, atomic=True, **facts)
        expr.effects |= TRAPS | READS
        self.push(expr)

    def effect(self, template: str, *operands: Expr, instr: Instr) -> None:
        """Emit a statement with a side effect."""
        self.call(template, *operands, instr=instr, results=())

    def call(self, template: str, *operands: Expr, instr: Instr, results: Sequence[int]) -> None:
        """Emit an operation with side effects and push its results.

        `results` has a width per result: 32 or 64 for integers, else 0.  With more than one
        the operation must give a tuple.
        """
        self.flush()
        text, *_ = self._format(template, operands)
        self.before_effect()
        if len(results) == 1:
            self.emit_value(text, instr.offset, results[0])
            return
        targets = [self.temp(bits) for bits in results]
        if targets:
            text = f"{', '.join(target.text for target in targets)} = {text}"
        self.source.emit(text, instr.offset)
        for target in targets:
            self.push(target)

    def _format(self, template: str, operands: Sequence[Expr]) -> tuple[str, int, int, int, int]:
        counts, is_ordered = _analyse(template, len(operands))
        effectful = [operand for operand in operands if operand.effects]
        evaluate = bool(effectful) and not is_ordered
        if any(
            counts[i] != 1 and not operand.simple and (counts[i] or operand.effects)
            for i, operand in enumerate(operands)
        ):
            evaluate = True
        if evaluate:
            if effectful:
                self.flush()
            operands = [
                self._assign(operand)
                if operand.effects or (counts[i] > 1 and not operand.simple)
                else operand
                for i, operand in enumerate(operands)
            ]
        reads = temps = effects = depth = 0
        for operand in operands:
            reads |= operand.locals
            temps |= operand.temps
            effects |= operand.effects
            depth = max(depth, operand.depth)
        text = template.format(*[operand.operand for operand in operands])
        return text, reads, temps, effects, depth


@cache
def _analyse(template: str, count: int) -> tuple[tuple[int, ...], bool]:
    """How often each operand occurs, and whether all are evaluated, first to last."""
    fields = [f"{{{i}}}" for i in range(count)]
    counts = tuple(template.count(field) for field in fields)
    places = [template.index(field) for field in fields if field in template]
    conditional = any(word in template for word in (" if ", " and ", " or "))
    return counts, places == sorted(places) and not conditional
