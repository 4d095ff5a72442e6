"""`on_fiber` and `await_`: values, exceptions, nesting, checkpoints."""

from __future__ import annotations

import asyncio
import random
import sys
import traceback
import types
from collections.abc import Generator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from asyncwasm.errors import UsageError
from asyncwasm.fiber import (
    await_,
    checkpoint,
    current_task,
    in_fiber,
    live_fibers,
    maybe_await,
    on_fiber,
)
from tests.fiber.driving import at_once, echo

pytestmark = pytest.mark.anyio


async def test_values_cross_both_ways():
    def body(a: int, b: int) -> list[int]:
        return [await_(echo(a)), await_(at_once(b)), await_(echo(a + b))]

    assert await on_fiber(body, 1, 2) == [1, 2, 3]


async def test_the_awaitable_may_be_anything_that_await_accepts():
    class Custom:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from checkpoint().__await__()
            return "custom"

    assert await on_fiber(await_, Custom()) == "custom"


def test_futures_and_tasks_can_be_awaited():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(echo("task"))
        future: asyncio.Future[str] = loop.create_future()
        loop.call_soon(future.set_result, "future")
        assert await on_fiber(lambda: (await_(task), await_(future))) == ("task", "future")

    asyncio.run(main())


async def test_awaiting_something_else_raises_in_the_fiber():
    def body() -> str:
        with pytest.raises(TypeError, match="can't be used in 'await' expression"):
            await_(42)
        return "went on"

    assert await on_fiber(body) == "went on"


ERRORS = [ValueError, KeyboardInterrupt, SystemExit, StopIteration, StopAsyncIteration]


@pytest.mark.parametrize("kind", [*ERRORS, GeneratorExit, asyncio.CancelledError])
async def test_an_exception_of_the_function_comes_out_itself(kind):
    error = kind("out")
    caught = None

    def body() -> None:
        await_(echo(None))
        raise error

    async def call() -> None:
        nonlocal caught
        try:
            await on_fiber(body)
        except BaseException as exception:
            caught = exception

    await call()
    if kind is StopIteration:  # no coroutine can raise it
        assert isinstance(caught, RuntimeError)
        assert caught.__cause__ is error
    else:
        assert caught is error


@pytest.mark.parametrize("kind", [*ERRORS, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("turns", [0, 1])
async def test_an_exception_of_the_awaitable_is_raised_at_the_await(kind, turns):
    error = kind("in")

    class Failing:
        def __await__(self) -> Generator[Any, Any, None]:
            for _ in range(turns):
                yield from checkpoint().__await__()
            raise error

    def body() -> object:
        try:
            await_(Failing())
        except BaseException as exception:
            return exception

    caught = await on_fiber(body)
    assert caught is error or kind is StopIteration


async def test_a_fiber_may_go_on_after_an_exception():
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    def body() -> int:
        caught = 0
        for _ in range(3):
            try:
                await_(fail())
            except ValueError:
                caught += await_(echo(1))
        return caught

    assert await on_fiber(body) == 3


async def test_greenlet_exit_is_an_exception_like_others():
    from greenlet import GreenletExit

    def body() -> None:
        raise GreenletExit

    with pytest.raises(GreenletExit):
        await on_fiber(body)


WAITING = ["await_", "await_held", "raise_error"]


async def test_tracebacks_read_like_plain_calls():
    async def host() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    def inner() -> None:
        await_(host())

    def outer() -> None:
        inner()

    with pytest.raises(ValueError) as info:
        await on_fiber(outer)
    names = [frame.name for frame in traceback.extract_tb(info.tb)]
    assert names == [names[0], "on_fiber", "outer", "inner", *WAITING, "host"]


async def test_exception_contexts_are_those_of_plain_calls():
    async def host() -> None:
        try:
            raise KeyError("host")
        except KeyError:
            raise ValueError("host")  # noqa: B904

    def body() -> None:
        try:
            raise LookupError("fiber")
        except LookupError:
            await_(host())

    try:
        raise OSError("caller")
    except OSError:
        with pytest.raises(ValueError, match="host") as info:
            await on_fiber(body)
    assert isinstance(info.value.__context__, KeyError)

    def plain() -> None:
        raise ValueError("fiber")

    try:
        raise OSError("caller")
    except OSError:
        with pytest.raises(ValueError, match="fiber") as info:
            await on_fiber(plain)
    assert isinstance(info.value.__context__, OSError)


async def test_handled_exceptions_do_not_cross():
    """`sys.exception` is each side's own."""
    seen = []

    async def host() -> None:
        seen.append(sys.exc_info()[1])
        await anyio.lowlevel.checkpoint()
        seen.append(sys.exc_info()[1])

    def body() -> None:
        try:
            raise ValueError
        except ValueError:
            await_(host())
            seen.append(type(sys.exc_info()[1]))

    await on_fiber(body)
    assert seen == [None, None, ValueError]


# Where suspending is possible


async def test_in_fiber():
    async def host() -> bool:
        return in_fiber()

    def body() -> tuple[bool, bool]:
        return in_fiber(), await_(host())

    assert not in_fiber()
    assert await on_fiber(body) == (True, False)
    assert not in_fiber()


@pytest.mark.parametrize("function", [await_, maybe_await])
async def test_awaiting_outside_of_a_fiber(function):
    with pytest.raises(UsageError, match="`await_` needs a fiber, and none is running here"):
        function(echo(1))  # and no warning that it was never awaited


async def test_maybe_await():
    @types.coroutine
    def generator_based() -> Generator[Any, Any, str]:
        yield from checkpoint().__await__()
        return "generator"

    def generator() -> Generator[None, None, None]:
        yield

    def body() -> None:
        assert maybe_await(echo(1)) == 1
        assert maybe_await(generator_based()) == "generator"
        assert maybe_await(2) == 2
        assert maybe_await(None) is None
        plain = generator()
        assert maybe_await(plain) is plain

    await on_fiber(body)
    assert maybe_await(3) == 3


async def test_nesting():
    def innermost(depth: int) -> list[int]:
        return [depth, *(await_(host(depth - 1)) if depth else [])]

    async def host(depth: int) -> list[int]:
        await anyio.lowlevel.checkpoint()
        assert not in_fiber()
        return await on_fiber(innermost, depth)

    assert await on_fiber(innermost, 10) == list(range(10, -1, -1))


async def test_it_runs_in_the_callers_own_task():
    task = current_task()

    async def host() -> None:
        assert current_task() is task

    def body() -> None:
        assert current_task() is task
        await_(host())

    assert task is not None
    await on_fiber(body)


async def test_a_cancel_scope_opened_in_the_fiber():
    """Scopes belong to a task, and the fiber runs in its caller's."""

    def body() -> bool:
        with anyio.move_on_after(0.01) as scope:  # noqa: ASYNC100
            await_(anyio.sleep_forever())
        await_(anyio.lowlevel.checkpoint())
        return scope.cancelled_caught

    assert await on_fiber(body)


# Checkpoints


@pytest.mark.trio
@pytest.mark.parametrize("body", [int, lambda: await_(at_once(1)), lambda: await_(echo(1))])
async def test_every_call_is_a_checkpoint_on_trio(body):
    with trio.testing.assert_checkpoints():
        await on_fiber(body)


async def test_other_tasks_get_a_turn_while_calls_do_not_suspend():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        for _ in range(10):
            await on_fiber(int)
        group.cancel_scope.cancel()
    assert turns >= 9


async def test_a_cancelled_caller_runs_nothing():
    ran = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await on_fiber(ran.append, 1)
    assert scope.cancelled_caught
    assert ran == []


async def test_a_call_cancelled_while_it_runs_keeps_its_result():
    """What ran to its end is never lost: the next checkpoint raises instead."""
    with anyio.CancelScope() as scope:

        def body() -> str:
            scope.cancel()
            return "result"

        assert await on_fiber(body) == "result"
        await checkpoint()
        raise AssertionError
    assert scope.cancelled_caught


# Many at once


@pytest.mark.slow
async def test_interleaved_fibers_resumed_in_random_order():
    rng = random.Random(1)
    count = 500
    gates = {n: anyio.Event() for n in range(count)}
    order = list(range(count))
    rng.shuffle(order)
    finished = []

    def dive(depth: int, number: int) -> int:
        if depth:
            return dive(depth - 1, number) + 1
        await_(gates[number].wait())
        return await_(echo(number))

    async def call(number: int) -> None:
        depth = number % 37
        assert await on_fiber(dive, depth, number) == number + depth
        finished.append(number)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(call, number)
        await anyio.wait_all_tasks_blocked()
        assert live_fibers() == count
        for number in order:
            gates[number].set()
            if rng.random() < 0.2:
                await anyio.lowlevel.checkpoint()
    assert sorted(finished) == sorted(order)
