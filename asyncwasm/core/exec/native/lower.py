"""Lowerings of control, variables and memory, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asyncwasm.core.binary.immediates import MemArg
from asyncwasm.core.isa.table import BY_NAME
from asyncwasm.core.types import IndexType
from asyncwasm.errors import TrapCode

from .abi import Helper, Items
from .body import MEM, Body
from .emit import ir_type
from .exits import CTX
from .lower_simd import SIMD
from .numeric import NUMERIC
from .opaque import fence, loaded
from .refs import PYTHON, REF, get, put, release

Lowering = Callable[[Body, tuple[Any, ...]], None]
LOWERINGS: Final[dict[str, Lowering]] = {}


def lowering(name: str) -> Callable[[Lowering], Lowering]:
    """Register the lowering of the instruction called `name`."""

    def register(function: Lowering) -> Lowering:
        assert name in BY_NAME
        LOWERINGS[name] = function
        return function

    return register


# Control ---------------------------------------------------------------------------------------


@lowering("unreachable")
def _unreachable(body: Body, imms: tuple[Any, ...]) -> None:
    body.trap(TrapCode.UNREACHABLE)


@lowering("nop")
def _nop(body: Body, imms: tuple[Any, ...]) -> None:
    pass


LOWERINGS["block"] = lambda body, imms: body.open_block(imms[0])
LOWERINGS["loop"] = lambda body, imms: body.open_loop(imms[0])
LOWERINGS["if"] = lambda body, imms: body.open_if(imms[0])
LOWERINGS["else"] = lambda body, imms: body.open_else()
LOWERINGS["end"] = lambda body, imms: body.close()
LOWERINGS["br"] = lambda body, imms: body.br(imms[0])
LOWERINGS["br_if"] = lambda body, imms: body.br_if(imms[0])
LOWERINGS["br_table"] = lambda body, imms: body.br_table(imms[0])
LOWERINGS["return"] = lambda body, imms: body.ret()


@lowering("drop")
def _drop(body: Body, imms: tuple[Any, ...]) -> None:
    body.give_up(body.stack.pop())


@lowering("select")
@lowering("select.t")
def _select(body: Body, imms: tuple[Any, ...]) -> None:
    condition = body.pop_condition()
    out = body.out
    otherwise, value = body.stack.pop(), body.stack.pop()
    ty = "i32" if otherwise.ty == "i1" else otherwise.ty
    choices = f"{ty} {body.take(value)}", f"{ty} {body.take(otherwise)}"
    chosen = out.op(f"select i1 {condition}, {choices[0]}, {choices[1]}")
    if ty == REF:
        release(out, out.op(f"select i1 {condition}, {choices[1]}, {choices[0]}"))
        body.push_counted(chosen)
    else:
        body.push(ty, chosen)


# Variables -------------------------------------------------------------------------------------


LOWERINGS["local.get"] = lambda body, imms: body.get_local(imms[0])
LOWERINGS["local.set"] = lambda body, imms: body.set_local(imms[0])


@lowering("local.tee")
def _local_tee(body: Body, imms: tuple[Any, ...]) -> None:
    body.set_local(imms[0])
    body.get_local(imms[0])


@lowering("global.get")
def _global_get(body: Body, imms: tuple[Any, ...]) -> None:
    ty = body.info.globals[imms[0]]
    name = ir_type(ty.content)
    place = body.own(Items.GLOBALS, imms[0], 8)
    if name == REF and ty.mutable:
        body.push_counted(get(body.out, place))
    else:
        tag = PYTHON if name == REF else CTX
        body.push(name, body.out.op(f"load {name}, ptr {place}, {tag}"))


@lowering("global.set")
def _global_set(body: Body, imms: tuple[Any, ...]) -> None:
    ty = ir_type(body.info.globals[imms[0]].content)
    value = body.take(body.stack.pop())
    place = body.own(Items.GLOBALS, imms[0], 8)
    if ty == REF:
        put(body.out, place, value)
    else:
        body.out.do(f"store {ty} {value}, ptr {place}, {CTX}")


# Constants -------------------------------------------------------------------------------------


@lowering("i32.const")
def _i32_const(body: Body, imms: tuple[Any, ...]) -> None:
    body.push("i32", str(imms[0]))


@lowering("i64.const")
def _i64_const(body: Body, imms: tuple[Any, ...]) -> None:
    body.push("i64", str(imms[0]))


@lowering("f32.const")
def _f32_const(body: Body, imms: tuple[Any, ...]) -> None:
    _push_float(body, "f32", "float", body.out.op(f"bitcast i32 {imms[0]} to float"), imms[0])


@lowering("f64.const")
def _f64_const(body: Body, imms: tuple[Any, ...]) -> None:
    _push_float(body, "f64", "double", body.out.op(f"bitcast i64 {imms[0]} to double"), imms[0])


# The bits of 0.0, -0.0, 1.0 and -1.0, which arithmetic leaves alone or negates.
_NEUTRAL: Final = {
    "f32": (0, 1 << 31, 0x3F800000, 0xBF800000),
    "f64": (0, 1 << 63, 0x3FF0000000000000, 0xBFF0000000000000),
}


def _push_float(body: Body, name: str, ty: str, value: str, bits: int) -> None:
    if bits in _NEUTRAL[name]:
        value = body.out.op(fence(ty, value))
    body.push(ty, value)


# Memory ----------------------------------------------------------------------------------------


def _wide_address(body: Body, memory: int, value: str) -> str:
    if body.info.memories[memory].index_type is IndexType.I64:
        return value
    wide = body.known.wide.get(value)
    if wide is None:
        wide = body.known.wide[value] = body.out.op(f"zext i32 {value} to i64")
    return wide


def address(body: Body, arg: MemArg, width: int, value: str) -> str:
    """The address of an access of `width` bytes, in bounds; traps if it is not."""
    out = body.out
    base = body.bounds.base(arg.memory)
    start = _wide_address(body, arg.memory, value)
    last = arg.offset + width
    if body.known.inside.get((arg.memory, start), 0) < last:
        outside = _is_outside(body, arg.memory, start, last)
        body.trap_if(outside, TrapCode.MEMORY_OUT_OF_BOUNDS)
        body.known.inside[arg.memory, start] = last
    offset = out.op(f"add i64 {start}, {arg.offset}") if arg.offset else start
    return out.op(f"getelementptr i8, ptr {base}, i64 {offset}")


def _is_outside(body: Body, memory: int, start: str, last: int) -> str:
    out, size = body.out, body.bounds.size(memory)
    if body.info.memories[memory].index_type is IndexType.I64:
        if last >= 1 << 64:
            return "true"
        room = out.op(f"sub i64 {size}, {last}")
        short = out.op(f"icmp ult i64 {size}, {last}")
        beyond = out.op(f"icmp ugt i64 {start}, {room}")
        return out.op(f"or i1 {short}, {beyond}")
    # 32 bits of address, 32 of offset and a few bytes never overflow 64 bits.
    end = out.op(f"add nuw i64 {start}, {last}")
    return out.op(f"icmp ugt i64 {end}, {size}")


def _memory_access() -> None:
    def load(name: str, ty: str, bits: int, sign: str | None) -> None:
        def lower(body: Body, imms: tuple[Any, ...]) -> None:
            at = address(body, imms[0], bits // 8, body.pop())
            if sign is None:
                value = body.out.op(f"load {ty}, ptr {at}, align 1, {MEM}")
                body.push(ty, body.out.op(loaded(ty, value)) if name[0] == "f" else value)
                return
            narrow = body.out.op(f"load i{bits}, ptr {at}, align 1, {MEM}")
            extend = "sext" if sign == "s" else "zext"
            body.push(ty, body.out.op(f"{extend} i{bits} {narrow} to {ty}"))

        LOWERINGS[name] = lower

    def store(name: str, ty: str, bits: int, *, narrow: bool) -> None:
        def lower(body: Body, imms: tuple[Any, ...]) -> None:
            value = body.pop()
            at = address(body, imms[0], bits // 8, body.pop())
            body.stores_integers |= name[0] == "i"
            if narrow:
                value = body.out.op(f"trunc {ty} {value} to i{bits}")
            stored = f"i{bits}" if narrow else ty
            body.out.do(f"store {stored} {value}, ptr {at}, align 1, {MEM}")

        LOWERINGS[name] = lower

    for wasm, ty, bits in (
        ("i32", "i32", 32), ("i64", "i64", 64), ("f32", "float", 32), ("f64", "double", 64),
    ):  # fmt: skip
        load(f"{wasm}.load", ty, bits, None)
        store(f"{wasm}.store", ty, bits, narrow=False)
        for small in (8, 16, 32):
            if wasm[0] == "i" and small < bits:
                for sign in "su":
                    load(f"{wasm}.load{small}_{sign}", ty, small, sign)
                store(f"{wasm}.store{small}", ty, small, narrow=True)


@lowering("memory.size")
def _memory_size(body: Body, imms: tuple[Any, ...]) -> None:
    size = body.bounds.size(imms[0])
    ty = body.info.memories[imms[0]]
    pages = body.out.op(f"udiv i64 {size}, {ty.page_size}")
    _push_index(body, ty.index_type, pages)


def _push_index(body: Body, index_type: IndexType, value: str) -> None:
    if index_type is IndexType.I64:
        body.push("i64", value)
    else:
        body.push("i32", body.out.op(f"trunc i64 {value} to i32"))


@lowering("memory.grow")
def _memory_grow(body: Body, imms: tuple[Any, ...]) -> None:
    pages = _wide_address(body, imms[0], body.pop())
    old = body.helper(Helper.MEMORY_GROW, str(imms[0]), pages)
    _push_index(body, body.info.memories[imms[0]].index_type, old)


def _range(body: Body, memory: int, start: str, size: str) -> str:
    """The address of `size` bytes at `start`, in bounds; traps if they are not."""
    out = body.out
    base, limit = body.bounds.base(memory), body.bounds.size(memory)
    long = out.op(f"icmp ugt i64 {size}, {limit}")
    room = out.op(f"sub i64 {limit}, {size}")
    beyond = out.op(f"icmp ugt i64 {start}, {room}")
    body.trap_if(out.op(f"or i1 {long}, {beyond}"), TrapCode.MEMORY_OUT_OF_BOUNDS)
    return out.op(f"getelementptr i8, ptr {base}, i64 {start}")


@lowering("memory.fill")
def _memory_fill(body: Body, imms: tuple[Any, ...]) -> None:
    start, value, size = body.pop_many(3)
    start, size = (_wide_address(body, imms[0], v) for v in (start, size))
    at = _range(body, imms[0], start, size)
    byte = body.out.op(f"trunc i32 {value} to i8")
    body.stores_integers = True
    body.out.do(f"call void @llvm.memset.p0.i64(ptr {at}, i8 {byte}, i64 {size}, i1 false)")


@lowering("memory.copy")
def _memory_copy(body: Body, imms: tuple[Any, ...]) -> None:
    target, source = imms
    to, start, size = body.pop_many(3)
    both = {body.info.memories[m].index_type for m in imms}
    narrow = IndexType.I32 in both
    size = body.out.op(f"zext i32 {size} to i64") if narrow else size
    to, start = _wide_address(body, target, to), _wide_address(body, source, start)
    read = _range(body, source, start, size)
    written = _range(body, target, to, size)
    body.out.do(f"call void @llvm.memmove.p0.p0.i64(ptr {written}, ptr {read}, i64 {size}, i1 0)")


@lowering("memory.init")
def _memory_init(body: Body, imms: tuple[Any, ...]) -> None:
    segment, memory = imms
    to, start, size = body.pop_many(3)
    to = _wide_address(body, memory, to)
    start, size = (body.out.op(f"zext i32 {v} to i64") for v in (start, size))
    body.helper(Helper.MEMORY_INIT, str(segment), str(memory), to, start, size)


@lowering("data.drop")
def _data_drop(body: Body, imms: tuple[Any, ...]) -> None:
    body.helper(Helper.DATA_DROP, str(imms[0]))


def _adapt(lower: Callable[[Body], None]) -> Lowering:
    return lambda body, imms: lower(body)


_memory_access()
LOWERINGS.update({name: _adapt(lower) for name, lower in NUMERIC.items()})
# These register their lowerings themselves, with what is above or in `SIMD`.
from . import (  # noqa: E402
    lower_aggregate,  # noqa: F401
    lower_array,  # noqa: F401
    lower_atomic,  # noqa: F401
    lower_call,  # noqa: F401
    lower_exception,  # noqa: F401
    lower_reference,  # noqa: F401
    lower_simd_float,  # noqa: F401
    lower_simd_memory,  # noqa: F401
    lower_struct,  # noqa: F401
    lower_table,  # noqa: F401
)

LOWERINGS.update(SIMD)
assert all(name in BY_NAME for name in LOWERINGS), sorted(set(LOWERINGS) - set(BY_NAME))
