"""Why an adapter ends a call: numbers in WebAssembly, errors outside."""

from __future__ import annotations

import enum
from typing import Final, NoReturn

from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode


class Fault(enum.IntEnum):
    """What adapters give to their import `trap`."""

    CANNOT_LEAVE = 0
    INVALID_CHAR = 1
    INVALID_DISCRIMINANT = 2
    UNALIGNED = 3
    MEMORY = 4
    STRING = 5
    LIST = 6
    UTF8 = 7
    UTF16 = 8
    UNCAUGHT = 9


FAULTS: Final[dict[int, TrapCode | str]] = {
    Fault.CANNOT_LEAVE: TrapCode.CANNOT_LEAVE_COMPONENT,
    Fault.INVALID_CHAR: TrapCode.INVALID_CHAR,
    Fault.INVALID_DISCRIMINANT: TrapCode.INVALID_DISCRIMINANT,
    Fault.UNALIGNED: TrapCode.UNALIGNED_POINTER,
    Fault.MEMORY: TrapCode.MEMORY_OUT_OF_BOUNDS,
    Fault.STRING: TrapCode.STRING_OUT_OF_BOUNDS,
    Fault.LIST: TrapCode.LIST_OUT_OF_BOUNDS,
    Fault.UTF8: "invalid utf8 encoding",
    Fault.UTF16: "invalid utf16 encoding",
    Fault.UNCAUGHT: TrapCode.UNCAUGHT_EXCEPTION,
}


def raise_fault(number: int) -> NoReturn:
    """What an adapter's import `trap` does.  Raises `Trap` or `CanonicalAbiError`."""
    fault = FAULTS[number]
    if isinstance(fault, TrapCode):
        raise Trap(fault)
    raise CanonicalAbiError(fault)
