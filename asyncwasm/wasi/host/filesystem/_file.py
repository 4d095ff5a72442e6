"""`File`: something open for reading or writing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Final, final

from ._errors import ErrorCode, FilesystemError
from ._types import (
    MAX_OFFSET,
    MAX_TRANSFER,
    Access,
    Advice,
    FileFlags,
    Metadata,
    NewTime,
    Permission,
    SetTime,
    Whence,
)

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Buffer

_TIMES: Final = range(-(2**63), 2**64)


class File(ABC):
    """An open regular file, or a special file if those were permitted.

    Made by `Directory.open_at`, and closed by whoever opened it.  Everything blocks the thread
    for as long as the system takes, and raises `FilesystemError`: `BADF` once closed, or without
    the access.  Threads may share a file.
    """

    def __init__(self, access: Access, flags: FileFlags, permissions: Permission) -> None:
        self.access: Final = access
        self.permissions: Final = permissions
        self._flags = flags

    @property
    def flags(self) -> FileFlags:
        return self._flags

    @final
    def set_flags(self, flags: FileFlags) -> None:
        self._set_append(FileFlags.APPEND in flags)
        self._flags = flags

    @final
    def read(self, size: int) -> bytes:
        """Read at the position, and move it.  At most `size` bytes and 1 MiB; empty at the end.

        From a special file with nothing to read: `AGAIN`.
        """
        self._before_reading()
        return self._read(min(size, MAX_TRANSFER))

    @final
    def pread(self, size: int, offset: int) -> bytes:
        """As `read`, at an offset from the start, leaving the position alone."""
        self._before_reading()
        _check_offset(offset)
        return self._pread(min(size, MAX_TRANSFER, MAX_OFFSET - offset), offset)

    @final
    def write(self, data: Buffer) -> int:
        """Write at the position, or at the end with `FileFlags.APPEND`, and move it.

        Returns how many bytes were written, which may be fewer.
        """
        self._need(Access.WRITE)
        return self._after_writing(self._write(data))

    @final
    def pwrite(self, data: Buffer, offset: int) -> int:
        """As `write`, at an offset from the start, leaving the position alone.

        With `FileFlags.APPEND` the offset counts on POSIX systems other than Linux only.
        """
        self._need(Access.WRITE)
        _check_offset(offset)
        if offset + memoryview(data).nbytes > MAX_OFFSET:
            raise FilesystemError(ErrorCode.FBIG)
        return self._after_writing(self._pwrite(data, offset))

    @final
    def append(self, data: Buffer) -> int:
        """Write at the end, whatever the flags, leaving the position alone."""
        self._need(Access.WRITE)
        return self._after_writing(self._append(data))

    @final
    def seek(self, offset: int, whence: Whence = Whence.SET) -> int:
        """Move the position, past the end if you like; returns it.

        `INVAL` for one before the start, `SPIPE` if there are no positions.
        """
        if not -MAX_OFFSET <= offset <= MAX_OFFSET:
            raise FilesystemError(ErrorCode.INVAL)
        return self._seek(offset, whence)

    @final
    def tell(self) -> int:
        return self._seek(0, Whence.CURRENT)

    @final
    def set_size(self, size: int) -> None:
        """Cut the file off, or fill it up with zeros."""
        self._need(Access.WRITE)
        _check_offset(size)
        self._set_size(size)

    @final
    def allocate(self, offset: int, length: int) -> None:
        """Make sure that writing there will find space; the file grows to hold the range.

        `NOTSUP` where the system cannot.
        """
        self._need(Access.WRITE)
        _check_offset(offset)
        if length < 1:
            raise FilesystemError(ErrorCode.INVAL)
        if offset + length > MAX_OFFSET:
            raise FilesystemError(ErrorCode.FBIG)
        self._allocate(offset, length)

    @final
    def advise(self, offset: int, length: int, advice: Advice) -> None:
        """Say how a range will be used; 0 is the rest of the file.  May do nothing."""
        _check_offset(offset)
        # A range past any end is the same as the rest.
        self._advise(offset, length if 0 <= length <= MAX_OFFSET - offset else 0, advice)

    @final
    def set_times(self, accessed: NewTime = SetTime.KEEP, modified: NewTime = SetTime.KEEP) -> None:
        """Set timestamps.  Needs permission to write files, not the access."""
        if Permission.WRITE_FILES not in self.permissions:
            raise FilesystemError(ErrorCode.PERM, "read-only")
        check_times(accessed, modified)
        self._set_times(accessed, modified)

    @abstractmethod
    def stat(self) -> Metadata: ...

    @abstractmethod
    def sync(self) -> None:
        """Wait until data and metadata are on the medium."""

    @abstractmethod
    def datasync(self) -> None:
        """Wait until the data is on the medium."""

    @property
    @abstractmethod
    def closed(self) -> bool: ...

    @abstractmethod
    def close(self) -> None:
        """Idempotent, and does not wait: operations under way in other threads finish."""

    @abstractmethod
    def fileno(self) -> int:
        """The descriptor, to wait for a special file's readiness with; -1 if there is none."""

    @final
    def __enter__(self) -> Self:
        return self

    @final
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @final
    def _need(self, access: Access) -> None:
        if access not in self.access:
            raise FilesystemError(ErrorCode.BADF, f"not open for {access.name}")

    @final
    def _before_reading(self) -> None:
        self._need(Access.READ)
        if FileFlags.RSYNC in self._flags:
            self.datasync()

    @final
    def _after_writing(self, written: int) -> int:
        # Not left to the system, which cannot change these once a file is open.
        if FileFlags.SYNC in self._flags:
            self.sync()
        elif FileFlags.DSYNC in self._flags:
            self.datasync()
        return written

    @abstractmethod
    def _read(self, size: int) -> bytes: ...

    @abstractmethod
    def _pread(self, size: int, offset: int) -> bytes: ...

    @abstractmethod
    def _write(self, data: Buffer) -> int: ...

    @abstractmethod
    def _pwrite(self, data: Buffer, offset: int) -> int: ...

    @abstractmethod
    def _append(self, data: Buffer) -> int: ...

    @abstractmethod
    def _seek(self, offset: int, whence: Whence) -> int: ...

    @abstractmethod
    def _set_size(self, size: int) -> None: ...

    @abstractmethod
    def _allocate(self, offset: int, length: int) -> None: ...

    @abstractmethod
    def _advise(self, offset: int, length: int, advice: Advice) -> None: ...

    @abstractmethod
    def _set_times(self, accessed: NewTime, modified: NewTime) -> None: ...

    @abstractmethod
    def _set_append(self, append: bool) -> None: ...


def _check_offset(offset: int) -> None:
    if not 0 <= offset <= MAX_OFFSET:
        raise FilesystemError(ErrorCode.INVAL)


def check_times(*times: NewTime) -> None:
    """`OVERFLOW` for nanoseconds that no system call could take."""
    for time in times:
        if isinstance(time, int) and time not in _TIMES:
            raise FilesystemError(ErrorCode.OVERFLOW)
