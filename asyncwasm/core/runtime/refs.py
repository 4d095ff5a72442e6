"""External references, internal references in general, and 31-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, final

from asyncwasm.core.types import AbsHeapType, HeapType, RefType, heap_matches
from asyncwasm.errors import WrongStoreError
from asyncwasm.fiber import checkpoint

if TYPE_CHECKING:
    from .aggregates import ArrayRef
    from .handles import StoreLike
    from .store import Store
    from .structs import StructRef

R = TypeVar("R", bound="AnyRef")

_H = AbsHeapType


def heap_type_of(raw: Any) -> HeapType:
    """The most specific heap type of a raw reference that is not null.

    A host object has type extern, also where it was made an `anyref`.
    """
    if type(raw) is int:
        return _H.I31
    if isinstance(raw, ExternRef):
        return _H.EXTERN
    # Functions, structs and arrays have a defined type; exceptions have a tag instead.
    found: HeapType = getattr(raw, "type", _H.EXN)
    return found


def type_of(raw: Any) -> str:
    """The type of a raw reference, for messages."""
    return "null" if raw is None else str(RefType(False, heap_type_of(raw)))


def claim(obj: Any, store: Store[Any]) -> None:
    """Note that the host has `obj` from `store`, or raise if it has it from another one.

    Guest code allocates without saying for whom.  The host only ever holds objects that it has
    made in a store or that came out of one, which is when they get their mark.
    """
    if obj.store is None:
        obj.store = store
    elif obj.store is not store:
        raise WrongStoreError("object used with wrong store")


def to_any(store: Store[Any], raw: Any) -> AnyRef:
    """The internal reference for a raw one, of either hierarchy, that is not null."""
    if type(raw) is int:
        return I31(raw)
    claim(raw, store)
    if isinstance(raw, ExternRef):
        return _ExternAny(raw)
    assert isinstance(raw, AnyRef)
    return raw


def check_reference(value: Any, store: Store[Any]) -> None:
    """Raise `WrongStoreError` for a reference of another store; numbers belong to none."""
    if value.store is not store and value.store is not None:
        raise WrongStoreError("reference used with wrong store")


def check_count(expected: int, given: int) -> None:
    """Raise `TypeError` unless as many fields are given as there are."""
    if expected != given:
        raise TypeError(f"expected {expected} fields, got {given}")


def same(a: Any, b: Any) -> bool:
    """Whether two raw references are one: `ref.eq`, for any hierarchy."""
    return a is b or (type(a) is int and type(b) is int and a == b)


@final
class ExternRef:
    """A host object in guests' hands.  Follows Wasmtime's `ExternRef`.

    For engines, `value` is the object.  Two references made from one object differ.
    """

    __slots__ = ("__weakref__", "internal", "store", "value")

    def __init__(self, value: Any) -> None:
        """For the runtime's own use; see `new`."""
        self.value = value
        self.store: Store[Any] | None = None
        # The raw value, if this stands for an internal reference made external.
        self.internal: Any = None

    @staticmethod
    def _wrap(store: Store[Any], raw: Any) -> ExternRef:
        made = ExternRef(None)
        made.store = store
        made.internal = raw
        return made

    @staticmethod
    def new(store: StoreLike, value: Any) -> ExternRef:
        """A reference to `value`.

        Raises `AsyncSupportError` with an async limiter; see `new_async`.
        """
        owner = store.store
        owner.limits.check_sync()
        made = ExternRef(value)
        made.store = owner
        return made

    @staticmethod
    async def new_async(store: StoreLike, value: Any) -> ExternRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        made = ExternRef(value)
        made.store = store.store
        return made

    def data(self, store: StoreLike) -> Any:
        """The host object; None if the reference was made from an internal one."""
        claim(self, store.store)
        return self.value

    @staticmethod
    def convert_any(store: StoreLike, value: AnyRef) -> ExternRef:
        """`value` as an external reference, as `extern.convert_any` does."""
        check_reference(value, store.store)
        raw = value.raw
        return raw if isinstance(raw, ExternRef) else ExternRef._wrap(store.store, raw)

    @property
    def raw(self) -> Any:
        """The raw reference; for the runtime's own use."""
        return self if self.internal is None else self.internal

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, ExternRef)
            and self.internal is not None
            and same(self.internal, other.internal)
        )

    def __hash__(self) -> int:
        return hash(("extern", self.internal)) if self.internal is not None else id(self)

    def __repr__(self) -> str:
        shown = self.value if self.internal is None else self.internal
        return f"<ExternRef {shown!r}>"


class AnyRef:
    """An internal reference: an `I31`, `StructRef`, `ArrayRef`, or a host object made internal.

    The `as_…` methods give None for another kind of reference, the `unwrap_…` ones raise
    `TypeError`.  Follows Wasmtime's `AnyRef`.
    """

    __slots__ = ()

    store: Store[Any] | None

    @property
    def raw(self) -> Any:
        """The raw reference; for the runtime's own use."""
        return self

    @staticmethod
    def from_i31(store: StoreLike, value: I31) -> AnyRef:
        """`value` as it is."""
        return value

    @staticmethod
    def convert_extern(store: StoreLike, value: ExternRef) -> AnyRef:
        """`value` as an internal reference, as `any.convert_extern` does."""
        check_reference(value, store.store)
        return to_any(store.store, value.raw)

    def heap_type(self, store: StoreLike) -> HeapType:
        """The most specific heap type; `any` for a host object."""
        check_reference(self, store.store)
        found = heap_type_of(self.raw)
        return _H.ANY if found is _H.EXTERN else found

    def matches_ty(self, store: StoreLike, heap: HeapType) -> bool:
        """Whether the reference has heap type `heap`."""
        return heap_matches(self.heap_type(store), heap)

    def is_eqref(self, store: StoreLike) -> bool:
        """Whether the reference is an `EqRef`."""
        return self.as_eqref(store) is not None

    def as_eqref(self, store: StoreLike) -> EqRef | None:
        """The reference as an `EqRef`, or None if it is none."""
        return self._as(store, EqRef)

    def unwrap_eqref(self, store: StoreLike) -> EqRef:
        """The reference as an `EqRef`.  Raises `TypeError` if it is none."""
        return self._unwrap(store, EqRef)

    def is_i31(self, store: StoreLike) -> bool:
        """Whether the reference is an `I31`."""
        return self.as_i31(store) is not None

    def as_i31(self, store: StoreLike) -> I31 | None:
        """The reference as an `I31`, or None if it is none."""
        return self._as(store, I31)

    def unwrap_i31(self, store: StoreLike) -> I31:
        """The reference as an `I31`.  Raises `TypeError` if it is none."""
        return self._unwrap(store, I31)

    def is_struct(self, store: StoreLike) -> bool:
        """Whether the reference is a `StructRef`."""
        return self.as_struct(store) is not None

    def as_struct(self, store: StoreLike) -> StructRef | None:
        """The reference as a `StructRef`, or None if it is none."""
        from .structs import StructRef

        return self._as(store, StructRef)

    def unwrap_struct(self, store: StoreLike) -> StructRef:
        """The reference as a `StructRef`.  Raises `TypeError` if it is none."""
        from .structs import StructRef

        return self._unwrap(store, StructRef)

    def is_array(self, store: StoreLike) -> bool:
        """Whether the reference is an `ArrayRef`."""
        return self.as_array(store) is not None

    def as_array(self, store: StoreLike) -> ArrayRef | None:
        """The reference as an `ArrayRef`, or None if it is none."""
        from .aggregates import ArrayRef

        return self._as(store, ArrayRef)

    def unwrap_array(self, store: StoreLike) -> ArrayRef:
        """The reference as an `ArrayRef`.  Raises `TypeError` if it is none."""
        from .aggregates import ArrayRef

        return self._unwrap(store, ArrayRef)

    def _as(self, store: StoreLike, kind: type[R]) -> R | None:
        check_reference(self, store.store)
        return self if isinstance(self, kind) else None

    def _unwrap(self, store: StoreLike, kind: type[R]) -> R:
        found = self._as(store, kind)
        if found is None:
            raise TypeError(f"expected {kind.__name__}, found {type_of(self.raw)}")
        return found


@final
class _ExternAny(AnyRef):
    """A host object as an internal reference."""

    __slots__ = ("extern",)

    def __init__(self, extern: ExternRef) -> None:
        self.extern = extern

    @property
    def store(self) -> Store[Any] | None:  # type: ignore[override]
        return self.extern.store

    @property
    def raw(self) -> Any:
        return self.extern

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ExternAny) and self.extern is other.extern

    def __hash__(self) -> int:
        return hash((_ExternAny, id(self.extern)))

    def __repr__(self) -> str:
        return f"<AnyRef {self.extern!r}>"


class EqRef(AnyRef):
    """An internal reference that `ref.eq` can compare; `==` does the same in Python."""

    __slots__ = ()


@final
class I31(EqRef):
    """A 31-bit integer as a reference.  Belongs to no store; equal numbers are equal.

    Follows Wasmtime's `I31`.
    """

    __slots__ = ("_bits",)

    # Never assigned: the `store` of a number is None, as that of an object not yet claimed.
    store: ClassVar[None] = None  # type: ignore[misc]

    def __init__(self, bits: int) -> None:
        """For the runtime's own use, with the raw value; see `new_u32` and `new_i32`."""
        self._bits: Final = bits

    @staticmethod
    def new_u32(value: int) -> I31 | None:
        """The reference to an unsigned number; None if it does not fit 31 bits."""
        return I31(value) if 0 <= value < 1 << 31 else None

    @staticmethod
    def new_i32(value: int) -> I31 | None:
        """The reference to a signed number; None if it does not fit 31 bits."""
        return I31.wrapping_i32(value) if -(1 << 30) <= value < 1 << 30 else None

    @staticmethod
    def wrapping_u32(value: int) -> I31:
        """The reference to the low 31 bits of `value`, as `ref.i31` makes it."""
        return I31(value & 0x7FFF_FFFF)

    wrapping_i32 = wrapping_u32

    def get_u32(self) -> int:
        """The number as unsigned."""
        return self._bits

    def get_i32(self) -> int:
        """The number as signed."""
        return (self._bits ^ 0x4000_0000) - 0x4000_0000

    @property
    def raw(self) -> Any:
        return self._bits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, I31) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash((I31, self._bits))

    def __repr__(self) -> str:
        return f"I31({self._bits})"
