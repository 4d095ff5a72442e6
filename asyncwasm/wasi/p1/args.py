"""Arguments and environment variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .call import Call, Function


def args_get(call: Call, argv: int, argv_buf: int) -> None:
    """Write the arguments to `argv_buf`, and where each begins to `argv`.

    With `["a", "bc"]` and `argv_buf` = 16:

        argv:     10 00 00 00 12 00 00 00
        argv_buf: 61 00 62 63 00
    """
    _write_strings(call, call.ctx.args, argv, argv_buf)


def args_sizes_get(call: Call, argc: int, argv_buf_size: int) -> None:
    """Write the number of arguments, and their bytes with a zero after each, as u32s."""
    _write_sizes(call, call.ctx.args, argc, argv_buf_size)


def environ_get(call: Call, environ: int, environ_buf: int) -> None:
    """As `args_get`, for strings `NAME=value`."""
    _write_strings(call, call.ctx.env, environ, environ_buf)


def environ_sizes_get(call: Call, count: int, environ_buf_size: int) -> None:
    """As `args_sizes_get`, for the environment."""
    _write_sizes(call, call.ctx.env, count, environ_buf_size)


def _write_strings(call: Call, strings: Sequence[bytes], pointers: int, buffer: int) -> None:
    memory = call.memory
    for index, string in enumerate(strings):
        memory.write(buffer, string + b"\0")
        memory.write_u32(pointers + 4 * index, buffer)
        buffer += len(string) + 1


def _write_sizes(call: Call, strings: Sequence[bytes], count: int, size: int) -> None:
    call.memory.write_u32(count, len(strings))
    call.memory.write_u32(size, sum(len(string) + 1 for string in strings))


FUNCTIONS: Final = {
    "args_get": Function(args_get, "ii"),
    "args_sizes_get": Function(args_sizes_get, "ii"),
    "environ_get": Function(environ_get, "ii"),
    "environ_sizes_get": Function(environ_sizes_get, "ii"),
}
