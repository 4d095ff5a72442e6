"""Cancelling on plain asyncio: edges, counts, timeouts, task groups."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from asyncwasm.fiber import await_, checkpoint, live_fibers, on_fiber
from tests.fiber.driving import Steps, at_once, echo, forever, swallow


def in_task(call: Callable[[], object]) -> None:
    """Run an async function on plain asyncio; the task's cancel count must come out as it was."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        await call()
        assert task.cancelling() == 0

    asyncio.run(main())
    assert live_fibers() == 0


def test_cancelling_a_task():
    steps: list[Steps] = []

    async def main() -> None:
        for nth in range(5):
            steps.append(Steps(nth))
            task = asyncio.create_task(on_fiber(steps[-1]))
            await steps[-1].stopped.wait()
            task.cancel("a message")
            with pytest.raises(asyncio.CancelledError) as info:
                await task
            assert task.cancelled()
            assert info.value.args == ("a message",)
            assert steps[-1].error is not None
            assert steps[-1].error.args == ("a message",)

    in_task(main)
    assert [step.log[-2:] for step in steps] == [["inner", "outer"]] * 5


def test_cancelling_before_the_first_step():
    steps = []

    async def main() -> None:
        steps.append(Steps())
        task = asyncio.create_task(on_fiber(steps[0]))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_task(main)
    assert steps[0].log == []


def test_a_task_that_has_cancelled_itself_runs_nothing():
    ran = []

    async def call() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await on_fiber(ran.append, 1)

    async def main() -> None:
        task = asyncio.create_task(call())
        with pytest.raises(asyncio.CancelledError):
            await task

    in_task(main)
    assert ran == []


def test_a_task_cancelled_by_its_fiber_keeps_the_result():
    async def call() -> str:
        task = asyncio.current_task()
        assert task is not None
        result = await on_fiber(lambda: (task.cancel(), "kept")[1])
        with pytest.raises(asyncio.CancelledError):
            await checkpoint()
        return result

    async def main() -> None:
        assert await asyncio.create_task(call()) == "kept"

    in_task(main)


def test_cancelling_twice():
    """The second cancellation interrupts the cleanup, as in a plain coroutine."""
    log = []

    async def call() -> None:
        def body() -> None:
            try:
                await_(forever())
            finally:
                log.append("cleaning")
                try:
                    await_(forever())
                finally:
                    log.append("interrupted")

        await on_fiber(body)

    async def main() -> None:
        task = asyncio.create_task(call())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert log == ["cleaning"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelling() == 2

    in_task(main)
    assert log == ["cleaning", "interrupted"]


def test_a_timeout():
    steps = []

    async def main() -> None:
        steps.append(Steps(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await on_fiber(steps[0])

    in_task(main)
    assert steps[0].log == [0, "inner", "outer"]


@pytest.mark.parametrize("inner", [True, False])
def test_nested_timeouts(inner):
    async def main() -> None:
        async with asyncio.timeout(None if inner else 0.01) as outer_timeout:
            async with asyncio.timeout(0.01 if inner else None) as inner_timeout:
                await on_fiber(await_, forever())
        raise AssertionError((outer_timeout, inner_timeout))

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await main()

    in_task(run)


def test_a_timeout_in_the_host_coroutine():
    async def host() -> str:
        try:
            async with asyncio.timeout(0.005):
                await forever()
        except TimeoutError:
            return "timed out"
        raise AssertionError

    async def main() -> None:
        async with asyncio.timeout(10):
            assert await on_fiber(lambda: [await_(host()) for _ in range(2)]) == ["timed out"] * 2

    in_task(main)


def test_a_timeout_passed_to_a_swallowing_fiber():
    """The timeout cannot tell, as with any coroutine that swallows a cancellation."""
    log: list[str] = []

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await on_fiber(swallow, log, lambda: asyncio.sleep(0.1))

    in_task(main)
    assert log == ["CancelledError", "finished", "finished"]


def test_wait_for():
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(on_fiber(await_, forever()), 0.01)
        assert await asyncio.wait_for(on_fiber(await_, at_once(1)), 1) == 1

    in_task(main)


def test_shield():
    finished = []

    async def main() -> None:
        inner = asyncio.ensure_future(on_fiber(Steps()))
        outer = asyncio.ensure_future(asyncio.shield(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        finished.append(await inner)

    in_task(main)
    assert finished == ["done"]


def test_shield_in_the_fiber():
    """The fiber is cancelled; what it awaited is not."""
    log = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        log.append("worked")

    async def main() -> None:
        inner = asyncio.ensure_future(work())
        task = asyncio.create_task(on_fiber(await_, asyncio.shield(inner)))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await inner

    in_task(main)
    assert log == ["worked"]


def test_a_task_group():
    steps = []
    caught = []

    async def main() -> None:
        steps.extend([Steps(0), Steps(1), Steps(2)])
        try:
            async with asyncio.TaskGroup() as group:
                for step in steps:
                    group.create_task(on_fiber(step))
                await steps[2].stopped.wait()
                group.create_task(fail())
        except* ValueError as errors:
            caught.extend(errors.exceptions)

    async def fail() -> None:
        raise ValueError("sibling")

    asyncio.run(main())  # before 3.13 a task group that fails leaves its parent's count at one
    assert [str(error) for error in caught] == ["sibling"]
    assert [step.log[-1] for step in steps] == ["outer"] * 3


def test_a_task_group_in_the_host_coroutine():
    async def host() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever())
            group.create_task(on_fiber(await_, forever()))

    async def main() -> None:
        task = asyncio.create_task(on_fiber(await_, host()))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_task(main)


def test_cancelling_what_the_fiber_awaits():
    """Not the caller's cancellation, so the fiber may well catch it."""

    async def main() -> None:
        inner = asyncio.ensure_future(forever())

        def body() -> str:
            with pytest.raises(asyncio.CancelledError):
                await_(inner)
            return await_(echo("went on"))

        asyncio.get_running_loop().call_soon(inner.cancel)
        assert await on_fiber(body) == "went on"

    in_task(main)


def test_run_cancels_what_is_left():
    steps = []

    async def main() -> None:
        steps.append(Steps(1))
        steps.append(asyncio.create_task(on_fiber(steps[0])))
        await steps[0].stopped.wait()

    asyncio.run(main())
    assert steps[0].log == [0, "inner", "outer"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_eager_tasks():
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        assert await asyncio.create_task(on_fiber(Steps())) == "done"
        task = asyncio.create_task(on_fiber(await_, forever()))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_task(main)


def test_raises_once():
    """Edge cancellation: a swallowed one is gone, but still counted."""
    log: list[str] = []

    async def call() -> str:
        result = await on_fiber(swallow, log, lambda: asyncio.sleep(0.01))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 1
        return result

    async def main() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0.005)
        task.cancel()
        assert await task == "returned"

    asyncio.run(main())
    assert log == ["CancelledError", "finished", "finished"]
