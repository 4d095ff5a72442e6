"""Whether native code can work here: the system, llvmlite, and CPython's own layout."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import sysconfig
from array import array
from functools import cache
from typing import Any, Final

from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.storage import INLINE
from asyncwasm.core.runtime.structs import StructRef

from .abi import (
    BYTES_DATA,
    C_FUNCTIONS,
    DIGIT_BITS,
    FLOAT_VALUE,
    LIST_ITEMS,
    LIST_SIZE,
    LONG_DIGIT,
    LONG_TAG,
    TYPE_BASE,
)
from .stack import lowest_address


def unsupported() -> str | None:
    """Why there is no native code in this process, or None if there is.

    Looks for llvmlite without loading it.
    """
    if importlib.util.find_spec("llvmlite") is None:
        return "it needs llvmlite: pip install llvmlite"
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it needs CPython with the global interpreter lock"
    if sys.platform == "win32" or ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return "it needs a 64-bit little-endian system other than Windows"
    missing = [name for name in C_FUNCTIONS if not hasattr(ctypes.pythonapi, name)]
    if missing:
        return f"this Python does not export `{missing[0]}`"
    try:
        lowest_address()
    except (OSError, AttributeError):
        return "the system does not say where a thread's stack ends"
    if not _layout_holds() or fast_offset() is None:
        return "this Python lays its objects out in another way"
    return None


def _layout_holds() -> bool:
    items = [object(), object(), object()]
    size = ctypes.c_size_t.from_address(id(items) + LIST_SIZE).value
    at = ctypes.c_size_t.from_address(id(items) + LIST_ITEMS).value
    text = b"sixteen bytes ok"
    numbers = array("I", [1, 2, 3])
    base = ctypes.c_size_t.from_address(id(StructRef) + TYPE_BASE).value
    return (
        INLINE
        and base == id(StructRef.__base__)
        and size == len(items)
        and all(
            ctypes.c_size_t.from_address(at + 8 * n).value == id(item)
            for n, item in enumerate(items)
        )
        and ctypes.c_size_t.from_address(id(numbers) + LIST_SIZE).value == len(numbers)
        and ctypes.c_size_t.from_address(id(numbers) + LIST_ITEMS).value == numbers.buffer_info()[0]
        and ctypes.string_at(id(text) + BYTES_DATA, 16) == text
        and _numbers_hold()
    )


_MARK: Final[Any] = b"a mark"


@cache
def fast_offset() -> int | None:
    """Where `Func` objects keep `fast`, found by looking; None if it is not found."""
    probe = object.__new__(Func)
    probe.fast = _MARK
    words = (ctypes.c_size_t * (Func.__basicsize__ // 8)).from_address(id(probe))
    found = [8 * n for n, word in enumerate(words) if word == id(_MARK)]
    return found[0] if len(found) == 1 else None


@cache
def slot_offset(cls: type, name: str) -> int:
    """Where objects of `cls` keep a slot."""
    probe: Any = object.__new__(cls)
    cls.__dict__[name].__set__(probe, _MARK)
    words = (ctypes.c_size_t * (cls.__basicsize__ // 8)).from_address(id(probe))
    return 8 * list(words).index(id(_MARK))


@cache
def digits_tag(count: int) -> int:
    """What says that a positive integer has so many digits, one or two."""
    number = 1 << DIGIT_BITS * count - 1
    return ctypes.c_size_t.from_address(id(number) + LONG_TAG).value


def _numbers_hold() -> bool:
    def tag(number: int) -> int:
        return ctypes.c_size_t.from_address(id(number) + LONG_TAG).value

    def digit(number: int, place: int) -> int:
        return ctypes.c_uint32.from_address(id(number) + LONG_DIGIT + 4 * place).value

    base = 1 << DIGIT_BITS
    ones, twos, others = (1, 2, 77777, base - 1), (base, base * base - 1), (-1, base * base)
    return (
        all(tag(n) == digits_tag(1) and digit(n, 0) == n for n in ones)
        and all(tag(n) == digits_tag(2) and digit(n, 0) + base * digit(n, 1) == n for n in twos)
        and not any(tag(n) in (digits_tag(1), digits_tag(2)) for n in others)
        and ctypes.c_double.from_address(id(_FLOAT) + FLOAT_VALUE).value == _FLOAT
    )


_FLOAT: Final = 1234.5
