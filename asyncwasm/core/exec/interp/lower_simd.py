"""Lowerings of the vector instructions.

Values are `bytes` and most instructions call their reference function.  Memory is read and
written through `struct`, which checks bounds.
"""

from __future__ import annotations

import struct
from typing import Final

from asyncwasm.core.isa import simd
from asyncwasm.core.isa.simd_lanes import PACK
from asyncwasm.core.isa.table import TABLE

from .body import Body
from .expr import READS, TRAPS, Expr
from .registry import Instr, lowering

_BITS: Final = {"i32": 32, "i64": 64}
# Rows with these results give 0 or 1, or as many bits as there are lanes.
_SMALL: Final = {"any_true": 1, "all_true": 1, "bitmask": 0xFFFF}


def _literal(value: bytes) -> Expr:
    return Expr(repr(value), simple=True)


@lowering("v128.const")
def v128_const(body: Body, instr: Instr) -> None:
    body.push(_literal(instr.immediates[0]))


@lowering(*(row.name for row in TABLE if row.family == "simd"))
def call_reference(body: Body, instr: Instr) -> None:
    row = instr.row
    assert row.params is not None
    assert row.results is not None
    # Of an integer operand only the low bits count: it becomes a lane, or it counts bits.
    operands = [body.pop_modular() for _ in row.params][::-1]
    for immediate in instr.immediates:
        is_lane = isinstance(immediate, int)
        operands.append(Expr(str(immediate), simple=True) if is_lane else _literal(immediate))
    function = body.helper(simd.REFERENCE[row.name])
    arguments = ", ".join(f"{{{i}}}" for i in range(len(operands)))
    bits = _BITS.get(row.results[0], 0)
    most = _SMALL.get(row.name.partition(".")[2], -1)
    body.push_op(f"{function}({arguments})", *operands, bits=bits, lo=0, hi=most)


# Memory -------------------------------------------------------------------------------------


def _reader(body: Body, format: str) -> str:
    """The name of a function that unpacks from a buffer at an offset."""
    return body.names.named(f"unpack_{format}", struct.Struct(f"<{format}").unpack_from)


def _place(body: Body, instr: Instr) -> str:
    """A template for the two arguments that say where an access goes."""
    memarg = instr.immediates[0]
    address = f"{{0}} + {memarg.offset}" if memarg.offset else "{0}"
    return f"{body.memory(memarg.memory)}.view, {address}"


def _push_load(body: Body, instr: Instr, template: str, *operands: Expr) -> None:
    body.push_op(template, *operands, effects=TRAPS | READS, instr=instr)


def _size(instr: Instr) -> int:
    return 1 << instr.row.natural_align


@lowering("v128.load")
def v128_load(body: Body, instr: Instr) -> None:
    _push_load(body, instr, f"{_reader(body, '16s')}({_place(body, instr)})[0]", body.pop())


@lowering("v128.load32_zero", "v128.load64_zero")
def v128_load_zero(body: Body, instr: Instr) -> None:
    size = _size(instr)
    lane = f"{_reader(body, f'{size}s')}({_place(body, instr)})[0]"
    _push_load(body, instr, f"{lane} + {bytes(16 - size)!r}", body.pop())


@lowering(*(f"v128.load{bits}_splat" for bits in (8, 16, 32, 64)))
def v128_load_splat(body: Body, instr: Instr) -> None:
    size = _size(instr)
    lane = f"{_reader(body, f'{size}s')}({_place(body, instr)})[0]"
    _push_load(body, instr, f"{lane} * {16 // size}", body.pop())


# What extending loads read, and what they make of it.
_EXTENDING: Final = {
    "v128.load8x8_s": ("8b", "h"),
    "v128.load8x8_u": ("8B", "H"),
    "v128.load16x4_s": ("4h", "i"),
    "v128.load16x4_u": ("4H", "I"),
    "v128.load32x2_s": ("2i", "q"),
    "v128.load32x2_u": ("2I", "Q"),
}


@lowering(*_EXTENDING)
def v128_load_extending(body: Body, instr: Instr) -> None:
    narrow, wide = _EXTENDING[instr.row.name]
    pack = body.names.named(f"lanes_{wide}", PACK[wide])
    lanes = f"{_reader(body, narrow)}({_place(body, instr)})"
    _push_load(body, instr, f"{pack}(*{lanes})", body.pop())


@lowering("v128.store")
def v128_store(body: Body, instr: Instr) -> None:
    _store(body, instr, 16, "{1}")


def _store(body: Body, instr: Instr, size: int, value: str) -> None:
    name = body.names.named(f"pack_{size}s_into", struct.Struct(f"<{size}s").pack_into)
    body.effect(f"{name}({_place(body, instr)}, {value})", *body.pops(2), instr=instr)


_LANE_BITS: Final = (8, 16, 32, 64)


@lowering(*(f"v128.load{bits}_lane" for bits in _LANE_BITS))
def v128_load_lane(body: Body, instr: Instr) -> None:
    size = _size(instr)
    start = instr.immediates[1] * size
    lane = f"{_reader(body, f'{size}s')}({_place(body, instr)})[0]"
    before = f"{{1}}[:{start}] + " if start else ""
    after = f" + {{1}}[{start + size}:]" if start + size < 16 else ""
    _push_load(body, instr, f"{before}{lane}{after}", *body.pops(2))


@lowering(*(f"v128.store{bits}_lane" for bits in _LANE_BITS))
def v128_store_lane(body: Body, instr: Instr) -> None:
    size = _size(instr)
    start = instr.immediates[1] * size
    _store(body, instr, size, f"{{1}}[{start}:{start + size}]")
