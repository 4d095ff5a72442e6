"""Handle tables ("Table State" and "Resource State" of the Canonical ABI)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.errors import CanonicalAbiError

if TYPE_CHECKING:
    from .resources import ResourceType
    from .task import CallContext

MAX_HANDLES: Final = (1 << 28) - 1


@final
class HandleTable:
    """Objects by index, for a guest: 0 is never one, and the last that was freed comes first."""

    __slots__ = ("_entries", "_free")

    def __init__(self) -> None:
        self._entries: list[Any] = [None]
        self._free: list[int] = []

    def add(self, entry: Any) -> int:
        """Insert an object and return its index."""
        if self._free:
            index = self._free.pop()
            self._entries[index] = entry
            return index
        entries = self._entries
        index = len(entries)
        if index > MAX_HANDLES:
            raise CanonicalAbiError("cannot allocate another handle: index overflow")
        entries.append(entry)
        return index

    def get(self, index: int) -> Any:
        """The object at `index`.  Raises `CanonicalAbiError` if there is none."""
        entry = self._entries[index] if index < len(self._entries) else None
        if entry is None:
            raise CanonicalAbiError(f"unknown handle index {index}")
        return entry

    def remove(self, index: int) -> Any:
        """Take the object at `index` out.  Raises `CanonicalAbiError` if there is none."""
        entry = self.get(index)
        self._entries[index] = None
        self._free.append(index)
        return entry

    def __len__(self) -> int:
        return len(self._entries) - 1 - len(self._free)

    def __iter__(self) -> Any:
        return (entry for entry in self._entries if entry is not None)


@final
class ResourceHandle:
    """A handle to a resource: owned, or a borrow that belongs to a call.

    `lends` counts the calls that an owned one is lent to; `scope` is the call of a borrow.
    """

    __slots__ = ("lends", "rep", "scope", "type")

    def __init__(self, type: ResourceType, rep: int, scope: CallContext | None = None) -> None:
        self.type = type
        self.rep = rep
        self.scope = scope
        self.lends = 0


def get_resource(table: HandleTable, index: int, type: ResourceType) -> ResourceHandle:
    """The handle at `index`, which is to be one of that type."""
    handle = table.get(index)
    if not isinstance(handle, ResourceHandle):
        raise CanonicalAbiError(f"index {index} is not a resource")
    if handle.type is not type and handle.type != type:
        raise mismatch(index, type, handle.type)
    return handle


def remove_resource(table: HandleTable, index: int, type: ResourceType) -> ResourceHandle:
    """Take the handle at `index` out; it is to be one of that type that is not lent."""
    handle = get_resource(table, index, type)
    if handle.lends:
        raise CanonicalAbiError("cannot remove owned resource while borrowed")
    table.remove(index)
    return handle


def take_own(table: HandleTable, index: int, type: ResourceType) -> int:
    """Take an owned handle out and return its representation."""
    handle = remove_resource(table, index, type)
    if handle.scope is not None:
        raise CanonicalAbiError("cannot lift own resource from a borrow")
    return handle.rep


def mismatch(index: int, expected: ResourceType, found: ResourceType) -> CanonicalAbiError:
    """The error for a handle of another type than expected."""
    if found.is_host:
        what = "host resource"
    elif expected.is_host:
        what = "guest-defined resource"
    else:
        what = "a different guest-defined resource"
    wanted = "host resource" if expected.is_host else "guest-defined resource"
    return CanonicalAbiError(
        f"handle index {index} used with the wrong type, expected {wanted} but found {what}"
    )
