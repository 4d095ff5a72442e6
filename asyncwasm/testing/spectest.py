"""The `spectest` host module that the official test scripts import from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asyncwasm import (
    FuncType,
    Global,
    GlobalType,
    Limits,
    Linker,
    Memory,
    MemoryType,
    SharedMemory,
    Store,
    Table,
    TableType,
    ValType,
)
from asyncwasm.core.types import F32, F64, FUNCREF, I32, I64, IndexType

_PRINTERS: Final[dict[str, tuple[ValType, ...]]] = {
    "print": (),
    "print_i32": (I32,),
    "print_i64": (I64,),
    "print_f32": (F32,),
    "print_f64": (F64,),
    "print_i32_f32": (I32, F32),
    "print_f64_f64": (F64, F64),
}
_GLOBALS: Final[dict[str, tuple[ValType, Any]]] = {
    "global_i32": (I32, 666),
    "global_i64": (I64, 666),
    "global_f32": (F32, 666.6),
    "global_f64": (F64, 666.6),
}


def discard(name: str, args: tuple[Any, ...]) -> None:
    """Prints nothing: what most runs of test scripts want."""


def define_spectest(
    linker: Linker,
    store: Store[Any],
    output: Callable[[str, tuple[Any, ...]], None] = discard,
) -> None:
    """Define the module `spectest` in `linker`, with its memories, tables and globals in `store`.

    `print` and its kin call `output(name, args)`.  The shared memory is left out where the
    engine does not allow shared memories.  Never suspends.
    """
    for name, params in _PRINTERS.items():
        linker.func_new("spectest", name, FuncType(params), _printer(name, output))
    for name, (content, value) in _GLOBALS.items():
        item = Global.new(store, GlobalType(content), value)
        linker.define(store, "spectest", name, item)
    table_limits = Limits(10, 20)
    table = Table(store, TableType(FUNCREF, table_limits), None)
    linker.define(store, "spectest", "table", table)
    table64 = Table(store, TableType(FUNCREF, table_limits, IndexType.I64), None)
    linker.define(store, "spectest", "table64", table64)
    memory = Memory(store, MemoryType(Limits(1, 2)))
    linker.define(store, "spectest", "memory", memory)
    if store.engine.config.shared_memory:
        shared = SharedMemory.new(store.engine, MemoryType(Limits(1, 2), shared=True))
        linker.define(store, "spectest", "shared_memory", shared)


def _printer(name: str, output: Callable[[str, tuple[Any, ...]], None]) -> Callable[..., None]:
    return lambda caller, *args: output(name, args)
