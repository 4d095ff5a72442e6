"""What only real files have: special files, names from elsewhere, descriptors, system calls."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    ErrorCode,
    FilesystemError,
    FileType,
    OpenFlags,
    Permission,
    _errors,
    open_directory,
)
from asyncwasm.wasi.host.filesystem.posix import _calls, _openat2
from asyncwasm.wasi.host.filesystem.posix._descriptor import Descriptor
from asyncwasm.wasi.host.filesystem.posix._place import PosixPlace
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

SPECIAL = Permission.READ_WRITE | Permission.SPECIAL_FILES

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def root(tmp_path):
    with open_directory(tmp_path) as directory:
        yield directory


class TestSpecialFiles:
    def test_they_need_permission(self, root, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
            for name in ("fifo", "socket"):
                for access in (Access.READ, Access.WRITE, READ_WRITE, Access(0)):
                    with fails(ErrorCode.PERM):
                        root.open_at(name, access=access)
                for flags in (OpenFlags.CREATE, OpenFlags.TRUNCATE):
                    with fails(ErrorCode.PERM):
                        root.open_at(name, open_flags=flags)

    def test_they_are_seen(self, root, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
            found = {entry.name: entry.type for entry in root.readdir()}
            assert found["fifo"] is root.stat_at("fifo").type is FileType.FIFO
            assert found["socket"] is root.stat_at("socket").type is FileType.SOCKET
        root.rename_at("fifo", root, "other")
        root.unlink_file_at("other")

    def test_a_fifo_never_waits(self, tmp_path):
        os.mkfifo(tmp_path / "fifo")
        with open_directory(tmp_path, SPECIAL) as root:
            with fails(ErrorCode.NXIO):
                root.open_at("fifo", access=Access.WRITE)
            with (
                open_file(root, "fifo") as reader,
                open_file(root, "fifo", access=Access.WRITE) as writer,
            ):
                with fails(ErrorCode.AGAIN):
                    reader.read(10)
                assert writer.write(b"hello") == 5
                assert reader.read(10) == b"hello"
                for operation in (reader.tell, lambda: reader.pread(1, 0)):
                    with fails(ErrorCode.SPIPE):
                        operation()
                with fails(ErrorCode.AGAIN):
                    for _ in range(1000):
                        writer.write(b"x" * 65536)
                reader.close()
                with fails(ErrorCode.PIPE):
                    writer.write(b"x")

    def test_a_socket_is_not_opened_in_any_case(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
            with open_directory(tmp_path, SPECIAL) as root, fails(ErrorCode.NXIO, ErrorCode.NOTSUP):
                root.open_at("socket")

    def test_devices_need_permission(self):
        with open_directory("/dev") as devices:
            for name in ("null", "zero", "tty"):
                if (Path("/dev") / name).exists():
                    with fails(ErrorCode.PERM):
                        devices.open_at(name)
        with open_directory("/dev", SPECIAL) as devices:
            with open_file(devices, "zero") as zero:
                assert zero.read(3) == b"\0\0\0"
                assert zero.stat().type is FileType.CHARACTER_DEVICE
            with open_file(devices, "null", access=Access.WRITE) as null:
                assert null.write(b"gone") == 4

    def test_what_takes_a_files_place_at_the_last_moment(self, tmp_path, monkeypatch):
        """The descriptor is looked at, not only the name."""
        put_fifo = tmp_path / "file"
        put_fifo.write_bytes(b"")
        seen = PosixPlace.find

        def find(self, name):
            found = seen(self, name)
            put_fifo.unlink()
            os.mkfifo(put_fifo)
            return found

        monkeypatch.setattr(PosixPlace, "find", find)
        with open_directory(tmp_path) as root, fails(ErrorCode.PERM):
            root.open_at("file")


@linux
class TestProc:
    """Links there lead where their text does not say."""

    def test_its_links_lead_nowhere(self, tmp_path):
        (tmp_path / "secret").write_bytes(b"secret")
        with open_directory(tmp_path) as outside, open_directory("/proc/self") as process:
            number = outside._place._descriptor._number
            with open(tmp_path / "secret", "rb") as secret:
                for path in (
                    "root",
                    "root/etc/passwd",
                    "cwd",
                    "cwd/x",
                    "exe",
                    f"fd/{number}",
                    f"fd/{number}/secret",
                    f"fd/{secret.fileno()}",
                    f"task/{threading.get_native_id()}/cwd/x",
                    f"fdinfo/../fd/{number}/secret",
                ):
                    with fails(ErrorCode.PERM):
                        process.stat_at(path, follow=True)
                    with fails(ErrorCode.PERM):
                        process.open_at(path, follow=True)

    def test_they_do_not_say_where_either(self):
        with open_directory("/proc/self") as process:
            for path in ("root", "cwd", "exe"):
                with fails(ErrorCode.PERM):
                    process.read_link_at(path)

    def test_pipes_and_sockets_by_their_number(self):
        reader, writer = os.pipe()
        try:
            with open_directory("/proc/self", SPECIAL) as process:
                for number in (reader, writer):
                    with fails(ErrorCode.NOENT):
                        process.open_at(f"fd/{number}", follow=True)
        finally:
            os.close(reader)
            os.close(writer)


@linux
class TestNamesOfTheHost:
    """What other programs made need not be UTF-8."""

    def test_they_are_not_listed(self, root, tmp_path):
        (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"")
        (tmp_path / "good").write_bytes(b"")
        assert names(root) == ["good"]

    def test_but_may_be_on_the_way(self, root, tmp_path):
        inner = tmp_path / os.fsdecode(b"\xff")
        inner.mkdir()
        (inner / "file").write_bytes(b"data")
        (tmp_path / "link").symlink_to(inner.name)
        assert get(root, "link/file") == b"data"
        with fails(ErrorCode.ILSEQ):
            root.read_link_at("link")

    def test_links_longer_than_names_may_be(self, root, tmp_path):
        (tmp_path / "link").symlink_to("x" * 300)
        with fails(ErrorCode.NAMETOOLONG):
            root.stat_at("link", follow=True)


class TestDescriptors:
    def test_none_is_inherited(self, root):
        with open_file(root, "file", open_flags=NEW) as file, open_dir(root, ".") as inner:
            for number in (
                file.fileno(),
                inner._place._descriptor._number,
                root._place._descriptor._number,
            ):
                assert not os.get_inheritable(number)

    def test_closing_waits_for_nobody(self, tmp_path):
        number = os.open(tmp_path, os.O_RDONLY)
        descriptor = Descriptor(number)
        with descriptor as lent:
            assert lent == number
            descriptor.close()
            assert descriptor.closed
            # Still this directory, until the last one leaves.
            assert stat.S_ISDIR(os.fstat(number).st_mode)
            with fails(ErrorCode.BADF), descriptor:
                pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
        descriptor.close()

    def test_a_forgotten_one_is_closed_and_told(self, tmp_path):
        directory = open_directory(tmp_path)
        number = directory._place._descriptor._number
        kept = [directory]
        del directory
        with pytest.warns(ResourceWarning, match=f"unclosed descriptor {number}"):
            kept.clear()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)

    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
    def test_failing_leaves_none_open(self, root, tmp_path):
        (tmp_path / "a/b/c").mkdir(parents=True)
        (tmp_path / "a/b/link").symlink_to("../../../x")
        os.mkfifo(tmp_path / "a/b/fifo")
        before = len(os.listdir("/proc/self/fd"))
        for path in ("a/b/c/missing", "a/b/link", "a/b/c/../../../..", "a/b/fifo", "a/b/c/../x/y"):
            for operation in (
                lambda path: root.open_at(path, follow=True),
                lambda path: root.stat_at(path + "/", follow=True),
                lambda path: root.rename_at("a/b/c", root, path + "/x/y"),
                lambda path: root.link_at("a/b/fifo", root, path + "/x/y"),
            ):
                with pytest.raises(FilesystemError):
                    operation(path)
                assert len(os.listdir("/proc/self/fd")) == before

    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
    def test_a_walk_holds_only_so_many(self, root, tmp_path, monkeypatch):
        monkeypatch.setattr(_openat2, "_call", lambda: None)
        most = 0
        enter = PosixPlace.enter

        def counting(self, name):
            nonlocal most
            most = max(most, len(os.listdir("/proc/self/fd")))
            return enter(self, name)

        monkeypatch.setattr(PosixPlace, "enter", counting)
        (tmp_path / "d").mkdir()
        (tmp_path / "d/d").symlink_to("../d")
        before = len(os.listdir("/proc/self/fd"))
        with fails(ErrorCode.LOOP):
            root.stat_at("d/" * 1000)
        assert most <= before + 130

    @pytest.mark.slow
    def test_running_out_of_them_is_an_error_like_any_other(self, tmp_path):
        program = """if True:
            import os, resource, sys
            from asyncwasm.wasi.host.filesystem import *
            root = open_directory(sys.argv[1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), 100))
            opened = []
            try:
                while True:
                    opened.append(root.open_at("."))
            except FilesystemError as error:
                assert error.code is ErrorCode.MFILE, error
            for directory in opened:
                directory.close()
            root.close()
            """
        subprocess.run([sys.executable, "-W", "error", "-c", program, tmp_path], check=True)


class TestOpenat2:
    @linux
    def test_is_used_where_there_is_one(self, root, tmp_path):
        if _openat2._call() is None:
            pytest.skip("this system has no openat2")
        (tmp_path / "a/b").mkdir(parents=True)
        with open_dir(root, "a") as inner:
            place = inner._place.shortcut((b"b",))
            assert place is not None
            place.close()
            for parts in ((b"..",), (b"b", b"..", b".."), (b"b", b"missing", b"..", b"..", b"..")):
                if b"missing" in parts:
                    with fails(ErrorCode.NOENT):
                        inner._place.shortcut(parts)
                else:
                    assert inner._place.shortcut(parts) is None

    @pytest.mark.parametrize(
        "number", [errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.EINTR, errno.EXDEV, errno.EINVAL]
    )
    def test_refused_it_is_not_needed(self, root, tmp_path, monkeypatch, number):
        (tmp_path / "a/b").mkdir(parents=True)
        (tmp_path / "a/b/file").write_bytes(b"data")
        asked = []

        def call(directory, path):
            asked.append(path)
            return -number

        monkeypatch.setattr(_openat2, "_call", lambda: call)
        assert get(root, "a/b/file") == b"data"
        with fails(ErrorCode.PERM):
            root.stat_at("a/../..")
        assert asked == [b"a/b", b"a/../.."]

    @pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
    def test_a_kernel_or_a_filter_without_it(self, monkeypatch, number):
        class Library:
            class Syscall:
                def __call__(self, *args):
                    _openat2.ctypes.set_errno(number)
                    return -1

            syscall = Syscall()

        monkeypatch.setattr(_openat2.ctypes, "CDLL", lambda *args, **kwargs: Library)
        assert _openat2._call.__wrapped__() is None

    def test_a_machine_that_numbers_calls_otherwise(self, monkeypatch):
        monkeypatch.setattr(_openat2.platform, "machine", lambda: "mips64")
        assert _openat2._call.__wrapped__() is None


class TestErrors:
    def test_every_error_of_the_table_has_a_number_here(self):
        missing = {name for name in _errors._BY_NAME if not hasattr(errno, name)}
        assert missing <= {"ENOTCAPABLE"} or sys.platform != "linux"

    def test_every_code_can_be_told_apart(self):
        assert len({code.value for code in ErrorCode}) == len(ErrorCode)
        assert {*_errors._BY_NAME.values()} == {*ErrorCode}

    @pytest.mark.parametrize(
        ("number", "code"),
        [
            (errno.EACCES, ErrorCode.ACCESS),
            (errno.ENOSPC, ErrorCode.NOSPC),
            (errno.EROFS, ErrorCode.ROFS),
            (errno.EOPNOTSUPP, ErrorCode.NOTSUP),
            (errno.EWOULDBLOCK, ErrorCode.AGAIN),
            (errno.EUSERS, ErrorCode.IO),
            (None, ErrorCode.IO),
        ],
    )
    def test_translation(self, number, code):
        cause = OSError(number, "because") if number else OSError("because")
        with pytest.raises(FilesystemError) as caught, _errors.translating:
            raise cause
        assert caught.value.code is code
        assert caught.value.__cause__ is cause

    def test_other_exceptions_are_left_alone(self):
        with pytest.raises(ZeroDivisionError), _errors.translating:
            raise ZeroDivisionError

    def test_the_text_says_why(self):
        assert str(FilesystemError(ErrorCode.PERM)) == "operation not permitted"
        assert str(FilesystemError(ErrorCode.PERM, "absolute path")).endswith(": absolute path")


class TestOpening:
    def test_errors_are_the_systems(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(FileNotFoundError):
            open_directory(tmp_path / "missing")
        with pytest.raises(NotADirectoryError):
            open_directory(tmp_path / "file")

    def test_links_of_the_host_are_followed(self, tmp_path):
        (tmp_path / "dir").mkdir()
        (tmp_path / "dir/file").write_bytes(b"data")
        (tmp_path / "link").symlink_to(tmp_path / "dir")
        for path in (tmp_path / "link", str(tmp_path / "link"), os.fsencode(tmp_path / "link")):
            with open_directory(path) as directory:
                assert get(directory, "file") == b"data"

    def test_it_is_by_descriptor(self, tmp_path):
        (tmp_path / "dir").mkdir()
        with open_directory(tmp_path / "dir") as directory:
            (tmp_path / "dir").rename(tmp_path / "renamed")
            put(directory, "file")
        assert os.listdir(tmp_path / "renamed") == ["file"]

    def test_a_platform_without_relative_calls(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "supports_dir_fd", set())
        with pytest.raises(OSError, match="on this platform") as caught:
            open_directory(tmp_path)
        assert caught.value.errno == errno.ENOTSUP

    @pytest.mark.slow
    def test_importing_needs_nothing_of_posix(self):
        """Files in memory are there on every platform."""
        program = """if True:
            import sys
            sys.modules["fcntl"] = None
            from asyncwasm.wasi.host.filesystem import MemoryFilesystem
            MemoryFilesystem({"file": b""}).root().close()
            """
        subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


class TestWithoutWhatLinuxHas:
    def test_appending(self, root, monkeypatch):
        monkeypatch.delattr(os, "RWF_APPEND", raising=False)
        with open_file(root, "file", open_flags=NEW, access=READ_WRITE) as file:
            file.write(b"abc")
            file.seek(1)
            assert file.append(b"def") == 3
            assert file.read(10) == b"bcdef"

    def test_syncing_advice_and_allocation(self, root, monkeypatch):
        for name in ("fdatasync", "posix_fadvise", "posix_fallocate"):
            monkeypatch.delattr(_calls.os, name, raising=False)
        with open_file(root, "file", open_flags=NEW, access=READ_WRITE) as file:
            file.datasync()
            file.advise(0, 0, 0)
            with fails(ErrorCode.NOTSUP):
                file.allocate(0, 10)

    def test_unlinking_a_directory(self, root, monkeypatch):
        root.create_directory_at("dir")

        def unlink(*args, **kwargs):
            raise PermissionError(errno.EPERM, "no")

        monkeypatch.setattr(os, "unlink", unlink)
        with fails(ErrorCode.ISDIR):
            root.unlink_file_at("dir")
        put(root, "file")
        with fails(ErrorCode.PERM):
            root.unlink_file_at("file")

    def test_full_directories(self, root, monkeypatch):
        def refuse(*args, **kwargs):
            raise FileExistsError(errno.EEXIST, "full")

        monkeypatch.setattr(os, "rmdir", refuse)
        monkeypatch.setattr(os, "rename", refuse)
        root.create_directory_at("dir")
        with fails(ErrorCode.NOTEMPTY):
            root.remove_directory_at("dir")
        with fails(ErrorCode.NOTEMPTY):
            root.rename_at("dir", root, "other")
