"""Strings in the three encodings of the Canonical ABI.

Which calls of `realloc` a string takes, and what the memory holds at each, is part of the ABI
("Storing" in `CanonicalABI.md`): a guest can tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

from asyncwasm.component.syntax import StringEncoding
from asyncwasm.errors import CanonicalAbiError, TrapCode

from . import faults
from .context import Context, Realloc, checked_realloc
from .layout import MAX_BYTE_LENGTH, Options

# Takes a pointer and a length in code units, tagged where the encoding has a tag.
LoadString: TypeAlias = Callable[[Context, int, int], str]
# Gives the pointer and the length.
StoreString: TypeAlias = Callable[[Context, str], tuple[int, int]]

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class WideString(str):
    """A string that came as UTF-16 from where it could have been Latin-1."""

    __slots__ = ()


def utf16_tag(options: Options) -> int:
    """The bit that marks a length as one in UTF-16 code units."""
    return 1 << options.pointer_size * 8 - 1


def load_string(options: Options) -> LoadString:
    """The function that reads a string for `options`.

    Raises what `faults` raises, for a range outside of memory, a pointer that is not aligned and
    for bytes that are no text.
    """
    adapter = options.adapter
    tag = utf16_tag(options)

    def read(cx: Context, pointer: int, size: int, encoding: str = "utf-8") -> str:
        memory = cx.memory
        if size > MAX_BYTE_LENGTH or pointer + size > memory.size_bytes:
            faults.outside(
                adapter,
                TrapCode.STRING_OUT_OF_BOUNDS,
                "string pointer/length out of bounds of memory",
            )
        cx.fuel -= size
        if cx.fuel < 0:
            faults.out_of_fuel()
        try:
            return str(memory.view[pointer : pointer + size], encoding)
        except UnicodeDecodeError as error:
            _undecodable(adapter, error)

    def load_utf16(cx: Context, pointer: int, length: int) -> str:
        if pointer & 1:
            faults.unaligned(adapter, "string pointer is not aligned")
        return read(cx, pointer, 2 * length, "utf-16-le")

    def load_latin1_utf16(cx: Context, pointer: int, length: int) -> str:
        if not length & tag:
            if pointer & 1:
                faults.unaligned(adapter, "string pointer is not aligned")
            return read(cx, pointer, length, "latin-1")
        wide = load_utf16(cx, pointer, length ^ tag)
        return WideString(wide) if adapter else wide

    if options.string_encoding is StringEncoding.UTF8:
        return read
    if options.string_encoding is StringEncoding.UTF16:
        return load_utf16
    return load_latin1_utf16


def _undecodable(adapter: bool, error: UnicodeDecodeError) -> NoReturn:
    name = "utf16" if error.encoding.startswith("utf-16") else "utf8"
    if adapter or name == "utf16":
        text = f"invalid {name} encoding"
    elif error.reason == "unexpected end of data":
        text = f"incomplete utf-8 byte sequence from index {error.start}"
    else:
        size = error.end - error.start
        text = f"invalid utf-8 sequence of {size} bytes from index {error.start}"
    raise CanonicalAbiError(text) from None


def as_text(value: object) -> str:
    """`value` if it is a string; `TypeError` otherwise."""
    if isinstance(value, str):
        return value
    raise TypeError("expected str")


def store_string(options: Options) -> StoreString:
    """The function that writes a string for `options`, into memory from `realloc`.

    Raises `TypeError` for what is no string, `ValueError` for a surrogate and for a string that
    is too long, and what `faults` raises for what `realloc` gives.
    """
    realloc = checked_realloc(options, TrapCode.STRING_OUT_OF_BOUNDS)
    source = options.source_encoding
    tag = utf16_tag(options)
    target = options.string_encoding
    if target is StringEncoding.UTF8:
        if source is StringEncoding.UTF8:
            return _copy_utf8(options)
        return _to_utf8(realloc, source)
    if target is StringEncoding.UTF16:
        if source is StringEncoding.UTF8:
            return _utf8_to_utf16(realloc)
        return _copier(realloc, "utf-16-le", 2, 2)
    to_latin1 = _to_latin1_or_utf16(realloc, source, tag)
    if source is not StringEncoding.LATIN1_UTF16:
        return to_latin1
    copy_latin1 = _copier(realloc, "latin-1", 1, 2)
    narrow = _probably_utf16(realloc, tag)

    def store(cx: Context, value: str) -> tuple[int, int]:
        return (narrow if isinstance(value, WideString) else copy_latin1)(cx, value)

    return store


def _encode(value: str, encoding: str) -> bytes:
    data = as_text(value).encode(encoding)
    # Only the host's strings, which count as UTF-8, have not been measured when they were lifted.
    if len(data) > MAX_BYTE_LENGTH and encoding == "utf-8":
        raise ValueError(f"string length of {len(data)} too large to copy into wasm")
    return data


def _write(cx: Context, pointer: int, data: bytes) -> None:
    cx.memory.view[pointer : pointer + len(data)] = data


def _copy_utf8(options: Options) -> StoreString:
    """The usual case, in one piece for speed."""
    adapter = options.adapter

    def copy(cx: Context, value: str) -> tuple[int, int]:
        data = (value if value.__class__ is str else as_text(value)).encode()
        size = len(data)
        if size > MAX_BYTE_LENGTH:
            raise ValueError(f"string length of {size} too large to copy into wasm")
        pointer = cx.realloc(0, 0, 1, size)
        memory = cx.memory
        if pointer + size > memory.size_bytes:
            faults.outside(
                adapter, TrapCode.STRING_OUT_OF_BOUNDS, "realloc return: beyond end of memory"
            )
        memory.view[pointer : pointer + size] = data
        return pointer, size

    return copy


def _copier(realloc: Realloc, encoding: str, unit: int, alignment: int) -> StoreString:
    """Text whose size is known beforehand."""

    def copy(cx: Context, value: str) -> tuple[int, int]:
        data = _encode(value, encoding)
        size = len(data)
        pointer = realloc(cx, 0, 0, alignment, size)
        cx.memory.view[pointer : pointer + size] = data
        return pointer, size // unit

    return copy


def _to_utf8(realloc: Realloc, source: StringEncoding) -> StoreString:
    """Text hoped to be ASCII, from UTF-16 or Latin-1."""

    def store(cx: Context, value: str) -> tuple[int, int]:
        data = value.encode()
        wide = source is StringEncoding.UTF16 or isinstance(value, WideString)
        units = len(value.encode("utf-16-le")) // 2 if wide else len(value)
        pointer = realloc(cx, 0, 0, 1, units)
        other = _NOT_ASCII.search(value)
        if other is None:
            _write(cx, pointer, data)
            return pointer, units
        done = other.start()
        _write(cx, pointer, data[:done])
        worst = units * (3 if wide else 2)
        pointer = realloc(cx, pointer, units, 1, worst)
        _write(cx, pointer + done, data[done:])
        if worst > len(data):
            pointer = realloc(cx, pointer, worst, 1, len(data))
        return pointer, len(data)

    return store


def _utf8_to_utf16(realloc: Realloc) -> StoreString:
    def store(cx: Context, value: str) -> tuple[int, int]:
        worst = 2 * len(_encode(value, "utf-8"))
        pointer = realloc(cx, 0, 0, 2, worst)
        data = value.encode("utf-16-le")
        _write(cx, pointer, data)
        if len(data) < worst:
            pointer = realloc(cx, pointer, worst, 2, len(data))
        return pointer, len(data) // 2

    return store


def _to_latin1_or_utf16(realloc: Realloc, source: StringEncoding, tag: int) -> StoreString:
    """Text hoped to be Latin-1, from UTF-8 or UTF-16."""
    encoding = "utf-8" if source is StringEncoding.UTF8 else "utf-16-le"
    unit = 1 if source is StringEncoding.UTF8 else 2

    def store(cx: Context, value: str) -> tuple[int, int]:
        units = len(_encode(value, encoding)) // unit
        pointer = realloc(cx, 0, 0, 2, units)
        try:
            data = value.encode("latin-1")
        except UnicodeEncodeError as error:
            done = error.start
        else:
            _write(cx, pointer, data)
            if len(data) < units:
                pointer = realloc(cx, pointer, units, 2, len(data))
            return pointer, len(data)
        _write(cx, pointer, value[:done].encode("latin-1"))
        worst = 2 * units
        pointer = realloc(cx, pointer, units, 2, worst)
        data = value.encode("utf-16-le")
        # What is there already is what `realloc` has kept.
        kept = str(cx.memory.view[pointer : pointer + done], "latin-1").encode("utf-16-le")
        _write(cx, pointer, kept + data[2 * done :])
        if worst > len(data):
            pointer = realloc(cx, pointer, worst, 2, len(data))
        return pointer, len(data) // 2 | tag

    return store


def _probably_utf16(realloc: Realloc, tag: int) -> StoreString:
    """Text that came as UTF-16 and may be Latin-1 all the same."""

    def store(cx: Context, value: str) -> tuple[int, int]:
        data = _encode(value, "utf-16-le")
        pointer = realloc(cx, 0, 0, 2, len(data))
        _write(cx, pointer, data)
        try:
            narrow = value.encode("latin-1")
        except UnicodeEncodeError:
            return pointer, len(data) // 2 | tag
        _write(cx, pointer, narrow)
        pointer = realloc(cx, pointer, len(data), 1, len(narrow))
        return pointer, len(narrow)

    return store
