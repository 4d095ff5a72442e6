"""Steps in a real directory."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, final

from .._errors import ErrorCode, FilesystemError, translating
from .._paths import HERE
from .._place import Changed, Place
from .._types import Access, FileFlags, FileType, Permission, file_type
from . import _openat2
from ._calls import sync_descriptor
from ._descriptor import Descriptor
from ._file import PosixFile
from ._metadata import metadata, times

if TYPE_CHECKING:
    from .._types import Metadata, NewTime

# Searching a directory is enough to go through it; where there is no O_PATH, one must be able
# to list it.
DIRECTORY_FLAGS: Final = (
    getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
)
_LIST_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# What systems say to O_NOFOLLOW and a link.
_LINK_ERRORS: Final = {errno.ELOOP, errno.EMLINK, getattr(errno, "EFTYPE", errno.ELOOP)}


@final
class PosixPlace(Place):
    """A directory, by descriptor.  Only names go to the system, and no call follows a link."""

    __slots__ = ("_descriptor",)

    def __init__(self, number: int) -> None:
        self._descriptor: Final = Descriptor(number)

    @property
    def closed(self) -> bool:
        return self._descriptor.closed

    def close(self) -> None:
        self._descriptor.close()

    def enter(self, name: bytes) -> Place:
        with translating, self._descriptor as here:
            return PosixPlace(os.open(name, DIRECTORY_FLAGS, dir_fd=here))

    def shortcut(self, parts: tuple[bytes, ...]) -> Place | None:
        with translating, self._descriptor as here:
            number = _openat2.open_beneath(here, b"/".join(parts))
        return None if number is None else PosixPlace(number)

    def stat(self, name: bytes) -> Metadata:
        with translating, self._descriptor as here:
            return metadata(os.stat(name, dir_fd=here, follow_symlinks=False))

    def read_link(self, name: bytes) -> bytes:
        with translating, self._descriptor as here:
            return os.readlink(name, dir_fd=here)

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
    ) -> PosixFile:
        mode = _FILE_FLAGS
        if Access.WRITE not in access:
            # To truncate one has to be able to write, whatever the file is opened for.
            mode |= os.O_RDWR if truncate else os.O_RDONLY
        else:
            mode |= os.O_RDWR if Access.READ in access else os.O_WRONLY
        mode |= os.O_CREAT if create else 0
        mode |= os.O_EXCL if exclusive else 0
        mode |= os.O_TRUNC if truncate else 0
        mode |= os.O_APPEND if FileFlags.APPEND in flags else 0
        with translating, self._descriptor as here:
            try:
                number = os.open(name, mode, 0o666, dir_fd=here)
            except OSError as error:
                if error.errno in _LINK_ERRORS:
                    raise Changed from error
                raise
        file = PosixFile(number, access, flags, permissions)
        try:
            _check(file.stat().type, permissions)
        except BaseException:
            file.close()
            raise
        return file

    def list(self) -> list[tuple[str, int, FileType]]:
        with translating, self._descriptor as here:
            # A description of its own: positions in a directory are shared otherwise.
            number = os.open(HERE, _LIST_FLAGS, dir_fd=here)
            try:
                with os.scandir(number) as entries:
                    found = [
                        (name, entry.inode(), _type(entry))
                        for entry in entries
                        if (name := _text(entry.name)) is not None
                    ]
            finally:
                os.close(number)
        return found

    def set_times(self, name: bytes, accessed: NewTime, modified: NewTime) -> None:
        with translating, self._descriptor as here:
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            new = times(status, accessed, modified)
            if new is None:
                os.utime(name, dir_fd=here, follow_symlinks=False)
            else:
                os.utime(name, ns=new, dir_fd=here, follow_symlinks=False)

    def make_directory(self, name: bytes) -> None:
        with translating, self._descriptor as here:
            os.mkdir(name, 0o777, dir_fd=here)

    def remove_directory(self, name: bytes) -> None:
        with translating, self._descriptor as here:
            try:
                os.rmdir(name, dir_fd=here)
            except FileExistsError as error:
                raise FilesystemError(ErrorCode.NOTEMPTY) from error

    def unlink(self, name: bytes) -> None:
        with translating, self._descriptor as here:
            try:
                os.unlink(name, dir_fd=here)
            except PermissionError as error:
                # What POSIX wants for a directory; Linux says EISDIR by itself.
                status = os.stat(name, dir_fd=here, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    raise FilesystemError(ErrorCode.ISDIR) from error
                raise

    def make_symlink(self, target: bytes, name: bytes) -> None:
        with translating, self._descriptor as here:
            os.symlink(target, name, dir_fd=here)

    def make_link(self, name: bytes, other: Place, new_name: bytes) -> None:
        there = _same_kind(other)
        with translating, self._descriptor as here, there._descriptor as target:
            os.link(name, new_name, src_dir_fd=here, dst_dir_fd=target, follow_symlinks=False)

    def rename(self, name: bytes, other: Place, new_name: bytes) -> None:
        there = _same_kind(other)
        with translating, self._descriptor as here, there._descriptor as target:
            try:
                os.rename(name, new_name, src_dir_fd=here, dst_dir_fd=target)
            except FileExistsError as error:
                raise FilesystemError(ErrorCode.NOTEMPTY) from error

    def sync(self, *, data_only: bool) -> None:
        with translating, self._descriptor as here:
            number = os.open(HERE, _LIST_FLAGS, dir_fd=here)
            try:
                sync_descriptor(number, data_only=data_only)
            finally:
                os.close(number)


def _check(found: FileType, permissions: Permission) -> None:
    """What was opened may not be what was seen: look at the descriptor."""
    if found is FileType.DIRECTORY:
        raise Changed
    if found is not FileType.REGULAR_FILE and Permission.SPECIAL_FILES not in permissions:
        raise FilesystemError(ErrorCode.PERM, "special file")


def _same_kind(other: Place) -> PosixPlace:
    if not isinstance(other, PosixPlace):
        raise FilesystemError(ErrorCode.XDEV)
    return other


def _text(name: str) -> str | None:
    # Decoded by the locale, which need not be UTF-8.
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        return None


def _type(entry: os.DirEntry[str]) -> FileType:
    # The directory knows these without a system call, mostly.
    if entry.is_file(follow_symlinks=False):
        return FileType.REGULAR_FILE
    if entry.is_dir(follow_symlinks=False):
        return FileType.DIRECTORY
    if entry.is_symlink():
        return FileType.SYMBOLIC_LINK
    try:
        return file_type(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return FileType.UNKNOWN
