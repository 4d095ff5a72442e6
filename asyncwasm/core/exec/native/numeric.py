"""Numeric instructions as LLVM IR: one lowering per row, most of them a template.

Templates are a single IR instruction over the operands `{0}`, `{1}` …  What LLVM leaves
undefined (division by zero, over-long shifts, float to integer out of range) is checked or
masked here, so that the result is the specification's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from asyncwasm.errors import TrapCode

from .opaque import fence

if TYPE_CHECKING:
    from .body import Body

Lowering = Callable[["Body"], None]
NUMERIC: Final[dict[str, Lowering]] = {}

_FLOATS: Final = {"f32": "float", "f64": "double"}
_SUFFIX: Final = {"i32": "i32", "i64": "i64", "f32": "f32", "f64": "f64"}


def _add(name: str, result: str, template: str, arity: int) -> None:
    def lower(body: Body) -> None:
        operands = body.pop_many(arity)
        body.push(result, body.out.op(template.format(*operands)))

    NUMERIC[name] = lower


def _compare(name: str, template: str, arity: int = 2) -> None:
    def lower(body: Body) -> None:
        operands = body.pop_many(arity)
        body.push_condition(body.out.op(template.format(*operands)))

    NUMERIC[name] = lower


def _integers() -> None:
    for ty in ("i32", "i64"):
        for name in ("add", "sub", "mul", "and", "or", "xor"):
            _add(f"{ty}.{name}", ty, f"{name} {ty} {{0}}, {{1}}", 2)
        _compare(f"{ty}.eqz", f"icmp eq {ty} {{0}}, 0", 1)
        for name, predicate in (
            ("eq", "eq"), ("ne", "ne"), ("lt_s", "slt"), ("lt_u", "ult"), ("gt_s", "sgt"),
            ("gt_u", "ugt"), ("le_s", "sle"), ("le_u", "ule"), ("ge_s", "sge"), ("ge_u", "uge"),
        ):  # fmt: skip
            _compare(f"{ty}.{name}", f"icmp {predicate} {ty} {{0}}, {{1}}")
        for name in ("clz", "ctz"):
            llvm = f"call {ty} @llvm.{name.replace('clz', 'ctlz').replace('ctz', 'cttz')}"
            llvm = f"call {ty} @llvm.{'ctlz' if name == 'clz' else 'cttz'}.{ty}"
            _add(f"{ty}.{name}", ty, f"{llvm}({ty} {{0}}, i1 false)", 1)
        _add(f"{ty}.popcnt", ty, f"call {ty} @llvm.ctpop.{ty}({ty} {{0}})", 1)
        for name, funnel in (("rotl", "fshl"), ("rotr", "fshr")):
            call = f"call {ty} @llvm.{funnel}.{ty}({ty} {{0}}, {ty} {{0}}, {ty} {{1}})"
            _add(f"{ty}.{name}", ty, call, 2)
        for name, llvm in (("shl", "shl"), ("shr_s", "ashr"), ("shr_u", "lshr")):
            NUMERIC[f"{ty}.{name}"] = _shift(ty, llvm)
        for name, llvm in (
            ("div_s", "sdiv"), ("div_u", "udiv"), ("rem_s", "srem"), ("rem_u", "urem"),
        ):  # fmt: skip
            NUMERIC[f"{ty}.{name}"] = _divide(ty, llvm)
        for bits in (8, 16, 32):
            if bits < int(ty[1:]):
                NUMERIC[f"{ty}.extend{bits}_s"] = _extend(ty, bits)
    _add("i32.wrap_i64", "i32", "trunc i64 {0} to i32", 1)
    _add("i64.extend_i32_s", "i64", "sext i32 {0} to i64", 1)
    _add("i64.extend_i32_u", "i64", "zext i32 {0} to i64", 1)
    _add("i32.reinterpret_f32", "i32", "bitcast float {0} to i32", 1)
    _add("i64.reinterpret_f64", "i64", "bitcast double {0} to i64", 1)
    NUMERIC["f32.reinterpret_i32"] = _fenced("float", "bitcast i32 {0} to float")
    NUMERIC["f64.reinterpret_i64"] = _fenced("double", "bitcast i64 {0} to double")


def _shift(ty: str, llvm: str) -> Lowering:
    def lower(body: Body) -> None:
        value, count = body.pop_many(2)
        count = body.out.op(f"and {ty} {count}, {int(ty[1:]) - 1}")
        body.push(ty, body.out.op(f"{llvm} {ty} {value}, {count}"))

    return lower


def _extend(ty: str, bits: int) -> Lowering:
    def lower(body: Body) -> None:
        narrow = body.out.op(f"trunc {ty} {body.pop()} to i{bits}")
        body.push(ty, body.out.op(f"sext i{bits} {narrow} to {ty}"))

    return lower


def _divide(ty: str, llvm: str) -> Lowering:
    least = -(1 << (int(ty[1:]) - 1))

    def lower(body: Body) -> None:
        left, right = body.pop_many(2)
        out = body.out
        zero = out.op(f"icmp eq {ty} {right}, 0")
        body.trap_if(zero, TrapCode.INTEGER_DIVISION_BY_ZERO)
        if llvm == "sdiv":
            overflow = _overflows(body, ty, left, right, least)
            body.trap_if(overflow, TrapCode.INTEGER_OVERFLOW)
        elif llvm == "srem":
            # The least number modulo -1 is 0, but undefined in LLVM: divide by 1 there.
            overflow = _overflows(body, ty, left, right, least)
            right = out.op(f"select i1 {overflow}, {ty} 1, {ty} {right}")
        body.push(ty, out.op(f"{llvm} {ty} {left}, {right}"))

    return lower


def _overflows(body: Body, ty: str, left: str, right: str, least: int) -> str:
    is_least = body.out.op(f"icmp eq {ty} {left}, {least}")
    is_minus_one = body.out.op(f"icmp eq {ty} {right}, -1")
    return body.out.op(f"and i1 {is_least}, {is_minus_one}")


def _floats() -> None:
    for name, ty in _FLOATS.items():
        for op, llvm in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("div", "fdiv")):
            _add(f"{name}.{op}", ty, f"{llvm} {ty} {{0}}, {{1}}", 2)
        _add(f"{name}.neg", ty, f"fneg {ty} {{0}}", 1)
        for op, llvm in (
            ("abs", "fabs"), ("ceil", "ceil"), ("floor", "floor"), ("trunc", "trunc"),
            ("nearest", "roundeven"), ("sqrt", "sqrt"),
        ):  # fmt: skip
            NUMERIC[f"{name}.{op}"] = _unary_float(name, ty, llvm)
        _add(f"{name}.copysign", ty, f"call {ty} @llvm.copysign.{name}({ty} {{0}}, {ty} {{1}})", 2)
        for op, llvm in (("min", "minimum"), ("max", "maximum")):
            NUMERIC[f"{name}.{op}"] = _minmax(name, ty, llvm)
        for op, predicate in (
            ("eq", "oeq"), ("ne", "une"), ("lt", "olt"), ("gt", "ogt"), ("le", "ole"),
            ("ge", "oge"),
        ):  # fmt: skip
            _compare(f"{name}.{op}", f"fcmp {predicate} {ty} {{0}}, {{1}}")
        for source in ("i32", "i64"):
            for sign, llvm in (("s", "sitofp"), ("u", "uitofp")):
                template = f"{llvm} {source} {{0}} to {ty}"
                NUMERIC[f"{name}.convert_{source}_{sign}"] = _fenced(ty, template)
        for target in ("i32", "i64"):
            for sign in "su":
                NUMERIC[f"{target}.trunc_{name}_{sign}"] = _truncate(target, name, ty, sign)
                call = f"call {target} @llvm.fpto{sign}i.sat.{target}.{name}({ty} {{0}})"
                _add(f"{target}.trunc_sat_{name}_{sign}", target, call, 1)
    # LLVM takes a conversion there and back for none.
    NUMERIC["f32.demote_f64"] = _fenced("float", "fptrunc double {0} to float")
    NUMERIC["f64.promote_f32"] = _fenced("double", "fpext float {0} to double")


def _unary_float(name: str, ty: str, llvm: str) -> Lowering:
    # `fabs` works on bits and keeps any NaN; the others are arithmetic and quiet it, which
    # multiplying by one does without changing anything else.
    def lower(body: Body) -> None:
        value = body.pop()
        if llvm in ("ceil", "floor", "trunc", "roundeven"):
            one = body.out.op(fence(ty, "1.0"))
            value = body.out.op(f"fmul {ty} {value}, {one}")
        body.push(ty, body.out.op(f"call {ty} @llvm.{llvm}.{name}({ty} {value})"))

    return lower


def _fenced(ty: str, template: str) -> Lowering:
    def lower(body: Body) -> None:
        body.push(ty, body.out.op(fence(ty, body.out.op(template.format(body.pop())))))

    return lower


def _minmax(name: str, ty: str, llvm: str) -> Lowering:
    def lower(body: Body) -> None:
        left, right = body.pop_many(2)
        out = body.out
        result = out.op(f"call {ty} @llvm.{llvm}.{name}({ty} {left}, {ty} {right})")
        # Adding the operands gives a quiet NaN whenever one of them is a NaN of any kind.
        unordered = out.op(f"fcmp uno {ty} {left}, {right}")
        quiet = out.op(f"fadd {ty} {left}, {right}")
        body.push(ty, out.op(f"select i1 {unordered}, {ty} {quiet}, {ty} {result}"))

    return lower


def _truncate(target: str, name: str, ty: str, sign: str) -> Lowering:
    bits = int(target[1:])
    # The open interval of floats whose truncation fits, as exact values: the lower end is not
    # always a float, in which case the largest float below it does.
    high = 2.0 ** (bits - 1 if sign == "s" else bits)
    if sign == "u":
        low = -1.0
    elif bits == 32 and name == "f64":
        low = -(2.0**31) - 1.0
    else:
        low = None
    floor = -(2.0 ** (bits - 1))

    def lower(body: Body) -> None:
        value = body.pop()
        out = body.out
        nan = out.op(f"fcmp uno {ty} {value}, {value}")
        body.trap_if(nan, TrapCode.BAD_CONVERSION_TO_INTEGER)
        above = out.op(f"fcmp oge {ty} {value}, {_hex(high)}")
        if low is None:
            below = out.op(f"fcmp olt {ty} {value}, {_hex(floor)}")
        else:
            below = out.op(f"fcmp ole {ty} {value}, {_hex(low)}")
        body.trap_if(out.op(f"or i1 {above}, {below}"), TrapCode.INTEGER_OVERFLOW)
        llvm = "fptosi" if sign == "s" else "fptoui"
        body.push(target, out.op(f"{llvm} {ty} {value} to {target}"))

    return lower


def _hex(value: float) -> str:
    import struct

    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _wide() -> None:
    def pair(name: str, llvm: str) -> None:
        def lower(body: Body) -> None:
            out = body.out
            low1, high1, low2, high2 = body.pop_many(4)
            left, right = _wide_join(body, low1, high1), _wide_join(body, low2, high2)
            _wide_split(body, out.op(f"{llvm} i128 {left}, {right}"))

        NUMERIC[name] = lower

    def multiply(name: str, extend: str) -> None:
        def lower(body: Body) -> None:
            out = body.out
            left, right = (out.op(f"{extend} i64 {v} to i128") for v in body.pop_many(2))
            _wide_split(body, out.op(f"mul i128 {left}, {right}"))

        NUMERIC[name] = lower

    pair("i64.add128", "add")
    pair("i64.sub128", "sub")
    multiply("i64.mul_wide_s", "sext")
    multiply("i64.mul_wide_u", "zext")


def _wide_join(body: Body, low: str, high: str) -> str:
    out = body.out
    wide_low = out.op(f"zext i64 {low} to i128")
    wide_high = out.op(f"zext i64 {high} to i128")
    shifted = out.op(f"shl i128 {wide_high}, 64")
    return out.op(f"or i128 {wide_low}, {shifted}")


def _wide_split(body: Body, value: str) -> None:
    out = body.out
    body.push("i64", out.op(f"trunc i128 {value} to i64"))
    shifted = out.op(f"lshr i128 {value}, 64")
    body.push("i64", out.op(f"trunc i128 {shifted} to i64"))


_integers()
_floats()
_wide()
