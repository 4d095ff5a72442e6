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

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, final

from asyncwasm.core.types import (
    F32,
    F64,
    I32,
    I64,
    V128,
    AbsHeapType,
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    HeapType,
    PackedType,
    RefType,
    StorageType,
    StructType,
    TagType,
    heap_matches,
)
from asyncwasm.errors import Trap, TrapCode, WrongStoreError
from asyncwasm.fiber import checkpoint

if TYPE_CHECKING:
    from .handles import StoreLike
    from .store import Store
    from .tag import Tag

T = TypeVar("T")
R = TypeVar("R", bound="AnyRef")

# Elements take eight bytes each, whatever their type, so that this is half a gigabyte.
MAX_ARRAY_LENGTH: Final = 1 << 26

_H = AbsHeapType
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


# Raw values ---------------------------------------------------------------------------------


def default_raw(storage: StorageType) -> Any:
    """The raw default value of a defaultable type: zero or null."""
    return _DEFAULTS.get(storage)


def pack(storage: StorageType, raw: Any) -> Any:
    """A raw value as a field of that type holds it."""
    mask = _PACKED_MASKS.get(storage)
    return raw if mask is None else raw & mask


def new_array(type: DefType, raw: Any, length: int) -> ArrayRef:
    """An array with `length` times the raw value, already packed.

    Traps with `ALLOCATION_TOO_LARGE` past `MAX_ARRAY_LENGTH`.
    """
    if length > MAX_ARRAY_LENGTH:
        raise Trap(TrapCode.ALLOCATION_TOO_LARGE)
    return ArrayRef(type, [raw] * length)


def heap_type_of(raw: Any) -> HeapType:
    """The most specific heap type of a raw reference that is not null.

    A host object has type extern, also where it was made an `anyref`.
    """
    if type(raw) is int:
        return _H.I31
    if isinstance(raw, ExternRef):
        return _H.EXTERN
    if isinstance(raw, ExnRef):
        return _H.EXN
    found: DefType = raw.type
    return found


def type_of(raw: Any) -> str:
    """The type of a raw reference, for messages."""
    return "null" if raw is None else str(RefType(False, heap_type_of(raw)))


def _is_i31(raw: Any) -> bool:
    return type(raw) is int


def _is_struct(raw: Any) -> bool:
    return type(raw) is StructRef


def _is_array(raw: Any) -> bool:
    return type(raw) is ArrayRef


def _is_eq(raw: Any) -> bool:
    return type(raw) in (int, StructRef, ArrayRef)


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


# The border ---------------------------------------------------------------------------------


def _claim(obj: Any, store: Store[Any]) -> None:
    """Note that the host has `obj` from `store`, or raise if it has it from another one.

    Guest code allocates without saying for whom.  The host only ever holds objects that it has
    made in a store or that came out of one, which is when they get their mark.
    """
    if obj.store is None:
        obj.store = store
    elif obj.store is not store:
        raise WrongStoreError("object used with wrong store")


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
            _check_reference(value, store)
            raw = value if value.internal is None else value.internal
        case _H.EXN | _H.NOEXN:
            if not isinstance(value, ExnRef):
                raise _mismatch(ty, value)
            _check_reference(value, store)
            raw = value
        case _:
            if not isinstance(value, AnyRef):
                raise _mismatch(ty, value)
            _check_reference(value, store)
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
        wrapped = _to_any(store, raw)
        return ExternRef._wrap(store, wrapped.raw)
    if top is _H.ANY:
        return _to_any(store, raw)
    _claim(raw, store)
    return raw


def _to_any(store: Store[Any], raw: Any) -> AnyRef:
    if type(raw) is int:
        return I31(raw)
    _claim(raw, store)
    if isinstance(raw, ExternRef):
        return _ExternAny(raw)
    assert isinstance(raw, AnyRef)
    return raw


def _check_reference(value: Any, store: Store[Any]) -> None:
    if value.store is not store and value.store is not None:
        raise WrongStoreError("reference used with wrong store")


def _mismatch(ty: RefType, value: Any, hint: str = "") -> TypeError:
    found = type(value).__name__
    if isinstance(value, (AnyRef, ExternRef, ExnRef)):
        found = type_of(value.raw)
    return TypeError(f"type mismatch: expected {ty}, found {found}{hint}")


# External references ------------------------------------------------------------------------


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
        _claim(self, store.store)
        return self.value

    @staticmethod
    def convert_any(store: StoreLike, value: AnyRef) -> ExternRef:
        """`value` as an external reference, as `extern.convert_any` does."""
        _check_reference(value, store.store)
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


def same(a: Any, b: Any) -> bool:
    """Whether two raw references are one: `ref.eq`, for any hierarchy."""
    return a is b or (type(a) is int and type(b) is int and a == b)


# Internal references ------------------------------------------------------------------------


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
        _check_reference(value, store.store)
        return _to_any(store.store, value.raw)

    def heap_type(self, store: StoreLike) -> HeapType:
        """The most specific heap type; `any` for a host object."""
        _check_reference(self, store.store)
        found = heap_type_of(self.raw)
        return _H.ANY if found is _H.EXTERN else found

    def matches_ty(self, store: StoreLike, heap: HeapType) -> bool:
        """Whether the reference has heap type `heap`."""
        return heap_matches(self.heap_type(store), heap)

    def is_eqref(self, store: StoreLike) -> bool:
        """Whether the reference is an `EqRef`."""
        return self.as_eqref(store) is not None

    def as_eqref(self, store: StoreLike) -> EqRef | None:
        return self._as(store, EqRef)

    def unwrap_eqref(self, store: StoreLike) -> EqRef:
        return self._unwrap(store, EqRef)

    def is_i31(self, store: StoreLike) -> bool:
        """Whether the reference is an `I31`."""
        return self.as_i31(store) is not None

    def as_i31(self, store: StoreLike) -> I31 | None:
        return self._as(store, I31)

    def unwrap_i31(self, store: StoreLike) -> I31:
        return self._unwrap(store, I31)

    def is_struct(self, store: StoreLike) -> bool:
        """Whether the reference is a `StructRef`."""
        return self.as_struct(store) is not None

    def as_struct(self, store: StoreLike) -> StructRef | None:
        return self._as(store, StructRef)

    def unwrap_struct(self, store: StoreLike) -> StructRef:
        return self._unwrap(store, StructRef)

    def is_array(self, store: StoreLike) -> bool:
        """Whether the reference is an `ArrayRef`."""
        return self.as_array(store) is not None

    def as_array(self, store: StoreLike) -> ArrayRef | None:
        return self._as(store, ArrayRef)

    def unwrap_array(self, store: StoreLike) -> ArrayRef:
        return self._unwrap(store, ArrayRef)

    def _as(self, store: StoreLike, kind: type[R]) -> R | None:
        _check_reference(self, store.store)
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


def _defined(ty: T | DefType, kind: type[T]) -> DefType:
    defined = ty if isinstance(ty, DefType) else DefType.of(ty)  # type: ignore[arg-type]
    if not isinstance(defined.comp, kind):
        raise TypeError(f"expected a {kind.__name__}, found {defined}")
    return defined


def _check_count(expected: int, given: int) -> None:
    if expected != given:
        raise TypeError(f"expected {expected} fields, got {given}")


def _to_field(store: Store[Any], field: FieldType, value: Any, context: str) -> Any:
    from .values import convert

    return pack(field.storage, convert(store, field.unpacked, value, context))


def _from_field(store: Store[Any], field: FieldType, raw: Any) -> Any:
    from .values import from_raw

    # A packed field is read unsigned, as Wasmtime does.
    return from_raw(store, field.unpacked, raw)


class _Pre:
    """A type made ready for allocating objects of it in one store."""

    __slots__ = ("store", "type")

    def __init__(self, store: Store[Any], type: DefType) -> None:
        self.store: Final = store
        self.type: Final = type

    def _check(self, store: StoreLike) -> Store[Any]:
        if store.store is not self.store:
            raise WrongStoreError("object used with wrong store")
        return self.store


@final
class StructRefPre(_Pre):
    """What `StructRef.new` allocates from."""

    __slots__ = ()

    @staticmethod
    def new(store: StoreLike, ty: StructType | DefType) -> StructRefPre:
        """An allocator for structs of type `ty`."""
        return StructRefPre(store.store, _defined(ty, StructType))


@final
class StructRef(EqRef):
    """A struct.  Follows Wasmtime's `StructRef`.

    For engines, `type` is its defined type and `fields` the raw values, packed ones unsigned.
    """

    __slots__ = ("__weakref__", "fields", "store", "type")

    def __init__(self, type: DefType, fields: list[Any]) -> None:
        """For engines, from raw values; see `new`."""
        self.type = type
        self.fields = fields
        self.store = None

    @staticmethod
    def new(store: StoreLike, pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        """A struct with these field values.

        Raises `TypeError` for a wrong number of fields, `TypeError`, `OverflowError` or
        `WrongStoreError` for a value not of its field's type, and `AsyncSupportError` with an
        async limiter; see `new_async`.
        """
        pre._check(store).limits.check_sync()
        return StructRef._make(pre, fields)

    @staticmethod
    async def new_async(store: StoreLike, pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        pre._check(store)
        return StructRef._make(pre, fields)

    @staticmethod
    def _make(pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        types = _struct(pre.type).fields
        _check_count(len(types), len(fields))
        raw = [
            _to_field(pre.store, ty, value, "field type mismatch")
            for ty, value in zip(types, fields, strict=True)
        ]
        made = StructRef(pre.type, raw)
        made.store = pre.store
        return made

    def ty(self, store: StoreLike) -> StructType:
        """The struct's type."""
        _claim(self, store.store)
        return _struct(self.type)

    def field(self, store: StoreLike, index: int) -> Any:
        """Field `index`; packed integers are unsigned.  `IndexError` past the last one."""
        _claim(self, store.store)
        return _from_field(store.store, self._field(index), self.fields[index])

    def set_field(self, store: StoreLike, index: int, value: Any) -> None:
        """Assign field `index`.

        Raises `IndexError` past the last one, `TypeError` if it is immutable, and `TypeError`,
        `OverflowError` or `WrongStoreError` if `value` is not of its type.
        """
        _claim(self, store.store)
        ty = self._field(index)
        if not ty.mutable:
            raise TypeError(f"cannot set field {index}: field is not mutable")
        context = f"cannot set field {index}: type mismatch"
        self.fields[index] = _to_field(store.store, ty, value, context)

    def get_fields(self, store: StoreLike) -> list[Any]:
        """All fields."""
        return [self.field(store, i) for i in range(len(self.fields))]

    def _field(self, index: int) -> FieldType:
        types = _struct(self.type).fields
        if not 0 <= index < len(types):
            raise IndexError(
                f"cannot access field {index}: struct only has {len(types)} fields"
            )
        return types[index]

    def __repr__(self) -> str:
        return f"<StructRef {self.type}>"


def _struct(ty: DefType) -> StructType:
    assert isinstance(ty.comp, StructType)
    return ty.comp


@final
class ArrayRefPre(_Pre):
    """What `ArrayRef.new` allocates from."""

    __slots__ = ()

    @staticmethod
    def new(store: StoreLike, ty: ArrayType | DefType) -> ArrayRefPre:
        """An allocator for arrays of type `ty`."""
        return ArrayRefPre(store.store, _defined(ty, ArrayType))


@final
class ArrayRef(EqRef):
    """An array.  Follows Wasmtime's `ArrayRef`.

    For engines, `type` is its defined type and `elements` the raw values, packed ones unsigned.
    """

    __slots__ = ("__weakref__", "elements", "store", "type")

    def __init__(self, type: DefType, elements: list[Any]) -> None:
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
        pre._check(store).limits.check_sync()
        return ArrayRef._fill(pre, element, length)

    @staticmethod
    async def new_async(
        store: StoreLike, pre: ArrayRefPre, element: Any, length: int
    ) -> ArrayRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        pre._check(store)
        return ArrayRef._fill(pre, element, length)

    @staticmethod
    def new_fixed(store: StoreLike, pre: ArrayRefPre, elements: Sequence[Any]) -> ArrayRef:
        """An array of these elements; raises as `new` does."""
        pre._check(store).limits.check_sync()
        return ArrayRef._list(pre, elements)

    @staticmethod
    async def new_fixed_async(
        store: StoreLike, pre: ArrayRefPre, elements: Sequence[Any]
    ) -> ArrayRef:
        """As `new_fixed`.  Always checkpoints."""
        await checkpoint()
        pre._check(store)
        return ArrayRef._list(pre, elements)

    @staticmethod
    def _fill(pre: ArrayRefPre, element: Any, length: int) -> ArrayRef:
        raw = _to_field(pre.store, _array(pre.type).field, element, "element type mismatch")
        length = operator.index(length)
        if length < 0:
            raise ValueError("an array's length must not be negative")
        made = new_array(pre.type, raw, length)
        made.store = pre.store
        return made

    @staticmethod
    def _list(pre: ArrayRefPre, elements: Sequence[Any]) -> ArrayRef:
        ty = _array(pre.type).field
        raw = [_to_field(pre.store, ty, value, "element type mismatch") for value in elements]
        made = ArrayRef(pre.type, raw)
        made.store = pre.store
        return made

    def ty(self, store: StoreLike) -> ArrayType:
        """The array's type."""
        _claim(self, store.store)
        return _array(self.type)

    def len(self, store: StoreLike) -> int:
        """The number of elements."""
        _claim(self, store.store)
        return len(self.elements)

    def get(self, store: StoreLike, index: int) -> Any:
        """Element `index`; packed integers are unsigned.  `IndexError` past the last one."""
        _claim(self, store.store)
        self._check_index(index)
        return _from_field(store.store, _array(self.type).field, self.elements[index])

    def set(self, store: StoreLike, index: int, value: Any) -> None:
        """Assign element `index`.

        Raises `IndexError` past the last one, `TypeError` if the array is immutable, and
        `TypeError`, `OverflowError` or `WrongStoreError` if `value` is not of the element type.
        """
        _claim(self, store.store)
        self._check_index(index)
        ty = _array(self.type).field
        if not ty.mutable:
            raise TypeError(f"cannot set element {index}: array elements are not mutable")
        context = f"cannot set element {index}: type mismatch"
        self.elements[index] = _to_field(store.store, ty, value, context)

    def elems(self, store: StoreLike) -> list[Any]:
        """All elements."""
        _claim(self, store.store)
        ty = _array(self.type).field
        return [_from_field(store.store, ty, raw) for raw in self.elements]

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self.elements):
            raise IndexError(
                f"index out of bounds: the length is {len(self.elements)} "
                f"but the index is {index}"
            )

    def __repr__(self) -> str:
        return f"<ArrayRef {self.type} of {len(self.elements)}>"


def _array(ty: DefType) -> ArrayType:
    assert isinstance(ty.comp, ArrayType)
    return ty.comp


# Exceptions ---------------------------------------------------------------------------------


@final
class ExnRefPre:
    """What `ExnRef.new` allocates from."""

    __slots__ = ("store", "type")

    def __init__(self, store: Store[Any], type: TagType) -> None:
        self.store: Final = store
        self.type: Final = type

    @staticmethod
    def new(store: StoreLike, ty: TagType) -> ExnRefPre:
        """An allocator for exceptions of tags of type `ty`.

        Raises `TypeError` if the type has results.
        """
        if ty.type.func.results:
            raise TypeError(
                "Cannot create an exception type from a tag type with results in the signature"
            )
        return ExnRefPre(store.store, ty)


@final
class ExnRef:
    """A WebAssembly exception.  Follows Wasmtime's `ExnRef`.

    `tag` is its tag.  For engines, `fields` holds the raw values.
    """

    __slots__ = ("__weakref__", "fields", "store", "tag")

    def __init__(self, tag: Tag, fields: tuple[Any, ...]) -> None:
        """For engines, from raw values; see `new`."""
        self.tag: Final = tag
        self.fields: Final = fields
        self.store: Store[Any] | None = None

    @staticmethod
    def new(store: StoreLike, pre: ExnRefPre, tag: Tag, fields: Sequence[Any]) -> ExnRef:
        """An exception of `tag` with these values.

        Raises `TypeError` for a tag of another type than `pre` or a wrong number of values,
        `TypeError`, `OverflowError` or `WrongStoreError` for a value not of its type, and
        `AsyncSupportError` with an async limiter; see `new_async`.
        """
        store.store.limits.check_sync()
        return ExnRef._make(store.store, pre, tag, fields)

    @staticmethod
    async def new_async(
        store: StoreLike, pre: ExnRefPre, tag: Tag, fields: Sequence[Any]
    ) -> ExnRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        return ExnRef._make(store.store, pre, tag, fields)

    @staticmethod
    def _make(store: Store[Any], pre: ExnRefPre, tag: Tag, fields: Sequence[Any]) -> ExnRef:
        from .values import convert

        if tag.store is not store:
            raise WrongStoreError("tag comes from the wrong store")
        if pre.store is not store:
            raise WrongStoreError("object used with wrong store")
        if tag.type != pre.type:
            raise TypeError("incorrect signature for tag when creating exception object")
        types = tag.type.type.func.params
        _check_count(len(types), len(fields))
        raw = tuple(
            convert(store, ty, value, "field type mismatch")
            for ty, value in zip(types, fields, strict=True)
        )
        made = ExnRef(tag, raw)
        made.store = store
        return made

    @property
    def raw(self) -> Any:
        """The raw reference; for the runtime's own use."""
        return self

    def ty(self, store: StoreLike) -> FuncType:
        """The tag's function type; its parameters are the fields."""
        _claim(self, store.store)
        return self.tag.type.type.func

    def field(self, store: StoreLike, index: int) -> Any:
        """Field `index`.  `IndexError` past the last one."""
        from .values import from_raw

        _claim(self, store.store)
        if not 0 <= index < len(self.fields):
            raise IndexError(
                f"cannot access field {index}: exn only has {len(self.fields)} fields"
            )
        return from_raw(store.store, self.tag.type.type.func.params[index], self.fields[index])

    def get_fields(self, store: StoreLike) -> list[Any]:
        """All fields."""
        return [self.field(store, i) for i in range(len(self.fields))]

    def __repr__(self) -> str:
        return f"<ExnRef {self.tag!r}>"
