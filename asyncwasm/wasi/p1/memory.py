"""Guest memory as the functions of preview 1 see it."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, final

from asyncwasm.core import Caller, Memory, SharedMemory
from asyncwasm.errors import LinkError, Trap, TrapCode

from .errno import Errno, GuestError
from .types import IOVEC, PRESTAT, U16, U32, U64

MAX_TRANSFER: Final = 65536
"""Bytes that one call reads or writes at most: the guest's numbers do not decide what the host
allocates.  Programs go on where a short read or write ended."""

MAX_IOVECS: Final = 1024
"""As Linux has it."""

MAX_PATH: Final = 4096


@final
class GuestMemory:
    """The caller's exported memory.

    Addresses and sizes are u32.  One that is out of bounds or misaligned traps, as in Wasmtime:
    such a guest is broken, and no error number would tell it more.
    """

    __slots__ = ("_memory",)

    def __init__(self, caller: Caller[Any]) -> None:
        memory = caller.get_export("memory")
        if not isinstance(memory, (Memory, SharedMemory)):
            raise LinkError("missing required memory export")
        self._memory = memory

    def check(self, address: int, size: int, align: int = 1) -> memoryview[int]:
        """The bytes there."""
        memory = self._memory
        if address + size > memory.size_bytes:
            raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS, f"pointer {address:#x} of {size} bytes")
        if address % align:
            raise Trap(TrapCode.HEAP_MISALIGNED, f"pointer {address:#x} to a multiple of {align}")
        return memory.view[address : address + size]

    def read(self, address: int, size: int) -> bytes:
        """A copy of what is there."""
        return bytes(self.check(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Copy `data` there."""
        self.check(address, len(data))[:] = data

    def pack(self, layout: Struct, address: int, *values: int) -> None:
        """Write a struct."""
        layout.pack_into(self.check(address, layout.size, _align(layout)), 0, *values)

    def unpack(self, layout: Struct, address: int) -> tuple[Any, ...]:
        """Read a struct."""
        return layout.unpack_from(self.check(address, layout.size, _align(layout)))

    def write_u32(self, address: int, value: int) -> None:
        """Write a size or a descriptor."""
        self.pack(U32, address, value)

    def write_u64(self, address: int, value: int) -> None:
        """Write a timestamp or an offset."""
        self.pack(U64, address, value)

    def path(self, address: int, size: int) -> bytes:
        """A path, UTF-8.  Ends the function with `NAMETOOLONG`, `ILSEQ` or `INVAL`."""
        if size > MAX_PATH:
            self.check(address, size)
            raise GuestError(Errno.NAMETOOLONG)
        path = self.read(address, size)
        try:
            path.decode()
        except UnicodeDecodeError as error:
            raise GuestError(Errno.ILSEQ) from error
        return path

    def _iovecs(self, address: int, count: int) -> Iterator[tuple[int, int]]:
        table = self.check(address, count * IOVEC.size, 4)
        if count > MAX_IOVECS:
            raise GuestError(Errno.INVAL)
        return IOVEC.iter_unpack(bytes(table))

    def gather(self, address: int, count: int) -> bytes:
        """The bytes of `count` ciovecs, at most `MAX_TRANSFER` of them."""
        parts = []
        room = MAX_TRANSFER
        for start, size in self._iovecs(address, count):
            view = self.check(start, size)[:room]
            parts.append(view)
            room -= len(view)
        return b"".join(parts)

    def room(self, address: int, count: int) -> int:
        """How many bytes `scatter` takes, at most `MAX_TRANSFER`."""
        total = 0
        for start, size in self._iovecs(address, count):
            self.check(start, size)
            total += size
        return min(total, MAX_TRANSFER)

    def scatter(self, address: int, count: int, data: bytes) -> None:
        """Write `data`, no more than `room` says, to where `count` iovecs point."""
        left = memoryview(data)
        for start, size in self._iovecs(address, count):
            if not left:
                return
            piece = left[:size]
            self.check(start, size)[: len(piece)] = piece
            left = left[len(piece) :]


# Of the widest member; the other structs have a u64.
_ALIGN: Final = {U16: 2, U32: 4, PRESTAT: 4}


def _align(layout: Struct) -> int:
    return _ALIGN.get(layout, 8)
