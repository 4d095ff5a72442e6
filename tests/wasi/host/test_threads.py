"""Worker threads, and what becomes of work whose result nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.lowlevel
import pytest

from asyncwasm.wasi.host.threads import MAX_THREADS, abandoning, computing, in_thread, turn

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("run", [in_thread, abandoning, computing])
async def test_results_and_exceptions(run):
    assert await run(divmod, 7, 2) == (3, 1)
    assert await run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await run(divmod, 1, 0)


async def test_only_so_many_at_once():
    lock = threading.Lock()
    running = most = 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    async with anyio.create_task_group() as group:
        for _ in range(5 * MAX_THREADS):
            group.start_soon(in_thread, work)
    assert most <= MAX_THREADS


async def test_work_that_was_begun_is_finished():
    begun, finish = threading.Event(), threading.Event()
    discarded: list[str] = []

    def work() -> str:
        begun.set()
        finish.wait(10)
        return "result"

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                result = await in_thread(work, discard=discarded.append)
                discarded.append(f"not {result}")

            group.start_soon(run)
            while not begun.is_set():
                await anyio.sleep(0.001)
            scope.cancel()
            threading.Timer(0.05, finish.set).start()
    # Either the caller got it, or it was discarded; it was not lost.
    assert discarded in (["result"], ["not result"])


async def test_work_that_was_not_begun_is_not_done():
    done = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await in_thread(done.append, 1)
    assert done == []


async def test_a_native_cancellation_discards_the_result(anyio_backend):
    if anyio_backend != "asyncio":
        pytest.skip("asyncio's own cancellation")
    begun, finish = threading.Event(), threading.Event()
    discarded: list[int] = []

    def work() -> int:
        begun.set()
        finish.wait(10)
        return 42

    task = asyncio.create_task(in_thread(work, discard=discarded.append))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.sleep(0.01)
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(1000):
        if discarded:
            break
        await asyncio.sleep(0.001)
    assert discarded == [42]


async def test_a_cancellation_leaves_a_computation_alone():
    finish = threading.Event()
    started = time.monotonic()
    for run in (abandoning, computing):
        with anyio.move_on_after(0.02) as scope:
            await run(finish.wait, 10)
        assert scope.cancelled_caught
    finish.set()
    assert time.monotonic() - started < 5


async def test_one_after_the_other():
    order = []

    async def work(name: str) -> None:
        async with turn():
            order.append(name)
            await anyio.lowlevel.checkpoint()
            order.append(name)

    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(work, name)
    assert order[::2] == order[1::2]
