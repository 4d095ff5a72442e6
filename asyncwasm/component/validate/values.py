"""Value types: their rules, and what other rules ask of them.

See "Type Definitions" in `Binary.md`, "Element Size" and "Flattening" in `CanonicalABI.md` of
the Component Model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from asyncwasm.core.types import NumType
from asyncwasm.errors import ValidationError

from ..binary.limits import MAX_TYPE_DEPTH, MAX_TYPE_SIZE, check_limit
from ..syntax import (
    BorrowDef,
    DefValType,
    EnumDef,
    FlagsDef,
    FutureDef,
    ListDef,
    MapDef,
    OptionDef,
    OwnDef,
    RecordDef,
    ResultDef,
    StreamDef,
    TupleDef,
    ValTypeRef,
    VariantDef,
)
from ..types import (
    Borrow,
    Enum,
    Flags,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    ResourceId,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from .items import NOTHING, Mark, Val, Work
from .names import Labels

MAX_FLAT: Final = 16
_MAX_BYTES: Final = 1 << 28
_MAX_FLAGS: Final = 32

Flat = tuple[NumType, ...] | None

_I32: Final = (NumType.I32,)
_I64: Final = (NumType.I64,)
_NUMBERS: Final = {
    Primitive.BOOL: (1, _I32),
    Primitive.S8: (1, _I32),
    Primitive.U8: (1, _I32),
    Primitive.S16: (2, _I32),
    Primitive.U16: (2, _I32),
    Primitive.S32: (4, _I32),
    Primitive.U32: (4, _I32),
    Primitive.S64: (8, _I64),
    Primitive.U64: (8, _I64),
    Primitive.F32: (4, (NumType.F32,)),
    Primitive.F64: (8, (NumType.F64,)),
    Primitive.CHAR: (4, _I32),
    Primitive.ERROR_CONTEXT: (4, _I32),
}
_KEYS: Final = frozenset(Primitive) - {Primitive.F32, Primitive.F64, Primitive.ERROR_CONTEXT}


def _leaf(type: ValType, bytes: int, flat: tuple[NumType, ...]) -> Val:
    return Val(type, NOTHING, NOTHING, NOTHING, 1, 1, bytes, bytes, flat, flat)


def _pointer(type: ValType, parts: Sequence[Val] = ()) -> Val:
    """A list, a map or a string: an address and a length."""
    return _compound(type, parts, (16, 8), _I32 * 2, _I64 * 2, has_pointer=True)


def _compound(
    type: ValType,
    parts: Sequence[Val],
    layout: tuple[int, int],
    flat32: Flat,
    flat64: Flat,
    *,
    has_pointer: bool = False,
) -> Val:
    visible = NOTHING.union(*(p.visible for p in parts))
    return Val(
        type,
        visible,
        visible,
        NOTHING.union(*(p.free for p in parts)),
        1 + sum(p.size for p in parts),
        1 + max((p.depth for p in parts), default=0),
        *layout,
        flat32,
        flat64,
        any(p.has_borrow for p in parts),
        has_pointer or any(p.has_pointer for p in parts),
    )


_PRIMITIVES: Final = {
    **{primitive: _leaf(primitive, *shape) for primitive, shape in _NUMBERS.items()},
    Primitive.STRING: _pointer(Primitive.STRING),
}


def _align_to(size: int, align: int) -> int:
    return -(-size // align) * align


def _record(type: ValType, parts: Sequence[Val]) -> Val:
    size = 0
    for part in parts:
        size = _align_to(size, part.align) + part.bytes
    align = max(part.align for part in parts)
    return _compound(
        type,
        parts,
        (_align_to(size, align), align),
        _concatenate([part.flat32 for part in parts]),
        _concatenate([part.flat64 for part in parts]),
    )


def _concatenate(flats: Sequence[Flat]) -> Flat:
    result: list[NumType] = []
    for flat in flats:
        if flat is None or len(result) + len(flat) > MAX_FLAT:
            return None
        result += flat
    return tuple(result)


def _variant(type: ValType, payloads: Sequence[Val | None]) -> Val:
    """A variant, or one of the types that stand for one."""
    parts = [p for p in payloads if p is not None]
    count = len(payloads)
    discriminant = 1 if count <= 1 << 8 else 2 if count <= 1 << 16 else 4
    align = max((p.align for p in parts), default=1)
    size = _align_to(discriminant, align) + max((p.bytes for p in parts), default=0)
    align = max(align, discriminant)
    return _compound(
        type,
        parts,
        (_align_to(size, align), align),
        _join([p.flat32 for p in parts]),
        _join([p.flat64 for p in parts]),
    )


def _join(flats: Sequence[Flat]) -> Flat:
    joined: list[NumType] = []
    for flat in flats:
        if flat is None:
            return None
        for place, ty in enumerate(flat):
            if place == len(joined):
                joined.append(ty)
            elif joined[place] is not ty:
                narrow = {joined[place], ty} == {NumType.I32, NumType.F32}
                joined[place] = NumType.I32 if narrow else NumType.I64
    return (NumType.I32, *joined) if len(joined) < MAX_FLAT else None


class ValueTypes:
    """Makes value types from their definitions.

    `lookup` gives the value type with an index, `resource` the resource type with one and the
    mark of the index; both raise `ValidationError`.
    """

    def __init__(
        self,
        work: Work,
        lookup: Callable[[int, int], Val],
        resource: Callable[[int, int], tuple[ResourceId, Mark]],
    ) -> None:
        self._work = work
        self._lookup = lookup
        self._resource = resource

    def ref(self, ref: ValTypeRef, offset: int) -> Val:
        """The type that `ref` refers to.  Raises `ValidationError`."""
        return _PRIMITIVES[ref] if isinstance(ref, Primitive) else self._lookup(ref, offset)

    def _optional(self, ref: ValTypeRef | None, offset: int) -> Val | None:
        return None if ref is None else self.ref(ref, offset)

    def define(self, definition: DefValType, offset: int) -> Val:
        """The type that `definition` defines.

        Raises `ValidationError`; `ResourceLimitError` where it is too deep or too large.
        """
        val = self._define(definition, offset)
        check_limit(val.depth, MAX_TYPE_DEPTH, "levels of types")
        check_limit(val.size, MAX_TYPE_SIZE, "types in a type")
        self._work.charge(1 + len(val.free))
        if val.bytes >= _MAX_BYTES:
            raise ValidationError("type exceeds maximum byte size", offset=offset)
        return val

    def _define(self, definition: DefValType, offset: int) -> Val:
        match definition:
            case Primitive():
                return _PRIMITIVES[definition]
            case RecordDef(fields):
                return self._define_record(fields, offset)
            case VariantDef(cases):
                return self._define_variant(cases, offset)
            case ListDef(element, length):
                return self._define_list(element, length, offset)
            case TupleDef(types):
                if not types:
                    raise ValidationError("tuple type must have at least one type", offset=offset)
                parts = [self.ref(ty, offset) for ty in types]
                return _record(Tuple(tuple(p.type for p in parts)), parts)
            case FlagsDef(labels):
                return _define_flags(labels, offset)
            case EnumDef(labels):
                if not labels:
                    raise ValidationError("enum type must have at least one variant", offset=offset)
                _check_labels(labels, "enum tag", "tag", offset)
                return _variant(Enum(labels), [None] * len(labels))
            case OptionDef(type):
                inner = self.ref(type, offset)
                return _variant(Option(inner.type), [None, inner])
            case ResultDef(ok, error):
                payloads = [self._optional(ok, offset), self._optional(error, offset)]
                success, failure = payloads
                type_of_both = Result(success and success.type, failure and failure.type)
                result = _variant(type_of_both, payloads)
                if success is None or not isinstance(success.type, Own):
                    return result
                return replace(result, handle=success.handle)
            case OwnDef(resource) | BorrowDef(resource):
                return self._define_handle(resource, isinstance(definition, BorrowDef), offset)
            case StreamDef(element) | FutureDef(element):
                return self._define_end(element, isinstance(definition, StreamDef), offset)
            case MapDef(key, value):
                key_type = self.ref(key, offset)
                if key_type.type not in _KEYS:
                    raise ValidationError("map key type must be a key type", offset=offset)
                value_type = self.ref(value, offset)
                return _pointer(Map(key_type.type, value_type.type), [key_type, value_type])

    def _define_record(self, fields: tuple[tuple[str, ValTypeRef], ...], offset: int) -> Val:
        if not fields:
            raise ValidationError("record type must have at least one field", offset=offset)
        _check_labels([label for label, _ in fields], "record field", "field", offset)
        parts = [self.ref(ty, offset) for _, ty in fields]
        names = (label for label, _ in fields)
        return _record(Record(tuple(zip(names, (p.type for p in parts), strict=True))), parts)

    def _define_variant(self, cases: tuple[tuple[str, ValTypeRef | None], ...], offset: int) -> Val:
        if not cases:
            raise ValidationError("variant type must have at least one case", offset=offset)
        _check_labels([label for label, _ in cases], "variant case", "case", offset)
        payloads = [self._optional(ty, offset) for _, ty in cases]
        typed = [
            (label, None if payload is None else payload.type)
            for (label, _), payload in zip(cases, payloads, strict=True)
        ]
        return _variant(Variant(tuple(typed)), payloads)

    def _define_list(self, element: ValTypeRef, length: int | None, offset: int) -> Val:
        part = self.ref(element, offset)
        type = List(part.type, length)
        if length is None:
            return _pointer(type, [part])
        if length == 0:
            raise ValidationError(
                "fixed-length lists must have more than zero elements", offset=offset
            )
        repeat = min(length, MAX_FLAT + 1)
        return _compound(
            type,
            [part],
            (part.bytes * length, part.align),
            _concatenate([part.flat32] * repeat),
            _concatenate([part.flat64] * repeat),
        )

    def _define_handle(self, index: int, borrow: bool, offset: int) -> Val:
        resource, mark = self._resource(index, offset)
        visible = frozenset((mark,))
        type = Borrow(resource) if borrow else Own(resource)
        free = visible | {resource}
        return Val(type, visible, visible, free, 1, 1, 4, 4, _I32, _I32, borrow, handle=mark)

    def _define_end(self, element: ValTypeRef | None, stream: bool, offset: int) -> Val:
        part = self._optional(element, offset)
        what = "stream" if stream else "future"
        if part is not None and part.has_borrow:
            raise ValidationError(f"`{what}` cannot contain a `borrow` type", offset=offset)
        if stream and part is not None and part.type is Primitive.CHAR:
            raise ValidationError("`stream<char>` is not valid at this time", offset=offset)
        type = None if part is None else part.type
        end = _compound(
            Stream(type) if stream else Future(type), [part] if part else [], (4, 4), _I32, _I32
        )
        # Nothing of the elements lies where the end does.
        return replace(end, has_pointer=False, element_has_pointer=end.has_pointer)


def _define_flags(labels: tuple[str, ...], offset: int) -> Val:
    if not labels:
        raise ValidationError("flags must have at least one entry", offset=offset)
    if len(labels) > _MAX_FLAGS:
        raise ValidationError("cannot have more than 32 flags", offset=offset)
    _check_labels(labels, "flag", "flag", offset)
    return _leaf(Flags(labels), 1 if len(labels) <= 8 else 2 if len(labels) <= 16 else 4, _I32)


def _check_labels(labels: Sequence[str], what: str, previous: str, offset: int) -> None:
    checked = Labels(what, previous, offset)
    for label in labels:
        checked.add(label)
