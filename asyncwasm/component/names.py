"""Names with versions: a name of one version stands for compatible others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_VERSION: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)

Version = tuple[int, int, int]


def alternate(name: str) -> tuple[str, Version] | None:
    """What `name` is compatible with, as a key, and its version.

    None for a name without version, and for versions that are only compatible with themselves.
    """
    base, at, version = name.partition("@")
    match = _VERSION.fullmatch(version) if at else None
    if match is None:
        return None
    major, minor, patch = (int(part) for part in match.groups())
    if major:
        return f"{base}@{major}", (major, minor, patch)
    if minor:
        return f"{base}@0.{minor}", (major, minor, patch)
    return None


class NameMap(Generic[T]):
    """A mapping that finds a compatible version where the exact name is missing.

    Of several compatible ones that is the highest.
    """

    def __init__(self) -> None:
        self._items: dict[str, T] = {}
        self._alternates: dict[str, tuple[Version, str]] = {}

    def set(self, name: str, item: T) -> None:
        """Add an item, or replace the one of exactly that name."""
        self._items[name] = item
        found = alternate(name)
        if found is not None:
            key, version = found
            known = self._alternates.get(key)
            if known is None or known[0] <= version:
                self._alternates[key] = (version, name)

    def exact(self, name: str) -> T | None:
        """The item of exactly that name, or None."""
        return self._items.get(name)

    def find(self, name: str) -> T | None:
        """The item of that name or of a compatible version, or None."""
        item = self._items.get(name)
        if item is not None:
            return item
        found = alternate(name)
        known = None if found is None else self._alternates.get(found[0])
        return None if known is None else self._items[known[1]]

    def items(self) -> Iterable[tuple[str, T]]:
        """All names with their items, in the order in which they were added."""
        return self._items.items()

    def __contains__(self, name: str) -> bool:
        return name in self._items


def find_name(items: Mapping[str, T], name: str) -> T | None:
    """`NameMap.find` in a plain mapping."""
    item = items.get(name)
    if item is not None:
        return item
    wanted = alternate(name)
    if wanted is None:
        return None
    best: tuple[Version, T] | None = None
    for other, candidate in items.items():
        found = alternate(other)
        if found is not None and found[0] == wanted[0] and (best is None or best[0] <= found[1]):
            best = (found[1], candidate)
    return None if best is None else best[1]
