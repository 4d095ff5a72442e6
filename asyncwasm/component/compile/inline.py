"""Compilation: the definitions of a component in order, nested components inlined.

Every index space of every component holds items, which say where something will be found at run
time.  Only what happens at run time leaves a trace in the program; aliases, exports and arguments
just pass items on.  Resource types are numbered over the whole program: each instantiation of a
nested component defines its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core import DefType, IndexType, Module
from asyncwasm.errors import ResourceLimitError, ValidationError

from .. import syntax
from ..scope import Scope
from ..syntax import Sort, SortIndex, StringEncoding
from ..types import (
    AnyType,
    ComponentType,
    ExternType,
    FuncType,
    Future,
    InstanceType,
    ModuleType,
    Path,
    ResourceId,
    Stream,
    TypeExport,
    ValType,
    substitute,
    substitute_func,
    substitute_optional,
)
from .program import (
    AlwaysTrap,
    Builtin,
    CoreDef,
    CoreExport,
    DefineResource,
    ExtractFunc,
    ExtractMemory,
    ExtractTable,
    GuestCall,
    HostCall,
    ImportedFunction,
    ImportedModule,
    ImportFunction,
    ImportModule,
    ImportResource,
    InstanceItem,
    InstantiateImport,
    InstantiateStatic,
    LiftedFunction,
    Options,
    Program,
    ResourceItem,
    StaticModule,
    Trampoline,
    TrampolineFunc,
    TypeItem,
)

if TYPE_CHECKING:
    from asyncwasm.core import Engine

# Each instantiation of a component copies what it does, and a component may instantiate others
# twice that do the same: the size of the program is not bounded by that of the component.
MAX_INSTANCES: Final = 1000
# And how deep instantiations may lie within each other: compiling them recurses.
MAX_DEPTH: Final = 100
MAX_DEFINITIONS: Final = 2_000_000

_STORAGE: Final = frozenset(("context.get", "context.set"))
_PLAIN: Final = frozenset(("resource.new", "resource.drop", "resource.rep"))


def compile_component(engine: Engine, scope: Scope) -> Program:
    """The program of a validated component.

    Raises `ValidationError` for what the root component may not do here though it is valid, and
    `ResourceLimitError` for components that multiply too much.
    """
    compiler = _Compiler(engine)
    program = compiler.program
    root = _Frame(scope, None, compiler.new_instance(None))
    for definition in scope.definition.definitions:
        if isinstance(definition, syntax.ImportDecl):
            compiler.import_root(root, definition)
        else:
            compiler.define(root, definition)
    for name, item in root.exports.items():
        _check_export(name, item)
        compiler.name_types(name, item)
    program.exports = root.exports
    return program


def _check_export(name: str, item: Any) -> None:
    if isinstance(item, ImportedFunction):
        raise ValidationError(
            f"component export `{name}` is a reexport of an imported function which is not "
            "implemented"
        )
    if isinstance(item, _Closure):
        raise ValidationError("exporting a component from the root component is not supported")
    if isinstance(item, InstanceItem):
        for inner, below in item.exports.items():
            _check_export(f"{name}#{inner}", below)


@final
@dataclass(slots=True, eq=False)
class _Closure:
    """A component, with the one it was defined in."""

    scope: Scope
    frame: _Frame


@final
class _Frame:
    """One instantiation of a component: its index spaces."""

    def __init__(self, scope: Scope, parent: _Frame | None, instance: int) -> None:
        self.scope = scope
        self.parent = parent
        self.instance = instance
        self.spaces: dict[Sort, list[Any]] = {sort: [] for sort in Sort}
        self.resources: dict[Hashable, int] = {}
        self.exports: dict[str, Any] = {}

    def resource(self, identity: Hashable) -> int:
        """The number of a resource type that a type of this component mentions."""
        frame: _Frame | None = self
        while frame is not None:
            found = frame.resources.get(identity)
            if found is not None:
                return found
            frame = frame.parent
        raise AssertionError(f"unbound resource type {identity!r}")

    def bind(self, resources: Mapping[ResourceId, Path], instance: InstanceItem) -> None:
        """Say what the resource types are that came with an instance."""
        for identity, path in resources.items():
            item: Any = instance
            for name in path:
                item = item.exports[name]
            assert isinstance(item, ResourceItem)
            self.resources[identity] = item.index

    def value_type(self, ref: syntax.ValTypeRef) -> ValType:
        ty = self.scope.types[ref] if isinstance(ref, int) else ref
        # A scope has every kind of type in one list; validation saw that this is a value type.
        return substitute(ty, self.resource)  # type: ignore[arg-type]


class _Compiler:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.program = Program()
        self._definitions = 0
        self._modules: dict[tuple[int, int], int] = {}
        # What was extracted already, by kind.
        self._memories: dict[CoreDef, int] = {}
        self._tables: dict[CoreDef, int] = {}
        self._funcs: dict[CoreDef, int] = {}

    # Definitions -----------------------------------------------------------------------------

    def define(self, frame: _Frame, definition: syntax.Definition) -> None:
        self._definitions += 1
        if self._definitions > MAX_DEFINITIONS:
            raise ResourceLimitError("component instantiates too much")
        match definition:
            case syntax.CoreModuleDef():
                self._module(frame)
            case syntax.CoreInstantiate():
                self._instantiate_core(frame, definition)
            case syntax.CoreInlineExports(exports):
                items = {name: self._item(frame, what) for name, what in exports}
                frame.spaces[Sort.CORE_INSTANCE].append(items)
            case syntax.CoreTypeDef():
                pass
            case syntax.ComponentDef():
                space = frame.spaces[Sort.COMPONENT]
                space.append(_Closure(frame.scope.nested[len(space)], frame))
            case syntax.Instantiate():
                self._instantiate(frame, definition)
            case syntax.InlineExports(named):
                exports_ = {name.name: self._item(frame, what) for name, what in named}
                self._add_instance(frame, InstanceItem(exports_))
            case syntax.ExportAlias():
                self._alias(frame, definition)
            case syntax.OuterAlias(sort, count, index):
                if sort is not Sort.CORE_TYPE:
                    outer: _Frame | None = frame
                    for _ in range(count):
                        assert outer is not None
                        outer = outer.parent
                    assert outer is not None
                    self._add(frame, sort, outer.spaces[sort][index])
            case syntax.TypeDef(ty):
                self._type(frame, ty)
            case syntax.CanonLift():
                self._lift(frame, definition)
            case syntax.CanonLower():
                self._lower(frame, definition)
            case syntax.CanonBuiltin():
                self._builtin(frame, definition)
            case syntax.ExportDef(name, what):
                item = self._item(frame, what)
                self._add(frame, what.sort, item)
                frame.exports[name.name] = item
            case syntax.Start() | syntax.ValueDef():
                raise ValidationError(
                    "component start functions and values are not supported",
                    offset=definition.offset,
                )
            case syntax.ImportDecl():
                raise AssertionError("an import is resolved by whoever instantiates")

    def new_instance(self, parent: int | None) -> int:
        parents = self.program.parents
        if len(parents) >= MAX_INSTANCES:
            raise ResourceLimitError(f"component instantiates more than {MAX_INSTANCES} components")
        if len(self._ancestors(parent)) >= MAX_DEPTH:
            raise ResourceLimitError(f"components instantiate each other {MAX_DEPTH} levels deep")
        parents.append(parent)
        self.program.plain.append(True)
        self.program.stores.append(False)
        return len(parents) - 1

    def _item(self, frame: _Frame, what: SortIndex) -> Any:
        return frame.spaces[what.sort][what.index]

    def _add(self, frame: _Frame, sort: Sort, item: Any) -> None:
        """Append an item to an index space, and learn what resource types it brings."""
        if sort is Sort.INSTANCE:
            self._add_instance(frame, item)
            return
        space = frame.spaces[sort]
        if sort is Sort.TYPE and isinstance(item, ResourceItem):
            identity = frame.scope.types[len(space)]
            assert isinstance(identity, ResourceId)
            frame.resources[identity] = item.index
        space.append(item)

    def _add_instance(self, frame: _Frame, item: InstanceItem) -> None:
        space = frame.spaces[Sort.INSTANCE]
        frame.bind(frame.scope.instances[len(space)].resources, item)
        space.append(item)

    def _alias(self, frame: _Frame, alias: syntax.ExportAlias) -> None:
        if not alias.core:
            instance = frame.spaces[Sort.INSTANCE][alias.instance]
            self._add(frame, alias.sort, instance.exports[alias.name])
            return
        core = frame.spaces[Sort.CORE_INSTANCE][alias.instance]
        frame.spaces[alias.sort].append(_core_export(core, alias.name))

    # Imports of the component itself -----------------------------------------------------------

    def import_root(self, frame: _Frame, decl: syntax.ImportDecl) -> None:
        path = (decl.name.name,)
        sort = decl.desc.sort
        scope = frame.scope
        position = len(frame.spaces[sort])
        ty: ExternType
        match sort:
            case Sort.CORE_MODULE:
                ty = scope.core_modules[position]
            case Sort.FUNC:
                ty = scope.funcs[position]
            case Sort.INSTANCE:
                ty = scope.instances[position]
            case Sort.TYPE:
                ty = TypeExport(scope.types[position])
            case Sort.COMPONENT:
                raise ValidationError(
                    "root-level component imports are not supported", offset=decl.offset
                )
            case _:
                raise ValidationError("value imports are not supported", offset=decl.offset)
        item = self._import(frame, path, ty)
        self.name_types(path[0], item)
        if sort is Sort.INSTANCE:
            frame.spaces[sort].append(item)
        else:
            self._add(frame, sort, item)

    def _import(self, frame: _Frame, path: Path, ty: ExternType) -> Any:
        """The item of an import, with what lies below it."""
        imports = self.program.imports
        match ty:
            case FuncType():
                imports.append(ImportFunction(path, substitute_func(ty, frame.resource)))
                self.program.has_async |= ty.is_async
                return ImportedFunction(len(imports) - 1)
            case ModuleType():
                imports.append(ImportModule(path, ty))
                return ImportedModule(len(imports) - 1)
            case TypeExport(ResourceId() as identity):
                known = frame.resources.get(identity)
                if known is None:
                    known = frame.resources[identity] = self._new_resource()
                    imports.append(ImportResource(path, known))
                return ResourceItem(known)
            case TypeExport(other):
                return _type_item(frame, other)
            case InstanceType(exports):
                return InstanceItem(
                    {name: self._import(frame, (*path, name), e) for name, e in exports.items()}
                )
            case ComponentType():
                raise ValidationError("root-level component imports are not supported")
            case _:
                raise ValidationError("value imports are not supported")

    def name_types(self, name: str, item: Any) -> None:
        """Note the names that the component's imports and exports give to types."""
        if isinstance(item, TypeItem):
            if item.type is not None:
                self.program.type_names.append((name, item.type))
        elif isinstance(item, InstanceItem):
            for below, inner in item.exports.items():
                self.name_types(below, inner)

    def _new_resource(self) -> int:
        self.program.resources += 1
        return self.program.resources - 1

    # Modules and components ----------------------------------------------------------------------

    def _module(self, frame: _Frame) -> None:
        space = frame.spaces[Sort.CORE_MODULE]
        key = (id(frame.scope), len(space))
        index = self._modules.get(key)
        if index is None:
            info = frame.scope.modules[len(space)]
            validated = not self.engine.config.lazy_validation
            modules = self.program.modules
            modules.append(Module.from_info(self.engine, info, validated=validated))
            index = self._modules[key] = len(modules) - 1
        space.append(StaticModule(index))

    def _instantiate_core(self, frame: _Frame, definition: syntax.CoreInstantiate) -> None:
        module = frame.spaces[Sort.CORE_MODULE][definition.module]
        given = {name: self._item(frame, what) for name, what in definition.args}
        program = self.program
        if isinstance(module, StaticModule):
            imports = program.modules[module.index].info.imports
            args = tuple(_core_export(given[i.module], i.name) for i in imports)
            program.initializers.append(InstantiateStatic(module.index, args, frame.instance))
        else:
            # Only what the import's type says it wants: the module given imports no more.
            wanted: dict[str, dict[str, CoreDef]] = {}
            declared = program.imports[module.index]
            assert isinstance(declared, ImportModule)
            for name, field in declared.type.imports:
                wanted.setdefault(name, {})[field] = _core_export(given[name], field)
            program.initializers.append(InstantiateImport(module.index, wanted, frame.instance))
        frame.spaces[Sort.CORE_INSTANCE].append(program.core_instances)
        program.core_instances += 1

    def _instantiate(self, frame: _Frame, definition: syntax.Instantiate) -> None:
        closure = frame.spaces[Sort.COMPONENT][definition.component]
        given = {name: self._item(frame, what) for name, what in definition.args}
        inner = _Frame(closure.scope, closure.frame, self.new_instance(frame.instance))
        for item in closure.scope.definition.definitions:
            if isinstance(item, syntax.ImportDecl):
                self._add(inner, item.desc.sort, given[item.name.name])
            else:
                self.define(inner, item)
        self._add_instance(frame, InstanceItem(inner.exports))

    def _type(self, frame: _Frame, definition: object) -> None:
        space = frame.spaces[Sort.TYPE]
        if not isinstance(definition, syntax.ResourceDef):
            space.append(_type_item(frame, frame.scope.types[len(space)]))
            return
        destructor = definition.destructor
        core = None if destructor is None else frame.spaces[Sort.CORE_FUNC][destructor]
        identity = frame.scope.types[len(space)]
        name = identity.name if isinstance(identity, ResourceId) else ""
        index = self._new_resource()
        self.program.initializers.append(DefineResource(index, core, frame.instance, name))
        self._add(frame, Sort.TYPE, ResourceItem(index))

    # Canonical definitions -----------------------------------------------------------------------

    def _lift(self, frame: _Frame, definition: syntax.CanonLift) -> None:
        ty = frame.scope.types[definition.type]
        assert isinstance(ty, FuncType)
        core = frame.spaces[Sort.CORE_FUNC][definition.core_func]
        options = self._options(frame, definition.options)
        if ty.is_async or options.is_async:
            self.program.has_async = True
            self.program.plain[frame.instance] = False
        frame.spaces[Sort.FUNC].append(
            LiftedFunction(
                substitute_func(ty, frame.resource),
                core,
                frame.scope.core_funcs[definition.core_func],
                options,
            )
        )

    def _lower(self, frame: _Frame, definition: syntax.CanonLower) -> None:
        callee = frame.spaces[Sort.FUNC][definition.func]
        options = self._options(frame, definition.options)
        ty = substitute_func(frame.scope.funcs[definition.func], frame.resource)
        core_type = self._core_type(frame)
        trampoline: Trampoline
        plain = self.program.plain
        if ty.is_async or not (
            isinstance(callee, ImportedFunction) or plain[callee.options.instance]
        ):
            plain[frame.instance] = False
        if isinstance(callee, ImportedFunction):
            trampoline = HostCall(callee.index, ty, options, core_type)
        elif self._related(frame.instance, callee.options.instance):
            trampoline = AlwaysTrap(core_type, frame.instance)
        else:
            trampoline = GuestCall(callee, ty, options, core_type)
        self._add_trampoline(frame, trampoline)

    def _builtin(self, frame: _Frame, definition: syntax.CanonBuiltin) -> None:
        name = definition.name
        options = self._options(frame, definition.options)
        if definition.memory is not None:
            index, memory64 = self._memory(frame, definition.memory)
            options = Options(frame.instance, memory=index, memory64=memory64)
        resource = table = start = None
        ty: ValType | None = None
        if name.startswith("resource."):
            assert definition.type is not None
            item = frame.spaces[Sort.TYPE][definition.type]
            assert isinstance(item, ResourceItem)
            resource = item.index
        elif name == "thread.new-indirect":
            assert definition.type is not None
            assert definition.table is not None
            found = frame.scope.core_types[definition.type]
            assert isinstance(found, DefType)
            start = found
            table = self._extract(
                self._tables, frame.spaces[Sort.CORE_TABLE][definition.table], ExtractTable
            )
            self.program.tables = max(self.program.tables, table + 1)
        elif definition.type is not None:
            ty = substitute_optional(_element(frame.scope.types[definition.type]), frame.resource)
        elif definition.result is not None:
            ty = frame.value_type(definition.result)
        program = self.program
        if name in _STORAGE:
            program.stores[frame.instance] = True
        elif name not in _PLAIN:
            program.has_async = True
            program.plain[frame.instance] = False
        self._add_trampoline(
            frame,
            Builtin(
                name,
                self._core_type(frame),
                options,
                resource,
                ty,
                definition.slot,
                definition.is_async or options.is_async,
                definition.cancellable,
                table,
                start,
            ),
        )

    def _core_type(self, frame: _Frame) -> DefType:
        """The type of the core function that comes next."""
        return frame.scope.core_funcs[len(frame.spaces[Sort.CORE_FUNC])]

    def _add_trampoline(self, frame: _Frame, trampoline: Trampoline) -> None:
        trampolines = self.program.trampolines
        trampolines.append(trampoline)
        frame.spaces[Sort.CORE_FUNC].append(TrampolineFunc(len(trampolines) - 1))

    def _related(self, one: int, other: int) -> bool:
        """Whether one component instance is the other, or was made within it."""
        return one in self._ancestors(other) or other in self._ancestors(one)

    def _ancestors(self, instance: int | None) -> list[int]:
        found = []
        while instance is not None:
            found.append(instance)
            instance = self.program.parents[instance]
        return found

    def _options(self, frame: _Frame, options: syntax.CanonOptions) -> Options:
        memory, memory64 = None, False
        if options.memory is not None:
            memory, memory64 = self._memory(frame, options.memory)
        return Options(
            frame.instance,
            options.string_encoding or StringEncoding.UTF8,
            memory,
            memory64,
            self._func(frame, options.realloc),
            self._func(frame, options.post_return),
            self._func(frame, options.callback),
            options.is_async,
        )

    def _memory(self, frame: _Frame, memory: int) -> tuple[int, bool]:
        item = frame.spaces[Sort.CORE_MEMORY][memory]
        index = self._extract(self._memories, item, ExtractMemory)
        self.program.memories = max(self.program.memories, index + 1)
        return index, frame.scope.core_memories[memory].index_type is IndexType.I64

    def _func(self, frame: _Frame, func: int | None) -> int | None:
        if func is None:
            return None
        index = self._extract(self._funcs, frame.spaces[Sort.CORE_FUNC][func], ExtractFunc)
        self.program.funcs = max(self.program.funcs, index + 1)
        return index

    def _extract(self, known: dict[Any, int], item: Any, make: Callable[[int, Any], Any]) -> int:
        index = known.get(item)
        if index is None:
            index = known[item] = len(known)
            self.program.initializers.append(make(index, item))
        return index


def _type_item(frame: _Frame, ty: AnyType) -> TypeItem:
    if isinstance(ty, (FuncType, ResourceId, InstanceType, ComponentType, ModuleType)):
        return TypeItem(None)
    return TypeItem(substitute(ty, frame.resource))


def _core_export(instance: int | dict[str, CoreDef], name: str) -> CoreDef:
    """The item that a core instance exports under a name."""
    return CoreExport(instance, name) if isinstance(instance, int) else instance[name]


def _element(ty: object) -> ValType | None:
    assert isinstance(ty, (Stream, Future))
    return ty.element
