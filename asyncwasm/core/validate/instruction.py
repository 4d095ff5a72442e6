"""Validation of one instruction, whatever it is: its row's stack effect, or its own rule.

This is the complete reading of the rules.  The loop over function bodies in `function.py`
does the common cases itself and comes here for everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asyncwasm.core.binary.immediates import MemArg, read_instruction
from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.types import NumType
from asyncwasm.errors import ValidationError

from . import control, references, variables
from .body import Body

# Rules of the instructions whose effect is `*` in the table, by name.
RULES: Final[dict[str, Callable[..., None]]] = {
    **control.RULES,
    **references.RULES,
    **variables.RULES,
}
assert RULES.keys() == {row.name for row in TABLE if row.params is None}

# Constant instructions, each with the proposal that made it one.
CONSTANT: Final[dict[str, Feature | None]] = {
    **dict.fromkeys(
        "i32.const i64.const f32.const f64.const global.get ref.null ref.func end".split()
    ),
    "v128.const": Feature.SIMD,
    **dict.fromkeys(
        "i32.add i32.sub i32.mul i64.add i64.sub i64.mul".split(), Feature.EXTENDED_CONST
    ),
    **dict.fromkeys(
        """struct.new struct.new_default array.new array.new_default array.new_fixed ref.i31
        any.convert_extern extern.convert_any""".split(),
        Feature.GC,
    ),
}


def step(body: Body, pos: int) -> int:
    """Validate the instruction at `pos` and return the position after it.

    Raises `MalformedError` and `ValidationError`, with offsets in the body or without one for
    the instruction itself.
    """
    body.pos = pos
    module = body.module
    row, args, after = read_instruction(body.code, pos, module.types)
    require(module.features, row.feature, None)
    if body.constant:
        if row.name not in CONSTANT:
            raise ValidationError(f"constant expression required: `{row.name}` is not constant")
        require(module.features, CONSTANT[row.name], None)
    rule = RULES.get(row.name)
    if rule is not None:
        rule(body, *args)
    else:
        _apply_row(body, row, args)
    return after


def _apply_row(body: Body, row: Row, args: tuple[Any, ...]) -> None:
    """Check the immediates of a row, then do its stack effect."""
    address: NumType | None = None
    for kind, value in zip(row.immediates, args, strict=True):
        match kind:
            case "memarg":
                address = _memory_access(body, row, value)
            case "memidx":
                address = body.module.memory_address(value)
            case "lane":
                _check_lane(value, row.lanes)
            case "lanes16":
                for lane in value:
                    _check_lane(lane, 32)
            case "dataidx":
                body.module.data(value)
            case "elemidx":
                body.module.elem(value)
    body.expect_all(_types(row.params, address))
    body.push_all(_types(row.results, address))


def _types(names: tuple[str, ...] | None, address: NumType | None) -> tuple[NumType, ...]:
    assert names is not None
    types = []
    for name in names:
        ty = address if name == "addr" else _BY_NAME[name]
        assert ty is not None
        types.append(ty)
    return tuple(types)


_BY_NAME: Final = {ty.value: ty for ty in NumType}


def _memory_access(body: Body, row: Row, arg: MemArg) -> NumType:
    address = body.module.memory_address(arg.memory)
    if row.family == "atomic":
        if arg.align != row.natural_align:
            raise ValidationError("alignment must be natural for an atomic instruction")
    elif arg.align > row.natural_align:
        raise ValidationError("alignment must not be larger than natural")
    if address is NumType.I32 and arg.offset >= 1 << 32:
        raise ValidationError("offset out of range")
    return address


def _check_lane(lane: int, count: int) -> None:
    if lane >= count:
        raise ValidationError(f"invalid lane index {lane}")
