"""The table of lowerings: how each instruction becomes Python source.

A lowering is a function of the `Body` being translated and the `Instr`.  It pops its operands
from the body's symbolic stack and pushes expressions, or emits statements.  The styles, by
example (all in terms of `Body`, which see):

    @lowering("ref.is_null")                          # a pure expression: it may move and float
    def ref_is_null(body: Body, instr: Instr) -> None:
        value = body.pop()
        body.push(test(f"{value.operand} is None", f"{value.operand} is not None", value))

    @lowering("ref.i31")                              # the same from a template
    def ref_i31(body: Body, instr: Instr) -> None:
        body.push_op("{0} & 0x7fffffff", body.pop())

    @lowering("struct.get")                           # an expression that can trap and reads state
    def struct_get(body: Body, instr: Instr) -> None:
        _, field = instr.immediates
        body.push_op(f"{{0}}.{slot_name(field)}", body.pop(), effects=TRAPS | READS, instr=instr)

    @lowering("struct.set")                           # a statement with a side effect
    def struct_set(body: Body, instr: Instr) -> None:
        value = body.pop()
        target = body.pop()
        body.effect(f"{{0}}.{slot_name(instr.immediates[1])} = {{1}}", target, value, instr=instr)

    @lowering("table.grow")                           # a call with a result (or several)
    def table_grow(body: Body, instr: Instr) -> None:
        delta = body.pop()
        init = body.pop()
        table = body.table(instr.immediates[0])
        body.call(f"{table}.grow_raw({{1}}, {{0}})", init, delta, instr=instr, results=(32,))

    @branching("br_on_null")                          # a conditional branch
    def br_on_null(body: Body, instr: Instr) -> Branch:
        value = body.atom(body.pop())
        return Branch(f"{value.text} is None", f"{value.text} is not None", (), (value,))

What an implicit Python exception of a trapping expression means is decided by the traps in the
instruction's row (see `locate.classify`): `AttributeError`, `TypeError` → NULL_REFERENCE;
`IndexError`, `struct.error`, `OverflowError` → the row's OUT_OF_BOUNDS code; and so on.  A
lowering may as well call a helper that raises `Trap` itself: `body.helper(function)` gives the
name by which generated code calls `function`.  Structured control (`block`, `loop`, `if`,
`try_table`, `br`, `br_if`, `br_table`, `return`) is not lowered here but in `control`; numeric
rows without a lowering call their reference function.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncwasm.core.isa.table import BY_NAME, Row

if TYPE_CHECKING:
    from .body import Body
    from .expr import Expr


class Instr(NamedTuple):
    """One instruction: its row, its immediates, and its offset in the module."""

    row: Row
    immediates: tuple[Any, ...]
    offset: int


class Branch(NamedTuple):
    """What a `branching` lowering found out.

    `true` and `false` are the texts of the condition under which the branch is taken and of its
    negation; they may use variables and literals only once evaluated (no traps in them).
    `taken` is pushed for the label when the branch is taken, `otherwise` when it is not.
    """

    true: str
    false: str
    taken: tuple[Expr, ...]
    otherwise: tuple[Expr, ...]


Lowering = Callable[["Body", Instr], None]
Branching = Callable[["Body", Instr], Branch]

LOWERINGS: Final[dict[str, Lowering]] = {}
BRANCHINGS: Final[dict[str, Branching]] = {}

# Every module of this package that defines lowerings, imported by `load`; add yours here.
MODULES: Final = (
    "variable",
    "numeric",
    "floats",
    "memory",
    "calls",
    "lower_simd",
    "lower_reference",
    "lower_aggregate",
    "lower_table",
    "lower_atomic",
    "lower_exception",
)


def lowering(*names: str) -> Callable[[Lowering], Lowering]:
    """Register a lowering for the instructions called `names`."""

    def register(function: Lowering) -> Lowering:
        for name in names:
            assert name in BY_NAME, name
            assert name not in LOWERINGS, name
            LOWERINGS[name] = function
        return function

    return register


def branching(*names: str) -> Callable[[Branching], Branching]:
    """Register a lowering for the conditional branches called `names`."""

    def register(function: Branching) -> Branching:
        for name in names:
            assert name in BY_NAME, name
            assert name not in BRANCHINGS, name
            BRANCHINGS[name] = function
        return function

    return register


def load() -> None:
    """Import every module of lowerings."""
    for module in MODULES:
        importlib.import_module(f"{__package__}.{module}")
