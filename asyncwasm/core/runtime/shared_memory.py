"""`SharedMemory`: a linear memory that threads share."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, final

from asyncwasm.core.types import MemoryType
from asyncwasm.errors import ResourceLimitError

from .atomics import Waiter, WaitResult, notify, wait, wait_async
from .handles import check_delta
from .linear import MAX_BYTES, LinearMemory, check_type

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .engine import Engine


@final
class SharedMemory(LinearMemory):
    """A memory that any number of stores of an engine, and threads, may use at once.

    Follows Wasmtime's `SharedMemory`.  Needs `Config(shared_memory=True)`.
    """

    __slots__ = ("engine", "lock", "waiters")

    is_shared = True

    def __init__(self, engine: Engine, ty: MemoryType) -> None:
        """For the runtime's own use; see `new`."""
        self.engine: Final = engine
        # Held for every atomic access that writes, and for growing.
        self.lock: Final = threading.Lock()
        # Who waits at an address, first come first.
        self.waiters: Final[dict[int, deque[Waiter]]] = {}
        self._setup(ty)
        # Before there are threads that could do it at the same time.
        self.widen()

    @staticmethod
    def new(engine: Engine, ty: MemoryType) -> SharedMemory:
        """A shared memory of type `ty`, zeroed.  No store's limits apply.

        Raises `ValueError` for a type that cannot be, and `ResourceLimitError` if the
        engine's configuration forbids shared memories or there is no address space.
        """
        if not ty.shared:
            raise ValueError("shared memory must have the `shared` flag enabled on its memory type")
        check_type(ty)
        check_enabled(engine)
        return SharedMemory(engine, ty)

    def ty(self) -> MemoryType:
        """The type, with the current size as the minimum."""
        return self.live_type()

    def size(self) -> int:
        """The size in pages."""
        return self.size_bytes // self.page_size

    def data_size(self) -> int:
        """The size in bytes."""
        return self.size_bytes

    def data(self) -> memoryview:
        """The memory's bytes, writable; see `Memory.data`.

        Other threads may read and write them at the same time.
        """
        return self.view[:]

    def read(self, offset: int, size: int) -> bytes:
        """See `Memory.read`."""
        return self._read(offset, size)

    def write(self, offset: int, buffer: Buffer) -> None:
        """See `Memory.write`."""
        self._write(offset, buffer)

    def grow(self, delta: int) -> int:
        """Grow by `delta` pages and return the old size in pages.

        Raises `ResourceLimitError` if the memory cannot grow.  No limiter is asked.
        """
        old = self.grow_raw(check_delta(delta))
        if old < 0:
            raise ResourceLimitError(f"failed to grow memory by `{delta}`")
        return old

    def grow_raw(self, delta: int) -> int:
        """What `memory.grow` does: the old size in pages, or -1.  Never suspends."""
        with self.lock:
            old = self.size_bytes
            if delta:
                wanted, ok = self._plan(delta)
                if not ok or self._fault(wanted) is not None:
                    return -1
                self._resize(wanted)
            return old // self.page_size

    def atomic_notify(self, address: int, count: int) -> int:
        """Wake at most `count` of those who wait at `address`; how many there were.

        Raises `Trap` for an address outside of the memory or not divisible by 4.
        """
        return notify(self, address, count)

    def atomic_wait32(
        self, address: int, expected: int, timeout: float | None = None
    ) -> WaitResult:
        """Block the thread until notified, if the 32 bits at `address` are `expected`.

        `timeout` is in seconds; None waits for ever.  Raises `Trap` for an address outside of
        the memory or not divisible by 4.
        """
        return wait(self, address, 4, expected & 0xFFFF_FFFF, timeout)

    def atomic_wait64(
        self, address: int, expected: int, timeout: float | None = None
    ) -> WaitResult:
        """As `atomic_wait32`, for 64 bits at an address divisible by 8."""
        return wait(self, address, 8, expected & MAX_BYTES, timeout)

    async def atomic_wait32_async(
        self, address: int, expected: int, timeout: float | None = None
    ) -> WaitResult:
        """As `atomic_wait32`, suspending the task and not the thread.  Always checkpoints."""
        return await wait_async(self, address, 4, expected & 0xFFFF_FFFF, timeout)

    async def atomic_wait64_async(
        self, address: int, expected: int, timeout: float | None = None
    ) -> WaitResult:
        """As `atomic_wait64`, suspending the task and not the thread.  Always checkpoints."""
        return await wait_async(self, address, 8, expected & MAX_BYTES, timeout)


def check_enabled(engine: Engine) -> None:
    """Raise `ResourceLimitError` if the engine's configuration forbids shared memories."""
    if not engine.config.shared_memory:
        raise ResourceLimitError(
            "shared memory support is disabled for this engine -- see `Config::shared_memory`"
        )
