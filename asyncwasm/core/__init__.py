"""Core WebAssembly.  Never heard of components or of WASI.

The embedding surface of core modules, re-exported from where it is defined.
"""

from .isa.features import Feature
from .runtime.aggregates import ArrayRef, ArrayRefPre
from .runtime.atomics import WaitResult
from .runtime.caller import Caller
from .runtime.config import Config
from .runtime.engine import Engine, EngineStatistics
from .runtime.exnref import ExnRef, ExnRefPre
from .runtime.extern import Extern
from .runtime.func import Func, TypedFunc
from .runtime.global_ import Global
from .runtime.hooks import CallHook, UpdateDeadline
from .runtime.host import f32, f64, i32, i64, v128
from .runtime.instance import Export, Instance, InstancePre
from .runtime.limits import AsyncResourceLimiter, ResourceLimiter, StoreLimits
from .runtime.linker import Linker
from .runtime.memory import Memory
from .runtime.module import Module, ModuleExport, ResourcesRequired
from .runtime.refs import I31, AnyRef, EqRef, ExternRef
from .runtime.shared_memory import SharedMemory
from .runtime.store import Store
from .runtime.structs import StructRef, StructRefPre
from .runtime.table import Table
from .runtime.tag import Tag
from .types import (
    AbsHeapType,
    ArrayType,
    DefType,
    ExportType,
    ExternFunc,
    ExternType,
    FieldType,
    FuncType,
    GlobalType,
    HeapType,
    ImportType,
    IndexType,
    Limits,
    MemoryType,
    NumType,
    PackedType,
    RecGroup,
    RecIndex,
    RecRef,
    RefType,
    StorageType,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
    rec_group,
)

__all__ = [
    "I31",
    "AbsHeapType",
    "AnyRef",
    "ArrayRef",
    "ArrayRefPre",
    "ArrayType",
    "AsyncResourceLimiter",
    "CallHook",
    "Caller",
    "Config",
    "DefType",
    "Engine",
    "EngineStatistics",
    "EqRef",
    "ExnRef",
    "ExnRefPre",
    "Export",
    "ExportType",
    "Extern",
    "ExternFunc",
    "ExternRef",
    "ExternType",
    "Feature",
    "FieldType",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "HeapType",
    "ImportType",
    "IndexType",
    "Instance",
    "InstancePre",
    "Limits",
    "Linker",
    "Memory",
    "MemoryType",
    "Module",
    "ModuleExport",
    "NumType",
    "PackedType",
    "RecGroup",
    "RecIndex",
    "RecRef",
    "RefType",
    "ResourceLimiter",
    "ResourcesRequired",
    "SharedMemory",
    "StorageType",
    "Store",
    "StoreLimits",
    "StructRef",
    "StructRefPre",
    "StructType",
    "SubType",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "TypedFunc",
    "UpdateDeadline",
    "ValType",
    "WaitResult",
    "f32",
    "f64",
    "i32",
    "i64",
    "rec_group",
    "v128",
]
