"""Instructions on tables as LLVM IR.  A table is a Python list; what changes its size or many
elements at once is done in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import IndexType
from asyncwasm.errors import TrapCode

from .abi import Helper
from .lower import lowering
from .lower_call import table_items, wide_index
from .objects import ask
from .refs import REF, get, put

if TYPE_CHECKING:
    from .body import Body


def _place(body: Body, table: int, index: str) -> str:
    """The address of an element; traps if there is none."""
    out = body.out
    index = wide_index(body, table, index)
    size, items = table_items(body, table)
    body.trap_if(out.op(f"icmp uge i64 {index}, {size}"), TrapCode.TABLE_OUT_OF_BOUNDS)
    return out.op(f"getelementptr ptr, ptr {items}, i64 {index}")


def _push_index(body: Body, table: int, value: str) -> None:
    if body.info.tables[table].index_type is IndexType.I64:
        body.push("i64", value)
    else:
        body.push("i32", body.out.op(f"trunc i64 {value} to i32"))


@lowering("table.get")
def _table_get(body: Body, imms: tuple[Any, ...]) -> None:
    body.push_counted(get(body.out, _place(body, imms[0], body.pop())))


@lowering("table.set")
def _table_set(body: Body, imms: tuple[Any, ...]) -> None:
    operand = body.stack.pop()
    place = _place(body, imms[0], body.pop())
    put(body.out, place, body.take(operand))


@lowering("table.size")
def _table_size(body: Body, imms: tuple[Any, ...]) -> None:
    size, _ = table_items(body, imms[0])
    _push_index(body, imms[0], size)


@lowering("table.grow")
def _table_grow(body: Body, imms: tuple[Any, ...]) -> None:
    table = imms[0]
    count = wide_index(body, table, body.pop())
    operand = body.stack.pop()
    operands = ("i64", str(table)), ("i64", count), (REF, operand.value)
    old = ask(body, Helper.TABLE_GROW, "i64", *operands)
    body.give_up(operand)
    _push_index(body, table, old)


@lowering("table.fill")
def _table_fill(body: Body, imms: tuple[Any, ...]) -> None:
    table = imms[0]
    count = wide_index(body, table, body.pop())
    operand = body.stack.pop()
    start = wide_index(body, table, body.pop())
    operands = ("i64", str(table)), ("i64", start), (REF, operand.value), ("i64", count)
    ask(body, Helper.TABLE_FILL, None, *operands)
    body.give_up(operand)


@lowering("table.copy")
def _table_copy(body: Body, imms: tuple[Any, ...]) -> None:
    target, source = imms
    to, start, count = body.pop_many(3)
    both = {body.info.tables[table].index_type for table in imms}
    if IndexType.I32 in both:
        count = body.out.op(f"zext i32 {count} to i64")
    places = wide_index(body, target, to), wide_index(body, source, start)
    body.helper(Helper.TABLE_COPY, str(target), str(source), *places, count)


@lowering("table.init")
def _table_init(body: Body, imms: tuple[Any, ...]) -> None:
    segment, table = imms
    to, start, count = body.pop_many(3)
    start, count = (body.out.op(f"zext i32 {value} to i64") for value in (start, count))
    to = wide_index(body, table, to)
    body.helper(Helper.TABLE_INIT, str(segment), str(table), to, start, count)


@lowering("elem.drop")
def _elem_drop(body: Body, imms: tuple[Any, ...]) -> None:
    body.helper(Helper.ELEM_DROP, str(imms[0]))
