"""Programs that switch greenlets themselves, as SQLAlchemy and greenback do, nest in any order."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import pytest
from greenlet import getcurrent, greenlet

from asyncwasm.errors import UsageError
from asyncwasm.fiber import Fiber, await_, in_fiber, live_fibers, on_fiber, suspend
from tests.fiber.driving import at_once, drive, echo, forever, pause
from tests.waiting import cancelled_once_waiting

pytestmark = pytest.mark.anyio

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


class Portal(greenlet):
    """SQLAlchemy's way: awaitables go to the parent, which is the driver."""


async def spawn(function: Callable[..., Any], *args: Any) -> Any:
    """Run `function` in a greenlet whose `portal_await`s are awaited here."""
    child = Portal(function, getcurrent())
    child.gr_context = getcurrent().gr_context
    result = child.switch(*args)
    while not child.dead:
        try:
            value = await result
        except BaseException as error:
            result = child.throw(error)
        else:
            result = child.switch(value)
    return result


def portal_await(awaitable: Awaitable[Any]) -> Any:
    here = getcurrent()
    assert isinstance(here, Portal)
    assert here.parent is not None
    return here.parent.switch(awaitable)


@types.coroutine
def in_greenlet(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """greenback's way: every step of a coroutine runs in a greenlet of its own.

    `trampoline_await`, called anywhere inside, switches straight to this frame, which yields to
    the event loop and hands the answer to whichever greenlet asked.
    """
    here = getcurrent()
    child = greenlet(lambda: relay(coroutine, here), here)
    child.gr_context = here.gr_context
    outer = PORTAL.set(here)
    target, answer = child, ()
    while True:
        reply = target.switch(*answer)
        if child.dead:
            PORTAL.reset(outer)
            return reply
        trap, target = reply
        try:
            answer = ("send", (yield trap))
        except BaseException as error:
            answer = ("throw", error)


def relay(coroutine: Coroutine[Any, Any, Any], portal: greenlet) -> Any:
    """Drive a coroutine, with every trap going to the portal."""
    how, value = "send", None
    while True:
        try:
            trap = getattr(coroutine, how)(value)
        except StopIteration as stop:
            return stop.value
        how, value = portal.switch((trap, getcurrent()))


PORTAL: contextvars.ContextVar[greenlet] = contextvars.ContextVar("PORTAL")


def trampoline_await(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return relay(coroutine, PORTAL.get())


async def test_a_portal_in_a_host_coroutine():
    def inner() -> int:
        return portal_await(echo(1)) + portal_await(on_fiber(lambda: await_(echo(2))))

    assert await on_fiber(lambda: await_(spawn(inner)) + await_(echo(3))) == 6


async def test_a_call_in_a_portal():
    def inner() -> int:
        return portal_await(on_fiber(lambda: await_(echo(1)) + await_(spawn(innermost))))

    def innermost() -> int:
        return portal_await(echo(2))

    assert await spawn(inner) == 3


async def test_a_call_in_a_trampolined_task():
    """Its driver is not the main greenlet, and awaits of both kinds mix inside the fiber."""

    def body() -> list[int]:
        return [
            await_(echo(1)),
            trampoline_await(echo(2)),
            await_(echo(3)),
            trampoline_await(on_fiber(lambda: await_(echo(4)) + trampoline_await(echo(5)))),
        ]

    async def main() -> list[int]:
        return await on_fiber(body)

    assert await in_greenlet(main()) == [1, 2, 3, 9]


async def test_a_trampoline_in_a_host_coroutine():
    async def host() -> list[int]:
        return [await in_greenlet(on_fiber(body)), trampoline_only(), await echo(3)]

    def trampoline_only() -> int:
        return 2

    def body() -> int:
        return await_(echo(1)) + trampoline_await(echo(0))

    assert await on_fiber(lambda: await_(host())) == [1, 2, 3]


async def test_many_trampolined_tasks():
    async def main(number: int) -> None:
        def body() -> list[int]:
            return [
                (await_ if turn % 2 else trampoline_await)(echo(turn + number))
                for turn in range(10)
            ]

        assert await on_fiber(body) == list(range(number, number + 10))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(in_greenlet_task, main, number)
    assert live_fibers() == 0


async def in_greenlet_task(function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
    await in_greenlet(function(*args))


async def test_cancelling_through_foreign_greenlets():
    log = []

    async def main() -> None:
        await on_fiber(lambda: trampoline_await(host()))

    async def host() -> None:
        try:
            await spawn(lambda: portal_await(on_fiber(body)))
        finally:
            log.append("host")

    def body() -> None:
        try:
            await_(forever())
        finally:
            log.append("fiber")

    async with cancelled_once_waiting() as scope:
        await in_greenlet(main())
    assert scope.cancelled_caught
    assert log == ["fiber", "host"]


async def test_awaiting_in_a_greenlet_started_in_the_fiber():
    """The greenlet between the fiber and the await is suspended with it."""
    log = []

    def foreign() -> int:
        assert in_fiber()
        log.append(await_(echo("foreign")))
        inner = greenlet(lambda: await_(echo("deeper")))
        log.append(inner.switch())
        return 3

    def body() -> int:
        result = greenlet(foreign).switch()
        log.append(await_(echo("fiber")))
        return result

    assert await on_fiber(body) == 3
    assert log == ["foreign", "deeper", "fiber"]


async def test_cancelling_in_a_greenlet_started_in_the_fiber():
    log = []

    def foreign() -> None:
        try:
            await_(forever())
        finally:
            log.append("foreign")

    def body() -> None:
        try:
            greenlet(foreign).switch()
        finally:
            log.append("fiber")

    async with cancelled_once_waiting() as scope:
        await on_fiber(body)
    assert scope.cancelled_caught
    assert log == ["foreign", "fiber"]


def test_closing_a_call_in_a_greenlet_started_in_the_fiber():
    log = []

    def foreign() -> None:
        try:
            await_(pause())
        finally:
            log.append("foreign")

    call = on_fiber(lambda: greenlet(foreign).switch())
    call.send(None)
    call.close()
    assert log == ["foreign"]


def test_suspending_in_a_greenlet_started_in_the_fiber():
    fiber = Fiber(lambda: greenlet(lambda: suspend("up") + 1).switch() + 1)
    assert fiber.resume() == "up"
    assert fiber.resume(1) == 3


def test_a_greenlet_that_outlives_the_suspension_of_its_fiber():
    """Its fiber is elsewhere, so nothing there can be suspended."""
    strays = []

    def stray() -> None:
        back.switch()
        assert not in_fiber()
        with pytest.raises(UsageError, match="`await_` needs a fiber"):
            await_(at_once("closed"))
        back.switch()

    def body() -> None:
        nonlocal back
        back = getcurrent()
        strays.append(greenlet(stray))
        strays[0].switch()
        await_(pause())

    back = getcurrent()
    call = on_fiber(body)
    call.send(None)
    back = getcurrent()
    strays[0].switch()
    drive(call)


def test_a_greenlet_that_switches_to_the_driver():
    """That cannot work, and is said so; the fiber is unwound."""
    log = []

    def body() -> None:
        try:
            driver.switch("past the fiber")
        finally:
            log.append("unwound")

    driver = getcurrent()
    with pytest.raises(UsageError, match="a greenlet has switched to the resumer"):
        drive(on_fiber(body))
    assert log == ["unwound"]


def test_a_fiber_that_somebody_else_ends(unraisables):
    stacks = []

    def body() -> None:
        stacks.append(getcurrent())
        await_(pause())

    call = on_fiber(body)
    call.send(None)
    stacks.pop().throw()
    assert live_fibers() == 0
    with pytest.raises(UsageError):
        call.send(None)


async def test_context_variables_across_foreign_greenlets():
    def inner() -> str:
        VARIABLE.set("portal")
        return portal_await(on_fiber(body))

    def body() -> str:
        assert VARIABLE.get() == "portal"
        VARIABLE.set("fiber")
        return await_(read())

    async def read() -> str:
        return VARIABLE.get()

    assert await on_fiber(lambda: await_(spawn(inner))) == "fiber"
    assert VARIABLE.get() == "fiber"


async def test_stacks_driven_by_foreign_greenlets_are_not_kept():
    """While idle they would keep the greenlet alive, and whatever it holds."""
    from asyncwasm.fiber import _switch

    idle = list(_switch._here.idle)
    _switch._here.idle.clear()
    await in_greenlet(on_fiber(lambda: await_(echo(1))))
    assert _switch._here.idle == []
    _switch._here.idle.extend(idle)
