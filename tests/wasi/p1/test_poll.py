"""`poll_oneoff` and sleeping."""

from __future__ import annotations

import os
import struct
import time

import anyio
import pytest

from asyncwasm.wasi import FakeMonotonicClock, FakeSocket, FakeWallClock
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.poll import MAX_SUBSCRIPTIONS
from asyncwasm.wasi.p1.types import Eventtype
from tests.wasi.p1.guest import BUFFER, OUT, P1

pytestmark = pytest.mark.anyio

EVENTS = 32768
REALTIME, MONOTONIC = 0, 1
MS = 10**6


def clock(userdata: int, timeout: int, *, id: int = MONOTONIC, flags: int = 0) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, Eventtype.CLOCK, id, timeout, 0, flags)


def ready(userdata: int, kind: int, fd: int) -> bytes:
    return struct.pack("<QB7xI28x", userdata, kind, fd)


async def poll(guest: P1, *subscriptions: bytes) -> list[tuple[int, int, int, int]]:
    """What has come about: userdata, error, type, and how much there is."""
    guest.write(BUFFER, b"".join(subscriptions))
    assert await guest("poll_oneoff", BUFFER, EVENTS, len(subscriptions), OUT) == Errno.SUCCESS
    return [struct.unpack("<QHB5xQ8x", guest.read(EVENTS + 32 * i, 32)) for i in range(guest.u32())]


async def test_sleeping(make_guest):
    guest = await make_guest().start()
    started = time.monotonic()
    assert await poll(guest, clock(7, 30 * MS)) == [(7, 0, Eventtype.CLOCK, 0)]
    assert time.monotonic() - started >= 0.029
    assert await poll(guest, clock(8, 0)) == [(8, 0, Eventtype.CLOCK, 0)]


async def test_the_first_of_several_clocks(make_guest):
    time = FakeMonotonicClock(1000)
    wall = FakeWallClock(5000)
    guest = await make_guest(monotonic_clock=time, wall_clock=wall).start()
    events = await poll(guest, clock(1, 300), clock(2, 200), clock(3, 200, id=REALTIME))
    assert [event[0] for event in events] == [2, 3]
    assert time.now() == 1200
    # Absolute times; one that has passed is due now.
    assert [e[0] for e in await poll(guest, clock(1, 1700, flags=1), clock(2, 1500, flags=1))] == [
        2
    ]
    assert time.now() == 1500
    assert [e[0] for e in await poll(guest, clock(1, 5250, id=REALTIME, flags=1))] == [1]
    assert time.now() == 1750
    assert [e[0] for e in await poll(guest, clock(1, 0, flags=1), clock(2, 10))] == [1]
    assert time.now() == 1750


async def test_waiting_for_time_is_suspended(make_guest):
    time = FakeMonotonicClock(jump=False)
    guest = await make_guest(monotonic_clock=time).start()
    done = []

    async def run() -> None:
        done.extend(await poll(guest, clock(1, 1000)))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        time.advance(999)
        await anyio.wait_all_tasks_blocked()
        assert not done
        time.advance(1)
    assert done == [(1, 0, 0, 0)]


async def test_a_sleep_is_cancelled_at_once(make_guest):
    guest = await make_guest().start()
    started = time.monotonic()
    used = time.process_time()
    with anyio.move_on_after(0.2) as scope:
        await poll(guest, clock(1, 3600 * 10**9))
    assert scope.cancelled_caught
    assert time.monotonic() - started < 5
    assert time.process_time() - used < 0.15


async def test_streams(make_guest):
    sender, receiver = anyio.create_memory_object_stream[bytes](1)
    guest = await make_guest(stdin=receiver).start()
    read = ready(1, Eventtype.FD_READ, 0)
    assert await poll(guest, read, clock(2, MS)) == [(2, 0, 0, 0)]
    async with anyio.create_task_group() as group:

        async def send() -> None:
            await anyio.sleep(0.01)
            await sender.send(b"abc")

        group.start_soon(send)
        assert await poll(guest, read, clock(2, 10**12)) == [(1, 0, 1, 3)]
    # It is still there, and is seen by a poll that does not wait.
    assert await poll(guest, read, clock(2, 0)) == [(1, 0, 1, 3), (2, 0, 0, 0)]
    assert await guest.read_fd(0, 10) == b"abc"
    sender.close()
    assert await poll(guest, read) == [(1, 0, 1, 0)]
    receiver.close()


async def test_a_stream_that_is_asked_for_twice(make_guest):
    sender, receiver = anyio.create_memory_object_stream[bytes](2)
    guest = await make_guest(stdin=receiver).start()
    for piece in (b"ab", b"cd"):
        sender.send_nowait(piece)
    events = await poll(guest, *(ready(i, Eventtype.FD_READ, 0) for i in range(3)))
    assert [event[0] for event in events] == [0, 1, 2]
    assert await guest.read_fd(0, 10) == b"ab"
    assert await guest.read_fd(0, 10) == b"cd"
    sender.close()
    receiver.close()


async def test_a_pipe(make_guest):
    receiver, sender = os.pipe()
    with os.fdopen(receiver, "rb") as file, os.fdopen(sender, "wb", buffering=0) as other:
        guest = await make_guest(stdin=file).start()
        read = ready(1, Eventtype.FD_READ, 0)
        assert [e[0] for e in await poll(guest, read, clock(2, MS))] == [2]
        other.write(b"x")
        assert [e[0] for e in await poll(guest, read, clock(2, 0))] == [1, 2]


async def test_what_is_always_ready(make_guest, filesystem):
    guest = await make_guest(
        stdin=b"abc", preopens={"/": filesystem.root()}, sockets=[FakeSocket([b"x"])]
    ).start()
    fd = await guest.open("file")
    assert await guest("fd_seek", fd, 4, 0, OUT) == Errno.SUCCESS
    events = await poll(
        guest,
        ready(1, Eventtype.FD_READ, 0),
        ready(2, Eventtype.FD_WRITE, 1),
        ready(3, Eventtype.FD_READ, fd),
        ready(4, Eventtype.FD_WRITE, fd),
        ready(5, Eventtype.FD_READ, 4),
        clock(6, 10**15),
    )
    assert sorted(events) == [(1, 0, 1, 3), (2, 0, 2, 0), (3, 0, 1, 6), (4, 0, 2, 1), (5, 0, 1, 1)]


async def test_mistakes(make_guest, filesystem):
    guest = await make_guest(preopens={"/": filesystem.root()}).start()
    events = await poll(
        guest,
        ready(1, Eventtype.FD_READ, 9),
        ready(2, Eventtype.FD_WRITE, 0),
        ready(3, Eventtype.FD_READ, 3),
        ready(4, 3, 0),
        clock(5, 0, id=9),
        clock(6, 0, flags=2),
        clock(7, 10**15),
    )
    errors = {userdata: error for userdata, error, *_ in events}
    assert errors == {
        1: Errno.BADF,
        2: Errno.NOTCAPABLE,
        3: Errno.NOTCAPABLE,
        4: Errno.INVAL,
        5: Errno.INVAL,
        6: Errno.INVAL,
    }
    assert await guest("poll_oneoff", BUFFER, EVENTS, 0, OUT) == Errno.INVAL
    assert MAX_SUBSCRIPTIONS * 48 > 2 * 65536  # so that more would trap in so small a memory


async def test_non_blocking_input(make_guest):
    sender, receiver = anyio.create_memory_object_stream[bytes](1)
    guest = await make_guest(stdin=receiver).start()
    assert await guest("fd_fdstat_set_flags", 0, 1) == Errno.INVAL
    assert await guest("fd_fdstat_set_flags", 0, 4) == Errno.SUCCESS
    assert await guest.read_fd(0, 10) == Errno.AGAIN
    sender.send_nowait(b"x")
    assert await guest.read_fd(0, 10) == b"x"
    sender.close()
    receiver.close()
