"""What a guest's path says, before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ._errors import ErrorCode, FilesystemError

MAX_NAME: Final = 255
MAX_PATH: Final = 4095
"""Bytes, without the zero that ends it in C."""

HERE: Final = b"."
UP: Final = b".."


@dataclass(frozen=True, slots=True)
class Path:
    """A relative path, cut up."""

    parts: tuple[bytes, ...]
    """Not empty.  None is empty or has a slash; `.` and `..` are left in."""
    directory: bool
    """Whether it ended with a slash, and so has to name a directory."""


def parse_path(path: str | bytes) -> Path:
    """Cut up a guest's path.  Bytes are UTF-8.

    Raises `FilesystemError`: `NOENT` for an empty path, `PERM` for an absolute one, `ILSEQ`,
    `INVAL` for a zero byte, `NAMETOOLONG`.
    """
    raw = encode(path)
    if raw.startswith(b"/"):
        raise FilesystemError(ErrorCode.PERM, "absolute path")
    return split(raw)


def parse_target(target: str | bytes) -> bytes:
    """A symbolic link's target as a guest gives it.  Raises as `parse_path` does.

    An absolute one is refused: no walk of ours would follow it, but other programs would.
    """
    raw = encode(target)
    if raw.startswith(b"/"):
        raise FilesystemError(ErrorCode.PERM, "absolute link target")
    return raw


def encode(path: str | bytes) -> bytes:
    try:
        if isinstance(path, str):
            raw = path.encode()
        else:
            raw = path
            raw.decode()
    except UnicodeError as error:
        raise FilesystemError(ErrorCode.ILSEQ, "not UTF-8") from error
    if not raw:
        raise FilesystemError(ErrorCode.NOENT, "empty path")
    if b"\0" in raw:
        raise FilesystemError(ErrorCode.INVAL, "zero byte in path")
    if len(raw) > MAX_PATH:
        raise FilesystemError(ErrorCode.NAMETOOLONG)
    return raw


def split(raw: bytes) -> Path:
    """Cut up a relative path; for links on the host's disk too, which need not be UTF-8."""
    parts = tuple(part for part in raw.split(b"/") if part)
    if not parts:
        raise FilesystemError(ErrorCode.NOENT, "empty path")
    if any(len(part) > MAX_NAME for part in parts):
        raise FilesystemError(ErrorCode.NAMETOOLONG)
    return Path(parts, raw.endswith(b"/"))
