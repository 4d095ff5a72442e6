"""Lowerings of the instructions that throw; catching is a matter of control.

A WebAssembly exception travels as a Python `ThrownException`, a new one each time, so that an
`exnref` thrown again does not collect tracebacks.
"""

from __future__ import annotations

from typing import NoReturn

from asyncwasm.core.runtime.gc import ExnRef
from asyncwasm.errors import ThrownException, Trap, TrapCode

from .body import Body
from .expr import merge
from .registry import Instr, lowering


def throw_ref(exn: ExnRef | None) -> NoReturn:
    if exn is None:
        raise Trap(TrapCode.NULL_REFERENCE, "null exception reference")
    raise ThrownException(exn)


@lowering("throw")
def throw(body: Body, instr: Instr) -> None:
    index = instr.immediates[0]
    values = body.pops(len(body.info.tags[index].type.func.params))
    fields = merge(f"({''.join([f'{value.text}, ' for value in values])})", *values)
    thrown = body.names.named("Thrown", ThrownException)
    made = body.names.named("ExnRef", ExnRef)
    body.effect(f"raise {thrown}({made}({body.tag(index)}, {{0}}))", fields, instr=instr)


@lowering("throw_ref")
def lower_throw_ref(body: Body, instr: Instr) -> None:
    body.effect(f"{body.helper(throw_ref)}({{0}})", body.pop(), instr=instr)
