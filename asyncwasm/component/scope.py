"""What validation finds out about a component: the contents of its index spaces."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import (
    DefType,
    GlobalType,
    MemoryType,
    TableType,
    TagType,
)
from asyncwasm.core.types import ExternType as CoreExternType

from .syntax import ComponentDef
from .types import (
    AnyType,
    ComponentType,
    FuncType,
    InstanceType,
    ModuleType,
    ValType,
)


@dataclass(slots=True)
class Scope:
    """The index spaces of a component, as they are after its last definition.

    A position in a list is an index in the space.  Compilation goes through the definitions in
    order once more and finds the type of each here.  `nested` has the scopes of the components
    that are defined in it (not imported or aliased), by their index in `components`, and `modules`
    the decoded and validated core modules, by their index in `core_modules`.  `type` is the
    component's own type.
    """

    definition: ComponentDef
    core_types: list[DefType | ModuleType] = field(default_factory=list)
    core_funcs: list[DefType] = field(default_factory=list)
    core_tables: list[TableType] = field(default_factory=list)
    core_memories: list[MemoryType] = field(default_factory=list)
    core_globals: list[GlobalType] = field(default_factory=list)
    core_tags: list[TagType] = field(default_factory=list)
    core_modules: list[ModuleType] = field(default_factory=list)
    core_instances: list[dict[str, CoreExternType]] = field(default_factory=list)
    types: list[AnyType] = field(default_factory=list)
    funcs: list[FuncType] = field(default_factory=list)
    values: list[ValType] = field(default_factory=list)
    components: list[ComponentType] = field(default_factory=list)
    instances: list[InstanceType] = field(default_factory=list)
    nested: dict[int, Scope] = field(default_factory=dict)
    modules: dict[int, ModuleInfo] = field(default_factory=dict)
    type: ComponentType = field(default_factory=lambda: ComponentType({}, {}))
