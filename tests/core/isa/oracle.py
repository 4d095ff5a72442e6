"""Wasmtime as the judge of single instructions, and operands that provoke mistakes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import wasmtime
from hypothesis import strategies as st

from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.isa.table import Row
from asyncwasm.errors import TrapCode

Outcome = tuple[Any, ...] | TrapCode

_SLOT = 16
_RESULTS = 4 * _SLOT
_STRIDE = _RESULTS + 2 * _SLOT
_BASE = 64

# What the one result of each relaxed instruction amounts to in strict ones.
_PAIRS = "0 1 4 5 8 9 12 13 16 17 20 21 24 25 28 29", "2 3 6 7 10 11 14 15 18 19 22 23 26 27 30 31"
_PRODUCTS = "(i16x8.extmul_low_i8x16_s {0} {1}) (i16x8.extmul_high_i8x16_s {0} {1})"
_DOT = (
    f"(i16x8.add (i8x16.shuffle {_PAIRS[0]} {_PRODUCTS}) (i8x16.shuffle {_PAIRS[1]} {_PRODUCTS}))"
)
RELAXED = {
    "i8x16.relaxed_swizzle": "(i8x16.swizzle {0} {1})",
    "i16x8.relaxed_q15mulr_s": "(i16x8.q15mulr_sat_s {0} {1})",
    "i16x8.relaxed_dot_i8x16_i7x16_s": _DOT,
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": (
        f"(i32x4.add (i32x4.extadd_pairwise_i16x8_s {_DOT}) {{2}})"
    ),
    **{
        f"i32x4.relaxed_trunc_{tail}": f"(i32x4.trunc_sat_{tail} {{0}})"
        for tail in ("f32x4_s", "f32x4_u", "f64x2_s_zero", "f64x2_u_zero")
    },
    **{
        f"{shape}.relaxed_laneselect": "(v128.bitselect {0} {1} {2})"
        for shape in ("i8x16", "i16x8", "i32x4", "i64x2")
    },
}
for _shape in ("f32x4", "f64x2"):
    RELAXED[f"{_shape}.relaxed_min"] = f"({_shape}.min {{0}} {{1}})"
    RELAXED[f"{_shape}.relaxed_max"] = f"({_shape}.max {{0}} {{1}})"
    RELAXED[f"{_shape}.relaxed_madd"] = f"({_shape}.add ({_shape}.mul {{0}} {{1}}) {{2}})"
    RELAXED[f"{_shape}.relaxed_nmadd"] = (
        f"({_shape}.add ({_shape}.mul ({_shape}.neg {{0}}) {{1}}) {{2}})"
    )


def encode(type: str, value: Any) -> bytes:
    """The bytes of a raw value in memory."""
    match type:
        case "v128":
            return value
        case "f32":
            return f32_to_bits(value).to_bytes(4, "little")
        case "f64":
            return f64_to_bits(value).to_bytes(8, "little")
        case _:
            return value.to_bytes(int(type[1:]) // 8, "little")


def decode(type: str, data: bytes) -> Any:
    """The raw value of bytes in memory."""
    match type:
        case "v128":
            return data[:16]
        case "f32":
            return f32_from_bits(int.from_bytes(data[:4], "little"))
        case "f64":
            return f64_from_bits(int.from_bytes(data[:8], "little"))
        case _:
            return int.from_bytes(data[: int(type[1:]) // 8], "little")


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_wide_arithmetic = True
    config.wasm_relaxed_simd = True
    return wasmtime.Engine(config)


class Oracle:
    """One instruction, with immediates in text form, in a module that runs it on a batch."""

    def __init__(self, row: Row, immediates: str = "") -> None:
        assert row.params is not None
        assert row.results is not None
        self.row = row
        operands = [
            f"({type}.load offset={_SLOT * i} (local.get $p))" for i, type in enumerate(row.params)
        ]
        if row.name in RELAXED:
            body = RELAXED[row.name].format(*operands)
        else:
            body = f"({row.name} {immediates} {' '.join(operands)})"
        results = list(enumerate(row.results))
        text = f"""
            (module (memory (export "memory") 8)
              (func (export "run") (param $count i32)
                (local $i i32) (local $p i32) {" ".join(f"(local $r{i} {t})" for i, t in results)}
                (loop $next
                  (local.set $i (i32.load (i32.const 0)))
                  (if (i32.ge_u (local.get $i) (local.get $count)) (then (return)))
                  (i32.store (i32.const 0) (i32.add (local.get $i) (i32.const 1)))
                  (local.set $p
                    (i32.add (i32.mul (local.get $i) (i32.const {_STRIDE})) (i32.const {_BASE})))
                  {body}
                  {" ".join(f"local.set $r{i}" for i, _ in reversed(results))}
                  {
            " ".join(
                f"({t}.store offset={_RESULTS + _SLOT * i} (local.get $p) (local.get $r{i}))"
                for i, t in results
            )
        }
                  (br $next))))"""
        engine = _engine()
        self._store = wasmtime.Store(engine)
        instance = wasmtime.Instance(self._store, wasmtime.Module(engine, text), [])
        exports = instance.exports(self._store)
        self._memory: Any = exports["memory"]
        self._run: Any = exports["run"]

    def __call__(self, batch: Sequence[tuple[Any, ...]]) -> list[Outcome]:
        """The results, or the trap, for each tuple of raw operands."""
        params, results = self.row.params or (), self.row.results or ()
        data = bytearray(_BASE + _STRIDE * len(batch))
        for i, operands in enumerate(batch):
            for j, (type, value) in enumerate(zip(params, operands, strict=True)):
                start = _BASE + _STRIDE * i + _SLOT * j
                encoded = encode(type, value)
                data[start : start + len(encoded)] = encoded
        self._memory.write(self._store, bytes(data), 0)
        trapped: dict[int, TrapCode] = {}
        while True:
            try:
                self._run(self._store, len(batch))
                break
            except wasmtime.Trap as trap:
                done = int.from_bytes(self._memory.read(self._store, 0, 4), "little")
                code: Any = trap.trap_code
                trapped[done - 1] = TrapCode[code.name]
        data = self._memory.read(self._store, 0, len(data))
        found: list[Outcome] = []
        for i in range(len(batch)):
            start = _BASE + _STRIDE * i + _RESULTS
            found.append(
                trapped.get(i)
                or tuple(
                    decode(type, bytes(data[start + _SLOT * j : start + _SLOT * (j + 1)]))
                    for j, type in enumerate(results)
                )
            )
        return found


def _integer_edges(bits: int) -> list[int]:
    mask = (1 << bits) - 1
    edges = {0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, bits - 1, bits, bits + 1}
    edges |= {1 << bits - 1, (1 << bits - 1) - 1, (1 << bits - 1) + 1, mask, mask - 1}
    for exponent in (24, 25, 31, 32, 53, 54, 62, 63):
        edges |= {(1 << exponent) + delta for delta in (-1, 0, 1)}
    # Ties and near-ties of rounding to a single.
    edges |= {0x0100_0001, 0x0100_0003, 0x7FFF_FF40_0000_0000, 0x7FFF_FF40_0000_0001}
    edges |= {0x0020_0000_2000_0001, 0x0020_0000_6000_0000, 0x8000_0080_0000_0001}
    return sorted({edge & mask for edge in edges} | {-edge & mask for edge in edges})


_FLOATS = [
    0.0, 0.25, 0.5, 0.75, 0.9999999, 1.0, 1.5, 2.5, 3.5, 1e-3, 1 / 3, 10.0, 126.5, 127.5, 255.5,
    4194303.5, 4194304.5, 8388607.5, 8388608.0, 16777215.0, 16777216.0, 16777217.0,
    2147483520.0, 2147483647.0, 2147483647.5, 2147483648.0, 2147483648.5, 2147483649.0,
    4294967040.0, 4294967295.0, 4294967295.5, 4294967296.0, 2.0**52 - 0.5, 2.0**52 + 1, 2.0**53,
    2.0**63 - 1024, 2.0**63, 2.0**63 + 2048, 2.0**64 - 2048, 2.0**64, 1e19, 1e30, 3e38, 1e100,
    3.4028234663852886e38, 3.4028235677973366e38, 3.4028235677973362e38, 1.7976931348623157e308,
    1.1754943508222875e-38, 1.1754942106924411e-38, 1.401298464324817e-45, 7.006492321624085e-46,
    7.006492321624086e-46, 2.2250738585072014e-308, 5e-324, float("inf"),
]  # fmt: skip


def _float_edges(bits: int) -> list[int]:
    """Bit patterns."""
    if bits == 64:
        edges = {f64_to_bits(x) for x in _FLOATS}
        edges |= {0x7FF8 << 48, (0x7FF8 << 48) + 1, (0x7FF0 << 48) + 1, 0x7FF4 << 48}
        edges |= {0x7FFF_FFFF_FFFF_FFFF, 0x7FF8_0000_2000_0000, 0x7FF0_0000_1FFF_FFFF}
        return sorted(edges | {edge | 1 << 63 for edge in edges})
    edges = set()
    for x in _FLOATS:
        try:
            edges.add(struct.unpack("<I", struct.pack("<f", x))[0])
        except OverflowError:
            continue
    edges |= {0x7FC0_0000, 0x7FC0_0001, 0x7F80_0001, 0x7FA0_0000, 0x7FFF_FFFF}
    return sorted(edges | {edge | 1 << 31 for edge in edges})


def edges(type: str) -> list[Any]:
    """Raw values of a scalar type at which instructions behave specially."""
    match type:
        case "f32":
            return [f32_from_bits(bits) for bits in _float_edges(32)]
        case "f64":
            return [f64_from_bits(bits) for bits in _float_edges(64)]
        case _:
            return list(_integer_edges(int(type[1:])))


def _lanes(values: st.SearchStrategy[int], bits: int) -> st.SearchStrategy[bytes]:
    count = 128 // bits
    return st.lists(values, min_size=count, max_size=count).map(
        lambda lanes: b"".join(lane.to_bytes(bits // 8, "little") for lane in lanes)
    )


@cache
def values(type: str) -> st.SearchStrategy[Any]:
    """Raw values of a type, most of them near an edge."""
    match type:
        case "v128":
            shapes = [_lanes(_patterns(bits, _integer_edges(bits)), bits) for bits in (8, 16, 32)]
            shapes.append(_lanes(_patterns(64, _integer_edges(64)), 64))
            shapes += [_lanes(_patterns(bits, _float_edges(bits)), bits) for bits in (32, 64)]
            return st.one_of(*shapes)
        case "f32":
            return _patterns(32, _float_edges(32)).map(f32_from_bits)
        case "f64":
            return _patterns(64, _float_edges(64)).map(f64_from_bits)
        case _:
            bits = int(type[1:])
            return _patterns(bits, _integer_edges(bits))


def _patterns(bits: int, edges: list[int]) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(edges), st.integers(0, (1 << bits) - 1))
