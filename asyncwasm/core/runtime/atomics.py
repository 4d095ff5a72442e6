"""Atomic accesses, and waiting for and waking other threads ("threads" proposal).

Memories are shared between threads, and between event loops in them.  Everything here that
writes to a shared memory holds the memory's lock, as does the comparison that a wait starts
with: a notification can neither come between that and the wait, nor be lost.

Addresses are effective addresses in bytes; widths are in bytes.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from asyncwasm.errors import Trap, TrapCode
from asyncwasm.fiber import ThreadEvent, checkpoint

if TYPE_CHECKING:
    from .linear import LinearMemory
    from .shared_memory import SharedMemory
    from .store import Store

_UNLOCKED: Final = nullcontext()
# How long a blocked thread sleeps before it looks for signals, where a signal does not wake it.
_SLICE: Final = 0.1


class WaitResult(enum.IntEnum):
    """How a wait ended; the numbers are what `memory.atomic.wait` gives."""

    OK = 0
    MISMATCH = 1
    TIMED_OUT = 2


def _cells(memory: LinearMemory, address: int, width: int) -> tuple[memoryview, int]:
    """Where an access goes: a view of elements so wide, and an index into it.  May trap."""
    if address & width - 1:
        raise Trap(TrapCode.HEAP_MISALIGNED)
    if address + width > memory.size_bytes:
        raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
    memory.widen()
    if width == 4:
        return memory.u32, address >> 2
    if width == 8:
        return memory.u64, address >> 3
    return (memory.view, address) if width == 1 else (memory.u16, address >> 1)


def _guard(memory: LinearMemory) -> AbstractContextManager[Any]:
    # Only one thread at a time uses a memory that is not shared.
    return cast("SharedMemory", memory).lock if memory.is_shared else _UNLOCKED


def atomic_load(memory: LinearMemory, address: int, width: int) -> int:
    """The unsigned integer at `address`."""
    # Reading one element of a view is one step under the interpreter lock.
    cells, index = _cells(memory, address, width)
    return cells[index]


def atomic_store(memory: LinearMemory, address: int, width: int, value: int) -> None:
    """Write the low bytes of `value`."""
    cells, index = _cells(memory, address, width)
    with _guard(memory):
        cells[index] = value & (1 << width * 8) - 1


Rmw: TypeAlias = Callable[["LinearMemory", int, int, int], int]

# Machine code takes no lock, but runs under the interpreter lock: between reading and writing
# nothing may be called, as the interpreter lock can change hands in a call.
_RMW: Final = """
def rmw_{name}(memory, address, width, operand):
    cells, index = _cells(memory, address, width)
    mask = (1 << width * 8) - 1
    with _guard(memory):
        old = cells[index]
        cells[index] = {value} & mask
    return old
"""


def _modify(name: str, value: str) -> Rmw:
    """A function that replaces the value `old` with `value`, an expression, and gives the old."""
    namespace = {"_cells": _cells, "_guard": _guard, "__name__": __name__}
    exec(_RMW.format(name=name, value=value), namespace)
    return cast("Rmw", namespace[f"rmw_{name}"])


rmw_add: Final = _modify("add", "(old + operand)")
rmw_sub: Final = _modify("sub", "(old - operand)")
rmw_and: Final = _modify("and", "old & operand")
rmw_or: Final = _modify("or", "(old | operand)")
rmw_xor: Final = _modify("xor", "(old ^ operand)")
rmw_xchg: Final = _modify("xchg", "operand")


def rmw_cmpxchg(
    memory: LinearMemory, address: int, width: int, expected: int, replacement: int
) -> int:
    """Write `replacement` if the old value is the low bytes of `expected`; gives the old value."""
    cells, index = _cells(memory, address, width)
    mask = (1 << width * 8) - 1
    with _guard(memory):
        old = cells[index]
        if old == expected & mask:
            cells[index] = replacement & mask
    return old


class Waiter:
    """One who waits: `wake` tells it so, from any thread; it raises if its loop is gone."""

    __slots__ = ("notified", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake: Final = wake
        self.notified = False


def notify(memory: LinearMemory, address: int, count: int) -> int:
    """Wake at most `count` waiters at `address`, in the order they came; how many there were.

    Nobody can wait on a memory that is not shared.  Traps for a bad address.
    """
    _cells(memory, address, 4)
    if not memory.is_shared:
        return 0
    return _wake(cast("SharedMemory", memory), address, count)


def _wake(memory: SharedMemory, address: int, count: int) -> int:
    woken = 0
    with memory.lock:
        queue = memory.waiters.get(address)
        while queue and woken < count:
            waiter = queue.popleft()
            try:
                waiter.wake()
            except RuntimeError:
                continue  # its event loop has ended without it
            waiter.notified = True
            woken += 1
        if queue is not None and not queue:
            del memory.waiters[address]
    return woken


def wait_raw(
    store: Store[Any],
    memory: LinearMemory,
    address: int,
    width: int,
    expected: int,
    timeout: int,
) -> int:
    """What `memory.atomic.wait` does in a call of `store`.

    `timeout` is the raw i64, in nanoseconds; negative means for ever.  Suspends in an async call
    and blocks the thread in a sync one.  Traps for a bad address, then for a memory that is not
    shared.
    """
    _cells(memory, address, width)
    if not memory.is_shared:
        raise Trap(TrapCode.ATOMIC_WAIT_NON_SHARED_MEMORY)
    shared = cast("SharedMemory", memory)
    seconds = None if timeout >> 63 else timeout / 1e9
    if store._may_suspend:
        return int(store.wait(_wait_async(shared, address, width, expected, seconds)))
    return int(wait(shared, address, width, expected, seconds))


def _enqueue(memory: SharedMemory, address: int, width: int, expected: int, waiter: Waiter) -> bool:
    """Queue the waiter, if the value is the expected one."""
    cells, index = _cells(memory, address, width)
    with memory.lock:
        if cells[index] != expected:
            return False
        memory.waiters.setdefault(address, deque()).append(waiter)
        return True


def _leave(memory: SharedMemory, address: int, waiter: Waiter) -> None:
    """Take the waiter out of the queue, unless it was notified."""
    with memory.lock:
        if not waiter.notified:
            queue = memory.waiters.get(address)
            if queue is not None and waiter in queue:
                queue.remove(waiter)
                if not queue:
                    del memory.waiters[address]


def wait(
    memory: SharedMemory, address: int, width: int, expected: int, timeout: float | None
) -> WaitResult:
    """Block the thread until notified or `timeout` seconds have passed.

    Signal handlers run meanwhile, so that Ctrl-C ends it.
    """
    event = threading.Event()
    waiter = Waiter(event.set)
    if not _enqueue(memory, address, width, expected, waiter):
        return WaitResult.MISMATCH
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            left = _SLICE if deadline is None else min(_SLICE, deadline - time.monotonic())
            if event.wait(max(0, left)) or left <= 0:
                break
    except BaseException:
        _abandon(memory, address, waiter)
        raise
    _leave(memory, address, waiter)
    return WaitResult.OK if waiter.notified else WaitResult.TIMED_OUT


async def wait_async(
    memory: SharedMemory, address: int, width: int, expected: int, timeout: float | None
) -> WaitResult:
    """As `wait`, suspending the task.  Always checkpoints."""
    await checkpoint()
    return await _wait_async(memory, address, width, expected, timeout)


async def _wait_async(
    memory: SharedMemory, address: int, width: int, expected: int, timeout: float | None
) -> WaitResult:
    event = ThreadEvent()
    waiter = Waiter(event.set)
    if not _enqueue(memory, address, width, expected, waiter):
        return WaitResult.MISMATCH
    try:
        await event.wait(timeout)
    except BaseException:
        _abandon(memory, address, waiter)
        raise
    _leave(memory, address, waiter)
    return WaitResult.OK if waiter.notified else WaitResult.TIMED_OUT


def _abandon(memory: SharedMemory, address: int, waiter: Waiter) -> None:
    """End a wait that was interrupted; a notification that it got goes to the next in line."""
    _leave(memory, address, waiter)
    if waiter.notified:
        _wake(memory, address, 1)
