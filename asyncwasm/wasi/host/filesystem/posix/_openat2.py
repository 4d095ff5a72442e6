"""The Linux call that walks a path beneath a directory in one go.

Only a shortcut: nothing depends on it, and whatever it refuses is walked step by step.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
from collections.abc import Callable
from typing import Final

_NUMBER: Final = 437
# Where system calls have the same numbers since the year it came.
_MACHINES: Final = (
    "aarch64", "arm", "i386", "i486", "i586", "i686", "loongarch64", "ppc64", "ppc64le",
    "riscv64", "s390x", "x86_64",
)  # fmt: skip
_NO_MAGICLINKS: Final = 0x02
_BENEATH: Final = 0x08

# struct open_how: flags, mode and resolve.
_OPEN_HOW: Final = struct.Struct("=QQQ")
_FLAGS: Final = (
    getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_HOW: Final = _OPEN_HOW.pack(_FLAGS, 0, _BENEATH | _NO_MAGICLINKS)

Call = Callable[[int, bytes], int]


def open_beneath(directory: int, path: bytes) -> int | None:
    """A descriptor of the directory at `path`, or None if it takes a walk.

    Raises `FileNotFoundError` if there is none.  A moment's rename, a link that leads outside, a
    kernel without the call or a filter that forbids it are all None.
    """
    call = _call()
    if call is None:
        return None
    number = call(directory, path)
    if number >= 0:
        return number
    if number == -errno.ENOENT:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return None


@functools.cache
def _call() -> Call | None:
    """The call, which returns a descriptor or a negated error number; None if it is not there."""
    machine = platform.machine().lower()
    if platform.system() != "Linux" or not machine.startswith(_MACHINES):
        return None
    try:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return None
    syscall.restype = ctypes.c_long
    syscall.argtypes = [
        ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t,
    ]  # fmt: skip

    def call(directory: int, path: bytes) -> int:
        number: int = syscall(_NUMBER, directory, path, _HOW, _OPEN_HOW.size)
        return number if number >= 0 else -ctypes.get_errno()

    probe = call(-1, b".")
    # Refused as it should be, for the descriptor, rather than unknown or forbidden.
    return call if probe == -errno.EBADF else None
