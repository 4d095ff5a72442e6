"""Calls of Python helpers with values of any types from the middle of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .abi import Helper, Word
from .emit import c_call
from .glue import box, unbox

if TYPE_CHECKING:
    from .body import Body


def call(body: Body, callable: str, *operands: tuple[str, str]) -> str:
    """Call a Python object with operands, each with its IR type; borrows references.

    Gives a new Python object.  Leaves the function if the call raises.
    """
    out = body.out
    array = out.alloca(f"[{max(1, len(operands))} x ptr]")
    for number, (ty, value) in enumerate(operands):
        slot = out.op(f"getelementptr ptr, ptr {array}, i64 {number}")
        out.do(f"store ptr {box(out, ty, value)}, ptr {slot}")
    body.calls = True
    result = out.op(f"call ptr @call_object(ptr {callable}, ptr {array}, i64 {len(operands)})")
    body.unwind_if(out.op(f"icmp eq ptr {result}, null"))
    return result


def ask(body: Body, helper: Helper, ty: str | None, *operands: tuple[str, str]) -> str:
    """Call a helper; its result as a value of IR type `ty`, counted, or nothing of use."""
    result = call(body, body.item(Word.HELPERS, int(helper)), *operands)
    value = unbox(body.out, ty, result) if ty else ""
    body.out.do(c_call("Py_DecRef", result))
    return value
