"""Stacks: one thread each, reused without traces, and their share of recursion."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import traceback
import weakref
from collections.abc import Generator
from typing import Any

import pytest
import trio
import trio.testing

from asyncwasm.errors import WrongThreadError
from asyncwasm.fiber import (
    await_,
    live_fibers,
    on_fiber,
)
from tests.fiber.driving import Thing, at_once, drive, echo, pause

pytestmark = pytest.mark.anyio


# Threads


def test_a_call_belongs_to_one_thread():
    call = on_fiber(lambda: await_(pause()))
    call.send(None)
    caught = []

    def resume() -> None:
        try:
            call.send(None)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=resume)
    thread.start()
    thread.join()
    assert isinstance(caught[0], WrongThreadError)
    assert str(caught[0]) == "a fiber can only be resumed by the thread it started on"
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        call.send(None)
    assert live_fibers() == 0  # unwound by now, on its own thread


def test_threads_have_their_own_fibers():
    def work() -> None:
        async def main() -> None:
            assert await on_fiber(lambda: [await_(echo(n)) for n in range(50)]) == [*range(50)]
            assert live_fibers() == 0

        asyncio.run(main())
        trio.run(main)
        finished.append(1)

    finished: list[int] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(finished) == 4


# Reuse


def test_idle_stacks_are_reused():
    from greenlet import getcurrent

    assert drive(on_fiber(lambda: id(getcurrent()))) == drive(on_fiber(lambda: id(getcurrent())))


def test_a_finished_call_keeps_nothing_alive():
    class ProblemError(Exception):
        """Unlike built-in exceptions, one that can be referred to weakly."""

    thing, result, problem = Thing(), Thing(), ProblemError()
    variable: contextvars.ContextVar[Thing] = contextvars.ContextVar("variable")
    references = [weakref.ref(thing), weakref.ref(result)]

    def fail(argument: Thing, error: Exception) -> None:
        local = argument
        await_(at_once(local))
        raise error

    def succeed(argument: Thing, value: Thing) -> Thing:
        variable.set(argument)
        return value

    context = contextvars.copy_context()
    references.append(weakref.ref(problem))
    with pytest.raises(ProblemError):
        context.run(drive, on_fiber(fail, thing, problem))
    assert context.run(drive, on_fiber(succeed, thing, result)) is result
    references.append(weakref.ref(fail))
    references.append(weakref.ref(succeed))
    del thing, result, problem, fail, succeed, context
    gc.collect()
    assert [reference() for reference in references] == [None] * 5


def test_a_result_is_not_kept_while_the_fiber_runs_on():
    """Neither what was awaited nor its value outlives its use."""
    dead = []

    class Value:
        def __await__(self) -> Generator[Any, Any, Thing]:
            yield
            return Thing()

    def body() -> None:
        awaited = Value()
        references = [weakref.ref(awaited)]
        references.append(weakref.ref(await_(awaited)))
        del awaited
        dead.extend(reference() is None for reference in references)

    drive(on_fiber(body))
    assert dead == [True, True]


def test_tracebacks_do_not_show_other_calls():
    """A reused stack's base frame holds the arguments of the job that runs now."""

    def fail(secret: str) -> None:
        raise ValueError

    with pytest.raises(ValueError) as info:
        drive(on_fiber(fail, "secret"))
    names = [frame.name for frame in traceback.extract_tb(info.tb)]
    assert names[1:] == ["drive", "on_fiber", "fail"]


def test_no_more_idle_stacks_are_kept_than_a_bound():
    from asyncwasm.fiber import _switch

    calls = [on_fiber(lambda: await_(pause())) for _ in range(3 * _switch.MAX_IDLE)]
    for call in calls:
        call.send(None)
    assert live_fibers() == len(calls)
    for call in calls:
        with pytest.raises(StopIteration):
            call.send(None)
    assert live_fibers() == 0
    assert len(_switch._here.idle) == _switch.MAX_IDLE


# Recursion


def recurse(depth: int) -> int:
    return recurse(depth - 1) if depth else 0


def deepest() -> int:
    """How deep recursion goes from here."""
    try:
        return 1 + deepest()
    except RecursionError:
        return 1


def test_recursion_in_one_fiber_leaves_the_others_alone():
    """Each stack counts for itself, suspended ones included."""

    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            await_(pause())

    before = deepest()
    divers = [on_fiber(dive, before - 100) for _ in range(5)]
    for diver in divers:
        diver.send(None)
    assert deepest() == before
    assert drive(on_fiber(deepest)) > before - 50
    for diver in divers:
        drive(diver)
    assert deepest() == before


def test_recursion_errors_come_out_and_do_no_harm():
    def endless() -> None:
        endless()

    budget = drive(on_fiber(deepest))
    for _ in range(3):
        with pytest.raises(RecursionError):
            drive(on_fiber(endless))
    assert abs(drive(on_fiber(deepest)) - budget) < 10


def test_a_call_from_deep_down_does_not_spoil_its_stack_for_others():
    from asyncwasm.fiber import _switch

    budget = deepest()

    def call_at(depth: int) -> None:
        if depth:
            call_at(depth - 1)
        else:
            # New stacks start here and inherit what little is left.
            _switch._here.idle.clear()
            calls = [on_fiber(lambda: await_(pause())) for _ in range(5)]
            for call in calls:
                call.send(None)
            for call in calls:
                drive(call)

    call_at(budget - 100)
    calls = [on_fiber(lambda: (await_(pause()), deepest())[1]) for _ in range(5)]
    for call in calls:
        call.send(None)
    assert all(drive(call) > budget - 50 for call in calls)


async def test_endless_recursion_through_async_calls_ends(unraisables):
    """Stacks are fresh, but the chain of awaits is not."""

    async def host() -> None:
        await on_fiber(lambda: await_(host()))

    with pytest.raises(RecursionError):
        await host()
    unraisables.clear()  # the last coroutine of all may be made and not be awaited any more
