"""Why an operation on a file failed, independent of platform and WASI version."""

from __future__ import annotations

import enum
import errno
from types import TracebackType
from typing import Final


class ErrorCode(enum.Enum):
    """The errors of WASI preview 1 and of `wasi:filesystem` that operations here can end with.

    Each WASI version maps these to its own numbers or names with a literal table.
    """

    ACCESS = "permission denied"
    AGAIN = "resource unavailable, try again"
    BADF = "bad file descriptor"
    BUSY = "device or resource busy"
    DEADLK = "resource deadlock would occur"
    DQUOT = "quota exceeded"
    EXIST = "file exists"
    FBIG = "file too large"
    ILSEQ = "illegal byte sequence"
    INTR = "interrupted"
    INVAL = "invalid argument"
    IO = "input/output error"
    ISDIR = "is a directory"
    LOOP = "too many levels of symbolic links"
    MFILE = "too many open files"
    MLINK = "too many links"
    NAMETOOLONG = "name too long"
    NFILE = "too many open files in system"
    NODEV = "no such device"
    NOENT = "no such file or directory"
    NOLCK = "no locks available"
    NOMEM = "not enough memory"
    NOSPC = "no space left"
    NOTCAPABLE = "capabilities insufficient"
    NOTDIR = "not a directory"
    NOTEMPTY = "directory not empty"
    NOTSUP = "not supported"
    NOTTY = "not a terminal"
    NXIO = "no such device or address"
    OVERFLOW = "value too large"
    PERM = "operation not permitted"
    PIPE = "broken pipe"
    ROFS = "read-only file system"
    SPIPE = "invalid seek"
    STALE = "stale file handle"
    TXTBSY = "text file busy"
    XDEV = "cross-device link"


# By name: no platform has all of them.
_BY_NAME: Final = {
    "EACCES": ErrorCode.ACCESS,
    "EAGAIN": ErrorCode.AGAIN,
    "EBADF": ErrorCode.BADF,
    "EBUSY": ErrorCode.BUSY,
    "EDEADLK": ErrorCode.DEADLK,
    "EDQUOT": ErrorCode.DQUOT,
    "EEXIST": ErrorCode.EXIST,
    "EFBIG": ErrorCode.FBIG,
    "EILSEQ": ErrorCode.ILSEQ,
    "EINTR": ErrorCode.INTR,
    "EINVAL": ErrorCode.INVAL,
    "EIO": ErrorCode.IO,
    "EISDIR": ErrorCode.ISDIR,
    "ELOOP": ErrorCode.LOOP,
    "EMFILE": ErrorCode.MFILE,
    "EMLINK": ErrorCode.MLINK,
    "ENAMETOOLONG": ErrorCode.NAMETOOLONG,
    "ENFILE": ErrorCode.NFILE,
    "ENODEV": ErrorCode.NODEV,
    "ENOENT": ErrorCode.NOENT,
    "ENOLCK": ErrorCode.NOLCK,
    "ENOMEM": ErrorCode.NOMEM,
    "ENOSPC": ErrorCode.NOSPC,
    "ENOSYS": ErrorCode.NOTSUP,
    "ENOTCAPABLE": ErrorCode.NOTCAPABLE,
    "ENOTDIR": ErrorCode.NOTDIR,
    "ENOTEMPTY": ErrorCode.NOTEMPTY,
    "ENOTSUP": ErrorCode.NOTSUP,
    "ENOTTY": ErrorCode.NOTTY,
    "ENXIO": ErrorCode.NXIO,
    "EOPNOTSUPP": ErrorCode.NOTSUP,
    "EOVERFLOW": ErrorCode.OVERFLOW,
    "EPERM": ErrorCode.PERM,
    "EPIPE": ErrorCode.PIPE,
    "EROFS": ErrorCode.ROFS,
    "ESPIPE": ErrorCode.SPIPE,
    "ESTALE": ErrorCode.STALE,
    "ETXTBSY": ErrorCode.TXTBSY,
    "EXDEV": ErrorCode.XDEV,
}

_BY_NUMBER: Final = {
    getattr(errno, name): code for name, code in _BY_NAME.items() if hasattr(errno, name)
}


class FilesystemError(Exception):
    """An operation on a file or directory failed.

    Says why with `code`, for the guest, and with its text, for the host's own logs.  Where the
    operating system refused, its `OSError` is the `__cause__`.
    """

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code: Final = code
        self.detail: Final = detail

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail}" if self.detail else self.code.value


def code_of(error: OSError) -> ErrorCode:
    """What an error of the operating system is called here; `IO` if it has no name of its own."""
    return _BY_NUMBER.get(error.errno, ErrorCode.IO) if error.errno is not None else ErrorCode.IO


class Translating:
    """Turns an `OSError` raised in its `with` block into a `FilesystemError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise FilesystemError(code_of(error), error.strerror or "") from error


translating: Final = Translating()
