"""Lowerings of calls, and tail calls.

A call is a Python call of the callee's global name.  A function that makes tail calls exists
twice: its raw form returns a *tail call*, a list of the callee's raw form and a tuple of
arguments, instead of a result, and its ordinary form calls the raw one and goes on with whatever
it is told to call next.  Results are never lists, so plain calls pay nothing for this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asyncwasm.core.types import DefType
from asyncwasm.errors import Trap, TrapCode

from .body import Body
from .expr import Expr
from .registry import Instr, lowering
from .variable import width

if TYPE_CHECKING:
    from asyncwasm.core.runtime.func import Func


def checked(func: Func | None, expected: DefType, index: int) -> Func:
    """The callee of a `call_indirect` whose type is not plainly the expected one.  Traps."""
    if func is None:
        raise Trap(TrapCode.INDIRECT_CALL_TO_NULL, f"uninitialized element {index}")
    if expected not in func.type.supers:
        raise Trap(TrapCode.BAD_SIGNATURE)
    return func


def null_function() -> Any:
    """Trap for a `call_ref` of null."""
    raise Trap(TrapCode.NULL_REFERENCE, "null function reference")


def finish(result: list[Any]) -> Any:
    """Make the tail calls that a raw function asked for, until there is a result."""
    current: Any = result
    while type(current) is list:
        current = current[0](*current[1])
    return current


def _emit_call(
    body: Body, callee: str, arguments: Sequence[Expr], ty: DefType, instr: Instr
) -> None:
    places = ", ".join([f"{{{i}}}" for i in range(len(arguments))])
    results = [width(result) for result in ty.func.results]
    body.call(f"{callee}({places})", *arguments, instr=instr, results=results)


def _emit_tail_call(body: Body, callee: str, arguments: Sequence[Expr], instr: Instr) -> None:
    body.flush()
    body.before_effect()
    joined = "".join([f"{argument.text}, " for argument in arguments])
    body.source.emit(f"return [{callee}, ({joined})]", instr.offset)


@lowering("call")
def _call(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    ty = body.info.funcs[index]
    arguments = body.pops(len(ty.func.params))
    _emit_call(body, body.names.indexed("func", "f", index), arguments, ty, instr)


@lowering("return_call")
def _return_call(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    arguments = body.pops(len(body.info.funcs[index].func.params))
    _emit_tail_call(body, body.names.indexed("raw", "r", index), arguments, instr)


def _indirect_callee(body: Body, instr: Instr, ty: DefType, entry: str) -> tuple[str, list[Expr]]:
    """Emit the look-up of the callee's `entry`; the result is its variable and the arguments."""
    table = body.elements(instr.immediates[1])
    index = body.pop()
    arguments = body.pops(len(ty.func.params))
    if index.effects or any(argument.effects for argument in arguments):
        *arguments, index = body.atoms(*arguments, index)
    else:
        body.flush()
        index = body.atom(index)
    body.before_effect()
    callee = body.temp().text
    expected = body.constant(ty)
    # An index outside of the list raises IndexError.
    body.source.emit(
        f"if ({callee} := {table}[{index.text}]) is None or {callee}.type is not {expected}: "
        f"{body.helper(checked)}({callee}, {expected}, {index.text})",
        instr.offset,
    )
    # As a variable of its own it is not taken for a method, which would be slower.
    body.source.emit(f"{callee} = {callee}.{entry}")
    return callee, arguments


@lowering("call_indirect")
def _call_indirect(body: Body, instr: Instr) -> None:
    ty = body.types[instr.immediates[0]]
    callee, arguments = _indirect_callee(body, instr, ty, "fn")
    _emit_call(body, callee, arguments, ty, instr)


@lowering("return_call_indirect")
def _return_call_indirect(body: Body, instr: Instr) -> None:
    ty = body.types[instr.immediates[0]]
    callee, arguments = _indirect_callee(body, instr, ty, "raw")
    _emit_tail_call(body, callee, arguments, instr)


def _referenced_callee(body: Body, instr: Instr, ty: DefType, entry: str) -> tuple[str, list[Expr]]:
    function = body.pop()
    arguments = body.pops(len(ty.func.params))
    if function.effects or any(argument.effects for argument in arguments):
        *arguments, function = body.atoms(*arguments, function)
    else:
        body.flush()
        function = body.atom(function)
    body.before_effect()
    missing = body.helper(null_function)
    callee = body.temp().text
    body.source.emit(f"if {function.text} is None: {missing}()", instr.offset)
    body.source.emit(f"{callee} = {function.text}.{entry}")
    return callee, arguments


@lowering("call_ref")
def _call_ref(body: Body, instr: Instr) -> None:
    ty = body.types[instr.immediates[0]]
    callee, arguments = _referenced_callee(body, instr, ty, "fn")
    _emit_call(body, callee, arguments, ty, instr)


@lowering("return_call_ref")
def _return_call_ref(body: Body, instr: Instr) -> None:
    ty = body.types[instr.immediates[0]]
    callee, arguments = _referenced_callee(body, instr, ty, "raw")
    _emit_tail_call(body, callee, arguments, instr)
