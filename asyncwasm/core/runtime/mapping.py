"""Address space for memories: mappings, and their use by one memory after the other.

Mapping memory anew and touching its first page costs several times what using it again does, so
some mappings of dropped memories are kept, emptied.  A mapping is used again only when nobody has
a view of it, which its references tell: every view holds one.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
import weakref
from contextlib import suppress
from typing import Any, Final

from asyncwasm.errors import ResourceLimitError

# How many mappings are kept for others, at most.  Elsewhere the system does not zero pages that are
# given back.
MAX_KEPT: Final = 64 if sys.platform == "linux" else 0
# What is kept is emptied when the next memory is made, so a memory that uses more is not kept.
MAX_USED: Final = 1 << 20
# A memory smaller than this must not be given huge pages: touching a byte would cost 2 MiB.
_HUGE_PAGE: Final = 2 << 20


def _flags() -> dict[str, int]:
    if sys.platform == "win32":
        return {}
    # The `mmap` module names the flag from Python 3.13 on.
    no_reserve = {"linux": 0x4000, "darwin": 0x40}.get(sys.platform, 0)
    no_reserve = getattr(mmap, "MAP_NORESERVE", no_reserve)
    return {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve}


_FLAGS: Final = _flags()


class Mapping:
    """Zeroed memory of `size` bytes, which `mmap` exports; at `address`, once it was lent."""

    __slots__ = ("_owner", "address", "mmap", "size", "small", "used")

    def __init__(self, mapping: mmap.mmap, size: int, *, small: bool) -> None:
        self.mmap = mapping
        self.size = size
        self.small = small
        # How many bytes may be other than zero.
        self.used = 0
        self.address = 0
        self._owner: _Owner | None = None

    def lend(self, owner: Any) -> memoryview:
        """The memory, for `owner` to use as long as it lives, and whoever has views of it then."""
        if len(_kept) + len(_idle) < MAX_KEPT:
            # The callback is not Python code, in which a signal handler could raise.
            self._owner = _Owner(owner, _dropped.append)
            self._owner.mapping = self
            _kept.add(self._owner)
        view = memoryview(self.mmap)
        if not self.address:
            self.address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        return view

    def use(self, size: int) -> None:
        """Up to `size` bytes are used now."""
        self.used = size
        if size > MAX_USED and self._owner is not None:
            _kept.discard(self._owner)
            self._owner = None


class _Owner(weakref.ref[Any]):
    """Tells when the owner of a mapping is gone, or about to."""

    __slots__ = ("mapping",)

    mapping: Mapping


_kept: Final[set[_Owner]] = set()
_dropped: Final[list[_Owner]] = []
_idle: Final[list[Mapping]] = []


def _references(mapping: Mapping) -> int:
    return sys.getrefcount(mapping.mmap)


_UNVIEWED: Final = _references(Mapping(mmap.mmap(-1, 1), 1, small=True))


def _sweep() -> None:
    """Empty the mappings of dropped memories, or let go of them."""
    while _dropped:
        try:
            owner = _dropped.pop()
        except IndexError:
            return  # another thread was here
        mapping = owner.mapping
        _kept.discard(owner)
        mapping._owner = None
        if _references(mapping) == _UNVIEWED:
            try:
                if mapping.used:
                    mapping.mmap.madvise(mmap.MADV_DONTNEED, 0, mapping.used)
            except (OSError, ValueError):
                continue
            mapping.used = 0
            _idle.append(mapping)


def reserve(minimum: int, wanted: int) -> Mapping:
    """A mapping of `wanted` bytes, or of less but at least `minimum`.

    Raises `ResourceLimitError` if not even that can be had.
    """
    small = minimum < _HUGE_PAGE
    if _dropped:
        _sweep()
    if _idle:
        with suppress(IndexError):  # another thread took it
            found = _idle.pop()
            if found.size == wanted and found.small is small:
                return found
            _idle.insert(0, found)
    mapping = _try_to_map(wanted)
    if mapping is None:
        # Dropped memories may be waiting, in cycles, to give their space back.
        gc.collect()
        _sweep()
        _idle.clear()
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
    if small and hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages
            mapping.madvise(mmap.MADV_NOHUGEPAGE)
    return Mapping(mapping, size, small=small)


def _try_to_map(size: int) -> mmap.mmap | None:
    try:
        # An empty mapping does not exist.
        return mmap.mmap(-1, size or 1, **_FLAGS)
    except (OSError, OverflowError, ValueError):
        return None
