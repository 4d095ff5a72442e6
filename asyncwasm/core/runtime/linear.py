"""Linear memory, shared or not: the mapping, its views, and what limits its size.

A memory is one anonymous mapping reserved when it is made, of which a growing part is in use.
Its base never moves, so a `memoryview` taken earlier stays valid when the memory grows, and a
mapping lives as long as anybody holds a view of it.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from array import array
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from asyncwasm.core.types import IndexType, Limits, MemoryType
from asyncwasm.errors import MemoryAccessError, ResourceLimitError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .handles import Wait
    from .store import Store

# What is reserved for a memory that declares no smaller maximum.  It costs address space only:
# pages take up memory when they are first touched.  Windows commits all of a mapping at once.
RESERVATION: Final = 256 << 20 if sys.platform == "win32" else 4 << 30
# A memory smaller than this must not be given huge pages: touching a byte would cost 2 MiB.
_HUGE_PAGE: Final = 2 << 20
MAX_BYTES: Final = (1 << 64) - 1


def _flags() -> dict[str, int]:
    if sys.platform == "win32":
        return {}
    # The `mmap` module names the flag from Python 3.13 on.
    no_reserve = {"linux": 0x4000, "darwin": 0x40}.get(sys.platform, 0)
    no_reserve = getattr(mmap, "MAP_NORESERVE", no_reserve)
    return {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve}


_FLAGS: Final = _flags()


def reserve(minimum: int, wanted: int) -> tuple[mmap.mmap, int]:
    """A zeroed mapping of `wanted` bytes, or of less but at least `minimum`, and its size.

    Raises `ResourceLimitError` if not even that can be had.
    """
    mapping = _try_to_map(wanted)
    if mapping is None:
        # Dropped memories may be waiting, in cycles, to give their space back.
        gc.collect()
        mapping = _try_to_map(wanted)
    size = wanted
    while mapping is None and size > minimum:
        size = max(minimum, size // 2)
        mapping = _try_to_map(size)
    if minimum < size < wanted:
        # Space is scarce, and this is about all of it: leave most to whoever comes next.
        mapping = None
        size = max(minimum, size // 8)
        mapping = _try_to_map(size)
    if mapping is None:
        raise ResourceLimitError(f"failed to allocate a memory of {minimum} bytes")
    if minimum < _HUGE_PAGE and hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages
            mapping.madvise(mmap.MADV_NOHUGEPAGE)
    return mapping, size


def _try_to_map(size: int) -> mmap.mmap | None:
    try:
        # An empty mapping does not exist.
        return mmap.mmap(-1, size or 1, **_FLAGS)
    except (OSError, OverflowError, ValueError):
        return None


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
    The rest is for engines: `size_bytes`, `view` (exactly the bytes in use), and `u16`, `u32`,
    `u64` and `f64`, the same bytes as wider elements (the last, incomplete one left out).
    Growing replaces all of these.
    """

    __slots__ = (
        "__weakref__",
        "_cell",
        "_reserved",
        "_whole",
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
        # The mapping is never closed: it goes when the last view of it does.
        mapping, self._reserved = reserve(minimum, max(minimum, wanted))
        self._whole = memoryview(mapping)
        # For native code: the base address and the size in bytes.
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._whole))
        self._cell = array("Q", [base, 0])
        self.type = ty
        self.page_size = ty.page_size
        self._resize(minimum)

    def _resize(self, size: int) -> None:
        whole = self._whole
        u16 = whole[: size & ~1].cast("H")
        u32 = whole[: size & ~3].cast("I")
        wide = whole[: size & ~7]
        u64, f64 = wide.cast("Q"), wide.cast("d")
        # All or nothing, should a signal handler raise in here.
        self.view, self.u16, self.u32, self.u64, self.f64 = whole[:size], u16, u32, u64, f64
        self._cell[1] = size
        # Last: another thread that has seen the new size can use the new views.
        self.size_bytes = size

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
