"""Which proposals a module uses: those without which it would be refused."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Self

from asyncwasm.core.binary.cursor import require_heap_type, require_val_type
from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.immediates import read_instruction, read_val_type
from asyncwasm.core.binary.leb128 import read_u32
from asyncwasm.core.isa.features import ALL, Feature, require
from asyncwasm.core.module import ModuleInfo, Span
from asyncwasm.core.validate import validate_module
from asyncwasm.errors import ValidationError


def features_used(data: bytes) -> tuple[ModuleInfo, list[Feature]]:
    """The decoded module, and the proposals it could not do without, in `Feature`'s order.

    Raises `MalformedError` or `ValidationError`, with all proposals allowed.
    """
    info = decode_module(data)
    validate_module(info, ALL)
    recorder = _Recorder()
    for body in info.bodies:
        _scan(info, body, recorder)
    used = [f for f in Feature if f in recorder.seen or not _does_without(data, f)]
    return info, used


def _does_without(data: bytes, feature: Feature) -> bool:
    """Whether all but the function bodies is valid without the proposal."""
    others = ALL - {feature}
    try:
        validate_module(decode_module(data, others), others, lazy=True)
    except ValidationError:
        return False
    return True


class _Recorder(frozenset[Feature]):
    """All features, for checks that ask for those that they need; `seen` are these."""

    seen: set[Feature]

    def __new__(cls) -> Self:
        self = super().__new__(cls, ALL)
        self.seen = set()
        return self

    def __contains__(self, feature: object) -> bool:
        if isinstance(feature, Feature):
            self.seen.add(feature)
        return True

    def __ge__(self, other: AbstractSet[object]) -> bool:
        # Comparing whole sets is a short cut past the questions that matter here.
        return False


def _scan(info: ModuleInfo, body: Span, recorder: _Recorder) -> None:
    """Make a valid body's checks once more, one by one: validation has short cuts."""
    data, types = info.data, info.types
    count, pos = read_u32(data, body.start)
    for _ in range(count):
        _, pos = read_u32(data, pos)
        ty, pos = read_val_type(data, pos, types)
        require_val_type(recorder, ty, None)
    while pos < body.end:
        row, values, pos = read_instruction(data, pos, types)
        require(recorder, row.feature, None)
        for kind, value in zip(row.immediates, values, strict=True):
            match kind:
                case "blocktype":
                    if value.params or len(value.results) > 1:
                        require(recorder, Feature.MULTI_VALUE, None)
                    for result in value.results:
                        require_val_type(recorder, result, None)
                case "heaptype":
                    require_heap_type(recorder, value, None)
                case "valtypevec":
                    for ty in value:
                        require_val_type(recorder, ty, None)
                case "castop":
                    require_val_type(recorder, value.source, None)
                    require_val_type(recorder, value.target, None)
