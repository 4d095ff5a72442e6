"""Standard streams that are descriptors of the operating system: inherited ones, and pipes.

Where the event loop can wait for a descriptor no thread is used, so that a program which waits
for input is cancelled at once and leaves nothing behind.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

import anyio.lowlevel

from ..readiness import wait_ready, wait_sync
from ..threads import abandoning, in_thread
from ._input import InputStream
from ._output import OutputStream

if TYPE_CHECKING:
    from typing_extensions import Buffer

# A pipe that is ready takes so much without blocking.
_PIPE_BUF: Final = 512 if os.name == "nt" else 4096


def _on_disk(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


class DescriptorInput(InputStream):
    """A descriptor that stays the caller's.  What Python has read ahead of it is not seen."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._on_disk = _on_disk(fd)
        self.is_terminal = os.isatty(fd)

    async def fetch(self, limit: int) -> Buffer:
        if self._on_disk:
            return await in_thread(os.read, self._fd, limit)
        while True:
            if not await wait_ready(self._fd):
                return await abandoning(os.read, self._fd, limit)
            try:
                return os.read(self._fd, limit)
            except BlockingIOError:
                continue  # somebody else was faster

    def fetch_sync(self, limit: int) -> Buffer:
        while True:
            try:
                return os.read(self._fd, limit)
            except BlockingIOError:
                wait_sync([self._fd], [], None)

    async def wait_readable(self) -> None:
        if self._rest or self._on_disk:
            await anyio.lowlevel.checkpoint()
        else:
            await wait_ready(self._fd)

    def fileno(self) -> int | None:
        return None if self._rest or self._on_disk else self._fd


class DescriptorOutput(OutputStream):
    """A descriptor that stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._on_disk = _on_disk(fd)
        self.is_terminal = os.isatty(fd)

    async def write(self, data: bytes) -> None:
        if self._on_disk:
            await in_thread(self.write_sync, data)
            return
        left = memoryview(data)
        while left:
            if not await wait_ready(self._fd, write=True):
                await abandoning(self.write_sync, bytes(left))
                return
            try:
                left = left[os.write(self._fd, left[:_PIPE_BUF]) :]
            except BlockingIOError:
                continue

    def write_sync(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                wait_sync([], [self._fd], None)
