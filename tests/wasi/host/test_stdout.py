"""Everything that a program's output can go to."""

from __future__ import annotations

import asyncio
import io
import os
import sys

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import UsageError
from asyncwasm.wasi import INHERIT, BytesOutput
from asyncwasm.wasi.host.stdio import (
    CallableOutput,
    DescriptorOutput,
    FileOutput,
    NullOutput,
    StreamOutput,
    output_stream,
)
from tests.waiting import cancelled_once_waiting

pytestmark = pytest.mark.anyio


async def write(target: object, *pieces: bytes) -> None:
    stream = output_stream(target)
    for piece in pieces:
        await stream.write(piece)


async def test_nothing():
    stream = output_stream(None)
    assert isinstance(stream, NullOutput)
    await stream.write(b"lost")
    stream.write_sync(b"lost")


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("size", [1, 3, 10, 1000])
@pytest.mark.parametrize("limit", [0, 1, 9, 100])
@pytest.mark.parametrize("keep", ["tail", "head"])
async def test_bytes_are_bounded(keep, limit, size, sync):
    output = BytesOutput(limit, keep=keep)
    data = bytes(i % 251 for i in range(1000))
    for start in range(0, 1000, size):
        if sync:
            output.write_sync(data[start : start + size])
        else:
            await output.write(data[start : start + size])
        assert len(output._kept) <= 2 * limit + size
    expected = data[:limit] if keep == "head" else data[1000 - limit :]
    assert output.getvalue() == expected
    assert output.total == 1000
    assert output.truncated


async def test_bytes_that_fit():
    output = BytesOutput(5)
    await write(output, b"12", b"345")
    assert (output.getvalue(), output.truncated) == (b"12345", False)
    with pytest.raises(ValueError, match="negative"):
        BytesOutput(-1)
    with pytest.raises(ValueError, match="'tail' or 'head'"):
        BytesOutput(keep="middle")


async def test_files(tmp_path):
    path = tmp_path / "file"
    for buffering in (0, -1):
        with path.open("wb", buffering=buffering) as file:
            file.write(b"first ")
            stream = output_stream(file)
            assert isinstance(stream, FileOutput)
            await stream.write(b"second ")
            stream.write_sync(b"third")
            assert path.read_bytes() == b"first second third"
    with path.open("w") as text:
        await write(text, b"bytes")
        assert path.read_bytes() == b"bytes"
    memory = io.BytesIO()
    await write(memory, b"a", b"b")
    assert memory.getvalue() == b"ab"
    with pytest.raises(TypeError, match="binary"):
        output_stream(io.StringIO())
    with pytest.raises(TypeError, match="cannot write its output"):
        output_stream(5)


async def test_a_full_pipe_makes_the_writer_wait():
    receiver, sender = os.pipe()
    data = bytes(range(256)) * 1024
    with open(receiver, "rb", buffering=0) as other, open(sender, "wb") as file:
        stream = output_stream(file)
        assert isinstance(stream, DescriptorOutput)
        async with cancelled_once_waiting() as scope:
            await stream.write(data)
        assert scope.cancelled_caught
        written = other.read(1 << 20)
        assert data.startswith(written)
        found = bytearray()
        async with anyio.create_task_group() as group:
            group.start_soon(stream.write, data)
            while len(found) < len(data):
                await anyio.wait_readable(receiver)
                found += other.read(30_000)
        assert bytes(found) == data
        other.close()
        with pytest.raises(BrokenPipeError):
            await stream.write(b"x")
        with pytest.raises(BrokenPipeError):
            stream.write_sync(b"x")


async def test_the_process_own_output(capfd):
    print("from Python", end=" ")
    await write(INHERIT, b"from a guest")
    output_stream(INHERIT, inherited=2).write_sync(b"error")
    assert capfd.readouterr() == ("from Python from a guest", "error")
    assert sys.stdout


async def test_callables():
    found = []
    await write(found.append, b"a", b"b")
    output_stream(found.append).write_sync(b"c")

    async def take(data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        found.append(data)

    await write(take, b"d")
    assert found == [b"a", b"b", b"c", b"d"]
    stream = output_stream(take)
    assert isinstance(stream, CallableOutput)
    with pytest.raises(UsageError, match="async stream"):
        stream.write_sync(b"x")


async def test_memory_streams():
    sender, receiver = anyio.create_memory_object_stream[bytes](10)
    stream = output_stream(sender)
    assert isinstance(stream, StreamOutput)
    await stream.write(b"a")
    assert receiver.receive_nowait() == b"a"
    with pytest.raises(UsageError, match="async stream"):
        stream.write_sync(b"x")
    receiver.close()
    with pytest.raises(BrokenPipeError):
        await stream.write(b"x")
    sender.close()


def test_trio_streams():
    async def main() -> bytes:
        sender, receiver = trio.testing.memory_stream_pair()
        await write(sender, b"trio's")
        channel, other = trio.open_memory_channel(1)
        await write(channel, b" channel")
        return bytes(await receiver.receive_some()) + await other.receive()

    assert trio.run(main) == b"trio's channel"


def test_asyncio_streams():
    class Writer:
        data = b""

        def write(self, data: bytes) -> None:
            self.data += data

        async def drain(self) -> None:
            await asyncio.sleep(0)

    async def main() -> bytes:
        writer = Writer()
        await write(writer, b"a", b"b")
        return writer.data

    assert asyncio.run(main()) == b"ab"


async def test_devices():
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        await write(file, b"x")
    with open("/dev/null", "wb") as file:
        await write(file, b"x")
