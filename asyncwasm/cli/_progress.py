"""What a terminal is told while a large program starts for the first time."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

import trio

from asyncwasm import Engine
from asyncwasm.wasi import OutputStream

# Seconds between two looks, and compiled functions from which on it is worth a word.
_INTERVAL: Final = 0.5
_MANY: Final = 50


class Progress:
    """One line on standard error, if that is a terminal; gone once the program writes."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._shown = False
        self.active = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Show `text` in place of what was shown before."""
        if self.active:
            self._write(f"{self._name}: {text}")
            self._shown = True

    def clear(self) -> None:
        """Show nothing for now."""
        if self._shown:
            self._write("")
            self._shown = False

    def stop(self) -> None:
        """Show nothing any more: the terminal is the program's."""
        self.clear()
        self.active = False

    def _write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    async def watch(self, engine: Engine) -> None:
        """Say how many functions are compiled, as long as that goes on, until cancelled."""
        compiled = 0
        while True:
            await trio.sleep(_INTERVAL)
            if not self.active:
                return
            now = engine.statistics().functions_compiled
            if now > compiled and now >= _MANY:
                self.say(f"compiling, {now} functions so far")
            else:
                self.clear()
            compiled = now

    def until_written(self, stream: OutputStream) -> OutputStream:
        """`stream`, for a program whose first write stops this."""
        return _Watched(stream, self) if self.active else stream


class _Watched(OutputStream):
    def __init__(self, stream: OutputStream, progress: Progress) -> None:
        self._stream: Final = stream
        self._progress: Final = progress
        self.is_terminal = stream.is_terminal

    async def write(self, data: bytes) -> None:
        self._progress.stop()
        await self._stream.write(data)
