"""The threads on which LLVM works: one that calls wait for, and one that nobody waits for.

LLVM recurses over what it compiles, and a guest may be entered on a small or nearly used up
stack, so both have stacks of their own.  They start when they are first needed and stay: making
a thread takes longer than compiling a small function.  They hold the GIL only while they write IR.
"""

from __future__ import annotations

import _thread
import atexit
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeVar

R = TypeVar("R")

_STACK: Final = 16 << 20
# How long the end of the process waits for a job: LLVM must not be running when its own data is
# taken down.
_PATIENCE: Final = 10.0
# What nobody waits for starts when nobody has waited for anything for so long, or after a while.
_QUIET: Final = 0.1
_DELAY: Final = 3.0


class Worker:
    """Runs jobs one after the other, in the order in which they were submitted."""

    _starting: Final = _thread.allocate_lock()

    def __init__(self) -> None:
        # A queue that may be used from signal handlers and finalizers.
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._working = _thread.allocate_lock()
        self._thread: int | None = None
        self._ended = False
        # When somebody last waited for a job.
        self._wanted_at = -_QUIET

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` some time.  It must not raise."""
        self._jobs.put(job)
        if self._thread is None:
            self._start()

    def run(self, work: Callable[[], R]) -> R:
        """What `work` returns or raises; not to be called on the worker's own thread.

        A signal handler that raises leaves the work to be thrown away.
        """
        self._wanted_at = time.monotonic()
        done: list[R] = []
        failed: list[BaseException] = []
        busy = _thread.allocate_lock()
        busy.acquire()

        def job() -> None:
            try:
                done.append(work())
            except BaseException as error:
                failed.append(error)
            finally:
                busy.release()

        self.submit(job)
        busy.acquire()
        self._wanted_at = time.monotonic()
        if failed:
            raise failed[0]
        return done[0]

    def end(self) -> None:
        """Start no other job, and wait for the one in progress."""
        self._ended = True
        if self._working.acquire(timeout=_PATIENCE):
            self._working.release()

    def give_way(self, to: Worker) -> None:
        """Let jobs that are waited for go first: first calls come in bursts.

        They cannot be let in later, as llvmlite has one lock for everything.
        """
        latest = time.monotonic() + _DELAY
        while not self._ended:
            now = time.monotonic()
            if now - to._wanted_at >= _QUIET or now >= latest:
                return
            time.sleep(_QUIET / 4)

    def is_current(self) -> bool:
        """Whether this is the worker's own thread."""
        return self._thread == _thread.get_ident()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            # The size is the process's setting for threads started from now on.
            before = threading.stack_size(_STACK)
            try:
                # `threading.Thread` waits for its start in Python: what a signal handler raises
                # in there can come out as a RuntimeError.
                self._thread = _thread.start_new_thread(self._work, ())
            finally:
                threading.stack_size(before)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._working:
                if not self._ended:
                    job()
            del job


FOREGROUND: Final = Worker()
BACKGROUND: Final = Worker()


def _renew() -> None:
    # Threads do not survive a fork.  What the background was to do is not needed, only useful.
    for worker in (FOREGROUND, BACKGROUND):
        worker.__init__()  # type: ignore[misc]  # deliberate re-initialisation in place


atexit.register(BACKGROUND.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
