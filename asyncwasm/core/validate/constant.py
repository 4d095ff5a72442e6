"""Validation of constant expressions."""

from __future__ import annotations

import re
from typing import Final

from asyncwasm.core.module import Span
from asyncwasm.core.types import I32, ValType
from asyncwasm.errors import MalformedError, ValidationError

from .body import Body
from .context import ModuleContext
from .instruction import step

# What most of them are, and enough to know that one is valid.
_I32_CONST: Final = re.compile(rb"\x41[\x80-\xff]{0,3}[\x00-\x7f]\x0b")


def validate_constant(module: ModuleContext, span: Span, expected: ValType) -> set[int]:
    """Check that an expression is constant and gives a value of type `expected`.

    Returns the functions that it refers to.
    """
    data = module.info.data
    if expected is I32 and _I32_CONST.fullmatch(data, span.start, span.end):
        return set()
    body = Body(module, data[span.start : span.end], (expected,), [], {}, constant=True)
    pos = 0
    try:
        while body.frames:
            pos = step(body, pos)
    except (MalformedError, ValidationError) as error:
        place = span.start + (body.pos if error.offset is None else error.offset)
        raise type(error)(error.reason, offset=place) from None
    return body.refs
