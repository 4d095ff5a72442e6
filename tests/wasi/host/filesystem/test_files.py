"""`File`, the same for real files and files in memory."""

from __future__ import annotations

import threading

import pytest

from asyncwasm.wasi.host.filesystem import (
    MAX_TRANSFER,
    Access,
    Advice,
    ErrorCode,
    FileFlags,
    FileType,
    Permission,
    SetTime,
    Whence,
)
from tests.wasi.host.filesystem.helpers import NEW, READ_WRITE, fails, get, open_file, put


@pytest.fixture
def file(directory):
    with open_file(directory, "file", open_flags=NEW, access=READ_WRITE) as opened:
        yield opened


def test_reads_and_writes_move_the_position(file):
    assert file.write(b"hello world") == 11
    assert file.tell() == 11
    assert file.read(10) == b""
    assert file.seek(6) == 6
    assert file.read(3) == b"wor"
    assert file.tell() == 9
    assert file.write(b"LD!") == 3
    assert file.pread(100, 0) == b"hello worLD!"
    assert file.read(0) == b""
    assert file.write(b"") == 0


def test_pread_and_pwrite_leave_the_position_alone(file):
    file.write(b"0123456789")
    file.seek(4)
    assert file.pwrite(b"ab", 8) == 2
    assert file.pwrite(b"c", 10) == 1
    assert file.pread(3, 8) == b"abc"
    assert file.pread(3, 100) == b""
    assert file.tell() == 4


def test_seeking(file):
    file.write(b"0123456789")
    assert file.seek(-3, Whence.END) == 7
    assert file.seek(2, Whence.CURRENT) == 9
    assert file.seek(-9, Whence.CURRENT) == 0
    assert file.seek(100) == 100
    assert file.read(10) == b""
    for offset, whence in [
        (-1, Whence.SET),
        (-101, Whence.CURRENT),
        (-11, Whence.END),
        (2**63, Whence.SET),
        (-(2**63), Whence.END),
        (2**64, Whence.CURRENT),
    ]:
        with fails(ErrorCode.INVAL):
            file.seek(offset, whence)
    assert file.tell() == 100


def test_writing_past_the_end_leaves_zeros(file):
    file.pwrite(b"x", 5)
    assert file.pread(10, 0) == b"\0\0\0\0\0x"
    file.seek(8)
    file.write(b"y")
    assert file.pread(10, 0) == b"\0\0\0\0\0x\0\0y"


@pytest.mark.parametrize("offset", [-1, 2**63, 2**64 - 1])
def test_offsets_out_of_range(file, offset):
    for operation in (
        lambda: file.pread(1, offset),
        lambda: file.pwrite(b"x", offset),
        lambda: file.set_size(offset),
        lambda: file.allocate(offset, 1),
        lambda: file.advise(offset, 1, Advice.NORMAL),
    ):
        with fails(ErrorCode.INVAL):
            operation()


def test_absurd_sizes(file):
    file.write(b"abc")
    assert file.pread(2**64 - 1, 0) == b"abc"
    assert file.pread(10, 2**63 - 1) in (b"",)
    for operation in (
        lambda: file.pwrite(b"xyz", 2**63 - 2),
        lambda: file.allocate(1, 2**63 - 1),
    ):
        with fails(ErrorCode.FBIG):
            operation()
    with fails(ErrorCode.FBIG, ErrorCode.NOSPC, ErrorCode.INVAL):
        file.set_size(2**63 - 1)
    with fails(ErrorCode.FBIG, ErrorCode.NOSPC, ErrorCode.INVAL):
        file.allocate(0, 2**62)
    assert file.stat().size == 3


def test_a_read_is_bounded_whatever_is_asked(file):
    file.set_size(MAX_TRANSFER + 10)
    assert len(file.read(2**40)) == MAX_TRANSFER
    assert len(file.read(2**40)) == 10


def test_buffers_of_any_kind_are_written(file):
    assert file.write(bytearray(b"ab")) == 2
    assert file.write(memoryview(b"-cd-")[1:3]) == 2
    assert file.pwrite(memoryview(b"ef"), 4) == 2
    assert file.append(memoryview(b"gh")) == 2
    assert file.pread(10, 0) == b"abcdefgh"


def test_appending(directory):
    put(directory, "file", b"one")
    flags = FileFlags.APPEND
    with open_file(directory, "file", access=READ_WRITE, file_flags=flags) as file:
        assert file.flags == flags
        assert file.write(b" two") == 4
        assert file.tell() == 7
        file.seek(0)
        assert file.read(3) == b"one"
        assert file.write(b" three") == 6
        assert file.tell() == 13
        # As on Linux.
        file.pwrite(b"!", 0)
        assert file.tell() == 13
        assert file.pread(20, 0) in (b"one two three!", b"!ne two three")
        file.set_flags(FileFlags(0))
        assert file.flags == FileFlags(0)
        file.seek(0)
        file.write(b"ONE")
        assert file.pread(7, 0) == b"ONE two"
        file.set_flags(FileFlags.APPEND | FileFlags.DSYNC)
        assert file.flags == FileFlags.APPEND | FileFlags.DSYNC
        file.seek(0)
        file.write(b".")
        assert file.tell() == file.stat().size


def test_append_leaves_the_position_alone(file):
    file.write(b"abc")
    file.seek(1)
    assert file.append(b"def") == 3
    assert file.tell() == 1
    assert file.read(10) == b"bcdef"


@pytest.mark.parametrize("flag", [FileFlags.SYNC, FileFlags.DSYNC, FileFlags.NONBLOCK])
def test_other_flags_change_nothing_to_be_seen(directory, flag):
    flag |= FileFlags.RSYNC
    options = {"open_flags": NEW, "access": READ_WRITE, "file_flags": flag}
    with open_file(directory, "file", **options) as file:
        assert file.flags == flag
        file.write(b"data")
        assert file.pread(10, 0) == b"data"


def test_set_size(file):
    file.write(b"0123456789")
    file.set_size(4)
    assert file.tell() == 10
    assert file.pread(20, 0) == b"0123"
    file.set_size(6)
    assert file.pread(20, 0) == b"0123\0\0"
    file.set_size(0)
    assert file.stat().size == 0


def test_allocate(file):
    file.allocate(0, 100)
    assert file.stat().size == 100
    file.allocate(10, 10)
    assert file.stat().size == 100
    file.allocate(90, 20)
    assert file.stat().size == 110
    for length in (0, -1):
        with fails(ErrorCode.INVAL):
            file.allocate(0, length)


@pytest.mark.parametrize("advice", Advice)
def test_advice(file, advice):
    file.write(b"abc")
    for offset, length in [(0, 0), (0, 2), (1, 2**63), (2**62, 2**64 - 1), (2**63 - 1, 1)]:
        file.advise(offset, length, advice)


def test_syncing(file):
    file.write(b"data")
    file.datasync()
    file.sync()


def test_metadata(directory, file):
    file.write(b"data")
    found = file.stat()
    assert found.type is FileType.REGULAR_FILE
    assert (found.size, found.links) == (4, 1)
    assert found.device == directory.stat().device
    assert found.inode not in (0, directory.stat().inode)
    assert found == directory.stat_at("file")
    directory.link_at("file", directory, "other")
    assert file.stat().links == 2
    assert file.stat() == directory.stat_at("other")


def test_times(file):
    file.set_times(1_000_000_001, 2_000_000_002)
    found = file.stat()
    assert (found.accessed_ns, found.modified_ns) == (1_000_000_001, 2_000_000_002)
    file.set_times(modified=3)
    assert (file.stat().accessed_ns, file.stat().modified_ns) == (1_000_000_001, 3)
    file.set_times(accessed=5)
    assert (file.stat().accessed_ns, file.stat().modified_ns) == (5, 3)
    file.set_times()
    assert (file.stat().accessed_ns, file.stat().modified_ns) == (5, 3)
    file.set_times(SetTime.NOW)
    assert file.stat().accessed_ns > 10**18
    assert file.stat().modified_ns == 3
    file.set_times(SetTime.NOW, SetTime.NOW)
    assert file.stat().modified_ns > 10**18
    with fails(ErrorCode.OVERFLOW):
        file.set_times(2**64, 0)


def test_writing_changes_times(file):
    file.set_times(3, 3)
    before = file.stat()
    file.write(b"x")
    assert file.stat().modified_ns > before.modified_ns
    assert file.stat().changed_ns >= before.changed_ns


def test_times_need_permission_not_access(world):
    put(world.directory, "file")
    with open_file(world.directory, "file", access=Access.READ) as file:
        file.set_times(1, 1)
    reduced = Permission.READ_ONLY | Permission.MUTATE_DIRECTORY
    with open_file(world.directory, "file", permissions=reduced) as file:
        with fails(ErrorCode.PERM):
            file.set_times(2, 2)
        assert file.stat().modified_ns == 1


def test_two_openings_have_positions_of_their_own(directory):
    put(directory, "file", b"abcdef")
    with open_file(directory, "file") as one, open_file(directory, "file") as two:
        assert one.read(2) == b"ab"
        assert two.read(3) == b"abc"
        assert one.read(2) == b"cd"


def test_threads_share_a_file(directory):
    """Every write lands whole, and once, however many threads there are."""
    flags = FileFlags.APPEND
    with open_file(
        directory, "file", open_flags=NEW, access=Access.WRITE, file_flags=flags
    ) as file:

        def work(letter):
            for _ in range(200):
                assert file.write(letter * 10) == 10

        threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    content = get(directory, "file")
    blocks = [content[i : i + 10] for i in range(0, len(content), 10)]
    assert sorted(blocks) == [b"a" * 10] * 200 + [b"b" * 10] * 200 + [b"c" * 10] * 200


def test_closing_under_the_feet_of_other_threads(directory):
    """Who comes too late is told so; nobody reads another file by an old number."""
    put(directory, "file", b"x" * 1000)
    put(directory, "other", b"y" * 1000)
    errors = []

    def work(file):
        try:
            while True:
                if file.pread(1000, 0) != b"x" * 1000:
                    errors.append("read something else")
        except Exception as error:
            if getattr(error, "code", None) is not ErrorCode.BADF:
                errors.append(error)

    for _ in range(50):
        file = open_file(directory, "file")
        threads = [threading.Thread(target=work, args=(file,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        file.close()
        with open_file(directory, "other"):
            for thread in threads:
                thread.join()
    assert not errors
