"""`Directory`: an open directory, and the only way to anything in it."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, final

from ._errors import ErrorCode, FilesystemError
from ._file import File, check_times
from ._paths import parse_path, parse_target
from ._place import Changed
from ._types import (
    Access,
    DirectoryEntry,
    FileFlags,
    FileType,
    Metadata,
    NewTime,
    OpenFlags,
    Permission,
    SetTime,
)
from ._walk import Spot, locate

if TYPE_CHECKING:
    from typing import Self

    from ._place import Place

_ATTEMPTS: Final = 40
_ALL: Final = Permission.READ_WRITE | Permission.SPECIAL_FILES
_NO_OPEN_FLAGS: Final = OpenFlags(0)
_NO_FILE_FLAGS: Final = FileFlags(0)


@final
class Directory:
    """A directory with permissions, by descriptor: it stays the same when it is renamed.

    Paths are relative; `str`, or bytes of UTF-8.  They lead nowhere outside: not with `..`, not
    through links, not while something else renames directories or swaps links.  What would, is
    `PERM`.  A path that ends with a slash names a directory, and its last part is followed.

    Everything blocks the thread for as long as the system takes, and raises `FilesystemError`:
    `BADF` once closed, `PERM` without permission.  Threads may share a directory.  Whoever got
    it closes it; what was opened through it stays open.
    """

    __slots__ = ("_entries", "_lock", "_place", "permissions")

    def __init__(self, place: Place, permissions: Permission) -> None:
        """Takes over `place`.  See `open_directory` and `MemoryFilesystem.root`."""
        self._place: Final = place
        self.permissions: Final = permissions
        # What `readdir` goes on with.
        self._entries: list[DirectoryEntry] | None = None
        self._lock: Final = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._place.closed

    def close(self) -> None:
        """Idempotent, and never waits: operations under way in other threads finish or fail."""
        self._place.close()
        self._entries = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open_at(
        self,
        path: str | bytes,
        *,
        follow: bool = False,
        open_flags: OpenFlags = _NO_OPEN_FLAGS,
        file_flags: FileFlags = _NO_FILE_FLAGS,
        access: Access = Access.READ,
        permissions: Permission = _ALL,
    ) -> Directory | File:
        """Open or make a file, or open a directory.

        What is opened has this directory's permissions, cut down to `permissions`.  Never
        blocks on what is opened: special files need permission, and even then it does not wait.
        `LOOP` for a link if `follow` is not set, `ISDIR` for a directory to be written.
        """
        create = OpenFlags.CREATE in open_flags
        exclusive = create and OpenFlags.EXCLUSIVE in open_flags
        if OpenFlags.DIRECTORY in open_flags and open_flags & (
            OpenFlags.CREATE | OpenFlags.TRUNCATE
        ):
            raise FilesystemError(ErrorCode.INVAL)
        for _ in range(_ATTEMPTS):
            with self._reading(path, follow=follow and not exclusive) as spot:
                try:
                    return self._open(
                        spot, open_flags, file_flags, access, permissions & self.permissions
                    )
                except Changed:
                    continue
        raise FilesystemError(ErrorCode.LOOP, "it keeps changing")

    def _open(
        self,
        spot: Spot,
        open_flags: OpenFlags,
        file_flags: FileFlags,
        access: Access,
        permissions: Permission,
    ) -> Directory | File:
        create = OpenFlags.CREATE in open_flags
        exclusive = create and OpenFlags.EXCLUSIVE in open_flags
        truncate = OpenFlags.TRUNCATE in open_flags
        found = spot.find()
        if found is None:
            if not create:
                raise FilesystemError(ErrorCode.NOENT)
            if spot.directory:
                raise FilesystemError(ErrorCode.ISDIR)
            self._need(Permission.MUTATE_DIRECTORY)
        elif exclusive:
            raise FilesystemError(ErrorCode.EXIST)
        elif found.type is FileType.SYMBOLIC_LINK:
            raise FilesystemError(ErrorCode.LOOP)
        elif found.type is FileType.DIRECTORY:
            if create or truncate or Access.WRITE in access:
                raise FilesystemError(ErrorCode.ISDIR)
            return Directory(_enter(spot), permissions)
        elif spot.directory or OpenFlags.DIRECTORY in open_flags:
            raise FilesystemError(ErrorCode.NOTDIR)
        elif found.type is not FileType.REGULAR_FILE:
            self._need(Permission.SPECIAL_FILES)
        if Access.READ in access:
            self._need(Permission.READ_FILES)
        if Access.WRITE in access or truncate:
            self._need(Permission.WRITE_FILES)
        return spot.place.open_file(
            spot.name,
            access=access,
            flags=file_flags,
            # If the file has just been removed, it may not be made again.
            create=create and Permission.MUTATE_DIRECTORY in self.permissions,
            exclusive=exclusive,
            truncate=truncate,
            permissions=permissions,
        )

    def readdir(self, cookie: int = 0, count: int = 1024) -> list[DirectoryEntry]:
        """Up to `count` entries from where `cookie` says; empty at the end.

        Cookie 0 looks at the directory anew, and starts with `.` and `..`.  The others, from
        `DirectoryEntry.next`, go on in what was seen then, whatever has been made or removed
        since: nothing comes twice or is skipped.
        """
        self._need(Permission.READ_DIRECTORY)
        if cookie < 0 or count < 0:
            raise FilesystemError(ErrorCode.INVAL)
        if self.closed:
            raise FilesystemError(ErrorCode.BADF)
        with self._lock:
            if cookie == 0 or self._entries is None:
                self._entries = self._list()
            return self._entries[cookie : cookie + count]

    def _list(self) -> list[DirectoryEntry]:
        # What `..` is, is no business of the guest's.
        inode = self._place.stat(b".").inode
        entries = [(".", inode, FileType.DIRECTORY), ("..", inode, FileType.DIRECTORY)]
        entries += self._place.list()
        return [DirectoryEntry(*entry, next=i) for i, entry in enumerate(entries, 1)]

    def stat(self) -> Metadata:
        """About the directory itself."""
        return self._place.stat(b".")

    def stat_at(self, path: str | bytes, *, follow: bool = False) -> Metadata:
        """About what is at `path`, or a link there itself."""
        with self._reading(path, follow=follow) as spot:
            return spot.require()

    def set_times(self, accessed: NewTime = SetTime.KEEP, modified: NewTime = SetTime.KEEP) -> None:
        """Set the directory's own timestamps."""
        self._need(Permission.MUTATE_DIRECTORY)
        check_times(accessed, modified)
        self._place.set_times(b".", accessed, modified)

    def set_times_at(
        self,
        path: str | bytes,
        accessed: NewTime = SetTime.KEEP,
        modified: NewTime = SetTime.KEEP,
        *,
        follow: bool = False,
    ) -> None:
        """Set timestamps of what is at `path`, or of a link there itself."""
        check_times(accessed, modified)
        with self._mutating(path, follow=follow) as spot:
            spot.require()
            spot.place.set_times(spot.name, accessed, modified)

    def read_link_at(self, path: str | bytes) -> str:
        """A link's target.

        `INVAL` if it is no link, `PERM` for an absolute target: where the host's files lie is
        no business of the guest's.
        """
        with self._reading(path) as spot:
            if spot.directory:
                spot.require()
            if spot.is_place or spot.directory:
                raise FilesystemError(ErrorCode.INVAL)
            target = spot.place.read_link(spot.name)
        if target.startswith(b"/"):
            raise FilesystemError(ErrorCode.PERM, "absolute link target")
        try:
            return target.decode()
        except UnicodeDecodeError as error:
            raise FilesystemError(ErrorCode.ILSEQ) from error

    def create_directory_at(self, path: str | bytes) -> None:
        """Make a directory.  `EXIST` if there is anything, be it a dangling link."""
        with self._mutating(path) as spot:
            if spot.is_place or spot.through_link:
                raise FilesystemError(ErrorCode.EXIST)
            spot.place.make_directory(spot.name)

    def remove_directory_at(self, path: str | bytes) -> None:
        """Remove an empty directory.  `INVAL` for `.`, and paths that end at the same."""
        with self._mutating(path) as spot:
            if spot.through_link:
                raise FilesystemError(ErrorCode.NOTDIR)
            if spot.is_place:
                raise FilesystemError(ErrorCode.INVAL)
            spot.place.remove_directory(spot.name)

    def unlink_file_at(self, path: str | bytes) -> None:
        """Remove a file or a link itself.  `ISDIR` for a directory."""
        with self._mutating(path) as spot:
            if spot.through_link:
                raise FilesystemError(ErrorCode.NOTDIR)
            if spot.directory:
                spot.require()
            if spot.is_place or spot.directory:
                raise FilesystemError(ErrorCode.ISDIR)
            spot.place.unlink(spot.name)

    def symlink_at(self, target: str | bytes, path: str | bytes) -> None:
        """Make a symbolic link at `path`.  Its target need not exist; `PERM` if it is absolute."""
        raw = parse_target(target)
        with self._mutating(path) as spot:
            _check_new(spot)
            spot.place.make_symlink(raw, spot.name)

    def link_at(
        self, path: str | bytes, other: Directory, new_path: str | bytes, *, follow: bool = False
    ) -> None:
        """Give a file, or a link itself, another name in `other`.

        `PERM` for directories, and if `other` permits more than this directory does;
        `XDEV` between different file systems.
        """
        self._check_move(other)
        with (
            self._mutating(path, follow=follow) as spot,
            other._mutating(new_path) as new,
        ):
            if spot.require().type is FileType.DIRECTORY:
                raise FilesystemError(ErrorCode.PERM, "hard link to a directory")
            _check_new(new)
            spot.place.make_link(spot.name, new.place, new.name)

    def rename_at(self, path: str | bytes, other: Directory, new_path: str | bytes) -> None:
        """Move a file, a directory or a link itself, in place of what is there.

        `PERM` if `other` permits more than this directory does, `XDEV` between different file
        systems.
        """
        self._check_move(other)
        with self._mutating(path) as spot, other._mutating(new_path) as new:
            if spot.is_place or new.is_place:
                raise FilesystemError(ErrorCode.BUSY)
            if spot.through_link or new.through_link:
                raise FilesystemError(ErrorCode.NOTDIR)
            if spot.require().type is not FileType.DIRECTORY and new.directory:
                raise FilesystemError(ErrorCode.NOTDIR)
            spot.place.rename(spot.name, new.place, new.name)

    def sync(self) -> None:
        """Wait until the names in this directory are on the medium."""
        self._place.sync(data_only=False)

    def datasync(self) -> None:
        """As `sync`, without timestamps."""
        self._place.sync(data_only=True)

    def _need(self, permission: Permission) -> None:
        if permission not in self.permissions:
            raise FilesystemError(ErrorCode.PERM, f"no permission `{permission.name}`")

    def _reading(self, path: str | bytes, *, follow: bool = False) -> AbstractContextManager[Spot]:
        parsed = parse_path(path)
        self._need(Permission.READ_DIRECTORY)
        return locate(self._place, parsed, follow=follow)

    def _mutating(self, path: str | bytes, *, follow: bool = False) -> AbstractContextManager[Spot]:
        parsed = parse_path(path)
        self._need(Permission.MUTATE_DIRECTORY)
        return locate(self._place, parsed, follow=follow)

    def _check_move(self, other: Directory) -> None:
        """Nothing gets writable by being put elsewhere."""
        if other.permissions & ~self.permissions:
            raise FilesystemError(ErrorCode.PERM, "more is permitted there")


def _enter(spot: Spot) -> Place:
    try:
        return spot.place.enter(spot.name)
    except FilesystemError as error:
        if error.code in (ErrorCode.NOTDIR, ErrorCode.LOOP):
            raise Changed from error
        raise


def _check_new(spot: Spot) -> None:
    """A name for something that is no directory: `EXIST` is left to who makes it."""
    if spot.is_place or spot.through_link:
        raise FilesystemError(ErrorCode.EXIST)
    if spot.directory:
        # Whatever is there, is not what is to be made.
        found = spot.find()
        raise FilesystemError(ErrorCode.NOENT if found is None else ErrorCode.EXIST)
