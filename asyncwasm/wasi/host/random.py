"""Random bytes: secure ones, and a reproducible fake."""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod


class Random(ABC):
    """A source of random bytes."""

    @abstractmethod
    def get_bytes(self, size: int) -> bytes:
        """`size` bytes.  Never suspends."""


class SecureRandom(Random):
    """The operating system's random numbers, fit for keys."""

    def get_bytes(self, size: int) -> bytes:
        return os.urandom(size)


class SeededRandom(Random):
    """The same bytes for the same seed, in every run.  For tests; anybody can guess them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def get_bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)
