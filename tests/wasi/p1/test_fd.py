"""Descriptors."""

from __future__ import annotations

import struct

import pytest

from asyncwasm.errors import Trap, TrapCode
from asyncwasm.wasi import BytesOutput, MemoryFilesystem, Permission
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.table import MAX_DESCRIPTORS
from asyncwasm.wasi.p1.types import (
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    Fdflags,
    Filetype,
    Fstflags,
    Oflags,
    Rights,
)
from tests.wasi.p1.guest import BUFFER, OUT

pytestmark = pytest.mark.anyio

SET, CUR, END = range(3)


async def test_reading_and_positions(guest):
    await guest.start()
    fd = await guest.open("file")
    assert fd == 4
    assert await guest.read_fd(fd, 4) == b"0123"
    assert await guest("fd_tell", fd, OUT) == Errno.SUCCESS
    assert guest.u64() == 4
    for offset, whence, position in ((-1, CUR, 3), (0, CUR, 3), (-2, END, 8), (5, SET, 5)):
        assert await guest("fd_seek", fd, offset, whence, OUT) == Errno.SUCCESS
        assert guest.u64() == position
    assert await guest("fd_seek", fd, -6, CUR, OUT) == Errno.INVAL
    assert await guest("fd_seek", fd, 0, 3, OUT) == Errno.INVAL
    assert await guest.read_fd(fd, 100) == b"56789"
    assert await guest.read_fd(fd, 100) == b""
    assert await guest("fd_pread", fd, *guest.iovecs((BUFFER, 3)), 2, OUT) == Errno.SUCCESS
    assert guest.read(BUFFER, guest.u32()) == b"234"
    assert await guest("fd_pread", fd, *guest.iovecs((BUFFER, 3)), 1 << 63, OUT) == Errno.INVAL


async def test_reading_into_many_buffers(guest):
    await guest.start()
    fd = await guest.open("file")
    guest.write(BUFFER, b"." * 40)
    iovecs = guest.iovecs((BUFFER, 2), (0, 0), (BUFFER + 10, 3), (BUFFER + 20, 20))
    assert await guest("fd_read", fd, *iovecs, OUT) == Errno.SUCCESS
    assert guest.u32() == 10
    assert guest.read(BUFFER, 27) == b"01........234.......56789.."
    assert await guest("fd_read", fd, 0, 0, OUT) == Errno.SUCCESS
    assert guest.u32() == 0
    assert await guest("fd_read", fd, BUFFER, 1025, OUT) == Errno.INVAL


async def test_writing(guest, filesystem):
    await guest.start()
    fd = await guest.open("new", Oflags.CREAT)
    guest.write(BUFFER, b"abcdef")
    iovecs = guest.iovecs((BUFFER, 2), (BUFFER + 4, 2))
    assert await guest("fd_write", fd, *iovecs, OUT) == Errno.SUCCESS
    assert guest.u32() == 4
    assert await guest("fd_pwrite", fd, *guest.iovecs((BUFFER, 1)), 8, OUT) == Errno.SUCCESS
    assert filesystem.tree()["new"] == b"abef\0\0\0\0a"
    assert await guest("fd_filestat_set_size", fd, 3) == Errno.SUCCESS
    assert await guest("fd_allocate", fd, 2, 4) == Errno.SUCCESS
    assert filesystem.tree()["new"] == b"abe\0\0\0"
    assert await guest("fd_sync", fd) == await guest("fd_datasync", fd) == Errno.SUCCESS
    assert await guest("fd_advise", fd, 0, 0, 3) == Errno.SUCCESS
    assert await guest("fd_advise", fd, 0, 0, 6) == Errno.INVAL
    # No more than 64 KiB are written at once.
    assert await guest("fd_write", fd, *guest.iovecs((0, 65536), (0, 65536)), OUT) == 0
    assert guest.u32() == 65536


async def test_appending(guest, filesystem):
    await guest.start()
    fd = await guest.open("file", fdflags=Fdflags.APPEND)
    assert await guest.write_fd(fd, b"ab") == 2
    assert filesystem.tree()["file"] == b"0123456789ab"
    assert await guest("fd_fdstat_get", fd, OUT) == Errno.SUCCESS
    assert guest.unpack("<BxH") == (Filetype.REGULAR_FILE, Fdflags.APPEND)
    assert await guest("fd_fdstat_set_flags", fd, 0) == Errno.SUCCESS
    assert await guest("fd_fdstat_set_flags", fd, 32) == Errno.INVAL
    assert await guest("fd_seek", fd, 0, SET, OUT) == Errno.SUCCESS
    assert await guest.write_fd(fd, b"X") == 1
    assert filesystem.tree()["file"] == b"X123456789ab"


async def test_metadata(make_guest):
    files = MemoryFilesystem({"file": b"0123"}, clock=lambda: 5_000)
    guest = await make_guest(preopens={"/": files.root()}).start()
    fd = await guest.open("file")
    assert await guest("fd_filestat_get", fd, OUT) == Errno.SUCCESS
    _, inode, kind, links, size, *times = guest.unpack("<QQB7xQQQQQ")
    assert (kind, links, size, times) == (Filetype.REGULAR_FILE, 1, 4, [5_000] * 3)
    assert await guest("fd_filestat_set_times", fd, 1, 2, Fstflags.ATIM) == Errno.SUCCESS
    assert await guest("fd_filestat_get", fd, OUT) == Errno.SUCCESS
    assert guest.unpack("<QQ", OUT + 40) == (1, 5_000)
    both = Fstflags.MTIM | Fstflags.MTIM_NOW
    assert await guest("fd_filestat_set_times", fd, 1, 2, both) == Errno.INVAL
    assert await guest("fd_filestat_set_times", fd, 1, 2, 16) == Errno.INVAL
    assert await guest("fd_filestat_set_times", fd, 1, 7, Fstflags.MTIM) == Errno.SUCCESS
    assert await guest("fd_filestat_set_times", 3, 1, 7, Fstflags.MTIM) == Errno.SUCCESS
    assert await guest("fd_filestat_get", 3, OUT) == Errno.SUCCESS
    assert guest.unpack("<B", OUT + 16) == (Filetype.DIRECTORY,)
    assert guest.u64(OUT + 48) == 7
    assert inode


async def test_directories_are_no_files(guest):
    await guest.start()
    iovecs = guest.iovecs((BUFFER, 4))
    assert await guest("fd_read", 3, *iovecs, OUT) == Errno.ISDIR
    assert await guest("fd_write", 3, *iovecs, OUT) == Errno.ISDIR
    assert await guest("fd_pread", 3, *iovecs, 0, OUT) == Errno.ISDIR
    assert await guest("fd_pwrite", 3, *iovecs, 0, OUT) == Errno.ISDIR
    assert await guest("fd_seek", 3, 0, SET, OUT) == Errno.ISDIR
    assert await guest("fd_tell", 3, OUT) == Errno.ISDIR
    assert await guest("fd_filestat_set_size", 3, 0) == Errno.ISDIR
    assert await guest("fd_allocate", 3, 0, 1) == Errno.ISDIR
    assert await guest("fd_sync", 3) == Errno.SUCCESS
    assert await guest("fd_fdstat_set_flags", 3, Fdflags.APPEND) == Errno.INVAL


async def test_streams_are_no_files(make_guest):
    out = BytesOutput()
    guest = await make_guest(stdin=b"abc", stdout=out).start()
    iovecs = guest.iovecs((BUFFER, 4))
    for name, args in (
        ("fd_pread", (*iovecs, 0, OUT)),
        ("fd_seek", (0, CUR, OUT)),
        ("fd_tell", (OUT,)),
        ("fd_advise", (0, 0, 0)),
    ):
        assert await guest(name, 0, *args) == Errno.SPIPE
    assert await guest("fd_pwrite", 1, *iovecs, 0, OUT) == Errno.SPIPE
    assert await guest("fd_sync", 1) == Errno.INVAL
    assert await guest("fd_filestat_set_times", 1, 0, 0, 0) == Errno.BADF
    assert await guest("fd_prestat_get", 0, OUT) == Errno.BADF
    assert await guest("fd_readdir", 0, BUFFER, 10, 0, OUT) == Errno.NOTDIR
    assert await guest("fd_filestat_get", 0, OUT) == Errno.SUCCESS
    assert guest.read(OUT, 64) == bytes(64)
    assert await guest.read_fd(0, 2) == b"ab"
    assert await guest.read_fd(1, 2) == Errno.NOTCAPABLE
    assert await guest.write_fd(0, b"x") == Errno.NOTCAPABLE
    assert await guest.write_fd(1, b"out") == 3
    assert await guest.write_fd(2, b"lost") == 4
    assert out.getvalue() == b"out"


async def test_rights(guest):
    await guest.start()
    assert await guest("fd_fdstat_get", 3, OUT) == Errno.SUCCESS
    assert guest.unpack("<BxH4xQQ") == (
        Filetype.DIRECTORY, 0, DIRECTORY_RIGHTS, DIRECTORY_RIGHTS | FILE_RIGHTS
    )  # fmt: skip
    # Rights that make no sense for a file, and unknown ones, are not given.
    fd = await guest.open("file", base=-1, inheriting=-1)
    assert await guest("fd_fdstat_get", fd, OUT) == Errno.SUCCESS
    assert guest.unpack("<QQ", OUT + 8) == (FILE_RIGHTS, DIRECTORY_RIGHTS | FILE_RIGHTS)
    less = FILE_RIGHTS & ~Rights.FD_READ
    assert await guest("fd_fdstat_set_rights", fd, less, 0) == Errno.SUCCESS
    assert await guest("fd_fdstat_set_rights", fd, FILE_RIGHTS, 0) == Errno.NOTCAPABLE
    assert await guest.read_fd(fd, 1) == Errno.NOTCAPABLE
    assert await guest.write_fd(fd, b"x") == 1
    fd = await guest.open("file", base=Rights.FD_READ)
    assert await guest("fd_seek", fd, 0, CUR, OUT) == Errno.NOTCAPABLE
    assert await guest.write_fd(fd, b"x") == Errno.NOTCAPABLE
    # What a directory cannot hand on, nothing opened through it has.
    sub = await guest.open(
        "sub", Oflags.DIRECTORY, base=DIRECTORY_RIGHTS, inheriting=Rights.FD_READ
    )
    fd = await guest.open("inner", fd=sub)
    assert await guest("fd_fdstat_get", fd, OUT) == Errno.SUCCESS
    assert guest.u64(OUT + 8) == Rights.FD_READ
    assert await guest("fd_fdstat_set_rights", 3, Rights.FD_READDIR, 0) == Errno.SUCCESS
    assert await guest.open("file") == Errno.NOTCAPABLE


async def test_permissions(make_guest, filesystem):
    guest = await make_guest(preopens={"/": filesystem.root(Permission.READ_ONLY)}).start()
    assert await guest.open("file") == Errno.PERM
    assert await guest.open("new", Oflags.CREAT) == Errno.PERM
    fd = await guest.open("file", base=Rights.FD_READ)
    assert await guest.read_fd(fd, 4) == b"0123"
    assert await guest("path_unlink_file", 3, *guest.path("file")) == Errno.PERM


async def test_closing(guest, filesystem):
    await guest.start()
    first, second = await guest.open("file"), await guest.open("file")
    assert (first, second) == (4, 5)
    assert await guest("fd_close", first) == Errno.SUCCESS
    assert await guest("fd_close", first) == Errno.BADF
    assert await guest.read_fd(first, 1) == Errno.BADF
    assert await guest("fd_close", second) == Errno.SUCCESS
    # Numbers are used again, the highest first.
    assert [await guest.open("file") for _ in range(3)] == [5, 4, 6]
    assert await guest("fd_close", 3) == Errno.SUCCESS
    assert await guest("fd_prestat_get", 3, OUT) == Errno.BADF
    assert filesystem.open_count == 4  # ours is one of them
    guest.ctx.close()
    assert filesystem.open_count == 1


async def test_renumbering(guest, filesystem):
    await guest.start()
    first, second = await guest.open("file"), await guest.open("sub/inner")
    assert await guest("fd_renumber", first, second) == Errno.SUCCESS
    assert await guest.read_fd(second, 3) == b"012"
    assert await guest.read_fd(first, 3) == Errno.BADF
    assert filesystem.open_count == 2
    assert await guest("fd_renumber", second, first) == Errno.BADF
    assert await guest("fd_renumber", second, second) == Errno.SUCCESS
    assert await guest("fd_renumber", second, 0) == Errno.SUCCESS
    assert await guest.read_fd(0, 3) == b"345"
    assert await guest("fd_renumber", 0, 3) == Errno.SUCCESS
    assert filesystem.open_count == 2


async def test_there_are_only_so_many(guest, filesystem):
    await guest.start()
    count = 0
    while isinstance(await guest.open("file"), int) and count < 2000:
        count += 1
        if count + 4 == MAX_DESCRIPTORS:
            break
    assert await guest.open("file") is not None
    assert await guest.open("file") == Errno.MFILE
    assert await guest.open("new", Oflags.CREAT) == Errno.MFILE
    assert "new" not in filesystem.tree()


async def test_preopens(make_guest, filesystem):
    root = filesystem.root()
    guest = await make_guest(preopens={"/d": root, "/längér": root}).start()
    assert await guest("fd_prestat_get", 3, OUT) == Errno.SUCCESS
    assert guest.read(OUT, 8) == bytes([0, 0, 0, 0, 2, 0, 0, 0])
    name = "/längér".encode()
    assert await guest("fd_prestat_get", 4, OUT) == Errno.SUCCESS
    assert guest.unpack("<B3xI") == (0, len(name))
    assert await guest("fd_prestat_dir_name", 4, BUFFER, len(name)) == Errno.SUCCESS
    assert guest.read(BUFFER, len(name) + 1) == name + b"\0"
    assert await guest("fd_prestat_dir_name", 4, BUFFER, len(name) - 1) == Errno.NAMETOOLONG
    assert await guest("fd_prestat_dir_name", 5, BUFFER, 100) == Errno.BADF
    root.close()


def entries(data: bytes) -> list[tuple[str, int, int]]:
    """Name, type and cookie of the whole entries in what `fd_readdir` wrote."""
    found = []
    at = 0
    while at + 24 <= len(data):
        cookie, _, size, kind = struct.unpack_from("<QQIB3x", data, at)
        name = data[at + 24 : at + 24 + size]
        if len(name) < size:
            break
        found.append((name.decode(), kind, cookie))
        at += 24 + size
    return found


async def test_reading_directories(guest):
    await guest.start()
    assert await guest("fd_readdir", 3, BUFFER, 4096, 0, OUT) == Errno.SUCCESS
    assert entries(guest.read(BUFFER, guest.u32())) == [
        (".", Filetype.DIRECTORY, 1),
        ("..", Filetype.DIRECTORY, 2),
        ("file", Filetype.REGULAR_FILE, 3),
        ("sub", Filetype.DIRECTORY, 4),
    ]
    assert await guest("fd_readdir", 3, BUFFER, 4096, 4, OUT) == Errno.SUCCESS
    assert guest.u32() == 0
    assert await guest("fd_readdir", 3, BUFFER, 0, 0, OUT) == Errno.SUCCESS
    assert guest.u32() == 0


@pytest.mark.parametrize("size", [30, 50, 77, 400, 70_000])
async def test_reading_directories_in_pieces(make_guest, size):
    names = {f"{i:04}" for i in range(2500)}
    files = MemoryFilesystem(dict.fromkeys(names, b""))
    guest = await make_guest(preopens={"/": files.root()}).start()
    found: list[str] = []
    cookie = 0
    while True:
        assert await guest("fd_readdir", 3, BUFFER, size, cookie, OUT) == Errno.SUCCESS
        used = guest.u32()
        whole = entries(guest.read(BUFFER, used))
        found += [name for name, _, _ in whole]
        if used < size:
            break
        cookie = whole[-1][2]
        if size < 400 and len(found) > 50:
            return
    assert len(found) == len(set(found)) == 2502
    assert set(found) == {".", "..", *names}


async def test_bad_pointers_trap(guest):
    await guest.start()
    fd = await guest.open("file")
    for address, size in ((131_072, 1), (131_070, 4), (0xFFFF_FFFF, 2), (0, 0x8000_0000)):
        for call in (
            ("fd_read", fd, *guest.iovecs((address, size)), OUT),
            ("fd_write", fd, *guest.iovecs((address, size)), OUT),
            ("random_get", address, size),
            ("path_open", 3, 0, address, size, 0, 0, 0, 0, OUT),
            ("fd_readdir", 3, address, size, 0, OUT),
        ):
            with pytest.raises(Trap) as caught:
                await guest(*call)
            assert caught.value.code is TrapCode.MEMORY_OUT_OF_BOUNDS
    for call in (
        ("fd_fdstat_get", fd, 131_056),
        ("fd_read", fd, 131_072, 1, OUT),
        ("fd_read", fd, 0, 0xFFFF_FFFF, OUT),
        ("fd_tell", fd, 0xFFFF_FFF8),
        ("args_sizes_get", OUT, 131_072),
    ):
        with pytest.raises(Trap) as caught:
            await guest(*call)
        assert caught.value.code is TrapCode.MEMORY_OUT_OF_BOUNDS
    with pytest.raises(Trap) as caught:
        await guest("fd_tell", fd, OUT + 1)
    assert caught.value.code is TrapCode.HEAP_MISALIGNED
    # The program is as it was.
    assert await guest.read_fd(fd, 2) == b"01"
