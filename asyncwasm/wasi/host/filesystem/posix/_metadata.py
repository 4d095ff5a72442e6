"""From the system's words to ours."""

from __future__ import annotations

import os
import time

from .._types import Metadata, NewTime, SetTime, file_type


def metadata(status: os.stat_result) -> Metadata:
    return Metadata(
        device=status.st_dev,
        inode=status.st_ino,
        type=file_type(status.st_mode),
        links=status.st_nlink,
        size=status.st_size,
        accessed_ns=status.st_atime_ns,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
    )


def times(status: os.stat_result, accessed: NewTime, modified: NewTime) -> tuple[int, int] | None:
    """What to give to `os.utime`; None for both now, which the system does best itself."""
    if accessed is SetTime.NOW and modified is SetTime.NOW:
        return None
    return _time(accessed, status.st_atime_ns), _time(modified, status.st_mtime_ns)


def _time(new: NewTime, old: int) -> int:
    if isinstance(new, int):
        return new
    return old if new is SetTime.KEEP else time.time_ns()
