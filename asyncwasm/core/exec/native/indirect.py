"""Calls of tables' elements, as LLVM IR, and what is known of those that were made before.

An element says in several steps where its code is: a `Func` has a slot, which has the address of
the word with the code's address, and the context to call it with.  A processor that guessed wrong
which element is next waits for all of them.  So each instance keeps for each of its tables a small
memory of functions of its own that were called, by index: the element itself, by which it is
known to be still the same, its type, and the word with its code.  All three are good for as long
as the instance.  An index shares its place with others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .abi import (
    LIST_ITEMS,
    LIST_SIZE,
    SLOT_CELL,
    SLOT_CONTEXT,
    SLOT_TYPE,
    Helper,
    Items,
    place,
)
from .emit import Emitter
from .exits import CTX
from .glue import call_func, define, fast_path, forward, helper_or_fail
from .refs import NULL, PYTHON

if TYPE_CHECKING:
    from asyncwasm.core.module import ModuleInfo
    from asyncwasm.core.types import DefType, TableType

# The words of a place: the element, its type, and where its code's address is.
_ELEMENT: Final = 0
_TYPE: Final = 1
_CELL: Final = 2
_PLACE_WORDS: Final = 4
_LEAST: Final = 8
_MOST: Final = 512


def _places(table: TableType) -> int:
    least = min(max(table.limits.minimum, _LEAST), _MOST)
    return 1 << (least - 1).bit_length()


def words(table: TableType) -> int:
    """How many words an instance has for what it knows of a table's elements, at first 0."""
    return _PLACE_WORDS * _places(table)


def name(table: int) -> str:
    """The kind of the stub that calls elements of a table."""
    return f"findirect_{table}"


def stub(info: ModuleInfo, table: int, ty: DefType) -> str:
    """`findirect_<table>_<type>`: call an element of a table after checking index and type."""
    symbol = f"{name(table)}_{id(ty):x}"
    others = ", i64 %index"
    out = Emitter()
    func = _element(out, info, table, "slow")
    known = _known(out, info, table)
    _go_on_if(out, f"icmp eq ptr {_word(out, known, _ELEMENT, 'ptr')}, {func}", "slow")
    _go_on_if(out, f"icmp eq i64 {_word(out, known, _TYPE)}, {id(ty)}", "slow")
    code = out.op(f"load atomic ptr, ptr {_word(out, known, _CELL, 'ptr')} monotonic, align 8")
    forward(out, code, "%ctx", ty.func, tail=False)
    out.label("slow")
    # In functions of their own, for the fast way to be small and without a frame.
    forward(out, f"@slow{symbol}", "%ctx", ty.func, tail=False, others=others)
    python = Emitter()
    operands = str(table), "%index", str(id(ty))
    callee = helper_or_fail(python, Helper.INDIRECT, ty.func, *operands)
    call_func(python, python.op(f"inttoptr i64 {callee} to ptr"), ty.func)
    return "\n".join(
        [
            define(symbol, ty.func, out, tail=False, others=others),
            _slow(info, table, ty, symbol, others),
            define(
                f"python{symbol}",
                ty.func,
                python,
                tail=False,
                others=others,
                attributes="noinline cold ",
            ),
        ]
    )


def _slow(info: ModuleInfo, table: int, ty: DefType, symbol: str, others: str) -> str:
    """The way by the element's slot, which is noted for the next time; else Python decides."""
    out = Emitter()
    func = _element(out, info, table, "slow")
    _go_on_if(out, f"icmp ne ptr {func}, {NULL}", "slow")
    slot = fast_path(out, func)
    _go_on_if(out, f"icmp eq i64 {_word(out, slot, SLOT_TYPE)}, {id(ty)}", "slow")
    cell = _word(out, slot, SLOT_CELL, "ptr")
    code = out.op(f"load atomic ptr, ptr {cell} monotonic, align 8")
    _go_on_if(out, f"icmp ne ptr {code}, null", "slow")
    context = _word(out, slot, SLOT_CONTEXT, "ptr")
    out.branch(out.op(f"icmp eq ptr {context}, %ctx"), "own", "call")
    out.label("own")
    known = _known(out, info, table)
    for number, value in ((_ELEMENT, func), (_CELL, cell)):
        out.do(f"store ptr {value}, ptr {_at(out, known, number)}, {CTX}")
    out.do(f"store i64 {id(ty)}, ptr {_at(out, known, _TYPE)}, {CTX}")
    out.jump("call")
    out.label("call")
    forward(out, code, context, ty.func, tail=False)
    out.label("slow")
    forward(out, f"@python{symbol}", "%ctx", ty.func, tail=False, others=others)
    return define(f"slow{symbol}", ty.func, out, tail=False, others=others, attributes="noinline ")


def _element(out: Emitter, info: ModuleInfo, table: int, otherwise: str) -> str:
    """Element `%index`, which may be null; goes to `otherwise` if there is none."""
    listed = _item(out, info, Items.TABLES, table)
    limits = info.tables[table].limits
    size = str(limits.minimum)
    if limits.minimum != limits.maximum:
        at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_SIZE}")
        size = out.op(f"load i64, ptr {at}, {PYTHON}")
    _go_on_if(out, f"icmp ult i64 %index, {size}", otherwise)
    at = out.op(f"getelementptr i8, ptr {listed}, i64 {LIST_ITEMS}")
    items = out.op(f"load ptr, ptr {at}, {PYTHON}")
    at = out.op(f"getelementptr ptr, ptr {items}, i64 %index")
    return out.op(f"load ptr, ptr {at}, {PYTHON}")


def _known(out: Emitter, info: ModuleInfo, table: int) -> str:
    """Where it is kept what is known of element `%index`, or of another."""
    known = _item(out, info, Items.CALLS, table)
    mine = out.op(f"and i64 %index, {_places(info.tables[table]) - 1}")
    return out.op(f"getelementptr [{_PLACE_WORDS} x i64], ptr {known}, i64 {mine}")


def _item(out: Emitter, info: ModuleInfo, items: Items, table: int) -> str:
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {place(info, items, table)}")
    return out.op(f"load ptr, ptr {at}, !invariant.load !4, {CTX}")


def _at(out: Emitter, base: str, index: int) -> str:
    return out.op(f"getelementptr i64, ptr {base}, i64 {index}")


def _word(out: Emitter, base: str, index: int, ty: str = "i64") -> str:
    return out.op(f"load {ty}, ptr {_at(out, base, index)}, {CTX}")


def _go_on_if(out: Emitter, condition: str, otherwise: str) -> None:
    """Go on if the comparison holds, as it nearly always does."""
    on = out.fresh("on")
    out.end(f"br i1 {out.op(condition)}, label %{on}, label %{otherwise}, !prof !15")
    out.label(on)
