"""Exceptions from signal handlers, at any point of what is being tested."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from tests import child


class Striker:
    """Raises KeyboardInterrupt from a signal handler while `run` calls something."""

    def __init__(self) -> None:
        self.armed = False
        signal.signal(signal.SIGALRM, self._handle)

    def _handle(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def run(self, after: float, body: Callable[[], object]) -> None:
        """Call `body` over and over until it is struck so many seconds later."""
        # Again and again, for the interpreter may overlook a signal.
        signal.setitimer(signal.ITIMER_REAL, after, 0.02)
        try:
            self.once(body)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def once(self, body: Callable[[], object]) -> None:
        """Call `body` over and over until a signal strikes.  Something else has to send it."""
        lost = len(child.unraisables)
        try:
            self.armed = True
            while True:
                body()
                # Nobody could catch it: the end of the test says so.
                if len(child.unraisables) > lost:
                    return
        except KeyboardInterrupt:
            return
        finally:
            # Whatever it raised instead, nobody else is struck.
            self.armed = False


def interrupt(after: float) -> threading.Timer:
    """Will send the main thread SIGINT so many seconds after it is started, once."""
    main = threading.main_thread().ident
    assert main is not None
    return threading.Timer(after, signal.pthread_kill, [main, signal.SIGINT])
