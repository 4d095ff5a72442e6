"""Reading and writing files, with `-` for standard input and output."""

from __future__ import annotations

import sys
from pathlib import Path

from ._failure import blame


def display_name(path: str) -> str:
    """What to call the file in messages."""
    return "<stdin>" if path == "-" else path


def read_bytes(path: str) -> bytes:
    """The content of a file; raises `Failure` if it cannot be read."""
    with blame(display_name(path)):
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()


def write_bytes(path: str, content: bytes) -> None:
    """Write a file; raises `Failure` if that is not possible."""
    with blame("<stdout>" if path == "-" else path):
        if path == "-":
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            Path(path).write_bytes(content)
