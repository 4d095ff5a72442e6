"""Sockets that a program is given already open: connections, and listeners to accept from."""

from __future__ import annotations

import enum
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import anyio.lowlevel

from .readiness import wait_ready, wait_sync

T = TypeVar("T")


class SocketKind(enum.Enum):
    """What travels on a socket."""

    DATAGRAM = "datagram"
    STREAM = "stream"


class Shutdown(enum.Flag):
    """Which directions of a connection are closed."""

    RECEIVE = 1
    SEND = 2


class Socket(ABC):
    """A connection, or a listener.

    Operations that cannot be done at once wait, or raise `BlockingIOError` if `wait` is false.
    All raise `OSError`.
    """

    kind: SocketKind

    @abstractmethod
    async def accept(self, *, wait: bool = True) -> Socket:
        """The next connection, which the caller closes."""

    @abstractmethod
    async def receive(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        """At most `limit` bytes, none at the end, and whether a datagram was cut off."""

    @abstractmethod
    async def send(self, data: bytes, *, wait: bool = True) -> int:
        """Send some of `data`, and return how much."""

    @abstractmethod
    def accept_sync(self, *, wait: bool = True) -> Socket:
        """As `accept`, blocking the thread, as do the others of its kind."""

    @abstractmethod
    def receive_sync(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        """See `receive`."""

    @abstractmethod
    def send_sync(self, data: bytes, *, wait: bool = True) -> int:
        """See `send`."""

    @abstractmethod
    async def wait_ready(self, *, write: bool = False) -> None:
        """Return when an operation would not wait."""

    @abstractmethod
    def fileno(self) -> int | None:
        """What to poll in a sync program; None if operations never wait."""

    @abstractmethod
    def shutdown(self, how: Shutdown) -> None:
        """Close one direction, or both."""

    @abstractmethod
    def close(self) -> None:
        """Idempotent."""


class SystemSocket(Socket):
    """A socket of the operating system.  It becomes non-blocking, and stays the caller's."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        stream = sock.type == socket.SOCK_STREAM
        self.kind = SocketKind.STREAM if stream else SocketKind.DATAGRAM

    async def accept(self, *, wait: bool = True) -> Socket:
        return SystemSocket((await self._do(self._socket.accept, wait, write=False))[0])

    async def receive(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        return await self._do(lambda: self._receive(limit, peek), wait, write=False)

    async def send(self, data: bytes, *, wait: bool = True) -> int:
        return await self._do(lambda: self._socket.send(data), wait, write=True)

    async def _do(self, fn: Callable[[], T], wait: bool, *, write: bool) -> T:
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return fn()
            except BlockingIOError:
                if not wait:
                    raise
                await wait_ready(self._socket, write=write)

    def accept_sync(self, *, wait: bool = True) -> Socket:
        return SystemSocket(self._do_sync(self._socket.accept, wait, write=False)[0])

    def receive_sync(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        return self._do_sync(lambda: self._receive(limit, peek), wait, write=False)

    def send_sync(self, data: bytes, *, wait: bool = True) -> int:
        return self._do_sync(lambda: self._socket.send(data), wait, write=True)

    def _do_sync(self, fn: Callable[[], T], wait: bool, *, write: bool) -> T:
        while True:
            try:
                return fn()
            except BlockingIOError:
                if not wait:
                    raise
                files = [self._socket]
                wait_sync([] if write else files, files if write else [], None)

    def _receive(self, limit: int, peek: bool) -> tuple[bytes, bool]:
        flags = socket.MSG_PEEK if peek else 0
        if self.kind is SocketKind.STREAM:
            return self._socket.recv(limit, flags), False
        # One byte more than is wanted tells whether there was more.
        data = self._socket.recv(limit + 1, flags)
        return data[:limit], len(data) > limit

    async def wait_ready(self, *, write: bool = False) -> None:
        await wait_ready(self._socket, write=write)

    def fileno(self) -> int | None:
        return self._socket.fileno()

    def shutdown(self, how: Shutdown) -> None:
        both = Shutdown.RECEIVE | Shutdown.SEND
        if how == both:
            self._socket.shutdown(socket.SHUT_RDWR)
        elif how:
            self._socket.shutdown(socket.SHUT_RD if how is Shutdown.RECEIVE else socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


class FakeSocket(Socket):
    """A connection in memory: `incoming` is what arrives, `sent` what was sent.

    With `connections` it is a listener that gives those out.  Nothing ever waits: where the real
    one would, the peer is found to have gone.
    """

    def __init__(
        self,
        incoming: Iterable[bytes] = (),
        *,
        connections: Iterable[FakeSocket] = (),
        kind: SocketKind = SocketKind.STREAM,
    ) -> None:
        self.kind = kind
        self.incoming: deque[bytes] = deque(piece for piece in incoming if piece)
        self.connections: deque[FakeSocket] = deque(connections)
        self.sent: list[bytes] = []
        self.closed = False
        self._shut = Shutdown(0)

    async def accept(self, *, wait: bool = True) -> Socket:
        await anyio.lowlevel.checkpoint()
        return self.accept_sync(wait=wait)

    async def receive(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        await anyio.lowlevel.checkpoint()
        return self.receive_sync(limit, peek=peek, wait=wait)

    async def send(self, data: bytes, *, wait: bool = True) -> int:
        await anyio.lowlevel.checkpoint()
        return self.send_sync(data, wait=wait)

    def accept_sync(self, *, wait: bool = True) -> Socket:
        if not self.connections:
            raise ConnectionAbortedError("nobody else connects") if wait else BlockingIOError
        return self.connections.popleft()

    def receive_sync(
        self, limit: int, *, peek: bool = False, wait: bool = True
    ) -> tuple[bytes, bool]:
        if Shutdown.RECEIVE in self._shut or not self.incoming:
            return b"", False
        piece = self.incoming[0]
        stream = self.kind is SocketKind.STREAM
        if not peek:
            self.incoming.popleft()
            if stream and len(piece) > limit:
                self.incoming.appendleft(piece[limit:])
        return piece[:limit], not stream and len(piece) > limit

    def send_sync(self, data: bytes, *, wait: bool = True) -> int:
        if Shutdown.SEND in self._shut:
            raise BrokenPipeError("the socket was shut down")
        self.sent.append(data)
        return len(data)

    async def wait_ready(self, *, write: bool = False) -> None:
        await anyio.lowlevel.checkpoint()

    def fileno(self) -> int | None:
        return None

    def shutdown(self, how: Shutdown) -> None:
        self._shut |= how

    def close(self) -> None:
        self.closed = True
