"""Calls as LLVM IR: of a known function, of a table's element, of a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import DefType, FuncType, IndexType
from asyncwasm.errors import TrapCode

from . import indirect
from .abi import CONVENTION, LIST_ITEMS, LIST_SIZE, Items
from .exits import result_type
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
    result = out.op(f"call {CONVENTION} {returns} {callee}({args})")
    body.regain()
    status = out.op(f"extractvalue {returns} {result}, 0")
    body.unwind_if(out.op(f"icmp ne i32 {status}, 0"), status)
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
    listed = body.own(Items.TABLES, table, LIST_ITEMS + 8)
    at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_SIZE}")
    size = out.op(f"load i64, ptr {at}, {PYTHON}")
    at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_ITEMS}")
    return size, out.op(f"load ptr, ptr {at}, {PYTHON}")


def wide_index(body: Body, table: int, value: str) -> str:
    """An operand that is an index or a count of a table, as an i64."""
    if body.info.tables[table].index_type is IndexType.I64:
        return value
    return body.out.op(f"zext i32 {value} to i64")


@lowering("return_call")
def _return_call(body: Body, imms: tuple[Any, ...]) -> None:
    index = imms[0]
    body.tail_callees.add(index)
    ty = body.info.funcs[index].func
    values = body.pop_taken(ty.params)
    body.leave_all()
    body.give_away(f"@t{index}", ["ptr %ctx"], values, ty)


def _stub(body: Body, kind: str, ty: DefType) -> str:
    body.stubs.add((kind, ty))
    return f"@{kind}_{id(ty):x}"


def _pop_element(body: Body, table: int) -> str:
    """Pop the index of an element, as an i64; traps if there is none."""
    index = wide_index(body, table, body.pop())
    size, _ = table_items(body, table)
    outside = body.out.op(f"icmp uge i64 {index}, {size}")
    body.trap_if(outside, TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element")
    return index


def _element(body: Body, table: int, index: str) -> list[str]:
    """What stubs for calls of elements take before the arguments."""
    _, items = table_items(body, table)
    at = body.out.op(f"getelementptr ptr, ptr {items}, i64 {index}")
    func = body.out.op(f"load ptr, ptr {at}, {PYTHON}")
    return ["ptr %ctx", f"i64 {table}", f"i64 {index}", f"ptr {func}"]


@lowering("call_indirect")
def _call_indirect(body: Body, imms: tuple[Any, ...]) -> None:
    type_index, table = imms
    defined: DefType = body.info.types[type_index]
    index = wide_index(body, table, body.pop())
    stub = _stub(body, indirect.name(table), defined)
    _emit_call(body, stub, ["ptr %ctx", f"i64 {index}"], defined.func, _NOTHING)


@lowering("return_call_indirect")
def _return_call_indirect(body: Body, imms: tuple[Any, ...]) -> None:
    type_index, table = imms
    defined: DefType = body.info.types[type_index]
    index = _pop_element(body, table)
    values = body.pop_taken(defined.func.params)
    # Releasing the rest may change the table, though never its size downwards.
    body.leave_all()
    element = _element(body, table, index)
    body.give_away(_stub(body, "tindirect", defined), element, values, defined.func)


def _pop_function(body: Body) -> Operand:
    func = body.stack.pop()
    null = body.out.op(f"icmp eq ptr {func.value}, {NULL}")
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null function reference")
    return func


@lowering("call_ref")
def _call_ref(body: Body, imms: tuple[Any, ...]) -> None:
    defined: DefType = body.info.types[imms[0]]
    func = _pop_function(body)
    context = ["ptr %ctx", f"ptr {func.value}"]
    _emit_call(body, _stub(body, "freference", defined), context, defined.func, func)


@lowering("return_call_ref")
def _return_call_ref(body: Body, imms: tuple[Any, ...]) -> None:
    defined: DefType = body.info.types[imms[0]]
    func = body.take(_pop_function(body))
    values = body.pop_taken(defined.func.params)
    body.leave_all()
    context = ["ptr %ctx", f"ptr {func}"]
    body.give_away(_stub(body, "treference", defined), context, values, defined.func)
