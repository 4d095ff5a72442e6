"""Streams out of whatever a user gives for one."""

from __future__ import annotations

import enum
import io
import sys
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ._descriptor import DescriptorInput, DescriptorOutput
from ._input import BytesInput, CallableInput, FileInput, InputStream, IteratorInput, Reader
from ._output import (
    CallableOutput,
    FileOutput,
    NullOutput,
    OutputStream,
    StreamOutput,
    Writer,
    is_async_stream,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Inherit(enum.Enum):
    """The one value with which a program is given the host process's own stream."""

    INHERIT = "inherit"


INHERIT: Final = Inherit.INHERIT

StdinSource: TypeAlias = (
    "InputStream | Buffer | Reader | AsyncIterable[Buffer] | Inherit"
    " | Callable[[int], Buffer | Awaitable[Buffer]] | None"
)
StdoutTarget: TypeAlias = "OutputStream | Writer | Callable[[bytes], object] | Inherit | Any | None"


def input_stream(source: StdinSource) -> InputStream:
    """A stream of `source`.

    None is a closed input and `INHERIT` the process's own; bytes are given as they are; a file
    object is read, by its descriptor if it is a pipe or a terminal; an async stream or iterator
    gives bytes; a callable is asked for them.  Raises `TypeError` for anything else.
    """
    if source is None:
        return BytesInput()
    if isinstance(source, InputStream):
        return source
    if isinstance(source, Inherit):
        try:
            return DescriptorInput(0)
        except OSError:
            return BytesInput()  # the process has none
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BytesInput(source)
    if isinstance(source, AsyncIterable):
        return IteratorInput(source)
    file = _binary(source)
    if hasattr(file, "read"):
        fd = _descriptor(file)
        return FileInput(file) if fd is None else DescriptorInput(fd)
    if callable(source):
        return CallableInput(source)
    raise TypeError(f"a program cannot read its input from {source!r}")


def output_stream(target: StdoutTarget, *, inherited: Literal[1, 2] = 1) -> OutputStream:
    """A stream to `target`.

    None discards what is written and `INHERIT` is the process's own output, `inherited` saying
    which; otherwise a file object, an async stream or a callable.  Raises `TypeError` for
    anything else.
    """
    if target is None:
        return NullOutput()
    if isinstance(target, OutputStream):
        return target
    if isinstance(target, Inherit):
        _flush(sys.stdout if inherited == 1 else sys.stderr)
        try:
            return DescriptorOutput(inherited)
        except OSError:
            return NullOutput()  # the process has none
    if is_async_stream(target):
        return StreamOutput(target)
    file = _binary(target)
    if hasattr(file, "write"):
        _flush(target)
        fd = _descriptor(file)
        return FileOutput(file) if fd is None else DescriptorOutput(fd)
    if callable(target):
        return CallableOutput(target)
    raise TypeError(f"a program cannot write its output to {target!r}")


def _binary(file: Any) -> Any:
    """The binary file below a text file; anything else as it is."""
    if isinstance(file, io.TextIOBase):
        buffer = getattr(file, "buffer", None)
        if buffer is None:
            raise TypeError("a program's input and output are bytes: give a binary file")
        return buffer
    return file


def _descriptor(file: Any) -> int | None:
    """The descriptor of a pipe, socket or terminal; files on disk keep Python's position."""
    try:
        fd: int = file.fileno()
        stream = DescriptorInput(fd)
    except (AttributeError, OSError, ValueError):
        return None
    return None if stream._on_disk else fd


def _flush(file: Any) -> None:
    # What Python has written before comes first.
    flush = getattr(file, "flush", None)
    if flush is not None:
        flush()
