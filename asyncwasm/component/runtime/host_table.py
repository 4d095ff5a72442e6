"""ResourceImpl that the host holds: the table behind `ResourceAny`."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from asyncwasm.errors import CanonicalAbiError

if TYPE_CHECKING:
    from .resources import ResourceImpl
    from .task import CallContext


@final
class HostEntry:
    """A resource in the host's hands: owned, or a borrow that belongs to a host function's call."""

    __slots__ = ("impl", "lends", "rep", "scope")

    def __init__(self, impl: ResourceImpl, rep: int, scope: CallContext | None) -> None:
        self.impl = impl
        self.rep = rep
        self.scope = scope
        self.lends = 0


@final
class HostTable:
    """Entries by index and generation: a copy of an index that was given away finds nothing."""

    __slots__ = ("_entries", "_free", "_generations")

    def __init__(self) -> None:
        self._entries: list[HostEntry | None] = []
        self._generations: list[int] = []
        self._free: list[int] = []

    def add(self, entry: HostEntry) -> tuple[int, int]:
        """Insert an entry; returns its index and generation."""
        if self._free:
            index = self._free.pop()
            self._entries[index] = entry
        else:
            index = len(self._entries)
            self._entries.append(entry)
            self._generations.append(0)
        return index, self._generations[index]

    def get(self, index: int, generation: int) -> HostEntry:
        """The entry.  Raises `CanonicalAbiError` if it is gone."""
        entry = self._entries[index]
        if entry is None or self._generations[index] != generation:
            raise CanonicalAbiError("host-owned resource was already de-allocated")
        return entry

    def remove(self, index: int, generation: int) -> HostEntry:
        """Take the entry out.  Raises `CanonicalAbiError` if it is gone, or lent."""
        entry = self.get(index, generation)
        if entry.lends:
            raise CanonicalAbiError("cannot remove owned resource while borrowed")
        self._entries[index] = None
        self._generations[index] += 1
        self._free.append(index)
        return entry

    def __len__(self) -> int:
        return len(self._entries) - len(self._free)
