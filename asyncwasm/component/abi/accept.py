"""What generated lowering code calls for a value that is not exactly as it would be lifted.

Lowering takes more than lifting gives: other numbers, any sequence, mappings for records, labels
for enums.  Each function here gives the usual form or raises `TypeError` or `ValueError`, whose
message does not matter: `explain` looks at the whole value again and finds the words.
"""

from __future__ import annotations

import enum
import operator
import struct
from array import array
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NoReturn

from asyncwasm.component.values import FlagsValue

# What `struct` raises for a value that a field has no room for.
struct_error: Final = struct.error

# By the code of `struct`, the kind and size of the elements of buffers that can be copied.
_KINDS: Final = (
    dict.fromkeys("bhilqn", "i") | dict.fromkeys("BHILQN", "u") | dict.fromkeys("fd", "f")
)


def wrong() -> NoReturn:
    """Refuse a value."""
    raise TypeError("not a value of this type")


def as_int(value: Any) -> int:
    """An integer that is no truth value."""
    if isinstance(value, bool):
        wrong()
    return operator.index(value)


def as_ranged(value: Any, low: int, high: int) -> int:
    """An integer from `low` to `high`."""
    number = as_int(value)
    if not low <= number <= high:
        raise OverflowError("out of range")
    return number


def as_float(value: Any) -> float:
    """A number; `float` alone would read numbers from text, too."""
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        wrong()
    return float(value)


def as_sequence(value: Any) -> list[Any] | tuple[Any, ...]:
    """The elements of anything that has a length and an order."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, str | Mapping | AbstractSet) or not hasattr(value, "__len__"):
        wrong()
    return list(value)


def as_tuple(value: Any, size: int) -> tuple[Any, ...] | list[Any]:
    """A sequence of `size` elements."""
    found = as_sequence(value)
    if len(found) != size:
        wrong()
    return found


def as_mapping(value: Any) -> dict[Any, Any]:
    """A mapping, as a dictionary."""
    if not isinstance(value, Mapping):
        wrong()
    return dict(value)


def as_fields(value: Any, names: dict[str, str]) -> tuple[Any, ...]:
    """The fields of a record from a mapping with exactly their labels, or from attributes.

    `names` are the attributes by their labels.  A mapping may have those for keys, too.
    """
    if not isinstance(value, Mapping):
        return tuple(getattr(value, name) for name in names.values())
    if len(value) != len(names):
        wrong()
    return tuple(value[label] if label in value else value[name] for label, name in names.items())


def as_case(value: Any, cases: dict[str, int], payloads: tuple[bool, ...]) -> tuple[int, Any]:
    """The number and the payload of a variant's case.

    Taken from another class's value for a case, which has the attributes `case` and `value`, or
    from the label of a case without a payload.
    """
    if isinstance(value, str):
        number = cases[value]
        if payloads[number]:
            wrong()
        return number, None
    number = cases[value.case]
    return number, value.value if payloads[number] else None


def as_label(value: Any) -> str:
    """A label of an enum, from a string or from the member of another class."""
    if isinstance(value, enum.Enum):
        value = value.value
    if not isinstance(value, str):
        wrong()
    return value


def as_flags(value: Any, bits: dict[str, int]) -> int:
    """The bits of flags, from an iterable of their labels."""
    if isinstance(value, FlagsValue):
        value = value.labels
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        wrong()
    found = 0
    for label in value:
        found |= bits[label]
    return found


def as_bytes(value: Any) -> bytes | memoryview:
    """The elements of a `list<u8>`."""
    if isinstance(value, bytes | bytearray):
        return memoryview(value)
    packed = as_buffer(value, "B")
    if packed is not None:
        return packed
    return bytes(list(map(as_int, as_sequence(value))))


def as_scalars(value: Any, code: str) -> bytes | memoryview | array[Any]:
    """The bytes of a list of numbers with the `struct` code `code`."""
    packed = as_buffer(value, code)
    if packed is not None:
        return packed
    value = as_sequence(value)
    kinds = set(map(type, value))
    if code in "fd":
        if kinds <= {float, int}:
            return array(code, value)
        return array(code, list(map(as_float, value)))
    # An array could be made of bytes, which means something else.
    value = list(value) if kinds <= {int} else list(map(as_int, value))
    return array(code, value)


def as_buffer(value: Any, code: str) -> memoryview | None:
    """The bytes of a buffer of numbers with the `struct` code `code`, or None if it is none."""
    try:
        view = memoryview(value)
    except TypeError:
        return None
    own = view.format.removeprefix("<").removeprefix("@").removeprefix("=")
    same = _KINDS.get(own) == _KINDS[code] and view.itemsize == array(code).itemsize
    if not same or view.ndim != 1:
        return None
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def as_bools(value: Any) -> bytes:
    """The bytes of a list of truth values."""
    value = as_sequence(value)
    if not set(map(type, value)) <= {bool}:
        wrong()
    return bytes(value)


def as_chars(value: Any) -> bytes:
    """The bytes of a list of characters."""
    value = as_sequence(value)
    if not set(map(len, value)) <= {1}:
        wrong()
    return "".join(value).encode("utf-32-le")
