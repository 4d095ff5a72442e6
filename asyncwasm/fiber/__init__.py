"""Sync code on switchable stacks, driven by async code.

This layer has never heard of WebAssembly.  `on_fiber` runs a plain callable on a stack of its
own; `await_`, called however deep inside it, suspends that stack while the awaitable is awaited
in the caller's own task.  `Fiber`, `suspend` and `current` switch stacks by hand, for
schedulers.  `take_stack`, `drive` and `fail` are what `on_fiber` is made of, for who cannot afford
another coroutine around it.
"""

from ._bridge import ThreadEvent as ThreadEvent
from ._bridge import checkpoint as checkpoint
from ._bridge import current_task as current_task
from ._bridge import new_event as new_event
from ._bridge import turn as turn
from ._call import await_ as await_
from ._call import await_held as await_held
from ._call import current_task_id as current_task_id
from ._call import drive as drive
from ._call import fail as fail
from ._call import in_fiber as in_fiber
from ._call import is_awaitable as is_awaitable
from ._call import maybe_await as maybe_await
from ._call import on_fiber as on_fiber
from ._fiber import Fiber as Fiber
from ._fiber import current as current
from ._fiber import suspend as suspend
from ._switch import live_fibers as live_fibers
from ._switch import take_stack as take_stack
from ._tasks import Child as Child
from ._tasks import Children as Children
from ._tasks import open_children as open_children

__all__ = [
    "Child",
    "Children",
    "Fiber",
    "ThreadEvent",
    "await_",
    "await_held",
    "checkpoint",
    "current",
    "current_task",
    "current_task_id",
    "drive",
    "fail",
    "in_fiber",
    "is_awaitable",
    "live_fibers",
    "maybe_await",
    "new_event",
    "on_fiber",
    "open_children",
    "suspend",
    "take_stack",
    "turn",
]
