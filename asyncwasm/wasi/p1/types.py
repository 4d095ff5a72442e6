"""Numbers, flags and structs of preview 1, as they are in guest memory (little endian)."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, TypeVar

from .errno import Errno, GuestError


class Rights(IntFlag):
    """What may be done with a descriptor, a u64."""

    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29


NO_RIGHTS: Final = Rights(0)
ALL_RIGHTS: Final = (1 << 30) - 1

FILE_RIGHTS: Final = (
    Rights.FD_DATASYNC
    | Rights.FD_READ
    | Rights.FD_SEEK
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_SYNC
    | Rights.FD_TELL
    | Rights.FD_WRITE
    | Rights.FD_ADVISE
    | Rights.FD_ALLOCATE
    | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_SIZE
    | Rights.FD_FILESTAT_SET_TIMES
    | Rights.POLL_FD_READWRITE
)
DIRECTORY_RIGHTS: Final = (
    Rights.FD_DATASYNC
    | Rights.FD_FDSTAT_SET_FLAGS
    | Rights.FD_SYNC
    | Rights.FD_READDIR
    | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_TIMES
    | Rights.PATH_CREATE_DIRECTORY
    | Rights.PATH_CREATE_FILE
    | Rights.PATH_LINK_SOURCE
    | Rights.PATH_LINK_TARGET
    | Rights.PATH_OPEN
    | Rights.PATH_READLINK
    | Rights.PATH_RENAME_SOURCE
    | Rights.PATH_RENAME_TARGET
    | Rights.PATH_FILESTAT_GET
    | Rights.PATH_FILESTAT_SET_SIZE
    | Rights.PATH_FILESTAT_SET_TIMES
    | Rights.PATH_SYMLINK
    | Rights.PATH_REMOVE_DIRECTORY
    | Rights.PATH_UNLINK_FILE
)
STREAM_RIGHTS: Final = (
    Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_FILESTAT_GET | Rights.POLL_FD_READWRITE
)
SOCKET_RIGHTS: Final = (
    STREAM_RIGHTS | Rights.FD_READ | Rights.FD_WRITE | Rights.SOCK_SHUTDOWN | Rights.SOCK_ACCEPT
)


class Filetype(IntEnum):
    """`filetype`, a u8."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class Fdflags(IntFlag):
    """`fdflags`, a u16."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


NO_FLAGS: Final = Fdflags(0)


class Oflags(IntFlag):
    """`oflags`, a u16."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class Lookupflags(IntFlag):
    """`lookupflags`, a u32."""

    SYMLINK_FOLLOW = 1


class Fstflags(IntFlag):
    """`fstflags`, a u16."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class Clockid(IntEnum):
    """`clockid`, a u32."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME_ID = 2
    THREAD_CPUTIME_ID = 3


class Eventtype(IntEnum):
    """`eventtype`, a u8."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


class Subclockflags(IntFlag):
    """`subclockflags`, a u16."""

    ABSTIME = 1


class Riflags(IntFlag):
    """`riflags` of `sock_recv`, a u16."""

    RECV_PEEK = 1
    RECV_WAITALL = 2


class Roflags(IntFlag):
    """`roflags` of `sock_recv`, a u16."""

    RECV_DATA_TRUNCATED = 1


class Sdflags(IntFlag):
    """`sdflags` of `sock_shutdown`, a u8."""

    RD = 1
    WR = 2


# u32: pointers, sizes, descriptors; u64: timestamps, cookies, offsets.
U32: Final = Struct("<I")
U64: Final = Struct("<Q")
U16: Final = Struct("<H")

IOVEC: Final = Struct("<II")
"""`iovec`, `ciovec`: `buf: u32, len: u32`, 8 bytes."""

FDSTAT: Final = Struct("<BxH4xQQ")
"""`fdstat`: `filetype: u8 @0, flags: u16 @2, base: u64 @8, inheriting: u64 @16`, 24 bytes."""

FILESTAT: Final = Struct("<QQB7xQQQQQ")
"""`filestat`, 64 bytes: `dev @0, ino @8, filetype: u8 @16, nlink @24, size @32, atim @40,
mtim @48, ctim @56`, u64 where nothing is said."""

PRESTAT: Final = Struct("<B3xI")
"""`prestat`: `tag: u8 @0` (0, a directory), `name_len: u32 @4`, 8 bytes."""

DIRENT: Final = Struct("<QQIB3x")
"""`dirent`: `next: u64 @0, ino: u64 @8, name_len: u32 @16, type: u8 @20`, 24 bytes, followed by
the name."""

SUBSCRIPTION: Final = Struct("<QB7xI4xQQH6x")
"""`subscription`, 48 bytes: `userdata: u64 @0, tag: u8 @8`, then for a clock `id: u32 @16,
timeout: u64 @24, precision: u64 @32, flags: u16 @40`, and for a descriptor `fd: u32 @16`."""

EVENT: Final = Struct("<QHB5xQH6x")
"""`event`, 32 bytes: `userdata: u64 @0, error: u16 @8, type: u8 @10`, and for a descriptor
`nbytes: u64 @16, flags: u16 @24`."""

UNSTABLE_FILESTAT: Final = Struct("<QQB3xIQQQQ")
"""`filestat` of `wasi_unstable`, 56 bytes: `nlink: u32 @20, size @24, atim @32, mtim @40,
ctim @48`."""

UNSTABLE_SUBSCRIPTION: Final = Struct("<QB7x8xI4xQQH6x")
"""`subscription` of `wasi_unstable`, 56 bytes: for a clock `identifier: u64 @16, id: u32 @24,
timeout: u64 @32, precision: u64 @40, flags: u16 @48`."""

F = TypeVar("F", bound=IntFlag)


def flags(kind: type[F], value: int) -> F:
    """`value` as flags; ends the function with `INVAL` if it has bits that mean nothing."""
    # Inverting flags of an enumeration would invert the known ones only.
    if value & ~sum(kind):
        raise GuestError(Errno.INVAL)
    return kind(value)
