"""Linear memory, shared or not: the mapping, its views, and what limits its size.

A memory is one anonymous mapping reserved when it is made, of which a growing part is in use.
Its base never moves, so a `memoryview` taken earlier stays valid when the memory grows, and a
mapping lives as long as anybody holds a view of it.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from asyncwasm.core.types import IndexType, Limits, MemoryType
from asyncwasm.errors import MemoryAccessError, ResourceLimitError

from .mapping import reserve

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .handles import Wait
    from .store import Store

# What is reserved for a memory that declares no smaller maximum.  It costs address space only:
# pages take up memory when they are first touched.  Windows commits all of a mapping at once.
RESERVATION: Final = 256 << 20 if sys.platform == "win32" else 4 << 30
MAX_BYTES: Final = (1 << 64) - 1


def check_type(ty: MemoryType) -> None:
    """Raise `ValueError` for a memory type that validation would refuse in a module."""
    limits = ty.limits
    if limits.maximum is not None and limits.maximum < limits.minimum:
        raise ValueError("maximum page size cannot be smaller than the minimum page size")
    if ty.page_size not in (1, 65536):
        raise ValueError(
            f"page size must be 2**16 or 2**0, but was given {ty.page_size}; "
            "other sizes are not allowed by the custom page sizes proposal"
        )
    if ty.shared and limits.maximum is None:
        raise ValueError("shared memories must have a maximum size")
    most = ((1 << (64 if ty.index_type is IndexType.I64 else 32)) - 1) // ty.page_size + 1
    if limits.minimum < 0:
        raise ValueError("minimum size must not be negative")
    if limits.minimum * ty.page_size > MAX_BYTES:
        raise ValueError("memory's minimum byte size must fit in a u64")
    if limits.minimum > most:
        raise ValueError("minimum size is too large for this memory type's index type")
    if limits.maximum is not None and limits.maximum > most:
        raise ValueError("maximum size is too large for this memory type's index type")


def maximum_bytes(ty: MemoryType) -> int | None:
    """The declared maximum, or the index type's; None if it does not fit 64 bits."""
    if ty.limits.maximum is not None:
        size = ty.limits.maximum * ty.page_size
    else:
        size = 1 << (64 if ty.index_type is IndexType.I64 else 32)
    return size if size <= MAX_BYTES else None


def admit(store: Store[Any], ty: MemoryType, wait: Wait) -> None:
    """Ask the store's limiter whether a memory of type `ty` may be made.

    Raises `ResourceLimitError` if not, and what the limiter raises.
    """
    minimum = ty.limits.minimum * ty.page_size
    possible = minimum <= MAX_BYTES
    asked = minimum if possible else (1 << 64) - ty.page_size
    granted = store.limits.memory_growing(0, asked, maximum_bytes(ty), wait)
    if not (granted and possible):
        raise ResourceLimitError(
            f"memory minimum size of {ty.limits.minimum} pages exceeds memory limits"
        )


class LinearMemory:
    """What `Memory` and `SharedMemory` have in common.

    `type` is the type the memory was made with and `page_size` its unit of growth in bytes.
    The rest is for engines: `size_bytes`, `view` (exactly the bytes in use), and after `widen`
    `u16`, `u32`, `u64` and `f64`, the same bytes as wider elements (the last, incomplete one left
    out).  Growing replaces all of these.
    """

    __slots__ = (
        "__weakref__",
        "_cell",
        "_mapping",
        "_reserved",
        "_whole",
        "_wide",
        "f64",
        "page_size",
        "size_bytes",
        "type",
        "u16",
        "u32",
        "u64",
        "view",
    )

    is_shared: ClassVar[bool]
    type: MemoryType
    page_size: int
    size_bytes: int
    view: memoryview
    u16: memoryview
    u32: memoryview
    u64: memoryview
    f64: memoryview[float]

    def _setup(self, ty: MemoryType) -> None:
        minimum = ty.limits.minimum * ty.page_size
        maximum = maximum_bytes(ty)
        wanted = RESERVATION if maximum is None else min(maximum, RESERVATION)
        mapping = reserve(minimum, max(minimum, wanted))
        self._reserved = mapping.size
        self._mapping = mapping
        self._whole = mapping.lend(self)
        # For native code: the base address and the size in bytes.
        self._cell = array("Q", [mapping.address, 0])
        self._wide = False
        self.type = ty
        self.page_size = ty.page_size
        self._resize(minimum)

    def _resize(self, size: int) -> None:
        self._mapping.use(max(size, self._mapping.used))
        view = self._whole[:size]
        wide = self._cast(size) if self._wide else None
        # From here nothing is called, so no signal handler comes in between: all or nothing.
        if wide is not None:
            self.u16, self.u32, self.u64, self.f64 = wide
        self.view = view
        self._cell[1] = size
        # Last: another thread that has seen the new size can use the new views.
        self.size_bytes = size

    def widen(self) -> None:
        """Make the views of wider elements, which are kept up to date from now on."""
        if not self._wide:
            self.u16, self.u32, self.u64, self.f64 = self._cast(self.size_bytes)
            self._wide = True

    def _cast(
        self, size: int
    ) -> tuple[memoryview[int], memoryview[int], memoryview[int], memoryview[float]]:
        whole = self._whole
        wide = whole[: size & ~7]
        return (
            whole[: size & ~1].cast("H"),
            whole[: size & ~3].cast("I"),
            wide.cast("Q"),
            wide.cast("d"),
        )

    def cell_address(self) -> int:
        """Where the base address and the size in bytes are, as two words, for native code.

        The words live as long as the memory.
        """
        return self._cell.buffer_info()[0]

    @property
    def page_size_log2(self) -> int:
        """The binary logarithm of `page_size`: 16 or 0."""
        return self.page_size.bit_length() - 1

    def live_type(self) -> MemoryType:
        """The type with the current size as its minimum, as imports are matched."""
        pages = self.size_bytes // self.page_size
        return replace(self.type, limits=Limits(pages, self.type.limits.maximum))

    def _plan(self, delta: int) -> tuple[int, bool]:
        """The size in bytes after growing, and whether it is one that may be asked for."""
        wanted = min(self.size_bytes + delta * self.page_size, (1 << 64) - self.page_size)
        # Such a memory's size in pages could not be told from the -1 of a failure.
        ok = self.page_size > 1 or self.type.index_type is IndexType.I64 or wanted < 0xFFFF_FFFF
        return wanted, ok

    def _fault(self, wanted: int) -> Exception | None:
        """Why the memory cannot have `wanted` bytes, or None."""
        maximum = maximum_bytes(self.type)
        if maximum is not None and wanted > maximum:
            return ResourceLimitError("Memory maximum size exceeded")
        if wanted > self._reserved:
            return ResourceLimitError(
                f"memory cannot grow to {wanted} bytes: {self._reserved} bytes are reserved for it"
            )
        return None

    def _read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise MemoryAccessError
        return bytes(self.view[offset : offset + size])

    def _write(self, offset: int, buffer: Buffer) -> None:
        source = memoryview(buffer)
        size = source.nbytes
        if offset < 0 or offset + size > self.size_bytes:
            raise MemoryAccessError
        self.view[offset : offset + size] = (
            source.cast("B") if source.c_contiguous else source.tobytes()
        )

    def __buffer__(self, flags: int) -> memoryview:
        """The bytes in use, writable, as `data`.  Python looks for this from 3.12 on."""
        return self.view[:]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.live_type()}>"
