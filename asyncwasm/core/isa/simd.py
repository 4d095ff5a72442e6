"""Reference semantics of the vector instructions: one pure function per row.

As in `numeric`, `REFERENCE` maps row names to functions, which are also attributes of this module
under `Row.identifier`.  A v128 is `bytes` of length 16.  Lane immediates come after the operands
(an `int`; for `i8x16.shuffle` 16 bytes).  No function traps or suspends.

Relaxed instructions have one result each here, on every machine: that of the strict instruction
where there is one (`relaxed_swizzle` is `swizzle`, `relaxed_trunc` saturates, `relaxed_min` is
`min`, `relaxed_laneselect` is `bitselect`, `relaxed_q15mulr` saturates), a product rounded before
it is added for `relaxed_madd` and `relaxed_nmadd`, and signed by signed products for the dot
products, whose pairs wrap around in 16 bits.

See "Vector Instructions" and "Numerics" in the core specification; floats are in `simd_float`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from . import simd_float
from .numeric import Reference, publish
from .simd_lanes import Templates, lanes_of

_SHAPES: Final = {8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2"}
_SIGNED: Final = {8: "b", 16: "h", 32: "i", 64: "q"}
_UNSIGNED: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}


def _clamp(value: str, low: int, high: int) -> str:
    """An expression for `value` forced into low … high."""
    return f"(v if {low} <= (v := {value}) <= {high} else {low} if v < 0 else {high})"


def _bounds(bits: int, sign: str) -> tuple[int, int]:
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if sign == "s" else (0, (1 << bits) - 1)


def _elementwise(templates: Templates) -> None:
    """The instructions that work on each lane by itself."""
    for bits, shape in _SHAPES.items():
        signed, unsigned = _SIGNED[bits], _UNSIGNED[bits]
        mask = (1 << bits) - 1
        of_sign = {"s": signed, "u": unsigned}
        add = templates.add
        add(f"{shape}.eq", unsigned * 2, unsigned, f"{mask} if {{a}} == {{b}} else 0")
        add(f"{shape}.ne", unsigned * 2, unsigned, f"{mask} if {{a}} != {{b}} else 0")
        for sign, code in of_sign.items():
            if bits == 64 and sign == "u":
                continue
            for name, operator in (("lt", "<"), ("gt", ">"), ("le", "<="), ("ge", ">=")):
                lane = f"{mask} if {{a}} {operator} {{b}} else 0"
                add(f"{shape}.{name}_{sign}", code * 2, unsigned, lane)
            if bits < 64:
                add(f"{shape}.min_{sign}", code * 2, code, "{a} if {a} < {b} else {b}")
                add(f"{shape}.max_{sign}", code * 2, code, "{a} if {a} > {b} else {b}")
            if bits < 32:
                bounds = _bounds(bits, sign)
                add(f"{shape}.add_sat_{sign}", code * 2, code, _clamp("{a} + {b}", *bounds))
                add(f"{shape}.sub_sat_{sign}", code * 2, code, _clamp("{a} - {b}", *bounds))
        if bits < 32:
            add(f"{shape}.avgr_u", unsigned * 2, unsigned, "{a} + {b} + 1 >> 1")
        add(f"{shape}.add", unsigned * 2, unsigned, f"{{a}} + {{b}} & {mask}")
        add(f"{shape}.sub", unsigned * 2, unsigned, f"{{a}} - {{b}} & {mask}")
        if bits > 8:
            add(f"{shape}.mul", unsigned * 2, unsigned, f"{{a}} * {{b}} & {mask}")
            add(f"{shape}.abs", signed, unsigned, "{a} if {a} >= 0 else -{a}")
            add(f"{shape}.neg", unsigned, unsigned, f"-{{a}} & {mask}")
            count = f"n & {bits - 1}"
            add(f"{shape}.shl", unsigned, unsigned, f"{{a}} << n & {mask}", scalar=count)
            add(f"{shape}.shr_s", signed, signed, "{a} >> n", scalar=count)
            add(f"{shape}.shr_u", unsigned, unsigned, "{a} >> n", scalar=count)
            lanes = range(128 // bits)
            nonzero = " and ".join(f"a{i}" for i in lanes)
            signs = " | ".join(f"(a{i} < 0) << {i}" for i in lanes)
            add(f"{shape}.all_true", unsigned, "", f"1 if {nonzero} else 0")
            add(f"{shape}.bitmask", signed, "", signs)
    for name in ("i16x8.q15mulr_sat_s", "i16x8.relaxed_q15mulr_s"):
        # Only -1 times -1 is out of range.
        lane = "32767 if (v := {a} * {b} + 0x4000 >> 15) == 32768 else v"
        templates.add(name, "hh", "h", lane)


def _widening(templates: Templates) -> None:
    """The instructions whose result has lanes of another width than their operands."""
    for narrow in (8, 16, 32):
        wide = narrow * 2
        source, target = _SHAPES[narrow], _SHAPES[wide]
        half = 128 // wide
        for sign, codes in (("s", _SIGNED), ("u", _UNSIGNED)):
            code, result = codes[narrow], codes[wide]
            for part, start in (("low", 0), ("high", half)):
                lanes = range(start, start + half)
                suffix = f"{part}_{source}_{sign}"
                templates.add(f"{target}.extend_{suffix}", code, result, [f"a{i}" for i in lanes])
                products = [f"a{i} * b{i}" for i in lanes]
                templates.add(f"{target}.extmul_{suffix}", code * 2, result, products)
            if narrow < 32:
                pairs = [f"a{2 * i} + a{2 * i + 1}" for i in range(half)]
                templates.add(f"{target}.extadd_pairwise_{source}_{sign}", code, result, pairs)
                clamped = [
                    _clamp(f"{letter}{i}", *_bounds(narrow, sign))
                    for letter in "ab"
                    for i in range(half)
                ]
                operands, to = _SIGNED[wide] * 2, codes[narrow]
                templates.add(f"{source}.narrow_{target}_{sign}", operands, to, clamped)

    def pairs_of_products(lanes: int) -> list[str]:
        return [f"a{2 * i} * b{2 * i} + a{2 * i + 1} * b{2 * i + 1}" for i in range(lanes)]

    # A sum goes out of range in one case only: all four factors at their minimum.
    dots = [f"{dot} & 0xffffffff" for dot in pairs_of_products(4)]
    templates.add("i32x4.dot_i16x8_s", "hh", "I", dots)
    dots = [f"{dot} & 0xffff" for dot in pairs_of_products(8)]
    templates.add("i16x8.relaxed_dot_i8x16_i7x16_s", "bb", "H", dots)
    dots = [f"(v if (v := {dot}) < 32768 else -32768)" for dot in pairs_of_products(8)]
    sums = [f"{dots[2 * i]} + {dots[2 * i + 1]} + c{i} & 0xffffffff" for i in range(4)]
    templates.add("i32x4.relaxed_dot_i8x16_i7x16_add_s", "bbI", "I", sums)


def _by_table(function: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """A function on all bytes of a v128; `function` gives the low byte of its result."""
    table = bytes(function(byte) & 0xFF for byte in range(256))

    def translate(x: bytes) -> bytes:
        return x.translate(table)

    return translate


def _by_tables(function: Callable[[int, int], int]) -> Callable[[bytes, int], bytes]:
    """A function on all bytes of a v128 and a number modulo 8."""
    tables = [bytes(function(byte, n) & 0xFF for byte in range(256)) for n in range(8)]

    def translate(x: bytes, n: int) -> bytes:
        return x.translate(tables[n & 7])

    return translate


def _signed_byte(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


_ZERO: Final = bytes(16)
_SIGN_DIGITS: Final = b"0" * 128 + b"1" * 128


def _i8x16_all_true(x: bytes) -> int:
    return 0 if 0 in x else 1


def _i8x16_bitmask(x: bytes) -> int:
    return int(x[::-1].translate(_SIGN_DIGITS), 2)


# A v128 as a table of 256 bytes turns lane numbers into lanes.
def _swizzle(x: bytes, y: bytes) -> bytes:
    return y.translate(x + bytes(240))


def _shuffle(x: bytes, y: bytes, lanes: bytes) -> bytes:
    return lanes.translate(x + y + bytes(224))


_int = int.from_bytes


def _not(x: bytes) -> bytes:
    return (_int(x, "little") ^ (1 << 128) - 1).to_bytes(16, "little")


def _and(x: bytes, y: bytes) -> bytes:
    return (_int(x, "little") & _int(y, "little")).to_bytes(16, "little")


def _andnot(x: bytes, y: bytes) -> bytes:
    return (_int(x, "little") & ~_int(y, "little")).to_bytes(16, "little")


def _or(x: bytes, y: bytes) -> bytes:
    return (_int(x, "little") | _int(y, "little")).to_bytes(16, "little")


def _xor(x: bytes, y: bytes) -> bytes:
    return (_int(x, "little") ^ _int(y, "little")).to_bytes(16, "little")


def _bitselect(x: bytes, y: bytes, mask: bytes) -> bytes:
    other = _int(y, "little")
    chosen = other ^ (other ^ _int(x, "little")) & _int(mask, "little")
    return chosen.to_bytes(16, "little")


def _any_true(x: bytes) -> int:
    return 1 if x != _ZERO else 0


def splat(code: str) -> Callable[[int], bytes]:
    """A function that fills a v128 with the low bits of an integer."""
    lanes = lanes_of(code)
    size = 16 // lanes
    mask = (1 << size * 8) - 1

    def splat(x: int) -> bytes:
        return (x & mask).to_bytes(size, "little") * lanes

    return splat


def extract_lane(code: str, bits: int) -> Callable[[bytes, int], int]:
    """A function that takes a lane of a v128 as an integer of `bits` bits."""
    unpack = struct.Struct("<" + code).unpack_from
    size = 16 // lanes_of(code)
    mask = (1 << bits) - 1

    def extract_lane(x: bytes, lane: int) -> int:
        value: int = unpack(x, lane * size)[0]
        return value & mask

    return extract_lane


def replace_lane(code: str) -> Callable[[bytes, int, int], bytes]:
    """A function that puts the low bits of an integer into a lane of a v128."""
    size = 16 // lanes_of(code)
    mask = (1 << size * 8) - 1

    def replace_lane(x: bytes, value: int, lane: int) -> bytes:
        start = lane * size
        return x[:start] + (value & mask).to_bytes(size, "little") + x[start + size :]

    return replace_lane


def _integers() -> dict[str, Reference]:
    templates = Templates()
    _elementwise(templates)
    _widening(templates)
    found: dict[str, Reference] = {**templates.compile()}
    for bits, shape in _SHAPES.items():
        signed, unsigned = _SIGNED[bits], _UNSIGNED[bits]
        found[f"{shape}.splat"] = splat(unsigned)
        found[f"{shape}.replace_lane"] = replace_lane(unsigned)
        if bits < 32:
            found[f"{shape}.extract_lane_s"] = extract_lane(signed, 32)
            found[f"{shape}.extract_lane_u"] = extract_lane(unsigned, 32)
        else:
            found[f"{shape}.extract_lane"] = extract_lane(unsigned, bits)
        found[f"{shape}.relaxed_laneselect"] = _bitselect
    return found


REFERENCE: Final[dict[str, Reference]] = {
    **_integers(),
    **simd_float.REFERENCE,
    "i8x16.abs": _by_table(lambda byte: abs(_signed_byte(byte))),
    "i8x16.neg": _by_table(lambda byte: -byte),
    "i8x16.popcnt": _by_table(int.bit_count),
    "i8x16.shl": _by_tables(lambda byte, n: byte << n),
    "i8x16.shr_s": _by_tables(lambda byte, n: _signed_byte(byte) >> n),
    "i8x16.shr_u": _by_tables(lambda byte, n: byte >> n),
    "i8x16.all_true": _i8x16_all_true,
    "i8x16.bitmask": _i8x16_bitmask,
    "i8x16.swizzle": _swizzle,
    "i8x16.relaxed_swizzle": _swizzle,
    "i8x16.shuffle": _shuffle,
    "v128.not": _not,
    "v128.and": _and,
    "v128.andnot": _andnot,
    "v128.or": _or,
    "v128.xor": _xor,
    "v128.bitselect": _bitselect,
    "v128.any_true": _any_true,
}

publish(REFERENCE, globals())

if TYPE_CHECKING:

    def __getattr__(name: str) -> Reference:
        """Tells type checkers of the attributes named after rows."""
