"""Scheduling."""

from __future__ import annotations

from typing import Final

from .call import Call, Function


async def sched_yield(call: Call) -> None:
    """Let other tasks of the event loop run."""
    await call.driver.give_way()


FUNCTIONS: Final = {"sched_yield": Function(sched_yield, "")}
