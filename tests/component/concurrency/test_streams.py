"""Streams and futures between the host and guests, and from guest to guest."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from anyio import EndOfStream

from asyncwasm import Engine, Store
from asyncwasm.component import (
    Accessor,
    Component,
    Instance,
    Linker,
    StreamReader,
    open_future,
    open_stream,
)
from asyncwasm.errors import Trap, TrapCode, UsageError

from .guests import AWAITING, new_engine, relay

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["interpreter", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return new_engine(strategy=request.param)


async def new(engine: Engine, wat: str) -> tuple[Store, Instance]:
    store = Store(engine)
    return store, await Linker(engine).instantiate_async(store, Component(engine, wat))


async def through(instance: Instance, accessor: Accessor, source) -> StreamReader:
    """What comes out when `source` is handed on by two guests."""
    a = instance.get_func(accessor.store, "a")
    b = instance.get_func(accessor.store, "b")
    return await b.call_concurrent(accessor, await a.call_concurrent(accessor, source))


async def all_of(reader: StreamReader) -> list:
    async with reader:
        return [item async for item in reader]


async def numbers(n: int):
    for i in range(n):
        await anyio.lowlevel.checkpoint()
        yield i


DATA = bytes(range(256)) * 1000


@pytest.mark.parametrize("most", [1 << 16, 1000])
async def test_bytes(engine: Engine, most: int) -> None:
    store, instance = await new(engine, relay("u8", 1, most))

    async def chunks():
        for i in range(0, len(DATA), 10_000):
            yield DATA[i : i + 10_000]

    async def main(accessor: Accessor) -> None:
        for source in (DATA, chunks(), [DATA[:5000], DATA[5000:]]):
            assert b"".join(await all_of(await through(instance, accessor, source))) == DATA

    await store.run_concurrent(main)
    assert store.tasks() == []


@pytest.mark.parametrize("most", [1, 7])
async def test_numbers_and_texts(engine: Engine, most: int) -> None:
    store, instance = await new(engine, relay("u32", 4, most))

    async def main(accessor: Accessor) -> None:
        assert await all_of(await through(instance, accessor, numbers(20))) == list(range(20))
        assert await all_of(await through(instance, accessor, [1, 2, 3])) == [1, 2, 3]
        assert await all_of(await through(instance, accessor, ())) == []

    await store.run_concurrent(main)
    store, instance = await new(engine, relay("string", 8, most))
    words = ["a", "", "grün", "☃" * 100]

    async def texts(accessor: Accessor) -> None:
        assert await all_of(await through(instance, accessor, words)) == words
        writer, reader = open_stream(store)

        async def write() -> None:
            async with writer:
                with pytest.raises(TypeError, match="value: expected str, got int"):
                    await writer.send(5)
                await writer.send_all(words)

        accessor.spawn(write)
        assert await all_of(await through(instance, accessor, reader)) == words

    await store.run_concurrent(texts)


async def test_without_a_scope(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 2))
    a = instance.get_func(store, "a")
    reader = await a.call_async(store, [1, 2, 3, 4, 5])
    assert await reader.receive() == 1
    assert await reader.read(3) == [2]
    assert [item async for item in reader] == [3, 4, 5]
    await reader.aclose()
    writer, given = open_stream(store)
    reader = await a.call_async(store, given)
    async with anyio.create_task_group() as group:

        async def write() -> None:
            async with writer:
                await writer.send_all(range(10))

        group.start_soon(write)
        assert [item async for item in reader] == list(range(10))
    with pytest.raises(UsageError, match="has been given to a guest"):
        await given.receive()
    with pytest.raises(UsageError, match="call the function from within `run_concurrent`"):
        await a.call_async(store, numbers(30))
    # The guest still waits to get rid of the first numbers.
    assert len(store.tasks()) == 1
    store.close()


async def test_a_slow_reader_stops_a_fast_writer(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 4))
    sent = []

    async def main(accessor: Accessor) -> None:
        writer, given = open_stream(store)

        async def write() -> None:
            async with writer:
                for i in range(1000):
                    await writer.send(i)
                    sent.append(i)

        accessor.spawn(write)
        reader = await through(instance, accessor, given)
        for i in range(10):
            assert await reader.receive() == i
            await anyio.wait_all_tasks_blocked()
            # Each guest holds what it has read and not yet written.
            assert len(sent) <= i + 10
        reader.close()

    await store.run_concurrent(main)
    store.close()


async def test_a_reader_that_has_had_enough(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 4))
    ended = []

    async def endless():
        try:
            while True:
                yield 1
        finally:
            ended.append("closed")

    async def main(accessor: Accessor) -> None:
        reader = await through(instance, accessor, endless())
        assert await reader.receive() == 1
        await reader.aclose()
        while not ended:
            await anyio.lowlevel.checkpoint()

    await store.run_concurrent(main)
    assert ended == ["closed"]
    assert store.tasks() == []


async def test_channels(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 2))
    send_in, receive_in = anyio.create_memory_object_stream[int](3)
    send_out, receive_out = anyio.create_memory_object_stream[int](30)
    async with send_in:
        for i in range(3):
            await send_in.send(i)

    async def main(accessor: Accessor) -> None:
        await (await through(instance, accessor, receive_in)).pipe(send_out)

    await store.run_concurrent(main)
    async with receive_out:
        assert [item async for item in receive_out] == [0, 1, 2]


async def test_an_error_of_a_source(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 4))

    async def failing():
        yield 1
        raise LookupError("source")

    async def main(accessor: Accessor) -> None:
        await all_of(await through(instance, accessor, failing()))

    with pytest.raises(LookupError, match="source"):
        await store.run_concurrent(main)


async def test_values_that_do_not_fit(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 4))
    a = instance.get_func(store, "a")
    with pytest.raises(TypeError, match="expected StreamReader or iterable, got int"):
        await a.call_async(store, 5)
    with pytest.raises((TypeError, Trap)):
        await a.call_async(store, ["x"])


async def test_cancelling_a_read(engine: Engine) -> None:
    store, instance = await new(engine, relay("u32", 4, 4))
    writer, given = open_stream(store)
    reader = await instance.get_func(store, "a").call_async(store, given)
    for _ in range(3):
        with anyio.move_on_after(0.01) as scope:
            await reader.receive()
        assert scope.cancelled_caught
    async with anyio.create_task_group() as group:
        group.start_soon(writer.send, 7)
        assert await reader.receive() == 7
    await writer.aclose()
    with pytest.raises(EndOfStream):
        await reader.receive()


async def test_futures(engine: Engine) -> None:
    store, instance = await new(engine, AWAITING)
    run = instance.get_func(store, "run")

    async def value() -> str:
        await anyio.lowlevel.checkpoint()
        return "from a coroutine"

    assert await run.call_async(store, value()) == "from a coroutine"
    writer, reader = open_future(store)

    async def main(accessor: Accessor) -> str:
        accessor.spawn(writer.send, "sent")
        return await run.call_concurrent(accessor, reader)

    assert await store.run_concurrent(main) == "sent"
    assert store.tasks() == []
    with pytest.raises(TypeError, match="expected FutureReader or awaitable, got str"):
        await run.call_async(store, "text")


async def test_a_future_that_never_comes(engine: Engine) -> None:
    store, instance = await new(engine, AWAITING)
    writer, reader = open_future(store)
    async with anyio.create_task_group() as group:

        async def call() -> None:
            with pytest.raises(Trap) as caught:
                await instance.get_func(store, "run").call_async(store, reader)
            assert caught.value.code is TrapCode.ASYNC_DEADLOCK
            assert "waiting for the readable end of a future" in "\n".join(caught.value.__notes__)

        group.start_soon(call)
    del writer


@pytest.mark.slow
async def test_a_long_stream_takes_bounded_memory(engine: Engine) -> None:
    most, total = 1 << 16, 64 << 20
    store, instance = await new(engine, relay("u8", 1, most))
    chunk = bytes(range(256)) * 1024
    sent = received = ahead = 0

    async def main(accessor: Accessor) -> None:
        nonlocal received, ahead
        writer, given = open_stream(store)

        async def write() -> None:
            nonlocal sent
            async with writer:
                while sent < total:
                    await writer.send(chunk)
                    sent += len(chunk)

        accessor.spawn(write)
        reader = await through(instance, accessor, given)
        async for part in reader:
            assert part == chunk[received % 256 :][: len(part)]
            received += len(part)
            ahead = max(ahead, sent - received)

    await store.run_concurrent(main)
    assert received == total
    # What each guest has read and not yet written is all there is on the way.
    assert ahead <= 2 * most + len(chunk)
    assert store.tasks() == []
