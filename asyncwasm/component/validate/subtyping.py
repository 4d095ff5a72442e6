"""Whether one item may stand for another.

See "Type Checking" in `Explainer.md` of the Component Model.  Value types match if they are equal;
modules, instances and components may export more and import less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from asyncwasm.errors import ValidationError

from ..syntax import Sort
from ..types import (
    Borrow,
    Enum,
    Flags,
    Future,
    List,
    Map,
    ModuleType,
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
from .core_match import core_mismatch
from .items import Comp, Entity, Func, Identity, Inst, TypeItem, Val, Work, sort_of


class Mismatch(Exception):
    """Why two types do not match."""


def sort_name(sort: Sort) -> str:
    """A sort as messages call it."""
    return sort.value.removeprefix("core ")


class Matcher:
    """Compares items on two sides, each with identities to be taken for others.

    On the expected side they are what it asks for and the actual side has to give: resources that
    imports bind, and the marks of types.  `bind` finds them, before `match` compares.
    """

    def __init__(
        self,
        work: Work,
        actual: dict[Identity, Identity] | None = None,
        expected: dict[Identity, Identity] | None = None,
    ) -> None:
        self._work = work
        self.actual: Final = {} if actual is None else actual
        self.expected: Final = {} if expected is None else expected
        self._equal: set[tuple[int, int]] = set()

    def bind(self, expected: Entity, actual: Entity, bound: Mapping[ResourceId, object]) -> None:
        """Let `actual` decide about those of `bound` that `expected` introduces."""
        self._work.charge()
        if isinstance(expected, TypeItem):
            if isinstance(actual, TypeItem):
                self.expected[expected.mark] = actual.mark
                wanted, given = expected.what, actual.what
                if (
                    isinstance(wanted, ResourceId)
                    and isinstance(given, ResourceId)
                    and wanted in bound
                ):
                    self.expected.setdefault(wanted, self.actual.get(given, given))
        elif isinstance(expected, Inst) and isinstance(actual, Inst):
            for name, inner in expected.exports.items():
                given_inner = actual.exports.get(name)
                if given_inner is not None:
                    self.bind(inner, given_inner, bound)

    def match(self, actual: Entity, expected: Entity) -> None:
        """Raise `Mismatch` unless `actual` may stand for `expected`."""
        self._work.charge()
        match actual, expected:
            case Func(), Func():
                self._func(actual, expected)
            case Inst(), Inst():
                self._exports(actual.exports, expected.exports, "instance export")
            case Comp(), Comp():
                self._component(actual, expected)
            case ModuleType(), ModuleType():
                self._module(actual, expected)
            case TypeItem(), TypeItem():
                self._type(actual, expected)
            case _:
                raise Mismatch(
                    f"expected {sort_name(sort_of(expected))}, found {sort_name(sort_of(actual))}"
                )

    def _exports(
        self, actual: Mapping[str, Entity], expected: Mapping[str, Entity], what: str
    ) -> None:
        for name, wanted in expected.items():
            given = actual.get(name)
            if given is None:
                raise Mismatch(f"missing expected export `{name}`")
            self._within(f"type mismatch in {what} `{name}`", given, wanted)

    def _within(self, where: str, actual: Entity, expected: Entity) -> None:
        try:
            self.match(actual, expected)
        except Mismatch as error:
            raise Mismatch(f"{where}: {error}") from None

    def _component(self, actual: Comp, expected: Comp) -> None:
        if actual is expected:
            return
        # What the expected one imports is what the actual one is given.
        self._work.charge(len(self.actual) + len(self.expected))
        imports = Matcher(self._work, dict(self.expected), dict(self.actual))
        for name, wanted in actual.imports.items():
            given = expected.imports.get(name)
            if given is None:
                raise Mismatch(f"missing expected import `{name}`")
            imports.bind(wanted, given, actual.imported)
            imports._within(f"type mismatch in import `{name}`", given, wanted)
        exports = Matcher(self._work, imports.expected, imports.actual)
        for name, wanted in expected.exports.items():
            given = actual.exports.get(name)
            if given is not None:
                exports.bind(wanted, given, expected.defined)
        exports._exports(actual.exports, expected.exports, "component export")

    def _module(self, actual: ModuleType, expected: ModuleType) -> None:
        self._work.charge(len(actual.imports) + len(expected.exports))
        for key, wanted in actual.imports.items():
            given = expected.imports.get(key)
            name = f"{key[0]}::{key[1]}"
            if given is None:
                raise Mismatch(f"missing expected import `{name}`")
            why = core_mismatch(given, wanted)
            if why is not None:
                raise Mismatch(f"type mismatch in import `{name}`: {why}")
        for export, wanted in expected.exports.items():
            given = actual.exports.get(export)
            if given is None:
                raise Mismatch(f"missing expected export `{export}`")
            why = core_mismatch(given, wanted)
            if why is not None:
                raise Mismatch(f"type mismatch in export `{export}`: {why}")

    def _type(self, actual: TypeItem, expected: TypeItem) -> None:
        match actual.what, expected.what:
            case ResourceId() as given, ResourceId() as wanted:
                self._resource(given, wanted)
            case Val() as given, Val() as wanted:
                self._value(given.type, wanted.type, top=True)
            case Func() as given, Func() as wanted:
                self._func(given, wanted)
            case Inst() as given, Inst() as wanted:
                self._same_instances(given, wanted)
            case Comp() as given, Comp() as wanted:
                self._component(given, wanted)
                self._flipped()._component(wanted, given)
            case given, wanted:
                raise Mismatch(f"expected {_kind(wanted)}, found {_kind(given)}")

    def _flipped(self) -> Matcher:
        self._work.charge(len(self.actual) + len(self.expected))
        return Matcher(self._work, dict(self.expected), dict(self.actual))

    def _same_instances(self, actual: Inst, expected: Inst) -> None:
        """Two instance types, not instances: both bind their resources."""
        if actual is expected:
            return
        for one, other, matcher in (
            (actual, expected, self._flipped()._flipped()),
            (expected, actual, self._flipped()),
        ):
            matcher.bind(other, one, other.resources)
            matcher.match(one, other)

    def _func(self, actual: Func, expected: Func) -> None:
        given, wanted = actual.type, expected.type
        if given.is_async is not wanted.is_async:
            kinds = ("func", "async func")
            raise Mismatch(f"expected {kinds[wanted.is_async]}, found {kinds[given.is_async]}")
        if len(given.params) != len(wanted.params):
            raise Mismatch(f"expected {len(wanted.params)} parameters, found {len(given.params)}")
        for (name, type), (wanted_name, wanted_type) in zip(
            given.params, wanted.params, strict=True
        ):
            if name != wanted_name:
                raise Mismatch(f"expected parameter named `{wanted_name}`, found `{name}`")
            self._part(f"type mismatch in function parameter `{name}`", type, wanted_type)
        if (given.result is None) is not (wanted.result is None):
            found = "none" if given.result is None else "one"
            raise Mismatch(f"expected {'no' if found == 'one' else 'a'} result, found {found}")
        if given.result is not None and wanted.result is not None:
            self._part("type mismatch with result type", given.result, wanted.result)

    def _resource(self, actual: object, expected: object) -> None:
        assert isinstance(actual, ResourceId)
        assert isinstance(expected, ResourceId)
        if self.actual.get(actual, actual) is not self.expected.get(expected, expected):
            raise Mismatch("resource types are not the same")

    def _part(self, where: str, actual: ValType, expected: ValType) -> None:
        try:
            self._value(actual, expected)
        except Mismatch as error:
            raise Mismatch(f"{where}: {error}") from None

    def _optional_part(
        self, where: str, name: str, actual: ValType | None, expected: ValType | None
    ) -> None:
        if actual is None or expected is None:
            if actual is not expected:
                raise Mismatch(
                    f"expected {name} type to not be present"
                    if expected is None
                    else f"expected {name} type, but found none"
                )
            return
        self._part(where, actual, expected)

    def _value(self, actual: ValType, expected: ValType, *, top: bool = False) -> None:
        key = (id(actual), id(expected))
        if key in self._equal:
            return
        self._work.charge()
        self._compare(actual, expected, top)
        self._equal.add(key)

    def _compare(self, actual: ValType, expected: ValType, top: bool) -> None:
        match actual, expected:
            case Primitive(), Primitive():
                if actual is not expected:
                    raise Mismatch(f"expected primitive `{expected}` found primitive `{actual}`")
            case Record(fields), Record(wanted_fields):
                _same_count(fields, wanted_fields, "fields")
                for (name, type), (wanted_name, wanted) in zip(fields, wanted_fields, strict=True):
                    if name != wanted_name:
                        raise Mismatch(f"expected field name `{wanted_name}`, found `{name}`")
                    self._part(f"type mismatch in record field `{name}`", type, wanted)
            case Variant(cases), Variant(wanted_cases):
                self._cases(cases, wanted_cases)
            case List(element, length), List(wanted, wanted_length):
                if length != wanted_length:
                    raise Mismatch("mismatch in the length of lists")
                self._value(element, wanted)
            case Tuple(types), Tuple(wanted_types):
                _same_count(types, wanted_types, "types")
                for place, (type, wanted) in enumerate(zip(types, wanted_types, strict=True)):
                    self._part(f"type mismatch in tuple field {place}", type, wanted)
            case Flags(labels), Flags(wanted_labels):
                if labels != wanted_labels:
                    raise Mismatch("mismatch in flags elements")
            case Enum(labels), Enum(wanted_labels):
                if labels != wanted_labels:
                    raise Mismatch("mismatch in enum elements")
            case Option(type), Option(wanted):
                self._value(type, wanted)
            case Result(ok, error), Result(wanted_ok, wanted_error):
                self._optional_part("type mismatch in ok variant", "ok", ok, wanted_ok)
                self._optional_part("type mismatch in err variant", "err", error, wanted_error)
            case (Own(resource), Own(wanted_resource)) | (
                Borrow(resource),
                Borrow(wanted_resource),
            ):
                self._resource(resource, wanted_resource)
            case (Stream(type), Stream(wanted)) | (Future(type), Future(wanted)):
                self._optional_part("type mismatch in element", "element", type, wanted)
            case Map(key, value), Map(wanted_key, wanted):
                self._part("type mismatch in map key", key, wanted_key)
                self._part("type mismatch in map value", value, wanted)
            case _:
                named = "primitive" if top and isinstance(expected, Primitive) else None
                raise Mismatch(f"expected {named or _name(expected)}, found {_name(actual)}")

    def _cases(
        self,
        actual: tuple[tuple[str, ValType | None], ...],
        expected: tuple[tuple[str, ValType | None], ...],
    ) -> None:
        _same_count(actual, expected, "cases")
        for (name, type), (wanted_name, wanted) in zip(actual, expected, strict=True):
            if name != wanted_name:
                raise Mismatch(f"expected case named `{wanted_name}`, found `{name}`")
            if wanted is None and type is not None:
                raise Mismatch(f"expected case `{name}` to have no type")
            if wanted is not None and type is None:
                raise Mismatch(f"expected case `{name}` to have a type, found none")
            if wanted is not None and type is not None:
                self._part(f"type mismatch in variant case `{name}`", type, wanted)


def _same_count(actual: tuple[object, ...], expected: tuple[object, ...], what: str) -> None:
    if len(actual) != len(expected):
        raise Mismatch(f"expected {len(expected)} {what}, found {len(actual)}")


def _name(type: ValType) -> str:
    return type.value if isinstance(type, Primitive) else type.__class__.__name__.lower()


def _kind(what: object) -> str:
    match what:
        case ResourceId():
            return "resource"
        case Val():
            return "defined type"
        case Func():
            return "func"
        case Inst():
            return "instance"
        case _:
            return "component"


def check_matches(matcher: Matcher, actual: Entity, expected: Entity, where: str, at: int) -> None:
    """Raise `ValidationError`, saying `where`, unless `actual` may stand for `expected`."""
    try:
        matcher.match(actual, expected)
    except Mismatch as error:
        raise ValidationError(f"{where}: {error}", offset=at) from None
