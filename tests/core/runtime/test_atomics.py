"""Atomic accesses, and waiting and waking within a thread, across threads and across loops."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import anyio
import anyio.to_thread
import pytest

from asyncwasm.core.runtime import atomics
from asyncwasm.core.runtime.atomics import WaitResult, notify, wait_raw
from asyncwasm.core.runtime.calls import operate_async, operate_sync
from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.memory import Memory
from asyncwasm.core.runtime.shared_memory import SharedMemory
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.types import Limits, MemoryType
from asyncwasm.errors import Trap, TrapCode

PAGE = 65536
FOREVER = (1 << 64) - 1
ENGINE = Engine(Config(shared_memory=True))


@pytest.fixture
def store() -> Store[None]:
    return Store(ENGINE)


@pytest.fixture
def shared() -> SharedMemory:
    return SharedMemory.new(ENGINE, MemoryType(Limits(1, 4), shared=True))


@pytest.fixture(params=["shared", "own"])
def memory(request, store, shared):
    return shared if request.param == "shared" else Memory.new(store, MemoryType(Limits(1)))


def in_thread(fn) -> threading.Thread:
    thread = threading.Thread(target=fn)
    thread.start()
    return thread


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def waiting(shared, address=0) -> int:
    return len(shared.waiters.get(address, ()))


# Accesses


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_operations(memory, width):
    mask = (1 << width * 8) - 1
    value = 0x1122_3344_5566_7788 & mask
    operand = 0xF0F0_F0F0_F0F0_F0F0
    address = 16
    for operation, expected in (
        (atomics.rmw_add, value + operand),
        (atomics.rmw_sub, value - operand),
        (atomics.rmw_and, value & operand),
        (atomics.rmw_or, value | operand),
        (atomics.rmw_xor, value ^ operand),
        (atomics.rmw_xchg, operand),
    ):
        atomics.atomic_store(memory, address, width, value)
        assert operation(memory, address, width, operand) == value
        assert atomics.atomic_load(memory, address, width) == expected & mask
    assert not any(memory.view[:16])
    assert not any(memory.view[16 + width : 32])


def test_bytes_are_in_little_endian_order(memory):
    atomics.atomic_store(memory, 8, 4, 0x04030201)
    assert bytes(memory.view[8:12]) == b"\1\2\3\4"


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_compare_and_exchange(memory, width):
    mask = (1 << width * 8) - 1
    atomics.atomic_store(memory, 0, width, 7)
    assert atomics.rmw_cmpxchg(memory, 0, width, 6, 9) == 7
    assert atomics.atomic_load(memory, 0, width) == 7
    # Only the low bytes of the operands count.
    assert atomics.rmw_cmpxchg(memory, 0, width, 7 + mask + 1, (1 << 64) - 1) == 7
    assert atomics.atomic_load(memory, 0, width) == mask


@pytest.mark.parametrize(
    "access",
    [
        lambda *place: atomics.atomic_load(*place),
        lambda *place: atomics.atomic_store(*place, 0),
        lambda *place: atomics.rmw_add(*place, 0),
        lambda *place: atomics.rmw_cmpxchg(*place, 0, 0),
    ],
)
def test_bad_addresses(memory, access):
    for address, width, code in (
        (1, 2, TrapCode.HEAP_MISALIGNED),
        (2, 4, TrapCode.HEAP_MISALIGNED),
        (4, 8, TrapCode.HEAP_MISALIGNED),
        (PAGE, 1, TrapCode.MEMORY_OUT_OF_BOUNDS),
        (PAGE, 8, TrapCode.MEMORY_OUT_OF_BOUNDS),
        (1 << 70, 4, TrapCode.MEMORY_OUT_OF_BOUNDS),
        (PAGE + 1, 4, TrapCode.HEAP_MISALIGNED),
    ):
        with pytest.raises(Trap) as caught:
            access(memory, address, width)
        assert caught.value.code is code
    access(memory, PAGE - 8, 8)


def test_counting_in_threads_loses_nothing(shared):
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def count() -> None:
            for _ in range(2000):
                atomics.rmw_add(shared, 0, 4, 1)

        for thread in [in_thread(count) for _ in range(4)]:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert atomics.atomic_load(shared, 0, 4) == 8000


def test_growing_in_threads_loses_nothing():
    shared = SharedMemory.new(ENGINE, MemoryType(Limits(0, 400), shared=True))
    old = []

    def grow() -> None:
        old.extend(shared.grow_raw(1) for _ in range(110))

    for thread in [in_thread(grow) for _ in range(4)]:
        thread.join()
    assert sorted(old) == [-1] * 40 + list(range(400))
    assert shared.size() == 400


# Waiting


def test_waits_that_do_not_wait(store, shared):
    assert shared.atomic_wait32(0, 1) is WaitResult.MISMATCH
    assert shared.atomic_wait64(0, 1) is WaitResult.MISMATCH
    assert shared.atomic_wait32(0, 0, 0) is WaitResult.TIMED_OUT
    assert shared.atomic_wait32(0, 0, 0.01) is WaitResult.TIMED_OUT
    assert operate_sync(store, None, wait_raw, (store, shared, 0, 4, 1, FOREVER)) == 1
    assert operate_sync(store, None, wait_raw, (store, shared, 0, 8, 0, 1000)) == 2
    assert shared.waiters == {}


def test_expected_values_may_be_signed(shared):
    shared.u32[0] = 0xFFFF_FFFF
    assert shared.atomic_wait32(0, -1, 0) is WaitResult.TIMED_OUT
    shared.u64[1] = 0xFFFF_FFFF_FFFF_FFFF
    assert shared.atomic_wait64(8, -1, 0) is WaitResult.TIMED_OUT


def test_bad_addresses_of_waits(store, shared):
    own = Memory.new(store, MemoryType(Limits(1)))
    for bad in (
        lambda: wait_raw(store, shared, 2, 4, 0, 0),
        lambda: wait_raw(store, own, 2, 4, 0, 0),
        lambda: wait_raw(store, shared, 4, 8, 0, 0),
        lambda: notify(shared, 2, 1),
        lambda: notify(own, 2, 1),
        lambda: shared.atomic_notify(2, 1),
        lambda: shared.atomic_wait32(2, 0),
    ):
        with pytest.raises(Trap, match="unaligned atomic"):
            bad()
    for bad in (
        lambda: wait_raw(store, shared, PAGE, 4, 0, 0),
        lambda: wait_raw(store, own, PAGE, 4, 0, 0),
        lambda: notify(own, PAGE, 1),
        lambda: shared.atomic_wait64(PAGE, 0),
    ):
        with pytest.raises(Trap, match="out of bounds memory access"):
            bad()
    with pytest.raises(Trap) as caught:
        wait_raw(store, own, 0, 4, 0, 0)
    assert caught.value.code is TrapCode.ATOMIC_WAIT_NON_SHARED_MEMORY
    assert caught.value.message == "expected shared memory"
    assert notify(own, 0, 1) == 0
    assert notify(shared, 0, 1) == 0


def test_threads_are_woken_in_the_order_they_came(shared):
    woken = []

    def wait(number: int) -> None:
        assert shared.atomic_wait32(0, 0) is WaitResult.OK
        woken.append(number)

    threads = []
    for number in range(4):
        threads.append(in_thread(lambda number=number: wait(number)))
        until(lambda number=number: waiting(shared) == number + 1)
    assert shared.atomic_notify(4, 10) == 0
    assert shared.atomic_notify(0, 0) == 0
    for number in range(2):
        assert shared.atomic_notify(0, 1) == 1
        threads[number].join()
    assert shared.atomic_notify(0, 0xFFFF_FFFF) == 2
    for thread in threads:
        thread.join()
    assert woken[:2] == [0, 1]
    assert shared.waiters == {}


def test_a_store_and_a_notification_are_never_missed(shared):
    """The comparison and the queueing are one step for whoever notifies."""
    rounds = 200

    def follow() -> None:
        for number in range(rounds):
            while atomics.atomic_load(shared, 0, 4) == number:
                assert shared.atomic_wait32(0, number, 10) is not WaitResult.TIMED_OUT

    thread = in_thread(follow)
    for _ in range(rounds):
        atomics.rmw_add(shared, 0, 4, 1)
        shared.atomic_notify(0, 1)
    thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_signals_end_a_blocking_wait(shared):
    def handler(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        thread = in_thread(
            lambda: (until(lambda: waiting(shared)), os.kill(os.getpid(), signal.SIGUSR1))
        )
        with pytest.raises(KeyboardInterrupt):
            shared.atomic_wait32(0, 0)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_tasks_wait_without_blocking_the_loop(shared):
    results = []

    async def wait() -> None:
        results.append(await shared.atomic_wait32_async(0, 0))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        while waiting(shared) < 3:
            await anyio.lowlevel.checkpoint()
        assert shared.atomic_notify(0, 2) == 2
        await anyio.wait_all_tasks_blocked()
        assert results == [WaitResult.OK] * 2
        assert shared.atomic_notify(0, 2) == 1
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_guests_on_fibers_suspend(shared):
    stores = [Store(ENGINE), Store(ENGINE)]
    results = []

    async def wait(store: Store[None], timeout: int) -> None:
        results.append(
            await operate_async(store, None, wait_raw, (store, shared, 0, 4, 0, timeout))
        )

    async with anyio.create_task_group() as group:
        group.start_soon(wait, stores[0], 1_000_000)
        group.start_soon(wait, stores[1], FOREVER)
        while results != [2]:
            await anyio.lowlevel.checkpoint()
        assert await anyio.to_thread.run_sync(notify, shared, 0, 5) == 1
    assert results == [2, 0]
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_async_waits_time_out_and_check_the_value(shared):
    assert await shared.atomic_wait64_async(0, 1) is WaitResult.MISMATCH
    assert await shared.atomic_wait64_async(0, 0, 0) is WaitResult.TIMED_OUT
    assert await shared.atomic_wait32_async(0, 0, 0.01) is WaitResult.TIMED_OUT
    with pytest.raises(Trap, match="unaligned atomic"):
        await shared.atomic_wait32_async(1, 0)
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_a_cancelled_wait_leaves_no_trace(shared):
    with anyio.move_on_after(0.01) as scope:
        await shared.atomic_wait32_async(0, 0)
    assert scope.cancelled_caught
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_a_cancelled_wait_hands_its_notification_on(shared):
    results = []
    started = anyio.Event()

    async def first() -> None:
        with scope:
            started.set()
            results.append(await shared.atomic_wait32_async(0, 0))

    async def second() -> None:
        results.append(await shared.atomic_wait32_async(0, 0))

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(first)
        while not waiting(shared):
            await anyio.lowlevel.checkpoint()
        group.start_soon(second)
        while waiting(shared) < 2:
            await anyio.lowlevel.checkpoint()
        scope.cancel()
        assert shared.atomic_notify(0, 1) == 1
    assert scope.cancelled_caught
    assert results == [WaitResult.OK]
    assert shared.waiters == {}


def test_loops_wake_each_other(shared):
    """One thread waits on trio, one on asyncio, and the main thread notifies."""
    results = []

    async def wait() -> None:
        results.append(await shared.atomic_wait32_async(0, 0))

    threads = [in_thread(lambda b=b: anyio.run(wait, backend=b)) for b in ("trio", "asyncio")]
    until(lambda: waiting(shared) == 2)
    assert shared.atomic_notify(0, 2) == 2
    for thread in threads:
        thread.join()
    assert results == [WaitResult.OK] * 2


def test_a_waiter_whose_loop_has_ended_is_passed_over(shared):
    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    alive = threading.Event()
    shared.waiters[0] = atomics.deque([atomics.Waiter(gone), atomics.Waiter(alive.set)])
    assert shared.atomic_notify(0, 1) == 1
    assert alive.is_set()
    assert shared.waiters == {}


@pytest.mark.anyio
async def test_async_waits_checkpoint(anyio_backend, shared):
    if anyio_backend == "trio":
        import trio.testing

        with trio.testing.assert_checkpoints():
            await shared.atomic_wait32_async(0, 1)
        with trio.testing.assert_checkpoints():
            await shared.atomic_wait64_async(0, 1)
