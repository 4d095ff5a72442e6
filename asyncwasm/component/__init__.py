"""The Component Model: components compiled, linked, instantiated and called."""

from .component import Component
from .func import Func, TypedFunc
from .index import ComponentExportIndex
from .instance import ExportInstance, Exports, Instance, InstancePre
from .linker import Linker, LinkerInstance
from .resource import Resource, ResourceAny
from .resource_table import ResourceTable, ResourceTableError
from .runtime.resources import ResourceType
from .values import EnumValue, Err, FlagsValue, Ok, RecordValue, Some, VariantValue

__all__ = [
    "Component",
    "ComponentExportIndex",
    "EnumValue",
    "Err",
    "ExportInstance",
    "Exports",
    "FlagsValue",
    "Func",
    "Instance",
    "InstancePre",
    "Linker",
    "LinkerInstance",
    "Ok",
    "RecordValue",
    "Resource",
    "ResourceAny",
    "ResourceTable",
    "ResourceTableError",
    "ResourceType",
    "Some",
    "TypedFunc",
    "VariantValue",
]
