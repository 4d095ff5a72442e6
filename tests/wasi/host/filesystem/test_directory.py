"""What `Directory` does with names, the same for real files and files in memory."""

from __future__ import annotations

import pytest

from asyncwasm.wasi.host.filesystem import (
    ErrorCode,
    FileType,
    MemoryFilesystem,
    OpenFlags,
    SetTime,
)
from tests.wasi.host.filesystem.helpers import fails, get, names, open_dir, open_file, put


def test_directories_are_made_and_removed(directory):
    directory.create_directory_at("a")
    directory.create_directory_at("a/b/")
    assert directory.stat_at("a/b").type is FileType.DIRECTORY
    with fails(ErrorCode.NOTEMPTY):
        directory.remove_directory_at("a")
    directory.remove_directory_at("a/b/")
    directory.remove_directory_at("a")
    with fails(ErrorCode.NOENT):
        directory.remove_directory_at("a")
    assert names(directory) == []


def test_what_is_in_the_way_of_a_new_directory(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("nowhere", "link")
    for path in ("file", "file/", "dir", "dir/", "dir/.", ".", "dir/..", "link", "link/"):
        with fails(ErrorCode.EXIST, ErrorCode.NOTDIR if path == "file/" else ErrorCode.EXIST):
            directory.create_directory_at(path)
    for path in ("missing/new", "missing/.", "new/.", "link/new"):
        with fails(ErrorCode.NOENT):
            directory.create_directory_at(path)
    with fails(ErrorCode.NOTDIR):
        directory.create_directory_at("file/new")
    assert names(directory) == ["dir", "file", "link"]


def test_what_is_not_removed_as_a_directory(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("dir", "link")
    for path in ("file", "file/", "link", "link/"):
        with fails(ErrorCode.NOTDIR):
            directory.remove_directory_at(path)
    for path in (".", "dir/.", "dir/..", "./"):
        with fails(ErrorCode.INVAL):
            directory.remove_directory_at(path)
    assert names(directory) == ["dir", "file", "link"]


def test_files_and_links_are_unlinked(directory):
    put(directory, "file", b"data")
    directory.symlink_at("file", "link")
    directory.unlink_file_at("link")
    assert get(directory, "file") == b"data"
    directory.unlink_file_at("./file")
    assert names(directory) == []
    with fails(ErrorCode.NOENT):
        directory.unlink_file_at("file")
    with fails(ErrorCode.NOENT):
        directory.unlink_file_at("file/")


def test_what_is_not_unlinked(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("dir", "to_dir")
    directory.symlink_at("file", "to_file")
    for path in ("dir", "dir/", ".", "dir/.", "dir/.."):
        with fails(ErrorCode.ISDIR):
            directory.unlink_file_at(path)
    for path in ("file/", "to_dir/", "to_file/"):
        with fails(ErrorCode.NOTDIR):
            directory.unlink_file_at(path)
    assert names(directory) == ["dir", "file", "to_dir", "to_file"]


def test_links_are_made_and_read(directory):
    directory.create_directory_at("dir")
    for target in ("nowhere", "../x", "dir/", ".", "a//b", "ü"):
        directory.symlink_at(target, "dir/link")
        assert directory.read_link_at("dir/link") == target
        found = directory.stat_at("dir/link")
        assert found.type is FileType.SYMBOLIC_LINK
        assert found.size == len(target.encode())
        directory.unlink_file_at("dir/link")


def test_what_is_in_the_way_of_a_new_link(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("nowhere", "link")
    for path in ("file", "file/", "dir", "dir/", ".", "link"):
        with fails(ErrorCode.EXIST):
            directory.symlink_at("target", path)
    for path in ("new/", "missing/new"):
        with fails(ErrorCode.NOENT):
            directory.symlink_at("target", path)
    assert names(directory) == ["dir", "file", "link"]


def test_targets_that_are_refused(directory):
    for target, code in [
        ("", ErrorCode.NOENT),
        ("/", ErrorCode.PERM),
        ("/etc/passwd", ErrorCode.PERM),
        ("a\0b", ErrorCode.INVAL),
        (b"\xff", ErrorCode.ILSEQ),
        ("\udcff", ErrorCode.ILSEQ),
        ("x" * 5000, ErrorCode.NAMETOOLONG),
    ]:
        with fails(code):
            directory.symlink_at(target, "link")
    assert names(directory) == []


def test_only_links_are_read(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.symlink_at("dir", "link")
    for path in ("file", "dir", "dir/", ".", "dir/..", "link/"):
        with fails(ErrorCode.INVAL):
            directory.read_link_at(path)
    with fails(ErrorCode.NOTDIR):
        directory.read_link_at("file/")
    with fails(ErrorCode.NOENT):
        directory.read_link_at("missing")


def test_stat(directory):
    put(directory, "file", b"12345")
    directory.create_directory_at("dir")
    directory.symlink_at("file", "link")
    directory.symlink_at("nowhere", "dangling")
    assert directory.stat_at("file").size == 5
    assert directory.stat_at("link").type is FileType.SYMBOLIC_LINK
    assert directory.stat_at("link", follow=True) == directory.stat_at("file")
    assert directory.stat_at("dir/..") == directory.stat_at(".") == directory.stat()
    assert directory.stat_at("dangling").type is FileType.SYMBOLIC_LINK
    with fails(ErrorCode.NOENT):
        directory.stat_at("dangling", follow=True)
    for path in ("file/", "link/", "file/."):
        with fails(ErrorCode.NOTDIR):
            directory.stat_at(path)
    assert directory.stat_at("dir").links in (1, 2)


def test_set_times_at(directory):
    put(directory, "file")
    directory.symlink_at("file", "link")
    directory.create_directory_at("dir")
    directory.set_times_at("file", 1, 2)
    directory.set_times_at("link", 3, 4)
    directory.set_times_at("dir/", 5, 6)
    assert [
        (directory.stat_at(path).accessed_ns, directory.stat_at(path).modified_ns)
        for path in ("file", "link", "dir")
    ] == [(1, 2), (3, 4), (5, 6)]
    directory.set_times_at("link", modified=7, follow=True)
    assert directory.stat_at("file").modified_ns == 7
    assert directory.stat_at("link").modified_ns == 4
    directory.set_times_at("file", SetTime.NOW, SetTime.NOW)
    assert directory.stat_at("file").modified_ns > 10**18
    directory.set_times(8, 9)
    assert (directory.stat().accessed_ns, directory.stat().modified_ns) == (8, 9)
    for path, code in [("missing", ErrorCode.NOENT), ("file/", ErrorCode.NOTDIR)]:
        with fails(code):
            directory.set_times_at(path, 1, 1)
    with fails(ErrorCode.OVERFLOW):
        directory.set_times_at("file", 2**64, 0)


def test_hard_links(directory):
    put(directory, "file", b"data")
    directory.create_directory_at("dir")
    with open_dir(directory, "dir") as inner:
        directory.link_at("file", inner, "other")
    assert directory.stat_at("file") == directory.stat_at("dir/other")
    assert directory.stat_at("file").links == 2
    directory.unlink_file_at("file")
    assert get(directory, "dir/other") == b"data"
    assert directory.stat_at("dir/other").links == 1


def test_hard_links_to_links(directory):
    directory.symlink_at("nowhere", "link")
    directory.link_at("link", directory, "other")
    assert directory.read_link_at("other") == "nowhere"
    with fails(ErrorCode.NOENT):
        directory.link_at("link", directory, "third", follow=True)
    put(directory, "file")
    directory.symlink_at("file", "to_file")
    directory.link_at("to_file", directory, "fourth", follow=True)
    assert directory.stat_at("fourth") == directory.stat_at("file")


def test_hard_links_that_are_refused(directory):
    put(directory, "file")
    put(directory, "file2")
    directory.create_directory_at("dir")
    directory.symlink_at("nowhere", "link")
    for path in ("file", "file2", "dir", "dir/", "link", ".", "file2/"):
        with fails(ErrorCode.EXIST):
            directory.link_at("file", directory, path)
    for path in ("dir", "dir/", "."):
        with fails(ErrorCode.PERM):
            directory.link_at(path, directory, "new")
    for old, new in [("missing", "new"), ("file", "new/"), ("file", "missing/new"), ("", "new")]:
        with fails(ErrorCode.NOENT):
            directory.link_at(old, directory, new)
    with fails(ErrorCode.NOTDIR):
        directory.link_at("file/", directory, "new")
    assert names(directory) == ["dir", "file", "file2", "link"]


def test_renames(directory):
    put(directory, "a", b"data")
    put(directory, "old", b"old")
    directory.create_directory_at("dir")
    directory.rename_at("a", directory, "b")
    directory.rename_at("b", directory, "old")
    with open_dir(directory, "dir") as inner:
        directory.rename_at("old", inner, "c")
        assert get(inner, "c") == b"data"
        inner.rename_at("c", directory, "a")
    directory.rename_at("a", directory, "a")
    directory.link_at("a", directory, "same")
    directory.rename_at("a", directory, "same")
    assert names(directory) == ["a", "dir", "same"]
    assert get(directory, "a") == b"data"


def test_renames_of_directories(directory):
    directory.create_directory_at("a")
    put(directory, "a/file", b"data")
    directory.create_directory_at("empty")
    for old, new in [
        ("a/", "b"),
        ("b", "a/"),
        ("a/", "b/"),
        ("b", "empty"),
        ("empty/.././empty", "a"),
    ]:
        directory.rename_at(old, directory, new)
        assert get(directory, new.rstrip("/") + "/file") == b"data"
    assert names(directory) == ["a"]
    assert directory.stat_at("a/..") == directory.stat()


def test_renames_of_links(directory):
    put(directory, "file", b"data")
    directory.symlink_at("file", "link")
    directory.rename_at("link", directory, "renamed")
    assert directory.read_link_at("renamed") == "file"
    directory.rename_at("file", directory, "renamed")
    assert get(directory, "renamed") == b"data"
    assert names(directory) == ["renamed"]


def test_renames_that_are_refused(directory):
    put(directory, "file")
    directory.create_directory_at("dir")
    directory.create_directory_at("full")
    directory.create_directory_at("full/sub")
    directory.symlink_at("dir", "link")
    for old, new, code in [
        ("missing", "new", ErrorCode.NOENT),
        ("missing", "missing", ErrorCode.NOENT),
        ("file", "missing/new", ErrorCode.NOENT),
        ("dir", "full", ErrorCode.NOTEMPTY),
        ("dir", "file", ErrorCode.NOTDIR),
        ("file", "dir", ErrorCode.ISDIR),
        ("file/", "new", ErrorCode.NOTDIR),
        ("file", "new/", ErrorCode.NOTDIR),
        ("file", "dir/", ErrorCode.NOTDIR),
        ("link/", "new", ErrorCode.NOTDIR),
        ("dir", "link/", ErrorCode.NOTDIR),
        ("dir", "link", ErrorCode.NOTDIR),
        ("full", "full/sub/new", ErrorCode.INVAL),
        ("full", "full/new", ErrorCode.INVAL),
        (".", "new", ErrorCode.BUSY),
        ("dir/.", "new", ErrorCode.BUSY),
        ("dir", ".", ErrorCode.BUSY),
        ("dir", "full/..", ErrorCode.BUSY),
        ("", "new", ErrorCode.NOENT),
        ("dir", "", ErrorCode.NOENT),
    ]:
        with fails(code):
            directory.rename_at(old, directory, new)
    assert names(directory) == ["dir", "file", "full", "link"]
    with open_dir(directory, "full") as full:
        assert names(full) == ["sub"]


def test_nothing_moves_between_file_systems(directory):
    put(directory, "file")
    with MemoryFilesystem({"other": b""}).root() as elsewhere:
        for operation in (directory.rename_at, directory.link_at):
            with fails(ErrorCode.XDEV):
                operation("file", elsewhere, "new")
        for operation in (elsewhere.rename_at, elsewhere.link_at):
            with fails(ErrorCode.XDEV):
                operation("other", directory, "new")
        assert names(elsewhere) == ["other"]
    assert names(directory) == ["file"]


def test_syncing(directory):
    put(directory, "file")
    directory.sync()
    directory.datasync()


class TestReaddir:
    def test_starts_with_itself_and_above(self, directory):
        entries = directory.readdir()
        assert [(e.name, e.type, e.next) for e in entries] == [
            (".", FileType.DIRECTORY, 1),
            ("..", FileType.DIRECTORY, 2),
        ]
        assert entries[0].inode == directory.stat().inode

    def test_says_what_things_are(self, directory):
        put(directory, "file")
        directory.create_directory_at("dir")
        directory.symlink_at("nowhere", "link")
        found = {entry.name: entry for entry in directory.readdir()}
        for name, type in [
            ("file", FileType.REGULAR_FILE),
            ("dir", FileType.DIRECTORY),
            ("link", FileType.SYMBOLIC_LINK),
        ]:
            assert found[name].type is type
            assert found[name].inode == directory.stat_at(name).inode

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
    def test_goes_on_from_a_cookie(self, directory, count):
        for i in range(20):
            put(directory, f"file{i}")
        seen: list[str] = []
        cookie = 0
        while entries := directory.readdir(cookie, count):
            assert len(entries) <= count
            seen += [entry.name for entry in entries]
            cookie = entries[-1].next
        assert sorted(seen) == sorted([".", "..", *(f"file{i}" for i in range(20))])

    def test_every_cookie_leads_on(self, directory):
        for i in range(5):
            put(directory, str(i))
        entries = directory.readdir()
        for i, entry in enumerate(entries, 1):
            assert directory.readdir(entry.next) == entries[i:]

    def test_removing_what_was_read_skips_nothing(self, directory):
        for i in range(50):
            put(directory, str(i))
        cookie = 0
        while entries := directory.readdir(cookie, 3):
            cookie = entries[-1].next
            for entry in entries:
                if entry.name not in (".", ".."):
                    directory.unlink_file_at(entry.name)
        assert names(directory) == []

    def test_looks_again_from_the_start_only(self, directory):
        put(directory, "one")
        first = directory.readdir()
        put(directory, "two")
        assert directory.readdir(1) == first[1:]
        assert directory.readdir(3) == []
        assert names(directory) == ["one", "two"]

    def test_a_cookie_from_elsewhere(self, directory):
        put(directory, "file")
        with open_dir(directory, ".") as other:
            assert [entry.name for entry in other.readdir(2)] == ["file"]
        assert directory.readdir(2**64 - 1, 2**32) == []
        assert directory.readdir(0, 0) == []
        for cookie, count in [(-1, 1), (0, -1)]:
            with fails(ErrorCode.INVAL):
                directory.readdir(cookie, count)

    def test_two_openings_do_not_disturb_each_other(self, directory):
        for i in range(10):
            put(directory, str(i))
        with open_dir(directory, ".") as other:
            mine, others = directory.readdir(0, 4), other.readdir(0, 6)
            mine += directory.readdir(4)
            others += other.readdir(6)
        assert mine == others


def test_odd_but_proper_names(directory):
    for name in (
        "ü",
        "日本語",
        " ",
        "...",
        "..x",
        "a\nb",
        "\\",
        "-rf",
        "x" * 255,
        "ü" * 127,
        "\x7f",
    ):
        put(directory, name, name.encode())
        assert get(directory, name) == get(directory, name.encode()) == name.encode()
        assert names(directory) == [name]
        directory.unlink_file_at(name)


def test_dots_and_slashes(directory):
    directory.create_directory_at("dir")
    directory.create_directory_at("dir/nested")
    put(directory, "dir/nested/file", b"data")
    assert get(directory, "dir/.//nested/../../dir/nested/../nested///./file") == b"data"
    assert get(directory, "././dir/nested/../../dir/../dir/nested/file") == b"data"
    with fails(ErrorCode.NOENT):
        directory.stat_at("dir/missing/../nested")
    with fails(ErrorCode.NOTDIR):
        directory.stat_at("dir/nested/file/../file")
    open_file(directory, "dir/../new", open_flags=OpenFlags.CREATE).close()
    assert names(directory) == ["dir", "new"]
