"""Steps in a directory in memory."""

from __future__ import annotations

from typing import Final, final

from .._errors import ErrorCode, FilesystemError
from .._paths import HERE
from .._place import Changed, Place
from .._types import Access, FileFlags, FileType, Metadata, NewTime, Permission
from ._file import MemoryFile
from ._nodes import DirectoryNode, FileNode, LinkNode, Node


@final
class MemoryPlace(Place):
    """An open directory in memory."""

    __slots__ = ("_closed", "_node")

    def __init__(self, node: DirectoryNode) -> None:
        """Call with the volume's lock held, or before anybody else knows the node."""
        node.open(1)
        self._node: Final = node
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._node.volume.lock:
            if not self._closed:
                self._closed = True
                self._node.open(-1)

    def enter(self, name: bytes) -> Place:
        with self._node.volume.lock:
            node = self._get(name)
            if not isinstance(node, DirectoryNode):
                raise FilesystemError(ErrorCode.NOTDIR)
            return MemoryPlace(node)

    def stat(self, name: bytes) -> Metadata:
        with self._node.volume.lock:
            return self._get(name).metadata()

    def read_link(self, name: bytes) -> bytes:
        with self._node.volume.lock:
            node = self._get(name)
            if not isinstance(node, LinkNode):
                raise FilesystemError(ErrorCode.INVAL)
            return node.target

    def open_file(
        self,
        name: bytes,
        *,
        access: Access,
        flags: FileFlags,
        create: bool,
        exclusive: bool,
        truncate: bool,
        permissions: Permission,
    ) -> MemoryFile:
        with self._node.volume.lock:
            here = self._open_node()
            if create and name not in here.entries:
                here.check_new(name)
                here.add(name, FileNode(here.volume))
            elif exclusive:
                raise FilesystemError(ErrorCode.EXIST)
            node = here.get(name)
            if not isinstance(node, FileNode):
                raise Changed
            if truncate:
                node.resize(0)
            return MemoryFile(node, access, flags, permissions)

    def list(self) -> list[tuple[str, int, FileType]]:
        with self._node.volume.lock:
            here = self._open_node()
            return [(name.decode(), node.inode, node.type) for name, node in here.entries.items()]

    def set_times(self, name: bytes, accessed: NewTime, modified: NewTime) -> None:
        with self._node.volume.lock:
            self._get(name).set_times(accessed, modified)

    def make_directory(self, name: bytes) -> None:
        with self._node.volume.lock:
            here = self._open_node()
            here.check_new(name)
            here.add(name, DirectoryNode(here.volume))

    def remove_directory(self, name: bytes) -> None:
        with self._node.volume.lock:
            here = self._open_node()
            node = here.get(name)
            if not isinstance(node, DirectoryNode):
                raise FilesystemError(ErrorCode.NOTDIR)
            if node.entries:
                raise FilesystemError(ErrorCode.NOTEMPTY)
            here.remove(name)

    def unlink(self, name: bytes) -> None:
        with self._node.volume.lock:
            here = self._open_node()
            if isinstance(here.get(name), DirectoryNode):
                raise FilesystemError(ErrorCode.ISDIR)
            here.remove(name)

    def make_symlink(self, target: bytes, name: bytes) -> None:
        with self._node.volume.lock:
            here = self._open_node()
            here.check_new(name)
            here.add(name, LinkNode(here.volume, target))

    def make_link(self, name: bytes, other: Place, new_name: bytes) -> None:
        with self._node.volume.lock:
            node = self._get(name)
            there = self._same_volume(other)
            if isinstance(node, DirectoryNode):
                raise FilesystemError(ErrorCode.PERM)
            there.add(new_name, node)

    def rename(self, name: bytes, other: Place, new_name: bytes) -> None:
        with self._node.volume.lock:
            here, there = self._open_node(), self._same_volume(other)
            node, old = here.get(name), there.entries.get(new_name)
            if old is node:
                return
            if isinstance(node, DirectoryNode):
                if there.is_beneath(node):
                    raise FilesystemError(ErrorCode.INVAL, "a directory into itself")
                if old is not None and not isinstance(old, DirectoryNode):
                    raise FilesystemError(ErrorCode.NOTDIR)
            elif isinstance(old, DirectoryNode):
                raise FilesystemError(ErrorCode.ISDIR)
            if isinstance(old, DirectoryNode) and old.entries:
                raise FilesystemError(ErrorCode.NOTEMPTY)
            if old is None:
                there.check_new(new_name)
            else:
                there.remove(new_name)
            # Held, so that it is not taken for gone while it has no name.
            node.open(1)
            here.remove(name)
            there.add(new_name, node)
            node.open(-1)

    def sync(self, *, data_only: bool) -> None:
        with self._node.volume.lock:
            self._open_node()

    def _open_node(self) -> DirectoryNode:
        if self._closed:
            raise FilesystemError(ErrorCode.BADF, "closed")
        return self._node

    def _get(self, name: bytes) -> Node:
        here = self._open_node()
        return here if name == HERE else here.get(name)

    def _same_volume(self, other: Place) -> DirectoryNode:
        if not isinstance(other, MemoryPlace) or other._node.volume is not self._node.volume:
            raise FilesystemError(ErrorCode.XDEV)
        return other._open_node()
