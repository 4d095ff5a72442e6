"""Context variables read and written in fibers are those of the calling task."""

from __future__ import annotations

import contextvars
import threading

import anyio
import anyio.lowlevel
import pytest

from asyncwasm.fiber import (
    await_,
    on_fiber,
)
from tests.fiber.driving import drive, pause

pytestmark = pytest.mark.anyio

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def test_context_variables_are_the_tasks():
    async def host() -> None:
        assert VARIABLE.get() == "fiber"
        VARIABLE.set("host")
        await anyio.lowlevel.checkpoint()

    def body() -> None:
        assert VARIABLE.get() == "caller"
        VARIABLE.set("fiber")
        await_(host())
        assert VARIABLE.get() == "host"
        VARIABLE.set("end")

    VARIABLE.set("caller")
    await on_fiber(body)
    assert VARIABLE.get() == "end"


async def test_context_tokens_cross():
    async def reset(token: contextvars.Token[str]) -> None:
        VARIABLE.reset(token)

    def body() -> None:
        await_(reset(VARIABLE.set("fiber")))

    VARIABLE.set("before")
    await on_fiber(body)
    assert VARIABLE.get() == "before"


async def test_tasks_do_not_see_each_others_context():
    async def call(name: str) -> None:
        VARIABLE.set(name)
        await on_fiber(body, name)
        assert VARIABLE.get() == name + "!"

    def body(name: str) -> None:
        for _ in range(3):
            assert VARIABLE.get() == name
            await_(anyio.lowlevel.checkpoint())
        VARIABLE.set(name + "!")

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(call, str(number))


async def test_a_context_entered_in_the_fiber_stays_there():
    inner = contextvars.copy_context()

    async def host() -> str:
        return VARIABLE.get()

    def within() -> tuple[str, str]:
        VARIABLE.set("inner")
        return await_(host()), VARIABLE.get()

    VARIABLE.set("outer")
    assert await on_fiber(inner.run, within) == ("outer", "inner")
    assert VARIABLE.get() == "outer"
    assert inner[VARIABLE] == "inner"


def test_a_call_follows_its_driver_to_another_context():
    def body() -> list[str]:
        seen = [VARIABLE.get()]
        await_(pause())
        return [*seen, VARIABLE.get()]

    one, two = contextvars.copy_context(), contextvars.copy_context()
    one.run(VARIABLE.set, "one")
    two.run(VARIABLE.set, "two")
    call = on_fiber(body)
    one.run(call.send, None)
    with pytest.raises(StopIteration) as stop:
        two.run(call.send, None)
    assert stop.value.value == ["one", "two"]


def test_a_thread_without_a_context():
    """Its variables are seen on both sides all the same."""
    seen = []

    def body() -> None:
        VARIABLE.set("fiber")

    def run() -> None:
        drive(on_fiber(body))
        seen.append(VARIABLE.get())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == ["fiber"]
