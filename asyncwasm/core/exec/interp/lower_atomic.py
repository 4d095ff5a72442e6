"""Lowerings of the atomic instructions; what they do is in `runtime.atomics`."""

from __future__ import annotations

import re
from typing import Final

from asyncwasm.core.isa.table import TABLE
from asyncwasm.core.runtime import atomics

from .body import Body
from .expr import READS, TRAPS, Expr
from .registry import Instr, lowering

_WIDTHS: Final = {row.name: 1 << row.natural_align for row in TABLE if row.family == "atomic"}


def _named(kind: str) -> list[str]:
    pattern = re.compile(rf"i\d+\.atomic\.{kind}\d*(_u)?$")
    return [name for name in _WIDTHS if pattern.match(name)]


def _access(body: Body, instr: Instr) -> str:
    """The first arguments of every access, as a template: memory, address, width."""
    memarg = instr.immediates[0]
    address = f"{{0}} + {memarg.offset}" if memarg.offset else "{0}"
    return f"{body.memory(memarg.memory)}, {address}, {_WIDTHS[instr.row.name]}"


def _bits(instr: Instr) -> int:
    return 64 if instr.row.name.startswith("i64") else 32


def _most(instr: Instr) -> int:
    return (1 << 8 * _WIDTHS[instr.row.name]) - 1


@lowering(*_named("load"))
def atomic_load(body: Body, instr: Instr) -> None:
    body.push_op(
        f"{body.helper(atomics.atomic_load)}({_access(body, instr)})",
        body.pop(),
        effects=TRAPS | READS,
        instr=instr,
        bits=_bits(instr),
        lo=0,
        hi=_most(instr),
    )


@lowering(*_named("store"))
def atomic_store(body: Body, instr: Instr) -> None:
    value = body.pop_modular()
    call = f"{body.helper(atomics.atomic_store)}({_access(body, instr)}, {{1}})"
    body.effect(call, body.pop(), value, instr=instr)


def _modify(body: Body, instr: Instr, function: str, operands: list[Expr]) -> None:
    arguments = "".join(f", {{{i}}}" for i in range(1, len(operands)))
    name = body.helper(getattr(atomics, function))
    body.call(
        f"{name}({_access(body, instr)}{arguments})",
        *operands,
        instr=instr,
        results=(_bits(instr),),
    )


def _register(operation: str, operands: int) -> None:
    @lowering(*_named(rf"rmw\d*\.{operation}"))
    def modify(body: Body, instr: Instr) -> None:
        _modify(body, instr, f"rmw_{operation}", body.pops(operands))


for _operation in ("add", "sub", "and", "or", "xor", "xchg"):
    _register(_operation, 2)
_register("cmpxchg", 3)


@lowering("memory.atomic.notify")
def atomic_notify(body: Body, instr: Instr) -> None:
    memarg = instr.immediates[0]
    name = body.helper(atomics.notify)
    address = f"{{0}} + {memarg.offset}" if memarg.offset else "{0}"
    call = f"{name}({body.memory(memarg.memory)}, {address}, {{1}})"
    body.call(call, *body.pops(2), instr=instr, results=(32,))


@lowering("memory.atomic.wait32", "memory.atomic.wait64")
def atomic_wait(body: Body, instr: Instr) -> None:
    call = f"{body.helper(atomics.wait_raw)}({body.store()}, {_access(body, instr)}, {{1}}, {{2}})"
    body.call(call, *body.pops(3), instr=instr, results=(32,))


@lowering("atomic.fence")
def atomic_fence(body: Body, instr: Instr) -> None:
    """Nothing to do: the interpreter lock orders all accesses."""
