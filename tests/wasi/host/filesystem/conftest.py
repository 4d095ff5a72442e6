"""A small world with a sandbox in it, once for each implementation."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    Directory,
    ErrorCode,
    File,
    FilesystemError,
    MemoryFilesystem,
    OpenFlags,
    Permission,
    Symlink,
    open_directory,
)
from asyncwasm.wasi.host.filesystem.memory._nodes import DirectoryNode, LinkNode
from asyncwasm.wasi.host.filesystem.posix import _openat2

SECRET = b"nobody's business"
OUTSIDE = {"secret": SECRET, "empty": {}, "dir": {"secret": SECRET}}


class World:
    """`outside` and, beside it, `root`, which is what the guest has: `directory`.

    Paths given to its methods start at the common parent, and are used without any checks.
    """

    kind: str
    directory: Directory
    untouched: list[Any]

    def write(self, path: str, data: bytes = b"") -> None:
        raise NotImplementedError

    def mkdir(self, path: str) -> None:
        raise NotImplementedError

    def symlink(self, target: str, path: str) -> None:
        raise NotImplementedError

    def tree(self) -> dict[str, Any]:
        """Everything, as in `MemoryFilesystem.tree`."""
        raise NotImplementedError

    def at(self, path: str, permissions: Permission = Permission.READ_WRITE) -> Directory:
        """A directory of the world, opened once more."""
        raise NotImplementedError

    def fingerprint(self) -> list[Any]:
        """What changes with anything done to what is outside, reading apart."""
        found = []
        for path in ("outside", "outside/secret", "outside/empty", "outside/dir/secret"):
            head, _, name = path.rpartition("/")
            with self.at(head or ".") as parent:
                status = parent.stat_at(name)
            found.append(
                (status.inode, status.links, status.size, status.modified_ns, status.changed_ns)
            )
        return found

    def inside(self) -> dict[str, Any]:
        found: dict[str, Any] = self.tree()["root"]
        return found

    def clear(self) -> None:
        """Empty the sandbox."""
        raise NotImplementedError

    def check_outside(self) -> None:
        tree = self.tree()
        assert tree.keys() == {"outside", "root"}
        assert tree["outside"] == OUTSIDE
        assert self.fingerprint() == self.untouched

    def close(self) -> None:
        self.directory.close()


class HostWorld(World):
    def __init__(self, kind: str, top: Path) -> None:
        self.kind = kind
        self.top = top
        for name in ("root", "outside", "outside/empty", "outside/dir"):
            self.mkdir(name)
        self.write("outside/secret", SECRET)
        self.write("outside/dir/secret", SECRET)
        self.directory = self.at("root")
        self.untouched = self.fingerprint()

    def write(self, path: str, data: bytes = b"") -> None:
        (self.top / path).write_bytes(data)

    def mkdir(self, path: str) -> None:
        (self.top / path).mkdir(parents=True, exist_ok=True)

    def symlink(self, target: str, path: str) -> None:
        (self.top / path).symlink_to(target)

    def clear(self) -> None:
        for path in (self.top / "root").iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def tree(self) -> dict[str, Any]:
        return self._tree(self.top)

    def _tree(self, directory: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in directory.iterdir():
            if path.is_symlink():
                found[path.name] = Symlink(os.readlink(path))
            else:
                found[path.name] = self._tree(path) if path.is_dir() else path.read_bytes()
        return found

    def at(self, path: str, permissions: Permission = Permission.READ_WRITE) -> Directory:
        return open_directory(self.top / path, permissions)


class MemoryWorld(World):
    def __init__(self) -> None:
        self.kind = "memory"
        # Time passes between any two looks at it.
        self.now = time.time_ns()
        self.filesystem = MemoryFilesystem({"outside": OUTSIDE, "root": {}}, clock=self._clock)
        self.directory = self.at("root")
        self.untouched = self.fingerprint()

    def _clock(self) -> int:
        self.now += 1
        return self.now

    def write(self, path: str, data: bytes = b"") -> None:
        with self.filesystem.root() as root:
            flags = OpenFlags.CREATE | OpenFlags.TRUNCATE
            with root.open_at(path, open_flags=flags, access=Access.WRITE) as file:
                assert isinstance(file, File)
                file.write(data)

    def mkdir(self, path: str) -> None:
        with self.filesystem.root() as root:
            parts = path.split("/")
            for count in range(1, len(parts) + 1):
                try:
                    root.create_directory_at("/".join(parts[:count]))
                except FilesystemError as error:
                    if error.code is not ErrorCode.EXIST:
                        raise

    def symlink(self, target: str, path: str) -> None:
        head, _, name = path.rpartition("/")
        with self.at(head) as parent:
            # Not with `symlink_at`, which makes none that are absolute.
            node = LinkNode(self.filesystem._volume, target.encode())
            self._node(parent).add(name.encode(), node)

    def clear(self) -> None:
        root = self._node(self.directory)
        for name in list(root.entries):
            root.remove(name)

    def tree(self) -> dict[str, Any]:
        return self.filesystem.tree()

    def at(self, path: str, permissions: Permission = Permission.READ_WRITE) -> Directory:
        with self.filesystem.root(Permission.READ_WRITE | Permission.SPECIAL_FILES) as root:
            found = root.open_at(path, permissions=permissions)
        assert isinstance(found, Directory)
        return found

    @staticmethod
    def _node(directory: Directory) -> DirectoryNode:
        node: DirectoryNode = directory._place._node  # type: ignore[attr-defined]
        return node

    def close(self) -> None:
        super().close()
        assert self.filesystem.open_count == 0


KINDS = ["host", "host-walking", "memory"]


@pytest.fixture(params=KINDS)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Real files, real files without `openat2`, and files in memory."""
    made: World
    if request.param == "memory":
        made = MemoryWorld()
    else:
        if request.param == "host-walking":
            monkeypatch.setattr(_openat2, "_call", lambda: None)
        made = HostWorld(request.param, tmp_path)
    try:
        yield made
        made.check_outside()
    finally:
        made.close()


@pytest.fixture
def directory(world: World) -> Directory:
    return world.directory


@pytest.fixture(autouse=True)
def no_open_descriptors() -> Iterator[None]:
    """Fail a test that leaves a descriptor open."""
    if not os.path.isdir("/proc/self/fd"):
        yield
        return
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before
