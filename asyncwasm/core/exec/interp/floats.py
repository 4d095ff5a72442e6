"""Lowerings of the floating-point instructions.

Python floats are doubles, so f64 arithmetic is Python's, guarded where Python raises.  An f32 is
computed as a double and rounded by a store into a cell of four bytes; for the five operations
that is the same as rounding once.
"""

from __future__ import annotations

import math
from typing import Final

from asyncwasm.core.isa.numeric import REFERENCE, f32_from_bits, f64_from_bits

from .body import Body
from .expr import TRAPS, Expr, merge, test
from .numeric import bits_of, signed
from .registry import Instr, lowering

_TYPES: Final = ("f32", "f64")


def _names(*operations: str) -> list[str]:
    return [f"{ty}.{operation}" for ty in _TYPES for operation in operations]


def float_literal(body: Body, value: float) -> Expr:
    """A float constant; infinities and NaNs have no literal and become named objects."""
    if math.isfinite(value):
        text = repr(value)
        return Expr(text if text[0] != "-" else f"({text})", simple=True)
    return Expr(body.constant(value), simple=True)


@lowering("f32.const")
def _f32_const(body: Body, instr: Instr) -> None:
    body.push(float_literal(body, f32_from_bits(instr.immediates[0])))


@lowering("f64.const")
def _f64_const(body: Body, instr: Instr) -> None:
    body.push(float_literal(body, f64_from_bits(instr.immediates[0])))


def round_single(body: Body, expr: Expr) -> None:
    """Push the double `expr`, popped last, rounded to a single."""
    if expr.effects:
        body.flush()
    cell = body.names.singleton("single")
    body.source.emit(f"{cell}[0] = {expr.text}")
    body.emit_value(f"{cell}[0]")


def _push(body: Body, instr: Instr, expr: Expr) -> None:
    if instr.row.name[1] == "3":
        round_single(body, expr)
    else:
        body.push(expr)


_OPERATORS: Final = {"add": "+", "sub": "-", "mul": "*"}


@lowering(*_names(*_OPERATORS))
def _arithmetic(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    operator = _OPERATORS[instr.row.name[4:]]
    _push(body, instr, merge(f"{a.operand} {operator} {b.operand}", a, b))


@lowering(*_names("div"))
def _div(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    if b.simple and b.text[0] in "(0123456789" and float(b.text.strip("()")):
        _push(body, instr, merge(f"{a.operand} / {b.operand}", a, b))
        return
    slow = body.helper(REFERENCE["f64.div"])
    _push(body, instr, body.op(f"({{0}} / {{1}} if {{1}} else {slow}({{0}}, {{1}}))", a, b))


@lowering(*_names("sqrt"))
def _sqrt(body: Body, instr: Instr) -> None:
    root, slow = body.helper(math.sqrt), body.helper(REFERENCE["f64.sqrt"])
    text = f"({root}({{0}}) if {{0}} >= 0.0 else {slow}({{0}}))"
    _push(body, instr, body.op(text, body.pop()))


@lowering(*_names("min", "max"))
def _min(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    slow = body.names.named(f"h_{instr.row.identifier}", REFERENCE[instr.row.name])
    first, second = ("<", ">") if instr.row.name.endswith("min") else (">", "<")
    # Equal operands may be zeros of different signs, and unordered ones are NaNs.
    text = f"({{0}} if {{0}} {first} {{1}} else {{1}} if {{0}} {second} {{1}} else "
    body.push_op(text + f"{slow}({{0}}, {{1}}))", a, b)


@lowering(*_names("neg"))
def _neg(body: Body, instr: Instr) -> None:
    body.push_op("-{0}", body.pop())


@lowering(*_names("abs"))
def _abs(body: Body, instr: Instr) -> None:
    body.push_op("abs({0})", body.pop())


@lowering(*_names("copysign"))
def _copysign(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    body.push_op(f"{body.helper(math.copysign)}({{0}}, {{1}})", a, b)


_COMPARISONS: Final = {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}


@lowering(*_names(*_COMPARISONS))
def _compare(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    text = f"{a.operand} {_COMPARISONS[instr.row.name[4:]]} {b.operand}"
    body.push(test(text, f"not {text}", a, b))


@lowering(*_names("eq", "ne"))
def _equal(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    same, other = f"{a.operand} == {b.operand}", f"{a.operand} != {b.operand}"
    if instr.row.name.endswith("ne"):
        same, other = other, same
    body.push(test(same, other, a, b))


# -- conversions --------------------------------------------------------------------------------


@lowering("f64.convert_i32_u", "f64.convert_i64_u")
def _convert_u(body: Body, instr: Instr) -> None:
    body.push_op("{0} + 0.0", body.pop())


@lowering("f64.convert_i32_s", "f64.convert_i64_s")
def _convert_s(body: Body, instr: Instr) -> None:
    a = signed(body, body.pop())
    body.push(merge(f"{a.operand} + 0.0", a))


@lowering("f32.convert_i32_u")
def _convert_single_u(body: Body, instr: Instr) -> None:
    round_single(body, body.pop())


@lowering("f32.convert_i32_s")
def _convert_single_s(body: Body, instr: Instr) -> None:
    round_single(body, signed(body, body.pop()))


@lowering("f32.demote_f64")
def _demote(body: Body, instr: Instr) -> None:
    round_single(body, body.pop())


@lowering("f64.promote_f32")
def _promote(body: Body, instr: Instr) -> None:
    # The product is the same number, and a NaN made quiet.
    body.push_op("{0} * 1.0", body.pop())


@lowering(
    *[
        f"i{bits}.trunc{sat}_f{source}_{sign}"
        for bits in (32, 64)
        for sat in ("", "_sat")
        for source in (32, 64)
        for sign in "su"
    ]
)
def _trunc(body: Body, instr: Instr) -> None:
    row = instr.row
    bits = bits_of(instr)
    is_signed = row.name.endswith("s")
    slow = body.names.named(f"h_{row.identifier}", REFERENCE[row.name])
    if is_signed:
        half = 1 << (bits - 1)
        low, high, lo, hi = -float(half), float(half), -half, half - 1
        test_ = f"{low!r} <= {{0}} < {high!r}"
    else:
        lo, hi = 0, (1 << bits) - 1
        test_ = f"-1.0 < {{0}} < {float(1 << bits)!r}"
    body.push_op(
        f"(int({{0}}) if {test_} else {slow}({{0}}))",
        body.pop(),
        effects=TRAPS if row.traps else 0,
        instr=instr,
        bits=bits,
        lo=lo,
        hi=hi,
    )
