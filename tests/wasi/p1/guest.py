"""A guest whose exports are the functions of preview 1: each only calls its import."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

from asyncwasm import Engine, Linker, Module, Store
from asyncwasm.wasi import WasiCtx, p1
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.linking import FUNCTIONS

_TYPES = {"i": "i32", "I": "i64", "s": "i64"}

# Where tests put paths and buffers, and where results go.
PATH = 1024
OTHER_PATH = 2048
BUFFER = 4096
IOVECS = 512
OUT = 256


@cache
def module(name: str = "wasi_snapshot_preview1") -> Module:
    """A module that imports everything of `name` and exports it again."""
    imports, functions = [], []
    for function, row in FUNCTIONS.items():
        if name == "wasi_unstable" and function == "sock_accept":
            continue
        params = f"(param {' '.join(_TYPES[p] for p in row.params)})" if row.params else ""
        result = "" if function == "proc_exit" else "(result i32)"
        args = " ".join(f"(local.get {i})" for i in range(len(row.params)))
        imports.append(f'(import "{name}" "{function}" (func ${function} {params} {result}))')
        functions.append(
            f'(func (export "{function}") {params} {result} (call ${function} {args}))'
        )
    memory = '(memory (export "memory") 2)'
    return Module(Engine(), f"(module {' '.join(imports)} {memory} {' '.join(functions)})")


class P1:
    """One program: `await guest("fd_close", 3)` calls a function and gives its `Errno`."""

    def __init__(self, ctx: WasiCtx, name: str = "wasi_snapshot_preview1") -> None:
        self.ctx = ctx
        self.module = module(name)
        self.store: Store[WasiCtx] = Store(self.module.engine, ctx)
        self.instance: Any = None

    async def call(self, name: str, *args: int) -> Errno:
        if self.instance is None:
            linker = Linker(self.module.engine)
            p1.add_to_linker_async(linker)
            self.instance = await linker.instantiate_async(self.store, self.module)
        return Errno(await self.instance.get_func(self.store, name).call_async(self.store, *args))

    __call__ = call

    @property
    def memory(self) -> memoryview:
        return self.instance_memory.data(self.store)

    @property
    def instance_memory(self) -> Any:
        return self.instance.get_memory(self.store, "memory")

    async def start(self) -> P1:
        """Instantiate, so that there is a memory to write to."""
        await self.call("sched_yield")
        return self

    def write(self, address: int, data: bytes) -> None:
        self.memory[address : address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.memory[address : address + size])

    def unpack(self, layout: str, address: int = OUT) -> tuple[Any, ...]:
        return struct.unpack_from(layout, self.memory, address)

    def u32(self, address: int = OUT) -> int:
        return self.unpack("<I", address)[0]

    def u64(self, address: int = OUT) -> int:
        return self.unpack("<Q", address)[0]

    def path(self, path: str | bytes, at: int = PATH) -> tuple[int, int]:
        """Put a path into memory; its address and size, as arguments."""
        data = path.encode() if isinstance(path, str) else path
        self.write(at, data)
        return at, len(data)

    def iovecs(self, *buffers: tuple[int, int]) -> tuple[int, int]:
        """Put iovecs into memory; their address and number."""
        for index, (address, size) in enumerate(buffers):
            self.write(IOVECS + 8 * index, struct.pack("<II", address, size))
        return IOVECS, len(buffers)

    async def read_fd(self, fd: int, size: int) -> bytes | Errno:
        """`fd_read` into one buffer; what was read, or the error."""
        error = await self("fd_read", fd, *self.iovecs((BUFFER, size)), OUT)
        return self.read(BUFFER, self.u32()) if error is Errno.SUCCESS else error

    async def write_fd(self, fd: int, data: bytes) -> int | Errno:
        """`fd_write` of one buffer; how much was written, or the error."""
        self.write(BUFFER, data)
        error = await self("fd_write", fd, *self.iovecs((BUFFER, len(data))), OUT)
        return self.u32() if error is Errno.SUCCESS else error

    async def open(
        self,
        path: str | bytes,
        oflags: int = 0,
        *,
        fd: int = 3,
        base: int = (1 << 30) - 1,
        inheriting: int = (1 << 30) - 1,
        fdflags: int = 0,
        follow: bool = True,
    ) -> int | Errno:
        """`path_open`; the descriptor, or the error."""
        args = (fd, int(follow), *self.path(path), oflags, base, inheriting, fdflags, OUT)
        error = await self("path_open", *args)
        return self.u32() if error is Errno.SUCCESS else error
