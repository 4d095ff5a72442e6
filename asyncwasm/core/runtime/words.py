"""The part of a store's state that native code reads and writes: an array of 64-bit words."""

from __future__ import annotations

from typing import Final

# Indices of the words.  The limit of guest frames in force, and the lowest address that they may
# have on this thread, which follows it; the ticker's count that guest code has seen.
LIMIT: Final = 0
LOWEST: Final = 1
SEEN: Final = 2
# The number of nested calls, and whether the innermost may suspend.
DEPTH: Final = 3
MAY_SUSPEND: Final = 4
# What stands in the way of entering without Python: bits of `Bar`.
BARS: Final = 5
# The identity of the thread that the store belongs to, or 0.
THREAD: Final = 6
# The ticker's count when the event loop last had a turn.
SLICE: Final = 7
# A Python callable, for native code that has entered the store by itself to end a call with.
LEAVE: Final = 8
# The thread's state while guest code runs without the GIL, or 0, and the ticker's count when it
# last asked Python what there is to do; see `exec.native.gil`.
RELEASED: Final = 9
ASKED: Final = 10

COUNT: Final = 11


class Bar:
    """Why a call has to take the way through `enter`, or through the checks before it.

    Plain numbers: operators of enumerations are slow.
    """

    SYNC: Final = 1
    """Sync entry points are refused."""
    ASYNC: Final = 2
    """Async entry points are refused."""
    HOOK: Final = 4
    """There is a call hook."""
    QUEUE: Final = 8
    """Calls wait for their turn."""
    CLOSED: Final = 16
    METERED: Final = 32
    """Calls are counted by fuel or epochs."""
    PORTABLE: Final = 64
    """Guest code may run on Python's stack, which takes a budget."""

    FOR_SYNC: Final = 127 - ASYNC
    """What bars sync calls."""
    FOR_ASYNC: Final = 127 - SYNC
    """What bars async calls."""
