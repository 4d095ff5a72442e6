"""Validation of whole components, definition by definition."""

from __future__ import annotations

from asyncwasm.core.isa.features import ALL, Features
from asyncwasm.core.types import (
    ExternFunc,
    FuncType,
    GlobalType,
    MemoryType,
    TableType,
    TagType,
)
from asyncwasm.core.types import ExternType as CoreExternType
from asyncwasm.errors import ValidationError

from ..scope import Scope
from ..syntax import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    ComponentDef,
    ComponentTypeDef,
    CoreInlineExports,
    CoreInstantiate,
    CoreModuleDef,
    CoreTypeDef,
    Declarator,
    Definition,
    ExportAlias,
    ExportDecl,
    ExportDef,
    ExternDesc,
    FuncDef,
    ImportDecl,
    InlineExports,
    InstanceTypeDef,
    Instantiate,
    OuterAlias,
    ResourceDef,
    Sort,
    SortIndex,
    Start,
    SubResource,
    TypeDef,
    ValueDef,
)
from ..types import ResourceId
from .builtins import validate_builtin
from .canon import validate_lift, validate_lower
from .frame import Frame, Kind, item, refuse_value
from .instances import instantiate, put_together
from .items import Comp, Entity, Func, Inst, TypeItem, Val, Work, make_func, type_item
from .modules import instantiate_module, module_type, read_module
from .names import Labels
from .substitution import opened
from .subtyping import Matcher, check_matches, sort_name


def validate_component(
    definition: ComponentDef, features: Features = ALL, *, lazy: bool = False
) -> Scope:
    """Validate a decoded component, with all that is nested in it.

    With `lazy`, function bodies of core modules are left out, for `core.validate` to do one at
    a time.  Raises `ValidationError`; `MalformedError` for what is in core modules, and
    `ResourceLimitError` for what takes too long.  Never suspends.
    """
    return _ComponentValidator(definition, None, features, Work(), lazy).run()


def define_type(frame: Frame, definition: TypeDef) -> TypeItem:
    """What a type definition defines.  Raises `ValidationError`."""
    offset = definition.offset
    what: Val | Func | ResourceId | Inst | Comp
    match definition.type:
        case FuncDef() as func:
            what = _define_func(frame, func, offset)
        case ResourceDef() as resource:
            what = _define_resource(frame, resource, offset)
        case ComponentTypeDef(decls):
            what = _declared(frame, Kind.COMPONENT_TYPE, decls).comp()
        case InstanceTypeDef(decls):
            what = _declared(frame, Kind.INSTANCE_TYPE, decls).inst()
        case value:
            what = frame.values.define(value, offset)
    return type_item(what)


def _define_func(frame: Frame, definition: FuncDef, offset: int) -> Func:
    labels = Labels("function parameter", "parameter", offset)
    for name, _ in definition.params:
        labels.add(name)
    params = tuple(frame.values.ref(ty, offset) for _, ty in definition.params)
    result = None if definition.result is None else frame.values.ref(definition.result, offset)
    if result is not None and result.has_borrow:
        raise ValidationError("function result cannot contain a `borrow` type", offset=offset)
    names = tuple(name for name, _ in definition.params)
    func = make_func(names, params, result, definition.is_async)
    frame.work.charge(1 + len(func.free))
    return func


def _define_resource(frame: Frame, definition: ResourceDef, offset: int) -> ResourceId:
    if frame.kind is not Kind.COMPONENT:
        raise ValidationError(
            "resources can only be defined within a concrete component", offset=offset
        )
    if definition.destructor is not None:
        destructor = item(frame.core_funcs, Sort.CORE_FUNC, definition.destructor, offset)
        if destructor.comp != FuncType((definition.rep,), ()):
            raise ValidationError("wrong signature for a destructor", offset=offset)
    resource = ResourceId()
    frame.local[resource] = definition.rep
    frame.defined[resource] = None
    return resource


def _declared(parent: Frame, kind: Kind, decls: tuple[Declarator, ...]) -> Frame:
    frame = Frame(kind, parent, parent.features, parent.work, parent.data)
    for decl in decls:
        match decl:
            case CoreTypeDef():
                frame.define_core_type(decl)
            case TypeDef():
                frame.push(define_type(frame, decl))
            case ExportAlias():
                if decl.sort not in (Sort.TYPE, Sort.INSTANCE):
                    raise _not_in_types(decl.offset)
                frame.alias_export(decl)
            case OuterAlias():
                if decl.sort not in (Sort.TYPE, Sort.CORE_TYPE):
                    raise _not_in_types(decl.offset)
                frame.alias_outer(decl)
            case ImportDecl(name, desc, offset):
                frame.add_import(name, desc, offset)
            case ExportDecl(name, desc, offset):
                frame.add_export_decl(name, desc, offset)
    return frame


def _not_in_types(offset: int) -> ValidationError:
    return ValidationError(
        "aliases in component and instance types may only refer to types or instances",
        offset=offset,
    )


class _ComponentValidator:
    """Validates one component."""

    def __init__(
        self,
        definition: ComponentDef,
        parent: Frame | None,
        features: Features,
        work: Work,
        lazy: bool,
    ) -> None:
        self._definition = definition
        self._lazy = lazy
        self._frame = Frame(Kind.COMPONENT, parent, features, work, definition.data)
        self._scope = Scope(definition)

    def run(self) -> Scope:
        for definition in self._definition.definitions:
            self._frame.work.charge()
            self._define(definition)
        return self._finish()

    def _finish(self) -> Scope:
        frame, scope = self._frame, self._scope
        scope.core_types = frame.core_types.items
        scope.core_funcs = frame.core_funcs
        scope.core_tables = frame.core_tables
        scope.core_memories = frame.core_memories
        scope.core_globals = frame.core_globals
        scope.core_tags = frame.core_tags
        scope.core_modules = frame.core_modules
        scope.core_instances = frame.core_instances
        scope.types = [item.plain for item in frame.types]
        scope.funcs = [func.type for func in frame.funcs]
        scope.components = [comp.plain for comp in frame.components]
        scope.instances = [inst.plain for inst in frame.instances]
        self.comp = frame.comp()
        scope.type = self.comp.plain
        return scope

    def _define(self, definition: Definition) -> None:
        frame = self._frame
        match definition:
            case CoreModuleDef():
                info = read_module(frame.data, definition, frame.features, lazy=self._lazy)
                self._scope.modules[len(frame.core_modules)] = info
                frame.core_modules.append(module_type(info, definition.offset))
            case CoreInstantiate():
                frame.core_instances.append(self._instantiate_module(definition))
            case CoreInlineExports():
                frame.core_instances.append(self._core_exports(definition))
            case CoreTypeDef():
                frame.define_core_type(definition)
            case ComponentDef():
                self._nest(definition)
            case Instantiate():
                frame.instances.append(instantiate(frame, definition))
            case InlineExports():
                frame.instances.append(put_together(frame, definition))
            case ExportAlias():
                if definition.core:
                    self._alias_core_export(definition)
                else:
                    frame.alias_export(definition)
            case OuterAlias():
                frame.alias_outer(definition)
            case TypeDef():
                frame.push(define_type(frame, definition))
            case CanonLift():
                frame.funcs.append(validate_lift(frame, definition))
            case CanonLower():
                frame.core_funcs.append(validate_lower(frame, definition))
            case CanonBuiltin():
                frame.core_funcs.append(validate_builtin(frame, definition))
            case ImportDecl(name, desc, offset):
                frame.add_import(name, desc, offset)
            case ExportDef():
                self._export(definition)
            case Start() | ValueDef():
                raise refuse_value(definition.offset)

    def _nest(self, definition: ComponentDef) -> None:
        frame = self._frame
        nested = _ComponentValidator(definition, frame, frame.features, frame.work, self._lazy)
        self._scope.nested[len(frame.components)] = nested.run()
        frame.components.append(nested.comp)

    def _instantiate_module(self, definition: CoreInstantiate) -> dict[str, CoreExternType]:
        frame, offset = self._frame, definition.offset
        module = item(frame.core_modules, Sort.CORE_MODULE, definition.module, offset)
        args: dict[str, dict[str, CoreExternType]] = {}
        for name, ref in definition.args:
            if name in args:
                raise ValidationError(
                    f"duplicate module instantiation argument named `{name}`", offset=offset
                )
            args[name] = item(frame.core_instances, Sort.CORE_INSTANCE, ref.index, offset)
        frame.work.charge(len(module.imports) + len(module.exports))
        return instantiate_module(module, args, offset)

    def _core_exports(self, definition: CoreInlineExports) -> dict[str, CoreExternType]:
        exports: dict[str, CoreExternType] = {}
        for name, ref in definition.exports:
            if name in exports:
                raise ValidationError(
                    f"export name `{name}` already defined", offset=definition.offset
                )
            exports[name] = self._core_item(ref, definition.offset)
        return exports

    def _core_item(self, ref: SortIndex, offset: int) -> CoreExternType:
        frame, sort, index = self._frame, ref.sort, ref.index
        match sort:
            case Sort.CORE_FUNC:
                return ExternFunc(item(frame.core_funcs, sort, index, offset))
            case Sort.CORE_TABLE:
                return item(frame.core_tables, sort, index, offset)
            case Sort.CORE_MEMORY:
                return item(frame.core_memories, sort, index, offset)
            case Sort.CORE_GLOBAL:
                return item(frame.core_globals, sort, index, offset)
            case _:
                return item(frame.core_tags, sort, index, offset)

    def _alias_core_export(self, alias: ExportAlias) -> None:
        frame, offset = self._frame, alias.offset
        exports = item(frame.core_instances, Sort.CORE_INSTANCE, alias.instance, offset)
        where = f"core instance {alias.instance}"
        extern = exports.get(alias.name)
        if extern is None:
            raise ValidationError(f"{where} has no export named `{alias.name}`", offset=offset)
        match alias.sort, extern:
            case Sort.CORE_FUNC, ExternFunc(type):
                frame.core_funcs.append(type)
            case Sort.CORE_TABLE, TableType():
                frame.core_tables.append(extern)
            case Sort.CORE_MEMORY, MemoryType():
                frame.core_memories.append(extern)
            case Sort.CORE_GLOBAL, GlobalType():
                frame.core_globals.append(extern)
            case Sort.CORE_TAG, TagType():
                frame.core_tags.append(extern)
            case _:
                raise ValidationError(
                    f"export `{alias.name}` for {where} is not a {sort_name(alias.sort)}",
                    offset=offset,
                )

    def _export(self, definition: ExportDef) -> None:
        frame, offset = self._frame, definition.offset
        entity = frame.entity(definition.item, offset)
        if isinstance(entity, TypeItem):
            entity = type_item(entity.what)
        if definition.desc is not None:
            entity = self._ascribed(entity, definition.desc, offset)
        frame.add_export(definition.name, entity, offset)

    def _ascribed(self, actual: Entity, desc: ExternDesc, offset: int) -> Entity:
        """What is seen of `actual` where a type is ascribed to it.

        Resources that the type leaves open are new ones from then on.
        """
        frame = self._frame
        expected = frame.extern(desc, offset)
        bound: dict[ResourceId, object] = {}
        if isinstance(expected, Inst):
            expected = opened(frame.work, expected)
            bound.update(expected.resources)
        elif isinstance(desc.bound, SubResource) and isinstance(expected, TypeItem):
            bound.update((r, ()) for r in expected.free if isinstance(r, ResourceId))
        matcher = Matcher(frame.work)
        matcher.bind(expected, actual, bound)
        where = "ascribed type of export is not compatible with item's type"
        check_matches(matcher, actual, expected, where, offset)
        frame.defined.update(dict.fromkeys(bound))
        return expected
