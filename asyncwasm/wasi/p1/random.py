"""Random bytes."""

from __future__ import annotations

from typing import Final

from asyncwasm.errors import ResourceLimitError

from .call import Call, Function

MAX_RANDOM: Final = 64 << 20
"""Bytes that one call gives at most, as in Wasmtime."""

_PIECE: Final = 1 << 20


async def random_get(call: Call, buf: int, buf_len: int) -> None:
    """Fill `buf` with random bytes.  Raises `ResourceLimitError` for more than `MAX_RANDOM`."""
    view = call.memory.check(buf, buf_len)
    if buf_len > MAX_RANDOM:
        raise ResourceLimitError(
            f"requested {buf_len} random bytes, more than the limit of {MAX_RANDOM}"
        )
    for start in range(0, buf_len, _PIECE):
        if start:
            await call.driver.give_way()
        piece = view[start : start + _PIECE]
        piece[:] = call.ctx.random.get_bytes(len(piece))


FUNCTIONS: Final = {"random_get": Function(random_get, "ii")}
