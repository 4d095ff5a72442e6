"""Structs: a Python class for every struct type, whose slots are the fields."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from asyncwasm.core.types import DefType, FieldType, StructType
from asyncwasm.fiber import checkpoint

from .aggregates import Pre, defined, from_field, to_field
from .refs import EqRef, check_count, claim
from .storage import give_types, slot_name

if TYPE_CHECKING:
    from .handles import StoreLike


@final
class StructRefPre(Pre):
    """What `StructRef.new` allocates from."""

    __slots__ = ()

    @staticmethod
    def new(store: StoreLike, ty: StructType | DefType) -> StructRefPre:
        """An allocator for structs of type `ty`."""
        return StructRefPre(store.store, defined(ty, StructType))


@final
class StructRef(EqRef):
    """A struct.  Follows Wasmtime's `StructRef`.

    Each struct type has a class of its own below this one; see `struct_class`, by which engines
    make structs.  For them, `type` is the defined type, and `f0`, `f1` … (see `slot_name`) are the
    raw values of the fields, packed ones unsigned.
    """

    __slots__ = ("store",)

    type: ClassVar[DefType]

    def __init_subclass__(cls) -> None:
        if not isinstance(cls.__dict__.get("type"), DefType):
            raise TypeError("type `StructRef` is not an acceptable base type")

    @staticmethod
    def new(store: StoreLike, pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        """A struct with these field values.

        Raises `TypeError` for a wrong number of fields, `TypeError`, `OverflowError` or
        `WrongStoreError` for a value not of its field's type, and `AsyncSupportError` with an
        async limiter; see `new_async`.
        """
        pre.check(store).limits.check_sync()
        return StructRef._make(pre, fields)

    @staticmethod
    async def new_async(store: StoreLike, pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        pre.check(store)
        return StructRef._make(pre, fields)

    @staticmethod
    def _make(pre: StructRefPre, fields: Sequence[Any]) -> StructRef:
        types = _struct(pre.type).fields
        check_count(len(types), len(fields))
        raw = [
            to_field(pre.store, ty, value, "field type mismatch")
            for ty, value in zip(types, fields, strict=True)
        ]
        made = new_struct(pre.type, raw)
        made.store = pre.store
        return made

    @property
    def fields(self) -> list[Any]:
        """The raw values, for the runtime's own use."""
        return [getattr(self, slot_name(i)) for i in range(len(_struct(self.type).fields))]

    def ty(self, store: StoreLike) -> StructType:
        """The struct's type."""
        claim(self, store.store)
        return _struct(self.type)

    def field(self, store: StoreLike, index: int) -> Any:
        """Field `index`; packed integers are unsigned.  `IndexError` past the last one."""
        claim(self, store.store)
        return from_field(store.store, self._field(index), getattr(self, slot_name(index)))

    def set_field(self, store: StoreLike, index: int, value: Any) -> None:
        """Assign field `index`.

        Raises `IndexError` past the last one, `TypeError` if it is immutable, and `TypeError`,
        `OverflowError` or `WrongStoreError` if `value` is not of its type.
        """
        claim(self, store.store)
        ty = self._field(index)
        if not ty.mutable:
            raise TypeError(f"cannot set field {index}: field is not mutable")
        context = f"cannot set field {index}: type mismatch"
        setattr(self, slot_name(index), to_field(store.store, ty, value, context))

    def get_fields(self, store: StoreLike) -> list[Any]:
        """All fields."""
        claim(self, store.store)
        types = _struct(self.type).fields
        return [
            from_field(store.store, ty, raw) for ty, raw in zip(types, self.fields, strict=True)
        ]

    def _field(self, index: int) -> FieldType:
        types = _struct(self.type).fields
        if not 0 <= index < len(types):
            raise IndexError(f"cannot access field {index}: struct only has {len(types)} fields")
        return types[index]

    def __repr__(self) -> str:
        return f"<StructRef {self.type}>"


def _struct(ty: DefType) -> StructType:
    assert isinstance(ty.comp, StructType)
    return ty.comp


# The classes ------------------------------------------------------------------------------------

# Initialisers of structs with more fields are loops.
_MOST_PARAMETERS: Final = 100
_lock: Final = threading.RLock()
# See `adopt_classes`.
_steps: Final[list[Callable[[type[StructRef]], None]]] = []


def struct_class(ty: DefType) -> type[StructRef]:
    """The class of structs of a type; it takes their raw values, already packed.

    It is made at the first call, and goes with the type.  The class of a supertype is its base:
    both have the common fields in the same slots.
    """
    found: type[StructRef] | None = ty.objects
    return _make_class(ty) if found is None else found


def new_struct(ty: DefType, values: Sequence[Any]) -> StructRef:
    """A struct with these raw values, already packed."""
    return struct_class(ty)(*values)


def adopt_classes(*steps: Callable[[type[StructRef]], None]) -> None:
    """Do something with all classes that there are, one step after the other, and with new ones.

    New ones have no objects yet.
    """
    with _lock:
        _steps.extend(steps)
        for step in steps:
            todo: list[Any] = StructRef.__subclasses__()
            for cls in todo:
                step(cls)
                todo += cls.__subclasses__()


def _make_class(ty: DefType) -> type[StructRef]:
    with _lock:
        if ty.objects is None:
            base = StructRef if ty.supertype is None else struct_class(ty.supertype)
            inherited = 0 if ty.supertype is None else len(_struct(ty.supertype).fields)
            fields = _struct(ty).fields
            namespace = {
                "__slots__": tuple(slot_name(i) for i in range(inherited, len(fields))),
                "__init__": _initialiser(len(fields)),
                "__module__": __name__,
                "type": ty,
            }
            made: Any = type("StructRef", (base,), namespace)
            give_types(made, inherited, tuple(field.storage for field in fields[inherited:]))
            for step in _steps:
                step(made)
            # Finalizers of garbage may have been here meanwhile.
            if ty.objects is None:
                ty.objects = made
        found: type[StructRef] = ty.objects
        return found


def _initialiser(count: int) -> Callable[..., None]:
    """What sets all slots of a struct of so many fields."""
    return _unrolled(count) if count <= _MOST_PARAMETERS else _set_all


def _set_all(self: StructRef, *values: Any) -> None:
    self.store = None
    for index, value in enumerate(values):
        setattr(self, slot_name(index), value)


@cache
def _unrolled(count: int) -> Callable[..., None]:
    names = [slot_name(i) for i in range(count)]
    lines = ["self.store = None", *(f"self.{name} = {name}" for name in names)]
    namespace: dict[str, Any] = {}
    exec(f"def __init__({', '.join(['self', *names])}): {'; '.join(lines)}", namespace)
    return namespace["__init__"]  # type: ignore[no-any-return]  # as generated above
