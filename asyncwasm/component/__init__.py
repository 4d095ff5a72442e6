"""The Component Model: components compiled, linked, instantiated and called."""

from asyncwasm.core import Engine as _Engine
from asyncwasm.core import Store as _Store

from .component import Component
from .concurrency.diagnosis import StoreConcurrency as _StoreConcurrency
from .concurrency.diagnosis import TaskInfo, ThreadInfo
from .concurrency.error_context import ErrorContext
from .concurrency.host_future import FutureReader, FutureWriter, open_future
from .concurrency.host_stream import StreamReader, StreamWriter, open_stream
from .concurrency.run import Accessor, JoinHandle
from .func import Func, TypedFunc
from .index import ComponentExportIndex
from .instance import ExportInstance, Exports, Instance, InstancePre
from .linker import Linker, LinkerInstance
from .resource import Resource, ResourceAny
from .resource_table import ResourceTable, ResourceTableError
from .runtime.resources import ResourceType
from .values import EnumValue, Err, FlagsValue, Ok, RecordValue, Some, VariantValue

__all__ = [
    "Accessor",
    "Component",
    "ComponentExportIndex",
    "EnumValue",
    "Err",
    "ErrorContext",
    "ExportInstance",
    "Exports",
    "FlagsValue",
    "Func",
    "FutureReader",
    "FutureWriter",
    "Instance",
    "InstancePre",
    "JoinHandle",
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
    "StreamReader",
    "StreamWriter",
    "TaskInfo",
    "ThreadInfo",
    "TypedFunc",
    "VariantValue",
    "open_future",
    "open_stream",
]

_Store.concurrency = _StoreConcurrency()
_Engine.components = Component
