"""What validation knows about the items of index spaces.

They are richer than the types in `component.types`: a type that has been given a name by an
import or export is a different one for the rules of external visibility, though it is equal, and
what every rule asks of a value type is kept with it, so that no rule has to walk it.
`plain` gives what the rest of the program sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Union, final

from asyncwasm.core.types import NumType
from asyncwasm.errors import ResourceLimitError

from ..binary.limits import MAX_ITEM_SIZE, MAX_NESTING, MAX_WORK, check_limit
from ..syntax import Sort
from ..types import (
    AnyType,
    ComponentType,
    Enum,
    ExternType,
    Flags,
    FuncType,
    InstanceType,
    ModuleType,
    Path,
    Record,
    ResourceId,
    TypeExport,
    ValType,
    Variant,
)


@final
class Mark:
    """One introduction of a type into a type index space.

    Compared by identity.  Types are visible from outside a component if the import or export that
    introduced them gave them a name, so that rules speak of introductions and not of types.
    """

    __slots__ = ()


Identity = Mark | ResourceId
Identities = frozenset[Identity]
NOTHING: Final[Identities] = frozenset()


class Work:
    """What validation of one component may still do, in steps that take about a microsecond.

    Without a bound a few kilobytes could keep it busy for as long as they like, by substituting
    in, and comparing, large types again and again.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_WORK

    def charge(self, steps: int = 1) -> None:
        """Count steps.  Raises `ResourceLimitError`."""
        self._left -= steps
        if self._left < 0:
            raise ResourceLimitError("the types of the component take too long to check")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Val:
    """A value type.

    `visible` are the marks that have to be visible where a function uses it, `inner` those that
    have to be for it to be given a name.  `size` counts the types that it is made of, with
    repetition.  `bytes` and `align` are as in a memory with 64-bit addresses.  `flat32` and
    `flat64` are the core types of its flat form, by the size of addresses; None where they are
    more than 16.  `has_pointer` says whether there is a list or string in it, and
    `element_has_pointer` whether there is one in what comes out of a stream or future.  `handle`
    is, for a handle or a result with one, the mark of the resource's type.
    """

    type: ValType
    visible: Identities
    inner: Identities
    free: Identities
    size: int
    depth: int
    bytes: int
    align: int
    flat32: tuple[NumType, ...] | None
    flat64: tuple[NumType, ...] | None
    has_borrow: bool = False
    has_pointer: bool = False
    handle: Mark | None = None
    element_has_pointer: bool = False


@final
@dataclass(frozen=True, slots=True, eq=False)
class Func:
    """A function's type."""

    type: FuncType
    params: tuple[Val, ...]
    result: Val | None
    visible: Identities
    free: Identities

    @property
    def size(self) -> int:
        """How many types it is made of."""
        return 1 + sum(p.size for p in self.params) + (self.result.size if self.result else 0)

    @property
    def depth(self) -> int:
        """How deep it is, as an item: value types do not count."""
        return 1


@final
class Inst:
    """The type of an instance.

    `resources` are those that are new with the instance.  In a type definition they stand for
    any: whoever makes an item of that type opens it, which replaces them by fresh ones.
    """

    __slots__ = ("_plain", "depth", "exports", "free", "resources", "size")

    depth: int
    free: Identities
    size: int

    def __init__(
        self, work: Work, exports: dict[str, Entity], resources: dict[ResourceId, Path]
    ) -> None:
        self.exports: Final = exports
        self.resources: Final = resources
        self.size, self.depth = _measure(work, exports)
        self.free = _free(exports)
        self._plain: InstanceType | None = None

    @property
    def plain(self) -> InstanceType:
        """It, as the rest of the program sees it."""
        if self._plain is None:
            self._plain = InstanceType(plain_externs(self.exports), dict(self.resources))
        return self._plain


@final
class Comp:
    """The type of a component; `imported` and `defined` are as in `ComponentType`."""

    __slots__ = (
        "_plain",
        "defined",
        "depth",
        "exports",
        "free",
        "imported",
        "imports",
        "size",
    )

    depth: int
    free: Identities
    size: int

    def __init__(
        self,
        work: Work,
        imports: dict[str, Entity],
        exports: dict[str, Entity],
        imported: dict[ResourceId, Path],
        defined: dict[ResourceId, Path | None],
    ) -> None:
        self.imports: Final = imports
        self.exports: Final = exports
        self.imported: Final = imported
        self.defined: Final = defined
        size, depth = _measure(work, imports)
        self.size, self.depth = _measure(work, exports)
        self.size += size
        self.depth = max(self.depth, depth)
        self.free = (_free(imports) | _free(exports)) - imported.keys() - defined.keys()
        self._plain: ComponentType | None = None

    @property
    def plain(self) -> ComponentType:
        """It, as the rest of the program sees it."""
        if self._plain is None:
            self._plain = ComponentType(
                plain_externs(self.imports),
                plain_externs(self.exports),
                dict(self.imported),
                dict(self.defined),
            )
        return self._plain


@final
@dataclass(frozen=True, slots=True, eq=False)
class TypeItem:
    """An item of a type index space."""

    what: Val | Func | ResourceId | Inst | Comp
    mark: Mark
    free: Identities
    size: int
    depth: int = 1

    @property
    def plain(self) -> AnyType:
        """It, as the rest of the program sees it."""
        if isinstance(self.what, Val | Func):
            return self.what.type
        return self.what if isinstance(self.what, ResourceId) else self.what.plain


Entity = Union[Func, Inst, Comp, ModuleType, TypeItem]


def _free(entities: Mapping[str, Entity]) -> Identities:
    return NOTHING.union(*(e.free for e in entities.values() if not isinstance(e, ModuleType)))


def _measure(work: Work, entities: Mapping[str, Entity]) -> tuple[int, int]:
    """The size and the depth of something with these imports or exports."""
    size = depth = 0
    for entity in entities.values():
        if isinstance(entity, ModuleType):
            size += len(entity.imports) + len(entity.exports)
        else:
            size += entity.size
            depth = max(depth, entity.depth)
            work.charge(1 + len(entity.free))
    check_limit(size, MAX_ITEM_SIZE, "parts of a type")
    check_limit(depth, MAX_NESTING, "levels of types")
    return size + 1, depth + 1


def type_item(what: Val | Func | ResourceId | Inst | Comp, mark: Mark | None = None) -> TypeItem:
    """A type, newly introduced.

    A record, variant, enumeration or flags is known by its introduction.
    """
    mark = mark or Mark()
    marks = frozenset((mark,))
    if isinstance(what, ResourceId):
        return TypeItem(what, mark, marks | {what}, 1)
    if isinstance(what, Val) and isinstance(what.type, Record | Variant | Flags | Enum):
        what = marked(what, marks)
    # What an instance type binds is not free in it.
    free = what.free - what.resources.keys() if isinstance(what, Inst) else what.free
    depth = what.depth if isinstance(what, Inst | Comp) else 1
    return TypeItem(what, mark, free | marks, what.size, depth)


def marked(val: Val, visible: Identities) -> Val:
    """The type `val`, where `visible` is what has to be visible."""
    free = (val.free - val.visible) | visible | val.inner
    return replace(val, visible=visible, free=free)


def sort_of(entity: Entity) -> Sort:
    """The index space that an entity belongs to."""
    match entity:
        case Func():
            return Sort.FUNC
        case Inst():
            return Sort.INSTANCE
        case Comp():
            return Sort.COMPONENT
        case ModuleType():
            return Sort.CORE_MODULE
        case TypeItem():
            return Sort.TYPE


def plain_externs(entities: Mapping[str, Entity]) -> dict[str, ExternType]:
    """Imports or exports, as the rest of the program sees them."""
    return {name: _plain(entity) for name, entity in entities.items()}


def _plain(entity: Entity) -> ExternType:
    match entity:
        case Func():
            return entity.type
        case ModuleType():
            return entity
        case TypeItem():
            return TypeExport(entity.plain)
        case _:
            return entity.plain


def make_func(
    names: tuple[str, ...], params: tuple[Val, ...], result: Val | None, is_async: bool
) -> Func:
    """The type of a function with these parameters."""
    parts = params if result is None else (*params, result)
    return Func(
        FuncType(
            tuple(zip(names, (p.type for p in params), strict=True)),
            None if result is None else result.type,
            is_async,
        ),
        params,
        result,
        NOTHING.union(*(p.visible for p in parts)),
        NOTHING.union(*(p.free for p in parts)),
    )


def find_resources(
    entity: Entity, path: Path, wanted: Mapping[ResourceId, object], found: dict[ResourceId, Path]
) -> None:
    """Note in `found` by which path each of `wanted` is first found in `entity`."""
    if isinstance(entity, TypeItem):
        if isinstance(entity.what, ResourceId) and entity.what in wanted:
            found.setdefault(entity.what, path)
    elif isinstance(entity, Inst) and not wanted.keys().isdisjoint(entity.free):
        for name, inner in entity.exports.items():
            find_resources(inner, (*path, name), wanted, found)
