"""Which proposals a module uses.

The decoder and the validator ask for every proposal at the place where it is needed; a set
that notes what it is asked for, and always says yes, therefore collects them.
"""

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


class _Recorder(frozenset[Feature]):
    """All features; `seen` are those that were asked for."""

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

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def features_used(data: bytes) -> tuple[ModuleInfo, list[Feature]]:
    """The decoded module, and the proposals it could not do without, in `Feature`'s order.

    Raises `MalformedError` or `ValidationError`, with all proposals allowed.
    """
    recorder = _Recorder()
    info = decode_module(data, recorder)
    validate_module(info, recorder, bodies=False)
    validate_module(info, ALL)
    for body in info.bodies:
        _scan(info, body, recorder)
    return info, [feature for feature in Feature if feature in recorder.seen]


def _scan(info: ModuleInfo, body: Span, recorder: _Recorder) -> None:
    """Ask for what a body needs: its validation has short cuts that ask in advance."""
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
