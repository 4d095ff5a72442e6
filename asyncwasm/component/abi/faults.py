"""What is raised when a component breaks a rule of the Canonical ABI.

A rule has two texts: one for values that the host receives or gives, and one, mostly a trap
code, for values on their way between components.  Each function here raises.
"""

from __future__ import annotations

from typing import NoReturn

from asyncwasm.errors import CanonicalAbiError, ResourceLimitError, Trap, TrapCode


def invalid_char(adapter: bool) -> NoReturn:
    """An integer is no Unicode scalar value."""
    if adapter:
        raise Trap(TrapCode.INVALID_CHAR)
    raise CanonicalAbiError("converted integer out of range for `char`")


def invalid_discriminant(adapter: bool, found: int, cases: int) -> NoReturn:
    """There is no case with the number `found`."""
    if adapter:
        raise Trap(TrapCode.INVALID_DISCRIMINANT)
    raise CanonicalAbiError(f"discriminant {found} out of range [0..{cases})")


def unaligned(adapter: bool, text: str) -> NoReturn:
    """A pointer is not a multiple of what it must be one of."""
    if adapter:
        raise Trap(TrapCode.UNALIGNED_POINTER)
    raise CanonicalAbiError(text)


def outside(adapter: bool, code: TrapCode, text: str) -> NoReturn:
    """Something is not all in the memory."""
    if adapter:
        raise Trap(code)
    raise CanonicalAbiError(text)


def out_of_fuel() -> NoReturn:
    """A call copies more than it may."""
    raise ResourceLimitError(
        "too much data is being copied between the host and the guest: "
        "fuel allocated for hostcalls has been exhausted"
    )
