"""What the programs' tests have in common: an instance with its functions and its memory."""

from __future__ import annotations

from typing import Any

from asyncwasm import (
    Engine,
    ExternFunc,
    Func,
    FuncType,
    Instance,
    Linker,
    Memory,
    Module,
    NumType,
    Store,
)


class Guest:
    """An instance in a store of its own.  `call` and `call_async` take export names.

    `memory` is the name of the exported memory, or the memory itself if it is imported.
    """

    def __init__(
        self, store: Store[Any], instance: Instance, memory: str | Memory = "memory"
    ) -> None:
        self.store = store
        self.instance = instance
        found = instance.get_memory(store, memory) if isinstance(memory, str) else memory
        assert found is not None
        self.memory: Memory = found
        self._functions: dict[str, Func] = {}

    def function(self, name: str) -> Func:
        if name not in self._functions:
            found = self.instance.get_func(self.store, name)
            assert found is not None, name
            self._functions[name] = found
        return self._functions[name]

    def call(self, name: str, *args: Any) -> Any:
        return self.function(name).call(self.store, *args)

    async def call_async(self, name: str, *args: Any) -> Any:
        return await self.function(name).call_async(self.store, *args)

    def read(self, address: int, size: int) -> bytes:
        return self.memory.read(self.store, address & 0xFFFF_FFFF, size)

    def write(self, address: int, data: bytes) -> None:
        self.memory.write(self.store, address & 0xFFFF_FFFF, data)

    def read_u32(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def read_cstring(self, address: int) -> str:
        data = self.memory.data(self.store)
        end = address
        while data[end]:
            end += 1
        return self.read(address, end - address).decode()

    def write_cstring(self, text: str) -> tuple[int, int]:
        """Allocate with the guest's own `malloc`; the address, and the length without the NUL."""
        data = text.encode() + b"\0"
        address: int = self.call("malloc", len(data))
        self.write(address, data)
        return address, len(data) - 1


def zero(ty: FuncType) -> Any:
    """What a stub of that type returns."""
    values = [0.0 if r in (NumType.F32, NumType.F64) else 0 for r in ty.results]
    return values[0] if len(values) == 1 else tuple(values) or None


def linker_with_stubs(engine: Engine, module: Module, called: list[str]) -> Linker:
    """A linker in which every imported function returns zero and notes its name in `called`.

    Shadowing is on, so that a test defines what it needs over the stubs.
    """
    linker = Linker(engine)
    linker.allow_shadowing(True)
    for wanted in module.imports:
        if isinstance(wanted.type, ExternFunc):
            ty = wanted.type.type.func

            def stub(caller: object, *args: Any, name: str = wanted.name, ty: FuncType = ty) -> Any:
                called.append(name)
                return zero(ty)

            linker.func_new(wanted.module, wanted.name, ty, stub)
    return linker
