"""Sockets that were given, real and fake."""

from __future__ import annotations

import socket

import anyio
import pytest

from asyncwasm.wasi import FakeSocket
from asyncwasm.wasi.host.sockets import SocketKind
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.types import Filetype
from tests.wasi.p1.guest import BUFFER, OUT

pytestmark = pytest.mark.anyio

PEEK, WAIT_ALL = 1, 2
READ, WRITE = 1, 2
NONBLOCK = 4


async def receive(guest, fd, size, flags=0):
    iovecs = guest.iovecs((BUFFER, size))
    error = await guest("sock_recv", fd, *iovecs, flags, OUT, OUT + 4)
    if error:
        return error
    return guest.read(BUFFER, guest.u32()), guest.unpack("<H", OUT + 4)[0]


async def send(guest, fd, data):
    guest.write(BUFFER, data)
    error = await guest("sock_send", fd, *guest.iovecs((BUFFER, len(data))), 0, OUT)
    return error or guest.u32()


async def test_fakes(make_guest):
    connection = FakeSocket([b"hello", b"there"])
    listener = FakeSocket(connections=[connection])
    guest = await make_guest(sockets=[listener]).start()
    assert await guest("fd_fdstat_get", 3, OUT) == Errno.SUCCESS
    assert guest.unpack("<B") == (Filetype.SOCKET_STREAM,)
    assert await guest("sock_accept", 3, 1, OUT) == Errno.INVAL
    assert await guest("sock_accept", 3, NONBLOCK, OUT) == Errno.SUCCESS
    fd = guest.u32()
    assert fd == 4
    assert await receive(guest, fd, 3, PEEK) == (b"hel", 0)
    assert await receive(guest, fd, 3) == (b"hel", 0)
    assert await receive(guest, fd, 100) == (b"lo", 0)
    assert await guest.read_fd(fd, 2) == b"th"
    assert await send(guest, fd, b"abc") == 3
    assert await guest.write_fd(fd, b"d") == 1
    assert connection.sent == [b"abc", b"d"]
    assert await guest("sock_shutdown", fd, 0) == Errno.INVAL
    assert await guest("sock_shutdown", fd, 4) == Errno.INVAL
    assert await guest("sock_shutdown", fd, WRITE) == Errno.SUCCESS
    assert await send(guest, fd, b"x") == Errno.PIPE
    assert await guest("sock_accept", 3, 0, OUT) == Errno.CONNABORTED
    assert await guest("fd_fdstat_set_flags", 3, NONBLOCK) == Errno.SUCCESS
    assert await guest("sock_accept", 3, 0, OUT) == Errno.AGAIN
    assert await guest("sock_recv", 1, *guest.iovecs(), 0, OUT, OUT + 4) == Errno.NOTSOCK
    assert await guest("sock_shutdown", 9, READ) == Errno.BADF
    # What the program accepted is closed with it; what it was given is not.
    guest.ctx.close()
    assert connection.closed
    assert not listener.closed


async def test_datagrams(make_guest):
    guest = await make_guest(
        sockets=[FakeSocket([b"12345", b"67"], kind=SocketKind.DATAGRAM)]
    ).start()
    assert await receive(guest, 3, 3, PEEK) == (b"123", 1)
    assert await receive(guest, 3, 3) == (b"123", 1)
    assert await receive(guest, 3, 3) == (b"67", 0)
    assert await guest("fd_fdstat_get", 3, OUT) == Errno.SUCCESS
    assert guest.unpack("<B") == (Filetype.SOCKET_DGRAM,)


async def test_connections(make_guest):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        guest = await make_guest(sockets=[ours]).start()
        async with anyio.create_task_group() as group:

            async def talk() -> None:
                for piece in (b"ab", b"cd", b"ef"):
                    await anyio.sleep(0.01)
                    theirs.send(piece)

            group.start_soon(talk)
            assert await receive(guest, 3, 4, WAIT_ALL) == (b"abcd", 0)
            assert await receive(guest, 3, 4) == (b"ef", 0)
        assert await send(guest, 3, b"answer") == 6
        assert theirs.recv(100) == b"answer"
        with anyio.move_on_after(0.02) as scope:
            await receive(guest, 3, 4)
        assert scope.cancelled_caught
        assert await guest("fd_fdstat_set_flags", 3, NONBLOCK) == Errno.SUCCESS
        assert await receive(guest, 3, 4) == Errno.AGAIN
        theirs.shutdown(socket.SHUT_WR)
        assert await receive(guest, 3, 4) == (b"", 0)
        assert await guest("sock_shutdown", 3, READ | WRITE) == Errno.SUCCESS
        assert theirs.recv(100) == b""
        assert await guest("fd_close", 3) == Errno.SUCCESS
        assert ours.fileno() >= 0


async def test_listeners(make_guest):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        guest = await make_guest(sockets=[listener]).start()
        found = []

        async def serve() -> None:
            assert await guest("sock_accept", 3, 0, OUT) == Errno.SUCCESS
            found.append(await receive(guest, guest.u32(), 100))

        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            await anyio.wait_all_tasks_blocked()
            async with await anyio.connect_tcp(*listener.getsockname()) as client:
                await client.send(b"over TCP")
        assert found == [(b"over TCP", 0)]
        guest.ctx.close()


def test_a_blocking_program():
    from asyncwasm import Linker, Store
    from asyncwasm.wasi import WasiCtx, p1
    from tests.wasi.p1.guest import module

    ours, theirs = socket.socketpair()
    linker = Linker(module().engine)
    p1.add_to_linker_sync(linker)
    with ours, theirs, WasiCtx(sockets=[ours]) as ctx:
        store = Store(module().engine, ctx)
        instance = linker.instantiate(store, module())
        memory = instance.get_memory(store, "memory")
        memory.write(store, 512, BUFFER.to_bytes(4, "little") + bytes([4, 0, 0, 0]))
        theirs.send(b"hey")
        receive = instance.get_func(store, "sock_recv")
        assert receive.call(store, 3, 512, 1, 0, OUT, OUT + 4) == 0
        assert memory.read(store, BUFFER, 4) == b"hey\0"
        send = instance.get_func(store, "sock_send")
        assert send.call(store, 3, 512, 1, 0, OUT) == 0
        assert theirs.recv(10) == b"hey\0"
