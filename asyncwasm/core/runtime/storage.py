"""How Python objects keep raw values: numbers as such, in slots that have a C type.

A slot of a Python class is a pointer to an object, which CPython reads and writes through a member
descriptor.  The C type that the descriptor has may be another one, as it is for many attributes
of built-in types.  Then the object itself has the number, and Python makes an `int` or a `float`
of it on demand.  What is not a number stays a pointer, and these are the only slots at which the
cycle collector looks.

Machine code is much faster so, Python alone a little slower: where there can be no machine code,
all slots are pointers.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import Any, Final

from asyncwasm.core.types import F32, F64, I32, I64, PackedType, StorageType

# From CPython's `structmember.h`.
_OBJECT: Final = 16
_UINT: Final = 11
_ULONGLONG: Final = 18
_DOUBLE: Final = 4
# A raw single is a Python float, whose bits a `double` has as they are, signalling NaNs included.
_CODES: Final[dict[StorageType, int]] = {
    PackedType.I8: _UINT,
    PackedType.I16: _UINT,
    I32: _UINT,
    I64: _ULONGLONG,
    F32: _DOUBLE,
    F64: _DOUBLE,
}

# Where objects, types and member descriptors of CPython keep things.
_OBJECT_SIZE: Final = 16
_DESCRIPTOR_SIZE: Final = 48
_DESCRIPTOR_MEMBER: Final = 40
_MEMBER_SIZE: Final = 40
_MEMBER_TYPE: Final = 8
_MEMBER_OFFSET: Final = 16


def slot_name(index: int) -> str:
    """The name of slot `index`; a class orders its slots by name."""
    digits = str(index)
    return "fghijk"[len(digits) - 1] + digits


def _member(cls: type, name: str) -> int:
    """Where the definition of a slot of `cls` is."""
    return ctypes.c_size_t.from_address(id(cls.__dict__[name]) + _DESCRIPTOR_MEMBER).value


def offset_of(cls: type, name: str) -> int:
    """Where objects of `cls` keep one of the slots that it has itself.  CPython only."""
    return ctypes.c_ssize_t.from_address(_member(cls, name) + _MEMBER_OFFSET).value


def give_types(cls: type, first: int, storages: tuple[StorageType, ...]) -> None:
    """Let slots of `cls` from number `first` have C types, if they are to.

    There must be no objects of the class yet.
    """
    if INLINE:
        for index, storage in enumerate(storages, first):
            _give(cls, slot_name(index), _CODES.get(storage, _OBJECT))


def is_inline(storage: StorageType) -> bool:
    """Whether a slot for values of a type has them as such, if that is done at all."""
    return storage in _CODES


def _give(cls: type, name: str, code: int) -> None:
    ctypes.c_int.from_address(_member(cls, name) + _MEMBER_TYPE).value = code


def _works() -> bool:
    """Whether slots can have C types: this is CPython, and its layout is the known one."""
    if (
        sys.implementation.name != "cpython"
        or ctypes.sizeof(ctypes.c_void_p) != 8
        or object.__basicsize__ != _OBJECT_SIZE
    ):
        return False
    names = tuple(slot_name(i) for i in (0, 1, 9, 10))
    probe: Any = type("probe", (), {"__slots__": names})
    metaclass: Any = type
    first = id(probe) + metaclass.__basicsize__
    for number, name in enumerate(names):
        # Definitions follow the class; nothing is read before it is known to be there.
        if (
            type(probe.__dict__[name]).__basicsize__ != _DESCRIPTOR_SIZE
            or _member(probe, name) != first + number * _MEMBER_SIZE
            or ctypes.c_int.from_address(_member(probe, name) + _MEMBER_TYPE).value != _OBJECT
            or offset_of(probe, name) != _OBJECT_SIZE + 8 * number
        ):
            return False
    for name, code in zip(names, (_UINT, _ULONGLONG, _DOUBLE), strict=False):
        _give(probe, name, code)
    made = probe()
    values = (1 << 32) - 1, (1 << 64) - 1, -1.5, None
    for name, value in zip(names, values, strict=True):
        setattr(made, name, value)
    return [getattr(made, name) for name in names] == list(values)


# Whether numbers are kept as such.
INLINE: Final = importlib.util.find_spec("llvmlite") is not None and _works()
