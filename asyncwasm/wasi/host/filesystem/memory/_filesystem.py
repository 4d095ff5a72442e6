"""`MemoryFilesystem`: files that are nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from .._directory import Directory
from .._file import File
from .._types import Access, OpenFlags, Permission
from ._nodes import DirectoryNode, FileNode, LinkNode, Volume
from ._place import MemoryPlace


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link in a `Tree`."""

    target: str


Tree: TypeAlias = Mapping[str, "bytes | str | Symlink | Tree"]
"""Names and what they are: a file's bytes, or text in UTF-8; a link; a directory."""

DEFAULT_MAX_BYTES: Final = 64 << 20


@final
class MemoryFilesystem:
    """Files in memory: for a guest that needs some but none of the host's, and for tests.

    Starts with `tree`.  All content together takes at most `max_bytes`, with 512 bytes added for
    each file, directory and link, and as many for each name; past that, writing fails with
    `NOSPC`.  `clock` gives the
    nanoseconds since 1970 that become timestamps.  Threads may share it.
    """

    def __init__(
        self,
        tree: Tree | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Raises `FilesystemError` for a tree that does not fit, or with impossible names."""
        self._volume: Final = Volume(max_bytes, clock)
        self._root: Final = DirectoryNode(self._volume)
        self._root.link(1)
        with self.root() as root:
            _fill(root, tree or {})

    def root(self, permissions: Permission = Permission.READ_WRITE) -> Directory:
        """The top directory, opened once more; the caller closes it."""
        with self._volume.lock:
            return Directory(MemoryPlace(self._root), permissions)

    def tree(self) -> dict[str, bytes | str | Symlink | Tree]:
        """What there is now, in the form it can be made from; files as bytes."""
        with self._volume.lock:
            return _tree(self._root)

    @property
    def used_bytes(self) -> int:
        """What counts towards `max_bytes`; files removed but still open do."""
        return self._volume.used_bytes

    @property
    def open_count(self) -> int:
        """How many of its files and directories are open."""
        return self._volume.opens


def _fill(directory: Directory, tree: Tree) -> None:
    for name, content in tree.items():
        if isinstance(content, Symlink):
            directory.symlink_at(content.target, name)
        elif isinstance(content, Mapping):
            directory.create_directory_at(name)
            with directory.open_at(name) as inner:
                assert isinstance(inner, Directory)
                _fill(inner, content)
        else:
            data = content.encode() if isinstance(content, str) else content
            flags = OpenFlags.CREATE | OpenFlags.EXCLUSIVE
            with directory.open_at(name, open_flags=flags, access=Access.WRITE) as file:
                assert isinstance(file, File)
                file.write(data)


def _tree(top: DirectoryNode) -> dict[str, bytes | str | Symlink | Tree]:
    found: dict[str, bytes | str | Symlink | Tree] = {}
    # A guest decides how deep it is.
    pending = [(top, found)]
    while pending:
        directory, content = pending.pop()
        for name, node in directory.entries.items():
            if isinstance(node, DirectoryNode):
                inner: dict[str, bytes | str | Symlink | Tree] = {}
                content[name.decode()] = inner
                pending.append((node, inner))
            elif isinstance(node, LinkNode):
                content[name.decode()] = Symlink(node.target.decode())
            elif isinstance(node, FileNode):
                content[name.decode()] = bytes(node.data)
    return found
