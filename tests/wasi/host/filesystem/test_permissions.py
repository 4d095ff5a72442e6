"""What a directory's permissions keep a guest from, the same for all implementations."""

from __future__ import annotations

import pytest

from asyncwasm.wasi.host.filesystem import Access, ErrorCode, OpenFlags, Permission
from tests.wasi.host.filesystem.helpers import READ_WRITE, fails, get, names, open_dir, open_file

CREATE = OpenFlags.CREATE


@pytest.fixture
def given(world):
    """A function that opens the sandbox with some permissions."""
    world.mkdir("root/dir")
    world.write("root/file", b"data")
    world.symlink("file", "root/link")
    opened = []

    def give(permissions):
        opened.append(world.at("root", permissions))
        return opened[-1]

    before = world.inside()
    yield give
    for directory in opened:
        directory.close()
    assert world.inside() == before


def mutations(directory):
    return [
        lambda: directory.create_directory_at("new"),
        lambda: directory.remove_directory_at("dir"),
        lambda: directory.unlink_file_at("file"),
        lambda: directory.symlink_at("file", "new"),
        lambda: directory.link_at("file", directory, "new"),
        lambda: directory.rename_at("file", directory, "new"),
        lambda: directory.set_times(1, 1),
        lambda: directory.set_times_at("file", 1, 1),
        lambda: directory.set_times_at("link", 1, 1, follow=True),
        lambda: directory.open_at("new", open_flags=CREATE),
        lambda: directory.open_at("dir/new", open_flags=CREATE | OpenFlags.EXCLUSIVE),
    ]


def writes(directory):
    return [
        lambda: directory.open_at("file", access=Access.WRITE),
        lambda: directory.open_at("file", access=READ_WRITE),
        lambda: directory.open_at("file", open_flags=OpenFlags.TRUNCATE),
        lambda: directory.open_at("link", access=Access.WRITE, follow=True),
    ]


def test_reading_only(given):
    directory = given(Permission.READ_ONLY)
    assert names(directory) == ["dir", "file", "link"]
    assert get(directory, "link", follow=True) == b"data"
    assert directory.read_link_at("link") == "file"
    for operation in mutations(directory) + writes(directory):
        with fails(ErrorCode.PERM):
            operation()
    # What is there, may be opened whatever the flags.
    open_file(directory, "file", open_flags=CREATE).close()


def test_it_goes_for_what_is_opened_inside(given):
    directory = given(Permission.READ_ONLY)
    with open_dir(directory, "dir/..") as inner:
        for operation in mutations(inner) + writes(inner):
            with fails(ErrorCode.PERM):
                operation()
    with open_file(directory, "file") as file, fails(ErrorCode.PERM):
        file.set_times(1, 1)


def test_writing_without_mutating(given):
    directory = given(Permission.READ_ONLY | Permission.WRITE_FILES)
    for operation in mutations(directory):
        with fails(ErrorCode.PERM):
            operation()
    with open_file(directory, "file", access=READ_WRITE) as file:
        assert file.read(4) == b"data"
        assert file.pwrite(b"data", 0) == 4


def test_mutating_without_writing(given):
    directory = given(Permission.READ_ONLY | Permission.MUTATE_DIRECTORY)
    for operation in writes(directory):
        with fails(ErrorCode.PERM):
            operation()
    directory.create_directory_at("new")
    directory.remove_directory_at("new")
    open_file(directory, "empty", open_flags=CREATE).close()
    directory.unlink_file_at("empty")


def test_writing_without_reading(given):
    directory = given(Permission.READ_DIRECTORY | Permission.WRITE_FILES)
    for access in (Access.READ, READ_WRITE):
        with fails(ErrorCode.PERM):
            directory.open_at("file", access=access)
    open_file(directory, "file", access=Access.WRITE).close()


def test_nothing_to_be_looked_at(given):
    directory = given(Permission.READ_FILES | Permission.WRITE_FILES)
    for operation in (
        lambda: directory.readdir(),
        lambda: directory.readdir(1),
        lambda: directory.open_at("file"),
        lambda: directory.open_at("."),
        lambda: directory.stat_at("file"),
        lambda: directory.read_link_at("link"),
    ):
        with fails(ErrorCode.PERM):
            operation()


@pytest.mark.parametrize(
    "missing",
    [Permission.WRITE_FILES, Permission.READ_FILES, Permission.READ_DIRECTORY],
    ids=lambda p: p.name,
)
def test_nothing_gets_permitted_by_being_put_elsewhere(given, missing):
    """A hard link to, or a move of, what is read-only here and writable there."""
    less = given(Permission.READ_WRITE & ~missing)
    more = given(Permission.READ_WRITE)
    for operation in (less.link_at, less.rename_at):
        with fails(ErrorCode.PERM):
            operation("file", more, "new")
        # The same from the other side.
        with fails(ErrorCode.PERM):
            operation("file", more, "dir/new")
    if missing is not Permission.READ_DIRECTORY:
        more.rename_at("file", less, "new")
        less.rename_at("new", less, "file")


def test_both_directories_have_to_be_mutable(given):
    fixed = given(Permission.READ_ONLY | Permission.WRITE_FILES)
    directory = given(Permission.READ_WRITE)
    for operation in (directory.link_at, directory.rename_at):
        with fails(ErrorCode.PERM):
            operation("file", fixed, "new")
    for operation in (fixed.link_at, fixed.rename_at):
        with fails(ErrorCode.PERM):
            operation("file", directory, "new")
