"""Everything that a program's input can come from."""

from __future__ import annotations

import asyncio
import io
import os
import threading

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import UsageError
from asyncwasm.wasi.host.stdio import (
    INHERIT,
    BytesInput,
    CallableInput,
    DescriptorInput,
    FileInput,
    InputStream,
    IteratorInput,
    input_stream,
)

pytestmark = pytest.mark.anyio


async def everything(stream: InputStream, limit: int = 4) -> bytes:
    pieces = []
    while piece := await stream.read(limit):
        assert len(piece) <= limit
        pieces.append(piece)
    assert await stream.read(limit) == b""
    return b"".join(pieces)


def everything_sync(stream: InputStream, limit: int = 4) -> bytes:
    return b"".join(iter(lambda: stream.read_sync(limit), b""))


@pytest.mark.parametrize("data", [b"", b"x", b"0123456789"])
async def test_bytes(data):
    assert await everything(input_stream(data)) == data
    assert await everything(input_stream(bytearray(data))) == data
    stream = input_stream(memoryview(data))
    assert stream.available == len(data)
    assert everything_sync(stream) == data
    assert stream.available == 0
    assert isinstance(stream, BytesInput)


async def test_nothing():
    assert await everything(input_stream(None)) == b""


async def test_files(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    for way in (everything, everything_sync):
        with path.open("rb") as file:
            file.read(2)  # Python's position counts
            stream = input_stream(file)
            assert isinstance(stream, FileInput)
            found = way(stream)
            assert (await found if not isinstance(found, bytes) else found) == b"23456789"
        with path.open() as text:
            assert await everything(input_stream(text)) == b"0123456789"
    assert await everything(input_stream(io.BytesIO(b"abcdef"))) == b"abcdef"


async def test_text_is_refused():
    with pytest.raises(TypeError, match="binary"):
        input_stream(io.StringIO("text"))
    with pytest.raises(TypeError, match="bytes, not str"):
        await input_stream(lambda limit: "text").read(1)
    with pytest.raises(TypeError, match="cannot read its input"):
        input_stream(5)


async def test_a_pipe_is_waited_for_without_a_thread():
    receiver, sender = os.pipe()
    with open(receiver, "rb") as file, open(sender, "wb", buffering=0) as other:
        stream = input_stream(file)
        assert isinstance(stream, DescriptorInput)
        before = threading.active_count()
        with anyio.move_on_after(0.05) as scope:
            await stream.read(10)
        assert scope.cancelled_caught
        assert threading.active_count() == before
        with anyio.move_on_after(0.01) as scope:
            await stream.wait_readable()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:

            async def send() -> None:
                await anyio.wait_all_tasks_blocked()
                other.write(b"late")

            group.start_soon(send)
            assert await stream.read(10) == b"late"
        other.write(b"more")
        await stream.wait_readable()
        assert stream.fileno() == receiver
        assert await stream.read(2) == b"mo"
        assert stream.read_sync(10) == b"re"
        other.close()
        assert await stream.read(10) == b""


async def test_two_programs_share_a_pipe():
    receiver, sender = os.pipe()
    with open(receiver, "rb") as file, open(sender, "wb", buffering=0) as other:
        found = []

        async def read() -> None:
            found.append(await input_stream(file).read(1))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(read)
            await anyio.sleep(0.05)
            other.write(b"ab")
        assert sorted(found) == [b"a", b"b"]


async def test_the_process_own_input(monkeypatch):
    receiver, sender = os.pipe()
    saved = os.dup(0)
    os.dup2(receiver, 0)
    try:
        os.write(sender, b"typed")
        os.close(sender)
        assert await everything(input_stream(INHERIT)) == b"typed"
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(receiver)


async def test_devices():
    with open("/dev/zero", "rb") as file:
        assert await input_stream(file).read(3) == bytes(3)
    with open("/dev/null", "rb") as file:
        assert await input_stream(file).read(3) == b""


async def test_callables():
    pieces = [b"abc", b"defgh"]
    wanted = []

    def give(limit: int) -> bytes:
        wanted.append(limit)
        return pieces.pop(0) if pieces else b""

    assert await everything(input_stream(give)) == b"abcdefgh"
    assert wanted == [4, 4, 4]
    pieces = [b"xyz"]
    assert everything_sync(input_stream(give)) == b"xyz"

    async def give_late(limit: int) -> bytes:
        await anyio.lowlevel.checkpoint()
        return give(limit)

    pieces = [b"late"]
    stream = input_stream(give_late)
    assert isinstance(stream, CallableInput)
    assert await everything(stream) == b"late"
    with pytest.raises(UsageError, match="async stream"):
        input_stream(give_late).read_sync(1)


async def test_memory_streams():
    sender, receiver = anyio.create_memory_object_stream[bytes](10)
    for piece in (b"ab", b"", b"cdefg"):
        sender.send_nowait(piece)
    sender.close()
    stream = input_stream(receiver)
    assert isinstance(stream, IteratorInput)
    await stream.wait_readable()
    assert stream.available == 2
    assert await everything(stream) == b"abcdefg"
    with pytest.raises(UsageError, match="async stream"):
        input_stream(receiver).read_sync(1)
    receiver.close()


async def test_a_stream_that_is_given_up_loses_nothing():
    sender, receiver = anyio.create_memory_object_stream[bytes]()
    stream = input_stream(receiver)
    for wait in (stream.wait_readable, lambda: stream.read(1)):
        with anyio.move_on_after(0.01) as scope:
            await wait()
        assert scope.cancelled_caught
    async with anyio.create_task_group() as group:
        group.start_soon(sender.send, b"here")
        assert await stream.read(10) == b"here"
    sender.close()
    receiver.close()


async def test_generators():
    async def give():
        for piece in (b"a", b"bc"):
            await anyio.lowlevel.checkpoint()
            yield piece

    stream = input_stream(give())
    await stream.wait_readable()
    assert stream.available is None
    assert await everything(stream) == b"abc"


async def test_a_generator_survives_being_waited_for():
    event = anyio.Event()

    async def give():
        await event.wait()
        yield b"x"

    stream = input_stream(give())
    with anyio.fail_after(5):
        await stream.wait_readable()  # says so at once, though a read would wait
    event.set()
    assert await everything(stream) == b"x"


def test_trio_streams():
    async def main() -> bytes:
        sender, receiver = trio.testing.memory_stream_pair()
        await sender.send_all(b"trio's")
        await sender.aclose()
        return await everything(input_stream(receiver))

    assert trio.run(main) == b"trio's"


def test_asyncio_streams():
    async def main() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(b"asyncio's\nlines")
        reader.feed_eof()
        return await everything(input_stream(reader))

    assert asyncio.run(main()) == b"asyncio's\nlines"


@pytest.mark.parametrize("source", [b"data", None, lambda limit: b"", io.BytesIO(b"data")])
async def test_reads_checkpoint(source):
    stream = input_stream(source)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stream.read(1)
    assert scope.cancelled_caught
