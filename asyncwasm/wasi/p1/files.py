"""Between the host's files and preview 1's numbers."""

from __future__ import annotations

from typing import Final

from ..host.filesystem import FileFlags, FileType, Metadata, NewTime, SetTime
from .errno import Errno, GuestError
from .types import Fdflags, Filetype, Fstflags

FILETYPES: Final = {
    FileType.UNKNOWN: Filetype.UNKNOWN,
    FileType.BLOCK_DEVICE: Filetype.BLOCK_DEVICE,
    FileType.CHARACTER_DEVICE: Filetype.CHARACTER_DEVICE,
    FileType.DIRECTORY: Filetype.DIRECTORY,
    FileType.FIFO: Filetype.UNKNOWN,  # preview 1 has no name for it
    FileType.REGULAR_FILE: Filetype.REGULAR_FILE,
    FileType.SOCKET: Filetype.SOCKET_STREAM,
    FileType.SYMBOLIC_LINK: Filetype.SYMBOLIC_LINK,
}

_FLAGS: Final = (
    (Fdflags.APPEND, FileFlags.APPEND),
    (Fdflags.DSYNC, FileFlags.DSYNC),
    (Fdflags.NONBLOCK, FileFlags.NONBLOCK),
    (Fdflags.RSYNC, FileFlags.RSYNC),
    (Fdflags.SYNC, FileFlags.SYNC),
)

_MAX_U64: Final = (1 << 64) - 1


def file_flags(wanted: Fdflags) -> FileFlags:
    """The host's flags."""
    found = FileFlags(0)
    for flag, own in _FLAGS:
        if flag in wanted:
            found |= own
    return found


def filestat(metadata: Metadata) -> tuple[int, ...]:
    """The members of a `filestat`, in order.  Times before 1970 are 0."""
    return (
        metadata.device & _MAX_U64,
        metadata.inode & _MAX_U64,
        FILETYPES[metadata.type],
        min(metadata.links, 0xFFFF_FFFF),
        metadata.size,
        _timestamp(metadata.accessed_ns),
        _timestamp(metadata.modified_ns),
        _timestamp(metadata.changed_ns),
    )


def _timestamp(nanoseconds: int) -> int:
    return min(max(0, nanoseconds), _MAX_U64)


def new_times(atim: int, mtim: int, fst_flags: Fstflags) -> tuple[NewTime, NewTime]:
    """The access and modification times to set.  `INVAL` if both a time and now are asked for."""
    return (
        _new_time(atim, Fstflags.ATIM in fst_flags, Fstflags.ATIM_NOW in fst_flags),
        _new_time(mtim, Fstflags.MTIM in fst_flags, Fstflags.MTIM_NOW in fst_flags),
    )


def _new_time(time: int, given: bool, now: bool) -> NewTime:
    if given and now:
        raise GuestError(Errno.INVAL)
    if now:
        return SetTime.NOW
    return time if given else SetTime.KEEP
