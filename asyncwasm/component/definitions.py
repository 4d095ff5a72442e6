"""What a linker holds under a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from .names import NameMap
from .runtime.host import HostFunc
from .runtime.host_call import caller_of_destructor
from .runtime.resources import ResourceImpl

if TYPE_CHECKING:
    from asyncwasm.core import Module, Store

    from .runtime.resources import ResourceType


@dataclass(frozen=True, slots=True, eq=False)
class ModuleDef:
    """A core module."""

    module: Module


@dataclass(frozen=True, slots=True, eq=False)
class ResourceDef:
    """A resource type of the host, with its destructor if it has one."""

    type: ResourceType
    destructor: HostFunc | None

    def bind(self, store: Store[Any]) -> ResourceImpl:
        """The resource type in a store."""
        destructor = self.destructor
        host = None if destructor is None else caller_of_destructor(store, destructor)
        return ResourceImpl(self.type, None, None, host)


Definition = Union[HostFunc, ModuleDef, ResourceDef, "NameMap[Definition]"]
