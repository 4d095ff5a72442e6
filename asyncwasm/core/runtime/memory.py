"""`Memory`: a store's linear memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core.types import MemoryType
from asyncwasm.errors import ResourceLimitError

from .caller import caller_of
from .calls import operate_async, operate_sync
from .handles import (
    StoreLike,
    Wait,
    cannot_wait,
    check_async,
    check_delta,
    check_owner,
    check_sync,
)
from .linear import LinearMemory, admit, check_type, maximum_bytes
from .shared_memory import SharedMemory, check_enabled

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .store import Store


@final
class Memory(LinearMemory):
    """A linear memory of a store.

    Takes part in the buffer protocol from Python 3.12 on; `data` works everywhere.  Follows
    Wasmtime's `Memory`; `page_size` and `page_size_log2` never change, so they are attributes.
    """

    __slots__ = ("store",)

    is_shared = False

    def __init__(self, store: Store[Any], ty: MemoryType) -> None:
        """For the runtime's own use, past all limits; see `new`."""
        self.store: Final = store
        self._setup(ty)

    @staticmethod
    def new(store: StoreLike, ty: MemoryType) -> Memory:
        """A memory of type `ty`, zeroed.

        Asks the store's limiter.  Raises `ValueError` for a type that cannot be,
        `ResourceLimitError` if a limit is exceeded or there is no address space, and
        `AsyncSupportError` with an async limiter; see `new_async`.
        """
        owner = store.store
        _check_unshared(ty)
        check_sync(owner, "new")
        return operate_sync(owner, caller_of(store), _new, (owner, ty, cannot_wait))

    @staticmethod
    async def new_async(store: StoreLike, ty: MemoryType) -> Memory:
        """As `new`; an async limiter may suspend.  Always checkpoints."""
        owner = store.store
        _check_unshared(ty)
        check_async(owner, "new")
        return await operate_async(owner, caller_of(store), _new, (owner, ty, owner.wait))

    def ty(self, store: StoreLike) -> MemoryType:
        """The type, with the current size as the minimum."""
        check_owner(self.store, store)
        return self.live_type()

    def size(self, store: StoreLike) -> int:
        """The size in pages."""
        check_owner(self.store, store)
        return self.size_bytes // self.page_size

    def data_size(self, store: StoreLike) -> int:
        """The size in bytes."""
        check_owner(self.store, store)
        return self.size_bytes

    def grow(self, store: StoreLike, delta: int) -> int:
        """Grow by `delta` pages and return the old size in pages.

        Asks the store's limiter, unless `delta` is 0.  Raises `ResourceLimitError` if the memory
        cannot grow, what the limiter raises, and `AsyncSupportError` with an async limiter.
        """
        owner = check_owner(self.store, store)
        delta = check_delta(delta)
        check_sync(owner, "grow")
        args = (delta, cannot_wait)
        return operate_sync(owner, caller_of(store), self._grow_or_raise, args)

    async def grow_async(self, store: StoreLike, delta: int) -> int:
        """As `grow`; an async limiter may suspend.  Always checkpoints."""
        owner = check_owner(self.store, store)
        delta = check_delta(delta)
        check_async(owner, "grow")
        args = (delta, owner.wait)
        return await operate_async(owner, caller_of(store), self._grow_or_raise, args)

    def read(self, store: StoreLike, offset: int, size: int) -> bytes:
        """A copy of `size` bytes from `offset`.  `MemoryAccessError` if some are outside."""
        check_owner(self.store, store)
        return self._read(offset, size)

    def write(self, store: StoreLike, offset: int, buffer: Buffer) -> None:
        """Copy `buffer` to `offset`.

        Raises `MemoryAccessError`, and copies nothing, unless it fits.
        """
        check_owner(self.store, store)
        self._write(offset, buffer)

    def data(self, store: StoreLike) -> memoryview:
        """The memory's bytes, writable.

        Stays valid and of this size when the memory grows, and keeps the bytes alive when the
        memory and its store are gone.
        """
        check_owner(self.store, store)
        return self.view[:]

    def _grow_or_raise(self, delta: int, wait: Wait) -> int:
        old = self._grow(delta, wait)
        if old < 0:
            raise ResourceLimitError(f"failed to grow memory by `{delta}`")
        return old

    def grow_raw(self, delta: int) -> int:
        """What `memory.grow` does: the old size in pages, or -1.

        May suspend, if the store's limiter does.  Raises what the limiter raises.
        """
        return self._grow(delta, self.store.wait)

    def _grow(self, delta: int, wait: Wait) -> int:
        limits = self.store.limits
        while True:
            old = self.size_bytes
            if delta == 0:
                return old // self.page_size
            wanted, ok = self._plan(delta)
            if not ok:
                fault: Exception | None = ResourceLimitError(
                    "memory growth exceeds memory type's limits"
                )
                break
            if not limits.memory_growing(old, wanted, maximum_bytes(self.type), wait):
                return -1
            # The limiter may have suspended, and somebody else grown the memory meanwhile: what
            # it answered was then about another size.
            if self.size_bytes == old:
                fault = self._fault(wanted)
                break
        if fault is not None:
            limits.memory_grow_failed(fault, wait)
            return -1
        self._resize(wanted)
        return old // self.page_size


def _check_unshared(ty: MemoryType) -> None:
    if ty.shared:
        raise ValueError("shared memories must be created through `SharedMemory`")
    check_type(ty)


def _new(store: Store[Any], ty: MemoryType, wait: Wait) -> Memory:
    store.limits.bump("memory")
    admit(store, ty, wait)
    return Memory(store, ty)


def create_memory(store: Store[Any], ty: MemoryType, wait: Wait) -> Memory | SharedMemory:
    """A memory that a module defines: asks the limiter, but is not counted here.

    Raises `ResourceLimitError` and what the limiter raises.  May suspend as `wait` does.
    """
    if ty.shared:
        check_enabled(store.engine)
    admit(store, ty, wait)
    return SharedMemory(store.engine, ty) if ty.shared else Memory(store, ty)
