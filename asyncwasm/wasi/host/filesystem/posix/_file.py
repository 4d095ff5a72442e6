"""Real files."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final, final

from .._errors import translating
from .._file import File
from ._calls import advise, allocate, sync_descriptor
from ._descriptor import Descriptor
from ._metadata import metadata, times

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .._types import Access, Advice, FileFlags, Metadata, NewTime, Permission, Whence

_WHENCE: Final = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)


@final
class PosixFile(File):
    """A file by descriptor; the position is the system's, and so is appending."""

    def __init__(
        self, number: int, access: Access, flags: FileFlags, permissions: Permission
    ) -> None:
        """Takes over the descriptor."""
        super().__init__(access, flags, permissions)
        self._descriptor: Final = Descriptor(number)

    @property
    def closed(self) -> bool:
        return self._descriptor.closed

    def close(self) -> None:
        self._descriptor.close()

    def fileno(self) -> int:
        with self._descriptor as number:
            return number

    def stat(self) -> Metadata:
        with translating, self._descriptor as number:
            return metadata(os.fstat(number))

    def sync(self) -> None:
        with translating, self._descriptor as number:
            sync_descriptor(number, data_only=False)

    def datasync(self) -> None:
        with translating, self._descriptor as number:
            sync_descriptor(number, data_only=True)

    def _read(self, size: int) -> bytes:
        with translating, self._descriptor as number:
            return os.read(number, size)

    def _pread(self, size: int, offset: int) -> bytes:
        with translating, self._descriptor as number:
            return os.pread(number, size, offset)

    def _write(self, data: Buffer) -> int:
        with translating, self._descriptor as number:
            return os.write(number, data)

    def _pwrite(self, data: Buffer, offset: int) -> int:
        with translating, self._descriptor as number:
            return os.pwrite(number, data, offset)

    def _append(self, data: Buffer) -> int:
        with translating, self._descriptor as number:
            if hasattr(os, "RWF_APPEND"):
                # The offset is ignored, and the position stays.
                return os.pwritev(number, [data], 0, os.RWF_APPEND)
            return os.pwrite(number, data, os.fstat(number).st_size)

    def _seek(self, offset: int, whence: Whence) -> int:
        with translating, self._descriptor as number:
            return os.lseek(number, offset, _WHENCE[whence])

    def _set_size(self, size: int) -> None:
        with translating, self._descriptor as number:
            os.ftruncate(number, size)

    def _allocate(self, offset: int, length: int) -> None:
        with translating, self._descriptor as number:
            allocate(number, offset, length)

    def _advise(self, offset: int, length: int, advice: Advice) -> None:
        with translating, self._descriptor as number:
            advise(number, offset, length, advice)

    def _set_times(self, accessed: NewTime, modified: NewTime) -> None:
        with translating, self._descriptor as number:
            new = times(os.fstat(number), accessed, modified)
            if new is None:
                os.utime(number)
            else:
                os.utime(number, ns=new)

    def _set_append(self, append: bool) -> None:
        with translating, self._descriptor as number:
            old = fcntl.fcntl(number, fcntl.F_GETFL)
            new = old | os.O_APPEND if append else old & ~os.O_APPEND
            if new != old:
                fcntl.fcntl(number, fcntl.F_SETFL, new)
