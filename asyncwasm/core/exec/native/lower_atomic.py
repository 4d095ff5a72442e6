"""Atomic instructions as LLVM IR; waiting and waking are `runtime.atomics`'.

All accesses are sequentially consistent, to memories that are not shared as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.binary.immediates import MemArg
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.types import IndexType
from asyncwasm.errors import TrapCode

from .abi import Helper
from .body import MEM
from .lower import address, lowering

if TYPE_CHECKING:
    from .body import Body

_WIDTHS: Final = {row.name: 1 << row.natural_align for row in TABLE if row.family == "atomic"}


def _place(body: Body, arg: MemArg, width: int, start: str) -> str:
    """The address of an access, aligned and in bounds; traps if it is not, in that order."""
    out = body.out
    if width > 1:
        ty = "i64" if body.info.memories[arg.memory].index_type is IndexType.I64 else "i32"
        # Low bits do not mind a sum that wraps around.
        low = arg.offset & width - 1
        at = out.op(f"add {ty} {start}, {low}") if low else start
        rest = out.op(f"and {ty} {at}, {width - 1}")
        body.trap_if(out.op(f"icmp ne {ty} {rest}, 0"), TrapCode.HEAP_MISALIGNED)
    return address(body, arg, width, start)


def _narrowed(body: Body, ty: str, stored: str, value: str) -> str:
    return value if ty == stored else body.out.op(f"trunc {ty} {value} to {stored}")


def _push_widened(body: Body, ty: str, stored: str, value: str) -> None:
    body.push(ty, value if ty == stored else body.out.op(f"zext {stored} {value} to {ty}"))


def _load(name: str, ty: str, width: int) -> None:
    stored = f"i{width * 8}"

    @lowering(name)
    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        at = _place(body, imms[0], width, body.pop())
        value = body.out.op(f"load atomic {stored}, ptr {at} seq_cst, align {width}, {MEM}")
        _push_widened(body, ty, stored, value)


def _store(name: str, ty: str, width: int) -> None:
    stored = f"i{width * 8}"

    @lowering(name)
    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        value = _narrowed(body, ty, stored, body.pop())
        at = _place(body, imms[0], width, body.pop())
        body.stores_integers = True
        body.out.do(f"store atomic {stored} {value}, ptr {at} seq_cst, align {width}, {MEM}")


def _modify(name: str, ty: str, width: int, operation: str) -> None:
    stored = f"i{width * 8}"

    @lowering(name)
    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        value = _narrowed(body, ty, stored, body.pop())
        at = _place(body, imms[0], width, body.pop())
        operands = f"ptr {at}, {stored} {value} seq_cst, align {width}, {MEM}"
        _push_widened(body, ty, stored, body.out.op(f"atomicrmw {operation} {operands}"))


def _exchange_if(name: str, ty: str, width: int) -> None:
    stored = f"i{width * 8}"

    @lowering(name)
    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        # Of a narrow access only the low bits of what is expected are compared.
        expected, new = (_narrowed(body, ty, stored, v) for v in body.pop_many(2))
        at = _place(body, imms[0], width, body.pop())
        operands = f"ptr {at}, {stored} {expected}, {stored} {new} seq_cst seq_cst"
        pair = body.out.op(f"cmpxchg {operands}, align {width}, {MEM}")
        old = body.out.op(f"extractvalue {{ {stored}, i1 }} {pair}, 0")
        _push_widened(body, ty, stored, old)


@lowering("atomic.fence")
def _fence(body: Body, imms: tuple[Any, ...]) -> None:
    body.out.do("fence seq_cst")


def _checked(body: Body, arg: MemArg, width: int, start: str) -> str:
    """The effective address of an access that cannot trap any more."""
    _place(body, arg, width, start)
    out = body.out
    if body.info.memories[arg.memory].index_type is IndexType.I32:
        start = out.op(f"zext i32 {start} to i64")
    return out.op(f"add i64 {start}, {arg.offset}")


@lowering("memory.atomic.notify")
def _notify(body: Body, imms: tuple[Any, ...]) -> None:
    start, count = body.pop_many(2)
    at = _checked(body, imms[0], 4, start)
    wide = body.out.op(f"zext i32 {count} to i64")
    woken = body.helper(Helper.ATOMIC_NOTIFY, str(imms[0].memory), at, wide)
    body.push("i32", body.out.op(f"trunc i64 {woken} to i32"))


def _wait(ty: str, width: int) -> None:
    @lowering(f"memory.atomic.wait{width * 8}")
    def lower(body: Body, imms: tuple[Any, ...]) -> None:
        out = body.out
        start, expected, timeout = body.pop_many(3)
        at = _checked(body, imms[0], width, start)
        if ty == "i32":
            expected = out.op(f"zext i32 {expected} to i64")
        operands = (str(imms[0].memory), at, str(width), expected, timeout)
        ended = body.helper(Helper.ATOMIC_WAIT, *operands)
        body.push("i32", out.op(f"trunc i64 {ended} to i32"))


def _register(row: Row) -> None:
    ty, _, rest = row.name.partition(".atomic.")
    width = _WIDTHS[row.name]
    if rest.startswith("load"):
        _load(row.name, ty, width)
    elif rest.startswith("store"):
        _store(row.name, ty, width)
    else:
        operation = rest.partition(".")[2].removesuffix("_u")
        if operation == "cmpxchg":
            _exchange_if(row.name, ty, width)
        else:
            _modify(row.name, ty, width, operation)


_wait("i32", 4)
_wait("i64", 8)
for _row in TABLE:
    if _row.family == "atomic" and _row.name.startswith("i"):
        _register(_row)
