"""References: what guest code allocates, and host objects in guests' hands.

Python's own memory management is the collector.  References are strong and live as long as
anybody holds them; there are no rooting scopes, and an object reachable from nowhere goes even
if it is part of a cycle.  Objects are not counted against a store's limits.

The classes of allocated objects are what guest code handles: a `StructRef` that comes out of a
call is the very object.  Some references look different inside ("raw") and out: an i31 is an
`int` in guest code, and converting between `externref` and `anyref` changes nothing there, so
the wrappers for such references are made at the border and compare equal by what they wrap.

See "Runtime Structure" in the core specification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.types import AbsHeapType, HeapType, RefType
from asyncwasm.errors import WrongStoreError

from .aggregates import (
    MAX_ARRAY_LENGTH,
    ArrayRef,
    ArrayRefPre,
    default_raw,
    elements_of,
    new_array,
    pack,
)
from .exnref import ExnRef, ExnRefPre
from .refs import (
    I31,
    AnyRef,
    EqRef,
    ExternRef,
    check_reference,
    claim,
    heap_type_of,
    same,
    to_any,
    type_of,
)
from .structs import StructRef, StructRefPre, new_struct, struct_class

if TYPE_CHECKING:
    from .store import Store

__all__ = [
    "I31",
    "MAX_ARRAY_LENGTH",
    "AnyRef",
    "ArrayRef",
    "ArrayRefPre",
    "EqRef",
    "ExnRef",
    "ExnRefPre",
    "ExternRef",
    "StructRef",
    "StructRefPre",
    "default_raw",
    "elements_of",
    "from_raw_ref",
    "heap_type_of",
    "matches",
    "matches_heap",
    "new_array",
    "new_struct",
    "pack",
    "same",
    "struct_class",
    "to_raw_ref",
    "type_of",
]

_H = AbsHeapType


def _is_i31(raw: Any) -> bool:
    return type(raw) is int


def _is_struct(raw: Any) -> bool:
    return isinstance(raw, StructRef)


def _is_array(raw: Any) -> bool:
    return type(raw) is ArrayRef


def _is_eq(raw: Any) -> bool:
    return type(raw) is int or isinstance(raw, EqRef)


# What an abstract heap type asks of a raw reference that is known to be in its hierarchy.
_ABSTRACT: Final[dict[AbsHeapType, Callable[[Any], bool]]] = {
    **{top: lambda raw: True for top in (_H.FUNC, _H.EXTERN, _H.ANY, _H.EXN)},
    **{bottom: lambda raw: False for bottom in (_H.NOFUNC, _H.NOEXTERN, _H.NONE, _H.NOEXN)},
    _H.EQ: _is_eq,
    _H.I31: _is_i31,
    _H.STRUCT: _is_struct,
    _H.ARRAY: _is_array,
}


def matches_heap(raw: Any, heap: HeapType) -> bool:
    """Whether a raw reference, not null, has heap type `heap`.

    The reference is known to be of the same hierarchy, as validation sees to.
    """
    if isinstance(heap, AbsHeapType):
        return _ABSTRACT[heap](raw)
    # Only functions, structs and arrays have defined types; the rest have no such attribute.
    own = getattr(raw, "type", None)
    return own is not None and heap in own.supers


def matches(raw: Any, ty: RefType) -> bool:
    """Whether a raw reference has reference type `ty`; see `matches_heap`."""
    return ty.nullable if raw is None else matches_heap(raw, ty.heap)


def to_raw_ref(store: Store[Any], ty: RefType, value: Any) -> Any:
    """The raw reference for a public one.

    Raises `TypeError` unless it is of type `ty`, and `WrongStoreError`.
    """
    if value is None:
        if ty.nullable:
            return None
        raise TypeError(f"type mismatch: expected non-nullable {ty}, found null reference")
    raw: Any
    match ty.heap if isinstance(ty.heap, AbsHeapType) else ty.heap.kind:
        case _H.FUNC | _H.NOFUNC:
            from .func import Func

            if not isinstance(value, Func):
                raise _mismatch(ty, value)
            if value.store is not store:
                raise WrongStoreError("value used with wrong store")
            raw = value
        case _H.EXTERN | _H.NOEXTERN:
            if not isinstance(value, ExternRef):
                raise _mismatch(ty, value, "; make one with `ExternRef.new`")
            check_reference(value, store)
            raw = value if value.internal is None else value.internal
        case _H.EXN | _H.NOEXN:
            if not isinstance(value, ExnRef):
                raise _mismatch(ty, value)
            check_reference(value, store)
            raw = value
        case _:
            if not isinstance(value, AnyRef):
                raise _mismatch(ty, value)
            check_reference(value, store)
            raw = value.raw
    if not matches_heap(raw, ty.heap):
        raise TypeError(f"type mismatch: expected {ty}, found {type_of(raw)}")
    return raw


def from_raw_ref(store: Store[Any], ty: RefType, raw: Any) -> Any:
    """The public reference for a raw one of type `ty`."""
    if raw is None:
        return None
    top = ty.heap.top if isinstance(ty.heap, AbsHeapType) else ty.heap.kind.top
    if top is _H.FUNC:
        return raw
    if top is _H.EXTERN and not isinstance(raw, ExternRef):
        wrapped = to_any(store, raw)
        return ExternRef._wrap(store, wrapped.raw)
    if top is _H.ANY:
        return to_any(store, raw)
    claim(raw, store)
    return raw


def _mismatch(ty: RefType, value: Any, hint: str = "") -> TypeError:
    found = type(value).__name__
    if isinstance(value, (AnyRef, ExternRef, ExnRef)):
        found = type_of(value.raw)
    return TypeError(f"type mismatch: expected {ty}, found {found}{hint}")
