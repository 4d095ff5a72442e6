"""Rules of control instructions: blocks, branches, calls and exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from asyncwasm.core.binary.cursor import require_val_type
from asyncwasm.core.binary.immediates import BrTable, CastOp, Catch
from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.types import (
    EXNREF,
    FUNCREF,
    I32,
    AbsHeapType,
    FuncType,
    RefType,
    ValType,
)
from asyncwasm.errors import MalformedError, ValidationError

from .body import BOTTOM_REF, Body, Bottom

_EXN: Final = RefType(False, AbsHeapType.EXN)


def unreachable(body: Body) -> None:
    body.set_unreachable()


def _block_type(body: Body, ty: FuncType) -> FuncType:
    features = body.module.features
    if ty.params or len(ty.results) > 1:
        require(features, Feature.MULTI_VALUE, None)
    elif ty.results:
        require_val_type(features, ty.results[0], None)
    return ty


def block(body: Body, ty: FuncType) -> None:
    _block_type(body, ty)
    body.expect_all(ty.params)
    body.enter("block", ty.params, ty.results)


def loop(body: Body, ty: FuncType) -> None:
    _block_type(body, ty)
    body.expect_all(ty.params)
    body.enter("loop", ty.params, ty.results)


def if_(body: Body, ty: FuncType) -> None:
    _block_type(body, ty)
    body.expect(I32)
    body.expect_all(ty.params)
    body.enter("if", ty.params, ty.results)


def else_(body: Body) -> None:
    if body.frames[-1].kind != "if":
        raise MalformedError("else without a matching if")
    frame = body.leave()
    body.enter("else", frame.params, frame.results)


def end(body: Body) -> None:
    if body.frames[-1].kind == "if":
        # An `if` without `else` means one with an empty `else`.
        else_(body)
    frame = body.leave()
    if body.frames:
        body.push_all(frame.results)
    elif body.pos + 1 != len(body.code):
        raise MalformedError("junk after the end of the function")


def try_table(body: Body, ty: FuncType, catches: tuple[Catch, ...]) -> None:
    _block_type(body, ty)
    # Handlers are outside of the block: their labels do not count it.
    seen = set()
    for catch in catches:
        if catch in seen:
            continue
        seen.add(catch)
        caught: tuple[ValType, ...] = ()
        if catch.tag is not None:
            caught = body.module.tag(catch.tag).params
        if catch.ref:
            caught = (*caught, _EXN)
        _match_all(body, caught, body.label(catch.label))
    body.expect_all(ty.params)
    body.enter("try_table", ty.params, ty.results)


def _match_all(body: Body, found: Sequence[ValType], expected: Sequence[ValType]) -> None:
    if found == expected:
        return
    if len(found) != len(expected):
        raise ValidationError(f"type mismatch: expected {len(expected)} values, found {len(found)}")
    for ty, wanted in zip(found, expected, strict=True):
        if not ty.matches(wanted):
            raise body.mismatch(wanted, ty)


def throw(body: Body, tag: int) -> None:
    body.expect_all(body.module.tag(tag).params)
    body.set_unreachable()


def throw_ref(body: Body) -> None:
    body.expect(EXNREF)
    body.set_unreachable()


def br(body: Body, label: int) -> None:
    body.expect_all(body.label(label))
    body.set_unreachable()


def br_if(body: Body, label: int) -> None:
    types = body.label(label)
    body.expect(I32)
    body.expect_all(types)
    body.push_all(types)


def br_table(body: Body, table: BrTable) -> None:
    body.expect(I32)
    default = body.label(table.default)
    vals = body.vals
    seen: set[int] = set()
    for label in set(table.labels):
        types = body.label(label)
        if len(types) != len(default):
            raise ValidationError("type mismatch: labels of br_table take different numbers")
        # Many labels may share one long list of types; types live as long as the module.
        if types and id(types) not in seen:
            seen.add(id(types))
            height, tail = len(vals), vals[-len(types) :]
            body.expect_all(types)
            taken = height - len(vals)
            vals.extend(tail[len(tail) - taken :])
    body.expect_all(default)
    body.set_unreachable()


def br_on_null(body: Body, label: int) -> None:
    types = body.label(label)
    found = body.pop_ref()
    body.expect_all(types)
    body.push_all(types)
    body.push(as_non_null(found))


def br_on_non_null(body: Body, label: int) -> None:
    types = body.label(label)
    last = types[-1] if types else None
    if not isinstance(last, RefType):
        raise ValidationError("type mismatch: the label does not take a reference")
    body.expect(RefType(True, last.heap))
    body.expect_all(types[:-1])
    body.push_all(types[:-1])


def as_non_null(ty: RefType | Bottom) -> RefType | Bottom:
    """The type of a reference of type `ty` that is known not to be null."""
    return BOTTOM_REF if isinstance(ty, Bottom) else RefType(False, ty.heap)


def _br_on_cast(body: Body, op: CastOp, on_branch: RefType, else_type: RefType) -> None:
    features = body.module.features
    require_val_type(features, op.source, None)
    require_val_type(features, op.target, None)
    if not op.target.matches(op.source):
        raise ValidationError("type mismatch: the target is not a subtype of the source of a cast")
    types = body.label(op.label)
    if not types or not on_branch.matches(types[-1]):
        raise ValidationError("type mismatch: the label does not take the type of the cast")
    body.expect(op.source)
    body.expect_all(types[:-1])
    body.push_all(types[:-1])
    body.push(else_type)


def _difference(op: CastOp) -> RefType:
    """What a value of the source is if it is not of the target."""
    return RefType(op.source.nullable and not op.target.nullable, op.source.heap)


def br_on_cast(body: Body, op: CastOp) -> None:
    _br_on_cast(body, op, op.target, _difference(op))


def br_on_cast_fail(body: Body, op: CastOp) -> None:
    _br_on_cast(body, op, _difference(op), op.target)


def return_(body: Body) -> None:
    body.expect_all(body.frames[0].results)
    body.set_unreachable()


def _apply(body: Body, ty: FuncType) -> None:
    body.expect_all(ty.params)
    body.push_all(ty.results)


def _tail_apply(body: Body, ty: FuncType) -> None:
    _match_all(body, ty.results, body.frames[0].results)
    body.expect_all(ty.params)
    body.set_unreachable()


def call(body: Body, func: int) -> None:
    _apply(body, body.module.func(func).func)


def return_call(body: Body, func: int) -> None:
    _tail_apply(body, body.module.func(func).func)


def _indirect(body: Body, type: int, table: int) -> FuncType:
    element = body.module.table(table).element
    if not element.matches(FUNCREF):
        raise ValidationError(
            f"type mismatch: indirect call through table {table}, which does not hold functions"
        )
    ty = body.module.func_type(type)
    body.expect(body.module.table_address(table))
    return ty


def call_indirect(body: Body, type: int, table: int) -> None:
    _apply(body, _indirect(body, type, table))


def return_call_indirect(body: Body, type: int, table: int) -> None:
    _tail_apply(body, _indirect(body, type, table))


def _through_ref(body: Body, type: int) -> FuncType:
    ty = body.module.func_type(type)
    body.expect(RefType(True, body.module.defined(type)))
    return ty


def call_ref(body: Body, type: int) -> None:
    _apply(body, _through_ref(body, type))


def return_call_ref(body: Body, type: int) -> None:
    _tail_apply(body, _through_ref(body, type))


RULES: Final[dict[str, Any]] = {
    "unreachable": unreachable,
    "block": block,
    "loop": loop,
    "if": if_,
    "else": else_,
    "end": end,
    "try_table": try_table,
    "throw": throw,
    "throw_ref": throw_ref,
    "br": br,
    "br_if": br_if,
    "br_table": br_table,
    "br_on_null": br_on_null,
    "br_on_non_null": br_on_non_null,
    "br_on_cast": br_on_cast,
    "br_on_cast_fail": br_on_cast_fail,
    "return": return_,
    "call": call,
    "call_indirect": call_indirect,
    "call_ref": call_ref,
    "return_call": return_call,
    "return_call_indirect": return_call_indirect,
    "return_call_ref": return_call_ref,
}
