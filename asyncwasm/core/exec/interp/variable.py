"""Lowerings of locals, globals, and the instructions that only move values."""

from __future__ import annotations

from asyncwasm.core.types import I32, I64, ValType
from asyncwasm.errors import Trap, TrapCode

from .body import Body
from .expr import READS, TRAPS, Expr, merge
from .registry import Instr, lowering


def width(ty: ValType) -> int:
    """The `bits` of expressions of this type."""
    return 32 if ty is I32 else 64 if ty is I64 else 0


@lowering("local.get")
def _get(body: Body, instr: Instr) -> None:
    body.push(body.local(instr.immediates[0]))


@lowering("local.set")
def _set(body: Body, instr: Instr) -> None:
    body.assign_local(instr.immediates[0], body.stack.pop())


@lowering("local.tee")
def _tee(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    body.assign_local(index, body.stack.pop())
    body.push(body.local(index))


@lowering("global.get")
def _global_get(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    ty = body.info.globals[index]
    bits = width(ty.content)
    if ty.mutable:
        body.push(Expr(f"{body.global_(index)}.value", atomic=True, effects=READS, bits=bits))
    else:
        name = body.names.indexed("global_value", "c", index)
        body.push(Expr(name, simple=True, bits=bits))


@lowering("global.set")
def _global_set(body: Body, instr: Instr) -> None:
    value = body.pop()
    body.effect(f"{body.global_(instr.immediates[0])}.value = {{0}}", value, instr=instr)


@lowering("drop")
def _drop(body: Body, instr: Instr) -> None:
    expr = body.stack.pop()
    if expr.effects & TRAPS:
        body.flush()
        body.source.emit(expr.text)


@lowering("select", "select.t")
def _select(body: Body, instr: Instr) -> None:
    condition, b, a = body.pop(), body.pop(), body.pop()
    if a.effects or b.effects:
        # Both are evaluated, whichever is taken, and before the condition.
        a, b = body.atoms(a, b)
    true, _ = condition.condition
    facts = {}
    if a.bits:
        facts = {
            "bits": a.bits,
            "lo": min(a.lo, b.lo),
            "hi": max(a.hi, b.hi),
            "zeros": min(a.zeros, b.zeros),
        }
    text = f"{a.operand} if {true} else {b.operand}"
    body.push(merge(text, a, condition, b, **facts))


def unreachable() -> None:
    """Trap."""
    raise Trap(TrapCode.UNREACHABLE)


@lowering("unreachable")
def _unreachable(body: Body, instr: Instr) -> None:
    body.effect(f"{body.helper(unreachable)}()", instr=instr)
