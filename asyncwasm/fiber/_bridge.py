"""What differs between event loops.

A library the program has not imported cannot be the one that is running, so nothing is imported
here: both are looked up among the loaded modules.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import coroutine
from typing import Any

__all__ = ["checkpoint"]


@coroutine
def _asyncio_turn() -> Generator[None, None, None]:
    yield


async def checkpoint() -> None:
    """Give the event loop a turn and raise if the caller is cancelled (trio's checkpoint).

    On asyncio that is what `asyncio.sleep(0)` does.  A coroutine driven by neither library has
    nothing to give a turn to, and goes straight on.
    """
    lowlevel: Any = sys.modules.get("trio.lowlevel")
    events: Any = sys.modules.get("asyncio.events")
    on_asyncio = events is not None and events._get_running_loop() is not None
    if lowlevel is not None and lowlevel.in_trio_task() and not (on_asyncio and _asyncio_inside()):
        await lowlevel.checkpoint()
    elif on_asyncio:
        await _asyncio_turn()


def _asyncio_inside() -> bool:
    """Whether of two running libraries asyncio is the inner one."""
    if sys.modules["asyncio.tasks"].current_task() is None:
        return False  # trio as the guest of an asyncio loop runs in callbacks, not in a task
    sniffio: Any = sys.modules.get("sniffio")
    return sniffio is None or sniffio.thread_local.name != "trio"
