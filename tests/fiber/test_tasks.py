"""Children of a block of code: they end with it, and say how they ended."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from asyncwasm.fiber import Child, open_children

pytestmark = pytest.mark.anyio

Ending = tuple[bool, object, str]


class Log(list[Ending]):
    """How children ended."""

    def ended(self, child: Child, value: object, error: BaseException | None) -> None:
        self.append((child.cancelled, value, repr(error)))


async def soon(value: object) -> object:
    await anyio.lowlevel.checkpoint()
    return value


async def fail() -> None:
    await anyio.lowlevel.checkpoint()
    raise ValueError("x")


async def test_values_and_exceptions():
    log = Log()
    async with open_children() as children:
        children.start(soon(1), log, "one")
        children.start(fail(), log, "two")
        while len(log) < 2:
            await anyio.lowlevel.checkpoint()
    assert sorted(log, key=repr) == [
        (False, 1, "None"),
        (False, None, "ValueError('x')"),
    ]


async def test_leaving_cancels_and_awaits():
    log, ended = Log(), []

    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            ended.append(1)

    async with open_children() as children:
        for _ in range(3):
            children.start(forever(), log, "forever")
        await anyio.sleep(0.01)
    assert ended == [1, 1, 1]
    assert log == []


async def test_leaving_before_they_began():
    """None of them is left unawaited, which would be a warning and so an error."""
    log = Log()
    async with open_children() as children:
        children.start(soon(1), log, "one")
    assert log in ([], [(False, 1, "None")])


@pytest.mark.parametrize("begun", [False, True])
async def test_cancel(begun):
    log = Log()
    async with open_children() as children:
        child = children.start(anyio.sleep_forever(), log, "forever")
        if begun:
            await anyio.sleep(0.01)
        child.cancel()
        while not log:
            await anyio.lowlevel.checkpoint()
    assert log == [(True, None, "None")]


async def test_a_child_that_ends_all_the_same():
    log = Log()

    async def stubborn() -> int:
        try:
            await anyio.sleep_forever()
        except BaseException:
            raise ValueError("late") from None
        return 1

    async with open_children() as children:
        child = children.start(stubborn(), log, "stubborn")
        await anyio.sleep(0.01)
        child.cancel()
        while not log:
            await anyio.lowlevel.checkpoint()
    assert log == [(False, None, "ValueError('late')")]


async def test_exceptions_of_the_block_come_out_alone():
    log = Log()

    async def block() -> None:
        async with open_children() as children:
            children.start(anyio.sleep_forever(), log, "forever")
            await anyio.lowlevel.checkpoint()
            raise KeyError

    with pytest.raises(KeyError):
        await block()
    assert log == []


async def test_cancellation_from_outside():
    log = Log()
    with anyio.move_on_after(0.02) as scope:
        async with open_children() as children:
            children.start(anyio.sleep_forever(), log, "forever")
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert log == []
