"""Modules put together byte by byte, for what no text can say."""

from __future__ import annotations

from collections.abc import Iterable

from asyncwasm.core.binary.leb128 import write_name, write_signed, write_unsigned

HEADER = b"\0asm\x01\0\0\0"

TYPE, IMPORT, FUNC, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEM, CODE, DATA, DATA_COUNT, TAG = range(
    1, 14
)

I32, I64, F32, F64, V128 = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
FUNCREF, EXTERNREF = 0x70, 0x6F

u = write_unsigned
s = write_signed
name = write_name


def vec(*items: bytes) -> bytes:
    """A vector."""
    return u(len(items)) + b"".join(items)


def sized(content: bytes) -> bytes:
    """Bytes after their number."""
    return u(len(content)) + content


def section(id: int, *items: bytes) -> bytes:
    """A section that is a vector of items."""
    return raw_section(id, vec(*items))


def raw_section(id: int, content: bytes) -> bytes:
    return bytes((id,)) + sized(content)


def custom(title: str, content: bytes = b"") -> bytes:
    return raw_section(0, name(title) + content)


def func_type(params: Iterable[int] = (), results: Iterable[int] = ()) -> bytes:
    """A function type over types that are single bytes."""
    return b"\x60" + sized(bytes(params)) + sized(bytes(results))


def body(code: bytes, *locals: bytes) -> bytes:
    """A function body with its size; `code` comes without its `end`."""
    return sized(vec(*locals) + code + b"\x0b")


def module(*sections: bytes) -> bytes:
    return HEADER + b"".join(sections)


def function(
    code: bytes,
    params: Iterable[int] = (),
    results: Iterable[int] = (),
    locals: Iterable[bytes] = (),
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A module of one function; `before` and `after` are sections around its code section."""
    return module(
        section(TYPE, func_type(params, results)),
        section(FUNC, u(0)),
        before,
        section(CODE, body(code, *locals)),
        after,
    )
