"""Where a guest's way into real files begins."""

from __future__ import annotations

import errno
import os
from typing import Final

from ._directory import Directory
from ._types import Permission

_RELATIVE_CALLS: Final = (
    "open", "stat", "mkdir", "rmdir", "unlink", "rename", "link", "symlink", "readlink", "utime",
)  # fmt: skip


def open_directory(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    permissions: Permission = Permission.READ_WRITE,
) -> Directory:
    """Open a directory of the host, to be given to guests.  The caller closes it.

    Only here is a path of the host used as it is, links and all.  Raises `OSError`, with
    `ENOTSUP` where the platform cannot work relative to directories, as on Windows.
    """
    missing = [name for name in _RELATIVE_CALLS if getattr(os, name) not in os.supports_dir_fd]
    if missing or not hasattr(os, "O_NOFOLLOW"):
        raise OSError(
            errno.ENOTSUP,
            "directories cannot be given to guests on this platform: it cannot open files "
            "relative to a directory",
        )
    # Late, because it cannot be imported elsewhere.
    from .posix._place import DIRECTORY_FLAGS, PosixPlace

    number = os.open(path, DIRECTORY_FLAGS & ~os.O_NOFOLLOW)
    return Directory(PosixPlace(number), permissions)
