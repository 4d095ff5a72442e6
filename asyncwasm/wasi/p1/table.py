"""The descriptors of one program: what they are, and what may be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, final

from ..ctx import WasiCtx
from ..host.filesystem import Directory, File
from ..host.sockets import Socket, SocketKind
from ..host.stdio import InputStream, OutputStream
from .errno import Errno, GuestError
from .types import (
    DIRECTORY_RIGHTS,
    FILE_RIGHTS,
    NO_FLAGS,
    NO_RIGHTS,
    SOCKET_RIGHTS,
    STREAM_RIGHTS,
    Fdflags,
    Filetype,
    Rights,
)

MAX_DESCRIPTORS: Final = 1024

Resource: TypeAlias = InputStream | OutputStream | File | Directory | Socket


@dataclass(slots=True)
class Descriptor:
    """One entry of the table.

    `base` are the rights to it, `inheriting` those that what is opened through it can have.
    `preopen` is the name of a directory that the program found open.  `owned` says that the
    program opened it, so that closing the descriptor closes the resource.
    """

    resource: Resource
    filetype: Filetype
    base: Rights
    inheriting: Rights
    flags: Fdflags = NO_FLAGS
    preopen: bytes | None = None
    owned: bool = False

    def close(self) -> None:
        """Close the resource, if that is the program's to do."""
        if self.owned and not isinstance(self.resource, (InputStream, OutputStream)):
            self.resource.close()


@final
class Table:
    """Descriptors by number: 0 to 2 are the standard streams, then preopens, then sockets."""

    def __init__(self, ctx: WasiCtx) -> None:
        entries = [
            _stream(ctx.stdin, Rights.FD_READ),
            _stream(ctx.stdout, Rights.FD_WRITE),
            _stream(ctx.stderr, Rights.FD_WRITE),
        ]
        for name, directory in ctx.preopens:
            entries.append(_preopen(name, directory))
        entries.extend(socket_descriptor(sock) for sock in ctx.sockets)
        self._entries = dict(enumerate(entries))
        self._free: set[int] = set()
        self._next = len(entries)

    def get(self, fd: int, rights: Rights = NO_RIGHTS) -> Descriptor:
        """A descriptor.  Ends the function with `BADF`, or `NOTCAPABLE` without the rights."""
        found = self._entries.get(fd)
        if found is None:
            raise GuestError(Errno.BADF)
        if rights & ~found.base:
            raise GuestError(Errno.NOTCAPABLE)
        return found

    def directory(self, fd: int, rights: Rights = NO_RIGHTS) -> tuple[Descriptor, Directory]:
        """A directory: `BADF`, `NOTDIR` or `NOTCAPABLE` otherwise."""
        found = self.get(fd)
        if not isinstance(found.resource, Directory):
            raise GuestError(Errno.NOTDIR)
        return self.get(fd, rights), found.resource

    def file(self, fd: int, rights: Rights, otherwise: Errno = Errno.BADF) -> File:
        """An open file: `ISDIR` for a directory, `otherwise` for a stream or a socket."""
        found = self.get(fd)
        if isinstance(found.resource, Directory):
            raise GuestError(Errno.ISDIR)
        if not isinstance(found.resource, File):
            raise GuestError(otherwise)
        self.get(fd, rights)
        return found.resource

    def socket(self, fd: int, rights: Rights) -> tuple[Descriptor, Socket]:
        """A socket: `BADF`, `NOTSOCK` or `NOTCAPABLE` otherwise."""
        found = self.get(fd)
        if not isinstance(found.resource, Socket):
            raise GuestError(Errno.NOTSOCK)
        return self.get(fd, rights), found.resource

    def check_room(self) -> None:
        """End the function with `MFILE` if the program has too many descriptors already."""
        if len(self._entries) >= MAX_DESCRIPTORS:
            raise GuestError(Errno.MFILE)

    def add(self, descriptor: Descriptor) -> int:
        """A number for a descriptor: one that was freed, the highest first, or a new one."""
        if self._free:
            fd = max(self._free)
            self._free.remove(fd)
        else:
            fd = self._next
            self._next += 1
        self._entries[fd] = descriptor
        return fd

    def remove(self, fd: int) -> None:
        """Close a descriptor.  Ends the function with `BADF` if there is none."""
        found = self.get(fd)
        del self._entries[fd]
        self._free.add(fd)
        found.close()

    def renumber(self, fd: int, to: int) -> None:
        """Close `to`, and let `fd` be known by that number.  Both must be open."""
        moved = self.get(fd)
        replaced = self.get(to)
        if fd == to:
            return
        self._entries[to] = moved
        del self._entries[fd]
        self._free.add(fd)
        replaced.close()

    def close(self) -> None:
        """Close everything that the program opened."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            entry.close()


def _stream(stream: InputStream | OutputStream, rights: Rights) -> Descriptor:
    filetype = Filetype.CHARACTER_DEVICE if stream.is_terminal else Filetype.UNKNOWN
    return Descriptor(stream, filetype, rights | STREAM_RIGHTS, NO_RIGHTS)


def _preopen(name: bytes, directory: Directory) -> Descriptor:
    inheriting = DIRECTORY_RIGHTS | FILE_RIGHTS
    return Descriptor(directory, Filetype.DIRECTORY, DIRECTORY_RIGHTS, inheriting, preopen=name)


def socket_descriptor(sock: Socket) -> Descriptor:
    """An entry for a socket that stays its giver's."""
    is_stream = sock.kind is SocketKind.STREAM
    filetype = Filetype.SOCKET_STREAM if is_stream else Filetype.SOCKET_DGRAM
    return Descriptor(sock, filetype, SOCKET_RIGHTS, SOCKET_RIGHTS)
