"""The end of the program."""

from __future__ import annotations

from typing import Final, NoReturn

from asyncwasm.errors import ExitTrap

from .call import Call, Function
from .errno import Errno, GuestError


def proc_exit(call: Call, code: int) -> NoReturn:
    """End the program with an exit status, any u32: raises `ExitTrap` at the embedder."""
    raise ExitTrap(code)


def proc_raise(call: Call, signal: int) -> NoReturn:
    """`NOTSUP`: there are no signals."""
    raise GuestError(Errno.NOTSUP)


FUNCTIONS: Final = {
    "proc_exit": Function(proc_exit, "i"),
    "proc_raise": Function(proc_raise, "i"),
}
