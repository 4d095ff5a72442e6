"""Core WebAssembly.  Never heard of components or of WASI.

The embedding surface of core modules, re-exported from where it is defined.
"""

from asyncwasm.core.runtime.caller import Caller as Caller
from asyncwasm.core.runtime.config import Config as Config
from asyncwasm.core.runtime.engine import Engine as Engine
from asyncwasm.core.runtime.extern import Extern as Extern
from asyncwasm.core.runtime.func import Func as Func, TypedFunc as TypedFunc
from asyncwasm.core.runtime.gc import (
    AnyRef as AnyRef,
    ArrayRef as ArrayRef,
    ExnRef as ExnRef,
    ExternRef as ExternRef,
    I31 as I31,
    StructRef as StructRef,
)
from asyncwasm.core.runtime.global_ import Global as Global
from asyncwasm.core.runtime.hooks import CallHook as CallHook, UpdateDeadline as UpdateDeadline
from asyncwasm.core.runtime.host import (
    f32 as f32,
    f64 as f64,
    i32 as i32,
    i64 as i64,
    v128 as v128,
)
from asyncwasm.core.runtime.instance import Instance as Instance, InstancePre as InstancePre
from asyncwasm.core.runtime.limits import (
    AsyncResourceLimiter as AsyncResourceLimiter,
    ResourceLimiter as ResourceLimiter,
    StoreLimits as StoreLimits,
)
from asyncwasm.core.runtime.linker import Linker as Linker
from asyncwasm.core.runtime.memory import Memory as Memory
from asyncwasm.core.runtime.module import Module as Module, ModuleExport as ModuleExport
from asyncwasm.core.runtime.shared_memory import SharedMemory as SharedMemory
from asyncwasm.core.runtime.store import Store as Store
from asyncwasm.core.runtime.table import Table as Table
from asyncwasm.core.runtime.tag import Tag as Tag
from asyncwasm.core.types import (
    FuncType as FuncType,
    GlobalType as GlobalType,
    IndexType as IndexType,
    Limits as Limits,
    MemoryType as MemoryType,
    RefType as RefType,
    TableType as TableType,
    TagType as TagType,
    ValType as ValType,
)
