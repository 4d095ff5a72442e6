"""Error numbers of preview 1, and what the host's errors become."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Final

from ..host.filesystem import ErrorCode, FilesystemError


class Errno(IntEnum):
    """`errno` of `wasi_snapshot_preview1`, a u16."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


class GuestError(Exception):
    """A function ends with this error number."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno)
        self.errno: Final = errno


FILESYSTEM: Final = {
    ErrorCode.ACCESS: Errno.ACCES,
    ErrorCode.AGAIN: Errno.AGAIN,
    ErrorCode.BADF: Errno.BADF,
    ErrorCode.BUSY: Errno.BUSY,
    ErrorCode.DEADLK: Errno.DEADLK,
    ErrorCode.DQUOT: Errno.DQUOT,
    ErrorCode.EXIST: Errno.EXIST,
    ErrorCode.FBIG: Errno.FBIG,
    ErrorCode.ILSEQ: Errno.ILSEQ,
    ErrorCode.INTR: Errno.INTR,
    ErrorCode.INVAL: Errno.INVAL,
    ErrorCode.IO: Errno.IO,
    ErrorCode.ISDIR: Errno.ISDIR,
    ErrorCode.LOOP: Errno.LOOP,
    ErrorCode.MFILE: Errno.MFILE,
    ErrorCode.MLINK: Errno.MLINK,
    ErrorCode.NAMETOOLONG: Errno.NAMETOOLONG,
    ErrorCode.NFILE: Errno.NFILE,
    ErrorCode.NODEV: Errno.NODEV,
    ErrorCode.NOENT: Errno.NOENT,
    ErrorCode.NOLCK: Errno.NOLCK,
    ErrorCode.NOMEM: Errno.NOMEM,
    ErrorCode.NOSPC: Errno.NOSPC,
    ErrorCode.NOTCAPABLE: Errno.NOTCAPABLE,
    ErrorCode.NOTDIR: Errno.NOTDIR,
    ErrorCode.NOTEMPTY: Errno.NOTEMPTY,
    ErrorCode.NOTSUP: Errno.NOTSUP,
    ErrorCode.NOTTY: Errno.NOTTY,
    ErrorCode.NXIO: Errno.NXIO,
    ErrorCode.OVERFLOW: Errno.OVERFLOW,
    ErrorCode.PERM: Errno.PERM,
    ErrorCode.PIPE: Errno.PIPE,
    ErrorCode.ROFS: Errno.ROFS,
    ErrorCode.SPIPE: Errno.SPIPE,
    ErrorCode.STALE: Errno.STALE,
    ErrorCode.TXTBSY: Errno.TXTBSY,
    ErrorCode.XDEV: Errno.XDEV,
}

# Of streams and sockets; by name, for no platform has all of them.
SYSTEM: Final = {
    "EACCES": Errno.ACCES,
    "EAGAIN": Errno.AGAIN,
    "EBADF": Errno.BADF,
    "ECONNABORTED": Errno.CONNABORTED,
    "ECONNREFUSED": Errno.CONNREFUSED,
    "ECONNRESET": Errno.CONNRESET,
    "EDESTADDRREQ": Errno.DESTADDRREQ,
    "EDQUOT": Errno.DQUOT,
    "EFBIG": Errno.FBIG,
    "EHOSTUNREACH": Errno.HOSTUNREACH,
    "EINTR": Errno.INTR,
    "EINVAL": Errno.INVAL,
    "EIO": Errno.IO,
    "EISDIR": Errno.ISDIR,
    "EMFILE": Errno.MFILE,
    "EMSGSIZE": Errno.MSGSIZE,
    "ENETDOWN": Errno.NETDOWN,
    "ENETRESET": Errno.NETRESET,
    "ENETUNREACH": Errno.NETUNREACH,
    "ENFILE": Errno.NFILE,
    "ENOBUFS": Errno.NOBUFS,
    "ENOMEM": Errno.NOMEM,
    "ENOSPC": Errno.NOSPC,
    "ENOTCONN": Errno.NOTCONN,
    "ENOTSOCK": Errno.NOTSOCK,
    "ENXIO": Errno.NXIO,
    "EOPNOTSUPP": Errno.NOTSUP,
    "EPERM": Errno.PERM,
    "EPIPE": Errno.PIPE,
    "ESPIPE": Errno.SPIPE,
    "ETIMEDOUT": Errno.TIMEDOUT,
    "EWOULDBLOCK": Errno.AGAIN,
}

_BY_NUMBER: Final = {
    getattr(errno, name): code for name, code in SYSTEM.items() if hasattr(errno, name)
}

_BY_CLASS: Final = (
    (BlockingIOError, Errno.AGAIN),
    (BrokenPipeError, Errno.PIPE),
    (ConnectionAbortedError, Errno.CONNABORTED),
    (ConnectionResetError, Errno.CONNRESET),
    (TimeoutError, Errno.TIMEDOUT),
)


def errno_of(error: GuestError | FilesystemError | OSError) -> Errno:
    """The number that the guest is told; `IO` for what has no number of its own."""
    if isinstance(error, GuestError):
        return error.errno
    if isinstance(error, FilesystemError):
        return FILESYSTEM[error.code]
    if error.errno is not None:
        return _BY_NUMBER.get(error.errno, Errno.IO)
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), Errno.IO)
