"""The budget of Python's stack for guest code of the portable engine."""

from __future__ import annotations

import sys
from typing import Final


class _StackBudget:
    """Python's recursion limit, raised while any guest code is on some stack.

    The portable engine's frames are Python frames, so the default limit of a thousand would
    be the guest's.  The limit is the process's, hence the count of who needs it.
    """

    def __init__(self) -> None:
        # By an id and a depth, so that doing either twice is harmless: a signal handler may raise
        # in the middle of it.
        self.users: set[tuple[int, int]] = set()
        self.before = 0
        self.raised = 0

    def acquire(self, user: tuple[int, int], frames: int) -> None:
        limit = sys.getrecursionlimit()
        # Still raised without users: see `release`.
        if not self.users and limit != self.raised:
            self.before = limit
        self.users.add(user)
        wanted = self.before + frames
        if wanted > limit:
            self.raised = wanted
            sys.setrecursionlimit(wanted)

    def release(self, user: tuple[int, int]) -> None:
        self.users.discard(user)
        # Left alone if somebody else set the limit meanwhile.
        if not self.users and sys.getrecursionlimit() == self.raised != self.before:
            try:
                sys.setrecursionlimit(self.before)
            except RecursionError:
                return  # we are deeper than that now: the next release tries again


BUDGET: Final = _StackBudget()
