"""What has to be as before when no call is in progress."""

from __future__ import annotations

import sys
from typing import Any

from asyncwasm import Store
from asyncwasm.core.runtime.budget import BUDGET
from asyncwasm.core.runtime.ticker import TICKER
from asyncwasm.fiber import live_fibers

LIMIT = sys.getrecursionlimit()


def open_books(*stores: Store[Any]) -> list[str]:
    """What is left over of calls that have ended; empty if nothing is."""
    left = []
    for store in stores:
        left += [
            f"{name} = {value!r}"
            for name, value in (
                ("depth", store._depth),
                ("waiting", store._waiting),
                ("may_suspend", store._may_suspend),
                ("turn", store._turn),
                ("queue", list(store._queue)),
                ("running", store.engine._running),
                ("watched", id(store) in TICKER._due),
            )
            if value
        ]
    left += [f"stack budget of {user}" for user in BUDGET.users]
    if sys.getrecursionlimit() != LIMIT:
        left.append(f"recursion limit {sys.getrecursionlimit()}")
    if live_fibers():
        left.append(f"{live_fibers()} fibers")
    return left


def assert_idle(*stores: Store[Any]) -> None:
    """Fail unless the stores, and the process, are as if no call had ever been made."""
    assert open_books(*stores) == []
