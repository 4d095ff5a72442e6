"""What a function of preview 1 is given, and how it is described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, final

from ..ctx import WasiCtx
from ..host.driver import Driver
from ..host.filesystem import Whence
from .memory import GuestMemory
from .table import Table


@dataclass(frozen=True, slots=True)
class Abi:
    """What differs between `wasi_snapshot_preview1` and the older `wasi_unstable`."""

    filestat: Struct
    subscription: Struct
    whence: tuple[Whence, ...]


@final
@dataclass(frozen=True, slots=True)
class Call:
    """One call: whose it is, and where it gets and puts things."""

    ctx: WasiCtx
    table: Table
    memory: GuestMemory
    driver: Driver
    abi: Abi


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    `fn(call, *args)` returns nothing, or raises `GuestError`, `FilesystemError` or `OSError` for
    the guest.  A coroutine function may suspend the guest.  `params` has a letter for each
    argument: `i` for a u32 (or anything narrower), `I` for a u64, `s` for an s64.
    """

    fn: Callable[..., Any]
    params: str
