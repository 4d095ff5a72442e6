"""Short words for what the tests of files say all the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

READ_WRITE = Access.READ | Access.WRITE
NEW = OpenFlags.CREATE | OpenFlags.EXCLUSIVE


@contextmanager
def fails(*codes: ErrorCode) -> Iterator[None]:
    with pytest.raises(FilesystemError) as caught:
        yield
    assert caught.value.code in codes


def open_file(directory: Directory, path: str | bytes, **options: Any) -> File:
    file = directory.open_at(path, **options)
    assert isinstance(file, File)
    return file


def open_dir(directory: Directory, path: str | bytes, **options: Any) -> Directory:
    opened = directory.open_at(path, **options)
    assert isinstance(opened, Directory)
    return opened


def put(directory: Directory, path: str, data: bytes = b"") -> None:
    flags = OpenFlags.CREATE | OpenFlags.TRUNCATE
    with open_file(directory, path, open_flags=flags, access=Access.WRITE) as file:
        assert file.write(data) == len(data)


def get(directory: Directory, path: str | bytes, *, follow: bool = False) -> bytes:
    with open_file(directory, path, follow=follow) as file:
        return file.read(1 << 20)


def names(directory: Directory) -> list[str]:
    """What is in a directory, without `.` and `..`."""
    return sorted({entry.name for entry in directory.readdir()} - {".", ".."})
