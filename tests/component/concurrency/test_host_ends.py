"""Streams and futures between tasks of the host, without any guest."""

from __future__ import annotations

import anyio
import pytest
from anyio import BrokenResourceError, BusyResourceError, ClosedResourceError, EndOfStream

from asyncwasm import Engine, Store
from asyncwasm.component.concurrency.host_future import open_future
from asyncwasm.component.concurrency.host_stream import open_stream
from asyncwasm.component.types import Primitive
from asyncwasm.errors import UsageError

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> Store:
    return Store(Engine())


async def test_objects_one_by_one(store: Store) -> None:
    writer, reader = open_stream(store)

    async def write() -> None:
        async with writer:
            await writer.send("first")
            await writer.send_all([2, None])
            await writer.send_all(iter("ab"))
            assert await writer.write([5, 6]) == 1

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        seen = [item async for item in reader]
    assert seen == ["first", 2, None, "a", "b", 5]


async def test_bytes_move_as_buffers(store: Store) -> None:
    writer, reader = open_stream(store, Primitive.U8)
    received = bytearray()

    async def write() -> None:
        async with writer:
            await writer.send(b"hello ")
            await writer.send_all(bytearray(b"wor"))
            await writer.send_all([b"l", memoryview(b"d")])
            with pytest.raises(TypeError, match="value: expected bytes, got str"):
                await writer.send("text")

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        assert await reader.receive(3) == b"hel"
        async for chunk in reader:
            assert isinstance(chunk, bytes)
            received += chunk
    assert received == b"lo world"
    with pytest.raises(EndOfStream):
        await reader.receive()


async def test_a_slow_reader_stops_the_writer(store: Store) -> None:
    writer, reader = open_stream(store)
    sent = []

    async def write() -> None:
        for i in range(10):
            await writer.send(i)
            sent.append(i)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await anyio.wait_all_tasks_blocked()
        assert sent == []
        assert await reader.read(1) == [0]
        await anyio.wait_all_tasks_blocked()
        assert sent == [0]
        assert await reader.receive() == 1
        group.cancel_scope.cancel()
    assert len(sent) <= 2


async def test_a_writer_learns_that_the_reader_is_gone(store: Store) -> None:
    writer, reader = open_stream(store)

    async def close() -> None:
        await anyio.wait_all_tasks_blocked()
        await reader.aclose()
        await reader.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        with pytest.raises(BrokenResourceError):
            await writer.send(1)
    with pytest.raises(BrokenResourceError):
        await writer.send(1)
    with pytest.raises(ClosedResourceError):
        await reader.receive()


async def test_one_operation_at_a_time(store: Store) -> None:
    writer, reader = open_stream(store)
    async with anyio.create_task_group() as group:
        group.start_soon(reader.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError):
            await reader.receive()
        with pytest.raises(BusyResourceError):
            reader.close()
        await writer.send(1)


async def test_cancelling_a_reader_loses_nothing(store: Store) -> None:
    writer, reader = open_stream(store)
    with anyio.move_on_after(0.01):
        await reader.receive()
    async with anyio.create_task_group() as group:
        group.start_soon(writer.send, "kept")
        await anyio.wait_all_tasks_blocked()
        assert await reader.receive() == "kept"

    # Cancelled in the very moment in which something arrives.
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def send_and_cancel() -> None:
                await anyio.wait_all_tasks_blocked()
                with anyio.CancelScope(shield=True):
                    await writer.send("late")
                scope.cancel()

            async def receive() -> None:
                assert await reader.receive() == "late"

            group.start_soon(send_and_cancel)
            group.start_soon(receive)
    if scope.cancelled_caught and reader._kept is not None:
        assert await reader.receive() == "late"


async def test_cancelling_a_writer_takes_back_what_was_not_read(store: Store) -> None:
    writer, reader = open_stream(store)
    with anyio.move_on_after(0.01):
        await writer.send("never")
    async with anyio.create_task_group() as group:
        group.start_soon(writer.send, "next")
        assert await reader.receive() == "next"


async def test_a_future(store: Store) -> None:
    writer, reader = open_future(store)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.send, 42)
        assert await reader == 42
    assert await reader == 42
    with pytest.raises(UsageError, match="has a value already"):
        await writer.send(43)


async def test_a_future_that_nobody_wants(store: Store) -> None:
    writer, reader = open_future(store)
    await reader.aclose()
    with pytest.raises(BrokenResourceError):
        await writer.send(1)
    async with writer:
        pass


async def test_a_future_that_gets_no_value(store: Store) -> None:
    writer, reader = open_future(store)
    async with anyio.create_task_group() as group:

        async def close() -> None:
            await anyio.wait_all_tasks_blocked()
            await writer.aclose()

        group.start_soon(close)
        with pytest.raises(BrokenResourceError):
            await reader


async def test_operations_checkpoint(store: Store) -> None:
    writer, reader = open_stream(store)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await writer.aclose()
    assert scope.cancelled_caught
    with anyio.CancelScope() as scope:
        scope.cancel()
        await reader.receive()
    assert scope.cancelled_caught
    with pytest.raises(EndOfStream):
        await reader.receive()
