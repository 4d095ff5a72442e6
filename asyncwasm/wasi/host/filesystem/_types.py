"""Permissions, flags and what files say about themselves."""

from __future__ import annotations

import enum
import stat
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_OFFSET: Final = 2**63 - 1
"""The last position in a file, and the greatest size."""

MAX_TRANSFER: Final = 1 << 20
"""The most bytes one read returns: a guest's number never decides what the host allocates."""


class Permission(enum.Flag):
    """What may be done through a directory, and through whatever is opened in it.

    Fixed when a directory is given to a guest; what is opened in it has the same or fewer.
    """

    READ_DIRECTORY = 1
    """List it, look things up in it, open things."""
    MUTATE_DIRECTORY = 2
    """Create, rename, link and remove things in it, and set their times."""
    READ_FILES = 4
    WRITE_FILES = 8
    """Write to files, and set their size and times."""
    SPECIAL_FILES = 16
    """Open FIFOs and devices.  They are opened without blocking, and so are reads and writes."""

    READ_ONLY = READ_DIRECTORY | READ_FILES
    READ_WRITE = READ_ONLY | MUTATE_DIRECTORY | WRITE_FILES


class Access(enum.Flag):
    """What a file was opened for."""

    READ = 1
    WRITE = 2


class OpenFlags(enum.Flag):
    """How `Directory.open_at` treats what it finds or does not find."""

    CREATE = 1
    """Make a regular file if there is nothing."""
    DIRECTORY = 2
    """Fail unless it is a directory."""
    EXCLUSIVE = 4
    """With `CREATE`: fail if there is something, be it a dangling link."""
    TRUNCATE = 8
    """Empty the file.  Needs permission to write files, but not `Access.WRITE`."""


class FileFlags(enum.Flag):
    """How an open file behaves."""

    APPEND = 1
    """Each write goes to the end."""
    DSYNC = 2
    """A write returns when the data is on the medium."""
    NONBLOCK = 4
    """Remembered only; regular files never wait, and special files never do here."""
    RSYNC = 8
    """A read waits for writes under way to be on the medium."""
    SYNC = 16
    """A write returns when data and metadata are on the medium."""


class FileType(enum.Enum):
    """What kind of thing a path names."""

    UNKNOWN = "unknown"
    BLOCK_DEVICE = "block device"
    CHARACTER_DEVICE = "character device"
    DIRECTORY = "directory"
    FIFO = "fifo"
    REGULAR_FILE = "regular file"
    SOCKET = "socket"
    SYMBOLIC_LINK = "symbolic link"


_BY_MODE: Final = {
    stat.S_IFBLK: FileType.BLOCK_DEVICE,
    stat.S_IFCHR: FileType.CHARACTER_DEVICE,
    stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFIFO: FileType.FIFO,
    stat.S_IFREG: FileType.REGULAR_FILE,
    stat.S_IFSOCK: FileType.SOCKET,
    stat.S_IFLNK: FileType.SYMBOLIC_LINK,
}


def file_type(mode: int) -> FileType:
    """The type in an `st_mode`."""
    return _BY_MODE.get(stat.S_IFMT(mode), FileType.UNKNOWN)


class Whence(enum.IntEnum):
    """What a seek's offset is relative to."""

    SET = 0
    CURRENT = 1
    END = 2


class Advice(enum.IntEnum):
    """How part of a file will be used."""

    NORMAL = 0
    SEQUENTIAL = 1
    RANDOM = 2
    WILL_NEED = 3
    DONT_NEED = 4
    NO_REUSE = 5


class SetTime(enum.Enum):
    """What to do with a timestamp, other than giving it a value."""

    KEEP = enum.auto()
    NOW = enum.auto()


NewTime: TypeAlias = int | SetTime
"""A time to set: nanoseconds since 1970, or `SetTime`."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about a file.  Two with the same `device` and `inode` are one file."""

    device: int
    inode: int
    type: FileType
    links: int
    size: int
    """Bytes; for a symbolic link, the length of its target."""
    accessed_ns: int
    """Nanoseconds since 1970, as for the other times; may be negative."""
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One name in a directory."""

    name: str
    inode: int
    type: FileType
    next: int
    """The cookie with which `Directory.readdir` goes on after this entry."""
