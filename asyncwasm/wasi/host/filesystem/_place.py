"""What the operations on paths are made of: single steps in one directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ._errors import ErrorCode, FilesystemError

if TYPE_CHECKING:
    from ._file import File
    from ._types import Access, FileFlags, FileType, Metadata, NewTime, Permission


class Changed(Exception):
    """Something else is there now than was there a moment ago: look again."""


class Place(ABC):
    """An open directory.

    Every method takes one name in it, never a path, and never follows a symbolic link.  The name
    is not `..`, and may be `.` only where that is said.  All raise `FilesystemError`, `BADF`
    after `close`.  Threads may share a place.
    """

    __slots__ = ()

    @abstractmethod
    def enter(self, name: bytes) -> Place:
        """Open a directory, or this one again with `.`.  `NOTDIR` or `LOOP` for a link."""

    def shortcut(self, parts: tuple[bytes, ...]) -> Place | None:
        """Open the directory to which `parts` lead, links followed, never leaving this one.

        None if it takes a walk, be it to find out why it cannot be done.  May raise `NOENT`.
        """
        return None

    @abstractmethod
    def stat(self, name: bytes) -> Metadata:
        """Name may be `.`."""

    def find(self, name: bytes) -> Metadata | None:
        """As `stat`, or None if there is nothing.  Name may be `.`."""
        try:
            return self.stat(name)
        except FilesystemError as error:
            if error.code is ErrorCode.NOENT:
                return None
            raise

    @abstractmethod
    def read_link(self, name: bytes) -> bytes:
        """A link's target.  `INVAL` if it is no link."""

    @abstractmethod
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
    ) -> File:
        """Open something that is no directory, without blocking.

        Raises `Changed` if it is a link or a directory, and `PERM` if it is a special file and
        `permissions` do not name those.
        """

    @abstractmethod
    def list(self) -> list[tuple[str, int, FileType]]:
        """Name, inode and type of everything here but `.` and `..`.

        Names that are not UTF-8 are left out: no guest could use them.
        """

    @abstractmethod
    def set_times(self, name: bytes, accessed: NewTime, modified: NewTime) -> None:
        """Of a link itself, if it is one.  Name may be `.`."""

    @abstractmethod
    def make_directory(self, name: bytes) -> None: ...

    @abstractmethod
    def remove_directory(self, name: bytes) -> None: ...

    @abstractmethod
    def unlink(self, name: bytes) -> None:
        """Remove anything but a directory (`ISDIR`)."""

    @abstractmethod
    def make_symlink(self, target: bytes, name: bytes) -> None: ...

    @abstractmethod
    def make_link(self, name: bytes, other: Place, new_name: bytes) -> None:
        """Give a file, or a link itself, a second name.  `XDEV` for another kind of place."""

    @abstractmethod
    def rename(self, name: bytes, other: Place, new_name: bytes) -> None:
        """`XDEV` for another kind of place."""

    @abstractmethod
    def sync(self, *, data_only: bool) -> None:
        """Wait until the names here are on the medium."""

    @property
    @abstractmethod
    def closed(self) -> bool: ...

    @abstractmethod
    def close(self) -> None:
        """Idempotent, and never waits: operations under way in other threads finish."""
