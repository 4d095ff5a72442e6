"""Calls that not every POSIX system has, or has under another name."""

from __future__ import annotations

import os
from typing import Final

from .._errors import ErrorCode, FilesystemError
from .._types import Advice

# By name: macOS has none.
_ADVICE: Final = {
    Advice.NORMAL: "POSIX_FADV_NORMAL",
    Advice.SEQUENTIAL: "POSIX_FADV_SEQUENTIAL",
    Advice.RANDOM: "POSIX_FADV_RANDOM",
    Advice.WILL_NEED: "POSIX_FADV_WILLNEED",
    Advice.DONT_NEED: "POSIX_FADV_DONTNEED",
    Advice.NO_REUSE: "POSIX_FADV_NOREUSE",
}


def sync_descriptor(number: int, *, data_only: bool) -> None:
    if data_only and hasattr(os, "fdatasync"):
        os.fdatasync(number)
    else:
        os.fsync(number)


def allocate(number: int, offset: int, length: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        raise FilesystemError(ErrorCode.NOTSUP)
    os.posix_fallocate(number, offset, length)


def advise(number: int, offset: int, length: int, advice: Advice) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(number, offset, length, getattr(os, _ADVICE[advice]))
