"""Vector instructions on floats as LLVM IR, lane by lane as in `numeric`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .lower_simd import (
    HOST,
    SIMD,
    V128,
    Build,
    access_lanes,
    cast,
    constant,
    define,
    extract_lane,
    integers,
    mask_of,
    pick,
    short,
)
from .opaque import fence

if TYPE_CHECKING:
    from .body import Body
    from .emit import Emitter

_SINGLES: Final = "<4 x float>"
_DOUBLES: Final = "<2 x double>"
_PAIR: Final = "<2 x float>"
_SHAPES: Final = {
    "f32x4": (_SINGLES, "float", 0x3F80_0000),
    "f64x2": (_DOUBLES, "double", 0x3FF0_0000_0000_0000),
}


def _fence(out: Emitter, ty: str, value: str) -> str:
    return out.op(fence(ty, value))


# Constants -------------------------------------------------------------------------------------


def _const(body: Body, imms: tuple[Any, ...]) -> None:
    low, high = (int.from_bytes(half, "little") for half in (imms[0][:8], imms[0][8:]))
    body.push(V128, f"<i64 {low}, i64 {high}>")


SIMD["v128.const"] = _const


# Lanes by themselves ---------------------------------------------------------------------------


def _lanewise(shape: str) -> None:
    ty, element, one = _SHAPES[shape]
    two = (ty, ty)
    suffix = short(ty)
    bits = 32 if element == "float" else 64
    mask = integers(bits)
    access_lanes(shape, ty, element, element)
    extract_lane(f"{shape}.extract_lane", ty, element)
    for name in ("add", "sub", "mul", "div"):
        define(f"{shape}.{name}", two, ty, f"f{name} {ty} {{0}}, {{1}}", is_arithmetic=True)
    define(f"{shape}.neg", (ty,), ty, f"fneg {ty} {{0}}")
    define(f"{shape}.abs", (ty,), ty, f"call {ty} @llvm.fabs.{suffix}({ty} {{0}})")
    define(f"{shape}.sqrt", (ty,), ty, f"call {ty} @llvm.sqrt.{suffix}({ty} {{0}})")
    for name, llvm in (
        ("ceil", "ceil"), ("floor", "floor"), ("trunc", "trunc"), ("nearest", "roundeven"),
    ):  # fmt: skip
        define(f"{shape}.{name}", (ty,), ty, _round(ty, mask, one, llvm))
    for name, llvm, predicate in (("min", "minimum", "olt"), ("max", "maximum", "ogt")):
        for row in (name, f"relaxed_{name}"):
            define(f"{shape}.{row}", two, ty, _extreme(ty, llvm), is_arithmetic=True)
        define(f"{shape}.p{name}", two, ty, _pseudo(ty, predicate))
    for name, predicate in (
        ("eq", "oeq"), ("ne", "une"), ("lt", "olt"), ("gt", "ogt"), ("le", "ole"), ("ge", "oge"),
    ):  # fmt: skip
        define(f"{shape}.{name}", two, mask, mask_of(ty, f"fcmp {predicate}", mask))
    for name, negate in (("madd", False), ("nmadd", True)):
        build = _multiply_add(ty, negate=negate)
        define(f"{shape}.relaxed_{name}", (ty,) * 3, ty, build, is_arithmetic=True)


def _round(ty: str, mask: str, one: int, llvm: str) -> Build:
    # Multiplying by one quiets a NaN; see `numeric`.
    def build(out: Emitter, value: str) -> str:
        ones = _fence(out, ty, cast(out, constant(mask, one), mask, ty))
        value = out.op(f"fmul {ty} {value}, {ones}")
        return out.op(f"call {ty} @llvm.{llvm}.{short(ty)}({ty} {value})")

    return build


def _extreme(ty: str, llvm: str) -> Build:
    flags = f"{ty.split()[0]} x i1>"

    def build(out: Emitter, left: str, right: str) -> str:
        call = f"call nnan {ty} @llvm.{llvm}.{short(ty)}({ty} {left}, {ty} {right})"
        result = out.op(call)
        # Where a lane is a NaN, the result above does not count: the sum is one, and quiet.
        unordered = out.op(f"fcmp uno {ty} {left}, {right}")
        quiet = out.op(f"fadd {ty} {left}, {right}")
        return out.op(f"select {flags} {unordered}, {ty} {quiet}, {ty} {result}")

    return build


def _pseudo(ty: str, predicate: str) -> Build:
    """`right` where it is less (or greater), else `left`, NaN or not."""
    flags = f"{ty.split()[0]} x i1>"

    def build(out: Emitter, left: str, right: str) -> str:
        better = out.op(f"fcmp {predicate} {ty} {right}, {left}")
        return out.op(f"select {flags} {better}, {ty} {right}, {ty} {left}")

    return build


def _multiply_add(ty: str, *, negate: bool) -> Build:
    def build(out: Emitter, left: str, right: str, addend: str) -> str:
        if negate:
            left = out.op(f"fneg {ty} {left}")
        return out.op(f"fadd {ty} {out.op(f'fmul {ty} {left}, {right}')}, {addend}")

    return build


# Conversions -----------------------------------------------------------------------------------


def _conversions() -> None:
    ints = integers(32)
    for sign in "su":
        convert = f"{sign}itofp"
        text = f"{convert} {ints} {{0}} to {_SINGLES}"
        define(f"f32x4.convert_i32x4_{sign}", (ints,), _SINGLES, text)
        define(f"f64x2.convert_low_i32x4_{sign}", (ints,), _DOUBLES, _convert_low(convert))
        truncate = truncate_neon if HOST == "neon" else truncate_anywhere
        for name in ("trunc_sat", "relaxed_trunc"):
            row = f"i32x4.{name}_f32x4_{sign}"
            define(row, (_SINGLES,), ints, truncate(_SINGLES, sign))
            row = f"i32x4.{name}_f64x2_{sign}_zero"
            define(row, (_DOUBLES,), ints, truncate(_DOUBLES, sign))
    define("f32x4.demote_f64x2_zero", (_DOUBLES,), _SINGLES, _demote)
    define("f64x2.promote_low_f32x4", (_SINGLES,), _DOUBLES, _promote)


def _convert_low(convert: str) -> Build:
    def build(out: Emitter, value: str) -> str:
        low = pick(out, integers(32), value, "poison", range(2))
        return out.op(f"{convert} <2 x i32> {low} to {_DOUBLES}")

    return build


def truncate_anywhere(ty: str, sign: str) -> Build:
    """Converts what fits, and says what the rest becomes; LLVM's own goes lane by lane on x86."""
    count = ty.strip("<").split()[0]
    result, flags = f"<{count} x i32>", f"<{count} x i1>"
    least, beyond, most = (
        (-(2.0**31), 2.0**31, 2**31 - 1) if sign == "s" else (0.0, 2.0**32, 2**32 - 1)
    )

    def build(out: Emitter, value: str) -> str:
        # Out of range, some number or other.
        found = out.op(f"fpto{sign}i {ty} {value} to {result}")
        found = out.op(f"freeze {result} {found}")
        for test, limit, instead in (
            ("oge", beyond, most),
            ("olt", least, int(least)),
            ("uno", 0.0, 0),
        ):
            outside = out.op(f"fcmp {test} {ty} {value}, {constant(ty, limit)}")
            other = constant(result, instead)
            found = out.op(f"select {flags} {outside}, {result} {other}, {result} {found}")
        return found if count == "4" else pick(out, result, found, "zeroinitializer", range(4))

    return build


def truncate_neon(ty: str, sign: str) -> Build:
    count = ty.strip("<").split()[0]
    result = f"<{count} x i32>"

    def build(out: Emitter, value: str) -> str:
        name = f"@llvm.fpto{sign}i.sat.{short(result)}.{short(ty)}"
        found = out.op(f"call {result} {name}({ty} {value})")
        return found if count == "4" else pick(out, result, found, "zeroinitializer", range(4))

    return build


# Results are fenced because LLVM takes a conversion there and back for none.
def _demote(out: Emitter, value: str) -> str:
    low = _fence(out, _PAIR, out.op(f"fptrunc {_DOUBLES} {value} to {_PAIR}"))
    return pick(out, _PAIR, low, "zeroinitializer", range(4))


def _promote(out: Emitter, value: str) -> str:
    low = pick(out, _SINGLES, value, "poison", range(2))
    return _fence(out, _DOUBLES, out.op(f"fpext {_PAIR} {low} to {_DOUBLES}"))


for _shape in _SHAPES:
    _lanewise(_shape)
_conversions()
