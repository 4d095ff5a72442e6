"""The index spaces of one scope: a component, a component type or an instance type."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, TypeVar

from asyncwasm.core.isa.features import Features
from asyncwasm.core.types import (
    DefType,
    GlobalType,
    MemoryType,
    NumType,
    TableType,
    TagType,
)
from asyncwasm.core.types import ExternType as CoreExternType
from asyncwasm.errors import ValidationError

from ..binary.core_types import CoreTypes
from ..syntax import (
    CoreTypeDef,
    EqBound,
    ExportAlias,
    ExternDesc,
    Name,
    OuterAlias,
    Sort,
    SortIndex,
    SubResource,
)
from ..types import ModuleType, Path, ResourceId
from .annotated import AnnotatedNames
from .items import (
    Comp,
    Entity,
    Func,
    Inst,
    Mark,
    TypeItem,
    Val,
    Work,
    find_resources,
    sort_of,
    type_item,
)
from .modules import check_module_type
from .names import NameSet
from .substitution import opened
from .subtyping import sort_name
from .values import ValueTypes

T = TypeVar("T")

_WHAT: Final = {
    Sort.CORE_FUNC: ("function", "function"),
    Sort.CORE_TABLE: ("table", "table"),
    Sort.CORE_MEMORY: ("memory", "memory"),
    Sort.CORE_GLOBAL: ("global", "global"),
    Sort.CORE_TAG: ("tag", "tag"),
    Sort.CORE_TYPE: ("core type", "core type"),
    Sort.CORE_MODULE: ("module", "module"),
    Sort.CORE_INSTANCE: ("core instance", "instance"),
    Sort.FUNC: ("function", "function"),
    Sort.VALUE: ("value", "value"),
    Sort.TYPE: ("type", "type"),
    Sort.COMPONENT: ("component", "component"),
    Sort.INSTANCE: ("instance", "instance"),
}


class Kind(enum.Enum):
    """What a scope belongs to."""

    COMPONENT = "component"
    COMPONENT_TYPE = "component type"
    INSTANCE_TYPE = "instance type"


def item(space: Sequence[T], sort: Sort, index: int, offset: int) -> T:
    """Item `index` of an index space.  Raises `ValidationError`."""
    if index >= len(space):
        what, short = _WHAT[sort]
        raise ValidationError(f"unknown {what} {index}: {short} index out of bounds", offset=offset)
    return space[index]


def refuse_value(offset: int) -> ValidationError:
    """The error for anything that has to do with values at instantiation."""
    return ValidationError("support for component model `value`s is not enabled", offset=offset)


class Frame:
    """A scope while it is validated, definition by definition.

    `local` are the resources that the scope defines itself, with their representations; `defined`
    are also those that come with instances, and where each is exported first.  `visible` are the
    marks that have a name outside, by whether imports may use them, or exports.
    """

    def __init__(
        self, kind: Kind, parent: Frame | None, features: Features, work: Work, data: bytes
    ) -> None:
        self.kind: Final = kind
        self.parent: Final = parent
        self.features: Final = features
        self.work: Final = work
        self.data: Final = data
        self.core_types: Final = CoreTypes()
        self.core_funcs: list[DefType] = []
        self.core_tables: list[TableType] = []
        self.core_memories: list[MemoryType] = []
        self.core_globals: list[GlobalType] = []
        self.core_tags: list[TagType] = []
        self.core_modules: list[ModuleType] = []
        self.core_instances: list[dict[str, CoreExternType]] = []
        self.types: list[TypeItem] = []
        self.funcs: list[Func] = []
        self.components: list[Comp] = []
        self.instances: list[Inst] = []
        self.imports: dict[str, Entity] = {}
        self.exports: dict[str, Entity] = {}
        self.imported: dict[ResourceId, Path] = {}
        self.defined: dict[ResourceId, Path | None] = {}
        self.local: dict[ResourceId, NumType] = {}
        # The type of `context.get` and `context.set`, once there is one.
        self.context_type: NumType | None = None
        self._names = {kind: NameSet(kind) for kind in ("import", "export")}
        self._annotated = {kind: AnnotatedNames(kind) for kind in ("import", "export")}
        self._visible: dict[str, set[Mark]] = {"import": set(), "export": set()}
        self.values: Final = ValueTypes(work, self.value_type, self.resource_type)

    # --- looking up ----------------------------------------------------------------------------

    def entity(self, ref: SortIndex, offset: int) -> Entity:
        """What an import or export may be.  Raises `ValidationError`."""
        spaces: dict[Sort, Sequence[Entity]] = {
            Sort.FUNC: self.funcs,
            Sort.TYPE: self.types,
            Sort.COMPONENT: self.components,
            Sort.INSTANCE: self.instances,
            Sort.CORE_MODULE: self.core_modules,
        }
        if ref.sort is Sort.VALUE:
            raise refuse_value(offset)
        return item(spaces[ref.sort], ref.sort, ref.index, offset)

    def value_type(self, index: int, offset: int) -> Val:
        """The value type with an index.  Raises `ValidationError`."""
        what = item(self.types, Sort.TYPE, index, offset).what
        if not isinstance(what, Val):
            raise ValidationError(f"type index {index} is not a defined type", offset=offset)
        return what

    def resource_type(self, index: int, offset: int) -> tuple[ResourceId, Mark]:
        """The resource type with an index, and the mark of that.  Raises `ValidationError`."""
        found = item(self.types, Sort.TYPE, index, offset)
        if not isinstance(found.what, ResourceId):
            raise ValidationError(f"type index {index} is not a resource type", offset=offset)
        return found.what, found.mark

    def func_type(self, index: int, offset: int) -> Func:
        """The function type with an index.  Raises `ValidationError`."""
        what = item(self.types, Sort.TYPE, index, offset).what
        if not isinstance(what, Func):
            raise ValidationError(f"type index {index} is not a function type", offset=offset)
        return what

    def module_type(self, index: int, offset: int) -> ModuleType:
        """The module type with an index.  Raises `ValidationError`."""
        found = item(self.core_types.items, Sort.CORE_TYPE, index, offset)
        if not isinstance(found, ModuleType):
            raise ValidationError(f"core type index {index} is not a module type", offset=offset)
        return found

    def extern(self, desc: ExternDesc, offset: int) -> Entity:
        """What a description describes; instances are not opened.  Raises `ValidationError`."""
        match desc.bound:
            case SubResource():
                return type_item(ResourceId())
            case EqBound(index) if desc.sort is Sort.TYPE:
                return type_item(item(self.types, Sort.TYPE, index, offset).what)
            case int(index) if desc.sort is Sort.CORE_MODULE:
                return self.module_type(index, offset)
            case int(index) if desc.sort is Sort.FUNC:
                return self.func_type(index, offset)
            case int(index) if desc.sort is Sort.COMPONENT:
                what = item(self.types, Sort.TYPE, index, offset).what
                if isinstance(what, Comp):
                    return what
                raise ValidationError(f"type index {index} is not a component type", offset=offset)
            case int(index) if desc.sort is Sort.INSTANCE:
                what = item(self.types, Sort.TYPE, index, offset).what
                if isinstance(what, Inst):
                    return what
                raise ValidationError(f"type index {index} is not an instance type", offset=offset)
            case _:
                raise refuse_value(offset)

    # --- adding --------------------------------------------------------------------------------

    def push(self, entity: Entity) -> None:
        """Append an entity to its index space."""
        match entity:
            case Func():
                self.funcs.append(entity)
            case Inst():
                self.instances.append(entity)
            case Comp():
                self.components.append(entity)
            case ModuleType():
                self.core_modules.append(entity)
            case TypeItem():
                self.types.append(entity)

    def add_import(self, name: Name, desc: ExternDesc, offset: int) -> None:
        """An import, or a declared one.  Raises `ValidationError`."""
        entity = self.extern(desc, offset)
        if isinstance(entity, Inst):
            entity = opened(self.work, entity)
            self.imported.update((r, (name.name, *path)) for r, path in entity.resources.items())
        if isinstance(desc.bound, SubResource):
            assert isinstance(entity, TypeItem)
            assert isinstance(entity.what, ResourceId)
            entity.what.name = name.name
            self.imported[entity.what] = (name.name,)
        self._name("import", name, entity, offset)
        # Who gives something for the import cannot know what the component itself makes.
        if not isinstance(entity, ModuleType) and not self.defined.keys().isdisjoint(entity.free):
            raise ValidationError("local resource type found in imports", offset=offset)
        self.imports[name.name] = entity
        self.push(entity)

    def add_export_decl(self, name: Name, desc: ExternDesc, offset: int) -> None:
        """A declared export.  Raises `ValidationError`."""
        entity = self.extern(desc, offset)
        if isinstance(entity, Inst):
            entity = opened(self.work, entity)
            self.defined.update(dict.fromkeys(entity.resources))
        if isinstance(desc.bound, SubResource):
            assert isinstance(entity, TypeItem)
            assert isinstance(entity.what, ResourceId)
            entity.what.name = name.name
            self.defined[entity.what] = None
        self.add_export(name, entity, offset)

    def add_export(self, name: Name, entity: Entity, offset: int) -> None:
        """Export `entity`, which nothing else has introduced.  Raises `ValidationError`."""
        self._name("export", name, entity, offset)
        self.exports[name.name] = entity
        self.push(entity)
        found: dict[ResourceId, Path] = {}
        self.work.charge(len(self.defined))
        find_resources(entity, (name.name,), self.defined, found)
        for resource, path in found.items():
            if self.defined[resource] is None:
                self.defined[resource] = path

    def _name(self, kind: str, name: Name, entity: Entity, offset: int) -> None:
        parsed = self._names[kind].add(name, sort_of(entity), offset)
        self._annotated[kind].add(name.name, parsed, entity, offset)
        if self.kind is not Kind.INSTANCE_TYPE and not self._see(kind, entity):
            raise ValidationError(
                f"{sort_name(sort_of(entity))} not valid to be used as {kind}", offset=offset
            )

    # --- external visibility -------------------------------------------------------------------

    def _see(self, kind: str, entity: Entity) -> bool:
        """Whether all that `entity` refers to is visible; its own types are from now on."""
        seen = self._visible[kind]
        match entity:
            case TypeItem():
                if not self._can_name(seen, entity):
                    return False
                # An export may refer to what is imported, not the other way round.
                seen.add(entity.mark)
                self._visible["export"].add(entity.mark)
                return True
            case Inst():
                self.work.charge(len(entity.exports))
                return all(self._see(kind, inner) for inner in entity.exports.values())
            case Func():
                return entity.visible <= seen
            case _:
                return True

    def _can_name(self, seen: set[Mark], entity: TypeItem) -> bool:
        match entity.what:
            case Val() as val:
                return val.inner <= seen
            case Func() as func:
                return func.visible <= seen
            case Inst() as inst:
                self.work.charge(len(seen))
                return self._can_name_instance(set(seen), inst)
            case _:
                return True

    def _can_name_instance(self, seen: set[Mark], inst: Inst) -> bool:
        for entity in inst.exports.values():
            self.work.charge()
            if isinstance(entity, TypeItem):
                if not self._can_name(seen, entity):
                    return False
                seen.add(entity.mark)
            elif isinstance(entity, Inst):
                if not self._can_name_instance(seen, entity):
                    return False
            elif isinstance(entity, Func) and not entity.visible <= seen:
                return False
        return True

    # --- core types ----------------------------------------------------------------------------

    def define_core_type(self, definition: CoreTypeDef) -> None:
        """Read a core type and add it.  Raises `ValidationError`."""
        self.core_types.define(self.data, definition, self._outer_core_type, self.features)
        last = self.core_types.items[-1] if self.core_types.items else None
        if definition.is_module and isinstance(last, ModuleType):
            check_module_type(last, definition.offset)

    def _outer_core_type(self, count: int, index: int, offset: int) -> DefType | ModuleType:
        frame, _ = self.outer(count, offset)
        return item(frame.core_types.items, Sort.CORE_TYPE, index, offset)

    # --- aliases -------------------------------------------------------------------------------

    def outer(self, count: int, offset: int) -> tuple[Frame, bool]:
        """The scope `count` levels out, and whether a component's boundary is between."""
        frame, crossed = self, False
        for _ in range(count):
            crossed = crossed or frame.kind is Kind.COMPONENT
            if frame.parent is None:
                raise ValidationError(f"invalid outer alias count of {count}", offset=offset)
            frame = frame.parent
        return frame, crossed

    def alias_outer(self, alias: OuterAlias) -> None:
        """Add what an outer alias refers to.  Raises `ValidationError`."""
        frame, crossed = self.outer(alias.count, alias.offset)
        if alias.sort is Sort.CORE_TYPE:
            self.core_types.append(
                item(frame.core_types.items, alias.sort, alias.index, alias.offset)
            )
            return
        entity = frame.entity(SortIndex(alias.sort, alias.index), alias.offset)
        if crossed and isinstance(entity, TypeItem):
            self.work.charge(len(entity.free))
            if any(isinstance(identity, ResourceId) for identity in entity.free):
                raise ValidationError(
                    "cannot alias outer type which transitively refers to resources not defined"
                    " in the current component",
                    offset=alias.offset,
                )
        self.push(entity)

    def alias_export(self, alias: ExportAlias) -> None:
        """Add what an export alias of an instance refers to.  Raises `ValidationError`."""
        inst = item(self.instances, Sort.INSTANCE, alias.instance, alias.offset)
        entity = inst.exports.get(alias.name)
        where = f"instance {alias.instance}"
        if entity is None:
            raise ValidationError(
                f"{where} has no export named `{alias.name}`", offset=alias.offset
            )
        if sort_of(entity) is not alias.sort:
            raise ValidationError(
                f"export `{alias.name}` for {where} is not a {sort_name(alias.sort)}",
                offset=alias.offset,
            )
        self.push(entity)

    def comp(self) -> Comp:
        """The type of the component, or the component type, that the scope is of."""
        return Comp(self.work, self.imports, self.exports, self.imported, self.defined)

    def inst(self) -> Inst:
        """The instance type that the scope is of."""
        resources = {r: path for r, path in self.defined.items() if path is not None}
        return Inst(self.work, self.exports, resources)
