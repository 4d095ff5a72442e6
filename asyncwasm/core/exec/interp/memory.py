"""Lowerings of the memory instructions.

Bounds are checked by what is called anyway: `struct` and memoryviews of exactly the memory's
size raise when an access does not fit, before they write anything, and effective addresses are
never negative.  Where an address is known to be aligned, the wider views are faster; they
leave out an incomplete last element, which an aligned access must not reach either.
"""

from __future__ import annotations

import struct
import sys
from mmap import mmap
from typing import TYPE_CHECKING, Final

from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits
from asyncwasm.core.types import IndexType
from asyncwasm.errors import Trap, TrapCode

from .body import Body
from .expr import READS, Expr, canonical, integer, merge
from .registry import Instr, lowering

if TYPE_CHECKING:
    from asyncwasm.core.runtime.memory import Memory

_VIEWS: Final = {1: "u16", 2: "u32", 3: "u64"} if sys.byteorder == "little" else {}
_BYTES: Final = tuple([bytes((value,)) for value in range(256)])
_BLOCK: Final = 1 << 20
_FORMATS: Final = {1: "H", 2: "I", 3: "Q"}
_SIGNED_BYTES: Final = {
    bits: tuple([b if b < 128 else b - 256 + (1 << bits) for b in range(256)]) for bits in (32, 64)
}


def address_bits(body: Body, memory: int) -> int:
    """The width of the memory's addresses."""
    return 64 if body.info.memories[memory].index_type is IndexType.I64 else 32


def effective(address: Expr, offset: int) -> Expr:
    """Address plus offset, which does not wrap."""
    address = canonical(address)
    if address.constant is not None:
        return integer(address.constant + offset, 128)
    return add(address, offset) if offset else address


def add(address: Expr, offset: int) -> Expr:
    zeros = min(address.zeros, (offset & -offset).bit_length() - 1)
    result = merge(f"{address.operand} + {offset}", address, bits=address.bits, zeros=zeros)
    result.lo, result.hi = address.lo + offset, address.hi + offset
    return result


def _index(address: Expr, offset: int, scale: int) -> Expr | None:
    """The index into a view of elements of 2**scale bytes, if it costs no shift."""
    if scale not in _VIEWS or offset & ((1 << scale) - 1):
        return None
    if address.constant is not None:
        whole = address.constant + offset
        if whole >> 62 or whole & ((1 << scale) - 1):
            return None
        return integer(whole >> scale, 64)
    if address.scaled is None or address.scaled[1] < scale:
        return None
    base, shift = address.scaled
    if shift > scale:
        base = merge(f"{base.operand} << {shift - scale}", base, bits=base.bits)
        base.lo, base.hi = base.lo << shift - scale, base.hi << shift - scale
    mask = (1 << address.bits - scale) - 1
    if base.lo < 0 or base.hi > mask:
        base = merge(f"{base.operand} & {mask}", base, bits=address.bits, lo=0, hi=mask)
    return add(base, offset >> scale) if offset else base


def _unpack(body: Body, code: str) -> str:
    return body.names.named(f"unpack_{code}", struct.Struct(f"<{code}").unpack_from)


def _pack(body: Body, code: str) -> str:
    return body.names.named(f"pack_{code}", struct.Struct(f"<{code}").pack_into)


_LOADS: Final[dict[str, tuple[int, bool]]] = {
    "i32.load": (2, False),
    "i64.load": (3, False),
    "i32.load8_u": (0, False),
    "i32.load8_s": (0, True),
    "i32.load16_u": (1, False),
    "i32.load16_s": (1, True),
    "i64.load8_u": (0, False),
    "i64.load8_s": (0, True),
    "i64.load16_u": (1, False),
    "i64.load16_s": (1, True),
    "i64.load32_u": (2, False),
    "i64.load32_s": (2, True),
}


@lowering(*_LOADS)
def _load(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    scale, is_signed = _LOADS[instr.row.name]
    bits = 32 if instr.row.name[1] == "3" else 64
    address = body.stack.pop()
    memory = body.memory(argument.memory)
    width = 8 << scale
    lo, hi = (-1 << width - 1, (1 << width - 1) - 1) if is_signed else (0, (1 << width) - 1)
    index = None if is_signed else _index(address, argument.offset, scale)
    if scale == 0:
        where = effective(address, argument.offset)
        text = f"{memory}.view[{where.text}]"
        if is_signed:
            table = body.names.named(f"signed_bytes_{bits}", _SIGNED_BYTES[bits])
            text = f"{table}[{text}]"
            lo, hi = 0, -1
    elif index is not None:
        where = index
        text = f"{memory}.{_VIEWS[scale]}[{where.text}]"
    else:
        where = effective(address, argument.offset)
        code = _FORMATS[scale]
        text = (
            f"{_unpack(body, code.lower() if is_signed else code)}({memory}.view, {where.text})[0]"
        )
    body.push_reading(text, where, instr, bits=bits, lo=lo, hi=hi)


@lowering("f64.load")
def _load_f64(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    address = body.stack.pop()
    memory = body.memory(argument.memory)
    where = _index(address, argument.offset, 3)
    if where is not None:
        text = f"{memory}.f64[{where.text}]"
    else:
        where = effective(address, argument.offset)
        text = f"{_unpack(body, 'd')}({memory}.view, {where.text})[0]"
    body.push_reading(text, where, instr)


@lowering("f32.load")
def _load_f32(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    where = body.atom(effective(body.stack.pop(), argument.offset))
    memory = body.memory(argument.memory)
    value = body.temp()
    from_bits = body.helper(f32_from_bits)
    # Reading a signalling NaN as a float makes it quiet, so NaNs are read as bits.
    text = (
        f"({value.text} if ({value.text} := {_unpack(body, 'f')}({memory}.view, {where.text})[0])"
        f" == {value.text} else {from_bits}({_unpack(body, 'I')}({memory}.view, {where.text})[0]))"
    )
    body.push_reading(text, where, instr)
    # The value is read within one expression, but the variable must be its own.
    body.stack[-1].temps |= value.temps


_STORES: Final[dict[str, int]] = {
    "i32.store": 2,
    "i64.store": 3,
    "i32.store8": 0,
    "i32.store16": 1,
    "i64.store8": 0,
    "i64.store16": 1,
    "i64.store32": 2,
}


@lowering(*_STORES)
def _store(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    scale = _STORES[instr.row.name]
    value, address = body.stack.pop(), body.stack.pop()
    mask = (1 << (8 << scale)) - 1
    if value.lo < 0 or value.hi > mask:
        if value.constant is not None:
            value = integer(value.constant & mask, value.bits)
        else:
            value = merge(f"{value.operand} & {mask}", value, bits=value.bits, lo=0, hi=mask)
    memory = body.memory(argument.memory)
    index = _index(address, argument.offset, scale)
    if scale == 0:
        _assign(body, instr, f"{memory}.view", effective(address, argument.offset), value)
    elif index is not None:
        _assign(body, instr, f"{memory}.{_VIEWS[scale]}", index, value)
    else:
        where = effective(address, argument.offset)
        pack = _pack(body, _FORMATS[scale])
        body.effect(f"{pack}({memory}.view, {{0}}, {{1}})", where, value, instr=instr)


def _assign(body: Body, instr: Instr, view: str, where: Expr, value: Expr) -> None:
    if where.effects and value.effects:
        # Python would evaluate the value first.
        where = body.atom(where)
    body.effect(f"{view}[{{0}}] = {{1}}", where, value, instr=instr)


@lowering("f64.store")
def _store_f64(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    value, address = body.pop(), body.stack.pop()
    memory = body.memory(argument.memory)
    index = _index(address, argument.offset, 3)
    if index is not None:
        _assign(body, instr, f"{memory}.f64", index, value)
        return
    where = effective(address, argument.offset)
    body.effect(f"{_pack(body, 'd')}({memory}.view, {{0}}, {{1}})", where, value, instr=instr)


@lowering("f32.store")
def _store_f32(body: Body, instr: Instr) -> None:
    argument = instr.immediates[0]
    value, address = body.pop(), body.stack.pop()
    memory = body.memory(argument.memory)
    to_bits = body.helper(f32_to_bits)
    if value.simple and value.text[0] in "(0123456789":
        where = effective(address, argument.offset)
        body.effect(f"{_pack(body, 'f')}({memory}.view, {{0}}, {{1}})", where, value, instr=instr)
        return
    body.effect(
        f"{_pack(body, 'f')}({memory}.view, {{0}}, {{1}}) if {{1}} == {{1}} else "
        f"{_pack(body, 'I')}({memory}.view, {{0}}, {to_bits}({{1}}))",
        effective(address, argument.offset),
        value,
        instr=instr,
    )


@lowering("memory.size")
def _size(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    shift = body.info.memories[index].page_size.bit_length() - 1
    text = f"{body.memory(index)}.size_bytes"
    if shift:
        text = f"{text} >> {shift}"
    body.push_op(text, effects=READS, bits=address_bits(body, index))


@lowering("memory.grow")
def _grow(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    bits = address_bits(body, index)
    text = f"{body.memory(index)}.grow_raw({{0}}) & {(1 << bits) - 1}"
    body.call(text, body.pop(), instr=instr, results=(bits,))


def memory_fill(memory: Memory, start: int, value: int, size: int) -> None:
    """`memory.fill`.  Traps, and writes nothing, unless all of it is inside."""
    if start + size > memory.size_bytes:
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    view = memory.view
    if size <= _BLOCK:
        view[start : start + size] = _BYTES[value & 255] * size
        return
    block = _BYTES[value & 255] * _BLOCK
    for at in range(start, start + size, _BLOCK):
        count = min(start + size - at, _BLOCK)
        view[at : at + count] = block[:count]


def memory_copy(to: Memory, source: Memory, start: int, origin: int, size: int) -> None:
    """`memory.copy`.  Traps, and writes nothing, unless all of it is inside."""
    if start + size > to.size_bytes or origin + size > source.size_bytes:
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    # Either way overlapping parts of one memory are copied as if by way of a buffer.
    if to is source and type(mapping := to.view.obj) is mmap:
        mapping.move(start, origin, size)
    else:
        to.view[start : start + size] = source.view[origin : origin + size]


def memory_init(
    memory: Memory, data: bytes | memoryview, start: int, origin: int, size: int
) -> None:
    """`memory.init`.  Traps, and writes nothing, unless all of it is inside."""
    if start + size > memory.size_bytes or origin + size > len(data):
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    memory.view[start : start + size] = data[origin : origin + size]


@lowering("memory.fill")
def _fill(body: Body, instr: Instr) -> None:
    memory = body.memory(instr.immediates[0])
    text = f"{body.helper(memory_fill)}({memory}, {{0}}, {{1}}, {{2}})"
    body.effect(text, *body.pops(3), instr=instr)


@lowering("memory.copy")
def _copy(body: Body, instr: Instr) -> None:
    to, source = (body.memory(index) for index in instr.immediates)
    text = f"{body.helper(memory_copy)}({to}, {source}, {{0}}, {{1}}, {{2}})"
    body.effect(text, *body.pops(3), instr=instr)


@lowering("memory.init")
def _init(body: Body, instr: Instr) -> None:
    data, index = instr.immediates
    segment = f"{body.instance()}.datas[{data}]"
    text = f"{body.helper(memory_init)}({body.memory(index)}, {segment}, {{0}}, {{1}}, {{2}})"
    body.effect(text, *body.pops(3), instr=instr)


@lowering("data.drop")
def _drop(body: Body, instr: Instr) -> None:
    body.effect(f"{body.instance()}.datas[{instr.immediates[0]}] = b''", instr=instr)
