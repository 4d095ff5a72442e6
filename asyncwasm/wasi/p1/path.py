"""Paths, relative to the descriptor of a directory.  Where they may lead, the host decides."""

from __future__ import annotations

from typing import Final

from ..host.filesystem import Access, Directory, File, OpenFlags
from .call import Call, Function
from .files import FILETYPES, file_flags, filestat, new_times
from .table import Descriptor
from .types import (
    ALL_RIGHTS,
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    NO_FLAGS,
    Fdflags,
    Filetype,
    Fstflags,
    Lookupflags,
    Oflags,
    Rights,
    flags,
)

_OPEN_FLAGS: Final = (
    (Oflags.CREAT, OpenFlags.CREATE),
    (Oflags.DIRECTORY, OpenFlags.DIRECTORY),
    (Oflags.EXCL, OpenFlags.EXCLUSIVE),
    (Oflags.TRUNC, OpenFlags.TRUNCATE),
)

_WRITES: Final = Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE


async def path_create_directory(call: Call, fd: int, path: int, path_len: int) -> None:
    """Make a directory."""
    _, directory = call.table.directory(fd, Rights.PATH_CREATE_DIRECTORY)
    name = call.memory.path(path, path_len)
    await call.driver.work(directory.create_directory_at, name)


async def path_filestat_get(
    call: Call, fd: int, lookup: int, path: int, path_len: int, buf: int
) -> None:
    """Write a `filestat`, of a link itself unless `SYMLINK_FOLLOW` is among the flags."""
    _, directory = call.table.directory(fd, Rights.PATH_FILESTAT_GET)
    follow = _follows(lookup)
    name = call.memory.path(path, path_len)
    metadata = await call.driver.work(lambda: directory.stat_at(name, follow=follow))
    call.memory.pack(call.abi.filestat, buf, *filestat(metadata))


async def path_filestat_set_times(
    call: Call,
    fd: int,
    lookup: int,
    path: int,
    path_len: int,
    atim: int,
    mtim: int,
    fst_flags: int,
) -> None:
    """Set timestamps; see `fd_filestat_set_times`."""
    _, directory = call.table.directory(fd, Rights.PATH_FILESTAT_SET_TIMES)
    follow = _follows(lookup)
    times = new_times(atim, mtim, flags(Fstflags, fst_flags))
    name = call.memory.path(path, path_len)
    await call.driver.work(lambda: directory.set_times_at(name, *times, follow=follow))


async def path_link(
    call: Call,
    old_fd: int,
    old_lookup: int,
    old_path: int,
    old_path_len: int,
    new_fd: int,
    new_path: int,
    new_path_len: int,
) -> None:
    """Give a file a second name, a hard link."""
    _, old = call.table.directory(old_fd, Rights.PATH_LINK_SOURCE)
    _, new = call.table.directory(new_fd, Rights.PATH_LINK_TARGET)
    follow = _follows(old_lookup)
    old_name = call.memory.path(old_path, old_path_len)
    new_name = call.memory.path(new_path, new_path_len)
    await call.driver.work(lambda: old.link_at(old_name, new, new_name, follow=follow))


async def path_open(
    call: Call,
    fd: int,
    lookup: int,
    path: int,
    path_len: int,
    oflags: int,
    base: int,
    inheriting: int,
    fdflags: int,
    opened_fd: int,
) -> None:
    """Open or make a file, or open a directory; write its descriptor.

    The descriptor gets those of the rights asked for that the directory can give and that make
    sense for what was opened.  Without `FD_WRITE` and its kin among them, it is opened for
    reading.
    """
    how = flags(Oflags, oflags)
    behaviour = flags(Fdflags, fdflags)
    follow = _follows(lookup)
    needed = Rights.PATH_OPEN
    if Oflags.CREAT in how:
        needed |= Rights.PATH_CREATE_FILE
    if Oflags.TRUNC in how:
        needed |= Rights.PATH_FILESTAT_SET_SIZE
    parent, directory = call.table.directory(fd, needed)
    name = call.memory.path(path, path_len)
    call.memory.check(opened_fd, 4, 4)
    call.table.check_room()
    granted = Rights(base & ALL_RIGHTS) & parent.inheriting
    access = _access(granted)
    open_flags = OpenFlags(0)
    for flag, own in _OPEN_FLAGS:
        if flag in how:
            open_flags |= own

    def open_and_look() -> tuple[Directory | File, Filetype]:
        opened = directory.open_at(
            name,
            follow=follow,
            open_flags=open_flags,
            file_flags=file_flags(behaviour),
            access=access,
        )
        try:
            return opened, FILETYPES[opened.stat().type]
        except BaseException:
            opened.close()
            raise

    opened, filetype = await call.driver.work(
        open_and_look, discard=lambda result: result[0].close()
    )
    sensible = DIRECTORY_RIGHTS if isinstance(opened, Directory) else FILE_RIGHTS
    entry = Descriptor(
        opened,
        filetype,
        granted & sensible,
        Rights(inheriting & ALL_RIGHTS) & parent.inheriting,
        flags=NO_FLAGS if isinstance(opened, Directory) else behaviour,
        owned=True,
    )
    call.memory.write_u32(opened_fd, call.table.add(entry))


def _access(granted: Rights) -> Access:
    if not granted & _WRITES:
        return Access.READ
    return Access.READ | Access.WRITE if Rights.FD_READ in granted else Access.WRITE


async def path_readlink(
    call: Call, fd: int, path: int, path_len: int, buf: int, buf_len: int, bufused: int
) -> None:
    """Write as much of a link's target as fits, without a zero, and how much that is."""
    _, directory = call.table.directory(fd, Rights.PATH_READLINK)
    name = call.memory.path(path, path_len)
    call.memory.check(buf, buf_len)
    target = (await call.driver.work(directory.read_link_at, name)).encode()[:buf_len]
    call.memory.write(buf, target)
    call.memory.write_u32(bufused, len(target))


async def path_remove_directory(call: Call, fd: int, path: int, path_len: int) -> None:
    """Remove an empty directory.  `NOTEMPTY` if it is not."""
    _, directory = call.table.directory(fd, Rights.PATH_REMOVE_DIRECTORY)
    name = call.memory.path(path, path_len)
    await call.driver.work(directory.remove_directory_at, name)


async def path_rename(
    call: Call,
    fd: int,
    old_path: int,
    old_path_len: int,
    new_fd: int,
    new_path: int,
    new_path_len: int,
) -> None:
    """Move a file or a directory, in place of what is there."""
    _, old = call.table.directory(fd, Rights.PATH_RENAME_SOURCE)
    _, new = call.table.directory(new_fd, Rights.PATH_RENAME_TARGET)
    old_name = call.memory.path(old_path, old_path_len)
    new_name = call.memory.path(new_path, new_path_len)
    await call.driver.work(old.rename_at, old_name, new, new_name)


async def path_symlink(
    call: Call, old_path: int, old_path_len: int, fd: int, new_path: int, new_path_len: int
) -> None:
    """Make a symbolic link.  `PERM` for an absolute target."""
    _, directory = call.table.directory(fd, Rights.PATH_SYMLINK)
    target = call.memory.path(old_path, old_path_len)
    name = call.memory.path(new_path, new_path_len)
    await call.driver.work(directory.symlink_at, target, name)


async def path_unlink_file(call: Call, fd: int, path: int, path_len: int) -> None:
    """Remove a file or a link.  `ISDIR` for a directory."""
    _, directory = call.table.directory(fd, Rights.PATH_UNLINK_FILE)
    name = call.memory.path(path, path_len)
    await call.driver.work(directory.unlink_file_at, name)


def _follows(lookup: int) -> bool:
    return Lookupflags.SYMLINK_FOLLOW in flags(Lookupflags, lookup)


FUNCTIONS: Final = {
    "path_create_directory": Function(path_create_directory, "iii"),
    "path_filestat_get": Function(path_filestat_get, "iiiii"),
    "path_filestat_set_times": Function(path_filestat_set_times, "iiiiIIi"),
    "path_link": Function(path_link, "iiiiiii"),
    "path_open": Function(path_open, "iiiiiIIii"),
    "path_readlink": Function(path_readlink, "iiiiii"),
    "path_remove_directory": Function(path_remove_directory, "iii"),
    "path_rename": Function(path_rename, "iiiiii"),
    "path_symlink": Function(path_symlink, "iiiii"),
    "path_unlink_file": Function(path_unlink_file, "iii"),
}
