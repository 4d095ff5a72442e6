"""Other resources, and other marks, in the place of those in an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from ..types import ModuleType, ResourceId, substitute
from .items import (
    Comp,
    Entity,
    Func,
    Identities,
    Identity,
    Inst,
    Mark,
    TypeItem,
    Val,
    Work,
    make_func,
)


class Substitution:
    """Replaces resources and marks in items, as `map` says.

    `map` may grow between uses, but only by identities that are free in nothing substituted yet.
    """

    def __init__(self, work: Work, map: dict[Identity, Identity]) -> None:
        self.map: Final = map
        self._work = work
        # The originals are kept, so that their ids stay theirs.
        self._memo: dict[int, tuple[object, object]] = {}

    def _applies(self, free: Identities) -> bool:
        return not self.map.keys().isdisjoint(free)

    def _all(self, identities: Identities) -> Identities:
        if not self._applies(identities):
            return identities
        self._work.charge(len(identities))
        return frozenset(self.map.get(i, i) for i in identities)

    def _resource(self, resource: object) -> ResourceId:
        return cast(ResourceId, self.map.get(cast(ResourceId, resource), resource))

    def _mark(self, mark: Mark) -> Mark:
        return cast(Mark, self.map.get(mark, mark))

    def val(self, val: Val) -> Val:
        """It, with what `map` says replaced."""
        if not self._applies(val.free):
            return val
        found = self._memo.get(id(val))
        if found is not None:
            return cast(Val, found[1])
        self._work.charge(val.size)
        new = replace(
            val,
            type=substitute(val.type, self._resource),
            visible=self._all(val.visible),
            inner=self._all(val.inner),
            free=self._all(val.free),
            handle=self._mark(val.handle) if val.handle else None,
        )
        self._memo[id(val)] = (val, new)
        return new

    def func(self, func: Func) -> Func:
        """It, with what `map` says replaced."""
        if not self._applies(func.free):
            return func
        params = tuple(self.val(p) for p in func.params)
        result = self.val(func.result) if func.result else None
        return make_func(
            tuple(name for name, _ in func.type.params), params, result, func.type.is_async
        )

    def type(self, item: TypeItem) -> TypeItem:
        """It, with what `map` says replaced."""
        if not self._applies(item.free):
            return item
        what: Val | Func | ResourceId | Inst | Comp
        match item.what:
            case Val():
                what = self.val(item.what)
            case ResourceId():
                what = self._resource(item.what)
            case other:
                what = cast("Func | Inst | Comp", self.entity(other))
        return TypeItem(what, self._mark(item.mark), self._all(item.free), item.size, item.depth)

    def entity(self, entity: Entity) -> Entity:
        """It, with what `map` says replaced."""
        if isinstance(entity, ModuleType) or not self._applies(entity.free):
            return entity
        found = self._memo.get(id(entity))
        if found is not None:
            return cast(Entity, found[1])
        self._work.charge(1)
        new: Entity
        match entity:
            case Func():
                new = self.func(entity)
            case TypeItem():
                new = self.type(entity)
            case Inst():
                new = self.inst(entity)
            case Comp():
                new = Comp(
                    self._work,
                    self._entities(entity.imports),
                    self._entities(entity.exports),
                    entity.imported,
                    entity.defined,
                )
        self._memo[id(entity)] = (entity, new)
        return new

    def inst(self, inst: Inst) -> Inst:
        """It, with what `map` says replaced, in what is new with it too."""
        self._work.charge(len(inst.resources))
        resources = {self._resource(r): path for r, path in inst.resources.items()}
        return Inst(self._work, self._entities(inst.exports), resources)

    def _entities(self, entities: dict[str, Entity]) -> dict[str, Entity]:
        return {name: self.entity(e) for name, e in entities.items()}


def opened(work: Work, inst: Inst) -> Inst:
    """An instance of type `inst`: with resources of its own."""
    if not inst.resources:
        return inst
    map: dict[Identity, Identity] = {r: ResourceId(r.name) for r in inst.resources}
    fresh_marks(work, inst.exports, inst.resources, map)
    return Substitution(work, map).inst(inst)


def fresh_marks(
    work: Work,
    entities: Mapping[str, Entity],
    resources: Mapping[ResourceId, object],
    map: dict[Identity, Identity],
) -> None:
    """Add to `map` new marks for the types in `entities` that are one of `resources`.

    Otherwise one instance of a type would make the resources of another one visible.
    """
    for entity in entities.values():
        work.charge()
        if isinstance(entity, TypeItem) and entity.what in resources:
            map[entity.mark] = Mark()
        elif isinstance(entity, Inst) and not resources.keys().isdisjoint(entity.free):
            fresh_marks(work, entity.exports, resources, map)
