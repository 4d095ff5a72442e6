"""Vector instructions on integers, bits and lanes as LLVM IR; floats are in `lower_simd_float`.

A v128 is held as `<2 x i64>`; each lowering casts it to the lanes that it works on, which costs
nothing.  Results are those of `isa.simd`, the relaxed instructions' included.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .opaque import fence, loaded

if TYPE_CHECKING:
    from .body import Body
    from .emit import Emitter

V128: Final = "<2 x i64>"
SHAPES: Final = {8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2"}
_ELEMENTS: Final = {"float": "f32", "double": "f64"}
SIMD: Final[dict[str, Callable[["Body", tuple[Any, ...]], None]]] = {}
# What computes a result from operands and immediates.
Build = Callable[..., str]


# Whose instructions beyond LLVM's own may be used.  A processor without SSSE3 is refused by
# `compiler`, and 64-bit ARM always has Neon.
_HOSTS: Final = {"x86_64": "ssse3", "AMD64": "ssse3", "aarch64": "neon", "arm64": "neon"}
HOST: Final = _HOSTS.get(platform.machine(), "")


def lanes_type(lanes: int, element: str) -> str:
    """The IR type of a vector."""
    return f"<{lanes} x {element}>"


def integers(bits: int) -> str:
    """The IR type of a v128 of integer lanes."""
    return lanes_type(128 // bits, f"i{bits}")


def short(ty: str) -> str:
    """A vector type as names of intrinsics have it: `v4i32` for `<4 x i32>`."""
    count, _, element = ty.strip("<>").split()
    return f"v{count}{_ELEMENTS.get(element, element)}"


def constant(ty: str, value: float) -> str:
    """A constant vector with all lanes the same."""
    count, _, element = ty.strip("<>").split()
    return f"<{', '.join([f'{element} {value}'] * int(count))}>"


def cast(out: Emitter, value: str, source: str, target: str) -> str:
    """The same 128 bits as another type."""
    return value if source == target else out.op(f"bitcast {source} {value} to {target}")


def _is_vector(ty: str) -> bool:
    return ty.startswith("<")


def define(
    name: str,
    operands: tuple[str, ...],
    result: str,
    build: Build | str,
    *,
    is_arithmetic: bool = False,
) -> None:
    """Make the lowering of the row `name`.

    `operands` and `result` are IR types; a vector of any type is a v128, cast to it, and `i1`
    stands for the i32 0 or 1.  `build` is an instruction over the operands `{0}`, `{1}` … or
    makes the result from an emitter, the operands and the immediates.  Operands of arithmetic on
    floats are made opaque.
    """

    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        out = body.out
        values = body.pop_many(len(operands))
        given = values
        values = [
            cast(out, value, V128, ty) if _is_vector(ty) else value
            for value, ty in zip(given, operands, strict=True)
        ]
        if is_arithmetic:
            for number, (value, ty) in enumerate(zip(given, operands, strict=True)):
                if value not in body.computed:
                    hide = loaded if value in body.loaded else fence
                    values[number] = out.op(hide(ty, values[number]))
        if isinstance(build, str):
            value = out.op(build.format(*values))
        else:
            value = build(out, *values, *imms)
        if _is_vector(result):
            pushed = cast(out, value, result, V128)
            if is_arithmetic:
                body.computed.add(pushed)
            body.push(V128, pushed)
        elif result in ("float", "double"):
            body.push(result, out.op(fence(result, value)))
        else:
            body.push(result, value)

    SIMD[name] = lower


def fill(out: Emitter, ty: str, element: str, value: str) -> str:
    """A vector with `value`, an IR value of type `element`, in all lanes."""
    count = ty.strip("<").split()[0]
    first = out.op(f"insertelement {ty} poison, {element} {value}, i64 0")
    return out.op(f"shufflevector {ty} {first}, {ty} poison, <{count} x i32> zeroinitializer")


def pick(out: Emitter, ty: str, left: str, right: str, lanes: range | list[int]) -> str:
    """The lanes with these numbers of two vectors, one after the other."""
    listed = ", ".join(f"i32 {lane}" for lane in lanes)
    mask = f"<{len(lanes)} x i32> <{listed}>"
    return out.op(f"shufflevector {ty} {left}, {ty} {right}, {mask}")


# Lanes by themselves ---------------------------------------------------------------------------


def _arithmetic(bits: int) -> None:
    shape, ty = SHAPES[bits], integers(bits)
    two = (ty, ty)
    suffix = short(ty)
    for name in ("add", "sub", "mul") if bits > 8 else ("add", "sub"):
        define(f"{shape}.{name}", two, ty, f"{name} {ty} {{0}}, {{1}}")
    define(f"{shape}.neg", (ty,), ty, f"sub {ty} zeroinitializer, {{0}}")
    define(f"{shape}.abs", (ty,), ty, f"call {ty} @llvm.abs.{suffix}({ty} {{0}}, i1 false)")
    for name, llvm_name in (("shl", "shl"), ("shr_s", "ashr"), ("shr_u", "lshr")):
        define(f"{shape}.{name}", (ty, "i32"), ty, _shift(ty, bits, llvm_name))
    for sign in "su":
        if bits < 64:
            for name in ("min", "max"):
                call = f"call {ty} @llvm.{sign}{name}.{suffix}({ty} {{0}}, {ty} {{1}})"
                define(f"{shape}.{name}_{sign}", two, ty, call)
        if bits < 32:
            for name in ("add", "sub"):
                call = f"call {ty} @llvm.{sign}{name}.sat.{suffix}({ty} {{0}}, {ty} {{1}})"
                define(f"{shape}.{name}_sat_{sign}", two, ty, call)
    if bits < 32:
        define(f"{shape}.avgr_u", two, ty, _average(bits))


def _shift(ty: str, bits: int, llvm_name: str) -> Build:
    def build(out: Emitter, value: str, count: str) -> str:
        count = out.op(f"and i32 {count}, {bits - 1}")
        if bits != 32:
            count = out.op(f"{'trunc' if bits < 32 else 'zext'} i32 {count} to i{bits}")
        return out.op(f"{llvm_name} {ty} {value}, {fill(out, ty, f'i{bits}', count)}")

    return build


def _average(bits: int) -> Build:
    ty, wide = integers(bits), lanes_type(128 // bits, f"i{bits * 2}")
    one = constant(wide, 1)

    def build(out: Emitter, left: str, right: str) -> str:
        left, right = (out.op(f"zext {ty} {value} to {wide}") for value in (left, right))
        total = out.op(f"add {wide} {out.op(f'add {wide} {left}, {right}')}, {one}")
        return out.op(f"trunc {wide} {out.op(f'lshr {wide} {total}, {one}')} to {ty}")

    return build


def _compare(bits: int) -> None:
    shape, ty = SHAPES[bits], integers(bits)
    predicates = ["eq eq", "ne ne", "lt_s slt", "gt_s sgt", "le_s sle", "ge_s sge"]
    if bits < 64:
        predicates += ["lt_u ult", "gt_u ugt", "le_u ule", "ge_u uge"]
    for names in predicates:
        name, predicate = names.split()
        define(f"{shape}.{name}", (ty, ty), ty, mask_of(ty, f"icmp {predicate}", ty))


def mask_of(ty: str, comparison: str, result: str) -> Build:
    """Lanes of ones where `comparison` holds for lanes of type `ty`, of zeros elsewhere."""
    flags = lanes_type(int(ty.strip("<").split()[0]), "i1")

    def build(out: Emitter, left: str, right: str) -> str:
        found = out.op(f"{comparison} {ty} {left}, {right}")
        return out.op(f"sext {flags} {found} to {result}")

    return build


def _reductions(bits: int) -> None:
    shape, ty, lanes = SHAPES[bits], integers(bits), 128 // bits
    flags = lanes_type(lanes, "i1")

    def all_true(out: Emitter, value: str) -> str:
        found = out.op(f"icmp ne {ty} {value}, zeroinitializer")
        return out.op(f"call i1 @llvm.vector.reduce.and.v{lanes}i1({flags} {found})")

    def bitmask(out: Emitter, value: str) -> str:
        found = out.op(f"icmp slt {ty} {value}, zeroinitializer")
        together = out.op(f"bitcast {flags} {found} to i{lanes}")
        return out.op(f"zext i{lanes} {together} to i32")

    define(f"{shape}.all_true", (ty,), "i1", all_true)
    define(f"{shape}.bitmask", (ty,), "i32", bitmask)


# Lanes in and out ------------------------------------------------------------------------------


def access_lanes(shape: str, ty: str, element: str, scalar: str) -> None:
    """`splat` and `replace_lane`; lanes are `element`s, and scalars `scalar`s, maybe wider."""

    def narrow(out: Emitter, value: str) -> str:
        return value if scalar == element else out.op(f"trunc {scalar} {value} to {element}")

    def splat(out: Emitter, value: str) -> str:
        return fill(out, ty, element, narrow(out, value))

    def replace(out: Emitter, vector: str, value: str, lane: int) -> str:
        value = narrow(out, value)
        return out.op(f"insertelement {ty} {vector}, {element} {value}, i64 {lane}")

    define(f"{shape}.splat", (scalar,), ty, splat)
    define(f"{shape}.replace_lane", (ty, scalar), ty, replace)


def extract_lane(name: str, ty: str, result: str, extend: str | None = None) -> None:
    """An `extract_lane`, widened by the instruction `extend` if there is one."""

    def extract(out: Emitter, vector: str, lane: int) -> str:
        value = out.op(f"extractelement {ty} {vector}, i64 {lane}")
        element = ty.strip("<>").split()[-1]
        return out.op(f"{extend} {element} {value} to {result}") if extend else value

    define(name, (ty,), result, extract)


_BYTES: Final = integers(8)


def _shuffle(out: Emitter, left: str, right: str, lanes: bytes) -> str:
    return pick(out, _BYTES, left, right, list(lanes))


def swizzle_anywhere(out: Emitter, vector: str, lanes: str) -> str:
    """By way of memory, which any processor can index."""
    slot = out.alloca(_BYTES)
    out.do(f"store {_BYTES} {vector}, ptr {slot}")
    found = "poison"
    for number in range(16):
        lane = out.op(f"extractelement {_BYTES} {lanes}, i64 {number}")
        index = out.op(f"zext i8 {out.op(f'and i8 {lane}, 15')} to i64")
        byte = out.op(f"load i8, ptr {out.op(f'getelementptr i8, ptr {slot}, i64 {index}')}")
        found = out.op(f"insertelement {_BYTES} {found}, i8 {byte}, i64 {number}")
    inside = out.op(f"icmp ult {_BYTES} {lanes}, {constant(_BYTES, 16)}")
    return out.op(f"select <16 x i1> {inside}, {_BYTES} {found}, {_BYTES} zeroinitializer")


def swizzle_ssse3(out: Emitter, vector: str, lanes: str) -> str:
    """`pshufb` gives zero for lanes with their top bit set, and ignores the other high bits."""
    beyond = constant(_BYTES, 112)
    lanes = out.op(f"call {_BYTES} @llvm.uadd.sat.v16i8({_BYTES} {lanes}, {_BYTES} {beyond})")
    intrinsic = "@llvm.x86.ssse3.pshuf.b.128"
    return out.op(f"call {_BYTES} {intrinsic}({_BYTES} {vector}, {_BYTES} {lanes})")


def swizzle_neon(out: Emitter, vector: str, lanes: str) -> str:
    intrinsic = "@llvm.aarch64.neon.tbl1.v16i8"
    return out.op(f"call {_BYTES} {intrinsic}({_BYTES} {vector}, {_BYTES} {lanes})")


# Lanes of two widths ---------------------------------------------------------------------------


def _widening(narrow: int) -> None:
    wide = narrow * 2
    source, target = SHAPES[narrow], SHAPES[wide]
    ty, result = integers(narrow), integers(wide)
    half = 128 // wide
    for sign, extend in (("s", "sext"), ("u", "zext")):
        for part, start in (("low", 0), ("high", half)):
            suffix = f"{part}_{source}_{sign}"
            widen = _half(ty, range(start, start + half), extend, result)
            define(f"{target}.extend_{suffix}", (ty,), result, widen)
            define(f"{target}.extmul_{suffix}", (ty, ty), result, _product(widen, result))
        if narrow < 32:
            name = f"extadd_pairwise_{source}_{sign}"
            define(f"{target}.{name}", (result,), result, _add_pairs(wide, sign))
            name = f"{source}.narrow_{target}_{sign}"
            define(name, (result, result), ty, _narrow(narrow, sign))


def _half(ty: str, lanes: range, extend: str, result: str) -> Build:
    half = lanes_type(len(lanes), ty.strip("<>").split()[-1])

    def build(out: Emitter, value: str) -> str:
        return out.op(f"{extend} {half} {pick(out, ty, value, 'poison', lanes)} to {result}")

    return build


def _product(widen: Build, result: str) -> Build:
    def build(out: Emitter, left: str, right: str) -> str:
        return out.op(f"mul {result} {widen(out, left)}, {widen(out, right)}")

    return build


def _add_pairs(wide: int, sign: str) -> Build:
    """Adds the two halves of each lane, where they stand."""
    ty, narrow = integers(wide), wide // 2
    count = constant(ty, narrow)
    right = "ashr" if sign == "s" else "lshr"

    def build(out: Emitter, value: str) -> str:
        high = out.op(f"{right} {ty} {value}, {count}")
        low = out.op(f"{right} {ty} {out.op(f'shl {ty} {value}, {count}')}, {count}")
        return out.op(f"add {ty} {low}, {high}")

    return build


def _narrow(bits: int, sign: str) -> Build:
    lanes = 128 // bits
    source = integers(bits * 2)
    both, ty = lanes_type(lanes, f"i{bits * 2}"), integers(bits)
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if sign == "s" else (0, (1 << bits) - 1)

    def build(out: Emitter, left: str, right: str) -> str:
        value = pick(out, source, left, right, range(lanes))
        for name, bound in (("smax", low), ("smin", high)):
            limit = constant(both, bound)
            call = f"call {both} @llvm.{name}.{short(both)}"
            value = out.op(f"{call}({both} {value}, {both} {limit})")
        return out.op(f"trunc {both} {value} to {ty}")

    return build


def _dot(narrow: int) -> Build:
    """Sums of two neighbouring products, which wrap around."""
    lanes = 128 // narrow
    ty, wide = integers(narrow), lanes_type(lanes, f"i{narrow * 2}")
    result = integers(narrow * 2)

    def build(out: Emitter, left: str, right: str) -> str:
        left, right = (out.op(f"sext {ty} {value} to {wide}") for value in (left, right))
        products = out.op(f"mul {wide} {left}, {right}")
        even = pick(out, wide, products, "poison", range(0, lanes, 2))
        odd = pick(out, wide, products, "poison", range(1, lanes, 2))
        return out.op(f"add {result} {even}, {odd}")

    return build


def _dot_add(out: Emitter, left: str, right: str, total: str) -> str:
    dots = _dot(8)(out, left, right)
    pairs = _add_pairs(32, "s")(out, cast(out, dots, integers(16), integers(32)))
    return out.op(f"add <4 x i32> {pairs}, {total}")


# Products of fractions of 15 bits, doubled, rounded and halved in width.  Only -1 times -1 is
# out of range.


def q15mulr_anywhere(out: Emitter, left: str, right: str) -> str:
    ty, wide = integers(16), "<8 x i32>"
    left, right = (out.op(f"sext {ty} {value} to {wide}") for value in (left, right))
    product = out.op(f"mul {wide} {left}, {right}")
    rounded = out.op(f"add {wide} {product}, {constant(wide, 0x4000)}")
    found = out.op(f"ashr {wide} {rounded}, {constant(wide, 15)}")
    most = constant(wide, 32767)
    found = out.op(f"call {wide} @llvm.smin.v8i32({wide} {found}, {wide} {most})")
    return out.op(f"trunc {wide} {found} to {ty}")


def q15mulr_ssse3(out: Emitter, left: str, right: str) -> str:
    """`pmulhrsw` wraps around, and to no other result than -1 times -1 gives the least number."""
    ty = integers(16)
    found = out.op(f"call {ty} @llvm.x86.ssse3.pmul.hr.sw.128({ty} {left}, {ty} {right})")
    over = out.op(f"icmp eq {ty} {found}, {constant(ty, -32768)}")
    return out.op(f"xor {ty} {found}, {out.op(f'sext <8 x i1> {over} to {ty}')}")


def q15mulr_neon(out: Emitter, left: str, right: str) -> str:
    ty = integers(16)
    return out.op(f"call {ty} @llvm.aarch64.neon.sqrdmulh.v8i16({ty} {left}, {ty} {right})")


# Bits ------------------------------------------------------------------------------------------


def _bitselect(out: Emitter, left: str, right: str, mask: str) -> str:
    chosen = out.op(f"and {V128} {left}, {mask}")
    inverse = out.op(f"xor {V128} {mask}, {constant(V128, -1)}")
    return out.op(f"or {V128} {chosen}, {out.op(f'and {V128} {right}, {inverse}')}")


def _and_not(out: Emitter, left: str, right: str) -> str:
    inverse = out.op(f"xor {V128} {right}, {constant(V128, -1)}")
    return out.op(f"and {V128} {left}, {inverse}")


def _any_true(out: Emitter, value: str) -> str:
    return out.op(f"icmp ne i128 {out.op(f'bitcast {V128} {value} to i128')}, 0")


def _register() -> None:
    for bits, shape in SHAPES.items():
        ty = integers(bits)
        _arithmetic(bits)
        _compare(bits)
        _reductions(bits)
        scalar = f"i{max(32, bits)}"
        access_lanes(shape, ty, f"i{bits}", scalar)
        if bits < 32:
            extract_lane(f"{shape}.extract_lane_s", ty, scalar, "sext")
            extract_lane(f"{shape}.extract_lane_u", ty, scalar, "zext")
        else:
            extract_lane(f"{shape}.extract_lane", ty, scalar)
        if bits < 64:
            _widening(bits)
        define(f"{shape}.relaxed_laneselect", (V128,) * 3, V128, _bitselect)
    two = (V128, V128)
    define("v128.not", (V128,), V128, f"xor {V128} {{0}}, {constant(V128, -1)}")
    for name in ("and", "or", "xor"):
        define(f"v128.{name}", two, V128, f"{name} {V128} {{0}}, {{1}}")
    define("v128.andnot", two, V128, _and_not)
    define("v128.bitselect", (V128,) * 3, V128, _bitselect)
    define("v128.any_true", (V128,), "i1", _any_true)
    count = f"call {_BYTES} @llvm.ctpop.v16i8({_BYTES} {{0}})"
    define("i8x16.popcnt", (_BYTES,), _BYTES, count)
    define("i8x16.shuffle", (_BYTES, _BYTES), _BYTES, _shuffle)
    swizzle = {"ssse3": swizzle_ssse3, "neon": swizzle_neon}.get(HOST, swizzle_anywhere)
    for name in ("i8x16.swizzle", "i8x16.relaxed_swizzle"):
        define(name, (_BYTES, _BYTES), _BYTES, swizzle)
    words = integers(16)
    q15mulr = {"ssse3": q15mulr_ssse3, "neon": q15mulr_neon}.get(HOST, q15mulr_anywhere)
    for name in ("i16x8.q15mulr_sat_s", "i16x8.relaxed_q15mulr_s"):
        define(name, (words, words), words, q15mulr)
    define("i32x4.dot_i16x8_s", (words, words), integers(32), _dot(16))
    define("i16x8.relaxed_dot_i8x16_i7x16_s", (_BYTES, _BYTES), words, _dot(8))
    name = "i32x4.relaxed_dot_i8x16_i7x16_add_s"
    define(name, (_BYTES, _BYTES, integers(32)), integers(32), _dot_add)


_register()
