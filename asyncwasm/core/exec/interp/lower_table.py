"""Lowerings of the instructions on tables."""

from __future__ import annotations

from typing import Any

from asyncwasm.core.types import IndexType
from asyncwasm.errors import Trap, TrapCode

from .body import Body
from .expr import MASKS, READS, TRAPS, Expr
from .registry import Instr, lowering


def table_fill(elements: list[Any], start: int, value: Any, count: int) -> None:
    if start + count > len(elements):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    elements[start : start + count] = [value] * count


def table_copy(target: list[Any], source: list[Any], to: int, start: int, count: int) -> None:
    """Also `table.init`, from a segment's elements."""
    if start + count > len(source) or to + count > len(target):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    target[to : to + count] = source[start : start + count]


def assign(body: Body, template: str, *operands: Expr, instr: Instr) -> None:
    """Emit an assignment; the operands are evaluated in their order, not in Python's."""
    if sum(1 for operand in operands if operand.effects) > 1:
        operands = tuple(body.atoms(*operands))
    body.effect(template, *operands, instr=instr)


def _index_bits(body: Body, table: int) -> int:
    return 64 if body.info.tables[table].index_type is IndexType.I64 else 32


@lowering("table.get")
def table_get(body: Body, instr: Instr) -> None:
    elements = body.elements(instr.immediates[0])
    body.push_op(f"{elements}[{{0}}]", body.pop(), effects=TRAPS | READS, instr=instr)


@lowering("table.set")
def table_set(body: Body, instr: Instr) -> None:
    elements = body.elements(instr.immediates[0])
    assign(body, f"{elements}[{{0}}] = {{1}}", *body.pops(2), instr=instr)


@lowering("table.size")
def table_size(body: Body, instr: Instr) -> None:
    table = instr.immediates[0]
    bits = _index_bits(body, table)
    body.push_op(f"len({body.elements(table)})", effects=READS, bits=bits, lo=0, hi=(1 << 31) - 1)


@lowering("table.grow")
def table_grow(body: Body, instr: Instr) -> None:
    table = instr.immediates[0]
    bits = _index_bits(body, table)
    # A failure is -1.
    call = f"{body.table(table)}.grow_raw({{1}}, {{0}}) & {MASKS[bits]}"
    body.call(call, *body.pops(2), instr=instr, results=(bits,))


@lowering("table.fill")
def lower_table_fill(body: Body, instr: Instr) -> None:
    elements = body.elements(instr.immediates[0])
    call = f"{body.helper(table_fill)}({elements}, {{0}}, {{1}}, {{2}})"
    body.effect(call, *body.pops(3), instr=instr)


@lowering("table.copy")
def lower_table_copy(body: Body, instr: Instr) -> None:
    target, source = map(body.elements, instr.immediates)
    call = f"{body.helper(table_copy)}({target}, {source}, {{0}}, {{1}}, {{2}})"
    body.effect(call, *body.pops(3), instr=instr)


@lowering("table.init")
def lower_table_init(body: Body, instr: Instr) -> None:
    segment, table = instr.immediates
    source = f"{body.instance()}.elems[{segment}]"
    call = f"{body.helper(table_copy)}({body.elements(table)}, {source}, {{0}}, {{1}}, {{2}})"
    body.effect(call, *body.pops(3), instr=instr)


@lowering("elem.drop")
def elem_drop(body: Body, instr: Instr) -> None:
    body.effect(f"{body.instance()}.elems[{instr.immediates[0]}] = []", instr=instr)
