"""A file descriptor that several threads may use while another closes it."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from types import TracebackType
from typing import Any, Final, final

from .._errors import ErrorCode, FilesystemError


@final
class Descriptor:
    """Owns a descriptor; `with` lends its number.

    Closing does not wait for who is using it, and never lets the number be given to another
    file under their feet: the last one to leave closes.
    """

    __slots__ = ("_closed", "_lock", "_number", "_users")

    def __init__(self, number: int) -> None:
        self._number: Final = number
        self._lock: Final = threading.Lock()
        self._users = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def __enter__(self) -> int:
        with self._lock:
            if self._closed:
                raise FilesystemError(ErrorCode.BADF, "closed")
            self._users += 1
        return self._number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            last = self._closed and not self._users
        if last:
            self._release()

    def close(self) -> None:
        with self._lock:
            last = not (self._closed or self._users)
            self._closed = True
        if last:
            self._release()

    def _release(self) -> None:
        # Whatever it reports, the number is free; data that has to arrive is synced.
        with contextlib.suppress(OSError):
            os.close(self._number)

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if not self._closed:
            _warn(f"unclosed descriptor {self._number}", ResourceWarning, source=self)
            self.close()
