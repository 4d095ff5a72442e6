"""Work that nobody waits for: one daemon thread for the process, started when it is needed.

What it does holds the GIL only while it writes IR; LLVM runs without it.
"""

from __future__ import annotations

import _thread
import atexit
import os
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

# How long the end of the process waits for a job: LLVM must not be running when its own data is
# taken down.
_PATIENCE: Final = 10.0


class Background:
    """Runs jobs one after the other, in the order in which they were submitted."""

    def __init__(self) -> None:
        # A queue that may be used from signal handlers and finalizers.
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = _thread.allocate_lock()
        self._working = _thread.allocate_lock()
        self._started = False
        self._ended = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` some time.  It must not raise."""
        self._jobs.put(job)
        if not self._started:
            with self._starting:
                if not self._started:
                    _thread.start_new_thread(self._run, ())
                    self._started = True

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            with self._working:
                if not self._ended:
                    job()
            del job

    def end(self) -> None:
        """Start no other job, and wait for the one in progress."""
        self._ended = True
        if self._working.acquire(timeout=_PATIENCE):
            self._working.release()


BACKGROUND: Final = Background()


def _renew() -> None:
    # Threads do not survive a fork; what they were to do is not needed, only useful.
    BACKGROUND.__init__()  # type: ignore[misc]  # deliberate re-initialisation in place


atexit.register(BACKGROUND.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
