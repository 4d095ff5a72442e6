"""What components and functions are, for whoever asks: types with resource types in them.

The types are those of `types`.  Where validation has its own identities of resource types,
these have `ResourceType`s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import cast

from .runtime.resources import ResourceType
from .types import (
    AnyType,
    ComponentType,
    ExternType,
    FuncType,
    InstanceType,
    ModuleType,
    ResourceId,
    TypeExport,
    ValueExport,
    substitute,
    substitute_func,
)

_Replace = Callable[[Hashable], Hashable]


def component_type(ty: ComponentType) -> ComponentType:
    """A component's type as the public sees it."""
    return cast("ComponentType", _extern(ty, _abstract))


def substituted(ty: ComponentType, resources: Mapping[ResourceId, ResourceType]) -> ComponentType:
    """`component_type` with what the imported resource types are."""

    def replace(resource: Hashable) -> Hashable:
        known = resources.get(resource) if isinstance(resource, ResourceId) else None
        return known or _abstract(resource)

    return cast("ComponentType", _extern(ty, replace))


def item_type(ty: ComponentType, path: Sequence[str]) -> ExternType:
    """The type of what is exported at `path`."""
    found: ExternType = ty
    for name in path:
        assert isinstance(found, (ComponentType, InstanceType))
        found = found.exports[name]
    return found


def _abstract(resource: Hashable) -> ResourceType:
    return ResourceType("abstract", resource)


def _extern(ty: ExternType, replace: _Replace) -> ExternType:
    match ty:
        case FuncType():
            return substitute_func(ty, replace)
        case InstanceType(exports):
            return InstanceType({name: _extern(e, replace) for name, e in exports.items()})
        case ComponentType(imports, exports):
            return ComponentType(
                {name: _extern(e, replace) for name, e in imports.items()},
                {name: _extern(e, replace) for name, e in exports.items()},
            )
        case TypeExport(inner):
            return TypeExport(_type(inner, replace))
        case ValueExport(inner):
            return ValueExport(substitute(inner, replace))
        case ModuleType():
            return ty


def _type(ty: AnyType, replace: _Replace) -> AnyType:
    if isinstance(ty, ResourceId):
        return cast("AnyType", replace(ty))
    if isinstance(ty, (FuncType, InstanceType, ComponentType, ModuleType)):
        return cast("AnyType", _extern(ty, replace))
    return substitute(ty, replace)
