"""Python values for the values of components.

Booleans, numbers, characters and strings are Python's; lists are `list` (`bytes` for `list<u8>`),
tuples `tuple`, maps `dict`.  An option is None or the value; where that would be ambiguous,
because the value is itself optional, it is None or `Some`.  A result is `Ok` or `Err`.  For
records, variants, enums and flags there are classes, which `Classes` makes.
"""

from __future__ import annotations

import dataclasses
import enum
import keyword
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast, final

from .types import (
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
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


@final
@dataclasses.dataclass(slots=True)
class Some(Generic[T]):
    """An option that has a value, which is itself an option."""

    value: T


@final
@dataclasses.dataclass(slots=True)
class Ok(Generic[T]):
    """The success of a `result`, with its payload or None."""

    value: T = None  # type: ignore[assignment]  # `Ok()` is an `Ok[None]`


@final
@dataclasses.dataclass(slots=True)
class Err(Generic[T]):
    """The failure of a `result`, with its payload or None."""

    value: T = None  # type: ignore[assignment]  # `Ok()` is an `Ok[None]`


class RecordValue:
    """Base of the dataclasses for records."""

    __slots__ = ()

    # By the labels of the record's fields, in order, the names of the attributes.
    wit_fields: ClassVar[dict[str, str]]


class VariantValue:
    """Base of the classes for variants, of which those for the cases are subclasses.

    `case` is the label of the case.  A case with a payload has it as `value`.
    """

    __slots__ = ()

    case: ClassVar[str]
    # The classes of the cases, in order, by their labels.
    wit_cases: ClassVar[dict[str, type[VariantValue]]]


class EnumValue(enum.Enum):
    """Base of the classes for enums.  The value of a member is its label."""


class FlagsValue(enum.Flag):
    """Base of the classes for flags.  `labels` are those that are set, in order."""

    # An object that the runtime made is not always the one that the class keeps.
    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return bool(self.value == other.value)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the flags that are set, in the order of the type."""
        every: tuple[str, ...] = type(self).wit_labels()
        return tuple(label for i, label in enumerate(every) if self.value >> i & 1)

    @classmethod
    def wit_labels(cls) -> tuple[str, ...]:
        """The labels of all flags of the type."""
        raise TypeError("not a type of flags")


def words(label: str) -> list[str]:
    """The words of a label in kebab case."""
    return label.split("-")


def class_name(label: str) -> str:
    """The name of the class for a type or case called `label`."""
    return _unreserved(
        "".join(word if word.isupper() else word.capitalize() for word in words(label))
    )


def attribute_name(label: str) -> str:
    """The name of the attribute for a field called `label`."""
    return _unreserved("_".join(words(label)).lower())


def member_name(label: str) -> str:
    """The name of the member for a label of an enum or of flags."""
    return "_".join(words(label)).upper()


def _unreserved(name: str) -> str:
    return name + "_" if keyword.iskeyword(name) else name


def _unique(names: list[str], taken: frozenset[str]) -> list[str]:
    """The names, with underscores added until they are unique and none is in `taken`."""
    seen = set(taken)
    unique = []
    for name in names:
        while name in seen:
            name += "_"
        seen.add(name)
        unique.append(name)
    return unique


class Classes:
    """The classes for the types of one component: one per type, made when first asked for."""

    def __init__(self) -> None:
        self._names: dict[ValType, str] = {}
        self._classes: dict[ValType, type] = {}

    def name(self, ty: ValType, label: str) -> None:
        """Let `label`, the name of an export or import, name the class for `ty`.

        The first name stays, and names come too late for a class that has been made.
        """
        self._names.setdefault(ty, label)

    def of(self, ty: ValType) -> Any:
        """The class for a record, a variant, an enum or flags."""
        found = self._classes.get(ty)
        if found is None:
            # Two threads may make one each; the first to get here wins.
            found = self._classes.setdefault(ty, self._make(ty))
        return found

    def __getitem__(self, label: str) -> Any:
        """The class for the type that is imported or exported under this name.

        Raises `KeyError` if there is none with a class.
        """
        for name, made in self:
            if name == label:
                return made
        raise KeyError(label)

    def __iter__(self) -> Iterator[tuple[str, type]]:
        """The named classes, by the labels of their types."""
        for ty, label in list(self._names.items()):
            if isinstance(ty, Record | Variant | Enum | Flags):
                yield label, self.of(ty)

    def _make(self, ty: ValType) -> type:
        label = self._names.get(ty)
        match ty:
            case Record(fields):
                return self._record(class_name(label or "record"), fields)
            case Variant(cases):
                return self._variant(class_name(label or "variant"), cases)
            case Enum(labels):
                return _enum(class_name(label or "enum"), labels)
            case Flags(labels):
                return _flags(class_name(label or "flags"), labels)
            case _:
                raise TypeError(f"there is no class for {ty}")

    def _record(self, name: str, fields: tuple[tuple[str, ValType], ...]) -> type:
        names = _unique([attribute_name(label) for label, _ in fields], frozenset({"wit_fields"}))
        made = dataclasses.make_dataclass(
            name,
            [
                (attribute, self.annotation(ty))
                for attribute, (_, ty) in zip(names, fields, strict=True)
            ],
            bases=(RecordValue,),
            slots=True,
        )
        labels = [label for label, _ in fields]
        made.wit_fields = dict(zip(labels, names, strict=True))  # type: ignore[attr-defined]
        return made

    def _variant(self, name: str, cases: tuple[tuple[str, ValType | None], ...]) -> type:
        base: Any = type(name, (VariantValue,), {"__slots__": ()})
        names = _unique([class_name(label) for label, _ in cases], _VARIANT_RESERVED)
        base.wit_cases = {}
        for case, (label, payload) in zip(names, cases, strict=True):
            fields: list[tuple[str, Any]] = (
                [] if payload is None else [("value", self.annotation(payload))]
            )
            made: Any = dataclasses.make_dataclass(case, fields, bases=(base,), slots=True)
            made.__qualname__ = f"{name}.{case}"
            made.case = label
            base.wit_cases[label] = made
            setattr(base, case, made)
        return cast("type", base)

    def annotation(self, ty: ValType) -> Any:
        """The Python type of the values of type `ty`, as an annotation."""
        # Type checkers only know annotations that are written out: hence what they ignore here.
        match ty:
            case Primitive():
                return _PRIMITIVES.get(ty, object)
            case List(Primitive.U8, None):
                return bytes
            case List(element, _):
                return list[self.annotation(element)]  # type: ignore[misc]
            case Tuple(types):
                return tuple[*(self.annotation(t) for t in types)]  # type: ignore[misc]
            case Map(key, value):
                return dict[self.annotation(key), self.annotation(value)]  # type: ignore[misc]
            case Option(inner):
                found = self.annotation(inner)
                return (Some[found] if isinstance(inner, Option) else found) | None  # type: ignore[valid-type]
            case Result(ok, error):
                success = None if ok is None else self.annotation(ok)
                failure = None if error is None else self.annotation(error)
                return Ok[success] | Err[failure]  # type: ignore[valid-type]
            case Record() | Variant() | Enum() | Flags():
                return self.of(ty)
            case Own() | Borrow() | Stream() | Future():
                return object


_PRIMITIVES: Final = {
    Primitive.BOOL: bool,
    Primitive.S8: int,
    Primitive.U8: int,
    Primitive.S16: int,
    Primitive.U16: int,
    Primitive.S32: int,
    Primitive.U32: int,
    Primitive.S64: int,
    Primitive.U64: int,
    Primitive.F32: float,
    Primitive.F64: float,
    Primitive.CHAR: str,
    Primitive.STRING: str,
}

_VARIANT_RESERVED: Final = frozenset({"None", "True", "False", "case", "wit_cases"})
_ENUM_RESERVED: Final = frozenset({"MRO"})


def _enum(name: str, labels: tuple[str, ...]) -> type:
    names = _unique([member_name(label) for label in labels], _ENUM_RESERVED)
    base: Any = EnumValue
    made: type = base(name, list(zip(names, labels, strict=True)))
    return made


def _flags(name: str, labels: tuple[str, ...]) -> type:
    names = _unique([member_name(label) for label in labels], _ENUM_RESERVED)
    members = [(member, 1 << i) for i, member in enumerate(names)]
    base: Any = FlagsValue
    made: Any = base(name, members)
    made.wit_labels = staticmethod(lambda: labels)
    return cast("type", made)


@final
class FlagsCache(dict[int, Any]):
    """The values of a type of flags by their bits, of which it keeps a bounded number.

    A guest can send billions of different ones, and `enum.Flag` would keep each.
    """

    MOST: ClassVar[int] = 4096

    def __init__(self, made: Any) -> None:
        self.made = made
        self._kept: frozenset[Hashable] = frozenset(made._value2member_map_)

    def __missing__(self, bits: int) -> Any:
        if len(self) >= self.MOST:
            members = self.made._value2member_map_
            for old in self:
                if old not in self._kept:
                    members.pop(old, None)
            self.clear()
        value = self[bits] = self.made(bits)
        return value
