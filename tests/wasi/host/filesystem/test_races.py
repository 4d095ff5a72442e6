"""Directories that move and links that change while a path is walked.

Once at every system call a walk makes, one after the other, which misses nothing and always
does the same; and then for a while with another thread that never rests.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    Directory,
    ErrorCode,
    File,
    FilesystemError,
    OpenFlags,
)
from asyncwasm.wasi.host.filesystem.posix import _openat2, _place
from tests.wasi.host.filesystem.conftest import SECRET, HostWorld, World
from tests.wasi.host.filesystem.helpers import NEW, READ_WRITE


class Swap:
    """Two names that change places, and back; not at once, so there is a gap with neither."""

    def __init__(self, one: Path, two: Path) -> None:
        self.one, self.two = one, two
        self.spare = two.with_name("spare")

    def __call__(self) -> None:
        os.rename(self.one, self.spare)
        os.rename(self.two, self.one)
        os.rename(self.spare, self.two)


def directory_and_link(top: Path, target: str) -> Swap:
    """`root/swapped`, a directory or a link to what is outside."""
    (top / "hidden").mkdir()
    (top / "hidden/link").symlink_to(target)
    (top / "root/swapped/sub").mkdir(parents=True)
    for name in ("secret", "sub/secret"):
        (top / "root/swapped" / name).write_bytes(b"inside")
    return Swap(top / "root/swapped", top / "hidden/link")


def file_and_link(top: Path, target: str) -> Swap:
    """`root/swapped/secret`, a file or a link to one outside."""
    (top / "hidden").mkdir()
    (top / "hidden/link").symlink_to(target)
    (top / "root/swapped/sub").mkdir(parents=True)
    (top / "root/swapped/secret").write_bytes(b"inside")
    return Swap(top / "root/swapped/secret", top / "hidden/link")


def moved_outside(top: Path, name: str) -> Swap:
    """A directory of the sandbox that is taken out, to where there is something to find."""
    (top / "hidden").mkdir()
    (top / "hidden/secret").write_bytes(SECRET)
    (top / "hidden/swapped").mkdir()
    (top / "hidden/swapped/secret").write_bytes(SECRET)
    (top / "hidden/other").mkdir()
    (top / "root/swapped/sub").mkdir(parents=True)
    (top / "root/swapped/secret").write_bytes(b"inside")
    return Swap(top / "root" / name, top / "hidden/other")


SCENES: dict[str, Callable[[Path], Swap]] = {
    "directory and relative link": lambda top: directory_and_link(top, "../outside"),
    "directory and absolute link": lambda top: directory_and_link(top, str(top / "outside")),
    "directory and link up": lambda top: directory_and_link(top, ".."),
    "file and relative link": lambda top: file_and_link(top, "../../outside/secret"),
    "file and absolute link": lambda top: file_and_link(top, str(top / "outside/secret")),
    "file and dangling link": lambda top: file_and_link(top, "../../outside/new"),
    "directory taken out": lambda top: moved_outside(top, "swapped"),
    "directory inside taken out": lambda top: moved_outside(top, "swapped/sub"),
}

OPERATIONS: dict[str, Callable[[Directory], Any]] = {
    "read": lambda d: d.open_at("swapped/secret", follow=True),
    "read without following": lambda d: d.open_at("swapped/secret"),
    "read beneath": lambda d: d.open_at("swapped/sub/secret", follow=True),
    "read by way of": lambda d: d.open_at("swapped/sub/../secret", follow=True),
    "read far by way of": lambda d: d.open_at("swapped/sub/../../swapped/secret", follow=True),
    "read above": lambda d: d.open_at("swapped/sub/../../secret", follow=True),
    "open": lambda d: d.open_at("swapped", follow=True),
    "open by way of": lambda d: d.open_at("swapped/sub/..", open_flags=OpenFlags.DIRECTORY),
    "write": lambda d: d.open_at("swapped/secret", follow=True, access=READ_WRITE),
    "truncate": lambda d: d.open_at("swapped/secret", follow=True, open_flags=OpenFlags.TRUNCATE),
    "create": lambda d: d.open_at("swapped/new", follow=True, open_flags=NEW),
    "create over": lambda d: d.open_at(
        "swapped/secret", follow=True, open_flags=OpenFlags.CREATE, access=Access.WRITE
    ),
    "create by way of": lambda d: d.open_at("swapped/sub/../../new", open_flags=NEW),
    "stat": lambda d: d.stat_at("swapped/secret", follow=True),
    "set times": lambda d: d.set_times_at("swapped/secret", 1, 1, follow=True),
    "make directory": lambda d: d.create_directory_at("swapped/new"),
    "remove directory": lambda d: d.remove_directory_at("swapped/empty"),
    "unlink": lambda d: d.unlink_file_at("swapped/secret"),
    "unlink by way of": lambda d: d.unlink_file_at("swapped/sub/../secret"),
    "symlink": lambda d: d.symlink_at("target", "swapped/new"),
    "link": lambda d: d.link_at("swapped/secret", d, "new", follow=True),
    "link to": lambda d: d.link_at("file", d, "swapped/new"),
    "rename from": lambda d: d.rename_at("swapped/secret", d, "new"),
    "rename to": lambda d: d.rename_at("file", d, "swapped/secret"),
    "list": lambda d: d.open_at("swapped", follow=True).readdir(),
}


class Stepper:
    """Stands in for `os`, and does something before one of the calls that are made."""

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        self.left = at
        self.action = action

    def step(self) -> None:
        self.left -= 1
        if self.left == -1:
            self.action()

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        if name not in ("open", "stat", "readlink", "mkdir", "rmdir", "unlink", "symlink",
                        "link", "rename", "utime", "scandir"):  # fmt: skip
            return value

        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return value(*args, **kwargs)

        return stepping


@pytest.fixture(params=["host", "host-walking"])
def new_world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], HostWorld]:
    if request.param == "host-walking":
        monkeypatch.setattr(_openat2, "_call", lambda: None)
    count = iter(range(10_000))

    def make() -> HostWorld:
        world = HostWorld(request.param, tmp_path / f"{next(count)}")
        world.write("root/file", b"inside")
        return world

    return make


def check_result(world: World, result: Any) -> None:
    """That it is nothing that has always been outside."""
    outside = [entry[0] for entry in world.untouched]
    if isinstance(result, (Directory, File)):
        with result:
            assert result.stat().inode not in outside
            if isinstance(result, File) and Access.READ in result.access:
                assert result.read(100) in (b"inside", b"")
    elif hasattr(result, "inode"):
        assert result.inode not in outside
    elif isinstance(result, list):
        assert not {entry.inode for entry in result} & {*outside}


def check_world(world: HostWorld) -> None:
    tree = world.tree()
    assert tree["outside"] == {"secret": SECRET, "empty": {}, "dir": {"secret": SECRET}}
    assert world.fingerprint() == world.untouched
    assert {*tree} <= {"outside", "root", "hidden"}
    if "other" in tree["hidden"]:
        assert tree["hidden"]["secret"] == SECRET


@contextmanager
def closing(world: HostWorld) -> Iterator[HostWorld]:
    try:
        yield world
    finally:
        world.close()


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_swap_before_each_call(new_world, scene, monkeypatch):
    real_open_beneath = _openat2.open_beneath
    for name, operation in OPERATIONS.items():
        if name == "list":
            continue
        for at in range(100):
            with closing(new_world()) as world:
                swap = SCENES[scene](world.top)
                stepper = Stepper(at, swap)
                with monkeypatch.context() as patch:
                    patch.setattr(_place, "os", stepper)

                    def stepping(*args: Any, stepper: Stepper = stepper) -> int | None:
                        stepper.step()
                        return real_open_beneath(*args)

                    patch.setattr(_openat2, "open_beneath", stepping)
                    try:
                        result = operation(world.directory)
                    except FilesystemError as error:
                        assert error.code in (  # noqa: PT017
                            ErrorCode.PERM,
                            ErrorCode.NOENT,
                            ErrorCode.NOTDIR,
                            ErrorCode.LOOP,
                            ErrorCode.EXIST,
                        ), (name, at)
                    else:
                        check_result(world, result)
                check_world(world)
            if stepper.left >= 0:
                break
        else:
            pytest.fail("a walk without an end")


@contextmanager
def swapping(swap: Swap) -> Iterator[None]:
    """Have a thread swap and swap back, as fast as it can."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                swap()
                swap()
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert not failures


# What leaves everything as it was, so that it can be done again and again.
REPEATABLE = [
    "read",
    "read without following",
    "read beneath",
    "read by way of",
    "read far by way of",
    "read above",
    "open",
    "open by way of",
    "write",
    "create over",
    "stat",
    "set times",
    "remove directory",
    "list",
]


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_thread_that_never_stops_swapping(new_world, scene):
    with closing(new_world()) as world:
        directory = world.directory
        outcomes = {"done": 0, "failed": 0}
        end = time.monotonic() + 0.4
        with swapping(SCENES[scene](world.top)):
            while time.monotonic() < end:
                for name in REPEATABLE:
                    try:
                        if name == "list":
                            with directory.open_at("swapped", follow=True) as opened:
                                result = opened.readdir()
                        else:
                            result = OPERATIONS[name](directory)
                    except FilesystemError:
                        outcomes["failed"] += 1
                    else:
                        outcomes["done"] += 1
                        check_result(world, result)
        check_world(world)
        # Both would be suspicious: never in anybody's way, or always.
        assert all(outcomes.values())


@pytest.mark.slow
def test_a_guest_that_swaps_things_itself(world):
    """Everything inside one sandbox, by two threads of it, for all implementations."""
    directory = world.directory
    world.mkdir("root/a/b/c")
    world.write("root/a/b/c/file", b"inside")
    world.symlink("../../outside", "root/a/link")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            directory.rename_at("a/b", directory, "b")
            directory.rename_at("a/link", directory, "a/b")
            directory.rename_at("a/b", directory, "a/link")
            directory.rename_at("b", directory, "a/b")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            for path in ("a/b/c/file", "a/b/../../a/b/c/file", "a/b/c/../../../../outside/secret"):
                try:
                    with directory.open_at(path, follow=True) as file:
                        assert file.read(100) == b"inside"
                except FilesystemError:
                    pass
            for path in ("a/b/secret", "a/b/c/../../secret", "a/b/new"):
                with pytest.raises(FilesystemError):
                    directory.unlink_file_at(path)
    finally:
        stop.set()
        thread.join()
