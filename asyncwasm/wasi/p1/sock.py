"""Sockets that the program was given, and connections that it accepted."""

from __future__ import annotations

from typing import Final

from ..host.sockets import Shutdown
from .call import Call, Function
from .errno import Errno, GuestError
from .table import socket_descriptor
from .types import U16, Fdflags, Riflags, Rights, Roflags, Sdflags, flags


async def sock_accept(call: Call, fd: int, fdflags: int, accepted_fd: int) -> None:
    """Wait for a connection; write its descriptor.

    `fdflags` are those of the new descriptor.  `AGAIN` if the listener is non-blocking and there
    is no connection.
    """
    behaviour = flags(Fdflags, fdflags)
    if behaviour & ~Fdflags.NONBLOCK:
        raise GuestError(Errno.INVAL)
    listener, sock = call.table.socket(fd, Rights.SOCK_ACCEPT)
    call.memory.check(accepted_fd, 4, 4)
    call.table.check_room()
    wait = Fdflags.NONBLOCK not in listener.flags
    entry = socket_descriptor(await call.driver.accept(sock, wait=wait))
    entry.flags = behaviour
    entry.owned = True
    call.memory.write_u32(accepted_fd, call.table.add(entry))


async def sock_recv(
    call: Call, fd: int, ri_data: int, ri_data_len: int, ri_flags: int, size: int, ro_flags: int
) -> None:
    """Receive; write how much, a u32, and whether a datagram was cut off, a u16.

    With `RECV_WAITALL` a stream is read until the buffers are full or it ends.
    """
    how = flags(Riflags, ri_flags)
    entry, sock = call.table.socket(fd, Rights.FD_READ)
    room = call.memory.room(ri_data, ri_data_len)
    wait = Fdflags.NONBLOCK not in entry.flags
    peek = Riflags.RECV_PEEK in how
    data, truncated = await call.driver.receive(sock, room, peek=peek, wait=wait)
    while Riflags.RECV_WAITALL in how and not peek and wait and 0 < len(data) < room:
        more, _ = await call.driver.receive(sock, room - len(data), peek=False, wait=True)
        if not more:
            break
        data += more
    call.memory.scatter(ri_data, ri_data_len, data)
    call.memory.write_u32(size, len(data))
    call.memory.pack(U16, ro_flags, Roflags.RECV_DATA_TRUNCATED if truncated else 0)


async def sock_send(
    call: Call, fd: int, si_data: int, si_data_len: int, si_flags: int, size: int
) -> None:
    """Send; write how much was sent, a u32.  There are no flags."""
    if si_flags:
        raise GuestError(Errno.INVAL)
    entry, sock = call.table.socket(fd, Rights.FD_WRITE)
    data = call.memory.gather(si_data, si_data_len)
    call.memory.check(size, 4, 4)
    wait = Fdflags.NONBLOCK not in entry.flags
    call.memory.write_u32(size, await call.driver.send(sock, data, wait=wait))


def sock_shutdown(call: Call, fd: int, how: int) -> None:
    """Close one direction of a connection, or both."""
    wanted = flags(Sdflags, how)
    _, sock = call.table.socket(fd, Rights.SOCK_SHUTDOWN)
    if not wanted:
        raise GuestError(Errno.INVAL)
    directions = Shutdown(0)
    if Sdflags.RD in wanted:
        directions |= Shutdown.RECEIVE
    if Sdflags.WR in wanted:
        directions |= Shutdown.SEND
    sock.shutdown(directions)


FUNCTIONS: Final = {
    "sock_accept": Function(sock_accept, "iii"),
    "sock_recv": Function(sock_recv, "iiiiii"),
    "sock_send": Function(sock_send, "iiiii"),
    "sock_shutdown": Function(sock_shutdown, "ii"),
}
