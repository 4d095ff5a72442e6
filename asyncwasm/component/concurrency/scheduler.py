"""Who runs next among the guest threads of a store.

Threads that wait name what may make them ready; when that changes they become candidates and
look whether they are.  So a turn costs nothing for threads that nothing happened to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .thread import Thread

T = TypeVar("T")


class Scheduler:
    """The waiting threads of a store and the one source of its scheduling choices.

    Threads that something happened to run in the order in which it happened, and so do those that
    gave others a turn; guests may rely on that.  Without a `seed` the former go first, and of the
    events in a set the oldest is delivered.  With one, both are pseudorandom.
    """

    __slots__ = ("_events", "_random", "_yields", "on_ready", "threads")

    def __init__(self, seed: int | None = None) -> None:
        self._random = None if seed is None else random.Random(seed)
        self._events: dict[Thread, None] = {}
        self._yields: dict[Thread, None] = {}
        # Every thread that has begun and not ended, or may yet begin.
        self.threads: dict[Thread, None] = {}
        # Called when a thread may have become ready, to wake up what drives the store.
        self.on_ready: list[Callable[[], object]] = []

    def choose(self, items: Collection[T]) -> T:
        """One of `items`, of which there is at least one."""
        if self._random is None or len(items) == 1:
            return next(iter(items))
        return self._random.choice(list(items))

    def flip(self) -> bool:
        """A coin: always false without a seed."""
        return self._random is not None and self._random.random() < 0.5

    def notify(self, thread: Thread) -> None:
        """Something happened that `thread` waits for."""
        # One that gave others a turn is not more urgent for having had to wait longer.
        (self._yields if thread.gave_turn else self._events)[thread] = None
        for wake in self.on_ready:
            wake()

    def queue(self, thread: Thread) -> None:
        """`thread` gave others a turn and is ready."""
        self._yields[thread] = None
        for wake in self.on_ready:
            wake()

    def forget(self, thread: Thread) -> None:
        """`thread` does not wait any more."""
        self._events.pop(thread, None)
        self._yields.pop(thread, None)

    def has_candidates(self) -> bool:
        """Whether a turn may find a thread to run."""
        return bool(self._events or self._yields)

    def only_yields(self) -> bool:
        """Whether all candidates are threads that gave others a turn."""
        return not self._events

    def next_ready(self) -> Thread | None:
        """A thread that is ready; None if there is none.

        It stays a candidate until it is resumed.
        """
        queues = (self._events, self._yields)
        if self.flip():
            queues = (self._yields, self._events)
        for queue in queues:
            while queue:
                thread = next(iter(queue))
                if thread.is_ready():
                    return thread
                # It becomes a candidate again when what it waits for changes.
                del queue[thread]
        return None

    def tick(self) -> bool:
        """Let one thread that is ready go on; return whether there was one.

        Called with nothing running in the store.  Raises what the thread raises.
        """
        thread = self.next_ready()
        if thread is None:
            return False
        thread.resume()
        return True

    def close(self) -> list[BaseException]:
        """Unwind every thread that is suspended; return what they raised instead of ending."""
        failures: list[BaseException] = []
        for thread in list(self.threads):
            try:
                thread.close()
            except BaseException as error:
                failures.append(error)
        self.threads.clear()
        self._events.clear()
        self._yields.clear()
        return failures
