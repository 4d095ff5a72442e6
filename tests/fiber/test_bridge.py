"""Which event loop runs: found out without importing any, in every arrangement."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from collections.abc import Generator

import anyio
import pytest
import trio
import trio.testing

from asyncwasm.fiber import ThreadEvent, await_, checkpoint, current_task, new_event, on_fiber
from tests.fiber.driving import at_once, drive, echo, forever


def test_nothing_is_imported():
    program = """
import sys, asyncwasm.fiber as fiber
call = fiber.on_fiber(lambda: 1)
try:
    call.send(None)
except StopIteration:
    pass
assert not {"trio", "asyncio", "anyio", "sniffio"} & set(sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_without_any_loop():
    """A coroutine driven by hand has nobody to give a turn to."""
    drive(checkpoint())
    assert drive(on_fiber(lambda: await_(at_once(1)))) == 1
    assert current_task() is None


@pytest.mark.anyio
async def test_checkpoint_gives_others_a_turn(anyio_backend):
    log = []

    async def other() -> None:
        log.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await checkpoint()
        if anyio_backend == "trio":  # which may run the same task again first
            await anyio.wait_all_tasks_blocked()
        log.append("here")
    assert log == ["other", "here"]


@pytest.mark.anyio
async def test_checkpoint_raises_when_cancelled():
    with anyio.CancelScope() as scope:
        scope.cancel()
        await checkpoint()
        raise AssertionError
    assert scope.cancelled_caught


@pytest.mark.trio
async def test_checkpoint_is_one_on_trio():
    with trio.testing.assert_checkpoints():
        await checkpoint()


@pytest.mark.anyio
async def test_events():
    async def wait() -> None:
        await event.wait()
        woken.append(1)

    woken: list[int] = []
    event = new_event()
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(on_fiber, lambda: await_(wait()))
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        event.set()
    assert woken == [1, 1]


@pytest.mark.anyio
async def test_an_event_set_by_another_thread():
    event = ThreadEvent()
    with anyio.fail_after(10):
        await event.wait(0.001)
        threading.Timer(0.01, event.set).start()
        await on_fiber(lambda: await_(event.wait(None)))
    await event.wait(None)


def test_an_event_of_a_loop_that_has_ended():
    async def main() -> ThreadEvent:
        return ThreadEvent()

    for run in (asyncio.run, lambda coroutine: trio.run(lambda: coroutine)):
        with pytest.raises(RuntimeError):
            run(main()).set()


def test_current_task_on_asyncio():
    async def main() -> None:
        assert current_task() is asyncio.current_task()
        assert await on_fiber(current_task) is asyncio.current_task()
        asyncio.get_running_loop().call_soon(lambda: seen.append(current_task()))
        await asyncio.sleep(0)

    seen: list[object] = []
    asyncio.run(main())
    assert seen == [None]


def test_current_task_on_trio():
    async def main() -> None:
        assert current_task() is trio.lowlevel.current_task()
        assert await on_fiber(current_task) is trio.lowlevel.current_task()

    trio.run(main)


def test_trio_as_the_guest_of_asyncio():
    """Both libraries run in one thread, and each task is served by its own."""

    async def guest() -> str:
        with trio.move_on_after(0.02) as scope:
            await on_fiber(await_, forever())
        assert scope.cancelled_caught
        with trio.testing.assert_checkpoints():
            await on_fiber(int)
        assert await on_fiber(current_task) is trio.lowlevel.current_task()
        return await on_fiber(await_, echo("guest"))

    async def main() -> str:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
        )
        while not done.done():
            assert await on_fiber(lambda: await_(asyncio.sleep(0, "host"))) == "host"
            assert await on_fiber(current_task) is asyncio.current_task()
        return done.result().unwrap()

    assert asyncio.run(main()) == "guest"


def test_trio_run_inside_an_asyncio_task():
    """Blocking one loop with the other is bad style, and works."""

    async def inner() -> str:
        with trio.testing.assert_checkpoints():
            return await on_fiber(await_, echo("inner"))

    async def main() -> str:
        assert await on_fiber(await_, asyncio.sleep(0, "outer")) == "outer"
        return trio.run(inner)

    assert asyncio.run(main()) == "inner"


def test_asyncio_run_inside_a_trio_task():
    async def inner() -> str:
        assert current_task() is asyncio.current_task()
        return await on_fiber(await_, asyncio.sleep(0, "inner"))

    async def main() -> str:
        assert await on_fiber(await_, echo("outer")) == "outer"
        return asyncio.run(inner())

    assert trio.run(main) == "inner"


def test_a_coroutine_driven_by_a_callback():
    """A running asyncio loop without a task: whoever drives the coroutine gets its yields."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call = on_fiber(lambda: await_(turns(3)))
        done = loop.create_future()

        def step() -> None:
            try:
                assert call.send(None) is None
            except StopIteration as stop:
                done.set_result(stop.value)
            else:
                loop.call_soon(step)

        step()
        assert await done == "driven"

    asyncio.run(main())


@types.coroutine
def turns(count: int) -> Generator[None, None, str]:
    for _ in range(count):
        yield
    return "driven"


def test_a_loop_written_in_c():
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await on_fiber(await_, forever())
        assert await on_fiber(await_, echo(1)) == 1

    uvloop.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_an_eager_task():
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert await asyncio.create_task(on_fiber(await_, echo(1))) == 1

    asyncio.run(main())
