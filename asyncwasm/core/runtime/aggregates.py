"""Arrays, and what they have in common with structs."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from asyncwasm.core.types import (
    F32,
    F64,
    I32,
    I64,
    V128,
    ArrayType,
    DefType,
    FieldType,
    PackedType,
    StorageType,
)
from asyncwasm.errors import Trap, TrapCode, WrongStoreError
from asyncwasm.fiber import checkpoint

from .refs import EqRef, claim
from .storage import INLINE

if TYPE_CHECKING:
    from .handles import StoreLike
    from .store import Store

T = TypeVar("T")

# Elements take up to eight bytes each, so that this is half a gigabyte.
MAX_ARRAY_LENGTH: Final = 1 << 26
_PACKED_MASKS: Final[dict[StorageType, int]] = {PackedType.I8: 0xFF, PackedType.I16: 0xFFFF}
_DEFAULTS: Final[dict[StorageType, Any]] = {
    I32: 0,
    I64: 0,
    F32: 0.0,
    F64: 0.0,
    V128: bytes(16),
    PackedType.I8: 0,
    PackedType.I16: 0,
}


def default_raw(storage: StorageType) -> Any:
    """The raw default value of a defaultable type: zero or null."""
    return _DEFAULTS.get(storage)


def pack(storage: StorageType, raw: Any) -> Any:
    """A raw value as a field of that type holds it."""
    mask = _PACKED_MASKS.get(storage)
    return raw if mask is None else raw & mask


# Elements of these types are in an `array.array`, if numbers are to be kept as such.  A raw single
# is a Python float, whose bits a double has as they are, signalling NaNs included.
CODES: Final[dict[StorageType, str]] = (
    {
        PackedType.I8: "B",
        PackedType.I16: "H",
        I32: "I",
        I64: "Q",
        F32: "d",
        F64: "d",
    }
    if INLINE
    else {}
)
Elements = MutableSequence[Any]


def elements_of(storage: StorageType, values: Iterable[Any]) -> Elements:
    """The elements of an array, from raw values, already packed."""
    code = CODES.get(storage)
    return list(values) if code is None else array(code, values)


def new_array(type: DefType, raw: Any, length: int) -> ArrayRef:
    """An array with `length` times the raw value, already packed.

    Traps with `ALLOCATION_TOO_LARGE` past `MAX_ARRAY_LENGTH`.
    """
    if length > MAX_ARRAY_LENGTH:
        raise Trap(TrapCode.ALLOCATION_TOO_LARGE)
    one: Any = elements_of(_array(type).field.storage, (raw,))
    return ArrayRef(type, one * length)


def defined(ty: T | DefType, kind: type[T]) -> DefType:
    """The defined type for a structure.  Raises `TypeError` for one of another kind."""
    # What `kind` is cannot be said of `T`: one of the structures that `of` takes.
    found = ty if isinstance(ty, DefType) else DefType.of(ty)  # type: ignore[arg-type]
    if not isinstance(found.comp, kind):
        raise TypeError(f"expected a {kind.__name__}, found {found}")
    return found


def to_field(store: Store[Any], field: FieldType, value: Any, context: str) -> Any:
    """The raw value that a field holds for a public one; raises what `convert` raises."""
    from .values import convert

    return pack(field.storage, convert(store, field.unpacked, value, context))


def from_field(store: Store[Any], field: FieldType, raw: Any) -> Any:
    """The public value for one that a field holds."""
    from .values import from_raw

    # A packed field is read unsigned, as Wasmtime does.
    return from_raw(store, field.unpacked, raw)


class Pre:
    """A type made ready for allocating objects of it in one store."""

    __slots__ = ("store", "type")

    def __init__(self, store: Store[Any], type: DefType) -> None:
        self.store: Final = store
        self.type: Final = type

    def check(self, store: StoreLike) -> Store[Any]:
        """The store.  Raises `WrongStoreError` for another one."""
        if store.store is not self.store:
            raise WrongStoreError("object used with wrong store")
        return self.store


@final
class ArrayRefPre(Pre):
    """What `ArrayRef.new` allocates from."""

    __slots__ = ()

    @staticmethod
    def new(store: StoreLike, ty: ArrayType | DefType) -> ArrayRefPre:
        """An allocator for arrays of type `ty`."""
        return ArrayRefPre(store.store, defined(ty, ArrayType))


@final
class ArrayRef(EqRef):
    """An array.  Follows Wasmtime's `ArrayRef`.

    For engines, `type` is its defined type and `elements` the raw values, packed ones unsigned;
    see `elements_of`.
    """

    __slots__ = ("__weakref__", "elements", "store", "type")

    def __init__(self, type: DefType, elements: Elements) -> None:
        """For engines, from raw values; see `new` and `new_fixed`."""
        self.type = type
        self.elements = elements
        self.store = None

    @staticmethod
    def new(store: StoreLike, pre: ArrayRefPre, element: Any, length: int) -> ArrayRef:
        """An array of `length` times `element`.

        Raises `Trap` for an absurd length, `TypeError`, `OverflowError` or `WrongStoreError` if
        `element` is not of the element type, and `AsyncSupportError` with an async limiter; see
        `new_async`.
        """
        pre.check(store).limits.check_sync()
        return ArrayRef._fill(pre, element, length)

    @staticmethod
    async def new_async(store: StoreLike, pre: ArrayRefPre, element: Any, length: int) -> ArrayRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        pre.check(store)
        return ArrayRef._fill(pre, element, length)

    @staticmethod
    def new_fixed(store: StoreLike, pre: ArrayRefPre, elements: Sequence[Any]) -> ArrayRef:
        """An array of these elements; raises as `new` does."""
        pre.check(store).limits.check_sync()
        return ArrayRef._list(pre, elements)

    @staticmethod
    async def new_fixed_async(
        store: StoreLike, pre: ArrayRefPre, elements: Sequence[Any]
    ) -> ArrayRef:
        """As `new_fixed`.  Always checkpoints."""
        await checkpoint()
        pre.check(store)
        return ArrayRef._list(pre, elements)

    @staticmethod
    def _fill(pre: ArrayRefPre, element: Any, length: int) -> ArrayRef:
        raw = to_field(pre.store, _array(pre.type).field, element, "element type mismatch")
        length = operator.index(length)
        if length < 0:
            raise ValueError("an array's length must not be negative")
        made = new_array(pre.type, raw, length)
        made.store = pre.store
        return made

    @staticmethod
    def _list(pre: ArrayRefPre, elements: Sequence[Any]) -> ArrayRef:
        ty = _array(pre.type).field
        raw = [to_field(pre.store, ty, value, "element type mismatch") for value in elements]
        made = ArrayRef(pre.type, elements_of(ty.storage, raw))
        made.store = pre.store
        return made

    def ty(self, store: StoreLike) -> ArrayType:
        """The array's type."""
        claim(self, store.store)
        return _array(self.type)

    def len(self, store: StoreLike) -> int:
        """The number of elements."""
        claim(self, store.store)
        return len(self.elements)

    def get(self, store: StoreLike, index: int) -> Any:
        """Element `index`; packed integers are unsigned.  `IndexError` past the last one."""
        claim(self, store.store)
        self._check_index(index)
        return from_field(store.store, _array(self.type).field, self.elements[index])

    def set(self, store: StoreLike, index: int, value: Any) -> None:
        """Assign element `index`.

        Raises `IndexError` past the last one, `TypeError` if the array is immutable, and
        `TypeError`, `OverflowError` or `WrongStoreError` if `value` is not of the element type.
        """
        claim(self, store.store)
        self._check_index(index)
        ty = _array(self.type).field
        if not ty.mutable:
            raise TypeError(f"cannot set element {index}: array elements are not mutable")
        context = f"cannot set element {index}: type mismatch"
        self.elements[index] = to_field(store.store, ty, value, context)

    def elems(self, store: StoreLike) -> list[Any]:
        """All elements."""
        claim(self, store.store)
        ty = _array(self.type).field
        return [from_field(store.store, ty, raw) for raw in self.elements]

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self.elements):
            raise IndexError(
                f"index out of bounds: the length is {len(self.elements)} but the index is {index}"
            )

    def __repr__(self) -> str:
        return f"<ArrayRef {self.type} of {len(self.elements)}>"


def _array(ty: DefType) -> ArrayType:
    assert isinstance(ty.comp, ArrayType)
    return ty.comp
