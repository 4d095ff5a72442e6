"""A program with a directory in memory, and what its functions have done to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from asyncwasm.wasi import MemoryFilesystem, WasiCtx
from tests.wasi.p1.guest import P1


@pytest.fixture
def make_guest() -> Iterator[Any]:
    """Make programs with what `WasiCtx` takes; closed at the end."""
    made = []

    def make(name: str = "wasi_snapshot_preview1", **options: Any) -> P1:
        guest = P1(WasiCtx(**options), name)
        made.append(guest)
        return guest

    yield make
    for guest in made:
        guest.ctx.close()


@pytest.fixture
def filesystem() -> MemoryFilesystem:
    return MemoryFilesystem({"file": b"0123456789", "sub": {"inner": b"x"}})


@pytest.fixture
def guest(make_guest: Any, filesystem: MemoryFilesystem) -> P1:
    """A program to which the directory is `/d`, descriptor 3."""
    return make_guest(preopens={"/d": filesystem.root()})
