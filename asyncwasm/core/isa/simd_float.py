"""Reference semantics of the vector instructions on floats; part of `simd`.

NaNs are treated as in `numeric`, lane by lane.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from . import numeric
from .numeric import Reference, f32_from_bits, f32_to_bits
from .simd_lanes import Templates

_SHAPES: Final = {"f": "f32x4", "d": "f64x2"}
_BITS: Final = {"f": "I", "d": "Q"}


def _lanewise() -> Mapping[str, Reference]:
    templates = Templates()
    add = templates.add
    for code, shape in _SHAPES.items():
        bits = _BITS[code]
        sign = 1 << (31 if code == "f" else 63)
        mask = sign * 2 - 1
        for name, operator in zip(
            "eq ne lt gt le ge".split(), "== != < > <= >=".split(), strict=True
        ):
            add(f"{shape}.{name}", code * 2, bits, f"{mask} if {{a}} {operator} {{b}} else 0")
        # On bits, for a NaN in a lane may be signalling and must stay so.
        add(f"{shape}.abs", bits, bits, f"{{a}} & {sign - 1}")
        add(f"{shape}.neg", bits, bits, f"{{a}} ^ {sign}")
        for name, operator in (("add", "+"), ("sub", "-"), ("mul", "*")):
            add(f"{shape}.{name}", code * 2, code, f"{{a}} {operator} {{b}}")
        for name in ("div", "min", "max"):
            add(f"{shape}.{name}", code * 2, code, f"{name}({{a}}, {{b}})")
        for name in ("min", "max"):
            add(f"{shape}.relaxed_{name}", code * 2, code, f"{name}({{a}}, {{b}})")
        for name in ("sqrt", "ceil", "floor", "trunc", "nearest"):
            add(f"{shape}.{name}", code, code, f"{name}({{a}})")
    # Doubles keep their NaNs when unpacked and packed; for singles see below.
    add("f64x2.pmin", "dd", "d", "{b} if {b} < {a} else {a}")
    add("f64x2.pmax", "dd", "d", "{b} if {a} < {b} else {a}")
    # The product is rounded by itself, so for singles the sum needs a rounded product.
    add("f32x4.relaxed_madd", "fff", "f", "single({a} * {b}) + {c}")
    add("f32x4.relaxed_nmadd", "fff", "f", "single(-{a} * {b}) + {c}")
    add("f64x2.relaxed_madd", "ddd", "d", "{a} * {b} + {c}")
    add("f64x2.relaxed_nmadd", "ddd", "d", "-{a} * {b} + {c}")
    for name in ("trunc_sat", "relaxed_trunc"):
        for sign_letter in "su":
            lane = f"trunc_sat_{sign_letter}({{a}})"
            add(f"i32x4.{name}_f32x4_{sign_letter}", "f", "I", lane)
            halves = [f"trunc_sat_{sign_letter}(a{i})" for i in (0, 1)]
            add(f"i32x4.{name}_f64x2_{sign_letter}_zero", "d", "I", [*halves, "0", "0"])
    add("f32x4.convert_i32x4_s", "i", "f", "{a}")
    add("f32x4.convert_i32x4_u", "I", "f", "{a}")
    add("f64x2.convert_low_i32x4_s", "i", "d", "{a}")
    add("f64x2.convert_low_i32x4_u", "I", "d", "{a}")
    add("f32x4.demote_f64x2_zero", "d", "f", ["a0", "a1", "0.0", "0.0"])
    add("f64x2.promote_low_f32x4", "f", "d", "{a}")
    return templates.compile(
        single=numeric.round_f32,
        div=numeric.f64_div,
        min=numeric.f64_min,
        max=numeric.f64_max,
        sqrt=numeric.f64_sqrt,
        ceil=numeric.f64_ceil,
        floor=numeric.f64_floor,
        trunc=numeric.f64_trunc,
        nearest=numeric.f64_nearest,
        trunc_sat_s=numeric.trunc_sat(32, True),
        trunc_sat_u=numeric.trunc_sat(32, False),
    )


_bits = struct.Struct("<4I").unpack
_floats = struct.Struct("<4f").unpack
_pack_bits = struct.Struct("<4I").pack


# Pseudo minimum and maximum compare floats, but move a lane's bits unchanged.
def _f32x4_pmin(x: bytes, y: bytes) -> bytes:
    lanes = zip(_floats(x), _floats(y), _bits(x), _bits(y), strict=True)
    return _pack_bits(*[d if b < a else c for a, b, c, d in lanes])


def _f32x4_pmax(x: bytes, y: bytes) -> bytes:
    lanes = zip(_floats(x), _floats(y), _bits(x), _bits(y), strict=True)
    return _pack_bits(*[d if a < b else c for a, b, c, d in lanes])


_unpack_single_bits = struct.Struct("<I").unpack_from
_unpack_double = struct.Struct("<d").unpack_from
_pack_double = struct.Struct("<d").pack


def _f32x4_splat(x: float) -> bytes:
    return f32_to_bits(x).to_bytes(4, "little") * 4


def _f32x4_extract_lane(x: bytes, lane: int) -> float:
    return f32_from_bits(_unpack_single_bits(x, lane * 4)[0])


def _f32x4_replace_lane(x: bytes, value: float, lane: int) -> bytes:
    start = lane * 4
    return x[:start] + f32_to_bits(value).to_bytes(4, "little") + x[start + 4 :]


def _f64x2_splat(x: float) -> bytes:
    return _pack_double(x) * 2


def _f64x2_extract_lane(x: bytes, lane: int) -> float:
    value: float = _unpack_double(x, lane * 8)[0]
    return value


def _f64x2_replace_lane(x: bytes, value: float, lane: int) -> bytes:
    return x[:8] + _pack_double(value) if lane else _pack_double(value) + x[8:]


REFERENCE: Final[dict[str, Reference]] = {
    **_lanewise(),
    "f32x4.pmin": _f32x4_pmin,
    "f32x4.pmax": _f32x4_pmax,
    "f32x4.splat": _f32x4_splat,
    "f32x4.extract_lane": _f32x4_extract_lane,
    "f32x4.replace_lane": _f32x4_replace_lane,
    "f64x2.splat": _f64x2_splat,
    "f64x2.extract_lane": _f64x2_extract_lane,
    "f64x2.replace_lane": _f64x2_replace_lane,
}
