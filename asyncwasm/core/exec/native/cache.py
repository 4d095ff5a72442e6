"""Machine code on disk: files of named objects, for this user's processes.

A file belongs to one module and one way of compiling it, which its name is made of.  It starts
with a keyed digest of the rest; the key is in the directory, which only the user may write to.
Files are replaced as a whole, so processes need no locks: of what two write at the same time
something may be lost, and is compiled once more.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

_MAGIC: Final = b"\0asyncwasm-code\n"
_DIGEST: Final = 32
# The directory may have so many bytes in it; then what was not used for longest goes.
_MOST_BYTES: Final = 2 << 30


class UnusableError(Exception):
    """The cache cannot be used, or must not; the text says why."""


def open_directory(path: Path) -> Path:
    """`path`, made if need be.  Raises `UnusableError` if others could write to it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise UnusableError(str(error)) from error
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise UnusableError(f"others than the current user may write to {path}")
    return path


@cache
def _key(directory: Path) -> bytes:
    path = directory / "key"
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            # Nobody reads it before it is complete, and one process is the first.
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(str(error)) from error


def _digest(directory: Path, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST, key=_key(directory)).digest()


def pack(items: Mapping[str, bytes]) -> bytes:
    """Named objects as one piece."""
    index = json.dumps([[name, len(data)] for name, data in items.items()]).encode()
    return b"".join([index, b"\n", *items.values()])


def unpack(content: bytes) -> dict[str, bytes]:
    """What `pack` was given.  Raises `ValueError` for anything else."""
    line, _, rest = content.partition(b"\n")
    found, at = {}, 0
    for name, size in json.loads(line):
        found[name] = rest[at : at + size]
        at += size
    if at != len(rest):
        raise ValueError("a size is wrong")
    return found


# Files with something to write, and when some were last written.
_dirty: Final[set[CodeFile]] = set()
_next_at = time.monotonic() + 1.0
# Files are written as a whole.  This is how many times as long nothing is written then.
_PAUSE: Final = 20


def flush(*, now: bool = True) -> None:
    """Write what was added to any file; without `now` not more often than every second."""
    global _next_at
    start = time.monotonic()
    if now or start > _next_at:
        while _dirty:
            _dirty.pop().flush()
        end = time.monotonic()
        _next_at = end + max(1.0, _PAUSE * (end - start))


atexit.register(flush)


class CodeFile:
    """One file of the cache, and what is to be added to it.  May be used by many threads."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory: Final = directory
        self._path: Final = directory / f"{name}.code"
        self._new: dict[str, bytes] = {}
        self._lock: Final = threading.Lock()
        self.items: dict[str, bytes] = self._read()
        if self.items:
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _read(self) -> dict[str, bytes]:
        """What is in the file now; nothing if it is not as it was written."""
        with contextlib.suppress(OSError, ValueError, UnusableError):
            data = self._path.read_bytes()
            digest, content = data[len(_MAGIC) :][:_DIGEST], data[len(_MAGIC) + _DIGEST :]
            if data.startswith(_MAGIC) and hmac.compare_digest(
                digest, _digest(self._directory, content)
            ):
                return unpack(content)
        return {}

    def add(self, name: str, data: bytes) -> None:
        """Have `data` written with the next `flush`."""
        self._new[name] = data
        _dirty.add(self)

    def flush(self) -> None:
        """Write what was added, beside what is there.  A failure only costs the code."""
        with self._lock:
            new, self._new = self._new, {}
            if not new:
                return
            content = pack({**self._read(), **new})
            with contextlib.suppress(OSError, UnusableError):
                data = _MAGIC + _digest(self._directory, content) + content
                handle, temporary = tempfile.mkstemp(dir=self._directory, suffix=".new")
                try:
                    with os.fdopen(handle, "wb") as file:
                        file.write(data)
                    os.replace(temporary, self._path)
                except BaseException:
                    os.unlink(temporary)
                    raise
                self._make_room()

    def _make_room(self) -> None:
        files = [(path, path.stat()) for path in self._directory.glob("*.code")]
        total = sum(found.st_size for _, found in files)
        for path, found in sorted(files, key=lambda file: file[1].st_mtime):
            if total <= _MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= found.st_size
