"""Files in memory, while they are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from .._errors import ErrorCode, FilesystemError
from .._file import File
from .._types import MAX_OFFSET, Access, Advice, FileFlags, Metadata, NewTime, Permission, Whence

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._nodes import FileNode


@final
class MemoryFile(File):
    """A file in memory."""

    def __init__(
        self, node: FileNode, access: Access, flags: FileFlags, permissions: Permission
    ) -> None:
        """Call with the volume's lock held."""
        super().__init__(access, flags, permissions)
        node.open(1)
        self._file: Final = node
        self._lock: Final = node.volume.lock
        self._position = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._file.open(-1)

    def fileno(self) -> int:
        return -1

    def stat(self) -> Metadata:
        with self._lock:
            return self._node.metadata()

    def sync(self) -> None:
        with self._lock:
            self._check_open()

    def datasync(self) -> None:
        self.sync()

    def _read(self, size: int) -> bytes:
        with self._lock:
            data = self._node.read(size, self._position)
            self._position += len(data)
            return data

    def _pread(self, size: int, offset: int) -> bytes:
        with self._lock:
            return self._node.read(size, offset)

    def _write(self, data: Buffer) -> int:
        with self._lock:
            at_end = FileFlags.APPEND in self.flags
            offset = self._node.size if at_end else self._position
            written = self._put(data, offset)
            self._position = offset + written
            return written

    def _pwrite(self, data: Buffer, offset: int) -> int:
        with self._lock:
            # As on Linux.
            at_end = FileFlags.APPEND in self.flags
            return self._put(data, self._node.size if at_end else offset)

    def _append(self, data: Buffer) -> int:
        with self._lock:
            return self._put(data, self._node.size)

    def _seek(self, offset: int, whence: Whence) -> int:
        with self._lock:
            starts = {
                Whence.SET: 0,
                Whence.CURRENT: self._position,
                Whence.END: self._node.size,
            }
            position = starts[whence] + offset
            if not 0 <= position <= MAX_OFFSET:
                raise FilesystemError(ErrorCode.INVAL)
            self._position = position
            return position

    def _set_size(self, size: int) -> None:
        with self._lock:
            self._node.resize(size)

    def _allocate(self, offset: int, length: int) -> None:
        with self._lock:
            if offset + length > self._node.size:
                self._node.resize(offset + length)

    def _advise(self, offset: int, length: int, advice: Advice) -> None:
        self.sync()

    def _set_times(self, accessed: NewTime, modified: NewTime) -> None:
        with self._lock:
            self._node.set_times(accessed, modified)

    def _set_append(self, append: bool) -> None:
        self.sync()

    @property
    def _node(self) -> FileNode:
        self._check_open()
        return self._file

    def _check_open(self) -> None:
        if self._closed:
            raise FilesystemError(ErrorCode.BADF, "closed")

    def _put(self, data: Buffer, offset: int) -> int:
        with memoryview(data) as view, view.cast("B") as octets:
            if offset + len(octets) > MAX_OFFSET:
                raise FilesystemError(ErrorCode.FBIG)
            self._node.write(octets, offset)
            return len(octets)
