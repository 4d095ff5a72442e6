"""`ResourceTable`: the host's objects behind the numbers that guests hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar, final

from .resource import Resource

T = TypeVar("T")

MAX_CAPACITY: Final = 1_000_000


class ResourceTableError(LookupError):
    """A table of resources does not have what it was asked for, or has no room."""


@final
class _Entry:
    __slots__ = ("children", "parent", "value")

    def __init__(self, value: Any, parent: int | None) -> None:
        self.value = value
        self.parent = parent
        self.children: set[int] = set()


@final
class ResourceTable:
    """Objects by 32-bit numbers, from 0 on; freed numbers are used again.

    An entry may be the child of another, which cannot be deleted as long as it has any.  Follows
    Wasmtime's `ResourceTable`.  Every method raises `ResourceTableError` with `resource not
    present` for a number that is not in use.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._free: list[int] = []
        self._next = 0
        self._capacity = MAX_CAPACITY

    def set_max_capacity(self, capacity: int) -> None:
        """The most entries that there may be at a time; a million at first."""
        self._capacity = capacity

    def push(self, value: T) -> Resource[T]:
        """Add an object.  Raises `ResourceTableError` at capacity."""
        return self._push(value, None)

    def push_child(self, value: T, parent: Resource[Any]) -> Resource[T]:
        """Add an object as the child of another entry."""
        self._entry(parent)
        resource = self._push(value, parent.rep)
        self._entries[parent.rep].children.add(resource.rep)
        return resource

    def _push(self, value: T, parent: int | None) -> Resource[T]:
        if len(self._entries) >= self._capacity:
            raise ResourceTableError("resource table has no free keys")
        if self._free:
            key = self._free.pop()
        else:
            key = self._next
            self._next += 1
        self._entries[key] = _Entry(value, parent)
        return Resource.new_own(key, type(value))

    def get(self, resource: Resource[T], type: type[T] | None = None) -> T:
        """The object of an entry.

        With a `type`, raises `ResourceTableError` unless the object is one.
        """
        value: T = self._entry(resource).value
        if type is not None and not isinstance(value, type):
            raise ResourceTableError("resource is of another type")
        return value

    def get_any(self, rep: int) -> Any:
        """The object of the entry with that number."""
        found = self._entries.get(rep)
        if found is None:
            raise ResourceTableError("resource not present")
        return found.value

    def delete(self, resource: Resource[T], type: type[T] | None = None) -> T:
        """Remove an entry and return its object.

        Raises `ResourceTableError` if it has children, or, after having removed it, if the object
        is not of the `type` given.
        """
        entry = self._entry(resource)
        if entry.children:
            raise ResourceTableError("resource has children")
        key = resource.rep
        del self._entries[key]
        self._free.append(key)
        if entry.parent is not None:
            self._entries[entry.parent].children.discard(key)
        if type is not None and not isinstance(entry.value, type):
            raise ResourceTableError("resource is of another type")
        value: T = entry.value
        return value

    def add_child(self, child: Resource[Any], parent: Resource[Any]) -> None:
        """Make an entry the child of another.  Raises if it already is one's."""
        entry = self._entry(child)
        self._entry(parent)
        if entry.parent is not None:
            raise ResourceTableError("resource already has a parent")
        entry.parent = parent.rep
        self._entries[parent.rep].children.add(child.rep)

    def remove_child(self, child: Resource[Any], parent: Resource[Any]) -> None:
        """Undo `add_child`.  Raises if it is not the child of that parent."""
        entry = self._entry(child)
        self._entry(parent)
        if entry.parent != parent.rep:
            raise ResourceTableError("resource is not a child of that parent")
        entry.parent = None
        self._entries[parent.rep].children.discard(child.rep)

    def iter_children(self, parent: Resource[Any]) -> Iterator[Any]:
        """The objects of an entry's children."""
        for key in sorted(self._entry(parent).children):
            yield self._entries[key].value

    def iter_entries(self) -> Iterator[Any]:
        """All objects."""
        return (entry.value for entry in list(self._entries.values()))

    def is_empty(self) -> bool:
        """Whether there are no entries."""
        return not self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, resource: Resource[Any]) -> bool:
        return resource.rep in self._entries

    def _entry(self, resource: Resource[Any]) -> _Entry:
        found = self._entries.get(resource.rep)
        if found is None:
            raise ResourceTableError("resource not present")
        return found
