"""`Fiber`: new, resume, suspend, current."""

from __future__ import annotations

import contextvars
import gc
import random
import threading
import traceback
import weakref

import anyio
import pytest

from asyncwasm.errors import UsageError, WrongThreadError
from asyncwasm.fiber import (
    Fiber,
    await_,
    current,
    current_task,
    in_fiber,
    live_fibers,
    on_fiber,
    suspend,
)
from asyncwasm.fiber._switch import Stack
from tests.fiber.driving import Thing, at_once, drive, echo, pause
from tests.waiting import cancelled_once_waiting

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def count(start: int) -> str:
    """A job that suspends with numbers until it is told to stop."""
    while True:
        reply = suspend(start)
        if reply == "stop":
            return "stopped"
        start += 1 if reply is None else reply


def test_values_cross_both_ways():
    fiber = Fiber(count, 5)
    assert [fiber.resume(), fiber.resume(), fiber.resume(10)] == [5, 6, 16]
    assert not fiber.done
    assert fiber.resume("stop") == "stopped"
    assert fiber.done


def test_nothing_runs_before_the_first_resume():
    ran = []
    fiber = Fiber(ran.append, 1)
    assert not fiber.done
    assert live_fibers() == 0
    assert ran == []
    with pytest.raises(UsageError, match="a fiber that has not started cannot be given a value"):
        fiber.resume(1)
    fiber.resume()
    assert ran == [1]


def test_exceptions_come_out():
    def body() -> None:
        suspend()
        raise ValueError("out")

    fiber = Fiber(body)
    fiber.resume()
    with pytest.raises(ValueError, match="out") as info:
        fiber.resume()
    names = [frame.name for frame in traceback.extract_tb(info.tb)]
    assert names[-1] == "body"
    assert fiber.done


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_exceptions_can_be_thrown_in(kind):
    error = kind()

    def body() -> object:
        try:
            suspend()
        except BaseException as caught:
            assert suspend("caught") == "more"
            return caught

    fiber = Fiber(body)
    fiber.resume()
    assert fiber.throw(error) == "caught"
    assert fiber.resume("more") is error

    fiber = Fiber(suspend)
    fiber.resume()
    with pytest.raises(kind) as info:
        fiber.throw(error)
    assert info.value is error
    assert fiber.done


def test_throwing_into_a_fiber_that_has_not_started():
    ran = []
    fiber = Fiber(ran.append, 1)
    with pytest.raises(ValueError):
        fiber.throw(ValueError())
    assert fiber.done
    assert ran == []


def test_a_fiber_that_is_done_cannot_be_resumed():
    fiber = Fiber(int)
    assert fiber.resume() == 0
    with pytest.raises(UsageError, match="the fiber is done"):
        fiber.resume()
    with pytest.raises(UsageError, match="the fiber is done"):
        fiber.throw(ValueError())
    fiber.close()


def test_a_running_fiber_cannot_be_resumed():
    def body() -> None:
        for enter in (fiber.resume, fiber.close, lambda: fiber.throw(ValueError())):
            with pytest.raises(UsageError, match="the fiber is running"):
                enter()
        suspend("not closing")

    fiber = Fiber(body)
    assert fiber.resume() == "not closing"
    fiber.close()


def test_current():
    def body() -> None:
        assert current() is fiber
        inner = Fiber(current)
        assert inner.resume() is inner
        assert current() is fiber
        suspend()
        assert current() is fiber

    assert current() is None
    fiber = Fiber(body)
    fiber.resume()
    assert current() is None
    fiber.resume()
    assert drive(on_fiber(current)) is None


@pytest.mark.parametrize("around", [lambda f: f(), lambda f: drive(on_fiber(f))])
def test_suspending_outside_of_a_fiber(around):
    with pytest.raises(UsageError, match="`suspend` needs a fiber, and none is running here"):
        around(suspend)


def test_generators_of_generators():
    """Nested fibers suspend to whoever resumed them."""

    def tree(depth: int) -> None:
        if depth:
            for _ in range(2):
                child = Fiber(tree, depth - 1)
                while True:
                    value = child.resume()
                    if child.done:
                        break
                    suspend([depth, *value])
        else:
            suspend([0])

    root = Fiber(tree, 3)
    values = []
    while True:
        value = root.resume()
        if root.done:
            break
        values.append(value)
    assert values == [[3, 2, 1, 0]] * 8


def test_fibers_resumed_in_random_order_and_from_each_other():
    rng = random.Random(3)
    log: dict[int, list[int]] = {n: [] for n in range(30)}
    fibers: dict[int, Fiber] = {}

    def body(number: int) -> None:
        for turn in range(10):
            log[number].append(turn)
            if rng.random() < 0.3:
                resume_one()
            suspend()
        del fibers[number]

    def resume_one() -> None:
        waiting = [fiber for n, fiber in sorted(fibers.items()) if fiber not in active]
        if waiting:
            fiber = rng.choice(waiting)
            active.add(fiber)
            fiber.resume()
            active.discard(fiber)

    active: set[Fiber] = set()
    fibers.update({n: Fiber(body, n) for n in log})
    while fibers:
        resume_one()
    assert all(turns == list(range(10)) for turns in log.values())


# Closing


def test_closing():
    log = []

    def body() -> None:
        try:
            suspend()
        finally:
            with pytest.raises(GeneratorExit):
                suspend()
            with pytest.raises(GeneratorExit):
                await_(at_once("never awaited, and no warning"))
            assert not in_fiber()
            log.append("closed")

    fiber = Fiber(body)
    fiber.resume()
    fiber.close()
    assert fiber.done
    fiber.close()
    assert log == ["closed"]


def test_closing_a_fiber_that_has_not_started():
    fiber = Fiber(int)
    fiber.close()
    assert fiber.done


def test_closing_one_that_raises_or_returns():
    def swallow() -> str:
        with pytest.raises(GeneratorExit):
            suspend()
        return "swallowed"

    def fail() -> None:
        try:
            suspend()
        finally:
            raise ValueError("closing")

    fiber = Fiber(swallow)
    fiber.resume()
    fiber.close()
    fiber = Fiber(fail)
    fiber.resume()
    with pytest.raises(ValueError, match="closing"):
        fiber.close()
    assert fiber.done


def test_dropping_a_suspended_fiber(unraisables):
    log = []

    def body(error: Exception | None) -> None:
        try:
            suspend()
        finally:
            log.append("closed")
            if error:
                raise error

    fiber = Fiber(body, None)
    fiber.resume()
    del fiber
    assert log == ["closed"]
    fiber = Fiber(body, ValueError("dropped"))
    fiber.resume()
    del fiber
    assert "dropped" in unraisables.pop()


def test_a_done_fiber_keeps_nothing_alive():
    thing = Thing()
    references = [weakref.ref(thing)]

    def body(argument: Thing) -> Thing:
        suspend(argument)
        return suspend(argument)

    references.append(weakref.ref(body))
    fiber = Fiber(body, thing)
    fiber.resume()
    fiber.resume(thing)
    assert fiber.resume(thing) is thing
    del thing, body
    gc.collect()
    assert [reference() for reference in references] == [None, None]


# Threads and contexts


def test_a_fiber_belongs_to_the_thread_that_first_resumes_it():
    def resume() -> None:
        for enter in (fiber.resume, lambda: fiber.throw(ValueError()), fiber.close):
            try:
                enter()
            except WrongThreadError as error:
                errors.append(str(error))

    fiber = Fiber(count, 1)
    errors: list[str] = []
    assert fiber.resume() == 1
    thread = threading.Thread(target=resume)
    thread.start()
    thread.join()
    assert errors == ["a fiber can only be resumed by the thread it started on"] * 3
    assert fiber.resume() == 2
    fiber.close()


def test_dropping_a_fiber_in_another_thread():
    def drop() -> None:
        fibers.clear()

    log = []

    def body() -> None:
        try:
            suspend()
        finally:
            log.append("closed")

    fibers = [Fiber(body)]
    fibers[0].resume()
    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    assert log == []
    assert live_fibers() == 0
    assert log == ["closed"]


def test_it_runs_in_its_resumers_context():
    def body() -> None:
        for _ in range(3):
            seen.append(VARIABLE.get())
            suspend()

    def resume(name: str) -> None:
        VARIABLE.set(name)
        fiber.resume()

    seen: list[str] = []
    fiber = Fiber(body)
    for name in ("one", "two", "three"):
        contextvars.copy_context().run(resume, name)
    fiber.close()
    assert seen == ["one", "two", "three"]


def test_a_context_it_entered_itself_stays():
    inner = contextvars.copy_context()
    inner.run(VARIABLE.set, "inner")

    def within() -> None:
        seen.append(VARIABLE.get())
        suspend()
        seen.append(VARIABLE.get())

    def body() -> None:
        inner.run(within)
        seen.append(VARIABLE.get())

    def resume(name: str) -> None:
        VARIABLE.set(name)
        fiber.resume()

    seen: list[str] = []
    fiber = Fiber(body)
    contextvars.copy_context().run(resume, "one")
    contextvars.copy_context().run(resume, "two")
    assert seen[:2] == ["inner", "inner"]
    assert fiber.done


# Inside calls


@pytest.mark.anyio
async def test_awaiting_in_a_fiber_that_a_call_resumes():
    """The whole call waits, in its own task."""

    def body() -> str:
        assert in_fiber()
        values = [await_(echo(1)), suspend("between"), await_(echo(2))]
        return f"{values} {current() is fiber}"

    def call() -> list[str]:
        return [fiber.resume(), await_(echo("outside")), fiber.resume("given")]

    fiber = Fiber(body)
    assert await on_fiber(call) == ["between", "outside", "[1, 'given', 2] True"]


@pytest.mark.anyio
async def test_a_fiber_resumed_by_one_call_after_another():
    def body() -> None:
        for _ in range(2):
            tasks.append(await_(task_of_the_host()))
            suspend()

    async def task_of_the_host() -> object:
        await anyio.sleep(0.001)
        return current_task()

    async def call() -> None:
        tasks.append(current_task())
        await on_fiber(fiber.resume)

    fiber = Fiber(body)
    tasks: list[object] = []
    for _ in range(2):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
    fiber.close()
    assert tasks[0] is tasks[1]
    assert tasks[2] is tasks[3]
    assert tasks[0] is not tasks[2]


@pytest.mark.anyio
async def test_cancelling_unwinds_the_fibers_in_between():
    log = []

    def body(depth: int) -> None:
        try:
            if depth:
                Fiber(body, depth - 1).resume()
            else:
                await_(anyio.sleep_forever())
        finally:
            log.append(depth)

    async with cancelled_once_waiting() as scope:
        await on_fiber(body, 3)
    assert scope.cancelled_caught
    assert log == [0, 1, 2, 3]


def test_closing_unwinds_the_fibers_in_between():
    log = []

    def body(depth: int) -> None:
        try:
            if depth:
                Fiber(body, depth - 1).resume()
            else:
                await_(pause())
        finally:
            log.append(depth)

    call = on_fiber(body, 3)
    call.send(None)
    call.close()
    assert log == [0, 1, 2, 3]


def test_awaiting_in_a_fiber_that_no_call_resumes():
    with pytest.raises(UsageError, match="`await_` needs a fiber"):
        Fiber(await_, at_once(1)).resume()


def test_a_suspended_fiber_is_not_part_of_a_call_any_more():
    """It was left by way of its resumer, which may be outside of every call next time."""

    def body() -> None:
        assert in_fiber()
        suspend()
        assert not in_fiber()

    fiber = Fiber(body)
    drive(on_fiber(fiber.resume))
    fiber.resume()
    assert fiber.done


def test_fibers_in_fibers_do_not_use_up_the_recursion_limit():
    """Stacks that were made deep are not what the next, outer ones start on."""

    def nest(levels: int) -> int:
        def pad(frames: int) -> int:
            return pad(frames - 1) if frames else nest(levels - 1)

        return Fiber(pad, 15).resume() + 1 if levels else 0

    for _ in range(100):
        outer = [Fiber(nest, 8) for _ in range(3)]
        assert [fiber.resume() for fiber in outer] == [8, 8, 8]


def test_an_interrupt_before_the_start(monkeypatch):
    """A signal handler may raise where the fiber's stack is at hand, but not running yet."""

    def struck(self: Stack, *_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    log = []
    for method in ("resume", "close"):
        fiber = Fiber(log.append, 1)
        monkeypatch.setattr(Stack, "start", struck)
        with pytest.raises(KeyboardInterrupt):
            fiber.resume()
        assert fiber.done
        if method == "close":
            fiber.close()
        else:
            with pytest.raises(UsageError, match="done"):
                fiber.resume()
    assert log == []
    assert live_fibers() == 0
