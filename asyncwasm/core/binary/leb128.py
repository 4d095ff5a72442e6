"""LEB128 and the few other primitives of the binary format ("Values" in the core spec).

Readers take the bytes and a position and return the value and the position after it; they
raise `MalformedError` for what the format does not allow.  Writers return bytes.
"""

from __future__ import annotations

from asyncwasm.errors import MalformedError


def read_unsigned(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    """An unsigned number of at most `bits` bits."""
    start = pos
    result = shift = 0
    try:
        while True:
            byte = data[pos]
            pos += 1
            if shift + 7 > bits and byte >> (bits - shift):
                message = "integer representation too long" if byte & 0x80 else "integer too large"
                raise MalformedError(message, offset=start)
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result, pos
            shift += 7
    except IndexError:
        raise MalformedError("unexpected end", offset=start) from None


def read_signed(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    """A signed number of at most `bits` bits, two's complement."""
    start = pos
    result = shift = 0
    try:
        while True:
            byte = data[pos]
            pos += 1
            if shift + 7 > bits:
                # Bits past the sign bit must repeat it.
                used = bits - shift
                high = (byte & 0x7F) >> (used - 1)
                if byte & 0x80:
                    raise MalformedError("integer representation too long", offset=start)
                if high not in (0, (1 << (8 - used)) - 1):
                    raise MalformedError("integer too large", offset=start)
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (result - (1 << shift) if byte & 0x40 else result), pos
    except IndexError:
        raise MalformedError("unexpected end", offset=start) from None


def read_u32(data: bytes, pos: int) -> tuple[int, int]:
    """A `u32`, with a fast path for the one-byte form."""
    if pos < len(data) and data[pos] < 0x80:
        return data[pos], pos + 1
    return read_unsigned(data, pos, 32)


def read_name(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """A name: a length and so many bytes of UTF-8, which may not pass `end`."""
    size, pos = read_u32(data, pos)
    if size > end - pos:
        raise MalformedError("length out of bounds", offset=pos)
    try:
        return str(data[pos : pos + size], "utf-8"), pos + size
    except UnicodeDecodeError:
        raise MalformedError("malformed UTF-8 encoding", offset=pos) from None


def write_unsigned(value: int) -> bytes:
    """The shortest encoding of a non-negative number."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_signed(value: int) -> bytes:
    """The shortest encoding of a signed number."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def write_name(name: str) -> bytes:
    """A name: length and UTF-8."""
    encoded = name.encode()
    return write_unsigned(len(encoded)) + encoded
