"""Paths: what the functions make of what the host's directories do."""

from __future__ import annotations

import pytest

from asyncwasm.wasi import MemoryFilesystem, Permission
from asyncwasm.wasi.host.filesystem import Symlink
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.memory import MAX_PATH
from asyncwasm.wasi.p1.types import DIRECTORY_RIGHTS, Filetype, Fstflags, Oflags, Rights
from tests.wasi.p1.guest import BUFFER, OTHER_PATH, OUT, PATH

pytestmark = pytest.mark.anyio


@pytest.fixture
def filesystem():
    return MemoryFilesystem({"file": b"0123456789", "sub": {}, "link": Symlink("file")})


async def test_directories(guest, filesystem):
    await guest.start()
    assert await guest("path_create_directory", 3, *guest.path("sub/a")) == Errno.SUCCESS
    assert await guest("path_create_directory", 3, *guest.path("sub/a")) == Errno.EXIST
    assert await guest("path_remove_directory", 3, *guest.path("sub")) == Errno.NOTEMPTY
    assert await guest("path_remove_directory", 3, *guest.path("sub/a")) == Errno.SUCCESS
    assert await guest("path_remove_directory", 3, *guest.path("file")) == Errno.NOTDIR
    assert await guest("path_create_directory", 0, *guest.path("x")) == Errno.NOTDIR
    assert await guest("path_create_directory", 9, *guest.path("x")) == Errno.BADF
    assert filesystem.tree()["sub"] == {}


async def test_opening(guest, filesystem):
    await guest.start()
    assert await guest.open("none") == Errno.NOENT
    assert await guest.open("file", Oflags.CREAT | Oflags.EXCL) == Errno.EXIST
    assert await guest.open("file", Oflags.DIRECTORY) == Errno.NOTDIR
    assert await guest.open("sub") == Errno.ISDIR  # for writing
    sub = await guest.open("sub", Oflags.DIRECTORY, base=DIRECTORY_RIGHTS)
    new = await guest.open("new", Oflags.CREAT, fd=sub)
    assert await guest.write_fd(new, b"abc") == 3
    assert filesystem.tree()["sub"] == {"new": b"abc"}
    assert await guest.open("../file", fd=sub) == Errno.PERM
    assert await guest.open("/file") == Errno.PERM
    assert await guest.open("") == Errno.NOENT
    assert await guest.open("file\0") == Errno.INVAL
    assert await guest.open(b"\xff") == Errno.ILSEQ
    assert await guest.open("x" * 256) == Errno.NAMETOOLONG
    assert await guest.open("x/" * (MAX_PATH // 2 + 1)) == Errno.NAMETOOLONG
    assert await guest.open("link", follow=False) == Errno.LOOP
    assert await guest.read_fd(await guest.open("link"), 3) == b"012"
    await guest.open("file", Oflags.TRUNC)
    assert filesystem.tree()["file"] == b""
    for field, value in (("oflags", 16), ("fdflags", 32)):
        assert await guest.open("file", **{field: value}) == Errno.INVAL
    args = (3, 2, *guest.path("file"), 0, 0, 0, 0, OUT)
    assert await guest("path_open", *args) == Errno.INVAL
    assert await guest.open("file", fd=new) == Errno.NOTDIR


async def test_opening_without_rights_reads(guest):
    await guest.start()
    fd = await guest.open("file", base=0)
    assert await guest.read_fd(fd, 1) == Errno.NOTCAPABLE
    fd = await guest.open("file", base=Rights.FD_WRITE)
    assert await guest.read_fd(fd, 1) == Errno.NOTCAPABLE
    assert await guest.write_fd(fd, b"x") == 1


async def test_metadata(guest):
    await guest.start()
    for follow, kind, size in ((0, Filetype.SYMBOLIC_LINK, 4), (1, Filetype.REGULAR_FILE, 10)):
        args = (3, follow, *guest.path("link"), OUT)
        assert await guest("path_filestat_get", *args) == Errno.SUCCESS
        assert (guest.unpack("<B", OUT + 16)[0], guest.u64(OUT + 32)) == (kind, size)
    args = (3, 0, *guest.path("file"), 7, 9, Fstflags.ATIM | Fstflags.MTIM)
    assert await guest("path_filestat_set_times", *args) == Errno.SUCCESS
    assert await guest("path_filestat_get", 3, 0, *guest.path("file"), OUT) == Errno.SUCCESS
    assert guest.unpack("<QQ", OUT + 40) == (7, 9)
    args = (3, 0, *guest.path("file"), 7, 9, Fstflags.ATIM | Fstflags.ATIM_NOW)
    assert await guest("path_filestat_set_times", *args) == Errno.INVAL


async def test_links(guest, filesystem):
    await guest.start()

    async def link(old: str, new: str, follow: int = 0) -> Errno:
        paths = (*guest.path(old), 3, *guest.path(new, OTHER_PATH))
        return await guest("path_link", 3, follow, *paths)

    async def symlink(target: str, new: str) -> Errno:
        return await guest("path_symlink", *guest.path(target), 3, *guest.path(new, OTHER_PATH))

    async def readlink(path: str, size: int) -> bytes | Errno:
        guest.write(BUFFER, b"........")
        error = await guest("path_readlink", 3, *guest.path(path), BUFFER, size, OUT)
        return guest.read(BUFFER, 8) + bytes([guest.u32()]) if error == 0 else error

    assert await link("file", "sub/hard") == Errno.SUCCESS
    assert await link("sub", "x") == Errno.PERM
    assert await link("link", "followed", 1) == Errno.SUCCESS
    assert filesystem.tree()["followed"] == b"0123456789"
    assert await symlink("sub/hard", "soft") == Errno.SUCCESS
    assert await symlink("/etc", "soft2") == Errno.PERM
    assert await symlink("x", "soft") == Errno.EXIST
    assert await readlink("soft", 8) == b"sub/hard\x08"
    assert await readlink("soft", 3) == b"sub.....\x03"
    assert await readlink("soft", 0) == b"........\x00"
    assert await readlink("file", 8) == Errno.INVAL


async def test_renaming_and_removing(make_guest, filesystem):
    other = MemoryFilesystem()
    guest = await make_guest(preopens={"/": filesystem.root(), "/o": other.root()}).start()

    async def rename(old: str, new: str, fd: int = 3) -> Errno:
        paths = (*guest.path(old), fd, *guest.path(new, OTHER_PATH))
        return await guest("path_rename", 3, *paths)

    assert await rename("file", "sub/moved") == Errno.SUCCESS
    assert await rename("file", "sub/moved") == Errno.NOENT
    assert await rename("sub/moved", "there", fd=4) == Errno.XDEV
    assert filesystem.tree()["sub"] == {"moved": b"0123456789"}
    assert await guest("path_unlink_file", 3, *guest.path("sub")) == Errno.ISDIR
    assert await guest("path_unlink_file", 3, *guest.path("sub/moved")) == Errno.SUCCESS
    assert await guest("path_unlink_file", 3, *guest.path("sub/moved")) == Errno.NOENT


async def test_a_directory_of_the_host(make_guest, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_text("text")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inside" / "out").symlink_to("../secret")
    inside = tmp_path / "inside"
    guest = await make_guest(
        preopens={"/ro": inside, "/rw": (inside, Permission.READ_WRITE)}
    ).start()
    assert await guest.open("file") == Errno.PERM
    assert await guest.read_fd(await guest.open("file", base=Rights.FD_READ), 9) == b"text"
    assert await guest.open("out", fd=4) == Errno.PERM
    assert await guest.open("../secret", fd=4) == Errno.PERM
    fd = await guest.open("new", Oflags.CREAT, fd=4)
    assert await guest.write_fd(fd, b"written") == 7
    assert (inside / "new").read_text() == "written"


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("path_create_directory", (3, PATH, 1)),
        ("path_filestat_get", (3, 0, PATH, 1, OUT)),
        ("path_filestat_set_times", (3, 0, PATH, 1, 0, 0, 0)),
        ("path_link", (3, 0, PATH, 1, 3, PATH, 1)),
        ("path_open", (3, 0, PATH, 1, 0, 0, 0, 0, OUT)),
        ("path_readlink", (3, PATH, 1, BUFFER, 1, OUT)),
        ("path_remove_directory", (3, PATH, 1)),
        ("path_rename", (3, PATH, 1, 3, PATH, 1)),
        ("path_symlink", (PATH, 1, 3, PATH, 1)),
        ("path_unlink_file", (3, PATH, 1)),
    ],
)
async def test_rights_are_needed(guest, name, args):
    await guest.start()
    assert await guest("fd_fdstat_set_rights", 3, 0, 0) == Errno.SUCCESS
    guest.path("x")
    assert await guest(name, *args) == Errno.NOTCAPABLE
