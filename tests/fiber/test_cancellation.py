"""Cancelling at every suspension point, on both loops, and what is special to trio."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm.fiber import await_, checkpoint, live_fibers, on_fiber
from tests.fiber.driving import Steps, at_once, echo, forever, swallow
from tests.waiting import cancelled_once_waiting

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("nth", range(5))
async def test_cancelling_at_any_suspension(nth):
    steps = Steps(nth)
    caught = None
    async with anyio.create_task_group() as group:

        async def call() -> None:
            nonlocal caught
            try:
                await on_fiber(steps)
            except BaseException as error:
                caught = error
                raise

        group.start_soon(call)
        await steps.stopped.wait()
        assert live_fibers() == 1
        group.cancel_scope.cancel()
    assert steps.log == [*range(nth), "inner", "outer"]
    assert isinstance(caught, anyio.get_cancelled_exc_class())
    assert caught is steps.error
    assert live_fibers() == 0


async def test_cancelling_before_the_start():
    steps = Steps()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await on_fiber(steps)
    assert scope.cancelled_caught
    assert steps.log == []


async def test_a_deadline_passes_in_the_fiber():
    with anyio.move_on_after(0.01) as scope:
        await on_fiber(Steps(2))
    assert scope.cancelled_caught


async def test_a_deadline_passes_in_a_call_that_keeps_awaiting():
    """Whatever it awaits, as long as that checkpoints."""

    def body() -> None:
        while True:
            await_(echo(1))

    with anyio.move_on_after(0.01) as scope:
        await on_fiber(body)
    assert scope.cancelled_caught


async def test_a_shield_around_the_call():
    with anyio.CancelScope() as scope:
        scope.cancel()
        with anyio.CancelScope(shield=True):
            assert await on_fiber(Steps()) == "done"
        await checkpoint()
        raise AssertionError
    assert scope.cancelled_caught


async def test_a_shield_in_the_host_coroutine():
    async def protected() -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return "kept"

    def body() -> None:
        scope.cancel()
        log.append(await_(protected()))
        log.append(await_(echo("cancelled before this")))

    log: list[str] = []
    with anyio.CancelScope() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == ["kept"]


async def test_a_shield_in_the_fiber():
    def body() -> None:
        scope.cancel()
        with anyio.CancelScope(shield=True):  # noqa: ASYNC100
            log.append(await_(echo("kept")))
        await_(echo("cancelled"))

    log: list[str] = []
    with anyio.CancelScope() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == ["kept"]


async def test_a_scope_in_the_host_coroutine_stays_there():
    async def host() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught

    assert await on_fiber(lambda: [await_(host()) for _ in range(3)]) == [True] * 3


async def test_cleanup_that_awaits_behind_a_shield():
    async def clean() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
            log.append("cleaned")

    def body() -> None:
        try:
            await_(anyio.sleep_forever())
        finally:
            await_(clean())

    log: list[str] = []
    async with cancelled_once_waiting() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == ["cleaned"]


async def test_a_nested_call_unwinds_innermost_first():
    log = []

    async def host(depth: int) -> None:
        try:
            if depth:
                await on_fiber(body, depth - 1)
            else:
                stopped.set()
                await anyio.sleep_forever()
        finally:
            log.append(("host", depth))

    def body(depth: int) -> None:
        try:
            await_(host(depth))
        finally:
            log.append(("fiber", depth))

    stopped = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(on_fiber, body, 2)
        await stopped.wait()
        assert live_fibers() == 3
        group.cancel_scope.cancel()
    assert log == [(side, depth) for depth in range(3) for side in ("host", "fiber")]


async def test_a_failing_sibling_cancels_the_call():
    async def fail() -> None:
        await steps.stopped.wait()
        raise ValueError("sibling")

    steps = Steps(1)
    caught = []
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(on_fiber, steps)
            group.start_soon(fail)
    except* ValueError as errors:
        caught.extend(errors.exceptions)
    assert [str(error) for error in caught] == ["sibling"]
    assert steps.log == [0, "inner", "outer"]


async def test_an_error_raised_while_unwinding_comes_out():
    def body() -> None:
        try:
            await_(anyio.sleep_forever())
        finally:
            raise ValueError("unwinding")

    with pytest.raises(ValueError, match="unwinding") as info:
        with anyio.move_on_after(0.1):
            await on_fiber(body)
    assert isinstance(info.value.__context__, anyio.get_cancelled_exc_class())


@pytest.mark.trio
async def test_trio_raises_again_at_every_await():
    """Level cancellation: the scope stays cancelled."""
    log: list[str] = []
    async with cancelled_once_waiting() as scope:
        result = await on_fiber(swallow, log, forever)
    assert log == ["Cancelled"] * 3
    assert result == "returned"
    assert not scope.cancelled_caught


# Trio on its own


@pytest.mark.trio
async def test_trio_a_nursery_in_the_host_coroutine():
    async def host() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on_fiber, await_, forever())
            nursery.start_soon(forever)

    with trio.move_on_after(0.01) as scope:
        await on_fiber(await_, host())
    assert scope.cancelled_caught


@pytest.mark.trio
async def test_trio_starting_a_task_in_a_fiber():
    async def serve(task_status: trio.TaskStatus[str]) -> None:
        def body() -> None:
            task_status.started("up")
            await_(forever())

        await on_fiber(body)

    async with trio.open_nursery() as nursery:
        assert await nursery.start(serve) == "up"
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_trio_cancelled_comes_out_of_a_cancelled_cleanup():
    """A second await in a cleanup is cancelled as well, and the scope catches either."""
    log = []

    def body() -> None:
        try:
            await_(forever())
        finally:
            try:
                await_(forever())
            finally:
                log.append("cleaned")

    async with cancelled_once_waiting() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == ["cleaned"]


@pytest.mark.trio
async def test_trio_a_cancelled_scope_between_two_awaits():
    log = []

    def body() -> None:
        log.append(await_(echo(1)))
        scope.cancel()
        log.append(await_(at_once(2)))  # no checkpoint, no cancellation
        log.append(await_(echo(3)))

    with trio.CancelScope() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == [1, 2]
