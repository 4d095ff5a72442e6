"""Instructions on references as LLVM IR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.errors import TrapCode

from .abi import Helper, Word
from .lower import lowering
from .refs import NULL, REF

if TYPE_CHECKING:
    from .body import Body


def is_null(body: Body, value: str) -> str:
    """Whether a reference is null, as an i1."""
    return body.out.op(f"icmp eq ptr {value}, {NULL}")


@lowering("ref.null")
def _ref_null(body: Body, imms: tuple[Any, ...]) -> None:
    body.push(REF, NULL)


@lowering("ref.is_null")
def _ref_is_null(body: Body, imms: tuple[Any, ...]) -> None:
    operand = body.stack.pop()
    body.give_up(operand)
    body.push_condition(is_null(body, operand.value))


@lowering("ref.func")
def _ref_func(body: Body, imms: tuple[Any, ...]) -> None:
    out = body.out
    at = out.op(f"getelementptr ptr, ptr {body.word(Word.FUNCS)}, i64 {imms[0]}")
    found = out.op(f"load ptr, ptr {at}")
    make, after = out.fresh("make"), out.fresh("made")
    before = out.block
    out.branch(out.op(f"icmp eq ptr {found}, null"), make, after, unlikely=True)
    out.label(make)
    body.helper(Helper.FUNC, str(imms[0]))
    made = out.op(f"load ptr, ptr {at}")
    made_in = out.block
    out.jump(after)
    out.label(after)
    body.push(REF, out.op(f"phi ptr [ {found}, %{before} ], [ {made}, %{made_in} ]"))


@lowering("ref.eq")
def _ref_eq(body: Body, imms: tuple[Any, ...]) -> None:
    right, left = body.stack.pop(), body.stack.pop()
    same = body.out.op(f"call i1 @same(ptr {left.value}, ptr {right.value})")
    body.give_up(left)
    body.give_up(right)
    body.push_condition(same)


@lowering("ref.as_non_null")
def _ref_as_non_null(body: Body, imms: tuple[Any, ...]) -> None:
    body.trap_if(is_null(body, body.stack[-1].value), TrapCode.NULL_REFERENCE)


@lowering("br_on_null")
def _br_on_null(body: Body, imms: tuple[Any, ...]) -> None:
    # Null has no count, so on the way to the label nothing is to be released.
    operand = body.stack.pop()
    body.branch_if(is_null(body, operand.value), imms[0])
    body.stack.append(operand)


@lowering("br_on_non_null")
def _br_on_non_null(body: Body, imms: tuple[Any, ...]) -> None:
    value = body.stack[-1].value
    body.branch_if(body.out.op(f"icmp ne ptr {value}, {NULL}"), imms[0])
    body.stack.pop()


@lowering("any.convert_extern")
@lowering("extern.convert_any")
def _convert(body: Body, imms: tuple[Any, ...]) -> None:
    """Raw references are the same on both sides."""
