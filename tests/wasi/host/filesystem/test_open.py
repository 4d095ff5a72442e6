"""`Directory.open_at`, the same for real files and files in memory."""

from __future__ import annotations

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    Directory,
    ErrorCode,
    File,
    FileFlags,
    FileType,
    OpenFlags,
    Permission,
)
from tests.wasi.host.filesystem.helpers import (
    NEW,
    READ_WRITE,
    fails,
    get,
    names,
    open_dir,
    open_file,
    put,
)


def test_creates_writes_and_reads_back(directory):
    with open_file(directory, "file", open_flags=NEW, access=Access.WRITE) as file:
        assert file.write(b"hello") == 5
    assert get(directory, "file") == b"hello"
    assert get(directory, b"file") == b"hello"


def test_what_is_not_there_is_not_opened(directory):
    with fails(ErrorCode.NOENT):
        directory.open_at("missing")
    with fails(ErrorCode.NOENT):
        directory.open_at("missing/file", open_flags=OpenFlags.CREATE)
    assert names(directory) == []


def test_create_opens_what_is_there(directory):
    put(directory, "file", b"old")
    with open_file(directory, "file", open_flags=OpenFlags.CREATE) as file:
        assert file.read(10) == b"old"


def test_exclusive_creation_fails_if_there_is_anything(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("nowhere", "link")
    for path in ("file", "dir", "link"):
        for follow in (False, True):
            with fails(ErrorCode.EXIST):
                directory.open_at(path, open_flags=NEW, follow=follow)
    assert names(directory) == ["dir", "file", "link"]


def test_exclusive_means_nothing_without_create(directory):
    put(directory, "file", b"x")
    with open_file(directory, "file", open_flags=OpenFlags.EXCLUSIVE) as file:
        assert file.read(10) == b"x"


def test_truncates_even_what_is_opened_for_reading(directory):
    for access in (Access.READ, Access.WRITE, Access(0)):
        put(directory, "file", b"long content")
        with open_file(directory, "file", open_flags=OpenFlags.TRUNCATE, access=access) as file:
            assert file.stat().size == 0


def test_access_is_enforced(directory):
    put(directory, "file", b"data")
    with open_file(directory, "file", access=Access.READ) as file:
        for write in (
            lambda: file.write(b"x"),
            lambda: file.pwrite(b"x", 0),
            lambda: file.append(b"x"),
            lambda: file.set_size(0),
            lambda: file.allocate(0, 10),
        ):
            with fails(ErrorCode.BADF):
                write()
    # Also where the system had to open it for both.
    flags = OpenFlags.TRUNCATE
    with (
        open_file(directory, "file", access=Access.READ, open_flags=flags) as file,
        fails(ErrorCode.BADF),
    ):
        file.write(b"x")
    with open_file(directory, "file", access=Access.WRITE) as file:
        with fails(ErrorCode.BADF):
            file.read(1)
        with fails(ErrorCode.BADF):
            file.pread(1, 0)
    with open_file(directory, "file", access=Access(0)) as file:
        with fails(ErrorCode.BADF):
            file.read(1)
        assert file.stat().size == 0


@pytest.mark.parametrize("path", ["dir", "dir/", "dir///", "dir/.", "./dir", "dir/sub/..", "."])
def test_opens_directories(directory, path):
    directory.create_directory_at("dir")
    directory.create_directory_at("dir/sub")
    for open_flags in (OpenFlags(0), OpenFlags.DIRECTORY):
        with open_dir(directory, path, open_flags=open_flags) as opened:
            assert opened.stat().type is FileType.DIRECTORY
            assert opened.stat().inode == directory.stat_at(path).inode


def test_a_directory_can_be_opened_without_asking_for_access(directory):
    with open_dir(directory, ".", access=Access(0), file_flags=FileFlags.NONBLOCK) as opened:
        assert names(opened) == []


def test_directories_are_not_written(directory):
    directory.create_directory_at("dir")
    for path in ("dir", "dir/", "."):
        for options in (
            {"access": Access.WRITE},
            {"access": READ_WRITE},
            {"access": READ_WRITE, "open_flags": OpenFlags.DIRECTORY},
            {"open_flags": OpenFlags.CREATE},
            {"open_flags": OpenFlags.TRUNCATE},
        ):
            with fails(ErrorCode.ISDIR):
                directory.open_at(path, **options)


def test_a_file_is_no_directory(directory):
    put(directory, "file")
    for path in ("file/", "file///", "file/.", "file/x", "file/..", "file/../file"):
        with fails(ErrorCode.NOTDIR):
            directory.open_at(path)
    with fails(ErrorCode.NOTDIR):
        directory.open_at("file", open_flags=OpenFlags.DIRECTORY)


def test_directories_are_not_created_by_opening(directory):
    with fails(ErrorCode.ISDIR):
        directory.open_at("new/", open_flags=OpenFlags.CREATE)
    for flag in (OpenFlags.CREATE, OpenFlags.TRUNCATE):
        with fails(ErrorCode.INVAL):
            directory.open_at("new", open_flags=OpenFlags.DIRECTORY | flag)
    assert names(directory) == []


def test_a_link_is_followed_only_if_asked(directory):
    put(directory, "file", b"data")
    directory.create_directory_at("dir")
    directory.symlink_at("file", "to_file")
    directory.symlink_at("dir", "to_dir")
    for path in ("to_file", "to_dir"):
        for open_flags in (OpenFlags(0), OpenFlags.DIRECTORY, OpenFlags.CREATE):
            with fails(ErrorCode.LOOP):
                directory.open_at(path, open_flags=open_flags)
    assert get(directory, "to_file", follow=True) == b"data"
    open_dir(directory, "to_dir", follow=True).close()
    # A slash at the end asks for it.
    open_dir(directory, "to_dir/").close()
    with fails(ErrorCode.NOTDIR):
        directory.open_at("to_file", follow=True, open_flags=OpenFlags.DIRECTORY)
    with fails(ErrorCode.NOTDIR):
        directory.open_at("to_file/", follow=True)


def test_links_on_the_way_are_always_followed(directory):
    directory.create_directory_at("a")
    directory.create_directory_at("a/b")
    put(directory, "a/b/file", b"data")
    directory.symlink_at("a/b", "ab")
    directory.symlink_at("../ab/./..", "a/self")
    directory.symlink_at("self/self/b/", "a/b2")
    for path in ("ab/file", "a/self/b/file", "a/b2/file", "ab/../../ab/file", "a/self/../ab/file"):
        assert get(directory, path) == b"data"


def test_a_target_with_a_slash_names_a_directory(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("file/", "to_file")
    directory.symlink_at("dir/", "to_dir")
    open_dir(directory, "to_dir", follow=True).close()
    with fails(ErrorCode.NOTDIR):
        directory.open_at("to_file", follow=True)


def test_creates_through_a_dangling_link_inside(directory):
    directory.create_directory_at("dir")
    directory.symlink_at("dir/new", "link")
    with fails(ErrorCode.NOENT):
        directory.open_at("link", follow=True)
    open_file(directory, "link", follow=True, open_flags=OpenFlags.CREATE).close()
    assert names(directory) == ["dir", "link"]
    with open_dir(directory, "dir") as opened:
        assert names(opened) == ["new"]


def test_links_that_go_round(directory):
    directory.symlink_at("self", "self")
    directory.symlink_at("b", "a")
    directory.symlink_at("a", "b")
    for path in ("self", "a", "self/x", "a/x", "self/", "b/.."):
        with fails(ErrorCode.LOOP):
            directory.open_at(path, follow=True)


@pytest.mark.parametrize(("count", "ends"), [(40, True), (41, False)])
def test_how_many_links_are_followed(directory, count, ends):
    put(directory, "0", b"data")
    for i in range(count):
        directory.symlink_at(str(i), str(i + 1))
    if ends:
        assert get(directory, str(count), follow=True) == b"data"
    else:
        with fails(ErrorCode.LOOP):
            directory.open_at(str(count), follow=True)


def test_deep_paths(world):
    directory = world.directory
    depth = 300
    path = "/".join("d" * depth)
    here = directory
    for _ in range(depth):
        here.create_directory_at("d")
        inner = open_dir(here, "d")
        if here is not directory:
            here.close()
        here = inner
    put(here, "file", b"data")
    here.close()
    if world.kind == "host":
        assert get(directory, path + "/file") == b"data"
    else:
        # A walk by hand holds only so many directories.
        with fails(ErrorCode.NAMETOOLONG):
            get(directory, path + "/file")
    for end in range(0, 2 * 100, 2):
        assert directory.stat_at(path[: end + 1]).type is FileType.DIRECTORY


def test_what_was_opened_outlives_the_directory_and_its_name(directory):
    directory.create_directory_at("dir")
    inner = open_dir(directory, "dir")
    file = open_file(inner, "file", open_flags=NEW, access=READ_WRITE)
    inner.close()
    directory.rename_at("dir", directory, "renamed")
    directory.unlink_file_at("renamed/file")
    assert file.write(b"still here") == 10
    assert file.pread(20, 0) == b"still here"
    assert file.stat().links == 0
    file.close()


def test_a_removed_directory_is_empty_and_takes_nothing(directory):
    directory.create_directory_at("dir")
    with open_dir(directory, "dir") as removed:
        directory.remove_directory_at("dir")
        assert names(removed) == []
        with fails(ErrorCode.NOENT):
            removed.create_directory_at("new")
        with fails(ErrorCode.NOENT):
            removed.open_at("new", open_flags=OpenFlags.CREATE)


def test_everything_fails_once_closed(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    file = open_file(directory, "file", access=READ_WRITE)
    opened = open_dir(directory, "dir")
    opened.readdir()
    for thing in (file, opened):
        assert not thing.closed
        thing.close()
        thing.close()
        assert thing.closed
    for operation in (
        lambda: opened.open_at("x"),
        lambda: opened.open_at("x/y"),
        lambda: opened.stat(),
        lambda: opened.readdir(),
        lambda: opened.readdir(1),
        lambda: opened.sync(),
        lambda: opened.set_times(1, 1),
        lambda: opened.create_directory_at("x"),
        lambda: opened.rename_at("x", directory, "y"),
        lambda: directory.rename_at("file", opened, "y"),
        lambda: directory.link_at("file", opened, "y"),
        lambda: file.read(1),
        lambda: file.pread(1, 0),
        lambda: file.write(b"x"),
        lambda: file.pwrite(b"x", 0),
        lambda: file.append(b"x"),
        lambda: file.tell(),
        lambda: file.stat(),
        lambda: file.sync(),
        lambda: file.datasync(),
        lambda: file.set_size(1),
        lambda: file.allocate(0, 1),
        lambda: file.advise(0, 1, 0),
        lambda: file.set_times(1, 1),
        lambda: file.set_flags(FileFlags.APPEND),
    ):
        with fails(ErrorCode.BADF):
            operation()


def test_what_is_opened_has_the_same_permissions_or_fewer(world):
    world.mkdir("root/dir")
    world.write("root/dir/file")
    with (
        open_dir(world.directory, "dir", permissions=Permission.READ_ONLY) as reduced,
        open_dir(reduced, ".", permissions=Permission.READ_WRITE) as again,
    ):
        assert reduced.permissions == again.permissions == Permission.READ_ONLY
        with open_file(again, "file") as file:
            assert isinstance(file, File)
            assert file.permissions == Permission.READ_ONLY
    assert isinstance(world.directory, Directory)
