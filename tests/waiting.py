"""Deadlines that do not depend on how fast the machine is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def cancelled_once_waiting() -> AsyncIterator[anyio.CancelScope]:
    """A scope that is cancelled as soon as what runs in it, and all else, waits."""

    async def cancel() -> None:
        await anyio.wait_all_tasks_blocked()
        scope.cancel()

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel)
            yield scope
        group.cancel_scope.cancel()
