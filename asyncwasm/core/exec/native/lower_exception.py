"""Throwing and catching as LLVM IR; see `thrown`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.core.binary.immediates import Catch
from asyncwasm.core.runtime.exnref import ExnRef
from asyncwasm.errors import TrapCode

from .abi import THROWN, Helper, Word
from .body import Label
from .emit import c_call, ir_type
from .exits import Handlers
from .glue import unbox
from .lower import lowering
from .objects import ask
from .operands import Slots
from .refs import NULL, PYTHON, REF, release
from .support import slot_offset

if TYPE_CHECKING:
    from .body import Body


@lowering("throw")
def _throw(body: Body, imms: tuple[Any, ...]) -> None:
    types = body.info.tags[imms[0]].type.func.params
    operands = body.stack[len(body.stack) - len(types) :]
    values = [
        (ir_type(ty), body.as_value(operand)) for ty, operand in zip(types, operands, strict=True)
    ]
    exn = ask(body, Helper.THROW, REF, ("i32", str(imms[0])), *values)
    body.out.do(f"call void @throw(ptr %ctx, ptr {exn})")
    body.unwind(str(THROWN))


@lowering("throw_ref")
def _throw_ref(body: Body, imms: tuple[Any, ...]) -> None:
    operand = body.stack[-1]
    null = body.out.op(f"icmp eq ptr {operand.value}, {NULL}")
    body.trap_if(null, TrapCode.NULL_REFERENCE, "null exception reference")
    body.calls = True
    body.out.do(f"call void @throw(ptr %ctx, ptr {body.take(operand)})")
    body.unwind(str(THROWN))


@lowering("try_table")
def _try_table(body: Body, imms: tuple[Any, ...]) -> None:
    ty, catches = imms
    handlers = Handlers(body.out.fresh("catch"))
    # Labels are those around the block.
    clauses = [(catch, body.branch_target(catch.label)) for catch in catches]
    body.open_block(ty)
    body.labels[-1].on_end = lambda: _handle(body, handlers, clauses)
    body.handlers.append(handlers)


def _handle(body: Body, handlers: Handlers, clauses: list[tuple[Catch, Label]]) -> None:
    """The handlers, at the end of the block.  The operands are those before it."""
    assert body.handlers.pop() is handlers
    if not handlers.ways:
        return
    out = body.out
    out.label(handlers.block)
    offsets = ", ".join(f"[ {way.offset}, %{way.block} ]" for way in handlers.ways)
    statuses = ", ".join(f"[ {way.status}, %{way.block} ]" for way in handlers.ways)
    offset = out.op(f"phi i32 {offsets}")
    status = out.op(f"phi i32 {statuses}")
    exn = out.op(f"call ptr @caught(ptr %ctx, i32 {status})")
    # A trap or the host's own exception is nothing to look at.
    mine, other = out.fresh("thrown"), out.fresh("other")
    out.branch(out.op(f"icmp eq ptr {exn}, null"), other, mine)
    out.label(mine)
    tag_at, fields_at = slot_offset(ExnRef, "tag"), slot_offset(ExnRef, "fields")
    tag = out.op(f"load ptr, ptr {out.op(f'getelementptr i8, ptr {exn}, i64 {tag_at}')}, {PYTHON}")
    for catch, label in clauses:
        unmatched = out.fresh("unmatched")
        if catch.tag is not None:
            matched = out.fresh("matched")
            same = out.op(f"icmp eq ptr {tag}, {body.item(Word.TAGS, catch.tag)}")
            out.branch(same, matched, unmatched)
            out.label(matched)
        fields = out.op(f"getelementptr i8, ptr {exn}, i64 {fields_at}")
        _catch(body, catch, label, exn, out.op(f"load ptr, ptr {fields}, {PYTHON}"), status)
        if catch.tag is None:
            break
        out.label(unmatched)
    if out.block is not None:
        release(out, exn)
        out.jump(other)
    out.label(other)
    body.unwind(status, offset)


def _catch(body: Body, catch: Catch, label: Label, exn: str, fields: str, status: str) -> None:
    """Go to a label with what was thrown."""
    out = body.out
    slots: Slots = label.slots
    for number, (ty, slot) in enumerate(slots[: len(slots) - catch.ref]):
        item = out.op(c_call("PyTuple_GetItem", fields, str(number)))
        out.do(f"store {ty} {unbox(out, ty, item)}, ptr {slot}")
    out.do(f"call void @handled(ptr %ctx, i32 {status})")
    if catch.ref:
        out.do(f"store {REF} {exn}, ptr {slots[-1][1]}")
    else:
        release(out, exn)
    body.release_roots(len(body.stack))
    for operand in body.stack[label.height :]:
        body.give_up(operand)
    out.jump(label.target)
