"""The preemption ticker: a daemon thread that asks running guests to give the loop a turn.

Guest code cannot look at a clock cheaply, so it looks at its store's one-element `interrupt`
list instead, and this thread sets it.  One thread serves the process.  It sleeps without a
time-out when nothing has run for a while, so an idle program uses no CPU.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
from typing import Final

# After so many ticks with nothing to watch the thread goes to sleep.  Waking it costs a few
# microseconds, which short calls made one after the other should not pay each time.
_IDLE_TICKS: Final = 50
_IDLE_INTERVAL: Final = 0.01


class Ticker:
    """Sets flags at intervals.  `watch` and `unwatch` may be called from any thread."""

    def __init__(self) -> None:
        self._due: dict[int, tuple[list[int], float]] = {}
        self._awake = False
        self._started = False
        # Nothing but plain locks and threads, for a signal handler may raise anywhere in here: in
        # `threading.Event` that can leave a lock taken for good.
        self._lock = threading.Lock()
        # Taken by the thread when it goes to sleep, released by whoever wakes it.
        self._gate = threading.Lock()
        self._gate.acquire()

    def watch(self, key: int, flag: list[int], interval: float) -> None:
        """Set `flag[0]` to 1 every `interval` seconds, until `unwatch(key)`."""
        self._due[key] = (flag, interval)
        if not self._awake:
            self._start()

    def unwatch(self, key: int) -> None:
        """Stop setting the flag registered as `key`; unknown keys are ignored."""
        self._due.pop(key, None)

    def _start(self) -> None:
        with self._lock:
            if self._awake:
                return
            # In this order, because a signal handler may raise in here.
            if not self._started:
                _thread.start_new_thread(self._run, ())
                self._started = True
            elif self._gate.locked():
                self._gate.release()
            self._awake = True

    def _run(self) -> None:
        idle = 0
        while True:
            watched = list(self._due.values())
            if watched:
                idle = 0
                interval = min(interval for _, interval in watched)
                # A guest that computes lets go of the GIL when it is asked for that long.
                time.sleep(max(interval - sys.getswitchinterval(), interval / 2))
                # Calls that ended meanwhile are in `watched` still: their flag is set in vain,
                # and the next call in that store clears it when it enters.
                for flag, _ in watched:
                    flag[0] = 1
                continue
            idle += 1
            if idle < _IDLE_TICKS:
                time.sleep(_IDLE_INTERVAL)
                continue
            with self._lock:
                if self._due:
                    continue
                self._awake = False
            self._gate.acquire()
            idle = 0


TICKER = Ticker()


def _renew() -> None:
    # Threads do not survive a fork: the child starts afresh.  Generated code holds flags, never
    # the ticker, so replacing the state is enough.
    TICKER.__init__()  # type: ignore[misc]  # deliberate re-initialisation in place


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
