"""Failures as the user sees them: one line each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from asyncwasm.errors import MalformedError, Trap, ValidationError, WasmError


class Failure(Exception):
    """Ends a command: a one-line message, further lines (such as a backtrace), a status."""

    def __init__(self, message: str, *, status: int = 1, notes: tuple[str, ...] = ()) -> None:
        super().__init__(" ".join(message.splitlines()))
        self.status = status
        self.notes = notes


def report(failure: Failure) -> None:
    """Print a failure on standard error."""
    print(f"asyncwasm: error: {failure}", *failure.notes, sep="\n", file=sys.stderr)


def describe(error: Exception) -> str:
    """The text of an error, on one line, without the place that `locate` gives."""
    if isinstance(error, (MalformedError, ValidationError)):
        return error.reason
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, Trap):
        detail = error.detail
        return f"{error}: {detail}" if detail and detail != error.code.value else str(error)
    return " ".join(str(error).splitlines()) or type(error).__name__


def locate(file: str, error: Exception) -> str:
    """`file`, and where in it the error is: `file:line:column` or `file:0xoffset`."""
    if isinstance(error, MalformedError) and error.line is not None:
        return f"{file}:{error.line}:{error.column}"
    if isinstance(error, (MalformedError, ValidationError)) and error.offset is not None:
        return f"{file}:{error.offset:#x}"
    return file


@contextmanager
def blame(file: str) -> Iterator[None]:
    """Turn what is wrong with a file, or with what is in it, into a `Failure` that names it."""
    try:
        yield
    except (WasmError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise Failure(f"{locate(file, error)}: {describe(error)}") from error
