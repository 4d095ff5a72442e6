"""What only files in memory have: a tree to start from, and bounds."""

from __future__ import annotations

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    ErrorCode,
    FilesystemError,
    FileType,
    MemoryFilesystem,
    Permission,
    Symlink,
)
from asyncwasm.wasi.host.filesystem.memory._nodes import NAME_BYTES, NODE_BYTES
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

TREE = {"file": b"data", "dir": {"inner": b"", "link": Symlink("../file")}, "empty": {}}


def test_a_tree_goes_in_and_comes_out():
    filesystem = MemoryFilesystem(TREE)
    assert filesystem.tree() == TREE
    with filesystem.root() as root:
        assert names(root) == ["dir", "empty", "file"]
        assert get(root, "dir/link", follow=True) == b"data"
        root.unlink_file_at("dir/inner")
        put(root, "new", b"\xff")
    assert filesystem.tree() == {**TREE, "dir": {"link": Symlink("../file")}, "new": b"\xff"}
    assert filesystem.open_count == 0


def test_text_is_utf8():
    assert MemoryFilesystem({"file": "ü"}).tree() == {"file": b"\xc3\xbc"}
    assert MemoryFilesystem().tree() == {}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", ErrorCode.NOENT),
        ("/etc", ErrorCode.PERM),
        ("a\0", ErrorCode.INVAL),
        ("x" * 256, ErrorCode.NAMETOOLONG),
        ("missing/file", ErrorCode.NOENT),
    ],
)
def test_trees_that_cannot_be(name, code):
    for content in (b"", {}, Symlink("x")):
        with fails(code):
            MemoryFilesystem({name: content})
    with fails(ErrorCode.PERM):
        MemoryFilesystem({"link": Symlink("/etc/passwd")})


def test_permissions_of_the_root():
    with MemoryFilesystem(TREE).root(Permission.READ_ONLY) as root:
        assert get(root, "file") == b"data"
        with fails(ErrorCode.PERM):
            root.create_directory_at("new")


def test_two_are_different_devices():
    with MemoryFilesystem().root() as one, MemoryFilesystem().root() as two:
        assert one.stat().device != two.stat().device


def test_the_clock_is_the_givers():
    times = iter(range(100))
    filesystem = MemoryFilesystem(clock=lambda: next(times))
    with filesystem.root() as root:
        put(root, "file", b"data")
        first = root.stat_at("file")
        root.set_times_at("file", modified=10**18)
        second = root.stat_at("file")
    assert 0 < first.modified_ns < 100
    assert second.modified_ns == 10**18
    assert first.changed_ns < second.changed_ns < 100


def test_links_of_a_directory():
    with MemoryFilesystem({"a": {"b": {}, "c": {}, "file": b""}}).root() as root:
        assert root.stat().links == 3
        with open_dir(root, "a") as inner:
            assert inner.stat().links == 4
            inner.remove_directory_at("b")
            inner.rename_at("c", root, "c")
            assert inner.stat().links == 2
            assert root.stat().links == 4
            inner.unlink_file_at("file")
            root.remove_directory_at("a")
            assert inner.stat().links == 0


def until_full(make):
    """How often `make` can be called with a new name."""
    for count in range(100):
        try:
            make(str(count))
        except FilesystemError as error:
            assert error.code is ErrorCode.NOSPC  # noqa: PT017
            return count
    return 100


class TestSpace:
    """Whatever a guest does, the host's memory stays bounded, and is given back."""

    def test_content_counts(self):
        filesystem = MemoryFilesystem(max_bytes=10 * NODE_BYTES)
        before = filesystem.used_bytes
        with filesystem.root() as root:
            with open_file(root, "file", open_flags=NEW, access=READ_WRITE) as file:
                for operation in (
                    lambda: file.write(b"x" * 10 * NODE_BYTES),
                    lambda: file.pwrite(b"x", 2**40),
                    lambda: file.set_size(2**62),
                    lambda: file.allocate(2**50, 1),
                    lambda: file.append(b"x" * 10 * NODE_BYTES),
                ):
                    with fails(ErrorCode.NOSPC):
                        operation()
                assert file.stat().size == 0
                file.set_size(1000)
                assert filesystem.used_bytes == before + NODE_BYTES + NAME_BYTES + 1000
                file.pwrite(b"xyz", 999)
                assert filesystem.used_bytes == before + NODE_BYTES + NAME_BYTES + 1002
                file.set_size(10)
                assert filesystem.used_bytes == before + NODE_BYTES + NAME_BYTES + 10
            root.unlink_file_at("file")
        assert filesystem.used_bytes == before

    def test_names_count(self):
        filesystem = MemoryFilesystem(max_bytes=40 * NODE_BYTES)
        before = filesystem.used_bytes
        with filesystem.root() as root:
            makers = [
                lambda name: root.create_directory_at(name),
                lambda name: root.symlink_at("t" * 100, name),
                lambda name: root.open_at(name, open_flags=NEW).close(),
            ]
            for make in makers:
                made = until_full(make)
                assert 10 < made < 20
                for name in names(root):
                    if root.stat_at(name).type is FileType.DIRECTORY:
                        root.remove_directory_at(name)
                    else:
                        root.unlink_file_at(name)
                assert filesystem.used_bytes == before

    def test_hard_links_count(self):
        filesystem = MemoryFilesystem({"file": b""}, max_bytes=10 * NODE_BYTES)
        before = filesystem.used_bytes
        with filesystem.root() as root:
            assert 0 < until_full(lambda name: root.link_at("file", root, name)) < 10
            root.rename_at("0", root, "file")
            for name in names(root):
                root.unlink_file_at(name)
        assert filesystem.used_bytes < before

    def test_what_is_removed_counts_while_it_is_open(self):
        filesystem = MemoryFilesystem({"file": b"x" * 1000})
        with filesystem.root() as root:
            file = open_file(root, "file")
            used = filesystem.used_bytes
            root.unlink_file_at("file")
            assert filesystem.used_bytes > used - 1000
            assert file.read(10) == b"x" * 10
            assert filesystem.open_count == 2
            file.close()
            assert filesystem.used_bytes < used - 1000
        assert filesystem.open_count == 0

    def test_what_is_replaced_is_given_back(self):
        filesystem = MemoryFilesystem({"a": b"x" * 1000, "b": b"y"})
        with filesystem.root() as root:
            used = filesystem.used_bytes
            root.rename_at("b", root, "a")
            assert filesystem.used_bytes <= used - 1000 - NODE_BYTES - NAME_BYTES

    def test_a_tree_has_to_fit(self):
        with fails(ErrorCode.NOSPC):
            MemoryFilesystem({"file": b"x" * 2000}, max_bytes=2000)


def test_depth_is_no_matter():
    filesystem = MemoryFilesystem()
    here = filesystem.root()
    for _ in range(3000):
        here.create_directory_at("d")
        inner = open_dir(here, "d")
        here.close()
        here = inner
    with fails(ErrorCode.INVAL), filesystem.root() as root:
        root.rename_at("d", here, "new")
    here.close()
    tree, depth = filesystem.tree(), 0
    while tree:
        tree, depth = tree["d"], depth + 1
    assert depth == 3000


def test_access_and_descriptors():
    with MemoryFilesystem({"file": b""}).root() as root, open_file(root, "file") as file:
        assert file.access == Access.READ
        assert file.fileno() == -1
