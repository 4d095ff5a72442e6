"""`WasiCtx`: everything that one program is given."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast, final

from asyncwasm.errors import UsageError
from asyncwasm.fiber import checkpoint

from .host.clocks import MonotonicClock, SystemMonotonicClock, SystemWallClock, WallClock
from .host.filesystem import Directory, Permission, open_directory
from .host.random import Random, SecureRandom
from .host.sockets import Socket, SystemSocket
from .host.stdio import StdinSource, StdoutTarget, input_stream, output_stream

if TYPE_CHECKING:
    from typing import Self

StrPath: TypeAlias = "str | os.PathLike[str]"
HostDirectory: TypeAlias = "Directory | StrPath | tuple[StrPath, Permission]"
Environment: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"


class Closeable(Protocol):
    """Something with a `close` that never waits."""

    def close(self) -> None:
        """Idempotent."""
        ...


C = TypeVar("C", bound=Closeable)


@final
class WasiCtx:
    """What a program is given.  Nothing is ambient: what is left out does not exist for it.

    * `args`: the command line, the program's own name first.  `env`: variables, in order.
    * `preopens`: directories by the names that the program knows them by: a path (opened now,
      for reading only), a path with a `Permission`, or a `Directory`, which stays yours.
    * `stdin`: bytes, a binary file, an async stream of bytes, a callable, `INHERIT`, or None for
      a closed input; see `input_stream`.
    * `stdout`, `stderr`: a `BytesOutput`, a binary file, an async stream, a callable, `INHERIT`,
      or None to discard what is written; see `output_stream`.
    * `sockets`: open sockets, which the program finds after the preopened directories.  They
      stay yours, and become non-blocking.
    * `wall_clock`, `monotonic_clock`, `random`: the host's unless given.

    One context is for one program.  Close it, or use it as a context manager, sync or async:
    that closes whatever the program opened, and the paths opened here.

    Raises `OSError` or `FilesystemError` for a directory that cannot be opened, and `ValueError`
    for strings with a zero in them.
    """

    def __init__(
        self,
        *,
        args: Sequence[str] = (),
        env: Environment = (),
        preopens: Mapping[str, HostDirectory] | None = None,
        stdin: StdinSource = None,
        stdout: StdoutTarget = None,
        stderr: StdoutTarget = None,
        sockets: Iterable[socket.socket | Socket] = (),
        wall_clock: WallClock | None = None,
        monotonic_clock: MonotonicClock | None = None,
        random: Random | None = None,
    ) -> None:
        self.args = [_encode(arg) for arg in args]
        pairs = env.items() if isinstance(env, Mapping) else env
        self.env = [_variable(name, value) for name, value in pairs]
        self.stdin = input_stream(stdin)
        self.stdout = output_stream(stdout, inherited=1)
        self.stderr = output_stream(stderr, inherited=2)
        self.sockets: list[Socket] = [
            SystemSocket(sock) if isinstance(sock, socket.socket) else sock for sock in sockets
        ]
        self.wall_clock = wall_clock or SystemWallClock()
        self.monotonic_clock = monotonic_clock or SystemMonotonicClock()
        self.random = random or SecureRandom()
        self._adapters: dict[type[Any], Any] = {}
        self._closed = False
        with ExitStack() as opened:
            self.preopens: list[tuple[bytes, Directory]] = [
                (_encode(guest), _open(host, opened)) for guest, host in (preopens or {}).items()
            ]
            self._opened = opened.pop_all()

    def adapter(self, kind: type[C], make: Callable[[WasiCtx], C]) -> C:
        """What the adapter of one WASI version keeps for the program; made when first asked for.

        Closed with the context.  Raises `UsageError` once that is closed.
        """
        if self._closed:
            raise UsageError("the WASI context is closed")
        found = self._adapters.get(kind)
        if found is None:
            found = self._adapters[kind] = make(self)
        return cast("C", found)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Close what the program opened.  Idempotent, and never waits."""
        self._closed = True
        with self._opened:
            for adapter in self._adapters.values():
                adapter.close()
            self._adapters.clear()

    async def aclose(self) -> None:
        """`close`, and a checkpoint."""
        self.close()
        await checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None:
            await checkpoint()


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise ValueError("arguments, variables and names of directories must have no zeros in them")
    # What the host could not decode is passed on as it was.
    return text.encode("utf-8", "surrogateescape")


def _variable(name: str, value: str) -> bytes:
    if not name or "=" in name:
        raise ValueError(f"{name!r} is not the name of a variable")
    return _encode(name) + b"=" + _encode(value)


def _open(host: HostDirectory, opened: ExitStack) -> Directory:
    if isinstance(host, Directory):
        return host
    path, permission = host if isinstance(host, tuple) else (host, Permission.READ_ONLY)
    return opened.enter_context(open_directory(path, permission))
