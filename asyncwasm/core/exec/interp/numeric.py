"""Lowerings of the integer instructions.

The inline forms keep track of what is known about values (`Expr.lo`, `hi`, `zeros`) and leave
masking to whoever needs a canonical value.  Rows that have no inline form, and all that is
folded at translation time, go through the reference functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.isa.numeric import REFERENCE

from .body import Body
from .expr import MASKS, TRAPS, Expr, canonical, integer, merge, test
from .registry import Instr, lowering

_WIDTHS: Final = {"i32": 32, "i64": 64}
# Unmasked intermediate values stay below 2**(bits * this) in magnitude.
_SLACK: Final = 2


def bits_of(instr: Instr) -> int:
    """The width that the instruction's name starts with."""
    return 32 if instr.row.name[1] == "3" else 64


def signed(body: Body, expr: Expr) -> Expr:
    """The signed value of a canonical expression, popped last."""
    half = 1 << (expr.bits - 1)
    if expr.hi < half:
        return expr
    expr = body.atom(expr)
    text = f"({expr.text} if {expr.text} < {half} else {expr.text} - {2 * half})"
    return merge(text, expr, bits=expr.bits, lo=-half, hi=half - 1, atomic=True)


def signed_value(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def modular(
    text: str, a: Expr, b: Expr | None, bits: int, lo: int, hi: int, zeros: int = 0
) -> Expr:
    """An integer expression over `a` and `b`; masked at once if it would grow too long."""
    result = merge(text, a, a if b is None else b, bits=bits, lo=lo, hi=hi, zeros=zeros)
    limit = 1 << bits * _SLACK
    return result if -limit < lo and hi < limit else canonical(result)


def folded(body: Body, instr: Instr, *operands: Expr) -> bool:
    """Push the result if all operands are literals.  For rows that cannot trap."""
    values = [operand.constant for operand in operands]
    if any(value is None for value in values):
        return False
    assert instr.row.results is not None
    body.push(integer(REFERENCE[instr.row.name](*values), _WIDTHS[instr.row.results[0]]))
    return True


@lowering("i32.const", "i64.const")
def _const(body: Body, instr: Instr) -> None:
    body.push(integer(instr.immediates[0], bits_of(instr)))


@lowering("i32.add", "i64.add", "i32.sub", "i64.sub")
def _add(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop_modular(), body.pop_modular()
    if folded(body, instr, a, b):
        return
    minus = instr.row.name.endswith("sub")
    if not minus and a.constant is not None:
        a, b = b, a
    if b.constant is not None:
        value = signed_value(b.constant, bits)
        if minus:
            value = -value
        body.push(add_constant(a, value))
        return
    zeros = min(a.zeros, b.zeros)
    if minus:
        if a.constant == 0:
            body.push(modular(f"-{b.operand}", b, None, bits, -b.hi, -b.lo, zeros))
            return
        body.push(
            modular(f"{a.operand} - {b.operand}", a, b, bits, a.lo - b.hi, a.hi - b.lo, zeros)
        )
        return
    body.push(modular(f"{a.operand} + {b.operand}", a, b, bits, a.lo + b.lo, a.hi + b.hi, zeros))


def add_constant(a: Expr, value: int) -> Expr:
    """`a` plus a constant, modulo the width of `a`."""
    if value == 0:
        return a
    sign = "-" if value < 0 else "+"
    zeros = min(a.zeros, (value & -value).bit_length() - 1)
    result = modular(
        f"{a.operand} {sign} {abs(value)}", a, None, a.bits, a.lo + value, a.hi + value, zeros
    )
    if a.scaled is not None:
        base, scale = a.scaled
        if value & ((1 << scale) - 1) == 0:
            result.scaled = (add_constant(base, value >> scale), scale)
    return result


@lowering("i32.mul", "i64.mul")
def _mul(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop_modular(), body.pop_modular()
    if folded(body, instr, a, b):
        return
    if a.constant is not None:
        a, b = b, a
    text_b = b.operand
    zeros = a.zeros + b.zeros
    if b.constant is not None:
        value = signed_value(b.constant, bits)
        if value == 1:
            body.push(a)
            return
        if value > 0 and value & (value - 1) == 0:
            body.push(_shift_left(a, value.bit_length() - 1))
            return
        b = Expr(f"({value})" if value < 0 else str(value), atomic=True, bits=bits)
        b.lo = b.hi = value
        text_b = b.text
    # One long factor at most: products of unmasked values would only get longer.
    if max(abs(a.lo), abs(a.hi)) >> (bits + 8):
        a = canonical(a)
    if max(abs(b.lo), abs(b.hi)) >> (bits + 8):
        b = canonical(b)
        text_b = b.operand
    corners = (a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi)
    body.push(
        modular(f"{a.operand} * {text_b}", a, b, bits, min(corners), max(corners), min(zeros, bits))
    )


@lowering("i32.and", "i64.and")
def _and(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop_modular(), body.pop_modular()
    if folded(body, instr, a, b):
        return
    if a.constant is not None:
        a, b = b, a
    if _both_tests(body, "and", a, b):
        return
    if not a.is_canonical and not b.is_canonical:
        a = canonical(a)
    hi = MASKS[bits]
    for operand in (a, b):
        if operand.is_canonical:
            hi = min(hi, operand.hi)
    if b.constant is not None:
        mask = b.constant
        if a.is_canonical and mask & (mask + 1) == 0 and a.hi <= mask:
            body.push(a)
            return
        if mask == 0 and not a.effects:
            body.push(b)
            return
    zeros = min(max(a.zeros, b.zeros), bits)
    body.push(modular(f"{a.operand} & {b.operand}", a, b, bits, 0, hi, zeros))


@lowering("i32.or", "i64.or", "i32.xor", "i64.xor")
def _or(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop_modular(), body.pop_modular()
    if folded(body, instr, a, b):
        return
    if a.constant is not None:
        a, b = b, a
    is_or = instr.row.name.endswith("or") and not instr.row.name.endswith("xor")
    if is_or and _both_tests(body, "or", a, b):
        return
    if b.constant is not None:
        if b.constant == 0:
            body.push(a)
            return
        if not is_or and b.constant == 1 and a.true is not None:
            _push_negation(body, a)
            return
        if not is_or and b.constant == MASKS[bits]:
            body.push(modular(f"~{a.operand}", a, None, bits, ~a.hi, ~a.lo))
            return
    length = max(a.hi.bit_length(), b.hi.bit_length(), a.lo.bit_length(), b.lo.bit_length())
    lo = -1 << length if a.lo < 0 or b.lo < 0 else 0
    operator = "|" if is_or else "^"
    body.push(
        modular(
            f"{a.operand} {operator} {b.operand}",
            a,
            b,
            bits,
            lo,
            (1 << length) - 1,
            min(a.zeros, b.zeros),
        )
    )


def _both_tests(body: Body, word: str, a: Expr, b: Expr) -> bool:
    """Push two comparisons joined by `and` or `or`, if that is what the operands are."""
    if a.true is None or b.true is None or b.effects:
        return False
    other = "or" if word == "and" else "and"
    body.push(test(f"({a.true} {word} {b.true})", f"({a.false} {other} {b.false})", a, b))
    return True


def _push_negation(body: Body, a: Expr) -> None:
    true, false = a.condition
    body.push(test(false, true, a))


def _shift_left(a: Expr, count: int) -> Expr:
    if count == 0:
        return a
    bits = a.bits
    if max(abs(a.lo), abs(a.hi)) >> (bits + 8):
        a = canonical(a)
    result = modular(
        f"{a.operand} << {count}",
        a,
        None,
        bits,
        a.lo << count,
        a.hi << count,
        min(a.zeros + count, bits),
    )
    result.scaled = (a, count)
    return result


@lowering("i32.shl", "i64.shl")
def _shl(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    count, a = body.pop_modular(), body.pop_modular()
    if folded(body, instr, a, count):
        return
    if count.constant is not None:
        body.push(_shift_left(a, count.constant & (bits - 1)))
        return
    a = canonical(a)
    shift = _shift_count(count, bits)
    body.push(
        modular(f"{a.operand} << {shift.operand}", a, shift, bits, 0, a.hi << (bits - 1), a.zeros)
    )


def _shift_count(count: Expr, bits: int) -> Expr:
    if count.is_canonical and count.hi < bits:
        return count
    return merge(f"{count.operand} & {bits - 1}", count, bits=bits, lo=0, hi=bits - 1)


@lowering("i32.shr_u", "i64.shr_u")
def _shr_u(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    count, a = body.pop_modular(), body.pop()
    if not folded(body, instr, a, count):
        _push_shr_u(body, a, _shift_count(count, bits))


def _push_shr_u(body: Body, a: Expr, shift: Expr) -> None:
    lowest = shift.constant
    if lowest is None and shift.text.isdigit():
        lowest = int(shift.text)
    if lowest == 0:
        body.push(a)
        return
    text = f"{a.operand} >> {shift.operand}"
    body.push(merge(text, a, shift, bits=a.bits, lo=0, hi=a.hi >> (lowest or 0)))


@lowering("i32.shr_s", "i64.shr_s")
def _shr_s(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    count, a = body.pop_modular(), body.pop()
    if folded(body, instr, a, count):
        return
    if count.constant is not None:
        count = integer(count.constant & (bits - 1), bits)
    shift = _shift_count(count, bits)
    half = 1 << (bits - 1)
    if a.hi < half:
        _push_shr_u(body, a, shift)
        return
    if shift.effects:
        a, shift = body.atoms(a, shift)
    a = signed(body, a)
    by = shift.constant or 0
    text = f"{a.operand} >> {shift.operand}"
    body.push(modular(text, a, shift, bits, -half >> by, (half - 1) >> by))


@lowering("i32.rotl", "i64.rotl", "i32.rotr", "i64.rotr")
def _rotate(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    count, a = body.pop_modular(), body.pop()
    if folded(body, instr, a, count):
        return
    right = instr.row.name.endswith("r")
    if count.constant is not None:
        by = count.constant & (bits - 1)
        if right:
            by = -by & (bits - 1)
        if by == 0:
            body.push(a)
            return
        a = body.atom(a)
        text = f"{a.text} << {by} | {a.text} >> {bits - by}"
        body.push(modular(text, a, None, bits, 0, (a.hi << by) | MASKS[bits]))
        return
    shift = _shift_count(count, bits)
    # In this order: what can trap is evaluated as it was pushed.
    if not a.simple:
        if a.effects and shift.effects:
            a, shift = body.atoms(a, shift)
        a = body.atom(a)
    shift = body.atom(shift)
    there, back = (">>", "<<") if right else ("<<", ">>")
    text = f"{a.text} {there} {shift.text} | {a.text} {back} {bits} - {shift.text}"
    body.push(modular(text, a, shift, bits, 0, MASKS[bits] << bits))


# -- comparisons --------------------------------------------------------------------------------


@lowering("i32.eqz", "i64.eqz")
def _eqz(body: Body, instr: Instr) -> None:
    a = body.pop()
    if not folded(body, instr, a):
        _push_negation(body, a)


@lowering("i32.eq", "i64.eq", "i32.ne", "i64.ne")
def _eq(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    if folded(body, instr, a, b):
        return
    same, other = f"{a.operand} == {b.operand}", f"{a.operand} != {b.operand}"
    if instr.row.name.endswith("ne"):
        same, other = other, same
    body.push(test(same, other, a, b))


_OPERATORS: Final = {"lt": ("<", ">="), "gt": (">", "<="), "le": ("<=", ">"), "ge": (">=", "<")}
_COMPARISONS: Final = [f"{ty}.{op}_" for ty in _WIDTHS for op in _OPERATORS]


@lowering(*[name + "u" for name in _COMPARISONS])
def _compare_unsigned(body: Body, instr: Instr) -> None:
    b, a = body.pop(), body.pop()
    if not folded(body, instr, a, b):
        true, false = _OPERATORS[instr.row.name[4:6]]
        body.push(test(f"{a.operand} {true} {b.operand}", f"{a.operand} {false} {b.operand}", a, b))


@lowering(*[name + "s" for name in _COMPARISONS])
def _compare_signed(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop(), body.pop()
    if folded(body, instr, a, b):
        return
    operator = instr.row.name[4:6]
    half = 1 << (bits - 1)
    true, false = _OPERATORS[operator]
    mirrored = _MIRROR[operator]
    if a.hi < half and b.hi < half:
        pass
    elif _with_bound(body, operator, a, b.constant) or _with_bound(body, mirrored, b, a.constant):
        return
    elif a.simple and b.simple:
        # Unsigned order is right among values of one sign and wrong across.
        x, y = a.text, b.text
        body.push(
            test(
                f"({x} {true} {y} if {x} ^ {y} < {half} else {y} {true} {x})",
                f"({x} {false} {y} if {x} ^ {y} < {half} else {y} {false} {x})",
                a,
                b,
            )
        )
        return
    else:
        a, b = (_flip_sign(x, half) for x in (a, b))
    body.push(test(f"{a.operand} {true} {b.operand}", f"{a.operand} {false} {b.operand}", a, b))


_MIRROR: Final = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}


def _flip_sign(a: Expr, half: int) -> Expr:
    if a.constant is not None:
        return integer(a.constant ^ half, a.bits)
    return merge(f"{a.operand} ^ {half}", a, bits=a.bits)


def _with_bound(body: Body, operator: str, a: Expr, bound: int | None) -> bool:
    """Push a signed comparison of `a` with a constant as a test for a range of its values."""
    if bound is None:
        return False
    half = 1 << (a.bits - 1)
    limit = signed_value(bound, a.bits)
    # `le` and `gt` as `lt` and `ge` of the next number, where there is one.
    if operator in ("le", "gt"):
        if limit == half - 1:
            return False
        limit += 1
    below = operator in ("lt", "le")
    if limit == 0:
        is_low, is_high = f"{a.operand} >= {half}", f"{a.operand} < {half}"
    elif limit > 0:
        is_high = f"{limit} <= {a.operand} < {half}"
        is_low = f"({a.text} < {limit} or {a.text} >= {half})" if a.simple else f"not {is_high}"
    else:
        start = limit + 2 * half
        is_low = f"{half} <= {a.operand} < {start}"
        is_high = f"({a.text} < {half} or {a.text} >= {start})" if a.simple else f"not {is_low}"
    body.push(test(is_low, is_high, a) if below else test(is_high, is_low, a))
    return True


# -- conversions --------------------------------------------------------------------------------


@lowering("i32.wrap_i64")
def _wrap(body: Body, instr: Instr) -> None:
    a = body.pop_modular()
    if not folded(body, instr, a):
        body.push(a.with_bits(32))


@lowering("i64.extend_i32_u")
def _extend_u(body: Body, instr: Instr) -> None:
    a = body.pop()
    if not folded(body, instr, a):
        body.push(a.with_bits(64))


@lowering("i64.extend_i32_s")
def _extend_s(body: Body, instr: Instr) -> None:
    a = body.pop()
    if not folded(body, instr, a):
        body.push(signed(body, a).with_bits(64))


@lowering("i32.extend8_s", "i32.extend16_s", "i64.extend8_s", "i64.extend16_s", "i64.extend32_s")
def _extend_low(body: Body, instr: Instr) -> None:
    a = body.pop_modular()
    if folded(body, instr, a):
        return
    width = int(instr.row.name[10:-2])
    half = 1 << (width - 1)
    if a.is_canonical and a.hi < half:
        body.push(a)
        return
    low = a.operand
    if not (a.is_canonical and a.hi < 2 * half):
        low = f"({a.operand} & {2 * half - 1})"
    body.push(merge(f"({low} ^ {half}) - {half}", a, bits=bits_of(instr), lo=-half, hi=half - 1))


# -- counting bits ------------------------------------------------------------------------------


@lowering("i32.clz", "i64.clz")
def _clz(body: Body, instr: Instr) -> None:
    a, bits = body.pop(), bits_of(instr)
    if not folded(body, instr, a):
        text = f"{bits} - {a.operand}.bit_length()"
        body.push(merge(text, a, bits=bits, lo=0, hi=bits))


@lowering("i32.ctz", "i64.ctz")
def _ctz(body: Body, instr: Instr) -> None:
    a, bits = body.pop(), bits_of(instr)
    if not folded(body, instr, a):
        body.push_op(
            f"(({{0}} & -{{0}}).bit_length() - 1 if {{0}} else {bits})", a, bits=bits, hi=bits
        )


@lowering("i32.popcnt", "i64.popcnt")
def _popcnt(body: Body, instr: Instr) -> None:
    a, bits = body.pop(), bits_of(instr)
    if not folded(body, instr, a):
        body.push(merge(f"{a.operand}.bit_count()", a, bits=bits, lo=0, hi=bits, atomic=True))


# -- division -----------------------------------------------------------------------------------


@lowering("i32.div_u", "i64.div_u", "i32.rem_u", "i64.rem_u")
def _divide_unsigned(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    b, a = body.pop(), body.pop()
    divides = instr.row.name[4:7] == "div"
    operator = "//" if divides else "%"
    if b.constant:
        if folded(body, instr, a, b):
            return
        if b.constant & (b.constant - 1) == 0:
            if divides:
                _push_shr_u(body, a, integer(b.constant.bit_length() - 1, bits))
            else:
                mask = b.constant - 1
                body.push(merge(f"{a.operand} & {mask}", a, bits=bits, lo=0, hi=min(a.hi, mask)))
            return
        hi = a.hi // b.constant if divides else min(a.hi, b.constant - 1)
        text = f"{a.operand} {operator} {b.operand}"
        body.push(merge(text, a, b, bits=bits, lo=0, hi=hi))
        return
    body.push_op(f"{{0}} {operator} {{1}}", a, b, effects=TRAPS, instr=instr, bits=bits, hi=a.hi)


@lowering("i32.div_s", "i64.div_s", "i32.rem_s", "i64.rem_s")
def _divide_signed(body: Body, instr: Instr) -> None:
    bits = bits_of(instr)
    half = 1 << (bits - 1)
    b, a = body.pop(), body.pop()
    operator = "//" if instr.row.name[4:7] == "div" else "%"
    if b.constant and b.constant != MASKS[bits] and folded(body, instr, a, b):
        return
    if b.constant and b.constant < half:
        if a.hi < half:
            body.push(a)
            body.push(b)
            _divide_unsigned(body, instr)
            return
        text = f"({{0}} {operator} {b.constant} if {{0}} < {half} else "
        text += f"-(({2 * half} - {{0}}) {operator} {b.constant}))"
        body.push_op(text, a, bits=bits, lo=-half, hi=half - 1)
        return
    slow = body.names.named(f"h_{instr.row.identifier}", REFERENCE[instr.row.name])
    text = f"({{0}} {operator} {{1}} if {{0}} < {half} > {{1}} > 0 else {slow}({{0}}, {{1}}))"
    body.push_op(text, a, b, effects=TRAPS, instr=instr, bits=bits)


# -- everything else ----------------------------------------------------------------------------


def by_reference(body: Body, instr: Instr) -> None:
    """Call the reference function of the row."""
    row = instr.row
    assert row.params is not None
    assert row.results is not None
    operands = body.pops(len(row.params))
    literals = "".join(f", {immediate!r}" for immediate in instr.immediates)
    function = body.names.named(f"h_{row.identifier}", reference(row.name))
    places = ", ".join(f"{{{i}}}" for i in range(len(operands)))
    text = f"{function}({places}{literals.replace('{', '{{').replace('}', '}}')})"
    widths = [_WIDTHS.get(result, 0) for result in row.results]
    if len(widths) == 1:
        effects = TRAPS if row.traps else 0
        body.push_op(text, *operands, effects=effects, instr=instr, bits=widths[0])
    else:
        body.call(text, *operands, instr=instr, results=widths)


def reference(name: str) -> Callable[..., object]:
    """The reference function of a numeric or vector row."""
    found = REFERENCE.get(name)
    if found is None:
        from asyncwasm.core.isa import simd

        found = simd.REFERENCE[name]
    return found
