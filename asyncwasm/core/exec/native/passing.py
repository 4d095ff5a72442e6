"""How tail calls pass arguments: in registers, or all of them in memory of the store's.

LLVM can only make a tail call without fail, and rightly, when caller and callee have no arguments
on the stack.  So functions that are called so (`t<n>` and the stubs for it) take more arguments
than there are registers from an area that belongs to the store, where they stay no longer than it
takes the callee to load them.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.core.types import FuncType

from .abi import Word
from .emit import Emitter, ir_type

# Registers for integers and pointers, the context's included, and for the others, on every
# processor there is native code for.
_INTEGERS: Final = 6
_FLOATS: Final = 8
_FLOAT_TYPES: Final = frozenset({"float", "double", "<2 x i64>"})
# The most arguments that the area holds, 16 bytes each.
AREA_ARGUMENTS: Final = 64
# Results are returned in so many registers; there is no other way for a tail call.
_RESULT_INTEGERS: Final = 2
_RESULT_FLOATS: Final = 4


def can_tail_call(params: FuncType, results: FuncType) -> bool:
    """Whether a function with the parameters of one type and the results of another can be
    tail-called.
    """
    floats = sum(ir_type(ty) in _FLOAT_TYPES for ty in results.results)
    return (
        floats <= _RESULT_FLOATS
        and len(results.results) - floats <= _RESULT_INTEGERS
        and len(params.params) <= AREA_ARGUMENTS
    )


def in_registers(ty: FuncType, extra: int = 0) -> bool:
    """Whether all arguments are passed in registers, with the context and `extra` others."""
    floats = sum(ir_type(param) in _FLOAT_TYPES for param in ty.params)
    return floats <= _FLOATS and 1 + extra + len(ty.params) - floats <= _INTEGERS


def parameters(ty: FuncType, extra: int = 0) -> str:
    """The parameters after the context and `extra` others."""
    if not in_registers(ty, extra):
        return ""
    return "".join(f", {ir_type(param)} %p{n}" for n, param in enumerate(ty.params))


def loads(ty: FuncType, extra: int = 0) -> list[str]:
    """What a function begins with, for `%p0` … to be its arguments wherever they were passed."""
    if in_registers(ty, extra):
        return []
    lines = [
        f"  %area.at = getelementptr ptr, ptr %ctx, i64 {int(Word.ARGUMENTS)}",
        "  %area = load ptr, ptr %area.at",
    ]
    for number, param in enumerate(ty.params):
        lines.append(f"  %area{number} = getelementptr i8, ptr %area, i64 {16 * number}")
        lines.append(f"  %p{number} = load {ir_type(param)}, ptr %area{number}, align 8")
    return lines


def arguments(
    out: Emitter, context: str, values: list[tuple[str, str]], ty: FuncType, extra: int = 0
) -> str:
    """The arguments after the context and `extra` others, or none when they are in the area."""
    if in_registers(ty, extra):
        return "".join(f", {name} {value}" for name, value in values)
    at = out.op(f"getelementptr ptr, ptr {context}, i64 {int(Word.ARGUMENTS)}")
    area = out.op(f"load ptr, ptr {at}")
    for number, (name, value) in enumerate(values):
        place = out.op(f"getelementptr i8, ptr {area}, i64 {16 * number}")
        out.do(f"store {name} {value}, ptr {place}, align 8")
    return ""
