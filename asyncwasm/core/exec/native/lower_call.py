"""Calls as LLVM IR: of a known function, of a table's element, of a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import DefType, FuncType, IndexType
from asyncwasm.errors import TrapCode

from .abi import LIST_ITEMS, LIST_SIZE, Word
from .body import result_type
from .lower import lowering
from .operands import Operand
from .refs import NULL, PYTHON

if TYPE_CHECKING:
    from .body import Body


def _emit_call(body: Body, callee: str, context: list[str], ty: FuncType, held: Operand) -> None:
    """Call `callee` with `context` and the operands; `held` is given up afterwards."""
    body.calls = True
    out = body.out
    returns = result_type(ty.results)
    args = ", ".join([*context, *(f"{t} {v}" for t, v in body.pop_taken(ty.params))])
    result = out.op(f"call {returns} {callee}({args})")
    status = out.op(f"extractvalue {returns} {result}, 0")
    body.unwind_if(out.op(f"icmp ne i32 {status}, 0"))
    body.give_up(held)
    for number, result_ty in enumerate(ty.results, 1):
        body.push_result(result_ty, out.op(f"extractvalue {returns} {result}, {number}"))


_NOTHING = Operand("i32", "0")


@lowering("call")
def _call(body: Body, imms: tuple[Any, ...]) -> None:
    index = imms[0]
    body.callees.add(index)
    _emit_call(body, f"@f{index}", ["ptr %ctx"], body.info.funcs[index].func, _NOTHING)


def table_items(body: Body, table: int) -> tuple[str, str]:
    """How many elements a table has, and where they are; both may change with any call."""
    out = body.out
    listed = body.item(Word.TABLES, table)
    at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_SIZE}")
    size = out.op(f"load i64, ptr {at}, {PYTHON}")
    at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_ITEMS}")
    return size, out.op(f"load ptr, ptr {at}, {PYTHON}")


def wide_index(body: Body, table: int, value: str) -> str:
    """An operand that is an index or a count of a table, as an i64."""
    if body.info.tables[table].index_type is IndexType.I64:
        return value
    return body.out.op(f"zext i32 {value} to i64")


@lowering("call_indirect")
def _call_indirect(body: Body, imms: tuple[Any, ...]) -> None:
    type_index, table = imms
    out = body.out
    defined: DefType = body.info.types[type_index]
    index = wide_index(body, table, body.pop())
    size, items = table_items(body, table)
    outside = out.op(f"icmp uge i64 {index}, {size}")
    body.trap_if(outside, TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element")
    at = out.op(f"getelementptr ptr, ptr {items}, i64 {index}")
    func = out.op(f"load ptr, ptr {at}, {PYTHON}")
    body.indirect.add(defined)
    context = ["ptr %ctx", f"i64 {table}", f"i64 {index}", f"ptr {func}"]
    _emit_call(body, f"@indirect_{id(defined):x}", context, defined.func, _NOTHING)


@lowering("call_ref")
def _call_ref(body: Body, imms: tuple[Any, ...]) -> None:
    defined: DefType = body.info.types[imms[0]]
    func = body.stack.pop()
    null = body.out.op(f"icmp eq ptr {func.value}, {NULL}")
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null function reference")
    body.referred.add(defined)
    context = ["ptr %ctx", f"ptr {func.value}"]
    _emit_call(body, f"@reference_{id(defined):x}", context, defined.func, func)
