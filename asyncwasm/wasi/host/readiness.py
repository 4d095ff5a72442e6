"""Waiting for descriptors of the operating system to become ready, on the event loop."""

from __future__ import annotations

import errno
import select
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

# How long to leave a descriptor alone that another task is waiting for.
_BUSY_SECONDS = 0.01


def is_ready(file: FileDescriptorLike, *, write: bool = False) -> bool:
    """Whether an operation on `file` would not block now.  Files of a disk always are ready."""
    return bool(wait_sync([] if write else [file], [file] if write else [], 0))


def wait_sync(
    readers: Sequence[FileDescriptorLike],
    writers: Sequence[FileDescriptorLike],
    seconds: float | None,
) -> bool:
    """Block until one of the files is ready, or for so many seconds; whether one is."""
    if not hasattr(select, "poll"):
        ready = select.select(readers, writers, [], seconds)
        return bool(ready[0] or ready[1])
    poll = select.poll()
    for file in readers:
        poll.register(file, select.POLLIN)
    for file in writers:
        poll.register(file, select.POLLOUT)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


async def wait_ready(file: FileDescriptorLike, *, write: bool = False) -> bool:
    """Suspend until an operation on `file` does not block.  Always checkpoints.

    Nothing else has run on the event loop since it was found to be ready.  False, at once, if
    the event loop cannot wait for such a file.
    """
    wait: Callable[[Any], Awaitable[None]] = anyio.wait_writable if write else anyio.wait_readable
    await anyio.lowlevel.checkpoint()
    while not is_ready(file, write=write):
        try:
            await wait(file)
        except anyio.BusyResourceError:
            # Another program waits for the same descriptor, and one is served first anyway.
            await anyio.sleep(_BUSY_SECONDS)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
            return False
    return True


async def first_of(waiters: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Return when one of the waiters does; those that are not done then are cancelled."""
    if len(waiters) == 1:
        await waiters[0]()
        return
    failures: list[Exception] = []

    async def wait(waiter: Callable[[], Awaitable[object]]) -> None:
        try:
            await waiter()
        except Exception as error:
            failures.append(error)
        # Others that are ready too get to say so.
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for waiter in waiters:
            group.start_soon(wait, waiter)
    if failures:
        raise failures[0]
