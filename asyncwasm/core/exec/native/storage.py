"""Which file of the cache belongs to which module."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from asyncwasm._version import __version__

from .cache import CodeFile, UnusableError, open_directory
from .compiler import CompileError, keep_in, target

if TYPE_CHECKING:
    from asyncwasm.core.runtime.config import Config


@cache
def _sources() -> str:
    """What this package is: code that it made before it was changed must not be used."""
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


# What changes nothing in the code.
_OTHER: Final = {
    "strategy": "auto",
    "cache": False,
    "async_support": None,
    "lazy_validation": False,
    "max_wasm_stack": 1,
    "scheduler_seed": None,
    "shared_memory": False,
    "wasm_backtrace_max_frames": None,
}


@cache
def _platform() -> tuple[str, str, tuple[str, str, str, str]]:
    """Which package made code for what."""
    return _sources(), sys.version, target()


def fingerprint(config: Config) -> str:
    """What code depends on, beside what it is made of: where this differs it must not be used.

    Raises `CompileError`, `ImportError` and `OSError`.
    """
    interval = None if config.preemption_interval is None else 1.0
    # The checker gives all values of a dictionary to each parameter.
    compiled = replace(config, **_OTHER, preemption_interval=interval)  # type: ignore[arg-type]
    return hashlib.sha256(repr((_platform(), compiled)).encode()).hexdigest()


class Storage:
    """The cache as an engine uses it.  Where it cannot be used, there is nothing in it."""

    def __init__(self, config: Config) -> None:
        self._config: Final = config
        self._directory: Final = _directory(config.cache)
        self._recent: tuple[str, CodeFile] | None = None

    def file(self, data: bytes) -> CodeFile | None:
        """The file for a module; None if it cannot be kept."""
        if self._directory is None:
            return None
        try:
            made_for = fingerprint(self._config)
        except (CompileError, ImportError, OSError):
            return None
        digest = hashlib.sha256(made_for.encode())
        digest.update(hashlib.sha256(data).digest())
        name = digest.hexdigest()
        if self._recent is None or self._recent[0] != name:
            self._recent = name, CodeFile(self._directory, name)
            # Code that belongs to no module is found by its text, but may not fit elsewhere.
            shared = hashlib.sha256(repr(_platform()).encode()).hexdigest()
            _keep_shared(self._directory, f"shared-{shared}")
        return self._recent[1]


def _directory(wanted: bool | str) -> Path | None:
    path = platformdirs.user_cache_path("asyncwasm") if wanted is True else Path(str(wanted))
    try:
        return open_directory(path)
    except UnusableError:
        return None


@cache
def _keep_shared(directory: Path, name: str) -> None:
    keep_in(CodeFile(directory, name))
