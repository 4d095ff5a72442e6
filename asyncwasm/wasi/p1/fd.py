"""Descriptors: reading, writing, positions, and what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from ..host.filesystem import Advice, Directory, ErrorCode, File, FilesystemError, Whence
from ..host.sockets import Socket
from ..host.stdio import InputStream, OutputStream
from .call import Call, Function
from .errno import Errno, GuestError
from .files import FILETYPES, file_flags, filestat, new_times
from .table import Descriptor
from .types import (
    ALL_RIGHTS,
    DIRENT,
    FDSTAT,
    PRESTAT,
    Fdflags,
    Fstflags,
    Rights,
    flags,
)

T = TypeVar("T")

# Entries of a directory that are fetched at once.
_ENTRIES: Final = 1024


async def fd_advise(call: Call, fd: int, offset: int, length: int, advice: int) -> None:
    """Say how a range of a file will be used: normal, sequential, random, will need, will not
    need, no reuse (0 to 5).  `INVAL` for another number, `SPIPE` for a stream.
    """
    file = call.table.file(fd, Rights.FD_ADVISE, Errno.SPIPE)
    if advice > max(Advice):
        raise GuestError(Errno.INVAL)
    await call.driver.work(file.advise, offset, length, Advice(advice))


async def fd_allocate(call: Call, fd: int, offset: int, length: int) -> None:
    """Make sure that there is space for a range of a file, which grows to hold it."""
    file = call.table.file(fd, Rights.FD_ALLOCATE)
    await call.driver.work(file.allocate, offset, length)


def fd_close(call: Call, fd: int) -> None:
    """Close a descriptor."""
    call.table.remove(fd)


async def fd_datasync(call: Call, fd: int) -> None:
    """Wait until a file's data is on the medium."""
    await call.driver.work(_syncable(call, fd, Rights.FD_DATASYNC).datasync)


async def fd_sync(call: Call, fd: int) -> None:
    """Wait until a file's data and metadata are on the medium."""
    await call.driver.work(_syncable(call, fd, Rights.FD_SYNC).sync)


def _syncable(call: Call, fd: int, rights: Rights) -> File | Directory:
    found = call.table.get(fd).resource
    if not isinstance(found, (File, Directory)):
        raise GuestError(Errno.INVAL)
    call.table.get(fd, rights)
    return found


def fd_fdstat_get(call: Call, fd: int, stat: int) -> None:
    """Write an `fdstat`.  Standard input from a terminal:

    02 00 00 00 00 00 00 00  0a 00 20 08 00 00 00 00  00 00 00 00 00 00 00 00
    └ character device       └ rights                 └ inheriting
    """
    entry = call.table.get(fd)
    call.memory.pack(FDSTAT, stat, entry.filetype, entry.flags, entry.base, entry.inheriting)


def fd_fdstat_set_flags(call: Call, fd: int, fdflags: int) -> None:
    """Set how a descriptor behaves.  For a stream or a socket that is only `NONBLOCK`."""
    wanted = flags(Fdflags, fdflags)
    entry = call.table.get(fd, Rights.FD_FDSTAT_SET_FLAGS)
    match entry.resource:
        case File() as file:
            file.set_flags(file_flags(wanted))
        case Directory():
            if wanted:
                raise GuestError(Errno.INVAL)
        case _:
            if wanted & ~Fdflags.NONBLOCK:
                raise GuestError(Errno.INVAL)
    entry.flags = wanted


def fd_fdstat_set_rights(call: Call, fd: int, base: int, inheriting: int) -> None:
    """Give up rights.  `NOTCAPABLE` for one that is not there to be kept."""
    entry = call.table.get(fd)
    if base & ~entry.base or inheriting & ~entry.inheriting:
        raise GuestError(Errno.NOTCAPABLE)
    entry.base = Rights(base & ALL_RIGHTS)
    entry.inheriting = Rights(inheriting & ALL_RIGHTS)


async def fd_filestat_get(call: Call, fd: int, buf: int) -> None:
    """Write a `filestat`, for streams and sockets with nothing but their type."""
    entry = call.table.get(fd, Rights.FD_FILESTAT_GET)
    found = entry.resource
    if isinstance(found, (File, Directory)):
        values = filestat(await call.driver.work(found.stat))
    else:
        values = (0, 0, entry.filetype, 0, 0, 0, 0, 0)
    call.memory.pack(call.abi.filestat, buf, *values)


async def fd_filestat_set_size(call: Call, fd: int, size: int) -> None:
    """Cut a file off, or fill it up with zeros."""
    file = call.table.file(fd, Rights.FD_FILESTAT_SET_SIZE)
    await call.driver.work(file.set_size, size)


async def fd_filestat_set_times(call: Call, fd: int, atim: int, mtim: int, fst_flags: int) -> None:
    """Set timestamps, nanoseconds since 1970 or now.  `INVAL` for flags that contradict."""
    accessed, modified = new_times(atim, mtim, flags(Fstflags, fst_flags))
    found = call.table.get(fd).resource
    if not isinstance(found, (File, Directory)):
        raise GuestError(Errno.BADF)
    call.table.get(fd, Rights.FD_FILESTAT_SET_TIMES)
    await call.driver.work(found.set_times, accessed, modified)


async def fd_read(call: Call, fd: int, iovs: int, iovs_len: int, nread: int) -> None:
    """Read, at a file's position; write how much was read, 0 at the end.

    Suspends until there is something.  `AGAIN` instead for a non-blocking stream.
    """
    entry = _transferable(call, fd, Rights.FD_READ)
    room = call.memory.room(iovs, iovs_len)
    data = await _read(call, entry, room)
    call.memory.scatter(iovs, iovs_len, data)
    call.memory.write_u32(nread, len(data))


async def _read(call: Call, entry: Descriptor, room: int) -> bytes:
    wait = Fdflags.NONBLOCK not in entry.flags
    match entry.resource:
        case File() as file:
            return await _when_ready(call, file, wait, file.read, room)
        case InputStream() as stream:
            if not (wait or await call.driver.readable(stream)):
                raise GuestError(Errno.AGAIN)
            return await call.driver.read(stream, room)
        case Socket() as sock:
            return (await call.driver.receive(sock, room, peek=False, wait=wait))[0]
    raise GuestError(Errno.BADF)


async def fd_pread(call: Call, fd: int, iovs: int, iovs_len: int, offset: int, nread: int) -> None:
    """Read a file at an offset, leaving its position alone.  `SPIPE` for a stream."""
    file = call.table.file(fd, Rights.FD_READ | Rights.FD_SEEK, Errno.SPIPE)
    room = call.memory.room(iovs, iovs_len)
    data = await call.driver.work(file.pread, room, offset)
    call.memory.scatter(iovs, iovs_len, data)
    call.memory.write_u32(nread, len(data))


async def fd_write(call: Call, fd: int, iovs: int, iovs_len: int, nwritten: int) -> None:
    """Write, at a file's position or at its end; write how much was written.

    Suspends until whoever reads has taken it.  `AGAIN` instead for a non-blocking socket.
    """
    entry = _transferable(call, fd, Rights.FD_WRITE)
    data = call.memory.gather(iovs, iovs_len)
    call.memory.check(nwritten, 4, 4)
    wait = Fdflags.NONBLOCK not in entry.flags
    match entry.resource:
        case File() as file:
            written = await _when_ready(call, file, wait, file.write, data)
        case OutputStream() as stream:
            await call.driver.write(stream, data)
            written = len(data)
        case Socket() as sock:
            written = await call.driver.send(sock, data, wait=wait)
        case _:
            raise GuestError(Errno.BADF)
    call.memory.write_u32(nwritten, written)


async def _when_ready(
    call: Call, file: File, wait: bool, fn: Callable[..., T], argument: object
) -> T:
    """Read or write a file; where a special file would make the thread wait, suspend."""
    while True:
        try:
            return await call.driver.work(fn, argument)
        except FilesystemError as error:
            fd = file.fileno()
            if error.code is not ErrorCode.AGAIN or not wait or fd < 0:
                raise
        await call.driver.ready(fd, write=fn == file.write)


def _transferable(call: Call, fd: int, rights: Rights) -> Descriptor:
    if isinstance(call.table.get(fd).resource, Directory):
        raise GuestError(Errno.ISDIR)
    return call.table.get(fd, rights)


async def fd_pwrite(
    call: Call, fd: int, iovs: int, iovs_len: int, offset: int, nwritten: int
) -> None:
    """Write to a file at an offset, leaving its position alone.  `SPIPE` for a stream."""
    file = call.table.file(fd, Rights.FD_WRITE | Rights.FD_SEEK, Errno.SPIPE)
    data = call.memory.gather(iovs, iovs_len)
    call.memory.check(nwritten, 4, 4)
    written = await call.driver.work(file.pwrite, data, offset)
    call.memory.write_u32(nwritten, written)


def fd_prestat_get(call: Call, fd: int, buf: int) -> None:
    """Write a `prestat`: that the descriptor was open from the start, and how long its name is.

    For a directory `/data`: `00 00 00 00 05 00 00 00`.  `BADF` for any other descriptor.
    """
    call.memory.pack(PRESTAT, buf, 0, len(_preopen(call, fd)))


def fd_prestat_dir_name(call: Call, fd: int, path: int, path_len: int) -> None:
    """Write the name, without a zero.  `NAMETOOLONG` if it does not fit."""
    name = _preopen(call, fd)
    if len(name) > path_len:
        raise GuestError(Errno.NAMETOOLONG)
    call.memory.write(path, name)


def _preopen(call: Call, fd: int) -> bytes:
    name = call.table.get(fd).preopen
    if name is None:
        raise GuestError(Errno.BADF)
    return name


async def fd_readdir(
    call: Call, fd: int, buf: int, buf_len: int, cookie: int, bufused: int
) -> None:
    """Fill `buf` with entries of a directory, from where `cookie` says; 0 is the start.

    Each is a `dirent`, the last one perhaps cut off, and its name.  Write how much of `buf` was
    used: less than all of it at the end of the directory.  An entry `a`, a file:

        next=3 ino=7: 03 00 … 00  07 00 … 00  01 00 00 00  04 00 00 00  61
    """
    _, directory = call.table.directory(fd, Rights.FD_READDIR)
    view = call.memory.check(buf, buf_len)
    found = bytearray()
    while len(found) < buf_len:
        entries = await call.driver.work(directory.readdir, cookie, _ENTRIES)
        if not entries:
            break
        for entry in entries:
            name = entry.name.encode()
            filetype = FILETYPES[entry.type]
            found += DIRENT.pack(entry.next, entry.inode, len(name), filetype) + name
        cookie = entries[-1].next
    used = min(len(found), buf_len)
    view[:used] = found[:used]
    call.memory.write_u32(bufused, used)


def fd_renumber(call: Call, fd: int, to: int) -> None:
    """Close `to`, and let `fd` be known by that number.  `BADF` unless both are open."""
    call.table.renumber(fd, to)


def fd_seek(call: Call, fd: int, offset: int, whence: int, newoffset: int) -> None:
    """Move a file's position, relative to the start, the position or the end (0, 1, 2; in
    `wasi_unstable` the position, the end, the start); write the new one, a u64.

    `INVAL` for one before the start, `SPIPE` for a stream.
    """
    if whence >= len(call.abi.whence):
        raise GuestError(Errno.INVAL)
    relative_to = call.abi.whence[whence]
    only_tells = offset == 0 and relative_to is Whence.CURRENT
    rights = Rights.FD_TELL if only_tells else Rights.FD_SEEK | Rights.FD_TELL
    file = call.table.file(fd, rights, Errno.SPIPE)
    call.memory.write_u64(newoffset, file.seek(offset, relative_to))


def fd_tell(call: Call, fd: int, offset: int) -> None:
    """Write a file's position, a u64.  `SPIPE` for a stream."""
    file = call.table.file(fd, Rights.FD_TELL, Errno.SPIPE)
    call.memory.write_u64(offset, file.tell())


FUNCTIONS: Final = {
    "fd_advise": Function(fd_advise, "iIIi"),
    "fd_allocate": Function(fd_allocate, "iII"),
    "fd_close": Function(fd_close, "i"),
    "fd_datasync": Function(fd_datasync, "i"),
    "fd_fdstat_get": Function(fd_fdstat_get, "ii"),
    "fd_fdstat_set_flags": Function(fd_fdstat_set_flags, "ii"),
    "fd_fdstat_set_rights": Function(fd_fdstat_set_rights, "iII"),
    "fd_filestat_get": Function(fd_filestat_get, "ii"),
    "fd_filestat_set_size": Function(fd_filestat_set_size, "iI"),
    "fd_filestat_set_times": Function(fd_filestat_set_times, "iIIi"),
    "fd_pread": Function(fd_pread, "iiiIi"),
    "fd_prestat_dir_name": Function(fd_prestat_dir_name, "iii"),
    "fd_prestat_get": Function(fd_prestat_get, "ii"),
    "fd_pwrite": Function(fd_pwrite, "iiiIi"),
    "fd_read": Function(fd_read, "iiii"),
    "fd_readdir": Function(fd_readdir, "iiiIi"),
    "fd_renumber": Function(fd_renumber, "ii"),
    "fd_seek": Function(fd_seek, "isii"),
    "fd_sync": Function(fd_sync, "i"),
    "fd_tell": Function(fd_tell, "ii"),
    "fd_write": Function(fd_write, "iiii"),
}
