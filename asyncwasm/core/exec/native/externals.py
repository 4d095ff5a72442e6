"""What machine code uses of this process: C functions, Python objects, words.

Code knows these by name, never by address, so that it can be linked into another process too.
"""

from __future__ import annotations

import ctypes
from typing import Final

_DECLARATIONS: Final[dict[str, str]] = {}
_ADDRESSES: Final[dict[str, int]] = {}


def declare(name: str, declaration: str, address: int) -> str:
    """Make something at `address` known as `name`; the IR operand that stands for it.

    `declaration` is that of IR.  Making the same name known again replaces its address.
    """
    _DECLARATIONS[name] = declaration
    _ADDRESSES[name] = address
    return f"@{name}"


def declare_data(name: str, ty: str, address: int) -> str:
    """`declare` for something that is in memory, of an IR type."""
    return declare(name, f"@{name} = external global {ty}", address)


def declarations(names: set[str]) -> dict[str, str]:
    """The declarations of those of `names` that are known here."""
    return {name: _DECLARATIONS[name] for name in sorted(names & _DECLARATIONS.keys())}


def address_of(name: str) -> int:
    """Where it is.  Raises `KeyError` for a name that nobody has declared."""
    return _ADDRESSES[name]


def _c_library(name: str) -> int:
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0


# What LLVM calls by itself.
IMPLIED: Final = ("memcpy", "memmove", "memset", "fma", "fmaf")
for _name in IMPLIED:
    _ADDRESSES[_name] = _c_library(_name)
