"""What files in memory are made of, and what they may take."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Final, final

from .._errors import ErrorCode, FilesystemError
from .._types import FileType, Metadata, NewTime, SetTime

NODE_BYTES: Final = 512
"""What a file, directory or link takes of the space besides its content, about as in Python."""

NAME_BYTES: Final = 512
"""What a name takes, the same for all, so that a rename always finds space."""

_devices: Final = itertools.count(1)


@final
class Volume:
    """The space that the nodes of one file system share, its clock and its lock.

    All that nodes do happens under the lock, which is held for no longer than a copy takes.
    """

    __slots__ = ("_inodes", "clock", "device", "lock", "max_bytes", "opens", "used_bytes")

    def __init__(self, max_bytes: int, clock: Callable[[], int]) -> None:
        self.max_bytes: Final = max_bytes
        self.clock: Final = clock
        self.lock: Final = threading.RLock()
        self.device: Final = next(_devices)
        self.used_bytes = 0
        # Files and directories that are open.
        self.opens = 0
        self._inodes: Final = itertools.count(1)

    def take(self, size: int) -> None:
        """Use `size` bytes more, or less if it is negative."""
        if size > 0 and self.used_bytes + size > self.max_bytes:
            raise FilesystemError(ErrorCode.NOSPC)
        self.used_bytes += size

    def next_inode(self) -> int:
        return next(self._inodes)


class Node:
    """A file, directory or link, under however many names."""

    __slots__ = ("accessed_ns", "changed_ns", "inode", "links", "modified_ns", "opens", "volume")

    type: FileType

    def __init__(self, volume: Volume) -> None:
        volume.take(NODE_BYTES)
        self.volume: Final = volume
        self.inode: Final = volume.next_inode()
        # Names, and what has it open.
        self.links = 0
        self.opens = 0
        self.accessed_ns = self.modified_ns = self.changed_ns = volume.clock()

    @property
    def size(self) -> int:
        """What its content takes."""
        return 0

    @property
    def link_count(self) -> int:
        return self.links

    def metadata(self) -> Metadata:
        return Metadata(
            device=self.volume.device,
            inode=self.inode,
            type=self.type,
            links=self.link_count,
            size=self.size,
            accessed_ns=self.accessed_ns,
            modified_ns=self.modified_ns,
            changed_ns=self.changed_ns,
        )

    def modified(self) -> None:
        self.modified_ns = self.changed_ns = self.volume.clock()

    def set_times(self, accessed: NewTime, modified: NewTime) -> None:
        now = self.volume.clock()
        self.accessed_ns = _time(accessed, self.accessed_ns, now)
        self.modified_ns = _time(modified, self.modified_ns, now)
        self.changed_ns = now

    def link(self, count: int) -> None:
        """Have so many names more, or fewer."""
        self.links += count
        self.changed_ns = self.volume.clock()
        self.settle()

    def open(self, count: int) -> None:
        """Be open so many times more, or fewer."""
        self.opens += count
        self.volume.opens += count
        self.settle()

    def settle(self) -> None:
        """Give the space back once nobody can get here any more."""
        if not (self.links or self.opens):
            self.volume.take(-NODE_BYTES - self.size)


@final
class FileNode(Node):
    __slots__ = ("data",)

    type = FileType.REGULAR_FILE

    def __init__(self, volume: Volume) -> None:
        super().__init__(volume)
        self.data: Final = bytearray()

    @property
    def size(self) -> int:
        return len(self.data)

    def resize(self, size: int) -> None:
        growth = size - len(self.data)
        self.volume.take(growth)
        if growth > 0:
            self.data.extend(bytes(growth))
        else:
            del self.data[size:]
        self.modified()

    def write(self, data: memoryview, offset: int) -> None:
        if not data:
            return
        end = offset + len(data)
        if end > len(self.data):
            self.resize(end)
        self.data[offset:end] = data
        self.modified()

    def read(self, size: int, offset: int) -> bytes:
        self.accessed_ns = self.volume.clock()
        return bytes(memoryview(self.data)[offset : offset + size])


@final
class LinkNode(Node):
    __slots__ = ("target",)

    type = FileType.SYMBOLIC_LINK

    def __init__(self, volume: Volume, target: bytes) -> None:
        volume.take(len(target))
        try:
            super().__init__(volume)
        except FilesystemError:
            volume.take(-len(target))
            raise
        self.target: Final = target

    @property
    def size(self) -> int:
        return len(self.target)


@final
class DirectoryNode(Node):
    __slots__ = ("entries", "parent", "subdirectories")

    type = FileType.DIRECTORY

    def __init__(self, volume: Volume) -> None:
        super().__init__(volume)
        self.entries: Final[dict[bytes, Node]] = {}
        # None for the root, and once it has been removed.
        self.parent: DirectoryNode | None = None
        self.subdirectories = 0

    @property
    def link_count(self) -> int:
        # Its name, its `.`, and a `..` for each directory in it.
        return self.links and 2 + self.subdirectories

    def get(self, name: bytes) -> Node:
        node = self.entries.get(name)
        if node is None:
            raise FilesystemError(ErrorCode.NOENT)
        return node

    def check_new(self, name: bytes) -> None:
        """Whether `name` may be added."""
        if name in self.entries:
            raise FilesystemError(ErrorCode.EXIST)
        if not self.links:
            raise FilesystemError(ErrorCode.NOENT, "directory was removed")

    def add(self, name: bytes, node: Node) -> None:
        self.check_new(name)
        try:
            self.volume.take(NAME_BYTES)
        except FilesystemError:
            node.settle()
            raise
        self.entries[name] = node
        if isinstance(node, DirectoryNode):
            node.parent = self
            self.subdirectories += 1
        node.link(1)
        self.modified()

    def remove(self, name: bytes) -> None:
        node = self.entries.pop(name)
        self.volume.take(-NAME_BYTES)
        if isinstance(node, DirectoryNode):
            node.parent = None
            self.subdirectories -= 1
        node.link(-1)
        self.modified()

    def is_beneath(self, other: DirectoryNode) -> bool:
        """Whether it is `other`, or somewhere in it."""
        node: DirectoryNode | None = self
        while node is not None and node is not other:
            node = node.parent
        return node is other


def _time(new: NewTime, old: int, now: int) -> int:
    if isinstance(new, int):
        return new
    return old if new is SetTime.KEEP else now
